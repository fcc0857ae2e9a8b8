/* parts.h - the payload of a block as numbered parts, each with its own checksum, each readable
 * alone: spans, metrics, profiles, edges.
 *
 *   part bytes ...                   from offset 0, in the order of the table
 *   table      for each part: id varint, codec u8 (0 plain, 1 zstd), stored bytes varint, [zstd:
 *              raw bytes varint], checksum u32
 *   tail       table bytes u32, parts u32, kind u8, version u8, 0 u16, checksum u64 of table and
 *              tail before it
 *
 * A part that would be empty is not written and reads as empty. */
#ifndef FL_STORE_PARTS_H
#define FL_STORE_PARTS_H

#include "store/block.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"

enum { PARTS_MAX = 1 << 16, PART_BYTES_MAX = 1 << 30 };

typedef struct part_entry {
    uint32_t id, bytes, raw_bytes, check;
    uint64_t offset;
    uint8_t codec;
} part_entry;

/* --- writing: appends to out --- */
typedef struct parts_writer {
    buf *out; /* borrowed; where the parts go */
    int level;
    uint32_t id; /* of the open part */
    size_t from; /* its start */
    size_t base; /* of the payload in out */
    void *zstd;  /* context, made at the first use */
    VEC(part_entry) parts;
    bool ok; /* false once out is full or memory is out */
} parts_writer;

void parts_begin(parts_writer *w, buf *out, int level);
void parts_release(parts_writer *w);
/* Between the two the caller appends to w->out. Ids in any order, each once. part_end with compress
 * tries zstd at level > 0: for parts whose bytes are not compressed already. */
void part_begin(parts_writer *w, uint32_t id);
void part_end(parts_writer *w, bool compress);
/* The table; false when anything did not fit. */
MUST_CHECK bool parts_end(parts_writer *w, block_kind kind, uint8_t version);

/* --- reading --- */
typedef struct parts {
    const block_io *io;
    block_cache *cache;  /* may be NULL: set after parts_open */
    part_entry *entries; /* by id */
    size_t count;
    uint8_t version;
    uint64_t bytes_read, bytes_decoded; /* for select_stats */
    VEC(const void *) pins;
} parts;

/* Reads the table into mem. RC_CORRUPT, RC_UNSUPPORTED: a newer version. Borrows io. */
MUST_CHECK rc parts_open(parts *p, const block_io *io, uint64_t bytes, block_kind kind,
                         uint8_t version, arena *mem, err *e);
void parts_close(parts *p);
const part_entry *parts_find(const parts *p, uint32_t id);
/* The bytes of a part: in mem, in the block's memory or pinned in the cache until parts_close.
 * Empty when there is no such part. */
MUST_CHECK rc parts_get(parts *p, uint32_t id, arena *mem, str *ret, err *e);
/* Columns of a part; count values of zero / empty when the part is missing. */
MUST_CHECK rc parts_i64(parts *p, uint32_t id, size_t count, arena *mem, int64_t **ret, err *e);
MUST_CHECK rc parts_str(parts *p, uint32_t id, size_t count, arena *mem, str **ret, err *e);
/* All parts are read and their checksums compared. */
MUST_CHECK rc parts_verify(parts *p, arena *tmp, err *e);

/* Columns written as parts; all zero or all empty: no part. */
void part_i64(parts_writer *w, uint32_t id, const int64_t *v, size_t count);
void part_str(parts_writer *w, uint32_t id, const str *v, size_t count);

#endif
