/* edgeblock.c - service edges as blocks: rows (caller, callee, kind, minute) with counts and a
 * sketch of latencies. Everything in a row adds up, so a merge sums rows of the same name and
 * minute and a reader sums over blocks: no order, no state.
 *
 * Sketch: bucket of d nanoseconds: below 8 d itself, else 8 for each power of two, chosen by the
 * three bits behind the highest: relative width 1/8 to 1/16. Sparse: few buckets of a minute are
 * in use. Source: HdrHistogram's bucketing with 3 bits of precision. */
#include "store/edgeblock_int.h"

#include "base/mem.h"
#include "base/rng.h"
#include "store/column.h"
#include "store/intcode.h"
#include "store/select_int.h"

#include <stdlib.h>

enum {
    EP_HEAD = 1,
    EP_CALLERS,
    EP_CALLEES,
    EP_KINDS,
    EP_MINUTES,
    EP_CALLS,
    EP_ERRORS,
    EP_SUMS,
    EP_MAXIMA,
    EP_SIZES,
    EP_BUCKETS,
    EP_COUNTS
};
enum { NAME_BYTES_MAX = 256, NAMES_BYTES_MAX = 16 << 20, ARENA_MAX = 256 << 20 };

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory for service edges"); }
static rc damaged(err *e) { return FAIL(e, RC_CORRUPT, "damaged block of service edges"); }

/* --- the table --- */

void edge_table_init(edge_table *t) {
    *t = (edge_table){0};
    intern_init(&t->names, "edge names", EDGE_NAMES_MAX, NAMES_BYTES_MAX);
    map64_init(&t->by_key, EDGE_ROWS_MAX);
    MUST(intern_put(&t->names, S("")) == 0);
    t->other = intern_put(&t->names, S("(other)"));
}

void edge_table_reset(edge_table *t) {
    for (size_t i = 0; i < t->rows.n; i++) vec_release(&t->rows.v[i].sketch);
    t->rows.n = 0;
    map64_reset(&t->by_key);
}

void edge_table_release(edge_table *t) {
    edge_table_reset(t);
    vec_release(&t->rows);
    map64_release(&t->by_key);
    intern_release(&t->names);
}

uint32_t edge_table_name(edge_table *t, str name) {
    if (name.n > NAME_BYTES_MAX) name = str_sub(name, 0, NAME_BYTES_MAX);
    uint32_t id = intern_put(&t->names, name);
    return id == INTERN_NONE ? t->other : id;
}

edge_row *edge_table_row(edge_table *t, uint32_t caller, uint32_t callee, uint32_t kind,
                         int64_t minute_ns) {
    uint64_t key = mix64((uint64_t)caller << 40 ^ (uint64_t)callee << 16 ^ kind) ^
                   (uint64_t)(minute_ns / EDGE_MINUTE_NS) * 0x9E3779B97F4A7C15u;
    for (;; key = mix64(key + 1)) { /* keys may collide: rows are compared */
        const uint64_t *at = map64_get(&t->by_key, key);
        if (!at) break;
        edge_row *r = &t->rows.v[*at];
        if (r->caller == caller && r->callee == callee && r->kind == kind &&
            r->minute_ns == minute_ns)
            return r;
    }
    uint64_t *at = t->rows.n < EDGE_ROWS_MAX ? map64_put(&t->by_key, key, NULL) : NULL;
    if (!at) return NULL;
    *at = t->rows.n;
    vec_push(&t->rows,
             (edge_row){.caller = caller, .callee = callee, .kind = kind, .minute_ns = minute_ns});
    return &t->rows.v[t->rows.n - 1];
}

void edge_row_add(edge_row *r, uint16_t index, uint64_t count) {
    size_t lo = 0, hi = r->sketch.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r->sketch.v[mid].index < index)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < r->sketch.n && r->sketch.v[lo].index == index) {
        r->sketch.v[lo].count += count;
        return;
    }
    vec_push(&r->sketch, (edge_bucket){0});
    memmove(r->sketch.v + lo + 1, r->sketch.v + lo, (r->sketch.n - 1 - lo) * sizeof(edge_bucket));
    r->sketch.v[lo] = (edge_bucket){index, count};
}

unsigned edge_bucket_of(uint64_t ns) {
    if (ns < 8) return (unsigned)ns;
    unsigned e = bits_highest(ns);
    return (e - 2) * 8 + (unsigned)(ns >> (e - 3) & 7);
}

static double bucket_middle(unsigned b) {
    if (b < 8) return b;
    unsigned e = b / 8 + 2;
    double width = (double)(UINT64_C(1) << (e - 3));
    return (8 + b % 8) * width + width / 2;
}

double edge_row_quantile(const edge_row *r, double q) {
    uint64_t all = 0, seen = 0;
    for (size_t i = 0; i < r->sketch.n; i++) all += r->sketch.v[i].count;
    for (size_t i = 0; i < r->sketch.n; i++) {
        seen += r->sketch.v[i].count;
        if ((double)seen >= q * (double)all)
            return MIN(bucket_middle(r->sketch.v[i].index), (double)r->max_ns);
    }
    return 0;
}

/* --- writing --- */

static int by_minute_and_names(const edge_table *t, const edge_row *a, const edge_row *b) {
    if (a->minute_ns != b->minute_ns) return a->minute_ns < b->minute_ns ? -1 : 1;
    int c = str_cmp(intern_str(&t->names, a->caller), intern_str(&t->names, b->caller));
    if (!c) c = str_cmp(intern_str(&t->names, a->callee), intern_str(&t->names, b->callee));
    return c ? c : (a->kind > b->kind) - (a->kind < b->kind);
}

/* Merge sort: qsort has no context and the order needs the names. */
static void sort_rows(const edge_table *t, edge_row *v, edge_row *tmp, size_t n) {
    if (n < 2) return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort_rows(t, v, tmp, half);
    sort_rows(t, v + half, tmp, n - half);
    memcpy(tmp, v, n * sizeof *v);
    while (i < half && j < n)
        v[k++] = by_minute_and_names(t, &tmp[i], &tmp[j]) <= 0 ? tmp[i++] : tmp[j++];
    while (i < half) v[k++] = tmp[i++];
    while (j < n) v[k++] = tmp[j++];
}

static void put_numbers(parts_writer *w, const edge_table *t, int64_t *col) {
    size_t n = t->rows.n;
    const edge_row *r = t->rows.v;
    for (size_t i = 0; i < n; i++) col[i] = r[i].minute_ns / EDGE_MINUTE_NS;
    part_i64(w, EP_MINUTES, col, n);
    for (size_t i = 0; i < n; i++) col[i] = (int64_t)r[i].calls;
    part_i64(w, EP_CALLS, col, n);
    for (size_t i = 0; i < n; i++) col[i] = (int64_t)r[i].errors;
    part_i64(w, EP_ERRORS, col, n);
    for (size_t i = 0; i < n; i++) col[i] = (int64_t)r[i].sum_ns;
    part_i64(w, EP_SUMS, col, n);
    for (size_t i = 0; i < n; i++) col[i] = (int64_t)r[i].max_ns;
    part_i64(w, EP_MAXIMA, col, n);
    for (size_t i = 0; i < n; i++) col[i] = (int64_t)r[i].sketch.n;
    part_i64(w, EP_SIZES, col, n);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < r[i].sketch.n; j++) col[k++] = r[i].sketch.v[j].index;
    }
    part_i64(w, EP_BUCKETS, col, k);
    k = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < r[i].sketch.n; j++) col[k++] = (int64_t)r[i].sketch.v[j].count;
    }
    part_i64(w, EP_COUNTS, col, k);
}

rc edge_table_put(edge_table *t, int level, uint64_t raw_bytes, block_put put, void *put_ctx,
                  err *e) {
    size_t n = t->rows.n, buckets = 0;
    if (n == 0) return RC_OK;
    for (size_t i = 0; i < n; i++) buckets += t->rows.v[i].sketch.n;
    arena tmp;
    arena_init(&tmp, "edge blocks", ARENA_MAX);
    edge_row *room = arena_try_raw(&tmp, n * sizeof *room, 8);
    int64_t *col = arena_try_raw(&tmp, MAX(n, buckets) * sizeof *col, 8);
    str *text = arena_try_raw(&tmp, n * sizeof *text, 8);
    buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    parts_writer w;
    parts_begin(&w, &out, level);
    rc code = no_memory(e);
    if (room && col && text) {
        sort_rows(t, t->rows.v, room, n);
        const edge_row *r = t->rows.v;
        for (size_t i = 0; i < n; i++) text[i] = intern_str(&t->names, r[i].caller);
        part_str(&w, EP_CALLERS, text, n);
        for (size_t i = 0; i < n; i++) text[i] = intern_str(&t->names, r[i].callee);
        part_str(&w, EP_CALLEES, text, n);
        for (size_t i = 0; i < n; i++) text[i] = intern_str(&t->names, r[i].kind);
        part_str(&w, EP_KINDS, text, n);
        put_numbers(&w, t, col);
        part_begin(&w, EP_HEAD);
        w.ok &= buf_varint(&out, n) && buf_varint(&out, buckets);
        part_end(&w, false);
        if (parts_end(&w, BLOCK_EDGES, EDGE_BLOCK_VERSION)) {
            block_info info = {.kind = BLOCK_EDGES,
                               .level = (uint8_t)(level > 0),
                               .version = EDGE_BLOCK_VERSION,
                               .rows = (uint32_t)n,
                               .min_ts_ns = r[0].minute_ns,
                               .max_ts_ns = r[n - 1].minute_ns + EDGE_MINUTE_NS - 1,
                               .bytes = out.n,
                               .raw_bytes = raw_bytes};
            err_reset(e);
            code = put(put_ctx, &info, buf_str(&out), e);
        }
    }
    parts_release(&w);
    buf_release(&out);
    arena_release(&tmp);
    return code;
}

/* --- reading --- */

typedef struct edge_columns {
    size_t n, bucket_count;
    str *caller, *callee, *kind;
    int64_t *minute, *calls, *errors, *sum, *max, *size, *bucket, *count;
} edge_columns;

static rc read_columns(parts *p, const block_info *info, arena *mem, edge_columns *c, err *e) {
    str head;
    uint64_t n, buckets;
    rc code = parts_get(p, EP_HEAD, mem, &head, e);
    if (code != RC_OK) return code;
    if (!take_varint(&head, EDGE_ROWS_MAX, &n) || n != info->rows ||
        !take_varint(&head, n * EDGE_BUCKETS, &buckets) || head.n)
        return damaged(e);
    c->n = (size_t)n;
    c->bucket_count = (size_t)buckets;
    if ((code = parts_str(p, EP_CALLERS, c->n, mem, &c->caller, e)) != RC_OK ||
        (code = parts_str(p, EP_CALLEES, c->n, mem, &c->callee, e)) != RC_OK ||
        (code = parts_str(p, EP_KINDS, c->n, mem, &c->kind, e)) != RC_OK ||
        (code = parts_i64(p, EP_MINUTES, c->n, mem, &c->minute, e)) != RC_OK ||
        (code = parts_i64(p, EP_CALLS, c->n, mem, &c->calls, e)) != RC_OK ||
        (code = parts_i64(p, EP_ERRORS, c->n, mem, &c->errors, e)) != RC_OK ||
        (code = parts_i64(p, EP_SUMS, c->n, mem, &c->sum, e)) != RC_OK ||
        (code = parts_i64(p, EP_MAXIMA, c->n, mem, &c->max, e)) != RC_OK ||
        (code = parts_i64(p, EP_SIZES, c->n, mem, &c->size, e)) != RC_OK ||
        (code = parts_i64(p, EP_BUCKETS, c->bucket_count, mem, &c->bucket, e)) != RC_OK ||
        (code = parts_i64(p, EP_COUNTS, c->bucket_count, mem, &c->count, e)) != RC_OK)
        return code;
    uint64_t left = c->bucket_count;
    for (size_t i = 0; i < c->n; i++) {
        if ((uint64_t)c->size[i] > left || c->minute[i] > INT64_MAX / EDGE_MINUTE_NS - 1 ||
            c->minute[i] < INT64_MIN / EDGE_MINUTE_NS + 1)
            return damaged(e);
        left -= (uint64_t)c->size[i];
    }
    for (size_t i = 0; i < c->bucket_count; i++) {
        if ((uint64_t)c->bucket[i] >= EDGE_BUCKETS) return damaged(e);
    }
    return left ? damaged(e) : RC_OK;
}

static rc add_columns(edge_table *t, const edge_columns *c, int64_t from_ns, int64_t to_ns,
                      select_stats *stats) {
    size_t k = 0;
    for (size_t i = 0; i < c->n; k += (size_t)c->size[i++]) {
        int64_t minute = c->minute[i] * EDGE_MINUTE_NS;
        if ((from_ns || to_ns) && (minute + EDGE_MINUTE_NS <= from_ns || minute >= to_ns)) continue;
        edge_row *r =
            edge_table_row(t, edge_table_name(t, c->caller[i]), edge_table_name(t, c->callee[i]),
                           edge_table_name(t, c->kind[i]), minute);
        if (!r) return RC_LIMIT;
        r->calls += (uint64_t)c->calls[i];
        r->errors += (uint64_t)c->errors[i];
        r->sum_ns += (uint64_t)c->sum[i];
        r->max_ns = MAX(r->max_ns, (uint64_t)c->max[i]);
        for (int64_t j = 0; j < c->size[i]; j++)
            edge_row_add(r, (uint16_t)c->bucket[k + (size_t)j], (uint64_t)c->count[k + (size_t)j]);
        if (stats) stats->rows_matched++;
    }
    return RC_OK;
}

static rc open_columns(parts *p, const block_io *io, const block_info *info, arena *mem,
                       edge_columns *c, err *e) {
    rc code = parts_open(p, io, info->bytes, BLOCK_EDGES, EDGE_BLOCK_VERSION, mem, e);
    return code == RC_OK ? read_columns(p, info, mem, c, e) : code;
}

rc edge_table_add_block(edge_table *t, const block_io *io, const block_info *info, int64_t from_ns,
                        int64_t to_ns, select_stats *stats, err *e) {
    arena mem;
    arena_init(&mem, "edge blocks", ARENA_MAX);
    parts p = {0};
    edge_columns c = {0};
    rc code = open_columns(&p, io, info, &mem, &c, e);
    if (code == RC_OK) code = add_columns(t, &c, from_ns, to_ns, stats);
    if (stats) {
        stats->blocks_read++;
        stats->rows += c.n;
        stats->bytes_read += p.bytes_read;
        stats->bytes_decoded += p.bytes_decoded;
    }
    parts_close(&p);
    arena_release(&mem);
    return code;
}

/* --- the block's operations --- */

static rc encode(telemetry *const *t, size_t count, block_put put, void *put_ctx, err *e) {
    edge_builder *b = edge_builder_new();
    rc code = edge_builder_encode(b, t, count, 0, put, put_ctx, e);
    if (code == RC_OK) code = edge_builder_finish(b, put, put_ctx, e);
    edge_builder_free(b);
    return code;
}

static rc merge(const block_io *in, const block_info *info, size_t count, size_t max_bytes,
                block_put put, void *put_ctx, const volatile int *cancel, size_t *ret_bad, err *e) {
    (void)max_bytes; /* EDGE_ROWS_MAX rows at a time: some tens of MB at most */
    edge_table t;
    edge_table_init(&t);
    uint64_t raw = 0;
    rc code = RC_OK;
    for (size_t i = 0; i < count && code == RC_OK; i++) {
        if (store_cancelled(cancel)) {
            code = RC_CANCELLED;
            break;
        }
        /* Written out when the next block might not fit. */
        if (t.rows.n + info[i].rows > EDGE_ROWS_MAX || t.names.count > EDGE_NAMES_MAX / 2) {
            code = edge_table_put(&t, 1, raw, put, put_ctx, e);
            raw = 0;
            edge_table_release(&t);
            edge_table_init(&t);
            if (code != RC_OK) break;
        }
        code = edge_table_add_block(&t, &in[i], &info[i], 0, 0, NULL, e);
        if (code == RC_CORRUPT) *ret_bad = i;
        raw += info[i].raw_bytes;
    }
    if (code == RC_OK) code = edge_table_put(&t, 1, raw, put, put_ctx, e);
    edge_table_release(&t);
    return code;
}

static rc verify(const block_io *in, const block_info *info, err *e) {
    arena mem;
    arena_init(&mem, "edge blocks", ARENA_MAX);
    parts p = {0};
    edge_columns c = {0};
    rc code = open_columns(&p, in, info, &mem, &c, e);
    if (code == RC_OK) code = parts_verify(&p, &mem, e);
    parts_close(&p);
    arena_release(&mem);
    return code;
}

const block_ops EDGE_BLOCKS = {
    .kind = BLOCK_EDGES, .encode = encode, .merge = merge, .verify = verify};

/* --- selecting --- */

typedef struct edge_query {
    edge_table t;
    int64_t from_ns, to_ns;
} edge_query;

static rc visit(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats, err *e) {
    edge_query *q = ctx;
    (void)worker; /* one */
    rc code = edge_table_add_block(&q->t, &ref->io, &ref->info, q->from_ns, q->to_ns, stats, e);
    if (code != RC_LIMIT) return code;
    stats->partial = true;
    IGNORE(snprintf(stats->reason, sizeof stats->reason, "more than %d edges", (int)EDGE_ROWS_MAX) <
           0); /* fits */
    return RC_END;
}

rc edges_select(store *s, int64_t from_ns, int64_t to_ns, store_edge_sink sink, void *ctx,
                select_stats *stats, err *e) {
    select_stats own = {0};
    if (!stats) stats = &own;
    snapshot *snap;
    rc code = snapshot_take(s, BLOCK_EDGES, from_ns, to_ns, SELECT_OLDEST_FIRST, &snap, stats, e);
    if (code != RC_OK) return code;
    edge_query q = {.from_ns = from_ns, .to_ns = to_ns};
    edge_table_init(&q.t);
    code = snapshot_each(snap, NULL, visit, &q, stats, e);
    snapshot_release(snap);
    edge_row *room = mem_try_raw((q.t.rows.n + 1) * sizeof *room);
    if (code == RC_OK && !room) code = no_memory(e);
    if (code == RC_OK) sort_rows(&q.t, q.t.rows.v, room, q.t.rows.n);
    for (size_t i = 0; i < q.t.rows.n && code == RC_OK; i++) {
        const edge_row *r = &q.t.rows.v[i];
        service_edge edge = {.caller = intern_str(&q.t.names, r->caller),
                             .callee = intern_str(&q.t.names, r->callee),
                             .kind = intern_str(&q.t.names, r->kind),
                             .minute_ns = r->minute_ns,
                             .calls = r->calls,
                             .errors = r->errors,
                             .sum_ns = r->sum_ns,
                             .max_ns = r->max_ns,
                             .p50_ns = edge_row_quantile(r, .5),
                             .p95_ns = edge_row_quantile(r, .95),
                             .p99_ns = edge_row_quantile(r, .99)};
        code = sink(ctx, &edge, e);
    }
    mem_free(room);
    edge_table_release(&q.t);
    return code == RC_END ? RC_OK : code;
}
