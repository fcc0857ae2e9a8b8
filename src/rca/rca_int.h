/* rca_int.h - the working set of one analysis, shared by rca.c (the frame), rank.c (who failed
 * first) and write.c (what the incident says). */
#ifndef FL_RCA_RCA_INT_H
#define FL_RCA_RCA_INT_H

#include "rca/mentions.h"
#include "rca/rca.h"

enum {
    FACTS_MAX = INCIDENT_FINDINGS_MAX,
    FACT_RECORDS = 2, /* of a finding, that are read */
    FACT_TEXTS = 1 + FACT_RECORDS,
    WARNINGS_MAX = 64,
    FACT_TEXT_BYTES = 4096,
    ENTITIES_MAX = INCIDENT_ENTITIES_MAX,
    RANK_NONE = -1
};

/* One finding of the incident, as rca works on it. */
typedef struct fact {
    const finding *f;
    size_t index;    /* of its incident_finding */
    double at;       /* onset on the order axis: seconds since the cluster's begin, or a share of
                        the input when nothing has a time */
    double weight;   /* 0..1: surprise and meaning of a failure together */
    bool failing;    /* its text or level speaks of a failure, or lines stopped */
    bool told;       /* its own text or level does: what stopped or dropped says nothing itself */
    bool unanswered; /* its text says that something does not answer, not that it answered badly */
    int entity;      /* whose lines these are */
    str records[FACT_RECORDS]; /* by reference; p NULL when it cannot be read */
    str texts[FACT_TEXTS];     /* the template, and the records that there are */
    size_t text_count;
    mention mentions[MENTIONS_MAX];
    int mentioned[MENTIONS_MAX]; /* entity of each, or RANK_NONE */
    size_t mention_count;
    const rule *rule; /* best match; NULL = none */
} fact;

typedef struct candidate {
    incident_entity e;
    double at; /* onset on the order axis */
    int first; /* fact: its own first significant one; the naming one when it has none failing */
    int named; /* fact that names it first, of entity `seen_by` */
    int seen_by;
    int failing_facts;
    bool has_lines; /* the source has lines of it, whether or not something is abnormal in them */
} candidate;

/* A finding outside the incident that may turn out to warn of its root. */
typedef struct warning {
    size_t index; /* of its incident_finding */
    str record;
} warning;

typedef struct ranking {
    arena *mem; /* scratch */
    fact *facts;
    size_t fact_count;
    warning warnings[WARNINGS_MAX];
    size_t warning_count;
    candidate cand[ENTITIES_MAX];
    size_t cand_count;
    double blame[ENTITIES_MAX][ENTITIES_MAX]; /* [a][b]: how much failures of a name b */
    double share[ENTITIES_MAX][ENTITIES_MAX]; /* [a][b]: how much of a's failures b explains */
    int blame_fact[ENTITIES_MAX][ENTITIES_MAX];
    uint64_t blame_records[ENTITIES_MAX][ENTITIES_MAX];
    int order[ENTITIES_MAX]; /* candidates, best first */
    bool one_service;
    bool ordered, timed; /* the order axis means something; it is seconds */
    double slack;        /* onsets closer than this are the same moment */
    double spread;       /* of the onsets of failing facts */
    double confidence;
} ranking;

double fact_weight(const finding *f, bool *ret_failing);
/* The text or level of its records speaks of a failure. */
bool finding_tells(const finding *f);
/* Entities, blame, scores and order from the facts (weight, failing, at, texts are set). */
void rank_entities(ranking *r, const log_profile *profile);
/* Index of the fact whose rule explains the incident best, for entity `e`; RANK_NONE: no rule. */
int rank_cause(const ranking *r, int e);

#endif
