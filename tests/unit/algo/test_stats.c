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
    near(stats_mad(v, N, 1.012), 0.6049008);
    memcpy(v, sample, sizeof(v));
    stats_sort(v, N);
    near(stats_quantile_sorted(v, N, 0.05), 0.417);
    near(stats_quantile_sorted(v, N, 0.95), 5.156);
    near(stats_quantile_sorted(v, N, 1), 15.44);
    stats_fences f;
    stats_tukey(v, N, 1.5, &f);
    near(f.q1, 0.604);
    near(f.q3, 1.37);
    near(f.high, 1.37 + 1.5 * (1.37 - 0.604));
    near(stats_hill(v, N, 5, 100), 1.0916921474706844);
    near(stats_hill(v, N, 5, 1), 1);
    for (int i = 0; i < N; i++) w[i] = sample[i] * sample[i] - 3 * sample[i];
    near(stats_spearman(sample, w, N, work), -0.44935064935064933);
    near(stats_autocorrelation(sample, N, 2), -0.017977865971386005);
    uint64_t counts[] = {3, 0, 5, 2};
    near(stats_entropy(counts, 4), 1.4854752972273344);
}

static void moments_merge_is_union(void **state) {
    (void)state;
    stats_moments all = {0}, a = {0}, b = {0};
    for (int i = 0; i < N; i++) {
        stats_moments_add(&all, sample[i]);
        stats_moments_add(i % 3 ? &a : &b, sample[i]);
    }
    near(all.mean, 1.8682380952380953);
    near(stats_variance(&all), 10.70682449047619);
    stats_moments_merge(&a, &b);
    near(a.mean, all.mean);
    near(stats_variance(&a), stats_variance(&all));
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
        near(stats_median(v, n), stats_quantile_sorted(sorted, n, 0.5));
    }
}

/* Best partition by trying all 2^(n-1) of them. */
static double brute_force(const double *v, size_t n, double penalty, uint32_t *ret_mask) {
    double best = HUGE_VAL;
    for (uint32_t mask = 0; mask < 1u << (n - 1); mask++) {
        double cost = 0;
        size_t from = 0;
        for (size_t i = 1; i <= n; i++) {
            if (i < n && !(mask >> (i - 1) & 1)) continue;
            double s = 0, len = (double)(i - from);
            for (size_t k = from; k < i; k++) s += v[k];
            cost += penalty - (s > 0 ? s * (log(s / len) - 1) : 0);
            from = i;
        }
        if (cost < best - 1e-9) {
            best = cost;
            *ret_mask = mask;
        }
    }
    return best;
}

static void pelt_is_the_optimal_partition(void **state) {
    (void)state;
    rng r;
    rng_init(&r, 21);
    for (int round = 0; round < 60; round++) {
        double v[11];
        size_t n = 2 + rng_below(&r, 10);
        double level = 5;
        for (size_t i = 0; i < n; i++) {
            if (rng_below(&r, 4) == 0) level = (double)rng_below(&r, 40);
            v[i] = (double)rng_below(&r, (uint64_t)level + 2);
        }
        size_t starts[16];
        uint32_t mask = 0, got = 0;
        brute_force(v, n, 2.0, &mask);
        size_t count = changepoint_counts(v, n, 2.0, starts, 16);
        for (size_t i = 1; i < count; i++) got |= 1u << (starts[i] - 1);
        assert_int_equal(got, mask);
    }
}

static void change_points_are_where_the_rate_steps(void **state) {
    (void)state;
    double v[60], m[60];
    for (size_t i = 0; i < 60; i++) {
        v[i] = i < 37 ? 4 + (double)(i % 3) : 30 + (double)(i % 5);
        m[i] = i < 20 ? 1 + 0.1 * (double)(i % 2) : i < 45 ? 3 : 2;
    }
    size_t starts[8];
    assert_int_equal(changepoint_counts(v, 60, 0, starts, 8), 2);
    assert_int_equal(starts[1], 37);
    double gain;
    assert_int_equal(changepoint_split_counts(v, 60, &gain), 37);
    assert_true(gain > 100);
    assert_int_equal(changepoint_mean(m, 60, 0.01, 0, starts, 8), 3);
    assert_int_equal(starts[1], 20);
    assert_int_equal(starts[2], 45);
    cusum c;
    cusum_init(&c, 10);
    size_t alarm = 0;
    for (size_t i = 0; i < 60 && !alarm; i++) {
        if (cusum_add(&c, v[i]) > 50) alarm = i;
    }
    assert_int_equal(c.start, 37);
    assert_int_equal(alarm, 39);
}

static void multiple_tests(void **state) {
    (void)state;
    near(multiple_bits_needed(1024, 0.5), 11);
    near(multiple_bits_needed(0.1, 0.5), 0);
    double bits[] = {20, 9.9, 6.7, 6.6, 1};
    /* of 100 tests, q = .05: k-th needs log2(2000 / k) = 10.97, 9.97, 9.38 ... */
    assert_int_equal(multiple_bh(bits, 5, 100, 0.05), 1);
    /* q = .5: 7.64, 6.64, 6.06, 5.64, 5.32 */
    assert_int_equal(multiple_bh(bits, 5, 100, 0.5), 4);
    near(good_turing_new(0, 0, 99), 0.005);
    near(good_turing_new(4, 2, 100), (4 + sqrt(4 * 0.96 + 4)) / 100);
    near(good_turing_unseen(10, 4), 9);
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
        cmocka_unit_test(moments_merge_is_union),
        cmocka_unit_test(median_is_the_middle_of_any_order),
        cmocka_unit_test(pelt_is_the_optimal_partition),
        cmocka_unit_test(change_points_are_where_the_rate_steps),
        cmocka_unit_test(multiple_tests),
        cmocka_unit_test(bins_hold_their_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
