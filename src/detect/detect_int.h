/* detect_int.h - what the detectors of logs share: the timeline, the templates, candidates.
 *
 * One detector is one file with one function `detect_<what>(scan *)`: it reads the scan and calls
 * scan_candidate. detect.c builds the scan, weighs candidates against the budget of false alarms,
 * folds what belongs together and hands out findings. */
#ifndef FL_DETECT_DETECT_INT_H
#define FL_DETECT_DETECT_INT_H

#include "detect/detect.h"
#include "detect/profile_int.h"

/* Detectors share the budget of false alarms evenly. */
enum { DETECTOR_COUNT = 6 };

/* A template within one service: the records that the detectors count. */
typedef struct tmpl {
    uint64_t id;
    uint32_t service;
    str text, component;
    double meaning; /* of the text */
    double concern; /* meaning and stated severity together, 0..1 */
    uint8_t severity;
    uint64_t records, errors;
    place first, last;
    size_t first_bucket, last_bucket; /* on the timeline; SIZE_MAX when outside it */
    size_t occupied;                  /* buckets of the timeline with records */
    size_t series_from, series_count; /* in scan.order */
    bool in_baseline;
} tmpl;

typedef struct candidate {
    finding f;     /* texts borrowed from the scan's arena, the miner, the profile */
    double needed; /* bits that this detector asks for */
    double concern;
    size_t bucket; /* onset on the timeline, SIZE_MAX when none */
    size_t tmpl;   /* index, SIZE_MAX when none */
} candidate;

typedef struct scan {
    const log_profile *p;
    const miner *m;
    const detect_opts *opts;
    arena mem;
    /* The timeline: buckets with records, oldest first, without stray timestamps far from the rest.
     * Time in which nobody logged anything is not on it. */
    int64_t *buckets;
    size_t n;
    double *total;   /* [n] records */
    size_t warmup;   /* buckets taken as the log's own past */
    uint32_t *order; /* series by (service, template) */
    tmpl *tmpls;
    size_t tmpl_count;
    VEC(candidate) found;
    detect_summary sum;
    /* The baseline, when given: series of it by template text within a service, and by shape. */
    const log_profile *base;
    map64 base_by_text, base_by_shape;          /* -> 1 + first series; further ones by base_next */
    uint32_t *base_next_text, *base_next_shape; /* 1 + next series, 0 = end */
} scan;

/* Position of a bucket on the timeline: SIZE_MAX when it is not there. */
size_t scan_bucket(const scan *s, int64_t bucket);
int64_t scan_bucket_ns(const scan *s, size_t i);     /* begin */
int64_t scan_bucket_end_ns(const scan *s, size_t i); /* end */
/* End of the timeline: the last record, or the end of the last bucket when strays lie behind. */
int64_t scan_end_ns(const scan *s);
/* Counts of a template per bucket into x[0..n). */
void scan_counts(const scan *s, const tmpl *t, double *x);
/* Time of the template's first record in a bucket; the bucket's begin when it has none. */
int64_t scan_first_in_bucket(const scan *s, const tmpl *t, size_t bucket);
/* References of the records that come first in buckets from `bucket` on. */
void scan_refs(const scan *s, const tmpl *t, size_t bucket, size_t to, finding *f);
/* Counts per bucket of the timeline into x[0..n). */
void scan_bucket_counts(const scan *s, const bucket_counts *b, double *x);
/* Records of a service per bucket (errors only when `bad`). */
void scan_service_counts(const scan *s, size_t service, bool bad, double *x);
/* Windows of the baseline as wide as `scale` of the scan's buckets, oldest first, into out[0..max):
 * of a template, or (t NULL) of all or the error records of the service named. Returns their
 * number; 0 when there is no baseline, nothing of it matches, or its buckets are wider. */
size_t scan_base_windows(const scan *s, const tmpl *t, str service, bool bad, size_t scale,
                         double *out, size_t max);
/* First bucket of a change of which [from, to) is the clearest window, `scale` wide: goes back
 * while the rate stays beyond `level` (per bucket; above it for direction 1, below for -1), then
 * takes the best split between the calm before and what follows. */
size_t scan_onset(const double *x, size_t from, size_t to, size_t scale, double level,
                  int direction);
/* Bits that one of `tests` of a detector needs. */
double scan_needed(const scan *s, double tests);
/* Starts a candidate about a template (fills entity, texts, severity). */
candidate scan_candidate(const scan *s, const tmpl *t, finding_kind kind);
void scan_add(scan *s, const candidate *c);

/* Of a value in a closed set (detect_params.c): how much it speaks of a failure; "name=value". */
double param_value_concern(const param_stat *stat, const param_value *v);
str param_value_subject(scan *s, const log_series *series, unsigned k, const param_value *v);

/* How surprising is a value above all of the past, by a tail fitted to the past's own peaks: see
 * detect_rate.c. */
enum { RECORD_TOP = 21 };
typedef struct record_null {
    double top[RECORD_TOP]; /* the largest values > 0, descending */
    size_t kept, positive, past;
} record_null;
void record_null_add(record_null *r, double x);
double record_null_bits(const record_null *r, double x, double scale);
double record_null_max(const record_null *r);

void detect_new(scan *s);
void detect_rate(scan *s);
void detect_errors(scan *s);
void detect_stopped(scan *s);
void detect_silence(scan *s);
void detect_params(scan *s);

#endif
