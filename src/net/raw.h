/* raw.h - listeners of bytes without HTTP: TCP and TLS connections that only send, and UDP
 * datagrams. All of a server's sockets live on one loop thread; every callback runs there.
 *
 *     raw_server_new(&opts, &s, e)     binds
 *     raw_server_start(s, e)           callbacks begin
 *     raw_pause(s) / raw_resume(s)     backpressure: nothing is read; senders wait, or the kernel
 *                                      drops datagrams, which is counted
 *     raw_wake(s)                      any thread: on_wake is called on the loop
 *     raw_close_input(s)               listeners and connections close
 *     raw_server_free(s)               ends the loop */
#ifndef FL_NET_RAW_H
#define FL_NET_RAW_H

#include "net/server.h"

typedef struct raw_server raw_server;

typedef struct raw_listen {
    str host;
    uint16_t port; /* 0 = any free one */
    bool udp;
    net_tls tls; /* of TCP; empty = plain */
} raw_listen;

typedef struct raw_handler {
    /* A connection begins; what is returned is handed to on_bytes and on_close. listen: index. */
    void *(*on_open)(void *ctx, size_t listen, str peer);
    /* bytes are valid in the call. */
    void (*on_bytes)(void *ctx, void *conn, str bytes);
    /* The end, of whatever kind; once for each on_open. */
    void (*on_close)(void *ctx, void *conn);
    void (*on_datagram)(void *ctx, size_t listen, str bytes, str peer);
    void (*on_tick)(void *ctx); /* every tick_ms */
    void (*on_wake)(void *ctx); /* after raw_wake; several wakes may be one call */
    void *ctx;
} raw_handler;

typedef struct raw_opts {
    const raw_listen *listens;
    size_t listen_count; /* at most RAW_LISTENS_MAX */
    raw_handler handler;
    uint32_t max_connections; /* 0 = 1024; further ones are closed at once */
    uint32_t tick_ms;         /* 0 = 50 */
} raw_opts;

enum { RAW_LISTENS_MAX = 8 };

typedef struct raw_counts {
    uint64_t connections, connections_open, refused_connections, bytes_in, tls_failures;
    uint64_t kernel_drops; /* datagrams that found the socket's buffer full */
} raw_counts;

MUST_CHECK rc raw_server_new(const raw_opts *o, raw_server **ret, err *e);
MUST_CHECK rc raw_server_start(raw_server *s, err *e);
uint16_t raw_server_port(const raw_server *s, size_t listen);
void raw_pause(raw_server *s);       /* loop thread */
void raw_resume(raw_server *s);      /* loop thread */
void raw_close_input(raw_server *s); /* loop thread; on_close is called for each connection */
void raw_wake(raw_server *s);
MUST_CHECK rc raw_server_reload(raw_server *s, err *e); /* certificates again; on failure the old */
void raw_server_count(const raw_server *s, raw_counts *ret); /* any thread */
void raw_server_free(raw_server *s);                         /* accepts NULL */

#endif
