/* range.c - functions over the samples of one series within one range.
 *
 * rate, increase and delta extrapolate to the edges of the range as Prometheus does: by at most
 * half an average interval beyond the first and last sample (all the way when they are within 1.1
 * intervals of the edge), and a counter not below zero. Sums are compensated (Kahan, Neumaier), so
 * that long ranges lose nothing. Source: Prometheus promql/functions.go (extrapolatedRate,
 * instantValue, linearRegression), promql/quantile.go. */
#include "query/eval_int.h"

#include <math.h>
#include <stdlib.h>

typedef struct kahan {
    double sum, rest;
} kahan;

static void kahan_add(kahan *k, double v) {
    double t = k->sum + v;
    if (isinf(t)) {
        k->rest = 0;
    } else if (fabs(k->sum) >= fabs(v)) {
        k->rest += (k->sum - t) + v;
    } else {
        k->rest += (v - t) + k->sum;
    }
    k->sum = t;
}
static double kahan_total(const kahan *k) { return isinf(k->sum) ? k->sum : k->sum + k->rest; }

static double sum_of(const double *v, size_t n) {
    kahan k = {0};
    for (size_t i = 0; i < n; i++) kahan_add(&k, v[i]);
    return kahan_total(&k);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x)) return isnan(y) ? 0 : -1;
    if (isnan(y)) return 1;
    return x < y ? -1 : x > y;
}

double quantile_of(double q, double *v, size_t count) {
    if (count == 0 || isnan(q)) return (double)NAN;
    if (q < 0) return (double)-INFINITY;
    if (q > 1) return (double)INFINITY;
    qsort(v, count, sizeof(*v), by_value);
    double rank = q * (double)(count - 1);
    size_t low = (size_t)MAX(0, floor(rank));
    size_t high = MIN(count - 1, low + 1);
    double weight = rank - floor(rank);
    return v[low] * (1 - weight) + v[high] * weight;
}

static double variance(const double *v, size_t n) {
    double mean = 0, squares = 0; /* Welford */
    for (size_t i = 0; i < n; i++) {
        double d = v[i] - mean;
        mean += d / (double)(i + 1);
        squares += d * (v[i] - mean);
    }
    return squares / (double)n;
}

static double average(const double *v, size_t n) {
    double sum = sum_of(v, n);
    if (!isinf(sum)) return sum / (double)n;
    double mean = 0; /* the sum does not fit: incremental */
    for (size_t i = 0; i < n; i++) {
        if (isinf(mean) && isinf(v[i]) && (mean > 0) == (v[i] > 0)) continue;
        if (isinf(mean) && isfinite(v[i])) continue;
        mean += v[i] / (double)(i + 1) - mean / (double)(i + 1);
    }
    return mean;
}

static double extrapolated(const int64_t *ts, const double *v, size_t n, int64_t start, int64_t end,
                           bool counter, bool rate) {
    if (n < 2) return absent();
    double change = v[n - 1] - v[0];
    for (size_t i = 1; counter && i < n; i++) {
        if (v[i] < v[i - 1]) change += v[i - 1];
    }
    double to_start = (double)(ts[0] - start) / 1e9, to_end = (double)(end - ts[n - 1]) / 1e9;
    double sampled = (double)(ts[n - 1] - ts[0]) / 1e9;
    double average_gap = sampled / (double)(n - 1);
    double threshold = average_gap * 1.1;
    if (to_start >= threshold) to_start = average_gap / 2;
    if (counter && change > 0 && v[0] >= 0) {
        double to_zero = sampled * (v[0] / change);
        if (to_zero < to_start) to_start = to_zero;
    }
    if (to_end >= threshold) to_end = average_gap / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    if (rate) factor /= (double)(end - start) / 1e9;
    return change * factor;
}

static double instant_change(const int64_t *ts, const double *v, size_t n, bool rate) {
    if (n < 2) return absent();
    double change = v[n - 1] - v[n - 2];
    if (rate && v[n - 1] < v[n - 2]) change = v[n - 1]; /* a reset */
    int64_t gap = ts[n - 1] - ts[n - 2];
    if (gap <= 0) return absent();
    return rate ? change / ((double)gap / 1e9) : change;
}

/* Least squares; x in seconds relative to `at`. */
static void regression(const int64_t *ts, const double *v, size_t n, int64_t at, double *ret_slope,
                       double *ret_value) {
    kahan x = {0}, y = {0}, xy = {0}, xx = {0};
    bool constant = true;
    for (size_t i = 0; i < n; i++) {
        if (v[i] != v[0]) constant = false;
        double t = (double)(ts[i] - at) / 1e9;
        kahan_add(&x, t);
        kahan_add(&y, v[i]);
        kahan_add(&xy, t * v[i]);
        kahan_add(&xx, t * t);
    }
    if (constant) {
        *ret_slope = isinf(v[0]) ? (double)NAN : 0;
        *ret_value = isinf(v[0]) ? (double)NAN : v[0];
        return;
    }
    double count = (double)n, sx = kahan_total(&x), sy = kahan_total(&y);
    double cov = kahan_total(&xy) - sx * sy / count, var = kahan_total(&xx) - sx * sx / count;
    *ret_slope = cov / var;
    *ret_value = sy / count - *ret_slope * sx / count;
}

bool range_keeps_name(range_fn fn) { return fn == RANGE_LAST || fn == RANGE_FIRST; }

static size_t first_after(const samples *s, int64_t t) {
    size_t lo = 0, hi = s->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->ts_ns[mid] > t) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

double range_value(range_fn fn, const samples *s, int64_t start, int64_t end, double param,
                   double *scratch) {
    size_t from = first_after(s, start), to = first_after(s, end);
    size_t n = to - from;
    if (n == 0) return absent();
    const int64_t *ts = s->ts_ns + from;
    const double *v = s->val + from;
    double seconds = (double)(end - start) / 1e9, slope, at, best;
    size_t count = 0;
    switch (fn) {
    case RANGE_RATE:
    case RANGE_RATE_COUNTER:
        return extrapolated(ts, v, n, start, end, true, true);
    case RANGE_INCREASE:
        return extrapolated(ts, v, n, start, end, true, false);
    case RANGE_DELTA:
        return extrapolated(ts, v, n, start, end, false, false);
    case RANGE_IRATE:
        return instant_change(ts, v, n, true);
    case RANGE_IDELTA:
        return instant_change(ts, v, n, false);
    case RANGE_AVG:
        return average(v, n);
    case RANGE_SUM:
        return sum_of(v, n);
    case RANGE_LOG_RATE:
        return sum_of(v, n) / seconds;
    case RANGE_MIN:
    case RANGE_MAX:
        best = v[0];
        for (size_t i = 1; i < n; i++) {
            if (isnan(best) || (fn == RANGE_MIN ? v[i] < best : v[i] > best)) best = v[i];
        }
        return best;
    case RANGE_COUNT:
        return (double)n;
    case RANGE_LAST:
        return v[n - 1];
    case RANGE_FIRST:
        return v[0];
    case RANGE_STDVAR:
        return variance(v, n);
    case RANGE_STDDEV:
        return sqrt(variance(v, n));
    case RANGE_QUANTILE:
        memcpy(scratch, v, n * sizeof(double));
        return quantile_of(param, scratch, n);
    case RANGE_PRESENT:
        return 1;
    case RANGE_CHANGES:
    case RANGE_RESETS:
        for (size_t i = 1; i < n; i++) {
            bool differs = v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
            count += fn == RANGE_CHANGES ? differs : v[i] < v[i - 1];
        }
        return (double)count;
    case RANGE_DERIV:
        if (n < 2) return absent();
        regression(ts, v, n, ts[0], &slope, &at);
        return slope;
    case RANGE_PREDICT_LINEAR:
        if (n < 2) return absent();
        regression(ts, v, n, end, &slope, &at);
        return at + slope * param;
    case RANGE_NONE:
    case RANGE_ABSENT:
    case RANGE_BYTES:
    case RANGE_BYTES_RATE:
        break;
    }
    MUST(!"a function over samples");
    return absent();
}
