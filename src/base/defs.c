/* defs.c - names of result codes and the crash report of MUST.
 *
 * must_fail runs when the program's own state is wrong, so it trusts nothing: no heap, no stdio,
 * one buffer on the stack, write(2) and backtrace_symbols_fd(3) straight to descriptor 2. It is the
 * one exception to "no OS calls outside sys": base stands below sys and must be able to report. */
#include "base/defs.h"

#include <execinfo.h> /* layers: the crash report, see above */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h> /* layers: the crash report, see above */

enum { BACKTRACE_FRAMES = 64, REPORT_BYTES = 512 };

static const char *const RC_NAMES[RC_COUNT] = {
    [RC_OK] = "ok",
    [RC_INVALID] = "invalid",
    [RC_LIMIT] = "limit",
    [RC_AGAIN] = "again",
    [RC_TIMEOUT] = "timeout",
    [RC_CANCELLED] = "cancelled",
    [RC_NOT_FOUND] = "not_found",
    [RC_EXISTS] = "exists",
    [RC_IO] = "io",
    [RC_CORRUPT] = "corrupt",
    [RC_UNSUPPORTED] = "unsupported",
    [RC_END] = "end",
};

const char *rc_name(rc code) {
    if ((unsigned)code >= RC_COUNT) return "unknown";
    return RC_NAMES[code];
}

void must_fail(const char *cond, const char *file, int line) {
    char text[REPORT_BYTES];
    int n =
        snprintf(text, sizeof text, "faultline: bug: MUST(%s) failed at %s:%d\n", cond, file, line);
    if (n > 0) {
        size_t bytes = MIN((size_t)n, sizeof text - 1);
        IGNORE(write(STDERR_FILENO, text, bytes) < 0); /* nobody left to tell */
    }
    void *frames[BACKTRACE_FRAMES];
    int depth = backtrace(frames, BACKTRACE_FRAMES);
    backtrace_symbols_fd(frames, depth, STDERR_FILENO);
    abort();
}
