/* raw.c - byte listeners on one libuv loop.
 *
 *     socket --uv_read--> scratch --[TLS: memory BIOs]--> on_bytes
 *     socket --recvmmsg--> scratch --> on_datagram, one call a datagram
 *
 * Nothing is ever sent but TLS records. Reading happens into one buffer of the loop, because every
 * callback takes all it gets; a connection costs its socket and, with TLS, its SSL object.
 *
 * Backpressure: raw_pause stops all reading. What the kernel had already handed to this process was
 * given to the handler, so a handler must be able to keep one read (RAW_READ_BYTES, with TLS a
 * little more) and one burst of datagrams beyond its limit.
 *
 * Limits: connections (max_connections), a TLS handshake takes at most HANDSHAKE_MS. Silent
 * connections stay: syslog senders are quiet for days; keep-alive probes find dead peers.
 * Sources: libuv guide; RFC 5425 (TLS for syslog). */
#include "net/raw.h"

#include <stdatomic.h>
#include <uv.h>

#include "base/mem.h"
#include "net/tls_int.h"
#include "sys/datagram.h"
#include "sys/thread.h"

enum {
    SERVER_MAGIC = 0x52415753,
    CONN_MAGIC = 0x52415743,
    RAW_READ_BYTES = 1 << 20, /* also of recvmmsg: 16 datagrams of 64 KiB */
    UDP_BUFFER_BYTES = 8 << 20,
    BACKLOG = 512,
    HANDSHAKE_MS = 10000,
    KEEPALIVE_S = 60,
    PEER_BYTES = 64,
    MAX_CONNECTIONS = 1024,
    TICK_MS = 50,
};

typedef struct conn conn;

typedef struct listen_slot {
    raw_server *s;
    size_t index;
    bool udp, open;
    uint16_t port;
    net_tls tls; /* texts in the server's arena, NUL-terminated */
    SSL_CTX *ctx;
    union {
        uv_tcp_t tcp;
        uv_udp_t udp;
        uv_handle_t any;
    } h;
} listen_slot;

struct conn {
    uint32_t magic;
    uv_tcp_t tcp;
    raw_server *s;
    conn *prev, *next;
    net_tls_conn *tls; /* NULL: plain */
    bool closing, established;
    uint64_t since_ms;
    void *user;
    size_t listen;
    char peer[PEER_BYTES];
};

struct raw_server {
    uint32_t magic;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    raw_handler handler;
    listen_slot slots[RAW_LISTENS_MAX];
    size_t slot_count;
    uint32_t max_connections, tick_ms;
    arena mem;
    conn *conns;
    bool paused, input_closed;
    sys_thread *thread;
    atomic_bool ending;
    char *scratch;
    sys_lock *tls_lock; /* guards slots[].ctx while the loop runs */
    atomic_uint_fast64_t connections, connections_open, refused, bytes_in, tls_failures, drops;
};

#define COUNT(field, by) ((void)atomic_fetch_add_explicit(&(field), (by), memory_order_relaxed))

static rc uv_failed(err *e, int code, const char *what, str host, uint16_t port) {
    return FAIL(e, code == UV_EADDRINUSE ? RC_EXISTS : RC_IO, "%s %.*s:%u: %s", what, STR_ARG(host),
                port, uv_strerror(code));
}

/* ---- TLS ---- */

typedef struct tls_write {
    uv_write_t req;
    char bytes[];
} tls_write;

static void on_written(uv_write_t *req, int status) {
    (void)status; /* a peer that is gone shows in its reads */
    tls_write *w = (tls_write *)req;
    mem_free(w);
}

static void send_copy(conn *c, const char *p, size_t n) {
    tls_write *w = mem_try_raw(sizeof *w + n);
    if (!w) return; /* the peer waits in vain and closes */
    memcpy(w->bytes, p, n);
    uv_buf_t b = uv_buf_init(w->bytes, (unsigned)n);
    if (uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, on_written) != 0) mem_free(w);
}

/* Sends what TLS wants to say (handshakes, tickets, alerts). */
static void tls_flush(conn *c) {
    net_out wire = {0};
    net_tls_wire(c->tls, &wire);
    for (const net_chunk *k = wire.first; k && !c->closing; k = k->next)
        if (k->n > k->at) send_copy(c, k->p + k->at, k->n - k->at);
    net_out_release(&wire);
}

/* ---- connections ---- */

static void on_conn_closed(uv_handle_t *h) {
    conn *c = h->data;
    MUST(c->magic == CONN_MAGIC);
    raw_server *s = c->s;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    net_tls_conn_free(c->tls);
    c->magic = 0;
    mem_free(c);
    atomic_fetch_sub(&s->connections_open, 1);
}

static void conn_close(conn *c) {
    if (c->closing) return;
    c->closing = true;
    if (c->user) c->s->handler.on_close(c->s->handler.ctx, c->user);
    c->user = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static void give_bytes(conn *c, str bytes) {
    raw_server *s = c->s;
    if (!c->user) c->user = s->handler.on_open(s->handler.ctx, c->listen, str_c(c->peer));
    if (c->user)
        s->handler.on_bytes(s->handler.ctx, c->user, bytes);
    else
        conn_close(c);
}

/* Ciphertext in, plain text to the handler. The plain text lies behind it in the scratch buffer. */
static void tls_input(conn *c, const char *p, size_t n) {
    enum { PLAIN_BYTES = 64 << 10 };
    raw_server *s = c->s;
    char *plain = s->scratch + RAW_READ_BYTES;
    net_tls_state state = net_tls_put(c->tls, p, n) ? TLS_READ : TLS_FAILED;
    if (state == TLS_READ && !c->established) state = net_tls_handshake(c->tls);
    c->established = c->established || state == TLS_READ;
    while (state == TLS_READ && !c->closing) {
        size_t got = 0;
        state = net_tls_get(c->tls, plain, PLAIN_BYTES, &got);
        if (state == TLS_READ && got > 0) give_bytes(c, str_make(plain, got));
    }
    tls_flush(c);
    if (state == TLS_FAILED) COUNT(s->tls_failures, 1);
    if (state == TLS_FAILED || state == TLS_CLOSED) conn_close(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret) {
    (void)suggested;
    raw_server *s = h->loop->data;
    *ret = uv_buf_init(s->scratch, RAW_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
    conn *c = stream->data;
    MUST(c->magic == CONN_MAGIC);
    if (c->closing || n == 0) return;
    if (n < 0) {
        conn_close(c);
        return;
    }
    COUNT(c->s->bytes_in, (uint64_t)n);
    if (c->tls)
        tls_input(c, b->base, (size_t)n);
    else
        give_bytes(c, str_make(b->base, (size_t)n));
}

static void peer_text(const struct sockaddr *a, char out[PEER_BYTES]) {
    char host[48] = "?";
    unsigned port = 0;
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)a;
        IGNORE(uv_ip4_name(in, host, sizeof host)); /* "?" when it has none */
        port = ntohs(in->sin_port);
    } else if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)a;
        IGNORE(uv_ip6_name(in, host, sizeof host));
        port = ntohs(in->sin6_port);
    }
    snprintf(out, PEER_BYTES, "%s:%u", host, port);
}

static void on_connection(uv_stream_t *listener, int status) {
    listen_slot *slot = listener->data;
    raw_server *s = slot->s;
    if (status < 0) return;
    conn *c = mem_new(conn);
    c->magic = CONN_MAGIC;
    c->s = s;
    c->listen = slot->index;
    c->since_ms = uv_now(&s->loop);
    int code = uv_tcp_init(&s->loop, &c->tcp);
    MUST(code == 0);
    c->tcp.data = c;
    c->next = s->conns;
    if (c->next) c->next->prev = c;
    s->conns = c;
    uint64_t open = atomic_fetch_add(&s->connections_open, 1);
    code = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (code != 0 || open >= s->max_connections) {
        COUNT(s->refused, 1);
        conn_close(c);
        return;
    }
    COUNT(s->connections, 1);
    struct sockaddr_storage name;
    int name_bytes = sizeof name;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&name, &name_bytes) == 0)
        peer_text((struct sockaddr *)&name, c->peer);
    IGNORE(uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S)); /* best effort */
    if (slot->tls.cert_file.n) {
        sys_lock_take(s->tls_lock);
        c->tls = net_tls_conn_new(slot->ctx);
        sys_lock_give(s->tls_lock);
        if (!c->tls) {
            COUNT(s->refused, 1);
            conn_close(c);
            return;
        }
    }
    if (!s->paused && uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) conn_close(c);
}

/* ---- datagrams ---- */

static void on_datagram(uv_udp_t *u, ssize_t n, const uv_buf_t *b, const struct sockaddr *from,
                        unsigned flags) {
    listen_slot *slot = u->data;
    raw_server *s = slot->s;
    /* Stopping in the middle of a burst would lose the rest of it (libuv), so it waits for its end.
     */
    if (s->paused && (n <= 0 && !from)) IGNORE(uv_udp_recv_stop(u)); /* always 0 */
    if (n < 0 || !from || (flags & UV_UDP_MMSG_FREE)) return;
    COUNT(s->bytes_in, (uint64_t)n);
    char peer[PEER_BYTES];
    peer_text(from, peer);
    s->handler.on_datagram(s->handler.ctx, slot->index, str_make(b->base, (size_t)n), str_c(peer));
}

static void read_drops(raw_server *s) {
    uint64_t drops = 0;
    for (size_t i = 0; i < s->slot_count; i++) {
        listen_slot *slot = &s->slots[i];
        uv_os_fd_t fd;
        if (!slot->udp || !slot->open || uv_fileno(&slot->h.any, &fd) != 0) continue;
        drops += sys_socket_drops(fd);
    }
    if (drops > atomic_load(&s->drops)) atomic_store(&s->drops, drops);
}

/* ---- the loop ---- */

static void set_reading(raw_server *s, bool on) {
    for (size_t i = 0; i < s->slot_count; i++) {
        listen_slot *slot = &s->slots[i];
        if (!slot->udp || !slot->open) continue;
        /* bound: cannot fail; "already receiving" is as good. Stops by itself, see on_datagram */
        if (on) IGNORE(uv_udp_recv_start(&slot->h.udp, on_alloc, on_datagram));
    }
    for (conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->closing) continue;
        if (!on)
            IGNORE(uv_read_stop((uv_stream_t *)&c->tcp)); /* always 0 */
        else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
            conn_close(c);
    }
}

void raw_pause(raw_server *s) {
    if (!s->paused) set_reading(s, false);
    s->paused = true;
}

void raw_resume(raw_server *s) {
    if (s->paused) set_reading(s, true);
    s->paused = false;
}

void raw_close_input(raw_server *s) {
    if (s->input_closed) return;
    s->input_closed = true;
    read_drops(s);
    for (size_t i = 0; i < s->slot_count; i++) {
        if (s->slots[i].open) uv_close(&s->slots[i].h.any, NULL);
        s->slots[i].open = false;
    }
    for (conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        conn_close(c);
    }
}

static void on_timer(uv_timer_t *t) {
    raw_server *s = t->loop->data;
    for (conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (!c->tls || c->established || c->closing || s->paused) continue;
        if (uv_now(&s->loop) - c->since_ms < HANDSHAKE_MS) continue;
        COUNT(s->tls_failures, 1);
        conn_close(c);
    }
    read_drops(s);
    if (s->handler.on_tick) s->handler.on_tick(s->handler.ctx);
}

static void on_async(uv_async_t *a) {
    raw_server *s = a->loop->data;
    if (s->handler.on_wake) s->handler.on_wake(s->handler.ctx);
    if (!atomic_load(&s->ending)) return;
    raw_close_input(s);
    if (!uv_is_closing((uv_handle_t *)&s->timer)) {
        uv_close((uv_handle_t *)&s->timer, NULL);
        uv_close((uv_handle_t *)&s->wake, NULL);
    }
}

static void run(void *ctx) {
    raw_server *s = ctx;
    IGNORE(uv_run(&s->loop, UV_RUN_DEFAULT)); /* ends when every handle is closed */
}

/* ---- making and ending ---- */

static rc resolve(raw_server *s, str host, uint16_t port, struct sockaddr_storage *ret, err *e) {
    const char *name = str_c_dup(&s->mem, host);
    if (!name) return FAIL(e, RC_LIMIT, "host name is too long");
    if (uv_ip4_addr(name, port, (struct sockaddr_in *)ret) == 0) return RC_OK;
    if (uv_ip6_addr(name, port, (struct sockaddr_in6 *)ret) == 0) return RC_OK;
    uv_getaddrinfo_t req;
    int code = uv_getaddrinfo(&s->loop, &req, NULL, name, NULL, NULL);
    if (code != 0) return uv_failed(e, code, "cannot resolve", host, port);
    MUST(req.addrinfo->ai_addrlen <= sizeof *ret);
    memcpy(ret, req.addrinfo->ai_addr, req.addrinfo->ai_addrlen);
    uv_freeaddrinfo(req.addrinfo);
    if (ret->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)ret)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)ret)->sin_port = htons(port);
    return RC_OK;
}

static uint16_t port_of(const struct sockaddr_storage *a) {
    return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                          : ((const struct sockaddr_in *)a)->sin_port);
}

static rc open_slot(raw_server *s, const raw_listen *l, err *e) {
    listen_slot *slot = &s->slots[s->slot_count];
    *slot = (listen_slot){.s = s, .index = s->slot_count, .udp = l->udp};
    if (l->tls.cert_file.n) {
        slot->tls.cert_file = str_c(str_c_dup(&s->mem, l->tls.cert_file));
        slot->tls.key_file = str_c(str_c_dup(&s->mem, l->tls.key_file));
        slot->tls.client_ca_file = str_c(str_c_dup(&s->mem, l->tls.client_ca_file));
    }
    struct sockaddr_storage a = {0};
    rc r = resolve(s, l->host, l->port, &a, e);
    if (r == RC_OK && slot->tls.cert_file.n) r = net_tls_load(&slot->tls, false, &slot->ctx, e);
    if (r != RC_OK) return r;
    s->slot_count++; /* released with the server from here on */
    int code, name_bytes = sizeof a;
    if (l->udp) {
        code = uv_udp_init_ex(&s->loop, &slot->h.udp, (unsigned)a.ss_family | UV_UDP_RECVMMSG);
        MUST(code == 0);
        slot->open = true;
        code = uv_udp_bind(&slot->h.udp, (struct sockaddr *)&a, 0);
        if (code == 0) code = uv_udp_getsockname(&slot->h.udp, (struct sockaddr *)&a, &name_bytes);
        int wanted = UDP_BUFFER_BYTES;
        if (code == 0) IGNORE(uv_recv_buffer_size(&slot->h.any, &wanted)); /* as large as allowed */
        if (code == 0) code = uv_udp_recv_start(&slot->h.udp, on_alloc, on_datagram);
    } else {
        code = uv_tcp_init(&s->loop, &slot->h.tcp);
        MUST(code == 0);
        slot->open = true;
        code = uv_tcp_bind(&slot->h.tcp, (struct sockaddr *)&a, 0);
        if (code == 0) code = uv_listen((uv_stream_t *)&slot->h.tcp, BACKLOG, on_connection);
        if (code == 0) code = uv_tcp_getsockname(&slot->h.tcp, (struct sockaddr *)&a, &name_bytes);
    }
    slot->h.any.data = slot;
    if (code != 0) return uv_failed(e, code, "cannot listen on", l->host, l->port);
    slot->port = port_of(&a);
    return RC_OK;
}

rc raw_server_new(const raw_opts *o, raw_server **ret, err *e) {
    MUST(o->listen_count <= RAW_LISTENS_MAX && o->handler.on_bytes && o->handler.on_close);
    raw_server *s = mem_new(raw_server);
    s->magic = SERVER_MAGIC;
    s->handler = o->handler;
    s->max_connections = o->max_connections ? o->max_connections : MAX_CONNECTIONS;
    s->tick_ms = o->tick_ms ? o->tick_ms : TICK_MS;
    arena_init(&s->mem, "raw listeners", 4 << 20);
    s->scratch = mem_alloc(RAW_READ_BYTES + (64 << 10));
    s->tls_lock = sys_lock_new("raw tls");
    int code = uv_loop_init(&s->loop);
    MUST(code == 0);
    s->loop.data = s;
    code = uv_async_init(&s->loop, &s->wake, on_async);
    MUST(code == 0);
    code = uv_timer_init(&s->loop, &s->timer);
    MUST(code == 0);
    rc r = RC_OK;
    for (size_t i = 0; i < o->listen_count && r == RC_OK; i++) r = open_slot(s, &o->listens[i], e);
    if (r == RC_OK) {
        *ret = s;
        return RC_OK;
    }
    raw_server_free(s);
    return r;
}

rc raw_server_start(raw_server *s, err *e) {
    MUST(s->magic == SERVER_MAGIC && !s->thread);
    IGNORE(uv_timer_start(&s->timer, on_timer, s->tick_ms, s->tick_ms)); /* has a callback */
    return sys_thread_start("net-raw", run, s, &s->thread, e);
}

uint16_t raw_server_port(const raw_server *s, size_t listen) {
    MUST(s->magic == SERVER_MAGIC);
    return listen < s->slot_count ? s->slots[listen].port : 0;
}

void raw_wake(raw_server *s) {
    int code = uv_async_send(&s->wake);
    MUST(code == 0);
}

rc raw_server_reload(raw_server *s, err *e) {
    rc r = RC_OK;
    for (size_t i = 0; i < s->slot_count && r == RC_OK; i++) {
        listen_slot *slot = &s->slots[i];
        if (!slot->tls.cert_file.n) continue;
        SSL_CTX *fresh;
        r = net_tls_load(&slot->tls, false, &fresh, e);
        if (r != RC_OK) break;
        sys_lock_take(s->tls_lock);
        SSL_CTX *old = slot->ctx;
        slot->ctx = fresh;
        sys_lock_give(s->tls_lock);
        SSL_CTX_free(old); /* counted: connections keep theirs */
    }
    return r;
}

void raw_server_count(const raw_server *s, raw_counts *ret) {
    *ret = (raw_counts){.connections = s->connections,
                        .connections_open = s->connections_open,
                        .refused_connections = s->refused,
                        .bytes_in = s->bytes_in,
                        .tls_failures = s->tls_failures,
                        .kernel_drops = s->drops};
}

void raw_server_free(raw_server *s) {
    if (!s) return;
    MUST(s->magic == SERVER_MAGIC);
    atomic_store(&s->ending, true);
    raw_wake(s);
    if (s->thread)
        sys_thread_join(s->thread);
    else
        run(s);
    int code = uv_loop_close(&s->loop);
    MUST(code == 0);
    for (size_t i = 0; i < s->slot_count; i++) SSL_CTX_free(s->slots[i].ctx);
    sys_lock_free(s->tls_lock);
    mem_free(s->scratch);
    arena_release(&s->mem);
    s->magic = 0;
    mem_free(s);
}
