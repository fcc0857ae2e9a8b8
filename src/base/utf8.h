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
