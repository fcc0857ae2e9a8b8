/* changepoint.h - when did a series change? */
#ifndef FL_ALGO_CHANGEPOINT_H
#define FL_ALGO_CHANGEPOINT_H

#include "base/defs.h"

enum { CHANGEPOINT_SERIES_MAX = 1 << 16 };

/* Splits counts into segments of constant Poisson rate (PELT, exact for the penalised likelihood).
 * penalty: cost of one more segment in nats; 0 = 3 ln n (guards overdispersed logs against
 * splinters). ret_starts receives the first index of every segment, ascending, the first one 0; at
 * most `max`. Returns their number; when there would be more than `max`, the penalty is raised
 * until they fit. n <= CHANGEPOINT_SERIES_MAX. */
size_t changepoint_counts(const double *counts, size_t n, double penalty, size_t *ret_starts,
                          size_t max);
/* The same for the mean of a real-valued series with the given noise variance (> 0). */
size_t changepoint_mean(const double *v, size_t n, double variance, double penalty,
                        size_t *ret_starts, size_t max);

/* The single best split of counts into two rates: the first index of the second part, 1 .. n - 1,
 * and in *ret_gain the log likelihood ratio in nats. 0 when n < 2. */
size_t changepoint_split_counts(const double *counts, size_t n, double *ret_gain);

/* Page's CUSUM for an upward change of a standardised series: after each value,
 * s = max(0, s + x - drift). `start` is the index after the last zero: the estimated onset. */
typedef struct cusum {
    double drift, s;
    size_t i, start;
} cusum;
void cusum_init(cusum *c, double drift);
double cusum_add(cusum *c, double x); /* returns s */

#endif
