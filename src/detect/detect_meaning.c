/* detect_meaning.c - lines that say themselves that something failed.
 *
 * A log may begin in the middle of an incident, be too short to have a past, or hold one FATAL line
 * within its warm-up: no rate and no novelty shows then, but the text does. A template with high
 * concern is reported here when its records are concentrated: few, or within a small part of the
 * timeline. One that goes on all the time at an even rate is the background noise of this system
 * and is Low at most.
 *
 * surprise = CONCERN_BITS concern + log2(timeline / part of it that is concerned) */
#include <math.h>

#include "detect/detect_int.h"

#define CONCERN_BITS 12.0

enum { SEGMENTS = 16, FEW = 3 };

void detect_meaning(scan *s) {
    double *x = arena_try_new_n(&s->mem, double, s->n + 1);
    if (!x) return;
    double needed = scan_needed(s, 16);
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        if (t->concern < 0.6) continue;
        candidate c =
            scan_candidate(s, t, t->records <= FEW ? FINDING_RARE_TEMPLATE : FINDING_MEANING);
        double part = 1; /* of the timeline */
        if (s->n >= SEGMENTS) {
            scan_counts(s, t, x);
            size_t hit = 0;
            for (size_t g = 0; g < SEGMENTS; g++) {
                double sum = 0;
                for (size_t k = g * s->n / SEGMENTS; k < (g + 1) * s->n / SEGMENTS; k++)
                    sum += x[k];
                hit += sum > 0;
            }
            part = (double)MAX(hit, (size_t)1) / SEGMENTS;
        } else if (t->records * 20 < s->p->records || t->records <= FEW) {
            part = 1.0 / 4; /* no time to speak of: few lines of many */
        }
        c.needed = needed;
        c.bucket = t->first_bucket;
        c.f.surprise_bits = CONCERN_BITS * t->concern - 2 * log2(fmax(part, 1.0 / SEGMENTS) * 16);
        if (c.f.surprise_bits < 0) c.f.surprise_bits = 0;
        c.f.from_ns = c.f.onset_ns = t->first.ns;
        c.f.to_ns = t->last.ns;
        c.f.observed = (double)t->records;
        c.f.unit = S("lines");
        c.f.record_count = t->records;
        scan_refs(s, t, 0, s->n, &c.f);
        scan_add(s, &c);
    }
}
