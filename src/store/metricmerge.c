/* metricmerge.c - blocks of metrics to larger ones.
 *
 * First all series of all inputs are brought together: equal ones (metric, resource, scope, labels
 * as sent) become one, sorted by name and labels. Then the points: as many series as fit in a block
 * and in the memory given are filled from every input, sorted by time and written. So the points of
 * a series lie together, over all the time that is merged, however many inputs there are; inputs
 * are opened once for each output block.
 *
 * Memory: the labels of all series, and 16 to 40 bytes for each point of one block. */
#include "store/metricblock_int.h"

#include "base/mem.h"
#include "base/rng.h"
#include "codec/otlp.h"

#include <stdlib.h>

enum { SERIES_MAX = 1 << 24, POINT_BYTES = 48, GROUP_POINTS_MIN = 1 << 16 };
#define ARENA_BYTES ((size_t)8 << 30) /* the bound is in points: see group_end */

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory to merge metrics"); }

typedef struct mseries {
    const metric_info *info;
    attr_row attrs;
    uint64_t hash, n;
    uint32_t place; /* in the sorted order */
    points p;       /* while its block is made */
} mseries;

typedef struct merger {
    const block_io *in;
    const block_info *info;
    size_t count;
    const volatile int *cancel;
    block_put put;
    void *put_ctx;
    size_t *ret_bad;
    arena mem; /* of labels */
    map64 by_hash, infos, resources, scopes;
    VEC(mseries) series;
    uint32_t **of; /* of each input: its series' numbers */
    size_t *of_count;
    uint64_t points, raw_bytes;
    mseries **sorted;
} merger;

/* --- the table of series --- */

static const resource *keep_resource(merger *m, const resource *r) {
    uint64_t *at = map64_put(&m->resources, r->hash, NULL);
    if (!at) return NULL;
    if (*at) return (const resource *)(uintptr_t)*at;
    const resource *to = resource_copy(&m->mem, r);
    *at = (uintptr_t)to;
    return to;
}

static const scope *keep_scope(merger *m, const scope *s) {
    uint64_t *at = map64_put(&m->scopes, s->hash, NULL);
    if (!at) return NULL;
    if (*at) return (const scope *)(uintptr_t)*at;
    const scope *to = scope_copy(&m->mem, s);
    *at = (uintptr_t)to;
    return to;
}

static const metric_info *keep_info(merger *m, const metric_info *i) {
    for (uint64_t h = info_hash(i);; h = mix64(h + 1)) {
        uint64_t *at = map64_put(&m->infos, h, NULL);
        if (!at) return NULL;
        const metric_info *known = (const metric_info *)(uintptr_t)*at;
        if (known && same_info(known, i)) return known;
        if (known) continue;
        metric_info *to = arena_try_new(&m->mem, metric_info);
        if (!to) return NULL;
        *to = *i;
        to->name = str_dup(&m->mem, i->name);
        to->unit = str_dup(&m->mem, i->unit);
        to->description = str_dup(&m->mem, i->description);
        to->resource = keep_resource(m, i->resource);
        to->scope = i->scope ? keep_scope(m, i->scope) : NULL;
        if (!to->resource || (i->scope && !to->scope) ||
            !attrs_copy(&m->mem, i->metadata, i->metadata_count, &to->metadata))
            return NULL;
        *at = (uintptr_t)to;
        return to;
    }
}

static rc series_number(merger *m, const metric_info *info, const attr_row *attrs, uint32_t *ret,
                        err *e) {
    uint64_t hash = mix64((uintptr_t)info); /* infos are unique by now */
    for (uint32_t i = 0; i < attrs->n; i++) {
        const attribute *a = &attrs->a[i];
        hash = str_hash_seed(a->key, hash ^ a->type ^ (uint64_t)a->num << 8);
        hash = str_hash_seed(a->val, hash);
    }
    for (;; hash = mix64(hash + 1)) {
        bool added;
        uint64_t *at = map64_put(&m->by_hash, hash, &added);
        if (!at) return FAIL(e, RC_LIMIT, "more than %d series to merge", (int)SERIES_MAX);
        if (!added) {
            const mseries *s = &m->series.v[*at];
            if (s->info != info || !attrs_equal(s->attrs.a, s->attrs.n, attrs->a, attrs->n))
                continue;
        } else {
            mseries s = {.info = info, .hash = hash, .attrs = {.n = attrs->n}};
            if (!attrs_copy(&m->mem, attrs->a, attrs->n, &s.attrs.a)) return no_memory(e);
            *at = m->series.n;
            vec_push(&m->series, s);
        }
        *ret = (uint32_t)*at;
        return RC_OK;
    }
}

static rc add_series_of(merger *m, size_t i, metric_block *b, err *e) {
    rc code;
    if ((code = metric_block_load(b, e)) != RC_OK ||
        (code = attr_cols_load_all(&b->attrs, e)) != RC_OK)
        return code;
    attr_walk walk;
    if ((code = attr_walk_begin(&walk, &b->attrs, e)) != RC_OK) return code;
    const metric_info **infos = arena_try_new_n(b->mem, const metric_info *, b->info_count);
    uint32_t *of = mem_try_raw(b->series * sizeof *of);
    m->of[i] = of;
    m->of_count[i] = b->series;
    if (!infos || !of) return no_memory(e);
    for (size_t k = 0; k < b->info_count; k++) {
        if (!(infos[k] = keep_info(m, &b->infos[k]))) return no_memory(e);
    }
    for (size_t k = 0; k < b->series; k++) {
        attr_row row;
        if ((code = attr_walk_row(&walk, k, b->mem, &row, e)) != RC_OK ||
            (code = series_number(m, infos[b->series_info[k]], &row, &of[k], e)) != RC_OK)
            return code;
        m->series.v[of[k]].n += (uint64_t)b->series_count[k];
    }
    m->points += b->point_count;
    m->raw_bytes += m->info[i].raw_bytes;
    return RC_OK;
}

static rc collect_series(merger *m, err *e) {
    arena mem;
    arena_init(&mem, "metric merge", ARENA_BYTES);
    rc code = RC_OK;
    for (size_t i = 0; i < m->count && code == RC_OK; i++) {
        if (store_cancelled(m->cancel)) {
            code = RC_CANCELLED;
            break;
        }
        metric_block b;
        code = metric_block_open(&b, &m->in[i], &m->info[i], &mem, e);
        if (code == RC_OK) code = add_series_of(m, i, &b, e);
        if (code == RC_CORRUPT) *m->ret_bad = i;
        metric_block_close(&b);
        arena_reset(&mem);
    }
    arena_release(&mem);
    return code;
}

static int by_name_and_labels(const void *pa, const void *pb) {
    const mseries *a = *(mseries *const *)pa, *b = *(mseries *const *)pb;
    int c = a->info == b->info ? 0 : str_cmp(a->info->name, b->info->name);
    for (uint32_t i = 0; !c && i < MIN(a->attrs.n, b->attrs.n); i++) {
        const attribute *x = &a->attrs.a[i], *y = &b->attrs.a[i];
        c = str_cmp(x->key, y->key);
        if (!c) c = str_cmp(x->val, y->val);
        if (!c) c = (x->num > y->num) - (x->num < y->num);
    }
    if (!c) c = (a->attrs.n > b->attrs.n) - (a->attrs.n < b->attrs.n);
    if (!c) c = (a->hash > b->hash) - (a->hash < b->hash);
    return c;
}

/* --- points --- */

static bool keep_column(arena *mem, int64_t **to, size_t room, size_t at, const int64_t *from,
                        size_t n) {
    int64_t any = 0;
    for (size_t i = 0; from && i < n; i++) any |= from[i];
    if (!any) return true; /* zero is what is there */
    if (!*to) *to = arena_try_array(mem, room, sizeof **to, 8);
    if (!*to) return false;
    memcpy(*to + at, from, n * sizeof **to);
    return true;
}

/* Appends points of one input to a series. */
static bool add_points(arena *mem, mseries *s, const points *from) {
    points *p = &s->p;
    size_t at = p->n, room = (size_t)s->n;
    MUST(from->n <= room - at);
    if (!p->ts) {
        p->ts = arena_try_raw(mem, room * 8, 8);
        p->num = arena_try_raw(mem, room * 8, 8);
        if (!p->ts || !p->num) return false;
    }
    memcpy(p->ts + at, from->ts, from->n * 8);
    memcpy(p->num + at, from->num, from->n * 8);
    if (!keep_column(mem, &p->start, room, at, from->start, from->n) ||
        !keep_column(mem, &p->flags, room, at, from->flags, from->n) ||
        !keep_column(mem, &p->types, room, at, from->types, from->n))
        return false;
    if (from->rich && !p->rich) {
        metric_point *rich = arena_try_new_n(mem, metric_point, room);
        if (!rich) return false;
        for (size_t i = 0; i < at; i++) points_at(p, i, &rich[i]);
        p->rich = rich;
    }
    for (size_t i = 0; p->rich && i < from->n; i++) {
        points_at(from, i, &p->rich[at + i]);
        if (!point_copy(mem, &p->rich[at + i])) return false;
    }
    p->n += from->n;
    return true;
}

typedef struct order_entry {
    int64_t ts;
    size_t i;
} order_entry;
static int by_time(const void *a, const void *b) {
    const order_entry *x = a, *y = b;
    if (x->ts != y->ts) return x->ts < y->ts ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

static void permute(int64_t *v, const order_entry *o, size_t n, int64_t *room) {
    if (!v) return;
    for (size_t i = 0; i < n; i++) room[i] = v[o[i].i];
    memcpy(v, room, n * sizeof *v);
}

static bool sort_points(points *p) {
    size_t i = 1;
    while (i < p->n && p->ts[i] >= p->ts[i - 1]) i++;
    if (i >= p->n) return true;
    order_entry *o = mem_try_raw(p->n * sizeof *o);
    int64_t *room = mem_try_raw(p->n * sizeof *room);
    metric_point *rich = p->rich ? mem_try_raw(p->n * sizeof *rich) : NULL;
    bool ok = o && room && (rich || !p->rich);
    if (ok) {
        for (i = 0; i < p->n; i++) o[i] = (order_entry){p->ts[i], i};
        qsort(o, p->n, sizeof *o, by_time);
        permute(p->ts, o, p->n, room);
        permute(p->num, o, p->n, room);
        permute(p->start, o, p->n, room);
        permute(p->flags, o, p->n, room);
        permute(p->types, o, p->n, room);
        for (i = 0; rich && i < p->n; i++) rich[i] = p->rich[o[i].i];
        if (rich) memcpy(p->rich, rich, p->n * sizeof *rich);
    }
    mem_free(rich);
    mem_free(room);
    mem_free(o);
    return ok;
}

/* Points of the series sorted[from..to) out of every input. */
static rc fill(merger *m, size_t from, size_t to, arena *mem, err *e) {
    arena tmp;
    arena_init(&tmp, "metric merge", ARENA_BYTES);
    rc code = RC_OK;
    for (size_t i = 0; i < m->count && code == RC_OK; i++) {
        if (store_cancelled(m->cancel)) {
            code = RC_CANCELLED;
            break;
        }
        metric_block b;
        bool open = false;
        for (size_t k = 0; k < m->of_count[i] && code == RC_OK; k++) {
            mseries *s = &m->series.v[m->of[i][k]];
            if (s->place < from || s->place >= to) continue;
            if (!open) code = metric_block_open(&b, &m->in[i], &m->info[i], &tmp, e);
            open = true;
            points p;
            if (code == RC_OK) code = metric_block_points(&b, k, &p, e);
            if (code == RC_OK && !add_points(mem, s, &p)) code = no_memory(e);
        }
        if (code == RC_CORRUPT) *m->ret_bad = i;
        if (open) metric_block_close(&b);
        arena_reset(&tmp);
    }
    arena_release(&tmp);
    return code;
}

/* Where the block that begins at `from` ends. */
static size_t group_end(const merger *m, size_t from, size_t max_points) {
    uint64_t total = 0;
    size_t to = from;
    while (to < m->series.n && to - from < METRIC_BLOCK_SERIES) {
        total += m->sorted[to]->n;
        if (to > from && total > max_points) break;
        to++;
    }
    return to;
}

static points part_of(const points *p, size_t from, size_t n) {
    return (points){.n = n,
                    .ts = p->ts + from,
                    .num = p->num + from,
                    .start = p->start ? p->start + from : NULL,
                    .flags = p->flags ? p->flags + from : NULL,
                    .types = p->types ? p->types + from : NULL,
                    .rich = p->rich ? p->rich + from : NULL};
}

static rc write_group(merger *m, size_t from, size_t to, arena *mem, err *e) {
    size_t n = to - from;
    series_in *series = arena_try_raw(mem, n * sizeof *series, 8);
    chunk_in *chunks = arena_try_raw(mem, n * sizeof *chunks, 8);
    if (!series || !chunks) return no_memory(e);
    uint64_t points_count = 0, longest = 0;
    for (size_t k = 0; k < n; k++) {
        mseries *s = m->sorted[from + k];
        MUST(s->p.n == s->n);
        if (!sort_points(&s->p)) return no_memory(e);
        points_count += s->n;
        longest = MAX(longest, s->n);
    }
    /* One series of more points than a block may have is cut in time. */
    size_t step = longest > BLOCK_POINTS_MAX ? BLOCK_POINTS_MAX : (size_t)longest;
    rc code = RC_OK;
    for (size_t at = 0; at < longest && code == RC_OK; at += step) {
        for (size_t k = 0; k < n; k++) {
            mseries *s = m->sorted[from + k];
            size_t some = MIN(step, (size_t)s->n - at);
            series[k] = (series_in){s->info, s->attrs, some};
            chunks[k] = (chunk_in){.series = 1, .p = part_of(&s->p, at, some)};
        }
        uint64_t written = n == 1 ? series[0].n : points_count;
        uint64_t raw = (uint64_t)((double)m->raw_bytes * (double)written / (double)m->points);
        code = metric_block_put(series, n, chunks, n, 1, raw, mem, m->put, m->put_ctx, e);
    }
    return code;
}

static rc write_all(merger *m, size_t max_bytes, err *e) {
    size_t max_points = max_bytes / POINT_BYTES;
    max_points = MAX(MIN(max_points, (size_t)METRIC_BLOCK_POINTS), (size_t)GROUP_POINTS_MIN);
    m->sorted = mem_try_raw((m->series.n + 1) * sizeof(mseries *));
    if (!m->sorted) return no_memory(e);
    for (size_t i = 0; i < m->series.n; i++) m->sorted[i] = &m->series.v[i];
    qsort(m->sorted, m->series.n, sizeof(mseries *), by_name_and_labels);
    for (size_t i = 0; i < m->series.n; i++) m->sorted[i]->place = (uint32_t)i;
    arena mem;
    arena_init(&mem, "metric merge", ARENA_BYTES);
    rc code = RC_OK;
    for (size_t from = 0; from < m->series.n && code == RC_OK;) {
        size_t to = group_end(m, from, max_points);
        code = fill(m, from, to, &mem, e);
        if (code == RC_OK) code = write_group(m, from, to, &mem, e);
        for (size_t i = from; i < to; i++) m->sorted[i]->p = (points){0};
        arena_reset(&mem);
        from = to;
    }
    arena_release(&mem);
    return code;
}

rc metric_merge(const block_io *in, const block_info *info, size_t count, size_t max_bytes,
                block_put put, void *put_ctx, const volatile int *cancel, size_t *ret_bad, err *e) {
    merger m = {.in = in,
                .info = info,
                .count = count,
                .cancel = cancel,
                .put = put,
                .put_ctx = put_ctx,
                .ret_bad = ret_bad};
    arena_init(&m.mem, "metric merge labels", ARENA_BYTES);
    map64_init(&m.by_hash, SERIES_MAX);
    map64_init(&m.infos, SERIES_MAX);
    map64_init(&m.resources, SERIES_MAX);
    map64_init(&m.scopes, SERIES_MAX);
    m.of = mem_new_n(uint32_t *, count + 1);
    m.of_count = mem_new_n(size_t, count + 1);
    rc code = collect_series(&m, e);
    if (code == RC_OK) code = write_all(&m, max_bytes, e);
    for (size_t i = 0; i < count; i++) mem_free(m.of[i]);
    mem_free(m.of);
    mem_free(m.of_count);
    mem_free(m.sorted);
    vec_release(&m.series);
    map64_release(&m.scopes);
    map64_release(&m.resources);
    map64_release(&m.infos);
    map64_release(&m.by_hash);
    arena_release(&m.mem);
    return code;
}
