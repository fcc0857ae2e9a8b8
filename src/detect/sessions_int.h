/* sessions_int.h - the inside of a session set, for the files of this room that read it. */
#ifndef FL_DETECT_SESSIONS_INT_H
#define FL_DETECT_SESSIONS_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "detect/sessions.h"

/* Place and time of one event: what orders the events of a session and lets a person open it. */
typedef struct session_place {
    int64_t ts_ns;
    uint64_t offset;
    uint32_t line; /* cut at UINT32_MAX */
    uint32_t file, bytes;
    uint32_t seq; /* order of adding, the last tie-breaker */
} session_place;

typedef struct session {
    uint32_t *events;      /* dense index into session_set.event_ids */
    session_place *places; /* parallel to events; NULL when no event came with time or place */
    uint32_t count, cap;
    bool unsorted;
} session;

enum {
    SESSION_EVENTS_MAX = 1 << 20,   /* of one session */
    SESSION_ALPHABET_MAX = 1 << 20, /* event types of one set */
};

/* One counted event of a session: `event` is dense in the set or the model, as said. */
typedef struct session_item {
    uint32_t event, count;
} session_item;

struct session_set {
    session_opts opts;
    intern keys;
    VEC(session) items; /* by key id */
    map64 event_index;  /* event -> dense index */
    VEC(uint64_t) event_ids;
    uint64_t events, not_kept;
    size_t bytes;
    /* workspace of session_count_events; grown on demand */
    uint32_t *scratch; /* by dense event, zero between calls */
    session_item *items_scratch;
    size_t scratch_cap, items_cap;
};

/* Puts the events of a session in order (lazily: sets are read through const pointers, the session
 * itself is the set's own memory). */
void session_sort(session *x);
/* Distinct events of session i with counts, in order of first occurrence; valid until the next
 * call. */
const session_item *session_count_events(const session_set *s, size_t i, size_t *ret_count);

#endif
