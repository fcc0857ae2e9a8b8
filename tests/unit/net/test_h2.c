/* HTTP/2 and gRPC over real sockets; the client side is nghttp2's, or raw frames. */
#include "net_test.h"

#include "sys/thread.h"

#include <nghttp2/nghttp2.h>
#include <stdatomic.h>
#include <zstd.h>

/* ---- client ---- */

enum { CALLS_MAX = 64 };

typedef struct call {
    int32_t id;
    str body;
    size_t sent;
    buf got, headers; /* headers: "name: value\n" */
    bool closed;
    uint32_t code;
} call;

typedef struct client {
    int fd;
    nghttp2_session *s;
    call calls[CALLS_MAX];
    size_t count;
    bool goaway, eof;
    uint32_t goaway_code;
} client;

static call *find_call(client *c, int32_t id) {
    for (size_t i = 0; i < c->count; i++) {
        if (c->calls[i].id == id) return &c->calls[i];
    }
    return NULL;
}

static call *call_of(client *c, int32_t id) {
    call *k = find_call(c, id);
    MUST(k);
    return k;
}

static int got_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *n, size_t nn,
                      const uint8_t *v, size_t vn, uint8_t flags, void *ctx) {
    (void)s;
    (void)flags;
    call *k = call_of(ctx, f->hd.stream_id);
    buf_fmt(&k->headers, "%.*s: %.*s\n", (int)nn, (const char *)n, (int)vn, (const char *)v);
    return 0;
}

static int got_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                    void *ctx) {
    (void)s;
    (void)flags;
    call *k = call_of(ctx, id);
    assert_true(buf_put(&k->got, str_make((const char *)p, n)));
    return 0;
}

static int got_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx) {
    (void)s;
    call *k = find_call(ctx, id);
    if (!k) return 0;
    k->closed = true;
    k->code = code;
    return 0;
}

static int got_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx) {
    (void)s;
    client *c = ctx;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        c->goaway = true;
        c->goaway_code = f->goaway.error_code;
    }
    return 0;
}

static ssize_t give_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *ctx) {
    (void)s;
    (void)source;
    call *k = call_of(ctx, id);
    size_t n = MIN(room, k->body.n - k->sent);
    memcpy(to, k->body.p + k->sent, n);
    k->sent += n;
    if (k->sent == k->body.n) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void client_begin(client *c, uint16_t port, uint32_t window) {
    *c = (client){.fd = client_open(port)};
    nghttp2_session_callbacks *cb;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback(cb, got_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, got_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, got_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, got_frame);
    assert_int_equal(nghttp2_session_client_new(&c->s, cb, c), 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_settings_entry e = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window ? window - 1 : 65535};
    assert_int_equal(nghttp2_submit_settings(c->s, 0, &e, 1), 0);
}

static void client_end(client *c) {
    nghttp2_session_del(c->s);
    for (size_t i = 0; i < c->count; i++) {
        buf_release(&c->calls[i].got);
        buf_release(&c->calls[i].headers);
    }
    close(c->fd);
}

static void client_flush(client *c) {
    const uint8_t *p;
    for (ssize_t n; (n = nghttp2_session_mem_send(c->s, &p)) > 0;)
        client_send(c->fd, str_make((const char *)p, (size_t)n));
}

static void client_step(client *c) {
    static char part[65536];
    client_flush(c);
    size_t n = client_some(c->fd, part, sizeof part);
    if (n == 0) {
        c->eof = true;
        return;
    }
    if (nghttp2_session_mem_recv(c->s, (const uint8_t *)part, n) < 0) c->eof = true;
    client_flush(c);
}

static void client_wait(client *c, const call *k) {
    while (!k->closed && !c->eof) client_step(c);
}

/* headers: name, value ... of `pairs` */
static call *client_call(client *c, const char *method, const char *path, const char **headers,
                         size_t pairs, const str *body) {
    assert_true(c->count < CALLS_MAX);
    call *k = &c->calls[c->count++];
    *k = (call){.body = body ? *body : STR_NONE};
    buf_init(&k->got, 64 << 20);
    buf_init(&k->headers, 1 << 20);
    nghttp2_nv nv[24];
    size_t n = 0;
#define NV(a, b)                                                                                   \
    nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)(a), (uint8_t *)(uintptr_t)(b), strlen(a),        \
                           strlen(b), 0}
    NV(":method", method);
    NV(":scheme", "http");
    NV(":authority", "localhost");
    NV(":path", path);
    for (size_t i = 0; i < pairs; i++) NV(headers[2 * i], headers[2 * i + 1]);
#undef NV
    nghttp2_data_provider d = {.read_callback = give_body};
    k->id = nghttp2_submit_request(c->s, NULL, nv, n, body ? &d : NULL, NULL);
    assert_true(k->id > 0);
    return k;
}

static bool says(const call *k, const char *line) {
    return str_has(buf_str(&k->headers), str_c(line));
}

/* ---- server ---- */

typedef struct fixture {
    net_server *s;
    uint16_t port;
    arena a;
    sys_queue *later;
    sys_thread *worker;
    atomic_int grpc_status;
    atomic_int held; /* requests that the worker keeps until told */
    atomic_bool let_go;
} fixture;

static void echo(void *ctx, net_request *r) {
    (void)ctx;
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, net_body(r));
}

static void unary(void *ctx, net_request *r) {
    (void)ctx;
    assert_true(net_is_grpc(r));
    net_reply(r, &(net_reply_opts){0}, net_body(r));
}

static void denies(void *ctx, net_request *r) {
    (void)ctx;
    net_reply(r,
              &(net_reply_opts){
                  .status = 7, .grpc_message = S("100% \xc3\xa9\n"), .grpc_details = S("\x08\x07")},
              STR_NONE);
}

static void fails(void *ctx, net_request *r) {
    (void)ctx;
    err e = {0};
    IGNORE(FAIL(&e, RC_AGAIN, "full"));
    net_reply_err(r, &e);
}

static void later(void *ctx, net_request *r) {
    fixture *f = ctx;
    assert_rc(sys_queue_push(f->later, r), RC_OK);
}

static void large(void *ctx, net_request *r) {
    (void)ctx;
    char *p = arena_try_bytes(net_arena(r), 3 << 20, 1);
    memset(p, 'x', 3 << 20);
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, str_make(p, 3 << 20));
}

static bool is_cancelled(const net_request *r) {
    return __atomic_load_n((const int *)(uintptr_t)net_request_cancel(r), __ATOMIC_RELAXED);
}

static void worker(void *ctx) {
    fixture *f = ctx;
    void *item;
    while (sys_queue_pop(f->later, &item) == RC_OK) {
        net_request *r = item;
        if (str_ends(net_path(r), S("Stream"))) {
            rc code = net_stream_begin(r, &(net_reply_opts){0}, 64 << 10);
            char part[1000];
            memset(part, 's', sizeof part);
            for (int i = 0; i < 1000 && code == RC_OK;) {
                code = net_stream_write(r, str_make(part, sizeof part));
                if (code == RC_OK) i++;
                if (code == RC_AGAIN) code = net_stream_wait(r, 10000);
            }
            net_stream_end(r, &(net_reply_opts){.status = code == RC_OK ? 0 : 1});
        } else {
            atomic_fetch_add(&f->held, 1);
            while (!is_cancelled(r) && !atomic_load(&f->let_go)) usleep(200);
            atomic_fetch_sub(&f->held, 1);
            net_reply(r, &(net_reply_opts){0}, S("late"));
        }
    }
}

static void on_access(void *ctx, const net_access *a) {
    fixture *f = ctx;
    atomic_store(&f->grpc_status, a->grpc_status);
}

static void start(fixture *f, net_limits limits) {
    *f = (fixture){0};
    arena_init(&f->a, "test", 64 << 20);
    f->later = sys_queue_new(1000);
    err e = {0};
    net_listen listen = {.host = S("127.0.0.1")};
    net_server_opts o = {.listens = &listen,
                         .listen_count = 1,
                         .limits = limits,
                         .on_access = on_access,
                         .on_access_ctx = f};
    assert_rc(net_server_new(&o, &f->s, &e), RC_OK);
    net_route_add(f->s, 1, "POST", "/echo", ROLE_WRITE, echo, f);
    net_route_add(f->s, 1, "GET", "/echo", ROLE_WRITE, echo, f);
    net_route_add(f->s, 1, "GET", "/large", ROLE_READ, large, f);
    net_route_add(f->s, 1, "GRPC", "/t.Test/Unary", ROLE_WRITE, unary, f);
    net_route_add(f->s, 1, "GRPC", "/t.Test/Denied", ROLE_WRITE, denies, f);
    net_route_add(f->s, 1, "GRPC", "/t.Test/Fails", ROLE_WRITE, fails, f);
    net_route_add(f->s, 1, "GRPC", "/t.Test/Stream", ROLE_READ, later, f);
    net_route_add(f->s, 1, "GRPC", "/t.Test/Wait", ROLE_READ, later, f);
    net_route_add(f->s, 1, "GET", "/wait", ROLE_READ, later, f);
    assert_rc(net_server_start(f->s, &e), RC_OK);
    f->port = net_server_port(f->s, 0);
    assert_rc(sys_thread_start("worker", worker, f, &f->worker, &e), RC_OK);
}

static void stop(fixture *f) {
    atomic_store(&f->let_go, true);
    net_server_free(f->s);
    sys_queue_close(f->later);
    sys_thread_join(f->worker);
    sys_queue_free(f->later);
    arena_release(&f->a);
}

static str message(fixture *f, int flag, str body) {
    char *p = arena_try_bytes(&f->a, body.n + 5, 1);
    MUST(p);
    p[0] = (char)flag;
    for (size_t i = 1; i < 5; i++) p[i] = (char)(body.n >> (8 * (4 - i)));
    if (body.n) memcpy(p + 5, body.p, body.n);
    return str_make(p, body.n + 5);
}

static const char *grpc_headers[] = {"content-type", "application/grpc+proto", "te",
                                     "trailers",     "grpc-encoding",          "gzip"};

/* One gRPC call on its own connection. The answer is left in *c. */
static call *grpc(fixture *f, client *c, const char *path, str bytes, size_t headers) {
    client_begin(c, f->port, 0);
    call *k = client_call(c, "POST", path, grpc_headers, headers, &bytes);
    client_wait(c, k);
    return k;
}

/* ---- tests ---- */

static void h2_answers_plain_requests(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0});
    client c;
    client_begin(&c, f.port, 0);
    size_t n = 2 << 20;
    char *p = arena_try_bytes(&f.a, n, 1);
    for (size_t i = 0; i < n; i++) p[i] = (char)(i * 7 % 251);
    str body = str_make(p, n);
    call *a = client_call(&c, "POST", "/echo", NULL, 0, &body);
    call *b = client_call(&c, "GET", "/large", NULL, 0, NULL);
    call *h = client_call(&c, "HEAD", "/large", NULL, 0, NULL);
    call *d = client_call(&c, "GET", "/nowhere", NULL, 0, NULL);
    call *e = client_call(&c, "POST", "/t.Test/Unary", NULL, 0, &body);
    const char *length[] = {"content-length", "3", "accept-encoding", "zstd"};
    str three = S("abc");
    call *g = client_call(&c, "POST", "/echo", length, 1, &three);
    call *z = client_call(&c, "GET", "/large", length + 2, 1, NULL);
    call *all[] = {a, b, h, d, e, g, z};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) client_wait(&c, all[i]);
    assert_true(says(a, ":status: 200\n") && str_eq(buf_str(&a->got), body));
    assert_int_equal(b->got.n, 3 << 20);
    assert_true(says(h, "content-length: 3145728\n") && h->got.n == 0);
    assert_true(says(d, ":status: 404\n"));
    assert_true(says(e, ":status: 415\n"));
    assert_text(buf_str(&g->got), S("abc"));
    assert_true(says(z, "content-encoding: zstd\n") && z->got.n < 10000);
    client_end(&c);
    stop(&f);
}

static void grpc_answers_unary_calls(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.max_body_bytes = 1 << 20});
    client c;
    str text = str_fmt(&f.a, "%0300000d", 5);
    call *k = grpc(&f, &c, "/t.Test/Unary", message(&f, 0, text), 2);
    assert_true(says(k, ":status: 200\n") && says(k, "content-type: application/grpc\n"));
    assert_true(says(k, "grpc-status: 0\n"));
    assert_true(str_eq(buf_str(&k->got), message(&f, 0, text)));
    client_end(&c);
    /* packed, both ways */
    str packed = gzip_of(&f.a, text, 6);
    grpc_headers[4] = "grpc-encoding";
    k = grpc(&f, &c, "/t.Test/Unary", message(&f, 1, packed), 3);
    assert_true(says(k, "grpc-status: 0\n") && str_eq(buf_str(&k->got), message(&f, 0, text)));
    client_end(&c);
    /* an encoding is announced, the message is not packed */
    k = grpc(&f, &c, "/t.Test/Unary", message(&f, 0, S("hi")), 3);
    assert_text(str_from(buf_str(&k->got), 5), S("hi"));
    client_end(&c);
    /* nothing in the message */
    k = grpc(&f, &c, "/t.Test/Unary", message(&f, 0, S("")), 2);
    assert_true(says(k, "grpc-status: 0\n") && k->got.n == 5);
    client_end(&c);
    k = grpc(&f, &c, "/t.Test/Denied", message(&f, 0, S("x")), 2);
    assert_true(says(k, "grpc-status: 7\n") && says(k, "grpc-message: 100%25 %C3%A9%0A\n"));
    assert_true(says(k, "grpc-status-details-bin: CAc\n") && k->got.n == 0);
    client_end(&c);
    k = grpc(&f, &c, "/t.Test/Fails", message(&f, 0, S("x")), 2);
    assert_true(says(k, "grpc-status: 14\n") && says(k, "grpc-message: full\n"));
    assert_true(says(k, "grpc-status-details-bin: CA4SBGZ1bGwa")); /* with RetryInfo */
    client_end(&c);
    assert_int_equal(atomic_load(&f.grpc_status), 14);
    stop(&f);
}

static void grpc_refuses(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.max_body_bytes = 1000});
    client c;
    const struct {
        const char *path;
        str bytes;
        size_t headers;
        const char *status;
    } rows[] = {
        {"/t.Test/Nothing", message(&f, 0, S("x")), 2, "grpc-status: 12\n"},
        {"/t.Test/Unary", message(&f, 1, S("x")), 2, "grpc-status: 13\n"},
        {"/t.Test/Unary", message(&f, 2, S("x")), 2, "grpc-status: 13\n"},
        {"/t.Test/Unary", message(&f, 1, S("no gzip")), 3, "grpc-status: 13\n"},
        {"/t.Test/Unary",
         S("\0\0\0\0\x05"
           "abc"),
         2, "grpc-status: 13\n"},
        {"/t.Test/Unary", S("\0\0\0"), 2, "grpc-status: 13\n"},
        {"/t.Test/Unary", S(""), 2, "grpc-status: 12\n"},
        {"/t.Test/Unary", S("\0\0\0\0\1a\0\0\0\0\1b"), 2, "grpc-status: 12\n"},
        {"/t.Test/Unary", S("\0\xff\xff\xff\xff"), 2, "grpc-status: 8\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        call *k = grpc(&f, &c, rows[i].path, rows[i].bytes, rows[i].headers);
        if (!says(k, rows[i].status) || !says(k, ":status: 200\n"))
            fail_msg("row %zu: got \"%.*s\"", i, STR_ARG(buf_str(&k->headers)));
        client_end(&c);
    }
    /* over the limit, more than the windows: told at the fifth byte */
    char *p = arena_try_bytes(&f.a, 8 << 20, 1);
    call *k = grpc(&f, &c, "/t.Test/Unary", message(&f, 0, str_make(p, 8 << 20)), 2);
    assert_true(says(k, "grpc-status: 8\n") && !says(k, "details"));
    client_end(&c);
    /* unpacked over the limit */
    k = grpc(&f, &c, "/t.Test/Unary", message(&f, 1, gzip_of(&f.a, str_make(p, 5000), 6)), 3);
    assert_true(says(k, "grpc-status: 8\n"));
    client_end(&c);
    const char *saved = grpc_headers[5];
    grpc_headers[5] = "snappy";
    k = grpc(&f, &c, "/t.Test/Unary", message(&f, 1, S("x")), 3);
    assert_true(says(k, "grpc-status: 12\n") &&
                says(k, "grpc-accept-encoding: identity,gzip,zstd\n"));
    grpc_headers[5] = saved;
    client_end(&c);
    grpc_headers[4] = "grpc-timeout";
    grpc_headers[5] = "5x";
    k = grpc(&f, &c, "/t.Test/Unary", message(&f, 0, S("x")), 3);
    assert_true(says(k, "grpc-status: 3\n"));
    client_end(&c);
    /* a deadline passes while the handler works */
    grpc_headers[5] = "100m";
    k = grpc(&f, &c, "/t.Test/Wait", message(&f, 0, S("x")), 3);
    assert_true(says(k, "grpc-status: 4\n"));
    grpc_headers[4] = "grpc-encoding";
    grpc_headers[5] = saved;
    client_end(&c);
    net_counts n = {.requests_open = 1};
    while (n.requests_open > 0) { /* until the server has seen the last connection go */
        net_server_count(f.s, &n);
        usleep(200);
    }
    assert_int_equal(n.inflight_bytes, 0);
    stop(&f);
}

static void grpc_streams_with_backpressure(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0});
    client c;
    client_begin(&c, f.port, 2000 + 1);
    str m = message(&f, 0, S("x"));
    call *k = client_call(&c, "POST", "/t.Test/Stream", grpc_headers, 2, &m);
    client_wait(&c, k);
    assert_int_equal(k->got.n, 1000 * 1005);
    assert_true(says(k, "grpc-status: 0\n"));
    /* reset by the client: the writer ends */
    k = client_call(&c, "POST", "/t.Test/Stream", grpc_headers, 2, &m);
    while (k->got.n == 0 && !c.eof) client_step(&c);
    nghttp2_submit_rst_stream(c.s, 0, k->id, NGHTTP2_CANCEL);
    client_flush(&c);
    net_counts n = {.requests_open = 1};
    while (n.requests_open > 0) {
        net_server_count(f.s, &n);
        usleep(200);
    }
    client_end(&c);
    stop(&f);
}

static void h2_cancels_and_drains(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0});
    client c;
    client_begin(&c, f.port, 0);
    call *k = client_call(&c, "GET", "/wait", NULL, 0, NULL);
    client_flush(&c);
    while (atomic_load(&f.held) == 0) usleep(200);
    nghttp2_submit_rst_stream(c.s, 0, k->id, NGHTTP2_CANCEL);
    client_flush(&c);
    while (atomic_load(&f.held) == 1) usleep(200);
    /* a running request ends, the connection then closes */
    k = client_call(&c, "GET", "/wait", NULL, 0, NULL);
    client_flush(&c);
    while (atomic_load(&f.held) == 0) usleep(200);
    net_server_drain(f.s, 0);
    while (!c.goaway && !c.eof) client_step(&c);
    assert_int_equal(c.goaway_code, NGHTTP2_NO_ERROR);
    atomic_store(&f.let_go, true);
    client_wait(&c, k);
    assert_text(buf_str(&k->got), S("late"));
    while (!c.eof) client_step(&c);
    client_end(&c);
    net_server_drain(f.s, 10000);
    net_counts n;
    net_server_count(f.s, &n);
    assert_int_equal(n.connections_open, 0);
    stop(&f);
}

static void raw_frame(buf *b, size_t n, int type, int flags, uint32_t id, str payload) {
    char h[9] = {(char)(n >> 16),  (char)(n >> 8),   (char)n,         (char)type, (char)flags,
                 (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    buf_put(b, str_make(h, 9));
    buf_put(b, payload);
}

/* Sends the bytes; true when the server ends the connection. */
static bool is_ended(uint16_t port, str bytes) {
    int fd = client_open(port);
    client_send(fd, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    client_send(fd, str_make("\0\0\0\4\0\0\0\0\0", 9));
    client_send(fd, bytes);
    char part[65536];
    while (client_some(fd, part, sizeof part) > 0) {}
    close(fd);
    return true;
}

static void h2_ends_floods(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.idle_timeout_ms = 60000});
    buf b;
    buf_init(&b, 16 << 20);
    /* PING */
    for (int i = 0; i < 20000; i++) raw_frame(&b, 8, 6, 0, 0, S("12345678"));
    assert_true(is_ended(f.port, buf_str(&b)));
    /* empty SETTINGS */
    buf_reset(&b);
    for (int i = 0; i < 20000; i++) raw_frame(&b, 0, 4, 0, 0, S(""));
    assert_true(is_ended(f.port, buf_str(&b)));
    /* PRIORITY */
    buf_reset(&b);
    for (int i = 0; i < 20000; i++) raw_frame(&b, 5, 2, 0, 3, str_make("\0\0\0\0\1", 5));
    assert_true(is_ended(f.port, buf_str(&b)));
    /* rapid reset of /wait: :method GET, :scheme http, :path literal */
    buf_reset(&b);
    static const char block[] = "\x82\x86\x04\x05/wait\x41\x01x";
    for (uint32_t i = 0; i < 5000; i++) {
        raw_frame(&b, sizeof block - 1, 1, 5, 2 * i + 1, str_make(block, sizeof block - 1));
        raw_frame(&b, 4, 3, 0, 2 * i + 1, str_make("\0\0\0\x08", 4));
    }
    assert_true(is_ended(f.port, buf_str(&b)));
    /* CONTINUATION without end */
    buf_reset(&b);
    raw_frame(&b, sizeof block - 1, 1, 1, 1, str_make(block, sizeof block - 1));
    for (int i = 0; i < 2000; i++) raw_frame(&b, 4, 9, 0, 1, str_make("\0\1a\0", 4));
    assert_true(is_ended(f.port, buf_str(&b)));
    net_counts n;
    net_server_count(f.s, &n);
    assert_int_equal(n.h2_floods, 5);
    buf_release(&b);
    /* and others are still served */
    client c;
    str m = message(&f, 0, S("x"));
    atomic_store(&f.let_go, true);
    call *k = grpc(&f, &c, "/t.Test/Unary", m, 2);
    assert_true(says(k, "grpc-status: 0\n"));
    client_end(&c);
    stop(&f);
}

static void h2_times_out(void **state) {
    (void)state;
    fixture f;
    start(&f,
          (net_limits){.header_timeout_ms = 300, .body_timeout_ms = 300, .idle_timeout_ms = 700});
    client c;
    /* a client that never opens its window */
    client_begin(&c, f.port, 1);
    call *k = client_call(&c, "GET", "/large", NULL, 0, NULL);
    client_wait(&c, k);
    assert_true(k->closed && k->code == NGHTTP2_CANCEL);
    /* then idle */
    while (!c.eof) client_step(&c);
    client_end(&c);
    /* headers without end */
    buf b;
    buf_init(&b, 1000);
    raw_frame(&b, 1, 1, 1, 1, S("\x82"));
    assert_true(is_ended(f.port, buf_str(&b)));
    /* half a frame */
    assert_true(is_ended(f.port, str_make("\0\0", 2)));
    /* no whole preface */
    int fd = client_open(f.port);
    client_send(fd, S("PRI * HTTP"));
    buf_reset(&b);
    assert_int_equal(client_rest(fd, &b).n, 0);
    close(fd);
    buf_release(&b);
    stop(&f);
}

static void h2_limits_headers(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.max_header_bytes = 2000, .max_headers = 12});
    client c;
    client_begin(&c, f.port, 0);
    const char *many[20];
    for (size_t i = 0; i < 20; i += 2) {
        many[i] = "a";
        many[i + 1] = "b";
    }
    char *longer = arena_try_bytes(&f.a, 3001, 1);
    memset(longer, 'x', 3000);
    const char *big[] = {"a", longer};
    call *k = client_call(&c, "GET", "/echo", many, 10, NULL);
    client_wait(&c, k);
    assert_true(says(k, ":status: 200\n"));
    call *l = client_call(&c, "GET", "/echo", big, 1, NULL);
    client_wait(&c, l);
    assert_true(says(l, ":status: 431\n"));
    const char *call_big[] = {"content-type", "application/grpc", "a", longer};
    l = client_call(&c, "POST", "/a.Service/Call", call_big, 2, NULL);
    client_wait(&c, l);
    assert_true(says(l, ":status: 200\n") && says(l, "grpc-status: 8\n"));
    const char *bad[] = {"te", "gzip"};
    l = client_call(&c, "GET", "/echo", bad, 1, NULL);
    client_wait(&c, l);
    assert_true(l->closed && l->headers.n == 0);
    client_end(&c);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h2_answers_plain_requests),
        cmocka_unit_test(grpc_answers_unary_calls),
        cmocka_unit_test(grpc_refuses),
        cmocka_unit_test(grpc_streams_with_backpressure),
        cmocka_unit_test(h2_cancels_and_drains),
        cmocka_unit_test(h2_ends_floods),
        cmocka_unit_test(h2_times_out),
        cmocka_unit_test(h2_limits_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
