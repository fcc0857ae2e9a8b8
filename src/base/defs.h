/* defs.h - result codes, assertions and the small macros that every file uses.
 *
 * rc        what a function that can fail returns; the codes say what the caller can do about it.
 * MUST      an invariant: stays on in release, aborts with a report (cheap conditions only).
 * DCHECK    a costly check, compiled in only when FL_DEBUG is defined.
 * DEFER/TAKE  scope-bound clean-up and hand-over of ownership.
 */
#ifndef FL_BASE_DEFS_H
#define FL_BASE_DEFS_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum rc {
    RC_OK = 0,
    RC_INVALID,     /* the input is wrong: fix it */
    RC_LIMIT,       /* a stated maximum was reached */
    RC_AGAIN,       /* would block; call again later */
    RC_TIMEOUT,     /* the deadline passed */
    RC_CANCELLED,   /* the caller asked to stop */
    RC_NOT_FOUND,   /* no such thing (no message is set) */
    RC_EXISTS,      /* already there */
    RC_IO,          /* the operating system refused; err.sys_errno says why */
    RC_CORRUPT,     /* stored or encoded bytes are damaged */
    RC_UNSUPPORTED, /* valid, but not something this build does */
    RC_END,         /* no more items (no message is set) */
    RC_COUNT
} rc;

/* Stable lower-case name of a code ("invalid", "limit", ...). */
const char *rc_name(rc code);

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define LIKELY(x)              __builtin_expect(!!(x), 1)
#define UNLIKELY(x)            __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)           (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)              ((a) < (b) ? (a) : (b))
#define MAX(a, b)              ((a) > (b) ? (a) : (b))
#define FL_INLINE              static inline __attribute__((always_inline))

/* Prints the failed condition and a backtrace to standard error and aborts. */
_Noreturn void must_fail(const char *cond, const char *file, int line);

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (UNLIKELY(!(cond))) must_fail(#cond, __FILE__, __LINE__);                               \
    } while (0)

#ifdef FL_DEBUG
#define DCHECK(cond) MUST(cond)
#else
#define DCHECK(cond) ((void)sizeof(!(cond)))
#endif

/* DEFER(close_fd) int fd = -1;  runs close_fd(&fd) when the scope ends. */
#define DEFER(fn) __attribute__((cleanup(fn)))
/* return TAKE(p);  hands p over and leaves NULL behind, so that DEFER finds nothing. */
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })
/* A result that is ignored on purpose; say why in a comment beside it. */
#define IGNORE(call)                                                                               \
    do {                                                                                           \
        if (call) {}                                                                               \
    } while (0)

#endif
