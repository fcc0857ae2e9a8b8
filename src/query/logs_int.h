/* logs_int.h - log queries, and the range aggregations over logs. */
#ifndef FL_QUERY_LOGS_INT_H
#define FL_QUERY_LOGS_INT_H

#include "query/eval_int.h"
#include "query/plan_int.h"

/* {selector} | stages: streams. ret->stats is added to. */
MUST_CHECK rc logs_streams(store *s, const expr *x, const query_opts *o, arena *mem,
                           query_result *ret, err *e);
/* fn({...}[range]) at every step. `group`: of the aggregation around it (sum by ...), so that only
 * its labels are looked at; NULL: all labels. */
MUST_CHECK rc eval_log_range(eval *ev, const expr *x, const grouping *group, value *ret, err *e);
/* May a sum around this node be evaluated within it? */
bool log_range_sums(const expr *x);

#endif
