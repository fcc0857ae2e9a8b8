/* otlp_pb_profiles.c - OTLP profiles (v1development) in protobuf.
 *
 * A request has one dictionary for all its profiles: seven tables that refer to each other by
 * index. It is read first, wherever it stands, with every index checked, so that readers of the
 * model need no checks: texts are resolved, the other indices are known to lie inside their table.
 * A table that is left out counts as its entry 0, the zero value. A bad index inside a profile
 * rejects that profile; one inside the dictionary, or in a resource or scope, rejects the profiles
 * below it: they may mean it. Not hot: messages are taken apart by field number (otlp_flat) instead
 * of by hand. */
#include "codec/otlp_int.h"

#define START(s) ((const uint8_t *)(s).p)
#define END(s)   ((const uint8_t *)(s).p + (s).n)

enum { FLAT_FIELDS = 16 };

/* A message taken apart: of each field number the last number or bytes, and how often it came. */
typedef struct flat {
    uint64_t v[FLAT_FIELDS];
    str b[FLAT_FIELDS];
    uint32_t n[FLAT_FIELDS];
} flat;

static bool take_apart(otlp_dec *d, str s, flat *f) {
    memset(f, 0, sizeof *f);
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        p = pb_tag(p, end, &tag);
        if (!p) return otlp_broken(d, at);
        uint32_t i = tag >> 3, wire = tag & 7;
        if (i >= FLAT_FIELDS) {
            p = pb_skip(p, end, tag);
        } else if (wire == PB_VARINT) {
            p = pb_varint(p, end, &f->v[i]);
            f->n[i]++;
        } else if (wire == PB_FIXED64) {
            p = pb_fixed64(p, end, &f->v[i]);
            f->n[i]++;
        } else if (wire == PB_LEN) {
            p = pb_bytes(p, end, &f->b[i]);
            f->n[i]++;
        } else {
            p = pb_skip(p, end, tag);
        }
        if (!p) return otlp_broken(d, at);
    }
    return true;
}

/* A message; one that did not come is empty. */
static str message_of(const flat *f, unsigned field) { return f->b[field].p ? f->b[field] : S(""); }

/* Calls fn for each message in `field`. */
typedef bool (*read_item)(otlp_dec *d, str s, uint32_t index, void *to);

static bool each_item(otlp_dec *d, str s, uint32_t field, const char *name, read_item fn, void *to,
                      uint32_t *index) {
    for (const uint8_t *p = START(s), *end = END(s); p < end;) {
        uint32_t tag;
        str item = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        bool one = tag == PB_TAG(field, PB_LEN);
        p = one ? pb_bytes(p, end, &item) : pb_skip(p, end, tag);
        MUST(p != NULL);
        if (!one) continue;
        if (!fn(d, item, *index, to)) return otlp_in(d, name, *index);
        ++*index;
    }
    return true;
}

/* A repeated integer, packed or not, in message s. Without `to` the values are only counted. */
static bool integers(otlp_dec *d, str s, uint32_t field, bool fixed, uint64_t *to, uint32_t *ret) {
    uint32_t n = 0;
    for (const uint8_t *p = START(s), *end = END(s), *at = p; p < end; at = p) {
        uint32_t tag;
        uint64_t v = 0;
        str packed = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        if (tag == PB_TAG(field, fixed ? PB_FIXED64 : PB_VARINT)) {
            p = fixed ? pb_fixed64(p, end, &v) : pb_varint(p, end, &v);
            if (to) to[n] = v;
            n++;
        } else if (tag == PB_TAG(field, PB_LEN)) {
            p = pb_bytes(p, end, &packed);
            for (const uint8_t *q = START(packed), *stop = END(packed); q < stop; n++) {
                q = fixed ? pb_fixed64(q, stop, &v) : pb_varint(q, stop, &v);
                if (!q) return otlp_broken(d, at);
                if (to) to[n] = v;
            }
        } else {
            p = pb_skip(p, end, tag);
        }
        MUST(p != NULL);
    }
    *ret = n;
    return true;
}

static bool take_integers(otlp_dec *d, str s, uint32_t field, bool fixed, const int64_t **ret,
                          uint32_t *ret_n) {
    if (!integers(d, s, field, fixed, NULL, ret_n)) return false;
    if (*ret_n == 0) return true;
    uint64_t *all = arena_try_raw(d->mem, *ret_n * sizeof *all, _Alignof(uint64_t));
    if (!all) return otlp_full(d);
    *ret = (const int64_t *)all;
    return integers(d, s, field, fixed, all, ret_n);
}

/* An index below `limit`; else 0 and the reason. Index 0 of an empty table is its zero value. */
static uint32_t index_of(otlp_dec *d, uint64_t v, uint32_t limit, const char *reason) {
    if (v < limit || v == 0) return (uint32_t)v;
    if (!d->bad_index) d->bad_index = reason;
    return 0;
}

static bool take_indices(otlp_dec *d, str s, uint32_t field, uint32_t limit, const char *reason,
                         const uint32_t **ret, uint32_t *ret_n) {
    const int64_t *wide = NULL;
    if (!take_integers(d, s, field, false, &wide, ret_n)) return false;
    if (*ret_n == 0) return true;
    uint32_t *narrow = arena_try_raw(d->mem, *ret_n * sizeof *narrow, _Alignof(uint32_t));
    if (!narrow) return otlp_full(d);
    for (uint32_t i = 0; i < *ret_n; i++) narrow[i] = index_of(d, (uint64_t)wide[i], limit, reason);
    *ret = narrow;
    return true;
}

#define BAD_STRING   "index outside the string table"
#define BAD_MAPPING  "index outside the mapping table"
#define BAD_FUNCTION "index outside the function table"
#define BAD_LOCATION "index outside the location table"
#define BAD_ATTR     "index outside the attribute table"
#define BAD_LINK     "index outside the link table"
#define BAD_STACK    "index outside the stack table"

str otlp_string_at(otlp_dec *d, uint64_t v) {
    uint32_t i = index_of(d, v, d->string_count, BAD_STRING);
    return d->string_count ? d->strings[i] : STR_NONE;
}

/* ---- the dictionary ---- */

/* The tables while they are filled. */
typedef struct tables {
    str *strings;
    profile_mapping *mappings;
    profile_location *locations;
    profile_function *functions;
    profile_link *links;
    profile_attr *attrs;
    profile_stack *stacks;
} tables;

static bool read_string(otlp_dec *d, str s, uint32_t i, void *to) {
    if (!otlp_text_ok(s)) return otlp_bad_text(d, START(s));
    ((tables *)to)->strings[i] = s;
    return true;
}

static bool read_mapping(otlp_dec *d, str s, uint32_t i, void *to) {
    profile_mapping *m = &((tables *)to)->mappings[i];
    flat f;
    if (!take_apart(d, s, &f)) return false;
    m->start = f.v[1];
    m->limit = f.v[2];
    m->file_offset = f.v[3];
    m->file = otlp_string_at(d, f.v[4]);
    return !f.n[5] ||
           take_indices(d, s, 5, d->t->profiles.attr_count, BAD_ATTR, &m->attrs, &m->attr_count);
}

typedef struct line_list {
    profile_frame_line *v;
} line_list;

static bool read_line(otlp_dec *d, str s, uint32_t i, void *to) {
    flat f;
    if (!take_apart(d, s, &f)) return false;
    ((line_list *)to)->v[i] = (profile_frame_line){
        .function = index_of(d, f.v[1], d->t->profiles.function_count, BAD_FUNCTION),
        .line = (int64_t)f.v[2],
        .column = (int64_t)f.v[3]};
    return true;
}

static bool read_location(otlp_dec *d, str s, uint32_t i, void *to) {
    profile_location *l = &((tables *)to)->locations[i];
    flat f;
    if (!take_apart(d, s, &f)) return false;
    l->mapping = index_of(d, f.v[1], d->t->profiles.mapping_count, BAD_MAPPING);
    l->address = f.v[2];
    if (f.n[3]) {
        line_list lines = {arena_try_new_n(d->mem, profile_frame_line, f.n[3])};
        if (!lines.v) return otlp_full(d);
        if (!each_item(d, s, 3, "lines", read_line, &lines, &l->line_count)) return false;
        l->lines = lines.v;
    }
    return !f.n[4] ||
           take_indices(d, s, 4, d->t->profiles.attr_count, BAD_ATTR, &l->attrs, &l->attr_count);
}

static bool read_function(otlp_dec *d, str s, uint32_t i, void *to) {
    flat f;
    if (!take_apart(d, s, &f)) return false;
    ((tables *)to)->functions[i] = (profile_function){.name = otlp_string_at(d, f.v[1]),
                                                      .system_name = otlp_string_at(d, f.v[2]),
                                                      .file = otlp_string_at(d, f.v[3]),
                                                      .start_line = (int64_t)f.v[4]};
    return true;
}

static bool read_link(otlp_dec *d, str s, uint32_t i, void *to) {
    flat f;
    if (!take_apart(d, s, &f)) return false;
    profile_link *l = &((tables *)to)->links[i];
    *l = (profile_link){f.b[1], f.b[2]};
    bool ok = otlp_id_ok(&l->trace_id, TRACE_ID_BYTES) && otlp_id_ok(&l->span_id, SPAN_ID_BYTES);
    if (!ok && !d->bad_index) d->bad_index = "a link's id has a wrong length";
    return true;
}

static bool read_attr(otlp_dec *d, str s, uint32_t i, void *to) {
    flat f;
    if (!take_apart(d, s, &f)) return false;
    profile_attr *a = &((tables *)to)->attrs[i];
    if (!otlp_any_value(d, message_of(&f, 2), 0, &a->attr)) {
        return otlp_in(d, "value", SIZE_MAX);
    }
    a->attr.key = otlp_string_at(d, f.v[1]);
    a->unit = otlp_string_at(d, f.v[3]);
    return true;
}

static bool read_stack(otlp_dec *d, str s, uint32_t i, void *to) {
    flat f;
    if (!take_apart(d, s, &f)) return false;
    profile_stack *st = &((tables *)to)->stacks[i];
    return !f.n[1] || take_indices(d, s, 1, d->t->profiles.location_count, BAD_LOCATION,
                                   &st->locations, &st->count);
}

/* The dictionary may come in pieces, whose tables add up. */
static bool each_piece(otlp_dec *d, str body, uint32_t field, const char *name, read_item fn,
                       tables *to, uint32_t *count) {
    *count = 0;
    for (const uint8_t *p = START(body), *end = END(body); p < end;) {
        uint32_t tag;
        str part = STR_NONE;
        p = pb_tag(p, end, &tag);
        MUST(p != NULL);
        bool one = tag == PB_TAG(2, PB_LEN);
        p = one ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        MUST(p != NULL);
        if (one && !each_item(d, part, field, name, fn, to, count)) {
            return otlp_in(d, "dictionary", SIZE_MAX);
        }
    }
    return true;
}

static bool count_item(otlp_dec *d, str s, uint32_t index, void *to) {
    (void)d, (void)s, (void)index, (void)to;
    return true;
}

/* Room for a table of n entries, at least the zero value. */
#define TABLE(d, type, n)                                                                          \
    __extension__({                                                                                \
        (n) = MAX((n), 1);                                                                         \
        arena_try_new_n((d)->mem, type, (n));                                                      \
    })

static bool read_dictionary(otlp_dec *d, str body) {
    profile_batch *b = &d->t->profiles;
    tables t = {0};
    flat f;
    for (const uint8_t *p = START(body), *end = END(body), *at = p; p < end; at = p) {
        uint32_t tag;
        str part;
        p = pb_tag(p, end, &tag);
        if (!p) return otlp_broken(d, at);
        bool one = tag == PB_TAG(2, PB_LEN);
        p = one ? pb_bytes(p, end, &part) : pb_skip(p, end, tag);
        if (!p) return otlp_broken(d, at);
        if (one && !take_apart(d, part, &f)) return otlp_in(d, "dictionary", SIZE_MAX);
    }
    uint32_t strings;
    uint32_t *const counts[] = {
        NULL,           &b->mapping_count, &b->location_count, &b->function_count,
        &b->link_count, &strings,          &b->attr_count,     &b->stack_count};
    for (uint32_t i = 1; i < ARRAY_LEN(counts); i++) {
        if (!each_piece(d, body, i, "", count_item, &t, counts[i])) return false;
    }
    t.strings = TABLE(d, str, strings);
    t.mappings = TABLE(d, profile_mapping, b->mapping_count);
    t.locations = TABLE(d, profile_location, b->location_count);
    t.functions = TABLE(d, profile_function, b->function_count);
    t.links = TABLE(d, profile_link, b->link_count);
    t.attrs = TABLE(d, profile_attr, b->attr_count);
    t.stacks = TABLE(d, profile_stack, b->stack_count);
    if (!t.strings || !t.mappings || !t.locations || !t.functions || !t.links || !t.attrs ||
        !t.stacks) {
        return otlp_full(d);
    }
    t.attrs[0].attr.type = ATTR_EMPTY;
    d->strings = t.strings;
    d->string_count = strings;
    static const struct {
        uint32_t field;
        const char *name;
        read_item fn;
    } ORDER[] = {{5, "string_table", read_string},     {6, "attribute_table", read_attr},
                 {1, "mapping_table", read_mapping},   {3, "function_table", read_function},
                 {2, "location_table", read_location}, {4, "link_table", read_link},
                 {7, "stack_table", read_stack}};
    for (size_t i = 0; i < ARRAY_LEN(ORDER); i++) {
        uint32_t n;
        if (!each_piece(d, body, ORDER[i].field, ORDER[i].name, ORDER[i].fn, &t, &n)) return false;
    }
    b->mappings = t.mappings;
    b->locations = t.locations;
    b->functions = t.functions;
    b->links = t.links;
    b->attrs = t.attrs;
    b->stacks = t.stacks;
    return true;
}

/* ---- profiles ---- */

typedef struct sample_list {
    profile_sample *v;
} sample_list;

static bool read_sample(otlp_dec *d, str s, uint32_t i, void *to) {
    const profile_batch *b = &d->t->profiles;
    profile_sample *sm = &((sample_list *)to)->v[i];
    flat f;
    if (!take_apart(d, s, &f)) return false;
    sm->stack = index_of(d, f.v[1], b->stack_count, BAD_STACK);
    sm->link = index_of(d, f.v[3], b->link_count, BAD_LINK);
    if (f.n[2] && !take_indices(d, s, 2, b->attr_count, BAD_ATTR, &sm->attrs, &sm->attr_count)) {
        return false;
    }
    if (f.n[4] && !take_integers(d, s, 4, false, &sm->values, &sm->value_count)) return false;
    return !f.n[5] || take_integers(d, s, 5, true, &sm->timestamps_ns, &sm->timestamp_count);
}

static bool value_type(otlp_dec *d, str s, str *type, str *unit) {
    flat f;
    if (!take_apart(d, s, &f)) return false;
    *type = otlp_string_at(d, f.v[1]);
    *unit = otlp_string_at(d, f.v[2]);
    return true;
}

static bool read_profile(otlp_dec *d, str s, const otlp_envelope *env) {
    profile *r = telemetry_add_profile(d->t);
    if (!r) return otlp_full(d);
    flat f;
    if (!take_apart(d, s, &f)) return false;
    const char *reject = NULL;
    d->bad_index = env->bad;
    r->resource = env->resource;
    r->scope = env->scope;
    if (!value_type(d, message_of(&f, 1), &r->type, &r->unit)) return false;
    if (!value_type(d, message_of(&f, 5), &r->period_type, &r->period_unit)) return false;
    r->ts_ns = (int64_t)f.v[3];
    r->duration_ns = f.v[4];
    r->period = (int64_t)f.v[6];
    r->profile_id = f.b[7];
    if (!otlp_id_ok(&r->profile_id, 16)) reject = "profile_id is not 16 bytes";
    r->dropped_attrs = (uint32_t)f.v[8];
    r->payload_format = f.b[9];
    if (!otlp_text_ok(r->payload_format)) return otlp_bad_text(d, START(f.b[9]));
    r->payload = f.b[10];
    if (f.n[2]) {
        sample_list samples = {arena_try_new_n(d->mem, profile_sample, f.n[2])};
        if (!samples.v) return otlp_full(d);
        if (!each_item(d, s, 2, "samples", read_sample, &samples, &r->sample_count)) return false;
        r->samples = samples.v;
    }
    if (f.n[11] &&
        !take_indices(d, s, 11, d->t->profiles.attr_count, BAD_ATTR, &r->attrs, &r->attr_count)) {
        return false;
    }
    if (d->bad_index) reject = d->bad_index;
    if (reject) {
        d->t->profiles.count--;
        otlp_reject(d, 1, reject);
    }
    return true;
}

bool otlp_read_profiles(otlp_dec *d, str body) {
    static const char *const NAMES[] = {"resource_profiles", "scope_profiles", "profiles"};
    if (!read_dictionary(d, body)) return false;
    d->bad_dictionary = d->bad_index;
    return otlp_walk(d, body, NAMES, read_profile);
}
