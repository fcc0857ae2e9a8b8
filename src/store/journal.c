/* journal.c - the append-only file that makes an accepted batch durable.
 *
 *     file header | commit | commit | ... | end record
 *     commit = header (64) | directory (80 for each block) | payloads, each padded to 8
 *
 * One commit is one pwrite and one fdatasync. There is never more than one commit in flight, so
 * after a crash at most the last commit of a journal is torn, and everything before it was
 * acknowledged. A sealed journal ends with a commit of no blocks: with it, nothing can be torn,
 * and a bad commit is damage.
 *
 * Checksums form a chain: the header has the checksum of the directory, which has those of the
 * payloads, and the checksum of the header before. So a commit is whole or it is not one, and a
 * commit left over from another life of the file cannot pass for the next one.
 *
 * Reading looks at headers and directories only (a few KiB of a 64 MiB file), and at the payloads
 * of the last commit, the only one that a crash can have torn. The other payloads are checked when
 * they are read, by the compactor and by fsck.
 *
 * Damage: a header that is bad ends the walk unless a valid header with a higher sequence follows
 * somewhere behind (searched at multiples of eight): then what lies between is damage and the walk
 * goes on there. Without such a header it is the end of the journal: the torn tail when that is
 * what a crash leaves, else damage of a commit that may have been acknowledged, and then its bytes
 * stay (keep_end).
 *
 * Failure to write: the file is cut back to its last good end, and the journal goes on (a full
 * disk is the usual case). When cutting fails, or a sync failed, the journal is broken: no byte is
 * added to it any more. A failed fsync is never repeated: the kernel may have dropped the pages
 * ("fsyncgate", PostgreSQL 2018).
 *
 * Rejected: writing the header after the payloads (two syncs); reserving space ahead, or writing
 * into a file of zeros (no gain that stood out of the noise: README); one sync for each append
 * without grouping. */
#include "store/journal_int.h"

#include "base/mem.h"

enum {
    GAP_BYTES = COMMIT_HEADER_BYTES + COMMIT_BLOCKS_MAX * ENTRY_BYTES,
    KEEP_BYTES = 16 << 20, /* of a commit's memory between commits */
    SCAN_BYTES = 1 << 20,
};

/* ---- building ---- */

void commit_init(commit *c) {
    *c = (commit){0};
    buf_init(&c->bytes, COMMIT_BYTES_MAX);
    commit_reset(c);
}

void commit_release(commit *c) {
    buf_release(&c->bytes);
    vec_release(&c->blocks);
}

void commit_reset(commit *c) {
    if (c->bytes.cap > KEEP_BYTES) {
        buf_release(&c->bytes);
        buf_init(&c->bytes, COMMIT_BYTES_MAX);
    }
    buf_reset(&c->bytes);
    c->blocks.n = 0;
    c->records = 0;
    MUST(buf_pad(&c->bytes, 0, GAP_BYTES));
}

rc commit_put(void *ctx, const block_info *info, str payload, err *e) {
    commit *c = ctx;
    MUST(info->bytes == payload.n && info->kind != 0);
    if (c->blocks.n == COMMIT_BLOCKS_MAX || payload.n > BLOCK_BYTES_MAX)
        return FAIL(e, RC_LIMIT, "more than %d blocks, or a block of more than %d bytes",
                    COMMIT_BLOCKS_MAX, BLOCK_BYTES_MAX);
    size_t at = c->bytes.n, padded = (size_t)format_padded(payload.n);
    if (!buf_reserve(&c->bytes, padded)) return FAIL(e, RC_LIMIT, "no memory for a commit");
    MUST(buf_put(&c->bytes, payload) && buf_pad(&c->bytes, 0, padded - payload.n));
    vec_push(&c->blocks, (block_entry){.info = *info,
                                       .offset = at,
                                       .checksum = format_checksum(payload.p, payload.n)});
    c->records += info->rows;
    return RC_OK;
}

commit_mark commit_save(const commit *c) {
    return (commit_mark){c->bytes.n, c->blocks.n, c->records};
}

void commit_restore(commit *c, commit_mark m) {
    MUST(m.bytes <= c->bytes.n && m.blocks <= c->blocks.n);
    c->bytes.n = m.bytes;
    c->blocks.n = m.blocks;
    c->records = m.records;
}

/* Puts directory and header right before the payloads; the bytes to write. Offsets in the directory
 * count from the commit's first byte, those left in c->blocks from the file's. */
static str commit_finish(commit *c, const journal *j, int64_t arrival_ns, uint64_t *ret_checksum) {
    size_t head = COMMIT_HEADER_BYTES + c->blocks.n * ENTRY_BYTES, start = GAP_BYTES - head;
    char *p = c->bytes.p + start, *entries = p + COMMIT_HEADER_BYTES;
    for (size_t i = 0; i < c->blocks.n; i++) {
        c->blocks.v[i].offset -= start;
        format_put_entry(entries + i * ENTRY_BYTES, &c->blocks.v[i]);
        c->blocks.v[i].offset += j->end;
    }
    commit_header h = {.sequence = j->sequence + 1,
                       .bytes = c->bytes.n - start,
                       .arrival_ns = arrival_ns,
                       .blocks = (uint32_t)c->blocks.n,
                       .records = (uint32_t)MIN(c->records, (uint64_t)UINT32_MAX),
                       .chain = j->chain,
                       .directory = format_checksum(entries, c->blocks.n * ENTRY_BYTES)};
    format_put_commit(p, &h);
    *ret_checksum = h.checksum;
    return str_make(p, c->bytes.n - start);
}

/* ---- writing ---- */

rc journal_create(const sys_fs *fs, str dir, uint64_t number, int64_t created_ns, journal *ret,
                  err *e) {
    char name[FILE_NAME_BYTES], path_text[4200];
    str file = format_name(name, FILE_JOURNAL, number, number);
    int len = snprintf(path_text, sizeof path_text, "%.*s/%.*s", STR_ARG(dir), STR_ARG(file));
    MUST(len > 0 && (size_t)len < sizeof path_text);
    str path = str_make(path_text, (size_t)len);
    journal j = {.fs = fs, .fd = -1, .number = number, .end = FILE_HEADER_BYTES};
    char head[FILE_HEADER_BYTES];
    j.chain = format_put_file_header(head, &(file_header){.kind = FILE_JOURNAL,
                                                          .version = FORMAT_VERSION,
                                                          .first = number,
                                                          .last = number,
                                                          .created_ns = created_ns});
    rc code = fs->ops->open(fs->ctx, path, SYS_WRITE_NEW, &j.fd, e);
    if (code) return code;
    code = fs->ops->pwrite(fs->ctx, j.fd, head, sizeof head, 0, e);
    if (!code) code = sys_sync_dir(fs, dir, e);
    if (code) {
        IGNORE(fs->ops->close(fs->ctx, j.fd, NULL));  /* the first failure is the one to report */
        IGNORE(fs->ops->unlink(fs->ctx, path, NULL)); /* left over: an empty journal, dropped at
                                                         the next start */
        return code;
    }
    *ret = j;
    return RC_OK;
}

rc journal_append(journal *j, commit *c, int64_t arrival_ns, journal_state *ret_state, err *e) {
    MUST(j->fd >= 0 && c->blocks.n > 0);
    uint64_t checksum;
    str bytes = commit_finish(c, j, arrival_ns, &checksum);
    rc code = j->fs->ops->pwrite(j->fs->ctx, j->fd, bytes.p, bytes.n, j->end, e);
    if (code) {
        bool cut = j->fs->ops->truncate(j->fs->ctx, j->fd, j->end, NULL) == RC_OK;
        *ret_state = cut ? JOURNAL_GOOD : JOURNAL_BROKEN;
        return code;
    }
    code = j->fs->ops->datasync(j->fs->ctx, j->fd, e);
    if (code) {
        /* Try not to let it appear after a restart; when it does, it appears once. */
        IGNORE(j->fs->ops->truncate(j->fs->ctx, j->fd, j->end, NULL));
        *ret_state = JOURNAL_BROKEN;
        return code;
    }
    j->end += bytes.n;
    j->sequence++;
    j->chain = checksum;
    *ret_state = JOURNAL_GOOD;
    return RC_OK;
}

static rc write_end(const sys_fs *fs, int fd, uint64_t at, uint64_t sequence, uint64_t chain,
                    err *e) {
    char end[COMMIT_HEADER_BYTES];
    commit_header h = {.sequence = sequence + 1,
                       .bytes = sizeof end,
                       .chain = chain,
                       .directory = format_checksum("", 0)};
    format_put_commit(end, &h);
    rc code = fs->ops->pwrite(fs->ctx, fd, end, sizeof end, at, e);
    return code ? code : fs->ops->datasync(fs->ctx, fd, e);
}

void journal_close(journal *j, bool broken) {
    if (j->fd < 0) return;
    /* Without the end record the next start looks for a torn tail and finds none: no loss. */
    if (!broken) IGNORE(write_end(j->fs, j->fd, j->end, j->sequence, j->chain, NULL));
    IGNORE(j->fs->ops->close(j->fs->ctx, j->fd, NULL)); /* everything in it is synced */
    j->fd = -1;
}

/* ---- reading ---- */

typedef struct walk {
    const journal_reader *r;
    journal_found f;
    char *piece; /* SCAN_BYTES */
    char *directory;
    block_entry *blocks; /* COMMIT_BLOCKS_MAX */
    bool chained;        /* f.chain is what the next header must say */
} walk;

/* Header and directory at an offset: RC_NOT_FOUND when there is none that is whole. */
static rc read_commit(walk *w, uint64_t at, commit_header *ret, err *e) {
    const journal_reader *r = w->r;
    if (at > r->bytes || r->bytes - at < COMMIT_HEADER_BYTES) return RC_NOT_FOUND;
    /* One read gets the directory of an ordinary commit along with its header. */
    enum { GUESS = COMMIT_HEADER_BYTES + 8 * ENTRY_BYTES };
    char head[GUESS];
    size_t n = (size_t)MIN(r->bytes - at, (uint64_t)GUESS);
    rc code = format_read(r->fs, r->fd, at, head, n, e);
    if (code) return code;
    commit_header h;
    if (!format_get_commit(head, &h)) return RC_NOT_FOUND;
    size_t dir_bytes = h.blocks * (size_t)ENTRY_BYTES;
    if (h.bytes > r->bytes - at) { /* its header alone was written: how much was lost is known */
        *ret = h;
        return RC_NOT_FOUND;
    }
    const char *dir = head + COMMIT_HEADER_BYTES;
    if (COMMIT_HEADER_BYTES + dir_bytes > n) {
        code = format_read(r->fs, r->fd, at + COMMIT_HEADER_BYTES, w->directory, dir_bytes, e);
        if (code) return code;
        dir = w->directory;
    }
    *ret = h;
    if (format_checksum(dir, dir_bytes) != h.directory) return RC_CORRUPT;
    for (uint32_t i = 0; i < h.blocks; i++) {
        block_entry *b = &w->blocks[i];
        if (!format_get_entry(dir + i * (size_t)ENTRY_BYTES, b)) return RC_CORRUPT;
        if (b->offset < COMMIT_HEADER_BYTES + dir_bytes || b->offset > h.bytes ||
            b->info.bytes > h.bytes - b->offset)
            return RC_CORRUPT;
        b->offset += at;
    }
    return RC_OK;
}

/* The next offset >= from where a commit header of a higher sequence is valid; r->bytes when there
 * is none. */
static rc resync(walk *w, uint64_t from, uint64_t *ret, err *e) {
    const journal_reader *r = w->r;
    from = format_padded(from);
    while (from < r->bytes && r->bytes - from >= COMMIT_HEADER_BYTES) {
        size_t n = (size_t)MIN(r->bytes - from, (uint64_t)SCAN_BYTES);
        rc code = format_read(r->fs, r->fd, from, w->piece, n, e);
        if (code) return code;
        size_t at = 0;
        for (;;) {
            at += format_find_commit(w->piece + at, n - at);
            if (n - at < COMMIT_HEADER_BYTES) break;
            commit_header h;
            if (format_get_commit(w->piece + at, &h) && h.sequence > w->f.sequence) {
                *ret = from + at;
                return RC_OK;
            }
            at += FORMAT_ALIGN;
        }
        /* The rest of a piece is looked at again when it holds the start of a header. */
        size_t step = n - (COMMIT_HEADER_BYTES - FORMAT_ALIGN);
        from += n == SCAN_BYTES ? step & ~(size_t)(FORMAT_ALIGN - 1) : n;
    }
    *ret = r->bytes;
    return RC_OK;
}

/* The payloads of a commit: RC_CORRUPT when one is bad. With tell, each bad one is told. */
static rc check_payloads(walk *w, const commit_header *h, bool tell, err *e) {
    rc result = RC_OK;
    for (uint32_t i = 0; i < h->blocks; i++) {
        const block_entry *b = &w->blocks[i];
        rc code = format_check_payload(w->r->fs, w->r->fd, b, e);
        if (code == RC_LIMIT) return code;
        if (code && tell)
            w->r->on_damage(w->r->ctx, b->offset, b->info.bytes, b->info.rows,
                            code == RC_IO ? "the block cannot be read"
                                          : "the checksum of the block is wrong",
                            b);
        if (code) result = RC_CORRUPT;
    }
    return result;
}

/* Is the commit the last thing in the file? */
static rc is_last(walk *w, uint64_t behind, const commit_header *h, bool *ret, err *e) {
    if (w->r->bytes - behind < COMMIT_HEADER_BYTES) {
        *ret = true;
        return RC_OK;
    }
    uint64_t sequence = w->f.sequence, next = 0;
    w->f.sequence = h->sequence;
    rc code = resync(w, behind, &next, e);
    w->f.sequence = sequence;
    *ret = next == w->r->bytes;
    return code;
}

static void damaged(walk *w, uint64_t from, uint64_t to, uint64_t records, const char *what) {
    w->r->on_damage(w->r->ctx, from, to - from, records, what, NULL);
}

/* The last commit, at [at, end), has all its bytes and some are wrong. A process that is killed
 * leaves a shorter file; a power failure may leave this, and so may a bad disk. Whether it was
 * acknowledged cannot be known: it is not served (a commit is whole or none: its checkpoints speak
 * for its records), and it stays in the file, counted and named. Sealing such a journal disowns it:
 * the end record has the number and the chain that would have been its own. */
static void keep_end(walk *w, uint64_t at, uint64_t end, uint64_t records) {
    damaged(w, at, MIN(end, w->r->bytes), records,
            "the last commit is damaged; perhaps it was never acknowledged");
    w->f.end = end;
}

/* Is what follows `at`, without a header, no whole commit? The header is what is written first, so
 * a killed process never leaves more than a few bytes of that kind; a disk without power may leave
 * zeros. */
static rc is_torn(const walk *w, uint64_t at, bool *ret, err *e) {
    const journal_reader *r = w->r;
    *ret = true;
    if (r->bytes - at < COMMIT_HEADER_BYTES + ENTRY_BYTES) return RC_OK;
    while (at < r->bytes) {
        size_t n = (size_t)MIN(r->bytes - at, (uint64_t)SCAN_BYTES);
        rc code = format_read(r->fs, r->fd, at, w->piece, n, e);
        if (code) return code;
        if (w->piece[0] != 0 || memcmp(w->piece, w->piece + 1, n - 1) != 0) {
            *ret = false;
            return RC_OK;
        }
        at += n;
    }
    return RC_OK;
}

/* What is at `at` is no whole commit: skip to the next one, or it is the tail. With a good header
 * the commit's length is known, and nothing inside it is taken for a commit. */
static rc skip_bad(walk *w, uint64_t *at, const commit_header *h, err *e) {
    uint64_t next = w->r->bytes;
    rc code = RC_OK;
    if (h->bytes == 0)
        code = resync(w, *at + FORMAT_ALIGN, &next, e);
    else if (h->bytes < w->r->bytes - *at)
        code = resync(w, *at + h->bytes, &next, e);
    if (code) return code;
    if (next < w->r->bytes) {
        damaged(w, *at, next, h->records, "commits are damaged");
        w->chained = false;
        *at = next;
        return RC_OK;
    }
    if (h->bytes && h->bytes <= w->r->bytes - *at) {
        keep_end(w, *at, *at + h->bytes, h->records);
        *at += h->bytes;
        return RC_OK;
    }
    bool torn = h->bytes > 0;
    if (!torn) code = is_torn(w, *at, &torn, e);
    if (code) return code;
    if (torn) {
        w->f.torn_bytes = w->r->bytes - *at;
        w->f.torn_records = h->records;
    } else {
        keep_end(w, *at, format_padded(w->r->bytes), 0);
    }
    *at = w->r->bytes;
    return RC_OK;
}

static rc take_commit(walk *w, uint64_t *at, const commit_header *h, err *e) {
    const journal_reader *r = w->r;
    uint64_t behind = *at + h->bytes;
    if (w->chained && h->chain != w->f.chain)
        damaged(w, *at, *at + COMMIT_HEADER_BYTES, 0, "a commit before this one is missing");
    if (h->blocks == 0) {
        w->f.sealed = true;
    } else {
        rc code = RC_OK;
        bool last = false;
        if (r->bytes - behind <= COMMIT_HEADER_BYTES) /* cheap for all but the end of the file */
            code = is_last(w, behind, h, &last, e);
        if (!code && last) code = check_payloads(w, h, false, e);
        if (code == RC_CORRUPT) {
            keep_end(w, *at, behind, h->records);
            *at = behind;
            return RC_OK;
        }
        if (!code && r->check_all && !last) {
            code = check_payloads(w, h, true, e);
            if (code == RC_CORRUPT) code = RC_OK; /* told; the other blocks are served */
        }
        if (code) return code;
        r->on_commit(r->ctx, h, w->blocks);
        w->f.commits++;
    }
    w->f.sequence = h->sequence;
    w->f.chain = h->checksum;
    w->chained = true;
    w->f.end = *at = behind;
    return RC_OK;
}

static rc walk_file(walk *w, err *e) {
    uint64_t at = FILE_HEADER_BYTES;
    while (at < w->r->bytes) {
        commit_header h = {0};
        rc code = read_commit(w, at, &h, e);
        if (code == RC_OK && h.sequence <= w->f.sequence) { /* of another life of the file */
            code = RC_NOT_FOUND;
            h = (commit_header){0};
        }
        if (code == RC_OK)
            code = take_commit(w, &at, &h, e);
        else if (code == RC_NOT_FOUND || code == RC_CORRUPT)
            code = skip_bad(w, &at, &h, e);
        if (code) return code;
    }
    return RC_OK;
}

rc journal_read(const journal_reader *r, journal_found *ret, err *e) {
    walk w = {.r = r, .f = {.end = FILE_HEADER_BYTES}, .chained = true};
    if (r->bytes < FILE_HEADER_BYTES) { /* made, and the crash came before its header */
        *ret = (journal_found){.torn_bytes = r->bytes};
        return RC_OK;
    }
    char head[FILE_HEADER_BYTES];
    rc code = format_read(r->fs, r->fd, 0, head, sizeof head, e);
    if (!code) code = format_get_file_header(head, &w.f.header, &w.f.chain, e);
    bool bad_head = code == RC_CORRUPT;
    if (code && !bad_head) return code;
    w.chained = !bad_head;
    w.piece = mem_try_raw(SCAN_BYTES);
    w.directory = mem_try_raw(COMMIT_BLOCKS_MAX * (size_t)ENTRY_BYTES);
    w.blocks = mem_try_raw(COMMIT_BLOCKS_MAX * sizeof *w.blocks);
    if (!w.piece || !w.directory || !w.blocks)
        code = FAIL(e, RC_LIMIT, "no memory to read a journal");
    else
        code = walk_file(&w, e);
    mem_free(w.piece);
    mem_free(w.directory);
    mem_free(w.blocks);
    if (code) return code;
    /* Of a new file whose header did not reach the disk there are no commits either. */
    if (bad_head && w.f.commits)
        damaged(&w, 0, FILE_HEADER_BYTES, 0, "the file header is damaged; nothing is lost by it");
    if (w.f.sealed && w.f.torn_bytes) {
        damaged(&w, w.f.end, w.f.end + w.f.torn_bytes, w.f.torn_records,
                "bytes behind the end record");
        w.f.torn_bytes = 0;
    }
    *ret = w.f;
    return RC_OK;
}

rc journal_repair_tail(const sys_fs *fs, int fd, const journal_found *f, err *e) {
    MUST(!f->sealed && f->end >= FILE_HEADER_BYTES);
    rc code = f->torn_bytes ? fs->ops->truncate(fs->ctx, fd, f->end, e) : RC_OK;
    return code ? code : write_end(fs, fd, f->end, f->sequence, f->chain, e);
}
