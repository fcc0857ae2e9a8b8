#include "../unit.h"

#include "store/labels.h"

static void names_have_two_forms(void **state) {
    (void)state;
    label_name to;
    assert_text(label_name_of(S("service.name"), &to), S("service_name"));
    assert_text(label_name_of(S("a-b/c:9_Z"), &to), S("a_b_c_9_Z"));
    assert_true(label_is(S("service_name"), S("service.name")));
    assert_true(label_is(S("service.name"), S("service.name")));
    assert_true(label_is(S("service.name"), S("service_name")));
    assert_false(label_is(S("service_names"), S("service.name")));
    assert_false(label_is(S("service_namf"), S("service.name")));
    assert_true(label_pair_hash(S("a.b"), S("x")) == label_pair_hash(S("a_b"), S("x")));
    assert_false(label_pair_hash(S("a.b"), S("x")) == label_pair_hash(S("a_b"), S("y")));
    assert_false(label_pair_hash(S("ab"), S("x")) == label_pair_hash(S("a"), S("bx")));
}

static void every_operator_is_tested(void **state) {
    (void)state;
    static const label_match m[] = {{S_INIT("a"), S_INIT("x"), MATCH_EQ},
                                    {S_INIT("a"), S_INIT("x"), MATCH_NE},
                                    {S_INIT("a"), S_INIT("x|y.*"), MATCH_RE},
                                    {S_INIT("a"), S_INIT("x|y.*"), MATCH_NOT_RE},
                                    {S_INIT("a"), S_INIT(""), MATCH_EQ}};
    matchers *s;
    assert_rc(matchers_new(m, ARRAY_LEN(m), &s, NULL), RC_OK);
    assert_int_equal(matchers_count(s), ARRAY_LEN(m));
    static const struct {
        str value;
        bool want[5];
    } cases[] = {
        {S_INIT("x"), {true, false, true, false, false}},
        {S_INIT("xx"), {false, true, false, true, false}}, /* anchored at both ends */
        {S_INIT("y\n1"), {false, true, true, false, false}},
        {S_INIT(""), {false, true, false, true, true}},
        {S_INIT("\xff\xfe"), {false, true, false, true, false}}, /* no UTF-8 */
    };
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        for (size_t i = 0; i < ARRAY_LEN(m); i++)
            assert_int_equal(matchers_test(s, i, cases[c].value), cases[c].want[i]);
    }
    str only;
    assert_true(matchers_only(s, 0, &only));
    assert_text(only, S("x"));
    for (size_t i = 1; i < ARRAY_LEN(m); i++) assert_false(matchers_only(s, i, &only));
    matchers_free(s);
    matchers_free(NULL);
}

static void wrong_expressions_are_named(void **state) {
    (void)state;
    label_match m = {S("pod"), S("a("), MATCH_RE};
    matchers *s;
    err e = {0};
    assert_rc(matchers_new(&m, 1, &s, &e), RC_INVALID);
    assert_non_null(strstr(e.msg, "a("));
    assert_non_null(strstr(e.msg, "pod"));
    label_match many[MATCHERS_MAX + 1] = {0};
    assert_rc(matchers_new(many, ARRAY_LEN(many), &s, &e), RC_LIMIT);
    /* what would take for ever gives up and is no match */
    label_match slow = {S("a"), S("(a+)+b"), MATCH_RE};
    assert_rc(matchers_new(&slow, 1, &s, &e), RC_OK);
    char text[64];
    memset(text, 'a', sizeof text);
    assert_false(matchers_test(s, 0, str_make(text, sizeof text)));
    matchers_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_two_forms),
        cmocka_unit_test(every_operator_is_tested),
        cmocka_unit_test(wrong_expressions_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
