/* intcode.h - sequences of 64-bit integers, and of doubles, to few bytes and back: the values and
 * times of metric series at level 1. Self-delimiting: a reader passes the front of what is left.
 * Decoding checks everything (RC_CORRUPT) and costs O(n) whatever the bytes say. */
#ifndef FL_STORE_INTCODE_H
#define FL_STORE_INTCODE_H

#include "base/buf.h"
#include "base/err.h"

enum { INTCODE_MAX = 1 << 24 }; /* values of one sequence */

/* False when out is full or memory is out. */
MUST_CHECK bool intcode_put(buf *out, const int64_t *v, size_t n);
/* The same without looking for a small form: constant, or 8 bytes a value. */
MUST_CHECK bool intcode_put_fast(buf *out, const int64_t *v, size_t n);
/* Takes the sequence off the front of *in. */
MUST_CHECK rc intcode_get(str *in, size_t n, int64_t *to, err *e);

/* Bits of doubles: NaN payloads and signs of zero survive. */
MUST_CHECK bool f64code_put(buf *out, const int64_t *bits, size_t n);
MUST_CHECK bool f64code_put_fast(buf *out, const int64_t *bits, size_t n);
MUST_CHECK rc f64code_get(str *in, size_t n, int64_t *bits, err *e);

/* Unsigned LEB128 off the front of *in, at most max. False: damaged. */
bool take_varint(str *in, uint64_t max, uint64_t *ret);
/* n bytes off the front. */
bool take_bytes(str *in, size_t n, str *ret);

static inline uint64_t zigzag_of(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static inline int64_t zigzag_to(uint64_t u) { return (int64_t)(u >> 1 ^ -(u & 1)); }

#endif
