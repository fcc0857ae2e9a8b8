/* profileselect.c - profiles that match. First the heads of blocks (no samples, no stacks) tell
 * which profiles are wanted; their places are put in order and cut to the limit; then each block
 * is read whole, once for each run of places in it. Labels: resource attributes, scope_name and
 * scope_version, attributes of the profile, type, unit, period_type. */
#include "store/profileblock_int.h"

#include "base/map.h"
#include "base/mem.h"
#include "codec/otlp.h"
#include "store/labels.h"
#include "store/select_int.h"
#include "sys/thread.h"

#include <stdlib.h>

enum { PLACES_MAX = 1 << 20, NAMES_MAX = 100000, NAME_BYTES_MAX = 64 << 20 };
#define QUERY_ARENA_MAX ((size_t)2 << 30)

typedef struct place {
    int64_t ts_ns;
    uint32_t block, row;
} place;

typedef struct search {
    const profile_select *q;
    matchers *m;
    snapshot *snap;
    sys_lock *lock; /* guards what follows */
    VEC(place) places;
    bool too_many;
    bool for_labels;
    str label;
    intern *names;
    VEC(uint64_t) name_counts;
} search;

static str label_value(const profile_block *b, const profile *p, str label, arena *mem) {
    for (uint32_t i = 0; i < p->resource->attr_count; i++) {
        if (label_is(label, p->resource->attrs[i].key))
            return attribute_text(&p->resource->attrs[i], mem);
    }
    if (p->scope && p->scope->name.n && label_is(label, S("scope_name"))) return p->scope->name;
    if (p->scope && p->scope->version.n && label_is(label, S("scope_version")))
        return p->scope->version;
    for (uint32_t i = 0; i < p->attr_count; i++) {
        const attribute *a = &b->attrs[p->attrs[i]].attr;
        if (label_is(label, a->key)) return attribute_text(a, mem);
    }
    if (label_is(label, S("type"))) return p->type;
    if (label_is(label, S("unit"))) return p->unit;
    if (label_is(label, S("period_type"))) return p->period_type;
    return STR_NONE;
}

static bool matches(const search *s, const profile_block *b, const profile *p, arena *mem) {
    const select_common *c = &s->q->c;
    if ((c->from_ns || c->to_ns) && (p->ts_ns < c->from_ns || p->ts_ns >= c->to_ns)) return false;
    if (s->q->type.n && !str_eq(s->q->type, p->type)) return false;
    for (size_t i = 0; i < matchers_count(s->m); i++) {
        arena_mark mark = arena_save(mem);
        bool ok = matchers_test(s->m, i, label_value(b, p, matchers_name(s->m, i), mem));
        arena_restore(mem, mark);
        if (!ok) return false;
    }
    return true;
}

static void add_name(search *s, str name) {
    uint32_t id = intern_put(s->names, name);
    if (id == INTERN_NONE) {
        s->too_many = true;
        return;
    }
    if (id == s->name_counts.n) vec_push(&s->name_counts, 0);
    s->name_counts.v[id]++;
}

static void add_labels(search *s, const profile_block *b, const profile *p, arena *mem) {
    if (s->label.n) {
        arena_mark mark = arena_save(mem);
        str value = label_value(b, p, s->label, mem);
        if (value.n) add_name(s, value);
        arena_restore(mem, mark);
        return;
    }
    label_name plain;
    for (uint32_t i = 0; i < p->resource->attr_count; i++)
        add_name(s, label_name_of(p->resource->attrs[i].key, &plain));
    for (uint32_t i = 0; i < p->attr_count; i++)
        add_name(s, label_name_of(b->attrs[p->attrs[i]].attr.key, &plain));
    add_name(s, S("type"));
    add_name(s, S("unit"));
}

static bool pruned(const search *s, const block_info *info) {
    for (size_t i = 0; i < matchers_count(s->m); i++) {
        str only;
        if (!label_is(matchers_name(s->m, i), S("service_name")) || !matchers_only(s->m, i, &only))
            continue;
        uint64_t bits = block_service_bits(only), none = block_service_bits(S(""));
        if ((info->labels & bits) != bits && (info->labels & none) != none) return true;
    }
    return false;
}

static rc visit(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats, err *e) {
    search *s = ctx;
    (void)worker;
    if (pruned(s, &ref->info)) {
        stats->blocks_pruned++;
        return RC_OK;
    }
    arena mem;
    arena_init(&mem, "profile query", QUERY_ARENA_MAX);
    profile_block b;
    rc code = profile_block_open(&b, &ref->io, &ref->info, &mem, e);
    if (code == RC_OK) code = profile_block_heads(&b, e);
    stats->blocks_read++;
    if (code == RC_OK) {
        stats->rows += b.rows;
        uint32_t block = 0;
        while (snapshot_at(s->snap, block) != ref) block++;
        sys_lock_take(s->lock);
        for (uint32_t i = 0; i < b.rows; i++) {
            if (!matches(s, &b, &b.heads[i], &mem)) continue;
            stats->rows_matched++;
            if (s->for_labels)
                add_labels(s, &b, &b.heads[i], &mem);
            else if (s->places.n < PLACES_MAX)
                vec_push(&s->places, (place){b.heads[i].ts_ns, block, i});
            else
                s->too_many = true;
        }
        sys_lock_give(s->lock);
    }
    stats->bytes_read += b.p.bytes_read;
    stats->bytes_decoded += b.p.bytes_decoded;
    profile_block_close(&b);
    arena_release(&mem);
    return code;
}

static int by_place(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->block != y->block) return x->block < y->block ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}
static int by_oldest(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->ts_ns != y->ts_ns) return x->ts_ns < y->ts_ns ? -1 : 1;
    return by_place(a, b);
}
static int by_newest(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->ts_ns != y->ts_ns) return x->ts_ns > y->ts_ns ? -1 : 1;
    return by_place(a, b);
}

/* The places p[0..n), all of one block, as one telemetry. */
static rc emit(const search *s, const place *p, size_t n, store_telemetry_sink sink, void *ctx,
               select_stats *stats, err *e) {
    const block_ref *ref = snapshot_at(s->snap, p->block);
    arena mem;
    arena_init(&mem, "profile query", QUERY_ARENA_MAX);
    profile_block b;
    rc code = profile_block_open(&b, &ref->io, &ref->info, &mem, e);
    if (code == RC_OK) code = profile_block_batch(&b, e);
    profile *rec = arena_try_new_n(&mem, profile, n);
    if (code == RC_OK && !rec) code = FAIL(e, RC_LIMIT, "no memory for %zu profiles", n);
    if (code == RC_OK) {
        for (size_t i = 0; i < n; i++) rec[i] = b.heads[p[i].row];
        telemetry t = {.profiles = b.batch};
        t.profiles.rec = rec;
        t.profiles.count = t.profiles.cap = n;
        code = sink(ctx, 0, &t, e);
    }
    stats->bytes_read += b.p.bytes_read;
    stats->bytes_decoded += b.p.bytes_decoded;
    profile_block_close(&b);
    arena_release(&mem);
    return code;
}

static rc begin(search *s, store *st, const profile_select *q, select_stats *stats, err *e) {
    *s = (search){.q = q};
    rc code = matchers_new(q->c.match, q->c.match_count, &s->m, e);
    if (code != RC_OK) return code;
    code =
        snapshot_take(st, BLOCK_PROFILES, q->c.from_ns, q->c.to_ns, q->c.order, &s->snap, stats, e);
    if (code != RC_OK) {
        matchers_free(s->m);
        return code;
    }
    s->lock = sys_lock_new("profile query");
    return RC_OK;
}

static void end(search *s) {
    vec_release(&s->places);
    vec_release(&s->name_counts);
    sys_lock_free(s->lock);
    snapshot_release(s->snap);
    matchers_free(s->m);
}

static void tell_partial(select_stats *stats, size_t max, const char *what) {
    stats->partial = true;
    IGNORE(snprintf(stats->reason, sizeof stats->reason, "more than %zu %s", max, what) <
           0); /* fits */
}

rc profiles_select(store *st, const profile_select *q, store_telemetry_sink sink, void *ctx,
                   select_stats *stats, err *e) {
    select_stats own = {0};
    if (!stats) stats = &own;
    search s;
    rc code = begin(&s, st, q, stats, e);
    if (code != RC_OK) return code;
    code = snapshot_each(s.snap, &q->c, visit, &s, stats, e);
    if (s.too_many) tell_partial(stats, PLACES_MAX, "profiles");
    size_t n = s.places.n;
    place *p = s.places.v;
    if (n > 1)
        qsort(p, n, sizeof *p,
              q->c.order == SELECT_OLDEST_FIRST   ? by_oldest
              : q->c.order == SELECT_NEWEST_FIRST ? by_newest
                                                  : by_place);
    if (q->c.limit) n = (size_t)MIN((uint64_t)n, q->c.limit);
    for (size_t i = 0; i < n && code == RC_OK;) {
        size_t k = i;
        while (k < n && p[k].block == p[i].block) k++;
        if (store_cancelled(q->c.cancel))
            code = RC_CANCELLED;
        else
            code = emit(&s, p + i, k - i, sink, ctx, stats, e);
        i = k;
    }
    end(&s);
    return code == RC_END ? RC_OK : code;
}

rc profiles_labels(store *st, str label, const select_common *c, store_name_sink sink, void *ctx,
                   select_stats *stats, err *e) {
    select_stats own = {0};
    if (!stats) stats = &own;
    profile_select q = {.c = *c};
    q.c.order = SELECT_ANY;
    search s;
    rc code = begin(&s, st, &q, stats, e);
    if (code != RC_OK) return code;
    intern names;
    intern_init(&names, "labels", NAMES_MAX, NAME_BYTES_MAX);
    s.names = &names;
    s.label = label;
    s.for_labels = true;
    code = snapshot_each(s.snap, &q.c, visit, &s, stats, e);
    size_t n = s.name_counts.n;
    if (c->limit && c->limit < n) {
        n = (size_t)c->limit;
        s.too_many = true;
    }
    if (s.too_many) tell_partial(stats, n, "names");
    for (size_t i = 0; i < n && code == RC_OK; i++)
        code = sink(ctx, intern_str(&names, (uint32_t)i), s.name_counts.v[i], e);
    intern_release(&names);
    end(&s);
    return code == RC_END ? RC_OK : code;
}
