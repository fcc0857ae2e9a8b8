/* Columns: every encoding gives back exactly what it was given; damage is an answer, not a crash.
 */
#include "../unit.h"
#include "store/column_int.h"

#include "base/rng.h"

enum { N_MAX = 9000 };

static void ints_round_trip(const int64_t *v, size_t n) {
    static int64_t got[N_MAX];
    for (int level = 0; level <= 1; level++) {
        buf b;
        buf_init(&b, 1 << 24);
        assert_true(col_put_i64(&b, v, n, level));
        err e = {0};
        rc code = col_get_i64(buf_str(&b), n, got, &e);
        if (code) fail_msg("level %d, %zu values, encoding %d: %s", level, n, b.p[0], e.msg);
        if (n) assert_memory_equal(got, v, n * sizeof *v);
        buf_release(&b);
    }
}

static size_t ints_bytes(const int64_t *v, size_t n) {
    buf b;
    buf_init(&b, 1 << 24);
    assert_true(col_put_i64(&b, v, n, 1));
    size_t bytes = b.n;
    buf_release(&b);
    return bytes;
}

static void ints_come_back(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("ints"));
    static int64_t v[N_MAX];
    for (int round = 0; round < 400; round++) {
        size_t n = rng_below(&r, round % 10 ? 300 : N_MAX);
        unsigned kind = (unsigned)rng_below(&r, 9), bits = (unsigned)rng_below(&r, 64);
        int64_t base = rng_below(&r, 2) ? 0 : (int64_t)rng_u64(&r), at = base;
        for (size_t i = 0; i < n; i++) {
            uint64_t noise = rng_u64(&r) >> bits;
            switch (kind) {
            case 0:
                v[i] = (int64_t)rng_u64(&r) >> bits;
                break;
            case 1:
                v[i] = at = (int64_t)((uint64_t)at + noise);
                break;
            case 2:
                v[i] = (int64_t)((uint64_t)base + i * 15);
                break;
            case 3:
                v[i] = (int64_t)((uint64_t)base + rng_below(&r, 7) * 1000003);
                break;
            case 4:
                v[i] = i && rng_below(&r, 20) ? v[i - 1] : (int64_t)noise;
                break;
            case 5:
                v[i] = (int64_t)((uint64_t)base + i % 16 * 77);
                break;
            case 6:
                v[i] = (int64_t)(rng_u64(&r) >> rng_below(&r, 64));
                break;
            case 7:
                v[i] = rng_below(&r, 1000) ? 5 : INT64_MIN + (int64_t)(noise >> 1);
                break;
            default:
                v[i] = base;
                break;
            }
        }
        ints_round_trip(v, n);
    }
    int64_t edge[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MIN, INT64_MAX};
    for (size_t n = 0; n <= ARRAY_LEN(edge); n++) ints_round_trip(edge, n);
}

static void regular_ints_are_small(void **state) {
    (void)state;
    static int64_t v[8000];
    rng r;
    rng_init(&r, 3);
    for (size_t i = 0; i < 8000; i++) v[i] = 1785542400000000000 + (int64_t)i * 15000000000;
    assert_true(ints_bytes(v, 8000) < 32);
    for (size_t i = 0; i < 8000; i++) v[i] = (int64_t)(i % 16);
    assert_true(ints_bytes(v, 8000) < 300);                                 /* a cycle is found */
    for (size_t i = 0; i < 8000; i++) v[i] = rng_below(&r, 10) ? 200 : 500; /* 0.47 bits */
    assert_true(ints_bytes(v, 8000) < 520);
    for (size_t i = 0; i < 8000; i++) v[i] = (int64_t)(1u << rng_below(&r, 20)); /* log2(20) bits */
    assert_true(ints_bytes(v, 8000) < 4500);
}

static void doubles_come_back(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("doubles"));
    static double v[N_MAX], got[N_MAX];
    for (int round = 0; round < 200; round++) {
        size_t n = rng_below(&r, 600);
        unsigned kind = (unsigned)rng_below(&r, 5);
        double at = 0;
        for (size_t i = 0; i < n; i++) {
            uint64_t any = rng_u64(&r);
            switch (kind) {
            case 0:
                memcpy(&v[i], &any, 8);
                break;
            case 1:
                v[i] = (double)(int64_t)rng_below(&r, 100000) / 100;
                break;
            case 2:
                v[i] = at += rng_normal(&r);
                break;
            case 3:
                v[i] = rng_below(&r, 9) ? 0.25 : -0.0;
                break;
            default:
                v[i] = (double)i;
                break;
            }
        }
        for (int level = 0; level <= 1; level++) {
            buf b;
            buf_init(&b, 1 << 20);
            assert_true(col_put_f64(&b, v, n, level));
            assert_rc(col_get_f64(buf_str(&b), n, got, NULL), RC_OK);
            if (n) assert_memory_equal(got, v, n * sizeof *v);
            buf_release(&b);
        }
    }
}

/* A text of one of many manners; the same manner for a whole column, mostly. */
static str random_text(rng *r, arena *a, unsigned kind, uint64_t i) {
    uint64_t x = rng_u64(r);
    switch (kind) {
    case 0:
        return str_fmt(a, "%" PRIu64, x >> rng_below(r, 64));
    case 1:
        return str_fmt(a, "%03u", (unsigned)(x % 1500));
    case 2:
        return str_fmt(a, "10.%u.%u.%u", (unsigned)(x & 3), (unsigned)(x >> 8 & 255),
                       (unsigned)(x >> 16 & 255));
    case 3:
        return str_fmt(a, "%08x-%04x-4%03x-%04x-%012" PRIx64, (unsigned)x,
                       (unsigned)(x >> 5 & 0xffff), (unsigned)(x >> 9 & 0xfff),
                       (unsigned)(x >> 12 & 0xffff), x >> 16);
    case 4:
        return str_fmt(a, "%016" PRIX64, x);
    case 5:
        return str_fmt(a, "%u.%03u", (unsigned)(x % 90), (unsigned)(x >> 30) % 1000);
    case 6:
        return str_fmt(a, "blk_%s%" PRIu64, x & 1 ? "-" : "", x >> 3);
    case 7:
        return str_fmt(a, "/srv/%s/%u", x & 1 ? "in" : "out", (unsigned)(x >> 50));
    case 8:
        return (str[]){S("GET"), S("POST"), S(""), S("a longer one")}[x & 3];
    case 9:
        return str_fmt(a, "user%u@h%u.example", (unsigned)(x % 100), (unsigned)(x >> 40) % 10);
    case 10:
        return str_fmt(a, "%*s%u", (int)(x % 5), "", (unsigned)i);
    case 11:
        return str_fmt(a, "2026-11-20 08:%02u:%02u,%03u", (unsigned)(x % 60),
                       (unsigned)(x >> 20) % 60, (unsigned)(x >> 30) % 1000);
    case 12:
        return str_fmt(a, "-0%u", (unsigned)(x % 100));
    case 13:
        return str_fmt(a, "%u%u%u%u", 0xffffffffu - (unsigned)(x & 3), 0xffffffffu, (unsigned)x,
                       7u);
    default: {
        size_t n = rng_below(r, rng_below(r, 30) ? 24 : 700);
        char *p = arena_bytes(a, n + 1, 1);
        for (size_t k = 0; k < n; k++)
            p[k] = kind & 1 ? (char)rng_u64(r) : "0a9f.-A "[rng_below(r, 8)];
        return (str){p, n};
    }
    }
}

static void texts_come_back(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("texts"));
    static str v[N_MAX], got[N_MAX];
    for (int round = 0; round < 600; round++) {
        arena a;
        arena_init(&a, "test", 1 << 28);
        size_t n = rng_below(&r, round % 20 ? 200 : N_MAX);
        unsigned kind = (unsigned)rng_below(&r, 16), other = (unsigned)rng_below(&r, 16);
        unsigned often = (unsigned)rng_below(&r, 3), again = (unsigned)rng_below(&r, 3);
        for (size_t i = 0; i < n; i++) {
            bool mix = often == 1 ? rng_below(&r, 50) == 0 : often == 2 && rng_below(&r, 2) == 0;
            if (again && i > 20 && rng_below(&r, 5) < 3)
                v[i] = v[i - 1 - rng_below(&r, 20)];
            else
                v[i] = random_text(&r, &a, mix ? other : kind, i);
        }
        for (int level = 0; level <= 1; level++) {
            buf b;
            buf_init(&b, 1 << 26);
            assert_true(col_put_str(&b, v, n, level));
            err e = {0};
            rc code = col_get_str(buf_str(&b), n, &a, got, &e);
            if (code) fail_msg("kind %u, %zu texts: %s", kind, n, e.msg);
            for (size_t i = 0; i < n; i++) assert_text(got[i], v[i]);
            buf_release(&b);
        }
        arena_release(&a);
    }
}

static void fixed_width_comes_back(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("fixed"));
    uint8_t v[24 * 100], got[sizeof v];
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof v; i++) v[i] = round ? (uint8_t)rng_u64(&r) : 7;
        for (int level = 0; level <= 1; level++) {
            buf b;
            buf_init(&b, 1 << 20);
            assert_true(col_put_fixed(&b, v, 24, 100, level));
            assert_rc(col_get_fixed(buf_str(&b), 24, 100, got, NULL), RC_OK);
            assert_memory_equal(got, v, sizeof v);
            assert_rc(col_get_fixed(buf_str(&b), 23, 100, got, NULL), RC_CORRUPT);
            buf_release(&b);
        }
    }
}

/* Any flipped byte and any cut: an answer, right or RC_CORRUPT; the sanitizers watch the rest. */
static void damage_is_an_answer(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("damage"));
    static str v[400], got[400];
    static int64_t ints[400], got_ints[400];
    for (int round = 0; round < 300; round++) {
        arena a;
        arena_init(&a, "test", 1 << 28);
        unsigned kind = (unsigned)rng_below(&r, 16);
        for (size_t i = 0; i < 400; i++) {
            v[i] = random_text(&r, &a, kind, i);
            ints[i] = (int64_t)(rng_u64(&r) >> (rng_below(&r, 2) ? 50 : 60));
        }
        buf b;
        buf_init(&b, 1 << 24);
        assert_true(round & 1 ? col_put_str(&b, v, 400, 1) : col_put_i64(&b, ints, 400, 1));
        for (int k = 0; k < 20; k++) {
            size_t at = rng_below(&r, b.n);
            char was = b.p[at];
            b.p[at] = (char)rng_u64(&r);
            str s = {b.p, rng_below(&r, 4) ? b.n : at};
            rc code = round & 1 ? col_get_str(s, 400, &a, got, NULL)
                                : col_get_i64(s, 400, got_ints, NULL);
            assert_true(code == RC_OK || code == RC_CORRUPT || code == RC_LIMIT);
            b.p[at] = was;
        }
        buf_release(&b);
        arena_release(&a);
    }
}

static void symbols_take_their_entropy(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("symbols"));
    col_ctx x;
    col_ctx_init(&x, 1);
    static uint8_t v[20000], got[20000];
    for (int round = 0; round < 200; round++) {
        size_t n = 1 + rng_below(&r, round % 4 ? 3000 : 20000);
        uint64_t symbols = 1 + rng_below(&r, 256);
        uint32_t hist[256] = {0};
        for (size_t i = 0; i < n; i++)
            hist[v[i] = (uint8_t)rng_below(&r, 1 + rng_below(&r, symbols))]++;
        buf b;
        buf_init(&b, 1 << 20);
        assert_true(ans_put(&x, &b, v, n));
        assert_true(b.n < ans_cost(hist, n) * 105 / 100 + 300);
        col_reader in = col_reader_of(buf_str(&b));
        assert_true(ans_get(&in, n, got));
        assert_memory_equal(got, v, n);
        assert_int_equal(col_left(&in), 0);
        buf_release(&b);
    }
    col_ctx_release(&x);
}

/* Rows in order, some close together and some far apart. */
static size_t some_rows(rng *r, size_t n, uint32_t *at, size_t max) {
    size_t m = 0, row = rng_below(r, 3) ? rng_below(r, n) : 0;
    for (; row < n && m < max; row += 1 + rng_below(r, rng_below(r, 2) ? 3 : n / 8 + 1))
        at[m++] = (uint32_t)row;
    return m;
}

/* Some values are those of the whole column, with and without points, long and short; damaged
 * columns give an answer. */
static void some_values_are_those_of_all(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("some"));
    enum { N = 12000, SOME = 200 };
    static uint64_t ints[N], got_ints[SOME];
    static str texts[N], got[SOME];
    static uint32_t at[SOME];
    for (int round = 0; round < 150; round++) {
        size_t n = rng_below(&r, 3) ? 1 + rng_below(&r, N) : 1 + rng_below(&r, 50);
        arena a;
        arena_init(&a, "test", 1 << 28);
        unsigned kind = (unsigned)rng_below(&r, 16), form = (unsigned)rng_below(&r, 7);
        uint64_t distinct = 1 + rng_below(&r, rng_below(&r, 2) ? 20 : n);
        bool again = rng_below(&r, 2);
        uint64_t v = rng_u64(&r) >> rng_below(&r, 64), step = rng_below(&r, 5000), left = 0;
        for (size_t i = 0; i < n; i++) {
            switch (form) {
            case 0:
                v = rng_u64(&r) >> 44;
                break;
            case 1:
                v += step;
                break;
            case 2:
                v += rng_below(&r, 1000);
                break;
            case 3:
                v = left ? left--, v : (left = rng_below(&r, 40), rng_below(&r, 7));
                break;
            case 4:
                v = rng_below(&r, 9);
                break;
            case 5:
                v = rng_below(&r, 3) * 1000003;
                break;
            default:
                v = rng_u64(&r);
            }
            ints[i] = v;
            texts[i] = again && i > distinct ? texts[i - 1 - rng_below(&r, distinct)]
                                             : random_text(&r, &a, kind, i);
        }
        col_ctx x;
        col_ctx_init(&x, (int)(rng_below(&r, 8) != 0));
        x.points = rng_below(&r, 5) != 0;
        buf b, c;
        buf_init(&b, 1 << 26);
        buf_init(&c, 1 << 26);
        assert_true(col_x_put_u64(&x, &b, ints, n) && col_x_put_str(&x, &c, texts, n));
        static uint64_t all_ints[N];
        static str all[N];
        assert_int_equal(col_x_get_u64(&x, buf_str(&b), n, all_ints, 0, NULL), RC_OK);
        assert_memory_equal(all_ints, ints, n * sizeof *ints);
        assert_int_equal(col_x_get_str(&x, buf_str(&c), n, &a, all, 0, NULL), RC_OK);
        for (size_t i = 0; i < n; i++) assert_true(str_eq(all[i], texts[i]));
        for (int k = 0; k < 10; k++) {
            size_t m = some_rows(&r, n, at, SOME);
            err e = {0};
            if (col_x_get_u64_at(&x, buf_str(&b), n, at, m, got_ints, 0, &e))
                fail_msg("integers %u, encoding %u: %s", form, (uint8_t)b.p[0], e.msg);
            for (size_t i = 0; i < m; i++) assert_int_equal(got_ints[i], ints[at[i]]);
            if (col_x_get_str_at(&x, buf_str(&c), n, at, m, &a, got, 0, &e))
                fail_msg("texts %u, encoding %u: %s", kind, (uint8_t)c.p[0], e.msg);
            for (size_t i = 0; i < m; i++) assert_true(str_eq(got[i], texts[at[i]]));
        }
        for (int k = 0; k < 10; k++) {
            size_t m = some_rows(&r, n, at, SOME), i = rng_below(&r, MIN(b.n, (size_t)64));
            size_t j = rng_below(&r, 2) ? rng_below(&r, c.n) : rng_below(&r, MIN(c.n, (size_t)64));
            char bi = b.p[i], cj = c.p[j];
            b.p[i] = (char)rng_u64(&r);
            c.p[j] = (char)rng_u64(&r);
            rc code = col_x_get_u64_at(&x, buf_str(&b), n, at, m, got_ints, 0, NULL);
            assert_true(code == RC_OK || code == RC_CORRUPT || code == RC_LIMIT);
            code = col_x_get_str_at(&x, buf_str(&c), n, at, m, &a, got, 0, NULL);
            assert_true(code == RC_OK || code == RC_CORRUPT || code == RC_LIMIT);
            b.p[i] = bi;
            c.p[j] = cj;
        }
        buf_release(&b);
        buf_release(&c);
        col_ctx_release(&x);
        arena_release(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ints_come_back),
        cmocka_unit_test(regular_ints_are_small),
        cmocka_unit_test(doubles_come_back),
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(fixed_width_comes_back),
        cmocka_unit_test(damage_is_an_answer),
        cmocka_unit_test(symbols_take_their_entropy),
        cmocka_unit_test(some_values_are_those_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
