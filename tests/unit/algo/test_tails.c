/* Reference values: exact or 60-digit sums of the probability mass functions, and for the normal
 * the continued fraction of Mills' ratio, in Python's decimal and fractions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "algo/tails.h"
#include "base/rng.h"

static void near(double got, double want) {
    double tolerance = 1e-9 + 1e-9 * fabs(want);
    if (!(fabs(got - want) <= tolerance)) print_error("got %.12g, want %.12g\n", got, want);
    assert_true(fabs(got - want) <= tolerance);
}

static void negative_binomial_matches_exact_sums(void **state) {
    (void)state;
    near(tail_negbin_at_least(10, 2.0, 0.5), 7.41503749928);
    near(tail_negbin_at_least(100, 10.0, 1.0), 13.750352375);
    near(tail_negbin_at_least(1000, 10.0, 0.1), 937.699341121);
    near(tail_negbin_at_least(40, 30.0, 2.0), 1.99050592379);
    near(tail_negbin_at_least(500, 50.0, 0.01), 467.331572739);
    near(tail_negbin_at_most(0, 20.0, 0.2), 11.6096404744);
    near(tail_negbin_at_most(10, 100.0, 0.1), 18.3389900375);
    near(tail_negbin_at_most(0, 1000.0, 0.05), 113.448506839);
}

static void binomial_matches_exact_sums(void **state) {
    (void)state;
    near(tail_binomial_at_least(9, 10, 0.5), 6.54056838136);
    near(tail_binomial_at_least(50, 1000, 0.01), 63.3843435117);
    near(tail_binomial_at_least(990, 1000, 0.5), 922.183729283);
    assert_true(tail_binomial_at_least(0, 10, 0.1) == 0);
    assert_true(tail_binomial_at_least(11, 10, 0.1) == TAIL_BITS_MAX);
}

static void normal_and_g_test_match(void **state) {
    (void)state;
    near(tail_normal(1.0), 2.65603279742);
    near(tail_normal(3.0), 9.53293385132);
    near(tail_normal(10.0), 76.7965111068);
    near(tail_normal(19.9), 291.304896522);
    near(tail_normal(20.1), 297.090032503);
    near(tail_normal(100.0), 7221.44495293);
    near(tail_g_two_rates(50, 1, 20, 1), 11.866323839432264);
    assert_true(tail_g_two_rates(0, 1, 0, 1) == 0);
}

/* Counts up to 1e9 against means over the same range: finite, and rising with the count. */
static void far_out_and_for_millions_the_tails_are_finite(void **state) {
    (void)state;
    for (double mean = 1e-9; mean <= 1e9; mean *= 10) {
        double before = 0, above = TAIL_BITS_MAX;
        for (uint64_t k = 1; k <= 1000000000; k *= 10) {
            double more = tail_negbin_at_least(k, mean, 0.1);
            double less = tail_negbin_at_most(k, mean, 0.1);
            assert_true(more >= before - 1e-5 && more <= TAIL_BITS_MAX);
            assert_true(less <= above + 1e-5 && less >= 0);
            before = more;
            above = less;
            double share = tail_binomial_at_least(k, 1000000000, fmin(1, mean * 1e-9));
            assert_true(share >= 0 && share <= TAIL_BITS_MAX);
        }
    }
    near(tail_negbin_at_least(1, 0, 0.1), TAIL_BITS_MAX);
    near(tail_negbin_at_most(0, 0, 0.1), 0);
}

/* At least k and at most k - 1 are complements; more is never less surprising. */
static void tails_are_complements_and_monotone(void **state) {
    (void)state;
    rng r;
    rng_init(&r, 11);
    for (int i = 0; i < 2000; i++) {
        double mean = exp(8 * rng_double(&r) - 2), disp = 1e-6 + rng_double(&r) * 3;
        uint64_t k = 1 + rng_below(&r, (uint64_t)(3 * mean) + 10);
        double a = exp2(-tail_negbin_at_least(k, mean, disp)),
               b = exp2(-tail_negbin_at_most(k - 1, mean, disp));
        if (fabs(a + b - 1) > 1e-8) print_error("mean %g disp %g k %zu\n", mean, disp, (size_t)k);
        assert_true(fabs(a + b - 1) <= 1e-8);
        assert_true(tail_negbin_at_least(k + 1, mean, disp) >=
                    tail_negbin_at_least(k, mean, disp) - 1e-9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(far_out_and_for_millions_the_tails_are_finite),
        cmocka_unit_test(negative_binomial_matches_exact_sums),
        cmocka_unit_test(binomial_matches_exact_sums),
        cmocka_unit_test(normal_and_g_test_match),
        cmocka_unit_test(tails_are_complements_and_monotone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
