/* metricblock_int.h - blocks of metric points: series with their labels, and their points in
 * chunks. */
#ifndef FL_STORE_METRICBLOCK_INT_H
#define FL_STORE_METRICBLOCK_INT_H

#include "store/attrcols.h"
#include "store/intcode.h"
#include "store/parts.h"

enum {
    METRIC_BLOCK_VERSION = 1,
    METRIC_BLOCK_POINTS = 1 << 20, /* of a merged block, about */
    METRIC_BLOCK_SERIES = 8192,
    FRAME_BYTES = 64 << 10, /* chunks that are compressed together */
    SHARED_TIMES_MAX = 4096,
};

/* Numbers of parts: on disk. */
enum {
    MP_HEAD = 1, /* varints: infos, series, points, frames, chunks */
    MP_INFOS,
    MP_RESOURCES,
    MP_SCOPES,
    MP_SERIES_INFO,  /* number of the info of each series */
    MP_SERIES_COUNT, /* points of each series */
    MP_CHUNK_SERIES, /* series in each chunk; no part: one each */
    MP_CHUNK_BYTES,
    MP_FRAME_CHUNKS, /* chunks in each frame */
    MP_PAIR_FILTER,  /* fuse.h, over label_pair_hash of every label of every series; level 1 */
    MP_ATTRS = 0x1000,
    MP_TIMES = 0x2000,  /* + number: times that series share */
    MP_FRAMES = 0x4000, /* + number */
};

/* Points of a series, or of several one after the other, as columns. Members that may be NULL are
 * zero throughout. */
typedef struct points {
    size_t n;
    int64_t *ts;
    int64_t *num;       /* bits of doubles, or integers */
    int64_t *start;     /* may be NULL */
    int64_t *flags;     /* may be NULL */
    int64_t *types;     /* POINT_DOUBLE ...; may be NULL */
    metric_point *rich; /* of histograms, summaries and points with exemplars: all members but
                           metric and attrs are filled, those above too; else NULL */
} points;

enum { POINT_DOUBLE = 0, POINT_INT, POINT_NONE };

/* A chunk. `times`: number of the shared column and where the series begins in it, UINT32_MAX =
 * with the chunk. False: out is full. */
MUST_CHECK bool points_put(buf *out, const points *p, int level, uint32_t times, size_t from);
/* The columns of a chunk of n points in mem. Shared times come from `shared_times` (NULL: there
 * can be none). */
typedef struct shared_times {
    rc (*get)(void *ctx, uint32_t number, const int64_t **ret, size_t *ret_count, err *e);
    void *ctx;
} shared_times;
MUST_CHECK rc points_get(str chunk, size_t n, const shared_times *shared, arena *mem, points *ret,
                         err *e);
/* Point i whole; metric and attrs are the caller's to set. */
void points_at(const points *p, size_t i, metric_point *ret);
/* The value as select answers have it: NaN = no value. */
double points_value(const points *p, size_t i);
static inline int64_t point_type(const metric_point *p) {
    return !p->has_value ? POINT_NONE : p->is_int ? POINT_INT : POINT_DOUBLE;
}
/* Does it need a rich entry? */
bool point_is_rich(const metric_point *p, uint8_t kind);

/* The point with its lists in mem; false when it is full. */
MUST_CHECK bool point_copy(arena *mem, metric_point *p);

/* --- reading a block --- */
typedef struct metric_block {
    parts p;
    arena *mem;
    size_t info_count, series, point_count, frames, chunks;
    metric_info *infos;
    const resource *resources;
    const scope *scopes;
    size_t resource_count, scope_count;
    int64_t *series_info, *series_count;
    size_t *point_first; /* of each series, and the end */
    uint32_t *chunk_of;  /* a series' chunk */
    size_t *chunk_first; /* first series of each chunk, and the end */
    size_t *chunk_at;    /* offset in its frame */
    int64_t *chunk_bytes;
    uint32_t *frame_of;
    attr_cols attrs; /* rows are series */
    struct shared_column {
        int64_t *v;
        size_t n;
    } * times; /* SHARED_TIMES_MAX, loaded when asked for */
    size_t times_loaded, times_before;
    /* The chunk that was read last: level 0 has all series in one. */
    uint32_t last_chunk;
    points last;
    bool has_last;
} metric_block;

/* Counts and where chunks are. */
MUST_CHECK rc metric_block_open(metric_block *b, const block_io *io, const block_info *info,
                                arena *mem, err *e);
void metric_block_close(metric_block *b);
/* Infos, resources, scopes, series; no labels' values, no points. */
MUST_CHECK rc metric_block_load(metric_block *b, err *e);
/* The points of a series; valid until the next call or for ever, as mem has it. */
MUST_CHECK rc metric_block_points(metric_block *b, size_t series, points *ret, err *e);

/* --- identities --- */
/* What makes a series the same for readers. Order of attributes does not matter. */
uint64_t series_id(const metric_info *info, const attribute *attrs, uint32_t n);
bool same_info(const metric_info *a, const metric_info *b);
uint64_t info_hash(const metric_info *i);

/* --- writing one --- */
typedef struct series_in {
    const metric_info *info;
    attr_row attrs;
    size_t n; /* points */
} series_in;
typedef struct chunk_in {
    size_t series; /* whose points these are, one after the other; of one class of kinds */
    points p;
    uint32_t times; /* work space */
    size_t times_from;
} chunk_in;
MUST_CHECK rc metric_block_put(const series_in *s, size_t count, chunk_in *c, size_t chunks,
                               int level, uint64_t raw_bytes, arena *tmp, block_put put,
                               void *put_ctx, err *e);
MUST_CHECK rc metric_merge(const block_io *in, const block_info *info, size_t count,
                           size_t max_bytes, block_put put, void *put_ctx,
                           const volatile int *cancel, size_t *ret_bad, err *e);

#endif
