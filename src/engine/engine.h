/* engine.h - the live pipeline of `faultline serve`: configuration in, a running engine out.
 *
 *     receivers -> telemetry -> mine -> store -> ack
 *
 * Owns: net servers, receivers, workers, miners (one a thread), the store, counters. api adds its
 * routes between engine_new and engine_start. */
#ifndef FL_ENGINE_ENGINE_H
#define FL_ENGINE_ENGINE_H

#include "engine/config.h"
#include "ingest/receiver.h"
#include "net/server.h"
#include "store/store.h"

typedef struct engine engine;

MUST_CHECK rc engine_new(const config *c, engine **ret,
                         err *e); /* opens the store, binds the ports */
MUST_CHECK rc engine_start(engine *g, err *e);
/* No new input, everything taken is acknowledged, store closed: SIGTERM. */
void engine_drain(engine *g, int64_t deadline_ms);
MUST_CHECK rc
engine_reload(engine *g, const config *c,
              err *e); /* SIGHUP: certificates, tokens, limits, log level, retention */
void engine_free(engine *g);

enum { ENGINE_GROUP_OTLP = 1, ENGINE_GROUP_API = 2 }; /* route groups of the net server */
net_server *engine_server(engine *g);
store *engine_store(engine *g);
const ingest_sink *engine_sink(engine *g);
/* Runs fn on a worker; RC_AGAIN when the queue is full. */
MUST_CHECK rc engine_offload(engine *g, void (*fn)(void *arg), void *arg);

/* Stored log batches as they are acknowledged, for `tail`: fn is called on a worker thread with
 * each accepted batch while subscribed, and must be quick; slow subscribers lose batches, counted.
 */
typedef struct engine_tap engine_tap;
MUST_CHECK rc engine_tap_add(engine *g, void (*fn)(void *ctx, const log_batch *b), void *ctx,
                             engine_tap **ret, err *e);
void engine_tap_remove(
    engine *g, engine_tap *t); /* fn is not running and not called any more when it returns */

typedef enum engine_state { ENGINE_STARTING = 0, ENGINE_READY, ENGINE_DRAINING } engine_state;
engine_state engine_state_of(const engine *g);

/* Everything countable, for /metrics and status: Prometheus text appended to out. */
MUST_CHECK bool engine_put_metrics(engine *g, buf *out);

#endif
