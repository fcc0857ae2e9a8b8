/* finding.h - what every detector, of any signal, emits. Grouping, rca, reports, alerts and the LLM
 * consume findings only.
 *
 * surprise_bits is -log2 of the probability of something at least this unusual under the series'
 * own null; it is comparable across kinds. A detector that does not know emits nothing, or an
 * `undetermined` note in its summary: never "normal". */
#ifndef FL_MODEL_FINDING_H
#define FL_MODEL_FINDING_H

#include "base/vec.h"
#include "model/log.h"

typedef enum finding_kind {
    FINDING_NEW_TEMPLATE = 0, /* never seen before the window (or long unseen) */
    FINDING_RARE_TEMPLATE,    /* seen once or a few times, and it speaks of a failure */
    FINDING_RATE_BURST,
    FINDING_RATE_DROP,
    FINDING_STOPPED,       /* lines that stopped; subject "whole_log": all of them, for a while;
                              "paused": those of a service or template, for a while */
    FINDING_ERROR_RATIO,   /* share of error records of a service shifted */
    FINDING_SESSION,       /* a session unlike the known ones */
    FINDING_SEQUENCE,      /* unexpected order within sessions or a flow */
    FINDING_PARAM_OUTLIER, /* a numeric parameter far out */
    FINDING_NEW_VALUE,     /* a never-seen value in a closed set */
    FINDING_MEANING,       /* the text itself says that something failed, whatever its level */
    FINDING_KIND_COUNT
} finding_kind;

typedef enum finding_level {
    LEVEL_NONE = 0,
    LEVEL_LOW,
    LEVEL_MEDIUM,
    LEVEL_HIGH,
    LEVEL_CRITICAL
} finding_level;

enum { FINDING_REFS = 6 };

typedef struct finding {
    finding_kind kind;
    finding_level level;
    int direction;          /* +1 more, -1 less, 0 neither */
    str service, component; /* entity */
    int64_t from_ns, to_ns; /* window in which it is abnormal; TS_NONE when there is no time */
    int64_t onset_ns;       /* when it began, by change point */
    double surprise_bits;
    double confidence;         /* 0..1 */
    double observed, expected; /* in `unit` */
    str unit;                  /* "lines/min", "ratio", "ms", "sessions" ... */
    str subject; /* parameter name or slot position, session key, value ... ; may be empty */
    uint64_t template_id; /* 0 when none */
    str template_text;
    uint8_t severity;           /* highest severity stated by the records concerned */
    double failure_meaning;     /* 0..1: how much the text speaks of a failure */
    uint64_t record_count;      /* records concerned */
    log_ref refs[FINDING_REFS]; /* the first one is the first record concerned */
    size_t ref_count;
} finding;

typedef struct finding_set {
    arena mem;          /* owns the texts */
    VEC(finding) items; /* highest level, then surprise, first */
} finding_set;

enum { FINDING_SET_MAX = 4096, FINDING_SET_ARENA_MAX = 64 << 20 };

void finding_set_init(finding_set *s);
void finding_set_release(finding_set *s);
/* Appends a copy (texts copied). NULL when the set is full; the caller counts what is left out. */
finding *finding_set_add(finding_set *s, const finding *f);
/* Deterministic order: level, surprise, onset, service, template. */
void finding_set_sort(finding_set *s);
str finding_kind_name(finding_kind k);   /* "new_template" ... (JSON value) */
str finding_level_name(finding_level l); /* "Low" ... "Critical", "None" */

#endif
