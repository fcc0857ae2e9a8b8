#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/auth.h"

static auth_table *table_of(const char *tokens, net_role anonymous, const char *local) {
    config *c;
    auth_table *t = NULL;
    err e = {0};
    assert_int_equal(config_default(&c, &e), RC_OK);
    assert_int_equal(config_set(c, S("auth.tokens"), str_c(tokens), &e), RC_OK);
    assert_int_equal(auth_new(c, anonymous, str_c(local), &t, &e), RC_OK);
    config_free(c); /* the table stands alone */
    return t;
}

/* SHA-256 of "abc" (FIPS 180-2, appendix B.1). */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void auth_knows_tokens_by_their_hash(void **state) {
    (void)state;
    auth_table *t = table_of("[\"a:write:" ABC "\"]", ROLE_ADMIN, "local");
    assert_int_equal(auth_count(t), 1);
    assert_int_equal(auth_role_of(t, S("abc")), ROLE_WRITE);
    assert_int_equal(auth_role_of(t, S("abd")), ROLE_NONE);
    assert_int_equal(auth_role_of(t, S(ABC)), ROLE_NONE);
    assert_int_equal(auth_role_of(t, S("")), ROLE_NONE); /* tokens: nobody is anonymous */
    assert_int_equal(auth_role_of(t, S("local")), ROLE_ADMIN);
    auth_free(t);
}

static void auth_without_tokens_everybody_is_anonymous(void **state) {
    (void)state;
    auth_table *t = table_of("", (net_role)(ROLE_READ | ROLE_WRITE), "local");
    assert_int_equal(auth_count(t), 0);
    assert_int_equal(auth_role_of(t, S("")), ROLE_READ | ROLE_WRITE);
    assert_int_equal(auth_role_of(t, S("sent along")), ROLE_READ | ROLE_WRITE);
    assert_int_equal(auth_role_of(t, S("local")), ROLE_ADMIN);
    auth_free(t);
}

static void auth_adds_up_roles_of_one_token(void **state) {
    (void)state;
    auth_table *t = table_of("[\"a:write:" ABC "\", \"b:read:" ABC "\"]", ROLE_NONE, "");
    assert_int_equal(auth_role_of(t, S("abc")), ROLE_READ | ROLE_WRITE);
    auth_free(t);
}

static void auth_made_tokens_are_admitted_by_their_entry(void **state) {
    (void)state;
    char token[2][AUTH_TOKEN_CHARS + 1], hash[2][2 * AUTH_HASH_BYTES + 1], entry[200];
    err e = {0};
    for (int i = 0; i < 2; i++) assert_int_equal(auth_make_token(token[i], hash[i], &e), RC_OK);
    assert_string_not_equal(token[0], token[1]);
    assert_int_equal(strlen(token[0]), AUTH_TOKEN_CHARS);
    snprintf(entry, sizeof entry, "[\"x:admin:%s\"]", hash[0]);
    auth_table *t = table_of(entry, ROLE_NONE, "");
    assert_int_equal(auth_role_of(t, str_c(token[0])), ROLE_ADMIN);
    assert_int_equal(auth_role_of(t, str_c(token[1])), ROLE_NONE);
    auth_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_knows_tokens_by_their_hash),
        cmocka_unit_test(auth_without_tokens_everybody_is_anonymous),
        cmocka_unit_test(auth_adds_up_roles_of_one_token),
        cmocka_unit_test(auth_made_tokens_are_admitted_by_their_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
