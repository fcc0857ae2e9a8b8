/* profile_int.h - the inside of a log profile, for the detectors. */
#ifndef FL_DETECT_PROFILE_INT_H
#define FL_DETECT_PROFILE_INT_H

#include "algo/logbins.h"
#include "base/map.h"
#include "base/vec.h"
#include "detect/profile.h"

enum {
    PROFILE_BUCKETS_MAX = 1024, /* different buckets with records; more make buckets widen */
    PROFILE_SERVICES_MAX = 1024,
    PROFILE_LEVEL_MAX = 30,   /* bucket width 2^30 s */
    PROFILE_PERIOD_SHIFT = 5, /* a period of parameter statistics is 32 buckets */
    PROFILE_SLOTS_MAX = 12,   /* parameters of a shape that are watched */
    PROFILE_VALUES_MAX = 32,  /* different values of a closed set */
    PROFILE_VALUE_BYTES = 31,
};

/* A record: where and when. Order: time, file, offset. */
typedef struct place {
    int64_t ns; /* TS_NONE sorts first */
    uint64_t offset, line;
    uint32_t file, bytes;
} place;

/* Records of one series, or errors of a service, within one bucket. */
typedef struct bucket_count {
    int64_t bucket; /* ts in seconds >> level */
    uint64_t count;
    place first;
} bucket_count;

typedef VEC(bucket_count) bucket_counts; /* by bucket, ascending */

typedef enum value_unit {
    UNIT_NONE = 0,
    UNIT_MS,
    UNIT_BYTES,
    UNIT_PERCENT,
    UNIT_OTHER,
    UNIT_MIXED
} value_unit;

/* Numbers of one slot within one period. */
typedef struct param_period {
    int64_t period; /* bucket >> PROFILE_PERIOD_SHIFT */
    uint64_t count; /* zeros and negatives included */
    uint64_t low;   /* zeros and negatives */
    uint16_t bin_from, bin_count;
    uint32_t *bins; /* [bin_count], from bin_from */
    double max;
    place max_at, first;
} param_period;

typedef struct param_value {
    uint64_t hash, count;
    place first;
    int64_t last_ns;
    bucket_counts failures; /* records over time; kept only for values that speak of a failure */
    size_t last_failure;
    bool failure;
    uint8_t text_bytes;
    char text[PROFILE_VALUE_BYTES];
} param_value;

typedef struct param_stat {
    uint64_t seen;    /* records with this slot */
    uint64_t numbers; /* of them numeric */
    value_unit unit;
    bool unit_known;           /* a number other than 0 was seen; zeros are of any unit */
    bool open;                 /* more than values_max different values: `values` is empty */
    bool given_up;             /* open because memory ran short, not because of its values */
    VEC(param_period) periods; /* ascending */
    VEC(param_value) values;   /* in order of hash */
    size_t last_period, last_value;
} param_stat;

typedef struct log_series {
    uint64_t shape;
    uint32_t service;
    uint32_t component; /* intern id; INTERN_NONE: none or several */
    bool several_components;
    uint8_t max_severity;
    uint8_t slot_count; /* watched */
    uint64_t records, errors, warnings;
    place first, last;
    bucket_counts buckets;
    size_t last_bucket;
    param_stat *params; /* [slot_count]; NULL when not kept */
} log_series;

typedef struct log_service {
    uint64_t records, errors, warnings;
    int64_t first_ns, last_ns;
    place first_error;
    bucket_counts all, bad; /* bad: severity >= ERROR */
    size_t last_all, last_bad;
} log_service;

struct log_profile {
    log_profile_opts opts;
    unsigned level; /* bucket width is 2^level seconds */
    bool any_time;
    bool full;           /* no room for further series or parameters */
    bool params_off;     /* parameters were given up for want of room */
    unsigned values_max; /* different values of a closed set; halved when memory runs short */
    intern service_names, components;
    VEC(log_service) services;
    VEC(uint32_t) by_name;       /* service ids in byte order of names */
    VEC(uint32_t) input_service; /* by file: service id, or INTERN_NONE */
    uint32_t default_service;
    map64 series_index; /* mix(service, shape) -> index */
    VEC(log_series) series;
    bucket_counts timeline; /* all records; `first` unused */
    size_t last_timeline;
    size_t bytes; /* of what the vectors hold */
    uint64_t records, errors, warnings, without_time, not_kept;
    uint64_t params_not_kept; /* records whose parameters found no room */
    int64_t first_ns, last_ns;
    /* the last service text, to save a lookup */
    str last_service_text;
    uint32_t last_service;
};

/* Begin of a bucket; cut to what an int64_t of nanoseconds holds. */
static inline int64_t profile_bucket_ns(const log_profile *p, int64_t bucket) {
    int64_t s = (int64_t)((uint64_t)bucket << p->level), max = INT64_MAX / 1000000000;
    return s > max ? INT64_MAX : s < -max ? -INT64_MAX : s * 1000000000;
}
/* Bucket of a time (not TS_NONE). */
static inline int64_t profile_bucket_of(const log_profile *p, int64_t ns) {
    int64_t s = ns / 1000000000;
    if (ns < 0 && s * 1000000000 != ns) s--;
    return s >> p->level;
}
static inline log_ref place_ref(const place *p) {
    return (log_ref){.offset = p->offset, .line = p->line, .file = p->file, .bytes = p->bytes};
}
int place_cmp(const place *a, const place *b);
/* Does a value speak of a failure: an HTTP status 5xx, or by its words? */
bool profile_value_fails(str text);
/* Number in a slot's text; false when it is none. *ret_unit: the base unit it was converted to. */
bool profile_number(str text, uint8_t type, double *ret, value_unit *ret_unit);

#endif
