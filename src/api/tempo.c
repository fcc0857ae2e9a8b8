/* tempo.c - Tempo's HTTP API over the stored spans, and the service graph.
 *
 * Traces come as OTLP: JSON (ids in hexadecimal), or protobuf for `Accept: application/protobuf`. A
 * search takes `tags` (logfmt), durations and times, or `q` with the TraceQL that query_traceql
 * knows. Source: Tempo docs "HTTP API". */
#include <stdio.h>
#include <stdlib.h>

#include "api/call_int.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/logfmt.h"
#include "codec/otlp.h"

enum {
    TRACES_MAX = 10000,
    TRACES_DEFAULT = 20,
    TAGS_MAX = 64,
    EDGES_DEFAULT = 1000,
    EDGES_MAX = 100000
};
#define SECOND_NS INT64_C(1000000000)
#define HOUR_NS   (INT64_C(3600) * SECOND_NS)

static void fail(api_call *c, const err *e) {
    int status = e->code == RC_UNSUPPORTED || e->code == RC_LIMIT ? 400 : net_http_status(e->code);
    api_reply_text(c, status, str_c(e->msg));
}

static void finish(api_call *c, rc code, const err *e) {
    if (code) {
        fail(c, e);
    } else {
        api_reply_json(c);
    }
}

/* --- one trace --- */

static bool trace_id_of(str hex, uint8_t id[16]) {
    if (hex.n == 0 || hex.n > 32) return false;
    char padded[32];
    memset(padded, '0', sizeof(padded));
    memcpy(padded + 32 - hex.n, hex.p, hex.n);
    return hex_to_bytes(str_make(padded, 32), id, 16);
}

static void put_varint(buf *b, uint64_t v) {
    IGNORE(!buf_varint(b, v)); /* full is seen at the end */
}

/* v1: the trace itself; v2: {"trace": it, "metrics": {}} */
static void reply_trace(api_call *c, const telemetry *t, bool v2) {
    bool protobuf = str_has(net_header(c->r, S("accept")), S("application/protobuf"));
    buf body;
    buf_init(&body, API_ANSWER_MAX);
    bool ok = otlp_encode(OTLP_TRACES, protobuf ? OTLP_PROTOBUF : OTLP_JSON, t, &body);
    str text = buf_str(&body);
    if (!ok) {
        buf_release(&body);
        err e = {0};
        IGNORE(FAIL(&e, RC_LIMIT, "the trace is larger than %d MiB", API_ANSWER_MAX >> 20));
        fail(c, &e);
        return;
    }
    net_reply_opts o = {.status = 200,
                        .content_type = protobuf ? S("application/protobuf")
                                                 : S("application/json; charset=UTF-8")};
    if (protobuf && v2) { /* TraceByIDResponse { Trace trace = 1; } */
        IGNORE(!buf_putc(&c->out, 0x0a));
        put_varint(&c->out, text.n);
        IGNORE(!buf_put(&c->out, text));
    } else if (protobuf) {
        IGNORE(!buf_put(&c->out, text));
    } else if (v2) {
        IGNORE(!(buf_put(&c->out, S("{\"trace\":")) && buf_put(&c->out, text) &&
                 buf_put(&c->out, S(",\"metrics\":{}}"))));
    } else { /* Tempo's v1 calls the list batches */
        str head = S("{\"resourceSpans\":");
        bool known = str_starts(text, head);
        IGNORE(!(buf_put(&c->out, known ? S("{\"batches\":") : S("")) &&
                 buf_put(&c->out, known ? str_from(text, head.n) : text)));
    }
    buf_release(&body);
    if (c->out.full) {
        err e = {0};
        IGNORE(FAIL(&e, RC_LIMIT, "the trace is larger than %d MiB", API_ANSWER_MAX >> 20));
        fail(c, &e);
        return;
    }
    net_reply(c->r, &o, buf_str(&c->out));
}

static void one_trace(api_call *c) {
    err e = {0};
    str hex;
    uint8_t id[16];
    bool v2 = api_path_middle(c, "/api/v2/traces/", "", &hex);
    if (!v2 && !api_path_middle(c, "/api/traces/", "", &hex)) hex = STR_NONE;
    if (str_ends(hex, S("/json"))) hex.n -= 5;
    if (!trace_id_of(hex, id)) {
        fail(c, (FAIL(&e, RC_INVALID,
                      "trace IDs can only contain hex characters: invalid trace id '%.*s'",
                      (int)MIN(hex.n, 80), hex.p),
                 &e));
        return;
    }
    const trace_node *nodes;
    size_t count;
    rc code = query_trace(c->env->store, id, &c->mem, &nodes, &count, &c->stats, &e);
    if (code == RC_NOT_FOUND) {
        api_reply_text(c, 404, S("trace not found"));
        return;
    }
    telemetry *t = code ? NULL : telemetry_new();
    for (size_t i = 0; t && i < count && !code; i++) {
        span *s = telemetry_add_span(t);
        if (s) {
            *s = *nodes[i].span;
        } else {
            code = FAIL(&e, RC_LIMIT, "the trace needs too much memory");
        }
    }
    if (code) {
        fail(c, &e);
    } else {
        reply_trace(c, t, v2);
    }
    telemetry_free(t);
}

/* --- search --- */

static rc times(api_call *c, select_common *q, int64_t since, err *e) {
    int64_t now = api_now_ns();
    rc code = api_param_time(c, "end", TIMES_SECONDS, now + SECOND_NS, &q->to_ns, e);
    if (!code)
        code = api_param_time(c, "start", TIMES_SECONDS, MAX(q->to_ns - since, 0), &q->from_ns, e);
    if (!code && q->to_ns < q->from_ns) return FAIL(e, RC_INVALID, "start must be before end");
    api_call_common(c, q);
    return code;
}

static rc take_tags(api_call *c, str tags, span_select *q, err *e) {
    label_match *m = arena_try_new_n(&c->mem, label_match, TAGS_MAX);
    if (!m) return FAIL(e, RC_LIMIT, "the search needs too much memory");
    logfmt_reader r = {.in = tags};
    logfmt_pair p;
    size_t n = 0;
    while (logfmt_next(&r, &p)) {
        str v = p.val;
        if (!p.has_value || p.key.n == 0 || p.damaged) {
            return FAIL(e, RC_INVALID, "invalid tags: logfmt syntax error at pos %zu", r.at);
        }
        if (p.escaped && logfmt_text(&p, &c->mem, &v))
            return FAIL(e, RC_LIMIT, "the search needs too much memory");
        if (n >= TAGS_MAX) return FAIL(e, RC_INVALID, "more than %d tags", TAGS_MAX);
        if (str_eq(p.key, S("name"))) {
            q->name = v;
        } else if (str_eq(p.key, S("status")) || str_eq(p.key, S("status.code"))) {
            q->status = str_eq(v, S("error")) ? SPAN_STATUS_ERROR
                        : str_eq(v, S("ok"))  ? SPAN_STATUS_OK
                                              : SPAN_STATUS_UNSET;
        } else if (str_eq(p.key, S("error"))) {
            if (str_eq(v, S("true"))) q->status = SPAN_STATUS_ERROR;
        } else if (str_eq(p.key, S("root.service.name")) || str_eq(p.key, S("root.name"))) {
            q->roots_only = true;
            if (str_eq(p.key, S("root.name"))) {
                q->name = v;
            } else {
                m[n++] = (label_match){.name = S("service.name"), .value = v};
            }
        } else {
            m[n++] = (label_match){.name = p.key, .value = v};
        }
    }
    q->c.match = m;
    q->c.match_count = n;
    return RC_OK;
}

static rc duration_of(api_call *c, const char *name, int64_t *ret, err *e) {
    int64_t v;
    rc code = api_param_duration(c, name, 0, &v, e);
    if (!code && v) *ret = v;
    return code;
}

static rc search_of(api_call *c, trace_search *s, err *e) {
    str text;
    s->select = (span_select){.status = -1, .kind = -1};
    rc code = RC_OK;
    if (api_param(c, "q", &text)) {
        code = query_traceql(text, &c->mem, &s->select, e);
    } else if (api_param(c, "tags", &text)) {
        code = take_tags(c, text, &s->select, e);
    }
    if (!code) code = times(c, &s->select.c, HOUR_NS, e);
    if (!code)
        code = api_param_limit(c, "limit", TRACES_DEFAULT, TRACES_MAX, &s->select.c.limit, e);
    if (!code) code = duration_of(c, "minDuration", &s->select.min_duration_ns, e);
    if (!code) code = duration_of(c, "maxDuration", &s->select.max_duration_ns, e);
    s->whole = true;
    return code;
}

static void put_summary(json_writer *w, const trace_summary *t) {
    char hex[33] = {0}, start[32];
    bytes_to_hex(t->trace_id, 16, hex);
    (void)snprintf(start, sizeof(start), "%" PRId64, t->start_ns);
    json_write_object(w);
    json_write_kv(w, S("traceID"), str_make(hex, 32));
    json_write_kv(w, S("rootServiceName"), t->root_service);
    json_write_kv(w, S("rootTraceName"), t->root_name);
    json_write_kv(w, S("startTimeUnixNano"), str_c(start));
    json_write_kv_i64(w, S("durationMs"), t->duration_ns / 1000000);
    json_write_kv_i64(w, S("durationNanos"), t->duration_ns);
    json_write_kv_i64(w, S("spanCount"), t->spans);
    json_write_kv_i64(w, S("errorCount"), t->errors);
    json_write_kv_i64(w, S("serviceCount"), t->services);
    json_write_kv_i64(w, S("matchedSpans"), t->matched);
    json_write_object_end(w);
}

static void search(api_call *c) {
    err e = {0};
    trace_search s;
    const trace_summary *t = NULL;
    size_t n = 0;
    rc code = search_of(c, &s, &e);
    if (!code) code = query_traces(c->env->store, &s, &c->mem, &t, &n, &c->stats, &e);
    json_writer *w = &c->w;
    json_write_object(w);
    json_write_key(w, S("traces"));
    json_write_array(w);
    for (size_t i = 0; i < n && !code; i++) put_summary(w, &t[i]);
    json_write_array_end(w);
    json_write_key(w, S("metrics"));
    json_write_object(w);
    json_write_kv_i64(w, S("inspectedTraces"), (int64_t)n);
    json_write_kv_i64(w, S("inspectedBytes"), (int64_t)c->stats.bytes_decoded);
    json_write_kv_i64(w, S("inspectedSpans"), (int64_t)c->stats.rows);
    json_write_kv_i64(w, S("totalBlocks"), (int64_t)c->stats.blocks);
    json_write_object_end(w);
    api_put_warnings(w, &c->stats);
    json_write_object_end(w);
    finish(c, code, &e);
}

/* --- tags --- */

static bool is_intrinsic(str name) {
    static const str NAMES[] = {S_INIT("name"), S_INIT("kind"), S_INIT("status")};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        if (str_eq(name, NAMES[i])) return true;
    }
    return false;
}
static bool is_attribute(str name) { return !is_intrinsic(name); }

static void tags(api_call *c, bool v2) {
    err e = {0};
    select_common q = {0};
    json_writer *w = &c->w;
    rc code = times(c, &q, 24 * HOUR_NS, &e);
    json_write_object(w);
    if (v2) {
        static const char *const INTRINSIC[] = {"duration", "kind", "name", "status"};
        json_write_key(w, S("scopes"));
        json_write_array(w);
        json_write_object(w);
        json_write_kv(w, S("name"), S("intrinsic"));
        json_write_key(w, S("tags"));
        json_write_array(w);
        for (size_t i = 0; i < ARRAY_LEN(INTRINSIC); i++) json_write_str(w, str_c(INTRINSIC[i]));
        json_write_array_end(w);
        json_write_object_end(w);
        json_write_object(w);
        json_write_kv(w, S("name"), S("span"));
    }
    json_write_key(w, v2 ? S("tags") : S("tagNames"));
    if (!code) code = api_put_names(c, SIGNAL_SPANS, STR_NONE, &q, is_attribute, &e);
    if (!code && v2) {
        json_write_object_end(w);
        json_write_array_end(w);
    }
    if (!code) json_write_object_end(w);
    finish(c, code, &e);
}

static void tag_names(api_call *c) { tags(c, false); }
static void tag_names_v2(api_call *c) { tags(c, true); }

static rc put_typed(void *ctx, str name, uint64_t count, err *e) {
    json_writer *w = ctx;
    (void)count;
    (void)e;
    json_write_object(w);
    json_write_kv(w, S("type"), S("string"));
    json_write_kv(w, S("value"), name);
    json_write_object_end(w);
    return RC_OK;
}

/* What a name of TraceQL's own can be, when that is a closed set; else empty. */
static str closed_set(str name) {
    if (str_eq(name, S("status"))) return S("error|ok|unset");
    if (str_eq(name, S("kind"))) return S("unspecified|internal|server|client|producer|consumer");
    return STR_NONE;
}

static void put_keywords(json_writer *w, str words, bool v2) {
    json_write_array(w);
    for (str one; str_next(&words, '|', &one);) {
        if (!v2) {
            json_write_str(w, one);
            continue;
        }
        json_write_object(w);
        json_write_kv(w, S("type"), S("keyword"));
        json_write_kv(w, S("value"), one);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void tag_values(api_call *c) {
    static const str SCOPES[] = {S_INIT("resource."), S_INIT("span."), S_INIT(".")};
    err e = {0};
    str name = STR_NONE;
    select_common q = {0};
    bool v2 = api_path_middle(c, "/api/v2/search/tag/", "/values", &name);
    if (!v2 && !api_path_middle(c, "/api/search/tag/", "/values", &name)) {
        api_reply_text(c, 404, S("not found"));
        return;
    }
    str keywords = closed_set(name);
    for (size_t i = 0; i < ARRAY_LEN(SCOPES); i++) {
        if (!str_starts(name, SCOPES[i])) continue;
        name = str_from(name, SCOPES[i].n);
        break;
    }
    rc code = times(c, &q, 24 * HOUR_NS, &e);
    json_write_object(&c->w);
    json_write_key(&c->w, S("tagValues"));
    if (!code && keywords.n > 0) {
        put_keywords(&c->w, keywords, v2);
    } else if (!code && v2) {
        json_write_array(&c->w);
        code = c->env->store->ops->labels(c->env->store, SIGNAL_SPANS, name, &q, put_typed, &c->w,
                                          &c->stats, &e);
        json_write_array_end(&c->w);
    } else if (!code) {
        code = api_put_names(c, SIGNAL_SPANS, name, &q, NULL, &e);
    }
    if (!code) json_write_object_end(&c->w);
    finish(c, code, &e);
}

/* --- the service graph --- */

typedef struct edge_sum {
    str caller, callee, kind;
    uint64_t calls, errors, sum_ns, max_ns;
    double p50, p95, p99; /* sums weighted by calls */
} edge_sum;

typedef struct edge_list {
    api_call *c;
    map64 by_hash;
    VEC(edge_sum) edges;
} edge_list;

static rc on_edge(void *ctx, const service_edge *d, err *e) {
    edge_list *l = ctx;
    bool added;
    uint64_t key = str_hash_seed(d->kind, str_hash_seed(d->callee, str_hash(d->caller)));
    uint64_t *at = map64_put(&l->by_hash, key, &added);
    if (!at) return FAIL(e, RC_LIMIT, "more than %d edges", EDGES_MAX);
    if (added) {
        edge_sum one = {.caller = str_dup(&l->c->mem, d->caller),
                        .callee = str_dup(&l->c->mem, d->callee),
                        .kind = str_dup(&l->c->mem, d->kind)};
        *at = l->edges.n;
        vec_push(&l->edges, one);
    }
    edge_sum *s = &l->edges.v[*at];
    s->calls += d->calls;
    s->errors += d->errors;
    s->sum_ns += d->sum_ns;
    s->max_ns = MAX(s->max_ns, d->max_ns);
    s->p50 += d->p50_ns * (double)d->calls;
    s->p95 += d->p95_ns * (double)d->calls;
    s->p99 += d->p99_ns * (double)d->calls;
    return RC_OK;
}

static int most_calls(const void *a, const void *b) {
    const edge_sum *x = a, *y = b;
    if (x->calls != y->calls) return x->calls > y->calls ? -1 : 1;
    int c = str_cmp(x->caller, y->caller);
    if (c == 0) c = str_cmp(x->callee, y->callee);
    return c ? c : str_cmp(x->kind, y->kind);
}

static int64_t mean(double sum, uint64_t calls) {
    return calls ? (int64_t)(sum / (double)calls) : 0;
}

/* Calls between services in the time, minutes added up; quantiles are means of the minutes' ones,
 * weighted by their calls. The busiest edges come first, `limit` of them. */
static void graph(api_call *c) {
    err e = {0};
    select_common q = {0};
    edge_list l = {.c = c};
    map64_init(&l.by_hash, EDGES_MAX);
    uint64_t limit = 0;
    rc code = times(c, &q, HOUR_NS, &e);
    if (!code) code = api_param_limit(c, "limit", EDGES_DEFAULT, EDGES_MAX, &limit, &e);
    if (!code)
        code = c->env->store->ops->edges(c->env->store, q.from_ns, q.to_ns, on_edge, &l, &c->stats,
                                         &e);
    json_writer *w = &c->w;
    json_write_object(w);
    json_write_key(w, S("edges"));
    json_write_array(w);
    if (l.edges.n) qsort(l.edges.v, l.edges.n, sizeof(edge_sum), most_calls);
    if (l.edges.n > limit && !code) {
        (void)snprintf(c->stats.reason, sizeof(c->stats.reason),
                       "%zu edges, the busiest %" PRIu64 " are here", l.edges.n, limit);
        c->stats.partial = true;
    }
    for (size_t i = 0; i < MIN(l.edges.n, (size_t)limit); i++) {
        const edge_sum *s = &l.edges.v[i];
        json_write_object(w);
        json_write_kv(w, S("caller"), s->caller);
        json_write_kv(w, S("callee"), s->callee);
        json_write_kv(w, S("kind"), s->kind);
        json_write_kv_i64(w, S("calls"), (int64_t)s->calls);
        json_write_kv_i64(w, S("errors"), (int64_t)s->errors);
        json_write_kv_i64(w, S("mean_ns"), mean((double)s->sum_ns, s->calls));
        json_write_kv_i64(w, S("p50_ns"), mean(s->p50, s->calls));
        json_write_kv_i64(w, S("p95_ns"), mean(s->p95, s->calls));
        json_write_kv_i64(w, S("p99_ns"), mean(s->p99, s->calls));
        json_write_kv_i64(w, S("max_ns"), (int64_t)s->max_ns);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    api_put_warnings(w, &c->stats);
    json_write_object_end(w);
    map64_release(&l.by_hash);
    vec_release(&l.edges);
    finish(c, code, &e);
}

static void echo(api_call *c) { api_reply_text(c, 200, S("echo")); }

static void build_info(api_call *c) {
    json_write_object(&c->w);
    json_write_kv(&c->w, S("version"), c->env->version);
    json_write_kv(&c->w, S("application"), S("faultline"));
    json_write_object_end(&c->w);
    api_reply_json(c);
}

#define HANDLER(name)                                                                              \
    static void on_##name(void *ctx, net_request *r) { api_call_start(ctx, r, name); }
HANDLER(one_trace)
HANDLER(search)
HANDLER(tag_names)
HANDLER(tag_names_v2)
HANDLER(tag_values)
HANDLER(graph)
HANDLER(echo)
HANDLER(build_info)

void api_tempo_add(net_server *s, uint32_t group, const api_env *env) {
    static const struct {
        const char *path;
        net_handler handler;
    } ROUTES[] = {{"/api/traces/*", on_one_trace},
                  {"/api/v2/traces/*", on_one_trace},
                  {"/api/search", on_search},
                  {"/api/search/tags", on_tag_names},
                  {"/api/v2/search/tags", on_tag_names_v2},
                  {"/api/search/tag/*", on_tag_values},
                  {"/api/v2/search/tag/*", on_tag_values},
                  {"/api/v1/graph/services", on_graph},
                  {"/api/echo", on_echo},
                  {"/api/status/buildinfo", on_build_info}};
    for (size_t i = 0; i < ARRAY_LEN(ROUTES); i++) {
        void *ctx = (void *)(uintptr_t)env; /* handlers take it as const again */
        net_route_add(s, group, "GET", ROUTES[i].path, ROLE_READ, ROUTES[i].handler, ctx);
    }
}
