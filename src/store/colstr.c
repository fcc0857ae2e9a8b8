/* colstr.c - columns of texts.
 *
 * Format: u8 encoding, then
 *   CONST   the text (to the end)
 *   PLAIN   u8 length of each (255: a varint in `long` instead), piece `long`, the texts one behind
 *           the other (to the end): level 0, cheap to write and to search
 *   DICT    varint distinct, piece: column of the distinct texts by frequency, column of their
 * numbers TEXT    piece: column of the lengths, blob of the texts
 *
 * Choice. Level 0: constant, else PLAIN. Level 1: constant; few distinct texts: DICT; else TEXT. */
#include "store/column_int.h"

#include "base/map.h"

enum { S_CONST = 0, S_PLAIN, S_DICT, S_TEXT };
enum { LONG = 255, DICT_TEXTS_MAX = 1 << 16 };

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

/* Numbers of the distinct texts, in order of first sight. False when there are more than max. */
static bool number_texts(intern *t, const str *v, size_t n, uint64_t *ids, size_t max) {
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(v[i], v[i - 1])) {
            ids[i] = ids[i - 1];
            continue;
        }
        uint32_t id = intern_put(t, v[i]);
        if (id == INTERN_NONE || t->count > max) return false;
        ids[i] = id;
    }
    return true;
}

typedef struct ranked {
    uint64_t count, id;
} ranked;

static int by_count(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* -1: not worth it. */
static int put_dict(col_ctx *x, buf *out, const str *v, size_t n, size_t bytes) {
    arena_mark m = arena_save(&x->mem);
    uint64_t *ids = arena_try_raw(&x->mem, n * sizeof *ids, 8);
    intern t;
    intern_init(&t, "column dictionary", DICT_TEXTS_MAX, bytes + (1 << 20));
    int ret = -1;
    if (ids && number_texts(&t, v, n, ids, MIN(n / 2, (size_t)DICT_TEXTS_MAX))) {
        ranked *r = arena_try_raw(&x->mem, t.count * sizeof *r, 8);
        uint64_t *rank = arena_try_raw(&x->mem, t.count * sizeof *rank, 8);
        str *texts = arena_try_raw(&x->mem, t.count * sizeof *texts, 8);
        bool ok = r && rank && texts;
        for (size_t i = 0; ok && i < t.count; i++) r[i] = (ranked){0, i};
        for (size_t i = 0; ok && i < n; i++) r[ids[i]].count++;
        if (ok) qsort(r, t.count, sizeof *r, by_count);
        for (size_t i = 0; ok && i < t.count; i++) {
            rank[r[i].id] = i;
            texts[i] = intern_str(&t, (uint32_t)r[i].id);
        }
        for (size_t i = 0; ok && i < n; i++) ids[i] = rank[ids[i]];
        buf b;
        buf_init(&b, out->max_bytes);
        ok = ok && buf_putc(out, S_DICT) && buf_varint(out, t.count) &&
             col_x_put_str(x, &b, texts, t.count) && col_put_piece(out, buf_str(&b)) &&
             col_x_put_u64(x, out, ids, n);
        buf_release(&b);
        ret = ok;
    }
    intern_release(&t);
    arena_restore(&x->mem, m);
    return ret;
}

bool col_x_put_str(col_ctx *x, buf *out, const str *v, size_t count) {
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
    if (count >= 8) {
        int done = put_dict(x, out, v, count, bytes);
        if (done >= 0) return done;
    }
    return put_text(x, out, v, count, bytes);
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
    default:
        return COL_DAMAGED(e, "unknown encoding of texts");
    }
}
