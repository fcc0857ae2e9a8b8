/* fuse.h - a filter over a set of 64-bit hashes: "surely not in it" or "perhaps" (wrong for one of
 * 256), 9 to 12 bits a key, one look at three bytes. Built once, never changed. */
#ifndef FL_STORE_FUSE_H
#define FL_STORE_FUSE_H

#include "base/buf.h"
#include "base/err.h"

enum { FUSE_KEYS_MAX = 1 << 24 };

/* Sorts `keys` and drops doubles. False when out is full or memory is out. */
MUST_CHECK bool fuse_put(buf *out, uint64_t *keys, size_t count);

typedef struct fuse { /* borrows the bytes */
    const uint8_t *cells;
    uint64_t seed;
    uint32_t segment, segments; /* length of a segment, and how many of them hold first cells */
} fuse;
MUST_CHECK rc fuse_open(str bytes, fuse *ret, err *e);
bool fuse_has(const fuse *f, uint64_t key);

#endif
