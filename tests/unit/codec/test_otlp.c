/* OTLP in protobuf to the model: every field, what is shared, what is rejected, what is refused. */
#include "base/mem.h"
#include "codec/otlp.h"
#include "codec/pb.h"

#include "../unit.h"

#define TRACE S("0123456789abcdef")
#define SPAN  S("ABCDEFGH")

static telemetry *decode(otlp_signal signal, buf *b, rc want, err *e) {
    assert_false(b->full);
    telemetry *t = telemetry_new();
    *e = (err){0};
    assert_rc(otlp_decode(signal, OTLP_PROTOBUF, buf_str(b), t, e), want);
    return t;
}

static void put_text_attr(buf *b, uint32_t field, str key, str val) {
    size_t kv = pb_begin(b, field);
    pb_put_bytes(b, 1, key);
    size_t any = pb_begin(b, 2);
    pb_put_bytes(b, 1, val);
    pb_end(b, any);
    pb_end(b, kv);
}

/* resource { service.name, host.name } */
static void put_resource(buf *b, str service) {
    size_t r = pb_begin(b, 1);
    put_text_attr(b, 1, S("service.name"), service);
    put_text_attr(b, 1, S("host.name"), S("h1"));
    pb_end(b, r);
}

static void put_scope(buf *b, str name) {
    size_t s = pb_begin(b, 1);
    pb_put_bytes(b, 1, name);
    pb_put_bytes(b, 2, S("1.2"));
    put_text_attr(b, 3, S("k"), S("v"));
    pb_put_varint(b, 4, 7);
    pb_end(b, s);
}

static void put_any_array(buf *b, uint32_t field, unsigned depth) {
    size_t any = pb_begin(b, field);
    size_t list = pb_begin(b, 5);
    if (depth > 1) {
        put_any_array(b, 1, depth - 1);
    } else {
        size_t one = pb_begin(b, 1);
        pb_put_varint(b, 3, 1);
        pb_end(b, one);
    }
    pb_end(b, list);
    pb_end(b, any);
}

static void log_records_keep_every_field(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1 << 16);
    size_t rl = pb_begin(&b, 1), sl = pb_begin(&b, 2);
    put_scope(&b, S("lib"));
    size_t r = pb_begin(&b, 2);
    pb_put_fixed64(&b, 1, 1000);
    pb_put_varint(&b, 2, 17);
    pb_put_bytes(&b, 3, S("ERROR"));
    size_t any = pb_begin(&b, 5);
    pb_put_bytes(&b, 1, S("gr\xc3\xbc\xc3\x9f"));
    pb_end(&b, any);
    put_text_attr(&b, 6, S("a"), S("1"));
    pb_put_varint(&b, 7, 3);
    pb_put_fixed32(&b, 8, 1);
    pb_put_bytes(&b, 9, TRACE);
    pb_put_bytes(&b, 10, SPAN);
    pb_put_fixed64(&b, 11, 2000);
    pb_put_bytes(&b, 12, S("ev"));
    pb_put_varint(&b, 999, 5); /* unknown */
    size_t kv = pb_begin(&b, 6);
    pb_put_bytes(&b, 1, S("n"));
    any = pb_begin(&b, 2);
    pb_put_varint(&b, 3, (uint64_t)-5);
    pb_end(&b, any);
    pb_end(&b, kv);
    pb_end(&b, r);
    r = pb_begin(&b, 2); /* nothing set */
    pb_end(&b, r);
    pb_put_bytes(&b, 3, S("scope-url"));
    pb_end(&b, sl);
    pb_put_bytes(&b, 3, S("res-url"));
    put_resource(&b, S("cart")); /* behind the records */
    pb_end(&b, rl);
    err e;
    telemetry *t = decode(OTLP_LOGS, &b, RC_OK, &e);
    assert_int_equal(t->logs.count, 2);
    const log_record *l = &t->logs.rec[0];
    assert_int_equal(l->ts_ns, 1000);
    assert_int_equal(l->observed_ns, 2000);
    assert_int_equal(l->severity, 17);
    assert_text(l->severity_text, S("ERROR"));
    assert_int_equal(l->body_type, ATTR_STR);
    assert_text(l->body, S("gr\xc3\xbc\xc3\x9f"));
    assert_int_equal(l->attr_count, 2);
    assert_text(l->attrs[0].val, S("1"));
    assert_int_equal(l->attrs[1].type, ATTR_INT);
    assert_int_equal(l->attrs[1].num, -5);
    assert_int_equal(l->dropped_attrs, 3);
    assert_int_equal(l->flags, 1);
    assert_text(l->trace_bin, TRACE);
    assert_text(l->span_bin, SPAN);
    assert_text(l->event_name, S("ev"));
    assert_text(l->service, S("cart"));
    assert_text(l->host, S("h1"));
    assert_text(l->component, S("lib"));
    assert_text(l->resource->schema_url, S("res-url"));
    assert_text(l->scope->version, S("1.2"));
    assert_text(l->scope->schema_url, S("scope-url"));
    assert_int_equal(l->scope->dropped_attrs, 7);
    arena mem;
    arena_init(&mem, "test", 1 << 16);
    log_record copy = *l;
    assert_true(log_record_hex_ids(&copy, &mem));
    assert_text(copy.trace_id, S("30313233343536373839616263646566"));
    assert_text(copy.span_id, S("4142434445464748"));
    arena_release(&mem);
    l = &t->logs.rec[1];
    assert_true(l->ts_ns == TS_NONE && l->severity == SEV_NONE && l->attr_count == 0);
    assert_int_equal(l->body_type, ATTR_EMPTY);
    assert_true(l->resource == t->logs.rec[0].resource && l->scope == t->logs.rec[0].scope);
    telemetry_free(t);
    buf_release(&b);
}

static void equal_resources_are_one(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1 << 16);
    static const char *const names[] = {"a", "b", "a"};
    for (size_t i = 0; i < 3; i++) {
        size_t rl = pb_begin(&b, 1);
        put_resource(&b, str_c(names[i]));
        size_t sl = pb_begin(&b, 2);
        put_scope(&b, S("s"));
        pb_end(&b, pb_begin(&b, 2));
        pb_end(&b, sl);
        pb_end(&b, rl);
    }
    err e;
    telemetry *t = decode(OTLP_LOGS, &b, RC_OK, &e);
    assert_int_equal(t->logs.count, 3);
    const log_record *r = t->logs.rec;
    assert_true(r[0].resource == r[2].resource && r[0].resource != r[1].resource);
    assert_true(r[0].scope == r[1].scope && r[1].scope == r[2].scope);
    assert_text(r[1].service, S("b"));
    telemetry_free(t);
    buf_release(&b);
}

/* A request with one log record that `fill` writes. */
static telemetry *one_log(void (*fill)(buf *b, unsigned arg), unsigned arg, rc want, err *e,
                          buf *b) {
    buf_init(b, 1 << 20);
    size_t rl = pb_begin(b, 1), sl = pb_begin(b, 2);
    size_t good = pb_begin(b, 2);
    pb_put_fixed64(b, 1, 1);
    pb_end(b, good);
    size_t r = pb_begin(b, 2);
    fill(b, arg);
    pb_end(b, r);
    pb_end(b, sl);
    pb_end(b, rl);
    return decode(OTLP_LOGS, b, want, e);
}

static void fill_trace_id(buf *b, unsigned bytes) {
    char id[32] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    pb_put_bytes(b, 9, str_make(id, bytes));
}
static void fill_zero_ids(buf *b, unsigned bytes) {
    char zero[16] = "";
    pb_put_bytes(b, 9, str_make(zero, bytes));
    pb_put_bytes(b, 10, str_make(zero, bytes / 2));
}
static void fill_severity(buf *b, unsigned number) { pb_put_varint(b, 2, number); }
static void fill_bad_text(buf *b, unsigned field) { pb_put_bytes(b, field, S("\xff")); }
static void fill_depth(buf *b, unsigned depth) { put_any_array(b, 5, depth); }
static void fill_bytes(buf *b, unsigned which) {
    static const str BAD[] = {
        S_INIT("\x0a\x05"),                                     /* length past the end */
        S_INIT("\x0a\xff\xff\xff\xff\x0f"),                     /* 4 GiB */
        S_INIT("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), /* endless varint */
        S_INIT("\x09\x01\x02"),                                 /* cut fixed64 */
        S_INIT("\x02"),                                         /* field number 0 */
        S_INIT("\x0f"),                                         /* wire type 7 */
        S_INIT("\x9b\x06\x08\x01"),                             /* group without end */
        S_INIT("\x9c\x06"),                                     /* end without group */
        S_INIT("\x80"),                                         /* cut tag */
    };
    IGNORE(!buf_put(b, BAD[which]));
}
static void fill_group(buf *b, unsigned arg) {
    (void)arg; /* field 99: a group with a nested group and fields of each wire type */
    IGNORE(!buf_put(b, S("\x9b\x06\x08\x01\x9b\x06\x9c\x06\x12\x01z\x1d"
                         "abcd\x21"
                         "abcdefgh\x9c\x06")));
    pb_put_bytes(b, 12, S("after"));
}

static void bad_ids_of_a_log_are_left_out(void **state) {
    (void)state;
    err e;
    buf b;
    static const unsigned lengths[] = {1, 8, 15, 17, 31};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        telemetry *t = one_log(fill_trace_id, lengths[i], RC_OK, &e, &b);
        assert_int_equal(t->logs.count, 2);
        assert_int_equal(t->rejected, 0);
        assert_int_equal(t->logs.rec[1].trace_bin.n, 0);
        assert_text(t->reject_reason, S("a trace_id that is not 16 bytes was left out"));
        telemetry_free(t);
        buf_release(&b);
    }
    telemetry *t = one_log(fill_zero_ids, 16, RC_OK, &e, &b); /* absent */
    assert_int_equal(t->logs.count, 2);
    assert_int_equal(t->logs.rec[1].trace_bin.n + t->logs.rec[1].span_bin.n, 0);
    assert_int_equal(t->reject_reason.n, 0);
    telemetry_free(t);
    buf_release(&b);
}

static void open_enums_keep_their_number(void **state) {
    (void)state;
    err e;
    buf b;
    telemetry *t = one_log(fill_severity, 4711, RC_OK, &e, &b);
    assert_int_equal(t->logs.rec[1].severity, SEV_NONE);
    assert_int_equal(t->logs.rec[1].severity_other, 4711);
    telemetry_free(t);
    buf_release(&b);
}

static void damage_is_invalid_and_says_where(void **state) {
    (void)state;
    err e;
    buf b;
    for (unsigned i = 0; i < 9; i++) {
        telemetry *t = one_log(fill_bytes, i, RC_INVALID, &e, &b);
        if (!strstr(e.msg, "resource_logs[0].scope_logs[0]")) fail_msg("%u: %s", i, e.msg);
        assert_non_null(strstr(e.msg, "at byte"));
        telemetry_free(t);
        buf_release(&b);
    }
    static const unsigned texts[] = {3, 12};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        telemetry *t = one_log(fill_bad_text, texts[i], RC_INVALID, &e, &b);
        assert_non_null(strstr(e.msg, "log_records[1]: text is not UTF-8"));
        telemetry_free(t);
        buf_release(&b);
    }
    telemetry *t = one_log(fill_group, 0, RC_OK, &e, &b);
    assert_text(t->logs.rec[1].event_name, S("after"));
    telemetry_free(t);
    buf_release(&b);
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    err e;
    buf b;
    telemetry *t = one_log(fill_depth, OTLP_DEPTH_MAX, RC_OK, &e, &b);
    assert_int_equal(t->logs.rec[1].body_type, ATTR_ARRAY);
    assert_int_equal(t->logs.rec[1].body.n, 2 * OTLP_DEPTH_MAX + 1);
    assert_true(str_has(t->logs.rec[1].body, S("[[1]]")));
    telemetry_free(t);
    buf_release(&b);
    t = one_log(fill_depth, OTLP_DEPTH_MAX + 1, RC_INVALID, &e, &b);
    telemetry_free(t);
    buf_release(&b);
    t = one_log(fill_depth, 3000, RC_INVALID, &e, &b);
    telemetry_free(t);
    buf_release(&b);
}

static void put_span(buf *b, str trace, str id, str parent) {
    size_t s = pb_begin(b, 2);
    pb_put_bytes_set(b, 1, trace);
    pb_put_bytes_set(b, 2, id);
    pb_put_bytes(b, 3, S("k=v"));
    pb_put_bytes_set(b, 4, parent);
    pb_put_bytes(b, 5, S("GET /"));
    pb_put_varint(b, 6, 77);
    pb_put_fixed64(b, 7, 10);
    pb_put_fixed64(b, 8, 9);
    put_text_attr(b, 9, S("a"), S("b"));
    size_t ev = pb_begin(b, 11);
    pb_put_fixed64(b, 1, 5);
    put_text_attr(b, 3, S("ea"), S("eb"));
    pb_put_bytes(b, 2, S("exception"));
    pb_put_varint(b, 4, 2);
    pb_end(b, ev);
    put_text_attr(b, 9, S("c"), S("d")); /* goes on behind a part */
    size_t ln = pb_begin(b, 13);
    pb_put_bytes(b, 1, TRACE);
    pb_put_bytes(b, 2, SPAN);
    put_text_attr(b, 4, S("la"), S("lb"));
    pb_put_fixed32(b, 6, 3);
    pb_end(b, ln);
    pb_put_varint(b, 10, 1);
    pb_put_varint(b, 12, 2);
    pb_put_varint(b, 14, 3);
    size_t st = pb_begin(b, 15);
    pb_put_bytes(b, 2, S("bad"));
    pb_put_varint(b, 3, 2);
    pb_end(b, st);
    pb_put_fixed32(b, 16, 0x101);
    pb_end(b, s);
}

static void spans_keep_every_field(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1 << 16);
    size_t rs = pb_begin(&b, 1);
    put_resource(&b, S("cart"));
    size_t ss = pb_begin(&b, 2);
    char zero[16] = "";
    put_span(&b, TRACE, SPAN, S("12345678"));
    put_span(&b, TRACE, SPAN, STR_NONE);
    put_span(&b, str_make(zero, 16), SPAN, STR_NONE);
    put_span(&b, TRACE, str_make(zero, 8), STR_NONE);
    put_span(&b, STR_NONE, SPAN, STR_NONE);
    put_span(&b, TRACE, S("short"), STR_NONE);
    put_span(&b, TRACE, SPAN, S("123"));
    pb_end(&b, ss);
    pb_end(&b, rs);
    err e;
    telemetry *t = decode(OTLP_TRACES, &b, RC_OK, &e);
    assert_int_equal(t->spans.count, 2);
    assert_int_equal(t->rejected, 5);
    const span *s = &t->spans.rec[0];
    assert_memory_equal(s->trace_id, TRACE.p, 16);
    assert_memory_equal(s->span_id, SPAN.p, 8);
    assert_memory_equal(s->parent_id, "12345678", 8);
    assert_memory_equal(t->spans.rec[1].parent_id, zero, 8);
    assert_text(s->name, S("GET /"));
    assert_text(s->trace_state, S("k=v"));
    assert_int_equal(s->kind, 77);
    assert_int_equal(s->start_ns, 10);
    assert_int_equal(s->end_ns, 9);
    assert_int_equal(s->attr_count, 2);
    assert_text(s->attrs[1].key, S("c"));
    assert_int_equal(s->event_count, 1);
    assert_text(s->events[0].name, S("exception"));
    assert_int_equal(s->events[0].attr_count, 1);
    assert_text(s->events[0].attrs[0].val, S("eb"));
    assert_int_equal(s->events[0].dropped_attrs, 2);
    assert_int_equal(s->link_count, 1);
    assert_text(s->links[0].trace_id, TRACE);
    assert_text(s->links[0].attrs[0].key, S("la"));
    assert_int_equal(s->links[0].flags, 3);
    assert_int_equal(s->dropped_attrs * 100 + s->dropped_events * 10 + s->dropped_links, 123);
    assert_text(s->status_message, S("bad"));
    assert_int_equal(s->status, 2);
    assert_int_equal(s->flags, 0x101);
    assert_text(s->resource->service, S("cart"));
    assert_null(s->scope);
    telemetry_free(t);
    buf_release(&b);
}

static void put_f64(buf *b, uint32_t field, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pb_put_fixed64(b, field, bits);
}

static void metrics_keep_every_kind(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1 << 16);
    size_t rm = pb_begin(&b, 1);
    put_resource(&b, S("cart"));
    size_t sm = pb_begin(&b, 2);
    size_t m = pb_begin(&b, 2); /* no data */
    pb_put_bytes(&b, 1, S("none"));
    pb_end(&b, m);
    m = pb_begin(&b, 2);
    pb_put_bytes(&b, 1, S("requests"));
    pb_put_bytes(&b, 2, S("how many"));
    pb_put_bytes(&b, 3, S("1"));
    put_text_attr(&b, 12, S("meta"), S("data"));
    size_t data = pb_begin(&b, 7), pt = pb_begin(&b, 1);
    put_text_attr(&b, 7, S("a"), S("b"));
    pb_put_fixed64(&b, 2, 1);
    pb_put_fixed64(&b, 3, 2);
    pb_put_fixed64(&b, 6, (uint64_t)-3);
    size_t ex = pb_begin(&b, 5);
    put_text_attr(&b, 7, S("ea"), S("eb"));
    pb_put_fixed64(&b, 2, 9);
    put_f64(&b, 3, 1.5);
    pb_put_bytes(&b, 4, SPAN);
    pb_put_bytes(&b, 5, TRACE);
    pb_end(&b, ex);
    pb_put_varint(&b, 8, 1);
    pb_end(&b, pt);
    pb_put_varint(&b, 2, 2);
    pb_put_varint(&b, 3, 1);
    pb_end(&b, data);
    pb_end(&b, m);
    m = pb_begin(&b, 2);
    pb_put_bytes(&b, 1, S("latency"));
    data = pb_begin(&b, 9), pt = pb_begin(&b, 1);
    pb_put_fixed64(&b, 4, 6);
    put_f64(&b, 5, 12.5);
    size_t packed = pb_begin(&b, 6);
    IGNORE(!buf_le64(&b, 1) || !buf_le64(&b, 2));
    pb_end(&b, packed);
    pb_put_fixed64(&b, 6, 3); /* unpacked behind packed */
    put_f64(&b, 7, 0.5);
    put_f64(&b, 7, 5);
    put_f64(&b, 12, 9);
    pb_end(&b, pt);
    pb_end(&b, data);
    pb_end(&b, m);
    m = pb_begin(&b, 2);
    pb_put_bytes(&b, 1, S("exp"));
    data = pb_begin(&b, 10), pt = pb_begin(&b, 1);
    pb_put_varint(&b, 6, pb_zigzag(-3));
    pb_put_fixed64(&b, 7, 4);
    size_t side = pb_begin(&b, 8);
    pb_put_varint(&b, 1, pb_zigzag(-2));
    packed = pb_begin(&b, 2);
    IGNORE(!buf_varint(&b, 300) || !buf_varint(&b, UINT64_MAX));
    pb_end(&b, packed);
    pb_end(&b, side);
    side = pb_begin(&b, 9);
    pb_put_varint(&b, 2, 8);
    pb_end(&b, side);
    put_f64(&b, 14, 0.25);
    pb_end(&b, pt);
    pb_end(&b, data);
    pb_end(&b, m);
    m = pb_begin(&b, 2);
    pb_put_bytes(&b, 1, S("sum"));
    data = pb_begin(&b, 11), pt = pb_begin(&b, 1);
    pb_put_fixed64(&b, 4, 2);
    put_f64(&b, 5, 3);
    size_t q = pb_begin(&b, 6);
    put_f64(&b, 1, 0.5);
    put_f64(&b, 2, 7);
    pb_end(&b, q);
    pb_end(&b, pt);
    pb_end(&b, data);
    pb_end(&b, m);
    m = pb_begin(&b, 2);
    pb_put_bytes(&b, 1, S("gauge"));
    data = pb_begin(&b, 5), pt = pb_begin(&b, 1);
    put_f64(&b, 4, 2.5);
    pb_end(&b, pt);
    pt = pb_begin(&b, 1);
    ex = pb_begin(&b, 5);
    pb_put_bytes(&b, 5, S("short"));
    pb_end(&b, ex);
    pb_end(&b, pt);
    pb_end(&b, data);
    pb_end(&b, m);
    pb_end(&b, sm);
    pb_end(&b, rm);
    err e;
    telemetry *t = decode(OTLP_METRICS, &b, RC_OK, &e);
    assert_int_equal(t->metrics.info_count, 5);
    assert_int_equal(t->metrics.count, 6);
    assert_int_equal(t->rejected, 0); /* the last exemplar loses its id: */
    assert_text(t->reject_reason, S("a trace_id that is not 16 bytes was left out"));
    assert_int_equal(t->metrics.rec[5].exemplar_count, 1);
    assert_int_equal(t->metrics.rec[5].exemplars[0].trace_id.n, 0);
    const metric_info *in = t->metrics.info;
    const metric_point *p = t->metrics.rec;
    assert_text(in[0].name, S("requests"));
    assert_text(in[0].description, S("how many"));
    assert_text(in[0].unit, S("1"));
    assert_int_equal(in[0].metadata_count, 1);
    assert_true(in[0].kind == METRIC_SUM && in[0].monotonic && in[0].temporality == 2);
    assert_text(in[0].resource->service, S("cart"));
    assert_true(p[0].is_int && p[0].has_value && p[0].num == -3 && p[0].flags == 1);
    assert_true(p[0].start_ns == 1 && p[0].ts_ns == 2 && p[0].attr_count == 1);
    assert_int_equal(p[0].exemplar_count, 1);
    assert_text(p[0].exemplars[0].trace_id, TRACE);
    assert_text(p[0].exemplars[0].attrs[0].val, S("eb"));
    assert_false(p[0].exemplars[0].is_int);
    assert_true(in[1].kind == METRIC_HISTOGRAM && p[1].metric == 1);
    assert_true(p[1].bucket_count == 3 && p[1].buckets[1] == 2 && p[1].buckets[2] == 3);
    assert_true(p[1].bound_count == 2 && p[1].bounds[1] > 4);
    assert_true(p[1].has_sum && p[1].has_max && !p[1].has_min && p[1].count == 6);
    assert_true(p[2].scale == -3 && p[2].zero_count == 4 && p[2].offset == -2);
    assert_true(p[2].bucket_count == 2 && p[2].buckets[0] == 300);
    assert_true(p[2].buckets[1] == UINT64_MAX && p[2].negative_count == 1);
    assert_true(p[2].negative[0] == 8 && p[2].zero_threshold > 0.2);
    assert_true(p[3].bound_count == 1 && p[3].values[0] > 6 && p[3].has_sum);
    assert_true(in[4].kind == METRIC_GAUGE && !p[4].is_int && p[4].has_value);
    telemetry_free(t);
    buf_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_records_keep_every_field),
        cmocka_unit_test(equal_resources_are_one),
        cmocka_unit_test(bad_ids_of_a_log_are_left_out),
        cmocka_unit_test(open_enums_keep_their_number),
        cmocka_unit_test(damage_is_invalid_and_says_where),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(spans_keep_every_field),
        cmocka_unit_test(metrics_keep_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
