/* logtables.c - the tables of a log block: built with equal things once, written, read.
 *
 * Format, all numbers varints, texts with their length in front:
 *     resources  count, each: attributes, dropped, schema url, entity refs
 *     scopes     count, each: name, version, schema url, attributes, dropped
 *     schemas    count, each: count, (key, u8 type)...
 *     metas      count, each: scope + 1, severity (LB_SEV_OTHER: then the number), flags, dropped,
 *                severity text, event name
 *     kinds      count, each: u8 body type | 16 when plain | 32 when the shape is the hash of the
 *                skeleton, else u64 shape; schema, slots, u8 type each, skeleton; level 1: family
 * attributes: count, each key, u8 type, text or zigzag number.
 *
 * Building: one hash table from content hash to a chain of candidates; every hit is compared whole,
 * so that equal hashes never change a byte. The latest one of each sort is tried first: in a
 * request neighbours mostly share resource, scope, schema and meta. */
#include "store/logblock_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "mine/mine.h"
#include "store/labels.h"

enum { KIND_PLAIN = 16, KIND_HASHED = 32, TABLE_ITEMS_MAX = 1 << 20, BUILDER_BYTES_MAX = 1 << 30 };

bool lb_cell_is_num(const lb_kind *k, const lb_schema *s, uint32_t c) {
    uint8_t type = k->body_type;
    if (c < k->slots) return false;
    if (c - k->slots < s->count) type = s->attrs[c - k->slots].type;
    return type == ATTR_INT || type == ATTR_DOUBLE || type == ATTR_BOOL;
}

uint32_t lb_cells_of(uint32_t slots, const lb_schema *s, uint8_t body_type) {
    return slots + s->count + (body_type != ATTR_STR && body_type != ATTR_EMPTY);
}

static bool is_num(uint8_t type) {
    return type == ATTR_INT || type == ATTR_DOUBLE || type == ATTR_BOOL;
}

/* ---- equality ---- */

static bool attrs_same(const attribute *a, uint32_t n, const attribute *b, uint32_t m) {
    if (n != m) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (a[i].type != b[i].type || !str_eq(a[i].key, b[i].key)) return false;
        if (is_num(a[i].type) ? a[i].num != b[i].num : !str_eq(a[i].val, b[i].val)) return false;
    }
    return true;
}

static bool keys_same(const attribute *a, const attribute *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (a[i].type != b[i].type || !str_eq(a[i].key, b[i].key)) return false;
    }
    return true;
}

static bool resource_same(const resource *a, const resource *b) {
    return attrs_same(a->attrs, a->attr_count, b->attrs, b->attr_count) &&
           a->dropped_attrs == b->dropped_attrs && str_eq(a->schema_url, b->schema_url) &&
           str_eq(a->entity_refs, b->entity_refs);
}

static bool scope_same(const scope *a, const scope *b) {
    return str_eq(a->name, b->name) && str_eq(a->version, b->version) &&
           str_eq(a->schema_url, b->schema_url) && a->dropped_attrs == b->dropped_attrs &&
           attrs_same(a->attrs, a->attr_count, b->attrs, b->attr_count);
}

static bool meta_same(const lb_meta *a, const lb_meta *b) {
    return a->scope == b->scope && a->severity == b->severity &&
           a->severity_other == b->severity_other && a->flags == b->flags &&
           a->dropped_attrs == b->dropped_attrs && str_eq(a->severity_text, b->severity_text) &&
           str_eq(a->event_name, b->event_name);
}

static bool kind_head_same(const lb_kind *a, const lb_kind *b) {
    return a->shape == b->shape && a->schema == b->schema && a->slots == b->slots &&
           a->body_type == b->body_type && a->plain == b->plain &&
           (a->slots == 0 || memcmp(a->slot_types, b->slot_types, a->slots) == 0);
}

bool lb_kind_same(const lb_kind *a, const lb_kind *b) {
    return kind_head_same(a, b) && str_eq(a->skel, b->skel);
}

/* Does the body with its slots cut out read like the skeleton? */
static bool skeleton_is(str skel, str body, const log_slot *slots, uint32_t count) {
    size_t at = 0, k = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t n = slots[i].offset - at;
        if (skel.n - k <= n || skel.p[k + n] != LB_MARK || memcmp(skel.p + k, body.p + at, n) != 0)
            return false;
        k += n + 1;
        at = slots[i].offset + slots[i].bytes;
    }
    size_t n = body.n - at;
    return skel.n - k == n && (n == 0 || memcmp(skel.p + k, body.p + at, n) == 0);
}

uint64_t lb_service_bits(const resource *r) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < r->attr_count; i++) {
        if (!label_is(S("service_name"), r->attrs[i].key)) continue;
        /* A number would have to be looked up as text: as if it were not stated. */
        bits |= block_service_bits(r->attrs[i].type == ATTR_STR ? r->attrs[i].val : STR_NONE);
    }
    return bits ? bits : block_service_bits(STR_NONE);
}

/* ---- hashes ---- */

static uint64_t attrs_hash(const attribute *a, uint32_t n, uint64_t h) {
    for (uint32_t i = 0; i < n; i++) {
        h = mix64(h ^ str_hash(a[i].key) ^ a[i].type);
        h = mix64(h ^ (is_num(a[i].type) ? (uint64_t)a[i].num : str_hash(a[i].val)));
    }
    return mix64(h ^ n);
}

static uint64_t keys_hash(const attribute *a, uint32_t n) {
    uint64_t h = n;
    for (uint32_t i = 0; i < n; i++) h = mix64(h ^ str_hash(a[i].key) ^ a[i].type);
    return h;
}

/* ---- building ---- */

enum { T_RESOURCE = 1, T_SCOPE, T_SCHEMA, T_META, T_KIND };

struct lb_builder {
    arena mem;
    map64 seen; /* hash of sort and content -> number + 1 */
    VEC(resource) resources;
    VEC(scope) scopes;
    VEC(lb_schema) schemas;
    VEC(lb_meta) metas;
    VEC(lb_kind) kinds;
    uint32_t last_resource, last_scope, last_schema, last_meta;
    lb_tables tables;
};

lb_builder *lb_builder_new(void) {
    lb_builder *b = mem_new(lb_builder);
    arena_init(&b->mem, "log block tables", BUILDER_BYTES_MAX);
    map64_init(&b->seen, (size_t)TABLE_ITEMS_MAX * 2);
    b->last_resource = b->last_scope = b->last_schema = b->last_meta = LB_NONE;
    return b;
}

void lb_builder_free(lb_builder *b) {
    if (!b) return;
    vec_release(&b->resources);
    vec_release(&b->scopes);
    vec_release(&b->schemas);
    vec_release(&b->metas);
    vec_release(&b->kinds);
    map64_release(&b->seen);
    arena_release(&b->mem);
    mem_free(b);
}

void lb_builder_reset(lb_builder *b) {
    map64_reset(&b->seen);
    arena_reset(&b->mem);
    b->resources.n = b->scopes.n = b->schemas.n = b->metas.n = b->kinds.n = 0;
    b->last_resource = b->last_scope = b->last_schema = b->last_meta = LB_NONE;
}

const lb_tables *lb_builder_tables(const lb_builder *cb) { return &cb->tables; }

static void tables_update(lb_builder *b) {
    b->tables = (lb_tables){b->resources.v, b->scopes.v, b->schemas.v, b->metas.v, b->kinds.v,
                            b->resources.n, b->scopes.n, b->schemas.n, b->metas.n, b->kinds.n};
}

/* Walks the entries of hash h. The value is number + 1; a full table means "not found". */
#define FIND(h, key_, same_)                                                                       \
    do {                                                                                           \
        uint64_t *at_;                                                                             \
        for (key_ = (h); (at_ = map64_get(&b->seen, key_)) != NULL; key_ = mix64(key_ + 1)) {      \
            uint32_t id_ = (uint32_t)(*at_ - 1);                                                   \
            if (same_) return id_;                                                                 \
        }                                                                                          \
    } while (0)

static uint32_t remember(lb_builder *b, uint64_t key, size_t number) {
    uint64_t *at = number < TABLE_ITEMS_MAX ? map64_put(&b->seen, key, NULL) : NULL;
    if (!at) return LB_NONE;
    *at = number + 1;
    tables_update(b);
    return (uint32_t)number;
}

static bool copy_text(lb_builder *b, str *s) {
    if (s->n == 0) {
        *s = STR_NONE;
        return true;
    }
    *s = str_dup(&b->mem, *s);
    return s->p != NULL;
}

static bool copy_attrs(lb_builder *b, const attribute **attrs, uint32_t n, bool values) {
    attribute *to = arena_try_new_n(&b->mem, attribute, n);
    if (!to) return false;
    for (uint32_t i = 0; i < n; i++) {
        to[i] = (attribute){.key = (*attrs)[i].key, .type = (*attrs)[i].type};
        if (values && is_num(to[i].type)) to[i].num = (*attrs)[i].num;
        if (values && !is_num(to[i].type)) to[i].val = (*attrs)[i].val;
        if (!copy_text(b, &to[i].key) || !copy_text(b, &to[i].val)) return false;
    }
    *attrs = to;
    return true;
}

static uint32_t find_resource(lb_builder *b, const resource *r, uint64_t *key) {
    uint64_t h = attrs_hash(r->attrs, r->attr_count, T_RESOURCE);
    h = mix64(h ^ str_hash(r->schema_url) ^ r->dropped_attrs);
    FIND(mix64(h ^ str_hash(r->entity_refs)), *key, resource_same(&b->resources.v[id_], r));
    return LB_NONE;
}

uint32_t lb_add_resource(lb_builder *b, const resource *r) {
    if (b->last_resource != LB_NONE && resource_same(&b->resources.v[b->last_resource], r))
        return b->last_resource;
    uint64_t key;
    uint32_t id = find_resource(b, r, &key);
    if (id != LB_NONE) return b->last_resource = id;
    resource copy = {.attrs = r->attrs,
                     .attr_count = r->attr_count,
                     .dropped_attrs = r->dropped_attrs,
                     .schema_url = r->schema_url,
                     .entity_refs = r->entity_refs,
                     .hash = r->hash};
    if (!copy_attrs(b, &copy.attrs, copy.attr_count, true) || !copy_text(b, &copy.schema_url) ||
        !copy_text(b, &copy.entity_refs))
        return LB_NONE;
    vec_push(&b->resources, copy);
    return b->last_resource = remember(b, key, b->resources.n - 1);
}

static uint32_t find_scope(lb_builder *b, const scope *s, uint64_t *key) {
    uint64_t h = attrs_hash(s->attrs, s->attr_count, T_SCOPE);
    h = mix64(h ^ str_hash(s->name) ^ s->dropped_attrs);
    h = mix64(h ^ str_hash(s->version));
    FIND(mix64(h ^ str_hash(s->schema_url)), *key, scope_same(&b->scopes.v[id_], s));
    return LB_NONE;
}

uint32_t lb_add_scope(lb_builder *b, const scope *s) {
    if (b->last_scope != LB_NONE && scope_same(&b->scopes.v[b->last_scope], s))
        return b->last_scope;
    uint64_t key;
    uint32_t id = find_scope(b, s, &key);
    if (id != LB_NONE) return b->last_scope = id;
    scope copy = *s;
    if (!copy_attrs(b, &copy.attrs, copy.attr_count, true) || !copy_text(b, &copy.name) ||
        !copy_text(b, &copy.version) || !copy_text(b, &copy.schema_url))
        return LB_NONE;
    vec_push(&b->scopes, copy);
    return b->last_scope = remember(b, key, b->scopes.n - 1);
}

static uint32_t find_schema(lb_builder *b, const attribute *attrs, uint32_t count, uint64_t *key) {
    FIND(mix64(keys_hash(attrs, count) ^ T_SCHEMA), *key,
         b->schemas.v[id_].count == count && keys_same(b->schemas.v[id_].attrs, attrs, count));
    return LB_NONE;
}

uint32_t lb_add_schema(lb_builder *b, const attribute *attrs, uint32_t count) {
    if (b->last_schema != LB_NONE) {
        const lb_schema *s = &b->schemas.v[b->last_schema];
        if (s->count == count && keys_same(s->attrs, attrs, count)) return b->last_schema;
    }
    uint64_t key;
    uint32_t id = find_schema(b, attrs, count, &key);
    if (id != LB_NONE) return b->last_schema = id;
    lb_schema copy = {attrs, count};
    if (!copy_attrs(b, &copy.attrs, count, false)) return LB_NONE;
    vec_push(&b->schemas, copy);
    return b->last_schema = remember(b, key, b->schemas.n - 1);
}

static uint32_t find_meta(lb_builder *b, const lb_meta *m, uint64_t *key) {
    uint64_t h = mix64(((uint64_t)m->scope << 32 | m->flags) ^ T_META);
    h = mix64(h ^ ((uint64_t)m->dropped_attrs << 8 | m->severity));
    h = mix64(h ^ str_hash(m->severity_text) ^ (uint32_t)m->severity_other);
    FIND(mix64(h ^ str_hash(m->event_name)), *key, meta_same(&b->metas.v[id_], m));
    return LB_NONE;
}

uint32_t lb_add_meta(lb_builder *b, const lb_meta *m) {
    if (b->last_meta != LB_NONE && meta_same(&b->metas.v[b->last_meta], m)) return b->last_meta;
    uint64_t key;
    uint32_t id = find_meta(b, m, &key);
    if (id != LB_NONE) return b->last_meta = id;
    lb_meta copy = *m;
    if (!copy_text(b, &copy.severity_text) || !copy_text(b, &copy.event_name)) return LB_NONE;
    vec_push(&b->metas, copy);
    return b->last_meta = remember(b, key, b->metas.n - 1);
}

static uint64_t kind_hash(const lb_kind *k) {
    return mix64(mix64(k->shape ^ T_KIND) ^
                 ((uint64_t)k->schema << 32 | (uint64_t)k->slots << 8 | k->body_type));
}

static uint32_t find_kind_of(lb_builder *b, const lb_kind *k, str body, const log_slot *slots,
                             uint64_t *key) {
    FIND(kind_hash(k), *key,
         kind_head_same(&b->kinds.v[id_], k) &&
             (k->plain || skeleton_is(b->kinds.v[id_].skel, body, slots, k->slots)));
    return LB_NONE;
}

static uint32_t find_kind(lb_builder *b, const lb_kind *k, uint64_t *key) {
    FIND(kind_hash(k), *key, lb_kind_same(&b->kinds.v[id_], k));
    return LB_NONE;
}

static uint32_t new_kind(lb_builder *b, const lb_kind *k, str skel, uint64_t key) {
    lb_kind copy = *k;
    uint8_t *types = arena_try_raw(&b->mem, k->slots + 1, 1);
    if (!types) return LB_NONE;
    if (k->slots) memcpy(types, k->slot_types, k->slots);
    copy.slot_types = types;
    copy.skel = skel;
    copy.cells = lb_cells_of(k->slots, &b->schemas.v[k->schema], k->body_type);
    vec_push(&b->kinds, copy);
    return remember(b, key, b->kinds.n - 1);
}

uint32_t lb_add_kind_of(lb_builder *b, const lb_kind *k, str body, const log_slot *slots) {
    uint64_t key;
    uint32_t id = find_kind_of(b, k, body, slots, &key);
    if (id != LB_NONE) return id;
    char *p = arena_try_raw(&b->mem, body.n + k->slots + 1, 1);
    if (!p) return LB_NONE;
    size_t n = 0, at = 0;
    if (k->plain) {
        p[n++] = LB_MARK;
    } else {
        for (uint32_t i = 0; i < k->slots; i++) {
            memcpy(p + n, body.p + at, slots[i].offset - at);
            n += slots[i].offset - at;
            p[n++] = LB_MARK;
            at = slots[i].offset + slots[i].bytes;
        }
        if (body.n > at) memcpy(p + n, body.p + at, body.n - at);
        n += body.n - at;
    }
    return new_kind(b, k, (str){p, n}, key);
}

uint32_t lb_add_kind(lb_builder *b, const lb_kind *k) {
    uint64_t key;
    uint32_t id = find_kind(b, k, &key);
    if (id != LB_NONE) return id;
    str skel = k->skel;
    return copy_text(b, &skel) ? new_kind(b, k, skel, key) : LB_NONE;
}

/* ---- writing ---- */

static bool put_attrs(buf *out, const attribute *a, uint32_t n) {
    bool ok = buf_varint(out, n);
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = col_put_piece(out, a[i].key) && buf_putc(out, (char)a[i].type) &&
             (is_num(a[i].type) ? buf_varint(out, zigzag(a[i].num)) : col_put_piece(out, a[i].val));
    }
    return ok;
}

static bool put_kind(buf *out, const lb_kind *k, bool level1) {
    bool hashed = level1 && k->shape && miner_shape_id(k->skel) == k->shape;
    uint8_t head =
        (uint8_t)(k->body_type | (k->plain ? KIND_PLAIN : 0) | (hashed ? KIND_HASHED : 0));
    return buf_putc(out, (char)head) && (hashed || buf_le64(out, k->shape)) &&
           buf_varint(out, k->schema) && buf_varint(out, k->slots) &&
           buf_put(out, (str){(const char *)k->slot_types, k->slots}) &&
           col_put_piece(out, k->skel) && (!level1 || buf_varint(out, k->family));
}

bool lb_put_tables(buf *out, const lb_tables *t, bool level1) {
    bool ok = buf_varint(out, t->resource_count);
    for (size_t i = 0; ok && i < t->resource_count; i++) {
        const resource *r = &t->resources[i];
        ok = put_attrs(out, r->attrs, r->attr_count) && buf_varint(out, r->dropped_attrs) &&
             col_put_piece(out, r->schema_url) && col_put_piece(out, r->entity_refs);
    }
    ok = ok && buf_varint(out, t->scope_count);
    for (size_t i = 0; ok && i < t->scope_count; i++) {
        const scope *s = &t->scopes[i];
        ok = col_put_piece(out, s->name) && col_put_piece(out, s->version) &&
             col_put_piece(out, s->schema_url) && put_attrs(out, s->attrs, s->attr_count) &&
             buf_varint(out, s->dropped_attrs);
    }
    ok = ok && buf_varint(out, t->schema_count);
    for (size_t i = 0; ok && i < t->schema_count; i++) {
        const lb_schema *s = &t->schemas[i];
        ok = buf_varint(out, s->count);
        for (uint32_t k = 0; ok && k < s->count; k++)
            ok = col_put_piece(out, s->attrs[k].key) && buf_putc(out, (char)s->attrs[k].type);
    }
    ok = ok && buf_varint(out, t->meta_count);
    for (size_t i = 0; ok && i < t->meta_count; i++) {
        const lb_meta *m = &t->metas[i];
        ok = buf_varint(out, (uint32_t)(m->scope + 1)) &&
             buf_putc(out, (char)(m->severity_other ? LB_SEV_OTHER : m->severity)) &&
             (!m->severity_other || buf_varint(out, (uint32_t)m->severity_other)) &&
             buf_varint(out, m->flags) && buf_varint(out, m->dropped_attrs) &&
             col_put_piece(out, m->severity_text) && col_put_piece(out, m->event_name);
    }
    ok = ok && buf_varint(out, t->kind_count);
    for (size_t i = 0; ok && i < t->kind_count; i++) ok = put_kind(out, &t->kinds[i], level1);
    return ok;
}

/* ---- reading ---- */

/* A count of things of at least min_bytes each: never more than the bytes can hold. */
static size_t get_count(col_reader *r, size_t min_bytes) {
    uint64_t n = col_varint(r);
    if (n > col_left(r) / min_bytes || n > TABLE_ITEMS_MAX) r->bad = true;
    return r->bad ? 0 : (size_t)n;
}

static uint32_t get_u32(col_reader *r) {
    uint64_t v = col_varint(r);
    if (v > UINT32_MAX) r->bad = true;
    return (uint32_t)v;
}

static uint8_t get_type(col_reader *r) {
    uint8_t type = col_u8(r);
    if (type > ATTR_EMPTY) r->bad = true;
    return type;
}

static const attribute *get_attrs(col_reader *r, lb_mem *mem, uint32_t *ret_count, bool values) {
    size_t n = get_count(r, 2);
    attribute *a = lb_alloc(mem, n * sizeof *a);
    if (!a) r->bad = true;
    for (size_t i = 0; i < n && !r->bad; i++) {
        a[i].key = col_piece(r);
        a[i].type = get_type(r);
        if (!values) continue;
        if (is_num(a[i].type))
            a[i].num = unzigzag(col_varint(r));
        else
            a[i].val = col_piece(r);
    }
    *ret_count = (uint32_t)n;
    return a;
}

static void get_kind(col_reader *r, const lb_tables *t, bool level1, lb_kind *k) {
    uint8_t head = col_u8(r);
    k->body_type = head & 15;
    k->plain = head & KIND_PLAIN;
    if (k->body_type > ATTR_EMPTY || head >> 6) r->bad = true;
    if (!(head & KIND_HASHED)) {
        str raw = col_bytes(r, 8);
        if (raw.n == 8) k->shape = load_le64(raw.p);
    }
    k->schema = get_u32(r);
    k->slots = get_u32(r);
    k->slot_types = (const uint8_t *)col_bytes(r, k->slots).p;
    k->skel = col_piece(r);
    k->family = level1 ? get_u32(r) : 0;
    if (r->bad || k->schema >= t->schema_count || k->slots > LB_CELLS_MAX ||
        (k->plain && k->slots != 1)) {
        r->bad = true;
        return;
    }
    size_t marks = 0;
    for (size_t i = 0; i < k->skel.n; i++) marks += k->skel.p[i] == LB_MARK;
    for (uint32_t i = 0; i < k->slots; i++) {
        if (k->slot_types[i] >= SLOT_TYPE_COUNT) r->bad = true;
    }
    k->cells = lb_cells_of(k->slots, &t->schemas[k->schema], k->body_type);
    if (marks != k->slots || k->cells > LB_CELLS_MAX) r->bad = true;
    if (head & KIND_HASHED) k->shape = miner_shape_id(k->skel);
}

rc lb_get_tables(col_reader *r, bool level1, lb_mem *mem, lb_tables *ret, err *e) {
    lb_tables t = {0};
#define TABLE(list, number, type, min_bytes)                                                       \
    t.number = get_count(r, min_bytes);                                                            \
    t.list = lb_alloc(mem, t.number * sizeof(type));                                               \
    if (!t.list) return FAIL(e, RC_LIMIT, "log block: no memory for tables");                      \
    for (size_t i = 0; i < t.number && !r->bad; i++)
    TABLE(resources, resource_count, resource, 4) {
        resource *s = &t.resources[i];
        s->attrs = get_attrs(r, mem, &s->attr_count, true);
        s->dropped_attrs = get_u32(r);
        s->schema_url = col_piece(r);
        s->entity_refs = col_piece(r);
        if (r->bad) break;
        resource_finish(s);
    }
    TABLE(scopes, scope_count, scope, 5) {
        scope *s = &t.scopes[i];
        s->name = col_piece(r);
        s->version = col_piece(r);
        s->schema_url = col_piece(r);
        s->attrs = get_attrs(r, mem, &s->attr_count, true);
        s->dropped_attrs = get_u32(r);
        if (r->bad) break;
        scope_finish(s);
    }
    TABLE(schemas, schema_count, lb_schema, 1) {
        t.schemas[i].attrs = get_attrs(r, mem, &t.schemas[i].count, false);
    }
    TABLE(metas, meta_count, lb_meta, 6) {
        lb_meta *m = &t.metas[i];
        m->scope = (uint32_t)(get_u32(r) - 1);
        m->severity = col_u8(r);
        if (m->severity == LB_SEV_OTHER) { /* a number that OpenTelemetry does not name */
            m->severity = SEV_NONE;
            m->severity_other = (int32_t)get_u32(r);
        }
        m->flags = get_u32(r);
        m->dropped_attrs = get_u32(r);
        m->severity_text = col_piece(r);
        m->event_name = col_piece(r);
        if (m->scope != LB_NONE && m->scope >= t.scope_count) r->bad = true;
    }
    TABLE(kinds, kind_count, lb_kind, 4) { get_kind(r, &t, level1, &t.kinds[i]); }
#undef TABLE
    if (r->bad) return FAIL(e, RC_CORRUPT, "log block: damaged tables");
    *ret = t;
    return RC_OK;
}
