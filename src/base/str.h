/* str.h - text by value: a pointer and a length, not NUL-terminated, may hold NUL bytes. Borrows.
 */
#ifndef FL_BASE_STR_H
#define FL_BASE_STR_H

#include "base/defs.h"

struct arena;

typedef struct str {
    const char *p;
    size_t n;
} str;

#define S(lit) ((str){(lit), sizeof(lit) - 1})
#define S_INIT(lit)                                                                                \
    { (lit), sizeof(lit) - 1 }       /* for static initialisers */
#define STR_ARG(s) (int)(s).n, (s).p /* printf("%.*s", STR_ARG(s)) */
#define STR_NONE   ((str){NULL, 0})
#define STR_NPOS   SIZE_MAX

static inline str str_make(const char *p, size_t n) { return (str){p, n}; }
static inline str str_c(const char *c) { return c ? (str){c, strlen(c)} : STR_NONE; }
static inline bool str_eq(str a, str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_starts(str s, str prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool str_ends(str s, str suffix) {
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
/* The part [from, from+n), clipped to s. */
static inline str str_sub(str s, size_t from, size_t n) {
    if (from > s.n) from = s.n;
    if (n > s.n - from) n = s.n - from;
    return (str){s.p ? s.p + from : NULL, n}; /* NULL + 0 is undefined */
}
static inline str str_from(str s, size_t from) { return str_sub(s, from, SIZE_MAX); }
/* memcmp order, shorter first on a tie: <0, 0, >0. */
int str_cmp(str a, str b);
/* ASCII case folded. */
bool str_eq_nocase(str a, str b);
bool str_starts_nocase(str s, str prefix);
/* First position of needle at or after `from`, or STR_NPOS. */
size_t str_find(str hay, str needle, size_t from);
size_t str_find_nocase(str hay, str needle, size_t from);
size_t str_find_char(str hay, char c, size_t from);
size_t str_rfind_char(str hay, char c);
static inline bool str_has(str hay, str needle) { return str_find(hay, needle, 0) != STR_NPOS; }
/* Strips ASCII white space (space, \t, \r, \n, \v, \f). */
str str_trim(str s);
str str_trim_right(str s);
/* Takes the part before the next `sep` off the front of *rest. False when *rest is exhausted. An
 * empty last field after a final separator is returned once. Start with *rest = the whole text. */
bool str_next(str *rest, char sep, str *ret_part);
/* 64-bit hash (XXH3), the same on every machine and in every version: used in stored names. */
uint64_t str_hash(str s);
uint64_t str_hash_seed(str s, uint64_t seed);
/* Returns a copy owned by `out`; str_c_dup is NUL-terminated. NULL p when the arena is full. */
str str_dup(struct arena *out, str s);
const char *str_c_dup(struct arena *out, str s);
/* Copy formatted text into the arena. */
str str_fmt(struct arena *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
