/* metric.h - metric points in OTLP's terms. Everything borrows from the batch's arena or its
 * request body. Prometheus remote write maps into it: a sample is a point of a gauge (or of a sum
 * when its name or metadata says counter) whose labels are the point's attributes, `job` and
 * `instance` included; the Prometheus name is kept. */
#ifndef FL_MODEL_METRIC_H
#define FL_MODEL_METRIC_H

#include "model/attribute.h"

/* The order is the on-disk order: only append. */
typedef enum metric_kind {
    METRIC_NONE = 0, /* a metric without data: nothing to store */
    METRIC_GAUGE,
    METRIC_SUM,
    METRIC_HISTOGRAM,
    METRIC_EXP_HISTOGRAM,
    METRIC_SUMMARY
} metric_kind;

typedef enum metric_temporality {
    TEMPORALITY_NONE = 0,
    TEMPORALITY_DELTA,
    TEMPORALITY_CUMULATIVE
} metric_temporality;

typedef struct exemplar {
    int64_t ts_ns;
    str trace_id, span_id; /* 16 and 8 bytes, or empty */
    const attribute *attrs;
    uint32_t attr_count;
    bool is_int, no_value; /* no_value: neither as_int nor as_double was sent */
    int64_t num;           /* int64_t, or the bits of a double */
} exemplar;

typedef struct metric_info {
    str name, unit, description;
    const attribute *metadata;
    uint32_t metadata_count;
    uint8_t kind; /* metric_kind */
    bool monotonic;
    int32_t temporality;      /* proto3 enums are open */
    const resource *resource; /* never NULL (an empty one for remote write) */
    const scope *scope;       /* NULL: none */
} metric_info;

enum { POINT_NO_VALUE = 1 }; /* flags: the series ended (a Prometheus staleness marker) */

typedef struct metric_point {
    uint32_t metric; /* index in metric_batch.info */
    uint32_t flags;
    int64_t start_ns, ts_ns;
    const attribute *attrs;
    uint32_t attr_count, exemplar_count;
    const exemplar *exemplars;
    /* gauge, sum */
    bool is_int, has_sum, has_min, has_max,
        has_value; /* has_value: neither as_int nor as_double was sent when false */
    int64_t num;   /* int64_t, or the bits of a double */
    /* histogram, exponential histogram, summary */
    uint64_t count;
    double sum, min, max;
    const uint64_t *buckets; /* counts; of an exponential one those of the positive side */
    const double *bounds;    /* explicit bounds; of a summary the quantiles */
    const double *values;    /* of a summary: the values at its quantiles */
    const uint64_t *negative;
    uint32_t bucket_count, bound_count, negative_count;
    int32_t scale, offset, negative_offset;
    uint64_t zero_count;
    double zero_threshold;
} metric_point;

typedef struct metric_batch {
    metric_info *info;
    size_t info_count, info_cap;
    metric_point *rec;
    size_t count, cap;
} metric_batch;

#endif
