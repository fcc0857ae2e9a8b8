/* session_model.c - learns what sessions of a normal time look like, and judges others.
 *
 * Problem: given a few sessions taken as normal (a hundred or some thousands), tell for each of
 * many others whether it is one of that kind. Published comparisons (sources below) agree on what
 * carries: event types never seen, event types hardly ever seen, and how often each event occurs;
 * the order of events adds little. So a session is reduced to its count vector, and four channels
 * look at it. Every channel is a small whole number whose distribution over the *training* sessions
 * is measured as if each had been left out; the limit from which it raises an alarm is read off
 * that distribution, so the same rules serve three-event alphabets and thousand-event ones.
 *
 *   unknown  number of event types that no (other) training session has. Limit 1 unless more than
 *            UNKNOWN_RATE of the training sessions have events of their own: then normal life
 *            brings new events and one more proves nothing.
 *   rare     the session count (document frequency) of its least common known event. Alarm when it
 *            is at most n * RARE_RATE plus one standard error: an event is rare until the sample
 *            shows that it is not. Lowered while more than twice RARE_RATE of the training
 *            sessions would be hit.
 *   counts   L1 distance to the nearest remembered vector. Counters with more than `value_max`
 *            different values in training are reduced to presence (they count data, not steps).
 *            Remembered are vectors with support >= n * SUPPORT_RATE if those explain the held-out
 *            part of five-fold cross-validation within SUPPORTED_RADIUS; else all vectors. The
 *            radius is the smallest that leaves at most ALARM_RATE of the held-out sessions
 *            outside, and no less than half a standard error of a count as large as an average
 *            session (19 events: 2): variants so near are normal even if the sample has none.
 *            A counter reduced to presence still alarms far outside its range (more than twice
 *            the highest count in training, plus RANGE_SLACK).
 *   order    number of transitions (a, b) that no other training session has. The weakest
 *            evidence, so it must be ten times as clean as the others (ORDER_RATE), and is used
 *            only when at least ORDER_TRAIN_MIN sessions show order to be stable (limit at most
 *            ORDER_LIMIT_MAX).
 *
 * The score is the largest of the four surprises, in bits: -log2 of the share of left-out training
 * sessions at least as far out, continued by one bit per further unit where training has none.
 *
 * Rates: ALARM_RATE .1% is the false-alarm rate a person can live with over thousands of sessions;
 * the others derive from it or are limits of what a training sample of some thousands can show.
 * Cost: training O(events + vectors^2 bounded by CV_VECTORS_MAX * VECTORS_MAX * vector length),
 * scoring O(events + vectors * vector length), below a microsecond with the tens of vectors that
 * step-like sessions give. Memory: VECTORS_MAX vectors, TRANSITIONS_MAX transitions.
 *
 * Rejected: invariant mining and PCA (weaker at the same supervision), isolation forest on counts
 * (.80), recurrent networks (no gain over counts, see source 1), a fixed radius (fails as soon as
 * sessions are long).
 *
 * Sources: Landauer, Skopik, Wurzenberger, "A Critical Review of Common Log Data Sets Used for
 * Evaluation of Sequence-based Anomaly Detection Techniques", FSE 2024; Yu et al., "Deep Learning
 * or Classical Machine Learning? An Empirical Study on Log-Based Anomaly Detection", ICSE 2024;
 * Good, "The Population Frequencies of Species", Biometrika 40, 1953 (left-out novelty). */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "detect/sessions_int.h"

#define ALARM_RATE   0.001
#define UNKNOWN_RATE 0.02
#define RARE_RATE    0.001
#define SUPPORT_RATE 0.0005
#define ORDER_RATE   (ALARM_RATE / 10)

enum {
    VALUES_TRACKED = 8,   /* a counter with more different values counts data, not steps */
    SUPPORTED_RADIUS = 2, /* how far held-out sessions may lie from vectors with support */
    DISTANCE_MAX = 4096,  /* "nothing near" */
    RANGE_SLACK = 8,
    ORDER_LIMIT_MAX = 1,
    ORDER_TRAIN_MIN = 200, /* fewer sessions cannot show that order is stable */
    FOLDS = 5,
    VECTORS_MAX = 4096,
    CV_VECTORS_MAX = 2048,
    TRANSITIONS_MAX = 1 << 20,
    STEP_EXACT = 32, /* channel values up to here are told apart one by one, then by 8 an octave */
    STEP_MAX = STEP_EXACT + 8 * 7, /* = step_of(DISTANCE_MAX) */
    OWN_MAX = 64,                  /* unknown transitions are counted up to here */
};

/* Left-out training sessions by channel value: at_least[step] have a value of that step or above.
 */
typedef struct tail_table {
    uint32_t at_least[STEP_MAX + 1];
} tail_table;

typedef struct event_info {
    uint64_t id;
    uint32_t sessions; /* training sessions that have it */
    uint32_t max;      /* highest count in one session */
    bool reduced;
    uint8_t value_count; /* VALUES_TRACKED + 1 = more */
    uint32_t values[VALUES_TRACKED];
} event_info;

/* A remembered vector: items [at, at + count) of session_model.vec_items, sorted by event. */
typedef struct vec_entry {
    uint64_t hash;
    uint32_t at, count;
    uint32_t sum;
    uint32_t support;
    uint32_t fold_support[FOLDS];
} vec_entry;

struct session_model {
    size_t sessions;
    map64 event_index;
    VEC(event_info) events;
    VEC(session_item) vec_items;
    VEC(vec_entry) vectors; /* all different ones while training; remembered ones after */
    map64 transitions;      /* (a, b) -> 1 + index of its only session, or 0 when several have it */
    uint32_t unknown_limit, rare_limit, radius, order_limit;
    bool range_check;
    tail_table unknown_tail, distance_tail, order_tail;
    uint32_t
        *rare_at_most; /* [d]: training sessions whose least common event is in <= d sessions */
    size_t rare_table; /* entries of rare_at_most */
    /* workspace of one vector */
    session_item *work;
    size_t work_cap;
};

static uint32_t step_of(uint32_t v) {
    if (v <= STEP_EXACT) return v;
    if (v >= DISTANCE_MAX) return STEP_MAX;
    return STEP_EXACT + (uint32_t)ceil(8 * log2((double)v / STEP_EXACT));
}

/* Highest value of a step. */
static uint32_t step_top(uint32_t step) {
    return step <= STEP_EXACT ? step : (uint32_t)(STEP_EXACT * exp2((step - STEP_EXACT) / 8.0));
}

static void table_add(tail_table *t, uint32_t v, uint32_t weight) {
    uint32_t top = step_of(v);
    for (uint32_t i = 0; i <= top; i++) t->at_least[i] += weight;
}

/* Of n sessions, how many may lie outside for `rate` to be believable: expectation plus one
 * standard error, and one in a small sample. */
static double allowed(double n, double rate) {
    double a = floor(n * rate + sqrt(n * rate));
    return a < 1 && n >= 20 ? 1 : a;
}

/* Smallest step >= from with at most `allow` sessions at it or above. */
static uint32_t limit_of(const tail_table *t, uint32_t from, double allow) {
    uint32_t step = from;
    while (step < STEP_MAX && t->at_least[step] > allow) step++;
    return step;
}

/* Surprise of a value under its table of left-out sessions. */
static double tail_bits(const tail_table *t, uint32_t v, size_t n) {
    uint32_t top = step_of(v), last = top;
    while (last > 0 && t->at_least[last] == 0) last--;
    double seen = last == top ? t->at_least[top] + 0.5 : 0.5;
    return -log2(seen / ((double)n + 1)) + (last == top ? 0 : (double)(top - last - 1));
}

void session_model_free(session_model *m) {
    if (!m) return;
    map64_release(&m->event_index);
    map64_release(&m->transitions);
    vec_release(&m->events);
    vec_release(&m->vec_items);
    vec_release(&m->vectors);
    mem_free(m->rare_at_most);
    mem_free(m->work);
    mem_free(m);
}

static uint32_t model_event(const session_model *m, uint64_t id) {
    uint64_t *at = map64_get(&m->event_index, id);
    return at ? (uint32_t)*at : UINT32_MAX;
}

/* -- learning: events -- */

static void event_saw_value(event_info *v, uint32_t value) {
    if (v->value_count > VALUES_TRACKED) return;
    for (unsigned i = 0; i < v->value_count; i++) {
        if (v->values[i] == value) return;
    }
    if (v->value_count < VALUES_TRACKED) v->values[v->value_count] = value;
    v->value_count++;
}

static void learn_events(session_model *m, const session_set *s) {
    for (size_t i = 0; i < s->items.n; i++) {
        size_t n;
        const session_item *items = session_count_events(s, i, &n);
        for (size_t k = 0; k < n; k++) {
            uint64_t id = s->event_ids.v[items[k].event];
            bool added;
            uint64_t *at = map64_put(&m->event_index, id, &added);
            MUST(at); /* the set's alphabet has the same maximum */
            if (added) {
                *at = m->events.n;
                vec_push(&m->events, (event_info){.id = id});
            }
            event_info *v = &m->events.v[*at];
            v->sessions++;
            if (items[k].count > v->max) v->max = items[k].count;
            event_saw_value(v, items[k].count);
        }
    }
    /* With few sessions a counter cannot show many values: the bound shrinks with the sample. */
    double root = sqrt((double)m->sessions);
    unsigned value_max = root < 2 ? 2 : root < VALUES_TRACKED ? (unsigned)root : VALUES_TRACKED;
    for (size_t i = 0; i < m->events.n; i++) {
        event_info *v = &m->events.v[i];
        if (v->sessions < m->sessions) event_saw_value(v, 0);
        v->reduced = v->value_count > value_max;
    }
}

/* -- vectors -- */

static int item_cmp(const void *a, const void *b) {
    uint32_t x = ((const session_item *)a)->event, y = ((const session_item *)b)->event;
    return x < y ? -1 : x > y;
}

typedef struct reduced {
    const session_item
        *items; /* known events, sorted, counters reduced; in the model's workspace */
    uint32_t count, sum;
    uint32_t unknown;       /* event types the model does not know */
    uint64_t first_unknown; /* id of the first of them */
    uint32_t unknown_lines; /* their occurrences */
    uint64_t rarest;        /* id */
    uint32_t rarest_sessions;
    uint64_t out_of_range; /* id of a counter far above its range, 0 when none */
} reduced;

/* The workspace is not part of the model's value; models are always on the heap. */
static session_model *workspace(const session_model *m) {
    union {
        const session_model *in;
        session_model *out;
    } u = {m};
    return u.out;
}

static void reduce(const session_model *m, const session_set *s, size_t i, reduced *ret) {
    size_t n;
    const session_item *items = session_count_events(s, i, &n);
    session_model *w = workspace(m);
    if (w->work_cap < n) {
        w->work =
            mem_realloc(w->work, w->work_cap * sizeof(session_item), 2 * n * sizeof(session_item));
        w->work_cap = 2 * n;
    }
    reduced r = {.items = w->work, .rarest_sessions = UINT32_MAX};
    bool sorted = true;
    for (size_t k = 0; k < n; k++) {
        uint64_t id = s->event_ids.v[items[k].event];
        uint32_t ev = model_event(m, id);
        if (ev == UINT32_MAX) {
            if (!r.unknown++) r.first_unknown = id;
            r.unknown_lines += items[k].count;
            continue;
        }
        const event_info *v = &m->events.v[ev];
        if (v->sessions < r.rarest_sessions) {
            r.rarest_sessions = v->sessions;
            r.rarest = id;
        }
        if (items[k].count > 2 * (uint64_t)v->max + RANGE_SLACK && !r.out_of_range) {
            r.out_of_range = id;
        }
        uint32_t count = v->reduced ? 1 : items[k].count;
        if (r.count && w->work[r.count - 1].event > ev) sorted = false;
        w->work[r.count++] = (session_item){ev, count};
        r.sum += count;
    }
    if (!sorted) qsort(w->work, r.count, sizeof(session_item), item_cmp);
    *ret = r;
}

static uint64_t vector_hash(const reduced *r) {
    uint64_t h = r->count;
    for (uint32_t k = 0; k < r->count; k++) {
        h = mix64(h ^ ((uint64_t)r->items[k].event << 32 | r->items[k].count));
    }
    return h;
}

/* L1 distance of two sorted vectors; may stop at `enough` and return anything >= it. */
static uint32_t distance(const session_item *a, uint32_t an, const session_item *b, uint32_t bn,
                         uint32_t enough) {
    uint32_t i = 0, j = 0, d = 0;
    while (d < enough && i < an && j < bn) {
        if (a[i].event == b[j].event) {
            d += a[i].count > b[j].count ? a[i].count - b[j].count : b[j].count - a[i].count;
            i++;
            j++;
        } else if (a[i].event < b[j].event) {
            d += a[i++].count;
        } else {
            d += b[j++].count;
        }
    }
    while (d < enough && i < an) d += a[i++].count;
    while (d < enough && j < bn) d += b[j++].count;
    return d;
}

/* Distance to the nearest vector with support (fold `without` left out; FOLDS = none) >= `support`;
 * DISTANCE_MAX when there is none so near. */
static uint32_t nearest(const session_model *m, const session_item *items, uint32_t count,
                        uint32_t sum, uint32_t support, unsigned without) {
    uint32_t best = DISTANCE_MAX;
    for (size_t i = 0; i < m->vectors.n && best > 0; i++) {
        const vec_entry *v = &m->vectors.v[i];
        uint32_t have = v->support - (without < FOLDS ? v->fold_support[without] : 0);
        uint32_t gap = v->sum > sum ? v->sum - sum : sum - v->sum;
        if (have < support || gap >= best) continue;
        uint32_t d = distance(items, count, &m->vec_items.v[v->at], v->count, best);
        if (d < best) best = d;
    }
    return best;
}

/* Counts every different reduced vector of the training set. Vectors beyond the bound are left out:
 * with so many different ones the radius, measured on the same memory, is wide enough. */
static void learn_vectors(session_model *m, const session_set *s) {
    map64 seen;
    map64_init(&seen, VECTORS_MAX * 16);
    for (size_t i = 0; i < s->items.n; i++) {
        reduced r;
        reduce(m, s, i, &r);
        uint64_t hash = vector_hash(&r);
        bool added;
        uint64_t *at = map64_put(&seen, hash, &added);
        if (!at) continue;
        if (added) {
            *at = m->vectors.n;
            vec_entry v = {
                .hash = hash, .at = (uint32_t)m->vec_items.n, .count = r.count, .sum = r.sum};
            for (uint32_t k = 0; k < r.count; k++) vec_push(&m->vec_items, r.items[k]);
            vec_push(&m->vectors, v);
        }
        vec_entry *v = &m->vectors.v[*at];
        v->support++;
        v->fold_support[mix64(str_hash(session_set_key(s, i))) % FOLDS]++;
    }
    map64_release(&seen);
}

static int vec_cmp(const void *a, const void *b) {
    const vec_entry *x = a, *y = b;
    if (x->support != y->support) return x->support > y->support ? -1 : 1;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Distances of held-out sessions: each vector judged by the memory of the other folds. Returns the
 * weight of what was held out. */
static double cross_validate(const session_model *m, uint32_t support, tail_table *ret) {
    *ret = (tail_table){0};
    double weight = 0;
    size_t n = m->vectors.n < CV_VECTORS_MAX ? m->vectors.n : CV_VECTORS_MAX;
    uint32_t fold_need = support > 1 ? (uint32_t)ceil(support * (FOLDS - 1.0) / FOLDS) : 1;
    for (size_t k = 0; k < n; k++) {
        /* An even sample over the vectors, common and single ones alike. */
        const vec_entry *v = &m->vectors.v[k * m->vectors.n / n];
        for (unsigned f = 0; f < FOLDS; f++) {
            if (!v->fold_support[f]) continue;
            uint32_t d = nearest(m, &m->vec_items.v[v->at], v->count, v->sum, fold_need, f);
            table_add(ret, d, v->fold_support[f]);
            weight += v->fold_support[f];
        }
    }
    return weight;
}

static void learn_radius(session_model *m) {
    qsort(m->vectors.v, m->vectors.n, sizeof(vec_entry), vec_cmp);
    if (m->vectors.n > VECTORS_MAX) m->vectors.n = VECTORS_MAX;
    uint32_t support = (uint32_t)ceil((double)m->sessions * SUPPORT_RATE);
    if (support < 1) support = 1;
    double weight = cross_validate(m, support, &m->distance_tail);
    double allow = allowed(weight, ALARM_RATE);
    if (support > 1 && m->distance_tail.at_least[SUPPORTED_RADIUS + 1] > allow) {
        support = 1;
        weight = cross_validate(m, support, &m->distance_tail);
        allow = allowed(weight, ALARM_RATE);
    }
    m->radius = step_top(limit_of(&m->distance_tail, 1, allow) - 1);
    double mass = 0;
    for (size_t i = 0; i < m->vectors.n; i++) {
        mass += (double)m->vectors.v[i].sum * m->vectors.v[i].support;
    }
    uint32_t variant = (uint32_t)(sqrt(mass / (double)m->sessions) / 2);
    if (variant > m->radius) m->radius = variant;
    size_t kept = 0;
    while (kept < m->vectors.n && m->vectors.v[kept].support >= support) kept++;
    m->vectors.n = kept;
}

/* -- order -- */

static uint64_t transition_key(uint32_t a, uint32_t b) { return ((uint64_t)a + 1) << 32 | b; }

#define NO_EVENT (UINT32_MAX - 1) /* before the first event */

static void learn_order(session_model *m, const session_set *s) {
    map64_init(&m->transitions, TRANSITIONS_MAX);
    bool full = false;
    for (size_t i = 0; i < s->items.n && !full; i++) {
        session *x = &s->items.v[i];
        session_sort(x);
        uint32_t before = NO_EVENT;
        for (uint32_t k = 0; k < x->count && !full; k++) {
            uint32_t ev = model_event(m, s->event_ids.v[x->events[k]]);
            bool added;
            uint64_t *at = map64_put(&m->transitions, transition_key(before, ev), &added);
            if (!at)
                full = true;
            else if (added)
                *at = i + 1;
            else if (*at != i + 1)
                *at = 0;
            before = ev;
        }
    }
    if (full) { /* so many transitions: order says nothing */
        m->order_limit = 0;
        return;
    }
    for (size_t i = 0; i < s->items.n; i++) {
        const session *x = &s->items.v[i];
        uint32_t own = 0, before = NO_EVENT;
        for (uint32_t k = 0; k < x->count && own < OWN_MAX; k++) {
            uint32_t ev = model_event(m, s->event_ids.v[x->events[k]]);
            uint64_t *at = map64_get(&m->transitions, transition_key(before, ev));
            own += at && *at == i + 1;
            before = ev;
        }
        table_add(&m->order_tail, own, 1);
    }
    uint32_t limit = limit_of(&m->order_tail, 1, floor((double)m->sessions * ORDER_RATE));
    m->order_limit = limit <= ORDER_LIMIT_MAX && m->sessions >= ORDER_TRAIN_MIN ? limit : 0;
}

/* Transitions of session x that training does not have; *ret_event: where the first one leads. */
static uint32_t unknown_order(const session_model *m, const session_set *s, size_t i,
                              uint64_t *ret_event) {
    session *x = &s->items.v[i];
    session_sort(x);
    uint32_t unknown = 0, before = NO_EVENT;
    for (uint32_t k = 0; k < x->count && unknown < OWN_MAX; k++) {
        uint64_t id = s->event_ids.v[x->events[k]];
        uint32_t ev = model_event(m, id);
        if (ev != UINT32_MAX && before != UINT32_MAX &&
            !map64_get(&m->transitions, transition_key(before, ev))) {
            if (!unknown++) *ret_event = id;
        }
        before = ev;
    }
    return unknown;
}

/* -- the limits of unknown and rare events -- */

static void learn_rarity(session_model *m, const session_set *s) {
    double n = (double)m->sessions;
    uint32_t rare = (uint32_t)floor(n * RARE_RATE + sqrt(n * RARE_RATE));
    m->rare_table = (size_t)rare + 2;
    m->rare_at_most = mem_new_n(uint32_t, m->rare_table);
    uint32_t out_of_range = 0;
    for (size_t i = 0; i < s->items.n; i++) {
        size_t count;
        const session_item *items = session_count_events(s, i, &count);
        uint32_t own = 0, least = UINT32_MAX;
        bool far = false;
        for (size_t k = 0; k < count; k++) {
            const event_info *v = &m->events.v[model_event(m, s->event_ids.v[items[k].event])];
            own += v->sessions == 1;
            if (v->sessions < least) least = v->sessions;
            /* Highest count of all: would the second highest have called it out of range? The
             * largest of the other tracked values stands for it. */
            uint32_t second = 0;
            for (unsigned j = 0; j < v->value_count && j < VALUES_TRACKED; j++) {
                if (v->values[j] < items[k].count && v->values[j] > second) second = v->values[j];
            }
            far |= v->sessions > 1 && items[k].count > 2 * (uint64_t)second + RANGE_SLACK &&
                   v->value_count <= VALUES_TRACKED;
        }
        table_add(&m->unknown_tail, own, 1);
        for (size_t d = least; d < m->rare_table; d++) m->rare_at_most[d]++;
        out_of_range += far;
    }
    m->unknown_limit = limit_of(&m->unknown_tail, 1, fmax(1, floor(n * UNKNOWN_RATE)));
    while (rare > 0 && m->rare_at_most[rare] > allowed(n, 2 * RARE_RATE)) rare--;
    m->rare_limit = rare;
    m->range_check = out_of_range <= allowed(n, ALARM_RATE);
}

rc session_model_train(const session_set *normal, session_model **ret, err *e) {
    if (normal->items.n == 0) return FAIL(e, RC_INVALID, "no session to learn from");
    session_model *m = mem_new(session_model);
    m->sessions = normal->items.n;
    map64_init(&m->event_index, SESSION_ALPHABET_MAX);
    learn_events(m, normal);
    learn_rarity(m, normal);
    learn_vectors(m, normal);
    learn_radius(m);
    learn_order(m, normal);
    *ret = m;
    return RC_OK;
}

void session_model_describe(const session_model *m, session_model_info *ret) {
    size_t reduced_count = 0;
    for (size_t i = 0; i < m->events.n; i++) reduced_count += m->events.v[i].reduced;
    *ret = (session_model_info){.sessions = m->sessions,
                                .event_types = m->events.n,
                                .reduced_counters = reduced_count,
                                .vectors = m->vectors.n,
                                .unknown_limit = m->unknown_limit,
                                .rare_limit = m->rare_limit,
                                .radius = m->radius,
                                .order_limit = m->order_limit};
}

/* The place of the first `event` in session i, else of its first event. */
static void verdict_place(const session_set *s, size_t i, session_verdict *v) {
    session *x = &s->items.v[i];
    v->first_ns = v->last_ns = TS_NONE;
    if (!x->places || !x->count) return;
    session_sort(x);
    uint32_t at = 0;
    for (uint32_t k = 0; v->event && k < x->count; k++) {
        if (s->event_ids.v[x->events[k]] == v->event) {
            at = k;
            break;
        }
    }
    const session_place *p = &x->places[at];
    v->ref = (log_ref){.offset = p->offset, .line = p->line, .file = p->file, .bytes = p->bytes};
    v->first_ns = x->places[0].ts_ns;
    v->last_ns = x->places[x->count - 1].ts_ns;
}

/* The most surprising channel so far stands in the verdict: alarms before calm, then bits. */
static void verdict_raise(session_verdict *v, double bits, bool alarm, int why, uint64_t event) {
    if (alarm && (!v->is_anomaly || bits > v->score)) {
        v->why = (unsigned)why;
        v->event = event;
    }
    v->is_anomaly |= alarm;
    if (bits > v->score) v->score = bits;
}

void session_model_score(const session_model *m, const session_set *s, size_t i,
                         session_verdict *ret) {
    MUST(i < s->items.n);
    session_verdict v = {
        .key = session_set_key(s, i), .why = SESSION_NORMAL, .events = s->items.v[i].count};
    reduced r;
    reduce(m, s, i, &r);
    size_t n = m->sessions;
    bool enough = n >= SESSION_TRAIN_MIN;
    if (r.unknown) {
        verdict_raise(&v, tail_bits(&m->unknown_tail, r.unknown, n), r.unknown >= m->unknown_limit,
                      SESSION_UNKNOWN_EVENT, r.first_unknown);
    }
    if (enough && m->rare_limit && r.rarest_sessions < m->rare_table) {
        double bits = -log2((m->rare_at_most[r.rarest_sessions] + 0.5) / ((double)n + 1));
        verdict_raise(&v, bits, r.rarest_sessions <= m->rare_limit, SESSION_RARE_EVENT, r.rarest);
    }
    if (enough) {
        uint32_t d = nearest(m, r.items, r.count, r.sum, 0, FOLDS);
        if (d < DISTANCE_MAX) d += r.unknown_lines;
        verdict_raise(&v, tail_bits(&m->distance_tail, d, n), d > m->radius, SESSION_COUNTS, 0);
        if (r.out_of_range && m->range_check) {
            verdict_raise(&v, log2((double)n + 1), true, SESSION_COUNTS, r.out_of_range);
        }
    }
    if (enough && m->order_limit && !v.is_anomaly) {
        uint64_t event = 0;
        uint32_t unknown = unknown_order(m, s, i, &event);
        if (unknown) {
            verdict_raise(&v, tail_bits(&m->order_tail, unknown, n), unknown >= m->order_limit,
                          SESSION_ORDER, event);
        }
    }
    if (!enough && !v.is_anomaly) v.why = SESSION_UNDETERMINED;
    verdict_place(s, i, &v);
    *ret = v;
}
