/* conclude.h - from what a scan gathered to an incident: detectors, then rca. What `analyze` over
 * files and over stored records share. */
#ifndef FL_RCA_CONCLUDE_H
#define FL_RCA_CONCLUDE_H

#include "detect/gather.h"
#include "rca/rca.h"

typedef struct conclude_input {
    const gathered *now;
    const gathered *before; /* the baseline; NULL without one */
    const miner *known;     /* templates of earlier runs, without a baseline; may be NULL */
    const source *source;   /* evidence texts */
    const rules *rules;
} conclude_input;

MUST_CHECK rc conclude(const conclude_input *in, finding_set *findings, detect_summary *ret_summary,
                       incident *ret, err *e);

#endif
