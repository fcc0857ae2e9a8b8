/* otlp_pb_metrics.c - OTLP metrics in protobuf: metrics, points of the five kinds, exemplars.
 *
 * A metric is looked at twice: first for what all its points share (the kind is known only when the
 * last member of the oneof was seen), then for the points. So is a point that holds arrays:
 * their lengths are summed up in the first look (packed and single values may be mixed on the wire)
 * and the values copied, aligned, in the second. */
#include "codec/otlp_int.h"

#define START(s) ((const uint8_t *)(s).p)
#define END(s)   ((const uint8_t *)(s).p + (s).n)

/* ---- arrays of numbers ---- */

/* A repeated fixed64 or double of `field`, n values in all: copied out of message s. */
static bool copy_fixed64s(otlp_dec *d, str s, uint32_t field, uint32_t n, void *ret) {
    uint64_t *all = arena_try_raw(d->mem, n * sizeof *all, _Alignof(uint64_t));
    if (!all) return otlp_full(d);
    uint32_t i = 0;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        if (tag == PB_TAG(field, PB_FIXED64)) {
            MUST(i < n);
            p = pb_fixed64(p, end, &all[i++]);
        } else if (tag == PB_TAG(field, PB_LEN)) {
            str packed = STR_NONE;
            p = pb_bytes(p, end, &packed);
            MUST(packed.n / 8 <= n - i);
            for (size_t at = 0; at + 8 <= packed.n; at += 8) all[i++] = pb_load64(packed.p + at);
        } else {
            p = pb_skip(p, end, tag);
        }
        MUST(p != NULL);
    }
    MUST(i == n);
    memcpy(ret, &all, sizeof all); /* to a pointer to uint64_t or double */
    return true;
}

/* The same for a repeated uint64. */
static bool copy_varints(otlp_dec *d, str s, uint32_t field, uint32_t n, const uint64_t **ret) {
    uint64_t *all = arena_try_raw(d->mem, n * sizeof *all, _Alignof(uint64_t));
    if (!all) return otlp_full(d);
    uint32_t i = 0;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        if (tag == PB_TAG(field, PB_VARINT)) {
            MUST(i < n);
            p = pb_varint(p, end, &all[i++]);
        } else if (tag == PB_TAG(field, PB_LEN)) {
            str packed = STR_NONE;
            const uint8_t *at = p;
            p = pb_bytes(p, end, &packed);
            for (const uint8_t *q = START(packed), *stop = END(packed); q < stop;) {
                MUST(i < n);
                q = pb_varint(q, stop, &all[i++]);
                if (!q) return otlp_broken(d, at);
            }
        } else {
            p = pb_skip(p, end, tag);
        }
        MUST(p != NULL);
    }
    MUST(i == n);
    *ret = all;
    return true;
}

/* The number of values in a packed field of fixed64. */
static bool count_packed(otlp_dec *d, const uint8_t *at, str packed, uint32_t *n) {
    if (packed.n % 8) return otlp_broken(d, at);
    *n += (uint32_t)(packed.n / 8);
    return true;
}

static uint32_t count_varints(str packed) {
    uint32_t n = 0;
    for (size_t i = 0; i < packed.n; i++) n += (unsigned char)packed.p[i] < 0x80;
    return n;
}

/* ---- exemplars ---- */

static bool read_exemplar(otlp_dec *d, str s, exemplar *ret) {
    size_t mark = d->stack_n;
    *ret = (exemplar){.no_value = true};
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v = 0;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(2, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            ret->ts_ns = (int64_t)v;
            break;
        case PB_TAG(3, PB_FIXED64):
        case PB_TAG(6, PB_FIXED64):
            p = pb_fixed64(p, end, &v);
            ret->is_int = tag == PB_TAG(6, PB_FIXED64);
            ret->no_value = false;
            ret->num = (int64_t)v;
            break;
        case PB_TAG(4, PB_LEN):
            p = pb_bytes(p, end, &ret->span_id);
            break;
        case PB_TAG(5, PB_LEN):
            p = pb_bytes(p, end, &ret->trace_id);
            break;
        case PB_TAG(7, PB_LEN):
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!otlp_push_attr(d, part)) {
                return otlp_in(d, "filtered_attributes", d->stack_n - mark);
            }
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    return otlp_pop_attrs(d, mark, &ret->attrs, &ret->attr_count);
}

static bool read_exemplars(otlp_dec *d, str s, uint32_t field, uint32_t n, metric_point *r) {
    exemplar *all = arena_try_new_n(d->mem, exemplar, n);
    if (!all) return otlp_full(d);
    uint32_t i = 0;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        if (tag == PB_TAG(field, PB_LEN)) {
            MUST(i < n);
            p = pb_bytes(p, end, &part);
            if (!read_exemplar(d, part, &all[i])) return otlp_in(d, "exemplars", i);
            otlp_optional_id(d, &all[i].trace_id, TRACE_ID_BYTES);
            otlp_optional_id(d, &all[i].span_id, SPAN_ID_BYTES);
            i++;
        } else {
            p = pb_skip(p, end, tag);
        }
        MUST(p != NULL);
    }
    r->exemplars = all;
    r->exemplar_count = n;
    return true;
}

/* ---- points ---- */

/* Field numbers that differ between the kinds of points. */
typedef struct point_fields {
    uint8_t attributes, flags, exemplars; /* 0 = none */
} point_fields;

static const point_fields FIELDS[] = {
    [METRIC_GAUGE] = {7, 8, 5},      [METRIC_SUM] = {7, 8, 5},
    [METRIC_HISTOGRAM] = {9, 10, 8}, [METRIC_EXP_HISTOGRAM] = {1, 10, 11},
    [METRIC_SUMMARY] = {7, 8, 0},
};

/* The parts of a point whose number is known after the first look. */
typedef struct point_parts {
    uint32_t exemplars, buckets, bounds, quantiles;
    str positive, negative; /* Buckets messages; pieces of one message are joined */
    bool has_positive, has_negative;
} point_parts;

typedef enum field_result { FIELD_OTHER, FIELD_DONE, FIELD_BAD } field_result;

FL_INLINE void set_double(const uint8_t **p, const uint8_t *end, double *to, bool *has) {
    uint64_t v = 0;
    *p = pb_fixed64(*p, end, &v);
    memcpy(to, &v, sizeof v);
    if (has) *has = true;
}

/* Numbers of gauges and sums. */
FL_INLINE bool number_field(uint32_t tag, const uint8_t **p, const uint8_t *end, metric_point *r) {
    uint64_t v = 0;
    if (tag != PB_TAG(4, PB_FIXED64) && tag != PB_TAG(6, PB_FIXED64)) return false;
    *p = pb_fixed64(*p, end, &v);
    r->is_int = tag == PB_TAG(6, PB_FIXED64);
    r->has_value = true;
    r->num = (int64_t)v;
    return true;
}

static field_result histogram_field(otlp_dec *d, uint32_t tag, const uint8_t **p,
                                    const uint8_t *end, metric_point *r, point_parts *parts) {
    const uint8_t *at = *p;
    str packed = STR_NONE;
    uint64_t v;
    switch (tag) {
    case PB_TAG(4, PB_FIXED64):
        *p = pb_fixed64(*p, end, &r->count);
        return FIELD_DONE;
    case PB_TAG(5, PB_FIXED64):
        set_double(p, end, &r->sum, &r->has_sum);
        return FIELD_DONE;
    case PB_TAG(6, PB_FIXED64):
        *p = pb_fixed64(*p, end, &v);
        parts->buckets++;
        return FIELD_DONE;
    case PB_TAG(7, PB_FIXED64):
        *p = pb_fixed64(*p, end, &v);
        parts->bounds++;
        return FIELD_DONE;
    case PB_TAG(6, PB_LEN):
    case PB_TAG(7, PB_LEN):
        *p = pb_bytes(*p, end, &packed);
        if (!*p) return FIELD_DONE;
        return count_packed(d, at, packed,
                            tag == PB_TAG(6, PB_LEN) ? &parts->buckets : &parts->bounds)
                   ? FIELD_DONE
                   : FIELD_BAD;
    case PB_TAG(11, PB_FIXED64):
        set_double(p, end, &r->min, &r->has_min);
        return FIELD_DONE;
    case PB_TAG(12, PB_FIXED64):
        set_double(p, end, &r->max, &r->has_max);
        return FIELD_DONE;
    default:
        return FIELD_OTHER;
    }
}

/* Two pieces of one message are one message when they are joined. */
static bool join(otlp_dec *d, str more, bool *has, str *all) {
    if (!*has || all->n == 0) {
        *all = more;
    } else if (more.n) {
        char *p = arena_try_raw(d->mem, all->n + more.n, 1);
        if (!p) return otlp_full(d);
        memcpy(p, all->p, all->n);
        memcpy(p + all->n, more.p, more.n);
        *all = (str){p, all->n + more.n};
    }
    *has = true;
    return true;
}

static field_result exp_histogram_field(otlp_dec *d, uint32_t tag, const uint8_t **p,
                                        const uint8_t *end, metric_point *r, point_parts *parts) {
    str part = STR_NONE;
    uint64_t v = 0;
    switch (tag) {
    case PB_TAG(4, PB_FIXED64):
        *p = pb_fixed64(*p, end, &r->count);
        return FIELD_DONE;
    case PB_TAG(5, PB_FIXED64):
        set_double(p, end, &r->sum, &r->has_sum);
        return FIELD_DONE;
    case PB_TAG(6, PB_VARINT):
        *p = pb_varint(*p, end, &v);
        r->scale = (int32_t)pb_unzigzag((uint32_t)v);
        return FIELD_DONE;
    case PB_TAG(7, PB_FIXED64):
        *p = pb_fixed64(*p, end, &r->zero_count);
        return FIELD_DONE;
    case PB_TAG(8, PB_LEN):
    case PB_TAG(9, PB_LEN): {
        bool positive = tag == PB_TAG(8, PB_LEN);
        *p = pb_bytes(*p, end, &part);
        if (!*p) return FIELD_DONE;
        return join(d, part, positive ? &parts->has_positive : &parts->has_negative,
                    positive ? &parts->positive : &parts->negative)
                   ? FIELD_DONE
                   : FIELD_BAD;
    }
    case PB_TAG(12, PB_FIXED64):
        set_double(p, end, &r->min, &r->has_min);
        return FIELD_DONE;
    case PB_TAG(13, PB_FIXED64):
        set_double(p, end, &r->max, &r->has_max);
        return FIELD_DONE;
    case PB_TAG(14, PB_FIXED64):
        set_double(p, end, &r->zero_threshold, NULL);
        return FIELD_DONE;
    default:
        return FIELD_OTHER;
    }
}

static field_result summary_field(uint32_t tag, const uint8_t **p, const uint8_t *end,
                                  metric_point *r, point_parts *parts) {
    str part;
    switch (tag) {
    case PB_TAG(4, PB_FIXED64):
        *p = pb_fixed64(*p, end, &r->count);
        return FIELD_DONE;
    case PB_TAG(5, PB_FIXED64):
        set_double(p, end, &r->sum, &r->has_sum);
        return FIELD_DONE;
    case PB_TAG(6, PB_LEN):
        *p = pb_bytes(*p, end, &part);
        parts->quantiles++;
        return FIELD_DONE;
    default:
        return FIELD_OTHER;
    }
}

/* Buckets of one side of an exponential histogram. */
static bool read_buckets(otlp_dec *d, str s, int32_t *offset, uint32_t *count,
                         const uint64_t **ret) {
    uint32_t n = 0;
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v = 0;
        str packed = STR_NONE;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        switch (tag) {
        case PB_TAG(1, PB_VARINT):
            p = pb_varint(p, end, &v);
            *offset = (int32_t)pb_unzigzag((uint32_t)v);
            break;
        case PB_TAG(2, PB_VARINT):
            p = pb_varint(p, end, &v);
            n++;
            break;
        case PB_TAG(2, PB_LEN):
            p = pb_bytes(p, end, &packed);
            if (packed.n && (unsigned char)packed.p[packed.n - 1] >= 0x80) {
                return otlp_broken(d, at); /* the last varint is cut */
            }
            n += count_varints(packed);
            break;
        default:
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    *count = n;
    return n == 0 || copy_varints(d, s, 2, n, ret);
}

static bool read_quantiles(otlp_dec *d, str s, uint32_t n, metric_point *r) {
    double *quantile = arena_try_new_n(d->mem, double, n),
           *value = arena_try_new_n(d->mem, double, n);
    if (!quantile || !value) return otlp_full(d);
    uint32_t i = 0;
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        bool one = tag == PB_TAG(6, PB_LEN);
        p = one ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        MUST(p != NULL);
        if (!one) continue;
        MUST(i < n);
        for (const uint8_t *q = START(part), *stop = END(part), *at = q; q < stop; at = q) {
            q = pb_tag(q, stop, &tag);
            if (!q) return otlp_broken(d, at);
            if (tag == PB_TAG(1, PB_FIXED64)) {
                set_double(&q, stop, &quantile[i], NULL);
            } else if (tag == PB_TAG(2, PB_FIXED64)) {
                set_double(&q, stop, &value[i], NULL);
            } else {
                q = pb_skip(q, stop, tag);
            }
            if (!q) return otlp_broken(d, at);
        }
        i++;
    }
    r->bounds = quantile;
    r->values = value;
    r->bound_count = n;
    return true;
}

static bool read_parts(otlp_dec *d, str s, metric_kind kind, const point_parts *parts,
                       metric_point *r) {
    if (parts->exemplars && !read_exemplars(d, s, FIELDS[kind].exemplars, parts->exemplars, r)) {
        return false;
    }
    r->bucket_count = parts->buckets;
    r->bound_count = parts->bounds;
    if (parts->buckets && !copy_fixed64s(d, s, 6, parts->buckets, &r->buckets)) return false;
    if (parts->bounds && !copy_fixed64s(d, s, 7, parts->bounds, &r->bounds)) return false;
    if (parts->has_positive &&
        !read_buckets(d, parts->positive, &r->offset, &r->bucket_count, &r->buckets)) {
        return otlp_in(d, "positive", SIZE_MAX);
    }
    if (parts->has_negative &&
        !read_buckets(d, parts->negative, &r->negative_offset, &r->negative_count, &r->negative)) {
        return otlp_in(d, "negative", SIZE_MAX);
    }
    if (kind == METRIC_SUMMARY) r->has_sum = true; /* its sum has no presence of its own */
    return !parts->quantiles || read_quantiles(d, s, parts->quantiles, r);
}

static bool read_point(otlp_dec *d, str s, metric_kind kind, uint32_t metric) {
    metric_point *r = telemetry_add_point(d->t);
    if (UNLIKELY(!r)) return otlp_full(d);
    const point_fields f = FIELDS[kind];
    const uint32_t attributes = PB_TAG(f.attributes, PB_LEN), flags = PB_TAG(f.flags, PB_VARINT);
    const uint32_t exemplars = f.exemplars ? PB_TAG(f.exemplars, PB_LEN) : 0;
    point_parts parts = {0};
    r->metric = metric;
    MUST(d->stack_n == 0);
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v = 0;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (tag == attributes) {
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (UNLIKELY(!otlp_push_attr(d, part))) return otlp_in(d, "attributes", d->stack_n);
        } else if (tag == PB_TAG(2, PB_FIXED64)) {
            p = pb_fixed64(p, end, &v);
            r->start_ns = (int64_t)v;
        } else if (tag == PB_TAG(3, PB_FIXED64)) {
            p = pb_fixed64(p, end, &v);
            r->ts_ns = (int64_t)v;
        } else if (tag == flags) {
            p = pb_varint(p, end, &v);
            r->flags = (uint32_t)v;
        } else if (tag == exemplars) {
            p = pb_bytes(p, end, &part);
            parts.exemplars++;
        } else {
            field_result done = FIELD_OTHER;
            if (kind <= METRIC_SUM) {
                if (number_field(tag, &p, end, r)) done = FIELD_DONE;
            } else if (kind == METRIC_HISTOGRAM) {
                done = histogram_field(d, tag, &p, end, r, &parts);
            } else if (kind == METRIC_EXP_HISTOGRAM) {
                done = exp_histogram_field(d, tag, &p, end, r, &parts);
            } else {
                done = summary_field(tag, &p, end, r, &parts);
            }
            if (UNLIKELY(done == FIELD_BAD)) return false;
            if (done == FIELD_OTHER) p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    if (!otlp_pop_attrs(d, 0, &r->attrs, &r->attr_count)) return false;
    return !(kind > METRIC_SUM || parts.exemplars) || read_parts(d, s, kind, &parts, r);
}

/* ---- Metric ---- */

static metric_kind kind_of(uint32_t tag) {
    switch (tag) {
    case PB_TAG(5, PB_LEN):
        return METRIC_GAUGE;
    case PB_TAG(7, PB_LEN):
        return METRIC_SUM;
    case PB_TAG(9, PB_LEN):
        return METRIC_HISTOGRAM;
    case PB_TAG(10, PB_LEN):
        return METRIC_EXP_HISTOGRAM;
    case PB_TAG(11, PB_LEN):
        return METRIC_SUMMARY;
    default:
        return METRIC_NONE;
    }
}

/* Gauge, Sum ...: data_points = 1, aggregation_temporality = 2, is_monotonic = 3. */
static bool read_data(otlp_dec *d, str s, metric_kind kind, size_t metric) {
    size_t i = 0;
    bool timed = kind == METRIC_SUM || kind == METRIC_HISTOGRAM || kind == METRIC_EXP_HISTOGRAM;
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v = 0;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (tag == PB_TAG(1, PB_LEN)) {
            p = pb_bytes(p, end, &part);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            if (!read_point(d, part, kind, (uint32_t)metric)) return otlp_in(d, "data_points", i);
            i++;
        } else if (tag == PB_TAG(2, PB_VARINT) && timed) {
            p = pb_varint(p, end, &v);
            d->t->metrics.info[metric].temporality = (int32_t)v;
        } else if (tag == PB_TAG(3, PB_VARINT) && kind == METRIC_SUM) {
            p = pb_varint(p, end, &v);
            d->t->metrics.info[metric].monotonic = v != 0;
        } else {
            p = pb_skip(p, end, tag);
        }
        if (UNLIKELY(!p)) return otlp_broken(d, at);
    }
    return true;
}

bool otlp_read_metric(otlp_dec *d, str s, const otlp_envelope *env) {
    metric_batch *b = &d->t->metrics;
    metric_info m = {.resource = env->resource, .scope = env->scope};
    MUST(d->stack_n == 0);
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        str part;
        p = pb_tag(p, end, &tag);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if ((tag & 7) != PB_LEN || tag > PB_TAG(12, PB_LEN)) {
            p = pb_skip(p, end, tag);
            if (UNLIKELY(!p)) return otlp_broken(d, at);
            continue;
        }
        p = pb_bytes(p, end, &part);
        if (UNLIKELY(!p)) return otlp_broken(d, at);
        if (tag <= PB_TAG(3, PB_LEN)) {
            if (UNLIKELY(!otlp_text_ok(part))) return otlp_bad_text(d, at);
            *(tag == PB_TAG(1, PB_LEN)   ? &m.name
              : tag == PB_TAG(2, PB_LEN) ? &m.description
                                         : &m.unit) = part;
        } else if (tag == PB_TAG(12, PB_LEN)) {
            if (!otlp_push_attr(d, part)) return otlp_in(d, "metadata", d->stack_n);
        } else if (kind_of(tag) != METRIC_NONE) {
            m.kind = (uint8_t)kind_of(tag);
        }
    }
    metric_info *own = telemetry_add_metric(d->t);
    if (!own) return otlp_full(d);
    *own = m;
    if (!otlp_pop_attrs(d, 0, &own->metadata, &own->metadata_count)) return false;
    size_t metric = b->info_count - 1, before = b->count;
    if (metric > UINT32_MAX) return otlp_full(d);
    for (const uint8_t *p = START(s), *end = END(s); m.kind != METRIC_NONE && p < end;) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        if (kind_of(tag) == m.kind) {
            p = pb_bytes(p, end, &part);
            if (!read_data(d, part, m.kind, metric)) return otlp_in(d, "data", SIZE_MAX);
        } else {
            p = pb_skip(p, end, tag);
        }
        MUST(p != NULL);
    }
    if (b->count == before) b->info_count--; /* nothing to store */
    return true;
}
