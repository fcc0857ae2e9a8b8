/* rca.h - findings to one incident: what failed first, the order of failures, the suspected cause,
 * who is affected, what to do.
 *
 * The ranking is computed from onsets, surprises, meaning and who mentions whom; the rule base
 * explains and remedies, it does not rank: with no rules the first failing component and the order
 * of failures still come out. Deterministic. */
#ifndef FL_RCA_RCA_H
#define FL_RCA_RCA_H

#include "detect/detect.h"
#include "model/incident.h"
#include "model/source.h"
#include "rca/rules.h"

typedef struct rca_input {
    const finding_set *findings;
    const detect_summary *summary;
    const log_profile *profile;
    const miner *miner;
    const source *source; /* evidence texts are fetched from it; may be NULL */
    const rules *rules;   /* may be NULL or empty */
} rca_input;

/* Everything in *ret is owned by ret->mem. */
MUST_CHECK rc rca_logs(const rca_input *in, incident *ret, err *e);

#endif
