/* What is left of the store after the process or the machine went away at any moment: every
 * acknowledged record exactly once, every other at most once (store inv. 1). On the simulated disk,
 * where each call can be the last one. */
#include "files_test.h"

#include "base/rng.h"
#include "sys/fs_fault.h"
#include "sys/fs_sim.h"

enum { RECORDS = 200 };

static test_clock now;
static sys_clock ticking;

static store *try_open(const sys_fs *fs, uint64_t journal_bytes) {
    store_opts o = opts_at(S("/data"), fs);
    o.journal_bytes = journal_bytes;
    o.clock = &ticking;
    store *s = NULL;
    return store_open(&o, &s, NULL) ? NULL : s;
}

static store *must_open(const sys_fs *fs, uint64_t journal_bytes) {
    store *s = try_open(fs, journal_bytes);
    assert_non_null(s);
    MUST(s);
    return s;
}

static void reset_clock(void) {
    atomic_store(&now.wall, TEST_START_NS);
    atomic_store(&now.mono, 1000000000);
    ticking = test_clock_ops(&now);
}

/* A life of a store: some journals, compactions, days; whatever fails is survived. */
static void live(const sys_fs *fs, bool *acked) {
    reset_clock();
    store *s = try_open(fs, 1500);
    if (!s) return;
    embedded *m = embedded_of(s);
    put_noting(s, 0, 40, 4, 30, acked);
    IGNORE(s->ops->compact(s, NULL, NULL)); /* may fail, as everything here */
    put_noting(s, 40, 60, 4, 30, acked);
    atomic_fetch_add(&now.wall, TEST_DAY_NS);
    put_noting(s, 60, 80, 10, 0, acked);
    IGNORE(s->ops->compact(s, NULL, NULL));
    atomic_fetch_add(&now.wall, 32 * TEST_DAY_NS); /* both days become cold */
    put_noting(s, 80, 90, 10, 0, acked);
    IGNORE(retention_run(m, atomic_load(&now.wall), NULL));
    put_noting(s, 90, 100, 5, 0, acked);
    store_close(s);
    s = try_open(fs, 1 << 20);
    if (!s) return;
    put_noting(s, 100, 110, 5, 10, acked);
    IGNORE(s->ops->compact(s, NULL, NULL));
    put_noting(s, 110, 115, 5, 10, acked);
    store_close(s);
}

/* Opens what is left, twice, uses it, and checks. */
static void check_what_is_left(sys_sim *sim, bool *acked) {
    sys_fs fs = sys_sim_fs(sim);
    store *s = must_open(&fs, 1500);
    check_acked(s, acked, RECORDS);
    put_noting(s, 150, 160, 5, 0, acked);
    for (unsigned i = 150; i < 160; i++) assert_true(acked[i]);
    err e = {0};
    assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
    check_acked(s, acked, RECORDS);
    store_close(s);
    s = must_open(&fs, 1500);
    check_acked(s, acked, RECORDS);
    store_close(s);
}

static void killed_at_every_change(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("killed"));
    bool ended = false;
    for (unsigned n = 1; !ended; n++) {
        for (unsigned how = 0; how < 3; how++) { /* nothing, some, all of the last write */
            bool acked[RECORDS] = {0};
            sys_sim *sim = sys_sim_new();
            sys_fs fs = sys_sim_fs(sim);
            sys_sim_power_off_at(sim, n, how == 0 ? 0 : how == 1 ? rng_below(&r, 200) : UINT64_MAX);
            live(&fs, acked);
            ended = !sys_sim_is_off(sim);
            sys_sim_kill(sim);
            check_what_is_left(sim, acked);
            sys_sim_free(sim);
        }
        if (ended) printf("killed after each of %u changes\n", n - 1);
    }
}

static void power_fails_at_every_change(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("power"));
    bool ended = false;
    for (unsigned n = 1; !ended; n++) {
        for (unsigned round = 0; round < 3; round++) {
            bool acked[RECORDS] = {0};
            sys_sim *sim = sys_sim_new();
            sys_fs fs = sys_sim_fs(sim);
            sys_sim_power_off_at(sim, n, rng_below(&r, 300));
            live(&fs, acked);
            ended = !sys_sim_is_off(sim);
            sys_sim_power_failure(sim, &r);
            check_what_is_left(sim, acked);
            sys_sim_free(sim);
        }
    }
}

/* A second crash, while what the first one left is being opened. */
static void killed_again_while_starting(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("again"));
    for (unsigned n = 5; n < 160; n += 4) {
        bool opened = false;
        for (unsigned m = 1; !opened; m++) {
            bool acked[RECORDS] = {0};
            sys_sim *sim = sys_sim_new();
            sys_fs fs = sys_sim_fs(sim);
            sys_sim_power_off_at(sim, n, rng_below(&r, 300));
            live(&fs, acked);
            sys_sim_power_failure(sim, &r);
            sys_sim_power_off_at(sim, m, rng_below(&r, 40));
            store *s = try_open(&fs, 1500);
            opened = s && !sys_sim_is_off(sim);
            store_close(s);
            sys_sim_power_failure(sim, &r);
            check_what_is_left(sim, acked);
            sys_sim_free(sim);
        }
    }
}

/* The store goes on after any one call failed, and what it says is true at once and later. */
static void every_call_fails_once(void **state) {
    (void)state;
    bool ended = false;
    unsigned n = 1;
    for (; !ended; n++) {
        bool acked[RECORDS] = {0};
        sys_sim *sim = sys_sim_new();
        sys_fault f = {.under = sys_sim_fs(sim)};
        sys_fs fs = sys_fault_fs(&f);
        atomic_store(&f.fail_at, n);
        live(&fs, acked);
        ended = atomic_load(&f.calls) < n;
        assert_int_equal(atomic_load(&f.failures), !ended);
        sys_sim_kill(sim);
        check_what_is_left(sim, acked);
        sys_sim_free(sim);
    }
    printf("each of %u calls failed once\n", n - 2);
}

static void every_call_fails_from_some_moment_on(void **state) {
    (void)state;
    bool ended = false;
    for (unsigned n = 1; !ended; n += 3) {
        bool acked[RECORDS] = {0};
        sys_sim *sim = sys_sim_new();
        sys_fault f = {.under = sys_sim_fs(sim), .fail_on = true};
        sys_fs fs = sys_fault_fs(&f);
        atomic_store(&f.fail_at, n);
        live(&fs, acked);
        ended = atomic_load(&f.calls) < n;
        sys_sim_kill(sim);
        check_what_is_left(sim, acked);
        sys_sim_free(sim);
    }
}

/* After a failed append the very next one works, in the same process. */
static void failed_appends_do_not_stick(void **state) {
    (void)state;
    for (unsigned n = 1; n < 12; n++) {
        reset_clock();
        bool acked[RECORDS] = {0};
        sys_sim *sim = sys_sim_new();
        sys_fault f = {.under = sys_sim_fs(sim)};
        sys_fs fs = sys_fault_fs(&f);
        store *s = must_open(&fs, 1 << 20);
        put_noting(s, 0, 10, 5, 0, acked);
        atomic_store(&f.fail_at, atomic_load(&f.calls) + n);
        put_noting(s, 10, 15, 5, 0, acked);
        put_noting(s, 15, 20, 5, 0, acked);
        put_noting(s, 20, 25, 5, 0, acked);
        atomic_store(&f.fail_at, 0);
        put_noting(s, 25, 30, 5, 0, acked);
        for (unsigned i = 25; i < 30; i++) assert_true(acked[i]);
        check_acked(s, acked, RECORDS);
        store_stats st;
        s->ops->stats(s, &st);
        unsigned bad = !acked[10] + !acked[15] + !acked[20];
        assert_int_equal(st.failed, bad);
        assert_true(bad <= 1);
        store_close(s);
        sys_sim_free(sim);
    }
}

static void failed_syncs_acknowledge_nothing(void **state) {
    (void)state;
    reset_clock();
    bool acked[RECORDS] = {0};
    sys_sim *sim = sys_sim_new();
    sys_fault f = {.under = sys_sim_fs(sim)};
    sys_fs fs = sys_fault_fs(&f);
    store *s = must_open(&fs, 1 << 20);
    put_noting(s, 0, 10, 5, 0, acked);
    atomic_store(&f.fail_sync, true);
    put_noting(s, 10, 30, 5, 0, acked);
    for (unsigned i = 0; i < 30; i++) assert_int_equal(acked[i], i < 10);
    atomic_store(&f.fail_sync, false);
    put_noting(s, 30, 40, 5, 0, acked);
    assert_true(acked[30] && acked[35]);
    check_acked(s, acked, RECORDS);
    store_close(s);
    check_what_is_left(sim, acked);
    sys_sim_free(sim);
}

static void full_disks_heal(void **state) {
    (void)state;
    for (uint64_t more = 0; more < 6000; more += 97) {
        reset_clock();
        bool acked[RECORDS] = {0};
        sys_sim *sim = sys_sim_new();
        sys_fault f = {.under = sys_sim_fs(sim)};
        sys_fs fs = sys_fault_fs(&f);
        store *s = must_open(&fs, 1500);
        put_noting(s, 0, 20, 5, 0, acked);
        atomic_store(&f.disk_bytes, atomic_load(&f.written_bytes) + more + 1);
        put_noting(s, 20, 80, 5, 60, acked);
        IGNORE(s->ops->compact(s, NULL, NULL)); /* needs room, too */
        check_acked(s, acked, RECORDS);         /* reading goes on */
        err e = {0};
        rc code = put_why(s, 80, 1, 4000, &e);
        if (code) {
            assert_rc(code, RC_IO);
            assert_true(str_has(str_c(e.msg), S("disk full")));
            store_stats st;
            s->ops->stats(s, &st);
            assert_true(st.disk_full && st.failed > 0);
        } else {
            acked[80] = true;
        }
        atomic_store(&f.disk_bytes, 0);
        put_noting(s, 90, 100, 5, 60, acked);
        assert_true(acked[90] && acked[95]);
        store_stats st;
        s->ops->stats(s, &st);
        assert_false(st.disk_full);
        check_acked(s, acked, RECORDS);
        assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
        check_acked(s, acked, RECORDS);
        store_close(s);
        check_what_is_left(sim, acked);
        sys_sim_free(sim);
    }
}

/* A commit cut at every byte of its headers, and at every sector of its rest. */
static void torn_commits_are_none(void **state) {
    (void)state;
    enum { PAD = 600, COMMIT_MAX = 5 * (PAD + 40) + 300 };
    unsigned seen = 0;
    for (uint64_t cut = 0; cut < COMMIT_MAX; cut += cut < 300 || cut % 512 > 508 ? 1 : 3) {
        reset_clock();
        bool acked[RECORDS] = {0};
        sys_sim *sim = sys_sim_new();
        sys_fs fs = sys_sim_fs(sim);
        store *s = must_open(&fs, 1 << 20);
        put_noting(s, 0, 10, 5, 10, acked);
        sys_sim_power_off_at(sim, 1, cut);
        assert_rc(put(s, 10, 5, PAD), RC_IO);
        store_close(s);
        sys_sim_kill(sim);
        s = must_open(&fs, 1 << 20);
        unsigned times[RECORDS];
        select_stats st = {0};
        size_t n = count_records(s, times, RECORDS, &st);
        assert_true(n == 10 || n == 15); /* whole or not at all */
        seen |= n == 10 ? 1 : 2;
        check_acked(s, acked, RECORDS);
        store_stats stats;
        s->ops->stats(s, &stats);
        assert_int_equal(stats.damaged_blocks, 0); /* a crash is no damage */
        store_close(s);
        check_what_is_left(sim, acked);
        sys_sim_free(sim);
    }
    assert_int_equal(seen, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_change),
        cmocka_unit_test(power_fails_at_every_change),
        cmocka_unit_test(killed_again_while_starting),
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(every_call_fails_from_some_moment_on),
        cmocka_unit_test(failed_appends_do_not_stick),
        cmocka_unit_test(failed_syncs_acknowledge_nothing),
        cmocka_unit_test(full_disks_heal),
        cmocka_unit_test(torn_commits_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
