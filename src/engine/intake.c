/* intake.c - admission, mining, storing, acknowledging.
 *
 * Admission. What is decoded and not acknowledged is counted in bytes (arenas and bodies); a
 * telemetry that would pass the budget is refused with RC_AGAIN, one that alone is larger than all
 * of it with RC_LIMIT. So memory is bounded whatever senders do, and they are told to come back
 * rather than held (peers that answer 500 here make clients drop data).
 *
 * Miners. A miner serves one thread at a time. They lie on a stack under a lock; whoever mines
 * takes the top one and puts it back, so that few threads use few miners and the warm one is used
 * first. Their memory is bounded (MINERS_BYTES over all), and what a miner cannot keep is no loss:
 * shape and slots of a line come from the line alone. A line that could not be mined at all (no
 * miner is free, its body is no text or too long, memory of the batch is used up) is stored as it
 * is and counted.
 *
 * Answers. `done` is called from the store's acknowledgement, on its thread; copies for followers
 * are handed out then, so a follower never sees what was not stored. */
#include "engine/intake.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/mem.h"
#include "engine/events.tbl.h"
#include "mine/mine.h"
#include "sys/thread.h"

enum {
    MINERS_MAX = 64,
    MINERS_BYTES = 32 << 20,
    MINER_BYTES_MIN = 1 << 20,
    MINER_BYTES_MAX = 8 << 20,
    MINER_SHAPES_MAX = 16384,
    MINE_BODY_BYTES_MAX = 32 << 10,
    SERVICES_MAX = 1 << 16,
    WAIT_STEP_MS = 5
};

typedef struct pooled {
    miner *m;
    uint64_t shapes, bytes, evicted, overflow; /* at the last return */
} pooled;

struct intake {
    store *store;
    taps *taps;
    sys_clock clock;
    sys_lock *lock; /* guards free, free_count, pool, made, services, ack_sum, ack_max */
    pooled pool[MINERS_MAX];
    uint8_t free[MINERS_MAX]; /* stack of indices in pool */
    unsigned free_count, made, miners_max;
    size_t miner_bytes;
    map64 services; /* hashes of service names seen */
    int64_t ack_sum_ns, ack_max_ns;
    uint64_t acks;
    atomic_bool closed;
    atomic_size_t memory, memory_max, waiting;
    atomic_uint_fast64_t records[SIGNAL_COUNT], requests, bytes;
    atomic_uint_fast64_t refused_memory, refused_queue, refused_closed, refused_large, failed;
    atomic_uint_fast64_t records_refused, not_mined;
};

rc intake_new(store *s, taps *t, unsigned threads, const sys_clock *clock, intake **ret, err *e) {
    (void)e;
    MUST(threads > 0);
    intake *in = mem_new(intake);
    in->store = s;
    in->taps = t;
    in->clock = *clock;
    in->lock = sys_lock_new("intake");
    in->miners_max = MIN(threads, MINERS_MAX);
    size_t share = MINERS_BYTES / in->miners_max;
    in->miner_bytes = MAX(MIN(share, (size_t)MINER_BYTES_MAX), (size_t)MINER_BYTES_MIN);
    map64_init(&in->services, SERVICES_MAX);
    atomic_store(&in->memory_max, SIZE_MAX);
    *ret = in;
    return RC_OK;
}

void intake_free(intake *in) {
    if (!in) return;
    MUST(atomic_load(&in->waiting) == 0);
    MUST(in->free_count == in->made);
    for (unsigned i = 0; i < in->made; i++) miner_free(in->pool[i].m);
    map64_release(&in->services);
    sys_lock_free(in->lock);
    mem_free(in);
}

void intake_set_memory(intake *in, uint64_t max_bytes) {
    atomic_store(&in->memory_max, (size_t)MIN(max_bytes, (uint64_t)SIZE_MAX));
}

void intake_close(intake *in) { atomic_store(&in->closed, true); }

bool intake_wait(intake *in, int64_t deadline_ns) {
    while (atomic_load(&in->waiting) > 0) {
        if (in->clock.ops->mono(in->clock.ctx).ns >= deadline_ns) return false;
        in->clock.ops->sleep(in->clock.ctx, (int64_t)WAIT_STEP_MS * 1000000);
    }
    return true;
}

/* ---- mining ---- */

/* NULL when all are in use. */
static pooled *miner_take(intake *in) {
    pooled *p = NULL;
    sys_lock_take(in->lock);
    if (in->free_count > 0) {
        p = &in->pool[in->free[--in->free_count]];
    } else if (in->made < in->miners_max) {
        miner_opts opts = {.max_shapes = MINER_SHAPES_MAX, .max_bytes = in->miner_bytes};
        if (miner_new(&opts, &in->pool[in->made].m, NULL) == RC_OK) p = &in->pool[in->made++];
    }
    sys_lock_give(in->lock);
    return p;
}

static void miner_give(intake *in, pooled *p) {
    miner_counts n;
    miner_count(p->m, &n);
    sys_lock_take(in->lock);
    p->shapes = n.shapes;
    p->bytes = n.bytes;
    p->evicted = n.evicted;
    p->overflow = n.overflow;
    in->free[in->free_count++] = (uint8_t)(p - in->pool);
    sys_lock_give(in->lock);
}

static bool can_mine(const log_record *r) {
    return r->body_type == ATTR_STR && r->body.n <= MINE_BODY_BYTES_MAX;
}

/* Mines records [from, from + n) of the batch in place. */
static bool mine_run(miner *m, log_batch *b, size_t from, size_t n) {
    log_record *rec = b->rec;
    size_t count = b->count;
    b->rec = rec + from;
    b->count = n;
    rc code = miner_batch(m, b, NULL);
    b->rec = rec;
    b->count = count;
    if (code == RC_OK) return true;
    for (size_t i = from; i < from + n; i++) {
        rec[i].shape = 0;
        rec[i].slots = NULL;
        rec[i].slot_count = 0;
    }
    return false;
}

/* Fills shapes and slots of all records it can; returns how many text records it could not. */
static uint64_t mine_logs(intake *in, log_batch *b) {
    if (b->count == 0) return 0;
    pooled *p = miner_take(in);
    uint64_t left = 0;
    for (size_t i = 0; i < b->count;) {
        size_t n = 0;
        while (i + n < b->count && can_mine(&b->rec[i + n])) n++;
        if (n > 0 && (!p || !mine_run(p->m, b, i, n))) left += n;
        i += n;
        if (i < b->count) {
            left += b->rec[i].body_type == ATTR_STR;
            i++;
        }
    }
    if (p) miner_give(in, p);
    return left;
}

/* ---- how many services ---- */

static void note_service(intake *in, const resource *r, const resource **last) {
    if (r == *last || !r) return;
    *last = r;
    if (r->service.n > 0)
        IGNORE(map64_put(&in->services, str_hash(r->service), NULL)); /* "at least" */
}

static void note_services(intake *in, const telemetry *t) {
    const resource *last = NULL;
    sys_lock_take(in->lock);
    for (size_t i = 0; i < t->logs.count; i++) note_service(in, t->logs.rec[i].resource, &last);
    for (size_t i = 0; i < t->spans.count; i++) note_service(in, t->spans.rec[i].resource, &last);
    for (size_t i = 0; i < t->metrics.info_count; i++)
        note_service(in, t->metrics.info[i].resource, &last);
    for (size_t i = 0; i < t->profiles.count; i++)
        note_service(in, t->profiles.rec[i].resource, &last);
    sys_lock_give(in->lock);
}

/* ---- on its way ---- */

typedef struct passage {
    intake *in;
    tap_copy *copy;
    ingest_done done;
    void *done_ctx;
    size_t cost;
    int64_t put_ns;
    uint64_t bytes;
    uint32_t records[SIGNAL_COUNT];
    bool own;
} passage;

static size_t cost_of(const telemetry *t) {
    return t->body_bytes + t->mem.held_bytes + t->logs.mem.held_bytes + sizeof *t;
}

static uint64_t records_of(const passage *p) {
    uint64_t n = 0;
    for (size_t i = 0; i < SIGNAL_COUNT; i++) n += p->records[i];
    return n;
}

static void count_failure(passage *p, rc code, const err *e) {
    intake *in = p->in;
    atomic_fetch_add(&in->records_refused, records_of(p));
    if (code == RC_AGAIN) {
        atomic_fetch_add(&in->refused_queue, 1);
        if (!p->own)
            engine_log(OVERLOADED, SYS_LOG_STR("why", S("the store's queue is full")),
                       SYS_LOG_INT("records", (int64_t)records_of(p)));
        return;
    }
    atomic_fetch_add(&in->failed, 1);
    err none = {.code = code};
    if (!p->own) engine_log(STORE_FAILED, SYS_LOG_ERR(e ? e : &none));
}

static void count_success(passage *p) {
    intake *in = p->in;
    for (size_t i = 0; i < SIGNAL_COUNT; i++) atomic_fetch_add(&in->records[i], p->records[i]);
    atomic_fetch_add(&in->requests, 1);
    atomic_fetch_add(&in->bytes, p->bytes);
    int64_t took = in->clock.ops->mono(in->clock.ctx).ns - p->put_ns;
    sys_lock_take(in->lock);
    in->acks++;
    in->ack_sum_ns += took;
    in->ack_max_ns = MAX(in->ack_max_ns, took);
    sys_lock_give(in->lock);
}

static void finish(passage *p, rc code, const err *e) {
    intake *in = p->in;
    if (code == RC_OK) {
        count_success(p);
        taps_deliver(in->taps, p->copy);
    } else {
        count_failure(p, code, e);
        taps_drop(in->taps, p->copy);
    }
    atomic_fetch_sub(&in->memory, p->cost);
    p->done(p->done_ctx, code, e);
    mem_free(p);
    atomic_fetch_sub(&in->waiting, 1); /* last: intake_wait returns after every answer */
}

static void on_ack(void *ctx, rc code, const err *e) { finish(ctx, code, e); }

static void refuse(intake *in, telemetry *t, atomic_uint_fast64_t *counter, rc code,
                   const char *why, bool own, ingest_done done, void *done_ctx) {
    atomic_fetch_add(counter, 1);
    atomic_fetch_add(&in->records_refused, telemetry_count(t));
    if (!own) {
        engine_log(OVERLOADED, SYS_LOG_STR("why", str_c(why)),
                   SYS_LOG_INT("records", (int64_t)telemetry_count(t)));
    }
    telemetry_free(t);
    err e = {0};
    FAIL(&e, code, "%s", why);
    done(done_ctx, code, &e);
}

/* Takes `cost` from the budget. RC_AGAIN: not now; RC_LIMIT: never. */
static rc admit(intake *in, size_t cost) {
    size_t max = atomic_load(&in->memory_max);
    if (cost > max) return RC_LIMIT;
    if (atomic_fetch_add(&in->memory, cost) + cost <= max) return RC_OK;
    atomic_fetch_sub(&in->memory, cost);
    return RC_AGAIN;
}

void intake_put(intake *in, telemetry *t, bool own, ingest_done done, void *done_ctx) {
    /* Counted before `closed` is read: intake_close then intake_wait misses nobody. */
    atomic_fetch_add(&in->waiting, 1);
    if (atomic_load(&in->closed)) {
        refuse(in, t, &in->refused_closed, RC_AGAIN, "the server is stopping", own, done, done_ctx);
        atomic_fetch_sub(&in->waiting, 1);
        return;
    }
    size_t cost = cost_of(t);
    rc code = admit(in, cost);
    if (code != RC_OK) {
        bool never = code == RC_LIMIT;
        refuse(in, t, never ? &in->refused_large : &in->refused_memory, code,
               never ? "the request needs more memory than limits.memory"
                     : "memory of telemetry that waits is used up",
               own, done, done_ctx);
        atomic_fetch_sub(&in->waiting, 1);
        return;
    }
    uint64_t not_mined = mine_logs(in, &t->logs);
    if (not_mined > 0) {
        atomic_fetch_add(&in->not_mined, not_mined);
        if (!own) engine_log(NOT_MINED, SYS_LOG_INT("records", (int64_t)not_mined));
    }
    note_services(in, t);
    /* What mining added to the batch counts, too: it was admitted and is not refused for it. */
    size_t grown = cost_of(t);
    if (grown > cost) atomic_fetch_add(&in->memory, grown - cost);
    passage *p = mem_new(passage);
    *p = (passage){.in = in,
                   .copy = taps_copy(in->taps, &t->logs, t->arrival_ns),
                   .done = done,
                   .done_ctx = done_ctx,
                   .cost = MAX(cost, grown),
                   .put_ns = in->clock.ops->mono(in->clock.ctx).ns,
                   .bytes = t->body_bytes,
                   .records = {(uint32_t)t->logs.count, (uint32_t)t->spans.count,
                               (uint32_t)t->metrics.count, (uint32_t)t->profiles.count},
                   .own = own};
    code = in->store->ops->append(in->store, t, on_ack, p);
    if (code == RC_OK) return;
    telemetry_free(t);
    err e = {0};
    FAIL(&e, code, "%s",
         code == RC_AGAIN ? "the store's queue is full" : "the store takes nothing");
    finish(p, code, &e);
}

void intake_count(intake *in, intake_counts *ret) {
    *ret = (intake_counts){.requests = atomic_load(&in->requests),
                           .bytes = atomic_load(&in->bytes),
                           .refused_memory = atomic_load(&in->refused_memory),
                           .refused_queue = atomic_load(&in->refused_queue),
                           .refused_closed = atomic_load(&in->refused_closed),
                           .refused_large = atomic_load(&in->refused_large),
                           .failed = atomic_load(&in->failed),
                           .records_refused = atomic_load(&in->records_refused),
                           .not_mined = atomic_load(&in->not_mined),
                           .memory_bytes = atomic_load(&in->memory),
                           .memory_max_bytes = atomic_load(&in->memory_max),
                           .waiting = atomic_load(&in->waiting)};
    for (size_t i = 0; i < SIGNAL_COUNT; i++) ret->records[i] = atomic_load(&in->records[i]);
    sys_lock_take(in->lock);
    for (unsigned i = 0; i < in->made; i++) {
        ret->shapes += in->pool[i].shapes;
        ret->miner_bytes += in->pool[i].bytes;
        ret->evicted += in->pool[i].evicted;
        ret->overflow += in->pool[i].overflow;
    }
    ret->services = in->services.count;
    ret->acks = in->acks;
    ret->ack_sum_ns = in->ack_sum_ns;
    ret->ack_max_ns = in->ack_max_ns;
    sys_lock_give(in->lock);
}
