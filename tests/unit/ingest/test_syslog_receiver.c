#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "../unit.h"
#include "base/buf.h"
#include "codec/syslog.h"
#include "fake_sink.h"

/* ---- framing ---- */

/* The messages of a stream given in pieces of `step` bytes, joined by '|'; '*' marks a cut one. */
static void frames(str stream, size_t step, size_t max, buf *out) {
    buf held;
    buf_init(&held, 1 << 20);
    uint64_t skip = 0;
    bool skip_line = false;
    buf_reset(out);
    for (size_t at = 0;; at += step) {
        bool eof = at >= stream.n;
        str piece = eof ? STR_NONE : str_sub(stream, at, step);
        while (piece.n && (skip || skip_line)) {
            skip_line = skip_line && piece.p[0] != '\n';
            if (skip) skip--;
            piece = str_from(piece, 1);
        }
        assert_true(buf_put(&held, piece));
        for (;;) {
            syslog_frame f;
            bool whole = syslog_frame_next(buf_str(&held), eof, max, &f);
            assert_true(f.used <= held.n && f.msg.n <= max);
            if (whole) {
                buf_put(out, f.msg);
                buf_put(out, f.cut ? S("*|") : S("|"));
            }
            if (f.used) memmove(held.p, held.p + f.used, held.n - f.used);
            held.n -= f.used;
            skip = f.skip;
            skip_line = f.skip_line;
            while (held.n && (skip || skip_line)) {
                skip_line = skip_line && held.p[0] != '\n';
                if (skip) skip--;
                memmove(held.p, held.p + 1, --held.n);
            }
            if (!whole) break;
        }
        if (eof) break;
    }
    assert_int_equal(held.n, 0);
    buf_release(&held);
}

static void cuts_streams_into_messages(void **state) {
    (void)state;
    static const struct {
        const char *stream, *want;
    } cases[] = {
        {"<1>a\n<2>b\r\n\n<3>c", "<1>a|<2>b|<3>c|"},
        {"4 <1>a5 <2>b\n6 <3>c\nd", "<1>a|<2>b\n|<3>c\nd|"},
        {"<1>a\n4 <2>b<3>c\n4 <4>d", "<1>a|<2>b|<3>c|<4>d|"},
        {"12 apples\n2026-11-20 x\n", "12 apples|2026-11-20 x|"},
        {"2 <1>long\n<2>b\n", "<1>long|<2>b|"},          /* the count says too little */
        {"9 <1>a\n<2>bcd\n<3>e\n", "<1>a|<2>bcd|<3>e|"}, /* and too much */
        {"99 <1>a\n<2>b\n", "<1>a|<2>b|"},               /* far too much */
        {"20 <1>12345678901234567<2>b\n", "<1>12345678901234567|<2>b|"},
        {"<1>123456789012345678901234567\n<2>b\n", "<1>12345678901234567*|<2>b|"},
        {"30 <1>123456789012345678901234567<2>b\n", "<1>12345678901234567*|<2>b|"},
        {"", ""},
        {"\n\r\n", ""},
        {"5", "5|"},
        {"5 <", "<|"},
    };
    buf got;
    buf_init(&got, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        frames(str_c(cases[i].stream), 1000, 20, &got);
        assert_text(buf_str(&got), str_c(cases[i].want));
    }
    /* Where nothing lies, pieces of any size give the same. */
    for (size_t i = 0; i < 4; i++)
        for (size_t step = 1; step < 8; step++) {
            frames(str_c(cases[i].stream), step, 20, &got);
            assert_text(buf_str(&got), str_c(cases[i].want));
        }
    buf_release(&got);
}

/* ---- the receiver ---- */

typedef struct rig {
    fake_sink sink;
    receiver *r;
} rig;

static void start(rig *g, const syslog_opts *o) {
    sink_init(&g->sink);
    ingest_sink ops = sink_ops(&g->sink);
    err e = {0};
    rc code = syslog_receiver_new(o, &ops, &g->r, &e);
    if (code != RC_OK) fail_msg("%s", e.msg);
    assert_rc(g->r->ops->start(g->r, &e), RC_OK);
}

static void end(rig *g) {
    g->r->ops->stop(g->r);
    g->r->ops->free(g->r);
    sink_release(&g->sink);
}

static int dial(const rig *g, char which) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(syslog_receiver_port(g->r, which)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, which == 'u' ? SOCK_DGRAM : SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void datagrams_and_connections_are_stored(void **state) {
    (void)state;
    rig g;
    start(&g, &(syslog_opts){.udp = S("127.0.0.1:0"), .tcp = S("127.0.0.1:0")});
    int u = dial(&g, 'u'), t = dial(&g, 't');
    say(u, "<34>1 2026-11-20T10:00:00.5Z web1 nginx 7 - - hello");
    assert_true(sink_wait_records(&g.sink, 1));
    say(t, "<13>Nov 20 10:00:00 db1 postgres[9]: one\n27 <13>Nov 20 10:00:00 db1 a: two");
    assert_true(sink_wait_records(&g.sink, 2));
    close(t);
    assert_true(sink_wait_records(&g.sink, 3));
    const sink_record *r = g.sink.records.v;
    assert_string_equal(r[0].body, "hello");
    assert_string_equal(r[0].service, "nginx");
    assert_string_equal(r[0].host, "web1");
    assert_int_equal(r[0].severity, SEV_ERROR2);
    assert_string_equal(r[0].original, "<34>1 2026-11-20T10:00:00.5Z web1 nginx 7 - - hello");
    assert_string_equal(r[1].service, "postgres");
    assert_string_equal(r[1].original, "<13>Nov 20 10:00:00 db1 postgres[9]: one");
    assert_true(receiver_wait_accepted(g.r, 3));
    receiver_counts c;
    g.r->ops->count(g.r, &c);
    assert_int_equal(c.records, 3);
    assert_int_equal(c.accepted, 3);
    assert_int_equal(c.refused + c.rejected + c.dropped, 0);
    close(u);
    end(&g);
}

/* Everything arrives once and in order although the sink refuses again and again. */
static void refused_batches_come_again(void **state) {
    (void)state;
    rig g;
    start(&g, &(syslog_opts){.tcp = S("127.0.0.1:0")});
    g.sink.refuse = 3;
    int t = dial(&g, 't');
    for (int i = 0; i < 100; i++) say(t, "<13>Nov 20 10:00:00 h app: text\n");
    assert_true(sink_wait_records(&g.sink, 100));
    assert_true(receiver_wait_accepted(g.r, 100));
    receiver_counts c;
    g.r->ops->count(g.r, &c);
    assert_true(c.refused > 0);
    assert_int_equal(c.accepted, 100);
    g.sink.refuse = 1;
    g.sink.refuse_code = RC_LIMIT; /* for good */
    say(t, "<13>x\n");
    size_t puts = g.sink.puts;
    assert_true(sink_wait_puts(&g.sink, puts + 1));
    close(t);
    g.r->ops->stop(g.r);
    g.r->ops->count(g.r, &c);
    assert_int_equal(c.rejected, 1);
    assert_int_equal(sink_count(&g.sink), 100);
    end(&g);
}

/* With the sink stuck the receiver stops reading: the sender's writes come to an end. */
static void a_stuck_sink_stops_reading(void **state) {
    (void)state;
    enum { LINE = 1024, LINES_MAX = 200000 };
    rig g;
    start(&g, &(syslog_opts){.tcp = S("127.0.0.1:0")});
    sys_lock_take(g.sink.lock);
    g.sink.hold = true;
    sys_lock_give(g.sink.lock);
    int t = dial(&g, 't');
    char line[LINE];
    memset(line, 'x', sizeof line);
    memcpy(line, "<13>Nov 20 10:00:00 h app: ", 27);
    line[LINE - 1] = '\n';
    size_t sent = 0;
    for (size_t part = 0; sent < LINES_MAX; sent += part == 0) {
        struct timeval wait = {.tv_usec = 500000}; /* no room for half a second: it is stuck */
        fd_set set;
        FD_ZERO(&set);
        FD_SET(t, &set);
        if (select(t + 1, NULL, &set, NULL, &wait) != 1) {
            sent += part > 0;
            break;
        }
        ssize_t n = send(t, line + part, LINE - part, MSG_DONTWAIT);
        assert_true(n > 0);
        part = (part + (size_t)n) % LINE;
    }
    assert_true(sent < 64 << 10); /* batches, and the buffers of two sockets */
    sys_lock_take(g.sink.lock);
    g.sink.hold = false;
    sys_lock_give(g.sink.lock);
    sink_answer(&g.sink, RC_OK);
    assert_true(sink_wait_records(&g.sink, sent - 1));
    close(t);
    g.r->ops->stop(g.r);
    assert_true(sink_count(&g.sink) <= sent && sink_count(&g.sink) + 1 >= sent);
    end(&g);
}

static void long_messages_are_cut(void **state) {
    (void)state;
    rig g;
    start(&g, &(syslog_opts){.udp = S("127.0.0.1:0"),
                             .tcp = S("127.0.0.1:0"),
                             .max_message_bytes = 32,
                             .max_connections = 1});
    int u = dial(&g, 'u'), t = dial(&g, 't');
    say(u, "<13>01234567890123456789012345678901234567890123456789");
    say(t, "<13>01234567890123456789012345678901234567890123456789\n<13>short\n");
    assert_true(sink_wait_records(&g.sink, 3));
    for (size_t i = 0; i < 3; i++) assert_true(strlen(g.sink.records.v[i].original) <= 32);
    receiver_counts c;
    g.r->ops->count(g.r, &c);
    assert_int_equal(c.invalid_requests, 2);
    int second = dial(&g, 't'); /* over the limit: closed at once */
    char byte;
    assert_true(read(second, &byte, 1) <= 0);
    close(second);
    close(t);
    close(u);
    end(&g);
}

static void bad_options_are_told(void **state) {
    (void)state;
    fake_sink sink;
    sink_init(&sink);
    ingest_sink ops = sink_ops(&sink);
    receiver *r;
    err e = {0};
    assert_rc(syslog_receiver_new(&(syslog_opts){.udp = S("nowhere")}, &ops, &r, &e), RC_INVALID);
    assert_rc(syslog_receiver_new(&(syslog_opts){.tls = S("127.0.0.1:0")}, &ops, &r, &e),
              RC_INVALID);
    sink_release(&sink);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_streams_into_messages),
        cmocka_unit_test(datagrams_and_connections_are_stored),
        cmocka_unit_test(refused_batches_come_again),
        cmocka_unit_test(a_stuck_sink_stops_reading),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(bad_options_are_told),
    };
    return cmocka_run_group_tests_name("ingest_syslog_receiver", tests, NULL, NULL);
}
