/* spanblock_read.c - see spanblock_int.h. Columns are decoded when first wanted and checked against
 * each other there: counts, numbers of tables, rows of parents. */
#include "store/spanblock_int.h"

#include "store/column.h"
#include "store/fuse.h"
#include "store/intcode.h"

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory to read a block of spans"); }
static rc damaged(err *e, const char *what) {
    return FAIL(e, RC_CORRUPT, "damaged block of spans: %s", what);
}

static rc read_head(span_block *b, const block_info *info, err *e) {
    str head;
    rc code = parts_get(&b->p, SP_HEAD, b->mem, &head, e);
    if (code != RC_OK) return code;
    uint64_t v[5];
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        if (!take_varint(&head, i < 3 ? BLOCK_ROWS_MAX : INTCODE_MAX, &v[i]))
            return damaged(e, "head");
    }
    if (head.n || v[0] == 0 || v[0] != info->rows || v[1] == 0 || v[1] > v[0] || v[2] > v[0])
        return damaged(e, "counts");
    b->rows = (size_t)v[0];
    b->runs = (size_t)v[1];
    b->literals = (size_t)v[2];
    b->events = (size_t)v[3];
    b->links = (size_t)v[4];
    return RC_OK;
}

rc span_block_open(span_block *b, const block_io *io, const block_info *info, arena *mem, err *e) {
    *b = (span_block){.mem = mem};
    rc code = parts_open(&b->p, io, info->bytes, BLOCK_SPANS, SPAN_BLOCK_VERSION, mem, e);
    if (code == RC_OK) code = read_head(b, info, e);
    return code;
}

void span_block_close(span_block *b) { parts_close(&b->p); }

rc span_block_may_have(span_block *b, const uint8_t *trace_id, bool *ret, err *e) {
    str bytes;
    rc code = parts_get(&b->p, SP_TRACE_FILTER, b->mem, &bytes, e);
    if (code != RC_OK) return code;
    fuse f;
    *ret = true;
    if (bytes.n == 0) return RC_OK;
    if ((code = fuse_open(bytes, &f, e)) != RC_OK) return code;
    *ret = fuse_has(&f, trace_id_hash(trace_id));
    return RC_OK;
}

static rc fixed(span_block *b, uint32_t id, size_t width, size_t count, uint8_t **ret, err *e) {
    str col;
    rc code = parts_get(&b->p, id, b->mem, &col, e);
    if (code != RC_OK) return code;
    uint8_t *v = arena_try_bytes(b->mem, width * count, 8);
    if (!v) return no_memory(e);
    if (count && (code = col_get_fixed(col, width, count, v, e)) != RC_OK) return code;
    *ret = v;
    return RC_OK;
}

static rc load_runs(span_block *b, err *e) {
    if (b->run_of) return RC_OK;
    int64_t *lengths;
    rc code = parts_i64(&b->p, SP_RUNS, b->runs, b->mem, &lengths, e);
    if (code != RC_OK) return code;
    b->run_first = arena_try_raw(b->mem, (b->runs + 1) * sizeof *b->run_first, 8);
    uint32_t *run_of = arena_try_raw(b->mem, b->rows * sizeof *run_of, 8);
    if (!b->run_first || !run_of) return no_memory(e);
    size_t at = 0;
    for (size_t r = 0; r < b->runs; r++) {
        if (lengths[r] <= 0 || (uint64_t)lengths[r] > b->rows - at) return damaged(e, "runs");
        b->run_first[r] = (uint32_t)at;
        for (int64_t i = 0; i < lengths[r]; i++) run_of[at++] = (uint32_t)r;
    }
    if (at != b->rows) return damaged(e, "runs");
    b->run_first[b->runs] = (uint32_t)at;
    b->run_of = run_of;
    return RC_OK;
}

static rc load_times(span_block *b, err *e) {
    int64_t *starts, *offsets, *start, *duration;
    rc code;
    if ((code = parts_i64(&b->p, SP_STARTS, b->runs, b->mem, &starts, e)) != RC_OK ||
        (code = parts_i64(&b->p, SP_OFFSETS, b->rows - b->runs, b->mem, &offsets, e)) != RC_OK ||
        (code = parts_i64(&b->p, SP_DURATIONS, b->rows, b->mem, &duration, e)) != RC_OK)
        return code;
    start = arena_try_raw(b->mem, b->rows * sizeof *start, 8);
    if (!start) return no_memory(e);
    for (size_t r = 0, k = 0; r < b->runs; r++) {
        start[b->run_first[r]] = starts[r];
        for (size_t i = b->run_first[r] + (size_t)1; i < b->run_first[r + 1]; i++)
            start[i] = (int64_t)((uint64_t)starts[r] + (uint64_t)offsets[k++]);
    }
    for (size_t i = 0; i < b->rows; i++)
        duration[i] = (int64_t)((uint64_t)start[i] + (uint64_t)duration[i]);
    b->start = start;
    b->end = duration;
    return RC_OK;
}

static rc load_parents(span_block *b, err *e) {
    int64_t *ref;
    uint8_t *literal;
    rc code;
    if ((code = fixed(b, SP_SPAN_IDS, SPAN_ID_BYTES, b->rows, &b->ids, e)) != RC_OK ||
        (code = parts_i64(&b->p, SP_PARENTS, b->rows, b->mem, &ref, e)) != RC_OK ||
        (code = fixed(b, SP_PARENT_IDS, SPAN_ID_BYTES, b->literals, &literal, e)) != RC_OK)
        return code;
    uint8_t *parents = arena_try_bytes(b->mem, b->rows * SPAN_ID_BYTES, 8);
    if (!parents) return no_memory(e);
    size_t used = 0;
    for (size_t i = 0; i < b->rows; i++) {
        const uint8_t *from;
        if (ref[i] == 0) continue;
        if (ref[i] == 1) {
            if (used == b->literals) return damaged(e, "parents");
            from = literal + SPAN_ID_BYTES * used++;
        } else {
            uint32_t run = b->run_of[i];
            uint64_t k = (uint64_t)ref[i] - 2;
            if (k >= b->run_first[run + 1] - b->run_first[run]) return damaged(e, "parents");
            from = b->ids + SPAN_ID_BYTES * (b->run_first[run] + k);
        }
        memcpy(parents + SPAN_ID_BYTES * i, from, SPAN_ID_BYTES);
    }
    if (used != b->literals) return damaged(e, "parents");
    b->parents = parents;
    return RC_OK;
}

static rc load_owners(span_block *b, err *e) {
    rc code;
    if ((code = owner_resources_get(&b->p, SP_RESOURCES, b->mem, &b->resources, &b->resource_count,
                                    e)) != RC_OK ||
        (code = owner_scopes_get(&b->p, SP_SCOPES, b->mem, &b->scopes, &b->scope_count, e)) !=
            RC_OK ||
        (code = parts_i64(&b->p, SP_RESOURCE_OF, b->rows, b->mem, &b->resource_of, e)) != RC_OK ||
        (code = parts_i64(&b->p, SP_SCOPE_OF, b->rows, b->mem, &b->scope_of, e)) != RC_OK)
        return code;
    for (size_t i = 0; i < b->rows; i++) {
        if ((uint64_t)b->resource_of[i] >= b->resource_count ||
            (uint64_t)b->scope_of[i] >= b->scope_count)
            return damaged(e, "resources");
    }
    return RC_OK;
}

/* Counts of a row's items, whose sum is known. */
static rc load_counts(span_block *b, uint32_t id, size_t sum, int64_t **ret, err *e) {
    rc code = parts_i64(&b->p, id, b->rows, b->mem, ret, e);
    if (code != RC_OK) return code;
    uint64_t left = sum;
    for (size_t i = 0; i < b->rows; i++) {
        if ((uint64_t)(*ret)[i] > left) return damaged(e, "counts");
        left -= (uint64_t)(*ret)[i];
    }
    return left ? damaged(e, "counts") : RC_OK;
}

static rc load_rest(span_block *b, err *e) {
    rc code;
    arena *mem = b->mem;
    parts *p = &b->p;
    if ((code = parts_str(p, SP_MESSAGES, b->rows, mem, &b->messages, e)) != RC_OK ||
        (code = parts_str(p, SP_STATES, b->rows, mem, &b->states, e)) != RC_OK ||
        (code = parts_i64(p, SP_FLAGS, b->rows, mem, &b->flags, e)) != RC_OK ||
        (code = parts_i64(p, SP_DROPPED_ATTRS, b->rows, mem, &b->dropped[0], e)) != RC_OK ||
        (code = parts_i64(p, SP_DROPPED_EVENTS, b->rows, mem, &b->dropped[1], e)) != RC_OK ||
        (code = parts_i64(p, SP_DROPPED_LINKS, b->rows, mem, &b->dropped[2], e)) != RC_OK ||
        (code = load_counts(b, SP_EVENT_COUNTS, b->events, &b->event_counts, e)) != RC_OK ||
        (code = parts_i64(p, SP_EVENT_TIMES, b->events, mem, &b->event_times, e)) != RC_OK ||
        (code = parts_i64(p, SP_EVENT_DROPPED, b->events, mem, &b->event_dropped, e)) != RC_OK ||
        (code = parts_str(p, SP_EVENT_NAMES, b->events, mem, &b->event_names, e)) != RC_OK ||
        (code = attr_cols_open(&b->event_attrs, p, SP_EVENT_ATTRS, b->events, mem, e)) != RC_OK ||
        (code = load_counts(b, SP_LINK_COUNTS, b->links, &b->link_counts, e)) != RC_OK ||
        (code = parts_i64(p, SP_LINK_FLAGS, b->links, mem, &b->link_flags, e)) != RC_OK ||
        (code = parts_i64(p, SP_LINK_DROPPED, b->links, mem, &b->link_dropped, e)) != RC_OK ||
        (code = parts_str(p, SP_LINK_TRACES, b->links, mem, &b->link_traces, e)) != RC_OK ||
        (code = parts_str(p, SP_LINK_SPANS, b->links, mem, &b->link_spans, e)) != RC_OK ||
        (code = parts_str(p, SP_LINK_STATES, b->links, mem, &b->link_states, e)) != RC_OK ||
        (code = attr_cols_open(&b->link_attrs, p, SP_LINK_ATTRS, b->links, mem, e)) != RC_OK)
        return code;
    return RC_OK;
}

rc span_block_load(span_block *b, unsigned want, err *e) {
    rc code = RC_OK;
    want &= ~b->loaded;
    if (want & (WANT_TRACES | WANT_TIMES | WANT_PARENTS)) code = load_runs(b, e);
    if (code == RC_OK && want & WANT_TRACES)
        code = fixed(b, SP_TRACES, TRACE_ID_BYTES, b->runs, &b->traces, e);
    if (code == RC_OK && want & WANT_TIMES) code = load_times(b, e);
    if (code == RC_OK && want & WANT_NAMES)
        code = parts_str(&b->p, SP_NAMES, b->rows, b->mem, &b->names, e);
    if (code == RC_OK && want & WANT_KINDS)
        code = parts_i64(&b->p, SP_KINDS, b->rows, b->mem, &b->kinds, e);
    if (code == RC_OK && want & WANT_STATUSES)
        code = parts_i64(&b->p, SP_STATUSES, b->rows, b->mem, &b->statuses, e);
    if (code == RC_OK && want & WANT_PARENTS) code = load_parents(b, e);
    if (code == RC_OK && want & WANT_OWNERS) code = load_owners(b, e);
    if (code == RC_OK && want & WANT_SHAPES)
        code = attr_cols_open(&b->attrs, &b->p, SP_ATTRS, b->rows, b->mem, e);
    if (code == RC_OK && want & WANT_REST) code = load_rest(b, e);
    if (code == RC_OK) b->loaded |= want;
    return code;
}

/* --- records --- */

static rc row_events(const span_block *b, attr_walk *w, size_t row, size_t first, span *s, err *e) {
    size_t n = (size_t)b->event_counts[row];
    if (n == 0) return RC_OK;
    span_event *v = arena_try_new_n(b->mem, span_event, n);
    if (!v) return no_memory(e);
    for (size_t k = 0; k < n; k++) {
        attr_row attrs;
        rc code = attr_walk_row(w, first + k, b->mem, &attrs, e);
        if (code != RC_OK) return code;
        v[k] = (span_event){
            .ts_ns = (int64_t)((uint64_t)b->event_times[first + k] + (uint64_t)s->start_ns),
            .name = b->event_names[first + k],
            .attrs = attrs.a,
            .attr_count = attrs.n,
            .dropped_attrs = (uint32_t)b->event_dropped[first + k]};
    }
    s->events = v;
    s->event_count = (uint32_t)n;
    return RC_OK;
}

static rc row_links(const span_block *b, attr_walk *w, size_t row, size_t first, span *s, err *e) {
    size_t n = (size_t)b->link_counts[row];
    if (n == 0) return RC_OK;
    span_link *v = arena_try_new_n(b->mem, span_link, n);
    if (!v) return no_memory(e);
    for (size_t k = 0; k < n; k++) {
        attr_row attrs;
        rc code = attr_walk_row(w, first + k, b->mem, &attrs, e);
        if (code != RC_OK) return code;
        v[k] = (span_link){.trace_id = b->link_traces[first + k],
                           .span_id = b->link_spans[first + k],
                           .trace_state = b->link_states[first + k],
                           .attrs = attrs.a,
                           .attr_count = attrs.n,
                           .dropped_attrs = (uint32_t)b->link_dropped[first + k],
                           .flags = (uint32_t)b->link_flags[first + k]};
    }
    s->links = v;
    s->link_count = (uint32_t)n;
    return RC_OK;
}

rc span_block_rows(span_block *b, const uint32_t *rows, size_t count, span *to, err *e) {
    rc code = span_block_load(b, WANT_ALL, e);
    if (code != RC_OK) return code;
    attr_walk attrs, event_attrs, link_attrs;
    if ((code = attr_cols_load_all(&b->attrs, e)) != RC_OK ||
        (code = attr_cols_load_all(&b->event_attrs, e)) != RC_OK ||
        (code = attr_cols_load_all(&b->link_attrs, e)) != RC_OK ||
        (code = attr_walk_begin(&attrs, &b->attrs, e)) != RC_OK ||
        (code = attr_walk_begin(&event_attrs, &b->event_attrs, e)) != RC_OK ||
        (code = attr_walk_begin(&link_attrs, &b->link_attrs, e)) != RC_OK)
        return code;
    size_t event = 0, link = 0, at = 0;
    for (size_t k = 0; k < count; k++) {
        size_t i = rows[k];
        MUST(i < b->rows && i >= at);
        for (; at < i; at++) {
            event += (size_t)b->event_counts[at];
            link += (size_t)b->link_counts[at];
        }
        span *s = &to[k];
        *s = (span){.resource = &b->resources[b->resource_of[i]],
                    .scope = b->scope_of[i] ? &b->scopes[b->scope_of[i]] : NULL,
                    .name = b->names[i],
                    .trace_state = b->states[i],
                    .status_message = b->messages[i],
                    .start_ns = b->start[i],
                    .end_ns = b->end[i],
                    .dropped_attrs = (uint32_t)b->dropped[0][i],
                    .dropped_events = (uint32_t)b->dropped[1][i],
                    .dropped_links = (uint32_t)b->dropped[2][i],
                    .flags = (uint32_t)b->flags[i],
                    .kind = (int32_t)b->kinds[i],
                    .status = (int32_t)b->statuses[i]};
        memcpy(s->trace_id, b->traces + TRACE_ID_BYTES * b->run_of[i], TRACE_ID_BYTES);
        memcpy(s->span_id, b->ids + SPAN_ID_BYTES * i, SPAN_ID_BYTES);
        memcpy(s->parent_id, b->parents + SPAN_ID_BYTES * i, SPAN_ID_BYTES);
        attr_row row;
        if ((code = attr_walk_row(&attrs, i, b->mem, &row, e)) != RC_OK) return code;
        s->attrs = row.a;
        s->attr_count = row.n;
        if ((code = row_events(b, &event_attrs, i, event, s, e)) != RC_OK ||
            (code = row_links(b, &link_attrs, i, link, s, e)) != RC_OK)
            return code;
    }
    return RC_OK;
}
