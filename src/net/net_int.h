/* net_int.h - what the files of the server share.
 *
 *     server.c   loops, listeners, sockets (libuv), posting between threads
 *     tls.c      bytes on the wire <-> plain bytes
 *     conn.c     a connection without its socket: bytes in, requests; replies, bytes out
 *     h1.c h2.c  the two protocols of a connection
 *     request.c  a request: what handlers read; reply.c: what they answer
 *     inflate.c  bodies unpacked, replies packed; pool.c: memory of bodies
 *
 * A `net_site` is what the connections of one loop share; everything that hangs on it belongs to
 * that loop's thread, except where a field says otherwise. */
#ifndef FL_NET_INT_H
#define FL_NET_INT_H

#include "net/server.h"

#include "base/mem.h"
#include "base/vec.h"

#include <stdatomic.h>

typedef struct net_site net_site;
typedef struct net_conn net_conn;
typedef struct net_chunk net_chunk;
typedef struct net_stream net_stream;

enum {
    NET_SCRATCH_BYTES = 128 << 10,    /* read at once, when not straight into a body */
    NET_PENDING_MAX_BYTES = 16 << 10, /* pipelined bytes kept while a request runs */
    NET_HEAD_READ_BYTES = 16 << 10,   /* read at once while headers are expected */
    NET_OUT_HIGH_BYTES = 256 << 10,   /* HTTP/2 frames are made while less than this waits */
    NET_OUT_STOP_BYTES = 1 << 20,     /* nothing is read while more than this waits to be sent */
    NET_LINGER_BYTES = 8 << 20,       /* thrown away after a refusal, so that the answer is seen */
    NET_LINGER_MS = 2000,
    NET_SKIP_BYTES = 1 << 20, /* a refused body up to this is skipped and the connection kept */
    NET_TICK_MS = 250,
    NET_REQUEST_ARENA_BYTES = 64 << 20,
    NET_RATE_GRACE_MS = 10000, /* before min_body_rate counts */
};

/* ---- configuration: constant once the server runs ---- */

typedef struct net_route {
    uint32_t group;
    str method, path; /* path without the "*" of a prefix */
    bool is_prefix, rpc_errors;
    str coding; /* unpacked by the handler */
    net_role role;
    net_handler handler;
    void *ctx;
} net_route;

typedef struct net_counters { /* server-wide, any thread */
    atomic_uint_fast64_t connections, connections_open, requests, requests_open, bytes_in,
        bytes_out, refused_limit, refused_auth, bad_requests, timeouts, tls_failures, h2_floods,
        inflight_bytes;
} net_counters;

#define NET_COUNT(cfg, what, by)                                                                   \
    ((void)atomic_fetch_add_explicit(&(cfg)->counters.what, (by), memory_order_relaxed))
#define NET_UNCOUNT(cfg, what, by)                                                                 \
    ((void)atomic_fetch_sub_explicit(&(cfg)->counters.what, (by), memory_order_relaxed))

enum { NET_ROUTES_MAX = 1024 };

typedef struct net_config {
    net_limits limits;
    VEC(net_route) routes;
    net_auth auth;
    void *auth_ctx;
    void (*on_access)(void *ctx, const net_access *a);
    void *on_access_ctx;
    str server_name;
    arena mem;
    net_counters counters;
} net_config;

void net_config_init(net_config *c, const net_server_opts *o);
void net_config_release(net_config *c);

/* ---- memory of bodies (pool.c) ---- */

enum { NET_POOL_CLASSES = 20, NET_POOL_SLOTS = 8, NET_POOL_MAX_BYTES = 8 << 20 };

typedef struct net_pool {
    struct {
        char *blocks[NET_POOL_SLOTS];
        unsigned count;
    } classes[NET_POOL_CLASSES];
    size_t held_bytes;
    bool used; /* since the last trim */
} net_pool;

typedef struct net_block {
    char *p;
    size_t n, cap;
} net_block;

/* What a block for `bytes` would really hold. */
size_t net_pool_round(size_t bytes);
char *net_pool_get(net_pool *pool, size_t bytes, size_t *ret_cap); /* NULL: out of memory */
void net_pool_put(net_pool *pool, char *p, size_t cap);
void net_pool_trim(net_pool *pool); /* gives back what nobody used since the last call */
void net_pool_release(net_pool *pool);

/* ---- coding of bodies (inflate.c) ---- */

typedef enum net_coding {
    NET_IDENTITY = 0,
    NET_GZIP = 1,
    NET_DEFLATE = 2,
    NET_ZSTD = 4,
    NET_CODING_UNKNOWN = 8
} net_coding;

/* Of a Content-Encoding or grpc-encoding value. */
net_coding net_coding_of(str name);
/* Bits of what an Accept-Encoding or grpc-accept-encoding value allows (q=0 respected). */
unsigned net_codings_accepted(str list);
str net_coding_name(net_coding c);

/* Unpacks `in` into `out` (empty). RC_INVALID: not what it says, or cut short. RC_LIMIT: over
 * max_bytes or the ratio. RC_AGAIN: `room` refused. room(ctx, more) charges memory first. */
typedef bool (*net_room)(void *ctx, uint64_t more_bytes);
MUST_CHECK rc net_unpack(net_coding coding, str in, const net_limits *limits, net_pool *pool,
                         net_room room, void *room_ctx, net_block *out, err *e);
/* Packs into memory for mem_free. False when it would not be smaller. */
bool net_pack(net_coding coding, str in, char **ret, size_t *ret_bytes);

/* ---- output of a connection ---- */

struct net_chunk {
    net_chunk *next;
    char *p;
    size_t at, n, cap; /* sent, written, room */
    bool outside;      /* p is a block of its own (mem_free), else it follows the struct */
    net_stream *stream;
    uint64_t stream_bytes; /* given back to the stream's room once sent */
};

typedef struct net_out {
    net_chunk *first, *last;
    size_t bytes; /* not sent */
    bool failed;  /* out of memory: what follows is lost, the connection must end */
} net_out;

void net_out_put(net_out *o, str s);                         /* copies */
void net_out_take(net_out *o, char *p, size_t at, size_t n); /* takes p (mem_free) */
void net_out_drop(net_out *o, size_t n);                     /* sent */
void net_out_release(net_out *o);

/* ---- requests ---- */

typedef struct net_header_line {
    str name, value; /* name: lower case */
} net_header_line;

/* The state of a streamed answer that two threads share; counted references. */
struct net_stream {
    atomic_int refs;
    atomic_uint_fast64_t buffered_bytes;
    uint64_t max_buffered_bytes;
    atomic_bool gone;
    void *lock, *cond; /* uv_mutex_t, uv_cond_t; of stream.c */
};

typedef enum net_msg_kind { NET_MSG_REPLY, NET_MSG_BEGIN, NET_MSG_PART, NET_MSG_END } net_msg_kind;

/* From a replying thread to the loop. */
typedef struct net_msg {
    struct net_msg *next;
    net_request *request;
    net_msg_kind kind;
    bool embedded;
    size_t n; /* bytes of a part: they follow the struct */
} net_msg;

typedef struct net_answer {
    int status; /* HTTP */
    int grpc_status;
    str content_type, grpc_message, grpc_details;
    const str *headers;
    size_t header_count;
    net_coding coding;
    char *body; /* mem_free */
    size_t body_bytes;
} net_answer;

typedef struct net_part { /* of a streamed HTTP/2 answer */
    struct net_part *next;
    size_t at, n, charged_bytes;
    char bytes[];
} net_part;

enum { NET_REQUEST_MAGIC = 0x52455131 };

struct net_request {
    uint32_t magic;
    net_site *site;
    net_conn *conn;           /* NULL once the connection is gone */
    net_request *prev, *next; /* of the connection; next also in the site's free list */
    arena mem;
    str method, target, path, query, peer;
    net_header_line *headers;
    size_t header_count;
    size_t header_bytes;
    bool overflow; /* more headers than allowed */
    const net_route *route;
    net_role role;
    int http_version;
    bool rpc_errors; /* the path is one that answers errors as google.rpc.Status */
    bool is_head, is_grpc, is_json, is_proto, expects_100, chunked, has_length;
    uint64_t content_length;
    net_coding coding;
    unsigned accepts;
    net_block body;
    uint64_t charged_bytes; /* of counters.inflight_bytes */
    uint64_t wire_bytes, unpacked_bytes, response_bytes;
    int64_t start_ns, deadline_ns, body_start_ns, last_body_ns;
    int cancel; /* NET_GONE ..; atomic access */

    /* holds: freed when both are gone */
    bool handler_holds, conn_holds;
    bool answered;  /* an answer was applied; later ones do nothing */
    bool receiving; /* admitted, its body is not complete */
    bool refused;   /* answered by the server itself */

    net_answer answer;
    net_msg reply_msg;
    bool msg_posted;
    net_stream *stream;

    /* HTTP/2 and gRPC */
    int32_t stream_id;
    bool stream_closed, headers_done, input_done;
    int64_t progress_ns; /* of the answer */
    unsigned char prefix[5];
    unsigned prefix_n;
    uint32_t message_bytes;
    bool has_message, message_packed;
    size_t answer_at;
    net_part *part_first, *part_last;
    bool parts_done, deferred;
};

/* New request of a connection, in its list; conn_holds is set. */
net_request *net_request_new(net_conn *c);
void net_request_unhold_conn(net_request *r);    /* the protocol is done with it */
void net_request_unhold_handler(net_request *r); /* answered */
void net_request_detach(net_request *r);         /* the connection goes away */
void net_cancel(net_request *r);
void net_half_cancel(net_request *r); /* NET_HALF_GONE, unless it is gone */
/* Adds a header line (kept in r's arena; name in lower case). False over a limit. */
bool net_request_add_header(net_request *r, str name, str value);
/* After the headers: target, route, rights, length, coding. Answers a refusal itself (then
 * r->refused) and returns false. */
bool net_request_check(net_request *r);
/* May a body of this size come in now? Charges it. */
bool net_request_admit(net_request *r, uint64_t bytes);
bool net_body_room(net_request *r, size_t more_bytes); /* grows r->body; false: refused */
void net_request_complete(net_request *r); /* body is there: unpack and call the handler */
/* The server's own answer, on the loop thread. Status 0 and grpc_status -1: those of the code. */
void net_refuse(net_request *r, int status, int grpc_status, rc code, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* Loop thread: a message came in. */
void net_apply(net_msg *m);
void net_finish(net_request *r, int status, int grpc_status); /* tells on_access */
str net_http_reason(int status);

/* stream.c */
net_stream *net_stream_new(size_t max_buffered_bytes);
void net_stream_unref(net_stream *s);
void net_stream_sent(net_stream *s, uint64_t bytes);
void net_stream_gone(net_stream *s);

/* ---- connections ---- */

typedef enum net_proto { NET_PROTO_NEW, NET_PROTO_H1, NET_PROTO_H2 } net_proto;

typedef enum h1_state {
    H1_HEAD, /* gathering the headers of the next request */
    H1_WAIT, /* headers are there, no room for the body yet */
    H1_BODY, /* Content-Length */
    H1_CHUNKED,
    H1_BUSY, /* the request is with its handler, or its answer streams */
    H1_SKIP, /* a refused body is thrown away */
} h1_state;

enum { NET_CONN_MAGIC = 0x434f4e31 };

struct net_conn {
    uint32_t magic;
    net_site *site;
    net_conn *prev, *next;
    net_conn *dirty_next;
    void *transport;
    uint32_t group;
    bool local; /* its listener is on loopback: see check_page in request.c */
    char peer[64];
    net_proto proto;
    net_out out;
    net_request *requests;                 /* list */
    unsigned request_count, handler_count; /* in the list; with their handlers */
    bool is_dirty, eof, closing, dead, draining, linger, in_input;
    bool handshaking, wire_waits; /* TLS: wire_waits: records are not sent yet */
    int64_t last_in_ns, last_out_ns, idle_since_ns, head_since_ns, linger_since_ns;
    uint64_t linger_bytes;
    /* HTTP/1 */
    h1_state state;
    buf head;
    size_t head_scanned;
    char *pending;
    size_t pending_at, pending_n, pending_cap;
    net_request *cur;
    uint64_t skip_left;
    int chunk_state;
    unsigned chunk_digits;
    uint64_t chunk_left, chunk_extra;
    bool keep_alive, sent_100;
    /* HTTP/2 */
    void *h2; /* struct h2 */
};

struct net_site {
    net_config *cfg;
    net_pool pool;
    int64_t (*clock)(void *ctx);  /* monotonic ns */
    int64_t (*wall_s)(void *ctx); /* since 1970 */
    void *clock_ctx;
    int64_t now_ns;
    /* From any thread: hands m to the site's thread (net_apply). */
    void (*post)(net_site *site, net_msg *m);
    void *loop;
    net_conn *conns, *dirty;
    size_t conn_count;
    net_request *spare_requests;
    size_t spare_count;
    size_t requests_alive; /* not freed, the spare ones apart */
    bool want_room;        /* a connection waits for room */
    char date[40];         /* Date: header value */
    int64_t date_s;
    char *scratch;
};

/* The site whose thread this is; NULL elsewhere. */
extern _Thread_local net_site *net_site_here;

void net_site_init(net_site *s, net_config *cfg);
void net_site_release(net_site *s);
void net_site_now(net_site *s);
str net_site_date(net_site *s);

net_conn *net_conn_new(net_site *s, uint32_t group, str peer);
void net_conn_free(net_conn *c); /* requests with handlers live on, cancelled */
/* Where the next bytes are best put. */
void net_conn_room(net_conn *c, char **ret_p, size_t *ret_n);
void net_conn_input(net_conn *c, char *p, size_t n);
void net_conn_eof(net_conn *c);
bool net_conn_wants_read(const net_conn *c);
/* Fills c->out with what is ready. */
void net_conn_produce(net_conn *c);
void net_conn_sent(net_conn *c, size_t n);
/* Everything was sent and nothing will come: close the socket. */
bool net_conn_is_done(const net_conn *c);
void net_conn_tick(net_conn *c);  /* timeouts */
void net_conn_retry(net_conn *c); /* room may be there again */
void net_conn_drain(net_conn *c);
void net_conn_select_h2(net_conn *c); /* by ALPN */
void net_conn_dirty(net_conn *c);
void net_conn_linger(net_conn *c);
bool net_body_is_slow(const net_request *r, int64_t now_ns, const net_limits *l);

/* h1.c */
void h1_input(net_conn *c, char *p, size_t n);
void h1_resume(net_conn *c);
void h1_retry(net_conn *c);
void h1_eof(net_conn *c); /* no input will come; may be called again */
void h1_apply_answer(net_request *r);
void h1_stream_begin(net_request *r);
void h1_stream_part(net_request *r, str part);
void h1_stream_end(net_request *r);
void h1_stop_bad(net_conn *c, int status, const char *why); /* no request to answer for */

/* h2.c */
bool h2_start(net_conn *c);
void h2_input(net_conn *c, const char *p, size_t n);
void h2_produce(net_conn *c);
void h2_tick(net_conn *c);
void h2_drain(net_conn *c);
void h2_free(net_conn *c);
void h2_apply_answer(net_request *r);
void h2_stream_begin(net_request *r);
void h2_stream_part(net_request *r, str part);
void h2_stream_end(net_request *r);

#endif
