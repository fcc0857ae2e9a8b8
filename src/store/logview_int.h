/* logview_int.h - one block opened for a query: level 0 as whole rows, level 1 column by column.
 * Private to store. One thread at a time; what it decodes is shared through the block cache. */
#ifndef FL_STORE_LOGVIEW_INT_H
#define FL_STORE_LOGVIEW_INT_H

#include "store/logquery_int.h"

#include "base/vec.h"

/* Texts one behind the other; one block of memory. */
typedef struct lv_texts {
    uint32_t n;
    uint32_t off[]; /* n + 1; the bytes follow */
} lv_texts;

static inline str lv_text(const lv_texts *t, size_t i) {
    const char *p = (const char *)&t->off[t->n + 1];
    return (str){p + t->off[i], t->off[i + 1] - t->off[i]};
}

/* Numbers in as few bytes each as the range needs; one block of memory. */
typedef struct lv_nums {
    uint64_t base;
    uint32_t width; /* 0 (all are base), 1, 2, 4, 8 */
    uint32_t unused;
    uint8_t data[];
} lv_nums;

FL_INLINE uint64_t lv_num(const lv_nums *v, size_t i) {
    uint16_t h;
    uint32_t w;
    switch (v->width) {
    case 0:
        return v->base;
    case 1:
        return v->base + v->data[i];
    case 2:
        memcpy(&h, v->data + i * 2, 2);
        return v->base + h;
    case 4:
        memcpy(&w, v->data + i * 4, 4);
        return v->base + w;
    default:
        return v->base + load_le64(v->data + i * 8);
    }
}

/* A column of a family: one of the two is set. Shared columns are cut to the family's rows. */
typedef struct lv_column {
    const lv_texts *texts;
    const lv_nums *nums;
    const lv_nums *index; /* value i of the column is texts/nums[index[i]]; NULL: i */
    bool one;             /* constant: value 0 for every row */
} lv_column;
/* What a view has loaded of a family. */
typedef struct lv_family {
    bool has_member, has_meta;
    const lv_nums *member; /* of each row; NULL: one kind */
    lv_column meta, *cell;
    bool *has_cell;
} lv_family;

typedef struct log_view {
    const block_ref *ref;
    block_cache *cache; /* may be NULL */
    uint8_t level;
    size_t n;
    const lb_tables *t;
    lb_rows rows; /* level 0 */

    /* level 1; NULL until loaded */
    const lb_header *h;
    const lv_nums *time, *family, *res, *bits, *observed; /* of each row */
    const uint32_t *id_at;                                /* where the ids of a row begin */
    const uint8_t *ids;
    uint32_t *rank; /* of each row in its family; made when many are asked for */
    unsigned ranks_asked;
    uint64_t slot_mask; /* bytes that any slot may hold */
    lv_family *fam;     /* NULL until one is needed */
    /* Rows that were read without their columns (lv_need_few), in order. */
    uint32_t *few_rows;
    log_row *few;
    size_t few_count;
    str *part; /* read for them; NULL: not yet */

    arena mem;
    col_ctx x;
    VEC(const void *) pins; /* in the cache */
    VEC(void *) owned;      /* what did not fit there */
    select_stats *stats;
} log_view;

/* Opens; RC_CORRUPT. Level 0 is decoded whole. */
MUST_CHECK rc lv_open(log_view *v, const block_ref *ref, block_cache *cache, select_stats *stats,
                      err *e);
void lv_close(log_view *v);

/* Level 1: each loads what is named; later calls find it loaded. */
MUST_CHECK rc lv_need_time(log_view *v, err *e);
MUST_CHECK rc lv_need_family(log_view *v, err *e);
/* Number of row i among those of its family: below the family's rows. */
MUST_CHECK rc lv_rank(log_view *v, size_t i, uint32_t *ret, err *e);
MUST_CHECK rc lv_need_res(log_view *v, err *e);
MUST_CHECK rc lv_need_bits(log_view *v, err *e);
MUST_CHECK rc lv_need_ids(log_view *v, err *e); /* bits, too */
MUST_CHECK rc lv_need_observed(log_view *v, err *e);
/* False: no row has this trace id (16 bytes). */
MUST_CHECK rc lv_may_have_trace(log_view *v, const char *id, bool *ret, err *e);

/* The stored bytes of a part, checked and decompressed. In v->mem. */
MUST_CHECK rc lv_part(log_view *v, uint32_t part, str *ret, err *e);

/* --- few rows (logpoint.c), level 1 --- */
enum { LV_FEW_ROWS = 128, LV_FEW_PAGES = 8 };
/* Are rows (ascending) so few that their columns need not be decoded? */
bool lv_are_few(const uint32_t *rows, size_t n);
/* Loads n > 0 rows (ascending), with all that belongs to them. */
MUST_CHECK rc lv_need_few(log_view *v, const uint32_t *rows, size_t n, err *e);
/* A row that was loaded so; NULL: it was not. Valid while the view is open and no other few rows
 * are loaded. */
const log_row *lv_few_at(const log_view *v, size_t row);
/* Rows with the trace id (16 bytes), ascending; *ret_count > max: there are more than max. */
MUST_CHECK rc lv_trace_rows(log_view *v, const char *id, uint32_t *ret_rows, size_t max,
                            size_t *ret_count, err *e);

/* Members and metas of a family's rows, and its cells from .. to - 1, in *ret (of the view). */
MUST_CHECK rc lv_family_of(log_view *v, uint32_t family, lv_family **ret, err *e);
MUST_CHECK rc lv_need_cells(log_view *v, uint32_t family, uint32_t from, uint32_t to, err *e);

static inline str lv_column_at(const lv_column *c, size_t i) {
    size_t k = c->one ? 0 : c->index ? (size_t)lv_num(c->index, i) : i;
    return c->nums ? lb_num(lv_num(c->nums, k)) : lv_text(c->texts, k);
}

/* What is cached of a block beyond its columns: results of a query, by hash. NULL = nothing. */
const void *lv_cached(log_view *v, uint64_t part, size_t *ret_bytes);
/* Takes p. */
const void *lv_keep(log_view *v, uint64_t part, void *p, size_t bytes);
#endif
