#include "../unit.h"

#include "base/mem.h"
#include "model/log.h"
#include "model/telemetry.h"

static void records_come_zeroed(void **state) {
    (void)state;
    log_batch b;
    log_batch_init(&b);
    for (int pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < BATCH_RECORDS; i++) {
            log_record *r = log_batch_add(&b);
            assert_non_null(r);
            assert_true(r->ts_ns == TS_NONE && r->ref.line == 0 && r->body.n == 0 &&
                        r->shape == 0 && !r->slots);
            assert_int_equal(b.count, i + 1);
            memset(r, 0xEE, sizeof *r);
            r->ts_ns = (int64_t)i;
            /* attributes between the records, as a parser makes them */
            assert_non_null(arena_try_new_n(&b.mem, attribute, 3));
        }
        assert_null(log_batch_add(&b)); /* full */
        for (size_t i = 0; i < BATCH_RECORDS; i++) assert_int_equal(b.rec[i].ts_ns, i);
        b.seq = 5;
        b.lines = 7;
        log_batch_reset(&b);
        assert_int_equal(b.count, 0);
        assert_int_equal(b.seq, 0);
        assert_int_equal(b.lines, 0);
    }
    log_batch_release(&b);
    assert_int_equal(b.mem.held_bytes, 0);
    log_batch_release(NULL);
}

static void a_reset_batch_does_not_grow(void **state) {
    (void)state;
    log_batch b;
    log_batch_init(&b);
    size_t held = 0;
    for (int pass = 0; pass < 6; pass++) {
        for (size_t i = 0; i < BATCH_RECORDS; i++) assert_non_null(log_batch_add(&b));
        if (pass == 2) held = b.mem.held_bytes;
        if (pass > 2) assert_int_equal(b.mem.held_bytes, held);
        log_batch_reset(&b);
    }
    log_batch_release(&b);
}

static void failing_memory_is_a_full_batch(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth < 12; nth++) {
        log_batch b;
        log_batch_init(&b);
        mem_fail_at(nth);
        size_t n = 0;
        while (log_batch_add(&b)) b.rec[n].ts_ns = (int64_t)n, n++;
        mem_fail_at(0);
        assert_int_equal(b.count, n);
        for (size_t i = 0; i < n; i++) assert_int_equal(b.rec[i].ts_ns, i);
        if (n < BATCH_RECORDS) assert_non_null(log_batch_add(&b));
        log_batch_release(&b);
    }
}

static void a_reserved_batch_stays_where_it_is(void **state) {
    (void)state;
    log_batch b;
    log_batch_init(&b);
    assert_non_null(log_batch_add_over(&b));
    b.rec[0].ts_ns = 7;
    assert_true(log_batch_reserve(&b, 10000));
    const log_record *at = b.rec;
    for (size_t i = 0; i < 10000; i++) assert_non_null(log_batch_add_over(&b));
    assert_true(b.rec == at && b.count == 10001 && b.rec[0].ts_ns == 7);
    assert_true(b.rec[10000].ts_ns == TS_NONE);
    assert_false(log_batch_reserve(&b, BATCH_RECORDS_MAX)); /* too many */
    assert_false(log_batch_reserve(&b, 2000000));           /* more than the arena holds */
    assert_int_equal(b.count, 10001);
    log_batch_release(&b);
}

static void items_of_a_telemetry_come_zeroed(void **state) {
    (void)state;
    telemetry *t = telemetry_new();
    assert_true(telemetry_reserve_spans(t, 3) && telemetry_reserve_points(t, 3));
    const span *at = t->spans.rec;
    for (int i = 0; i < 3; i++) telemetry_add_span(t)->event_count = 9;
    assert_true(t->spans.rec == at);
    t->spans.count--; /* taken back */
    assert_int_equal(telemetry_add_span(t)->event_count, 0);
    for (int i = 0; i < 500; i++) {
        telemetry_add_point(t)->flags = 1;
        telemetry_add_metric(t)->kind = 1;
        telemetry_add_profile(t)->period = 1;
    }
    assert_true(t->metrics.rec[0].flags == 1 && t->metrics.rec[499].flags == 1);
    assert_int_equal(telemetry_count(t), 3 + 500 + 500);
    telemetry_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_zeroed),
        cmocka_unit_test(a_reset_batch_does_not_grow),
        cmocka_unit_test(failing_memory_is_a_full_batch),
        cmocka_unit_test(a_reserved_batch_stays_where_it_is),
        cmocka_unit_test(items_of_a_telemetry_come_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
