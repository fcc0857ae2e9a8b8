/* detect_errors.c - a service's share of error records shifts.
 *
 * Per service and scale (1, 2, 4, ... buckets): share = (errors + 1/2) / (records + 1) of each
 * window with at least RECORDS_MIN records, judged by the windows before it with the record null of
 * detect_rate.c, and capped by the binomial surprise of that many errors at the highest share of
 * the past. At least PAST_MIN such windows must have been before. Error: severity stated ERROR or
 * worse; services that state no severity have none and are not judged here. Onset: best split of
 * the error counts. A baseline's windows of the same width come before the log's own. Tests: two
 * windows a bucket and service. */
#include <math.h>

#include "algo/tails.h"
#include "detect/detect_int.h"

#define DISPERSION 0.1

enum { WINDOWS_MIN = 8, PAST_MIN = 4, RECORDS_MIN = 10, ERRORS_MIN = 3, BASE_MAX = 4096 };

void detect_errors(scan *s) {
    size_t services = s->p->services.n;
    s->sum.services_checked = services;
    if (s->n < WINDOWS_MIN) return;
    double *all = arena_try_new_n(&s->mem, double, s->n),
           *bad = arena_try_new_n(&s->mem, double, s->n);
    double *base_all = arena_try_new_n(&s->mem, double, BASE_MAX),
           *base_bad = arena_try_new_n(&s->mem, double, BASE_MAX);
    if (!all || !bad || !base_all || !base_bad) return;
    size_t tested = 0;
    for (size_t i = 0; i < services; i++) tested += s->p->services.v[i].errors >= ERRORS_MIN;
    double needed = scan_needed(s, (double)tested * 2 * (double)s->n);
    for (size_t i = 0; i < services; i++) {
        const log_service *v = &s->p->services.v[i];
        if (v->errors < ERRORS_MIN) continue;
        scan_service_counts(s, i, false, all);
        scan_service_counts(s, i, true, bad);
        double best = 0, observed = 0, expected = 0;
        size_t from = 0, to = 0, width = 1;
        for (size_t scale = 1; s->n / scale >= WINDOWS_MIN; scale *= 2) {
            record_null null = {0};
            double most = 0, past_all = 0, past_bad = 0, top = 0;
            size_t first = MAX(s->warmup / scale, (size_t)PAST_MIN);
            str name = intern_str(&s->p->service_names, (uint32_t)i);
            size_t known = scan_base_windows(s, NULL, name, false, scale, base_all, BASE_MAX);
            if (known >= PAST_MIN &&
                scan_base_windows(s, NULL, name, true, scale, base_bad, BASE_MAX) == known) {
                first = 0;
                for (size_t w = 0; w < known; w++) {
                    if (base_all[w] < RECORDS_MIN) continue;
                    record_null_add(&null, (base_bad[w] + 0.5) / (base_all[w] + 1));
                    most = fmax(most, base_bad[w]);
                    top = fmax(top, base_bad[w] / base_all[w]);
                    past_all += base_all[w];
                    past_bad += base_bad[w];
                }
            }
            for (size_t w = 0; w < s->n / scale; w++) {
                double n = 0, e = 0;
                for (size_t k = w * scale; k < (w + 1) * scale; k++) {
                    n += all[k];
                    e += bad[k];
                }
                if (n < RECORDS_MIN) continue;
                double share = (e + 0.5) / (n + 1), past = (double)null.past;
                if (w >= first && null.past >= PAST_MIN && e >= ERRORS_MIN &&
                    share > record_null_max(&null)) {
                    double bits = record_null_bits(&null, share, 0), usual = log2(past + 1);
                    double mean = fmax(most, 1 / (past + 1));
                    bits = fmin(bits, usual + tail_negbin_at_least((uint64_t)e, mean, DISPERSION));
                    double p = fmax(top, (past_bad + 0.5) / (past_all + 1));
                    bits = fmin(bits, usual + tail_binomial_at_least((uint64_t)e, (uint64_t)n, p));
                    if (bits > best) {
                        best = bits;
                        from = w * scale;
                        to = from + scale;
                        width = scale;
                        observed = e / n;
                        expected = past_all > 0 ? past_bad / past_all : 0;
                    }
                }
                record_null_add(&null, share);
                most = fmax(most, e);
                top = fmax(top, e / n);
                past_all += n;
                past_bad += e;
            }
        }
        if (best < needed || best <= 0) continue;
        double back = expected + (observed - expected) / 4, mean = 0;
        for (size_t k = from; k < to; k++) mean += all[k] / (double)width;
        size_t onset = scan_onset(bad, from, to, width, back * mean, 1);
        while (to < s->n && bad[to] > all[to] * back) to++;
        candidate c = {.bucket = onset, .tmpl = SIZE_MAX, .needed = needed, .concern = 0.8};
        c.f = (finding){.kind = FINDING_ERROR_RATIO,
                        .direction = 1,
                        .service = intern_str(&s->p->service_names, (uint32_t)i),
                        .surprise_bits = best,
                        .observed = observed,
                        .expected = expected,
                        .unit = S("ratio"),
                        .from_ns = scan_bucket_ns(s, onset),
                        .to_ns = scan_bucket_end_ns(s, to - 1),
                        .severity = SEV_ERROR};
        c.f.onset_ns = c.f.from_ns;
        for (size_t k = 0; k < v->bad.n; k++) {
            size_t at = scan_bucket(s, v->bad.v[k].bucket);
            if (at == SIZE_MAX || at < onset || at >= to) continue;
            if (!c.f.ref_count) c.f.onset_ns = MAX(c.f.onset_ns, v->bad.v[k].first.ns);
            if (c.f.ref_count < FINDING_REFS) {
                c.f.refs[c.f.ref_count++] = place_ref(&v->bad.v[k].first);
            }
            c.f.record_count += v->bad.v[k].count;
        }
        scan_add(s, &c);
    }
}
