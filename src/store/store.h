/* store.h - where telemetry is kept: one interface, several engines. The embedded one (files on
 * this machine) is here; ClickHouse and PostgreSQL can stand beside it (README says how each would
 * do it).
 *
 * Writing: store_append takes a telemetry (logs already mined) and answers through `ack` when it is
 * durable, in the order of arrival, many appends to one sync (group commit). Nothing is
 * acknowledged before it is on disk; what was acknowledged is there exactly once after any crash.
 *
 * Reading: select structs say what is wanted (time range, matchers, text filters, limit); the
 * engine evaluates them on its columns (or translates them to SQL) and hands on matching records
 * only. Every read works on a snapshot: neither gap nor duplicate while data is compacted or
 * expires. A reader can be cancelled, has budgets, and says when its answer is partial.
 *
 * Label names are attribute names with every character outside [a-zA-Z0-9_] replaced by '_'
 * (service.name = service_name, as Loki and Prometheus have it); matchers may use either form. Of a
 * log record or span they are looked up in: resource attributes, scope (scope_name, scope_version),
 * record attributes, and the built-in names `level` (severity as text: trace debug info warn error
 * fatal unknown), `severity_text`, `trace_id`, `span_id` (hex), `event_name`; of spans also name,
 * kind, status. An absent label equals "" (as in Prometheus). */
#ifndef FL_STORE_STORE_H
#define FL_STORE_STORE_H

#include "model/source.h"
#include "model/telemetry.h"
#include "sys/clock.h"
#include "sys/fs.h"

typedef struct store store;

typedef enum signal_kind {
    SIGNAL_LOGS = 0,
    SIGNAL_SPANS,
    SIGNAL_METRICS,
    SIGNAL_PROFILES,
    SIGNAL_COUNT
} signal_kind;

/* --- what is looked for --- */

typedef enum match_op {
    MATCH_EQ = 0,
    MATCH_NE,
    MATCH_RE,
    MATCH_NOT_RE
} match_op; /* regex: PCRE2, anchored at both ends */
typedef struct label_match {
    str name, value;
    match_op op;
} label_match;

typedef enum line_op {
    LINE_HAS = 0,
    LINE_HAS_NOT,
    LINE_RE,
    LINE_NOT_RE
} line_op; /* regex: PCRE2, not anchored */
typedef struct line_filter {
    str text;
    line_op op;
} line_filter;

typedef enum select_order { SELECT_ANY = 0, SELECT_OLDEST_FIRST, SELECT_NEWEST_FIRST } select_order;

typedef struct select_common {
    int64_t from_ns, to_ns;   /* event time, half open; 0,0 = everything. Records without time: by
                                 observed, then arrival time */
    const label_match *match; /* all must hold */
    size_t match_count;
    uint64_t limit; /* records; 0 = all. With an order exactly the first ones in that order */
    select_order order;
    unsigned workers;           /* 0 = 1 */
    const volatile int *cancel; /* RC_CANCELLED */
    uint64_t max_bytes;         /* read and decoded; 0 = no budget. Beyond: partial */
    int64_t deadline_ns;        /* monotonic; 0 = none. Beyond: partial */
} select_common;

/* What a select did and whether its answer is whole. Added to what is there: zero it first. */
typedef struct select_stats {
    uint64_t blocks, blocks_pruned,
        blocks_read; /* of the signal in the snapshot; skipped by statistics; opened */
    uint64_t bytes_read, bytes_decoded;
    uint64_t rows, rows_matched; /* of opened blocks */
    uint64_t damaged_blocks;     /* could not be read: the answer is partial */
    bool partial;
    char reason[160];
} select_stats;

typedef enum log_want { /* columns of the answer; body, time, resource, scope, severity always */
                        LOG_WANT_ATTRS = 1,
                        LOG_WANT_IDS = 2,
                        LOG_WANT_REST = 4,   /* observed time, severity text, flags, event name,
                                                dropped counts, exact body type */
                        LOG_WANT_SHAPES = 8, /* shape and slots, as mining left them */
                        LOG_WANT_REFS = 16, /* ref: a stable name of the record: offset = time, line
                                               = hash of its content, file = STORE_REF_FILE */
                        LOG_WANT_ALL = 31
} log_want;

#define STORE_REF_FILE UINT32_MAX

typedef struct log_select {
    select_common c;
    const line_filter *lines; /* all must hold, on the body's text */
    size_t line_count;
    str trace_id, span_id; /* 16 and 8 bytes, or empty */
    uint8_t min_severity;
    uint32_t want; /* log_want */
} log_select;

typedef struct log_count_by {
    const str *labels; /* group by these labels (values "" when absent) */
    size_t label_count;
    int64_t step_ns, origin_ns; /* buckets [origin + k*step, +step); 0 = one bucket */
    bool want_bytes;            /* log_count.bytes, too: bodies have to be measured */
} log_count_by;

typedef struct log_count {
    const str *values;       /* of the labels; valid in the call */
    int64_t bucket_ns;       /* start */
    uint64_t records, bytes; /* bytes of body text (0 unless want_bytes) */
} log_count;

typedef struct span_select {
    select_common c;                          /* time: of the span's start */
    const uint8_t *trace_id;                  /* 16 bytes; NULL = any */
    str name;                                 /* exact; empty = any */
    int64_t min_duration_ns, max_duration_ns; /* 0 = no bound */
    int32_t status;                           /* span_status; -1 = any */
    int32_t kind;                             /* -1 = any */
    bool roots_only;
} span_select;

typedef struct metric_select {
    select_common c;     /* matchers on __name__ and on labels: resource attributes and point
                            attributes; limit: of points */
    uint32_t max_series; /* 0 = 100,000; beyond: partial */
    bool want_points; /* `points` of every kind, exactly as sent; else numbers come as ts and val */
} metric_select;

typedef struct metric_series {
    uint64_t id; /* hash of its identity, the same in every process */
    const metric_info *info;
    const attribute *attrs;
    uint32_t attr_count;
    size_t count;
    const int64_t *ts_ns; /* increasing */
    const double *val;    /* gauges and sums; NaN = no value. NULL for histograms and summaries */
    const metric_point *points; /* when wanted, and always for histograms and summaries; by time */
} metric_series;

typedef struct profile_select {
    select_common c;
    str type; /* sample type; empty = any */
} profile_select;

/* --- sinks: `worker` calls of one worker are serial. RC_OK to go on; anything else ends the scan
 * and is returned --- */
typedef rc (*store_telemetry_sink)(void *ctx, unsigned worker, const telemetry *t, err *e);
typedef rc (*store_series_sink)(void *ctx, const metric_series *s, err *e);
typedef rc (*store_count_sink)(void *ctx, const log_count *c, err *e);
typedef rc (*store_edge_sink)(void *ctx, const service_edge *edge, err *e);
typedef rc (*store_name_sink)(void *ctx, str name, uint64_t count, err *e);

/* --- state --- */
typedef struct store_signal_stats {
    uint64_t records, blocks, bytes_on_disk, raw_bytes; /* raw: as received */
    uint64_t records_journal;                           /* not compacted yet */
    int64_t first_ns, last_ns;                          /* event time; TS_NONE without records */
    uint64_t series;                                    /* metrics: distinct at least */
} store_signal_stats;

typedef struct store_stats {
    store_signal_stats signal[SIGNAL_COUNT];
    uint64_t appended, acknowledged, failed, refused; /* telemetries */
    uint64_t commits, syncs, commit_bytes;
    size_t queue_depth, queue_bytes, queue_max_bytes;
    uint64_t compactions, compaction_backlog_bytes, expired_partitions, damaged_blocks;
    uint64_t disk_bytes, disk_free_bytes;
    size_t cache_bytes;
    bool disk_full, read_only;
    char last_error[200];
} store_stats;

typedef struct store_partition {
    str name; /* "2026-11-20": UTC day of arrival */
    str path;
    bool cold, open;
    uint64_t bytes, files;
    uint64_t records[SIGNAL_COUNT];
    int64_t first_ns, last_ns;
} store_partition;

typedef struct fsck_finding {
    str file;
    uint64_t offset, bytes; /* of what is damaged */
    str what;               /* one line: what is wrong, how many records it costs, what to do */
    uint64_t records_lost;
    bool repaired;
} fsck_finding;

typedef struct store_ops {
    const char *name;
    rc (*append)(store *s, telemetry *t, void (*ack)(void *ctx, rc code, const err *e), void *ctx);
    rc (*logs)(store *s, const log_select *q, log_sink sink, void *ctx, select_stats *stats,
               err *e);
    rc (*count_logs)(store *s, const log_select *q, const log_count_by *by, store_count_sink sink,
                     void *ctx, select_stats *stats, err *e);
    rc (*spans)(store *s, const span_select *q, store_telemetry_sink sink, void *ctx,
                select_stats *stats, err *e);
    rc (*edges)(store *s, int64_t from_ns, int64_t to_ns, store_edge_sink sink, void *ctx,
                select_stats *stats, err *e);
    rc (*metrics)(store *s, const metric_select *q, store_series_sink sink, void *ctx,
                  select_stats *stats, err *e);
    rc (*profiles)(store *s, const profile_select *q, store_telemetry_sink sink, void *ctx,
                   select_stats *stats, err *e);
    /* Names of labels (label empty) or values of one, of records in the range that match; each
     * once, any order. */
    rc (*labels)(store *s, signal_kind signal, str label, const select_common *q,
                 store_name_sink sink, void *ctx, select_stats *stats, err *e);
    rc (*checkpoint)(store *s, str key, arena *out, str *ret, err *e); /* RC_NOT_FOUND */
    void (*stats)(store *s, store_stats *ret);
    rc (*partitions)(store *s, arena *out, const store_partition **ret, size_t *ret_count, err *e);
    /* Compacts everything there is now and waits (not for what comes later). */
    rc (*compact)(store *s, const volatile int *cancel, err *e);
    /* Verifies every checksum and every block. Calls fn for each damage; RC_CORRUPT when there was
     * any. */
    rc (*fsck)(store *s, bool repair, void (*fn)(void *ctx, const fsck_finding *f), void *ctx,
               void (*progress)(void *ctx, uint64_t bytes, uint64_t total), err *e);
    void (*close)(store *s); /* acknowledges or refuses what waits, syncs, frees */
} store_ops;

struct store {
    const store_ops *ops;
};

/* --- the embedded engine --- */
typedef struct store_opts { /* 0 / empty = the default in brackets */
    str dir;                /* holds hot/, lock */
    str cold_dir;           /* [dir/cold] partitions older than hot_days move here */
    bool read_only;         /* no lock, no writer: RC_UNSUPPORTED from append */
    uint32_t hot_days,
        cold_days;           /* [30, 90]: age at which a partition moves; at which it expires */
    uint64_t max_bytes;      /* [none] of all partitions: the oldest expire beyond it */
    uint64_t min_free_bytes; /* [1 GiB or 1% of the disk, the smaller] the oldest closed partition
                                on a file system expires below it; from hot it moves to cold when
                                that is another one with room */
    uint64_t journal_bytes;  /* [64 MiB] a journal is compacted beyond this size ... */
    uint32_t journal_age_s; /* [60] ... or after this time without a write, or 15 times this time */
    uint64_t compaction_backlog_bytes; /* [1 GiB] compaction waits for a quiet moment until this
                                          much waits for it */
    uint64_t queue_bytes; /* [64 MiB] of telemetry waiting to be written: RC_AGAIN beyond */
    uint64_t cache_bytes; /* [32 MiB] of decoded columns and results */
    bool no_background;   /* compaction and retention only when asked: tests */
    const sys_fs *fs;
    const sys_clock *clock;
    void (*on_event)(void *ctx, const char *event,
                     str detail); /* decisions, for the log; any thread */
    void *on_event_ctx;
} store_opts;

/* RC_EXISTS: another process has the directory open for writing (its pid in the message).
 * RC_UNSUPPORTED: files of a newer version. Damage does not prevent opening: it is counted and
 * named by fsck. */
MUST_CHECK rc store_open(const store_opts *opts, store **ret, err *e);
static inline void store_close(store *s) {
    if (s) s->ops->close(s);
}
/* Stored logs as a `source`, so that detect and rca work on them: borrows s, which must outlive it.
 */
MUST_CHECK rc store_source_new(store *s, const log_select *base, source *ret, err *e);

#endif
