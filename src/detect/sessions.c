/* sessions.c - the set of sessions being collected.
 *
 * Problem: millions of short event lists, fed in any order by several workers, merged, then read
 * once or twice. A session is a growing array of dense 32-bit event numbers and, only when the
 * events come from a log, a parallel array of places. Sequences from a file therefore cost 4 bytes
 * an event, records of a log 36.
 *
 *   keys (intern)      "blk_17" -> 0, "blk_9" -> 1, ...
 *   items[0]           events  [3 3 7 1 ...]      places [ts file offset ...] or NULL
 *   event_ids          [template id of dense 0, 1, 2, ...]
 *
 * Order: events with a place sort by (time, file, offset, order of adding). A worker sees
 * increasing offsets, so appending is the rule; a session that gets an event out of order is marked
 * and sorted when it is next read. Records without time sort before those with one, by place: a
 * session of both kinds is rare, and any fixed order serves.
 *
 * Limits: opts.max_sessions, opts.max_bytes (events and places), SESSION_EVENTS_MAX of one session,
 * SESSION_ALPHABET_MAX event types. What does not fit is counted in not_kept and refused with
 * RC_LIMIT; sessions already there go on growing until the bytes are spent. */
#include "detect/sessions_int.h"

#include <stdlib.h>

enum { KEY_TEXT_BYTES_MAX = 256 << 20, CAP_FIRST = 4 };

session_set *session_set_new(const session_opts *opts) {
    session_set *s = mem_new(session_set);
    if (opts) s->opts = *opts;
    if (!s->opts.max_sessions) s->opts.max_sessions = 4u << 20;
    if (!s->opts.max_bytes) s->opts.max_bytes = (size_t)192 << 20;
    intern_init(&s->keys, "session keys", s->opts.max_sessions, KEY_TEXT_BYTES_MAX);
    map64_init(&s->event_index, SESSION_ALPHABET_MAX);
    return s;
}

void session_set_free(session_set *s) {
    if (!s) return;
    for (size_t i = 0; i < s->items.n; i++) {
        mem_free(s->items.v[i].events);
        mem_free(s->items.v[i].places);
    }
    vec_release(&s->items);
    vec_release(&s->event_ids);
    map64_release(&s->event_index);
    intern_release(&s->keys);
    mem_free(s->scratch);
    mem_free(s->items_scratch);
    mem_free(s);
}

size_t session_set_count(const session_set *s) { return s->items.n; }

str session_set_key(const session_set *s, size_t i) {
    MUST(i < s->items.n);
    return intern_str(&s->keys, (uint32_t)i);
}

void session_set_totals(const session_set *s, session_counts *ret) {
    *ret = (session_counts){.sessions = s->items.n,
                            .event_types = s->event_ids.n,
                            .events = s->events,
                            .not_kept = s->not_kept,
                            .bytes = s->bytes};
}

/* Dense index of an event, UINT32_MAX when the alphabet is full. */
static uint32_t event_index_of(session_set *s, uint64_t event) {
    bool added;
    uint64_t *at = map64_put(&s->event_index, event, &added);
    if (!at) return UINT32_MAX;
    if (added) {
        *at = s->event_ids.n;
        vec_push(&s->event_ids, event);
    }
    return (uint32_t)*at;
}

/* Room for `want` events in x, with places when `placed`. A session whose first events came without
 * a place gets unplaced entries for them. False past the byte limit. */
static bool session_reserve(session_set *s, session *x, uint32_t want, bool placed) {
    MUST(want <= SESSION_EVENTS_MAX);
    uint32_t cap = x->cap ? x->cap : CAP_FIRST;
    while (cap < want) cap *= 2;
    bool with_places = placed || x->places;
    size_t old_bytes =
        x->cap * (sizeof(uint32_t) + (x->places ? sizeof(session_place) : (size_t)0));
    size_t new_bytes = cap * (sizeof(uint32_t) + (with_places ? sizeof(session_place) : (size_t)0));
    if (new_bytes == old_bytes) return true;
    if (new_bytes - old_bytes > s->opts.max_bytes - s->bytes) return false;
    if (cap != x->cap) {
        uint32_t *events =
            mem_try_realloc(x->events, x->cap * sizeof(uint32_t), cap * sizeof(uint32_t));
        if (!events) return false;
        x->events = events;
    }
    if (with_places) {
        size_t had = x->places ? x->cap : 0;
        session_place *places =
            mem_try_realloc(x->places, had * sizeof(session_place), cap * sizeof(session_place));
        if (!places) return false; /* events keep their larger block; cap says the smaller */
        if (!x->places) {
            for (uint32_t i = 0; i < x->count; i++) {
                places[i] = (session_place){.ts_ns = TS_NONE, .seq = i};
            }
        }
        x->places = places;
    }
    x->cap = cap;
    s->bytes += new_bytes - old_bytes;
    return true;
}

static int place_cmp(const session_place *a, const session_place *b) {
    if (a->ts_ns != b->ts_ns) return a->ts_ns < b->ts_ns ? -1 : 1;
    if (a->file != b->file) return a->file < b->file ? -1 : 1;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static rc add_event(session_set *s, uint32_t key_id, uint64_t event, const session_place *place) {
    session *x = &s->items.v[key_id];
    uint32_t index = event_index_of(s, event);
    if (index == UINT32_MAX || x->count == SESSION_EVENTS_MAX ||
        !session_reserve(s, x, x->count + 1, place != NULL)) {
        s->not_kept++;
        return RC_LIMIT;
    }
    x->events[x->count] = index;
    if (x->places) {
        session_place p = place ? *place : (session_place){.ts_ns = TS_NONE};
        p.seq = x->count;
        if (x->count && place_cmp(&x->places[x->count - 1], &p) > 0) x->unsorted = true;
        x->places[x->count] = p;
    }
    x->count++;
    s->events++;
    return RC_OK;
}

static uint32_t key_index_of(session_set *s, str key) {
    if (key.n > SESSION_KEY_BYTES_MAX) key.n = SESSION_KEY_BYTES_MAX;
    uint32_t id = intern_put(&s->keys, key);
    if (id == s->items.n && id != INTERN_NONE) vec_push(&s->items, (session){0});
    return id;
}

rc session_set_add(session_set *s, str key, uint64_t event, int64_t ts_ns, const log_ref *ref) {
    uint32_t id = key_index_of(s, key);
    if (id == INTERN_NONE) {
        s->not_kept++;
        return RC_LIMIT;
    }
    if (ts_ns == TS_NONE && !ref) return add_event(s, id, event, NULL);
    session_place p = {.ts_ns = ts_ns};
    if (ref) {
        p.offset = ref->offset;
        p.line = ref->line < UINT32_MAX ? (uint32_t)ref->line : UINT32_MAX;
        p.file = ref->file;
        p.bytes = ref->bytes;
    }
    return add_event(s, id, event, &p);
}

rc session_set_merge(session_set *into, const session_set *from, err *e) {
    MUST(into != from);
    uint64_t refused = 0;
    for (size_t i = 0; i < from->items.n; i++) {
        const session *x = &from->items.v[i];
        uint32_t id = key_index_of(into, session_set_key(from, i));
        if (id == INTERN_NONE) {
            into->not_kept += x->count;
            refused += x->count;
            continue;
        }
        for (uint32_t k = 0; k < x->count; k++) {
            rc r = add_event(into, id, from->event_ids.v[x->events[k]],
                             x->places ? &x->places[k] : NULL);
            if (r != RC_OK) refused++;
        }
    }
    into->not_kept += from->not_kept;
    if (refused) return FAIL(e, RC_LIMIT, "%" PRIu64 " session events do not fit", refused);
    return RC_OK;
}

typedef struct sort_item {
    session_place place;
    uint32_t event;
} sort_item;

static int sort_item_cmp(const void *a, const void *b) {
    return place_cmp(&((const sort_item *)a)->place, &((const sort_item *)b)->place);
}

void session_sort(session *x) {
    if (!x->unsorted) return;
    MUST(x->places);
    sort_item *tmp = mem_new_n(sort_item, x->count);
    for (uint32_t i = 0; i < x->count; i++) tmp[i] = (sort_item){x->places[i], x->events[i]};
    qsort(tmp, x->count, sizeof(*tmp), sort_item_cmp);
    for (uint32_t i = 0; i < x->count; i++) {
        x->places[i] = tmp[i].place;
        x->events[i] = tmp[i].event;
    }
    mem_free(tmp);
    x->unsorted = false;
}

/* The workspace is not part of the set's value: growing it through a const set is sound because
 * sets are always created on the heap by session_set_new. */
static session_set *workspace(const session_set *s) {
    union {
        const session_set *in;
        session_set *out;
    } u = {s};
    return u.out;
}

const session_item *session_count_events(const session_set *s, size_t i, size_t *ret_count) {
    MUST(i < s->items.n);
    session *x = &s->items.v[i];
    session_sort(x); /* "first" is the first in time, not the first that was added */
    session_set *w = workspace(s);
    if (w->scratch_cap < s->event_ids.n) {
        size_t cap = s->event_ids.n * 2;
        w->scratch =
            mem_realloc(w->scratch, w->scratch_cap * sizeof(uint32_t), cap * sizeof(uint32_t));
        w->items_scratch = mem_realloc(w->items_scratch, w->scratch_cap * sizeof(session_item),
                                       cap * sizeof(session_item));
        w->scratch_cap = cap;
    }
    size_t n = 0;
    for (uint32_t k = 0; k < x->count; k++) {
        uint32_t ev = x->events[k];
        uint32_t at = w->scratch[ev];
        if (!at) {
            w->items_scratch[n] = (session_item){ev, 1};
            w->scratch[ev] = (uint32_t)++n;
        } else {
            w->items_scratch[at - 1].count++;
        }
    }
    for (size_t k = 0; k < n; k++) w->scratch[w->items_scratch[k].event] = 0;
    *ret_count = n;
    return w->items_scratch;
}

str session_why_name(int why) {
    static const char *const names[] = {"normal", "unknown_event", "rare_event",
                                        "counts", "order",         "undetermined"};
    MUST(why >= 0 && (size_t)why < ARRAY_LEN(names));
    return str_c(names[why]);
}
