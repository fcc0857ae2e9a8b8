/* colstr.c - columns of texts.
 *
 * Format: u8 encoding, then
 *   CONST    the text (to the end)
 *   PLAIN    u8 length of each (255: a varint in `long` instead), piece `long`, the texts one
 * behind the other (to the end): level 0, cheap to write and to search DICT     varint distinct,
 * piece: column of the distinct texts by frequency, column of their numbers TEXT     piece: column
 * of the lengths, blob of the texts PATTERN  colpattern.c RECENT   varint new texts, piece: column
 * of the new texts in order of first sight, column of ages: 0 = the next new text, k = the k-th
 * latest of the new ones so far
 *
 * Choice. Level 0: constant, else PLAIN. Level 1: constant; DICT when there are few distinct texts;
 * RECENT when texts come back soon: new texts are encoded first, and what their bytes are on
 * average decides whether the ages are cheaper than the repetitions; PATTERN and TEXT by trial, on
 * a sample when the column is long. */
#include "store/column_int.h"

#include "base/map.h"

enum { S_CONST = 0, S_PLAIN, S_DICT, S_TEXT, S_PATTERN, S_RECENT };
enum { LONG = 255, DICT_TEXTS_MAX = 1 << 16, TRIAL = 1024, SMALL = 8 };

static bool put_plain(buf *out, const str *v, size_t n, size_t bytes) {
    if (!buf_putc(out, S_PLAIN) || !buf_reserve(out, n + bytes + 24)) return false;
    size_t lens = out->n;
    buf longs;
    buf_init(&longs, out->max_bytes);
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        out->p[lens + i] = (char)MIN(v[i].n, (size_t)LONG);
        if (UNLIKELY(v[i].n >= LONG)) ok = ok && buf_varint(&longs, v[i].n);
    }
    out->n += n;
    ok = ok && col_put_piece(out, buf_str(&longs)) && buf_reserve(out, bytes);
    buf_release(&longs);
    if (!ok) return false;
    char *p = out->p + out->n;
    for (size_t i = 0; i < n; i++) {
        if (v[i].n) memcpy(p, v[i].p, v[i].n);
        p += v[i].n;
    }
    out->n += bytes;
    return true;
}

static bool put_text(col_ctx *x, buf *out, const str *v, size_t n, size_t bytes) {
    arena_mark m = arena_save(&x->mem);
    uint64_t *len = arena_try_raw(&x->mem, n * sizeof *len, 8);
    char *all = arena_try_raw(&x->mem, bytes + 1, 1), *p = all;
    bool ok = len && all;
    for (size_t i = 0; ok && i < n; i++) {
        len[i] = v[i].n;
        if (v[i].n) memcpy(p, v[i].p, v[i].n);
        p += v[i].n;
    }
    ok = ok && buf_putc(out, S_TEXT) && col_x_put_u64_piece(x, out, len, n) &&
         col_put_blob(x, out, (str){all, bytes});
    arena_restore(&x->mem, m);
    return ok;
}

/* Numbers of the distinct texts in order of first sight, and the texts. Open addressing on 64-bit
 * hashes; texts are compared, too. Returns their count. */
static size_t number_texts(col_ctx *x, const str *v, size_t n, uint32_t *ids, str *distinct) {
    arena_mark m = arena_save(&x->mem);
    size_t cap = (size_t)bits_next_pow2(n * 2);
    uint32_t *slots = arena_try_new_n(&x->mem, uint32_t, cap);
    uint32_t *tags = arena_try_raw(&x->mem, cap * sizeof *tags, 8);
    size_t count = slots && tags ? 0 : SIZE_MAX;
    for (size_t i = 0; count != SIZE_MAX && i < n; i++) {
        uint64_t h = str_hash(v[i]);
        size_t at = (size_t)h & (cap - 1);
        uint32_t tag = (uint32_t)(h >> 32);
        while (slots[at] && !(tags[at] == tag && str_eq(distinct[slots[at] - 1], v[i])))
            at = (at + 1) & (cap - 1);
        if (!slots[at]) {
            distinct[count++] = v[i];
            slots[at] = (uint32_t)count;
            tags[at] = tag;
        }
        ids[i] = slots[at] - 1;
    }
    arena_restore(&x->mem, m);
    return count;
}

typedef struct ranked {
    uint64_t count, id;
} ranked;

static int by_count(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool put_texts_piece(col_ctx *x, buf *out, const str *v, size_t n, unsigned depth) {
    buf b;
    buf_init(&b, out->max_bytes);
    bool ok = col_x_put_texts(x, &b, v, n, depth + 1) && col_put_piece(out, buf_str(&b));
    buf_release(&b);
    return ok;
}

static bool put_dict(col_ctx *x, buf *out, const uint32_t *ids, size_t n, const str *distinct,
                     size_t count, unsigned depth) {
    arena_mark m = arena_save(&x->mem);
    ranked *r = arena_try_raw(&x->mem, count * sizeof *r, 8);
    uint64_t *rank = arena_try_raw(&x->mem, count * sizeof *rank, 8);
    uint64_t *codes = arena_try_raw(&x->mem, n * sizeof *codes, 8);
    str *texts = arena_try_raw(&x->mem, count * sizeof *texts, 16);
    bool ok = r && rank && texts && codes;
    for (size_t i = 0; ok && i < count; i++) r[i] = (ranked){0, i};
    for (size_t i = 0; ok && i < n; i++) r[ids[i]].count++;
    if (ok) qsort(r, count, sizeof *r, by_count);
    for (size_t i = 0; ok && i < count; i++) {
        rank[r[i].id] = i;
        texts[i] = distinct[r[i].id];
    }
    for (size_t i = 0; ok && i < n; i++) codes[i] = rank[ids[i]];
    ok = ok && buf_putc(out, S_DICT) && buf_varint(out, count) &&
         put_texts_piece(x, out, texts, count, depth) && col_x_put_u64(x, out, codes, n);
    arena_restore(&x->mem, m);
    return ok;
}

/* The smaller of PATTERN and TEXT, told by a stretch of the column when it is long. */
static bool put_values(col_ctx *x, buf *out, const str *v, size_t n, unsigned depth) {
    size_t bytes = 0, before = out->n;
    for (size_t i = 0; i < n; i++) bytes += v[i].n;
    if (depth > 1 || n < SMALL) return put_text(x, out, v, n, bytes);
    if (n > TRIAL * 2) {
        const str *part = v + (n - TRIAL) / 2;
        size_t part_bytes = 0;
        for (size_t i = 0; i < TRIAL; i++) part_bytes += part[i].n;
        buf a, b;
        buf_init(&a, out->max_bytes);
        buf_init(&b, out->max_bytes);
        bool ok =
            pattern_put(x, &a, part, TRIAL, depth) && put_text(x, &b, part, TRIAL, part_bytes);
        bool pattern = a.n < b.n;
        buf_release(&a);
        buf_release(&b);
        if (!ok) return false;
        if (!pattern) return put_text(x, out, v, n, bytes);
        return buf_putc(out, S_PATTERN) && pattern_put(x, out, v, n, depth);
    }
    if (!buf_putc(out, S_PATTERN) || !pattern_put(x, out, v, n, depth)) return false;
    buf b;
    buf_init(&b, out->max_bytes);
    bool ok = put_text(x, &b, v, n, bytes);
    /* Plain texts are compressed later, together with others: about by half. */
    size_t text = x->no_zstd ? b.n - bytes / 2 : b.n;
    if (ok && text < out->n - before) {
        out->n = before;
        ok = buf_put(out, buf_str(&b));
    }
    buf_release(&b);
    return ok;
}

/* Bytes of the ages, about; fills them. */
static size_t ages_of(const uint32_t *ids, size_t n, uint64_t *ages) {
    uint32_t hist[256] = {0};
    uint64_t low = 0, next = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned bits;
        ages[i] = next - ids[i];
        next += ids[i] == next;
        hist[hybrid_symbol(ages[i], &bits)]++;
        low += bits;
    }
    return ans_cost(hist, n) + (size_t)(low / 8) + 8;
}

static bool put_recent(col_ctx *x, buf *out, const str *v, const uint32_t *ids, size_t n,
                       const str *distinct, size_t count, unsigned depth) {
    arena_mark m = arena_save(&x->mem);
    uint64_t *ages = arena_try_raw(&x->mem, n * sizeof *ages, 8);
    buf fresh;
    buf_init(&fresh, out->max_bytes);
    bool ok = ages && col_x_put_texts(x, &fresh, distinct, count, depth + 1);
    if (ok) {
        size_t cost = ages_of(ids, n, ages), saved = fresh.n * (n - count) / count;
        if (cost < saved)
            ok = buf_putc(out, S_RECENT) && buf_varint(out, count) &&
                 col_put_piece(out, buf_str(&fresh)) && col_x_put_u64(x, out, ages, n);
        else
            ok = put_values(x, out, v, n, depth);
    }
    buf_release(&fresh);
    arena_restore(&x->mem, m);
    return ok;
}

bool col_x_put_texts(col_ctx *x, buf *out, const str *v, size_t count, unsigned depth) {
    MUST(count <= COL_VALUES_MAX);
    if (count == 0) return buf_putc(out, S_CONST);
    bool same = true;
    size_t bytes = v[0].n;
    for (size_t i = 1; i < count; i++) {
        same = same && str_eq(v[i], v[0]);
        bytes += v[i].n;
    }
    if (same) return buf_putc(out, S_CONST) && buf_put(out, v[0]);
    if (x->level <= 0) return put_plain(out, v, count, bytes);
    if (count < SMALL || depth > 2) return put_values(x, out, v, count, depth);
    arena_mark m = arena_save(&x->mem);
    uint32_t *ids = arena_try_raw(&x->mem, count * sizeof *ids, 8);
    str *distinct = arena_try_raw(&x->mem, count * sizeof *distinct, 16);
    size_t n = ids && distinct ? number_texts(x, v, count, ids, distinct) : SIZE_MAX;
    bool ok;
    if (n == SIZE_MAX)
        ok = false;
    else if (n <= count / 4 && n <= DICT_TEXTS_MAX)
        ok = put_dict(x, out, ids, count, distinct, n, depth);
    else if (n <= count - count / 8)
        ok = put_recent(x, out, v, ids, count, distinct, n, depth);
    else
        ok = put_values(x, out, v, count, depth);
    arena_restore(&x->mem, m);
    return ok;
}

bool col_x_put_str(col_ctx *x, buf *out, const str *v, size_t count) {
    return col_x_put_texts(x, out, v, count, 0);
}

/* ---- reading ---- */

static rc get_plain(col_reader *r, size_t count, str *to, err *e) {
    str lens = col_bytes(r, count);
    str longs = col_piece(r), all = col_rest(r);
    if (r->bad) return COL_DAMAGED(e, "lengths of texts");
    col_reader lr = col_reader_of(longs);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t n = (uint8_t)lens.p[i];
        if (UNLIKELY(n == LONG)) n = col_varint(&lr);
        if (UNLIKELY(n > all.n - at || lr.bad)) return COL_DAMAGED(e, "length of a text");
        to[i] = (str){all.p + at, (size_t)n};
        at += (size_t)n;
    }
    return at == all.n ? RC_OK : COL_DAMAGED(e, "texts are longer than their lengths say");
}

enum { TEXT_BYTES_MAX = 512 << 20 };

static rc get_text(col_ctx *x, col_reader *r, size_t count, arena *mem, str *to, unsigned depth,
                   err *e) {
    str piece = col_piece(r), raw = col_rest(r);
    if (r->bad) return COL_DAMAGED(e, "ends early");
    arena_mark m = arena_save(&x->mem);
    bool own = mem != &x->mem;
    uint64_t *len = arena_try_raw(&x->mem, count * sizeof *len + 8, 8);
    if (!len) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = col_x_get_u64(x, piece, count, len, depth + 1, e);
    str all = STR_NONE;
    if (!code) code = col_get_blob(x, raw, TEXT_BYTES_MAX, mem, &all, e);
    size_t at = 0;
    for (size_t i = 0; !code && i < count; i++) {
        if (len[i] > all.n - at) {
            code = COL_DAMAGED(e, "length of a text");
            break;
        }
        to[i] = (str){all.p ? all.p + at : NULL, (size_t)len[i]};
        at += (size_t)len[i];
    }
    if (!code && at != all.n) code = COL_DAMAGED(e, "texts are longer than their lengths say");
    if (own) arena_restore(&x->mem, m);
    return code;
}

static rc get_dict(col_ctx *x, col_reader *r, size_t count, arena *mem, str *to, unsigned depth,
                   err *e) {
    uint64_t n = col_varint(r);
    str piece = col_piece(r);
    if (r->bad || n == 0 || n > count) return COL_DAMAGED(e, "dictionary");
    str *texts = arena_try_raw(mem, (size_t)n * sizeof *texts, _Alignof(str));
    arena_mark m = arena_save(&x->mem);
    bool own = mem != &x->mem;
    uint64_t *ids = arena_try_raw(&x->mem, count * sizeof *ids + 8, 8);
    if (!texts || !ids) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = col_x_get_u64(x, col_rest(r), count, ids, depth + 1, e);
    for (size_t i = 0; !code && i < count; i++) {
        if (ids[i] >= n) code = COL_DAMAGED(e, "number of a text");
        to[i].n = (size_t)ids[i]; /* kept there while the scratch is used for the texts */
    }
    if (own) arena_restore(&x->mem, m);
    if (!code) code = col_x_get_str(x, piece, (size_t)n, mem, texts, depth + 1, e);
    for (size_t i = 0; !code && i < count; i++) to[i] = texts[to[i].n];
    return code;
}

static rc get_recent(col_ctx *x, col_reader *r, size_t count, arena *mem, str *to, unsigned depth,
                     err *e) {
    uint64_t n = col_varint(r);
    str piece = col_piece(r);
    if (r->bad || n == 0 || n > count) return COL_DAMAGED(e, "new texts");
    str *fresh = arena_try_raw(mem, (size_t)n * sizeof *fresh, 16);
    arena_mark m = arena_save(&x->mem);
    bool own = mem != &x->mem;
    uint64_t *ages = arena_try_raw(&x->mem, count * sizeof *ages + 8, 8);
    if (!fresh || !ages) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = col_x_get_u64(x, col_rest(r), count, ages, depth + 1, e);
    size_t next = 0;
    for (size_t i = 0; !code && i < count; i++) {
        if (ages[i] > next || (ages[i] == 0 && next == n)) {
            code = COL_DAMAGED(e, "age of a text");
            break;
        }
        to[i].n = next - (size_t)ages[i]; /* kept there while the scratch is used */
        next += ages[i] == 0;
    }
    if (own) arena_restore(&x->mem, m);
    if (!code && next != n) code = COL_DAMAGED(e, "fewer new texts than stated");
    if (!code) code = col_x_get_str(x, piece, (size_t)n, mem, fresh, depth + 1, e);
    for (size_t i = 0; !code && i < count; i++) to[i] = fresh[to[i].n];
    return code;
}

rc col_x_get_str(col_ctx *x, str col, size_t count, arena *mem, str *to, unsigned depth, err *e) {
    MUST(count <= COL_VALUES_MAX);
    if (depth > COL_DEPTH_MAX) return COL_DAMAGED(e, "nested too deep");
    col_reader r = col_reader_of(col);
    uint8_t enc = col_u8(&r);
    if (r.bad) return COL_DAMAGED(e, "empty");
    switch (enc) {
    case S_CONST: {
        str one = col_rest(&r);
        for (size_t i = 0; i < count; i++) to[i] = one;
        return RC_OK;
    }
    case S_PLAIN:
        return get_plain(&r, count, to, e);
    case S_DICT:
        return get_dict(x, &r, count, mem, to, depth, e);
    case S_TEXT:
        return get_text(x, &r, count, mem, to, depth, e);
    case S_PATTERN:
        return pattern_get(x, &r, count, mem, to, depth, e);
    case S_RECENT:
        return get_recent(x, &r, count, mem, to, depth, e);
    default:
        return COL_DAMAGED(e, "unknown encoding of texts");
    }
}
