/* otlp_json.c - recursive descent over the pull scanner, one function a message.
 *
 * What is known only at the end of a message (resource and scope may follow their records) is put
 * into the records of that message afterwards: the batch is an array, so they are a range.
 * Nesting is bounded by the scanner's depth limit; attributes by LINE_ATTRS_MAX a record.
 * Source: opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding"; field names from
 * logs/v1/logs.proto and common/v1/common.proto. */
#include "codec/otlp_json.h"

#include "base/num.h"
#include "codec/fields_int.h"
#include "codec/json_write.h"

enum {
    PLAIN_BYTES_MAX = 16 << 20, /* one structured value as plain JSON */
    OTLP_LINE_MAX = 16 << 20    /* a request; the Collector batches 8,192 records and more */
};

typedef struct attr_list {
    attribute v[LINE_ATTRS_MAX];
    size_t n;
} attr_list;

typedef struct otlp {
    line_ctx *c;
    json_reader r;
    buf plain;
    attr_list resource, record;
    str service, host;                  /* of the resource being read */
    size_t resource_first, scope_first; /* first record of the resource, of the scope */
    str scope;
    size_t added; /* records of this request */
    err *e;
} otlp;

static rc wrong(otlp *o, const json_tok *t, const char *what) {
    return FAIL(o->e, RC_INVALID, "OTLP/JSON: %s at byte %zu", what, t->offset);
}

static rc full(otlp *o) { return FAIL(o->e, RC_LIMIT, "OTLP/JSON: batch is full"); }

static rc text_of(otlp *o, const json_tok *t, str *ret) {
    return json_text(t, &o->c->batch->mem, ret, o->e);
}

/* RC_END at the closing brace. */
static rc next_key(otlp *o, json_tok *ret) {
    rc code = json_next(&o->r, ret, o->e);
    if (code == RC_OK && ret->kind == JSON_OBJECT_END) return RC_END;
    return code;
}

static bool is_key(const json_tok *t, str name) { return str_eq(t->text, name); }

static rc skip_value(otlp *o, const json_tok *key) { return json_skip(&o->r, key, o->e); }

typedef rc (*read_object)(otlp *o, const json_tok *begin);

/* The value behind a key as one object; null is none. */
static rc one_object(otlp *o, read_object fn) {
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK || t.kind == JSON_NULL) return code;
    if (t.kind != JSON_OBJECT_BEGIN) return wrong(o, &t, "expected an object");
    return fn(o, &t);
}

/* The value behind a key as an array of objects; null is an empty one. */
static rc each_object(otlp *o, read_object fn) {
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK || t.kind == JSON_NULL) return code;
    if (t.kind != JSON_ARRAY_BEGIN) return wrong(o, &t, "expected an array");
    while ((code = json_next(&o->r, &t, o->e)) == RC_OK && t.kind != JSON_ARRAY_END) {
        if (t.kind != JSON_OBJECT_BEGIN) return wrong(o, &t, "expected an object");
        code = fn(o, &t);
        if (code != RC_OK) return code;
    }
    return code;
}

/* A string or null behind a key. */
static rc string_value(otlp *o, str *ret) {
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK || t.kind == JSON_NULL) return code;
    if (t.kind != JSON_STRING) return wrong(o, &t, "expected a string");
    return text_of(o, &t, ret);
}

/* An unsigned 64-bit integer as number or string; null is 0. */
static rc u64_value(otlp *o, uint64_t *ret) {
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK) return code;
    *ret = 0;
    if (t.kind == JSON_NULL) return RC_OK;
    bool number = t.kind == JSON_NUMBER || t.kind == JSON_STRING;
    if (!number || !num_u64(t.text, ret)) return wrong(o, &t, "expected an unsigned integer");
    return RC_OK;
}

/* ---- AnyValue ---- */

static rc any_value(otlp *o, json_writer *w, str *ret);

/* One KeyValue, its object begun. With `w`: written as a member; else appended to `list`. */
static rc key_value(otlp *o, json_writer *w, attr_list *list) {
    json_reader start = o->r;
    str key = STR_NONE;
    json_tok t;
    rc code;
    /* The value may stand before its key: look for the key, then read again from the start. */
    while ((code = next_key(o, &t)) == RC_OK) {
        code = is_key(&t, S("key")) ? string_value(o, &key) : skip_value(o, &t);
        if (code != RC_OK) return code;
        if (key.p) break;
    }
    if (code != RC_OK && code != RC_END) return code;
    o->r = start;
    str val = STR_NONE;
    bool seen = false;
    if (w) json_write_key(w, key);
    while ((code = next_key(o, &t)) == RC_OK) {
        if (is_key(&t, S("value")) && !seen) {
            seen = true;
            code = any_value(o, w, &val);
        } else {
            code = skip_value(o, &t);
        }
        if (code != RC_OK) return code;
    }
    if (code != RC_END) return code;
    if (w) {
        if (!seen) json_write_null(w);
    } else if (list && list->n < LINE_ATTRS_MAX && key.n > 0) {
        list->v[list->n++] = attribute_text_of(key, val);
    }
    return RC_OK;
}

/* {"values":[...]} of an ArrayValue or KeyValueList, written as plain JSON. */
static rc list_value(otlp *o, json_writer *w, bool kvlist) {
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK) return code;
    if (t.kind != JSON_OBJECT_BEGIN && t.kind != JSON_NULL) return wrong(o, &t, "expected a list");
    if (kvlist) {
        json_write_object(w);
    } else {
        json_write_array(w);
    }
    bool seen = t.kind == JSON_NULL;
    while (t.kind != JSON_NULL && (code = next_key(o, &t)) == RC_OK) {
        if (!is_key(&t, S("values")) || seen) {
            code = skip_value(o, &t);
            if (code != RC_OK) return code;
            continue;
        }
        seen = true;
        code = json_next(&o->r, &t, o->e);
        if (code != RC_OK) return code;
        if (t.kind == JSON_NULL) {
            t.kind = JSON_KEY; /* an empty list; the loop goes on behind it */
            continue;
        }
        if (t.kind != JSON_ARRAY_BEGIN) return wrong(o, &t, "expected an array");
        for (;;) {
            json_reader at = o->r;
            code = json_next(&o->r, &t, o->e);
            if (code != RC_OK) return code;
            if (t.kind == JSON_ARRAY_END) break;
            if (kvlist) {
                if (t.kind != JSON_OBJECT_BEGIN) return wrong(o, &t, "expected an object");
                code = key_value(o, w, NULL);
            } else {
                o->r = at;
                str ignored;
                code = any_value(o, w, &ignored);
            }
            if (code != RC_OK) return code;
        }
    }
    if (code != RC_OK && code != RC_END) return code;
    if (kvlist) {
        json_write_object_end(w);
    } else {
        json_write_array_end(w);
    }
    return RC_OK;
}

/* A scalar of an AnyValue: its token checked against the field, as text. */
static rc scalar_value(otlp *o, json_kind want, json_tok *t, str *ret) {
    rc code = json_next(&o->r, t, o->e);
    if (code != RC_OK) return code;
    *ret = STR_NONE;
    if (t->kind == JSON_NULL) return RC_OK;
    bool text = t->kind == JSON_STRING, number = t->kind == JSON_NUMBER;
    int64_t i;
    double d;
    switch ((int)want) {
    case JSON_STRING:
        if (!text) return wrong(o, t, "expected a string");
        break;
    case JSON_TRUE:
        if (t->kind != JSON_TRUE && t->kind != JSON_FALSE) return wrong(o, t, "expected a boolean");
        break;
    case JSON_NUMBER: /* int64 */
        if (!(text || number) || !num_i64(t->text, &i)) return wrong(o, t, "expected an integer");
        break;
    default: { /* double */
        bool named = str_eq(t->text, S("NaN")) || str_eq(t->text, S("Infinity")) ||
                     str_eq(t->text, S("-Infinity"));
        if (!number && !(text && (named || num_double(t->text, &d)))) {
            return wrong(o, t, "expected a number");
        }
        break;
    }
    }
    return text_of(o, t, ret);
}

static void write_scalar(json_writer *w, const json_tok *t, json_kind want, str text) {
    bool plain = t->kind == JSON_STRING && want != JSON_STRING && want != JSON_TRUE;
    double d;
    if (t->kind == JSON_NULL) {
        json_write_null(w);
    } else if (t->kind != JSON_STRING) {
        json_write_raw(w, t->text);
    } else if (plain && num_double(text, &d) && json_validate(text, NULL) == RC_OK) {
        json_write_raw(w, text); /* a number that came as a string */
    } else {
        json_write_str(w, text);
    }
}

/* The AnyValue behind a key or in an array. With `w` it is written as plain JSON; without, *ret is
 * its text. An empty one is null, or empty text. */
static rc any_value(otlp *o, json_writer *w, str *ret) {
    static const struct {
        str name;
        json_kind want; /* JSON_NULL: double */
    } scalars[] = {{S_INIT("stringValue"), JSON_STRING},
                   {S_INIT("intValue"), JSON_NUMBER},
                   {S_INIT("boolValue"), JSON_TRUE},
                   {S_INIT("doubleValue"), JSON_NULL},
                   {S_INIT("bytesValue"), JSON_STRING}};
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK) return code;
    *ret = STR_NONE;
    if (t.kind != JSON_OBJECT_BEGIN && t.kind != JSON_NULL) return wrong(o, &t, "expected a value");
    bool seen = false;
    while (t.kind != JSON_NULL && (code = next_key(o, &t)) == RC_OK) {
        size_t i = 0;
        while (i < ARRAY_LEN(scalars) && !is_key(&t, scalars[i].name)) i++;
        bool kvlist = is_key(&t, S("kvlistValue"));
        bool list = kvlist || is_key(&t, S("arrayValue"));
        if (seen || (i == ARRAY_LEN(scalars) && !list)) {
            code = skip_value(o, &t);
        } else if (!list) {
            code = scalar_value(o, scalars[i].want, &t, ret);
            if (code == RC_OK && w) write_scalar(w, &t, scalars[i].want, *ret);
            t.kind = JSON_KEY; /* a null member is no null value */
            seen = true;
        } else if (w) {
            code = list_value(o, w, kvlist);
            seen = true;
        } else {
            json_writer own;
            buf_reset(&o->plain);
            o->plain.full = false;
            json_write_init(&own, &o->plain, 0);
            code = list_value(o, &own, kvlist);
            seen = true;
            if (code == RC_OK && o->plain.full) code = full(o);
            if (code == RC_OK) {
                *ret = str_dup(&o->c->batch->mem, buf_str(&o->plain));
                if (!ret->p) code = full(o);
            }
        }
        if (code != RC_OK) return code;
    }
    if (code != RC_OK && code != RC_END) return code;
    if (w && !seen) json_write_null(w);
    return RC_OK;
}

/* ---- messages ---- */

static rc record_attr(otlp *o, const json_tok *begin) {
    (void)begin;
    return key_value(o, NULL, &o->record);
}

static rc resource_attr(otlp *o, const json_tok *begin) {
    (void)begin;
    return key_value(o, NULL, &o->resource);
}

/* 32 or 16 hex digits in lower case; anything else, and all zeros, is no id. */
static rc id_value(otlp *o, size_t digits, str *ret) {
    str id = STR_NONE;
    rc code = string_value(o, &id);
    if (code != RC_OK || id.n != digits) return code;
    bool zero = true, upper = false;
    for (size_t i = 0; i < id.n; i++) {
        char ch = id.p[i], low = (char)(ch | 0x20);
        bool digit = ch >= '0' && ch <= '9';
        if (!digit && !(low >= 'a' && low <= 'f')) return RC_OK;
        zero &= ch == '0';
        upper |= !digit && ch != low;
    }
    if (zero) return RC_OK;
    if (upper) {
        char *p = arena_try_bytes(&o->c->batch->mem, id.n, 1);
        if (!p) return full(o);
        for (size_t i = 0; i < id.n; i++) {
            char ch = id.p[i];
            p[i] = ch >= 'A' && ch <= 'F' ? (char)(ch | 0x20) : ch;
        }
        id.p = p;
    }
    *ret = id;
    return RC_OK;
}

/* A number 0..24, or the name of the enumerator; others are not stated. */
static rc severity_value(otlp *o, severity *ret) {
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK) return code;
    uint64_t v;
    str name = t.text;
    if (t.kind == JSON_NUMBER || (t.kind == JSON_STRING && num_u64(t.text, &v))) {
        if (num_u64(t.text, &v) && v <= SEV_MAX) *ret = (severity)v;
        return RC_OK;
    }
    if (t.kind != JSON_STRING) return t.kind == JSON_NULL ? RC_OK : wrong(o, &t, "bad severity");
    if (!str_starts(name, S("SEVERITY_NUMBER_"))) return RC_OK;
    name = str_from(name, S("SEVERITY_NUMBER_").n);
    unsigned step = 0;
    if (name.n > 1 && name.p[name.n - 1] >= '2' && name.p[name.n - 1] <= '4') {
        step = (unsigned)(name.p[--name.n] - '1');
    }
    severity base = severity_from_word(name, false);
    if (base != SEV_NONE) *ret = (severity)(base + step);
    return RC_OK;
}

static rc keep_attrs(otlp *o, const attr_list *list, log_record *r) {
    if (list->n == 0) return RC_OK;
    attribute *all = arena_try_new_n(&o->c->batch->mem, attribute, list->n + r->attr_count);
    if (!all) return full(o);
    if (r->attr_count) memcpy(all, r->attrs, r->attr_count * sizeof(*all));
    memcpy(all + r->attr_count, list->v, list->n * sizeof(*all));
    r->attrs = all;
    r->attr_count += (uint32_t)list->n;
    return RC_OK;
}

static rc log_record_object(otlp *o, const json_tok *begin) {
    line_ctx *c = o->c;
    uint64_t time = 0, observed = 0;
    severity sev = SEV_NONE;
    str sev_text = STR_NONE, body = STR_NONE, trace = STR_NONE, span = STR_NONE, event = STR_NONE;
    o->record.n = 0;
    json_tok k;
    rc code;
    while ((code = next_key(o, &k)) == RC_OK) {
        if (is_key(&k, S("timeUnixNano"))) {
            code = u64_value(o, &time);
        } else if (is_key(&k, S("observedTimeUnixNano"))) {
            code = u64_value(o, &observed);
        } else if (is_key(&k, S("severityNumber"))) {
            code = severity_value(o, &sev);
        } else if (is_key(&k, S("severityText"))) {
            code = string_value(o, &sev_text);
        } else if (is_key(&k, S("body"))) {
            code = any_value(o, NULL, &body);
        } else if (is_key(&k, S("attributes"))) {
            code = each_object(o, record_attr);
        } else if (is_key(&k, S("traceId"))) {
            code = id_value(o, 32, &trace);
        } else if (is_key(&k, S("spanId"))) {
            code = id_value(o, 16, &span);
        } else if (is_key(&k, S("eventName"))) {
            code = string_value(o, &event);
        } else {
            code = skip_value(o, &k);
        }
        if (code != RC_OK) return code;
    }
    if (code != RC_END) return code;

    uint64_t line_offset = c->offset;
    c->offset += begin->offset;
    str own = json_span(&o->r, begin);
    log_record *r = o->added ? line_record_add_over(c, own) : line_record_add(c, own);
    c->offset = line_offset;
    if (!r && c->batch->count == BATCH_RECORDS_MAX)
        return RC_OK; /* dropped, and counted at the end */
    if (!r) return full(o);
    o->added++;
    if (time > 0 && time <= INT64_MAX) r->ts_ns = (int64_t)time;
    if (sev == SEV_NONE) sev = severity_from_word(sev_text, true);
    r->severity = (uint8_t)sev;
    r->trace_id = trace;
    r->span_id = span;
    if (event.n && o->record.n < LINE_ATTRS_MAX) {
        o->record.v[o->record.n++] = attribute_text_of(S("event.name"), event);
    }
    bool structured = body.n > 0 && body.p[0] == '{';
    if (r->severity == SEV_NONE || structured || r->ts_ns == TS_NONE) {
        code = field_inner(c, body, 1, r);
        if (code != RC_OK) return full(o);
    } else if (field_set_body(r, body) && o->record.n < LINE_ATTRS_MAX) {
        o->record.v[o->record.n++] = attribute_text_of(S("body"), body);
    }
    if (r->ts_ns == TS_NONE && observed > 0 && observed <= INT64_MAX) r->ts_ns = (int64_t)observed;
    return keep_attrs(o, &o->record, r);
}

static rc scope_object(otlp *o, const json_tok *begin) {
    (void)begin;
    json_tok k;
    rc code;
    while ((code = next_key(o, &k)) == RC_OK) {
        code = is_key(&k, S("name")) ? string_value(o, &o->scope) : skip_value(o, &k);
        if (code != RC_OK) return code;
    }
    return code == RC_END ? RC_OK : code;
}

static void end_scope(otlp *o) {
    log_batch *b = o->c->batch;
    for (size_t i = o->scope_first; i < b->count; i++) {
        if (b->rec[i].component.n == 0) b->rec[i].component = o->scope;
    }
    o->scope_first = b->count;
    o->scope = STR_NONE;
}

static rc scope_logs_object(otlp *o, const json_tok *begin) {
    (void)begin;
    json_tok k;
    rc code;
    o->scope_first = o->c->batch->count;
    o->scope = STR_NONE;
    while ((code = next_key(o, &k)) == RC_OK) {
        if (is_key(&k, S("scope"))) {
            code = one_object(o, scope_object);
        } else if (is_key(&k, S("logRecords"))) {
            code = each_object(o, log_record_object);
        } else {
            code = skip_value(o, &k);
        }
        if (code != RC_OK) return code;
    }
    end_scope(o);
    return code == RC_END ? RC_OK : code;
}

static rc resource_object(otlp *o, const json_tok *begin) {
    (void)begin;
    json_tok k;
    rc code;
    while ((code = next_key(o, &k)) == RC_OK) {
        code = is_key(&k, S("attributes")) ? each_object(o, resource_attr) : skip_value(o, &k);
        if (code != RC_OK) return code;
    }
    return code == RC_END ? RC_OK : code;
}

/* service.name and host.name leave the list; the rest joins the attributes of each record. */
static rc end_resource(otlp *o) {
    size_t kept = 0;
    str service = STR_NONE, host = STR_NONE;
    for (size_t i = 0; i < o->resource.n; i++) {
        attribute a = o->resource.v[i];
        if (str_eq(a.key, S("service.name"))) {
            service = a.val;
        } else if (str_eq(a.key, S("host.name"))) {
            host = a.val;
        } else {
            o->resource.v[kept++] = a;
        }
    }
    o->resource.n = kept;
    log_batch *b = o->c->batch;
    attribute *shared = NULL;
    for (size_t i = o->resource_first; i < b->count; i++) {
        log_record *r = &b->rec[i];
        if (service.n) r->service = service;
        if (host.n) r->host = host;
        if (kept == 0) continue;
        if (r->attr_count == 0 && shared) { /* records without attributes share one list */
            r->attrs = shared;
            r->attr_count = (uint32_t)kept;
            continue;
        }
        bool own = r->attr_count > 0;
        rc code = keep_attrs(o, &o->resource, r);
        if (code != RC_OK) return code;
        if (!own) {
            shared = arena_try_new_n(&b->mem, attribute, kept);
            if (!shared) return full(o);
            memcpy(shared, o->resource.v, kept * sizeof(*shared));
        }
    }
    o->resource_first = b->count;
    o->resource.n = 0;
    return RC_OK;
}

static rc resource_logs_object(otlp *o, const json_tok *begin) {
    (void)begin;
    json_tok k;
    rc code;
    o->resource_first = o->c->batch->count;
    o->resource.n = 0;
    while ((code = next_key(o, &k)) == RC_OK) {
        if (is_key(&k, S("resource"))) {
            code = one_object(o, resource_object);
        } else if (is_key(&k, S("scopeLogs"))) {
            code = each_object(o, scope_logs_object);
        } else {
            code = skip_value(o, &k);
        }
        if (code != RC_OK) return code;
    }
    return code == RC_END ? end_resource(o) : code;
}

static rc request(otlp *o) {
    json_tok t;
    rc code = json_next(&o->r, &t, o->e);
    if (code != RC_OK) return code;
    if (t.kind != JSON_OBJECT_BEGIN) return wrong(o, &t, "expected an object");
    while ((code = next_key(o, &t)) == RC_OK) {
        bool logs = is_key(&t, S("resourceLogs"));
        code = logs ? each_object(o, resource_logs_object) : skip_value(o, &t);
        if (code != RC_OK) return code;
    }
    if (code != RC_END) return code;
    if (str_trim(str_from(o->r.in, o->r.at)).n > 0) return wrong(o, &t, "text behind the request");
    return RC_OK;
}

rc otlp_json_logs(line_ctx *c, str line, err *e) {
    otlp o; /* the attribute lists need no zeroing */
    o.c = c;
    o.e = e;
    o.added = 0;
    o.resource.n = o.record.n = 0;
    o.scope = o.service = o.host = STR_NONE;
    size_t before = c->batch->count;
    o.resource_first = o.scope_first = before;
    buf_init(&o.plain, PLAIN_BYTES_MAX);
    json_init(&o.r, line);
    rc code = request(&o);
    /* A line that was cut: its complete records stand, with what is known of resource and scope. */
    bool cut = code == RC_INVALID && o.r.at >= line.n && c->batch->count > before;
    if (cut) {
        end_scope(&o);
        code = end_resource(&o);
        c->stats->unparsed_lines++;
    }
    if (code == RC_OK && c->batch->count == BATCH_RECORDS_MAX) c->stats->unparsed_lines++;
    buf_release(&o.plain);
    if (code != RC_OK) c->batch->count = before;
    return code;
}

/* Near the start: a request has few members before its arrays, if any. */
bool otlp_json_looks_like(str line) {
    str head = str_sub(line, 0, 256);
    return head.n > 0 && head.p[0] == '{' &&
           (str_has(head, S("\"resourceLogs\"")) || str_has(head, S("\"resourceSpans\"")) ||
            str_has(head, S("\"resourceMetrics\"")));
}

static unsigned score(str line) { return otlp_json_looks_like(line) ? 100 : 0; }

static rc parse(line_ctx *c, str line, err *e) {
    rc code = otlp_json_logs(c, line, e);
    /* Nested too deep is a bad line, not a full batch. */
    if (code == RC_LIMIT && e && str_has(str_c(e->msg), S("deep"))) return RC_INVALID;
    return code;
}

/* Requests of megabytes are not read a second time to find a boundary: what looks like one is. */
static bool starts(const line_ctx *c, str prev, str line) {
    (void)c, (void)prev;
    return otlp_json_looks_like(line);
}

const line_fmt line_fmt_otlp_json = {
    .name = "otlp-json",
    .looks_like = otlp_json_looks_like,
    .score = score,
    .parse = parse,
    .starts = starts,
    .line_max_bytes = OTLP_LINE_MAX,
};
