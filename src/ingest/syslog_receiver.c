/* syslog_receiver.c - syslog over UDP, TCP and TLS.
 *
 * Problem: syslog has no answers. A message is safe when it is stored, and until then the only way
 * to slow a sender down is not to read.
 *
 *     sockets --net/raw--> frames --> gathering batch --full, or FLUSH_NS old--> in flight --> done
 *                                          ^                                        |
 *                                          `---- refused for now: decoded again <---'
 *
 * Messages of all connections and datagrams are copied into one batch (text and a table of
 * lengths). A batch that is due is decoded (codec/syslog.h) into a telemetry that owns a copy of
 * the text, and given to the sink. Refused with RC_AGAIN or RC_IO it waits (RETRY_FIRST_NS,
 * doubling) and is given again; refused for good it is dropped and counted. The batch, not the
 * telemetry, is what is kept: the sink takes the telemetry.
 *
 * With BATCHES_MAX batches under way and the next one full nothing is read: TCP senders wait, of
 * UDP the kernel drops what its buffer can't hold (counted: dropped). A connection keeps what it
 * was given in that moment (at most one read) in its own buffer.
 *
 * Records: severity, time, service (app name or tag) and host as syslog.h reads them; service.name
 * and host.name are resource attributes, network.peer.address is one of the record. Stamps without
 * zone are of this machine's zone (as rsyslog has it), without year of the newest that fits.
 *
 * Limits: message bytes (longer ones are cut; framing errors and cuts: invalid_requests),
 * connections, BATCHES_MAX + 1 batches of BATCH_BYTES (and one read more), RESOURCES_MAX distinct
 * pairs of host and service a batch (beyond: its resource is made again).
 * One thread: the loop of net/raw; `landed` alone is shared with the threads that call done.
 * Source: RFC 3164, 5424, 5425, 5426, 6587. */
#include "ingest/receiver.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "codec/syslog.h"
#include "net/raw.h"
#include "sys/thread.h"

enum {
    SYSLOG_MAGIC = 0x53595352,
    BATCHES_MAX = 4,
    BATCH_MESSAGES = BATCH_RECORDS,
    BATCH_BYTES = 1 << 20,
    READ_BYTES = 1 << 20, /* what one read of net/raw may bring */
    KEEP_BYTES = 64 << 10,
    MESSAGE_BYTES = 64 << 10,
    RESOURCES_MAX = 4096,
    STOP_MS = 10000,
    PEER_BYTES = 48,
};
#define FLUSH_NS       ((int64_t)200 * 1000 * 1000)
#define RETRY_FIRST_NS ((int64_t)100 * 1000 * 1000)
#define RETRY_MAX_NS   ((int64_t)5000 * 1000 * 1000)

typedef struct message {
    uint32_t at, bytes;
    uint32_t peer; /* index into batch.peers */
} message;

typedef struct peer {
    char text[PEER_BYTES];
} peer;

typedef struct syslog_receiver syslog_receiver;

typedef struct batch {
    syslog_receiver *r;
    struct batch *next; /* in `landed` or `waiting` */
    VEC(char) text;
    VEC(message) messages;
    VEC(peer) peers;
    int64_t first_ns, retry_at_ns, retry_ns; /* monotonic */
    int64_t arrival_ns;
    rc code; /* of done */
} batch;

typedef struct conn {
    syslog_receiver *r;
    struct conn *prev, *next;
    buf held; /* not parsed yet */
    uint64_t skip;
    bool skip_line, blocked;
    peer from;
} conn;

struct syslog_receiver {
    receiver base;
    uint32_t magic;
    ingest_sink sink;
    raw_server *raw;
    sys_clock clock;
    ts_context ts;
    uint32_t max_message_bytes;
    char kinds[3]; /* of the listeners: 'u', 't', 's' */
    size_t kind_count;
    /* Loop thread. */
    batch *gather;  /* being filled */
    batch *waiting; /* refused for now */
    conn *conns;
    unsigned under_way; /* given to the sink, or waiting to be given again */
    bool blocked, stopping, stopped;
    int64_t stop_at_ns;
    sys_queue *ended; /* one item when the loop has ended its work */
    /* Shared. */
    sys_lock *lock;
    batch *landed; /* guarded by lock */
    atomic_uint_fast64_t requests, bytes, records, accepted, rejected, refused, invalid, dropped;
};

#define COUNT(field, by) ((void)atomic_fetch_add_explicit(&(field), (by), memory_order_relaxed))

static syslog_receiver *self_of(const receiver *r) {
    syslog_receiver *s = (syslog_receiver *)(uintptr_t)r;
    MUST(s->magic == SYSLOG_MAGIC);
    return s;
}

static int64_t mono_now(const syslog_receiver *s) { return s->clock.ops->mono(s->clock.ctx).ns; }

/* ---- batches ---- */

static batch *batch_new(syslog_receiver *s) {
    batch *b = mem_new(batch);
    b->r = s;
    return b;
}

static void batch_free(batch *b) {
    if (!b) return;
    vec_release(&b->text);
    vec_release(&b->messages);
    vec_release(&b->peers);
    mem_free(b);
}

static void batch_add(batch *b, str msg, const peer *from) {
    syslog_receiver *s = b->r;
    if (b->messages.n == 0) {
        b->first_ns = mono_now(s);
        b->arrival_ns = s->clock.ops->wall(s->clock.ctx).ns;
    }
    if (b->peers.n == 0 || strcmp(b->peers.v[b->peers.n - 1].text, from->text) != 0)
        vec_push(&b->peers, *from);
    size_t at = b->text.n;
    vec_reserve(&b->text, at + msg.n);
    if (msg.n) memcpy(b->text.v + at, msg.p, msg.n);
    b->text.n += msg.n;
    vec_push(&b->messages, (message){.at = (uint32_t)at,
                                     .bytes = (uint32_t)msg.n,
                                     .peer = (uint32_t)(b->peers.n - 1)});
}

static bool batch_full(const batch *b) {
    return b->messages.n >= BATCH_MESSAGES || b->text.n >= BATCH_BYTES;
}

/* The resource of a host and service, once in a batch. NULL: none stated, or the arena is full. */
static const resource *resource_for(telemetry *t, map64 *known, const log_record *r) {
    if (r->host.n == 0 && r->service.n == 0) return NULL;
    uint64_t key = str_hash_seed(r->host, str_hash(r->service));
    uint64_t *slot = map64_put(known, key, NULL);
    const resource *seen = slot ? (const resource *)(uintptr_t)*slot : NULL;
    if (seen && str_eq(seen->host, r->host) && str_eq(seen->service, r->service)) return seen;
    resource *fresh = arena_try_new(&t->mem, resource);
    attribute *attrs = arena_try_new_n(&t->mem, attribute, 2);
    if (!fresh || !attrs) return NULL;
    uint32_t n = 0;
    if (r->service.n) attrs[n++] = attribute_text_of(S("service.name"), r->service);
    if (r->host.n) attrs[n++] = attribute_text_of(S("host.name"), r->host);
    fresh->attrs = attrs;
    fresh->attr_count = n;
    resource_finish(fresh);
    if (slot) *slot = (uint64_t)(uintptr_t)fresh;
    return fresh;
}

static bool add_peer(telemetry *t, str address, log_record *r) {
    attribute *a = arena_try_new_n(&t->logs.mem, attribute, (size_t)r->attr_count + 1);
    if (!a) return false;
    if (r->attr_count) memcpy(a, r->attrs, r->attr_count * sizeof *a);
    a[r->attr_count++] = attribute_text_of(S("network.peer.address"), address);
    r->attrs = a;
    return true;
}

/* NULL: no memory for it now. */
static telemetry *decode(const batch *b) {
    telemetry *t = telemetry_new();
    t->arrival_ns = b->arrival_ns;
    size_t peers_bytes = b->peers.n * sizeof *b->peers.v;
    t->body = mem_try_raw(b->text.n + peers_bytes + 1);
    if (!t->body) {
        telemetry_free(t);
        return NULL;
    }
    t->body_bytes = b->text.n;
    if (b->text.n) memcpy(t->body, b->text.v, b->text.n);
    char *peers = t->body + b->text.n;
    memcpy(peers, b->peers.v, peers_bytes);
    ts_context ts = b->r->ts;
    ts.anchor_ns = b->arrival_ns;
    map64 known;
    map64_init(&known, RESOURCES_MAX);
    for (size_t i = 0; i < b->messages.n; i++) {
        const message *m = &b->messages.v[i];
        log_record *r = log_batch_add_over(&t->logs);
        if (!r) break;
        r->observed_ns = b->arrival_ns;
        str from = str_c(peers + m->peer * sizeof(peer));
        if (syslog_decode(str_make(t->body + m->at, m->bytes), &ts, &t->logs.mem, r) != RC_OK ||
            !add_peer(t, from, r)) {
            t->logs.count--;
            break;
        }
        r->resource = resource_for(t, &known, r);
    }
    map64_release(&known);
    t->logs.text = str_make(t->body, b->text.n);
    t->logs.bytes = b->text.n;
    t->logs.lines = t->logs.count;
    /* The arena has room for far more than a batch; what did not fit all the same is told. */
    if (t->logs.count < b->messages.n) {
        COUNT(b->r->rejected, b->messages.n - t->logs.count);
        t->rejected = b->messages.n - t->logs.count;
        t->reject_reason = S("batch is larger than its memory");
    }
    return t;
}

/* Any thread. */
static void on_done(void *ctx, rc code, const err *e) {
    (void)e; /* counted by code; the sink logs */
    batch *b = ctx;
    syslog_receiver *s = b->r;
    sys_lock_take(s->lock);
    b->code = code;
    b->next = s->landed;
    s->landed = b;
    raw_wake(s->raw); /* under the lock: whoever sees the batch may free the server */
    sys_lock_give(s->lock);
}

static void give(syslog_receiver *s, batch *b) {
    telemetry *t = decode(b);
    if (!t) {
        on_done(b, RC_AGAIN, NULL);
        return;
    }
    s->sink.put(s->sink.ctx, t, on_done, b);
}

static void send_gathered(syslog_receiver *s) {
    batch *b = s->gather;
    MUST(b->messages.n > 0 && s->under_way < BATCHES_MAX);
    s->gather = batch_new(s);
    s->under_way++;
    COUNT(s->requests, 1);
    COUNT(s->bytes, b->text.n);
    COUNT(s->records, b->messages.n);
    give(s, b);
}

/* ---- messages ---- */

/* Room for one more message? */
static bool room(syslog_receiver *s) {
    if (!batch_full(s->gather)) return true;
    if (s->under_way >= BATCHES_MAX) return false;
    send_gathered(s);
    return true;
}

static void block(syslog_receiver *s) {
    if (s->blocked) return;
    s->blocked = true;
    raw_pause(s->raw);
}

/* Drops what belongs to a cut message. Returns the bytes dropped. */
static size_t drop_cut(conn *c, str bytes) {
    size_t n = 0;
    if (c->skip > 0) {
        n = (size_t)MIN(c->skip, (uint64_t)bytes.n);
        c->skip -= n;
    } else if (c->skip_line) {
        size_t nl = str_find_char(bytes, '\n', 0);
        n = nl == STR_NPOS ? bytes.n : nl + 1;
        c->skip_line = nl == STR_NPOS;
    }
    return n;
}

/* Takes the messages of `bytes`; returns how much of it is done with. */
static size_t take_messages(conn *c, str bytes, bool eof) {
    syslog_receiver *s = c->r;
    size_t at = 0;
    while (at < bytes.n) {
        size_t dropped = drop_cut(c, str_from(bytes, at));
        at += dropped;
        if (dropped || at >= bytes.n) continue;
        if (!room(s)) {
            block(s);
            c->blocked = !eof; /* at the end there is nothing left to wait with */
            if (c->blocked) break;
        }
        syslog_frame f;
        bool whole = syslog_frame_next(str_from(bytes, at), eof, s->max_message_bytes, &f);
        at += f.used;
        if (!whole) break;
        c->skip = f.skip;
        c->skip_line = f.skip_line;
        COUNT(s->invalid, (uint64_t)f.cut + f.lied);
        if (f.msg.n && s->gather->messages.n < BATCH_RECORDS_MAX)
            batch_add(s->gather, f.msg, &c->from);
        else if (f.msg.n)
            COUNT(s->dropped, 1); /* only of connections that end while nothing is taken */
    }
    return at;
}

static void take_held(conn *c, bool eof) {
    c->blocked = false;
    size_t used = take_messages(c, buf_str(&c->held), eof);
    if (used == 0) return;
    memmove(c->held.p, c->held.p + used, c->held.n - used);
    c->held.n -= used;
    if (c->held.n == 0 && c->held.cap > KEEP_BYTES) buf_release(&c->held);
}

static peer peer_of(str text) { /* without the port */
    peer p = {0};
    size_t colon = str_rfind_char(text, ':');
    size_t n = MIN(colon == STR_NPOS ? text.n : colon, sizeof p.text - 1);
    memcpy(p.text, text.p, n);
    return p;
}

static void *on_open(void *ctx, size_t listen, str from) {
    (void)listen;
    syslog_receiver *s = ctx;
    conn *c = mem_new(conn);
    c->r = s;
    c->from = peer_of(from);
    buf_init(&c->held, 2 * (size_t)READ_BYTES + s->max_message_bytes + 16);
    c->next = s->conns;
    if (c->next) c->next->prev = c;
    s->conns = c;
    return c;
}

static void on_bytes(void *ctx, void *conn_ctx, str bytes) {
    (void)ctx;
    conn *c = conn_ctx;
    size_t used = 0;
    if (c->held.n == 0 && !c->blocked) {
        used = take_messages(c, bytes, false);
        bytes = str_from(bytes, used);
    }
    if (bytes.n == 0) return;
    bool kept = buf_put(&c->held, bytes);
    MUST(kept); /* at most a message and two reads, see net/raw.h */
    if (used == 0 && !c->blocked) take_held(c, false);
}

static void on_close(void *ctx, void *conn_ctx) {
    syslog_receiver *s = ctx;
    conn *c = conn_ctx;
    take_held(c, true);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    buf_release(&c->held);
    mem_free(c);
}

static void on_datagram(void *ctx, size_t listen, str bytes, str from) {
    (void)listen;
    syslog_receiver *s = ctx;
    if (bytes.n == 0) return;
    peer p = peer_of(from);
    if (bytes.n > s->max_message_bytes) {
        COUNT(s->invalid, 1);
        bytes = str_sub(bytes, 0, s->max_message_bytes);
    }
    if (!room(s)) block(s); /* the rest of a burst still comes, and is kept */
    batch_add(s->gather, bytes, &p);
}

/* ---- what came back, and time ---- */

static void settle(syslog_receiver *s, batch *b) {
    bool later =
        b->code == RC_AGAIN || b->code == RC_IO || b->code == RC_TIMEOUT || b->code == RC_CANCELLED;
    if (later && !(s->stopping && mono_now(s) >= s->stop_at_ns)) {
        b->retry_ns = b->retry_ns ? MIN(b->retry_ns * 2, RETRY_MAX_NS) : RETRY_FIRST_NS;
        b->retry_at_ns = mono_now(s) + b->retry_ns;
        b->next = s->waiting;
        s->waiting = b;
        COUNT(s->refused, b->messages.n);
        return;
    }
    if (b->code == RC_OK)
        COUNT(s->accepted, b->messages.n);
    else if (later)
        COUNT(s->dropped, b->messages.n);
    else
        COUNT(s->rejected, b->messages.n);
    batch_free(b);
    s->under_way--;
}

static void retry_waiting(syslog_receiver *s) {
    batch *due = s->waiting;
    s->waiting = NULL;
    while (due) {
        batch *b = due;
        due = b->next;
        if (mono_now(s) >= b->retry_at_ns || s->stopping) {
            give(s, b);
        } else {
            b->next = s->waiting;
            s->waiting = b;
        }
    }
}

static void unblock(syslog_receiver *s) {
    if (!s->blocked || !room(s)) return;
    for (conn *c = s->conns; c; c = c->next) {
        if (c->blocked) take_held(c, false);
        if (c->blocked) return; /* full again */
    }
    s->blocked = false;
    raw_resume(s->raw);
}

static void flush_due(syslog_receiver *s) {
    if (s->gather->messages.n == 0 || s->under_way >= BATCHES_MAX) return;
    bool due =
        batch_full(s->gather) || s->stopping || mono_now(s) - s->gather->first_ns >= FLUSH_NS;
    if (due) send_gathered(s);
}

static void end_when_done(syslog_receiver *s) {
    if (!s->stopping || s->stopped) return;
    raw_close_input(s->raw);
    flush_due(s);
    if (s->under_way > 0 || s->gather->messages.n > 0) return;
    s->stopped = true;
    rc r = sys_queue_try_push(s->ended, s);
    MUST(r == RC_OK); /* its only item */
}

static void on_tick(void *ctx) {
    syslog_receiver *s = ctx;
    retry_waiting(s);
    flush_due(s);
    end_when_done(s);
}

static void on_wake(void *ctx) {
    syslog_receiver *s = ctx;
    sys_lock_take(s->lock);
    batch *landed = s->landed;
    s->landed = NULL;
    if (s->stop_at_ns) s->stopping = true;
    sys_lock_give(s->lock);
    while (landed) {
        batch *b = landed;
        landed = b->next;
        settle(s, b);
    }
    unblock(s);
    end_when_done(s);
}

/* ---- the receiver ---- */

static rc receiver_start(receiver *r, err *e) { return raw_server_start(self_of(r)->raw, e); }

static void receiver_stop(receiver *r) {
    syslog_receiver *s = self_of(r);
    sys_lock_take(s->lock);
    bool first = s->stop_at_ns == 0;
    if (first) s->stop_at_ns = mono_now(s) + (int64_t)STOP_MS * 1000000;
    sys_lock_give(s->lock);
    if (!first) return;
    raw_wake(s->raw);
    void *item;
    /* The sink answers everything it took, so this ends; no deadline of its own. */
    rc code = sys_queue_pop(s->ended, &item);
    MUST(code == RC_OK);
}

static void receiver_count(const receiver *r, receiver_counts *ret) {
    const syslog_receiver *s = self_of(r);
    raw_counts raw;
    raw_server_count(s->raw, &raw);
    *ret = (receiver_counts){.requests = s->requests,
                             .bytes = s->bytes,
                             .records = s->records,
                             .accepted = s->accepted,
                             .rejected = s->rejected,
                             .refused = s->refused,
                             .invalid_requests = s->invalid + raw.tls_failures,
                             .dropped = s->dropped + raw.kernel_drops};
}

static void receiver_free(receiver *r) {
    if (!r) return;
    syslog_receiver *s = self_of(r);
    raw_server_free(s->raw); /* joins the loop */
    while (s->waiting) {
        batch *b = s->waiting;
        s->waiting = b->next;
        batch_free(b);
    }
    batch_free(s->gather);
    sys_lock_free(s->lock);
    sys_queue_free(s->ended);
    s->magic = 0;
    mem_free(s);
}

static const receiver_ops SYSLOG_OPS = {.name = "syslog",
                                        .start = receiver_start,
                                        .stop = receiver_stop,
                                        .count = receiver_count,
                                        .free = receiver_free};

/* "host:port", "[v6]:port" or ":port" (loopback). */
static rc parse_address(str text, raw_listen *ret, err *e) {
    size_t colon = str_rfind_char(text, ':');
    uint64_t port;
    if (colon == STR_NPOS || !num_u64(str_from(text, colon + 1), &port) || port > UINT16_MAX)
        return FAIL(e, RC_INVALID, "syslog: \"%.*s\" is no host:port", STR_ARG(text));
    str host = str_sub(text, 0, colon);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 2);
    ret->host = host.n ? host : S("127.0.0.1");
    ret->port = (uint16_t)port;
    return RC_OK;
}

rc syslog_receiver_new(const syslog_opts *o, const ingest_sink *sink, receiver **ret, err *e) {
    syslog_receiver *s = mem_new(syslog_receiver);
    s->base.ops = &SYSLOG_OPS;
    s->magic = SYSLOG_MAGIC;
    s->sink = *sink;
    s->clock = SYS_CLOCK_REAL;
    s->ts.zone_offset_s = sys_local_zone_s();
    s->max_message_bytes = o->max_message_bytes ? o->max_message_bytes : MESSAGE_BYTES;
    s->gather = batch_new(s);
    s->lock = sys_lock_new("syslog landed");
    s->ended = sys_queue_new(1);
    const struct {
        str address;
        char kind;
    } ways[] = {{o->udp, 'u'}, {o->tcp, 't'}, {o->tls, 's'}};
    raw_listen listens[ARRAY_LEN(ways)] = {{.port = 0}};
    rc r = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(ways) && r == RC_OK; i++) {
        if (ways[i].address.n == 0) continue;
        raw_listen *l = &listens[s->kind_count];
        r = parse_address(ways[i].address, l, e);
        l->udp = ways[i].kind == 'u';
        if (ways[i].kind == 's') {
            l->tls = o->tls_files;
            if (r == RC_OK && (o->tls_files.cert_file.n == 0 || o->tls_files.key_file.n == 0))
                r = FAIL(e, RC_INVALID, "syslog over TLS needs a certificate and a key");
        }
        s->kinds[s->kind_count++] = ways[i].kind;
    }
    raw_opts ro = {.listens = listens,
                   .listen_count = s->kind_count,
                   .max_connections = o->max_connections,
                   .handler = {.on_open = on_open,
                               .on_bytes = on_bytes,
                               .on_close = on_close,
                               .on_datagram = on_datagram,
                               .on_tick = on_tick,
                               .on_wake = on_wake,
                               .ctx = s}};
    if (r == RC_OK) r = raw_server_new(&ro, &s->raw, e);
    if (r != RC_OK) {
        receiver_free(&s->base);
        return r;
    }
    *ret = &s->base;
    return RC_OK;
}

uint16_t syslog_receiver_port(const receiver *r, char which) {
    const syslog_receiver *s = self_of(r);
    for (size_t i = 0; i < s->kind_count; i++)
        if (s->kinds[i] == which) return raw_server_port(s->raw, i);
    return 0;
}
