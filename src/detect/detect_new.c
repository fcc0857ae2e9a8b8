/* detect_new.c - templates never seen before (in the log so far, or in the baseline).
 *
 * Problem: many logs bring new templates all the time; then one more is no news. And a single new
 * line can be the whole story when it says FATAL.
 *
 * Null: discoveries after the warm-up are counted per bucket; the rate at which this log brings new
 * templates of at least this concern (meaning and severity) is estimated from the buckets before,
 * with half a discovery as the prior. A new template is surprising by
 *
 *     log2(buckets so far) + PRIOR_BITS concern - NOISE_BITS log2(1 + earlier discoveries)
 *
 * The first term is the Good-Turing chance of a discovery in this very bucket when there was none
 * before; the second is prior knowledge: in logs of normal operation, new lines that speak of a
 * failure are rarer than new lines by that factor; the third takes both back as soon as the log
 * shows that it brings such lines anyway. Without concern a discovery never reaches more than Low.
 *
 * Tests: one a bucket. Discoveries in the same bucket count once (one event, many lines). */
#include <math.h>

#include "detect/detect_int.h"

#define PRIOR_BITS 12.0
#define NOISE_BITS 4.0

enum { CLASSES = 3 };
static const double class_concern[CLASSES] = {0.0, 0.4, 0.65};

static unsigned class_of(double concern) {
    unsigned c = 0;
    while (c + 1 < CLASSES && concern >= class_concern[c + 1]) c++;
    return c;
}

void detect_new(scan *s) {
    if (s->n < 8) return;
    /* Buckets with discoveries of at least each class, after the warm-up. */
    uint8_t *seen = arena_try_new_n(&s->mem, uint8_t, s->n * CLASSES);
    uint32_t *before = arena_try_new_n(&s->mem, uint32_t, (s->n + 1) * CLASSES);
    if (!seen || !before) return;
    bool baseline = s->base != NULL;
    size_t from = baseline ? 0 : s->warmup;
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        if (t->first_bucket == SIZE_MAX || t->first_bucket < from || t->in_baseline) continue;
        for (unsigned c = 0; c <= class_of(t->concern); c++) seen[c * s->n + t->first_bucket] = 1;
    }
    for (unsigned c = 0; c < CLASSES; c++) {
        uint32_t *b = before + c * (s->n + 1);
        for (size_t k = 0; k < s->n; k++) b[k + 1] = b[k] + seen[c * s->n + k];
    }
    double needed = scan_needed(s, (double)s->n);
    size_t gap = 1 + s->n / 64; /* discoveries shortly before belong to the same event */
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        size_t at = t->first_bucket;
        if (at == SIZE_MAX || at < from || t->in_baseline) continue;
        size_t upto = at > gap ? at - gap : 0;
        double earlier = before[class_of(t->concern) * (s->n + 1) + upto];
        double bits =
            log2((double)(at + 1)) + PRIOR_BITS * t->concern - NOISE_BITS * log2(1 + earlier);
        candidate c = scan_candidate(s, t, FINDING_NEW_TEMPLATE);
        c.needed = needed;
        c.bucket = at;
        c.f.direction = 1;
        c.f.surprise_bits = bits > 0 ? bits : 0;
        c.f.onset_ns = c.f.from_ns = t->first.ns;
        c.f.to_ns = t->last.ns;
        c.f.observed = (double)t->records;
        c.f.unit = S("lines");
        c.f.record_count = t->records;
        scan_refs(s, t, at, s->n, &c.f);
        scan_add(s, &c);
    }
}
