/* receiver.h - how telemetry comes in over the network or from growing files: one interface, one
 * file a receiver (otlp_receiver.c, syslog_receiver.c, remote_write_receiver.c, tail_receiver.c
 * ...).
 *
 * A receiver turns bytes into a telemetry and gives it to the sink, which mines and stores it and
 * calls `done` exactly once when it is durable or refused; only then is the sender answered.
 * Protocols without an answer (UDP) still wait for room: their drops are counted.
 *
 *     done(ctx, RC_OK)     durable
 *     RC_AGAIN             overloaded: retryable, with Retry-After / RetryInfo (HTTP 503,
 * UNAVAILABLE) RC_LIMIT             never fits: not retryable (413, RESOURCE_EXHAUSTED without
 * RetryInfo) RC_IO                disk full or failing: retryable (503, UNAVAILABLE), nothing was
 * kept RC_INVALID           400
 */
#ifndef FL_INGEST_RECEIVER_H
#define FL_INGEST_RECEIVER_H

#include "model/telemetry.h"
#include "net/server.h"
#include "sys/clock.h"
#include "sys/fs.h"

typedef void (*ingest_done)(void *ctx, rc code, const err *e);

typedef struct ingest_sink {
    /* Takes t. Any thread. May call done before it returns. */
    void (*put)(void *ctx, telemetry *t, ingest_done done, void *done_ctx);
    /* Runs fn on a worker when the work is too long for a loop thread; RC_AGAIN when the workers'
     * queue is full. */
    rc (*offload)(void *ctx, void (*fn)(void *arg), void *arg);
    /* The checkpoint stored under a key, copied into out; RC_NOT_FOUND. */
    rc (*checkpoint)(void *ctx, str key, arena *out, str *ret);
    void *ctx;
} ingest_sink;

/* Counted by every receiver, shown by /metrics and `faultline status`: accepted + rejected +
 * refused = received. */
typedef struct receiver_counts {
    uint64_t requests, bytes, records; /* records: decoded */
    uint64_t accepted, rejected;       /* durable; refused record by record with a reason */
    uint64_t refused; /* records of requests answered with a failure (retryable or not) */
    uint64_t invalid_requests, dropped; /* dropped: protocols without an answer */
} receiver_counts;

typedef struct receiver receiver;
typedef struct receiver_ops {
    const char *name;                 /* "otlp", "syslog", "remote_write", "tail" */
    rc (*start)(receiver *r, err *e); /* after routes are added and before the server starts */
    void (*stop)(receiver *r);        /* no new input; returns when what was taken is done */
    void (*count)(const receiver *r,
                  receiver_counts *ret); /* per signal counters are in its own header */
    void (*free)(receiver *r);
} receiver_ops;
struct receiver {
    const receiver_ops *ops;
};

/* OTLP: adds routes POST /v1/{logs,traces,metrics}, /v1development/profiles, the aliases below
 * /otlp/v1/ (Loki) and /api/v1/otlp/v1/ (Prometheus), and the four gRPC Export methods to `group`
 * of the server. */
MUST_CHECK rc otlp_receiver_new(net_server *s, uint32_t group, const ingest_sink *sink,
                                receiver **ret, err *e);
/* POST /api/v1/write */
MUST_CHECK rc remote_write_receiver_new(net_server *s, uint32_t group, const ingest_sink *sink,
                                        receiver **ret, err *e);

typedef struct syslog_opts {
    str udp, tcp, tls; /* "127.0.0.1:514"; empty = off; port 0 = any free port */
    net_tls tls_files;
    uint32_t max_message_bytes; /* 0 = 64 KiB */
    uint32_t max_connections;   /* 0 = 1024 */
} syslog_opts;
MUST_CHECK rc syslog_receiver_new(const syslog_opts *o, const ingest_sink *sink, receiver **ret,
                                  err *e);
uint16_t syslog_receiver_port(const receiver *r, char which); /* 'u', 't', 's' */

typedef struct tail_opts {
    const str *paths; /* files, directories, globs; new files that match are picked up */
    size_t path_count;
    bool from_start;  /* of files seen for the first time; else from their end */
    const sys_fs *fs; /* NULL = the real one */
    const sys_clock *clock;
} tail_opts;
MUST_CHECK rc tail_receiver_new(const tail_opts *o, const ingest_sink *sink, receiver **ret,
                                err *e);

#endif
