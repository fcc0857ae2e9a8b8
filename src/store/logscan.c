/* logscan.c - logs over all blocks of a snapshot: logs_select, logs_count, logs_labels.
 *
 * Order. Without one, workers take blocks and hand on rows as they find them. With one, a single
 * worker reads blocks by time and holds rows back: `held` has (time, block, row) of rows found and
 * not handed on. After a block, all held rows that come before the next block's first possible time
 * leave, sorted; with a limit nothing leaves until `limit` rows are held that come before it, or
 * all blocks are read. Views of blocks with held rows stay open; in a compacted store blocks hardly
 * overlap, so few do.
 *
 * Counting. Each worker counts into its own table (labels' values and bucket -> number), which are
 * added up at the end. Of a level-1 block only what the labels need is loaded: resources decide
 * labels mostly, and runs of rows between two bucket borders are found by binary search. */
#include "store/logselect_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "sys/thread.h"

#include <stdlib.h>

enum {
    WORKERS_MAX = 64,
    BATCH_ROWS = 4096,
    VIEWS_OPEN_MAX = 4096,
    GROUPS_MAX = 1 << 20,
    COUNT_LABELS_MAX = 32,
    GROUP_TEXT_MAX = 256 << 20
};

#define NO_MEMORY(e) FAIL((e), RC_LIMIT, "query: no memory")

/* ---- select ---- */

typedef struct held_row {
    int64_t time;
    uint32_t view, row;
    uint64_t seq; /* order of being found: equal times stay in the order of blocks and rows */
} held_row;

typedef struct selecting {
    store *s;
    const log_select *q;
    log_query *lq;
    log_sink sink;
    void *sink_ctx;
    snapshot *snap;
    lq_worker *workers;
    sys_lock *lock; /* guards left */
    uint64_t left;  /* rows that may still be handed on (limit) */
    bool done;      /* with an order: enough was found */
    /* with an order: one worker */
    VEC(held_row) held;
    VEC(log_view *) views;
    VEC(uint32_t) view_rows; /* rows held of each */
    uint64_t seq;
    size_t blocks; /* looked at */
} selecting;

static uint64_t take(selecting *x, uint64_t want) {
    if (!x->q->c.limit) return want;
    sys_lock_take(x->lock);
    uint64_t n = MIN(want, x->left);
    x->left -= n;
    sys_lock_give(x->lock);
    return n;
}

static rc hand_on(selecting *x, unsigned worker, log_batch *b, err *e) {
    rc code = b->count ? x->sink(x->sink_ctx, worker, b, e) : RC_OK;
    log_batch_reset(b);
    return code;
}

/* Rows of one block, in its order, at once. */
static rc block_any(selecting *x, unsigned worker, log_view *v, const uint64_t *bits, size_t lo,
                    size_t hi, select_stats *stats, err *e) {
    log_batch b;
    log_batch_init(&b);
    rc code = RC_OK;
    uint64_t granted = 0;
    for (size_t i = lo; i < hi && !code; i++) {
        if (bits) i = bitset_next(bits, hi, i);
        if (i >= hi) break;
        if (v->level == 0 && !log_in_time(&x->q->c, v->rows.time[i])) continue;
        if (v->few_count && !log_in_time(&x->q->c, lv_few_at(v, i)->time)) continue;
        if (granted == 0) {
            granted = take(x, x->q->c.limit ? 1 : BATCH_ROWS);
            if (granted == 0) {
                code = RC_END;
                break;
            }
        }
        granted--;
        stats->rows_matched++;
        code = log_put_row(v, i, x->q->want, &b, e);
        if (!code && b.count >= BATCH_ROWS) code = hand_on(x, worker, &b, e);
    }
    if (!code || code == RC_END) {
        rc last = hand_on(x, worker, &b, e);
        if (last) code = last;
    }
    log_batch_release(&b);
    return code;
}

static int oldest_first(const void *a, const void *b) {
    const held_row *x = a, *y = b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}
static int newest_first(const void *a, const void *b) {
    const held_row *x = a, *y = b;
    if (x->time != y->time) return x->time > y->time ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void unhold(selecting *x, uint32_t view) {
    if (--x->view_rows.v[view]) return;
    lv_close(x->views.v[view]);
    mem_free(x->views.v[view]);
    x->views.v[view] = NULL;
}

/* Hands on the first n held rows (they are sorted). */
static rc release_rows(selecting *x, size_t n, err *e) {
    rc code = RC_OK;
    for (size_t at = 0; at < n && !code;) {
        size_t to = MIN(n, at + BATCH_ROWS);
        log_batch b;
        log_batch_init(&b);
        for (size_t i = at; i < to && !code; i++)
            code = log_put_row(x->views.v[x->held.v[i].view], x->held.v[i].row, x->q->want, &b, e);
        if (!code) code = hand_on(x, 0, &b, e);
        log_batch_release(&b);
        for (size_t i = at; i < to; i++) unhold(x, x->held.v[i].view);
        at = to;
    }
    return code;
}

static void drop_rows(selecting *x, size_t from) {
    for (size_t i = from; i < x->held.n; i++) unhold(x, x->held.v[i].view);
    x->held.n = MIN(from, x->held.n);
}

/* After block i: what may leave now. bound: no later block has a row before it. */
static rc settle(selecting *x, const block_ref *next, err *e) {
    bool oldest = x->q->c.order == SELECT_OLDEST_FIRST;
    if (x->held.n == 0) return RC_OK;
    qsort(x->held.v, x->held.n, sizeof *x->held.v, oldest ? oldest_first : newest_first);
    if (x->q->c.limit && x->held.n > x->left) drop_rows(x, (size_t)x->left);
    size_t n = x->held.n;
    if (next) {
        int64_t bound = oldest ? next->info.min_ts_ns : next->info.max_ts_ns;
        size_t lo = 0;
        while (lo < n) {
            size_t mid = (lo + n) / 2;
            int64_t t = x->held.v[mid].time;
            if (oldest ? t < bound : t > bound)
                lo = mid + 1;
            else
                n = mid;
        }
        n = lo;
    }
    if (n == 0) return RC_OK;
    rc code = release_rows(x, n, e);
    memmove(x->held.v, x->held.v + n, (x->held.n - n) * sizeof *x->held.v);
    x->held.n -= n;
    if (x->q->c.limit) {
        x->left -= n;
        if (x->left == 0) x->done = true;
    }
    return code;
}

/* Takes v over when rows of it are held. */
static rc block_ordered(selecting *x, log_view **v, const uint64_t *bits, size_t lo, size_t hi,
                        select_stats *stats, err *e) {
    bool newest = x->q->c.order == SELECT_NEWEST_FIRST;
    uint32_t held = 0;
    bool few = (*v)->few_count > 0, level = (*v)->level;
    rc code = level && !few ? lv_need_time(*v, e) : RC_OK;
    if (code) return code;
    /* Of a sorted block only the first `limit` in order can count. */
    uint64_t most = level && x->q->c.limit ? x->left : UINT64_MAX;
    size_t n = few ? (*v)->few_count : hi - lo;
    for (size_t k = 0; k < n && held < most; k++) {
        size_t at = newest && level ? n - 1 - k : k, i = few ? (*v)->few_rows[at] : lo + at;
        if (bits && !bitset_has(bits, i)) continue;
        int64_t time = few     ? (*v)->few[at].time
                       : level ? (int64_t)lv_num((*v)->time, i)
                               : (*v)->rows.time[i];
        if ((!level || few) && !log_in_time(&x->q->c, time)) continue;
        held_row r = {time, (uint32_t)x->views.n, (uint32_t)i, x->seq++};
        vec_push(&x->held, r);
        held++;
    }
    stats->rows_matched += held;
    if (held == 0) return RC_OK;
    vec_push(&x->views, *v);
    vec_push(&x->view_rows, held);
    *v = NULL;
    return RC_OK;
}

static rc select_block(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                       err *e) {
    selecting *x = ctx;
    const select_common *c = &x->q->c;
    bool ordered = c->order != SELECT_ANY;
    if (x->done) return RC_END;
    if (ordered) x->blocks++;
    rc code = RC_OK;
    if (log_info_excludes(x->lq, &ref->info)) {
        stats->blocks_pruned++;
    } else {
        log_view *v = mem_alloc(sizeof *v);
        const uint64_t *bits = NULL;
        size_t lo = 0, hi = 0, count = 0;
        code = lv_open(v, ref, store_block_cache(x->s), stats, e);
        if (!code) code = log_match(v, &x->workers[worker], &bits, &count, e);
        if (!code && count) {
            hi = v->n;
            bool few = false;
            code = log_few_rows(v, bits, count, &few, e);
            if (!code && v->level && !few) code = log_time_range(v, c, &lo, &hi, e);
            if (!code)
                code = ordered ? block_ordered(x, &v, bits, lo, hi, stats, e)
                               : block_any(x, worker, v, bits, lo, hi, stats, e);
        }
        if (v) {
            lv_close(v);
            mem_free(v);
        }
    }
    if (ordered && !code) {
        size_t next = x->blocks; /* one worker: blocks come in the snapshot's order */
        code = settle(x, next < snapshot_count(x->snap) ? snapshot_at(x->snap, next) : NULL, e);
        if (!code && x->done) code = RC_END;
    }
    return code;
}

rc logs_select(store *s, const log_select *q, log_sink sink, void *ctx, select_stats *stats,
               err *e) {
    selecting x = {.s = s, .q = q, .sink = sink, .sink_ctx = ctx, .left = q->c.limit};
    select_stats own = {0};
    if (!stats) stats = &own;
    rc code = lq_new(q, &x.lq, e);
    if (code) return code;
    select_common c = q->c;
    c.workers = c.order == SELECT_ANY ? MIN(MAX(c.workers, 1u), (unsigned)WORKERS_MAX) : 1;
    code = snapshot_take(s, BLOCK_LOGS, c.from_ns, c.to_ns, c.order, &x.snap, stats, e);
    if (code) {
        lq_free(x.lq);
        return code;
    }
    x.lock = sys_lock_new("log select");
    x.workers = mem_new_n(lq_worker, c.workers);
    for (unsigned i = 0; i < c.workers; i++) lq_worker_init(&x.workers[i], x.lq);
    code = snapshot_each(x.snap, &c, select_block, &x, stats, e);
    if (!code && c.order != SELECT_ANY && !x.done) code = settle(&x, NULL, e);
    drop_rows(&x, 0);
    for (unsigned i = 0; i < c.workers; i++) lq_worker_release(&x.workers[i]);
    mem_free(x.workers);
    vec_release(&x.held);
    vec_release(&x.views);
    vec_release(&x.view_rows);
    sys_lock_free(x.lock);
    snapshot_release(x.snap);
    lq_free(x.lq);
    return code;
}

/* ---- count ---- */

typedef struct group {
    const str *values;
    int64_t bucket;
    uint64_t records, bytes;
} group;

/* Counts of one worker; merged into those of the first at the end. */
typedef struct groups {
    map64 seen; /* hash -> number + 1, chains by mix64 */
    VEC(group) v;
    arena mem;
    str *scratch;
} groups;

typedef struct counting {
    store *s;
    const log_select *q;
    const log_count_by *by;
    log_query *lq;
    lq_worker *workers;
    groups *groups;
} counting;

static void groups_init(groups *g, size_t labels) {
    *g = (groups){.scratch = mem_new_n(str, labels + 1)};
    map64_init(&g->seen, (size_t)GROUPS_MAX * 2);
    arena_init(&g->mem, "log count", GROUP_TEXT_MAX);
}

static void groups_release(groups *g) {
    map64_release(&g->seen);
    vec_release(&g->v);
    arena_release(&g->mem);
    mem_free(g->scratch);
}

static bool values_same(const str *a, const str *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(a[i], b[i])) return false;
    }
    return true;
}

static rc groups_add(groups *g, const str *values, size_t labels, int64_t bucket, uint64_t records,
                     uint64_t bytes, err *e) {
    uint64_t h = mix64((uint64_t)bucket);
    for (size_t i = 0; i < labels; i++) h = mix64(h ^ str_hash(values[i]));
    for (;; h = mix64(h + 1)) {
        uint64_t *at = map64_get(&g->seen, h);
        if (!at) break;
        group *x = &g->v.v[*at - 1];
        if (x->bucket != bucket || !values_same(x->values, values, labels)) continue;
        x->records += records;
        x->bytes += bytes;
        return RC_OK;
    }
    if (g->v.n >= GROUPS_MAX)
        return FAIL(e, RC_LIMIT, "a count has more than %d groups", (int)GROUPS_MAX);
    str *own = arena_try_new_n(&g->mem, str, labels);
    uint64_t *at = own ? map64_put(&g->seen, h, NULL) : NULL;
    if (!at) return NO_MEMORY(e);
    for (size_t i = 0; i < labels; i++) {
        own[i] = values[i].n ? str_dup(&g->mem, values[i]) : STR_NONE;
        if (values[i].n && !own[i].p) return NO_MEMORY(e);
    }
    group x = {own, bucket, records, bytes};
    vec_push(&g->v, x);
    *at = g->v.n;
    return RC_OK;
}

/* Start and last nanosecond of the bucket that holds a time. Times lie anywhere in the range of
 * int64, so no difference of two is taken; a bucket beyond its ends is cut there. */
typedef struct bucket {
    int64_t start, last;
} bucket;

static int64_t positive_rest(int64_t v, int64_t step) {
    int64_t rest = v % step;
    return rest < 0 ? rest + step : rest;
}

static bucket bucket_of(const log_count_by *by, int64_t time) {
    int64_t step = by->step_ns;
    if (step <= 0) return (bucket){by->origin_ns, INT64_MAX};
    int64_t d = positive_rest(time, step) - positive_rest(by->origin_ns, step);
    if (d < 0) d += step;
    int64_t left = step - 1 - d;
    return (bucket){time < INT64_MIN + d ? INT64_MIN : time - d,
                    time > INT64_MAX - left ? INT64_MAX : time + left};
}

/* Counts rows whose labels are those of their resource: a histogram for each bucket. */
static rc count_by_resource(counting *x, groups *g, log_view *v, const uint64_t *bits, size_t lo,
                            size_t hi, err *e) {
    size_t nres = v->t->resource_count, labels = x->by->label_count;
    rc code = nres > 1 ? lv_need_res(v, e) : RC_OK;
    if (!code) code = lv_need_time(v, e);
    uint64_t *hist = arena_try_new_n(&v->mem, uint64_t, nres);
    if (!code && !hist) code = NO_MEMORY(e);
    for (size_t from = lo; from < hi && !code;) {
        bucket in = bucket_of(x->by, (int64_t)lv_num(v->time, from));
        size_t a = from + 1, to = hi;
        if (x->by->step_ns > 0) { /* the first row of a later bucket */
            while (a < to) {
                size_t mid = (a + to) / 2;
                if ((int64_t)lv_num(v->time, mid) <= in.last)
                    a = mid + 1;
                else
                    to = mid;
            }
        }
        if (bits) {
            for (size_t i = bitset_next(bits, to, from); i < to; i = bitset_next(bits, to, i + 1))
                hist[v->res ? lv_num(v->res, i) : 0]++;
        } else if (v->res) {
            for (size_t i = from; i < to; i++) hist[lv_num(v->res, i)]++;
        } else {
            hist[0] += to - from;
        }
        for (size_t r = 0; r < nres && !code; r++) {
            if (!hist[r]) continue;
            arena_mark mark = arena_save(&v->mem);
            for (size_t i = 0; i < labels; i++) {
                g->scratch[i] = STR_NONE;
                IGNORE(resource_label(&v->t->resources[r], x->by->labels[i], &v->mem,
                                      &g->scratch[i])); /* absent = "" */
            }
            code = groups_add(g, g->scratch, labels, in.start, hist[r], 0, e);
            arena_restore(&v->mem, mark);
            hist[r] = 0;
        }
        from = to;
    }
    return code;
}

/* May the label come from anywhere but the resource in this block? */
static bool label_beyond_resource(const log_view *v, str name) {
    static const str built_in[] = {
        S_INIT("level"),   S_INIT("severity_text"), S_INIT("event_name"),   S_INIT("trace_id"),
        S_INIT("span_id"), S_INIT("scope_name"),    S_INIT("scope_version")};
    for (size_t i = 0; i < ARRAY_LEN(built_in); i++) {
        if (label_is(name, built_in[i])) return true;
    }
    for (size_t s = 0; s < v->t->schema_count; s++) {
        const lb_schema *sc = &v->t->schemas[s];
        for (uint32_t i = 0; i < sc->count; i++) {
            if (label_is(name, sc->attrs[i].key)) return true;
        }
    }
    return false;
}

static bool resources_decide(log_view *v, const log_count_by *by) {
    for (size_t i = 0; i < by->label_count; i++) {
        bool all = true;
        for (size_t r = 0; r < v->t->resource_count && all; r++) {
            arena_mark mark = arena_save(&v->mem);
            str value;
            all = resource_label(&v->t->resources[r], by->labels[i], &v->mem, &value);
            arena_restore(&v->mem, mark);
        }
        if (!all && label_beyond_resource(v, by->labels[i])) return false;
    }
    return true;
}

/* Does the label come from the resource, the scope, the severity or the event's name alone: from
 * what resource and meta of a row say? */
static bool resource_and_meta_decide(log_view *v, const log_count_by *by) {
    for (size_t i = 0; i < by->label_count; i++) {
        str name = by->labels[i];
        if (label_is(name, S("trace_id")) || label_is(name, S("span_id"))) return false;
        for (size_t s = 0; s < v->t->schema_count; s++) {
            const lb_schema *sc = &v->t->schemas[s];
            for (uint32_t a = 0; a < sc->count; a++) {
                if (label_is(name, sc->attrs[a].key)) return false;
            }
        }
    }
    return true;
}

enum { PAIRS_MAX = 1 << 16 };

/* Counts rows by (resource, meta), bucket after bucket; labels are looked up once for a pair. */
static rc count_by_pair(counting *x, groups *g, lq_worker *w, log_view *v, const uint64_t *bits,
                        size_t lo, size_t hi, err *e) {
    size_t metas = v->t->meta_count, pairs = v->t->resource_count * metas;
    size_t labels = x->by->label_count;
    rc code = lv_need_res(v, e);
    if (!code) code = lv_need_family(v, e);
    if (!code) code = lv_need_time(v, e);
    uint32_t *count = arena_try_new_n(&v->mem, uint32_t, pairs);
    uint32_t *touched = arena_try_raw(&v->mem, pairs * 4 + 4, 4);
    uint32_t *fill = arena_try_new_n(&v->mem, uint32_t, v->h->family_count);
    if (!code && (!count || !touched || !fill)) code = NO_MEMORY(e);
    size_t n = 0;
    bucket in = {0};
    lb_kind no_kind = {0};
    for (size_t i = 0; !code && i <= hi; i++) {
        int64_t now = i < hi ? (int64_t)lv_num(v->time, i) : 0;
        bool over = i == hi || (i > lo && now > in.last);
        for (size_t k = 0; over && k < n && !code; k++) {
            arena_mark mark = arena_save(&w->tmp);
            no_kind.schema = 0;
            log_row r = {.t = v->t,
                         .kind = &no_kind,
                         .meta = &v->t->metas[touched[k] % metas],
                         .res = &v->t->resources[touched[k] / metas]};
            for (size_t l = 0; l < labels; l++)
                g->scratch[l] = log_row_label(&r, x->by->labels[l], &w->tmp);
            code = groups_add(g, g->scratch, labels, in.start, count[touched[k]], 0, e);
            arena_restore(&w->tmp, mark);
            count[touched[k]] = 0;
        }
        if (over) n = 0;
        if (i == hi || code) break;
        if (i == lo || over) in = bucket_of(x->by, now);
        uint64_t f = lv_num(v->family, i);
        uint32_t rank = fill[f]++;
        if (i < lo || (bits && !bitset_has(bits, i))) continue;
        if (rank >= v->h->families[f].rows)
            return FAIL(e, RC_CORRUPT, "log block: rows of a family");
        const lv_family *cols = v->fam ? &v->fam[f] : NULL;
        if (!cols || !cols->has_meta) {
            lv_family *load;
            code = lv_family_of(v, (uint32_t)f, &load, e);
            if (code) break;
            cols = load;
        }
        uint32_t pair = (uint32_t)(lv_num(v->res, i) * metas + lv_column_at(&cols->meta, rank).n);
        if (count[pair]++ == 0) touched[n++] = pair;
    }
    return code;
}

/* What of a family's cells the labels (and the length of bodies) need. */
typedef struct fam_need {
    bool ready;
    uint32_t count;
    uint32_t *cell;
    const lv_family *cols;
} fam_need;

static rc need_of(const counting *x, log_view *v, uint32_t f, fam_need *to, err *e) {
    const lb_family *fam = &v->h->families[f];
    const lb_kind *k = &v->t->kinds[fam->first_kind];
    const lb_schema *s = &v->t->schemas[k->schema];
    to->cell = arena_try_raw(&v->mem, (fam->cells + 1) * 4, 4);
    if (!to->cell) return NO_MEMORY(e);
    rc code = lv_need_cells(v, f, 0, x->by->want_bytes ? k->slots : 0, e);
    for (uint32_t c = 0; c < k->slots && x->by->want_bytes; c++) to->cell[to->count++] = c;
    for (uint32_t a = 0; a < s->count && !code; a++) {
        bool named = false;
        for (size_t i = 0; i < x->by->label_count && !named; i++)
            named = label_is(x->by->labels[i], s->attrs[a].key);
        if (!named) continue;
        to->cell[to->count++] = k->slots + a;
        code = lv_need_cells(v, f, k->slots + a, k->slots + a + 1, e);
    }
    lv_family *cols;
    if (!code) code = lv_family_of(v, f, &cols, e);
    if (code) return code;
    to->cols = cols;
    to->ready = true;
    return RC_OK;
}

static rc count_row(const counting *x, groups *g, lq_worker *w, const log_row *r, err *e) {
    arena_mark mark = arena_save(&w->tmp);
    for (size_t k = 0; k < x->by->label_count; k++)
        g->scratch[k] = log_row_label(r, x->by->labels[k], &w->tmp);
    uint64_t bytes = 0;
    if (x->by->want_bytes) {
        bytes = r->kind->skel.n - r->kind->slots;
        for (uint32_t c = 0; c < r->kind->slots; c++) bytes += r->cells[c].n;
    }
    rc code =
        groups_add(g, g->scratch, x->by->label_count, bucket_of(x->by, r->time).start, 1, bytes, e);
    arena_restore(&w->tmp, mark);
    return code;
}

/* Row by row: labels that attributes or ids decide. */
static rc count_rows1(counting *x, groups *g, lq_worker *w, log_view *v, const uint64_t *bits,
                      size_t lo, size_t hi, err *e) {
    const lb_header *h = v->h;
    rc code = lv_need_res(v, e);
    if (!code) code = lv_need_family(v, e);
    if (!code) code = lv_need_time(v, e);
    if (!code) code = lv_need_ids(v, e);
    fam_need *need = arena_try_new_n(&v->mem, fam_need, h->family_count);
    uint32_t *fill = arena_try_new_n(&v->mem, uint32_t, h->family_count);
    uint32_t most = 1;
    for (size_t f = 0; f < h->family_count; f++) most = MAX(most, h->families[f].cells);
    str *cells = arena_try_new_n(&v->mem, str, most);
    if (!code && (!need || !fill || !cells)) code = NO_MEMORY(e);
    for (size_t i = 0; i < hi && !code; i++) {
        uint64_t f = lv_num(v->family, i);
        uint32_t rank = fill[f]++;
        if (i < lo || (bits && !bitset_has(bits, i))) continue;
        if (rank >= h->families[f].rows) return FAIL(e, RC_CORRUPT, "log block: rows of a family");
        fam_need *n = &need[f];
        if (!n->ready) {
            code = need_of(x, v, (uint32_t)f, n, e);
            if (code) break;
        }
        for (uint32_t c = 0; c < n->count; c++)
            cells[n->cell[c]] = lv_column_at(&n->cols->cell[n->cell[c]], rank);
        uint64_t member = n->cols->member ? lv_num(n->cols->member, rank) : 0;
        log_row r = {.t = v->t,
                     .kind = &v->t->kinds[h->families[f].first_kind + member],
                     .meta = &v->t->metas[lv_column_at(&n->cols->meta, rank).n],
                     .res = &v->t->resources[lv_num(v->res, i)],
                     .time = (int64_t)lv_num(v->time, i),
                     .ids = v->ids + v->id_at[i],
                     .cells = cells,
                     .bits = (uint8_t)lv_num(v->bits, i)};
        code = count_row(x, g, w, &r, e);
    }
    return code;
}

static rc count_rows0(counting *x, groups *g, lq_worker *w, log_view *v, const uint64_t *bits,
                      err *e) {
    rc code = RC_OK;
    for (size_t i = 0; i < v->n && !code; i++) {
        if (bits && !bitset_has(bits, i)) continue;
        log_row r;
        code = log_get_row(v, i, &r, NULL, e);
        if (!code && log_in_time(&x->q->c, r.time)) code = count_row(x, g, w, &r, e);
    }
    return code;
}

/* Rows that were read alone: all that match are among them. */
static rc count_few(counting *x, groups *g, lq_worker *w, const log_view *v, const uint64_t *bits,
                    err *e) {
    rc code = RC_OK;
    for (size_t i = 0; i < v->few_count && !code; i++) {
        if (bitset_has(bits, v->few_rows[i]) && log_in_time(&x->q->c, v->few[i].time))
            code = count_row(x, g, w, &v->few[i], e);
    }
    return code;
}

static rc count_block(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                      err *e) {
    counting *x = ctx;
    if (log_info_excludes(x->lq, &ref->info)) {
        stats->blocks_pruned++;
        return RC_OK;
    }
    groups *g = &x->groups[worker];
    log_view v;
    const uint64_t *bits = NULL;
    size_t lo = 0, hi = 0, count = 0;
    rc code = lv_open(&v, ref, store_block_cache(x->s), stats, e);
    if (!code) code = log_match(&v, &x->workers[worker], &bits, &count, e);
    if (!code && count) {
        hi = v.n;
        bool few = false;
        code = log_few_rows(&v, bits, count, &few, e);
        if (!code && v.level && !few) code = log_time_range(&v, &x->q->c, &lo, &hi, e);
        if (!code && few)
            code = count_few(x, g, &x->workers[worker], &v, bits, e);
        else if (!code && v.level && !x->by->want_bytes && resources_decide(&v, x->by))
            code = count_by_resource(x, g, &v, bits, lo, hi, e);
        else if (!code && v.level && !x->by->want_bytes && resource_and_meta_decide(&v, x->by) &&
                 v.t->resource_count * v.t->meta_count <= PAIRS_MAX)
            code = count_by_pair(x, g, &x->workers[worker], &v, bits, lo, hi, e);
        else if (!code)
            code = v.level ? count_rows1(x, g, &x->workers[worker], &v, bits, lo, hi, e)
                           : count_rows0(x, g, &x->workers[worker], &v, bits, e);
        stats->rows_matched += count;
    }
    lv_close(&v);
    return code;
}

rc logs_count(store *s, const log_select *q, const log_count_by *by, store_count_sink sink,
              void *ctx, select_stats *stats, err *e) {
    if (by->label_count > COUNT_LABELS_MAX)
        return FAIL(e, RC_LIMIT, "a count by %zu labels; the maximum is %d", by->label_count,
                    (int)COUNT_LABELS_MAX);
    counting x = {.s = s, .q = q, .by = by};
    select_stats own = {0};
    if (!stats) stats = &own;
    snapshot *snap;
    rc code = lq_new(q, &x.lq, e);
    if (code) return code;
    select_common c = q->c;
    c.workers = MIN(MAX(c.workers, 1u), (unsigned)WORKERS_MAX);
    code = snapshot_take(s, BLOCK_LOGS, c.from_ns, c.to_ns, SELECT_ANY, &snap, stats, e);
    if (code) {
        lq_free(x.lq);
        return code;
    }
    x.workers = mem_new_n(lq_worker, c.workers);
    x.groups = mem_new_n(groups, c.workers);
    for (unsigned i = 0; i < c.workers; i++) {
        lq_worker_init(&x.workers[i], x.lq);
        groups_init(&x.groups[i], by->label_count);
    }
    code = snapshot_each(snap, &c, count_block, &x, stats, e);
    groups *all = &x.groups[0];
    for (unsigned i = 1; i < c.workers && !code; i++) {
        for (size_t k = 0; k < x.groups[i].v.n && !code; k++) {
            const group *p = &x.groups[i].v.v[k];
            code = groups_add(all, p->values, by->label_count, p->bucket, p->records, p->bytes, e);
        }
    }
    for (size_t k = 0; k < all->v.n && !code; k++) {
        const group *p = &all->v.v[k];
        log_count out = {p->values, p->bucket, p->records, p->bytes};
        code = sink(ctx, &out, e);
    }
    for (unsigned i = 0; i < c.workers; i++) {
        lq_worker_release(&x.workers[i]);
        groups_release(&x.groups[i]);
    }
    mem_free(x.workers);
    mem_free(x.groups);
    snapshot_release(snap);
    lq_free(x.lq);
    return code;
}

/* ---- labels ---- */

typedef struct naming {
    store *s;
    const log_select *q;
    str label; /* empty: names */
    log_query *lq;
    lq_worker worker;
    groups found; /* of one value */
} naming;

static rc add_name(naming *x, str name, uint64_t count, err *e) {
    label_name plain;
    str shown = x->label.n ? name : label_name_of(name, &plain);
    return shown.n ? groups_add(&x->found, &shown, 1, 0, count, 0, e) : RC_OK;
}

static rc row_names(naming *x, const log_row *r, err *e) {
    rc code = RC_OK;
    if (x->label.n) {
        arena_mark mark = arena_save(&x->worker.tmp);
        code = add_name(x, log_row_label(r, x->label, &x->worker.tmp), 1, e);
        arena_restore(&x->worker.tmp, mark);
        return code;
    }
    const resource *res = r->res;
    for (uint32_t i = 0; i < res->attr_count && !code; i++)
        code = add_name(x, res->attrs[i].key, 1, e);
    const lb_schema *s = &r->t->schemas[r->kind->schema];
    for (uint32_t i = 0; i < s->count && !code; i++) code = add_name(x, s->attrs[i].key, 1, e);
    const scope *sc = r->meta->scope == LB_NONE ? NULL : &r->t->scopes[r->meta->scope];
    if (!code && sc && sc->name.n) code = add_name(x, S("scope_name"), 1, e);
    if (!code && sc && sc->version.n) code = add_name(x, S("scope_version"), 1, e);
    if (!code) code = add_name(x, S("level"), 1, e);
    if (!code && r->meta->severity_text.n) code = add_name(x, S("severity_text"), 1, e);
    if (!code && r->meta->event_name.n) code = add_name(x, S("event_name"), 1, e);
    if (!code && r->bits & ROW_TRACE) code = add_name(x, S("trace_id"), 1, e);
    if (!code && r->bits & ROW_SPAN) code = add_name(x, S("span_id"), 1, e);
    return code;
}

/* Without conditions on rows, tables answer: what they hold occurs in some row. */
static rc table_names(naming *x, const log_view *v, err *e) {
    rc code = RC_OK;
    const lb_tables *t = v->t;
    for (size_t r = 0; r < t->resource_count && !code; r++) {
        for (uint32_t i = 0; i < t->resources[r].attr_count && !code; i++)
            code = add_name(x, t->resources[r].attrs[i].key, 1, e);
    }
    for (size_t s = 0; s < t->schema_count && !code; s++) {
        for (uint32_t i = 0; i < t->schemas[s].count && !code; i++)
            code = add_name(x, t->schemas[s].attrs[i].key, 1, e);
    }
    for (size_t m = 0; m < t->meta_count && !code; m++) {
        const lb_meta *p = &t->metas[m];
        const scope *sc = p->scope == LB_NONE ? NULL : &t->scopes[p->scope];
        if (sc && sc->name.n) code = add_name(x, S("scope_name"), 1, e);
        if (!code && sc && sc->version.n) code = add_name(x, S("scope_version"), 1, e);
        if (!code && p->severity_text.n) code = add_name(x, S("severity_text"), 1, e);
        if (!code && p->event_name.n) code = add_name(x, S("event_name"), 1, e);
    }
    return code ? code : add_name(x, S("level"), 1, e);
}

static rc name_block(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                     err *e) {
    naming *x = ctx;
    (void)worker;
    if (log_info_excludes(x->lq, &ref->info)) {
        stats->blocks_pruned++;
        return RC_OK;
    }
    log_view v;
    const uint64_t *bits = NULL;
    size_t lo = 0, hi = 0, count = 0;
    rc code = lv_open(&v, ref, store_block_cache(x->s), stats, e);
    if (!code) code = log_match(&v, &x->worker, &bits, &count, e);
    hi = v.n;
    bool whole =
        !bits && ((x->q->c.from_ns == 0 && x->q->c.to_ns == 0) ||
                  (ref->info.min_ts_ns >= x->q->c.from_ns && ref->info.max_ts_ns < x->q->c.to_ns));
    log_count_by by = {.labels = &x->label, .label_count = 1};
    if (!code && whole && x->label.n == 0) {
        code = table_names(x, &v, e);
        if (!code && v.level) code = lv_need_bits(&v, e);
        uint8_t seen = 0;
        for (size_t i = 0; !code && i < v.n; i++)
            seen |= v.level ? lv_num(v.bits, i) : v.rows.bits[i];
        if (!code && seen & ROW_TRACE) code = add_name(x, S("trace_id"), 1, e);
        if (!code && seen & ROW_SPAN) code = add_name(x, S("span_id"), 1, e);
    } else if (!code && whole && resources_decide(&v, &by)) {
        for (size_t r = 0; r < v.t->resource_count && !code; r++) {
            arena_mark mark = arena_save(&v.mem);
            str value = STR_NONE;
            if (resource_label(&v.t->resources[r], x->label, &v.mem, &value))
                code = add_name(x, value, 1, e);
            arena_restore(&v.mem, mark);
        }
    } else if (!code && count) {
        if (v.level) code = log_time_range(&v, &x->q->c, &lo, &hi, e);
        str *cells = arena_try_new_n(&v.mem, str, LB_CELLS_MAX);
        if (!code && !cells) code = NO_MEMORY(e);
        for (size_t i = lo; i < hi && !code; i++) {
            if (bits) i = bitset_next(bits, hi, i);
            if (i >= hi) break;
            log_row r;
            code = log_get_row(&v, i, &r, cells, e);
            if (!code && log_in_time(&x->q->c, r.time)) code = row_names(x, &r, e);
        }
    }
    lv_close(&v);
    return code;
}

rc logs_labels(store *s, str label, const select_common *q, store_name_sink sink, void *ctx,
               select_stats *stats, err *e) {
    log_select all = {.c = *q};
    all.c.limit = 0;
    all.c.workers = 1;
    naming x = {.s = s, .q = &all, .label = label};
    select_stats own = {0};
    if (!stats) stats = &own;
    rc code = lq_new(&all, &x.lq, e);
    if (code) return code;
    snapshot *snap;
    code = snapshot_take(s, BLOCK_LOGS, q->from_ns, q->to_ns, SELECT_ANY, &snap, stats, e);
    if (code) {
        lq_free(x.lq);
        return code;
    }
    lq_worker_init(&x.worker, x.lq);
    groups_init(&x.found, 1);
    code = snapshot_each(snap, &all.c, name_block, &x, stats, e);
    uint64_t left = q->limit ? q->limit : UINT64_MAX;
    for (size_t i = 0; i < x.found.v.n && !code && left; i++, left--)
        code = sink(ctx, x.found.v.v[i].values[0], x.found.v.v[i].records, e);
    groups_release(&x.found);
    lq_worker_release(&x.worker);
    snapshot_release(snap);
    lq_free(x.lq);
    return code;
}
