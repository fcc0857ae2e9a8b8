#include "base/buf.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_MIN_BYTES = 64 };

void buf_init(buf *b, size_t max_bytes) {
    MUST(max_bytes < SIZE_MAX);
    *b = (buf){.max_bytes = max_bytes};
}

void buf_release(buf *b) {
    if (!b) return;
    mem_free(b->p);
    *b = (buf){.max_bytes = b->max_bytes};
}

void buf_reset(buf *b) {
    b->n = 0;
    b->full = false;
}

bool buf_reserve(buf *b, size_t more_bytes) {
    MUST(b->n <= b->cap && b->cap <= b->max_bytes);
    if (more_bytes <= b->cap - b->n && b->p) return true;
    if (more_bytes > b->max_bytes - b->n) {
        b->full = true;
        return false;
    }
    size_t need = b->n + more_bytes;
    size_t cap = b->cap <= b->max_bytes / 2 ? b->cap * 2 : b->max_bytes;
    cap = MIN(MAX(MAX(cap, need), (size_t)BUF_MIN_BYTES), b->max_bytes);
    char *p = mem_try_grow_raw(b->p, cap + 1);
    if (!p) {
        b->full = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

const char *buf_c(buf *b) {
    if (!buf_reserve(b, 0)) return NULL;
    b->p[b->n] = '\0';
    return b->p;
}

bool buf_pad(buf *b, char c, size_t count) {
    if (!buf_reserve(b, count)) return false;
    memset(b->p + b->n, c, count);
    b->n += count;
    return true;
}

bool buf_fmt(buf *b, const char *fmt, ...) {
    if (!buf_reserve(b, 0)) return false;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(b->p + b->n, b->cap - b->n + 1, fmt, args);
    va_end(args);
    if (n < 0) {
        b->full = true;
        return false;
    }
    if ((size_t)n > b->cap - b->n) {
        if (!buf_reserve(b, (size_t)n)) return false;
        va_start(args, fmt);
        int again = vsnprintf(b->p + b->n, b->cap - b->n + 1, fmt, args);
        va_end(args);
        MUST(again == n);
    }
    b->n += (size_t)n;
    return true;
}

/* Digits of v, right-aligned in text[20]; returns where they begin. */
static size_t digits_u64(char text[20], uint64_t v) {
    size_t at = 20;
    do text[--at] = (char)('0' + v % 10);
    while (v /= 10);
    return at;
}

bool buf_u64(buf *b, uint64_t v) {
    char text[20];
    size_t at = digits_u64(text, v);
    return buf_put(b, str_make(text + at, 20 - at));
}

bool buf_i64(buf *b, int64_t v) {
    char text[21];
    size_t at = 1 + digits_u64(text + 1, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0) text[--at] = '-';
    return buf_put(b, str_make(text + at, 21 - at));
}

/* Fifteen digits survive text -> double -> text, so for normal numbers the shortest text is the
 * first of 15, 16, 17 digits that reads back equal (%g drops the zeros). Subnormals have fewer
 * digits. */
bool buf_double(buf *b, double v) {
    if (isnan(v)) return buf_put(b, S("NaN"));
    if (isinf(v)) return buf_put(b, v < 0 ? S("-Infinity") : S("Infinity"));
    if (fabs(v) < 1e15 && v == (double)(int64_t)v && !(v == 0 && signbit(v)))
        return buf_i64(b, (int64_t)v);
    char text[40];
    int n = 0;
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    MUST(n > 0 && (size_t)n < sizeof text);
    return buf_put(b, str_make(text, (size_t)n));
}

/* Takes back what a writer of several pieces had put before one did not fit. */
static bool undo(buf *b, size_t n) {
    b->n = n;
    return false;
}

bool buf_json(buf *b, str s) {
    static const char SHORT[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char HEX[] = "0123456789abcdef";
    size_t start = b->n;
    if (!buf_putc(b, '"')) return undo(b, start);
    size_t run = 0; /* start of the bytes not yet written */
    for (size_t at = 0; at < s.n;) {
        unsigned char c = (unsigned char)s.p[at];
        if (LIKELY(c >= 0x20 && c < 0x80 && c != '"' && c != '\\')) {
            at++;
            continue;
        }
        size_t here = at;
        char text[8];
        size_t n;
        if (c >= 0x80) {
            if (utf8_next(s, &at) != UTF8_BAD) continue;
            n = utf8_put(text, 0xFFFD);
        } else {
            at++;
            text[0] = '\\';
            n = 2;
            if (c >= 0x20) {
                text[1] = (char)c;
            } else if (SHORT[c]) {
                text[1] = SHORT[c];
            } else {
                memcpy(text + 1, "u00", 3);
                text[4] = HEX[c >> 4];
                text[5] = HEX[c & 15];
                n = 6;
            }
        }
        if (!buf_put(b, str_make(s.p + run, here - run)) || !buf_put(b, str_make(text, n)))
            return undo(b, start);
        run = at;
    }
    if (s.n > run && !buf_put(b, str_make(s.p + run, s.n - run))) return undo(b, start);
    if (!buf_putc(b, '"')) return undo(b, start);
    return true;
}

bool buf_html(buf *b, str s) {
    size_t start = b->n, run = 0;
    for (size_t at = 0; at < s.n; at++) {
        str entity;
        switch (s.p[at]) {
        case '&':
            entity = S("&amp;");
            break;
        case '<':
            entity = S("&lt;");
            break;
        case '>':
            entity = S("&gt;");
            break;
        case '"':
            entity = S("&quot;");
            break;
        case '\'':
            entity = S("&#39;");
            break;
        default:
            continue;
        }
        if (!buf_put(b, str_make(s.p + run, at - run)) || !buf_put(b, entity))
            return undo(b, start);
        run = at + 1;
    }
    if (s.n > run && !buf_put(b, str_make(s.p + run, s.n - run))) return undo(b, start);
    return true;
}

static bool put_le(buf *b, uint64_t v, size_t bytes) {
    char out[8];
    for (size_t i = 0; i < bytes; i++) out[i] = (char)(v >> (8 * i) & 0xFF);
    return buf_put(b, str_make(out, bytes));
}

bool buf_le32(buf *b, uint32_t v) { return put_le(b, v, 4); }
bool buf_le64(buf *b, uint64_t v) { return put_le(b, v, 8); }

bool buf_varint(buf *b, uint64_t v) {
    char out[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) out[n++] = (char)(v | 0x80);
    out[n++] = (char)v;
    return buf_put(b, str_make(out, n));
}
