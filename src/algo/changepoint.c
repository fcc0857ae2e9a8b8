/* changepoint.c - change points of counts and of a mean.
 *
 * Model: segments of constant parameter; cost of a segment = -2 max log likelihood / 2:
 *   counts  c = -S (ln(S / L) - 1)      S sum, L length (terms without the parameter dropped;
 *                                        0 for S = 0)
 *   mean    c = (Q - S^2 / L) / (2 var) Q sum of squares
 * Minimised is sum of costs + penalty * segments. PELT (Killick, Fearnhead, Eckley, JASA 107,
 * 2012): F(t) = min over s in R_t of F(s) + c(s, t) + penalty;  s leaves R when F(s) + c(s, t) >
 * F(t). Exact; O(n) expected when changes are spread, O(n^2) at worst: n is at most a few thousand
 * buckets here. Memory 5 n doubles from the heap.
 * The penalty 3 ln n is three times the BIC's share per change point (position and rate):
 * conservative because log counts are overdispersed; callers with a measured dispersion divide the
 * counts by it first.
 * Split: binary segmentation's single step (Scott, Knott 1974), O(n).
 * CUSUM: Page, Biometrika 41, 1954.
 * Reference values: optimal partitions by brute force over all partitions of short series. */
#include "algo/changepoint.h"

#include <math.h>

#include "base/mem.h"

typedef struct prefix {
    const double *sum, *squares; /* [i] = over the first i values; squares NULL for counts */
    double variance;
} prefix;

static double segment_cost(const prefix *p, size_t from, size_t to) {
    double len = (double)(to - from), s = p->sum[to] - p->sum[from];
    if (!p->squares) return s > 0 ? -s * (log(s / len) - 1) : 0;
    double q = p->squares[to] - p->squares[from] - s * s / len;
    return (q > 0 ? q : 0) / (2 * p->variance);
}

static size_t pelt(const prefix *p, size_t n, double penalty, double *best, size_t *from,
                   size_t *live, size_t *ret_starts, size_t max) {
    best[0] = -penalty;
    size_t live_count = 1;
    live[0] = 0;
    for (size_t t = 1; t <= n; t++) {
        double low = HUGE_VAL;
        for (size_t k = 0; k < live_count; k++) {
            double c = best[live[k]] + segment_cost(p, live[k], t) + penalty;
            if (c < low) {
                low = c;
                from[t] = live[k];
            }
        }
        best[t] = low;
        size_t kept = 0;
        for (size_t k = 0; k < live_count; k++) {
            if (best[live[k]] + segment_cost(p, live[k], t) <= low) live[kept++] = live[k];
        }
        live[kept++] = t;
        live_count = kept;
    }
    size_t count = 0;
    for (size_t t = n; t > 0; t = from[t]) count++;
    if (count > max) return count;
    size_t at = count;
    for (size_t t = n; t > 0; t = from[t]) ret_starts[--at] = from[t];
    return count;
}

static size_t segments(const double *v, size_t n, bool mean, double variance, double penalty,
                       size_t *ret_starts, size_t max) {
    MUST(n <= CHANGEPOINT_SERIES_MAX && max >= 1);
    if (n == 0) return 0;
    double *sum = mem_new_n(double, n + 1), *squares = mean ? mem_new_n(double, n + 1) : NULL;
    double *best = mem_new_n(double, n + 1);
    size_t *from = mem_new_n(size_t, n + 1), *live = mem_new_n(size_t, n + 2);
    for (size_t i = 0; i < n; i++) {
        MUST(mean || v[i] >= 0);
        sum[i + 1] = sum[i] + v[i];
        if (squares) squares[i + 1] = squares[i] + v[i] * v[i];
    }
    prefix p = {sum, squares, variance};
    if (penalty <= 0) penalty = 3 * log((double)n + 1);
    size_t count = pelt(&p, n, penalty, best, from, live, ret_starts, max);
    while (count > max) {
        penalty *= 2;
        count = pelt(&p, n, penalty, best, from, live, ret_starts, max);
    }
    mem_free(sum);
    mem_free(squares);
    mem_free(best);
    mem_free(from);
    mem_free(live);
    return count;
}

size_t changepoint_counts(const double *counts, size_t n, double penalty, size_t *ret_starts,
                          size_t max) {
    return segments(counts, n, false, 0, penalty, ret_starts, max);
}

size_t changepoint_mean(const double *v, size_t n, double variance, double penalty,
                        size_t *ret_starts, size_t max) {
    MUST(variance > 0);
    return segments(v, n, true, variance, penalty, ret_starts, max);
}

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

void cusum_init(cusum *c, double drift) { *c = (cusum){.drift = drift}; }

double cusum_add(cusum *c, double x) {
    c->s += x - c->drift;
    c->i++;
    if (c->s <= 0) {
        c->s = 0;
        c->start = c->i;
    }
    return c->s;
}
