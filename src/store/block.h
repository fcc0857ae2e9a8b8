/* block.h - what the engine's files are made of, and what lies between the files (journal,
 * segments, snapshots: no knowledge of signals) and the signals (log, span, metric, profile, edge
 * blocks: no knowledge of files).
 *
 * A block is the columnar form of records of one signal: encoded at level 0 (cheap, small, at
 * ingest) into a commit of the journal, merged at level 1 (large, sorted by time, compressed) into
 * a segment. It is self-contained: its own dictionaries, statistics, filters, and a checksum for
 * each part that can be read alone. One format and one reader for both levels. */
#ifndef FL_STORE_BLOCK_H
#define FL_STORE_BLOCK_H

#include "store/store.h"

/* On-disk numbers: only append. */
typedef enum block_kind {
    BLOCK_LOGS = 1,
    BLOCK_SPANS,
    BLOCK_METRICS,
    BLOCK_PROFILES,
    BLOCK_EDGES,
    BLOCK_CHECKPOINTS
} block_kind;
enum { BLOCK_KINDS = 7 };

enum {
    BLOCK_ROWS_MAX = 131072,    /* of a merged block ... */
    BLOCK_POINTS_MAX = 4 << 20, /* ... of metrics: they lie series after series, so that long runs
                                   of one series share a block */
    BLOCK_BYTES_MAX = 256 << 20,
    BLOCK_L0_ROWS_MAX = 131072 /* a request of more is cut into several blocks of one commit */
};

/* Kept beside every block by the files, in memory for every open block. 64 bytes on disk (little
 * endian). */
typedef struct block_info {
    uint8_t kind, level, version;
    uint32_t rows;
    int64_t min_ts_ns, max_ts_ns; /* event time (sorting time: see select_common) */
    uint64_t bytes;               /* of the payload */
    uint64_t raw_bytes;           /* of the records as received */
    uint64_t labels;     /* 64-bit Bloom mask of the hashes of service names: block_service_bit */
    uint64_t severities; /* logs: bit n = severity number n present; spans: bit n = status n;
                            metrics: distinct series of the block */
} block_info;

static inline uint64_t block_service_bits(str service) {
    uint64_t h = str_hash(service);
    return UINT64_C(1) << (h & 63) | UINT64_C(1) << (h >> 6 & 63);
}

/* Random access to a payload. read fills exactly n bytes or fails: RC_IO, RC_CORRUPT (beyond the
 * end). */
typedef struct block_io {
    rc (*read)(void *ctx, uint64_t offset, size_t n, void *to, err *e);
    void *ctx;
    uint64_t id; /* unique in this process and never used again: key of caches */
    str memory;  /* the whole payload when it lies in memory anyway: then nobody calls read; may be
                    empty */
} block_io;

typedef rc (*block_put)(void *ctx, const block_info *info, str payload, err *e);

/* Cancel flags are set by other threads. */
static inline bool store_cancelled(const volatile int *cancel) {
    return cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED);
}

typedef struct block_ops {
    block_kind kind;
    uint32_t large_rows; /* a level-1 block of so many rows is not merged again; 0 = half of
                            BLOCK_ROWS_MAX */
    /* What `t` holds of this kind as level-0 blocks through put (none when there is nothing).
     * Borrows t for the call. */
    rc (*encode)(telemetry *const *t, size_t count, block_put put, void *put_ctx, err *e);
    /* All rows of `in` (either level) as new level-1 blocks of at most BLOCK_ROWS_MAX rows,
     * time-ordered as far as memory (about max_bytes) allows. A damaged input block fails with
     * RC_CORRUPT and *ret_bad = its index. */
    rc (*merge)(const block_io *in, const block_info *info, size_t count, size_t max_bytes,
                block_put put, void *put_ctx, const volatile int *cancel, size_t *ret_bad, err *e);
    /* Every checksum, every column decoded, counts agree. RC_CORRUPT says what. */
    rc (*verify)(const block_io *in, const block_info *info, err *e);
} block_ops;

extern const block_ops LOG_BLOCKS, SPAN_BLOCKS, METRIC_BLOCKS, PROFILE_BLOCKS, EDGE_BLOCKS,
    CHECKPOINT_BLOCKS;

/* Edges between services need memory of spans that came before: who made the call that a span
 * answers. The engine owns one builder; its writer thread hands it each commit's telemetries in
 * place of EDGE_BLOCKS.encode (which sees only the pairs within its own call). Edges lie in the
 * commit of the span that completed the pair, so they are counted once, whatever happens; what
 * waits for a partner at a crash is forgotten (README says what that costs). One thread at a time.
 */
typedef struct edge_builder edge_builder;
edge_builder *edge_builder_new(void); /* returns owned */
void edge_builder_free(edge_builder *b);
/* now_ns: wall time. Puts at most one block. */
MUST_CHECK rc edge_builder_encode(edge_builder *b, telemetry *const *t, size_t count,
                                  int64_t now_ns, block_put put, void *put_ctx, err *e);
/* What waits for a partner is counted as it is: for the last commit at an orderly end. */
MUST_CHECK rc edge_builder_finish(edge_builder *b, block_put put, void *put_ctx, err *e);

/* --- reading the blocks of a snapshot (embedded engine) --- */
typedef struct block_ref {
    block_info info;
    block_io io;
} block_ref;

typedef struct snapshot snapshot;
/* The blocks of a kind whose time range overlaps, oldest first by min_ts (newest first by max_ts);
 * valid until released, files stay. stats->blocks and blocks_pruned are counted. */
MUST_CHECK rc snapshot_take(store *s, block_kind kind, int64_t from_ns, int64_t to_ns,
                            select_order order, snapshot **ret, select_stats *stats, err *e);
size_t snapshot_count(const snapshot *s);
const block_ref *snapshot_at(const snapshot *s, size_t i);
void snapshot_release(snapshot *s);
/* The sum of both, for a select that walks several snapshots. */
void select_stats_add(select_stats *to, const select_stats *from);
/* Marks an answer as partial; the first reason stays. */
void select_stats_partial(select_stats *st, const char *reason);
/* Calls fn(ctx, worker, ref) for blocks 0..count-1, in order of start, by up to `workers` threads
 * of the store's pool; RC_END from fn ends it without failure. Damage (RC_CORRUPT, RC_IO) of one
 * block is counted in stats and the others go on. fn counts blocks_read, or blocks_pruned when it
 * looked at statistics only; stats is the worker's own and added up in the end. q may be NULL. */
MUST_CHECK rc snapshot_each(snapshot *s, const select_common *q,
                            rc (*fn)(void *ctx, unsigned worker, const block_ref *ref,
                                     select_stats *stats, err *e),
                            void *ctx, select_stats *stats, err *e);

/* Bounded cache of the engine, shared by all readers: value bytes under (block id, part). A hit is
 * pinned until block_cache_unpin. Any thread. */
typedef struct block_cache block_cache;
/* In `part`: small and dear to make (a header, a query's result): kept rather than columns. */
#define BLOCK_CACHE_HOT (UINT64_C(1) << 63)
block_cache *store_block_cache(store *s);
const void *block_cache_get(block_cache *c, uint64_t block, uint64_t part,
                            size_t *ret_bytes); /* NULL = miss */
/* Takes p (mem_free'd when evicted). Returns it pinned, or an equal entry that came first. NULL
 * when it does not fit: p stays the caller's. */
const void *block_cache_put(block_cache *c, uint64_t block, uint64_t part, void *p, size_t bytes);
void block_cache_unpin(block_cache *c, const void *p);

#endif
