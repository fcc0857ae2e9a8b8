/* column_int.h - what the files of columns share: a reader of stored bytes, bits, entropy coding,
 * compression of pieces. Private to store. */
#ifndef FL_STORE_COLUMN_INT_H
#define FL_STORE_COLUMN_INT_H

#include "base/bits.h"
#include "base/num.h"
#include "store/column.h"

enum { COL_DEPTH_MAX = 16, COL_VALUES_MAX = 1 << 24 };

/* A long column written with col_ctx.points has points: it can be read from each COL_STEP-th value
 * on. COL_POINTS in the byte of the encoding says that a piece of them follows. */
enum { COL_STEP = 2048, COL_POINTS = 0x80 };
static inline size_t col_points(size_t count) { return count ? (count - 1) / COL_STEP : 0; }

/* --- reading: nothing is read beyond `end`; a short text sets `bad`, and what is read is 0 --- */
typedef struct col_reader {
    const uint8_t *p, *end;
    bool bad;
} col_reader;

static inline col_reader col_reader_of(str s) {
    const uint8_t *p = (const uint8_t *)s.p;
    return (col_reader){p, p ? p + s.n : p, false};
}
static inline size_t col_left(const col_reader *r) { return (size_t)(r->end - r->p); }
static inline uint8_t col_u8(col_reader *r) {
    if (UNLIKELY(r->p == r->end)) {
        r->bad = true;
        return 0;
    }
    return *r->p++;
}
static inline uint64_t col_varint(col_reader *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (UNLIKELY(r->p == r->end)) break;
        uint8_t b = *r->p++;
        v |= (uint64_t)(b & 127) << shift;
        if (LIKELY(b < 128)) return v;
    }
    r->bad = true;
    return 0;
}
static inline str col_bytes(col_reader *r, uint64_t n) {
    if (UNLIKELY(n > col_left(r))) {
        r->bad = true;
        return STR_NONE;
    }
    str s = {(const char *)r->p, (size_t)n};
    r->p += n;
    return s;
}
/* A piece with its length in front. */
static inline str col_piece(col_reader *r) { return col_bytes(r, col_varint(r)); }
static inline str col_rest(col_reader *r) { return col_bytes(r, col_left(r)); }

static inline uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static inline int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1 ^ (0 - (v & 1))); }

static inline uint64_t load_le64(const void *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v; /* little-endian machines only: base/defs.h says which are supported */
}
static inline uint64_t col_mask(unsigned bits) {
    return bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << bits) - 1;
}

/* --- bits, lowest first --- */
typedef struct bit_writer {
    uint8_t *p;
    uint64_t acc;
    unsigned held; /* bits in acc, < 8 between calls */
} bit_writer;

/* Writes n <= 56 bits; there is room for 8 bytes at p. */
FL_INLINE void bits_put(bit_writer *w, uint64_t v, unsigned n) {
    w->acc |= v << w->held;
    w->held += n;
    memcpy(w->p, &w->acc, 8);
    w->p += w->held >> 3;
    w->acc >>= w->held & ~7u;
    w->held &= 7;
}
FL_INLINE void bits_put64(bit_writer *w, uint64_t v, unsigned n) {
    if (n > 56) {
        bits_put(w, v & 0xffffffff, 32);
        v >>= 32;
        n -= 32;
    }
    bits_put(w, v, n);
}
static inline uint8_t *bits_end(bit_writer *w) {
    if (w->held) *w->p++ = (uint8_t)w->acc;
    return w->p;
}

/* Value i of `bits` bits each, i < count; the caller has checked that the bytes are there. */
FL_INLINE uint64_t bits_at(const uint8_t *p, const uint8_t *end, size_t bit, unsigned bits) {
    const uint8_t *at = p + (bit >> 3);
    unsigned shift = bit & 7;
    if (LIKELY(bits <= 56 && (size_t)(end - at) >= 8))
        return load_le64(at) >> shift & col_mask(bits);
    uint64_t lo = 0, hi = 0;
    size_t n = (size_t)(end - at);
    memcpy(&lo, at, MIN(n, (size_t)8));
    if (n > 8) hi = at[8];
    uint64_t v = lo >> shift;
    if (shift) v |= hi << (64 - shift);
    return v & col_mask(bits);
}
/* bits 0..64; `to` of count values. False when the bytes are too few. */
bool bits_unpack(str in, unsigned bits, size_t count, uint64_t *to);
bool bits_pack(buf *out, const uint64_t *v, size_t count, unsigned bits);

/* --- what encoders and decoders work with: scratch memory and compression contexts, made when
 * first needed. One thread at a time; an encoder gives back what it took from mem. --- */
typedef struct col_ctx {
    arena mem;
    void *cctx, *dctx; /* ZSTD_CCtx, ZSTD_DCtx */
    int level;         /* 0 fast, 1 small */
    bool points;       /* write points */
    bool no_zstd;      /* the caller compresses what several columns make */
    unsigned nested;   /* integer columns being written around the present one */
} col_ctx;

enum { COL_SCRATCH_MAX = 1 << 30 };

void col_ctx_init(col_ctx *x, int level);
void col_ctx_release(col_ctx *x);

/* --- order-0 entropy coding of bytes (colans.c) --- */
MUST_CHECK bool ans_put(col_ctx *x, buf *out, const uint8_t *sym, size_t count);
/* Bytes that ans_put will need, about. */
size_t ans_cost(const uint32_t hist[256], size_t count);
/* False on damage. Takes what it needs from r. */
MUST_CHECK bool ans_get(col_reader *r, size_t count, uint8_t *to);
/* Symbols from .. from + n - 1 of count. */
MUST_CHECK bool ans_get_range(col_reader *r, size_t count, size_t from, size_t n, uint8_t *to);

/* --- numbers as a symbol (entropy coded) and low bits: values below 16 are symbols, larger ones
 * have exponent and two leading bits in the symbol --- */
FL_INLINE uint8_t hybrid_symbol(uint64_t v, unsigned *ret_bits) {
    if (v < 16) {
        *ret_bits = 0;
        return (uint8_t)v;
    }
    unsigned e = 63 - (unsigned)__builtin_clzll(v);
    *ret_bits = e - 2;
    return (uint8_t)(16 + (e - 4) * 4 + (unsigned)(v >> (e - 2) & 3));
}

/* --- compression of a piece (column.c): u8 0 = plain, 1 = zstd with a varint of the raw size; then
 * the bytes to the end. zstd only at level > 0 and when it saves something --- */
MUST_CHECK bool col_put_blob(col_ctx *x, buf *out, str raw);
/* Borrows from `in` when it is plain, else in `mem`. At most max bytes. */
MUST_CHECK rc col_get_blob(col_ctx *x, str in, size_t max, arena *mem, str *ret, err *e);
MUST_CHECK bool col_put_piece(buf *out, str piece); /* with its length in front */

/* --- columns, nested in others too --- */
MUST_CHECK bool col_x_put_u64(col_ctx *x, buf *out, const uint64_t *v, size_t count);
MUST_CHECK rc col_x_get_u64(col_ctx *x, str col, size_t count, uint64_t *to, unsigned depth,
                            err *e);
/* The same with the length in front. */
MUST_CHECK bool col_x_put_u64_piece(col_ctx *x, buf *out, const uint64_t *v, size_t count);
MUST_CHECK bool col_x_put_str(col_ctx *x, buf *out, const str *v, size_t count);
MUST_CHECK rc col_x_get_str(col_ctx *x, str col, size_t count, arena *mem, str *to, unsigned depth,
                            err *e);

/* Some values of a column of count: from .. from + n - 1, or those at[0] < at[1] < ... < at[m - 1].
 * Costs about COL_STEP values for each stretch of COL_STEP values that is touched, when the column
 * has points; else the whole column. mem is not &x->mem. */
MUST_CHECK rc col_x_get_u64_range(col_ctx *x, str col, size_t count, size_t from, size_t n,
                                  uint64_t *to, unsigned depth, err *e);
MUST_CHECK rc col_x_get_u64_at(col_ctx *x, str col, size_t count, const uint32_t *at, size_t m,
                               uint64_t *to, unsigned depth, err *e);
MUST_CHECK rc col_x_get_str_at(col_ctx *x, str col, size_t count, const uint32_t *at, size_t m,
                               arena *mem, str *to, unsigned depth, err *e);

/* Texts in fields of texts (depth > 0) are not taken apart again. */
MUST_CHECK bool col_x_put_texts(col_ctx *x, buf *out, const str *v, size_t count, unsigned depth);

/* --- texts of few patterns (colpattern.c) --- */
/* The encoding byte is the caller's: it becomes `enc`, with COL_POINTS when there are points. */
MUST_CHECK bool pattern_put(col_ctx *x, buf *out, uint8_t enc, const str *v, size_t n,
                            unsigned depth);
MUST_CHECK rc pattern_get(col_ctx *x, col_reader *r, size_t n, arena *mem, str *to, unsigned depth,
                          err *e);
/* Those at[0] < ... < at[m - 1] of n. */
MUST_CHECK rc pattern_get_at(col_ctx *x, col_reader *r, str points, size_t n, const uint32_t *at,
                             size_t m, arena *mem, str *to, unsigned depth, err *e);

#define COL_DAMAGED(e, what) FAIL((e), RC_CORRUPT, "column: %s", (what))

#endif
