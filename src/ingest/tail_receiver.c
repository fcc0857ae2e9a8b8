/* tail_receiver.c - growing files to the store, every complete line exactly once.
 *
 * Problem: files are appended to, renamed, truncated, deleted and made again, links are swapped,
 * all while this program may be killed at any instant.
 *
 * Where a file stands (tail_point.c) is stored in the commit that stores its records, so neither is
 * ever ahead of the other. What is read and not acknowledged is simply read again: the state of a
 * file is an offset, nothing of it is kept in memory between reads.
 *
 *     look   every LOOK_NS: which files are there (tail_find.c), who is new, where do paths lead
 * now poll   every POLL_MS: for each file that grew: pread at the offset, cut at a record boundary,
 *            parse (codec/logformat.h), put {records, checkpoints}
 *     ack    offset moves; refused for now (RC_AGAIN, RC_IO): the same is read again later
 *
 * One read of a file is under way at a time: two could be stored in part. READS_MAX files at once.
 *
 * Which file is it? An open descriptor answers while running. After a start the stored points do,
 * under two keys: the file's device and inode, and its path. A point counts only when the file
 * still holds what was read before its offset. A path that has a point, but leads to a file that no
 * point fits, was rotated while nobody looked: it is read from its start, and the files beside it
 * are searched for the one that was read, whose rest is read. Other files found at the first look
 * are read from their end unless from_start; files found later from their start.
 *
 *     renamed, deleted   the descriptor is read on until nothing came for OLD_NS
 *     truncated          shorter than the offset, or other bytes before it: begins anew (at 0)
 *     copied             a file found later that holds what another file held before its point: it
 *                        goes on from there (copytruncate's copy, when a pattern matches it)
 *
 * The last record of a file may still grow (a stack trace): it is handed out after IDLE_NS of
 * quiet. A line without its newline waits for it; only of a file that is renamed or deleted, and
 * quiet, is it handed out as it is.
 *
 * Format: found from the first 256 KB, looked at again when the file has grown GROWTH times from a
 * small sample.
 *
 * Limits: TAILS_MAX files (further ones wait for a place), a record of more than READ_BYTES_MAX is
 * handed out in parts, READS_MAX reads of READ_BYTES under way (one of READ_BYTES_MAX where a
 * record needs it). Polling, not inotify: inotify says nothing on network and overlay file systems,
 * has its own overflow to handle, and stat and fstat of 512 files five times a second are 0.3% of a
 * core. One thread; done is called on any. Source: own design; tests of logrotate(8) in all its
 * modes. */
#include "ingest/receiver.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "ingest/names_int.h"
#include "ingest/reader_int.h"
#include "ingest/tail_int.h"
#include "sys/thread.h"

enum {
    TAILS_MAX = 512,
    READS_MAX = 4,
    POLL_MS = 200,
    READ_BYTES = 512 << 10,
    READ_BYTES_MAX = 16 << 20,
    PAST_MAX = 256,
    GROWTH = 4,
    SMALL_SAMPLE = 64 << 10,
    KEY_BYTES = 440,
    HOLE_BYTES = 64 << 10,
};
#define LOOK_NS        ((int64_t)1000 * 1000 * 1000)
#define IDLE_NS        ((int64_t)1000 * 1000 * 1000)
#define OLD_NS         ((int64_t)5000 * 1000 * 1000)
#define RETRY_FIRST_NS ((int64_t)100 * 1000 * 1000)
#define RETRY_MAX_NS   ((int64_t)5000 * 1000 * 1000)

enum { TAILER_MAGIC = 0x5441494c };

typedef struct tailer tailer;

typedef struct tailed {
    tailer *w;
    char *path_bytes;
    str path, service;
    int fd;
    sys_stat st;      /* of the descriptor, as last seen */
    tail_point point; /* stored: everything before it is acknowledged */
    bool old;         /* its path leads elsewhere: read to its end, then closed */
    bool over;
    bool rotated; /* what was read under its path is to be searched */
    log_format *format;
    size_t sample_bytes; /* that the format was found in */
    size_t read_bytes;   /* wanted size of a read */
    int64_t moved_ns;    /* when it last grew (monotonic) */
    uint64_t seen_bytes; /* size and time of writing then */
    int64_t seen_mtime_ns;
    int64_t retry_at_ns, retry_ns;
    /* Of the read under way. */
    bool under_way, hungry; /* hungry: there may be more at once */
    tail_point next;
    uint64_t records, bytes;
    rc code;
} tailed;

struct tailer {
    receiver base;
    uint32_t magic;
    ingest_sink sink;
    sys_fs fs;
    sys_clock clock;
    arena mem; /* patterns */
    str *paths;
    size_t path_count;
    bool from_start;
    sys_thread *thread;
    sys_queue *mail; /* tailed whose read was answered; the tailer itself: stop */
    tailed *tails[TAILS_MAX];
    size_t count;
    unsigned under_way;
    bool looked, stopping;
    int64_t look_at_ns, poll_at_ns;
    size_t turn;               /* who is polled first: each in its turn */
    tail_point past[PAST_MAX]; /* points of truncated and closed files; a ring */
    size_t past_count;
    tail_found *found, *beside;
    atomic_uint_fast64_t requests, bytes, records, accepted, rejected, refused, unreadable, files;
};

#define COUNT(field, by) ((void)atomic_fetch_add_explicit(&(field), (by), memory_order_relaxed))

static tailer *self_of(const receiver *r) {
    tailer *w = (tailer *)(uintptr_t)r;
    MUST(w->magic == TAILER_MAGIC);
    return w;
}

static int64_t mono_now(const tailer *w) { return w->clock.ops->mono(w->clock.ctx).ns; }

/* ---- stored points ---- */

static str inode_key(const sys_stat *st, char out[KEY_BYTES]) {
    int n = snprintf(out, KEY_BYTES, "tail/inode/%" PRIu64 ":%" PRIu64, st->device, st->inode);
    return str_make(out, (size_t)n);
}

/* A path too long for a key is named by its hash. */
static str path_key(str path, char out[KEY_BYTES]) {
    int n = path.n < KEY_BYTES - 20
                ? snprintf(out, KEY_BYTES, "tail/path/%.*s", STR_ARG(path))
                : snprintf(out, KEY_BYTES, "tail/hash/%016" PRIx64, str_hash(path));
    return str_make(out, (size_t)n);
}

/* Enough bytes to know a file by them alone. */
static bool is_telling(const tail_point *p) {
    return p->head_n == POINT_HEAD_BYTES && p->tail_n == POINT_TAIL_BYTES;
}

/* Is there a point under this key, and does it fit the file? */
static bool stored_point(tailer *w, str key, int fd, const sys_stat *st, bool *ret_known,
                         tail_point *ret) {
    arena mem;
    arena_init(&mem, "checkpoint", 64 << 10);
    str text;
    tail_point p;
    bool known = w->sink.checkpoint(w->sink.ctx, key, &mem, &text) == RC_OK;
    bool fits = known && tail_point_read(text, &p) && p.offset <= st->size_bytes &&
                (p.inode == st->inode || is_telling(&p)) && tail_point_holds(&w->fs, fd, &p);
    arena_release(&mem);
    *ret_known = *ret_known || known;
    if (fits) *ret = p;
    return fits;
}

/* ---- files ---- */

static void remember(tailer *w, const tail_point *p) {
    if (p->offset > 0) w->past[w->past_count++ % PAST_MAX] = *p;
}

static void close_tailed(tailer *w, tailed *t) {
    if (!t) return;
    MUST(!t->under_way);
    remember(w, &t->point);
    if (t->fd >= 0) IGNORE(w->fs.ops->close(w->fs.ctx, t->fd, NULL)); /* read only */
    log_format_free(t->format);
    mem_free(t->path_bytes);
    mem_free(t);
    atomic_fetch_sub(&w->files, 1);
}

static void name_tailed(tailed *t, str path) {
    char *copy = mem_alloc(path.n + 1);
    memcpy(copy, path.p, path.n);
    mem_free(t->path_bytes);
    t->path_bytes = copy;
    t->path = str_make(copy, path.n);
    t->service = service_of_path(t->path);
    if (t->service.n == 0) t->service = stem_of_path(t->path);
}

static tailed *open_tailed(tailer *w, str path) {
    int fd = -1;
    sys_stat st;
    if (w->fs.ops->open(w->fs.ctx, path, SYS_READ, &fd, NULL) != RC_OK) {
        COUNT(w->unreadable, 1);
        return NULL;
    }
    if (w->fs.ops->fstat(w->fs.ctx, fd, &st, NULL) != RC_OK || !st.is_regular) {
        IGNORE(w->fs.ops->close(w->fs.ctx, fd, NULL)); /* read only */
        return NULL;
    }
    tailed *t = mem_new(tailed);
    t->w = w;
    t->fd = fd;
    t->st = st;
    t->seen_bytes = st.size_bytes;
    t->seen_mtime_ns = st.mtime_ns;
    t->moved_ns = mono_now(w);
    t->read_bytes = READ_BYTES;
    t->point = (tail_point){.line = 1, .device = st.device, .inode = st.inode};
    name_tailed(t, path);
    w->tails[w->count++] = t;
    atomic_fetch_add(&w->files, 1);
    return t;
}

static tailed *tailed_of(const tailer *w, const sys_stat *st) {
    for (size_t i = 0; i < w->count; i++)
        if (w->tails[i]->st.inode == st->inode && w->tails[i]->st.device == st->device)
            return w->tails[i];
    return NULL;
}

/* ---- a read ---- */

static void on_done(void *ctx, rc code, const err *e) {
    (void)e;
    tailed *t = ctx;
    t->code = code;
    rc r = sys_queue_push(t->w->mail, t);
    MUST(r == RC_OK); /* open as long as anything is under way, with a place for everyone */
}

/* Bytes of [offset, offset + n); fewer at the end of the file. */
static bool read_at(tailed *t, uint64_t offset, char *to, size_t n, size_t *ret_n) {
    const sys_fs *fs = &t->w->fs;
    size_t have = 0;
    while (have < n) {
        size_t got = 0;
        if (fs->ops->pread(fs->ctx, t->fd, to + have, n - have, offset + have, &got, NULL) != RC_OK)
            return false;
        if (got == 0) break;
        have += got;
    }
    *ret_n = have;
    return true;
}

/* Looks at the beginning of the file: for the first time, or again when it had little to show. */
static bool find_format(tailed *t) {
    bool again =
        t->format && t->sample_bytes < SMALL_SAMPLE && t->st.size_bytes >= t->sample_bytes * GROWTH;
    if (t->format && !again) return true;
    size_t cap = (size_t)MIN(t->st.size_bytes, (uint64_t)LOG_SAMPLE_BYTES), n = 0;
    char *bytes = mem_try_raw(cap + 1);
    if (!bytes || !read_at(t, 0, bytes, cap, &n)) {
        mem_free(bytes);
        return t->format != NULL;
    }
    size_t hole = 0;
    while (hole < n && bytes[hole] == '\0') hole++;
    str sample = str_make(bytes + hole, n - hole);
    log_format_opts o = {.zone_offset_s = sys_local_zone_s(), .file_time_ns = t->st.mtime_ns};
    log_format *found = NULL;
    bool text = not_a_log(sample) == NULL;
    if (text && log_format_detect(sample, &o, &found, NULL) == RC_OK) {
        log_format_free(t->format);
        t->format = found;
        t->sample_bytes = n;
    } else if (!t->format && sample.n > 0) {
        COUNT(t->w->unreadable, 1);
        t->retry_at_ns = mono_now(t->w) + 60 * LOOK_NS; /* it may be replaced by a log */
    }
    mem_free(bytes);
    return t->format != NULL;
}

/* How much of the text is to be parsed: up to the start of its last record, which may go on. */
static size_t cut_text(const tailed *t, str text, bool all_there) {
    size_t cut = log_format_boundary(t->format, text);
    if (!all_there) return cut;
    int64_t quiet = mono_now(t->w) - t->moved_ns;
    if (t->old && quiet >= OLD_NS) return text.n; /* nobody will write the rest */
    if (quiet < IDLE_NS) return cut;
    size_t nl = str_rfind_char(text, '\n');
    return nl == STR_NPOS ? 0 : nl + 1;
}

static uint64_t newlines(str s) { return count_newlines(s.p, s.n); }

static bool add_points(telemetry *t, tailed *f, const tail_point *p) {
    char text[POINT_TEXT_BYTES], key[KEY_BYTES];
    tail_checkpoint *c = arena_try_new_n(&t->mem, tail_checkpoint, 2);
    str data = str_dup(&t->mem, tail_point_text(p, text));
    if (!c || !data.p) return false;
    c[0] = (tail_checkpoint){.key = str_dup(&t->mem, inode_key(&f->st, key)), .data = data};
    c[1] = (tail_checkpoint){.key = str_dup(&t->mem, path_key(f->path, key)), .data = data};
    if (!c[0].key.p || !c[1].key.p) return false;
    t->checkpoints = c;
    t->checkpoint_count = f->old ? 1 : 2; /* the path belongs to another file by now */
    return true;
}

static void give(tailer *w, tailed *f, telemetry *t, const tail_point *next) {
    f->next = *next;
    f->records = t->logs.count;
    f->bytes = next->offset - f->point.offset;
    f->under_way = true;
    w->under_way++;
    COUNT(w->requests, 1);
    COUNT(w->bytes, f->bytes);
    COUNT(w->records, f->records);
    w->sink.put(w->sink.ctx, t, on_done, f);
}

/* A file that is read from its end is known from then on, whatever happens next. */
static void give_start(tailer *w, tailed *f, const tail_point *p) {
    telemetry *t = telemetry_new();
    t->arrival_ns = w->clock.ops->wall(w->clock.ctx).ns;
    bool ok = add_points(t, f, p);
    MUST(ok); /* a fresh arena */
    give(w, f, t, p);
}

/* Parses what fits a batch. False: nothing was given. */
static bool give_text(tailer *w, tailed *f, telemetry *t, size_t hole, size_t cut) {
    str text = str_make(t->body + hole, cut - hole);
    tail_point next = f->point;
    log_parse_stats stats = {.first_ns = TS_NONE, .last_ns = TS_NONE};
    size_t used = 0;
    err why = {0};
    rc r = text.n == 0 ? RC_OK
                       : log_format_parse(f->format, text, f->point.offset + hole, f->point.line,
                                          &t->logs, &stats, &used, &why);
    if (r != RC_OK || (used == 0 && text.n > 0)) { /* one line is more than a batch: left out */
        size_t nl = str_find_char(text, '\n', 0);
        used = nl == STR_NPOS ? text.n : nl + 1;
        log_batch_reset(&t->logs);
        COUNT(w->rejected, 1);
    }
    text = str_sub(text, 0, used);
    t->logs.text = text;
    t->logs.lines = newlines(text);
    t->logs.bytes = used;
    next.offset += hole + used;
    next.line += t->logs.lines;
    next.device = f->st.device;
    next.inode = f->st.inode;
    tail_source src = {.path = f->path, .service = f->service};
    if (tail_records_finish(t, &src, &why) != RC_OK ||
        tail_point_seal(&w->fs, f->fd, &next, &why) != RC_OK || !add_points(t, f, &next))
        return false;
    give(w, f, t, &next);
    return true;
}

static void read_tailed(tailer *w, tailed *f) {
    telemetry *t = telemetry_new();
    size_t n = 0;
    t->arrival_ns = w->clock.ops->wall(w->clock.ctx).ns;
    t->body = mem_try_raw(f->read_bytes);
    if (!t->body || !read_at(f, f->point.offset, t->body, f->read_bytes, &n)) {
        f->retry_at_ns = mono_now(w) + LOOK_NS;
        telemetry_free(t);
        return;
    }
    t->body_bytes = n;
    bool all_there = n < f->read_bytes;
    size_t hole = 0; /* NUL bytes where a writer that does not append goes on after a truncation */
    while (hole < n && t->body[hole] == '\0') hole++;
    if (f->point.offset == 0 && str_starts(str_make(t->body, n), S("\xef\xbb\xbf"))) hole = 3;
    size_t cut = hole + cut_text(f, str_make(t->body + hole, n - hole), all_there);
    if (cut == hole && !all_there) {
        if (hole >= HOLE_BYTES) { /* mostly nothing: pass over it */
            cut = hole;
        } else if (f->read_bytes < READ_BYTES_MAX) {
            f->read_bytes *= 2;
            telemetry_free(t);
            return;
        } else { /* one record fills it all */
            size_t nl = str_rfind_char(str_make(t->body, n), '\n');
            cut = nl == STR_NPOS || nl < hole ? n : nl + 1;
        }
    } else if (cut == hole) { /* nothing complete yet */
        telemetry_free(t);
        return;
    }
    if (!give_text(w, f, t, hole, cut)) telemetry_free(t);
}

/* ---- answers ---- */

static void settle(tailer *w, tailed *f) {
    MUST(f->under_way);
    f->under_way = false;
    w->under_way--;
    bool later =
        f->code == RC_AGAIN || f->code == RC_IO || f->code == RC_TIMEOUT || f->code == RC_CANCELLED;
    if (later) {
        COUNT(w->refused, f->records);
        f->retry_ns = f->retry_ns ? MIN(f->retry_ns * 2, RETRY_MAX_NS) : RETRY_FIRST_NS;
        f->retry_at_ns = mono_now(w) + f->retry_ns;
        return;
    }
    if (f->code == RC_OK)
        COUNT(w->accepted, f->records);
    else
        COUNT(w->rejected, f->records);
    f->retry_ns = 0;
    f->hungry = true;
    f->point = f->next;
    f->read_bytes = READ_BYTES;
}

/* ---- polling ---- */

/* The same descriptor, other content. */
static void begin_anew(tailer *w, tailed *f) {
    remember(w, &f->point);
    f->point = (tail_point){.line = 1, .device = f->st.device, .inode = f->st.inode};
    log_format_free(f->format);
    f->format = NULL;
    f->retry_at_ns = 0;
}

static void poll_tailed(tailer *w, tailed *f) {
    int64_t now = mono_now(w);
    f->hungry = false;
    if (f->under_way || now < f->retry_at_ns) return;
    if (w->fs.ops->fstat(w->fs.ctx, f->fd, &f->st, NULL) != RC_OK) {
        f->retry_at_ns = now + LOOK_NS;
        return;
    }
    uint64_t size = f->st.size_bytes;
    bool touched = size != f->seen_bytes || f->st.mtime_ns != f->seen_mtime_ns;
    if (touched) f->moved_ns = now;
    f->seen_bytes = size;
    f->seen_mtime_ns = f->st.mtime_ns;
    if (size < f->point.offset || (touched && size == f->point.offset && size > 0 &&
                                   !tail_point_holds(&w->fs, f->fd, &f->point)))
        begin_anew(w, f);
    f->hungry = size > f->point.offset && w->under_way >= READS_MAX;
    if (size > f->point.offset && w->under_way < READS_MAX) {
        if (f->point.offset > 0 && !tail_point_holds(&w->fs, f->fd, &f->point)) begin_anew(w, f);
        if (find_format(f)) read_tailed(w, f);
    }
    /* With a stuck sink the rest of an old file waits with its descriptor. */
    bool rest = size > f->point.offset && f->format;
    if (f->old && !f->under_way && !rest && now - f->moved_ns >= OLD_NS) f->over = true;
}

/* ---- looking ---- */

/* It is a copy of what was read up to p. */
static void place_behind(tailer *w, tailed *f, const tail_point *p) {
    if (p->offset <= f->st.size_bytes && p->offset > f->point.offset && is_telling(p) &&
        tail_point_holds(&w->fs, f->fd, p))
        f->point = *p;
}

/* Where a file found just now is read from. True: what was read under its path is elsewhere. */
static bool place(tailer *w, tailed *f, bool first_look) {
    char key[KEY_BYTES];
    bool known = false, ignored = false;
    tail_point p;
    if (stored_point(w, inode_key(&f->st, key), f->fd, &f->st, &ignored, &p) ||
        stored_point(w, path_key(f->path, key), f->fd, &f->st, &known, &p)) {
        f->point = p;
        return false;
    }
    for (size_t i = 0; i < MIN(w->past_count, (size_t)PAST_MAX); i++)
        place_behind(w, f, &w->past[i]);
    for (size_t i = 0; i < w->count; i++)
        if (w->tails[i] != f) place_behind(w, f, &w->tails[i]->point);
    if (f->point.offset > 0 || known || !first_look || w->from_start || f->st.size_bytes == 0)
        return known;
    /* From its end: behind the last newline, so that a line being written now is whole. */
    tail_point end = {.offset = f->st.size_bytes, .line = 1};
    char bytes[4096];
    while (end.offset > 0) {
        size_t n = (size_t)MIN(end.offset, (uint64_t)sizeof bytes), got = 0;
        if (!read_at(f, end.offset - n, bytes, n, &got) || got < n) return false;
        size_t nl = str_rfind_char(str_make(bytes, n), '\n');
        end.offset = nl == STR_NPOS ? end.offset - n : end.offset - n + nl + 1;
        if (nl != STR_NPOS) break;
    }
    end.device = f->st.device;
    end.inode = f->st.inode;
    if (tail_point_seal(&w->fs, f->fd, &end, NULL) == RC_OK) {
        f->point = end; /* stored or not */
        give_start(w, f, &end);
    }
    return false;
}

/* The file that was read under this path may lie beside it under another name. */
static void find_rotated(tailer *w, str path) {
    tail_find_siblings(&w->fs, path, w->beside);
    for (size_t i = 0; i < w->beside->count && w->count < TAILS_MAX; i++) {
        str beside = w->beside->file[i].path;
        if (str_eq(beside, path) || tailed_of(w, &w->beside->file[i].st)) continue;
        char key[KEY_BYTES];
        tailed *f = open_tailed(w, beside);
        if (!f) continue;
        f->old = true;
        bool known = false;
        f->over = !stored_point(w, inode_key(&f->st, key), f->fd, &f->st, &known, &f->point);
    }
}

/* A tailed file's path leads elsewhere, or it is called otherwise now. */
static void check_path(tailer *w, tailed *f) {
    sys_stat here;
    if (f->old || f->over) return;
    bool there = w->fs.ops->stat(w->fs.ctx, f->path, &here, NULL) == RC_OK && here.is_regular;
    if (there && here.inode == f->st.inode && here.device == f->st.device) return;
    f->old = true;
    f->moved_ns = mono_now(w);
}

static void look(tailer *w) {
    bool first = !w->looked;
    w->looked = true;
    for (size_t i = 0; i < w->count; i++) check_path(w, w->tails[i]);
    tail_find(&w->fs, w->paths, w->path_count, w->found);
    for (size_t i = 0; i < w->found->count; i++) {
        str path = w->found->file[i].path;
        tailed *f = tailed_of(w, &w->found->file[i].st);
        if (f && f->old && !f->under_way) { /* renamed to what a pattern matches too: goes on */
            name_tailed(f, path);
            f->old = f->over = false;
        }
        if (f || w->count >= TAILS_MAX) continue;
        f = open_tailed(w, path);
        if (f && !(tailed_of(w, &f->st) == f)) f->over = true; /* met while it was being renamed */
        if (f && !f->over) f->rotated = place(w, f, first);
    }
    for (size_t i = 0; i < w->count; i++) { /* those beside it may be tailed on their own */
        if (!w->tails[i]->rotated) continue;
        w->tails[i]->rotated = false;
        find_rotated(w, w->tails[i]->path);
    }
}

/* ---- the thread ---- */

static void close_over(tailer *w) {
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        tailed *f = w->tails[i];
        if (f->over && !f->under_way)
            close_tailed(w, f);
        else
            w->tails[kept++] = f;
    }
    w->count = kept;
}

static void take_mail(tailer *w, void *item) {
    if (item == w)
        w->stopping = true;
    else
        settle(w, item);
}

/* Between rounds only those that are known to have more are polled. */
static void poll_all(tailer *w, bool round) {
    w->turn++;
    for (size_t i = 0; i < w->count; i++) {
        tailed *f = w->tails[(i + w->turn) % w->count];
        if (round || f->hungry) poll_tailed(w, f);
    }
}

static void run(void *ctx) {
    tailer *w = ctx;
    bool quiet = true;
    while (!w->stopping || w->under_way > 0) {
        int64_t now = mono_now(w);
        if (!w->stopping && now >= w->look_at_ns) {
            look(w);
            w->look_at_ns = now + LOOK_NS;
        }
        if (!w->stopping) {
            bool round = quiet || now >= w->poll_at_ns;
            if (round) w->poll_at_ns = now + (int64_t)POLL_MS * 1000000;
            poll_all(w, round);
            close_over(w);
        }
        void *item;
        rc r = sys_queue_pop_wait(w->mail, POLL_MS, &item);
        quiet = r != RC_OK;
        while (r == RC_OK) {
            take_mail(w, item);
            r = sys_queue_depth(w->mail) > 0 ? sys_queue_pop(w->mail, &item) : RC_AGAIN;
        }
        MUST(r != RC_END);
    }
}

/* ---- the receiver ---- */

static rc receiver_start(receiver *r, err *e) {
    tailer *w = self_of(r);
    MUST(!w->thread);
    return sys_thread_start("tail", run, w, &w->thread, e);
}

static void receiver_stop(receiver *r) {
    tailer *w = self_of(r);
    if (!w->thread) return;
    rc code = sys_queue_push(w->mail, w);
    MUST(code == RC_OK);
    sys_thread_join(w->thread);
    w->thread = NULL;
}

static void receiver_count(const receiver *r, receiver_counts *ret) {
    const tailer *w = self_of(r);
    *ret = (receiver_counts){.requests = w->requests,
                             .bytes = w->bytes,
                             .records = w->records,
                             .accepted = w->accepted,
                             .rejected = w->rejected,
                             .refused = w->refused,
                             .invalid_requests = w->unreadable};
}

static void receiver_free(receiver *r) {
    if (!r) return;
    tailer *w = self_of(r);
    receiver_stop(r);
    for (size_t i = 0; i < w->count; i++) close_tailed(w, w->tails[i]);
    sys_queue_free(w->mail);
    tail_found_release(w->found);
    tail_found_release(w->beside);
    mem_free(w->found);
    mem_free(w->beside);
    mem_free(w->paths);
    arena_release(&w->mem);
    w->magic = 0;
    mem_free(w);
}

static const receiver_ops TAIL_OPS = {.name = "tail",
                                      .start = receiver_start,
                                      .stop = receiver_stop,
                                      .count = receiver_count,
                                      .free = receiver_free};

rc tail_receiver_new(const tail_opts *o, const ingest_sink *sink, receiver **ret, err *e) {
    tailer *w = mem_new(tailer);
    w->base.ops = &TAIL_OPS;
    w->magic = TAILER_MAGIC;
    w->sink = *sink;
    w->fs = o->fs ? *o->fs : SYS_FS_REAL;
    w->clock = o->clock ? *o->clock : SYS_CLOCK_REAL;
    w->from_start = o->from_start;
    w->mail = sys_queue_new(TAILS_MAX + 2);
    arena_init(&w->mem, "tail paths", 8 << 20);
    w->found = mem_new(tail_found);
    w->beside = mem_new(tail_found);
    tail_found_init(w->found);
    tail_found_init(w->beside);
    w->paths = mem_new_n(str, o->path_count);
    for (size_t i = 0; i < o->path_count; i++) {
        w->paths[i] = str_dup(&w->mem, o->paths[i]);
        if (w->paths[i].p && w->paths[i].n > 0) continue;
        receiver_free(&w->base);
        return FAIL(e, RC_INVALID, "tail: a path is empty, or all of them are too long");
    }
    w->path_count = o->path_count;
    *ret = &w->base;
    return RC_OK;
}
