/* Loops, listeners and sockets: the thin layer of libuv around net_conn.
 *
 * Threads: loop i runs on its own thread and owns its connections and their site. Loop 0 also owns
 * the listeners and hands each accepted socket to the loop with the fewest connections (its own
 * first). Other threads reach a loop through its inbox only (a lock, two lists, uv_async).
 *
 * Work on a connection marks it dirty; at the end of each event all dirty connections are flushed:
 * output is written with as few calls as possible, reading is switched on or off, finished
 * connections are closed. One timer a loop looks at all deadlines, and only while there are
 * connections: an idle server does not wake up.
 *
 * uv_try_write first: most answers leave without an event; what does not fit waits in uv_write. */
#include "net/net_int.h"
#include "net/tls_int.h"

#include "sys/clock.h"
#include "sys/thread.h"

#include <stdio.h>
#include <uv.h>

enum {
    WRITE_BUFS = 16,
    BACKLOG = 1024,
    TRIM_TICKS = 20,
    LOOPS_MAX = 64,
    LISTENS_MAX = 16,
    TLS_READ_BYTES = 64 << 10,
    KEEPALIVE_S = 60,
};

typedef struct net_loop net_loop;

typedef struct listener {
    uv_tcp_t tcp;
    net_server *server;
    uint32_t group;
    uint16_t port;
    bool open;
    bool local;   /* on loopback, without TLS */
    net_tls tls;  /* texts in the server's arena, NUL-terminated */
    SSL_CTX *ctx; /* NULL: plain; guarded by the server's tls_lock */
} listener;

typedef struct incoming { /* a socket on its way to its loop */
    struct incoming *next;
    int fd;
    listener *from;
} incoming;

typedef struct tcp_conn {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    net_loop *loop;
    net_conn *conn;    /* NULL while closing */
    net_tls_conn *tls; /* NULL: plain */
    net_out wire;      /* TLS: what goes to the socket */
    bool reading, writing, shut, tls_ended;
} tcp_conn;

struct net_loop {
    net_server *server;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t tick;
    net_site site;
    sys_thread *thread;
    unsigned ticks;
    char *tls_bytes; /* read from the wire, TLS_READ_BYTES; made with the first TLS connection */
    bool stopping, draining, ended;
    atomic_size_t conn_count; /* with those on their way */
    uv_mutex_t lock;          /* guards what follows */
    net_msg *first, *last;
    incoming *arriving;
    bool want_drain, want_stop;
};

struct net_server {
    net_config cfg;
    listener *listeners;
    size_t listener_count;
    net_loop *loops;
    unsigned loop_count;
    bool started;
    uv_mutex_t tls_lock;
    uv_mutex_t idle_lock;
    uv_cond_t idle;
};

/* ---- clock ---- */

static int64_t clock_mono(void *ctx) {
    (void)ctx;
    return (int64_t)uv_hrtime();
}

static int64_t clock_wall_s(void *ctx) {
    (void)ctx;
    return SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx).ns / 1000000000;
}

/* ---- connections ---- */

static void loop_flush(net_loop *l);

static void loop_end_if_done(net_loop *l);

static void on_conn_closed(uv_handle_t *h) {
    tcp_conn *t = h->data;
    net_loop *l = t->loop;
    net_server *s = l->server;
    net_conn_free(t->conn);
    net_out_release(&t->wire);
    net_tls_conn_free(t->tls);
    mem_free(t);
    if (atomic_fetch_sub(&l->conn_count, 1) == 1) {
        uv_mutex_lock(&s->idle_lock);
        uv_cond_broadcast(&s->idle);
        uv_mutex_unlock(&s->idle_lock);
    }
    loop_end_if_done(l);
}

static void conn_close(tcp_conn *t) {
    if (uv_is_closing((uv_handle_t *)&t->tcp)) return;
    t->conn->dead = true;
    /* Chunks that uv_write refers to must live until it is done. */
    if (!t->writing) net_conn_free(TAKE(t->conn));
    uv_close((uv_handle_t *)&t->tcp, on_conn_closed);
}

static void conn_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret) {
    (void)suggested;
    tcp_conn *t = h->data;
    size_t n = TLS_READ_BYTES;
    if (t->tls)
        ret->base = t->loop->tls_bytes;
    else
        net_conn_room(t->conn, &ret->base, &n);
    ret->len = n;
}

static void tls_failed(tcp_conn *t) {
    NET_COUNT(&t->loop->server->cfg, tls_failures, 1);
    t->conn->closing = true; /* once the alert is sent */
    t->conn->eof = true;
    net_conn_dirty(t->conn);
}

/* Gives the connection what TLS has, as far as it wants to read. */
static void tls_pump(tcp_conn *t) {
    net_conn *c = t->conn;
    if (c->handshaking) {
        net_tls_state st = net_tls_handshake(t->tls);
        if (st != TLS_READ && st != TLS_MORE) tls_failed(t);
        if (st != TLS_READ) return;
        c->handshaking = false;
        if (net_tls_is_h2(t->tls)) net_conn_select_h2(c);
    }
    while (net_conn_wants_read(c)) {
        char *p;
        size_t cap, n = 0;
        net_conn_room(c, &p, &cap);
        switch (net_tls_get(t->tls, p, cap, &n)) {
        case TLS_READ:
            net_conn_input(c, p, n);
            break;
        case TLS_MORE:
            return;
        case TLS_CLOSED:
            net_conn_eof(c);
            return;
        case TLS_FAILED:
            tls_failed(t);
            return;
        }
    }
}

static void conn_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b) {
    tcp_conn *t = h->data;
    net_loop *l = t->loop;
    if (n == 0) return;
    net_site_now(&l->site);
    if (n > 0 && t->tls) {
        if (!net_tls_put(t->tls, b->base, (size_t)n)) t->conn->dead = true;
        net_conn_dirty(t->conn); /* conn_flush goes on with it */
    } else if (n > 0) {
        net_conn_input(t->conn, b->base, (size_t)n);
    } else if (n == UV_EOF) {
        net_conn_eof(t->conn);
    } else {
        t->conn->dead = true;
        net_conn_dirty(t->conn);
    }
    loop_flush(l);
}

static size_t fill_bufs(const net_out *o, uv_buf_t *bufs) {
    size_t n = 0;
    for (const net_chunk *k = o->first; k && n < WRITE_BUFS; k = k->next) {
        if (k->n > k->at)
            bufs[n++] = uv_buf_init(k->p + k->at, (unsigned)MIN(k->n - k->at, 1u << 30));
    }
    return n;
}

/* Plain output into TLS records, while little of them waits. */
static void tls_wrap(tcp_conn *t) {
    net_conn *c = t->conn;
    while (c->out.first && c->out.bytes && t->wire.bytes < NET_OUT_HIGH_BYTES && !c->handshaking) {
        const net_chunk *k = c->out.first;
        size_t n = MIN(k->n - k->at, (size_t)TLS_READ_BYTES);
        if (!net_tls_send(t->tls, k->p + k->at, n)) {
            c->dead = true;
            return;
        }
        net_tls_wire(t->tls, &t->wire);
        net_conn_sent(c, n);
        net_conn_produce(c);
    }
    if (c->closing && c->out.bytes == 0 && !t->tls_ended && !c->handshaking) {
        t->tls_ended = true;
        net_tls_end(t->tls);
    }
    net_tls_wire(t->tls, &t->wire);
}

static void sent(tcp_conn *t, size_t n) {
    if (!t->tls) {
        net_conn_sent(t->conn, n);
        return;
    }
    net_out_drop(&t->wire, n);
    t->conn->last_out_ns = t->loop->site.now_ns;
    net_conn_dirty(t->conn);
}

static void conn_written(uv_write_t *w, int status);

/* Writes what can be written. */
static void conn_write(tcp_conn *t) {
    net_conn *c = t->conn;
    const net_out *o = t->tls ? &t->wire : &c->out;
    uv_buf_t bufs[WRITE_BUFS];
    for (;;) {
        net_conn_produce(c);
        if (t->writing || c->dead) return;
        if (t->tls) tls_wrap(t);
        if (o->bytes == 0) return;
        size_t count = fill_bufs(o, bufs);
        int n = uv_try_write((uv_stream_t *)&t->tcp, bufs, (unsigned)count);
        if (n >= 0) {
            sent(t, (size_t)n);
            continue;
        }
        if (n == UV_EAGAIN) {
            size_t total = 0;
            for (size_t i = 0; i < count; i++) total += bufs[i].len;
            t->write.data = (void *)(uintptr_t)total;
            n = uv_write(&t->write, (uv_stream_t *)&t->tcp, bufs, (unsigned)count, conn_written);
            t->writing = n == 0;
        }
        if (n < 0) c->dead = true;
        return;
    }
}

static void conn_flush(tcp_conn *t) {
    net_conn *c = t->conn;
    if (uv_is_closing((uv_handle_t *)&t->tcp)) return;
    if (t->tls && !c->dead) tls_pump(t);
    conn_write(t);
    c->wire_waits = t->wire.bytes > 0;
    bool sent_all = !c->wire_waits && c->out.bytes == 0;
    if (net_conn_is_done(c) && (c->dead || sent_all)) {
        conn_close(t);
        return;
    }
    if (c->linger && sent_all && !t->writing && !t->shut)
        t->shut = uv_shutdown(&t->shutdown, (uv_stream_t *)&t->tcp, NULL) == 0;
    bool want = net_conn_wants_read(c);
    if (want == t->reading) return;
    if (want)
        IGNORE(uv_read_start((uv_stream_t *)&t->tcp, conn_alloc, conn_read)); /* open */
    else
        uv_read_stop((uv_stream_t *)&t->tcp);
    t->reading = want;
}

static void conn_written(uv_write_t *w, int status) {
    tcp_conn *t = w->handle->data;
    net_loop *l = t->loop;
    t->writing = false;
    if (uv_is_closing((uv_handle_t *)&t->tcp)) return; /* on_conn_closed follows */
    net_site_now(&l->site);
    if (status < 0)
        t->conn->dead = true;
    else
        sent(t, (size_t)(uintptr_t)w->data);
    net_conn_dirty(t->conn);
    loop_flush(l);
}

static void flush_dirty(net_site *s) {
    while (s->dirty) {
        net_conn *c = s->dirty;
        s->dirty = c->dirty_next;
        c->is_dirty = false;
        conn_flush(c->transport);
    }
}

static void loop_flush(net_loop *l) {
    net_site *s = &l->site;
    flush_dirty(s);
    const net_config *cfg = s->cfg;
    if (s->want_room &&
        atomic_load(&cfg->counters.inflight_bytes) < cfg->limits.max_inflight_bytes) {
        s->want_room = false;
        for (net_conn *c = s->conns; c; c = c->next) net_conn_retry(c);
        flush_dirty(s);
    }
    loop_end_if_done(l);
}

static void on_tick(uv_timer_t *timer) {
    net_loop *l = timer->data;
    net_site_now(&l->site);
    for (net_conn *c = l->site.conns; c; c = c->next) net_conn_tick(c);
    if (++l->ticks % TRIM_TICKS == 0) net_pool_trim(&l->site.pool);
    loop_flush(l);
    if (l->site.conn_count == 0) {
        net_pool_release(&l->site.pool);
        uv_timer_stop(&l->tick);
    }
}

/* ---- accepting ---- */

static void peer_name(const uv_tcp_t *tcp, char *text, size_t cap) {
    struct sockaddr_storage a;
    int n = sizeof a;
    char ip[INET6_ADDRSTRLEN] = "?";
    int port = 0;
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&a, &n) == 0) {
        if (a.ss_family == AF_INET) {
            const struct sockaddr_in *in = (const void *)&a;
            IGNORE(uv_ip4_name(in, ip, sizeof ip)); /* "?" stays */
            port = ntohs(in->sin_port);
        } else {
            const struct sockaddr_in6 *in = (const void *)&a;
            IGNORE(uv_ip6_name(in, ip, sizeof ip)); /* "?" stays */
            port = ntohs(in->sin6_port);
        }
    }
    snprintf(text, cap, strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip, port);
}

/* False: no memory. */
static bool tls_begin(net_loop *l, tcp_conn *t, const listener *from) {
    uv_mutex_lock(&l->server->tls_lock);
    SSL_CTX *ctx = from->ctx;
    if (ctx) t->tls = net_tls_conn_new(ctx);
    uv_mutex_unlock(&l->server->tls_lock);
    if (!ctx) return true;
    if (!l->tls_bytes) l->tls_bytes = mem_try_raw(TLS_READ_BYTES);
    t->conn->handshaking = true;
    return t->tls && l->tls_bytes;
}

/* The socket is open in t->tcp. */
static void conn_begin(net_loop *l, tcp_conn *t, const listener *from) {
    char peer[80];
    net_site_now(&l->site);
    peer_name(&t->tcp, peer, sizeof peer);
    IGNORE(uv_tcp_nodelay(&t->tcp, 1));                /* a wish */
    IGNORE(uv_tcp_keepalive(&t->tcp, 1, KEEPALIVE_S)); /* finds peers that vanished */
    t->conn = net_conn_new(&l->site, from->group, str_c(peer));
    t->conn->transport = t;
    t->conn->local = from->local;
    if (!tls_begin(l, t, from)) t->conn->dead = true;
    if (l->draining) net_conn_drain(t->conn);
    net_conn_dirty(t->conn);
    if (!uv_is_active((uv_handle_t *)&l->tick))
        uv_timer_start(&l->tick, on_tick, NET_TICK_MS, NET_TICK_MS);
    loop_flush(l);
}

static tcp_conn *tcp_new(net_loop *l) {
    tcp_conn *t = mem_new(tcp_conn);
    t->loop = l;
    MUST(uv_tcp_init(&l->uv, &t->tcp) == 0);
    t->tcp.data = t;
    return t;
}

static void on_dropped(uv_handle_t *h) { mem_free(h->data); }

static net_loop *least_busy(net_server *s) {
    net_loop *best = &s->loops[0];
    for (unsigned i = 1; i < s->loop_count; i++) {
        if (atomic_load(&s->loops[i].conn_count) < atomic_load(&best->conn_count))
            best = &s->loops[i];
    }
    return best;
}

/* Those on their way to their loop included, so that the limit is exact. */
static uint64_t open_connections(net_server *s) {
    uint64_t n = 0;
    for (unsigned i = 0; i < s->loop_count; i++) n += atomic_load(&s->loops[i].conn_count);
    return n;
}

static void send_incoming(net_loop *l, int fd, listener *from) {
    incoming *in = mem_new(incoming);
    in->fd = fd;
    in->from = from;
    uv_mutex_lock(&l->lock);
    in->next = l->arriving;
    l->arriving = in;
    uv_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

static void on_connection(uv_stream_t *h, int status) {
    listener *from = h->data;
    net_server *s = from->server;
    net_loop *own = &s->loops[0];
    if (status < 0) return; /* out of descriptors, say: libuv tries again with the next one */
    tcp_conn *t = tcp_new(own);
    bool taken = uv_accept(h, (uv_stream_t *)&t->tcp) == 0;
    NET_COUNT(&s->cfg, connections, taken);
    if (taken && open_connections(s) >= s->cfg.limits.max_connections) {
        static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                                   "Connection: close\r\nContent-Length: 0\r\n\r\n";
        uv_buf_t b = uv_buf_init((char *)(uintptr_t)text, sizeof text - 1);
        IGNORE(uv_try_write((uv_stream_t *)&t->tcp, &b, 1)); /* as far as it goes */
        NET_COUNT(&s->cfg, refused_limit, 1);
        taken = false;
    }
    net_loop *l = least_busy(s);
    uv_os_fd_t fd;
    if (taken && l == own) {
        atomic_fetch_add(&own->conn_count, 1);
        conn_begin(own, t, from);
        return;
    }
    if (taken && uv_fileno((uv_handle_t *)&t->tcp, &fd) == 0) {
        int copy = dup(fd); /* layers: libuv cannot move a socket between loops */
        if (copy >= 0) {
            atomic_fetch_add(&l->conn_count, 1);
            send_incoming(l, copy, from);
        }
    }
    uv_close((uv_handle_t *)&t->tcp, on_dropped);
}

/* ---- inbox ---- */

static void site_post(net_site *site, net_msg *m) {
    net_loop *l = site->loop;
    m->next = NULL;
    uv_mutex_lock(&l->lock);
    bool was_empty = l->first == NULL;
    if (l->last)
        l->last->next = m;
    else
        l->first = m;
    l->last = m;
    /* Under the lock: the loop may end as soon as the last message is taken. */
    if (was_empty) uv_async_send(&l->wake);
    uv_mutex_unlock(&l->lock);
}

static void close_listeners(net_server *s) {
    for (size_t i = 0; i < s->listener_count; i++) {
        if (s->listeners[i].open) uv_close((uv_handle_t *)&s->listeners[i].tcp, NULL);
        s->listeners[i].open = false;
    }
}

static void loop_drain(net_loop *l) {
    if (l->draining) return;
    l->draining = true;
    if (l == &l->server->loops[0]) close_listeners(l->server);
    for (net_conn *c = l->site.conns; c; c = c->next) net_conn_drain(c);
}

static void loop_stop(net_loop *l) {
    if (l->stopping) return;
    l->stopping = true;
    loop_drain(l);
    for (net_conn *c = l->site.conns; c; c = c->next) {
        c->dead = true;
        net_conn_dirty(c);
    }
}

/* Stopping, no connection left, every handler has answered: the last handles close and uv_run
 * returns. */
static void loop_end_if_done(net_loop *l) {
    if (!l->stopping || l->ended || l->site.conn_count > 0 || l->site.requests_alive > 0 ||
        atomic_load(&l->conn_count) > 0)
        return;
    l->ended = true;
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->tick, NULL);
}

static void take_arriving(net_loop *l, incoming *in) {
    while (in) {
        incoming *next = in->next;
        tcp_conn *t = tcp_new(l);
        int fd = in->fd;
        listener *from = in->from;
        mem_free(in);
        in = next;
        if (uv_tcp_open(&t->tcp, fd) != 0) {
            IGNORE(close(fd)); /* layers: the socket that libuv did not take */
            uv_close((uv_handle_t *)&t->tcp, on_conn_closed);
            continue;
        }
        conn_begin(l, t, from);
    }
}

static void on_wake(uv_async_t *a) {
    net_loop *l = a->data;
    net_site_now(&l->site);
    uv_mutex_lock(&l->lock);
    net_msg *m = l->first;
    incoming *in = l->arriving;
    bool drain = l->want_drain, stop = l->want_stop;
    l->first = l->last = NULL;
    l->arriving = NULL;
    uv_mutex_unlock(&l->lock);
    take_arriving(l, in);
    while (m) {
        net_msg *next = m->next;
        net_apply(m);
        m = next;
    }
    if (drain) loop_drain(l);
    if (stop) loop_stop(l);
    loop_flush(l);
}

static void tell(net_loop *l, bool stop) {
    uv_mutex_lock(&l->lock);
    l->want_drain = true;
    l->want_stop |= stop;
    uv_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

/* ---- server ---- */

#define DEFAULT(field, value)                                                                      \
    do {                                                                                           \
        if (l->field == 0) l->field = (value);                                                     \
    } while (0)

void net_config_init(net_config *c, const net_server_opts *o) {
    *c = (net_config){.limits = o->limits,
                      .auth = o->auth,
                      .auth_ctx = o->auth_ctx,
                      .on_access = o->on_access,
                      .on_access_ctx = o->on_access_ctx};
    arena_init(&c->mem, "net server", 4 << 20);
    c->server_name = str_dup(&c->mem, o->server_name);
    net_limits *l = &c->limits;
    DEFAULT(max_connections, 10000);
    DEFAULT(max_streams, 128);
    DEFAULT(max_header_bytes, 32 << 10);
    DEFAULT(max_headers, 128);
    DEFAULT(max_body_bytes, 64 << 20);
    DEFAULT(max_decompression_ratio, 1000);
    DEFAULT(max_inflight_bytes, 128 << 20);
    DEFAULT(header_timeout_ms, 10000);
    DEFAULT(body_timeout_ms, 30000);
    DEFAULT(idle_timeout_ms, 120000);
    DEFAULT(min_body_rate_bytes_s, 256);
}

void net_config_release(net_config *c) {
    vec_release(&c->routes);
    arena_release(&c->mem);
}

static void loop_init(net_loop *l, net_server *s) {
    l->server = s;
    MUST(uv_loop_init(&l->uv) == 0);
    MUST(uv_async_init(&l->uv, &l->wake, on_wake) == 0);
    MUST(uv_timer_init(&l->uv, &l->tick) == 0);
    MUST(uv_mutex_init(&l->lock) == 0);
    l->wake.data = l->tick.data = l;
    net_site_init(&l->site, &s->cfg);
    l->site.clock = clock_mono;
    l->site.wall_s = clock_wall_s;
    l->site.post = site_post;
    l->site.loop = l;
    net_site_now(&l->site);
}

static rc resolve(net_loop *l, const net_listen *o, struct sockaddr_storage *ret, err *e) {
    char host[256];
    if (o->host.n == 0 || o->host.n >= sizeof host)
        return FAIL(e, RC_INVALID, "listen address \"%.*s\" is not valid", STR_ARG(o->host));
    snprintf(host, sizeof host, "%.*s", STR_ARG(o->host));
    if (uv_ip4_addr(host, o->port, (struct sockaddr_in *)ret) == 0) return RC_OK;
    if (uv_ip6_addr(host, o->port, (struct sockaddr_in6 *)ret) == 0) return RC_OK;
    uv_getaddrinfo_t req;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int code = uv_getaddrinfo(&l->uv, &req, NULL, host, NULL, &hints);
    if (code != 0 || !req.addrinfo)
        return FAIL(e, RC_INVALID, "listen address \"%s\": %s", host, uv_strerror(code));
    memcpy(ret, req.addrinfo->ai_addr, req.addrinfo->ai_addrlen);
    uv_freeaddrinfo(req.addrinfo);
    if (ret->ss_family == AF_INET)
        ((struct sockaddr_in *)ret)->sin_port = htons(o->port);
    else
        ((struct sockaddr_in6 *)ret)->sin6_port = htons(o->port);
    return RC_OK;
}

static str c_text(net_server *s, str text) { return (str){str_c_dup(&s->cfg.mem, text), text.n}; }

static bool is_loopback(const struct sockaddr_storage *a) {
    if (a->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &in6addr_loopback, 16) == 0;
}

static rc listener_bind(net_server *s, listener *t, const net_listen *o, err *e) {
    net_loop *l = &s->loops[0];
    struct sockaddr_storage a = {0};
    rc r = resolve(l, o, &a, e);
    if (r != RC_OK) return r;
    t->server = s;
    t->group = o->group ? o->group : 1;
    MUST(uv_tcp_init(&l->uv, &t->tcp) == 0);
    t->tcp.data = t;
    t->open = true;
    int n = sizeof a, code = uv_tcp_bind(&t->tcp, (struct sockaddr *)&a, 0);
    if (code == 0) code = uv_tcp_getsockname(&t->tcp, (struct sockaddr *)&a, &n);
    if (code != 0)
        return FAIL(e, RC_IO, "cannot listen on %.*s:%u: %s", STR_ARG(o->host), o->port,
                    uv_strerror(code));
    t->tls = (net_tls){.cert_file = c_text(s, o->tls.cert_file),
                       .key_file = c_text(s, o->tls.key_file),
                       .client_ca_file = c_text(s, o->tls.client_ca_file)};
    if (t->tls.cert_file.n || t->tls.key_file.n || t->tls.client_ca_file.n) {
        r = net_tls_load(&t->tls, true, &t->ctx, e);
        if (r != RC_OK) return r;
    }
    t->local = is_loopback(&a) && !t->ctx; /* a page has no certificate of ours */
    t->port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                           : ((struct sockaddr_in6 *)&a)->sin6_port);
    return RC_OK;
}

rc net_server_new(const net_server_opts *o, net_server **ret, err *e) {
    MUST(o && ret);
    if (o->listen_count > LISTENS_MAX)
        return FAIL(e, RC_LIMIT, "at most %d listen addresses", LISTENS_MAX);
    if (o->threads > LOOPS_MAX) return FAIL(e, RC_LIMIT, "at most %d network threads", LOOPS_MAX);
    net_server *s = mem_new(net_server);
    net_config_init(&s->cfg, o);
    MUST(uv_mutex_init(&s->idle_lock) == 0 && uv_cond_init(&s->idle) == 0);
    MUST(uv_mutex_init(&s->tls_lock) == 0);
    s->loop_count = MAX(o->threads, 1u);
    s->loops = mem_new_n(net_loop, s->loop_count);
    for (unsigned i = 0; i < s->loop_count; i++) loop_init(&s->loops[i], s);
    s->listeners = mem_new_n(listener, MAX(o->listen_count, (size_t)1));
    rc r = RC_OK;
    for (size_t i = 0; i < o->listen_count && r == RC_OK; i++) {
        r = listener_bind(s, &s->listeners[i], &o->listens[i], e);
        s->listener_count = i + 1;
    }
    if (r != RC_OK) {
        net_server_free(s);
        return r;
    }
    *ret = s;
    return RC_OK;
}

void net_route_add(net_server *s, uint32_t group, const char *method, const char *path,
                   net_role role, net_handler handler, void *ctx) {
    MUST(!s->started && handler && s->cfg.routes.n < NET_ROUTES_MAX);
    str p = str_c(path);
    MUST(p.n && p.p[0] == '/');
    bool prefix = str_ends(p, S("/*"));
    net_route t = {.group = group,
                   .method = str_dup(&s->cfg.mem, str_c(method)),
                   .path = str_dup(&s->cfg.mem, prefix ? str_sub(p, 0, p.n - 1) : p),
                   .is_prefix = prefix,
                   .role = role,
                   .handler = handler,
                   .ctx = ctx};
    MUST(t.method.p && t.path.p);
    vec_push(&s->cfg.routes, t);
}

void net_route_rpc_errors(net_server *s) {
    MUST(!s->started && s->cfg.routes.n > 0);
    s->cfg.routes.v[s->cfg.routes.n - 1].rpc_errors = true;
}

void net_route_coding(net_server *s, const char *coding) {
    MUST(!s->started && s->cfg.routes.n > 0);
    s->cfg.routes.v[s->cfg.routes.n - 1].coding = str_c(coding);
}

static void loop_run(void *ctx) {
    net_loop *l = ctx;
    net_site_here = &l->site;
    IGNORE(uv_run(&l->uv, UV_RUN_DEFAULT)); /* until every handle is closed */
    net_site_here = NULL;
}

rc net_server_start(net_server *s, err *e) {
    MUST(!s->started);
    for (size_t i = 0; i < s->listener_count; i++) {
        listener *t = &s->listeners[i];
        int code = uv_listen((uv_stream_t *)&t->tcp, BACKLOG, on_connection);
        if (code != 0)
            return FAIL(e, RC_IO, "cannot listen on port %u: %s", t->port, uv_strerror(code));
    }
    s->started = true;
    for (unsigned i = 0; i < s->loop_count; i++) {
        rc r = sys_thread_start("net", loop_run, &s->loops[i], &s->loops[i].thread, e);
        if (r != RC_OK) return r; /* net_server_free stops those that run */
    }
    return RC_OK;
}

uint16_t net_server_port(const net_server *s, size_t listen_index) {
    MUST(listen_index < s->listener_count);
    return s->listeners[listen_index].port;
}

rc net_server_reload(net_server *s, err *e) {
    SSL_CTX *fresh[LISTENS_MAX] = {0};
    rc r = RC_OK;
    for (size_t i = 0; i < s->listener_count && r == RC_OK; i++) {
        if (s->listeners[i].ctx) r = net_tls_load(&s->listeners[i].tls, true, &fresh[i], e);
    }
    uv_mutex_lock(&s->tls_lock);
    for (size_t i = 0; i < s->listener_count; i++) {
        SSL_CTX *old = r == RC_OK && fresh[i] ? s->listeners[i].ctx : fresh[i];
        if (r == RC_OK && fresh[i]) s->listeners[i].ctx = fresh[i];
        SSL_CTX_free(old); /* counted: connections keep theirs */
    }
    uv_mutex_unlock(&s->tls_lock);
    return r;
}

static bool is_idle(const net_server *s) {
    for (unsigned i = 0; i < s->loop_count; i++) {
        if (atomic_load(&s->loops[i].conn_count) > 0) return false;
    }
    return true;
}

void net_server_drain(net_server *s, int64_t deadline_ms) {
    if (!s->started) return;
    uint64_t end = uv_hrtime() + (uint64_t)MAX(deadline_ms, (int64_t)0) * 1000000u;
    for (unsigned i = 0; i < s->loop_count; i++) tell(&s->loops[i], false);
    uv_mutex_lock(&s->idle_lock);
    while (!is_idle(s)) {
        uint64_t now = uv_hrtime();
        if (now >= end) break;
        uv_cond_timedwait(&s->idle, &s->idle_lock, end - now);
    }
    uv_mutex_unlock(&s->idle_lock);
}

void net_server_free(net_server *s) {
    if (!s) return;
    MUST(net_site_here == NULL);
    for (unsigned i = 0; i < s->loop_count; i++) {
        net_loop *l = &s->loops[i];
        tell(l, true);
        if (!l->thread) loop_run(l); /* never started: its handles are closed here */
    }
    for (unsigned i = 0; i < s->loop_count; i++) {
        net_loop *l = &s->loops[i];
        if (l->thread) sys_thread_join(l->thread);
    }
    for (unsigned i = 0; i < s->loop_count; i++) {
        net_loop *l = &s->loops[i];
        MUST(uv_loop_close(&l->uv) == 0);
        net_site_release(&l->site);
        mem_free(l->tls_bytes);
        uv_mutex_destroy(&l->lock);
    }
    for (size_t i = 0; i < s->listener_count; i++) SSL_CTX_free(s->listeners[i].ctx);
    uv_mutex_destroy(&s->tls_lock);
    mem_free(s->loops);
    mem_free(s->listeners);
    uv_mutex_destroy(&s->idle_lock);
    uv_cond_destroy(&s->idle);
    net_config_release(&s->cfg);
    mem_free(s);
}

void net_server_count(const net_server *s, net_counts *ret) {
    const net_counters *n = &s->cfg.counters;
#define COPY(field) ret->field = atomic_load_explicit(&n->field, memory_order_relaxed)
    COPY(connections);
    COPY(connections_open);
    COPY(requests);
    COPY(requests_open);
    COPY(bytes_in);
    COPY(bytes_out);
    COPY(refused_limit);
    COPY(refused_auth);
    COPY(bad_requests);
    COPY(timeouts);
    COPY(tls_failures);
    COPY(h2_floods);
    COPY(inflight_bytes);
#undef COPY
}
