/* A request: its memory, what handlers read of it, and the checks between its headers and its
 * handler (target, route, rights, size, coding).
 *
 * Lifetime: a request has two holds. The connection holds it until the protocol is done with it
 * (HTTP/1: the answer is in the output; HTTP/2: the stream is closed); its handler holds it from
 * the call until the answer came back to the loop. It is freed when both are gone, always on the
 * loop's thread. When the connection goes first, the request lives on, cancelled. */
#include "net/net_int.h"

#include "base/num.h"

enum {
    SPARE_REQUESTS = 64,
    SPARE_ARENA_BYTES = 64 << 10,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_UNAUTHENTICATED = 16,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_INVALID_ARGUMENT = 3,
};

net_request *net_request_new(net_conn *c) {
    net_site *s = c->site;
    net_request *r = s->spare_requests;
    if (r) {
        s->spare_requests = r->next;
        s->spare_count--;
        arena mem = r->mem;
        *r = (net_request){.mem = mem};
    } else {
        r = mem_new(net_request);
        arena_init(&r->mem, "net request", NET_REQUEST_ARENA_BYTES);
    }
    r->magic = NET_REQUEST_MAGIC;
    r->site = s;
    r->conn = c;
    r->peer = str_dup(&r->mem, str_c(c->peer));
    r->deadline_ns = INT64_MAX;
    r->start_ns = s->now_ns;
    r->role = ROLE_NONE;
    r->reply_msg = (net_msg){.request = r, .embedded = true};
    r->answer.grpc_status = -1;
    r->conn_holds = true;
    r->next = c->requests;
    if (c->requests) c->requests->prev = r;
    c->requests = r;
    c->request_count++;
    s->requests_alive++;
    NET_COUNT(s->cfg, requests, 1);
    NET_COUNT(s->cfg, requests_open, 1);
    return r;
}

static void body_release(net_request *r) {
    net_pool_put(&r->site->pool, r->body.p, r->body.cap);
    r->body = (net_block){0};
    if (r->charged_bytes) NET_UNCOUNT(r->site->cfg, inflight_bytes, r->charged_bytes);
    r->charged_bytes = 0;
}

static void parts_release(net_request *r) {
    for (net_part *p = r->part_first; p;) {
        net_part *next = p->next;
        mem_free(p);
        p = next;
    }
    r->part_first = r->part_last = NULL;
}

static void request_free(net_request *r) {
    net_site *s = r->site;
    body_release(r);
    parts_release(r);
    mem_free(r->answer.body);
    r->answer.body = NULL;
    if (r->stream) {
        net_stream_gone(r->stream);
        net_stream_unref(r->stream);
    }
    MUST(s->requests_alive > 0);
    s->requests_alive--;
    NET_UNCOUNT(s->cfg, requests_open, 1);
    r->magic = 0;
    if (s->spare_count < SPARE_REQUESTS && r->mem.held_bytes <= SPARE_ARENA_BYTES) {
        arena_reset(&r->mem);
        r->next = s->spare_requests;
        s->spare_requests = r;
        s->spare_count++;
    } else {
        arena_release(&r->mem);
        mem_free(r);
    }
}

static void unlink_conn(net_request *r) {
    net_conn *c = r->conn;
    if (!c) return;
    if (r->prev)
        r->prev->next = r->next;
    else
        c->requests = r->next;
    if (r->next) r->next->prev = r->prev;
    r->prev = r->next = NULL;
    MUST(c->request_count > 0);
    c->request_count--;
    if (r->handler_holds) c->handler_count--;
    r->conn = NULL;
}

void net_request_unhold_conn(net_request *r) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->conn_holds);
    r->conn_holds = false;
    if (r->handler_holds) {
        net_cancel(r);
        /* It stays in the connection's list, so that handlers of closed streams are counted. */
        if (r->stream) net_stream_gone(r->stream);
        return;
    }
    unlink_conn(r);
    request_free(r);
}

void net_request_unhold_handler(net_request *r) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->handler_holds);
    if (r->conn) {
        MUST(r->conn->handler_count > 0);
        r->conn->handler_count--;
    }
    r->handler_holds = false;
    body_release(r);
    if (r->conn_holds) return;
    unlink_conn(r);
    request_free(r);
}

void net_request_detach(net_request *r) {
    MUST(r->magic == NET_REQUEST_MAGIC);
    net_cancel(r);
    if (r->stream) net_stream_gone(r->stream);
    unlink_conn(r);
    r->conn_holds = false;
    if (!r->handler_holds) request_free(r);
}

void net_cancel(net_request *r) { __atomic_store_n(&r->cancel, NET_GONE, __ATOMIC_RELAXED); }

void net_half_cancel(net_request *r) {
    int here = 0;
    IGNORE(!__atomic_compare_exchange_n(&r->cancel, &here, NET_HALF_GONE, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)); /* else it is gone already */
}

/* ---- headers ---- */

bool net_request_add_header(net_request *r, str name, str value) {
    const net_limits *l = &r->site->cfg->limits;
    r->header_bytes += name.n + value.n + 32; /* as HTTP/2 counts */
    if (r->header_count >= l->max_headers || r->header_bytes > l->max_header_bytes) {
        r->overflow = true;
        return false;
    }
    if (!r->headers) r->headers = arena_try_new_n(&r->mem, net_header_line, l->max_headers);
    if (!r->headers) return false;
    r->headers[r->header_count++] = (net_header_line){name, value};
    return true;
}

str net_header(const net_request *r, str name) {
    for (size_t i = 0; i < r->header_count; i++) {
        if (str_eq(r->headers[i].name, name)) return r->headers[i].value;
    }
    return STR_NONE;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* %XX (and '+' in forms) decoded; the text itself when there is nothing to decode. False: a bad
 * escape, or no memory. */
static bool unescape(arena *mem, str s, bool plus, str *ret) {
    if (str_find_char(s, '%', 0) == STR_NPOS && (!plus || str_find_char(s, '+', 0) == STR_NPOS)) {
        *ret = s;
        return true;
    }
    char *p = arena_try_raw(mem, s.n, 1);
    if (!p) return false;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int lo = hi >= 0 ? hex_digit(s.p[i + 2]) : -1;
            if (hi >= 0 && lo >= 0) {
                p[n++] = (char)(hi << 4 | lo);
                i += 2;
                continue;
            }
            return false;
        }
        p[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
    }
    *ret = str_make(p, n);
    return true;
}

static bool split_target(net_request *r) {
    str t = r->target;
    /* absolute-form: scheme and authority are dropped (RFC 9112 3.2.2) */
    size_t scheme = t.n && t.p[0] != '/' ? str_find(t, S("://"), 0) : STR_NPOS;
    if (scheme != STR_NPOS) {
        size_t slash = str_find_char(t, '/', scheme + 3);
        t = slash == STR_NPOS ? S("/") : str_from(t, slash);
    }
    if (t.n == 0 || (t.p[0] != '/' && !str_eq(t, S("*")))) return false;
    size_t hash = str_find_char(t, '#', 0);
    if (hash != STR_NPOS) t = str_sub(t, 0, hash);
    size_t q = str_find_char(t, '?', 0);
    r->query = q == STR_NPOS ? STR_NONE : str_from(t, q + 1);
    return unescape(&r->mem, str_sub(t, 0, MIN(q, t.n)), false, &r->path) &&
           str_find_char(r->path, '\0', 0) == STR_NPOS;
}

/* The type itself, without parameters. */
static str media_type(str content_type) {
    size_t semi = str_find_char(content_type, ';', 0);
    return str_trim(str_sub(content_type, 0, MIN(semi, content_type.n)));
}

static bool is_grpc_type(str type) {
    return str_starts_nocase(type, S("application/grpc")) && (type.n == 16 || type.p[16] == '+');
}

/* grpc-timeout: 1 to 8 digits and a unit (gRPC over HTTP2, "Timeout"). */
static bool grpc_timeout(str s, int64_t *ret_ns) {
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000},
                 {'m', 1000000},       {'u', 1000},        {'n', 1}};
    uint64_t v;
    if (s.n < 2 || s.n > 9 || !num_u64(str_sub(s, 0, s.n - 1), &v)) return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (units[i].unit != s.p[s.n - 1]) continue;
        if (__builtin_mul_overflow((int64_t)v, units[i].ns, ret_ns)) *ret_ns = INT64_MAX / 2;
        return true;
    }
    return false;
}

/* ---- checks ---- */

static bool path_matches(const net_route *t, str path) {
    return t->is_prefix ? str_starts(path, t->path) : str_eq(path, t->path);
}

/* The longest matching route of the method; *ret_other: the path is there for another method. */
static const net_route *find_route(const net_config *cfg, net_request *r, uint32_t group,
                                   bool *ret_other, bool *ret_grpc_only, buf *allow) {
    str method = r->is_grpc ? S("GRPC") : r->is_head ? S("GET") : r->method;
    const net_route *best = NULL;
    for (size_t i = 0; i < cfg->routes.n; i++) {
        const net_route *t = &cfg->routes.v[i];
        if (!(t->group & group) || !path_matches(t, r->path)) continue;
        r->rpc_errors |= t->rpc_errors;
        if (str_eq(t->method, method)) {
            if (!best || !t->is_prefix || (best->is_prefix && t->path.n > best->path.n)) best = t;
        } else if (str_eq(t->method, S("GRPC"))) {
            *ret_grpc_only = true;
        } else {
            *ret_other = true;
            if (allow->n) buf_put(allow, S(", "));
            buf_put(allow, t->method);
        }
    }
    return best;
}

static void refuse_method(net_request *r, str allow) {
    str *h = arena_try_new_n(&r->mem, str, 2);
    if (h) {
        h[0] = S("Allow");
        h[1] = str_dup(&r->mem, allow);
        r->answer.headers = h;
        r->answer.header_count = 1;
    }
    net_refuse(r, 405, -1, RC_UNSUPPORTED, "method \"%.*s\" is not allowed here",
               STR_ARG(str_sub(r->method, 0, 32)));
}

static bool check_route(net_request *r) {
    DEFER(buf_release) buf allow;
    buf_init(&allow, 512);
    bool other = false, grpc_only = false;
    r->route = find_route(r->site->cfg, r, r->conn->group, &other, &grpc_only, &allow);
    if (r->route) return true;
    str path = str_sub(r->path, 0, 200);
    if (r->is_grpc)
        net_refuse(r, 0, GRPC_UNIMPLEMENTED, RC_UNSUPPORTED, "unknown method %.*s", STR_ARG(path));
    else if (grpc_only && r->http_version < 20 &&
             is_grpc_type(media_type(net_header(r, S("content-type")))))
        net_refuse(r, 505, -1, RC_UNSUPPORTED, "gRPC needs HTTP/2");
    else if (grpc_only && str_eq(r->method, S("POST")))
        net_refuse(r, 415, -1, RC_UNSUPPORTED,
                   "the content type of a gRPC call is application/grpc");
    else if (other || grpc_only)
        refuse_method(r, other ? buf_str(&allow) : S("POST"));
    else
        net_refuse(r, 404, -1, RC_NOT_FOUND, "no such path: \"%.*s\"", STR_ARG(path));
    return false;
}

/* "localhost", an IPv4 or a bracketed IPv6 address, with or without a port. */
static bool is_local_name(str host) {
    if (host.n && host.p[0] == '[') return true;
    str name = str_sub(host, 0, MIN(str_find_char(host, ':', 0), host.n));
    if (str_eq_nocase(name, S("localhost"))) return true;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] != '.' && (name.p[i] < '0' || name.p[i] > '9')) return false;
    return name.n > 0;
}

/* On loopback nobody needs a token, so that any web page open on this machine could ask and
 * command, too: by a request of its own to 127.0.0.1 (it then says another Origin than this
 * server), or by letting its own name resolve to 127.0.0.1 (DNS rebinding; the Host is then its
 * name). Both are refused; a token passes. */
static bool check_page(net_request *r) {
    str host = net_header(r, S("host")), origin = net_header(r, S("origin"));
    if (!is_local_name(host) && host.n) {
        NET_COUNT(r->site->cfg, refused_auth, 1);
        net_refuse(
            r, 403, GRPC_PERMISSION_DENIED, RC_INVALID,
            "\"%.*s\" is not this machine's own name: use localhost or its address, or send a "
            "bearer token",
            STR_ARG(str_sub(host, 0, 100)));
        return false;
    }
    size_t at = str_find(origin, S("://"), 0);
    if (origin.n && (at == STR_NPOS || !str_eq_nocase(str_from(origin, at + 3), host))) {
        NET_COUNT(r->site->cfg, refused_auth, 1);
        net_refuse(r, 403, GRPC_PERMISSION_DENIED, RC_INVALID,
                   "pages of \"%.*s\" need a bearer token", STR_ARG(str_sub(origin, 0, 100)));
        return false;
    }
    return true;
}

static bool check_rights(net_request *r) {
    const net_config *cfg = r->site->cfg;
    str value = str_trim(net_header(r, S("authorization"))), token = STR_NONE;
    if (str_starts_nocase(value, S("bearer "))) token = str_trim(str_from(value, 7));
    r->role = cfg->auth ? cfg->auth(cfg->auth_ctx, token) : ROLE_ADMIN;
    unsigned needed = (unsigned)r->route->role, held = (unsigned)r->role;
    /* What only takes telemetry in answers any name: senders use many. */
    if (token.n == 0 && needed & ROLE_READ && held != ROLE_NONE && r->conn->local && cfg->auth &&
        !check_page(r))
        return false;
    if ((held & needed) == needed) return true;
    NET_COUNT(r->site->cfg, refused_auth, 1);
    if (held == ROLE_NONE) {
        static const str challenge[2] = {S_INIT("WWW-Authenticate"), S_INIT("Bearer")};
        r->answer.headers = challenge;
        r->answer.header_count = 1;
        net_refuse(r, 401, GRPC_UNAUTHENTICATED, RC_INVALID,
                   token.n ? "the bearer token is not valid" : "a bearer token is needed");
    } else {
        net_refuse(r, 403, GRPC_PERMISSION_DENIED, RC_INVALID,
                   "the token does not give this right");
    }
    return false;
}

static bool check_coding(net_request *r) {
    static const str offer[2] = {S_INIT("Accept-Encoding"), S_INIT("gzip, deflate, zstd")};
    str name = net_header(r, r->is_grpc ? S("grpc-encoding") : S("content-encoding"));
    r->accepts = net_codings_accepted(
        net_header(r, r->is_grpc ? S("grpc-accept-encoding") : S("accept-encoding")));
    r->coding = net_coding_of(name);
    if (r->route->coding.n && str_eq_nocase(str_trim(name), r->route->coding)) {
        r->coding = NET_IDENTITY;
    }
    if (r->coding != NET_CODING_UNKNOWN && !(r->is_grpc && r->coding == NET_DEFLATE)) return true;
    if (!r->is_grpc) {
        r->answer.headers = offer;
        r->answer.header_count = 1;
    }
    net_refuse(r, 415, GRPC_UNIMPLEMENTED, RC_UNSUPPORTED, "unknown encoding \"%.*s\"",
               STR_ARG(str_sub(name, 0, 64)));
    return false;
}

bool net_request_check(net_request *r) {
    net_config *cfg = r->site->cfg;
    str type = media_type(net_header(r, S("content-type")));
    r->is_grpc = r->http_version == 20 && str_eq(r->method, S("POST")) && is_grpc_type(type);
    r->is_head = str_eq(r->method, S("HEAD"));
    r->is_json = str_eq_nocase(type, S("application/json"));
    r->is_proto = str_eq_nocase(type, S("application/x-protobuf")) ||
                  str_eq_nocase(type, S("application/protobuf"));
    if (r->overflow) {
        NET_COUNT(cfg, refused_limit, 1);
        net_refuse(r, 431, 8, RC_LIMIT, "the headers exceed %" PRIu32 " bytes or %" PRIu32 " lines",
                   cfg->limits.max_header_bytes, cfg->limits.max_headers);
        return false;
    }
    if (!split_target(r)) {
        NET_COUNT(cfg, bad_requests, 1);
        r->path = str_sub(r->target, 0, 200);
        net_refuse(r, 400, GRPC_INVALID_ARGUMENT, RC_INVALID, "the request target is not valid");
        return false;
    }
    if (!check_route(r) || !check_rights(r) || !check_coding(r)) return false;
    if (r->has_length && r->content_length > cfg->limits.max_body_bytes) {
        NET_COUNT(cfg, refused_limit, 1);
        net_refuse(r, 413, -1, RC_LIMIT, "the body exceeds %" PRIu64 " bytes",
                   cfg->limits.max_body_bytes);
        return false;
    }
    str timeout = r->is_grpc ? net_header(r, S("grpc-timeout")) : STR_NONE;
    int64_t ns;
    if (timeout.n) {
        if (!grpc_timeout(timeout, &ns)) {
            NET_COUNT(cfg, bad_requests, 1);
            net_refuse(r, 400, GRPC_INVALID_ARGUMENT, RC_INVALID, "grpc-timeout is not valid");
            return false;
        }
        r->deadline_ns = ns > INT64_MAX - r->start_ns ? INT64_MAX : r->start_ns + ns;
    }
    return true;
}

/* ---- body ---- */

/* Always lets one through when nothing else is in flight, so that max_inflight_bytes below the size
 * of one body delays but never blocks. */
static bool charge(net_request *r, uint64_t bytes) {
    net_counters *n = &r->site->cfg->counters;
    uint64_t max = r->site->cfg->limits.max_inflight_bytes;
    uint64_t before = atomic_fetch_add_explicit(&n->inflight_bytes, bytes, memory_order_relaxed);
    if (before + bytes > max && before != r->charged_bytes) {
        atomic_fetch_sub_explicit(&n->inflight_bytes, bytes, memory_order_relaxed);
        return false;
    }
    r->charged_bytes += bytes;
    return true;
}

bool net_request_admit(net_request *r, uint64_t bytes) {
    MUST(r->body.p == NULL);
    if (bytes == 0) return true;
    size_t cap = net_pool_round((size_t)bytes);
    if (!charge(r, cap)) return false;
    r->body.p = net_pool_get(&r->site->pool, cap, &r->body.cap);
    if (r->body.p) return true;
    NET_UNCOUNT(r->site->cfg, inflight_bytes, cap);
    r->charged_bytes -= cap;
    return false;
}

bool net_body_room(net_request *r, size_t more_bytes) {
    net_block *b = &r->body;
    const net_limits *l = &r->site->cfg->limits;
    if (more_bytes > l->max_body_bytes || b->n > l->max_body_bytes - more_bytes) {
        NET_COUNT(r->site->cfg, refused_limit, 1);
        net_refuse(r, 413, -1, RC_LIMIT, "the body exceeds %" PRIu64 " bytes", l->max_body_bytes);
        return false;
    }
    if (more_bytes <= b->cap - b->n) return true;
    size_t cap = net_pool_round(MAX(b->n + more_bytes, MIN(b->cap * 2, (size_t)l->max_body_bytes)));
    size_t got = 0;
    char *p = charge(r, cap - b->cap) ? net_pool_get(&r->site->pool, cap, &got) : NULL;
    if (!p) {
        net_refuse(r, 503, -1, RC_AGAIN, "too much is in flight");
        return false;
    }
    if (b->n) memcpy(p, b->p, b->n);
    net_pool_put(&r->site->pool, b->p, b->cap);
    b->p = p;
    b->cap = got;
    return true;
}

static bool room_to_unpack(void *ctx, uint64_t more_bytes) { return charge(ctx, more_bytes); }

/* False: refused. */
static bool unpack_body(net_request *r) {
    err e = {0};
    net_block packed = r->body;
    r->body = (net_block){0};
    rc code = net_unpack(r->coding, str_make(packed.p, packed.n), &r->site->cfg->limits,
                         &r->site->pool, room_to_unpack, r, &r->body, &e);
    net_pool_put(&r->site->pool, packed.p, packed.cap);
    uint64_t back = MIN(r->charged_bytes, packed.cap);
    NET_UNCOUNT(r->site->cfg, inflight_bytes, back);
    r->charged_bytes -= back;
    if (code == RC_OK) return true;
    if (code == RC_LIMIT) NET_COUNT(r->site->cfg, refused_limit, 1);
    if (code == RC_INVALID) NET_COUNT(r->site->cfg, bad_requests, 1);
    /* gRPC: "could not decompress" is INTERNAL */
    net_refuse(r, 0, code == RC_INVALID && r->is_grpc ? 13 : -1, code, "%s", e.msg);
    return false;
}

void net_request_complete(net_request *r) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->conn && !r->handler_holds);
    r->receiving = false;
    bool packed = r->is_grpc ? r->message_packed : r->coding != NET_IDENTITY;
    if (packed && r->body.n && !unpack_body(r)) return;
    r->unpacked_bytes = r->body.n;
    r->handler_holds = true;
    r->conn->handler_count++;
    r->route->handler(r->route->ctx, r); /* r may be gone after this */
}

/* ---- what handlers read ---- */

str net_method(const net_request *r) { return r->method; }
str net_path(const net_request *r) { return r->path; }
str net_query(const net_request *r) { return r->query; }
str net_body(const net_request *r) { return str_make(r->body.p, r->body.n); }
arena *net_arena(net_request *r) { return &r->mem; }
bool net_is_grpc(const net_request *r) { return r->is_grpc; }
int64_t net_deadline_ns(const net_request *r) { return r->deadline_ns; }
const volatile int *net_request_cancel(const net_request *r) { return &r->cancel; }
str net_peer(const net_request *r) { return r->peer; }
net_role net_request_role(const net_request *r) { return r->role; }

char *net_take_body(net_request *r, size_t *ret_bytes) {
    char *p = r->body.p;
    *ret_bytes = r->body.n;
    r->body = (net_block){0}; /* stays charged until the answer */
    return p;
}

static bool find_param(net_request *r, str rest, str name, size_t *index, str *ret) {
    str pair;
    while (rest.n && str_next(&rest, '&', &pair)) {
        size_t eq = str_find_char(pair, '=', 0);
        str key, value;
        if (!unescape(&r->mem, str_sub(pair, 0, MIN(eq, pair.n)), true, &key)) continue;
        if (!str_eq(key, name)) continue;
        if ((*index)-- > 0) continue;
        if (!unescape(&r->mem, eq == STR_NPOS ? S("") : str_from(pair, eq + 1), true, &value))
            return false;
        *ret = value;
        return true;
    }
    return false;
}

bool net_param(net_request *r, str name, size_t index, str *ret) {
    if (find_param(r, r->query, name, &index, ret)) return true;
    return str_eq_nocase(media_type(net_header(r, S("content-type"))),
                         S("application/x-www-form-urlencoded")) &&
           find_param(r, net_body(r), name, &index, ret);
}
