/* net_core.h - drives the connection core of src/net without sockets: bytes go in in pieces, what
 * it wants to send is gathered, handlers answer at once or when nothing else can go on. */
#ifndef FL_FUZZ_NET_CORE_H
#define FL_FUZZ_NET_CORE_H

#include "net/net_int.h"

enum { HELD_MAX = 4096, OUT_MAX_BYTES = 64 << 20 };

typedef struct net_core {
    net_server_opts opts;
    net_config cfg;
    net_site site;
    net_conn *conn;
    buf out;
    net_request *held[HELD_MAX];
    size_t held_count;
    int64_t now_ns;
} net_core;

static inline int64_t core_clock(void *ctx) { return ((net_core *)ctx)->now_ns; }
static inline int64_t core_wall(void *ctx) {
    (void)ctx;
    return 1700000000;
}

static inline void core_echo(void *ctx, net_request *r) {
    (void)ctx;
    str v = STR_NONE;
    IGNORE(net_param(r, S("a"), 0, &v)); /* may be absent */
    str headers[] = {S("X-Value"), v};
    net_reply(r, &(net_reply_opts){.headers = headers, .header_count = net_is_grpc(r) ? 0 : 1},
              net_body(r));
}

static inline void core_hold(void *ctx, net_request *r) {
    net_core *c = ctx;
    if (c->held_count < HELD_MAX) {
        c->held[c->held_count++] = r;
        return;
    }
    net_reply_err(r, &(err){.code = RC_AGAIN});
}

static inline void core_stream(void *ctx, net_request *r) {
    (void)ctx;
    if (net_stream_begin(r, &(net_reply_opts){0}, 64) != RC_OK) {
        net_reply_err(r, &(err){.code = RC_AGAIN});
        return;
    }
    for (int i = 0; i < 3; i++) IGNORE(net_stream_write(r, S("a part"))); /* full or gone */
    net_stream_end(r, NULL);
}

static inline void core_route(net_core *c, const char *method, const char *path, net_handler h) {
    net_route t = {.group = 1,
                   .method = str_c(method),
                   .path = str_c(path),
                   .role = ROLE_READ,
                   .rpc_errors = path[1] == 'v',
                   .handler = h,
                   .ctx = c};
    vec_push(&c->cfg.routes, t);
}

static inline void core_start(net_core *c) {
    *c = (net_core){.opts = {.server_name = S("fuzz"),
                             .limits = {.max_streams = 8,
                                        .max_header_bytes = 2048,
                                        .max_headers = 32,
                                        .max_body_bytes = 64 << 10,
                                        .max_inflight_bytes = 256 << 10}}};
    c->now_ns = 1000000000;
    net_config_init(&c->cfg, &c->opts);
    core_route(c, "GET", "/a", core_echo);
    core_route(c, "POST", "/a", core_echo);
    core_route(c, "POST", "/v", core_echo);
    core_route(c, "POST", "/h", core_hold);
    core_route(c, "GET", "/s", core_stream);
    core_route(c, "GRPC", "/g", core_echo);
    core_route(c, "GRPC", "/s", core_stream);
    core_route(c, "GRPC", "/h", core_hold);
    net_site_init(&c->site, &c->cfg);
    c->site.clock = core_clock;
    c->site.wall_s = core_wall;
    c->site.clock_ctx = c;
    net_site_here = &c->site;
    net_site_now(&c->site);
    buf_init(&c->out, OUT_MAX_BYTES);
    c->conn = net_conn_new(&c->site, 1, S("127.0.0.1:1"));
}

/* Takes what the connection wants to send. */
static inline void core_drain(net_core *c) {
    for (;;) {
        net_conn_produce(c->conn);
        const net_chunk *k = c->conn->out.first;
        if (!k) break;
        size_t n = k->n - k->at;
        MUST(n <= c->conn->out.bytes);
        IGNORE(buf_put(&c->out, str_make(k->p + k->at, n))); /* enough is compared */
        if (n == 0) break;
        net_conn_sent(c->conn, n);
    }
    c->site.dirty = NULL;
    c->conn->is_dirty = false;
}

static inline bool core_answer_one(net_core *c) {
    if (c->held_count == 0) return false;
    net_reply(c->held[--c->held_count], &(net_reply_opts){0}, S("held"));
    core_drain(c);
    return true;
}

/* Feeds a piece, through the place that the connection asks for. */
static inline void core_feed(net_core *c, const uint8_t *p, size_t n) {
    while (n > 0 && !net_conn_is_done(c->conn)) {
        while (!net_conn_wants_read(c->conn)) {
            if (core_answer_one(c)) continue;
            c->now_ns += 1000000000; /* something has to time out */
            net_site_now(&c->site);
            net_conn_tick(c->conn);
            net_conn_retry(c->conn);
            core_drain(c);
            if (net_conn_is_done(c->conn)) return;
        }
        char *to;
        size_t room;
        net_conn_room(c->conn, &to, &room);
        size_t take = MIN(n, room);
        memcpy(to, p, take);
        net_conn_input(c->conn, to, take);
        core_drain(c);
        p += take;
        n -= take;
    }
}

static inline void core_stop(net_core *c) {
    while (core_answer_one(c)) {}
    if (!c->conn->eof) net_conn_eof(c->conn);
    core_drain(c);
    while (core_answer_one(c)) {}
    core_drain(c);
    net_conn_free(c->conn);
    MUST(c->site.conn_count == 0 && c->site.requests_alive == 0);
    MUST(atomic_load(&c->cfg.counters.inflight_bytes) == 0);
    MUST(atomic_load(&c->cfg.counters.requests_open) == 0);
    net_site_release(&c->site);
    net_config_release(&c->cfg);
    net_site_here = NULL;
}

#endif
