#include "telemetry_gen.h"

#include "base/mem.h"
#include "store/spanblock_int.h"

/* Reads every block; each span of `want` is there exactly once, and nothing else. */
static void check_spans(const block_list *l, telemetry *const *t, size_t count) {
    size_t total = 0, rows = 0;
    map64 by_id;
    map64_init(&by_id, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < t[i]->spans.count; k++, total++) {
            uint64_t id;
            bool added;
            memcpy(&id, t[i]->spans.rec[k].span_id, 8);
            *map64_put(&by_id, id, &added) = (uintptr_t)&t[i]->spans.rec[k];
            assert_true(added);
        }
    }
    for (size_t i = 0; i < l->count; i++) {
        arena mem;
        arena_init(&mem, "test", 1 << 30);
        err e = {0};
        assert_rc(SPAN_BLOCKS.verify(&l->io[i], &l->info[i], &e), RC_OK);
        span_block b;
        assert_rc(span_block_open(&b, &l->io[i], &l->info[i], &mem, &e), RC_OK);
        uint32_t *all = (uint32_t *)arena_bytes(&mem, sizeof(uint32_t) * (b.rows), 8);
        span *s = (span *)arena_bytes(&mem, sizeof(span) * (b.rows), 8);
        for (uint32_t k = 0; k < b.rows; k++) all[k] = k;
        assert_rc(span_block_rows(&b, all, b.rows, s, &e), RC_OK);
        for (size_t k = 0; k < b.rows; k++, rows++) {
            uint64_t id;
            memcpy(&id, s[k].span_id, 8);
            const uint64_t *want = map64_get(&by_id, id);
            assert_non_null(want);
            MUST(want);
            assert_true(same_span(&s[k], (const span *)(uintptr_t)*want));
            assert_true(map64_remove(&by_id, id));
            bool may;
            assert_rc(span_block_may_have(&b, s[k].trace_id, &may, &e), RC_OK);
            assert_true(may);
        }
        span_block_close(&b);
        arena_release(&mem);
    }
    assert_int_equal(rows, total);
    map64_release(&by_id);
}

static void merged(const block_list *in, size_t max_bytes, block_list *out) {
    size_t bad;
    err e = {0};
    assert_rc(SPAN_BLOCKS.merge(in->io, in->info, in->count, max_bytes, block_list_put, out, NULL,
                                &bad, &e),
              RC_OK);
}

static void spans_come_back_exactly(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list *l0 = mem_new(block_list), *l1 = mem_new(block_list), *l2 = mem_new(block_list);
    telemetry *t[9];
    static const size_t sizes[] = {1, 2, 3000, 0, 17, 900, 1, 5000, 12000};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        t[i] = telemetry_new();
        gen_spans(t[i], &r, sizes[i]);
    }
    assert_rc(SPAN_BLOCKS.encode(t, 4, block_list_put, l0, NULL), RC_OK);
    for (size_t i = 4; i < ARRAY_LEN(t); i++)
        assert_rc(SPAN_BLOCKS.encode(&t[i], 1, block_list_put, l0, NULL), RC_OK);
    assert_int_equal(l0->count, 6);
    check_spans(l0, t, ARRAY_LEN(t));
    merged(l0, 64 << 20, l1);
    check_spans(l1, t, ARRAY_LEN(t));
    merged(l1, 1 << 20, l2); /* little memory: many batches */
    assert_true(l2->count >= 2);
    check_spans(l2, t, ARRAY_LEN(t));
    uint64_t rows = 0;
    for (size_t i = 0; i < l2->count; i++) {
        assert_int_equal(l2->info[i].level, 1);
        rows += l2->info[i].rows;
    }
    assert_int_equal(rows, 20921);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) telemetry_free(t[i]);
    block_list_release(l0);
    block_list_release(l1);
    block_list_release(l2);
    mem_free(l0);
    mem_free(l1);
    mem_free(l2);
}

static void nothing_gives_no_block(void **state) {
    (void)state;
    block_list l = {0};
    telemetry *t = telemetry_new();
    assert_rc(SPAN_BLOCKS.encode(&t, 1, block_list_put, &l, NULL), RC_OK);
    assert_int_equal(l.count, 0);
    telemetry_free(t);
}

/* Every flipped bit is noticed by verify, and a merge names the block. */
static void damage_is_found(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list *l = mem_new(block_list), *out = mem_new(block_list);
    telemetry *t = telemetry_new();
    gen_spans(t, &r, 200);
    for (int i = 0; i < 3; i++)
        assert_rc(SPAN_BLOCKS.encode(&t, 1, block_list_put, l, NULL), RC_OK);
    for (int round = 0; round < 500; round++) {
        size_t at = rng_below(&r, l->info[1].bytes);
        char *p = l->bytes[1] + sizeof(block_io) + at, was = *p;
        *p ^= (char)(1 << rng_below(&r, 8));
        err e = {0};
        rc code = SPAN_BLOCKS.verify(&l->io[1], &l->info[1], &e);
        assert_true(code == RC_CORRUPT || code == RC_UNSUPPORTED);
        if (round % 50 == 0 && code == RC_CORRUPT) {
            size_t bad = 99;
            assert_rc(
                SPAN_BLOCKS.merge(l->io, l->info, 3, 1 << 26, block_list_put, out, NULL, &bad, &e),
                RC_CORRUPT);
            assert_int_equal(bad, 1);
        }
        *p = was;
    }
    block_list_release(l);
    block_list_release(out);
    telemetry_free(t);
    mem_free(l);
    mem_free(out);
}

static void a_merge_can_be_cancelled(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list l = {0}, out = {0};
    telemetry *t = telemetry_new();
    gen_spans(t, &r, 10);
    assert_rc(SPAN_BLOCKS.encode(&t, 1, block_list_put, &l, NULL), RC_OK);
    int stop = 1;
    size_t bad;
    assert_rc(SPAN_BLOCKS.merge(l.io, l.info, 1, 1 << 20, block_list_put, &out, &stop, &bad, NULL),
              RC_CANCELLED);
    assert_int_equal(out.count, 0);
    block_list_release(&l);
    telemetry_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_come_back_exactly),
        cmocka_unit_test(nothing_gives_no_block),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(a_merge_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
