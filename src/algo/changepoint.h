/* changepoint.h - when did a series change? */
#ifndef FL_ALGO_CHANGEPOINT_H
#define FL_ALGO_CHANGEPOINT_H

#include "base/defs.h"

/* The single best split of counts into two rates: the first index of the second part, 1 .. n - 1,
 * and in *ret_gain the log likelihood ratio in nats. 0 when n < 2. */
size_t changepoint_split_counts(const double *counts, size_t n, double *ret_gain);

#endif
