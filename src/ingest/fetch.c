/* Reading records back by reference, as evidence.
 *
 * References are taken file by file in order of offset. Text that lies in the file as it is gets
 * one pread each; decoded text (compressed, UTF-16) costs one pass over the file up to the last
 * record wanted, however many are wanted; piped input is read from its spool. Texts are cut at
 * max_bytes. What cannot be read any more (deleted, truncated, rotated away, never kept) is
 * answered with NULL, never with other text: a file whose device or inode is not what was scanned
 * is not opened in its place.
 */
#include "ingest/reader_int.h"

enum { SKIP_BYTES = 256 << 10 };

typedef struct wanted {
    log_ref ref;
    size_t at; /* in the caller's arrays */
} wanted;

static int by_place(const void *a, const void *b) {
    const wanted *x = a, *y = b;
    if (x->ref.file != y->ref.file) return x->ref.file < y->ref.file ? -1 : 1;
    if (x->ref.offset != y->ref.offset) return x->ref.offset < y->ref.offset ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static char *room_for(arena *out, size_t n) { return arena_try_bytes(out, MAX(n, (size_t)1), 1); }

/* Same file as was scanned? A growing file keeps its descriptor and is always the same. */
static rc open_file(files *f, const input *in, int *ret_fd, bool *ret_owned, err *e) {
    *ret_owned = in->fd < 0;
    if (in->fd >= 0) {
        *ret_fd = in->fd;
        return RC_OK;
    }
    sys_stat st = {0};
    int fd = -1;
    rc r = f->fs.ops->open(f->fs.ctx, in->path, SYS_READ, &fd, e);
    if (r != RC_OK) return r;
    r = f->fs.ops->fstat(f->fs.ctx, fd, &st, e);
    if (r == RC_OK && (st.device != in->st.device || st.inode != in->st.inode))
        r = FAIL(e, RC_NOT_FOUND, "the file was replaced");
    if (r != RC_OK) {
        IGNORE(f->fs.ops->close(f->fs.ctx, fd, NULL)); /* read only */
        return r;
    }
    *ret_fd = fd;
    return RC_OK;
}

static rc fetch_direct(files *f, const input *in, const wanted *w, size_t count, size_t max_bytes,
                       arena *out, str *ret, err *e) {
    int fd;
    bool owned;
    if (open_file(f, in, &fd, &owned, NULL) != RC_OK) return RC_OK;
    rc r = RC_OK;
    for (size_t i = 0; i < count && r == RC_OK; i++) {
        size_t n = MIN((size_t)w[i].ref.bytes, max_bytes), have = 0, got = 1;
        char *p = room_for(out, n);
        if (!p) {
            r = FAIL(e, RC_LIMIT, "no room for the text of %zu records", count);
            break;
        }
        while (have < n && got > 0)
            if (f->fs.ops->pread(f->fs.ctx, fd, p + have, n - have, w[i].ref.offset + have, &got,
                                 NULL) != RC_OK)
                got = 0;
            else
                have += got;
        if (have == n) ret[w[i].at] = str_make(p, n);
    }
    if (owned) IGNORE(f->fs.ops->close(f->fs.ctx, fd, NULL)); /* read only */
    return r;
}

/* One pass over the decoded text. Records may overlap (duplicates): each keeps its own progress in
 * ret[].n. */
static rc fetch_decoded(files *f, const input *in, const wanted *w, size_t count, size_t max_bytes,
                        arena *out, str *ret, err *e) {
    int fd = -1;
    bool owned = false;
    if (!in->pipe && open_file(f, in, &fd, &owned, NULL) != RC_OK) return RC_OK;
    stream_opts so = {
        .fs = &f->fs, .fd = fd, .pipe = in->pipe, .kept_only = true, .max_ratio = f->max_ratio};
    stream *s = NULL;
    rc r = RC_OK;
    char *step = mem_alloc(SKIP_BYTES);
    char **texts = mem_new_n(char *, count);
    bool open = stream_open(&so, &s, NULL) == RC_OK;
    size_t done = 0, got = 1; /* records before `done` are complete */
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++)
        end = MAX(end, w[i].ref.offset + MIN((size_t)w[i].ref.bytes, max_bytes));
    while (open && r == RC_OK && got > 0 && done < count && (stream_at(s) < end || end == 0)) {
        if (stream_read(s, step, SKIP_BYTES, &got, NULL) != RC_OK) break;
        uint64_t from = stream_at(s) - got, to = stream_at(s);
        for (size_t i = done; i < count && w[i].ref.offset < to; i++) {
            size_t n = MIN((size_t)w[i].ref.bytes, max_bytes);
            uint64_t a = MAX(w[i].ref.offset, from), z = MIN(w[i].ref.offset + n, to);
            if (!texts[i]) texts[i] = room_for(out, n);
            if (!texts[i]) {
                r = FAIL(e, RC_LIMIT, "no room for the text of %zu records", count);
                break;
            }
            if (a < z) memcpy(texts[i] + (a - w[i].ref.offset), step + (a - from), z - a);
            if (w[i].ref.offset + n <= to) ret[w[i].at] = str_make(texts[i], n);
        }
        while (done < count && ret[w[done].at].p) done++;
    }
    stream_close(s);
    if (owned) IGNORE(f->fs.ops->close(f->fs.ctx, fd, NULL)); /* read only */
    mem_free(texts);
    mem_free(step);
    return r;
}

rc fetch_texts(files *f, const log_ref *refs, size_t count, size_t max_bytes, arena *out, str *ret,
               err *e) {
    for (size_t i = 0; i < count; i++) ret[i] = STR_NONE;
    if (count == 0) return RC_OK;
    wanted *w = mem_new_n(wanted, count);
    for (size_t i = 0; i < count; i++) w[i] = (wanted){.ref = refs[i], .at = i};
    qsort(w, count, sizeof *w, by_place);
    rc r = RC_OK;
    for (size_t i = 0, j; i < count && r == RC_OK; i = j) {
        for (j = i; j < count && w[j].ref.file == w[i].ref.file;) j++;
        sys_lock_take(f->lock); /* a scan that follows growing files may add inputs meanwhile */
        input in = {0};
        bool known = w[i].ref.file < f->inputs.n;
        if (known) in = *f->inputs.v[w[i].ref.file];
        bool hold = in.owns_fd; /* and may close this descriptor: not while it is read here */
        if (!hold) sys_lock_give(f->lock);
        if (!known)
            r = FAIL(e, RC_INVALID, "reference to input %" PRIu32, w[i].ref.file);
        else if (in.direct && !in.gone)
            r = fetch_direct(f, &in, w + i, j - i, max_bytes, out, ret, e);
        else if (!in.gone && !in.closed_for_good)
            r = fetch_decoded(f, &in, w + i, j - i, max_bytes, out, ret, e);
        if (hold) sys_lock_give(f->lock);
    }
    mem_free(w);
    return r;
}
