/* incident.h - what rca concludes and report prints: one incident, or "nothing abnormal", or
 * "undetermined". */
#ifndef FL_MODEL_INCIDENT_H
#define FL_MODEL_INCIDENT_H

#include "base/arena.h"
#include "model/finding.h"
#include "model/source.h"

typedef struct incident {
    arena mem; /* owns everything below */
} incident;

void incident_init(incident *in);
void incident_release(incident *in);

#endif
