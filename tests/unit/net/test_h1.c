/* HTTP/1.1 over real sockets: raw bytes in, raw bytes out. */
#include "net_test.h"

#include "sys/thread.h"

#include <stdatomic.h>
#include <zstd.h>

typedef struct fixture {
    net_server *s;
    uint16_t port;
    arena a;
    sys_queue *later; /* requests that another thread answers */
    sys_thread *worker;
    atomic_int accesses, last_status;
} fixture;

static void hello(void *ctx, net_request *r) {
    (void)ctx;
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, S("hello"));
}

static void echo(void *ctx, net_request *r) {
    (void)ctx;
    net_reply(r, &(net_reply_opts){.content_type = S("application/octet-stream")}, net_body(r));
}

static void about(void *ctx, net_request *r) {
    (void)ctx;
    str a = STR_NONE, b = STR_NONE, c = STR_NONE;
    IGNORE(net_param(r, S("a"), 0, &a));
    IGNORE(net_param(r, S("a"), 1, &b));
    IGNORE(net_param(r, S("f"), 0, &c));
    str text = str_fmt(net_arena(r), "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s", STR_ARG(net_method(r)),
                       STR_ARG(net_path(r)), STR_ARG(net_query(r)),
                       STR_ARG(net_header(r, S("x-test"))), STR_ARG(a), STR_ARG(b), STR_ARG(c));
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, text);
}

static void later(void *ctx, net_request *r) {
    fixture *f = ctx;
    assert_rc(sys_queue_push(f->later, r), RC_OK);
}

static void fails(void *ctx, net_request *r) {
    (void)ctx;
    err e = {0};
    IGNORE(FAIL(&e, RC_AGAIN, "the \"queue\" is full"));
    net_reply_err(r, &e);
}

static void large(void *ctx, net_request *r) {
    (void)ctx;
    char *p = arena_try_bytes(net_arena(r), 3 << 20, 1);
    memset(p, 'x', 3 << 20);
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, str_make(p, 3 << 20));
}

static void worker(void *ctx) {
    fixture *f = ctx;
    void *item;
    while (sys_queue_pop(f->later, &item) == RC_OK) {
        net_request *r = item;
        if (str_eq(net_path(r), S("/stream"))) {
            rc code = net_stream_begin(r, &(net_reply_opts){.content_type = S("text/event-stream")},
                                       4096);
            for (int i = 0; i < 2000 && code == RC_OK;) {
                str part = str_fmt(net_arena(r), "data: %d\n\n", i);
                code = net_stream_write(r, part);
                if (code == RC_OK) i++;
                if (code == RC_AGAIN) code = net_stream_wait(r, 10000);
            }
            net_stream_end(r, NULL);
        } else if (str_eq(net_path(r), S("/wait"))) {
            while (
                !__atomic_load_n((const int *)(uintptr_t)net_request_cancel(r), __ATOMIC_RELAXED))
                usleep(1000);
            net_reply(r, &(net_reply_opts){0}, S("too late"));
        } else {
            net_reply(r, &(net_reply_opts){.status = 201}, net_body(r));
        }
    }
}

static net_role roles(void *ctx, str token) {
    (void)ctx;
    if (str_eq(token, S("reader"))) return ROLE_READ;
    if (str_eq(token, S("writer"))) return ROLE_WRITE;
    return ROLE_NONE;
}

static net_role all_rights(void *ctx, str token) {
    (void)ctx;
    (void)token;
    return ROLE_ADMIN;
}

static void on_access(void *ctx, const net_access *a) {
    fixture *f = ctx;
    atomic_fetch_add(&f->accesses, 1);
    atomic_store(&f->last_status, a->status);
}

static void start(fixture *f, net_limits limits, bool auth) {
    *f = (fixture){0};
    arena_init(&f->a, "test", 64 << 20);
    f->later = sys_queue_new(16);
    err e = {0};
    net_listen listen = {.host = S("127.0.0.1")};
    net_server_opts o = {.listens = &listen,
                         .listen_count = 1,
                         .threads = 2,
                         .limits = limits,
                         .auth = auth ? roles : NULL,
                         .server_name = S("test"),
                         .on_access = on_access,
                         .on_access_ctx = f};
    if (net_server_new(&o, &f->s, &e) != RC_OK) fail_msg("%s", e.msg);
    net_route_add(f->s, 1, "GET", "/hello", ROLE_READ, hello, f);
    net_route_add(f->s, 1, "POST", "/echo", ROLE_WRITE, echo, f);
    net_route_add(f->s, 1, "GET", "/about/*", ROLE_READ, about, f);
    net_route_add(f->s, 1, "POST", "/about/*", ROLE_READ, about, f);
    net_route_add(f->s, 1, "POST", "/later", ROLE_WRITE, later, f);
    net_route_add(f->s, 1, "GET", "/stream", ROLE_READ, later, f);
    net_route_add(f->s, 1, "GET", "/wait", ROLE_READ, later, f);
    net_route_add(f->s, 1, "GET", "/fails", ROLE_READ, fails, f);
    net_route_add(f->s, 1, "GET", "/large", ROLE_READ, large, f);
    net_route_add(f->s, 2, "GET", "/other-group", ROLE_READ, hello, f);
    net_route_add(f->s, 1, "POST", "/v1/logs", ROLE_WRITE, echo, f);
    net_route_rpc_errors(f->s);
    if (net_server_start(f->s, &e) != RC_OK) fail_msg("%s", e.msg);
    f->port = net_server_port(f->s, 0);
    assert_rc(sys_thread_start("worker", worker, f, &f->worker, &e), RC_OK);
}

static void stop(fixture *f) {
    net_server_free(f->s);
    sys_queue_close(f->later);
    sys_thread_join(f->worker);
    sys_queue_free(f->later);
    arena_release(&f->a);
}

/* One request on its own connection; the whole answer. */
static str once(fixture *f, str request) {
    buf b;
    buf_init(&b, 16 << 20);
    int fd = client_open(f->port);
    client_send(fd, request);
    str got = client_answer(fd, &b, &f->a);
    close(fd);
    buf_release(&b);
    return got;
}

static str request_with(fixture *f, str head, str body) {
    str s = str_fmt(&f->a, "%.*s\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", STR_ARG(head), body.n);
    char *p = arena_try_bytes(&f->a, s.n + body.n, 1);
    memcpy(p, s.p, s.n);
    if (body.n) memcpy(p + s.n, body.p, body.n);
    return str_make(p, s.n + body.n);
}

static void h1_answers_get_head_and_errors(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    str a = once(&f, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(answer_status(a), 200);
    assert_text(answer_body(a), S("hello"));
    assert_true(str_has(a, S("Server: test\r\n")));
    assert_true(str_has(a, S(" GMT\r\n")));
    a = once(&f, S("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_true(str_has(a, S("Content-Length: 5\r\n")) && str_has(a, S("Connection: close")));
    assert_text(answer_body(a), S(""));
    assert_int_equal(answer_status(once(&f, S("GET /no HTTP/1.1\r\nHost: x\r\n\r\n"))), 404);
    assert_int_equal(answer_status(once(&f, S("GET /other-group HTTP/1.1\r\nHost: x\r\n\r\n"))),
                     404);
    a = once(&f, S("DELETE /about/x HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(answer_status(a), 405);
    assert_true(str_has(a, S("Allow: GET, POST\r\n")));
    a = once(&f, S("GET /fails HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(answer_status(a), 503);
    assert_true(str_has(a, S("Retry-After: 1\r\n")));
    assert_text(answer_body(a),
                S("{\"error\":{\"code\":\"again\",\"message\":\"the \\\"queue\\\" is full\"}}"));
    a = once(
        &f,
        S("GET http://h:1/about/p%20q?a=1%2B&a=2+3 HTTP/1.1\r\nHost: x\r\nX-Test:  v \r\n\r\n"));
    assert_text(answer_body(a), S("GET|/about/p q|a=1%2B&a=2+3|v|1+|2 3|"));
    a = once(&f, S("POST /about/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                   "Content-Type: application/x-www-form-urlencoded\r\n\r\nf=%41"));
    assert_text(answer_body(a), S("POST|/about/|||||A"));
    assert_int_equal(answer_status(once(&f, S("GET /about/%4 HTTP/1.1\r\nHost: x\r\n\r\n"))), 400);
    assert_int_equal(answer_status(once(&f, S("GET /about/%00 HTTP/1.1\r\nHost: x\r\n\r\n"))), 400);
    stop(&f);
    assert_int_equal(atomic_load(&f.accesses), 10);
}

static void h1_keeps_connections_and_pipelines(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    buf b;
    buf_init(&b, 16 << 20);
    int fd = client_open(f.port);
    client_send(fd, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                      "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                      "POST /later HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2;x=y\r\nde\r\n3\r\nfgh\r\n0\r\nT: v\r\n\r\n"
                      "\r\nGET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                      "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_text(answer_body(client_answer(fd, &b, &f.a)), S("hello"));
    assert_text(answer_body(client_answer(fd, &b, &f.a)), S("abc"));
    assert_text(answer_body(client_answer(fd, &b, &f.a)), S("defgh"));
    assert_text(answer_body(client_answer(fd, &b, &f.a)), S("hello"));
    assert_text(client_rest(fd, &b), S("")); /* nothing after "close" */
    close(fd);
    /* byte by byte */
    fd = client_open(f.port);
    str slow = S("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "A\r\n0123456789\r\n0\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: "
                 "2\r\n\r\nokGET /hello HTTP/1.0\r\n\r\n");
    for (size_t i = 0; i < slow.n; i++) client_send(fd, str_sub(slow, i, 1));
    assert_text(answer_body(client_answer(fd, &b, &f.a)), S("0123456789"));
    assert_text(answer_body(client_answer(fd, &b, &f.a)), S("ok"));
    str last = client_rest(fd, &b);
    assert_true(str_has(last, S("Connection: close")) && str_ends(last, S("hello")));
    close(fd);
    buf_release(&b);
    stop(&f);
}

static void h1_reads_large_bodies_and_waits_for_100(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.max_body_bytes = 4 << 20}, false);
    size_t n = 3 << 20;
    char *p = arena_try_bytes(&f.a, n, 1);
    for (size_t i = 0; i < n; i++) p[i] = (char)(i * 7 % 251);
    buf b;
    buf_init(&b, 16 << 20);
    int fd = client_open(f.port);
    for (int round = 0; round < 3; round++) {
        client_send(fd, request_with(&f, S("POST /echo HTTP/1.1"), str_make(p, n)));
        str a = client_answer(fd, &b, &f.a);
        assert_true(str_eq(answer_body(a), str_make(p, n)));
    }
    client_send(fd, S("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                      "Content-Length: 2\r\n\r\n"));
    assert_text(client_answer(fd, &b, &f.a), S("HTTP/1.1 100 Continue\r\n\r\n"));
    client_send(fd, S("hi"));
    assert_text(answer_body(client_answer(fd, &b, &f.a)), S("hi"));
    /* too large is told before it is sent */
    client_send(fd, S("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                      "Content-Length: 5000000\r\n\r\n"));
    str a = client_rest(fd, &b);
    assert_int_equal(answer_status(a), 413);
    close(fd);
    /* a short body that is refused is skipped, and the connection stays */
    fd = client_open(f.port);
    buf_reset(&b);
    client_send(fd, S("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n"
                      "GET /hello HTTP/1.1\r\nHost: x\r\n"
                      "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(answer_status(client_answer(fd, &b, &f.a)), 404);
    close(fd);
    a = once(&f, S("GET /large HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(answer_body(a).n, 3 << 20);
    /* over the limit in chunks */
    buf_reset(&b);
    fd = client_open(f.port);
    client_send(fd, S("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 5; i++) {
        client_send(fd, S("100000\r\n"));
        client_send(fd, str_make(p, 1 << 20));
        client_send(fd, S("\r\n"));
    }
    assert_int_equal(answer_status(client_rest(fd, &b)), 413);
    close(fd);
    buf_release(&b);
    net_counts counts;
    net_server_count(f.s, &counts);
    assert_int_equal(counts.inflight_bytes, 0);
    assert_int_equal(counts.refused_limit, 2);
    stop(&f);
}

static void h1_refuses_smuggling(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.max_header_bytes = 4096, .max_headers = 8}, false);
    static const struct {
        int status;
        str request;
    } rows[] = {
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                     "Content-Length: 4\r\n\r\n0\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                     "Content-Length: 4\r\n\r\nabcd")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0x4\r\n\r\nabcd")},
        {400,
         S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd")},
        {400,
         S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n")},
        {400,
         S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
        {400,
         S_INIT("POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0b"
                     "chunked\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\x0c\r\n\r\nabcd")},
        {400, S_INIT("GET /hello HTTP/1.1\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\nA: b\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\rA: b\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\nA: \0b\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n")},
        {400, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\nA c: b\r\n\r\n")},
        {400, S_INIT("GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n")},
        {400, S_INIT("GET /hel lo HTTP/1.1\r\nHost: x\r\n\r\n")},
        {400, S_INIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
        {400, S_INIT("GARBAGE\r\n\r\n")},
        {400,
         S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                     "chunked\r\n\r\n2\nab\r\n0\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                     "chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "1000000000000000\r\n")},
        {400, S_INIT("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: "
                     "b\n\r\n")},
        {505, S_INIT("GET /hello HTTP/3.0\r\nHost: x\r\n\r\n")},
        {505, S_INIT("GET /hello HTTP/2.0\r\nHost: x\r\n\r\n")},
        {501, S_INIT("BREW /hello HTTP/1.1\r\nHost: x\r\n\r\n")},
        {417, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n")},
        {431, S_INIT("GET /hello HTTP/1.1\r\nHost: x\r\na:1\r\na:2\r\na:3\r\na:4\r\na:5\r\na:6\r\n"
                     "a:7\r\na:8\r\n\r\n")},
    };
    buf b;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int fd = client_open(f.port);
        buf_reset(&b);
        client_send(fd, rows[i].request);
        str a = client_answer(fd, &b, &f.a);
        if (answer_status(a) != rows[i].status)
            fail_msg("row %zu: got \"%.*s\", want %d", i, STR_ARG(a), rows[i].status);
        if (rows[i].status == 400) { /* and nothing that follows is looked at */
            client_send(fd, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_true(str_has(a, S("Connection: close\r\n")));
            assert_int_equal(client_rest(fd, &b).n, 0);
        }
        close(fd);
    }
    str many = str_fmt(&f.a, "GET /hello HTTP/1.1\r\nHost: x\r\nA: %05000d\r\n\r\n", 1);
    assert_int_equal(answer_status(once(&f, many)), 431);
    many = str_fmt(&f.a, "GET /hello HTTP/1.1\r\nHost: x\r\nA: %08000d", 1);
    assert_int_equal(answer_status(once(&f, many)), 431);
    buf_release(&b);
    stop(&f);
}

static str head_of(fixture *f, const char *coding) {
    return str_fmt(&f->a, "POST /echo HTTP/1.1\r\nContent-Encoding: %s", coding);
}

static void h1_unpacks_bodies(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.max_body_bytes = 8 << 20, .max_decompression_ratio = 200}, false);
    str text = str_fmt(&f.a, "%020000d and more", 7);
    str one = gzip_of(&f.a, text, 6);
    str a = once(&f, request_with(&f, head_of(&f, "gzip"), one));
    assert_text(answer_body(a), text);
    /* two members */
    char *two = arena_try_bytes(&f.a, one.n * 2, 1);
    memcpy(two, one.p, one.n);
    memcpy(two + one.n, one.p, one.n);
    a = once(&f, request_with(&f, head_of(&f, "x-gzip"), str_make(two, one.n * 2)));
    assert_int_equal(answer_body(a).n, text.n * 2);
    /* lies, cut short, rubbish behind the end */
    assert_int_equal(answer_status(once(&f, request_with(&f, head_of(&f, "gzip"), text))), 400);
    assert_int_equal(
        answer_status(once(&f, request_with(&f, head_of(&f, "gzip"), str_sub(one, 0, one.n - 4)))),
        400);
    two[one.n] = 'x';
    assert_int_equal(
        answer_status(once(&f, request_with(&f, head_of(&f, "gzip"), str_make(two, one.n + 9)))),
        400);
    assert_int_equal(answer_status(once(&f, request_with(&f, head_of(&f, "zstd"), one))), 400);
    assert_int_equal(answer_status(once(&f, request_with(&f, head_of(&f, "deflate"), one))), 400);
    a = once(&f, request_with(&f, head_of(&f, "br"), text));
    assert_int_equal(answer_status(a), 415);
    assert_true(str_has(a, S("Accept-Encoding: gzip, deflate, zstd\r\n")));
    assert_text(answer_body(once(&f, request_with(&f, head_of(&f, "identity"), text))), text);
    /* deflate as zlib, and raw */
    uLongf zn = compressBound(text.n);
    char *zp = arena_try_bytes(&f.a, zn, 1);
    assert_int_equal(compress((Bytef *)zp, &zn, (const Bytef *)text.p, text.n), Z_OK);
    assert_text(answer_body(once(&f, request_with(&f, head_of(&f, "deflate"), str_make(zp, zn)))),
                text);
    str raw = str_make(zp + 2, zn - 6);
    assert_text(answer_body(once(&f, request_with(&f, head_of(&f, "deflate"), raw))), text);
    /* zstd, two frames */
    size_t sn = ZSTD_compressBound(text.n);
    char *sp = arena_try_bytes(&f.a, sn * 2, 1);
    sn = ZSTD_compress(sp, sn, text.p, text.n, 3);
    memcpy(sp + sn, sp, sn);
    assert_text(answer_body(once(&f, request_with(&f, head_of(&f, "zstd"), str_make(sp, sn)))),
                text);
    a = once(&f, request_with(&f, head_of(&f, "zstd"), str_make(sp, 2 * sn)));
    assert_int_equal(answer_body(a).n, text.n * 2);
    assert_int_equal(
        answer_status(once(&f, request_with(&f, head_of(&f, "zstd"), str_make(sp, sn - 1)))), 400);
    /* large ones are counted first */
    size_t big_n = 6 << 20;
    char *big = arena_try_bytes(&f.a, big_n, 1);
    MUST(big);
    uint32_t x = 1;
    for (size_t i = 0; i < big_n; i++) {
        x = x * 1664525 + 1013904223;
        big[i] = (char)('a' + (x >> 28));
    }
    a = once(&f, request_with(&f, head_of(&f, "gzip"), gzip_of(&f.a, str_make(big, big_n), 1)));
    assert_true(str_eq(answer_body(a), str_make(big, big_n)));
    size_t bn = ZSTD_compressBound(big_n);
    char *bp = arena_try_bytes(&f.a, bn, 1);
    bn = ZSTD_compress(bp, bn, big, big_n, 1);
    a = once(&f, request_with(&f, head_of(&f, "zstd"), str_make(bp, bn)));
    assert_true(str_eq(answer_body(a), str_make(big, big_n)));
    /* bombs: over the size, over the ratio */
    char *zeros = arena_try_bytes(&f.a, 9 << 20, 1);
    str bomb = gzip_of(&f.a, str_make(zeros, 9 << 20), 9);
    assert_int_equal(answer_status(once(&f, request_with(&f, head_of(&f, "gzip"), bomb))), 413);
    bomb = gzip_of(&f.a, str_make(zeros, 4 << 20), 9);
    assert_int_equal(answer_status(once(&f, request_with(&f, head_of(&f, "gzip"), bomb))), 413);
    net_counts n;
    net_server_count(f.s, &n);
    assert_int_equal(n.inflight_bytes, 0);
    assert_int_equal(n.refused_limit, 2);
    stop(&f);
}

static void h1_packs_answers(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    str a =
        once(&f, S("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n"));
    assert_true(str_has(a, S("Content-Encoding: gzip\r\n")));
    str body = answer_body(a);
    assert_true(body.n < 100000 && str_starts(body, S("\x1f\x8b")));
    a = once(&f, S("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, zstd\r\n\r\n"));
    assert_true(str_has(a, S("Content-Encoding: zstd\r\n")));
    a = once(&f, S("GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n"));
    assert_false(str_has(a, S("Content-Encoding")));
    a = once(&f, S("GET /hello HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"));
    assert_text(answer_body(a), S("hello"));
    stop(&f);
}

static void h1_checks_rights(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, true);
    str a = once(&f, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(answer_status(a), 401);
    assert_true(str_has(a, S("WWW-Authenticate: Bearer\r\n")));
    a = once(&f, S("GET /hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nobody\r\n\r\n"));
    assert_int_equal(answer_status(a), 401);
    a = once(&f, S("GET /hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer writer\r\n\r\n"));
    assert_int_equal(answer_status(a), 403);
    a = once(&f, S("GET /hello HTTP/1.1\r\nHost: x\r\nauthorization: bearer reader\r\n\r\n"));
    assert_int_equal(answer_status(a), 200);
    a = once(&f, S("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                   "Authorization: Bearer writer\r\n\r\nx"));
    assert_int_equal(answer_status(a), 200);
    net_counts n;
    net_server_count(f.s, &n);
    assert_int_equal(n.refused_auth, 3);
    stop(&f);
}

/* Without tokens, what a web page of another site makes a browser send is refused. */
static void h1_keeps_web_pages_out(void **state) {
    (void)state;
    static const struct {
        const char *headers;
        int status;
    } CASES[] = {
        {"Host: localhost:7070", 200},
        {"Host: 127.0.0.1", 200},
        {"Host: [::1]:7070", 200},
        {"Host: 10.1.2.3:80", 200},
        {"Host: evil.example:7070", 403},
        {"Host: localhost.evil.example", 403},
        {"Host: 127.0.0.1.evil.example", 403},
        {"Host: evil.example\r\nAuthorization: Bearer x", 200},
        {"Host: localhost:7070\r\nOrigin: http://localhost:7070", 200},
        {"Host: localhost:7070\r\nOrigin: http://localhost:8080", 403},
        {"Host: localhost:7070\r\nOrigin: https://evil.example", 403},
        {"Host: localhost:7070\r\nOrigin: null", 403},
        {"Host: localhost:7070\r\nOrigin: https://evil.example\r\nAuthorization: Bearer x", 200},
    };
    fixture f;
    start(&f, (net_limits){0}, true);
    net_server_free(f.s);
    net_listen listen = {.host = S("127.0.0.1")};
    net_server_opts o = {.listens = &listen, .listen_count = 1, .auth = all_rights};
    err e = {0};
    assert_rc(net_server_new(&o, &f.s, &e), RC_OK);
    net_route_add(f.s, 1, "GET", "/hello", ROLE_READ, hello, &f);
    net_route_add(f.s, 1, "POST", "/echo", ROLE_WRITE, echo, &f);
    assert_rc(net_server_start(f.s, &e), RC_OK);
    f.port = net_server_port(f.s, 0);
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        str a = once(&f, str_fmt(&f.a, "GET /hello HTTP/1.1\r\n%s\r\n\r\n", CASES[i].headers));
        if (answer_status(a) != CASES[i].status)
            fail_msg("%s: %d, not %d", CASES[i].headers, answer_status(a), CASES[i].status);
    }
    str sent =
        once(&f, S("POST /echo HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1\r\n\r\nx"));
    assert_int_equal(answer_status(sent), 200); /* a route that only takes in */
    stop(&f);
}

static void h1_answers_rpc_errors(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    str a = once(&f, request_with(&f,
                                  S("POST /v1/logs HTTP/1.1\r\nContent-Encoding: gzip\r\n"
                                    "Content-Type: application/x-protobuf"),
                                  S("no gzip")));
    assert_int_equal(answer_status(a), 400);
    assert_true(str_has(a, S("Content-Type: application/x-protobuf\r\n")));
    assert_true(str_starts(answer_body(a), S("\x08\x03\x12")));
    a = once(&f, request_with(&f,
                              S("POST /v1/logs HTTP/1.1\r\nContent-Encoding: lzw\r\n"
                                "Content-Type: application/json; charset=utf-8"),
                              S("{}")));
    assert_int_equal(answer_status(a), 415);
    assert_text(answer_body(a), S("{\"code\":12,\"message\":\"unknown encoding \\\"lzw\\\"\"}"));
    a = once(&f, S("PUT /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                   "Content-Length: 0\r\n\r\n"));
    assert_int_equal(answer_status(a), 405);
    assert_true(str_starts(answer_body(a), S("\x08\x0c\x12")));
    stop(&f);
}

static void h1_streams_answers(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    buf b;
    buf_init(&b, 1 << 20);
    int fd = client_open(f.port);
    client_send(fd, S("GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n"
                      "Connection: close\r\n\r\n"));
    str all = client_rest(fd, &b);
    close(fd);
    assert_true(str_has(all, S("Transfer-Encoding: chunked\r\n")));
    /* unchunk */
    size_t at = str_find(all, S("\r\n\r\n"), 0) + 4, next = 0;
    for (;;) {
        size_t n = strtoul(all.p + at, NULL, 16);
        at = str_find(all, S("\r\n"), at) + 2;
        if (n == 0) break;
        str want = str_fmt(&f.a, "data: %zu\n\n", next++);
        assert_text(str_sub(all, at, n), want);
        at += n + 2;
    }
    assert_int_equal(next, 2000);
    assert_true(str_starts(str_from(all, at), S("\r\nHTTP/1.1 200 OK")));
    assert_true(str_ends(all, S("hello")));
    /* HTTP/1.0: until the end of the connection */
    fd = client_open(f.port);
    buf_reset(&b);
    client_send(fd, S("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    all = client_rest(fd, &b);
    assert_false(str_has(all, S("chunked")));
    assert_true(str_ends(all, S("data: 1999\n\n")));
    close(fd);
    /* a client that goes away ends the writer, too */
    fd = client_open(f.port);
    client_send(fd, S("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
    close(fd);
    buf_release(&b);
    stop(&f);
}

static void h1_cancels_when_the_client_goes(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    int fd = client_open(f.port);
    client_send(fd, S("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"));
    net_counts n = {0};
    while (n.requests_open == 0) {
        net_server_count(f.s, &n);
        usleep(100);
    }
    close(fd);
    while (n.requests_open > 0) {
        net_server_count(f.s, &n);
        usleep(100);
    }
    stop(&f);
}

static void h1_times_out(void **state) {
    (void)state;
    fixture f;
    start(&f,
          (net_limits){.header_timeout_ms = 300, .body_timeout_ms = 300, .idle_timeout_ms = 300},
          false);
    int a = client_open(f.port), b = client_open(f.port), c = client_open(f.port);
    client_send(a, S("GET /hello HTT"));
    client_send(b, S("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"));
    buf got;
    buf_init(&got, 1 << 16);
    assert_int_equal(answer_status(client_rest(a, &got)), 408);
    buf_reset(&got);
    assert_int_equal(answer_status(client_rest(b, &got)), 408);
    buf_reset(&got);
    assert_int_equal(client_rest(c, &got).n, 0);
    close(a);
    close(b);
    close(c);
    net_counts n;
    net_server_count(f.s, &n);
    assert_int_equal(n.timeouts, 2);
    buf_release(&got);
    stop(&f);
}

static void h1_drains(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    buf b;
    buf_init(&b, 1 << 16);
    int idle = client_open(f.port), busy = client_open(f.port);
    client_send(busy, S("POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na"));
    net_counts n = {0};
    while (n.requests_open == 0) {
        net_server_count(f.s, &n);
        usleep(100);
    }
    net_server_drain(f.s, 0);
    assert_int_equal(client_rest(idle, &b).n, 0);
    client_send(busy, S("b"));
    str a = client_rest(busy, &b);
    assert_int_equal(answer_status(a), 201);
    assert_true(str_has(a, S("Connection: close\r\n")));
    close(idle);
    close(busy);
    net_server_drain(f.s, 10000);
    net_server_count(f.s, &n);
    assert_int_equal(n.connections_open, 0);
    buf_release(&b);
    stop(&f);
}

static void h1_bounds_connections_and_bodies(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.max_connections = 2, .max_inflight_bytes = 100000}, false);
    buf b;
    buf_init(&b, 1 << 20);
    int one = client_open(f.port), two = client_open(f.port);
    str body = str_fmt(&f.a, "%080000d", 1);
    str request = request_with(&f, S("POST /echo HTTP/1.1"), body);
    /* the first is let in, the second waits for it */
    client_send(one, str_sub(request, 0, 1000));
    net_counts n = {0};
    while (n.inflight_bytes == 0) {
        net_server_count(f.s, &n);
        usleep(100);
    }
    client_send(two, request);
    int three = client_open(f.port);
    assert_int_equal(answer_status(client_rest(three, &b)), 503);
    close(three);
    client_send(one, str_from(request, 1000));
    buf_reset(&b);
    assert_text(answer_body(client_answer(one, &b, &f.a)), body);
    assert_text(answer_body(client_answer(two, &b, &f.a)), body);
    close(one);
    close(two);
    buf_release(&b);
    stop(&f);
}

static void server_says_why_it_cannot_listen(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0}, false);
    net_listen taken = {.host = S("127.0.0.1"), .port = f.port};
    net_listen bad = {.host = S("no such host")};
    net_server *s = NULL;
    err e = {0};
    rc code = net_server_new(&(net_server_opts){.listens = &taken, .listen_count = 1}, &s, &e);
    assert_rc(code, RC_IO);
    assert_true(str_has(str_c(e.msg), S("address already in use")));
    code = net_server_new(&(net_server_opts){.listens = &bad, .listen_count = 1}, &s, &e);
    assert_rc(code, RC_INVALID);
    assert_null(s);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h1_answers_get_head_and_errors),
        cmocka_unit_test(h1_keeps_connections_and_pipelines),
        cmocka_unit_test(h1_reads_large_bodies_and_waits_for_100),
        cmocka_unit_test(h1_refuses_smuggling),
        cmocka_unit_test(h1_unpacks_bodies),
        cmocka_unit_test(h1_packs_answers),
        cmocka_unit_test(h1_checks_rights),
        cmocka_unit_test(h1_keeps_web_pages_out),
        cmocka_unit_test(h1_answers_rpc_errors),
        cmocka_unit_test(h1_streams_answers),
        cmocka_unit_test(h1_cancels_when_the_client_goes),
        cmocka_unit_test(h1_times_out),
        cmocka_unit_test(h1_drains),
        cmocka_unit_test(h1_bounds_connections_and_bodies),
        cmocka_unit_test(server_says_why_it_cannot_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
