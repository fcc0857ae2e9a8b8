#include "codec/json_doc.h"

#include "codec/json.h"
#include "codec/json_write.h"
#include "codec/jsonlog.h"
#include "codec/otlp_json.h"

typedef enum found {
    FOUND,     /* an object: [from, end) */
    NONE,      /* nothing but punctuation up to `end` */
    NEED_MORE, /* the text ends inside it */
    DAMAGED    /* no JSON up to `end` */
} found;

typedef struct place {
    size_t from, end;
    bool wrapped; /* an array or an envelope was entered on the way */
} place;

static bool is_blank(char c) { return (unsigned char)c <= ' '; }

static size_t skip_blanks(str s, size_t at) {
    while (at < s.n && (is_blank(s.p[at]) || s.p[at] == ',')) at++;
    return at;
}

static size_t next_line(str s, size_t at) {
    size_t nl = str_find_char(s, '\n', at);
    return nl == STR_NPOS ? s.n : nl + 1;
}

/* The names that stand before the array in the envelopes we know. Other objects with an array of
 * objects are records: {"msg":"...","errors":[{...}]}. */
static bool is_envelope_name(str key) {
    static const str names[] = {S_INIT("events"),  S_INIT("logEvents"), S_INIT("Records"),
                                S_INIT("records"), S_INIT("items"),     S_INIT("entries"),
                                S_INIT("results"), S_INIT("logs")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(key, names[i])) return true;
    }
    return false;
}

enum { ENVELOPE_MEMBERS_MAX = 16 }; /* before the array */

/* s.p[at] is '{'. Is it an envelope? Then *ret_inside is its first element. */
static found enter_envelope(str s, size_t at, size_t *ret_inside) {
    json_reader r;
    json_init(&r, s);
    r.at = at;
    json_tok t;
    rc code = json_next(&r, &t, NULL);
    for (unsigned i = 0; code == RC_OK && i < ENVELOPE_MEMBERS_MAX; i++) {
        code = json_next(&r, &t, NULL);
        if (code != RC_OK) break;
        if (t.kind != JSON_KEY) return NONE;
        bool named = is_envelope_name(t.text);
        code = json_next(&r, &t, NULL);
        if (code != RC_OK) break;
        if (named && t.kind == JSON_ARRAY_BEGIN) {
            size_t first = skip_blanks(s, r.at);
            if (first == s.n) return NEED_MORE;
            *ret_inside = first;
            return s.p[first] == '{' ? FOUND : NONE;
        }
        code = json_skip(&r, &t, NULL);
    }
    return code == RC_INVALID && r.at >= s.n ? NEED_MORE : NONE;
}

/* Behind the ']' of an envelope's array: to behind the '}' that ends the envelope, or s.n + 1. */
static size_t skip_tail(str s, size_t at) {
    size_t depth = 0;
    bool quoted = false;
    for (; at < s.n; at++) {
        char c = s.p[at];
        if (quoted) {
            if (c == '\\') at++;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth-- == 0) return at + 1;
        }
    }
    return s.n + 1;
}

static found scan_object(str s, size_t at, place *ret) {
    json_reader r;
    json_init(&r, str_sub(s, 0, at + JSON_DOC_OBJECT_MAX));
    r.at = at;
    r.raw_controls = true;
    json_tok t;
    rc code;
    while ((code = json_next(&r, &t, NULL)) == RC_OK) {}
    ret->from = at;
    ret->end = r.at;
    if (code == RC_END) return FOUND;
    if (code == RC_INVALID && r.at >= s.n) return NEED_MORE;
    ret->end = next_line(s, MIN(r.at, s.n));
    return DAMAGED;
}

/* The first object of `s`, whatever array or envelope it stands in. */
static found locate(str s, bool last, place *ret) {
    size_t at = str_starts(s, S("\xef\xbb\xbf")) ? 3 : 0; /* byte order mark */
    *ret = (place){0};
    for (;;) {
        at = skip_blanks(s, at);
        ret->end = at;
        if (at == s.n) return NONE;
        char c = s.p[at];
        if (c == '[' || c == '}') {
            at++;
            ret->wrapped |= c == '[';
        } else if (c == ']') {
            at = skip_blanks(s, at + 1);
            if (at == s.n && !last) return NEED_MORE; /* a tail may follow */
            bool tail = at < s.n && s.p[at] == '"';   /* ], "nextToken": ... } */
            if (!tail) continue;
            at = skip_tail(s, at);
            if (at > s.n) {
                ret->end = s.n;
                return last ? NONE : NEED_MORE;
            }
        } else if (c == '{') {
            size_t inside;
            found f = enter_envelope(s, at, &inside);
            if (f == NEED_MORE && !last) return f;
            if (f == FOUND) {
                at = inside;
                ret->wrapped = true;
            } else {
                return scan_object(s, at, ret);
            }
        } else {
            ret->end = next_line(s, at);
            return DAMAGED;
        }
    }
}

static size_t next(str chunk, bool last) {
    place p;
    switch (locate(chunk, last, &p)) {
    case DAMAGED: /* up to the end of its line, which may not be here yet */
        if (!last && chunk.p[p.end - 1] != '\n') break;
        return p.end;
    case FOUND:
    case NONE:
        return p.end;
    case NEED_MORE:
        break;
    }
    return last ? chunk.n : 0;
}

/* One line of the same value: what stands in the body when the object has no message. */
static str compact(arena *mem, str json) {
    buf out;
    buf_init(&out, json.n);
    json_writer w;
    json_write_init(&w, &out, 0);
    json_reader r;
    json_init(&r, json);
    r.raw_controls = true;
    json_tok t;
    rc code;
    while ((code = json_next(&r, &t, NULL)) == RC_OK) {
        switch (t.kind) {
        case JSON_OBJECT_BEGIN:
            json_write_object(&w);
            break;
        case JSON_OBJECT_END:
            json_write_object_end(&w);
            break;
        case JSON_ARRAY_BEGIN:
            json_write_array(&w);
            break;
        case JSON_ARRAY_END:
            json_write_array_end(&w);
            break;
        case JSON_KEY:
            json_write_key_raw(&w, t.text);
            break;
        case JSON_STRING:
            json_write_raw(&w, (str){t.text.p - 1, t.text.n + 2}); /* with its quotes */
            break;
        default:
            json_write_raw(&w, t.text);
            break;
        }
    }
    str text = code == RC_END && !out.full ? str_dup(mem, buf_str(&out)) : STR_NONE;
    buf_release(&out);
    return text.p ? text : json;
}

static uint64_t count_lines(str s) {
    uint64_t n = 0;
    for (size_t at = 0; (at = str_find_char(s, '\n', at)) != STR_NPOS; at++) n++;
    return n;
}

static rc parse(line_ctx *c, str record, err *e) {
    place p;
    found f = locate(record, true, &p);
    if (f == NONE) return RC_OK;
    str object = str_sub(record, p.from, p.end - p.from);
    if (f == NEED_MORE) object = str_trim_right(str_from(record, p.from)); /* cut off */
    if (f == DAMAGED) {
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": no JSON object", c->line_no);
    }
    uint64_t offset = c->offset, line_no = c->line_no;
    size_t before = c->batch->count;
    c->offset += p.from;
    c->line_no += count_lines(str_sub(record, 0, p.from));
    rc code = otlp_json_looks_like(object) ? line_fmt_otlp_json.parse(c, object, e)
                                           : jsonlog_parse(c, object, e);
    c->offset = offset;
    c->line_no = line_no;
    if (code != RC_OK) return code;
    for (size_t i = before; i < c->batch->count; i++) {
        log_record *r = &c->batch->rec[i];
        r->line_count = (uint32_t)MIN(count_lines(r->raw) + 1, UINT32_MAX);
        r->ref.line += count_lines(str_make(object.p, (size_t)(r->raw.p - object.p)));
        if (r->line_count > 1 && str_starts(r->body, S("{"))) {
            r->body = compact(&c->batch->mem, r->body);
        }
    }
    return RC_OK;
}

/* Only what the formats of one line cannot read: an object over several lines, or one inside an
 * array or envelope. */
static unsigned score(str sample) {
    place p;
    found f = locate(sample, true, &p);
    if (f == NEED_MORE) {
        bool begins = sample.n > 0 && (sample.p[0] == '{' || sample.p[0] == '[');
        return begins && str_find_char(str_sub(sample, 0, 4096), '\n', 0) != STR_NPOS ? 70 : 0;
    }
    if (f != FOUND) return 0;
    str object = str_sub(sample, p.from, p.end - p.from);
    if (!p.wrapped && str_find_char(object, '\n', 0) == STR_NPOS) return 0;
    return otlp_json_looks_like(object) || jsonlog_score(object) > 0 ? 90 : 0;
}

/* Objects join as those of one line do. */
static bool starts(const line_ctx *c, str prev, str record) {
    place p, q;
    found f = locate(record, true, &p);
    if (f != FOUND) return f == DAMAGED;
    str object = str_sub(record, p.from, p.end - p.from), before = STR_NONE;
    if (otlp_json_looks_like(object)) return true;
    if (locate(prev, true, &q) == FOUND) before = str_sub(prev, q.from, q.end - q.from);
    return line_fmt_json.starts(c, before, object);
}

const record_fmt record_fmt_json_doc = {
    .name = "json-document",
    .score = score,
    .next = next,
    .parse = parse,
    .starts = starts,
};
