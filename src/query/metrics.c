/* metrics.c - series of metrics for the evaluation: selectors, and functions over their ranges.
 *
 * One select of the store serves all steps: samples of (first step - look-back or range, last
 * step], given series by series, and each series is evaluated at once and forgotten. So memory is
 * one number a series and step, not the samples.
 *
 * Names: a stored name is compared with every character outside [a-zA-Z0-9_:] as '_', so
 * http_server_duration finds the metric http.server.duration of OTLP. A histogram h shows as
 * h_bucket{le}, h_count and h_sum, a summary as h{quantile}, h_count and h_sum, as Prometheus has
 * them; buckets of exponential histograms become the bounds of their scale.
 *
 * A sample holds for LOOKBACK_S seconds or until a staleness marker. Source: Prometheus
 * promql/engine.go, storage/remote/otlptranslator, OTLP data model "Exponential histogram". */
#include "query/eval_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "query/plan_int.h"

typedef enum view { VIEW_VALUE = 0, VIEW_COUNT, VIEW_SUM, VIEW_BUCKET, VIEW_QUANTILE } view;

typedef struct metric_run {
    eval *ev;
    const expr *x;    /* the selector or matrix */
    const expr *call; /* around it; NULL: an instant vector */
    range_fn fn;
    const double *param;
    int64_t range_ns; /* of the window at each step: the range, or the look-back */
    int64_t shift_ns; /* offset */
    bool timestamps;
    vector_builder out;
    VEC(int64_t) ts;
    VEC(double) val;
    VEC(double) scratch;
    VEC(double) bounds;
    query_label *labels;
    arena tmp; /* of the series at hand */
    regex_state *re;
    const regex **match_re; /* of each matcher */
} metric_run;

/* --- matchers --- */

static bool name_char(char c) {
    char l = (char)(c | 0x20);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

static str metric_name(str name, arena *out) {
    size_t i = 0;
    while (i < name.n && name_char(name.p[i])) i++;
    if (i == name.n) return name;
    char *to = arena_try_raw(out, name.n, 1);
    if (!to) return STR_NONE;
    for (i = 0; i < name.n; i++) to[i] = name_char(name.p[i]) ? name.p[i] : '_';
    return str_make(to, name.n);
}

static bool strip_suffix(str *name, const char *suffix) {
    if (name->n <= strlen(suffix) || !str_ends(*name, str_c(suffix))) return false;
    name->n -= strlen(suffix);
    return true;
}

/* An expression for the stored forms of a name: '_' stands for whatever it replaced, and the suffix
 * of a view is not part of the stored name. */
static bool put_name_pattern(buf *b, str name) {
    bool ok = true;
    for (size_t i = 0; i < name.n && ok; i++) {
        ok = name.p[i] == '_' || !name_char(name.p[i]) ? buf_put(b, S("[^a-zA-Z0-9:]"))
                                                       : buf_putc(b, name.p[i]);
    }
    return ok;
}

str metric_name_pattern(str name, arena *mem) {
    buf b;
    buf_init(&b, 20 * QUERY_TEXT_MAX);
    str text = put_name_pattern(&b, name) ? str_dup(mem, buf_str(&b)) : STR_NONE;
    buf_release(&b);
    return text;
}

static bool plain_name(str name) {
    for (size_t i = 0; i < name.n; i++) {
        if (!name_char(name.p[i]) || name.p[i] == '_') return false;
    }
    return true;
}

/* The store's matchers: the name loosely, `le` and `quantile` not at all (views have them). */
static rc store_matchers(eval *ev, const expr *x, select_common *to, err *e) {
    label_match *m = arena_try_new_n(ev->mem, label_match, MAX(x->match_count, 1));
    if (!m) return eval_full(e);
    size_t n = 0;
    for (size_t i = 0; i < x->match_count; i++) {
        label_match one = x->match[i];
        if (str_eq(one.name, S("le")) || str_eq(one.name, S("quantile"))) continue;
        if (str_eq(one.name, S("__name__"))) {
            if (one.op != MATCH_EQ) continue; /* compared with the names of the views */
            str base = one.value;
            bool is_view = strip_suffix(&base, "_count") || strip_suffix(&base, "_sum") ||
                           strip_suffix(&base, "_bucket");
            if (!is_view && plain_name(one.value)) {
                m[n++] = one;
                continue;
            }
            buf b;
            buf_init(&b, 20 * QUERY_TEXT_MAX);
            bool ok = put_name_pattern(&b, one.value);
            if (is_view) ok = ok && buf_putc(&b, '|') && put_name_pattern(&b, base);
            one.op = MATCH_RE;
            one.value = ok ? str_dup(ev->mem, buf_str(&b)) : STR_NONE;
            buf_release(&b);
            if (!one.value.p) return eval_full(e);
        }
        m[n++] = one;
    }
    to->match = m;
    to->match_count = n;
    return RC_OK;
}

static bool label_matches(metric_run *run, size_t i, str v) {
    const label_match *m = &run->x->match[i];
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(v, m->value);
    case MATCH_NE:
        return !str_eq(v, m->value);
    case MATCH_RE:
        return regex_test(run->match_re[i], run->re, v);
    case MATCH_NOT_RE:
        return !regex_test(run->match_re[i], run->re, v);
    }
    return false;
}

/* The matchers that the store did not see whole. */
static bool row_matches(metric_run *run, const query_label *labels, size_t count) {
    for (size_t i = 0; i < run->x->match_count; i++) {
        str name = run->x->match[i].name;
        bool own = str_eq(name, S("__name__"));
        if (!own && !str_eq(name, S("le")) && !str_eq(name, S("quantile"))) continue;
        str v = labels_get(labels, count, name);
        if (own && run->x->match[i].op == MATCH_EQ) {
            if (!str_eq(v, metric_name(run->x->match[i].value, &run->tmp))) return false;
        } else if (!label_matches(run, i, v)) {
            return false;
        }
    }
    return true;
}

/* --- one series --- */

static size_t base_labels(metric_run *run, const metric_series *s) {
    return series_labels(s, &run->tmp, run->labels, LABELS_MAX - 4);
}

/* Evaluates the samples gathered in run->ts, run->val as one row with these labels. */
static rc put_row(metric_run *run, size_t base, str name, str extra, str extra_value, err *e) {
    eval *ev = run->ev;
    size_t n = base;
    run->labels[n++] = (query_label){S("__name__"), name};
    if (extra.n) run->labels[n++] = (query_label){extra, extra_value};
    if (run->ts.n == 0 || !row_matches(run, run->labels, n)) return RC_OK;
    query_label *own = arena_try_new_n(ev->mem, query_label, n);
    if (!own) return eval_full(e);
    memcpy(own, run->labels, n * sizeof(*own));
    bool keeps = !run->call || range_keeps_name(run->fn);
    if (!keeps) {
        own[base] = own[n - 1];
        n--;
    }
    labels_sort(own, n);
    const query_label *labels = labels_copy(own, n, ev->mem);
    series *to;
    rc c = labels ? vector_add(&run->out, labels, n, &to, e) : eval_full(e);
    if (c) return c;
    vec_reserve(&run->scratch, run->ts.n);
    samples all = {run->ts.v, run->val.v, run->ts.n};
    size_t at = 0; /* samples up to the step */
    for (size_t i = 0; i < ev->steps; i++) {
        int64_t end = (run->x->has_at ? (run->x->at_edge == 's'   ? ev->start_ns
                                         : run->x->at_edge == 'e' ? step_time(ev, ev->steps - 1)
                                                                  : run->x->at_ns)
                                      : step_time(ev, i)) -
                      run->shift_ns;
        if (run->call && !run->timestamps) {
            double param = run->param ? run->param[i] : 0;
            /* what is predicted counts from the step, wherever the range lies */
            if (run->fn == RANGE_PREDICT_LINEAR) param += (double)(step_time(ev, i) - end) / 1e9;
            to->v[i] = range_value(run->fn, &all, end - run->range_ns, end, param, run->scratch.v);
            continue;
        }
        if (run->x->has_at) at = 0;
        while (at < all.count && all.ts_ns[at] <= end) at++;
        if (at == 0 || all.ts_ns[at - 1] <= end - run->range_ns || is_absent(all.val[at - 1]))
            continue;
        to->v[i] = run->timestamps ? (double)all.ts_ns[at - 1] / 1e9 : all.val[at - 1];
    }
    return RC_OK;
}

static void gather(metric_run *run, int64_t ts, double v, bool stale) {
    bool window = run->call && !run->timestamps;
    if (stale && window) return; /* ranges see no markers */
    if (run->ts.n && run->ts.v[run->ts.n - 1] == ts) return;
    vec_push(&run->ts, ts);
    vec_push(&run->val, stale ? absent() : isnan(v) ? (double)NAN : v);
}

static void clear(metric_run *run) { run->ts.n = run->val.n = 0; }

/* "No value" of the store, which is the plain NaN, and the staleness marker of Prometheus. A value
 * that is NaN has other bits: those of Prometheus' (...01), or a sign (what processors make). */
static bool is_stale(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof(v));
    return bits == UINT64_C(0x7ff8000000000000) || bits == UINT64_C(0x7ff0000000000002) ||
           bits == UINT64_C(0x7ff8000000000002);
}

static rc put_points_view(metric_run *run, const metric_series *s, size_t base, str name, view v,
                          double bound, str extra, str extra_value, err *e) {
    clear(run);
    for (size_t i = 0; i < s->count; i++) {
        const metric_point *p = &s->points[i];
        double got = 0;
        bool stale = (p->flags & POINT_NO_VALUE) != 0;
        switch (v) {
        case VIEW_COUNT:
            got = (double)p->count;
            break;
        case VIEW_SUM:
            if (!p->has_sum && s->info->kind != METRIC_SUMMARY && !stale) continue;
            got = p->sum;
            break;
        case VIEW_QUANTILE:
            for (uint32_t k = 0; k < p->bound_count; k++) {
                if (p->bounds[k] == bound) got = p->values[k];
            }
            break;
        case VIEW_BUCKET:
            if (isinf(bound)) {
                got = (double)p->count;
            } else if (s->info->kind == METRIC_HISTOGRAM) {
                for (uint32_t k = 0;
                     k < p->bucket_count && k < p->bound_count && p->bounds[k] <= bound; k++) {
                    got += (double)p->buckets[k];
                }
            } else {
                double root = exp2(ldexp(1, -p->scale));
                for (uint32_t k = 0; k < p->negative_count; k++) got += (double)p->negative[k];
                if (bound >= p->zero_threshold) got += (double)p->zero_count;
                for (uint32_t k = 0; k < p->bucket_count; k++) {
                    double upper = pow(root, (double)p->offset + k + 1);
                    if (upper <= bound * (1 + 1e-12)) got += (double)p->buckets[k];
                }
            }
            break;
        case VIEW_VALUE:
            break;
        }
        gather(run, p->ts_ns, got, stale);
    }
    return put_row(run, base, name, extra, extra_value, e);
}

static int by_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* All bounds (or quantiles) that the points of a series have. */
static void collect_bounds(metric_run *run, const metric_series *s) {
    run->bounds.n = 0;
    for (size_t i = 0; i < s->count && run->bounds.n < 20000; i++) {
        const metric_point *p = &s->points[i];
        if (s->info->kind == METRIC_EXP_HISTOGRAM) {
            double root = exp2(ldexp(1, -p->scale));
            if (p->zero_count) vec_push(&run->bounds, p->zero_threshold);
            for (uint32_t k = 0; k < p->bucket_count; k++) {
                if (p->buckets[k]) vec_push(&run->bounds, pow(root, (double)p->offset + k + 1));
            }
        } else {
            for (uint32_t k = 0; k < p->bound_count; k++) vec_push(&run->bounds, p->bounds[k]);
        }
    }
    if (run->bounds.n) qsort(run->bounds.v, run->bounds.n, sizeof(double), by_double);
    size_t n = 0;
    for (size_t i = 0; i < run->bounds.n; i++) {
        if (n == 0 || run->bounds.v[i] != run->bounds.v[n - 1])
            run->bounds.v[n++] = run->bounds.v[i];
    }
    run->bounds.n = n;
}

static str bound_text(metric_run *run, double v) {
    if (isinf(v)) return v > 0 ? S("+Inf") : S("-Inf");
    buf b;
    buf_init(&b, 64);
    IGNORE(!buf_double(&b, v)); /* fits */
    str text = str_dup(&run->tmp, buf_str(&b));
    buf_release(&b);
    return text;
}

static rc put_points(metric_run *run, const metric_series *s, size_t base, str name, err *e) {
    str count = str_fmt(&run->tmp, "%.*s_count", STR_ARG(name));
    str sum = str_fmt(&run->tmp, "%.*s_sum", STR_ARG(name));
    str bucket_name = str_fmt(&run->tmp, "%.*s_bucket", STR_ARG(name));
    bool summary = s->info->kind == METRIC_SUMMARY;
    if (!count.p || !sum.p || !bucket_name.p) return eval_full(e);
    rc c = put_points_view(run, s, base, count, VIEW_COUNT, 0, STR_NONE, STR_NONE, e);
    if (!c) c = put_points_view(run, s, base, sum, VIEW_SUM, 0, STR_NONE, STR_NONE, e);
    if (c) return c;
    /* Names are compared before the work of a row for each bound. */
    size_t n = base;
    run->labels[n++] = (query_label){S("__name__"), summary ? name : bucket_name};
    for (size_t i = 0; i < run->x->match_count; i++) {
        const label_match *m = &run->x->match[i];
        if (!str_eq(m->name, S("__name__"))) continue;
        bool ok = m->op == MATCH_EQ
                      ? str_eq(metric_name(m->value, &run->tmp), run->labels[base].value)
                      : label_matches(run, i, run->labels[base].value);
        if (!ok) return RC_OK;
    }
    collect_bounds(run, s);
    for (size_t i = 0; i < run->bounds.n && !c; i++) {
        double b = run->bounds.v[i];
        c = put_points_view(run, s, base, summary ? name : bucket_name,
                            summary ? VIEW_QUANTILE : VIEW_BUCKET, b,
                            summary ? S("quantile") : S("le"), bound_text(run, b), e);
    }
    if (!c && !summary) {
        c = put_points_view(run, s, base, bucket_name, VIEW_BUCKET, (double)INFINITY, S("le"),
                            S("+Inf"), e);
    }
    return c;
}

static rc on_series(void *ctx, const metric_series *s, err *e) {
    metric_run *run = ctx;
    rc c = eval_poll(run->ev, e);
    if (c) return c;
    arena_reset(&run->tmp);
    size_t base = base_labels(run, s);
    str name = metric_name(s->info->name, &run->tmp);
    if (!name.p && s->info->name.n) return eval_full(e);
    if (s->info->kind >= METRIC_HISTOGRAM)
        return s->points ? put_points(run, s, base, name, e) : RC_OK;
    clear(run);
    for (size_t i = 0; i < s->count; i++) {
        double v = s->val ? s->val[i] : (double)NAN;
        gather(run, s->ts_ns[i], v, is_stale(v));
    }
    return put_row(run, base, name, STR_NONE, STR_NONE, e);
}

/* --- the select --- */

static rc run_select(metric_run *run, value *ret, err *e) {
    eval *ev = run->ev;
    const expr *x = run->x;
    metric_select q = {.max_series = (uint32_t)MIN(ev->max_series * 4, UINT32_MAX)};
    plan_common(ev->opts, &q.c);
    q.c.deadline_ns = ev->deadline_ns;
    q.c.order = SELECT_OLDEST_FIRST;
    int64_t first = ev->start_ns, last = step_time(ev, ev->steps - 1);
    if (x->has_at) first = last = x->at_edge == 's' ? first : x->at_edge == 'e' ? last : x->at_ns;
    q.c.from_ns = first - run->shift_ns - run->range_ns + 1;
    q.c.to_ns = last - run->shift_ns + 1;
    rc c = store_matchers(ev, x, &q.c, e);
    if (c) return c;
    run->match_re = arena_try_new_n(ev->mem, const regex *, MAX(x->match_count, 1));
    if (!run->match_re) return eval_full(e);
    for (size_t i = 0; i < x->match_count && !c; i++) {
        if (x->match[i].op < MATCH_RE) continue;
        c = regex_compile(&ev->text->regexes, x->match[i].value, REGEX_WHOLE, &ev->text->mem,
                          &run->match_re[i], e);
    }
    if (c) return c;
    run->out.ev = ev;
    run->re = regex_state_new();
    run->labels = mem_new_n(query_label, LABELS_MAX);
    arena_init(&run->tmp, "a metric series", 64 << 20);
    c = ev->store->ops->metrics(ev->store, &q, on_series, run, ev->stats, e);
    regex_state_free(run->re);
    mem_free(run->labels);
    arena_release(&run->tmp);
    vec_release(&run->ts);
    vec_release(&run->val);
    vec_release(&run->scratch);
    vec_release(&run->bounds);
    *ret = (value){.type = TYPE_VECTOR, .s = run->out.s, .count = run->out.count};
    return c;
}

rc eval_selector(eval *ev, const expr *x, value *ret, err *e) {
    metric_run run = {
        .ev = ev, .x = x, .range_ns = (int64_t)LOOKBACK_S * 1000000000, .shift_ns = x->offset_ns};
    return run_select(&run, ret, e);
}

/* The samples of a subquery: its expression on a grid of its own, aligned to its step. */
static rc eval_subquery(eval *ev, const expr *x, const expr *call, range_fn fn, const double *param,
                        value *ret, err *e) {
    int64_t step = x->step_ns ? x->step_ns : MAX(ev->step_ns, 1000000000);
    int64_t first = ev->start_ns, last = step_time(ev, ev->steps - 1);
    if (x->has_at) first = last = x->at_edge == 's' ? first : x->at_edge == 'e' ? last : x->at_ns;
    first -= x->offset_ns + x->range_ns;
    last -= x->offset_ns;
    int64_t start = first / step * step;
    while (start <= first) start += step;
    eval inner = *ev;
    inner.start_ns = start;
    inner.step_ns = step;
    int64_t steps = last >= start ? (last - start) / step + 1 : 0;
    if (steps > 10 * (int64_t)STEPS_MAX)
        return FAIL(e, RC_INVALID, "a subquery has too many steps");
    *ret = (value){.type = TYPE_VECTOR};
    if (steps == 0) return RC_OK;
    inner.steps = (size_t)steps;
    value v;
    rc c = eval_expr(&inner, x->args[0], &v, e);
    if (c) return c;
    int64_t *ts = arena_try_new_n(ev->mem, int64_t, inner.steps);
    double *val = arena_try_new_n(ev->mem, double, inner.steps);
    double *scratch = arena_try_new_n(ev->mem, double, inner.steps);
    if (!ts || !val || !scratch) return eval_full(e);
    vector_builder out = {.ev = ev};
    series scalar = {.v = v.scalar};
    size_t rows = v.type == TYPE_SCALAR ? 1 : v.count;
    for (size_t k = 0; k < rows; k++) {
        const series *from = v.type == TYPE_SCALAR ? &scalar : &v.s[k];
        samples all = {ts, val, 0};
        for (size_t i = 0; i < inner.steps; i++) {
            if (is_absent(from->v[i])) continue;
            ts[all.count] = step_time(&inner, i);
            val[all.count++] = from->v[i];
        }
        query_label *labels = arena_try_new_n(ev->mem, query_label, MAX(from->label_count, 1));
        if (!labels) return eval_full(e);
        size_t n = from->label_count;
        if (range_keeps_name(fn)) {
            if (n) memcpy(labels, from->labels, n * sizeof(*labels));
        } else {
            n = labels_group(from->labels, from->label_count, true, NULL, 0, labels);
        }
        series *to;
        c = vector_add(&out, labels, n, &to, e);
        if (c) return c;
        for (size_t i = 0; i < ev->steps; i++) {
            int64_t at = step_time(ev, i);
            if (x->has_at)
                at = x->at_edge == 's'   ? ev->start_ns
                     : x->at_edge == 'e' ? step_time(ev, ev->steps - 1)
                                         : x->at_ns;
            at -= x->offset_ns;
            to->v[i] = range_value(fn, &all, at - x->range_ns, at, param ? param[i] : 0, scratch);
        }
    }
    (void)call;
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return RC_OK;
}

static rc absent_rows(eval *ev, const expr *x, value *v, err *e) {
    query_label *labels = arena_try_new_n(ev->mem, query_label, x->match_count + 1);
    if (!labels) return eval_full(e);
    size_t n = 0;
    for (size_t i = 0; i < x->match_count; i++) {
        const label_match *m = &x->match[i];
        size_t same = 0;
        for (size_t k = 0; k < x->match_count; k++) same += str_eq(x->match[k].name, m->name);
        if (m->op == MATCH_EQ && m->value.n && same == 1 && !str_eq(m->name, S("__name__"))) {
            labels[n++] = (query_label){m->name, m->value};
        }
    }
    labels_sort(labels, n);
    vector_builder out = {.ev = ev};
    series *s;
    rc c = vector_add(&out, labels, n, &s, e);
    if (c) return c;
    for (size_t i = 0; i < ev->steps; i++) {
        bool found = false;
        for (size_t k = 0; k < v->count && !found; k++) found = !is_absent(v->s[k].v[i]);
        if (!found) s->v[i] = 1;
    }
    *v = (value){.type = TYPE_VECTOR, .s = out.s, .count = 1};
    return RC_OK;
}

rc eval_range_call(eval *ev, const expr *x, range_fn fn, value *ret, err *e) {
    const expr *matrix = NULL;
    value param = {0};
    for (size_t i = 0; i < x->arg_count; i++) {
        if (x->args[i]->type == TYPE_MATRIX || fn == RANGE_NONE) {
            matrix = x->args[i];
        } else {
            rc c = eval_expr(ev, x->args[i], &param, e);
            if (c) return c;
        }
    }
    MUST(matrix != NULL);
    range_fn effective = fn == RANGE_ABSENT ? RANGE_PRESENT : fn;
    rc c;
    if (matrix->kind == EXPR_SUBQUERY) {
        c = eval_subquery(ev, matrix, x, effective, param.scalar, ret, e);
    } else {
        metric_run run = {.ev = ev, .x = matrix, .call = x, .fn = effective, .param = param.scalar};
        run.range_ns = fn == RANGE_NONE ? (int64_t)LOOKBACK_S * 1000000000 : matrix->range_ns;
        run.shift_ns = matrix->offset_ns;
        run.timestamps = fn == RANGE_NONE;
        c = run_select(&run, ret, e);
    }
    return !c && fn == RANGE_ABSENT ? absent_rows(ev, matrix, ret, e) : c;
}
