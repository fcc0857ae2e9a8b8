/* otlp_receiver.c - OTLP over HTTP and gRPC.
 *
 * HTTP: the Content-Type picks the encoding and the answer has the same one; application/x-protobuf
 * and application/json, parameters ignored, others 415. 200 with an Export...ServiceResponse, whose
 * partial_success says what was rejected; else a google.rpc.Status: 400 with BadRequest, 413, and
 * 503 with Retry-After for what may be sent again. gRPC: the same messages; a failure carries its
 * Status in grpc-status-details-bin, with RetryInfo when it may be retried.
 * What stands before the body is net's: method (405), path (404), packing, sizes, deadlines.
 * Source: OTLP specification 1.11, "OTLP/gRPC" and "OTLP/HTTP". */
#include "ingest/otlp_receiver.h"

#include "base/mem.h"
#include "ingest/push.h"

enum { OTLP_MAGIC = 0x4f544c50, ANSWER_BYTES_MAX = 64 << 10 };

typedef struct otlp_receiver otlp_receiver;
typedef struct signal_route {
    otlp_receiver *owner;
    otlp_signal signal;
} signal_route;

struct otlp_receiver {
    push push; /* first: a receiver */
    uint32_t magic;
    signal_route routes[OTLP_SIGNALS];
};

static otlp_receiver *self_of(const receiver *r) {
    otlp_receiver *o = (otlp_receiver *)(uintptr_t)r;
    MUST(o->magic == OTLP_MAGIC);
    return o;
}

static rc decode(const push_call *c, str body, telemetry *t, err *e) {
    return otlp_decode((otlp_signal)c->kind, (otlp_encoding)c->encoding, body, t, e);
}

static str content_type(otlp_encoding enc) {
    return enc == OTLP_JSON ? S("application/json") : S("application/x-protobuf");
}

static void reply_failure(net_request *r, otlp_encoding enc, int http, rc code, str message) {
    bool retry = push_may_retry(code);
    int grpc = push_grpc_status(code);
    DEFER(buf_release) buf b;
    buf_init(&b, ANSWER_BYTES_MAX);
    otlp_put_status(enc, grpc, message, retry ? (int64_t)PUSH_RETRY_S * 1000000000 : -1,
                    code == RC_INVALID, &b);
    net_reply_opts o = {0};
    if (net_is_grpc(r)) {
        o.status = grpc;
        o.grpc_message = message;
        o.grpc_details = buf_str(&b);
        net_reply(r, &o, STR_NONE);
        return;
    }
    static const str AFTER[] = {S_INIT("Retry-After"), S_INIT("1")};
    _Static_assert(PUSH_RETRY_S == 1, "the text above");
    o.status = http;
    o.content_type = content_type(enc);
    if (retry) {
        o.headers = AFTER;
        o.header_count = 1;
    }
    net_reply(r, &o, buf_str(&b));
}

static void answer(push_call *c, rc code, str message) {
    otlp_encoding enc = (otlp_encoding)c->encoding;
    if (code != RC_OK) {
        reply_failure(c->request, enc, push_http_status(code), code, message);
        return;
    }
    DEFER(buf_release) buf b;
    buf_init(&b, ANSWER_BYTES_MAX);
    otlp_put_response((otlp_signal)c->kind, enc, c->rejected, c->reason, &b);
    net_reply_opts o = {0}; /* of HTTP 0 is 200, of gRPC OK */
    if (!net_is_grpc(c->request)) o.content_type = content_type(enc);
    net_reply(c->request, &o, buf_str(&b));
}

static void on_grpc(void *ctx, net_request *r) {
    signal_route *route = ctx;
    push_take(&route->owner->push, r, route->signal, OTLP_PROTOBUF);
}

static void on_http(void *ctx, net_request *r) {
    signal_route *route = ctx;
    str type = net_header(r, S("content-type"));
    type = str_trim(str_sub(type, 0, str_find_char(type, ';', 0)));
    if (str_eq_nocase(type, S("application/x-protobuf"))) {
        push_take(&route->owner->push, r, route->signal, OTLP_PROTOBUF);
    } else if (str_eq_nocase(type, S("application/json"))) {
        push_take(&route->owner->push, r, route->signal, OTLP_JSON);
    } else {
        push_count_invalid(&route->owner->push, route->signal, net_body(r).n);
        /* Answered in JSON, which people read. */
        reply_failure(r, OTLP_JSON, 415, RC_INVALID,
                      S("Content-Type must be application/x-protobuf or application/json"));
    }
}

/* ---- receiver_ops ---- */

static rc otlp_start(receiver *r, err *e) {
    (void)e;
    return push_start(&self_of(r)->push);
}
static void otlp_stop(receiver *r) { push_stop(&self_of(r)->push); }
static void otlp_count(const receiver *r, receiver_counts *ret) {
    push_count(&self_of(r)->push, ret);
}

static void otlp_free(receiver *r) {
    if (!r) return;
    otlp_receiver *o = self_of(r);
    push_release(&o->push);
    o->magic = 0;
    mem_free(o);
}

void otlp_receiver_count(const receiver *r, otlp_signal signal, receiver_counts *ret) {
    push_count_kind(&self_of(r)->push, signal, ret);
}

rc otlp_receiver_new(net_server *s, uint32_t group, const ingest_sink *sink, receiver **ret,
                     err *e) {
    (void)e;
    static const receiver_ops OPS = {"otlp", otlp_start, otlp_stop, otlp_count, otlp_free};
    static const push_protocol PROTOCOL = {"otlp", decode, answer};
    static const struct {
        otlp_signal signal;
        const char *path;
    } HTTP[] = {
        {OTLP_LOGS, "/v1/logs"},
        {OTLP_TRACES, "/v1/traces"},
        {OTLP_METRICS, "/v1/metrics"},
        {OTLP_PROFILES, "/v1development/profiles"},
        /* as Loki has them */
        {OTLP_LOGS, "/otlp/v1/logs"},
        {OTLP_TRACES, "/otlp/v1/traces"},
        {OTLP_METRICS, "/otlp/v1/metrics"},
        {OTLP_PROFILES, "/otlp/v1development/profiles"},
        /* as Prometheus has them */
        {OTLP_LOGS, "/api/v1/otlp/v1/logs"},
        {OTLP_TRACES, "/api/v1/otlp/v1/traces"},
        {OTLP_METRICS, "/api/v1/otlp/v1/metrics"},
        {OTLP_PROFILES, "/api/v1/otlp/v1development/profiles"},
    };
    static const char *const GRPC[OTLP_SIGNALS] = {
        [OTLP_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        [OTLP_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        [OTLP_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        [OTLP_PROFILES] =
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    };
    otlp_receiver *o = mem_new(otlp_receiver);
    o->magic = OTLP_MAGIC;
    push_init(&o->push, &PROTOCOL, &OPS, sink);
    for (unsigned i = 0; i < OTLP_SIGNALS; i++) {
        o->routes[i] = (signal_route){o, (otlp_signal)i};
        net_route_add(s, group, "GRPC", GRPC[i], ROLE_WRITE, on_grpc, &o->routes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(HTTP); i++) {
        net_route_add(s, group, "POST", HTTP[i].path, ROLE_WRITE, on_http,
                      &o->routes[HTTP[i].signal]);
        net_route_rpc_errors(s);
    }
    *ret = &o->push.base;
    return RC_OK;
}
