/* multiple.h - many tests at once. */
#ifndef FL_ALGO_MULTIPLE_H
#define FL_ALGO_MULTIPLE_H

#include "base/defs.h"

/* Bits that a single test needs so that `tests` of them give `alarms` false alarms in expectation
 * (Bonferroni): log2(tests / alarms), never below 0. */
double multiple_bits_needed(double tests, double alarms);

#endif
