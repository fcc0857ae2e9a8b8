/* fake_clock.h - a clock that stands still until told: for tests. One thread. */
#ifndef FL_SYS_FAKE_CLOCK_H
#define FL_SYS_FAKE_CLOCK_H

#include "sys/clock.h"

typedef struct fake_clock {
    int64_t wall, mono; /* ns */
    int64_t slept;      /* sum of all sleeps, ns */
} fake_clock;

/* Borrows c. Sleeping moves both times forward and returns at once. */
sys_clock fake_clock_ops(fake_clock *c);
void fake_clock_advance(fake_clock *c, int64_t ns);

#endif
