#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/json_tree.h"

static arena mem;

static const json_value *tree(const char *text) {
    const json_value *v = NULL;
    err e = {0};
    assert_int_equal(json_tree(str_c(text), &mem, &v, &e), RC_OK);
    return v;
}

static int fresh(void **state) {
    (void)state;
    arena_init(&mem, "test", 1 << 20);
    return 0;
}
static int done(void **state) {
    (void)state;
    arena_release(&mem);
    return 0;
}

static void json_tree_holds_every_kind(void **state) {
    (void)state;
    const json_value *v =
        tree("{\"a\":1, \"b\":\"x\\ny\", \"c\":[true,null,-2.5,\"7\"], \"d\":{\"e\":{\"f\":[]}}}");
    assert_int_equal(v->count, 4);
    assert_int_equal(json_i64(json_get(v, S("a"))), 1);
    assert_true(str_eq(json_str(json_get(v, S("b"))), S("x\ny")));
    const json_value *c = json_get(v, S("c"));
    assert_true(c->type == JSON_IS_ARRAY && c->count == 4);
    assert_true(json_bool(json_item(c, 0)));
    assert_int_equal(json_item(c, 1)->type, JSON_IS_NULL);
    assert_true(json_f64(json_item(c, 2)) < -2.4 && json_i64(json_item(c, 2)) == -2);
    assert_int_equal(json_i64(json_item(c, 3)), 7); /* a number in quotes */
    assert_true(str_eq(c->text, S("[true,null,-2.5,\"7\"]")));
    assert_int_equal(json_path(v, S("d.e.f"))->type, JSON_IS_ARRAY);
}

static void json_tree_of_what_is_not_there(void **state) {
    (void)state;
    const json_value *v = tree("[{\"a\":\"b\"}]");
    assert_int_equal(json_path(v, S("a.b.c"))->type, JSON_IS_NOTHING);
    assert_int_equal(json_path(json_item(v, 0), S("a.b"))->type, JSON_IS_NOTHING);
    assert_int_equal(json_item(v, 1)->type, JSON_IS_NOTHING);
    assert_int_equal(json_str(json_item(v, 0)).n, 0);
    assert_int_equal(json_i64(json_get(json_item(v, 0), S("a"))), 0);
    assert_int_equal(tree("1e300")->type, JSON_IS_NUMBER);
    assert_true(json_i64(tree("1e300")) == INT64_MAX && json_i64(tree("-1e300")) == INT64_MIN);
}

static void json_tree_refuses(void **state) {
    (void)state;
    static const char *const BAD[] = {"", "{", "[1,]", "{\"a\":1}x", "[1] [2]", "{\"a\"}", "nul"};
    const json_value *v = NULL;
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        err e = {0};
        assert_int_equal(json_tree(str_c(BAD[i]), &mem, &v, &e), RC_INVALID);
        assert_true(e.msg[0] != '\0');
    }
    arena small;
    arena_init(&small, "small", 4096);
    char deep[2000];
    memset(deep, '[', sizeof deep);
    assert_int_not_equal(json_tree(str_make(deep, sizeof deep), &small, &v, NULL), RC_OK);
    arena_release(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(json_tree_holds_every_kind, fresh, done),
        cmocka_unit_test_setup_teardown(json_tree_of_what_is_not_there, fresh, done),
        cmocka_unit_test_setup_teardown(json_tree_refuses, fresh, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
