/* metricpoints.c - points to chunks and back.
 *
 * A chunk is columns one behind the other, those that are zero throughout left out:
 *   bits varint (which columns), then in the order of the enumeration below
 *   TIMES_SHARED  number varint, first varint: times lie with the block
 *   TIMES         intcode
 *   START FLAGS TYPES   intcode
 *   NUM           doubles (f64code) when no type is an integer, else intcode
 *   EXEMPLARS     counts intcode; bytes varint; each: time to the point's varint zigzag, is_int
 *                 u8, num u64, trace id, span id (texts), attributes
 *   COUNT HAS SUM MIN MAX SCALE ZERO_COUNT ZERO_THRESHOLD OFFSET NEG_OFFSET
 *   BUCKET_N, BUCKETS; NEG_N, NEGATIVES: counts of each point, then all values. With *_SLICED each
 *                 point has as many and the values of bucket 0 of all points come first, then
 *                 those of bucket 1: a bucket's counts over time are like its neighbours in time,
 *                 not like the next bucket's.
 *   BOUND_N, BOUNDS (with BOUNDS_SAME: of one point, the same for all), VALUES (of summaries)
 *
 * Level 1 codes each column small (intcode.c), level 0 takes 8 bytes a value. */
#include "store/metricblock_int.h"

#include "base/mem.h"

#include <math.h>

enum {
    C_TIMES_SHARED = 1 << 0,
    C_START = 1 << 1,
    C_FLAGS = 1 << 2,
    C_TYPES = 1 << 3,
    C_NUM = 1 << 4,
    C_EXEMPLARS = 1 << 5,
    C_COUNT = 1 << 6,
    C_HAS = 1 << 7,
    C_SUM = 1 << 8,
    C_MIN = 1 << 9,
    C_MAX = 1 << 10,
    C_SCALE = 1 << 11,
    C_ZERO_COUNT = 1 << 12,
    C_ZERO_THRESHOLD = 1 << 13,
    C_OFFSET = 1 << 14,
    C_NEG_OFFSET = 1 << 15,
    C_BUCKETS = 1 << 16,
    C_BUCKETS_SLICED = 1 << 17,
    C_NEGATIVES = 1 << 18,
    C_NEGATIVES_SLICED = 1 << 19,
    C_BOUNDS = 1 << 20,
    C_BOUNDS_SAME = 1 << 21,
    C_VALUES = 1 << 22,
    C_ALL = (1 << 23) - 1,
    C_RICH = C_ALL & ~(C_TIMES_SHARED | C_START | C_FLAGS | C_TYPES | C_NUM),
};
enum { ITEMS_MAX = INTCODE_MAX };

static rc damaged(err *e) { return FAIL(e, RC_CORRUPT, "damaged points of a metric"); }
static rc no_memory(err *e) { return FAIL(e, RC_LIMIT, "no memory for points of a metric"); }

bool point_is_rich(const metric_point *p, uint8_t kind) {
    return p->exemplar_count > 0 || (kind != METRIC_GAUGE && kind != METRIC_SUM);
}

static int64_t bits_of(double d) {
    int64_t v;
    memcpy(&v, &d, 8);
    return v;
}
static double double_of(int64_t v) {
    double d;
    memcpy(&d, &v, 8);
    return d;
}

double points_value(const points *p, size_t i) {
    int64_t type = p->types ? p->types[i] : POINT_DOUBLE;
    if (type == POINT_NONE || (p->flags && p->flags[i] & POINT_NO_VALUE)) return (double)NAN;
    return type == POINT_INT ? (double)p->num[i] : double_of(p->num[i]);
}

void points_at(const points *p, size_t i, metric_point *ret) {
    if (p->rich) {
        *ret = p->rich[i];
        return;
    }
    int64_t type = p->types ? p->types[i] : POINT_DOUBLE;
    *ret = (metric_point){.ts_ns = p->ts[i],
                          .start_ns = p->start ? p->start[i] : 0,
                          .flags = p->flags ? (uint32_t)p->flags[i] : 0,
                          .is_int = type == POINT_INT,
                          .has_value = type != POINT_NONE,
                          .num = p->num ? p->num[i] : 0};
}

/* --- copies --- */

static bool copy_list(arena *mem, const void *from, size_t n, size_t width, const void **ret) {
    void *to = arena_try_raw(mem, n * width + 1, 8);
    if (to && n) memcpy(to, from, n * width);
    *ret = to;
    return to != NULL;
}

#define COPY_LIST(mem, p, member, n)                                                               \
    __extension__({                                                                                \
        const void *to_;                                                                           \
        bool ok_ = copy_list(mem, (p)->member, n, sizeof *(p)->member, &to_);                      \
        (p)->member = to_;                                                                         \
        ok_;                                                                                       \
    })

bool point_copy(arena *mem, metric_point *p) {
    exemplar *x = arena_try_raw(mem, (p->exemplar_count + (size_t)1) * sizeof *x, 8);
    if (!x) return false;
    for (uint32_t i = 0; i < p->exemplar_count; i++) {
        x[i] = p->exemplars[i];
        x[i].trace_id = str_dup(mem, x[i].trace_id);
        x[i].span_id = str_dup(mem, x[i].span_id);
        if (!attrs_copy(mem, p->exemplars[i].attrs, p->exemplars[i].attr_count, &x[i].attrs))
            return false;
    }
    p->exemplars = x;
    return COPY_LIST(mem, p, buckets, p->bucket_count) &&
           COPY_LIST(mem, p, negative, p->negative_count) &&
           COPY_LIST(mem, p, bounds, p->bound_count) &&
           (!p->values || COPY_LIST(mem, p, values, p->bound_count));
}

/* --- writing --- */

typedef struct chunk_writer {
    buf *out;
    const points *p;
    int level;
    uint64_t bits;
    int64_t *col; /* work space */
    bool ok;
} chunk_writer;

static void put_ints(chunk_writer *w, const int64_t *v, size_t n) {
    w->ok = w->ok && (w->level > 0 ? intcode_put(w->out, v, n) : intcode_put_fast(w->out, v, n));
}
static void put_doubles(chunk_writer *w, const int64_t *v, size_t n) {
    w->ok = w->ok && (w->level > 0 ? f64code_put(w->out, v, n) : f64code_put_fast(w->out, v, n));
}

static bool any(const int64_t *v, size_t n) {
    int64_t x = 0;
    for (size_t i = 0; v && i < n; i++) x |= v[i];
    return x != 0;
}

/* A member of the rich points as a column. */
typedef int64_t (*member)(const metric_point *p);
static int64_t get_count(const metric_point *p) { return (int64_t)p->count; }
static int64_t get_has(const metric_point *p) {
    return p->has_sum | p->has_min << 1 | p->has_max << 2;
}
static int64_t get_sum(const metric_point *p) { return bits_of(p->sum); }
static int64_t get_min(const metric_point *p) { return bits_of(p->min); }
static int64_t get_max(const metric_point *p) { return bits_of(p->max); }
static int64_t get_scale(const metric_point *p) { return p->scale; }
static int64_t get_zero_count(const metric_point *p) { return (int64_t)p->zero_count; }
static int64_t get_zero_threshold(const metric_point *p) { return bits_of(p->zero_threshold); }
static int64_t get_offset(const metric_point *p) { return p->offset; }
static int64_t get_neg_offset(const metric_point *p) { return p->negative_offset; }
static int64_t get_bucket_n(const metric_point *p) { return p->bucket_count; }
static int64_t get_neg_n(const metric_point *p) { return p->negative_count; }
static int64_t get_bound_n(const metric_point *p) { return p->bound_count; }

static const struct {
    uint32_t bit;
    member get;
    bool is_double;
} MEMBERS[] = {
    {C_COUNT, get_count, false},
    {C_HAS, get_has, false},
    {C_SUM, get_sum, true},
    {C_MIN, get_min, true},
    {C_MAX, get_max, true},
    {C_SCALE, get_scale, false},
    {C_ZERO_COUNT, get_zero_count, false},
    {C_ZERO_THRESHOLD, get_zero_threshold, true},
    {C_OFFSET, get_offset, false},
    {C_NEG_OFFSET, get_neg_offset, false},
};

static bool fill(chunk_writer *w, member get) {
    int64_t x = 0;
    for (size_t i = 0; i < w->p->n; i++) x |= w->col[i] = get(&w->p->rich[i]);
    return x != 0;
}

/* What the lists of all points are like: total, and whether all have as many. */
static size_t list_total(const points *p, member count, bool *ret_even) {
    size_t total = 0;
    *ret_even = p->n > 0;
    for (size_t i = 0; i < p->n; i++) {
        int64_t n = count(&p->rich[i]);
        total += (size_t)n;
        *ret_even &= n == count(&p->rich[0]);
    }
    return total;
}

static const uint64_t *list_of(const metric_point *p, bool negative) {
    return negative ? p->negative : p->buckets;
}

static void put_buckets(chunk_writer *w, bool negative, bool sliced) {
    member count = negative ? get_neg_n : get_bucket_n;
    const points *p = w->p;
    fill(w, count);
    put_ints(w, w->col, p->n);
    if (sliced) {
        size_t each = (size_t)count(&p->rich[0]);
        for (size_t k = 0; k < each; k++) {
            for (size_t i = 0; i < p->n; i++)
                w->col[i] = (int64_t)list_of(&p->rich[i], negative)[k];
            put_ints(w, w->col, p->n);
        }
        return;
    }
    bool even;
    size_t total = list_total(p, count, &even), at = 0;
    int64_t *flat = mem_try_raw(total * sizeof *flat);
    w->ok &= flat != NULL;
    for (size_t i = 0; flat && i < p->n; i++) {
        size_t n = (size_t)count(&p->rich[i]);
        if (n) memcpy(flat + at, list_of(&p->rich[i], negative), n * sizeof *flat);
        at += n;
    }
    if (flat) put_ints(w, flat, total);
    mem_free(flat);
}

/* bounds, or the values of summaries (as many) */
static void put_bounds(chunk_writer *w, bool values, size_t points_count, size_t total) {
    int64_t *flat = mem_try_raw(total * sizeof *flat);
    w->ok &= flat != NULL;
    size_t at = 0;
    for (size_t i = 0; flat && i < points_count; i++) {
        const metric_point *p = &w->p->rich[i];
        const double *from = values ? p->values : p->bounds;
        if (p->bound_count) memcpy(flat + at, from, p->bound_count * sizeof *flat);
        at += p->bound_count;
    }
    if (flat) put_doubles(w, flat, at);
    mem_free(flat);
}

static bool same_bounds(const points *p) {
    const metric_point *a = &p->rich[0];
    for (size_t i = 1; i < p->n; i++) {
        const metric_point *b = &p->rich[i];
        if (a->bound_count != b->bound_count ||
            (a->bound_count && memcmp(a->bounds, b->bounds, a->bound_count * sizeof(double)) != 0))
            return false;
    }
    return true;
}

static void put_exemplars(chunk_writer *w) {
    const points *p = w->p;
    for (size_t i = 0; i < p->n; i++) w->col[i] = p->rich[i].exemplar_count;
    put_ints(w, w->col, p->n);
    buf b;
    buf_init(&b, BLOCK_BYTES_MAX);
    bool ok = true;
    for (size_t i = 0; i < p->n; i++) {
        for (uint32_t k = 0; k < p->rich[i].exemplar_count; k++) {
            const exemplar *x = &p->rich[i].exemplars[k];
            int64_t after = (int64_t)((uint64_t)x->ts_ns - (uint64_t)p->rich[i].ts_ns);
            ok = ok && buf_varint(&b, zigzag_of(after)) && buf_putc(&b, (char)x->is_int) &&
                 buf_le64(&b, (uint64_t)x->num) && put_text(&b, x->trace_id) &&
                 put_text(&b, x->span_id) && attrs_put(&b, x->attrs, x->attr_count);
        }
    }
    w->ok = w->ok && ok && put_text(w->out, buf_str(&b));
    buf_release(&b);
}

static void put_rich(chunk_writer *w) {
    const points *p = w->p;
    for (size_t m = 0; m < ARRAY_LEN(MEMBERS); m++) {
        if (!(w->bits & MEMBERS[m].bit)) continue;
        fill(w, MEMBERS[m].get);
        if (MEMBERS[m].is_double)
            put_doubles(w, w->col, p->n);
        else
            put_ints(w, w->col, p->n);
    }
    if (w->bits & C_BUCKETS) put_buckets(w, false, w->bits & C_BUCKETS_SLICED);
    if (w->bits & C_NEGATIVES) put_buckets(w, true, w->bits & C_NEGATIVES_SLICED);
    bool even;
    size_t total = list_total(p, get_bound_n, &even);
    if (w->bits & C_BOUNDS) {
        fill(w, get_bound_n);
        put_ints(w, w->col, p->n);
        put_bounds(w, false, w->bits & C_BOUNDS_SAME ? 1 : p->n, total);
    }
    if (w->bits & C_VALUES) put_bounds(w, true, p->n, total);
}

/* Which columns are there at all. */
static uint64_t rich_bits(chunk_writer *w) {
    const points *p = w->p;
    uint64_t bits = 0;
    bool even, values = false;
    for (size_t m = 0; m < ARRAY_LEN(MEMBERS); m++) {
        if (fill(w, MEMBERS[m].get)) bits |= MEMBERS[m].bit;
    }
    if (list_total(p, get_bucket_n, &even))
        bits |= C_BUCKETS | (even && w->level > 0 ? C_BUCKETS_SLICED : 0);
    if (list_total(p, get_neg_n, &even))
        bits |= C_NEGATIVES | (even && w->level > 0 ? C_NEGATIVES_SLICED : 0);
    if (list_total(p, get_bound_n, &even)) bits |= C_BOUNDS | (same_bounds(p) ? C_BOUNDS_SAME : 0);
    for (size_t i = 0; i < p->n; i++) {
        values |= p->rich[i].bound_count && p->rich[i].values;
        if (p->rich[i].exemplar_count) bits |= C_EXEMPLARS;
    }
    /* Points of a chunk of level 0 may be of several kinds: those without values get zeros, which
     * is not what was sent, so the caller makes a chunk of one kind (see metric_block_put). */
    return bits | (values ? C_VALUES : 0);
}

bool points_put(buf *out, const points *p, int level, uint32_t times, size_t from) {
    MUST(p->n > 0 && p->n <= INTCODE_MAX);
    chunk_writer w = {.out = out, .p = p, .level = level, .ok = true};
    bool ints = false;
    for (size_t i = 0; p->types && i < p->n; i++) ints |= p->types[i] == POINT_INT;
    if (p->rich) {
        w.col = mem_try_raw(p->n * sizeof *w.col);
        if (!w.col) return false;
        w.bits = rich_bits(&w);
    }
    w.bits |= (times != UINT32_MAX ? C_TIMES_SHARED : 0) | (any(p->start, p->n) ? C_START : 0) |
              (any(p->flags, p->n) ? C_FLAGS : 0) | (any(p->types, p->n) ? C_TYPES : 0) |
              (any(p->num, p->n) ? C_NUM : 0);
    w.ok = buf_varint(out, w.bits);
    if (times != UINT32_MAX)
        w.ok = w.ok && buf_varint(out, times) && buf_varint(out, from);
    else
        put_ints(&w, p->ts, p->n);
    if (w.bits & C_START) put_ints(&w, p->start, p->n);
    if (w.bits & C_FLAGS) put_ints(&w, p->flags, p->n);
    if (w.bits & C_TYPES) put_ints(&w, p->types, p->n);
    if (w.bits & C_NUM && !ints) put_doubles(&w, p->num, p->n);
    if (w.bits & C_NUM && ints) put_ints(&w, p->num, p->n);
    if (w.bits & C_EXEMPLARS) put_exemplars(&w);
    if (w.bits & C_RICH) put_rich(&w);
    mem_free(w.col);
    return w.ok;
}

/* --- reading --- */

typedef struct chunk_reader {
    str in;
    size_t n;
    arena *mem;
    uint64_t bits;
    points *p;
} chunk_reader;

static rc get_ints(chunk_reader *r, size_t n, int64_t **ret, err *e) {
    int64_t *v = arena_try_raw(r->mem, (n + 1) * sizeof *v, 8);
    if (!v) return no_memory(e);
    rc code = intcode_get(&r->in, n, v, e);
    if (code == RC_OK) *ret = v;
    return code;
}
static rc get_doubles(chunk_reader *r, size_t n, int64_t **ret, err *e) {
    int64_t *v = arena_try_raw(r->mem, (n + 1) * sizeof *v, 8);
    if (!v) return no_memory(e);
    rc code = f64code_get(&r->in, n, v, e);
    if (code == RC_OK) *ret = v;
    return code;
}

static void set_member(metric_point *p, uint32_t bit, int64_t v) {
    switch (bit) {
    case C_COUNT:
        p->count = (uint64_t)v;
        break;
    case C_HAS:
        p->has_sum = v & 1;
        p->has_min = v >> 1 & 1;
        p->has_max = v >> 2 & 1;
        break;
    case C_SUM:
        p->sum = double_of(v);
        break;
    case C_MIN:
        p->min = double_of(v);
        break;
    case C_MAX:
        p->max = double_of(v);
        break;
    case C_SCALE:
        p->scale = (int32_t)v;
        break;
    case C_ZERO_COUNT:
        p->zero_count = (uint64_t)v;
        break;
    case C_ZERO_THRESHOLD:
        p->zero_threshold = double_of(v);
        break;
    case C_OFFSET:
        p->offset = (int32_t)v;
        break;
    case C_NEG_OFFSET:
        p->negative_offset = (int32_t)v;
        break;
    default:
        MUST(!"a member of a point");
    }
}

static rc get_lengths(chunk_reader *r, int64_t **ret, size_t *ret_total, err *e) {
    rc code = get_ints(r, r->n, ret, e);
    if (code != RC_OK) return code;
    uint64_t total = 0;
    for (size_t i = 0; i < r->n; i++) {
        if ((uint64_t)(*ret)[i] > UINT32_MAX || (total += (uint64_t)(*ret)[i]) > ITEMS_MAX)
            return damaged(e);
    }
    *ret_total = (size_t)total;
    return RC_OK;
}

static rc get_buckets(chunk_reader *r, bool negative, bool sliced, err *e) {
    int64_t *length, *flat;
    size_t total = 0, at = 0;
    rc code = get_lengths(r, &length, &total, e);
    if (code != RC_OK) return code;
    if (sliced) {
        size_t each = (size_t)length[0];
        if (total != each * r->n) return damaged(e);
        flat = arena_try_raw(r->mem, (total + 1) * sizeof *flat, 8);
        if (!flat) return no_memory(e);
        arena_mark mark = arena_save(r->mem);
        for (size_t k = 0; k < each; k++) {
            int64_t *col;
            if ((code = get_ints(r, r->n, &col, e)) != RC_OK) return code;
            for (size_t i = 0; i < r->n; i++) flat[i * each + k] = col[i];
            arena_restore(r->mem, mark);
        }
    } else if ((code = get_ints(r, total, &flat, e)) != RC_OK) {
        return code;
    }
    for (size_t i = 0; i < r->n; i++) {
        metric_point *p = &r->p->rich[i];
        const uint64_t *list = (const uint64_t *)flat + at;
        if (negative)
            p->negative = list, p->negative_count = (uint32_t)length[i];
        else
            p->buckets = list, p->bucket_count = (uint32_t)length[i];
        at += (size_t)length[i];
    }
    return RC_OK;
}

static rc get_bounds(chunk_reader *r, err *e) {
    int64_t *length, *flat;
    size_t total = 0, at = 0;
    rc code = get_lengths(r, &length, &total, e);
    if (code != RC_OK) return code;
    bool same = r->bits & C_BOUNDS_SAME;
    size_t stored = same ? (size_t)length[0] : total;
    if (same && total != stored * r->n) return damaged(e);
    if ((code = get_doubles(r, stored, &flat, e)) != RC_OK) return code;
    for (size_t i = 0; i < r->n; i++) {
        metric_point *p = &r->p->rich[i];
        p->bounds = (const double *)(const void *)flat + (same ? 0 : at);
        p->bound_count = (uint32_t)length[i];
        at += (size_t)length[i];
    }
    if (!(r->bits & C_VALUES)) return RC_OK;
    if ((code = get_doubles(r, total, &flat, e)) != RC_OK) return code;
    at = 0;
    for (size_t i = 0; i < r->n; i++) {
        r->p->rich[i].values = (const double *)(const void *)flat + at;
        at += (size_t)length[i];
    }
    return RC_OK;
}

static rc get_exemplars(chunk_reader *r, err *e) {
    int64_t *length;
    size_t total = 0;
    rc code = get_lengths(r, &length, &total, e);
    if (code != RC_OK) return code;
    str in, num, flag;
    uint64_t after;
    if (!take_text(&r->in, &in) || total > in.n) return damaged(e);
    exemplar *x = arena_try_new_n(r->mem, exemplar, total + 1);
    if (!x) return no_memory(e);
    for (size_t i = 0; i < r->n; i++) {
        metric_point *p = &r->p->rich[i];
        p->exemplars = x;
        p->exemplar_count = (uint32_t)length[i];
        for (int64_t k = 0; k < length[i]; k++, x++) {
            attr_row attrs;
            if (!take_varint(&in, UINT64_MAX, &after) || !take_bytes(&in, 1, &flag) ||
                !take_bytes(&in, 8, &num) || !take_text(&in, &x->trace_id) ||
                !take_text(&in, &x->span_id))
                return damaged(e);
            if ((code = attrs_take(&in, r->mem, &attrs, e)) != RC_OK) return code;
            x->ts_ns = (int64_t)((uint64_t)p->ts_ns + (uint64_t)zigzag_to(after));
            x->is_int = flag.p[0] != 0;
            memcpy(&x->num, num.p, 8);
            x->attrs = attrs.a;
            x->attr_count = attrs.n;
        }
    }
    return in.n ? damaged(e) : RC_OK;
}

static rc get_rich(chunk_reader *r, err *e) {
    points *p = r->p, plain = *p;
    metric_point *rich = arena_try_new_n(r->mem, metric_point, r->n);
    if (!rich) return no_memory(e);
    for (size_t i = 0; i < r->n; i++) points_at(&plain, i, &rich[i]);
    p->rich = rich;
    rc code;
    if (r->bits & C_EXEMPLARS && (code = get_exemplars(r, e)) != RC_OK) return code;
    for (size_t m = 0; m < ARRAY_LEN(MEMBERS); m++) {
        if (!(r->bits & MEMBERS[m].bit)) continue;
        int64_t *v;
        code = MEMBERS[m].is_double ? get_doubles(r, r->n, &v, e) : get_ints(r, r->n, &v, e);
        if (code != RC_OK) return code;
        for (size_t i = 0; i < r->n; i++) set_member(&rich[i], MEMBERS[m].bit, v[i]);
    }
    if (r->bits & C_BUCKETS &&
        (code = get_buckets(r, false, r->bits & C_BUCKETS_SLICED, e)) != RC_OK)
        return code;
    if (r->bits & C_NEGATIVES &&
        (code = get_buckets(r, true, r->bits & C_NEGATIVES_SLICED, e)) != RC_OK)
        return code;
    if (r->bits & C_BOUNDS && (code = get_bounds(r, e)) != RC_OK) return code;
    return RC_OK;
}

rc points_get(str chunk, size_t n, const shared_times *shared, arena *mem, points *ret, err *e) {
    points p = {.n = n};
    chunk_reader r = {.in = chunk, .n = n, .mem = mem, .p = &p};
    rc code;
    if (n == 0 || n > INTCODE_MAX || !take_varint(&r.in, C_ALL, &r.bits)) return damaged(e);
    if (r.bits & C_TIMES_SHARED) {
        uint64_t number, first;
        const int64_t *times;
        size_t count;
        if (!shared || !take_varint(&r.in, SHARED_TIMES_MAX - 1, &number) ||
            !take_varint(&r.in, INTCODE_MAX, &first))
            return damaged(e);
        if ((code = shared->get(shared->ctx, (uint32_t)number, &times, &count, e)) != RC_OK)
            return code;
        if (first > count || n > count - first) return damaged(e);
        p.ts = arena_try_raw(mem, n * sizeof *p.ts, 8);
        if (!p.ts) return no_memory(e);
        memcpy(p.ts, times + first, n * sizeof *p.ts);
    } else if ((code = get_ints(&r, n, &p.ts, e)) != RC_OK) {
        return code;
    }
    bool ints = false;
    if (r.bits & C_START && (code = get_ints(&r, n, &p.start, e)) != RC_OK) return code;
    if (r.bits & C_FLAGS && (code = get_ints(&r, n, &p.flags, e)) != RC_OK) return code;
    if (r.bits & C_TYPES && (code = get_ints(&r, n, &p.types, e)) != RC_OK) return code;
    for (size_t i = 0; p.types && i < n; i++) {
        if ((uint64_t)p.types[i] > POINT_NONE) return damaged(e);
        ints |= p.types[i] == POINT_INT;
    }
    if (r.bits & C_NUM) {
        code = ints ? get_ints(&r, n, &p.num, e) : get_doubles(&r, n, &p.num, e);
        if (code != RC_OK) return code;
    } else {
        p.num = arena_try_bytes(mem, n * sizeof *p.num, 8);
        if (!p.num) return no_memory(e);
    }
    if (r.bits & C_RICH && (code = get_rich(&r, e)) != RC_OK) return code;
    if (r.in.n) return damaged(e);
    *ret = p;
    return RC_OK;
}
