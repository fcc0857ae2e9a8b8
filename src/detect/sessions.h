/* sessions.h - sessions (records with one key) judged against sessions known to be normal, and,
 * when none are known, against each other.
 *
 * Count-vector memory with reduced counters, rare events, unknown events, unexpected order
 * (Landauer et al., FSE'24; LightAD ICSE'24). An event is a 64-bit id: a template id, or any id the
 * caller has. */
#ifndef FL_DETECT_SESSIONS_H
#define FL_DETECT_SESSIONS_H

#include "base/err.h"
#include "mine/mine.h"
#include "model/finding.h"

typedef struct session_set session_set; /* sessions being collected: key -> events */
typedef struct session_model session_model;

typedef struct session_opts {
    size_t max_sessions; /* 0 = 4 M */
    size_t max_bytes;    /* 0 = 192 MiB */
} session_opts;

session_set *session_set_new(const session_opts *opts);
void session_set_free(session_set *s);
/* Adds one event. RC_LIMIT when full (counted; others go on). ts_ns orders the events of a key
 * (ties: order of adding); TS_NONE = order of adding. */
MUST_CHECK rc session_set_add(session_set *s, str key, uint64_t event, int64_t ts_ns,
                              const log_ref *ref);
MUST_CHECK rc session_set_merge(session_set *into, const session_set *from, err *e);
size_t session_set_count(const session_set *s);
/* Replaces every event by miner_template_of(event): after the miner has grouped. */
void session_set_to_templates(session_set *s, const miner *m);

typedef struct session_verdict {
    str key;
    double score; /* surprise in bits; higher is stranger */
    bool is_anomaly;
    enum {
        SESSION_NORMAL = 0,
        SESSION_UNKNOWN_EVENT,
        SESSION_RARE_EVENT,
        SESSION_COUNTS,
        SESSION_ORDER,
        SESSION_UNDETERMINED
    } why;
    uint64_t event;  /* the event concerned, 0 when none */
    uint64_t events; /* in the session */
    int64_t first_ns, last_ns;
    log_ref ref; /* of the event concerned, else of the first event */
} session_verdict;

/* Learns from sessions taken as normal. RC_INVALID when there are none. */
MUST_CHECK rc session_model_train(const session_set *normal, session_model **ret, err *e);
void session_model_free(session_model *m);
void session_model_score(const session_model *m, const session_set *s, size_t i,
                         session_verdict *ret);

/* `analyze --session`: no training data; sessions against each other. Findings of kind SESSION /
 * SEQUENCE. */
MUST_CHECK rc detect_sessions(const session_set *s, const miner *m, finding_set *out, err *e);

#endif
