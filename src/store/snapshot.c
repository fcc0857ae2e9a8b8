/* snapshot.c - what a query reads: the blocks there are at one moment, and threads to read them.
 *
 * Taking a snapshot copies the entries of matching blocks out of the list under its lock and
 * references their files. From then on nothing of it changes: files are immutable (a journal only
 * grows), and one that is compacted or expires meanwhile is unlinked but stays open until the last
 * snapshot lets go. So a query sees neither a gap nor a duplicate.
 *
 * snapshot_each: the calling thread works itself as worker 0; up to workers-1 threads of the pool
 * join while there are blocks left. A job's memory is reference-counted, because a thread of the
 * pool may look at it only after it is over. Threads are started when first needed. */
#include "base/mem.h"
#include "store/embedded_int.h"

#include <stdlib.h>

enum { POOL_THREADS_MAX = 16, POOL_JOBS_MAX = 4096 };

/* ---- snapshots ---- */

typedef struct snap_block {
    block_ref ref; /* first: a block_ref * of the snapshot is a snap_block * */
    store_file *file;
    uint64_t offset;
    atomic_bool failed; /* a read of it failed: RC_IO then means damage */
} snap_block;

struct snapshot {
    embedded *s;
    snap_block *blocks;
    size_t count;
    VEC(store_file *) files;
};

static rc read_part(void *ctx, uint64_t offset, size_t n, void *to, err *e) {
    snap_block *b = ctx;
    uint64_t bytes = b->ref.info.bytes;
    rc code;
    if (offset > bytes || n > bytes - offset)
        code = FAIL(e, RC_CORRUPT, "a block of %" PRIu64 " bytes ends before %" PRIu64, bytes,
                    offset + n);
    else
        code = format_read(b->file->fs, b->file->fd, b->offset + offset, to, n, e);
    if (code) atomic_store_explicit(&b->failed, true, memory_order_relaxed);
    return code;
}

static bool overlaps(const block_info *info, int64_t from_ns, int64_t to_ns) {
    if (from_ns == 0 && to_ns == 0) return true;
    return info->max_ts_ns >= from_ns && info->min_ts_ns < to_ns;
}

/* Oldest first by min, newest first by max; ties by age in the list, so that the order is total. */
static int by_oldest(const void *a, const void *b) {
    const snap_block *x = a, *y = b;
    if (x->ref.info.min_ts_ns != y->ref.info.min_ts_ns)
        return x->ref.info.min_ts_ns < y->ref.info.min_ts_ns ? -1 : 1;
    return x->ref.io.id < y->ref.io.id ? -1 : 1;
}
static int by_newest(const void *a, const void *b) {
    const snap_block *x = a, *y = b;
    if (x->ref.info.max_ts_ns != y->ref.info.max_ts_ns)
        return x->ref.info.max_ts_ns > y->ref.info.max_ts_ns ? -1 : 1;
    return x->ref.io.id > y->ref.io.id ? -1 : 1;
}

static size_t count_matching(const embedded *s, block_kind kind, int64_t from_ns, int64_t to_ns,
                             size_t *ret_all) {
    size_t count = 0, all = 0;
    for (size_t p = 0; p < s->list.parts.n; p++) {
        const partition *part = s->list.parts.v[p];
        for (size_t f = 0; f < part->files.n; f++) {
            const store_file *file = part->files.v[f];
            for (size_t b = 0; b < file->blocks.n; b++) {
                const block_info *info = &file->blocks.v[b].e.info;
                if (info->kind != kind) continue;
                all++;
                count += overlaps(info, from_ns, to_ns);
            }
        }
    }
    *ret_all = all;
    return count;
}

static void copy_file(snapshot *snap, store_file *file, block_kind kind, int64_t from_ns,
                      int64_t to_ns) {
    size_t before = snap->count;
    for (size_t b = 0; b < file->blocks.n; b++) {
        const file_block *fb = &file->blocks.v[b];
        if (fb->e.info.kind != kind || !overlaps(&fb->e.info, from_ns, to_ns)) continue;
        snap->blocks[snap->count++] =
            (snap_block){.ref = {.info = fb->e.info, .io = {.read = read_part, .id = fb->id}},
                         .file = file,
                         .offset = fb->e.offset};
    }
    if (snap->count > before) vec_push(&snap->files, file_ref(file));
}

rc snapshot_take(store *base, block_kind kind, int64_t from_ns, int64_t to_ns, select_order order,
                 snapshot **ret, select_stats *stats, err *e) {
    embedded *s = embedded_of(base);
    snapshot *snap = mem_new(snapshot);
    snap->s = s;
    size_t all = 0;
    sys_lock_take(s->list.lock);
    size_t count = count_matching(s, kind, from_ns, to_ns, &all);
    /* One more, so that an empty snapshot is no failure of memory. */
    if (count < SIZE_MAX / sizeof *snap->blocks - 1)
        snap->blocks = mem_try_raw((count + 1) * sizeof *snap->blocks);
    for (size_t p = 0; snap->blocks && p < s->list.parts.n; p++) {
        const partition *part = s->list.parts.v[p];
        for (size_t f = 0; f < part->files.n; f++)
            copy_file(snap, part->files.v[f], kind, from_ns, to_ns);
    }
    sys_lock_give(s->list.lock);
    if (!snap->blocks) {
        mem_free(snap);
        return FAIL(e, RC_LIMIT, "no memory for a list of %zu blocks", count);
    }
    MUST(snap->count == count);
    if (order != SELECT_ANY && count > 1)
        qsort(snap->blocks, count, sizeof *snap->blocks,
              order == SELECT_OLDEST_FIRST ? by_oldest : by_newest);
    for (size_t i = 0; i < count; i++) snap->blocks[i].ref.io.ctx = &snap->blocks[i];
    if (stats) {
        stats->blocks += all;
        stats->blocks_pruned += all - count;
    }
    atomic_fetch_add(&s->readers, 1);
    *ret = snap;
    return RC_OK;
}

size_t snapshot_count(const snapshot *s) { return s->count; }

const block_ref *snapshot_at(const snapshot *s, size_t i) {
    MUST(i < s->count);
    return &s->blocks[i].ref;
}

void snapshot_release(snapshot *snap) {
    if (!snap) return;
    atomic_fetch_sub(&snap->s->readers, 1);
    for (size_t i = 0; i < snap->files.n; i++) file_unref(snap->files.v[i]);
    vec_release(&snap->files);
    mem_free(snap->blocks);
    mem_free(snap);
}

/* ---- a job over its blocks ---- */

typedef struct job {
    atomic_uint refs;
    sys_lock *lock; /* guards closed, joined, code, e, stats */
    bool closed;    /* nobody may join any more */
    unsigned joined, workers;
    rc code;
    err e;
    select_stats *stats;
    sys_queue *left; /* a worker that joined leaves */
    /* Set before the first worker starts: */
    snapshot *snap;
    const select_common *q;
    rc (*fn)(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats, err *e);
    void *ctx;
    uint64_t bytes_before;
    atomic_size_t next;
    atomic_bool stop;
    atomic_uint_fast64_t bytes;
} job;

static void job_unref(job *j) {
    if (atomic_fetch_sub(&j->refs, 1) != 1) return;
    sys_lock_free(j->lock);
    sys_queue_free(j->left);
    mem_free(j);
}

static void job_end(job *j, rc code, const err *e) {
    sys_lock_take(j->lock);
    if (!j->code) {
        j->code = code;
        if (code && code != RC_END) j->e = *e;
    }
    sys_lock_give(j->lock);
    atomic_store(&j->stop, true);
}

void select_stats_partial(select_stats *st, const char *reason) {
    if (!st->partial)
        IGNORE(snprintf(st->reason, sizeof st->reason, "%.159s", reason) < 0); /* cut is fine */
    st->partial = true;
}

void select_stats_add(select_stats *to, const select_stats *st) {
    to->blocks += st->blocks;
    to->blocks_pruned += st->blocks_pruned;
    to->blocks_read += st->blocks_read;
    to->bytes_read += st->bytes_read;
    to->bytes_decoded += st->bytes_decoded;
    to->rows += st->rows;
    to->rows_matched += st->rows_matched;
    to->damaged_blocks += st->damaged_blocks;
    if (st->partial) select_stats_partial(to, st->reason);
}

/* May another block be read? */
static bool go_on(job *j, select_stats *st) {
    const select_common *q = j->q;
    if (atomic_load(&j->stop)) return false;
    if (!q) return true;
    if (store_cancelled(q->cancel)) {
        err e = {0};
        job_end(j, FAIL(&e, RC_CANCELLED, "the query was cancelled"), &e);
        return false;
    }
    embedded *s = j->snap->s;
    if (q->deadline_ns && s->clock->ops->mono(s->clock->ctx).ns >= q->deadline_ns) {
        select_stats_partial(st, "the query's time was over before everything was read");
        return false;
    }
    if (q->max_bytes && j->bytes_before + atomic_load(&j->bytes) >= q->max_bytes) {
        select_stats_partial(st,
                             "the query's budget of bytes was used up before everything was read");
        return false;
    }
    return true;
}

static void work(job *j, unsigned worker) {
    select_stats st = {0};
    while (go_on(j, &st)) {
        size_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->snap->count) break;
        snap_block *b = &j->snap->blocks[i];
        uint64_t before = st.bytes_read + st.bytes_decoded;
        err e = {0};
        rc code = j->fn(j->ctx, worker, &b->ref, &st, &e);
        atomic_fetch_add(&j->bytes, st.bytes_read + st.bytes_decoded - before);
        if (!code) continue;
        if (code == RC_CORRUPT || (code == RC_IO && atomic_load(&b->failed))) {
            st.damaged_blocks++;
            char text[160];
            IGNORE(snprintf(text, sizeof text, "damaged: %.140s", e.msg) < 0); /* cut is fine */
            select_stats_partial(&st, text);
            embedded_damaged(j->snap->s, b->ref.io.id, e.msg);
            continue;
        }
        job_end(j, code, &e);
        break;
    }
    sys_lock_take(j->lock);
    if (j->stats) select_stats_add(j->stats, &st);
    sys_lock_give(j->lock);
}

/* ---- the pool ---- */

struct pool {
    sys_queue *jobs;
    sys_lock *lock; /* guards threads */
    VEC(sys_thread *) threads;
    unsigned max;
};

static void pool_main(void *ctx) {
    pool *p = ctx;
    void *item;
    while (sys_queue_pop(p->jobs, &item) == RC_OK) {
        job *j = item;
        sys_lock_take(j->lock);
        bool in = !j->closed;
        unsigned worker = in ? ++j->joined : 0;
        sys_lock_give(j->lock);
        if (in) {
            work(j, worker);
            MUST(sys_queue_push(j->left, j) == RC_OK);
        }
        job_unref(j);
    }
}

pool *pool_new(void) {
    pool *p = mem_new(pool);
    p->jobs = sys_queue_new(POOL_JOBS_MAX);
    p->lock = sys_lock_new("pool");
    p->max = MIN(sys_cpu_count(), (unsigned)POOL_THREADS_MAX);
    return p;
}

void pool_free(pool *p) {
    if (!p) return;
    sys_queue_close(p->jobs);
    for (size_t i = 0; i < p->threads.n; i++) sys_thread_join(p->threads.v[i]);
    vec_release(&p->threads);
    sys_queue_free(p->jobs);
    sys_lock_free(p->lock);
    mem_free(p);
}

/* Asks for one more worker; without one the caller's own thread does all. */
static void pool_help(pool *p, job *j) {
    sys_lock_take(p->lock);
    if (p->threads.n < p->max && p->threads.n < j->workers) {
        sys_thread *t;
        if (sys_thread_start("store-reader", pool_main, p, &t, NULL) == RC_OK)
            vec_push(&p->threads, t);
    }
    bool any = p->threads.n > 0;
    sys_lock_give(p->lock);
    if (!any) return;
    atomic_fetch_add(&j->refs, 1);
    if (sys_queue_try_push(p->jobs, j) != RC_OK) job_unref(j);
}

rc snapshot_each(snapshot *snap, const select_common *q,
                 rc (*fn)(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                          err *e),
                 void *ctx, select_stats *stats, err *e) {
    unsigned workers = q && q->workers ? q->workers : 1;
    workers = (unsigned)MIN(MIN((size_t)workers, (size_t)POOL_THREADS_MAX), MAX(snap->count, 1u));
    job *j = mem_new(job);
    atomic_init(&j->refs, 1);
    j->lock = sys_lock_new("query");
    j->left = sys_queue_new(POOL_THREADS_MAX);
    j->workers = workers;
    j->stats = stats;
    j->snap = snap;
    j->q = q;
    j->fn = fn;
    j->ctx = ctx;
    j->bytes_before = stats ? stats->bytes_read + stats->bytes_decoded : 0;
    for (unsigned i = 1; i < workers; i++) pool_help(snap->s->pool, j);
    work(j, 0);
    sys_lock_take(j->lock);
    j->closed = true;
    unsigned joined = j->joined;
    sys_lock_give(j->lock);
    for (unsigned i = 0; i < joined; i++) {
        void *back;
        MUST(sys_queue_pop(j->left, &back) == RC_OK);
    }
    rc code = j->code;
    if (code && code != RC_END && e) *e = j->e;
    job_unref(j);
    return code == RC_END ? RC_OK : code;
}
