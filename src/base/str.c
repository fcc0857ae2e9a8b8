#include "base/str.h"

#include "base/arena.h"

#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static unsigned char fold(char c) { return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

static bool equal_nocase(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (fold(a[i]) != fold(b[i])) return false;
    return true;
}

int str_cmp(str a, str b) {
    size_t n = MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order) return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool str_eq_nocase(str a, str b) { return a.n == b.n && equal_nocase(a.p, b.p, a.n); }

bool str_starts_nocase(str s, str prefix) {
    return s.n >= prefix.n && equal_nocase(s.p, prefix.p, prefix.n);
}

size_t str_find(str hay, str needle, size_t from) {
    if (from > hay.n) return STR_NPOS;
    if (needle.n == 0) return from;
    if (needle.n > hay.n - from) return STR_NPOS;
    const char *hit = memmem(hay.p + from, hay.n - from, needle.p, needle.n);
    return hit ? (size_t)(hit - hay.p) : STR_NPOS;
}

size_t str_find_nocase(str hay, str needle, size_t from) {
    if (from > hay.n) return STR_NPOS;
    if (needle.n == 0) return from;
    if (needle.n > hay.n - from) return STR_NPOS;
    unsigned char first = fold(needle.p[0]);
    for (size_t i = from; i <= hay.n - needle.n; i++)
        if (fold(hay.p[i]) == first && equal_nocase(hay.p + i, needle.p, needle.n)) return i;
    return STR_NPOS;
}

size_t str_find_char(str hay, char c, size_t from) {
    if (from >= hay.n) return STR_NPOS;
    const char *hit = memchr(hay.p + from, c, hay.n - from);
    return hit ? (size_t)(hit - hay.p) : STR_NPOS;
}

size_t str_rfind_char(str hay, char c) {
    if (hay.n == 0) return STR_NPOS;
    const char *hit = memrchr(hay.p, c, hay.n);
    return hit ? (size_t)(hit - hay.p) : STR_NPOS;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

str str_trim_right(str s) {
    while (s.n > 0 && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

str str_trim(str s) {
    s = str_trim_right(s);
    while (s.n > 0 && is_space(s.p[0])) s.p++, s.n--;
    return s;
}

bool str_next(str *rest, char sep, str *ret_part) {
    if (!rest->p) return false; /* p == NULL marks "exhausted" */
    size_t at = str_find_char(*rest, sep, 0);
    if (at == STR_NPOS) {
        *ret_part = *rest;
        *rest = STR_NONE;
    } else {
        *ret_part = str_make(rest->p, at);
        *rest = str_make(rest->p + at + 1, rest->n - at - 1);
    }
    return true;
}

uint64_t str_hash(str s) { return XXH3_64bits(s.p, s.n); }
uint64_t str_hash_seed(str s, uint64_t seed) { return XXH3_64bits_withSeed(s.p, s.n, seed); }

str str_dup(struct arena *out, str s) {
    if (s.n == 0) return S("");
    char *p = arena_try_raw(out, s.n, 1);
    if (!p) return STR_NONE;
    memcpy(p, s.p, s.n);
    return str_make(p, s.n);
}

const char *str_c_dup(struct arena *out, str s) {
    if (s.n == SIZE_MAX) return NULL;
    char *p = arena_try_raw(out, s.n + 1, 1);
    if (!p) return NULL;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

str str_fmt(struct arena *out, const char *fmt, ...) {
    char small[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < 0) return STR_NONE;
    if ((size_t)n < sizeof small) return str_dup(out, str_make(small, (size_t)n));
    char *p = arena_try_raw(out, (size_t)n + 1, 1);
    if (!p) return STR_NONE;
    va_start(args, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return str_make(p, (size_t)n);
}
