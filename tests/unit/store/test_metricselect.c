#include "store_gen.h"

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/labels.h"
#include "store/metricblock_int.h"

#include <math.h>

#define NOW INT64_C(1785542400000000000)

enum { BATCHES = 10, EACH = 800, SERIES_MAX = 4096 };

typedef struct fixture {
    temp_store st;
    telemetry *t[BATCHES];
} fixture;

static void generate(telemetry *t, uint64_t seed, size_t i) {
    rng r;
    rng_init(&r, seed + i % 4); /* the same metrics and, of two batches, the same points, too */
    gen_metrics(t, &r, EACH, NOW + (int64_t)(i % 5) * 3600000000000);
}

static fixture *make(uint64_t seed) {
    fixture *f = mem_new(fixture);
    temp_store_open(&f->st);
    for (size_t i = 0; i < BATCHES; i++) {
        f->t[i] = telemetry_new();
        telemetry *mine = telemetry_new();
        generate(f->t[i], seed, i);
        generate(mine, seed, i);
        temp_store_append(&f->st, mine);
        if (i == 3 || i == 6) temp_store_compact(&f->st);
    }
    return f;
}

static void drop(fixture *f) {
    for (size_t i = 0; i < BATCHES; i++) telemetry_free(f->t[i]);
    temp_store_close(&f->st);
    mem_free(f);
}

static str value_of(const metric_info *m, const metric_point *p, str label, arena *mem) {
    if (str_eq(label, S("__name__"))) return m->name;
    for (uint32_t i = 0; i < m->resource->attr_count; i++) {
        if (label_is(label, m->resource->attrs[i].key))
            return attribute_text(&m->resource->attrs[i], mem);
    }
    if (m->scope && str_eq(label, S("scope_name")) && m->scope->name.n) return m->scope->name;
    for (uint32_t i = 0; i < p->attr_count; i++) {
        if (label_is(label, p->attrs[i].key)) return attribute_text(&p->attrs[i], mem);
    }
    return STR_NONE;
}

static bool matches(const metric_info *m, const metric_point *p, const metric_select *q,
                    const matchers *ms, arena *mem) {
    if ((q->c.from_ns || q->c.to_ns) && (p->ts_ns < q->c.from_ns || p->ts_ns >= q->c.to_ns))
        return false;
    for (size_t i = 0; i < matchers_count(ms); i++) {
        str label = matchers_name(ms, i), value = value_of(m, p, label, mem);
        label_name plain;
        bool ok = matchers_test(ms, i, value);
        if (str_eq(label, S("__name__")) && q->c.match[i].op == MATCH_EQ)
            ok |= matchers_test(ms, i, label_name_of(value, &plain));
        if (!ok) return false;
    }
    return true;
}

typedef struct want {
    uint64_t id;
    const metric_info *info;
    const metric_point **p;
    size_t n, cap;
    bool seen;
} want;

typedef struct expected {
    want v[SERIES_MAX];
    size_t n;
    const metric_select *q;
    size_t series;
} expected;

static void expect(expected *x, const metric_info *m, const metric_point *p) {
    uint64_t id = series_id(m, p->attrs, p->attr_count);
    size_t i = 0;
    while (i < x->n && x->v[i].id != id) i++;
    MUST(i < SERIES_MAX);
    want *w = &x->v[i];
    if (i == x->n) {
        x->n++;
        *w = (want){.id = id, .info = m};
    }
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        w->p = mem_realloc(w->p, w->cap * sizeof *w->p, cap * sizeof *w->p);
        w->cap = cap;
    }
    w->p[w->n++] = p;
}

static double number_of(const metric_point *p) {
    if (!p->has_value || p->flags & POINT_NO_VALUE) return (double)NAN;
    double d;
    memcpy(&d, &p->num, 8);
    return p->is_int ? (double)p->num : d;
}

static rc take(void *ctx, const metric_series *s, err *e) {
    expected *x = ctx;
    (void)e;
    size_t i = 0;
    while (i < x->n && x->v[i].id != s->id) i++;
    MUST(i < x->n);
    want *w = &x->v[i];
    MUST(!w->seen && s->count > 0);
    w->seen = true;
    x->series++;
    bool numbers = s->info->kind == METRIC_GAUGE || s->info->kind == METRIC_SUM;
    MUST(!numbers == !s->val);
    MUST(!s->points == (numbers && !x->q->want_points));
    MUST(str_eq(s->info->name, w->info->name) && s->info->kind == w->info->kind);
    for (size_t k = 0; k < s->count; k++) { /* each is one that was sent ... */
        size_t j = 0;
        if (k) MUST(s->points ? s->ts_ns[k] >= s->ts_ns[k - 1] : s->ts_ns[k] > s->ts_ns[k - 1]);
        for (; j < w->n; j++) {
            if (w->p[j]->ts_ns != s->ts_ns[k]) continue;
            if (s->points ? same_point(&s->points[k], w->p[j])
                          : number_of(w->p[j]) == s->val[k] ||
                                (isnan(number_of(w->p[j])) && isnan(s->val[k])))
                break;
        }
        MUST(j < w->n);
    }
    for (size_t j = 0; j < w->n; j++) { /* ... and each that was sent has its time, or is there */
        size_t k = 0;
        while (k < s->count &&
               (s->points ? !same_point(&s->points[k], w->p[j]) : s->ts_ns[k] != w->p[j]->ts_ns))
            k++;
        MUST(k < s->count);
    }
    return RC_OK;
}

static size_t check(const fixture *f, const metric_select *q) {
    matchers *m;
    assert_rc(matchers_new(q->c.match, q->c.match_count, &m, NULL), RC_OK);
    arena mem;
    arena_init(&mem, "test", 1 << 28);
    expected *x = mem_new(expected);
    x->q = q;
    for (size_t i = 0; i < BATCHES; i++) {
        const metric_batch *b = &f->t[i]->metrics;
        for (size_t k = 0; k < b->count; k++) {
            const metric_info *info = &b->info[b->rec[k].metric];
            if (matches(info, &b->rec[k], q, m, &mem)) expect(x, info, &b->rec[k]);
        }
    }
    select_stats stats = {0};
    err e = {0};
    rc code = f->st.s->ops->metrics(f->st.s, q, take, x, &stats, &e);
    if (code) fail_msg("select: %s", e.msg);
    assert_false(stats.partial);
    assert_int_equal(x->series, x->n);
    size_t n = x->n;
    for (size_t i = 0; i < x->n; i++) mem_free(x->v[i].p);
    mem_free(x);
    arena_release(&mem);
    matchers_free(m);
    return n;
}

static void selections_find_what_is_there(void **state) {
    (void)state;
    uint64_t seed = unit_seed(__func__);
    fixture *f = make(seed);
    rng r;
    rng_init(&r, seed * 77);
    static const label_match some[] = {
        {S_INIT("__name__"), S_INIT("up"), MATCH_EQ},
        {S_INIT("__name__"), S_INIT("http_server_duration"), MATCH_EQ},
        {S_INIT("__name__"), S_INIT("http.server.duration"), MATCH_EQ},
        {S_INIT("__name__"), S_INIT("node_.*|queue"), MATCH_RE},
        {S_INIT("__name__"), S_INIT("nobody"), MATCH_EQ},
        {S_INIT("service_name"), S_INIT("svc-2"), MATCH_EQ},
        {S_INIT("cpu"), S_INIT("1"), MATCH_EQ},
        {S_INIT("cpu"), S_INIT(""), MATCH_EQ},
        {S_INIT("mode"), S_INIT("idle"), MATCH_NE},
        {S_INIT("mode"), S_INIT(".+"), MATCH_NOT_RE},
        {S_INIT("scope_name"), S_INIT("lib"), MATCH_EQ},
        {S_INIT("process.pid"), S_INIT("[0-3]"), MATCH_RE},
    };
    size_t found = 0;
    for (int round = 0; round < 120; round++) {
        label_match m[2];
        metric_select q = {.c = {.match = m}};
        q.c.match_count = rng_below(&r, 3);
        for (size_t i = 0; i < q.c.match_count; i++) m[i] = some[rng_below(&r, ARRAY_LEN(some))];
        if (rng_below(&r, 3) == 0) {
            q.c.from_ns = NOW + (int64_t)rng_below(&r, 4 * 3600000000000);
            q.c.to_ns = q.c.from_ns + (int64_t)rng_below(&r, 3600000000000) + 1;
        }
        q.c.workers = (unsigned)rng_below(&r, 4);
        q.want_points = rng_below(&r, 2);
        found += check(f, &q);
    }
    assert_true(found > 500);
    temp_store_compact(&f->st);
    temp_store_reopen(&f->st);
    metric_select all = {.want_points = true};
    assert_true(check(f, &all) > 20);
    store_stats have;
    f->st.s->ops->stats(f->st.s, &have);
    assert_true(have.signal[SIGNAL_METRICS].series > 20);
    all.want_points = false;
    assert_true(check(f, &all) > 20);
    drop(f);
}

static rc count_series(void *ctx, const metric_series *s, err *e) {
    size_t *n = ctx;
    (void)e;
    n[0]++;
    n[1] += s->count;
    return RC_OK;
}

static void maxima_make_answers_partial(void **state) {
    (void)state;
    fixture *f = make(unit_seed(__func__));
    size_t n[2] = {0};
    select_stats stats = {0};
    metric_select q = {.max_series = 3};
    assert_rc(f->st.s->ops->metrics(f->st.s, &q, count_series, n, &stats, NULL), RC_OK);
    assert_int_equal(n[0], 3);
    assert_true(stats.partial);
    assert_non_null(strstr(stats.reason, "3 series"));
    n[0] = n[1] = 0;
    stats = (select_stats){0};
    q = (metric_select){.c = {.limit = 100}};
    assert_rc(f->st.s->ops->metrics(f->st.s, &q, count_series, n, &stats, NULL), RC_OK);
    assert_true(stats.partial && n[1] <= 100 && n[1] > 0);
    label_match wrong = {S("a"), S("("), MATCH_RE};
    q = (metric_select){.c = {.match = &wrong, .match_count = 1}};
    assert_rc(f->st.s->ops->metrics(f->st.s, &q, count_series, n, NULL, NULL), RC_INVALID);
    label_match nobody = {S("__name__"), S("nobody"), MATCH_EQ};
    temp_store_compact(&f->st);
    stats = (select_stats){0};
    q = (metric_select){.c = {.match = &nobody, .match_count = 1}};
    assert_rc(f->st.s->ops->metrics(f->st.s, &q, count_series, n, &stats, NULL), RC_OK);
    assert_int_equal(stats.blocks_read, 0);
    assert_int_equal(stats.blocks_pruned, stats.blocks);
    drop(f);
}

typedef struct names {
    arena mem;
    str name[4096];
    size_t n;
} names;
static rc take_name(void *ctx, str name, uint64_t count, err *e) {
    names *x = ctx;
    (void)e;
    MUST(count > 0 && x->n < ARRAY_LEN(x->name));
    for (size_t i = 0; i < x->n; i++) MUST(!str_eq(x->name[i], name));
    x->name[x->n++] = str_dup(&x->mem, name);
    return RC_OK;
}
static bool has_name(const names *x, str name) {
    for (size_t i = 0; i < x->n; i++) {
        if (str_eq(x->name[i], name)) return true;
    }
    return false;
}

static void labels_are_listed(void **state) {
    (void)state;
    fixture *f = make(unit_seed(__func__));
    names *x = mem_new(names);
    arena_init(&x->mem, "test", 1 << 24);
    select_common all = {0};
    store *s = f->st.s;
    assert_rc(s->ops->labels(s, SIGNAL_METRICS, S(""), &all, take_name, x, NULL, NULL), RC_OK);
    assert_true(has_name(x, S("__name__")) && has_name(x, S("cpu")) && has_name(x, S("mode")) &&
                has_name(x, S("service_name")));
    x->n = 0;
    assert_rc(s->ops->labels(s, SIGNAL_METRICS, S("cpu"), &all, take_name, x, NULL, NULL), RC_OK);
    assert_true(has_name(x, S("0")) && has_name(x, S("2")));
    x->n = 0;
    label_match one = {S("cpu"), S("1"), MATCH_EQ};
    select_common some = {.match = &one, .match_count = 1};
    assert_rc(s->ops->labels(s, SIGNAL_METRICS, S("cpu"), &some, take_name, x, NULL, NULL), RC_OK);
    assert_int_equal(x->n, 1);
    arena_release(&x->mem);
    mem_free(x);
    drop(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selections_find_what_is_there),
        cmocka_unit_test(maxima_make_answers_partial),
        cmocka_unit_test(labels_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
