/* Answers: from a handler on any thread, or from the server itself.
 *
 * net_reply copies what it is given into the request (the arena and the body belong to whoever
 * replies), packs the body if the client wants that, and hands the request to its loop; on the
 * loop's own thread that is a plain call. net_apply then gives the answer to the protocol. An
 * answer to a request that was answered already (deadline) or whose client is gone only ends it.
 *
 * Codes: one table, below. Sources: OTLP specification 1.11 (429, 502, 503, 504 and UNAVAILABLE,
 * RESOURCE_EXHAUSTED with RetryInfo may be retried), gRPC doc/statuscodes.md. */
#include "net/net_int.h"

#include "codec/json_write.h"
#include "codec/rpc_status.h"

enum { PACK_MIN_BYTES = 1024, RETRY_AFTER_S = 1 };

typedef struct code_row {
    int http, grpc;
    bool retry; /* Retry-After, RetryInfo */
} code_row;

static const code_row codes[RC_COUNT] = {
    [RC_OK] = {200, 0, false},           [RC_INVALID] = {400, 3, false},
    [RC_LIMIT] = {413, 8, false},        [RC_AGAIN] = {503, 14, true},
    [RC_TIMEOUT] = {504, 4, false},      [RC_CANCELLED] = {499, 1, false},
    [RC_NOT_FOUND] = {404, 5, false},    [RC_EXISTS] = {409, 6, false},
    [RC_IO] = {503, 14, true},           [RC_CORRUPT] = {500, 13, false},
    [RC_UNSUPPORTED] = {501, 12, false}, [RC_END] = {404, 5, false},
};

static code_row row_of(rc code) {
    MUST((unsigned)code < RC_COUNT);
    return codes[code];
}

int net_http_status(rc code) { return row_of(code).http; }
int net_grpc_status(rc code) { return row_of(code).grpc; }

str net_http_reason(int status) {
    static const struct {
        int status;
        str reason;
    } rows[] = {
        {200, S_INIT("OK")},
        {201, S_INIT("Created")},
        {202, S_INIT("Accepted")},
        {204, S_INIT("No Content")},
        {206, S_INIT("Partial Content")},
        {301, S_INIT("Moved Permanently")},
        {302, S_INIT("Found")},
        {304, S_INIT("Not Modified")},
        {307, S_INIT("Temporary Redirect")},
        {400, S_INIT("Bad Request")},
        {401, S_INIT("Unauthorized")},
        {403, S_INIT("Forbidden")},
        {404, S_INIT("Not Found")},
        {405, S_INIT("Method Not Allowed")},
        {406, S_INIT("Not Acceptable")},
        {408, S_INIT("Request Timeout")},
        {409, S_INIT("Conflict")},
        {411, S_INIT("Length Required")},
        {413, S_INIT("Content Too Large")},
        {415, S_INIT("Unsupported Media Type")},
        {417, S_INIT("Expectation Failed")},
        {422, S_INIT("Unprocessable Content")},
        {429, S_INIT("Too Many Requests")},
        {431, S_INIT("Request Header Fields Too Large")},
        {499, S_INIT("Client Closed Request")},
        {500, S_INIT("Internal Server Error")},
        {501, S_INIT("Not Implemented")},
        {503, S_INIT("Service Unavailable")},
        {504, S_INIT("Gateway Timeout")},
        {505, S_INIT("HTTP Version Not Supported")},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].status == status) return rows[i].reason;
    }
    return S("Status");
}

/* ---- gRPC text ---- */

/* Percent-encoding of grpc-message: bytes out of 0x20..0x7e and '%'. */
static str percent(arena *mem, str s) {
    static const char hex[] = "0123456789ABCDEF";
    char *p = arena_try_raw(mem, s.n * 3, 1);
    size_t n = 0;
    if (!p) return STR_NONE;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch >= 0x20 && ch <= 0x7e && ch != '%') {
            p[n++] = (char)ch;
        } else {
            p[n++] = '%';
            p[n++] = hex[ch >> 4];
            p[n++] = hex[ch & 15];
        }
    }
    return str_make(p, n);
}

static str base64(arena *mem, str s) {
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *p = arena_try_raw(mem, (s.n + 2) / 3 * 4, 1);
    size_t n = 0;
    if (!p) return STR_NONE;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        size_t left = s.n - i;
        if (left > 1) v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
        if (left > 2) v |= (uint32_t)(unsigned char)s.p[i + 2];
        p[n++] = set[v >> 18];
        p[n++] = set[v >> 12 & 63];
        if (left > 1) p[n++] = set[v >> 6 & 63]; /* without padding, as gRPC prefers */
        if (left > 2) p[n++] = set[v & 63];
    }
    return str_make(p, n);
}

/* ---- posting ---- */

static void post(net_msg *m) {
    net_site *s = m->request->site;
    if (net_site_here == s)
        net_apply(m);
    else
        s->post(s, m);
}

static void post_reply(net_request *r) {
    MUST(!r->msg_posted); /* one answer a request */
    r->msg_posted = true;
    post(&r->reply_msg);
}

/* Header text must not hold line ends: they would begin a header of their own. */
static str clean_header(net_request *r, str s) {
    bool dirty = false;
    for (size_t i = 0; i < s.n; i++) dirty |= (unsigned char)s.p[i] < 32 || s.p[i] == 127;
    char *p = arena_try_raw(&r->mem, s.n, 1);
    if (!p) return STR_NONE;
    for (size_t i = 0; i < s.n; i++)
        p[i] = dirty && ((unsigned char)s.p[i] < 32 || s.p[i] == 127) ? ' ' : s.p[i];
    return str_make(p, s.n);
}

/* Of one connection only (RFC 9113 8.2.2), or the server's own. */
static bool is_own_header(str name) {
    static const str names[] = {S_INIT("connection"), S_INIT("transfer-encoding"),
                                S_INIT("keep-alive"), S_INIT("content-length"), S_INIT("date")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(name, names[i])) return true;
    }
    return false;
}

static void take_headers(net_request *r, const str *from, size_t count) {
    net_answer *a = &r->answer;
    str *h = arena_try_new_n(&r->mem, str, MAX(count, (size_t)1) * 2);
    if (!h) return;
    a->headers = h;
    a->header_count = 0;
    for (size_t i = 0; i < count; i++) {
        str name = clean_header(r, from[2 * i]);
        if (is_own_header(name) || name.n == 0) continue;
        h[2 * a->header_count] = name; /* nghttp2 makes it lower case */
        h[2 * a->header_count++ + 1] = clean_header(r, from[2 * i + 1]);
    }
}

static void take_trailers(net_request *r, int status, str message, str details) {
    net_answer *a = &r->answer;
    a->grpc_status = status;
    a->grpc_message = percent(&r->mem, message);
    a->grpc_details = base64(&r->mem, details);
}

static void take_opts(net_request *r, const net_reply_opts *o) {
    net_answer *a = &r->answer;
    if (r->is_grpc) {
        a->status = 200;
        a->content_type = S("application/grpc");
        take_trailers(r, o->status, o->grpc_message, o->grpc_details);
    } else {
        a->status = o->status ? o->status : 200;
    }
    if (o->content_type.n) a->content_type = clean_header(r, o->content_type);
    take_headers(r, o->headers, o->header_count);
}

static bool has_coding(const net_answer *a) {
    for (size_t i = 0; i < a->header_count; i++) {
        if (str_eq_nocase(a->headers[2 * i], S("content-encoding"))) return true;
    }
    return false;
}

static bool is_packed_type(str type) {
    return str_starts_nocase(type, S("image/")) || str_starts_nocase(type, S("font/")) ||
           str_starts_nocase(type, S("text/event-stream")) ||
           str_eq_nocase(type, S("application/gzip")) || str_eq_nocase(type, S("application/zstd"));
}

static void take_body(net_request *r, str body) {
    net_answer *a = &r->answer;
    net_coding want = r->accepts & NET_ZSTD   ? NET_ZSTD
                      : r->accepts & NET_GZIP ? NET_GZIP
                                              : NET_IDENTITY;
    if (want != NET_IDENTITY && body.n > PACK_MIN_BYTES && !has_coding(a) &&
        !is_packed_type(a->content_type) && net_pack(want, body, &a->body, &a->body_bytes)) {
        a->coding = want;
        return;
    }
    if (body.n == 0) return;
    a->body = mem_try_raw(body.n);
    if (!a->body) { /* the client is told, not left waiting */
        a->status = r->is_grpc ? 200 : 503;
        a->grpc_status = r->is_grpc ? 14 : -1;
        return;
    }
    memcpy(a->body, body.p, body.n);
    a->body_bytes = body.n;
}

void net_reply(net_request *r, const net_reply_opts *o, str body) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->handler_holds && !r->stream);
    take_opts(r, o);
    if (!r->is_grpc || r->answer.grpc_status == 0) take_body(r, body);
    post_reply(r);
}

/* ---- errors ---- */

static int64_t delay_ns(bool retry) { return retry ? (int64_t)RETRY_AFTER_S * 1000000000 : -1; }

/* google.rpc.Status, of a gRPC call that may be sent again. */
static str rpc_status(arena *out, int grpc, str message) {
    DEFER(buf_release) buf b;
    buf_init(&b, 8 * ERR_MSG_BYTES + 256);
    rpc_put_status(false, grpc, message, delay_ns(true), false, &b);
    return b.full ? STR_NONE : str_dup(out, buf_str(&b));
}

static void put_error_body(net_request *r, int grpc, rc code, str message, bool retry) {
    net_answer *a = &r->answer;
    DEFER(buf_release) buf b;
    buf_init(&b, 8 * ERR_MSG_BYTES + 256);
    bool bad = a->status == 400;
    if (r->rpc_errors) {
        /* Of HTTP a damaged body is the sender's fault, whatever gRPC calls it. */
        rpc_put_status(!r->is_proto, bad ? row_of(RC_INVALID).grpc : grpc, message, delay_ns(retry),
                       bad, &b);
        a->content_type = r->is_proto ? S("application/x-protobuf") : S("application/json");
    } else {
        json_writer w;
        json_write_init(&w, &b, 0);
        json_write_object(&w);
        json_write_key(&w, S("error"));
        json_write_object(&w);
        json_write_kv(&w, S("code"), str_c(rc_name(code)));
        json_write_kv(&w, S("message"), message);
        json_write_object_end(&w);
        json_write_object_end(&w);
        a->content_type = S("application/json");
    }
    if (b.n == 0 || b.full) return;
    a->body = mem_try_raw(b.n);
    if (!a->body) return;
    memcpy(a->body, b.p, b.n);
    a->body_bytes = b.n;
}

/* status 0, grpc -1: those of the code. A gRPC call gets them as trailers, with HTTP 200, except
 * for 415: then it is not one (gRPC over HTTP2, "Responses"). */
static void make_error(net_request *r, int status, int grpc, rc code, str message) {
    code_row row = row_of(code);
    net_answer *a = &r->answer;
    if (status == 0) status = row.http;
    if (grpc < 0) grpc = row.grpc;
    bool retry = row.retry || status == 429;
    if (r->is_grpc) {
        a->status = 200;
        a->content_type = S("application/grpc");
        take_trailers(r, grpc, message, retry ? rpc_status(&r->mem, grpc, message) : STR_NONE);
        return;
    }
    a->status = status;
    static const str after[2] = {S_INIT("Retry-After"), S_INIT("1")};
    if (retry) take_headers(r, after, 1);
    put_error_body(r, grpc, code, message, retry);
}

void net_reply_err(net_request *r, const err *e) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->handler_holds && !r->stream);
    MUST(e->code != RC_OK);
    make_error(r, 0, -1, e->code, str_c(e->msg[0] ? e->msg : rc_name(e->code)));
    post_reply(r);
}

/* ---- on the loop ---- */

static void give_answer(net_request *r) {
    MUST(r->conn && r->conn_holds && !r->answered);
    r->answered = true;
    r->response_bytes = r->answer.body_bytes;
    net_finish(r, r->answer.status, r->answer.grpc_status);
    if (r->http_version == 20)
        h2_apply_answer(r);
    else
        h1_apply_answer(r);
}

void net_refuse(net_request *r, int status, int grpc_status, rc code, const char *fmt, ...) {
    MUST(!r->handler_holds);
    if (r->answered) return;
    err e = {0};
    va_list args;
    va_start(args, fmt);
    vsnprintf(e.msg, sizeof e.msg, fmt, args);
    va_end(args);
    r->refused = true;
    make_error(r, status, grpc_status, code, str_c(e.msg));
    give_answer(r);
}

/* Told once an answer, before the protocol takes the body. */
void net_finish(net_request *r, int status, int grpc_status) {
    net_config *cfg = r->site->cfg;
    if (!cfg->on_access) return;
    net_access a = {
        .method = r->method,
        .path = r->path,
        .peer = r->peer,
        .status = status,
        .grpc_status = grpc_status,
        .request_bytes = r->unpacked_bytes ? r->unpacked_bytes : r->wire_bytes,
        .wire_bytes = r->wire_bytes,
        .response_bytes = r->response_bytes,
        .duration_ns = r->site->clock(r->site->clock_ctx) - r->start_ns,
        .http_version = r->http_version,
    };
    cfg->on_access(cfg->on_access_ctx, &a);
}

static void apply_part(net_request *r, const net_msg *m) {
    if (!r->conn || !r->conn_holds || r->stream_closed) {
        net_stream_sent(r->stream, m->n);
        return;
    }
    str part = str_make((const char *)(m + 1), m->n);
    r->response_bytes += m->n;
    if (r->http_version == 20)
        h2_stream_part(r, part);
    else
        h1_stream_part(r, part);
}

static void apply_stream(net_request *r, const net_msg *m) {
    bool live = r->conn && r->conn_holds;
    switch (m->kind) {
    case NET_MSG_BEGIN:
        if (!live || r->answered) {
            net_stream_gone(r->stream);
            break;
        }
        r->answered = true;
        if (r->http_version == 20)
            h2_stream_begin(r);
        else
            h1_stream_begin(r);
        break;
    case NET_MSG_PART:
        apply_part(r, m);
        break;
    case NET_MSG_END:
        if (live) {
            net_finish(r, r->answer.status, r->answer.grpc_status);
            if (r->http_version == 20)
                h2_stream_end(r);
            else
                h1_stream_end(r);
        }
        net_request_unhold_handler(r);
        break;
    case NET_MSG_REPLY:
        MUST(!"a reply is no stream");
    }
}

void net_apply(net_msg *m) {
    net_request *r = m->request;
    MUST(r->magic == NET_REQUEST_MAGIC && r->handler_holds);
    if (m->kind != NET_MSG_REPLY) {
        bool embedded = m->embedded;
        apply_stream(r, m);
        if (!embedded) mem_free(m);
        return;
    }
    if (r->conn && r->conn_holds && !r->answered) {
        /* The handler's hold goes last: the protocol may drop its own at once. */
        give_answer(r);
    }
    net_request_unhold_handler(r);
}

/* ---- streamed answers ---- */

static rc post_stream(net_request *r, net_msg_kind kind, str part) {
    net_msg *m = mem_try_raw(sizeof *m + part.n);
    if (!m) return RC_AGAIN;
    *m = (net_msg){.request = r, .kind = kind, .n = part.n};
    if (part.n) memcpy(m + 1, part.p, part.n);
    post(m);
    return RC_OK;
}

rc net_stream_begin(net_request *r, const net_reply_opts *o, size_t max_buffered_bytes) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->handler_holds && !r->stream && !r->msg_posted);
    take_opts(r, o);
    r->stream = net_stream_new(max_buffered_bytes);
    rc code = post_stream(r, NET_MSG_BEGIN, STR_NONE);
    if (code != RC_OK) {
        net_stream_unref(r->stream);
        r->stream = NULL;
    }
    return code;
}

rc net_stream_write(net_request *r, str part) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->stream);
    net_stream *s = r->stream;
    if (atomic_load(&s->gone)) return RC_CANCELLED;
    if (part.n == 0) return RC_OK;
    uint64_t waiting = atomic_load(&s->buffered_bytes);
    /* A part larger than the maximum goes through alone. */
    if (waiting > 0 && waiting + part.n > s->max_buffered_bytes) return RC_AGAIN;
    atomic_fetch_add(&s->buffered_bytes, part.n);
    rc code = post_stream(r, NET_MSG_PART, part);
    if (code != RC_OK) atomic_fetch_sub(&s->buffered_bytes, part.n);
    return code;
}

void net_stream_end(net_request *r, const net_reply_opts *trailers) {
    MUST(r->magic == NET_REQUEST_MAGIC && r->stream && !r->msg_posted);
    if (r->is_grpc && trailers)
        take_trailers(r, trailers->status, trailers->grpc_message, trailers->grpc_details);
    else if (r->is_grpc)
        take_trailers(r, 0, STR_NONE, STR_NONE);
    r->reply_msg.kind = NET_MSG_END;
    post_reply(r);
}
