/* embedded.c - the engine on this machine's files: open, close, statistics, and the ops table.
 *
 * Opening reads the folders, drops what a crash left over (.tmp files, inputs of a segment that is
 * in place, journals without a commit), reads footers and commit headers into the list, cuts the
 * torn tail of journals that were not sealed, and starts the threads. Damage is counted and told,
 * never a reason not to open. Read only, nothing at all is written: leftovers are looked past. */
#include "store/embedded_int.h"

#include "base/mem.h"

enum {
    EMBEDDED_MAGIC = 0x53544f52,
    DAMAGED_MAX = 10000, /* blocks that are counted once each; beyond: no longer */
    DAY_FILES_MAX = FILES_MAX,
    LIST_TRIES = 100,
};

static const struct {
    uint32_t hot_days, cold_days, journal_age_s;
    uint64_t min_free_bytes, journal_bytes, backlog_bytes, queue_bytes, cache_bytes;
} DEFAULTS = {30, 90, 60, 1 << 30, 64 << 20, 1 << 30, 64 << 20, 32 << 20};

embedded *embedded_of(store *s) {
    embedded *m = (embedded *)(void *)s;
    MUST(m && m->magic == EMBEDDED_MAGIC);
    return m;
}

block_cache *store_block_cache(store *s) { return embedded_of(s)->cache; }

const block_ops *embedded_block_ops(unsigned kind) {
    static const block_ops *const OPS[BLOCK_KINDS] = {
        [BLOCK_LOGS] = &LOG_BLOCKS,       [BLOCK_SPANS] = &SPAN_BLOCKS,
        [BLOCK_METRICS] = &METRIC_BLOCKS, [BLOCK_PROFILES] = &PROFILE_BLOCKS,
        [BLOCK_EDGES] = &EDGE_BLOCKS,     [BLOCK_CHECKPOINTS] = &CHECKPOINT_BLOCKS};
    return kind < BLOCK_KINDS ? OPS[kind] : NULL;
}

/* ---- what is told ---- */

void embedded_event(embedded *s, const char *event, const char *fmt, ...) {
    if (!s->opts.on_event) return;
    char text[600];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    MUST(n >= 0);
    s->opts.on_event(s->opts.on_event_ctx, event, str_make(text, MIN((size_t)n, sizeof text - 1)));
}

static void keep_error(embedded *s, const char *what) {
    sys_lock_take(s->note_lock);
    IGNORE(snprintf(s->last_error, sizeof s->last_error, "%.199s", what) < 0); /* cut is fine */
    sys_lock_give(s->note_lock);
}

void embedded_trouble(embedded *s, const char *event, const err *e) {
    keep_error(s, e->msg);
    embedded_event(s, event, "%s", e->msg);
}

void embedded_damaged(embedded *s, uint64_t block_id, const char *what) {
    sys_lock_take(s->note_lock);
    bool counted = false;
    for (size_t i = 0; block_id && i < s->damaged.n; i++) counted |= s->damaged.v[i] == block_id;
    if (!counted && block_id && s->damaged.n < DAMAGED_MAX) vec_push(&s->damaged, block_id);
    sys_lock_give(s->note_lock);
    if (counted) return;
    atomic_fetch_add(&s->damaged_blocks, 1);
    keep_error(s, what);
    embedded_event(s, "damage", "%s", what);
}

/* ---- loading a partition ---- */

typedef struct found_file {
    file_kind kind;
    uint64_t first, last;
    bool superseded;
} found_file;

typedef struct folder {
    embedded *s;
    arena mem;
    VEC(found_file) files;
    VEC(str) leftovers; /* .tmp */
    rc code;
    bool changed; /* a file was gone when it was to be opened: somebody else works here */
} folder;

static void see_name(void *ctx, str name) {
    folder *d = ctx;
    found_file f = {0};
    if (d->files.n + d->leftovers.n >= DAY_FILES_MAX) {
        d->code = RC_LIMIT;
    } else if (format_parse_name(name, &f.kind, &f.first, &f.last)) {
        vec_push(&d->files, f);
    } else if (str_ends(name, S(".segment.tmp"))) {
        str own = str_dup(&d->mem, name);
        if (own.p) vec_push(&d->leftovers, own);
    } /* .damaged and strangers stay: fsck names them */
}

/* A larger range, or the same range in a segment, stands for this one. */
static bool covers(const found_file *by, const found_file *f) {
    if (by == f || by->kind != FILE_SEGMENT) return false;
    if (by->first > f->first || by->last < f->last) return false;
    return by->first != f->first || by->last != f->last || f->kind == FILE_JOURNAL;
}

static void mark_superseded(folder *d) {
    for (size_t i = 0; i < d->files.n; i++)
        for (size_t j = 0; j < d->files.n && !d->files.v[i].superseded; j++)
            d->files.v[i].superseded = covers(&d->files.v[j], &d->files.v[i]);
}

typedef struct load {
    embedded *s;
    store_file *file;
    str path;
    uint64_t damages;
} load;

static void load_commit(void *ctx, const commit_header *h, const block_entry *blocks) {
    load *l = ctx;
    catalog_add_blocks(&l->s->list, l->file, blocks, h->blocks);
}
static void load_block(void *ctx, const block_entry *b) {
    load *l = ctx;
    catalog_add_blocks(&l->s->list, l->file, b, 1);
}
static void load_damage(void *ctx, uint64_t offset, uint64_t bytes, uint64_t records,
                        const char *what, const block_entry *bad) {
    (void)bad;
    load *l = ctx;
    char text[400];
    IGNORE(snprintf(text, sizeof text,
                    "%.*s: %s, at %" PRIu64 ", %" PRIu64 " bytes, %" PRIu64 " records",
                    STR_ARG(str_sub(l->path, l->path.n - MIN(l->path.n, (size_t)200), 200)), what,
                    offset, bytes, records) < 0); /* cut is fine */
    l->damages++;
    l->file->damaged = true;
    embedded_damaged(l->s, 0, text);
}

static rc open_file(embedded *s, str path, file_kind kind, uint64_t first, uint64_t last,
                    store_file **ret, err *e) {
    int fd;
    rc code = s->fs->ops->open(s->fs->ctx, path, SYS_READ, &fd, e);
    if (code) return code;
    sys_stat st;
    code = s->fs->ops->fstat(s->fs->ctx, fd, &st, e);
    if (code) {
        IGNORE(s->fs->ops->close(s->fs->ctx, fd, NULL)); /* was open for reading */
        return code;
    }
    *ret = file_new(s->fs, fd, kind, first, last);
    (*ret)->bytes = st.size_bytes;
    return RC_OK;
}

rc embedded_load_segment(embedded *s, str dir, str name, uint64_t first, uint64_t last,
                         store_file **ret, err *e) {
    file_path path = path_join(dir, name);
    store_file *f;
    rc code = open_file(s, path_str(&path), FILE_SEGMENT, first, last, &f, e);
    if (code) return code;
    load l = {.s = s, .file = f, .path = path_str(&path)};
    file_header header;
    segment_reader r = {.fs = s->fs,
                        .fd = f->fd,
                        .bytes = f->bytes,
                        .on_block = load_block,
                        .on_damage = load_damage,
                        .ctx = &l};
    code = segment_read(&r, &header, e);
    if (code) {
        file_unref(f);
        return code;
    }
    *ret = f;
    return RC_OK;
}

/* Seals a journal that a crash left open; the file's size is then another. */
static void seal_journal(embedded *s, str path, store_file *f, const journal_found *found) {
    err e = {0};
    int fd;
    rc code = s->fs->ops->open(s->fs->ctx, path, SYS_READ_WRITE, &fd, &e);
    if (!code) {
        code = journal_repair_tail(s->fs, fd, found, &e);
        IGNORE(s->fs->ops->close(s->fs->ctx, fd, NULL)); /* synced, or told below */
    }
    sys_stat st;
    if (s->fs->ops->fstat(s->fs->ctx, f->fd, &st, NULL) == RC_OK) f->bytes = st.size_bytes;
    /* No loss: what counts is read; the next start tries again. */
    if (code) embedded_trouble(s, "journal_not_sealed", &e);
    if (found->torn_bytes)
        embedded_event(s, "journal_tail_cut",
                       "%.*s: %" PRIu64 " bytes of a commit that was never acknowledged, %" PRIu64
                       " records",
                       STR_ARG(path), found->torn_bytes, found->torn_records);
}

/* *ret NULL: an empty journal, which was removed. */
static rc load_journal(embedded *s, str dir, const found_file *ff, store_file **ret, err *e) {
    char name[FILE_NAME_BYTES];
    file_path path = path_join(dir, format_name(name, FILE_JOURNAL, ff->first, ff->last));
    store_file *f;
    rc code = open_file(s, path_str(&path), FILE_JOURNAL, ff->first, ff->last, &f, e);
    if (code) return code;
    load l = {.s = s, .file = f, .path = path_str(&path)};
    journal_reader r = {.fs = s->fs,
                        .fd = f->fd,
                        .bytes = f->bytes,
                        .on_commit = load_commit,
                        .on_damage = load_damage,
                        .ctx = &l};
    journal_found found;
    code = journal_read(&r, &found, e);
    if (code) {
        file_unref(f);
        return code;
    }
    *ret = f;
    if (s->opts.read_only) return RC_OK;
    if (found.commits == 0 && l.damages == 0) {
        file_unref(f);
        *ret = NULL;
        IGNORE(s->fs->ops->unlink(s->fs->ctx, path_str(&path), NULL)); /* the next start again */
    } else if (!found.sealed) {
        seal_journal(s, path_str(&path), f, &found);
    }
    return RC_OK;
}

static rc load_file(embedded *s, str dir, const found_file *ff, store_file **ret, err *e) {
    *ret = NULL;
    if (ff->kind == FILE_JOURNAL) return load_journal(s, dir, ff, ret, e);
    char name[FILE_NAME_BYTES];
    str file = format_name(name, FILE_SEGMENT, ff->first, ff->last);
    return embedded_load_segment(s, dir, file, ff->first, ff->last, ret, e);
}

static void drop_file(embedded *s, str dir, str name) {
    file_path path = path_join(dir, name);
    err e = {0};
    /* Left over, it is superseded again at the next start. */
    if (s->fs->ops->unlink(s->fs->ctx, path_str(&path), &e)) embedded_trouble(s, "leftover", &e);
}

/* One that cannot be read keeps its place in the list. */
static rc load_or_mark(embedded *s, partition *p, folder *d, str dir, const found_file *ff,
                       err *e) {
    store_file *f = NULL;
    err why = {0};
    rc code = load_file(s, dir, ff, &f, &why);
    if (code == RC_NOT_FOUND && s->opts.read_only) {
        d->changed = true; /* compacted just now */
        return RC_OK;
    }
    if (code == RC_IO || code == RC_NOT_FOUND || code == RC_CORRUPT) {
        embedded_damaged(s, 0, why.msg);
        f = file_new(s->fs, -1, ff->kind, ff->first, ff->last);
    } else if (code) {
        if (e) *e = why;
        return err_wrap(e, code, "\"%.*s\"", STR_ARG(dir));
    }
    if (f) partition_add(p, f);
    return RC_OK;
}

/* A whole segment of the list stands for it. */
static bool is_replaced(const partition *p, const found_file *ff) {
    for (size_t i = 0; i < p->files.n; i++) {
        const store_file *f = p->files.v[i];
        found_file by = {f->kind, f->first, f->last, false};
        if (f->fd >= 0 && !f->damaged && covers(&by, ff)) return true;
    }
    return false;
}

static rc load_files(embedded *s, partition *p, folder *d, str dir, err *e) {
    for (size_t i = 0; i < d->leftovers.n && !s->opts.read_only; i++)
        drop_file(s, dir, d->leftovers.v[i]);
    for (size_t i = 0; i < d->files.n; i++) {
        const found_file *ff = &d->files.v[i];
        p->next_number = MAX(p->next_number, ff->last + 1);
        rc code = ff->superseded ? RC_OK : load_or_mark(s, p, d, dir, ff, e);
        if (code) return code;
    }
    bool any = false;
    for (size_t i = 0; i < d->files.n; i++) any |= d->files.v[i].superseded;
    if (!any || s->opts.read_only) return RC_OK;
    /* The segment's name first: the process may have been killed before it was durable. */
    rc code = sys_sync_dir(s->fs, dir, e);
    if (code) return code;
    for (size_t i = 0; i < d->files.n; i++) {
        const found_file *ff = &d->files.v[i];
        char name[FILE_NAME_BYTES];
        /* Of a damaged segment the inputs stay on disk, for a person to look at. */
        if (ff->superseded && is_replaced(p, ff))
            drop_file(s, dir, format_name(name, ff->kind, ff->first, ff->last));
    }
    return RC_OK;
}

static rc load_once(embedded *s, str day, bool cold, bool *ret_changed, err *e) {
    folder d = {.s = s};
    arena_init(&d.mem, "folder", 64 << 20);
    file_path dir = path_join(cold ? s->list.cold_dir : s->list.hot_dir, day);
    rc code = s->fs->ops->list(s->fs->ctx, path_str(&dir), see_name, &d, e);
    if (!code && d.code)
        code = FAIL(e, RC_LIMIT, "too many files in \"%.*s\"", STR_ARG(path_str(&dir)));
    sys_lock_take(s->list.lock);
    partition *p = code ? NULL : catalog_partition(&s->list, day, cold);
    if (p) {
        p->ready = true;
        mark_superseded(&d);
        code = load_files(s, p, &d, path_str(&dir), e);
    } else if (!code) {
        code = FAIL(e, RC_LIMIT, "more than %d partitions", PARTITIONS_MAX);
    }
    sys_lock_give(s->list.lock);
    *ret_changed = d.changed;
    vec_release(&d.files);
    vec_release(&d.leftovers);
    arena_release(&d.mem);
    return code;
}

static void forget_partition(embedded *s, str day) {
    sys_lock_take(s->list.lock);
    partition *p = catalog_find(&s->list, day);
    if (p) catalog_remove_partition(&s->list, p);
    sys_lock_give(s->list.lock);
}

/* Beside a process that writes (read only), files may go between listing and opening: what they
 * held is then in another one, so the folder is listed again. */
static rc load_partition(embedded *s, str day, bool cold, err *e) {
    bool changed = false;
    rc code = load_once(s, day, cold, &changed, e);
    for (unsigned i = 0; changed && i < LIST_TRIES; i++) {
        forget_partition(s, day);
        code = load_once(s, day, cold, &changed, e);
    }
    return code;
}

typedef struct days {
    arena *mem;
    VEC(str) v;
} days;

static void see_day(void *ctx, str name) {
    days *d = ctx;
    int64_t start;
    if (!format_parse_day(name, &start) || d->v.n == PARTITIONS_MAX) return;
    vec_push(&d->v, str_dup(d->mem, name));
}

static bool known_day(embedded *s, str day, bool *ret_cold) {
    sys_lock_take(s->list.lock);
    const partition *p = catalog_find(&s->list, day);
    *ret_cold = p && p->cold;
    sys_lock_give(s->list.lock);
    return p != NULL;
}

/* A partition is moved to cold by copying it there whole and then removing it here: one that is in
 * both was copied, and the removal did not end. */
static void drop_moved(embedded *s, str day) {
    folder d = {.s = s};
    arena_init(&d.mem, "folder", 64 << 20);
    file_path hot = path_join(s->list.hot_dir, day), cold = path_join(s->list.cold_dir, day);
    if (s->fs->ops->list(s->fs->ctx, path_str(&hot), see_name, &d, NULL) == RC_OK) {
        for (size_t i = 0; i < d.files.n; i++) {
            const found_file *ff = &d.files.v[i];
            char name[FILE_NAME_BYTES];
            str file = format_name(name, ff->kind, ff->first, ff->last);
            file_path there = path_join(path_str(&cold), file);
            sys_stat st;
            if (s->fs->ops->stat(s->fs->ctx, path_str(&there), &st, NULL) == RC_OK)
                drop_file(s, path_str(&hot), file);
        }
        IGNORE(s->fs->ops->rmdir(s->fs->ctx, path_str(&hot), NULL)); /* something else is in it */
    }
    vec_release(&d.files);
    vec_release(&d.leftovers);
    arena_release(&d.mem);
}

static rc load_dir(embedded *s, bool cold, err *e) {
    days d = {.mem = &s->mem};
    str dir = cold ? s->list.cold_dir : s->list.hot_dir;
    rc code = s->fs->ops->list(s->fs->ctx, dir, see_day, &d, e);
    if (code == RC_NOT_FOUND) code = RC_OK; /* nothing yet */
    for (size_t i = 0; !code && i < d.v.n; i++) {
        bool is_cold, known = known_day(s, d.v.v[i], &is_cold);
        if (known && cold && !is_cold) { /* moved beside us: what is there is complete */
            forget_partition(s, d.v.v[i]);
            known = false;
        }
        if (!known) {
            code = load_partition(s, d.v.v[i], cold, e);
            if (code == RC_NOT_FOUND) code = RC_OK; /* moved or expired beside us */
        } else if (!s->opts.read_only) {
            drop_moved(s, d.v.v[i]);
        }
    }
    vec_release(&d.v);
    return code;
}

/* ---- open and close ---- */

static rc take_lock(embedded *s, err *e) {
    file_path path = path_join(s->opts.dir, S("lock"));
    rc code = s->fs->ops->open(s->fs->ctx, path_str(&path), SYS_READ_WRITE, &s->lock_fd, e);
    if (code) {
        s->lock_fd = -1;
        return code;
    }
    code = s->fs->ops->lock(s->fs->ctx, s->lock_fd, e);
    return code ? err_wrap(e, code, "\"%.*s\"", STR_ARG(s->opts.dir)) : RC_OK;
}

static str parent_of(str path) {
    size_t slash = str_rfind_char(path, '/');
    return slash == STR_NPOS ? S(".") : slash == 0 ? S("/") : str_sub(path, 0, slash);
}

/* The folder and every missing one above it, durable in their parents: a synced file in a folder
 * whose name is lost is lost. */
rc embedded_make_dirs(embedded *s, str dir, err *e) {
    for (size_t i = 1; i <= dir.n; i++) {
        if (i < dir.n && dir.p[i] != '/') continue;
        str part = str_sub(dir, 0, i);
        sys_stat st;
        if (i < dir.n && s->fs->ops->stat(s->fs->ctx, part, &st, NULL) == RC_OK) continue;
        rc code = s->fs->ops->mkdir(s->fs->ctx, part, e);
        if (!code) code = sys_sync_dir(s->fs, parent_of(part), e);
        if (code) return code;
    }
    return RC_OK;
}

static rc prepare_dirs(embedded *s, err *e) {
    rc code = embedded_make_dirs(s, s->opts.dir, e);
    if (!code) code = take_lock(s, e);
    if (!code) code = embedded_make_dirs(s, s->list.hot_dir, e);
    /* Folders of days that a killed process made and did not sync. */
    if (!code) code = sys_sync_dir(s->fs, s->list.hot_dir, e);
    return code;
}

static void fill_opts(embedded *s, const store_opts *opts) {
    store_opts *o = &s->opts;
    *o = *opts;
    o->dir = str_dup(&s->mem, opts->dir);
    if (!o->hot_days) o->hot_days = DEFAULTS.hot_days;
    if (!o->cold_days) o->cold_days = DEFAULTS.cold_days;
    if (!o->journal_bytes) o->journal_bytes = DEFAULTS.journal_bytes;
    if (!o->journal_age_s) o->journal_age_s = DEFAULTS.journal_age_s;
    if (!o->compaction_backlog_bytes) o->compaction_backlog_bytes = DEFAULTS.backlog_bytes;
    if (!o->queue_bytes) o->queue_bytes = DEFAULTS.queue_bytes;
    if (!o->cache_bytes) o->cache_bytes = DEFAULTS.cache_bytes;
    str cold = opts->cold_dir.n ? str_dup(&s->mem, opts->cold_dir)
                                : str_fmt(&s->mem, "%.*s/cold", STR_ARG(o->dir));
    o->cold_dir = cold;
    s->fs = opts->fs ? opts->fs : &SYS_FS_REAL;
    s->clock = opts->clock ? opts->clock : &SYS_CLOCK_REAL;
    catalog_init(&s->list, s->fs, str_fmt(&s->mem, "%.*s/hot", STR_ARG(o->dir)), cold);
}

/* The default of min_free_bytes needs the disk. */
static void fill_min_free(embedded *s) {
    uint64_t total = 0, free_bytes = 0;
    if (s->opts.min_free_bytes) return;
    s->opts.min_free_bytes = DEFAULTS.min_free_bytes;
    if (s->fs->ops->space(s->fs->ctx, s->opts.dir, &total, &free_bytes, NULL) == RC_OK)
        s->opts.min_free_bytes = MIN(s->opts.min_free_bytes, total / 100);
}

static void embedded_close(store *base) {
    embedded *s = embedded_of(base);
    compactor_stop(s); /* it asks the writer; the writer wakes it, so it is freed last */
    writer_stop(s);
    compactor_free(s);
    pool_free(s->pool);
    MUST(atomic_load(&s->readers) == 0); /* snapshots are released before */
    block_cache_free(s->cache);
    catalog_release(&s->list);
    if (s->lock_fd >= 0)
        IGNORE(s->fs->ops->close(s->fs->ctx, s->lock_fd, NULL)); /* gives the lock back */
    sys_lock_free(s->note_lock);
    sys_lock_free(s->job_lock);
    vec_release(&s->damaged);
    arena_release(&s->mem);
    s->magic = 0;
    mem_free(s);
}

/* ---- statistics ---- */

static void add_block_stats(store_signal_stats *to, const block_info *info, bool in_journal) {
    to->records += info->rows;
    to->blocks++;
    to->bytes_on_disk += info->bytes;
    to->raw_bytes += info->raw_bytes;
    if (in_journal) to->records_journal += info->rows;
    if (info->rows == 0) return;
    if (to->first_ns == TS_NONE || info->min_ts_ns < to->first_ns) to->first_ns = info->min_ts_ns;
    if (to->last_ns == TS_NONE || info->max_ts_ns > to->last_ns) to->last_ns = info->max_ts_ns;
}

/* SIGNAL_COUNT: of no signal. */
static unsigned signal_of(unsigned kind) {
    switch (kind) {
    case BLOCK_LOGS:
        return SIGNAL_LOGS;
    case BLOCK_SPANS:
        return SIGNAL_SPANS;
    case BLOCK_METRICS:
        return SIGNAL_METRICS;
    case BLOCK_PROFILES:
        return SIGNAL_PROFILES;
    default:
        return SIGNAL_COUNT;
    }
}

static void list_stats(embedded *s, store_stats *ret) {
    for (unsigned i = 0; i < SIGNAL_COUNT; i++)
        ret->signal[i].first_ns = ret->signal[i].last_ns = TS_NONE;
    sys_lock_take(s->list.lock);
    for (size_t p = 0; p < s->list.parts.n; p++) {
        const partition *part = s->list.parts.v[p];
        for (size_t f = 0; f < part->files.n; f++) {
            const store_file *file = part->files.v[f];
            ret->disk_bytes += file->bytes;
            if (file->kind == FILE_JOURNAL && !file->open)
                ret->compaction_backlog_bytes += file->bytes;
            for (size_t b = 0; b < file->blocks.n; b++) {
                const block_info *info = &file->blocks.v[b].e.info;
                unsigned signal = signal_of(info->kind);
                if (signal == SIGNAL_COUNT) continue;
                add_block_stats(&ret->signal[signal], info, file->kind == FILE_JOURNAL);
                /* block.h: metrics keep their count of series there */
                if (signal == SIGNAL_METRICS)
                    ret->signal[signal].series = MAX(ret->signal[signal].series, info->severities);
            }
        }
    }
    sys_lock_give(s->list.lock);
}

static void embedded_stats(store *base, store_stats *ret) {
    embedded *s = embedded_of(base);
    *ret = (store_stats){0};
    list_stats(s, ret);
    ret->appended = atomic_load(&s->appended);
    ret->acknowledged = atomic_load(&s->acknowledged);
    ret->failed = atomic_load(&s->failed);
    ret->refused = atomic_load(&s->refused);
    ret->commits = atomic_load(&s->commits);
    ret->syncs = atomic_load(&s->syncs);
    ret->commit_bytes = atomic_load(&s->commit_bytes);
    ret->compactions = atomic_load(&s->compactions);
    ret->expired_partitions = atomic_load(&s->expired_partitions);
    ret->damaged_blocks = atomic_load(&s->damaged_blocks);
    ret->disk_full = atomic_load(&s->disk_full);
    ret->read_only = s->opts.read_only;
    ret->cache_bytes = block_cache_bytes(s->cache);
    uint64_t total;
    if (s->fs->ops->space(s->fs->ctx, s->opts.dir, &total, &ret->disk_free_bytes, NULL) != RC_OK)
        ret->disk_free_bytes = 0; /* unknown */
    writer_stats(s, ret);
    sys_lock_take(s->note_lock);
    memcpy(ret->last_error, s->last_error, sizeof ret->last_error);
    sys_lock_give(s->note_lock);
}

static rc fill_partition(embedded *s, const partition *p, arena *out, store_partition *to) {
    file_path dir = partition_dir(&s->list, p);
    *to = (store_partition){.name = str_dup(out, str_c(p->day)),
                            .path = str_dup(out, path_str(&dir)),
                            .cold = p->cold,
                            .files = p->files.n,
                            .first_ns = TS_NONE,
                            .last_ns = TS_NONE};
    if (!to->name.p || !to->path.p) return RC_LIMIT;
    store_signal_stats all = {.first_ns = TS_NONE, .last_ns = TS_NONE};
    for (size_t f = 0; f < p->files.n; f++) {
        const store_file *file = p->files.v[f];
        to->bytes += file->bytes;
        to->open |= file->open;
        for (size_t b = 0; b < file->blocks.n; b++) {
            const block_info *info = &file->blocks.v[b].e.info;
            unsigned signal = signal_of(info->kind);
            if (signal == SIGNAL_COUNT) continue;
            to->records[signal] += info->rows;
            add_block_stats(&all, info, false);
        }
    }
    to->first_ns = all.first_ns;
    to->last_ns = all.last_ns;
    return RC_OK;
}

static rc embedded_partitions(store *base, arena *out, const store_partition **ret,
                              size_t *ret_count, err *e) {
    embedded *s = embedded_of(base);
    sys_lock_take(s->list.lock);
    size_t count = s->list.parts.n;
    store_partition *v = arena_try_new_n(out, store_partition, count + 1);
    rc code = v ? RC_OK : RC_LIMIT;
    for (size_t i = 0; !code && i < count; i++)
        code = fill_partition(s, s->list.parts.v[i], out, &v[i]);
    sys_lock_give(s->list.lock);
    if (code) return FAIL(e, code, "no memory for a list of %zu partitions", count);
    *ret = v;
    *ret_count = count;
    return RC_OK;
}

/* ---- the ops table ---- */

static rc embedded_labels(store *s, signal_kind signal, str label, const select_common *q,
                          store_name_sink sink, void *ctx, select_stats *stats, err *e) {
    switch (signal) {
    case SIGNAL_LOGS:
        return logs_labels(s, label, q, sink, ctx, stats, e);
    case SIGNAL_SPANS:
        return spans_labels(s, label, q, sink, ctx, stats, e);
    case SIGNAL_METRICS:
        return metrics_labels(s, label, q, sink, ctx, stats, e);
    case SIGNAL_PROFILES:
        return profiles_labels(s, label, q, sink, ctx, stats, e);
    case SIGNAL_COUNT:
        break;
    }
    return FAIL(e, RC_INVALID, "there is no signal %d", (int)signal);
}

static const store_ops EMBEDDED_OPS = {
    .name = "embedded",
    .append = writer_append,
    .logs = logs_select,
    .count_logs = logs_count,
    .spans = spans_select,
    .edges = edges_select,
    .metrics = metrics_select,
    .profiles = profiles_select,
    .labels = embedded_labels,
    .checkpoint = checkpoint_find,
    .stats = embedded_stats,
    .partitions = embedded_partitions,
    .compact = compactor_run,
    .fsck = fsck_run,
    .close = embedded_close,
};

static rc open_all(embedded *s, err *e) {
    rc code = s->opts.read_only ? RC_OK : prepare_dirs(s, e);
    sys_stat st;
    if (!code && s->opts.read_only) {
        code = s->fs->ops->stat(s->fs->ctx, s->opts.dir, &st, e);
        if (!code && !st.is_dir)
            code = FAIL(e, RC_INVALID, "\"%.*s\" is no directory", STR_ARG(s->opts.dir));
    }
    /* Cold first: what is there is complete. */
    if (!code) code = load_dir(s, true, e);
    if (!code) code = load_dir(s, false, e);
    /* What a process that writes moved since. */
    if (!code && s->opts.read_only) code = load_dir(s, true, e);
    if (!code) fill_min_free(s);
    if (!code && !s->opts.read_only) code = writer_start(s, e);
    if (!code && !s->opts.read_only) code = compactor_start(s, e);
    return code;
}

rc store_open(const store_opts *opts, store **ret, err *e) {
    if (opts->dir.n == 0 || opts->dir.n > DIR_BYTES_MAX || opts->cold_dir.n > DIR_BYTES_MAX)
        return FAIL(e, RC_INVALID, "the data directory's name is empty or longer than %d bytes",
                    DIR_BYTES_MAX);
    embedded *s = mem_new(embedded);
    s->base.ops = &EMBEDDED_OPS;
    s->magic = EMBEDDED_MAGIC;
    s->lock_fd = -1;
    arena_init(&s->mem, "store", 16 << 20);
    s->note_lock = sys_lock_new("store notes");
    s->job_lock = sys_lock_new("store jobs");
    fill_opts(s, opts);
    s->cache = block_cache_new((size_t)s->opts.cache_bytes);
    s->pool = pool_new();
    rc code = open_all(s, e);
    if (code) {
        embedded_close(&s->base);
        return code;
    }
    *ret = &s->base;
    return RC_OK;
}
