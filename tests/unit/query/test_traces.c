/* Search and assembly of traces over the fake store: orphans, circles, skewed clocks, equal ids. */
#include "../unit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "codec/otlp.h"
#include "fake_store.h"

static fake_store *fake;
static arena mem;
static select_stats stats;
static err e;

static int setup(void **state) {
    (void)state;
    fake = fake_store_new();
    arena_init(&mem, "test", 256 << 20);
    stats = (select_stats){0};
    e = (err){0};
    return 0;
}
static int teardown(void **state) {
    (void)state;
    fake_store_free(fake);
    arena_release(&mem);
    return 0;
}

static resource *service(const char *name) {
    arena *own = fake_store_arena(fake);
    resource *r = arena_new(own, resource);
    attribute *a = arena_new(own, attribute);
    *a = attribute_text_of(S("service.name"), str_c(name));
    r->attrs = a;
    r->attr_count = 1;
    resource_finish(r);
    return r;
}

/* id and parent are single digits; 0 = no parent. Times in ms. */
static span *add(uint8_t trace, uint8_t id, uint8_t parent, const char *svc, int64_t from_ms,
                 int64_t to_ms) {
    span *s = fake_store_span(fake);
    memset(s->trace_id, trace, 16);
    memset(s->span_id, id, 8);
    memset(s->parent_id, parent, 8);
    s->resource = service(svc);
    s->name = str_fmt(fake_store_arena(fake), "op%u", id);
    s->start_ns = from_ms * 1000000;
    s->end_ns = to_ms * 1000000;
    return s;
}

static const trace_node *fetch(uint8_t trace, size_t *ret_n) {
    uint8_t id[16];
    memset(id, trace, 16);
    const trace_node *n = NULL;
    assert_rc(query_trace(fake_store_of(fake), id, &mem, &n, ret_n, &stats, &e), RC_OK);
    return n;
}

static void assert_node(const trace_node *n, uint8_t id, uint32_t parent, uint32_t depth,
                        int64_t self_ms) {
    assert_int_equal(n->span->span_id[0], id);
    assert_int_equal(n->parent, parent);
    assert_int_equal(n->depth, depth);
    assert_int_equal(n->self_ns, self_ms * 1000000);
}

static void trace_is_a_tree_in_display_order(void **state) {
    (void)state;
    add(1, 3, 1, "b", 50, 70);
    add(1, 1, 0, "a", 0, 100);
    add(1, 4, 2, "c", 15, 20);
    add(1, 2, 1, "b", 10, 60); /* overlaps 3: the union counts */
    size_t n;
    const trace_node *t = fetch(1, &n);
    assert_int_equal(n, 4);
    assert_node(&t[0], 1, UINT32_MAX, 0, 40);
    assert_node(&t[1], 2, 0, 1, 45);
    assert_node(&t[2], 4, 1, 2, 5);
    assert_node(&t[3], 3, 0, 1, 20);
}

static void trace_with_orphans_and_skewed_clocks(void **state) {
    (void)state;
    add(1, 1, 0, "a", 100, 200);
    add(1, 2, 1, "b", 10, 120);  /* before its parent: 20 of it count */
    add(1, 3, 9, "c", 50, 40);   /* parent unknown, ends before it starts */
    add(1, 4, 1, "d", 300, 400); /* behind its parent: nothing counts */
    size_t n;
    const trace_node *t = fetch(1, &n);
    assert_int_equal(n, 4);
    assert_node(&t[0], 3, UINT32_MAX, 0, 0);
    assert_node(&t[1], 1, UINT32_MAX, 0, 80);
    assert_node(&t[2], 2, 1, 1, 110);
    assert_node(&t[3], 4, 1, 1, 100);
}

static void circles_are_cut(void **state) {
    (void)state;
    add(1, 1, 3, "a", 0, 10);
    add(1, 2, 1, "a", 1, 9);
    add(1, 3, 2, "a", 2, 8);
    add(1, 4, 4, "a", 3, 7); /* its own parent */
    add(1, 5, 3, "a", 4, 6);
    size_t n;
    const trace_node *t = fetch(1, &n);
    assert_int_equal(n, 5);
    assert_node(&t[0], 1, UINT32_MAX, 0, 2);
    assert_node(&t[1], 2, 0, 1, 2);
    assert_node(&t[2], 3, 1, 2, 4);
    assert_node(&t[3], 5, 2, 3, 2);
    assert_node(&t[4], 4, UINT32_MAX, 0, 4);
}

static void equal_ids_are_kept(void **state) {
    (void)state;
    add(1, 1, 0, "a", 0, 10);
    add(1, 2, 1, "client", 1, 9);
    add(1, 2, 1, "server", 2, 8);
    add(1, 3, 2, "b", 3, 7);
    size_t n;
    const trace_node *t = fetch(1, &n);
    assert_int_equal(n, 4);
    assert_node(&t[1], 2, 0, 1, 4); /* the first has the children */
    assert_node(&t[2], 3, 1, 2, 4);
    assert_node(&t[3], 2, 0, 1, 6);
}

/* Any parents at all: every span once, parents before children, depth by parent. */
static void random_graphs_are_trees(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("random_graphs_are_trees"));
    for (int round = 1; round <= 50; round++) {
        size_t spans = 1 + rng_below(&r, 60);
        for (size_t i = 0; i < spans; i++) {
            uint8_t id = (uint8_t)(1 + rng_below(&r, 40)), parent = (uint8_t)rng_below(&r, 42);
            int64_t from = (int64_t)rng_below(&r, 100);
            add((uint8_t)round, id, parent, "s", from, from + (int64_t)rng_below(&r, 50));
        }
        size_t n;
        const trace_node *t = fetch((uint8_t)round, &n);
        assert_int_equal(n, spans);
        for (size_t i = 0; i < n; i++) {
            assert_true(t[i].parent == UINT32_MAX
                            ? t[i].depth == 0
                            : t[i].parent < i && t[i].depth == t[t[i].parent].depth + 1);
            assert_true(t[i].self_ns >= 0 &&
                        t[i].self_ns <= t[i].span->end_ns - t[i].span->start_ns);
        }
    }
}

static void unknown_trace_is_not_found(void **state) {
    (void)state;
    const trace_node *t;
    size_t n;
    uint8_t id[16] = {7};
    assert_rc(query_trace(fake_store_of(fake), id, &mem, &t, &n, &stats, &e), RC_NOT_FOUND);
}

static void search_summarises(void **state) {
    (void)state;
    add(1, 1, 0, "web", 0, 100);
    add(1, 2, 1, "db", 10, 20)->status = SPAN_STATUS_ERROR;
    add(2, 1, 0, "web", 500, 2600);
    add(2, 2, 1, "db", 510, 2500);
    add(3, 2, 9, "db", 700, 710); /* no root */
    trace_search q = {.select = {.status = -1, .kind = -1}, .whole = true};
    label_match m = {.name = S("service.name"), .value = S("db")};
    q.select.c.match = &m;
    q.select.c.match_count = 1;
    const trace_summary *t;
    size_t n;
    assert_rc(query_traces(fake_store_of(fake), &q, &mem, &t, &n, &stats, &e), RC_OK);
    assert_int_equal(n, 3);
    assert_int_equal(t[0].trace_id[0], 3); /* the newest matching span first */
    assert_text(t[0].root_name, S("op2"));
    assert_int_equal(t[1].trace_id[0], 2);
    assert_text(t[1].root_service, S("web"));
    assert_int_equal(t[1].duration_ns, 2100000000);
    assert_int_equal(t[1].spans, 2);
    assert_int_equal(t[1].matched, 1);
    assert_int_equal(t[1].services, 2);
    assert_int_equal(t[2].errors, 1);
    q.select.c.limit = 1;
    q.whole = false;
    assert_rc(query_traces(fake_store_of(fake), &q, &mem, &t, &n, &stats, &e), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(t[0].trace_id[0], 3);
    q.select.min_duration_ns = 1000000000;
    assert_rc(query_traces(fake_store_of(fake), &q, &mem, &t, &n, &stats, &e), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(t[0].trace_id[0], 2);
}

static void traceql_becomes_a_select(void **state) {
    (void)state;
    span_select s;
    assert_rc(
        query_traceql(
            S("{ resource.service.name = \"x\" && duration > 2s && status = error && .http.url =~ "
              "`a.*` && name=\"GET\" && kind=server}"),
            &mem, &s, &e),
        RC_OK);
    assert_int_equal(s.c.match_count, 2);
    assert_text(s.c.match[0].name, S("service.name"));
    assert_text(s.c.match[1].value, S("a.*"));
    assert_int_equal(s.c.match[1].op, MATCH_RE);
    assert_int_equal(s.min_duration_ns, 2000000001);
    assert_int_equal(s.status, SPAN_STATUS_ERROR);
    assert_int_equal(s.kind, SPAN_SERVER);
    assert_text(s.name, S("GET"));
    assert_rc(query_traceql(S(" {} "), &mem, &s, &e), RC_OK);
    assert_int_equal(s.c.match_count, 0);
    static const char *const WRONG[] = {"",     "{",       "{a}",          "{a=}",
                                        "{a=1", "{a=\"x}", "{duration>x}", "{status=odd}"};
    for (size_t i = 0; i < ARRAY_LEN(WRONG); i++) {
        rc c = query_traceql(str_c(WRONG[i]), &mem, &s, &e);
        if (c != RC_INVALID && c != RC_UNSUPPORTED) fail_msg("%s: %s", WRONG[i], rc_name(c));
    }
    assert_rc(query_traceql(S("{a=\"1\" || b=\"2\"}"), &mem, &s, &e), RC_UNSUPPORTED);
    assert_rc(query_traceql(S("{a=\"1\"} | count() > 2"), &mem, &s, &e), RC_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(trace_is_a_tree_in_display_order, setup, teardown),
        cmocka_unit_test_setup_teardown(trace_with_orphans_and_skewed_clocks, setup, teardown),
        cmocka_unit_test_setup_teardown(circles_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(equal_ids_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(random_graphs_are_trees, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_trace_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(search_summarises, setup, teardown),
        cmocka_unit_test_setup_teardown(traceql_becomes_a_select, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
