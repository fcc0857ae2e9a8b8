/* rng.h - reproducible random numbers: xoshiro256** (Blackman, Vigna 2018) seeded by splitmix64.
 * Not for secrets. Randomness is always an argument. */
#ifndef FL_BASE_RNG_H
#define FL_BASE_RNG_H

#include "base/defs.h"

typedef struct rng {
    uint64_t s[4];
} rng;

void rng_init(rng *r, uint64_t seed);
uint64_t rng_u64(rng *r);
uint64_t rng_below(rng *r, uint64_t bound); /* uniform in [0, bound), bound > 0, no modulo bias */
double rng_double(rng *r);                  /* uniform in [0, 1) */
double rng_normal(rng *r);                  /* mean 0, variance 1 */

/* One step of a strong 64-bit mixer, for combining hashes. */
static inline uint64_t mix64(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
