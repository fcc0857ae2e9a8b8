/* What texts say: failures, everyday lines with the same words, negations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "detect/detect.h"

static void between(const char *text, double low, double high) {
    double m = detect_failure_meaning(str_c(text));
    if (m < low || m > high) print_error("%.2f not in %.2f .. %.2f: %s\n", m, low, high, text);
    assert_true(m >= low && m <= high);
}

static void failures_say_so(void **state) {
    (void)state;
    between("java.lang.OutOfMemoryError: Java heap space", 0.95, 1);
    between("kernel: Out of memory: Killed process 4242 (java)", 0.95, 1);
    between("write /var/lib/x: no space left on device", 0.95, 1);
    between("panic: runtime error: index out of range [3] with length 3", 0.9, 1);
    between("HikariPool-1 - Connection is not available, request timed out after 30000ms", 0.7, 1);
    between("connection pool exhausted: active=50 idle=0", 0.9, 1);
    between("dial tcp 10.0.0.7:5432: connect: connection refused", 0.8, 1);
    between("x509: certificate has expired or is not yet valid", 0.9, 1);
    between("Lock wait timeout exceeded; try restarting transaction", 0.8, 1);
    between("NullPointerException at handler", 0.7, 1);
    between("circuit breaker opened for payment", 0.8, 1);
    between("Segmentation fault (core dumped)", 0.9, 1);
    between("task blocked for more than 120 seconds", 0.7, 1);
    between("ConnectionRefused", 0.8, 1);
    between("unable to resolve host db1", 0.6, 0.9);
    between("Device: /dev/sdc [SAT], 8 Currently unreadable (pending) sectors", 0.5, 0.7);
    between("Device: /dev/sdc, 5 reallocated sectors", 0.5, 0.7);
    between("EXT4-fs (sdc1): Remounting filesystem read-only", 0.8, 1);
    between("remounting /data as read-only", 0.8, 1);
    between("read-only: volume <*> was remounted", 0.8, 1);
    between("Can't synchronise: no selectable sources", 0.6, 1);
    between("cannot open <*>", 0.6, 1);
    between("could not bind port <*>", 0.6, 1);
}

static void everyday_lines_do_not(void **state) {
    (void)state;
    between("GET /index.html 200 12ms", 0, 0);
    between("user 42 logged in", 0, 0);
    between("finished in 3.2s", 0, 0);
    between("0 errors, 0 warnings", 0, 0.05);
    between("completed with no errors", 0, 0.05);
    between("failed=0 ok=17", 0, 0.05);
    between("errors: 0", 0, 0.05);
    between("health check: not failing", 0, 0.05);
    between("installed error handler", 0, 0.2);
    between("error rate 0.2%", 0, 0.4);
    between("timeouts=<*> retries=<*>", 0, 0.4);
    between("", 0, 0);
    between("<*> <*> <*>", 0, 0);
}

/* name=value: a switch is no statement, an error that is named is one. */
static void settings_are_no_statements(void **state) {
    (void)state;
    static const char *const switches[] = {
        "Command line: ro quiet panic=1 oops=panic",
        "started with on_error=ignore fail_on_error=true",
        "mount options errors=remount-ro,noatime",
        "kernel.panic_on_oops=<*> action=abort",
        "error=none err=nil exception=null",
        "errors=0 failed=0",
    };
    for (size_t i = 0; i < ARRAY_LEN(switches); i++) between(switches[i], 0, 0.05);
    between("request done error=\"no route to host\"", 0.8, 1);
    between("push err=connection refused", 0.8, 1);
    between("stopped reason=timeout", 0.6, 1);
    between("call ended exception=java.io.IOException", 0.7, 1);
    between("job <*> last_error=EOF cause=deadlock", 0.8, 1);
    between("unit=<*> status=failed", 0.6, 1);
    between("disk state=degraded", 0.6, 1);
    between("panic=\"runtime error: index out of range\"", 0.9, 1);
    between("assertion failed: a == panic", 0.9, 1);
}

static void ease_counts_against(void **state) {
    (void)state;
    double bad = detect_failure_meaning(S("connection to db failed"));
    double eased = detect_failure_meaning(S("connection to db failed, recovered after 2 attempts"));
    assert_true(eased <= bad / 2 + 0.1);
    assert_true(detect_failure_meaning(S("not recovered, disk failed")) > 0.6);
}

/* Case and camelCase do not matter, and more of the same word adds nothing. */
static void spelling_does_not_matter(void **state) {
    (void)state;
    double m = detect_failure_meaning(S("out of memory error"));
    assert_true(detect_failure_meaning(S("OUT OF MEMORY ERROR")) == m);
    assert_true(detect_failure_meaning(S("OutOfMemoryError")) == m);
    assert_true(detect_failure_meaning(S("failed failed failed")) ==
                detect_failure_meaning(S("failed")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_say_so),
        cmocka_unit_test(everyday_lines_do_not),
        cmocka_unit_test(settings_are_no_statements),
        cmocka_unit_test(ease_counts_against),
        cmocka_unit_test(spelling_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
