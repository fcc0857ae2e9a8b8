/* rules.h - the open rule base: evidence to anomaly type and remediation. A YAML file, documented
 * in docs/rules.md, extensible by users.
 *
 *     rules *r = rules_new();
 *     rules_add_builtin(r, e);  rules_add_yaml(r, text, S("mine.yaml"), e);
 *     n = rules_match(r, &subject, found, ARRAY_LEN(found));    best first
 *
 * A rule set is built by one thread and then only read, by any number of threads. */
#ifndef FL_RCA_RULES_H
#define FL_RCA_RULES_H

#include "base/err.h"
#include "base/str.h"
#include "model/incident.h"

typedef struct rules rules;

/* Stated maxima of the format. */
enum {
    RULES_MAX = 2000,
    RULES_YAML_BYTES_MAX = 4 << 20,
    RULE_PHRASES_MAX = 200, /* of one rule, over any, all and not */
    RULE_GROUPS_MAX = 12,   /* entries of `all`, plus one for `any` */
    RULE_STEPS_MAX = 20,
    RULE_TEXT_BYTES_MAX = 4000,  /* one text of a rule */
    RULE_MATCH_BYTES_MAX = 16384 /* of a subject that are looked at */
};

typedef struct rule {
    str id, category;
    int cause_rank; /* 0 = a symptom of something else .. 100 = a cause */
    incident_text title, explanation;
    const incident_text *steps;
    size_t step_count;
    const str *references;
    size_t reference_count;
    str example;    /* a line that this rule is the best match of; may be empty */
    uint32_t kinds; /* bit per finding_kind it is limited to; 0 = all */
    uint32_t line;  /* of the rule in its file */
} rule;

rules *rules_new(void);
void rules_free(rules *r);
/* The shipped rules (embedded in the binary from rules/builtin.yaml). */
MUST_CHECK rc rules_add_builtin(rules *r, err *e);
/* A user's rules: same ids replace. RC_INVALID with line number and what to do; nothing is added
 * then. */
MUST_CHECK rc rules_add_yaml(rules *r, str yaml, str file_name, err *e);
size_t rules_count(const rules *r);
const rule *rules_at(const rules *r, size_t i); /* i < rules_count */
const rule *rules_get(const rules *r, str id);  /* NULL when absent */

/* What rules are matched on: all texts of one finding together (template, records as found). */
typedef struct rule_subject {
    const str *texts;
    size_t text_count;
    int kind; /* finding_kind; -1 = any: `kinds` is not looked at */
} rule_subject;

typedef struct rule_match {
    const rule *rule;
    unsigned specificity; /* letters of the phrases that matched: longer is more specific */
} rule_match;

/* Fills ret with the matching rules, most specific first (ties: higher cause_rank, then id), and
 * returns how many there are, at most cap. O(text + matches). */
size_t rules_match(const rules *r, const rule_subject *s, rule_match *ret, size_t cap);

#endif
