/* The scanner against RFC 8259: what it delivers, what it refuses and where, text, limits, flat
 * objects. The grammar at large is compared with Python's json by json_oracle.py. */
#include "codec/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

/* Tokens in short: { } [ ] as they are, k:name, s:text, n:1, t, f, 0. */
static void tokens_of(str in, buf *out, rc *ret_code, size_t *ret_at) {
    json_reader r;
    json_init(&r, in);
    json_tok t;
    while ((*ret_code = json_next(&r, &t, NULL)) == RC_OK) {
        assert_true(t.offset < in.n);
        switch (t.kind) {
        case JSON_OBJECT_BEGIN:
            buf_put(out, S("{ "));
            break;
        case JSON_OBJECT_END:
            buf_put(out, S("} "));
            break;
        case JSON_ARRAY_BEGIN:
            buf_put(out, S("[ "));
            break;
        case JSON_ARRAY_END:
            buf_put(out, S("] "));
            break;
        case JSON_KEY:
            buf_fmt(out, "k:%.*s ", STR_ARG(t.text));
            break;
        case JSON_STRING:
            buf_fmt(out, "s:%.*s ", STR_ARG(t.text));
            break;
        case JSON_NUMBER:
            buf_fmt(out, "n:%.*s ", STR_ARG(t.text));
            break;
        case JSON_TRUE:
            buf_put(out, S("t "));
            break;
        case JSON_FALSE:
            buf_put(out, S("f "));
            break;
        case JSON_NULL:
            buf_put(out, S("0 "));
            break;
        }
    }
    *ret_at = r.at;
}

static void expect_tokens(const char *in, const char *want) {
    buf out;
    buf_init(&out, 1 << 16);
    rc code;
    size_t at;
    tokens_of(str_c(in), &out, &code, &at);
    if (code != RC_END) fail_msg("%s: ends with %s at %zu", in, rc_name(code), at);
    if (!str_eq(str_trim_right(buf_str(&out)), str_c(want))) {
        fail_msg("%s: got \"%.*s\"", in, STR_ARG(buf_str(&out)));
    }
    buf_release(&out);
}

static void json_delivers_every_kind(void **state) {
    (void)state;
    expect_tokens("{}", "{ }");
    expect_tokens(" [ ] ", "[ ]");
    expect_tokens("\t\r\n null", "0");
    expect_tokens("{\"a\":1,\"b\":[true,false,null],\"c\":{\"d\":\"e\"}}",
                  "{ k:a n:1 k:b [ t f 0 ] k:c { k:d s:e } }");
    expect_tokens("{ \"a\" : [ 1 , 2 ] , \"a\" : \"\" }", "{ k:a [ n:1 n:2 ] k:a s: }");
    expect_tokens("[0,-0,-1,1.5,1e9,1E-9,-1.25e+300,123456789012345678901234567890]",
                  "[ n:0 n:-0 n:-1 n:1.5 n:1e9 n:1E-9 n:-1.25e+300 "
                  "n:123456789012345678901234567890 ]");
    expect_tokens("\"a\\\"b\\\\\"", "s:a\\\"b\\\\");
    expect_tokens("[[[[]]]]", "[ [ [ [ ] ] ] ]");
}

static void json_refuses_what_the_grammar_does_not_have(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t at; /* of the damage */
    } cases[] = {
        {"", 0},
        {"  ", 2},
        {"{", 1},
        {"[", 1},
        {"[1,]", 3},
        {"[,1]", 1},
        {"{\"a\"}", 4},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{a:1}", 1},
        {"{'a':1}", 1},
        {"[1 2]", 3},
        {"{\"a\" 1}", 5},
        {"[1}", 2},
        {"{\"a\":1]", 6},
        {"01", 1},
        {"-", 1},
        {"1.", 2},
        {"1.x", 2},
        {".5", 0},
        {"+1", 0},
        {"1e", 2},
        {"1e+", 3},
        {"NaN", 0},
        {"Infinity", 0},
        {"tru", 3},
        {"True", 0},
        {"nul", 3},
        {"\"a", 2},
        {"\"a\\", 3},
        {"\"\\x\"", 1},
        {"\"\\u12\"", 1},
        {"\"\\u12", 5},
        {"\"a\tb\"", 2},
        {"\"\x1f\"", 1},
        {"// c\n1", 0},
        {"\xef\xbb\xbf{}", 0},
        {"]", 0},
        {"}", 0},
        {"[1:2]", 2},
        {"{\"a\":1:2}", 6},
        {"{1:2}", 1},
        {"[\"a\" \"b\"]", 5},
        {"{\"a\",1}", 4},
        {"{,}", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_reader r;
        json_init(&r, str_c(cases[i].in));
        json_tok t;
        rc code;
        err e = {0};
        while ((code = json_next(&r, &t, &e)) == RC_OK) {}
        if (str_eq(str_c(cases[i].in), S("01"))) { /* a value, and something behind it */
            assert_int_equal(code, RC_END);
            assert_int_equal(json_validate(str_c(cases[i].in), NULL), RC_INVALID);
            continue;
        }
        if (code != RC_INVALID || r.at != cases[i].at) {
            fail_msg("\"%s\": %s at %zu, want %zu", cases[i].in, rc_name(code), r.at, cases[i].at);
        }
        assert_true(strstr(e.msg, "JSON") != NULL);
        assert_int_equal(json_next(&r, &t, NULL), RC_INVALID); /* and it stays so */
    }
}

static void json_admits_raw_controls_only_when_asked(void **state) {
    (void)state;
    str in = S("{\"a\":\"x\ty\x1b[0m\"}");
    json_reader r;
    json_init(&r, in);
    r.raw_controls = true;
    json_tok t;
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_true(str_eq(t.text, S("x\ty\x1b[0m")));
    assert_int_equal(json_validate(in, NULL), RC_INVALID);
}

static void json_limits_depth(void **state) {
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        rc want = depth > JSON_DEPTH_MAX ? RC_LIMIT : RC_OK;
        assert_int_equal(json_validate(str_make(text, 2 * depth), NULL), want);
    }
}

static void json_skips_whole_values(void **state) {
    (void)state;
    str in = S("{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":[[],[3]],\"e\":4}");
    json_reader r;
    json_init(&r, in);
    json_tok t;
    assert_int_equal(json_next(&r, &t, NULL), RC_OK); /* { */
    assert_int_equal(json_next(&r, &t, NULL), RC_OK); /* a */
    assert_int_equal(json_skip(&r, &t, NULL), RC_OK); /* its value */
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_true(str_eq(t.text, S("d")));
    assert_int_equal(json_next(&r, &t, NULL), RC_OK); /* [ */
    assert_int_equal(json_skip(&r, &t, NULL), RC_OK);
    assert_true(str_eq(json_span(&r, &t), S("[[],[3]]")));
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_true(str_eq(t.text, S("e")));
    assert_int_equal(json_skip(&r, &t, NULL), RC_OK);
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_int_equal(t.kind, JSON_OBJECT_END);
    assert_int_equal(json_next(&r, &t, NULL), RC_END);
    assert_int_equal(r.at, in.n);
}

static void json_stops_behind_one_value(void **state) {
    (void)state;
    json_reader r;
    json_init(&r, S("{} {}"));
    json_tok t;
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_int_equal(json_next(&r, &t, NULL), RC_END);
    assert_int_equal(r.at, 2);
}

static void expect_text(const char *raw, str want) {
    arena a;
    arena_init(&a, "t", 1 << 16);
    json_tok t = {.kind = JSON_STRING, .escaped = true, .text = str_c(raw)};
    str got;
    assert_int_equal(json_text(&t, &a, &got, NULL), RC_OK);
    if (!str_eq(got, want)) fail_msg("\"%s\" gave \"%.*s\"", raw, STR_ARG(got));
    arena_release(&a);
}

static void json_unescapes(void **state) {
    (void)state;
    expect_text("a\\\"b\\\\c\\/d", S("a\"b\\c/d"));
    expect_text("\\b\\f\\n\\r\\t", S("\b\f\n\r\t"));
    expect_text("\\u0041\\u00e9\\u20AC", S("A\xc3\xa9\xe2\x82\xac"));
    expect_text("\\ud83d\\ude00!", S("\xf0\x9f\x98\x80!"));
    expect_text("\\u0000x", S("\0x"));
    expect_text("\\ud83dx", S("\xef\xbf\xbdx")); /* high alone */
    expect_text("\\ude00", S("\xef\xbf\xbd"));   /* low alone */
    expect_text("\\ud83d\\u0041", S("\xef\xbf\xbd"
                                    "A")); /* high, then no low */
    expect_text("\\ud83d\\ud83d\\ude00", S("\xef\xbf\xbd\xf0\x9f\x98\x80"));
}

static void json_text_borrows_and_reports_a_full_arena(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "t", 64);
    json_tok t = {.kind = JSON_STRING, .text = S("plain")};
    str got;
    assert_int_equal(json_text(&t, &a, &got, NULL), RC_OK);
    assert_ptr_equal(got.p, t.text.p);
    char big[1000];
    memset(big, 'x', sizeof(big));
    memcpy(big, "\\n", 2);
    t = (json_tok){.kind = JSON_STRING, .escaped = true, .text = {big, sizeof(big)}};
    assert_int_equal(json_text(&t, &a, &got, NULL), RC_LIMIT);
    arena_release(&a);
}

static void json_validate_checks_utf8(void **state) {
    (void)state;
    assert_int_equal(json_validate(S("\"\xc3\xa9\""), NULL), RC_OK);
    assert_int_equal(json_validate(S("\"\xc3\""), NULL), RC_INVALID);
    assert_int_equal(json_validate(S("\"\xc0\x80\""), NULL), RC_INVALID);
    assert_int_equal(json_validate(S("\"\xed\xa0\x80\""), NULL), RC_INVALID);
    assert_int_equal(json_validate(S(" {} \n"), NULL), RC_OK);
    assert_int_equal(json_validate(S("{} x"), NULL), RC_INVALID);
    /* The scanner itself hands on what it finds. */
    json_reader r;
    json_init(&r, S("\"\xff\""));
    json_tok t;
    assert_int_equal(json_next(&r, &t, NULL), RC_OK);
    assert_true(str_eq(t.text, S("\xff")));
}

/* Each stop at each place of strings of every length up to several vector steps. */
static void json_finds_the_end_of_strings_of_any_length(void **state) {
    (void)state;
    char text[400];
    for (size_t len = 0; len < 300; len++) {
        text[0] = '"';
        memset(text + 1, 0xc3, len); /* bytes with the high bit must not be taken for controls */
        text[len + 1] = '"';
        json_reader r;
        json_tok t;
        json_init(&r, str_make(text, len + 2));
        assert_int_equal(json_next(&r, &t, NULL), RC_OK);
        assert_int_equal(t.text.n, len);
        assert_false(t.escaped);
        if (len == 0) continue;
        json_init(&r, str_make(text, len + 1)); /* no end */
        assert_int_equal(json_next(&r, &t, NULL), RC_INVALID);
        size_t at = 1 + len * 7 / 10;
        text[at] = 0x1f;
        json_init(&r, str_make(text, len + 2));
        assert_int_equal(json_next(&r, &t, NULL), RC_INVALID);
        assert_int_equal(r.at, at);
        text[at] = 0x7f; /* DEL is no control character here */
        json_init(&r, str_make(text, len + 2));
        assert_int_equal(json_next(&r, &t, NULL), RC_OK);
        if (len < 2) continue;
        at = MIN(at, len - 1);
        memcpy(text + at, "\\\"", 2);
        json_init(&r, str_make(text, len + 2));
        assert_int_equal(json_next(&r, &t, NULL), RC_OK);
        assert_true(t.escaped);
        assert_int_equal(t.text.n, len);
    }
}

/* ---- flat ---- */

static void expect_flat(const char *in, const json_flat_opts *opts, rc want_code,
                        const char *want) {
    json_member m[16];
    arena a;
    arena_init(&a, "t", 1 << 16);
    size_t total = 0, used = 0;
    rc code = json_flat(str_c(in), opts, &a, m, ARRAY_LEN(m), &total, &used, NULL);
    if (code != want_code) fail_msg("%s: %s", in, rc_name(code));
    buf out;
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < MIN(total, ARRAY_LEN(m)); i++) {
        buf_fmt(&out, "%.*s=%.*s;", STR_ARG(m[i].key), STR_ARG(m[i].val.text));
    }
    if (!str_eq(buf_str(&out), str_c(want))) {
        fail_msg("%s: got \"%.*s\"", in, STR_ARG(buf_str(&out)));
    }
    buf_release(&out);
    arena_release(&a);
}

static void json_flat_lays_objects_flat(void **state) {
    (void)state;
    const json_flat_opts o = {0}, one = {.depth = 1};
    expect_flat("{}", &o, RC_OK, "");
    expect_flat(" { \"a\" : 1 , \"b\" : \"x\" } ", &o, RC_OK, "a=1;b=x;");
    expect_flat("{\"a\":{\"b\":{\"c\":true},\"d\":null},\"e\":[1,{\"f\":2}],\"g\":{}}", &o, RC_OK,
                "a.b.c=true;a.d=null;e=[1,{\"f\":2}];g={};");
    expect_flat("{\"a\":{\"b\":1},\"c\":{ }}", &one, RC_OK, "a={\"b\":1};c={ };");
    expect_flat("{\"a\\u002eb\":{\"c\\n\":1}}", &o, RC_OK, "a.b.c\n=1;");
    expect_flat("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}", &o, RC_OK,
                "a.a.a.a.a.a={\"a\":1};");
    expect_flat("{\"\":{\"\":1}}", &o, RC_OK, "=1;");
}

static void json_flat_keeps_what_stands_before_damage(void **state) {
    (void)state;
    const json_flat_opts o = {0};
    expect_flat("{\"a\":1,\"b\":{\"c\":2,\"d\":\"cut of", &o, RC_INVALID, "a=1;b.c=2;");
    expect_flat("{\"a\":1,\"b\":[1,2", &o, RC_INVALID, "a=1;");
    expect_flat("{\"a\":1,}", &o, RC_INVALID, "a=1;");
    expect_flat("[1]", &o, RC_INVALID, "");
    expect_flat("", &o, RC_INVALID, "");
}

static void json_flat_bounds_members_depth_and_memory(void **state) {
    (void)state;
    const json_flat_opts o = {0};
    json_member m[2];
    arena a;
    arena_init(&a, "t", 1 << 12);
    size_t total = 0, used = 0;
    str in = S("{\"a\":1,\"b\":2,\"c\":3}");
    assert_int_equal(json_flat(in, &o, &a, m, 2, &total, &used, NULL), RC_OK);
    assert_int_equal(total, 3);
    assert_int_equal(used, in.n);
    assert_true(str_eq(m[1].key, S("b")));

    char deep[JSON_DEPTH_MAX + 50];
    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"a\":", 5);
    assert_int_equal(json_flat(str_make(deep, sizeof(deep)), &o, &a, m, 2, &total, &used, NULL),
                     RC_INVALID);
    assert_in_range(used, JSON_DEPTH_MAX - 2, JSON_DEPTH_MAX + 8);

    buf big;
    buf_init(&big, 1 << 16);
    buf_put(&big, S("{\"\\n"));
    buf_pad(&big, 'x', 8000);
    buf_put(&big, S("\":1}"));
    assert_int_equal(json_flat(buf_str(&big), &o, &a, m, 2, &total, &used, NULL), RC_LIMIT);
    buf_release(&big);
    arena_release(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_delivers_every_kind),
        cmocka_unit_test(json_refuses_what_the_grammar_does_not_have),
        cmocka_unit_test(json_admits_raw_controls_only_when_asked),
        cmocka_unit_test(json_limits_depth),
        cmocka_unit_test(json_skips_whole_values),
        cmocka_unit_test(json_stops_behind_one_value),
        cmocka_unit_test(json_unescapes),
        cmocka_unit_test(json_text_borrows_and_reports_a_full_arena),
        cmocka_unit_test(json_validate_checks_utf8),
        cmocka_unit_test(json_finds_the_end_of_strings_of_any_length),
        cmocka_unit_test(json_flat_lays_objects_flat),
        cmocka_unit_test(json_flat_keeps_what_stands_before_damage),
        cmocka_unit_test(json_flat_bounds_members_depth_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
