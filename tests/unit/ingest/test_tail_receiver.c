#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_sink.h"
#include "ingest/tail_int.h"
#include "ingest_test.h"

/* A clock that runs SPEED times as fast: a second of quiet is 40 ms. */
enum { SPEED = 25 };

static wall_ns fast_wall(void *ctx) {
    (void)ctx;
    return SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx);
}
static mono_ns fast_mono(void *ctx) {
    (void)ctx;
    return (mono_ns){SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns * SPEED};
}
static const sys_clock_ops FAST_OPS = {fast_wall, fast_mono, NULL};
static const sys_clock FAST = {&FAST_OPS, NULL};

typedef struct rig {
    fake_sink sink;
    receiver *r;
} rig;

static void start(rig *g, const char *pattern, bool from_start) {
    str path = str_c(scratch_path(pattern));
    ingest_sink ops = sink_ops(&g->sink);
    tail_opts o = {.paths = &path, .path_count = 1, .from_start = from_start, .clock = &FAST};
    err e = {0};
    assert_int_equal(tail_receiver_new(&o, &ops, &g->r, &e), RC_OK);
    assert_int_equal(g->r->ops->start(g->r, &e), RC_OK);
}

static void stop(rig *g) {
    g->r->ops->stop(g->r);
    g->r->ops->free(g->r);
    g->r = NULL;
}

/* As kill -9 leaves things: what is not acknowledged is gone. */
static void crash(rig *g) {
    sys_lock_take(g->sink.lock);
    g->sink.hold = false;
    g->sink.refuse = UINT32_MAX;
    g->sink.refuse_code = RC_CANCELLED;
    sys_lock_give(g->sink.lock);
    sink_answer(&g->sink, RC_CANCELLED);
    stop(g);
    g->sink.refuse = 0;
}

static int setup(void **state) {
    rig *g = mem_new(rig);
    *state = g;
    scratch_make();
    sink_init(&g->sink);
    return 0;
}

static int teardown(void **state) {
    rig *g = *state;
    if (g->r) stop(g);
    sink_release(&g->sink);
    scratch_remove();
    mem_free(g);
    return 0;
}

static void append(const char *name, const char *text) { scratch_append(name, text, strlen(text)); }

/* "2026-11-20T10:00:00Z INFO NAME NUMBER\n", numbered lines. */
static void append_lines(const char *name, const char *what, int from, int to) {
    for (int i = from; i < to; i++) {
        char line[200];
        int n = snprintf(line, sizeof line, "2026-11-20T10:%02d:%02dZ INFO %s %d of the lines\n",
                         i / 60 % 60, i % 60, what, i);
        scratch_append(name, line, (size_t)n);
    }
}

static void expect_stored(rig *g, size_t want) {
    bool there = sink_wait_records(&g->sink, want);
    if (!there || sink_count(&g->sink) != want)
        fail_msg("%zu records, want %zu", sink_count(&g->sink), want);
}

/* Every "WHAT i of the lines" with i in [from, to) exactly once. */
static void expect_once(rig *g, const char *what, int from, int to) {
    for (int i = from; i < to; i++) {
        char body[120];
        snprintf(body, sizeof body, "%s %d of the lines", what, i);
        unsigned times = 0;
        for (size_t k = 0; k < g->sink.records.n; k++)
            times += strcmp(g->sink.records.v[k].body, body) == 0;
        if (times != 1) fail_msg("\"%s\": %u times", body, times);
    }
}

static void reads_what_is_appended(void **state) {
    rig *g = *state;
    append_lines("shop.log", "a", 0, 100);
    start(g, "shop.log", true);
    expect_stored(g, 100);
    append("shop.log",
           "2026-11-20T10:09:00Z ERROR broken\n\tat a.b.C(D.java:1)\n\tat e.f.G(H.java:2)\n");
    expect_stored(g, 101);
    assert_string_equal(g->sink.records.v[100].body,
                        "broken\n\tat a.b.C(D.java:1)\n\tat e.f.G(H.java:2)");
    assert_int_equal(g->sink.records.v[100].severity, SEV_ERROR);
    assert_string_equal(g->sink.records.v[0].service, "shop");
    assert_string_equal(g->sink.records.v[0].path, scratch_path("shop.log"));
    /* A line that is not finished waits; its second half completes it. */
    append("shop.log", "2026-11-20T10:10:00Z INFO fir");
    append_lines("other.log", "x", 0, 1);
    usleep(300000); /* longer than the quiet time; that nothing comes has no event to wait for */
    assert_int_equal(sink_count(&g->sink), 101);
    append("shop.log", "st half\n");
    expect_stored(g, 102);
    assert_string_equal(g->sink.records.v[101].body, "first half");
    expect_once(g, "a", 0, 100);
}

static void known_files_go_on_where_they_were(void **state) {
    rig *g = *state;
    append_lines("app.log", "old", 0, 10);
    start(g, "app.log", false); /* from the end */
    assert_true(sink_wait_puts(&g->sink, 1));
    append_lines("app.log", "new", 0, 10);
    expect_stored(g, 10);
    stop(g);
    append_lines("app.log", "down", 0, 10);
    start(g, "app.log", false);
    expect_stored(g, 20);
    expect_once(g, "new", 0, 10);
    expect_once(g, "down", 0, 10);
}

/* Nothing was written between the first start and the crash: the place was stored all the same. */
static void the_first_place_is_stored(void **state) {
    rig *g = *state;
    append_lines("app.log", "old", 0, 10);
    start(g, "app.log", false);
    assert_true(sink_wait_puts(&g->sink, 1));
    stop(g);
    append_lines("app.log", "down", 0, 10);
    start(g, "app.log", false);
    expect_stored(g, 10);
    expect_once(g, "down", 0, 10);
}

static void rename_to(const char *from, const char *to) {
    assert_int_equal(rename(scratch_path(from), scratch_path(to)), 0);
}

static void follows_rotation_by_rename(void **state) {
    rig *g = *state;
    append_lines("app.log", "a", 0, 50);
    start(g, "app.log", true);
    expect_stored(g, 50);
    for (int round = 0; round < 3; round++) {
        int at = 50 + round * 100;
        append_lines("app.log", "a", at, at + 40);
        rename_to("app.log", "app.log.1");
        append_lines("app.log", "a", at + 40, at + 90);
        append_lines("app.log.1", "a", at + 90, at + 100); /* a writer that reopens late */
        expect_stored(g, (size_t)at + 100);
    }
    expect_once(g, "a", 0, 350);
}

/* The pattern matches rotated files too, and their shifting names. */
static void a_pattern_over_rotated_files_reads_once(void **state) {
    rig *g = *state;
    append_lines("app.log", "a", 0, 50);
    start(g, "app.log*", true);
    expect_stored(g, 50);
    rename_to("app.log", "app.log.1");
    append_lines("app.log", "a", 50, 100);
    expect_stored(g, 100);
    rename_to("app.log.1", "app.log.2");
    rename_to("app.log", "app.log.1");
    append_lines("app.log", "a", 100, 150);
    scratch_append("app.log.3.gz", "\x1f\x8b whatever", 11);
    append_lines("app.log.late", "late", 0, 10); /* a new file: from its start */
    expect_stored(g, 160);
    stop(g);
    start(g, "app.log*", true);
    append_lines("app.log", "a", 150, 160);
    expect_stored(g, 170);
    expect_once(g, "a", 0, 160);
}

static void follows_copytruncate(void **state) {
    rig *g = *state;
    append_lines("app.log", "a", 0, 100);
    start(g, "app.log*", true);
    expect_stored(g, 100);
    for (int round = 1; round < 4; round++) {
        char command[600], name[20];
        snprintf(name, sizeof name, "app.log.%d", round);
        snprintf(command, sizeof command, "cp %s %s", scratch_path("app.log"), scratch_path(name));
        assert_int_equal(system(command), 0);
        assert_int_equal(truncate(scratch_path("app.log"), 0), 0);
        append_lines("app.log", "a", round * 100, round * 100 + 100);
        expect_stored(g, (size_t)round * 100 + 100);
    }
    expect_once(g, "a", 0, 400);
}

static void sees_deletion_links_and_rewriting(void **state) {
    rig *g = *state;
    append_lines("one.log", "a", 0, 50);
    assert_int_equal(symlink(scratch_path("one.log"), scratch_path("app.log")), 0);
    start(g, "app.log", true);
    expect_stored(g, 50);
    /* The link is swapped. */
    append_lines("two.log", "b", 0, 50);
    assert_int_equal(symlink(scratch_path("two.log"), scratch_path("next")), 0);
    rename_to("next", "app.log");
    append_lines("one.log", "a", 50, 60);
    expect_stored(g, 110);
    /* Deleted and made again. */
    assert_int_equal(unlink(scratch_path("two.log")), 0);
    append_lines("two.log", "c", 0, 50);
    expect_stored(g, 160);
    /* Truncated and written again, longer than before: the size alone says nothing. */
    stop(g);
    assert_int_equal(truncate(scratch_path("two.log"), 0), 0);
    append_lines("two.log", "d", 0, 80);
    start(g, "app.log", true);
    expect_stored(g, 240);
    expect_once(g, "a", 0, 60);
    expect_once(g, "b", 0, 50);
    expect_once(g, "c", 0, 50);
    expect_once(g, "d", 0, 80);
}

static void rotation_while_down_is_found(void **state) {
    rig *g = *state;
    append_lines("app.log", "a", 0, 50);
    start(g, "app.log", true);
    expect_stored(g, 50);
    stop(g);
    append_lines("app.log", "a", 50, 70);
    rename_to("app.log", "app.log.1");
    append_lines("app.log", "a", 70, 100);
    start(g, "app.log", false); /* known path: not from the end */
    expect_stored(g, 100);
    expect_once(g, "a", 0, 100);
}

static void a_refusing_sink_loses_nothing(void **state) {
    rig *g = *state;
    g->sink.refuse = 5;
    append_lines("app.log", "a", 0, 500);
    start(g, "app.log", true);
    expect_stored(g, 500);
    assert_true(receiver_wait_accepted(g->r, 500));
    receiver_counts c;
    g->r->ops->count(g->r, &c);
    assert_true(c.refused >= 500);
    assert_int_equal(c.accepted, 500);
    expect_once(g, "a", 0, 500);
}

static void odd_bytes_are_handled(void **state) {
    rig *g = *state;
    char hole[5000] = {0};
    scratch_append("app.log", hole,
                   sizeof hole); /* truncated under a writer that does not append */
    append_lines("app.log", "a", 0, 10);
    append("app.log", "2026-11-20T11:00:00Z WARN caf\xe9\n");
    char *big = mem_alloc(3 << 20); /* more than one read */
    memset(big, 'x', 3 << 20);
    append("app.log", "2026-11-20T11:00:01Z INFO ");
    scratch_append("app.log", big, 3 << 20);
    append("app.log", "\n");
    mem_free(big);
    append_lines("app.log", "b", 0, 10);
    start(g, "app.log", true);
    expect_stored(g, 22);
    expect_once(g, "a", 0, 10);
    expect_once(g, "b", 0, 10);
    assert_string_equal(g->sink.records.v[10].body, "caf\xef\xbf\xbd");
    assert_true(g->sink.records.v[11].body_bytes > LOG_LINE_MAX / 2);
}

/* Random writing, rotating, truncating after a copy, refusing, crashing: each complete line once.
 */
static void any_order_of_events_stores_once(void **state) {
    rig *g = *state;
    uint64_t seed = getenv("FAULTLINE_SEED") ? strtoull(getenv("FAULTLINE_SEED"), NULL, 0) : 1;
    printf("any_order_of_events_stores_once: seed %" PRIu64 "\n", seed);
    rng random;
    rng_init(&random, seed);
    int lines = 0, rotations = 0;
    append_lines("app.log", "a", lines, lines + 1);
    lines++;
    start(g, "app.log*", true);
    for (int i = 0; i < 60; i++) {
        uint64_t dice = rng_below(&random, 10);
        if (dice < 6) {
            int n = 1 + (int)rng_below(&random, 40);
            append_lines("app.log", "a", lines, lines + n);
            lines += n;
        } else if (dice < 7) {
            char name[40];
            snprintf(name, sizeof name, "app.log.%d", ++rotations);
            rename_to("app.log", name);
            append_lines("app.log", "a", lines, lines + 1);
            lines++;
        } else if (dice < 8) {
            sys_lock_take(g->sink.lock);
            g->sink.refuse = (unsigned)rng_below(&random, 3);
            g->sink.hold = rng_below(&random, 2) == 0;
            sys_lock_give(g->sink.lock);
        } else if (dice < 9) {
            sys_lock_take(g->sink.lock);
            g->sink.hold = false;
            sys_lock_give(g->sink.lock);
            sink_answer(&g->sink, rng_below(&random, 3) ? RC_OK : RC_IO);
        } else {
            crash(g);
            start(g, "app.log*", true);
        }
        usleep((unsigned)rng_below(&random, 30000)); /* spreads the events over polls */
    }
    sys_lock_take(g->sink.lock);
    g->sink.hold = false;
    g->sink.refuse = 0;
    sys_lock_give(g->sink.lock);
    sink_answer(&g->sink, RC_OK);
    expect_stored(g, (size_t)lines);
    expect_once(g, "a", 0, lines);
}

static void points_read_back(void **state) {
    (void)state;
    tail_point p = {.offset = UINT64_MAX,
                    .line = 7,
                    .device = 1,
                    .inode = 2,
                    .head_n = 1024,
                    .tail_n = 256,
                    .head = UINT64_MAX,
                    .tail = 1};
    char text[POINT_TEXT_BYTES];
    tail_point back = {0};
    assert_true(tail_point_read(tail_point_text(&p, text), &back));
    assert_memory_equal(&p, &back, sizeof p);
    static const char *const bad[] = {"",
                                      "1",
                                      "2 5 1 1 1 0 0 0 0",
                                      "1 5 0 1 1 0 0 0 0",
                                      "1 5 1 1 1 9 0 0 0",
                                      "1 5 1 1 1 0 0 0 0 0",
                                      "1 -5 1 1 1 0 0 0 0",
                                      "1 5000 1 1 1 2000 0 0 0"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_false(tail_point_read(str_c(bad[i]), &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_read_back),
        cmocka_unit_test_setup_teardown(reads_what_is_appended, setup, teardown),
        cmocka_unit_test_setup_teardown(known_files_go_on_where_they_were, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_place_is_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(follows_rotation_by_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pattern_over_rotated_files_reads_once, setup, teardown),
        cmocka_unit_test_setup_teardown(follows_copytruncate, setup, teardown),
        cmocka_unit_test_setup_teardown(sees_deletion_links_and_rewriting, setup, teardown),
        cmocka_unit_test_setup_teardown(rotation_while_down_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusing_sink_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_bytes_are_handled, setup, teardown),
        cmocka_unit_test_setup_teardown(any_order_of_events_stores_once, setup, teardown),
    };
    return cmocka_run_group_tests_name("ingest_tail_receiver", tests, NULL, NULL);
}
