/* TLS by OpenSSL 3 between memory BIOs: wire bytes are written into one, plain bytes come out of
 * SSL_read; what SSL_write makes is taken out of the other. Handshakes, tickets, alerts and key
 * updates travel the same two ways.
 *
 * Certificates are read when a context is made, never later: a reload makes a new context, and
 * connections keep the one they began with (contexts are counted).
 * Sources: SSL_set_bio(3), BIO_s_mem(3), SSL_CTX_set_alpn_select_cb(3); RFC 7301 (ALPN). */
#include "net/tls_int.h"

#include <openssl/err.h>

struct net_tls_conn {
    SSL *ssl;
    BIO *in, *out; /* of ssl */
};

static rc failed(err *e, const char *what, str file) {
    char why[200] = "it does not fit the others";
    unsigned long code = ERR_peek_error();
    if (code) ERR_error_string_n(code, why, sizeof why);
    ERR_clear_error();
    /* "error:code:library:function:reason": the reason is what a person can use */
    const char *reason = strrchr(why, ':');
    return FAIL(e, RC_INVALID, "%s \"%.*s\": %s", what, STR_ARG(file), reason ? reason + 1 : why);
}

/* A key with a pass phrase is refused, not asked for on the terminal. */
static int no_pass_phrase(char *to, int cap, int writing, void *ctx) {
    (void)to;
    (void)cap;
    (void)writing;
    (void)ctx;
    return 0;
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                           const unsigned char *in, unsigned in_n, void *ctx) {
    static const unsigned char ours[] = "\x02h2\x08http/1.1"; /* in order of preference */
    (void)ssl;
    (void)ctx;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2: no_application_protocol */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

rc net_tls_load(const net_tls *t, bool http, SSL_CTX **ret, err *e) {
    static const unsigned char session_id[] = "faultline";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    MUST(ctx != NULL && "out of memory");
    rc r = RC_OK;
    ERR_clear_error();
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* idle connections cost less */
    SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
    if (http) SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    if (t->cert_file.n == 0 || SSL_CTX_use_certificate_chain_file(ctx, t->cert_file.p) != 1)
        r = failed(e, "certificate", t->cert_file);
    else if (t->key_file.n == 0 ||
             SSL_CTX_use_PrivateKey_file(ctx, t->key_file.p, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        r = failed(e, "private key", t->key_file);
    if (r == RC_OK && t->client_ca_file.n) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(t->client_ca_file.p);
        if (!names || SSL_CTX_load_verify_locations(ctx, t->client_ca_file.p, NULL) != 1)
            r = failed(e, "client certificates", t->client_ca_file);
        SSL_CTX_set_client_CA_list(ctx, names); /* takes them */
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_set_session_id_context(ctx, session_id, sizeof session_id - 1);
    }
    if (r != RC_OK) {
        SSL_CTX_free(ctx);
        return r;
    }
    *ret = ctx;
    return RC_OK;
}

net_tls_conn *net_tls_conn_new(SSL_CTX *ctx) {
    net_tls_conn *t = mem_new(net_tls_conn);
    t->ssl = SSL_new(ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        BIO_free(t->in);
        BIO_free(t->out);
        SSL_free(t->ssl);
        mem_free(t);
        return NULL;
    }
    SSL_set_bio(t->ssl, t->in, t->out); /* takes both */
    SSL_set_accept_state(t->ssl);
    return t;
}

void net_tls_conn_free(net_tls_conn *t) {
    if (!t) return;
    SSL_free(t->ssl);
    mem_free(t);
}

bool net_tls_put(net_tls_conn *t, const char *p, size_t n) {
    size_t done;
    return BIO_write_ex(t->in, p, n, &done) == 1 && done == n;
}

static net_tls_state state_of(net_tls_conn *t, int ret) {
    int why = SSL_get_error(t->ssl, ret);
    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return TLS_MORE;
    return why == SSL_ERROR_ZERO_RETURN ? TLS_CLOSED : TLS_FAILED;
}

net_tls_state net_tls_handshake(net_tls_conn *t) {
    ERR_clear_error();
    int ret = SSL_do_handshake(t->ssl);
    return ret == 1 ? TLS_READ : state_of(t, ret);
}

bool net_tls_is_h2(const net_tls_conn *t) {
    const unsigned char *name;
    unsigned n;
    SSL_get0_alpn_selected(t->ssl, &name, &n);
    return n == 2 && memcmp(name, "h2", 2) == 0;
}

net_tls_state net_tls_get(net_tls_conn *t, char *p, size_t cap, size_t *ret_n) {
    ERR_clear_error();
    int ret = SSL_read_ex(t->ssl, p, cap, ret_n);
    return ret == 1 ? TLS_READ : state_of(t, ret);
}

bool net_tls_send(net_tls_conn *t, const char *p, size_t n) {
    size_t done;
    ERR_clear_error();
    return n == 0 || (SSL_write_ex(t->ssl, p, n, &done) == 1 && done == n);
}

void net_tls_end(net_tls_conn *t) {
    ERR_clear_error();
    IGNORE(SSL_shutdown(t->ssl)); /* the peer's answer is not waited for */
    ERR_clear_error();
}

void net_tls_wire(net_tls_conn *t, net_out *wire) {
    char *p;
    long n = BIO_get_mem_data(t->out, &p);
    if (n <= 0) return;
    net_out_put(wire, str_make(p, (size_t)n));
    IGNORE(BIO_reset(t->out)); /* of a memory BIO: never fails */
}
