/* fuse.c - problem: a search for one id asks every block; each answer should cost three memory
 * accesses and the filters of a thousand blocks should fit in memory.
 *
 * A binary fuse filter: 8-bit cells in segments; a key has one cell in each of three neighbouring
 * segments, and the exclusive or of the three is its fingerprint. Building peels cells that only
 * one key uses until none are left (a failed try takes another seed), then assigns in reverse.
 *
 *   seed u64, keys u32, segment length u32, segments u32, cells ((segments + 2) * length bytes)
 *
 * Rejected: Bloom filter of the same size (2% instead of 0.4% wrong), sorted hashes (8 bytes a
 * key). Source: Graf, Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters", JEA 2022,
 * sections 3 and 4 (sizes and constants). */
#include "store/fuse.h"

#include "base/bits.h"
#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

enum { HEAD_BYTES = 20, TRIES_MAX = 100, SEGMENT_MAX = 1 << 18 };

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

FL_INLINE void cells_of(const fuse *f, uint64_t h, uint32_t at[3]) {
    uint64_t first = (uint64_t)f->segments * f->segment;
    at[0] = (uint32_t)((h >> 32) * first >> 32); /* first < 2^32: FUSE_KEYS_MAX */
    at[1] = (at[0] + f->segment) ^ ((uint32_t)(h >> 18) & (f->segment - 1));
    at[2] = (at[0] + 2 * f->segment) ^ ((uint32_t)h & (f->segment - 1));
}

static uint8_t fingerprint(uint64_t h) { return (uint8_t)(h ^ h >> 32); }

static void sizes_of(size_t n, fuse *f) {
    if (n < 2) n = 2;
    double ln = log((double)n);
    unsigned bits = (unsigned)floor(ln / log(3.33) + 2.25);
    f->segment = MIN(1u << bits, (unsigned)SEGMENT_MAX);
    double factor = fmax(1.125, 0.875 + 0.25 * log(1e6) / ln);
    size_t cells = (size_t)round((double)n * factor);
    size_t segments = (cells + f->segment - 1) / f->segment;
    f->segments = segments > 3 ? (uint32_t)segments - 2 : 1;
}

typedef struct cell {
    uint64_t hashes; /* exclusive or */
    uint32_t keys;
} cell;

/* Cells with one key each, in the order of removal. False: a cycle is left. */
static bool peel(const fuse *f, const uint64_t *keys, size_t n, cell *cells, size_t cell_count,
                 uint32_t *queue, uint64_t *stack, uint8_t *which) {
    memset(cells, 0, cell_count * sizeof *cells);
    for (size_t i = 0; i < n; i++) {
        uint32_t at[3];
        uint64_t h = mix64(keys[i] + f->seed);
        cells_of(f, h, at);
        for (int k = 0; k < 3; k++) cells[at[k]].keys++, cells[at[k]].hashes ^= h;
    }
    size_t queued = 0, done = 0;
    for (uint32_t i = 0; i < cell_count; i++) {
        if (cells[i].keys == 1) queue[queued++] = i;
    }
    while (queued) {
        uint32_t c = queue[--queued], at[3];
        if (cells[c].keys != 1) continue;
        uint64_t h = cells[c].hashes;
        cells_of(f, h, at);
        stack[done] = h;
        for (int k = 0; k < 3; k++) {
            if (at[k] == c) which[done] = (uint8_t)k;
            cells[at[k]].hashes ^= h;
            if (--cells[at[k]].keys == 1) queue[queued++] = at[k];
        }
        done++;
    }
    return done == n;
}

static bool build(buf *out, fuse *f, const uint64_t *keys, size_t n) {
    size_t cell_count = ((size_t)f->segments + 2) * f->segment;
    cell *cells = mem_try_raw(cell_count * sizeof *cells);
    uint32_t *queue = mem_try_raw((cell_count + 3 * n) * sizeof *queue);
    uint64_t *stack = mem_try_raw((n + 1) * sizeof *stack);
    uint8_t *which = mem_try_raw(n + 1);
    bool ok = cells && queue && stack && which, peeled = false;
    for (unsigned try = 0; ok && !peeled && try < TRIES_MAX; try++) {
        f->seed = mix64(0x9E3779B97F4A7C15u * (try + 1));
        peeled = peel(f, keys, n, cells, cell_count, queue, stack, which);
    }
    if (peeled) {
        ok = buf_le64(out, f->seed) && buf_le32(out, (uint32_t)n) && buf_le32(out, f->segment) &&
             buf_le32(out, f->segments) && buf_pad(out, 0, cell_count);
        uint8_t *to = ok ? (uint8_t *)out->p + out->n - cell_count : NULL;
        for (size_t i = n; ok && i-- > 0;) {
            uint32_t at[3];
            cells_of(f, stack[i], at);
            uint8_t v = fingerprint(stack[i]);
            for (int k = 0; k < 3; k++) v ^= k == which[i] ? 0 : to[at[k]];
            to[at[which[i]]] = v;
        }
    }
    mem_free(which);
    mem_free(stack);
    mem_free(queue);
    mem_free(cells);
    return ok && peeled;
}

bool fuse_put(buf *out, uint64_t *keys, size_t count) {
    MUST(count <= FUSE_KEYS_MAX);
    if (count > 1) qsort(keys, count, sizeof *keys, by_value);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || keys[i] != keys[i - 1]) keys[n++] = keys[i];
    }
    fuse f = {0};
    sizes_of(n, &f);
    return build(out, &f, keys, n);
}

rc fuse_open(str bytes, fuse *ret, err *e) {
    if (bytes.n < HEAD_BYTES) return FAIL(e, RC_CORRUPT, "damaged filter");
    fuse f = {.cells = (const uint8_t *)bytes.p + HEAD_BYTES};
    memcpy(&f.seed, bytes.p, 8);
    memcpy(&f.segment, bytes.p + 12, 4);
    memcpy(&f.segments, bytes.p + 16, 4);
    if (!bits_is_pow2(f.segment) || f.segment > SEGMENT_MAX || f.segments == 0 ||
        bytes.n - HEAD_BYTES != ((uint64_t)f.segments + 2) * f.segment)
        return FAIL(e, RC_CORRUPT, "damaged filter");
    *ret = f;
    return RC_OK;
}

bool fuse_has(const fuse *f, uint64_t key) {
    uint64_t h = mix64(key + f->seed);
    uint32_t at[3];
    cells_of(f, h, at);
    return (uint8_t)(f->cells[at[0]] ^ f->cells[at[1]] ^ f->cells[at[2]]) == fingerprint(h);
}
