/* engine.h - the live pipeline of `faultline serve`: configuration in, a running engine out.
 *
 *     receivers -> telemetry -> mine -> store -> ack
 *
 *     engine_new(config, &opts, &g, e)      opens the store, binds the ports, adds receivers
 *     net_route_add(engine_server(g), ...)  api adds its routes
 *     engine_start(g, e)
 *     engine_drain(g, deadline_ms)          SIGTERM
 *     engine_free(g)
 *
 * Owns: the net server, receivers, workers, miners, the store, counters. */
#ifndef FL_ENGINE_ENGINE_H
#define FL_ENGINE_ENGINE_H

#include "engine/config.h"
#include "engine/tap.h"
#include "ingest/receiver.h"
#include "net/server.h"
#include "store/store.h"

typedef struct engine engine;

typedef struct engine_opts {
    str version;     /* of the program */
    str local_token; /* one more token with every right, for commands on this machine; or empty */
    /* Only reads: the store is opened beside nobody's writer, nothing is received, the API listens
     * on a free loopback port and wants the local token. */
    bool read_only;
} engine_opts;

/* c must live until engine_free. */
MUST_CHECK rc engine_new(const config *c, const engine_opts *opts, engine **ret, err *e);
MUST_CHECK rc engine_start(engine *g, err *e);
/* No new input, everything taken is acknowledged, store closed: SIGTERM. */
void engine_drain(engine *g, int64_t deadline_ms);
/* SIGHUP: certificates, tokens, live keys; borrows c for the call. On failure nothing has changed.
 */
MUST_CHECK rc engine_reload(engine *g, const config *c, err *e);
void engine_free(engine *g);

/* Route groups of the net server. OTLP listeners serve the first, the API listener both: Loki's and
 * Prometheus' OTLP and remote write paths are part of their APIs. */
enum { ENGINE_GROUP_OTLP = 1, ENGINE_GROUP_API = 2 };
typedef enum engine_listener {
    ENGINE_OTLP_GRPC = 0,
    ENGINE_OTLP_HTTP,
    ENGINE_API,
    ENGINE_SYSLOG_UDP,
    ENGINE_SYSLOG_TCP,
    ENGINE_SYSLOG_TLS,
    ENGINE_LISTENERS
} engine_listener;
/* "127.0.0.1:4317" with the real port; false when it is off. Copied into out. */
bool engine_address(const engine *g, engine_listener l, arena *out, str *ret);
const char *engine_listener_name(engine_listener l); /* "otlp_grpc" */
bool engine_listener_tls(const engine *g, engine_listener l);

net_server *engine_server(engine *g);
store *engine_store(engine *g);
const ingest_sink *engine_sink(engine *g);
size_t engine_receivers(const engine *g, receiver *const **ret);
/* Runs fn on a query worker; RC_AGAIN when the queue is full. */
MUST_CHECK rc engine_offload(engine *g, void (*fn)(void *arg), void *arg);

/* Limits of one query (live keys). */
typedef struct engine_query_limits {
    int64_t timeout_ns;
    uint64_t max_bytes, max_records; /* max_bytes 0 = none */
    uint32_t max_series;
    unsigned workers;
} engine_query_limits;
void engine_query_limit(const engine *g, engine_query_limits *ret);

/* Stored log batches as they are acknowledged, for `tail`: fn is called on a worker thread with
 * each accepted batch while subscribed, and must be quick; slow subscribers lose batches, counted.
 */
MUST_CHECK rc engine_tap_add(engine *g, void (*fn)(void *ctx, const log_batch *b), void *ctx,
                             engine_tap **ret, err *e);
/* Batches so far that were stored and given to no subscriber at all. */
uint64_t engine_tap_lost(engine *g);
void engine_tap_remove(
    engine *g, engine_tap *t); /* fn is not running and not called any more when it returns */

typedef enum engine_state { ENGINE_STARTING = 0, ENGINE_READY, ENGINE_DRAINING } engine_state;
engine_state engine_state_of(const engine *g);
const char *engine_state_name(engine_state s);
/* Non-zero once the engine drains: long answers (tail) end. */
const volatile int *engine_draining(const engine *g);
/* RC_OK: takes input. Else the message says why not (starting, draining, disk full, read only). */
MUST_CHECK rc engine_ready(engine *g, err *e);

/* Everything countable, for /metrics and status: Prometheus text appended to out. */
MUST_CHECK bool engine_put_metrics(engine *g, buf *out);

/* The same figures for status. */
typedef struct engine_rates { /* of the last minute, a second */
    double records[SIGNAL_COUNT], bytes, requests;
} engine_rates;
typedef struct engine_figures engine_figures; /* engine/figures.h */
void engine_figure(engine *g, engine_figures *ret);

#endif
