/* detect.h - detectors over logs: a profile in, findings out.
 *
 * Detectors: new and long-unseen templates; bursts and drops of a template's rate (robust, each
 * against its own null); lines that stopped; a shift of a service's error ratio; numeric parameters
 * far out; never-seen values in closed sets; severity by meaning of the text. Each finding has a
 * calibrated surprise in bits, an onset by change point, and references to records. */
#ifndef FL_DETECT_DETECT_H
#define FL_DETECT_DETECT_H

#include "detect/profile.h"
#include "model/finding.h"

typedef struct detect_opts {
    const log_profile
        *baseline; /* logs of a normal time; NULL = the records' own past is the baseline */
    const miner *baseline_miner;  /* of the baseline; NULL = shapes of the same miner */
    double false_alarms_per_scan; /* expected findings above Low on normal logs; 0 = 0.5 */
    size_t max_findings;          /* 0 = 200 */
} detect_opts;

/* What was done, so that "nothing found" can say what was looked at, and "undetermined" why. */
typedef struct detect_summary {
    bool undetermined;    /* too little data to tell normal from abnormal */
    str why_undetermined; /* static English text key: "few_records", "no_time", "little_time" ... ;
                           * empty otherwise
                           */
    size_t series_checked, params_checked, services_checked;
    uint64_t records;
    size_t findings_left_out; /* beyond max_findings */
    /* What found no room in the profile, see profile_totals. */
    uint64_t records_not_kept, params_not_kept, sets_not_kept, in_other_services;
} detect_summary;

MUST_CHECK rc detect_logs(const log_profile *p, const miner *m, const detect_opts *opts,
                          finding_set *out, detect_summary *ret, err *e);

/* 0..1: how much a text speaks of a failure, by an operations lexicon with negation ("no error", "0
 * failed", "recovered"). */
double detect_failure_meaning(str text);

#endif
