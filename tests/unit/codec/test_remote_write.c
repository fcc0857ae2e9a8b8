/* Prometheus remote write to metric points. */
#include "codec/remote_write.h"

#include <math.h>
#include <snappy-c.h>

#include "../unit.h"

#include "base/mem.h"
#include "codec/pb.h"

enum { LIMIT = 1 << 20 };

static telemetry *decode(buf *b, rc want, err *e) {
    size_t n = snappy_max_compressed_length(b->n);
    char *packed = mem_alloc(n + 1);
    assert_int_equal(snappy_compress(b->p ? b->p : "", b->n, packed, &n), SNAPPY_OK);
    telemetry *t = telemetry_new();
    *e = (err){0};
    assert_rc(remote_write_decode(str_make(packed, n), LIMIT, t, e), want);
    mem_free(packed);
    return t;
}

static void put_label(buf *b, uint32_t field, str name, str value) {
    size_t label = pb_begin(b, field);
    pb_put_bytes(b, 1, name);
    pb_put_bytes(b, 2, value);
    pb_end(b, label);
}

static void put_f64(buf *b, uint32_t field, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pb_put_fixed64(b, field, bits);
}

static void put_sample(buf *b, double v, int64_t ms) {
    size_t sample = pb_begin(b, 2);
    put_f64(b, 1, v);
    pb_put_varint(b, 2, (uint64_t)ms);
    pb_end(b, sample);
}

static size_t begin_series(buf *b, str name) {
    size_t series = pb_begin(b, 1);
    put_label(b, 1, S("__name__"), name);
    put_label(b, 1, S("instance"), S("i1"));
    put_label(b, 1, S("job"), S("node"));
    return series;
}

static void put_metadata(buf *b, unsigned type, str name) {
    size_t m = pb_begin(b, 3);
    pb_put_varint(b, 1, type);
    pb_put_bytes(b, 2, name);
    pb_put_bytes(b, 4, S("help"));
    pb_put_bytes(b, 5, S("seconds"));
    pb_end(b, m);
}

static void samples_become_points(void **state) {
    (void)state;
    buf b;
    buf_init(&b, LIMIT);
    size_t s = begin_series(&b, S("node_load1"));
    put_sample(&b, 0.25, 1500);
    put_sample(&b, -1, -2);
    uint64_t stale = 0x7ff0000000000002u;
    double v;
    memcpy(&v, &stale, sizeof v);
    put_sample(&b, v, 3000);
    pb_end(&b, s);
    s = begin_series(&b, S("http_requests_total"));
    put_sample(&b, 7, 1000);
    pb_end(&b, s);
    s = begin_series(&b, S("node_load1")); /* the same metric */
    put_label(&b, 1, S("x"), S("y"));
    put_sample(&b, 1, 1000);
    pb_end(&b, s);
    err e;
    telemetry *t = decode(&b, RC_OK, &e);
    assert_int_equal(t->metrics.info_count, 2);
    assert_int_equal(t->metrics.count, 5);
    const metric_info *in = t->metrics.info;
    const metric_point *p = t->metrics.rec;
    assert_text(in[0].name, S("node_load1"));
    assert_int_equal(in[0].kind, METRIC_GAUGE);
    assert_non_null(in[0].resource);
    assert_true(in[1].kind == METRIC_SUM && in[1].monotonic &&
                in[1].temporality == TEMPORALITY_CUMULATIVE);
    assert_true(p[0].ts_ns == 1500000000 && p[1].ts_ns == -2000000 && p[0].has_value);
    memcpy(&v, &p[0].num, sizeof v);
    assert_true(v > 0.24 && v < 0.26 && !p[0].is_int);
    assert_int_equal(p[0].attr_count, 2);
    assert_text(p[0].attrs[0].key, S("instance"));
    assert_text(p[0].attrs[1].val, S("node"));
    assert_true(p[0].attrs == p[1].attrs); /* shared */
    assert_true(p[2].flags == POINT_NO_VALUE && !p[2].has_value);
    assert_true(p[4].metric == 0 && p[4].attr_count == 3);
    telemetry_free(t);
    buf_release(&b);
}

static void metadata_says_what_a_name_is(void **state) {
    (void)state;
    static const struct {
        const char *name;
        unsigned type; /* of "f"; 0 = none sent */
        metric_kind kind;
        bool monotonic;
    } CASES[] = {
        {"f", 1, METRIC_SUM, true},        {"f", 2, METRIC_GAUGE, false},
        {"f", 0, METRIC_GAUGE, false},     {"f_total", 0, METRIC_SUM, true},
        {"f_bucket", 3, METRIC_SUM, true}, {"f_count", 5, METRIC_SUM, true},
        {"f_sum", 3, METRIC_SUM, false},   {"f_count", 2, METRIC_GAUGE, false},
        {"f_total", 1, METRIC_SUM, true},  {"f_other", 1, METRIC_GAUGE, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        buf b;
        buf_init(&b, LIMIT);
        size_t s = begin_series(&b, str_c(CASES[i].name));
        put_sample(&b, 1, 1);
        pb_end(&b, s);
        if (CASES[i].type) put_metadata(&b, CASES[i].type, S("f"));
        err e;
        telemetry *t = decode(&b, RC_OK, &e);
        const metric_info *m = t->metrics.info;
        if (m->kind != CASES[i].kind || m->monotonic != CASES[i].monotonic) {
            fail_msg("%s: kind %d", CASES[i].name, m->kind);
        }
        bool known = CASES[i].type && !str_eq(m->name, S("f_other"));
        assert_text(m->unit, known ? S("seconds") : S(""));
        telemetry_free(t);
        buf_release(&b);
    }
}

static void exemplars_join_their_series(void **state) {
    (void)state;
    buf b;
    buf_init(&b, LIMIT);
    size_t s = begin_series(&b, S("h_bucket")); /* before its samples, without any of its own */
    size_t x = pb_begin(&b, 3);
    put_label(&b, 1, S("trace_id"), S("30313233343536373839616263646566"));
    put_label(&b, 1, S("k"), S("v"));
    put_f64(&b, 2, 0.5);
    pb_put_varint(&b, 3, 5);
    pb_end(&b, x);
    pb_end(&b, s);
    s = begin_series(&b, S("h_bucket"));
    put_sample(&b, 1, 1);
    pb_end(&b, s);
    err e;
    telemetry *t = decode(&b, RC_OK, &e);
    assert_int_equal(t->metrics.count, 1);
    assert_int_equal(t->metrics.rec[0].exemplar_count, 1);
    const exemplar *got = &t->metrics.rec[0].exemplars[0];
    assert_text(got->trace_id, S("0123456789abcdef"));
    assert_int_equal(got->ts_ns, 5000000);
    assert_int_equal(got->attr_count, 1);
    telemetry_free(t);
    buf_release(&b);
}

static void put_span(buf *b, uint32_t field, int32_t offset, uint32_t length) {
    size_t s = pb_begin(b, field);
    pb_put_varint(b, 1, (uint32_t)pb_zigzag(offset));
    pb_put_varint(b, 2, length);
    pb_end(b, s);
}

static void native_histograms_become_exponential(void **state) {
    (void)state;
    buf b;
    buf_init(&b, LIMIT);
    size_t s = begin_series(&b, S("lat"));
    size_t h = pb_begin(&b, 4);
    pb_put_varint(&b, 1, 21);
    put_f64(&b, 3, 18.4);
    pb_put_varint(&b, 4, (uint32_t)pb_zigzag(1));
    put_f64(&b, 5, 0.001);
    pb_put_varint(&b, 6, 2);
    put_span(&b, 11, 0, 2); /* buckets 0, 1; then 3, 4 */
    put_span(&b, 11, 1, 2);
    size_t packed = pb_begin(&b, 12);
    static const int64_t deltas[] = {1, 2, -2, 3};
    for (size_t i = 0; i < 4; i++) assert_true(buf_varint(&b, pb_zigzag(deltas[i])));
    pb_end(&b, packed);
    put_span(&b, 8, -3, 1);
    pb_put_varint(&b, 9, pb_zigzag(6));
    pb_put_varint(&b, 15, 1000);
    pb_end(&b, h);
    h = pb_begin(&b, 4); /* more buckets than counts */
    put_span(&b, 11, 0, 2);
    pb_end(&b, h);
    h = pb_begin(&b, 4); /* wide */
    put_span(&b, 11, 0, 1);
    put_span(&b, 11, 1 << 30, 1);
    pb_end(&b, h);
    h = pb_begin(&b, 4); /* custom bounds */
    pb_put_varint(&b, 4, (uint32_t)pb_zigzag(-53));
    put_f64(&b, 16, 0.5);
    put_f64(&b, 16, 1);
    put_span(&b, 11, 1, 2);
    pb_put_varint(&b, 12, pb_zigzag(4));
    pb_put_varint(&b, 12, pb_zigzag(0));
    pb_end(&b, h);
    pb_end(&b, s);
    err e;
    telemetry *t = decode(&b, RC_OK, &e);
    assert_int_equal(t->metrics.count, 2);
    assert_int_equal(t->rejected, 2);
    const metric_point *p = &t->metrics.rec[0];
    assert_int_equal(t->metrics.info[p->metric].kind, METRIC_EXP_HISTOGRAM);
    assert_true(p->count == 21 && p->zero_count == 2 && p->scale == 1 && p->has_sum);
    assert_true(p->ts_ns == 1000000000 && p->attr_count == 2);
    /* Bucket i of Prometheus is i - 1 of OpenTelemetry; the hole between the spans is filled. */
    assert_int_equal(p->offset, -1);
    assert_int_equal(p->bucket_count, 5);
    static const uint64_t want[] = {1, 3, 0, 1, 4};
    assert_memory_equal(p->buckets, want, sizeof want);
    assert_true(p->negative_offset == -4 && p->negative_count == 1 && p->negative[0] == 6);
    p = &t->metrics.rec[1];
    assert_int_equal(t->metrics.info[p->metric].kind, METRIC_HISTOGRAM);
    assert_true(p->bound_count == 2 && p->bucket_count == 3);
    assert_true(p->buckets[0] == 0 && p->buckets[1] == 4 && p->buckets[2] == 4);
    telemetry_free(t);
    buf_release(&b);
}

static void what_is_no_request_is_refused(void **state) {
    (void)state;
    err e;
    telemetry *t = telemetry_new();
    assert_rc(remote_write_decode(S(""), LIMIT, t, &e), RC_INVALID);
    assert_rc(remote_write_decode(S("plain text"), LIMIT, t, &e), RC_INVALID);
    assert_rc(remote_write_decode(S("\xff\xff\xff\xff\x0f"), LIMIT, t, &e), RC_LIMIT); /* 4 GiB */
    telemetry_free(t);
    buf b;
    buf_init(&b, 4 * LIMIT);
    t = decode(&b, RC_OK, &e); /* empty */
    assert_int_equal(telemetry_count(t), 0);
    telemetry_free(t);
    static const str BAD[] = {S_INIT("\x0a\x05"), S_INIT("\x0a\x02\x12\x09"),
                              S_INIT("\x0a\x03\x0a\x01\x0a"), S_INIT("\x1a\x01\x08"),
                              S_INIT("\x03")};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        buf_reset(&b);
        assert_true(buf_put(&b, BAD[i]));
        t = decode(&b, i == 2 ? RC_OK : RC_INVALID,
                   &e); /* labels without samples are not looked at */
        telemetry_free(t);
    }
    buf_reset(&b);
    assert_true(buf_pad(&b, 0, LIMIT + 1));
    t = decode(&b, RC_LIMIT, &e);
    telemetry_free(t);
    buf_reset(&b);
    size_t s = pb_begin(&b, 1);
    put_label(&b, 1, S("__name__"), S("\xff"));
    put_sample(&b, 1, 1);
    put_sample(&b, 1, 2);
    pb_end(&b, s);
    s = begin_series(&b, S("ok"));
    put_sample(&b, 1, INT64_MAX);
    put_sample(&b, 1, 1);
    pb_end(&b, s);
    t = decode(&b, RC_OK, &e);
    assert_int_equal(t->metrics.count, 1);
    assert_int_equal(t->rejected, 3);
    assert_text(t->reject_reason, S("a label is not UTF-8"));
    telemetry_free(t);
    buf_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_become_points),
        cmocka_unit_test(metadata_says_what_a_name_is),
        cmocka_unit_test(exemplars_join_their_series),
        cmocka_unit_test(native_histograms_become_exponential),
        cmocka_unit_test(what_is_no_request_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
