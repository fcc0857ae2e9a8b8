/* The engine's files with a real disk: what is appended is there, in this run and the next. */
#include "files_test.h"

static char dir[64];

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/faultline-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", dir, dir);
    return system(command);
}

static void what_is_acknowledged_is_there(void **state) {
    (void)state;
    store *s = open_at(str_c(dir), NULL);
    for (unsigned i = 0; i < 20; i++) assert_rc(put(s, i * 10, 10, i * 5), RC_OK);
    check_exactly(s, 0, 200);
    store_close(s);
    s = open_at(str_c(dir), NULL);
    check_exactly(s, 0, 200);
    assert_rc(put(s, 200, 100, 1000), RC_OK);
    check_exactly(s, 0, 300);
    arena mem;
    arena_init(&mem, "test", 1 << 20);
    err e = {0};
    str data;
    assert_rc(s->ops->checkpoint(s, S("k17"), &mem, &data, &e), RC_OK);
    assert_true(str_starts(data, S("data 17 ")));
    assert_rc(s->ops->checkpoint(s, S("nobody"), &mem, &data, &e), RC_NOT_FOUND);
    assert_rc(put(s, 17, 1, 99), RC_OK); /* the newer one counts */
    assert_rc(s->ops->checkpoint(s, S("k17"), &mem, &data, &e), RC_OK);
    assert_int_equal(data.n, 8 + 99);
    store_stats st;
    s->ops->stats(s, &st);
    assert_int_equal(st.acknowledged, 2);
    assert_int_equal(st.appended, 2);
    assert_int_equal(st.queue_bytes, 0);
    assert_int_equal(st.damaged_blocks, 0);
    assert_true(st.disk_bytes > 100000 && st.disk_free_bytes > 0);
    arena_release(&mem);
    store_close(s);
}

static void many_appends_share_a_sync(void **state) {
    (void)state;
    enum { N = 500 };
    store *s = open_at(str_c(dir), NULL);
    static answer a[N];
    for (unsigned i = 0; i < N; i++) assert_rc(put_begin(s, i, 1, 10, &a[i]), RC_OK);
    for (unsigned i = 0; i < N; i++) {
        void *p;
        assert_rc(sys_queue_pop(a[i].done, &p), RC_OK);
        assert_rc(a[i].code, RC_OK);
        sys_queue_free(a[i].done);
    }
    store_stats st;
    s->ops->stats(s, &st);
    assert_true(st.commits < N);
    assert_int_equal(st.acknowledged, N);
    check_exactly(s, 0, N);
    store_close(s);
}

static void one_writer_at_a_time(void **state) {
    (void)state;
    store *s = open_at(str_c(dir), NULL), *t;
    store_opts o = opts_at(str_c(dir), NULL);
    err e = {0};
    assert_rc(store_open(&o, &t, &e), RC_EXISTS);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_true(str_has(str_c(e.msg), str_c(pid)) && str_has(str_c(e.msg), str_c(dir)));
    assert_rc(put(s, 0, 5, 0), RC_OK);
    o.read_only = true; /* reading beside it is allowed */
    assert_rc(store_open(&o, &t, &e), RC_OK);
    check_exactly(t, 0, 5);
    assert_rc(put(t, 5, 1, 0), RC_UNSUPPORTED);
    store_close(t);
    store_close(s);
}

static size_t count_files(const char *suffix) {
    char command[256];
    snprintf(command, sizeof command, "find %s -name '*%s' | wc -l", dir, suffix);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = 0;
    assert_int_equal(fscanf(f, "%zu", &n), 1);
    pclose(f);
    return n;
}

static void fail_on_finding(void *ctx, const fsck_finding *f) {
    (void)ctx;
    fail_msg("%.*s at %" PRIu64 ": %.*s", STR_ARG(f->file), f->offset, STR_ARG(f->what));
}

static void check_clean(store *s) {
    err e = {0};
    assert_rc(s->ops->fsck(s, false, fail_on_finding, NULL, NULL, &e), RC_OK);
}

static void compaction_leaves_one_segment(void **state) {
    (void)state;
    store *s = open_at(str_c(dir), NULL);
    err e = {0};
    assert_rc(s->ops->compact(s, NULL, &e), RC_OK); /* nothing to do */
    for (unsigned run = 0; run < 5; run++) {
        for (unsigned i = 0; i < 10; i++) assert_rc(put(s, run * 100 + i * 10, 10, 50), RC_OK);
        assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
        check_exactly(s, 0, (run + 1) * 100);
        assert_int_equal(count_files(".segment"), 1);
        assert_int_equal(count_files(".journal"), 0);
        check_clean(s);
        if (run % 2) {
            store_close(s);
            s = open_at(str_c(dir), NULL);
            check_exactly(s, 0, (run + 1) * 100);
        }
    }
    arena mem;
    arena_init(&mem, "test", 1 << 20);
    str data;
    assert_rc(s->ops->checkpoint(s, S("k499"), &mem, &data, &e), RC_OK);
    const store_partition *p;
    size_t n;
    assert_rc(s->ops->partitions(s, &mem, &p, &n, &e), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(p[0].files, 1);
    assert_false(p[0].open || p[0].cold);
    arena_release(&mem);
    store_close(s);
}

typedef struct reader {
    store *s;
    atomic_bool stop;
    atomic_uint rounds;
    unsigned max;
    bool whole; /* every round sees all of 0..max-1 */
} reader;

static void read_again_and_again(void *ctx) {
    reader *r = ctx;
    unsigned *times = mem_alloc_n(r->max, sizeof *times);
    while (!atomic_load(&r->stop)) {
        select_stats st = {0};
        count_records(r->s, times, r->max, &st);
        MUST(st.damaged_blocks == 0);
        for (unsigned i = 0; i < r->max; i++) MUST(r->whole ? times[i] == 1 : times[i] <= 1);
        atomic_fetch_add(&r->rounds, 1);
    }
    mem_free(times);
}

/* Neither gap nor duplicate while files are swapped under the reader. */
static void readers_race_compaction(void **state) {
    (void)state;
    enum { N = 400 };
    store *s = open_at(str_c(dir), NULL);
    err e = {0};
    for (unsigned i = 0; i < N; i += 10) assert_rc(put(s, i, 10, 100), RC_OK);
    reader r = {.s = s, .max = 4000, .whole = false}, all = {.s = s, .max = N, .whole = true};
    sys_thread *t, *u = NULL;
    assert_rc(sys_thread_start("reader", read_again_and_again, &all, &u, &e), RC_OK);
    while (atomic_load(&all.rounds) < 2) {}
    for (unsigned i = 0; i < 5; i++) assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
    atomic_store(&all.stop, true);
    sys_thread_join(u);
    assert_rc(sys_thread_start("reader", read_again_and_again, &r, &t, &e), RC_OK);
    for (unsigned i = N; i < 1000; i += 10) {
        assert_rc(put(s, i, 10, 100), RC_OK);
        if (i % 100 == 0) assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
    }
    while (atomic_load(&r.rounds) < 3) {}
    atomic_store(&r.stop, true);
    sys_thread_join(t);
    check_exactly(s, 0, 1000);
    check_clean(s);
    store_close(s);
}

typedef struct events {
    sys_queue *compacted, *expired;
} events;

static void on_event(void *ctx, const char *event, str detail) {
    (void)detail;
    events *ev = ctx;
    sys_queue *to = strcmp(event, "compacted") == 0           ? ev->compacted
                    : strcmp(event, "partition_expired") == 0 ? ev->expired
                                                              : NULL;
    if (to) IGNORE(sys_queue_try_push(to, ev)); /* nobody waits for more */
}

/* Nobody asks for anything: a journal is closed when nothing came for a while, and compacted when
 * it is quiet; what is too old goes once the clock can be trusted. */
static void the_background_does_its_work(void **state) {
    (void)state;
    test_clock now = {TEST_START_NS, 1000000000};
    sys_clock ticking = test_clock_ops(&now);
    events ev = {sys_queue_new(100), sys_queue_new(100)};
    store_opts o = {.dir = str_c(dir),
                    .clock = &ticking,
                    .min_free_bytes = 1,
                    .on_event = on_event,
                    .on_event_ctx = &ev};
    store *s;
    err e = {0};
    assert_rc(store_open(&o, &s, &e), RC_OK);
    for (unsigned i = 0; i < 20; i += 5) assert_rc(put(s, i, 5, 10), RC_OK);
    atomic_fetch_add(&now.mono, INT64_C(61) * 1000000000);
    void *p;
    assert_rc(sys_queue_pop_wait(ev.compacted, 60000, &p), RC_OK);
    check_exactly(s, 0, 20);
    assert_int_equal(count_files(".journal"), 0);
    /* The clock is set wrongly by a year: nothing goes for ten minutes ... */
    atomic_fetch_add(&now.wall, 365 * TEST_DAY_NS);
    assert_rc(put(s, 0, 20, 10), RC_OK); /* newer checkpoints: nothing to carry on */
    atomic_fetch_add(&now.mono, INT64_C(300) * 1000000000);
    assert_rc(sys_queue_pop_wait(ev.compacted, 60000, &p), RC_OK);
    store_stats st;
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, 0);
    /* ... then it is believed. */
    for (unsigned i = 0; i < 60; i++) {
        atomic_fetch_add(&now.mono, INT64_C(60) * 1000000000);
        atomic_fetch_add(&now.wall, INT64_C(60) * 1000000000);
        compactor_wake(embedded_of(s));
        if (sys_queue_pop_wait(ev.expired, 50, &p) == RC_OK) break;
    }
    s->ops->stats(s, &st);
    assert_int_equal(st.expired_partitions, 1);
    check_exactly(s, 0, 20);
    store_close(s);
    sys_queue_free(ev.compacted);
    sys_queue_free(ev.expired);
}

/* Opened for reading, again and again, while another process (here: another store) writes, merges
 * and moves: what was acknowledged before is there once. */
typedef struct looking {
    atomic_uint acked, rounds;
    atomic_bool stop;
    char why[200];
} looking;

enum { LOOKED_AT = 400 };

static void look_again_and_again(void *ctx) {
    looking *l = ctx;
    unsigned *times = mem_alloc_n(LOOKED_AT, sizeof *times);
    for (bool ok = true; ok && !atomic_load(&l->stop);) {
        unsigned acked = atomic_load(&l->acked);
        store_opts o = opts_at(str_c(dir), NULL);
        o.read_only = true;
        store *s;
        err e = {0};
        if (store_open(&o, &s, &e)) {
            snprintf(l->why, sizeof l->why, "open: %.80s", e.msg);
            break;
        }
        select_stats st = {0};
        count_records(s, times, LOOKED_AT, &st);
        for (unsigned i = 0; ok && i < LOOKED_AT; i++) {
            ok = times[i] == 1 || (times[i] == 0 && i >= acked);
            if (!ok)
                snprintf(l->why, sizeof l->why, "record %u of %u is there %u times", i, acked,
                         times[i]);
        }
        store_close(s);
        atomic_fetch_add(&l->rounds, 1);
    }
    mem_free(times);
}

static void readers_beside_a_writing_process(void **state) {
    (void)state;
    test_clock now = {TEST_START_NS, 1000000000};
    sys_clock clock = test_clock_ops(&now);
    store_opts o = opts_at(str_c(dir), NULL);
    o.clock = &clock;
    o.hot_days = 1;
    o.cold_days = 10000;
    o.journal_bytes = 300;
    store *s;
    err e = {0};
    assert_rc(store_open(&o, &s, &e), RC_OK);
    assert_rc(put(s, 0, 1, 0), RC_OK);
    looking l = {.acked = 1};
    sys_thread *t;
    assert_rc(sys_thread_start("look", look_again_and_again, &l, &t, &e), RC_OK);
    for (unsigned i = 1; i < LOOKED_AT; i++) {
        assert_rc(put(s, i, 1, 10), RC_OK);
        atomic_store(&l.acked, i + 1);
        if (i % 7 == 0) assert_rc(s->ops->compact(s, NULL, &e), RC_OK);
        if (i % 40 == 0) {
            atomic_fetch_add(&now.wall, TEST_DAY_NS);
            writer_seal(embedded_of(s));
            assert_rc(retention_run(embedded_of(s), atomic_load(&now.wall), &e), RC_OK);
        }
    }
    atomic_store(&l.stop, true);
    sys_thread_join(t);
    store_close(s);
    if (l.why[0]) fail_msg("%s", l.why);
    assert_true(atomic_load(&l.rounds) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_acknowledged_is_there, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(many_appends_share_a_sync, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(one_writer_at_a_time, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(compaction_leaves_one_segment, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(readers_race_compaction, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(readers_beside_a_writing_process, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(the_background_does_its_work, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
