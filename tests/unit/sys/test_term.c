/* clock, term, log, cancel */
#include "../unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sys/cancel.h"
#include "sys/fake_clock.h"
#include "sys/fs.h"
#include "sys/log.h"
#include "sys/term.h"
#include "sys/thread.h"

static const int64_t SEC = 1000000000;

static void the_fake_clock_moves_when_told(void **state) {
    (void)state;
    fake_clock f = {.wall = 1000, .mono = 5};
    sys_clock c = fake_clock_ops(&f);
    assert_int_equal(c.ops->wall(c.ctx).ns, 1000);
    assert_int_equal(c.ops->mono(c.ctx).ns, 5);
    c.ops->sleep(c.ctx, 10);
    c.ops->sleep(c.ctx, -3);
    fake_clock_advance(&f, 1);
    assert_int_equal(c.ops->wall(c.ctx).ns, 1011);
    assert_int_equal(c.ops->mono(c.ctx).ns, 16);
    assert_int_equal(f.slept, 10);
    assert_must_fails(fake_clock_advance(&f, -1));
}

static void the_real_clock_runs(void **state) {
    (void)state;
    const sys_clock *c = &SYS_CLOCK_REAL;
    assert_true(c->ops->wall(NULL).ns > 1600000000 * SEC);
    int64_t before = c->ops->mono(NULL).ns;
    c->ops->sleep(NULL, 1000000);
    c->ops->sleep(NULL, 0);
    c->ops->sleep(NULL, -1);
    assert_true(c->ops->mono(NULL).ns >= before + 1000000);
    assert_true(sys_cpu_ns() > 0);
    size_t peak = sys_peak_rss_bytes();
    assert_true(peak > 1 << 20);
    volatile char *block = mem_alloc(64 << 20);
    for (size_t i = 0; i < 64 << 20; i += 4096) block[i] = 1;
    assert_true(sys_peak_rss_bytes() >= peak + (50 << 20));
    mem_free((void *)(uintptr_t)block);
}

static void the_environment_decides(void **state) {
    (void)state;
    setenv("COLUMNS", "123", 1);
    assert_int_equal(sys_term_width(0), 123);
    setenv("COLUMNS", "99999999", 1);
    assert_int_equal(sys_term_width(0), 1000);
    setenv("COLUMNS", "wide", 1);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(sys_term_width(pipes[0]), 80);
    unsetenv("COLUMNS");
    assert_int_equal(sys_term_width(pipes[0]), 80);
    assert_false(sys_is_terminal(pipes[0]));
    assert_false(sys_is_terminal(-1));
    assert_false(sys_term_color(pipes[0]));
    close(pipes[0]);
    close(pipes[1]);
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
    unsetenv("LANG");
    assert_false(sys_term_utf8());
    setenv("LANG", "en_US.UTF-8", 1);
    assert_true(sys_term_utf8());
    setenv("LC_CTYPE", "C", 1);
    assert_false(sys_term_utf8());
    setenv("LC_ALL", "zh_CN.utf8", 1);
    assert_true(sys_term_utf8());
    assert_string_equal(sys_env("LC_ALL"), "zh_CN.utf8");
    assert_null(sys_env("FAULTLINE_NO_SUCH_VARIABLE"));
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
}

/* What was written to the temporary file since the last call. */
static str written(int fd, buf *b, uint64_t *at) {
    err e = {0};
    buf_reset(b);
    assert_true(buf_reserve(b, 65536));
    size_t n;
    assert_rc(SYS_FS_REAL.ops->pread(NULL, fd, b->p, 65536, *at, &n, &e), RC_OK);
    b->n = n;
    *at += n;
    return buf_str(b);
}

static void the_progress_bar(void **state) {
    (void)state;
    int fd;
    assert_rc(sys_temp_file(&fd, NULL), RC_OK);
    buf b;
    buf_init(&b, 1 << 20);
    uint64_t at = 0;
    fake_clock f = {0};
    sys_progress_opts opts = {
        .clock = fake_clock_ops(&f), .fd = fd, .columns = 100, .terminal = true, .utf8 = true};
    sys_progress *p = sys_progress_new_with(S("reading a\x1b[31m"), &opts);
    sys_progress_step(p, 0, 100 << 20, S("B"));
    fake_clock_advance(&f, SEC - 1);
    sys_progress_step(p, 1, 100 << 20, S("B"));
    assert_text(written(fd, &b, &at), S("")); /* silent in the first second */
    fake_clock_advance(&f, SEC + 1);
    sys_progress_step(p, 20 << 20, 100 << 20, S("B"));
    assert_text(written(fd, &b, &at),
                S("\rreading a?[31m  ████                  20%  20 MB  10 MB/s  8 s left\x1b[K"));
    fake_clock_advance(&f, SEC / 20);
    sys_progress_step(p, 40 << 20, 100 << 20, S("B"));
    assert_text(written(fd, &b, &at), S("")); /* ten times a second at most */
    fake_clock_advance(&f, SEC / 20);
    sys_progress_step(p, 41 << 20, 100 << 20, S("B"));
    assert_true(str_has(written(fd, &b, &at), S("████████▏")));
    fake_clock_advance(&f, SEC);
    sys_progress_step(p, 200 << 20, 100 << 20, S("B")); /* a file that grew */
    assert_true(str_has(written(fd, &b, &at), S("100%")));
    fake_clock_advance(&f, SEC);
    sys_progress_step(p, 1234567, 0, S("lines")); /* total not known */
    assert_text(written(fd, &b, &at),
                S("\rreading a?[31m  1,234,567 lines  301,113 lines/s\x1b[K"));
    sys_progress_free(p);
    assert_text(written(fd, &b, &at), S("\r\x1b[K"));

    f = (fake_clock){0};
    opts.columns = 30;
    opts.utf8 = false;
    p = sys_progress_new_with(S("中文中文中文中文中文中文中文中文中文中文"), &opts);
    fake_clock_advance(&f, 2 * SEC);
    sys_progress_step(p, 50, 100, S("lines"));
    str line = written(fd, &b, &at);
    assert_true(utf8_columns(str_sub(line, 1, line.n - 4)) <= 29); /* never wraps */
    sys_progress_free(p);
    written(fd, &b, &at);

    opts.terminal = false;
    p = sys_progress_new_with(S("t"), &opts);
    fake_clock_advance(&f, 5 * SEC);
    sys_progress_step(p, 50, 100, S("lines"));
    sys_progress_free(p);
    assert_text(written(fd, &b, &at), S(""));
    sys_progress_free(NULL);
    p = sys_progress_new(S("real"));
    sys_progress_step(p, 1, 2, S("B"));
    sys_progress_free(p);
    close(fd);
    buf_release(&b);
}

static void the_log_writes_logfmt(void **state) {
    (void)state;
    int fd;
    assert_rc(sys_temp_file(&fd, NULL), RC_OK);
    buf b;
    buf_init(&b, 1 << 20);
    uint64_t at = 0;
    fake_clock f = {.wall = 1714557600123456789};
    sys_log_setup(SYS_LOG_INFO, fd, fake_clock_ops(&f));
    assert_true(sys_log_on(SYS_LOG_INFO) && !sys_log_on(SYS_LOG_DEBUG));
    sys_log(SYS_LOG_DEBUG, "hidden", SYS_LOG_INT("n", 1));
    sys_log(SYS_LOG_WARN, "input_skipped", SYS_LOG_STR("path", S("my \"file\"\n")),
            SYS_LOG_STR("plain", S("a/b.log")), SYS_LOG_STR("empty", S("")),
            SYS_LOG_INT("errno", -13), SYS_LOG_DOUBLE("share", 0.25));
    assert_text(
        written(fd, &b, &at),
        S("ts=2024-05-01T10:00:00.123Z level=warn event=input_skipped path=\"my \\\"file\\\"\\n\" "
          "plain=a/b.log errno=-13 share=0.25\n"));
    err e = {0};
    IGNORE(FAIL(&e, RC_IO, "cannot read \"x\""));
    sys_log(SYS_LOG_ERROR, "failed", SYS_LOG_ERR(&e));
    assert_text(written(fd, &b, &at), S("ts=2024-05-01T10:00:00.123Z level=error event=failed "
                                        "code=io error=\"cannot read \\\"x\\\"\"\n"));
    sys_log_write(SYS_LOG_INFO, "bare", NULL, 0);
    assert_true(str_ends(written(fd, &b, &at), S("event=bare\n")));
    char big[10000];
    memset(big, 'x', sizeof big);
    sys_log(SYS_LOG_INFO, "big", SYS_LOG_INT("n", 1), SYS_LOG_STR("big", str_make(big, sizeof big)),
            SYS_LOG_INT("m", 2));
    assert_true(str_ends(written(fd, &b, &at), S("event=big n=1 cut=true\n")));
    sys_log_setup(SYS_LOG_OFF, fd, fake_clock_ops(&f));
    sys_log_write(SYS_LOG_ERROR, "nothing", NULL, 0);
    assert_text(written(fd, &b, &at), S(""));
    sys_log_level level;
    assert_true(sys_log_level_from(S("Error"), &level) && level == SYS_LOG_ERROR);
    assert_true(sys_log_level_from(S("off"), &level) && level == SYS_LOG_OFF);
    assert_false(sys_log_level_from(S("loud"), &level));
    sys_log_setup(SYS_LOG_WARN, 2, SYS_CLOCK_REAL);
    close(fd);
    buf_release(&b);
}

static size_t lines_in(str text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == '\n';
    return n;
}

static void the_log_counts_what_it_leaves_out(void **state) {
    (void)state;
    int fd;
    assert_rc(sys_temp_file(&fd, NULL), RC_OK);
    buf b;
    buf_init(&b, 1 << 20);
    uint64_t at = 0;
    fake_clock f = {0};
    sys_log_setup(SYS_LOG_INFO, fd, fake_clock_ops(&f));
    for (int i = 0; i < 100; i++) sys_log_write(SYS_LOG_INFO, "often", NULL, 0);
    sys_log_write(SYS_LOG_INFO, "other", NULL, 0);
    assert_int_equal(lines_in(written(fd, &b, &at)), SYS_LOG_BURST + 1);
    fake_clock_advance(&f, SEC);
    sys_log_write(SYS_LOG_INFO, "often", NULL, 0);
    assert_true(str_ends(written(fd, &b, &at), S("event=often suppressed=90\n")));
    sys_log_write(SYS_LOG_INFO, "often", NULL, 0);
    assert_true(str_ends(written(fd, &b, &at), S("event=often\n")));
    static char names[SYS_LOG_EVENTS + 20][16]; /* more events than are counted apart */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            snprintf(names[i], sizeof names[i], "event_%zu", i);
            sys_log_write(SYS_LOG_INFO, names[i], NULL, 0);
        }
    }
    size_t lines = lines_in(written(fd, &b, &at));
    assert_int_equal(lines, 2 * (SYS_LOG_EVENTS - 2) +
                                SYS_LOG_BURST); /* "often" and "other" are there, too */
    sys_log_setup(SYS_LOG_WARN, 2, SYS_CLOCK_REAL);
    close(fd);
    buf_release(&b);
}

static void log_some(void *ctx) {
    (void)ctx;
    for (int i = 0; i < 1000; i++) sys_log(SYS_LOG_INFO, "threaded", SYS_LOG_INT("i", i));
}

static void the_log_takes_many_threads(void **state) {
    (void)state;
    int fd;
    assert_rc(sys_temp_file(&fd, NULL), RC_OK);
    sys_log_setup(SYS_LOG_INFO, fd, SYS_CLOCK_REAL);
    sys_thread *t[3];
    for (int i = 0; i < 3; i++)
        assert_rc(sys_thread_start("log", log_some, NULL, &t[i], NULL), RC_OK);
    for (int i = 0; i < 3; i++) sys_thread_join(t[i]);
    buf b;
    buf_init(&b, 1 << 20);
    uint64_t at = 0;
    str rest = written(fd, &b, &at), line;
    assert_true(lines_in(rest) >= SYS_LOG_BURST);
    while (str_next(&rest, '\n', &line))
        if (line.n) assert_true(str_starts(line, S("ts=")) && str_has(line, S(" event=threaded ")));
    sys_log_setup(SYS_LOG_WARN, 2, SYS_CLOCK_REAL);
    close(fd);
    buf_release(&b);
}

/* Runs in a child: signals change the process. */
static int cancel_child(int ready) {
    int pipes[2];
    if (pipe(pipes) != 0) return 10;
    if (sys_cancelled() || sys_cancel_installed()) return 11;
    const volatile int *flag = sys_cancel_install();
    if (flag != sys_cancel_install() || *flag != 0 || !sys_cancel_installed()) return 12;
    if (write(ready, "r", 1) != 1) return 13;
    char c;
    size_t n;
    err e = {0};
    /* Nothing ever comes through the pipe: only the flag ends the wait. */
    rc code = SYS_FS_REAL.ops->read(NULL, pipes[0], &c, 1, &n, &e);
    if (code != RC_CANCELLED || *flag != SIGTERM || !sys_cancelled()) return 14;
    raise(SIGTERM); /* the second one takes the default action */
    return 15;
}

static void a_signal_raises_the_flag_and_ends_waits(void **state) {
    (void)state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL);
        _exit(cancel_child(ready[1]));
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(kill(pid, SIGTERM), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) fail_msg("child ended with %d", WEXITSTATUS(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    close(ready[0]);
    close(ready[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fake_clock_moves_when_told),
        cmocka_unit_test(the_real_clock_runs),
        cmocka_unit_test(the_environment_decides),
        cmocka_unit_test(the_progress_bar),
        cmocka_unit_test(the_log_writes_logfmt),
        cmocka_unit_test(the_log_counts_what_it_leaves_out),
        cmocka_unit_test(the_log_takes_many_threads),
        cmocka_unit_test(a_signal_raises_the_flag_and_ends_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
