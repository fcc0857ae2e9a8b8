/* colpattern.c - texts that look alike: "10.3.250.7:1234", "12.058 ms", "blk_-16089", uuids, times.
 *
 * Problem. Compression of such texts as texts finds little: their digits are new each time and cost
 * three and a half bits each, plus what it takes to say where they go. Taken apart, the constants
 * cost nothing and each number costs what it is worth.
 *
 * Method. A text is a sequence of *runs* of letters and digits, and of other bytes, which are its
 * *pattern*. Texts of one pattern have the same runs at the same places; run k of all of them is a
 * *field*, whose kind is the narrowest that gives every run back exactly:
 *     one text            constant
 *     decimal             digits without needless zeros in front; or all of one width
 *     hexadecimal         of one width, lower or upper case, 16 digits to a number
 *     prefix + one of these  letters that all have in front ("node12", "0x7f")
 *     text                anything else: a column of texts
 * Texts beyond PATTERNS_MAX patterns, or with too many runs, are kept as they are.
 *
 * Format: u8 encoding; with COL_POINTS a piece: for each stretch of COL_STEP texts, for each
 * pattern and what has none, varint texts of it; varint patterns, piece: column of each text's
 * pattern (patterns = kept as is), for each pattern   piece: its bytes with 0 for a field; for each
 * field u8 kind, u8 width, piece prefix, piece: column (text: of texts; else integers; several of
 * them for more than 16 hexadecimal digits) column of texts that have no pattern A text with a byte
 * 0 has no pattern.
 *
 * Source: sub-columns of runtime patterns: Wei et al. 2023 (LogGrep, section 4); here patterns come
 * from punctuation alone, which is linear and needs no parameters. */
#include "store/column_int.h"

enum {
    PATTERNS_MAX = 48,
    RUNS_MAX = 32,
    SIG_MAX = 128,
    TEXT_MAX = 1024,
    HEX_WIDTH_MAX = 128,
    CHUNK = 16 /* hexadecimal digits of a number */
};
enum { F_CONST = 0, F_DEC, F_DEC_WIDE, F_HEX, F_HEX_UPPER, F_TEXT };
enum { IS_DIGIT = 1, IS_LOWER_HEX = 2, IS_UPPER_HEX = 4, IS_LETTER = 8 };

/* clang-format off */
#define X4(v) v, v, v, v
static const uint8_t cls[256] = {
    ['0'] = X4(7), X4(7), 7, 7,
    ['A'] = X4(12), 12, 12, X4(8), X4(8), X4(8), X4(8), X4(8),
    ['a'] = X4(10), 10, 10, X4(8), X4(8), X4(8), X4(8), X4(8),
};
/* clang-format on */

typedef struct pattern {
    uint64_t hash;
    uint32_t rows, fields, bytes;
    char sig[SIG_MAX];
} pattern;

typedef struct pattern_set {
    pattern p[PATTERNS_MAX];
    size_t count;
} pattern_set;

/* The pattern of a text: bytes with 0 for each run. 0 bytes and no fields when it has none. */
static bool signature(str v, char sig[SIG_MAX], uint32_t *ret_bytes, uint32_t *ret_fields) {
    uint32_t n = 0, fields = 0;
    if (v.n > TEXT_MAX) return false;
    for (size_t i = 0; i < v.n;) {
        if (n == SIG_MAX) return false;
        if (!cls[(uint8_t)v.p[i]]) {
            if (v.p[i] == 0) return false;
            sig[n++] = v.p[i++];
            continue;
        }
        if (++fields > RUNS_MAX) return false;
        sig[n++] = 0;
        do i++;
        while (i < v.n && cls[(uint8_t)v.p[i]]);
    }
    *ret_bytes = n;
    *ret_fields = fields;
    return true;
}

/* Number of the text's pattern, PATTERNS_MAX for none. */
static uint32_t pattern_of(pattern_set *s, str v, uint32_t guess) {
    char sig[SIG_MAX];
    uint32_t n, fields;
    if (!signature(v, sig, &n, &fields)) return PATTERNS_MAX;
    if (guess < s->count && s->p[guess].bytes == n && memcmp(s->p[guess].sig, sig, n) == 0)
        return guess;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->p[i].bytes == n && memcmp(s->p[i].sig, sig, n) == 0) return i;
    }
    if (s->count == PATTERNS_MAX) return PATTERNS_MAX;
    pattern *p = &s->p[s->count];
    *p = (pattern){.bytes = n, .fields = fields};
    memcpy(p->sig, sig, n);
    return (uint32_t)s->count++;
}

/* ---- fields ---- */

typedef struct field {
    uint8_t kind, width;
    uint32_t prefix; /* bytes of the first run */
} field;

static bool needless_zero(str run) { return run.n > 1 && run.p[0] == '0'; }

/* What all runs behind `prefix` bytes are: the and of their bytes' sorts, their widths. */
static void look(const str *run, size_t n, size_t prefix, uint8_t *ret_sorts, size_t *ret_min,
                 size_t *ret_max, bool *ret_zero) {
    uint8_t sorts = 255;
    size_t min = SIZE_MAX, max = 0;
    bool zero = false;
    for (size_t i = 0; i < n; i++) {
        str r = str_from(run[i], prefix);
        for (size_t k = 0; k < r.n; k++) sorts &= cls[(uint8_t)r.p[k]];
        min = MIN(min, r.n);
        max = MAX(max, r.n);
        zero |= needless_zero(r);
    }
    *ret_sorts = sorts;
    *ret_min = min;
    *ret_max = max;
    *ret_zero = zero;
}

static bool number_kind(const str *run, size_t n, size_t prefix, field *f) {
    uint8_t sorts;
    size_t min, max;
    bool zero;
    look(run, n, prefix, &sorts, &min, &max, &zero);
    if (min == 0) return false;
    f->prefix = (uint32_t)prefix;
    f->width = (uint8_t)MIN(max, (size_t)255);
    if (sorts & IS_DIGIT && min == max && max <= 19) {
        f->kind = zero ? F_DEC_WIDE : F_DEC;
        return true;
    }
    if (sorts & IS_DIGIT && !zero && max <= 19) {
        f->kind = F_DEC;
        return true;
    }
    if (min != max || max > HEX_WIDTH_MAX || !(sorts & (IS_LOWER_HEX | IS_UPPER_HEX))) return false;
    f->kind = sorts & IS_LOWER_HEX ? F_HEX : F_HEX_UPPER;
    return true;
}

static field field_of(const str *run, size_t n) {
    field f = {.kind = F_TEXT};
    bool same = true;
    size_t common = run[0].n; /* bytes all have in front */
    for (size_t i = 1; i < n && (same || common); i++) {
        same = same && str_eq(run[i], run[0]);
        common = MIN(common, run[i].n);
        if (memcmp(run[i].p, run[0].p, common) == 0) continue;
        size_t k = 0;
        while (run[i].p[k] == run[0].p[k]) k++;
        common = k;
    }
    if (same) return (field){.kind = F_CONST};
    if (number_kind(run, n, 0, &f)) return f;
    /* Digits in common belong to the number, unless a letter follows ("0x"). */
    while (common && (cls[(uint8_t)run[0].p[common - 1]] & IS_DIGIT)) common--;
    if (common && number_kind(run, n, common, &f)) return f;
    return (field){.kind = F_TEXT};
}

static uint64_t digits_value(str s) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) v = v * 10 + (uint8_t)(s.p[i] - '0');
    return v;
}

static uint64_t hex_value(str s) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        v = v << 4 | (uint64_t)((c & 15) + (c >> 6) * 9);
    }
    return v;
}

static bool put_field(col_ctx *x, buf *out, const str *run, size_t n, unsigned depth) {
    field f = field_of(run, n);
    bool ok = buf_putc(out, (char)f.kind) && buf_putc(out, (char)f.width);
    if (f.kind == F_CONST) return ok && col_put_piece(out, run[0]);
    ok = ok && col_put_piece(out, str_sub(run[0], 0, f.prefix));
    if (f.kind == F_TEXT) {
        buf b;
        buf_init(&b, out->max_bytes);
        ok = ok && col_x_put_texts(x, &b, run, n, depth + 1) && col_put_piece(out, buf_str(&b));
        buf_release(&b);
        return ok;
    }
    arena_mark m = arena_save(&x->mem);
    uint64_t *v = arena_try_raw(&x->mem, n * sizeof *v, 8);
    bool hex = f.kind == F_HEX || f.kind == F_HEX_UPPER;
    size_t step = hex ? CHUNK : f.width;
    ok = ok && v;
    for (size_t at = 0; ok && at < f.width; at += step) {
        for (size_t i = 0; i < n; i++) {
            str s = str_from(run[i], f.prefix + at);
            v[i] = hex ? hex_value(str_sub(s, 0, step)) : digits_value(s);
        }
        ok = col_x_put_u64_piece(x, out, v, n);
    }
    arena_restore(&x->mem, m);
    return ok;
}

/* Runs of all texts of pattern `which`, field by field. */
static bool put_pattern(col_ctx *x, buf *out, const pattern *p, const str *v, size_t n,
                        const uint64_t *ids, uint32_t which, unsigned depth) {
    if (!col_put_piece(out, (str){p->sig, p->bytes})) return false;
    arena_mark m = arena_save(&x->mem);
    size_t rows = p->rows, row = 0;
    str *run = arena_try_raw(&x->mem, rows * p->fields * sizeof *run + 1, 16);
    for (size_t i = 0; run && i < n; i++) {
        if (ids[i] != which) continue;
        const char *c = v[i].p, *end = c + v[i].n;
        for (size_t k = 0; k < p->fields; k++) {
            while (!cls[(uint8_t)*c]) c++;
            const char *from = c;
            while (c < end && cls[(uint8_t)*c]) c++;
            run[k * rows + row] = (str){from, (size_t)(c - from)};
        }
        row++;
    }
    bool ok = run != NULL;
    for (size_t k = 0; ok && k < p->fields; k++)
        ok = put_field(x, out, run + k * rows, rows, depth);
    arena_restore(&x->mem, m);
    return ok;
}

/* The encoding, with the points of a long column. ids: up to count. */
static bool put_enc(const col_ctx *x, buf *out, uint8_t enc, const uint64_t *ids, size_t n,
                    size_t count) {
    if (!x->points || n <= COL_STEP) return buf_putc(out, (char)enc);
    buf b;
    buf_init(&b, out->max_bytes);
    bool ok = true;
    uint32_t rows[PATTERNS_MAX + 1] = {0};
    for (size_t i = 0; ok && i < n; i++) {
        rows[ids[i]]++;
        if (i + 1 < n && (i + 1) % COL_STEP) continue;
        for (size_t k = 0; ok && k <= count; k++) {
            ok = buf_varint(&b, rows[k]);
            rows[k] = 0;
        }
    }
    ok = ok && buf_putc(out, (char)(enc | COL_POINTS)) && col_put_piece(out, buf_str(&b));
    buf_release(&b);
    return ok;
}

bool pattern_put(col_ctx *x, buf *out, uint8_t enc, const str *v, size_t n, unsigned depth) {
    arena_mark m = arena_save(&x->mem);
    pattern_set *s = arena_try_new(&x->mem, pattern_set);
    uint64_t *ids = arena_try_raw(&x->mem, n * sizeof *ids, 8);
    str *rest = arena_try_raw(&x->mem, n * sizeof *rest, 16);
    bool ok = s && ids && rest;
    size_t others = 0;
    for (size_t i = 0; ok && i < n; i++) {
        uint32_t k = pattern_of(s, v[i], i ? (uint32_t)ids[i - 1] : 0);
        ids[i] = k;
        if (k < PATTERNS_MAX)
            s->p[k].rows++;
        else
            rest[others++] = v[i];
    }
    for (size_t i = 0; ok && others && i < n; i++) {
        if (ids[i] == PATTERNS_MAX) ids[i] = s->count;
    }
    ok = ok && put_enc(x, out, enc, ids, n, s->count) && buf_varint(out, s->count) &&
         col_x_put_u64_piece(x, out, ids, n);
    for (uint32_t k = 0; ok && k < s->count; k++)
        ok = put_pattern(x, out, &s->p[k], v, n, ids, k, depth);
    ok = ok && col_x_put_texts(x, out, rest, others, depth + 1);
    arena_restore(&x->mem, m);
    return ok;
}

/* ---- reading ---- */

typedef struct got_field {
    uint8_t kind, width;
    str prefix;
    uint64_t *num[HEX_WIDTH_MAX / CHUNK];
    str *texts;
} got_field;

typedef struct got_pattern {
    str sig;
    uint32_t rows, next, fields;
    uint32_t total;     /* rows of the column; `rows` are wanted */
    const uint32_t *at; /* which; NULL: all */
    got_field *field;
} got_pattern;

static rc get_texts(col_ctx *x, str col, const got_pattern *p, arena *mem, str *to, unsigned depth,
                    err *e) {
    return p->at ? col_x_get_str_at(x, col, p->total, p->at, p->rows, mem, to, depth, e)
                 : col_x_get_str(x, col, p->rows, mem, to, depth, e);
}

static rc get_field(col_ctx *x, col_reader *r, const got_pattern *p, arena *mem, arena *tmp,
                    got_field *f, unsigned depth, err *e) {
    size_t rows = p->rows;
    f->kind = col_u8(r);
    f->width = col_u8(r);
    f->prefix = col_piece(r);
    if (r->bad || f->kind > F_TEXT) return COL_DAMAGED(e, "field of a pattern");
    if (f->kind == F_CONST) return RC_OK;
    if (f->kind == F_TEXT) {
        f->texts = arena_try_raw(tmp, rows * sizeof(str) + 16, 16);
        if (!f->texts) return FAIL(e, RC_LIMIT, "column: no memory");
        str piece = col_piece(r);
        if (r->bad) return COL_DAMAGED(e, "field of a pattern");
        return get_texts(x, piece, p, mem, f->texts, depth + 1, e);
    }
    bool hex = f->kind == F_HEX || f->kind == F_HEX_UPPER;
    if (f->width == 0 || f->width > (hex ? HEX_WIDTH_MAX : 19))
        return COL_DAMAGED(e, "width of a field");
    size_t step = hex ? CHUNK : f->width;
    rc code = RC_OK;
    for (size_t at = 0, k = 0; at < f->width && !code; at += step, k++) {
        f->num[k] = arena_try_raw(tmp, rows * 8 + 8, 8);
        if (!f->num[k]) return FAIL(e, RC_LIMIT, "column: no memory");
        str piece = col_piece(r);
        if (r->bad) return COL_DAMAGED(e, "field of a pattern");
        if (p->at)
            code = col_x_get_u64_at(x, piece, p->total, p->at, rows, f->num[k], depth + 1, e);
        else
            code = col_x_get_u64(x, piece, rows, f->num[k], depth + 1, e);
        uint64_t above = hex ? col_mask((unsigned)MIN(step, f->width - at) * 4) : UINT64_MAX;
        for (size_t i = 0; !code && i < rows; i++) {
            if (f->num[k][i] > above) code = COL_DAMAGED(e, "a number is too wide");
        }
    }
    return code;
}

static unsigned decimal_digits(uint64_t v) {
    unsigned n = 1;
    for (; v >= 10000; v /= 10000) n += 4;
    return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

static char *put_decimal(char *p, uint64_t v, unsigned width) {
    for (unsigned i = width; i-- > 0; v /= 10) p[i] = (char)('0' + v % 10);
    return p + width;
}

static char *put_hex(char *p, uint64_t v, unsigned width, bool upper) {
    const char *digit = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (unsigned i = width; i-- > 0; v >>= 4) p[i] = digit[v & 15];
    return p + width;
}

/* Bytes that a text of the pattern may take at most, without its text fields. */
static size_t bytes_of(const got_pattern *p) {
    size_t n = p->sig.n;
    for (uint32_t k = 0; k < p->fields; k++)
        n += p->field[k].prefix.n + (p->field[k].kind <= F_DEC_WIDE ? 20 : p->field[k].width);
    return n;
}

static char *put_text(char *to, const got_pattern *p, size_t row) {
    uint32_t k = 0;
    for (size_t i = 0; i < p->sig.n; i++) {
        if (p->sig.p[i]) {
            *to++ = p->sig.p[i];
            continue;
        }
        const got_field *f = &p->field[k++];
        if (f->prefix.n) memcpy(to, f->prefix.p, f->prefix.n);
        to += f->prefix.n;
        switch (f->kind) {
        case F_CONST:
            break;
        case F_DEC:
            to = put_decimal(to, f->num[0][row], decimal_digits(f->num[0][row]));
            break;
        case F_DEC_WIDE:
            to = put_decimal(to, f->num[0][row], f->width);
            break;
        case F_TEXT:
            if (f->texts[row].n) memcpy(to, f->texts[row].p, f->texts[row].n);
            to += f->texts[row].n;
            break;
        default:
            for (unsigned at = 0; at < f->width; at += CHUNK)
                to = put_hex(to, f->num[at / CHUNK][row], MIN((unsigned)CHUNK, f->width - at),
                             f->kind == F_HEX_UPPER);
        }
    }
    return to;
}

static rc render(const got_pattern *p, size_t count, const uint64_t *ids, size_t n, uint32_t *next,
                 const str *rest, arena *mem, str *to, err *e) {
    enum { ROOM = 1 << 16 };
    char *at = NULL, *end = NULL;
    size_t other = 0;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == count) {
            to[i] = rest[other++];
            continue;
        }
        const got_pattern *x = &p[ids[i]];
        size_t row = next[ids[i]]++, need = bytes_of(x);
        for (uint32_t k = 0; k < x->fields; k++) {
            if (x->field[k].kind == F_TEXT) need += x->field[k].texts[row].n;
        }
        if (need > (size_t)(end - at)) {
            size_t room = MAX(need, (size_t)ROOM);
            at = arena_try_raw(mem, room, 1);
            if (!at) return FAIL(e, RC_LIMIT, "column: no memory");
            end = at + room;
        }
        char *from = at;
        at = put_text(at, x, row);
        to[i] = (str){from, (size_t)(at - from)};
    }
    return RC_OK;
}

/* Which pattern each wanted text has, and the how manyth of it it is. */
static rc find_rows(col_ctx *x, str ids_col, str points, size_t n, const uint32_t *at, size_t m,
                    size_t count, got_pattern *p, uint64_t *ids, arena *tmp, unsigned depth,
                    err *e) {
    size_t step_rows = points.n ? COL_STEP : n;
    uint32_t *rank = arena_try_raw(tmp, m * 4 + 4, 4);
    uint64_t *some = arena_try_raw(tmp, step_rows * 8, 8);
    uint32_t *begin = arena_try_new_n(tmp, uint32_t, count + 1); /* of the stretch */
    uint32_t *seen = arena_try_raw(tmp, (count + 1) * 4, 4);
    if (!rank || !some || !begin || !seen) return FAIL(e, RC_LIMIT, "column: no memory");
    col_reader pr = col_reader_of(points);
    size_t steps = (n + step_rows - 1) / step_rows, i = 0;
    rc code = RC_OK;
    for (size_t s = 0; s < steps && !code; s++) {
        size_t from = s * step_rows, k = i, end = MIN(n, from + step_rows);
        while (k < m && at[k] < end) k++;
        size_t read = !points.n ? n : k > i ? at[k - 1] + 1 - from : 0;
        memcpy(seen, begin, (count + 1) * 4);
        code = col_x_get_u64_range(x, ids_col, n, from, read, some, depth + 1, e);
        for (size_t row = 0; row < read && !code; row++) {
            if (some[row] > count) code = COL_DAMAGED(e, "number of a pattern");
            if (!code && i < k && at[i] == from + row) {
                ids[i] = some[row];
                rank[i++] = seen[some[row]];
            }
            if (!code) seen[some[row]]++;
        }
        for (size_t c = 0; c <= count && !code; c++) {
            uint64_t rows = points.n ? col_varint(&pr) : seen[c];
            if (rows > n || pr.bad) code = COL_DAMAGED(e, "points");
            begin[c] += (uint32_t)rows;
        }
    }
    for (size_t c = 0; c <= count && !code; c++) {
        uint32_t *mine = arena_try_raw(tmp, m * 4 + 4, 4);
        if (!mine) return FAIL(e, RC_LIMIT, "column: no memory");
        for (size_t k = 0; k < m; k++) {
            if (ids[k] != c) continue;
            if (rank[k] >= begin[c]) return COL_DAMAGED(e, "points");
            mine[p[c].rows++] = rank[k];
        }
        p[c].at = mine;
        p[c].total = begin[c];
        if (begin[c] > n) return COL_DAMAGED(e, "points");
    }
    return code;
}

/* at NULL: all n. */
static rc get_patterns(col_ctx *x, col_reader *r, str points, size_t n, const uint32_t *at,
                       size_t m, arena *mem, arena *tmp, str *to, unsigned depth, err *e) {
    uint64_t count = col_varint(r);
    str piece = col_piece(r);
    if (r->bad || count > PATTERNS_MAX) return COL_DAMAGED(e, "patterns");
    got_pattern *p = arena_try_new_n(tmp, got_pattern, count + 1);
    uint64_t *ids = arena_try_raw(tmp, m * 8 + 8, 8);
    uint32_t *next = arena_try_new_n(tmp, uint32_t, count + 1);
    rc code = p && ids && next ? RC_OK : FAIL(e, RC_LIMIT, "column: no memory");
    if (!code && at) {
        code = find_rows(x, piece, points, n, at, m, count, p, ids, tmp, depth, e);
    } else if (!code) {
        code = col_x_get_u64(x, piece, n, ids, depth + 1, e);
        for (size_t i = 0; !code && i < n; i++) {
            if (ids[i] > count)
                code = COL_DAMAGED(e, "number of a pattern");
            else
                p[ids[i]].rows++;
        }
    }
    for (size_t k = 0; !code && k < count; k++) {
        p[k].sig = col_piece(r);
        if (r->bad || p[k].sig.n > SIG_MAX) code = COL_DAMAGED(e, "pattern");
        for (size_t i = 0; !code && i < p[k].sig.n; i++) p[k].fields += p[k].sig.p[i] == 0;
        if (!code) p[k].field = arena_try_new_n(tmp, got_field, p[k].fields);
        if (!code && !p[k].field) code = FAIL(e, RC_LIMIT, "column: no memory");
        for (size_t f = 0; !code && f < p[k].fields; f++)
            code = get_field(x, r, &p[k], mem, tmp, &p[k].field[f], depth, e);
    }
    str *rest = code ? NULL : arena_try_raw(tmp, p[count].rows * sizeof *rest + 16, 16);
    if (!code && !rest) code = FAIL(e, RC_LIMIT, "column: no memory");
    if (!code) code = get_texts(x, col_rest(r), &p[count], mem, rest, depth + 1, e);
    if (!code) code = render(p, count, ids, m, next, rest, mem, to, e);
    return code;
}

rc pattern_get(col_ctx *x, col_reader *r, size_t n, arena *mem, str *to, unsigned depth, err *e) {
    /* Decoding a nested column with mem == &x->mem would be cut off by a restore. */
    arena tmp;
    arena_init(&tmp, "patterns", COL_SCRATCH_MAX);
    rc code = get_patterns(x, r, STR_NONE, n, NULL, n, mem, &tmp, to, depth, e);
    arena_release(&tmp);
    return code;
}

rc pattern_get_at(col_ctx *x, col_reader *r, str points, size_t n, const uint32_t *at, size_t m,
                  arena *mem, str *to, unsigned depth, err *e) {
    MUST(m > 0 && mem != &x->mem);
    arena tmp;
    arena_init(&tmp, "patterns", COL_SCRATCH_MAX);
    rc code = get_patterns(x, r, points, n, at, m, mem, &tmp, to, depth, e);
    arena_release(&tmp);
    return code;
}
