#include "../unit.h"

#include "base/err.h"
#include "base/vec.h"

static void rc_names_are_stable(void **state) {
    (void)state;
    assert_string_equal(rc_name(RC_OK), "ok");
    assert_string_equal(rc_name(RC_NOT_FOUND), "not_found");
    assert_string_equal(rc_name(RC_END), "end");
    assert_string_equal(rc_name((rc)RC_COUNT), "unknown");
    assert_string_equal(rc_name((rc)-1), "unknown");
    for (int i = 0; i < RC_COUNT; i++) assert_true(strlen(rc_name((rc)i)) > 0);
}

static void must_aborts_with_a_report(void **state) {
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(pipes[1], STDERR_FILENO);
        int apples = 3;
        MUST(apples == 4);
        _exit(0);
    }
    close(pipes[1]);
    char text[16384];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof text && (got = read(pipes[0], text + n, sizeof text - n)) > 0)
        n += (size_t)got;
    close(pipes[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    str report = str_make(text, n);
    assert_true(str_starts(report, S("faultline: bug: MUST(apples == 4) failed at ")));
    assert_true(str_has(report, S("test_defs.c:")));
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    assert_true(lines >= 3); /* the condition and a backtrace */
}

static void must_evaluates_once(void **state) {
    (void)state;
    int calls = 0;
    MUST(++calls == 1);
    assert_int_equal(calls, 1);
    DCHECK(++calls == 2); /* not evaluated without FL_DEBUG */
    assert_in_range(calls, 1, 2);
}

static int cleaned;
static void clean(int **p) {
    if (*p) cleaned++;
}

static int *handed_over(int *p) {
    DEFER(clean) int *held = p;
    return TAKE(held);
}

static void defer_runs_and_take_disarms(void **state) {
    (void)state;
    int x = 7;
    cleaned = 0;
    {
        DEFER(clean) int *held = &x;
        assert_ptr_equal(held, &x);
    }
    assert_int_equal(cleaned, 1);
    assert_ptr_equal(handed_over(&x), &x);
    assert_int_equal(cleaned, 1);
}

static void err_keeps_what_happened(void **state) {
    (void)state;
    err e = {0};
    assert_rc(FAIL(&e, RC_CORRUPT, "segment %s: bad checksum at %d", "a", 12), RC_CORRUPT);
    assert_rc(e.code, RC_CORRUPT);
    assert_string_equal(e.msg, "segment a: bad checksum at 12");
    assert_string_equal(e.hint, "");
    assert_int_equal(e.sys_errno, 0);
    assert_true(e.line > 0);
    assert_true(str_ends(str_c(e.file), S("test_defs.c")));
    err_hint(&e, "run %s", "fsck");
    assert_string_equal(e.hint, "run fsck");
    assert_rc(err_wrap(&e, RC_IO, "store \"%s\"", "x"), RC_CORRUPT);
    assert_string_equal(e.msg, "store \"x\": segment a: bad checksum at 12");
    assert_string_equal(e.hint, "run fsck");
    assert_rc(FAIL_OS(&e, RC_IO, 13, "no"), RC_IO);
    assert_int_equal(e.sys_errno, 13);
    assert_string_equal(e.hint, ""); /* a hint belongs to its message */
    err_reset(&e);
    assert_rc(e.code, RC_OK);
    assert_string_equal(e.msg, "");
    assert_rc(err_wrap(&e, RC_IO, "alone"), RC_OK);
    assert_string_equal(e.msg, "alone");
}

static void err_takes_null(void **state) {
    (void)state;
    assert_rc(FAIL(NULL, RC_LIMIT, "%d", 1), RC_LIMIT);
    assert_rc(err_wrap(NULL, RC_LIMIT, "%d", 1), RC_LIMIT);
    err_hint(NULL, "x");
    err_reset(NULL);
}

static void err_may_quote_itself(void **state) {
    (void)state;
    err e = {0};
    IGNORE(FAIL(&e, RC_IO, "first"));
    IGNORE(FAIL(&e, RC_IO, "second after %s", e.msg));
    assert_string_equal(e.msg, "second after first");
}

static void err_cuts_long_text_between_characters(void **state) {
    (void)state;
    char text[2 * ERR_MSG_BYTES + 1];
    err e;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3) memcpy(text + i, "\xE4\xB8\xAD", 4);
        err_reset(&e);
        assert_rc(FAIL(&e, RC_INVALID, "%s", text), RC_INVALID);
        size_t n = strlen(e.msg);
        assert_true(n < ERR_MSG_BYTES && n > ERR_MSG_BYTES - 5);
        assert_int_equal((n - shift) % 3, 0);
        assert_rc(err_wrap(&e, RC_IO, "context"), RC_INVALID);
        n = strlen(e.msg);
        assert_int_equal((n - shift - strlen("context: ")) % 3, 0);
    }
}

static void vec_grows_and_keeps_items(void **state) {
    (void)state;
    VEC(uint32_t) v = {0};
    for (uint32_t i = 0; i < 100000; i++) vec_push(&v, i * 3);
    assert_int_equal(v.n, 100000);
    assert_true(v.cap >= v.n);
    for (uint32_t i = 0; i < 100000; i++) assert_int_equal(v.v[i], i * 3);
    vec_release(&v);
    assert_null(v.v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rc_names_are_stable),
        cmocka_unit_test(must_aborts_with_a_report),
        cmocka_unit_test(must_evaluates_once),
        cmocka_unit_test(defer_runs_and_take_disarms),
        cmocka_unit_test(err_keeps_what_happened),
        cmocka_unit_test(err_takes_null),
        cmocka_unit_test(err_may_quote_itself),
        cmocka_unit_test(err_cuts_long_text_between_characters),
        cmocka_unit_test(vec_grows_and_keeps_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
