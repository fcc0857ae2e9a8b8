/* self.h - the server's own log lines and sampled requests, stored like everybody's telemetry under
 * service.name=faultline.
 *
 * No feedback: what the engine does to store its own telemetry is neither logged (intake_put with
 * own) nor traced, and routine events of the store (compaction of what may be own lines) are not
 * kept. Bounded: a ring of waiting lines and spans; what does not fit is dropped and counted. */
#ifndef FL_ENGINE_SELF_H
#define FL_ENGINE_SELF_H

#include "engine/intake.h"
#include "sys/log.h"

typedef struct self_telemetry self_telemetry;

/* instance: service.instance.id. Borrows in. */
self_telemetry *self_new(intake *in, str version, str instance, const sys_clock *clock);
void self_free(self_telemetry *s);
void self_set(self_telemetry *s, bool logs, uint64_t trace_one_in); /* any time */

/* A sys_log_tee. */
void self_on_log(void *ctx, int64_t at_ns, sys_log_level level, const char *event,
                 const sys_log_field *fields, size_t count);
void self_on_request(self_telemetry *s, const net_access *a);
/* Hands on what waits. Called about once a second by one thread, and once at the end. */
void self_flush(self_telemetry *s);

typedef struct self_counts {
    uint64_t logs, spans, dropped;
} self_counts;
void self_count(const self_telemetry *s, self_counts *ret);

#endif
