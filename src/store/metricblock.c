/* metricblock.c - metric points as blocks: writing and verifying. Parts: metricblock_int.h.
 *
 * A block is a table of series (metric, resource, scope, labels as columns) and their points. At
 * level 0 (one commit, mostly one point a series) neighbouring series share a chunk, so that a
 * request of 1,000 samples is a handful of columns. At level 1 each series has a chunk of all its
 * points in the merged time, chunks of neighbours (sorted by name and labels, so they are alike)
 * are compressed together in frames of 64 KiB, and times that several series have in common (they
 * were scraped together) are kept once beside them. A reader takes the table, the frames of the
 * series it wants, and the times these name.
 *
 * Rejected: a file-wide dictionary of series (blocks stand alone: damage and retention stay local);
 * time-ordered blocks with all series (labels and heads of chunks again in each: about 0.15 bytes a
 * sample at 130 samples a chunk). */
#include "store/metricblock_int.h"

#include "base/mem.h"
#include "base/rng.h"
#include "codec/otlp.h"
#include "store/fuse.h"
#include "store/labels.h"

enum { WRITE_ARENA_MAX = 1 << 30, PAIRS_MAX = 1 << 20, INFOS_MAX = 1 << 20 };

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory to write a block of metrics"); }

/* --- identities --- */

static uint64_t owner_hash(const metric_info *i) {
    return i->resource->hash ^ mix64(i->scope ? i->scope->hash : 1);
}

uint64_t info_hash(const metric_info *i) {
    uint64_t h = str_hash_seed(i->name, owner_hash(i));
    h = str_hash_seed(i->unit, h ^ (uint64_t)i->kind << 32 ^ (uint32_t)i->temporality ^
                                   (uint64_t)i->monotonic << 40);
    h = str_hash_seed(i->description, h);
    for (uint32_t k = 0; k < i->metadata_count; k++) {
        h = str_hash_seed(i->metadata[k].key, h);
        h = str_hash_seed(i->metadata[k].val, h);
    }
    return h;
}

bool same_info(const metric_info *a, const metric_info *b) {
    const scope *s = a->scope, *t = b->scope;
    return a->kind == b->kind && a->monotonic == b->monotonic && a->temporality == b->temporality &&
           str_eq(a->name, b->name) && str_eq(a->unit, b->unit) &&
           str_eq(a->description, b->description) && a->resource->hash == b->resource->hash &&
           (s == t || (s && t && s->hash == t->hash)) &&
           attrs_equal(a->metadata, a->metadata_count, b->metadata, b->metadata_count);
}

uint64_t series_id(const metric_info *info, const attribute *attrs, uint32_t n) {
    uint64_t h = str_hash_seed(info->name, owner_hash(info));
    h = str_hash_seed(info->unit, h ^ (uint64_t)info->kind << 32 ^ (uint32_t)info->temporality);
    uint64_t sum = n;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t a = str_hash_seed(attrs[i].val, str_hash(attrs[i].key));
        sum += mix64(a ^ (uint64_t)attrs[i].num ^ (uint64_t)attrs[i].type << 56);
    }
    return mix64(h ^ mix64(sum));
}

/* --- tables --- */

typedef struct writer {
    parts_writer w;
    arena *tmp;
    const series_in *s;
    size_t count;
    chunk_in *c;
    size_t chunks;
    owner_table resources, scopes;
    map64 info_ids;
    VEC(const metric_info *) infos;
    VEC(int64_t) chunk_bytes;
    VEC(int64_t) frame_chunks;
    struct times_column {
        const int64_t *v;
        size_t n, users;
        uint32_t id;
    } * times;
    size_t times_count;
} writer;

static rc info_number(writer *x, const metric_info *i, int64_t *ret, err *e) {
    uint64_t h = info_hash(i);
    for (;; h = mix64(h + 1)) {
        bool added;
        uint64_t *at = map64_put(&x->info_ids, h, &added);
        if (!at) return no_memory(e);
        if (added) {
            *at = x->infos.n;
            vec_push(&x->infos, i);
        } else if (!same_info(x->infos.v[*at], i)) {
            continue;
        }
        *ret = (int64_t)*at;
        return RC_OK;
    }
}

static rc put_series(writer *x, err *e) {
    int64_t *col = arena_try_raw(x->tmp, x->count * sizeof *col, 8);
    attr_row *rows = arena_try_raw(x->tmp, x->count * sizeof *rows, 8);
    if (!col || !rows) return no_memory(e);
    const metric_info *last = NULL;
    for (size_t i = 0; i < x->count; i++) {
        rows[i] = x->s[i].attrs;
        if (x->s[i].info == last) {
            col[i] = col[i - 1];
            continue;
        }
        last = x->s[i].info;
        rc code = info_number(x, last, &col[i], e);
        if (code != RC_OK) return code;
    }
    part_i64(&x->w, MP_SERIES_INFO, col, x->count);
    for (size_t i = 0; i < x->count; i++) col[i] = (int64_t)x->s[i].n;
    part_i64(&x->w, MP_SERIES_COUNT, col, x->count);
    return attr_cols_put(&x->w, MP_ATTRS, rows, x->count, x->tmp, e);
}

static rc put_infos(writer *x, err *e) {
    part_begin(&x->w, MP_INFOS);
    buf *out = x->w.out;
    bool ok = true;
    for (size_t i = 0; i < x->infos.n; i++) {
        const metric_info *m = x->infos.v[i];
        uint32_t owner = owner_resource(&x->resources, m->resource);
        uint32_t lib = owner_scope(&x->scopes, m->scope);
        ok = ok && owner != UINT32_MAX && lib != UINT32_MAX && put_text(out, m->name) &&
             put_text(out, m->unit) && put_text(out, m->description) &&
             attrs_put(out, m->metadata, m->metadata_count) && buf_putc(out, (char)m->kind) &&
             buf_putc(out, (char)m->monotonic) && buf_varint(out, zigzag_of(m->temporality)) &&
             buf_varint(out, owner) && buf_varint(out, lib);
    }
    x->w.ok &= ok;
    part_end(&x->w, true);
    return ok && owner_resources_put(&x->w, MP_RESOURCES, &x->resources) &&
                   owner_scopes_put(&x->w, MP_SCOPES, &x->scopes)
               ? RC_OK
               : no_memory(e);
}

/* --- times that series share --- */

/* A part of one of the columns met last: a series that began later or ended earlier. */
static bool find_part(writer *x, chunk_in *c) {
    enum { LOOK_BACK = 8 };
    const points *p = &c->p;
    for (size_t k = 0; k < LOOK_BACK && k < x->times_count; k++) {
        struct times_column *t = &x->times[x->times_count - 1 - k];
        size_t lo = 0, hi = t->n;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (t->v[mid] < p->ts[0])
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < t->n && p->n <= t->n - lo && memcmp(t->v + lo, p->ts, 8 * p->n) == 0) {
            t->users++;
            c->times = (uint32_t)(x->times_count - 1 - k);
            c->times_from = lo;
            return true;
        }
    }
    return false;
}

static rc share_times(writer *x, err *e) {
    x->times = arena_try_new_n(x->tmp, struct times_column, x->chunks);
    if (!x->times) return no_memory(e);
    map64 by_hash;
    map64_init(&by_hash, x->chunks + 1);
    for (size_t i = 0; i < x->chunks; i++) {
        chunk_in *c = &x->c[i];
        const points *p = &c->p;
        uint64_t h = str_hash(str_make((const char *)p->ts, 8 * p->n));
        const uint64_t *known = map64_get(&by_hash, h);
        if (known && x->times[*known].n == p->n &&
            memcmp(x->times[*known].v, p->ts, 8 * p->n) == 0) {
            c->times = (uint32_t)*known;
            x->times[*known].users++;
        } else if (!find_part(x, c)) {
            uint64_t *at = map64_put(&by_hash, h, NULL);
            if (at) *at = x->times_count;
            c->times = (uint32_t)x->times_count;
            x->times[x->times_count++] = (struct times_column){.v = p->ts, .n = p->n, .users = 1};
        }
    }
    map64_release(&by_hash);
    uint32_t id = 0; /* what one series alone has stays with it */
    for (size_t k = 0; k < x->times_count; k++) {
        struct times_column *t = &x->times[k];
        t->id = t->users > 1 && id < SHARED_TIMES_MAX ? id++ : UINT32_MAX;
        if (t->id == UINT32_MAX) continue;
        part_begin(&x->w, MP_TIMES + t->id);
        x->w.ok &= buf_varint(x->w.out, t->n) && intcode_put(x->w.out, t->v, t->n);
        part_end(&x->w, false);
    }
    for (size_t i = 0; i < x->chunks; i++) x->c[i].times = x->times[x->c[i].times].id;
    return RC_OK;
}

/* --- chunks --- */

static rc put_chunks(writer *x, err *e) {
    rc code;
    if (x->w.level > 0) {
        if ((code = share_times(x, e)) != RC_OK) return code;
    } else {
        for (size_t i = 0; i < x->chunks; i++) x->c[i].times = UINT32_MAX;
    }
    for (size_t i = 0; i < x->chunks;) {
        part_begin(&x->w, MP_FRAMES + (uint32_t)x->frame_chunks.n);
        size_t from = x->w.out->n, first = i;
        do {
            size_t at = x->w.out->n;
            chunk_in *c = &x->c[i++];
            if (!points_put(x->w.out, &c->p, x->w.level, c->times, c->times_from))
                return no_memory(e);
            vec_push(&x->chunk_bytes, (int64_t)(x->w.out->n - at));
        } while (i < x->chunks && x->w.out->n - from < FRAME_BYTES);
        part_end(&x->w, true);
        vec_push(&x->frame_chunks, (int64_t)(i - first));
    }
    part_i64(&x->w, MP_CHUNK_BYTES, x->chunk_bytes.v, x->chunks);
    part_i64(&x->w, MP_FRAME_CHUNKS, x->frame_chunks.v, x->frame_chunks.n);
    if (x->chunks == x->count) return RC_OK;
    int64_t *series = arena_try_raw(x->tmp, x->chunks * sizeof *series, 8);
    if (!series) return no_memory(e);
    for (size_t i = 0; i < x->chunks; i++) series[i] = (int64_t)x->c[i].series;
    part_i64(&x->w, MP_CHUNK_SERIES, series, x->chunks);
    return RC_OK;
}

/* --- the filter --- */

static void add_pairs(writer *x, uint64_t *pairs, size_t *count, const attribute *a, uint32_t n) {
    for (uint32_t k = 0; k < n && *count < PAIRS_MAX; k++) {
        arena_mark mark = arena_save(x->tmp);
        pairs[(*count)++] = label_pair_hash(a[k].key, attribute_text(&a[k], x->tmp));
        arena_restore(x->tmp, mark);
    }
}

/* Every label of every series, resources included, and names in both forms. */
static rc put_filter(writer *x, err *e) {
    uint64_t *pairs = mem_try_raw(PAIRS_MAX * sizeof *pairs);
    if (!pairs) return no_memory(e);
    size_t n = 0;
    rc code = RC_OK;
    for (size_t i = 0; i < x->resources.list.n; i++) {
        const resource *r = x->resources.list.v[i];
        add_pairs(x, pairs, &n, r->attrs, r->attr_count);
    }
    for (size_t i = 0; i < x->scopes.list.n && n < PAIRS_MAX - 1; i++) {
        const scope *s = x->scopes.list.v[i];
        pairs[n++] = label_pair_hash(S("scope_name"), s->name);
        pairs[n++] = label_pair_hash(S("scope_version"), s->version);
    }
    for (size_t i = 0; i < x->infos.n && n < PAIRS_MAX - 1; i++) {
        label_name plain;
        pairs[n++] = label_pair_hash(S("__name__"), x->infos.v[i]->name);
        pairs[n++] = label_pair_hash(S("__name__"), label_name_of(x->infos.v[i]->name, &plain));
    }
    for (size_t i = 0; i < x->count && n < PAIRS_MAX; i++)
        add_pairs(x, pairs, &n, x->s[i].attrs.a, x->s[i].attrs.n);
    if (n < PAIRS_MAX - 1) { /* else it would not be complete */
        part_begin(&x->w, MP_PAIR_FILTER);
        if (!fuse_put(x->w.out, pairs, n)) code = no_memory(e);
        part_end(&x->w, false);
    }
    mem_free(pairs);
    return code;
}

/* --- a block --- */

static rc put_all(writer *x, block_info *info, err *e) {
    rc code;
    if ((code = put_series(x, e)) != RC_OK || (code = put_infos(x, e)) != RC_OK ||
        (code = put_chunks(x, e)) != RC_OK ||
        (x->w.level > 0 && (code = put_filter(x, e)) != RC_OK))
        return code;
    size_t n = 0;
    for (size_t i = 0; i < x->chunks; i++) {
        const points *p = &x->c[i].p;
        n += p->n;
        for (size_t k = 0; k < p->n; k++) {
            info->min_ts_ns = MIN(info->min_ts_ns, p->ts[k]);
            info->max_ts_ns = MAX(info->max_ts_ns, p->ts[k]);
        }
    }
    info->rows = (uint32_t)n;
    for (size_t i = 0; i < x->resources.list.n; i++)
        info->labels |= block_service_bits(((const resource *)x->resources.list.v[i])->service);
    part_begin(&x->w, MP_HEAD);
    x->w.ok &= buf_varint(x->w.out, x->infos.n) && buf_varint(x->w.out, x->count) &&
               buf_varint(x->w.out, n) && buf_varint(x->w.out, x->frame_chunks.n) &&
               buf_varint(x->w.out, x->chunks);
    part_end(&x->w, false);
    return parts_end(&x->w, BLOCK_METRICS, METRIC_BLOCK_VERSION) ? RC_OK : no_memory(e);
}

rc metric_block_put(const series_in *s, size_t count, chunk_in *c, size_t chunks, int level,
                    uint64_t raw_bytes, arena *tmp, block_put put, void *put_ctx, err *e) {
    MUST(count > 0 && chunks > 0 && chunks <= count);
    buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    writer x = {.tmp = tmp, .s = s, .count = count, .c = c, .chunks = chunks};
    parts_begin(&x.w, &out, level);
    owner_table_init(&x.resources);
    owner_table_init(&x.scopes);
    map64_init(&x.info_ids, INFOS_MAX);
    block_info info = {.kind = BLOCK_METRICS,
                       .level = (uint8_t)(level > 0),
                       .version = METRIC_BLOCK_VERSION,
                       .min_ts_ns = INT64_MAX,
                       .max_ts_ns = INT64_MIN,
                       .raw_bytes = raw_bytes,
                       .severities = count}; /* the number of series: block.h */
    arena_mark m = arena_save(tmp);
    rc code = put_all(&x, &info, e);
    arena_restore(tmp, m);
    if (code == RC_OK) {
        info.bytes = out.n;
        code = put(put_ctx, &info, buf_str(&out), e);
    }
    vec_release(&x.infos);
    vec_release(&x.chunk_bytes);
    vec_release(&x.frame_chunks);
    map64_release(&x.info_ids);
    owner_table_release(&x.scopes);
    owner_table_release(&x.resources);
    parts_release(&x.w);
    buf_release(&out);
    return code;
}

/* --- level 0 --- */

typedef struct source_point {
    const metric_point *p;
    const metric_info *info;
} source_point;

/* Kinds that may share a chunk: numbers; each other kind with itself. */
static uint8_t class_of(const metric_info *i) {
    return i->kind == METRIC_SUM ? METRIC_GAUGE : i->kind;
}

static rc chunk_of_points(const source_point *s, size_t n, arena *tmp, points *ret, err *e) {
    points p = {.n = n};
    p.ts = arena_try_raw(tmp, n * 8, 8);
    p.num = arena_try_raw(tmp, n * 8, 8);
    p.start = arena_try_raw(tmp, n * 8, 8);
    p.flags = arena_try_raw(tmp, n * 8, 8);
    p.types = arena_try_raw(tmp, n * 8, 8);
    if (!p.ts || !p.num || !p.start || !p.flags || !p.types) return no_memory(e);
    bool rich = false;
    for (size_t i = 0; i < n; i++) {
        const metric_point *x = s[i].p;
        p.ts[i] = x->ts_ns;
        p.num[i] = x->num;
        p.start[i] = x->start_ns;
        p.flags[i] = x->flags;
        p.types[i] = point_type(x);
        rich |= point_is_rich(x, s[i].info->kind);
    }
    if (rich) {
        p.rich = arena_try_raw(tmp, n * sizeof *p.rich, 16);
        if (!p.rich) return no_memory(e);
        for (size_t i = 0; i < n; i++) p.rich[i] = *s[i].p;
    }
    *ret = p;
    return RC_OK;
}

static rc put_level0(const source_point *s, size_t n, uint64_t raw, arena *tmp, block_put put,
                     void *put_ctx, err *e) {
    series_in *series = arena_try_raw(tmp, n * sizeof *series, 8);
    chunk_in *chunks = arena_try_raw(tmp, n * sizeof *chunks, 8);
    if (!series || !chunks) return no_memory(e);
    size_t count = 0, chunk_count = 0;
    for (size_t i = 0; i < n;) {
        size_t first = i, first_series = count;
        uint8_t class = class_of(s[i].info);
        for (; i < n && class_of(s[i].info) == class; i++) {
            const metric_point *p = s[i].p, *q = i > first ? s[i - 1].p : NULL;
            if (q && s[i].info == s[i - 1].info &&
                (p->attrs == q->attrs
                     ? p->attr_count == q->attr_count
                     : attrs_equal(p->attrs, p->attr_count, q->attrs, q->attr_count))) {
                series[count - 1].n++;
                continue;
            }
            series[count++] = (series_in){s[i].info, {p->attrs, p->attr_count}, 1};
        }
        chunk_in *c = &chunks[chunk_count++];
        *c = (chunk_in){.series = count - first_series};
        rc code = chunk_of_points(s + first, i - first, tmp, &c->p, e);
        if (code != RC_OK) return code;
    }
    return metric_block_put(series, count, chunks, chunk_count, 0, raw, tmp, put, put_ctx, e);
}

static rc encode(telemetry *const *t, size_t count, block_put put, void *put_ctx, err *e) {
    size_t n = 0;
    uint64_t raw = 0;
    for (size_t i = 0; i < count; i++) {
        n += t[i]->metrics.count;
        if (t[i]->metrics.count) raw += t[i]->body_bytes;
    }
    if (n == 0) return RC_OK;
    arena tmp;
    arena_init(&tmp, "metric blocks", WRITE_ARENA_MAX);
    source_point *s = arena_try_raw(&tmp, n * sizeof *s, 8);
    rc code = s ? RC_OK : no_memory(e);
    size_t k = 0;
    for (size_t i = 0; i < count && s; i++) {
        const metric_batch *m = &t[i]->metrics;
        for (size_t j = 0; j < m->count; j++)
            s[k++] = (source_point){&m->rec[j], &m->info[m->rec[j].metric]};
    }
    for (size_t from = 0; from < n && code == RC_OK; from += BLOCK_L0_ROWS_MAX) {
        size_t some = MIN(n - from, (size_t)BLOCK_L0_ROWS_MAX);
        arena_mark mark = arena_save(&tmp);
        code = put_level0(s + from, some, raw * some / n, &tmp, put, put_ctx, e);
        arena_restore(&tmp, mark);
    }
    arena_release(&tmp);
    return code;
}

/* --- verifying --- */

static rc verify(const block_io *in, const block_info *info, err *e) {
    arena mem;
    arena_init(&mem, "metric verify", (size_t)2 << 30);
    metric_block b;
    rc code = metric_block_open(&b, in, info, &mem, e);
    if (code == RC_OK) code = parts_verify(&b.p, &mem, e);
    if (code == RC_OK) code = metric_block_load(&b, e);
    if (code == RC_OK) code = attr_cols_load_all(&b.attrs, e);
    for (size_t i = 0; i < b.series && code == RC_OK; i++) {
        points p;
        code = metric_block_points(&b, i, &p, e);
        for (size_t k = 0; code == RC_OK && k < p.n; k++) {
            if (p.ts[k] < info->min_ts_ns || p.ts[k] > info->max_ts_ns)
                code = FAIL(e, RC_CORRUPT, "a point lies outside its block's range of time");
        }
    }
    metric_block_close(&b);
    arena_release(&mem);
    return code;
}

const block_ops METRIC_BLOCKS = {.kind = BLOCK_METRICS,
                                 .large_rows = METRIC_BLOCK_POINTS / 2,
                                 .encode = encode,
                                 .merge = metric_merge,
                                 .verify = verify};
