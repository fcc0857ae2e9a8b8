#include "../unit.h"

#include "base/mem.h"

static bool all_zero(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

static void memory_is_zeroed(void **state) {
    (void)state;
    char *p = mem_alloc(1000);
    assert_true(all_zero(p, 1000));
    memset(p, 1, 1000);
    p = mem_realloc(p, 1000, 5000);
    assert_true(p[999] == 1 && all_zero(p + 1000, 4000));
    p = mem_realloc(p, 5000, 10);
    assert_int_equal(p[9], 1);
    mem_free(p);
    p = mem_realloc(NULL, 0, 100);
    assert_true(all_zero(p, 100));
    p = mem_try_realloc(p, 100, 300);
    assert_true(p && all_zero(p, 300));
    mem_free(p);
    p = mem_try_realloc(NULL, 0, 100);
    assert_true(p && all_zero(p, 100));
    mem_free(p);
    mem_free(NULL);
}

static void zero_bytes_are_a_pointer(void **state) {
    (void)state;
    void *p[] = {mem_alloc(0), mem_try_alloc(0), mem_try_raw(0), mem_realloc(NULL, 0, 0),
                 mem_alloc_n(0, 8)};
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        assert_non_null(p[i]);
        mem_free(p[i]);
    }
}

static void overflow_and_nonsense_are_bugs(void **state) {
    (void)state;
    assert_must_fails(mem_alloc_n(SIZE_MAX / 2, 3));
    assert_must_fails(mem_realloc(NULL, 8, 16));
    uint64_t *v = mem_new_n(uint64_t, 4);
    assert_true(v[3] == 0);
    mem_free(v);
}

static void the_nth_try_fails(void **state) {
    (void)state;
    mem_fail_at(3);
    void *a = mem_try_alloc(1), *always = mem_alloc(1), *b = mem_try_raw(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(mem_try_realloc(a, 1, 100)); /* a stays valid */
    a = mem_try_realloc(a, 1, 100);
    assert_non_null(a);
    mem_fail_at(1);
    mem_fail_at(0);
    void *c = mem_try_grow_raw(NULL, 5);
    assert_non_null(c);
    mem_fail_at(1);
    assert_null(mem_try_grow_raw(c, 50));
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(always);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed),
        cmocka_unit_test(zero_bytes_are_a_pointer),
        cmocka_unit_test(overflow_and_nonsense_are_bugs),
        cmocka_unit_test(the_nth_try_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
