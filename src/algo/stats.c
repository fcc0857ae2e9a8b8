/* stats.c - robust statistics.
 *
 *   median        quickselect with the middle of three as pivot (Hoare 1961): O(n) expected; on
 *                 hostile orders it falls back to sorting after ROUNDS_MAX rounds
 *   Spearman      Pearson correlation of mean ranks
 *   Hill (1975)   alpha = k / sum_{i<=k} ln(x_(i) / x_(k+1)), x_(1) the largest: the tail falls
 *                 like x^-alpha. Biased upwards for light tails, hence the cap; ties at the
 *                 threshold give infinity, i.e. the cap.
 *
 * Reference values: tests/unit/algo, computed with Python's statistics module and plain formulas.
 */
#include "algo/stats.h"

#include <math.h>
#include <stdlib.h>

enum { ROUNDS_MAX = 128 };

static int double_cmp(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void stats_sort(double *v, size_t n) {
    if (n > 1) qsort(v, n, sizeof(double), double_cmp);
}

static void swap(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

/* k-th smallest; afterwards v[0..k) <= v[k] <= v(k..n). */
static double select_kth(double *v, size_t n, size_t k) {
    size_t from = 0, to = n, rounds = 0;
    while (to - from > 8) {
        if (++rounds > ROUNDS_MAX) break;
        size_t mid = from + (to - from) / 2;
        if (v[mid] < v[from]) swap(&v[mid], &v[from]);
        if (v[to - 1] < v[from]) swap(&v[to - 1], &v[from]);
        if (v[to - 1] < v[mid]) swap(&v[to - 1], &v[mid]);
        double pivot = v[mid];
        size_t i = from, j = to - 1;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i <= j) {
                swap(&v[i++], &v[j]);
                if (j == 0) break;
                j--;
            }
        }
        if (k <= j)
            to = j + 1;
        else if (k >= i)
            from = i;
        else
            return v[k];
    }
    stats_sort(v + from, to - from);
    return v[k];
}

double stats_median(double *work, size_t n) {
    MUST(n > 0);
    double high = select_kth(work, n, n / 2);
    if (n % 2) return high;
    double low = work[0];
    for (size_t i = 1; i < n / 2; i++) low = work[i] > low ? work[i] : low;
    return low + (high - low) / 2;
}

/* Mean ranks of x into rank; sorted: n doubles of workspace. */
static void mean_ranks(const double *x, size_t n, double *rank, double *sorted) {
    memcpy(sorted, x, n * sizeof(double));
    stats_sort(sorted, n);
    for (size_t i = 0; i < n; i++) {
        size_t a = 0, b = n; /* first position not below x[i] */
        while (a < b) {
            size_t m = a + (b - a) / 2;
            if (sorted[m] < x[i])
                a = m + 1;
            else
                b = m;
        }
        size_t first = a;
        b = n;
        while (a < b) {
            size_t m = a + (b - a) / 2;
            if (sorted[m] <= x[i])
                a = m + 1;
            else
                b = m;
        }
        rank[i] = ((double)first + (double)a - 1) / 2;
    }
}

double stats_spearman(const double *x, const double *y, size_t n, double *work) {
    if (n < 2) return 0;
    double *rx = work, *ry = work + n;
    mean_ranks(x, n, rx, work + 2 * n);
    mean_ranks(y, n, ry, work + 3 * n);
    double mean = ((double)n - 1) / 2, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (rx[i] - mean) * (rx[i] - mean);
        yy += (ry[i] - mean) * (ry[i] - mean);
        xy += (rx[i] - mean) * (ry[i] - mean);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

double stats_hill(const double *sorted, size_t n, size_t k, double cap) {
    MUST(k >= 1 && k < n);
    double threshold = sorted[n - 1 - k], sum = 0;
    MUST(threshold > 0);
    for (size_t i = 0; i < k; i++) sum += log(sorted[n - 1 - i] / threshold);
    double alpha = sum > 0 ? (double)k / sum : cap;
    return alpha < cap ? alpha : cap;
}
