/* clock.h - wall and monotonic time are different types. A fake clock stands in for tests. */
#ifndef FL_SYS_CLOCK_H
#define FL_SYS_CLOCK_H

#include "base/defs.h"

typedef struct wall_ns {
    int64_t ns;
} wall_ns; /* since 1970-01-01 UTC */
typedef struct mono_ns {
    int64_t ns;
} mono_ns;

typedef struct sys_clock_ops {
    wall_ns (*wall)(void *ctx);
    mono_ns (*mono)(void *ctx);
    void (*sleep)(void *ctx, int64_t ns);
} sys_clock_ops;

typedef struct sys_clock {
    const sys_clock_ops *ops;
    void *ctx;
} sys_clock;

extern const sys_clock SYS_CLOCK_REAL;
int32_t sys_local_zone_s(void); /* of the machine's zone, seconds east of UTC, now */
int64_t sys_cpu_ns(void);       /* CPU time of this process */
size_t sys_peak_rss_bytes(void);

#endif
