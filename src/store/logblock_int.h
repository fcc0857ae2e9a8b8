/* logblock_int.h - log blocks between encoding, merging and reading. Private to store.
 *
 * The records of a block are rows. What rows share lies in tables:
 *
 *     resource, scope      as in model/attribute.h
 *     schema               ordered keys and types of a record's attributes
 *     meta                 scope, severity, severity text, event name, flags, dropped attributes
 *     kind                 shape, skeleton (constants with LB_MARK for each slot), slot types,
 * schema, body type family (level 1)     kinds whose columns are kept together: same schema, slots,
 * body type
 *
 * and what a row adds are *cells*: one for each slot, then one for each attribute, then one for the
 * value of a body that is no text. A cell is text or (integers, doubles, booleans) a number. */
#ifndef FL_STORE_LOGBLOCK_INT_H
#define FL_STORE_LOGBLOCK_INT_H

#include "store/block.h"
#include "store/column_int.h"

#define LB_MARK '\x01' /* as in skeletons of mine */

enum {
    LB_VERSION = 1,
    LB_HEAD_BYTES = 24,
    LB_CELLS_MAX = 1 << 16, /* of a row */
    LB_TEXT_MAX = 192 << 20 /* of a block's cells */
};

#define LB_NONE UINT32_MAX

/* Bits of a row. */
enum { ROW_TRACE = 1, ROW_SPAN = 2, ROW_NO_TIME = 4, ROW_OBSERVED = 8, ROW_BITS = 15 };

typedef struct lb_schema {
    const attribute *attrs; /* key and type; values empty */
    uint32_t count;
} lb_schema;

enum { LB_SEV_OTHER = 0xff };

typedef struct lb_meta {
    uint32_t scope; /* LB_NONE: none */
    uint32_t flags, dropped_attrs;
    uint8_t severity;       /* LB_SEV_OTHER on disk: severity_other follows */
    int32_t severity_other; /* as in log_record */
    str severity_text, event_name;
} lb_meta;

typedef struct lb_kind {
    uint64_t shape;
    str skel;
    const uint8_t *slot_types;
    uint32_t slots; /* marks in skel */
    uint32_t schema;
    uint32_t cells;
    uint8_t body_type;
    bool plain; /* the body is one cell as it is: the record has no slots */
    uint32_t family, member;
} lb_kind;

/* Is the cell a number? c < kind->cells. */
bool lb_cell_is_num(const lb_kind *k, const lb_schema *s, uint32_t c);
/* Cells of a kind: slots, attributes, body value. */
uint32_t lb_cells_of(uint32_t slots, const lb_schema *s, uint8_t body_type);

/* A cell in memory: text, or p == NULL and the number's bits in n. */
static inline str lb_num(uint64_t v) { return (str){NULL, (size_t)v}; }

typedef struct lb_tables {
    resource *resources;
    scope *scopes;
    lb_schema *schemas;
    lb_meta *metas;
    lb_kind *kinds;
    size_t resource_count, scope_count, schema_count, meta_count, kind_count;
} lb_tables;

/* Memory of what is read: one block of known size (`at` .. `end`), or an arena while its size is
 * being found out. */
typedef struct lb_mem {
    arena *a; /* NULL: from the block */
    char *at, *end;
    size_t used;
} lb_mem;

static inline void *lb_alloc(lb_mem *m, size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    m->used += bytes;
    if (m->a) return arena_try_bytes(m->a, bytes, 16);
    if (bytes > (size_t)(m->end - m->at)) return NULL;
    void *p = m->at;
    m->at += bytes;
    return memset(p, 0, bytes);
}

/* Tables as bytes (logtables.c). Texts of what is read borrow from the reader's bytes. A record
 * without resource has one with no attributes and texts. */
MUST_CHECK bool lb_put_tables(buf *out, const lb_tables *t, bool level1);
MUST_CHECK rc lb_get_tables(col_reader *r, bool level1, lb_mem *mem, lb_tables *ret, err *e);

/* The service names of a resource as bits of block_info.labels: those that the label service_name
 * can have; the empty one's when it has none. */
uint64_t lb_service_bits(const resource *r);

/* --- building tables: equal things get one number --- */
typedef struct lb_builder lb_builder;
lb_builder *lb_builder_new(void);
void lb_builder_free(lb_builder *b);
void lb_builder_reset(lb_builder *b);
const lb_tables *lb_builder_tables(const lb_builder *b);
/* Each returns a number, or LB_NONE when memory is out. What is given is copied when new. */
uint32_t lb_add_resource(lb_builder *b, const resource *r);
uint32_t lb_add_scope(lb_builder *b, const scope *s);
uint32_t lb_add_schema(lb_builder *b, const attribute *attrs, uint32_t count);
uint32_t lb_add_meta(lb_builder *b, const lb_meta *m);
uint32_t lb_add_kind(lb_builder *b, const lb_kind *k);
/* The kind of a record: k holds shape, slot types, slots, schema, body type, plain; the skeleton is
 * that of body and slots. */
uint32_t lb_add_kind_of(lb_builder *b, const lb_kind *k, str body, const log_slot *slots);

/* The head of a payload: `summed` is what its checksum covers (logblock.c). */
void lb_put_head(char *head, uint8_t level, size_t stored, size_t raw, str summed);
/* --- rows in memory: what merging works on, and level-0 blocks when read --- */
typedef struct lb_rows {
    size_t n;
    lb_tables t;
    int64_t *time;
    uint32_t *kind, *res, *meta;
    uint8_t *bits;
    int64_t *observed;    /* absolute; 0 = not stated */
    const uint8_t **ids;  /* trace id, then span id, as bits says */
    uint32_t *first_cell; /* in cells */
    str *cells;
    size_t cell_count;
} lb_rows;

/* All rows of a block of either level, in its order. Texts live in mem or borrow from payload. */
MUST_CHECK rc lb_get_rows(str payload, arena *mem, lb_rows *ret, err *e);

/* --- level 1 (logmerge.c writes, logread.c reads) --- */
enum { HOW_PART = 0, HOW_CONST, HOW_MEMBER, HOW_SHARED };
enum {
    G_TIME = 0,
    G_FAMILY,
    G_RESOURCE,
    G_BITS,
    G_OBSERVED,
    G_IDS,
    G_FILTER,
    G_PAGE_FILTERS,
    G_PAGE_RANKS,
    G_COUNT
};

/* Rows are counted in pages where single rows are looked for: ids are a part each page, and there
 * is a filter of trace ids and a count of each family's rows for each. */
enum { LB_PAGE = 4096 };
static inline size_t lb_pages(size_t rows) { return (rows + LB_PAGE - 1) / LB_PAGE; }

/* What the filter of trace ids (G_FILTER, fuse.h; empty when there are none) holds of an id. */
uint64_t lb_trace_key(const void *id);

/* What is known of a column without reading it. */
typedef struct lb_stamp {
    uint64_t mask;     /* lb_class_bit of every byte */
    uint32_t min, max; /* lengths */
} lb_stamp;

typedef struct lb_column {
    uint8_t how; /* HOW_* */
    bool num;
    uint32_t part, at, bytes; /* HOW_PART: where; HOW_SHARED: part = number of the shared column */
    str value;                /* HOW_CONST, HOW_MEMBER: column bytes of 1 or of a value a member */
    lb_stamp stamp;           /* of texts */
} lb_column;

typedef struct lb_family {
    uint32_t rows, first_kind, kinds; /* kinds of a family are neighbours in the table */
    uint32_t cells;
    lb_column member, meta, *cell;
} lb_family;

/* A column over the rows of all families that have the attribute. */
typedef struct lb_shared {
    lb_column col;
    uint32_t rows;
} lb_shared;

typedef struct lb_part {
    uint64_t offset;
    uint32_t stored, raw; /* raw = 0: as stored; else zstd */
    uint32_t sum;
} lb_part;

typedef struct lb_header {
    uint32_t rows;
    lb_tables t;
    lb_column global[G_COUNT];
    lb_family *families;
    lb_shared *shared;
    lb_part *parts;
    uint32_t first_ids; /* part of the ids of page 0; LB_NONE: no row has ids */
    bool has_ranks;     /* G_PAGE_RANKS: of page, family: page x families + family; all but the
                           last page */
    size_t family_count, shared_count, part_count;
} lb_header;

/* The head's fields. RC_CORRUPT, RC_UNSUPPORTED (a newer version). */
typedef struct lb_head {
    uint8_t level;
    uint32_t stored, raw;
    uint64_t sum;
} lb_head;
MUST_CHECK rc lb_get_head(str bytes, lb_head *ret, err *e);
/* The header of a level-1 block from its stored bytes. */
MUST_CHECK rc lb_get_header(const lb_head *head, str stored, lb_mem *mem, lb_header *ret, err *e);

/* A part's bytes, checked and decompressed (in mem; borrows when it is plain). */
MUST_CHECK rc lb_get_part(const lb_part *p, str stored, arena *mem, str *ret, err *e);

/* Bit of a byte in a stamp: letters one by one, digits together, some punctuation. */
extern const uint8_t lb_class[256];
uint64_t lb_mask_of(str s);

/* The three functions of LOG_BLOCKS (block.h). */
rc lb_encode(telemetry *const *t, size_t count, block_put put, void *put_ctx, err *e);
rc lb_merge(const block_io *in, const block_info *info, size_t count, size_t max_bytes,
            block_put put, void *put_ctx, const volatile int *cancel, size_t *ret_bad, err *e);
rc lb_verify(const block_io *in, const block_info *info, err *e);

bool lb_kind_same(const lb_kind *a, const lb_kind *b);

#endif
