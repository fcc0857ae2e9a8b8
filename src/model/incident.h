/* incident.h - what rca concludes and report prints: one incident, or "nothing abnormal found", or
 * "undetermined" with the reason.
 *
 * Everything in it is plain data owned by `mem`, already bounded and cut, so that a report needs
 * nothing else. Texts that come from the rule base are carried in both languages; sentences made of
 * the facts below are composed by the report in the language it writes. `explanation` and `model`
 * stay empty unless a language model wrote them: an incident is complete without.
 *
 * Cross references are indices into the arrays of the same incident; INCIDENT_NONE = none. */
#ifndef FL_MODEL_INCIDENT_H
#define FL_MODEL_INCIDENT_H

#include "base/arena.h"
#include "model/finding.h"
#include "model/source.h"

#define INCIDENT_NONE SIZE_MAX

/* Stated maxima; what does not fit is counted (`findings_left_out`, `inputs_left_out`) or is less
 * important than what is kept (arrays are filled best first). */
enum {
    INCIDENT_ARENA_MAX = 64 << 20,
    INCIDENT_FINDINGS_MAX = 500,
    INCIDENT_INPUTS_MAX = 1000,
    INCIDENT_ENTITIES_MAX = 64,
    INCIDENT_STEPS_MAX = 32,
    INCIDENT_PATH_MAX = 32,
    INCIDENT_TIMELINE_MAX = 40,
    INCIDENT_EVIDENCE_MAX = 12,
    INCIDENT_EVIDENCE_BYTES = 2000, /* of verbatim text per line of evidence */
    INCIDENT_EVIDENCE_LINES = 12,   /* of a multi-line record */
    INCIDENT_ALTERNATIVES_MAX = 3,
    INCIDENT_CHANGES_MAX = 5,
    INCIDENT_SIGNS_MAX = 3,
    INCIDENT_OTHERS_MAX = 5,
    INCIDENT_TEXT_BYTES = 2000 /* names and template texts are cut to this */
};

typedef enum incident_verdict {
    VERDICT_UNDETERMINED = 0, /* `why_undetermined` says why */
    VERDICT_NORMAL,           /* nothing abnormal found (minor observations may be listed) */
    VERDICT_ABNORMAL
} incident_verdict;

/* The same text in both languages; zh empty = the English text is used. */
typedef struct incident_text {
    str en, zh;
} incident_text;

/* Something that can fail: a service; a component of it when only one service is concerned; or a
 * dependency (redis, an external host) that others' lines name. */
typedef struct incident_entity {
    str name;               /* for display: service, component or dependency */
    str service, component; /* service empty: known by name only */
    bool named_only;        /* it has no lines of its own; `seen_by` named it */
    str seen_by;            /* entity whose lines name it first; empty unless named_only */
    int64_t onset_ns;       /* TS_NONE without times */
    double strength;        /* 0..1: how sure it is that it failed, from its own lines */
    double blamed;          /* 0..1: how much the failures of others name it */
    double explained;       /* 0..1: share of its failures that name another failing entity */
    double score;           /* of the ranking; entities are sorted by it */
    size_t finding;         /* its first significant finding (of seen_by's when named_only) */
    str anomaly_type;       /* rule id; empty when no rule matched its findings */
    incident_text title;    /* of that rule */
} incident_entity;

/* One entry of the order of failures, oldest first. */
typedef struct incident_step {
    int64_t ts_ns;
    size_t entity;
    bool named;          /* the finding is another entity's (entities[].seen_by), which names it */
    str what;            /* template text of the finding */
    incident_text title; /* of the rule that matched; empty when none did */
    size_t finding, evidence;
} incident_step;

typedef enum edge_reason {
    EDGE_MENTION = 0, /* lines of `to` name `from` in a failure */
    EDGE_ORDER        /* only the order of failures links them */
} edge_reason;

/* The failure went from -> to. */
typedef struct incident_edge {
    size_t from, to; /* entities */
    edge_reason reason;
    uint64_t mentions; /* records of the findings that name it; 0 for EDGE_ORDER */
    size_t finding, evidence;
} incident_edge;

typedef enum timeline_kind {
    TIMELINE_ONSET = 0, /* of a finding */
    TIMELINE_CHANGE,    /* deploy, configuration, restart */
    TIMELINE_END        /* of a finding that ended before the data did */
} timeline_kind;

typedef struct incident_event {
    int64_t ts_ns;
    timeline_kind kind;
    str service, component;
    str what;
    incident_text title;
    finding_level level;
    size_t finding, evidence; /* INCIDENT_NONE for changes */
} incident_event;

typedef struct incident_evidence {
    str id;        /* "E1" ... */
    str input;     /* path as a person would open it */
    log_ref ref;   /* ref.line: the line to open */
    int64_t ts_ns; /* TS_NONE when not known */
    str service, component;
    str text; /* verbatim: may hold control characters and invalid UTF-8 */
    bool cut; /* longer than INCIDENT_EVIDENCE_BYTES or _LINES */
    size_t finding;
} incident_evidence;

typedef struct incident_finding {
    finding f;                /* texts owned by the incident */
    str inputs[FINDING_REFS]; /* of each reference: path as a person would open it */
    bool in_incident;         /* false: minor, or of another incident in the same data */
    str anomaly_type;         /* best rule; empty when none matched */
    incident_text title;
    size_t evidence; /* first evidence line quoted for it */
} incident_finding;

/* The rule that explains the incident. */
typedef struct incident_cause {
    str rule_id, category; /* rule_id empty: no rule matched */
    incident_text title, explanation;
    const incident_text *steps; /* what to do, in order */
    size_t step_count;
    const str *references;
    size_t reference_count;
    int cause_rank; /* 0 = a symptom .. 100 = a cause */
    size_t finding, evidence;
} incident_cause;

typedef struct incident_alternative {
    size_t entity;
    str anomaly_type;
    incident_text title;
    double confidence;
    size_t finding, evidence;
} incident_alternative;

/* A deployment, configuration change or restart in the hour before the onset, or a line never seen
 * before that came just before it and is about the same: a candidate, no more. */
typedef struct incident_change {
    int64_t ts_ns;
    int64_t before_ns; /* time from it to the onset */
    bool new_line;     /* no rule calls it a change */
    str service, input, text;
    log_ref ref;
} incident_change;

/* Another incident in the same data, apart in time. */
typedef struct incident_other {
    int64_t onset_ns, end_ns;
    finding_level level;
    str service, component, anomaly_type;
    incident_text title;
    size_t finding; /* its heaviest one that tells something */
    size_t finding_count;
} incident_other;

typedef struct incident_looked_at {
    const input_info *inputs; /* the first INCIDENT_INPUTS_MAX, those with problems first */
    size_t input_count;
    size_t inputs_left_out;
    uint64_t records, lines, bytes, records_without_time;
    int64_t first_ns, last_ns; /* TS_NONE when nothing had a time */
    size_t services, templates, series, params;
    /* Memory limits: records counted only within their service, and records whose parameters were
     * not (or not all) looked at. */
    uint64_t records_not_kept, params_not_kept;
    size_t problems; /* inputs that are partial or skipped, or have a remark */
} incident_looked_at;

typedef struct incident {
    arena mem; /* owns everything below */
    incident_verdict verdict;
    str why_undetermined; /* key: "few_records", "no_time", "little_time", "no_records", "no_inputs"
                           * ...; else ""
                           */
    finding_level severity;
    str anomaly_type;  /* rule id; "unknown" when no rule matched; empty unless ABNORMAL */
    double confidence; /* 0..1, in the root cause */
    int64_t onset_ns, end_ns;
    size_t root; /* entity that failed first and explains the rest; INCIDENT_NONE unless ABNORMAL */
    bool one_service; /* entities are components of one service */
    incident_cause cause;

    incident_entity *entities; /* best candidate first */
    size_t entity_count;
    incident_step *steps;
    size_t step_count;
    incident_edge *path;
    size_t path_count;
    const str *affected; /* services with failures, in order of onset; the root's own among them */
    size_t affected_count;
    incident_event *timeline;
    size_t timeline_count;
    incident_evidence *evidence;
    size_t evidence_count;
    incident_finding *findings; /* in the order of the finding set */
    size_t finding_count;
    uint64_t findings_left_out;
    incident_alternative *alternatives;
    size_t alternative_count;
    incident_change *changes; /* latest first */
    size_t change_count;
    /* Findings before the onset that speak of the root: oddities of its own that were no failure
     * yet, warnings of others that name it. Oldest first. */
    size_t signs[INCIDENT_SIGNS_MAX];
    size_t sign_count;
    incident_other *others;
    size_t other_count;
    incident_looked_at looked_at;

    int64_t made_ns; /* when the analysis was made; TS_NONE = not stated (same input, same bytes) */
    /* Filled by a language model's explanation only: */
    str explanation, model;
    uint64_t tokens_in, tokens_out;
    double cost_usd;
    bool cache_hit;
} incident;

/* VERDICT_UNDETERMINED, everything else empty, onset/end/made TS_NONE, root INCIDENT_NONE. */
void incident_init(incident *in);
void incident_release(incident *in); /* accepts NULL */

/* later - earlier, kept within int64 (dates can be centuries apart in a broken log). */
static inline int64_t ns_between(int64_t earlier, int64_t later) {
    int64_t d;
    if (!__builtin_sub_overflow(later, earlier, &d)) return d;
    return later > earlier ? INT64_MAX : INT64_MIN + 1;
}
/* The part of *t in `zh` when it exists and is wanted, else English. */
static inline str incident_text_in(const incident_text *t, bool zh) {
    return zh && t->zh.n ? t->zh : t->en;
}
str incident_verdict_name(incident_verdict v); /* "abnormal" ... (JSON value) */
str edge_reason_name(edge_reason r);
str timeline_kind_name(timeline_kind k);

#endif
