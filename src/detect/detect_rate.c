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
 * tail as a power law with Hill's index of the past's largest windows, between 1 (no assumption of
 * a mean) and ALPHA_MAX. c keeps ratios of small counts small. The result is capped by the noise of
 * counting: log2(past + 1) + the negative binomial surprise of x when `max` is its mean.
 * Daily rhythm and jobs are part of the past peaks once seen; before, a common rise of everything
 * is recognised by the same test on the template's share of its service's other records: the
 * smaller surprise of the two counts.
 *
 * The best window of all scales is the finding; its onset is the best split of the counts around
 * its beginning (Poisson likelihood), its end where the rate falls back below half of the excess.
 *
 * Tests: two windows a bucket over all scales. Cost O(n log n) per template with at least
 * RECORDS_MIN records. A baseline replaces the past: its windows of the same width.
 *
 * Rejected: EWMA/z-scores (false alarms on every job), STL decomposition (needs several periods),
 * Poisson scan statistics (overdispersion). Source for the tail: Hill, Ann. Stat. 3, 1975; records
 * of exchangeable sequences: Renyi 1962. */
#include <math.h>

#include "algo/changepoint.h"
#include "algo/stats.h"
#include "algo/tails.h"
#include "detect/detect_int.h"

#define ALPHA_MAX     6.0
#define ALPHA_UNKNOWN 1.5
#define DISPERSION    0.1

enum { RECORDS_MIN = 8, WINDOWS_MIN = 8, PAST_MIN = 4, HILL_MIN = 8 };

void record_null_add(record_null *r, double x) {
    r->past++;
    if (x <= 0) return;
    size_t i = r->positive++;
    while (i > 0 && r->sorted[i - 1] > x) {
        r->sorted[i] = r->sorted[i - 1];
        i--;
    }
    r->sorted[i] = x;
}

double record_null_max(const record_null *r) {
    return r->positive ? r->sorted[r->positive - 1] : 0;
}

double record_null_bits(const record_null *r, double x, double scale) {
    double max = record_null_max(r);
    if (x <= max) return 0;
    double alpha = ALPHA_UNKNOWN;
    if (r->positive >= HILL_MIN) {
        size_t k = r->positive / 10;
        k = k < 3 ? 3 : k > 20 ? 20 : k;
        alpha = stats_hill(r->sorted, r->positive, k, ALPHA_MAX);
        if (alpha < 1) alpha = 1;
    }
    return log2((double)r->past + 1) + alpha * log2((x + scale) / (max + scale));
}

typedef struct burst {
    double bits, observed, expected;
    size_t from, to; /* buckets */
    size_t scale;
} burst;

/* Best window of one series at one scale. `share`: exposure per bucket, NULL for raw counts. */
static void scan_scale(const scan *s, const double *x, const double *share, size_t scale,
                       double *work, burst *best) {
    size_t windows = s->n / scale;
    record_null raw = {.sorted = work}, part = {.sorted = work + s->n};
    size_t from = s->warmup / scale;
    if (from < PAST_MIN) from = PAST_MIN;
    double sum = 0;
    for (size_t i = 0; i < windows; i++) {
        double v = 0, e = 0;
        for (size_t k = i * scale; k < (i + 1) * scale; k++) {
            v += x[k];
            if (share) e += share[k];
        }
        double ratio = share ? v / (e + 0.05) : 0; /* exposure has mean 1 a bucket */
        if (i >= from && v > record_null_max(&raw)) {
            double bits = record_null_bits(&raw, v, 1);
            double mean = fmax(record_null_max(&raw), 1 / ((double)i + 1));
            double noise =
                log2((double)raw.past + 1) + tail_negbin_at_least((uint64_t)v, mean, DISPERSION);
            if (share) bits = fmin(bits, record_null_bits(&part, ratio, 1 / (double)scale));
            bits = fmin(bits, noise);
            if (bits > best->bits) {
                *best = (burst){.bits = bits,
                                .observed = v,
                                .expected = sum / (double)i,
                                .from = i * scale,
                                .to = (i + 1) * scale,
                                .scale = scale};
            }
        }
        sum += v;
        record_null_add(&raw, v);
        if (share) record_null_add(&part, ratio);
    }
}

/* Where the rate rose: best split between the quiet before and the burst window. */
static size_t onset_of(const double *x, const burst *b) {
    size_t before = MIN(b->from, 8 * b->scale);
    size_t len = b->to - b->from + before;
    double gain;
    size_t at = changepoint_split_counts(x + b->from - before, len, &gain);
    return b->from - before + at;
}

void detect_rate(scan *s) {
    if (s->n < WINDOWS_MIN) return;
    double *x = arena_try_new_n(&s->mem, double, s->n),
           *share = arena_try_new_n(&s->mem, double, s->n),
           *work = arena_try_new_n(&s->mem, double, 2 * s->n);
    double *service_total = arena_try_new_n(&s->mem, double, s->n);
    if (!x || !share || !work || !service_total) return;
    size_t tested = 0;
    for (size_t i = 0; i < s->tmpl_count; i++) tested += s->tmpls[i].records >= RECORDS_MIN;
    s->sum.series_checked += tested;
    double needed = scan_needed(s, (double)tested * 2 * (double)s->n);
    uint32_t service = INTERN_NONE;
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        if (t->records < RECORDS_MIN) continue;
        if (t->service != service) {
            service = t->service;
            memset(service_total, 0, s->n * sizeof(double));
            const bucket_counts *all = &s->p->services.v[service].all;
            for (size_t k = 0; k < all->n; k++) {
                size_t at = scan_bucket(s, all->v[k].bucket);
                if (at != SIZE_MAX) service_total[at] += (double)all->v[k].count;
            }
        }
        scan_counts(s, t, x);
        double others = 0;
        for (size_t k = 0; k < s->n; k++) others += service_total[k] - x[k];
        bool use_share = others > (double)t->records && others > (double)s->n;
        for (size_t k = 0; use_share && k < s->n; k++) {
            share[k] = (service_total[k] - x[k]) * (double)s->n / others;
        }
        burst best = {0};
        for (size_t scale = 1; s->n / scale >= WINDOWS_MIN; scale *= 2) {
            scan_scale(s, x, use_share ? share : NULL, scale, work, &best);
        }
        if (best.bits < needed) continue;
        candidate c = scan_candidate(s, t, FINDING_RATE_BURST);
        c.needed = needed;
        c.bucket = onset_of(x, &best);
        double level = best.observed / (double)best.scale,
               calm = best.expected / (double)best.scale, half = calm + (level - calm) / 4;
        size_t to = best.to;
        while (to < s->n && x[to] > half) to++;
        c.f.direction = 1;
        c.f.from_ns = scan_bucket_ns(s, c.bucket);
        c.f.to_ns = scan_bucket_end_ns(s, to - 1);
        c.f.onset_ns = c.f.from_ns;
        c.f.surprise_bits = best.bits;
        double minutes = ldexp(1.0 / 60, (int)s->p->level);
        c.f.observed = level / minutes;
        c.f.expected = calm / minutes;
        c.f.unit = S("lines/min");
        double count = 0;
        for (size_t k = c.bucket; k < to; k++) count += x[k];
        c.f.record_count = (uint64_t)count;
        scan_refs(s, t, c.bucket, to, &c.f);
        if (c.f.ref_count && c.f.refs[0].line) {
            /* the first record of the burst is a better onset than the bucket's edge */
            for (size_t k = t->series_from; k < t->series_from + t->series_count; k++) {
                const bucket_counts *b = &s->p->series.v[s->order[k]].buckets;
                for (size_t j = 0; j < b->n; j++) {
                    if (b->v[j].bucket != s->buckets[c.bucket]) continue;
                    if (b->v[j].first.ns > c.f.onset_ns) c.f.onset_ns = b->v[j].first.ns;
                }
            }
        }
        scan_add(s, &c);
    }
}
