/* plan_int.h - what of a log query the store evaluates on its columns, and what is left. */
#ifndef FL_QUERY_PLAN_INT_H
#define FL_QUERY_PLAN_INT_H

#include "query/expr_int.h"
#include "query/query.h"

typedef struct logs_plan {
    log_select select;       /* without times and limits */
    const log_stage *stages; /* left for the pipe */
    size_t stage_count;
    bool changes_line; /* some stage that is left writes another line */
} logs_plan;

/* Splits the pipeline. The plan borrows from the tree and from mem. */
MUST_CHECK rc plan_logs(const expr *x, arena *mem, logs_plan *ret, err *e);
/* log_want that looking up these labels needs (any attribute may bear any name). */
uint32_t plan_want_of(str name);
/* ... and all that the stages look up. */
uint32_t plan_want_of_stages(const log_stage *stages, size_t count);
/* May the store evaluate a matcher on this label as pipe_label would? */
bool plan_store_knows(str name);
/* The name under which the store knows it. */
str plan_store_name(str name);
/* Times, budgets, workers, cancellation of a query. */
void plan_common(const query_opts *o, select_common *to);

#endif
