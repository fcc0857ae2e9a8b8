/* detect_params.c - parameters of templates: levels that shift or creep, values far out, values
 * never seen before in closed sets.
 *
 * Numbers. Only slots that measure something are judged: durations, sizes, percentages (a unit
 * glued to the value or the word after it), or numbers named so ("took", "latency", "queue", ...);
 * identifiers and counters (an uptime, a position in a file) drift by nature.
 *   shift   median (log2) of a period against the periods before: D = |q - median(past)|, spread =
 *           the largest such deviation in the past, at least SPREAD_MIN octaves;
 *           surprise = log2(past + 1) + ALPHA log2(D / spread) for D > spread. The next period, if
 *           there is one, must confirm at least half of D.
 *   creep   medians rise with time: Spearman's rho over all periods, surprise of rho under no trend
 *           (normal approximation rho sqrt(n - 1)), only when the change is at least CREEP octaves.
 *   A level that goes on moving after it was found (a drift) began earlier: back to the first
 * period from which it stays beyond the quiet range (by DRIFT octaves), then along the line through
 * that period and the next, back to the quiet level, at most one period further. far out the
 * largest value against the tail of all others: log2(N) + alpha log2(max / second largest bin),
 * Hill's alpha over the upper twentieth. Only values above 0 count. For medians zeros count as half
 * of the smallest value above 0 that the slot has: a step from 0 to 1 is one of an octave, not of
 * the whole scale. Closed sets. A slot with at most PROFILE_VALUES_MAX different values over many
 * records gets a new one: the chance that all its records lie after its first sight (at most
 * ABSENCE_MAX bits) less NOISE_BITS log2(1 + values that came late before it). Values that speak of
 * a failure (or are HTTP status 5xx beside others below) raise the concern.
 *
 * Periods are 32 buckets. Tests: three a period and slot. */
#include <math.h>

#include "algo/stats.h"
#include "algo/tails.h"
#include "detect/detect_int.h"

#define SPREAD_MIN  0.35 /* octaves; a bin is 1/8 */
#define ALPHA       6.0
#define CREEP       1.2
#define DRIFT       0.1
#define STEP        0.75 /* a step is there at once: this part of it in its first period */
#define NOISE_BITS  4.0
#define ABSENCE_MAX 24.0

enum {
    PERIOD_RECORDS_MIN = 10,
    PERIODS_MIN = 4,
    CREEP_PERIODS_MIN = 8,
    CLOSED_RECORDS_MIN = 100,
    FAR_RECORDS_MIN = 200,
};

static const char *const measures[] = {
    "took",    "time",  "latency", "duration",      "elapsed",      "ms",      "millis",
    "seconds", "delay", "wait",    "waited",        "size",         "bytes",   "memory",
    "mem",     "heap",  "used",    "usage",         "queue",        "pending", "lag",
    "depth",   "load",  "cpu",     "rss",           "backlog",      "active",  "length",
    "len",     "rows",  "cost",    "response_time", "request_time", "pause",
};

/* Units as words of their own that the miner does not take into the slot: "in 12 milliseconds". */
static const char *const units[] = {
    "ms",      "msec",    "msecs",     "millis",    "milliseconds", "s",  "sec", "secs", "second",
    "seconds", "us",      "\xc2\xb5s", "\xce\xbcs", "microseconds", "ns", "min", "mins", "minutes",
    "bytes",   "B",       "KB",        "kB",        "MB",           "GB", "KiB", "MiB",  "GiB",
    "%",       "percent",
};
/* Names of what only grows while a program lives, whatever its unit. */
static const char *const counters[] = {"uptime", "up", "runtime", "position", "pos"};

/* Does a name contain one of the list as a word? */
static bool has_word(str name, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        str m = str_c(list[i]);
        size_t at = str_find_nocase(name, m, 0);
        if (at == STR_NPOS) continue;
        bool left = at == 0 || !((name.p[at - 1] | 32) >= 'a' && (name.p[at - 1] | 32) <= 'z');
        size_t end = at + m.n;
        bool right = end >= name.n || !((name.p[end] | 32) >= 'a' && (name.p[end] | 32) <= 'z');
        if (left && right) return true;
    }
    return false;
}

/* log2 of what zeros and negatives count as: half of the smallest value above 0. */
static double zero_level(const param_stat *stat) {
    unsigned low = LOGBINS;
    for (size_t i = 0; i < stat->periods.n; i++) {
        const param_period *t = &stat->periods.v[i];
        for (unsigned b = 0; b < t->bin_count && t->bin_from + b < low; b++) {
            if (t->bins[b]) low = t->bin_from + b;
        }
    }
    return low < LOGBINS ? log2(logbins_value(low)) - 1 : 0;
}

/* log2 of the median of a period. */
static double period_median(const param_period *t, double zero) {
    double v = logbins_quantile(t->bins, t->bin_count, t->bin_from, t->low, 0.5);
    return v > 0 ? log2(v) : zero;
}

/* What detect_params works with: room for as many periods as a slot can have. */
typedef struct levels {
    const param_period **at;  /* [PROFILE_BUCKETS_MAX] periods that are judged */
    double *q, *work, *index; /* [PROFILE_BUCKETS_MAX] */
    double *ranks;            /* [4 PROFILE_BUCKETS_MAX] */
    uint64_t *bins;           /* [LOGBINS] */
} levels;

static const char *unit_text(value_unit u) {
    return u == UNIT_MS ? "ms" : u == UNIT_BYTES ? "bytes" : u == UNIT_PERCENT ? "%" : "";
}

/* What the word after a number says it is; "" when it is no unit. */
static str unit_after(const scan *s, const log_series *series, unsigned k) {
    str word = miner_slot_after(s->m, series->shape, k);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (str_eq(word, str_c(units[i]))) return word;
    }
    return S("");
}

static str unit_of(const scan *s, const log_series *series, unsigned k) {
    value_unit unit = series->params[k].unit;
    return unit == UNIT_NONE ? unit_after(s, series, k) : str_c(unit_text(unit));
}

/* Does slot k measure something? */
static bool is_measured(const scan *s, const log_series *series, unsigned k) {
    str name = miner_slot_name(s->m, series->shape, k);
    if (has_word(name, counters, ARRAY_LEN(counters))) return false;
    return unit_of(s, series, k).n > 0 || has_word(name, measures, ARRAY_LEN(measures));
}

static candidate param_candidate(const scan *s, const tmpl *t, const log_series *series, unsigned k,
                                 finding_kind kind) {
    candidate c = scan_candidate(s, t, kind);
    str name = miner_slot_name(s->m, series->shape, k);
    c.f.subject = name.n ? name : S("value");
    return c;
}

/* Middle of a period. */
static double period_ns(const scan *s, const param_period *t) {
    int64_t half = INT64_C(1) << (PROFILE_PERIOD_SHIFT - 1);
    return (double)profile_bucket_ns(s->p, t->period * 2 * half + half);
}

/* Begin of a drift that was found in period i of n, from the level `center`. */
static int64_t drift_onset(const scan *s, const levels *l, size_t i, size_t n, double center) {
    const double *q = l->q;
    double direction = q[i] > center ? 1 : -1, spread = 0;
    /* The first period after the last one before i within the quiet range, which the periods up to
     * it make. */
    size_t j = i;
    for (size_t k = 0; k < i; k++) {
        if ((q[k] - center) * direction > spread + DRIFT && k >= PERIODS_MIN - 1) {
            j = MIN(j, k);
        } else {
            spread = fmax(spread, fabs(q[k] - center));
            j = i;
        }
    }
    double now = exp2(q[j]), next = j + 1 < n ? exp2(q[j + 1]) : now;
    if (j == 0 || (next - now) * direction <= 0) return l->at[j]->first.ns;
    double at = period_ns(s, l->at[j]), width = period_ns(s, l->at[j + 1]) - at;
    double onset = at - (now - exp2(center)) / (next - now) * width;
    if (onset <= (double)l->at[j - 1]->first.ns) return l->at[j - 1]->first.ns;
    return onset < (double)l->at[j + 1]->first.ns ? (int64_t)onset : l->at[j + 1]->first.ns;
}

static size_t period_onset_bucket(const scan *s, const param_period *t) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->buckets[i] >> PROFILE_PERIOD_SHIFT >= t->period) return i;
    }
    return SIZE_MAX;
}

static void level_candidate(scan *s, const tmpl *t, const log_series *series, unsigned k,
                            const param_period *at, size_t rest, int64_t onset_ns, double before,
                            double now, double bits, double needed) {
    candidate c = param_candidate(s, t, series, k, FINDING_PARAM_OUTLIER);
    c.needed = needed;
    c.bucket = period_onset_bucket(s, at);
    c.f.direction = now > before ? 1 : -1;
    c.f.surprise_bits = bits;
    c.f.observed = exp2(now);
    c.f.expected = exp2(before);
    c.f.unit = unit_of(s, series, k);
    c.f.from_ns = c.f.onset_ns = onset_ns;
    c.f.to_ns = scan_end_ns(s);
    c.f.refs[c.f.ref_count++] = place_ref(&at->first);
    for (size_t i = 0; i < rest && c.f.ref_count < FINDING_REFS; i++) {
        c.f.refs[c.f.ref_count++] = place_ref(&at[i].max_at);
        c.f.record_count += at[i].count;
    }
    /* A measure that gets several times worse concerns people whatever the text says. */
    double octaves = now - before;
    c.concern = fmax(c.concern, octaves > 2 ? 0.65 : octaves > 1 ? 0.45 : 0.2);
    scan_add(s, &c);
}

/* Returns true when a finding was made. */
static bool shift_of(scan *s, const tmpl *t, const log_series *series, unsigned k, const levels *l,
                     double needed) {
    const param_stat *stat = &series->params[k];
    const param_period **at = l->at;
    double *q = l->q, *work = l->work, zero = zero_level(stat);
    size_t n = 0;
    for (size_t i = 0; i < stat->periods.n && n < PROFILE_BUCKETS_MAX; i++) {
        if (stat->periods.v[i].count < PERIOD_RECORDS_MIN) continue;
        at[n] = &stat->periods.v[i];
        q[n] = period_median(at[n], zero);
        n++;
    }
    if (n < PERIODS_MIN) return false;
    for (size_t i = PERIODS_MIN - 1; i < n; i++) {
        memcpy(work, q, i * sizeof(double));
        double center = stats_median(work, i), spread = SPREAD_MIN;
        for (size_t j = 0; j < i; j++) spread = fmax(spread, fabs(q[j] - center));
        double d = fabs(q[i] - center);
        if (d <= spread || (i + 1 < n && fabs(q[i + 1] - center) < d / 2)) continue;
        double bits = log2((double)i + 1) + ALPHA * log2(d / spread);
        if (bits < needed) continue;
        size_t top = i; /* it began here; how far it went shows later */
        for (size_t j = i + 1; j < n && (q[j] - center) * (q[i] - center) > 0; j++) {
            if (fabs(q[j] - center) > fabs(q[top] - center)) top = j;
        }
        bits = log2((double)i + 1) + ALPHA * log2(fabs(q[top] - center) / spread);
        int64_t onset = at[i]->first.ns;
        if (d < STEP * fabs(q[top] - center)) onset = drift_onset(s, l, i, n, center);
        level_candidate(s, t, series, k, at[i], (size_t)(&stat->periods.v[stat->periods.n] - at[i]),
                        onset, center, q[top], bits, needed);
        return true;
    }
    if (n < CREEP_PERIODS_MIN) return false;
    for (size_t i = 0; i < n; i++) l->index[i] = (double)i;
    double rho = stats_spearman(l->index, q, n, l->ranks);
    memcpy(work, q, (n / 4) * sizeof(double));
    double first = stats_median(work, n / 4), low = first;
    memcpy(work, q + n - n / 4, (n / 4) * sizeof(double));
    double now = stats_median(work, n / 4);
    double bits = tail_normal(rho * sqrt((double)n - 1)) * 2;
    if (rho <= 0 || now - first < CREEP || bits < needed) return false;
    for (size_t i = 0; i < n / 4; i++) low = fmax(low, q[i]);
    size_t onset = n / 4;
    while (onset + 1 < n && q[onset] <= low + SPREAD_MIN) onset++;
    level_candidate(s, t, series, k, at[onset],
                    (size_t)(&stat->periods.v[stat->periods.n] - at[onset]),
                    drift_onset(s, l, onset, n, first), first, now, bits, needed);
    return true;
}

static void far_out(scan *s, const tmpl *t, const log_series *series, unsigned k, uint64_t *bins,
                    double needed) {
    const param_stat *stat = &series->params[k];
    memset(bins, 0, LOGBINS * sizeof(*bins));
    const param_period *top = NULL;
    uint64_t above_zero = 0;
    for (size_t i = 0; i < stat->periods.n; i++) {
        const param_period *p = &stat->periods.v[i];
        for (unsigned b = 0; b < p->bin_count; b++) bins[p->bin_from + b] += p->bins[b];
        above_zero += p->count - p->low;
        if (!top || p->max > top->max) top = p;
    }
    if (above_zero < FAR_RECORDS_MIN) return;
    unsigned high = LOGBINS - 1;
    while (high > 0 && !bins[high]) high--;
    if (bins[high] != 1) return; /* several values out there are a level, not an outlier */
    unsigned second = high - (high > 0);
    while (second > 0 && !bins[second]) second--;
    /* Hill over the upper twentieth of the rest */
    uint64_t k_top = above_zero / 20, taken = 0;
    unsigned threshold = second;
    while (threshold > 0 && taken + bins[threshold] <= k_top) taken += bins[threshold--];
    double sum = 0;
    for (unsigned b = threshold + 1; b <= second; b++) {
        sum += (double)bins[b] * (b - threshold) / 8.0 * M_LN2;
    }
    double alpha = sum > 0 && taken > 4 ? fmin((double)taken / sum, ALPHA) : ALPHA;
    double octaves = log2(top->max / logbins_value(second));
    double bits = log2((double)above_zero) + fmax(alpha, 1) * octaves;
    if (octaves < 1 || bits < needed) return;
    candidate c = param_candidate(s, t, series, k, FINDING_PARAM_OUTLIER);
    c.needed = needed;
    c.bucket = scan_bucket(s, profile_bucket_of(s->p, top->max_at.ns));
    c.f.direction = 1;
    c.f.surprise_bits = bits;
    c.f.observed = top->max;
    c.f.expected = logbins_value(second);
    c.f.unit = unit_of(s, series, k);
    c.f.from_ns = c.f.to_ns = c.f.onset_ns = top->max_at.ns;
    c.f.refs[c.f.ref_count++] = place_ref(&top->max_at);
    c.f.record_count = 1;
    scan_add(s, &c);
}

/* A three-digit value is an HTTP status only beside others of the kind. */
double param_value_concern(const param_stat *stat, const param_value *v) {
    if (!v->failure) return detect_failure_meaning((str){v->text, v->text_bytes});
    for (size_t i = 0; i < stat->values.n && v->text_bytes == 3 && v->text[0] == '5'; i++) {
        const param_value *o = &stat->values.v[i];
        if (o->text_bytes != 3 || o->text[0] < '1' || o->text[0] > '5') return 0;
    }
    return 0.7;
}

str param_value_subject(scan *s, const log_series *series, unsigned k, const param_value *v) {
    str name = miner_slot_name(s->m, series->shape, k);
    if (!name.n) name = S("value");
    return str_fmt(&s->mem, "%.*s=%.*s", STR_ARG(name), (int)v->text_bytes, v->text);
}

static void new_values(scan *s, const tmpl *t, const log_series *series, unsigned k,
                       double needed) {
    const param_stat *stat = &series->params[k];
    if (stat->open || stat->values.n < 2 || stat->seen < CLOSED_RECORDS_MIN) return;
    if (stat->seen < series->records) return; /* not all were kept: what is new is not known */
    int64_t warm_ns = scan_bucket_ns(s, s->warmup);
    for (size_t i = 0; i < stat->values.n; i++) {
        const param_value *v = &stat->values.v[i];
        size_t at = SIZE_MAX, earlier = 0;
        if (v->first.ns != TS_NONE) at = scan_bucket(s, profile_bucket_of(s->p, v->first.ns));
        if (at == SIZE_MAX || at < s->warmup) continue;
        double before = 0; /* share of the slot's records before the value was first seen */
        for (size_t b = 0; b < series->buckets.n; b++) {
            if (series->buckets.v[b].bucket < s->buckets[at]) {
                before += (double)series->buckets.v[b].count;
            }
        }
        before = fmin(before / (double)series->records, 0.999);
        for (size_t j = 0; j < stat->values.n; j++) {
            const param_value *o = &stat->values.v[j];
            earlier += o->first.ns >= warm_ns && place_cmp(&o->first, &v->first) < 0;
        }
        double concern = param_value_concern(stat, v);
        double bits = fmin(ABSENCE_MAX, (double)v->count * -log2(1 - before)) + 6 * concern -
                      NOISE_BITS * log2(1 + (double)earlier);
        if (bits < needed) continue;
        candidate c = param_candidate(s, t, series, k, FINDING_NEW_VALUE);
        c.concern = fmax(concern, 0.5 * c.concern);
        c.f.subject =
            str_fmt(&s->mem, "%.*s=%.*s", STR_ARG(c.f.subject), (int)v->text_bytes, v->text);
        c.needed = needed;
        c.bucket = at;
        c.f.direction = 1;
        c.f.surprise_bits = bits;
        c.f.from_ns = c.f.onset_ns = v->first.ns;
        c.f.to_ns = v->last_ns;
        c.f.observed = (double)v->count;
        c.f.unit = S("lines");
        c.f.record_count = v->count;
        c.f.refs[c.f.ref_count++] = place_ref(&v->first);
        scan_add(s, &c);
    }
}

void detect_params(scan *s) {
    if (s->n < 8) return;
    levels l = {
        .at = arena_try_new_n(&s->mem, const param_period *, PROFILE_BUCKETS_MAX),
        .q = arena_try_new_n(&s->mem, double, PROFILE_BUCKETS_MAX),
        .work = arena_try_new_n(&s->mem, double, PROFILE_BUCKETS_MAX),
        .index = arena_try_new_n(&s->mem, double, PROFILE_BUCKETS_MAX),
        .ranks = arena_try_new_n(&s->mem, double, 4 * PROFILE_BUCKETS_MAX),
        .bins = arena_try_new_n(&s->mem, uint64_t, LOGBINS),
    };
    if (!l.at || !l.q || !l.work || !l.index || !l.ranks || !l.bins) return;
    double tests = 0;
    for (size_t i = 0; i < s->p->series.n; i++) {
        const log_series *series = &s->p->series.v[i];
        for (unsigned k = 0; series->params && k < series->slot_count; k++) {
            tests += (double)MAX(series->params[k].periods.n, (size_t)1);
        }
    }
    double needed = scan_needed(s, tests * 3);
    for (size_t i = 0; i < s->tmpl_count; i++) {
        const tmpl *t = &s->tmpls[i];
        for (size_t j = t->series_from; j < t->series_from + t->series_count; j++) {
            const log_series *series = &s->p->series.v[s->order[j]];
            for (unsigned k = 0; series->params && k < series->slot_count; k++) {
                const param_stat *stat = &series->params[k];
                s->sum.params_checked++;
                new_values(s, t, series, k, needed);
                if (stat->numbers < stat->seen * 9 / 10 || stat->unit == UNIT_MIXED) continue;
                if (!is_measured(s, series, k)) continue;
                if (!shift_of(s, t, series, k, &l, needed)) {
                    far_out(s, t, series, k, l.bins, needed);
                }
            }
        }
    }
}
