/* tails.c - tail probabilities in log space.
 *
 *   binomial          P(X >= k) = I_p(k, n - k + 1)
 *   negative binomial size r = 1 / dispersion, y = mean / (mean + r)
 *                     P(X >= k) = I_y(k, r)             P(X <= k) = 1 - I_y(k + 1, r)
 *   normal            P(Z >= z) = erfc(z / sqrt 2) / 2; beyond z = 20 the asymptotic series
 *   G-test            G = 2 sum O ln(O / E) is chi-square with one degree of freedom, the square
 *                     of a normal: P = 2 P(Z >= sqrt G)
 *
 * I, the regularised incomplete beta: continued fraction (modified Lentz), on the side where it
 * converges fast, x < (a + 1) / (a + b + 2), else the mirrored one; the other tail is ln(1 - e^.),
 * taken only from the smaller one, so both keep their digits.
 *
 * Cost: O(sqrt(max(a, b))) steps at worst near the mode, a handful in the tails; STEPS_MAX bounds
 * the loop, enough for counts up to 1e9.
 * Caveat: the logarithms of gamma functions, of size a ln a, cancel: the absolute error is about
 * 1e-16 a ln a, 1e-8 bits for counts of ten millions.
 * Reference values: tests/unit/algo/test_tails.c, from exact sums of rationals in Python.
 *
 * Sources: Abramowitz and Stegun 26.2, 26.5; Press et al., Numerical Recipes, 3rd ed., 6.4 (Lentz's
 * method); Maechler, "Accurately computing log(1 - exp(-|a|))", 2012. */
#include "algo/tails.h"

#include <math.h>

enum { STEPS_MAX = 100000 };
#define TINY    1e-300
#define EPSILON 1e-15

static double lgam(double x) {
    int sign; /* always + here; lgamma() itself writes a global */
    return lgamma_r(x, &sign);
}

/* ln(1 - e^x) for x <= 0 without loss at either end (Maechler 2012). */
static double log1m_exp(double x) {
    if (x >= 0) return -HUGE_VAL;
    return x > -M_LN2 ? log(-expm1(x)) : log1p(-exp(x));
}

/* ln P(Z >= z). */
static double log_normal_tail(double z) {
    if (z < 20) return log(0.5 * erfc(z * M_SQRT1_2));
    double w = 1 / (z * z);
    return -0.5 * z * z - log(z) - 0.5 * log(2 * M_PI) + log1p(-w * (1 - 3 * w * (1 - 5 * w)));
}

static double beta_fraction(double a, double b, double x) {
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (fabs(d) < TINY) d = TINY;
    d = 1 / d;
    double h = d;
    for (int m = 1; m < STEPS_MAX; m++) {
        double aa = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + aa * d;
        if (fabs(d) < TINY) d = TINY;
        c = 1 + aa / c;
        if (fabs(c) < TINY) c = TINY;
        d = 1 / d;
        h *= d * c;
        aa = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + aa * d;
        if (fabs(d) < TINY) d = TINY;
        c = 1 + aa / c;
        if (fabs(c) < TINY) c = TINY;
        d = 1 / d;
        double del = d * c;
        h *= del;
        if (fabs(del - 1) < EPSILON) break;
    }
    return h;
}

/* y = 1 - x, given apart so that neither loses digits. */
static void log_beta(double a, double b, double x, double y, double *ret_i, double *ret_rest) {
    if (x <= 0 || y <= 0) {
        *ret_i = x <= 0 ? -HUGE_VAL : 0;
        *ret_rest = x <= 0 ? 0 : -HUGE_VAL;
        return;
    }
    double front = lgam(a + b) - lgam(a) - lgam(b) + a * log(x) + b * log(y);
    if (x < (a + 1) / (a + b + 2)) {
        double i = fmin(0, front + log(beta_fraction(a, b, x)) - log(a));
        *ret_i = i;
        *ret_rest = log1m_exp(i);
    } else {
        double r = fmin(0, front + log(beta_fraction(b, a, y)) - log(b));
        *ret_rest = r;
        *ret_i = log1m_exp(r);
    }
}

static double bits(double log_p) {
    double b = -log_p * M_LOG2E;
    return b > 0 ? fmin(b, TAIL_BITS_MAX) : 0; /* also turns -0 into 0 */
}

double tail_negbin_at_least(uint64_t k, double mean, double dispersion) {
    MUST(mean >= 0 && dispersion > 0);
    if (k == 0) return 0;
    double r = 1 / dispersion, i, rest;
    log_beta((double)k, r, mean / (mean + r), r / (mean + r), &i, &rest);
    return bits(i);
}

double tail_negbin_at_most(uint64_t k, double mean, double dispersion) {
    MUST(mean >= 0 && dispersion > 0);
    double r = 1 / dispersion, i, rest;
    log_beta((double)k + 1, r, mean / (mean + r), r / (mean + r), &i, &rest);
    return bits(rest);
}

double tail_binomial_at_least(uint64_t k, uint64_t n, double p) {
    MUST(p >= 0 && p <= 1);
    if (k == 0) return 0;
    if (k > n) return TAIL_BITS_MAX;
    double i, rest;
    log_beta((double)k, (double)(n - k) + 1, p, 1 - p, &i, &rest);
    return bits(i);
}

double tail_normal(double z) { return bits(log_normal_tail(z)); }

double tail_g_two_rates(uint64_t a, double exposure_a, uint64_t b, double exposure_b) {
    MUST(exposure_a > 0 && exposure_b > 0);
    double n = (double)a + (double)b, all = exposure_a + exposure_b, g = 0;
    if (n == 0) return 0;
    if (a) g += (double)a * log((double)a * all / (n * exposure_a));
    if (b) g += (double)b * log((double)b * all / (n * exposure_b));
    if (g <= 0) return 0;
    return bits(M_LN2 + log_normal_tail(sqrt(2 * g)));
}
