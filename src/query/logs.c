/* logs.c - log queries: the newest (or oldest) records that pass, grouped into streams.
 *
 * When the store evaluates everything, it gets the limit and the order and answers with exactly the
 * records. When stages are left for the pipe, nobody knows how many records have to be looked at:
 * the store is asked for a few times the limit from the wanted end, then for more, then for
 * everything (how records are spread over the time does not matter then, which windows of time
 * would need). Each worker keeps the best `limit` records it saw, as copies in an arena of its own;
 * when twice as many have gathered, the worse half goes and the arena is changed for a fresh one.
 * So memory is bounded by the limit, whatever is scanned.
 */
#include "query/logs_int.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "query/pipeline_int.h"

enum {
    DEFAULT_LIMIT = 100,
    LIMIT_MAX = 1 << 20,
    KEEP_ARENA_MAX = 1 << 30,
    FIRST_LOOK = 20, /* records asked for first, in limits, and at least ... */
    FIRST_LOOK_MIN = 2000,
    LOOK_GROWTH = 16,
    LOOKS = 3 /* the last one is at everything */
};

typedef struct kept {
    int64_t ts_ns;
    uint64_t seq; /* order of arrival breaks ties */
    uint32_t stream;
    str line;
    const query_label *meta;
    size_t meta_count, parsed_count;
    const log_record *record;
} kept;

typedef struct stream {
    query_label *labels;
    size_t count;
    uint64_t hash;
} stream;

typedef struct logs_worker {
    log_pipe pipe;
    bool ready;
    arena arenas[2]; /* of kept records: one is filled, the other takes the survivors */
    unsigned cur;
    arena names; /* of streams */
    VEC(kept) kept;
    VEC(stream) streams;
    map64 by_hash;
    uint64_t seq;
    uint64_t seen; /* records since the look began */
    record_cache cache;
    const resource *last_resource; /* within a batch */
    uint32_t last_stream;
    query_label *labels; /* LABELS_MAX */
} logs_worker;

typedef struct logs_run {
    const logs_plan *plan;
    size_t limit;
    bool oldest_first, touch_labels;
    logs_worker *workers;
    unsigned worker_count;
} logs_run;

static void worker_init(logs_worker *w, const logs_plan *plan) {
    pipe_init(&w->pipe, plan->stages, plan->stage_count);
    arena_init(&w->arenas[0], "kept log records", KEEP_ARENA_MAX);
    arena_init(&w->arenas[1], "kept log records", KEEP_ARENA_MAX);
    arena_init(&w->names, "log streams", KEEP_ARENA_MAX);
    map64_init(&w->by_hash, LIMIT_MAX);
    w->labels = mem_new_n(query_label, LABELS_MAX);
    w->ready = true;
}

static void worker_release(logs_worker *w) {
    if (!w->ready) return;
    pipe_release(&w->pipe);
    arena_release(&w->arenas[0]);
    arena_release(&w->arenas[1]);
    arena_release(&w->names);
    map64_release(&w->by_hash);
    vec_release(&w->kept);
    vec_release(&w->streams);
    mem_free(w->labels);
}

/* --- order --- */

static int by_oldest(const void *a, const void *b) {
    const kept *x = a, *y = b;
    if (x->ts_ns != y->ts_ns) return x->ts_ns < y->ts_ns ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}
static int by_newest(const void *a, const void *b) { return by_oldest(b, a); }

static rc full(err *e) {
    return FAIL(e, RC_LIMIT, "the records of the answer need too much memory: lower the limit");
}

static rc copy_kept(const kept *from, record_cache *cache, arena *out, kept *to, err *e) {
    *to = *from;
    log_record *r = record_copy(from->record, cache, out);
    query_label *meta = labels_copy(from->meta, from->meta_count, out);
    if (!r || !meta) return full(e);
    bool same = from->line.p == from->record->body.p && from->line.n == from->record->body.n;
    to->line = same ? r->body : str_dup(out, from->line);
    if (from->line.n && !to->line.p) return full(e);
    to->meta = meta;
    to->record = r;
    return RC_OK;
}

/* The best ones move to the other arena. */
static rc shrink(const logs_run *run, logs_worker *w, err *e) {
    qsort(w->kept.v, w->kept.n, sizeof(kept), run->oldest_first ? by_oldest : by_newest);
    arena *to = &w->arenas[!w->cur];
    record_cache cache = {0};
    for (size_t i = 0; i < run->limit; i++) {
        rc c = copy_kept(&w->kept.v[i], &cache, to, &w->kept.v[i], e);
        if (c) return c;
    }
    w->kept.n = run->limit;
    arena_reset(&w->arenas[w->cur]);
    w->cur = !w->cur;
    w->cache = (record_cache){0}; /* its copies are gone */
    return RC_OK;
}

/* --- streams --- */

static rc stream_of(const logs_run *run, logs_worker *w, const log_record *r, uint32_t *ret,
                    err *e) {
    if (!run->touch_labels && w->last_resource && r->resource == w->last_resource &&
        (r->service.n == 0 || r->resource->service.n)) {
        *ret = w->last_stream;
        return RC_OK;
    }
    size_t n = pipe_stream_labels(&w->pipe, w->labels);
    labels_sort(w->labels, n);
    uint64_t hash = labels_hash(w->labels, n);
    bool added;
    uint64_t *at = map64_put(&w->by_hash, hash, &added);
    if (!at) return FAIL(e, RC_LIMIT, "the answer has too many streams");
    if (added) {
        stream s = {.labels = labels_copy(w->labels, n, &w->names), .count = n, .hash = hash};
        if (!s.labels) return full(e);
        *at = w->streams.n;
        vec_push(&w->streams, s);
    }
    w->last_resource = r->resource;
    w->last_stream = (uint32_t)*at;
    *ret = w->last_stream;
    return RC_OK;
}

static rc keep(const logs_run *run, logs_worker *w, const log_record *r, err *e) {
    kept one = {.ts_ns = w->pipe.ts_ns, .seq = w->seq++, .line = w->pipe.line, .record = r};
    rc c = stream_of(run, w, r, &one.stream, e);
    if (c) return c;
    size_t meta = pipe_metadata(&w->pipe, w->labels);
    labels_sort(w->labels, meta);
    size_t parsed = 0;
    if (meta < LABELS_MAX) {
        parsed = pipe_parsed(&w->pipe, w->pipe.tmp_labels);
        parsed = MIN(parsed, LABELS_MAX - meta);
        labels_sort(w->pipe.tmp_labels, parsed);
        memcpy(w->labels + meta, w->pipe.tmp_labels, parsed * sizeof(query_label));
    }
    one.meta = w->labels;
    one.meta_count = meta + parsed;
    one.parsed_count = parsed;
    c = copy_kept(&one, &w->cache, &w->arenas[w->cur], &one, e);
    if (c) return c;
    vec_push(&w->kept, one);
    return w->kept.n >= 2 * run->limit + 64 ? shrink(run, w, e) : RC_OK;
}

static rc on_batch(void *ctx, unsigned worker, log_batch *b, err *e) {
    logs_run *run = ctx;
    MUST(worker < run->worker_count);
    logs_worker *w = &run->workers[worker];
    if (!w->ready) worker_init(w, run->plan);
    w->cache = (record_cache){0};
    w->last_resource = NULL;
    w->seen += b->count;
    for (size_t i = 0; i < b->count; i++) {
        if (!pipe_run(&w->pipe, &b->rec[i])) continue;
        rc c = keep(run, w, &b->rec[i], e);
        if (c) return c;
    }
    return RC_OK;
}

/* --- looks --- */

static size_t total_kept(const logs_run *run) {
    size_t n = 0;
    for (unsigned i = 0; i < run->worker_count; i++) n += run->workers[i].kept.n;
    return n;
}

/* Forgets what a look has kept: the next one sees it again. */
static void start_again(logs_run *run) {
    for (unsigned i = 0; i < run->worker_count; i++) {
        logs_worker *w = &run->workers[i];
        w->seen = 0;
        if (!w->ready) continue;
        w->kept.n = 0;
        arena_reset(&w->arenas[0]);
        arena_reset(&w->arenas[1]);
    }
}

static rc scan(store *s, logs_run *run, log_select *q, select_stats *stats, err *e) {
    select_order order = run->oldest_first ? SELECT_OLDEST_FIRST : SELECT_NEWEST_FIRST;
    uint64_t look = MAX((uint64_t)run->limit * FIRST_LOOK, (uint64_t)FIRST_LOOK_MIN);
    if (run->plan->stage_count == 0) look = run->limit;
    for (int i = 0;; i++) {
        bool last = i == LOOKS - 1;
        q->c.limit = last ? 0 : look;
        q->c.order = last ? SELECT_ANY : order;
        rc c = s->ops->logs(s, q, on_batch, run, stats, e);
        if (c || last || run->plan->stage_count == 0) return c;
        if (stats->partial || total_kept(run) >= run->limit) return RC_OK;
        uint64_t seen = 0;
        for (unsigned w = 0; w < run->worker_count; w++) seen += run->workers[w].seen;
        if (seen < look) return RC_OK; /* there are no more */
        start_again(run);
        look *= LOOK_GROWTH;
    }
}

/* --- the answer --- */

static rc put_series(const logs_run *run, const kept *all, size_t count,
                     const logs_worker *const *of, arena *mem, query_result *ret, err *e) {
    map64 by_hash;
    map64_init(&by_hash, LIMIT_MAX);
    query_series *rows = arena_try_new_n(mem, query_series, MAX(count, 1));
    uint32_t *index = arena_try_new_n(mem, uint32_t, MAX(count, 1));
    query_entry *entries = arena_try_new_n(mem, query_entry, MAX(count, 1));
    size_t n = 0;
    rc c = rows && index && entries ? RC_OK : full(e);
    for (size_t i = 0; i < count && !c; i++) {
        const stream *s = &of[i]->streams.v[all[i].stream];
        bool added;
        uint64_t *at = map64_put(&by_hash, s->hash, &added);
        if (!at) c = full(e);
        if (!c && added) {
            *at = n;
            rows[n].labels = labels_copy(s->labels, s->count, mem);
            rows[n].label_count = s->count;
            if (!rows[n].labels) c = full(e);
            n++;
        }
        if (!c) {
            index[i] = (uint32_t)*at;
            rows[*at].count++;
        }
    }
    map64_release(&by_hash);
    if (c) return c;
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        rows[i].entries = entries + from;
        from += rows[i].count;
        rows[i].count = 0;
    }
    record_cache cache = {0};
    const logs_worker *last = NULL;
    for (size_t i = 0; i < count; i++) {
        kept one;
        if (of[i] != last) cache = (record_cache){0};
        last = of[i];
        c = copy_kept(&all[i], &cache, mem, &one, e);
        if (c) return c;
        query_series *s = &rows[index[i]];
        query_entry *to = &entries[(size_t)(s->entries - entries) + s->count++];
        *to = (query_entry){.ts_ns = one.ts_ns,
                            .line = one.line,
                            .metadata = one.meta,
                            .metadata_count = one.meta_count,
                            .parsed_count = one.parsed_count,
                            .record = one.record};
    }
    (void)run;
    ret->series = rows;
    ret->count = n;
    return RC_OK;
}

typedef struct merged {
    kept k;
    const logs_worker *w;
} merged;

static int merged_oldest(const void *a, const void *b) {
    const merged *x = a, *y = b;
    int c = by_oldest(&x->k, &y->k);
    return c ? c : (x->w < y->w ? -1 : x->w > y->w);
}
static int merged_newest(const void *a, const void *b) { return merged_oldest(b, a); }

static rc finish(const logs_run *run, arena *mem, query_result *ret, err *e) {
    size_t count = total_kept(run), n = 0;
    merged *all = mem_new_n(merged, MAX(count, 1));
    for (unsigned i = 0; i < run->worker_count; i++) {
        const logs_worker *w = &run->workers[i];
        for (size_t k = 0; k < w->kept.n; k++) all[n++] = (merged){w->kept.v[k], w};
    }
    qsort(all, n, sizeof(merged), run->oldest_first ? merged_oldest : merged_newest);
    n = MIN(n, run->limit);
    kept *best = mem_new_n(kept, MAX(n, 1));
    const logs_worker **of = mem_new_n(const logs_worker *, MAX(n, 1));
    for (size_t i = 0; i < n; i++) {
        best[i] = all[i].k;
        of[i] = all[i].w;
    }
    rc c = put_series(run, best, n, of, mem, ret, e);
    mem_free(all);
    mem_free(best);
    mem_free(of);
    return c;
}

rc logs_streams(store *s, const expr *x, const query_opts *o, arena *mem, query_result *ret,
                err *e) {
    logs_plan plan;
    rc c = plan_logs(x, mem, &plan, e);
    if (c) return c;
    log_select q = plan.select;
    plan_common(o, &q.c);
    q.want = LOG_WANT_ATTRS | LOG_WANT_IDS | LOG_WANT_REST;
    logs_run run = {.plan = &plan, .oldest_first = o->oldest_first};
    run.limit = (size_t)MIN(o->limit ? o->limit : DEFAULT_LIMIT, LIMIT_MAX);
    run.touch_labels = stages_touch_labels(plan.stages, plan.stage_count);
    run.worker_count = q.c.workers;
    run.workers = mem_new_n(logs_worker, run.worker_count);
    ret->kind = RESULT_STREAMS;
    c = scan(s, &run, &q, &ret->stats, e);
    if (!c) c = finish(&run, mem, ret, e);
    for (unsigned i = 0; i < run.worker_count; i++) worker_release(&run.workers[i]);
    mem_free(run.workers);
    return c;
}
