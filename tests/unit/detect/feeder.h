/* feeder.h - invented logs for the tests: records go through the miner into a profile, as analyze
 * does it, from one or several workers. */
#ifndef FL_TESTS_DETECT_FEEDER_H
#define FL_TESTS_DETECT_FEEDER_H

#include "base/rng.h"
#include "detect/detect.h"

#define SECOND INT64_C(1000000000)
#define T0     (INT64_C(1700000000) * SECOND)

enum { FEEDER_WORKERS_MAX = 7 };

typedef struct feeder {
    unsigned workers;
    miner *m[FEEDER_WORKERS_MAX];
    log_profile *p[FEEDER_WORKERS_MAX];
    log_batch b[FEEDER_WORKERS_MAX];
    unsigned at;    /* worker of the record being added */
    uint64_t lines; /* line number of the last record */
    rng r;
} feeder;

void feeder_init(feeder *f, unsigned workers, uint64_t seed);
void feeder_release(feeder *f);
/* One record. Returns its line number. */
uint64_t feeder_log(feeder *f, int64_t ts_ns, const char *service, severity sev, const char *fmt,
                    ...) PRINTF_LIKE(5, 6);
/* Merges the workers, groups, detects. */
void feeder_detect(feeder *f, const detect_opts *opts, finding_set *out, detect_summary *sum);
/* Merges the workers into the first. */
void feeder_merge(feeder *f);

/* The strongest finding of a kind (or of any: FINDING_KIND_COUNT) whose template or service holds
 * `text`; NULL when there is none. */
const finding *feeder_find(const finding_set *s, finding_kind kind, const char *text);
size_t feeder_above_low(const finding_set *s);
void feeder_print(const finding_set *s);

#endif
