/* colint.c - columns of 64-bit integers.
 *
 * Problem. Times, counters, indices and digits of texts each have their own regularity. Each
 * encoding removes one; they nest (a delta column holds another column), so few are enough.
 *
 * Format: u8 encoding, then
 *   CONST   varint zigzag value
 *   FOR     varint zigzag minimum, u8 bits, (value - minimum) bit-packed
 *   DELTA   varint zigzag first value, column of the zigzag differences (count - 1)
 *   HYBRID  varint zigzag minimum, symbols (colans.c) of value - minimum, varint bytes, low bits:
 *           values < 16 are symbols of their own, larger ones leave exponent and two leading bits
 *   BYTE    varint zigzag minimum, symbols of value - minimum < 256
 *   DICT    varint distinct, piece: column of the distinct values, symbols of their numbers (< 256)
 *   RUNS    varint runs, piece: column of the values, column of lengths - 1
 *   BLOB    varint zigzag minimum, u8 width (1, 2, 4, 8), blob of (value - minimum) in that width:
 *           what repeats in longer patterns
 * A long column may have points (col_points): enc | COL_POINTS and a piece follow, in it for each
 * COL_STEP-th value but the first
 *   HYBRID  varint low bits since the point before
 *   DELTA   varint zigzag of the value - that of the point before (of the first value)
 *   RUNS    varint runs that ended since the point before, varint values of the present run before
 * All arithmetic is modulo 2^64. Signed order decides the minimum.
 *
 * Choice. Level 0: constant, else FOR with whole bytes. Level 1: costs are computed from histograms
 * (exactly for HYBRID, BYTE, FOR; over a sample when the column is long), the smallest is written.
 * Simple8b, PFOR and Rice codes were left out: HYBRID is within 3% of the entropy of any smooth
 * distribution, outliers included, and decodes in about 4 ns.
 *
 * Source: hybrid integers as in JPEG XL (ISO 18181-1, C.2.3); FOR: Zukowski et al. 2006. */
#include "store/column_int.h"

enum { I_CONST = 0, I_FOR, I_DELTA, I_HYBRID, I_BYTE, I_DICT, I_RUNS, I_BLOB };
enum { SAMPLE_MAX = 4096, SAMPLE_PIECES = 8, DICT_MAX = 256, ANS_MIN = 24, NESTED_MAX = 4 };

/* What the costs are computed from. */
typedef struct int_stats {
    uint64_t min, max; /* in signed order */
    size_t runs;
} int_stats;

static int_stats stats_of(const uint64_t *v, size_t n) {
    int64_t lo = (int64_t)v[0], hi = lo;
    size_t runs = 1;
    for (size_t i = 1; i < n; i++) {
        int64_t x = (int64_t)v[i];
        lo = MIN(lo, x);
        hi = MAX(hi, x);
        runs += v[i] != v[i - 1];
    }
    return (int_stats){(uint64_t)lo, (uint64_t)hi, runs};
}

static unsigned bits_of(uint64_t range) { return range ? bits_highest(range) + 1 : 0; }

/* Bytes of v[i] - min as HYBRID. */
static size_t hybrid_cost(const uint64_t *v, size_t n, uint64_t min) {
    uint32_t hist[256] = {0};
    uint64_t low = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned bits;
        hist[hybrid_symbol(v[i] - min, &bits)]++;
        low += bits;
    }
    return ans_cost(hist, n) + (size_t)(low / 8) + 12;
}

static size_t byte_cost(const uint64_t *v, size_t n, uint64_t min) {
    uint32_t hist[256] = {0};
    for (size_t i = 0; i < n; i++) hist[(v[i] - min) & 255]++;
    return ans_cost(hist, n) + 4;
}

/* Distinct values in order of first sight, up to DICT_MAX; DICT_MAX + 1 when there are more. codes
 * may be NULL. */
static size_t distinct_of(const uint64_t *v, size_t n, uint64_t dict[DICT_MAX], uint8_t *codes) {
    uint16_t slots[1024] = {0};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t h = (size_t)(v[i] * 0x9E3779B97F4A7C15u >> 54);
        while (slots[h] && dict[slots[h] - 1] != v[i]) h = (h + 1) & 1023;
        if (!slots[h]) {
            if (count == DICT_MAX) return DICT_MAX + 1;
            dict[count++] = v[i];
            slots[h] = (uint16_t)count;
        }
        if (codes) codes[i] = (uint8_t)(slots[h] - 1);
    }
    return count;
}

static void deltas_of(const uint64_t *v, size_t n, uint64_t *to) {
    for (size_t i = 1; i < n; i++) to[i - 1] = zigzag((int64_t)(v[i] - v[i - 1]));
}

/* ---- writing ---- */

static bool put_head(buf *out, uint8_t enc, uint64_t min) {
    return buf_putc(out, (char)enc) && buf_varint(out, zigzag((int64_t)min));
}

/* The encoding with its points, when there are any. */
static bool put_enc(buf *out, uint8_t enc, const buf *points) {
    if (points->n == 0) return buf_putc(out, (char)enc);
    return buf_putc(out, (char)(enc | COL_POINTS)) && col_put_piece(out, buf_str(points));
}

static bool is_point(const col_ctx *x, size_t i) { return x->points && i % COL_STEP == 0 && i > 0; }

static bool put_for(col_ctx *x, buf *out, const uint64_t *v, size_t n, const int_stats *s,
                    bool whole) {
    unsigned bits = bits_of(s->max - s->min);
    if (!put_head(out, I_FOR, s->min)) return false;
    if (whole) {
        unsigned bytes = (bits + 7) / 8;
        if (bytes == 3) bytes = 4;
        if (bytes > 4) bytes = 8;
        if (!buf_putc(out, (char)(bytes * 8)) || !buf_reserve(out, n * bytes + 8)) return false;
        char *p = out->p + out->n;
        for (size_t i = 0; i < n; i++, p += bytes) {
            uint64_t d = v[i] - s->min;
            memcpy(p, &d, 8);
        }
        out->n += n * bytes;
        return true;
    }
    arena_mark m = arena_save(&x->mem);
    uint64_t *d = arena_try_raw(&x->mem, n * sizeof *d, 8);
    bool ok = d && buf_putc(out, (char)bits);
    for (size_t i = 0; ok && i < n; i++) d[i] = v[i] - s->min;
    ok = ok && bits_pack(out, d, n, bits);
    arena_restore(&x->mem, m);
    return ok;
}

static bool put_hybrid(col_ctx *x, buf *out, const uint64_t *v, size_t n, uint64_t min) {
    arena_mark m = arena_save(&x->mem);
    uint8_t *sym = arena_try_raw(&x->mem, n, 1);
    uint8_t *low = arena_try_raw(&x->mem, n * 8 + 16, 8);
    buf points;
    buf_init(&points, out->max_bytes);
    bool ok = sym && low;
    if (ok) {
        bit_writer w = {.p = low};
        size_t last = 0;
        for (size_t i = 0; i < n; i++) {
            unsigned bits;
            if (is_point(x, i)) {
                size_t at = (size_t)(w.p - low) * 8 + w.held;
                ok = ok && buf_varint(&points, at - last);
                last = at;
            }
            uint64_t d = v[i] - min;
            sym[i] = hybrid_symbol(d, &bits);
            if (bits) bits_put64(&w, d & col_mask(bits), bits);
        }
        size_t bytes = (size_t)(bits_end(&w) - low);
        ok = ok && put_enc(out, I_HYBRID, &points) && buf_varint(out, zigzag((int64_t)min)) &&
             ans_put(x, out, sym, n) && col_put_piece(out, (str){(const char *)low, bytes});
    }
    buf_release(&points);
    arena_restore(&x->mem, m);
    return ok;
}

static bool put_byte(col_ctx *x, buf *out, const uint64_t *v, size_t n, uint64_t min) {
    arena_mark m = arena_save(&x->mem);
    uint8_t *sym = arena_try_raw(&x->mem, n, 1);
    for (size_t i = 0; sym && i < n; i++) sym[i] = (uint8_t)(v[i] - min);
    bool ok = sym && put_head(out, I_BYTE, min) && ans_put(x, out, sym, n);
    arena_restore(&x->mem, m);
    return ok;
}

static bool put_dict(col_ctx *x, buf *out, const uint64_t *v, size_t n) {
    arena_mark m = arena_save(&x->mem);
    uint64_t dict[DICT_MAX];
    uint8_t *sym = arena_try_raw(&x->mem, n, 1);
    size_t count = sym ? distinct_of(v, n, dict, sym) : 0;
    MUST(!sym || count <= DICT_MAX);
    bool ok = sym && buf_putc(out, I_DICT) && buf_varint(out, count) &&
              col_x_put_u64_piece(x, out, dict, count) && ans_put(x, out, sym, n);
    arena_restore(&x->mem, m);
    return ok;
}

static bool put_runs(col_ctx *x, buf *out, const uint64_t *v, size_t n, size_t runs) {
    arena_mark m = arena_save(&x->mem);
    uint64_t *val = arena_try_raw(&x->mem, runs * sizeof *val, 8);
    uint64_t *len = arena_try_raw(&x->mem, runs * sizeof *len, 8);
    buf points;
    buf_init(&points, out->max_bytes);
    bool ok = val && len;
    size_t k = 0, last = 0;
    for (size_t i = 0, from = 0; ok && i < n; i++) {
        if (is_point(x, i)) {
            ok = buf_varint(&points, k - last) && buf_varint(&points, i - from);
            last = k;
        }
        if (i + 1 < n && v[i + 1] == v[i]) continue;
        val[k] = v[i];
        len[k++] = i - from;
        from = i + 1;
    }
    ok = ok && put_enc(out, I_RUNS, &points) && buf_varint(out, runs) &&
         col_x_put_u64_piece(x, out, val, runs) && col_x_put_u64(x, out, len, runs);
    buf_release(&points);
    arena_restore(&x->mem, m);
    return ok;
}

static bool put_blob(col_ctx *x, buf *out, const uint64_t *v, size_t n, const int_stats *s) {
    unsigned bytes = (bits_of(s->max - s->min) + 7) / 8;
    unsigned width = bytes <= 2 ? MAX(bytes, 1u) : bytes <= 4 ? 4 : 8;
    arena_mark m = arena_save(&x->mem);
    char *raw = arena_try_raw(&x->mem, n * width + 8, 8);
    for (size_t i = 0; raw && i < n; i++) {
        uint64_t d = v[i] - s->min;
        memcpy(raw + i * width, &d, 8);
    }
    bool ok = raw && put_head(out, I_BLOB, s->min) && buf_putc(out, (char)width) &&
              col_put_blob(x, out, (str){raw, n * width});
    arena_restore(&x->mem, m);
    return ok;
}

static bool put_delta(col_ctx *x, buf *out, const uint64_t *v, size_t n) {
    arena_mark m = arena_save(&x->mem);
    uint64_t *d = arena_try_raw(&x->mem, n * sizeof *d, 8);
    if (d) deltas_of(v, n, d);
    buf points;
    buf_init(&points, out->max_bytes);
    bool ok = d != NULL;
    for (size_t i = COL_STEP; ok && x->points && i < n; i += COL_STEP)
        ok = buf_varint(&points, zigzag((int64_t)(v[i] - v[i - COL_STEP])));
    ok = ok && put_enc(out, I_DELTA, &points) && buf_varint(out, zigzag((int64_t)v[0])) &&
         col_x_put_u64(x, out, d, n - 1);
    buf_release(&points);
    arena_restore(&x->mem, m);
    return ok;
}

/* A sample of a long column: whole stretches, because neighbours matter. */
static size_t sample_of(const uint64_t *v, size_t n, uint64_t *to) {
    size_t part = SAMPLE_MAX / SAMPLE_PIECES, k = 0;
    for (size_t i = 0; i < SAMPLE_PIECES; i++) {
        memcpy(to + k, v + (n - part) / (SAMPLE_PIECES - 1) * i, part * sizeof *v);
        k += part;
    }
    return k;
}

/* Costs of the sample sv of sn values (min is the column's). */
static uint8_t choose(col_ctx *x, const uint64_t *sv, size_t sn, const int_stats *all) {
    uint64_t dict[DICT_MAX];
    unsigned bits = bits_of(all->max - all->min);
    uint8_t best = I_FOR;
    size_t cost = ((size_t)bits * sn + 7) / 8 + 8;
#define TRY(enc, value)                                                                            \
    do {                                                                                           \
        size_t cost_ = (value);                                                                    \
        if (cost_ < cost) {                                                                        \
            cost = cost_;                                                                          \
            best = (enc);                                                                          \
        }                                                                                          \
    } while (0)
    int_stats s = stats_of(sv, sn);
    if (s.runs * 4 < sn && x->nested < NESTED_MAX) TRY(I_RUNS, s.runs * (bits + 10) / 8 + 10);
    if (sn >= ANS_MIN) {
        if (bits <= 8) {
            TRY(I_BYTE, byte_cost(sv, sn, all->min));
        } else {
            TRY(I_HYBRID, hybrid_cost(sv, sn, all->min));
            size_t count = distinct_of(sv, sn, dict, NULL);
            if (count <= DICT_MAX && count < sn / 4) {
                uint32_t hist[256] = {0};
                for (size_t i = 0; i < sn; i++) hist[(sv[i] * 0x9E3779B97F4A7C15u) >> 56]++;
                TRY(I_DICT, ans_cost(hist, sn) + count * (bits + 7) / 8 + 12);
            }
        }
    }
    if (sn >= 4 && x->nested < NESTED_MAX) {
        arena_mark m = arena_save(&x->mem);
        uint64_t *d = arena_try_raw(&x->mem, sn * 2 * sizeof *d, 8);
        if (d) {
            deltas_of(sv, sn, d);
            int_stats ds = stats_of(d, sn - 1);
            unsigned dbits = bits_of(ds.max - ds.min);
            TRY(I_DELTA, ((size_t)dbits * sn + 7) / 8 + 12);
            if (ds.runs * 4 < sn) TRY(I_DELTA, ds.runs * (dbits + 10) / 8 + 14);
            if (sn >= ANS_MIN) TRY(I_DELTA, hybrid_cost(d, sn - 1, ds.min) + 8);
            /* differences of differences: what the nested column would choose */
            deltas_of(d, sn - 1, d + sn);
            int_stats dds = stats_of(d + sn, sn - 2);
            unsigned ddbits = bits_of(dds.max - dds.min);
            TRY(I_DELTA, ((size_t)ddbits * sn + 7) / 8 + 20);
            if (sn >= ANS_MIN) TRY(I_DELTA, hybrid_cost(d + sn, sn - 2, dds.min) + 16);
        }
        /* Patterns: only worth a trial when something costs much. */
        if (!x->no_zstd && sn >= 256 && bits > 0 && cost > sn / 16) {
            buf trial;
            buf_init(&trial, COL_SCRATCH_MAX);
            if (put_blob(x, &trial, sv, sn, all)) TRY(I_BLOB, trial.n);
            buf_release(&trial);
        }
        arena_restore(&x->mem, m);
    }
#undef TRY
    return best;
}

bool col_x_put_u64(col_ctx *x, buf *out, const uint64_t *v, size_t count) {
    MUST(count <= COL_VALUES_MAX);
    if (count == 0) return put_head(out, I_CONST, 0);
    int_stats s = stats_of(v, count);
    if (s.min == s.max) return put_head(out, I_CONST, s.min);
    if (x->level <= 0) return put_for(x, out, v, count, &s, true);

    uint8_t enc;
    if (count <= SAMPLE_MAX) {
        enc = choose(x, v, count, &s);
    } else {
        uint64_t sample[SAMPLE_MAX];
        enc = choose(x, sample, sample_of(v, count, sample), &s);
        uint64_t dict[DICT_MAX];
        if (enc == I_DICT && distinct_of(v, count, dict, NULL) > DICT_MAX) enc = I_HYBRID;
    }
    bool ok;
    switch (enc) {
    case I_DELTA:
        x->nested++;
        ok = put_delta(x, out, v, count);
        x->nested--;
        return ok;
    case I_HYBRID:
        return put_hybrid(x, out, v, count, s.min);
    case I_BYTE:
        return put_byte(x, out, v, count, s.min);
    case I_DICT:
        return put_dict(x, out, v, count);
    case I_RUNS:
        x->nested++;
        ok = put_runs(x, out, v, count, s.runs);
        x->nested--;
        return ok;
    case I_BLOB:
        return put_blob(x, out, v, count, &s);
    default:
        return put_for(x, out, v, count, &s, false);
    }
}

bool col_x_put_u64_piece(col_ctx *x, buf *out, const uint64_t *v, size_t count) {
    buf b;
    buf_init(&b, out->max_bytes);
    bool ok = col_x_put_u64(x, &b, v, count) && col_put_piece(out, buf_str(&b));
    buf_release(&b);
    return ok;
}

/* ---- reading ---- */

static rc get_for(col_reader *r, size_t count, uint64_t *to, err *e) {
    uint64_t min = (uint64_t)unzigzag(col_varint(r));
    unsigned bits = col_u8(r);
    str raw = col_rest(r);
    if (r->bad || !bits_unpack(raw, bits, count, to)) return COL_DAMAGED(e, "packed bits");
    for (size_t i = 0; i < count; i++) to[i] += min;
    return RC_OK;
}

static rc get_hybrid(col_ctx *x, col_reader *r, size_t count, uint64_t *to, err *e) {
    uint64_t min = (uint64_t)unzigzag(col_varint(r));
    arena_mark m = arena_save(&x->mem);
    uint8_t *sym = arena_try_raw(&x->mem, count, 1);
    if (!sym) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = RC_OK;
    if (!ans_get(r, count, sym)) code = COL_DAMAGED(e, "symbols");
    str low = col_piece(r);
    if (!code && r->bad) code = COL_DAMAGED(e, "low bits");
    if (!code) {
        const uint8_t *p = (const uint8_t *)low.p, *end = p + low.n;
        size_t bit = 0, total = low.n * 8;
        for (size_t i = 0; i < count; i++) {
            unsigned s = sym[i];
            if (s < 16) {
                to[i] = min + s;
                continue;
            }
            unsigned bits = (s - 16) / 4 + 2;
            if (UNLIKELY(bits > total - bit)) {
                code = COL_DAMAGED(e, "low bits end early");
                break;
            }
            uint64_t top = (uint64_t)(4 | ((s - 16) & 3)) << bits;
            to[i] = min + (top | bits_at(p, end, bit, bits));
            bit += bits;
        }
    }
    arena_restore(&x->mem, m);
    return code;
}

/* Symbols as numbers of `base` (NULL: added to min). */
static rc get_symbols(col_ctx *x, col_reader *r, size_t count, uint64_t min, const uint64_t *dict,
                      size_t dict_count, uint64_t *to, err *e) {
    arena_mark m = arena_save(&x->mem);
    uint8_t *sym = arena_try_raw(&x->mem, count, 1);
    if (!sym) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = ans_get(r, count, sym) ? RC_OK : COL_DAMAGED(e, "symbols");
    for (size_t i = 0; !code && i < count; i++) {
        if (!dict)
            to[i] = min + sym[i];
        else if (sym[i] < dict_count)
            to[i] = dict[sym[i]];
        else
            code = COL_DAMAGED(e, "number of a value");
    }
    arena_restore(&x->mem, m);
    return code;
}

static rc get_dict(col_ctx *x, col_reader *r, size_t count, uint64_t *to, unsigned depth, err *e) {
    uint64_t n = col_varint(r);
    str piece = col_piece(r);
    uint64_t dict[DICT_MAX];
    if (r->bad || n == 0 || n > DICT_MAX) return COL_DAMAGED(e, "dictionary");
    rc code = col_x_get_u64(x, piece, (size_t)n, dict, depth + 1, e);
    return code ? code : get_symbols(x, r, count, 0, dict, (size_t)n, to, e);
}

static rc get_runs(col_ctx *x, col_reader *r, size_t count, uint64_t *to, unsigned depth, err *e) {
    uint64_t runs = col_varint(r);
    str piece = col_piece(r), rest = col_rest(r);
    if (r->bad || runs == 0 || runs > count) return COL_DAMAGED(e, "count of runs");
    arena_mark m = arena_save(&x->mem);
    uint64_t *val = arena_try_raw(&x->mem, (size_t)runs * 16, 8);
    if (!val) return FAIL(e, RC_LIMIT, "column: no memory");
    uint64_t *len = val + runs;
    rc code = col_x_get_u64(x, piece, (size_t)runs, val, depth + 1, e);
    if (!code) code = col_x_get_u64(x, rest, (size_t)runs, len, depth + 1, e);
    size_t at = 0;
    for (size_t i = 0; !code && i < runs; i++) {
        if (len[i] >= count - at) {
            code = COL_DAMAGED(e, "length of a run");
            break;
        }
        for (uint64_t k = 0; k <= len[i]; k++) to[at++] = val[i];
    }
    if (!code && at != count) code = COL_DAMAGED(e, "runs are too short");
    arena_restore(&x->mem, m);
    return code;
}

/* Decompressed whole, which is quick for what repeats; only what is asked for becomes numbers. */
static rc blob_range(col_ctx *x, col_reader *r, size_t count, size_t from, size_t n, uint64_t *to,
                     err *e) {
    uint64_t min = (uint64_t)unzigzag(col_varint(r));
    unsigned width = col_u8(r);
    str raw = col_rest(r);
    if (r->bad || width == 0 || width > 8) return COL_DAMAGED(e, "width");
    arena_mark m = arena_save(&x->mem);
    rc code = col_get_blob(x, raw, count * width, &x->mem, &raw, e);
    if (!code && raw.n != count * width) code = COL_DAMAGED(e, "count of values differs");
    for (size_t i = 0; !code && i < n; i++) {
        uint64_t d = 0;
        memcpy(&d, raw.p + (from + i) * width, width);
        to[i] = min + d;
    }
    arena_restore(&x->mem, m);
    return code;
}

rc col_x_get_u64(col_ctx *x, str col, size_t count, uint64_t *to, unsigned depth, err *e) {
    MUST(count <= COL_VALUES_MAX);
    if (depth > COL_DEPTH_MAX) return COL_DAMAGED(e, "nested too deep");
    col_reader r = col_reader_of(col);
    uint8_t enc = col_u8(&r);
    uint64_t v;
    rc code;
    if (enc & COL_POINTS) (void)col_piece(&r); /* where some values begin: all are read */
    switch (enc & ~COL_POINTS) {
    case I_CONST:
        v = (uint64_t)unzigzag(col_varint(&r));
        if (r.bad) break;
        for (size_t i = 0; i < count; i++) to[i] = v;
        return RC_OK;
    case I_FOR:
        return get_for(&r, count, to, e);
    case I_DELTA:
        v = (uint64_t)unzigzag(col_varint(&r));
        if (r.bad || count == 0) break;
        code = col_x_get_u64(x, col_rest(&r), count - 1, to + 1, depth + 1, e);
        if (code) return code;
        to[0] = v;
        for (size_t i = 1; i < count; i++) to[i] = v += (uint64_t)unzigzag(to[i]);
        return RC_OK;
    case I_HYBRID:
        return get_hybrid(x, &r, count, to, e);
    case I_BYTE:
        v = (uint64_t)unzigzag(col_varint(&r));
        if (r.bad) break;
        return get_symbols(x, &r, count, v, NULL, 0, to, e);
    case I_DICT:
        return get_dict(x, &r, count, to, depth, e);
    case I_RUNS:
        return get_runs(x, &r, count, to, depth, e);
    case I_BLOB:
        return blob_range(x, &r, count, 0, count, to, e);
    default:
        return COL_DAMAGED(e, "unknown encoding of integers");
    }
    return COL_DAMAGED(e, "ends early");
}

/* ---- reading some ---- */

static rc hybrid_range(col_ctx *x, col_reader *r, str points, size_t count, size_t from, size_t n,
                       uint64_t *to, err *e) {
    uint64_t min = (uint64_t)unzigzag(col_varint(r));
    size_t first = points.n ? from - from % COL_STEP : 0, bit = 0;
    col_reader pr = col_reader_of(points);
    for (size_t k = 0; k < first / COL_STEP; k++) bit += col_varint(&pr);
    arena_mark m = arena_save(&x->mem);
    uint8_t *sym = arena_try_raw(&x->mem, from + n - first, 1);
    if (!sym) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code =
        ans_get_range(r, count, first, from + n - first, sym) ? RC_OK : COL_DAMAGED(e, "symbols");
    str low = col_piece(r);
    if (!code && (r->bad || pr.bad || bit > low.n * 8)) code = COL_DAMAGED(e, "low bits");
    const uint8_t *p = (const uint8_t *)low.p, *end = p + low.n;
    for (size_t i = first; !code && i < from + n; i++) {
        unsigned s = sym[i - first], bits = s < 16 ? 0 : (s - 16) / 4 + 2;
        if (bits > low.n * 8 - bit) {
            code = COL_DAMAGED(e, "low bits end early");
            break;
        }
        uint64_t top = (uint64_t)(4 | ((s - 16) & 3)) << bits;
        if (i >= from) to[i - from] = min + (s < 16 ? s : top | bits_at(p, end, bit, bits));
        bit += bits;
    }
    arena_restore(&x->mem, m);
    return code;
}

static rc delta_range(col_ctx *x, col_reader *r, str points, size_t count, size_t from, size_t n,
                      uint64_t *to, unsigned depth, err *e) {
    uint64_t v = (uint64_t)unzigzag(col_varint(r));
    size_t first = points.n ? from - from % COL_STEP : 0, more = from + n - 1 - first;
    col_reader pr = col_reader_of(points);
    for (size_t k = 0; k < first / COL_STEP; k++) v += (uint64_t)unzigzag(col_varint(&pr));
    if (r->bad || pr.bad) return COL_DAMAGED(e, "points");
    arena_mark m = arena_save(&x->mem);
    uint64_t *d = arena_try_raw(&x->mem, more * 8 + 8, 8);
    if (!d) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code =
        more ? col_x_get_u64_range(x, col_rest(r), count - 1, first, more, d, depth + 1, e) : RC_OK;
    if (!code && first == from) to[0] = v;
    for (size_t i = 0; !code && i < more; i++) {
        v += (uint64_t)unzigzag(d[i]);
        if (first + i + 1 >= from) to[first + i + 1 - from] = v;
    }
    arena_restore(&x->mem, m);
    return code;
}

static rc runs_range(col_ctx *x, col_reader *r, str points, size_t count, size_t from, size_t n,
                     uint64_t *to, unsigned depth, err *e) {
    uint64_t runs = col_varint(r);
    str values = col_piece(r), lengths = col_rest(r);
    size_t first = points.n ? from - from % COL_STEP : 0, run = 0, behind = 0, last;
    col_reader pr = col_reader_of(points);
    for (size_t k = 0; k < first / COL_STEP; k++) {
        run += col_varint(&pr);
        behind = col_varint(&pr);
    }
    if (r->bad || pr.bad || run >= runs || runs > count) return COL_DAMAGED(e, "points");
    /* The last one that may be needed: a run has a value at least, and none begins behind the next
     * point. */
    last = run + (from + n - first);
    size_t p = first / COL_STEP + 1, next = run;
    for (; points.n && p <= col_points(count) && !pr.bad; p++) {
        next += col_varint(&pr);
        if (p * COL_STEP >= from + n) {
            last = MIN(last, next);
            break;
        }
        (void)col_varint(&pr);
    }
    last = MIN(last, (size_t)runs - 1);
    if (last < run) return COL_DAMAGED(e, "points");
    size_t some = last - run + 1;
    arena_mark m = arena_save(&x->mem);
    uint64_t *val = arena_try_raw(&x->mem, some * 16, 8);
    if (!val) return FAIL(e, RC_LIMIT, "column: no memory");
    uint64_t *len = val + some;
    rc code = col_x_get_u64_range(x, values, (size_t)runs, run, some, val, depth + 1, e);
    if (!code) code = col_x_get_u64_range(x, lengths, (size_t)runs, run, some, len, depth + 1, e);
    size_t at = first, k = 0;
    for (; !code && k < some && at < from + n; k++) {
        if (len[k] >= count) code = COL_DAMAGED(e, "length of a run");
        size_t left = k ? (size_t)len[k] + 1 : (size_t)len[k] + 1 - behind;
        if (!code && k == 0 && behind > len[0]) code = COL_DAMAGED(e, "points");
        for (; !code && left && at < from + n; left--, at++) {
            if (at >= from) to[at - from] = val[k];
        }
    }
    if (!code && at < from + n) code = COL_DAMAGED(e, "runs are too short");
    arena_restore(&x->mem, m);
    return code;
}

static rc symbols_range(col_ctx *x, col_reader *r, size_t count, size_t from, size_t n,
                        uint64_t min, const uint64_t *dict, size_t dict_count, uint64_t *to,
                        err *e) {
    arena_mark m = arena_save(&x->mem);
    uint8_t *sym = arena_try_raw(&x->mem, n, 1);
    if (!sym) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = ans_get_range(r, count, from, n, sym) ? RC_OK : COL_DAMAGED(e, "symbols");
    for (size_t i = 0; !code && i < n; i++) {
        if (!dict)
            to[i] = min + sym[i];
        else if (sym[i] < dict_count)
            to[i] = dict[sym[i]];
        else
            code = COL_DAMAGED(e, "number of a value");
    }
    arena_restore(&x->mem, m);
    return code;
}

static rc for_range(col_reader *r, size_t count, size_t from, size_t n, uint64_t *to, err *e) {
    uint64_t min = (uint64_t)unzigzag(col_varint(r));
    unsigned bits = col_u8(r);
    str raw = col_rest(r);
    if (r->bad || bits > 64 || raw.n < ((uint64_t)count * bits + 7) / 8)
        return COL_DAMAGED(e, "packed bits");
    const uint8_t *p = (const uint8_t *)raw.p, *end = p + raw.n;
    for (size_t i = 0; i < n; i++)
        to[i] = min + (bits ? bits_at(p, end, (from + i) * bits, bits) : 0);
    return RC_OK;
}

rc col_x_get_u64_range(col_ctx *x, str col, size_t count, size_t from, size_t n, uint64_t *to,
                       unsigned depth, err *e) {
    MUST(count <= COL_VALUES_MAX && from <= count && n <= count - from);
    if (depth > COL_DEPTH_MAX) return COL_DAMAGED(e, "nested too deep");
    if (n == 0) return RC_OK;
    col_reader r = col_reader_of(col);
    uint8_t enc = col_u8(&r);
    str points = STR_NONE;
    if (enc & COL_POINTS) points = col_piece(&r);
    uint64_t v, dict[DICT_MAX];
    str piece;
    rc code;
    if (r.bad) return COL_DAMAGED(e, "ends early");
    switch (enc & ~COL_POINTS) {
    case I_CONST:
        v = (uint64_t)unzigzag(col_varint(&r));
        for (size_t i = 0; i < n; i++) to[i] = v;
        return r.bad ? COL_DAMAGED(e, "ends early") : RC_OK;
    case I_FOR:
        return for_range(&r, count, from, n, to, e);
    case I_BYTE:
        v = (uint64_t)unzigzag(col_varint(&r));
        return symbols_range(x, &r, count, from, n, v, NULL, 0, to, e);
    case I_DICT:
        v = col_varint(&r);
        piece = col_piece(&r);
        if (r.bad || v == 0 || v > DICT_MAX) return COL_DAMAGED(e, "dictionary");
        code = col_x_get_u64(x, piece, (size_t)v, dict, depth + 1, e);
        return code ? code : symbols_range(x, &r, count, from, n, 0, dict, (size_t)v, to, e);
    case I_HYBRID:
        return hybrid_range(x, &r, points, count, from, n, to, e);
    case I_DELTA:
        return delta_range(x, &r, points, count, from, n, to, depth, e);
    case I_RUNS:
        return runs_range(x, &r, points, count, from, n, to, depth, e);
    case I_BLOB:
        return blob_range(x, &r, count, from, n, to, e);
    default:
        return COL_DAMAGED(e, "unknown encoding of integers");
    }
}

rc col_x_get_u64_at(col_ctx *x, str col, size_t count, const uint32_t *at, size_t m, uint64_t *to,
                    unsigned depth, err *e) {
    arena_mark mark = arena_save(&x->mem);
    uint64_t *some = arena_try_raw(&x->mem, COL_STEP * 8, 8);
    rc code = some ? RC_OK : FAIL(e, RC_LIMIT, "column: no memory");
    for (size_t i = 0, k; i < m && !code; i = k) {
        size_t step = at[i] / COL_STEP;
        for (k = i + 1; k < m && at[k] / COL_STEP == step;) k++;
        MUST(at[k - 1] < count && at[i] <= at[k - 1]);
        code = col_x_get_u64_range(x, col, count, at[i], at[k - 1] - at[i] + 1, some, depth, e);
        for (size_t j = i; j < k; j++) to[j] = some[at[j] - at[i]];
    }
    arena_restore(&x->mem, mark);
    return code;
}
