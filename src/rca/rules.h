/* rules.h - the open rule base: evidence to anomaly type and remediation. A YAML file, documented
 * in docs/rules.md, extensible by users. */
#ifndef FL_RCA_RULES_H
#define FL_RCA_RULES_H

#include "base/err.h"
#include "base/str.h"

typedef struct rules rules;

rules *rules_new(void);
void rules_free(rules *r);
/* The shipped rules (embedded in the binary from rules/builtin.yaml). */
MUST_CHECK rc rules_add_builtin(rules *r, err *e);
/* A user's rules: same ids replace. RC_INVALID with line number and what to do; nothing is added
 * then. */
MUST_CHECK rc rules_add_yaml(rules *r, str yaml, str file_name, err *e);
size_t rules_count(const rules *r);

#endif
