/* changepoint.c - the change point of counts.
 *
 * Model: two segments of constant Poisson rate; the log likelihood of a segment of sum S and length
 * L is S ln(S / L) (terms without the rate dropped; 0 for S = 0). The split that gains most over
 * one segment is binary segmentation's single step (Scott, Knott 1974). O(n). Rejected: PELT and
 * CUSUM: detectors already know which window is abnormal, one split around its beginning is all
 * that is asked. */
#include "algo/changepoint.h"

#include <math.h>

static double log_likelihood(double sum, double len) { return sum > 0 ? sum * log(sum / len) : 0; }

size_t changepoint_split_counts(const double *counts, size_t n, double *ret_gain) {
    double total = 0, left = 0, best = -1;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) total += counts[i];
    double whole = n ? log_likelihood(total, (double)n) : 0;
    for (size_t i = 1; i < n; i++) {
        left += counts[i - 1];
        double gain =
            log_likelihood(left, (double)i) + log_likelihood(total - left, (double)(n - i)) - whole;
        if (gain > best) {
            best = gain;
            at = i;
        }
    }
    *ret_gain = best > 0 ? best : 0;
    return at;
}
