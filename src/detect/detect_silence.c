/* detect_silence.c - the whole log falls silent and comes back.
 *
 * Problem: when everything stops at once (a host that hangs, a network that is gone, a disk that
 * takes no more), nothing is left to compare with: the timeline of the other detectors holds only
 * time in which somebody spoke. What shows is the gap between two buckets.
 *
 * A gap is judged against the gaps before it by the record null of detect_rate.c (most are 1: the
 * next bucket), capped by the chance that a stream of the rate before is silent so long. Gaps that
 * life explains are left out:
 *   - the log must have spoken nearly all the time before (BUSY), for BEFORE times as long as the
 *     gap: the first night or weekend of a log never qualifies;
 *   - no gap before may come near it (LONGER), and at most one after (a pause that comes back is a
 *     habit);
 *   - it must speak again as before: a log that only trickles on is a drop, one that ends is cut.
 *
 * Concern is that of a remark, Medium at most: the records of that time may be elsewhere. Only the
 * most surprising gap is told. Tests: one a gap. Cost O(n^2) at worst over at most 1,024 buckets.
 */
#include <math.h>

#include "detect/detect_int.h"

#define BUSY    0.8
#define BEFORE  4
#define LONGER  4
#define CONCERN 0.5

enum { GAP_MIN = 8, BUCKETS_BEFORE_MIN = 32, BUCKETS_AFTER_MIN = 8 };

static int64_t gap_after(const scan *s, size_t i) { return s->buckets[i + 1] - s->buckets[i]; }

/* Does the log speak again after bucket i and the gap: at least half of the next buckets occupied,
 * at a quarter of the rate before? */
static bool speaks_again(const scan *s, size_t i, double rate) {
    size_t n = 0;
    double records = 0;
    int64_t until = s->buckets[i + 1] + 2 * BUCKETS_AFTER_MIN;
    for (size_t k = i + 1; k < s->n && s->buckets[k] < until; k++, n++) records += s->total[k];
    return n >= BUCKETS_AFTER_MIN && records >= rate / 4 * (double)n;
}

/* Is the gap after bucket i a habit: others of at least half its length come later? */
static bool comes_back(const scan *s, size_t i) {
    size_t n = 0;
    for (size_t k = i + 1; k + 1 < s->n; k++) n += gap_after(s, k) * 2 >= gap_after(s, i);
    return n > 1;
}

static void silence_found(scan *s, size_t i, double bits, double needed, double rate) {
    const log_profile *p = s->p;
    candidate c = {.tmpl = SIZE_MAX, .bucket = i, .concern = CONCERN, .needed = needed};
    c.f = (finding){.kind = FINDING_STOPPED,
                    .direction = -1,
                    .surprise_bits = bits,
                    .onset_ns = scan_bucket_end_ns(s, i),
                    .expected = rate / ldexp(1.0 / 60, (int)p->level),
                    .unit = S("lines/min"),
                    .subject = S("whole_log")};
    if (p->services.n == 1) c.f.service = intern_str(&p->service_names, 0);
    c.f.from_ns = c.f.onset_ns;
    c.f.to_ns = scan_bucket_ns(s, i + 1);
    /* The first records of the last bucket before the gap and of the first after it. */
    const place *before = NULL, *after = NULL;
    for (size_t k = 0; k < p->series.n; k++) {
        const bucket_counts *b = &p->series.v[k].buckets;
        for (size_t j = 0; j < b->n; j++) {
            const place *first = &b->v[j].first;
            if (b->v[j].bucket == s->buckets[i] && (!before || place_cmp(first, before) > 0)) {
                before = first;
            }
            if (b->v[j].bucket == s->buckets[i + 1] && (!after || place_cmp(first, after) < 0)) {
                after = first;
            }
        }
    }
    if (before) c.f.refs[c.f.ref_count++] = place_ref(before);
    if (after) {
        c.f.refs[c.f.ref_count++] = place_ref(after);
        c.f.to_ns = after->ns;
    }
    scan_add(s, &c);
}

void detect_silence(scan *s) {
    if (s->n < BUCKETS_BEFORE_MIN + BUCKETS_AFTER_MIN) return;
    double needed = scan_needed(s, (double)s->n), best = 0, best_rate = 0, records = 0;
    size_t best_at = 0;
    record_null null = {0};
    for (size_t i = 0; i + 1 < s->n; i++) {
        records += s->total[i];
        double gap = (double)gap_after(s, i), longest = record_null_max(&null);
        double span = (double)(s->buckets[i] - s->buckets[0]) + 1, spoken = (double)i + 1;
        if (i + 1 >= BUCKETS_BEFORE_MIN && gap >= GAP_MIN && gap >= LONGER * longest &&
            spoken >= BUSY * span && span >= BEFORE * gap && !comes_back(s, i) &&
            speaks_again(s, i, records / spoken)) {
            double bits = record_null_bits(&null, gap, 0);
            bits = fmin(bits, records / span * (gap - 1) * M_LOG2E);
            if (bits > best) {
                best = bits;
                best_at = i;
                best_rate = records / span;
            }
        }
        record_null_add(&null, gap);
    }
    if (best >= needed && best > 0) silence_found(s, best_at, best, needed, best_rate);
}
