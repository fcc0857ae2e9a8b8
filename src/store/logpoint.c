/* logpoint.c - a few rows of a level-1 block, without decoding its columns.
 *
 * Problem. A trace id or a rare word leaves three rows of a hundred thousand. Decoding the columns
 * they have values in costs milliseconds a block, and the cache helps only who asks again.
 *
 * Method. Columns have points (column_int.h): a value costs the decoding of the stretch it lies in,
 * some microseconds. What is missing is where a row's values are:
 *     page          row / LB_PAGE
 *     rank          rows of its family before it: those of the pages before (G_PAGE_RANKS), and
 *                   those of its page, counted in the stretch of the family column
 *     shared index  as many references as the rows before it have: from the same counts
 *     ids           the sizes of the ids of the rows before it in its page, from their bits
 * Rows with a trace id: the filter of each page says which pages to read.
 *
 * Limits: FEW_ROWS_MAX rows in FEW_PAGES_MAX pages; beyond, whole columns are cheaper. A block
 * whose ranks are not kept (more families than rows in a page, about) reads its family column. */
#include "store/logview_int.h"

#include "store/fuse.h"

#define DAMAGED(e, what) FAIL((e), RC_CORRUPT, "log block: %s", (what))
#define NO_MEMORY(e)     FAIL((e), RC_LIMIT, "log block: no memory")

bool lv_are_few(const uint32_t *rows, size_t n) {
    if (n > LV_FEW_ROWS) return false;
    size_t pages = 0;
    for (size_t i = 0; i < n; i++) pages += i == 0 || rows[i] / LB_PAGE != rows[i - 1] / LB_PAGE;
    return pages <= LV_FEW_PAGES;
}

const log_row *lv_few_at(const log_view *v, size_t row) {
    size_t lo = 0, hi = v->few_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (v->few_rows[mid] < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->few_count && v->few_rows[lo] == row ? &v->few[lo] : NULL;
}

/* Parts are read once for all that lies in them. */
static rc bytes_of(log_view *v, const lb_column *c, str *ret, err *e) {
    if (c->how != HOW_PART) {
        *ret = c->value;
        return RC_OK;
    }
    if (!v->part) v->part = arena_try_new_n(&v->mem, str, v->h->part_count);
    if (!v->part) return NO_MEMORY(e);
    str *part = &v->part[c->part];
    if (!part->p) {
        rc code = lv_part(v, c->part, part, e);
        if (code) return code;
    }
    *ret = str_sub(*part, c->at, c->bytes);
    return RC_OK;
}

/* Values of a column of `count`; const: the one of all. */
static rc nums_at(log_view *v, const lb_column *c, size_t count, const uint32_t *at, size_t m,
                  uint64_t below, uint64_t *to, err *e) {
    str bytes;
    rc code = bytes_of(v, c, &bytes, e);
    if (!code) code = col_x_get_u64_at(&v->x, bytes, count, at, m, to, 0, e);
    for (size_t i = 0; !code && below && i < m; i++) {
        if (to[i] >= below) code = DAMAGED(e, "a number is too large");
    }
    return code;
}

/* Cells (numbers or texts) of a column. */
static rc cells_at(log_view *v, const lb_column *c, size_t count, const uint32_t *at, size_t m,
                   str *to, err *e) {
    str bytes;
    rc code = bytes_of(v, c, &bytes, e);
    if (code || !c->num)
        return code ? code : col_x_get_str_at(&v->x, bytes, count, at, m, &v->mem, to, 0, e);
    uint64_t *n = arena_try_raw(&v->mem, m * 8 + 8, 8);
    if (!n) return NO_MEMORY(e);
    code = col_x_get_u64_at(&v->x, bytes, count, at, m, n, 0, e);
    for (size_t i = 0; !code && i < m; i++) to[i] = lb_num(n[i]);
    return code;
}

/* What is being found out of the rows. */
typedef struct finding {
    log_view *v;
    const uint32_t *row;
    size_t n;
    uint64_t *family, *bits;
    uint32_t *rank;
    uint32_t *before; /* of row i, family f: i x families + f */
    err *e;
} finding;

/* Families and ranks: rows of each family before each row. */
static rc find_ranks(finding *x) {
    log_view *v = x->v;
    const lb_header *h = v->h;
    size_t fams = h->family_count, count = (lb_pages(v->n) - 1) * fams;
    uint64_t *ranks = NULL, *page = arena_try_raw(&v->mem, (size_t)LB_PAGE * 8, 8);
    uint32_t *sum = arena_try_new_n(&v->mem, uint32_t, fams);
    x->before = arena_try_raw(&v->mem, x->n * fams * 4 + 4, 4);
    str bytes, family;
    if (!page || !sum || !x->before) return NO_MEMORY(x->e);
    rc code = bytes_of(v, &h->global[G_FAMILY], &family, x->e);
    if (!code && h->has_ranks) {
        ranks = arena_try_raw(&v->mem, count * 8 + 8, 8);
        if (!ranks) return NO_MEMORY(x->e);
        code = bytes_of(v, &h->global[G_PAGE_RANKS], &bytes, x->e);
        if (!code) code = col_x_get_u64(&v->x, bytes, count, ranks, 0, x->e);
    }
    size_t last = x->row[x->n - 1], i = 0;
    for (size_t from = 0; from <= last && !code; from += LB_PAGE) {
        size_t end = MIN(v->n, from + LB_PAGE), k = i;
        while (k < x->n && x->row[k] < end) k++;
        size_t p = from / LB_PAGE;
        bool counted = ranks && p + 1 < lb_pages(v->n);
        if (k > i || !counted) {
            size_t read = counted || k == x->n ? x->row[k - 1] + 1 - from : end - from;
            code = col_x_get_u64_range(&v->x, family, v->n, from, read, page, 0, x->e);
            uint32_t *in = arena_try_raw(&v->mem, fams * 4 + 4, 4);
            if (!code && !in) code = NO_MEMORY(x->e);
            if (!code) memcpy(in, sum, fams * 4);
            for (size_t r = 0; r < read && !code; r++) {
                if (page[r] >= fams) {
                    code = DAMAGED(x->e, "number of a family");
                    break;
                }
                if (i < k && x->row[i] == from + r) {
                    x->family[i] = page[r];
                    x->rank[i] = in[page[r]];
                    memcpy(x->before + i++ * fams, in, fams * 4);
                }
                in[page[r]]++;
            }
            if (!code && !counted) memcpy(sum, in, fams * 4);
        }
        for (size_t f = 0; counted && !code && f < fams; f++) {
            uint64_t rows = ranks[p * fams + f];
            if (rows > h->families[f].rows - sum[f]) return DAMAGED(x->e, "rows of a page");
            sum[f] += (uint32_t)rows;
        }
    }
    for (size_t k = 0; k < x->n && !code; k++) {
        if (x->rank[k] >= h->families[x->family[k]].rows) code = DAMAGED(x->e, "rows of a family");
    }
    return code;
}

static size_t id_bytes(uint64_t bits) {
    return (bits & ROW_TRACE ? 16u : 0u) + (bits & ROW_SPAN ? 8u : 0u);
}

/* Bits of a page's rows from its beginning, and its ids. */
static rc page_of_ids(log_view *v, size_t page, size_t rows, uint64_t *bits, str *ret, err *e) {
    str bytes;
    rc code = bytes_of(v, &v->h->global[G_BITS], &bytes, e);
    if (!code) code = col_x_get_u64_range(&v->x, bytes, v->n, page * LB_PAGE, rows, bits, 0, e);
    *ret = STR_NONE;
    if (!code && v->h->first_ids != LB_NONE)
        code = lv_part(v, v->h->first_ids + (uint32_t)page, ret, e);
    return code;
}

static rc find_ids(finding *x) {
    log_view *v = x->v;
    uint64_t *bits = arena_try_raw(&v->mem, (size_t)LB_PAGE * 8, 8);
    if (!bits) return NO_MEMORY(x->e);
    rc code = RC_OK;
    for (size_t i = 0, k; i < x->n && !code; i = k) {
        size_t page = x->row[i] / LB_PAGE, from = page * LB_PAGE, at = 0;
        for (k = i + 1; k < x->n && x->row[k] / LB_PAGE == page;) k++;
        size_t rows = x->row[k - 1] + 1 - from;
        str ids;
        code = page_of_ids(v, page, rows, bits, &ids, x->e);
        for (size_t r = 0, j = i; r < rows && !code; r++) {
            if (bits[r] > ROW_BITS || id_bytes(bits[r]) > ids.n - at) {
                code = DAMAGED(x->e, "ids and rows do not agree");
                break;
            }
            if (x->row[j] == from + r) {
                v->few[j].bits = (uint8_t)bits[r];
                v->few[j++].ids = (const uint8_t *)(ids.n ? ids.p + at : "");
            }
            at += id_bytes(bits[r]);
        }
    }
    return code;
}

/* The cells of one family's rows: which[0..m) of the rows, in order. */
static rc family_cells(finding *x, uint32_t f, const uint32_t *which, size_t m, str **cells) {
    log_view *v = x->v;
    const lb_family *fam = &v->h->families[f];
    uint32_t *rank = arena_try_raw(&v->mem, m * 4, 4), *member = arena_try_raw(&v->mem, m * 4, 4);
    uint64_t *nums = arena_try_raw(&v->mem, m * 8, 8);
    str *col = arena_try_raw(&v->mem, MAX(m, (size_t)fam->kinds) * sizeof *col, 16);
    if (!rank || !member || !nums || !col) return NO_MEMORY(x->e);
    for (size_t i = 0; i < m; i++) rank[i] = x->rank[which[i]];
    rc code = nums_at(v, &fam->member, fam->rows, rank, m, fam->kinds, nums, x->e);
    for (size_t i = 0; i < m && !code; i++) member[i] = (uint32_t)nums[i];
    uint32_t *all = arena_try_raw(&v->mem, fam->kinds * 4, 4);
    if (!all) return NO_MEMORY(x->e);
    for (uint32_t i = 0; i < fam->kinds; i++) all[i] = i;
    /* -1: the meta. */
    for (int64_t c = -1; c < fam->cells && !code; c++) {
        const lb_column *from = c < 0 ? &fam->meta : &fam->cell[c];
        if (from->how == HOW_SHARED) continue;
        bool by_member = from->how == HOW_MEMBER;
        code = by_member ? cells_at(v, from, fam->kinds, all, fam->kinds, col, x->e)
                         : cells_at(v, from, fam->rows, rank, m, col, x->e);
        for (size_t i = 0; i < m && !code; i++) {
            str cell = col[by_member ? member[i] : i];
            log_row *to = &v->few[which[i]];
            if (c >= 0) {
                cells[which[i]][c] = cell;
            } else if (cell.n < v->t->meta_count) {
                to->meta = &v->t->metas[cell.n];
                to->kind = &v->t->kinds[fam->first_kind + member[i]];
            } else {
                code = DAMAGED(x->e, "number of a meta");
            }
        }
    }
    return code;
}

/* Cells of shared columns: index = references of all rows before, and of this row's cells before.
 */
static rc shared_cells(finding *x, str **cells) {
    log_view *v = x->v;
    const lb_header *h = v->h;
    size_t fams = h->family_count;
    uint32_t *uses = arena_try_raw(&v->mem, fams * 4 + 4, 4);
    if (!uses) return NO_MEMORY(x->e);
    rc code = RC_OK;
    for (uint32_t s = 0; s < h->shared_count && !code; s++) {
        size_t refs = 0;
        for (size_t f = 0; f < fams; f++) {
            uses[f] = 0;
            for (uint32_t c = 0; c < h->families[f].cells; c++)
                uses[f] +=
                    h->families[f].cell[c].how == HOW_SHARED && h->families[f].cell[c].part == s;
        }
        for (size_t i = 0; i < x->n; i++) refs += uses[x->family[i]];
        if (refs == 0) continue;
        uint32_t *at = arena_try_raw(&v->mem, refs * 4, 4);
        str *col = arena_try_raw(&v->mem, refs * sizeof *col, 16);
        if (!at || !col) return NO_MEMORY(x->e);
        size_t k = 0;
        for (size_t i = 0; i < x->n; i++) {
            uint64_t index = 0;
            for (size_t f = 0; f < fams; f++) index += (uint64_t)uses[f] * x->before[i * fams + f];
            for (uint32_t u = 0; u < uses[x->family[i]]; u++) {
                if (index >= h->shared[s].rows) return DAMAGED(x->e, "rows of a shared column");
                at[k++] = (uint32_t)index++;
            }
        }
        code = cells_at(v, &h->shared[s].col, h->shared[s].rows, at, refs, col, x->e);
        k = 0;
        for (size_t i = 0; i < x->n && !code; i++) {
            const lb_family *fam = &h->families[x->family[i]];
            for (uint32_t c = 0; c < fam->cells; c++) {
                if (fam->cell[c].how == HOW_SHARED && fam->cell[c].part == s)
                    cells[i][c] = col[k++];
            }
        }
    }
    return code;
}

rc lv_need_few(log_view *v, const uint32_t *rows, size_t n, err *e) {
    MUST(v->level == 1 && n > 0 && rows[n - 1] < v->n);
    const lb_header *h = v->h;
    bool known = true;
    for (size_t i = 0; i < n && known; i++) known = lv_few_at(v, rows[i]) != NULL;
    if (known) return RC_OK;
    finding x = {.v = v, .n = n, .e = e};
    uint32_t *own = arena_try_raw(&v->mem, n * 4, 4);
    uint64_t *nums = arena_try_raw(&v->mem, n * 8, 8);
    str **cells = arena_try_new_n(&v->mem, str *, n);
    uint32_t *which = arena_try_raw(&v->mem, n * 4, 4);
    x.family = arena_try_raw(&v->mem, n * 8, 8);
    x.rank = arena_try_raw(&v->mem, n * 4, 4);
    v->few = arena_try_new_n(&v->mem, log_row, n);
    v->few_count = 0;
    if (!own || !nums || !cells || !which || !x.family || !x.rank || !v->few) return NO_MEMORY(e);
    memcpy(own, rows, n * 4);
    x.row = own;
    rc code = find_ranks(&x);
    if (!code) code = find_ids(&x);
    if (!code) code = nums_at(v, &h->global[G_TIME], v->n, own, n, 0, nums, e);
    for (size_t i = 0; i < n && !code; i++) v->few[i].time = (int64_t)nums[i];
    if (!code)
        code = nums_at(v, &h->global[G_RESOURCE], v->n, own, n, v->t->resource_count, nums, e);
    for (size_t i = 0; i < n && !code; i++) {
        size_t room = h->families[x.family[i]].cells * sizeof(str) + 16;
        v->few[i].res = &v->t->resources[nums[i]];
        v->few[i].t = v->t;
        v->few[i].cells = cells[i] = arena_try_bytes(&v->mem, room, 16);
        if (!cells[i]) code = NO_MEMORY(e);
    }
    if (!code) code = nums_at(v, &h->global[G_OBSERVED], v->n, own, n, 0, nums, e);
    for (size_t i = 0; i < n && !code; i++) {
        if (v->few[i].bits & ROW_OBSERVED)
            v->few[i].observed = (int64_t)(nums[i] + (uint64_t)v->few[i].time);
    }
    for (size_t i = 0; i < n && !code; i++) {
        size_t m = 0;
        for (size_t k = 0; k < i && m == 0; k++) m += x.family[k] == x.family[i];
        if (m) continue; /* done with its family's first */
        for (size_t k = i; k < n; k++) {
            if (x.family[k] == x.family[i]) which[m++] = (uint32_t)k;
        }
        code = family_cells(&x, (uint32_t)x.family[i], which, m, cells);
    }
    if (!code) code = shared_cells(&x, cells);
    if (code) return code;
    v->few_rows = own;
    v->few_count = n;
    return RC_OK;
}

rc lv_trace_rows(log_view *v, const char *id, uint32_t *ret_rows, size_t max, size_t *ret_count,
                 err *e) {
    size_t n = 0, pages = lb_pages(v->n);
    const lb_column *c = &v->h->global[G_PAGE_FILTERS];
    str filters = STR_NONE, all_bits;
    rc code = bytes_of(v, c, &filters, e);
    if (!code) code = bytes_of(v, &v->h->global[G_BITS], &all_bits, e); /* read outside the loop */
    col_reader r = col_reader_of(filters);
    bool filtered = filters.n > 0;
    uint64_t *bits = arena_try_raw(&v->mem, (size_t)LB_PAGE * 8, 8);
    if (!code && !bits) code = NO_MEMORY(e);
    *ret_count = 0;
    for (size_t p = 0; p < pages && !code; p++) {
        if (filtered) {
            str one = col_piece(&r);
            fuse f;
            if (r.bad) return DAMAGED(e, "filters of pages");
            if (one.n == 0) continue;
            code = fuse_open(one, &f, e);
            if (code) return code;
            if (!fuse_has(&f, lb_trace_key(id))) continue;
        }
        str ids;
        size_t rows = MIN((size_t)LB_PAGE, v->n - p * LB_PAGE), at = 0;
        arena_mark mark = arena_save(&v->mem);
        code = page_of_ids(v, p, rows, bits, &ids, e);
        for (size_t i = 0; i < rows && !code; i++) {
            if (bits[i] > ROW_BITS || id_bytes(bits[i]) > ids.n - at) {
                code = DAMAGED(e, "ids and rows do not agree");
            } else if (bits[i] & ROW_TRACE && memcmp(ids.p + at, id, 16) == 0) {
                if (n == max) {
                    *ret_count = n + 1; /* more than were asked for */
                    return RC_OK;
                }
                ret_rows[n++] = (uint32_t)(p * LB_PAGE + i);
            }
            at += id_bytes(bits[i]);
        }
        arena_restore(&v->mem, mark);
    }
    *ret_count = n;
    return code;
}
