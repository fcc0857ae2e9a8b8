/* figures.h - all counters of a running engine at one moment, for /metrics and /api/v1/status. */
#ifndef FL_ENGINE_FIGURES_H
#define FL_ENGINE_FIGURES_H

#include "engine/engine.h"
#include "engine/intake.h"
#include "engine/self.h"
#include "engine/workers.h"
#include "sys/process.h"

enum { ENGINE_RECEIVERS_MAX = 8 };

struct engine_figures {
    engine_state state;
    str version;
    int64_t uptime_ns, start_took_ns;
    engine_rates rates;
    intake_counts intake;
    store_stats store;
    net_counts net;
    workers_counts decode, query;
    taps_counts taps;
    self_counts self;
    sys_process_stats process;
    struct {
        const char *name;
        receiver_counts n;
    } receivers[ENGINE_RECEIVERS_MAX];
    size_t receiver_count;
};

#endif
