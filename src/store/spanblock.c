/* spanblock.c - spans as blocks: writing, merging, verifying. Parts: spanblock_int.h.
 *
 * What a span costs on disk is its ids: 8 random bytes of its own and 16 of its trace. A merged
 * block therefore holds the spans of a trace one after the other, the trace's id once, and a parent
 * as the number of its row. Times are distances within the trace. All else are columns.
 *
 * Merging decodes inputs in order of time into memory, sorts (traces by their first start, spans by
 * start) and writes; when the memory given is used up, what there is is written and the next batch
 * begins, so a trace may lie in more than one block. Nothing depends on the order of rows.
 *
 * Rejected: sorting by service (a block holds fewer services, but ids of traces are then stored
 * once a span: 14 bytes more a span, measured on 10 spans a trace). */
#include "store/spanblock_int.h"

#include "store/column.h"
#include "store/fuse.h"
#include "store/intcode.h"
#include "store/labels.h"

enum { PAIR_KEYS_MAX = 64, PAIR_SHARE = 16, WRITE_ARENA_MAX = 512 << 20 };

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory to write a block of spans"); }

uint64_t trace_id_hash(const uint8_t id[16]) {
    uint64_t a, b;
    memcpy(&a, id, 8);
    memcpy(&b, id + 8, 8);
    return (a ^ (b << 32 | b >> 32)) * 0x9E3779B97F4A7C15u;
}

/* --- columns of one block --- */

typedef struct writer {
    parts_writer w;
    span *const *s;
    size_t n;
    arena *tmp;
    owner_table resources, scopes;
    int64_t *col;        /* work space of n values */
    str *text;           /* the same */
    uint32_t *run_first; /* rows; runs + 1 of them */
    size_t runs, literals, events, links;
    uint8_t *parent_ids;
} writer;

static void find_runs(writer *x) {
    x->runs = 0;
    for (size_t i = 0; i < x->n; i++) {
        if (i && memcmp(x->s[i]->trace_id, x->s[i - 1]->trace_id, TRACE_ID_BYTES) == 0) continue;
        x->run_first[x->runs++] = (uint32_t)i;
    }
    x->run_first[x->runs] = (uint32_t)x->n;
}

static bool put_fixed(writer *x, uint32_t id, const void *v, size_t width, size_t count) {
    if (count == 0) return true;
    part_begin(&x->w, id);
    x->w.ok &= col_put_fixed(x->w.out, v, width, count, x->w.level);
    part_end(&x->w, false);
    return x->w.ok;
}

static rc put_ids(writer *x, err *e) {
    uint8_t *ids = arena_try_raw(x->tmp, 16 * x->n, 8);
    if (!ids) return no_memory(e);
    for (size_t r = 0; r < x->runs; r++) {
        memcpy(ids + 16 * r, x->s[x->run_first[r]]->trace_id, 16);
        x->col[r] = x->run_first[r + 1] - x->run_first[r];
    }
    part_i64(&x->w, SP_RUNS, x->col, x->runs);
    put_fixed(x, SP_TRACES, ids, 16, x->runs);
    for (size_t i = 0; i < x->n; i++) memcpy(ids + 8 * i, x->s[i]->span_id, 8);
    put_fixed(x, SP_SPAN_IDS, ids, 8, x->n);
    return RC_OK;
}

/* Parents as rows of the run where they can be found there (level 1), else as they are. */
static rc put_parents(writer *x, err *e) {
    x->parent_ids = arena_try_raw(x->tmp, 8 * x->n, 8);
    if (!x->parent_ids) return no_memory(e);
    map64 rows;
    map64_init(&rows, x->n + 1);
    for (size_t r = 0; r < x->runs; r++) {
        uint32_t from = x->run_first[r], to = x->run_first[r + 1];
        bool search = x->w.level > 0 && to - from > 1;
        if (search) map64_reset(&rows);
        for (uint32_t i = from; search && i < to; i++) {
            uint64_t id;
            bool added;
            memcpy(&id, x->s[i]->span_id, 8);
            uint64_t *at = map64_put(&rows, id, &added);
            if (at && added) *at = i - from;
        }
        for (uint32_t i = from; i < to; i++) {
            uint64_t parent;
            memcpy(&parent, x->s[i]->parent_id, 8);
            const uint64_t *at = parent && search ? map64_get(&rows, parent) : NULL;
            x->col[i] = !parent ? 0 : at ? 2 + (int64_t)*at : 1;
            if (x->col[i] == 1) memcpy(x->parent_ids + 8 * x->literals++, &parent, 8);
        }
    }
    map64_release(&rows);
    part_i64(&x->w, SP_PARENTS, x->col, x->n);
    put_fixed(x, SP_PARENT_IDS, x->parent_ids, 8, x->literals);
    return RC_OK;
}

static void put_times(writer *x) {
    for (size_t r = 0; r < x->runs; r++) x->col[r] = x->s[x->run_first[r]]->start_ns;
    part_i64(&x->w, SP_STARTS, x->col, x->runs);
    size_t n = 0;
    for (size_t r = 0; r < x->runs; r++) {
        uint64_t first = (uint64_t)x->s[x->run_first[r]]->start_ns;
        for (size_t i = x->run_first[r] + (size_t)1; i < x->run_first[r + 1]; i++)
            x->col[n++] = (int64_t)((uint64_t)x->s[i]->start_ns - first);
    }
    part_i64(&x->w, SP_OFFSETS, x->col, n);
    for (size_t i = 0; i < x->n; i++)
        x->col[i] = (int64_t)((uint64_t)x->s[i]->end_ns - (uint64_t)x->s[i]->start_ns);
    part_i64(&x->w, SP_DURATIONS, x->col, x->n);
}

#define PUT_I64(x, id, member)                                                                     \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < (x)->n; i_++) (x)->col[i_] = (int64_t)(x)->s[i_]->member;         \
        part_i64(&(x)->w, id, (x)->col, (x)->n);                                                   \
    } while (0)
#define PUT_STR(x, id, member)                                                                     \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < (x)->n; i_++) (x)->text[i_] = (x)->s[i_]->member;                 \
        part_str(&(x)->w, id, (x)->text, (x)->n);                                                  \
    } while (0)

static rc put_owners(writer *x, err *e) {
    bool fits = true;
    for (size_t i = 0; i < x->n; i++) {
        uint32_t id = owner_resource(&x->resources, x->s[i]->resource);
        fits &= id != UINT32_MAX;
        x->col[i] = id;
    }
    part_i64(&x->w, SP_RESOURCE_OF, x->col, x->n);
    for (size_t i = 0; i < x->n; i++) {
        uint32_t id = owner_scope(&x->scopes, x->s[i]->scope);
        fits &= id != UINT32_MAX;
        x->col[i] = id;
    }
    part_i64(&x->w, SP_SCOPE_OF, x->col, x->n);
    return fits && owner_resources_put(&x->w, SP_RESOURCES, &x->resources) &&
                   owner_scopes_put(&x->w, SP_SCOPES, &x->scopes)
               ? RC_OK
               : no_memory(e);
}

static rc put_events(writer *x, err *e) {
    size_t n = x->events;
    if (n == 0) return RC_OK;
    int64_t *times = arena_try_raw(x->tmp, n * 8, 8), *dropped = arena_try_raw(x->tmp, n * 8, 8);
    str *names = arena_try_raw(x->tmp, n * sizeof *names, 8);
    attr_row *rows = arena_try_raw(x->tmp, n * sizeof *rows, 8);
    if (!times || !dropped || !names || !rows) return no_memory(e);
    size_t k = 0;
    for (size_t i = 0; i < x->n; i++) {
        const span *s = x->s[i];
        for (uint32_t j = 0; j < s->event_count; j++, k++) {
            const span_event *v = &s->events[j];
            times[k] = (int64_t)((uint64_t)v->ts_ns - (uint64_t)s->start_ns);
            dropped[k] = v->dropped_attrs;
            names[k] = v->name;
            rows[k] = (attr_row){v->attrs, v->attr_count};
        }
    }
    PUT_I64(x, SP_EVENT_COUNTS, event_count);
    part_i64(&x->w, SP_EVENT_TIMES, times, n);
    part_i64(&x->w, SP_EVENT_DROPPED, dropped, n);
    part_str(&x->w, SP_EVENT_NAMES, names, n);
    return attr_cols_put(&x->w, SP_EVENT_ATTRS, rows, n, x->tmp, e);
}

static rc put_links(writer *x, err *e) {
    size_t n = x->links;
    if (n == 0) return RC_OK;
    int64_t *flags = arena_try_raw(x->tmp, n * 8, 8), *dropped = arena_try_raw(x->tmp, n * 8, 8);
    str *text = arena_try_raw(x->tmp, 3 * n * sizeof *text, 8);
    attr_row *rows = arena_try_raw(x->tmp, n * sizeof *rows, 8);
    if (!flags || !dropped || !text || !rows) return no_memory(e);
    size_t k = 0;
    for (size_t i = 0; i < x->n; i++) {
        for (uint32_t j = 0; j < x->s[i]->link_count; j++, k++) {
            const span_link *v = &x->s[i]->links[j];
            flags[k] = v->flags;
            dropped[k] = v->dropped_attrs;
            text[k] = v->trace_id;
            text[n + k] = v->span_id;
            text[2 * n + k] = v->trace_state;
            rows[k] = (attr_row){v->attrs, v->attr_count};
        }
    }
    PUT_I64(x, SP_LINK_COUNTS, link_count);
    part_i64(&x->w, SP_LINK_FLAGS, flags, n);
    part_i64(&x->w, SP_LINK_DROPPED, dropped, n);
    part_str(&x->w, SP_LINK_TRACES, text, n);
    part_str(&x->w, SP_LINK_SPANS, text + n, n);
    part_str(&x->w, SP_LINK_STATES, text + 2 * n, n);
    return attr_cols_put(&x->w, SP_LINK_ATTRS, rows, n, x->tmp, e);
}

/* --- filters --- */

static rc put_trace_filter(writer *x, err *e) {
    uint64_t *keys = arena_try_raw(x->tmp, x->runs * 8, 8);
    if (!keys) return no_memory(e);
    map64 seen; /* at level 0 a trace has many runs */
    map64_init(&seen, x->runs + 1);
    size_t n = 0;
    for (size_t r = 0; r < x->runs; r++) {
        uint64_t h = trace_id_hash(x->s[x->run_first[r]]->trace_id);
        bool added = true;
        IGNORE(!map64_put(&seen, h, &added)); /* without memory: doubles, which do no harm */
        if (added) keys[n++] = h;
    }
    map64_release(&seen);
    part_begin(&x->w, SP_TRACE_FILTER);
    bool ok = fuse_put(x->w.out, keys, n);
    part_end(&x->w, false);
    return ok ? RC_OK : no_memory(e);
}

typedef struct pair_key {
    uint64_t name; /* hash of the label's name */
    size_t seen;   /* different values */
    bool open;     /* all its values are in the filter */
} pair_key;

typedef struct pair_list {
    uint64_t *pairs;
    size_t count, share; /* at most share values of a name */
    pair_key keys[PAIR_KEYS_MAX];
    size_t key_count;
    map64 known, names;
} pair_list;

/* The name's number; key_count or more: not covered. Built-in names have values of their own. */
static size_t pair_key_of(pair_list *l, str key) {
    static const str builtins[] = {S_INIT("name"),         S_INIT("kind"),    S_INIT("status"),
                                   S_INIT("trace_id"),     S_INIT("span_id"), S_INIT("scope_name"),
                                   S_INIT("scope_version")};
    bool added;
    uint64_t *slot = map64_put(&l->names, str_hash(key), &added);
    if (!slot) return SIZE_MAX;
    if (!added) return (size_t)*slot;
    *slot = SIZE_MAX;
    label_name plain;
    str name = label_name_of(key, &plain);
    if (key.n > LABEL_NAME_MAX) return SIZE_MAX;
    for (size_t i = 0; i < ARRAY_LEN(builtins); i++) {
        if (str_eq(name, builtins[i])) return SIZE_MAX;
    }
    uint64_t h = str_hash(name);
    size_t at = 0; /* two keys may have one name */
    while (at < l->key_count && l->keys[at].name != h) at++;
    if (at == l->key_count) {
        if (l->key_count == PAIR_KEYS_MAX) return SIZE_MAX;
        l->keys[l->key_count++] = (pair_key){.name = h, .open = true};
    }
    *slot = at;
    return at;
}

static void pair_add(pair_list *l, const attribute *a) {
    size_t at = pair_key_of(l, a->key);
    if (at >= l->key_count || !l->keys[at].open) return;
    pair_key *key = &l->keys[at];
    char number[24];
    str text = a->val;
    if (a->type == ATTR_INT) {
        text = str_make(number, (size_t)snprintf(number, sizeof number, "%" PRId64, a->num));
    } else if (a->type == ATTR_BOOL) {
        text = a->num ? S("true") : S("false");
    } else if (a->type != ATTR_STR) {
        key->open = false;
        return;
    }
    bool added;
    uint64_t h = str_hash_seed(text, key->name); /* = label_pair_hash */
    if (!map64_put(&l->known, h, &added)) {
        key->open = false;
    } else if (added) {
        l->pairs[l->count++] = h;
        key->open = ++key->seen < l->share;
    }
}

/* Pairs of labels with few values: a search for a value that none has skips the block. Names with
 * many values (ids, paths) are not covered: their pairs would cost more than they save. Pairs of
 * names that turned out to be such stay in: they do no harm. */
static rc put_pair_filter(writer *x, err *e) {
    pair_list *l = arena_try_new(x->tmp, pair_list);
    if (!l) return no_memory(e);
    l->share = x->n / PAIR_SHARE + 16;
    l->pairs = arena_try_raw(x->tmp, PAIR_KEYS_MAX * l->share * 8, 8);
    if (!l->pairs) return no_memory(e);
    map64_init(&l->known, PAIR_KEYS_MAX * l->share);
    map64_init(&l->names, 1 << 16);
    for (size_t i = 0; i < x->resources.list.n; i++) {
        const resource *r = x->resources.list.v[i];
        for (uint32_t k = 0; k < r->attr_count; k++) pair_add(l, &r->attrs[k]);
    }
    for (size_t i = 0; i < x->n; i++) {
        for (uint32_t k = 0; k < x->s[i]->attr_count; k++) pair_add(l, &x->s[i]->attrs[k]);
    }
    rc code = RC_OK;
    if (l->count) {
        part_begin(&x->w, SP_PAIR_FILTER);
        if (!fuse_put(x->w.out, l->pairs, l->count)) code = no_memory(e);
        part_end(&x->w, false);
        part_begin(&x->w, SP_PAIR_KEYS);
        for (size_t i = 0; i < l->key_count; i++) {
            if (l->keys[i].open) x->w.ok &= buf_le64(x->w.out, l->keys[i].name);
        }
        part_end(&x->w, false);
    }
    map64_release(&l->known);
    map64_release(&l->names);
    return code;
}

/* --- a block --- */

static void put_head(writer *x) {
    part_begin(&x->w, SP_HEAD);
    x->w.ok &= buf_varint(x->w.out, x->n) && buf_varint(x->w.out, x->runs) &&
               buf_varint(x->w.out, x->literals) && buf_varint(x->w.out, x->events) &&
               buf_varint(x->w.out, x->links);
    part_end(&x->w, false);
}

static rc put_columns(writer *x, err *e) {
    x->col = arena_try_raw(x->tmp, x->n * sizeof *x->col, 8);
    x->text = arena_try_raw(x->tmp, x->n * sizeof *x->text, 8);
    x->run_first = arena_try_raw(x->tmp, (x->n + 1) * sizeof *x->run_first, 8);
    attr_row *rows = arena_try_raw(x->tmp, x->n * sizeof *rows, 8);
    if (!x->col || !x->text || !x->run_first || !rows) return no_memory(e);
    for (size_t i = 0; i < x->n; i++) {
        x->events += x->s[i]->event_count;
        x->links += x->s[i]->link_count;
        rows[i] = (attr_row){x->s[i]->attrs, x->s[i]->attr_count};
    }
    find_runs(x);
    rc code;
    if ((code = put_ids(x, e)) != RC_OK || (code = put_parents(x, e)) != RC_OK) return code;
    put_times(x);
    PUT_STR(x, SP_NAMES, name);
    PUT_I64(x, SP_KINDS, kind);
    PUT_I64(x, SP_STATUSES, status);
    PUT_STR(x, SP_MESSAGES, status_message);
    PUT_STR(x, SP_STATES, trace_state);
    PUT_I64(x, SP_FLAGS, flags);
    PUT_I64(x, SP_DROPPED_ATTRS, dropped_attrs);
    PUT_I64(x, SP_DROPPED_EVENTS, dropped_events);
    PUT_I64(x, SP_DROPPED_LINKS, dropped_links);
    if ((code = put_owners(x, e)) != RC_OK ||
        (code = attr_cols_put(&x->w, SP_ATTRS, rows, x->n, x->tmp, e)) != RC_OK ||
        (code = put_events(x, e)) != RC_OK || (code = put_links(x, e)) != RC_OK)
        return code;
    if ((code = put_trace_filter(x, e)) != RC_OK ||
        (x->w.level > 0 && (code = put_pair_filter(x, e)) != RC_OK))
        return code;
    put_head(x);
    return parts_end(&x->w, BLOCK_SPANS, SPAN_BLOCK_VERSION) ? RC_OK : no_memory(e);
}

static block_info info_of(const writer *x, uint64_t raw_bytes) {
    block_info info = {.kind = BLOCK_SPANS,
                       .level = (uint8_t)(x->w.level > 0),
                       .version = SPAN_BLOCK_VERSION,
                       .rows = (uint32_t)x->n,
                       .min_ts_ns = INT64_MAX,
                       .max_ts_ns = INT64_MIN,
                       .bytes = x->w.out->n,
                       .raw_bytes = raw_bytes};
    for (size_t i = 0; i < x->n; i++) {
        int64_t ts = span_time(x->s[i]->start_ns, x->s[i]->end_ns);
        info.min_ts_ns = MIN(info.min_ts_ns, ts);
        info.max_ts_ns = MAX(info.max_ts_ns, ts);
        info.severities |= UINT64_C(1) << (x->s[i]->status & 63);
    }
    for (size_t i = 0; i < x->resources.list.n; i++)
        info.labels |= block_service_bits(((const resource *)x->resources.list.v[i])->service);
    return info;
}

rc span_block_put(span *const *s, size_t count, int level, uint64_t raw_bytes, arena *tmp,
                  block_put put, void *put_ctx, err *e) {
    MUST(count > 0 && count <= BLOCK_ROWS_MAX);
    buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    writer x = {.s = s, .n = count, .tmp = tmp};
    parts_begin(&x.w, &out, level);
    owner_table_init(&x.resources);
    owner_table_init(&x.scopes);
    arena_mark m = arena_save(tmp);
    rc code = put_columns(&x, e);
    arena_restore(tmp, m);
    if (code == RC_OK) {
        block_info info = info_of(&x, raw_bytes);
        code = put(put_ctx, &info, buf_str(&out), e);
    }
    owner_table_release(&x.scopes);
    owner_table_release(&x.resources);
    parts_release(&x.w);
    buf_release(&out);
    return code;
}

static rc encode(telemetry *const *t, size_t count, block_put put, void *put_ctx, err *e) {
    size_t n = 0;
    uint64_t raw = 0;
    for (size_t i = 0; i < count; i++) {
        n += t[i]->spans.count;
        if (t[i]->spans.count) raw += t[i]->body_bytes;
    }
    if (n == 0) return RC_OK;
    arena tmp;
    arena_init(&tmp, "span blocks", WRITE_ARENA_MAX);
    span **rows = arena_try_raw(&tmp, n * sizeof *rows, 8);
    rc code = rows ? RC_OK : no_memory(e);
    size_t k = 0;
    for (size_t i = 0; i < count && rows; i++) {
        for (size_t j = 0; j < t[i]->spans.count; j++) rows[k++] = &t[i]->spans.rec[j];
    }
    for (size_t from = 0; from < n && code == RC_OK; from += BLOCK_L0_ROWS_MAX) {
        size_t some = MIN(n - from, (size_t)BLOCK_L0_ROWS_MAX);
        code = span_block_put(rows + from, some, 0, raw * some / n, &tmp, put, put_ctx, e);
    }
    arena_release(&tmp);
    return code;
}

/* --- merging --- */

typedef struct merge_row {
    span *s;
    int64_t trace_start; /* of the earliest span of its trace */
    uint64_t trace;      /* hash of its id */
} merge_row;

static int by_trace_and_start(const void *a, const void *b) {
    const merge_row *x = a, *y = b;
    if (x->trace_start != y->trace_start) return x->trace_start < y->trace_start ? -1 : 1;
    if (x->trace != y->trace) return x->trace < y->trace ? -1 : 1;
    int c = memcmp(x->s->trace_id, y->s->trace_id, TRACE_ID_BYTES);
    if (c) return c;
    if (x->s->start_ns != y->s->start_ns) return x->s->start_ns < y->s->start_ns ? -1 : 1;
    return x->s < y->s ? -1 : x->s > y->s; /* as they came */
}

typedef struct merger {
    arena mem; /* of the decoded batch */
    VEC(span *) rows;
    uint64_t raw_bytes;
    size_t max_bytes;
    block_put put;
    void *put_ctx;
} merger;

static rc flush(merger *m, err *e) {
    size_t n = m->rows.n;
    if (n == 0) return RC_OK;
    arena tmp;
    arena_init(&tmp, "span merge", WRITE_ARENA_MAX);
    merge_row *rows = arena_try_raw(&tmp, n * sizeof *rows, 8);
    map64 traces;
    map64_init(&traces, n);
    rc code = rows ? RC_OK : no_memory(e);
    for (size_t i = 0; rows && i < n; i++) {
        span *s = m->rows.v[i];
        rows[i] = (merge_row){.s = s, .trace = trace_id_hash(s->trace_id)};
        bool added;
        uint64_t *start = map64_put(&traces, rows[i].trace, &added);
        MUST(start);
        if (added || s->start_ns < (int64_t)*start) *start = (uint64_t)s->start_ns;
    }
    for (size_t i = 0; rows && i < n; i++) {
        const uint64_t *start = map64_get(&traces, rows[i].trace);
        MUST(start);
        rows[i].trace_start = (int64_t)*start;
    }
    map64_release(&traces);
    if (rows) {
        qsort(rows, n, sizeof *rows, by_trace_and_start);
        for (size_t i = 0; i < n; i++) m->rows.v[i] = rows[i].s;
    }
    /* Blocks of about the same size, none tiny. */
    size_t blocks = (n + SPAN_BLOCK_ROWS - 1) / SPAN_BLOCK_ROWS, from = 0;
    for (size_t b = 0; b < blocks && code == RC_OK; b++) {
        size_t to = n * (b + 1) / blocks;
        code = span_block_put(m->rows.v + from, to - from, 1, m->raw_bytes * (to - from) / n, &tmp,
                              m->put, m->put_ctx, e);
        from = to;
    }
    arena_release(&tmp);
    arena_reset(&m->mem);
    m->rows.n = 0;
    m->raw_bytes = 0;
    return code;
}

static rc add_block(merger *m, const block_io *io, const block_info *info, err *e) {
    span_block b;
    rc code = span_block_open(&b, io, info, &m->mem, e);
    if (code != RC_OK) return code;
    uint32_t *all = arena_try_raw(&m->mem, b.rows * sizeof *all, 8);
    span *s = arena_try_new_n(&m->mem, span, b.rows);
    if (!all || !s) code = no_memory(e);
    if (code == RC_OK) {
        for (uint32_t i = 0; i < b.rows; i++) all[i] = i;
        code = span_block_rows(&b, all, b.rows, s, e);
    }
    if (code == RC_OK) {
        for (size_t i = 0; i < b.rows; i++) vec_push(&m->rows, &s[i]);
        m->raw_bytes += info->raw_bytes;
    }
    span_block_close(&b);
    return code;
}

typedef struct input {
    size_t index;
    int64_t min_ts_ns;
} input;
static int by_time(const void *a, const void *b) {
    const input *x = a, *y = b;
    if (x->min_ts_ns != y->min_ts_ns) return x->min_ts_ns < y->min_ts_ns ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static rc merge(const block_io *in, const block_info *info, size_t count, size_t max_bytes,
                block_put put, void *put_ctx, const volatile int *cancel, size_t *ret_bad, err *e) {
    merger m = {.max_bytes = max_bytes, .put = put, .put_ctx = put_ctx};
    /* One block more than the batch may be decoded before the batch is found full. */
    arena_init(&m.mem, "span merge", MAX(max_bytes, (size_t)64 << 20) + ((size_t)1 << 30));
    input *order = mem_new_n(input, count + 1);
    for (size_t i = 0; i < count; i++) order[i] = (input){i, info[i].min_ts_ns};
    qsort(order, count, sizeof *order, by_time);
    rc code = RC_OK;
    for (size_t k = 0; k < count && code == RC_OK; k++) {
        size_t i = order[k].index;
        if (store_cancelled(cancel)) {
            code = RC_CANCELLED;
            break;
        }
        code = add_block(&m, &in[i], &info[i], e);
        if (code == RC_CORRUPT) *ret_bad = i;
        if (code == RC_OK && m.mem.used_bytes > max_bytes / 2) code = flush(&m, e);
    }
    if (code == RC_OK) code = flush(&m, e);
    mem_free(order);
    vec_release(&m.rows);
    arena_release(&m.mem);
    return code;
}

/* --- verifying --- */

static rc verify(const block_io *in, const block_info *info, err *e) {
    arena mem;
    arena_init(&mem, "span verify", (size_t)1 << 30);
    span_block b;
    rc code = span_block_open(&b, in, info, &mem, e);
    if (code == RC_OK) {
        uint32_t *all = arena_try_raw(&mem, b.rows * sizeof *all, 8);
        span *s = arena_try_new_n(&mem, span, b.rows);
        code = all && s ? parts_verify(&b.p, &mem, e) : no_memory(e);
        if (code == RC_OK) {
            for (uint32_t i = 0; i < b.rows; i++) all[i] = i;
            code = span_block_rows(&b, all, b.rows, s, e);
        }
        for (size_t i = 0; code == RC_OK && i < b.rows; i++) {
            int64_t ts = span_time(s[i].start_ns, s[i].end_ns);
            if (ts < info->min_ts_ns || ts > info->max_ts_ns)
                code = FAIL(e, RC_CORRUPT, "a span lies outside its block's range of time");
        }
        span_block_close(&b);
    }
    arena_release(&mem);
    return code;
}

const block_ops SPAN_BLOCKS = {.kind = BLOCK_SPANS,
                               .large_rows = SPAN_BLOCK_ROWS / 2,
                               .encode = encode,
                               .merge = merge,
                               .verify = verify};
