/* spanblock_int.h - reading one block of spans: whole columns first, records of chosen rows after.
 */
#ifndef FL_STORE_SPANBLOCK_INT_H
#define FL_STORE_SPANBLOCK_INT_H

#include "store/attrcols.h"
#include "store/parts.h"

enum {
    SPAN_BLOCK_VERSION = 1,
    /* Of a merged block: a trace is read by decoding one block, so blocks are small; the ids, which
     * nothing compresses, are most of it. */
    SPAN_BLOCK_ROWS = 16384,
};

/* Numbers of parts: on disk. */
enum {
    SP_HEAD = 1, /* varints: rows, runs, literal parents, events, links */
    SP_RUNS,     /* rows of each run: consecutive spans of one trace */
    SP_TRACES,   /* 16 bytes a run */
    SP_SPAN_IDS, /* 8 bytes a row */
    SP_PARENTS,  /* 0 root; 1 next literal; 2 + k: row k of the run */
    SP_PARENT_IDS,
    SP_STARTS,    /* of the first row of each run */
    SP_OFFSETS,   /* of each row's start to it; rows that begin a run are left out */
    SP_DURATIONS, /* end - start, modulo 2^64 */
    SP_NAMES,
    SP_KINDS,
    SP_STATUSES,
    SP_MESSAGES,
    SP_STATES,
    SP_FLAGS,
    SP_DROPPED_ATTRS,
    SP_DROPPED_EVENTS,
    SP_DROPPED_LINKS,
    SP_RESOURCES,
    SP_RESOURCE_OF,
    SP_SCOPES,
    SP_SCOPE_OF,
    SP_TRACE_FILTER, /* fuse.h, over hashes of trace ids */
    SP_PAIR_FILTER,  /* fuse.h, over label_pair_hash; level 1 */
    SP_PAIR_KEYS,    /* u64 each: hashes of the label names that the filter covers */
    SP_EVENT_COUNTS,
    SP_EVENT_TIMES, /* to the span's start */
    SP_EVENT_NAMES,
    SP_EVENT_DROPPED,
    SP_LINK_COUNTS,
    SP_LINK_TRACES,
    SP_LINK_SPANS,
    SP_LINK_STATES,
    SP_LINK_FLAGS,
    SP_LINK_DROPPED,
    SP_ATTRS = 0x1000,
    SP_EVENT_ATTRS = 0x2000,
    SP_LINK_ATTRS = 0x3000,
};

enum span_want { /* columns */
                 WANT_TRACES = 1,
                 WANT_TIMES = 2, /* start and end, with the runs */
                 WANT_NAMES = 4,
                 WANT_KINDS = 8,
                 WANT_STATUSES = 16,
                 WANT_PARENTS = 32,
                 WANT_OWNERS = 64,  /* resources and scopes */
                 WANT_SHAPES = 128, /* of attributes, no values */
                 WANT_REST = 256,
                 WANT_ALL = 511
};

typedef struct span_block {
    parts p;
    arena *mem;
    size_t rows, runs, literals, events, links;
    unsigned loaded;
    uint32_t *run_of, *run_first;    /* of a row; of a run */
    uint8_t *traces, *ids, *parents; /* 16 a run; 8 a row; 8 a row */
    int64_t *start, *end;
    str *names, *messages, *states;
    int64_t *kinds, *statuses, *flags, *dropped[3], *resource_of, *scope_of;
    const resource *resources;
    const scope *scopes;
    size_t resource_count, scope_count;
    attr_cols attrs, event_attrs, link_attrs;
    int64_t *event_counts, *event_times, *event_dropped;
    str *event_names;
    int64_t *link_counts, *link_flags, *link_dropped;
    str *link_traces, *link_spans, *link_states;
} span_block;

/* Everything lives in mem; b->p.cache may be set after. */
MUST_CHECK rc span_block_open(span_block *b, const block_io *io, const block_info *info, arena *mem,
                              err *e);
void span_block_close(span_block *b);
/* Columns that are not there yet. */
MUST_CHECK rc span_block_load(span_block *b, unsigned want, err *e);
/* The records of rows (ascending) in `to`, borrowing from the block's memory. Loads everything. */
MUST_CHECK rc span_block_rows(span_block *b, const uint32_t *rows, size_t count, span *to, err *e);
/* False: surely no span of this trace. Reads the filter only. */
MUST_CHECK rc span_block_may_have(span_block *b, const uint8_t *trace_id, bool *ret, err *e);
uint64_t trace_id_hash(const uint8_t id[16]);

/* The time a span is found by: its start; of one without, its end. */
static inline int64_t span_time(int64_t start_ns, int64_t end_ns) {
    return start_ns ? start_ns : end_ns;
}

/* One block of these spans. Level 1: runs of one trace lie together. */
MUST_CHECK rc span_block_put(span *const *s, size_t count, int level, uint64_t raw_bytes,
                             arena *tmp, block_put put, void *put_ctx, err *e);

#endif
