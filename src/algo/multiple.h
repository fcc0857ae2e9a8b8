/* multiple.h - many tests at once, and what has not been seen yet. */
#ifndef FL_ALGO_MULTIPLE_H
#define FL_ALGO_MULTIPLE_H

#include "base/defs.h"

/* Bits that a single test needs so that `tests` of them give `alarms` false alarms in expectation
 * (Bonferroni): log2(tests / alarms), never below 0. */
double multiple_bits_needed(double tests, double alarms);
/* Benjamini-Hochberg: bits (-log2 p) of n tests, sorted descending; how many may be called
 * discoveries with a false discovery rate of at most q, when `tests` >= n were made. */
size_t multiple_bh(const double *bits_sorted, size_t n, double tests, double q);

/* Good-Turing: probability that the next record is of a kind not seen yet, from the number of kinds
 * seen exactly once, exactly twice and the total of records. With no singletons the estimate is
 * the rule of one half: 0.5 / (total + 1). */
double good_turing_new(uint64_t once, uint64_t twice, uint64_t total);
/* Chao's lower bound on the number of kinds not seen yet: once^2 / (2 twice). */
double good_turing_unseen(uint64_t once, uint64_t twice);

#endif
