/* column.c - what all columns share (contexts, compressed pieces, bits), fixed-width values, and
 * the public entry points.
 *
 * Format of fixed-width values:  u8 0 = plain | 1 = constant (one value) | 2 = zstd of the rows;
 * the bytes to the end. */
#include "store/column_int.h"

#include <zstd.h>

enum { FIXED_PLAIN = 0, FIXED_CONST, FIXED_ZSTD };
enum { BLOB_PLAIN = 0, BLOB_ZSTD, BLOB_MIN = 48, ZSTD_LEVEL = 3 };

void col_ctx_init(col_ctx *x, int level) {
    *x = (col_ctx){.level = level};
    arena_init(&x->mem, "columns", COL_SCRATCH_MAX);
}

void col_ctx_release(col_ctx *x) {
    if (!x) return;
    arena_release(&x->mem);
    ZSTD_freeCCtx(x->cctx);
    ZSTD_freeDCtx(x->dctx);
    *x = (col_ctx){0};
}

bool col_put_piece(buf *out, str piece) { return buf_varint(out, piece.n) && buf_put(out, piece); }

bool col_put_blob(col_ctx *x, buf *out, str raw) {
    if (x->level > 0 && !x->no_zstd && raw.n >= BLOB_MIN) {
        if (!x->cctx) x->cctx = ZSTD_createCCtx();
        if (x->cctx) {
            ZSTD_CCtx *c = x->cctx;
            IGNORE(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, ZSTD_LEVEL)); /* in range */
            IGNORE(ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0)); /* we keep the size */
            size_t room = ZSTD_compressBound(raw.n), before = out->n;
            if (!buf_putc(out, BLOB_ZSTD) || !buf_varint(out, raw.n) || !buf_reserve(out, room)) {
                return false;
            }
            size_t n = ZSTD_compress2(c, out->p + out->n, room, raw.p, raw.n);
            if (!ZSTD_isError(n) && out->n - before + n < raw.n + 1 - raw.n / 64) {
                out->n += n;
                return true;
            }
            out->n = before;
        }
    }
    return buf_putc(out, BLOB_PLAIN) && buf_put(out, raw);
}

rc col_get_blob(col_ctx *x, str in, size_t max, arena *mem, str *ret, err *e) {
    col_reader r = col_reader_of(in);
    uint8_t kind = col_u8(&r);
    if (kind == BLOB_PLAIN && !r.bad) {
        *ret = col_rest(&r);
        return ret->n <= max ? RC_OK : COL_DAMAGED(e, "text is too long");
    }
    uint64_t raw = col_varint(&r);
    if (kind != BLOB_ZSTD || r.bad) return COL_DAMAGED(e, "unknown compression");
    if (raw > max) return COL_DAMAGED(e, "text is too long");
    if (!x->dctx) x->dctx = ZSTD_createDCtx();
    char *p = x->dctx ? arena_try_raw(mem, (size_t)raw, 1) : NULL;
    if (!p) return FAIL(e, RC_LIMIT, "column: no memory for %" PRIu64 " bytes", raw);
    size_t n = ZSTD_decompressDCtx(x->dctx, p, (size_t)raw, r.p, col_left(&r));
    if (ZSTD_isError(n) || n != raw) return COL_DAMAGED(e, "compressed text is damaged");
    *ret = (str){p, n};
    return RC_OK;
}

/* ---- bits ---- */

bool bits_pack(buf *out, const uint64_t *v, size_t count, unsigned bits) {
    MUST(bits <= 64);
    if (!buf_reserve(out, (size_t)(((uint64_t)count * bits + 7) / 8) + 16)) return false;
    bit_writer w = {.p = (uint8_t *)out->p + out->n};
    for (size_t i = 0; i < count; i++) bits_put64(&w, v[i], bits);
    out->n = (size_t)((char *)bits_end(&w) - out->p);
    return true;
}

bool bits_unpack(str in, unsigned bits, size_t count, uint64_t *to) {
    if (bits > 64 || in.n < ((uint64_t)count * bits + 7) / 8) return false;
    if (bits == 0) {
        memset(to, 0, count * sizeof *to);
        return true;
    }
    const uint8_t *p = (const uint8_t *)in.p, *end = p + in.n;
    size_t i = 0, bit = 0;
    /* Without the check of the end while eight bytes can be read. */
    size_t safe = bits <= 56 && in.n >= 8 ? ((in.n - 8) * 8) / bits : 0;
    for (; i < MIN(count, safe); i++, bit += bits)
        to[i] = load_le64(p + (bit >> 3)) >> (bit & 7) & col_mask(bits);
    for (; i < count; i++, bit += bits) to[i] = bits_at(p, end, bit, bits);
    return true;
}

/* ---- fixed width ---- */

bool col_put_fixed(buf *out, const void *v, size_t width, size_t count, int level) {
    MUST(width > 0 && width <= 4096 && count <= COL_VALUES_MAX);
    const char *p = v;
    str all = {p, width * count};
    bool same = count > 0;
    for (size_t i = 1; i < count && same; i++) same = memcmp(p, p + i * width, width) == 0;
    if (same) return buf_putc(out, FIXED_CONST) && buf_put(out, (str){p, width});
    if (level <= 0) return buf_putc(out, FIXED_PLAIN) && buf_put(out, all);
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, level);
    return buf_putc(out, FIXED_ZSTD) && col_put_blob(&x, out, all);
}

rc col_get_fixed(str col, size_t width, size_t count, void *to, err *e) {
    MUST(width > 0 && width <= 4096 && count <= COL_VALUES_MAX);
    col_reader r = col_reader_of(col);
    uint8_t enc = col_u8(&r);
    size_t bytes = width * count;
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, 1);
    if (r.bad) return COL_DAMAGED(e, "empty");
    if (enc == FIXED_CONST) {
        str one = col_rest(&r);
        if (one.n != width) return COL_DAMAGED(e, "a value has another width");
        for (size_t i = 0; i < count; i++) memcpy((char *)to + i * width, one.p, width);
        return RC_OK;
    }
    str raw = col_rest(&r);
    if (enc == FIXED_ZSTD) {
        rc code = col_get_blob(&x, raw, bytes, &x.mem, &raw, e);
        if (code) return code;
    } else if (enc != FIXED_PLAIN) {
        return COL_DAMAGED(e, "unknown encoding of fixed-width values");
    }
    if (raw.n != bytes) return COL_DAMAGED(e, "count of fixed-width values differs");
    if (bytes) memcpy(to, raw.p, bytes);
    return RC_OK;
}

/* ---- public entry points ---- */

bool col_put_i64(buf *out, const int64_t *v, size_t count, int level) {
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, level);
    return col_x_put_u64(&x, out, (const uint64_t *)v, count);
}

rc col_get_i64(str col, size_t count, int64_t *to, err *e) {
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, 1);
    return col_x_get_u64(&x, col, count, (uint64_t *)to, 0, e);
}

bool col_put_str(buf *out, const str *v, size_t count, int level) {
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, level);
    return col_x_put_str(&x, out, v, count);
}

rc col_get_str(str col, size_t count, arena *mem, str *to, err *e) {
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, 1);
    return col_x_get_str(&x, col, count, mem, to, 0, e);
}
