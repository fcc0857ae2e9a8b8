/* server.h - listeners that answer HTTP/1.1, HTTP/2 (h2c by preface, h2 by ALPN) and
 * gRPC on one port, with one handler call for each complete request.
 *
 *     net_server_new(&opts, &s, e)          binds; nothing is accepted before net_server_start
 *     net_route_add(s, "POST", "/v1/logs", ROLE_WRITE, otlp_http_logs, ctx)
 *     net_server_start(s, e)                one libuv loop a network thread
 *     net_server_drain(s, deadline_ms)      no new connections, GOAWAY, running requests end
 *     net_server_free(s)
 *
 * A request is handed over when its body is complete (gathered in one piece, decompressed, within
 * limits); streams of answers (SSE, gRPC server streaming, NDJSON) are written in parts with
 * backpressure. The handler runs on the connection's loop thread and must not block: it answers at
 * once, or keeps the request and answers later from any thread (net_reply* are thread-safe). A
 * request whose client went away is cancelled: *net_request_cancel turns non-zero; replying to it
 * is still required and does nothing.
 *
 * Every input has a maximum (net_limits). Requests over one are answered (413, 431, 408, 429,
 * RESOURCE_EXHAUSTED ...) without the handler. Memory of bodies in flight is bounded by
 * max_inflight_bytes: beyond it connections are not read (backpressure by not reading). */
#ifndef FL_NET_SERVER_H
#define FL_NET_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

typedef struct net_server net_server;
typedef struct net_request net_request;

/* A set of rights. Routes state what they need; ROLE_ADMIN holds all. */
typedef enum net_role { ROLE_NONE = 0, ROLE_READ = 1, ROLE_WRITE = 2, ROLE_ADMIN = 7 } net_role;

typedef struct net_limits {           /* 0 = the default in brackets */
    uint32_t max_connections;         /* [10,000] */
    uint32_t max_streams;             /* HTTP/2 streams a connection [128] */
    uint32_t max_header_bytes;        /* all headers of a request [32 KiB] */
    uint32_t max_headers;             /* [128] */
    uint64_t max_body_bytes;          /* before and after decompression [64 MiB] */
    uint32_t max_decompression_ratio; /* of bodies over 1 MiB [1000] */
    uint64_t max_inflight_bytes;      /* bodies held, all connections [128 MiB] */
    uint32_t header_timeout_ms;       /* from the first byte to the end of the headers [10,000] */
    uint32_t body_timeout_ms;         /* without a byte of the body [30,000] */
    uint32_t idle_timeout_ms;         /* keep-alive connections [120,000] */
    uint32_t min_body_rate_bytes_s;   /* after 10 s, for bodies [256] */
} net_limits;

typedef struct net_tls { /* all empty = plain; files are read at start and on net_server_reload */
    str cert_file, key_file;
    str client_ca_file; /* set: clients must show a certificate of it (mTLS) */
} net_tls;

typedef struct net_listen {
    str host;      /* "127.0.0.1", "::1", "0.0.0.0"; a name is resolved */
    uint16_t port; /* 0 = any free port: net_server_port tells */
    net_tls tls;
    uint32_t
        group; /* routes are added to groups: a listener serves the routes of its group (bit) */
} net_listen;

/* Says what role a bearer token has; ROLE_NONE refuses (401, UNAUTHENTICATED). token is empty when
 * the request has none. Called on loop threads. */
typedef net_role (*net_auth)(void *ctx, str token);

typedef struct net_access {
    str method, path, peer;
    int status;      /* HTTP status; gRPC calls: the grpc-status in grpc_status */
    int grpc_status; /* -1 = not gRPC */
    uint64_t request_bytes, wire_bytes, response_bytes;
    int64_t duration_ns;
    int http_version; /* 11, 20 */
} net_access;

typedef struct net_server_opts {
    const net_listen *listens;
    size_t listen_count;
    unsigned threads; /* loops; 0 = 1 */
    net_limits limits;
    net_auth auth; /* NULL: everybody is ROLE_ADMIN (loopback default) */
    void *auth_ctx;
    str server_name; /* Server: header */
    /* Called once a finished request, on the loop thread; may be NULL. */
    void (*on_access)(void *ctx, const net_access *a);
    void *on_access_ctx;
} net_server_opts;

typedef void (*net_handler)(void *ctx, net_request *r);

MUST_CHECK rc net_server_new(const net_server_opts *opts, net_server **ret, err *e);
/* path: exact, or with a last segment "*" (prefix). gRPC methods are paths ("/pkg.Service/Method")
 * with method "GRPC": content-type application/grpc*, one message each way; the handler sees the
 * message (decompressed) as the body. Before start only. group: bits of the listeners that serve
 * it. */
void net_route_add(net_server *s, uint32_t group, const char *method, const char *path,
                   net_role role, net_handler handler, void *ctx);
/* The errors of the route added last are google.rpc.Status, as OTLP asks: protobuf when the request
 * is application/x-protobuf, else JSON. Also those that the server finds itself (400, 413, 415
 * ...). */
void net_route_rpc_errors(net_server *s);
/* The handler of the route added last unpacks this content coding itself: such a body is handed
 * over as it came. coding: static. */
void net_route_coding(net_server *s, const char *coding);
MUST_CHECK rc net_server_start(net_server *s, err *e);
uint16_t net_server_port(const net_server *s, size_t listen_index);
MUST_CHECK rc net_server_reload(net_server *s,
                                err *e); /* certificates again; on failure the old ones stay */
void net_server_drain(net_server *s,
                      int64_t deadline_ms); /* returns when idle or at the deadline */
/* Closes what is open. Waits until every request that a handler kept is answered (they are
 * cancelled): whoever answers must still be running. */
void net_server_free(net_server *s);

/* The request, valid until the reply. */
str net_method(const net_request *r);
str net_path(const net_request *r);  /* decoded, without the query */
str net_query(const net_request *r); /* raw, after '?' */
/* Query or form parameter, percent-decoded into the request's arena; false when absent. Repeated
 * ones: index 0, 1, ... */
bool net_param(net_request *r, str name, size_t index, str *ret);
str net_header(const net_request *r, str name); /* lower-case name; empty when absent */
str net_body(const net_request *r);
/* Takes the body away from the request (no copy): the caller frees with mem_free(p). */
char *net_take_body(net_request *r, size_t *ret_bytes);
arena *net_arena(
    net_request *r); /* of the request; loop thread or the thread that replies, one at a time */
bool net_is_grpc(const net_request *r);
int64_t net_deadline_ns(const net_request *r); /* monotonic; of grpc-timeout; INT64_MAX when none */
/* 0, or why nobody may wait any more. NET_HALF_GONE (HTTP/1): the client sends no more; it has
 * gone, or it closed that one direction and still reads the answer. Queries end then; what was sent
 * to be kept is kept. */
enum { NET_GONE = 1, NET_HALF_GONE = 2 };
const volatile int *net_request_cancel(const net_request *r);
str net_peer(const net_request *r); /* "127.0.0.1:5123" */
net_role net_request_role(const net_request *r);

typedef struct net_reply_opts {
    int status; /* HTTP status; of a gRPC call the grpc-status code (0 = OK) */
    str content_type;
    str grpc_message;    /* gRPC only: percent-encoded by the server */
    str grpc_details;    /* gRPC only: serialised google.rpc.Status for grpc-status-details-bin */
    const str *headers;  /* further ones: name, value, name, value ... */
    size_t header_count; /* pairs */
} net_reply_opts;

/* Answers and ends the request; everything is copied (or sent) before it returns. Any thread. The
 * server compresses bodies over 1 KiB when the client accepts gzip or zstd. A HEAD request gets the
 * headers of GET. Exactly one answer a request. */
void net_reply(net_request *r, const net_reply_opts *o, str body);
/* JSON {"error":{"code":..., "message":...}} with the status of the code (one table in the .c), or
 * the gRPC status. */
void net_reply_err(net_request *r, const err *e);
int net_http_status(rc code);
int net_grpc_status(rc code);

/* A streamed answer: headers at once, then parts, then the end. net_stream_write returns RC_AGAIN
 * when the client is slow and max_buffered_bytes are waiting (nothing was taken), RC_CANCELLED when
 * it is gone. Any one thread. When net_stream_begin fails (no memory) nothing was sent: answer with
 * net_reply_err. */
MUST_CHECK rc net_stream_begin(net_request *r, const net_reply_opts *o, size_t max_buffered_bytes);
MUST_CHECK rc net_stream_write(net_request *r, str part);
/* Waits (at most timeout_ms) until there is room again. Not on a loop thread. */
MUST_CHECK rc net_stream_wait(net_request *r, int64_t timeout_ms);
void net_stream_end(net_request *r,
                    const net_reply_opts *trailers); /* trailers: grpc status; NULL for HTTP */

typedef struct net_counts {
    uint64_t connections, connections_open, requests, requests_open, bytes_in, bytes_out;
    uint64_t refused_limit, refused_auth, bad_requests, timeouts, tls_failures, h2_floods;
    uint64_t inflight_bytes;
} net_counts;
void net_server_count(const net_server *s, net_counts *ret);

#endif
