#include "codec/syslog.h"

#include "../unit.h"

static arena mem;
static const ts_context UTC = {.anchor_ns = 1795190400000000000}; /* 2026-11-20T16:00:00Z */

static int setup(void **state) {
    (void)state;
    arena_init(&mem, "test", 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_release(&mem);
    return 0;
}

/* Decodes, and expects the same bytes back. */
static log_record decode(str msg, const ts_context *ts) {
    log_record r = {.ts_ns = TS_NONE};
    assert_rc(syslog_decode(msg, ts, &mem, &r), RC_OK);
    buf out;
    buf_init(&out, 1 << 20);
    assert_true(syslog_put_original(&r, &out));
    assert_text(buf_str(&out), msg);
    buf_release(&out);
    return r;
}

static const attribute *attr(const log_record *r, const char *key) {
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (str_eq(r->attrs[i].key, str_c(key))) return &r->attrs[i];
    return NULL;
}

/* The attribute, which must be there. */
static attribute must(const log_record *r, const char *key) {
    const attribute *a = attr(r, key);
    if (!a) print_error("no attribute %s\n", key);
    assert_non_null(a);
    return a ? *a : (attribute){0};
}

static void expect_text(const log_record *r, const char *key, const char *want) {
    assert_text(must(r, key).val, str_c(want));
}

static void reads_all_fields_of_5424(void **state) {
    (void)state;
    log_record r =
        decode(S("<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 812 ID47 "
                 "[exampleSDID@32473 iut=\"3\" eventSource=\"Appl\\]ication\"][x y=\"\"] "
                 "\xef\xbb\xbf"
                 "An application event log entry..."),
               &UTC);
    assert_int_equal(r.ts_ns, 1065910455003000000);
    assert_text(r.host, S("mymachine.example.com"));
    assert_text(r.service, S("evntslog"));
    assert_text(r.body, S("An application event log entry..."));
    assert_int_equal(r.severity, SEV_INFO2);
    assert_int_equal(must(&r, "syslog.facility").num, 20);
    assert_int_equal(must(&r, "process.pid").num, 812);
    expect_text(&r, "syslog.msgid", "ID47");
    expect_text(&r, "syslog.exampleSDID@32473.iut", "3");
    expect_text(&r, "syslog.exampleSDID@32473.eventSource", "Appl]ication");
    expect_text(&r, "syslog.x.y", "");
    expect_text(&r, "syslog.form", "5424 Z 3 bom");
    assert_null(attr(&r, "log.record.original"));
}

static void nil_values_are_absent(void **state) {
    (void)state;
    log_record r = decode(S("<0>1 - - - - - -"), &UTC);
    assert_int_equal(r.ts_ns, TS_NONE);
    assert_int_equal(r.host.n + r.service.n + r.body.n, 0);
    assert_int_equal(r.severity, SEV_FATAL);
    assert_int_equal(r.attr_count, 2);
}

static void reads_3164(void **state) {
    (void)state;
    log_record r = decode(S("<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed"), &UTC);
    assert_int_equal(r.ts_ns, 1791756855000000000);
    assert_text(r.host, S("mymachine"));
    assert_text(r.service, S("su"));
    assert_text(r.body, S("'su root' failed"));
    assert_int_equal(must(&r, "process.pid").num, 231);
    expect_text(&r, "syslog.form", "3164");
    ts_context east = UTC;
    east.zone_offset_s = 7200;
    r = decode(S("<34>Nov  1 02:14:15 h app: x"), &east);
    assert_int_equal(r.ts_ns, 1793492055000000000);
    expect_text(&r, "syslog.form", "3164 +02:00 0");
}

/* What rsyslog, journald, libc and devices send; every one comes back as it was. */
static void relatives_of_3164(void **state) {
    (void)state;
    static const struct {
        const char *msg, *host, *service, *body, *form;
    } cases[] = {
        {"<13>2026-11-20T10:00:00.123456+01:00 web1 nginx: GET /", "web1", "nginx", "GET /",
         "iso +01:00 6"},
        {"<13>2026-11-20T10:00:00Z web1 nginx[1]:GET /\n", "web1", "nginx", "GET /",
         "iso Z 0 nospace lf"},
        {"<6>Nov 20 10:00:00 cron[77]: job", "", "cron", "job", "3164 nohost"},
        {"<6>Nov 20 10:00:00 sshd: job", "", "sshd", "job", "3164 nohost"},
        {"<6>Nov 20 10:00:00 host app[3] no colon", "host", "app", "no colon", "3164 nocolon"},
        {"<6>Nov 20 10:00:00 host just words here", "host", "", "just words here", "3164 notag"},
        {"<189>123: %SYS-5-CONFIG_I: Configured", "", "", "123: %SYS-5-CONFIG_I: Configured",
         "pri"},
        {"<13>kernel panic\r\n", "", "", "kernel panic", "pri crlf"},
        {"no priority at all", "", "", "no priority at all", "raw"},
        {"<192>too big", "", "", "<192>too big", "raw"},
        {"", "", "", "", "raw"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_record r = decode(str_c(cases[i].msg), &UTC);
        assert_text(r.host, str_c(cases[i].host));
        assert_text(r.service, str_c(cases[i].service));
        assert_text(r.body, str_c(cases[i].body));
        expect_text(&r, "syslog.form", cases[i].form);
    }
}

/* Fields are read all the same; the bytes are kept beside them. */
static void keeps_the_original_when_it_must(void **state) {
    (void)state;
    static const char *const cases[] = {
        "<034>Oct 11 22:14:15 h su: leading zero",
        "<34>2 2003-10-11T22:14:15.003Z h app - - - version two",
        "<34>1 2003-10-11T22:14:15.003z h app - - - lower case zone",
        "<34>1 2003-10-11T22:14:15.003Z h app - - [damaged sd=\"x] text",
        "<34>1 2003-10-11T22:14:15.003Z h app 007 - [e] empty element",
        "<34>Nov 20 2026 10:00:00 h app: year",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_record r = decode(str_c(cases[i]), &UTC);
        expect_text(&r, "log.record.original", cases[i]);
        assert_null(attr(&r, "syslog.form"));
        assert_int_equal(r.severity, SEV_ERROR2);
        assert_text(r.host, S("h"));
    }
}

static void invalid_utf8_is_repaired_and_kept(void **state) {
    (void)state;
    log_record r = decode(S("<34>Oct 11 22:14:15 h su: caf\xe9 x"), &UTC);
    assert_text(r.body, S("caf\xef\xbf\xbd x"));
    assert_int_equal(must(&r, "log.record.original").type, ATTR_BYTES);
}

static void a_full_arena_is_a_limit(void **state) {
    (void)state;
    arena small;
    arena_init(&small, "small", 8);
    log_record r = {.ts_ns = TS_NONE};
    assert_rc(syslog_decode(S("<34>x"), &UTC, &small, &r), RC_LIMIT);
    assert_null(r.attrs);
    assert_int_equal(r.severity, SEV_NONE);
    arena_release(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_fields_of_5424),
        cmocka_unit_test(nil_values_are_absent),
        cmocka_unit_test(reads_3164),
        cmocka_unit_test(relatives_of_3164),
        cmocka_unit_test(keeps_the_original_when_it_must),
        cmocka_unit_test(invalid_utf8_is_repaired_and_kept),
        cmocka_unit_test(a_full_arena_is_a_limit),
    };
    return cmocka_run_group_tests_name("codec_syslog", tests, setup, teardown);
}
