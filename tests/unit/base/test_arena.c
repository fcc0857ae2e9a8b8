#include "../unit.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/rng.h"
#ifdef FL_ASAN
#include <sanitizer/asan_interface.h>
#endif

static bool all_bytes(const char *p, size_t n, char want) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != want) return false;
    return true;
}

static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 64 << 20);
    for (int pass = 0; pass < 3; pass++) {
        for (size_t align = 1; align <= 4096; align *= 2) {
            for (size_t n = 0; n < 300; n += 37) {
                char *p = arena_try_bytes(&a, n, align);
                assert_non_null(p);
                assert_int_equal((uintptr_t)p % align, 0);
                assert_true(all_bytes(p, n, 0));
                memset(p, 0xEE, n);
            }
        }
        arena_reset(&a); /* the next pass gets used memory */
    }
    arena_release(&a);
}

static void limit_holds(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 100000);
    size_t got = 0;
    while (arena_try_bytes(&a, 100, 8)) got += 100;
    assert_true(a.held_bytes <= 100000);
    assert_true(got > 70000); /* the last chunk is cut to what is left, not refused */
    assert_int_equal(a.used_bytes, got);
    arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_true(arena_peak_bytes(&a) == got);
    /* Spares that are too small are given back for a large block. */
    assert_non_null(arena_try_bytes(&a, 90000, 8));
    assert_true(a.held_bytes <= 100000);
    assert_null(arena_try_bytes(&a, 90000, 8));
    volatile size_t huge = SIZE_MAX; /* not a constant: the compiler would refuse it */
    assert_null(arena_try_bytes(&a, huge, 1));
    assert_null(arena_try_bytes(&a, huge - 64, 64));
    assert_null(arena_try_array(&a, SIZE_MAX / 2, 3, 1));
    assert_must_fails(arena_bytes(&a, 90000, 8));
    arena_release(&a);
    assert_int_equal(a.held_bytes, 0);
    assert_non_null(arena_try_bytes(&a, 10, 1)); /* usable after a release */
    arena_release(&a);
    arena_release(NULL);
    arena none = {0};
    arena_release(&none);
    assert_null(arena_try_bytes(&none, 1, 1)); /* a zeroed arena has no room */
}

static void reset_keeps_chunks(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 64 << 20);
    size_t held = 0;
    for (int pass = 0; pass < 5; pass++) {
        /* A large block first or last: the chunks must be found again in any order. */
        if (pass % 2) assert_non_null(arena_try_bytes(&a, 3 << 20, 16));
        for (int i = 0; i < 5000; i++) assert_non_null(arena_try_bytes(&a, 1000, 8));
        if (pass % 2 == 0) assert_non_null(arena_try_bytes(&a, 3 << 20, 16));
        if (pass == 1) held = a.held_bytes;
        if (pass > 1) assert_true(a.held_bytes <= held);
        arena_reset(&a);
    }
    arena_release(&a);
}

static void failing_memory_leaves_it_whole(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 64 << 20);
    char *p = arena_try_bytes(&a, 100, 8);
    assert_non_null(p);
    memset(p, 7, 100);
    mem_fail_at(1);
    assert_null(arena_try_bytes(&a, 1 << 20, 8));
    mem_fail_at(0);
    assert_true(all_bytes(p, 100, 7));
    assert_int_equal(a.used_bytes, 100);
    assert_non_null(arena_try_bytes(&a, 1 << 20, 8));
    arena_release(&a);
}

/* Random blocks, marks and restores against a list of what must be intact. */
static void save_and_restore_keep_older_blocks(void **state) {
    (void)state;
    enum { BLOCKS = 4096, MARKS = 32 };
    static struct {
        char *p;
        size_t n;
        char fill;
    } blocks[BLOCKS];
    struct {
        arena_mark mark;
        size_t blocks;
    } marks[MARKS];
    rng r;
    rng_init(&r, unit_seed("arena"));
    for (int round = 0; round < 50; round++) {
        arena a;
        arena_init(&a, "test", 8 << 20);
        size_t n = 0, m = 0;
        for (int step = 0; step < 2000; step++) {
            uint64_t what = rng_below(&r, 100);
            if (what < 4 && m < MARKS) {
                marks[m].mark = arena_save(&a);
                marks[m++].blocks = n;
            } else if (what < 7 && m > 0) {
                m = rng_below(&r, m);
                arena_restore(&a, marks[m].mark);
                n = marks[m].blocks;
            } else if (n < BLOCKS) {
                size_t size = rng_below(&r, what == 99 ? 300000 : 200);
                char *p = arena_try_bytes(&a, size, (size_t)1 << rng_below(&r, 7));
                if (!p) continue; /* the limit */
                assert_true(all_bytes(p, size, 0));
                blocks[n].p = p;
                blocks[n].n = size;
                blocks[n].fill = (char)rng_below(&r, 256);
                memset(p, blocks[n].fill, size);
                n++;
            }
        }
        size_t used = 0;
        for (size_t i = 0; i < n; i++) {
            assert_true(all_bytes(blocks[i].p, blocks[i].n, blocks[i].fill));
            used += blocks[i].n ? blocks[i].n : 1;
        }
        assert_int_equal(a.used_bytes, used);
        assert_true(a.held_bytes <= 8 << 20);
        arena_release(&a);
    }
}

static void restore_to_before_the_first_block(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 1 << 20);
    arena_mark empty = arena_save(&a);
    void *p = arena_try_bytes(&a, 100, 8);
    arena_restore(&a, empty);
    assert_int_equal(a.used_bytes, 0);
    assert_ptr_equal(arena_try_bytes(&a, 100, 8), p);
    arena_release(&a);
}

static void freed_parts_are_poisoned(void **state) {
    (void)state;
#ifdef FL_ASAN
    arena a;
    arena_init(&a, "test", 1 << 20);
    char *p = arena_try_bytes(&a, 24, 8);
    char *q = arena_try_bytes(&a, 24, 8);
    assert_null(__asan_region_is_poisoned(p, 24));
    assert_true(__asan_address_is_poisoned(p + 24)); /* redzone */
    assert_true(q >= p + 24 + 8);
    arena_mark mark = arena_save(&a);
    char *big = arena_try_bytes(&a, 100000, 8);
    arena_restore(&a, mark);
    assert_true(__asan_address_is_poisoned(big));
    assert_null(__asan_region_is_poisoned(q, 24));
    arena_reset(&a);
    assert_true(__asan_address_is_poisoned(p));
    arena_release(&a);
#else
    skip(); /* needs AddressSanitizer */
#endif
}

static void bad_alignment_is_a_bug(void **state) {
    (void)state;
    arena a;
    arena_init(&a, "test", 1 << 20);
    assert_must_fails(arena_bytes(&a, 8, 3));
    assert_must_fails(arena_bytes(&a, 8, 8192));
    arena_release(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(limit_holds),
        cmocka_unit_test(reset_keeps_chunks),
        cmocka_unit_test(failing_memory_leaves_it_whole),
        cmocka_unit_test(save_and_restore_keep_older_blocks),
        cmocka_unit_test(restore_to_before_the_first_block),
        cmocka_unit_test(freed_parts_are_poisoned),
        cmocka_unit_test(bad_alignment_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
