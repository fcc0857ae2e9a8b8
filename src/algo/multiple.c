/* multiple.c - multiple testing and novelty.
 *
 *   Bonferroni            p_needed = alarms / tests
 *   Benjamini-Hochberg    largest k with p_(k) <= k q / tests (JRSS B 57, 1995); valid for
 *                         independent and positively dependent tests
 *   Good-Turing           P(new) = n1 / N (Good, Biometrika 40, 1953). n1 of a few is noisy: its
 *                         standard error sqrt(n1 (1 - n1/N) + 2 n2) / N is added, so that novelty
 * is not called surprising on the strength of one lucky estimate. Chao                  n1^2 / (2
 * n2), bias-corrected form n1 (n1 - 1) / (2 (n2 + 1)) (Chao 1984) O(1) and O(n). Reference values:
 * worked by hand in the tests. */
#include "algo/multiple.h"

#include <math.h>

double multiple_bits_needed(double tests, double alarms) {
    MUST(alarms > 0);
    return tests > alarms ? log2(tests / alarms) : 0;
}

size_t multiple_bh(const double *bits_sorted, size_t n, double tests, double q) {
    MUST(q > 0 && q <= 1 && tests >= (double)n);
    for (size_t k = n; k > 0; k--) {
        if (bits_sorted[k - 1] >= -log2((double)k * q / tests)) return k;
    }
    return 0;
}

double good_turing_new(uint64_t once, uint64_t twice, uint64_t total) {
    double n = (double)total;
    if (once == 0) return 0.5 / (n + 1);
    double n1 = (double)once, se = sqrt(n1 * (1 - n1 / fmax(n, n1)) + 2 * (double)twice);
    return fmin(1, (n1 + se) / fmax(n, 1));
}

double good_turing_unseen(uint64_t once, uint64_t twice) {
    double n1 = (double)once;
    return once ? n1 * (n1 - 1) / (2 * ((double)twice + 1)) : 0;
}
