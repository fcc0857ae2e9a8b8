#include "../unit.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/rng.h"

static void equality_and_order(void **state) {
    (void)state;
    assert_true(str_eq(STR_NONE, S("")));
    assert_false(str_eq(S("a"), S("b")));
    assert_false(str_eq(S("a"), S("ab")));
    assert_true(str_eq(str_make("a\0b", 3), str_make("a\0b", 3)));
    assert_false(str_eq(str_make("a\0b", 3), str_make("a\0c", 3)));
    assert_int_equal(str_cmp(STR_NONE, S("")), 0);
    assert_true(str_cmp(S("a"), S("b")) < 0);
    assert_true(str_cmp(S("ab"), S("a")) > 0);
    assert_true(str_cmp(S(""), S("a")) < 0);
    assert_true(str_cmp(S("\xFF"), S("a")) > 0); /* bytes are unsigned */
    assert_true(str_eq_nocase(S("HeLLo-1"), S("hEllO-1")));
    assert_false(str_eq_nocase(S("["), S("{"))); /* 0x5B and 0x7B: no letters */
    assert_false(str_eq_nocase(S("\xC9"), S("\xE9")));
}

static void beginnings_ends_and_parts(void **state) {
    (void)state;
    assert_true(str_starts(S("abc"), S("ab")));
    assert_true(str_starts(S("abc"), STR_NONE));
    assert_false(str_starts(S("a"), S("ab")));
    assert_true(str_starts_nocase(S("ABc"), S("ab")));
    assert_false(str_starts_nocase(S("A"), S("ab")));
    assert_true(str_ends(S("abc"), S("bc")));
    assert_true(str_ends(STR_NONE, STR_NONE));
    assert_false(str_ends(S("c"), S("bc")));
    assert_text(str_sub(S("hello"), 1, 3), S("ell"));
    assert_text(str_sub(S("hello"), 4, SIZE_MAX), S("o"));
    assert_text(str_sub(S("hello"), 9, 3), S(""));
    assert_text(str_from(S("hello"), 2), S("llo"));
    assert_text(str_sub(STR_NONE, 0, 5), STR_NONE);
    assert_text(str_c(NULL), STR_NONE);
    assert_text(str_c("x"), S("x"));
}

static void searching(void **state) {
    (void)state;
    str s = S("one two one");
    assert_int_equal(str_find(s, S("one"), 0), 0);
    assert_int_equal(str_find(s, S("one"), 1), 8);
    assert_int_equal(str_find(s, S("one"), 9), STR_NPOS);
    assert_int_equal(str_find(s, S("one"), 99), STR_NPOS);
    assert_int_equal(str_find(s, S(""), 4), 4);
    assert_int_equal(str_find(s, S(""), s.n), s.n);
    assert_int_equal(str_find(s, S(""), s.n + 1), STR_NPOS);
    assert_int_equal(str_find(STR_NONE, S(""), 0), 0);
    assert_int_equal(str_find(STR_NONE, S("a"), 0), STR_NPOS);
    assert_int_equal(str_find(str_make("a\0b\0c", 5), str_make("\0c", 2), 0), 3);
    assert_int_equal(str_find_nocase(S("xxOnE"), S("oNe"), 0), 2);
    assert_int_equal(str_find_nocase(S("xxOn"), S("oNe"), 0), STR_NPOS);
    assert_int_equal(str_find_nocase(S("abc"), S(""), 3), 3);
    assert_int_equal(str_find_char(s, 'o', 0), 0);
    assert_int_equal(str_find_char(s, 'o', 1), 6);
    assert_int_equal(str_find_char(s, 'z', 0), STR_NPOS);
    assert_int_equal(str_find_char(s, 'o', s.n), STR_NPOS);
    assert_int_equal(str_find_char(STR_NONE, 'o', 0), STR_NPOS);
    assert_int_equal(str_rfind_char(s, 'o'), 8);
    assert_int_equal(str_rfind_char(s, 'z'), STR_NPOS);
    assert_int_equal(str_rfind_char(STR_NONE, 'z'), STR_NPOS);
    assert_true(str_has(s, S("two")));
}

static size_t naive_find(str hay, str needle, size_t from) {
    for (size_t i = from; i + needle.n <= hay.n; i++)
        if (memcmp(hay.p + i, needle.p, needle.n) == 0) return i;
    return STR_NPOS;
}

static void finds_what_a_naive_search_finds(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("str_find"));
    char hay[64], needle[4];
    for (int round = 0; round < 20000; round++) {
        size_t n = rng_below(&r, sizeof hay + 1), m = 1 + rng_below(&r, sizeof needle);
        for (size_t i = 0; i < n; i++) hay[i] = (char)('a' + rng_below(&r, 3));
        for (size_t i = 0; i < m; i++) needle[i] = (char)('a' + rng_below(&r, 3));
        size_t from = rng_below(&r, sizeof hay + 2);
        str h = str_make(hay, n), nd = str_make(needle, m);
        size_t want = from > n ? STR_NPOS : naive_find(h, nd, from);
        assert_int_equal(str_find(h, nd, from), want);
        for (size_t i = 0; i < n; i++)
            if (rng_below(&r, 2)) hay[i] = (char)(hay[i] - 32);
        assert_int_equal(str_find_nocase(h, nd, from), want);
    }
}

static void trimming(void **state) {
    (void)state;
    assert_text(str_trim(S(" \t a b\r\n\v\f")), S("a b"));
    assert_text(str_trim(S(" \n ")), S(""));
    assert_text(str_trim(STR_NONE), S(""));
    assert_text(str_trim_right(S(" a ")), S(" a"));
    assert_text(str_trim(S("\xC2\xA0x")), S("\xC2\xA0x")); /* ASCII only */
}

static size_t parts_of(str text, char sep, str *parts, size_t max) {
    size_t n = 0;
    str rest = text, part;
    while (str_next(&rest, sep, &part)) {
        assert_true(n < max);
        parts[n++] = part;
    }
    assert_false(str_next(&rest, sep, &part));
    return n;
}

static void splitting(void **state) {
    (void)state;
    str p[8];
    assert_int_equal(parts_of(S("a,b,,c"), ',', p, 8), 4);
    assert_text(p[2], S(""));
    assert_text(p[3], S("c"));
    assert_int_equal(parts_of(S("a,"), ',', p, 8), 2);
    assert_text(p[1], S(""));
    assert_int_equal(parts_of(S(","), ',', p, 8), 2);
    assert_int_equal(parts_of(S(""), ',', p, 8), 1);
    assert_int_equal(parts_of(STR_NONE, ',', p, 8), 0);
    assert_int_equal(parts_of(str_make("a\0b", 3), '\0', p, 8), 2);
}

static void hashes_are_xxh3(void **state) {
    (void)state;
    /* Published values of XXH3_64bits: they are stored in file names and state, and may never
     * change. */
    assert_int_equal(str_hash(S("")), 0x2d06800538d394c2u);
    assert_int_equal(str_hash(STR_NONE), 0x2d06800538d394c2u);
    assert_int_equal(str_hash(S("a")), 0xe6c632b61e964e1fu);
    assert_int_equal(str_hash(S("abc")), 0x78af5f94892f3950u);
    assert_int_equal(str_hash_seed(S("abc"), 0), str_hash(S("abc")));
    assert_int_not_equal(str_hash_seed(S("abc"), 1), str_hash(S("abc")));
}

static void copies_live_in_the_arena(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 1 << 20);
    char text[] = "text";
    str copy = str_dup(&a, str_c(text));
    const char *c = str_c_dup(&a, str_c(text));
    text[0] = 'X';
    assert_text(copy, S("text"));
    assert_string_equal(c, "text");
    assert_non_null(str_dup(&a, STR_NONE).p); /* empty is not "full" */
    assert_string_equal(str_c_dup(&a, STR_NONE), "");
    assert_text(str_fmt(&a, "%d-%s", 42, "x"), S("42-x"));
    assert_text(str_fmt(&a, "%s", ""), S(""));
    char big[1000];
    memset(big, 'y', sizeof big);
    for (size_t n = 250; n < 260; n++) { /* around the size of the first try */
        str s = str_fmt(&a, "%.*s", (int)n, big);
        assert_text(s, str_make(big, n));
    }
    arena_release(&a);
}

static void copies_fail_when_the_arena_is_full(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 4096);
    char big[8192];
    memset(big, 'y', sizeof big);
    assert_null(str_dup(&a, str_make(big, sizeof big)).p);
    assert_null(str_c_dup(&a, str_make(big, sizeof big)));
    assert_null(str_fmt(&a, "%.*s", (int)sizeof big, big).p);
    assert_null(str_c_dup(&a, (str){big, SIZE_MAX}));
    mem_fail_at(1);
    assert_null(str_dup(&a, S("x")).p);
    assert_text(str_dup(&a, S("x")), S("x"));
    arena_release(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_and_order),
        cmocka_unit_test(beginnings_ends_and_parts),
        cmocka_unit_test(searching),
        cmocka_unit_test(finds_what_a_naive_search_finds),
        cmocka_unit_test(trimming),
        cmocka_unit_test(splitting),
        cmocka_unit_test(hashes_are_xxh3),
        cmocka_unit_test(copies_live_in_the_arena),
        cmocka_unit_test(copies_fail_when_the_arena_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
