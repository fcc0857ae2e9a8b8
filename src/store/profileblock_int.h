/* profileblock_int.h - reading one block of profiles. */
#ifndef FL_STORE_PROFILEBLOCK_INT_H
#define FL_STORE_PROFILEBLOCK_INT_H

#include "store/attrcols.h"
#include "store/parts.h"

enum {
    PROFILE_BLOCK_VERSION = 1,
    PROFILE_BLOCK_ROWS = 4096, /* of a merged block: each has many samples */
};

typedef struct profile_block {
    parts p;
    arena *mem;
    size_t rows, samples;
    /* profile_block_heads: profiles without samples, and the tables they need */
    profile *heads;
    const str *strings;
    const profile_attr *attrs;
    size_t string_count, attr_count;
    bool has_heads;
    /* profile_block_batch */
    profile_batch batch;
    bool has_batch;
} profile_block;

/* Everything lives in mem. */
MUST_CHECK rc profile_block_open(profile_block *b, const block_io *io, const block_info *info,
                                 arena *mem, err *e);
void profile_block_close(profile_block *b);
/* b->heads: all profiles, samples left out. */
MUST_CHECK rc profile_block_heads(profile_block *b, err *e);
/* b->batch: everything. */
MUST_CHECK rc profile_block_batch(profile_block *b, err *e);

#endif
