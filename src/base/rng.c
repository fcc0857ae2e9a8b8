/* rng.c - xoshiro256** 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * ACM TOMS 2021; prng.di.unimi.it), its state filled by splitmix64 as its authors advise. Bounded
 * numbers: Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019. Normal
 * numbers: Marsaglia's polar method; the second number is dropped so that the state is the four
 * words alone. */
#include "base/rng.h"

#include <math.h>

__extension__ typedef unsigned __int128 u128;

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

void rng_init(rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        seed += 0x9E3779B97F4A7C15u;
        r->s[i] = mix64(seed);
    }
}

uint64_t rng_u64(rng *r) {
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(rng *r, uint64_t bound) {
    MUST(bound > 0);
    u128 m = (u128)rng_u64(r) * bound;
    if ((uint64_t)m < bound) {
        uint64_t threshold = -bound % bound; /* 2^64 mod bound */
        while ((uint64_t)m < threshold) m = (u128)rng_u64(r) * bound;
    }
    return (uint64_t)(m >> 64);
}

double rng_double(rng *r) { return (double)(rng_u64(r) >> 11) * 0x1p-53; }

double rng_normal(rng *r) {
    double u, v, square;
    do {
        u = 2 * rng_double(r) - 1;
        v = 2 * rng_double(r) - 1;
        square = u * u + v * v;
    } while (square >= 1 || square == 0);
    return u * sqrt(-2 * log(square) / square);
}
