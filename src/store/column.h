/* column.h - arrays of values to bytes and back: what blocks are made of.
 *
 * A column is self-describing: one byte of encoding, then what that encoding needs; the number of
 * values is kept by the block. level 0 is fast (ingest), level 1 is small (compaction): it tries
 * the encodings that can fit the data and keeps the smallest, then zstd when that pays. Decoding
 * checks everything: RC_CORRUPT on damage, never more work or memory than `count` values allow.
 *
 * Encodings (top of each .c has the formats): constant, run length, delta, delta of delta, bit
 * packing with exceptions (PFOR), dictionary; for doubles also decimals as integers, XOR (Gorilla /
 * Chimp), and byte planes; for texts also typed forms that give the exact text back: decimal and
 * hexadecimal numbers of fixed or free width, fixed patterns of alternating digits and letters
 * (times, addresses, uuids) as sub-columns, common prefix and suffix. Floats: NaN payloads survive.
 */
#ifndef FL_STORE_COLUMN_H
#define FL_STORE_COLUMN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* False when `out` is full. */
MUST_CHECK bool col_put_i64(buf *out, const int64_t *v, size_t count, int level);
MUST_CHECK bool col_put_f64(buf *out, const double *v, size_t count, int level);
MUST_CHECK bool col_put_str(buf *out, const str *v, size_t count, int level);
MUST_CHECK bool col_put_fixed(buf *out, const void *v, size_t width, size_t count,
                              int level); /* ids: width bytes each */

MUST_CHECK rc col_get_i64(str col, size_t count, int64_t *to, err *e);
MUST_CHECK rc col_get_f64(str col, size_t count, double *to, err *e);
/* Texts live in `mem` (or borrow from col when it holds them plainly). */
MUST_CHECK rc col_get_str(str col, size_t count, arena *mem, str *to, err *e);
MUST_CHECK rc col_get_fixed(str col, size_t width, size_t count, void *to, err *e);

#endif
