/* HTTP/2 (RFC 9113) and gRPC over it, on nghttp2, which is fed bytes and asked for bytes.
 *
 *     nghttp2 callbacks            here                         request.c
 *     headers of a stream    -->   net_request, checked   -->   refused, or
 *     DATA                   -->   body (gRPC: message)
 *     END_STREAM             -->                          -->   unpack, handler
 *     answer                 -->   submit_response, data read on demand, trailers
 *     stream closed          -->   the connection's hold ends
 *
 * gRPC (doc/PROTOCOL-HTTP2.md): a message is a flag byte, four bytes of length (big-endian) and the
 * message. The length is known after five bytes: the body is charged and allocated whole, or the
 * call is refused, before the rest comes. One message each way (or a stream of answers). A failure
 * is a trailers-only answer with HTTP 200.
 *
 * Floods. Frames that cost the sender little and bring no work (PING, SETTINGS, PRIORITY, empty
 * DATA, unknown types) spend tokens, which time and useful frames bring back: clients that
 * probe the bandwidth send one PING for each answer, so a fixed rate would hurt them. Streams
 * reset before their answer (CVE-2023-44487) spend from a smaller bucket, and requests whose
 * handlers still work after a reset count against the streams of the connection. CONTINUATION
 * frames (CVE-2024-27316), queued acknowledgements and entries of SETTINGS are bounded by nghttp2.
 * Clients that never open their window: an answer without progress for body_timeout_ms is reset.
 *
 * Flow control: 1 MiB a stream, 4 MiB a connection, opened again by nghttp2 as bytes arrive;
 * memory is bounded by charging bodies, not by windows. Output is made only while little of it
 * waits, so an answer is not copied into frames faster than the client takes it. */
#include "net/net_int.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

enum {
    STREAM_WINDOW_BYTES = 1 << 20,
    CONN_WINDOW_BYTES = 4 << 20,
    FRAME_BYTES = 64 << 10, /* we take larger ones than the default, if the client likes */
    CALM_BURST = 1000,
    CALM_PER_S = 200,
    CALM_PER_USEFUL = 4,
    RESET_BURST = 200,
    RESET_PER_S = 50,
    UNKNOWN_LENGTH_FIRST_BYTES = 16 << 10,
    GRPC_PREFIX_BYTES = 5,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    NV_MAX = 48,
};

typedef struct bucket {
    double tokens;
    int64_t at_ns;
} bucket;

typedef struct h2 {
    nghttp2_session *s;
    net_conn *c;
    bucket calm, resets;
    bool flooded, goaway_sent;
} h2;

static bool spend(bucket *b, int64_t now_ns, double burst, double per_s) {
    b->tokens = MIN(burst, b->tokens + (double)(now_ns - b->at_ns) * 1e-9 * per_s);
    b->at_ns = now_ns;
    if (b->tokens < 1) return false;
    b->tokens -= 1;
    return true;
}

static void flood(h2 *h) {
    if (h->flooded) return;
    h->flooded = true;
    NET_COUNT(h->c->site->cfg, h2_floods, 1);
    net_conn_linger(h->c); /* after the GOAWAY is out; nothing further is looked at */
    IGNORE(
        nghttp2_session_terminate_session(h->s, NGHTTP2_ENHANCE_YOUR_CALM)); /* else it just ends */
}

/* ---- answers ---- */

typedef struct nv_list {
    nghttp2_nv v[NV_MAX];
    size_t n;
} nv_list;

static void nv_add(nv_list *l, str name, str value) {
    if (l->n == NV_MAX) return; /* an answer has far fewer */
    l->v[l->n++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                                .value = (uint8_t *)(uintptr_t)value.p,
                                .namelen = name.n,
                                .valuelen = value.n};
}

/* Text is made by whoever replies (reply.c): a request's arena is the replying thread's. nghttp2
 * copies what it is given. */
static str small_number(char *text, size_t cap, int v) {
    int n = snprintf(text, cap, "%d", v);
    return str_make(text, (size_t)n);
}

static void add_status_headers(nv_list *l, const net_request *r, char *status, size_t cap) {
    net_site *s = r->site;
    const net_answer *a = &r->answer;
    nv_add(l, S(":status"), small_number(status, cap, a->status));
    nv_add(l, S("date"), net_site_date(s));
    if (s->cfg->server_name.n) nv_add(l, S("server"), s->cfg->server_name);
    if (a->content_type.n) nv_add(l, S("content-type"), a->content_type);
    if (r->is_grpc) {
        nv_add(l, S("grpc-accept-encoding"), S("identity,gzip,zstd"));
        if (a->coding != NET_IDENTITY) nv_add(l, S("grpc-encoding"), net_coding_name(a->coding));
    } else if (a->coding != NET_IDENTITY) {
        nv_add(l, S("vary"), S("accept-encoding"));
        nv_add(l, S("content-encoding"), net_coding_name(a->coding));
    }
    for (size_t i = 0; i < a->header_count; i++)
        nv_add(l, a->headers[2 * i], a->headers[2 * i + 1]);
}

static void add_trailers(nv_list *l, const net_request *r, char *status, size_t cap) {
    const net_answer *a = &r->answer;
    nv_add(l, S("grpc-status"), small_number(status, cap, a->grpc_status));
    if (a->grpc_message.n) nv_add(l, S("grpc-message"), a->grpc_message);
    if (a->grpc_details.n) nv_add(l, S("grpc-status-details-bin"), a->grpc_details);
}

static void submit_trailers(net_request *r) {
    nv_list l = {0};
    h2 *h = r->conn->h2;
    char status[16];
    add_trailers(&l, r, status, sizeof status);
    IGNORE(nghttp2_submit_trailer(h->s, r->stream_id, l.v, l.n)); /* no memory: the stream stalls */
}

/* The bytes of a whole answer from `at`: the gRPC prefix, then the body. */
static size_t copy_answer(net_request *r, uint8_t *to, size_t room) {
    const net_answer *a = &r->answer;
    size_t prefix = r->is_grpc ? GRPC_PREFIX_BYTES : 0, n = 0;
    while (r->answer_at < prefix && n < room) {
        uint32_t len = (uint32_t)a->body_bytes;
        size_t i = r->answer_at++;
        to[n++] = i == 0 ? a->coding != NET_IDENTITY : (uint8_t)(len >> (8 * (4 - i)));
    }
    size_t body_at = r->answer_at - prefix, take = MIN(a->body_bytes - body_at, room - n);
    if (take && r->answer_at >= prefix) {
        memcpy(to + n, a->body + body_at, take);
        r->answer_at += take;
        n += take;
    }
    return n;
}

static size_t copy_parts(net_request *r, uint8_t *to, size_t room) {
    size_t n = 0;
    while (r->part_first && n < room) {
        net_part *p = r->part_first;
        size_t take = MIN(p->n - p->at, room - n);
        memcpy(to + n, p->bytes + p->at, take);
        p->at += take;
        n += take;
        if (p->at < p->n) break;
        r->part_first = p->next;
        if (!p->next) r->part_last = NULL;
        net_stream_sent(r->stream, p->charged_bytes);
        mem_free(p);
    }
    return n;
}

static ssize_t read_answer(nghttp2_session *s, int32_t id, uint8_t *to, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *ctx) {
    (void)s;
    (void)id;
    (void)ctx;
    net_request *r = source->ptr;
    MUST(r->magic == NET_REQUEST_MAGIC && r->conn_holds);
    size_t n;
    bool end;
    r->progress_ns = r->site->now_ns;
    if (r->stream) {
        n = copy_parts(r, to, room);
        end = r->parts_done && !r->part_first;
        if (n == 0 && !end) {
            r->deferred = true;
            return NGHTTP2_ERR_DEFERRED;
        }
    } else {
        n = copy_answer(r, to, room);
        end = r->answer_at == r->answer.body_bytes + (r->is_grpc ? GRPC_PREFIX_BYTES : 0);
    }
    if (end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (r->is_grpc) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(r);
        }
    }
    return (ssize_t)n;
}

static void submit(net_request *r, nv_list *l, bool data) {
    h2 *h = r->conn->h2;
    nghttp2_data_provider provider = {.source.ptr = r, .read_callback = read_answer};
    r->progress_ns = r->site->now_ns;
    if (nghttp2_submit_response(h->s, r->stream_id, l->v, l->n, data ? &provider : NULL) != 0)
        r->conn->dead = true; /* out of memory */
    net_conn_dirty(r->conn);
}

void h2_apply_answer(net_request *r) {
    net_answer *a = &r->answer;
    nv_list l = {0};
    char status[16], grpc_status[16], length[24];
    if (r->stream_closed) return;
    add_status_headers(&l, r, status, sizeof status);
    if (r->is_grpc && a->grpc_status != 0) {
        add_trailers(&l, r, grpc_status, sizeof grpc_status);
        submit(r, &l, false);
        return;
    }
    bool data = a->status != 204 && a->status != 304;
    int n = snprintf(length, sizeof length, "%zu", a->body_bytes);
    if (data && !r->is_grpc) nv_add(&l, S("content-length"), str_make(length, (size_t)n));
    submit(r, &l, data && !r->is_head && (r->is_grpc || a->body_bytes > 0));
}

void h2_stream_begin(net_request *r) {
    nv_list l = {0};
    char status[16];
    if (r->stream_closed) return;
    add_status_headers(&l, r, status, sizeof status);
    submit(r, &l, !r->is_head);
}

static void wake_stream(net_request *r) {
    h2 *h = r->conn->h2;
    if (r->deferred) {
        r->deferred = false;
        IGNORE(nghttp2_session_resume_data(h->s, r->stream_id)); /* closed meanwhile: fine */
    }
    net_conn_dirty(r->conn);
}

void h2_stream_part(net_request *r, str part) {
    size_t prefix = r->is_grpc ? GRPC_PREFIX_BYTES : 0;
    net_part *p = r->is_head ? NULL : mem_try_raw(sizeof *p + prefix + part.n);
    if (!p) {
        net_stream_sent(r->stream, part.n);
        if (!r->is_head) r->conn->dead = true; /* an answer with a hole is worse than none */
        return;
    }
    *p = (net_part){.n = prefix + part.n, .charged_bytes = part.n};
    for (size_t i = 1; i < prefix; i++) p->bytes[i] = (char)(part.n >> (8 * (4 - i)));
    if (prefix) p->bytes[0] = 0;
    memcpy(p->bytes + prefix, part.p, part.n);
    if (!r->part_first) r->progress_ns = r->site->now_ns;
    if (r->part_last)
        r->part_last->next = p;
    else
        r->part_first = p;
    r->part_last = p;
    wake_stream(r);
}

void h2_stream_end(net_request *r) {
    if (r->stream_closed) return;
    r->parts_done = true;
    wake_stream(r);
}

/* ---- requests ---- */

static net_request *request_of(nghttp2_session *s, int32_t id) {
    net_request *r = nghttp2_session_get_stream_user_data(s, id);
    MUST(!r || r->magic == NET_REQUEST_MAGIC);
    return r;
}

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *ctx) {
    h2 *h = ctx;
    if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    h->calm.tokens += CALM_PER_USEFUL;
    const net_config *cfg = h->c->site->cfg;
    /* Handlers of streams that were reset still count: resetting must not buy more of them. */
    if (h->c->request_count >= cfg->limits.max_streams * 2u) {
        NET_COUNT(h->c->site->cfg, refused_limit, 1);
        return nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, f->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    net_request *r = net_request_new(h->c);
    r->http_version = 20;
    r->stream_id = f->hd.stream_id;
    r->body_start_ns = r->last_body_ns = h->c->site->now_ns;
    return nghttp2_session_set_stream_user_data(s, f->hd.stream_id, r);
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *ctx) {
    (void)flags;
    (void)ctx;
    net_request *r = request_of(s, f->hd.stream_id);
    if (!r || r->overflow || f->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    str n = str_make((const char *)name, name_n), v = str_make((const char *)value, value_n);
    if (r->header_bytes + n.n + v.n > r->site->cfg->limits.max_header_bytes) {
        r->overflow = true;
        return 0;
    }
    n = str_dup(&r->mem, n);
    v = str_dup(&r->mem, v);
    if (n.n && n.p[0] == ':') {
        r->header_bytes += n.n + v.n + 32;
        if (str_eq(n, S(":method")))
            r->method = v;
        else if (str_eq(n, S(":path")))
            r->target = v;
        else if (str_eq(n, S(":authority"))) /* stands for Host: RFC 9113 8.3.1 */
            IGNORE(net_request_add_header(r, S("host"), v));
        return 0;
    }
    IGNORE(net_request_add_header(r, n, v)); /* r->overflow is looked at later */
    return 0;
}

/* A malformed request is a stream error (RFC 9113 8.1.1). */
static int on_invalid_header(nghttp2_session *s, const nghttp2_frame *f, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *ctx) {
    (void)s;
    (void)f;
    (void)name;
    (void)value;
    (void)flags;
    h2 *h = ctx;
    NET_COUNT(h->c->site->cfg, bad_requests, 1);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void request_ends(net_request *r) {
    r->input_done = true;
    if (r->answered) return;
    if (r->is_grpc) {
        if (!r->has_message && r->prefix_n == 0) {
            net_refuse(r, 0, GRPC_UNIMPLEMENTED, RC_INVALID, "the call has no message");
            return;
        }
        if (!r->has_message) {
            NET_COUNT(r->site->cfg, bad_requests, 1);
            net_refuse(r, 0, GRPC_INTERNAL, RC_INVALID, "the message is cut short");
            return;
        }
    }
    net_request_complete(r);
}

static void headers_done(net_request *r, bool end) {
    r->headers_done = true;
    if (r->target.n == 0 && str_eq(r->method, S("CONNECT"))) r->target = S("/");
    str length = net_header(r, S("content-length"));
    uint64_t n = 0;
    for (size_t i = 0; i < length.n && i < 19; i++) n = n * 10 + (uint64_t)(length.p[i] - '0');
    r->has_length =
        length.n > 0; /* nghttp2 checked that it is a number, and will that it is kept */
    r->content_length = n;
    if (!net_request_check(r)) return;
    if (!end && str_eq_nocase(net_header(r, S("expect")), S("100-continue"))) {
        nv_list l = {0};
        nv_add(&l, S(":status"), S("100"));
        IGNORE(nghttp2_submit_headers(((h2 *)r->conn->h2)->s, NGHTTP2_FLAG_NONE, r->stream_id, NULL,
                                      l.v, l.n, NULL)); /* no memory: the client sends anyway */
    }
    if (end) {
        request_ends(r);
        return;
    }
    if (r->is_grpc || !r->has_length || n == 0) return;
    if (!net_request_admit(r, n)) {
        net_refuse(r, 503, 14, RC_AGAIN, "too much is in flight");
        return;
    }
    r->receiving = true;
}

static void grpc_prefix(net_request *r) {
    uint64_t max = r->site->cfg->limits.max_body_bytes;
    uint32_t n = (uint32_t)r->prefix[1] << 24 | (uint32_t)r->prefix[2] << 16 |
                 (uint32_t)r->prefix[3] << 8 | r->prefix[4];
    r->message_bytes = n;
    r->message_packed = r->prefix[0] == 1;
    if (r->prefix[0] > 1) {
        NET_COUNT(r->site->cfg, bad_requests, 1);
        net_refuse(r, 0, GRPC_INTERNAL, RC_INVALID, "the message's flag is not 0 or 1");
    } else if (r->message_packed && r->coding == NET_IDENTITY) {
        NET_COUNT(r->site->cfg, bad_requests, 1);
        net_refuse(r, 0, GRPC_INTERNAL, RC_INVALID, "a packed message needs a grpc-encoding");
    } else if (n > max) {
        NET_COUNT(r->site->cfg, refused_limit, 1);
        net_refuse(r, 0, -1, RC_LIMIT, "the message exceeds %" PRIu64 " bytes", max);
    } else if (!net_request_admit(r, n)) {
        net_refuse(r, 0, -1, RC_AGAIN, "too much is in flight");
    } else {
        r->receiving = n > 0;
        r->has_message = n == 0;
    }
}

static void grpc_data(net_request *r, const uint8_t *p, size_t n) {
    while (n && !r->answered) {
        if (r->has_message) {
            net_refuse(r, 0, GRPC_UNIMPLEMENTED, RC_INVALID, "the call has more than one message");
            return;
        }
        if (r->prefix_n < GRPC_PREFIX_BYTES) {
            r->prefix[r->prefix_n++] = *p++;
            n--;
            if (r->prefix_n == GRPC_PREFIX_BYTES) grpc_prefix(r);
            continue;
        }
        size_t take = MIN(n, r->message_bytes - r->body.n);
        MUST(take <= r->body.cap - r->body.n);
        memcpy(r->body.p + r->body.n, p, take);
        r->body.n += take;
        p += take;
        n -= take;
        r->has_message = r->body.n == r->message_bytes;
    }
}

static void plain_data(net_request *r, const uint8_t *p, size_t n) {
    if (!r->receiving) {
        if (!net_request_admit(r, UNKNOWN_LENGTH_FIRST_BYTES)) {
            net_refuse(r, 503, -1, RC_AGAIN, "too much is in flight");
            return;
        }
        r->receiving = true;
    }
    if (!net_body_room(r, n)) return;
    memcpy(r->body.p + r->body.n, p, n);
    r->body.n += n;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *ctx) {
    (void)flags;
    h2 *h = ctx;
    net_request *r = request_of(s, id);
    h->calm.tokens += CALM_PER_USEFUL;
    if (!r || r->answered) return 0;
    r->wire_bytes += n;
    r->last_body_ns = h->c->site->now_ns;
    if (r->is_grpc)
        grpc_data(r, p, n);
    else
        plain_data(r, p, n);
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *ctx) {
    (void)ctx;
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
    net_request *r = request_of(s, f->hd.stream_id);
    if (!r) return 0;
    if (f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST)
        headers_done(r, end);
    else if (end)
        request_ends(r);
    if (end) r->input_done = true;
    return 0;
}

static int on_begin_frame(nghttp2_session *s, const nghttp2_frame_hd *hd, void *ctx) {
    h2 *h = ctx;
    int64_t now = h->c->site->now_ns;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_WINDOW_UPDATE:
        return 0; /* bounded by what they belong to */
    case NGHTTP2_DATA:
        if (hd->length > 0 || hd->flags & NGHTTP2_FLAG_END_STREAM) return 0;
        break;
    case NGHTTP2_RST_STREAM: {
        const net_request *r = request_of(s, hd->stream_id);
        if (r && !r->answered && !spend(&h->resets, now, RESET_BURST, RESET_PER_S)) flood(h);
        break;
    }
    default:
        break;
    }
    if (!spend(&h->calm, now, CALM_BURST, CALM_PER_S)) flood(h);
    return 0;
}

/* An answer that ends before its request: the client may stop sending (RFC 9113 8.1). */
static int on_sent(nghttp2_session *s, const nghttp2_frame *f, void *ctx) {
    (void)ctx;
    if ((f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) ||
        !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    const net_request *r = request_of(s, f->hd.stream_id);
    if (!r || r->input_done) return 0;
    return nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_NO_ERROR);
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *ctx) {
    (void)code;
    h2 *h = ctx;
    net_request *r = request_of(s, id);
    h->c->idle_since_ns = h->c->site->now_ns;
    if (!r) return 0;
    r->stream_closed = true;
    net_request_unhold_conn(r);
    return 0;
}

/* ---- session ---- */

bool h2_start(net_conn *c) {
    const net_limits *l = &c->site->cfg->limits;
    h2 *h = mem_new(h2);
    int64_t now = c->site->now_ns;
    *h = (h2){.c = c, .calm = {CALM_BURST, now}, .resets = {RESET_BURST, now}};
    c->h2 = h;
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *o = NULL;
    bool ok = nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&o) == 0;
    if (ok) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_option_set_no_closed_streams(o, 1);
        nghttp2_option_set_stream_reset_rate_limit(o, 2 * RESET_BURST, 2 * RESET_PER_S);
        ok = nghttp2_session_server_new2(&h->s, cb, h, o) == 0;
    }
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(o);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->max_header_bytes},
    };
    ok = ok &&
         nghttp2_submit_settings(h->s, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) == 0 &&
         nghttp2_session_set_local_window_size(h->s, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW_BYTES) == 0;
    if (!ok) c->dead = true; /* out of memory */
    if (ok && c->draining) h2_drain(c);
    net_conn_dirty(c);
    return ok;
}

void h2_input(net_conn *c, const char *p, size_t n) {
    h2 *h = c->h2;
    ssize_t used = nghttp2_session_mem_recv(h->s, (const uint8_t *)p, n);
    if (used == (ssize_t)n) return;
    if (h->flooded || c->closing) return;
    if (used == NGHTTP2_ERR_FLOODED || used == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
        flood(h);
        return;
    }
    NET_COUNT(c->site->cfg, bad_requests, 1);
    c->dead = true;
}

void h2_produce(net_conn *c) {
    h2 *h = c->h2;
    while (c->out.bytes < NET_OUT_HIGH_BYTES) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(h->s, &p);
        if (n < 0) c->dead = true;
        if (n <= 0) break;
        if (c->out.bytes == 0) c->last_out_ns = c->site->now_ns;
        net_out_put(&c->out, str_make((const char *)p, (size_t)n));
    }
    bool idle = !nghttp2_session_want_write(h->s);
    if (idle && (!nghttp2_session_want_read(h->s) || (h->goaway_sent && c->request_count == 0)))
        net_conn_linger(c);
}

void h2_drain(net_conn *c) {
    h2 *h = c->h2;
    IGNORE(nghttp2_submit_shutdown_notice(h->s)); /* the GOAWAY of the next tick says it again */
    net_conn_dirty(c);
}

void h2_free(net_conn *c) {
    h2 *h = c->h2;
    if (!h) return;
    nghttp2_session_del(h->s);
    mem_free(h);
    c->h2 = NULL;
}

static bool is_over(int64_t now, int64_t since, uint32_t ms) {
    return now - since > (int64_t)ms * 1000000;
}

/* The handler still works on the request, so nothing that it may touch is touched here. */
static void deadline_passed(net_request *r) {
    nv_list l = {0};
    nv_add(&l, S(":status"), S("200"));
    nv_add(&l, S("content-type"), S("application/grpc"));
    nv_add(&l, S("grpc-status"), S("4"));
    nv_add(&l, S("grpc-message"), S("the deadline of the call has passed"));
    net_cancel(r);
    r->answered = true;
    net_finish(r, 200, 4);
    submit(r, &l, false);
}

/* False: the request may be gone. */
static bool tick_request(h2 *h, net_request *r, int64_t now, const net_limits *l) {
    net_config *cfg = r->site->cfg;
    if (!r->conn_holds) return true;
    if (!r->headers_done) {
        if (!is_over(now, r->start_ns, l->header_timeout_ms)) return true;
        NET_COUNT(cfg, timeouts, 1);
        h->c->closing = true;
        IGNORE(
            nghttp2_session_terminate_session(h->s, NGHTTP2_PROTOCOL_ERROR)); /* it ends anyway */
        return false;
    }
    if (!r->answered && now >= r->deadline_ns) {
        NET_COUNT(cfg, timeouts, 1);
        deadline_passed(r);
    } else if (!r->answered && !r->input_done && net_body_is_slow(r, now, l)) {
        NET_COUNT(cfg, timeouts, 1);
        net_refuse(r, 408, 4, RC_TIMEOUT, "the body came too slowly");
    } else if (r->answered && !r->deferred && is_over(now, r->progress_ns, l->body_timeout_ms)) {
        NET_COUNT(cfg, timeouts, 1);
        r->progress_ns = now;
        IGNORE(
            nghttp2_submit_rst_stream(h->s, NGHTTP2_FLAG_NONE, r->stream_id,
                                      NGHTTP2_CANCEL)); /* no memory: the next tick tries again */
    }
    return true;
}

void h2_tick(net_conn *c) {
    h2 *h = c->h2;
    const net_limits *l = &c->site->cfg->limits;
    int64_t now = c->site->now_ns;
    for (net_request *r = c->requests, *next; r; r = next) {
        next = r->next;
        if (!tick_request(h, r, now, l)) break;
    }
    if (c->draining && !h->goaway_sent) {
        h->goaway_sent = true;
        IGNORE(nghttp2_submit_goaway(h->s, NGHTTP2_FLAG_NONE,
                                     nghttp2_session_get_last_proc_stream_id(h->s),
                                     NGHTTP2_NO_ERROR, NULL, 0)); /* no memory: it just ends */
    }
    if (c->request_count == 0 && is_over(now, c->idle_since_ns, l->idle_timeout_ms))
        IGNORE(nghttp2_session_terminate_session(h->s, NGHTTP2_NO_ERROR)); /* it ends anyway */
    net_conn_dirty(c);
}
