#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "mine/scan_int.h"

static scanner x, y;

/* One line: the skeleton with <type> for each slot. */
static const char *scan(const char *line) {
    static const char *const names[] = {"text", "int",  "float", "unit", "hex",   "id",
                                        "ip",   "host", "path",  "time", "quoted"};
    static char out[2000];
    scan_line(&x, str_c(line), NULL, 0);
    size_t n = 0;
    uint32_t k = 0;
    for (uint32_t i = 0; i < x.skel_bytes; i++) {
        if (x.skel[i] == SCAN_MARK) {
            n += (size_t)snprintf(out + n, sizeof(out) - n, "<%s>", names[x.slot[k++].type]);
        } else {
            out[n++] = x.skel[i];
        }
    }
    out[n] = 0;
    assert_int_equal(k, x.slot_count);
    return out;
}

static void slots_have_their_types(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain words, here.", "plain words, here."},
        {"n=42 m=-7 f=0.25", "n=<int> m=<int> f=<float>"},
        {"took 12ms or 12 ms, 4.5MB, 80%", "took <unit> or <unit>, <unit>, <unit>"},
        {"at 0x7ffe12 deadbeef01", "at <hex> <hex>"},
        {"blk_-1608 job-7f3a9", "<id> <id>"},
        {"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "<id>"},
        {"10.0.0.1 /10.0.0.1:80 [fe80::1%eth0]", "<ip> <ip> [<ip>]"},
        {"2001:db8:0:0:0:0:2:1 up", "<ip> up"},
        {"00:11:22:aa:bb:cc db.example.com:5432", "<host> <host>"},
        {"/var/log/x.log C:\\Windows\\a.dll", "<path> <path>"},
        {"GET https://a.b/c?d=1&e=%20, ok", "GET <path>, ok"},
        {"path:/var/log/7 done", "path:<path> done"},
        {"2017-07-03 20:25:13.378 x", "<time> x"},
        {"2017-07-03T20:25:13Z x", "<time> x"},
        {"at Fri Jun 17 07:07:00 2005 on", "at <time> on"},
        {"Aug  4 15:29:45 PDT 2005", "<time>"},
        {"17/Jun/2005:07:07:00 +0000", "<time> +<int>"},
        {"tag=\"a b\" x=\"\"", "tag=\"<quoted>\" x=\"\""},
        {"msg=\"took 5 s\" level=\"info\"", "msg=\"took <unit>\" level=\"info\""},
        {"{\"a\":\"b c\",\"n\":5,\"level\":\"info\"}",
         "{\"a\":\"<quoted>\",\"n\":<int>,\"level\":\"info\"}"},
        {"eth0 ssh2 IPv6 sha256", "eth<int> ssh<int> IPv6 sha256"},
        {"core.2275 space......0", "core.<int> space......<int>"},
        {"PS/2 HTTP/1.1 and/or", "PS/<int> HTTP/<float> and/or"},
        {"uid:1000 a::b Class.method", "uid:<int> a::b Class.method"},
        {"com.example.app.Main x", "<id> x"},
        {"com.example.app.Main.run:12", "<id>"},
        {"%SYS-5-RESTART: A-5-b NODE-5-12", "%SYS-5-RESTART: <id> <id>"},
        {"x [aG9Xb29k3a1IZm9yAA==] y", "x [<id>] y"},
        {"98.35µs -4°C 5µ 7µsxy", "<unit> <unit> <unit> <int>µsxy"},
        {"订单12345成功", "订单<int>成功"},
        {"a\x01\x02z", "a<text>z"},
        {"1 2 3 4 5 6 7 8 9 10 11", "<int> <int> <int> <int> <int> <int> <int> <text>"},
    };
    scan_init(&x, STR_NONE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = scan(cases[i][0]);
        if (strcmp(got, cases[i][1]) != 0) {
            fail_msg("'%s' scans as '%s', not '%s'", cases[i][0], got, cases[i][1]);
        }
    }
}

/* The vector path and the table path are the same function. */
static void vector_and_table_agree(void **state) {
    (void)state;
    static const char alphabet[] = "aB0.:/-_=\"' ,()[]<>\\%@\t\x01\x7f\x80 12:34:10.0.0.1..";
    scan_init(&x, STR_NONE);
    scan_init(&y, STR_NONE);
    y.custom = true; /* takes the table path */
    rng r;
    rng_init(&r, 11);
    char line[300];
    for (int i = 0; i < 50000; i++) {
        size_t n = rng_below(&r, sizeof(line));
        for (size_t k = 0; k < n; k++) {
            line[k] =
                i % 2 ? (char)rng_below(&r, 256) : alphabet[rng_below(&r, sizeof(alphabet) - 1)];
        }
        if (n && i % 5 == 0) line[0] = '{';
        if (n > 1 && i % 5 == 0) line[1] = '"';
        scan_line(&x, str_make(line, n), NULL, 0);
        scan_line(&y, str_make(line, n), NULL, 0);
        assert_int_equal(x.slot_count, y.slot_count);
        assert_int_equal(x.skel_bytes, y.skel_bytes);
        assert_memory_equal(x.skel, y.skel, x.skel_bytes);
        for (uint32_t k = 0; k < x.slot_count; k++) {
            assert_int_equal(x.slot[k].offset, y.slot[k].offset);
            assert_int_equal(x.slot[k].bytes, y.slot[k].bytes);
            assert_int_equal(x.slot[k].type, y.slot[k].type);
        }
    }
}

/* What is cut off a long line does not depend on the length of its values. */
static void the_cut_follows_the_shape(void **state) {
    (void)state;
    static char a[60000], b[60000];
    size_t na = 0, nb = 0;
    for (int i = 0; i < 600; i++) {
        na += (size_t)snprintf(a + na, sizeof(a) - na, "word%s x=%d ", i % 2 ? "" : "s", i);
        nb += (size_t)snprintf(b + nb, sizeof(b) - nb, "word%s x=%d ", i % 2 ? "" : "s", i * 7777);
    }
    scan_init(&x, STR_NONE);
    scan_init(&y, STR_NONE);
    scan_line(&x, str_make(a, na), NULL, 0);
    scan_line(&y, str_make(b, nb), NULL, 0);
    assert_int_equal(x.slot_count, SCAN_SLOTS_MAX);
    assert_int_equal(x.skel_bytes, y.skel_bytes);
    assert_memory_equal(x.skel, y.skel, x.skel_bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_have_their_types),
        cmocka_unit_test(vector_and_table_agree),
        cmocka_unit_test(the_cut_follows_the_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
