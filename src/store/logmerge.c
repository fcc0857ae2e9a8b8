/* logmerge.c - log blocks of any level to level-1 blocks: sorted by time, small, readable by
 * column.
 *
 * Problem. What is stored for months should take few bytes, and a search should open few columns.
 * Both come from putting together what is alike: the values of one slot of one statement.
 *
 * Steps
 *   1. Inputs are read in order of time, as many as memory allows, into rows (lb_get_rows); their
 *      tables are joined, equal kinds, resources and metas get one number.
 *   2. Rows are sorted by time (stable), cut into blocks of equal size.
 *   3. Kinds of a block become *families*, which share columns: same schema, number of slots and
 *      punctuation, and at least half of the words in common ("flag a-rollout is true", "flag
 *      b-rollout is false"). Kinds without slots are one family, and so are kinds too rare to fill
 *      columns of their own. A kind is then a member number in its family.
 *   4. Each cell of a family is a column: constant; a function of the member (costs a value a
 *      member); or encoded by colstr.c and colint.c.
 *   5. An attribute that several families have is tried as one column over all their rows in time
 *      order (counters and cycles run across statements); the smaller form is kept.
 *   6. Small columns share a part (compressed together, one checksum), large ones have their own.
 *
 * Cost: O(rows log rows) for sorting, the rest linear. Rejected: columns per kind (a statement with
 * a name in its text is a hundred kinds, and columns of ten values cost more in heads than in
 * values); delta against other columns beyond what sharing gives. */
#include "store/logblock_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"

#include "store/fuse.h"

#include <zstd.h>

enum {
    ROW_MEMORY = 100, /* of a row beside its cells, about: for the budget */
    RARE_ROWS = 48,   /* families of fewer rows are joined */
    OWN_PART = 2048,  /* bytes of a column from which on it is a part of its own */
    POOL_PART = 8192,
    PART_MIN_ZSTD = 64,
    HEADER_LEVEL = 9,
    PART_LEVEL = 3,
    COLUMN_NUM = 8
};

#define NO_MEMORY(e) FAIL((e), RC_LIMIT, "log block: no memory for merging")

/* One input in memory, with the numbers its tables have in the joined ones. */
typedef struct source_rows {
    lb_rows rows;
    uint32_t *kind, *res, *meta;
} source_rows;

typedef struct sort_row {
    int64_t time;
    uint32_t src, row;
} sort_row;

typedef struct merger {
    arena mem;          /* inputs of this round */
    lb_builder *tables; /* joined */
    VEC(source_rows) src;
    block_put put;
    void *put_ctx;
    const volatile int *cancel;
    err *e;
} merger;

/* ---- 1: reading and joining ---- */

static rc join_tables(merger *m, source_rows *s) {
    const lb_tables *t = &s->rows.t;
    s->kind = arena_try_raw(&m->mem, (t->kind_count + 1) * 4, 4);
    s->res = arena_try_raw(&m->mem, (t->resource_count + 1) * 4, 4);
    s->meta = arena_try_raw(&m->mem, (t->meta_count + 1) * 4, 4);
    uint32_t *schema = arena_try_raw(&m->mem, (t->schema_count + 1) * 4, 4);
    uint32_t *scopes = arena_try_raw(&m->mem, (t->scope_count + 1) * 4, 4);
    if (!s->kind || !s->res || !s->meta || !schema || !scopes) return NO_MEMORY(m->e);
    bool ok = true;
    for (size_t i = 0; i < t->schema_count; i++) {
        schema[i] = lb_add_schema(m->tables, t->schemas[i].attrs, t->schemas[i].count);
        ok = ok && schema[i] != LB_NONE;
    }
    for (size_t i = 0; i < t->scope_count; i++) {
        scopes[i] = lb_add_scope(m->tables, &t->scopes[i]);
        ok = ok && scopes[i] != LB_NONE;
    }
    for (size_t i = 0; i < t->resource_count; i++) {
        s->res[i] = lb_add_resource(m->tables, &t->resources[i]);
        ok = ok && s->res[i] != LB_NONE;
    }
    for (size_t i = 0; i < t->meta_count; i++) {
        lb_meta meta = t->metas[i];
        if (meta.scope != LB_NONE) meta.scope = scopes[meta.scope];
        s->meta[i] = lb_add_meta(m->tables, &meta);
        ok = ok && s->meta[i] != LB_NONE;
    }
    for (size_t i = 0; i < t->kind_count; i++) {
        lb_kind k = t->kinds[i];
        k.schema = schema[k.schema];
        k.family = k.member = 0;
        s->kind[i] = lb_add_kind(m->tables, &k);
        ok = ok && s->kind[i] != LB_NONE;
    }
    return ok ? RC_OK : NO_MEMORY(m->e);
}

static rc read_payload(merger *m, const block_io *io, const block_info *info, str *ret) {
    *ret = io->memory;
    if (ret->p) return RC_OK;
    if (info->bytes > BLOCK_BYTES_MAX)
        return FAIL(m->e, RC_CORRUPT, "log block: %" PRIu64 " bytes", info->bytes);
    char *p = arena_try_raw(&m->mem, (size_t)info->bytes, 16);
    if (!p) return NO_MEMORY(m->e);
    *ret = (str){p, (size_t)info->bytes};
    return io->read(io->ctx, 0, (size_t)info->bytes, p, m->e);
}

static rc load(merger *m, str payload, const block_info *info) {
    source_rows s = {0};
    rc code = lb_get_rows(payload, &m->mem, &s.rows, m->e);
    if (!code && s.rows.n != info->rows)
        code = FAIL(m->e, RC_CORRUPT, "log block: %zu rows instead of %u", s.rows.n, info->rows);
    if (!code) code = join_tables(m, &s);
    if (!code) vec_push(&m->src, s);
    return code;
}

/* ---- 2: sorting ---- */

/* Stable merge sort that notices runs: inputs are mostly sorted already. */
static void sort_rows(sort_row *v, sort_row *tmp, size_t n) {
    VEC(size_t) runs = {0};
    vec_push(&runs, 0);
    for (size_t i = 1; i < n; i++) {
        if (v[i].time < v[i - 1].time) vec_push(&runs, i);
    }
    vec_push(&runs, n);
    while (runs.n > 2) {
        size_t k = 0;
        for (size_t r = 0; r + 1 < runs.n; r += 2) {
            size_t a = runs.v[r], b = runs.v[r + 1], c = r + 2 < runs.n ? runs.v[r + 2] : b;
            size_t i = a, j = b, to = a;
            while (i < b && j < c) tmp[to++] = v[j].time < v[i].time ? v[j++] : v[i++];
            memcpy(tmp + to, v + i, (b - i) * sizeof *v);
            to += b - i;
            memcpy(tmp + to, v + j, (c - j) * sizeof *v);
            runs.v[k++] = a;
        }
        runs.v[k++] = n;
        runs.n = k;
        memcpy(v, tmp, n * sizeof *v);
    }
    vec_release(&runs);
}

/* ---- 3: families ---- */

typedef struct fam {
    uint32_t rows, kinds;
    uint32_t leader; /* joined number of its most frequent kind */
    uint32_t into;   /* itself, or the family it was joined to */
    uint32_t final;  /* number in the block */
} fam;

static bool word_byte(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c & 0x80);
}

/* The next piece of a skeleton: a word, or one other byte. */
static str next_piece(str skel, size_t *at) {
    size_t from = *at;
    if (!word_byte(skel.p[from])) return str_sub(skel, (*at)++, 1);
    while (*at < skel.n && word_byte(skel.p[*at])) ++*at;
    return str_sub(skel, from, *at - from);
}

static uint64_t kind_manner(const lb_kind *k) {
    return mix64((uint64_t)k->schema << 32 | (uint64_t)k->slots << 8 | k->body_type);
}

/* What kinds of a family have in common for sure: everything but the words. */
static uint64_t structure_of(const lb_kind *k) {
    uint64_t h = kind_manner(k);
    if (k->slots == 0) return h;
    for (size_t at = 0; at < k->skel.n;) {
        str p = next_piece(k->skel, &at);
        h = mix64(h + (word_byte(p.p[0]) ? 256u : (uint8_t)p.p[0]));
    }
    return h;
}

static bool words_agree(const lb_kind *a, const lb_kind *b) {
    if (a->slots == 0) return true;
    size_t words = 0, same = 0;
    for (size_t i = 0, k = 0; i < a->skel.n && k < b->skel.n;) {
        str p = next_piece(a->skel, &i), q = next_piece(b->skel, &k);
        if (!word_byte(p.p[0])) continue;
        words++;
        same += str_eq(p, q);
    }
    return same * 2 >= words;
}

/* A block being made. */
typedef struct build {
    merger *m;
    arena mem;
    col_ctx x;
    const sort_row *rows;
    size_t n;
    const lb_tables *joined;
    uint32_t *kind; /* of each row, joined number */
    /* families */
    VEC(fam) fams;
    uint32_t *kind_rows, *kind_fam, *kind_local; /* by joined number */
    lb_tables t;                                 /* of the block */
    uint32_t *res_local, *meta_local;
    size_t family_count;
    uint32_t *family; /* of each row */
    uint32_t *at;     /* rows by family, in order */
    uint32_t *first;  /* of a family in `at` */
    lb_header h;
    buf parts, pool, col;
    VEC(lb_part) part;
    VEC(lb_column *) pooled; /* columns whose part is the pool */
} build;

typedef struct counted {
    uint32_t kind, rows;
} counted;

static int by_rows(const void *a, const void *b) {
    const counted *x = a, *y = b;
    if (x->rows != y->rows) return x->rows > y->rows ? -1 : 1;
    return x->kind < y->kind ? -1 : x->kind > y->kind;
}

typedef struct placed {
    uint32_t family, order, kind;
} placed;

static int by_family(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->family != y->family) return x->family < y->family ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

enum { CHAIN_MAX = 32 };

static uint32_t new_family(build *b, uint32_t leader) {
    fam f = {.leader = leader, .into = (uint32_t)b->fams.n};
    vec_push(&b->fams, f);
    return f.into;
}

/* The family of a kind: the first of those with its structure, at most CHAIN_MAX, whose words
 * agree; else a new one. */

static uint32_t family_for(build *b, map64 *seen, uint32_t kind) {
    const lb_kind *k = &b->joined->kinds[kind];
    uint64_t key = structure_of(k);
    for (int step = 0; step < CHAIN_MAX; step++, key = mix64(key + 1)) {
        uint64_t *at = map64_put(seen, key, NULL);
        MUST(at);
        if (*at == 0) {
            uint32_t f = new_family(b, kind);
            *at = (uint64_t)f + 1;
            return f;
        }
        const lb_kind *leader = &b->joined->kinds[b->fams.v[*at - 1].leader];
        if (kind_manner(leader) == kind_manner(k) && words_agree(leader, k))
            return (uint32_t)*at - 1;
    }
    return new_family(b, kind);
}

/* Families of few rows: one for all of the same schema, slots and body type. */
static void join_rare(build *b) {
    map64 seen;
    map64_init(&seen, b->fams.n + 1);
    for (size_t f = 0; f < b->fams.n; f++) {
        fam *x = &b->fams.v[f];
        if (x->rows >= RARE_ROWS) continue;
        uint64_t *at = map64_put(&seen, kind_manner(&b->joined->kinds[x->leader]), NULL);
        MUST(at);
        if (*at == 0) {
            *at = f + 1;
        } else {
            x->into = (uint32_t)*at - 1;
        }
    }
    map64_release(&seen);
}

static bool make_families(build *b) {
    size_t kinds = b->joined->kind_count;
    b->kind = arena_try_raw(&b->mem, b->n * 4, 4);
    b->kind_rows = arena_try_new_n(&b->mem, uint32_t, kinds);
    b->kind_fam = arena_try_raw(&b->mem, kinds * 4, 4);
    b->kind_local = arena_try_raw(&b->mem, kinds * 4, 4);
    counted *order = arena_try_raw(&b->mem, kinds * sizeof *order, 8);
    placed *place = arena_try_raw(&b->mem, kinds * sizeof *place, 8);
    b->family = arena_try_raw(&b->mem, b->n * 4, 4);
    b->at = arena_try_raw(&b->mem, b->n * 4, 4);
    if (!b->kind || !b->kind_rows || !b->kind_fam || !b->kind_local || !order || !place ||
        !b->family || !b->at)
        return false;
    for (size_t i = 0; i < b->n; i++) {
        const source_rows *s = &b->m->src.v[b->rows[i].src];
        b->kind[i] = s->kind[s->rows.kind[b->rows[i].row]];
        b->kind_rows[b->kind[i]]++;
    }
    size_t used = 0;
    for (size_t k = 0; k < kinds; k++) {
        if (b->kind_rows[k]) order[used++] = (counted){(uint32_t)k, b->kind_rows[k]};
    }
    qsort(order, used, sizeof *order, by_rows);
    map64 seen;
    map64_init(&seen, used * (CHAIN_MAX + 1) + 16);
    for (size_t i = 0; i < used; i++) {
        uint32_t f = family_for(b, &seen, order[i].kind);
        b->kind_fam[order[i].kind] = f;
        b->fams.v[f].rows += order[i].rows;
    }
    map64_release(&seen);
    join_rare(b);
    b->family_count = 0;
    for (size_t f = 0; f < b->fams.n; f++) {
        fam *x = &b->fams.v[f];
        x->final = x->into == f ? (uint32_t)b->family_count++ : b->fams.v[x->into].final;
    }
    for (size_t i = 0; i < used; i++) {
        uint32_t f = b->fams.v[b->kind_fam[order[i].kind]].final;
        place[i] = (placed){f, (uint32_t)i, order[i].kind};
    }
    qsort(place, used, sizeof *place, by_family);
    b->t.kinds = arena_try_new_n(&b->mem, lb_kind, used);
    b->first = arena_try_new_n(&b->mem, uint32_t, b->family_count + 1);
    b->h.families = arena_try_new_n(&b->mem, lb_family, b->family_count);
    uint32_t *fill = arena_try_new_n(&b->mem, uint32_t, b->family_count);
    if (!b->t.kinds || !b->first || !b->h.families || !fill) return false;
    b->t.kind_count = used;
    for (size_t i = 0; i < used; i++) {
        lb_kind *k = &b->t.kinds[i];
        lb_family *f = &b->h.families[place[i].family];
        *k = b->joined->kinds[place[i].kind];
        k->family = place[i].family;
        if (f->kinds == 0) f->first_kind = (uint32_t)i;
        k->member = f->kinds++;
        f->cells = k->cells;
        f->rows += b->kind_rows[place[i].kind];
        b->kind_local[place[i].kind] = (uint32_t)i;
    }
    for (size_t f = 0; f < b->family_count; f++)
        b->first[f + 1] = b->first[f] + b->h.families[f].rows;
    for (size_t i = 0; i < b->n; i++) {
        uint32_t f = b->t.kinds[b->kind_local[b->kind[i]]].family;
        b->family[i] = f;
        b->at[b->first[f] + fill[f]++] = (uint32_t)i;
    }
    return true;
}

/* ---- tables of the block: only what its rows use ---- */

static uint32_t *renumber(arena *mem, size_t joined) {
    uint32_t *to = arena_try_raw(mem, (joined + 1) * 4, 4);
    if (to) memset(to, 0xff, (joined + 1) * 4);
    return to;
}

static bool make_tables(build *b) {
    const lb_tables *j = b->joined;
    uint32_t *schema = renumber(&b->mem, j->schema_count);
    uint32_t *scopes = renumber(&b->mem, j->scope_count);
    b->res_local = renumber(&b->mem, j->resource_count);
    b->meta_local = renumber(&b->mem, j->meta_count);
    b->t.schemas = arena_try_new_n(&b->mem, lb_schema, j->schema_count);
    b->t.scopes = arena_try_new_n(&b->mem, scope, j->scope_count);
    b->t.resources = arena_try_new_n(&b->mem, resource, j->resource_count);
    b->t.metas = arena_try_new_n(&b->mem, lb_meta, j->meta_count);
    if (!schema || !scopes || !b->res_local || !b->meta_local || !b->t.schemas || !b->t.scopes ||
        !b->t.resources || !b->t.metas)
        return false;
    for (size_t i = 0; i < b->t.kind_count; i++) {
        lb_kind *k = &b->t.kinds[i];
        if (schema[k->schema] == LB_NONE) {
            schema[k->schema] = (uint32_t)b->t.schema_count;
            b->t.schemas[b->t.schema_count++] = j->schemas[k->schema];
        }
        k->schema = schema[k->schema];
    }
    for (size_t i = 0; i < b->n; i++) {
        const source_rows *s = &b->m->src.v[b->rows[i].src];
        uint32_t r = s->res[s->rows.res[b->rows[i].row]], m = s->meta[s->rows.meta[b->rows[i].row]];
        if (b->res_local[r] == LB_NONE) {
            b->res_local[r] = (uint32_t)b->t.resource_count;
            b->t.resources[b->t.resource_count++] = j->resources[r];
        }
        if (b->meta_local[m] == LB_NONE) {
            lb_meta meta = j->metas[m];
            if (meta.scope != LB_NONE) {
                if (scopes[meta.scope] == LB_NONE) {
                    scopes[meta.scope] = (uint32_t)b->t.scope_count;
                    b->t.scopes[b->t.scope_count++] = j->scopes[meta.scope];
                }
                meta.scope = scopes[meta.scope];
            }
            b->meta_local[m] = (uint32_t)b->t.meta_count;
            b->t.metas[b->t.meta_count++] = meta;
        }
    }
    return true;
}

/* ---- 6: parts ---- */

static bool put_part(build *b, str raw, bool try_zstd) {
    lb_part p = {.stored = (uint32_t)raw.n};
    size_t before = b->parts.n;
    if (try_zstd && raw.n >= PART_MIN_ZSTD) {
        size_t room = ZSTD_compressBound(raw.n);
        if (!buf_reserve(&b->parts, room)) return false;
        if (!b->x.cctx) b->x.cctx = ZSTD_createCCtx();
        size_t n = b->x.cctx ? ZSTD_compressCCtx(b->x.cctx, b->parts.p + before, room, raw.p, raw.n,
                                                 PART_LEVEL)
                             : room;
        if (!ZSTD_isError(n) && n + 8 < raw.n) {
            p.raw = (uint32_t)raw.n;
            p.stored = (uint32_t)n;
            b->parts.n += n;
        }
    }
    if (!p.raw && !buf_put(&b->parts, raw)) return false;
    p.sum = (uint32_t)str_hash((str){b->parts.p + before, p.stored});
    vec_push(&b->part, p);
    return true;
}

static bool flush_pool(build *b) {
    if (b->pooled.n == 0) return true;
    for (size_t i = 0; i < b->pooled.n; i++) b->pooled.v[i]->part = (uint32_t)b->part.n;
    b->pooled.n = 0;
    bool ok = put_part(b, buf_str(&b->pool), true);
    buf_reset(&b->pool);
    return ok;
}

/* The bytes in b->col become column c. */
static bool place_column(build *b, lb_column *c) {
    c->how = HOW_PART;
    c->bytes = (uint32_t)b->col.n;
    if (b->col.n >= OWN_PART) {
        c->part = (uint32_t)b->part.n;
        c->at = 0;
        return put_part(b, buf_str(&b->col), false);
    }
    c->at = (uint32_t)b->pool.n;
    vec_push(&b->pooled, c);
    if (!buf_put(&b->pool, buf_str(&b->col))) return false;
    return b->pool.n < POOL_PART || flush_pool(b);
}

static bool keep_inline(build *b, lb_column *c, uint8_t how) {
    c->how = how;
    c->value = str_dup(&b->mem, buf_str(&b->col));
    return c->value.p != NULL;
}

/* ---- 4: columns ---- */

static lb_stamp stamp_of(const str *v, size_t n) {
    lb_stamp s = {.min = UINT32_MAX};
    bool seen[256] = {0};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < v[i].n; k++) seen[(uint8_t)v[i].p[k]] = true;
        s.min = MIN(s.min, (uint32_t)v[i].n);
        s.max = MAX(s.max, (uint32_t)v[i].n);
    }
    if (n == 0) s.min = 0;
    for (int c = 0; c < 256; c++) {
        if (seen[c]) s.mask |= UINT64_C(1) << lb_class[c];
    }
    return s;
}

static bool encode_nums(build *b, const uint64_t *v, size_t n) {
    buf_reset(&b->col);
    return col_x_put_u64(&b->x, &b->col, v, n);
}

static bool encode_texts(build *b, const str *v, size_t n) {
    buf_reset(&b->col);
    return col_x_put_str(&b->x, &b->col, v, n);
}

/* A column of numbers; member: of each row (NULL: only one kind). */
static bool nums_column(build *b, lb_column *c, const uint64_t *v, size_t n, const uint32_t *member,
                        size_t kinds) {
    c->num = true;
    bool same = true, by_member = member != NULL;
    for (size_t i = 1; i < n && same; i++) same = v[i] == v[0];
    if (same) return encode_nums(b, v, 1) && keep_inline(b, c, HOW_CONST);
    if (by_member) {
        arena_mark mark = arena_save(&b->mem);
        uint64_t *each = arena_try_raw(&b->mem, kinds * 8, 8);
        uint8_t *seen = arena_try_new_n(&b->mem, uint8_t, kinds);
        if (!each || !seen) return false;
        for (size_t i = 0; i < n && by_member; i++) {
            uint32_t m = member[i];
            if (!seen[m]) {
                seen[m] = 1;
                each[m] = v[i];
            } else {
                by_member = each[m] == v[i];
            }
        }
        bool ok = !by_member || encode_nums(b, each, kinds);
        arena_restore(&b->mem, mark);
        if (by_member) return ok && keep_inline(b, c, HOW_MEMBER);
    }
    return encode_nums(b, v, n) && place_column(b, c);
}

static bool texts_column(build *b, lb_column *c, const str *v, size_t n, const uint32_t *member,
                         size_t kinds) {
    c->num = false;
    bool same = true, by_member = member != NULL;
    for (size_t i = 1; i < n && same; i++) same = str_eq(v[i], v[0]);
    c->stamp = stamp_of(v, same ? 1 : n);
    if (same) return encode_texts(b, v, 1) && keep_inline(b, c, HOW_CONST);
    if (by_member) {
        arena_mark mark = arena_save(&b->mem);
        str *each = arena_try_new_n(&b->mem, str, kinds);
        uint8_t *seen = arena_try_new_n(&b->mem, uint8_t, kinds);
        if (!each || !seen) return false;
        for (size_t i = 0; i < n && by_member; i++) {
            uint32_t m = member[i];
            if (!seen[m]) {
                seen[m] = 1;
                each[m] = v[i];
            } else {
                by_member = str_eq(each[m], v[i]);
            }
        }
        bool ok = !by_member || encode_texts(b, each, kinds);
        arena_restore(&b->mem, mark);
        if (by_member) return ok && keep_inline(b, c, HOW_MEMBER);
    }
    return encode_texts(b, v, n) && place_column(b, c);
}

static str cell_of(const build *b, size_t row, uint32_t c) {
    const lb_rows *r = &b->m->src.v[b->rows[row].src].rows;
    return r->cells[r->first_cell[b->rows[row].row] + c];
}

/* ---- 5: shared attributes ---- */

enum { SHARED_SAMPLE = 8192, SHARED_KEYS_MAX = 64 };

typedef struct shared_try {
    uint32_t family, cell;
} shared_try;

typedef struct shared_key {
    str key;
    uint8_t type;
    VEC(shared_try) in;
} shared_key;

static bool is_num_type(uint8_t type) {
    return type == ATTR_INT || type == ATTR_DOUBLE || type == ATTR_BOOL;
}

static bool same_cells(const str *v, size_t n, bool num) {
    for (size_t i = 1; i < n; i++) {
        if (num ? v[i].n != v[0].n : !str_eq(v[i], v[0])) return false;
    }
    return true;
}

/* Bytes of cells as one column; SIZE_MAX when memory is out. */
static size_t cells_cost(build *b, const str *v, size_t n, bool num) {
    if (n == 0 || same_cells(v, n, num)) return n ? 4 : 0;
    buf_reset(&b->col);
    if (!num) return col_x_put_str(&b->x, &b->col, v, n) ? b->col.n + 8 : SIZE_MAX / 4;
    arena_mark mark = arena_save(&b->x.mem);
    uint64_t *nums = arena_try_raw(&b->x.mem, n * 8, 8);
    for (size_t i = 0; nums && i < n; i++) nums[i] = v[i].n;
    bool ok = nums && col_x_put_u64(&b->x, &b->col, nums, n);
    arena_restore(&b->x.mem, mark);
    return ok ? b->col.n + 8 : SIZE_MAX / 4;
}

typedef struct sample_cell {
    uint32_t family, at;
    str cell;
} sample_cell;

static int by_sample_family(const void *a, const void *b) {
    const sample_cell *x = a, *y = b;
    if (x->family != y->family) return x->family < y->family ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* On the first rows of the block: is one column over all families smaller than one for each? */
static bool shared_wins(build *b, const shared_key *k, uint32_t *cell_in) {
    for (size_t i = 0; i < k->in.n; i++) cell_in[k->in.v[i].family] = k->in.v[i].cell + 1;
    size_t rows = MIN(b->n, (size_t)SHARED_SAMPLE), n = 0;
    bool num = is_num_type(k->type), won = false;
    arena_mark mark = arena_save(&b->mem);
    sample_cell *v = arena_try_raw(&b->mem, rows * sizeof *v, 16);
    str *cells = arena_try_raw(&b->mem, rows * sizeof *cells, 16);
    if (v && cells) {
        for (size_t i = 0; i < rows; i++) {
            uint32_t cell = cell_in[b->family[i]];
            if (!cell) continue;
            cells[n] = cell_of(b, i, cell - 1);
            v[n] = (sample_cell){b->family[i], (uint32_t)n, cells[n]};
            n++;
        }
        size_t together = cells_cost(b, cells, n, num), apart = 0;
        if (n) qsort(v, n, sizeof *v, by_sample_family);
        for (size_t from = 0; from < n && apart <= together + 16;) {
            size_t to = from;
            for (; to < n && v[to].family == v[from].family; to++) cells[to - from] = v[to].cell;
            apart += cells_cost(b, cells, to - from, num);
            from = to;
        }
        won = apart > 64 && together + 16 < apart;
    }
    arena_restore(&b->mem, mark);
    for (size_t i = 0; i < k->in.n; i++) cell_in[k->in.v[i].family] = 0;
    return won;
}

/* The column of the whole block. */
static bool shared_column(build *b, const shared_key *k, uint32_t *cell_in) {
    size_t n = 0;
    for (size_t i = 0; i < k->in.n; i++) {
        cell_in[k->in.v[i].family] = k->in.v[i].cell + 1;
        n += b->h.families[k->in.v[i].family].rows;
    }
    bool num = is_num_type(k->type), ok = true;
    arena_mark mark = arena_save(&b->x.mem);
    uint64_t *nums = arena_try_raw(&b->x.mem, n * 8, 16);
    str *texts = arena_try_raw(&b->x.mem, n * sizeof *texts, 16);
    size_t at = 0;
    for (size_t i = 0; nums && texts && i < b->n; i++) {
        uint32_t cell = cell_in[b->family[i]];
        if (!cell) continue;
        str v = cell_of(b, i, cell - 1);
        nums[at] = v.n;
        texts[at++] = v;
    }
    lb_column *c = &b->h.shared[b->h.shared_count++].col;
    ok = nums && texts && at == n &&
         (num ? nums_column(b, c, nums, n, NULL, 0) : texts_column(b, c, texts, n, NULL, 0));
    arena_restore(&b->x.mem, mark);
    for (size_t i = 0; i < k->in.n; i++) cell_in[k->in.v[i].family] = 0;
    return ok;
}

/* For each family and attribute the number of its shared column, or LB_NONE. */
static bool share_attributes(build *b, uint32_t **ret_shared_of) {
    VEC(shared_key) keys = {0};
    map64 seen;
    map64_init(&seen, SHARED_KEYS_MAX * 4);
    for (size_t f = 0; f < b->family_count; f++) {
        const lb_kind *k = &b->t.kinds[b->h.families[f].first_kind];
        const lb_schema *s = &b->t.schemas[k->schema];
        ret_shared_of[f] = arena_try_raw(&b->mem, s->count * 4 + 4, 4);
        if (!ret_shared_of[f]) return false;
        memset(ret_shared_of[f], 0xff, s->count * 4 + 4);
        for (uint32_t a = 0; a < s->count; a++) {
            uint64_t *at =
                map64_put(&seen, mix64(str_hash(s->attrs[a].key) ^ s->attrs[a].type), NULL);
            if (!at || (*at == 0 && keys.n == SHARED_KEYS_MAX)) continue;
            if (*at == 0) {
                shared_key fresh = {.key = s->attrs[a].key, .type = s->attrs[a].type};
                vec_push(&keys, fresh);
                *at = keys.n;
            }
            shared_key *x = &keys.v[*at - 1];
            if (x->type != s->attrs[a].type || !str_eq(x->key, s->attrs[a].key)) continue;
            /* A key twice in a record: the first is shared. */
            if (x->in.n && x->in.v[x->in.n - 1].family == f) continue;
            shared_try t = {(uint32_t)f, k->slots + a};
            vec_push(&x->in, t);
        }
    }
    map64_release(&seen);
    uint32_t *cell_in = arena_try_new_n(&b->mem, uint32_t, b->family_count);
    b->h.shared = arena_try_new_n(&b->mem, lb_shared, keys.n);
    bool ok = cell_in && b->h.shared;
    for (size_t i = 0; ok && i < keys.n; i++) {
        const shared_key *k = &keys.v[i];
        if (k->in.n < 2 || !shared_wins(b, k, cell_in)) continue;
        for (size_t j = 0; j < k->in.n; j++) {
            uint32_t f = k->in.v[j].family;
            uint32_t slots = b->t.kinds[b->h.families[f].first_kind].slots;
            ret_shared_of[f][k->in.v[j].cell - slots] = (uint32_t)b->h.shared_count;
        }
        ok = shared_column(b, k, cell_in);
    }
    for (size_t i = 0; i < keys.n; i++) vec_release(&keys.v[i].in);
    vec_release(&keys);
    return ok;
}

/* ---- writing ---- */

static bool put_column(buf *out, const lb_column *c) {
    bool ok = buf_putc(out, (char)(c->how | (c->num ? COLUMN_NUM : 0)));
    if (c->how == HOW_PART)
        ok = ok && buf_varint(out, c->part) && buf_varint(out, c->at) && buf_varint(out, c->bytes);
    else if (c->how == HOW_SHARED)
        ok = ok && buf_varint(out, c->part);
    else
        ok = ok && col_put_piece(out, c->value);
    if (c->num || c->how == HOW_SHARED) return ok;
    return ok && buf_le64(out, c->stamp.mask) && buf_varint(out, c->stamp.min) &&
           buf_varint(out, c->stamp.max);
}

static bool put_header(build *b, buf *out) {
    const lb_header *h = &b->h;
    bool ok = buf_varint(out, b->n) && lb_put_tables(out, &b->t, true) &&
              buf_varint(out, h->shared_count);
    for (size_t i = 0; ok && i < h->shared_count; i++) ok = put_column(out, &h->shared[i].col);
    for (int g = 0; ok && g < G_COUNT; g++) ok = put_column(out, &h->global[g]);
    ok = ok && buf_varint(out, b->family_count);
    for (size_t i = 0; ok && i < b->family_count; i++) {
        const lb_family *f = &h->families[i];
        ok = buf_varint(out, f->rows) && put_column(out, &f->member) && put_column(out, &f->meta);
        for (uint32_t c = 0; ok && c < f->cells; c++) ok = put_column(out, &f->cell[c]);
    }
    ok = ok && buf_varint(out, b->part.n);
    for (size_t i = 0; ok && i < b->part.n; i++) {
        const lb_part *p = &b->part.v[i];
        ok = buf_varint(out, p->stored) && buf_varint(out, p->raw) && buf_le32(out, p->sum);
    }
    return ok;
}

static bool page_ids(build *b);
static bool trace_filter(build *b);
static bool page_filters(build *b);
static bool page_ranks(build *b);

static bool global_columns(build *b) {
    uint64_t *v = arena_try_raw(&b->mem, b->n * 8, 8);
    if (!v) return false;
    lb_column *g = b->h.global;
    for (size_t i = 0; i < b->n; i++) v[i] = (uint64_t)b->rows[i].time;
    bool ok = nums_column(b, &g[G_TIME], v, b->n, NULL, 0);
    for (size_t i = 0; i < b->n; i++) v[i] = b->family[i];
    ok = ok && nums_column(b, &g[G_FAMILY], v, b->n, NULL, 0);
#define EACH(expr)                                                                                 \
    for (size_t i = 0; i < b->n; i++) {                                                            \
        const source_rows *s = &b->m->src.v[b->rows[i].src];                                       \
        size_t row = b->rows[i].row;                                                               \
        v[i] = (expr);                                                                             \
    }
    EACH(b->res_local[s->res[s->rows.res[row]]])
    ok = ok && nums_column(b, &g[G_RESOURCE], v, b->n, NULL, 0);
    EACH(s->rows.bits[row])
    ok = ok && nums_column(b, &g[G_BITS], v, b->n, NULL, 0);
    EACH(s->rows.bits[row] & ROW_OBSERVED
             ? (uint64_t)s->rows.observed[row] - (uint64_t)b->rows[i].time
             : 0)
    ok = ok && nums_column(b, &g[G_OBSERVED], v, b->n, NULL, 0);
#undef EACH
    return ok && page_ids(b) && trace_filter(b) && page_filters(b) && page_ranks(b);
}

static const lb_rows *source_of(const build *b, size_t i, size_t *ret_row) {
    *ret_row = b->rows[i].row;
    return &b->m->src.v[b->rows[i].src].rows;
}

/* A part for each page: who looks for a trace reads the pages that may have it. */
static bool page_ids(build *b) {
    buf ids, first;
    buf_init(&ids, (size_t)LB_PAGE * 24);
    buf_init(&first, 16);
    bool ok = buf_varint(&first, b->part.n), any = false;
    for (size_t i = 0; i < b->n && !any; i++) {
        size_t row;
        const lb_rows *r = source_of(b, i, &row);
        any = r->bits[row] & (ROW_TRACE | ROW_SPAN);
    }
    for (size_t i = 0; any && ok && i < b->n; i++) {
        size_t row;
        const lb_rows *r = source_of(b, i, &row);
        size_t n = (r->bits[row] & ROW_TRACE ? 16u : 0u) + (r->bits[row] & ROW_SPAN ? 8u : 0u);
        ok = buf_put(&ids, (str){(const char *)r->ids[row], n});
        if (ok && (i + 1 == b->n || (i + 1) % LB_PAGE == 0)) {
            ok = put_part(b, buf_str(&ids), true);
            buf_reset(&ids);
        }
    }
    lb_column *c = &b->h.global[G_IDS];
    c->num = true;
    buf_reset(&b->col);
    ok = ok && (!any || buf_put(&b->col, buf_str(&first))) && keep_inline(b, c, HOW_CONST);
    buf_release(&ids);
    buf_release(&first);
    return ok;
}

/* Of rows from .. to - 1; nothing when none has a trace id. */
static bool put_filter(build *b, buf *out, size_t from, size_t to) {
    arena_mark mark = arena_save(&b->mem);
    uint64_t *keys = arena_try_raw(&b->mem, (to - from) * 8 + 8, 8);
    size_t n = 0;
    for (size_t i = from; keys && i < to; i++) {
        size_t row;
        const lb_rows *r = source_of(b, i, &row);
        if (r->bits[row] & ROW_TRACE) keys[n++] = lb_trace_key(r->ids[row]);
    }
    bool ok = keys && (n == 0 || fuse_put(out, keys, n));
    arena_restore(&b->mem, mark);
    return ok;
}

static bool place_or_empty(build *b, lb_column *c) {
    c->num = true;
    return b->col.n ? place_column(b, c) : keep_inline(b, c, HOW_CONST);
}

static bool trace_filter(build *b) {
    buf_reset(&b->col);
    return put_filter(b, &b->col, 0, b->n) && place_or_empty(b, &b->h.global[G_FILTER]);
}

static bool page_filters(build *b) {
    size_t pages = lb_pages(b->n);
    bool none = b->h.global[G_FILTER].how == HOW_CONST, ok = true;
    buf_reset(&b->col);
    buf one;
    buf_init(&one, BLOCK_BYTES_MAX);
    for (size_t i = 0; ok && !none && pages > 1 && i < pages; i++) {
        buf_reset(&one);
        ok = put_filter(b, &one, i * LB_PAGE, MIN(b->n, (i + 1) * LB_PAGE)) &&
             col_put_piece(&b->col, buf_str(&one));
    }
    buf_release(&one);
    return ok && place_or_empty(b, &b->h.global[G_PAGE_FILTERS]);
}

/* So that the place of a row in its family's columns is told by one page. */
static bool page_ranks(build *b) {
    size_t pages = lb_pages(b->n), count = (pages - 1) * b->family_count;
    buf_reset(&b->col);
    bool ok = true;
    if (pages > 1 && count <= b->n / 16) {
        arena_mark mark = arena_save(&b->mem);
        uint64_t *rows = arena_try_new_n(&b->mem, uint64_t, count);
        for (size_t i = 0; rows && i < (pages - 1) * LB_PAGE; i++)
            rows[i / LB_PAGE * b->family_count + b->family[i]]++;
        ok = rows && encode_nums(b, rows, count);
        arena_restore(&b->mem, mark);
    }
    return ok && place_or_empty(b, &b->h.global[G_PAGE_RANKS]);
}

static bool family_columns(build *b, size_t fi, const uint32_t *shared_of) {
    lb_family *f = &b->h.families[fi];
    const lb_kind *k = &b->t.kinds[f->first_kind];
    const lb_schema *s = &b->t.schemas[k->schema];
    size_t n = f->rows;
    const uint32_t *at = b->at + b->first[fi];
    arena_mark mark = arena_save(&b->x.mem); /* keeps b->mem for what stays */
    uint32_t *member = arena_try_raw(&b->x.mem, n * 4, 4);
    uint64_t *nums = arena_try_raw(&b->x.mem, n * 8, 8);
    str *texts = arena_try_raw(&b->x.mem, n * sizeof *texts, 16);
    if (!member || !nums || !texts) return false;
    b->x.no_zstd = n < 256; /* their parts are compressed */
    for (size_t i = 0; i < n; i++)
        nums[i] = member[i] = b->t.kinds[b->kind_local[b->kind[at[i]]]].member;
    bool ok = nums_column(b, &f->member, nums, n, NULL, 0);
    const uint32_t *by = f->kinds > 1 && n > f->kinds ? member : NULL;
    for (size_t i = 0; i < n; i++) {
        const source_rows *src = &b->m->src.v[b->rows[at[i]].src];
        nums[i] = b->meta_local[src->meta[src->rows.meta[b->rows[at[i]].row]]];
    }
    ok = ok && nums_column(b, &f->meta, nums, n, by, f->kinds);
    for (uint32_t c = 0; ok && c < f->cells; c++) {
        lb_column *col = &f->cell[c];
        bool num = lb_cell_is_num(k, s, c);
        if (c >= k->slots && c - k->slots < s->count && shared_of[c - k->slots] != LB_NONE) {
            *col = (lb_column){.how = HOW_SHARED, .num = num, .part = shared_of[c - k->slots]};
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            str v = cell_of(b, at[i], c);
            if (num)
                nums[i] = v.n;
            else
                texts[i] = v;
        }
        ok = num ? nums_column(b, col, nums, n, by, f->kinds)
                 : texts_column(b, col, texts, n, by, f->kinds);
    }
    b->x.no_zstd = false;
    arena_restore(&b->x.mem, mark);
    return ok;
}

static void build_release(build *b) {
    vec_release(&b->fams);
    vec_release(&b->part);
    vec_release(&b->pooled);
    buf_release(&b->parts);
    buf_release(&b->pool);
    buf_release(&b->col);
    col_ctx_release(&b->x);
    arena_release(&b->mem);
}

static bool make_columns(build *b) {
    uint32_t **shared_of = arena_try_new_n(&b->mem, uint32_t *, b->family_count);
    if (!shared_of || !share_attributes(b, shared_of) || !global_columns(b)) return false;
    bool ok = true;
    for (size_t f = 0; ok && f < b->family_count; f++) {
        lb_family *x = &b->h.families[f];
        x->cell = arena_try_new_n(&b->mem, lb_column, x->cells);
        ok = x->cell && family_columns(b, f, shared_of[f]);
    }
    return ok && flush_pool(b);
}

/* Head, compressed header, parts. */
static bool assemble(build *b, buf *out) {
    buf header;
    buf_init(&header, BLOCK_BYTES_MAX);
    bool ok = put_header(b, &header) && buf_pad(out, 0, LB_HEAD_BYTES);
    size_t room = ZSTD_compressBound(header.n), raw = 0;
    ok = ok && buf_reserve(out, room);
    if (ok) {
        size_t n = ZSTD_compress(out->p + out->n, room, header.p, header.n, HEADER_LEVEL);
        if (!ZSTD_isError(n) && n < header.n) {
            raw = header.n;
            out->n += n;
        } else {
            ok = buf_put(out, buf_str(&header));
        }
    }
    if (ok) {
        size_t stored = out->n - LB_HEAD_BYTES;
        lb_put_head(out->p, 1, stored, raw, (str){out->p + LB_HEAD_BYTES, stored});
        ok = buf_put(out, buf_str(&b->parts));
    }
    buf_release(&header);
    return ok;
}

static rc build_block(merger *m, const sort_row *rows, size_t n, uint64_t raw_bytes) {
    build b = {.m = m, .rows = rows, .n = n, .joined = lb_builder_tables(m->tables)};
    arena_init(&b.mem, "log merge", COL_SCRATCH_MAX);
    col_ctx_init(&b.x, 1);
    b.x.points = true;
    buf_init(&b.parts, BLOCK_BYTES_MAX);
    buf_init(&b.pool, BLOCK_BYTES_MAX);
    buf_init(&b.col, BLOCK_BYTES_MAX);
    buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    rc code;
    if (make_families(&b) && make_tables(&b) && make_columns(&b) && assemble(&b, &out)) {
        block_info in = {.kind = BLOCK_LOGS,
                         .level = 1,
                         .version = LB_VERSION,
                         .rows = (uint32_t)n,
                         .min_ts_ns = rows[0].time,
                         .max_ts_ns = rows[n - 1].time,
                         .bytes = out.n,
                         .raw_bytes = raw_bytes};
        for (size_t i = 0; i < b.t.resource_count; i++)
            in.labels |= lb_service_bits(&b.t.resources[i]);
        for (size_t i = 0; i < b.t.meta_count; i++)
            in.severities |= UINT64_C(1) << (b.t.metas[i].severity & 63);
        code = m->put(m->put_ctx, &in, buf_str(&out), m->e);
    } else {
        code = NO_MEMORY(m->e);
    }
    buf_release(&out);
    build_release(&b);
    return code;
}

/* ---- rounds ---- */

static bool cancelled(const merger *m) { return store_cancelled(m->cancel); }

/* The rows of this round's inputs as blocks. */
static rc write_round(merger *m, uint64_t raw_bytes) {
    size_t n = 0;
    for (size_t s = 0; s < m->src.n; s++) n += m->src.v[s].rows.n;
    if (n == 0) return RC_OK;
    sort_row *rows = mem_try_raw(n * 2 * sizeof *rows);
    if (!rows) return NO_MEMORY(m->e);
    size_t k = 0;
    for (size_t s = 0; s < m->src.n; s++) {
        const lb_rows *r = &m->src.v[s].rows;
        for (size_t i = 0; i < r->n; i++)
            rows[k++] = (sort_row){r->time[i], (uint32_t)s, (uint32_t)i};
    }
    sort_rows(rows, rows + n, n);
    size_t blocks = (n + BLOCK_ROWS_MAX - 1) / BLOCK_ROWS_MAX, from = 0;
    rc code = RC_OK;
    for (size_t i = 0; i < blocks && !code; i++) {
        size_t to = n * (i + 1) / blocks;
        if (cancelled(m)) code = FAIL(m->e, RC_CANCELLED, "merging was cancelled");
        if (!code)
            code = build_block(m, rows + from, to - from,
                               (uint64_t)((double)raw_bytes * (double)(to - from) / (double)n));
        from = to;
    }
    mem_free(rows);
    return code;
}

typedef struct input {
    int64_t min_ts;
    size_t index;
} input;

static int by_time(const void *a, const void *b) {
    const input *x = a, *y = b;
    if (x->min_ts != y->min_ts) return x->min_ts < y->min_ts ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Memory that a block takes while it is merged, about: texts of cells are 16 bytes and their bytes;
 * level 1 grows by what it saved. */
static uint64_t memory_of(const block_info *f) {
    return (uint64_t)f->rows * (f->level ? ROW_MEMORY * 3 : ROW_MEMORY) + f->bytes * 5 / 2;
}

/* Rows of a round: a multiple of BLOCK_ROWS_MAX when the budget allows one, so that blocks are
 * full. */
static uint64_t rows_of_round(const block_info *info, size_t count, size_t max_bytes) {
    uint64_t memory = 0, rows = 0;
    for (size_t i = 0; i < count; i++) {
        memory += memory_of(&info[i]);
        rows += info[i].rows;
    }
    uint64_t fit = memory ? (uint64_t)((double)max_bytes * (double)rows / (double)memory) : 0;
    return fit >= BLOCK_ROWS_MAX ? fit / BLOCK_ROWS_MAX * BLOCK_ROWS_MAX : UINT64_MAX;
}

rc lb_merge(const block_io *in, const block_info *info, size_t count, size_t max_bytes,
            block_put put, void *put_ctx, const volatile int *cancel, size_t *ret_bad, err *e) {
    if (count == 0) return RC_OK;
    merger m = {
        .tables = lb_builder_new(), .put = put, .put_ctx = put_ctx, .cancel = cancel, .e = e};
    arena_init(&m.mem, "log merge inputs", COL_SCRATCH_MAX);
    input *order = mem_alloc_n(count, sizeof *order);
    for (size_t i = 0; i < count; i++) order[i] = (input){info[i].min_ts_ns, i};
    qsort(order, count, sizeof *order, by_time);
    rc code = RC_OK;
    uint64_t budget = 0, raw = 0, rows = 0, full = rows_of_round(info, count, max_bytes);
    for (size_t i = 0; i < count && !code; i++) {
        const block_info *f = &info[order[i].index];
        uint64_t need = memory_of(f);
        if (m.src.n && (budget + need > max_bytes || rows + f->rows > full)) {
            code = write_round(&m, raw);
            m.src.n = 0;
            arena_reset(&m.mem);
            lb_builder_reset(m.tables);
            budget = raw = rows = 0;
            if (code) break;
        }
        if (cancelled(&m)) {
            code = FAIL(e, RC_CANCELLED, "merging was cancelled");
            break;
        }
        str payload;
        code = read_payload(&m, &in[order[i].index], f, &payload);
        if (!code) code = load(&m, payload, f);
        if (code == RC_CORRUPT && ret_bad) *ret_bad = order[i].index;
        budget += need;
        rows += f->rows;
        raw += f->raw_bytes;
    }
    if (!code) code = write_round(&m, raw);
    vec_release(&m.src);
    mem_free(order);
    lb_builder_free(m.tables);
    arena_release(&m.mem);
    return code;
}

/* The checksums of all parts of a level-1 payload. */
static rc verify_parts(str payload, arena *mem, err *e) {
    lb_head head;
    rc code = lb_get_head(payload, &head, e);
    if (code || head.level == 0) return code;
    lb_mem lm = {.a = mem};
    lb_header h;
    code = lb_get_header(&head, str_sub(payload, LB_HEAD_BYTES, head.stored), &lm, &h, e);
    for (size_t i = 0; !code && i < h.part_count; i++) {
        const lb_part *p = &h.parts[i];
        arena_mark mark = arena_save(mem);
        str bytes;
        code = p->offset > payload.n
                   ? FAIL(e, RC_CORRUPT, "log block: part %zu lies beyond the end", i)
                   : lb_get_part(p, str_sub(payload, p->offset, p->stored), mem, &bytes, e);
        arena_restore(mem, mark);
    }
    return code;
}

rc lb_verify(const block_io *in, const block_info *info, err *e) {
    merger m = {.tables = lb_builder_new(), .e = e};
    arena_init(&m.mem, "log verify", COL_SCRATCH_MAX);
    str payload;
    rc code = read_payload(&m, in, info, &payload);
    if (!code) code = verify_parts(payload, &m.mem, e);
    if (!code) code = load(&m, payload, info);
    if (!code) {
        const lb_rows *r = &m.src.v[0].rows;
        for (size_t i = 0; i < r->n && !code; i++) {
            if (r->time[i] < info->min_ts_ns || r->time[i] > info->max_ts_ns ||
                (info->level && i && r->time[i] < r->time[i - 1]))
                code = FAIL(e, RC_CORRUPT, "log block: the time of row %zu is out of place", i);
        }
    }
    vec_release(&m.src);
    lb_builder_free(m.tables);
    arena_release(&m.mem);
    return code;
}

const block_ops LOG_BLOCKS = {
    .kind = BLOCK_LOGS, .encode = lb_encode, .merge = lb_merge, .verify = lb_verify};
