#include "../unit.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"

static void empty_tables_answer(void **state) {
    (void)state;
    map64 m;
    map64_init(&m, 10);
    assert_null(map64_get(&m, 0));
    assert_null(map64_get(&m, 5));
    assert_false(map64_remove(&m, 0));
    uint64_t k, v;
    size_t at = 0;
    assert_false(map64_next(&m, &at, &k, &v));
    map64_reset(&m);
    map64_release(&m);
    map64_release(NULL);
    intern t;
    intern_init(&t, "test", 10, 1000);
    assert_int_equal(intern_get(&t, S("x")), INTERN_NONE);
    intern_release(&t);
    intern_release(NULL);
}

static void map64_holds_its_maximum(void **state) {
    (void)state;
    map64 m;
    map64_init(&m, 100);
    bool added;
    for (uint64_t k = 0; k < 100; k++) { /* the zero key counts, too */
        uint64_t *v = map64_put(&m, k, &added);
        assert_non_null(v);
        assert_true(added);
        assert_int_equal(*v, 0);
        *v = k * 10;
    }
    assert_null(map64_put(&m, 100, &added));
    assert_int_equal(*map64_put(&m, 7, &added), 70);
    assert_false(added);
    assert_int_equal(m.count, 100);
    assert_true(map64_remove(&m, 0));
    assert_null(map64_get(&m, 0));
    assert_int_equal(*map64_put(&m, 0, NULL), 0); /* nothing is left of the old value */
    map64_reset(&m);
    assert_int_equal(m.count, 0);
    assert_null(map64_get(&m, 0));
    assert_null(map64_get(&m, 7));
    assert_int_equal(*map64_put(&m, 7, NULL), 0);
    map64_release(&m);
    map64_init(&m, 0);
    assert_null(map64_put(&m, 1, NULL));
    map64_release(&m);
}

/* The model: values by key in a plain array. Keys that collide (equal low and high bits),
 * sequential keys and random ones; as many removals as additions, so that holes are closed all the
 * time. */
static void map64_equals_a_naive_model(void **state) {
    (void)state;
    enum { KEYS = 3000 };
    rng r;
    rng_init(&r, unit_seed("map64"));
    for (int kind = 0; kind < 4; kind++) {
        static uint64_t keys[KEYS], vals[KEYS];
        static bool present[KEYS], seen[KEYS];
        memset(present, 0, sizeof present);
        for (size_t i = 0; i < KEYS; i++)
            keys[i] = kind == 0   ? i
                      : kind == 1 ? (uint64_t)i << 48
                      : kind == 2 ? i * 4096
                                  : rng_u64(&r);
        map64 m;
        map64_init(&m, KEYS);
        size_t count = 0;
        for (int step = 0; step < 60000; step++) {
            size_t i = rng_below(&r, KEYS);
            uint64_t share = step / 20000 == 1 ? 70 : 40; /* the middle third shrinks the table */
            if (rng_below(&r, 100) < share) {
                assert_int_equal(map64_remove(&m, keys[i]), present[i]);
                count -= present[i];
                present[i] = false;
            } else {
                bool added;
                uint64_t *v = map64_put(&m, keys[i], &added);
                assert_non_null(v);
                assert_int_equal(added, !present[i]);
                if (!added) assert_int_equal(*v, vals[i]);
                *v = vals[i] = rng_u64(&r);
                count += !present[i];
                present[i] = true;
            }
            assert_int_equal(m.count, count);
        }
        for (size_t i = 0; i < KEYS; i++) {
            uint64_t *v = map64_get(&m, keys[i]);
            assert_int_equal(v != NULL, present[i]);
            if (v) assert_int_equal(*v, vals[i]);
        }
        memset(seen, 0, sizeof seen);
        uint64_t k, v;
        size_t visited = 0;
        for (size_t at = 0; map64_next(&m, &at, &k, &v); visited++) {
            size_t i = 0;
            while (i < KEYS && keys[i] != k) i++;
            assert_true(i < KEYS && present[i] && !seen[i] && vals[i] == v);
            seen[i] = true;
        }
        assert_int_equal(visited, count);
        map64_release(&m);
    }
}

static void map64_survives_failing_memory(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth < 10; nth++) {
        map64 m;
        map64_init(&m, 1000);
        mem_fail_at(nth);
        uint64_t added = 0;
        for (uint64_t k = 1; k <= 1000; k++) {
            uint64_t *v = map64_put(&m, k, NULL);
            if (!v) break;
            *v = k;
            added++;
        }
        mem_fail_at(0);
        assert_int_equal(m.count, added);
        for (uint64_t k = 1; k <= 1000; k++) {
            uint64_t *v = map64_get(&m, k);
            assert_int_equal(v != NULL, k <= added);
            if (v) assert_int_equal(*v, k);
        }
        for (uint64_t k = added + 1; k <= 1000; k++) assert_non_null(map64_put(&m, k, NULL));
        map64_release(&m);
    }
}

static void intern_gives_dense_stable_ids(void **state) {
    (void)state;
    enum { N = 20000 };
    intern t;
    intern_init(&t, "test", N, 8 << 20);
    char text[32];
    const char *first = NULL;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < N; i++) {
            int n = snprintf(text, sizeof text, "text %u", i);
            assert_int_equal(intern_put(&t, str_make(text, (size_t)n)), i);
            if (!first) first = intern_str(&t, 0).p;
        }
    }
    assert_int_equal(t.count, N);
    assert_ptr_equal(intern_str(&t, 0).p, first); /* texts stay where they are */
    assert_text(intern_str(&t, 12345), S("text 12345"));
    assert_int_equal(t.hashes[12345], str_hash(S("text 12345")));
    assert_int_equal(intern_get(&t, S("text 77")), 77);
    assert_int_equal(intern_get(&t, S("text")), INTERN_NONE);
    assert_int_equal(intern_put(&t, S("one more")), INTERN_NONE); /* max_count */
    assert_int_equal(intern_put(&t, S("text 5")), 5);
    intern_release(&t);
}

static void intern_tells_any_bytes_apart(void **state) {
    (void)state;
    intern t;
    intern_init(&t, "test", 100, 1 << 20);
    assert_int_equal(intern_put(&t, STR_NONE), 0);
    assert_int_equal(intern_put(&t, S("")), 0);
    assert_int_equal(intern_put(&t, str_make("\0", 1)), 1);
    assert_int_equal(intern_put(&t, str_make("a\0b", 3)), 2);
    assert_int_equal(intern_put(&t, str_make("a\0c", 3)), 3);
    /* Equal hashes: the text decides. */
    assert_int_equal(intern_put_hashed(&t, S("p"), 42), 4);
    assert_int_equal(intern_put_hashed(&t, S("q"), 42), 5);
    assert_int_equal(intern_put_hashed(&t, S("q"), 42), 5);
    assert_int_equal(intern_put_hashed(&t, S("z"), 0), 6); /* a zero hash is as good as any */
    assert_int_equal(intern_put_hashed(&t, S("z"), 0), 6);
    intern_release(&t);
}

static void intern_stops_at_its_text_limit(void **state) {
    (void)state;
    intern t;
    intern_init(&t, "test", 1000000, 20000);
    char text[32];
    uint32_t n = 0;
    for (;; n++) {
        int len = snprintf(text, sizeof text, "a rather long text %u", n);
        if (intern_put(&t, str_make(text, (size_t)len)) == INTERN_NONE) break;
        assert_true(n < 1000);
    }
    assert_true(n > 200);
    assert_int_equal(t.count, n);
    assert_int_equal(intern_get(&t, S("a rather long text 3")), 3);
    assert_int_equal(intern_get(&t, str_c(text)), INTERN_NONE);
    intern_release(&t);
}

static void intern_survives_failing_memory(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth < 30; nth++) {
        intern t;
        intern_init(&t, "test", 1000, 1 << 20);
        mem_fail_at(nth);
        char text[16];
        for (uint32_t i = 0; i < 500; i++) {
            str s = str_make(text, (size_t)snprintf(text, sizeof text, "%u", i));
            uint32_t id = intern_put(&t, s);
            if (id == INTERN_NONE) id = intern_put(&t, s); /* memory is back */
            assert_int_equal(id, i);
        }
        mem_fail_at(0);
        for (uint32_t i = 0; i < 500; i++)
            assert_int_equal(
                intern_get(&t, str_make(text, (size_t)snprintf(text, sizeof text, "%u", i))), i);
        intern_release(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_tables_answer),
        cmocka_unit_test(map64_holds_its_maximum),
        cmocka_unit_test(map64_equals_a_naive_model),
        cmocka_unit_test(map64_survives_failing_memory),
        cmocka_unit_test(intern_gives_dense_stable_ids),
        cmocka_unit_test(intern_tells_any_bytes_apart),
        cmocka_unit_test(intern_stops_at_its_text_limit),
        cmocka_unit_test(intern_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
