/* session_find.c - sessions of mined logs: events renamed to templates, and sessions judged against
 * each other when none are known to be normal.
 *
 * Without training data the common must stand for the normal: a model is trained on the set itself.
 * Every session lies in its own training set, so the channels (session_model.c) see it with its own
 * weight; only what is rare in the whole set can stand out: an event that hardly any session has,
 * or a count vector that is far from every vector with support. That is a weak statement: on its
 * own it says "different", not "wrong" (published F1 about .77 for such rules). Hence:
 *
 *   - sessions that are odd for the same reason (the same event; the same set of events missing or
 *     in excess) are one finding, with their number and up to FINDING_REFS references;
 *   - reasons that hold for more than ODD_SHARE of the sessions are a kind of session, not an
 *     oddity, and give nothing;
 *   - a finding is above Low only when the event concerned (or, for counts, an event that only
 * these sessions have) speaks of a failure or was stated as an error, and then Medium.
 *
 * Surprise is -log2 of the share of sessions that are odd in this way. Fewer than SESSIONS_MIN
 * sessions: nothing is said. Cost: training plus scoring; reasons at most REASONS_MAX, further ones
 * are folded into the last. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "detect/sessions_int.h"

#include "detect/detect.h"

#define ODD_SHARE 0.02

enum { SESSIONS_MIN = 50, REASONS_MAX = 256 };

void session_set_to_templates(session_set *s, const miner *m) {
    uint32_t *renamed = mem_new_n(uint32_t, s->event_ids.n + 1);
    map64 index;
    map64_init(&index, SESSION_ALPHABET_MAX);
    size_t kept = 0;
    for (size_t i = 0; i < s->event_ids.n; i++) {
        uint64_t id = miner_template_of(m, s->event_ids.v[i]);
        if (!id) id = s->event_ids.v[i]; /* evicted from the miner: the shape stands for itself */
        bool added;
        uint64_t *at = map64_put(&index, id, &added);
        MUST(at);
        if (added) {
            *at = kept;
            s->event_ids.v[kept++] = id; /* kept <= i: never overtakes the reading */
        }
        renamed[i] = (uint32_t)*at;
    }
    s->event_ids.n = kept;
    map64_release(&s->event_index);
    s->event_index = index;
    for (size_t i = 0; i < s->items.n; i++) {
        session *x = &s->items.v[i];
        for (uint32_t k = 0; k < x->count; k++) x->events[k] = renamed[x->events[k]];
    }
    mem_free(renamed);
}

/* Sessions that are odd for one reason. */
typedef struct reason {
    uint64_t hash;
    session_verdict first; /* the first one in order */
    uint64_t sessions, events;
    log_ref refs[FINDING_REFS];
    size_t ref_count;
} reason;

/* What makes the session odd: the event, or the set of its event types. */
static uint64_t reason_of(const session_set *s, size_t i, const session_verdict *v) {
    uint64_t h = mix64((uint64_t)v->why + 1);
    if (v->event) return mix64(h ^ v->event);
    size_t n;
    const session_item *items = session_count_events(s, i, &n);
    uint64_t sum = 0; /* order does not matter */
    for (size_t k = 0; k < n; k++) sum += mix64(s->event_ids.v[items[k].event]);
    return mix64(h ^ sum);
}

static int reason_cmp(const void *a, const void *b) {
    const reason *x = a, *y = b;
    if (x->sessions != y->sessions) return x->sessions < y->sessions ? -1 : 1;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* A session in the order in which sessions are looked at: by first record, then by key. Their own
 * numbers depend on which worker saw a key first. */
typedef struct ordered {
    session_place first;
    str key;
    size_t i;
} ordered;

static int ordered_cmp(const void *a, const void *b) {
    const ordered *x = a, *y = b;
    if (x->first.ts_ns != y->first.ts_ns) return x->first.ts_ns < y->first.ts_ns ? -1 : 1;
    if (x->first.file != y->first.file) return x->first.file < y->first.file ? -1 : 1;
    if (x->first.offset != y->first.offset) return x->first.offset < y->first.offset ? -1 : 1;
    return str_cmp(x->key, y->key);
}

static ordered *in_order(const session_set *s) {
    ordered *v = mem_new_n(ordered, s->items.n);
    for (size_t i = 0; i < s->items.n; i++) {
        session *x = &s->items.v[i];
        session_sort(x);
        v[i] = (ordered){.first = {.ts_ns = TS_NONE}, .key = session_set_key(s, i), .i = i};
        if (x->places && x->count) v[i].first = x->places[0];
    }
    qsort(v, s->items.n, sizeof(*v), ordered_cmp);
    return v;
}

static void reason_finding(const reason *r, const session_set *s, const miner *m,
                           finding_set *out) {
    double share = (double)r->sessions / (double)s->items.n;
    finding f = {.kind = r->first.why == SESSION_ORDER ? FINDING_SEQUENCE : FINDING_SESSION,
                 .level = LEVEL_LOW,
                 .from_ns = r->first.first_ns,
                 .to_ns = r->first.last_ns,
                 .onset_ns = r->first.first_ns,
                 .surprise_bits = -log2(share),
                 .observed = (double)r->sessions,
                 .expected = 0,
                 .unit = S("sessions"),
                 .subject = r->first.key,
                 .record_count = r->events,
                 .ref_count = r->ref_count};
    memcpy(f.refs, r->refs, sizeof(f.refs));
    template_info info;
    if (r->first.event && m && miner_template(m, r->first.event, &info) == RC_OK) {
        f.template_id = info.id;
        f.template_text = info.text;
        f.severity = info.max_severity;
        f.failure_meaning = detect_failure_meaning(info.text);
    }
    if (f.failure_meaning >= 0.6 || f.severity >= SEV_ERROR) f.level = LEVEL_MEDIUM;
    f.confidence = f.level == LEVEL_MEDIUM ? 0.7 : 0.4;
    finding_set_add(out, &f); /* NULL when the set is full: the rarest reasons came first */
}

rc detect_sessions(const session_set *s, const miner *m, finding_set *out, err *e) {
    if (s->items.n < SESSIONS_MIN) return RC_OK; /* too few to compare with each other */
    session_model *model;
    rc r = session_model_train(s, &model, e);
    if (r != RC_OK) return r;
    VEC(reason) reasons = {0};
    map64 index;
    map64_init(&index, REASONS_MAX);
    ordered *order = in_order(s);
    for (size_t i = 0; i < s->items.n; i++) {
        session_verdict v;
        session_model_score(model, s, order[i].i, &v);
        if (!v.is_anomaly) continue;
        uint64_t hash = reason_of(s, order[i].i, &v);
        bool added;
        uint64_t *at = map64_put(&index, hash, &added);
        if (added) {
            *at = reasons.n;
            vec_push(&reasons, (reason){.hash = hash, .first = v});
        }
        reason *x = &reasons.v[at ? *at : reasons.n - 1];
        x->sessions++;
        x->events += v.events;
        if (x->ref_count < FINDING_REFS && v.ref.line) x->refs[x->ref_count++] = v.ref;
    }
    mem_free(order);
    if (reasons.n) qsort(reasons.v, reasons.n, sizeof(reason), reason_cmp);
    for (size_t i = 0; i < reasons.n; i++) {
        if ((double)reasons.v[i].sessions > ODD_SHARE * (double)s->items.n) continue;
        reason_finding(&reasons.v[i], s, m, out);
    }
    finding_set_sort(out);
    vec_release(&reasons);
    map64_release(&index);
    session_model_free(model);
    return RC_OK;
}
