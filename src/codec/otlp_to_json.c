/* otlp_to_json.c - a message in protobuf as OTLP/JSON, along the tables of otlp_schema.c.
 *
 * Fields come out in the order of the tables. One look at the message finds where each field is: of
 * a field that does not repeat the last value counts, of a oneof the last member; the elements of
 * an array may lie apart from each other. 64-bit integers become strings, ids hex, other bytes
 * base64, enums integers. */
#include "codec/json_write.h"
#include "codec/otlp_int.h"

#include <math.h>

typedef struct found {
    const uint8_t *first, *last; /* at the tag; NULL = not there */
} found;

static bool put_message(json_writer *w, const otlp_field *fields, str pb);

static void put_double(json_writer *w, uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    if (isfinite(v)) {
        json_write_double(w, v);
    } else {
        json_write_str(w, isnan(v) ? S("NaN") : v > 0 ? S("Infinity") : S("-Infinity"));
    }
}

/* A 64-bit integer as a string. */
static void put_long(json_writer *w, uint64_t v, bool is_signed) {
    char text[24];
    size_t at = sizeof text;
    bool minus = is_signed && (int64_t)v < 0;
    if (minus) v = 0 - v;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (minus) text[--at] = '-';
    json_write_str(w, str_make(text + at, sizeof text - at));
}

static void put_scalar(json_writer *w, otlp_type type, uint64_t v) {
    switch (type) {
    case T_BOOL:
        json_write_bool(w, v != 0);
        break;
    case T_INT32:
    case T_ENUM:
        json_write_i64(w, (int32_t)v);
        break;
    case T_UINT32:
    case T_FIXED32:
        json_write_u64(w, (uint32_t)v);
        break;
    case T_SINT32:
        json_write_i64(w, (int32_t)pb_unzigzag((uint32_t)v));
        break;
    case T_INT64:
    case T_SFIXED64:
        put_long(w, v, true);
        break;
    case T_UINT64:
    case T_FIXED64:
        put_long(w, v, false);
        break;
    default:
        MUST(type == T_DOUBLE);
        put_double(w, v);
    }
}

static unsigned wire_of(otlp_type type) {
    if (type <= T_ID || type == T_MESSAGE) return PB_LEN;
    if (type == T_FIXED32) return PB_FIXED32;
    return type >= T_FIXED64 ? PB_FIXED64 : PB_VARINT;
}

/* Digits need no escapes: they go straight into the text between two quotes. */
static bool put_bytes(json_writer *w, bool hex, str s) {
    json_write_raw(w, S("\""));
    if (!hex) {
        if (!otlp_put_base64(s, w->out)) return false;
    } else {
        if (!buf_reserve(w->out, 2 * s.n)) return false;
        bytes_to_hex((const uint8_t *)s.p, s.n, w->out->p + w->out->n);
        w->out->n += 2 * s.n;
    }
    return buf_putc(w->out, '"');
}

/* The value behind a tag; returns the place behind it. */
static const uint8_t *put_value(json_writer *w, const otlp_field *f, const uint8_t *p,
                                const uint8_t *end, uint32_t tag) {
    uint64_t v = 0;
    uint32_t u = 0;
    str s = STR_NONE;
    unsigned wire = wire_of((otlp_type)f->type);
    if (wire == PB_LEN) {
        p = pb_bytes(p, end, &s);
        if (!p) return NULL;
        bool ok = true;
        if (f->type == T_MESSAGE) {
            ok = put_message(w, otlp_schema[f->message], s);
        } else if (f->type == T_STRING) {
            json_write_str(w, s);
        } else {
            ok = put_bytes(w, f->type == T_ID, s);
        }
        return ok ? p : NULL;
    }
    if ((tag & 7) == PB_LEN) { /* packed */
        p = pb_bytes(p, end, &s);
        const uint8_t *q = (const uint8_t *)s.p, *stop = q + s.n;
        while (p && q && q < stop) {
            if (wire == PB_VARINT) {
                q = pb_varint(q, stop, &v);
            } else if (wire == PB_FIXED64) {
                q = pb_fixed64(q, stop, &v);
            } else {
                q = pb_fixed32(q, stop, &u);
                v = u;
            }
            if (q) put_scalar(w, (otlp_type)f->type, v);
        }
        return q ? p : NULL;
    }
    if (wire == PB_VARINT) {
        p = pb_varint(p, end, &v);
    } else if (wire == PB_FIXED64) {
        p = pb_fixed64(p, end, &v);
    } else {
        p = pb_fixed32(p, end, &u);
        v = u;
    }
    if (p) put_scalar(w, (otlp_type)f->type, v);
    return p;
}

static bool is_field(const otlp_field *f, uint32_t tag) {
    if (tag >> 3 != f->number) return false;
    unsigned wire = wire_of((otlp_type)f->type);
    return (tag & 7) == wire || ((f->flags & F_REPEATED) && (tag & 7) == PB_LEN);
}

static bool put_array(json_writer *w, const otlp_field *f, const uint8_t *p, const uint8_t *end) {
    json_write_array(w);
    while (p < end) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (!p) return false;
        p = is_field(f, tag) ? put_value(w, f, p, end, tag) : pb_skip(p, end, tag);
        if (!p || w->out->full) return false;
    }
    json_write_array_end(w);
    return true;
}

static bool put_message(json_writer *w, const otlp_field *fields, str pb) {
    found at[OTLP_FIELDS_MAX];
    memset(at, 0, sizeof at);
    const uint8_t *end = (const uint8_t *)pb.p + pb.n;
    size_t oneof = OTLP_FIELDS_MAX; /* the member that counts */
    if (w->depth + 4 >= JSON_WRITE_DEPTH_MAX) return false;
    for (const uint8_t *p = (const uint8_t *)pb.p; p < end;) {
        const uint8_t *from = p;
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (!p) return false;
        for (size_t i = 0; fields[i].name.n; i++) {
            if (!is_field(&fields[i], tag)) continue;
            if (!at[i].first) at[i].first = from;
            at[i].last = from;
            if (fields[i].flags & F_ONEOF) oneof = i;
            break;
        }
        p = pb_skip(p, end, tag);
        if (!p) return false;
    }
    json_write_object(w);
    for (size_t i = 0; fields[i].name.n; i++) {
        const otlp_field *f = &fields[i];
        if (!at[i].first || ((f->flags & F_ONEOF) && oneof != i)) continue;
        json_write_key_raw(w, f->name);
        if (f->flags & F_REPEATED) {
            if (!put_array(w, f, at[i].first, end)) return false;
            continue;
        }
        uint32_t tag;
        const uint8_t *p = pb_tag(at[i].last, end, &tag);
        if (!p || !put_value(w, f, p, end, tag)) return false;
    }
    json_write_object_end(w);
    return !w->out->full;
}

bool otlp_to_json(otlp_message top, str pb, buf *out) {
    MUST(top > M_NONE && top < M_COUNT);
    json_writer w;
    json_write_init(&w, out, 0);
    return put_message(&w, otlp_schema[top], pb) && !out->full;
}
