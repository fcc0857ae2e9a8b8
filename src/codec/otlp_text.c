/* otlp_text.c - values and ids as text.
 *
 * Lists and maps are kept as protobuf (model/attribute.h) and turned into plain JSON here: [1,"a"],
 * {"k":1}, bytes as base64, an empty value as null. They were checked when they were decoded; bytes
 * that are no well-formed list all the same (a damaged store) give false, never a read outside.
 */
#include "codec/otlp_int.h"

#include <math.h>

bool otlp_put_base64(str s, buf *out) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!buf_reserve(out, (s.n + 2) / 3 * 4)) return false;
    const uint8_t *p = (const uint8_t *)s.p;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        out->p[out->n++] = DIGITS[v >> 18];
        out->p[out->n++] = DIGITS[v >> 12 & 63];
        out->p[out->n++] = left > 1 ? DIGITS[v >> 6 & 63] : '=';
        out->p[out->n++] = left > 2 ? DIGITS[v & 63] : '=';
    }
    return true;
}

static double double_of(int64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* ---- lists as JSON ---- */

static bool put_json(const attribute *a, unsigned depth, buf *out);

static bool put_list(str s, bool kvlist, unsigned depth, buf *out) {
    if (depth >= OTLP_DEPTH_MAX) return false;
    if (!buf_putc(out, kvlist ? '{' : '[')) return false;
    bool first = true;
    for (const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n; p < end;) {
        uint32_t tag;
        str item = STR_NONE;
        p = pb_tag(p, end, &tag);
        if (!p) return false;
        bool value = tag == PB_TAG(1, PB_LEN);
        p = value ? pb_bytes(p, end, &item) : pb_skip(p, end, tag);
        if (!p) return false;
        if (!value) continue;
        attribute a = {0};
        if (!(kvlist ? otlp_peek_key_value(item, &a) : otlp_peek_value(item, &a))) return false;
        if (!first && !buf_putc(out, ',')) return false;
        first = false;
        if (kvlist && (!buf_json(out, a.key) || !buf_putc(out, ':'))) return false;
        if (!put_json(&a, depth + 1, out)) return false;
    }
    return buf_putc(out, kvlist ? '}' : ']');
}

/* JSON has no NaN and no infinities: they are written as text, as protobuf's JSON does. */
static bool put_json(const attribute *a, unsigned depth, buf *out) {
    switch ((attribute_type)a->type) {
    case ATTR_STR:
        return buf_json(out, a->val);
    case ATTR_BYTES:
        return buf_putc(out, '"') && otlp_put_base64(a->val, out) && buf_putc(out, '"');
    case ATTR_DOUBLE: {
        double v = double_of(a->num);
        if (isfinite(v)) return buf_double(out, v);
        return buf_putc(out, '"') && buf_double(out, v) && buf_putc(out, '"');
    }
    case ATTR_INT:
        return buf_i64(out, a->num);
    case ATTR_BOOL:
        return buf_put(out, a->num ? S("true") : S("false"));
    case ATTR_ARRAY:
    case ATTR_KVLIST:
        return put_list(a->val, a->type == ATTR_KVLIST, depth, out);
    case ATTR_EMPTY:
        break;
    }
    return buf_put(out, S("null"));
}

bool attribute_put_text(const attribute *a, buf *out) {
    /* Readers of files leave the text of any kind in val. */
    if (a->val.n > 0 && a->type < ATTR_BYTES) return buf_put(out, a->val);
    switch ((attribute_type)a->type) {
    case ATTR_STR:
    case ATTR_EMPTY:
        return true;
    case ATTR_DOUBLE:
        return buf_double(out, double_of(a->num));
    case ATTR_BYTES:
        return otlp_put_base64(a->val, out);
    default:
        return put_json(a, 0, out);
    }
}

str attribute_text(const attribute *a, arena *out) {
    if (a->type == ATTR_STR || (a->val.n > 0 && a->type < ATTR_BYTES)) return a->val;
    if (a->type == ATTR_EMPTY) return S("");
    buf b;
    buf_init(&b, OTLP_TEXT_BYTES_MAX);
    str s = STR_NONE;
    if (attribute_put_text(a, &b)) s = str_dup(out, buf_str(&b));
    buf_release(&b);
    return s;
}

/* ---- ids ---- */

void bytes_to_hex(const uint8_t *p, size_t n, char *to) {
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = DIGITS[p[i] >> 4];
        to[2 * i + 1] = DIGITS[p[i] & 15];
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool hex_to_bytes(str hex, uint8_t *to, size_t to_bytes) {
    if (hex.n != 2 * to_bytes) return false;
    int bad = 0;
    for (size_t i = 0; i < to_bytes; i++) {
        int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);
        bad |= high | low; /* negative when one is no digit */
        to[i] = (uint8_t)((unsigned)high << 4 | ((unsigned)low & 15));
    }
    return bad >= 0;
}

bool log_record_hex_ids(log_record *r, arena *out) {
    str *const from[] = {&r->trace_bin, &r->span_bin}, *const to[] = {&r->trace_id, &r->span_id};
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        if (from[i]->n == 0 || to[i]->n > 0) continue;
        char *hex = arena_try_raw(out, 2 * from[i]->n, 1);
        if (!hex) return false;
        bytes_to_hex((const uint8_t *)from[i]->p, from[i]->n, hex);
        *to[i] = (str){hex, 2 * from[i]->n};
    }
    return true;
}
