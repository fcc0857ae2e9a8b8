/* query.h - questions in the ecosystem's languages over a store: the core of LogQL for logs,
 * selectors with step and simple aggregation in PromQL's syntax for metrics, span search and trace
 * assembly.
 *
 * text -> lexer -> parser (a tree, positions for messages) -> plan (what the store evaluates on its
 * columns, what is left for the executor) -> executor. A query has limits (records, series, bytes,
 * time) and says when its answer is partial; it can be cancelled. Results live in the caller's
 * arena. */
#ifndef FL_QUERY_QUERY_H
#define FL_QUERY_QUERY_H

#include "base/buf.h"
#include "store/store.h"

typedef struct query_opts {
    str text;
    int64_t from_ns, to_ns, step_ns; /* step 0: an instant query at to_ns */
    uint64_t limit;                  /* records of log queries; 0 = 100 */
    bool oldest_first;
    unsigned workers;
    const volatile int *cancel;
    int64_t timeout_ns;  /* 0 = 60 s: partial beyond */
    uint64_t max_bytes;  /* as in select_common */
    uint32_t max_series; /* 0 = 10,000 */
} query_opts;

typedef struct query_label {
    str name, value;
} query_label;

typedef struct query_entry { /* of a log stream */
    int64_t ts_ns;
    str line;
    const query_label
        *metadata; /* record attributes, trace_id, span_id, ... and what parsers extracted */
    size_t metadata_count;
    size_t parsed_count;      /* the last ones of metadata: what stages of the query made */
    const log_record *record; /* the whole record */
} query_entry;

typedef struct query_series {
    const query_label *labels; /* by name */
    size_t label_count;
    size_t count;
    const query_entry *entries; /* streams */
    const int64_t *ts_ns;       /* matrix, vector */
    const double *val;
} query_series;

typedef enum query_result_kind {
    RESULT_STREAMS = 0,
    RESULT_MATRIX,
    RESULT_VECTOR,
    RESULT_SCALAR
} query_result_kind;

typedef struct query_result {
    query_result_kind kind;
    const query_series *series;
    size_t count;
    select_stats stats; /* partial and its reason */
    int64_t duration_ns;
} query_result;

/* RC_INVALID: message with line:column of the text and what was expected. */
MUST_CHECK rc query_logs(store *s, const query_opts *o, arena *mem, query_result *ret, err *e);
MUST_CHECK rc query_metrics(store *s, const query_opts *o, arena *mem, query_result *ret, err *e);

/* What a text is, without running it. */
typedef enum query_language { QUERY_LOGS = 0, QUERY_METRICS } query_language;
/* {a="b", c=~"d"} alone (of metrics also name{...}): its matchers, in mem. `loose`: of metrics, as
 * a store's matchers, so that the name a_b finds a.b, too. RC_INVALID, also for more than a
 * selector. */
MUST_CHECK rc query_selector(str text, query_language l, bool loose, arena *mem,
                             const label_match **ret, size_t *ret_count, err *e);
/* RC_INVALID when it does not parse. *ret_streams: it answers with records, not with numbers. */
MUST_CHECK rc query_check(str text, query_language l, bool *ret_streams, err *e);
/* The text in one canonical form. */
MUST_CHECK rc query_format(str text, query_language l, buf *out, err *e);

/* Following: parses and plans once; offered batches (as they are stored) are filtered. */
typedef struct query_tail query_tail;
MUST_CHECK rc query_tail_new(str text, query_tail **ret,
                             err *e); /* log queries only, no metric queries */
void query_tail_free(query_tail *t);
/* Entries of the batch that pass, in mem. */
MUST_CHECK rc query_tail_offer(query_tail *t, const log_batch *b, arena *mem,
                               const query_entry **ret, size_t *ret_count, err *e);

/* Traces */
typedef struct trace_summary {
    uint8_t trace_id[16];
    str root_service, root_name; /* of the root span, else of the earliest */
    int64_t start_ns, duration_ns;
    uint32_t spans, errors, services, matched;
} trace_summary;

typedef struct trace_search {
    span_select select; /* limit: of traces, 0 = 20 */
    bool whole; /* summaries of whole traces (a lookup by id for each), else of the matched spans
                   only */
} trace_search;

/* One TraceQL spanset filter whose conditions are joined by && as a select: { resource.service.name
 * = "x" && duration > 2s && status = error }; "{}" selects all. Texts live in mem. RC_INVALID;
 * RC_UNSUPPORTED: TraceQL that is more than that. */
MUST_CHECK rc query_traceql(str text, arena *mem, span_select *ret, err *e);

MUST_CHECK rc query_traces(store *s, const trace_search *q, arena *mem, const trace_summary **ret,
                           size_t *ret_count, select_stats *stats, err *e);

typedef struct trace_node {
    const span *span;
    uint32_t parent; /* index, UINT32_MAX = root or parent unknown */
    uint32_t depth;
    int64_t self_ns; /* duration less the union of its children's */
} trace_node;
/* Nodes in display order: depth first, children by start time. RC_NOT_FOUND. Spans live in mem. */
MUST_CHECK rc query_trace(store *s, const uint8_t trace_id[16], arena *mem, const trace_node **ret,
                          size_t *ret_count, select_stats *stats, err *e);

#endif
