/* otlp_from_json.c - a request in OTLP/JSON as the same request in protobuf.
 *
 * Problem: four signals with 50 messages in a second encoding, whose rules (below) must hold for
 * each field alike.
 * Structure: JSON is rewritten as protobuf along the tables of otlp_schema.c, and the one decoder
 * of protobuf makes records of it. So each rule stands in one place, and a record that came as JSON
 * is the same as one that came as protobuf. It costs a second pass over the bytes; the measured hot
 * path is protobuf.
 * The rules (OTLP specification, "JSON Protobuf Encoding"; ProtoJSON for the rest): names are
 * lowerCamelCase, others are unknown and skipped; null is the default, but no element of an array;
 * of a name that comes twice the last value counts; 64-bit integers are strings or numbers, and any
 * number may be a string; an integer may have a fraction of zeros and an exponent (1.0, 1e3);
 * numbers that their field cannot hold are errors; NaN and infinities are strings; enums are
 * integers, known or not, never names; trace and span ids are hex of either case, other bytes
 * base64 or base64url, padded or not; text is UTF-8 (a lone surrogate escape becomes U+FFFD).
 * Limits: JSON_DEPTH_MAX levels (the recursion), the maximum of `out`.
 * Rejected: one decoder of JSON for each signal: three times the code, and every rule in each. */
#include "base/num.h"
#include "codec/json.h"
#include "codec/otlp_int.h"

enum { UNESCAPED_BYTES_MAX = 64 << 20 };

typedef struct from_json {
    json_reader r;
    buf *out;
    arena tmp; /* unescaped text */
    const char *what;
    size_t at;
    char path[OTLP_PATH_BYTES];
    err scan; /* of the scanner */
} from_json;

static rc wrong(from_json *f, const json_tok *t, const char *what) {
    f->what = what;
    f->at = t->offset;
    return RC_INVALID;
}

/* ---- numbers ---- */

/* An integer in JSON's grammar of numbers: sign and magnitude. False when it is none, or over 64
 * bits. */
static bool read_integer(str s, bool *ret_minus, uint64_t *ret) {
    size_t i = 0;
    bool minus = s.n > 0 && s.p[0] == '-';
    if (minus) i++;
    size_t from = i, point = STR_NPOS, last = STR_NPOS; /* last: the last digit that is not 0 */
    for (; i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '.' && point == STR_NPOS));
         i++) {
        if (s.p[i] == '.') {
            point = i;
        } else if (s.p[i] != '0') {
            last = i;
        }
    }
    size_t end = i;
    if (end == from || point == from || point + 1 == end) return false; /* digits on both sides */
    if (s.p[from] == '0' && end - from > 1 && point != from + 1) return false;
    int64_t exponent = 0;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        bool down = i < s.n && s.p[i] == '-';
        if (down || (i < s.n && s.p[i] == '+')) i++;
        size_t digits = i;
        for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
            if (exponent < INT32_MAX) exponent = exponent * 10 + (s.p[i] - '0');
        }
        if (i == digits) return false;
        if (down) exponent = -exponent;
    }
    if (i != s.n) return false;
    *ret_minus = minus;
    *ret = 0;
    if (last == STR_NPOS) return true; /* 0, however it is written */
    uint64_t v = 0;
    for (size_t at = from; at <= last; at++) {
        if (s.p[at] == '.') continue;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return false;
        if (__builtin_add_overflow(v, (uint64_t)(s.p[at] - '0'), &v)) return false;
    }
    /* Zeros that follow the last digit: up to the point, and those of the exponent. */
    size_t whole_end = point == STR_NPOS ? end : point;
    exponent += last < whole_end ? (int64_t)(whole_end - last - 1) : -(int64_t)(last - whole_end);
    if (exponent < 0) return false;
    for (; exponent > 0; exponent--) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return false;
    }
    *ret = v;
    return true;
}

/* The text of a number: the token itself, or what a string holds. */
static bool number_text(from_json *f, const json_tok *t, str *ret) {
    if (t->kind != JSON_NUMBER && t->kind != JSON_STRING) return false;
    return json_text(t, &f->tmp, ret, NULL) == RC_OK;
}

static rc integer_value(from_json *f, const json_tok *t, int64_t low, uint64_t high,
                        uint64_t *ret) {
    str s;
    bool minus;
    uint64_t v;
    if (!number_text(f, t, &s) || !read_integer(s, &minus, &v)) {
        return wrong(f, t,
                     low < 0 ? "not an integer its field can hold"
                             : "not an unsigned integer its field can hold");
    }
    bool fits = minus ? v <= 0 - (uint64_t)low : v <= high;
    if (!fits) return wrong(f, t, "integer out of the range of its field");
    *ret = minus ? 0 - v : v;
    return RC_OK;
}

static rc double_value(from_json *f, const json_tok *t, uint64_t *ret) {
    str s;
    double v;
    if (!number_text(f, t, &s)) return wrong(f, t, "not a number");
    if (t->kind == JSON_STRING && str_eq(s, S("NaN"))) {
        v = (double)__builtin_nanf("");
    } else if (t->kind == JSON_STRING && str_eq(s, S("Infinity"))) {
        v = (double)__builtin_inff();
    } else if (t->kind == JSON_STRING && str_eq(s, S("-Infinity"))) {
        v = -(double)__builtin_inff();
    } else {
        bool digit = s.n > 0 && (s.p[0] == '-' || (s.p[0] >= '0' && s.p[0] <= '9'));
        bool grammar = t->kind == JSON_NUMBER ||
                       (digit && s.p[s.n - 1] > ' ' && json_validate(s, NULL) == RC_OK);
        if (!grammar || !num_double(s, &v)) return wrong(f, t, "not a number a double can hold");
    }
    memcpy(ret, &v, sizeof v);
    return RC_OK;
}

/* ---- bytes ---- */

static int base64_digit(unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

static bool put_base64_bytes(str s, buf *out) {
    size_t n = s.n;
    for (unsigned pad = 0; pad < 2 && n > 0 && n % 4 != 1 && s.p[n - 1] == '='; pad++) n--;
    if ((n != s.n && s.n % 4 != 0) || n % 4 == 1) return false;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < n; i++) {
        int v = base64_digit((unsigned char)s.p[i]);
        if (v < 0) return false;
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            IGNORE(!buf_putc(out, (char)(bits >> held))); /* out->full tells */
        }
    }
    return true;
}

/* Hex of either case. What is none becomes one byte, which is no id. */
static void put_hex_bytes(str s, buf *out) {
    size_t before = out->n;
    for (size_t i = 0; i < s.n; i += 2) {
        uint8_t byte;
        if (!hex_to_bytes(str_sub(s, i, 2), &byte, 1)) {
            out->n = before;
            IGNORE(!buf_putc(out, 0));
            return;
        }
        IGNORE(!buf_putc(out, (char)byte));
    }
}

/* ---- fields ---- */

static rc message(from_json *f, const otlp_field *fields);

/* The JSON number as the value on the wire; *ret_bytes: 0 = varint, else its fixed width. */
static rc scalar_value(from_json *f, otlp_type type, const json_tok *t, uint64_t *ret,
                       unsigned *ret_bytes) {
    *ret_bytes = 0;
    rc code;
    switch (type) {
    case T_BOOL:
        if (t->kind != JSON_TRUE && t->kind != JSON_FALSE) return wrong(f, t, "not a boolean");
        *ret = t->kind == JSON_TRUE;
        return RC_OK;
    case T_ENUM:
        if (t->kind != JSON_NUMBER) return wrong(f, t, "an enum is an integer");
        return integer_value(f, t, INT32_MIN, INT32_MAX, ret);
    case T_INT32:
        return integer_value(f, t, INT32_MIN, INT32_MAX, ret);
    case T_INT64:
        return integer_value(f, t, INT64_MIN, INT64_MAX, ret);
    case T_UINT32:
        return integer_value(f, t, 0, UINT32_MAX, ret);
    case T_UINT64:
        return integer_value(f, t, 0, UINT64_MAX, ret);
    case T_SINT32:
        code = integer_value(f, t, INT32_MIN, INT32_MAX, ret);
        if (code == RC_OK) *ret = pb_zigzag((int64_t)*ret);
        return code;
    case T_FIXED32:
        *ret_bytes = 4;
        return integer_value(f, t, 0, UINT32_MAX, ret);
    case T_FIXED64:
        *ret_bytes = 8;
        return integer_value(f, t, 0, UINT64_MAX, ret);
    case T_SFIXED64:
        *ret_bytes = 8;
        return integer_value(f, t, INT64_MIN, INT64_MAX, ret);
    default:
        MUST(type == T_DOUBLE);
        *ret_bytes = 8;
        return double_value(f, t, ret);
    }
}

static void put_scalar(buf *out, uint64_t v, unsigned bytes) {
    IGNORE(!(bytes == 8   ? buf_le64(out, v)
             : bytes == 4 ? buf_le32(out, (uint32_t)v)
                          : buf_varint(out, v)));
}

/* One value that is no array, its first token read. `packed`: an element, without a tag. */
static rc value(from_json *f, const otlp_field *field, const json_tok *t, bool packed) {
    buf *out = f->out;
    if (field->type == T_MESSAGE) {
        if (t->kind != JSON_OBJECT_BEGIN) return wrong(f, t, "not an object");
        size_t mark = pb_begin(out, field->number);
        rc code = message(f, otlp_schema[field->message]);
        if (code == RC_OK) pb_end(out, mark);
        return code;
    }
    if (field->type <= T_ID) {
        str s;
        if (t->kind != JSON_STRING) return wrong(f, t, "not a string");
        arena_reset(&f->tmp);
        if (json_text(t, &f->tmp, &s, NULL) != RC_OK) {
            out->full = true;
            return RC_OK;
        }
        if (field->type == T_STRING) {
            pb_put_bytes(out, field->number, s);
            return RC_OK;
        }
        size_t mark = pb_begin(out, field->number);
        if (field->type == T_ID) {
            put_hex_bytes(s, out);
        } else if (!put_base64_bytes(s, out)) {
            return wrong(f, t, "not base64");
        }
        pb_end(out, mark);
        return RC_OK;
    }
    uint64_t v;
    unsigned bytes;
    arena_reset(&f->tmp);
    rc code = scalar_value(f, (otlp_type)field->type, t, &v, &bytes);
    if (code != RC_OK) return code;
    if (!packed) {
        pb_put_tag(out, field->number,
                   bytes == 8   ? PB_FIXED64
                   : bytes == 4 ? PB_FIXED32
                                : PB_VARINT);
    }
    put_scalar(out, v, bytes);
    return RC_OK;
}

static rc array(from_json *f, const otlp_field *field, const json_tok *begin) {
    if (begin->kind != JSON_ARRAY_BEGIN) return wrong(f, begin, "not an array");
    bool packed = field->type > T_ID && field->type != T_MESSAGE;
    size_t mark = packed ? pb_begin(f->out, field->number) : 0;
    json_tok t;
    rc code;
    for (size_t i = 0;; i++) {
        code = json_next(&f->r, &t, &f->scan);
        if (code != RC_OK) break;
        if (t.kind == JSON_ARRAY_END) break;
        code = value(f, field, &t, packed);
        if (code != RC_OK) {
            otlp_path_put(f->path, field->name, i);
            return code;
        }
        if (f->out->full) return RC_LIMIT;
    }
    if (code == RC_OK && packed) pb_end(f->out, mark);
    return code;
}

/* Where the bytes of each field lie that this object gave: what an earlier member of the same name
 * gave is cut out. */
typedef struct given {
    size_t from[OTLP_FIELDS_MAX], to[OTLP_FIELDS_MAX]; /* from == to: nothing */
} given;

static void forget(from_json *f, given *g, size_t field) {
    size_t from = g->from[field], to = g->to[field];
    if (from == to || f->out->full) return;
    memmove(f->out->p + from, f->out->p + to, f->out->n - to);
    f->out->n -= to - from;
    for (size_t i = 0; i < OTLP_FIELDS_MAX; i++) {
        if (g->from[i] >= to && g->to[i] > g->from[i]) {
            g->from[i] -= to - from;
            g->to[i] -= to - from;
        }
    }
    g->from[field] = g->to[field] = 0;
}

/* The field of a name. Members mostly come in the order of the table: `next` is where to look
 * first. */
static const otlp_field *field_of(const otlp_field *fields, str name, size_t *next) {
    if (fields[*next].name.n && str_eq(fields[*next].name, name)) return &fields[(*next)++];
    for (size_t i = 0; fields[i].name.n; i++) {
        if (str_eq(fields[i].name, name)) {
            *next = i + 1;
            return &fields[i];
        }
    }
    return NULL;
}

/* The members of an object whose brace was read. Recursion ends with the depth of the scanner. */
static rc message(from_json *f, const otlp_field *fields) {
    given g;
    memset(&g, 0, sizeof g);
    size_t next = 0;
    json_tok t;
    rc code;
    while ((code = json_next(&f->r, &t, &f->scan)) == RC_OK && t.kind != JSON_OBJECT_END) {
        str name;
        arena_reset(&f->tmp);
        code = json_text(&t, &f->tmp, &name, &f->scan);
        if (code != RC_OK) return code;
        const otlp_field *field = field_of(fields, name, &next);
        if (!field) {
            code = json_skip(&f->r, &t, &f->scan);
            if (code != RC_OK) return code;
            continue;
        }
        size_t i = (size_t)(field - fields);
        MUST(i < OTLP_FIELDS_MAX);
        forget(f, &g, i);
        code = json_next(&f->r, &t, &f->scan);
        if (code == RC_OK && t.kind != JSON_NULL) {
            size_t from = f->out->n;
            bool many = field->flags & F_REPEATED;
            code = many ? array(f, field, &t) : value(f, field, &t, false);
            g.from[i] = from;
            g.to[i] = f->out->n;
        }
        if (code != RC_OK) {
            /* An array put its own name and index, unless it is none. */
            if (!(field->flags & F_REPEATED) || !f->path[0]) {
                otlp_path_put(f->path, field->name, SIZE_MAX);
            }
            return code;
        }
        if (f->out->full) return RC_LIMIT;
    }
    return code;
}

static rc report(const from_json *f, rc code, err *e) {
    if (code == RC_LIMIT && !f->scan.msg[0]) {
        return FAIL(e, RC_LIMIT, "OTLP/JSON: the request holds more than fits into memory");
    }
    const char *path = f->path[0] ? f->path : "request";
    /* The scanner's limit is its depth: wrong input, not much input. */
    if (f->scan.msg[0]) return FAIL(e, RC_INVALID, "OTLP/JSON: %s: %s", path, f->scan.msg);
    return FAIL(e, RC_INVALID, "OTLP/JSON: %s: %s, at byte %zu", path, f->what, f->at);
}

static bool is_json_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

rc otlp_from_json(otlp_message top, str json, buf *out, err *e) {
    MUST(top > M_NONE && top < M_COUNT);
    if (!utf8_valid(json)) {
        size_t at = 0, next = 0;
        for (; utf8_next(json, &next) != UTF8_BAD; at = next) {}
        return FAIL(e, RC_INVALID, "OTLP/JSON: text is not UTF-8, at byte %zu", at);
    }
    from_json f;
    memset(&f, 0, sizeof f);
    f.out = out;
    json_init(&f.r, json);
    arena_init(&f.tmp, "OTLP/JSON", UNESCAPED_BYTES_MAX);
    json_tok t;
    rc code = json_next(&f.r, &t, &f.scan);
    if (code == RC_OK) {
        code = t.kind == JSON_OBJECT_BEGIN ? message(&f, otlp_schema[top])
                                           : wrong(&f, &t, "not an object");
    }
    size_t end = f.r.at;
    while (code == RC_OK && end < json.n && is_json_space(json.p[end])) end++;
    if (code == RC_OK && end < json.n) {
        t.offset = end;
        code = wrong(&f, &t, "text behind the request");
    }
    if (code == RC_OK && out->full) code = RC_LIMIT;
    arena_release(&f.tmp);
    return code == RC_OK ? RC_OK : report(&f, code, e);
}
