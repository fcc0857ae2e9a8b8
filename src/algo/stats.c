/* stats.c - robust statistics.
 *
 *   median, quantile   order statistics; type 7 of Hyndman and Fan (1996): h = (n-1) q,
 *                      v[floor h] + (h - floor h) (v[floor h + 1] - v[floor h])
 *   MAD                1.4826 med |x - center|; breakdown point 50%
 *   Tukey              [Q1 - k IQR, Q3 + k IQR] (Exploratory Data Analysis, 1977)
 *   moments            Welford (1962); merge: Chan, Golub, LeVeque (1979)
 *   autocorrelation    sum (x_t - m)(x_{t+lag} - m) / sum (x_t - m)^2
 *   Spearman           Pearson correlation of mean ranks
 *   entropy            -sum p log2 p
 *   Hill (1975)        alpha = k / sum_{i<=k} ln(x_(i) / x_(k+1)), x_(1) the largest: the tail
 * falls like x^-alpha. Biased upwards for light tails, hence the cap; ties at the threshold give
 * infinity, i.e. the cap.
 *
 * Median is quickselect with the middle of three as pivot (Hoare 1961): O(n) expected; on hostile
 * orders it falls back to sorting after 2 log2 n bad rounds.
 * Reference values: tests/unit/algo, computed with Python's statistics module and plain formulas.
 */
#include "algo/stats.h"

#include <math.h>
#include <stdlib.h>

static int double_cmp(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void stats_sort(double *v, size_t n) {
    if (n > 1) qsort(v, n, sizeof(double), double_cmp);
}

double stats_quantile_sorted(const double *v, size_t n, double q) {
    MUST(n > 0 && q >= 0 && q <= 1);
    double h = (double)(n - 1) * q;
    size_t i = (size_t)h;
    if (i + 1 >= n) return v[n - 1];
    double part = h - (double)i;
    return part == 0 ? v[i] : v[i] + part * (v[i + 1] - v[i]);
}

static void swap(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

/* k-th smallest; afterwards v[0..k) <= v[k] <= v(k..n). */
static double select_kth(double *v, size_t n, size_t k) {
    size_t from = 0, to = n, rounds = 0, limit = 2 * (size_t)(8 * sizeof(size_t));
    while (to - from > 8) {
        if (++rounds > limit) break;
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

double stats_mad(double *work, size_t n, double center) {
    for (size_t i = 0; i < n; i++) work[i] = fabs(work[i] - center);
    return 1.4826 * stats_median(work, n);
}

void stats_tukey(const double *v, size_t n, double k, stats_fences *ret) {
    ret->q1 = stats_quantile_sorted(v, n, 0.25);
    ret->median = stats_quantile_sorted(v, n, 0.5);
    ret->q3 = stats_quantile_sorted(v, n, 0.75);
    ret->low = ret->q1 - k * (ret->q3 - ret->q1);
    ret->high = ret->q3 + k * (ret->q3 - ret->q1);
}

void stats_moments_add(stats_moments *m, double x) {
    m->n += 1;
    double d = x - m->mean;
    m->mean += d / m->n;
    m->m2 += d * (x - m->mean);
}

void stats_moments_merge(stats_moments *into, const stats_moments *from) {
    if (from->n == 0) return;
    double n = into->n + from->n, d = from->mean - into->mean;
    into->m2 += from->m2 + d * d * into->n * from->n / n;
    into->mean += d * from->n / n;
    into->n = n;
}

double stats_variance(const stats_moments *m) { return m->n < 2 ? 0 : m->m2 / (m->n - 1); }

double stats_autocorrelation(const double *v, size_t n, size_t lag) {
    if (lag >= n) return 0;
    double mean = 0, all = 0, lagged = 0;
    for (size_t i = 0; i < n; i++) mean += v[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
        all += (v[i] - mean) * (v[i] - mean);
        if (i + lag < n) lagged += (v[i] - mean) * (v[i + lag] - mean);
    }
    return all > 0 ? lagged / all : 0;
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

double stats_entropy(const uint64_t *counts, size_t n) {
    double total = 0, h = 0;
    for (size_t i = 0; i < n; i++) total += (double)counts[i];
    for (size_t i = 0; i < n; i++) {
        if (!counts[i]) continue;
        double p = (double)counts[i] / total;
        h -= p * log2(p);
    }
    return h > 0 ? h : 0;
}

double stats_hill(const double *sorted, size_t n, size_t k, double cap) {
    MUST(k >= 1 && k < n);
    double threshold = sorted[n - 1 - k], sum = 0;
    MUST(threshold > 0);
    for (size_t i = 0; i < k; i++) sum += log(sorted[n - 1 - i] / threshold);
    double alpha = sum > 0 ? (double)k / sum : cap;
    return alpha < cap ? alpha : cap;
}
