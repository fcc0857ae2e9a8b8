#include "ingest_test.h"

#include <unistd.h>

#include "sys/fake_clock.h"

/* A clock whose sleep plays the next step of a script: follow sleeps exactly when a round brought
 * nothing, so every step happens at rest and no real time passes. */
typedef struct stage {
    fake_clock fake;
    sys_clock under;
    void (*const *steps)(struct stage *);
    size_t step;
    unsigned wait_rounds; /* rounds to let pass before the next step */
    opened *o;
    collector *c;
    volatile int cancel;
    size_t failed_at; /* number of the step that met something wrong; 0 = none */
} stage;

static wall_ns stage_wall(void *ctx) {
    const stage *s = ctx;
    return s->under.ops->wall(s->under.ctx);
}
static mono_ns stage_mono(void *ctx) {
    const stage *s = ctx;
    return s->under.ops->mono(s->under.ctx);
}
static void stage_sleep(void *ctx, int64_t ns) {
    stage *s = ctx;
    s->under.ops->sleep(s->under.ctx, ns);
    if (s->wait_rounds > 0) {
        s->wait_rounds--;
        return;
    }
    if (s->steps[s->step])
        s->steps[s->step++](s);
    else
        __atomic_store_n(&s->cancel, 1, __ATOMIC_RELAXED);
}
static const sys_clock_ops STAGE_OPS = {stage_wall, stage_mono, stage_sleep};

/* Steps run in the reader's thread, where an assertion may not fail: they note what is wrong. */
static void expect(stage *s, bool ok) {
    if (!ok && s->failed_at == 0) s->failed_at = s->step;
}

/* The number of records must become `want`, at most `most`: they are on their way through a worker.
 */
static void expect_records_to(stage *s, size_t want, size_t most) {
    size_t n = 0;
    for (unsigned i = 0; i < 2000 && n < want; i++) {
        if (i > 0) usleep(1000);
        sys_lock_take(s->c->lock);
        n = s->c->v.n;
        sys_lock_give(s->c->lock);
    }
    expect(s, n >= want && n <= most);
}

static void expect_records(stage *s, size_t want) { expect_records_to(s, want, want); }

static size_t play(void (*const *steps)(stage *), const char *const *paths, opened *o,
                   collector *c) {
    stage s = {.steps = steps, .o = o, .c = c};
    s.under = fake_clock_ops(&s.fake);
    sys_clock clock = {&STAGE_OPS, &s};
    ingest_opts opts = {.follow = true, .clock = &clock};
    assert_int_equal(open_source(o, &opts, READ_BLOCK_BYTES, paths), RC_OK);
    collector_init(c);
    log_scan scan = {.cancel = &s.cancel, .workers = 2};
    assert_int_equal(scan_source(o, &scan, c), RC_CANCELLED);
    assert_int_equal(s.failed_at, 0);
    collector_sort(c);
    return c->v.n;
}

static int setup(void **state) {
    (void)state;
    scratch_make();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

static void append(const char *text) { scratch_append("app.log", text, strlen(text)); }

/* ---- appended lines, a line in two parts, the last line after a while ---- */

static void append_two(stage *s) {
    expect_records(s, 1); /* the second line may still go on */
    append("2026-11-20T10:00:02Z INFO third\n2026-11-20T10:00:03Z INFO fou");
}
static void complete_line(stage *s) {
    expect_records_to(s, 2, 3); /* the unfinished line waits, and perhaps the one before it */
    append("rth\n");
    s->wait_rounds = 8; /* 1.6 s of quiet: the last one is handed out */
}
static void last_is_out(stage *s) { expect_records(s, 4); }
static void five_are_out(stage *s) { expect_records(s, 5); }

static void reads_what_is_appended(void **state) {
    (void)state;
    scratch_text("app.log", "2026-11-20T10:00:00Z INFO first\n2026-11-20T10:00:01Z INFO second\n");
    opened o;
    collector c;
    void (*const steps[])(stage *) = {append_two, complete_line, last_is_out, NULL};
    assert_int_equal(play(steps, (const char *[]){"app.log", NULL}, &o, &c), 4);
    assert_string_equal(c.v.v[3].raw, "2026-11-20T10:00:03Z INFO fourth");
    assert_int_equal(c.v.v[3].ref.line, 4);
    str text[1];
    assert_int_equal(o.src.ops->fetch_logs(o.src.ctx, &c.v.v[3].ref, 1, 100, &o.mem, text, NULL),
                     RC_OK);
    assert_true(str_eq(text[0], S("2026-11-20T10:00:03Z INFO fourth")));
    collector_release(&c);
    close_source(&o);
}

/* ---- told to stop while the last line may still go on ---- */

static void stopping_hands_out_what_waits(void **state) {
    (void)state;
    scratch_text("app.log", "2026-11-20T10:00:00Z INFO first\n2026-11-20T10:00:01Z INFO sec");
    opened o;
    collector c;
    void (*const steps[])(stage *) = {NULL};
    assert_int_equal(play(steps, (const char *[]){"app.log", NULL}, &o, &c), 2);
    assert_string_equal(c.v.v[1].raw, "2026-11-20T10:00:01Z INFO sec");
    collector_release(&c);
    close_source(&o);
}

/* ---- an empty file that gets its first lines ---- */

static void first_lines(stage *s) {
    append("{\"time\":\"2026-11-20T10:00:00Z\",\"level\":\"info\",\"msg\":\"one\"}\n");
    s->wait_rounds = 8;
}
static void one_is_out(stage *s) { expect_records(s, 1); }

static void an_empty_file_gets_its_format_later(void **state) {
    (void)state;
    scratch_text("app.log", "");
    opened o;
    collector c;
    void (*const steps[])(stage *) = {first_lines, one_is_out, NULL};
    assert_int_equal(play(steps, (const char *[]){"app.log", NULL}, &o, &c), 1);
    assert_int_equal(c.v.v[0].ts_ns, (int64_t)(1795132800 + 36000) * 1000000000);
    collector_release(&c);
    close_source(&o);
}

/* ---- renamed and created anew; the writer still writes a line into the old file ---- */

static void rotate(stage *s) {
    expect(s, rename(scratch_path("app.log"), scratch_path("app.log.1")) == 0);
    scratch_text("app.log",
                 "2026-11-20T11:00:00Z INFO new first\n2026-11-20T11:00:01Z INFO new second\n");
}
static void late_line(stage *s) {
    (void)s;
    const char *late = "2026-11-20T10:59:59Z INFO late\n";
    scratch_append("app.log.1", late, strlen(late));
    s->wait_rounds = 40; /* 8 s: the old file is put aside */
}

static void follows_a_rotation(void **state) {
    (void)state;
    scratch_text("app.log", "2026-11-20T10:00:00Z INFO first\n2026-11-20T10:00:01Z INFO second\n");
    opened o;
    collector c;
    void (*const steps[])(stage *) = {rotate, late_line, five_are_out, NULL};
    assert_int_equal(play(steps, (const char *[]){"app.log", NULL}, &o, &c), 5);
    assert_int_equal(o.rep.count, 2);
    assert_true(str_eq(o.rep.inputs[0].name, o.rep.inputs[1].name));
    assert_true(str_eq(o.rep.inputs[0].service, o.rep.inputs[1].service));
    assert_int_equal(o.rep.inputs[0].records, 3);
    assert_int_equal(o.rep.inputs[1].records, 2);
    /* Evidence of both generations. */
    for (size_t i = 0; i < c.v.n; i++) {
        str text[1];
        assert_int_equal(
            o.src.ops->fetch_logs(o.src.ctx, &c.v.v[i].ref, 1, 100, &o.mem, text, NULL), RC_OK);
        assert_true(str_eq(text[0], str_c(c.v.v[i].raw)));
    }
    collector_release(&c);
    close_source(&o);
}

/* ---- truncated in place ---- */

static void truncate_it(stage *s) {
    (void)s;
    scratch_text("app.log", "2026-11-20T11:00:00Z INFO new\n");
    s->wait_rounds = 8;
}
static void three_are_out(stage *s) { expect_records(s, 3); }

static void follows_a_truncation(void **state) {
    (void)state;
    scratch_text("app.log", "2026-11-20T10:00:00Z INFO first\n2026-11-20T10:00:01Z INFO second\n");
    opened o;
    collector c;
    void (*const steps[])(stage *) = {truncate_it, three_are_out, NULL};
    assert_int_equal(play(steps, (const char *[]){"app.log", NULL}, &o, &c), 3);
    assert_int_equal(o.rep.count, 2);
    assert_string_equal(c.v.v[2].raw, "2026-11-20T11:00:00Z INFO new");
    assert_int_equal(c.v.v[2].ref.offset, 0);
    str text[3];
    log_ref refs[3] = {c.v.v[0].ref, c.v.v[1].ref, c.v.v[2].ref};
    assert_int_equal(o.src.ops->fetch_logs(o.src.ctx, refs, 3, 100, &o.mem, text, NULL), RC_OK);
    assert_null(text[0].p); /* what lay there is gone, and nothing else is shown in its place */
    assert_null(text[1].p);
    assert_true(str_eq(text[2], str_c(c.v.v[2].raw)));
    collector_release(&c);
    close_source(&o);
}

/* ---- a live pipe ---- */

static int pipe_end;

static rc close_after_two(void *ctx, unsigned worker, log_batch *b, err *e) {
    collector *c = ctx;
    rc r = collector_sink(ctx, worker, b, e);
    if (c->v.n >= 2 && pipe_end >= 0) {
        close(pipe_end);
        pipe_end = -1;
    }
    return r;
}

/* Records arrive while the pipe is still open: the scan would never end otherwise. */
static void a_live_pipe_is_read_as_it_comes(void **state) {
    (void)state;
    int fds[2], saved = dup(0);
    assert_int_equal(pipe(fds), 0);
    const char *text = "2026-11-20T10:00:00Z INFO one\n2026-11-20T10:00:01Z INFO "
                       "two\n2026-11-20T10:00:02Z INFO three\n";
    assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
    dup2(fds[0], 0);
    close(fds[0]);
    pipe_end = fds[1];
    opened o;
    collector c;
    ingest_opts opts = {.follow = true};
    assert_int_equal(open_source(&o, &opts, READ_BLOCK_BYTES, (const char *[]){"-", NULL}), RC_OK);
    collector_init(&c);
    log_scan scan = {0};
    assert_int_equal(o.src.ops->scan_logs(o.src.ctx, &scan, close_after_two, &c, &o.e), RC_OK);
    assert_int_equal(c.v.n, 3);
    collector_release(&c);
    close_source(&o);
    dup2(saved, 0);
    close(saved);
}

static void what_cannot_be_followed_is_refused(void **state) {
    (void)state;
    scratch_text("app.log", "2026-11-20T10:00:00Z INFO first\n");
    int fds[2], saved = dup(0);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[0], 0);
    opened o;
    ingest_opts opts = {.follow = true};
    assert_int_equal(
        open_source(&o, &opts, READ_BLOCK_BYTES, (const char *[]){"-", "app.log", NULL}),
        RC_INVALID);
    close_source(&o);
    assert_int_equal(open_source(&o, &opts, READ_BLOCK_BYTES, (const char *[]){"app.log", NULL}),
                     RC_OK);
    collector c;
    collector_init(&c);
    log_scan scan = {.order = ORDER_TIME};
    assert_int_equal(scan_source(&o, &scan, &c), RC_UNSUPPORTED);
    collector_release(&c);
    close_source(&o);
    dup2(saved, 0);
    close(saved);
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(reads_what_is_appended),
        T(stopping_hands_out_what_waits),
        T(an_empty_file_gets_its_format_later),
        T(follows_a_rotation),
        T(follows_a_truncation),
        T(a_live_pipe_is_read_as_it_comes),
        T(what_cannot_be_followed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
