/* self.c - collects into one telemetry under a lock and hands it on once a second. */
#include "engine/self.h"

#include <openssl/rand.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "codec/otlp.h"
#include "engine/events.tbl.h"
#include "sys/thread.h"

enum {
    WAITING_LOGS_MAX = 1000,
    WAITING_SPANS_MAX = 10, /* a flush: ten a second */
    BODY_BYTES_MAX = 4096,
    ATTRS_MAX = 24
};
static const int64_t MUTED_NS = INT64_C(30) * 1000000000;

struct self_telemetry {
    intake *in;
    sys_clock clock;
    sys_lock *lock;     /* guards waiting and what is built in it */
    telemetry *waiting; /* NULL: nothing */
    resource *resource; /* in waiting's arena */
    str version, instance;
    arena mem;
    atomic_bool logs_on;
    atomic_int_fast64_t muted_until; /* monotonic: nothing is kept after a failure to store */
    atomic_uint_fast64_t one_in, seen, logs, spans, dropped;
};

self_telemetry *self_new(intake *in, str version, str instance, const sys_clock *clock) {
    self_telemetry *s = mem_new(self_telemetry);
    s->in = in;
    s->clock = *clock;
    s->lock = sys_lock_new("self");
    arena_init(&s->mem, "self", 1 << 16);
    s->version = str_dup(&s->mem, version);
    s->instance = str_dup(&s->mem, instance);
    return s;
}

void self_free(self_telemetry *s) {
    if (!s) return;
    telemetry_free(s->waiting);
    arena_release(&s->mem);
    sys_lock_free(s->lock);
    mem_free(s);
}

void self_set(self_telemetry *s, bool logs, uint64_t trace_one_in) {
    atomic_store(&s->logs_on, logs);
    atomic_store(&s->one_in, trace_one_in);
}

/* Under the lock: the telemetry that collects. NULL when memory is out. */
static telemetry *collecting(self_telemetry *s) {
    if (s->waiting) return s->waiting;
    telemetry *t = telemetry_new();
    resource *r = arena_try_new(&t->mem, resource);
    attribute *attrs = arena_try_new_n(&t->mem, attribute, 3);
    if (!r || !attrs) {
        telemetry_free(t);
        return NULL;
    }
    attrs[0] = attribute_text_of(S("service.name"), S("faultline"));
    attrs[1] = attribute_text_of(S("service.version"), str_dup(&t->mem, s->version));
    attrs[2] = attribute_text_of(S("service.instance.id"), str_dup(&t->mem, s->instance));
    r->attrs = attrs;
    r->attr_count = 3;
    resource_finish(r);
    s->resource = r;
    s->waiting = t;
    return t;
}

/* ---- logs ---- */

static bool put_attr(arena *mem, const sys_log_field *f, attribute *to) {
    to->key = str_dup(mem, str_c(f->key));
    switch (f->kind) {
    case SYS_LOG_TEXT:
        to->val = str_dup(mem, str_sub(f->text, 0, BODY_BYTES_MAX));
        return true;
    case SYS_LOG_NUMBER:
        to->type = ATTR_INT;
        to->num = f->number;
        return true;
    case SYS_LOG_REAL:
        to->type = ATTR_DOUBLE;
        memcpy(&to->num, &f->real, sizeof to->num);
        return true;
    }
    return false;
}

/* The line as a person reads it: event, then what it says. */
static str body_of(arena *mem, const char *event, const sys_log_field *fields, size_t count) {
    buf b;
    buf_init(&b, BODY_BYTES_MAX);
    IGNORE(buf_put(&b, str_c(event))); /* cut when too long */
    for (size_t i = 0; i < count && !b.full; i++) {
        const sys_log_field *f = &fields[i];
        if (f->kind == SYS_LOG_TEXT && f->text.n == 0) continue;
        buf_fmt(&b, " %s=", f->key);
        if (f->kind == SYS_LOG_TEXT) buf_put(&b, f->text);
        if (f->kind == SYS_LOG_NUMBER) buf_i64(&b, f->number);
        if (f->kind == SYS_LOG_REAL) buf_double(&b, f->real);
    }
    str got = str_dup(mem, buf_str(&b));
    buf_release(&b);
    return got;
}

static bool add_log(self_telemetry *s, int64_t at_ns, sys_log_level level, const char *event,
                    const sys_log_field *fields, size_t count) {
    static const uint8_t SEVERITY[] = {
        [SYS_LOG_DEBUG] = 5, [SYS_LOG_INFO] = 9, [SYS_LOG_WARN] = 13, [SYS_LOG_ERROR] = 17};
    telemetry *t = collecting(s);
    if (!t || t->logs.count >= WAITING_LOGS_MAX) return false;
    arena *mem = &t->logs.mem;
    count = MIN(count, (size_t)ATTRS_MAX);
    attribute *attrs = arena_try_new_n(mem, attribute, count);
    log_record *r = attrs ? log_batch_add(&t->logs) : NULL;
    if (!r) return false;
    uint32_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool empty = fields[i].kind == SYS_LOG_TEXT && fields[i].text.n == 0;
        if (!empty && put_attr(mem, &fields[i], &attrs[n])) n++;
    }
    r->ts_ns = r->observed_ns = at_ns;
    r->body = r->raw = body_of(mem, event, fields, count);
    r->event_name = str_dup(mem, str_c(event));
    r->severity = SEVERITY[level];
    r->resource = s->resource;
    r->service = s->resource->service;
    r->attrs = attrs;
    r->attr_count = n;
    r->line_count = 1;
    return true;
}

/* A store that fails says so in the log; those lines cannot be stored, and are not tried again and
 * again. */
static bool is_muted(self_telemetry *s) {
    return s->clock.ops->mono(s->clock.ctx).ns < atomic_load(&s->muted_until);
}

void self_on_log(void *ctx, int64_t at_ns, sys_log_level level, const char *event,
                 const sys_log_field *fields, size_t count) {
    self_telemetry *s = ctx;
    if (level < SYS_LOG_INFO || !atomic_load(&s->logs_on) || is_muted(s)) return;
    /* Compaction of a journal that holds own lines must not write a line that fills a journal. */
    if (strcmp(event, ENGINE_EVENT[ENGINE_EVENT_STORE_EVENT].name) == 0) return;
    sys_lock_take(s->lock);
    bool kept = add_log(s, at_ns, level, event, fields, count);
    sys_lock_give(s->lock);
    atomic_fetch_add(kept ? &s->logs : &s->dropped, 1);
}

/* ---- requests ---- */

static bool add_span(self_telemetry *s, const net_access *a) {
    telemetry *t = collecting(s);
    if (!t || t->spans.count >= WAITING_SPANS_MAX) return false;
    arena *mem = &t->mem;
    attribute *attrs = arena_try_new_n(mem, attribute, 5);
    span *x = attrs ? telemetry_add_span(t) : NULL;
    if (!x) return false;
    int64_t now = s->clock.ops->wall(s->clock.ctx).ns;
    if (RAND_bytes(x->trace_id, sizeof x->trace_id) != 1 ||
        RAND_bytes(x->span_id, sizeof x->span_id) != 1) {
        t->spans.count--;
        return false;
    }
    x->trace_id[0] |= 1; /* never all zero */
    x->span_id[0] |= 1;
    x->resource = s->resource;
    x->name = str_fmt(mem, "%.*s %.*s", STR_ARG(a->method), STR_ARG(a->path));
    x->start_ns = now - a->duration_ns;
    x->end_ns = now;
    x->kind = SPAN_SERVER;
    bool failed = a->grpc_status > 0 || a->status >= 500;
    x->status = failed ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
    attrs[0] = attribute_text_of(S("http.request.method"), str_dup(mem, a->method));
    attrs[1] = attribute_text_of(S("url.path"), str_dup(mem, a->path));
    attrs[2] =
        (attribute){.key = S("http.response.status_code"), .type = ATTR_INT, .num = a->status};
    attrs[3] = (attribute){
        .key = S("http.request.body.size"), .type = ATTR_INT, .num = (int64_t)a->request_bytes};
    attrs[4] = (attribute){
        .key = S("http.response.body.size"), .type = ATTR_INT, .num = (int64_t)a->response_bytes};
    x->attrs = attrs;
    x->attr_count = 5;
    return true;
}

void self_on_request(self_telemetry *s, const net_access *a) {
    uint64_t one_in = atomic_load_explicit(&s->one_in, memory_order_relaxed);
    if (one_in == 0 || is_muted(s)) return;
    if (atomic_fetch_add(&s->seen, 1) % one_in != one_in - 1) return;
    sys_lock_take(s->lock);
    bool kept = add_span(s, a);
    sys_lock_give(s->lock);
    atomic_fetch_add(kept ? &s->spans : &s->dropped, 1);
}

/* ---- handing on ---- */

static void on_done(void *ctx, rc code, const err *e) {
    (void)e;
    self_telemetry *s = ctx;
    if (code == RC_OK) return;
    atomic_fetch_add(&s->dropped, 1); /* a batch; nothing is said about it */
    atomic_store(&s->muted_until, s->clock.ops->mono(s->clock.ctx).ns + MUTED_NS);
}

void self_flush(self_telemetry *s) {
    sys_lock_take(s->lock);
    telemetry *t = s->waiting;
    s->waiting = NULL;
    sys_lock_give(s->lock);
    if (!t) return;
    t->arrival_ns = s->clock.ops->wall(s->clock.ctx).ns;
    intake_put(s->in, t, true, on_done, s);
}

void self_count(const self_telemetry *s, self_counts *ret) {
    *ret = (self_counts){.logs = atomic_load(&s->logs),
                         .spans = atomic_load(&s->spans),
                         .dropped = atomic_load(&s->dropped)};
}
