/* edgeblock_int.h - rows of service edges in memory: what the builder fills, merges add up, and
 * selects read. */
#ifndef FL_STORE_EDGEBLOCK_INT_H
#define FL_STORE_EDGEBLOCK_INT_H

#include "base/bits.h"
#include "base/map.h"
#include "base/vec.h"
#include "store/parts.h"

enum {
    EDGE_BLOCK_VERSION = 1,
    EDGE_ROWS_MAX = BLOCK_ROWS_MAX,
    EDGE_NAMES_MAX = 1 << 16, /* services and peers known at once: more are "(other)" */
    EDGE_BUCKETS = 496,       /* of the sketch: 8 a power of two of nanoseconds */
};
#define EDGE_MINUTE_NS INT64_C(60000000000)

typedef struct edge_bucket {
    uint16_t index;
    uint64_t count;
} edge_bucket;

typedef struct edge_row {
    uint32_t caller, callee, kind; /* names */
    int64_t minute_ns;
    uint64_t calls, errors, sum_ns, max_ns;
    VEC(edge_bucket) sketch; /* by index */
} edge_row;

typedef struct edge_table {
    intern names;
    uint32_t other;
    map64 by_key;
    VEC(edge_row) rows;
} edge_table;

void edge_table_init(edge_table *t);
void edge_table_release(edge_table *t);
void edge_table_reset(edge_table *t); /* no rows; names stay */
uint32_t edge_table_name(edge_table *t, str name);
/* NULL when EDGE_ROWS_MAX are there. Valid until the next. */
edge_row *edge_table_row(edge_table *t, uint32_t caller, uint32_t callee, uint32_t kind,
                         int64_t minute_ns);
void edge_row_add(edge_row *r, uint16_t index, uint64_t count);
unsigned edge_bucket_of(uint64_t ns);
/* Nanoseconds at which share q (0..1) of the calls is reached, an estimate within 6%. */
double edge_row_quantile(const edge_row *r, double q);

/* Rows, ordered by minute and names, as one block. */
MUST_CHECK rc edge_table_put(edge_table *t, int level, uint64_t raw_bytes, block_put put,
                             void *put_ctx, err *e);
/* Adds the rows of a block whose minute overlaps [from, to); 0,0 = all. RC_LIMIT when the table is
 * full: what was added stays. */
MUST_CHECK rc edge_table_add_block(edge_table *t, const block_io *io, const block_info *info,
                                   int64_t from_ns, int64_t to_ns, select_stats *stats, err *e);

#endif
