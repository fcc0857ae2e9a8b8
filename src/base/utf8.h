/* utf8.h - UTF-8 by the Unicode standard (table 3-7): no overlong forms, no surrogates, at most
 * U+10FFFF. */
#ifndef FL_BASE_UTF8_H
#define FL_BASE_UTF8_H

#include "base/str.h"

#define UTF8_BAD UINT32_MAX

/* The code point at *at (< s.n); moves *at past it. UTF8_BAD for an ill-formed sequence: *at then
 * moves past its longest well-formed beginning, at least one byte (what one U+FFFD stands for). */
uint32_t utf8_next(str s, size_t *at);
bool utf8_valid(str s);
/* A copy in which what is ill-formed is U+FFFD. NULL p when the arena is full. */
str utf8_repaired(str s, struct arena *out);
/* No byte above 0x7f. Reads whole words, the last two overlapping, never outside s. */
FL_INLINE bool utf8_is_ascii(str s) {
    const char *p = s.p;
    size_t n = s.n;
    const uint64_t high = 0x8080808080808080u;
    uint64_t a, b, all = 0;
    if (n >= 8) {
        for (size_t at = 0; at + 8 < n; at += 8) {
            memcpy(&a, p + at, 8);
            all |= a;
        }
        memcpy(&b, p + n - 8, 8);
        return ((all | b) & high) == 0;
    }
    if (n >= 4) {
        uint32_t c, d;
        memcpy(&c, p, 4);
        memcpy(&d, p + n - 4, 4);
        return ((c | d) & (uint32_t)high) == 0;
    }
    for (size_t i = 0; i < n; i++) all |= (unsigned char)p[i];
    return (all & 0x80) == 0;
}
/* Encodes cp (a scalar value) into out, returns the length 1..4. */
size_t utf8_put(char out[4], uint32_t cp);
/* Terminal columns: 2 for East Asian wide characters and emoji, 0 for combining marks and control
 * characters, 1 for the rest (an ill-formed sequence too). */
size_t utf8_columns(str s);
/* The longest beginning of s that is at most max_columns wide; never cuts inside a character. */
str utf8_cut_columns(str s, size_t max_columns);
/* At most max_bytes of s, without a cut character at the end. */
str utf8_cut_bytes(str s, size_t max_bytes);

#endif
