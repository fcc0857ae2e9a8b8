/* logselect.c - logs_select, logs_count, logs_labels on the blocks of a snapshot.
 *
 * Problem. A query looks at everything that was stored and hands on little of it. So the dear work
 * (decoding columns, making bodies, running expressions) comes last and only where it can matter.
 *
 * A block goes through these sieves; each ends it when nothing is left:
 *     1. time, services, severities          block_info, in memory (snapshot, prune_info)
 *     2. header                              resources that can match, kinds whose constants and
 *                                            stamps can match (lq_kind_lines); cached
 *     3. ids                                 filter of trace ids, then the ids column
 *     4. columns of kinds that are left      severity, labels, bodies: row by row
 * The rows that remain are a bitmap. It depends on the block and the conditions only, so it is
 * cached under the query's hash: the same question asked again (a dashboard) costs no column.
 *
 * Rows are handed on as batches. Without an order each block's rows leave when it is done, on the
 * thread that did it. With an order blocks are read one by one, newest or oldest first; rows are
 * held back until no later block can hold an earlier one, and when `limit` rows are held that no
 * later block can beat, the rest is not read. */
#include "store/logselect_int.h"

#include "base/mem.h"
#include "base/rng.h"
#include "codec/otlp.h"

enum { BITMAP_KEY = 0x51 };

#define NO_MEMORY(e) FAIL((e), RC_LIMIT, "query: no memory")

/* ---- which rows of a block ---- */

/* What is decided of a resource. */
enum { RES_NO = 0, RES_YES, RES_OPEN };

static uint8_t *judge_resources(const log_query *lq, const lb_tables *t, arena *mem, bool *ret_any,
                                bool *ret_open) {
    uint8_t *v = arena_try_raw(mem, t->resource_count + 1, 1);
    if (!v) return NULL;
    *ret_any = *ret_open = false;
    for (size_t r = 0; r < t->resource_count; r++) {
        v[r] = RES_YES;
        for (size_t i = 0; i < lq->match_count && v[r] != RES_NO; i++) {
            arena_mark mark = arena_save(mem);
            str value;
            if (!resource_label(&t->resources[r], matchers_name(lq->m, i), mem, &value))
                v[r] = RES_OPEN;
            else if (!matchers_test(lq->m, i, value))
                v[r] = RES_NO;
            arena_restore(mem, mark);
        }
        *ret_any |= v[r] != RES_NO;
        *ret_open |= v[r] == RES_OPEN;
    }
    return v;
}

/* Level 0: every row as a whole. */
static void row0(const log_view *v, size_t i, log_row *ret) {
    const lb_rows *r = &v->rows;
    const lb_kind *k = &r->t.kinds[r->kind[i]];
    *ret = (log_row){.t = v->t,
                     .kind = k,
                     .meta = &r->t.metas[r->meta[i]],
                     .res = &r->t.resources[r->res[i]],
                     .time = r->time[i],
                     .observed = r->observed[i],
                     .ids = r->ids[i],
                     .cells = r->cells + r->first_cell[i],
                     .bits = r->bits[i]};
}

static rc match0(log_view *v, lq_worker *w, uint64_t *bits, err *e) {
    const log_query *lq = w->lq;
    bool any, open;
    uint8_t *res = judge_resources(lq, v->t, &v->mem, &any, &open);
    uint8_t *kind = arena_try_raw(&v->mem, v->t->kind_count + 1, 1);
    if (!res || !kind) return NO_MEMORY(e);
    if (!any) return RC_OK;
    for (size_t k = 0; k < v->t->kind_count; k++) {
        const lq_kind_plan *plan = lq_plan_kind(lq, &v->t->kinds[k], NULL, &v->mem);
        if (!plan) return NO_MEMORY(e);
        kind[k] = (uint8_t)plan->answer;
    }
    for (size_t i = 0; i < v->n; i++) {
        if (kind[v->rows.kind[i]] == LQ_NO || res[v->rows.res[i]] == RES_NO) continue;
        log_row r;
        row0(v, i, &r);
        if (lq_row_holds(w, &r)) bitset_add(bits, i);
    }
    return RC_OK;
}

/* --- level 1 --- */

/* A family whose rows are tested one by one: what of them has to be looked at. */
typedef struct fam_test {
    uint8_t state; /* LQ_NO: none of its rows; LQ_ALL: all (if the resource holds); LQ_SOME: test */
    bool need_meta, need_attrs;
    const lq_kind_plan **kind; /* of each member's lines */
    const lv_family *cols;
} fam_test;

/* The longest run of the needle's bytes that no slot can hold: it has to be in a constant. */
static str constant_part(str needle, uint64_t slot_mask) {
    str best = STR_NONE;
    for (size_t i = 0; i < needle.n;) {
        size_t from = i;
        while (i < needle.n && !(slot_mask >> lb_class[(uint8_t)needle.p[i]] & 1)) i++;
        if (i - from > best.n) best = str_sub(needle, from, i - from);
        if (i == from) i++;
    }
    return best;
}

/* One look at all constants of the block instead of one at each kind. */
static bool block_may_have(const log_view *v, str needle) {
    str best = constant_part(needle, v->slot_mask);
    if (best.n == 0 || v->t->kind_count == 0) return true;
    const lb_kind *last = &v->t->kinds[v->t->kind_count - 1];
    const char *from = v->t->kinds[0].skel.p;
    return str_has((str){from, (size_t)(last->skel.p + last->skel.n - from)}, best);
}

static bool block_may_match(const log_view *v, const log_query *lq) {
    for (size_t i = 0; i < lq->line_count; i++) {
        const lq_line *l = &lq->lines[i];
        if (l->op != LINE_HAS && l->op != LINE_RE) continue;
        for (size_t x = 0; x < l->literal_count; x++) {
            if (!block_may_have(v, l->literals[x])) return false;
        }
    }
    return true;
}

/* Plans for the kinds of a family. A kind whose constants lack what only constants can hold is out
 * at once. */
static bool judge_family(log_view *v, const log_query *lq, uint32_t f, fam_test *to) {
    static const lq_kind_plan out = {.answer = LQ_NO};
    const lb_family *fam = &v->h->families[f];
    const lb_kind *k = &v->t->kinds[fam->first_kind];
    to->kind = arena_try_raw(&v->mem, fam->kinds * sizeof(lq_kind_plan *), 8);
    const lb_stamp **stamps = arena_try_raw(&v->mem, (k->slots + 1) * sizeof *stamps, 8);
    if (!to->kind || !stamps) return false;
    uint64_t mask = 0;
    for (uint32_t c = 0; c < k->slots; c++) {
        stamps[c] = &fam->cell[c].stamp;
        mask |= stamps[c]->mask;
    }
    str must[8];
    size_t musts = 0;
    for (size_t i = 0; i < lq->line_count; i++) {
        const lq_line *l = &lq->lines[i];
        if (l->op != LINE_HAS && l->op != LINE_RE) continue;
        for (size_t x = 0; x < l->literal_count && musts < ARRAY_LEN(must); x++) {
            must[musts] = constant_part(l->literals[x], mask);
            musts += must[musts].n > 0;
        }
    }
    bool some = false, all = true;
    for (uint32_t m = 0; m < fam->kinds; m++) {
        bool may = true;
        for (size_t i = 0; i < musts && may; i++) may = str_has(k[m].skel, must[i]);
        to->kind[m] = may ? lq_plan_kind(lq, &k[m], stamps, &v->mem) : &out;
        if (!to->kind[m]) return false;
        some = some || to->kind[m]->answer != LQ_NO;
        all = all && to->kind[m]->answer == LQ_ALL;
    }
    to->state = !some ? LQ_NO : all ? LQ_ALL : LQ_SOME;
    return true;
}

/* Loads what rows of the family need for the query. open: some resource leaves a matcher open. */
static rc prepare_family(log_view *v, const log_query *lq, uint32_t f, bool open, fam_test *t,
                         err *e) {
    const lb_family *fam = &v->h->families[f];
    const lb_kind *k = &v->t->kinds[fam->first_kind];
    const lb_schema *s = &v->t->schemas[k->schema];
    if (open || lq->q->min_severity) t->need_meta = true;
    t->need_attrs = open;
    if (t->need_meta || t->need_attrs) t->state = LQ_SOME;
    if (t->state != LQ_SOME) return RC_OK;
    lv_family *cols;
    rc code = lv_need_cells(v, f, 0, 0, e);
    if (!code) code = lv_family_of(v, f, &cols, e);
    if (code) return code;
    t->cols = cols;
    for (uint32_t a = 0; !code && t->need_attrs && a < s->count; a++) {
        bool named = false;
        for (size_t i = 0; i < lq->match_count && !named; i++)
            named = label_is(matchers_name(lq->m, i), s->attrs[a].key);
        if (named) code = lv_need_cells(v, f, k->slots + a, k->slots + a + 1, e);
    }
    return code;
}

/* A row's cells for lq_plan_holds: columns are loaded when first looked at. */
typedef struct cell_reader {
    log_view *v;
    const lv_family *cols;
    uint32_t family, rank;
    rc code;
    err *e;
} cell_reader;

static str read_cell(void *ctx, uint32_t slot) {
    cell_reader *x = ctx;
    if (UNLIKELY(!x->cols->has_cell[slot])) {
        if (!x->code) x->code = lv_need_cells(x->v, x->family, slot, slot + 1, x->e);
        if (x->code) return STR_NONE;
    }
    return lv_column_at(&x->cols->cell[slot], x->rank);
}

static rc row_holds1(log_view *v, lq_worker *w, const fam_test *t, uint32_t f, size_t row,
                     uint32_t rank, bool open, str *cells, bool *ret, err *e) {
    const log_query *lq = w->lq;
    const lb_family *fam = &v->h->families[f];
    const lv_family *cols = t->cols;
    uint64_t member = cols->member ? lv_num(cols->member, rank) : 0;
    const lb_kind *k = &v->t->kinds[fam->first_kind + member];
    const lq_kind_plan *plan = t->kind[member];
    *ret = false;
    if (plan->answer == LQ_NO) return RC_OK;
    if (t->need_meta) {
        log_row r = {.t = v->t, .kind = k, .cells = cells};
        r.meta = &v->t->metas[lv_column_at(&cols->meta, rank).n];
        if (!lq_meta_holds(lq, r.meta)) return RC_OK;
        if (open) {
            r.res = &v->t->resources[lv_num(v->res, row)];
            r.bits = (uint8_t)lv_num(v->bits, row);
            r.ids = v->ids + v->id_at[row];
            for (uint32_t c = k->slots; c < fam->cells; c++)
                cells[c] = cols->has_cell[c] ? lv_column_at(&cols->cell[c], rank) : STR_NONE;
            if (!lq_labels_hold(w, &r)) return RC_OK;
        }
    }
    cell_reader x = {v, cols, f, rank, RC_OK, e};
    *ret = plan->answer == LQ_ALL || lq_plan_holds(w, plan, k, read_cell, &x, cells);
    return x.code;
}

/* Rows that hold the query's ids; false when there are none. */
static rc ids_of(log_view *v, const log_query *lq, uint64_t *bits, bool *ret_any, err *e) {
    rc code = lv_need_ids(v, e);
    *ret_any = false;
    for (size_t i = 0; !code && i < v->n; i++) {
        uint8_t b = (uint8_t)lv_num(v->bits, i);
        if (!b || !lq_ids_hold(lq, b, v->ids + v->id_at[i])) continue;
        bitset_add(bits, i);
        *ret_any = true;
    }
    return code;
}

/* Few rows have the trace id: they are read whole and tested. *ret_done: so it was. */
static rc match_trace(log_view *v, lq_worker *w, uint64_t *bits, bool *ret_done, err *e) {
    uint32_t rows[LV_FEW_ROWS];
    size_t n = 0;
    *ret_done = false;
    rc code = lv_trace_rows(v, w->lq->q->trace_id.p, rows, LV_FEW_ROWS, &n, e);
    if (code || n > LV_FEW_ROWS || !lv_are_few(rows, n)) return code;
    *ret_done = true;
    if (n == 0) return RC_OK;
    code = lv_need_few(v, rows, n, e);
    for (size_t i = 0; i < n && !code; i++) {
        if (lq_row_holds(w, lv_few_at(v, rows[i]))) bitset_add(bits, rows[i]);
    }
    return code;
}

static rc match1(log_view *v, lq_worker *w, uint64_t *bits, err *e) {
    const log_query *lq = w->lq;
    const lb_header *h = v->h;
    bool any, open, done;
    if (!block_may_match(v, lq)) return RC_OK;
    uint8_t *res = judge_resources(lq, v->t, &v->mem, &any, &open);
    if (!res) return NO_MEMORY(e);
    if (!any) return RC_OK;
    const uint64_t *only = NULL; /* rows with the ids asked for */
    rc code = RC_OK;
    if (lq->q->trace_id.n) {
        code = match_trace(v, w, bits, &done, e);
        if (code || done) return code;
    }
    if (lq->q->trace_id.n || lq->q->span_id.n) {
        uint64_t *found = arena_try_new_n(&v->mem, uint64_t, bitset_words(v->n));
        if (!found) return NO_MEMORY(e);
        code = ids_of(v, lq, found, &any, e);
        if (code || !any) return code;
        only = found;
    }
    fam_test *t = arena_try_new_n(&v->mem, fam_test, h->family_count);
    uint32_t cells_max = 1;
    if (!t) return NO_MEMORY(e);
    any = false;
    for (uint32_t f = 0; f < h->family_count && !code; f++) {
        if (!judge_family(v, lq, f, &t[f])) return NO_MEMORY(e);
        any = any || t[f].state != LQ_NO;
        cells_max = MAX(cells_max, h->families[f].cells);
    }
    if (!any) return RC_OK;
    bool res_matters = false;
    for (size_t r = 0; r < v->t->resource_count; r++) res_matters |= res[r] != RES_YES;
    code = lv_need_family(v, e);
    if (!code && res_matters) code = lv_need_res(v, e);
    if (!code && open) code = lv_need_ids(v, e);
    str *cells = arena_try_new_n(&v->mem, str, cells_max);
    if (!code && !cells) code = NO_MEMORY(e);
    if (code) return code;
    bool *ready = arena_try_new_n(&v->mem, bool, h->family_count);
    uint32_t *fill = arena_try_new_n(&v->mem, uint32_t, h->family_count); /* rows of each so far */
    if (!ready || !fill) return NO_MEMORY(e);
    for (size_t i = 0; i < v->n && !code; i++) {
        uint64_t f = lv_num(v->family, i);
        uint32_t rank = fill[f]++;
        if (t[f].state == LQ_NO || (only && !bitset_has(only, i))) continue;
        uint8_t verdict = res_matters ? res[lv_num(v->res, i)] : RES_YES;
        if (verdict == RES_NO) continue;
        if (rank >= h->families[f].rows) return FAIL(e, RC_CORRUPT, "log block: rows of a family");
        if (!ready[f]) {
            code = prepare_family(v, lq, (uint32_t)f, open, &t[f], e);
            if (code) break;
            ready[f] = true;
        }
        bool holds = t[f].state == LQ_ALL;
        if (!holds)
            code = row_holds1(v, w, &t[f], (uint32_t)f, i, rank, verdict == RES_OPEN, cells, &holds,
                              e);
        if (holds) bitset_add(bits, i);
    }
    return code;
}

/* A cached result: number of rows, then the bitmap, which is left out when it is 0. */
rc log_match(log_view *v, lq_worker *w, const uint64_t **ret_bits, size_t *ret_count, err *e) {
    const log_query *lq = w->lq;
    *ret_bits = NULL;
    *ret_count = v->n;
    if (!lq->any) return RC_OK;
    size_t words = bitset_words(v->n);
    uint64_t key = BLOCK_CACHE_HOT | (uint64_t)BITMAP_KEY << 56 | lq->hash >> 8;
    /* A trace is found again as quickly as a result of it. */
    bool cache = v->level > 0 && !lq->q->trace_id.n;
    if (v->level && lq->q->trace_id.n) {
        bool may;
        rc code = lv_may_have_trace(v, lq->q->trace_id.p, &may, e);
        if (code || !may) {
            *ret_count = 0;
            return code;
        }
    }
    const uint64_t *known = cache ? lv_cached(v, key, NULL) : NULL;
    if (!known) {
        uint64_t *bits = mem_try_alloc((words + 1) * sizeof *bits);
        if (!bits) return NO_MEMORY(e);
        rc code = v->level ? match1(v, w, bits + 1, e) : match0(v, w, bits + 1, e);
        if (code) {
            mem_free(bits);
            return code;
        }
        bits[0] = bitset_count(bits + 1, v->n);
        if (bits[0] == 0) {
            uint64_t *small = mem_try_alloc(sizeof *small);
            mem_free(bits);
            if (!small) return NO_MEMORY(e);
            bits = small;
        }
        size_t bytes = (bits[0] ? words + 1 : 1) * sizeof *bits;
        if (cache) {
            known = lv_keep(v, key, bits, bytes);
        } else {
            vec_push(&v->owned, bits);
            known = bits;
        }
    }
    *ret_count = (size_t)known[0];
    *ret_bits = known + 1;
    return RC_OK;
}

/* Rows [lo, hi) lie in the time range, for a block sorted by time (level 1). */
rc log_time_range(log_view *v, const select_common *c, size_t *ret_lo, size_t *ret_hi, err *e) {
    *ret_lo = 0;
    *ret_hi = v->n;
    if (c->from_ns == 0 && c->to_ns == 0) return RC_OK;
    const block_info *in = &v->ref->info;
    if (in->min_ts_ns >= c->from_ns && in->max_ts_ns < c->to_ns) return RC_OK;
    rc code = lv_need_time(v, e);
    if (code) return code;
    size_t lo = 0, hi = v->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if ((int64_t)lv_num(v->time, mid) < c->from_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_lo = lo;
    hi = v->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if ((int64_t)lv_num(v->time, mid) < c->to_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_hi = lo;
    return RC_OK;
}

rc log_few_rows(log_view *v, const uint64_t *bits, size_t count, bool *ret_few, err *e) {
    uint32_t rows[LV_FEW_ROWS];
    size_t n = 0;
    *ret_few = false;
    if (v->level == 0 || !bits || count == 0 || count > LV_FEW_ROWS) return RC_OK;
    for (size_t i = bitset_next(bits, v->n, 0); i < v->n; i = bitset_next(bits, v->n, i + 1))
        rows[n++] = (uint32_t)i;
    MUST(n == count);
    *ret_few = lv_are_few(rows, n);
    return *ret_few ? lv_need_few(v, rows, n, e) : RC_OK;
}

bool log_in_time(const select_common *c, int64_t time) {
    return (c->from_ns == 0 && c->to_ns == 0) || (time >= c->from_ns && time < c->to_ns);
}

/* ---- 1: what block_info excludes ---- */

bool log_info_excludes(const log_query *lq, const block_info *in) {
    const log_select *q = lq->q;
    if (q->min_severity && q->min_severity < 64 && (in->severities >> q->min_severity) == 0)
        return true;
    for (size_t i = 0; i < lq->match_count; i++) {
        str only;
        if (!label_is(S("service_name"), matchers_name(lq->m, i)) &&
            !label_is(matchers_name(lq->m, i), S("service.name")))
            continue;
        if (matchers_only(lq->m, i, &only)) {
            uint64_t bits = block_service_bits(only);
            /* Rows whose service.name is no resource attribute are under the empty service. */
            uint64_t none = block_service_bits(STR_NONE);
            if ((in->labels & bits) != bits && (in->labels & none) != none) return true;
        }
    }
    return false;
}

/* ---- rows as records ---- */

/* The cells, kind and the rest of row i; cells has room for LB_CELLS_MAX of the family. */
static rc row1(log_view *v, size_t i, uint32_t want, log_row *ret, str **cells, size_t *cap,
               arena *mem, err *e) {
    uint32_t f = (uint32_t)lv_num(v->family, i), rank;
    rc code = lv_rank(v, i, &rank, e);
    if (code) return code;
    const lb_family *fam = &v->h->families[f];
    if (fam->cells > *cap) {
        *cells = arena_try_raw(mem, fam->cells * sizeof **cells, 16);
        if (!*cells) return NO_MEMORY(e);
        *cap = fam->cells;
    }
    bool attrs = want & (LOG_WANT_ATTRS | LOG_WANT_REST | LOG_WANT_REFS);
    uint32_t n = attrs ? fam->cells : v->t->kinds[fam->first_kind].slots;
    lv_family *cols;
    code = lv_need_cells(v, f, 0, n, e);
    if (!code) code = lv_family_of(v, f, &cols, e);
    if (code) return code;
    const lb_kind *k =
        &v->t->kinds[fam->first_kind + (cols->member ? lv_num(cols->member, rank) : 0)];
    for (uint32_t c = 0; c < n; c++) (*cells)[c] = lv_column_at(&cols->cell[c], rank);
    *ret = (log_row){.t = v->t,
                     .kind = k,
                     .meta = &v->t->metas[lv_column_at(&cols->meta, rank).n],
                     .res = &v->t->resources[lv_num(v->res, i)],
                     .time = (int64_t)lv_num(v->time, i),
                     .observed = 0,
                     .cells = *cells,
                     .bits = (uint8_t)lv_num(v->bits, i)};
    if (want & (LOG_WANT_REST | LOG_WANT_REFS) && lv_num(v->bits, i) & ROW_OBSERVED)
        ret->observed = (int64_t)((uint64_t)lv_num(v->observed, i) + lv_num(v->time, i));
    if (want & (LOG_WANT_IDS | LOG_WANT_REFS)) ret->ids = v->ids + v->id_at[i];
    return RC_OK;
}

static uint64_t content_hash(const log_row *r, str body) {
    uint64_t h = str_hash(body) ^ r->res->hash;
    const lb_schema *s = &r->t->schemas[r->kind->schema];
    for (uint32_t i = 0; i < s->count; i++) {
        str cell = r->cells[r->kind->slots + i];
        uint64_t v = lb_cell_is_num(r->kind, s, r->kind->slots + i) ? cell.n : str_hash(cell);
        h = mix64(h ^ v ^ str_hash(s->attrs[i].key));
    }
    size_t n = (r->bits & ROW_TRACE ? 16u : 0u) + (r->bits & ROW_SPAN ? 8u : 0u);
    h = mix64(h ^ r->meta->severity ^ (uint64_t)r->observed);
    return n ? mix64(h ^ str_hash((str){(const char *)r->ids, n})) : h;
}

/* One record; texts of cells borrow from the view, the body is made in the batch. */
static bool put_record(log_batch *b, const log_row *r, uint32_t want) {
    log_record *to = log_batch_add_over(b);
    if (!to) return false;
    const lb_kind *k = r->kind;
    to->kept_ns = r->time;
    if (!(r->bits & ROW_NO_TIME)) to->ts_ns = r->time;
    size_t need = k->skel.n;
    for (uint32_t i = 0; i < k->slots; i++) need += r->cells[i].n;
    bool shapes = want & LOG_WANT_SHAPES && !k->plain;
    log_slot *slots = shapes ? arena_try_raw(&b->mem, k->slots * sizeof *slots + 1, 8) : NULL;
    char *body = arena_try_raw(&b->mem, need + 1, 1);
    if (!body || (shapes && !slots)) return false;
    char *p = body;
    const char *s = k->skel.p, *end = s + k->skel.n;
    for (uint32_t i = 0; i < k->slots; i++) {
        const char *mark = memchr(s, LB_MARK, (size_t)(end - s));
        size_t n = (size_t)(mark - s);
        if (n) memcpy(p, s, n);
        p += n;
        if (slots)
            slots[i] = (log_slot){(uint32_t)(p - body), (uint32_t)r->cells[i].n, k->slot_types[i]};
        if (r->cells[i].n) memcpy(p, r->cells[i].p, r->cells[i].n);
        p += r->cells[i].n;
        s = mark + 1;
    }
    if (end > s) memcpy(p, s, (size_t)(end - s));
    p += end - s;
    to->body = to->raw = (str){body, (size_t)(p - body)};
    to->line_count = 1;
    if (want & LOG_WANT_SHAPES) {
        to->shape = k->shape;
        to->slots = slots;
        to->slot_count = slots ? k->slots : 0;
    }
    to->resource = r->res;
    to->service = r->res->service;
    to->host = r->res->host;
    to->scope = r->meta->scope == LB_NONE ? NULL : &r->t->scopes[r->meta->scope];
    to->severity = r->meta->severity;
    to->severity_other = r->meta->severity_other;
    const lb_schema *sc = &r->t->schemas[k->schema];
    if (want & LOG_WANT_ATTRS && sc->count) {
        attribute *a = arena_try_raw(&b->mem, sc->count * sizeof *a, 16);
        if (!a) return false;
        for (uint32_t i = 0; i < sc->count; i++) {
            str cell = r->cells[k->slots + i];
            a[i] = (attribute){.key = sc->attrs[i].key, .type = sc->attrs[i].type};
            if (lb_cell_is_num(k, sc, k->slots + i))
                a[i].num = (int64_t)cell.n;
            else
                a[i].val = cell;
        }
        to->attrs = a;
        to->attr_count = sc->count;
    }
    if (want & LOG_WANT_IDS) {
        if (r->bits & ROW_TRACE) to->trace_bin = (str){(const char *)r->ids, 16};
        if (r->bits & ROW_SPAN)
            to->span_bin = (str){(const char *)r->ids + (r->bits & ROW_TRACE ? 16 : 0), 8};
    }
    if (want & LOG_WANT_REST) {
        to->observed_ns = r->observed;
        to->severity_text = r->meta->severity_text;
        to->event_name = r->meta->event_name;
        to->flags = r->meta->flags;
        to->dropped_attrs = r->meta->dropped_attrs;
        to->body_type = k->body_type;
        uint32_t c = k->slots + sc->count;
        if (c < k->cells && lb_cell_is_num(k, sc, c))
            to->body_num = (int64_t)r->cells[c].n;
        else if (c < k->cells)
            to->body_any = r->cells[c];
    }
    if (want & LOG_WANT_REFS)
        to->ref = (log_ref){.offset = (uint64_t)r->time,
                            .line = content_hash(r, to->body),
                            .file = STORE_REF_FILE,
                            .bytes = (uint32_t)MIN(to->body.n, (size_t)UINT32_MAX)};
    return true;
}

rc log_put_row(log_view *v, size_t i, uint32_t want, log_batch *b, err *e) {
    log_row r;
    rc code = RC_OK;
    const log_row *few = v->few_count ? lv_few_at(v, i) : NULL;
    if (few) {
        r = *few;
    } else if (v->level == 0) {
        row0(v, i, &r);
    } else {
        code = lv_need_family(v, e);
        if (!code) code = lv_need_time(v, e);
        if (!code) code = lv_need_res(v, e);
        if (!code) code = lv_need_bits(v, e);
        if (!code && want & (LOG_WANT_REST | LOG_WANT_REFS)) code = lv_need_observed(v, e);
        if (!code && want & (LOG_WANT_IDS | LOG_WANT_REFS)) code = lv_need_ids(v, e);
        str *cells = NULL;
        size_t cap = 0;
        if (!code) code = row1(v, i, want, &r, &cells, &cap, &b->mem, e);
    }
    if (code) return code;
    return put_record(b, &r, want) ? RC_OK : NO_MEMORY(e);
}

rc log_get_row(log_view *v, size_t i, log_row *ret, str *cells, err *e) {
    const log_row *few = v->few_count ? lv_few_at(v, i) : NULL;
    if (few) {
        *ret = *few;
        return RC_OK;
    }
    if (v->level == 0) {
        row0(v, i, ret);
        return RC_OK;
    }
    rc code = lv_need_family(v, e);
    if (!code) code = lv_need_time(v, e);
    if (!code) code = lv_need_res(v, e);
    if (!code) code = lv_need_ids(v, e);
    size_t cap = LB_CELLS_MAX;
    return code ? code : row1(v, i, LOG_WANT_ATTRS | LOG_WANT_IDS, ret, &cells, &cap, NULL, e);
}
