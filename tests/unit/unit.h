/* unit.h - what every unit test includes: cmocka with the headers it needs, and a few checks on the
 * program's own types. */
#ifndef FL_TESTS_UNIT_H
#define FL_TESTS_UNIT_H

#include "base/str.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Two texts are equal; both are printed when they are not. */
#define assert_text(got, want)                                                                     \
    do {                                                                                           \
        str got_ = (got), want_ = (want);                                                          \
        if (!str_eq(got_, want_))                                                                  \
            fail_msg("got \"%.*s\", want \"%.*s\"", STR_ARG(got_), STR_ARG(want_));                \
    } while (0)

#define assert_rc(got, want)                                                                       \
    do {                                                                                           \
        rc got_ = (got), want_ = (want);                                                           \
        if (got_ != want_) fail_msg("got rc \"%s\", want \"%s\"", rc_name(got_), rc_name(want_));  \
    } while (0)

/* The statement fails a MUST: it runs in a child, which has to end by abort(). */
#define assert_must_fails(statement)                                                               \
    do {                                                                                           \
        fflush(NULL);                                                                              \
        pid_t pid_ = fork();                                                                       \
        assert_true(pid_ >= 0);                                                                    \
        if (pid_ == 0) {                                                                           \
            signal(SIGABRT, SIG_DFL); /* cmocka may catch it */                                    \
            IGNORE(!freopen("/dev/null", "w", stderr));                                            \
            statement;                                                                             \
            _exit(0);                                                                              \
        }                                                                                          \
        int status_ = 0;                                                                           \
        assert_int_equal(waitpid(pid_, &status_, 0), pid_);                                        \
        assert_true(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGABRT);                         \
    } while (0)

/* The seed of a property test: $FAULTLINE_SEED, else 1; printed, so that a failure can be repeated.
 */
static inline uint64_t unit_seed(const char *test) {
    const char *text = getenv("FAULTLINE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
    printf("%s: seed %" PRIu64 "\n", test, seed);
    return seed;
}

#endif
