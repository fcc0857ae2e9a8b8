/* stats.h - robust statistics of arrays. NaN is not allowed in any input (checked by the caller);
 * infinities order as numbers do. Functions with `work` sort or overwrite what they are given. */
#ifndef FL_ALGO_STATS_H
#define FL_ALGO_STATS_H

#include "base/defs.h"

/* Sorts ascending, in place. O(n log n). */
void stats_sort(double *v, size_t n);
/* Quantile q in [0, 1] of a sorted array, linear between order statistics (Hyndman-Fan type 7, as R
 * and NumPy do by default). n >= 1. */
double stats_quantile_sorted(const double *v, size_t n, double q);
/* Median; reorders `work`. O(n) expected. n >= 1. */
double stats_median(double *work, size_t n);
/* Median absolute deviation from `center`, times 1.4826 (consistent for normal data); overwrites
 * `work`. */
double stats_mad(double *work, size_t n, double center);

typedef struct stats_fences {
    double q1, median, q3, low, high; /* low/high: quartiles -/+ k interquartile ranges */
} stats_fences;
/* Tukey's fences; v sorted, n >= 1. k = 1.5 inner, 3 outer. */
void stats_tukey(const double *v, size_t n, double k, stats_fences *ret);

typedef struct stats_moments {
    double n, mean, m2; /* m2: sum of squared deviations */
} stats_moments;
/* Welford; merge is Chan's pairwise formula. */
void stats_moments_add(stats_moments *m, double x);
void stats_moments_merge(stats_moments *into, const stats_moments *from);
double stats_variance(const stats_moments *m); /* n - 1 below; 0 for n < 2 */

/* Autocorrelation at `lag`, biased (divides by n); 0 for a constant series. */
double stats_autocorrelation(const double *v, size_t n, size_t lag);
/* Spearman's rank correlation (ties get mean ranks); work: 4 * n doubles. 0 when one side is
 * constant. */
double stats_spearman(const double *x, const double *y, size_t n, double *work);
/* Shannon entropy of counts in bits; 0 for an empty or single-valued distribution. */
double stats_entropy(const uint64_t *counts, size_t n);

/* Tail index of a heavy tail: Hill's estimator over the k largest of n sorted positive values; see
 * stats.c. Returns `cap` when the tail is lighter than that. 1 <= k < n. */
double stats_hill(const double *sorted, size_t n, size_t k, double cap);

#endif
