/* block_fuzz.h - for fuzz targets of stored blocks. An input is a block as parts, without the table
 * and checksums that parts.c keeps, so that the fuzzer gets past these:
 *
 *   rows u32; then for each part: id u16, codec bit, bytes u24 (little endian), the bytes
 *
 * The block is built with right checksums, verified and merged. What merges must verify, and the
 * merged block must merge again to the same count of rows. */
#ifndef FL_TESTS_FUZZ_BLOCK_FUZZ_H
#define FL_TESTS_FUZZ_BLOCK_FUZZ_H

#include <stdlib.h>

#include "base/mem.h"
#include "store/parts.h"

enum { FUZZ_INPUT_MAX = 1 << 18, FUZZ_BLOCKS = 64 };

typedef struct fuzz_list {
    block_info info[FUZZ_BLOCKS];
    block_io io[FUZZ_BLOCKS];
    size_t count;
    uint64_t rows;
} fuzz_list;

static inline rc fuzz_keep(void *ctx, const block_info *info, str payload, err *e) {
    fuzz_list *l = ctx;
    if (l->count == FUZZ_BLOCKS) return FAIL(e, RC_LIMIT, "many blocks");
    char *p = mem_alloc(payload.n);
    memcpy(p, payload.p, payload.n);
    l->info[l->count] = *info;
    l->io[l->count] = (block_io){.memory = str_make(p, payload.n), .id = 1};
    l->count++;
    l->rows += info->rows;
    return RC_OK;
}

static inline void fuzz_drop(fuzz_list *l) {
    for (size_t i = 0; i < l->count; i++) mem_free((char *)(uintptr_t)l->io[i].memory.p);
}

static inline int fuzz_block(const block_ops *ops, block_kind kind, const uint8_t *data,
                             size_t size) {
    if (size < 4 || size > FUZZ_INPUT_MAX) return 0;
    uint32_t rows;
    memcpy(&rows, data, 4);
    rows %= 1 << 14;
    buf out;
    buf_init(&out, 2 * FUZZ_INPUT_MAX);
    parts_writer w;
    parts_begin(&w, &out, 1);
    uint8_t seen[1 << 13] = {0};
    for (size_t at = 4; at + 6 <= size;) {
        uint32_t id = data[at] | (uint32_t)data[at + 1] << 8;
        uint32_t n = data[at + 3] | (uint32_t)data[at + 4] << 8 | (uint32_t)data[at + 5] << 16;
        bool compress = data[at + 2] & 1;
        at += 6;
        n = (uint32_t)MIN((size_t)n, size - at);
        if (!(seen[id / 8] >> (id % 8) & 1)) {
            part_begin(&w, id);
            MUST(buf_put(&out, str_make((const char *)data + at, n)));
            part_end(&w, compress);
        }
        seen[id / 8] |= (uint8_t)(1 << (id % 8));
        at += n;
    }
    MUST(parts_end(&w, kind, 1));
    block_info info = {.kind = (uint8_t)kind,
                       .level = 1,
                       .version = 1,
                       .rows = rows,
                       .min_ts_ns = INT64_MIN,
                       .max_ts_ns = INT64_MAX,
                       .bytes = out.n};
    block_io io = {.memory = buf_str(&out), .id = 1};
    err e = {0};
    rc code = ops->verify(&io, &info, &e);
    MUST(code == RC_OK || code == RC_CORRUPT || code == RC_LIMIT);
    fuzz_list once = {0}, twice = {0};
    size_t bad = 99;
    rc merged = ops->merge(&io, &info, 1, 1 << 20, fuzz_keep, &once, NULL, &bad, &e);
    if (merged == RC_CORRUPT) MUST(bad == 0 && code != RC_OK);
    if (code == RC_OK && merged == RC_OK && once.count) {
        for (size_t i = 0; i < once.count; i++)
            MUST(ops->verify(&once.io[i], &once.info[i], &e) == RC_OK);
        rc again =
            ops->merge(once.io, once.info, once.count, 1 << 20, fuzz_keep, &twice, NULL, &bad, &e);
        if (again == RC_OK)
            MUST(twice.rows == once.rows);
        else
            MUST(again == RC_LIMIT);
    }
    fuzz_drop(&once);
    fuzz_drop(&twice);
    parts_release(&w);
    buf_release(&out);
    return 0;
}

#endif
