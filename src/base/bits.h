/* bits.h - bit counting, powers of two, and sets of small integers in the caller's words. */
#ifndef FL_BASE_BITS_H
#define FL_BASE_BITS_H

#include "base/defs.h"

static inline unsigned bits_count(uint64_t x) { return (unsigned)__builtin_popcountll(x); }
/* Index of the lowest / highest bit; x must not be 0. */
static inline unsigned bits_lowest(uint64_t x) {
    DCHECK(x != 0);
    return (unsigned)__builtin_ctzll(x);
}
static inline unsigned bits_highest(uint64_t x) {
    DCHECK(x != 0);
    return 63 - (unsigned)__builtin_clzll(x);
}
static inline bool bits_is_pow2(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }
/* Smallest power of two >= x; x <= 2^63. 1 for 0. */
static inline uint64_t bits_next_pow2(uint64_t x) {
    MUST(x <= (uint64_t)1 << 63);
    return x <= 1 ? 1 : (uint64_t)1 << (bits_highest(x - 1) + 1);
}

/* A set of 0 .. n-1 in bitset_words(n) zeroed words. */
static inline size_t bitset_words(size_t n) { return n / 64 + (n % 64 != 0); }
static inline bool bitset_has(const uint64_t *words, size_t i) {
    return words[i / 64] >> (i % 64) & 1;
}
static inline void bitset_add(uint64_t *words, size_t i) {
    words[i / 64] |= (uint64_t)1 << (i % 64);
}
static inline void bitset_remove(uint64_t *words, size_t i) {
    words[i / 64] &= ~((uint64_t)1 << (i % 64));
}
static inline size_t bitset_count(const uint64_t *words, size_t n) {
    size_t count = 0;
    for (size_t w = 0; w < bitset_words(n); w++) count += bits_count(words[w]);
    return count;
}
/* First member >= from, or n. */
static inline size_t bitset_next(const uint64_t *words, size_t n, size_t from) {
    if (from >= n) return n;
    size_t w = from / 64;
    uint64_t word = words[w] & ~(uint64_t)0 << (from % 64);
    while (!word) {
        if (++w == bitset_words(n)) return n;
        word = words[w];
    }
    size_t i = w * 64 + bits_lowest(word);
    return i < n ? i : n;
}

#endif
