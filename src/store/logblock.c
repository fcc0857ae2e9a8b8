/* logblock.c - log records to level-0 blocks: what ingest pays for.
 *
 * Problem. A commit has a third of a microsecond for a record, and what it writes must be small,
 * self-contained, and quick to merge. Requests bring some hundred kinds in a thousand records, so
 * columns per kind would be three values long: level 0 keeps cells in the order of records.
 *
 * Format (level 0)
 *     head     "FLLB", u8 version, u8 level, u16 0, u32 header bytes, u32 raw bytes (0 = as
 * stored), u64 XXH3 of everything behind the head (level 1: of the header) rows     varint tables
 * logtables.c pieces   column of times, kinds, resources, bits (ROW_*), observed times (- time),
 * metas; ids (16 bytes trace and 8 bytes span where the bits say so); lengths of text cells (u8,
 * 255: a varint in the next piece), long lengths, numbers (integers as zigzag varints, doubles 8
 * bytes), texts Cells follow row by row, each row's in the order of its kind.
 *
 * The sorting time of a row without time is its observed, else its arrival time; ROW_NO_TIME says
 * so.
 *
 * Exactness. A kind is found by shape, but a row joins it only when its constants are equal byte by
 * byte. What was not mined, or whose slots make no sense, is one cell (lb_kind.plain). */
#include "store/logblock_int.h"

#include "base/mem.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "mine/mine.h"

enum { TEXT_CUT = 64 << 20, PIECE_MAX = 224 << 20 };

/* One block being filled. */
typedef struct l0 {
    lb_builder *tables;
    size_t rows, cap;
    uint64_t *cols; /* time, kind, resource, bits, observed, meta: cap of each */
    buf ids, lens, longs, nums, text;
    block_info info;
    arena scratch;
    /* What the latest record had, by pointer: neighbours share. */
    const resource *last_resource;
    const scope *last_scope;
    uint32_t last_resource_id, last_scope_id;
} l0;

enum { C_TIME = 0, C_KIND, C_RESOURCE, C_BITS, C_OBSERVED, C_META, C_COUNT };

static void l0_init(l0 *x) {
    *x = (l0){.tables = lb_builder_new()};
    buf_init(&x->ids, PIECE_MAX);
    buf_init(&x->lens, PIECE_MAX);
    buf_init(&x->longs, PIECE_MAX);
    buf_init(&x->nums, PIECE_MAX);
    buf_init(&x->text, PIECE_MAX);
    arena_init(&x->scratch, "log encode", 64 << 20);
}

static void l0_release(l0 *x) {
    lb_builder_free(x->tables);
    mem_free(x->cols);
    buf_release(&x->ids);
    buf_release(&x->lens);
    buf_release(&x->longs);
    buf_release(&x->nums);
    buf_release(&x->text);
    arena_release(&x->scratch);
}

static void l0_reset(l0 *x) {
    lb_builder_reset(x->tables);
    x->rows = 0;
    x->info = (block_info){0};
    buf_reset(&x->ids);
    buf_reset(&x->lens);
    buf_reset(&x->longs);
    buf_reset(&x->nums);
    buf_reset(&x->text);
    x->last_resource = NULL;
    x->last_scope = NULL;
}

FL_INLINE bool put_text(l0 *x, str s) {
    if (LIKELY(s.n < 255)) return buf_putc(&x->lens, (char)s.n) && buf_put(&x->text, s);
    return buf_putc(&x->lens, (char)255) && buf_varint(&x->longs, s.n) && buf_put(&x->text, s);
}

static bool put_num(l0 *x, uint8_t type, int64_t num) {
    if (type == ATTR_DOUBLE) return buf_le64(&x->nums, (uint64_t)num);
    return buf_varint(&x->nums, zigzag(num));
}

static bool is_num(uint8_t type) {
    return type == ATTR_INT || type == ATTR_DOUBLE || type == ATTR_BOOL;
}

/* Records of text files state service and host beside the resource. */
static uint32_t resource_of(l0 *x, const log_record *r) {
    if (r->resource && r->resource == x->last_resource) return x->last_resource_id;
    attribute own[2];
    resource made = {.attrs = own};
    const resource *res = r->resource;
    if (!res) {
        if (r->service.n) own[made.attr_count++] = attribute_text_of(S("service.name"), r->service);
        if (r->host.n) own[made.attr_count++] = attribute_text_of(S("host.name"), r->host);
        res = &made;
    }
    uint32_t id = lb_add_resource(x->tables, res);
    x->info.labels |= lb_service_bits(res);
    x->last_resource = r->resource;
    x->last_resource_id = id;
    return id;
}

static uint32_t meta_of(l0 *x, const log_record *r) {
    lb_meta m = {.scope = LB_NONE,
                 .flags = r->flags,
                 .dropped_attrs = r->dropped_attrs,
                 .severity = r->severity,
                 .severity_other = r->severity_other,
                 .severity_text = r->severity_text,
                 .event_name = r->event_name};
    if (r->scope) {
        if (r->scope != x->last_scope) {
            x->last_scope_id = lb_add_scope(x->tables, r->scope);
            x->last_scope = r->scope;
        }
        m.scope = x->last_scope_id;
        if (m.scope == LB_NONE) return LB_NONE;
    }
    return lb_add_meta(x->tables, &m);
}

static bool slots_make_sense(const log_record *r, uint8_t *types) {
    size_t at = 0;
    if (r->shape == 0 || r->slot_count > SLOTS_MAX) return false;
    for (uint32_t i = 0; i < r->slot_count; i++) {
        const log_slot *s = &r->slots[i];
        if (s->offset < at || s->bytes > r->body.n || s->offset > r->body.n - s->bytes ||
            s->type >= SLOT_TYPE_COUNT)
            return false;
        at = (size_t)s->offset + s->bytes;
        types[i] = s->type;
    }
    return true;
}

/* A mark among the constants would be taken for a slot. */
static bool has_mark(const log_record *r) {
    size_t at = 0;
    for (uint32_t i = 0; i <= r->slot_count; i++) {
        size_t to = i < r->slot_count ? r->slots[i].offset : r->body.n;
        if (to > at && memchr(r->body.p + at, LB_MARK, to - at)) return true;
        if (i < r->slot_count) at = (size_t)r->slots[i].offset + r->slots[i].bytes;
    }
    return false;
}

static uint32_t kind_of(l0 *x, const log_record *r, lb_kind *k) {
    uint8_t types[SLOTS_MAX];
    k->shape = r->shape;
    k->body_type = r->body_type;
    k->schema = lb_add_schema(x->tables, r->attrs, r->attr_count);
    if (k->schema == LB_NONE) return LB_NONE;
    k->slot_types = types;
    k->slots = r->slot_count;
    if (slots_make_sense(r, types) && !has_mark(r))
        return lb_add_kind_of(x->tables, k, r->body, r->slots);
    k->plain = true;
    k->slots = 1;
    types[0] = SLOT_TEXT;
    return lb_add_kind_of(x->tables, k, STR_NONE, NULL);
}

static bool put_ids(l0 *x, const log_record *r, uint64_t *bits) {
    uint8_t trace[16], sid[8];
    str t = r->trace_bin, s = r->span_bin;
    if (t.n != 16 && hex_to_bytes(r->trace_id, trace, 16)) t = (str){(char *)trace, 16};
    if (s.n != 8 && hex_to_bytes(r->span_id, sid, 8)) s = (str){(char *)sid, 8};
    if (t.n == 16) *bits |= ROW_TRACE;
    if (s.n == 8) *bits |= ROW_SPAN;
    return (t.n != 16 || buf_put(&x->ids, t)) && (s.n != 8 || buf_put(&x->ids, s));
}

static bool grow(l0 *x) {
    size_t cap = x->cap ? x->cap * 2 : 1024;
    uint64_t *cols = mem_try_raw(cap * C_COUNT * sizeof *cols);
    if (!cols) return false;
    for (int c = 0; c < C_COUNT && x->rows; c++)
        memcpy(cols + (size_t)c * cap, x->cols + (size_t)c * x->cap, x->rows * sizeof *cols);
    mem_free(x->cols);
    x->cols = cols;
    x->cap = cap;
    return true;
}

static bool add_record(l0 *x, const log_record *r, int64_t arrival_ns) {
    if (x->rows == x->cap && !grow(x)) return false;
    lb_kind k = {0};
    uint32_t kind = kind_of(x, r, &k), res = resource_of(x, r), meta = meta_of(x, r);
    if (kind == LB_NONE || res == LB_NONE || meta == LB_NONE) return false;

    uint64_t bits = 0;
    int64_t time = r->ts_ns;
    if (time == TS_NONE) {
        bits |= ROW_NO_TIME;
        time = r->observed_ns ? r->observed_ns : arrival_ns;
    }
    if (r->observed_ns) bits |= ROW_OBSERVED;
    bool ok = put_ids(x, r, &bits);
    uint64_t row[C_COUNT] = {(uint64_t)time,
                             kind,
                             res,
                             bits,
                             r->observed_ns ? (uint64_t)r->observed_ns - (uint64_t)time : 0,
                             meta};
    for (int c = 0; c < C_COUNT; c++) x->cols[(size_t)c * x->cap + x->rows] = row[c];

    if (k.plain) ok = ok && put_text(x, r->body);
    for (uint32_t i = 0; ok && !k.plain && i < r->slot_count; i++)
        ok = put_text(x, (str){r->body.p + r->slots[i].offset, r->slots[i].bytes});
    for (uint32_t i = 0; ok && i < r->attr_count; i++) {
        const attribute *a = &r->attrs[i];
        ok = is_num(a->type) ? put_num(x, a->type, a->num) : put_text(x, a->val);
    }
    if (ok && is_num(r->body_type)) {
        ok = put_num(x, r->body_type, r->body_num);
    } else if (ok && r->body_type != ATTR_STR && r->body_type != ATTR_EMPTY) {
        ok = put_text(x, r->body_any);
    }
    block_info *in = &x->info;
    if (x->rows == 0) in->min_ts_ns = in->max_ts_ns = time;
    in->min_ts_ns = MIN(in->min_ts_ns, time);
    in->max_ts_ns = MAX(in->max_ts_ns, time);
    in->severities |= UINT64_C(1) << (r->severity & 63);
    x->rows++;
    return ok;
}

static bool put_column(col_ctx *c, buf *out, const uint64_t *v, size_t n, buf *tmp) {
    buf_reset(tmp);
    return col_x_put_u64(c, tmp, v, n) && col_put_piece(out, buf_str(tmp));
}

/* Writes the block and empties x. */
static rc flush(l0 *x, block_put put, void *ctx, err *e) {
    if (x->rows == 0) return RC_OK;
    buf out, tmp;
    buf_init(&out, BLOCK_BYTES_MAX);
    buf_init(&tmp, PIECE_MAX);
    col_ctx c;
    col_ctx_init(&c, 0);
    bool ok = buf_pad(&out, 0, LB_HEAD_BYTES) && buf_varint(&out, x->rows) &&
              lb_put_tables(&out, lb_builder_tables(x->tables), false);
    for (size_t i = 0; ok && i < C_COUNT; i++)
        ok = put_column(&c, &out, x->cols + i * x->cap, x->rows, &tmp);
    ok = ok && col_put_piece(&out, buf_str(&x->ids)) && col_put_piece(&out, buf_str(&x->lens)) &&
         col_put_piece(&out, buf_str(&x->longs)) && col_put_piece(&out, buf_str(&x->nums)) &&
         col_put_piece(&out, buf_str(&x->text));
    rc code = RC_OK;
    if (ok) {
        lb_put_head(out.p, 0, out.n - LB_HEAD_BYTES, 0,
                    (str){out.p + LB_HEAD_BYTES, out.n - LB_HEAD_BYTES});
        block_info *in = &x->info;
        in->kind = BLOCK_LOGS;
        in->version = LB_VERSION;
        in->rows = (uint32_t)x->rows;
        in->bytes = out.n;
        code = put(ctx, in, buf_str(&out), e);
    } else {
        code = FAIL(e, RC_LIMIT, "log block: no memory for %zu records", x->rows);
    }
    buf_release(&out);
    buf_release(&tmp);
    col_ctx_release(&c);
    l0_reset(x);
    return code;
}

void lb_put_head(char *head, uint8_t level, size_t stored, size_t raw, str summed) {
    memset(head, 0, LB_HEAD_BYTES);
    memcpy(head, "FLLB", 4);
    head[4] = LB_VERSION;
    head[5] = (char)level;
    uint32_t n = (uint32_t)stored, m = (uint32_t)raw;
    uint64_t sum = str_hash(summed);
    memcpy(head + 8, &n, 4);
    memcpy(head + 12, &m, 4);
    memcpy(head + 16, &sum, 8);
}

/* Size of a record as it was received, about: for records that came with others in one body. */
static uint64_t record_bytes(const log_record *r) {
    uint64_t n = 32 + r->body.n + r->severity_text.n;
    for (uint32_t i = 0; i < r->attr_count; i++) n += 12 + r->attrs[i].key.n + r->attrs[i].val.n;
    return n;
}

rc lb_encode(telemetry *const *t, size_t count, block_put put, void *put_ctx, err *e) {
    l0 x;
    l0_init(&x);
    rc code = RC_OK;
    for (size_t i = 0; i < count && !code; i++) {
        const log_batch *b = &t[i]->logs;
        bool alone = b->count == telemetry_count(t[i]) && t[i]->body_bytes;
        x.last_resource = NULL; /* pointers are of one telemetry */
        x.last_scope = NULL;
        for (size_t k = 0; k < b->count && !code; k++) {
            if (x.rows >= BLOCK_L0_ROWS_MAX || x.text.n >= TEXT_CUT)
                code = flush(&x, put, put_ctx, e);
            if (!code && !add_record(&x, &b->rec[k], t[i]->arrival_ns))
                code = FAIL(e, RC_LIMIT, "log block: no memory for a record");
            if (!alone) x.info.raw_bytes += record_bytes(&b->rec[k]);
        }
        if (alone) x.info.raw_bytes += t[i]->body_bytes;
    }
    if (!code) code = flush(&x, put, put_ctx, e);
    l0_release(&x);
    return code;
}
