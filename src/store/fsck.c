/* fsck.c - verifies everything, names what is damaged, and repairs on request.
 *
 * Of each file: its own structure (headers, chain, directory), the checksum of every payload, and
 * every block as its signal verifies it (each part, each column, counts). Files are taken from the
 * list, so a running store can be verified: what is compacted meanwhile stays open here. A folder
 * is listed besides, for what is not in the list: files that cannot be read, inputs that a crash
 * left over, files that compaction set aside (.damaged), strangers.
 *
 * Repair rewrites a file with damage as a segment of its range without the damaged blocks, and
 * removes what is left over or was set aside. Torn tails are cut by opening the store already. */
#include "base/mem.h"
#include "store/embedded_int.h"

enum { FINDINGS_MAX = 10000, NAMES_MAX = FILES_MAX };

typedef struct checked {
    partition *part;
    store_file *file;
    file_path path;
    uint64_t bytes;
    bool open, damaged;
} checked;

typedef struct run {
    embedded *s;
    bool repair;
    void (*fn)(void *ctx, const fsck_finding *f);
    void *ctx;
    void (*progress)(void *ctx, uint64_t bytes, uint64_t total);
    uint64_t done, total, found;
    VEC(checked) files;
    /* Of the file at hand: */
    checked *now;
    VEC(block_entry) blocks;
    VEC(block_entry) bad;
    arena mem;
    VEC(fsck_finding) findings; /* texts in mem */
} run;

static void find(run *r, str file, uint64_t offset, uint64_t bytes, uint64_t records,
                 const char *what) {
    if (r->findings.n == FINDINGS_MAX) return;
    vec_push(&r->findings, (fsck_finding){.file = str_dup(&r->mem, file),
                                          .offset = offset,
                                          .bytes = bytes,
                                          .what = str_dup(&r->mem, str_c(what)),
                                          .records_lost = records});
}

/* Tells what was found in the file at hand, and forgets it. */
static void tell(run *r, bool repaired) {
    for (size_t i = 0; i < r->findings.n; i++) {
        r->findings.v[i].repaired = repaired;
        r->fn(r->ctx, &r->findings.v[i]);
    }
    r->found += r->findings.n;
    r->findings.n = 0;
    arena_reset(&r->mem);
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes, uint64_t records,
                      const char *what, const block_entry *bad) {
    run *r = ctx;
    r->now->damaged = true;
    if (bad) vec_push(&r->bad, *bad);
    find(r, path_str(&r->now->path), offset, bytes, records, what);
}

static void on_block(void *ctx, const block_entry *b) {
    run *r = ctx;
    vec_push(&r->blocks, *b);
}

static void on_commit(void *ctx, const commit_header *h, const block_entry *blocks) {
    for (uint32_t i = 0; i < h->blocks; i++) on_block(ctx, &blocks[i]);
}

static bool is_bad(const run *r, const block_entry *b) {
    for (size_t i = 0; i < r->bad.n; i++)
        if (r->bad.v[i].offset == b->offset) return true;
    return false;
}

static rc verify_blocks(run *r, err *e) {
    for (size_t i = 0; i < r->blocks.n; i++) {
        const block_entry *b = &r->blocks.v[i];
        const block_ops *ops = embedded_block_ops(b->info.kind);
        if (!ops || !ops->verify || is_bad(r, b)) continue;
        file_io f = {r->s->fs, r->now->file->fd, *b};
        block_io io = file_io_of(&f, 0);
        err why = {0};
        rc code = ops->verify(&io, &b->info, &why);
        if (code == RC_CORRUPT || code == RC_IO) {
            on_damage(r, b->offset, b->info.bytes, b->info.rows, why.msg, NULL);
        } else if (code) {
            if (e) *e = why;
            return code;
        }
    }
    return RC_OK;
}

static rc read_journal(run *r, err *e) {
    journal_reader reader = {.fs = r->s->fs,
                             .fd = r->now->file->fd,
                             .bytes = r->now->bytes,
                             .check_all = true,
                             .on_commit = on_commit,
                             .on_damage = on_damage,
                             .ctx = r};
    journal_found found;
    rc code = journal_read(&reader, &found, e);
    if (!code && found.torn_bytes)
        on_damage(r, found.end, found.torn_bytes, 0,
                  "the tail of a commit that was never acknowledged; opening for writing cuts it",
                  NULL);
    return code;
}

static rc read_segment(run *r, err *e) {
    segment_reader reader = {.fs = r->s->fs,
                             .fd = r->now->file->fd,
                             .bytes = r->now->bytes,
                             .check_all = true,
                             .on_block = on_block,
                             .on_damage = on_damage,
                             .ctx = r};
    file_header header;
    return segment_read(&reader, &header, e);
}

/* Rewrites the file at hand without its damage. */
static rc repair_file(run *r, bool *ret_done, err *e) {
    embedded *s = r->s;
    static const volatile int never = 0;
    store_file *file = r->now->file;
    *ret_done = false;
    sys_lock_take(s->job_lock);
    sys_lock_take(s->list.lock);
    bool there = false; /* still what the list has */
    for (size_t p = 0; p < s->list.parts.n && !there; p++)
        for (size_t f = 0; f < s->list.parts.v[p]->files.n && !there; f++)
            if (s->list.parts.v[p]->files.v[f] == file && !file->open) {
                there = true;
                r->now->part = s->list.parts.v[p];
            }
    sys_lock_give(s->list.lock);
    rc code = RC_OK;
    if (there) {
        code = compact_files(s,
                             &(compact_job){.part = r->now->part,
                                            .in = &file,
                                            .count = 1,
                                            .urgent = true,
                                            .copy = true,
                                            .verify = true,
                                            .drop_damaged = true,
                                            .cancel = &never},
                             e);
        *ret_done = code == RC_OK;
    }
    sys_lock_give(s->job_lock);
    return code;
}

static rc check_file(run *r, checked *c, err *e) {
    r->now = c;
    r->blocks.n = r->bad.n = 0;
    rc code = RC_OK;
    err why = {0};
    if (c->file->fd < 0)
        on_damage(r, 0, c->bytes, 0, "the file cannot be opened or read", NULL);
    else
        code = c->file->kind == FILE_JOURNAL ? read_journal(r, &why) : read_segment(r, &why);
    if (code == RC_IO || code == RC_CORRUPT || code == RC_UNSUPPORTED) {
        on_damage(r, 0, c->bytes, 0, why.msg, NULL);
        code = RC_OK;
    }
    if (!code) code = verify_blocks(r, &why);
    bool repaired = false;
    if (!code && c->damaged && r->repair && c->file->fd >= 0)
        code = repair_file(r, &repaired, &why);
    tell(r, repaired);
    if (code && e) *e = why;
    r->done += c->bytes;
    if (r->progress) r->progress(r->ctx, r->done, r->total);
    return code;
}

/* ---- folders ---- */

typedef struct names {
    arena mem;
    VEC(str) v;
} names;

static void see(void *ctx, str name) {
    names *n = ctx;
    str own = str_dup(&n->mem, name);
    if (own.p && n->v.n < NAMES_MAX) vec_push(&n->v, own);
}

/* Under the list's lock. */
static bool is_listed(const partition *p, file_kind kind, uint64_t first, uint64_t last) {
    for (size_t i = 0; i < p->files.n; i++) {
        const store_file *f = p->files.v[i];
        if (f->kind == kind && f->first == first && f->last == last) return true;
    }
    return false;
}

static const char *what_of_name(run *r, str day, str name, bool *ret_ours) {
    file_kind kind;
    uint64_t first, last;
    *ret_ours = true;
    if (str_ends(name, S(".tmp"))) return "left over from a write that did not end";
    if (str_ends(name, S(".damaged")))
        return "set aside by compaction because of damage; what could be read of it is stored";
    if (format_parse_name(name, &kind, &first, &last)) {
        sys_lock_take(r->s->list.lock);
        const partition *p = catalog_find(&r->s->list, day);
        bool fine = !p || p->busy || is_listed(p, kind, first, last);
        sys_lock_give(r->s->list.lock);
        return fine ? NULL : "left over: a segment stands for it, or it holds nothing";
    }
    *ret_ours = false;
    return "not a file of the store";
}

static void check_name(run *r, str day, str dir, str name) {
    bool ours;
    const char *what = what_of_name(r, day, name, &ours);
    if (!what) return;
    file_path path = path_join(dir, name);
    sys_stat st = {0};
    const sys_fs *fs = r->s->fs;
    if (fs->ops->stat(fs->ctx, path_str(&path), &st, NULL) != RC_OK) return; /* gone meanwhile */
    find(r, path_str(&path), 0, st.size_bytes, 0, what);
    bool gone = false;
    if (r->repair && ours && !st.is_dir)
        gone = fs->ops->unlink(fs->ctx, path_str(&path), NULL) == RC_OK; /* told by `repaired` */
    tell(r, gone);
}

static void check_folder(run *r, str day, bool cold) {
    embedded *s = r->s;
    file_path dir = path_join(cold ? s->list.cold_dir : s->list.hot_dir, day);
    names n = {0};
    arena_init(&n.mem, "names", 64 << 20);
    /* With the jobs held up, so that what compaction is just writing is not taken for left over. */
    sys_lock_take(s->job_lock);
    if (s->fs->ops->list(s->fs->ctx, path_str(&dir), see, &n, NULL) == RC_OK)
        for (size_t i = 0; i < n.v.n; i++) check_name(r, day, path_str(&dir), n.v.v[i]);
    sys_lock_give(s->job_lock);
    vec_release(&n.v);
    arena_release(&n.mem);
}

/* ---- all ---- */

static void take_files(run *r) {
    embedded *s = r->s;
    sys_lock_take(s->list.lock);
    for (size_t p = 0; p < s->list.parts.n; p++) {
        partition *part = s->list.parts.v[p];
        file_path dir = partition_dir(&s->list, part);
        for (size_t f = 0; f < part->files.n; f++) {
            store_file *file = part->files.v[f];
            char name[FILE_NAME_BYTES];
            vec_push(&r->files, (checked){.part = part,
                                          .file = file_ref(file),
                                          .path = path_join(path_str(&dir),
                                                            format_name(name, file->kind,
                                                                        file->first, file->last)),
                                          .bytes = file->bytes,
                                          .open = file->open});
            r->total += file->bytes;
        }
    }
    sys_lock_give(s->list.lock);
}

typedef struct day_name {
    char day[DAY_NAME_BYTES];
    bool cold;
} day_name;

static void check_folders(run *r) {
    VEC(day_name) days = {0};
    sys_lock_take(r->s->list.lock);
    for (size_t p = 0; p < r->s->list.parts.n; p++) {
        day_name d = {.cold = r->s->list.parts.v[p]->cold};
        memcpy(d.day, r->s->list.parts.v[p]->day, sizeof d.day);
        vec_push(&days, d);
    }
    sys_lock_give(r->s->list.lock);
    for (size_t i = 0; i < days.n; i++) check_folder(r, str_c(days.v[i].day), days.v[i].cold);
    vec_release(&days);
}

rc fsck_run(store *base, bool repair, void (*fn)(void *ctx, const fsck_finding *f), void *ctx,
            void (*progress)(void *ctx, uint64_t bytes, uint64_t total), err *e) {
    embedded *s = embedded_of(base);
    if (repair && s->opts.read_only)
        return FAIL(e, RC_UNSUPPORTED, "the store is open for reading only: nothing is repaired");
    run r = {.s = s, .repair = repair, .fn = fn, .ctx = ctx, .progress = progress};
    arena_init(&r.mem, "fsck", 64 << 20);
    if (repair) writer_seal(s);
    take_files(&r);
    rc code = RC_OK;
    for (size_t i = 0; i < r.files.n; i++) {
        if (!code) code = check_file(&r, &r.files.v[i], e);
        file_unref(r.files.v[i].file);
    }
    if (!code) check_folders(&r);
    if (!code && r.found) code = FAIL(e, RC_CORRUPT, "%" PRIu64 " places are damaged", r.found);
    vec_release(&r.files);
    vec_release(&r.blocks);
    vec_release(&r.bad);
    vec_release(&r.findings);
    arena_release(&r.mem);
    return code;
}
