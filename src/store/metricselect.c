/* metricselect.c - selection of series, and what labels they have.
 *
 * A block is asked: its statistics, its filter of label pairs, its table of series (only columns
 * that matchers name). What matches is decoded series by series and collected by identity, because
 * a series lies in several blocks (of other times, or not merged yet). When all blocks are through,
 * each series is put in order of time, exact doubles are dropped, and it goes to the sink. Of two
 * numbers at one time the larger stays: which one came last cannot be told any more.
 *
 * A label is looked up in resource attributes, scope_name and scope_version, point attributes;
 * __name__ is the metric's name, as sent or with '_' for what labels cannot have. */
#include "store/metricblock_int.h"

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/fuse.h"
#include "store/labels.h"
#include "store/select_int.h"
#include "sys/thread.h"

#include <math.h>
#include <stdlib.h>

enum {
    SERIES_MAX = 100000,
    SAMPLES_MAX = 32 << 20, /* collected at once: 512 MB */
    ANSWER_ARENA_MAX = 1 << 30,
    NAMES_MAX = 100000,
    NAME_BYTES_MAX = 64 << 20,
};
#define QUERY_ARENA_MAX ((size_t)2 << 30)

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory for a selection of series"); }

typedef struct sample {
    int64_t ts_ns;
    double val;
} sample;

typedef struct collected {
    uint64_t id;
    const metric_info *info;
    const attribute *attrs;
    uint32_t attr_count;
    VEC(sample) samples;
    VEC(metric_point) points; /* lists in the answer's arena */
} collected;

typedef struct selection {
    const metric_select *q;
    matchers *m;
    block_cache *cache;
    sys_lock *lock; /* guards what follows */
    arena mem;
    map64 by_id;
    VEC(collected) series;
    uint64_t total;
    size_t max_series;
    const char *too_many; /* what there is more of than can be answered */
    /* of labels */
    str label;
    intern *names;
    VEC(uint64_t) name_counts;
} selection;

/* --- labels of a block's series --- */

typedef struct label_view {
    metric_block *b;
    attr_label attrs;
    bool is_name, is_scope_name, is_scope_version;
} label_view;

static rc view_open(label_view *v, metric_block *b, str label, err *e) {
    *v = (label_view){.b = b,
                      .is_name = str_eq(label, S("__name__")),
                      .is_scope_name = label_is(label, S("scope_name")),
                      .is_scope_version = label_is(label, S("scope_version"))};
    return attr_label_open(&v->attrs, &b->attrs, b->resources, b->resource_count, label, e);
}

/* Rows ascending; texts in mem or in the block. */
static rc view_row(label_view *v, size_t row, arena *mem, str *ret, err *e) {
    const metric_block *b = v->b;
    const metric_info *info = &b->infos[b->series_info[row]];
    str own = v->attrs.of_resource[info->resource - b->resources];
    if (v->is_name)
        *ret = info->name;
    else if (own.p)
        *ret = own;
    else if (v->is_scope_name && info->scope && info->scope->name.n)
        *ret = info->scope->name;
    else if (v->is_scope_version && info->scope && info->scope->version.n)
        *ret = info->scope->version;
    else
        return attr_label_row(&v->attrs, row, mem, ret, e);
    return RC_OK;
}

/* A metric's name satisfies a matcher in either form. */
static bool name_matches(const selection *s, size_t m, str name) {
    label_name plain;
    bool as_sent = matchers_test(s->m, m, name);
    str other = label_name_of(name, &plain);
    if (str_eq(other, name)) return as_sent;
    match_op op = s->q->c.match[m].op;
    bool as_label = matchers_test(s->m, m, other);
    return op == MATCH_EQ || op == MATCH_RE ? as_sent || as_label : as_sent && as_label;
}

static rc pruned(const selection *s, metric_block *b, bool *ret, err *e) {
    *ret = false;
    if (matchers_count(s->m) == 0) return RC_OK;
    str bytes;
    fuse f;
    rc code = parts_get(&b->p, MP_PAIR_FILTER, b->mem, &bytes, e);
    if (code != RC_OK || bytes.n == 0) return code;
    if ((code = fuse_open(bytes, &f, e)) != RC_OK) return code;
    for (size_t i = 0; i < matchers_count(s->m) && !*ret; i++) {
        str only;
        if (matchers_only(s->m, i, &only))
            *ret = !fuse_has(&f, label_pair_hash(matchers_name(s->m, i), only));
    }
    return RC_OK;
}

/* The same by what the cache has, before the block is opened. */
static bool pruned_by_cache(const selection *s, const block_io *io) {
    if (!s->cache || matchers_count(s->m) == 0) return false;
    size_t n;
    const void *bytes = block_cache_get(s->cache, io->id, MP_PAIR_FILTER, &n);
    if (!bytes) return false;
    fuse f;
    bool no = false;
    if (fuse_open(str_make(bytes, n), &f, NULL) == RC_OK) {
        for (size_t i = 0; i < matchers_count(s->m) && !no; i++) {
            str only;
            if (matchers_only(s->m, i, &only))
                no = !fuse_has(&f, label_pair_hash(matchers_name(s->m, i), only));
        }
    }
    block_cache_unpin(s->cache, bytes);
    return no;
}

static bool pruned_by_info(const selection *s, const block_info *info) {
    for (size_t i = 0; i < matchers_count(s->m); i++) {
        str only;
        if (!label_is(matchers_name(s->m, i), S("service_name")) || !matchers_only(s->m, i, &only))
            continue;
        /* A point attribute may have that name, too, in blocks without such a resource. */
        uint64_t bits = block_service_bits(only), none = block_service_bits(S(""));
        if ((info->labels & bits) != bits && (info->labels & none) != none) return true;
    }
    return false;
}

/* Which series match. */
static rc select_series(const selection *s, metric_block *b, bool **ret, size_t *ret_count,
                        err *e) {
    bool *keep = arena_try_new_n(b->mem, bool, b->series);
    if (!keep) return no_memory(e);
    memset(keep, 1, b->series);
    for (size_t m = 0; m < matchers_count(s->m); m++) {
        label_view v;
        rc code = view_open(&v, b, matchers_name(s->m, m), e);
        if (code != RC_OK) return code;
        int64_t last_info = -1;
        bool last = false;
        for (size_t i = 0; i < b->series; i++) {
            if (!keep[i]) continue;
            if (v.is_name) {
                if (b->series_info[i] != last_info)
                    last = name_matches(s, m, b->infos[b->series_info[i]].name);
                last_info = b->series_info[i];
                keep[i] = last;
                continue;
            }
            arena_mark mark = arena_save(b->mem);
            str value;
            if ((code = view_row(&v, i, b->mem, &value, e)) != RC_OK) return code;
            keep[i] = matchers_test(s->m, m, value);
            arena_restore(b->mem, mark);
        }
    }
    *ret_count = 0;
    for (size_t i = 0; i < b->series; i++) *ret_count += keep[i];
    *ret = keep;
    return RC_OK;
}

/* --- collecting points --- */

static const metric_info *copy_info(arena *mem, const metric_info *i) {
    metric_info *to = arena_try_new(mem, metric_info);
    if (!to) return NULL;
    *to = *i;
    to->name = str_dup(mem, i->name);
    to->unit = str_dup(mem, i->unit);
    to->description = str_dup(mem, i->description);
    to->resource = resource_copy(mem, i->resource);
    to->scope = i->scope ? scope_copy(mem, i->scope) : NULL;
    bool ok = to->resource && (!i->scope || to->scope) &&
              attrs_copy(mem, i->metadata, i->metadata_count, &to->metadata);
    return ok ? to : NULL;
}

/* Where the series' points go; NULL with *ret_code = RC_OK when there are too many series. */
static collected *collected_of(selection *s, const metric_info *info, const attr_row *attrs,
                               rc *ret_code, err *e) {
    uint64_t id = series_id(info, attrs->a, attrs->n);
    const uint64_t *known = map64_get(&s->by_id, id);
    *ret_code = RC_OK;
    if (known) return &s->series.v[*known];
    if (s->series.n >= s->max_series) {
        s->too_many = "series";
        return NULL;
    }
    collected c = {.id = id, .attr_count = attrs->n};
    uint64_t *at = map64_put(&s->by_id, id, NULL);
    c.info = copy_info(&s->mem, info);
    if (!at || !c.info || !attrs_copy(&s->mem, attrs->a, attrs->n, &c.attrs)) {
        *ret_code = no_memory(e);
        return NULL;
    }
    *at = s->series.n;
    vec_push(&s->series, c);
    return &s->series.v[*at];
}

static bool in_range(const selection *s, int64_t ts_ns) {
    const select_common *c = &s->q->c;
    return (!c->from_ns && !c->to_ns) || (ts_ns >= c->from_ns && ts_ns < c->to_ns);
}

/* RC_END: enough. */
static rc collect(selection *s, const metric_info *info, const attr_row *attrs, const points *p,
                  uint64_t *matched, err *e) {
    size_t from = 0, to = p->n;
    while (from < to && !in_range(s, p->ts[from]) && p->ts[from] < s->q->c.from_ns) from++;
    if (from == to) return RC_OK;
    uint64_t max = s->q->c.limit ? MIN(s->q->c.limit, (uint64_t)SAMPLES_MAX) : SAMPLES_MAX;
    bool whole = s->q->want_points || (info->kind != METRIC_GAUGE && info->kind != METRIC_SUM);
    collected *c = NULL;
    for (size_t i = from; i < to; i++) {
        if (!in_range(s, p->ts[i])) continue;
        if (!c) { /* a series without a point in the range is none */
            rc code;
            if (!(c = collected_of(s, info, attrs, &code, e))) return code;
        }
        if (s->total >= max) {
            s->too_many = "points";
            return RC_END;
        }
        s->total++;
        ++*matched;
        if (!whole) {
            vec_push(&c->samples, (sample){p->ts[i], points_value(p, i)});
            continue;
        }
        metric_point one;
        points_at(p, i, &one);
        one.metric = 0;
        one.attrs = c->attrs;
        one.attr_count = c->attr_count;
        if (!point_copy(&s->mem, &one)) return no_memory(e);
        vec_push(&c->points, one);
    }
    return RC_OK;
}

static rc use_points(selection *s, metric_block *b, const bool *keep, select_stats *stats, err *e) {
    rc code = attr_cols_load_all(&b->attrs, e);
    if (code != RC_OK) return code;
    attr_walk walk;
    if ((code = attr_walk_begin(&walk, &b->attrs, e)) != RC_OK) return code;
    for (size_t i = 0; i < b->series && code == RC_OK; i++) {
        if (!keep[i]) continue;
        /* Memory of a chunk goes with the next one, unless series share it. */
        bool alone = b->chunks == b->series;
        arena_mark mark = arena_save(b->mem);
        attr_row attrs;
        points p;
        if ((code = attr_walk_row(&walk, i, b->mem, &attrs, e)) != RC_OK ||
            (code = metric_block_points(b, i, &p, e)) != RC_OK)
            return code;
        uint64_t matched = 0;
        sys_lock_take(s->lock);
        code = collect(s, &b->infos[b->series_info[i]], &attrs, &p, &matched, e);
        sys_lock_give(s->lock);
        stats->rows += p.n;
        stats->rows_matched += matched;
        if (alone && b->times_loaded == b->times_before) {
            arena_restore(b->mem, mark);
            b->has_last = false;
        }
        b->times_before = b->times_loaded;
    }
    return code;
}

/* --- labels --- */

static void add_name(selection *s, str name, uint64_t count) {
    uint32_t id = intern_put(s->names, name);
    if (id == INTERN_NONE) {
        s->too_many = "names";
        return;
    }
    if (id == s->name_counts.n) vec_push(&s->name_counts, 0);
    s->name_counts.v[id] += count;
}

static rc use_names(selection *s, metric_block *b, const bool *keep, err *e) {
    rc code = attr_cols_load_all(&b->attrs, e);
    if (code != RC_OK) return code;
    attr_walk walk;
    if ((code = attr_walk_begin(&walk, &b->attrs, e)) != RC_OK) return code;
    label_name plain;
    for (size_t i = 0; i < b->series; i++) {
        if (!keep[i]) continue;
        arena_mark mark = arena_save(b->mem);
        attr_row attrs;
        if ((code = attr_walk_row(&walk, i, b->mem, &attrs, e)) != RC_OK) return code;
        const resource *r = b->infos[b->series_info[i]].resource;
        sys_lock_take(s->lock);
        add_name(s, S("__name__"), 1);
        for (uint32_t k = 0; k < r->attr_count; k++)
            add_name(s, label_name_of(r->attrs[k].key, &plain), 1);
        for (uint32_t k = 0; k < attrs.n; k++)
            add_name(s, label_name_of(attrs.a[k].key, &plain), 1);
        sys_lock_give(s->lock);
        arena_restore(b->mem, mark);
    }
    return RC_OK;
}

static rc use_values(selection *s, metric_block *b, const bool *keep, err *e) {
    label_view v;
    rc code = view_open(&v, b, s->label, e);
    for (size_t i = 0; i < b->series && code == RC_OK; i++) {
        if (!keep[i]) continue;
        arena_mark mark = arena_save(b->mem);
        str value;
        if ((code = view_row(&v, i, b->mem, &value, e)) != RC_OK) return code;
        if (value.n) {
            sys_lock_take(s->lock);
            add_name(s, value, 1);
            sys_lock_give(s->lock);
        }
        arena_restore(b->mem, mark);
    }
    return code;
}

/* --- blocks --- */

static rc use_block(selection *s, const block_ref *ref, bool is_points, select_stats *stats,
                    err *e) {
    if (pruned_by_info(s, &ref->info) || pruned_by_cache(s, &ref->io)) {
        stats->blocks_pruned++;
        return RC_OK;
    }
    arena mem;
    arena_init(&mem, "metric query", QUERY_ARENA_MAX);
    metric_block b;
    bool *keep, skip = false;
    size_t count = 0;
    rc code = metric_block_open(&b, &ref->io, &ref->info, &mem, e);
    b.p.cache = s->cache;
    if (code == RC_OK) code = pruned(s, &b, &skip, e);
    if (code == RC_OK && skip) stats->blocks_pruned++;
    if (code == RC_OK && !skip) {
        stats->blocks_read++;
        code = metric_block_load(&b, e);
        if (code == RC_OK) code = select_series(s, &b, &keep, &count, e);
        if (code == RC_OK && count)
            code = is_points    ? use_points(s, &b, keep, stats, e)
                   : s->label.n ? use_values(s, &b, keep, e)
                                : use_names(s, &b, keep, e);
    }
    stats->bytes_read += b.p.bytes_read;
    stats->bytes_decoded += b.p.bytes_decoded;
    metric_block_close(&b);
    arena_release(&mem);
    return code;
}

static rc visit_points(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                       err *e) {
    (void)worker;
    return use_block(ctx, ref, true, stats, e);
}
static rc visit_labels(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                       err *e) {
    (void)worker;
    return use_block(ctx, ref, false, stats, e);
}

/* --- answers --- */

static int by_time_and_value(const void *a, const void *b) {
    const sample *x = a, *y = b;
    if (x->ts_ns != y->ts_ns) return x->ts_ns < y->ts_ns ? -1 : 1;
    bool nx = isnan(x->val), ny = isnan(y->val);
    if (nx || ny) return (int)ny - (int)nx; /* no value first */
    return (x->val > y->val) - (x->val < y->val);
}

static bool same_lists(const void *a, const void *b, size_t n) {
    return n == 0 || memcmp(a, b, n * 8) == 0;
}

static bool same_point(const metric_point *a, const metric_point *b) {
    return a->ts_ns == b->ts_ns && a->start_ns == b->start_ns && a->flags == b->flags &&
           a->is_int == b->is_int && a->has_value == b->has_value && a->num == b->num &&
           a->has_sum == b->has_sum && a->has_min == b->has_min && a->has_max == b->has_max &&
           a->count == b->count && memcmp(&a->sum, &b->sum, 8) == 0 &&
           memcmp(&a->min, &b->min, 8) == 0 && memcmp(&a->max, &b->max, 8) == 0 &&
           a->exemplar_count == b->exemplar_count && a->scale == b->scale &&
           a->offset == b->offset && a->zero_count == b->zero_count &&
           a->bucket_count == b->bucket_count && a->bound_count == b->bound_count &&
           a->negative_count == b->negative_count &&
           same_lists(a->buckets, b->buckets, a->bucket_count) &&
           same_lists(a->negative, b->negative, a->negative_count) &&
           same_lists(a->bounds, b->bounds, a->bound_count) &&
           (!a->values || !b->values || same_lists(a->values, b->values, a->bound_count));
}

static int by_time(const void *a, const void *b) {
    const metric_point *x = a, *y = b;
    if (x->ts_ns != y->ts_ns) return x->ts_ns < y->ts_ns ? -1 : 1;
    if (x->num != y->num) return x->num < y->num ? -1 : 1;
    if (x->count != y->count) return x->count < y->count ? -1 : 1;
    return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

static rc emit(selection *s, collected *c, store_series_sink sink, void *ctx, err *e) {
    arena mem;
    arena_init(&mem, "series", ANSWER_ARENA_MAX);
    metric_series out = {
        .id = c->id, .info = c->info, .attrs = c->attrs, .attr_count = c->attr_count};
    rc code = RC_OK;
    (void)s;
    if (c->samples.n) {
        size_t n = c->samples.n, k = 0;
        sample *v = c->samples.v;
        size_t i = 1;
        while (i < n && v[i].ts_ns > v[i - 1].ts_ns) i++;
        if (i < n) qsort(v, n, sizeof *v, by_time_and_value);
        int64_t *ts = arena_try_raw(&mem, n * 8, 8);
        double *val = arena_try_raw(&mem, n * 8, 8);
        if (!ts || !val) code = no_memory(e);
        for (i = 0; code == RC_OK && i < n; i++) {
            if (k && ts[k - 1] == v[i].ts_ns) k--;
            ts[k] = v[i].ts_ns;
            val[k++] = v[i].val;
        }
        out.count = k;
        out.ts_ns = ts;
        out.val = val;
    } else {
        size_t n = c->points.n, k = 0;
        metric_point *v = c->points.v;
        qsort(v, n, sizeof *v, by_time);
        for (size_t i = 0; i < n; i++) {
            if (k && same_point(&v[k - 1], &v[i])) continue;
            v[k++] = v[i];
        }
        int64_t *ts = arena_try_raw(&mem, (k + 1) * 8, 8);
        double *val = arena_try_raw(&mem, (k + 1) * 8, 8);
        if (!ts || !val) code = no_memory(e);
        bool numbers = c->info->kind == METRIC_GAUGE || c->info->kind == METRIC_SUM;
        for (size_t i = 0; code == RC_OK && i < k; i++) {
            const metric_point *p = &v[i];
            ts[i] = p->ts_ns;
            int64_t type = point_type(p), num = p->num, flags = p->flags;
            points one = {.n = 1, .num = &num, .types = &type, .flags = &flags};
            val[i] = points_value(&one, 0);
        }
        out.count = k;
        out.ts_ns = ts;
        out.val = numbers ? val : NULL;
        out.points = v;
    }
    if (code == RC_OK) code = sink(ctx, &out, e);
    arena_release(&mem);
    return code;
}

static int by_id(const void *a, const void *b) {
    const collected *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static rc begin(selection *s, store *st, const metric_select *q, snapshot **ret,
                select_stats *stats, err *e) {
    *s = (selection){.q = q, .cache = store_block_cache(st)};
    s->max_series = q->max_series ? q->max_series : SERIES_MAX;
    rc code = matchers_new(q->c.match, q->c.match_count, &s->m, e);
    if (code != RC_OK) return code;
    code = snapshot_take(st, BLOCK_METRICS, q->c.from_ns, q->c.to_ns, SELECT_OLDEST_FIRST, ret,
                         stats, e);
    if (code != RC_OK) {
        matchers_free(s->m);
        return code;
    }
    s->lock = sys_lock_new("metric query");
    arena_init(&s->mem, "metric answer", QUERY_ARENA_MAX);
    map64_init(&s->by_id, s->max_series + 1);
    return RC_OK;
}

static void end(selection *s) {
    for (size_t i = 0; i < s->series.n; i++) {
        vec_release(&s->series.v[i].samples);
        vec_release(&s->series.v[i].points);
    }
    vec_release(&s->series);
    map64_release(&s->by_id);
    arena_release(&s->mem);
    sys_lock_free(s->lock);
    matchers_free(s->m);
}

static void tell_partial(const selection *s, uint64_t max, select_stats *stats) {
    if (!s->too_many) return;
    stats->partial = true;
    IGNORE(snprintf(stats->reason, sizeof stats->reason, "more than %" PRIu64 " %s", max,
                    s->too_many) < 0); /* fits */
}

rc metrics_select(store *st, const metric_select *q, store_series_sink sink, void *ctx,
                  select_stats *stats, err *e) {
    select_stats own = {0};
    if (!stats) stats = &own;
    selection s;
    snapshot *snap;
    rc code = begin(&s, st, q, &snap, stats, e);
    if (code != RC_OK) return code;
    code = snapshot_each(snap, &q->c, visit_points, &s, stats, e);
    snapshot_release(snap);
    tell_partial(&s, s.too_many && str_eq(str_c(s.too_many), S("series")) ? s.max_series : s.total,
                 stats);
    if (s.series.n) qsort(s.series.v, s.series.n, sizeof *s.series.v, by_id);
    for (size_t i = 0; i < s.series.n && code == RC_OK; i++)
        code = emit(&s, &s.series.v[i], sink, ctx, e);
    end(&s);
    return code == RC_END ? RC_OK : code;
}

rc metrics_labels(store *st, str label, const select_common *c, store_name_sink sink, void *ctx,
                  select_stats *stats, err *e) {
    select_stats own = {0};
    if (!stats) stats = &own;
    metric_select q = {.c = *c};
    q.c.limit = 0; /* of names, not of points */
    selection s;
    snapshot *snap;
    rc code = begin(&s, st, &q, &snap, stats, e);
    if (code != RC_OK) return code;
    intern names;
    intern_init(&names, "labels", NAMES_MAX, NAME_BYTES_MAX);
    s.names = &names;
    s.label = label;
    code = snapshot_each(snap, &q.c, visit_labels, &s, stats, e);
    snapshot_release(snap);
    size_t n = s.name_counts.n;
    if (c->limit && c->limit < n) {
        n = (size_t)c->limit;
        s.too_many = "names";
    }
    tell_partial(&s, n, stats);
    for (size_t i = 0; i < n && code == RC_OK; i++)
        code = sink(ctx, intern_str(&names, (uint32_t)i), s.name_counts.v[i], e);
    vec_release(&s.name_counts);
    intern_release(&names);
    end(&s);
    return code == RC_END ? RC_OK : code;
}
