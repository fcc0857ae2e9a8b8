/* detect_new.c - templates never seen before (in the log so far, or in the baseline), and lines
 * that say themselves that something failed.
 *
 * Problem: many logs bring new templates all the time; then one more is no news. A rare everyday
 * line is also "new" when it first shows. And a single line can be the whole story when it says
 * FATAL, even in the first minute of a log, where nothing is known to be new yet.
 *
 * surprise of a new template, first seen in bucket `at` of n:
 *
 *     log2(at + 1)                            chance of a first sight in this very bucket
 *   + min(ABSENCE_MAX, m log2(n / (n - at)))  chance that all its m occupied buckets lie after `at`
 *                                             at an even rate
 *   + prior(concern)                          in normal operation lines that say FATAL are rarer
 *                                             than others by that factor; see prior_bits
 *   - NOISE_BITS log2(1 + elsewhere)          this log brings such lines anyway: episodes before it
 *                                             in which templates of at least this concern were
 *                                             discovered. Of the warm-up only templates count that
 *                                             stayed rare (Good-Turing's kinds seen once or twice).
 *
 * An everyday line seen five times in the rest of the log gets next to nothing from the second
 * term, a new line that stays gets much; a single line depends on what it says.
 *
 * A template with concern that was silent for half of the timeline counts as new when it comes
 * back.
 *
 * A template with concern that is not new gets prior(concern) less the share of the timeline it
 * occupies (in sixteenths, SPREAD_BITS per doubling: what goes on all day is background) and less
 * the noise of rare templates with concern anywhere else. Without time only what it says counts;
 * one single line of a log without any time is a remark, unless the program stated an error. When
 * it is a fifth of all that its service says (and a hundredth of everything), the service fails all
 * the time: that is told in any case.
 *
 * Tests: one a bucket; one a segment for lines that are not new. Discoveries within a gap of n / 64
 * buckets are one episode (one event, many lines). */
#include <math.h>

#include "detect/detect_int.h"

#define ABSENCE_MAX    24.0
#define NOISE_BITS     6.0
#define PRIOR_AT_ONE   20.0
#define PRIOR_FROM     0.8
#define SPREAD_BITS    6.0
#define CONCERN_NEWS   0.6 /* lines that are not new are reported from here */
#define MOSTLY         0.2
#define MOSTLY_CONCERN 0.75
#define REMARK         0.5
#define CLASS_SAME     0.1 /* noise counts templates of nearly the same concern */

enum { SEGMENTS = 16, FEW = 3, RARE_BUCKETS = 2, MOSTLY_RECORDS = 20 };

static double prior_bits(double concern) {
    return PRIOR_AT_ONE * fmax(0, concern - PRIOR_FROM) / (1 - PRIOR_FROM);
}

/* Episodes in which templates of a concern class or above were discovered, as prefix sums over
 * buckets. A class is a tenth of concern. `rare`: only templates that stayed rare; `all`: those,
 * and any discovered after the warm-up. */
enum { CLASSES = 11 };
typedef struct discoveries {
    size_t n;
    uint32_t *rare[CLASSES], *all[CLASSES]; /* [n + 1] */
} discoveries;

static size_t class_of(double concern) {
    return concern <= 0 ? 0 : concern >= 1 ? CLASSES - 1 : (size_t)(concern * (CLASSES - 1));
}

/* Marks in [0, n) to prefix sums of episode beginnings. */
static void to_prefix(uint32_t *v, size_t n, size_t gap) {
    size_t last = SIZE_MAX;
    uint32_t count = 0;
    for (size_t i = 0; i <= n; i++) {
        bool mark = i < n && v[i];
        v[i] = count;
        if (!mark) continue;
        if (last == SIZE_MAX || i - last > gap) count++;
        last = i;
    }
}

static bool find_discoveries(scan *s, discoveries *d) {
    d->n = s->n;
    for (size_t c = 0; c < CLASSES; c++) {
        d->rare[c] = arena_try_new_n(&s->mem, uint32_t, s->n + 1);
        d->all[c] = arena_try_new_n(&s->mem, uint32_t, s->n + 1);
        if (!d->rare[c] || !d->all[c]) return false;
    }
    size_t warmup = s->base ? 0 : s->warmup;
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        size_t at = t->first_bucket;
        if (at == SIZE_MAX || t->in_baseline) continue;
        bool rare = t->occupied <= RARE_BUCKETS;
        for (size_t c = 0; c <= class_of(t->concern); c++) {
            if (rare) d->rare[c][at] = 1;
            if (rare || at >= warmup) d->all[c][at] = 1;
        }
    }
    for (size_t c = 0; c < CLASSES; c++) {
        to_prefix(d->rare[c], s->n, 1 + s->n / 64);
        to_prefix(d->all[c], s->n, 1 + s->n / 64);
    }
    return true;
}

/* Episodes of about this concern or above within [from, to). */
static double episodes(uint32_t *const *by_class, double concern, size_t from, size_t to) {
    const uint32_t *v = by_class[class_of(concern - CLASS_SAME + 1e-9)];
    return from < to ? (double)(v[to] - v[from]) : 0;
}

static void new_template(scan *s, const tmpl *t, double needed, const discoveries *d) {
    size_t at = t->first_bucket, gap = 1 + s->n / 64;
    double n = (double)s->n;
    double bits = log2((double)at + 1);
    bits +=
        s->base ? ABSENCE_MAX : fmin(ABSENCE_MAX, (double)t->occupied * log2(n / (n - (double)at)));
    bits += prior_bits(t->concern);
    if (at > gap) {
        double earlier = episodes(d->all, t->concern, s->n / 20, at - gap);
        bits -= NOISE_BITS * log2(1 + earlier);
    }
    candidate c = scan_candidate(s, t, FINDING_NEW_TEMPLATE);
    c.needed = needed;
    c.bucket = at;
    c.f.direction = 1;
    c.f.surprise_bits = bits > 0 ? bits : 0;
    c.f.onset_ns = c.f.from_ns = scan_first_in_bucket(s, t, at);
    c.f.to_ns = MIN(t->last.ns, scan_end_ns(s));
    c.f.observed = (double)t->records;
    c.f.unit = S("lines");
    c.f.record_count = t->records;
    scan_refs(s, t, at, s->n, &c.f);
    scan_add(s, &c);
}

/* A template with concern that was last seen long ago: silent for at least half of the timeline,
 * then back. Judged as if it were new when it comes back. Returns true when that made a finding. */
static bool long_unseen(scan *s, const tmpl *t, double needed, const discoveries *d,
                        const double *x) {
    size_t last = SIZE_MAX, gap = 0, again = 0, after = 0, near = 1 + s->n / 64;
    for (size_t i = 0; i < s->n; i++) {
        if (x[i] <= 0) continue;
        if (last != SIZE_MAX && i - last > gap) {
            gap = i - last;
            again = i;
            after = 0;
        }
        after++;
        last = i;
    }
    if (gap < s->n / 2) return false;
    double n = (double)s->n, silent = (double)gap;
    double bits = log2(silent + 1) + prior_bits(t->concern);
    bits += fmin(ABSENCE_MAX, (double)after * log2(n / (n - silent)));
    double noise = again > near ? episodes(d->all, t->concern, s->n / 20, again - near) : 0;
    bits -= NOISE_BITS * log2(1 + noise);
    if (bits < needed) return false;
    candidate c = scan_candidate(s, t, FINDING_NEW_TEMPLATE);
    c.needed = needed;
    c.bucket = again;
    c.f.direction = 1;
    c.f.surprise_bits = bits;
    scan_refs(s, t, again, s->n, &c.f);
    c.f.from_ns = c.f.onset_ns = scan_first_in_bucket(s, t, again);
    c.f.to_ns = MIN(t->last.ns, scan_end_ns(s));
    for (size_t i = again; i < s->n; i++) c.f.record_count += (uint64_t)x[i];
    c.f.observed = (double)c.f.record_count;
    c.f.unit = S("lines");
    scan_add(s, &c);
    return true;
}

static void telling_template(scan *s, const tmpl *t, double needed, const discoveries *d,
                             const double *x) {
    candidate c = scan_candidate(s, t, t->records <= FEW ? FINDING_RARE_TEMPLATE : FINDING_MEANING);
    double bits = prior_bits(t->concern), noise = 0;
    size_t gap = 1 + s->n / 64, at = t->first_bucket;
    if (s->n >= SEGMENTS && at != SIZE_MAX) {
        size_t hit = 0;
        for (size_t g = 0; g < SEGMENTS; g++) {
            double sum = 0;
            for (size_t k = g * s->n / SEGMENTS; k < (g + 1) * s->n / SEGMENTS; k++) sum += x[k];
            hit += sum > 0;
        }
        bits -= SPREAD_BITS * log2((double)MAX(hit, (size_t)1));
        if (at > gap) noise += episodes(d->rare, t->concern, 0, at - gap);
        noise += episodes(d->rare, t->concern, at + gap + 1, s->n);
    } else if (t->records * 5 > s->p->records && t->records > FEW) {
        bits -= 2 * SPREAD_BITS; /* a large part of all there is */
    }
    double share = (double)t->records / (double)s->p->services.v[t->service].records;
    if (share >= MOSTLY && t->concern >= MOSTLY_CONCERN && t->records > MOSTLY_RECORDS &&
        t->records >= s->p->records / 100) {
        noise = 0;
        bits = fmax(bits, 2); /* background or not: a service that mostly fails is not well */
    }
    /* The prior is counted from the need on: it is knowledge from elsewhere, not one of the tests.
     */
    bits += needed - 1 - NOISE_BITS * log2(1 + noise);
    if (s->n == 0 && t->records == 1 && t->severity < SEV_ERROR) {
        bits = fmin(bits, needed);
        c.concern = fmin(c.concern, REMARK);
    }
    c.needed = needed;
    c.bucket = at;
    c.f.surprise_bits = bits > 0 ? bits : 0;
    c.f.from_ns = c.f.onset_ns = at == SIZE_MAX ? t->first.ns : scan_first_in_bucket(s, t, at);
    c.f.to_ns = MIN(t->last.ns, scan_end_ns(s));
    c.f.observed = (double)t->records;
    c.f.unit = S("lines");
    c.f.record_count = t->records;
    scan_refs(s, t, 0, s->n, &c.f);
    scan_add(s, &c);
}

void detect_new(scan *s) {
    discoveries d;
    double *x = arena_try_new_n(&s->mem, double, s->n + 1);
    if (!x || !find_discoveries(s, &d)) return;
    double needed_new = scan_needed(s, (double)s->n), needed_telling = scan_needed(s, SEGMENTS);
    size_t from = s->base ? 0 : s->warmup;
    bool timed = s->n >= SEGMENTS / 2;
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        bool fresh = timed && t->first_bucket != SIZE_MAX && t->first_bucket >= from;
        if (fresh && !t->in_baseline) {
            new_template(s, t, needed_new, &d);
            continue;
        }
        if (t->concern < CONCERN_NEWS) continue;
        scan_counts(s, t, x);
        if (timed && long_unseen(s, t, needed_new, &d, x)) continue;
        telling_template(s, t, needed_telling, &d, x);
    }
}
