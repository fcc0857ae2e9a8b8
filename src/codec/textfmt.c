/* textfmt.c - text formats whose fields become attributes: web access logs and RFC 5424 syslog.
 *
 * Access logs: the NCSA common and combined forms, with what people add (a virtual host in front;
 * times and key=value pairs behind). The body is the request, status, size and what follows the
 * referer and the user agent: `"GET /x HTTP/1.1" 200 2326 0.041`. Those two say who asked, not what
 * happened, and would make a statement of every browser; they are attributes. Severity from the
 * status: 5xx ERROR, 4xx WARN (the client's fault, but a burst of them is worth a look), the rest
 * INFO. Attribute names: OTel HTTP semantic conventions. Format:
 * httpd.apache.org/docs/2.4/mod/mod_log_config.html.
 *
 * RFC 5424: header, structured data to attributes "<sd-id>.<name>", message. An RFC 6587 octet
 * count before it is read over. */
#include "codec/logformat_int.h"

#include "base/num.h"
#include "codec/syslog_int.h"

FL_INLINE bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

enum { ATTRS_MAX = 64 };

typedef struct attr_list {
    attribute a[ATTRS_MAX];
    uint32_t n;
} attr_list;

static void put_attr(attr_list *l, str key, str val) {
    if (val.n && !str_eq(val, S("-")) && l->n < ATTRS_MAX)
        l->a[l->n++] = attribute_text_of(key, val);
}

static bool keep_attrs(const attr_list *l, arena *mem, log_record *r) {
    if (l->n == 0) return true;
    attribute *kept = arena_try_new_n(mem, attribute, l->n);
    if (!kept) return false;
    memcpy(kept, l->a, l->n * sizeof *kept);
    r->attrs = kept;
    r->attr_count = l->n;
    return true;
}

/* ---- access ---- */

typedef struct access_line {
    str client, user, stamp, request, status, size, referer, agent, rest;
    size_t body_at, body_end; /* request, status and size */
    int64_t ts_ns;
} access_line;

/* A quoted text at *at: between the quotes, backslash escapes kept. */
static bool take_quoted(str line, size_t *at, str *ret) {
    if (*at >= line.n || line.p[*at] != '"') return false;
    size_t from = *at + 1, i = from;
    while (i < line.n && line.p[i] != '"') i += line.p[i] == '\\' ? 2 : 1;
    if (i >= line.n) return false;
    *ret = str_sub(line, from, i - from);
    *at = i + 1;
    if (*at < line.n && line.p[*at] == ' ') (*at)++;
    return true;
}

static str take_word(str line, size_t *at) {
    size_t end = str_find_char(line, ' ', *at);
    if (end == STR_NPOS) end = line.n;
    str w = str_sub(line, *at, end - *at);
    *at = MIN(end + 1, line.n);
    return w;
}

static bool split_access(str line, const ts_context *c, access_line *ret) {
    enum { FRONT_MAX = 300 };
    *ret = (access_line){0};
    size_t open = str_find(str_sub(line, 0, FRONT_MAX), S(" ["), 0);
    if (open == STR_NPOS) return false;
    size_t close = str_find_char(line, ']', open);
    if (close == STR_NPOS || close - open > 40) return false;
    ret->stamp = str_sub(line, open + 2, close - open - 2);
    if (ret->stamp.n < 17 || ret->stamp.p[2] != '/' || !ts_parse_any(ret->stamp, c, &ret->ts_ns))
        return false;
    /* [vhost] client ident user */
    str word[4];
    size_t words = 0, at = 0;
    while (at < open) {
        if (words == ARRAY_LEN(word)) return false;
        word[words++] = take_word(str_sub(line, 0, open), &at);
    }
    if (words < 3) return false;
    ret->client = word[words - 3];
    ret->user = word[words - 1];
    at = close + 1;
    if (at < line.n && line.p[at] == ' ') at++;
    ret->body_at = at;
    if (!take_quoted(line, &at, &ret->request)) return false;
    ret->status = take_word(line, &at);
    if (ret->status.n != 3 || !is_digit(ret->status.p[0])) return false;
    ret->size = take_word(line, &at);
    ret->body_end = (size_t)(ret->size.p + ret->size.n - line.p);
    if (take_quoted(line, &at, &ret->referer)) IGNORE(!take_quoted(line, &at, &ret->agent));
    ret->rest = str_from(line, at);
    return true;
}

/* Behind the known fields: key=value pairs as they are; a lone number at the end is a duration. */
static void put_rest(attr_list *l, str rest) {
    str word;
    while (rest.n && str_next(&rest, ' ', &word)) {
        size_t eq = str_find_char(word, '=', 0);
        double v;
        if (eq != STR_NPOS && eq > 0) {
            str val = str_from(word, eq + 1);
            if (val.n >= 2 && val.p[0] == '"' && val.p[val.n - 1] == '"')
                val = str_sub(val, 1, val.n - 2);
            put_attr(l, str_sub(word, 0, eq), val);
        } else if (rest.n == 0 && num_double(word, &v)) {
            put_attr(l, S("duration"), word);
        }
    }
}

/* Contiguous when nothing stands between; else put together in the batch. NULL p: no room. */
static str access_body(const access_line *a, str line, arena *mem) {
    str front = str_sub(line, a->body_at, a->body_end - a->body_at);
    if (a->referer.p == NULL) return str_from(line, a->body_at);
    if (a->rest.n == 0) return front;
    char *joined = arena_try_bytes(mem, front.n + 1 + a->rest.n, 1);
    if (joined == NULL) return STR_NONE;
    memcpy(joined, front.p, front.n);
    joined[front.n] = ' ';
    memcpy(joined + front.n + 1, a->rest.p, a->rest.n);
    return str_make(joined, front.n + 1 + a->rest.n);
}

static rc access_parse(line_ctx *c, str line, err *e) {
    access_line a;
    if (!split_access(line, c->ts, &a))
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": no access log entry", c->line_no);
    log_record *r = line_record_add(c, line);
    if (!r) return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
    attr_list l;
    l.n = 0;
    put_attr(&l, S("client.address"), a.client);
    put_attr(&l, S("user.name"), a.user);
    size_t at = 0;
    str method = take_word(a.request, &at), target = take_word(a.request, &at);
    if (target.n) {
        size_t query = str_find_char(target, '?', 0);
        put_attr(&l, S("http.request.method"), method);
        put_attr(&l, S("url.path"), str_sub(target, 0, query));
        if (query != STR_NPOS) put_attr(&l, S("url.query"), str_from(target, query + 1));
    }
    put_attr(&l, S("http.response.status_code"), a.status);
    put_attr(&l, S("http.response.body.size"), a.size);
    put_attr(&l, S("http.request.header.referer"), a.referer);
    put_attr(&l, S("user_agent.original"), a.agent);
    put_rest(&l, a.rest);
    r->body = access_body(&a, line, &c->batch->mem);
    if (r->body.p == NULL || !keep_attrs(&l, &c->batch->mem, r)) {
        c->batch->count--;
        return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
    }
    r->ts_ns = a.ts_ns;
    char status = a.status.p[0];
    r->severity = status == '5' ? SEV_ERROR : status == '4' ? SEV_WARN : SEV_INFO;
    return RC_OK;
}

static bool access_looks_like(str line) {
    access_line a;
    const ts_context none = {0};
    return split_access(line, &none, &a);
}

static unsigned access_score(str line) { return access_looks_like(line) ? 95 : 0; }

const line_fmt line_fmt_access = {
    .name = "access",
    .looks_like = access_looks_like,
    .score = access_score,
    .parse = access_parse,
};

/* ---- RFC 5424 ---- */

/* <PRI>VERSION, where it begins (behind an octet count); the priority. */
static bool syslog_front(str line, size_t *ret_at, unsigned *ret_pri) {
    size_t i = 0;
    while (i < line.n && i < 7 && is_digit(line.p[i])) i++;
    if (i > 0 && (i >= line.n || line.p[i] != ' ')) return false;
    if (i > 0) i++;
    if (!syslog_take_pri(line, &i, ret_pri) || i + 2 > line.n) return false;
    if (line.p[i] < '1' || line.p[i] > '9' || line.p[i + 1] != ' ') return false;
    *ret_at = i + 2;
    return true;
}

/* [id name="value" ...][...]: false when it is damaged. *at ends behind it. */
static bool take_structured(str line, size_t *at, arena *mem, attr_list *l) {
    syslog_sd sd = {.text = line, .at = *at};
    str name, val;
    syslog_sd_step step;
    while ((step = syslog_sd_next(&sd, mem, &name, &val)) == SD_PARAM) {
        str key = str_fmt(mem, "%.*s.%.*s", STR_ARG(sd.id), STR_ARG(name));
        if (key.p) put_attr(l, key, val);
    }
    if (step == SD_DAMAGED) return false;
    *at = sd.at;
    return true;
}

static str not_nil(str s) { return str_eq(s, S("-")) ? STR_NONE : s; }

static rc syslog_parse(line_ctx *c, str line, err *e) {
    size_t at;
    unsigned pri;
    if (!syslog_front(line, &at, &pri))
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": no RFC 5424 header", c->line_no);
    log_record *r = line_record_add(c, line);
    if (!r) return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
    attr_list l;
    l.n = 0;
    IGNORE(!ts_parse_any(take_word(line, &at), c->ts, &r->ts_ns)); /* "-": no time */
    r->severity = (uint8_t)severity_from_syslog(pri % 8);
    r->host = not_nil(take_word(line, &at));
    r->service = not_nil(take_word(line, &at));
    put_attr(&l, S("process.pid"), take_word(line, &at));
    put_attr(&l, S("syslog.msg.id"), take_word(line, &at));
    size_t sd_at = at;
    if (at < line.n && line.p[at] == '[') {
        if (!take_structured(line, &at, &c->batch->mem, &l)) at = sd_at; /* stays in the message */
    } else if (at < line.n && line.p[at] == '-') {
        at++;
    }
    str body = str_trim(str_from(line, at));
    if (str_starts(body, S("\xef\xbb\xbf"))) body = str_from(body, 3);
    r->body = body;
    if (keep_attrs(&l, &c->batch->mem, r)) return RC_OK;
    c->batch->count--;
    return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
}

static bool syslog_looks_like(str line) {
    size_t at;
    unsigned pri;
    return syslog_front(line, &at, &pri);
}

static unsigned syslog_score(str line) { return syslog_looks_like(line) ? 100 : 0; }

const line_fmt line_fmt_syslog_5424 = {
    .name = "syslog-5424",
    .looks_like = syslog_looks_like,
    .score = syslog_score,
    .parse = syslog_parse,
};
