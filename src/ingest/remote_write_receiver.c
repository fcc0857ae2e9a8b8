/* remote_write_receiver.c - POST /api/v1/write of Prometheus remote write 1.0.
 *
 * 204 when everything is durable; 400 with a line of text when a series had to be rejected (the
 * others are stored: the sender drops what is answered with 4xx, so sending again would not help)
 * or the body is no WriteRequest; 413; 503 with Retry-After for what may be sent again. Version 2.0
 * (another message, told by the Content-Type) is answered 415, on which senders fall back to 1.0.
 * Source: Prometheus Remote-Write 1.0 and 2.0 specifications. */
#include "base/mem.h"
#include "codec/remote_write.h"
#include "ingest/push.h"

enum { REMOTE_MAGIC = 0x52575245, BODY_BYTES_MAX = 64 << 20 };

typedef struct remote_receiver {
    push push; /* first: a receiver */
    uint32_t magic;
} remote_receiver;

static remote_receiver *self_of(const receiver *r) {
    remote_receiver *o = (remote_receiver *)(uintptr_t)r;
    MUST(o->magic == REMOTE_MAGIC);
    return o;
}

static rc decode(const push_call *c, str body, telemetry *t, err *e) {
    (void)c;
    return remote_write_decode(body, BODY_BYTES_MAX, t, e);
}

static void reply_text(net_request *r, int status, bool retry, str message) {
    static const str AFTER[] = {S_INIT("Retry-After"), S_INIT("1")};
    net_reply_opts o = {.status = status, .content_type = S("text/plain; charset=utf-8")};
    if (retry) {
        o.headers = AFTER;
        o.header_count = 1;
    }
    str line = str_fmt(net_arena(r), "%.*s\n", STR_ARG(message));
    net_reply(r, &o, line);
}

static void answer(push_call *c, rc code, str message) {
    if (code != RC_OK) {
        reply_text(c->request, push_http_status(code), push_may_retry(code), message);
    } else if (c->rejected) {
        reply_text(c->request, 400, false, c->reason);
    } else {
        net_reply(c->request, &(net_reply_opts){.status = 204}, STR_NONE);
    }
}

static void on_write(void *ctx, net_request *r) {
    remote_receiver *o = ctx;
    str type = net_header(r, S("content-type")), coding = net_header(r, S("content-encoding"));
    str media = str_trim(str_sub(type, 0, str_find_char(type, ';', 0)));
    bool v2 = str_find_nocase(type, S("write.v2"), 0) != STR_NPOS;
    bool protobuf = media.n == 0 || str_eq_nocase(media, S("application/x-protobuf"));
    if (!protobuf || v2 || !str_eq_nocase(str_trim(coding), S("snappy"))) {
        push_count_invalid(&o->push, 0, net_body(r).n);
        reply_text(r, 415, false,
                   S("expected a prometheus.WriteRequest (remote write 1.0) packed with snappy"));
        return;
    }
    push_take(&o->push, r, 0, 0);
}

static rc remote_start(receiver *r, err *e) {
    (void)e;
    return push_start(&self_of(r)->push);
}
static void remote_stop(receiver *r) { push_stop(&self_of(r)->push); }
static void remote_count(const receiver *r, receiver_counts *ret) {
    push_count(&self_of(r)->push, ret);
}

static void remote_free(receiver *r) {
    if (!r) return;
    remote_receiver *o = self_of(r);
    push_release(&o->push);
    o->magic = 0;
    mem_free(o);
}

rc remote_write_receiver_new(net_server *s, uint32_t group, const ingest_sink *sink, receiver **ret,
                             err *e) {
    (void)e;
    static const receiver_ops OPS = {"remote_write", remote_start, remote_stop, remote_count,
                                     remote_free};
    static const push_protocol PROTOCOL = {"remote_write", decode, answer};
    remote_receiver *o = mem_new(remote_receiver);
    o->magic = REMOTE_MAGIC;
    push_init(&o->push, &PROTOCOL, &OPS, sink);
    net_route_add(s, group, "POST", "/api/v1/write", ROLE_WRITE, on_write, o);
    net_route_coding(s, "snappy");
    *ret = &o->push.base;
    return RC_OK;
}
