/* Reference values: Python's statistics module and the plain formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "algo/changepoint.h"
#include "algo/logbins.h"
#include "algo/multiple.h"
#include "algo/stats.h"
#include "base/rng.h"

static const double sample[] = {0.604, 0.81,  0.289, 1.794, 1.091, 0.534, 1.895,
                                0.417, 15.44, 1.739, 1.012, 0.951, 1.124, 5.156,
                                1.025, 1.347, 0.433, 0.445, 0.928, 0.829, 1.37};
enum { N = sizeof(sample) / sizeof(sample[0]) };

static void near(double got, double want) {
    if (fabs(got - want) > 1e-12 * (1 + fabs(want)))
        print_error("got %.15g want %.15g\n", got, want);
    assert_true(fabs(got - want) <= 1e-12 * (1 + fabs(want)));
}

static void order_statistics_match(void **state) {
    (void)state;
    double v[N], work[4 * N], w[N];
    memcpy(v, sample, sizeof(v));
    near(stats_median(v, N), 1.012);
    memcpy(v, sample, sizeof(v));
    stats_sort(v, N);
    near(v[0], 0.289);
    near(v[N - 1], 15.44);
    near(stats_hill(v, N, 5, 100), 1.0916921474706844);
    near(stats_hill(v, N, 5, 1), 1);
    for (int i = 0; i < N; i++) w[i] = sample[i] * sample[i] - 3 * sample[i];
    near(stats_spearman(sample, w, N, work), -0.44935064935064933);
}

static void median_is_the_middle_of_any_order(void **state) {
    (void)state;
    rng r;
    rng_init(&r, 3);
    for (int round = 0; round < 300; round++) {
        double v[101], sorted[101];
        size_t n = 1 + rng_below(&r, 101);
        for (size_t i = 0; i < n; i++) v[i] = (double)rng_below(&r, 1 + rng_below(&r, 60));
        memcpy(sorted, v, n * sizeof(double));
        stats_sort(sorted, n);
        near(stats_median(v, n), (sorted[(n - 1) / 2] + sorted[n / 2]) / 2);
    }
}

static void the_split_is_where_the_rate_steps(void **state) {
    (void)state;
    double v[60], gain;
    for (size_t i = 0; i < 60; i++) v[i] = i < 37 ? 4 + (double)(i % 3) : 30 + (double)(i % 5);
    assert_int_equal(changepoint_split_counts(v, 60, &gain), 37);
    /* sums 184 of 37, 739 of 23, 923 of 60 */
    near(gain, 184 * log(184 / 37.0) + 739 * log(739 / 23.0) - 923 * log(923 / 60.0));
    assert_int_equal(changepoint_split_counts(v, 1, &gain), 0);
    assert_true(gain == 0);
    double flat[5] = {3, 3, 3, 3, 3}, none[4] = {0};
    changepoint_split_counts(flat, 5, &gain);
    assert_true(gain < 1e-12);
    changepoint_split_counts(none, 4, &gain);
    assert_true(gain == 0);
}

static void multiple_tests(void **state) {
    (void)state;
    near(multiple_bits_needed(1024, 0.5), 11);
    near(multiple_bits_needed(0.1, 0.5), 0);
}

static void bins_hold_their_values(void **state) {
    (void)state;
    rng r;
    rng_init(&r, 8);
    int before = LOGBINS_NONE;
    for (double v = 1e-3; v < 1e30; v *= 1.01) {
        int bin = logbins_bin(v);
        assert_true(bin >= before);
        before = bin;
        assert_true(fabs(logbins_value((unsigned)bin) / v - 1) <= 1.0 / 16 + 1e-12);
    }
    assert_int_equal(logbins_bin(0), LOGBINS_NONE);
    assert_int_equal(logbins_bin(-3), LOGBINS_NONE);
    assert_int_equal(logbins_bin(nan("")), LOGBINS_NONE);
    assert_int_equal(logbins_bin(1e-300), 0);
    assert_int_equal(logbins_bin(HUGE_VAL), LOGBINS - 1);
    for (int round = 0; round < 50; round++) {
        double v[301];
        uint32_t counts[LOGBINS] = {0};
        uint64_t low = 0;
        size_t n = 1 + rng_below(&r, 301);
        for (size_t i = 0; i < n; i++) {
            v[i] = rng_below(&r, 10) ? fmax(0.002, exp(3 * rng_normal(&r))) : 0;
            if (v[i] > 0)
                counts[logbins_bin(v[i])]++;
            else
                low++;
        }
        stats_sort(v, n);
        for (double q = 0; q <= 1; q += 0.125) {
            /* the order statistic at or above q (n - 1) */
            double exact = v[(size_t)(q * (double)(n - 1))];
            double got = logbins_quantile(counts, LOGBINS, 0, low, q);
            assert_true(exact > 0 ? fabs(got / exact - 1) <= 1.0 / 16 + 1e-12 : got <= 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_statistics_match),
        cmocka_unit_test(median_is_the_middle_of_any_order),
        cmocka_unit_test(the_split_is_where_the_rate_steps),
        cmocka_unit_test(multiple_tests),
        cmocka_unit_test(bins_hold_their_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
