#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/otlp.h"
#include "engine/intake.h"
#include "engine/self.h"
#include "sys/fake_clock.h"

/* A store that keeps what it is given until told to answer. */
typedef struct fake_store {
    store base;
    telemetry *held[16];
    void (*ack[16])(void *ctx, rc code, const err *e);
    void *ctx[16];
    size_t count;
    rc refuse; /* the answer of append itself */
} fake_store;

static rc fake_append(store *s, telemetry *t, void (*ack)(void *ctx, rc code, const err *e),
                      void *ctx) {
    fake_store *f = (fake_store *)s;
    if (f->refuse != RC_OK) return f->refuse;
    assert_true(f->count < ARRAY_LEN(f->held));
    f->held[f->count] = t;
    f->ack[f->count] = ack;
    f->ctx[f->count++] = ctx;
    return RC_OK;
}

static const store_ops FAKE_OPS = {.name = "fake", .append = fake_append};

static void answer_all(fake_store *f, rc code) {
    err e = {.code = code};
    for (size_t i = 0; i < f->count; i++) {
        telemetry_free(f->held[i]);
        f->ack[i](f->ctx[i], code, code == RC_OK ? NULL : &e);
    }
    f->count = 0;
}

typedef struct answers {
    int count;
    rc last;
} answers;

static void on_done(void *ctx, rc code, const err *e) {
    answers *a = ctx;
    a->count++;
    a->last = code;
    assert_true(code == RC_OK || e != NULL);
}

typedef struct world {
    fake_store store;
    fake_clock time;
    sys_clock clock;
    workers *workers;
    taps *taps;
    intake *in;
    answers got;
} world;

static int world_new(void **state) {
    world *w = mem_new(world);
    err e = {0};
    w->store.base.ops = &FAKE_OPS;
    w->time = (fake_clock){.wall = INT64_C(1700000000000000000), .mono = 5};
    w->clock = fake_clock_ops(&w->time);
    assert_int_equal(workers_new("test", 1, 8, &w->workers, &e), RC_OK);
    w->taps = taps_new(w->workers);
    assert_int_equal(intake_new(&w->store.base, w->taps, 2, &w->clock, &w->in, &e), RC_OK);
    *state = w;
    return 0;
}

static int world_free(void **state) {
    world *w = *state;
    intake_free(w->in);
    workers_stop(w->workers);
    taps_free(w->taps);
    workers_free(w->workers);
    mem_free(w);
    return 0;
}

static telemetry *logs_of(const char *const *bodies, size_t n) {
    telemetry *t = telemetry_new();
    resource *r = arena_new(&t->mem, resource);
    attribute *a = arena_new(&t->mem, attribute);
    *a = attribute_text_of(S("service.name"), S("shop"));
    r->attrs = a;
    r->attr_count = 1;
    resource_finish(r);
    for (size_t i = 0; i < n; i++) {
        log_record *x = log_batch_add(&t->logs);
        x->body = x->raw = str_dup(&t->logs.mem, str_c(bodies[i]));
        x->ts_ns = (int64_t)i + 1;
        x->resource = r;
    }
    return t;
}

static const char *const LINES[] = {"user 17 logged in", "user 4 logged in", "disk full"};

static void intake_mines_stores_and_answers_once(void **state) {
    world *w = *state;
    intake_put(w->in, logs_of(LINES, 3), false, on_done, &w->got);
    assert_int_equal(w->store.count, 1);
    assert_int_equal(w->got.count, 0);
    const log_batch *b = &w->store.held[0]->logs;
    assert_true(b->rec[0].shape != 0 && b->rec[0].shape == b->rec[1].shape);
    assert_true(b->rec[2].shape != b->rec[0].shape);
    assert_int_equal(b->rec[0].slot_count, 1);
    intake_counts n;
    intake_count(w->in, &n);
    assert_true(n.waiting == 1 && n.memory_bytes > 0 && n.records[SIGNAL_LOGS] == 0);
    answer_all(&w->store, RC_OK);
    assert_true(w->got.count == 1 && w->got.last == RC_OK);
    intake_count(w->in, &n);
    assert_true(n.waiting == 0 && n.memory_bytes == 0);
    assert_true(n.records[SIGNAL_LOGS] == 3 && n.requests == 1 && n.services == 1 && n.shapes == 2);
}

static void intake_leaves_what_is_no_text_unmined(void **state) {
    world *w = *state;
    telemetry *t = logs_of(LINES, 3);
    t->logs.rec[1].body_type = ATTR_KVLIST;
    intake_put(w->in, t, false, on_done, &w->got);
    const log_batch *b = &w->store.held[0]->logs;
    assert_true(b->rec[0].shape != 0 && b->rec[1].shape == 0 && b->rec[2].shape != 0);
    answer_all(&w->store, RC_OK);
    intake_counts n;
    intake_count(w->in, &n);
    assert_int_equal(n.not_mined, 0); /* counted are texts only */
}

static void intake_stores_long_texts_as_they_are(void **state) {
    world *w = *state;
    char *long_body = mem_alloc(40001);
    memset(long_body, 'a', 40000);
    const char *bodies[] = {"short 1", long_body};
    intake_put(w->in, logs_of(bodies, 2), false, on_done, &w->got);
    assert_true(w->store.held[0]->logs.rec[0].shape != 0);
    assert_true(w->store.held[0]->logs.rec[1].shape == 0);
    answer_all(&w->store, RC_OK);
    intake_counts n;
    intake_count(w->in, &n);
    assert_true(n.not_mined == 1 && n.records[SIGNAL_LOGS] == 2);
    mem_free(long_body);
}

static void intake_refuses_beyond_its_memory(void **state) {
    world *w = *state;
    intake_put(w->in, logs_of(LINES, 3), false, on_done, &w->got);
    intake_counts n;
    intake_count(w->in, &n);
    /* Room for one and a half: the second has to come back, it is not refused for ever. */
    intake_set_memory(w->in, n.memory_bytes * 3 / 2);
    intake_put(w->in, logs_of(LINES, 3), false, on_done, &w->got);
    assert_true(w->got.count == 1 && w->got.last == RC_AGAIN);
    answer_all(&w->store, RC_OK);
    intake_put(w->in, logs_of(LINES, 3), false, on_done, &w->got);
    assert_int_equal(w->store.count, 1);
    answer_all(&w->store, RC_OK);
    assert_true(w->got.count == 3 && w->got.last == RC_OK);
    intake_set_memory(w->in, 100);
    intake_put(w->in, logs_of(LINES, 3), false, on_done, &w->got);
    assert_true(w->got.count == 4 && w->got.last == RC_LIMIT);
    intake_count(w->in, &n);
    assert_true(n.refused_memory == 1 && n.refused_large == 1 && n.records_refused == 6);
}

static void intake_passes_on_what_the_store_says(void **state) {
    world *w = *state;
    w->store.refuse = RC_AGAIN;
    intake_put(w->in, logs_of(LINES, 1), false, on_done, &w->got);
    assert_true(w->got.count == 1 && w->got.last == RC_AGAIN);
    w->store.refuse = RC_OK;
    intake_put(w->in, logs_of(LINES, 2), false, on_done, &w->got);
    answer_all(&w->store, RC_IO);
    assert_true(w->got.count == 2 && w->got.last == RC_IO);
    intake_counts n;
    intake_count(w->in, &n);
    assert_true(n.refused_queue == 1 && n.failed == 1 && n.memory_bytes == 0);
}

static void intake_closed_takes_nothing_and_waits(void **state) {
    world *w = *state;
    intake_put(w->in, logs_of(LINES, 1), false, on_done, &w->got);
    intake_close(w->in);
    intake_put(w->in, logs_of(LINES, 1), false, on_done, &w->got);
    assert_true(w->got.count == 1 && w->got.last == RC_AGAIN);
    /* The clock is a fake one: waiting moves it to the deadline. */
    assert_false(intake_wait(w->in, w->time.mono + 1000000000));
    answer_all(&w->store, RC_OK);
    assert_true(intake_wait(w->in, w->time.mono + 1000000000));
    assert_int_equal(w->got.count, 2);
}

/* ---- followers ---- */

typedef struct seen {
    size_t records;
    bool right;
} seen;

static void on_batch(void *ctx, const log_batch *b) {
    seen *s = ctx;
    s->records += b->count;
    s->right = str_eq(b->rec[0].body, S("user 17 logged in")) &&
               str_eq(b->rec[0].resource->service, S("shop"));
}

static void taps_see_what_is_stored_and_only_that(void **state) {
    world *w = *state;
    seen s = {0};
    engine_tap *tap;
    err e = {0};
    intake_put(w->in, logs_of(LINES, 2), false, on_done, &w->got); /* before anybody follows */
    assert_int_equal(taps_add(w->taps, on_batch, &s, &tap, &e), RC_OK);
    answer_all(&w->store, RC_OK);
    intake_put(w->in, logs_of(LINES, 3), false, on_done, &w->got);
    answer_all(&w->store, RC_OK);
    intake_put(w->in, logs_of(LINES, 1), false, on_done, &w->got);
    answer_all(&w->store, RC_IO); /* not stored: not seen */
    workers_stop(w->workers);     /* what is queued still runs */
    taps_remove(w->taps, tap);
    assert_true(s.records == 3 && s.right);
    taps_counts n;
    taps_count(w->taps, &n);
    assert_true(n.delivered == 1 && n.dropped == 1 && n.taps == 0 && n.waiting == 0);
}

/* ---- own telemetry ---- */

static void self_keeps_lines_and_never_feeds_itself(void **state) {
    world *w = *state;
    self_telemetry *self = self_new(w->in, S("1.0"), S("7"), &w->clock);
    self_set(self, true, 1);
    sys_log_field fields[] = {SYS_LOG_STR("why", S("full")), SYS_LOG_INT("records", 3)};
    self_on_log(self, 42, SYS_LOG_DEBUG, "request", fields, 2); /* below info */
    self_on_log(self, 43, SYS_LOG_WARN, "overloaded", fields, 2);
    self_on_log(self, 44, SYS_LOG_INFO, "store", fields, 2); /* may be about own lines */
    self_on_request(self, &(net_access){.method = S("POST"),
                                        .path = S("/v1/logs"),
                                        .status = 200,
                                        .grpc_status = -1,
                                        .duration_ns = 1000});
    self_flush(self);
    self_flush(self); /* nothing waits */
    assert_int_equal(w->store.count, 1);
    const telemetry *t = w->store.held[0];
    assert_true(t->logs.count == 1 && t->spans.count == 1);
    const log_record *r = &t->logs.rec[0];
    assert_true(r->ts_ns == 43 && r->severity == 13);
    assert_true(str_eq(r->body, S("overloaded why=full records=3")));
    assert_true(str_eq(r->resource->service, S("faultline")));
    assert_true(r->attr_count == 2 && r->attrs[1].type == ATTR_INT && r->attrs[1].num == 3);
    assert_true(str_eq(t->spans.rec[0].name, S("POST /v1/logs")));
    assert_true(t->spans.rec[0].end_ns - t->spans.rec[0].start_ns == 1000);
    /* A store that fails would be told about in lines that cannot be stored. */
    answer_all(&w->store, RC_IO);
    self_on_log(self, 45, SYS_LOG_ERROR, "store_failed", fields, 2);
    self_flush(self);
    assert_int_equal(w->store.count, 0);
    fake_clock_advance(&w->time, INT64_C(31) * 1000000000);
    self_on_log(self, 46, SYS_LOG_ERROR, "store_failed", fields, 2);
    self_flush(self);
    assert_int_equal(w->store.count, 1);
    answer_all(&w->store, RC_OK);
    self_free(self);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, world_new, world_free)
    const struct CMUnitTest tests[] = {
        T(intake_mines_stores_and_answers_once),  T(intake_leaves_what_is_no_text_unmined),
        T(intake_stores_long_texts_as_they_are),  T(intake_refuses_beyond_its_memory),
        T(intake_passes_on_what_the_store_says),  T(intake_closed_takes_nothing_and_waits),
        T(taps_see_what_is_stored_and_only_that), T(self_keeps_lines_and_never_feeds_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
