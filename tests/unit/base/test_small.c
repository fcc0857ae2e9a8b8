/* ring, rng, bits, utf8 */
#include "../unit.h"

#include "base/bits.h"
#include "base/ring.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <math.h>

static void ring_is_first_in_first_out(void **state) {
    (void)state;
    ring r;
    ring_init(&r, 3, sizeof(int));
    int v, n = 0;
    assert_false(ring_pop(&r, &v));
    for (int round = 0; round < 10; round++) { /* around the end of the array */
        for (int i = 0; i < 3; i++) {
            v = n + i;
            assert_true(ring_push(&r, &v));
        }
        assert_false(ring_push(&r, &v));
        for (int i = 0; i < 3; i++) assert_int_equal(*(int *)ring_at(&r, (size_t)i), n + i);
        assert_true(ring_pop(&r, &v) && v == n);
        assert_true(ring_pop(&r, &v) && v == n + 1);
        v = n + 3;
        assert_true(ring_push(&r, &v));
        assert_true(ring_pop(&r, &v) && v == n + 2);
        assert_true(ring_pop(&r, &v) && v == n + 3);
        assert_int_equal(r.count, 0);
        n += 4;
    }
    for (int i = 0; i < 10; i++) ring_push_over(&r, &i);
    assert_int_equal(r.count, 3);
    assert_int_equal(*(int *)ring_at(&r, 0), 7);
    assert_int_equal(*(int *)ring_at(&r, 2), 9);
    assert_must_fails(ring_at(&r, 3));
    ring_release(&r);
    ring_release(&r);
    ring_release(NULL);
    assert_must_fails(ring_init(&r, 0, 4));
}

static void rng_gives_reference_numbers(void **state) {
    (void)state;
    /* xoshiro256** from the state 1, 2, 3, 4: the authors' C code. */
    rng r = {{1, 2, 3, 4}};
    static const uint64_t WANT[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < ARRAY_LEN(WANT); i++) assert_int_equal(rng_u64(&r), WANT[i]);
    /* splitmix64 from the seed 1234567: its first outputs fill the state. */
    rng_init(&r, 1234567);
    assert_int_equal(r.s[0], 6457827717110365317u);
    assert_int_equal(r.s[1], 3203168211198807973u);
    assert_int_equal(r.s[2], 9817491932198370423u);
    assert_int_equal(r.s[3], 4593380528125082431u);
}

static void rng_is_uniform_within_bounds(void **state) {
    (void)state;
    rng r;
    rng_init(&r, 42);
    enum { N = 60000, BOUND = 6 };
    size_t counts[BOUND] = {0};
    for (int i = 0; i < N; i++) counts[rng_below(&r, BOUND)]++;
    for (int i = 0; i < BOUND; i++) assert_in_range(counts[i], N / BOUND - 500, N / BOUND + 500);
    for (int i = 0; i < 100; i++) assert_int_equal(rng_below(&r, 1), 0);
    uint64_t top = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t bound = ((uint64_t)1 << 63) + 1; /* nearly half of all draws are rejected */
        uint64_t v = rng_below(&r, bound);
        assert_true(v < bound);
        top += v > bound / 2;
    }
    assert_in_range(top, 400, 600);
    assert_must_fails(rng_below(&r, 0));
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        double u = rng_double(&r);
        assert_true(u >= 0 && u < 1);
        double g = rng_normal(&r);
        sum += g;
        squares += g * g;
    }
    assert_true(fabs(sum / N) < 0.02);
    assert_true(fabs(squares / N - 1) < 0.03);
}

static void bits_and_bitsets(void **state) {
    (void)state;
    assert_int_equal(bits_count(0), 0);
    assert_int_equal(bits_count(UINT64_MAX), 64);
    assert_int_equal(bits_lowest(0x50), 4);
    assert_int_equal(bits_highest(0x50), 6);
    assert_int_equal(bits_next_pow2(0), 1);
    assert_int_equal(bits_next_pow2(1), 1);
    assert_int_equal(bits_next_pow2(5), 8);
    assert_int_equal(bits_next_pow2(8), 8);
    assert_int_equal(bits_next_pow2((uint64_t)1 << 63), (uint64_t)1 << 63);
    assert_must_fails(bits_next_pow2(((uint64_t)1 << 63) + 1));
    assert_true(bits_is_pow2(64) && !bits_is_pow2(0) && !bits_is_pow2(65));
    enum { N = 200 };
    uint64_t words[4] = {0};
    assert_int_equal(bitset_words(N), ARRAY_LEN(words));
    assert_int_equal(bitset_words(0), 0);
    bool model[N] = {0};
    rng r;
    rng_init(&r, unit_seed("bitset"));
    for (int step = 0; step < 5000; step++) {
        size_t i = rng_below(&r, N);
        if (rng_below(&r, 3)) {
            bitset_remove(words, i);
            model[i] = false;
        } else {
            bitset_add(words, i);
            model[i] = true;
        }
        size_t count = 0, next = N, from = rng_below(&r, N + 5);
        for (size_t j = N; j-- > 0;) {
            assert_int_equal(bitset_has(words, j), model[j]);
            count += model[j];
            if (model[j] && j >= from) next = j;
        }
        assert_int_equal(bitset_count(words, N), count);
        assert_int_equal(bitset_next(words, N, from), next);
    }
}

static void utf8_follows_the_standard(void **state) {
    (void)state;
    static const struct {
        str text;
        uint32_t cp;
        size_t n;
    } CASES[] = {
        {S_INIT("A"), 'A', 1},
        {S_INIT("\xC2\x80"), 0x80, 2},
        {S_INIT("\xE4\xB8\xAD"), 0x4E2D, 3},
        {S_INIT("\xEF\xBF\xBF"), 0xFFFF, 3},
        {S_INIT("\xF4\x8F\xBF\xBF"), 0x10FFFF, 4},
        {S_INIT("\xF4\x90\x80\x80"), UTF8_BAD, 1}, /* beyond U+10FFFF */
        {S_INIT("\xED\xA0\x80"), UTF8_BAD, 1},     /* surrogate */
        {S_INIT("\xC0\xAF"), UTF8_BAD, 1},         /* overlong */
        {S_INIT("\xE0\x80\xAF"), UTF8_BAD, 1},
        {S_INIT("\xF0\x80\x80\xAF"), UTF8_BAD, 1},
        {S_INIT("\x80"), UTF8_BAD, 1},
        {S_INIT("\xFF"), UTF8_BAD, 1},
        {S_INIT("\xE4\xB8"), UTF8_BAD, 2}, /* cut */
        {S_INIT("\xE4\xB8x"), UTF8_BAD, 2},
        {S_INIT("\xF1\x80\x80x"), UTF8_BAD, 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        size_t at = 0;
        assert_int_equal(utf8_next(CASES[i].text, &at), CASES[i].cp);
        assert_int_equal(at, CASES[i].n);
        assert_int_equal(utf8_valid(CASES[i].text), CASES[i].cp != UTF8_BAD);
    }
    assert_true(utf8_valid(STR_NONE));
    assert_true(utf8_valid(S("a long line of plain ASCII and one \xC3\xA9 in it")));
    assert_false(utf8_valid(S("a long line of plain ASCII and one bad byte at the end \xC3")));
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp == 0xD800) cp = 0xE000;
        char text[4];
        size_t n = utf8_put(text, cp), at = 0;
        assert_true(utf8_next(str_make(text, n), &at) == cp && at == n);
    }
    assert_must_fails(utf8_put((char[4]){0}, 0xD800));
}

/* The fast checks against the definition, on text of bytes that are near the borders. */
static void utf8_checks_agree_with_decoding(void **state) {
    (void)state;
    static const unsigned char BYTES[] = {'a',  'b',  0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
                                          0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    rng r;
    rng_init(&r, unit_seed("utf8_checks_agree_with_decoding"));
    for (unsigned round = 0; round < 300000; round++) {
        char text[40];
        size_t n = rng_below(&r, 24);
        for (size_t i = 0; i < n;) {
            if (rng_below(&r, 4)) {
                uint32_t cp = (uint32_t)rng_below(&r, rng_below(&r, 2) ? 0xd800 : 0x900);
                i += utf8_put(text + i, cp);
            } else {
                text[i++] = (char)BYTES[rng_below(&r, sizeof BYTES)];
            }
            if (i > n) n = i;
        }
        str s = {text, n};
        bool valid = true, ascii = true;
        for (size_t at = 0; at < n;) valid &= utf8_next(s, &at) != UTF8_BAD;
        for (size_t i = 0; i < n; i++) ascii &= (unsigned char)text[i] < 0x80;
        if (utf8_valid(s) != valid || utf8_is_ascii(s) != ascii) fail_msg("round %u", round);
    }
}

static void utf8_widths_and_cuts(void **state) {
    (void)state;
    assert_int_equal(utf8_columns(S("abc")), 3);
    assert_int_equal(utf8_columns(S("中文ab")), 6);
    assert_int_equal(utf8_columns(S("e\xCC\x81")), 1); /* combining accent */
    assert_int_equal(utf8_columns(S("\xF0\x9F\x98\x80")), 2);
    assert_int_equal(utf8_columns(S("█▍│é")), 4);
    assert_int_equal(utf8_columns(S("\xFF\xFE")), 2);
    assert_int_equal(utf8_columns(STR_NONE), 0);
    assert_text(utf8_cut_columns(S("中文ab"), 3), S("中"));
    assert_text(utf8_cut_columns(S("中文ab"), 4), S("中文"));
    assert_text(utf8_cut_columns(S("中文ab"), 99), S("中文ab"));
    assert_text(utf8_cut_columns(S("中文ab"), 0), S(""));
    assert_text(utf8_cut_columns(S("e\xCC\x81x"), 1), S("e\xCC\x81"));
    assert_text(utf8_cut_bytes(S("中文ab"), 5), S("中"));
    assert_text(utf8_cut_bytes(S("中文ab"), 6), S("中文"));
    assert_text(utf8_cut_bytes(S("中文ab"), 7), S("中文a"));
    assert_text(utf8_cut_bytes(S("中"), 2), S(""));
    assert_text(utf8_cut_bytes(S("\x80\x80\x80\x80\x80\x80"), 5), S("\x80\x80\x80\x80\x80"));
    assert_text(utf8_cut_bytes(S("abc"), 3), S("abc"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_checks_agree_with_decoding),
        cmocka_unit_test(ring_is_first_in_first_out),
        cmocka_unit_test(rng_gives_reference_numbers),
        cmocka_unit_test(rng_is_uniform_within_bounds),
        cmocka_unit_test(bits_and_bitsets),
        cmocka_unit_test(utf8_follows_the_standard),
        cmocka_unit_test(utf8_widths_and_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
