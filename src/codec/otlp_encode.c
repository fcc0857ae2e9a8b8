/* otlp_encode.c - telemetry as one OTLP request: export, and traces read back.
 *
 * The records of a signal are chained by scope and the scopes by resource, both in order of first
 * sight, then written chain by chain: records that came from many requests share an envelope when
 * their resources are equal (by hash). Records without a resource (of text files, of syslog) get
 * one of their service and host, and a scope of their component.
 * Defaults are left out, as proto3 has it. JSON is the same message rewritten (otlp_to_json.c).
 * Limits: the maximum of `out`, ENCODE_ARENA_MAX for the chains. */
#include "codec/otlp_int.h"

enum { ENCODE_ARENA_MAX = 256 << 20 };
#define NONE UINT32_MAX

typedef struct chain {
    uint32_t first, last; /* NONE = empty */
} chain;

typedef struct group { /* of a resource and a scope */
    const scope *scope;
    chain records;
    uint32_t next; /* of the same resource */
} group;

typedef struct origin { /* a resource */
    const resource *resource;
    chain groups;
} origin;

typedef struct encoder {
    const telemetry *t;
    otlp_signal signal;
    buf *out;
    arena mem;
    map64 origin_of, group_of; /* hash -> index + 1 */
    origin *origins;
    group *groups;
    uint32_t origin_count, group_count, count;
    uint32_t *next; /* record -> next of its group */
    intern strings; /* profiles: the dictionary's string table */
} encoder;

/* ---- values ---- */

void otlp_put_value(buf *out, const attribute *a) {
    switch ((attribute_type)a->type) {
    case ATTR_STR:
        pb_put_bytes(out, 1, a->val);
        break;
    case ATTR_BOOL:
        pb_put_varint(out, 2, a->num != 0);
        break;
    case ATTR_INT:
        pb_put_varint(out, 3, (uint64_t)a->num);
        break;
    case ATTR_DOUBLE:
        pb_put_fixed64(out, 4, (uint64_t)a->num);
        break;
    case ATTR_ARRAY:
        pb_put_bytes(out, 5, a->val);
        break;
    case ATTR_KVLIST:
        pb_put_bytes(out, 6, a->val);
        break;
    case ATTR_BYTES:
        pb_put_bytes(out, 7, a->val);
        break;
    case ATTR_EMPTY:
        break;
    }
}

static void put_attrs(buf *out, uint32_t field, const attribute *a, uint32_t count) {
    for (uint32_t i = 0; i < count && !out->full; i++) {
        size_t kv = pb_begin(out, field);
        pb_put_bytes_set(out, 1, a[i].key);
        if (a[i].type != ATTR_EMPTY) {
            size_t value = pb_begin(out, 2);
            otlp_put_value(out, &a[i]);
            pb_end(out, value);
        }
        pb_end(out, kv);
    }
}

/* Doubles without presence: left out when all bits are 0 (-0.0 is kept). */
static void put_double_set(buf *out, uint32_t field, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pb_put_fixed64_set(out, field, bits);
}

static void put_double(buf *out, uint32_t field, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pb_put_fixed64(out, field, bits);
}

static void put_int32_set(buf *out, uint32_t field, int32_t v) {
    pb_put_varint_set(out, field, (uint64_t)(int64_t)v);
}

static uint64_t load64(const void *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void put_fixed64s(buf *out, uint32_t field, const void *v, uint32_t n) {
    if (n == 0) return;
    size_t mark = pb_begin(out, field);
    const char *p = v;
    for (uint32_t i = 0; i < n && !out->full; i++) IGNORE(!buf_le64(out, load64(p + 8 * i)));
    pb_end(out, mark);
}

static void put_varints(buf *out, uint32_t field, const uint64_t *v, uint32_t n) {
    if (n == 0) return;
    size_t mark = pb_begin(out, field);
    for (uint32_t i = 0; i < n && !out->full; i++) IGNORE(!buf_varint(out, v[i]));
    pb_end(out, mark);
}

/* ---- records ---- */

static str id_of(str bin, str hex, uint8_t *room, size_t bytes) {
    if (bin.n) return bin;
    if (!hex_to_bytes(hex, room, bytes)) return STR_NONE;
    return (str){(const char *)room, bytes};
}

static void put_log(encoder *en, uint32_t i) {
    const log_record *r = &en->t->logs.rec[i];
    buf *out = en->out;
    uint8_t trace[TRACE_ID_BYTES], id[SPAN_ID_BYTES];
    pb_put_fixed64_set(out, 1, r->ts_ns == TS_NONE ? 0 : (uint64_t)r->ts_ns);
    put_int32_set(out, 2, r->severity ? r->severity : r->severity_other);
    pb_put_bytes_set(out, 3, r->severity_text);
    if (r->body_type != ATTR_EMPTY) {
        attribute a = {.type = r->body_type, .val = r->body_any, .num = r->body_num};
        if (a.type == ATTR_STR) a.val = r->body;
        size_t body = pb_begin(out, 5);
        otlp_put_value(out, &a);
        pb_end(out, body);
    }
    put_attrs(out, 6, r->attrs, r->attr_count);
    pb_put_varint_set(out, 7, r->dropped_attrs);
    pb_put_fixed32_set(out, 8, r->flags);
    pb_put_bytes_set(out, 9, id_of(r->trace_bin, r->trace_id, trace, sizeof trace));
    pb_put_bytes_set(out, 10, id_of(r->span_bin, r->span_id, id, sizeof id));
    pb_put_fixed64_set(out, 11, (uint64_t)r->observed_ns);
    pb_put_bytes_set(out, 12, r->event_name);
}

static void put_event(buf *out, const span_event *ev) {
    size_t mark = pb_begin(out, 11);
    pb_put_fixed64_set(out, 1, (uint64_t)ev->ts_ns);
    pb_put_bytes_set(out, 2, ev->name);
    put_attrs(out, 3, ev->attrs, ev->attr_count);
    pb_put_varint_set(out, 4, ev->dropped_attrs);
    pb_end(out, mark);
}

static void put_link(buf *out, const span_link *ln) {
    size_t mark = pb_begin(out, 13);
    pb_put_bytes_set(out, 1, ln->trace_id);
    pb_put_bytes_set(out, 2, ln->span_id);
    pb_put_bytes_set(out, 3, ln->trace_state);
    put_attrs(out, 4, ln->attrs, ln->attr_count);
    pb_put_varint_set(out, 5, ln->dropped_attrs);
    pb_put_fixed32_set(out, 6, ln->flags);
    pb_end(out, mark);
}

static void put_span(encoder *en, uint32_t i) {
    const span *r = &en->t->spans.rec[i];
    buf *out = en->out;
    static const uint8_t ROOT[SPAN_ID_BYTES];
    pb_put_bytes(out, 1, (str){(const char *)r->trace_id, TRACE_ID_BYTES});
    pb_put_bytes(out, 2, (str){(const char *)r->span_id, SPAN_ID_BYTES});
    pb_put_bytes_set(out, 3, r->trace_state);
    if (memcmp(r->parent_id, ROOT, sizeof ROOT) != 0) {
        pb_put_bytes(out, 4, (str){(const char *)r->parent_id, SPAN_ID_BYTES});
    }
    pb_put_bytes_set(out, 5, r->name);
    put_int32_set(out, 6, r->kind);
    pb_put_fixed64_set(out, 7, (uint64_t)r->start_ns);
    pb_put_fixed64_set(out, 8, (uint64_t)r->end_ns);
    put_attrs(out, 9, r->attrs, r->attr_count);
    pb_put_varint_set(out, 10, r->dropped_attrs);
    for (uint32_t k = 0; k < r->event_count; k++) put_event(out, &r->events[k]);
    pb_put_varint_set(out, 12, r->dropped_events);
    for (uint32_t k = 0; k < r->link_count; k++) put_link(out, &r->links[k]);
    pb_put_varint_set(out, 14, r->dropped_links);
    if (r->status || r->status_message.n) {
        size_t status = pb_begin(out, 15);
        pb_put_bytes_set(out, 2, r->status_message);
        put_int32_set(out, 3, r->status);
        pb_end(out, status);
    }
    pb_put_fixed32_set(out, 16, r->flags);
}

/* ---- metrics ---- */

static void put_exemplars(buf *out, uint32_t field, const metric_point *r) {
    for (uint32_t i = 0; i < r->exemplar_count && !out->full; i++) {
        const exemplar *x = &r->exemplars[i];
        size_t mark = pb_begin(out, field);
        pb_put_fixed64_set(out, 2, (uint64_t)x->ts_ns);
        if (!x->no_value) pb_put_fixed64(out, x->is_int ? 6 : 3, (uint64_t)x->num);
        pb_put_bytes_set(out, 4, x->span_id);
        pb_put_bytes_set(out, 5, x->trace_id);
        put_attrs(out, 7, x->attrs, x->attr_count);
        pb_end(out, mark);
    }
}

static void put_histogram(buf *out, const metric_point *r) {
    pb_put_fixed64_set(out, 4, r->count);
    if (r->has_sum) put_double(out, 5, r->sum);
    put_fixed64s(out, 6, r->buckets, r->bucket_count);
    put_fixed64s(out, 7, r->bounds, r->bound_count);
    put_exemplars(out, 8, r);
    put_attrs(out, 9, r->attrs, r->attr_count);
    pb_put_varint_set(out, 10, r->flags);
    if (r->has_min) put_double(out, 11, r->min);
    if (r->has_max) put_double(out, 12, r->max);
}

static void put_buckets(buf *out, uint32_t field, int32_t offset, const uint64_t *v, uint32_t n) {
    if (offset == 0 && n == 0) return;
    size_t mark = pb_begin(out, field);
    pb_put_varint_set(out, 1, (uint32_t)pb_zigzag(offset));
    put_varints(out, 2, v, n);
    pb_end(out, mark);
}

static void put_exp_histogram(buf *out, const metric_point *r) {
    put_attrs(out, 1, r->attrs, r->attr_count);
    pb_put_fixed64_set(out, 4, r->count);
    if (r->has_sum) put_double(out, 5, r->sum);
    pb_put_varint_set(out, 6, (uint32_t)pb_zigzag(r->scale));
    pb_put_fixed64_set(out, 7, r->zero_count);
    put_buckets(out, 8, r->offset, r->buckets, r->bucket_count);
    put_buckets(out, 9, r->negative_offset, r->negative, r->negative_count);
    pb_put_varint_set(out, 10, r->flags);
    put_exemplars(out, 11, r);
    if (r->has_min) put_double(out, 12, r->min);
    if (r->has_max) put_double(out, 13, r->max);
    put_double_set(out, 14, r->zero_threshold);
}

static void put_summary(buf *out, const metric_point *r) {
    pb_put_fixed64_set(out, 4, r->count);
    put_double_set(out, 5, r->sum);
    for (uint32_t i = 0; i < r->bound_count && !out->full; i++) {
        size_t mark = pb_begin(out, 6);
        put_double_set(out, 1, r->bounds[i]);
        put_double_set(out, 2, r->values[i]);
        pb_end(out, mark);
    }
    put_attrs(out, 7, r->attrs, r->attr_count);
    pb_put_varint_set(out, 8, r->flags);
}

static void put_number(buf *out, const metric_point *r) {
    if (r->has_value) pb_put_fixed64(out, r->is_int ? 6 : 4, (uint64_t)r->num);
    put_exemplars(out, 5, r);
    put_attrs(out, 7, r->attrs, r->attr_count);
    pb_put_varint_set(out, 8, r->flags);
}

/* For metrics the records of a group are points; those of one metric lie behind each other in the
 * chain, because the chain is in order of the points and points of a metric are together; a metric
 * whose points lie apart is written in pieces. */
static void put_point(encoder *en, metric_kind kind, uint32_t i) {
    const metric_point *r = &en->t->metrics.rec[i];
    buf *out = en->out;
    size_t mark = pb_begin(out, 1);
    pb_put_fixed64_set(out, 2, (uint64_t)r->start_ns);
    pb_put_fixed64_set(out, 3, (uint64_t)r->ts_ns);
    if (kind == METRIC_HISTOGRAM) {
        put_histogram(out, r);
    } else if (kind == METRIC_EXP_HISTOGRAM) {
        put_exp_histogram(out, r);
    } else if (kind == METRIC_SUMMARY) {
        put_summary(out, r);
    } else {
        put_number(out, r);
    }
    pb_end(out, mark);
}

/* One metric with its points from `i` on; returns the first point that is another metric's. */
static uint32_t put_metric(encoder *en, uint32_t i) {
    static const uint8_t DATA_FIELD[] = {[METRIC_GAUGE] = 5,
                                         [METRIC_SUM] = 7,
                                         [METRIC_HISTOGRAM] = 9,
                                         [METRIC_EXP_HISTOGRAM] = 10,
                                         [METRIC_SUMMARY] = 11};
    uint32_t metric = en->t->metrics.rec[i].metric;
    const metric_info *m = &en->t->metrics.info[metric];
    buf *out = en->out;
    MUST(m->kind > METRIC_NONE && m->kind < ARRAY_LEN(DATA_FIELD));
    pb_put_bytes_set(out, 1, m->name);
    pb_put_bytes_set(out, 2, m->description);
    pb_put_bytes_set(out, 3, m->unit);
    size_t data = pb_begin(out, DATA_FIELD[m->kind]);
    for (; i != NONE && en->t->metrics.rec[i].metric == metric; i = en->next[i]) {
        put_point(en, (metric_kind)m->kind, i);
    }
    put_int32_set(out, 2, m->temporality);
    if (m->monotonic) pb_put_varint(out, 3, 1);
    pb_end(out, data);
    put_attrs(out, 12, m->metadata, m->metadata_count);
    return i;
}

/* ---- envelopes ---- */

static void put_resource(encoder *en, const resource *r) {
    buf *out = en->out;
    if (!r->attr_count && !r->dropped_attrs && !r->entity_refs.n) return;
    size_t mark = pb_begin(out, 1);
    put_attrs(out, 1, r->attrs, r->attr_count);
    pb_put_varint_set(out, 2, r->dropped_attrs);
    IGNORE(!buf_put(out, r->entity_refs)); /* fields as they came */
    pb_end(out, mark);
}

static void put_scope(encoder *en, const scope *s) {
    buf *out = en->out;
    if (!s->name.n && !s->version.n && !s->attr_count && !s->dropped_attrs) return;
    size_t mark = pb_begin(out, 1);
    pb_put_bytes_set(out, 1, s->name);
    pb_put_bytes_set(out, 2, s->version);
    put_attrs(out, 3, s->attrs, s->attr_count);
    pb_put_varint_set(out, 4, s->dropped_attrs);
    pb_end(out, mark);
}

static void put_group(encoder *en, const group *g) {
    size_t mark = pb_begin(en->out, 2);
    if (g->scope) put_scope(en, g->scope);
    for (uint32_t i = g->records.first; i != NONE && !en->out->full;) {
        size_t record = pb_begin(en->out, 2);
        if (en->signal == OTLP_METRICS) {
            i = put_metric(en, i);
        } else {
            if (en->signal == OTLP_LOGS) {
                put_log(en, i);
            } else if (en->signal == OTLP_TRACES) {
                put_span(en, i);
            } else {
                otlp_put_profile(en->out, &en->t->profiles.rec[i], &en->strings);
            }
            i = en->next[i];
        }
        pb_end(en->out, record);
    }
    if (g->scope) pb_put_bytes_set(en->out, 3, g->scope->schema_url);
    pb_end(en->out, mark);
}

static void put_origin(encoder *en, const origin *o) {
    size_t mark = pb_begin(en->out, 1);
    if (o->resource) put_resource(en, o->resource);
    for (uint32_t g = o->groups.first; g != NONE && !en->out->full; g = en->groups[g].next) {
        put_group(en, &en->groups[g]);
    }
    if (o->resource) pb_put_bytes_set(en->out, 3, o->resource->schema_url);
    pb_end(en->out, mark);
}

/* ---- chains ---- */

/* The resource of a record of a file: its service and host. */
static const resource *resource_of_text(encoder *en, const log_record *r) {
    resource *res = arena_try_new(&en->mem, resource);
    attribute *a = arena_try_new_n(&en->mem, attribute, 2);
    if (!res || !a) return NULL;
    if (r->service.n) a[res->attr_count++] = attribute_text_of(S("service.name"), r->service);
    if (r->host.n) a[res->attr_count++] = attribute_text_of(S("host.name"), r->host);
    res->attrs = a;
    resource_finish(res);
    return res;
}

static bool envelope_of(encoder *en, uint32_t i, const resource **res, const scope **sc) {
    const telemetry *t = en->t;
    switch (en->signal) {
    case OTLP_TRACES:
        *res = t->spans.rec[i].resource;
        *sc = t->spans.rec[i].scope;
        return true;
    case OTLP_METRICS:
        *res = t->metrics.info[t->metrics.rec[i].metric].resource;
        *sc = t->metrics.info[t->metrics.rec[i].metric].scope;
        return true;
    case OTLP_PROFILES:
        *res = t->profiles.rec[i].resource;
        *sc = t->profiles.rec[i].scope;
        return true;
    default:
        break;
    }
    const log_record *r = &t->logs.rec[i];
    *res = r->resource;
    *sc = r->scope;
    if (!r->resource && (r->service.n || r->host.n)) {
        *res = resource_of_text(en, r);
        if (!*res) return false;
    }
    if (!r->resource && !r->scope && r->component.n) {
        scope *own = arena_try_new(&en->mem, scope);
        if (!own) return false;
        own->name = r->component;
        scope_finish(own);
        *sc = own;
    }
    return true;
}

/* Finds or adds the entry of a key: its index, `*added` when it is new. */
static bool entry_of(map64 *m, uint64_t key, uint32_t *count, uint32_t *ret, bool *added) {
    uint64_t *v = map64_put(m, key, NULL);
    if (!v) return false;
    *added = *v == 0;
    if (*added) *v = ++*count;
    *ret = (uint32_t)*v - 1;
    return true;
}

static bool chain_record(encoder *en, uint32_t i) {
    const resource *res;
    const scope *sc;
    arena_mark mark = arena_save(&en->mem);
    uint32_t o, g;
    bool new_origin, new_group;
    if (!envelope_of(en, i, &res, &sc)) return false;
    uint64_t hash = res ? res->hash : 0;
    if (!entry_of(&en->origin_of, hash, &en->origin_count, &o, &new_origin)) return false;
    if (new_origin) en->origins[o] = (origin){res, {NONE, NONE}};
    uint64_t both = map64_hash_((sc ? sc->hash : 0) + 0x9E3779B97F4A7C15u * (o + 1));
    if (!entry_of(&en->group_of, both, &en->group_count, &g, &new_group)) return false;
    if (new_group) {
        en->groups[g] = (group){sc, {NONE, NONE}, NONE};
        chain *c = &en->origins[o].groups;
        if (c->last == NONE) {
            c->first = g;
        } else {
            en->groups[c->last].next = g;
        }
        c->last = g;
    }
    if (!new_origin && !new_group) arena_restore(&en->mem, mark);
    chain *c = &en->groups[g].records;
    if (c->last == NONE) {
        c->first = i;
    } else {
        en->next[c->last] = i;
    }
    c->last = i;
    en->next[i] = NONE;
    return true;
}

static bool encode(encoder *en) {
    const telemetry *t = en->t;
    const size_t counts[OTLP_SIGNALS] = {t->logs.count, t->spans.count, t->metrics.count,
                                         t->profiles.count};
    size_t n = counts[en->signal];
    if (n == 0) return true;
    if (n >= NONE) return false;
    en->count = (uint32_t)n;
    en->next = arena_try_raw(&en->mem, n * sizeof *en->next, _Alignof(uint32_t));
    /* As many as records at most; memory that is not touched costs nothing. */
    en->origins = arena_try_raw(&en->mem, n * sizeof *en->origins, _Alignof(origin));
    en->groups = arena_try_raw(&en->mem, n * sizeof *en->groups, _Alignof(group));
    if (!en->next || !en->origins || !en->groups) return false;
    for (uint32_t i = 0; i < en->count; i++) {
        if (!chain_record(en, i)) return false;
    }
    for (uint32_t o = 0; o < en->origin_count && !en->out->full; o++) {
        put_origin(en, &en->origins[o]);
    }
    if (en->signal == OTLP_PROFILES) otlp_put_dictionary(en->out, &t->profiles, &en->strings);
    return !en->out->full;
}

static bool encode_pb(otlp_signal signal, const telemetry *t, buf *out) {
    encoder en = {.t = t, .signal = signal, .out = out};
    arena_init(&en.mem, "OTLP encoding", ENCODE_ARENA_MAX);
    map64_init(&en.origin_of, OTLP_RECORDS_MAX);
    map64_init(&en.group_of, OTLP_RECORDS_MAX);
    intern_init(&en.strings, "profile strings", OTLP_STRINGS_MAX, ENCODE_ARENA_MAX);
    /* Index 0 is the empty text. */
    bool ok = intern_put(&en.strings, S("")) == 0 && encode(&en);
    intern_release(&en.strings);
    map64_release(&en.origin_of);
    map64_release(&en.group_of);
    arena_release(&en.mem);
    return ok;
}

bool otlp_encode(otlp_signal signal, otlp_encoding enc, const telemetry *t, buf *out) {
    MUST((unsigned)signal < OTLP_SIGNALS && t != NULL);
    if (enc == OTLP_PROTOBUF) return encode_pb(signal, t, out);
    buf pb;
    buf_init(&pb, out->max_bytes); /* JSON is longer */
    static const otlp_message REQUESTS[OTLP_SIGNALS] = {M_LOGS, M_TRACES, M_METRICS, M_PROFILES};
    bool ok = encode_pb(signal, t, &pb) && otlp_to_json(REQUESTS[signal], buf_str(&pb), out);
    buf_release(&pb);
    return ok;
}
