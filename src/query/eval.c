/* eval.c - the walk over the tree, the grid of steps, and results. See eval_int.h. */
#include "query/eval_int.h"

#include <math.h>
#include <stdlib.h>

#include "query/logs_int.h"
#include "sys/clock.h"

rc eval_full(err *e) {
    return FAIL(e, RC_LIMIT, "the query needs more than %d MiB of memory: fewer series or steps",
                EVAL_ARENA_MAX >> 20);
}

rc eval_poll(const eval *ev, err *e) {
    if (ev->opts->cancel && *ev->opts->cancel)
        return FAIL(e, RC_CANCELLED, "the query was cancelled");
    if (SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns > ev->deadline_ns) {
        return FAIL(e, RC_TIMEOUT, "the query took too long");
    }
    return RC_OK;
}

double *eval_steps(eval *ev, double fill, err *e) {
    double *v = arena_try_raw(ev->mem, ev->steps * sizeof(double), _Alignof(double));
    if (!v) {
        IGNORE(eval_full(e)); /* the caller returns RC_LIMIT */
        return NULL;
    }
    for (size_t i = 0; i < ev->steps; i++) v[i] = fill;
    return v;
}

rc vector_add(vector_builder *b, const query_label *labels, size_t label_count, series **ret,
              err *e) {
    eval *ev = b->ev;
    if (b->count >= ev->max_series) {
        return FAIL(e, RC_LIMIT, "maximum number of series (%zu) reached for a single query",
                    ev->max_series);
    }
    if (b->count == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 16;
        series *more = arena_try_new_n(ev->mem, series, cap);
        if (!more) return eval_full(e);
        if (b->count) memcpy(more, b->s, b->count * sizeof(series));
        b->s = more;
        b->cap = cap;
    }
    double *v = eval_steps(ev, absent(), e);
    if (!v) return RC_LIMIT;
    b->s[b->count] = (series){.labels = labels, .label_count = label_count, .v = v};
    *ret = &b->s[b->count++];
    return RC_OK;
}

rc eval_init(eval *ev, store *s, const query_opts *o, query_text *t, arena *mem,
             select_stats *stats, err *e) {
    *ev =
        (eval){.store = s, .opts = o, .text = t, .mem = mem, .stats = stats, .dialect = t->dialect};
    select_common c = {0};
    if (o->from_ns < 0 || o->to_ns < o->from_ns || o->step_ns < 0) {
        return FAIL(e, RC_INVALID, "the end of the query is before its start");
    }
    ev->max_series = o->max_series ? o->max_series : SERIES_DEFAULT;
    ev->step_ns = o->step_ns > 0 ? o->step_ns : 1;
    ev->start_ns = o->step_ns > 0 ? o->from_ns : o->to_ns;
    ev->steps = 1;
    if (o->step_ns > 0) {
        int64_t steps = (o->to_ns - o->from_ns) / o->step_ns + 1;
        if (steps > STEPS_MAX) {
            return FAIL(
                e, RC_INVALID,
                "exceeded maximum resolution of %d points per timeseries. Try increasing the "
                "value of the step parameter",
                STEPS_MAX);
        }
        ev->steps = (size_t)steps;
    }
    plan_common(o, &c);
    ev->deadline_ns = c.deadline_ns;
    return RC_OK;
}

static rc eval_negate(eval *ev, const expr *x, value *ret, err *e) {
    value v;
    rc c = eval_expr(ev, x->args[0], &v, e);
    if (c) return c;
    *ret = v;
    if (v.type == TYPE_SCALAR) {
        for (size_t i = 0; i < ev->steps; i++) v.scalar[i] = -v.scalar[i];
        return RC_OK;
    }
    for (size_t k = 0; k < v.count; k++) {
        series *s = &v.s[k];
        query_label *labels = arena_try_new_n(ev->mem, query_label, MAX(s->label_count, 1));
        if (!labels) return eval_full(e);
        s->label_count = labels_group(s->labels, s->label_count, true, NULL, 0, labels);
        s->labels = labels;
        for (size_t i = 0; i < ev->steps; i++) {
            if (!is_absent(s->v[i])) s->v[i] = -s->v[i];
        }
    }
    return RC_OK;
}

rc eval_expr(eval *ev, const expr *x, value *ret, err *e) {
    rc c = eval_poll(ev, e);
    if (c) return c;
    switch ((expr_kind)x->kind) {
    case EXPR_NUMBER:
        *ret = (value){.type = TYPE_SCALAR, .scalar = eval_steps(ev, x->num, e)};
        return ret->scalar ? RC_OK : RC_LIMIT;
    case EXPR_STRING:
        *ret = (value){.type = TYPE_STRING, .text = x->text};
        return RC_OK;
    case EXPR_LOG_RANGE:
        return eval_log_range(ev, x, NULL, ret, e);
    case EXPR_SELECTOR:
        return eval_selector(ev, x, ret, e);
    case EXPR_CALL:
        return eval_call(ev, x, ret, e);
    case EXPR_AGGREGATE:
        return eval_aggregate(ev, x, ret, e);
    case EXPR_BINARY:
        return eval_binary(ev, x, ret, e);
    case EXPR_NEGATE:
        return eval_negate(ev, x, ret, e);
    case EXPR_LOGS:
    case EXPR_MATRIX:
    case EXPR_SUBQUERY:
        break;
    }
    return FAIL(e, RC_UNSUPPORTED, "a range vector as the result of a query is not supported yet");
}

/* --- results --- */

static rc put_row(const eval *ev, const series *s, arena *mem, query_series *to, err *e) {
    size_t n = 0;
    for (size_t i = 0; i < ev->steps; i++) n += !is_absent(s->v[i]);
    to->count = n;
    if (n == 0) return RC_OK;
    int64_t *ts = arena_try_new_n(mem, int64_t, n);
    double *v = arena_try_new_n(mem, double, n);
    to->labels = labels_copy(s->labels, s->label_count, mem);
    if (!ts || !v || !to->labels) return eval_full(e);
    to->label_count = s->label_count;
    n = 0;
    for (size_t i = 0; i < ev->steps; i++) {
        if (is_absent(s->v[i])) continue;
        ts[n] = step_time(ev, i);
        v[n++] = s->v[i];
    }
    to->ts_ns = ts;
    to->val = v;
    return RC_OK;
}

static int by_labels(const void *a, const void *b) {
    const query_series *x = a, *y = b;
    return labels_cmp(x->labels, x->label_count, y->labels, y->label_count);
}

rc eval_result(const eval *ev, value *v, arena *mem, query_result *ret, err *e) {
    bool instant = ev->opts->step_ns <= 0;
    if (v->type == TYPE_STRING) return FAIL(e, RC_UNSUPPORTED, "a string as the result of a query");
    const expr *root = ev->text->root;
    bool sorted =
        root->kind == EXPR_AGGREGATE && (root->op == AGG_TOPK || root->op == AGG_BOTTOMK ||
                                         root->op == AGG_SORT || root->op == AGG_SORT_DESC);
    if (root->kind == EXPR_CALL) {
        sorted = CALLS[root->fn].fn == CALL_SORT || CALLS[root->fn].fn == CALL_SORT_DESC;
    }
    sorted = sorted && instant;
    if (v->type == TYPE_VECTOR && !sorted) {
        rc c = eval_join_rows(ev, v, "vector cannot contain metrics with the same labelset", e);
        if (c) return c;
    }
    series one = {.v = v->scalar};
    const series *rows = v->type == TYPE_SCALAR ? &one : v->s;
    size_t count = v->type == TYPE_SCALAR ? 1 : v->count;
    query_series *out = arena_try_new_n(mem, query_series, MAX(count, 1));
    if (!out) return eval_full(e);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        rc c = put_row(ev, &rows[i], mem, &out[n], e);
        if (c) return c;
        n += out[n].count > 0;
    }
    if (!sorted) qsort(out, n, sizeof(*out), by_labels);
    ret->series = out;
    ret->count = n;
    ret->kind = instant ? (v->type == TYPE_SCALAR ? RESULT_SCALAR : RESULT_VECTOR) : RESULT_MATRIX;
    return RC_OK;
}
