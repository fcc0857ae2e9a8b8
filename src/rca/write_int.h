/* write_int.h - from the working set to the plain data of an incident. Private to the room. */
#ifndef FL_RCA_WRITE_INT_H
#define FL_RCA_WRITE_INT_H

#include "rca/rca_int.h"

/* Rules of category "change_event" describe deployments and restarts, not failures. */
bool rca_is_change_rule(const rule *r);
void rca_name_rule(incident *in, const rule *r, str *ret_type, incident_text *ret_title);
void rca_write_looked_at(const rca_input *in, const source_report *report, incident *ret);
MUST_CHECK rc rca_write_findings(const rca_input *in, const source_report *report, incident *ret,
                                 err *e);
/* Everything that follows from the ranking: entities, steps, path, evidence, cause ... */
MUST_CHECK rc rca_write(const rca_input *in, const source_report *report, const ranking *r,
                        incident *ret, err *e);

#endif
