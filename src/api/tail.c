/* tail.c - following: GET /api/v1/tail?query={...}.
 *
 *     loop thread   parses the query, begins the stream, puts the follower on the queue
 *     workers       the engine's tap: filter a batch, make its text, put it on the queue
 *     hub thread    the only one that writes: takes the queue in order, adds and ends followers
 *
 * So a stream is written by one thread, workers never wait for a client, and a slow client loses
 * what does not fit, which the next event says ("dropped_batches"), at the latest the next beat or
 * the end. A comment line every
 * HEARTBEAT_S keeps proxies from closing and finds clients that are gone. */
#include <stdatomic.h>
#include <stdio.h>

#include "api/call_int.h"
#include "base/mem.h"
#include "base/vec.h"
#include "query/labels.h"
#include "sys/thread.h"

enum {
    FOLLOWERS_MAX = 200,
    QUEUE_MAX = 1024,
    BUFFERED_MAX = 4 << 20, /* of one client */
    EVENT_MAX = 16 << 20,
    POLL_MS = 250,
    HEARTBEAT_S = 10
};

typedef struct follower {
    api_tail *hub;
    net_request *r;
    query_tail *query; /* used by the tap's calls, one at a time */
    engine_tap *tap;
    bool ndjson, ended;
    atomic_uint pending; /* items of the queue that name it */
    atomic_uint_fast64_t dropped;
    atomic_uint_fast64_t lost_before; /* engine_tap_lost when it was last told */
} follower;

typedef struct item {
    follower *f;
    buf text;      /* an event; empty (no maximum): the follower is new */
    uint64_t told; /* dropped batches that the event speaks of */
} item;

struct api_tail {
    const api_env *env;
    sys_queue *queue;
    sys_thread *thread;
    atomic_uint count; /* of followers, asked for and not ended */
    atomic_bool stopping;
    VEC(follower *) followers; /* hub thread only, as what follows */
    int64_t last_beat_ns;
};

static int64_t ticks_ns(void) { return SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns; }

static void follower_free(follower *f) {
    query_tail_free(f->query);
    mem_free(f);
}

/* --- events --- */

static void put_entry(json_writer *w, const query_entry *en, query_label *labels, arena *tmp) {
    char ns[24];
    int n = snprintf(ns, sizeof(ns), "\"%" PRId64 "\"", en->ts_ns);
    size_t count = record_stream_labels(en->record, tmp, labels, LABELS_MAX);
    labels_sort(labels, count);
    json_write_object(w);
    json_write_key(w, S("stream"));
    api_put_labels(w, labels, count);
    json_write_key(w, S("values"));
    json_write_array(w);
    json_write_array(w);
    json_write_raw(w, str_make(ns, (size_t)n));
    json_write_str(w, en->line);
    api_put_labels(w, en->metadata, en->metadata_count);
    json_write_array_end(w);
    json_write_array_end(w);
    json_write_object_end(w);
}

/* What the follower did not get since it was last told. */
static uint64_t take_dropped(follower *f) {
    uint64_t lost = engine_tap_lost(f->hub->env->engine);
    uint64_t before = atomic_exchange(&f->lost_before, lost);
    return atomic_exchange(&f->dropped, 0) + (lost > before ? lost - before : 0);
}

/* The dropped batches that it speaks of. */
static uint64_t put_event(follower *f, const query_entry *en, size_t count, arena *tmp, buf *out) {
    query_label *labels = arena_try_new_n(tmp, query_label, LABELS_MAX);
    if (!labels) {
        atomic_fetch_add(&f->dropped, 1);
        return 0;
    }
    json_writer w;
    if (!f->ndjson) IGNORE(!buf_put(out, S("event: log\ndata: "))); /* full is seen by the caller */
    json_write_init(&w, out, 0);
    json_write_object(&w);
    json_write_key(&w, S("streams"));
    json_write_array(&w);
    for (size_t i = 0; i < count; i++) put_entry(&w, &en[i], labels, tmp);
    json_write_array_end(&w);
    uint64_t dropped = take_dropped(f);
    if (dropped) json_write_kv_i64(&w, S("dropped_batches"), (int64_t)dropped);
    json_write_object_end(&w);
    IGNORE(!buf_put(out, f->ndjson ? S("\n") : S("\n\n")));
    return dropped;
}

/* On a worker, one call at a time. */
static void on_batch(void *ctx, const log_batch *b) {
    follower *f = ctx;
    arena tmp;
    arena_init(&tmp, "followed records", 256 << 20);
    const query_entry *en;
    size_t count = 0;
    item *it = NULL;
    if (query_tail_offer(f->query, b, &tmp, &en, &count, NULL)) {
        atomic_fetch_add(&f->dropped, 1);
        count = 0;
    }
    if (count) {
        it = mem_new(item);
        it->f = f;
        buf_init(&it->text, EVENT_MAX);
        it->told = put_event(f, en, count, &tmp, &it->text);
        atomic_fetch_add(&f->pending, 1);
        if (it->text.full || sys_queue_try_push(f->hub->queue, it) != RC_OK) {
            atomic_fetch_sub(&f->pending, 1);
            atomic_fetch_add(&f->dropped, it->told + 1);
            buf_release(&it->text);
            mem_free(it);
        }
    }
    arena_release(&tmp);
}

/* --- the hub --- */

/* No event follows any more; freed when the queue names it no more. */
static void end_follower(api_tail *t, follower *f) {
    if (f->ended) return;
    f->ended = true;
    if (f->tap) engine_tap_remove(t->env->engine, f->tap);
    f->tap = NULL;
    net_stream_end(f->r, NULL);
    f->r = NULL;
    atomic_fetch_sub(&t->count, 1);
}

/* dropped: what a client that gets it not, did not get. */
static void write_to(api_tail *t, follower *f, str text, uint64_t dropped) {
    if (f->ended) return;
    rc c = net_stream_write(f->r, text);
    if (c == RC_AGAIN) {
        atomic_fetch_add(&f->dropped, dropped);
    } else if (c) {
        end_follower(t, f);
    }
}

/* An event without records, when something was dropped and no other event followed. */
static void tell_dropped(api_tail *t, follower *f) {
    char text[128];
    uint64_t dropped = f->ended ? 0 : take_dropped(f);
    if (dropped == 0) return;
    int n = snprintf(text, sizeof(text), "%s{\"streams\":[],\"dropped_batches\":%" PRIu64 "}%s",
                     f->ndjson ? "" : "event: log\ndata: ", dropped, f->ndjson ? "\n" : "\n\n");
    write_to(t, f, str_make(text, (size_t)n), dropped); /* if not now, with the next beat */
}

static void take_item(api_tail *t, item *it) {
    follower *f = it->f;
    if (it->text.max_bytes == 0) { /* a new one */
        vec_push(&t->followers, f);
        err e = {0};
        atomic_store(&f->lost_before, engine_tap_lost(t->env->engine));
        if (engine_tap_add(t->env->engine, on_batch, f, &f->tap, &e)) end_follower(t, f);
    } else {
        write_to(t, f, buf_str(&it->text), it->told + 1);
        buf_release(&it->text);
    }
    atomic_fetch_sub(&f->pending, 1);
    mem_free(it);
}

static void look_after(api_tail *t) {
    int64_t now = ticks_ns();
    bool beat = now - t->last_beat_ns >= HEARTBEAT_S * INT64_C(1000000000);
    if (beat) t->last_beat_ns = now;
    size_t kept = 0;
    for (size_t i = 0; i < t->followers.n; i++) {
        follower *f = t->followers.v[i];
        if (!f->ended && *net_request_cancel(f->r)) end_follower(t, f);
        if (beat) tell_dropped(t, f);
        if (!f->ended && beat) write_to(t, f, f->ndjson ? S("\n") : S(": keep-alive\n\n"), 0);
        if (f->ended && atomic_load(&f->pending) == 0) {
            follower_free(f);
        } else {
            t->followers.v[kept++] = f;
        }
    }
    t->followers.n = kept;
}

static void hub(void *ctx) {
    api_tail *t = ctx;
    for (;;) {
        void *it;
        rc c = sys_queue_pop_wait(t->queue, POLL_MS, &it);
        if (c == RC_OK) take_item(t, it);
        if (c == RC_END) break;
        if (c == RC_TIMEOUT || ticks_ns() - t->last_beat_ns >= HEARTBEAT_S * INT64_C(1000000000))
            look_after(t);
    }
    for (size_t i = 0; i < t->followers.n; i++) {
        tell_dropped(t, t->followers.v[i]);
        end_follower(t, t->followers.v[i]);
        follower_free(t->followers.v[i]);
    }
    vec_release(&t->followers);
}

/* --- requests --- */

static rc begin(api_tail *t, net_request *r, err *e) {
    str text = STR_NONE;
    if (!t->env->engine) return FAIL(e, RC_UNSUPPORTED, "nothing can be followed here");
    if (atomic_load(&t->stopping)) return FAIL(e, RC_AGAIN, "the server stops");
    if (!net_param(r, S("query"), 0, &text) || text.n == 0) text = S("{}");
    if (atomic_fetch_add(&t->count, 1) >= FOLLOWERS_MAX) {
        atomic_fetch_sub(&t->count, 1);
        return FAIL(e, RC_AGAIN, "%d clients follow already", FOLLOWERS_MAX);
    }
    follower *f = mem_new(follower);
    f->hub = t;
    f->r = r;
    f->ndjson = str_has(net_header(r, S("accept")), S("application/x-ndjson"));
    rc c = query_tail_new(text, &f->query, e);
    if (!c) {
        static const str HEADERS[] = {S_INIT("Cache-Control"), S_INIT("no-store"),
                                      S_INIT("X-Accel-Buffering"), S_INIT("no")};
        net_reply_opts o = {.status = 200,
                            .content_type =
                                f->ndjson ? S("application/x-ndjson") : S("text/event-stream"),
                            .headers = HEADERS,
                            .header_count = 2};
        item *it = mem_new(item);
        it->f = f;
        atomic_store(&f->pending, 1);
        /* Begun before it is queued: from then on the hub may write. */
        c = net_stream_begin(r, &o, BUFFERED_MAX);
        if (c == RC_OK && sys_queue_try_push(t->queue, it) == RC_OK) return RC_OK;
        mem_free(it);
        if (c == RC_OK) net_stream_end(r, NULL);
        if (c) net_reply_err(r, e); /* the client is gone */
        atomic_fetch_sub(&t->count, 1);
        follower_free(f);
        return RC_END;
    }
    atomic_fetch_sub(&t->count, 1);
    follower_free(f);
    return c;
}

static void on_tail(void *ctx, net_request *r) {
    err e = {0};
    rc c = begin(ctx, r, &e);
    if (c == RC_OK || c == RC_END) return;
    if (c == RC_INVALID) {
        net_reply_opts o = {.status = 400, .content_type = S("text/plain; charset=utf-8")};
        net_reply(r, &o, str_c(e.msg));
    } else {
        net_reply_err(r, &e);
    }
}

api_tail *api_tail_new(net_server *s, uint32_t group, const api_env *env) {
    api_tail *t = mem_new(api_tail);
    t->env = env;
    t->queue = sys_queue_new(QUEUE_MAX);
    t->last_beat_ns = ticks_ns();
    err e = {0};
    MUST(sys_thread_start("tail", hub, t, &t->thread, &e) == RC_OK);
    net_route_add(s, group, "GET", "/api/v1/tail", ROLE_READ, on_tail, t);
    return t;
}

void api_tail_stop(api_tail *t) {
    if (!t || !t->thread) return;
    atomic_store(&t->stopping, true);
    sys_queue_close(t->queue);
    sys_thread_join(t->thread);
    t->thread = NULL;
}

void api_tail_free(api_tail *t) {
    if (!t) return;
    api_tail_stop(t);
    sys_queue_free(t->queue);
    mem_free(t);
}
