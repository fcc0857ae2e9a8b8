/* detect_rate.c - bursts of a template's rate.
 *
 * Problem: counts of log lines are bursty, autocorrelated and periodic; a Poisson or even negative
 * binomial null calls every nightly job a miracle. What does hold for a series is its own record of
 * peaks: a burst is surprising when it goes beyond all peaks of the past, by a factor that the past
 * peaks among themselves do not show.
 *
 * For a scale of s buckets (1, 2, 4, ... while eight windows remain) the series is cut into
 * windows. Window i is judged by windows 0 .. i-1:
 *
 *     surprise = log2(past + 1) + alpha log2((x + c) / (max + c)),    if x > max, else 0
 *
 * The first term is exact for exchangeable windows (chance of a new record), the second extends the
 * tail as a power law with Hill's index of the past's largest windows, less its standard error,
 * between 1 (no assumption of a mean) and ALPHA_MAX. c keeps ratios of small counts small. The
 * result is capped by the noise of counting: log2(past + 1) + the negative binomial surprise of x
 * when `max` is its mean. Daily rhythm and jobs are part of the past peaks once seen; before, a
 * common rise of everything is recognised by the same test on the template's share of its service's
 * other records: the smaller surprise of the two counts.
 *
 * Drops are the same with 1 / (x + 1) in place of x: surprising is a window far below all of the
 * past; the last bucket, cut by the end of the log, is left out.
 *
 * The best window of all scales is the finding; its onset is the best split of the counts around
 * its beginning (Poisson likelihood), its end where the rate has come back three quarters of the
 * way. The totals of each service are judged as well: a drop of a whole service concerns people, a
 * burst of traffic does so only when it is extreme.
 *
 * Tests: four windows a bucket over all scales and both directions. Cost O(n log n) per template
 * with at least RECORDS_MIN records. With a baseline its windows of the same width come before the
 * log's own, and every window is judged.
 *
 * Rejected: EWMA/z-scores (false alarms on every job), STL decomposition (needs several periods),
 * Poisson scan statistics (overdispersion). Source for the tail: Hill, Ann. Stat. 3, 1975; records
 * of exchangeable sequences: Renyi 1962. */
#include <math.h>

#include "algo/stats.h"
#include "algo/tails.h"
#include "detect/detect_int.h"

#define ALPHA_MAX     6.0
#define ALPHA_UNKNOWN 1.5
#define DISPERSION    0.1

enum { RECORDS_MIN = 8, WINDOWS_MIN = 8, PAST_MIN = 4, HILL_MIN = 8, BASE_MAX = 4096 };

void record_null_add(record_null *r, double x) {
    r->past++;
    if (x <= 0) return;
    r->positive++;
    size_t i = r->kept;
    if (i == RECORD_TOP) {
        if (x <= r->top[i - 1]) return;
        i--;
    } else {
        r->kept++;
    }
    while (i > 0 && r->top[i - 1] < x) {
        r->top[i] = r->top[i - 1];
        i--;
    }
    r->top[i] = x;
}

double record_null_max(const record_null *r) { return r->kept ? r->top[0] : 0; }

double record_null_bits(const record_null *r, double x, double scale) {
    double max = record_null_max(r);
    if (x <= max) return 0;
    double alpha = ALPHA_UNKNOWN;
    if (r->positive >= HILL_MIN) {
        size_t k = r->positive / 10;
        k = k < 3 ? 3 : k > RECORD_TOP - 1 ? RECORD_TOP - 1 : k;
        double ascending[RECORD_TOP];
        for (size_t i = 0; i <= k; i++) ascending[k - i] = r->top[i];
        double less = 1 - 0.5 / sqrt((double)k); /* by half its standard error */
        alpha = less * stats_hill(ascending, k + 1, k, ALPHA_MAX / less);
        if (alpha < 1) alpha = 1;
    }
    return log2((double)r->past + 1) + alpha * log2((x + scale) / (max + scale));
}

typedef struct burst {
    double bits, observed, expected; /* observed, expected: of a window */
    size_t from, to;                 /* buckets */
    size_t scale;
    int direction;
} burst;

/* What is judged: a template's counts, or a service's. */
typedef struct judged {
    const tmpl *t; /* NULL: the service */
    str service;
    const double *x;
    const double *share;  /* exposure per bucket with mean 1, NULL for raw counts */
    const param_value *v; /* a value of t that speaks of a failure; NULL: all records */
    str subject;
    double concern;
} judged;

static double low(double v) { return 1 / (v + 1); }

/* Median of the windows before the best one, or their mean when the median is 0. */
static double typical(const double *x, size_t scale, size_t windows, double *work) {
    double sum = 0;
    for (size_t i = 0; i < windows; i++) {
        work[i] = 0;
        for (size_t k = i * scale; k < (i + 1) * scale; k++) work[i] += x[k];
        sum += work[i];
    }
    if (!windows) return 0;
    double median = stats_median(work, windows);
    return median > 0 ? median : sum / (double)windows;
}

/* Best window of one series at one scale, in both directions. */
static void scan_scale(const scan *s, const judged *j, size_t scale, double *base, burst *best) {
    size_t windows = s->n / scale;
    record_null raw[2] = {0}, part[2] = {0}; /* of high and of low values */
    size_t from = MAX(s->warmup / scale, (size_t)PAST_MIN);
    double sum = 0, count = 0;
    /* A baseline does not keep single values over time. */
    size_t known = j->v ? 0 : scan_base_windows(s, j->t, j->service, false, scale, base, BASE_MAX);
    if (known >= PAST_MIN) {
        from = 0;
        for (size_t i = 0; i < known; i++) {
            sum += base[i];
            count++;
            record_null_add(&raw[0], base[i]);
            record_null_add(&raw[1], low(base[i]));
        }
    }
    for (size_t i = 0; i < windows; i++) {
        double v = 0, e = 0;
        for (size_t k = i * scale; k < (i + 1) * scale; k++) {
            v += j->x[k];
            if (j->share) e += j->share[k];
        }
        double ratio = j->share ? v / (e + 0.05) : 0;
        double past = (double)raw[0].past, bits[2] = {0, 0};
        if (i >= from && v > record_null_max(&raw[0])) {
            double mean = fmax(record_null_max(&raw[0]), 1 / (past + 1));
            bits[0] = fmin(record_null_bits(&raw[0], v, 1),
                           log2(past + 1) + tail_negbin_at_least((uint64_t)v, mean, DISPERSION));
            if (j->share && part[0].past >= PAST_MIN) {
                bits[0] = fmin(bits[0], record_null_bits(&part[0], ratio, 1 / (double)scale));
            }
        }
        bool whole = (i + 1) * scale < s->n; /* not cut by the end of the log */
        if (i >= from && whole && low(v) > record_null_max(&raw[1])) {
            double mean = 1 / record_null_max(&raw[1]) - 1;
            bits[1] = fmin(record_null_bits(&raw[1], low(v), 0),
                           log2(past + 1) + tail_negbin_at_most((uint64_t)v, mean, DISPERSION));
            if (j->share && part[1].past >= PAST_MIN) {
                bits[1] = fmin(bits[1], record_null_bits(&part[1], low(ratio), 0));
            }
        }
        for (int d = 0; d < 2; d++) {
            if (bits[d] <= best->bits) continue;
            *best = (burst){.bits = bits[d],
                            .observed = v,
                            .expected = known >= PAST_MIN ? sum / count : 0,
                            .from = i * scale,
                            .to = (i + 1) * scale,
                            .scale = scale,
                            .direction = d ? -1 : 1};
        }
        record_null_add(&raw[0], v);
        record_null_add(&raw[1], low(v));
        if (j->share) {
            record_null_add(&part[0], ratio);
            record_null_add(&part[1], low(ratio));
        }
    }
}

/* References of the first records with the value, and the time of the first of them. */
static void value_refs(const scan *s, const param_value *v, size_t from, size_t to, finding *f) {
    for (size_t i = 0; i < v->failures.n && f->ref_count < FINDING_REFS; i++) {
        size_t at = scan_bucket(s, v->failures.v[i].bucket);
        if (at == SIZE_MAX || at < from || at >= to) continue;
        if (!f->ref_count) f->onset_ns = v->failures.v[i].first.ns;
        f->refs[f->ref_count++] = place_ref(&v->failures.v[i].first);
    }
}

static void judge(scan *s, const judged *j, double *work, double needed) {
    burst best = {0};
    for (size_t scale = 1; s->n / scale >= WINDOWS_MIN; scale *= 2) {
        scan_scale(s, j, scale, work, &best);
    }
    if (best.bits < needed || best.bits <= 0 || (j->v && best.direction < 0)) return;
    bool up = best.direction > 0;
    if (best.expected <= 0) {
        best.expected = typical(j->x, best.scale, best.from / best.scale, work);
    }
    /* A service that says less while others go on is a sign; a lull of the whole log is none. */
    candidate c = {.tmpl = SIZE_MAX, .bucket = SIZE_MAX, .concern = !up && j->share ? 0.6 : 0.2};
    if (j->t) {
        c = scan_candidate(s, j->t, up ? FINDING_RATE_BURST : FINDING_RATE_DROP);
        if (!up) c.concern = 0.2; /* fewer lines of a failure are no failure */
        if (j->v) {
            c.concern = fmax(c.concern, j->concern);
            c.f.subject = j->subject;
        }
    } else {
        c.f = (finding){.kind = up ? FINDING_RATE_BURST : FINDING_RATE_DROP, .service = j->service};
    }
    c.needed = needed;
    double level = best.observed / (double)best.scale, calm = best.expected / (double)best.scale;
    double back = calm + (level - calm) / 4;
    c.bucket = scan_onset(j->x, best.from, best.to, best.scale, back, best.direction);
    size_t to = best.to;
    while (to < s->n && (up ? j->x[to] > back : j->x[to] < back)) to++;
    c.f.direction = best.direction;
    c.f.from_ns = c.f.onset_ns = scan_bucket_ns(s, c.bucket);
    c.f.to_ns = scan_bucket_end_ns(s, to - 1);
    c.f.surprise_bits = best.bits;
    double minutes = ldexp(1.0 / 60, (int)s->p->level);
    c.f.observed = level / minutes;
    c.f.expected = calm / minutes;
    c.f.unit = S("lines/min");
    double count = 0;
    for (size_t k = c.bucket; k < to; k++) count += j->x[k];
    c.f.record_count = (uint64_t)count;
    if (j->v) {
        value_refs(s, j->v, c.bucket, to, &c.f);
    } else if (j->t) {
        if (up) c.f.onset_ns = scan_first_in_bucket(s, j->t, c.bucket);
        scan_refs(s, j->t, c.bucket, to, &c.f);
    } else {
        for (size_t i = 0; i < s->tmpl_count && c.f.ref_count == 0; i++) {
            const tmpl *t = &s->tmpls[i];
            if (!str_eq(intern_str(&s->p->service_names, t->service), j->service)) continue;
            if (t->first_bucket <= c.bucket && t->last_bucket >= c.bucket) {
                scan_refs(s, t, c.bucket, to, &c.f);
            }
        }
    }
    scan_add(s, &c);
}

/* Fills `share` with the others' records, scaled to mean 1. False when they are too few to say. */
static bool exposure(const scan *s, const double *all, const double *x, double *share) {
    double others = 0, own = 0;
    for (size_t k = 0; k < s->n; k++) {
        others += all[k] - x[k];
        own += x[k];
    }
    if (others <= own || others <= (double)s->n) return false;
    for (size_t k = 0; k < s->n; k++) share[k] = (all[k] - x[k]) * (double)s->n / others;
    return true;
}

/* Concern of a value that is judged, else 0. */
static double judged_value(const tmpl *t, const param_stat *stat, const param_value *v) {
    if (!v->failure || t->records < RECORDS_MIN || v->count < RECORDS_MIN) return 0;
    return stat->values.n < 2 ? 0 : param_value_concern(stat, v);
}

static size_t values_judged(const scan *s, const tmpl *t) {
    size_t n = 0;
    for (size_t i = t->series_from; i < t->series_from + t->series_count; i++) {
        const log_series *series = &s->p->series.v[s->order[i]];
        for (unsigned k = 0; series->params && k < series->slot_count; k++) {
            const param_stat *stat = &series->params[k];
            for (size_t j = 0; j < stat->values.n; j++) {
                n += judged_value(t, stat, &stat->values.v[j]) > 0;
            }
        }
    }
    return n;
}

/* Values that speak of a failure (status=500), against the other records of their shape. */
static void judge_values(scan *s, const tmpl *t, double *x, double *all, double *share,
                         double *work, double needed) {
    for (size_t i = t->series_from; i < t->series_from + t->series_count; i++) {
        const log_series *series = &s->p->series.v[s->order[i]];
        for (unsigned k = 0; series->params && k < series->slot_count; k++) {
            const param_stat *stat = &series->params[k];
            for (size_t n = 0; n < stat->values.n; n++) {
                const param_value *v = &stat->values.v[n];
                double concern = judged_value(t, stat, v);
                if (concern <= 0) continue;
                scan_bucket_counts(s, &v->failures, x);
                scan_bucket_counts(s, &series->buckets, all);
                judged j = {.t = t,
                            .service = intern_str(&s->p->service_names, t->service),
                            .x = x,
                            .v = v,
                            .concern = concern,
                            .subject = param_value_subject(s, series, k, v)};
                if (exposure(s, all, x, share)) j.share = share;
                judge(s, &j, work, needed);
            }
        }
    }
}

void detect_rate(scan *s) {
    if (s->n < WINDOWS_MIN) return;
    double *x = arena_try_new_n(&s->mem, double, s->n),
           *share = arena_try_new_n(&s->mem, double, s->n),
           *all = arena_try_new_n(&s->mem, double, s->n),
           *work = arena_try_new_n(&s->mem, double, MAX(s->n, (size_t)BASE_MAX));
    if (!x || !share || !all || !work) return;
    size_t tested = s->p->services.n;
    for (size_t i = 0; i < s->tmpl_count; i++) tested += s->tmpls[i].records >= RECORDS_MIN;
    s->sum.series_checked += tested;
    for (size_t i = 0; i < s->tmpl_count; i++) tested += values_judged(s, &s->tmpls[i]);
    double needed = scan_needed(s, (double)tested * 4 * (double)s->n);
    for (size_t i = 0; i < s->p->services.n; i++) {
        scan_service_counts(s, i, false, x);
        judged j = {.service = intern_str(&s->p->service_names, (uint32_t)i), .x = x};
        if (exposure(s, s->total, x, share)) j.share = share;
        judge(s, &j, work, needed);
    }
    for (size_t i = 0; i < s->tmpl_count; i++) {
        judge_values(s, &s->tmpls[i], x, all, share, work, needed);
    }
    uint32_t service = INTERN_NONE;
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        if (t->records < RECORDS_MIN) continue;
        if (t->service != service) {
            service = t->service;
            scan_service_counts(s, service, false, all);
        }
        scan_counts(s, t, x);
        judged j = {.t = t, .service = intern_str(&s->p->service_names, t->service), .x = x};
        if (exposure(s, all, x, share)) j.share = share;
        judge(s, &j, work, needed);
    }
}
