/* labels.c - see labels.h. Where a label is looked up, and in which order, is what store.h
 * says: resource, scope, record, built-in names. */
#include "query/labels.h"

#include "codec/otlp.h"

#include <stdlib.h>

static bool is_plain(char c) {
    char l = (char)(c | 0x20);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

str label_plain(str key, arena *out) {
    size_t i = 0;
    while (i < key.n && is_plain(key.p[i])) i++;
    if (i == key.n) return key;
    char *to = arena_try_raw(out, key.n, 1);
    if (!to) return STR_NONE;
    for (i = 0; i < key.n; i++) to[i] = is_plain(key.p[i]) ? key.p[i] : '_';
    return str_make(to, key.n);
}

void labels_sort(query_label *l, size_t count) {
    /* sets are small: insertion keeps equal names in order */
    for (size_t i = 1; i < count; i++) {
        query_label one = l[i];
        size_t at = i;
        while (at > 0 && str_cmp(l[at - 1].name, one.name) > 0) {
            l[at] = l[at - 1];
            at--;
        }
        l[at] = one;
    }
}

uint64_t labels_hash(const query_label *l, size_t count) {
    uint64_t h = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < count; i++) {
        h = str_hash_seed(l[i].name, h);
        h = str_hash_seed(l[i].value, h + 1);
    }
    return h;
}

bool labels_equal(const query_label *a, size_t a_count, const query_label *b, size_t b_count) {
    if (a_count != b_count) return false;
    for (size_t i = 0; i < a_count; i++) {
        if (!str_eq(a[i].name, b[i].name) || !str_eq(a[i].value, b[i].value)) return false;
    }
    return true;
}

int labels_cmp(const query_label *a, size_t a_count, const query_label *b, size_t b_count) {
    for (size_t i = 0; i < a_count && i < b_count; i++) {
        int c = str_cmp(a[i].name, b[i].name);
        if (c == 0) c = str_cmp(a[i].value, b[i].value);
        if (c) return c;
    }
    return a_count < b_count ? -1 : a_count > b_count;
}

str labels_get(const query_label *l, size_t count, str name) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq(l[i].name, name)) return l[i].value;
    }
    return STR_NONE;
}

query_label *labels_copy(const query_label *l, size_t count, arena *out) {
    query_label *to = arena_try_new_n(out, query_label, MAX(count, 1));
    for (size_t i = 0; i < count && to; i++) {
        to[i] = (query_label){str_dup(out, l[i].name), str_dup(out, l[i].value)};
        if ((l[i].name.n && !to[i].name.p) || (l[i].value.n && !to[i].value.p)) return NULL;
    }
    return to;
}

bool labels_put(const query_label *l, size_t count, buf *out) {
    bool ok = buf_putc(out, '{');
    for (size_t i = 0; i < count && ok; i++) {
        ok = (i == 0 || buf_put(out, S(", "))) && buf_put(out, l[i].name) && buf_putc(out, '=') &&
             buf_json(out, l[i].value);
    }
    return ok && buf_putc(out, '}');
}

size_t labels_group(const query_label *l, size_t count, bool without, const str *names,
                    size_t name_count, query_label *to) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool named = without && str_eq(l[i].name, S("__name__"));
        for (size_t k = 0; k < name_count && !named; k++) named = str_eq(l[i].name, names[k]);
        if (named != without) to[n++] = l[i];
    }
    return n;
}

/* --- records --- */

static str attr_value(const attribute *a, arena *tmp) {
    return a->type == ATTR_STR ? a->val : attribute_text(a, tmp);
}

static str find_attr(const attribute *attrs, uint32_t count, str name, arena *tmp) {
    for (uint32_t i = 0; i < count; i++) {
        if (label_is(name, attrs[i].key)) return attr_value(&attrs[i], tmp);
    }
    return STR_NONE;
}

str record_level(const log_record *r) {
    static const str NAMES[] = {S_INIT("unknown"), S_INIT("trace"), S_INIT("debug"), S_INIT("info"),
                                S_INIT("warn"),    S_INIT("error"), S_INIT("fatal")};
    if (r->severity == SEV_NONE || r->severity > SEV_MAX) return NAMES[0];
    return NAMES[1 + (r->severity - 1) / 4];
}

static str hex_of(str bytes, str hex, arena *tmp) {
    if (hex.n || !bytes.n) return hex;
    char *to = arena_try_raw(tmp, 2 * bytes.n, 1);
    if (!to) return STR_NONE;
    bytes_to_hex((const uint8_t *)bytes.p, bytes.n, to);
    return str_make(to, 2 * bytes.n);
}

static str number_text(int64_t v, arena *tmp) { return str_fmt(tmp, "%" PRId64, v); }

static const str BUILTIN[] = {S_INIT("detected_level"),
                              S_INIT("level"),
                              S_INIT("severity_text"),
                              S_INIT("severity_number"),
                              S_INIT("trace_id"),
                              S_INIT("span_id"),
                              S_INIT("event_name"),
                              S_INIT("flags"),
                              S_INIT("observed_timestamp"),
                              S_INIT("component"),
                              S_INIT("dropped_attributes_count")};

static str builtin_value(const log_record *r, size_t which, arena *tmp) {
    switch (which) {
    case 0:
    case 1:
        return record_level(r);
    case 2:
        return r->severity_text;
    case 3:
        return r->severity ? number_text(r->severity, tmp) : STR_NONE;
    case 4:
        return hex_of(r->trace_bin, r->trace_id, tmp);
    case 5:
        return hex_of(r->span_bin, r->span_id, tmp);
    case 6:
        return r->event_name;
    case 7:
        return r->flags ? number_text(r->flags, tmp) : STR_NONE;
    case 8:
        return r->observed_ns ? number_text(r->observed_ns, tmp) : STR_NONE;
    case 9:
        return r->component;
    default:
        return r->dropped_attrs ? number_text(r->dropped_attrs, tmp) : STR_NONE;
    }
}

str record_label(const log_record *r, str name, arena *tmp) {
    str v = STR_NONE;
    if (r->resource) v = find_attr(r->resource->attrs, r->resource->attr_count, name, tmp);
    if (!v.p && r->service.n && str_eq(name, S("service_name"))) v = r->service;
    if (!v.p && r->host.n && str_eq(name, S("host_name"))) v = r->host;
    if (!v.p && r->scope) {
        if (str_eq(name, S("scope_name"))) return r->scope->name;
        if (str_eq(name, S("scope_version"))) return r->scope->version;
        v = find_attr(r->scope->attrs, r->scope->attr_count, name, tmp);
    }
    if (!v.p) v = find_attr(r->attrs, r->attr_count, name, tmp);
    for (size_t i = 0; i < ARRAY_LEN(BUILTIN) && !v.p; i++) {
        if (str_eq(name, BUILTIN[i])) return builtin_value(r, i, tmp);
    }
    return v;
}

bool record_has_stream_label(const log_record *r, str name) {
    if (r->resource) {
        for (uint32_t i = 0; i < r->resource->attr_count; i++) {
            if (label_is(name, r->resource->attrs[i].key)) return true;
        }
    }
    return (r->service.n && str_eq(name, S("service_name"))) ||
           (r->host.n && str_eq(name, S("host_name")));
}

typedef struct label_list {
    query_label *to;
    size_t count, cap;
    arena *tmp;
} label_list;

static void list_add(label_list *l, str key, str value) {
    if (value.n == 0 || key.n == 0 || l->count >= l->cap) return;
    str name = label_plain(key, l->tmp);
    if (!name.p) return;
    for (size_t i = 0; i < l->count; i++) {
        if (str_eq(l->to[i].name, name)) return; /* the first one counts */
    }
    l->to[l->count++] = (query_label){name, value};
}

size_t record_stream_labels(const log_record *r, arena *tmp, query_label *to, size_t cap) {
    label_list l = {.to = to, .cap = cap, .tmp = tmp};
    for (uint32_t i = 0; r->resource && i < r->resource->attr_count; i++) {
        const attribute *a = &r->resource->attrs[i];
        list_add(&l, a->key, attr_value(a, tmp));
    }
    list_add(&l, S("service_name"), r->service);
    list_add(&l, S("host_name"), r->host);
    return l.count;
}

size_t record_metadata(const log_record *r, arena *tmp, query_label *to, size_t cap) {
    label_list l = {.to = to, .cap = cap, .tmp = tmp};
    if (r->scope) {
        list_add(&l, S("scope_name"), r->scope->name);
        list_add(&l, S("scope_version"), r->scope->version);
        for (uint32_t i = 0; i < r->scope->attr_count; i++) {
            list_add(&l, r->scope->attrs[i].key, attr_value(&r->scope->attrs[i], tmp));
        }
    }
    for (uint32_t i = 0; i < r->attr_count; i++) {
        list_add(&l, r->attrs[i].key, attr_value(&r->attrs[i], tmp));
    }
    for (size_t i = 0; i < ARRAY_LEN(BUILTIN); i++) {
        if (i != 1) list_add(&l, BUILTIN[i], builtin_value(r, i, tmp));
    }
    return l.count;
}

int64_t record_time(const log_record *r) {
    if (r->ts_ns != TS_NONE && r->ts_ns != 0) return r->ts_ns;
    return r->kept_ns != 0 ? r->kept_ns : r->observed_ns;
}

size_t series_labels(const metric_series *s, arena *tmp, query_label *to, size_t cap) {
    label_list l = {.to = to, .cap = cap, .tmp = tmp};
    for (uint32_t i = 0; i < s->attr_count; i++) {
        if (!str_eq(s->attrs[i].key, S("__name__"))) {
            list_add(&l, s->attrs[i].key, attr_value(&s->attrs[i], tmp));
        }
    }
    const resource *r = s->info->resource;
    for (uint32_t i = 0; r && i < r->attr_count; i++) {
        if (!str_eq(r->attrs[i].key, S("__name__"))) {
            list_add(&l, r->attrs[i].key, attr_value(&r->attrs[i], tmp));
        }
    }
    return l.count;
}

/* --- copies --- */

static str text_copy(str s, arena *out, bool *ok) {
    if (s.n == 0) return s.p ? S("") : STR_NONE;
    str to = str_dup(out, s);
    if (!to.p) *ok = false;
    return to;
}

static const attribute *attrs_copy(const attribute *a, uint32_t count, arena *out, bool *ok) {
    if (count == 0) return NULL;
    attribute *to = arena_try_new_n(out, attribute, count);
    if (!to) {
        *ok = false;
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        to[i] = a[i];
        to[i].key = text_copy(a[i].key, out, ok);
        to[i].val = text_copy(a[i].val, out, ok);
    }
    return to;
}

static const resource *resource_copy(const resource *r, arena *out, bool *ok) {
    resource *to = arena_try_new(out, resource);
    if (!to) {
        *ok = false;
        return NULL;
    }
    *to = *r;
    to->attrs = attrs_copy(r->attrs, r->attr_count, out, ok);
    to->schema_url = text_copy(r->schema_url, out, ok);
    to->entity_refs = text_copy(r->entity_refs, out, ok);
    to->service = text_copy(r->service, out, ok);
    to->host = text_copy(r->host, out, ok);
    return to;
}

static const scope *scope_copy(const scope *s, arena *out, bool *ok) {
    scope *to = arena_try_new(out, scope);
    if (!to) {
        *ok = false;
        return NULL;
    }
    *to = *s;
    to->name = text_copy(s->name, out, ok);
    to->version = text_copy(s->version, out, ok);
    to->schema_url = text_copy(s->schema_url, out, ok);
    to->attrs = attrs_copy(s->attrs, s->attr_count, out, ok);
    return to;
}

log_record *record_copy(const log_record *r, record_cache *cache, arena *out) {
    bool ok = true;
    log_record *to = arena_try_new(out, log_record);
    if (!to) return NULL;
    *to = *r;
    to->body = text_copy(r->body, out, &ok);
    to->raw =
        r->raw.p == r->body.p && r->raw.n == r->body.n ? to->body : text_copy(r->raw, out, &ok);
    to->service = text_copy(r->service, out, &ok);
    to->component = text_copy(r->component, out, &ok);
    to->host = text_copy(r->host, out, &ok);
    to->trace_id = text_copy(r->trace_id, out, &ok);
    to->span_id = text_copy(r->span_id, out, &ok);
    to->severity_text = text_copy(r->severity_text, out, &ok);
    to->event_name = text_copy(r->event_name, out, &ok);
    to->trace_bin = text_copy(r->trace_bin, out, &ok);
    to->span_bin = text_copy(r->span_bin, out, &ok);
    to->body_any = text_copy(r->body_any, out, &ok);
    to->attrs = attrs_copy(r->attrs, r->attr_count, out, &ok);
    to->slots = NULL;
    to->slot_count = 0;
    if (r->resource) {
        bool known = cache && cache->resource == r->resource;
        to->resource = known ? cache->resource_copy : resource_copy(r->resource, out, &ok);
        if (cache) {
            cache->resource = r->resource;
            cache->resource_copy = to->resource;
        }
    }
    if (r->scope) {
        bool known = cache && cache->scope == r->scope;
        to->scope = known ? cache->scope_copy : scope_copy(r->scope, out, &ok);
        if (cache) {
            cache->scope = r->scope;
            cache->scope_copy = to->scope;
        }
    }
    return ok ? to : NULL;
}
