/* logbins.c - logarithmic bins.
 *
 * A bin is named by the exponent and the three leading bits of the mantissa of an IEEE 754 double:
 *
 *     seeeeeeeeeee mmm mmmm...      bin = (eeeeeeeeeee mmm) - ((1023 - 10) << 3)
 *
 * so finding it is a shift and a subtraction (no logarithm), and eight bins of equal width divide
 * every octave: linear within, geometric between. With the middle as representative the relative
 * error is at most 1/16 = 6.25% (at the low end of an octave) and at least 3.3% (at its high end).
 * Counts of the same bins add up: merge = union, whatever the order. Quantiles cost O(bins used).
 *
 * Related: HDR histogram (Tene) uses the same layout on integers; DDSketch (Masson, Rim, Lee, PVLDB
 * 12, 2019) gives equal relative error everywhere at the price of a logarithm per value. Rejected
 * besides: t-digest and KLL (merging depends on the order).
 * Reference values: exact order statistics in the tests. */
#include "algo/logbins.h"

double logbins_value(unsigned bin) {
    MUST(bin < LOGBINS);
    uint64_t bits = ((uint64_t)bin + ((1023 - 10) << 3)) << 49 | (uint64_t)1 << 48;
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

double logbins_quantile(const uint32_t *counts, size_t n, unsigned from, uint64_t low, double q) {
    MUST(q >= 0 && q <= 1);
    uint64_t total = low;
    for (size_t i = 0; i < n; i++) total += counts[i];
    MUST(total > 0);
    double want = q * (double)(total - 1);
    uint64_t seen = low;
    if ((double)seen > want) return 0;
    for (size_t i = 0; i < n; i++) {
        seen += counts[i];
        if ((double)seen > want) return logbins_value(from + (unsigned)i);
    }
    MUST(false);
    return 0;
}
