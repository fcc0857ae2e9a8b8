#include "store_gen.h"

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/labels.h"
#include "store/spanblock_int.h"
#include "sys/thread.h"

enum { BATCHES = 12, EACH = 700 };

typedef struct fixture {
    temp_store st;
    telemetry *t[BATCHES]; /* copies of what the store took */
} fixture;

static fixture *make(uint64_t seed) {
    fixture *f = mem_new(fixture);
    temp_store_open(&f->st);
    for (size_t i = 0; i < BATCHES; i++) {
        f->t[i] = telemetry_new();
        telemetry *mine = telemetry_new();
        rng r, again;
        rng_init(&r, seed + i);
        rng_init(&again, seed + i);
        gen_spans(f->t[i], &r, EACH);
        gen_spans(mine, &again, EACH);
        temp_store_append(&f->st, mine);
        if (i == 4 || i == 7) temp_store_compact(&f->st);
    }
    return f;
}

static void drop(fixture *f) {
    for (size_t i = 0; i < BATCHES; i++) telemetry_free(f->t[i]);
    temp_store_close(&f->st);
    mem_free(f);
}

/* --- what should be found, by looking at every span --- */

static str value_of(const span *s, str label, arena *mem) {
    static const char *const kinds[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    static const char *const statuses[] = {"unset", "ok", "error"};
    for (uint32_t i = 0; i < s->resource->attr_count; i++) {
        if (label_is(label, s->resource->attrs[i].key))
            return attribute_text(&s->resource->attrs[i], mem);
    }
    if (s->scope && str_eq(label, S("scope_name")) && s->scope->name.n) return s->scope->name;
    for (uint32_t i = 0; i < s->attr_count; i++) {
        if (label_is(label, s->attrs[i].key)) return attribute_text(&s->attrs[i], mem);
    }
    if (str_eq(label, S("name"))) return s->name;
    if (str_eq(label, S("kind")))
        return s->kind >= 0 && s->kind < 6 ? str_c(kinds[s->kind]) : str_fmt(mem, "%d", s->kind);
    if (str_eq(label, S("status")))
        return s->status >= 0 && s->status < 3 ? str_c(statuses[s->status])
                                               : str_fmt(mem, "%d", s->status);
    if (str_eq(label, S("trace_id"))) {
        char hex[32];
        bytes_to_hex(s->trace_id, 16, hex);
        return str_dup(mem, str_make(hex, 32));
    }
    return STR_NONE;
}

static bool matches(const span *s, const span_select *q, const matchers *m, arena *mem) {
    int64_t ts = span_time(s->start_ns, s->end_ns);
    int64_t d = (int64_t)((uint64_t)s->end_ns - (uint64_t)s->start_ns);
    uint64_t parent;
    memcpy(&parent, s->parent_id, 8);
    if ((q->c.from_ns || q->c.to_ns) && (ts < q->c.from_ns || ts >= q->c.to_ns)) return false;
    if (q->trace_id && memcmp(q->trace_id, s->trace_id, 16) != 0) return false;
    if (q->name.n && !str_eq(q->name, s->name)) return false;
    if (q->min_duration_ns && d < q->min_duration_ns) return false;
    if (q->max_duration_ns && d > q->max_duration_ns) return false;
    if (q->status >= 0 && s->status != q->status) return false;
    if (q->kind >= 0 && s->kind != q->kind) return false;
    if (q->roots_only && parent) return false;
    for (size_t i = 0; i < matchers_count(m); i++) {
        if (!matchers_test(m, i, value_of(s, matchers_name(m, i), mem))) return false;
    }
    return true;
}

typedef struct answer {
    const fixture *f;
    map64 left; /* span id -> span that should still come */
    uint64_t count;
    int64_t last_ns;
    const span_select *q;
    sys_lock *lock;
} answer;

static rc take(void *ctx, unsigned worker, const telemetry *t, err *e) {
    answer *a = ctx;
    (void)worker, (void)e;
    sys_lock_take(a->lock);
    for (size_t i = 0; i < t->spans.count; i++) {
        const span *s = &t->spans.rec[i];
        uint64_t id;
        memcpy(&id, s->span_id, 8);
        const uint64_t *want = map64_get(&a->left, id);
        MUST(want);
        MUST(same_span(s, (const span *)(uintptr_t)*want));
        MUST(map64_remove(&a->left, id));
        int64_t ts = span_time(s->start_ns, s->end_ns);
        if (a->count && a->q->c.order == SELECT_NEWEST_FIRST) MUST(ts <= a->last_ns);
        if (a->count && a->q->c.order == SELECT_OLDEST_FIRST) MUST(ts >= a->last_ns);
        a->last_ns = ts;
        a->count++;
    }
    sys_lock_give(a->lock);
    return RC_OK;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Returns how many match at all. */
static uint64_t check(const fixture *f, const span_select *q) {
    matchers *m;
    assert_rc(matchers_new(q->c.match, q->c.match_count, &m, NULL), RC_OK);
    arena mem;
    arena_init(&mem, "test", 1 << 28);
    answer a = {.f = f, .q = q, .lock = sys_lock_new("test")};
    map64_init(&a.left, BATCHES * EACH);
    int64_t *times = mem_new_n(int64_t, BATCHES * EACH);
    uint64_t all = 0;
    for (size_t i = 0; i < BATCHES; i++) {
        for (size_t k = 0; k < EACH; k++) {
            const span *s = &f->t[i]->spans.rec[k];
            if (!matches(s, q, m, &mem)) continue;
            uint64_t id;
            memcpy(&id, s->span_id, 8);
            *map64_put(&a.left, id, NULL) = (uintptr_t)s;
            times[all++] = span_time(s->start_ns, s->end_ns);
        }
    }
    select_stats stats = {0};
    err e = {0};
    rc code = f->st.s->ops->spans(f->st.s, q, take, &a, &stats, &e);
    if (code) fail_msg("select: %s", e.msg);
    assert_false(stats.partial);
    uint64_t want = q->c.limit ? MIN(q->c.limit, all) : all;
    assert_int_equal(a.count, want);
    assert_int_equal(stats.damaged_blocks, 0);
    if (want && q->c.order != SELECT_ANY) { /* exactly the first ones */
        qsort(times, all, sizeof *times, by_value);
        assert_true(a.last_ns == times[q->c.order == SELECT_OLDEST_FIRST ? want - 1 : all - want]);
    }
    mem_free(times);
    sys_lock_free(a.lock);
    map64_release(&a.left);
    arena_release(&mem);
    matchers_free(m);
    return all;
}

static void searches_find_what_is_there(void **state) {
    (void)state;
    uint64_t seed = unit_seed(__func__);
    fixture *f = make(seed);
    rng r;
    rng_init(&r, seed * 77);
    static const label_match some[] = {
        {S_INIT("service_name"), S_INIT("svc-2"), MATCH_EQ},
        {S_INIT("service.name"), S_INIT("svc-[34]"), MATCH_RE},
        {S_INIT("http_method"), S_INIT("checkout"), MATCH_EQ},
        {S_INIT("http_method"), S_INIT("nowhere"), MATCH_EQ},
        {S_INIT("k"), S_INIT(""), MATCH_EQ},
        {S_INIT("k"), S_INIT(".+"), MATCH_RE},
        {S_INIT("db_system"), S_INIT("true"), MATCH_NE},
        {S_INIT("user_id"), S_INIT("[0-9]+"), MATCH_NOT_RE},
        {S_INIT("kind"), S_INIT("server"), MATCH_EQ},
        {S_INIT("status"), S_INIT("error"), MATCH_NE},
        {S_INIT("name"), S_INIT("GET.*"), MATCH_RE},
        {S_INIT("process_pid"), S_INIT("2"), MATCH_EQ},
        {S_INIT("scope_name"), S_INIT("lib"), MATCH_EQ},
        {S_INIT("key7"), S_INIT(""), MATCH_NE},
        {S_INIT("key1999"), S_INIT(""), MATCH_NE}, /* beyond the columns there are */
    };
    uint64_t found = 0, empty = 0;
    for (int round = 0; round < 300; round++) {
        label_match m[3];
        span_select q = {.c = {.match = m}, .status = -1, .kind = -1};
        q.c.match_count = rng_below(&r, 3);
        for (size_t i = 0; i < q.c.match_count; i++) m[i] = some[rng_below(&r, ARRAY_LEN(some))];
        const span *one = &f->t[rng_below(&r, BATCHES)]->spans.rec[rng_below(&r, EACH)];
        if (rng_below(&r, 4) == 0) {
            q.c.from_ns = 1785542400000000000 + (int64_t)rng_below(&r, 3600000000000);
            q.c.to_ns = q.c.from_ns + (int64_t)rng_below(&r, 1800000000000) + 1;
        }
        if (rng_below(&r, 6) == 0) q.name = one->name;
        if (rng_below(&r, 6) == 0) q.trace_id = one->trace_id;
        if (rng_below(&r, 6) == 0) q.min_duration_ns = (int64_t)rng_below(&r, 4000000000);
        if (rng_below(&r, 6) == 0) q.max_duration_ns = (int64_t)rng_below(&r, 4000000000) + 1;
        if (rng_below(&r, 6) == 0) q.status = (int32_t)rng_below(&r, 3);
        if (rng_below(&r, 6) == 0) q.kind = (int32_t)rng_below(&r, 6);
        q.roots_only = rng_below(&r, 6) == 0;
        q.c.order = (select_order)rng_below(&r, 3);
        if (rng_below(&r, 2)) q.c.limit = 1 + rng_below(&r, 50);
        q.c.workers = (unsigned)rng_below(&r, 4);
        uint64_t n = check(f, &q);
        found += n;
        empty += n == 0;
    }
    assert_true(found > 1000 && empty < 250);
    temp_store_compact(&f->st);
    temp_store_reopen(&f->st);
    for (size_t i = 0; i < EACH; i += 7) {
        span_select q = {.status = -1, .kind = -1, .trace_id = f->t[3]->spans.rec[i].trace_id};
        assert_true(check(f, &q) > 0);
    }
    span_select all = {.status = -1, .kind = -1, .c = {.order = SELECT_OLDEST_FIRST, .workers = 2}};
    assert_int_equal(check(f, &all), BATCHES * EACH);
    drop(f);
}

static void blocks_without_the_answer_are_not_read(void **state) {
    (void)state;
    fixture *f = make(unit_seed(__func__));
    temp_store_compact(&f->st);
    static const uint8_t nobody[16] = "no such trace!!";
    label_match service = {S("service_name"), S("svc-absent"), MATCH_EQ};
    label_match method = {S("deployment"), S("x"), MATCH_EQ};
    span_select q[] = {{.status = -1, .kind = -1, .trace_id = nobody},
                       {.status = 17, .kind = -1},
                       {.status = -1, .kind = -1, .c = {.match = &service, .match_count = 1}}};
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        answer a = {.f = f, .q = &q[i], .lock = sys_lock_new("test")};
        select_stats stats = {0};
        assert_rc(f->st.s->ops->spans(f->st.s, &q[i], take, &a, &stats, NULL), RC_OK);
        assert_int_equal(a.count, 0);
        assert_true(stats.blocks > 0);
        assert_true(stats.blocks_read <= stats.blocks / 100 + 1);
        sys_lock_free(a.lock);
    }
    (void)method;
    drop(f);
}

typedef struct names {
    arena mem;
    str name[4096];
    uint64_t count[4096];
    size_t n;
} names;
static rc take_name(void *ctx, str name, uint64_t count, err *e) {
    names *x = ctx;
    (void)e;
    MUST(x->n < ARRAY_LEN(x->name));
    for (size_t i = 0; i < x->n; i++) MUST(!str_eq(x->name[i], name));
    x->name[x->n] = str_dup(&x->mem, name);
    x->count[x->n++] = count;
    return RC_OK;
}

static void labels_are_listed(void **state) {
    (void)state;
    fixture *f = make(unit_seed(__func__));
    label_match m = {S("kind"), S("client"), MATCH_EQ};
    select_common c = {.match = &m, .match_count = 1};
    span_select q = {.c = c, .status = -1, .kind = -1};
    matchers *ms;
    assert_rc(matchers_new(&m, 1, &ms, NULL), RC_OK);
    arena mem;
    arena_init(&mem, "test", 1 << 28);
    static const char *const labels[] = {"service_name", "db_system", "name", "kind"};
    for (size_t l = 0; l < ARRAY_LEN(labels); l++) {
        names *x = mem_new(names);
        arena_init(&x->mem, "test", 1 << 24);
        select_stats stats = {0};
        assert_rc(f->st.s->ops->labels(f->st.s, SIGNAL_SPANS, str_c(labels[l]), &c, take_name, x,
                                       &stats, NULL),
                  RC_OK);
        uint64_t total = 0, listed = 0;
        for (size_t i = 0; i < BATCHES; i++) {
            for (size_t k = 0; k < EACH; k++) {
                const span *s = &f->t[i]->spans.rec[k];
                total += matches(s, &q, ms, &mem) && value_of(s, str_c(labels[l]), &mem).n > 0;
            }
        }
        for (size_t i = 0; i < x->n; i++) listed += x->count[i];
        assert_int_equal(listed, total);
        if (l == 3) assert_int_equal(x->n, 1);
        arena_release(&x->mem);
        mem_free(x);
    }
    names *x = mem_new(names);
    arena_init(&x->mem, "test", 1 << 24);
    assert_rc(f->st.s->ops->labels(f->st.s, SIGNAL_SPANS, S(""), &c, take_name, x, NULL, NULL),
              RC_OK);
    static const char *const want[] = {"service_name", "http_status_code", "kind", "url_path",
                                       "user_id"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        size_t k = 0;
        while (k < x->n && !str_eq(x->name[k], str_c(want[i]))) k++;
        assert_true(k < x->n);
    }
    arena_release(&x->mem);
    mem_free(x);
    arena_release(&mem);
    matchers_free(ms);
    drop(f);
}

static rc stop(void *ctx, unsigned worker, const telemetry *t, err *e) {
    (void)worker, (void)t;
    ++*(int *)ctx;
    return FAIL(e, RC_TIMEOUT, "enough");
}

static void sinks_end_a_search(void **state) {
    (void)state;
    fixture *f = make(unit_seed(__func__));
    int calls = 0;
    span_select q = {.status = -1, .kind = -1};
    assert_rc(f->st.s->ops->spans(f->st.s, &q, stop, &calls, NULL, NULL), RC_TIMEOUT);
    assert_int_equal(calls, 1);
    label_match wrong = {S("a"), S("("), MATCH_RE};
    q.c.match = &wrong;
    q.c.match_count = 1;
    assert_rc(f->st.s->ops->spans(f->st.s, &q, stop, &calls, NULL, NULL), RC_INVALID);
    drop(f);
}

typedef struct edge_sum {
    uint64_t calls;
    size_t rows;
} edge_sum;
static rc take_edge(void *ctx, const service_edge *edge, err *e) {
    edge_sum *s = ctx;
    (void)e;
    s->calls += edge->calls;
    s->rows++;
    MUST(edge->errors <= edge->calls && edge->p50_ns <= edge->p99_ns);
    MUST(edge->p99_ns <= (double)edge->max_ns);
    return RC_OK;
}

static void edges_add_up_over_blocks(void **state) {
    (void)state;
    fixture *f = make(unit_seed(__func__));
    edge_sum before = {0}, after = {0};
    assert_rc(f->st.s->ops->edges(f->st.s, 0, 0, take_edge, &before, NULL, NULL), RC_OK);
    assert_true(before.calls > 100);
    temp_store_compact(&f->st);
    assert_rc(f->st.s->ops->edges(f->st.s, 0, 0, take_edge, &after, NULL, NULL), RC_OK);
    assert_int_equal(before.calls, after.calls);
    assert_int_equal(before.rows, after.rows);
    edge_sum some = {0};
    assert_rc(f->st.s->ops->edges(f->st.s, 1785542400000000000, 1785542400000000000 + 600000000000,
                                  take_edge, &some, NULL, NULL),
              RC_OK);
    assert_true(some.calls > 0 && some.calls < after.calls);
    drop(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_find_what_is_there),
        cmocka_unit_test(blocks_without_the_answer_are_not_read),
        cmocka_unit_test(labels_are_listed),
        cmocka_unit_test(sinks_end_a_search),
        cmocka_unit_test(edges_add_up_over_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
