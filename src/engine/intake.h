/* intake.h - telemetry on its way from a receiver into the store.
 *
 *     put -> admitted? -> mined -> (copied for followers) -> store -> ack -> done
 *
 * Runs on the thread that calls put. Everything taken is answered through `done` exactly once. */
#ifndef FL_ENGINE_INTAKE_H
#define FL_ENGINE_INTAKE_H

#include "engine/config.h"
#include "engine/tap.h"
#include "ingest/receiver.h"
#include "store/store.h"

typedef struct intake intake;

/* Borrows s and taps, which must outlive it. threads: that may call put at the same time; more may
 * come, their logs are then stored without shapes. */
MUST_CHECK rc intake_new(store *s, taps *t, unsigned threads, const sys_clock *clock, intake **ret,
                         err *e);
void intake_free(intake *in); /* nothing may be on its way */
void intake_set_memory(intake *in, uint64_t max_bytes);
/* From now on everything is refused with RC_AGAIN. */
void intake_close(intake *in);
/* Waits until all that was taken is answered; false at the deadline (monotonic). */
bool intake_wait(intake *in, int64_t deadline_ns);

/* Takes t. own: the engine's own telemetry, about which nothing is logged (no feedback). */
void intake_put(intake *in, telemetry *t, bool own, ingest_done done, void *done_ctx);

typedef struct intake_counts {
    uint64_t records[SIGNAL_COUNT]; /* acknowledged */
    uint64_t requests, bytes;       /* acknowledged; bytes of request bodies */
    uint64_t refused_memory, refused_queue, refused_closed, refused_large, failed; /* telemetries */
    uint64_t records_refused; /* of all these */
    uint64_t not_mined;       /* log records stored without a shape */
    uint64_t shapes, miner_bytes, evicted, overflow;
    uint64_t services; /* different service names since start, at least */
    size_t memory_bytes, memory_max_bytes, waiting;
    uint64_t acks;
    int64_t ack_sum_ns, ack_max_ns; /* from put to acknowledgement */
} intake_counts;
void intake_count(intake *in, intake_counts *ret);

#endif
