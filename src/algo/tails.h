/* tails.h - how improbable is a count: tail probabilities in bits (-log2 p), accurate far out,
 * where p itself underflows. Formulas, ranges and accuracy: tails.c. All results are >= 0 and
 * finite for finite input. "at least": P(X >= k); "at most": P(X <= k). */
#ifndef FL_ALGO_TAILS_H
#define FL_ALGO_TAILS_H

#include "base/defs.h"

#define TAIL_BITS_MAX 1e6 /* results are cut here: certainty is never infinite */

/* Negative binomial with mean >= 0 and variance mean + dispersion * mean^2, dispersion > 0. */
double tail_negbin_at_least(uint64_t k, double mean, double dispersion);
double tail_negbin_at_most(uint64_t k, double mean, double dispersion);
/* Binomial: k of n with probability p in [0, 1]. */
double tail_binomial_at_least(uint64_t k, uint64_t n, double p);
/* Standard normal: P(Z >= z). */
double tail_normal(double z);
/* G-test that two counts have the given exposures' ratio (1 degree of freedom). Exposures > 0. */
double tail_g_two_rates(uint64_t a, double exposure_a, uint64_t b, double exposure_b);

#endif
