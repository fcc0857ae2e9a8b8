/* Everything at once on one store: appending, reading, compaction, moves, expiry, verification and
 * closing, each in threads of its own, with the engine's own threads beside them. For the sanitizer
 * of threads; and what was acknowledged before a read is in that read once. */
#include "files_test.h"
#include "telemetry_gen.h"

enum { WRITERS = 3, EACH = 120, ROUNDS = 6, RECORDS = WRITERS * EACH, TICKS_MAX = 1 << 20 };

typedef struct stress {
    store *s;
    sys_fs fs;
    test_clock now;
    bool expires;
    _Atomic bool acked[RECORDS];
    atomic_bool stop;
    atomic_uint failures, reads, writing;
    char why[200];
} stress;

static void note(stress *x, const char *what, const char *more) {
    if (atomic_fetch_add(&x->failures, 1) == 0)
        snprintf(x->why, sizeof x->why, "%s: %.150s", what, more);
}

typedef struct appending {
    stress *x;
    unsigned number;
} appending;

static void on_done(void *ctx, rc code, const err *e) {
    (void)code, (void)e;
    IGNORE(sys_queue_push(ctx, ctx)); /* one place for one answer */
}

/* Batches of checkpoints, whose numbers are checked, and other signals in between. */
static void append_some(void *ctx) {
    appending *a = ctx;
    stress *x = a->x;
    rng r;
    rng_init(&r, a->number + 1);
    for (unsigned i = 0; i < EACH; i += 4) {
        unsigned first = a->number * EACH + i;
        if (put(x->s, first, 4, rng_below(&r, 900)) == RC_OK)
            for (unsigned k = 0; k < 4; k++) atomic_store(&x->acked[first + k], true);
        else
            note(x, "append", "refused");
        telemetry *t = telemetry_new();
        t->arrival_ns = atomic_load(&x->now.wall);
        gen_spans(t, &r, 1 + rng_below(&r, 8));
        gen_metrics(t, &r, 1 + rng_below(&r, 8), t->arrival_ns);
        sys_queue *done = sys_queue_new(1);
        void *p;
        if (x->s->ops->append(x->s, t, on_done, done) == RC_OK)
            IGNORE(sys_queue_pop(done, &p)); /* only that it came */
        else
            telemetry_free(t);
        sys_queue_free(done);
    }
    atomic_fetch_sub(&x->writing, 1);
}

static rc take_spans(void *ctx, unsigned worker, const telemetry *t, err *e) {
    (void)ctx, (void)worker, (void)t, (void)e;
    return RC_OK;
}
static rc take_series(void *ctx, const metric_series *s, err *e) {
    (void)ctx, (void)s, (void)e;
    return RC_OK;
}

static void read_on(void *ctx) {
    stress *x = ctx;
    unsigned *times = mem_alloc_n(RECORDS, sizeof *times);
    bool *before = mem_alloc_n(RECORDS, sizeof *before);
    while (!atomic_load(&x->stop)) {
        for (unsigned i = 0; i < RECORDS; i++) before[i] = atomic_load(&x->acked[i]);
        select_stats st = {0};
        count_records(x->s, times, RECORDS, &st);
        char text[100];
        for (unsigned i = 0; i < RECORDS; i++) {
            snprintf(text, sizeof text, "record %u is there %u times", i, times[i]);
            /* What expires is carried on first: for a moment it is there twice. */
            if ((times[i] > 1 && !x->expires) || (before[i] && times[i] == 0))
                note(x, "read", text);
        }
        if (st.damaged_blocks) note(x, "read", st.reason);
        err e = {0};
        span_select spans = {.status = -1, .kind = -1, .c.workers = 2};
        if (x->s->ops->spans(x->s, &spans, take_spans, NULL, NULL, &e)) note(x, "spans", e.msg);
        metric_select metrics = {.c.workers = 2};
        if (x->s->ops->metrics(x->s, &metrics, take_series, NULL, NULL, &e))
            note(x, "metrics", e.msg);
        store_stats stats;
        x->s->ops->stats(x->s, &stats);
        atomic_fetch_add(&x->reads, 1);
    }
    mem_free(times);
    mem_free(before);
}

static void fsck_finds(void *ctx, const fsck_finding *f) { note(ctx, "fsck", f->what.p); }

static void disturb(void *ctx) {
    stress *x = ctx;
    for (unsigned n = 0; !atomic_load(&x->stop); n++) {
        err e = {0};
        rc code = RC_OK;
        if (n % 3 == 0) code = x->s->ops->compact(x->s, NULL, &e);
        if (n % 3 == 1) code = x->s->ops->fsck(x->s, n % 2, fsck_finds, x, NULL, &e);
        if (n % 3 == 2) code = retention_run(embedded_of(x->s), atomic_load(&x->now.wall), &e);
        if (code) note(x, "disturb", e.msg);
    }
}

static void tick(void *ctx) {
    stress *x = ctx;
    for (unsigned i = 0; !atomic_load(&x->stop) && i < TICKS_MAX; i++) {
        atomic_fetch_add(&x->now.mono, INT64_C(300000000));
        atomic_fetch_add(&x->now.wall, TEST_DAY_NS / 24);
        SYS_CLOCK_REAL.ops->sleep(SYS_CLOCK_REAL.ctx, 1000000);
    }
}

static void run(stress *x, const char *dir) {
    sys_clock clock = test_clock_ops(&x->now);
    store_opts o = {.dir = str_c(dir),
                    .clock = &clock,
                    .hot_days = 1,
                    .cold_days = x->expires ? 2 : 10000,
                    .journal_bytes = 4000,
                    .journal_age_s = 1,
                    .compaction_backlog_bytes = 1,
                    .cache_bytes = 20000};
    err e = {0};
    if (store_open(&o, &x->s, &e)) fail_msg("open: %s", e.msg);
    atomic_store(&x->stop, false);
    atomic_store(&x->writing, WRITERS);
    sys_thread *t[WRITERS + 4];
    appending a[WRITERS];
    for (unsigned i = 0; i < RECORDS; i++) atomic_store(&x->acked[i], false);
    for (unsigned i = 0; i < WRITERS; i++) {
        a[i] = (appending){x, i};
        assert_rc(sys_thread_start("append", append_some, &a[i], &t[i], &e), RC_OK);
    }
    assert_rc(sys_thread_start("read", read_on, x, &t[WRITERS], &e), RC_OK);
    assert_rc(sys_thread_start("read", read_on, x, &t[WRITERS + 1], &e), RC_OK);
    assert_rc(sys_thread_start("disturb", disturb, x, &t[WRITERS + 2], &e), RC_OK);
    assert_rc(sys_thread_start("tick", tick, x, &t[WRITERS + 3], &e), RC_OK);
    for (unsigned i = 0; i < WRITERS; i++) sys_thread_join(t[i]);
    atomic_store(&x->stop, true);
    for (unsigned i = WRITERS; i < WRITERS + 4; i++) sys_thread_join(t[i]);
    /* Closed while its own threads have work. */
    for (unsigned i = 0; i < 4; i++) IGNORE(put(x->s, RECORDS + i, 1, 3000));
    store_close(x->s);
    if (atomic_load(&x->failures)) fail_msg("%u failures: %s", x->failures, x->why);
}

static void everything_at_once(bool expires) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        char dir[] = "/tmp/faultline-stress-XXXXXX", command[100];
        assert_non_null(mkdtemp(dir));
        stress *x = mem_new(stress);
        x->expires = expires;
        atomic_store(&x->now.wall, TEST_START_NS);
        atomic_store(&x->now.mono, 1000000000);
        run(x, dir);
        mem_free(x);
        snprintf(command, sizeof command, "rm -rf %s", dir);
        assert_int_equal(system(command), 0);
    }
}

static void moves_and_merges_lose_nothing(void **state) {
    (void)state;
    everything_at_once(false);
}
static void expiry_carries_what_is_wanted(void **state) {
    (void)state;
    everything_at_once(true);
}

static rc no_sync(void *ctx, int fd, err *e) {
    (void)ctx, (void)fd, (void)e;
    return RC_OK;
}

/* Very many very small commits, and never a quiet moment: the next start would read the header of
 * each. So journals end early and are merged all the same. */
static void tiny_commits_do_not_pile_up(void **state) {
    (void)state;
    enum { COMMITS = 8200 };
    char dir[] = "/tmp/faultline-stress-XXXXXX", command[100];
    assert_non_null(mkdtemp(dir));
    sys_fs_ops ops = *SYS_FS_REAL.ops;
    ops.datasync = no_sync; /* not what is tested */
    sys_fs fs = {&ops, SYS_FS_REAL.ctx};
    test_clock now = {TEST_START_NS, 1000000000};
    sys_clock clock = test_clock_ops(&now);
    store_opts o = {.dir = str_c(dir), .fs = &fs, .clock = &clock};
    store *s;
    err e = {0};
    assert_rc(store_open(&o, &s, &e), RC_OK);
    sys_queue *done = sys_queue_new(1);
    static const tail_checkpoint mark = {S_INIT("key"), S_INIT("data")};
    static const resource none;
    for (unsigned i = 0; i < COMMITS; i++) {
        telemetry *t = telemetry_new();
        t->arrival_ns = TEST_START_NS + i;
        t->checkpoints = &mark;
        t->checkpoint_count = 1;
        span *sp = telemetry_add_span(t);
        assert_non_null(sp);
        sp->start_ns = sp->end_ns = t->arrival_ns;
        sp->resource = &none;
        log_record *r = log_batch_add_over(&t->logs);
        assert_non_null(r);
        r->body = S("hello");
        rng seed;
        rng_init(&seed, 1);
        gen_metrics(t, &seed, 1, t->arrival_ns);
        assert_rc(s->ops->append(s, t, on_done, done), RC_OK);
        void *p;
        assert_rc(sys_queue_pop(done, &p), RC_OK);
    }
    store_stats st = {0};
    while (st.compactions == 0) s->ops->stats(s, &st); /* it does come */
    assert_int_equal(st.signal[SIGNAL_LOGS].records, COMMITS);
    sys_queue_free(done);
    store_close(s);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_and_merges_lose_nothing),
        cmocka_unit_test(expiry_carries_what_is_wanted),
        cmocka_unit_test(tiny_commits_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
