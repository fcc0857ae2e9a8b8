/* profile.h - what one pass over log records leaves behind for the detectors: bounded, mergeable,
 * order-independent.
 *
 * Per (service, shape): counts over time (buckets that widen as the span grows, aligned to absolute
 * powers of two seconds so that profiles of different threads merge exactly), first and last
 * record, example references, statistics of every typed parameter. Per service: totals and errors
 * over time, first error. Fed with mined batches; read by detect_logs and by rca.
 *
 *     log_profile *p = log_profile_new(&opts);          one per worker
 *     log_profile_feed(p, batch, e);                     from the sink of source scan_logs
 *     log_profile_merge(p, other, e);
 *     detect_logs(p, miner, &opts, findings, &summary, e);
 *
 * Same input, same result, whatever the number of workers. One thread per profile. */
#ifndef FL_DETECT_PROFILE_H
#define FL_DETECT_PROFILE_H

#include "base/err.h"
#include "mine/mine.h"
#include "model/log.h"

typedef struct log_profile log_profile;

typedef struct log_profile_opts {
    str default_service;       /* of records that state none, unless input_services has one */
    const str *input_services; /* by log_ref.file; may be NULL */
    size_t input_count;
    size_t max_series; /* (service, shape) pairs; 0 = 65,536; what does not fit is counted */
    size_t max_bytes;  /* 0 = 96 MiB */
    bool no_params;    /* keep no parameter statistics */
} log_profile_opts;

log_profile *log_profile_new(const log_profile_opts *opts);
void log_profile_free(log_profile *p);
MUST_CHECK rc log_profile_feed(log_profile *p, const log_batch *b, err *e);
MUST_CHECK rc log_profile_merge(log_profile *into, const log_profile *from, err *e);

typedef struct profile_totals {
    uint64_t records, errors, warnings, without_time;
    uint64_t not_kept;          /* records of series that found no room: counted per service only */
    uint64_t params_not_kept;   /* records whose parameters found no room */
    uint64_t sets_not_kept;     /* parameters whose values were given up for want of room */
    uint64_t in_other_services; /* records of services beyond the maximum, under one name */
    size_t services, series;
    int64_t first_ns, last_ns; /* TS_NONE without times */
    int64_t bucket_ns;         /* current width */
} profile_totals;
void log_profile_totals(const log_profile *p, profile_totals *ret);

/* One service as rca sees it. */
typedef struct profile_service {
    str name;
    uint64_t records, errors, warnings;
    int64_t first_ns, last_ns;
    int64_t first_error_ns;
    log_ref first_error_ref;
} profile_service;
size_t log_profile_service_count(const log_profile *p);
/* Services in byte order of names. */
void log_profile_service(const log_profile *p, size_t i, profile_service *ret);

#endif
