/* spanselect.c - searches for spans, and what labels they have.
 *
 * A block is asked in steps, each of which may end it: its statistics (time, statuses, services),
 * its filters (trace ids, label pairs), then one column for each condition, rows that fail leaving
 * the set. Records are built of what is left. A label's value is looked up in resource attributes,
 * scope, span attributes, built-in names, in this order (store.h).
 *
 * Without an order, records go to the sink block by block. With one, the places (time, block, row)
 * of the first `limit` are collected in a heap, blocks that end before its worst are skipped, and
 * the records are fetched at the end, some thousand at a time. */
#include "store/spanblock_int.h"

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/fuse.h"
#include "store/labels.h"
#include "store/select_int.h"
#include "sys/thread.h"

#include <stdlib.h>

enum {
    QUERY_ARENA_MAX = 1 << 30,
    PLACES_MAX = 4 << 20,
    CHUNK = 4096,
    NAMES_MAX = 100000,
    NAME_BYTES_MAX = 64 << 20,
    MEMO_MAX = 1 << 16
};

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory for a search of spans"); }

/* --- the value of a label, row by row --- */

typedef enum builtin {
    BUILTIN_NONE = 0,
    BUILTIN_NAME,
    BUILTIN_KIND,
    BUILTIN_STATUS,
    BUILTIN_TRACE_ID,
    BUILTIN_SPAN_ID,
    BUILTIN_SCOPE_NAME,
    BUILTIN_SCOPE_VERSION,
} builtin;

static const struct {
    str name;
    unsigned want;
} builtins[] = {
    [BUILTIN_NONE] = {S_INIT(""), 0},
    [BUILTIN_NAME] = {S_INIT("name"), WANT_NAMES},
    [BUILTIN_KIND] = {S_INIT("kind"), WANT_KINDS},
    [BUILTIN_STATUS] = {S_INIT("status"), WANT_STATUSES},
    [BUILTIN_TRACE_ID] = {S_INIT("trace_id"), WANT_TRACES},
    [BUILTIN_SPAN_ID] = {S_INIT("span_id"), WANT_PARENTS},
    [BUILTIN_SCOPE_NAME] = {S_INIT("scope_name"), 0},
    [BUILTIN_SCOPE_VERSION] = {S_INIT("scope_version"), 0},
};

static const char *const KINDS[] = {"unspecified", "internal", "server",
                                    "client",      "producer", "consumer"};
static const char *const STATUSES[] = {"unset", "ok", "error"};

typedef struct label_view {
    span_block *b;
    attr_label attrs;
    builtin builtin;
} label_view;

static rc view_open(label_view *v, span_block *b, str label, err *e) {
    *v = (label_view){.b = b};
    for (size_t i = 1; i < ARRAY_LEN(builtins); i++) {
        if (label_is(label, builtins[i].name)) v->builtin = (builtin)i;
    }
    rc code = span_block_load(b, WANT_OWNERS | WANT_SHAPES | builtins[v->builtin].want, e);
    if (code != RC_OK) return code;
    return attr_label_open(&v->attrs, &b->attrs, b->resources, b->resource_count, label, e);
}

static str name_of(const char *const *names, size_t count, int64_t i, arena *mem) {
    if (i >= 0 && (size_t)i < count) return str_c(names[i]);
    return str_fmt(mem, "%" PRId64, i);
}

static str hex_of(const uint8_t *id, size_t n, arena *mem) {
    char *to = arena_try_raw(mem, 2 * n, 1);
    if (!to) return STR_NONE;
    bytes_to_hex(id, n, to);
    return str_make(to, 2 * n);
}

static str builtin_value(const label_view *v, size_t row, arena *mem) {
    const span_block *b = v->b;
    switch (v->builtin) {
    case BUILTIN_NAME:
        return b->names[row];
    case BUILTIN_KIND:
        return name_of(KINDS, ARRAY_LEN(KINDS), b->kinds[row], mem);
    case BUILTIN_STATUS:
        return name_of(STATUSES, ARRAY_LEN(STATUSES), b->statuses[row], mem);
    case BUILTIN_TRACE_ID:
        return hex_of(b->traces + 16 * (size_t)b->run_of[row], 16, mem);
    case BUILTIN_SPAN_ID:
        return hex_of(b->ids + 8 * row, 8, mem);
    case BUILTIN_SCOPE_NAME:
    case BUILTIN_SCOPE_VERSION:
    case BUILTIN_NONE:
        break;
    }
    return STR_NONE;
}

/* Rows ascending. Texts live in mem (scratch) or in the block. */
static rc view_row(label_view *v, size_t row, arena *mem, str *ret, err *e) {
    const span_block *b = v->b;
    str own = v->attrs.of_resource[b->resource_of[row]];
    const scope *sc = b->scope_of[row] ? &b->scopes[b->scope_of[row]] : NULL;
    if (own.p) {
        *ret = own;
    } else if (sc && v->builtin == BUILTIN_SCOPE_NAME && sc->name.n) {
        *ret = sc->name;
    } else if (sc && v->builtin == BUILTIN_SCOPE_VERSION && sc->version.n) {
        *ret = sc->version;
    } else {
        rc code = attr_label_row(&v->attrs, row, mem, ret, e);
        if (code != RC_OK) return code;
        if (!ret->p) *ret = builtin_value(v, row, mem);
    }
    return RC_OK;
}

/* --- a search --- */

typedef struct place {
    int64_t ts_ns;
    uint32_t block, row;
} place;

typedef struct search {
    const span_select *q;
    matchers *m;
    snapshot *snap;
    block_cache *cache;
    sys_lock *lock;    /* guards what follows */
    uint64_t taken;    /* records handed to the sink */
    VEC(place) places; /* a heap with the worst on top once it is full */
    bool too_many;
    store_telemetry_sink sink;
    void *sink_ctx;
    /* of labels */
    str label;
    intern *names;
    VEC(uint64_t) name_counts;
} search;

static bool newest_first(const search *s) { return s->q->c.order == SELECT_NEWEST_FIRST; }
/* Does a come before b in the answer? Ties: by place, so that the answer is the same each time. */
static bool comes_before(const search *s, const place *a, const place *b) {
    if (a->ts_ns != b->ts_ns) return newest_first(s) ? a->ts_ns > b->ts_ns : a->ts_ns < b->ts_ns;
    return a->block != b->block ? a->block < b->block : a->row < b->row;
}

/* Can statistics alone tell that nothing matches? */
static bool pruned_by_info(const search *s, const block_info *info) {
    const span_select *q = s->q;
    if (q->status >= 0 && !(info->severities >> (q->status & 63) & 1)) return true;
    for (size_t i = 0; i < matchers_count(s->m); i++) {
        str only;
        if (!label_is(matchers_name(s->m, i), S("service_name")) || !matchers_only(s->m, i, &only))
            continue;
        /* A span's own attribute may have that name where the resource has none. */
        uint64_t bits = block_service_bits(only), none = block_service_bits(S(""));
        if ((info->labels & bits) != bits && (info->labels & none) != none) return true;
    }
    return false;
}

static rc pruned_by_pairs(const search *s, span_block *b, bool *ret, err *e) {
    *ret = false;
    if (matchers_count(s->m) == 0 || !parts_find(&b->p, SP_PAIR_FILTER)) return RC_OK;
    str keys, bytes;
    fuse f;
    rc code;
    if ((code = parts_get(&b->p, SP_PAIR_KEYS, b->mem, &keys, e)) != RC_OK ||
        (code = parts_get(&b->p, SP_PAIR_FILTER, b->mem, &bytes, e)) != RC_OK ||
        (code = fuse_open(bytes, &f, e)) != RC_OK)
        return code;
    for (size_t i = 0; i < matchers_count(s->m) && !*ret; i++) {
        str only;
        if (!matchers_only(s->m, i, &only)) continue;
        label_name plain;
        uint64_t name = str_hash(label_name_of(matchers_name(s->m, i), &plain));
        for (size_t k = 0; k + 8 <= keys.n; k += 8) {
            if (memcmp(keys.p + k, &name, 8) != 0) continue;
            *ret = !fuse_has(&f, str_hash_seed(only, name));
            break;
        }
    }
    return RC_OK;
}

/* The trace that is asked for, by id or by a matcher on trace_id. */
static bool wanted_trace(const search *s, uint8_t id[16]) {
    if (s->q->trace_id) {
        memcpy(id, s->q->trace_id, 16);
        return true;
    }
    for (size_t i = 0; i < matchers_count(s->m); i++) {
        str only;
        if (str_eq(matchers_name(s->m, i), S("trace_id")) && matchers_only(s->m, i, &only) &&
            hex_to_bytes(only, id, 16))
            return true;
    }
    return false;
}

#define KEEP_IF(rows, b, cond)                                                                     \
    for (size_t i = bitset_next(rows, (b)->rows, 0); i < (b)->rows;                                \
         i = bitset_next(rows, (b)->rows, i + 1)) {                                                \
        if (!(cond)) bitset_remove(rows, i);                                                       \
    }

static rc keep_by_times(const search *s, span_block *b, uint64_t *rows, err *e) {
    const span_select *q = s->q;
    bool range = q->c.from_ns || q->c.to_ns, length = q->min_duration_ns || q->max_duration_ns;
    if (!range && !length) return RC_OK;
    rc code = span_block_load(b, WANT_TIMES, e);
    if (code != RC_OK) return code;
    if (range) {
        KEEP_IF(rows, b,
                span_time(b->start[i], b->end[i]) >= q->c.from_ns &&
                    span_time(b->start[i], b->end[i]) < q->c.to_ns)
    }
    if (length) {
        for (size_t i = bitset_next(rows, b->rows, 0); i < b->rows;
             i = bitset_next(rows, b->rows, i + 1)) {
            int64_t d = (int64_t)((uint64_t)b->end[i] - (uint64_t)b->start[i]);
            if ((q->min_duration_ns && d < q->min_duration_ns) ||
                (q->max_duration_ns && d > q->max_duration_ns))
                bitset_remove(rows, i);
        }
    }
    return RC_OK;
}

static bool is_root(const uint8_t *parent) {
    uint64_t id;
    memcpy(&id, parent, 8);
    return id == 0;
}

static rc keep_by_columns(const search *s, span_block *b, uint64_t *rows, err *e) {
    const span_select *q = s->q;
    rc code;
    if (q->trace_id) {
        if ((code = span_block_load(b, WANT_TRACES, e)) != RC_OK) return code;
        KEEP_IF(rows, b, memcmp(b->traces + 16 * (size_t)b->run_of[i], q->trace_id, 16) == 0)
    }
    if ((code = keep_by_times(s, b, rows, e)) != RC_OK) return code;
    if (q->status >= 0) {
        if ((code = span_block_load(b, WANT_STATUSES, e)) != RC_OK) return code;
        KEEP_IF(rows, b, b->statuses[i] == q->status)
    }
    if (q->kind >= 0) {
        if ((code = span_block_load(b, WANT_KINDS, e)) != RC_OK) return code;
        KEEP_IF(rows, b, b->kinds[i] == q->kind)
    }
    if (q->name.n) {
        if ((code = span_block_load(b, WANT_NAMES, e)) != RC_OK) return code;
        KEEP_IF(rows, b, str_eq(b->names[i], q->name))
    }
    if (q->roots_only) {
        if ((code = span_block_load(b, WANT_PARENTS, e)) != RC_OK) return code;
        KEEP_IF(rows, b, is_root(b->parents + 8 * i))
    }
    return RC_OK;
}

/* One matcher: values repeat, so an answer is remembered by the hash of its value. */
static rc keep_by_matcher(const search *s, size_t m, span_block *b, uint64_t *rows, err *e) {
    if (bitset_next(rows, b->rows, 0) == b->rows) return RC_OK;
    label_view v;
    rc code = view_open(&v, b, matchers_name(s->m, m), e);
    if (code != RC_OK) return code;
    map64 memo;
    map64_init(&memo, MEMO_MAX);
    for (size_t i = bitset_next(rows, b->rows, 0); i < b->rows && code == RC_OK;
         i = bitset_next(rows, b->rows, i + 1)) {
        arena_mark mark = arena_save(b->mem);
        str value;
        code = view_row(&v, i, b->mem, &value, e);
        if (code == RC_OK) {
            bool added = true;
            uint64_t *known = map64_put(&memo, str_hash(value), &added);
            bool holds = known && !added ? *known == 1 : matchers_test(s->m, m, value);
            if (known && added) *known = holds;
            if (!holds) bitset_remove(rows, i);
        }
        arena_restore(b->mem, mark);
    }
    map64_release(&memo);
    return code;
}

/* Rows of the block that match; NULL in *ret when there are none. */
static rc select_rows(const search *s, span_block *b, uint32_t **ret, size_t *ret_count,
                      select_stats *stats, err *e) {
    *ret = NULL;
    *ret_count = 0;
    uint8_t trace[16];
    rc code;
    if (wanted_trace(s, trace)) {
        bool may;
        if ((code = span_block_may_have(b, trace, &may, e)) != RC_OK) return code;
        if (!may) {
            stats->blocks_pruned++;
            return RC_OK;
        }
    }
    bool pruned;
    if ((code = pruned_by_pairs(s, b, &pruned, e)) != RC_OK) return code;
    if (pruned) {
        stats->blocks_pruned++;
        return RC_OK;
    }
    stats->blocks_read++;
    stats->rows += b->rows;
    uint64_t *rows = arena_try_new_n(b->mem, uint64_t, bitset_words(b->rows));
    if (!rows) return no_memory(e);
    for (size_t i = 0; i < b->rows; i++) bitset_add(rows, i);
    if ((code = keep_by_columns(s, b, rows, e)) != RC_OK) return code;
    for (size_t m = 0; m < matchers_count(s->m); m++) {
        if ((code = keep_by_matcher(s, m, b, rows, e)) != RC_OK) return code;
    }
    size_t n = bitset_count(rows, b->rows), k = 0;
    if (n == 0) return RC_OK;
    uint32_t *list = arena_try_raw(b->mem, n * sizeof *list, 8);
    if (!list) return no_memory(e);
    for (size_t i = bitset_next(rows, b->rows, 0); i < b->rows;
         i = bitset_next(rows, b->rows, i + 1))
        list[k++] = (uint32_t)i;
    stats->rows_matched += n;
    *ret = list;
    *ret_count = n;
    return RC_OK;
}

/* --- without an order: records as they are found --- */

static rc emit(search *s, unsigned worker, span_block *b, const uint32_t *rows, size_t n, err *e) {
    bool last = false;
    sys_lock_take(s->lock);
    if (s->q->c.limit) {
        n = (size_t)MIN((uint64_t)n, s->q->c.limit - s->taken);
        last = s->taken + n == s->q->c.limit;
    }
    s->taken += n;
    sys_lock_give(s->lock);
    if (n) {
        span *rec = arena_try_new_n(b->mem, span, n);
        if (!rec) return no_memory(e);
        rc code = span_block_rows(b, rows, n, rec, e);
        if (code != RC_OK) return code;
        telemetry t = {.spans = {.rec = rec, .count = n, .cap = n}};
        if ((code = s->sink(s->sink_ctx, worker, &t, e)) != RC_OK) return code;
    }
    return last ? RC_END : RC_OK;
}

/* --- with an order: places first --- */

static void sift_down(search *s, size_t i) {
    place *v = s->places.v;
    for (;;) {
        size_t worst = i, l = 2 * i + 1;
        if (l < s->places.n && comes_before(s, &v[worst], &v[l])) worst = l;
        if (l + 1 < s->places.n && comes_before(s, &v[worst], &v[l + 1])) worst = l + 1;
        if (worst == i) return;
        place p = v[i];
        v[i] = v[worst];
        v[worst] = p;
        i = worst;
    }
}

static void add_place(search *s, place p) {
    size_t max = s->q->c.limit ? (size_t)MIN(s->q->c.limit, (uint64_t)PLACES_MAX) : PLACES_MAX;
    if (s->places.n < max) {
        vec_push(&s->places, p);
        if (s->places.n == max) {
            for (size_t i = max / 2 + 1; i-- > 0;) sift_down(s, i);
        }
        return;
    }
    s->too_many |= max == PLACES_MAX && s->q->c.limit != PLACES_MAX;
    if (!comes_before(s, &p, &s->places.v[0])) return;
    s->places.v[0] = p;
    sift_down(s, 0);
}

static rc collect(search *s, span_block *b, const block_ref *ref, const uint32_t *rows, size_t n,
                  err *e) {
    rc code = span_block_load(b, WANT_TIMES, e);
    if (code != RC_OK) return code;
    uint32_t block = 0;
    while (snapshot_at(s->snap, block) != ref) block++;
    sys_lock_take(s->lock);
    for (size_t i = 0; i < n; i++)
        add_place(s, (place){span_time(b->start[rows[i]], b->end[rows[i]]), block, rows[i]});
    sys_lock_give(s->lock);
    return RC_OK;
}

/* Every row of it would come after the worst of a full heap. */
static bool comes_too_late(search *s, const block_info *info) {
    if (s->q->c.order == SELECT_ANY || !s->q->c.limit) return false;
    sys_lock_take(s->lock);
    bool full = s->places.n >= s->q->c.limit && s->places.n;
    int64_t worst = full ? s->places.v[0].ts_ns : 0;
    sys_lock_give(s->lock);
    if (!full) return false;
    return newest_first(s) ? info->max_ts_ns < worst : info->min_ts_ns > worst;
}

typedef rc (*use_rows)(search *s, unsigned worker, const block_ref *ref, span_block *b,
                       const uint32_t *rows, size_t n, err *e);

/* The filter of trace ids when the cache has it: then the block is not even opened. */
static bool pruned_by_cache(const search *s, const block_io *io) {
    uint8_t trace[16];
    if (!s->cache || !wanted_trace(s, trace)) return false;
    size_t n;
    const void *bytes = block_cache_get(s->cache, io->id, SP_TRACE_FILTER, &n);
    if (!bytes) return false;
    fuse f;
    bool no =
        fuse_open(str_make(bytes, n), &f, NULL) == RC_OK && !fuse_has(&f, trace_id_hash(trace));
    block_cache_unpin(s->cache, bytes);
    return no;
}

static rc use_block(search *s, unsigned worker, const block_ref *ref, use_rows use,
                    select_stats *stats, err *e) {
    if (pruned_by_info(s, &ref->info) || comes_too_late(s, &ref->info) ||
        pruned_by_cache(s, &ref->io)) {
        stats->blocks_pruned++;
        return RC_OK;
    }
    arena mem;
    arena_init(&mem, "span query", QUERY_ARENA_MAX);
    span_block b;
    uint32_t *rows = NULL;
    size_t n = 0;
    rc code = span_block_open(&b, &ref->io, &ref->info, &mem, e);
    b.p.cache = s->cache;
    if (code == RC_OK) code = select_rows(s, &b, &rows, &n, stats, e);
    if (code == RC_OK && n) code = use(s, worker, ref, &b, rows, n, e);
    stats->bytes_read += b.p.bytes_read;
    stats->bytes_decoded += b.p.bytes_decoded;
    span_block_close(&b);
    arena_release(&mem);
    return code;
}

static rc use_for_records(search *s, unsigned worker, const block_ref *ref, span_block *b,
                          const uint32_t *rows, size_t n, err *e) {
    if (s->q->c.order == SELECT_ANY) return emit(s, worker, b, rows, n, e);
    return collect(s, b, ref, rows, n, e);
}

static rc visit(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats, err *e) {
    return use_block(ctx, worker, ref, use_for_records, stats, e);
}

/* --- records of places, copied out of their blocks --- */

static bool copy_items(arena *mem, const span *s, span *to) {
    span_event *v = arena_try_new_n(mem, span_event, (size_t)s->event_count + 1);
    span_link *l = arena_try_new_n(mem, span_link, (size_t)s->link_count + 1);
    if (!v || !l) return false;
    for (uint32_t i = 0; i < s->event_count; i++) {
        v[i] = s->events[i];
        v[i].name = str_dup(mem, v[i].name);
        if (!attrs_copy(mem, s->events[i].attrs, v[i].attr_count, &v[i].attrs)) return false;
    }
    for (uint32_t i = 0; i < s->link_count; i++) {
        l[i] = s->links[i];
        l[i].trace_id = str_dup(mem, l[i].trace_id);
        l[i].span_id = str_dup(mem, l[i].span_id);
        l[i].trace_state = str_dup(mem, l[i].trace_state);
        if (!attrs_copy(mem, s->links[i].attrs, l[i].attr_count, &l[i].attrs)) return false;
    }
    to->events = v;
    to->links = l;
    return true;
}

typedef struct copier {
    arena *mem;
    map64 resources, scopes; /* pointers of one block to their copies */
} copier;

static bool copy_span(copier *c, const span *s, span *to) {
    arena *mem = c->mem;
    *to = *s;
    uint64_t *r = map64_put(&c->resources, (uintptr_t)s->resource, NULL);
    if (!r) return false;
    if (!*r) *r = (uintptr_t)resource_copy(mem, s->resource);
    to->resource = (const resource *)(uintptr_t)*r;
    if (!to->resource) return false;
    if (s->scope) {
        uint64_t *p = map64_put(&c->scopes, (uintptr_t)s->scope, NULL);
        if (!p) return false;
        if (!*p) *p = (uintptr_t)scope_copy(mem, s->scope);
        to->scope = (const scope *)(uintptr_t)*p;
        if (!to->scope) return false;
    }
    to->name = str_dup(mem, s->name);
    to->trace_state = str_dup(mem, s->trace_state);
    to->status_message = str_dup(mem, s->status_message);
    return attrs_copy(mem, s->attrs, s->attr_count, &to->attrs) && copy_items(mem, s, to);
}

/* Records of one block for places[i..], which are all of it; order[i] says where each goes. */
static rc fetch_block(search *s, const place *const *p, size_t n, const place *first, arena *mem,
                      span *to, select_stats *stats, err *e) {
    const block_ref *ref = snapshot_at(s->snap, p[0]->block);
    arena own;
    arena_init(&own, "span query", QUERY_ARENA_MAX);
    span_block b;
    rc code = span_block_open(&b, &ref->io, &ref->info, &own, e);
    b.p.cache = s->cache;
    uint32_t *rows = arena_try_raw(&own, n * sizeof *rows, 8);
    span *rec = arena_try_new_n(&own, span, n);
    if (code == RC_OK && (!rows || !rec)) code = no_memory(e);
    if (code == RC_OK) {
        for (size_t i = 0; i < n; i++) rows[i] = p[i]->row;
        code = span_block_rows(&b, rows, n, rec, e);
    }
    copier c = {.mem = mem};
    map64_init(&c.resources, CHUNK);
    map64_init(&c.scopes, CHUNK);
    for (size_t i = 0; i < n && code == RC_OK; i++) {
        if (!copy_span(&c, &rec[i], &to[p[i] - first])) code = no_memory(e);
    }
    map64_release(&c.resources);
    map64_release(&c.scopes);
    stats->bytes_read += b.p.bytes_read;
    stats->bytes_decoded += b.p.bytes_decoded;
    span_block_close(&b);
    arena_release(&own);
    return code;
}

static int by_block_and_row(const void *a, const void *b) {
    const place *x = *(const place *const *)a, *y = *(const place *const *)b;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static rc fetch_chunk(search *s, const place *p, size_t n, select_stats *stats, err *e) {
    arena mem;
    arena_init(&mem, "span answer", QUERY_ARENA_MAX);
    span *rec = arena_try_new_n(&mem, span, n);
    const place **order = arena_try_raw(&mem, n * sizeof *order, 8);
    rc code = rec && order ? RC_OK : no_memory(e);
    if (code == RC_OK) {
        for (size_t i = 0; i < n; i++) order[i] = &p[i];
        qsort(order, n, sizeof *order, by_block_and_row);
        for (size_t i = 0; i < n && code == RC_OK;) {
            size_t k = i;
            while (k < n && order[k]->block == order[i]->block) k++;
            code = fetch_block(s, order + i, k - i, p, &mem, rec, stats, e);
            i = k;
        }
    }
    if (code == RC_OK) {
        telemetry t = {.spans = {.rec = rec, .count = n, .cap = n}};
        code = s->sink(s->sink_ctx, 0, &t, e);
    }
    arena_release(&mem);
    return code;
}

/* Heap sort: the worst goes to the end. */
static void sort_places(search *s) {
    size_t n = s->places.n;
    for (size_t i = n / 2 + 1; i-- > 0 && n;) sift_down(s, i);
    while (s->places.n > 1) {
        place p = s->places.v[0];
        s->places.v[0] = s->places.v[--s->places.n];
        sift_down(s, 0);
        s->places.v[s->places.n] = p;
    }
    s->places.n = n;
}

static rc fetch_places(search *s, select_stats *stats, err *e) {
    sort_places(s);
    if (s->too_many) {
        stats->partial = true;
        IGNORE(snprintf(stats->reason, sizeof stats->reason, "more than %d spans to be sorted",
                        (int)PLACES_MAX) < 0); /* fits */
    }
    rc code = RC_OK;
    for (size_t i = 0; i < s->places.n && code == RC_OK; i += CHUNK) {
        if (store_cancelled(s->q->c.cancel)) return RC_CANCELLED;
        code = fetch_chunk(s, s->places.v + i, MIN((size_t)CHUNK, s->places.n - i), stats, e);
    }
    return code;
}

static rc search_begin(search *s, store *st, const span_select *q, select_stats *stats, err *e) {
    *s = (search){.q = q, .cache = store_block_cache(st)};
    rc code = matchers_new(q->c.match, q->c.match_count, &s->m, e);
    if (code != RC_OK) return code;
    code = snapshot_take(st, BLOCK_SPANS, q->c.from_ns, q->c.to_ns, q->c.order, &s->snap, stats, e);
    if (code != RC_OK) {
        matchers_free(s->m);
        return code;
    }
    s->lock = sys_lock_new("span query");
    return RC_OK;
}

static void search_end(search *s) {
    vec_release(&s->places);
    sys_lock_free(s->lock);
    snapshot_release(s->snap);
    matchers_free(s->m);
}

rc spans_select(store *st, const span_select *q, store_telemetry_sink sink, void *ctx,
                select_stats *stats, err *e) {
    select_stats own = {0};
    if (!stats) stats = &own;
    search s;
    rc code = search_begin(&s, st, q, stats, e);
    if (code != RC_OK) return code;
    s.sink = sink;
    s.sink_ctx = ctx;
    code = snapshot_each(s.snap, &q->c, visit, &s, stats, e);
    if (code == RC_OK && q->c.order != SELECT_ANY) code = fetch_places(&s, stats, e);
    search_end(&s);
    return code == RC_END ? RC_OK : code;
}

/* --- labels --- */

static void add_name(search *s, str name, uint64_t count) {
    uint32_t id = intern_put(s->names, name);
    if (id == INTERN_NONE) {
        s->too_many = true;
        return;
    }
    if (id == s->name_counts.n) vec_push(&s->name_counts, 0);
    s->name_counts.v[id] += count;
}

static rc add_names(search *s, span_block *b, const uint32_t *rows, size_t n, err *e) {
    rc code = span_block_load(b, WANT_OWNERS | WANT_SHAPES, e);
    if (code != RC_OK) return code;
    uint64_t *shapes = arena_try_new_n(b->mem, uint64_t, b->attrs.shape_count);
    uint64_t *owners = arena_try_new_n(b->mem, uint64_t, b->resource_count + 1);
    uint64_t *columns = arena_try_new_n(b->mem, uint64_t, (size_t)b->attrs.column_count + 1);
    for (uint32_t c = 0; c < b->attrs.column_count; c++) {
        if (b->attrs.columns[c].type != ATTR_OTHER) continue;
        if ((code = attr_cols_load(&b->attrs, c, e)) != RC_OK) return code;
    }
    if (!shapes || !owners || !columns) return no_memory(e);
    for (size_t i = 0; i < n; i++) {
        shapes[b->attrs.shape_of ? b->attrs.shape_of[rows[i]] : 0]++;
        owners[b->resource_of[rows[i]]]++;
    }
    for (uint32_t k = 0; k < b->attrs.shape_count; k++) {
        const attr_shape *sh = &b->attrs.shapes[k];
        for (uint32_t c = 0; c < sh->n; c++) columns[sh->columns[c]] += shapes[k];
    }
    label_name plain;
    sys_lock_take(s->lock);
    for (size_t r = 0; r < b->resource_count; r++) {
        const resource *x = &b->resources[r];
        for (uint32_t k = 0; k < x->attr_count && owners[r]; k++)
            add_name(s, label_name_of(x->attrs[k].key, &plain), owners[r]);
    }
    for (uint32_t c = 0; c < b->attrs.column_count; c++) {
        const attr_column *col = &b->attrs.columns[c];
        if (columns[c] && col->type != ATTR_OTHER)
            add_name(s, label_name_of(col->key, &plain), columns[c]);
        /* Rare keys of the whole block, whether or not the rows have them. */
        for (size_t i = 0; columns[c] && col->type == ATTR_OTHER && i < col->count; i++) {
            attribute a;
            if (attr_column_get(col, i, b->mem, &a, NULL) == RC_OK)
                add_name(s, label_name_of(a.key, &plain), 1);
        }
    }
    add_name(s, S("name"), n);
    add_name(s, S("kind"), n);
    add_name(s, S("status"), n);
    sys_lock_give(s->lock);
    return RC_OK;
}

static rc add_values(search *s, span_block *b, const uint32_t *rows, size_t n, err *e) {
    label_view v;
    rc code = view_open(&v, b, s->label, e);
    for (size_t i = 0; i < n && code == RC_OK; i++) {
        arena_mark mark = arena_save(b->mem);
        str value;
        code = view_row(&v, rows[i], b->mem, &value, e);
        if (code == RC_OK && value.n) {
            sys_lock_take(s->lock);
            add_name(s, value, 1);
            sys_lock_give(s->lock);
        }
        arena_restore(b->mem, mark);
    }
    return code;
}

static rc use_for_labels(search *s, unsigned worker, const block_ref *ref, span_block *b,
                         const uint32_t *rows, size_t n, err *e) {
    (void)worker, (void)ref;
    return s->label.n ? add_values(s, b, rows, n, e) : add_names(s, b, rows, n, e);
}

static rc visit_labels(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                       err *e) {
    return use_block(ctx, worker, ref, use_for_labels, stats, e);
}

rc spans_labels(store *st, str label, const select_common *c, store_name_sink sink, void *ctx,
                select_stats *stats, err *e) {
    select_stats own = {0};
    if (!stats) stats = &own;
    span_select q = {.c = *c, .status = -1, .kind = -1};
    q.c.order = SELECT_ANY;
    q.c.limit = 0; /* of names, not of records */
    search s;
    rc code = search_begin(&s, st, &q, stats, e);
    if (code != RC_OK) return code;
    intern names;
    intern_init(&names, "labels", NAMES_MAX, NAME_BYTES_MAX);
    s.names = &names;
    s.label = label;
    code = snapshot_each(s.snap, &q.c, visit_labels, &s, stats, e);
    size_t n = s.name_counts.n;
    if (s.too_many || (c->limit && c->limit < n)) {
        stats->partial = true;
        IGNORE(snprintf(stats->reason, sizeof stats->reason, "more than %zu names",
                        c->limit && c->limit < n ? (size_t)c->limit : (size_t)NAMES_MAX) <
               0); /* fits */
        if (c->limit) n = (size_t)MIN(c->limit, (uint64_t)n);
    }
    for (size_t i = 0; i < n && code == RC_OK; i++)
        code = sink(ctx, intern_str(&names, (uint32_t)i), s.name_counts.v[i], e);
    vec_release(&s.name_counts);
    intern_release(&names);
    search_end(&s);
    return code == RC_END ? RC_OK : code;
}
