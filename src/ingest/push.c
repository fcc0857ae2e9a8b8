/* push.c - a call from its handler to its answer.
 *
 *     handler --small--> decode --> nothing in it: answer
 *        |                 |
 *        `--large--> worker'       `--> sink.put ... done --> answer
 *
 * A call lives in the arena of its request, which is valid until the reply; so the reply is the
 * last thing that touches it. Calls under way are counted, so that stop can wait for the last one.
 * Counters are one row a kind; all of them together are the receiver's. */
#include "ingest/push.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "sys/thread.h"

typedef struct counters {
    atomic_uint_fast64_t requests, bytes, records, accepted, rejected, refused, invalid;
} counters;

typedef struct push_state {
    ingest_sink sink;
    counters kinds[PUSH_KINDS_MAX];
    sys_lock *lock;
    sys_queue *idle;  /* told when the last call has ended while stopping */
    size_t under_way; /* guarded by lock, as is: */
    bool stopping;
} push_state;

#define COUNT(field, by) ((void)atomic_fetch_add_explicit(&(field), (by), memory_order_relaxed))
#define READ(field)      atomic_load_explicit(&(field), memory_order_relaxed)

void push_init(push *p, const push_protocol *protocol, const receiver_ops *ops,
               const ingest_sink *sink) {
    *p = (push){.base = {.ops = ops}, .protocol = protocol, .state = mem_new(push_state)};
    p->state->sink = *sink;
    p->state->lock = sys_lock_new("push");
    p->state->idle = sys_queue_new(1);
}

void push_release(push *p) {
    if (!p || !p->state) return;
    MUST(p->state->under_way == 0);
    sys_lock_free(p->state->lock);
    sys_queue_free(p->state->idle);
    mem_free(p->state);
    p->state = NULL;
}

static bool begin_call(push_state *s) {
    sys_lock_take(s->lock);
    bool open = !s->stopping;
    if (open) s->under_way++;
    sys_lock_give(s->lock);
    return open;
}

static void end_call(push_state *s) {
    sys_lock_take(s->lock);
    MUST(s->under_way > 0);
    s->under_way--;
    /* Told under the lock: whoever hears it takes the lock before the state is freed. */
    if (s->stopping && s->under_way == 0) IGNORE(sys_queue_try_push(s->idle, s) != RC_OK);
    sys_lock_give(s->lock);
}

static void answer(push_call *c, rc code, str message) {
    push *p = c->owner;
    counters *n = &p->state->kinds[c->kind];
    if (code == RC_OK) {
        COUNT(n->accepted, c->records);
        COUNT(n->rejected, c->rejected);
    } else {
        COUNT(n->refused, c->records + c->rejected);
    }
    p->protocol->answer(c, code, message);
    end_call(p->state);
}

/* Of the sink; any thread. */
static void on_done(void *ctx, rc code, const err *e) {
    push_call *c = ctx;
    str why = code != RC_OK && e ? str_c(e->msg) : STR_NONE;
    if (code != RC_OK && why.n == 0) why = str_c(rc_name(code));
    answer(c, code, why);
}

static void decode(push_call *c) {
    push *p = c->owner;
    counters *n = &p->state->kinds[c->kind];
    telemetry *t = telemetry_new();
    t->body = c->body;
    t->body_bytes = c->body_bytes;
    t->arrival_ns = SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx).ns;
    c->body = NULL;
    err e = {0};
    rc code = p->protocol->decode(c, (str){t->body, c->body_bytes}, t, &e);
    if (code != RC_OK) {
        COUNT(n->invalid, 1);
        telemetry_free(t);
        answer(c, code, str_c(e.msg));
        return;
    }
    c->records = telemetry_count(t);
    c->rejected = t->rejected;
    COUNT(n->records, c->records + c->rejected);
    if (t->reject_reason.n) c->reason = str_dup(net_arena(c->request), t->reject_reason);
    if (c->records == 0) { /* an empty request, or nothing that can be kept */
        telemetry_free(t);
        answer(c, RC_OK, STR_NONE);
        return;
    }
    p->state->sink.put(p->state->sink.ctx, t, on_done, c);
}

static void decode_large(void *arg) {
    push_call *c = arg;
    const int *cancel = (const int *)(uintptr_t)net_request_cancel(c->request);
    if (__atomic_load_n(cancel, __ATOMIC_RELAXED) == NET_GONE) {
        mem_free(c->body); /* nobody waits for the answer: not stored */
        c->body = NULL;
        answer(c, RC_CANCELLED, S("the client went away"));
        return;
    }
    decode(c);
}

void push_count_invalid(push *p, unsigned kind, size_t bytes) {
    MUST(kind < PUSH_KINDS_MAX);
    COUNT(p->state->kinds[kind].requests, 1);
    COUNT(p->state->kinds[kind].bytes, bytes);
    COUNT(p->state->kinds[kind].invalid, 1);
}

void push_take(push *p, net_request *r, unsigned kind, unsigned encoding) {
    MUST(kind < PUSH_KINDS_MAX);
    push_state *s = p->state;
    counters *n = &s->kinds[kind];
    COUNT(n->requests, 1);
    COUNT(n->bytes, net_body(r).n);
    push_call *c = arena_try_bytes(net_arena(r), sizeof *c, _Alignof(push_call));
    bool open = c && begin_call(s);
    if (!open) {
        push_call refused = {.owner = p, .request = r, .kind = kind, .encoding = encoding};
        p->protocol->answer(&refused, RC_AGAIN,
                            c ? S("the server is stopping") : S("out of memory"));
        return;
    }
    *c = (push_call){.owner = p, .request = r, .kind = kind, .encoding = encoding};
    c->body = net_take_body(r, &c->body_bytes);
    if (c->body_bytes <= PUSH_INLINE_BYTES) {
        decode(c);
        return;
    }
    rc code = s->sink.offload(s->sink.ctx, decode_large, c);
    if (code == RC_OK) return;
    mem_free(c->body);
    c->body = NULL;
    answer(c, code, S("all workers are busy"));
}

rc push_start(push *p) {
    sys_lock_take(p->state->lock);
    p->state->stopping = false;
    sys_lock_give(p->state->lock);
    return RC_OK;
}

void push_stop(push *p) {
    push_state *s = p->state;
    sys_lock_take(s->lock);
    s->stopping = true;
    bool wait = s->under_way > 0;
    sys_lock_give(s->lock);
    void *item;
    if (wait) IGNORE(sys_queue_pop_wait(s->idle, PUSH_STOP_MS, &item) != RC_OK);
    sys_lock_take(s->lock); /* the last call is out of end_call */
    sys_lock_give(s->lock);
}

static void add(receiver_counts *to, const counters *n) {
    to->requests += READ(n->requests);
    to->bytes += READ(n->bytes);
    to->records += READ(n->records);
    to->accepted += READ(n->accepted);
    to->rejected += READ(n->rejected);
    to->refused += READ(n->refused);
    to->invalid_requests += READ(n->invalid);
}

void push_count_kind(const push *p, unsigned kind, receiver_counts *ret) {
    MUST(kind < PUSH_KINDS_MAX);
    *ret = (receiver_counts){0};
    add(ret, &p->state->kinds[kind]);
}

void push_count(const push *p, receiver_counts *ret) {
    *ret = (receiver_counts){0};
    for (unsigned i = 0; i < PUSH_KINDS_MAX; i++) add(ret, &p->state->kinds[i]);
}

int push_http_status(rc code) {
    if (code == RC_CANCELLED) return 503;
    return net_http_status(code);
}

int push_grpc_status(rc code) {
    if (code == RC_CANCELLED || code == RC_TIMEOUT) return net_grpc_status(RC_AGAIN);
    return net_grpc_status(code);
}
