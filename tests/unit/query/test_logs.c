/* What the plan gives to the store, and that it changes no answer: the same queries with everything
 * pushed down and with nothing; limits, workers, cancellation, following. */
#include "../unit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "codec/otlp.h"
#include "fake_store.h"
#include "query/pipeline_int.h"
#include "query/plan_int.h"

static arena mem;
static err e;

static int setup(void **state) {
    (void)state;
    arena_init(&mem, "test", 256 << 20);
    e = (err){0};
    return 0;
}
static int teardown(void **state) {
    (void)state;
    arena_release(&mem);
    return 0;
}

/* --- the plan --- */

static logs_plan plan_of(const char *text, query_text **ret) {
    logs_plan p;
    assert_rc(query_parse(str_c(text), LOGQL, ret, &e), RC_OK);
    assert_rc(plan_logs((*ret)->root, &mem, &p, &e), RC_OK);
    return p;
}

static void filters_go_to_the_store(void **state) {
    (void)state;
    query_text *t;
    logs_plan p = plan_of("{a=\"b\"} |= \"x\" != \"y\" or \"z\" |= \"1\" or \"2\" | c=\"d\" and "
                          "detected_level=\"error\" | "
                          "trace_id=\"000102030405060708090a0b0c0d0e0f\" | drop __error__",
                          &t);
    assert_int_equal(p.stage_count, 0);
    assert_int_equal(p.select.line_count, 4);
    assert_int_equal(p.select.lines[1].op, LINE_HAS_NOT);
    assert_text(p.select.lines[3].text, S("1|2"));
    assert_int_equal(p.select.lines[3].op, LINE_RE);
    assert_int_equal(p.select.c.match_count, 3);
    assert_text(p.select.c.match[2].name, S("level"));
    assert_int_equal(p.select.trace_id.n, 16);
    assert_int_equal(p.select.trace_id.p[15], 15);
    query_text_free(t);
}

static void what_depends_on_stages_stays(void **state) {
    (void)state;
    query_text *t;
    logs_plan p =
        plan_of("{a=\"b\"} | json | status=\"500\" |= \"x\" | line_format \"y\" |= \"y\"", &t);
    assert_int_equal(p.stage_count, 4); /* json, filter, format, filter on the new line */
    assert_int_equal(p.select.line_count, 1);
    assert_int_equal(p.select.c.match_count, 1);
    query_text_free(t);
    p = plan_of("{a=\"b\"} | c=\"d\" or e=\"f\" | g=\"h\" and i > 5 | __error__=\"\"", &t);
    assert_int_equal(p.stage_count, 3);
    assert_int_equal(p.select.c.match_count, 2); /* a, g */
    assert_int_equal(p.stages[1].filter->kind, FILTER_NUMBER);
    query_text_free(t);
    p = plan_of("{trace_id=\"00\", span_id=~\".+\"} | trace_id=\"XY\"", &t);
    assert_int_equal(p.select.trace_id.n, 0);
    assert_int_equal(p.select.c.match_count, 3);
    query_text_free(t);
}

/* --- the same answer either way --- */

static fake_store *random_store(rng *r, size_t count) {
    static const char *const WORDS[] = {
        "alpha",      "beta",      "gamma",      "timeout",
        "level=warn", "size=12KB", "took=150ms", "{\"a\":1,\"b\":\"x\"}",
        "10.0.0.7",   "[error]",   "ok"};
    static const char *const SERVICES[] = {"cart", "shop", "pay", ""};
    fake_store *f = fake_store_new();
    arena *own = fake_store_arena(f);
    resource *res[4];
    for (size_t i = 0; i < 4; i++) {
        res[i] = arena_new(own, resource);
        attribute *a = arena_new(own, attribute);
        *a = attribute_text_of(S("service.name"), str_c(SERVICES[i]));
        res[i]->attrs = a;
        res[i]->attr_count = SERVICES[i][0] != '\0';
        resource_finish(res[i]);
    }
    for (size_t i = 0; i < count; i++) {
        log_record *rec = fake_store_log(f);
        rec->ts_ns = 1000000000 + (int64_t)rng_below(r, 100) * 1000000000;
        rec->severity = (uint8_t)rng_below(r, 25);
        rec->resource = res[rng_below(r, 4)];
        attribute *a = arena_new(own, attribute);
        *a = (attribute){.key = S("http.status"),
                         .type = ATTR_INT,
                         .num = (int64_t)(200 + 100 * rng_below(r, 4))};
        rec->attrs = a;
        rec->attr_count = (uint32_t)rng_below(r, 2);
        rec->body = str_fmt(own, "%s %s n%zu", WORDS[rng_below(r, ARRAY_LEN(WORDS))],
                            WORDS[rng_below(r, ARRAY_LEN(WORDS))], i);
    }
    return f;
}

/* A text for every record of an answer, sorted. */
static int by_text(const void *a, const void *b) {
    return str_cmp(*(const str *)a, *(const str *)b);
}
static size_t lines_of(const query_result *r, str *to) {
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) {
        for (size_t k = 0; k < r->series[i].count; k++) to[n++] = r->series[i].entries[k].line;
    }
    qsort(to, n, sizeof(str), by_text);
    return n;
}

static void assert_same(fake_store *f, const char *pushed, const char *kept, unsigned workers) {
    query_opts o = {
        .from_ns = 10000000000, .to_ns = 90000000000, .limit = 10000, .workers = workers};
    query_result a, b;
    o.text = str_c(pushed);
    assert_rc(query_logs(fake_store_of(f), &o, &mem, &a, &e), RC_OK);
    o.text = str_c(kept);
    assert_rc(query_logs(fake_store_of(f), &o, &mem, &b, &e), RC_OK);
    str *x = arena_bytes(&mem, 10000 * sizeof(str), 8),
        *y = arena_bytes(&mem, 10000 * sizeof(str), 8);
    size_t n = lines_of(&a, x), m = lines_of(&b, y);
    if (n != m) fail_msg("%s: %zu, %s: %zu", pushed, n, kept, m);
    for (size_t i = 0; i < n; i++) assert_text(x[i], y[i]);
    assert_true(n > 0);
}

static void pushing_down_changes_nothing(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("pushing_down_changes_nothing"));
    /* label_format in front keeps everything behind it out of the store */
    static const char *const PIPES[] = {
        "|= \"beta\"",
        "!= \"beta\" or \"gamma\"",
        "|= \"beta\" or \"timeout\" or \"[error]\"",
        "|~ \"a.*b|ok$\" or \"^gamma\"",
        "!~ \"al\" or \"n[0-9]$\"",
        "|> \"<_>ok<_>\"",
        "!> \"alpha<_>\" or \"beta<_>\"",
        "| service_name=\"cart\"",
        "| service_name!=\"cart\" and level=\"error\"",
        "| service_name=~\"c.*|p.*\" | detected_level!~\"error|fatal\"",
        "| http_status=\"500\"",
        "| http_status=\"\""};
    for (int round = 0; round < 10; round++) {
        fake_store *f = random_store(&r, 300);
        for (size_t i = 0; i < ARRAY_LEN(PIPES); i++) {
            char pushed[300], kept[300];
            (void)snprintf(pushed, sizeof(pushed), "{service_name=~\".*\"} %s", PIPES[i]);
            (void)snprintf(
                kept, sizeof(kept),
                "{service_name=~\".*\"} | label_format zz=\"1\" | line_format \"{{__line__}}\" %s",
                PIPES[i]);
            assert_same(f, pushed, kept, 1 + (unsigned)rng_below(&r, 3));
        }
        fake_store_free(f);
    }
}

/* Counting by the store's columns and by records: the same numbers. */
static void counting_ways_agree(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("counting_ways_agree"));
    static const char *const FNS[] = {"count_over_time", "rate", "bytes_over_time", "bytes_rate"};
    static const char *const RANGES[] = {"10s", "15s", "25s", "40s"};
    for (int round = 0; round < 40; round++) {
        fake_store *f = random_store(&r, 200);
        const char *fn = FNS[rng_below(&r, 4)], *range = RANGES[rng_below(&r, 4)];
        char pushed[300], kept[300];
        (void)snprintf(pushed, sizeof(pushed),
                       "sum by (service_name, level) (%s({service_name=~\".*\"}[%s] offset 5s))",
                       fn, range);
        (void)snprintf(kept, sizeof(kept),
                       "sum by (service_name, level) (%s({service_name=~\".*\"} | label_format "
                       "zz=\"1\" [%s] offset 5s))",
                       fn, range);
        query_opts o = {.from_ns = 20000000000,
                        .to_ns = 95000000000,
                        .step_ns = 5000000000 * (int64_t)(1 + rng_below(&r, 4))};
        o.workers = 1 + (unsigned)rng_below(&r, 3);
        query_result a, b;
        o.text = str_c(pushed);
        fake_store_reset_counts(f);
        assert_rc(query_logs(fake_store_of(f), &o, &mem, &a, &e), RC_OK);
        assert_int_equal(fake_store_counts(f)->logs, 0);
        o.text = str_c(kept);
        assert_rc(query_logs(fake_store_of(f), &o, &mem, &b, &e), RC_OK);
        assert_int_equal(a.count, b.count);
        for (size_t i = 0; i < a.count; i++) {
            assert_int_equal(a.series[i].count, b.series[i].count);
            for (size_t k = 0; k < a.series[i].count; k++) {
                assert_int_equal(a.series[i].ts_ns[k], b.series[i].ts_ns[k]);
                assert_true(a.series[i].val[k] == b.series[i].val[k]);
            }
        }
        fake_store_free(f);
    }
}

/* --- limits --- */

static void limit_keeps_the_outermost(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("limit_keeps_the_outermost"));
    fake_store *f = random_store(&r, 1000);
    for (int oldest = 0; oldest < 2; oldest++) {
        for (unsigned workers = 1; workers <= 3; workers++) {
            query_opts o = {.text = S("{service_name=~\".*\"} | line_format \"{{__line__}}!\""),
                            .to_ns = 200000000000};
            o.limit = 37;
            o.workers = workers;
            o.oldest_first = oldest;
            query_result some, all;
            assert_rc(query_logs(fake_store_of(f), &o, &mem, &some, &e), RC_OK);
            o.limit = 1000;
            assert_rc(query_logs(fake_store_of(f), &o, &mem, &all, &e), RC_OK);
            /* the 37th time of all bounds those of some */
            int64_t times[1000], n = 0, total = 0;
            for (size_t i = 0; i < all.count; i++) {
                for (size_t k = 0; k < all.series[i].count; k++)
                    times[n++] = all.series[i].entries[k].ts_ns;
            }
            assert_int_equal(n, 1000);
            int64_t worst = oldest ? INT64_MIN : INT64_MAX;
            for (size_t i = 0; i < some.count; i++) {
                for (size_t k = 0; k < some.series[i].count; k++, total++) {
                    int64_t ts = some.series[i].entries[k].ts_ns;
                    worst = oldest ? MAX(worst, ts) : MIN(worst, ts);
                }
            }
            assert_int_equal(total, 37);
            int64_t better = 0;
            for (int64_t i = 0; i < n; i++) better += oldest ? times[i] < worst : times[i] > worst;
            assert_true(better < 37);
        }
    }
    fake_store_free(f);
}

static void cancelled_queries_say_so(void **state) {
    (void)state;
    rng r;
    rng_init(&r, 1);
    fake_store *f = random_store(&r, 10);
    int flag = 1;
    query_opts o = {.text = S("{service_name=~\".*\"}"), .to_ns = 200000000000, .cancel = &flag};
    query_result got;
    assert_rc(query_logs(fake_store_of(f), &o, &mem, &got, &e), RC_CANCELLED);
    o.text = S("sum(count_over_time({a=\"b\"}[1m]))");
    assert_rc(query_logs(fake_store_of(f), &o, &mem, &got, &e), RC_CANCELLED);
    fake_store_free(f);
}

static void hostile_texts_end(void **state) {
    (void)state;
    char *deep = malloc(70000);
    assert_non_null(deep);
    query_text *t;
    memset(deep, '(', 70000);
    assert_rc(query_parse(str_make(deep, 60000), LOGQL, &t, &e), RC_INVALID);
    assert_rc(query_parse(str_make(deep, 70000), PROMQL, &t, &e), RC_INVALID);
    memset(deep, '-', 60000);
    assert_rc(query_parse(str_make(deep, 60000), PROMQL, &t, &e), RC_INVALID);
    for (size_t i = 0; i < 60000; i++) deep[i] = i % 2 ? '+' : '1';
    assert_rc(query_parse(str_make(deep, 59999), PROMQL, &t, &e), RC_INVALID);
    for (size_t i = 0; i < 60000; i++) deep[i] = i % 2 ? '^' : '1';
    assert_rc(query_parse(str_make(deep, 59999), PROMQL, &t, &e), RC_INVALID);
    free(deep);
}

/* --- following --- */

static void tail_filters_batches(void **state) {
    (void)state;
    query_tail *t;
    assert_rc(query_tail_new(S("count_over_time({a=\"b\"}[5m])"), &t, &e), RC_INVALID);
    assert_rc(query_tail_new(
                  S("{service_name=~\"c.*\"} |= \"beta\" | json | line_format \"<{{__line__}}>\""),
                  &t, &e),
              RC_OK);
    rng r;
    rng_init(&r, unit_seed("tail_filters_batches"));
    fake_store *f = random_store(&r, 200);
    query_opts o = {
        .text = S("{service_name=~\"c.*\"} |= \"beta\""), .to_ns = 200000000000, .limit = 1000};
    query_result want;
    assert_rc(query_logs(fake_store_of(f), &o, &mem, &want, &e), RC_OK);
    log_batch b;
    log_batch_init(&b);
    /* the store's records as one batch */
    query_opts all = {.text = S("{service_name=~\".*\"}"), .to_ns = 200000000000, .limit = 1000};
    query_result everything;
    assert_rc(query_logs(fake_store_of(f), &all, &mem, &everything, &e), RC_OK);
    for (size_t i = 0; i < everything.count; i++) {
        for (size_t k = 0; k < everything.series[i].count; k++)
            *log_batch_add(&b) = *everything.series[i].entries[k].record;
    }
    const query_entry *got;
    size_t count;
    assert_rc(query_tail_offer(t, &b, &mem, &got, &count, &e), RC_OK);
    size_t wanted = 0;
    for (size_t i = 0; i < want.count; i++) wanted += want.series[i].count;
    assert_int_equal(count, wanted);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(str_starts(got[i].line, S("<")) && str_ends(got[i].line, S(">")));
        assert_true(str_has(got[i].record->body, S("beta")));
    }
    /* Without a time of its own: that which the store keeps it under. */
    log_record *one = &b.rec[0];
    one->body = S("beta");
    one->resource = everything.series[0].entries[0].record->resource;
    one->ts_ns = TS_NONE;
    one->observed_ns = 0;
    one->kept_ns = 77;
    b.count = 1;
    query_tail *all_records;
    assert_rc(query_tail_new(S("{}"), &all_records, &e), RC_OK);
    assert_rc(query_tail_offer(all_records, &b, &mem, &got, &count, &e), RC_OK);
    assert_int_equal(count, 1);
    assert_int_equal(got[0].ts_ns, 77);
    query_tail_free(all_records);
    log_batch_release(&b);
    query_tail_free(t);
    fake_store_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(filters_go_to_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(what_depends_on_stages_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(pushing_down_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(counting_ways_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(limit_keeps_the_outermost, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled_queries_say_so, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_texts_end, setup, teardown),
        cmocka_unit_test_setup_teardown(tail_filters_batches, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
