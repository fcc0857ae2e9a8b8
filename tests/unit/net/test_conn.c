/* The connection core without sockets and with a clock that stands still: what takes time, and what
 * happens when memory is out. */
#include "../../fuzz/net_core.h"
#include "../unit.h"

static void feed(net_core *c, str s) { core_feed(c, (const uint8_t *)s.p, s.n); }

static void pass(net_core *c, int64_t ms) {
    for (int64_t at = 0; at < ms; at += 250) {
        c->now_ns += 250 * 1000000ll;
        net_site_now(&c->site);
        if (net_conn_is_done(c->conn)) return;
        net_conn_tick(c->conn);
        core_drain(c);
    }
}

static uint64_t timeouts(const net_core *c) { return atomic_load(&c->cfg.counters.timeouts); }

static void end(net_core *c) {
    core_stop(c);
    buf_release(&c->out);
}

static void headers_have_one_time_in_all(void **state) {
    (void)state;
    static net_core c;
    core_start(&c);
    str drip = S("GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n");
    for (size_t i = 0; i < 10; i++) { /* a byte a second does not help */
        feed(&c, str_sub(drip, i, 1));
        pass(&c, 1000);
    }
    assert_int_equal(c.out.n, 0);
    pass(&c, 500);
    assert_true(str_starts(buf_str(&c.out), S("HTTP/1.1 408 ")));
    assert_false(net_conn_is_done(c.conn)); /* it lingers, then it is over */
    pass(&c, NET_LINGER_MS + 500);
    assert_true(net_conn_is_done(c.conn));
    assert_int_equal(timeouts(&c), 1);
    end(&c);
}

static void bodies_need_a_rate(void **state) {
    (void)state;
    static net_core c;
    core_start(&c);
    feed(&c, S("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"));
    /* 300 bytes a second are enough, 100 are not */
    char part[300] = {0};
    for (int s = 0; s < 60; s++) {
        feed(&c, str_make(part, 300));
        pass(&c, 1000);
    }
    assert_int_equal(c.out.n, 0);
    int s = 0;
    for (; s < 400 && c.out.n == 0; s++) {
        feed(&c, str_make(part, 100));
        pass(&c, 1000);
    }
    assert_true(s > 10 && s < 60);
    assert_true(str_starts(buf_str(&c.out), S("HTTP/1.1 408 ")));
    end(&c);
}

static void silent_connections_close(void **state) {
    (void)state;
    static net_core c;
    core_start(&c);
    feed(&c, S("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
    size_t n = c.out.n;
    pass(&c, 119000);
    assert_false(net_conn_is_done(c.conn));
    pass(&c, 2000);
    assert_true(net_conn_is_done(c.conn));
    assert_int_equal(c.out.n, n);
    end(&c);
}

static void a_client_that_does_not_read_is_cut_off(void **state) {
    (void)state;
    static net_core c;
    core_start(&c);
    const char get[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    memcpy(c.site.scratch, get, sizeof get - 1);
    net_conn_input(c.conn, c.site.scratch, sizeof get - 1); /* nobody takes the answer */
    assert_true(c.conn->out.bytes > 0);
    for (int i = 0; i < 121; i++) {
        c.now_ns += 250 * 1000000ll;
        net_site_now(&c.site);
        net_conn_tick(c.conn);
    }
    assert_true(net_conn_is_done(c.conn));
    assert_int_equal(timeouts(&c), 1);
    end(&c);
}

static void no_room_waits_then_is_told(void **state) {
    (void)state;
    static net_core c;
    core_start(&c);
    NET_COUNT(&c.cfg, inflight_bytes, c.cfg.limits.max_inflight_bytes - 100); /* others hold it */
    feed(&c, S("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"));
    assert_false(net_conn_wants_read(c.conn));
    NET_UNCOUNT(&c.cfg, inflight_bytes, c.cfg.limits.max_inflight_bytes - 100);
    net_conn_retry(c.conn);
    assert_true(net_conn_wants_read(c.conn));
    feed(&c, S("hello"));
    assert_true(str_ends(buf_str(&c.out), S("hello")));
    buf_reset(&c.out);
    NET_COUNT(&c.cfg, inflight_bytes, c.cfg.limits.max_inflight_bytes - 100);
    feed(&c, S("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"));
    assert_false(net_conn_wants_read(c.conn));
    pass(&c, 31000);
    assert_true(str_starts(buf_str(&c.out), S("HTTP/1.1 503 ")));
    assert_true(str_has(buf_str(&c.out), S("Retry-After: 1\r\n")));
    NET_UNCOUNT(&c.cfg, inflight_bytes, c.cfg.limits.max_inflight_bytes - 100);
    end(&c);
}

static size_t count_of(str s, str part) {
    size_t n = 0;
    for (size_t at = 0; (at = str_find(s, part, at)) != STR_NPOS; at += part.n) n++;
    return n;
}

static const str held_request =
    S_INIT("POST /h HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");

static void what_came_before_a_half_close_is_answered(void **state) {
    (void)state;
    static net_core c;
    core_start(&c);
    for (int i = 0; i < 3; i++) feed(&c, held_request);
    feed(&c, S("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
    feed(&c, S("POST /h HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ncut")); /* never whole */
    assert_int_equal(c.held_count, 1);
    net_conn_eof(c.conn);
    assert_int_equal(*net_request_cancel(c.held[0]), NET_HALF_GONE);
    for (size_t i = 0; i < 3; i++) {
        core_drain(&c);
        assert_false(net_conn_is_done(c.conn));
        assert_true(core_answer_one(&c));
        assert_int_equal(count_of(buf_str(&c.out), S("\r\n\r\nheld")), i + 1);
    }
    assert_int_equal(count_of(buf_str(&c.out), S("HTTP/1.1 200")), 4);
    assert_int_equal(count_of(buf_str(&c.out), S("HTTP/1.1 400")), 1); /* the cut one */
    assert_true(net_conn_is_done(c.conn));
    end(&c);
    /* Nothing behind it: the one answer says that it is the last. */
    core_start(&c);
    feed(&c, held_request);
    net_conn_eof(c.conn);
    assert_false(net_conn_is_done(c.conn));
    assert_true(core_answer_one(&c));
    assert_true(str_has(buf_str(&c.out), S("Connection: close")));
    assert_true(net_conn_is_done(c.conn));
    end(&c);
}

static void a_cut_request_is_a_bad_one(void **state) {
    (void)state;
    static net_core c;
    static const str cut[] = {
        S_INIT("POST /v HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ncut"),
        S_INIT("POST /v HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncut"),
        S_INIT("POST /v HTTP/1.1\r\nHost: x\r\nCont"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        core_start(&c);
        feed(&c, cut[i]);
        net_conn_eof(c.conn);
        core_drain(&c);
        assert_true(str_starts(buf_str(&c.out), S("HTTP/1.1 400 ")));
        assert_true(str_has(buf_str(&c.out), S("Connection: close\r\n")));
        assert_true(str_has(buf_str(&c.out), S("the request ends within its")));
        assert_true(net_conn_is_done(c.conn));
        end(&c);
    }
    core_start(&c); /* nothing was asked: nothing is said */
    feed(&c, S("\r\n"));
    net_conn_eof(c.conn);
    core_drain(&c);
    assert_int_equal(c.out.n, 0);
    assert_true(net_conn_is_done(c.conn));
    end(&c);
}

static void a_half_close_waits_for_room(void **state) {
    (void)state;
    static net_core c;
    core_start(&c);
    uint64_t others = c.cfg.limits.max_inflight_bytes - 100;
    feed(&c, held_request);
    feed(&c, held_request);
    net_conn_eof(c.conn);
    NET_COUNT(&c.cfg, inflight_bytes, others);
    assert_true(core_answer_one(&c));
    assert_int_equal(c.held_count, 0); /* the second waits */
    assert_false(net_conn_is_done(c.conn));
    NET_UNCOUNT(&c.cfg, inflight_bytes, others);
    net_conn_retry(c.conn);
    assert_true(core_answer_one(&c));
    assert_int_equal(count_of(buf_str(&c.out), S("\r\n\r\nheld")), 2);
    assert_true(net_conn_is_done(c.conn));
    end(&c);
}

static void frame(buf *b, int type, int flags, unsigned id, str payload) {
    char h[9] = {0,       (char)(payload.n >> 8), (char)payload.n, (char)type, (char)flags, 0, 0, 0,
                 (char)id};
    buf_put(b, str_make(h, 9));
    buf_put(b, payload);
}

static void header(buf *b, str name, str value) {
    buf_putc(b, 0);
    buf_putc(b, (char)name.n);
    buf_put(b, name);
    buf_putc(b, (char)value.n);
    buf_put(b, value);
}

/* Preface, SETTINGS, and a gRPC call of path with a message. */
static void grpc_call(buf *b, const char *path, str timeout, str data) {
    buf h;
    buf_init(&h, 4096);
    header(&h, S(":method"), S("POST"));
    header(&h, S(":scheme"), S("http"));
    header(&h, S(":authority"), S("x"));
    header(&h, S(":path"), str_c(path));
    header(&h, S("content-type"), S("application/grpc"));
    if (timeout.n) header(&h, S("grpc-timeout"), timeout);
    buf_put(b, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    frame(b, 4, 0, 0, STR_NONE);
    frame(b, 1, 4, 1, buf_str(&h));
    frame(b, 0, 1, 1, data);
    buf_release(&h);
}

static void deadlines_end_calls_and_cancel_them(void **state) {
    (void)state;
    static net_core c;
    buf b;
    buf_init(&b, 1 << 16);
    core_start(&c);
    grpc_call(&b, "/h", S("2S"), S("\0\0\0\0\1x"));
    feed(&c, buf_str(&b));
    assert_int_equal(c.held_count, 1);
    assert_int_equal(net_deadline_ns(c.held[0]), c.now_ns + 2000000000);
    buf_reset(&c.out);
    pass(&c, 1750);
    assert_int_equal(*net_request_cancel(c.held[0]), 0);
    assert_int_equal(c.out.n, 0);
    pass(&c, 500);
    assert_int_equal(*net_request_cancel(c.held[0]), 1);
    assert_true(c.out.n > 20 && c.out.p[3] == 1 && c.out.p[4] & 1); /* HEADERS, END_STREAM */
    assert_int_equal(timeouts(&c), 1);
    buf_release(&b);
    end(&c);
}

/* The n-th allocation fails, for every n until none is reached: no crash, nothing left behind. */
static void memory_out(str input) {
    static net_core c;
    for (uint64_t n = 1; n < 400; n++) {
        core_start(&c);
        mem_fail_at(n);
        feed(&c, input);
        while (core_answer_one(&c)) {}
        mem_fail_at(0);
        end(&c);
    }
}

static void survives_memory_that_is_out(void **state) {
    (void)state;
    memory_out(
        S("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
          "POST /h HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
          "GET /s HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n"));
    buf b;
    buf_init(&b, 1 << 16);
    grpc_call(&b, "/g", STR_NONE, S("\0\0\0\0\1x"));
    memory_out(buf_str(&b));
    buf_reset(&b);
    grpc_call(&b, "/s", STR_NONE, S("\0\0\0\0\1x"));
    memory_out(buf_str(&b));
    buf_reset(&b);
    grpc_call(&b, "/h", S("1S"), S("\0\0\0\0\1x"));
    memory_out(buf_str(&b));
    buf_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_have_one_time_in_all),
        cmocka_unit_test(bodies_need_a_rate),
        cmocka_unit_test(silent_connections_close),
        cmocka_unit_test(a_client_that_does_not_read_is_cut_off),
        cmocka_unit_test(no_room_waits_then_is_told),
        cmocka_unit_test(what_came_before_a_half_close_is_answered),
        cmocka_unit_test(a_half_close_waits_for_room),
        cmocka_unit_test(a_cut_request_is_a_bad_one),
        cmocka_unit_test(deadlines_end_calls_and_cancel_them),
        cmocka_unit_test(survives_memory_that_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
