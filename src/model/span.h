/* span.h - spans in OTLP's terms. Everything borrows from the batch's arena or its request body. */
#ifndef FL_MODEL_SPAN_H
#define FL_MODEL_SPAN_H

#include "model/attribute.h"

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

typedef enum span_kind {
    SPAN_UNSPECIFIED = 0,
    SPAN_INTERNAL,
    SPAN_SERVER,
    SPAN_CLIENT,
    SPAN_PRODUCER,
    SPAN_CONSUMER
} span_kind;

typedef enum span_status { SPAN_STATUS_UNSET = 0, SPAN_STATUS_OK, SPAN_STATUS_ERROR } span_status;

typedef struct span_event {
    int64_t ts_ns;
    str name;
    const attribute *attrs;
    uint32_t attr_count, dropped_attrs;
} span_event;

typedef struct span_link {
    str trace_id, span_id; /* 16 and 8 bytes, or as sent (other lengths are kept) */
    str trace_state;
    const attribute *attrs;
    uint32_t attr_count, dropped_attrs;
    uint32_t flags;
} span_link;

typedef struct span {
    uint8_t trace_id[TRACE_ID_BYTES],
        span_id[SPAN_ID_BYTES];       /* never all zero: such spans are rejected */
    uint8_t parent_id[SPAN_ID_BYTES]; /* all zero = root */
    const resource *resource;         /* never NULL */
    const scope *scope;               /* NULL: none */
    str name, trace_state, status_message;
    int64_t start_ns, end_ns; /* as sent: end < start is possible */
    const attribute *attrs;
    const span_event *events;
    const span_link *links;
    uint32_t attr_count, event_count, link_count;
    uint32_t dropped_attrs, dropped_events, dropped_links;
    uint32_t flags;
    int32_t kind,
        status; /* span_kind, span_status; proto3 enums are open: unknown numbers are kept */
} span;

typedef struct span_batch {
    span *rec;
    size_t count, cap;
} span_batch;

/* What one service asks of another, counted at ingest: one row for each edge and minute of start
 * time. Latency is a histogram with 8 buckets a power of two (relative width 9%) of the callee's
 * (server or consumer) span when there is one, else of the caller's. */
typedef struct service_edge {
    str caller, callee; /* caller "" = from outside (root server spans) */
    str kind;           /* "http", "rpc", "db", "messaging", "internal" or "": of span attributes */
    int64_t minute_ns;
    uint64_t calls, errors, sum_ns, max_ns;
    double p50_ns, p95_ns, p99_ns; /* estimates of the sketch, when read */
} service_edge;

#endif
