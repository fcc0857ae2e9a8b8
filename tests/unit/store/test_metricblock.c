#include "telemetry_gen.h"

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/metricblock_int.h"

#define NOW INT64_C(1785542400000000000)

/* A point as it should come back, found by what it is. */
typedef struct entry {
    const metric_point *p;
    const metric_info *info;
    bool found;
} entry;

typedef struct table {
    entry *v;
    size_t n;
    map64 first; /* hash -> number + 1 of the first */
    size_t *next;
} table;

static uint64_t hash_of(const metric_point *p, const metric_info *i, const attribute *a,
                        uint32_t n) {
    return series_id(i, a, n) ^ (uint64_t)p->ts_ns * 31 ^ (uint64_t)p->num ^ p->count << 20;
}

static table table_of(telemetry *const *t, size_t count) {
    table x = {0};
    for (size_t i = 0; i < count; i++) x.n += t[i]->metrics.count;
    x.v = mem_new_n(entry, x.n);
    x.next = mem_new_n(size_t, x.n);
    map64_init(&x.first, x.n + 1);
    size_t k = 0;
    for (size_t i = 0; i < count; i++) {
        const metric_batch *m = &t[i]->metrics;
        for (size_t j = 0; j < m->count; j++, k++) {
            x.v[k] = (entry){&m->rec[j], &m->info[m->rec[j].metric], false};
            uint64_t *at = map64_put(
                &x.first, hash_of(x.v[k].p, x.v[k].info, m->rec[j].attrs, m->rec[j].attr_count),
                NULL);
            x.next[k] = (size_t)*at;
            *at = k + 1;
        }
    }
    return x;
}

static void table_release(table *x) {
    mem_free(x->v);
    mem_free(x->next);
    map64_release(&x->first);
}

static void find(table *x, const metric_point *p, const metric_info *info, const attr_row *attrs) {
    const uint64_t *at = map64_get(&x->first, hash_of(p, info, attrs->a, attrs->n));
    for (size_t k = at ? (size_t)*at : 0; k; k = x->next[k - 1]) {
        entry *en = &x->v[k - 1];
        if (en->found || !same_point(en->p, p) || !same_metric(en->info, info) ||
            !same_attrs(en->p->attrs, en->p->attr_count, attrs->a, attrs->n))
            continue;
        en->found = true;
        return;
    }
    fail_msg("a point that was never sent");
}

static void check_points(const block_list *l, telemetry *const *t, size_t count) {
    table x = table_of(t, count);
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++) {
        arena mem;
        arena_init(&mem, "test", 1 << 30);
        err e = {0};
        rc code = METRIC_BLOCKS.verify(&l->io[i], &l->info[i], &e);
        if (code) fail_msg("verify: %s", e.msg);
        metric_block b;
        assert_rc(metric_block_open(&b, &l->io[i], &l->info[i], &mem, &e), RC_OK);
        assert_rc(metric_block_load(&b, &e), RC_OK);
        assert_rc(attr_cols_load_all(&b.attrs, &e), RC_OK);
        attr_walk walk;
        assert_rc(attr_walk_begin(&walk, &b.attrs, &e), RC_OK);
        for (size_t s = 0; s < b.series; s++) {
            points p;
            attr_row attrs;
            assert_rc(attr_walk_row(&walk, s, &mem, &attrs, &e), RC_OK);
            assert_rc(metric_block_points(&b, s, &p, &e), RC_OK);
            for (size_t k = 0; k < p.n; k++, n++) {
                metric_point one;
                points_at(&p, k, &one);
                if (l->info[i].level && k) assert_true(p.ts[k] >= p.ts[k - 1]);
                find(&x, &one, &b.infos[b.series_info[s]], &attrs);
            }
        }
        metric_block_close(&b);
        arena_release(&mem);
    }
    assert_int_equal(n, x.n);
    table_release(&x);
}

static void merged(const block_list *in, size_t max_bytes, block_list *out) {
    size_t bad;
    err e = {0};
    rc code = METRIC_BLOCKS.merge(in->io, in->info, in->count, max_bytes, block_list_put, out, NULL,
                                  &bad, &e);
    if (code) fail_msg("merge: %s", e.msg);
}

static void points_come_back_exactly(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list *l0 = mem_new(block_list), *l1 = mem_new(block_list), *l2 = mem_new(block_list);
    telemetry *t[8];
    static const size_t sizes[] = {1, 2000, 0, 3, 700, 5000, 1, 3000};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        t[i] = telemetry_new();
        rng same;
        rng_init(&same, 5); /* metrics of the same names and labels in each */
        gen_metrics(t[i], i < 6 ? &same : &r, sizes[i], NOW + (int64_t)(i % 3) * 1000000000000);
    }
    assert_rc(METRIC_BLOCKS.encode(t, 4, block_list_put, l0, NULL), RC_OK);
    for (size_t i = 4; i < ARRAY_LEN(t); i++)
        assert_rc(METRIC_BLOCKS.encode(&t[i], 1, block_list_put, l0, NULL), RC_OK);
    assert_int_equal(l0->count, 5);
    check_points(l0, t, ARRAY_LEN(t));
    for (size_t i = 0; i < l0->count; i += 2) { /* merges of merges, and with unmerged ones */
        block_list some = {.count = MIN((size_t)2, l0->count - i)};
        memcpy(some.io, l0->io + i, some.count * sizeof *some.io);
        memcpy(some.info, l0->info + i, some.count * sizeof *some.info);
        merged(&some, 64 << 20, l1);
    }
    check_points(l1, t, ARRAY_LEN(t));
    merged(l1, 1 << 20, l2);
    check_points(l2, t, ARRAY_LEN(t));
    for (size_t i = 0; i < ARRAY_LEN(t); i++) telemetry_free(t[i]);
    block_list_release(l0);
    block_list_release(l1);
    block_list_release(l2);
    mem_free(l0);
    mem_free(l1);
    mem_free(l2);
}

/* Scrapes as a server sends them: `series` gauges, one sample each at the same time. */
static telemetry *scrape(size_t series, size_t step, rng *r, double *value) {
    telemetry *t = telemetry_new();
    resource *none = arena_new(&t->mem, resource);
    resource_finish(none);
    for (size_t i = 0; i < series; i++) {
        metric_info *m = telemetry_add_metric(t);
        m->name = str_fmt(&t->mem, "metric_%u_total", (unsigned)i / 8);
        m->kind = METRIC_GAUGE;
        m->resource = none;
        metric_point *p = telemetry_add_point(t);
        attribute *a = arena_bytes(&t->mem, 3 * sizeof *a, 8);
        a[0] = attribute_text_of(S("instance"), S("localhost:9100"));
        a[1] = attribute_text_of(S("job"), S("node"));
        a[2] = attribute_text_of(S("device"), str_fmt(&t->mem, "sd%u", (unsigned)i % 8));
        p->metric = (uint32_t)i;
        p->attrs = a;
        p->attr_count = 3;
        p->ts_ns = NOW + (int64_t)step * 15000000000;
        p->has_value = true;
        if (i % 2) value[i] += (double)rng_below(r, 3);
        memcpy(&p->num, &value[i], 8);
    }
    return t;
}

static void scraped_series_share_times(void **state) {
    (void)state;
    enum { SERIES = 400, STEPS = 200 };
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list *l0 = mem_new(block_list), *l1 = mem_new(block_list);
    double *value = mem_new_n(double, SERIES);
    telemetry *t[STEPS];
    for (size_t i = 0; i < STEPS; i++) {
        t[i] = scrape(SERIES, i, &r, value);
        assert_rc(METRIC_BLOCKS.encode(&t[i], 1, block_list_put, l0, NULL), RC_OK);
    }
    merged(l0, 64 << 20, l1);
    check_points(l1, t, STEPS);
    assert_int_equal(l1->count, 1);
    /* half constant, half 1.6 bits of entropy: 0.1 B; labels once */
    assert_true(l1->info[0].bytes < SERIES * STEPS * 2 / 10);
    for (size_t i = 0; i < STEPS; i++) telemetry_free(t[i]);
    block_list_release(l0);
    block_list_release(l1);
    mem_free(l0);
    mem_free(l1);
    mem_free(value);
}

static void damage_is_found(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed(__func__));
    block_list *l = mem_new(block_list), *out = mem_new(block_list);
    telemetry *t = telemetry_new();
    gen_metrics(t, &r, 300, NOW);
    for (int i = 0; i < 3; i++)
        assert_rc(METRIC_BLOCKS.encode(&t, 1, block_list_put, l, NULL), RC_OK);
    for (int round = 0; round < 400; round++) {
        char *p = l->bytes[2] + sizeof(block_io) + rng_below(&r, l->info[2].bytes), was = *p;
        *p ^= (char)(1 << rng_below(&r, 8));
        err e = {0};
        rc code = METRIC_BLOCKS.verify(&l->io[2], &l->info[2], &e);
        assert_true(code == RC_CORRUPT || code == RC_UNSUPPORTED);
        if (round % 50 == 0 && code == RC_CORRUPT) {
            size_t bad = 99;
            assert_rc(METRIC_BLOCKS.merge(l->io, l->info, 3, 1 << 26, block_list_put, out, NULL,
                                          &bad, &e),
                      RC_CORRUPT);
            assert_int_equal(bad, 2);
        }
        *p = was;
    }
    int stop = 1;
    size_t bad;
    assert_rc(
        METRIC_BLOCKS.merge(l->io, l->info, 3, 1 << 26, block_list_put, out, &stop, &bad, NULL),
        RC_CANCELLED);
    block_list_release(l);
    block_list_release(out);
    telemetry_free(t);
    mem_free(l);
    mem_free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_come_back_exactly),
        cmocka_unit_test(scraped_series_share_times),
        cmocka_unit_test(damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
