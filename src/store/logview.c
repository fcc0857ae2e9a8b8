/* logview.c - see logview_int.h.
 *
 * Each decoded thing (header, column) is one block of memory without pointers out of it, so that it
 * can live in the block cache and be shared by queries: the header is parsed twice when it is not
 * there yet, first to find out its size. Keys: what it is in the upper bits, family and cell below.
 * Without a cache (tests), or when something does not fit, the view owns it. */
#include "store/logview_int.h"

#include "base/mem.h"
#include "store/fuse.h"

enum { BYTES_PER_VIEW_MAX = 1 << 30 };
enum { K_HEADER = 1, K_GLOBAL, K_RANK, K_ID_AT, K_FAMILY, K_SHARED, K_SHARED_AT };

#define KEY(what, family, cell) ((uint64_t)(what) << 56 | (uint64_t)(family) << 24 | (cell))
#define DAMAGED(e, what)        FAIL((e), RC_CORRUPT, "log block: %s", (what))
#define NO_MEMORY(e)            FAIL((e), RC_LIMIT, "log block: no memory")

const void *lv_cached(log_view *v, uint64_t part, size_t *ret_bytes) {
    size_t bytes;
    const void *p = v->cache ? block_cache_get(v->cache, v->ref->io.id, part, &bytes) : NULL;
    if (!p) return NULL;
    vec_push(&v->pins, p);
    if (ret_bytes) *ret_bytes = bytes;
    return p;
}

const void *lv_keep(log_view *v, uint64_t part, void *p, size_t bytes) {
    const void *kept = v->cache ? block_cache_put(v->cache, v->ref->io.id, part, p, bytes) : NULL;
    if (kept) {
        vec_push(&v->pins, kept);
        return kept;
    }
    vec_push(&v->owned, p);
    return p;
}

static rc read_bytes(log_view *v, uint64_t offset, size_t n, str *ret, err *e) {
    const block_io *io = &v->ref->io;
    if (io->memory.p) {
        if (offset > io->memory.n || n > io->memory.n - offset) return DAMAGED(e, "too short");
        *ret = str_sub(io->memory, offset, n);
        return RC_OK;
    }
    char *p = arena_try_raw(&v->mem, n, 16);
    if (!p) return NO_MEMORY(e);
    rc code = io->read(io->ctx, offset, n, p, e);
    v->stats->bytes_read += n;
    *ret = (str){p, n};
    return code;
}

/* ---- opening ---- */

static uint64_t slot_mask_of(const lb_header *h) {
    uint64_t mask = 0;
    for (size_t f = 0; f < h->family_count; f++) {
        const lb_family *x = &h->families[f];
        uint32_t slots = h->t.kinds[x->first_kind].slots;
        for (uint32_t c = 0; c < slots; c++) mask |= x->cell[c].stamp.mask;
    }
    return mask;
}

typedef struct cached_header {
    lb_header h;
    uint64_t slot_mask;
} cached_header;

static rc open1(log_view *v, const lb_head *head, err *e) {
    str stored;
    rc code = read_bytes(v, LB_HEAD_BYTES, head->stored, &stored, e);
    if (code) return code;
    arena_mark mark = arena_save(&v->mem);
    lb_mem measure = {.a = &v->mem};
    cached_header *own = NULL;
    lb_header h;
    if (!lb_alloc(&measure, sizeof *own)) return NO_MEMORY(e);
    code = lb_get_header(head, stored, &measure, &h, e);
    arena_restore(&v->mem, mark);
    if (code) return code;
    char *p = mem_try_raw(measure.used + 16);
    if (!p) return NO_MEMORY(e);
    lb_mem exact = {.at = p, .end = p + measure.used};
    own = lb_alloc(&exact, sizeof *own);
    MUST(own);
    code = lb_get_header(head, stored, &exact, &own->h, e);
    if (code) {
        mem_free(p);
        return code;
    }
    own->slot_mask = slot_mask_of(&own->h);
    v->stats->bytes_decoded += measure.used;
    const cached_header *kept =
        lv_keep(v, (KEY(K_HEADER, 0, 0) | BLOCK_CACHE_HOT), p, measure.used);
    v->h = &kept->h;
    v->slot_mask = kept->slot_mask;
    return RC_OK;
}

rc lv_open(log_view *v, const block_ref *ref, block_cache *cache, select_stats *stats, err *e) {
    *v = (log_view){.ref = ref, .cache = cache, .stats = stats, .level = ref->info.level};
    arena_init(&v->mem, "log view", BYTES_PER_VIEW_MAX);
    col_ctx_init(&v->x, 1);
    stats->blocks_read++;
    rc code = RC_OK;
    if (ref->info.level == 0) {
        str payload;
        if (ref->info.bytes > BLOCK_BYTES_MAX) return DAMAGED(e, "size");
        code = read_bytes(v, 0, (size_t)ref->info.bytes, &payload, e);
        if (!code) code = lb_get_rows(payload, &v->mem, &v->rows, e);
        if (code) return code;
        v->n = v->rows.n;
        v->t = &v->rows.t;
        stats->bytes_decoded += payload.n;
    } else {
        const cached_header *kept = lv_cached(v, (KEY(K_HEADER, 0, 0) | BLOCK_CACHE_HOT), NULL);
        if (kept) {
            v->h = &kept->h;
            v->slot_mask = kept->slot_mask;
        } else {
            str bytes;
            lb_head head = {0};
            code = read_bytes(v, 0, LB_HEAD_BYTES, &bytes, e);
            if (!code) code = lb_get_head(bytes, &head, e);
            if (!code && head.level != 1) code = DAMAGED(e, "level");
            if (!code) code = open1(v, &head, e);
            if (code) return code;
        }
        v->n = v->h->rows;
        v->t = &v->h->t;
    }
    if (v->n != ref->info.rows) return DAMAGED(e, "count of rows");
    stats->rows += v->n;
    return RC_OK;
}

void lv_close(log_view *v) {
    for (size_t i = 0; i < v->pins.n; i++) block_cache_unpin(v->cache, v->pins.v[i]);
    for (size_t i = 0; i < v->owned.n; i++) mem_free(v->owned.v[i]);
    vec_release(&v->pins);
    vec_release(&v->owned);
    col_ctx_release(&v->x);
    arena_release(&v->mem);
    *v = (log_view){0};
}

/* ---- columns ---- */

rc lv_part(log_view *v, uint32_t part, str *ret, err *e) {
    const lb_part *p = &v->h->parts[part];
    str stored;
    rc code = read_bytes(v, p->offset, p->stored, &stored, e);
    return code ? code : lb_get_part(p, stored, &v->mem, ret, e);
}

static rc column_bytes(log_view *v, const lb_column *c, str *ret, err *e) {
    if (c->how != HOW_PART) {
        *ret = c->value;
        return RC_OK;
    }
    str part;
    rc code = lv_part(v, c->part, &part, e);
    if (code) return code;
    *ret = str_sub(part, c->at, c->bytes);
    return RC_OK;
}

/* v as lv_nums, cached under key. */
static rc keep_numbers(log_view *v, const uint64_t *from, size_t n, uint64_t key,
                       const lv_nums **ret, err *e) {
    uint64_t min = n ? from[0] : 0, max = min;
    for (size_t i = 1; i < n; i++) {
        min = MIN(min, from[i]);
        max = MAX(max, from[i]);
    }
    uint64_t range = max - min;
    unsigned width = range == 0            ? 0
                     : range <= 0xff       ? 1
                     : range <= 0xffff     ? 2
                     : range <= UINT32_MAX ? 4
                                           : 8;
    size_t size = sizeof(lv_nums) + n * width;
    lv_nums *to = mem_try_raw(size + 8); /* eight bytes are written at a time */
    if (!to) return NO_MEMORY(e);
    *to = (lv_nums){.base = min, .width = width};
    for (size_t i = 0; i < n && width; i++) {
        uint64_t d = from[i] - min;
        memcpy(to->data + i * width, &d, 8);
    }
    v->stats->bytes_decoded += size;
    *ret = lv_keep(v, key, to, size);
    return RC_OK;
}

/* n numbers, each below `below` (0: any). */
static rc numbers(log_view *v, const lb_column *c, size_t n, uint64_t below, uint64_t key,
                  const lv_nums **ret, err *e) {
    *ret = lv_cached(v, key, NULL);
    if (*ret) return RC_OK;
    arena_mark mark = arena_save(&v->mem);
    str bytes;
    rc code = column_bytes(v, c, &bytes, e);
    uint64_t *tmp = arena_try_raw(&v->mem, n * 8 + 8, 8);
    if (!code && !tmp) code = NO_MEMORY(e);
    if (!code) code = col_x_get_u64(&v->x, bytes, n, tmp, 0, e);
    for (size_t i = 0; !code && below && i < n; i++) {
        if (tmp[i] >= below) code = DAMAGED(e, "a number is too large");
    }
    if (!code) code = keep_numbers(v, tmp, n, key, ret, e);
    arena_restore(&v->mem, mark);
    return code;
}

static rc texts(log_view *v, const lb_column *c, size_t n, uint64_t key, const lv_texts **ret,
                err *e) {
    *ret = lv_cached(v, key, NULL);
    if (*ret) return RC_OK;
    arena_mark mark = arena_save(&v->mem);
    str bytes;
    rc code = column_bytes(v, c, &bytes, e);
    str *tmp = arena_try_raw(&v->mem, n * sizeof *tmp + 16, 16);
    if (!code && !tmp) code = NO_MEMORY(e);
    if (!code) code = col_x_get_str(&v->x, bytes, n, &v->mem, tmp, 0, e);
    size_t total = 0;
    for (size_t i = 0; !code && i < n; i++) total += tmp[i].n;
    if (!code && total > UINT32_MAX) code = DAMAGED(e, "texts are too long");
    size_t size = sizeof(lv_texts) + (n + 1) * 4 + total;
    lv_texts *t = code ? NULL : mem_try_raw(size);
    if (!code && !t) code = NO_MEMORY(e);
    if (!code && t) {
        t->n = (uint32_t)n;
        char *p = (char *)&t->off[n + 1];
        uint32_t at = 0;
        for (size_t i = 0; i < n; i++) {
            t->off[i] = at;
            if (tmp[i].n) memcpy(p + at, tmp[i].p, tmp[i].n);
            at += (uint32_t)tmp[i].n;
        }
        t->off[n] = at;
    }
    arena_restore(&v->mem, mark);
    if (code) return code;
    v->stats->bytes_decoded += size;
    *ret = lv_keep(v, key, t, size);
    return RC_OK;
}

static rc global(log_view *v, int g, uint64_t below, const lv_nums **ret, err *e) {
    MUST(v->level == 1);
    return *ret ? RC_OK : numbers(v, &v->h->global[g], v->n, below, KEY(K_GLOBAL, 0, g), ret, e);
}

rc lv_need_time(log_view *v, err *e) { return global(v, G_TIME, 0, &v->time, e); }
rc lv_need_res(log_view *v, err *e) {
    return global(v, G_RESOURCE, v->h->t.resource_count, &v->res, e);
}
rc lv_need_bits(log_view *v, err *e) { return global(v, G_BITS, ROW_BITS + 1, &v->bits, e); }
rc lv_need_observed(log_view *v, err *e) { return global(v, G_OBSERVED, 0, &v->observed, e); }

rc lv_need_family(log_view *v, err *e) {
    return global(v, G_FAMILY, v->h->family_count, &v->family, e);
}

static rc all_ranks(log_view *v, err *e) {
    uint32_t *rank = arena_try_raw(&v->mem, v->n * 4, 4);
    uint32_t *fill = arena_try_new_n(&v->mem, uint32_t, v->h->family_count);
    if (!rank || !fill) return NO_MEMORY(e);
    for (size_t i = 0; i < v->n; i++) rank[i] = fill[lv_num(v->family, i)]++;
    for (size_t f = 0; f < v->h->family_count; f++) {
        if (fill[f] != v->h->families[f].rows) return DAMAGED(e, "rows of a family");
    }
    v->rank = rank;
    return RC_OK;
}

rc lv_rank(log_view *v, size_t i, uint32_t *ret, err *e) {
    enum { COUNTED_MAX = 24 };
    rc code = lv_need_family(v, e);
    if (!code && !v->rank && ++v->ranks_asked > COUNTED_MAX) code = all_ranks(v, e);
    if (code) return code;
    if (v->rank) {
        *ret = v->rank[i];
        return RC_OK;
    }
    uint32_t rank = 0;
    uint64_t f = lv_num(v->family, i);
    if (v->family->width == 1) { /* the usual one, and quick: a loop over bytes */
        uint8_t byte = (uint8_t)(f - v->family->base);
        const uint8_t *p = v->family->data;
        for (size_t k = 0; k < i; k++) rank += p[k] == byte;
    } else {
        for (size_t k = 0; k < i; k++) rank += lv_num(v->family, k) == f;
    }
    if (rank >= v->h->families[f].rows) return DAMAGED(e, "rows of a family");
    *ret = rank;
    return RC_OK;
}

rc lv_need_ids(log_view *v, err *e) {
    if (v->ids) return RC_OK;
    rc code = lv_need_bits(v, e);
    if (code) return code;
    uint64_t key = KEY(K_GLOBAL, 0, G_IDS);
    size_t total = 0;
    uint32_t *at = arena_try_raw(&v->mem, v->n * 4, 4);
    if (!at) return NO_MEMORY(e);
    for (size_t i = 0; i < v->n; i++) {
        at[i] = (uint32_t)total;
        uint64_t b = lv_num(v->bits, i);
        total += (b & ROW_TRACE ? 16u : 0u) + (b & ROW_SPAN ? 8u : 0u);
    }
    const char *ids = lv_cached(v, key, NULL);
    if (!ids) {
        char *p = mem_try_raw(total + 1);
        if (!p) return NO_MEMORY(e);
        size_t have = 0;
        for (size_t i = 0; !code && v->h->first_ids != LB_NONE && i < lb_pages(v->n); i++) {
            str page;
            arena_mark mark = arena_save(&v->mem);
            code = lv_part(v, v->h->first_ids + (uint32_t)i, &page, e);
            if (!code && page.n > total - have) code = DAMAGED(e, "ids and rows do not agree");
            if (!code && page.n) memcpy(p + have, page.p, page.n);
            if (!code) have += page.n;
            arena_restore(&v->mem, mark);
        }
        if (!code && have != total) code = DAMAGED(e, "ids and rows do not agree");
        if (code) {
            mem_free(p);
            return code;
        }
        v->stats->bytes_decoded += total;
        ids = lv_keep(v, key, p, total);
    }
    v->id_at = at;
    v->ids = (const uint8_t *)ids;
    return RC_OK;
}

rc lv_may_have_trace(log_view *v, const char *id, bool *ret, err *e) {
    uint64_t key = KEY(K_GLOBAL, 0, G_FILTER) | BLOCK_CACHE_HOT;
    size_t n;
    const char *p = lv_cached(v, key, &n);
    rc code = RC_OK;
    if (!p) {
        arena_mark mark = arena_save(&v->mem);
        str bytes;
        code = column_bytes(v, &v->h->global[G_FILTER], &bytes, e);
        char *own = code ? NULL : mem_try_raw(bytes.n + 1);
        if (!code && !own) code = NO_MEMORY(e);
        if (own && bytes.n) memcpy(own, bytes.p, bytes.n);
        arena_restore(&v->mem, mark);
        if (code) return code;
        n = bytes.n;
        v->stats->bytes_decoded += n;
        p = lv_keep(v, key, own, n);
    }
    *ret = false;
    if (n == 0) return RC_OK;
    fuse f;
    code = fuse_open((str){p, n}, &f, e);
    if (!code) *ret = fuse_has(&f, lb_trace_key(id));
    return code;
}

static rc member_of(log_view *v, uint32_t family, const lv_nums **ret, err *e) {
    const lb_family *f = &v->h->families[family];
    *ret = NULL;
    if (f->kinds == 1) return RC_OK;
    return numbers(v, &f->member, f->rows, f->kinds, KEY(K_FAMILY, family, 0xffffff), ret, e);
}

/* Rows of the family within the rows of a shared column. */
static rc shared_index(log_view *v, uint32_t family, uint32_t cell, const lv_nums **ret, err *e) {
    uint64_t key = KEY(K_SHARED_AT, family, cell);
    *ret = lv_cached(v, key, NULL);
    if (*ret) return RC_OK;
    rc code = lv_need_family(v, e);
    if (code) return code;
    const lb_header *h = v->h;
    uint32_t shared = h->families[family].cell[cell].part;
    arena_mark mark = arena_save(&v->mem);
    uint8_t *uses = arena_try_new_n(&v->mem, uint8_t, h->family_count);
    uint64_t *to = arena_try_raw(&v->mem, (size_t)h->families[family].rows * 8 + 8, 8);
    if (!uses || !to) return NO_MEMORY(e);
    uint32_t before = 0; /* references of this family's rows in front of `cell` */
    for (size_t f = 0; f < h->family_count; f++) {
        for (uint32_t c = 0; c < h->families[f].cells; c++) {
            const lb_column *col = &h->families[f].cell[c];
            if (col->how != HOW_SHARED || col->part != shared) continue;
            if (f == family && c < cell) before++;
            uses[f]++;
        }
    }
    uint64_t k = 0, at = 0;
    for (size_t i = 0; i < v->n; i++) {
        uint64_t f = lv_num(v->family, i);
        if (f == family) {
            if (k == h->families[family].rows) return DAMAGED(e, "rows of a family");
            to[k++] = at + before;
        }
        at += uses[f];
    }
    if (k != h->families[family].rows || at != h->shared[shared].rows)
        return DAMAGED(e, "rows of a shared column");
    code = keep_numbers(v, to, k, key, ret, e);
    arena_restore(&v->mem, mark);
    return code;
}

static rc column_of(log_view *v, const lb_column *c, uint32_t family, uint32_t cell, uint64_t below,
                    lv_column *ret, err *e) {
    const lb_family *f = &v->h->families[family];
    *ret = (lv_column){0};
    size_t n = f->rows;
    uint64_t key = KEY(K_FAMILY, family, cell);
    const lb_column *from = c;
    rc code = RC_OK;
    if (c->how == HOW_SHARED) {
        const lb_shared *s = &v->h->shared[c->part];
        code = shared_index(v, family, cell, &ret->index, e);
        if (code) return code;
        from = &s->col;
        n = s->rows;
        key = KEY(K_SHARED, 0, c->part);
    } else if (c->how == HOW_MEMBER) {
        code = member_of(v, family, &ret->index, e);
        if (code) return code;
        if (!ret->index) ret->one = true;
        n = f->kinds;
    } else if (c->how == HOW_CONST) {
        ret->one = true;
        n = 1;
    }
    if (!c->num) return texts(v, from, n, key, &ret->texts, e);
    return numbers(v, from, n, below, key, &ret->nums, e);
}

rc lv_family_of(log_view *v, uint32_t family, lv_family **ret, err *e) {
    const lb_header *h = v->h;
    if (!v->fam) v->fam = arena_try_new_n(&v->mem, lv_family, h->family_count);
    if (!v->fam) return NO_MEMORY(e);
    lv_family *f = &v->fam[family];
    rc code = RC_OK;
    if (!f->has_member) {
        code = member_of(v, family, &f->member, e);
        if (code) return code;
        f->has_member = true;
    }
    if (!f->has_meta) {
        code = column_of(v, &h->families[family].meta, family, 0xfffffe, v->t->meta_count, &f->meta,
                         e);
        if (code) return code;
        f->has_meta = true;
    }
    *ret = f;
    return RC_OK;
}

rc lv_need_cells(log_view *v, uint32_t family, uint32_t from, uint32_t to, err *e) {
    lv_family *f;
    rc code = lv_family_of(v, family, &f, e);
    const lb_family *of = &v->h->families[family];
    if (!code && !f->cell) {
        f->cell = arena_try_new_n(&v->mem, lv_column, of->cells);
        f->has_cell = arena_try_new_n(&v->mem, bool, of->cells);
        if (!f->cell || !f->has_cell) return NO_MEMORY(e);
    }
    for (uint32_t c = from; c < to && !code; c++) {
        if (f->has_cell[c]) continue;
        code = column_of(v, &of->cell[c], family, c, 0, &f->cell[c], e);
        f->has_cell[c] = !code;
    }
    return code;
}
