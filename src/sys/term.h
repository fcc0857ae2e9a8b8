/* term.h - what the terminal can do, and a progress bar on standard error for anything over a
 * second. */
#ifndef FL_SYS_TERM_H
#define FL_SYS_TERM_H

#include "base/str.h"
#include "sys/clock.h"

bool sys_is_terminal(int fd);
/* Waits until the descriptor has something to read or is at its end, at most wait_ms (negative: for
 * ever). A terminal is not waited for: it is SYS_INPUT_SOME, as is a wait that was interrupted. */
typedef enum sys_input {
    SYS_INPUT_SOME = 0, /* something can be read */
    SYS_INPUT_EMPTY,    /* closed, an empty file, a pipe closed without a byte, /dev/null */
    SYS_INPUT_IDLE,     /* neither within wait_ms: a pipe or socket nobody writes to */
} sys_input;
sys_input sys_input_state(int fd, int wait_ms);
unsigned sys_term_width(int fd); /* columns; 80 when unknown; COLUMNS wins */
bool sys_term_color(int fd);     /* a terminal, NO_COLOR unset, TERM not dumb */
bool sys_term_utf8(void);
const char *sys_env(const char *name); /* NULL when unset */

typedef struct sys_progress sys_progress;
/* Draws nothing in the first second, nor when standard error is no terminal. */
sys_progress *sys_progress_new(str title);
/* total 0 = not known. unit: "B" prints sizes ("1.2 GB"), anything else counts ("1,200 lines").
 * Redraws at most ten times a second. One thread. */
void sys_progress_step(sys_progress *p, uint64_t done, uint64_t total, str unit);
void sys_progress_free(sys_progress *p); /* erases the bar */

/* The same, told everything that sys_progress_new finds out by itself (tests). */
typedef struct sys_progress_opts {
    sys_clock clock;
    int fd;
    unsigned columns;
    bool terminal, utf8;
} sys_progress_opts;
sys_progress *sys_progress_new_with(str title, const sys_progress_opts *opts);

#endif
