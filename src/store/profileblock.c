/* profileblock.c - profiles as blocks.
 *
 * Samples refer to stacks, stacks to locations, these to functions and mappings, all to texts. The
 * dictionary of each request is taken apart and its entries are put together again in one of the
 * block's: an entry becomes bytes (varints, numbers of entries of other tables), equal bytes are
 * one entry, and only what a sample refers to is kept. So a merge of many requests of one process
 * has each stack once. Entry 0 of each table is the zero value, as in OTLP.
 *
 * Parts: tables are lists of byte strings (count varint; each length varint, bytes); profiles and
 * samples are columns.
 *   attr      attribute (attrcols.h: list of one), unit
 *   mapping   start, limit, offset, file, attrs        function  name, system name, file, start
 * line location  mapping, address, lines (function, line, column), attrs     stack  locations link
 * trace id, span id (texts) where lists are a count and the items, numbers are varints (signed ones
 * zigzag). */
#include "store/profileblock_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "store/column.h"
#include "store/intcode.h"

#include <stdlib.h>

enum {
    PP_HEAD = 1, /* varints: profiles, samples, and totals of the lists */
    PP_STRINGS,
    PP_ATTRS,
    PP_MAPPINGS,
    PP_FUNCTIONS,
    PP_LOCATIONS,
    PP_STACKS,
    PP_LINKS,
    PP_RESOURCES,
    PP_SCOPES,
    PP_PROFILES,     /* + column of a profile */
    PP_SAMPLES = 64, /* + column of a sample */
};
/* Columns of profiles and of samples; lists: lengths, then items. */
enum {
    H_RESOURCE,
    H_SCOPE,
    H_TYPE,
    H_UNIT,
    H_PERIOD_TYPE,
    H_PERIOD_UNIT,
    H_PERIOD,
    H_TS,
    H_DURATION,
    H_ID,
    H_FORMAT,
    H_DROPPED,
    H_SAMPLE_COUNT,
    H_ATTR_COUNT,
    H_COLUMNS,
    H_ATTRS = H_COLUMNS,
    H_PAYLOAD
};
enum {
    S_STACK,
    S_LINK,
    S_ATTR_COUNT,
    S_VALUE_COUNT,
    S_TIME_COUNT,
    S_COLUMNS,
    S_ATTRS = S_COLUMNS,
    S_VALUES,
    S_TIMES
};
enum { TABLE_ENTRIES_MAX = 1 << 22, TABLE_BYTES_MAX = 256 << 20, ITEMS_MAX = INTCODE_MAX };
enum { T_STRINGS, T_ATTRS, T_MAPPINGS, T_FUNCTIONS, T_LOCATIONS, T_STACKS, T_LINKS, T_COUNT };
#define ARENA_BYTES ((size_t)2 << 30)

static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory for profiles"); }
static rc damaged(err *e) { return FAIL(e, RC_CORRUPT, "damaged block of profiles"); }

/* --- building --- */

typedef struct source_profile {
    const profile *p;
    const profile_batch *batch;
} source_profile;

typedef VEC(int64_t) column;

typedef struct builder {
    intern table[T_COUNT];
    buf tmp; /* the entry that is put together */
    owner_table resources, scopes;
    column head[H_COLUMNS + 1], sample[S_TIMES + 1];
    VEC(str) payloads;
    bool any_payload, full;
    const profile_batch *batch; /* what `of` is about: its entries' numbers + 1 */
    map64 of[T_COUNT];
} builder;

static void builder_init(builder *b) {
    memset(b, 0, sizeof *b);
    for (int i = 0; i < T_COUNT; i++) {
        intern_init(&b->table[i], "profile table", TABLE_ENTRIES_MAX, TABLE_BYTES_MAX);
        map64_init(&b->of[i], TABLE_ENTRIES_MAX);
    }
    buf_init(&b->tmp, TABLE_BYTES_MAX);
    owner_table_init(&b->resources);
    owner_table_init(&b->scopes);
}

static void builder_release(builder *b) {
    for (int i = 0; i < T_COUNT; i++) {
        intern_release(&b->table[i]);
        map64_release(&b->of[i]);
    }
    buf_release(&b->tmp);
    owner_table_release(&b->resources);
    owner_table_release(&b->scopes);
    for (int i = 0; i <= H_COLUMNS; i++) vec_release(&b->head[i]);
    for (int i = 0; i <= S_TIMES; i++) vec_release(&b->sample[i]);
    vec_release(&b->payloads);
}

static uint64_t checked(builder *b, uint32_t id) {
    if (id != INTERN_NONE) return id;
    b->full = true;
    return 0;
}

static uint64_t string_id(builder *b, str s) {
    return checked(b, intern_put(&b->table[T_STRINGS], s));
}

/* The entry that lies in tmp from `from` on; it is taken off. */
static uint64_t entry_id(builder *b, int table, size_t from) {
    b->full |= b->tmp.full;
    uint32_t id = intern_put(&b->table[table], str_from(buf_str(&b->tmp), from));
    b->tmp.n = from;
    return checked(b, id);
}

static void put(builder *b, uint64_t v) { b->full |= !buf_varint(&b->tmp, v); }
static void put_signed(builder *b, int64_t v) { put(b, zigzag_of(v)); }

static uint64_t zero_entry(builder *b, int table) {
    static const uint8_t numbers[T_COUNT] = {0, 0, 5, 4, 4, 1, 2};
    size_t from = b->tmp.n;
    if (table == T_STRINGS) return string_id(b, S(""));
    if (table == T_ATTRS) {
        attribute none = {.type = ATTR_EMPTY};
        b->full |= !attrs_put(&b->tmp, &none, 1);
        put(b, 0);
    }
    for (int i = 0; i < numbers[table]; i++) put(b, 0);
    return entry_id(b, table, from);
}

/* Numbers of the batch's entries, found once each: `known` is NULL only when memory is out. */
static uint64_t *known_id(builder *b, int table, uint32_t i) {
    uint64_t *at = map64_put(&b->of[table], i, NULL);
    b->full |= !at;
    return at;
}

static uint64_t attr_id(builder *b, uint32_t i) {
    uint64_t *known = known_id(b, T_ATTRS, i);
    if (!known || *known) return known ? *known - 1 : 0;
    const profile_attr *a = &b->batch->attrs[i];
    uint64_t unit = string_id(b, a->unit);
    size_t from = b->tmp.n;
    b->full |= !attrs_put(&b->tmp, &a->attr, 1);
    put(b, unit);
    uint64_t id = entry_id(b, T_ATTRS, from);
    *known = id + 1;
    return id;
}

static void put_attrs(builder *b, const uint32_t *attrs, uint32_t n) {
    put(b, n);
    for (uint32_t k = 0; k < n; k++) put(b, attr_id(b, attrs[k]));
}

/* Index 0 of a table that is not there is its zero value. */
static bool is_zero(uint32_t i, uint32_t count) { return i == 0 && count == 0; }

static uint64_t mapping_id(builder *b, uint32_t i) {
    if (is_zero(i, b->batch->mapping_count)) return 0;
    uint64_t *known = known_id(b, T_MAPPINGS, i);
    if (!known || *known) return known ? *known - 1 : 0;
    const profile_mapping *m = &b->batch->mappings[i];
    uint64_t file = string_id(b, m->file);
    size_t from = b->tmp.n;
    put(b, m->start);
    put(b, m->limit);
    put(b, m->file_offset);
    put(b, file);
    put_attrs(b, m->attrs, m->attr_count);
    return (*known = entry_id(b, T_MAPPINGS, from) + 1) - 1;
}

static uint64_t function_id(builder *b, uint32_t i) {
    if (is_zero(i, b->batch->function_count)) return 0;
    uint64_t *known = known_id(b, T_FUNCTIONS, i);
    if (!known || *known) return known ? *known - 1 : 0;
    const profile_function *f = &b->batch->functions[i];
    size_t from = b->tmp.n;
    put(b, string_id(b, f->name));
    put(b, string_id(b, f->system_name));
    put(b, string_id(b, f->file));
    put_signed(b, f->start_line);
    return (*known = entry_id(b, T_FUNCTIONS, from) + 1) - 1;
}

static uint64_t location_id(builder *b, uint32_t i) {
    const uint64_t *seen = map64_get(&b->of[T_LOCATIONS], i);
    if (seen) return *seen - 1;
    const profile_location *l = &b->batch->locations[i];
    size_t from = b->tmp.n;
    put(b, mapping_id(b, l->mapping));
    put(b, l->address);
    put(b, l->line_count);
    for (uint32_t k = 0; k < l->line_count; k++) {
        put(b, function_id(b, l->lines[k].function));
        put_signed(b, l->lines[k].line);
        put_signed(b, l->lines[k].column);
    }
    put_attrs(b, l->attrs, l->attr_count);
    uint64_t id = entry_id(b, T_LOCATIONS, from), *known = known_id(b, T_LOCATIONS, i);
    if (known) *known = id + 1;
    return id;
}

static uint64_t stack_id(builder *b, uint32_t i) {
    const uint64_t *seen = map64_get(&b->of[T_STACKS], i);
    if (seen) return *seen - 1;
    const profile_stack *s = &b->batch->stacks[i];
    size_t from = b->tmp.n;
    put(b, s->count);
    for (uint32_t k = 0; k < s->count; k++) put(b, location_id(b, s->locations[k]));
    uint64_t id = entry_id(b, T_STACKS, from), *known = known_id(b, T_STACKS, i);
    if (known) *known = id + 1;
    return id;
}

static uint64_t link_id(builder *b, uint32_t i) {
    size_t from = b->tmp.n;
    const profile_link *l = &b->batch->links[i];
    put(b, string_id(b, l->trace_id));
    put(b, string_id(b, l->span_id));
    return entry_id(b, T_LINKS, from);
}

static void add_sample(builder *b, const profile_sample *s) {
    const profile_batch *t = b->batch;
    int64_t stack = is_zero(s->stack, t->stack_count) ? 0 : (int64_t)stack_id(b, s->stack);
    int64_t link = is_zero(s->link, t->link_count) ? 0 : (int64_t)link_id(b, s->link);
    vec_push(&b->sample[S_STACK], stack);
    vec_push(&b->sample[S_LINK], link);
    vec_push(&b->sample[S_ATTR_COUNT], s->attr_count);
    vec_push(&b->sample[S_VALUE_COUNT], s->value_count);
    vec_push(&b->sample[S_TIME_COUNT], s->timestamp_count);
    for (uint32_t k = 0; k < s->attr_count; k++) {
        int64_t id = (int64_t)attr_id(b, s->attrs[k]);
        vec_push(&b->sample[S_ATTRS], id);
    }
    for (uint32_t k = 0; k < s->value_count; k++) vec_push(&b->sample[S_VALUES], s->values[k]);
    for (uint32_t k = 0; k < s->timestamp_count; k++)
        vec_push(&b->sample[S_TIMES], s->timestamps_ns[k]);
}

static void add_profile(builder *b, const source_profile *s) {
    const profile *p = s->p;
    if (b->batch != s->batch) {
        b->batch = s->batch;
        for (int i = 0; i < T_COUNT; i++) map64_reset(&b->of[i]);
    }
    uint32_t owner = owner_resource(&b->resources, p->resource);
    uint32_t lib = owner_scope(&b->scopes, p->scope);
    b->full |= owner == UINT32_MAX || lib == UINT32_MAX;
    int64_t v[H_COLUMNS] = {
        [H_RESOURCE] = owner,
        [H_SCOPE] = lib,
        [H_TYPE] = (int64_t)string_id(b, p->type),
        [H_UNIT] = (int64_t)string_id(b, p->unit),
        [H_PERIOD_TYPE] = (int64_t)string_id(b, p->period_type),
        [H_PERIOD_UNIT] = (int64_t)string_id(b, p->period_unit),
        [H_PERIOD] = p->period,
        [H_TS] = p->ts_ns,
        [H_DURATION] = (int64_t)p->duration_ns,
        [H_ID] = (int64_t)string_id(b, p->profile_id),
        [H_FORMAT] = (int64_t)string_id(b, p->payload_format),
        [H_DROPPED] = p->dropped_attrs,
        [H_SAMPLE_COUNT] = p->sample_count,
        [H_ATTR_COUNT] = p->attr_count,
    };
    for (int i = 0; i < H_COLUMNS; i++) vec_push(&b->head[i], v[i]);
    for (uint32_t k = 0; k < p->attr_count; k++) {
        int64_t id = (int64_t)attr_id(b, p->attrs[k]);
        vec_push(&b->head[H_ATTRS], id);
    }
    vec_push(&b->payloads, p->payload);
    b->any_payload |= p->payload.n > 0;
    for (uint32_t k = 0; k < p->sample_count; k++) add_sample(b, &p->samples[k]);
}

static void put_table(parts_writer *w, uint32_t id, const intern *t) {
    part_begin(w, id);
    bool ok = buf_varint(w->out, t->count);
    for (uint32_t i = 0; i < t->count; i++) ok = ok && put_text(w->out, intern_str(t, i));
    w->ok &= ok;
    part_end(w, true);
}

static bool put_parts(parts_writer *w, const builder *b) {
    for (int i = 0; i < T_COUNT; i++) put_table(w, PP_STRINGS + (uint32_t)i, &b->table[i]);
    bool ok = owner_resources_put(w, PP_RESOURCES, &b->resources) &&
              owner_scopes_put(w, PP_SCOPES, &b->scopes);
    for (uint32_t i = 0; i <= H_ATTRS; i++)
        part_i64(w, PP_PROFILES + i, b->head[i].v, b->head[i].n);
    if (b->any_payload) {
        part_begin(w, PP_PROFILES + H_PAYLOAD);
        for (size_t i = 0; i < b->payloads.n; i++) ok = ok && put_text(w->out, b->payloads.v[i]);
        part_end(w, true);
    }
    for (uint32_t i = 0; i <= S_TIMES; i++)
        part_i64(w, PP_SAMPLES + i, b->sample[i].v, b->sample[i].n);
    part_begin(w, PP_HEAD);
    ok = ok && buf_varint(w->out, b->head[H_TS].n) && buf_varint(w->out, b->sample[S_STACK].n) &&
         buf_varint(w->out, b->head[H_ATTRS].n) && buf_varint(w->out, b->sample[S_ATTRS].n) &&
         buf_varint(w->out, b->sample[S_VALUES].n) && buf_varint(w->out, b->sample[S_TIMES].n);
    part_end(w, false);
    return ok && parts_end(w, BLOCK_PROFILES, PROFILE_BLOCK_VERSION);
}

static rc put_block(const source_profile *s, size_t n, int level, uint64_t raw, block_put put_fn,
                    void *put_ctx, err *e) {
    builder *b = mem_new(builder);
    builder_init(b);
    for (int i = 0; i < T_COUNT; i++) MUST(zero_entry(b, i) == 0);
    block_info info = {.kind = BLOCK_PROFILES,
                       .level = (uint8_t)(level > 0),
                       .version = PROFILE_BLOCK_VERSION,
                       .rows = (uint32_t)n,
                       .min_ts_ns = INT64_MAX,
                       .max_ts_ns = INT64_MIN,
                       .raw_bytes = raw};
    for (size_t i = 0; i < n && !b->full; i++) {
        add_profile(b, &s[i]);
        info.min_ts_ns = MIN(info.min_ts_ns, s[i].p->ts_ns);
        info.max_ts_ns = MAX(info.max_ts_ns, s[i].p->ts_ns);
        info.labels |= block_service_bits(s[i].p->resource->service);
    }
    buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    parts_writer w;
    parts_begin(&w, &out, level);
    rc code = RC_OK;
    for (int i = 0; i <= S_TIMES; i++) b->full |= b->sample[i].n > ITEMS_MAX;
    if (b->full || !put_parts(&w, b)) code = no_memory(e);
    info.bytes = out.n;
    if (code == RC_OK) code = put_fn(put_ctx, &info, buf_str(&out), e);
    parts_release(&w);
    buf_release(&out);
    builder_release(b);
    mem_free(b);
    return code;
}

static rc encode(telemetry *const *t, size_t count, block_put put_fn, void *put_ctx, err *e) {
    rc code = RC_OK;
    for (size_t i = 0; i < count && code == RC_OK; i++) {
        size_t n = t[i]->profiles.count;
        if (n == 0) continue;
        source_profile *s = mem_try_raw(n * sizeof *s);
        if (!s) return no_memory(e);
        for (size_t k = 0; k < n; k++)
            s[k] = (source_profile){&t[i]->profiles.rec[k], &t[i]->profiles};
        for (size_t from = 0; from < n && code == RC_OK; from += BLOCK_L0_ROWS_MAX) {
            size_t some = MIN(n - from, (size_t)BLOCK_L0_ROWS_MAX);
            code = put_block(s + from, some, 0, t[i]->body_bytes * some / n, put_fn, put_ctx, e);
        }
        mem_free(s);
    }
    return code;
}

/* --- reading --- */

static rc read_table(profile_block *b, uint32_t id, str **ret, size_t *ret_count, err *e) {
    str in;
    uint64_t n;
    rc code = parts_get(&b->p, id, b->mem, &in, e);
    if (code != RC_OK) return code;
    if (!take_varint(&in, MIN(in.n, (size_t)TABLE_ENTRIES_MAX), &n) || n == 0) return damaged(e);
    str *v = arena_try_new_n(b->mem, str, (size_t)n);
    if (!v) return no_memory(e);
    for (uint64_t i = 0; i < n; i++) {
        if (!take_text(&in, &v[i])) return damaged(e);
    }
    if (in.n) return damaged(e);
    *ret = v;
    *ret_count = (size_t)n;
    return RC_OK;
}

static bool take_below(str *in, size_t max, uint32_t *ret) {
    uint64_t v;
    if (!take_varint(in, max - 1, &v)) return false;
    *ret = (uint32_t)v;
    return true;
}
static bool take_signed(str *in, int64_t *ret) {
    uint64_t v;
    if (!take_varint(in, UINT64_MAX, &v)) return false;
    *ret = zigzag_to(v);
    return true;
}
static bool take_string(const profile_block *b, str *in, str *ret) {
    uint32_t id;
    if (!take_below(in, b->string_count, &id)) return false;
    *ret = b->strings[id];
    return true;
}
/* A list of numbers of entries. */
static bool take_list(profile_block *b, str *in, size_t max, const uint32_t **ret,
                      uint32_t *ret_n) {
    uint64_t n;
    if (!take_varint(in, in->n, &n)) return false;
    uint32_t *v = n ? arena_try_new_n(b->mem, uint32_t, (size_t)n) : NULL;
    if (n && !v) return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!take_below(in, max, &v[i])) return false;
    }
    *ret = v;
    *ret_n = (uint32_t)n;
    return true;
}

rc profile_block_open(profile_block *b, const block_io *io, const block_info *info, arena *mem,
                      err *e) {
    *b = (profile_block){.mem = mem};
    rc code = parts_open(&b->p, io, info->bytes, BLOCK_PROFILES, PROFILE_BLOCK_VERSION, mem, e);
    str head;
    uint64_t rows, samples;
    if (code != RC_OK || (code = parts_get(&b->p, PP_HEAD, mem, &head, e)) != RC_OK) return code;
    if (!take_varint(&head, BLOCK_ROWS_MAX, &rows) || rows != info->rows || rows == 0 ||
        !take_varint(&head, ITEMS_MAX, &samples))
        return damaged(e);
    b->rows = (size_t)rows;
    b->samples = (size_t)samples;
    return RC_OK;
}

void profile_block_close(profile_block *b) { parts_close(&b->p); }

/* The four totals of lists behind the counts in the head. */
static rc read_totals(profile_block *b, size_t total[4], err *e) {
    str head;
    uint64_t v;
    rc code = parts_get(&b->p, PP_HEAD, b->mem, &head, e);
    if (code != RC_OK) return code;
    for (int i = 0; i < 6; i++) {
        if (!take_varint(&head, ITEMS_MAX, &v)) return damaged(e);
        if (i >= 2) total[i - 2] = (size_t)v;
    }
    return head.n ? damaged(e) : RC_OK;
}

/* Lengths that add up to total. */
static bool lengths_fit(const int64_t *n, size_t count, size_t total) {
    uint64_t left = total;
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)n[i] > left || (uint64_t)n[i] > UINT32_MAX) return false;
        left -= (uint64_t)n[i];
    }
    return left == 0;
}

/* Numbers of entries, all below max, as 32-bit ones. */
static const uint32_t *narrowed(arena *mem, const int64_t *v, size_t n, size_t max) {
    uint32_t *to = arena_try_raw(mem, (n + 1) * sizeof *to, 8);
    for (size_t i = 0; to && i < n; i++) {
        if ((uint64_t)v[i] >= max) return NULL;
        to[i] = (uint32_t)v[i];
    }
    return to;
}

static rc read_attrs(profile_block *b, err *e) {
    str *v;
    size_t n;
    rc code = read_table(b, PP_ATTRS, &v, &n, e);
    if (code != RC_OK) return code;
    profile_attr *a = arena_try_new_n(b->mem, profile_attr, n);
    if (!a) return no_memory(e);
    for (size_t i = 0; i < n; i++) {
        attr_row row;
        if ((code = attrs_take(&v[i], b->mem, &row, e)) != RC_OK) return code;
        if (row.n != 1 || !take_string(b, &v[i], &a[i].unit) || v[i].n) return damaged(e);
        a[i].attr = row.a[0];
    }
    b->attrs = a;
    b->attr_count = n;
    return RC_OK;
}

rc profile_block_heads(profile_block *b, err *e) {
    if (b->has_heads) return RC_OK;
    rc code;
    str *strings;
    size_t total[4];
    if ((code = read_totals(b, total, e)) != RC_OK ||
        (code = read_table(b, PP_STRINGS, &strings, &b->string_count, e)) != RC_OK)
        return code;
    b->strings = strings;
    const resource *resources;
    const scope *scopes;
    size_t resource_count, scope_count;
    int64_t *col[H_COLUMNS], *attrs;
    if ((code = read_attrs(b, e)) != RC_OK ||
        (code = owner_resources_get(&b->p, PP_RESOURCES, b->mem, &resources, &resource_count, e)) !=
            RC_OK ||
        (code = owner_scopes_get(&b->p, PP_SCOPES, b->mem, &scopes, &scope_count, e)) != RC_OK)
        return code;
    for (uint32_t i = 0; i < H_COLUMNS; i++) {
        if ((code = parts_i64(&b->p, PP_PROFILES + i, b->rows, b->mem, &col[i], e)) != RC_OK)
            return code;
    }
    str payloads;
    if ((code = parts_i64(&b->p, PP_PROFILES + H_ATTRS, total[0], b->mem, &attrs, e)) != RC_OK ||
        (code = parts_get(&b->p, PP_PROFILES + H_PAYLOAD, b->mem, &payloads, e)) != RC_OK)
        return code;
    const uint32_t *attr = narrowed(b->mem, attrs, total[0], b->attr_count);
    profile *p = arena_try_new_n(b->mem, profile, b->rows);
    if (!p) return no_memory(e);
    if (!attr || !lengths_fit(col[H_ATTR_COUNT], b->rows, total[0]) ||
        !lengths_fit(col[H_SAMPLE_COUNT], b->rows, b->samples))
        return damaged(e);
    bool with_payload = payloads.n > 0;
    for (size_t i = 0; i < b->rows; i++) {
        static const int texts[] = {H_TYPE, H_UNIT, H_PERIOD_TYPE, H_PERIOD_UNIT, H_ID, H_FORMAT};
        str text[ARRAY_LEN(texts)];
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            if ((uint64_t)col[texts[k]][i] >= b->string_count) return damaged(e);
            text[k] = b->strings[col[texts[k]][i]];
        }
        if ((uint64_t)col[H_RESOURCE][i] >= resource_count ||
            (uint64_t)col[H_SCOPE][i] >= scope_count)
            return damaged(e);
        p[i] = (profile){.resource = &resources[col[H_RESOURCE][i]],
                         .scope = col[H_SCOPE][i] ? &scopes[col[H_SCOPE][i]] : NULL,
                         .type = text[0],
                         .unit = text[1],
                         .period_type = text[2],
                         .period_unit = text[3],
                         .profile_id = text[4],
                         .payload_format = text[5],
                         .period = col[H_PERIOD][i],
                         .ts_ns = col[H_TS][i],
                         .duration_ns = (uint64_t)col[H_DURATION][i],
                         .dropped_attrs = (uint32_t)col[H_DROPPED][i],
                         .attrs = attr,
                         .attr_count = (uint32_t)col[H_ATTR_COUNT][i],
                         .sample_count = (uint32_t)col[H_SAMPLE_COUNT][i]};
        attr += p[i].attr_count;
        if (with_payload && !take_text(&payloads, &p[i].payload)) return damaged(e);
    }
    if (payloads.n) return damaged(e);
    b->heads = p;
    b->has_heads = true;
    return RC_OK;
}

static bool read_mapping(profile_block *b, str *in, profile_mapping *m) {
    return take_varint(in, UINT64_MAX, &m->start) && take_varint(in, UINT64_MAX, &m->limit) &&
           take_varint(in, UINT64_MAX, &m->file_offset) && take_string(b, in, &m->file) &&
           take_list(b, in, b->attr_count, &m->attrs, &m->attr_count);
}
static bool read_function(profile_block *b, str *in, profile_function *f) {
    return take_string(b, in, &f->name) && take_string(b, in, &f->system_name) &&
           take_string(b, in, &f->file) && take_signed(in, &f->start_line);
}
static bool read_location(profile_block *b, str *in, profile_location *l) {
    uint64_t n;
    if (!take_below(in, b->batch.mapping_count, &l->mapping) ||
        !take_varint(in, UINT64_MAX, &l->address) || !take_varint(in, in->n, &n))
        return false;
    profile_frame_line *line = arena_try_new_n(b->mem, profile_frame_line, (size_t)n + 1);
    if (!line) return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!take_below(in, b->batch.function_count, &line[i].function) ||
            !take_signed(in, &line[i].line) || !take_signed(in, &line[i].column))
            return false;
    }
    l->lines = line;
    l->line_count = (uint32_t)n;
    return take_list(b, in, b->attr_count, &l->attrs, &l->attr_count);
}
static bool read_stack(profile_block *b, str *in, profile_stack *s) {
    return take_list(b, in, b->batch.location_count, &s->locations, &s->count);
}
static bool read_link(profile_block *b, str *in, profile_link *l) {
    return take_string(b, in, &l->trace_id) && take_string(b, in, &l->span_id);
}

/* A table of entries of one type, each read whole. */
#define READ_TABLE(b, part, type, member, counter, read_one)                                       \
    do {                                                                                           \
        str *v_;                                                                                   \
        size_t n_;                                                                                 \
        rc code_ = read_table(b, part, &v_, &n_, e);                                               \
        if (code_ != RC_OK) return code_;                                                          \
        type *to_ = arena_try_new_n((b)->mem, type, n_);                                           \
        if (!to_) return no_memory(e);                                                             \
        for (size_t i_ = 0; i_ < n_; i_++) {                                                       \
            if (!read_one(b, &v_[i_], &to_[i_]) || v_[i_].n) return damaged(e);                    \
        }                                                                                          \
        (b)->batch.member = to_;                                                                   \
        (b)->batch.counter = (uint32_t)n_;                                                         \
    } while (0)

static rc read_tables(profile_block *b, err *e) {
    READ_TABLE(b, PP_MAPPINGS, profile_mapping, mappings, mapping_count, read_mapping);
    READ_TABLE(b, PP_FUNCTIONS, profile_function, functions, function_count, read_function);
    READ_TABLE(b, PP_LOCATIONS, profile_location, locations, location_count, read_location);
    READ_TABLE(b, PP_STACKS, profile_stack, stacks, stack_count, read_stack);
    READ_TABLE(b, PP_LINKS, profile_link, links, link_count, read_link);
    return RC_OK;
}

rc profile_block_batch(profile_block *b, err *e) {
    if (b->has_batch) return RC_OK;
    rc code = profile_block_heads(b, e);
    if (code != RC_OK || (code = read_tables(b, e)) != RC_OK) return code;
    size_t total[4];
    if ((code = read_totals(b, total, e)) != RC_OK) return code;
    int64_t *col[S_TIMES + 1];
    for (uint32_t i = 0; i <= S_TIMES; i++) {
        size_t n = i < S_COLUMNS ? b->samples : total[1 + i - S_COLUMNS];
        if ((code = parts_i64(&b->p, PP_SAMPLES + i, n, b->mem, &col[i], e)) != RC_OK) return code;
    }
    const uint32_t *attr = narrowed(b->mem, col[S_ATTRS], total[1], b->attr_count);
    profile_sample *s = arena_try_new_n(b->mem, profile_sample, b->samples + 1);
    if (!s) return no_memory(e);
    if (!attr || !lengths_fit(col[S_ATTR_COUNT], b->samples, total[1]) ||
        !lengths_fit(col[S_VALUE_COUNT], b->samples, total[2]) ||
        !lengths_fit(col[S_TIME_COUNT], b->samples, total[3]))
        return damaged(e);
    const int64_t *value = col[S_VALUES], *time = col[S_TIMES];
    for (size_t i = 0; i < b->samples; i++) {
        if ((uint64_t)col[S_STACK][i] >= b->batch.stack_count ||
            (uint64_t)col[S_LINK][i] >= b->batch.link_count)
            return damaged(e);
        s[i] = (profile_sample){.stack = (uint32_t)col[S_STACK][i],
                                .link = (uint32_t)col[S_LINK][i],
                                .attrs = attr,
                                .values = value,
                                .timestamps_ns = time,
                                .attr_count = (uint32_t)col[S_ATTR_COUNT][i],
                                .value_count = (uint32_t)col[S_VALUE_COUNT][i],
                                .timestamp_count = (uint32_t)col[S_TIME_COUNT][i]};
        attr += s[i].attr_count;
        value += s[i].value_count;
        time += s[i].timestamp_count;
    }
    for (size_t i = 0; i < b->rows; i++) {
        b->heads[i].samples = s;
        s += b->heads[i].sample_count;
    }
    b->batch.rec = b->heads;
    b->batch.count = b->batch.cap = b->rows;
    b->batch.attrs = b->attrs;
    b->batch.attr_count = (uint32_t)b->attr_count;
    b->has_batch = true;
    return RC_OK;
}

/* --- merging, verifying --- */

typedef struct merger {
    arena mem;
    VEC(source_profile) rows;
    uint64_t raw;
    block_put put;
    void *put_ctx;
} merger;

static int by_time(const void *a, const void *b) {
    const source_profile *x = a, *y = b;
    if (x->p->ts_ns != y->p->ts_ns) return x->p->ts_ns < y->p->ts_ns ? -1 : 1;
    return x->p < y->p ? -1 : x->p > y->p;
}

static rc flush(merger *m, err *e) {
    size_t n = m->rows.n;
    rc code = RC_OK;
    if (n) qsort(m->rows.v, n, sizeof *m->rows.v, by_time);
    for (size_t from = 0; from < n && code == RC_OK; from += PROFILE_BLOCK_ROWS) {
        size_t some = MIN(n - from, (size_t)PROFILE_BLOCK_ROWS);
        code = put_block(m->rows.v + from, some, 1, m->raw * some / n, m->put, m->put_ctx, e);
    }
    arena_reset(&m->mem);
    m->rows.n = 0;
    m->raw = 0;
    return code;
}

static rc merge(const block_io *in, const block_info *info, size_t count, size_t max_bytes,
                block_put put_fn, void *put_ctx, const volatile int *cancel, size_t *ret_bad,
                err *e) {
    merger m = {.put = put_fn, .put_ctx = put_ctx};
    arena_init(&m.mem, "profile merge", ARENA_BYTES);
    rc code = RC_OK;
    for (size_t i = 0; i < count && code == RC_OK; i++) {
        if (store_cancelled(cancel)) {
            code = RC_CANCELLED;
            break;
        }
        profile_block *b = arena_try_new(&m.mem, profile_block);
        if (!b) {
            code = no_memory(e);
            break;
        }
        code = profile_block_open(b, &in[i], &info[i], &m.mem, e);
        if (code == RC_OK) code = profile_block_batch(b, e);
        if (code == RC_CORRUPT) *ret_bad = i;
        for (size_t k = 0; code == RC_OK && k < b->rows; k++)
            vec_push(&m.rows, (source_profile){&b->heads[k], &b->batch});
        profile_block_close(b);
        m.raw += info[i].raw_bytes;
        if (code == RC_OK && m.mem.used_bytes > max_bytes / 2) code = flush(&m, e);
    }
    if (code == RC_OK) code = flush(&m, e);
    vec_release(&m.rows);
    arena_release(&m.mem);
    return code;
}

static rc verify(const block_io *in, const block_info *info, err *e) {
    arena mem;
    arena_init(&mem, "profile verify", ARENA_BYTES);
    profile_block b;
    rc code = profile_block_open(&b, in, info, &mem, e);
    if (code == RC_OK) code = parts_verify(&b.p, &mem, e);
    if (code == RC_OK) code = profile_block_batch(&b, e);
    profile_block_close(&b);
    arena_release(&mem);
    return code;
}

const block_ops PROFILE_BLOCKS = {.kind = BLOCK_PROFILES,
                                  .large_rows = PROFILE_BLOCK_ROWS / 2,
                                  .encode = encode,
                                  .merge = merge,
                                  .verify = verify};
