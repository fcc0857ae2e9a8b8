/* HTTP/1.0 and 1.1 (RFC 9112), one request at a time.
 *
 *     HEAD --headers--> WAIT --room--> BODY or CHUNKED --whole--> BUSY --answer--> HEAD
 *                         refused: SKIP (short bodies), or the connection lingers and closes
 *
 * The header block is gathered whole, checked for what parsers disagree about (bare CR and LF,
 * folded lines, NUL), then parsed in one call of llhttp. Bodies are read here: with Content-Length
 * straight into their buffer, chunked ones by the strict decoder below.
 *
 * Against request smuggling (RFC 9112 section 11.2): a request with Transfer-Encoding and
 * Content-Length, with any transfer coding but "chunked" alone, with Transfer-Encoding in HTTP/1.0,
 * with two lengths, with no or two Host lines (1.1), with white space before a colon, with bare CR
 * or LF anywhere in headers, chunk lines or trailers is answered 400 and the connection closed.
 *
 * Pipelining: while a request is with its handler further bytes are kept, at most
 * NET_PENDING_MAX_BYTES; then the socket is not read. The loop goes on with them after the answer,
 * also when the client has closed its direction meanwhile: what came in whole is answered. */
#include "net/net_int.h"

#include <llhttp.h>
#include <stdio.h>

enum {
    CHUNK_EXTRA_MAX_BYTES = 16 << 10, /* chunk extensions and trailers of a request */
    CHUNK_DIGITS_MAX = 15,
    CHUNK_FIRST_BYTES = 16 << 10,
};

/* ---- answers ---- */

static void put(net_conn *c, str s) { net_out_put(&c->out, s); }

static void put_u64(net_conn *c, uint64_t v) {
    char t[24];
    int n = snprintf(t, sizeof t, "%" PRIu64, v);
    put(c, str_make(t, (size_t)n));
}

static void put_status(net_conn *c, int status) {
    net_site *s = c->site;
    if (c->out.bytes == 0) c->last_out_ns = s->now_ns;
    put(c, S("HTTP/1.1 "));
    put_u64(c, (uint64_t)status);
    put(c, S(" "));
    put(c, net_http_reason(status));
    put(c, S("\r\nDate: "));
    put(c, net_site_date(s));
    if (s->cfg->server_name.n) {
        put(c, S("\r\nServer: "));
        put(c, s->cfg->server_name);
    }
}

/* After an answer: is the rest of the request's body short enough to skip? */
static void after_answer(net_conn *c, net_request *r) {
    bool whole = c->state == H1_BUSY;
    uint64_t left = 0;
    if (!whole && r->has_length && !r->expects_100) {
        MUST(r->wire_bytes <= r->content_length);
        left = r->content_length - r->wire_bytes;
        whole = left <= NET_SKIP_BYTES && c->keep_alive;
    } else if (!whole && !r->chunked && !r->has_length) {
        whole = true;
    }
    c->cur = NULL;
    c->idle_since_ns = c->site->now_ns;
    bool no_more = c->eof && c->pending_n == c->pending_at;
    if (!whole || !c->keep_alive || c->draining || no_more) {
        net_conn_linger(c);
    } else {
        c->skip_left = left;
        c->state = left ? H1_SKIP : H1_HEAD;
    }
    net_request_unhold_conn(r);
    net_conn_dirty(c);
}

/* Decides before the headers are written whether the connection will be kept. */
static bool will_keep(const net_conn *c, const net_request *r) {
    if (!c->keep_alive || c->draining) return false;
    if (c->eof && c->pending_n == c->pending_at) return false;
    if (c->state == H1_BUSY) return true;
    if (r->chunked || r->expects_100) return false;
    return !r->has_length || r->content_length - r->wire_bytes <= NET_SKIP_BYTES;
}

static bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

static void put_headers(net_conn *c, const net_request *r) {
    const net_answer *a = &r->answer;
    put_status(c, a->status);
    if (a->content_type.n && has_body(a->status)) {
        put(c, S("\r\nContent-Type: "));
        put(c, a->content_type);
    }
    if (a->coding != NET_IDENTITY) {
        put(c, S("\r\nVary: Accept-Encoding\r\nContent-Encoding: "));
        put(c, net_coding_name(a->coding));
    }
    for (size_t i = 0; i < a->header_count; i++) {
        put(c, S("\r\n"));
        put(c, a->headers[2 * i]);
        put(c, S(": "));
        put(c, a->headers[2 * i + 1]);
    }
    if (!will_keep(c, r)) {
        c->keep_alive = false;
        put(c, S("\r\nConnection: close"));
    } else if (r->http_version == 10) {
        put(c, S("\r\nConnection: keep-alive"));
    }
}

void h1_apply_answer(net_request *r) {
    net_conn *c = r->conn;
    net_answer *a = &r->answer;
    MUST(c->cur == r);
    put_headers(c, r);
    if (has_body(a->status)) {
        put(c, S("\r\nContent-Length: "));
        put_u64(c, a->body_bytes);
    }
    put(c, S("\r\n\r\n"));
    if (has_body(a->status) && !r->is_head) net_out_take(&c->out, TAKE(a->body), 0, a->body_bytes);
    after_answer(c, r);
    if (!c->in_input) h1_resume(c);
}

void h1_stream_begin(net_request *r) {
    net_conn *c = r->conn;
    MUST(c->cur == r && c->state == H1_BUSY);
    if (r->http_version == 10) c->keep_alive = false; /* the end is the end of the connection */
    put_headers(c, r);
    if (r->http_version != 10) put(c, S("\r\nTransfer-Encoding: chunked"));
    put(c, S("\r\n\r\n"));
    if (c->out.last) c->out.last->cap = c->out.last->n; /* chunks of output belong to one stream */
    net_conn_dirty(c);
}

void h1_stream_part(net_request *r, str part) {
    net_conn *c = r->conn;
    if (r->is_head) {
        net_stream_sent(r->stream, part.n);
        return;
    }
    if (c->out.bytes == 0) c->last_out_ns = c->site->now_ns;
    if (r->http_version != 10) {
        char t[24];
        int n = snprintf(t, sizeof t, "%zx\r\n", part.n);
        put(c, str_make(t, (size_t)n));
    }
    put(c, part);
    if (r->http_version != 10) put(c, S("\r\n"));
    /* Once the last chunk of it is sent the stream has its room back. */
    net_chunk *last = c->out.last;
    if (!last || c->out.failed) {
        net_stream_sent(r->stream, part.n); /* the connection ends */
    } else if (last->stream == r->stream) {
        last->stream_bytes += part.n;
    } else {
        atomic_fetch_add(&r->stream->refs, 1);
        last->stream = r->stream;
        last->stream_bytes = part.n;
    }
    net_conn_dirty(c);
}

void h1_stream_end(net_request *r) {
    net_conn *c = r->conn;
    if (!r->is_head && r->http_version != 10) put(c, S("0\r\n\r\n"));
    if (c->out.last) c->out.last->cap = c->out.last->n;
    after_answer(c, r);
    if (!c->in_input) h1_resume(c);
}

void h1_stop_bad(net_conn *c, int status, const char *why) {
    char body[256];
    int n = snprintf(body, sizeof body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}",
                     status == 408   ? "timeout"
                     : status == 431 ? "limit"
                                     : "invalid",
                     why);
    if (status == 431)
        NET_COUNT(c->site->cfg, refused_limit, 1);
    else if (status != 408)
        NET_COUNT(c->site->cfg, bad_requests, 1);
    put_status(c, status);
    put(c, S("\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: "));
    put_u64(c, (uint64_t)n);
    put(c, S("\r\n\r\n"));
    put(c, str_make(body, (size_t)n));
    net_conn_linger(c);
    net_conn_dirty(c);
}

/* ---- headers ---- */

typedef struct head_parse {
    net_request *r;
    char *block; /* of the request's arena, changed in place */
    str name, value;
    bool done, bad;
    unsigned hosts, lengths;
} head_parse;

static int on_url(llhttp_t *p, const char *at, size_t n) {
    head_parse *h = p->data;
    str *t = &h->r->target;
    if (t->n && t->p + t->n != at) h->bad = true;
    if (!t->n) t->p = at;
    t->n += n;
    return 0;
}

static int on_method(llhttp_t *p, const char *at, size_t n) {
    head_parse *h = p->data;
    str *t = &h->r->method;
    if (!t->n) t->p = at;
    t->n += n;
    return 0;
}

static int grow_span(str *s, const char *at, size_t n, bool *bad) {
    if (s->n && s->p + s->n != at) *bad = true; /* never in one contiguous block */
    if (!s->n) s->p = at;
    s->n += n;
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n) {
    head_parse *h = p->data;
    return grow_span(&h->name, at, n, &h->bad);
}

static int on_value(llhttp_t *p, const char *at, size_t n) {
    head_parse *h = p->data;
    return grow_span(&h->value, at, n, &h->bad);
}

static int on_value_complete(llhttp_t *p) {
    head_parse *h = p->data;
    net_request *r = h->r;
    size_t at = h->name.n ? (size_t)(h->name.p - h->block) : 0;
    for (size_t i = 0; i < h->name.n; i++) {
        char ch = h->block[at + i];
        if (ch >= 'A' && ch <= 'Z') h->block[at + i] = (char)(ch | 0x20);
    }
    str value = str_trim(h->value);
    /* llhttp takes a space in or behind a name that it does not know. */
    if (h->name.n == 0 || str_find_char(h->name, ' ', 0) != STR_NPOS) h->bad = true;
    h->hosts += str_eq(h->name, S("host"));
    h->lengths += str_eq(h->name, S("content-length"));
    IGNORE(net_request_add_header(r, h->name, value)); /* r->overflow is looked at later */
    h->name = h->value = STR_NONE;
    return 0;
}

/* 1: llhttp is to expect no body; the body is read here. */
static int on_headers(llhttp_t *p) {
    head_parse *h = p->data;
    h->done = true;
    return 1;
}

static int on_message(llhttp_t *p) {
    (void)p;
    return HPE_PAUSED;
}

static const llhttp_settings_t head_settings = {
    .on_url = on_url,
    .on_method = on_method,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers,
    .on_message_complete = on_message,
};

/* Every line ends in CRLF, none is folded, nothing is NUL. */
static bool lines_are_strict(str block) {
    for (size_t at = 0; at < block.n;) {
        const char *cr = memchr(block.p + at, '\r', block.n - at);
        size_t end = cr ? (size_t)(cr - block.p) : block.n;
        if (!cr || end + 1 >= block.n || block.p[end + 1] != '\n') return false;
        if (memchr(block.p + at, '\n', end - at) || memchr(block.p + at, '\0', end - at))
            return false;
        if (at > 0 && (block.p[at] == ' ' || block.p[at] == '\t')) return false;
        at = end + 2;
    }
    return true;
}

static bool has_token(str list, str token) {
    str part;
    while (list.n && str_next(&list, ',', &part)) {
        if (str_eq_nocase(str_trim(part), token)) return true;
    }
    return false;
}

static bool any_header_has(const net_request *r, str name, str token) {
    for (size_t i = 0; i < r->header_count; i++) {
        if (str_eq(r->headers[i].name, name) && has_token(r->headers[i].value, token)) return true;
    }
    return false;
}

static size_t count_headers(const net_request *r, str name) {
    size_t n = 0;
    for (size_t i = 0; i < r->header_count; i++) n += str_eq(r->headers[i].name, name);
    return n;
}

/* What llhttp leaves open. Returns why not, or NULL. */
static const char *check_framing(net_request *r, const head_parse *h, const llhttp_t *p) {
    size_t codings = count_headers(r, S("transfer-encoding"));
    if (h->bad) return "the headers are not valid";
    if (r->http_version == 11 && h->hosts != 1) return "one Host header is needed";
    if (h->hosts > 1) return "more than one Host header";
    if (codings) {
        if (r->http_version != 11) return "Transfer-Encoding needs HTTP/1.1";
        if (h->lengths) return "Transfer-Encoding and Content-Length exclude each other";
        if (codings > 1 || !str_eq_nocase(net_header(r, S("transfer-encoding")), S("chunked")))
            return "the only transfer coding is \\\"chunked\\\"";
        r->chunked = true;
    }
    if (h->lengths > 1) return "more than one Content-Length";
    r->has_length = h->lengths == 1;
    r->content_length = r->has_length ? p->content_length : 0;
    return NULL;
}

/* "GET / HTTP/1.1" and the like: a request whose method is unknown, not noise. */
static bool is_request_line(str block) {
    size_t end = str_find_char(block, '\r', 0);
    str line = str_sub(block, 0, MIN(end, block.n));
    return line.n > 9 && str_starts(str_from(line, line.n - 9), S(" HTTP/1."));
}

/* Method, target and version with one space between them. */
static bool request_line_is_strict(const net_request *r, str block) {
    size_t end = str_find_char(block, '\r', 0);
    return end == r->method.n + 1 + r->target.n + sizeof " HTTP/1.1" - 1;
}

static void begin_body(net_conn *c);

/* The header block is there, CRLFCRLF included. */
static void head_complete(net_conn *c, str block) {
    if (!lines_are_strict(block)) {
        h1_stop_bad(c, 400, "the header lines are not valid");
        return;
    }
    net_request *r = net_request_new(c);
    r->start_ns = c->head_since_ns;
    char *copy = arena_try_raw(&r->mem, block.n, 1);
    head_parse h = {.r = r, .block = copy};
    llhttp_t p;
    llhttp_init(&p, HTTP_REQUEST, &head_settings);
    p.data = &h;
    const char *why = NULL;
    int status = 400;
    if (!copy) {
        why = "no memory";
        status = 503;
    } else {
        memcpy(copy, block.p, block.n);
        llhttp_errno_t code = llhttp_execute(&p, copy, block.n);
        r->http_version = p.http_major * 10 + p.http_minor;
        if (!h.done || !request_line_is_strict(r, block)) {
            why = "the request is not valid";
            if (code == HPE_INVALID_VERSION) status = 505;
            if (code == HPE_INVALID_METHOD && is_request_line(block)) status = 501;
        } else if (r->http_version != 10 && r->http_version != 11) {
            why = "the HTTP version is not supported";
            status = 505;
        } else if (!r->overflow) {
            why = check_framing(r, &h, &p);
        }
    }
    if (why) {
        net_request_unhold_conn(r);
        h1_stop_bad(c, status, why);
        return;
    }
    c->cur = r;
    c->state = H1_WAIT; /* no body has come yet: not BUSY */
    c->keep_alive = r->http_version == 11 ? !any_header_has(r, S("connection"), S("close"))
                                          : any_header_has(r, S("connection"), S("keep-alive"));
    str expect = r->http_version == 11 ? net_header(r, S("expect")) : STR_NONE;
    r->expects_100 = str_eq_nocase(expect, S("100-continue"));
    r->body_start_ns = r->last_body_ns = c->site->now_ns;
    if (!net_request_check(r)) return;
    if (expect.n && !r->expects_100) {
        net_refuse(r, 417, -1, RC_UNSUPPORTED, "unknown expectation");
        return;
    }
    begin_body(c);
}

/* Lets the body in, or leaves the connection waiting. */
static void begin_body(net_conn *c) {
    net_request *r = c->cur;
    uint64_t want = r->chunked ? CHUNK_FIRST_BYTES : r->content_length;
    if (want == 0) {
        c->state = H1_BUSY;
        r->expects_100 = false;
        net_request_complete(r);
        return;
    }
    if (!net_request_admit(r, want)) {
        c->state = H1_WAIT;
        c->site->want_room = true;
        return;
    }
    r->receiving = true;
    r->body_start_ns = r->last_body_ns = c->site->now_ns;
    c->state = r->chunked ? H1_CHUNKED : H1_BODY;
    c->chunk_state = 0;
    c->chunk_digits = 0;
    c->chunk_left = c->chunk_extra = 0;
    if (r->expects_100) {
        if (c->out.bytes == 0) c->last_out_ns = c->site->now_ns;
        put(c, S("HTTP/1.1 100 Continue\r\n\r\n"));
        net_conn_dirty(c);
        r->expects_100 = false;
    }
}

void h1_retry(net_conn *c) {
    MUST(c->state == H1_WAIT && c->cur);
    c->in_input = true;
    begin_body(c);
    c->in_input = false;
    if (c->state != H1_WAIT) h1_resume(c);
}

/* Takes header bytes from the input; returns how many. */
static size_t head_input(net_conn *c, const char *p, size_t n) {
    static const str end = S_INIT("\r\n\r\n");
    size_t skipped = 0;
    if (c->head.n == 0) {
        /* RFC 9112 2.2: empty lines before the request line are ignored */
        while (skipped < n && (p[skipped] == '\r' || p[skipped] == '\n')) skipped++;
        if (skipped == n) return n;
        if (p[skipped] < 'A' || p[skipped] > 'Z') {
            h1_stop_bad(c, 400, "this is not HTTP");
            return n;
        }
        c->head_since_ns = c->site->now_ns;
        c->head_scanned = 0;
        size_t at = str_find(str_make(p + skipped, n - skipped), end, 0);
        if (at != STR_NPOS && at + 4 <= c->head.max_bytes) {
            head_complete(c, str_make(p + skipped, at + 4));
            return skipped + at + 4;
        }
    }
    size_t room = c->head.max_bytes - c->head.n, take = MIN(room, n - skipped);
    if (!buf_put(&c->head, str_make(p + skipped, take))) {
        h1_stop_bad(c, 503, "no memory");
        return n;
    }
    size_t at = str_find(buf_str(&c->head), end, c->head_scanned);
    if (at == STR_NPOS) {
        c->head_scanned = c->head.n > 3 ? c->head.n - 3 : 0;
        if (c->head.n == c->head.max_bytes) h1_stop_bad(c, 431, "the headers are too large");
        return skipped + take;
    }
    size_t before = c->head.n - take, used = at + 4 - before;
    /* The block moves out before the handler may run. */
    buf head = c->head;
    buf_init(&c->head, head.max_bytes);
    head_complete(c, str_make(head.p, at + 4));
    buf_release(&head);
    return skipped + used;
}

/* ---- bodies ---- */

static void body_done(net_conn *c) {
    c->state = H1_BUSY;
    net_request_complete(c->cur);
}

static size_t body_input(net_conn *c, const char *p, size_t n) {
    net_request *r = c->cur;
    size_t left = (size_t)(r->content_length - r->body.n), take = MIN(left, n);
    MUST(left > 0 && left <= r->body.cap - r->body.n);
    if (p != r->body.p + r->body.n) memcpy(r->body.p + r->body.n, p, take);
    r->body.n += take;
    r->wire_bytes += take;
    r->last_body_ns = c->site->now_ns;
    if (r->body.n == r->content_length) body_done(c);
    return take;
}

enum {
    CH_SIZE,
    CH_EXT,
    CH_SIZE_LF,
    CH_DATA,
    CH_DATA_CR,
    CH_DATA_LF,
    CH_TRAILER,
    CH_TRAILER_LINE,
    CH_TRAILER_LF,
    CH_END_LF
};

static int hex_value(char ch) {
    if (ch >= '0' && ch <= '9') return ch - '0';
    if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f') return (ch | 0x20) - 'a' + 10;
    return -1;
}

/* One byte of chunk framing. False: not valid. */
static bool chunk_byte(net_conn *c, char ch) {
    int v;
    switch (c->chunk_state) {
    case CH_SIZE:
        if ((v = hex_value(ch)) >= 0) {
            c->chunk_left = c->chunk_left * 16 + (unsigned)v;
            return ++c->chunk_digits <= CHUNK_DIGITS_MAX;
        }
        if (c->chunk_digits == 0) return false;
        c->chunk_state = ch == '\r' ? CH_SIZE_LF : CH_EXT;
        return ch == '\r' || ch == ';' || ch == ' ' || ch == '\t';
    case CH_EXT:
        if (ch == '\r') c->chunk_state = CH_SIZE_LF;
        return ch != '\n' && ch != '\0' && ++c->chunk_extra <= CHUNK_EXTRA_MAX_BYTES;
    case CH_SIZE_LF:
        c->chunk_state = c->chunk_left ? CH_DATA : CH_TRAILER;
        return ch == '\n';
    case CH_DATA_CR:
        c->chunk_state = CH_DATA_LF;
        return ch == '\r';
    case CH_DATA_LF:
        c->chunk_state = CH_SIZE;
        c->chunk_digits = 0;
        c->chunk_left = 0;
        return ch == '\n';
    case CH_TRAILER: /* the first byte of a line */
        c->chunk_state = ch == '\r' ? CH_END_LF : CH_TRAILER_LINE;
        return ch != '\n' && ch != '\0' && ++c->chunk_extra <= CHUNK_EXTRA_MAX_BYTES;
    case CH_TRAILER_LINE:
        if (ch == '\r') c->chunk_state = CH_TRAILER_LF;
        return ch != '\n' && ch != '\0' && ++c->chunk_extra <= CHUNK_EXTRA_MAX_BYTES;
    case CH_TRAILER_LF:
        c->chunk_state = CH_TRAILER;
        return ch == '\n';
    default:
        return false;
    }
}

static size_t chunked_input(net_conn *c, const char *p, size_t n) {
    net_request *r = c->cur;
    size_t at = 0;
    r->last_body_ns = c->site->now_ns;
    while (at < n) {
        if (c->chunk_state == CH_DATA) {
            size_t take = (size_t)MIN(c->chunk_left, (uint64_t)(n - at));
            if (!net_body_room(r, take)) return n; /* refused: chunked bodies are not skipped */
            memcpy(r->body.p + r->body.n, p + at, take);
            r->body.n += take;
            r->wire_bytes += take;
            c->chunk_left -= take;
            at += take;
            if (c->chunk_left == 0) c->chunk_state = CH_DATA_CR;
            continue;
        }
        char ch = p[at++];
        if (c->chunk_state == CH_END_LF && ch == '\n') {
            body_done(c);
            return at;
        }
        if (!chunk_byte(c, ch)) {
            NET_COUNT(c->site->cfg, bad_requests, 1);
            net_refuse(r, 400, 3, RC_INVALID, "the chunked body is not valid");
            return n;
        }
    }
    return at;
}

/* ---- input ---- */

static void keep_pending(net_conn *c, const char *p, size_t n) {
    if (n == 0) return;
    size_t have = c->pending_n - c->pending_at;
    if (have + n > c->pending_cap) {
        size_t cap = have + n; /* bounded: nothing is read over NET_PENDING_MAX_BYTES */
        char *grown = mem_try_raw(cap);
        if (!grown) {
            c->dead = true;
            return;
        }
        if (have) memcpy(grown, c->pending + c->pending_at, have);
        mem_free(c->pending);
        c->pending = grown;
        c->pending_cap = cap;
    } else if (have) {
        memmove(c->pending, c->pending + c->pending_at, have);
    }
    memcpy(c->pending + have, p, n);
    c->pending_at = 0;
    c->pending_n = have + n;
}

/* Works on bytes until they end or a request has to be answered first; returns how many. */
static size_t consume(net_conn *c, char *p, size_t n) {
    size_t at = 0;
    while (at < n && !c->dead) {
        if (c->closing) return n;
        size_t skip;
        switch (c->state) {
        case H1_HEAD:
            at += head_input(c, p + at, n - at);
            break;
        case H1_BODY:
            at += body_input(c, p + at, n - at);
            break;
        case H1_CHUNKED:
            at += chunked_input(c, p + at, n - at);
            break;
        case H1_SKIP:
            skip = (size_t)MIN(c->skip_left, (uint64_t)(n - at));
            c->skip_left -= skip;
            at += skip;
            if (c->skip_left == 0) {
                c->state = H1_HEAD;
                c->idle_since_ns = c->site->now_ns;
            }
            break;
        case H1_WAIT:
        case H1_BUSY:
            return at;
        }
    }
    return at;
}

void h1_input(net_conn *c, char *p, size_t n) {
    MUST(!c->in_input);
    if (c->pending_n > c->pending_at) {
        keep_pending(c, p, n);
        h1_resume(c);
        return;
    }
    c->in_input = true;
    size_t used = consume(c, p, n);
    c->in_input = false;
    keep_pending(c, p + used, n - used);
}

void h1_eof(net_conn *c) {
    if (c->linger) return;
    switch (c->state) {
    case H1_BUSY:
        return;
    case H1_WAIT:
        if (c->pending_n > c->pending_at) return; /* its body is here already */
        __attribute__((fallthrough));
    case H1_BODY:
    case H1_CHUNKED:
        NET_COUNT(c->site->cfg, bad_requests, 1);
        net_refuse(c->cur, 400, -1, RC_INVALID, "the request ends within its body");
        break;
    case H1_HEAD:
        if (c->head.n > 0) h1_stop_bad(c, 400, "the request ends within its headers");
        break;
    case H1_SKIP:
        break;
    }
    net_conn_linger(c);
}

void h1_resume(net_conn *c) {
    MUST(!c->in_input);
    net_conn_dirty(c);
    if (c->pending_n > c->pending_at) {
        c->in_input = true;
        /* The bytes stay where they are: nothing adds to them inside consume. */
        c->pending_at += consume(c, c->pending + c->pending_at, c->pending_n - c->pending_at);
        c->in_input = false;
    }
    if (c->pending_at == c->pending_n) {
        mem_free(c->pending);
        c->pending = NULL;
        c->pending_at = c->pending_n = c->pending_cap = 0;
    }
    if (c->eof) h1_eof(c);
}
