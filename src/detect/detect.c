/* detect.c - from a profile to findings: the scan that detectors share, and what becomes of their
 * candidates.
 *
 *   profile + miner --> timeline, templates --> detectors --> candidates --> weigh, fold -->
 * findings
 *
 * Weighing. A detector states surprise in bits and how many bits it needs so that its tests
 * together stay within its part of the budget of false alarms (opts.false_alarms_per_scan, shared
 * evenly). The level says how much a person should care: it needs both surprise beyond the need and
 * concern (what the text says, the stated severity, the kind of change):
 *
 *     concern        excess >= 0    >= 8        >= 16
 *     >= .85         Medium         High        Critical when a whole service is concerned, else
 * High
 *     >= .6          Medium         Medium      High; Critical from WHOLE_EXCESS for a service
 *     >= .4          Low            Low         Medium
 *     below          Low            Low         Low; Medium from QUIET_EXCESS
 *
 * Folding. The same event shows in many ways. Per template only the strongest finding stays. Within
 * a service and NEAR buckets, findings without concern of their own that accompany one with concern
 * become Low; more than CLUSTER_MAX of a cluster are left out (counted).
 *
 * A scan with too little to go by is undetermined: it still reports what the text itself says. */
#include "algo/changepoint.h"
#include "algo/multiple.h"
#include "base/rng.h"
#include "detect/detect_int.h"

#include <math.h>
#include <stdlib.h>

enum {
    FINDINGS_DEFAULT = 200,
    RECORDS_MIN = 50, /* fewer records tell nothing about what is normal */
    BUCKETS_MIN = 8,
    ARENA_MAX = 256 << 20,
    CLUSTER_MAX = 12,
};

#define QUIET_EXCESS 60.0
#define WHOLE_EXCESS 40.0

size_t scan_bucket(const scan *s, int64_t bucket) {
    size_t a = 0, b = s->n;
    while (a < b) {
        size_t m = a + (b - a) / 2;
        if (s->buckets[m] < bucket)
            a = m + 1;
        else
            b = m;
    }
    return a < s->n && s->buckets[a] == bucket ? a : SIZE_MAX;
}

int64_t scan_bucket_ns(const scan *s, size_t i) { return profile_bucket_ns(s->p, s->buckets[i]); }

int64_t scan_bucket_end_ns(const scan *s, size_t i) {
    return profile_bucket_ns(s->p, s->buckets[i] + 1);
}

int64_t scan_end_ns(const scan *s) {
    return s->n ? MIN(s->p->last_ns, scan_bucket_end_ns(s, s->n - 1)) : s->p->last_ns;
}

void scan_counts(const scan *s, const tmpl *t, double *x) {
    memset(x, 0, s->n * sizeof(double));
    for (size_t i = t->series_from; i < t->series_from + t->series_count; i++) {
        const bucket_counts *b = &s->p->series.v[s->order[i]].buckets;
        for (size_t k = 0; k < b->n; k++) {
            size_t at = scan_bucket(s, b->v[k].bucket);
            if (at != SIZE_MAX) x[at] += (double)b->v[k].count;
        }
    }
}

void scan_bucket_counts(const scan *s, const bucket_counts *b, double *x) {
    memset(x, 0, s->n * sizeof(double));
    for (size_t k = 0; k < b->n; k++) {
        size_t at = scan_bucket(s, b->v[k].bucket);
        if (at != SIZE_MAX) x[at] += (double)b->v[k].count;
    }
}

void scan_service_counts(const scan *s, size_t service, bool bad, double *x) {
    const log_service *v = &s->p->services.v[service];
    scan_bucket_counts(s, bad ? &v->bad : &v->all, x);
}

size_t scan_onset(const double *x, size_t from, size_t to, size_t scale, double level,
                  int direction) {
    double sum = 0; /* of the window that ends at `from` */
    for (size_t k = from > scale ? from - scale : 0; k < from; k++) sum += x[k];
    while (from >= scale && (sum / (double)scale - level) * direction > 0) {
        from--;
        sum -= x[from];
        if (from >= scale) sum += x[from - scale];
    }
    if (from < scale) {
        /* too little before to compare with: at the beginning itself */
        bool beyond = (x[0] - level) * direction > 0;
        if (beyond || from == 0) return 0;
    }
    size_t before = MIN(from, 8 * scale);
    double gain;
    size_t at = changepoint_split_counts(x + from - before, to - from + before, &gain);
    return from - before + at;
}

int64_t scan_first_in_bucket(const scan *s, const tmpl *t, size_t bucket) {
    int64_t ns = INT64_MAX;
    for (size_t k = t->series_from; k < t->series_from + t->series_count; k++) {
        const bucket_counts *b = &s->p->series.v[s->order[k]].buckets;
        for (size_t i = 0; i < b->n; i++) {
            if (b->v[i].bucket == s->buckets[bucket]) ns = MIN(ns, b->v[i].first.ns);
        }
    }
    return ns == INT64_MAX ? scan_bucket_ns(s, bucket) : ns;
}

static int ref_place_cmp(const void *a, const void *b) {
    const place *const *x = a, *const *y = b;
    return place_cmp(*x, *y);
}

void scan_refs(const scan *s, const tmpl *t, size_t bucket, size_t to, finding *f) {
    /* The earliest firsts of all series of the template within [bucket, to). */
    const place *best[FINDING_REFS];
    size_t n = 0;
    for (size_t i = t->series_from; i < t->series_from + t->series_count; i++) {
        const bucket_counts *b = &s->p->series.v[s->order[i]].buckets;
        for (size_t k = 0; k < b->n; k++) {
            size_t at = scan_bucket(s, b->v[k].bucket);
            if (at == SIZE_MAX || at < bucket || at >= to) continue;
            const place *p = &b->v[k].first;
            if (n < FINDING_REFS) {
                best[n++] = p;
            } else {
                if (place_cmp(p, best[n - 1]) >= 0) continue;
                best[n - 1] = p;
            }
            qsort(best, n, sizeof(best[0]), ref_place_cmp);
        }
    }
    f->ref_count = 0;
    for (size_t i = 0; i < n; i++) f->refs[f->ref_count++] = place_ref(best[i]);
    if (!n) f->refs[f->ref_count++] = place_ref(&t->first);
}

double scan_needed(const scan *s, double tests) {
    double alarms = s->opts->false_alarms_per_scan > 0 ? s->opts->false_alarms_per_scan : 0.5;
    return multiple_bits_needed(tests, alarms / DETECTOR_COUNT);
}

candidate scan_candidate(const scan *s, const tmpl *t, finding_kind kind) {
    candidate c = {.tmpl = (size_t)(t - s->tmpls), .bucket = SIZE_MAX, .concern = t->concern};
    c.f = (finding){.kind = kind,
                    .service = intern_str(&s->p->service_names, t->service),
                    .component = t->component,
                    .from_ns = TS_NONE,
                    .to_ns = TS_NONE,
                    .onset_ns = TS_NONE,
                    .template_id = t->id,
                    .template_text = t->text,
                    .severity = t->severity,
                    .failure_meaning = t->meaning};
    return c;
}

void scan_add(scan *s, const candidate *c) {
    if (s->found.n < 65536)
        vec_push(&s->found, *c);
    else
        s->sum.findings_left_out++;
}

/* -- building the scan -- */

/* The timeline without strays: a small group of buckets (under 1% of the records) that lies further
 * from the rest than four times the rest's span is a wrong clock or a wrong parse. */
static void build_timeline(scan *s) {
    const bucket_counts *t = &s->p->timeline;
    size_t from = 0, to = t->n;
    double total = 0, gone = 0;
    for (size_t i = 0; i < t->n; i++) total += (double)t->v[i].count;
    for (size_t i = 0; i + 1 < to; i++) {
        gone += (double)t->v[i].count;
        if (gone > total / 100) break;
        double span = (double)(t->v[to - 1].bucket - t->v[i + 1].bucket) + 1;
        if ((double)(t->v[i + 1].bucket - t->v[i].bucket) > 4 * span) from = i + 1;
    }
    gone = 0;
    for (size_t i = to; i-- > from + 1;) {
        gone += (double)t->v[i].count;
        if (gone > total / 100) break;
        double span = (double)(t->v[i - 1].bucket - t->v[from].bucket) + 1;
        if ((double)(t->v[i].bucket - t->v[i - 1].bucket) > 4 * span) to = i;
    }
    s->n = to - from;
    s->buckets = (int64_t *)arena_bytes(&s->mem, (s->n + 1) * sizeof(int64_t), _Alignof(int64_t));
    s->total = (double *)arena_bytes(&s->mem, (s->n + 1) * sizeof(double), _Alignof(double));
    for (size_t i = 0; i < s->n; i++) {
        s->buckets[i] = t->v[from + i].bucket;
        s->total[i] = (double)t->v[from + i].count;
    }
    s->warmup = s->n / 5;
}

/* What the text says and what the program's author stated, together. A stated level outweighs weak
 * words; words as strong as "out of memory" stand even at ERROR; a harmless level counts against.
 */
static double concern_of(double meaning, uint8_t level) {
    if (level >= SEV_FATAL) return 0.9 + 0.08 * meaning;
    if (level >= SEV_ERROR2) return fmax(0.82 + 0.1 * meaning, 0.98 * meaning);
    if (level >= SEV_ERROR) return fmax(0.75 + 0.08 * meaning, 0.98 * meaning);
    if (level >= SEV_WARN) return fmax(0.45 + 0.12 * meaning, 0.65 * meaning);
    return level == SEV_NONE ? meaning : 0.8 * meaning;
}

/* Numbers of services and series depend on who saw what first: neither takes part in the order. */
typedef struct order_key {
    uint64_t template_id, shape;
    uint32_t rank; /* of the service's name */
    uint32_t series;
} order_key;

static int order_cmp(const void *a, const void *b) {
    const order_key *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->template_id != y->template_id) return x->template_id < y->template_id ? -1 : 1;
    return x->shape < y->shape ? -1 : x->shape > y->shape;
}

static void build_templates(scan *s) {
    const log_profile *p = s->p;
    size_t n = p->series.n;
    order_key *keys = mem_new_n(order_key, n + 1);
    uint32_t *rank = mem_new_n(uint32_t, p->services.n + 1);
    for (uint32_t i = 0; i < p->by_name.n; i++) rank[p->by_name.v[i]] = i;
    for (size_t i = 0; i < n; i++) {
        const log_series *v = &p->series.v[i];
        uint64_t id = miner_template_of(s->m, v->shape);
        keys[i] = (order_key){id ? id : v->shape, v->shape, rank[v->service], (uint32_t)i};
    }
    qsort(keys, n, sizeof(*keys), order_cmp);
    s->order = (uint32_t *)arena_bytes(&s->mem, (n + 1) * sizeof(uint32_t), _Alignof(uint32_t));
    s->tmpls = (tmpl *)arena_bytes(&s->mem, (n + 1) * sizeof(tmpl), _Alignof(tmpl));
    for (size_t i = 0; i < n; i++) {
        s->order[i] = keys[i].series;
        const log_series *v = &p->series.v[keys[i].series];
        bool same = i > 0 && keys[i].rank == keys[i - 1].rank &&
                    keys[i].template_id == keys[i - 1].template_id;
        tmpl *t = &s->tmpls[s->tmpl_count - (same ? 1 : 0)];
        if (!same) {
            s->tmpl_count++;
            *t = (tmpl){.id = keys[i].template_id,
                        .service = v->service,
                        .first = v->first,
                        .last = v->last,
                        .first_bucket = SIZE_MAX,
                        .last_bucket = SIZE_MAX,
                        .series_from = i};
            template_info info;
            if (miner_template(s->m, t->id, &info) == RC_OK) t->text = info.text;
            if (v->component != INTERN_NONE)
                t->component = intern_str(&p->components, v->component);
        }
        t->series_count++;
        t->records += v->records;
        t->errors += v->errors;
        t->severity = MAX(t->severity, v->max_severity);
        if (place_cmp(&v->first, &t->first) < 0) t->first = v->first;
        if (place_cmp(&v->last, &t->last) > 0) t->last = v->last;
        for (size_t k = 0; k < v->buckets.n; k++) {
            size_t at = scan_bucket(s, v->buckets.v[k].bucket);
            if (at == SIZE_MAX) continue;
            if (t->first_bucket == SIZE_MAX || at < t->first_bucket) t->first_bucket = at;
            if (t->last_bucket == SIZE_MAX || at > t->last_bucket) t->last_bucket = at;
        }
    }
    double *x = (double *)arena_bytes(&s->mem, (s->n + 1) * sizeof(double), _Alignof(double));
    for (size_t i = 0; i < s->tmpl_count; i++) {
        tmpl *t = &s->tmpls[i];
        t->meaning = detect_failure_meaning(t->text);
        scan_counts(s, t, x);
        for (size_t k = 0; k < s->n; k++) t->occupied += x[k] > 0;
        /* a level that only few of a template's records have says little about the template */
        uint8_t level =
            t->errors * 2 >= t->records || t->severity < SEV_ERROR ? t->severity : SEV_WARN;
        t->concern = concern_of(t->meaning, level);
    }
    mem_free(keys);
    mem_free(rank);
}

/* -- the baseline -- */

static uint64_t base_key(str service, str text) { return str_hash_seed(text, str_hash(service)); }

static void base_chain(map64 *map, uint32_t *next, uint64_t key, size_t series) {
    uint64_t *head = map64_put(map, key, NULL);
    if (!head) return;
    next[series] = (uint32_t)*head;
    *head = series + 1;
}

static void build_baseline(scan *s) {
    s->base = s->opts->baseline;
    if (!s->base) return;
    const miner *m = s->opts->baseline_miner ? s->opts->baseline_miner : s->m;
    size_t n = s->base->series.n;
    map64_init(&s->base_by_text, 1 << 17);
    map64_init(&s->base_by_shape, 1 << 17);
    s->base_next_text = (uint32_t *)arena_bytes(&s->mem, (n + 1) * 4, 4);
    s->base_next_shape = (uint32_t *)arena_bytes(&s->mem, (n + 1) * 4, 4);
    for (size_t i = 0; i < n; i++) {
        const log_series *v = &s->base->series.v[i];
        template_info info;
        str service = intern_str(&s->base->service_names, v->service);
        uint64_t id = miner_template_of(m, v->shape);
        if (id && miner_template(m, id, &info) == RC_OK && info.text.n) {
            base_chain(&s->base_by_text, s->base_next_text, base_key(service, info.text), i);
        }
        base_chain(&s->base_by_shape, s->base_next_shape, v->shape, i);
    }
    for (size_t i = 0; i < s->tmpl_count; i++) {
        tmpl *t = &s->tmpls[i];
        str service = intern_str(&s->p->service_names, t->service);
        t->in_baseline =
            t->text.n && map64_get(&s->base_by_text, base_key(service, t->text)) != NULL;
        for (size_t k = t->series_from; k < t->series_from + t->series_count; k++) {
            t->in_baseline |=
                map64_get(&s->base_by_shape, s->p->series.v[s->order[k]].shape) != NULL;
        }
    }
}

/* Adds buckets of the baseline to windows of 2^shift of them; `first` is the baseline's first
 * bucket. */
static void base_add(const bucket_counts *b, int64_t first, unsigned shift, size_t scale,
                     double *out, size_t count) {
    for (size_t k = 0; k < b->n; k++) {
        int64_t at = (b->v[k].bucket - first) >> shift;
        if (at >= 0 && (size_t)at / scale < count) out[(size_t)at / scale] += (double)b->v[k].count;
    }
}

size_t scan_base_windows(const scan *s, const tmpl *t, str service, bool bad, size_t scale,
                         double *out, size_t max) {
    const log_profile *b = s->base;
    if (!b || !b->timeline.n) return 0;
    unsigned shift = 0; /* our buckets may be wider: the baseline's are joined first */
    if (b->level > s->p->level) {
        unsigned wider = b->level - s->p->level;
        if (wider > 20 || scale >> wider == 0) return 0;
        scale >>= wider;
    } else {
        shift = s->p->level - b->level;
    }
    int64_t first = b->timeline.v[0].bucket, last = b->timeline.v[b->timeline.n - 1].bucket;
    size_t count = (size_t)((last - first) >> shift) / scale; /* the last, cut one is left out */
    if (count > max) count = max;
    memset(out, 0, count * sizeof(double));
    if (!t) {
        uint32_t id = intern_get(&b->service_names, service);
        if (id == INTERN_NONE) return 0;
        const log_service *v = &b->services.v[id];
        base_add(bad ? &v->bad : &v->all, first, shift, scale, out, count);
        return count;
    }
    uint64_t *head = t->text.n ? map64_get(&s->base_by_text, base_key(service, t->text)) : NULL;
    const uint32_t *next = s->base_next_text;
    if (!head) {
        next = s->base_next_shape;
        head = map64_get(&s->base_by_shape, s->p->series.v[s->order[t->series_from]].shape);
    }
    if (!head) return 0;
    for (uint64_t i = *head; i; i = next[i - 1]) {
        base_add(&b->series.v[i - 1].buckets, first, shift, scale, out, count);
    }
    return count;
}

/* -- weighing and folding -- */

static finding_level level_of(const candidate *c) {
    double excess = c->f.surprise_bits - c->needed;
    bool whole = c->f.kind == FINDING_ERROR_RATIO || c->tmpl == SIZE_MAX;
    if (excess < 0) return LEVEL_LOW;
    if (c->concern >= 0.85) {
        if (excess >= 16 && whole) return LEVEL_CRITICAL;
        return excess >= 8 ? LEVEL_HIGH : LEVEL_MEDIUM;
    }
    if (c->concern >= 0.6) {
        if (excess >= WHOLE_EXCESS && whole) return LEVEL_CRITICAL;
        return excess >= 16 ? LEVEL_HIGH : LEVEL_MEDIUM;
    }
    if (c->concern >= 0.4) return excess >= 16 ? LEVEL_MEDIUM : LEVEL_LOW;
    return excess >= QUIET_EXCESS ? LEVEL_MEDIUM : LEVEL_LOW;
}

static int candidate_cmp(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->f.level != y->f.level) return x->f.level > y->f.level ? -1 : 1;
    if (x->f.surprise_bits != y->f.surprise_bits) {
        return x->f.surprise_bits > y->f.surprise_bits ? -1 : 1;
    }
    if (x->f.onset_ns != y->f.onset_ns) return x->f.onset_ns < y->f.onset_ns ? -1 : 1;
    int by_service = str_cmp(x->f.service, y->f.service);
    if (by_service) return by_service;
    if (x->f.template_id != y->f.template_id) return x->f.template_id < y->f.template_id ? -1 : 1;
    if (x->f.kind != y->f.kind) return x->f.kind < y->f.kind ? -1 : 1;
    int by_subject = str_cmp(x->f.subject, y->f.subject);
    if (by_subject) return by_subject;
    const log_ref *a_ref = &x->f.refs[0], *b_ref = &y->f.refs[0];
    if (a_ref->file != b_ref->file) return a_ref->file < b_ref->file ? -1 : 1;
    return a_ref->offset < b_ref->offset ? -1 : a_ref->offset > b_ref->offset;
}

static bool near_in_time(const scan *s, const candidate *a, const candidate *b) {
    if (a->bucket == SIZE_MAX || b->bucket == SIZE_MAX) return false;
    size_t near = 2 + s->n / 128;
    return a->bucket <= b->bucket + near && b->bucket <= a->bucket + near;
}

/* A candidate that only repeats a stronger one. */
static bool repeats(const scan *s, const candidate *c, const candidate *stronger) {
    if (c->tmpl != SIZE_MAX && c->tmpl == stronger->tmpl) {
        return !c->f.subject.n || near_in_time(s, c, stronger);
    }
    /* A service that says nothing also says less. */
    if (c->tmpl == SIZE_MAX && stronger->tmpl == SIZE_MAX && c->f.direction < 0 &&
        stronger->f.direction < 0 && str_eq(c->f.service, stronger->f.service)) {
        return near_in_time(s, c, stronger);
    }
    /* One new value (a status, say) shows in every template that prints it. */
    return c->f.subject.n && str_eq(c->f.service, stronger->f.service) &&
           str_eq(c->f.subject, stronger->f.subject) && c->f.kind != FINDING_PARAM_OUTLIER &&
           near_in_time(s, c, stronger);
}

static void fold(scan *s, finding_set *out) {
    size_t max = s->opts->max_findings ? s->opts->max_findings : FINDINGS_DEFAULT;
    for (size_t i = 0; i < s->found.n; i++) s->found.v[i].f.level = level_of(&s->found.v[i]);
    if (s->found.n > 1) qsort(s->found.v, s->found.n, sizeof(candidate), candidate_cmp);
    size_t kept = 0;
    candidate *v = s->found.v;
    for (size_t i = 0; i < s->found.n; i++) {
        candidate c = v[i];
        double excess = c.f.surprise_bits - c.needed;
        /* Below the need only what speaks of a failure is worth a line. */
        if (excess < 0 && c.concern < 0.4) continue;
        bool drop = false;
        size_t cluster = 0;
        for (size_t k = 0; k < kept && !drop; k++) {
            drop = repeats(s, &c, &v[k]);
            if (str_eq(v[k].f.service, c.f.service) && near_in_time(s, &c, &v[k])) {
                cluster++;
                if (v[k].concern >= 0.6 && c.concern < 0.4 && c.f.kind != FINDING_STOPPED) {
                    c.f.level = LEVEL_LOW;
                }
            }
        }
        if (drop) continue;
        if (cluster >= CLUSTER_MAX || kept >= max) {
            s->sum.findings_left_out++;
            continue;
        }
        v[kept++] = c;
    }
    for (size_t i = 0; i < kept; i++) {
        double excess = v[i].f.surprise_bits - v[i].needed;
        v[i].f.confidence = 1 - exp2(-fmax(0, excess + 2) / 2);
        if (v[i].f.confidence > 0.99) v[i].f.confidence = 0.99;
        if (!finding_set_add(out, &v[i].f)) s->sum.findings_left_out++;
    }
    finding_set_sort(out);
}

rc detect_logs(const log_profile *p, const miner *m, const detect_opts *opts, finding_set *out,
               detect_summary *ret, err *e) {
    static const detect_opts defaults;
    scan s = {.p = p, .m = m, .opts = opts ? opts : &defaults};
    arena_init(&s.mem, "detect", ARENA_MAX);
    profile_totals totals;
    log_profile_totals(p, &totals);
    s.sum.records = totals.records;
    s.sum.records_not_kept = totals.not_kept;
    s.sum.params_not_kept = totals.params_not_kept;
    s.sum.sets_not_kept = totals.sets_not_kept;
    s.sum.in_other_services = totals.in_other_services;
    build_timeline(&s);
    build_templates(&s);
    build_baseline(&s);
    if (p->records < RECORDS_MIN) {
        s.sum.undetermined = true;
        s.sum.why_undetermined = S("few_records");
    } else if (s.n == 0 || p->without_time * 2 > p->records) {
        s.sum.undetermined = true;
        s.sum.why_undetermined = s.n == 0 ? S("no_time") : S("little_time");
    } else if (s.n < BUCKETS_MIN && !s.base) {
        s.sum.undetermined = true;
        s.sum.why_undetermined = S("short_time");
    }
    detect_new(&s);
    detect_rate(&s);
    detect_errors(&s);
    detect_stopped(&s);
    detect_silence(&s);
    detect_params(&s);
    fold(&s, out);
    *ret = s.sum;
    vec_release(&s.found);
    map64_release(&s.base_by_text);
    map64_release(&s.base_by_shape);
    arena_release(&s.mem);
    (void)e;
    return RC_OK;
}
