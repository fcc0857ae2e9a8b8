/* select_int.h - what each signal of the embedded engine provides for the ops table of store.h,
 * which embedded.c fills: signatures and contracts are those of store_ops. They work on snapshots
 * of blocks (block.h), never on files. */
#ifndef FL_STORE_SELECT_INT_H
#define FL_STORE_SELECT_INT_H

#include "store/block.h"

MUST_CHECK rc logs_select(store *s, const log_select *q, log_sink sink, void *ctx,
                          select_stats *stats, err *e);
MUST_CHECK rc logs_count(store *s, const log_select *q, const log_count_by *by,
                         store_count_sink sink, void *ctx, select_stats *stats, err *e);
MUST_CHECK rc spans_select(store *s, const span_select *q, store_telemetry_sink sink, void *ctx,
                           select_stats *stats, err *e);
MUST_CHECK rc edges_select(store *s, int64_t from_ns, int64_t to_ns, store_edge_sink sink,
                           void *ctx, select_stats *stats, err *e);
MUST_CHECK rc metrics_select(store *s, const metric_select *q, store_series_sink sink, void *ctx,
                             select_stats *stats, err *e);
MUST_CHECK rc profiles_select(store *s, const profile_select *q, store_telemetry_sink sink,
                              void *ctx, select_stats *stats, err *e);

/* The labels op takes a signal: embedded.c calls the one of that signal. */
MUST_CHECK rc logs_labels(store *s, str label, const select_common *q, store_name_sink sink,
                          void *ctx, select_stats *stats, err *e);
MUST_CHECK rc spans_labels(store *s, str label, const select_common *q, store_name_sink sink,
                           void *ctx, select_stats *stats, err *e);
MUST_CHECK rc metrics_labels(store *s, str label, const select_common *q, store_name_sink sink,
                             void *ctx, select_stats *stats, err *e);
MUST_CHECK rc profiles_labels(store *s, str label, const select_common *q, store_name_sink sink,
                              void *ctx, select_stats *stats, err *e);

#endif
