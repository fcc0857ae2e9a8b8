/* tls_int.h - TLS of the listeners, on OpenSSL: contexts from files, and a connection as bytes in,
 * bytes out (memory BIOs), so that it neither knows sockets nor loops. */
#ifndef FL_NET_TLS_INT_H
#define FL_NET_TLS_INT_H

#include "net/net_int.h"

#include <openssl/ssl.h>

/* A server's context: TLS 1.2 and later, no renegotiation; client certificates are demanded when
 * client_ca_file is set. Texts of t are NUL-terminated. http: protocols are offered by ALPN. Free
 * with SSL_CTX_free. */
MUST_CHECK rc net_tls_load(const net_tls *t, bool http, SSL_CTX **ret, err *e);

typedef struct net_tls_conn net_tls_conn;

typedef enum net_tls_state { TLS_MORE, TLS_READ, TLS_CLOSED, TLS_FAILED } net_tls_state;

net_tls_conn *net_tls_conn_new(SSL_CTX *ctx); /* NULL: no memory */
void net_tls_conn_free(net_tls_conn *t);
/* Takes bytes of the wire. False: no memory. */
bool net_tls_put(net_tls_conn *t, const char *p, size_t n);
/* Goes on with the handshake. TLS_READ: it is done. */
net_tls_state net_tls_handshake(net_tls_conn *t);
bool net_tls_is_h2(const net_tls_conn *t); /* chosen by ALPN */
/* Plain bytes into p. TLS_MORE: more of the wire is needed. TLS_CLOSED: the peer said the end. */
net_tls_state net_tls_get(net_tls_conn *t, char *p, size_t cap, size_t *ret_n);
/* Plain bytes to send, all of them. False: failed. */
bool net_tls_send(net_tls_conn *t, const char *p, size_t n);
void net_tls_end(net_tls_conn *t); /* says the end */
/* Moves what TLS wants to say to the wire. */
void net_tls_wire(net_tls_conn *t, net_out *wire);

#endif
