/* buf.h - appendable text with a maximum set at init. Appending past it fails and leaves the buffer
 * as it was, with `full` set; writers that only produce bounded text may check `full` once at the
 * end. */
#ifndef FL_BASE_BUF_H
#define FL_BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

typedef struct buf {
    char *p;
    size_t n, cap;    /* one byte more than cap is allocated, for a final NUL */
    size_t max_bytes; /* the limit on n */
    bool full;        /* an append did not fit */
} buf;

void buf_init(buf *b, size_t max_bytes);
void buf_release(buf *b);
void buf_reset(buf *b);
static inline str buf_str(const buf *b) { return (str){b->p, b->n}; }
/* False when full. */
bool buf_reserve(buf *b, size_t more_bytes);
static inline bool buf_put(buf *b, str s) {
    if (UNLIKELY(s.n > b->cap - b->n) && !buf_reserve(b, s.n)) return false;
    if (s.n) memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    return true;
}
static inline bool buf_putc(buf *b, char c) {
    if (UNLIKELY(b->n == b->cap) && !buf_reserve(b, 1)) return false;
    b->p[b->n++] = c;
    return true;
}
bool buf_pad(buf *b, char c, size_t count);
bool buf_fmt(buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool buf_u64(buf *b, uint64_t v);
bool buf_i64(buf *b, int64_t v);
/* Shortest text that reads back equal; "NaN", "Infinity", "-Infinity". */
bool buf_double(buf *b, double v);
/* Text as a JSON string with quotes; invalid UTF-8 becomes U+FFFD. */
bool buf_json(buf *b, str s);
/* Text escaped for HTML content and double-quoted attributes. */
bool buf_html(buf *b, str s);
/* Integers little-endian, for stored formats. */
bool buf_le32(buf *b, uint32_t v);
bool buf_le64(buf *b, uint64_t v);
bool buf_varint(buf *b, uint64_t v); /* LEB128 */
/* The text with a NUL behind it (not counted in n). NULL when memory is out. Valid until the next
 * append. */
const char *buf_c(buf *b);

#endif
