/* attrcols.h - attributes of many rows as columns, and the resources and scopes that rows share.
 *
 * A row's list of keys and types, in its order, is its shape; each (key, type) has one column with
 * the values of all rows in order. So attributes come back in order, doubled keys too, and a column
 * is read alone. Columns beyond ATTR_COLUMNS_MAX share one of whole attributes.
 *
 * Parts, from a base id: +0 directory (columns: key, type, count; shapes: lists of columns), +1
 * shape of each row, +2.. values of column i. */
#ifndef FL_STORE_ATTRCOLS_H
#define FL_STORE_ATTRCOLS_H

#include "base/bits.h"
#include "base/map.h"
#include "model/attribute.h"
#include "store/parts.h"

enum { ATTR_COLUMNS_MAX = 1024, ATTR_PARTS = ATTR_COLUMNS_MAX + 8, ATTR_ROW_MAX = 1 << 16 };

typedef struct attr_row {
    const attribute *a;
    uint32_t n;
} attr_row;

/* Appends the parts base .. base + ATTR_PARTS - 1. RC_LIMIT: memory, or a row of more than
 * ATTR_ROW_MAX attributes. */
MUST_CHECK rc attr_cols_put(parts_writer *w, uint32_t base, const attr_row *rows, size_t count,
                            arena *tmp, err *e);

typedef struct attr_column {
    str key;
    uint8_t type; /* attribute_type, ATTR_OTHER = whole attributes */
    size_t count;
    const str *val;     /* loaded when not NULL: of texts, bytes, lists, maps, others */
    const int64_t *num; /* of numbers and booleans */
} attr_column;
enum { ATTR_OTHER = 255 };

typedef struct attr_shape {
    const uint32_t *columns;
    uint32_t n;
} attr_shape;

typedef struct attr_cols {
    parts *p;
    uint32_t base;
    size_t rows;
    attr_column *columns;
    uint32_t column_count;
    attr_shape *shapes;
    uint32_t shape_count;
    const int64_t *shape_of; /* by row, checked; NULL when there is one shape for all */
    arena *mem;
} attr_cols;

/* The directory and the shapes; columns are loaded when asked for. Everything lives in mem. */
MUST_CHECK rc attr_cols_open(attr_cols *c, parts *p, uint32_t base, size_t rows, arena *mem,
                             err *e);
MUST_CHECK rc attr_cols_load(attr_cols *c, uint32_t column, err *e);
MUST_CHECK rc attr_cols_load_all(attr_cols *c, err *e);
static inline const attr_shape *attr_cols_shape(const attr_cols *c, size_t row) {
    return &c->shapes[c->shape_of ? c->shape_of[row] : 0];
}
/* Value i of a loaded column as an attribute. */
MUST_CHECK rc attr_column_get(const attr_column *col, size_t i, arena *mem, attribute *ret, err *e);

/* Walks the rows in order and builds the attributes of those wanted. All columns are loaded. */
typedef struct attr_walk {
    const attr_cols *c;
    size_t row;
    size_t *next; /* of each column */
} attr_walk;
MUST_CHECK rc attr_walk_begin(attr_walk *w, const attr_cols *c, err *e);
/* Rows before `row` are passed over. */
MUST_CHECK rc attr_walk_row(attr_walk *w, size_t row, arena *mem, attr_row *ret, err *e);

/* One label over rows in ascending order: of the row's resource, else of its own attributes. */
typedef struct attr_label {
    const attr_cols *c;
    str label;
    str *of_resource; /* p NULL: the resource has no such attribute */
    bool *column;     /* may it hold this label? */
    bool any_column;
    size_t *next; /* value of each column that comes next */
    size_t row;
} attr_label;
/* Loads the columns that may hold it. Everything lives in c->mem. */
MUST_CHECK rc attr_label_open(attr_label *l, attr_cols *c, const resource *resources, size_t count,
                              str label, err *e);
/* The attribute of that row; p NULL: none. Texts in mem or in the block. */
MUST_CHECK rc attr_label_row(attr_label *l, size_t row, arena *mem, str *ret, err *e);

/* --- one list of attributes as bytes --- */
MUST_CHECK bool attrs_put(buf *out, const attribute *a, uint32_t n);
/* Texts borrow from *in. */
MUST_CHECK rc attrs_take(str *in, arena *mem, attr_row *ret, err *e);
MUST_CHECK bool put_text(buf *out, str s); /* length varint, bytes */
bool take_text(str *in, str *ret);

/* --- copies into an arena, texts and all; NULL / false when it is full --- */
MUST_CHECK bool attrs_copy(arena *mem, const attribute *a, uint32_t n, const attribute **ret);
const resource *resource_copy(arena *mem, const resource *r);
const scope *scope_copy(arena *mem, const scope *s);
bool attrs_equal(const attribute *a, uint32_t n, const attribute *b, uint32_t m);

/* --- resources and scopes --- */
typedef struct owner_table { /* while writing: each once, in order of first sight */
    map64 ids;
    VEC(const void *) list;
    uint64_t last_hash;
    const void *last;
    uint32_t last_id;
} owner_table;
void owner_table_init(owner_table *t);
void owner_table_release(owner_table *t);
/* Their number; scopes: 0 = none, from 1. UINT32_MAX: too many. Borrows. */
uint32_t owner_resource(owner_table *t, const resource *r);
uint32_t owner_scope(owner_table *t, const scope *s);
MUST_CHECK bool owner_resources_put(parts_writer *w, uint32_t id, const owner_table *t);
MUST_CHECK bool owner_scopes_put(parts_writer *w, uint32_t id, const owner_table *t);
MUST_CHECK rc owner_resources_get(parts *p, uint32_t id, arena *mem, const resource **ret,
                                  size_t *ret_count, err *e);
/* ret[0] is of no use: numbers start at 1; ret_count counts it. */
MUST_CHECK rc owner_scopes_get(parts *p, uint32_t id, arena *mem, const scope **ret,
                               size_t *ret_count, err *e);

#endif
