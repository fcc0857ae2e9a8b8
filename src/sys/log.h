/* log.h - the program's own log: one logfmt line per call on standard error.
 *
 *     sys_log(SYS_LOG_WARN, "input_skipped", SYS_LOG_STR("path", path), SYS_LOG_INT("errno", 13));
 *     -> ts=2024-05-01T10:00:00.123Z level=warn event=input_skipped path="my file" errno=13
 *
 * For the rooms that decide (house style 9); the others return an err. An event may be written
 * SYS_LOG_BURST times a second; what is left out is counted, and the event's next line says
 * suppressed=N. Any thread. */
#ifndef FL_SYS_LOG_H
#define FL_SYS_LOG_H

#include "base/err.h"
#include "base/str.h"
#include "sys/clock.h"

typedef enum sys_log_level {
    SYS_LOG_DEBUG = 0,
    SYS_LOG_INFO,
    SYS_LOG_WARN, /* the threshold at start */
    SYS_LOG_ERROR,
    SYS_LOG_OFF /* as a threshold: nothing */
} sys_log_level;

enum {
    SYS_LOG_BURST = 10,
    SYS_LOG_LINE_BYTES = 4096, /* a longer line loses its last fields and ends in cut=true */
    SYS_LOG_EVENTS = 64        /* events counted apart; events beyond share one count */
};

typedef struct sys_log_field {
    const char *key; /* [a-z0-9_.]+ */
    enum { SYS_LOG_TEXT = 1, SYS_LOG_NUMBER, SYS_LOG_REAL } kind;
    str text;
    int64_t number;
    double real;
} sys_log_field;

#define SYS_LOG_STR(k, v)    ((sys_log_field){.key = (k), .kind = SYS_LOG_TEXT, .text = (v)})
#define SYS_LOG_INT(k, v)    ((sys_log_field){.key = (k), .kind = SYS_LOG_NUMBER, .number = (v)})
#define SYS_LOG_DOUBLE(k, v) ((sys_log_field){.key = (k), .kind = SYS_LOG_REAL, .real = (v)})
/* An error as the fields code, error, and hint (when there is one). */
#define SYS_LOG_ERR(e)                                                                             \
    SYS_LOG_STR("code", str_c(rc_name((e)->code))), SYS_LOG_STR("error", str_c((e)->msg)),         \
        SYS_LOG_STR("hint", str_c((e)->hint))

/* event: static text, [a-z0-9_]+. Fields with empty text are left out. An event without any field
 * is sys_log_write(level, event, NULL, 0). */
#define sys_log(level, event, ...)                                                                 \
    sys_log_write((level), (event), (const sys_log_field[]){__VA_ARGS__},                          \
                  sizeof((const sys_log_field[]){__VA_ARGS__}) / sizeof(sys_log_field))
void sys_log_write(sys_log_level level, const char *event, const sys_log_field *fields,
                   size_t count);

bool sys_log_on(sys_log_level level); /* would a line of this level be written? */
/* Before threads start. The default: SYS_LOG_WARN, descriptor 2, SYS_CLOCK_REAL. */
void sys_log_setup(sys_log_level threshold, int fd, sys_clock clock);
void sys_log_threshold(sys_log_level threshold); /* any time */
/* Every line that is written also goes to fn, on the thread that logs (NULL: no more). fn must not
 * log. Any time; a line that another thread is writing may still reach the old fn just after. */
typedef void (*sys_log_tee_fn)(void *ctx, int64_t at_ns, sys_log_level level, const char *event,
                               const sys_log_field *fields, size_t count);
void sys_log_tee(sys_log_tee_fn fn, void *ctx);
/* "debug", "info", "warn", "error", "off". */
bool sys_log_level_from(str name, sys_log_level *ret);

#endif
