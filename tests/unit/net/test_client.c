/* The client against our own server, and against sockets that misbehave. */
#include "certs.h"
#include "net_test.h"

#include "net/client.h"
#include "sys/thread.h"

#include <stdatomic.h>
#include <sys/un.h>

typedef struct fixture {
    net_server *s;
    net_client *c;
    arena a;
    str base, tls_base;
    sys_queue *held;
    sys_thread *worker;
    char dir[64];
} fixture;

static void echo(void *ctx, net_request *r) {
    (void)ctx;
    str type = net_header(r, S("x-test"));
    str headers[] = {S("X-Answer"), type.n ? type : S("none"), S("X-Method"), net_method(r)};
    net_reply(r,
              &(net_reply_opts){.content_type = S("text/x"), .headers = headers, .header_count = 2},
              net_body(r));
}

static void moved(void *ctx, net_request *r) {
    (void)ctx;
    str headers[] = {S("Location"), S("/echo")};
    net_reply(r, &(net_reply_opts){.status = 302, .headers = headers, .header_count = 1},
              S("away"));
}

static void large(void *ctx, net_request *r) {
    (void)ctx;
    char *p = arena_try_bytes(net_arena(r), 2 << 20, 1);
    MUST(p);
    memset(p, 'x', 2 << 20);
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, str_make(p, 2 << 20));
}

static void missing(void *ctx, net_request *r) {
    (void)ctx;
    err e = {0};
    IGNORE(FAIL(&e, RC_NOT_FOUND, "not here"));
    net_reply_err(r, &e);
}

static void hold(void *ctx, net_request *r) {
    fixture *f = ctx;
    assert_rc(sys_queue_push(f->held, r), RC_OK);
}

static bool is_cancelled(const net_request *r) {
    return __atomic_load_n((const int *)(uintptr_t)net_request_cancel(r), __ATOMIC_RELAXED);
}

/* "/stream": parts; else nothing until the client is gone. */
static void worker(void *ctx) {
    fixture *f = ctx;
    void *item;
    while (sys_queue_pop(f->held, &item) == RC_OK) {
        net_request *r = item;
        if (str_eq(net_path(r), S("/stream"))) {
            rc code = net_stream_begin(r, &(net_reply_opts){0}, 1 << 20);
            for (int i = 0; i < 100 && code == RC_OK; i++)
                code = net_stream_write(r, S("0123456789"));
            net_stream_end(r, NULL);
        } else {
            while (!is_cancelled(r)) usleep(500);
            net_reply(r, &(net_reply_opts){0}, STR_NONE);
        }
    }
}

static str path_in(fixture *f, const char *name) {
    return str_fmt(&f->a, "%s/%s%c", f->dir, name, 0);
}

static void start(fixture *f) {
    *f = (fixture){0};
    arena_init(&f->a, "test", 64 << 20);
    snprintf(f->dir, sizeof f->dir, "/tmp/faultline-client-XXXXXX");
    MUST(mkdtemp(f->dir));
    cert ca = cert_make("authority", 1, NULL), server = cert_make("localhost", 2, &ca);
    cert_write(&ca, path_in(f, "ca.pem").p, NULL);
    cert_write(&server, path_in(f, "server.pem").p, path_in(f, "server.key").p);
    cert_free(&ca);
    cert_free(&server);
    f->held = sys_queue_new(64);
    err e = {0};
    net_tls tls = {.cert_file = str_c(path_in(f, "server.pem").p),
                   .key_file = str_c(path_in(f, "server.key").p)};
    net_listen listens[] = {{.host = S("127.0.0.1")}, {.host = S("127.0.0.1"), .tls = tls}};
    net_server_opts o = {.listens = listens, .listen_count = 2};
    if (net_server_new(&o, &f->s, &e) != RC_OK) fail_msg("%s", e.msg);
    net_route_add(f->s, 1, "POST", "/echo", ROLE_WRITE, echo, f);
    net_route_add(f->s, 1, "GET", "/echo", ROLE_WRITE, echo, f);
    net_route_add(f->s, 1, "PUT", "/echo", ROLE_WRITE, echo, f);
    net_route_add(f->s, 1, "GET", "/moved", ROLE_READ, moved, f);
    net_route_add(f->s, 1, "GET", "/large", ROLE_READ, large, f);
    net_route_add(f->s, 1, "GET", "/missing", ROLE_READ, missing, f);
    net_route_add(f->s, 1, "GET", "/hold", ROLE_READ, hold, f);
    net_route_add(f->s, 1, "GET", "/stream", ROLE_READ, hold, f);
    assert_rc(net_server_start(f->s, &e), RC_OK);
    assert_rc(sys_thread_start("worker", worker, f, &f->worker, &e), RC_OK);
    f->base = str_fmt(&f->a, "http://127.0.0.1:%u", net_server_port(f->s, 0));
    f->tls_base = str_fmt(&f->a, "https://localhost:%u", net_server_port(f->s, 1));
    net_client_opts co = {
        .max_calls = 8, .user_agent = S("test"), .ca_file = str_c(path_in(f, "ca.pem").p)};
    assert_rc(net_client_new(&co, &f->c, &e), RC_OK);
}

static void stop(fixture *f) {
    net_client_free(f->c);
    net_server_free(f->s);
    sys_queue_close(f->held);
    sys_thread_join(f->worker);
    sys_queue_free(f->held);
    const char *names[] = {"ca.pem", "server.pem", "server.key", "socket"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) remove(path_in(f, names[i]).p);
    rmdir(f->dir);
    arena_release(&f->a);
}

static str url(fixture *f, const char *path) {
    return str_fmt(&f->a, "%.*s%s", STR_ARG(f->base), path);
}

static str header_of(const net_response *r, const char *name) {
    for (size_t i = 0; i < r->header_count; i++) {
        if (str_eq(r->headers[2 * i], str_c(name))) return r->headers[2 * i + 1];
    }
    return STR_NONE;
}

static void client_calls(void **state) {
    (void)state;
    fixture f;
    start(&f);
    net_response r = {0};
    err e = {0};
    str headers[] = {S("X-Test"), S("value")};
    net_call_opts o = {.method = S("POST"),
                       .url = url(&f, "/echo?q=1"),
                       .headers = headers,
                       .header_count = 1,
                       .body = S("a\0b")};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_int_equal(r.status, 200);
    assert_text(r.body, S("a\0b"));
    assert_text(r.content_type, S("text/x"));
    assert_text(header_of(&r, "x-answer"), S("value"));
    assert_true(r.duration_ns > 0);
    o = (net_call_opts){.method = S("PUT"), .url = url(&f, "/echo")};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_text(header_of(&r, "x-method"), S("PUT"));
    o = (net_call_opts){.url = url(&f, "/echo")};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_text(header_of(&r, "x-method"), S("GET"));
    o = (net_call_opts){.method = S("HEAD"), .url = url(&f, "/large")};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_true(r.status == 200 && header_of(&r, "content-length").n > 0 && r.body.n == 0);
    /* packed on the way */
    o = (net_call_opts){.url = url(&f, "/large")};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_int_equal(r.body.n, 2 << 20);
    o = (net_call_opts){.url = url(&f, "/missing")};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_int_equal(r.status, 404);
    assert_true(str_has(r.body, S("not here")));
    stop(&f);
}

static void client_follows_only_when_told(void **state) {
    (void)state;
    fixture f;
    start(&f);
    net_response r = {0};
    err e = {0};
    net_call_opts o = {.url = url(&f, "/moved")};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_int_equal(r.status, 302);
    assert_text(r.body, S("away"));
    o.max_redirects = 1;
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_int_equal(r.status, 200);
    assert_int_equal(header_of(&r, "location").n, 0); /* headers of the last answer */
    stop(&f);
}

static void client_verifies_tls(void **state) {
    (void)state;
    fixture f;
    start(&f);
    net_response r = {0};
    err e = {0};
    net_call_opts o = {.method = S("POST"),
                       .url = str_fmt(&f.a, "%.*s/echo", STR_ARG(f.tls_base)),
                       .body = S("safe")};
    if (net_call(f.c, &o, &f.a, &r, &e) != RC_OK) fail_msg("%s", e.msg);
    assert_text(r.body, S("safe"));
    net_client *plain;
    assert_rc(net_client_new(&(net_client_opts){0}, &plain, &e), RC_OK);
    assert_rc(net_call(plain, &o, &f.a, &r, &e), RC_IO);
    assert_true(str_has(str_c(e.msg), S("certificate")));
    net_client_free(plain);
    stop(&f);
}

static rc count_part(void *ctx, str part) {
    *(size_t *)ctx += part.n;
    return RC_OK;
}

static rc refuse_part(void *ctx, str part) {
    (void)ctx;
    (void)part;
    return RC_INVALID;
}

static void client_streams(void **state) {
    (void)state;
    fixture f;
    start(&f);
    net_response r = {0};
    err e = {0};
    size_t bytes = 0;
    net_call_opts o = {.url = url(&f, "/stream"), .on_part = count_part, .on_part_ctx = &bytes};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_int_equal(bytes, 1000);
    assert_int_equal(r.body.n, 0);
    o.url = url(&f, "/missing"); /* no 2xx: the body is kept */
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_true(r.body.n > 0 && bytes == 1000);
    o = (net_call_opts){.url = url(&f, "/stream"), .on_part = refuse_part};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_INVALID);
    stop(&f);
}

static void client_limits(void **state) {
    (void)state;
    fixture f;
    start(&f);
    net_response r = {0};
    err e = {0};
    net_call_opts o = {.url = url(&f, "/large"), .max_response_bytes = 1 << 20};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_LIMIT);
    assert_true(str_has(str_c(e.msg), S("too large")));
    o = (net_call_opts){.url = url(&f, "/hold"), .timeout_ms = 200};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_TIMEOUT);
    o = (net_call_opts){.url = url(&f, "/hold"), .timeout_ms = -1, .idle_timeout_ms = 200};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_TIMEOUT);
    assert_true(str_has(str_c(e.msg), S("no byte came")));
    const volatile int cancel = 1;
    o = (net_call_opts){.url = url(&f, "/hold"), .cancel = &cancel};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_CANCELLED);
    /* what is not valid */
    const char *bad[] = {"", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "http://a b/\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        o = (net_call_opts){.url = str_c(bad[i])};
        assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_INVALID);
    }
    str headers[] = {S("X-A"), S("b\r\nX-C: d")};
    o = (net_call_opts){.url = url(&f, "/echo"), .headers = headers, .header_count = 1};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_INVALID);
    /* nobody there; no secret in the message */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    o = (net_call_opts){
        .url = str_fmt(&f.a, "http://me:secret@127.0.0.1:%u/p?token=secret", ntohs(a.sin_port))};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_IO);
    assert_true(str_starts(str_c(e.msg), S("GET http://127.0.0.1:")));
    assert_false(str_has(str_c(e.msg), S("secret")));
    close(fd);
    stop(&f);
}

typedef struct ends {
    atomic_int count, codes[RC_COUNT];
} ends;

static void on_end(void *ctx, rc code, const err *e, const net_response *r) {
    ends *t = ctx;
    MUST((code == RC_OK) == (r != NULL) && e);
    atomic_fetch_add(&t->codes[code], 1);
    atomic_fetch_add(&t->count, 1);
}

static void client_runs_calls_at_once_and_ends_them(void **state) {
    (void)state;
    fixture f;
    start(&f);
    err e = {0};
    ends t = {0};
    net_call_opts o = {.url = url(&f, "/hold"), .timeout_ms = -1, .idle_timeout_ms = -1};
    for (int i = 0; i < 7; i++) assert_rc(net_call_start(f.c, &o, on_end, &t, &e), RC_OK);
    o = (net_call_opts){.url = url(&f, "/echo")};
    assert_rc(net_call_start(f.c, &o, on_end, &t, &e), RC_OK);
    while (atomic_load(&t.count) < 1) usleep(500);
    assert_int_equal(atomic_load(&t.codes[RC_OK]), 1);
    o.url = url(&f, "/hold");
    assert_rc(net_call_start(f.c, &o, on_end, &t, &e), RC_OK);
    assert_rc(net_call_start(f.c, &o, on_end, &t, &e), RC_AGAIN);
    net_client_free(TAKE(f.c));
    assert_int_equal(atomic_load(&t.codes[RC_CANCELLED]), 8);
    stop(&f);
}

static void answer_one(void *ctx) {
    int listener = *(int *)ctx, fd = accept(listener, NULL, NULL);
    char part[4096];
    IGNORE(recv(fd, part, sizeof part, 0)); /* the request comes in one piece */
    client_send(fd, S("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix"));
    close(fd);
}

static void client_speaks_over_a_unix_socket(void **state) {
    (void)state;
    fixture f;
    start(&f);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    str path = str_c(path_in(&f, "socket").p);
    snprintf(a.sun_path, sizeof a.sun_path, "%.*s", STR_ARG(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    sys_thread *t;
    err e = {0};
    assert_rc(sys_thread_start("unix", answer_one, &fd, &t, &e), RC_OK);
    net_response r = {0};
    net_call_opts o = {.url = S("http://local/x"), .unix_socket = path};
    assert_rc(net_call(f.c, &o, &f.a, &r, &e), RC_OK);
    assert_text(r.body, S("unix"));
    sys_thread_join(t);
    close(fd);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_calls),
        cmocka_unit_test(client_follows_only_when_told),
        cmocka_unit_test(client_verifies_tls),
        cmocka_unit_test(client_streams),
        cmocka_unit_test(client_limits),
        cmocka_unit_test(client_runs_calls_at_once_and_ends_them),
        cmocka_unit_test(client_speaks_over_a_unix_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
