#include "sys/fake_clock.h"

static wall_ns fake_wall(void *ctx) { return (wall_ns){((const fake_clock *)ctx)->wall}; }
static mono_ns fake_mono(void *ctx) { return (mono_ns){((const fake_clock *)ctx)->mono}; }

void fake_clock_advance(fake_clock *c, int64_t ns) {
    MUST(ns >= 0);
    c->wall += ns;
    c->mono += ns;
}

static void fake_sleep(void *ctx, int64_t ns) {
    fake_clock *c = ctx;
    if (ns <= 0) return;
    c->slept += ns;
    fake_clock_advance(c, ns);
}

static const sys_clock_ops FAKE_OPS = {fake_wall, fake_mono, fake_sleep};

sys_clock fake_clock_ops(fake_clock *c) { return (sys_clock){&FAKE_OPS, c}; }
