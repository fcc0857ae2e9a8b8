/* The profile: totals, buckets that widen alike whatever the order, stray timestamps, numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <math.h>

#include "detect/profile_int.h"
#include "feeder.h"

static void mixed_log(feeder *f, bool backwards) {
    rng r;
    for (int k = 0; k < 20000; k++) {
        int i = backwards ? 19999 - k : k;
        rng_init(&r, (uint64_t)i);
        int64_t ts = T0 + i * SECOND;
        f->lines = (uint64_t)i;
        const char *service = i % 3 ? "web" : "db";
        if (i % 7 == 0) {
            feeder_log(f, ts, service, SEV_ERROR, "query failed after %d ms: code %d",
                       (int)rng_below(&r, 900), (int)rng_below(&r, 4));
        } else {
            feeder_log(f, i % 11 ? ts : TS_NONE, service, SEV_INFO,
                       "GET /item/%d took %.2fms status=%d", (int)rng_below(&r, 100000),
                       10 * rng_double(&r), i % 2 ? 200 : 404);
        }
    }
}

static void same_buckets(const bucket_counts *a, const bucket_counts *b) {
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_int_equal(a->v[i].bucket, b->v[i].bucket);
        assert_int_equal(a->v[i].count, b->v[i].count);
        assert_int_equal(a->v[i].first.line, b->v[i].first.line);
    }
}

static void same_params(const param_stat *a, const param_stat *b) {
    assert_int_equal(a->seen, b->seen);
    assert_int_equal(a->numbers, b->numbers);
    assert_int_equal(a->open, b->open);
    assert_int_equal(a->periods.n, b->periods.n);
    for (size_t i = 0; i < a->periods.n; i++) {
        const param_period *x = &a->periods.v[i], *y = &b->periods.v[i];
        assert_int_equal(x->period, y->period);
        assert_int_equal(x->count, y->count);
        assert_int_equal(x->low, y->low);
        assert_true(x->max == y->max);
        assert_int_equal(x->max_at.line, y->max_at.line);
        assert_int_equal(x->bin_from, y->bin_from);
        assert_int_equal(x->bin_count, y->bin_count);
        assert_memory_equal(x->bins, y->bins, x->bin_count * sizeof(*x->bins));
    }
    assert_int_equal(a->values.n, b->values.n);
    for (size_t i = 0; i < a->values.n; i++) {
        assert_int_equal(a->values.v[i].hash, b->values.v[i].hash);
        assert_int_equal(a->values.v[i].count, b->values.v[i].count);
        assert_int_equal(a->values.v[i].first.line, b->values.v[i].first.line);
    }
}

static void merging_is_the_union_of_records(void **state) {
    (void)state;
    feeder one, three;
    feeder_init(&one, 1, 1);
    feeder_init(&three, 3, 1);
    mixed_log(&one, false);
    mixed_log(&three, false);
    feeder_merge(&one);
    feeder_merge(&three);
    const log_profile *a = one.p[0], *b = three.p[0];
    profile_totals ta, tb;
    log_profile_totals(a, &ta);
    log_profile_totals(b, &tb);
    assert_memory_equal(&ta, &tb, sizeof(ta));
    assert_int_equal(ta.records, 20000);
    assert_int_equal(ta.errors, 2858);
    assert_int_equal(ta.services, 2);
    assert_int_equal(ta.bucket_ns, 32 * SECOND);
    same_buckets(&a->timeline, &b->timeline);
    for (size_t i = 0; i < a->series.n; i++) {
        const log_series *x = &a->series.v[i], *y = x;
        for (size_t k = 0; k < b->series.n; k++) {
            const log_series *c = &b->series.v[k];
            bool same = c->shape == x->shape && str_eq(intern_str(&a->service_names, x->service),
                                                       intern_str(&b->service_names, c->service));
            if (same) y = c;
        }
        assert_ptr_not_equal(x, y);
        assert_int_equal(x->records, y->records);
        assert_int_equal(x->errors, y->errors);
        same_buckets(&x->buckets, &y->buckets);
        assert_int_equal(x->slot_count, y->slot_count);
        for (unsigned k = 0; k < x->slot_count; k++) same_params(&x->params[k], &y->params[k]);
    }
    profile_service s;
    log_profile_service(b, 0, &s);
    assert_true(str_eq(s.name, S("db")));
    assert_int_equal(s.first_error_ref.line, 1);
    log_profile_service(b, 1, &s);
    assert_true(str_eq(s.name, S("web")));
    assert_int_equal(s.records, 13333);
    feeder_release(&one);
    feeder_release(&three);
}

static void order_of_records_does_not_matter(void **state) {
    (void)state;
    feeder a, b;
    feeder_init(&a, 1, 1);
    feeder_init(&b, 1, 1);
    /* times only: without them a record takes its predecessor's, which is a matter of order */
    for (int i = 0; i < 5000; i++) {
        int j = 4999 - i;
        a.lines = (uint64_t)i;
        b.lines = (uint64_t)j;
        feeder_log(&a, T0 + i * 7 * SECOND, "s", SEV_INFO, "took %d ms", i % 50);
        feeder_log(&b, T0 + j * 7 * SECOND, "s", SEV_INFO, "took %d ms", j % 50);
    }
    feeder_merge(&a);
    feeder_merge(&b);
    same_buckets(&a.p[0]->timeline, &b.p[0]->timeline);
    same_buckets(&a.p[0]->series.v[0].buckets, &b.p[0]->series.v[0].buckets);
    same_params(&a.p[0]->series.v[0].params[0], &b.p[0]->series.v[0].params[0]);
    assert_int_equal(a.p[0]->bytes, b.p[0]->bytes);
    feeder_release(&a);
    feeder_release(&b);
}

static void a_stray_timestamp_costs_one_bucket(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 2, 1);
    feeder_log(&f, 0, "s", SEV_INFO, "clock not set");
    for (int i = 0; i < 3600; i++) feeder_log(&f, T0 + i * SECOND, "s", SEV_INFO, "tick %d", i);
    feeder_log(&f, T0 * 2, "s", SEV_INFO, "clock of the far future");
    feeder_log(&f, -T0, "s", SEV_INFO, "before the epoch");
    feeder_merge(&f);
    profile_totals t;
    log_profile_totals(f.p[0], &t);
    assert_int_equal(t.bucket_ns, 4 * SECOND);
    assert_int_equal(f.p[0]->timeline.n, 903);
    feeder_release(&f);
}

/* One record with one slot that holds the whole of its text. */
static void slot_record(log_batch *b, int64_t ts_ns, uint64_t shape, uint8_t type, str text) {
    log_record *r = log_batch_add(b);
    r->ts_ns = ts_ns;
    r->shape = shape;
    r->body = r->raw = str_dup(&b->mem, text);
    log_slot *slot = arena_try_new_n(&b->mem, log_slot, 1);
    *slot = (log_slot){.bytes = (uint32_t)text.n, .type = type};
    r->slots = slot;
    r->slot_count = 1;
    r->ref.line = b->count;
    r->ref.offset = 100 * b->count;
}

static void a_zero_of_any_unit_mixes_nothing(void **state) {
    (void)state;
    for (int zero_first = 0; zero_first < 2; zero_first++) {
        log_profile *p = log_profile_new(NULL);
        log_batch b;
        log_batch_init(&b);
        if (zero_first) slot_record(&b, T0, 1, SLOT_UNIT, S("0B"));
        slot_record(&b, T0, 1, SLOT_UNIT, S("12ms"));
        if (!zero_first) slot_record(&b, T0, 1, SLOT_UNIT, S("0B"));
        assert_int_equal(log_profile_feed(p, &b, NULL), RC_OK);
        assert_int_equal(p->series.v[0].params[0].unit, UNIT_MS);
        log_profile *merged = log_profile_new(NULL);
        assert_int_equal(log_profile_merge(merged, p, NULL), RC_OK);
        assert_int_equal(merged->series.v[0].params[0].unit, UNIT_MS);
        log_profile_free(merged);
        log_batch_release(&b);
        log_profile_free(p);
    }
}

static void the_first_record_is_one_with_time(void **state) {
    (void)state;
    log_profile *p = log_profile_new(NULL);
    log_batch b;
    log_batch_init(&b);
    slot_record(&b, TS_NONE, 1, SLOT_TEXT, S("x"));
    slot_record(&b, T0 + SECOND, 1, SLOT_TEXT, S("x"));
    slot_record(&b, T0, 1, SLOT_TEXT, S("x"));
    for (size_t i = 0; i < b.count; i++) b.rec[i].severity = SEV_ERROR;
    assert_int_equal(log_profile_feed(p, &b, NULL), RC_OK);
    assert_int_equal(p->series.v[0].first.line, 3);
    assert_int_equal(p->series.v[0].last.line, 2);
    assert_int_equal(p->series.v[0].params[0].values.v[0].first.line, 3);
    profile_service s;
    log_profile_service(p, 0, &s);
    assert_int_equal(s.first_error_ns, T0);
    log_batch_release(&b);
    log_profile_free(p);
}

static void times_at_both_ends_of_the_calendar_fit(void **state) {
    (void)state;
    log_profile *p = log_profile_new(NULL);
    log_batch b;
    log_batch_init(&b);
    for (int i = 0; i < 3000; i++) {
        slot_record(&b, i % 2 ? INT64_MAX - i * (INT64_MAX / 4000) : INT64_MIN + 1 + i * SECOND, 1,
                    SLOT_INT, S("5"));
    }
    assert_int_equal(log_profile_feed(p, &b, NULL), RC_OK);
    assert_in_range(p->timeline.n, 1, PROFILE_BUCKETS_MAX);
    for (size_t i = 0; i < p->timeline.n; i++) {
        int64_t from = profile_bucket_ns(p, p->timeline.v[i].bucket);
        int64_t to = profile_bucket_ns(p, p->timeline.v[i].bucket + 1);
        assert_true(from <= p->timeline.v[i].first.ns && p->timeline.v[i].first.ns <= to);
    }
    log_batch_release(&b);
    log_profile_free(p);
}

static void services_beyond_the_maximum_share_one_name(void **state) {
    (void)state;
    log_profile *p[2] = {log_profile_new(NULL), log_profile_new(NULL)};
    log_batch b;
    log_batch_init(&b);
    for (int i = 0; i < 3000; i++) {
        log_record *r = log_batch_add(&b);
        r->ts_ns = T0;
        r->shape = 7;
        r->service = str_fmt(&b.mem, "service-%04d", i);
    }
    assert_int_equal(log_profile_feed(p[0], &b, NULL), RC_OK);
    assert_int_equal(log_profile_feed(p[1], &b, NULL), RC_OK);
    assert_int_equal(log_profile_merge(p[0], p[1], NULL), RC_OK);
    profile_totals t;
    log_profile_totals(p[0], &t);
    assert_int_equal(t.services, PROFILE_SERVICES_MAX);
    assert_int_equal(t.in_other_services, 6000 - 2 * (PROFILE_SERVICES_MAX - 1));
    for (size_t i = 0; i < t.services; i++) {
        profile_service s;
        log_profile_service(p[0], i, &s);
        if (str_starts(s.name, S("service-"))) assert_int_equal(s.records, 2);
    }
    log_batch_release(&b);
    log_profile_free(p[0]);
    log_profile_free(p[1]);
}

/* Slots that all look like closed sets at first: what they hold stays within max_bytes. */
static void parameters_stay_within_their_bytes(void **state) {
    (void)state;
    enum { SHAPES = 2000, VALUES = 30, MAX_BYTES = 3 << 20 };
    log_profile *p = log_profile_new(&(log_profile_opts){.max_bytes = MAX_BYTES});
    for (int v = 0; v < VALUES; v++) {
        log_batch b;
        log_batch_init(&b);
        for (int i = 0; i < SHAPES; i++) {
            char text[16];
            int n = snprintf(text, sizeof(text), "value-%d", v);
            slot_record(&b, T0 + v * SECOND, 1 + (uint64_t)i, SLOT_TEXT, (str){text, (size_t)n});
        }
        assert_int_equal(log_profile_feed(p, &b, NULL), RC_OK);
        assert_true(p->bytes <= MAX_BYTES);
        log_batch_release(&b);
    }
    profile_totals t;
    log_profile_totals(p, &t);
    assert_int_equal(t.series, SHAPES);
    assert_int_equal(t.not_kept, 0);
    assert_true(t.params_not_kept > 0 || t.sets_not_kept > 0);
    log_profile *merged = log_profile_new(&(log_profile_opts){.max_bytes = MAX_BYTES});
    assert_int_equal(log_profile_merge(merged, p, NULL), RC_OK);
    profile_totals m;
    log_profile_totals(merged, &m);
    assert_int_equal(m.params_not_kept, t.params_not_kept);
    assert_int_equal(m.sets_not_kept, t.sets_not_kept);
    log_profile_free(merged);
    log_profile_free(p);
}

static void bounds_hold(void **state) {
    (void)state;
    log_profile *p = log_profile_new(&(log_profile_opts){.max_series = 10, .max_bytes = 64 << 10});
    log_batch b;
    log_batch_init(&b);
    for (int i = 0; i < 8000; i++) {
        log_record *r = log_batch_add(&b);
        r->ts_ns = T0 + i * 9 * SECOND;
        r->shape = 1 + (uint64_t)(i % 40);
        r->ref.line = (uint64_t)i + 1;
    }
    assert_int_equal(log_profile_feed(p, &b, NULL), RC_OK);
    profile_totals t;
    log_profile_totals(p, &t);
    assert_int_equal(t.records, 8000);
    assert_int_equal(t.series, 10);
    assert_int_equal(t.not_kept, 6000);
    assert_true(p->bytes <= 64 << 10);
    uint64_t kept = 0;
    for (size_t i = 0; i < p->series.n; i++) {
        for (size_t k = 0; k < p->series.v[i].buckets.n; k++) {
            kept += p->series.v[i].buckets.v[k].count;
        }
    }
    assert_int_equal(kept, 2000);
    log_batch_release(&b);
    log_profile_free(p);
}

static void number_is(const char *text, slot_type type, double want, value_unit want_unit) {
    double v;
    value_unit u;
    assert_true(profile_number(str_c(text), type, &v, &u));
    if (fabs(v - want) > 1e-12 * fabs(want)) print_error("%s: %.17g\n", text, v);
    assert_true(fabs(v - want) <= 1e-12 * fabs(want));
    assert_int_equal(u, want_unit);
}

static void numbers_and_units(void **state) {
    (void)state;
    number_is("42", SLOT_INT, 42, UNIT_NONE);
    number_is("-7", SLOT_INT, -7, UNIT_NONE);
    number_is("0.25", SLOT_FLOAT, 0.25, UNIT_NONE);
    number_is("1.5e3", SLOT_FLOAT, 1500, UNIT_NONE);
    number_is("2E-2", SLOT_FLOAT, 0.02, UNIT_NONE);
    number_is("12ms", SLOT_UNIT, 12, UNIT_MS);
    number_is("120 ms", SLOT_UNIT, 120, UNIT_MS);
    number_is("1.5 KB", SLOT_UNIT, 1536, UNIT_BYTES);
    number_is("1.5s", SLOT_UNIT, 1500, UNIT_MS);
    number_is("1m20.5s", SLOT_UNIT, 80500, UNIT_MS);
    number_is("4.5MB", SLOT_UNIT, 4718592, UNIT_BYTES);
    number_is("80%", SLOT_UNIT, 80, UNIT_PERCENT);
    number_is("3apples", SLOT_UNIT, 3, UNIT_OTHER);
    number_is("123456789012345678901234567890", SLOT_INT, 123456789012345678901234567890.0,
              UNIT_NONE);
    double v;
    value_unit u;
    static const char *const bad[] = {"", "-", "ms", "1.2.3", "12x3", "--1", ".", "1s2MB"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(profile_number(str_c(bad[i]), SLOT_UNIT, &v, &u));
    }
    assert_false(profile_number(S("12ms"), SLOT_INT, &v, &u));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_is_the_union_of_records),
        cmocka_unit_test(order_of_records_does_not_matter),
        cmocka_unit_test(a_stray_timestamp_costs_one_bucket),
        cmocka_unit_test(a_zero_of_any_unit_mixes_nothing),
        cmocka_unit_test(the_first_record_is_one_with_time),
        cmocka_unit_test(times_at_both_ends_of_the_calendar_fit),
        cmocka_unit_test(services_beyond_the_maximum_share_one_name),
        cmocka_unit_test(parameters_stay_within_their_bytes),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(numbers_and_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
