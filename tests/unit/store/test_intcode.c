#include "../unit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "store/intcode.h"

#include <math.h>

enum { VALUES = 3000 };

/* What goes in comes out, from the front of a longer text; every cut is refused or reads the same.
 * Returns the bytes. */
static size_t check(const int64_t *v, size_t n, bool doubles) {
    buf out;
    buf_init(&out, 16 * VALUES + 1000);
    assert_true(doubles ? f64code_put(&out, v, n) : intcode_put(&out, v, n));
    size_t bytes = out.n;
    assert_true(buf_put(&out, S("rest")));
    int64_t *got = mem_new_n(int64_t, n + 1);
    str in = buf_str(&out);
    assert_rc(doubles ? f64code_get(&in, n, got, NULL) : intcode_get(&in, n, got, NULL), RC_OK);
    assert_text(in, S("rest"));
    assert_memory_equal(got, v, n * sizeof *v);
    for (size_t cut = 0; cut < bytes; cut += 1 + bytes / 50) {
        in = str_make(out.p, cut);
        rc code = doubles ? f64code_get(&in, n, got, NULL) : intcode_get(&in, n, got, NULL);
        assert_true(code == RC_CORRUPT);
    }
    mem_free(got);
    buf_release(&out);
    return bytes;
}

static int64_t bits_of(double d) {
    int64_t v;
    memcpy(&v, &d, 8);
    return v;
}

static void integers_come_back(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    int64_t *v = mem_new_n(int64_t, VALUES);
    for (int round = 0; round < 400; round++) {
        size_t n = round < 20 ? (size_t)round : 1 + rng_below(&r, VALUES);
        uint64_t kind = rng_below(&r, 9);
        int64_t at = (int64_t)rng_u64(&r), step = (int64_t)rng_below(&r, 1000);
        for (size_t i = 0; i < n; i++) {
            switch (kind) {
            case 0:
                v[i] = (int64_t)rng_u64(&r);
                break;
            case 1:
                v[i] = at;
                break;
            case 2:
                v[i] = at = (int64_t)((uint64_t)at + (uint64_t)step);
                break;
            case 3:
                v[i] = at = (int64_t)((uint64_t)at + rng_below(&r, 20) * 4096);
                break;
            case 4:
                v[i] = (int64_t)rng_below(&r, 3) - 1;
                break;
            case 5:
                v[i] = rng_below(&r, 10) ? step : (int64_t)rng_u64(&r);
                break;
            case 6:
                v[i] = rng_below(&r, 2) ? INT64_MIN : INT64_MAX;
                break;
            case 7:
                v[i] = (int64_t)(rng_u64(&r) >> rng_below(&r, 64));
                break;
            default:
                v[i] = at += (int64_t)(rng_below(&r, 50) == 0);
                break;
            }
        }
        check(v, n, false);
        check(v, n, true); /* any bits are a double */
    }
    mem_free(v);
}

static void doubles_come_back(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    int64_t *v = mem_new_n(int64_t, VALUES);
    static const double odd[] = {
        0.0,      -0.0, HUGE_VAL, -HUGE_VAL, 5e-324, 1.7976931348623157e308,
        0.1 + .2, 1e17, 1e22,     1e23,      -1e-17};
    for (int round = 0; round < 200; round++) {
        size_t n = 1 + rng_below(&r, VALUES);
        uint64_t kind = rng_below(&r, 6);
        double at = rng_double(&r) * 1000;
        for (size_t i = 0; i < n; i++) {
            double d = 0;
            switch (kind) {
            case 0:
                d = rng_normal(&r);
                break;
            case 1:
                d = at = at + (double)rng_below(&r, 5);
                break;
            case 2:
                d = (double)(int64_t)rng_below(&r, 100000) / 100;
                break;
            case 3:
                d = odd[rng_below(&r, ARRAY_LEN(odd))];
                break;
            case 4:
                d = rng_below(&r, 50) ? (double)i / 1000 : odd[rng_below(&r, ARRAY_LEN(odd))];
                break;
            default:
                d = 1.7855424e9 + (double)i * 15 + (double)rng_below(&r, 1000) / 1e3;
                break;
            }
            v[i] = bits_of(d);
        }
        if (kind == 4 && n > 2) { /* two payloads of NaN */
            v[n / 2] = 0x7ff0000000000002;
            v[n / 3] = (int64_t)0xfff8000000000001;
        }
        check(v, n, true);
    }
    mem_free(v);
}

static void sequences_with_structure_are_small(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    int64_t *v = mem_new_n(int64_t, VALUES);
    for (size_t i = 0; i < VALUES; i++) v[i] = bits_of(42);
    assert_true(check(v, VALUES, true) <= 6);
    for (size_t i = 0; i < VALUES; i++) v[i] = 1785542400000000000 + (int64_t)i * 15000000000;
    assert_true(check(v, VALUES, false) <= 40);
    /* pages: the common factor is taken away; 10 bits of noise remain */
    for (size_t i = 0; i < VALUES; i++) v[i] = bits_of((double)(rng_below(&r, 1024) * 4096));
    assert_in_range(check(v, VALUES, true), VALUES * 9 / 8, VALUES * 12 / 8);
    /* hundredths that grow by 0 or 1: a bit each */
    int64_t n = 123456;
    for (size_t i = 0; i < VALUES; i++)
        v[i] = bits_of((double)(n += (int64_t)rng_below(&r, 2)) / 100);
    assert_true(check(v, VALUES, true) <= VALUES * 12 / 80);
    /* ticks times 0.001, and microseconds divided twice: a step off what the decimal would be */
    n = 0;
    for (size_t i = 0; i < VALUES; i++) {
        n += (int64_t)rng_below(&r, 64);
        v[i] = bits_of((double)n * .001);
    }
    assert_true(check(v, VALUES, true) <= VALUES * 8 / 8);
    for (size_t i = 0; i < VALUES; i++) {
        n += (int64_t)rng_below(&r, 1024);
        v[i] = bits_of((double)n / 1000 / 1000);
    }
    assert_true(check(v, VALUES, true) <= VALUES * 13 / 8);
    mem_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_come_back),
        cmocka_unit_test(doubles_come_back),
        cmocka_unit_test(sequences_with_structure_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
