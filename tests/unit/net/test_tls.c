/* TLS over real sockets: ALPN, versions, client certificates, reload, failures. The client is
 * OpenSSL itself. */
#include "certs.h"
#include "net_test.h"

#include <openssl/ssl.h>

static const char *tmp_dir;

static const char *path_of(const char *name) {
    static char text[8][256];
    static unsigned at;
    char *t = text[at++ % 8];
    snprintf(t, sizeof text[0], "%s/%s", tmp_dir, name);
    return t;
}

typedef struct fixture {
    net_server *s;
    uint16_t port, mutual_port;
    cert ca, server, client, other_ca, stranger;
} fixture;

static void echo(void *ctx, net_request *r) {
    (void)ctx;
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, net_body(r));
}

static void large(void *ctx, net_request *r) {
    (void)ctx;
    char *p = arena_try_bytes(net_arena(r), 3 << 20, 1);
    memset(p, 'x', 3 << 20);
    net_reply(r, &(net_reply_opts){.content_type = S("text/plain")}, str_make(p, 3 << 20));
}

static void start(fixture *f, net_limits limits) {
    *f = (fixture){0};
    f->ca = cert_make("test authority", 1, NULL);
    f->other_ca = cert_make("other authority", 2, NULL);
    f->server = cert_make("localhost", 3, &f->ca);
    f->client = cert_make("client", 4, &f->ca);
    f->stranger = cert_make("stranger", 5, &f->other_ca);
    cert_write(&f->ca, path_of("ca.pem"), NULL);
    cert_write(&f->server, path_of("server.pem"), path_of("server.key"));
    cert_write(&f->client, path_of("client.pem"), path_of("client.key"));
    cert_write(&f->stranger, path_of("stranger.pem"), path_of("stranger.key"));
    err e = {0};
    net_tls tls = {.cert_file = str_c(path_of("server.pem")),
                   .key_file = str_c(path_of("server.key"))};
    net_listen listens[2] = {{.host = S("127.0.0.1"), .tls = tls},
                             {.host = S("127.0.0.1"), .tls = tls}};
    listens[1].tls.client_ca_file = str_c(path_of("ca.pem"));
    net_server_opts o = {.listens = listens, .listen_count = 2, .threads = 2, .limits = limits};
    if (net_server_new(&o, &f->s, &e) != RC_OK) fail_msg("%s", e.msg);
    net_route_add(f->s, 1, "POST", "/echo", ROLE_WRITE, echo, f);
    net_route_add(f->s, 1, "GET", "/large", ROLE_READ, large, f);
    assert_rc(net_server_start(f->s, &e), RC_OK);
    f->port = net_server_port(f->s, 0);
    f->mutual_port = net_server_port(f->s, 1);
}

static void stop(fixture *f) {
    net_server_free(f->s);
    cert *all[] = {&f->ca, &f->server, &f->client, &f->other_ca, &f->stranger};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) cert_free(all[i]);
}

typedef struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    bool up;
} client;

typedef struct client_opts {
    const char *cert, *key;
    const char *alpn; /* wire format */
    int max_version;
} client_opts;

static client client_tls(uint16_t port, client_opts o) {
    client c = {.ctx = SSL_CTX_new(TLS_client_method()), .fd = client_open(port)};
    assert_int_equal(SSL_CTX_load_verify_locations(c.ctx, path_of("ca.pem"), NULL), 1);
    SSL_CTX_set_verify(c.ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(c.ctx, 0); /* old versions are to be refused by the server */
    if (o.max_version) SSL_CTX_set_max_proto_version(c.ctx, o.max_version);
    if (o.cert) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(c.ctx, o.cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(c.ctx, o.key, SSL_FILETYPE_PEM), 1);
    }
    c.ssl = SSL_new(c.ctx);
    if (o.alpn) SSL_set_alpn_protos(c.ssl, (const unsigned char *)o.alpn, (unsigned)strlen(o.alpn));
    char name[] = "localhost"; /* the macro drops const */
    SSL_set_tlsext_host_name(c.ssl, name);
    struct timeval t = {.tv_sec = CLIENT_WAIT_MS / 1000};
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    SSL_set_fd(c.ssl, c.fd);
    c.up = SSL_connect(c.ssl) == 1;
    return c;
}

static void client_end(client *c) {
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
}

static str tls_rest(client *c, buf *b) {
    char part[16384];
    for (int n; (n = SSL_read(c->ssl, part, sizeof part)) > 0;)
        assert_true(buf_put(b, str_make(part, (size_t)n)));
    return buf_str(b);
}

static void tls_send(client *c, str s) {
    if (s.n) assert_int_equal(SSL_write(c->ssl, s.p, (int)s.n), (int)s.n);
}

static void wait_failures(fixture *f, uint64_t want) {
    net_counts n = {0};
    while (n.tls_failures < want) {
        net_server_count(f->s, &n);
        usleep(200);
    }
    assert_int_equal(n.tls_failures, want);
}

static void tls_answers_http(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0});
    client c = client_tls(f.port, (client_opts){.alpn = "\x08http/1.1"});
    assert_true(c.up);
    buf b;
    buf_init(&b, 16 << 20);
    /* a body of many records and an answer of many */
    size_t n = 1 << 20;
    char *p = mem_alloc(n);
    for (size_t i = 0; i < n; i++) p[i] = (char)(i % 251);
    tls_send(&c, S("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n"));
    tls_send(&c, str_make(p, n));
    tls_send(&c, S("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    str all = tls_rest(&c, &b);
    size_t at = str_find(all, S("\r\n\r\n"), 0);
    assert_true(str_eq(str_sub(all, at + 4, n), str_make(p, n)));
    assert_int_equal(all.n - str_find(all, S("\r\n\r\n"), at + 4 + n) - 4, 3 << 20);
    assert_int_equal(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    mem_free(p);
    client_end(&c);
    buf_release(&b);
    stop(&f);
}

static void tls_selects_protocols(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0});
    const unsigned char *name;
    unsigned n;
    client c = client_tls(f.port, (client_opts){.alpn = "\x08http/1.1\x02h2"});
    assert_true(c.up);
    SSL_get0_alpn_selected(c.ssl, &name, &n);
    assert_text(str_make((const char *)name, n), S("h2"));
    tls_send(&c, S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    tls_send(&c, str_make("\0\0\0\4\0\0\0\0\0", 9));
    char settings[9];
    assert_int_equal(SSL_read(c.ssl, settings, sizeof settings), 9);
    assert_int_equal(settings[3], 4);
    client_end(&c);
    c = client_tls(f.port, (client_opts){.alpn = "\x03xyz"});
    assert_false(c.up);
    client_end(&c);
    c = client_tls(f.port, (client_opts){.max_version = TLS1_2_VERSION});
    assert_true(c.up);
    client_end(&c);
    c = client_tls(f.port, (client_opts){.max_version = TLS1_1_VERSION});
    assert_false(c.up);
    client_end(&c);
    wait_failures(&f, 2);
    /* no TLS at all */
    int fd = client_open(f.port);
    client_send(fd, S("GET /large HTTP/1.1\r\nHost: x\r\n\r\n"));
    buf b;
    buf_init(&b, 1 << 16);
    client_rest(fd, &b);
    assert_false(str_has(buf_str(&b), S("HTTP/1.1")));
    close(fd);
    wait_failures(&f, 3);
    buf_release(&b);
    stop(&f);
}

/* With TLS 1.3 a client learns at its first read whether its certificate was taken. */
static bool is_served(client *c) {
    if (!c->up) return false;
    SSL_write(c->ssl, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 33);
    char part[16];
    return SSL_read(c->ssl, part, sizeof part) > 0;
}

static void tls_demands_client_certificates(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){0});
    client c = client_tls(
        f.mutual_port, (client_opts){.cert = path_of("client.pem"), .key = path_of("client.key")});
    assert_true(is_served(&c));
    client_end(&c);
    c = client_tls(f.mutual_port, (client_opts){0});
    assert_false(is_served(&c));
    client_end(&c);
    c = client_tls(f.mutual_port,
                   (client_opts){.cert = path_of("stranger.pem"), .key = path_of("stranger.key")});
    assert_false(is_served(&c));
    client_end(&c);
    wait_failures(&f, 2);
    stop(&f);
}

static long serial_of(client *c) {
    X509 *x = SSL_get1_peer_certificate(c->ssl);
    assert_non_null(x);
    long n = ASN1_INTEGER_get(X509_get_serialNumber(x));
    X509_free(x);
    return n;
}

static void tls_reloads_certificates(void **state) {
    (void)state;
    fixture f;
    err e = {0};
    start(&f, (net_limits){0});
    client old = client_tls(f.port, (client_opts){0});
    assert_int_equal(serial_of(&old), 3);
    cert fresh = cert_make("localhost", 77, &f.ca);
    cert_write(&fresh, path_of("server.pem"), path_of("server.key"));
    assert_rc(net_server_reload(f.s, &e), RC_OK);
    client c = client_tls(f.port, (client_opts){0});
    assert_int_equal(serial_of(&c), 77);
    client_end(&c);
    assert_true(is_served(&old));
    client_end(&old);
    /* what does not fit is refused, the old stays */
    cert_write(&fresh, path_of("server.pem"), NULL);
    cert_write(&f.client, path_of("unused.pem"), path_of("server.key"));
    assert_rc(net_server_reload(f.s, &e), RC_INVALID);
    assert_true(str_has(str_c(e.msg), S("private key \"")));
    c = client_tls(f.port, (client_opts){0});
    assert_int_equal(serial_of(&c), 77);
    client_end(&c);
    remove(path_of("server.pem"));
    assert_rc(net_server_reload(f.s, &e), RC_INVALID);
    assert_true(str_has(str_c(e.msg), S("No such file")));
    cert_free(&fresh);
    stop(&f);
}

static void tls_ends_slow_handshakes(void **state) {
    (void)state;
    fixture f;
    start(&f, (net_limits){.header_timeout_ms = 300});
    int fd = client_open(f.port);
    client_send(fd, S("\x16\x03\x01"));
    buf b;
    buf_init(&b, 1000);
    assert_int_equal(client_rest(fd, &b).n, 0);
    close(fd);
    net_counts n;
    net_server_count(f.s, &n);
    assert_int_equal(n.timeouts, 1);
    stop(&f);
}

int main(void) {
    char dir[] = "/tmp/faultline-tls-XXXXXX";
    tmp_dir = mkdtemp(dir);
    MUST(tmp_dir);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL's sockets */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_answers_http),
        cmocka_unit_test(tls_selects_protocols),
        cmocka_unit_test(tls_demands_client_certificates),
        cmocka_unit_test(tls_reloads_certificates),
        cmocka_unit_test(tls_ends_slow_handshakes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    const char *names[] = {"ca.pem",     "server.pem",   "server.key",   "client.pem",
                           "client.key", "stranger.pem", "stranger.key", "unused.pem"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) remove(path_of(names[i]));
    rmdir(dir);
    return failed;
}
