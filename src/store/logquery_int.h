/* logquery_int.h - one log query, compiled: what a row must satisfy, and what can be told of a kind
 * or a block without looking at rows. Private to store. */
#ifndef FL_STORE_LOGQUERY_INT_H
#define FL_STORE_LOGQUERY_INT_H

#include "store/labels.h"
#include "store/logblock_int.h"

enum { LQ_LITERALS_MAX = 16, LQ_LINES_MAX = 256 };

typedef struct lq_line {
    line_op op;
    str text;
    void *re;                      /* pcre2_code */
    str literals[LQ_LITERALS_MAX]; /* what every matching text contains; of LINE_HAS: the text */
    uint64_t masks[LQ_LITERALS_MAX];
    size_t literal_count;
} lq_line;

typedef struct log_query {
    const log_select *q; /* borrowed */
    matchers *m;
    size_t match_count;
    lq_line *lines;
    size_t line_count;
    void *match_context; /* pcre2_match_context */
    uint64_t hash;       /* of all conditions but time, order and limit: key of cached results */
    bool any;            /* there are conditions beyond time */
    arena mem;
} log_query;

/* RC_INVALID: an expression is wrong, an id has another length; RC_LIMIT. Borrows q. */
MUST_CHECK rc lq_new(const log_select *q, log_query **ret, err *e);
void lq_free(log_query *lq);

/* What a thread needs to test rows. */
typedef struct lq_worker {
    const log_query *lq;
    void *match_data; /* pcre2_match_data */
    arena tmp;        /* texts of values; reset by who uses it */
    buf body;
} lq_worker;
void lq_worker_init(lq_worker *w, const log_query *lq);
void lq_worker_release(lq_worker *w);

/* A row with all that belongs to it. */
typedef struct log_row {
    const lb_tables *t;
    const lb_kind *kind;
    const lb_meta *meta;
    const resource *res;
    int64_t time, observed;
    const uint8_t *ids;
    const str *cells;
    uint8_t bits;
} log_row;

/* The body's text: borrows from the skeleton or a cell, or is made in `to` (emptied before). */
MUST_CHECK bool log_row_body(const log_row *r, buf *to, str *ret);

/* --- tests of rows, by what they look at --- */
bool lq_lines_hold(lq_worker *w, str body);
bool lq_meta_holds(const log_query *lq, const lb_meta *m); /* least severity */
bool lq_ids_hold(const log_query *lq, uint8_t bits, const uint8_t *ids);
/* Value of a label of a row (rules: store.h). Texts of numbers are made in tmp. */
str log_row_label(const log_row *r, str name, arena *tmp);
bool lq_labels_hold(lq_worker *w, const log_row *r);
/* The value of a label as far as a resource decides it: false when it says nothing of it. */
bool resource_label(const resource *r, str name, arena *tmp, str *ret);
/* All of it. */
bool lq_row_holds(lq_worker *w, const log_row *r);

/* --- what can be told before --- */
typedef enum lq_answer { LQ_NO = 0, LQ_SOME, LQ_ALL } lq_answer;
/* Can bodies of the kind satisfy all line filters? stamps: of its slots (NULL: nothing is known).
 */
lq_answer lq_kind_lines(const log_query *lq, const lb_kind *k, const lb_stamp *const *stamps);
/* May `needle` occur in a text of the kind? */
lq_answer lq_kind_has(const lb_kind *k, const lb_stamp *const *stamps, str needle);

/* --- where a needle can be in bodies of a kind --- */
typedef enum lq_where { WHERE_HAS = 0, WHERE_BEGINS, WHERE_ENDS, WHERE_IS } lq_where;
typedef struct lq_place {
    uint32_t slot;
    uint8_t where;
    str text;
} lq_place;
enum { LQ_PLACES_MAX = 12 };
typedef struct lq_places {
    bool always; /* in a constant */
    bool whole;  /* could not be told: look at whole bodies */
    uint32_t count;
    lq_place at[LQ_PLACES_MAX]; /* it occurs when one of these holds (not always, not whole) */
} lq_places;
/* May borrow from the needle and the kind. */
void lq_find_places(const lb_kind *k, const lb_stamp *const *stamps, str needle, lq_places *ret);
bool lq_place_holds(const lq_place *p, str cell);

/* The line filters, planned for one kind. */
typedef struct lq_kind_plan {
    lq_answer answer;  /* LQ_SOME: test */
    lq_places *places; /* of each literal of each line, in order */
} lq_kind_plan;
/* NULL: the arena is full. */
lq_kind_plan *lq_plan_kind(const log_query *lq, const lb_kind *k, const lb_stamp *const *stamps,
                           arena *mem);
/* Cells are asked for one by one: cell(ctx, slot). */
bool lq_plan_holds(lq_worker *w, const lq_kind_plan *p, const lb_kind *k,
                   str (*cell)(void *ctx, uint32_t slot), void *ctx, str *cells);

/* Literal texts that every match of a PCRE2 expression contains; borrows from mem. */
size_t regex_literals(str re, arena *mem, str *ret, size_t max);

#endif
