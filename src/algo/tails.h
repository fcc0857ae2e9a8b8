/* tails.h - how improbable is a count: tail probabilities in bits (-log2 p), accurate far out,
 * where p itself underflows. Formulas, ranges and accuracy: tails.c. All results are >= 0 and
 * finite for finite input. "at least": P(X >= k); "at most": P(X <= k). */
#ifndef FL_ALGO_TAILS_H
#define FL_ALGO_TAILS_H

#include "base/defs.h"

#define TAIL_BITS_MAX 1e6 /* results are cut here: certainty is never infinite */

/* Poisson with mean >= 0. */
double tail_poisson_at_least(uint64_t k, double mean);
double tail_poisson_at_most(uint64_t k, double mean);
/* Negative binomial with mean and variance mean + dispersion * mean^2; dispersion 0 is Poisson. */
double tail_negbin_at_least(uint64_t k, double mean, double dispersion);
double tail_negbin_at_most(uint64_t k, double mean, double dispersion);
/* Binomial: k of n with probability p in [0, 1]. */
double tail_binomial_at_least(uint64_t k, uint64_t n, double p);
double tail_binomial_at_most(uint64_t k, uint64_t n, double p);
/* Chi-square with df > 0 degrees of freedom: P(X >= x). */
double tail_chi_square(double x, double df);
/* Standard normal: P(Z >= z). */
double tail_normal(double z);
/* G-test that two counts have the given exposures' ratio (1 degree of freedom):
 * G = 2 sum O ln(O / E). Exposures > 0. */
double tail_g_two_rates(uint64_t a, double exposure_a, uint64_t b, double exposure_b);

/* ln of the regularised incomplete gamma functions P (lower) and Q (upper), a > 0, x >= 0. */
void tail_log_gamma_pq(double a, double x, double *ret_log_p, double *ret_log_q);
/* ln of the regularised incomplete beta I_x(a, b) and of its complement. */
void tail_log_beta(double a, double b, double x, double *ret_log_i, double *ret_log_rest);

#endif
