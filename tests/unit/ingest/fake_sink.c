#include "fake_sink.h"

#include <unistd.h>

#include "codec/syslog.h"

static char *copy(str s) {
    char *p = mem_alloc(s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    return p;
}

static str attr_text(const log_record *r, str key) {
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (str_eq(r->attrs[i].key, key)) return r->attrs[i].val;
    return STR_NONE;
}

static str resource_text(const log_record *r, str key) {
    for (uint32_t i = 0; r->resource && i < r->resource->attr_count; i++)
        if (str_eq(r->resource->attrs[i].key, key)) return r->resource->attrs[i].val;
    return STR_NONE;
}

static void store_record(fake_sink *s, const log_record *r) {
    buf original;
    buf_init(&original, 1 << 20);
    IGNORE(syslog_put_original(r, &original)); /* of a file's record: stays empty */
    sink_record kept = {.body = copy(r->body),
                        .body_bytes = r->body.n,
                        .service = copy(resource_text(r, S("service.name"))),
                        .host = copy(resource_text(r, S("host.name"))),
                        .path = copy(attr_text(r, S("log.file.path"))),
                        .original = copy(buf_str(&original)),
                        .ts_ns = r->ts_ns,
                        .severity = r->severity};
    buf_release(&original);
    vec_push(&s->records, kept);
}

static void free_point(sink_point *p) {
    mem_free(p->key);
    mem_free(p->data);
}

static void store_point(fake_sink *s, const tail_checkpoint *c) {
    MUST(c->key.n <= 512 && c->data.n <= 4096);
    sink_point fresh = {
        .key = copy(c->key), .key_bytes = c->key.n, .data = copy(c->data), .data_bytes = c->data.n};
    for (size_t i = 0; i < s->points.n; i++) {
        if (!str_eq(str_make(s->points.v[i].key, s->points.v[i].key_bytes), c->key)) continue;
        free_point(&s->points.v[i]);
        s->points.v[i] = fresh;
        return;
    }
    vec_push(&s->points, fresh);
}

/* Under the lock: records and checkpoints together, or nothing. */
static void store(fake_sink *s, const telemetry *t) {
    for (size_t i = 0; i < t->logs.count; i++) store_record(s, &t->logs.rec[i]);
    for (uint32_t i = 0; i < t->checkpoint_count; i++) store_point(s, &t->checkpoints[i]);
}

static void put(void *ctx, telemetry *t, ingest_done done, void *done_ctx) {
    fake_sink *s = ctx;
    rc code = RC_OK;
    sys_lock_take(s->lock);
    s->puts++;
    if (s->hold) {
        vec_push(&s->held, (sink_held){t, done, done_ctx});
        sys_lock_give(s->lock);
        return;
    }
    if (s->refuse > 0) {
        s->refuse--;
        code = s->refuse_code;
    } else {
        store(s, t);
    }
    sys_lock_give(s->lock);
    telemetry_free(t);
    done(done_ctx, code, NULL);
}

void sink_answer(fake_sink *s, rc code) {
    for (;;) {
        sys_lock_take(s->lock);
        if (s->held.n == 0) {
            sys_lock_give(s->lock);
            return;
        }
        sink_held h = s->held.v[0];
        memmove(s->held.v, s->held.v + 1, (s->held.n - 1) * sizeof h);
        s->held.n--;
        if (code == RC_OK) store(s, h.t);
        sys_lock_give(s->lock);
        telemetry_free(h.t);
        h.done(h.done_ctx, code, NULL);
    }
}

static rc checkpoint(void *ctx, str key, arena *out, str *ret) {
    fake_sink *s = ctx;
    rc r = RC_NOT_FOUND;
    sys_lock_take(s->lock);
    for (size_t i = 0; i < s->points.n && r != RC_OK; i++) {
        const sink_point *p = &s->points.v[i];
        if (!str_eq(str_make(p->key, p->key_bytes), key)) continue;
        *ret = str_dup(out, str_make(p->data, p->data_bytes));
        r = RC_OK;
    }
    sys_lock_give(s->lock);
    return r;
}

static rc offload(void *ctx, void (*fn)(void *arg), void *arg) {
    (void)ctx;
    fn(arg);
    return RC_OK;
}

void sink_init(fake_sink *s) {
    *s = (fake_sink){.refuse_code = RC_AGAIN};
    s->lock = sys_lock_new("fake sink");
}

void sink_release(fake_sink *s) {
    MUST(s->held.n == 0);
    for (size_t i = 0; i < s->records.n; i++) {
        mem_free(s->records.v[i].body);
        mem_free(s->records.v[i].service);
        mem_free(s->records.v[i].host);
        mem_free(s->records.v[i].path);
        mem_free(s->records.v[i].original);
    }
    for (size_t i = 0; i < s->points.n; i++) free_point(&s->points.v[i]);
    vec_release(&s->records);
    vec_release(&s->points);
    vec_release(&s->held);
    sys_lock_free(s->lock);
}

ingest_sink sink_ops(fake_sink *s) {
    return (ingest_sink){.put = put, .offload = offload, .checkpoint = checkpoint, .ctx = s};
}

size_t sink_count(fake_sink *s) {
    sys_lock_take(s->lock);
    size_t n = s->records.n;
    sys_lock_give(s->lock);
    return n;
}

static bool wait_for(fake_sink *s, const size_t *what, size_t want) {
    for (unsigned i = 0; i < 10000; i++) {
        sys_lock_take(s->lock);
        bool there = *what >= want;
        sys_lock_give(s->lock);
        if (there) return true;
        usleep(1000);
    }
    return false;
}

bool sink_wait_records(fake_sink *s, size_t want) { return wait_for(s, &s->records.n, want); }
bool sink_wait_puts(fake_sink *s, size_t want) { return wait_for(s, &s->puts, want); }

bool receiver_wait_accepted(const receiver *r, uint64_t want) {
    for (unsigned i = 0; i < 10000; i++) {
        receiver_counts c;
        r->ops->count(r, &c);
        if (c.accepted >= want) return true;
        usleep(1000);
    }
    return false;
}
