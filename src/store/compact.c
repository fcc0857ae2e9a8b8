/* compact.c - journals and small segments become large segments, in the background.
 *
 * A pass takes files of one partition that are neighbours by number, merges their blocks kind by
 * kind (block_ops.merge, memory bounded by MERGE_BYTES) into a segment that covers their range, and
 * swaps it for them in the list. Only neighbours: the name of the result states a range, and
 * everything in that range is what it stands for (store inv. 4).
 *
 * What is merged when:
 *
 * - Journals: all closed ones side by side, up to PASS_BYTES, when it is quiet (writer_is_quiet) or
 *   more than compaction_backlog_bytes or BACKLOG_BLOCKS wait.
 *
 * - Segments: TIER_FILES or more of similar size side by side (a tier is a factor of four), so a
 *   record is written again about log4(day / first segment) times.
 *
 * - When the day is over: all neighbours up to PASS_BYTES at once.
 *
 * Blocks that are large already are copied as they are, byte for byte; so are those that cannot be
 * merged (beyond a limit, or of a newer version).
 *
 * Every block is checked before it is merged. A damaged one costs itself: the others are merged,
 * and the file that holds it gets a second name that ends in .damaged before it is removed, which
 * fsck names. The link is durable before the segment is in place, so a crash cannot lose it.
 *
 * The thread runs at nice +10, gives way to readers between blocks, and stops within a block at
 * close. A failure (a full disk) leaves everything as it was; it tries again after RETRY_NS. */
#include "base/mem.h"
#include "store/embedded_int.h"

enum {
    MERGE_BYTES = 48 << 20,
    PASS_BYTES = 512 << 20,
    SMALL_BYTES = 256 << 20, /* segments beyond are left alone */
    PASS_FILES = 512,
    TIER_FILES = 8,
    IO_TRIES = 5,
    BACKLOG_BLOCKS = 24576, /* of journals: beyond, it waits for no quiet moment either */
    COMMANDS = 64,
    TICK_MS = 1000,
    YIELD_MS = 5,
    YIELD_MAX_MS = 100,
};
#define SECOND_NS       INT64_C(1000000000)
#define DAY_NS          (86400 * SECOND_NS)
#define RETRY_NS        (30 * SECOND_NS)
#define DAY_OVER_NS     (600 * SECOND_NS) /* after midnight */
#define RETENTION_NS    (60 * SECOND_NS)
#define CLOCK_JUMP_NS   (3600 * SECOND_NS)
#define CLOCK_SETTLE_NS (600 * SECOND_NS)

typedef struct command {
    const volatile int *cancel;
    sys_queue *done;
    rc code;
    err e;
} command;

struct compactor {
    embedded *s;
    sys_thread *thread;
    sys_queue *commands; /* a command, or the compactor itself: look again */
    volatile int stop;
    /* The thread's own: */
    int64_t retry_ns, retention_ns; /* monotonic: not before */
    int64_t clock_offset, clock_since_ns;
};

static int64_t mono(const embedded *s) { return s->clock->ops->mono(s->clock->ctx).ns; }
static int64_t wall(const embedded *s) { return s->clock->ops->wall(s->clock->ctx).ns; }

/* ---- one pass ---- */

typedef struct input {
    file_io io;
    uint64_t id;
    size_t file; /* index in pass.in */
    bool bad;
} input;

typedef struct pass {
    embedded *s;
    const compact_job *job;
    file_path dir;
    VEC(input) blocks;
    VEC(block_io) ios;     /* of one merge */
    VEC(block_info) infos; /* likewise */
    VEC(size_t) from;      /* likewise: index in blocks */
    segment_writer out;
    bool damaged[PASS_FILES];
} pass;

static void mark_bad(pass *p, input *b, const err *why) {
    b->bad = true;
    p->damaged[b->file] = true;
    embedded_damaged(p->s, b->id, why->msg);
}

/* Sees to readers and to the wish to stop. */
static rc may_go_on(pass *p, err *e) {
    embedded *s = p->s;
    for (int ms = 0; !p->job->urgent && atomic_load(&s->readers) && ms < YIELD_MAX_MS;
         ms += YIELD_MS) {
        if (store_cancelled(p->job->cancel)) break;
        s->clock->ops->sleep(s->clock->ctx, YIELD_MS * (SECOND_NS / 1000));
    }
    return store_cancelled(p->job->cancel) ? FAIL(e, RC_CANCELLED, "compaction was cancelled")
                                           : RC_OK;
}

static rc put_merged(void *ctx, const block_info *info, str payload, err *e) {
    pass *p = ctx;
    rc code = may_go_on(p, e);
    return code ? code : segment_put(&p->out, info, payload, e);
}

/* What cannot be read now may be read later: only after IO_TRIES passes it counts as damaged. */
static bool is_lost(store_file *f, rc code) {
    return code == RC_CORRUPT || (code == RC_IO && ++f->io_failures >= IO_TRIES);
}

static rc gather(pass *p, err *e) {
    for (size_t i = 0; i < p->job->count; i++) {
        store_file *f = p->job->in[i];
        p->damaged[i] = f->damaged;
        for (size_t b = 0; b < f->blocks.n; b++) {
            rc code = may_go_on(p, e);
            if (code) return code;
            input in = {.io = {.fs = f->fs, .fd = f->fd, .e = f->blocks.v[b].e},
                        .id = f->blocks.v[b].id,
                        .file = i};
            err why = {0};
            code = format_check_payload(f->fs, f->fd, &in.io.e, &why);
            const block_ops *ops = embedded_block_ops(in.io.e.info.kind);
            if (!code && p->job->verify && ops && ops->verify) {
                block_io io = file_io_of(&in.io, in.id);
                code = ops->verify(&io, &in.io.e.info, &why);
            }
            if (code && is_lost(f, code)) {
                mark_bad(p, &in, &why);
            } else if (code) {
                if (e) *e = why;
                return code;
            }
            vec_push(&p->blocks, in);
        }
    }
    return RC_OK;
}

static rc copy_block(pass *p, const input *b, err *e) {
    const block_entry *from = &b->io.e;
    char *payload = mem_try_raw(from->info.bytes);
    if (!payload) return FAIL(e, RC_LIMIT, "no memory to copy a block");
    rc code = format_read(b->io.fs, b->io.fd, from->offset, payload, from->info.bytes, e);
    if (!code && format_checksum(payload, from->info.bytes) != from->checksum)
        code = FAIL(e, RC_IO, "a block changed while it was copied");
    if (!code) code = put_merged(p, &from->info, str_make(payload, from->info.bytes), e);
    mem_free(payload);
    return code;
}

static bool is_large(const block_ops *ops, const block_info *info) {
    uint32_t rows = ops->large_rows ? ops->large_rows : BLOCK_ROWS_MAX / 2;
    return info->level > 0 && info->rows >= rows;
}

/* The merge of what is in p->from; a block that turns out damaged is left out and the rest merged
 * again. */
static rc merge_blocks(pass *p, const block_ops *ops, err *e) {
    size_t before = p->out.blocks.n;
    for (;;) {
        p->ios.n = p->infos.n = 0;
        size_t kept = 0;
        for (size_t i = 0; i < p->from.n; i++) {
            input *b = &p->blocks.v[p->from.v[i]];
            if (b->bad) continue;
            p->from.v[kept++] = p->from.v[i];
            vec_push(&p->ios, file_io_of(&b->io, b->id));
            vec_push(&p->infos, b->io.e.info);
        }
        p->from.n = kept;
        if (kept == 0) return RC_OK;
        size_t bad = SIZE_MAX;
        err why = {0};
        rc code = ops->merge(p->ios.v, p->infos.v, kept, MERGE_BYTES, put_merged, p, p->job->cancel,
                             &bad, &why);
        if (code != RC_CORRUPT || bad >= kept) {
            if (code && e) *e = why;
            return code;
        }
        segment_rewind(&p->out, before);
        mark_bad(p, &p->blocks.v[p->from.v[bad]], &why);
    }
}

static rc merge_kind(pass *p, unsigned kind, err *e) {
    const block_ops *ops = embedded_block_ops(kind);
    bool merge = ops && ops->merge && !p->job->copy;
    p->from.n = 0;
    size_t small_merged = 0;
    for (size_t i = 0; i < p->blocks.n; i++) {
        const input *b = &p->blocks.v[i];
        if (b->bad || b->io.e.info.kind != kind) continue;
        if (merge && !is_large(ops, &b->io.e.info)) {
            small_merged += b->io.e.info.level > 0;
            vec_push(&p->from, i);
            continue;
        }
        rc code = copy_block(p, b, e);
        if (code) return code;
    }
    if (p->from.n == 0) return RC_OK;
    if (p->from.n == 1 && small_merged == 1) return copy_block(p, &p->blocks.v[p->from.v[0]], e);
    size_t before = p->out.blocks.n;
    err why = {0};
    rc code = merge_blocks(p, ops, &why);
    if (code == RC_LIMIT || code == RC_UNSUPPORTED) {
        /* Beyond a limit together: they go on as they are, rather than stopping all that is behind
         * them for good. */
        embedded_trouble(p->s, "blocks_not_merged", &why);
        segment_rewind(&p->out, before);
        code = RC_OK;
        for (size_t i = 0; !code && i < p->from.n; i++)
            code = copy_block(p, &p->blocks.v[p->from.v[i]], &why);
    }
    if (code && e) *e = why;
    return code;
}

static file_path file_path_of(const pass *p, const store_file *f) {
    char name[FILE_NAME_BYTES];
    return path_join(path_str(&p->dir), format_name(name, f->kind, f->first, f->last));
}

/* Files with damage keep a name. */
static rc keep_damaged(pass *p, err *e) {
    bool any = false;
    for (size_t i = 0; i < p->job->count; i++) {
        if (!p->damaged[i] || p->job->drop_damaged) continue;
        file_path path = file_path_of(p, p->job->in[i]), kept = path;
        int n = snprintf(kept.c, sizeof kept.c, "%.*s.damaged", STR_ARG(path_str(&path)));
        MUST(n > 0 && (size_t)n < sizeof kept.c);
        kept.n = (size_t)n;
        rc code = p->s->fs->ops->link(p->s->fs->ctx, path_str(&path), path_str(&kept), e);
        if (code && code != RC_EXISTS) return code;
        any = true;
        embedded_event(p->s, "file_set_aside", "%.*s", STR_ARG(path_str(&kept)));
    }
    return any ? sys_sync_dir(p->s->fs, path_str(&p->dir), e) : RC_OK;
}

static bool same_name(const store_file *f, const segment_writer *w) {
    return f->kind == FILE_SEGMENT && f->first == w->first && f->last == w->last;
}

/* The segment is on disk: it takes the place of its inputs. */
static rc swap_in(pass *p, err *e) {
    embedded *s = p->s;
    char name[FILE_NAME_BYTES];
    str file = format_name(name, FILE_SEGMENT, p->out.first, p->out.last);
    file_path path = path_join(path_str(&p->dir), file);
    int fd;
    rc code = s->fs->ops->open(s->fs->ctx, path_str(&path), SYS_READ, &fd, e);
    if (code) return code;
    store_file *f = file_new(s->fs, fd, FILE_SEGMENT, p->out.first, p->out.last);
    f->bytes = p->out.end;
    sys_lock_take(s->list.lock);
    catalog_add_blocks(&s->list, f, p->out.blocks.v, p->out.blocks.n);
    for (size_t i = 0; i < p->job->count; i++)
        partition_remove(p->job->part, p->job->in[i]); /* the job has references of its own */
    partition_add(p->job->part, f);
    sys_lock_give(s->list.lock);
    for (size_t i = 0; i < p->job->count; i++) {
        if (same_name(p->job->in[i], &p->out)) continue; /* the rename replaced it */
        path = file_path_of(p, p->job->in[i]);
        err why = {0};
        /* Left over it is superseded: the next start removes it. */
        if (s->fs->ops->unlink(s->fs->ctx, path_str(&path), &why))
            embedded_trouble(s, "leftover", &why);
    }
    return RC_OK;
}

static rc run_pass(pass *p, err *e) {
    const compact_job *job = p->job;
    embedded *s = p->s;
    sys_lock_take(s->list.lock);
    p->dir = partition_dir(&s->list, job->part);
    sys_lock_give(s->list.lock);
    rc code = gather(p, e);
    if (code) return code;
    code = segment_create(s->fs, path_str(&p->dir), job->in[0]->first,
                          job->in[job->count - 1]->last, wall(s), &p->out, e);
    if (code) return code;
    bool kinds[256] = {0};
    for (size_t i = 0; i < p->blocks.n; i++) kinds[p->blocks.v[i].io.e.info.kind] = true;
    for (unsigned kind = 1; !code && kind < ARRAY_LEN(kinds); kind++)
        if (kinds[kind]) code = merge_kind(p, kind, e);
    if (!code) code = may_go_on(p, e);
    if (!code) code = keep_damaged(p, e);
    if (!code) code = segment_finish(&p->out, e);
    if (!code) code = swap_in(p, e);
    segment_drop(&p->out);
    return code;
}

rc compact_files(embedded *s, const compact_job *job, err *e) {
    MUST(job->count > 0 && job->count <= PASS_FILES && sys_lock_held(s->job_lock));
    pass *p = mem_new(pass);
    p->s = s;
    p->job = job;
    p->out.fd = -1;
    uint64_t bytes = 0;
    for (size_t i = 0; i < job->count; i++) bytes += job->in[i]->bytes;
    rc code = run_pass(p, e);
    if (!code) {
        atomic_fetch_add(&s->compactions, 1);
        embedded_event(s, "compacted", "%s: %zu files of %" PRIu64 " bytes to %" PRIu64 " bytes",
                       job->part->day, job->count, bytes, p->out.end);
    }
    vec_release(&p->blocks);
    vec_release(&p->ios);
    vec_release(&p->infos);
    vec_release(&p->from);
    mem_free(p);
    return code;
}

/* ---- what to merge ---- */

typedef enum pick_mode { PICK_TIERS, PICK_ALL } pick_mode;

typedef struct choice {
    partition *p;
    size_t from, count;
} choice;

static bool is_eligible(const store_file *f) {
    return !f->open && f->fd >= 0 && (f->kind == FILE_JOURNAL || f->bytes <= SMALL_BYTES);
}

static unsigned tier_of(const store_file *f) {
    unsigned tier = 0;
    for (uint64_t bytes = f->bytes >> 20; bytes; bytes >>= 2) tier++;
    return tier;
}

/* The first run of files from `at` on that `fits` takes, within the limits of a pass. */
static bool next_run(const partition *p, size_t *at, choice *ret,
                     bool (*fits)(const store_file *f, unsigned tier), unsigned tier) {
    while (*at < p->files.n && !fits(p->files.v[*at], tier)) ++*at;
    size_t from = *at;
    uint64_t bytes = 0;
    while (*at < p->files.n && *at - from < PASS_FILES && fits(p->files.v[*at], tier)) {
        bytes += p->files.v[*at]->bytes;
        if (*at > from && bytes > PASS_BYTES) break;
        ++*at;
    }
    ret->from = from;
    ret->count = *at - from;
    return ret->count > 0;
}

static bool fits_journal(const store_file *f, unsigned tier) {
    (void)tier;
    return f->kind == FILE_JOURNAL && is_eligible(f);
}
static bool fits_tier(const store_file *f, unsigned tier) {
    return f->kind == FILE_SEGMENT && is_eligible(f) && tier_of(f) <= tier;
}
static bool fits_any(const store_file *f, unsigned tier) {
    (void)tier;
    return is_eligible(f);
}

/* Under the list's lock. */
static bool pick_in(partition *p, pick_mode mode, choice *ret) {
    *ret = (choice){.p = p};
    size_t at = 0;
    if (mode == PICK_ALL) {
        while (next_run(p, &at, ret, fits_any, 0))
            if (ret->count > 1 || p->files.v[ret->from]->kind == FILE_JOURNAL) return true;
        return false;
    }
    if (next_run(p, &at, ret, fits_journal, 0)) return true;
    unsigned highest = 0;
    for (size_t i = 0; i < p->files.n; i++) highest = MAX(highest, tier_of(p->files.v[i]));
    for (unsigned tier = 0; tier <= highest; tier++)
        for (at = 0; next_run(p, &at, ret, fits_tier, tier);)
            if (ret->count >= TIER_FILES) return true;
    return false;
}

static bool day_is_over(const partition *p, int64_t now) {
    return now - p->start_ns >= DAY_NS + DAY_OVER_NS;
}

/* Takes references on the files of the choice. */
static bool pick(embedded *s, bool everything, choice *ret, store_file **files) {
    int64_t now = wall(s);
    bool found = false;
    sys_lock_take(s->list.lock);
    for (size_t i = 0; !found && i < s->list.parts.n; i++) {
        partition *p = s->list.parts.v[i];
        bool all = everything || day_is_over(p, now);
        for (size_t f = 0; f < p->files.n; f++) all &= everything || !p->files.v[f]->open;
        found = pick_in(p, all ? PICK_ALL : PICK_TIERS, ret);
    }
    for (size_t i = 0; found && i < ret->count; i++)
        files[i] = file_ref(ret->p->files.v[ret->from + i]);
    sys_lock_give(s->list.lock);
    return found;
}

/* One pass; RC_END when there is nothing to do. */
static rc compact_one(embedded *s, bool everything, const volatile int *cancel, err *e) {
    store_file *files[PASS_FILES];
    choice c;
    sys_lock_take(s->job_lock); /* nobody else changes segments or moves partitions */
    rc code = RC_END;
    if (pick(s, everything, &c, files)) {
        code = compact_files(
            s,
            &(compact_job){
                .part = c.p, .in = files, .count = c.count, .urgent = everything, .cancel = cancel},
            e);
        for (size_t i = 0; i < c.count; i++) file_unref(files[i]);
    }
    sys_lock_give(s->job_lock);
    return code;
}

/* Does more wait than a quiet moment is worth waiting for? Many small commits cost at the next
 * start, and memory, what few large ones do not. */
static bool backlog_is_large(embedded *s) {
    uint64_t bytes = 0, blocks = 0;
    sys_lock_take(s->list.lock);
    for (size_t p = 0; p < s->list.parts.n; p++) {
        const partition *part = s->list.parts.v[p];
        for (size_t f = 0; f < part->files.n; f++) {
            const store_file *file = part->files.v[f];
            if (file->kind != FILE_JOURNAL || file->open) continue;
            bytes += file->bytes;
            blocks += file->blocks.n;
        }
    }
    sys_lock_give(s->list.lock);
    return bytes > s->opts.compaction_backlog_bytes || blocks > BACKLOG_BLOCKS;
}

/* ---- the thread ---- */

/* Retention by age believes a clock that ran evenly for a while: one that was set wrongly by
 * months must not cost the data of months. */
static bool clock_is_settled(compactor *c) {
    embedded *s = c->s;
    int64_t now = mono(s), offset = wall(s) - now;
    if (offset - c->clock_offset > CLOCK_JUMP_NS || c->clock_offset - offset > CLOCK_JUMP_NS) {
        c->clock_offset = offset;
        c->clock_since_ns = now;
    }
    return now - c->clock_since_ns >= CLOCK_SETTLE_NS;
}

static void run_retention(compactor *c) {
    embedded *s = c->s;
    int64_t now = mono(s);
    bool settled = clock_is_settled(c);
    if (now < c->retention_ns && !atomic_load(&s->disk_full)) return;
    c->retention_ns = now + RETENTION_NS;
    err e = {0};
    if (retention_run(s, settled ? wall(s) : INT64_MIN, &e))
        embedded_trouble(s, "retention_failed", &e);
}

static void run_background(compactor *c) {
    embedded *s = c->s;
    run_retention(c);
    while (!store_cancelled(&c->stop) && mono(s) >= c->retry_ns) {
        if (!writer_is_quiet(s) && !backlog_is_large(s)) return;
        err e = {0};
        rc code = compact_one(s, false, &c->stop, &e);
        if (code == RC_END || code == RC_CANCELLED) return;
        if (code) {
            embedded_trouble(s, "compaction_failed", &e);
            c->retry_ns = mono(s) + RETRY_NS;
            return;
        }
    }
}

static void run_command(compactor *c, command *cmd) {
    static const volatile int never = 0;
    const volatile int *cancel = cmd->cancel ? cmd->cancel : &never;
    writer_seal(c->s);
    do cmd->code = compact_one(c->s, true, cancel, &cmd->e);
    while (!cmd->code);
    if (cmd->code == RC_END) cmd->code = RC_OK;
    MUST(sys_queue_push(cmd->done, cmd) == RC_OK);
}

static void compactor_main(void *ctx) {
    compactor *c = ctx;
    bool background = !c->s->opts.no_background;
    sys_thread_background();
    for (;;) {
        void *p;
        rc code = background ? sys_queue_pop_wait(c->commands, TICK_MS, &p)
                             : sys_queue_pop(c->commands, &p);
        if (code == RC_END) return;
        if (!code && p != c)
            run_command(c, p);
        else if (background)
            run_background(c);
    }
}

rc compactor_start(embedded *s, err *e) {
    compactor *c = mem_new(compactor);
    c->s = s;
    c->commands = sys_queue_new(COMMANDS);
    c->clock_since_ns = mono(s);
    c->clock_offset = wall(s) - c->clock_since_ns;
    s->compactor = c;
    rc code = sys_thread_start("store-compact", compactor_main, c, &c->thread, e);
    if (code) {
        sys_queue_free(c->commands);
        mem_free(c);
        s->compactor = NULL;
    }
    return code;
}

void compactor_stop(embedded *s) {
    compactor *c = s->compactor;
    if (!c) return;
    __atomic_store_n(&c->stop, 1, __ATOMIC_RELAXED);
    sys_queue_close(c->commands);
    sys_thread_join(TAKE(c->thread));
}

void compactor_free(embedded *s) {
    compactor *c = s->compactor;
    if (!c) return;
    MUST(!c->thread);
    sys_queue_free(c->commands);
    mem_free(c);
    s->compactor = NULL;
}

void compactor_wake(embedded *s) {
    compactor *c = s->compactor;
    if (c && !s->opts.no_background)
        IGNORE(sys_queue_try_push(c->commands, c)); /* full: it is awake */
}

rc compactor_run(store *base, const volatile int *cancel, err *e) {
    embedded *s = embedded_of(base);
    if (!s->compactor) return FAIL(e, RC_UNSUPPORTED, "the store is open for reading only");
    command cmd = {.cancel = cancel, .done = sys_queue_new(1)};
    rc code = sys_queue_push(s->compactor->commands, &cmd);
    void *p;
    if (!code) {
        MUST(sys_queue_pop(cmd.done, &p) == RC_OK);
        code = cmd.code;
        if (code && e) *e = cmd.e;
    }
    sys_queue_free(cmd.done);
    return code;
}
