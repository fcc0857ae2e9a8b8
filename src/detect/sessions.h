/* sessions.h - sessions (records with one key) judged against sessions known to be normal, and,
 * when none are known, against each other.
 *
 * Count-vector memory with reduced counters, rare events, unknown events, unexpected order
 * (Landauer et al., FSE'24; LightAD ICSE'24). An event is a 64-bit id: a template id, or any id the
 * caller has.
 *
 *     session_set *s = session_set_new(&opts);          one per worker
 *     session_collect_batch(s, key, batch, e);          or session_read_sequences, session_set_add
 *     session_set_merge(s, other, e);
 *     session_set_to_templates(s, miner);               after miner_group, for raw logs
 *     session_model_train(s, &model, e);
 *     session_model_score(model, other_set, i, &verdict);
 *
 * One thread per set, and per model (scoring uses workspace inside both). */
#ifndef FL_DETECT_SESSIONS_H
#define FL_DETECT_SESSIONS_H

#include "base/err.h"
#include "mine/mine.h"
#include "model/finding.h"

typedef struct session_set session_set; /* sessions being collected: key -> events */
typedef struct session_model session_model;
typedef struct session_key session_key; /* compiled: where the key of a record is */

typedef struct session_opts {
    size_t max_sessions; /* 0 = 4 M */
    size_t max_bytes;    /* 0 = 192 MiB */
} session_opts;

typedef struct session_counts {
    size_t sessions, event_types;
    uint64_t events;
    uint64_t not_kept; /* events refused because a limit was reached */
    size_t bytes;      /* memory held by events (keys not counted) */
} session_counts;

session_set *session_set_new(const session_opts *opts);
void session_set_free(session_set *s);
/* Adds one event. RC_LIMIT when full (counted; others go on). ts_ns orders the events of a key
 * (ties: place in the input); TS_NONE = order of adding. `ref` may be NULL. */
MUST_CHECK rc session_set_add(session_set *s, str key, uint64_t event, int64_t ts_ns,
                              const log_ref *ref);
/* RC_LIMIT when not everything fitted (counted). */
MUST_CHECK rc session_set_merge(session_set *into, const session_set *from, err *e);
size_t session_set_count(const session_set *s);
void session_set_totals(const session_set *s, session_counts *ret);
/* Key of session i, in order of first sight; valid until the set is freed. */
str session_set_key(const session_set *s, size_t i);
/* Replaces every event by miner_template_of(event): after the miner has grouped. */
void session_set_to_templates(session_set *s, const miner *m);

/* Where a record's key is: a PCRE2 expression searched in the raw record; group 1 if it has one,
 * else the whole match. Every different match counts (a line may concern several sessions, at most
 * SESSION_KEYS_PER_RECORD). Empty regex: the record's trace id. RC_INVALID with the place of the
 * mistake. One per thread. */
enum { SESSION_KEYS_PER_RECORD = 64, SESSION_KEY_BYTES_MAX = 256 };
MUST_CHECK rc session_key_new(str regex, session_key **ret, err *e);
void session_key_free(session_key *k);
/* Adds every record of a mined batch that has a key (event = shape). Limits are counted in the set,
 * not returned. *ret_matched (may be NULL): records with a key. */
void session_collect_batch(session_set *s, session_key *k, const log_batch *b,
                           uint64_t *ret_matched);

/* Lines `key,id id id`: ids separated by blanks. Reads any text: CRLF, empty lines, a missing last
 * newline; a line without comma, without key or without ids is counted as bad and skipped. An id
 * that is a positive decimal number is the event, any other token is hashed. The same key twice
 * continues its session. RC_LIMIT when the set is full (the rest is not read). */
typedef struct session_read_counts {
    uint64_t lines, sessions, events, bad_lines, empty_lines;
    uint64_t first_bad_line; /* 1-based; 0 when none */
} session_read_counts;
MUST_CHECK rc session_read_sequences(str text, session_set *s, session_read_counts *ret, err *e);

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

/* Static text: "normal", "unknown_event", "rare_event", "counts", "order", "undetermined". */
str session_why_name(int why);

/* Learns from sessions taken as normal. RC_INVALID when there are none. With fewer than
 * SESSION_TRAIN_MIN the model only knows events: everything else is undetermined. */
enum { SESSION_TRAIN_MIN = 8 };
MUST_CHECK rc session_model_train(const session_set *normal, session_model **ret, err *e);
void session_model_free(session_model *m);
void session_model_score(const session_model *m, const session_set *s, size_t i,
                         session_verdict *ret);

/* What was learned, for people. */
typedef struct session_model_info {
    size_t sessions, event_types, reduced_counters, vectors;
    uint32_t unknown_limit; /* unknown events in a session that raise an alarm */
    uint32_t rare_limit;    /* an event in at most so many training sessions is rare; 0 = off */
    uint32_t radius;        /* distance to the nearest known vector that is still normal */
    uint32_t order_limit;   /* unknown transitions that raise an alarm; 0 = order is not stable */
} session_model_info;
void session_model_describe(const session_model *m, session_model_info *ret);

/* `analyze --session`: no training data; sessions against each other. Findings of kind SESSION /
 * SEQUENCE. */
MUST_CHECK rc detect_sessions(const session_set *s, const miner *m, finding_set *out, err *e);

#endif
