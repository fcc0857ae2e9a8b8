/* Days, moves, expiry; clocks that jump; readers that race all of it. */
#include "files_test.h"

#include "sys/fs_fault.h"
#include "sys/fs_sim.h"

enum { RECORDS = 2000 };

static test_clock now;
static sys_clock ticking;

static int reset(void **state) {
    (void)state;
    atomic_store(&now.wall, TEST_START_NS);
    atomic_store(&now.mono, 1000000000);
    ticking = test_clock_ops(&now);
    return 0;
}

static store *open_with(const sys_fs *fs, const store_opts *more) {
    store_opts o = *more;
    o.dir = S("/data");
    o.fs = fs;
    o.clock = &ticking;
    o.no_background = true;
    store *s = NULL;
    err e = {0};
    if (store_open(&o, &s, &e)) fail_msg("open: %s", e.msg);
    MUST(s);
    return s;
}

static void retain(store *s) {
    err e = {0};
    rc code = retention_run(embedded_of(s), atomic_load(&now.wall), &e);
    if (code) fail_msg("retention: %s", e.msg);
}

static bool is_there(const sys_fs *fs, const char *path) {
    sys_stat st;
    return fs->ops->stat(fs->ctx, str_c(path), &st, NULL) == RC_OK;
}

static void days(store *s, unsigned count, unsigned each) {
    for (unsigned d = 0; d < count; d++) {
        assert_rc(put(s, d * each, each, 40), RC_OK);
        atomic_fetch_add(&now.wall, TEST_DAY_NS);
    }
}

static void partitions_move_and_expire(bool other_device) {
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    store_opts o = {.hot_days = 3, .cold_days = 6};
    if (other_device) {
        o.cold_dir = S("/cold");
        assert_rc(fs.ops->mkdir(fs.ctx, o.cold_dir, NULL), RC_OK);
        sys_sim_other_device(sim, o.cold_dir);
    }
    store *s = open_with(&fs, &o);
    days(s, 5, 10); /* 0 .. 49; now it is day 5 */
    writer_seal(embedded_of(s));
    retain(s);
    check_exactly(s, 0, 50);
    assert_true(is_there(&fs, other_device ? "/cold/2024-10-04" : "/data/cold/2024-10-04"));
    assert_false(is_there(&fs, "/data/hot/2024-10-04"));
    assert_true(is_there(&fs, "/data/hot/2024-10-07"));
    store_close(s);
    s = open_with(&fs, &o);
    check_exactly(s, 0, 50);
    assert_rc(s->ops->compact(s, NULL, NULL), RC_OK); /* cold ones, too */
    check_exactly(s, 0, 50);
    atomic_fetch_add(&now.wall, 2 * TEST_DAY_NS); /* day 7: 0 and 1 expire */
    retain(s);
    /* Their checkpoints are carried on; without that the next line would say 20. */
    unsigned times[RECORDS];
    size_t n = count_records(s, times, RECORDS, NULL);
    assert_int_equal(n, 50);
    store_stats st;
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, 2);
    arena mem;
    arena_init(&mem, "test", 1 << 20);
    str data;
    assert_rc(s->ops->checkpoint(s, S("k3"), &mem, &data, NULL), RC_OK);
    const store_partition *p;
    size_t count;
    assert_rc(s->ops->partitions(s, &mem, &p, &count, NULL), RC_OK);
    assert_int_equal(count, 4);
    assert_text(p[0].name, S("2024-10-06"));
    assert_true(p[0].cold && !p[0].open);
    assert_text(p[3].name, S("2024-10-11")); /* today's: what was carried */
    assert_true(!p[3].cold && p[3].open);
    arena_release(&mem);
    store_close(s);
    sys_sim_free(sim);
}

static void old_partitions_move_and_expire(void **state) {
    (void)state;
    partitions_move_and_expire(false);
    reset(NULL);
    partitions_move_and_expire(true);
}

/* A move to another file system that stops anywhere leaves everything there once. */
static void moves_stop_anywhere(void **state) {
    (void)state;
    bool ended = false;
    for (unsigned n = 1; !ended; n++) {
        reset(NULL);
        sys_sim *sim = sys_sim_new();
        sys_fs fs = sys_sim_fs(sim);
        store_opts o = {.hot_days = 3, .cold_days = 60, .cold_dir = S("/cold")};
        assert_rc(fs.ops->mkdir(fs.ctx, o.cold_dir, NULL), RC_OK);
        sys_sim_other_device(sim, o.cold_dir);
        store *s = open_with(&fs, &o);
        days(s, 5, 10);
        writer_seal(embedded_of(s));
        sys_sim_power_off_at(sim, n, 10);
        IGNORE(retention_run(embedded_of(s), atomic_load(&now.wall), NULL));
        ended = !sys_sim_is_off(sim);
        store_close(s);
        sys_sim_kill(sim);
        s = open_with(&fs, &o);
        check_exactly(s, 0, 50);
        retain(s);
        check_exactly(s, 0, 50);
        assert_false(is_there(&fs, "/data/hot/2024-10-04"));
        store_close(s);
        sys_sim_free(sim);
    }
}

static void the_oldest_go_when_it_is_too_much(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fault f = {.under = sys_sim_fs(sim)};
    sys_fs fs = sys_fault_fs(&f);
    store_opts o = {.max_bytes = 6000, .min_free_bytes = 1};
    store *s = open_with(&fs, &o);
    for (unsigned d = 0; d < 6; d++) {
        assert_rc(put(s, 0, 10, 150), RC_OK); /* the newest counts: nothing is carried on */
        atomic_fetch_add(&now.wall, TEST_DAY_NS);
    }
    assert_rc(put(s, 60, 1, 10), RC_OK); /* today's is open */
    retain(s);
    store_stats st;
    s->ops->stats(s, &st);
    assert_true(st.expired_partitions >= 3 && st.expired_partitions < 6);
    assert_false(is_there(&fs, "/data/hot/2024-10-04"));
    assert_true(is_there(&fs, "/data/hot/2024-10-09"));
    uint64_t before = st.expired_partitions;
    atomic_store(&f.disk_bytes, atomic_load(&f.written_bytes) + 1); /* one byte is free */
    embedded_of(s)->opts.min_free_bytes = 1000;
    assert_rc(put(s, 100, 5, 100), RC_IO); /* full */
    IGNORE(retention_run(embedded_of(s), atomic_load(&now.wall), NULL));
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, before + 1); /* one in a round, full or not */
    atomic_store(&f.disk_bytes, 0);
    assert_rc(put(s, 100, 5, 100), RC_OK);
    store_close(s);
    sys_sim_free(sim);
}

/* Never the day that is written, whatever is asked. */
static void the_open_day_stays(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    store_opts o = {.max_bytes = 1, .min_free_bytes = UINT64_MAX};
    store *s = open_with(&fs, &o);
    assert_rc(put(s, 0, 10, 0), RC_OK);
    retain(s);
    check_exactly(s, 0, 10);
    writer_seal(embedded_of(s));
    retain(s);
    check_exactly(s, 0, 10);
    store_close(s);
    sys_sim_free(sim);
}

static void clocks_jump(void **state) {
    (void)state;
    static const int64_t JUMPS[] = {-1,  1,    -25,  25,    -24 * 365, 24 * 365,
                                    700, -700, 2000, -2000, 1,         0};
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    store_opts o = {0};
    store *s = open_with(&fs, &o);
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(JUMPS); i++) {
        atomic_fetch_add(&now.wall, JUMPS[i] * 3600 * INT64_C(1000000000));
        assert_rc(put(s, n, 5, 0), RC_OK);
        n += 5;
        if (i % 3 == 2) assert_rc(s->ops->compact(s, NULL, NULL), RC_OK);
        if (i % 4 == 3) {
            store_close(s);
            s = open_with(&fs, &o);
        }
        check_exactly(s, 0, n);
    }
    /* A checkpoint that is written later counts, although the clock says it is older. */
    arena mem;
    arena_init(&mem, "test", 1 << 20);
    str data;
    for (size_t pad = 1; pad < 6; pad++) {
        atomic_fetch_sub(&now.wall, TEST_DAY_NS * 2);
        assert_rc(put(s, 7, 1, pad), RC_OK);
        assert_rc(s->ops->checkpoint(s, S("k7"), &mem, &data, NULL), RC_OK);
        assert_int_equal(data.n, 7 + pad);
        if (pad == 3) {
            store_close(s);
            s = open_with(&fs, &o);
        }
    }
    arena_release(&mem);
    store_close(s);
    sys_sim_free(sim);
}

static uint64_t hot_free, cold_free;
static rc two_disks(void *ctx, str path, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes,
                    err *e) {
    (void)ctx, (void)e;
    *ret_total_bytes = 1 << 30;
    *ret_free_bytes = str_starts(path, S("/cold")) ? cold_free : hot_free;
    return RC_OK;
}

/* A file system that runs full is relieved itself: nothing on the other one is deleted for it. */
static void each_disk_is_kept_free_for_itself(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    sys_fs_ops ops = *fs.ops;
    ops.space = two_disks;
    fs.ops = &ops;
    hot_free = cold_free = 1 << 29;
    store_opts o = {
        .hot_days = 3, .cold_days = 60, .cold_dir = S("/cold"), .min_free_bytes = 1 << 20};
    assert_rc(fs.ops->mkdir(fs.ctx, o.cold_dir, NULL), RC_OK);
    sys_sim_other_device(sim, o.cold_dir);
    store *s = open_with(&fs, &o);
    days(s, 6, 10);
    writer_seal(embedded_of(s));
    retain(s); /* 0 .. 3 become cold */
    assert_true(is_there(&fs, "/cold/2024-10-07") && is_there(&fs, "/data/hot/2024-10-08"));
    hot_free = 1000;
    retain(s); /* no day goes as long as it can move */
    assert_true(is_there(&fs, "/cold/2024-10-08") && is_there(&fs, "/data/hot/2024-10-09"));
    store_stats st;
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, 0);
    check_exactly(s, 0, 60);
    cold_free = 1000;
    retain(s); /* now both are short: the oldest of each */
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, 2);
    assert_false(is_there(&fs, "/cold/2024-10-04") || is_there(&fs, "/data/hot/2024-10-09"));
    assert_true(is_there(&fs, "/cold/2024-10-05"));
    retain(s); /* nothing closed is left on hot: that is no reason to take from cold twice */
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, 3);
    hot_free = 1000;
    cold_free = 1 << 29;
    retain(s);
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, 3);
    check_exactly(s, 0, 60); /* checkpoints are carried on */
    store_close(s);
    sys_sim_free(sim);
}

typedef struct racer {
    store *s;
    atomic_bool stop;
    atomic_uint rounds;
} racer;

static void read_on(void *ctx) {
    racer *r = ctx;
    unsigned *times = mem_alloc_n(RECORDS, sizeof *times);
    while (!atomic_load(&r->stop)) {
        select_stats st = {0};
        count_records(r->s, times, RECORDS, &st);
        MUST(st.damaged_blocks == 0);
        atomic_fetch_add(&r->rounds, 1);
    }
    mem_free(times);
}

static void readers_race_retention(void **state) {
    (void)state;
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    store_opts o = {.hot_days = 2, .cold_days = 4, .cold_dir = S("/cold")};
    assert_rc(fs.ops->mkdir(fs.ctx, o.cold_dir, NULL), RC_OK);
    sys_sim_other_device(sim, o.cold_dir);
    store *s = open_with(&fs, &o);
    racer r = {.s = s};
    sys_thread *t;
    err e = {0};
    assert_rc(sys_thread_start("reader", read_on, &r, &t, &e), RC_OK);
    for (unsigned d = 0; d < 12; d++) {
        assert_rc(put(s, d * 100, 50, 40), RC_OK);
        if (d % 2) assert_rc(s->ops->compact(s, NULL, NULL), RC_OK);
        atomic_fetch_add(&now.wall, TEST_DAY_NS);
        retain(s);
    }
    while (atomic_load(&r.rounds) < 5) {}
    atomic_store(&r.stop, true);
    sys_thread_join(t);
    store_stats st;
    s->ops->stats(s, &st);
    assert_true(st.expired_partitions > 5);
    store_close(s);
    sys_sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(old_partitions_move_and_expire, reset),
        cmocka_unit_test_setup(moves_stop_anywhere, reset),
        cmocka_unit_test_setup(the_oldest_go_when_it_is_too_much, reset),
        cmocka_unit_test_setup(the_open_day_stays, reset),
        cmocka_unit_test_setup(clocks_jump, reset),
        cmocka_unit_test_setup(each_disk_is_kept_free_for_itself, reset),
        cmocka_unit_test_setup(readers_race_retention, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
