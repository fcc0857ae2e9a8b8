#include "store_gen.h"

#include "base/mem.h"
#include "store/labels.h"
#include "store/profileblock_int.h"

enum { BATCHES = 8, EACH = 40 };

typedef struct seen {
    telemetry *const *t;
    bool found[BATCHES][EACH];
    size_t count;
    int64_t last_ns;
    select_order order;
} seen;

static rc take(void *ctx, unsigned worker, const telemetry *t, err *e) {
    seen *s = ctx;
    (void)worker, (void)e;
    for (size_t k = 0; k < t->profiles.count; k++) {
        const profile *p = &t->profiles.rec[k];
        bool found = false;
        for (size_t i = 0; i < BATCHES && !found; i++) {
            const profile_batch *b = &s->t[i]->profiles;
            for (size_t j = 0; j < b->count && !found; j++) {
                if (s->found[i][j] || !same_profile(b, &b->rec[j], &t->profiles, p)) continue;
                s->found[i][j] = found = true;
            }
        }
        MUST(found);
        if (s->count && s->order == SELECT_NEWEST_FIRST) MUST(p->ts_ns <= s->last_ns);
        if (s->count && s->order == SELECT_OLDEST_FIRST) MUST(p->ts_ns >= s->last_ns);
        s->last_ns = p->ts_ns;
        s->count++;
    }
    return RC_OK;
}

static void check_blocks(const block_list *l, telemetry *const *t) {
    seen *s = mem_new(seen);
    s->t = t;
    for (size_t i = 0; i < l->count; i++) {
        arena mem;
        arena_init(&mem, "test", 1 << 30);
        err e = {0};
        assert_rc(PROFILE_BLOCKS.verify(&l->io[i], &l->info[i], &e), RC_OK);
        profile_block b;
        assert_rc(profile_block_open(&b, &l->io[i], &l->info[i], &mem, &e), RC_OK);
        assert_rc(profile_block_batch(&b, &e), RC_OK);
        telemetry view = {.profiles = b.batch};
        assert_rc(take(s, 0, &view, NULL), RC_OK);
        profile_block_close(&b);
        arena_release(&mem);
    }
    assert_int_equal(s->count, BATCHES * EACH);
    mem_free(s);
}

static telemetry *generate(uint64_t seed, size_t i) {
    telemetry *t = telemetry_new();
    rng r;
    rng_init(&r, seed + i);
    gen_profiles(t, &r, EACH);
    return t;
}

static void profiles_come_back_exactly(void **state) {
    (void)state;
    uint64_t seed = unit_seed(__func__);
    block_list *l0 = mem_new(block_list), *l1 = mem_new(block_list), *l2 = mem_new(block_list);
    telemetry *t[BATCHES];
    for (size_t i = 0; i < BATCHES; i++) t[i] = generate(seed, i);
    assert_rc(PROFILE_BLOCKS.encode(t, BATCHES, block_list_put, l0, NULL), RC_OK);
    assert_int_equal(l0->count, BATCHES);
    check_blocks(l0, t);
    size_t bad;
    assert_rc(
        PROFILE_BLOCKS.merge(l0->io, l0->info, 5, 1 << 26, block_list_put, l1, NULL, &bad, NULL),
        RC_OK);
    assert_rc(PROFILE_BLOCKS.merge(l0->io + 5, l0->info + 5, BATCHES - 5, 1 << 16, block_list_put,
                                   l1, NULL, &bad, NULL),
              RC_OK);
    check_blocks(l1, t);
    assert_rc(PROFILE_BLOCKS.merge(l1->io, l1->info, l1->count, 1 << 26, block_list_put, l2, NULL,
                                   &bad, NULL),
              RC_OK);
    check_blocks(l2, t);
    assert_int_equal(l2->count, 1);
    for (size_t i = 0; i < BATCHES; i++) telemetry_free(t[i]);
    block_list_release(l0);
    block_list_release(l1);
    block_list_release(l2);
    mem_free(l0);
    mem_free(l1);
    mem_free(l2);
}

static void equal_stacks_are_kept_once(void **state) {
    (void)state;
    block_list *l = mem_new(block_list), *out = mem_new(block_list);
    telemetry *t = generate(3, 0);
    for (int i = 0; i < 40; i++)
        assert_rc(PROFILE_BLOCKS.encode(&t, 1, block_list_put, l, NULL), RC_OK);
    size_t bad;
    assert_rc(PROFILE_BLOCKS.merge(l->io, l->info, l->count, 1 << 28, block_list_put, out, NULL,
                                   &bad, NULL),
              RC_OK);
    assert_int_equal(out->count, 1);
    arena mem;
    arena_init(&mem, "test", 1 << 28);
    profile_block one, all;
    assert_rc(profile_block_open(&one, &l->io[0], &l->info[0], &mem, NULL), RC_OK);
    assert_rc(profile_block_open(&all, &out->io[0], &out->info[0], &mem, NULL), RC_OK);
    assert_rc(profile_block_batch(&one, NULL), RC_OK);
    assert_rc(profile_block_batch(&all, NULL), RC_OK);
    assert_int_equal(all.rows, 40 * EACH);
    assert_int_equal(one.batch.stack_count, all.batch.stack_count);
    assert_int_equal(one.batch.location_count, all.batch.location_count);
    assert_int_equal(one.batch.function_count, all.batch.function_count);
    assert_int_equal(one.string_count, all.string_count);
    profile_block_close(&one);
    profile_block_close(&all);
    arena_release(&mem);
    telemetry_free(t);
    block_list_release(l);
    block_list_release(out);
    mem_free(l);
    mem_free(out);
}

static void damage_is_found(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list *l = mem_new(block_list);
    telemetry *t = generate(5, 0);
    assert_rc(PROFILE_BLOCKS.encode(&t, 1, block_list_put, l, NULL), RC_OK);
    for (int round = 0; round < 300; round++) {
        char *p = l->bytes[0] + sizeof(block_io) + rng_below(&r, l->info[0].bytes), was = *p;
        *p ^= (char)(1 << rng_below(&r, 8));
        rc code = PROFILE_BLOCKS.verify(&l->io[0], &l->info[0], NULL);
        assert_true(code == RC_CORRUPT || code == RC_UNSUPPORTED);
        *p = was;
    }
    telemetry_free(t);
    block_list_release(l);
    mem_free(l);
}

static rc count_name(void *ctx, str name, uint64_t count, err *e) {
    size_t *n = ctx;
    (void)e;
    n[0]++;
    if (str_eq(name, S("cpu"))) n[1] += count;
    return RC_OK;
}

static void searches_find_what_is_there(void **state) {
    (void)state;
    uint64_t seed = unit_seed(__func__);
    temp_store st;
    temp_store_open(&st);
    telemetry *t[BATCHES];
    for (size_t i = 0; i < BATCHES; i++) {
        t[i] = generate(seed, i);
        temp_store_append(&st, generate(seed, i));
        if (i == 4) temp_store_compact(&st);
    }
    rng r;
    rng_init(&r, seed);
    for (int round = 0; round < 60; round++) {
        label_match m = {S("service_name"), S("svc-3"), MATCH_EQ};
        profile_select q = {.c = {.match = &m, .match_count = rng_below(&r, 2)}};
        if (rng_below(&r, 2)) q.type = S("cpu");
        q.c.order = (select_order)rng_below(&r, 3);
        q.c.workers = (unsigned)rng_below(&r, 3);
        if (rng_below(&r, 2)) q.c.limit = 1 + rng_below(&r, 30);
        if (rng_below(&r, 3) == 0) {
            q.c.from_ns = 1785542400000000000 + (int64_t)rng_below(&r, 1800000000000);
            q.c.to_ns = q.c.from_ns + 1200000000000;
        }
        uint64_t want = 0;
        for (size_t i = 0; i < BATCHES; i++) {
            for (size_t k = 0; k < EACH; k++) {
                const profile *p = &t[i]->profiles.rec[k];
                want += (!q.type.n || str_eq(p->type, q.type)) &&
                        (!q.c.match_count || str_eq(p->resource->service, m.value)) &&
                        (!q.c.to_ns || (p->ts_ns >= q.c.from_ns && p->ts_ns < q.c.to_ns));
            }
        }
        seen *s = mem_new(seen);
        s->t = t;
        s->order = q.c.order;
        assert_rc(st.s->ops->profiles(st.s, &q, take, s, NULL, NULL), RC_OK);
        assert_int_equal(s->count, q.c.limit ? MIN(q.c.limit, want) : want);
        mem_free(s);
    }
    size_t n[2] = {0};
    select_common all = {0};
    assert_rc(st.s->ops->labels(st.s, SIGNAL_PROFILES, S("type"), &all, count_name, n, NULL, NULL),
              RC_OK);
    assert_int_equal(n[0], 2);
    assert_true(n[1] > 0 && n[1] < BATCHES * EACH);
    for (size_t i = 0; i < BATCHES; i++) telemetry_free(t[i]);
    temp_store_close(&st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles_come_back_exactly),
        cmocka_unit_test(equal_stacks_are_kept_once),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(searches_find_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
