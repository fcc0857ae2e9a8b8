/* rules_int.h - the compiled form shared by rules.c (set, matching) and rules_yaml.c (reading). */
#ifndef FL_RCA_RULES_INT_H
#define FL_RCA_RULES_INT_H

#include "base/arena.h"
#include "base/vec.h"
#include "rca/rules.h"

/* A phrase is literal pieces with `*` between them. */
typedef struct phrase {
    const str *pieces; /* lower case, none empty */
    uint32_t piece_count;
    uint32_t longest;          /* index of the longest piece: the one that is indexed */
    uint32_t letters;          /* of all pieces */
    bool open_start, open_end; /* began or ended with `*`: no word boundary is asked for there */
} phrase;

typedef struct rule_group {
    uint32_t first, count; /* in phrase numbers of its rule */
} rule_group;

typedef struct rule_def {
    rule r;
    const phrase *phrases; /* those of the groups, then those of `not` */
    uint32_t phrase_count, positive_count;
    rule_group groups[RULE_GROUPS_MAX]; /* every one must hit */
    uint32_t group_count;
} rule_def;

typedef VEC(rule_def) rule_def_list;

/* Compiles `text` into *ret. NULL, or what is wrong with it. */
const char *phrase_compile(arena *mem, str text, phrase *ret);
/* Reads a rule file into `out`, texts owned by `mem`. */
MUST_CHECK rc rules_read_yaml(str yaml, str file_name, arena *mem, rule_def_list *out, err *e);

#endif
