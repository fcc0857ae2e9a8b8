/* A connection without its socket: bytes go in, requests come out; answers go in, bytes come out.
 * Tests and fuzz targets drive it directly; server.c puts libuv and tls.c around it.
 *
 * Here: what both protocols share. The first bytes choose the protocol: the preface of HTTP/2 (RFC
 * 9113 3.4), else HTTP/1.
 *
 * Reading stops (backpressure) while the output backlog is high, while pipelined bytes wait, and
 * while the bodies in flight reach their maximum, unless a body that was let in is on its way here:
 * bodies are charged whole when they are let in (where their length is known), so those that are in
 * can always finish and make room again. */
#include "net/net_int.h"

#include <stdlib.h>

_Thread_local net_site *net_site_here;

/* ---- output ---- */

enum { CHUNK_BYTES = 4096 };

static net_chunk *chunk_add(net_out *o, size_t room) {
    net_chunk *c = mem_try_raw(sizeof *c + room);
    if (!c) {
        o->failed = true;
        return NULL;
    }
    *c = (net_chunk){.p = (char *)(c + 1), .cap = room};
    if (o->last)
        o->last->next = c;
    else
        o->first = c;
    o->last = c;
    return c;
}

void net_out_put(net_out *o, str s) {
    if (s.n == 0 || o->failed) return;
    net_chunk *c = o->last;
    if (!c || c->outside || s.n > c->cap - c->n) c = chunk_add(o, MAX(s.n, (size_t)CHUNK_BYTES));
    if (!c) return;
    memcpy(c->p + c->n, s.p, s.n);
    c->n += s.n;
    o->bytes += s.n;
}

void net_out_take(net_out *o, char *p, size_t at, size_t n) {
    if (n == at) {
        mem_free(p);
        return;
    }
    net_chunk *c = o->failed ? NULL : chunk_add(o, 0);
    if (!c) {
        mem_free(p);
        return;
    }
    c->p = p;
    c->at = at;
    c->n = c->cap = n;
    c->outside = true;
    o->bytes += n - at;
}

static void chunk_free(net_chunk *c) {
    if (c->stream) {
        net_stream_sent(c->stream, c->stream_bytes);
        net_stream_unref(c->stream);
    }
    if (c->outside) mem_free(c->p);
    mem_free(c);
}

void net_out_drop(net_out *o, size_t n) {
    MUST(n <= o->bytes);
    o->bytes -= n;
    while (o->first) {
        net_chunk *c = o->first;
        size_t part = MIN(n, c->n - c->at);
        c->at += part;
        n -= part;
        if (c->at < c->n) break;
        o->first = c->next;
        if (!o->first) o->last = NULL;
        chunk_free(c);
    }
    MUST(n == 0);
}

void net_out_release(net_out *o) {
    while (o->first) {
        net_chunk *c = o->first;
        o->first = c->next;
        chunk_free(c);
    }
    *o = (net_out){0};
}

/* ---- site ---- */

void net_site_init(net_site *s, net_config *cfg) {
    *s = (net_site){.cfg = cfg, .date_s = -1};
    s->scratch = mem_alloc(NET_SCRATCH_BYTES);
}

void net_site_release(net_site *s) {
    MUST(s->conn_count == 0 && s->requests_alive == 0);
    while (s->spare_requests) {
        net_request *r = s->spare_requests;
        s->spare_requests = r->next;
        arena_release(&r->mem);
        mem_free(r);
    }
    net_pool_release(&s->pool);
    mem_free(s->scratch);
    s->scratch = NULL;
}

void net_site_now(net_site *s) { s->now_ns = s->clock(s->clock_ctx); }

/* IMF-fixdate of RFC 9110 5.6.7; made once a second. The civil calendar by days from 1970 is Howard
 * Hinnant's "chrono-Compatible Low-Level Date Algorithms". */
str net_site_date(net_site *s) {
    static const char days[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t t = s->wall_s(s->clock_ctx);
    if (t != s->date_s && t >= 0) {
        int64_t day = t / 86400, sec = t % 86400;
        int64_t z = day + 719468, era = z / 146097, doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
        int64_t d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
        int64_t y = yoe + era * 400 + (m <= 2);
        snprintf(s->date, sizeof s->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                 days + 3 * (day % 7), (int)d, months + 3 * (m - 1), (int)(y % 10000),
                 (int)(sec / 3600), (int)(sec / 60 % 60), (int)(sec % 60));
        s->date_s = t;
    }
    return str_c(s->date);
}

/* ---- life ---- */

net_conn *net_conn_new(net_site *s, uint32_t group, str peer) {
    net_conn *c = mem_new(net_conn);
    c->magic = NET_CONN_MAGIC;
    c->site = s;
    c->group = group;
    snprintf(c->peer, sizeof c->peer, "%.*s", STR_ARG(str_sub(peer, 0, sizeof c->peer - 1)));
    buf_init(&c->head, s->cfg->limits.max_header_bytes + 1024);
    c->last_in_ns = c->last_out_ns = c->idle_since_ns = s->now_ns;
    c->next = s->conns;
    if (s->conns) s->conns->prev = c;
    s->conns = c;
    s->conn_count++;
    NET_COUNT(s->cfg, connections_open, 1);
    return c;
}

void net_conn_free(net_conn *c) {
    if (!c) return;
    MUST(c->magic == NET_CONN_MAGIC);
    net_site *s = c->site;
    while (c->requests) net_request_detach(c->requests);
    MUST(c->request_count == 0 && c->handler_count == 0);
    h2_free(c);
    net_out_release(&c->out);
    buf_release(&c->head);
    mem_free(c->pending);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    for (net_conn **d = &s->dirty; c->is_dirty && *d; d = &(*d)->dirty_next) {
        if (*d == c) {
            *d = c->dirty_next;
            break;
        }
    }
    s->conn_count--;
    NET_UNCOUNT(s->cfg, connections_open, 1);
    c->magic = 0;
    mem_free(c);
}

void net_conn_dirty(net_conn *c) {
    if (c->is_dirty) return;
    c->is_dirty = true;
    c->dirty_next = c->site->dirty;
    c->site->dirty = c;
}

/* The end: what is to be sent is sent, what comes is thrown away until the client closes. Closing
 * at once would answer late bytes with a reset, which can destroy the answer on its way. */
void net_conn_linger(net_conn *c) {
    if (c->linger) return;
    c->linger_since_ns = c->site->now_ns;
    c->closing = c->linger = true;
    net_conn_dirty(c);
}

/* ---- input ---- */

static const str preface = S_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

void net_conn_room(net_conn *c, char **ret_p, size_t *ret_n) {
    net_request *r = c->cur;
    if (c->proto == NET_PROTO_H1 && c->state == H1_BODY && c->pending_n == c->pending_at && r &&
        r->body.p) {
        *ret_p = r->body.p + r->body.n;
        *ret_n = (size_t)(r->content_length - r->body.n);
        MUST(*ret_n > 0 && *ret_n <= r->body.cap - r->body.n);
        return;
    }
    /* Where headers are expected little is read, so that a body that follows goes straight into its
     * place; while a request runs, what may still be kept. */
    *ret_p = c->site->scratch;
    *ret_n = NET_SCRATCH_BYTES;
    if (c->proto == NET_PROTO_NEW || (c->proto == NET_PROTO_H1 && c->state == H1_HEAD))
        *ret_n = NET_HEAD_READ_BYTES;
    else if (c->proto == NET_PROTO_H1 && c->state == H1_BUSY && !c->linger)
        *ret_n = NET_PENDING_MAX_BYTES;
}

/* Protocol unknown: gathers until the bytes are the preface, or cannot be. */
static void input_new(net_conn *c, char *p, size_t n) {
    size_t have = c->head.n, want = MIN(preface.n - have, n);
    if (memcmp(preface.p + have, p, want) != 0) {
        c->proto = NET_PROTO_H1;
        c->head_since_ns = c->site->now_ns;
        h1_input(c, p, n);
        return;
    }
    if (have == 0) c->head_since_ns = c->site->now_ns;
    IGNORE(buf_put(&c->head, str_make(p, want))); /* 24 bytes fit */
    if (have + want < preface.n) return;
    buf_release(&c->head);
    c->proto = NET_PROTO_H2;
    if (!h2_start(c)) return;
    h2_input(c, preface.p, preface.n);
    if (n > want) h2_input(c, p + want, n - want);
}

void net_conn_select_h2(net_conn *c) {
    MUST(c->proto == NET_PROTO_NEW && c->head.n == 0);
    c->proto = NET_PROTO_H2;
    IGNORE(h2_start(c)); /* it ends the connection itself */
}

void net_conn_input(net_conn *c, char *p, size_t n) {
    MUST(c->magic == NET_CONN_MAGIC);
    if (c->dead || n == 0) return;
    NET_COUNT(c->site->cfg, bytes_in, n);
    c->last_in_ns = c->site->now_ns;
    net_conn_dirty(c);
    if (c->linger) {
        c->linger_bytes += n;
        if (c->linger_bytes > NET_LINGER_BYTES) c->dead = true;
        return;
    }
    if (c->closing) return;
    switch (c->proto) {
    case NET_PROTO_NEW:
        input_new(c, p, n);
        break;
    case NET_PROTO_H1:
        h1_input(c, p, n);
        break;
    case NET_PROTO_H2:
        h2_input(c, p, n);
        break;
    }
}

void net_conn_eof(net_conn *c) {
    MUST(c->magic == NET_CONN_MAGIC);
    c->eof = true;
    net_conn_dirty(c);
    /* Requests that came in whole are still answered, those that wait behind them too: the client
     * may have closed one direction only. Their handlers are told that probably nobody waits. */
    for (net_request *r = c->requests; r; r = r->next) net_half_cancel(r);
    if (c->proto == NET_PROTO_H1) {
        h1_eof(c);
        return;
    }
    c->dead = c->closing = true;
}

bool net_conn_wants_read(const net_conn *c) {
    if (c->dead || c->eof) return false;
    if (c->linger) return true;
    if (c->closing || c->out.bytes > NET_OUT_STOP_BYTES) return false;
    if (c->proto == NET_PROTO_H1 &&
        (c->state == H1_WAIT || c->pending_n - c->pending_at >= NET_PENDING_MAX_BYTES))
        return false;
    const net_config *cfg = c->site->cfg;
    if (atomic_load_explicit(&cfg->counters.inflight_bytes, memory_order_relaxed) <
        cfg->limits.max_inflight_bytes)
        return true;
    for (const net_request *r = c->requests; r; r = r->next) {
        if (r->receiving) return true;
    }
    c->site->want_room = true;
    return false;
}

void net_conn_retry(net_conn *c) {
    if (c->proto == NET_PROTO_H1 && c->state == H1_WAIT) h1_retry(c);
    net_conn_dirty(c);
}

/* ---- output ---- */

void net_conn_produce(net_conn *c) {
    if (c->proto == NET_PROTO_H2 && !c->dead) h2_produce(c);
    if (c->out.failed) c->dead = true;
}

void net_conn_sent(net_conn *c, size_t n) {
    MUST(c->magic == NET_CONN_MAGIC);
    if (n == 0) return;
    net_out_drop(&c->out, n);
    c->last_out_ns = c->site->now_ns;
    NET_COUNT(c->site->cfg, bytes_out, n);
    net_conn_dirty(c);
}

bool net_conn_is_done(const net_conn *c) {
    if (c->dead) return true;
    if (!c->closing || c->out.bytes > 0) return false;
    return !c->linger || c->eof;
}

/* ---- time ---- */

static bool is_over(int64_t now, int64_t since, uint32_t limit_ms) {
    return now - since > (int64_t)limit_ms * 1000000;
}

bool net_body_is_slow(const net_request *r, int64_t now, const net_limits *l) {
    if (is_over(now, r->last_body_ns, l->body_timeout_ms)) return true;
    int64_t ms = (now - r->body_start_ns) / 1000000;
    return ms > NET_RATE_GRACE_MS &&
           r->wire_bytes < (uint64_t)(ms / 1000) * l->min_body_rate_bytes_s;
}

static void tick_h1(net_conn *c, int64_t now, const net_limits *l) {
    net_config *cfg = c->site->cfg;
    switch (c->state) {
    case H1_HEAD:
        if (c->head.n == 0 && is_over(now, c->idle_since_ns, l->idle_timeout_ms)) {
            c->closing = true;
            net_conn_dirty(c);
        } else if (c->head.n > 0 && is_over(now, c->head_since_ns, l->header_timeout_ms)) {
            NET_COUNT(cfg, timeouts, 1);
            h1_stop_bad(c, 408, "the headers took too long");
        }
        break;
    case H1_BODY:
    case H1_CHUNKED:
        if (net_body_is_slow(c->cur, now, l)) {
            NET_COUNT(cfg, timeouts, 1);
            net_refuse(c->cur, 408, 4, RC_TIMEOUT, "the body came too slowly");
        }
        break;
    case H1_WAIT:
        if (is_over(now, c->cur->last_body_ns, l->body_timeout_ms))
            net_refuse(c->cur, 503, 14, RC_AGAIN, "too much is in flight");
        else
            net_conn_retry(c);
        break;
    case H1_SKIP:
        if (is_over(now, c->last_in_ns, l->body_timeout_ms)) c->dead = true;
        break;
    case H1_BUSY:
        break;
    }
}

void net_conn_tick(net_conn *c) {
    const net_limits *l = &c->site->cfg->limits;
    int64_t now = c->site->now_ns;
    if ((c->out.bytes > 0 || c->wire_waits) && is_over(now, c->last_out_ns, l->body_timeout_ms)) {
        NET_COUNT(c->site->cfg, timeouts, 1);
        c->dead = true; /* a client that does not read */
    } else if (c->linger) {
        if (now - c->linger_since_ns > (int64_t)NET_LINGER_MS * 1000000) c->dead = true;
    } else if (c->proto == NET_PROTO_H1) {
        tick_h1(c, now, l);
    } else if (c->proto == NET_PROTO_H2) {
        h2_tick(c);
    } else if (c->handshaking) {
        if (is_over(now, c->idle_since_ns, l->header_timeout_ms)) {
            NET_COUNT(c->site->cfg, timeouts, 1);
            c->dead = true;
        }
    } else if (c->head.n > 0 ? is_over(now, c->head_since_ns, l->header_timeout_ms)
                             : is_over(now, c->idle_since_ns, l->idle_timeout_ms)) {
        c->dead = true;
    }
    if (c->dead) net_conn_dirty(c);
}

void net_conn_drain(net_conn *c) {
    if (c->draining) return;
    c->draining = true;
    net_conn_dirty(c);
    if (c->proto == NET_PROTO_H2) {
        h2_drain(c);
    } else if (c->proto == NET_PROTO_NEW || (c->state == H1_HEAD && c->head.n == 0)) {
        c->closing = true;
        if (c->out.bytes == 0) c->dead = true;
    }
}
