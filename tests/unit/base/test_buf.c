#include "../unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <float.h>
#include <math.h>

static void grows_to_its_maximum(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1000);
    assert_text(buf_str(&b), S(""));
    for (int i = 0; i < 1000; i++) assert_true(buf_putc(&b, (char)('a' + i % 26)));
    assert_false(b.full);
    assert_false(buf_putc(&b, 'x'));
    assert_true(b.full);
    assert_int_equal(b.n, 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(b.p[i], 'a' + i % 26);
    assert_string_equal(buf_c(&b) + 999, "l"); /* room for the NUL beyond the maximum */
    buf_reset(&b);
    assert_false(b.full);
    assert_true(buf_put(&b, S("")) && buf_put(&b, STR_NONE));
    assert_true(buf_pad(&b, '-', 1000));
    assert_false(buf_pad(&b, '-', 1));
    assert_false(buf_pad(&b, '-', SIZE_MAX));
    assert_int_equal(b.n, 1000);
    buf_release(&b);
    assert_true(buf_put(&b, S("again")));
    buf_release(&b);
    buf_release(NULL);
    buf_init(&b, 0);
    assert_true(buf_put(&b, S("")));
    assert_false(buf_putc(&b, 'x'));
    assert_string_equal(buf_c(&b), "");
    buf_release(&b);
}

/* Each writer, with every maximum from nothing to enough: all of the text, or none of it. */
static bool write_with(int which, buf *b) {
    switch (which) {
    case 0:
        return buf_put(b, S("some text"));
    case 1:
        return buf_fmt(b, "%s=%d", "value", 12345);
    case 2:
        return buf_u64(b, UINT64_MAX);
    case 3:
        return buf_i64(b, INT64_MIN);
    case 4:
        return buf_double(b, -1.2345678901234567e-300);
    case 5:
        return buf_json(b, S("a\"b\\c\n\x01\xFF\xE4\xB8\xAD tail"));
    case 6:
        return buf_html(b, S("<a href=\"x\">'&'</a> tail"));
    case 7:
        return buf_le32(b, 0x01020304);
    case 8:
        return buf_le64(b, 0x0102030405060708);
    case 9:
        return buf_varint(b, UINT64_MAX);
    case 10:
        return buf_pad(b, ' ', 40);
    default:
        return false;
    }
}

static void writers_put_all_or_nothing(void **state) {
    (void)state;
    for (int which = 0; which <= 10; which++) {
        buf full;
        buf_init(&full, 1000);
        assert_true(write_with(which, &full));
        for (size_t max = 0; max < full.n + 3; max++) {
            buf b;
            buf_init(&b, max + 3);
            assert_true(buf_put(&b, S("abc")));
            bool ok = write_with(which, &b);
            assert_int_equal(ok, max >= full.n);
            assert_int_equal(b.full, !ok);
            assert_int_equal(b.n, ok ? 3 + full.n : 3);
            assert_text(str_sub(buf_str(&b), 0, 3), S("abc"));
            if (ok) assert_text(str_from(buf_str(&b), 3), buf_str(&full));
            buf_release(&b);
        }
        /* and with memory failing at every allocation */
        for (uint64_t nth = 1;; nth++) {
            buf b;
            buf_init(&b, 1000);
            mem_fail_at(nth);
            bool ok = write_with(which, &b);
            mem_fail_at(0);
            assert_int_equal(b.n, ok ? full.n : 0);
            buf_release(&b);
            if (ok) break;
            assert_true(nth < 20);
        }
        buf_release(&full);
    }
}

static void integers(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1000);
    assert_true(buf_u64(&b, 0) && buf_putc(&b, ' ') && buf_u64(&b, UINT64_MAX) &&
                buf_putc(&b, ' '));
    assert_true(buf_i64(&b, INT64_MIN) && buf_putc(&b, ' ') && buf_i64(&b, INT64_MAX) &&
                buf_putc(&b, ' ') && buf_i64(&b, -7));
    assert_text(buf_str(&b),
                S("0 18446744073709551615 -9223372036854775808 9223372036854775807 -7"));
    buf_reset(&b);
    assert_true(buf_le32(&b, 0x01020304) && buf_le64(&b, 0x1122334455667788));
    assert_text(buf_str(&b), S("\x04\x03\x02\x01\x88\x77\x66\x55\x44\x33\x22\x11"));
    buf_reset(&b);
    assert_true(buf_varint(&b, 0) && buf_varint(&b, 127) && buf_varint(&b, 128) &&
                buf_varint(&b, 300));
    assert_text(buf_str(&b), str_make("\x00\x7F\x80\x01\xAC\x02", 6));
    buf_reset(&b);
    assert_true(buf_varint(&b, UINT64_MAX));
    assert_int_equal(b.n, 10);
    buf_release(&b);
}

static void formats_longer_than_the_buffer(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 2000; i++) assert_true(buf_fmt(&b, "%04d", i));
    assert_int_equal(b.n, 8000);
    assert_text(str_sub(buf_str(&b), 4 * 1234, 4), S("1234"));
    assert_true(buf_fmt(&b, "%s", "")); /* nothing */
    assert_int_equal(b.n, 8000);
    buf_release(&b);
}

static str double_text(buf *b, double v) {
    buf_reset(b);
    assert_true(buf_double(b, v));
    return buf_str(b);
}

static void doubles_are_shortest(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 100);
    assert_text(double_text(&b, 0), S("0"));
    assert_text(double_text(&b, -0.0), S("-0"));
    assert_text(double_text(&b, 1), S("1"));
    assert_text(double_text(&b, -42), S("-42"));
    assert_text(double_text(&b, 0.1), S("0.1"));
    assert_text(double_text(&b, 0.1 + 0.2), S("0.30000000000000004"));
    assert_text(double_text(&b, 1.0 / 3), S("0.3333333333333333"));
    assert_text(double_text(&b, 123456789012345), S("123456789012345"));
    assert_text(double_text(&b, 1e15), S("1e+15"));
    assert_text(double_text(&b, 1e300), S("1e+300"));
    assert_text(double_text(&b, 5e-324), S("5e-324"));
    assert_text(double_text(&b, DBL_MAX), S("1.7976931348623157e+308"));
    assert_text(double_text(&b, DBL_MIN), S("2.2250738585072014e-308"));
    assert_text(double_text(&b, (double)NAN), S("NaN"));
    assert_text(double_text(&b, (double)INFINITY), S("Infinity"));
    assert_text(double_text(&b, -(double)INFINITY), S("-Infinity"));
    buf_release(&b);
}

static void doubles_read_back_equal(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("buf_double"));
    buf b;
    buf_init(&b, 100);
    for (int i = 0; i < 200000; i++) {
        union {
            uint64_t u;
            double d;
        } x;
        switch (i % 4) {
        case 0:
            x.u = rng_u64(&r);
            break; /* any bits */
        case 1:
            x.d = (double)(int64_t)rng_below(&r, 2000000) / 1000;
            break; /* as people write them */
        case 2:
            x.d = ldexp(rng_double(&r), (int)rng_below(&r, 60) - 1070);
            break; /* subnormal */
        default:
            x.d = rng_normal(&r) * pow(10, (double)rng_below(&r, 30));
            break;
        }
        if (!isfinite(x.d)) continue;
        str text = double_text(&b, x.d);
        double back;
        assert_true(num_double(text, &back));
        if (memcmp(&back, &x.d, sizeof back) != 0)
            fail_msg("%.17g -> %.*s -> %.17g", x.d, STR_ARG(text), back);
        assert_true(text.n <= 24);
    }
    buf_release(&b);
}

static str json_of(buf *b, str s) {
    buf_reset(b);
    assert_true(buf_json(b, s));
    return buf_str(b);
}

static void json_strings(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1 << 20);
    assert_text(json_of(&b, STR_NONE), S("\"\""));
    assert_text(json_of(&b, S("plain / text")), S("\"plain / text\""));
    assert_text(json_of(&b, S("\"\\\b\f\n\r\t")), S("\"\\\"\\\\\\b\\f\\n\\r\\t\""));
    assert_text(json_of(&b, str_make("\0\x1F\x7F", 3)), S("\"\\u0000\\u001f\x7F\""));
    assert_text(json_of(&b, S("中文 \xF0\x9F\x98\x80")), S("\"中文 \xF0\x9F\x98\x80\""));
    assert_text(json_of(&b, S("a\xFF"
                              "b")),
                S("\"a\xEF\xBF\xBD"
                  "b\""));
    assert_text(json_of(&b, S("\xE4\xB8")),
                S("\"\xEF\xBF\xBD\"")); /* one cut character, one mark */
    assert_text(json_of(&b, S("\xED\xA0\x80")),
                S("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""));                 /* surrogate */
    assert_text(json_of(&b, S("\xC0\x80")), S("\"\xEF\xBF\xBD\xEF\xBF\xBD\"")); /* overlong */
    buf_release(&b);
}

static void json_output_is_always_clean(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("buf_json"));
    buf b;
    buf_init(&b, 1 << 20);
    char text[200];
    for (int round = 0; round < 20000; round++) {
        size_t n = rng_below(&r, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] =
                rng_below(&r, 3) ? (char)rng_below(&r, 256) : "\"\\\xE4\xB8\xAD"[rng_below(&r, 5)];
        str out = json_of(&b, str_make(text, n));
        assert_true(utf8_valid(out));
        assert_true(out.n >= 2 && out.p[0] == '"' && out.p[out.n - 1] == '"');
        for (size_t i = 1; i + 1 < out.n; i++) {
            assert_true((unsigned char)out.p[i] >= 0x20);
            assert_true(out.p[i] != '"');
            if (out.p[i] == '\\') {
                assert_non_null(strchr("\"\\bfnrtu", out.p[++i]));
                assert_true(i + 1 < out.n);
            }
        }
    }
    buf_release(&b);
}

static void html_text(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 1000);
    assert_true(buf_html(&b, S("<a b=\"c\">d & 'e'</a>")));
    assert_text(buf_str(&b), S("&lt;a b=&quot;c&quot;&gt;d &amp; &#39;e&#39;&lt;/a&gt;"));
    buf_reset(&b);
    assert_true(buf_html(&b, STR_NONE) && b.n == 0);
    assert_true(buf_html(&b, S("plain")));
    assert_text(buf_str(&b), S("plain"));
    buf_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_to_its_maximum),
        cmocka_unit_test(writers_put_all_or_nothing),
        cmocka_unit_test(integers),
        cmocka_unit_test(formats_longer_than_the_buffer),
        cmocka_unit_test(doubles_are_shortest),
        cmocka_unit_test(doubles_read_back_equal),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(json_output_is_always_clean),
        cmocka_unit_test(html_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
