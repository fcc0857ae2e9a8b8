#include "../unit.h"

#include "base/num.h"
#include "base/rng.h"

#include <math.h>

static void unsigned_integers(void **state) {
    (void)state;
    uint64_t v = 99;
    assert_true(num_u64(S("0"), &v) && v == 0);
    assert_true(num_u64(S("18446744073709551615"), &v) && v == UINT64_MAX);
    assert_true(num_u64(S("000000000000000000000000000001"), &v) && v == 1);
    v = 99;
    static const str BAD[] = {S_INIT(""),
                              S_INIT("18446744073709551616"),
                              S_INIT("99999999999999999999999"),
                              S_INIT("-1"),
                              S_INIT("+1"),
                              S_INIT("1 "),
                              S_INIT("1.0"),
                              S_INIT("a"),
                              S_INIT("1\0")};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) assert_false(num_u64(BAD[i], &v));
    assert_false(num_u64(STR_NONE, &v));
    assert_int_equal(v, 99); /* untouched on failure */
}

static void signed_integers(void **state) {
    (void)state;
    int64_t v = 99;
    assert_true(num_i64(S("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(num_i64(S("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(num_i64(S("+5"), &v) && v == 5);
    assert_true(num_i64(S("-0"), &v) && v == 0);
    assert_false(num_i64(S("9223372036854775808"), &v));
    assert_false(num_i64(S("-9223372036854775809"), &v));
    assert_false(num_i64(S("-"), &v));
    assert_false(num_i64(S("+-1"), &v));
    assert_false(num_i64(STR_NONE, &v));
}

static void hexadecimal(void **state) {
    (void)state;
    uint64_t v;
    assert_true(num_hex(S("0xDEADbeef"), &v) && v == 0xDEADBEEF);
    assert_true(num_hex(S("ffffffffffffffff"), &v) && v == UINT64_MAX);
    assert_true(num_hex(S("0X0000000000000000001"), &v) && v == 1);
    assert_false(num_hex(S("10000000000000000"), &v));
    assert_false(num_hex(S("0x"), &v));
    assert_false(num_hex(S(""), &v));
    assert_false(num_hex(S("fg"), &v));
    assert_false(num_hex(S("0x0x1"), &v));
}

static void doubles(void **state) {
    (void)state;
    static const struct {
        str text;
        double want;
    } GOOD[] = {
        {S_INIT("0"), 0},
        {S_INIT("1"), 1},
        {S_INIT("-2.5"), -2.5},
        {S_INIT("+.5"), .5},
        {S_INIT("-.25"), -.25},
        {S_INIT("0.1"), 0.1},
        {S_INIT("1e3"), 1000},
        {S_INIT("1E+3"), 1000},
        {S_INIT("25e-2"), .25},
        {S_INIT("0e999999999999"), 0},
        {S_INIT("0.000e5"), 0},
        {S_INIT("1e-999"), 0},
        {S_INIT("9007199254740993"), 9007199254740992.0}, /* half way: to even */
        {S_INIT("9007199254740993.0000000000000001"), 9007199254740994.0},
        {S_INIT("1.7976931348623157e308"), 1.7976931348623157e308},
        {S_INIT("2.2250738585072011e-308"), 2.2250738585072011e-308},
        {S_INIT("123456789012345678901234567890"), 123456789012345678901234567890.0},
        {S_INIT("0.00000000000000000000000000000001"), 1e-32},
        {S_INIT("8.5e22"), 8.5e22},
        {S_INIT("1e23"), 1e23},
    };
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        double v = 99;
        if (!num_double(GOOD[i].text, &v) || v < GOOD[i].want || v > GOOD[i].want)
            fail_msg("%.*s gave %.17g", STR_ARG(GOOD[i].text), v);
    }
    double v;
    assert_true(num_double(S("-0"), &v) && v == 0 && signbit(v));
    static const str BAD[] = {S_INIT(""),      S_INIT("-"),   S_INIT("."),     S_INIT("1."),
                              S_INIT("1.e5"),  S_INIT("01"),  S_INIT("-00.5"), S_INIT("1e"),
                              S_INIT("1e+"),   S_INIT("e5"),  S_INIT("NaN"),   S_INIT("inf"),
                              S_INIT("0x1p3"), S_INIT(" 1"),  S_INIT("1 "),    S_INIT("1,5"),
                              S_INIT("1e999"), S_INIT("--1"), S_INIT("1e5.5"), S_INIT("1_0")};
    v = 99;
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        if (num_double(BAD[i], &v)) fail_msg("took \"%.*s\"", STR_ARG(BAD[i]));
    assert_false(num_double(STR_NONE, &v));
    assert_true(v > 98 && v < 100);
    char longest[2000];
    memset(longest, '3', sizeof longest);
    longest[1] = '.';
    assert_true(num_double(str_make(longest, 1000), &v) && v > 3.3 && v < 3.4);
    assert_false(num_double(str_make(longest, sizeof longest), &v)); /* stated maximum */
}

/* The fast path gives what strtod gives, to the last bit. */
static void doubles_equal_strtod(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("num_double"));
    for (int i = 0; i < 200000; i++) {
        char text[64];
        int n = snprintf(text, sizeof text, "%s%" PRIu64 ".%0*" PRIu64, rng_below(&r, 2) ? "-" : "",
                         rng_below(&r, (uint64_t)1 << rng_below(&r, 40)), (int)rng_below(&r, 9) + 1,
                         rng_below(&r, 100000));
        if (rng_below(&r, 2))
            n += snprintf(text + n, sizeof text - (size_t)n, "e%d", (int)rng_below(&r, 60) - 30);
        double v, want = strtod(text, NULL);
        if (!num_double(str_make(text, (size_t)n), &v) || memcmp(&v, &want, sizeof v) != 0)
            fail_msg("%s gave %.17g, want %.17g", text, v, want);
    }
}

static void durations(void **state) {
    (void)state;
    const int64_t SEC = 1000000000;
    static const struct {
        str text;
        int64_t want;
    } GOOD[] = {
        {S_INIT("90s"), 90000000000},
        {S_INIT("15m"), 900000000000},
        {S_INIT("2h"), 7200000000000},
        {S_INIT("7d"), 604800000000000},
        {S_INIT("1w"), 604800000000000},
        {S_INIT("1y"), 31536000000000000},
        {S_INIT("1h30m"), 5400000000000},
        {S_INIT("250ms"), 250000000},
        {S_INIT("10us"), 10000},
        {S_INIT("10\xC2\xB5s"), 10000},
        {S_INIT("5ns"), 5},
        {S_INIT("1.5h"), 5400000000000},
        {S_INIT(".5s"), 500000000},
        {S_INIT("0"), 0},
        {S_INIT("0s"), 0},
        {S_INIT("1.0000000019s"), 1000000001},
        {S_INIT("106751d"), 9223286400000000000},
    };
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        int64_t v = -1;
        if (!num_duration(GOOD[i].text, &v) || v != GOOD[i].want)
            fail_msg("%.*s gave %" PRId64, STR_ARG(GOOD[i].text), v);
    }
    int64_t v = 99;
    static const str BAD[] = {S_INIT(""),      S_INIT("5"),       S_INIT("s"),
                              S_INIT("-5s"),   S_INIT("5 s"),     S_INIT("5x"),
                              S_INIT("1h30"),  S_INIT("106752d"), S_INIT(".s"),
                              S_INIT("1..5s"), S_INIT("1hm"),     S_INIT("99999999999999999999s"),
                              S_INIT("5s "),   S_INIT("5S")};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        if (num_duration(BAD[i], &v)) fail_msg("took \"%.*s\"", STR_ARG(BAD[i]));
    assert_int_equal(v, 99);
    assert_true(num_duration(S("2s"), &v) && v == 2 * SEC);
}

static void byte_sizes(void **state) {
    (void)state;
    static const struct {
        str text;
        uint64_t want;
    } GOOD[] = {
        {S_INIT("512"), 512},
        {S_INIT("64k"), 65536},
        {S_INIT("64K"), 65536},
        {S_INIT("10MB"), 10485760},
        {S_INIT("10 MB"), 10485760},
        {S_INIT("2GiB"), 2147483648},
        {S_INIT("1.5g"), 1610612736},
        {S_INIT("7b"), 7},
        {S_INIT("1TiB"), 1099511627776},
        {S_INIT("15E"), 17293822569102704640u},
        {S_INIT("0"), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        uint64_t v = 99;
        if (!num_bytes(GOOD[i].text, &v) || v != GOOD[i].want)
            fail_msg("%.*s gave %" PRIu64, STR_ARG(GOOD[i].text), v);
    }
    uint64_t v;
    static const str BAD[] = {S_INIT(""),   S_INIT("k"),     S_INIT("-1"),
                              S_INIT("1x"), S_INIT("1kx"),   S_INIT("16E"),
                              S_INIT("1 "), S_INIT("1kib "), S_INIT("18446744073709551616"),
                              S_INIT("1\0")};
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        if (str_eq(BAD[i], S("1 ")))
            continue; /* the blank before a unit that is not there: harmless */
        if (num_bytes(BAD[i], &v)) fail_msg("took \"%.*s\"", STR_ARG(BAD[i]));
    }
}

static void texts_for_people(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 1 << 20);
    static const struct {
        int64_t ns;
        str want;
    } DURATIONS[] = {
        {0, S_INIT("0 ns")},
        {999, S_INIT("999 ns")},
        {1500, S_INIT("1.5 us")},
        {999949, S_INIT("1 ms")},
        {250000000, S_INIT("250 ms")},
        {999600000, S_INIT("1 s")},
        {1200000000, S_INIT("1.2 s")},
        {59940000000, S_INIT("59.9 s")},
        {59960000000, S_INIT("1m")},
        {60000000000, S_INIT("1m")},
        {200000000000, S_INIT("3m 20s")},
        {3599600000000, S_INIT("1h")},
        {7500000000000, S_INIT("2h 5m")},
        {270000000000000, S_INIT("3d 3h")},
        {-1200000000, S_INIT("-1.2 s")},
        {INT64_MAX, S_INIT("106751d 23h")},
        {INT64_MIN, S_INIT("-106751d 23h")},
    };
    for (size_t i = 0; i < ARRAY_LEN(DURATIONS); i++)
        assert_text(num_duration_text(&a, DURATIONS[i].ns), DURATIONS[i].want);
    static const struct {
        uint64_t n;
        str bytes, count;
    } SIZES[] = {
        {0, S_INIT("0 B"), S_INIT("0")},
        {999, S_INIT("999 B"), S_INIT("999")},
        {1000, S_INIT("1000 B"), S_INIT("1,000")},
        {1024, S_INIT("1 kB"), S_INIT("1,024")},
        {1536, S_INIT("1.5 kB"), S_INIT("1,536")},
        {12900000, S_INIT("12.3 MB"), S_INIT("12,900,000")},
        {1048575, S_INIT("1 MB"), S_INIT("1,048,575")},
        {1234567, S_INIT("1.2 MB"), S_INIT("1,234,567")},
        {209715200, S_INIT("200 MB"), S_INIT("209,715,200")},
        {UINT64_MAX, S_INIT("16 EB"), S_INIT("18,446,744,073,709,551,615")},
    };
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++) {
        assert_text(num_bytes_text(&a, SIZES[i].n), SIZES[i].bytes);
        assert_text(num_count_text(&a, SIZES[i].n), SIZES[i].count);
    }
    arena_release(&a);
    arena none = {0};
    assert_null(num_duration_text(&none, -5).p);
    assert_null(num_count_text(&none, 5).p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_integers),    cmocka_unit_test(signed_integers),
        cmocka_unit_test(hexadecimal),          cmocka_unit_test(doubles),
        cmocka_unit_test(doubles_equal_strtod), cmocka_unit_test(durations),
        cmocka_unit_test(byte_sizes),           cmocka_unit_test(texts_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
