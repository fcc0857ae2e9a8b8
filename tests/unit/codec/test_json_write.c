/* The JSON writer: exact output, both layouts, and that what it writes is JSON. */
#include "codec/json_write.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>

#include "codec/json.h"

static void write_sample(json_writer *w) {
    json_write_object(w);
    json_write_kv(w, S("name"), S("a \"b\"\n\xff"));
    json_write_key(w, S("ids"));
    json_write_array(w);
    json_write_i64(w, INT64_MIN);
    json_write_u64(w, UINT64_MAX);
    json_write_double(w, 0.5);
    json_write_double(w, (double)NAN);
    json_write_double(w, -(double)INFINITY);
    json_write_array_end(w);
    json_write_key(w, S("none"));
    json_write_array(w);
    json_write_array_end(w);
    json_write_key(w, S("in"));
    json_write_object(w);
    json_write_kv_i64(w, S("n"), -1);
    json_write_kv_double(w, S("d"), 1e300);
    json_write_kv_bool(w, S("t"), true);
    json_write_key(w, S("z"));
    json_write_null(w);
    json_write_key(w, S("r"));
    json_write_raw(w, S("{\"x\":[]}"));
    json_write_object_end(w);
    json_write_key(w, S("e"));
    json_write_object(w);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void json_write_on_one_line(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 4096);
    json_writer w;
    json_write_init(&w, &b, 0);
    write_sample(&w);
    str want = S("{\"name\":\"a \\\"b\\\"\\n\xef\xbf\xbd\",\"ids\":[-9223372036854775808,"
                 "18446744073709551615,0.5,null,null],\"none\":[],\"in\":{\"n\":-1,\"d\":1e+300,"
                 "\"t\":true,\"z\":null,\"r\":{\"x\":[]}},\"e\":{}}");
    if (!str_eq(buf_str(&b), want)) fail_msg("got %.*s", STR_ARG(buf_str(&b)));
    assert_true(w.done);
    assert_int_equal(json_validate(buf_str(&b), NULL), RC_OK);
    buf_release(&b);
}

static void json_write_indented(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 4096);
    json_writer w;
    json_write_init(&w, &b, 2);
    json_write_object(&w);
    json_write_kv(&w, S("a"), S("x"));
    json_write_key(&w, S("b"));
    json_write_array(&w);
    json_write_i64(&w, 1);
    json_write_object(&w);
    json_write_object_end(&w);
    json_write_array_end(&w);
    json_write_object_end(&w);
    str want = S("{\n  \"a\": \"x\",\n  \"b\": [\n    1,\n    {}\n  ]\n}");
    if (!str_eq(buf_str(&b), want)) fail_msg("got %.*s", STR_ARG(buf_str(&b)));
    buf_reset(&b);
    json_write_init(&w, &b, 2);
    write_sample(&w);
    assert_int_equal(json_validate(buf_str(&b), NULL), RC_OK);
    buf_release(&b);
}

static void json_write_says_when_full(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 40);
    json_writer w;
    json_write_init(&w, &b, 0);
    write_sample(&w);
    assert_true(b.full);
    assert_in_range(b.n, 0, 40);
    buf_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_write_on_one_line),
        cmocka_unit_test(json_write_indented),
        cmocka_unit_test(json_write_says_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
