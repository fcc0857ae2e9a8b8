/* detect_stopped.c - lines that stopped while the log goes on.
 *
 * A template is heartbeat-like when it came from (nearly) the beginning and its gaps, in buckets,
 * are of one kind: Hill's index of the gaps is at least REGULAR. The silence at the end is judged
 * as one more gap by the record null: log2(gaps + 1) + alpha log2((silence + 1) / (longest gap +
 * 1)). Jobs that end stop as well: only templates present since the first tenth of the timeline are
 * judged, with an even rate, and lines that took part in a closing sequence (a template of the same
 * service that first appears in the last bucket before the silence and speaks of an end) are not
 * told apart here; their level stays Low unless the whole service is silent.
 * A service whose every record stops while others go on is one finding of its own.
 *
 * A silence that ended (a database that was shut down and came back) is judged as well: the longest
 * gap of a series against its other gaps, before and after. As it is picked for its length it gets
 * nothing for being a record: alpha log2((gap + 1) / (longest other + 1)), Hill's index of the
 * gaps + 1, at most what an even
 * stream of the rate allows, less log2 of the places where the gap could have been. The stream must
 * be even outside the gap, have run RUN_BEFORE times as long before it (the first night of a log is
 * none), and speak again at half its rate. Its onset is the last record known before the gap: the
 * earliest time from which a line is missing.
 *
 * Tests: two a template. */
#include <math.h>

#include "algo/stats.h"
#include "detect/detect_int.h"

#define REGULAR   2.5
#define ALPHA_MAX 6.0

enum { RECORDS_MIN = 20, GAPS_MIN = 8, GAP_MIN = 8, RUN_BEFORE = 4, AFTER = 16 };

/* Silence after the last occupied bucket; returns bits, 0 when not judged. */
static double silence_bits(const scan *s, const double *x, double *gaps, size_t *ret_last,
                           double *ret_rate) {
    size_t n = 0, last = SIZE_MAX, first = SIZE_MAX;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (x[i] <= 0) continue;
        if (last != SIZE_MAX)
            gaps[n++] = (double)(i - last);
        else
            first = i;
        last = i;
        sum += x[i];
    }
    if (last == SIZE_MAX || n < GAPS_MIN || first > s->n / 10) return 0;
    size_t silence = s->n - 1 - last;
    if (silence < 2) return 0;
    double mean = sum / (double)(last - first + 1);
    for (size_t i = first; i <= last; i++) squares += (x[i] - mean) * (x[i] - mean);
    double variance = squares / (double)(last - first + 1);
    if (variance > mean + 0.25 * mean * mean) return 0; /* uneven beyond counting noise */
    stats_sort(gaps, n);
    size_t k = n / 10 < 3 ? 3 : n / 10;
    double alpha = stats_hill(gaps, n, k > 20 ? 20 : k, ALPHA_MAX);
    if (alpha < REGULAR) return 0;
    *ret_last = last;
    *ret_rate = mean;
    double bits = log2((double)n + 1) + alpha * log2(((double)silence + 1) / (gaps[n - 1] + 1));
    /* the chance that an even stream of this rate is silent for so long */
    return fmin(bits, mean * (double)silence * M_LOG2E);
}

/* A silence that ended. */
typedef struct quiet_time {
    size_t last, again; /* buckets with records around it */
    double bits, rate;  /* rate: records a bucket outside it */
} quiet_time;

/* The longest pause of a series, with bits 0 when it is none to speak of. */
static quiet_time longest_pause(const scan *s, const double *x, double *gaps) {
    quiet_time p = {.last = SIZE_MAX};
    size_t n = 0, last = SIZE_MAX, first = SIZE_MAX;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (x[i] <= 0) continue;
        if (first == SIZE_MAX) first = i;
        if (last != SIZE_MAX && (p.last == SIZE_MAX || i - last > p.again - p.last)) {
            p.last = last;
            p.again = i;
        }
        if (last != SIZE_MAX) gaps[n++] = (double)(i - last) + 1; /* small gaps are no scale */
        sum += x[i];
        last = i;
    }
    if (n < 2 * GAPS_MIN || first > s->n / 10) return p;
    size_t silence = p.again - p.last - 1;
    if (silence < GAP_MIN || p.last - first < RUN_BEFORE * silence) return p;
    size_t spoken = last - first + 1 - silence;
    p.rate = sum / (double)spoken;
    double after = 0, window = (double)MIN((size_t)AFTER, s->n - p.again);
    for (size_t i = p.again; i < s->n && i < p.again + AFTER; i++) after += x[i];
    if (window < GAPS_MIN || after < p.rate * window / 2) return p;
    for (size_t i = first; i <= last; i++) {
        if (i <= p.last || i >= p.again) squares += (x[i] - p.rate) * (x[i] - p.rate);
    }
    if (squares / (double)spoken > p.rate + 0.25 * p.rate * p.rate) return p;
    stats_sort(gaps, n);
    size_t others = n - 1, k = others / 10 < 3 ? 3 : others / 10;
    double alpha = stats_hill(gaps, others, k > 20 ? 20 : k, ALPHA_MAX);
    if (alpha < REGULAR) return p;
    double bits = alpha * log2(gaps[others] / gaps[others - 1]);
    double even = p.rate * (double)silence * M_LOG2E - log2((double)n);
    p.bits = fmax(fmin(bits, even), 0);
    return p;
}

/* Is the series one of the service, and of the template (when not NULL)? */
static bool series_of(const scan *s, const log_series *v, size_t service, const tmpl *t) {
    return v->service == service && (!t || miner_template_of(s->m, v->shape) == t->id);
}

static void pause_finding(scan *s, candidate *c, size_t service, const tmpl *t, const quiet_time *p,
                          double needed) {
    const place *before = NULL, *after = NULL; /* first records of the buckets around it */
    for (size_t i = 0; i < s->p->series.n; i++) {
        const log_series *v = &s->p->series.v[i];
        if (!series_of(s, v, service, t)) continue;
        for (size_t k = 0; k < v->buckets.n; k++) {
            const place *at = &v->buckets.v[k].first;
            int64_t bucket = v->buckets.v[k].bucket;
            if (bucket == s->buckets[p->last] && (!before || place_cmp(at, before) > 0)) {
                before = at;
            }
            if (bucket == s->buckets[p->again] && (!after || place_cmp(at, after) < 0)) after = at;
        }
    }
    c->needed = needed;
    c->bucket = p->last;
    c->f.direction = -1;
    c->f.subject = S("paused");
    c->f.surprise_bits = p->bits;
    c->f.from_ns = c->f.onset_ns = before ? before->ns : scan_bucket_end_ns(s, p->last);
    c->f.to_ns = after ? after->ns : scan_bucket_ns(s, p->again);
    c->f.expected = p->rate / ldexp(1.0 / 60, (int)s->p->level);
    c->f.unit = S("lines/min");
    if (before) c->f.refs[c->f.ref_count++] = place_ref(before);
    if (after) c->f.refs[c->f.ref_count++] = place_ref(after);
    scan_add(s, c);
}

static void silence_finding(const scan *s, candidate *c, size_t last, double bits, double rate,
                            double needed) {
    c->needed = needed;
    c->bucket = last;
    c->f.direction = -1;
    c->f.surprise_bits = bits;
    c->f.from_ns = c->f.onset_ns = scan_bucket_end_ns(s, last);
    c->f.to_ns = scan_end_ns(s);
    c->f.observed = 0;
    c->f.expected = rate / ldexp(1.0 / 60, (int)s->p->level);
    c->f.unit = S("lines/min");
}

void detect_stopped(scan *s) {
    if (s->n < 16) return;
    double *x = arena_try_new_n(&s->mem, double, s->n),
           *gaps = arena_try_new_n(&s->mem, double, s->n);
    uint8_t *silent = arena_try_new_n(&s->mem, uint8_t, s->p->services.n + 1);
    if (!x || !gaps || !silent) return;
    size_t tests = s->p->services.n, last;
    for (size_t i = 0; i < s->tmpl_count; i++) tests += s->tmpls[i].records >= RECORDS_MIN;
    double needed = scan_needed(s, 2 * (double)tests), rate;
    for (size_t i = 0; s->p->services.n > 1 && i < s->p->services.n; i++) {
        if (s->p->services.v[i].records < RECORDS_MIN) continue;
        scan_service_counts(s, i, false, x);
        double bits = silence_bits(s, x, gaps, &last, &rate);
        if (bits < needed) {
            quiet_time p = longest_pause(s, x, gaps);
            if (p.bits < needed) continue;
            silent[i] = 1;
            candidate c = {.tmpl = SIZE_MAX, .concern = 0.7};
            c.f = (finding){.kind = FINDING_STOPPED,
                            .service = intern_str(&s->p->service_names, (uint32_t)i),
                            .record_count = s->p->services.v[i].records};
            pause_finding(s, &c, i, NULL, &p, needed);
            continue;
        }
        silent[i] = 1;
        candidate c = {.tmpl = SIZE_MAX, .concern = 0.7};
        c.f = (finding){.kind = FINDING_STOPPED,
                        .service = intern_str(&s->p->service_names, (uint32_t)i),
                        .record_count = s->p->services.v[i].records};
        /* its last record, as seen by its templates */
        const tmpl *latest = NULL;
        for (size_t k = 0; k < s->tmpl_count; k++) {
            const tmpl *t = &s->tmpls[k];
            if (t->service == i && (!latest || place_cmp(&t->last, &latest->last) > 0)) latest = t;
        }
        silence_finding(s, &c, last, bits, rate, needed);
        if (latest) {
            c.f.refs[c.f.ref_count++] = place_ref(&latest->last);
            c.f.template_id = latest->id;
            c.f.template_text = latest->text;
            c.f.onset_ns = MIN(latest->last.ns, c.f.onset_ns);
        }
        scan_add(s, &c);
    }
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        /* Failures that stop are good news. */
        if (t->records < RECORDS_MIN || silent[t->service] || t->concern >= 0.4) continue;
        scan_counts(s, t, x);
        candidate c = scan_candidate(s, t, FINDING_STOPPED);
        double bits = silence_bits(s, x, gaps, &last, &rate);
        if (bits < needed) {
            quiet_time p = longest_pause(s, x, gaps);
            if (p.bits >= needed) pause_finding(s, &c, t->service, t, &p, needed);
            continue;
        }
        silence_finding(s, &c, last, bits, rate, needed);
        c.f.onset_ns = MIN(t->last.ns, c.f.onset_ns);
        c.f.record_count = t->records;
        c.f.refs[c.f.ref_count++] = place_ref(&t->last);
        scan_add(s, &c);
    }
}
