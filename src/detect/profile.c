/* profile.c - one pass over mined records, and what it leaves for the detectors.
 *
 * Problem: a gigabyte of log in four seconds on two cores leaves about 130 ns a record; memory must
 * not follow the input; and the same records must give the same profile whatever worker saw them in
 * which order.
 *
 * Time. A record falls into bucket (seconds >> level). The level is the smallest at which the
 * records fall into at most PROFILE_BUCKETS_MAX *different* buckets: a function of the set of
 * timestamps alone, so profiles of parts agree after merging (max of levels, union of buckets,
 * widen while there are too many). Counting occupied buckets instead of the span means that one
 * absurd timestamp (1970, 2106) costs one bucket and not the resolution of all others. Widening
 * joins pairs; it happens at most PROFILE_LEVEL_MAX times.
 *
 *   level 3 (8 s)     ... 170223410  170223411  170223412 ...
 *   level 4 (16 s)    ...  85111705       85111706 ...
 *
 * Every (series, bucket) keeps count and place of its first record, so that a finding about a burst
 * can show the burst's first line. Buckets are short ascending vectors; the last one touched is
 * nearly always right.
 *
 * Parameters. Per slot: numbers in logarithmic bins (8 an octave, quantiles within 4.5%) per period
 * of 32 buckets, with the place of the largest; values of slots that may be closed sets by hash, up
 * to PROFILE_VALUES_MAX, beyond which the slot is open and costs nothing any more. Identifiers,
 * hexadecimal numbers and times are not watched.
 *
 * Bounds: PROFILE_SERVICES_MAX, further ones share one name; max_series; max_bytes of content. Over
 * half of it no further series get parameters. Content over the limit gives up, in this order: the
 * width of buckets (down to BUCKETS_MIN of them), the values of closed sets (those with most values
 * first), parameters, again the width of buckets (down to BUCKETS_LEAST), and at last no new series
 * are taken. All of it is counted. Up to the closed sets this is independent of the order of
 * records, the rest cannot be.
 *
 * Records without time count at the time of their predecessor in the batch (continuations,
 * banners); with no predecessor they count in totals only.
 *
 * Rejected: fixed bucket width (a day needs seconds, a year hours), reservoir samples (depend on
 * order), t-digest (merging is not associative), a sketch per bucket (memory). */
#include "base/rng.h"
#include "detect/detect.h"
#include "detect/profile_int.h"

#define VALUE_FAILS 0.6

enum {
    SERIES_DEFAULT = 65536,
    BUCKETS_MIN = 64,
    BUCKETS_LEAST = 16,
    COMPONENTS_MAX = 16384,
    BYTES_DEFAULT = 96 << 20,
};

#define OTHER_SERVICES S("(other services)")

int place_cmp(const place *a, const place *b) {
    if (a->ns != b->ns) return a->ns < b->ns ? -1 : 1;
    if (a->file != b->file) return a->file < b->file ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Keeps the earlier of two records; one without time is earlier than none, not than one with. */
static void place_earliest(place *into, const place *p) {
    if ((into->ns == TS_NONE) != (p->ns == TS_NONE) ? p->ns != TS_NONE : place_cmp(p, into) < 0) {
        *into = *p;
    }
}

/* Most series are rare and have one or two entries: grows by half, from one. */
#define tight_push(vec, ...)                                                                       \
    do {                                                                                           \
        if ((vec)->n == (vec)->cap) {                                                              \
            size_t cap_ = (vec)->cap + (vec)->cap / 2 + 1;                                         \
            (vec)->v =                                                                             \
                mem_realloc((vec)->v, (vec)->cap * sizeof(*(vec)->v), cap_ * sizeof(*(vec)->v));   \
            (vec)->cap = cap_;                                                                     \
        }                                                                                          \
        (vec)->v[(vec)->n++] = __VA_ARGS__;                                                        \
    } while (0)

/* -- buckets -- */

/* Position of `bucket`, or where it would be inserted. */
static size_t bucket_find(const bucket_counts *v, int64_t bucket) {
    size_t a = 0, b = v->n;
    if (b && v->v[b - 1].bucket < bucket) return b;
    while (a < b) {
        size_t m = a + (b - a) / 2;
        if (v->v[m].bucket < bucket)
            a = m + 1;
        else
            b = m;
    }
    return a;
}

/* Adds `count` records whose earliest is `first`. Returns true when a bucket was added. */
static bool bucket_add(bucket_counts *v, size_t *last, int64_t bucket, uint64_t count,
                       const place *first) {
    size_t i = *last;
    if (UNLIKELY(i >= v->n || v->v[i].bucket != bucket)) {
        i = bucket_find(v, bucket);
        *last = i;
        if (i == v->n || v->v[i].bucket != bucket) {
            tight_push(v, (bucket_count){0});
            memmove(&v->v[i + 1], &v->v[i], (v->n - 1 - i) * sizeof(*v->v));
            v->v[i] = (bucket_count){.bucket = bucket, .count = count, .first = *first};
            return true;
        }
    }
    bucket_count *b = &v->v[i];
    b->count += count;
    if (place_cmp(first, &b->first) < 0) b->first = *first;
    return false;
}

static void buckets_widen(bucket_counts *v, size_t *last) {
    size_t kept = 0;
    for (size_t i = 0; i < v->n; i++) {
        bucket_count b = v->v[i];
        b.bucket >>= 1;
        if (kept && v->v[kept - 1].bucket == b.bucket) {
            v->v[kept - 1].count += b.count;
            if (place_cmp(&b.first, &v->v[kept - 1].first) < 0) v->v[kept - 1].first = b.first;
        } else {
            v->v[kept++] = b;
        }
    }
    v->n = kept;
    *last = kept ? kept - 1 : 0;
}

/* -- parameters -- */

/* Makes [bin, bin + count) part of the period's bins. */
static void period_cover(log_profile *p, param_period *t, unsigned bin, unsigned count) {
    if (t->bin_count && bin >= t->bin_from && bin + count <= (unsigned)t->bin_from + t->bin_count) {
        return;
    }
    unsigned from = bin, to = bin + count;
    if (t->bin_count) {
        from = MIN(from, t->bin_from);
        to = MAX(to, (unsigned)t->bin_from + t->bin_count);
    }
    uint32_t *bins = mem_new_n(uint32_t, to - from);
    if (t->bin_count) {
        memcpy(bins + (t->bin_from - from), t->bins, t->bin_count * sizeof(*bins));
    }
    mem_free(t->bins);
    p->bytes += (to - from - t->bin_count) * sizeof(*bins);
    t->bins = bins;
    t->bin_from = (uint16_t)from;
    t->bin_count = (uint16_t)(to - from);
}

static param_period *period_at(log_profile *p, param_stat *s, int64_t period) {
    if (s->last_period < s->periods.n && s->periods.v[s->last_period].period == period) {
        return &s->periods.v[s->last_period];
    }
    size_t i = 0, end = s->periods.n;
    if (end && s->periods.v[end - 1].period < period) i = end; /* as a rule */
    while (i < end) {
        size_t m = i + (end - i) / 2;
        if (s->periods.v[m].period < period)
            i = m + 1;
        else
            end = m;
    }
    s->last_period = i;
    if (i < s->periods.n && s->periods.v[i].period == period) return &s->periods.v[i];
    tight_push(&s->periods, (param_period){0});
    memmove(&s->periods.v[i + 1], &s->periods.v[i], (s->periods.n - 1 - i) * sizeof(*s->periods.v));
    s->periods.v[i] = (param_period){.period = period};
    p->bytes += sizeof(param_period);
    return &s->periods.v[i];
}

static void period_number(log_profile *p, param_period *t, double v, const place *at) {
    if (!t->count || place_cmp(at, &t->first) < 0) t->first = *at;
    if (!t->count || v > t->max || (v >= t->max && place_cmp(at, &t->max_at) < 0)) {
        t->max = v;
        t->max_at = *at;
    }
    t->count++;
    int bin = logbins_bin(v);
    if (bin == LOGBINS_NONE) {
        t->low++;
        return;
    }
    period_cover(p, t, (unsigned)bin, 1);
    t->bins[(unsigned)bin - t->bin_from]++;
}

static void period_merge(log_profile *p, param_period *into, const param_period *from) {
    if (!from->count) return;
    if (!into->count || place_cmp(&from->first, &into->first) < 0) into->first = from->first;
    if (!into->count || from->max > into->max ||
        (from->max >= into->max && place_cmp(&from->max_at, &into->max_at) < 0)) {
        into->max = from->max;
        into->max_at = from->max_at;
    }
    into->count += from->count;
    into->low += from->low;
    if (!from->bin_count) return;
    period_cover(p, into, from->bin_from, from->bin_count);
    for (unsigned k = 0; k < from->bin_count; k++) {
        into->bins[from->bin_from - into->bin_from + k] += from->bins[k];
    }
}

static void values_open(log_profile *p, param_stat *s) {
    for (size_t i = 0; i < s->values.n; i++) {
        p->bytes -= s->values.v[i].failures.n * sizeof(bucket_count);
        vec_release(&s->values.v[i].failures);
    }
    p->bytes -= s->values.n * sizeof(param_value);
    vec_release(&s->values);
    s->open = true;
}

bool profile_value_fails(str text) {
    if (text.n == 3 && text.p[0] == '5') {
        return text.p[1] >= '0' && text.p[1] <= '9' && text.p[2] >= '0' && text.p[2] <= '9';
    }
    return text.n > 2 && detect_failure_meaning(text) >= VALUE_FAILS;
}

/* Adds to a known value or takes a new one (without its failures over time). NULL when the slot has
 * become open. */
static param_value *value_add(log_profile *p, param_stat *s, const param_value *v) {
    size_t i = s->last_value;
    if (i >= s->values.n || s->values.v[i].hash != v->hash) {
        for (i = 0; i < s->values.n && s->values.v[i].hash < v->hash;) i++;
        s->last_value = i;
        if (i == s->values.n || s->values.v[i].hash != v->hash) {
            if (s->values.n >= p->values_max) {
                s->given_up = p->values_max < PROFILE_VALUES_MAX;
                values_open(p, s);
                return NULL;
            }
            tight_push(&s->values, (param_value){0});
            memmove(&s->values.v[i + 1], &s->values.v[i],
                    (s->values.n - 1 - i) * sizeof(*s->values.v));
            s->values.v[i] = *v;
            s->values.v[i].failures = (bucket_counts){0};
            s->values.v[i].last_failure = 0;
            s->values.v[i].failure = profile_value_fails((str){v->text, v->text_bytes});
            p->bytes += sizeof(param_value);
            return &s->values.v[i];
        }
    }
    param_value *known = &s->values.v[i];
    known->count += v->count;
    place_earliest(&known->first, &v->first);
    if (v->last_ns > known->last_ns) known->last_ns = v->last_ns;
    return known;
}

static void value_failed(log_profile *p, param_value *v, int64_t bucket, uint64_t count,
                         const place *at) {
    if (bucket_add(&v->failures, &v->last_failure, bucket, count, at)) {
        p->bytes += sizeof(bucket_count);
    }
}

static bool may_be_number(uint8_t type) {
    return type == SLOT_INT || type == SLOT_FLOAT || type == SLOT_UNIT;
}

static bool may_be_closed(uint8_t type) {
    return type == SLOT_TEXT || type == SLOT_INT || type == SLOT_QUOTED || type == SLOT_HOST ||
           type == SLOT_IP || type == SLOT_PATH;
}

static void unit_seen(param_stat *s, value_unit unit) {
    s->unit = !s->unit_known || s->unit == unit ? unit : UNIT_MIXED;
    s->unit_known = true;
}

static void param_feed(log_profile *p, param_stat *s, str text, uint8_t type, int64_t bucket,
                       bool timed, const place *at) {
    double v;
    value_unit unit;
    if (may_be_number(type) && timed && profile_number(text, type, &v, &unit)) {
        s->numbers++;
        if (v < 0 || v > 0) unit_seen(s, unit);
        period_number(p, period_at(p, s, bucket >> PROFILE_PERIOD_SHIFT), v, at);
    }
    if (s->open || !may_be_closed(type) || text.n > 4 * (size_t)PROFILE_VALUE_BYTES) return;
    param_value value = {.hash = str_hash(text), .count = 1, .first = *at, .last_ns = at->ns};
    bool last = s->last_value < s->values.n && s->values.v[s->last_value].hash == value.hash;
    if (!last) { /* the text is not known yet, or not just now */
        value.text_bytes = (uint8_t)MIN(text.n, (size_t)PROFILE_VALUE_BYTES);
        memcpy(value.text, text.p, value.text_bytes);
    }
    param_value *known = value_add(p, s, &value);
    if (known && known->failure && timed) value_failed(p, known, bucket, 1, at);
}

/* Frees what a slot holds. */
static void param_release(log_profile *p, param_stat *s) {
    values_open(p, s);
    for (size_t i = 0; i < s->periods.n; i++) {
        p->bytes -= s->periods.v[i].bin_count * sizeof(*s->periods.v[i].bins);
        mem_free(s->periods.v[i].bins);
    }
    p->bytes -= s->periods.n * sizeof(param_period);
    vec_release(&s->periods);
}

/* Frees the parameters of a series; they count as not kept. */
static void params_give_up(log_profile *p, log_series *s) {
    if (!s->params) return;
    p->params_not_kept += s->params[0].seen;
    for (unsigned k = 0; k < s->slot_count; k++) param_release(p, &s->params[k]);
    p->bytes -= s->slot_count * sizeof(param_stat);
    mem_free(s->params);
    s->params = NULL;
}

static void param_widen(log_profile *p, param_stat *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->periods.n; i++) {
        param_period t = s->periods.v[i];
        t.period >>= 1;
        if (kept && s->periods.v[kept - 1].period == t.period) {
            period_merge(p, &s->periods.v[kept - 1], &t);
            p->bytes -= sizeof(t) + t.bin_count * sizeof(*t.bins);
            mem_free(t.bins);
        } else {
            s->periods.v[kept++] = t;
        }
    }
    s->periods.n = kept;
    s->last_period = kept ? kept - 1 : 0;
    for (size_t i = 0; i < s->values.n; i++) {
        param_value *v = &s->values.v[i];
        p->bytes -= v->failures.n * sizeof(bucket_count);
        buckets_widen(&v->failures, &v->last_failure);
        p->bytes += v->failures.n * sizeof(bucket_count);
    }
}

/* -- the profile -- */

log_profile *log_profile_new(const log_profile_opts *opts) {
    log_profile *p = mem_new(log_profile);
    if (opts) p->opts = *opts;
    if (!p->opts.max_series) p->opts.max_series = SERIES_DEFAULT;
    if (!p->opts.max_bytes) p->opts.max_bytes = BYTES_DEFAULT;
    /* Vectors have up to half as much room again as content; content is what is counted. */
    p->opts.max_bytes = p->opts.max_bytes / 3 * 2;
    p->values_max = PROFILE_VALUES_MAX;
    p->first_ns = p->last_ns = TS_NONE;
    intern_init(&p->service_names, "service names", PROFILE_SERVICES_MAX, 1 << 20);
    intern_init(&p->components, "components", COMPONENTS_MAX, 4 << 20);
    map64_init(&p->series_index, p->opts.max_series);
    p->default_service = INTERN_NONE;
    for (size_t i = 0; i < p->opts.input_count; i++) vec_push(&p->input_service, INTERN_NONE);
    return p;
}

void log_profile_free(log_profile *p) {
    if (!p) return;
    for (size_t i = 0; i < p->series.n; i++) {
        log_series *s = &p->series.v[i];
        params_give_up(p, s);
        vec_release(&s->buckets);
    }
    for (size_t i = 0; i < p->services.n; i++) {
        vec_release(&p->services.v[i].all);
        vec_release(&p->services.v[i].bad);
    }
    vec_release(&p->series);
    vec_release(&p->services);
    vec_release(&p->by_name);
    vec_release(&p->input_service);
    vec_release(&p->timeline);
    map64_release(&p->series_index);
    intern_release(&p->service_names);
    intern_release(&p->components);
    mem_free(p);
}

static uint32_t service_id(log_profile *p, str name) {
    if (name.n > 200) name.n = 200;
    uint32_t id = intern_get(&p->service_names, name);
    if (id != INTERN_NONE) return id;
    if (p->services.n + 1 >= PROFILE_SERVICES_MAX) name = OTHER_SERVICES;
    id = intern_put(&p->service_names, name);
    MUST(id != INTERN_NONE); /* the table has room for so many names of that length */
    if (id == p->services.n) {
        vec_push(&p->services, (log_service){.first_ns = TS_NONE, .last_ns = TS_NONE});
        vec_push(&p->by_name, id);
        for (size_t i = p->by_name.n - 1; i > 0; i--) {
            uint32_t before = p->by_name.v[i - 1];
            if (str_cmp(intern_str(&p->service_names, before), name) <= 0) break;
            p->by_name.v[i] = before;
            p->by_name.v[i - 1] = id;
        }
        p->bytes += sizeof(log_service);
    }
    return id;
}

static uint32_t service_of(log_profile *p, const log_record *r) {
    if (r->service.n) {
        if (r->service.p == p->last_service_text.p && r->service.n == p->last_service_text.n) {
            return p->last_service; /* same bytes of the same batch */
        }
        p->last_service = service_id(p, r->service);
        p->last_service_text = r->service;
        return p->last_service;
    }
    if (r->ref.file < p->input_service.n && p->opts.input_services[r->ref.file].n) {
        uint32_t *id = &p->input_service.v[r->ref.file];
        if (*id == INTERN_NONE) *id = service_id(p, p->opts.input_services[r->ref.file]);
        return *id;
    }
    if (p->default_service == INTERN_NONE) {
        p->default_service = service_id(p, p->opts.default_service);
    }
    return p->default_service;
}

static uint64_t series_key(uint32_t service, uint64_t shape) {
    return mix64(shape + ((uint64_t)service << 1 | 1) * 0x9e3779b97f4a7c15u);
}

/* NULL when there is no room for another one. */
static log_series *series_of(log_profile *p, uint32_t service, uint64_t shape) {
    uint64_t key = series_key(service, shape);
    uint64_t *at = map64_get(&p->series_index, key);
    if (LIKELY(at != NULL)) return &p->series.v[*at];
    if (p->full || !(at = map64_put(&p->series_index, key, NULL))) return NULL;
    *at = p->series.n;
    vec_push(&p->series,
             (log_series){.shape = shape, .service = service, .component = INTERN_NONE});
    p->bytes += sizeof(log_series);
    return &p->series.v[p->series.n - 1];
}

static void widen(log_profile *p) {
    MUST(p->level < PROFILE_LEVEL_MAX);
    p->level++;
    buckets_widen(&p->timeline, &p->last_timeline);
    size_t bytes = 0;
    for (size_t i = 0; i < p->services.n; i++) {
        log_service *s = &p->services.v[i];
        bytes += s->all.n + s->bad.n;
        buckets_widen(&s->all, &s->last_all);
        buckets_widen(&s->bad, &s->last_bad);
        bytes -= s->all.n + s->bad.n;
    }
    for (size_t i = 0; i < p->series.n; i++) {
        log_series *s = &p->series.v[i];
        bytes += s->buckets.n;
        buckets_widen(&s->buckets, &s->last_bucket);
        bytes -= s->buckets.n;
        for (unsigned k = 0; s->params && k < s->slot_count; k++) param_widen(p, &s->params[k]);
    }
    p->bytes -= bytes * sizeof(bucket_count);
}

/* Closed sets may hold half as many values from now on. */
static void values_limit(log_profile *p, unsigned max) {
    p->values_max = max;
    for (size_t i = 0; i < p->series.n; i++) {
        log_series *s = &p->series.v[i];
        for (unsigned k = 0; s->params && k < s->slot_count; k++) {
            if (s->params[k].values.n <= max) continue;
            s->params[k].given_up = true;
            values_open(p, &s->params[k]);
        }
    }
}

static void params_off(log_profile *p) {
    p->params_off = true;
    for (size_t i = 0; i < p->series.n; i++) params_give_up(p, &p->series.v[i]);
}

/* Gives up the least of what is kept; false when nothing is left to give up. */
static bool shed(log_profile *p) {
    if (p->timeline.n > BUCKETS_MIN && p->level < PROFILE_LEVEL_MAX) {
        widen(p);
    } else if (p->values_max > 0 && !p->opts.no_params && !p->params_off) {
        values_limit(p, p->values_max / 2);
    } else if (!p->opts.no_params && !p->params_off) {
        params_off(p);
    } else if (p->timeline.n > BUCKETS_LEAST && p->level < PROFILE_LEVEL_MAX) {
        widen(p);
    } else {
        return false;
    }
    return true;
}

static void keep_bounds(log_profile *p) {
    while (p->timeline.n > PROFILE_BUCKETS_MAX && p->level < PROFILE_LEVEL_MAX) widen(p);
    while (p->bytes > p->opts.max_bytes && shed(p)) continue;
    p->full = p->bytes > p->opts.max_bytes;
}

static void see_component(log_profile *p, log_series *s, str name) {
    if (!name.n || s->several_components) return;
    if (s->component == INTERN_NONE) {
        s->component = intern_put(&p->components, name);
    } else if (!str_eq(intern_str(&p->components, s->component), name)) {
        s->several_components = true;
        s->component = INTERN_NONE;
    }
}

static void span_add(int64_t *first, int64_t *last, int64_t ns) {
    if (*first == TS_NONE || ns < *first) *first = ns;
    if (*last == TS_NONE || ns > *last) *last = ns;
}

static void feed_params(log_profile *p, log_series *s, const log_record *r, int64_t bucket,
                        bool timed, const place *at) {
    unsigned slots = MIN(r->slot_count, (uint32_t)PROFILE_SLOTS_MAX);
    if (!slots) return;
    if (!s->params) {
        /* from the series' first record on, or not at all */
        if (p->params_off || s->records > 1 || p->bytes > p->opts.max_bytes / 2) {
            p->params_not_kept++;
            return;
        }
        s->params = mem_new_n(param_stat, slots);
        s->slot_count = (uint8_t)slots;
        p->bytes += slots * sizeof(param_stat);
    }
    slots = MIN(slots, (unsigned)s->slot_count); /* the same for all records of a shape */
    for (unsigned k = 0; k < slots; k++) {
        const log_slot *slot = &r->slots[k];
        s->params[k].seen++;
        if (!may_be_number(slot->type) && !may_be_closed(slot->type)) continue;
        if (slot->type != SLOT_INT && !may_be_number(slot->type) && s->params[k].open) continue;
        param_feed(p, &s->params[k], str_sub(r->body, slot->offset, slot->bytes), slot->type,
                   bucket, timed, at);
    }
}

rc log_profile_feed(log_profile *p, const log_batch *b, err *e) {
    (void)e; /* limits are counted, nothing else can fail */
    int64_t before_ns = TS_NONE;
    p->last_service_text = STR_NONE; /* the text belonged to another batch */
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        p->records++;
        bool error = r->severity >= SEV_ERROR, warning = !error && r->severity >= SEV_WARN;
        p->errors += error;
        p->warnings += warning;
        int64_t ns = r->ts_ns;
        if (ns == TS_NONE) {
            p->without_time++;
            ns = before_ns;
        }
        before_ns = ns;
        bool timed = ns != TS_NONE;
        place at = {.ns = ns,
                    .offset = r->ref.offset,
                    .line = r->ref.line,
                    .file = r->ref.file,
                    .bytes = r->ref.bytes};
        uint32_t service = service_of(p, r);
        log_service *v = &p->services.v[service];
        v->records++;
        v->errors += error;
        v->warnings += warning;
        if (error && v->errors == 1) v->first_error = at;
        if (error) place_earliest(&v->first_error, &at);
        int64_t bucket = 0;
        if (timed) {
            span_add(&p->first_ns, &p->last_ns, ns);
            span_add(&v->first_ns, &v->last_ns, ns);
            bucket = profile_bucket_of(p, ns);
            if (UNLIKELY(bucket_add(&p->timeline, &p->last_timeline, bucket, 1, &at) &&
                         p->timeline.n > PROFILE_BUCKETS_MAX)) {
                keep_bounds(p);
                bucket = profile_bucket_of(p, ns);
            }
            size_t added = bucket_add(&v->all, &v->last_all, bucket, 1, &at);
            if (error) added += bucket_add(&v->bad, &v->last_bad, bucket, 1, &at);
            p->bytes += added * sizeof(bucket_count);
        }
        log_series *s = series_of(p, service, r->shape);
        if (!s) {
            p->not_kept++;
            continue;
        }
        if (!s->records++) {
            s->first = s->last = at;
        } else {
            place_earliest(&s->first, &at);
            if (place_cmp(&at, &s->last) > 0) s->last = at;
        }
        s->errors += error;
        s->warnings += warning;
        if (r->severity > s->max_severity) s->max_severity = r->severity;
        see_component(p, s, r->component);
        if (timed && bucket_add(&s->buckets, &s->last_bucket, bucket, 1, &at)) {
            p->bytes += sizeof(bucket_count);
        }
        if (!p->opts.no_params) feed_params(p, s, r, bucket, timed, &at);
    }
    if (p->bytes > p->opts.max_bytes) keep_bounds(p);
    return RC_OK;
}

/* -- merging -- */

static void merge_buckets(log_profile *p, bucket_counts *into, size_t *last,
                          const bucket_counts *from, unsigned shift, bool counted) {
    for (size_t i = 0; i < from->n; i++) {
        const bucket_count *b = &from->v[i];
        if (bucket_add(into, last, b->bucket >> shift, b->count, &b->first) && counted) {
            p->bytes += sizeof(bucket_count);
        }
    }
}

static void merge_param(log_profile *p, param_stat *into, const param_stat *from, unsigned shift) {
    if (from->unit_known) unit_seen(into, from->unit);
    into->seen += from->seen;
    into->numbers += from->numbers;
    for (size_t i = 0; i < from->periods.n; i++) {
        const param_period *t = &from->periods.v[i];
        period_merge(p, period_at(p, into, t->period >> shift), t);
    }
    into->given_up |= from->given_up;
    if (from->open && !into->open) values_open(p, into);
    for (size_t i = 0; i < from->values.n && !into->open; i++) {
        const param_value *v = &from->values.v[i];
        param_value *known = value_add(p, into, v);
        for (size_t k = 0; known && k < v->failures.n; k++) {
            const bucket_count *b = &v->failures.v[k];
            value_failed(p, known, b->bucket >> shift, b->count, &b->first);
        }
    }
}

static void merge_series(log_profile *p, log_series *into, const log_profile *q,
                         const log_series *from, unsigned shift) {
    if (!into->records) {
        into->first = from->first;
        into->last = from->last;
    } else {
        place_earliest(&into->first, &from->first);
        if (place_cmp(&from->last, &into->last) > 0) into->last = from->last;
    }
    into->records += from->records;
    into->errors += from->errors;
    into->warnings += from->warnings;
    into->max_severity = MAX(into->max_severity, from->max_severity);
    if (from->several_components) {
        into->several_components = true;
        into->component = INTERN_NONE;
    } else if (from->component != INTERN_NONE) {
        see_component(p, into, intern_str(&q->components, from->component));
    }
    merge_buckets(p, &into->buckets, &into->last_bucket, &from->buckets, shift, true);
    if (!from->params) return;
    if (p->params_off) {
        p->params_not_kept += from->params[0].seen;
        return;
    }
    if (!into->params) {
        into->slot_count = from->slot_count;
        into->params = mem_new_n(param_stat, from->slot_count);
        p->bytes += from->slot_count * sizeof(param_stat);
    }
    for (unsigned k = 0; k < MIN(into->slot_count, from->slot_count); k++) {
        merge_param(p, &into->params[k], &from->params[k], shift);
    }
}

rc log_profile_merge(log_profile *p, const log_profile *from, err *e) {
    MUST(p != from);
    if (p->opts.no_params != from->opts.no_params) {
        return FAIL(e, RC_INVALID, "profiles with and without parameters do not merge");
    }
    while (p->level < from->level) widen(p);
    unsigned shift = p->level - from->level;
    p->records += from->records;
    p->errors += from->errors;
    p->warnings += from->warnings;
    p->without_time += from->without_time;
    p->not_kept += from->not_kept;
    p->params_not_kept += from->params_not_kept;
    if (from->params_off && !p->params_off) params_off(p);
    if (from->values_max < p->values_max) values_limit(p, from->values_max);
    if (from->first_ns != TS_NONE) {
        span_add(&p->first_ns, &p->last_ns, from->first_ns);
        span_add(&p->first_ns, &p->last_ns, from->last_ns);
    }
    merge_buckets(p, &p->timeline, &p->last_timeline, &from->timeline, shift, false);
    uint32_t *ids = mem_new_n(uint32_t, from->services.n + 1);
    for (size_t i = 0; i < from->services.n; i++) {
        const log_service *f = &from->services.v[i];
        ids[i] = service_id(p, intern_str(&from->service_names, (uint32_t)i));
        log_service *v = &p->services.v[ids[i]];
        if (f->errors && !v->errors) v->first_error = f->first_error;
        if (f->errors) place_earliest(&v->first_error, &f->first_error);
        v->records += f->records;
        v->errors += f->errors;
        v->warnings += f->warnings;
        if (f->first_ns != TS_NONE) {
            span_add(&v->first_ns, &v->last_ns, f->first_ns);
            span_add(&v->first_ns, &v->last_ns, f->last_ns);
        }
        merge_buckets(p, &v->all, &v->last_all, &f->all, shift, true);
        merge_buckets(p, &v->bad, &v->last_bad, &f->bad, shift, true);
    }
    for (size_t i = 0; i < from->series.n; i++) {
        const log_series *f = &from->series.v[i];
        log_series *s = series_of(p, ids[f->service], f->shape);
        if (s)
            merge_series(p, s, from, f, shift);
        else
            p->not_kept += f->records;
    }
    mem_free(ids);
    keep_bounds(p);
    return RC_OK;
}

void log_profile_totals(const log_profile *p, profile_totals *ret) {
    *ret = (profile_totals){.records = p->records,
                            .errors = p->errors,
                            .warnings = p->warnings,
                            .without_time = p->without_time,
                            .not_kept = p->not_kept,
                            .services = p->services.n,
                            .series = p->series.n,
                            .first_ns = p->first_ns,
                            .last_ns = p->last_ns,
                            .bucket_ns = profile_bucket_ns(p, 1),
                            .params_not_kept = p->params_not_kept};
    for (size_t i = 0; i < p->series.n; i++) {
        const log_series *s = &p->series.v[i];
        for (unsigned k = 0; s->params && k < s->slot_count; k++) {
            ret->sets_not_kept += s->params[k].given_up;
        }
    }
    uint32_t other = intern_get(&p->service_names, OTHER_SERVICES);
    if (other != INTERN_NONE) ret->in_other_services = p->services.v[other].records;
}

size_t log_profile_service_count(const log_profile *p) { return p->services.n; }

void log_profile_service(const log_profile *p, size_t i, profile_service *ret) {
    MUST(i < p->services.n);
    uint32_t id = p->by_name.v[i];
    const log_service *s = &p->services.v[id];
    *ret = (profile_service){.name = intern_str(&p->service_names, id),
                             .records = s->records,
                             .errors = s->errors,
                             .warnings = s->warnings,
                             .first_ns = s->first_ns,
                             .last_ns = s->last_ns,
                             .first_error_ns = s->errors ? s->first_error.ns : TS_NONE,
                             .first_error_ref = place_ref(&s->first_error)};
}
