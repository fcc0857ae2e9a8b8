/* source.h - the one read interface that detect, rca and query work through. Files being read,
 * batches in memory and (later) stored blocks all answer it, so a detector is written once.
 *
 * scan_logs   visits every record that matches, in batches. Sinks of different workers run at the
 * same time; one worker's calls are serial. Records reach the sink mined (shape and slots filled)
 * when the source mines. A source may be scanned again; the records and their refs are the same
 * each time. fetch_logs  the text of records by reference, for evidence. Order of refs is kept.
 * report      what was looked at: inputs, records, time range, and everything that was not as it
 * should be.
 *
 * Signals other than logs join here as further members (metrics, spans) with their issues. */
#ifndef FL_MODEL_SOURCE_H
#define FL_MODEL_SOURCE_H

#include "base/err.h"
#include "model/log.h"

typedef enum log_order {
    ORDER_ANY = 0, /* as fast as it goes; within one file a worker sees increasing seq */
    ORDER_TIME     /* one worker, all inputs merged by time (records without time follow their
                      predecessor) */
} log_order;

typedef struct log_scan {
    int64_t from_ns,
        to_ns;   /* half open; 0,0 = everything. Records without time take their predecessor's */
    str service; /* empty = all */
    log_order order;
    unsigned workers;           /* wanted; 0 = 1. The source may use fewer, never more */
    const volatile int *cancel; /* non-zero stops the scan with RC_CANCELLED; may be NULL */
} log_scan;

/* The batch is valid for the call only; the sink may annotate its records (mine fills shape and
 * slots). Returns RC_OK to go on; anything else stops the scan and is returned by it. */
typedef rc (*log_sink)(void *ctx, unsigned worker, log_batch *b, err *e);

typedef enum input_state { INPUT_OK = 0, INPUT_PARTIAL, INPUT_SKIPPED } input_state;

/* One input as it was found. Texts are owned by the source. */
typedef struct input_info {
    str name;    /* path as a person would open it; "-" for standard input */
    str format;  /* "json", "logfmt", "syslog-3164", "learned: <ts> <level> <word>" ... */
    str service; /* default service of its records, from the file name or directory */
    input_state state;
    str problem;    /* why it is partial or skipped, or a remark; empty when fine */
    uint64_t bytes; /* read after decompression */
    uint64_t bytes_on_disk;
    uint64_t lines, records, records_without_time, multi_line_records;
    uint64_t invalid_utf8_lines, nul_lines, cut_lines; /* cut: longer than the line maximum */
    uint64_t out_of_order;                             /* records earlier than their predecessor */
    int64_t first_ns, last_ns;                         /* TS_NONE when nothing had a time */
} input_info;

typedef struct source_report {
    const input_info *inputs;
    size_t count;
    uint64_t records, lines, bytes;
    int64_t first_ns, last_ns;
} source_report;

typedef struct source source;

typedef struct source_ops {
    rc (*scan_logs)(void *ctx, const log_scan *scan, log_sink sink, void *sink_ctx, err *e);
    /* ret[i].p == NULL where a record can no longer be read. Texts owned by `out`; cut at max_bytes
     * each. */
    rc (*fetch_logs)(void *ctx, const log_ref *refs, size_t count, size_t max_bytes, arena *out,
                     str *ret, err *e);
    void (*report)(void *ctx, source_report *ret); /* valid until the next scan */
    void (*free)(void *ctx);
} source_ops;

struct source {
    const source_ops *ops;
    void *ctx;
};

#endif
