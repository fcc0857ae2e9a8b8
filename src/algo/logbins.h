/* logbins.h - positive numbers in logarithmic bins: a quantile sketch with a bounded relative error
 * whose merge is the addition of counts. See logbins.c. */
#ifndef FL_ALGO_LOGBINS_H
#define FL_ALGO_LOGBINS_H

#include "base/defs.h"

enum {
    LOGBINS = 1024,         /* 8 an octave, from 2^-10 up to 2^118; what lies outside is clamped */
    LOGBINS_PER_OCTAVE = 8, /* a bin's middle is within 6.25% of every value in it */
    LOGBINS_NONE = -1,
};

/* Bin of v; LOGBINS_NONE for zero, negatives and NaN. */
static inline int logbins_bin(double v) {
    if (!(v > 0)) return LOGBINS_NONE;
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    int64_t bin = (int64_t)(bits >> 49) - ((1023 - 10) << 3);
    return bin < 0 ? 0 : bin >= LOGBINS ? LOGBINS - 1 : (int)bin;
}

/* Value in the middle of a bin. */
double logbins_value(unsigned bin);

/* Quantile q in [0, 1] of counts[0..n) in bins from, from + 1, ... with `low` further values below
 * all bins (zeros and negatives). The value of the bin that holds the order statistic q (count -
 * 1); 0 when it is one of the low ones. The total must not be 0. */
double logbins_quantile(const uint32_t *counts, size_t n, unsigned from, uint64_t low, double q);

#endif
