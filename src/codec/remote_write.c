/* remote_write.c - a WriteRequest to metric points.
 *
 *     WriteRequest { TimeSeries timeseries = 1; MetricMetadata metadata = 3; }
 *     TimeSeries   { Label labels = 1; Sample samples = 2; Exemplar exemplars = 3;
 *                    Histogram histograms = 4; }
 *
 * Two looks at the request: the first counts samples and gathers metadata (which stands behind the
 * series), the second makes points. Series of one name are one metric; the attributes of a series
 * are shared by its points.
 * What a name means: metadata of the request; else names that end in _total, _count or _bucket are
 * monotonic sums and _sum is a sum, all cumulative; everything else is a gauge. The kind depends on
 * nothing but the request and the name, so that a series does not change its kind while requests
 * with metadata come and go.
 * Exemplars join the last point of the same labels in the request (Prometheus sends them as series
 * of their own). Native histograms become exponential ones: bucket i of Prometheus covers
 * (base^(i-1), base^i], that of OpenTelemetry (base^i, base^(i+1)], so offsets differ by one; those
 * with custom bounds (schema -53) become explicit ones. Counts of float histograms are rounded.
 * Limits: LABELS_MAX labels a series, BUCKETS_MAX buckets a histogram (beyond: rejected), the
 * arena. Source: Prometheus remote write specification 1.0; prompb/types.proto, remote.proto; OTLP
 * compatibility, "Exponential Histograms". */
#include "codec/remote_write.h"

#include <math.h>
#include <snappy-c.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "codec/otlp.h"
#include "codec/pb.h"

enum { LABELS_MAX = 1024, BUCKETS_MAX = 1 << 16, NAMES_MAX = 1 << 20, CUSTOM_SCHEMA = -53 };

#define STALE_NAN 0x7ff0000000000002u

#define START(s) ((const uint8_t *)(s).p)
#define END(s)   ((const uint8_t *)(s).p + (s).n)

typedef enum family_type { /* MetricMetadata.MetricType */
                           FAMILY_UNKNOWN = 0,
                           FAMILY_COUNTER = 1,
                           FAMILY_GAUGE = 2
} family_type;

typedef struct family {
    str name, help, unit;
    uint64_t type;
} family;

typedef struct writer {
    telemetry *t;
    const resource *no_resource;
    map64 families; /* hash of a name -> family */
    map64 metrics;  /* hash of a name and kind -> index + 1 */
    map64 series;   /* hash of all labels -> index of its last point + 1 */
    size_t points;  /* counted in the first look */
    const char *base;
    err *e;
} writer;

static rc broken(writer *w, const uint8_t *at) {
    return FAIL(w->e, RC_INVALID, "remote write: broken wire format at byte %zu of the request",
                (size_t)((const char *)at - w->base));
}

static rc full(writer *w) {
    return FAIL(w->e, RC_LIMIT, "remote write: the request holds more than fits into memory");
}

static void reject(writer *w, uint64_t samples, const char *reason) {
    if (w->t->rejected == 0) w->t->reject_reason = str_c(reason);
    w->t->rejected += samples;
}

/* ---- metadata ---- */

static rc read_metadata(writer *w, str s) {
    family f = {0};
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (!p) return broken(w, at);
        switch (tag) {
        case PB_TAG(1, PB_VARINT):
            p = pb_varint(p, end, &f.type);
            break;
        case PB_TAG(2, PB_LEN):
            p = pb_bytes(p, end, &f.name);
            break;
        case PB_TAG(4, PB_LEN):
            p = pb_bytes(p, end, &f.help);
            break;
        case PB_TAG(5, PB_LEN):
            p = pb_bytes(p, end, &f.unit);
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (!p) return broken(w, at);
    }
    if (!utf8_valid(f.name) || !utf8_valid(f.help) || !utf8_valid(f.unit)) return RC_OK;
    family *own = arena_try_new(&w->t->mem, family);
    uint64_t *known = map64_put(&w->families, str_hash(f.name), NULL);
    if (!own || !known) return full(w);
    *own = f;
    *known = (uintptr_t)own;
    return RC_OK;
}

/* Counts and metadata; everything is well formed down to the fields of the series afterwards. */
static rc first_look(writer *w, str s) {
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        if (!p) return broken(w, at);
        bool known = tag == PB_TAG(1, PB_LEN) || tag == PB_TAG(3, PB_LEN);
        p = known ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        if (!p) return broken(w, at);
        if (tag == PB_TAG(3, PB_LEN)) {
            rc code = read_metadata(w, part);
            if (code != RC_OK) return code;
        }
        if (tag != PB_TAG(1, PB_LEN)) continue;
        for (const uint8_t *q = START(part), *stop = END(part), *from = q; q < stop; from = q) {
            q = pb_tag(q, stop, &tag);
            if (!q) return broken(w, from);
            w->points += tag == PB_TAG(2, PB_LEN) || tag == PB_TAG(4, PB_LEN);
            q = pb_skip(q, stop, tag);
            if (!q) return broken(w, from);
        }
    }
    return RC_OK;
}

/* ---- labels ---- */

static rc read_label(writer *w, str s, attribute *ret) {
    *ret = (attribute){0};
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (!p) return broken(w, at);
        if (tag == PB_TAG(1, PB_LEN)) {
            p = pb_bytes(p, end, &ret->key);
        } else if (tag == PB_TAG(2, PB_LEN)) {
            p = pb_bytes(p, end, &ret->val);
        } else {
            p = pb_skip(p, end, tag);
        }
        if (!p) return broken(w, at);
    }
    return RC_OK;
}

/* The labels in field 1 of message s. */
static rc read_labels(writer *w, str s, attribute *v, size_t *n, bool *too_many) {
    *n = 0;
    *too_many = false;
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        if (!p) return broken(w, at);
        bool label = tag == PB_TAG(1, PB_LEN);
        p = label ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        if (!p) return broken(w, at);
        if (!label) continue;
        if (*n == LABELS_MAX) {
            *too_many = true;
            return RC_OK;
        }
        rc code = read_label(w, part, &v[*n]);
        if (code != RC_OK) return code;
        ++*n;
    }
    return RC_OK;
}

/* ---- metrics ---- */

static bool is_one_of(str name, const char *const *suffixes) {
    for (; *suffixes; suffixes++) {
        if (str_ends(name, str_c(*suffixes))) return true;
    }
    return false;
}

/* Metadata is told by family: of a counter, histogram or summary the names of its series have
 * suffixes. */
static const family *family_of(const writer *w, str name) {
    static const str SUFFIXES[] = {S_INIT(""), S_INIT("_total"), S_INIT("_count"), S_INIT("_sum"),
                                   S_INIT("_bucket")};
    for (size_t i = 0; i < ARRAY_LEN(SUFFIXES) && w->families.count; i++) {
        if (!str_ends(name, SUFFIXES[i])) continue;
        str head = str_sub(name, 0, name.n - SUFFIXES[i].n);
        uint64_t *v = map64_get(&w->families, str_hash(head));
        const family *f = v ? (const family *)(uintptr_t)*v : NULL;
        if (f && str_eq(f->name, head)) return f;
    }
    return NULL;
}

static void set_kind(metric_info *m, const family *f, bool native) {
    static const char *const COUNTS[] = {"_total", "_count", "_bucket", NULL};
    static const char *const SUMS[] = {"_sum", NULL};
    bool monotonic = is_one_of(m->name, COUNTS), sum = is_one_of(m->name, SUMS);
    if (f) {
        m->description = f->help;
        m->unit = f->unit;
        if (f->type == FAMILY_COUNTER) monotonic = true;
        if (f->type == FAMILY_GAUGE) monotonic = sum = false;
    }
    m->kind = native ? METRIC_EXP_HISTOGRAM : monotonic || sum ? METRIC_SUM : METRIC_GAUGE;
    m->monotonic = !native && monotonic;
    m->temporality = m->kind == METRIC_GAUGE ? TEMPORALITY_NONE : TEMPORALITY_CUMULATIVE;
}

/* The metric of a name; `kind` METRIC_NONE: of samples. */
static rc metric_of(writer *w, str name, metric_kind kind, uint32_t *ret) {
    metric_batch *b = &w->t->metrics;
    uint64_t *known = map64_put(&w->metrics, str_hash_seed(name, kind), NULL);
    if (!known) return full(w);
    if (*known && str_eq(b->info[*known - 1].name, name)) {
        *ret = (uint32_t)*known - 1;
        return RC_OK;
    }
    metric_info *m = telemetry_add_metric(w->t);
    if (!m || b->info_count > UINT32_MAX) return full(w);
    m->name = name;
    m->resource = w->no_resource;
    set_kind(m, family_of(w, name), kind != METRIC_NONE);
    if (kind != METRIC_NONE) m->kind = (uint8_t)kind;
    *ret = (uint32_t)b->info_count - 1;
    if (!*known) *known = b->info_count;
    return RC_OK;
}

/* ---- samples ---- */

static bool ns_of(int64_t ms, int64_t *ret) { return !__builtin_mul_overflow(ms, 1000000, ret); }

typedef struct labels {
    str name;
    const attribute *attrs;
    uint32_t count;
    uint64_t hash;
} labels;

static metric_point *add_point(writer *w, const labels *l, uint32_t metric) {
    metric_point *p = telemetry_add_point(w->t);
    if (!p) return NULL;
    p->metric = metric;
    p->attrs = l->attrs;
    p->attr_count = l->count;
    uint64_t *last = map64_put(&w->series, l->hash, NULL);
    if (last) *last = w->t->metrics.count;
    return p;
}

static rc read_sample(writer *w, const labels *l, uint32_t metric, str s) {
    uint64_t bits = 0, ms = 0;
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (!p) return broken(w, at);
        if (tag == PB_TAG(1, PB_FIXED64)) {
            p = pb_fixed64(p, end, &bits);
        } else if (tag == PB_TAG(2, PB_VARINT)) {
            p = pb_varint(p, end, &ms);
        } else {
            p = pb_skip(p, end, tag);
        }
        if (!p) return broken(w, at);
    }
    int64_t ns;
    if (!ns_of((int64_t)ms, &ns)) {
        reject(w, 1, "a timestamp is outside the years 1677 to 2262");
        return RC_OK;
    }
    metric_point *pt = add_point(w, l, metric);
    if (!pt) return full(w);
    pt->ts_ns = ns;
    pt->num = (int64_t)bits;
    pt->has_value = bits != STALE_NAN;
    if (!pt->has_value) pt->flags = POINT_NO_VALUE;
    return RC_OK;
}

/* ---- native histograms ---- */

typedef struct side { /* the positive or negative buckets of a native histogram */
    int64_t first;    /* in Prometheus' numbers */
    uint64_t *counts; /* dense, from `first` */
    size_t count;
} side;

typedef struct native {
    bool is_float, stale;
    double sum, zero_threshold;
    uint64_t count, zero_count;
    int64_t schema, ms;
    str message;
} native;

static uint64_t rounded(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v >= 0 && v < 1.8e19 ? (uint64_t)llround(v) : 0;
}

/* BucketSpan: buckets left out before it, buckets filled. */
typedef struct bucket_span {
    int32_t offset;
    uint32_t length;
} bucket_span;

/* The next span in `field` of the message *p .. end. 1: there is one; 0: no more; -1: damaged. */
static int next_span(const uint8_t **p, const uint8_t *end, uint32_t field, bucket_span *ret) {
    while (*p < end) {
        uint32_t tag;
        str part = STR_NONE;
        *p = pb_tag(*p, end, &tag);
        MUST(*p != NULL); /* scan_native saw to it */
        bool found = tag == PB_TAG(field, PB_LEN);
        *p = found ? pb_bytes(*p, end, &part) : pb_skip(*p, end, tag);
        MUST(*p != NULL);
        if (!found) continue;
        uint64_t offset = 0, length = 0;
        for (const uint8_t *q = START(part), *stop = END(part); q < stop;) {
            q = pb_tag(q, stop, &tag);
            if (!q) return -1;
            if (tag == PB_TAG(1, PB_VARINT)) {
                q = pb_varint(q, stop, &offset);
            } else if (tag == PB_TAG(2, PB_VARINT)) {
                q = pb_varint(q, stop, &length);
            } else {
                q = pb_skip(q, stop, tag);
            }
            if (!q) return -1;
        }
        *ret = (bucket_span){(int32_t)pb_unzigzag((uint32_t)offset), (uint32_t)length};
        return 1;
    }
    return 0;
}

/* The counts of the buckets one after the other, packed or single on the wire. */
typedef struct count_reader {
    const uint8_t *p, *end;         /* the message */
    const uint8_t *pack, *pack_end; /* the values at hand */
    uint32_t tag;                   /* of a single value; packed: the same field as bytes */
    bool is_float;                  /* doubles; else deltas, zigzag */
    int64_t running;
} count_reader;

static bool next_count(count_reader *c, uint64_t *ret) {
    uint64_t v = 0;
    while (c->pack == c->pack_end) {
        uint32_t tag;
        str part = STR_NONE;
        if (c->p >= c->end) return false;
        c->p = pb_tag(c->p, c->end, &tag);
        MUST(c->p != NULL);
        const uint8_t *value = c->p;
        bool packed = tag == PB_TAG(c->tag >> 3, PB_LEN);
        c->p = packed ? pb_bytes(c->p, c->end, &part) : pb_skip(c->p, c->end, tag);
        MUST(c->p != NULL);
        if (packed) {
            c->pack = START(part);
            c->pack_end = END(part);
        } else if (tag == c->tag) {
            c->pack = value;
            c->pack_end = c->p;
        }
    }
    c->pack =
        c->is_float ? pb_fixed64(c->pack, c->pack_end, &v) : pb_varint(c->pack, c->pack_end, &v);
    if (!c->pack) return false;
    if (c->is_float) {
        *ret = rounded(v);
        return true;
    }
    if (__builtin_add_overflow(c->running, pb_unzigzag(v), &c->running)) return false;
    *ret = (uint64_t)c->running;
    return c->running >= 0;
}

/* First and width of the buckets that the spans in `field` cover. False: damaged, too wide, or
 * going back. */
static bool measure_side(const native *n, uint32_t field, side *ret) {
    const uint8_t *p = START(n->message), *end = END(n->message);
    bucket_span sp;
    int64_t at = 0;
    int found;
    bool begun = false;
    while ((found = next_span(&p, end, field, &sp)) > 0) {
        if (begun && sp.offset < 0) return false;
        at += sp.offset;
        if (!begun) ret->first = at;
        begun = true;
        at += sp.length;
        if (at - ret->first > BUCKETS_MAX) return false;
    }
    ret->count = (size_t)(at - ret->first);
    return found == 0;
}

/* The spans are in field `spans`, integer counts (deltas) in the field behind it, float counts in
 * the one after. False: not as measure_side asks, or fewer counts than the spans say;
 * *ret_full: the arena. */
static bool read_side(writer *w, const native *n, uint32_t spans, side *ret, bool *ret_full) {
    *ret = (side){0};
    *ret_full = false;
    if (!measure_side(n, spans, ret)) return false;
    if (ret->count == 0) return true;
    ret->counts = arena_try_new_n(&w->t->mem, uint64_t, ret->count);
    if (!ret->counts) {
        *ret_full = true;
        return false;
    }
    const uint8_t *p = START(n->message), *end = END(n->message);
    count_reader c = {.p = p,
                      .end = end,
                      .tag = n->is_float ? PB_TAG(spans + 2, PB_FIXED64)
                                         : PB_TAG(spans + 1, PB_VARINT),
                      .is_float = n->is_float};
    bucket_span sp;
    int64_t at = 0;
    while (next_span(&p, end, spans, &sp) > 0) {
        at += sp.offset;
        for (uint32_t i = 0; i < sp.length; i++, at++) {
            MUST(at >= ret->first && (size_t)(at - ret->first) < ret->count);
            if (!next_count(&c, &ret->counts[at - ret->first])) return false;
        }
    }
    return true;
}

/* Repeated doubles of `field`, packed or not. */
static rc read_doubles(writer *w, str s, uint32_t field, double **ret, uint32_t *ret_n) {
    size_t n = 0;
    for (int walk = 0; walk < 2; walk++) {
        size_t i = 0;
        for (const uint8_t *p = START(s), *end = END(s); p < end;) {
            uint32_t tag;
            str part = STR_NONE;
            uint64_t v = 0;
            p = pb_tag(p, end, &tag);
            MUST(p != NULL);
            if (tag == PB_TAG(field, PB_LEN)) {
                p = pb_bytes(p, end, &part);
                for (size_t at = 0; at + 8 <= part.n; at += 8, i++) {
                    v = pb_load64(part.p + at);
                    if (walk) memcpy(&(*ret)[i], &v, sizeof v);
                }
            } else if (tag == PB_TAG(field, PB_FIXED64)) {
                p = pb_fixed64(p, end, &v);
                if (walk) memcpy(&(*ret)[i], &v, sizeof v);
                i++;
            } else {
                p = pb_skip(p, end, tag);
            }
            MUST(p != NULL);
        }
        if (walk) break;
        n = i;
        *ret_n = (uint32_t)n;
        if (n == 0) return RC_OK;
        *ret = arena_try_new_n(&w->t->mem, double, n);
        if (!*ret) return full(w);
    }
    return RC_OK;
}

static rc scan_native(writer *w, str s, native *n) {
    *n = (native){.message = s};
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v = 0;
        p = pb_tag(p, end, &tag);
        if (!p) return broken(w, at);
        switch (tag) {
        case PB_TAG(1, PB_VARINT):
            p = pb_varint(p, end, &n->count);
            break;
        case PB_TAG(2, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            n->is_float = true;
            n->count = rounded(v);
            break;
        case PB_TAG(3, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            memcpy(&n->sum, &v, sizeof v);
            n->stale = v == STALE_NAN;
            break;
        case PB_TAG(4, PB_VARINT):
            p = pb_varint(p, end, &v);
            n->schema = (int32_t)pb_unzigzag((uint32_t)v);
            break;
        case PB_TAG(5, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            memcpy(&n->zero_threshold, &v, sizeof v);
            break;
        case PB_TAG(6, PB_VARINT):
            p = pb_varint(p, end, &n->zero_count);
            break;
        case PB_TAG(7, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            n->zero_count = rounded(v);
            break;
        case PB_TAG(15, PB_VARINT):
            p = pb_varint(p, end, &v);
            n->ms = (int64_t)v;
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (!p) return broken(w, at);
    }
    return RC_OK;
}

/* Custom bounds: bucket i covers (bounds[i-1], bounds[i]], and one more above. */
static rc set_custom(writer *w, const native *n, const side *pos, metric_point *pt, bool *bad) {
    double *bounds = NULL;
    rc code = read_doubles(w, n->message, 16, &bounds, &pt->bound_count);
    if (code != RC_OK) return code;
    pt->bounds = bounds;
    pt->bucket_count = pt->bound_count + 1;
    uint64_t *counts = arena_try_new_n(&w->t->mem, uint64_t, pt->bucket_count);
    if (!counts) return full(w);
    *bad = pos->first < 0 || (uint64_t)pos->first + pos->count > pt->bucket_count;
    if (!*bad && pos->count) memcpy(counts + pos->first, pos->counts, pos->count * sizeof *counts);
    pt->buckets = counts;
    return RC_OK;
}

static rc read_histogram(writer *w, const labels *l, str s) {
    native n;
    rc code = scan_native(w, s, &n);
    if (code != RC_OK) return code;
    int64_t ns;
    bool custom = n.schema == CUSTOM_SCHEMA, too_large = false;
    if (!ns_of(n.ms, &ns) || (!custom && (n.schema < -4 || n.schema > 20))) {
        reject(w, 1, "a histogram has an unknown schema or time");
        return RC_OK;
    }
    side negative = {0}, positive = {0};
    if (!read_side(w, &n, 8, &negative, &too_large) ||
        !read_side(w, &n, 11, &positive, &too_large)) {
        if (too_large) return full(w);
        reject(w, 1, "the buckets of a histogram do not fit its spans");
        return RC_OK;
    }
    uint32_t metric;
    code = metric_of(w, l->name, custom ? METRIC_HISTOGRAM : METRIC_EXP_HISTOGRAM, &metric);
    if (code != RC_OK) return code;
    metric_point *pt = add_point(w, l, metric);
    if (!pt) return full(w);
    pt->ts_ns = ns;
    if (n.stale) {
        pt->flags = POINT_NO_VALUE;
        return RC_OK;
    }
    pt->count = n.count;
    pt->sum = n.sum;
    pt->has_sum = true;
    if (custom) {
        bool bad = false;
        code = set_custom(w, &n, &positive, pt, &bad);
        if (code == RC_OK && bad) {
            w->t->metrics.count--;
            reject(w, 1, "the buckets of a histogram do not fit its bounds");
        }
        return code;
    }
    pt->scale = (int32_t)n.schema;
    pt->zero_count = n.zero_count;
    pt->zero_threshold = n.zero_threshold;
    pt->offset = (int32_t)(positive.first - (positive.count > 0));
    pt->buckets = positive.counts;
    pt->bucket_count = (uint32_t)positive.count;
    pt->negative_offset = (int32_t)(negative.first - (negative.count > 0));
    pt->negative = negative.counts;
    pt->negative_count = (uint32_t)negative.count;
    return RC_OK;
}

/* ---- exemplars ---- */

/* Labels trace_id and span_id become the ids when they are some. */
static bool take_id(writer *w, const attribute *a, str name, size_t bytes, str *ret) {
    if (!str_eq(a->key, name)) return false;
    uint8_t *id = arena_try_raw(&w->t->mem, bytes, 1);
    if (!id || !hex_to_bytes(a->val, id, bytes)) return false;
    *ret = (str){(const char *)id, bytes};
    return true;
}

static rc read_exemplar(writer *w, str s, exemplar *x) {
    attribute found[LABELS_MAX];
    size_t n, kept = 0;
    bool too_many;
    rc code = read_labels(w, s, found, &n, &too_many);
    if (code != RC_OK) return code;
    *x = (exemplar){0};
    for (size_t i = 0; i < n; i++) {
        if (take_id(w, &found[i], S("trace_id"), TRACE_ID_BYTES, &x->trace_id)) continue;
        if (take_id(w, &found[i], S("span_id"), SPAN_ID_BYTES, &x->span_id)) continue;
        if (utf8_valid(found[i].key) && utf8_valid(found[i].val)) found[kept++] = found[i];
    }
    attribute *own = arena_try_new_n(&w->t->mem, attribute, kept);
    if (!own) return full(w);
    memcpy(own, found, kept * sizeof *own);
    x->attrs = own;
    x->attr_count = (uint32_t)kept;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        uint64_t v = 0;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL); /* read_labels saw to it */
        const uint8_t *value = p;
        p = pb_skip(p, end, tag);
        MUST(p != NULL);
        if (tag == PB_TAG(2, PB_FIXED64)) {
            IGNORE(!pb_fixed64(value, end, &v));
            x->num = (int64_t)v;
        } else if (tag == PB_TAG(3, PB_VARINT)) {
            IGNORE(!pb_varint(value, end, &v));
            IGNORE(!ns_of((int64_t)v, &x->ts_ns)); /* far away: no time */
        }
    }
    return RC_OK;
}

static rc add_exemplar(writer *w, const labels *l, str s) {
    uint64_t *last = map64_get(&w->series, l->hash);
    if (!last) return RC_OK; /* no sample to join in this request: an exemplar is a hint */
    metric_point *pt = &w->t->metrics.rec[*last - 1];
    exemplar *all = arena_try_new_n(&w->t->mem, exemplar, (size_t)pt->exemplar_count + 1);
    if (!all) return full(w);
    if (pt->exemplar_count) memcpy(all, pt->exemplars, pt->exemplar_count * sizeof *all);
    rc code = read_exemplar(w, s, &all[pt->exemplar_count]);
    if (code != RC_OK) return code;
    pt->exemplars = all;
    pt->exemplar_count++;
    return RC_OK;
}

/* ---- series ---- */

static uint64_t count_field(str s, uint32_t field) {
    uint64_t n = 0;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        n += tag == PB_TAG(field, PB_LEN);
        p = pb_skip(p, end, tag);
        MUST(p != NULL);
    }
    return n;
}

/* The labels of a series: name apart, the others in the arena. *bad: why it cannot be kept. */
static rc series_labels(writer *w, str s, labels *l, const char **bad) {
    attribute found[LABELS_MAX];
    size_t n, kept = 0;
    bool too_many;
    rc code = read_labels(w, s, found, &n, &too_many);
    if (code != RC_OK) return code;
    *l = (labels){0};
    *bad = too_many ? "a series has too many labels" : NULL;
    for (size_t i = 0; i < n; i++) {
        if (!utf8_valid(found[i].key) || !utf8_valid(found[i].val)) *bad = "a label is not UTF-8";
        if (found[i].key.n == 0) *bad = "a label has no name";
        l->hash = str_hash_seed(found[i].key, l->hash);
        l->hash = str_hash_seed(found[i].val, l->hash);
        if (str_eq(found[i].key, S("__name__"))) {
            l->name = found[i].val;
        } else {
            found[kept++] = found[i];
        }
    }
    if (l->name.n == 0 && !*bad) *bad = "a series has no name";
    if (*bad) return RC_OK;
    attribute *own = arena_try_new_n(&w->t->mem, attribute, kept);
    if (!own) return full(w);
    memcpy(own, found, kept * sizeof *own);
    l->attrs = own;
    l->count = (uint32_t)kept;
    return RC_OK;
}

/* pass 0: points; pass 1: exemplars, which join points of any series of the request. */
static rc read_series(writer *w, str s, int pass) {
    uint64_t samples = count_field(s, 2), exemplars = count_field(s, 3);
    uint64_t histograms = count_field(s, 4);
    if (pass == 1 && exemplars == 0) return RC_OK;
    if (pass == 0 && samples + histograms == 0) return RC_OK;
    labels l;
    const char *bad;
    rc code = series_labels(w, s, &l, &bad);
    if (code != RC_OK) return code;
    if (bad) {
        if (pass == 0) reject(w, samples + histograms, bad);
        return RC_OK;
    }
    uint32_t metric = 0;
    if (pass == 0 && samples) {
        code = metric_of(w, l.name, METRIC_NONE, &metric);
        if (code != RC_OK) return code;
    }
    for (const uint8_t *p = START(s), *end = END(s); p < end && code == RC_OK;) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        bool message = (tag & 7) == PB_LEN;
        p = message ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        MUST(p != NULL);
        if (pass == 0 && tag == PB_TAG(2, PB_LEN)) {
            code = read_sample(w, &l, metric, part);
        } else if (pass == 0 && tag == PB_TAG(4, PB_LEN)) {
            code = read_histogram(w, &l, part);
        } else if (pass == 1 && tag == PB_TAG(3, PB_LEN)) {
            code = add_exemplar(w, &l, part);
        }
    }
    return code;
}

static rc each_series(writer *w, str s, int pass) {
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        bool series = tag == PB_TAG(1, PB_LEN);
        p = series ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        MUST(p != NULL);
        if (!series) continue;
        rc code = read_series(w, part, pass);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

static rc read_request(writer *w, str s) {
    rc code = first_look(w, s);
    if (code != RC_OK || w->points == 0) return code;
    if (w->points > OTLP_RECORDS_MAX) {
        return FAIL(w->e, RC_LIMIT, "remote write: too many samples in one request");
    }
    resource *r = arena_try_new(&w->t->mem, resource);
    if (!r || !telemetry_reserve_points(w->t, w->points)) return full(w);
    resource_finish(r);
    w->no_resource = r;
    code = each_series(w, s, 0);
    return code == RC_OK ? each_series(w, s, 1) : code;
}

rc remote_write_decode(str compressed, size_t max_bytes, telemetry *t, err *e) {
    MUST(!t->body || t->body == compressed.p);
    size_t n = 0;
    if (compressed.n == 0 ||
        snappy_uncompressed_length(compressed.p, compressed.n, &n) != SNAPPY_OK) {
        return FAIL(e, RC_INVALID, "remote write: the body is not packed with snappy");
    }
    if (n > max_bytes) {
        return FAIL(e, RC_LIMIT,
                    "remote write: the body unpacks to %zu bytes, over the limit of %zu", n,
                    max_bytes);
    }
    char *plain = mem_try_raw(n + 1);
    if (!plain) return FAIL(e, RC_LIMIT, "remote write: no memory for %zu bytes", n);
    if (snappy_uncompress(compressed.p, compressed.n, plain, &n) != SNAPPY_OK) {
        mem_free(plain);
        return FAIL(e, RC_INVALID, "remote write: the body is not packed with snappy");
    }
    mem_free(t->body);
    t->body = plain;
    t->body_bytes = n;
    writer w = {.t = t, .base = plain, .e = e};
    map64_init(&w.families, NAMES_MAX);
    map64_init(&w.metrics, NAMES_MAX);
    map64_init(&w.series, OTLP_RECORDS_MAX);
    rc code = read_request(&w, (str){plain, n});
    map64_release(&w.families);
    map64_release(&w.metrics);
    map64_release(&w.series);
    return code;
}
