/* otlp_pb.c - OTLP requests in protobuf: values, envelopes, log records and spans.
 *
 * Problem: the hottest path of the engine; a request of 1,000 records has 15,000 fields, most of
 * them a few bytes long.
 * Structure: one function a message, one forward pass, no intermediate tree. Texts borrow from the
 * body. Envelopes are looked at twice, because the resource of a ResourceLogs may follow its
 * records on the wire: the first look takes resource, scope and schema_url and hops over the
 * records (one length each), the second reads the records. A third hop before all counts the
 * records, so that their array is allocated once.
 * Resources and scopes that are equal are one object: looked up by hash, then compared.
 * Proto3 rules: the last value of a scalar counts, parts of a message that comes in pieces add up,
 * of a oneof the last member counts (a list that comes twice is replaced, not merged: no encoder
 * writes that), unknown fields and fields of another wire type are skipped.
 * Limits: OTLP_DEPTH_MAX nested values (the only recursion), OTLP_STACK_MAX attributes a record,
 * OTLP_RECORDS_MAX records, the arena.
 * Rejected: protobuf-c (1.2 to 3 M records/s: it builds a tree of heap objects); a decoder driven
 * by tables (half as fast, and the mapping to the model would still be code).
 * Source: protobuf encoding guide; opentelemetry-proto 1.11. */
#include "codec/otlp_int.h"

#define START(s) ((const uint8_t *)(s).p)
#define END(s)   ((const uint8_t *)(s).p + (s).n)

/* ---- AnyValue ---- */

static bool check_any(otlp_dec *d, str s, unsigned depth);

/* ArrayValue (values = 1) or KeyValueList (values = 1): everything inside must be well formed,
 * because it is kept as it is and read again later. */
static bool check_list(otlp_dec *d, str s, bool kvlist, unsigned depth) {
    if (depth >= OTLP_DEPTH_MAX) {
        return otlp_fail(d, RC_INVALID, START(s), "values are nested too deep");
    }
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        str item = STR_NONE, part;
        p = pb_tag(p, end, &tag);
        if (!p) return otlp_broken(d, at);
        if (tag != PB_TAG(1, PB_LEN)) {
            p = pb_skip(p, end, tag);
            if (!p) return otlp_broken(d, at);
            continue;
        }
        p = pb_bytes(p, end, &item);
        if (!p) return otlp_broken(d, at);
        if (!kvlist) {
            if (!check_any(d, item, depth + 1)) return false;
            continue;
        }
        for (const uint8_t *q = START(item), *stop = END(item), *from = q; q < stop; from = q) {
            q = pb_tag(q, stop, &tag);
            if (!q) return otlp_broken(d, from);
            if (tag == PB_TAG(3, PB_VARINT)) d->saw_index = d->strings != NULL;
            bool known = tag == PB_TAG(1, PB_LEN) || tag == PB_TAG(2, PB_LEN);
            q = known ? pb_bytes(q, stop, &part) : pb_skip(q, stop, tag);
            if (!q) return otlp_broken(d, from);
            if (tag == PB_TAG(1, PB_LEN) && !otlp_text_ok(part)) return otlp_bad_text(d, from);
            if (tag == PB_TAG(2, PB_LEN) && !check_any(d, part, depth + 1)) return false;
        }
    }
    return true;
}

static bool check_any(otlp_dec *d, str s, unsigned depth) {
    attribute ignored;
    return otlp_any_value(d, s, depth, &ignored);
}

static bool put_resolved(otlp_dec *d, str any, buf *out);
static bool otlp_peek_resolved(otlp_dec *d, str s, attribute *ret);

/* The members of a list with texts in place of indices into the string table. */
static bool put_resolved_list(otlp_dec *d, str s, bool kvlist, buf *out) {
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str item = STR_NONE, part = STR_NONE;
        uint64_t v;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL); /* checked */
        if (tag != PB_TAG(1, PB_LEN)) {
            p = pb_skip(p, end, tag);
            MUST(p != NULL);
            continue;
        }
        p = pb_bytes(p, end, &item);
        MUST(p != NULL);
        size_t mark = pb_begin(out, 1);
        if (!kvlist && !put_resolved(d, item, out)) return false;
        for (const uint8_t *q = START(item), *stop = END(item); kvlist && q < stop;) {
            q = pb_tag(q, stop, &tag);
            MUST(q != NULL);
            if (tag == PB_TAG(1, PB_LEN)) {
                q = pb_bytes(q, stop, &part);
                pb_put_bytes(out, 1, part);
            } else if (tag == PB_TAG(3, PB_VARINT)) {
                q = pb_varint(q, stop, &v);
                pb_put_bytes(out, 1, otlp_string_at(d, v));
            } else if (tag == PB_TAG(2, PB_LEN)) {
                q = pb_bytes(q, stop, &part);
                size_t value = pb_begin(out, 2);
                if (!put_resolved(d, part, out)) return false;
                pb_end(out, value);
            } else {
                q = pb_skip(q, stop, tag);
            }
            MUST(q != NULL);
        }
        pb_end(out, mark);
    }
    return true;
}

static bool put_resolved(otlp_dec *d, str any, buf *out) {
    attribute a;
    if (!otlp_peek_resolved(d, any, &a)) return false;
    if (a.type == ATTR_ARRAY || a.type == ATTR_KVLIST) {
        size_t mark = pb_begin(out, a.type == ATTR_ARRAY ? 5 : 6);
        if (!put_resolved_list(d, a.val, a.type == ATTR_KVLIST, out)) return false;
        pb_end(out, mark);
        return true;
    }
    otlp_put_value(out, &a);
    return true;
}

/* A list of a profile in which a text is an index: written anew with the texts. */
static bool resolve_list(otlp_dec *d, bool kvlist, str *list) {
    buf b;
    buf_init(&b, OTLP_TEXT_BYTES_MAX);
    d->saw_index = false;
    bool ok = put_resolved_list(d, *list, kvlist, &b);
    if (ok) *list = str_dup(d->mem, buf_str(&b));
    ok = ok && !b.full && list->p;
    buf_release(&b);
    return ok || otlp_full(d);
}

/* Sets type, val and num; leaves the key. `check`: what lists hold, too. */
FL_INLINE bool any_value(otlp_dec *d, str s, unsigned depth, bool check, attribute *ret) {
    const uint8_t *p = START(s), *end = END(s);
    ret->type = ATTR_EMPTY;
    ret->val = STR_NONE;
    ret->num = 0;
    while (p < end) {
        const uint8_t *at = p;
        uint32_t tag;
        uint64_t v;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            p = pb_bytes(p, end, &ret->val);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!otlp_text_ok(ret->val))) return otlp_bad_text(d, at);
            ret->type = ATTR_STR;
            ret->num = 0;
            continue;
        case PB_TAG(2, PB_VARINT):
            p = pb_varint(p, end, &v);
            ret->type = ATTR_BOOL;
            ret->num = v != 0;
            break;
        case PB_TAG(3, PB_VARINT):
            p = pb_varint(p, end, &v);
            ret->type = ATTR_INT;
            ret->num = (int64_t)v;
            break;
        case PB_TAG(4, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            ret->type = ATTR_DOUBLE;
            ret->num = (int64_t)v;
            break;
        case PB_TAG(5, PB_LEN):
        case PB_TAG(6, PB_LEN): {
            bool kvlist = tag == PB_TAG(6, PB_LEN);
            p = pb_bytes(p, end, &ret->val);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (check && !check_list(d, ret->val, kvlist, depth)) return false;
            if (UNLIKELY(d && d->saw_index) && depth == 0) {
                if (!resolve_list(d, kvlist, &ret->val)) return false;
            }
            ret->type = kvlist ? ATTR_KVLIST : ATTR_ARRAY;
            ret->num = 0;
            continue;
        }
        case PB_TAG(7, PB_LEN):
            p = pb_bytes(p, end, &ret->val);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            ret->type = ATTR_BYTES;
            ret->num = 0;
            continue;
        case PB_TAG(8, PB_VARINT): /* string_value_strindex; outside profiles it counts as absent */
            p = pb_varint(p, end, &v);
            if (!d || !d->strings) {
                if (UNLIKELY(!p)) return otlp_broken(d, at);
                continue;
            }
            ret->type = ATTR_STR;
            ret->num = 0;
            ret->val = otlp_string_at(d, v);
            d->saw_index = true;
            if (p) continue;
            break;
        default:
            p = pb_skip(p, end, tag);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            continue;
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        ret->val = STR_NONE;
    }
    return true;
}

bool otlp_any_value(otlp_dec *d, str s, unsigned depth, attribute *ret) {
    return any_value(d, s, depth, true, ret);
}

/* As otlp_peek_value, with indices of the dictionary resolved. */
static bool otlp_peek_resolved(otlp_dec *d, str s, attribute *ret) {
    return any_value(d, s, 1, false, ret);
}

bool otlp_peek_value(str s, attribute *ret) { return any_value(NULL, s, 0, false, ret); }

bool otlp_peek_key_value(str s, attribute *ret) {
    *ret = (attribute){.type = ATTR_EMPTY};
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str part;
        p = pb_tag(p, end, &tag);
        if (!p) return false;
        bool known = tag == PB_TAG(1, PB_LEN) || tag == PB_TAG(2, PB_LEN);
        p = known ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        if (!p) return false;
        if (tag == PB_TAG(1, PB_LEN)) ret->key = part;
        if (tag == PB_TAG(2, PB_LEN) && !otlp_peek_value(part, ret)) return false;
    }
    return true;
}

bool otlp_key_value(otlp_dec *d, str s, attribute *ret) {
    const uint8_t *p = START(s), *end = END(s);
    *ret = (attribute){.type = ATTR_EMPTY};
    while (p < end) {
        const uint8_t *at = p;
        uint32_t tag;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (tag == PB_TAG(1, PB_LEN)) {
            p = pb_bytes(p, end, &ret->key);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!otlp_text_ok(ret->key))) return otlp_bad_text(d, at);
        } else if (tag == PB_TAG(2, PB_LEN)) {
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!any_value(d, part, 0, true, ret))) return false;
        } else if (tag == PB_TAG(3, PB_VARINT) && d->strings) { /* key_strindex */
            uint64_t v;
            p = pb_varint(p, end, &v);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            ret->key = otlp_string_at(d, v);
        } else {
            p = pb_skip(p, end, tag);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
        }
    }
    return true;
}

/* ---- Resource and InstrumentationScope ---- */

/* EntityRef: three kinds of text; kept as it is. */
static bool check_entity_ref(otlp_dec *d, str s) {
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        str part;
        p = pb_tag(p, end, &tag);
        if (!p) return otlp_broken(d, at);
        bool text = (tag & 7) == PB_LEN && tag >> 3 <= 4;
        p = text ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        if (!p) return otlp_broken(d, at);
        if (text && !otlp_text_ok(part)) return otlp_bad_text(d, at);
    }
    return true;
}

/* Appends one field as it is on the wire. */
static bool keep_field(otlp_dec *d, const uint8_t *from, const uint8_t *to, str *kept) {
    size_t n = (size_t)(to - from);
    if (kept->n == 0 || kept->p + kept->n == (const char *)from) {
        *kept = (str){kept->n ? kept->p : (const char *)from, kept->n + n};
        return true;
    }
    char *p = arena_try_raw(d->mem, kept->n + n, 1);
    if (!p) return otlp_full(d);
    memcpy(p, kept->p, kept->n);
    memcpy(p + kept->n, from, n);
    *kept = (str){p, kept->n + n};
    return true;
}

/* Attributes go on the stack, everything else into r. */
static bool read_resource(otlp_dec *d, str s, resource *r) {
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!otlp_push_attr(d, part)) return otlp_in(d, "resource.attributes", d->stack_n);
            break;
        case PB_TAG(2, PB_VARINT):
            p = pb_varint(p, end, &v);
            r->dropped_attrs = (uint32_t)v;
            break;
        case PB_TAG(3, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!check_entity_ref(d, part)) return otlp_in(d, "resource.entity_refs", SIZE_MAX);
            if (!keep_field(d, at, p, &r->entity_refs)) return false;
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    return true;
}

static bool read_scope(otlp_dec *d, str s, scope *sc) {
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_LEN):
        case PB_TAG(2, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!otlp_text_ok(part)) return otlp_bad_text(d, at);
            *(tag == PB_TAG(1, PB_LEN) ? &sc->name : &sc->version) = part;
            break;
        case PB_TAG(3, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!otlp_push_attr(d, part)) return otlp_in(d, "scope.attributes", d->stack_n);
            break;
        case PB_TAG(4, PB_VARINT):
            p = pb_varint(p, end, &v);
            sc->dropped_attrs = (uint32_t)v;
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    return true;
}

/* ---- envelopes ---- */

/* The three fields that ResourceLogs and its like share with ScopeLogs and its like: 1 the resource
 * or scope, 2 what is inside, 3 schema_url. A look at everything but 2. */
static bool read_shared(otlp_dec *d, str s, resource *r, scope *sc, str *schema_url) {
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if ((tag & 7) != PB_LEN || tag > PB_TAG(3, PB_LEN)) {
            p = pb_skip(p, end, tag);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            continue;
        }
        p = pb_bytes(p, end, &part);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (tag == PB_TAG(1, PB_LEN)) {
            if (!(r ? read_resource(d, part, r) : read_scope(d, part, sc))) return false;
        } else if (tag == PB_TAG(3, PB_LEN)) {
            if (!otlp_text_ok(part)) return otlp_bad_text(d, at);
            *schema_url = part;
        }
    }
    return true;
}

static bool walk_scope(otlp_dec *d, str s, const char *const names[3], otlp_read_record read,
                       otlp_envelope *env) {
    scope sc = {0};
    d->bad_index = env->bad_resource;
    if (!read_shared(d, s, NULL, &sc, &sc.schema_url)) return false;
    env->bad = d->bad_index;
    if (!otlp_merge_scope(d, &sc, &env->scope)) return false;
    size_t i = 0;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str part = STR_NONE;
        /* Well formed: read_shared saw to it. */
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        if (LIKELY(tag == PB_TAG(2, PB_LEN))) {
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!read(d, part, env))) return otlp_in(d, names[2], i);
            i++;
        } else {
            p = pb_skip(p, end, tag);
        }
        MUST(p != NULL);
    }
    return true;
}

static bool walk_resource(otlp_dec *d, str s, const char *const names[3], otlp_read_record read) {
    otlp_envelope env = {0};
    resource r = {0};
    d->bad_index = d->bad_dictionary;
    if (!read_shared(d, s, &r, NULL, &r.schema_url)) return false;
    env.bad_resource = d->bad_index;
    if (!otlp_merge_resource(d, &r, &env.resource)) return false;
    size_t i = 0;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        if (LIKELY(tag == PB_TAG(2, PB_LEN))) {
            p = pb_bytes(p, end, &part);
            if (!walk_scope(d, part, names, read, &env)) return otlp_in(d, names[1], i);
            i++;
        } else {
            p = pb_skip(p, end, tag);
        }
        MUST(p != NULL);
    }
    return true;
}

bool otlp_walk(otlp_dec *d, str body, const char *const names[3], otlp_read_record read) {
    size_t i = 0;
    for (const uint8_t *p = START(body), *end = END(body), *at = p; p < end; at = p) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (LIKELY(tag == PB_TAG(1, PB_LEN))) {
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!walk_resource(d, part, names, read)) return otlp_in(d, names[0], i);
            i++;
        } else {
            p = pb_skip(p, end, tag);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
        }
    }
    return true;
}

/* Counts fields `want[0]` of fields `want[1]` ... from the outside in; 0 ends the list. A set bit
 * of `want[i]` is a field number taken. */
static bool count_below(otlp_dec *d, str s, const uint32_t *want, size_t *n) {
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        bool taken = (tag & 7) == PB_LEN && tag >> 3 < 32 && (want[0] >> (tag >> 3) & 1);
        p = taken ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (!taken) continue;
        if (want[1] == 0) {
            ++*n;
        } else if (!count_below(d, part, want + 1, n)) {
            return false;
        }
    }
    return true;
}

bool otlp_count(otlp_dec *d, str body, const uint32_t *want, size_t *ret) {
    *ret = 0;
    return count_below(d, body, want, ret);
}

/* ---- LogRecord ---- */

/* The body as text, beside its exact value. */
static bool log_body(otlp_dec *d, str s, log_record *r) {
    attribute a = {.type = ATTR_EMPTY};
    if (UNLIKELY(!any_value(d, s, 0, true, &a))) return otlp_in(d, "body", SIZE_MAX);
    r->body_type = a.type;
    if (LIKELY(a.type == ATTR_STR)) {
        r->body = a.val;
        r->body_any = STR_NONE;
        return true;
    }
    r->body_any = a.val;
    r->body_num = a.num;
    r->body = attribute_text(&a, d->mem);
    return r->body.p || a.type == ATTR_EMPTY ? true : otlp_full(d);
}

bool otlp_read_log(otlp_dec *d, str s, const otlp_envelope *env) {
    log_record *r = log_batch_add_over(&d->t->logs);
    if (UNLIKELY(!r)) return otlp_full(d);
    const uint8_t *p = START(s), *end = END(s);
    const char *reject = NULL;
    uint64_t v;
    uint32_t u;
    str part;
    r->body_type = ATTR_EMPTY;
    r->line_count = 1;
    r->resource = env->resource;
    r->service = env->resource->service;
    r->host = env->resource->host;
    if (env->scope) {
        r->scope = env->scope;
        r->component = env->scope->name;
    }
    MUST(d->stack_n == 0);
    while (p < end) {
        const uint8_t *at = p;
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(v == (uint64_t)TS_NONE)) reject = "time_unix_nano is 2^63";
            r->ts_ns = v ? (int64_t)v : TS_NONE;
            break;
        case PB_TAG(2, PB_VARINT):
            p = pb_varint(p, end, &v);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            r->severity = v <= SEV_MAX ? (uint8_t)v : SEV_NONE;
            r->severity_other = v <= SEV_MAX ? 0 : (int32_t)v;
            break;
        case PB_TAG(3, PB_LEN):
            p = pb_bytes(p, end, &r->severity_text);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!otlp_text_ok(r->severity_text))) return otlp_bad_text(d, at);
            break;
        case PB_TAG(5, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!log_body(d, part, r))) return false;
            break;
        case PB_TAG(6, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!otlp_push_attr(d, part))) return otlp_in(d, "attributes", d->stack_n);
            break;
        case PB_TAG(7, PB_VARINT):
            p = pb_varint(p, end, &v);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            r->dropped_attrs = (uint32_t)v;
            break;
        case PB_TAG(8, PB_FIXED32):
            p = pb_fixed32(p, end, &u);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            r->flags = u;
            break;
        case PB_TAG(9, PB_LEN):
            p = pb_bytes(p, end, &r->trace_bin);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            break;
        case PB_TAG(10, PB_LEN):
            p = pb_bytes(p, end, &r->span_bin);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            break;
        case PB_TAG(11, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            r->observed_ns = (int64_t)v;
            break;
        case PB_TAG(12, PB_LEN):
            p = pb_bytes(p, end, &r->event_name);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!otlp_text_ok(r->event_name))) return otlp_bad_text(d, at);
            break;
        default:
            p = pb_skip(p, end, tag);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
        }
    }
    if (r->trace_bin.n) otlp_optional_id(d, &r->trace_bin, TRACE_ID_BYTES);
    if (r->span_bin.n) otlp_optional_id(d, &r->span_bin, SPAN_ID_BYTES);
    if (UNLIKELY(reject != NULL)) {
        d->stack_n = 0;
        d->t->logs.count--;
        otlp_reject(d, 1, reject);
        return true;
    }
    return otlp_pop_attrs(d, 0, &r->attrs, &r->attr_count);
}

/* ---- Span ---- */

static bool read_event(otlp_dec *d, str s, span_event *ret) {
    size_t mark = d->stack_n;
    *ret = (span_event){0};
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            if (p) ret->ts_ns = (int64_t)v;
            break;
        case PB_TAG(2, PB_LEN):
            p = pb_bytes(p, end, &ret->name);
            if (p && UNLIKELY(!otlp_text_ok(ret->name))) return otlp_bad_text(d, at);
            break;
        case PB_TAG(3, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!otlp_push_attr(d, part)) return otlp_in(d, "attributes", d->stack_n - mark);
            break;
        case PB_TAG(4, PB_VARINT):
            p = pb_varint(p, end, &v);
            ret->dropped_attrs = (uint32_t)v;
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    return otlp_pop_attrs(d, mark, &ret->attrs, &ret->attr_count);
}

static bool read_link(otlp_dec *d, str s, span_link *ret) {
    size_t mark = d->stack_n;
    *ret = (span_link){0};
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            p = pb_bytes(p, end, &ret->trace_id);
            break;
        case PB_TAG(2, PB_LEN):
            p = pb_bytes(p, end, &ret->span_id);
            break;
        case PB_TAG(3, PB_LEN):
            p = pb_bytes(p, end, &ret->trace_state);
            if (p && UNLIKELY(!otlp_text_ok(ret->trace_state))) return otlp_bad_text(d, at);
            break;
        case PB_TAG(4, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!otlp_push_attr(d, part)) return otlp_in(d, "attributes", d->stack_n - mark);
            break;
        case PB_TAG(5, PB_VARINT):
            p = pb_varint(p, end, &v);
            ret->dropped_attrs = (uint32_t)v;
            break;
        case PB_TAG(6, PB_FIXED32):
            p = pb_fixed32(p, end, &ret->flags);
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    return otlp_pop_attrs(d, mark, &ret->attrs, &ret->attr_count);
}

static bool read_status(otlp_dec *d, str s, span *r) {
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (tag == PB_TAG(2, PB_LEN)) {
            p = pb_bytes(p, end, &r->status_message);
            if (p && !otlp_text_ok(r->status_message)) return otlp_bad_text(d, at);
        } else if (tag == PB_TAG(3, PB_VARINT)) {
            p = pb_varint(p, end, &v);
            r->status = (int32_t)v;
        } else {
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    return true;
}

/* Events and links: few spans have any, so their arrays are counted before they are read. */
static bool read_parts(otlp_dec *d, str s, uint32_t events, uint32_t links, span *r,
                       const char **reject) {
    span_event *ev = arena_try_new_n(d->mem, span_event, events);
    span_link *ln = arena_try_new_n(d->mem, span_link, links);
    if (!ev || !ln) return otlp_full(d);
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str part;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        bool event = tag == PB_TAG(11, PB_LEN), link = tag == PB_TAG(13, PB_LEN);
        p = event || link ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        MUST(p != NULL);
        if (event) {
            MUST(r->event_count < events);
            if (!read_event(d, part, &ev[r->event_count])) {
                return otlp_in(d, "events", r->event_count);
            }
            r->event_count++;
        } else if (link) {
            MUST(r->link_count < links);
            span_link *l = &ln[r->link_count];
            if (!read_link(d, part, l)) return otlp_in(d, "links", r->link_count);
            if (l->trace_id.n && l->trace_id.n != TRACE_ID_BYTES) *reject = OTLP_BAD_TRACE_ID;
            if (l->span_id.n && l->span_id.n != SPAN_ID_BYTES) *reject = OTLP_BAD_SPAN_ID;
            r->link_count++;
        }
    }
    r->events = events ? ev : NULL;
    r->links = links ? ln : NULL;
    return true;
}

bool otlp_read_span(otlp_dec *d, str s, const otlp_envelope *env) {
    span *r = telemetry_add_span(d->t);
    if (UNLIKELY(!r)) return otlp_full(d);
    const uint8_t *p = START(s), *end = END(s);
    const char *reject = NULL;
    str trace = STR_NONE, id = STR_NONE, parent = STR_NONE, part;
    uint32_t events = 0, links = 0;
    uint64_t v;
    r->resource = env->resource;
    r->scope = env->scope;
    MUST(d->stack_n == 0);
    while (p < end) {
        const uint8_t *at = p;
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_LEN):
            p = pb_bytes(p, end, &trace);
            break;
        case PB_TAG(2, PB_LEN):
            p = pb_bytes(p, end, &id);
            break;
        case PB_TAG(3, PB_LEN):
            p = pb_bytes(p, end, &r->trace_state);
            if (p && UNLIKELY(!otlp_text_ok(r->trace_state))) return otlp_bad_text(d, at);
            break;
        case PB_TAG(4, PB_LEN):
            p = pb_bytes(p, end, &parent);
            break;
        case PB_TAG(5, PB_LEN):
            p = pb_bytes(p, end, &r->name);
            if (p && UNLIKELY(!otlp_text_ok(r->name))) return otlp_bad_text(d, at);
            break;
        case PB_TAG(6, PB_VARINT):
            p = pb_varint(p, end, &v);
            r->kind = (int32_t)v;
            break;
        case PB_TAG(7, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            if (p) r->start_ns = (int64_t)v;
            break;
        case PB_TAG(8, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            if (p) r->end_ns = (int64_t)v;
            break;
        case PB_TAG(9, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!otlp_push_attr(d, part))) return otlp_in(d, "attributes", d->stack_n);
            break;
        case PB_TAG(10, PB_VARINT):
            p = pb_varint(p, end, &v);
            r->dropped_attrs = (uint32_t)v;
            break;
        case PB_TAG(11, PB_LEN):
            p = pb_bytes(p, end, &part);
            events++;
            break;
        case PB_TAG(12, PB_VARINT):
            p = pb_varint(p, end, &v);
            r->dropped_events = (uint32_t)v;
            break;
        case PB_TAG(13, PB_LEN):
            p = pb_bytes(p, end, &part);
            links++;
            break;
        case PB_TAG(14, PB_VARINT):
            p = pb_varint(p, end, &v);
            r->dropped_links = (uint32_t)v;
            break;
        case PB_TAG(15, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!read_status(d, part, r))) return otlp_in(d, "status", SIZE_MAX);
            break;
        case PB_TAG(16, PB_FIXED32):
            p = pb_fixed32(p, end, &r->flags);
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    if (!otlp_pop_attrs(d, 0, &r->attrs, &r->attr_count)) return false;
    if ((events || links) && !read_parts(d, s, events, links, r, &reject)) return false;
    if (parent.n == SPAN_ID_BYTES) {
        memcpy(r->parent_id, parent.p, SPAN_ID_BYTES);
    } else if (parent.n) {
        reject = "parent_span_id is not 8 bytes";
    }
    if (UNLIKELY(!otlp_id_ok(&id, SPAN_ID_BYTES) || id.n == 0)) reject = OTLP_BAD_SPAN_ID;
    if (UNLIKELY(!otlp_id_ok(&trace, TRACE_ID_BYTES) || trace.n == 0)) reject = OTLP_BAD_TRACE_ID;
    if (UNLIKELY(reject != NULL)) {
        d->t->spans.count--;
        otlp_reject(d, 1, reject);
        return true;
    }
    memcpy(r->trace_id, trace.p, TRACE_ID_BYTES);
    memcpy(r->span_id, id.p, SPAN_ID_BYTES);
    return true;
}
