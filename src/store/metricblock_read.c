/* metricblock_read.c - see metricblock_int.h. */
#include "store/metricblock_int.h"

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory to read a block of metrics"); }
static rc damaged(err *e, const char *what) {
    return FAIL(e, RC_CORRUPT, "damaged block of metrics: %s", what);
}

static rc read_head(metric_block *b, const block_info *info, err *e) {
    str head;
    rc code = parts_get(&b->p, MP_HEAD, b->mem, &head, e);
    if (code != RC_OK) return code;
    uint64_t v[5];
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        if (!take_varint(&head, INTCODE_MAX, &v[i])) return damaged(e, "head");
    }
    if (head.n || v[2] == 0 || v[2] != info->rows || v[1] == 0 || v[1] > v[2] || v[0] == 0 ||
        v[0] > v[1] || v[4] == 0 || v[4] > v[1] || v[3] == 0 || v[3] > v[4])
        return damaged(e, "counts");
    b->info_count = (size_t)v[0];
    b->series = (size_t)v[1];
    b->point_count = (size_t)v[2];
    b->frames = (size_t)v[3];
    b->chunks = (size_t)v[4];
    return RC_OK;
}

/* Which series each chunk has, where it lies, which points each series has. */
static rc read_layout(metric_block *b, err *e) {
    int64_t *in_chunk = NULL, *in_frame;
    rc code;
    if ((code = parts_i64(&b->p, MP_SERIES_COUNT, b->series, b->mem, &b->series_count, e)) !=
            RC_OK ||
        (code = parts_i64(&b->p, MP_CHUNK_BYTES, b->chunks, b->mem, &b->chunk_bytes, e)) != RC_OK ||
        (code = parts_i64(&b->p, MP_FRAME_CHUNKS, b->frames, b->mem, &in_frame, e)) != RC_OK)
        return code;
    if (b->chunks != b->series &&
        (code = parts_i64(&b->p, MP_CHUNK_SERIES, b->chunks, b->mem, &in_chunk, e)) != RC_OK)
        return code;
    b->point_first = arena_try_new_n(b->mem, size_t, b->series + 1);
    b->chunk_of = arena_try_new_n(b->mem, uint32_t, b->series);
    b->chunk_first = arena_try_new_n(b->mem, size_t, b->chunks + 1);
    b->chunk_at = arena_try_new_n(b->mem, size_t, b->chunks);
    b->frame_of = arena_try_new_n(b->mem, uint32_t, b->chunks);
    b->times = arena_try_new_n(b->mem, struct shared_column, SHARED_TIMES_MAX);
    if (!b->point_first || !b->chunk_of || !b->chunk_first || !b->chunk_at || !b->frame_of ||
        !b->times)
        return no_memory(e);
    size_t total = 0, series = 0, chunk = 0;
    for (size_t i = 0; i < b->series; i++) {
        b->point_first[i] = total;
        if (b->series_count[i] <= 0 || (uint64_t)b->series_count[i] > b->point_count - total)
            return damaged(e, "points");
        total += (size_t)b->series_count[i];
    }
    b->point_first[b->series] = total;
    if (total != b->point_count) return damaged(e, "points");
    for (size_t c = 0; c < b->chunks; c++) {
        b->chunk_first[c] = series;
        uint64_t n = in_chunk ? (uint64_t)in_chunk[c] : 1;
        if (n == 0 || n > b->series - series) return damaged(e, "chunks");
        while (n--) b->chunk_of[series++] = (uint32_t)c;
    }
    b->chunk_first[b->chunks] = series;
    if (series != b->series) return damaged(e, "chunks");
    for (size_t f = 0; f < b->frames; f++) {
        size_t at = 0;
        if (in_frame[f] <= 0 || (uint64_t)in_frame[f] > b->chunks - chunk)
            return damaged(e, "frames");
        const part_entry *part = parts_find(&b->p, MP_FRAMES + (uint32_t)f);
        for (int64_t k = 0; k < in_frame[f]; k++, chunk++) {
            b->frame_of[chunk] = (uint32_t)f;
            b->chunk_at[chunk] = at;
            if (!part || b->chunk_bytes[chunk] <= 0 ||
                (uint64_t)b->chunk_bytes[chunk] > part->raw_bytes - at)
                return damaged(e, "frames");
            at += (size_t)b->chunk_bytes[chunk];
        }
        if (at != part->raw_bytes) return damaged(e, "frames");
    }
    return chunk == b->chunks ? RC_OK : damaged(e, "frames");
}

rc metric_block_open(metric_block *b, const block_io *io, const block_info *info, arena *mem,
                     err *e) {
    *b = (metric_block){.mem = mem};
    rc code = parts_open(&b->p, io, info->bytes, BLOCK_METRICS, METRIC_BLOCK_VERSION, mem, e);
    if (code == RC_OK) code = read_head(b, info, e);
    if (code == RC_OK) code = read_layout(b, e);
    return code;
}

void metric_block_close(metric_block *b) { parts_close(&b->p); }

static rc read_info(metric_block *b, str *in, metric_info *m, err *e) {
    attr_row metadata;
    str bytes;
    uint64_t temporality, owner, lib;
    if (!take_text(in, &m->name) || !take_text(in, &m->unit) || !take_text(in, &m->description))
        return damaged(e, "names");
    rc code = attrs_take(in, b->mem, &metadata, e);
    if (code != RC_OK) return code;
    if (!take_bytes(in, 2, &bytes) || !take_varint(in, UINT32_MAX, &temporality) ||
        !take_varint(in, UINT32_MAX, &owner) || owner >= b->resource_count ||
        !take_varint(in, UINT32_MAX, &lib) || lib >= b->scope_count ||
        (uint8_t)bytes.p[0] > METRIC_SUMMARY)
        return damaged(e, "metrics");
    m->metadata = metadata.a;
    m->metadata_count = metadata.n;
    m->kind = (uint8_t)bytes.p[0];
    m->monotonic = bytes.p[1] != 0;
    m->temporality = (int32_t)zigzag_to(temporality);
    m->resource = &b->resources[owner];
    m->scope = lib ? &b->scopes[lib] : NULL;
    return RC_OK;
}

rc metric_block_load(metric_block *b, err *e) {
    if (b->infos) return RC_OK;
    rc code;
    str in;
    if ((code = owner_resources_get(&b->p, MP_RESOURCES, b->mem, &b->resources, &b->resource_count,
                                    e)) != RC_OK ||
        (code = owner_scopes_get(&b->p, MP_SCOPES, b->mem, &b->scopes, &b->scope_count, e)) !=
            RC_OK ||
        (code = parts_i64(&b->p, MP_SERIES_INFO, b->series, b->mem, &b->series_info, e)) != RC_OK ||
        (code = parts_get(&b->p, MP_INFOS, b->mem, &in, e)) != RC_OK ||
        (code = attr_cols_open(&b->attrs, &b->p, MP_ATTRS, b->series, b->mem, e)) != RC_OK)
        return code;
    for (size_t i = 0; i < b->series; i++) {
        if ((uint64_t)b->series_info[i] >= b->info_count) return damaged(e, "series");
    }
    metric_info *m = arena_try_new_n(b->mem, metric_info, b->info_count);
    if (!m) return no_memory(e);
    for (size_t i = 0; i < b->info_count; i++) {
        if ((code = read_info(b, &in, &m[i], e)) != RC_OK) return code;
    }
    if (in.n) return damaged(e, "metrics");
    b->infos = m;
    return RC_OK;
}

static rc get_times(void *ctx, uint32_t number, const int64_t **ret, size_t *ret_count, err *e) {
    metric_block *b = ctx;
    MUST(number < SHARED_TIMES_MAX);
    if (!b->times[number].v) {
        str in;
        uint64_t n;
        rc code = parts_get(&b->p, MP_TIMES + number, b->mem, &in, e);
        if (code != RC_OK) return code;
        if (!take_varint(&in, b->point_count, &n) || n == 0) return damaged(e, "times");
        int64_t *v = arena_try_raw(b->mem, (size_t)n * sizeof *v, 8);
        if (!v) return no_memory(e);
        if ((code = intcode_get(&in, (size_t)n, v, e)) != RC_OK) return code;
        if (in.n) return damaged(e, "times");
        b->times[number].v = v;
        b->times[number].n = (size_t)n;
        b->times_loaded++;
    }
    *ret = b->times[number].v;
    *ret_count = b->times[number].n;
    return RC_OK;
}

/* A part of columns. */
static points slice(const points *p, size_t from, size_t n) {
    return (points){.n = n,
                    .ts = p->ts + from,
                    .num = p->num + from,
                    .start = p->start ? p->start + from : NULL,
                    .flags = p->flags ? p->flags + from : NULL,
                    .types = p->types ? p->types + from : NULL,
                    .rich = p->rich ? p->rich + from : NULL};
}

rc metric_block_points(metric_block *b, size_t series, points *ret, err *e) {
    MUST(series < b->series);
    uint32_t c = b->chunk_of[series];
    size_t first = b->chunk_first[c], last = b->chunk_first[c + 1];
    if (!b->has_last || b->last_chunk != c) {
        str frame;
        rc code = parts_get(&b->p, MP_FRAMES + b->frame_of[c], b->mem, &frame, e);
        if (code != RC_OK) return code;
        shared_times shared = {get_times, b};
        size_t n = b->point_first[last] - b->point_first[first];
        b->has_last = false;
        code = points_get(str_sub(frame, b->chunk_at[c], (size_t)b->chunk_bytes[c]), n, &shared,
                          b->mem, &b->last, e);
        if (code != RC_OK) return code;
        b->has_last = true;
        b->last_chunk = c;
    }
    *ret = slice(&b->last, b->point_first[series] - b->point_first[first],
                 (size_t)b->series_count[series]);
    return RC_OK;
}
