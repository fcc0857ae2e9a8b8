#include "telemetry_gen.h"

#include "base/mem.h"
#include "codec/otlp.h"

typedef struct attr_list {
    const attribute *a;
    uint32_t n;
} attr_list;

static const char *const WORDS[] = {"checkout", "cart",     "GET /api/v1/items", "",  "0",
                                    "true",     "10.0.0.1", "caf\xc3\xa9",       "a", "payment"};

str gen_text(arena *mem, rng *r) {
    switch (rng_below(r, 5)) {
    case 0:
        return str_fmt(mem, "id-%" PRIx64, rng_u64(r));
    case 1:
        return str_fmt(mem, "%" PRIu64, rng_below(r, 1000));
    case 2: {
        char raw[9];
        size_t n = rng_below(r, sizeof raw);
        for (size_t i = 0; i < n; i++) raw[i] = (char)rng_u64(r);
        return str_dup(mem, str_make(raw, n));
    }
    default:
        return str_c(WORDS[rng_below(r, ARRAY_LEN(WORDS))]);
    }
}

attribute gen_attr(arena *mem, rng *r) {
    static const char *const keys[] = {"http.method", "http.status_code",   "k",
                                       "url.path",    "long.name.of.a.key", "db.system",
                                       "user id"};
    attribute a = {.key = str_c(keys[rng_below(r, ARRAY_LEN(keys))]),
                   .type = (uint8_t)rng_below(r, 8)};
    if (rng_below(r, 40) == 0) a.key = gen_text(mem, r);
    switch (a.type) {
    case ATTR_INT:
        a.num = (int64_t)(rng_u64(r) >> rng_below(r, 64));
        break;
    case ATTR_DOUBLE: {
        double d = rng_below(r, 2) ? rng_normal(r) : (double)rng_below(r, 100) / 10;
        memcpy(&a.num, &d, 8);
        break;
    }
    case ATTR_BOOL:
        a.num = (int64_t)rng_below(r, 2);
        break;
    case ATTR_EMPTY:
        break;
    default:
        a.val = gen_text(mem, r);
    }
    return a;
}

static const attribute *gen_attrs(arena *mem, rng *r, uint32_t *n) {
    *n = (uint32_t)rng_below(r, 7);
    if (rng_below(r, 500) == 0) *n = 2000; /* more keys than columns */
    attribute *a = (attribute *)arena_bytes(mem, sizeof(attribute) * (*n + 1), 8);
    for (uint32_t i = 0; i < *n; i++) {
        a[i] = gen_attr(mem, r);
        if (*n == 2000) a[i].key = str_fmt(mem, "key%u", (unsigned)i);
    }
    return a;
}

const resource *gen_resource(arena *mem, rng *r) {
    resource *x = arena_new(mem, resource);
    attribute *a = (attribute *)arena_bytes(mem, sizeof(attribute) * (4), 8);
    uint64_t k = rng_below(r, 6);
    a[0] = attribute_text_of(S("service.name"), str_fmt(mem, "svc-%u", (unsigned)k));
    a[1] = attribute_text_of(S("host.name"), str_fmt(mem, "host-%u", (unsigned)(k % 3)));
    a[2] = (attribute){.key = S("process.pid"), .type = ATTR_INT, .num = (int64_t)k};
    x->attrs = a;
    x->attr_count = (uint32_t)rng_below(r, 4);
    x->dropped_attrs = k == 5;
    if (k == 4) x->schema_url = S("https://opentelemetry.io/schemas/1.30.0");
    if (k == 3) x->entity_refs = S("\x1a\x02\x12\x00");
    resource_finish(x);
    return x;
}

static const scope *gen_scope(arena *mem, rng *r) {
    if (rng_below(r, 3) == 0) return NULL;
    scope *x = arena_new(mem, scope);
    x->name = rng_below(r, 2) ? S("lib") : S("");
    x->version = rng_below(r, 2) ? S("1.2") : S("");
    if (rng_below(r, 4) == 0) x->attrs = gen_attrs(mem, r, &x->attr_count);
    if (rng_below(r, 4) == 0) x->schema_url = S("url");
    x->dropped_attrs = (uint32_t)rng_below(r, 2);
    scope_finish(x);
    return x;
}

static str gen_bytes(arena *mem, rng *r, size_t n) {
    char *p = arena_bytes(mem, n, 1);
    for (size_t i = 0; i < n; i++) p[i] = (char)rng_u64(r);
    return str_make(p, n);
}

static void gen_span_items(telemetry *t, rng *r, span *s) {
    arena *mem = &t->mem;
    s->event_count = (uint32_t)rng_below(r, 3);
    span_event *v = (span_event *)arena_bytes(mem, sizeof(span_event) * (s->event_count + 1), 8);
    for (uint32_t i = 0; i < s->event_count; i++) {
        v[i] = (span_event){.ts_ns = s->start_ns + (int64_t)rng_below(r, 1000) - 10,
                            .name = gen_text(mem, r),
                            .dropped_attrs = rng_below(r, 9) == 0};
        v[i].attrs = gen_attrs(mem, r, &v[i].attr_count);
    }
    s->events = v;
    s->link_count = rng_below(r, 5) == 0;
    span_link *l = (span_link *)arena_bytes(mem, sizeof(span_link) * (1), 8);
    if (s->link_count) {
        *l = (span_link){.trace_id = gen_bytes(mem, r, rng_below(r, 4) ? 16 : 3),
                         .span_id = gen_bytes(mem, r, rng_below(r, 4) ? 8 : 0),
                         .trace_state = gen_text(mem, r),
                         .dropped_attrs = rng_below(r, 2) == 0,
                         .flags = (uint32_t)rng_u64(r)};
        l->attrs = gen_attrs(mem, r, &l->attr_count);
    }
    s->links = l;
}

void gen_spans(telemetry *t, rng *r, size_t count) {
    arena *mem = &t->mem;
    const int64_t base = 1785542400000000000;
    for (size_t i = 0; i < count; i++) {
        span *s = telemetry_add_span(t);
        const span *other = i ? &t->spans.rec[rng_below(r, i)] : s;
        uint64_t id = rng_u64(r) | 1;
        memcpy(s->span_id, &id, 8);
        if (i && rng_below(r, 4)) {
            memcpy(s->trace_id, other->trace_id, 16);
            if (rng_below(r, 10)) memcpy(s->parent_id, other->span_id, 8);
        } else {
            uint64_t trace[2] = {rng_u64(r) | 1, rng_u64(r)};
            memcpy(s->trace_id, trace, 16);
            if (rng_below(r, 4) == 0) memcpy(s->parent_id, &trace[1], 8);
        }
        s->resource = gen_resource(mem, r);
        s->scope = gen_scope(mem, r);
        s->name = gen_text(mem, r);
        s->start_ns = base + (int64_t)rng_below(r, 3600000000000);
        s->end_ns = s->start_ns + (int64_t)rng_below(r, 4000000000) - 1000;
        if (rng_below(r, 50) == 0) s->start_ns = 0;
        if (rng_below(r, 50) == 0) s->end_ns = rng_below(r, 2) ? 0 : INT64_MIN;
        if (rng_below(r, 10) == 0) s->trace_state = gen_text(mem, r);
        if (rng_below(r, 10) == 0) s->status_message = gen_text(mem, r);
        s->kind = rng_below(r, 20) ? (int32_t)rng_below(r, 6) : (int32_t)rng_u64(r);
        s->status = rng_below(r, 20) ? (int32_t)rng_below(r, 3) : (int32_t)rng_u64(r);
        s->flags = (uint32_t)(rng_below(r, 2) ? 0 : rng_u64(r));
        s->dropped_attrs = rng_below(r, 9) == 0;
        s->dropped_events = rng_below(r, 9) == 0;
        s->dropped_links = rng_below(r, 9) == 0;
        s->attrs = gen_attrs(mem, r, &s->attr_count);
        gen_span_items(t, r, s);
    }
    t->body_bytes = 0;
}

/* ---- metrics ---- */

static int64_t gen_number(rng *r, bool is_int) {
    if (is_int) return (int64_t)(rng_u64(r) >> rng_below(r, 64));
    double d = rng_below(r, 3) ? (double)rng_below(r, 100000) / 100 : rng_normal(r);
    if (rng_below(r, 30) == 0) return 0x7ff0000000000002; /* staleness marker */
    int64_t v;
    memcpy(&v, &d, 8);
    return v;
}

static const uint64_t *gen_counts(arena *mem, rng *r, uint32_t n) {
    uint64_t *v = arena_bytes(mem, (n + 1) * sizeof *v, 8);
    for (uint32_t i = 0; i < n; i++) v[i] = rng_below(r, 5) ? rng_below(r, 50) : rng_u64(r);
    return v;
}
static const double *gen_doubles(arena *mem, rng *r, uint32_t n) {
    double *v = arena_bytes(mem, (n + 1) * sizeof *v, 8);
    for (uint32_t i = 0; i < n; i++) v[i] = i + (rng_below(r, 9) ? 0 : rng_double(r));
    return v;
}

static void gen_exemplars(arena *mem, rng *r, metric_point *p) {
    if (rng_below(r, 6)) return;
    p->exemplar_count = 1 + (uint32_t)rng_below(r, 2);
    exemplar *x = (exemplar *)arena_bytes(mem, sizeof(exemplar) * p->exemplar_count, 8);
    for (uint32_t i = 0; i < p->exemplar_count; i++) {
        x[i].ts_ns = p->ts_ns - (int64_t)rng_below(r, 1000);
        x[i].is_int = rng_below(r, 2);
        x[i].num = gen_number(r, x[i].is_int);
        if (rng_below(r, 2)) x[i].trace_id = gen_bytes(mem, r, 16);
        if (rng_below(r, 2)) x[i].span_id = gen_bytes(mem, r, 8);
        x[i].attrs = gen_attrs(mem, r, &x[i].attr_count);
    }
    p->exemplars = x;
}

static void gen_histogram(rng *r, metric_point *p) {
    p->has_sum = rng_below(r, 3);
    p->has_min = rng_below(r, 2);
    p->has_max = rng_below(r, 2);
    p->count = rng_below(r, 1000);
    if (p->has_sum) p->sum = rng_normal(r);
    if (p->has_min) p->min = rng_normal(r);
    if (p->has_max) p->max = (double)rng_below(r, 100);
}

static void gen_point_of(arena *mem, rng *r, metric_point *p, uint8_t kind, uint32_t size) {
    if (rng_below(r, 20) == 0) size = (uint32_t)rng_below(r, 9);
    switch (kind) {
    case METRIC_GAUGE:
    case METRIC_SUM:
        p->has_value = rng_below(r, 30) != 0;
        p->is_int = p->has_value && rng_below(r, 2);
        if (p->has_value) p->num = gen_number(r, p->is_int);
        break;
    case METRIC_HISTOGRAM:
        gen_histogram(r, p);
        p->bound_count = size;
        p->bucket_count = size ? size + 1 : 0;
        p->bounds = gen_doubles(mem, r, p->bound_count);
        p->buckets = gen_counts(mem, r, p->bucket_count);
        break;
    case METRIC_EXP_HISTOGRAM:
        gen_histogram(r, p);
        p->scale = (int32_t)rng_below(r, 20) - 10;
        p->zero_count = rng_below(r, 3);
        p->zero_threshold = rng_below(r, 2) ? 0 : rng_double(r);
        p->offset = (int32_t)rng_u64(r);
        p->negative_offset = (int32_t)rng_below(r, 9) - 4;
        p->bucket_count = size;
        p->negative_count = (uint32_t)rng_below(r, 3);
        p->buckets = gen_counts(mem, r, p->bucket_count);
        p->negative = gen_counts(mem, r, p->negative_count);
        break;
    default:
        p->count = rng_below(r, 100);
        p->sum = rng_normal(r);
        p->bound_count = size;
        p->bounds = gen_doubles(mem, r, size);
        p->values = gen_doubles(mem, r, size);
    }
}

void gen_metrics(telemetry *t, rng *r, size_t count, int64_t now_ns) {
    static const char *const names[] = {"http.server.duration", "up", "node_cpu_seconds_total",
                                        "queue", "rpc.size"};
    arena *mem = &t->mem;
    enum { METRICS = 12, LISTS = 6 };
    attr_list lists[LISTS];
    for (size_t i = 0; i < LISTS; i++) {
        attribute *a = arena_bytes(mem, 2 * sizeof *a, 8);
        a[0] = attribute_text_of(S("cpu"), str_fmt(mem, "%u", (unsigned)i % 4));
        a[1] = i == 5 ? gen_attr(mem, r) : attribute_text_of(S("mode"), S("idle"));
        lists[i] = (attr_list){a, (uint32_t)(i % 3)};
    }
    for (uint32_t i = 0; i < METRICS; i++) {
        metric_info *m = telemetry_add_metric(t);
        m->name = str_c(names[rng_below(r, ARRAY_LEN(names))]);
        m->kind = (uint8_t)(1 + rng_below(r, 5));
        m->unit = rng_below(r, 2) ? S("s") : S("");
        m->description = rng_below(r, 4) ? S("what it is") : S("");
        if (m->kind == METRIC_SUM) m->monotonic = rng_below(r, 2);
        m->temporality = m->kind == METRIC_GAUGE ? 0 : rng_below(r, 9) ? 2 : (int32_t)rng_u64(r);
        if (rng_below(r, 8) == 0) m->metadata = gen_attrs(mem, r, &m->metadata_count);
        m->resource = gen_resource(mem, r);
        m->scope = gen_scope(mem, r);
    }
    for (size_t k = 0; k < count; k++) {
        metric_point *p = telemetry_add_point(t);
        p->metric = (uint32_t)(k % 3 ? rng_below(r, METRICS) : k / 50 % METRICS);
        attr_list l = lists[rng_below(r, LISTS)];
        p->attrs = l.a;
        p->attr_count = l.n;
        p->ts_ns = now_ns + (int64_t)(k / METRICS) * 15000000000 + (int64_t)rng_below(r, 3);
        if (rng_below(r, 2)) p->start_ns = now_ns - 1000000000;
        p->flags = rng_below(r, 30) ? 0 : POINT_NO_VALUE;
        gen_point_of(mem, r, p, t->metrics.info[p->metric].kind, 4);
        gen_exemplars(mem, r, p);
    }
}

static bool same_words(const void *a, const void *b, size_t n) {
    return n == 0 || memcmp(a, b, n * 8) == 0;
}

bool same_point(const metric_point *a, const metric_point *b) {
    if (a->flags != b->flags || a->start_ns != b->start_ns || a->ts_ns != b->ts_ns ||
        a->exemplar_count != b->exemplar_count || a->is_int != b->is_int ||
        a->has_sum != b->has_sum || a->has_min != b->has_min || a->has_max != b->has_max ||
        a->has_value != b->has_value || a->num != b->num || a->count != b->count ||
        a->bucket_count != b->bucket_count || a->bound_count != b->bound_count ||
        a->negative_count != b->negative_count || a->scale != b->scale || a->offset != b->offset ||
        a->negative_offset != b->negative_offset || a->zero_count != b->zero_count ||
        !same_words(&a->sum, &b->sum, 1) || !same_words(&a->min, &b->min, 1) ||
        !same_words(&a->max, &b->max, 1) ||
        !same_words(&a->zero_threshold, &b->zero_threshold, 1) ||
        !same_words(a->buckets, b->buckets, a->bucket_count) ||
        !same_words(a->negative, b->negative, a->negative_count) ||
        !same_words(a->bounds, b->bounds, a->bound_count) ||
        (a->bound_count && !a->values != !b->values) ||
        (a->values && !same_words(a->values, b->values, a->bound_count)))
        return false;
    for (uint32_t i = 0; i < a->exemplar_count; i++) {
        const exemplar *x = &a->exemplars[i], *y = &b->exemplars[i];
        if (x->ts_ns != y->ts_ns || x->is_int != y->is_int || x->num != y->num ||
            !str_eq(x->trace_id, y->trace_id) || !str_eq(x->span_id, y->span_id) ||
            !same_attrs(x->attrs, x->attr_count, y->attrs, y->attr_count))
            return false;
    }
    return true;
}

bool same_metric(const metric_info *a, const metric_info *b) {
    return str_eq(a->name, b->name) && str_eq(a->unit, b->unit) &&
           str_eq(a->description, b->description) && a->kind == b->kind &&
           a->monotonic == b->monotonic && a->temporality == b->temporality &&
           same_attrs(a->metadata, a->metadata_count, b->metadata, b->metadata_count) &&
           same_resource(a->resource, b->resource) && same_scope(a->scope, b->scope);
}

bool same_attrs(const attribute *a, uint32_t n, const attribute *b, uint32_t m) {
    if (n != m) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (a[i].type != b[i].type || a[i].num != b[i].num || !str_eq(a[i].key, b[i].key) ||
            !str_eq(a[i].val, b[i].val))
            return false;
    }
    return true;
}

bool same_resource(const resource *a, const resource *b) {
    return same_attrs(a->attrs, a->attr_count, b->attrs, b->attr_count) &&
           a->dropped_attrs == b->dropped_attrs && str_eq(a->schema_url, b->schema_url) &&
           str_eq(a->entity_refs, b->entity_refs) && str_eq(a->service, b->service) &&
           str_eq(a->host, b->host) && a->hash == b->hash;
}

bool same_scope(const scope *a, const scope *b) {
    if (!a || !b) return a == b;
    return str_eq(a->name, b->name) && str_eq(a->version, b->version) &&
           str_eq(a->schema_url, b->schema_url) && a->dropped_attrs == b->dropped_attrs &&
           same_attrs(a->attrs, a->attr_count, b->attrs, b->attr_count);
}

static bool same_events(const span *a, const span *b) {
    if (a->event_count != b->event_count || a->link_count != b->link_count) return false;
    for (uint32_t i = 0; i < a->event_count; i++) {
        const span_event *x = &a->events[i], *y = &b->events[i];
        if (x->ts_ns != y->ts_ns || !str_eq(x->name, y->name) ||
            x->dropped_attrs != y->dropped_attrs ||
            !same_attrs(x->attrs, x->attr_count, y->attrs, y->attr_count))
            return false;
    }
    for (uint32_t i = 0; i < a->link_count; i++) {
        const span_link *x = &a->links[i], *y = &b->links[i];
        if (!str_eq(x->trace_id, y->trace_id) || !str_eq(x->span_id, y->span_id) ||
            !str_eq(x->trace_state, y->trace_state) || x->dropped_attrs != y->dropped_attrs ||
            x->flags != y->flags || !same_attrs(x->attrs, x->attr_count, y->attrs, y->attr_count))
            return false;
    }
    return true;
}

bool same_span(const span *a, const span *b) {
    return memcmp(a->trace_id, b->trace_id, 16) == 0 && memcmp(a->span_id, b->span_id, 8) == 0 &&
           memcmp(a->parent_id, b->parent_id, 8) == 0 && same_resource(a->resource, b->resource) &&
           same_scope(a->scope, b->scope) && str_eq(a->name, b->name) &&
           str_eq(a->trace_state, b->trace_state) && str_eq(a->status_message, b->status_message) &&
           a->start_ns == b->start_ns && a->end_ns == b->end_ns &&
           a->dropped_attrs == b->dropped_attrs && a->dropped_events == b->dropped_events &&
           a->dropped_links == b->dropped_links && a->flags == b->flags && a->kind == b->kind &&
           a->status == b->status && same_attrs(a->attrs, a->attr_count, b->attrs, b->attr_count) &&
           same_events(a, b);
}

/* --- blocks --- */

static rc read_bytes(void *ctx, uint64_t offset, size_t n, void *to, err *e) {
    const block_io *io = ctx; /* the payload lies behind it */
    (void)e;
    memcpy(to, (const char *)io + sizeof *io + offset, n);
    return RC_OK;
}

rc block_list_put(void *ctx, const block_info *info, str payload, err *e) {
    block_list *l = ctx;
    (void)e;
    assert_true(l->count < ARRAY_LEN(l->info));
    assert_int_equal(info->bytes, payload.n);
    assert_true(info->rows > 0);
    assert_true(info->min_ts_ns <= info->max_ts_ns);
    size_t i = l->count++;
    l->info[i] = *info;
    char *p = mem_alloc(sizeof(block_io) + payload.n);
    memcpy(p + sizeof(block_io), payload.p, payload.n);
    l->bytes[i] = p;
    static uint64_t next_id = 1;
    l->io[i] = (block_io){.read = read_bytes, .ctx = p, .id = next_id++};
    /* every second one is in memory as the newest blocks are, the others are read */
    if (i % 2) l->io[i].memory = str_make(p + sizeof(block_io), payload.n);
    return RC_OK;
}

void block_list_release(block_list *l) {
    for (size_t i = 0; i < l->count; i++) mem_free(l->bytes[i]);
    l->count = 0;
}

/* ---- profiles ---- */

#define LIST(mem, T, n) ((T *)arena_bytes(mem, sizeof(T) * ((n) + (size_t)1), 8))

static const uint32_t *gen_refs(arena *mem, rng *r, uint32_t max, uint32_t count, uint32_t *n) {
    *n = max ? (uint32_t)rng_below(r, count + 1) : 0;
    uint32_t *v = LIST(mem, uint32_t, *n);
    for (uint32_t i = 0; i < *n; i++) v[i] = (uint32_t)rng_below(r, max);
    return v;
}

static void gen_tables(telemetry *t, rng *r) {
    enum { N = 20 };
    arena *mem = &t->mem;
    profile_batch *b = &t->profiles;
    profile_attr *attrs = LIST(mem, profile_attr, N);
    profile_mapping *mappings = LIST(mem, profile_mapping, N);
    profile_function *functions = LIST(mem, profile_function, N);
    profile_location *locations = LIST(mem, profile_location, N);
    profile_stack *stacks = LIST(mem, profile_stack, N);
    profile_link *links = LIST(mem, profile_link, N);
    attrs[0].attr.type = ATTR_EMPTY;
    for (uint32_t i = 1; i < N; i++) {
        attrs[i].attr = gen_attr(mem, r);
        attrs[i].unit = rng_below(r, 2) ? S("bytes") : S("");
        mappings[i].start = rng_u64(r);
        mappings[i].limit = rng_below(r, 3);
        mappings[i].file = gen_text(mem, r);
        mappings[i].attrs = gen_refs(mem, r, N, 3, &mappings[i].attr_count);
        functions[i] = (profile_function){gen_text(mem, r), gen_text(mem, r), gen_text(mem, r),
                                          (int64_t)rng_below(r, 100) - 1};
        locations[i].mapping = (uint32_t)rng_below(r, N);
        locations[i].address = rng_u64(r) >> rng_below(r, 64);
        locations[i].line_count = (uint32_t)rng_below(r, 3);
        profile_frame_line *lines = LIST(mem, profile_frame_line, locations[i].line_count);
        for (uint32_t k = 0; k < locations[i].line_count; k++)
            lines[k] = (profile_frame_line){(uint32_t)rng_below(r, N), (int64_t)rng_below(r, 900),
                                            (int64_t)rng_below(r, 3)};
        locations[i].lines = lines;
        locations[i].attrs = gen_refs(mem, r, N, 2, &locations[i].attr_count);
        stacks[i].locations = gen_refs(mem, r, N, 9, &stacks[i].count);
        links[i].trace_id = gen_bytes(mem, r, 16);
        links[i].span_id = gen_bytes(mem, r, 8);
    }
    b->attrs = attrs;
    b->mappings = mappings;
    b->functions = functions;
    b->locations = locations;
    b->stacks = stacks;
    b->links = links;
    b->attr_count = b->mapping_count = b->function_count = b->location_count = b->stack_count = N;
    b->link_count = N;
}

static const int64_t *gen_values(arena *mem, rng *r, uint32_t n) {
    int64_t *v = LIST(mem, int64_t, n);
    for (uint32_t i = 0; i < n; i++) v[i] = (int64_t)(rng_u64(r) >> rng_below(r, 64));
    return v;
}

void gen_profiles(telemetry *t, rng *r, size_t count) {
    arena *mem = &t->mem;
    gen_tables(t, r);
    for (size_t i = 0; i < count; i++) {
        profile *p = telemetry_add_profile(t);
        p->resource = gen_resource(mem, r);
        p->scope = gen_scope(mem, r);
        p->type = rng_below(r, 2) ? S("cpu") : S("alloc_space");
        p->unit = rng_below(r, 2) ? S("nanoseconds") : S("bytes");
        if (rng_below(r, 2)) p->period_type = S("cpu");
        p->period = (int64_t)rng_below(r, 100) - 3;
        p->ts_ns = 1785542400000000000 + (int64_t)rng_below(r, 3600000000000);
        p->duration_ns = rng_below(r, 1000);
        p->profile_id = gen_bytes(mem, r, rng_below(r, 2) ? 16 : 0);
        if (rng_below(r, 5) == 0) {
            p->payload_format = S("pprof");
            p->payload = gen_text(mem, r);
        }
        p->attrs = gen_refs(mem, r, t->profiles.attr_count, 3, &p->attr_count);
        p->dropped_attrs = (uint32_t)rng_below(r, 2);
        p->sample_count = (uint32_t)rng_below(r, 30);
        profile_sample *s = LIST(mem, profile_sample, p->sample_count);
        for (uint32_t k = 0; k < p->sample_count; k++) {
            s[k].stack = (uint32_t)rng_below(r, t->profiles.stack_count);
            s[k].link = rng_below(r, 2) ? 0 : (uint32_t)rng_below(r, t->profiles.link_count);
            s[k].attrs = gen_refs(mem, r, t->profiles.attr_count, 2, &s[k].attr_count);
            s[k].value_count = (uint32_t)rng_below(r, 3);
            s[k].values = gen_values(mem, r, s[k].value_count);
            s[k].timestamp_count = (uint32_t)rng_below(r, 3);
            s[k].timestamps_ns = gen_values(mem, r, s[k].timestamp_count);
        }
        p->samples = s;
    }
}

static bool same_refs(const profile_batch *x, const uint32_t *a, uint32_t n, const profile_batch *y,
                      const uint32_t *b, uint32_t m) {
    if (n != m) return false;
    for (uint32_t i = 0; i < n; i++) {
        const profile_attr *p = &x->attrs[a[i]], *q = &y->attrs[b[i]];
        if (!same_attrs(&p->attr, 1, &q->attr, 1) || !str_eq(p->unit, q->unit)) return false;
    }
    return true;
}

static bool same_location(const profile_batch *x, uint32_t i, const profile_batch *y, uint32_t k) {
    const profile_location *a = &x->locations[i], *b = &y->locations[k];
    const profile_mapping *m = &x->mappings[a->mapping], *n = &y->mappings[b->mapping];
    if (m->start != n->start || m->limit != n->limit || m->file_offset != n->file_offset ||
        !str_eq(m->file, n->file) ||
        !same_refs(x, m->attrs, m->attr_count, y, n->attrs, n->attr_count) ||
        a->address != b->address || a->line_count != b->line_count ||
        !same_refs(x, a->attrs, a->attr_count, y, b->attrs, b->attr_count))
        return false;
    for (uint32_t l = 0; l < a->line_count; l++) {
        const profile_frame_line *p = &a->lines[l], *q = &b->lines[l];
        const profile_function *f = &x->functions[p->function], *g = &y->functions[q->function];
        if (p->line != q->line || p->column != q->column || !str_eq(f->name, g->name) ||
            !str_eq(f->system_name, g->system_name) || !str_eq(f->file, g->file) ||
            f->start_line != g->start_line)
            return false;
    }
    return true;
}

static bool same_sample(const profile_batch *x, const profile_sample *a, const profile_batch *y,
                        const profile_sample *b) {
    const profile_stack *s = &x->stacks[a->stack], *t = &y->stacks[b->stack];
    const profile_link *l = &x->links[a->link], *m = &y->links[b->link];
    if (s->count != t->count || !str_eq(l->trace_id, m->trace_id) ||
        !str_eq(l->span_id, m->span_id) || a->value_count != b->value_count ||
        a->timestamp_count != b->timestamp_count ||
        !same_words(a->values, b->values, a->value_count) ||
        !same_words(a->timestamps_ns, b->timestamps_ns, a->timestamp_count) ||
        !same_refs(x, a->attrs, a->attr_count, y, b->attrs, b->attr_count))
        return false;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!same_location(x, s->locations[i], y, t->locations[i])) return false;
    }
    return true;
}

bool same_profile(const profile_batch *x, const profile *a, const profile_batch *y,
                  const profile *b) {
    if (!same_resource(a->resource, b->resource) || !same_scope(a->scope, b->scope) ||
        !str_eq(a->type, b->type) || !str_eq(a->unit, b->unit) ||
        !str_eq(a->period_type, b->period_type) || !str_eq(a->period_unit, b->period_unit) ||
        a->period != b->period || a->ts_ns != b->ts_ns || a->duration_ns != b->duration_ns ||
        !str_eq(a->profile_id, b->profile_id) || !str_eq(a->payload_format, b->payload_format) ||
        !str_eq(a->payload, b->payload) || a->sample_count != b->sample_count ||
        a->dropped_attrs != b->dropped_attrs ||
        !same_refs(x, a->attrs, a->attr_count, y, b->attrs, b->attr_count))
        return false;
    for (uint32_t i = 0; i < a->sample_count; i++) {
        if (!same_sample(x, &a->samples[i], y, &b->samples[i])) return false;
    }
    return true;
}
