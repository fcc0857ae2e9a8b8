/* json.c - the JSON scanner.
 *
 * Problem: most telemetry text is JSON, one small object a line, keys of 2..20 bytes and strings of
 * 5..200. What costs is finding the end of strings; what must not happen is a copy or an
 * allocation for a token.
 *
 * Structure: a pull scanner over one contiguous text. The nesting is one bit a level. Strings are
 * scanned 16 bytes at a time with SSE2 (part of every x86-64), and 32 at a time with AVX2 once a
 * string turns out to be long and the processor has it; other processors take 8 bytes at a time in
 * a word. A stop is a quote, a backslash or a control character. White space is looked for one byte
 * at a time: log JSON has at most one blank in a place.
 *
 * json_flat does not go through json_next: it is the same helpers in the fixed order
 * key-colon-value, which spares the state between tokens.
 *
 * Limits: depth JSON_DEPTH_MAX (RC_LIMIT beyond), JSON_FLAT_DEPTH levels laid flat; no limit on
 * text size. Rejected: the two-pass design of simdjson (an index of all structural characters
 * first). It wins on documents of megabytes; on lines of 200 bytes the second pass and its index
 * cost what the first saves, and it needs padding behind the input that borrowed text does not
 * have. Source: RFC 8259; the byte-less-than trick in words: S. E. Anderson, Bit Twiddling Hacks,
 * "Determine if a word has a byte less than n". */
#include "codec/json.h"

#include "base/utf8.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum {
    ST_VALUE = 0,  /* a value must follow */
    ST_FIRST_ITEM, /* after [ : a value or ] */
    ST_FIRST_KEY,  /* after { : a key or } */
    ST_AFTER,      /* after a value inside: comma or the end of the container */
    ST_DONE,
    ST_BAD
};

/* ---- character classes ---- */

static inline bool is_space(unsigned char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
static inline bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

FL_INLINE size_t skip_space(const char *p, size_t at, size_t n) {
    while (at < n && is_space((unsigned char)p[at])) at++;
    return at;
}

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* ---- the end of a string ---- */

static inline bool is_stop(unsigned char c) { return c == '"' || c == '\\' || c < 0x20; }

static inline uint64_t load_word(const char *p) {
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    return w;
}

/* High bit set in each byte of w that is a stop (exact up to and including the first one). */
static inline uint64_t word_stops(uint64_t w) {
    const uint64_t ones = 0x0101010101010101u, high = ones << 7;
    uint64_t q = w ^ (ones * '"'), b = w ^ (ones * '\\');
    return (((q - ones) & ~q) | ((b - ones) & ~b) | ((w - ones * 0x20) & ~w)) & high;
}

#if defined(__SSE2__)
static inline unsigned stops16(const char *p) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i q = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i b = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(q, b), low));
}

/* From `at`, whole steps of 32 bytes only: the first stop, or where fewer than 32 bytes are left.
 */
__attribute__((target("avx2"), noinline)) static size_t scan_avx2(const char *p, size_t at,
                                                                  size_t n) {
    const __m256i quote = _mm256_set1_epi8('"'), back = _mm256_set1_epi8('\\');
    const __m256i ctl = _mm256_set1_epi8(0x1f);
    for (; n - at >= 32; at += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + at));
        __m256i m = _mm256_or_si256(
            _mm256_or_si256(_mm256_cmpeq_epi8(v, quote), _mm256_cmpeq_epi8(v, back)),
            _mm256_cmpeq_epi8(_mm256_min_epu8(v, ctl), v));
        unsigned stops = (unsigned)_mm256_movemask_epi8(m);
        if (stops) return at + (unsigned)__builtin_ctz(stops);
    }
    return at;
}
#endif

/* The first stop at or after `at`, or n. */
FL_INLINE size_t scan_string(const char *p, size_t at, size_t n) {
#if defined(__SSE2__)
    size_t steps = 0;
    while (n - at >= 16) {
        unsigned stops = stops16(p + at);
        if (stops) return at + (unsigned)__builtin_ctz(stops);
        at += 16;
        if (UNLIKELY(++steps == 4) && __builtin_cpu_supports("avx2")) at = scan_avx2(p, at, n);
    }
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (n - at >= 8) {
        uint64_t stops = word_stops(load_word(p + at));
        if (stops) return at + (unsigned)__builtin_ctzll(stops) / 8;
        at += 8;
    }
#endif
    while (at < n && !is_stop((unsigned char)p[at])) at++;
    return at;
}

/* p[at] is the backslash. Returns where the escape ends, 0 when it is none, n + 1 when the text
 * ends inside it. */
static size_t scan_escape(const char *p, size_t at, size_t n) {
    if (n - at < 2) return n + 1;
    switch (p[at + 1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 2;
    case 'u':
        for (size_t i = 2; i < 6; i++) {
            if (at + i == n) return n + 1;
            if (hex_digit(p[at + i]) < 0) return 0;
        }
        return at + 6;
    default:
        return 0;
    }
}

/* A failed scan: where, and what is wrong there. `what` is static text; NULL while all is well. */
typedef struct scan_fault {
    const char *what;
    size_t at;
    bool limit;
} scan_fault;

static bool fault(scan_fault *f, const char *what, size_t at) {
    f->what = what;
    f->at = at;
    return false;
}

/* in.p[*at] is the opening quote; on success *at is behind the closing one. */
FL_INLINE bool scan_text(str in, size_t *at, bool raw_controls, json_tok *ret, scan_fault *f) {
    size_t from = *at + 1, i = from;
    bool escaped = false;
    for (;;) {
        i = scan_string(in.p, i, in.n);
        if (UNLIKELY(i >= in.n)) return fault(f, "string without end", in.n);
        if (LIKELY(in.p[i] == '"')) break;
        if (in.p[i] == '\\') {
            size_t behind = scan_escape(in.p, i, in.n);
            if (!behind) return fault(f, "bad escape in string", i);
            if (behind > in.n) return fault(f, "string without end", in.n);
            escaped = true;
            i = behind;
        } else if (raw_controls) {
            i++;
        } else {
            return fault(f, "control character in string", i);
        }
    }
    ret->escaped = escaped;
    ret->text = (str){in.p + from, i - from};
    ret->offset = *at;
    *at = i + 1;
    return true;
}

/* in.p[*at] is '-' or a digit. Grammar of RFC 8259 section 6. */
FL_INLINE bool scan_number(str in, size_t *at, json_tok *ret, scan_fault *f) {
    const char *p = in.p;
    size_t i = *at, n = in.n;
    if (p[i] == '-') i++;
    if (i < n && p[i] == '0') {
        i++;
    } else {
        size_t digits = i;
        while (i < n && is_digit(p[i])) i++;
        if (i == digits) return fault(f, "number without digits", i);
    }
    if (i < n && p[i] == '.') {
        size_t digits = ++i;
        while (i < n && is_digit(p[i])) i++;
        if (i == digits) return fault(f, "number without digits after the point", i);
    }
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        i++;
        if (i < n && (p[i] == '+' || p[i] == '-')) i++;
        size_t digits = i;
        while (i < n && is_digit(p[i])) i++;
        if (i == digits) return fault(f, "number without digits in the exponent", i);
    }
    ret->kind = JSON_NUMBER;
    ret->escaped = false;
    ret->text = (str){p + *at, i - *at};
    ret->offset = *at;
    *at = i;
    return true;
}

static bool scan_literal(str in, size_t *at, json_tok *ret, scan_fault *f) {
    str rest = str_from(in, *at), lit;
    if (str_starts(rest, S("true"))) {
        ret->kind = JSON_TRUE;
        lit = S("true");
    } else if (str_starts(rest, S("false"))) {
        ret->kind = JSON_FALSE;
        lit = S("false");
    } else if (str_starts(rest, S("null"))) {
        ret->kind = JSON_NULL;
        lit = S("null");
    } else {
        bool cut = rest.n < 5 && (str_starts(S("true"), rest) || str_starts(S("false"), rest) ||
                                  str_starts(S("null"), rest));
        return fault(f, "expected a value", cut ? in.n : *at);
    }
    ret->escaped = false;
    ret->text = (str){rest.p, lit.n};
    ret->offset = *at;
    *at += lit.n;
    return true;
}

/* Anything but an array or object. at < in.n. */
FL_INLINE bool scan_scalar(str in, size_t *at, bool raw_controls, json_tok *ret, scan_fault *f) {
    char c = in.p[*at];
    if (c == '"') {
        ret->kind = JSON_STRING;
        return scan_text(in, at, raw_controls, ret, f);
    }
    if (is_digit(c) || c == '-') return scan_number(in, at, ret, f);
    return scan_literal(in, at, ret, f);
}

static __attribute__((noinline)) rc report(const scan_fault *f, size_t n, err *e) {
    if (f->limit) return FAIL(e, RC_LIMIT, "JSON: %s at byte %zu", f->what, f->at);
    if (f->at >= n) return FAIL(e, RC_INVALID, "JSON: text ends early, at byte %zu", n);
    return FAIL(e, RC_INVALID, "JSON: %s at byte %zu", f->what, f->at);
}

/* ---- the pull reader ---- */

void json_init(json_reader *r, str in) { *r = (json_reader){.in = in}; }

static inline bool inside_object(const json_reader *r) {
    unsigned level = r->depth - 1;
    return r->is_object[level / 64] >> (level % 64) & 1;
}

static inline void one_byte(json_reader *r, json_kind kind, json_tok *ret) {
    *ret = (json_tok){.kind = kind, .text = {r->in.p + r->at, 1}, .offset = r->at};
    r->at++;
}

static bool enter(json_reader *r, bool object, json_tok *ret, scan_fault *f) {
    if (r->depth == JSON_DEPTH_MAX) {
        f->limit = true;
        return fault(f, "nested too deep", r->at);
    }
    uint64_t bit = (uint64_t)1 << (r->depth % 64), *word = &r->is_object[r->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    r->depth++;
    r->state = object ? ST_FIRST_KEY : ST_FIRST_ITEM;
    one_byte(r, object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN, ret);
    return true;
}

static inline void leave(json_reader *r, json_kind kind, json_tok *ret) {
    one_byte(r, kind, ret);
    r->depth--;
    r->state = r->depth ? ST_AFTER : ST_DONE;
}

FL_INLINE bool next_value(json_reader *r, json_tok *ret, scan_fault *f) {
    if (UNLIKELY(r->at >= r->in.n)) return fault(f, "expected a value", r->at);
    char c = r->in.p[r->at];
    if (c == '{') return enter(r, true, ret, f);
    if (c == '[') return enter(r, false, ret, f);
    if (!scan_scalar(r->in, &r->at, r->raw_controls, ret, f)) return false;
    r->state = r->depth ? ST_AFTER : ST_DONE;
    return true;
}

/* A key and the colon behind it. */
FL_INLINE bool next_key(json_reader *r, json_tok *ret, scan_fault *f) {
    if (r->at >= r->in.n || r->in.p[r->at] != '"') return fault(f, "expected a key", r->at);
    ret->kind = JSON_KEY;
    if (!scan_text(r->in, &r->at, r->raw_controls, ret, f)) return false;
    r->at = skip_space(r->in.p, r->at, r->in.n);
    if (r->at >= r->in.n || r->in.p[r->at] != ':') return fault(f, "expected ':'", r->at);
    r->at++;
    r->state = ST_VALUE;
    return true;
}

static bool next_token(json_reader *r, json_tok *ret, scan_fault *f) {
    const char *p = r->in.p;
    size_t n = r->in.n;
    r->at = skip_space(p, r->at, n);
    switch (r->state) {
    case ST_FIRST_ITEM:
        if (r->at < n && p[r->at] == ']') {
            leave(r, JSON_ARRAY_END, ret);
            return true;
        }
        return next_value(r, ret, f);
    case ST_VALUE:
        return next_value(r, ret, f);
    case ST_FIRST_KEY:
        if (r->at < n && p[r->at] == '}') {
            leave(r, JSON_OBJECT_END, ret);
            return true;
        }
        return next_key(r, ret, f);
    case ST_AFTER: {
        bool object = inside_object(r);
        if (r->at >= n) return fault(f, object ? "expected ',' or '}'" : "expected ',' or ']'", n);
        if (p[r->at] == ',') {
            r->at = skip_space(p, r->at + 1, n);
            return object ? next_key(r, ret, f) : next_value(r, ret, f);
        }
        if (p[r->at] != (object ? '}' : ']')) {
            return fault(f, object ? "expected ',' or '}'" : "expected ',' or ']'", r->at);
        }
        leave(r, object ? JSON_OBJECT_END : JSON_ARRAY_END, ret);
        return true;
    }
    default:
        return fault(f, "reading goes on after an error", r->at);
    }
}

rc json_next(json_reader *r, json_tok *ret, err *e) {
    MUST(r->depth <= JSON_DEPTH_MAX);
    if (UNLIKELY(r->state == ST_DONE)) return RC_END;
    scan_fault f = {0};
    json_tok t = {0};
    if (LIKELY(next_token(r, &t, &f))) {
        *ret = t;
        return RC_OK;
    }
    r->state = ST_BAD;
    r->at = f.at;
    return report(&f, r->in.n, e);
}

rc json_skip(json_reader *r, const json_tok *begin, err *e) {
    json_tok t = *begin;
    rc code;
    if (t.kind == JSON_KEY) {
        code = json_next(r, &t, e);
        if (code != RC_OK) return code;
    }
    if (t.kind != JSON_OBJECT_BEGIN && t.kind != JSON_ARRAY_BEGIN) return RC_OK;
    MUST(r->depth > 0);
    unsigned outside = r->depth - 1;
    while (r->depth > outside) {
        code = json_next(r, &t, e);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

/* ---- text ---- */

static unsigned hex4(const char *p) {
    unsigned v = 0;
    for (int i = 0; i < 4; i++) v = v << 4 | (unsigned)hex_digit(p[i]);
    return v;
}

/* p[0..1] is "\u" and four hex digits follow (scan_escape saw to it). Returns bytes read. */
static size_t unescape_unicode(const char *p, size_t left, char **out) {
    uint32_t c = hex4(p + 2);
    size_t used = 6;
    if (c >= 0xd800 && c < 0xdc00 && left >= 12 && p[6] == '\\' && p[7] == 'u') {
        uint32_t low = hex4(p + 8);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            used = 12;
        }
    }
    if (c >= 0xd800 && c < 0xe000) c = 0xfffd;
    *out += utf8_put(*out, c);
    return used;
}

rc json_text(const json_tok *t, arena *out, str *ret, err *e) {
    if (!t->escaped) {
        *ret = t->text;
        return RC_OK;
    }
    /* Unescaping never makes text longer: \u takes 6 bytes and gives 3 at most. */
    const char *p = t->text.p, *end = p + t->text.n;
    char *to = arena_try_bytes(out, t->text.n, 1);
    if (!to) return FAIL(e, RC_LIMIT, "JSON: no room to unescape %zu bytes", t->text.n);
    char *w = to;
    while (p < end) {
        const char *back = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((back ? back : end) - p);
        memcpy(w, p, plain);
        w += plain;
        p += plain;
        if (!back) break;
        MUST(end - p >= 2);
        switch (p[1]) {
        case 'b':
            *w++ = '\b';
            break;
        case 'f':
            *w++ = '\f';
            break;
        case 'n':
            *w++ = '\n';
            break;
        case 'r':
            *w++ = '\r';
            break;
        case 't':
            *w++ = '\t';
            break;
        case 'u':
            p += unescape_unicode(p, (size_t)(end - p), &w);
            continue;
        default:
            *w++ = p[1];
            break;
        }
        p += 2;
    }
    MUST((size_t)(w - to) <= t->text.n);
    *ret = (str){to, (size_t)(w - to)};
    return RC_OK;
}

rc json_validate(str in, err *e) {
    json_reader r;
    json_init(&r, in);
    json_tok t;
    rc code;
    while ((code = json_next(&r, &t, e)) == RC_OK) {}
    if (code != RC_END) return code;
    size_t at = skip_space(in.p, r.at, in.n);
    if (at < in.n)
        return FAIL(e, RC_INVALID, "JSON: text goes on after the value, at byte %zu", at);
    if (utf8_valid(in)) return RC_OK;
    size_t next = 0;
    for (at = 0; utf8_next(in, &next) != UTF8_BAD; at = next) {}
    return FAIL(e, RC_INVALID, "JSON: invalid UTF-8 at byte %zu", at);
}

/* ---- flat objects ---- */

typedef struct flat {
    str in;
    size_t at;
    bool raw_controls;
    unsigned depth_max;
    arena *out;
    json_member *members;
    size_t cap, total;
    scan_fault fault;
} flat;

static bool flat_limit(flat *f, const char *what, size_t at) {
    f->fault.limit = true;
    return fault(&f->fault, what, at);
}

/* The array or object at f->at as one token. */
static bool flat_whole(flat *f, unsigned depth, json_tok *ret) {
    json_reader r = {.in = f->in, .at = f->at, .raw_controls = f->raw_controls};
    json_tok t = {0};
    unsigned deepest = JSON_DEPTH_MAX - depth;
    size_t from = f->at;
    ret->kind = f->in.p[from] == '{' ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
    do {
        if (!next_token(&r, &t, &f->fault)) {
            f->fault.limit = false; /* too deep is damage here: RC_LIMIT says that `out` is full */
            return false;
        }
        if (r.depth > deepest) return fault(&f->fault, "nested too deep", t.offset);
    } while (r.state != ST_DONE);
    ret->escaped = false;
    ret->text = (str){f->in.p + from, r.at - from};
    ret->offset = from;
    f->at = r.at;
    return true;
}

static bool flat_key(flat *f, str prefix, const json_tok *key, str *ret) {
    str name;
    if (json_text(key, f->out, &name, NULL) != RC_OK) return flat_limit(f, "no room", key->offset);
    if (prefix.n == 0) {
        *ret = name;
        return true;
    }
    char *p = arena_try_bytes(f->out, prefix.n + 1 + name.n, 1);
    if (!p) return flat_limit(f, "no room", key->offset);
    memcpy(p, prefix.p, prefix.n);
    p[prefix.n] = '.';
    if (name.n) memcpy(p + prefix.n + 1, name.p, name.n);
    *ret = (str){p, prefix.n + 1 + name.n};
    return true;
}

/* f->at is at the opening brace. Recursion is bounded by depth_max <= JSON_FLAT_DEPTH. */
static bool flat_object(flat *f, str prefix, unsigned depth) {
    const char *p = f->in.p;
    size_t n = f->in.n;
    f->at = skip_space(p, f->at + 1, n);
    bool first = true;
    for (;; first = false) {
        if (UNLIKELY(f->at >= n)) return fault(&f->fault, "expected a key", n);
        if (first && p[f->at] == '}') break;
        if (UNLIKELY(p[f->at] != '"')) return fault(&f->fault, "expected a key", f->at);
        json_tok key;
        if (!scan_text(f->in, &f->at, f->raw_controls, &key, &f->fault)) return false;
        f->at = skip_space(p, f->at, n);
        if (f->at >= n || p[f->at] != ':') return fault(&f->fault, "expected ':'", f->at);
        f->at = skip_space(p, f->at + 1, n);
        if (f->at >= n) return fault(&f->fault, "expected a value", n);

        json_tok val;
        char c = p[f->at];
        bool nested = false;
        if (c == '{' || c == '[') {
            size_t inside = skip_space(p, f->at + 1, n);
            nested = c == '{' && depth < f->depth_max && !(inside < n && p[inside] == '}');
            if (nested) {
                str path;
                if (!flat_key(f, prefix, &key, &path) || !flat_object(f, path, depth + 1)) {
                    return false;
                }
            } else if (!flat_whole(f, depth, &val)) {
                return false;
            }
        } else if (!scan_scalar(f->in, &f->at, f->raw_controls, &val, &f->fault)) {
            return false;
        }
        if (!nested && f->total++ < f->cap) {
            json_member *m = &f->members[f->total - 1];
            if (LIKELY(prefix.n == 0 && !key.escaped)) {
                m->key = key.text;
            } else if (!flat_key(f, prefix, &key, &m->key)) {
                f->total--;
                return false;
            }
            m->val = val;
        }

        f->at = skip_space(p, f->at, n);
        if (UNLIKELY(f->at >= n)) return fault(&f->fault, "expected ',' or '}'", n);
        if (p[f->at] == '}') break;
        if (p[f->at] != ',') return fault(&f->fault, "expected ',' or '}'", f->at);
        f->at = skip_space(p, f->at + 1, n);
    }
    f->at++;
    return true;
}

rc json_flat(str in, const json_flat_opts *opts, arena *out, json_member *members, size_t cap,
             size_t *ret_total, size_t *ret_used, err *e) {
    unsigned depth = opts->depth ? opts->depth : JSON_FLAT_DEPTH;
    MUST(depth <= JSON_FLAT_DEPTH);
    flat f = {.in = in,
              .raw_controls = opts->raw_controls,
              .depth_max = depth,
              .out = out,
              .members = members,
              .cap = cap};
    f.at = skip_space(in.p, 0, in.n);
    bool ok;
    if (f.at >= in.n || in.p[f.at] != '{') {
        ok = fault(&f.fault, "expected an object", f.at);
    } else {
        ok = flat_object(&f, STR_NONE, 1);
    }
    if (!ok && f.fault.limit) return report(&f.fault, in.n, e);
    *ret_total = f.total;
    *ret_used = ok ? f.at : f.fault.at;
    return ok ? RC_OK : report(&f.fault, in.n, e);
}
