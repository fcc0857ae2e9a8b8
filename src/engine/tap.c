/* tap.c - one deep copy for all followers.
 *
 * The store owns a telemetry from the moment it is appended, and frees it before or after its
 * acknowledgement as it likes; so what followers are to see afterwards is copied before. Without a
 * follower (nearly always) nothing is copied. At most TAP_COPIES_MAX copies exist at once.
 *
 * Each tap has a lock of its own, held around its call: taps_remove waits for the call that runs,
 * and a later one finds it gone. The lock of the list is never held while a tap runs. */
#include "engine/tap.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "sys/thread.h"

struct engine_tap {
    void (*fn)(void *ctx, const log_batch *b);
    void *ctx;
    sys_lock *lock; /* held while fn runs; guards gone */
    bool gone;
    unsigned refs; /* guarded by taps.lock: the list, and deliveries under way */
};

struct tap_copy {
    taps *of;
    log_batch batch;
};

struct taps {
    workers *workers;
    sys_lock *lock; /* guards list, count, refs of taps */
    engine_tap *list[TAPS_MAX];
    size_t count;
    atomic_size_t present; /* = count, read without the lock */
    atomic_size_t copies;
    atomic_uint_fast64_t delivered, dropped;
    atomic_uint_fast64_t lost; /* of dropped: stored all the same */
};

taps *taps_new(workers *w) {
    taps *t = mem_new(taps);
    t->workers = w;
    t->lock = sys_lock_new("taps");
    return t;
}

void taps_free(taps *t) {
    if (!t) return;
    MUST(t->count == 0 && atomic_load(&t->copies) == 0);
    sys_lock_free(t->lock);
    mem_free(t);
}

rc taps_add(taps *t, void (*fn)(void *ctx, const log_batch *b), void *ctx, engine_tap **ret,
            err *e) {
    sys_lock_take(t->lock);
    bool room = t->count < TAPS_MAX;
    if (room) {
        engine_tap *tap = mem_new(engine_tap);
        *tap = (engine_tap){.fn = fn, .ctx = ctx, .lock = sys_lock_new("tap"), .refs = 1};
        t->list[t->count++] = tap;
        atomic_store(&t->present, t->count);
        *ret = tap;
    }
    sys_lock_give(t->lock);
    return room ? RC_OK : FAIL(e, RC_LIMIT, "%d clients follow already", TAPS_MAX);
}

static void unref(taps *t, engine_tap *tap) {
    sys_lock_take(t->lock);
    bool last = --tap->refs == 0;
    sys_lock_give(t->lock);
    if (!last) return;
    sys_lock_free(tap->lock);
    mem_free(tap);
}

void taps_remove(taps *t, engine_tap *tap) {
    sys_lock_take(t->lock);
    size_t i = 0;
    while (i < t->count && t->list[i] != tap) i++;
    MUST(i < t->count);
    t->list[i] = t->list[--t->count];
    atomic_store(&t->present, t->count);
    sys_lock_give(t->lock);
    sys_lock_take(tap->lock); /* waits for a call that runs */
    tap->gone = true;
    sys_lock_give(tap->lock);
    unref(t, tap);
}

/* ---- the copy ---- */

static bool copy_attrs(arena *mem, const attribute *from, uint32_t n, const attribute **ret) {
    if (n == 0) return *ret = NULL, true;
    attribute *to = arena_try_new_n(mem, attribute, n);
    if (!to) return false;
    for (uint32_t i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].key = str_dup(mem, from[i].key);
        to[i].val = str_dup(mem, from[i].val);
    }
    *ret = to;
    return true;
}

static const resource *copy_resource(arena *mem, const resource *from) {
    resource *to = arena_try_new(mem, resource);
    if (!to) return NULL;
    *to = *from;
    to->schema_url = str_dup(mem, from->schema_url);
    to->entity_refs = str_dup(mem, from->entity_refs);
    to->service = str_dup(mem, from->service);
    to->host = str_dup(mem, from->host);
    return copy_attrs(mem, from->attrs, from->attr_count, &to->attrs) ? to : NULL;
}

static const scope *copy_scope(arena *mem, const scope *from) {
    scope *to = arena_try_new(mem, scope);
    if (!to) return NULL;
    *to = *from;
    to->name = str_dup(mem, from->name);
    to->version = str_dup(mem, from->version);
    to->schema_url = str_dup(mem, from->schema_url);
    return copy_attrs(mem, from->attrs, from->attr_count, &to->attrs) ? to : NULL;
}

/* Slots are left out: followers read text. Resources and scopes that follow each other are copied
 * once. */
static bool copy_batch(const log_batch *from, int64_t arrival_ns, log_batch *to) {
    arena *mem = &to->mem;
    const resource *last_resource = NULL, *resource_copy = NULL;
    const scope *last_scope = NULL, *scope_copy = NULL;
    for (size_t i = 0; i < from->count; i++) {
        const log_record *a = &from->rec[i];
        log_record *b = log_batch_add_over(to);
        if (!b) return false;
        *b = *a;
        b->kept_ns = a->ts_ns != TS_NONE ? a->ts_ns : a->observed_ns ? a->observed_ns : arrival_ns;
        str *texts[] = {&b->raw,        &b->body,      &b->service,  &b->component,
                        &b->host,       &b->trace_id,  &b->span_id,  &b->severity_text,
                        &b->event_name, &b->trace_bin, &b->span_bin, &b->body_any};
        bool raw_is_body = a->raw.p == a->body.p && a->raw.n == a->body.n;
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            if (texts[k] == &b->raw && raw_is_body) continue;
            bool empty = texts[k]->n == 0;
            *texts[k] = str_dup(mem, *texts[k]);
            if (!empty && !texts[k]->p) return false;
        }
        if (raw_is_body) b->raw = b->body;
        b->slots = NULL;
        b->slot_count = 0;
        if (!copy_attrs(mem, a->attrs, a->attr_count, &b->attrs)) return false;
        if (a->resource && a->resource != last_resource) {
            last_resource = a->resource;
            resource_copy = copy_resource(mem, a->resource);
        }
        if (a->scope && a->scope != last_scope) {
            last_scope = a->scope;
            scope_copy = copy_scope(mem, a->scope);
        }
        b->resource = a->resource ? resource_copy : NULL;
        b->scope = a->scope ? scope_copy : NULL;
        if ((a->resource && !b->resource) || (a->scope && !b->scope)) return false;
    }
    return true;
}

static void copy_free(tap_copy *c) {
    atomic_fetch_sub(&c->of->copies, 1);
    log_batch_release(&c->batch);
    mem_free(c);
}

tap_copy *taps_copy(taps *t, const log_batch *b, int64_t arrival_ns) {
    if (atomic_load_explicit(&t->present, memory_order_relaxed) == 0 || b->count == 0) return NULL;
    if (atomic_fetch_add(&t->copies, 1) >= TAP_COPIES_MAX) {
        atomic_fetch_sub(&t->copies, 1);
        atomic_fetch_add(&t->dropped, 1);
        atomic_fetch_add(&t->lost, 1);
        return NULL;
    }
    tap_copy *c = mem_new(tap_copy);
    c->of = t;
    log_batch_init(&c->batch);
    if (copy_batch(b, arrival_ns, &c->batch)) return c;
    atomic_fetch_add(&t->dropped, 1);
    atomic_fetch_add(&t->lost, 1);
    copy_free(c);
    return NULL;
}

static void deliver(void *arg) {
    tap_copy *c = arg;
    taps *t = c->of;
    engine_tap *now[TAPS_MAX];
    sys_lock_take(t->lock);
    size_t n = t->count;
    for (size_t i = 0; i < n; i++) {
        now[i] = t->list[i];
        now[i]->refs++;
    }
    sys_lock_give(t->lock);
    for (size_t i = 0; i < n; i++) {
        sys_lock_take(now[i]->lock);
        if (!now[i]->gone) now[i]->fn(now[i]->ctx, &c->batch);
        sys_lock_give(now[i]->lock);
        unref(t, now[i]);
    }
    atomic_fetch_add(&t->delivered, 1);
    copy_free(c);
}

void taps_deliver(taps *t, tap_copy *c) {
    if (!c) return;
    if (workers_run(t->workers, deliver, c) == RC_OK) return;
    atomic_fetch_add(&t->lost, 1);
    taps_drop(t, c);
}

void taps_drop(taps *t, tap_copy *c) {
    if (!c) return;
    atomic_fetch_add(&t->dropped, 1);
    copy_free(c);
}

uint64_t taps_lost(taps *t) { return atomic_load(&t->lost); }

void taps_count(taps *t, taps_counts *ret) {
    *ret = (taps_counts){.delivered = atomic_load(&t->delivered),
                         .dropped = atomic_load(&t->dropped),
                         .taps = atomic_load(&t->present),
                         .waiting = atomic_load(&t->copies)};
}
