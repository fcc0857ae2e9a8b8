/* err.h - why something failed. A fixed-size value: it never allocates, and `e` may be NULL.
 *
 *     return FAIL(e, RC_CORRUPT, "segment %s: bad checksum at %" PRIu64, name, offset);
 *
 * The message is one factual line, values quoted, no function names. `hint` (optional) tells a
 * person what to do. Add context with err_wrap where it helps a reader, not at each hop. */
#ifndef FL_BASE_ERR_H
#define FL_BASE_ERR_H

#include "base/defs.h"

enum { ERR_MSG_BYTES = 512, ERR_HINT_BYTES = 200 };

typedef struct err {
    rc code;
    int sys_errno; /* 0 when the operating system had no part in it */
    int line;
    const char *file; /* source file that failed */
    char msg[ERR_MSG_BYTES];
    char hint[ERR_HINT_BYTES];
} err;

rc err_set(err *e, rc code, int sys_errno, const char *file, int line, const char *fmt, ...)
    PRINTF_LIKE(6, 7);
/* Puts "context: " before the message. Keeps code, file and line. Returns e->code (or `code` when e
 * is NULL). */
rc err_wrap(err *e, rc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void err_hint(err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_reset(err *e);

#define FAIL(e, code, ...) err_set((e), (code), 0, __FILE__, __LINE__, __VA_ARGS__)
#define FAIL_OS(e, code, errnum, ...)                                                              \
    err_set((e), (code), (errnum), __FILE__, __LINE__, __VA_ARGS__)

#endif
