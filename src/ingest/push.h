/* push.h - what receivers of requests share: a sender posts a body, it is decoded, given to the
 * sink, and answered when it is durable or refused. A protocol adds its routes, says how a body is
 * read and how each outcome is answered (otlp_receiver.c, remote_write_receiver.c).
 *
 * Small bodies are decoded on the loop thread, large ones on a worker of the sink; `answer` runs on
 * whatever thread the outcome becomes known on, exactly once a call, and must reply. */
#ifndef FL_INGEST_PUSH_H
#define FL_INGEST_PUSH_H

#include "ingest/receiver.h"

enum {
    PUSH_INLINE_BYTES = 1 << 20, /* larger bodies are decoded by a worker */
    PUSH_KINDS_MAX = 8,
    PUSH_STOP_MS = 30000
};

typedef struct push push;

typedef struct push_call { /* lives in the request's arena */
    push *owner;
    net_request *request;
    unsigned kind;     /* what is counted apart: the signal */
    unsigned encoding; /* the protocol's */
    /* Set when decoded: */
    uint64_t records, rejected; /* taken; refused record by record */
    str reason;                 /* of the first rejection; with none a warning */
    char *body;                 /* until decoded */
    size_t body_bytes;
} push_call;

typedef struct push_protocol {
    const char *name;
    /* `body` is t->body. Any thread. */
    rc (*decode)(const push_call *c, str body, telemetry *t, err *e);
    /* message: why not, empty with RC_OK. */
    void (*answer)(push_call *c, rc code, str message);
} push_protocol;

/* Embedded first in a receiver. */
struct push {
    receiver base;
    const push_protocol *protocol;
    struct push_state *state;
};

void push_init(push *p, const push_protocol *protocol, const receiver_ops *ops,
               const ingest_sink *sink);
void push_release(push *p);
/* From a handler: takes the body, answers sooner or later. */
void push_take(push *p, net_request *r, unsigned kind, unsigned encoding);
/* A request that is not even decoded is counted here; the caller answers it. */
void push_count_invalid(push *p, unsigned kind, size_t bytes);
/* The parts of receiver_ops. */
rc push_start(push *p);
void push_stop(push *p);
void push_count(const push *p, receiver_counts *ret);
void push_count_kind(const push *p, unsigned kind, receiver_counts *ret);

/* Seconds in Retry-After, and the delay in RetryInfo. */
enum { PUSH_RETRY_S = 1 };
/* Codes of the sink in which the sender may try again later. */
static inline bool push_may_retry(rc code) {
    return code == RC_AGAIN || code == RC_IO || code == RC_TIMEOUT || code == RC_CANCELLED;
}
/* HTTP and gRPC status of an outcome (net's table, but for what OTLP and remote write retry). */
int push_http_status(rc code);
int push_grpc_status(rc code);

#endif
