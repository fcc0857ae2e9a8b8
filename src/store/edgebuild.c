/* edgebuild.c - who calls whom, counted while spans come in.
 *
 * A call is a span whose parent belongs to another service, or a server (consumer) span under a
 * client (producer) span of the same one. The parent usually comes later than the child (spans are
 * sent when they end) and in another request (another process sends it). So two memories, both of
 * fixed size and limited to WAIT_NS of wall time:
 *
 *   recent    spans by (trace, span id) in sets of WAYS; a full set gives up the entry that can
 *             least be a caller (not client or producer), then the oldest
 *   waiting   server and consumer spans whose parent has not come, by the parent's id; first in,
 *             first out
 *
 * A child that finds its parent in recent, or a parent that finds children waiting, makes an edge,
 * in the commit of the span that came second: counted once. What nobody answers is counted when
 * its time is over: a waiting server span as a call from outside (caller ""), a client or producer
 * span with a peer as a call to it (peer.service, messaging.system, rpc.service, server.address...)
 * unless a child was found. Calls to databases (db.system) have no span on the other side and are
 * counted at once. Root server spans are calls from outside, at once.
 *
 * A crash forgets both memories: calls of which one side came within the last WAIT_NS before are
 * missing, and their late other sides count as unanswered. Nothing is counted twice: memories only
 * hold what has not been counted, or parents, whose edges are counted by their children.
 *
 * A span stored twice (a client that sends again) is counted twice, as it is stored twice.
 * Source: Tempo's service graph processor (store of edges with expiry, virtual nodes for peers);
 * Jaeger's dependency job (parents of another service). */
#include "store/edgeblock_int.h"

#include "base/mem.h"
#include "base/rng.h"

enum {
    WAYS = 4,
    RECENT_SETS = 1 << 16,
    WAITING_MAX = 1 << 16,
    CLIENTS_MAX = 1 << 16,
};
#define WAIT_NS INT64_C(10000000000)

typedef struct recent {
    uint64_t key; /* of trace and span; 0 = free */
    int64_t seen_ns;
    uint32_t service;
    uint8_t kind;
    bool answered; /* a child was counted */
} recent;

typedef struct call { /* what is counted */
    uint32_t callee, kind;
    int64_t minute_ns;
    uint64_t duration_ns;
    bool error;
} call;

typedef struct waiting {
    uint64_t parent;
    int64_t seen_ns;
    uint32_t next; /* in its chain */
    bool live;
    call c;
} waiting;

typedef struct client { /* with a peer, not yet answered */
    uint64_t key;
    int64_t seen_ns;
    uint32_t service;
    call c;
} client;

struct edge_builder {
    edge_table t;
    recent *recent;
    waiting *waiting; /* a ring; chains by parent */
    uint32_t *chains;
    uint64_t waiting_first, waiting_next;
    client *clients; /* a ring */
    uint64_t clients_first, clients_next;
    uint32_t http, rpc, db, messaging, internal;
};

edge_builder *edge_builder_new(void) {
    edge_builder *b = mem_new(edge_builder);
    edge_table_init(&b->t);
    b->http = edge_table_name(&b->t, S("http"));
    b->rpc = edge_table_name(&b->t, S("rpc"));
    b->db = edge_table_name(&b->t, S("db"));
    b->messaging = edge_table_name(&b->t, S("messaging"));
    b->internal = edge_table_name(&b->t, S("internal"));
    b->recent = mem_new_n(recent, RECENT_SETS * WAYS);
    b->waiting = mem_new_n(waiting, WAITING_MAX);
    b->chains = mem_new_n(uint32_t, WAITING_MAX); /* number + 1 */
    b->clients = mem_new_n(client, CLIENTS_MAX);
    return b;
}

void edge_builder_free(edge_builder *b) {
    if (!b) return;
    edge_table_release(&b->t);
    mem_free(b->recent);
    mem_free(b->waiting);
    mem_free(b->chains);
    mem_free(b->clients);
    mem_free(b);
}

/* --- counting --- */

static void count_call(edge_builder *b, uint32_t caller, const call *c) {
    edge_row *r = edge_table_row(&b->t, caller, c->callee, c->kind, c->minute_ns);
    if (!r) { /* more edges in one commit than a block holds: their sum is kept */
        r = edge_table_row(&b->t, b->t.other, b->t.other, 0, c->minute_ns);
        if (!r) r = &b->t.rows.v[0];
    }
    r->calls++;
    r->errors += c->error;
    r->sum_ns += c->duration_ns;
    r->max_ns = MAX(r->max_ns, c->duration_ns);
    edge_row_add(r, (uint16_t)edge_bucket_of(c->duration_ns), 1);
}

static uint64_t span_key(const uint8_t *trace, const uint8_t *id) {
    uint64_t a, b, c;
    memcpy(&a, trace, 8);
    memcpy(&b, trace + 8, 8);
    memcpy(&c, id, 8);
    uint64_t h = mix64(a ^ (b << 31 | b >> 33)) ^ c * 0x9E3779B97F4A7C15u;
    return h ? h : 1;
}

static bool calls(int32_t kind) { return kind == SPAN_CLIENT || kind == SPAN_PRODUCER; }
static bool serves(int32_t kind) { return kind == SPAN_SERVER || kind == SPAN_CONSUMER; }

/* --- recent spans --- */

static recent *recent_find(edge_builder *b, uint64_t key, int64_t now_ns) {
    recent *set = &b->recent[(key >> 20 & (RECENT_SETS - 1)) * WAYS];
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key && now_ns - set[i].seen_ns <= WAIT_NS) return &set[i];
    }
    return NULL;
}

static recent *recent_add(edge_builder *b, uint64_t key, uint32_t service, int32_t kind,
                          int64_t now_ns) {
    recent *set = &b->recent[(key >> 20 & (RECENT_SETS - 1)) * WAYS], *to = NULL;
    int64_t to_rank = INT64_MAX;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key || set[i].key == 0) {
            to = &set[i];
            break;
        }
        /* Others than callers count as older. */
        int64_t rank = set[i].seen_ns - (calls(set[i].kind) ? 0 : WAIT_NS);
        if (rank < to_rank) to_rank = rank, to = &set[i];
    }
    *to = (recent){key, now_ns, service, (uint8_t)(kind >= 0 && kind < 6 ? kind : 0), false};
    return to;
}

static bool is_call(const recent *parent, uint32_t service, bool child_serves) {
    return parent->service != service || (child_serves && calls(parent->kind));
}

/* --- children that wait --- */

static void unchain(edge_builder *b, uint32_t i) {
    uint32_t *at = &b->chains[b->waiting[i].parent & (WAITING_MAX - 1)];
    while (*at != i + 1) at = &b->waiting[*at - 1].next;
    *at = b->waiting[i].next;
    b->waiting[i].live = false;
}

/* The oldest one's time is over (or its place is needed). */
static void give_up_waiting(edge_builder *b) {
    uint32_t i = (uint32_t)(b->waiting_first++ & (WAITING_MAX - 1));
    if (!b->waiting[i].live) return;
    unchain(b, i);
    count_call(b, 0, &b->waiting[i].c);
}

static void wait_for_parent(edge_builder *b, uint64_t parent, const call *c, int64_t now_ns) {
    if (b->waiting_next - b->waiting_first == WAITING_MAX) give_up_waiting(b);
    uint32_t i = (uint32_t)(b->waiting_next++ & (WAITING_MAX - 1));
    uint32_t *chain = &b->chains[parent & (WAITING_MAX - 1)];
    b->waiting[i] =
        (waiting){.parent = parent, .seen_ns = now_ns, .next = *chain, .live = true, .c = *c};
    *chain = i + 1;
}

static void answer_waiting(edge_builder *b, recent *parent) {
    uint32_t next = b->chains[parent->key & (WAITING_MAX - 1)];
    while (next) {
        uint32_t i = next - 1;
        next = b->waiting[i].next;
        waiting *w = &b->waiting[i];
        if (w->parent != parent->key) continue;
        unchain(b, i);
        if (!is_call(parent, w->c.callee, true)) continue;
        parent->answered = true;
        count_call(b, parent->service, &w->c);
    }
}

/* --- clients that wait --- */

static void give_up_client(edge_builder *b) {
    const client *c = &b->clients[b->clients_first++ & (CLIENTS_MAX - 1)];
    const recent *r = recent_find(b, c->key, c->seen_ns);
    if (r && r->answered) return;
    count_call(b, c->service, &c->c);
}

static void wait_for_child(edge_builder *b, const client *c) {
    if (b->clients_next - b->clients_first == CLIENTS_MAX) give_up_client(b);
    b->clients[b->clients_next++ & (CLIENTS_MAX - 1)] = *c;
}

/* --- what a span says --- */

typedef struct peer {
    str name;
    uint32_t kind;
    bool at_once; /* nobody answers: a database */
} peer;

/* One pass over the attributes: the kind of call and who is at the other end, by rank. */
static peer peer_of(const edge_builder *b, const span *s) {
    peer p = {.kind = 0};
    str db = STR_NONE, address = STR_NONE, service = STR_NONE, system = STR_NONE, rpc = STR_NONE;
    bool http = false;
    for (uint32_t i = 0; i < s->attr_count; i++) {
        const attribute *a = &s->attrs[i];
        str k = a->key;
        if (k.n < 4) continue;
        switch (k.p[0]) {
        case 'h':
            http |= str_starts(k, S("http."));
            break;
        case 'd':
            if (a->type == ATTR_STR && !db.n && str_starts(k, S("db.system"))) db = a->val;
            break;
        case 'm':
            if (a->type == ATTR_STR && str_eq(k, S("messaging.system"))) system = a->val;
            break;
        case 'r':
            if (a->type == ATTR_STR && str_eq(k, S("rpc.service")))
                rpc = a->val;
            else if (!rpc.n && str_eq(k, S("rpc.system")))
                rpc.p = "";
            break;
        case 'p':
            if (a->type == ATTR_STR && str_eq(k, S("peer.service"))) service = a->val;
            break;
        case 's':
            if (a->type == ATTR_STR && str_eq(k, S("server.address"))) address = a->val;
            break;
        case 'n':
            if (a->type == ATTR_STR && !address.n && str_eq(k, S("net.peer.name")))
                address = a->val;
            break;
        default:
            break;
        }
    }
    if (db.n)
        p.kind = b->db;
    else if (system.n)
        p.kind = b->messaging;
    else if (rpc.p)
        p.kind = b->rpc;
    else if (http)
        p.kind = b->http;
    else if (s->kind == SPAN_INTERNAL)
        p.kind = b->internal;
    p.at_once = db.n > 0;
    p.name = service.n ? service : db.n ? db : system.n ? system : rpc.n ? rpc : address;
    return p;
}

static call call_of(const span *s, uint32_t callee, uint32_t kind) {
    int64_t minute = s->start_ns / EDGE_MINUTE_NS - (s->start_ns % EDGE_MINUTE_NS < 0);
    return (call){.callee = callee,
                  .kind = kind,
                  .minute_ns = minute * EDGE_MINUTE_NS,
                  .duration_ns = s->end_ns > s->start_ns && s->start_ns >= 0
                                     ? (uint64_t)(s->end_ns - s->start_ns)
                                     : 0,
                  .error = s->status == SPAN_STATUS_ERROR};
}

static void add_child(edge_builder *b, const span *s, uint32_t service, int64_t now_ns) {
    bool root = true;
    for (int i = 0; i < SPAN_ID_BYTES; i++) root &= s->parent_id[i] == 0;
    if (root) {
        if (!serves(s->kind)) return;
        call c = call_of(s, service, peer_of(b, s).kind);
        count_call(b, 0, &c);
        return;
    }
    uint64_t key = span_key(s->trace_id, s->parent_id);
    recent *parent = recent_find(b, key, now_ns);
    if (parent) {
        if (!is_call(parent, service, serves(s->kind))) return;
        call c = call_of(s, service, peer_of(b, s).kind);
        count_call(b, parent->service, &c);
        parent->answered = true;
    } else if (serves(s->kind)) {
        call c = call_of(s, service, peer_of(b, s).kind);
        wait_for_parent(b, key, &c, now_ns);
    }
}

static void add_caller(edge_builder *b, const span *s, uint32_t service, int64_t now_ns) {
    recent *r = recent_add(b, span_key(s->trace_id, s->span_id), service, s->kind, now_ns);
    answer_waiting(b, r);
    if (!calls(s->kind)) return;
    peer p = peer_of(b, s);
    if (p.name.n == 0) return;
    client c = {r->key, now_ns, service, call_of(s, edge_table_name(&b->t, p.name), p.kind)};
    if (p.at_once)
        count_call(b, service, &c.c);
    else
        wait_for_child(b, &c);
}

static rc put_rows(edge_builder *b, block_put put, void *put_ctx, err *e) {
    rc code = edge_table_put(&b->t, 0, 0, put, put_ctx, e);
    edge_table_reset(&b->t);
    return code;
}

rc edge_builder_encode(edge_builder *b, telemetry *const *t, size_t count, int64_t now_ns,
                       block_put put, void *put_ctx, err *e) {
    while (b->waiting_first < b->waiting_next) {
        const waiting *w = &b->waiting[b->waiting_first & (WAITING_MAX - 1)];
        if (w->live && now_ns - w->seen_ns <= WAIT_NS) break;
        give_up_waiting(b);
    }
    while (b->clients_first < b->clients_next &&
           now_ns - b->clients[b->clients_first & (CLIENTS_MAX - 1)].seen_ns > WAIT_NS)
        give_up_client(b);
    for (int pass = 0; pass < 2; pass++) { /* parents first: their order in a request is free */
        const resource *last = NULL;
        uint32_t service = 0;
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < t[i]->spans.count; k++) {
                const span *s = &t[i]->spans.rec[k];
                if (s->resource != last) {
                    last = s->resource;
                    service = edge_table_name(&b->t, last->service);
                }
                if (pass == 0)
                    add_caller(b, s, service, now_ns);
                else
                    add_child(b, s, service, now_ns);
            }
        }
    }
    return put_rows(b, put, put_ctx, e);
}

rc edge_builder_finish(edge_builder *b, block_put put, void *put_ctx, err *e) {
    while (b->waiting_first < b->waiting_next) give_up_waiting(b);
    while (b->clients_first < b->clients_next) give_up_client(b);
    return put_rows(b, put, put_ctx, e);
}
