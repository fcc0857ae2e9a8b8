/* eval_vector.c - aggregations and binary operators over vectors of series.
 *
 * Series are grouped once, by a hash of the labels that matter; then every step of a group is one
 * pass over its series. What may differ from step to step (which series topk picks, whether a match
 * is one to one) is decided at the step. Source: Prometheus promql/engine.go (aggregation,
 * VectorBinop). */
#include "query/eval_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "query/logs_int.h"

/* --- groups --- */

typedef struct group {
    const query_label *labels;
    size_t label_count;
    uint32_t *members;
    size_t count;
} group;

typedef struct groups {
    group *g;
    size_t count;
    uint32_t *of; /* of each series */
} groups;

/* Groups series by the labels that names keep (without: leave). */
static rc make_groups(eval *ev, const value *v, bool without, const str *names, size_t name_count,
                      groups *ret, err *e) {
    map64 by_hash;
    map64_init(&by_hash, MAX(v->count, 1));
    query_label *tmp = mem_new_n(query_label, LABELS_MAX);
    *ret = (groups){.g = arena_try_new_n(ev->mem, group, MAX(v->count, 1)),
                    .of = arena_try_new_n(ev->mem, uint32_t, MAX(v->count, 1))};
    rc c = ret->g && ret->of ? RC_OK : eval_full(e);
    for (size_t i = 0; i < v->count && !c; i++) {
        const series *s = &v->s[i];
        MUST(s->label_count <= LABELS_MAX);
        size_t n = labels_group(s->labels, s->label_count, without, names, name_count, tmp);
        bool added;
        uint64_t *at = map64_put(&by_hash, labels_hash(tmp, n), &added);
        MUST(at != NULL); /* there is room for every series */
        if (added) {
            *at = ret->count;
            query_label *labels = arena_try_new_n(ev->mem, query_label, MAX(n, 1));
            if (!labels) {
                c = eval_full(e);
                break;
            }
            memcpy(labels, tmp, n * sizeof(*tmp));
            ret->g[ret->count++] = (group){.labels = labels, .label_count = n};
        }
        ret->of[i] = (uint32_t)*at;
        ret->g[*at].count++;
    }
    for (size_t i = 0; i < ret->count && !c; i++) {
        ret->g[i].members = arena_try_new_n(ev->mem, uint32_t, ret->g[i].count);
        if (!ret->g[i].members) c = eval_full(e);
        ret->g[i].count = 0;
    }
    for (size_t i = 0; i < v->count && !c; i++) {
        group *g = &ret->g[ret->of[i]];
        g->members[g->count++] = (uint32_t)i;
    }
    map64_release(&by_hash);
    mem_free(tmp);
    return c;
}

/* --- aggregations --- */

static double aggregate_step(uint8_t op, double param, double *v, size_t n) {
    double sum = 0, rest = 0, mean = 0, squares = 0, best = v[0];
    switch ((agg_op)op) {
    case AGG_COUNT:
        return (double)n;
    case AGG_GROUP:
        return 1;
    case AGG_QUANTILE:
        return quantile_of(param, v, n);
    case AGG_MIN:
    case AGG_MAX:
        for (size_t i = 1; i < n; i++) {
            if (isnan(best) || (op == AGG_MIN ? v[i] < best : v[i] > best)) best = v[i];
        }
        return best;
    case AGG_SUM:
    case AGG_AVG:
        for (size_t i = 0; i < n; i++) {
            double t = sum + v[i];
            if (isinf(t)) {
                rest = 0;
            } else {
                rest += fabs(sum) >= fabs(v[i]) ? (sum - t) + v[i] : (v[i] - t) + sum;
            }
            sum = t;
        }
        if (!isinf(sum)) sum += rest;
        return op == AGG_SUM ? sum : sum / (double)n;
    default:
        for (size_t i = 0; i < n; i++) {
            double d = v[i] - mean;
            mean += d / (double)(i + 1);
            squares += d * (v[i] - mean);
        }
        squares /= (double)n;
        return op == AGG_STDDEV ? sqrt(squares) : squares;
    }
}

static rc aggregate_groups(eval *ev, const expr *x, const value *v, const double *param,
                           const groups *gs, value *ret, err *e) {
    vector_builder out = {.ev = ev};
    double *tmp = arena_try_new_n(ev->mem, double, MAX(v->count, 1));
    if (!tmp) return eval_full(e);
    for (size_t k = 0; k < gs->count; k++) {
        const group *g = &gs->g[k];
        series *s;
        rc c = vector_add(&out, g->labels, g->label_count, &s, e);
        if (!c) c = eval_poll(ev, e);
        if (c) return c;
        for (size_t i = 0; i < ev->steps; i++) {
            size_t n = 0;
            for (size_t m = 0; m < g->count; m++) {
                double one = v->s[g->members[m]].v[i];
                if (!is_absent(one)) tmp[n++] = one;
            }
            if (n) s->v[i] = aggregate_step(x->op, param ? param[i] : 0, tmp, n);
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return RC_OK;
}

typedef struct ranked {
    double v;
    uint32_t member;
} ranked;

/* NaN sorts last either way. */
static int by_rank(const ranked *x, const ranked *y, bool top) {
    if (isnan(x->v) || isnan(y->v)) return isnan(x->v) - isnan(y->v);
    if (x->v != y->v) return (x->v < y->v) == top ? 1 : -1;
    return x->member < y->member ? -1 : x->member > y->member;
}
static int by_top(const void *a, const void *b) { return by_rank(a, b, true); }
static int by_bottom(const void *a, const void *b) { return by_rank(a, b, false); }

/* topk, bottomk: the series themselves, where they are among the k of their group. */
static rc pick(eval *ev, const expr *x, const value *v, const double *param, const groups *gs,
               value *ret, err *e) {
    vector_builder out = {.ev = ev};
    series *rows = arena_try_new_n(ev->mem, series, MAX(v->count, 1));
    ranked *tmp = arena_try_new_n(ev->mem, ranked, MAX(v->count, 1));
    if (!rows || !tmp) return eval_full(e);
    for (size_t i = 0; i < v->count; i++) {
        series *s;
        rc c = vector_add(&out, v->s[i].labels, v->s[i].label_count, &s, e);
        if (c) return c;
    }
    size_t order_count = 0;
    for (size_t k = 0; k < gs->count; k++) {
        const group *g = &gs->g[k];
        for (size_t i = 0; i < ev->steps; i++) {
            size_t n = 0;
            for (size_t m = 0; m < g->count; m++) {
                double one = v->s[g->members[m]].v[i];
                if (!is_absent(one)) tmp[n++] = (ranked){one, g->members[m]};
            }
            qsort(tmp, n, sizeof(*tmp), x->op == AGG_TOPK ? by_top : by_bottom);
            size_t want = param[i] >= 1 ? (size_t)MIN(param[i], (double)n) : 0;
            for (size_t m = 0; m < want; m++) out.s[tmp[m].member].v[i] = tmp[m].v;
            if (ev->steps == 1) { /* an instant query shows them in their order */
                for (size_t m = 0; m < want; m++) rows[order_count++] = out.s[tmp[m].member];
            }
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    if (ev->steps == 1) *ret = (value){.type = TYPE_VECTOR, .s = rows, .count = order_count};
    return RC_OK;
}

static int series_desc(const void *a, const void *b) {
    ranked x = {((const series *)a)->v[0], 0}, y = {((const series *)b)->v[0], 0};
    return by_rank(&x, &y, true);
}
static int series_asc(const void *a, const void *b) {
    ranked x = {((const series *)a)->v[0], 0}, y = {((const series *)b)->v[0], 0};
    return by_rank(&x, &y, false);
}

static str value_text(eval *ev, double v) {
    if (isnan(v)) return S("NaN");
    if (isinf(v)) return v > 0 ? S("+Inf") : S("-Inf");
    buf b;
    buf_init(&b, 64);
    IGNORE(!buf_double(&b, v)); /* fits */
    str text = str_dup(ev->mem, buf_str(&b));
    buf_release(&b);
    return text;
}

/* count_values("label", v): a series for each value that occurs. */
static rc count_values(eval *ev, const expr *x, const value *v, const groups *gs, value *ret,
                       err *e) {
    vector_builder out = {.ev = ev};
    str name = x->param->text;
    query_label *tmp = arena_try_new_n(ev->mem, query_label, LABELS_MAX + 1);
    if (!tmp) return eval_full(e);
    for (size_t m = 0; m < v->count; m++) {
        const group *g = &gs->g[gs->of[m]];
        for (size_t i = 0; i < ev->steps; i++) {
            if (is_absent(v->s[m].v[i])) continue;
            str text = value_text(ev, v->s[m].v[i]);
            size_t n = 0;
            for (size_t j = 0; j < g->label_count; j++) {
                if (!str_eq(g->labels[j].name, name)) tmp[n++] = g->labels[j];
            }
            tmp[n++] = (query_label){name, text};
            labels_sort(tmp, n);
            series *s = NULL;
            for (size_t j = 0; j < out.count && !s; j++) {
                if (labels_equal(out.s[j].labels, out.s[j].label_count, tmp, n)) s = &out.s[j];
            }
            if (!s) {
                query_label *labels = arena_try_new_n(ev->mem, query_label, n);
                if (!labels || !text.p) return eval_full(e);
                memcpy(labels, tmp, n * sizeof(*tmp));
                rc c = vector_add(&out, labels, n, &s, e);
                if (c) return c;
            }
            s->v[i] = is_absent(s->v[i]) ? 1 : s->v[i] + 1;
        }
        rc c = eval_poll(ev, e);
        if (c) return c;
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return RC_OK;
}

/* Of topk(k, ...): a number that counts. */
static rc check_k(const eval *ev, const expr *x, const double *k, err *e) {
    for (size_t i = 0; i < ev->steps; i++) {
        if (isnan(k[i]))
            return FAIL(e, RC_INVALID, "Parameter value is NaN in %s", agg_name(x->op));
    }
    return RC_OK;
}

rc eval_aggregate(eval *ev, const expr *x, value *ret, err *e) {
    static const grouping NOTHING = {.present = true};
    const expr *arg = x->args[0];
    const grouping *by = x->group.present ? &x->group : &NOTHING;
    value v, param = {0};
    rc c;
    if (x->op == AGG_SUM && log_range_sums(arg) && !by->without) {
        c = eval_log_range(ev, arg, by, &v, e);
        if (c) return c;
        *ret = v; /* summed already */
        return RC_OK;
    }
    c = eval_expr(ev, arg, &v, e);
    if (!c && x->param) c = eval_expr(ev, x->param, &param, e);
    if (c) return c;
    if (x->op == AGG_SORT || x->op == AGG_SORT_DESC) {
        if (ev->steps == 1 && v.count) {
            qsort(v.s, v.count, sizeof(series), x->op == AGG_SORT ? series_asc : series_desc);
        }
        *ret = v;
        return RC_OK;
    }
    groups gs;
    c = make_groups(ev, &v, by->without, by->labels, by->count, &gs, e);
    if (c) return c;
    if (x->op == AGG_TOPK || x->op == AGG_BOTTOMK) {
        c = check_k(ev, x, param.scalar, e);
        return c ? c : pick(ev, x, &v, param.scalar, &gs, ret, e);
    }
    if (x->op == AGG_COUNT_VALUES) return count_values(ev, x, &v, &gs, ret, e);
    return aggregate_groups(ev, x, &v, param.scalar, &gs, ret, e);
}

rc eval_join_rows(const eval *ev, value *v, const char *otherwise, err *e) {
    map64 by_hash;
    map64_init(&by_hash, MAX(v->count, 1));
    size_t n = 0;
    rc c = RC_OK;
    for (size_t k = 0; k < v->count && !c; k++) {
        bool added;
        uint64_t *at =
            map64_put(&by_hash, labels_hash(v->s[k].labels, v->s[k].label_count), &added);
        MUST(at != NULL);
        if (added) {
            *at = n;
            v->s[n++] = v->s[k];
            continue;
        }
        series *to = &v->s[*at];
        for (size_t i = 0; i < ev->steps && !c; i++) {
            if (is_absent(v->s[k].v[i])) continue;
            if (!is_absent(to->v[i])) {
                c = FAIL(e, RC_INVALID, "%s", otherwise);
            }
            to->v[i] = v->s[k].v[i];
        }
    }
    map64_release(&by_hash);
    v->count = n;
    return c;
}

/* --- binary operators --- */

double binary_number(uint8_t op, double a, double b) {
    switch ((binary_op)op) {
    case BIN_ADD:
        return a + b;
    case BIN_SUB:
        return a - b;
    case BIN_MUL:
        return a * b;
    case BIN_DIV:
        return a / b;
    case BIN_MOD:
        return fmod(a, b);
    case BIN_POW:
        return pow(a, b);
    case BIN_ATAN2:
        return atan2(a, b);
    default:
        return binary_holds(op, a, b) ? 1 : 0;
    }
}

bool binary_holds(uint8_t op, double a, double b) {
    switch ((binary_op)op) {
    case BIN_EQ:
        return a == b;
    case BIN_NE:
        return a != b;
    case BIN_LT:
        return a < b;
    case BIN_LE:
        return a <= b;
    case BIN_GT:
        return a > b;
    default:
        return a >= b;
    }
}

/* Labels of the result of one row: without the name unless it is a filter. */
static rc result_labels(eval *ev, const expr *x, series *s, err *e) {
    if (binary_is_compare(x->op) && !x->return_bool) return RC_OK;
    query_label *labels = arena_try_new_n(ev->mem, query_label, MAX(s->label_count, 1));
    if (!labels) return eval_full(e);
    s->label_count = labels_group(s->labels, s->label_count, true, NULL, 0, labels);
    s->labels = labels;
    return RC_OK;
}

static rc vector_scalar(eval *ev, const expr *x, const value *v, const double *scalar,
                        bool scalar_left, value *ret, err *e) {
    bool filter = binary_is_compare(x->op) && !x->return_bool;
    vector_builder out = {.ev = ev};
    for (size_t k = 0; k < v->count; k++) {
        series *s;
        rc c = vector_add(&out, v->s[k].labels, v->s[k].label_count, &s, e);
        if (!c) c = result_labels(ev, x, s, e);
        if (c) return c;
        for (size_t i = 0; i < ev->steps; i++) {
            double one = v->s[k].v[i];
            if (is_absent(one)) continue;
            double a = scalar_left ? scalar[i] : one, b = scalar_left ? one : scalar[i];
            if (!filter) {
                s->v[i] = binary_number(x->op, a, b);
            } else if (binary_holds(x->op, a, b)) {
                s->v[i] = one;
            }
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return RC_OK;
}

/* Both sides grouped by the labels that have to match. */
typedef struct matched {
    value l, r;
    groups lg, rg;
    uint32_t *right_of; /* group of the right side for each of the left; UINT32_MAX: none */
    uint32_t *left_of;
} matched;

static rc match_sides(eval *ev, const expr *x, matched *m, err *e) {
    const vector_matching *vm = &x->matching;
    bool without = !vm->on;
    rc c = make_groups(ev, &m->l, without, vm->labels, vm->count, &m->lg, e);
    if (!c) c = make_groups(ev, &m->r, without, vm->labels, vm->count, &m->rg, e);
    if (c) return c;
    m->right_of = arena_try_new_n(ev->mem, uint32_t, MAX(m->lg.count, 1));
    m->left_of = arena_try_new_n(ev->mem, uint32_t, MAX(m->rg.count, 1));
    if (!m->right_of || !m->left_of) return eval_full(e);
    map64 by_hash;
    map64_init(&by_hash, MAX(m->rg.count, 1));
    for (size_t i = 0; i < m->rg.count; i++) {
        m->left_of[i] = UINT32_MAX;
        uint64_t *at =
            map64_put(&by_hash, labels_hash(m->rg.g[i].labels, m->rg.g[i].label_count), NULL);
        MUST(at != NULL);
        *at = i;
    }
    for (size_t i = 0; i < m->lg.count; i++) {
        const uint64_t *at =
            map64_get(&by_hash, labels_hash(m->lg.g[i].labels, m->lg.g[i].label_count));
        m->right_of[i] = at ? (uint32_t)*at : UINT32_MAX;
        if (at) m->left_of[*at] = (uint32_t)i;
    }
    map64_release(&by_hash);
    return RC_OK;
}

static bool any_at(const value *v, const group *g, size_t step) {
    for (size_t m = 0; g && m < g->count; m++) {
        if (!is_absent(v->s[g->members[m]].v[step])) return true;
    }
    return false;
}

static rc set_operator(eval *ev, const expr *x, const matched *m, value *ret, err *e) {
    vector_builder out = {.ev = ev};
    for (size_t k = 0; k < m->l.count; k++) {
        series *s;
        rc c = vector_add(&out, m->l.s[k].labels, m->l.s[k].label_count, &s, e);
        if (c) return c;
        uint32_t other = m->right_of[m->lg.of[k]];
        const group *g = other == UINT32_MAX ? NULL : &m->rg.g[other];
        for (size_t i = 0; i < ev->steps; i++) {
            if (x->op == BIN_OR || any_at(&m->r, g, i) == (x->op == BIN_AND))
                s->v[i] = m->l.s[k].v[i];
        }
    }
    for (size_t k = 0; x->op == BIN_OR && k < m->r.count; k++) {
        series *s;
        uint32_t other = m->left_of[m->rg.of[k]];
        const group *g = other == UINT32_MAX ? NULL : &m->lg.g[other];
        /* the same labels on both sides are one series */
        series *same = NULL;
        for (size_t j = 0; g && j < g->count && !same; j++) {
            const series *l = &m->l.s[g->members[j]];
            if (labels_equal(l->labels, l->label_count, m->r.s[k].labels, m->r.s[k].label_count)) {
                same = &out.s[g->members[j]];
            }
        }
        if (!same) {
            rc c = vector_add(&out, m->r.s[k].labels, m->r.s[k].label_count, &s, e);
            if (c) return c;
        } else {
            s = same;
        }
        for (size_t i = 0; i < ev->steps; i++) {
            if (is_absent(s->v[i]) && !any_at(&m->l, g, i)) s->v[i] = m->r.s[k].v[i];
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return RC_OK;
}

static rc many_to_many(const char *side, err *e) {
    return FAIL(e, RC_INVALID,
                "found duplicate series for the match group on the %s hand-side of the operation; "
                "many-to-many matching not allowed: matching labels must be unique on one side",
                side);
}

/* The labels of the result: of the many side (with what group_left names from the one side), or,
 * one to one, the labels that matched. */
static rc match_labels(eval *ev, const expr *x, const series *many, const series *one, series *to,
                       err *e) {
    const vector_matching *vm = &x->matching;
    bool filter = binary_is_compare(x->op) && !x->return_bool;
    size_t room = many->label_count + vm->include_count + 1;
    query_label *labels = arena_try_new_n(ev->mem, query_label, room);
    if (!labels) return eval_full(e);
    size_t n;
    if (vm->card == CARD_ONE_TO_ONE && vm->on) {
        n = labels_group(many->labels, many->label_count, false, vm->labels, vm->count, labels);
        str name = labels_get(many->labels, many->label_count, S("__name__"));
        if (filter && name.n && !labels_get(labels, n, S("__name__")).n) {
            labels[n++] = (query_label){S("__name__"), name};
        }
    } else if (vm->card == CARD_ONE_TO_ONE) {
        n = labels_group(many->labels, many->label_count, !filter, vm->labels, vm->count, labels);
        if (filter) {
            n = 0;
            for (size_t i = 0; i < many->label_count; i++) {
                bool ignored = false;
                for (size_t k = 0; k < vm->count; k++)
                    ignored |= str_eq(many->labels[i].name, vm->labels[k]);
                if (!ignored) labels[n++] = many->labels[i];
            }
        }
    } else {
        n = 0;
        for (size_t i = 0; i < many->label_count; i++) {
            bool left_out = !filter && str_eq(many->labels[i].name, S("__name__"));
            for (size_t k = 0; k < vm->include_count; k++) {
                left_out |= str_eq(many->labels[i].name, vm->include[k]);
            }
            if (!left_out) labels[n++] = many->labels[i];
        }
        for (size_t k = 0; k < vm->include_count; k++) {
            str v = labels_get(one->labels, one->label_count, vm->include[k]);
            if (v.n && n < room) labels[n++] = (query_label){vm->include[k], v};
        }
    }
    labels_sort(labels, n);
    to->labels = labels;
    to->label_count = n;
    return RC_OK;
}

/* The value of a group that is to have at most one series at a step. */
static rc only_one(const value *v, const group *g, size_t step, const char *side,
                   const series **ret, err *e) {
    *ret = NULL;
    for (size_t m = 0; m < g->count; m++) {
        const series *s = &v->s[g->members[m]];
        if (is_absent(s->v[step])) continue;
        if (*ret) return many_to_many(side, e);
        *ret = s;
    }
    return RC_OK;
}

static rc vector_vector(eval *ev, const expr *x, const matched *m, value *ret, err *e) {
    bool swap = x->matching.card == CARD_ONE_TO_MANY; /* the many side is the right one */
    bool one_to_one = x->matching.card == CARD_ONE_TO_ONE;
    const value *many = swap ? &m->r : &m->l, *one = swap ? &m->l : &m->r;
    const groups *many_g = swap ? &m->rg : &m->lg, *one_g = swap ? &m->lg : &m->rg;
    const uint32_t *other = swap ? m->left_of : m->right_of;
    bool filter = binary_is_compare(x->op) && !x->return_bool;
    vector_builder out = {.ev = ev};
    for (size_t k = 0; k < many->count; k++) {
        uint32_t g = other[many_g->of[k]];
        if (g == UINT32_MAX) continue;
        series *s = NULL;
        const series *labels_from = NULL; /* include may differ from step to step */
        for (size_t i = 0; i < ev->steps; i++) {
            double mine = many->s[k].v[i];
            if (is_absent(mine)) continue;
            const series *o, *check;
            rc c = only_one(one, &one_g->g[g], i, swap ? "left" : "right", &o, e);
            if (!c && one_to_one && o) {
                c = only_one(many, &many_g->g[many_g->of[k]], i, swap ? "right" : "left", &check,
                             e);
            }
            if (c) return c;
            if (!o) continue;
            if (!s || (x->matching.include_count && labels_from != o)) {
                c = vector_add(&out, NULL, 0, &s, e);
                if (!c) c = match_labels(ev, x, &many->s[k], o, s, e);
                if (c) return c;
                labels_from = o;
            }
            double a = swap ? o->v[i] : mine, b = swap ? mine : o->v[i];
            if (!filter) {
                s->v[i] = binary_number(x->op, a, b);
            } else if (binary_holds(x->op, a, b)) {
                s->v[i] = swap ? b : a;
            }
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return RC_OK;
}

rc eval_binary(eval *ev, const expr *x, value *ret, err *e) {
    matched m = {0};
    rc c = eval_expr(ev, x->args[0], &m.l, e);
    if (!c) c = eval_expr(ev, x->args[1], &m.r, e);
    if (c) return c;
    if (m.l.type == TYPE_SCALAR && m.r.type == TYPE_SCALAR) {
        double *v = eval_steps(ev, 0, e);
        if (!v) return RC_LIMIT;
        for (size_t i = 0; i < ev->steps; i++)
            v[i] = binary_number(x->op, m.l.scalar[i], m.r.scalar[i]);
        *ret = (value){.type = TYPE_SCALAR, .scalar = v};
        return RC_OK;
    }
    if (m.r.type == TYPE_SCALAR) return vector_scalar(ev, x, &m.l, m.r.scalar, false, ret, e);
    if (m.l.type == TYPE_SCALAR) return vector_scalar(ev, x, &m.r, m.l.scalar, true, ret, e);
    c = match_sides(ev, x, &m, e);
    if (c) return c;
    if (binary_is_set(x->op)) return set_operator(ev, x, &m, ret, e);
    c = vector_vector(ev, x, &m, ret, e);
    if (c) return c;
    return eval_join_rows(
        ev, ret, "multiple matches for labels: grouping labels must ensure unique matches", e);
}
