#include "store_gen.h"

#include "sys/thread.h"

static void open_store(temp_store *t) {
    store_opts o = {
        .dir = str_c(t->dir), .fs = &SYS_FS_REAL, .clock = &SYS_CLOCK_REAL, .no_background = true};
    err e = {0};
    rc code = store_open(&o, &t->s, &e);
    if (code) fail_msg("open: %s", e.msg);
}

void temp_store_open(temp_store *t) {
    snprintf(t->dir, sizeof t->dir, "/tmp/faultline-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    open_store(t);
}

void temp_store_reopen(temp_store *t) {
    store_close(t->s);
    open_store(t);
}

void temp_store_close(temp_store *t) {
    store_close(t->s);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", t->dir);
    assert_int_equal(system(command), 0);
}

static void on_ack(void *ctx, rc code, const err *e) {
    (void)e;
    static rc codes[2] = {RC_OK, RC_IO};
    IGNORE(sys_queue_push(ctx, &codes[code != RC_OK])); /* one place for one answer */
}

void temp_store_append(temp_store *t, telemetry *x) {
    sys_queue *done = sys_queue_new(1);
    assert_rc(t->s->ops->append(t->s, x, on_ack, done), RC_OK);
    void *code;
    assert_rc(sys_queue_pop(done, &code), RC_OK);
    assert_rc(*(rc *)code, RC_OK);
    sys_queue_free(done);
}

void temp_store_compact(temp_store *t) {
    err e = {0};
    rc code = t->s->ops->compact(t->s, NULL, &e);
    if (code) fail_msg("compact: %s", e.msg);
}
