/* attrcols.c - see attrcols.h. Finding a row's shape is the hot part of a level-0 encode: a hash
 * over the length and outer bytes of each key finds the candidate, whose keys are then compared in
 * full, so the hash may be weak. Source of the idea: row shapes of Ness, "Shredding" in Dremel
 * (Melnik et al., VLDB 2010) less the nesting, which stays in one value. */
#include "store/attrcols.h"

#include "store/labels.h"

#include "codec/otlp.h"
#include "store/column.h"
#include "store/intcode.h"

enum { OWNERS_MAX = 1 << 20, DEPTH = 16 };

static bool is_number(uint8_t type) {
    return type == ATTR_INT || type == ATTR_DOUBLE || type == ATTR_BOOL;
}

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory for the attributes of a block"); }
static rc damaged(err *e) { return FAIL(e, RC_CORRUPT, "damaged attributes in a block"); }

/* --- lists as bytes --- */

bool put_text(buf *out, str s) { return buf_varint(out, s.n) && buf_put(out, s); }

bool take_text(str *in, str *ret) {
    uint64_t n;
    return take_varint(in, in->n, &n) && take_bytes(in, (size_t)n, ret);
}

static bool attr_put(buf *out, const attribute *a) {
    if (!put_text(out, a->key) || !buf_putc(out, (char)a->type)) return false;
    if (is_number(a->type)) return buf_le64(out, (uint64_t)a->num);
    return a->type == ATTR_EMPTY || put_text(out, a->val);
}

static bool attr_take(str *in, attribute *a) {
    str type, num;
    *a = (attribute){0};
    if (!take_text(in, &a->key) || !take_bytes(in, 1, &type)) return false;
    a->type = (uint8_t)type.p[0];
    if (a->type > ATTR_EMPTY) return false;
    if (is_number(a->type)) {
        if (!take_bytes(in, 8, &num)) return false;
        memcpy(&a->num, num.p, 8);
        return true;
    }
    return a->type == ATTR_EMPTY || take_text(in, &a->val);
}

/* --- one label --- */

rc attr_label_open(attr_label *l, attr_cols *c, const resource *resources, size_t count, str label,
                   err *e) {
    *l = (attr_label){.c = c, .label = label};
    l->of_resource = arena_try_new_n(c->mem, str, count + 1);
    l->column = arena_try_new_n(c->mem, bool, (size_t)c->column_count + 1);
    l->next = arena_try_new_n(c->mem, size_t, (size_t)c->column_count + 1);
    if (!l->of_resource || !l->column || !l->next)
        return FAIL(e, RC_LIMIT, "no memory for the values of a label");
    for (size_t i = 0; i < count; i++) {
        const resource *r = &resources[i];
        for (uint32_t k = 0; k < r->attr_count && !l->of_resource[i].p; k++) {
            if (!label_is(label, r->attrs[k].key)) continue;
            str text = attribute_text(&r->attrs[k], c->mem);
            l->of_resource[i] = text.p ? text : S("");
        }
    }
    for (uint32_t i = 0; i < c->column_count; i++) {
        l->column[i] = c->columns[i].type == ATTR_OTHER || label_is(label, c->columns[i].key);
        if (!l->column[i]) continue;
        l->any_column = true;
        rc code = attr_cols_load(c, i, e);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

rc attr_label_row(attr_label *l, size_t row, arena *mem, str *ret, err *e) {
    *ret = STR_NONE;
    if (!l->any_column) return RC_OK;
    for (; l->row < row; l->row++) {
        const attr_shape *s = attr_cols_shape(l->c, l->row);
        for (uint32_t k = 0; k < s->n; k++) l->next[s->columns[k]]++;
    }
    const attr_shape *s = attr_cols_shape(l->c, row);
    size_t others = 0; /* whole attributes of this row passed over */
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t c = s->columns[k];
        if (!l->column[c]) continue;
        const attr_column *col = &l->c->columns[c];
        bool other = col->type == ATTR_OTHER;
        attribute a;
        rc code = attr_column_get(col, l->next[c] + (other ? others++ : 0), mem, &a, e);
        if (code != RC_OK) return code;
        if (other && !label_is(l->label, a.key)) continue;
        str text = attribute_text(&a, mem);
        *ret = text.p ? text : S("");
        return RC_OK;
    }
    return RC_OK;
}

bool attrs_put(buf *out, const attribute *a, uint32_t n) {
    bool ok = buf_varint(out, n);
    for (uint32_t i = 0; i < n; i++) ok = ok && attr_put(out, &a[i]);
    return ok;
}

rc attrs_take(str *in, arena *mem, attr_row *ret, err *e) {
    uint64_t n;
    if (!take_varint(in, in->n / 2, &n)) return damaged(e);
    attribute *a = n ? arena_try_new_n(mem, attribute, (size_t)n) : NULL;
    if (n && !a) return no_memory(e);
    for (uint64_t i = 0; i < n; i++) {
        if (!attr_take(in, &a[i])) return damaged(e);
    }
    *ret = (attr_row){a, (uint32_t)n};
    return RC_OK;
}

/* --- writing columns --- */

typedef struct shape_entry {
    uint64_t hash;
    uint32_t first, n; /* in columns_of */
} shape_entry;

typedef struct col_entry {
    str key;
    uint64_t hash;
    size_t count, at;
    str *val;
    int64_t *num;
    uint8_t type;
} col_entry;

typedef struct builder {
    VEC(shape_entry) shapes;
    VEC(uint32_t) columns_of;
    VEC(col_entry) columns;
    uint32_t *shape_slots; /* number + 1, open addressing */
    size_t slots;
} builder;

static uint64_t load_ends(str s) {
    uint64_t a = 0, b = 0;
    if (LIKELY(s.n >= 8)) {
        memcpy(&a, s.p, 8);
        memcpy(&b, s.p + s.n - 8, 8);
        return a ^ (b << 29 | b >> 35);
    }
    if (s.n) memcpy(&a, s.p, s.n);
    return a;
}

static uint64_t row_hash(const attr_row *r) {
    uint64_t h = r->n;
    for (uint32_t i = 0; i < r->n; i++) {
        const attribute *a = &r->a[i];
        h = (h ^ load_ends(a->key) ^ a->key.n << 8 ^ a->type) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    return h;
}

static bool same_keys(const builder *b, const shape_entry *s, const attr_row *r) {
    if (s->n != r->n) return false;
    for (uint32_t i = 0; i < r->n; i++) {
        const col_entry *c = &b->columns.v[b->columns_of.v[s->first + i]];
        if (c->type == ATTR_OTHER) continue; /* holds any key */
        if (c->type != r->a[i].type || !str_eq(c->key, r->a[i].key)) return false;
    }
    return true;
}

/* The column of a key and type. ATTR_COLUMNS_MAX of them are searched one by one only when a new
 * shape comes up. */
static uint32_t column_of(builder *b, str key, uint8_t type) {
    uint64_t h = load_ends(key) ^ key.n << 8 ^ type;
    for (size_t i = 0; i < b->columns.n; i++) {
        const col_entry *c = &b->columns.v[i];
        if (c->hash == h && c->type == type && str_eq(c->key, key)) return (uint32_t)i;
    }
    if (b->columns.n >= ATTR_COLUMNS_MAX - 1) {
        if (b->columns.n == ATTR_COLUMNS_MAX - 1)
            vec_push(&b->columns, (col_entry){.type = ATTR_OTHER});
        return ATTR_COLUMNS_MAX - 1;
    }
    vec_push(&b->columns, (col_entry){.key = key, .type = type, .hash = h});
    return (uint32_t)b->columns.n - 1;
}

static uint32_t shape_of(builder *b, const attr_row *r) {
    uint64_t h = row_hash(r);
    size_t mask = b->slots - 1, i = (size_t)(h >> 20) & mask;
    for (; b->shape_slots[i]; i = (i + 1) & mask) {
        const shape_entry *s = &b->shapes.v[b->shape_slots[i] - 1];
        if (s->hash == h && same_keys(b, s, r)) return b->shape_slots[i] - 1;
    }
    shape_entry s = {h, (uint32_t)b->columns_of.n, r->n};
    for (uint32_t k = 0; k < r->n; k++)
        vec_push(&b->columns_of, column_of(b, r->a[k].key, r->a[k].type));
    vec_push(&b->shapes, s);
    b->shape_slots[i] = (uint32_t)b->shapes.n;
    return (uint32_t)b->shapes.n - 1;
}

static void builder_release(builder *b) {
    vec_release(&b->shapes);
    vec_release(&b->columns_of);
    vec_release(&b->columns);
    mem_free(b->shape_slots);
}

static rc put_directory(parts_writer *w, uint32_t base, const builder *b) {
    part_begin(w, base);
    bool ok = buf_varint(w->out, b->columns.n);
    for (size_t i = 0; i < b->columns.n; i++) {
        const col_entry *c = &b->columns.v[i];
        ok = ok && put_text(w->out, c->key) && buf_putc(w->out, (char)c->type) &&
             buf_varint(w->out, c->count);
    }
    ok = ok && buf_varint(w->out, b->shapes.n);
    for (size_t i = 0; i < b->shapes.n; i++) {
        const shape_entry *s = &b->shapes.v[i];
        ok = ok && buf_varint(w->out, s->n);
        for (uint32_t k = 0; k < s->n; k++)
            ok = ok && buf_varint(w->out, b->columns_of.v[s->first + k]);
    }
    w->ok &= ok;
    part_end(w, true);
    return ok ? RC_OK : RC_LIMIT;
}

/* Distributes the values: each column's array lies in tmp. */
static rc fill(builder *b, const attr_row *rows, size_t count, const int64_t *shape, arena *tmp,
               buf *others, err *e) {
    for (size_t i = 0; i < b->columns.n; i++) {
        col_entry *c = &b->columns.v[i];
        if (c->type == ATTR_EMPTY) continue;
        if (is_number(c->type))
            c->num = arena_try_raw(tmp, c->count * sizeof(int64_t), 8);
        else
            c->val = arena_try_raw(tmp, c->count * sizeof(str), 8);
        if (!c->num && !c->val) return no_memory(e);
    }
    const uint32_t *columns_of = b->columns_of.v;
    for (size_t i = 0; i < count; i++) {
        const uint32_t *columns = columns_of + b->shapes.v[shape[i]].first;
        for (uint32_t k = 0; k < rows[i].n; k++) {
            const attribute *a = &rows[i].a[k];
            col_entry *c = &b->columns.v[columns[k]];
            if (c->num) {
                c->num[c->at++] = a->num;
            } else if (c->type == ATTR_OTHER) {
                size_t from = others->n;
                if (!attr_put(others, a)) return no_memory(e);
                c->val[c->at++] = (str){NULL, others->n - from}; /* others may move: see below */
            } else if (c->val) {
                c->val[c->at++] = a->val;
            }
        }
    }
    size_t at = 0;
    for (size_t i = 0; i < b->columns.n; i++) {
        col_entry *c = &b->columns.v[i];
        if (c->type != ATTR_OTHER) continue;
        for (size_t k = 0; k < c->count; k++) {
            c->val[k].p = others->p + at;
            at += c->val[k].n;
        }
    }
    return RC_OK;
}

static rc put_all(parts_writer *w, uint32_t base, builder *b, const attr_row *rows, size_t count,
                  arena *tmp, buf *others, err *e) {
    int64_t *shape = arena_try_raw(tmp, count * sizeof *shape, 8);
    b->slots = (size_t)bits_next_pow2(2 * count);
    b->shape_slots = mem_try_alloc(b->slots * sizeof *b->shape_slots);
    if (!shape || !b->shape_slots) return no_memory(e);
    vec_reserve(&b->columns_of, 64); /* rows without attributes point to its begin, too */
    for (size_t i = 0; i < count; i++) {
        if (rows[i].n > ATTR_ROW_MAX)
            return FAIL(e, RC_LIMIT, "a record with %u attributes", (unsigned)rows[i].n);
        uint32_t s = shape_of(b, &rows[i]);
        shape[i] = s;
        const uint32_t *columns = b->columns_of.v + b->shapes.v[s].first;
        for (uint32_t k = 0; k < rows[i].n; k++) b->columns.v[columns[k]].count++;
    }
    rc code = fill(b, rows, count, shape, tmp, others, e);
    if (code != RC_OK || (code = put_directory(w, base, b)) != RC_OK) return code;
    part_i64(w, base + 1, shape, count);
    for (size_t i = 0; i < b->columns.n; i++) {
        const col_entry *c = &b->columns.v[i];
        if (c->type == ATTR_EMPTY || c->count == 0) continue;
        uint32_t id = base + 2 + (uint32_t)i;
        if (c->type == ATTR_DOUBLE) {
            double *d = arena_try_raw(tmp, c->count * sizeof *d, 8);
            if (!d) return no_memory(e);
            memcpy(d, c->num, c->count * sizeof *d);
            part_begin(w, id);
            w->ok &= col_put_f64(w->out, d, c->count, w->level);
            part_end(w, false);
        } else if (c->num) {
            part_i64(w, id, c->num, c->count);
        } else {
            part_str(w, id, c->val, c->count);
        }
    }
    return w->ok ? RC_OK : no_memory(e);
}

rc attr_cols_put(parts_writer *w, uint32_t base, const attr_row *rows, size_t count, arena *tmp,
                 err *e) {
    size_t any = 0;
    for (size_t i = 0; i < count; i++) any += rows[i].n;
    if (any == 0) return RC_OK;
    builder b = {0};
    buf others;
    buf_init(&others, BLOCK_BYTES_MAX);
    arena_mark m = arena_save(tmp);
    rc code = put_all(w, base, &b, rows, count, tmp, &others, e);
    arena_restore(tmp, m);
    buf_release(&others);
    builder_release(&b);
    return code;
}

/* --- reading columns --- */

static rc open_directory(attr_cols *c, str in, err *e) {
    uint64_t n;
    str type;
    if (!take_varint(&in, ATTR_COLUMNS_MAX, &n)) return damaged(e);
    c->column_count = (uint32_t)n;
    c->columns = arena_try_new_n(c->mem, attr_column, (size_t)n + 1);
    if (!c->columns) return no_memory(e);
    for (uint32_t i = 0; i < c->column_count; i++) {
        attr_column *x = &c->columns[i];
        uint64_t count;
        if (!take_text(&in, &x->key) || !take_bytes(&in, 1, &type) ||
            !take_varint(&in, (uint64_t)c->rows * ATTR_ROW_MAX, &count))
            return damaged(e);
        x->type = (uint8_t)type.p[0];
        if (x->type > ATTR_EMPTY && x->type != ATTR_OTHER) return damaged(e);
        x->count = (size_t)count;
    }
    if (!take_varint(&in, MIN(c->rows, in.n), &n) || n == 0) return damaged(e);
    c->shape_count = (uint32_t)n;
    c->shapes = arena_try_new_n(c->mem, attr_shape, (size_t)n);
    if (!c->shapes) return no_memory(e);
    for (uint32_t i = 0; i < c->shape_count; i++) {
        if (!take_varint(&in, MIN(in.n, (size_t)ATTR_ROW_MAX), &n)) return damaged(e);
        uint32_t *columns = arena_try_new_n(c->mem, uint32_t, (size_t)n);
        if (!columns) return no_memory(e);
        for (uint64_t k = 0; k < n; k++) {
            uint64_t column;
            if (!take_varint(&in, UINT32_MAX, &column) || column >= c->column_count)
                return damaged(e);
            columns[k] = (uint32_t)column;
        }
        c->shapes[i] = (attr_shape){columns, (uint32_t)n};
    }
    return in.n ? damaged(e) : RC_OK;
}

rc attr_cols_open(attr_cols *c, parts *p, uint32_t base, size_t rows, arena *mem, err *e) {
    *c = (attr_cols){.p = p, .base = base, .rows = rows, .mem = mem};
    str dir;
    rc code = parts_get(p, base, mem, &dir, e);
    if (code != RC_OK) return code;
    if (dir.n == 0) { /* nothing has attributes */
        c->shapes = arena_try_new(mem, attr_shape);
        c->shape_count = 1;
        return c->shapes ? RC_OK : no_memory(e);
    }
    if ((code = open_directory(c, dir, e)) != RC_OK) return code;
    size_t *count = arena_try_new_n(mem, size_t, (size_t)c->column_count + 1);
    if (!count) return no_memory(e);
    int64_t *shape = NULL;
    if (parts_find(p, base + 1)) {
        if ((code = parts_i64(p, base + 1, rows, mem, &shape, e)) != RC_OK) return code;
        size_t *used = arena_try_new_n(mem, size_t, c->shape_count);
        if (!used) return no_memory(e);
        for (size_t i = 0; i < rows; i++) {
            if ((uint64_t)shape[i] >= c->shape_count) return damaged(e);
            used[shape[i]]++;
        }
        for (uint32_t s = 0; s < c->shape_count; s++) {
            for (uint32_t k = 0; k < c->shapes[s].n; k++) count[c->shapes[s].columns[k]] += used[s];
        }
    } else {
        for (uint32_t k = 0; k < c->shapes[0].n; k++) count[c->shapes[0].columns[k]] += rows;
    }
    c->shape_of = shape;
    for (uint32_t i = 0; i < c->column_count; i++) {
        if (count[i] != c->columns[i].count) return damaged(e);
    }
    return RC_OK;
}

rc attr_cols_load(attr_cols *c, uint32_t column, err *e) {
    MUST(column < c->column_count);
    attr_column *x = &c->columns[column];
    if (x->val || x->num || x->type == ATTR_EMPTY) return RC_OK;
    uint32_t id = c->base + 2 + column;
    rc code;
    if (x->type == ATTR_DOUBLE) {
        str col;
        if ((code = parts_get(c->p, id, c->mem, &col, e)) != RC_OK) return code;
        int64_t *v = arena_try_array(c->mem, x->count, sizeof *v, 8);
        double *d = arena_try_array(c->mem, x->count, sizeof *d, 8);
        if (!v || !d) return no_memory(e);
        if (x->count && (code = col_get_f64(col, x->count, d, e)) != RC_OK) return code;
        if (x->count) memcpy(v, d, x->count * sizeof *v);
        x->num = v;
    } else if (is_number(x->type)) {
        int64_t *v;
        if ((code = parts_i64(c->p, id, x->count, c->mem, &v, e)) != RC_OK) return code;
        x->num = v;
    } else {
        str *v;
        if ((code = parts_str(c->p, id, x->count, c->mem, &v, e)) != RC_OK) return code;
        x->val = v;
    }
    return RC_OK;
}

rc attr_cols_load_all(attr_cols *c, err *e) {
    for (uint32_t i = 0; i < c->column_count; i++) {
        rc code = attr_cols_load(c, i, e);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

rc attr_column_get(const attr_column *col, size_t i, arena *mem, attribute *ret, err *e) {
    (void)mem;
    DCHECK(i < col->count);
    if (col->type == ATTR_OTHER) {
        str in = col->val[i];
        return attr_take(&in, ret) && in.n == 0 ? RC_OK : damaged(e);
    }
    *ret = (attribute){.key = col->key, .type = col->type};
    if (col->num)
        ret->num = col->num[i];
    else if (col->val)
        ret->val = col->val[i];
    return RC_OK;
}

rc attr_walk_begin(attr_walk *w, const attr_cols *c, err *e) {
    *w = (attr_walk){.c = c, .next = arena_try_new_n(c->mem, size_t, (size_t)c->column_count + 1)};
    return w->next ? RC_OK : no_memory(e);
}

rc attr_walk_row(attr_walk *w, size_t row, arena *mem, attr_row *ret, err *e) {
    MUST(row >= w->row && row < w->c->rows);
    for (; w->row < row; w->row++) {
        const attr_shape *s = attr_cols_shape(w->c, w->row);
        for (uint32_t k = 0; k < s->n; k++) w->next[s->columns[k]]++;
    }
    const attr_shape *s = attr_cols_shape(w->c, row);
    attribute *a = s->n ? arena_try_raw(mem, s->n * sizeof *a, 8) : NULL;
    if (s->n && !a) return no_memory(e);
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t column = s->columns[k];
        rc code = attr_column_get(&w->c->columns[column], w->next[column]++, mem, &a[k], e);
        if (code != RC_OK) return code;
    }
    w->row++;
    *ret = (attr_row){a, s->n};
    return RC_OK;
}

/* --- copies --- */

bool attrs_equal(const attribute *a, uint32_t n, const attribute *b, uint32_t m) {
    if (n != m) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (a[i].type != b[i].type || a[i].num != b[i].num || !str_eq(a[i].key, b[i].key) ||
            !str_eq(a[i].val, b[i].val))
            return false;
    }
    return true;
}

bool attrs_copy(arena *mem, const attribute *a, uint32_t n, const attribute **ret) {
    attribute *to = arena_try_raw(mem, (n + (size_t)1) * sizeof *to, 8);
    if (!to) return false;
    for (uint32_t i = 0; i < n; i++) {
        to[i] = a[i];
        to[i].key = str_dup(mem, a[i].key);
        to[i].val = str_dup(mem, a[i].val);
        if ((a[i].key.n && !to[i].key.p) || (a[i].val.n && !to[i].val.p)) return false;
    }
    *ret = to;
    return true;
}

const resource *resource_copy(arena *mem, const resource *r) {
    resource *to = arena_try_new(mem, resource);
    if (!to) return NULL;
    *to = *r;
    if (!attrs_copy(mem, r->attrs, r->attr_count, &to->attrs)) return NULL;
    to->schema_url = str_dup(mem, r->schema_url);
    to->entity_refs = str_dup(mem, r->entity_refs);
    resource_finish(to);
    return to;
}

const scope *scope_copy(arena *mem, const scope *s) {
    scope *to = arena_try_new(mem, scope);
    if (!to) return NULL;
    *to = *s;
    to->name = str_dup(mem, s->name);
    to->version = str_dup(mem, s->version);
    to->schema_url = str_dup(mem, s->schema_url);
    return attrs_copy(mem, s->attrs, s->attr_count, &to->attrs) ? to : NULL;
}

/* --- resources and scopes --- */

void owner_table_init(owner_table *t) {
    *t = (owner_table){0};
    map64_init(&t->ids, OWNERS_MAX);
}
void owner_table_release(owner_table *t) {
    map64_release(&t->ids);
    vec_release(&t->list);
}

static uint32_t owner_put(owner_table *t, const void *x, uint64_t hash) {
    if (x == t->last && t->list.n) return t->last_id;
    bool added;
    uint64_t *id = map64_put(&t->ids, hash, &added);
    if (!id) return UINT32_MAX;
    if (added) {
        *id = t->list.n;
        vec_push(&t->list, x);
    }
    t->last = x;
    t->last_id = (uint32_t)*id;
    return t->last_id;
}

uint32_t owner_resource(owner_table *t, const resource *r) { return owner_put(t, r, r->hash); }
uint32_t owner_scope(owner_table *t, const scope *s) {
    if (!s) return 0;
    uint32_t id = owner_put(t, s, s->hash);
    return id == UINT32_MAX ? id : id + 1;
}

bool owner_resources_put(parts_writer *w, uint32_t id, const owner_table *t) {
    part_begin(w, id);
    bool ok = buf_varint(w->out, t->list.n);
    for (size_t i = 0; i < t->list.n; i++) {
        const resource *r = t->list.v[i];
        ok = ok && attrs_put(w->out, r->attrs, r->attr_count) &&
             buf_varint(w->out, r->dropped_attrs) && put_text(w->out, r->schema_url) &&
             put_text(w->out, r->entity_refs);
    }
    w->ok &= ok;
    part_end(w, true);
    return w->ok;
}

bool owner_scopes_put(parts_writer *w, uint32_t id, const owner_table *t) {
    if (t->list.n == 0) return true;
    part_begin(w, id);
    bool ok = buf_varint(w->out, t->list.n);
    for (size_t i = 0; i < t->list.n; i++) {
        const scope *s = t->list.v[i];
        ok = ok && put_text(w->out, s->name) && put_text(w->out, s->version) &&
             put_text(w->out, s->schema_url) && attrs_put(w->out, s->attrs, s->attr_count) &&
             buf_varint(w->out, s->dropped_attrs);
    }
    w->ok &= ok;
    part_end(w, true);
    return w->ok;
}

rc owner_resources_get(parts *p, uint32_t id, arena *mem, const resource **ret, size_t *ret_count,
                       err *e) {
    str in;
    rc code = parts_get(p, id, mem, &in, e);
    if (code != RC_OK) return code;
    uint64_t n = 0, dropped;
    if (in.n && !take_varint(&in, MIN(in.n, (size_t)OWNERS_MAX), &n)) return damaged(e);
    resource *r = arena_try_new_n(mem, resource, (size_t)n + 1);
    if (!r) return no_memory(e);
    for (uint64_t i = 0; i < n; i++) {
        attr_row row;
        if ((code = attrs_take(&in, mem, &row, e)) != RC_OK) return code;
        r[i].attrs = row.a;
        r[i].attr_count = row.n;
        if (!take_varint(&in, UINT32_MAX, &dropped) || !take_text(&in, &r[i].schema_url) ||
            !take_text(&in, &r[i].entity_refs))
            return damaged(e);
        r[i].dropped_attrs = (uint32_t)dropped;
        resource_finish(&r[i]);
    }
    if (in.n) return damaged(e);
    *ret = r;
    *ret_count = (size_t)n;
    return RC_OK;
}

rc owner_scopes_get(parts *p, uint32_t id, arena *mem, const scope **ret, size_t *ret_count,
                    err *e) {
    str in;
    rc code = parts_get(p, id, mem, &in, e);
    if (code != RC_OK) return code;
    uint64_t n = 0, dropped;
    if (in.n && !take_varint(&in, MIN(in.n, (size_t)OWNERS_MAX), &n)) return damaged(e);
    scope *s = arena_try_new_n(mem, scope, (size_t)n + 1);
    if (!s) return no_memory(e);
    for (uint64_t i = 1; i <= n; i++) {
        attr_row row;
        if (!take_text(&in, &s[i].name) || !take_text(&in, &s[i].version) ||
            !take_text(&in, &s[i].schema_url))
            return damaged(e);
        if ((code = attrs_take(&in, mem, &row, e)) != RC_OK) return code;
        if (!take_varint(&in, UINT32_MAX, &dropped)) return damaged(e);
        s[i].attrs = row.a;
        s[i].attr_count = row.n;
        s[i].dropped_attrs = (uint32_t)dropped;
        scope_finish(&s[i]);
    }
    if (in.n) return damaged(e);
    *ret = s;
    *ret_count = (size_t)n + 1;
    return RC_OK;
}
