/* logread.c - log blocks back from their bytes: heads, headers of level 1, whole rows of either
 * level.
 *
 * Format (level 1)
 *     head      as in logblock.c; the header follows, zstd when raw bytes is not 0
 *     header    rows, tables (kinds with family, sorted by it), shared columns: count, each column,
 * rows; global columns: time, family, resource, bits, observed - time; ids (no column: varint first
 * part, one for each LB_PAGE rows; empty: there are none), filter of trace ids (fuse.h), filters of
 * the pages (pieces), rows of each family in each page but the last (empty: not kept); families:
 * count, each:
 * rows, column of member numbers, column of metas, columns of cells; parts: count, each: stored
 * bytes, raw bytes (0 = as stored), u32 XXH3 (low half) parts     one behind the other A column is
 * u8 how | 8 when of numbers; PART: part, offset, bytes; CONST, MEMBER: piece; SHARED: number; then
 * for texts the stamp: u64 mask, min, max length. Member i of a family is its i-th kind. Row k of a
 * family (counted in time order) has value k of the family's columns; the rows of a shared column
 * are those of the families that refer to it.
 *
 * Everything is checked: numbers against the counts of what they number, sizes against the bytes
 * that are there. Rows are decoded with one column after the other, so damage costs RC_CORRUPT,
 * never memory beyond the stated maxima. */
#include "store/logblock_int.h"

#include "base/rng.h"

#include <zstd.h>

enum { HEADER_RAW_MAX = 512 << 20, PART_RAW_MAX = 512 << 20, COLUMN_NUM = 8 };

#define DAMAGED(e, what) FAIL((e), RC_CORRUPT, "log block: %s", (what))
#define NO_MEMORY(e)     FAIL((e), RC_LIMIT, "log block: no memory")

/* ---- stamps ---- */

/* Bits: 1 digits, 2..27 lower case, 28..53 upper case, then punctuation; what is left shares 0. */
const uint8_t lb_class[256] = {
    ['0'] = 1,  1,          1,          1,          1,          1,          1,          1,
    1,          1,          ['a'] = 2,  3,          4,          5,          6,          7,
    8,          9,          10,         11,         12,         13,         14,         15,
    16,         17,         18,         19,         20,         21,         22,         23,
    24,         25,         26,         27,         ['A'] = 28, 29,         30,         31,
    32,         33,         34,         35,         36,         37,         38,         39,
    40,         41,         42,         43,         44,         45,         46,         47,
    48,         49,         50,         51,         52,         53,         [' '] = 54, ['.'] = 55,
    ['-'] = 56, ['_'] = 57, ['/'] = 58, [':'] = 59, ['"'] = 60, ['='] = 61, [','] = 62, ['@'] = 63,
};

uint64_t lb_mask_of(str s) {
    uint64_t mask = 0;
    for (size_t i = 0; i < s.n; i++) mask |= UINT64_C(1) << lb_class[(uint8_t)s.p[i]];
    return mask;
}

uint64_t lb_trace_key(const void *id) {
    return mix64(load_le64(id) ^ mix64(load_le64((const char *)id + 8)));
}

/* ---- heads and headers ---- */

rc lb_get_head(str b, lb_head *ret, err *e) {
    if (b.n < LB_HEAD_BYTES || memcmp(b.p, "FLLB", 4) != 0) return DAMAGED(e, "no head");
    if ((uint8_t)b.p[4] > LB_VERSION)
        return FAIL(e, RC_UNSUPPORTED, "log block: version %u is newer than this program's",
                    (uint8_t)b.p[4]);
    lb_head h = {.level = (uint8_t)b.p[5], .sum = load_le64(b.p + 16)};
    memcpy(&h.stored, b.p + 8, 4);
    memcpy(&h.raw, b.p + 12, 4);
    if (h.level > 1 || h.raw > HEADER_RAW_MAX || (h.level == 0 && h.raw))
        return DAMAGED(e, "damaged head");
    *ret = h;
    return RC_OK;
}

static void get_column(col_reader *r, lb_column *c) {
    uint8_t how = col_u8(r);
    c->how = how & 7;
    c->num = how & COLUMN_NUM;
    if (c->how > HOW_SHARED || how >> 4) r->bad = true;
    if (c->how == HOW_PART) {
        uint64_t part = col_varint(r), at = col_varint(r), bytes = col_varint(r);
        if ((part | at | bytes) > UINT32_MAX) r->bad = true;
        c->part = (uint32_t)part;
        c->at = (uint32_t)at;
        c->bytes = (uint32_t)bytes;
    } else if (c->how == HOW_SHARED) {
        uint64_t part = col_varint(r);
        if (part > UINT32_MAX) r->bad = true;
        c->part = (uint32_t)part;
    } else {
        c->value = col_piece(r);
    }
    if (c->num || c->how == HOW_SHARED) return;
    str mask = col_bytes(r, 8);
    if (mask.n == 8) c->stamp.mask = load_le64(mask.p);
    uint64_t min = col_varint(r), max = col_varint(r);
    if (max > UINT32_MAX || min > max) r->bad = true;
    c->stamp.min = (uint32_t)min;
    c->stamp.max = (uint32_t)max;
}

/* Where the column lies is inside its part; part and shared numbers exist. */
static bool column_fits(const lb_header *h, const lb_column *c) {
    if (c->how == HOW_SHARED)
        return c->part < h->shared_count && h->shared[c->part].col.num == c->num;
    if (c->how != HOW_PART) return true;
    if (c->part >= h->part_count) return false;
    const lb_part *p = &h->parts[c->part];
    uint32_t n = p->raw ? p->raw : p->stored;
    return c->at <= n && c->bytes <= n - c->at;
}

static rc header_of(col_reader *r, const lb_head *head, lb_mem *mem, lb_header *ret, err *e) {
    lb_header h = {0};
    uint64_t rows = col_varint(r);
    if (r->bad || rows == 0 || rows > BLOCK_ROWS_MAX) return DAMAGED(e, "count of rows");
    h.rows = (uint32_t)rows;
    rc code = lb_get_tables(r, true, mem, &h.t, e);
    if (code) return code;
#define LIST(list, number, min_bytes)                                                              \
    h.number = (size_t)col_varint(r);                                                              \
    if (r->bad || h.number > col_left(r) / (min_bytes)) return DAMAGED(e, "count in the header");  \
    h.list = lb_alloc(mem, h.number * sizeof *h.list);                                             \
    if (!h.list) return NO_MEMORY(e);                                                              \
    for (size_t i = 0; i < h.number && !r->bad; i++)
    LIST(shared, shared_count, 3) {
        get_column(r, &h.shared[i].col);
        if (h.shared[i].col.how == HOW_SHARED || h.shared[i].col.how == HOW_MEMBER) r->bad = true;
    }
    for (int g = 0; g < G_COUNT; g++) {
        get_column(r, &h.global[g]);
        if (h.global[g].how > HOW_CONST) r->bad = true;
    }
    uint32_t kind = 0, sum = 0;
    LIST(families, family_count, 4) {
        lb_family *f = &h.families[i];
        uint64_t n = col_varint(r);
        if (n > h.rows - sum) r->bad = true;
        f->rows = (uint32_t)n;
        f->first_kind = kind;
        while (kind < h.t.kind_count && h.t.kinds[kind].family == i) {
            h.t.kinds[kind].member = kind - f->first_kind;
            kind++;
        }
        f->kinds = kind - f->first_kind;
        if (r->bad || f->kinds == 0) return DAMAGED(e, "families");
        const lb_kind *k = &h.t.kinds[f->first_kind];
        for (uint32_t m = 0; m < f->kinds; m++) {
            if (k[m].schema != k->schema || k[m].slots != k->slots ||
                k[m].body_type != k->body_type)
                return DAMAGED(e, "kinds of a family differ");
        }
        sum += f->rows;
        f->cells = k->cells;
        f->cell = lb_alloc(mem, f->cells * sizeof *f->cell);
        if (!f->cell) return NO_MEMORY(e);
        get_column(r, &f->member);
        get_column(r, &f->meta);
        for (uint32_t c = 0; c < f->cells && !r->bad; c++) {
            get_column(r, &f->cell[c]);
            bool num = lb_cell_is_num(k, &h.t.schemas[k->schema], c);
            if (f->cell[c].num != num) r->bad = true;
            if (f->cell[c].how == HOW_SHARED) {
                if (f->cell[c].part >= h.shared_count) return DAMAGED(e, "shared column");
                h.shared[f->cell[c].part].rows += f->rows;
            }
        }
        if (!f->member.num || f->member.how > HOW_CONST || !f->meta.num ||
            f->meta.how == HOW_SHARED)
            r->bad = true;
    }
    uint64_t offset = LB_HEAD_BYTES + (uint64_t)head->stored;
    LIST(parts, part_count, 6) {
        uint64_t stored = col_varint(r), raw = col_varint(r);
        str sumb = col_bytes(r, 4);
        if (stored > PART_RAW_MAX || raw > PART_RAW_MAX || sumb.n != 4) {
            r->bad = true;
            break;
        }
        h.parts[i] = (lb_part){.offset = offset, .stored = (uint32_t)stored, .raw = (uint32_t)raw};
        memcpy(&h.parts[i].sum, sumb.p, 4);
        offset += stored;
    }
#undef LIST
    if (r->bad || sum != h.rows || kind != h.t.kind_count) return DAMAGED(e, "damaged header");
    bool fits = true;
    for (size_t i = 0; i < h.shared_count; i++) fits = fits && column_fits(&h, &h.shared[i].col);
    for (int g = 0; g < G_COUNT; g++) fits = fits && column_fits(&h, &h.global[g]);
    for (size_t i = 0; i < h.family_count; i++) {
        lb_family *f = &h.families[i];
        fits = fits && column_fits(&h, &f->member) && column_fits(&h, &f->meta);
        for (uint32_t c = 0; c < f->cells && fits; c++) {
            fits = column_fits(&h, &f->cell[c]);
            if (fits && f->cell[c].how == HOW_SHARED)
                f->cell[c].stamp = h.shared[f->cell[c].part].col.stamp;
        }
    }
    const lb_column *ids = &h.global[G_IDS];
    h.first_ids = LB_NONE;
    if (ids->value.n) {
        col_reader ir = col_reader_of(ids->value);
        uint64_t first = col_varint(&ir);
        fits = fits && !ir.bad && first <= h.part_count && lb_pages(rows) <= h.part_count - first;
        h.first_ids = (uint32_t)first;
    }
    fits = fits && ids->how == HOW_CONST;
    const lb_column *ranks = &h.global[G_PAGE_RANKS];
    h.has_ranks = ranks->how == HOW_PART || ranks->value.n;
    if (!fits) return DAMAGED(e, "a column lies outside of its part");
    *ret = h;
    return RC_OK;
}

rc lb_get_header(const lb_head *head, str stored, lb_mem *mem, lb_header *ret, err *e) {
    MUST(head->level == 1);
    if (stored.n != head->stored || str_hash(stored) != head->sum)
        return DAMAGED(e, "checksum of the header");
    size_t n = head->raw ? head->raw : head->stored;
    char *copy = lb_alloc(mem, n);
    if (!copy) return NO_MEMORY(e);
    if (head->raw) {
        size_t got = ZSTD_decompress(copy, n, stored.p, stored.n);
        if (ZSTD_isError(got) || got != n) return DAMAGED(e, "compressed header");
    } else if (n) {
        memcpy(copy, stored.p, n);
    }
    col_reader r = col_reader_of((str){copy, n});
    return header_of(&r, head, mem, ret, e);
}

/* ---- level 0 rows ---- */

static rc numbers(col_ctx *x, str piece, size_t n, uint64_t *tmp, uint32_t *to, size_t below,
                  err *e) {
    rc code = col_x_get_u64(x, piece, n, tmp, 0, e);
    for (size_t i = 0; !code && i < n; i++) {
        if (tmp[i] >= below) code = DAMAGED(e, "a number is too large");
        to[i] = (uint32_t)tmp[i];
    }
    return code;
}

/* Arrays of n rows. */
static bool rows_alloc(lb_rows *r, size_t n, arena *mem) {
    r->n = n;
    r->time = arena_try_raw(mem, n * 8, 8);
    r->observed = arena_try_raw(mem, n * 8, 8);
    r->kind = arena_try_raw(mem, n * 4, 8);
    r->res = arena_try_raw(mem, n * 4, 8);
    r->meta = arena_try_raw(mem, n * 4, 8);
    r->first_cell = arena_try_raw(mem, n * 4, 8);
    r->bits = arena_try_raw(mem, n, 8);
    r->ids = arena_try_raw(mem, n * sizeof *r->ids, 8);
    return r->time && r->observed && r->kind && r->res && r->meta && r->first_cell && r->bits &&
           r->ids;
}

/* ids by bits, observed from differences, first cells by kinds. */
static rc rows_finish(lb_rows *r, str ids, err *e) {
    size_t at = 0, cells = 0;
    for (size_t i = 0; i < r->n; i++) {
        size_t n = (r->bits[i] & ROW_TRACE ? 16u : 0u) + (r->bits[i] & ROW_SPAN ? 8u : 0u);
        if (n > ids.n - at) return DAMAGED(e, "ids end early");
        r->ids[i] = (const uint8_t *)ids.p + at;
        at += n;
        r->observed[i] = r->bits[i] & ROW_OBSERVED
                             ? (int64_t)((uint64_t)r->observed[i] + (uint64_t)r->time[i])
                             : 0;
        if (cells > UINT32_MAX - LB_CELLS_MAX) return DAMAGED(e, "too many cells");
        r->first_cell[i] = (uint32_t)cells;
        cells += r->t.kinds[r->kind[i]].cells;
    }
    if (at != ids.n) return DAMAGED(e, "more ids than rows");
    r->cell_count = cells;
    return RC_OK;
}

static rc get_rows0(str body, arena *mem, lb_rows *ret, err *e) {
    col_reader r = col_reader_of(body);
    uint64_t n = col_varint(&r);
    if (r.bad || n == 0 || n > BLOCK_L0_ROWS_MAX) return DAMAGED(e, "count of rows");
    lb_rows rows = {0};
    lb_mem lm = {.a = mem};
    rc code = lb_get_tables(&r, false, &lm, &rows.t, e);
    if (code) return code;
    str piece[11];
    for (size_t i = 0; i < ARRAY_LEN(piece); i++) piece[i] = col_piece(&r);
    if (r.bad || col_left(&r)) return DAMAGED(e, "pieces");
    uint64_t *tmp = arena_try_raw(mem, n * 8, 8);
    if (!tmp || !rows_alloc(&rows, n, mem)) return NO_MEMORY(e);
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, 0);
    code = col_x_get_u64(&x, piece[0], n, (uint64_t *)rows.time, 0, e);
    if (!code) code = numbers(&x, piece[1], n, tmp, rows.kind, rows.t.kind_count, e);
    if (!code) code = numbers(&x, piece[2], n, tmp, rows.res, rows.t.resource_count, e);
    if (!code) code = numbers(&x, piece[3], n, tmp, rows.meta, ROW_BITS + 1, e);
    for (size_t i = 0; !code && i < n; i++) rows.bits[i] = (uint8_t)rows.meta[i];
    if (!code) code = col_x_get_u64(&x, piece[4], n, (uint64_t *)rows.observed, 0, e);
    if (!code) code = numbers(&x, piece[5], n, tmp, rows.meta, rows.t.meta_count, e);
    if (!code) code = rows_finish(&rows, piece[6], e);
    if (code) return code;

    str lens = piece[7], text = piece[10];
    col_reader longs = col_reader_of(piece[8]), nums = col_reader_of(piece[9]);
    if (rows.cell_count > lens.n + piece[9].n) return DAMAGED(e, "fewer cells than rows need");
    rows.cells = arena_try_raw(mem, rows.cell_count * sizeof(str), 16);
    if (!rows.cells) return NO_MEMORY(e);
    str *cell = rows.cells;
    size_t at = 0, len = 0;
    for (size_t i = 0; i < n; i++) {
        const lb_kind *k = &rows.t.kinds[rows.kind[i]];
        const lb_schema *s = &rows.t.schemas[k->schema];
        for (uint32_t c = 0; c < k->cells; c++, cell++) {
            if (c < k->slots || !lb_cell_is_num(k, s, c)) {
                if (len == lens.n) return DAMAGED(e, "fewer lengths than cells");
                uint64_t bytes = (uint8_t)lens.p[len++];
                if (UNLIKELY(bytes == 255)) bytes = col_varint(&longs);
                if (bytes > text.n - at || longs.bad) return DAMAGED(e, "length of a text");
                *cell = (str){text.p + at, (size_t)bytes};
                at += (size_t)bytes;
                continue;
            }
            uint32_t a = c - k->slots;
            uint8_t type = a < s->count ? s->attrs[a].type : k->body_type;
            if (type == ATTR_DOUBLE) {
                str raw = col_bytes(&nums, 8);
                *cell = lb_num(raw.n == 8 ? load_le64(raw.p) : 0);
            } else {
                *cell = lb_num((uint64_t)unzigzag(col_varint(&nums)));
            }
        }
    }
    if (nums.bad || col_left(&nums) || at != text.n || len != lens.n)
        return DAMAGED(e, "cells and rows do not agree");
    *ret = rows;
    return RC_OK;
}

/* ---- level 1 rows ---- */

typedef struct l1 {
    lb_header h;
    str payload;
    str *parts; /* decoded when first needed; p == NULL before */
    arena *mem;
    col_ctx x;
} l1;

rc lb_get_part(const lb_part *p, str stored, arena *mem, str *ret, err *e) {
    if (stored.n != p->stored || (uint32_t)str_hash(stored) != p->sum)
        return DAMAGED(e, "checksum of a part");
    if (!p->raw) {
        *ret = stored;
        return RC_OK;
    }
    char *to = arena_try_raw(mem, p->raw, 16);
    if (!to) return NO_MEMORY(e);
    size_t got = ZSTD_decompress(to, p->raw, stored.p, stored.n);
    if (ZSTD_isError(got) || got != p->raw) return DAMAGED(e, "compressed part");
    *ret = (str){to, got};
    return RC_OK;
}

static rc part_bytes(l1 *b, uint32_t part, str *ret, err *e) {
    const lb_part *p = &b->h.parts[part];
    if (p->offset > b->payload.n || p->stored > b->payload.n - p->offset)
        return DAMAGED(e, "a part lies beyond the end");
    return lb_get_part(p, str_sub(b->payload, p->offset, p->stored), b->mem, ret, e);
}

static rc column_bytes(l1 *b, const lb_column *c, str *ret, err *e) {
    if (c->how != HOW_PART) {
        *ret = c->value;
        return RC_OK;
    }
    str *part = &b->parts[c->part];
    if (!part->p) {
        rc code = part_bytes(b, c->part, part, e);
        if (code) return code;
    }
    *ret = str_sub(*part, c->at, c->bytes);
    return RC_OK;
}

/* Numbers of a column of n rows; members: the member number of each, for HOW_MEMBER. */
static rc column_nums(l1 *b, const lb_column *c, size_t n, const uint64_t *members, size_t kinds,
                      uint64_t *to, err *e) {
    str bytes;
    rc code = column_bytes(b, c, &bytes, e);
    if (code || c->how != HOW_MEMBER) return code ? code : col_x_get_u64(&b->x, bytes, n, to, 0, e);
    uint64_t *each = arena_try_raw(b->mem, kinds * 8, 8);
    if (!each) return NO_MEMORY(e);
    code = col_x_get_u64(&b->x, bytes, kinds, each, 0, e);
    for (size_t i = 0; !code && i < n; i++) to[i] = each[members[i]];
    return code;
}

static rc column_texts(l1 *b, const lb_column *c, size_t n, const uint64_t *members, size_t kinds,
                       str *to, err *e) {
    str bytes;
    rc code = column_bytes(b, c, &bytes, e);
    if (code || c->how != HOW_MEMBER)
        return code ? code : col_x_get_str(&b->x, bytes, n, b->mem, to, 0, e);
    str *each = arena_try_raw(b->mem, kinds * sizeof *each, 16);
    if (!each) return NO_MEMORY(e);
    code = col_x_get_str(&b->x, bytes, kinds, b->mem, each, 0, e);
    for (size_t i = 0; !code && i < n; i++) to[i] = each[members[i]];
    return code;
}

/* Fills the cells, kinds and metas of the rows of family f; at[k] = row of its k-th. */
static rc family_rows(l1 *b, size_t fi, const uint32_t *at, const uint64_t *members, lb_rows *rows,
                      err *e) {
    const lb_family *f = &b->h.families[fi];
    size_t n = f->rows;
    arena_mark mark = arena_save(&b->x.mem);
    str *texts = arena_try_raw(&b->x.mem, n * sizeof *texts, 16);
    uint64_t *nums = arena_try_raw(&b->x.mem, n * sizeof *nums, 16);
    rc code = texts && nums ? RC_OK : NO_MEMORY(e);
    for (uint32_t c = 0; !code && c < f->cells; c++) {
        const lb_column *col = &f->cell[c];
        if (col->how == HOW_SHARED) continue; /* filled in row order by the caller */
        if (col->num) {
            code = column_nums(b, col, n, members, f->kinds, nums, e);
            for (size_t i = 0; !code && i < n; i++)
                rows->cells[rows->first_cell[at[i]] + c] = lb_num(nums[i]);
        } else {
            code = column_texts(b, col, n, members, f->kinds, texts, e);
            for (size_t i = 0; !code && i < n; i++)
                rows->cells[rows->first_cell[at[i]] + c] = texts[i];
        }
    }
    if (!code) code = column_nums(b, &f->meta, n, members, f->kinds, nums, e);
    for (size_t i = 0; !code && i < n; i++) {
        if (nums[i] >= rows->t.meta_count) code = DAMAGED(e, "number of a meta");
        rows->meta[at[i]] = (uint32_t)nums[i];
    }
    arena_restore(&b->x.mem, mark);
    return code;
}

/* Shared columns: in row order, over the families that refer to them. */
static rc shared_rows(l1 *b, const uint32_t *family, lb_rows *rows, err *e) {
    rc code = RC_OK;
    for (size_t s = 0; s < b->h.shared_count && !code; s++) {
        const lb_shared *sh = &b->h.shared[s];
        str *texts = arena_try_raw(b->mem, sh->rows * sizeof *texts, 16);
        uint64_t *nums = sh->col.num ? arena_try_raw(b->mem, sh->rows * sizeof *nums, 16) : NULL;
        if (!texts || (sh->col.num && !nums)) return NO_MEMORY(e);
        code = sh->col.num ? column_nums(b, &sh->col, sh->rows, NULL, 0, nums, e)
                           : column_texts(b, &sh->col, sh->rows, NULL, 0, texts, e);
        if (code) return code;
        size_t k = 0;
        for (size_t i = 0; i < rows->n; i++) {
            const lb_family *f = &b->h.families[family[i]];
            for (uint32_t c = 0; c < f->cells; c++) {
                if (f->cell[c].how != HOW_SHARED || f->cell[c].part != s) continue;
                rows->cells[rows->first_cell[i] + c] = sh->col.num ? lb_num(nums[k]) : texts[k];
                k++;
            }
        }
        MUST(k == sh->rows);
    }
    return code;
}

/* The ids of all pages, one behind the other. */
static rc all_ids(l1 *b, str *ret, err *e) {
    const lb_header *h = &b->h;
    *ret = STR_NONE;
    if (h->first_ids == LB_NONE) return RC_OK;
    size_t room = (size_t)h->rows * 24, at = 0;
    char *to = arena_try_raw(b->mem, room + 1, 1);
    if (!to) return NO_MEMORY(e);
    for (size_t i = 0; i < lb_pages(h->rows); i++) {
        str page;
        rc code = part_bytes(b, h->first_ids + (uint32_t)i, &page, e);
        if (code) return code;
        if (page.n > room - at) return DAMAGED(e, "ids are too long");
        if (page.n) memcpy(to + at, page.p, page.n);
        at += page.n;
    }
    *ret = (str){to, at};
    return RC_OK;
}

static rc get_rows1(l1 *b, lb_rows *ret, err *e) {
    const lb_header *h = &b->h;
    size_t n = h->rows;
    lb_rows rows = {.t = h->t};
    uint64_t *tmp = arena_try_raw(b->mem, n * 8, 8);
    uint32_t *family = arena_try_raw(b->mem, n * 4, 8);
    uint32_t *at = arena_try_raw(b->mem, n * 4, 8);
    uint64_t *members = arena_try_raw(b->mem, n * 8, 8);
    uint32_t *first = arena_try_new_n(b->mem, uint32_t, h->family_count + 1);
    uint32_t *fill = arena_try_new_n(b->mem, uint32_t, h->family_count + 1);
    if (!tmp || !family || !at || !members || !first || !fill || !rows_alloc(&rows, n, b->mem))
        return NO_MEMORY(e);
    str bytes, ids = STR_NONE;
    rc code = column_nums(b, &h->global[G_TIME], n, NULL, 0, (uint64_t *)rows.time, e);
#define NUMBERS(g, to, below)                                                                      \
    if (!code) code = column_bytes(b, &h->global[g], &bytes, e);                                   \
    if (!code) code = numbers(&b->x, bytes, n, tmp, to, below, e)
    NUMBERS(G_FAMILY, family, h->family_count);
    NUMBERS(G_RESOURCE, rows.res, h->t.resource_count);
    NUMBERS(G_BITS, rows.meta, ROW_BITS + 1);
#undef NUMBERS
    for (size_t i = 0; !code && i < n; i++) rows.bits[i] = (uint8_t)rows.meta[i];
    if (!code)
        code = column_nums(b, &h->global[G_OBSERVED], n, NULL, 0, (uint64_t *)rows.observed, e);
    if (!code) code = all_ids(b, &ids, e);
    if (code) return code;
    /* Rows of each family, in order. */
    for (size_t f = 0; f < h->family_count; f++) first[f + 1] = first[f] + h->families[f].rows;
    for (size_t i = 0; i < n; i++) {
        uint32_t f = family[i];
        if (fill[f] == h->families[f].rows) return DAMAGED(e, "rows of a family");
        at[first[f] + fill[f]++] = (uint32_t)i;
    }
    for (size_t f = 0; f < h->family_count && !code; f++) {
        const lb_family *fam = &h->families[f];
        uint64_t *m = members + first[f];
        code = column_nums(b, &fam->member, fam->rows, NULL, 0, m, e);
        for (size_t i = 0; !code && i < fam->rows; i++) {
            if (m[i] >= fam->kinds) return DAMAGED(e, "number of a kind");
            rows.kind[at[first[f] + i]] = fam->first_kind + (uint32_t)m[i];
        }
    }
    if (!code) code = rows_finish(&rows, ids, e);
    if (code) return code;
    rows.cells = arena_try_raw(b->mem, rows.cell_count * sizeof(str), 16);
    if (!rows.cells) return NO_MEMORY(e);
    for (size_t f = 0; f < h->family_count && !code; f++)
        code = family_rows(b, f, at + first[f], members + first[f], &rows, e);
    if (!code) code = shared_rows(b, family, &rows, e);
    if (!code) *ret = rows;
    return code;
}

rc lb_get_rows(str payload, arena *mem, lb_rows *ret, err *e) {
    lb_head head;
    rc code = lb_get_head(payload, &head, e);
    if (code) return code;
    if (head.stored > payload.n - LB_HEAD_BYTES) return DAMAGED(e, "ends in the header");
    str stored = str_sub(payload, LB_HEAD_BYTES, head.stored);
    if (head.level == 0) {
        if (str_hash(stored) != head.sum || payload.n - LB_HEAD_BYTES != head.stored)
            return DAMAGED(e, "checksum");
        return get_rows0(stored, mem, ret, e);
    }
    l1 b = {.payload = payload, .mem = mem};
    lb_mem lm = {.a = mem};
    code = lb_get_header(&head, stored, &lm, &b.h, e);
    if (code) return code;
    b.parts = arena_try_new_n(mem, str, b.h.part_count);
    if (!b.parts) return NO_MEMORY(e);
    col_ctx_init(&b.x, 1);
    code = get_rows1(&b, ret, e);
    col_ctx_release(&b.x);
    return code;
}
