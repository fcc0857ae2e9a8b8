/* Timestamps: every layout with its value, ambiguity, calendar, zones, and what must not match. */
#include "codec/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static const int64_t S_NS = INT64_C(1000000000);
/* 2026-11-20T10:30:45Z */
static const int64_t T0 = INT64_C(1795170645) * INT64_C(1000000000);

static void expect_text(const char *text, size_t used, const char *want, const ts_context *c) {
    ts_layout l;
    size_t n = 0, n2 = 0;
    int64_t ns = 0;
    char out[TS_TEXT_BYTES];
    if (!ts_detect(str_c(text), &l, &n)) fail_msg("no layout: \"%s\"", text);
    if (!ts_parse(str_c(text), l, c, &ns, &n2)) fail_msg("layout does not parse: \"%s\"", text);
    ts_format(ns, out);
    if (strcmp(out, want) != 0) fail_msg("\"%s\" gave %s, not %s", text, out, want);
    if (n != used || n2 != used) fail_msg("\"%s\" used %zu/%zu bytes, not %zu", text, n, n2, used);
}

static void ts_reads_each_layout(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t used;
        const char *want;
    } cases[] = {
        {"2026-11-20T10:30:45Z", 20, "2026-11-20T10:30:45.000Z"},
        {"2026-11-20T10:30:45.123456789Z next", 30, "2026-11-20T10:30:45.123Z"},
        {"2026-11-20 10:30:45.5 +0200 x", 27, "2026-11-20T08:30:45.500Z"},
        {"2026-11-20_10:30:45,250 x", 23, "2026-11-20T10:30:45.250Z"},
        {"2026-11-20T10:30:45+05:30", 25, "2026-11-20T05:00:45.000Z"},
        {"2026-11-20T10:30:45-08 x", 22, "2026-11-20T18:30:45.000Z"},
        {"2026-11-20T10:30Z x", 17, "2026-11-20T10:30:00.000Z"},
        {"2026-11-20 10:30:45.123 UTC [99] LOG:", 27, "2026-11-20T10:30:45.123Z"},
        {"2026-11-20 10:30:45.123 +0000 UTC m=+1", 33, "2026-11-20T10:30:45.123Z"},
        {"2026-11-20 10:30:45 EST x", 23, "2026-11-20T15:30:45.000Z"},
        {"2026-11-20 10:30:45 ESTATE x", 19, "2026-11-20T10:30:45.000Z"},
        {"2026-11-20 10:30:45 - INFO", 19, "2026-11-20T10:30:45.000Z"},
        {"2026-11-20 10:30:45 -12 x", 19, "2026-11-20T10:30:45.000Z"},
        {"2015-10-18 18:01:47,978 INFO", 23, "2015-10-18T18:01:47.978Z"},
        {"2016-09-28 04:30:30, Info", 19, "2016-09-28T04:30:30.000Z"},
        {"2016/05/21 12:00:00 [error]", 19, "2016-05-21T12:00:00.000Z"},
        {"2016/05/21 12:00:00.123456 x", 26, "2016-05-21T12:00:00.123Z"},
        {"2005.06.03 15:42:50 x", 19, "2005-06-03T15:42:50.000Z"},
        {"2005-06-03-15.42.50.675872 R02", 26, "2005-06-03T15:42:50.675Z"},
        {"20171223-22:15:29:606|Step", 21, "2017-12-23T22:15:29.606Z"},
        {"20171224-0:5:9:6|Step", 16, "2017-12-24T00:05:09.006Z"},
        {"20171223T221529.25Z", 19, "2017-12-23T22:15:29.250Z"},
        {"20171223221529 x", 14, "2017-12-23T22:15:29.000Z"},
        {"17/06/09 20:10:40 INFO", 17, "2017-06-09T20:10:40.000Z"},
        {"081109 203615 148 INFO", 13, "2008-11-09T20:36:15.000Z"},
        {"160920  9:23:45 [Note]", 15, "2016-09-20T09:23:45.000Z"},
        {"10/Oct/2000:13:55:36 -0700] x", 26, "2000-10-10T20:55:36.000Z"},
        {"20-Nov-2026 10:30:45.123 x", 24, "2026-11-20T10:30:45.123Z"},
        {"20 Nov 2026 10:30:45.123 # x", 24, "2026-11-20T10:30:45.123Z"},
        {"Nov 20, 2026 10:30:45 PM org", 24, "2026-11-20T22:30:45.000Z"},
        {"Nov 20, 2026, 12:30:45 AM org", 25, "2026-11-20T00:30:45.000Z"},
        {"Sun Dec 04 04:47:44 2005] x", 24, "2005-12-04T04:47:44.000Z"},
        {"Sun Dec  4 04:47:44.123456 2005] x", 31, "2005-12-04T04:47:44.123Z"},
        {"Sun Dec  4 04:47:44 UTC 2005", 28, "2005-12-04T04:47:44.000Z"},
        {"Sun, 04 Dec 2005 04:47:44 GMT x", 29, "2005-12-04T04:47:44.000Z"},
        {"Jun 14 2005 15:16:01 x", 20, "2005-06-14T15:16:01.000Z"},
        {"Jun 14 15:16:01 2005 x", 20, "2005-06-14T15:16:01.000Z"},
        {"11/20/2026 10:30:45 AM x", 22, "2026-11-20T10:30:45.000Z"},
        {"20/11/2026 10:30:45 x", 19, "2026-11-20T10:30:45.000Z"},
        {"20.11.2026 10:30:45,1 x", 21, "2026-11-20T10:30:45.100Z"},
        {"1795170645 x", 10, "2026-11-20T10:30:45.000Z"},
        {"1795170645.123 x", 14, "2026-11-20T10:30:45.123Z"},
        {"1795170645123 x", 13, "2026-11-20T10:30:45.123Z"},
        {"1795170645123456 x", 16, "2026-11-20T10:30:45.123Z"},
        {"1795170645123456789 x", 19, "2026-11-20T10:30:45.123Z"},
        {"2005.06.03 R02-M1", 10, "2005-06-03T00:00:00.000Z"},
        {"2026-12-31 23:59:60 x", 19, "2027-01-01T00:00:00.000Z"},
        {"2024-02-29 00:00:00 x", 19, "2024-02-29T00:00:00.000Z"},
    };
    const ts_context c = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_text(cases[i].text, cases[i].used, cases[i].want, &c);
}

static void ts_rejects_what_is_no_time(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "hello world",
        "2026-13-20 10:30:45",
        "2026-11-31 10:30:45",
        "2023-02-29 10:30:45",
        "2026-11-20x10:30:45",
        "123456789012",
        "4294967295 x",
        "12345678",
        "10.251.73.220:50010",
        "Marching 14 15:16:01",
        "Jun 34 15:16:01 x",
        "Jun 14 25:16:01 x",
        "1795170645123456789012",
        "\tat java.lang.Thread.run(Thread.java:748)",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ts_layout l;
        size_t n;
        if (ts_detect(str_c(cases[i]), &l, &n))
            fail_msg("\"%s\" read as kind %d", cases[i], l.kind);
    }
}

static void ts_chooses_year_from_anchor(void **state) {
    (void)state;
    /* Anchor 2027-01-02T00:00:00Z: December belongs to 2026, January to 2027. */
    const ts_context c = {.anchor_ns = INT64_C(1798848000) * INT64_C(1000000000)};
    expect_text("Dec 31 23:59:59 host", 15, "2026-12-31T23:59:59.000Z", &c);
    expect_text("Jan  1 00:00:01 host", 15, "2027-01-01T00:00:01.000Z", &c);
    expect_text("Jan  2 12:00:00 host", 15, "2027-01-02T12:00:00.000Z", &c); /* zone error */
    expect_text("Jan  4 00:00:01 host", 15, "2026-01-04T00:00:01.000Z", &c);
    expect_text("Feb 29 10:00:00 host", 15, "2024-02-29T10:00:00.000Z", &c);
    expect_text("03-17 16:13:38.811  1702", 18, "2026-03-17T16:13:38.811Z", &c);
    expect_text("10.30 16:49:06] x", 14, "2026-10-30T16:49:06.000Z", &c);
    expect_text("0102 15:04:05.000000 1 x", 20, "2027-01-02T15:04:05.000Z", &c);
    expect_text("Thu Jul  6 09:00:55.123 x", 23, "2026-07-06T09:00:55.123Z", &c);
    expect_text("23:00:00.5 x", 10, "2027-01-01T23:00:00.500Z", &c);
    const ts_context none = {0};
    expect_text("Dec 31 23:59:59 host", 15, "1970-12-31T23:59:59.000Z", &none);
}

static void ts_applies_default_zone(void **state) {
    (void)state;
    const ts_context c = {.zone_offset_s = 2 * 3600};
    expect_text("2026-11-20 10:30:45 x", 19, "2026-11-20T08:30:45.000Z", &c);
    expect_text("2026-11-20T10:30:45Z x", 20, "2026-11-20T10:30:45.000Z", &c);
}

static void expect_column(const char *const *texts, size_t n, const char *first_want) {
    str s[8];
    MUST(n <= ARRAY_LEN(s));
    for (size_t i = 0; i < n; i++) s[i] = str_c(texts[i]);
    const ts_context c = {0};
    ts_layout l;
    assert_true(ts_detect_column(s, n, &c, &l));
    int64_t ns;
    size_t used;
    char out[TS_TEXT_BYTES];
    assert_true(ts_parse(s[0], l, &c, &ns, &used));
    ts_format(ns, out);
    assert_string_equal(out, first_want);
}

static void ts_resolves_ambiguous_columns(void **state) {
    (void)state;
    /* A later value > 12 settles the first one. */
    static const char *const dmy[] = {"03/04/2026 10:00:00", "12/04/2026 10:00:00",
                                      "13/04/2026 10:00:00"};
    expect_column(dmy, 3, "2026-04-03T10:00:00.000Z");
    static const char *const mdy[] = {"03/04/2026 10:00:00", "03/12/2026 10:00:00",
                                      "03/13/2026 10:00:00"};
    expect_column(mdy, 3, "2026-03-04T10:00:00.000Z");
    /* Order: 31 March comes before 1 April only when the day is first. */
    static const char *const order[] = {"09/03/26 10:00:00", "10/03/26 10:00:00",
                                        "11/03/26 10:00:00", "01/04/26 10:00:00"};
    expect_column(order, 4, "2026-03-09T10:00:00.000Z");
    static const char *const ymd[] = {"17/06/09 20:10:40", "17/06/10 20:10:40"};
    expect_column(ymd, 2, "2017-06-09T20:10:40.000Z");
    static const char *const six[] = {"081109 203615", "081110 203615", "081111 000000"};
    expect_column(six, 3, "2008-11-09T20:36:15.000Z");
    /* Nothing to tell by: the default. */
    static const char *const same[] = {"03/04/2026 10:00:00", "03/04/2026 11:00:00"};
    expect_column(same, 2, "2026-03-04T10:00:00.000Z");
    /* Mixed with lines that carry no stamp. */
    static const char *const some[] = {"2026-11-20 10:30:45 a", "\tat x", "2026-11-20 10:30:46 b"};
    expect_column(some, 3, "2026-11-20T10:30:45.000Z");
}

static void ts_any_reads_fields(void **state) {
    (void)state;
    const ts_context c = {0};
    int64_t ns;
    static const char *const at_t0[] = {"1795170645",
                                        "1795170645.0",
                                        "1795170645000",
                                        "1795170645000000",
                                        "1795170645000000000",
                                        "2026-11-20T10:30:45Z",
                                        " \"2026-11-20 10:30:45\" ",
                                        "[20/Nov/2026:10:30:45 +0000]",
                                        "1.795170645e9"};
    for (size_t i = 0; i < ARRAY_LEN(at_t0); i++) {
        if (!ts_parse_any(str_c(at_t0[i]), &c, &ns)) fail_msg("not read: %s", at_t0[i]);
        assert_int_equal(ns, T0);
    }
    assert_true(ts_parse_any(S("1795170645.123456789"), &c, &ns));
    assert_int_equal(ns, T0 + 123456789);
    assert_true(ts_parse_any(S("1795170645123.25"), &c, &ns));
    assert_int_equal(ns, T0 + 123250000);
    assert_false(ts_parse_any(S(""), &c, &ns));
    assert_false(ts_parse_any(S("42"), &c, &ns));
    assert_false(ts_parse_any(S("2026-11-20 10:30:45 trailing"), &c, &ns));
    assert_false(ts_parse_any(S("99999999999999999999"), &c, &ns));
    assert_true(ts_from_epoch(1795170645.5, &ns));
    assert_int_equal(ns, T0 + S_NS / 2);
    assert_false(ts_from_epoch(12.0, &ns));
    assert_false(ts_from_epoch(-1.0, &ns));
    assert_false(ts_from_epoch_int(INT64_MIN, &ns));
}

static void ts_calendar_round_trips(void **state) {
    (void)state;
    assert_int_equal(ts_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(ts_days_from_civil(2000, 2, 29), 11016);
    assert_int_equal(ts_days_from_civil(1600, 3, 1), -135080);
    for (int64_t d = -200000; d < 200000; d += 7) {
        int64_t y;
        unsigned m, day;
        ts_civil_from_days(d, &y, &m, &day);
        assert_int_equal(ts_days_from_civil(y, m, day), d);
        /* The reader's own calendar sum agrees. */
        if (y < 1900 || y > 2200) continue;
        char text[32];
        const ts_context c = {0};
        int64_t ns;
        snprintf(text, sizeof text, "%04d-%02u-%02d 00:00:00", (int)y, m, (int)day);
        assert_true(ts_parse_any(str_c(text), &c, &ns));
        assert_int_equal(ns, d * 86400 * S_NS);
    }
    char out[TS_TEXT_BYTES];
    assert_int_equal(ts_format(INT64_MIN, out), 1);
    assert_string_equal(out, "-");
    ts_format(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ts_reads_each_layout),
        cmocka_unit_test(ts_rejects_what_is_no_time),
        cmocka_unit_test(ts_chooses_year_from_anchor),
        cmocka_unit_test(ts_applies_default_zone),
        cmocka_unit_test(ts_resolves_ambiguous_columns),
        cmocka_unit_test(ts_any_reads_fields),
        cmocka_unit_test(ts_calendar_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
