/* traces.c - searching traces and putting one together.
 *
 * A search asks the store for some of the newest matching spans, then for more, then for all, until
 * there are enough traces: so it opens few blocks when many traces match. Workers summarise on
 * their own and are added up.
 *
 * A trace's spans may come from machines whose clocks differ, may lack parents, and (from broken or
 * hostile senders) may name each other as parents in a circle, or share an id. The tree is made so
 * that none of this matters: the first span of an id is the parent of its children, a circle is cut
 * at its earliest span, orphans become roots, times of children count within their parent's only.
 */
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "query/query.h"

enum {
    DEFAULT_TRACES = 20,
    TRACES_MAX = 100000,      /* of one search, summarised at a time */
    TRACE_SPANS_MAX = 200000, /* of one trace; beyond: partial */
    SERVICES_MAX = 16,        /* told apart exactly */
    FIRST_LOOK = 50,          /* spans asked for first, in limits, and at least ... */
    FIRST_LOOK_MIN = 1000,
    LOOK_GROWTH = 16,
    LOOKS = 3, /* the last one is at everything */
    SEARCH_ARENA_MAX = 256 << 20
};

/* --- copies --- */

typedef struct span_cache {
    const resource *resource, *resource_copy;
    const scope *scope, *scope_copy;
} span_cache;

static str text_copy(str s, arena *out, bool *ok) {
    if (s.n == 0) return STR_NONE;
    str to = str_dup(out, s);
    if (!to.p) *ok = false;
    return to;
}

static const attribute *attrs_copy(const attribute *a, uint32_t count, arena *out, bool *ok) {
    if (count == 0) return NULL;
    attribute *to = arena_try_new_n(out, attribute, count);
    *ok &= to != NULL;
    for (uint32_t i = 0; to && i < count; i++) {
        to[i] = a[i];
        to[i].key = text_copy(a[i].key, out, ok);
        to[i].val = text_copy(a[i].val, out, ok);
    }
    return to;
}

static const resource *resource_copy_of(const resource *r, arena *out, bool *ok) {
    resource *to = arena_try_new(out, resource);
    *ok &= to != NULL;
    if (!to) return NULL;
    *to = *r;
    to->attrs = attrs_copy(r->attrs, r->attr_count, out, ok);
    to->schema_url = text_copy(r->schema_url, out, ok);
    to->entity_refs = text_copy(r->entity_refs, out, ok);
    to->service = text_copy(r->service, out, ok);
    to->host = text_copy(r->host, out, ok);
    return to;
}

static const scope *scope_copy_of(const scope *s, arena *out, bool *ok) {
    scope *to = arena_try_new(out, scope);
    *ok &= to != NULL;
    if (!to) return NULL;
    *to = *s;
    to->name = text_copy(s->name, out, ok);
    to->version = text_copy(s->version, out, ok);
    to->schema_url = text_copy(s->schema_url, out, ok);
    to->attrs = attrs_copy(s->attrs, s->attr_count, out, ok);
    return to;
}

static span *span_copy(const span *s, span_cache *cache, arena *out) {
    bool ok = true;
    span *to = arena_try_new(out, span);
    if (!to) return NULL;
    *to = *s;
    to->name = text_copy(s->name, out, &ok);
    to->trace_state = text_copy(s->trace_state, out, &ok);
    to->status_message = text_copy(s->status_message, out, &ok);
    to->attrs = attrs_copy(s->attrs, s->attr_count, out, &ok);
    span_event *events = s->event_count ? arena_try_new_n(out, span_event, s->event_count) : NULL;
    span_link *links = s->link_count ? arena_try_new_n(out, span_link, s->link_count) : NULL;
    if ((s->event_count && !events) || (s->link_count && !links)) return NULL;
    for (uint32_t i = 0; i < s->event_count; i++) {
        events[i] = s->events[i];
        events[i].name = text_copy(s->events[i].name, out, &ok);
        events[i].attrs = attrs_copy(s->events[i].attrs, s->events[i].attr_count, out, &ok);
    }
    for (uint32_t i = 0; i < s->link_count; i++) {
        links[i] = s->links[i];
        links[i].trace_id = text_copy(s->links[i].trace_id, out, &ok);
        links[i].span_id = text_copy(s->links[i].span_id, out, &ok);
        links[i].trace_state = text_copy(s->links[i].trace_state, out, &ok);
        links[i].attrs = attrs_copy(s->links[i].attrs, s->links[i].attr_count, out, &ok);
    }
    to->events = events;
    to->links = links;
    if (cache->resource != s->resource) {
        cache->resource = s->resource;
        cache->resource_copy = resource_copy_of(s->resource, out, &ok);
    }
    to->resource = cache->resource_copy;
    if (s->scope && cache->scope != s->scope) {
        cache->scope = s->scope;
        cache->scope_copy = scope_copy_of(s->scope, out, &ok);
    }
    to->scope = s->scope ? cache->scope_copy : NULL;
    return ok ? to : NULL;
}

static rc full(err *e) {
    return FAIL(e, RC_LIMIT, "the traces of the answer need too much memory");
}

/* --- search --- */

typedef struct sketch { /* of one trace */
    trace_summary sum;
    int64_t end_ns, root_start_ns;
    bool has_root;
    uint64_t services[SERVICES_MAX];
} sketch;

typedef struct search_worker {
    bool ready;
    map64 by_id;
    VEC(sketch) traces;
    arena names;
    uint64_t seen;
    bool cut;
} search_worker;

typedef struct search {
    search_worker *workers;
    unsigned count;
} search;

static uint64_t trace_hash(const uint8_t id[16]) {
    return str_hash(str_make((const char *)id, 16));
}

static bool is_root(const span *s) {
    static const uint8_t NONE[SPAN_ID_BYTES];
    return memcmp(s->parent_id, NONE, SPAN_ID_BYTES) == 0;
}

static void add_service(sketch *k, uint64_t hash) {
    for (uint32_t i = 0; i < k->sum.services; i++) {
        if (k->services[i] == hash) return;
    }
    if (k->sum.services < SERVICES_MAX) k->services[k->sum.services++] = hash;
}

/* The names of the root, else of the earliest span. */
static void take_names(sketch *k, const span *s, arena *names) {
    bool root = is_root(s);
    bool better = root == k->has_root ? s->start_ns < k->root_start_ns : root;
    if (k->sum.spans > 1 && !better) return;
    k->has_root = root;
    k->root_start_ns = s->start_ns;
    k->sum.root_service = str_dup(names, s->resource->service);
    k->sum.root_name = str_dup(names, s->name);
}

static void add_span(sketch *k, const span *s, arena *names) {
    int64_t end = MAX(s->end_ns, s->start_ns);
    if (k->sum.spans++ == 0) {
        memcpy(k->sum.trace_id, s->trace_id, sizeof(s->trace_id));
        k->sum.start_ns = s->start_ns;
        k->end_ns = end;
    }
    k->sum.start_ns = MIN(k->sum.start_ns, s->start_ns);
    k->end_ns = MAX(k->end_ns, end);
    k->sum.errors += s->status == SPAN_STATUS_ERROR;
    add_service(k, str_hash(s->resource->service));
    take_names(k, s, names);
}

static sketch *sketch_of(search_worker *w, const uint8_t id[16]) {
    bool added;
    uint64_t *at = map64_put(&w->by_id, trace_hash(id), &added);
    if (!at) {
        w->cut = true;
        return NULL;
    }
    if (added) {
        sketch none = {0};
        *at = w->traces.n;
        vec_push(&w->traces, none);
    }
    return &w->traces.v[*at];
}

static void search_worker_init(search_worker *w) {
    map64_init(&w->by_id, TRACES_MAX);
    arena_init(&w->names, "trace search", SEARCH_ARENA_MAX);
    w->ready = true;
}

static void search_worker_release(search_worker *w) {
    if (!w->ready) return;
    map64_release(&w->by_id);
    vec_release(&w->traces);
    arena_release(&w->names);
}

static rc on_spans(void *ctx, unsigned worker, const telemetry *t, err *e) {
    search *se = ctx;
    (void)e;
    MUST(worker < se->count);
    search_worker *w = &se->workers[worker];
    if (!w->ready) search_worker_init(w);
    w->seen += t->spans.count;
    for (size_t i = 0; i < t->spans.count; i++) {
        sketch *k = sketch_of(w, t->spans.rec[i].trace_id);
        if (k) add_span(k, &t->spans.rec[i], &w->names);
    }
    return RC_OK;
}

static void add_sketch(sketch *to, const sketch *from) {
    if (to->sum.spans == 0) {
        *to = *from;
        return;
    }
    bool better =
        from->has_root == to->has_root ? from->root_start_ns < to->root_start_ns : from->has_root;
    if (better) {
        to->sum.root_service = from->sum.root_service;
        to->sum.root_name = from->sum.root_name;
        to->has_root = from->has_root;
        to->root_start_ns = from->root_start_ns;
    }
    to->sum.start_ns = MIN(to->sum.start_ns, from->sum.start_ns);
    to->end_ns = MAX(to->end_ns, from->end_ns);
    to->sum.spans += from->sum.spans;
    to->sum.errors += from->sum.errors;
    for (uint32_t i = 0; i < from->sum.services; i++) add_service(to, from->services[i]);
}

/* All into the first worker. */
static void merge_workers(search *se, select_stats *stats) {
    search_worker *into = &se->workers[0];
    if (!into->ready) search_worker_init(into);
    for (unsigned i = 1; i < se->count; i++) {
        search_worker *w = &se->workers[i];
        for (size_t k = 0; w->ready && k < w->traces.n; k++) {
            sketch *to = sketch_of(into, w->traces.v[k].sum.trace_id);
            if (!to) break;
            sketch from = w->traces.v[k];
            from.sum.root_service = str_dup(&into->names, from.sum.root_service);
            from.sum.root_name = str_dup(&into->names, from.sum.root_name);
            add_sketch(to, &from);
        }
        if (w->ready) {
            into->cut |= w->cut;
            w->traces.n = 0;
            map64_reset(&w->by_id);
        }
    }
    if (into->cut && !stats->partial) {
        stats->partial = true;
        (void)snprintf(stats->reason, sizeof(stats->reason), "more than %d traces match",
                       TRACES_MAX);
    }
}

static int newest_trace(const void *a, const void *b) {
    const sketch *x = a, *y = b;
    if (x->sum.start_ns != y->sum.start_ns) return x->sum.start_ns > y->sum.start_ns ? -1 : 1;
    return memcmp(x->sum.trace_id, y->sum.trace_id, 16);
}

static rc scan(store *s, search *se, span_select *q, size_t limit, select_stats *stats, err *e) {
    uint64_t look = MAX((uint64_t)limit * FIRST_LOOK, (uint64_t)FIRST_LOOK_MIN);
    for (int i = q->trace_id ? LOOKS - 1 : 0;; i++) {
        bool last = i == LOOKS - 1;
        q->c.limit = last ? 0 : look;
        q->c.order = last ? SELECT_ANY : SELECT_NEWEST_FIRST;
        rc c = s->ops->spans(s, q, on_spans, se, stats, e);
        uint64_t seen = 0;
        for (unsigned w = 0; w < se->count; w++) seen += se->workers[w].seen;
        merge_workers(se, stats);
        /* fewer than asked for: there are no more */
        if (c || last || stats->partial || seen < look || se->workers[0].traces.n >= limit)
            return c;
        for (unsigned w = 0; w < se->count; w++) {
            search_worker_release(&se->workers[w]);
            se->workers[w] = (search_worker){0};
        }
        look *= LOOK_GROWTH;
    }
}

/* The summary of a whole trace, `matched` kept. */
static rc summarise(store *s, const span_select *q, arena *mem, sketch *k, select_stats *stats,
                    err *e) {
    search one = {.workers = mem_new_n(search_worker, 1), .count = 1};
    span_select all = {.trace_id = k->sum.trace_id, .status = -1, .kind = -1};
    all.c.workers = 1;
    all.c.cancel = q->c.cancel;
    all.c.deadline_ns = q->c.deadline_ns;
    rc c = s->ops->spans(s, &all, on_spans, &one, stats, e);
    search_worker *w = &one.workers[0];
    if (!c && w->ready && w->traces.n) {
        uint32_t matched = k->sum.spans;
        sketch whole = w->traces.v[0];
        whole.sum.matched = matched;
        whole.sum.root_service = str_dup(mem, whole.sum.root_service);
        whole.sum.root_name = str_dup(mem, whole.sum.root_name);
        *k = whole;
    }
    search_worker_release(w);
    mem_free(one.workers);
    return c;
}

rc query_traces(store *s, const trace_search *q, arena *mem, const trace_summary **ret,
                size_t *ret_count, select_stats *stats, err *e) {
    span_select sel = q->select;
    size_t limit = sel.c.limit ? (size_t)MIN(sel.c.limit, TRACES_MAX) : DEFAULT_TRACES;
    sel.c.limit = 0;
    sel.c.order = SELECT_ANY;
    sel.c.workers = MAX(sel.c.workers, 1);
    search se = {.workers = mem_new_n(search_worker, sel.c.workers), .count = sel.c.workers};
    rc c = scan(s, &se, &sel, limit, stats, e);
    search_worker *w = &se.workers[0];
    size_t n = 0;
    trace_summary *out = NULL;
    if (!c) {
        if (w->traces.n) qsort(w->traces.v, w->traces.n, sizeof(sketch), newest_trace);
        n = MIN(w->traces.n, limit);
        out = arena_try_new_n(mem, trace_summary, MAX(n, 1));
        if (!out) c = full(e);
    }
    for (size_t i = 0; i < n && !c; i++) {
        sketch *k = &w->traces.v[i];
        k->sum.matched = k->sum.spans;
        if (q->whole) c = summarise(s, &q->select, mem, k, stats, e);
        if (c) break;
        out[i] = k->sum;
        out[i].duration_ns = k->end_ns - k->sum.start_ns;
        out[i].root_service = str_dup(mem, k->sum.root_service);
        out[i].root_name = str_dup(mem, k->sum.root_name);
        if ((k->sum.root_service.n && !out[i].root_service.p) ||
            (k->sum.root_name.n && !out[i].root_name.p)) {
            c = full(e);
        }
    }
    for (unsigned i = 0; i < se.count; i++) search_worker_release(&se.workers[i]);
    mem_free(se.workers);
    if (c) return c;
    *ret = out;
    *ret_count = n;
    return RC_OK;
}

/* --- one trace --- */

typedef struct gathered {
    arena *mem;
    VEC(span *) spans;
    select_stats *stats;
} gathered;

static rc on_trace(void *ctx, unsigned worker, const telemetry *t, err *e) {
    gathered *g = ctx;
    (void)worker;
    span_cache cache = {0};
    for (size_t i = 0; i < t->spans.count; i++) {
        if (g->spans.n >= TRACE_SPANS_MAX) {
            g->stats->partial = true;
            (void)snprintf(g->stats->reason, sizeof(g->stats->reason),
                           "the trace has more than %d spans", TRACE_SPANS_MAX);
            return RC_END;
        }
        span *copy = span_copy(&t->spans.rec[i], &cache, g->mem);
        if (!copy) return full(e);
        vec_push(&g->spans, copy);
    }
    return RC_OK;
}

static int by_start(const void *a, const void *b) {
    const span *x = *(span *const *)a, *y = *(span *const *)b;
    if (x->start_ns != y->start_ns) return x->start_ns < y->start_ns ? -1 : 1;
    return memcmp(x->span_id, y->span_id, SPAN_ID_BYTES);
}

static uint64_t id_key(const uint8_t id[SPAN_ID_BYTES]) {
    uint64_t k;
    memcpy(&k, id, sizeof(k));
    return k;
}

/* Parents by index, UINT32_MAX for roots and orphans; no circles. `s` is sorted by start. */
static void find_parents(span *const *s, size_t n, uint32_t *parent) {
    map64 by_id;
    map64_init(&by_id, n);
    for (size_t i = 0; i < n; i++) {
        bool added;
        uint64_t *at = map64_put(&by_id, id_key(s[i]->span_id), &added);
        MUST(at != NULL);
        if (added) *at = i;
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t *at = is_root(s[i]) ? NULL : map64_get(&by_id, id_key(s[i]->parent_id));
        parent[i] = at && *at != i ? (uint32_t)*at : UINT32_MAX;
    }
    map64_release(&by_id);
    /* Each walk upwards marks what it passes; meeting its own mark is a circle, cut there. */
    uint32_t *mark = mem_new_n(uint32_t, MAX(n, 1));
    for (size_t i = 0; i < n; i++) {
        uint32_t walk = (uint32_t)i + 1, at = (uint32_t)i;
        while (at != UINT32_MAX && mark[at] == 0) {
            mark[at] = walk;
            at = parent[at];
        }
        if (at == UINT32_MAX || mark[at] != walk) continue;
        uint32_t earliest = at; /* of the circle: the lowest index */
        for (uint32_t k = parent[at]; k != at; k = parent[k]) earliest = MIN(earliest, k);
        parent[earliest] = UINT32_MAX;
    }
    mem_free(mark);
}

/* Duration less the union of the children's, within it. Children come in order of their start. */
static int64_t self_time(span *const *s, uint32_t i, const uint32_t *children, size_t count) {
    int64_t start = s[i]->start_ns, end = MAX(s[i]->end_ns, start);
    int64_t covered = 0, until = start;
    for (size_t k = 0; k < count; k++) {
        int64_t from = MAX(s[children[k]]->start_ns, until);
        int64_t to = MIN(MAX(s[children[k]]->end_ns, s[children[k]]->start_ns), end);
        if (to <= from) continue;
        covered += to - from;
        until = to;
    }
    return end - start - covered;
}

static void assemble(span *const *s, size_t n, trace_node *out) {
    uint32_t *parent = mem_new_n(uint32_t, MAX(n, 1));
    uint32_t *first = mem_new_n(uint32_t, n + 2); /* of the children of i, in `children` */
    uint32_t *children = mem_new_n(uint32_t, MAX(n, 1));
    uint32_t *stack = mem_new_n(uint32_t, MAX(n, 1));
    uint32_t *placed = mem_new_n(uint32_t, MAX(n, 1)); /* index in out */
    find_parents(s, n, parent);
    /* Children of node i are bucket i, roots bucket n: counting sort keeps the order by start. */
    for (size_t i = 0; i < n; i++) first[(parent[i] == UINT32_MAX ? n : parent[i]) + 1]++;
    for (size_t i = 0; i <= n; i++) first[i + 1] += first[i];
    uint32_t *next = mem_new_n(uint32_t, n + 1);
    memcpy(next, first, (n + 1) * sizeof(*next));
    for (size_t i = 0; i < n; i++)
        children[next[parent[i] == UINT32_MAX ? n : parent[i]]++] = (uint32_t)i;
    size_t depth = 0, done = 0;
    for (uint32_t k = first[n + 1]; k > first[n]; k--) stack[depth++] = children[k - 1];
    while (depth > 0) {
        uint32_t i = stack[--depth];
        trace_node *node = &out[done];
        placed[i] = (uint32_t)done++;
        *node = (trace_node){.span = s[i], .parent = UINT32_MAX};
        if (parent[i] != UINT32_MAX) {
            node->parent = placed[parent[i]];
            node->depth = out[node->parent].depth + 1;
        }
        node->self_ns = self_time(s, i, children + first[i], first[i + 1] - first[i]);
        for (uint32_t k = first[i + 1]; k > first[i]; k--) stack[depth++] = children[k - 1];
    }
    MUST(done == n); /* no circle is left */
    mem_free(parent);
    mem_free(first);
    mem_free(children);
    mem_free(stack);
    mem_free(placed);
    mem_free(next);
}

rc query_trace(store *s, const uint8_t trace_id[16], arena *mem, const trace_node **ret,
               size_t *ret_count, select_stats *stats, err *e) {
    gathered g = {.mem = mem, .stats = stats};
    span_select q = {.trace_id = trace_id, .status = -1, .kind = -1};
    q.c.workers = 1;
    rc c = s->ops->spans(s, &q, on_trace, &g, stats, e);
    if (c == RC_END) c = RC_OK;
    size_t n = g.spans.n;
    trace_node *out = NULL;
    if (!c && n == 0) c = RC_NOT_FOUND;
    if (!c) {
        out = arena_try_new_n(mem, trace_node, n);
        if (!out) c = full(e);
    }
    if (!c) {
        qsort(g.spans.v, n, sizeof(*g.spans.v), by_start);
        assemble(g.spans.v, n, out);
        *ret = out;
        *ret_count = n;
    }
    vec_release(&g.spans);
    return c;
}
