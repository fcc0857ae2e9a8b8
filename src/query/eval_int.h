/* eval_int.h - evaluating a tree over a grid of steps, for LogQL and PromQL alike.
 *
 * A value covers all steps at once: a scalar is one number a step, a vector a list of series with
 * one number a step each; ABSENT says that a series has no sample there. An instant query has one
 * step. So every node of the tree is evaluated once, a column operation over steps, whatever their
 * number. Values live in the arena of the evaluation. */
#ifndef FL_QUERY_EVAL_INT_H
#define FL_QUERY_EVAL_INT_H

#include "query/expr_int.h"
#include "query/labels.h"

enum { STEPS_MAX = 11000, SERIES_DEFAULT = 10000, EVAL_ARENA_MAX = 1 << 30, LOOKBACK_S = 300 };

/* No sample: a NaN with a payload that arithmetic does not make, compared by its bits. */
#define ABSENT_BITS UINT64_C(0x7ff8000000fa017e)
static inline double absent(void) {
    uint64_t bits = ABSENT_BITS;
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}
static inline bool is_absent(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(v));
    return bits == ABSENT_BITS;
}

typedef struct series {
    const query_label *labels; /* sorted by name */
    size_t label_count;
    double *v; /* one a step */
} series;

typedef struct value {
    uint8_t type;   /* TYPE_SCALAR, TYPE_VECTOR, TYPE_STRING */
    double *scalar; /* one a step */
    str text;
    series *s;
    size_t count;
} value;

typedef struct eval {
    store *store;
    const query_opts *opts;
    query_text *text;
    arena *mem;
    int64_t start_ns, step_ns; /* step 1 when there is one step only */
    size_t steps;
    size_t max_series;
    dialect dialect;
    select_stats *stats;
    int64_t deadline_ns; /* monotonic */
} eval;

static inline int64_t step_time(const eval *ev, size_t i) {
    return ev->start_ns + (int64_t)i * ev->step_ns;
}

MUST_CHECK rc eval_expr(eval *ev, const expr *x, value *ret, err *e);
/* Sets up the grid of a query. RC_INVALID: too many steps. */
MUST_CHECK rc eval_init(eval *ev, store *s, const query_opts *o, query_text *t, arena *mem,
                        select_stats *stats, err *e);
/* The value as a result, copied into mem: rows without any sample are left out. */
MUST_CHECK rc eval_result(const eval *ev, value *v, arena *mem, query_result *ret, err *e);

double *eval_steps(eval *ev, double fill, err *e); /* one number a step; NULL: out of memory */
rc eval_full(err *e);                              /* RC_LIMIT */
MUST_CHECK rc eval_poll(const eval *ev, err *e);   /* cancelled, out of time */

/* Series of a vector under construction. */
typedef struct vector_builder {
    eval *ev;
    series *s;
    size_t count, cap;
} vector_builder;
/* A series with all steps absent. RC_LIMIT beyond max_series. Labels are borrowed. */
MUST_CHECK rc vector_add(vector_builder *b, const query_label *labels, size_t label_count,
                         series **ret, err *e);

/* Rows of equal labels that never have a sample at the same step become one row; else RC_INVALID.
 */
MUST_CHECK rc eval_join_rows(const eval *ev, value *v, const char *otherwise, err *e);

/* One node each (eval_vector.c). */
MUST_CHECK rc eval_aggregate(eval *ev, const expr *x, value *ret, err *e);
MUST_CHECK rc eval_binary(eval *ev, const expr *x, value *ret, err *e);
/* (eval_call.c) */
MUST_CHECK rc eval_call(eval *ev, const expr *x, value *ret, err *e);
/* Metrics (metrics.c): selectors, and functions over their ranges. */
MUST_CHECK rc eval_selector(eval *ev, const expr *x, value *ret, err *e);
MUST_CHECK rc eval_range_call(eval *ev, const expr *x, range_fn fn, value *ret, err *e);

/* An expression for the stored forms of a metric's name. NULL p: out of memory. */
str metric_name_pattern(str name, arena *mem);

double binary_number(uint8_t op, double a, double b);
bool binary_holds(uint8_t op, double a, double b);
double quantile_of(double q, double *v, size_t count); /* sorts v */

/* --- samples of a range (range.c) --- */

typedef struct samples {
    const int64_t *ts_ns; /* increasing */
    const double *val;
    size_t count;
} samples;

/* One range vector's result: samples with range_start < ts <= range_end; ABSENT when there is none.
 * param: the quantile, seconds ahead. */
double range_value(range_fn fn, const samples *s, int64_t range_start_ns, int64_t range_end_ns,
                   double param, double *scratch);
/* Does the function give up the metric's name? (all but last_over_time, first_over_time) */
bool range_keeps_name(range_fn fn);

#endif
