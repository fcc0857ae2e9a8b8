/* api.h - the ecosystem's query APIs over the store: Loki's, Prometheus', Tempo's, and following.
 *
 *     api_query *q = api_query_new(engine)   between engine_new and engine_start
 *     api_query_stop(q)                      before engine_drain: ends those who follow
 *     api_query_free(q)                      after engine_free
 *
 * Queries run on the engine's query workers, never on loop threads, within the limits of the
 * configuration, and are cancelled when the client goes away. */
#ifndef FL_API_API_H
#define FL_API_API_H

#include "engine/engine.h"

/* What the handlers work with. Lives as long as the server. */
typedef struct api_env {
    store *store;
    engine *engine; /* NULL (tests): default limits, nothing to follow */
    /* Runs fn(arg) on a worker; RC_AGAIN when the queue is full. */
    rc (*offload)(void *ctx, void (*fn)(void *arg), void *arg);
    void *offload_ctx;
    str version;
} api_env;

/* Routes of one API each, for listeners of `group`. */
void api_loki_add(net_server *s, uint32_t group, const api_env *env);
void api_prometheus_add(net_server *s, uint32_t group, const api_env *env);
void api_tempo_add(net_server *s, uint32_t group, const api_env *env);

/* GET /api/v1/tail?query=: log records as they are acknowledged, as server-sent events, or as lines
 * of JSON when application/x-ndjson is accepted. One thread serves all who follow. */
typedef struct api_tail api_tail;
api_tail *api_tail_new(net_server *s, uint32_t group, const api_env *env);
void api_tail_stop(api_tail *t); /* accepts NULL; ends all streams */
void api_tail_free(api_tail *t); /* accepts NULL; stops first */

typedef struct api_query api_query;
api_query *api_query_new(engine *g, str version);
void api_query_stop(api_query *q); /* accepts NULL */
void api_query_free(api_query *q); /* accepts NULL */

#endif
