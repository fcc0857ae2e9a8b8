/* client.h - the one HTTP client: everything that calls out goes through it (libcurl multi on its
 * own loop thread).
 *
 *     net_client_new(&opts, &c, e);
 *     net_call(c, &req, &resp, mem, e)            waits for the answer (not on a loop thread)
 *     net_call_start(c, &req, done, ctx, e)       or is told on the client's thread
 *
 * Answers are bounded (max_response_bytes), timed (connect, total, idle), follow no redirect unless
 * told, verify TLS. The same cancellation flag as everywhere ends a call. */
#ifndef FL_NET_CLIENT_H
#define FL_NET_CLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct net_client net_client;

typedef struct net_client_opts {
    unsigned max_calls;             /* at once; 0 = 64 */
    str user_agent, ca_file, proxy; /* empty = defaults */
} net_client_opts;

typedef struct net_call_opts {
    str method, url; /* http, https, or unix socket with unix_socket set */
    str unix_socket;
    const str *headers;  /* name, value, ... */
    size_t header_count; /* pairs */
    str body;
    int64_t connect_timeout_ms, timeout_ms,
        idle_timeout_ms;         /* 0 = 5 s, 30 s, 30 s; timeout < 0 = none */
    uint64_t max_response_bytes; /* 0 = 16 MiB */
    unsigned max_redirects;      /* 0 = none */
    str client_cert_file, client_key_file;
    const volatile int *cancel;
    /* Called with parts of the body of a 2xx answer as they come, on the client's thread; then the
     * response body stays empty. Anything but RC_OK ends the call. */
    rc (*on_part)(void *ctx, str part);
    void *on_part_ctx;
} net_call_opts;

typedef struct net_response {
    int status;
    str content_type, body;
    const str *headers; /* lower-case name, value, ... */
    size_t header_count;
    int64_t duration_ns;
} net_response;

typedef void (*net_call_done)(void *ctx, rc code, const err *e,
                              const net_response *r); /* r: valid in the call; NULL on failure */

MUST_CHECK rc net_client_new(const net_client_opts *opts, net_client **ret, err *e);
void net_client_free(net_client *c); /* cancels what runs */
MUST_CHECK rc net_call(net_client *c, const net_call_opts *o, arena *out, net_response *ret,
                       err *e);
MUST_CHECK rc net_call_start(net_client *c, const net_call_opts *o, net_call_done done, void *ctx,
                             err *e);

#endif
