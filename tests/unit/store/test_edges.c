#include "telemetry_gen.h"

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/edgeblock_int.h"

#define NOW    INT64_C(1785542400000000000)
#define SECOND INT64_C(1000000000)

typedef struct spec {
    const char *service;
    uint64_t trace, id, parent;
    int32_t kind;
    int64_t ms;
    bool error;
    const char *key, *value; /* an attribute */
} spec;

static telemetry *request(const spec *s, size_t count) {
    telemetry *t = telemetry_new();
    for (size_t i = 0; i < count; i++, s++) {
        span *x = telemetry_add_span(t);
        resource *r = arena_new(&t->mem, resource);
        attribute *a = arena_bytes(&t->mem, 2 * sizeof *a, 8);
        a[0] = attribute_text_of(S("service.name"), str_c(s->service));
        r->attrs = a;
        r->attr_count = 1;
        resource_finish(r);
        x->resource = r;
        memcpy(x->trace_id, &s->trace, 8);
        memcpy(x->span_id, &s->id, 8);
        memcpy(x->parent_id, &s->parent, 8);
        x->kind = s->kind;
        x->status = s->error ? SPAN_STATUS_ERROR : 0;
        x->start_ns = NOW;
        x->end_ns = NOW + s->ms * 1000000;
        if (s->key) {
            a[1] = attribute_text_of(str_c(s->key), str_c(s->value));
            x->attrs = &a[1];
            x->attr_count = 1;
        }
    }
    return t;
}

static void give(edge_builder *b, const spec *s, size_t count, int64_t now_ns, block_list *l) {
    telemetry *t = request(s, count);
    assert_rc(edge_builder_encode(b, &t, 1, now_ns, block_list_put, l, NULL), RC_OK);
    telemetry_free(t);
}

static void read_all(const block_list *l, edge_table *t) {
    edge_table_init(t);
    for (size_t i = 0; i < l->count; i++) {
        assert_rc(EDGE_BLOCKS.verify(&l->io[i], &l->info[i], NULL), RC_OK);
        assert_rc(edge_table_add_block(t, &l->io[i], &l->info[i], 0, 0, NULL, NULL), RC_OK);
    }
}

/* calls, errors of an edge; 0, 0 = none. */
static void check(const edge_table *t, const char *caller, const char *callee, const char *kind,
                  uint64_t calls, uint64_t errors) {
    uint64_t got_calls = 0, got_errors = 0;
    for (size_t i = 0; i < t->rows.n; i++) {
        const edge_row *r = &t->rows.v[i];
        if (str_eq(intern_str(&t->names, r->caller), str_c(caller)) &&
            str_eq(intern_str(&t->names, r->callee), str_c(callee)) &&
            str_eq(intern_str(&t->names, r->kind), str_c(kind))) {
            got_calls += r->calls;
            got_errors += r->errors;
        }
    }
    if (got_calls != calls || got_errors != errors)
        fail_msg("%s -> %s: %" PRIu64 " calls, %" PRIu64 " errors", caller, callee, got_calls,
                 got_errors);
}

/* One trace: a root server span, its client span, the other service's server span, a database. */
static const spec TRACE[] = {
    {"front", 1, 10, 0, SPAN_SERVER, 100, false, "http.route", "/"},
    {"front", 1, 11, 10, SPAN_CLIENT, 80, true, "server.address", "cart.local"},
    {"cart", 1, 12, 11, SPAN_SERVER, 60, true, "http.route", "/cart"},
    {"cart", 1, 13, 12, SPAN_CLIENT, 20, false, "db.system.name", "redis"},
    {"cart", 1, 14, 12, SPAN_INTERNAL, 5, false, NULL, NULL},
};

static void check_trace(const block_list *l) {
    edge_table t;
    read_all(l, &t);
    assert_int_equal(t.rows.n, 3);
    check(&t, "", "front", "http", 1, 0);
    check(&t, "front", "cart", "http", 1, 1);
    check(&t, "cart", "redis", "db", 1, 0);
    edge_table_release(&t);
}

static void pairs_are_found_in_any_order(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    for (int round = 0; round < 200; round++) {
        spec s[ARRAY_LEN(TRACE)];
        memcpy(s, TRACE, sizeof s);
        for (size_t i = ARRAY_LEN(s) - 1; i > 0; i--) {
            size_t k = rng_below(&r, i + 1);
            spec x = s[i];
            s[i] = s[k];
            s[k] = x;
        }
        block_list l = {0};
        edge_builder *b = edge_builder_new();
        int64_t now = NOW;
        for (size_t i = 0; i < ARRAY_LEN(s);) { /* cut into requests anywhere */
            size_t n = 1 + rng_below(&r, ARRAY_LEN(s) - i);
            give(b, s + i, n, now += SECOND, &l);
            i += n;
        }
        assert_rc(edge_builder_finish(b, block_list_put, &l, NULL), RC_OK);
        check_trace(&l);
        block_list_release(&l);
        edge_builder_free(b);
    }
}

static void a_call_of_its_own_sees_its_pairs(void **state) {
    (void)state;
    block_list l = {0};
    telemetry *t = request(TRACE, ARRAY_LEN(TRACE));
    assert_rc(EDGE_BLOCKS.encode(&t, 1, block_list_put, &l, NULL), RC_OK);
    check_trace(&l);
    telemetry_free(t);
    block_list_release(&l);
}

static void what_nobody_answers_is_counted_later(void **state) {
    (void)state;
    static const spec s[] = {
        {"a", 1, 1, 99, SPAN_SERVER, 10, false, NULL, NULL}, /* its parent never comes */
        {"a", 1, 2, 1, SPAN_CLIENT, 10, true, "peer.service", "billing"},
        {"a", 1, 3, 1, SPAN_PRODUCER, 10, false, "messaging.system", "kafka"},
        {"a", 1, 4, 1, SPAN_CLIENT, 10, false, NULL, NULL}, /* nobody known at the other end */
    };
    block_list l = {0};
    edge_builder *b = edge_builder_new();
    give(b, s, ARRAY_LEN(s), NOW, &l);
    assert_int_equal(l.count, 0);
    give(b, NULL, 0, NOW + 9 * SECOND, &l);
    assert_int_equal(l.count, 0);
    give(b, NULL, 0, NOW + 11 * SECOND, &l);
    edge_table t;
    read_all(&l, &t);
    check(&t, "", "a", "", 1, 0);
    check(&t, "a", "billing", "", 1, 1);
    check(&t, "a", "kafka", "messaging", 1, 0);
    assert_int_equal(t.rows.n, 3);
    edge_table_release(&t);
    /* once */
    assert_rc(edge_builder_finish(b, block_list_put, &l, NULL), RC_OK);
    assert_int_equal(l.count, 1);
    block_list_release(&l);
    edge_builder_free(b);
}

static void sums_survive_merges(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list l = {0}, once = {0}, twice = {0};
    edge_builder *b = edge_builder_new();
    uint64_t calls = 0, sum = 0;
    for (int round = 0; round < 40; round++) {
        spec s[50];
        for (size_t i = 0; i < ARRAY_LEN(s); i++) {
            static const char *const names[] = {"a", "b", "c"};
            s[i] = (spec){
                names[rng_below(&r, 3)],      rng_u64(&r),      rng_u64(&r), 0,   SPAN_SERVER,
                (int64_t)rng_below(&r, 1000), rng_below(&r, 2), NULL,        NULL};
            calls++;
            sum += (uint64_t)s[i].ms * 1000000;
        }
        give(b, s, ARRAY_LEN(s), NOW, &l);
    }
    size_t bad;
    assert_rc(EDGE_BLOCKS.merge(l.io, l.info, 20, 1 << 20, block_list_put, &once, NULL, &bad, NULL),
              RC_OK);
    assert_rc(EDGE_BLOCKS.merge(l.io + 20, l.info + 20, 20, 1 << 20, block_list_put, &once, NULL,
                                &bad, NULL),
              RC_OK);
    assert_rc(EDGE_BLOCKS.merge(once.io, once.info, once.count, 1 << 20, block_list_put, &twice,
                                NULL, &bad, NULL),
              RC_OK);
    assert_int_equal(twice.count, 1);
    edge_table x, y;
    read_all(&l, &x);
    read_all(&twice, &y);
    assert_int_equal(y.rows.n, 3);
    uint64_t y_calls = 0, y_sum = 0;
    for (size_t i = 0; i < 3; i++) {
        const edge_row *p = &y.rows.v[i], *q = NULL;
        for (size_t k = 0; k < x.rows.n; k++) {
            if (str_eq(intern_str(&x.names, x.rows.v[k].callee), intern_str(&y.names, p->callee)))
                q = &x.rows.v[k];
        }
        MUST(q);
        assert_true(p->calls == q->calls && p->errors == q->errors && p->max_ns == q->max_ns);
        assert_int_equal(p->sketch.n, q->sketch.n);
        for (size_t k = 0; k < p->sketch.n; k++) {
            assert_int_equal(p->sketch.v[k].index, q->sketch.v[k].index);
            assert_int_equal(p->sketch.v[k].count, q->sketch.v[k].count);
        }
        y_calls += p->calls;
        y_sum += p->sum_ns;
        /* uniform 0..1 s */
        assert_true(edge_row_quantile(p, .5) > 4e8 && edge_row_quantile(p, .5) < 6e8);
        assert_true(edge_row_quantile(p, .99) > 9e8 && edge_row_quantile(p, .99) <= 1e9);
    }
    assert_true(y_calls == calls && y_sum == sum);
    edge_table_release(&x);
    edge_table_release(&y);
    block_list_release(&l);
    block_list_release(&once);
    block_list_release(&twice);
    edge_builder_free(b);
}

static void buckets_are_narrow(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    unsigned last = 0;
    for (uint64_t d = 0; d < 100000; d++) {
        unsigned b = edge_bucket_of(d);
        assert_true(b == last || b == last + 1);
        last = b;
    }
    assert_int_equal(edge_bucket_of(UINT64_MAX), EDGE_BUCKETS - 1);
    for (int i = 0; i < 1000; i++) {
        edge_row row = {0};
        row.max_ns = 1 + (rng_u64(&r) >> rng_below(&r, 60));
        edge_row_add(&row, (uint16_t)edge_bucket_of(row.max_ns), 1);
        double q = edge_row_quantile(&row, .5);
        assert_true(q >= .93 * (double)row.max_ns - 1 && q <= (double)row.max_ns);
        vec_release(&row.sketch);
    }
}

/* The memories are full: counts still add up. */
static void memories_are_bounded(void **state) {
    (void)state;
    block_list l = {0};
    edge_builder *b = edge_builder_new();
    enum { EACH = 1000, REQUESTS = 150 };
    spec *s = mem_new_n(spec, EACH);
    uint64_t id = 1;
    for (int k = 0; k < REQUESTS; k++) {
        for (size_t i = 0; i < EACH; i++, id++)
            s[i] = (spec){
                "a", id, id, id * 7919, i % 2 ? SPAN_SERVER : SPAN_CLIENT, 1, false, "peer.service",
                "b"};
        give(b, s, EACH, NOW, &l);
    }
    assert_rc(edge_builder_finish(b, block_list_put, &l, NULL), RC_OK);
    edge_table t;
    read_all(&l, &t);
    check(&t, "", "a", "", EACH * REQUESTS / 2, 0);
    check(&t, "a", "b", "", EACH * REQUESTS / 2, 0);
    edge_table_release(&t);
    block_list_release(&l);
    edge_builder_free(b);
    mem_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_found_in_any_order),
        cmocka_unit_test(a_call_of_its_own_sees_its_pairs),
        cmocka_unit_test(what_nobody_answers_is_counted_later),
        cmocka_unit_test(sums_survive_merges),
        cmocka_unit_test(buckets_are_narrow),
        cmocka_unit_test(memories_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
