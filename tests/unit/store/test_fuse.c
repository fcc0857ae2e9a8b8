#include "../unit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "store/fuse.h"

static void keys_are_found_and_others_rarely(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    static const size_t sizes[] = {0, 1, 2, 3, 10, 100, 1000, 13000, 100000};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        size_t n = sizes[s];
        uint64_t *keys = mem_new_n(uint64_t, 2 * n + 1), *kept = mem_new_n(uint64_t, n + 1);
        for (size_t i = 0; i < n; i++) keys[i] = keys[n + i] = kept[i] = rng_u64(&r);
        buf out;
        buf_init(&out, 1 << 22);
        assert_true(fuse_put(&out, keys, 2 * n)); /* each twice */
        if (n >= 10000) assert_true(out.n < n * 3 / 2);
        fuse f;
        assert_rc(fuse_open(buf_str(&out), &f, NULL), RC_OK);
        for (size_t i = 0; i < n; i++) assert_true(fuse_has(&f, kept[i]));
        size_t wrong = 0;
        for (int i = 0; i < 100000; i++) wrong += fuse_has(&f, rng_u64(&r));
        assert_true(wrong < 600); /* 390 expected, deviation 20 */
        for (size_t cut = 0; cut < out.n; cut += 1 + out.n / 20)
            assert_rc(fuse_open(str_make(out.p, cut), &f, NULL), RC_CORRUPT);
        buf_release(&out);
        mem_free(keys);
        mem_free(kept);
    }
}

static void damaged_heads_are_refused(void **state) {
    (void)state;
    uint64_t keys[] = {1, 2, 3};
    buf out;
    buf_init(&out, 1 << 16);
    assert_true(fuse_put(&out, keys, 3));
    fuse f;
    for (size_t i = 12; i < 20; i++) {
        out.p[i] ^= 0x15;
        assert_rc(fuse_open(buf_str(&out), &f, NULL), RC_CORRUPT);
        out.p[i] ^= 0x15;
    }
    assert_rc(fuse_open(buf_str(&out), &f, NULL), RC_OK);
    buf_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_and_others_rarely),
        cmocka_unit_test(damaged_heads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
