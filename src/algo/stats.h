/* stats.h - robust statistics of arrays. NaN is not allowed in any input (checked by the caller);
 * infinities order as numbers do. Functions with `work` sort or overwrite what they are given. */
#ifndef FL_ALGO_STATS_H
#define FL_ALGO_STATS_H

#include "base/defs.h"

/* Sorts ascending, in place. O(n log n). */
void stats_sort(double *v, size_t n);
/* Median; reorders `work`. O(n) expected. n >= 1. */
double stats_median(double *work, size_t n);
/* Spearman's rank correlation (ties get mean ranks); work: 4 * n doubles. 0 when one side is
 * constant. */
double stats_spearman(const double *x, const double *y, size_t n, double *work);
/* Tail index of a heavy tail: Hill's estimator over the k largest of n sorted positive values; see
 * stats.c. Returns `cap` when the tail is lighter than that. 1 <= k < n. */
double stats_hill(const double *sorted, size_t n, size_t k, double cap);

#endif
