/* telemetry.h - what one accepted request, datagram or tail read brought: records of any signal,
 * the bytes they borrow from and the arena they live in. It travels by pointer from the receiver
 * over mining to the store, one owner at a time; telemetry_free by the last. */
#ifndef FL_MODEL_TELEMETRY_H
#define FL_MODEL_TELEMETRY_H

#include "model/log.h"
#include "model/metric.h"
#include "model/profile.h"
#include "model/span.h"

/* Where a tailed file stands: stored in the commit that stores its records, so that neither is
 * ahead of the other. */
typedef struct tail_checkpoint {
    str key; /* names the input: configured path or "device:inode:fingerprint"; at most 512 bytes */
    str data; /* opaque to the store; at most 4 KiB */
} tail_checkpoint;

typedef struct telemetry {
    arena mem;  /* of everything but logs (which has its own) */
    char *body; /* taken request body that records borrow from; mem_free'd; may be NULL */
    size_t body_bytes;
    log_batch logs;
    span_batch spans;
    metric_batch metrics;
    profile_batch profiles;
    const tail_checkpoint *checkpoints; /* usually none */
    uint32_t checkpoint_count;
    int64_t arrival_ns; /* wall time when it was received */
    /* Records that were sent but are not here, and the first reason: for partial success. */
    uint64_t rejected;
    str reject_reason; /* one line for the client; static or in mem; with none rejected a warning */
} telemetry;

enum { TELEMETRY_ARENA_MAX = 256 << 20 };

telemetry *telemetry_new(void);             /* returns owned */
void telemetry_free(telemetry *t);          /* accepts NULL */
size_t telemetry_count(const telemetry *t); /* records of all signals */
/* Append a zeroed record; NULL when the arena is full. Earlier ones may move. */
span *telemetry_add_span(telemetry *t);
metric_info *telemetry_add_metric(telemetry *t);
metric_point *telemetry_add_point(telemetry *t);
profile *telemetry_add_profile(telemetry *t);
/* Room for `more` in one piece. False when the arena is full. */
MUST_CHECK bool telemetry_reserve_spans(telemetry *t, size_t more);
MUST_CHECK bool telemetry_reserve_points(telemetry *t, size_t more);

#endif
