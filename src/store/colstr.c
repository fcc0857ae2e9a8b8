/* colstr.c - columns of texts.
 *
 * Format: u8 encoding, then
 *   CONST    the text (to the end)
 *   PLAIN    u8 length of each (255: a varint in `long` instead), piece `long`, the texts one
 *            behind the other (to the end): level 0, cheap to write and to search
 *   DICT     varint distinct, piece: column of the distinct texts by frequency, column of their
 *            numbers
 *   TEXT     piece: column of the lengths, blob of the texts
 *   PATTERN  colpattern.c
 *   RECENT   varint new texts, piece: column of the new texts in order of first sight, column of
 *            ages: 0 = the next new text, k = the k-th latest of the new ones so far
 * A long column may have points: enc | COL_POINTS and a piece follow, in it
 *   TEXT     varint values of a chunk (a multiple of COL_STEP); instead of the one blob there is a
 *            piece with a blob for each chunk
 *   PATTERN  colpattern.c
 *   RECENT   for each COL_STEP-th value but the first varint new texts since the point before
 *
 * Choice. Level 0: constant, else PLAIN. Level 1: constant; DICT when there are few distinct texts;
 * RECENT when texts come back soon: new texts are encoded first, and what their bytes are on
 * average decides whether the ages are cheaper than the repetitions; PATTERN and TEXT by trial, on
 * a sample when the column is long. */
#include "store/column_int.h"

#include "base/map.h"

enum { S_CONST = 0, S_PLAIN, S_DICT, S_TEXT, S_PATTERN, S_RECENT };
enum { CHUNK_BYTES = 64 << 10, TEXT_BYTES_MAX = 512 << 20 };
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

/* Chunks of whole steps with about CHUNK_BYTES each, so that one text costs one of them. */
static bool put_chunks(col_ctx *x, buf *out, const str *v, size_t n, const uint64_t *len,
                       const char *all, size_t bytes) {
    size_t steps = MAX(CHUNK_BYTES / (bytes / n * COL_STEP + 1), (size_t)1);
    size_t rows = steps * COL_STEP, at = 0;
    buf b;
    buf_init(&b, out->max_bytes);
    bool ok = buf_putc(out, (char)(S_TEXT | COL_POINTS)) && buf_varint(&b, rows) &&
              col_put_piece(out, buf_str(&b)) && col_x_put_u64_piece(x, out, len, n);
    for (size_t i = 0; ok && i < n; i += rows) {
        size_t part = 0;
        for (size_t k = i; k < MIN(n, i + rows); k++) part += v[k].n;
        buf_reset(&b);
        ok = col_put_blob(x, &b, (str){all + at, part}) && col_put_piece(out, buf_str(&b));
        at += part;
    }
    buf_release(&b);
    return ok;
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
    if (x->points && n > COL_STEP && bytes > CHUNK_BYTES)
        ok = ok && put_chunks(x, out, v, n, len, all, bytes);
    else
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
        bool ok = pattern_put(x, &a, S_PATTERN, part, TRIAL, depth) &&
                  put_text(x, &b, part, TRIAL, part_bytes);
        bool pattern = a.n < b.n;
        buf_release(&a);
        buf_release(&b);
        if (!ok) return false;
        if (!pattern) return put_text(x, out, v, n, bytes);
        return pattern_put(x, out, S_PATTERN, v, n, depth);
    }
    if (!pattern_put(x, out, S_PATTERN, v, n, depth)) return false;
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

static bool put_recent_enc(const col_ctx *x, buf *out, const uint64_t *ages, size_t n) {
    if (!x->points || n <= COL_STEP) return buf_putc(out, S_RECENT);
    buf b;
    buf_init(&b, out->max_bytes);
    bool ok = true;
    size_t fresh = 0;
    for (size_t i = 0; ok && i < n; i++) {
        if (i && i % COL_STEP == 0) {
            ok = buf_varint(&b, fresh);
            fresh = 0;
        }
        fresh += ages[i] == 0;
    }
    ok = ok && buf_putc(out, (char)(S_RECENT | COL_POINTS)) && col_put_piece(out, buf_str(&b));
    buf_release(&b);
    return ok;
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
            ok = put_recent_enc(x, out, ages, n) && buf_varint(out, count) &&
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

/* All texts one behind the other, from a blob for each chunk of `rows` texts. */
static rc get_chunks(col_ctx *x, str raw, size_t rows, const uint64_t *len, size_t count,
                     arena *mem, str *ret, err *e) {
    col_reader r = col_reader_of(raw);
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        if (len[i] > TEXT_BYTES_MAX - total) return COL_DAMAGED(e, "length of a text");
        total += (size_t)len[i];
    }
    char *all = arena_try_raw(mem, total + 1, 1);
    if (!all) return FAIL(e, RC_LIMIT, "column: no memory");
    for (size_t i = 0; i < count; i += rows) {
        str part, piece = col_piece(&r);
        arena_mark m = arena_save(&x->mem);
        rc code = col_get_blob(x, piece, total - at, &x->mem, &part, e);
        if (!code && part.n) memcpy(all + at, part.p, part.n);
        if (!code) at += part.n;
        arena_restore(&x->mem, m);
        if (code) return code;
    }
    *ret = (str){all, at};
    return r.bad || col_left(&r) ? COL_DAMAGED(e, "chunks of texts") : RC_OK;
}

/* Values of a chunk: 0 when the points are damaged. */
static size_t chunk_rows(str points) {
    col_reader r = col_reader_of(points);
    uint64_t rows = col_varint(&r);
    return r.bad || rows == 0 || rows % COL_STEP || rows > COL_VALUES_MAX ? 0 : (size_t)rows;
}

static rc get_text(col_ctx *x, col_reader *r, str points, size_t count, arena *mem, str *to,
                   unsigned depth, err *e) {
    str piece = col_piece(r), raw = col_rest(r);
    if (points.n && chunk_rows(points) == 0) return COL_DAMAGED(e, "points");
    if (r->bad) return COL_DAMAGED(e, "ends early");
    arena_mark m = arena_save(&x->mem);
    bool own = mem != &x->mem;
    uint64_t *len = arena_try_raw(&x->mem, count * sizeof *len + 8, 8);
    if (!len) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = col_x_get_u64(x, piece, count, len, depth + 1, e);
    str all = STR_NONE;
    if (!code && points.n)
        code = get_chunks(x, raw, chunk_rows(points), len, count, mem, &all, e);
    else if (!code)
        code = col_get_blob(x, raw, TEXT_BYTES_MAX, mem, &all, e);
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
    str points = STR_NONE;
    if (enc & COL_POINTS) points = col_piece(&r);
    if (r.bad) return COL_DAMAGED(e, "empty");
    switch (enc & ~COL_POINTS) {
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
        return get_text(x, &r, points, count, mem, to, depth, e);
    case S_PATTERN:
        return pattern_get(x, &r, count, mem, to, depth, e);
    case S_RECENT:
        return get_recent(x, &r, count, mem, to, depth, e);
    default:
        return COL_DAMAGED(e, "unknown encoding of texts");
    }
}

/* ---- reading some ---- */

static rc text_at(col_ctx *x, col_reader *r, str points, size_t count, const uint32_t *at, size_t m,
                  arena *mem, str *to, unsigned depth, err *e) {
    str piece = col_piece(r);
    size_t rows = points.n ? chunk_rows(points) : count;
    if (r->bad || rows == 0) return COL_DAMAGED(e, "points");
    size_t chunk = 0;
    rc code = RC_OK;
    for (size_t i = 0, k; i < m && !code; i = k) {
        size_t from = at[i] - at[i] % rows, last = 0;
        for (k = i + 1; k < m && at[k] - from < rows;) k++;
        last = at[k - 1];
        str raw = STR_NONE, all = STR_NONE;
        if (points.n) {
            for (; chunk <= from / rows; chunk++) raw = col_piece(r);
        } else {
            raw = col_rest(r);
        }
        if (r->bad) return COL_DAMAGED(e, "chunks of texts");
        arena_mark mark = arena_save(&x->mem);
        uint64_t *len = arena_try_raw(&x->mem, (last + 1 - from) * 8, 8);
        if (!len) return FAIL(e, RC_LIMIT, "column: no memory");
        code = col_x_get_u64_range(x, piece, count, from, last + 1 - from, len, depth + 1, e);
        if (!code) code = col_get_blob(x, raw, TEXT_BYTES_MAX, mem, &all, e);
        size_t begin = 0;
        for (size_t row = from, j = i; !code && row <= last; row++) {
            if (len[row - from] > all.n - begin) {
                code = COL_DAMAGED(e, "length of a text");
                break;
            }
            size_t n = (size_t)len[row - from];
            if (at[j] == row) to[j++] = (str){all.p ? all.p + begin : NULL, n};
            begin += n;
        }
        arena_restore(&x->mem, mark);
    }
    return code;
}

/* Texts by number, in any order. */
static rc some_texts(col_ctx *x, str col, size_t count, const uint64_t *ids, size_t m, arena *mem,
                     str *to, unsigned depth, err *e) {
    rc code = RC_OK;
    for (size_t i = 0; i < m && !code; i++) {
        if (ids[i] >= count) return COL_DAMAGED(e, "number of a text");
        uint32_t one = (uint32_t)ids[i];
        size_t k = 0;
        while (k < i && ids[k] != ids[i]) k++;
        if (k < i)
            to[i] = to[k];
        else
            code = col_x_get_str_at(x, col, count, &one, 1, mem, &to[i], depth + 1, e);
    }
    return code;
}

static rc dict_at(col_ctx *x, col_reader *r, size_t count, const uint32_t *at, size_t m, arena *mem,
                  str *to, unsigned depth, err *e) {
    uint64_t n = col_varint(r);
    str piece = col_piece(r);
    if (r->bad || n == 0 || n > count) return COL_DAMAGED(e, "dictionary");
    arena_mark mark = arena_save(&x->mem);
    uint64_t *ids = arena_try_raw(&x->mem, m * sizeof *ids, 8);
    if (!ids) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = col_x_get_u64_at(x, col_rest(r), count, at, m, ids, depth + 1, e);
    if (!code) code = some_texts(x, piece, (size_t)n, ids, m, mem, to, depth, e);
    arena_restore(&x->mem, mark);
    return code;
}

static rc recent_at(col_ctx *x, col_reader *r, str points, size_t count, const uint32_t *at,
                    size_t m, arena *mem, str *to, unsigned depth, err *e) {
    uint64_t n = col_varint(r);
    str piece = col_piece(r), ages = col_rest(r);
    if (r->bad || n == 0 || n > count) return COL_DAMAGED(e, "new texts");
    arena_mark mark = arena_save(&x->mem);
    uint64_t *ids = arena_try_raw(&x->mem, m * sizeof *ids, 8);
    size_t step_rows = points.n ? COL_STEP : count, next = 0, step = 0;
    uint64_t *age = arena_try_raw(&x->mem, step_rows * sizeof *age, 8);
    if (!ids || !age) return FAIL(e, RC_LIMIT, "column: no memory");
    col_reader pr = col_reader_of(points);
    rc code = RC_OK;
    for (size_t i = 0, k; i < m && !code; i = k) {
        for (; step < at[i] / step_rows; step++) next += col_varint(&pr);
        size_t from = step * step_rows, seen = next;
        for (k = i + 1; k < m && at[k] - from < step_rows;) k++;
        size_t last = at[k - 1];
        code = pr.bad
                   ? COL_DAMAGED(e, "points")
                   : col_x_get_u64_range(x, ages, count, from, last + 1 - from, age, depth + 1, e);
        for (size_t row = from, j = i; !code && row <= last; row++) {
            uint64_t a = age[row - from];
            if (a > seen) code = COL_DAMAGED(e, "age of a text");
            if (at[j] == row) ids[j++] = seen - a;
            seen += a == 0;
        }
    }
    if (!code) code = some_texts(x, piece, (size_t)n, ids, m, mem, to, depth, e);
    arena_restore(&x->mem, mark);
    return code;
}

static rc plain_at(col_reader *r, size_t count, const uint32_t *at, size_t m, arena *mem, str *to,
                   err *e) {
    str *all = arena_try_raw(mem, count * sizeof *all, 16);
    if (!all) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = get_plain(r, count, all, e);
    for (size_t i = 0; i < m && !code; i++) to[i] = all[at[i]];
    return code;
}

rc col_x_get_str_at(col_ctx *x, str col, size_t count, const uint32_t *at, size_t m, arena *mem,
                    str *to, unsigned depth, err *e) {
    MUST(count <= COL_VALUES_MAX && mem != &x->mem);
    if (m == 0) return RC_OK;
    MUST(at[m - 1] < count);
    if (depth > COL_DEPTH_MAX) return COL_DAMAGED(e, "nested too deep");
    col_reader r = col_reader_of(col);
    uint8_t enc = col_u8(&r);
    str points = STR_NONE;
    if (enc & COL_POINTS) points = col_piece(&r);
    if (r.bad) return COL_DAMAGED(e, "empty");
    switch (enc & ~COL_POINTS) {
    case S_CONST: {
        str one = col_rest(&r);
        for (size_t i = 0; i < m; i++) to[i] = one;
        return RC_OK;
    }
    case S_PLAIN:
        return plain_at(&r, count, at, m, mem, to, e);
    case S_DICT:
        return dict_at(x, &r, count, at, m, mem, to, depth, e);
    case S_TEXT:
        return text_at(x, &r, points, count, at, m, mem, to, depth, e);
    case S_PATTERN:
        return pattern_get_at(x, &r, points, count, at, m, mem, to, depth, e);
    case S_RECENT:
        return recent_at(x, &r, points, count, at, m, mem, to, depth, e);
    default:
        return COL_DAMAGED(e, "unknown encoding of texts");
    }
}
