/* tails.c - tail probabilities in log space.
 *
 *   Poisson           P(X >= k) = P(k, mean)               P(X <= k) = Q(k + 1, mean)
 *   binomial          P(X >= k) = I_p(k, n - k + 1)
 *   negative binomial size r = 1 / dispersion, P(X >= k) = I_y(k, r), y = mean / (mean + r)
 *   chi-square        P(X >= x) = Q(df / 2, x / 2)
 *   normal            P(Z >= z) = erfc(z / sqrt 2) / 2; beyond z = 20 the asymptotic series
 *
 * P, Q: regularised incomplete gamma. x < a + 1: the series
 *       ln P = a ln x - x - lnGamma(a + 1) + ln sum_{n>=0} x^n / ((a+1)..(a+n));
 *       else Legendre's continued fraction for Q (modified Lentz). The other of the two is
 *       ln(1 - e^.), taken only from the smaller one, so both keep their digits.
 *       a > 1e6: Temme's uniform expansion, first correction term (relative error about 1 / a).
 * I:    continued fraction (modified Lentz), on the side where it converges fast,
 *       x < (a + 1) / (a + b + 2), else the mirrored one.
 *
 * Cost: O(sqrt(max(a, b))) steps at worst near the mode, a handful in the tails. STEPS_MAX bounds
 * the loops; at the arguments allowed it is never what ends them (a <= 1e6; for beta the larger of
 * a, b is bounded by falling back to the Poisson or normal limit above 1e8).
 * Caveat: ln x terms of size 1e7 cancel at a = 1e6; absolute error of the result about 1e-8 bits.
 * Reference values: tests/unit/algo/test_tails.c, from exact sums of rationals in Python.
 *
 * Sources: Abramowitz and Stegun 6.5, 26.4, 26.5; Press et al., Numerical Recipes, 3rd ed., 6.2
 * and 6.4 (Lentz's method); Temme, "The asymptotic expansion of the incomplete gamma functions",
 * SIAM J. Math. Anal. 10 (1979). */
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

/* Temme: Q = erfc(eta sqrt(a/2)) / 2 + R, eta^2 / 2 = mu - ln(1 + mu), mu = x / a - 1. */
static void log_gamma_large(double a, double x, double *ret_p, double *ret_q) {
    double mu = x / a - 1, half = mu - log1p(mu);
    if (fabs(mu) < 1e-4) half = mu * mu * (0.5 - mu / 3 + mu * mu / 4);
    double eta = copysign(sqrt(2 * half), mu);
    double z = eta * sqrt(a);
    /* The correction 1/mu - 1/eta tends to -1/3 at the centre. */
    double c = fabs(mu) < 1e-4 ? -1.0 / 3 + mu / 12 : 1 / mu - 1 / eta;
    double density = -0.5 * a * eta * eta - 0.5 * log(2 * M_PI * a);
    double sign = z >= 0 ? 1 : -1; /* the smaller tail is computed, the other follows */
    double tail = log_normal_tail(fabs(z));
    double factor = 1 + sign * c * exp(density - tail);
    double small = tail + (factor > 0 ? log(factor) : 0);
    *ret_q = z >= 0 ? small : log1m_exp(small);
    *ret_p = z >= 0 ? log1m_exp(small) : small;
}

void tail_log_gamma_pq(double a, double x, double *ret_log_p, double *ret_log_q) {
    MUST(a > 0 && x >= 0);
    if (x == 0) {
        *ret_log_p = -HUGE_VAL;
        *ret_log_q = 0;
        return;
    }
    if (a > 1e6) {
        log_gamma_large(a, x, ret_log_p, ret_log_q);
        return;
    }
    double front = a * log(x) - x;
    if (x < a + 1) {
        double sum = 1, term = 1;
        for (int n = 1; n < STEPS_MAX && term > sum * EPSILON; n++) {
            term *= x / (a + n);
            sum += term;
        }
        double p = fmin(0, front - lgam(a + 1) + log(sum));
        *ret_log_p = p;
        *ret_log_q = log1m_exp(p);
    } else {
        double b = x + 1 - a, c = 1 / TINY, d = 1 / b, h = d;
        for (int i = 1; i < STEPS_MAX; i++) {
            double an = -i * (i - a);
            b += 2;
            d = an * d + b;
            if (fabs(d) < TINY) d = TINY;
            c = b + an / c;
            if (fabs(c) < TINY) c = TINY;
            d = 1 / d;
            double del = d * c;
            h *= del;
            if (fabs(del - 1) < EPSILON) break;
        }
        double q = fmin(0, front - lgam(a) + log(h));
        *ret_log_q = q;
        *ret_log_p = log1m_exp(q);
    }
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

void tail_log_beta(double a, double b, double x, double *ret_log_i, double *ret_log_rest) {
    MUST(a > 0 && b > 0 && x >= 0 && x <= 1);
    log_beta(a, b, x, 1 - x, ret_log_i, ret_log_rest);
}

static double bits(double log_p) {
    double b = -log_p * M_LOG2E;
    return b > 0 ? fmin(b, TAIL_BITS_MAX) : 0; /* also turns -0 into 0 */
}

double tail_poisson_at_least(uint64_t k, double mean) {
    MUST(mean >= 0);
    if (k == 0) return 0;
    double p, q;
    tail_log_gamma_pq((double)k, mean, &p, &q);
    return bits(p);
}

double tail_poisson_at_most(uint64_t k, double mean) {
    MUST(mean >= 0);
    double p, q;
    tail_log_gamma_pq((double)k + 1, mean, &p, &q);
    return bits(q);
}

double tail_negbin_at_least(uint64_t k, double mean, double dispersion) {
    MUST(mean >= 0 && dispersion >= 0);
    if (k == 0) return 0;
    if (dispersion < 1e-8) return tail_poisson_at_least(k, mean);
    double r = 1 / dispersion, i, rest;
    log_beta((double)k, r, mean / (mean + r), r / (mean + r), &i, &rest);
    return bits(i);
}

double tail_negbin_at_most(uint64_t k, double mean, double dispersion) {
    MUST(mean >= 0 && dispersion >= 0);
    if (dispersion < 1e-8) return tail_poisson_at_most(k, mean);
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

double tail_binomial_at_most(uint64_t k, uint64_t n, double p) {
    MUST(p >= 0 && p <= 1);
    if (k >= n) return 0;
    double i, rest;
    log_beta((double)k + 1, (double)(n - k), p, 1 - p, &i, &rest);
    return bits(rest);
}

double tail_chi_square(double x, double df) {
    MUST(df > 0);
    if (x <= 0) return 0;
    double p, q;
    tail_log_gamma_pq(df / 2, x / 2, &p, &q);
    return bits(q);
}

double tail_normal(double z) { return bits(log_normal_tail(z)); }

double tail_g_two_rates(uint64_t a, double exposure_a, uint64_t b, double exposure_b) {
    MUST(exposure_a > 0 && exposure_b > 0);
    double n = (double)a + (double)b, all = exposure_a + exposure_b, g = 0;
    if (n == 0) return 0;
    if (a) g += (double)a * log((double)a * all / (n * exposure_a));
    if (b) g += (double)b * log((double)b * all / (n * exposure_b));
    return tail_chi_square(2 * g, 1);
}
