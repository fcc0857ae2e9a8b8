/* eval_call.c - functions of scalars and instant vectors; those of ranges go to metrics.c. Source:
 * Prometheus promql/functions.go, promql/quantile.go (histogram_quantile). */
#include "query/eval_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "codec/timestamp.h"

/* The same rows with fresh numbers and without the metric's name. */
static rc like(eval *ev, const value *v, vector_builder *out, err *e) {
    for (size_t k = 0; k < v->count; k++) {
        series *s;
        query_label *labels = arena_try_new_n(ev->mem, query_label, MAX(v->s[k].label_count, 1));
        if (!labels) return eval_full(e);
        size_t n = labels_group(v->s[k].labels, v->s[k].label_count, true, NULL, 0, labels);
        rc c = vector_add(out, labels, n, &s, e);
        if (c) return c;
    }
    return RC_OK;
}

static double round_to(double v, double unit) {
    /* floor(x + 0.5) of multiples, by the inverse as Prometheus does it for exactness */
    double inverse = 1 / unit;
    return floor(v * inverse + 0.5) / inverse;
}

static double date_of(uint8_t part, double seconds) {
    if (!isfinite(seconds) || fabs(seconds) > 4e11) return (double)NAN;
    int64_t s = (int64_t)floor(seconds), day = s / 86400, rest = s % 86400, year;
    if (rest < 0) {
        rest += 86400;
        day--;
    }
    unsigned month, d;
    ts_civil_from_days(day, &year, &month, &d);
    int64_t first = ts_days_from_civil(year, month, 1);
    int64_t next =
        month == 12 ? ts_days_from_civil(year + 1, 1, 1) : ts_days_from_civil(year, month + 1, 1);
    switch ((date_part)part) {
    case DATE_MINUTE:
        return (double)(rest / 60 % 60);
    case DATE_HOUR:
        return (double)(rest / 3600);
    case DATE_DAY_OF_WEEK:
        return (double)(((day + 4) % 7 + 7) % 7);
    case DATE_DAY_OF_MONTH:
        return (double)d;
    case DATE_DAY_OF_YEAR:
        return (double)(day - ts_days_from_civil(year, 1, 1) + 1);
    case DATE_DAYS_IN_MONTH:
        return (double)(next - first);
    case DATE_MONTH:
        return (double)month;
    case DATE_YEAR:
        return (double)year;
    }
    return (double)NAN;
}

/* Functions that change each number of a vector by itself. */
static rc by_number(eval *ev, const expr *x, const call_info *info, const value *args, value *ret,
                    err *e) {
    vector_builder out = {.ev = ev};
    rc c = like(ev, &args[0], &out, e);
    if (c) return c;
    for (size_t k = 0; k < out.count; k++) {
        for (size_t i = 0; i < ev->steps; i++) {
            double v = args[0].s[k].v[i], to = v;
            if (is_absent(v)) continue;
            double low = x->arg_count > 1 ? args[1].scalar[i] : 0;
            switch ((call_fn)info->fn) {
            case CALL_MATH:
                to = info->math(v);
                break;
            case CALL_ROUND:
                to = round_to(v, x->arg_count > 1 ? low : 1);
                break;
            case CALL_CLAMP: {
                double high = args[2].scalar[i];
                to = low > high ? absent() : fmax(low, fmin(high, v));
                if (isnan(v) || isnan(low) || isnan(high)) to = (double)NAN;
                break;
            }
            case CALL_CLAMP_MIN:
                to = isnan(v) || isnan(low) ? (double)NAN : fmax(v, low);
                break;
            case CALL_CLAMP_MAX:
                to = isnan(v) || isnan(low) ? (double)NAN : fmin(v, low);
                break;
            case CALL_DATE:
                to = date_of(info->range, v);
                break;
            default:
                MUST(!"a function by number");
            }
            out.s[k].v[i] = to;
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return RC_OK;
}

static rc one_row(eval *ev, const query_label *labels, size_t count, double *v, value *ret,
                  err *e) {
    vector_builder out = {.ev = ev};
    series *s;
    rc c = vector_add(&out, labels, count, &s, e);
    if (c) return c;
    memcpy(s->v, v, ev->steps * sizeof(double));
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = 1};
    return RC_OK;
}

static rc call_absent(eval *ev, const expr *x, const value *v, value *ret, err *e) {
    const expr *arg = x->args[0];
    query_label *labels = arena_try_new_n(ev->mem, query_label, arg->match_count + 1);
    double *to = eval_steps(ev, absent(), e);
    if (!labels || !to) return eval_full(e);
    size_t n = 0;
    for (size_t i = 0; i < arg->match_count; i++) {
        const label_match *m = &arg->match[i];
        size_t same = 0;
        for (size_t k = 0; k < arg->match_count; k++) same += str_eq(arg->match[k].name, m->name);
        if (m->op != MATCH_EQ || same > 1 || str_eq(m->name, S("__name__")) || !m->value.n)
            continue;
        labels[n++] = (query_label){m->name, m->value};
    }
    labels_sort(labels, n);
    for (size_t i = 0; i < ev->steps; i++) {
        bool found = false;
        for (size_t k = 0; k < v->count && !found; k++) found = !is_absent(v->s[k].v[i]);
        if (!found) to[i] = 1;
    }
    return one_row(ev, labels, n, to, ret, e);
}

static rc call_scalar(eval *ev, const value *v, value *ret, err *e) {
    double *to = eval_steps(ev, (double)NAN, e);
    if (!to) return RC_LIMIT;
    for (size_t i = 0; i < ev->steps; i++) {
        size_t n = 0;
        double one = (double)NAN;
        for (size_t k = 0; k < v->count; k++) {
            if (is_absent(v->s[k].v[i])) continue;
            one = v->s[k].v[i];
            n++;
        }
        if (n == 1) to[i] = one;
    }
    *ret = (value){.type = TYPE_SCALAR, .scalar = to};
    return RC_OK;
}

/* --- labels --- */

static rc set_label(eval *ev, series *s, str name, str text, err *e) {
    query_label *labels = arena_try_new_n(ev->mem, query_label, s->label_count + 1);
    if (!labels) return eval_full(e);
    size_t n = 0;
    for (size_t i = 0; i < s->label_count; i++) {
        if (!str_eq(s->labels[i].name, name)) labels[n++] = s->labels[i];
    }
    if (text.n) labels[n++] = (query_label){name, text};
    labels_sort(labels, n);
    s->labels = labels;
    s->label_count = n;
    return RC_OK;
}

/* "$1-$2", "${name}" with what matched. */
static bool expand(buf *b, str text, const regex *re, const str *groups) {
    bool ok = true;
    for (size_t at = 0; at < text.n && ok;) {
        if (text.p[at] != '$' || at + 1 >= text.n) {
            ok = buf_putc(b, text.p[at++]);
            continue;
        }
        if (text.p[at + 1] == '$') {
            ok = buf_putc(b, '$');
            at += 2;
            continue;
        }
        bool braces = text.p[at + 1] == '{';
        size_t from = at + 1 + braces, end = from;
        while (end < text.n && ((text.p[end] >= '0' && text.p[end] <= '9') || text.p[end] == '_' ||
                                ((text.p[end] | 0x20) >= 'a' && (text.p[end] | 0x20) <= 'z'))) {
            end++;
        }
        str name = str_sub(text, from, end - from);
        if (name.n == 0 || (braces && (end >= text.n || text.p[end] != '}'))) {
            ok = buf_putc(b, text.p[at++]);
            continue;
        }
        for (size_t i = 0; i <= regex_group_count(re) && ok; i++) {
            char number[24];
            int n = snprintf(number, sizeof(number), "%zu", i);
            bool same =
                str_eq(name, str_make(number, (size_t)n)) || str_eq(name, regex_group_name(re, i));
            if (same && groups[i].n) ok = buf_put(b, groups[i]);
        }
        at = end + braces;
    }
    return ok;
}

static bool valid_label(str s) {
    if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9')) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], l = (char)(c | 0x20);
        if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
    }
    return true;
}

static rc label_replace(eval *ev, const expr *x, value *v, err *e) {
    str to = x->args[1]->text, with = x->args[2]->text, from = x->args[3]->text;
    if (!valid_label(to)) {
        return FAIL(e, RC_INVALID, "invalid destination label name in label_replace(): \"%.*s\"",
                    (int)MIN(to.n, 100), to.p);
    }
    const regex *re;
    rc c = regex_compile(&ev->text->regexes, x->args[4]->text, REGEX_WHOLE, &ev->text->mem, &re, e);
    if (c) return c;
    regex_state *st = regex_state_new();
    buf b;
    buf_init(&b, 1 << 20);
    str groups[REGEX_GROUPS_MAX];
    for (size_t k = 0; k < v->count && !c; k++) {
        series *s = &v->s[k];
        str text = labels_get(s->labels, s->label_count, from);
        if (!regex_groups(re, st, text, groups, ARRAY_LEN(groups))) continue;
        buf_reset(&b);
        IGNORE(!expand(&b, with, re, groups)); /* a value beyond the limit is cut */
        str made = str_dup(ev->mem, buf_str(&b));
        c = b.n && !made.p ? eval_full(e) : set_label(ev, s, to, made, e);
    }
    buf_release(&b);
    regex_state_free(st);
    return c;
}

static rc label_join(eval *ev, const expr *x, value *v, err *e) {
    str to = x->args[1]->text, sep = x->args[2]->text;
    if (!valid_label(to)) {
        return FAIL(e, RC_INVALID, "invalid destination label name in label_join(): \"%.*s\"",
                    (int)MIN(to.n, 100), to.p);
    }
    buf b;
    buf_init(&b, 1 << 20);
    rc c = RC_OK;
    for (size_t k = 0; k < v->count && !c; k++) {
        series *s = &v->s[k];
        buf_reset(&b);
        for (size_t i = 3; i < x->arg_count; i++) {
            if (i > 3) IGNORE(!buf_put(&b, sep)); /* a value beyond the limit is cut */
            IGNORE(!buf_put(&b, labels_get(s->labels, s->label_count, x->args[i]->text)));
        }
        str made = str_dup(ev->mem, buf_str(&b));
        c = b.n && !made.p ? eval_full(e) : set_label(ev, s, to, made, e);
    }
    buf_release(&b);
    return c;
}

/* --- histogram_quantile of classic histograms --- */

typedef struct bucket {
    double upper, count;
} bucket;

static int by_upper(const void *a, const void *b) {
    const bucket *x = a, *y = b;
    return x->upper < y->upper ? -1 : x->upper > y->upper;
}

static double bucket_quantile(double q, bucket *b, size_t n) {
    if (isnan(q)) return (double)NAN;
    if (q < 0) return (double)-INFINITY;
    if (q > 1) return (double)INFINITY;
    qsort(b, n, sizeof(*b), by_upper);
    if (!isinf(b[n - 1].upper)) return (double)NAN;
    size_t kept = 0; /* equal bounds add up; counts do not fall */
    for (size_t i = 0; i < n; i++) {
        if (kept && b[kept - 1].upper == b[i].upper) {
            b[kept - 1].count += b[i].count;
        } else {
            b[kept++] = b[i];
        }
    }
    n = kept;
    for (size_t i = 1; i < n; i++) {
        if (b[i].count < b[i - 1].count) b[i].count = b[i - 1].count;
    }
    double all = b[n - 1].count;
    if (n < 2 || all == 0) return (double)NAN;
    double rank = q * all;
    size_t at = 0;
    while (at < n - 1 && b[at].count < rank) at++;
    if (at == n - 1) return b[n - 2].upper;
    if (at == 0 && b[0].upper <= 0) return b[0].upper;
    double low = at ? b[at - 1].upper : 0, below = at ? b[at - 1].count : 0;
    double count = b[at].count - below;
    return low + (b[at].upper - low) * ((rank - below) / count);
}

static rc histogram_quantile(eval *ev, const value *q, const value *v, value *ret, err *e) {
    /* Rows that differ in le alone are one histogram. */
    map64 by_hash;
    map64_init(&by_hash, MAX(v->count, 1));
    query_label *tmp = mem_new_n(query_label, LABELS_MAX);
    uint32_t *of = arena_try_new_n(ev->mem, uint32_t, MAX(v->count, 1));
    double *upper = arena_try_new_n(ev->mem, double, MAX(v->count, 1));
    bucket *b = arena_try_new_n(ev->mem, bucket, MAX(v->count, 1));
    static const str LE[] = {S_INIT("le")};
    vector_builder out = {.ev = ev};
    rc c = of && upper && b ? RC_OK : eval_full(e);
    for (size_t k = 0; k < v->count && !c; k++) {
        const series *s = &v->s[k];
        of[k] = UINT32_MAX;
        if (!lex_number(labels_get(s->labels, s->label_count, LE[0]), &upper[k])) continue;
        size_t n = labels_group(s->labels, s->label_count, true, LE, 1, tmp);
        bool added;
        uint64_t *at = map64_put(&by_hash, labels_hash(tmp, n), &added);
        MUST(at != NULL);
        if (added) {
            query_label *labels = arena_try_new_n(ev->mem, query_label, MAX(n, 1));
            series *made;
            c = labels ? RC_OK : eval_full(e);
            if (!c) {
                memcpy(labels, tmp, n * sizeof(*tmp));
                *at = out.count;
                c = vector_add(&out, labels, n, &made, e);
            }
        }
        of[k] = (uint32_t)*at;
    }
    for (size_t g = 0; g < out.count && !c; g++) {
        for (size_t i = 0; i < ev->steps; i++) {
            size_t n = 0;
            for (size_t k = 0; k < v->count; k++) {
                if (of[k] != g || is_absent(v->s[k].v[i])) continue;
                b[n++] = (bucket){upper[k], v->s[k].v[i]};
            }
            if (n) out.s[g].v[i] = bucket_quantile(q->scalar[i], b, n);
        }
        c = eval_poll(ev, e);
    }
    map64_release(&by_hash);
    mem_free(tmp);
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return c;
}

/* --- dispatch --- */

static double *times(eval *ev, err *e) {
    double *v = eval_steps(ev, 0, e);
    for (size_t i = 0; v && i < ev->steps; i++) v[i] = (double)step_time(ev, i) / 1e9;
    return v;
}

static int by_row_value(const void *a, const void *b) {
    double x = ((const series *)a)->v[0], y = ((const series *)b)->v[0];
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    return x < y ? -1 : x > y;
}
static int by_row_value_desc(const void *a, const void *b) {
    double x = ((const series *)a)->v[0], y = ((const series *)b)->v[0];
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    return x > y ? -1 : x < y;
}

rc eval_call(eval *ev, const expr *x, value *ret, err *e) {
    const call_info *info = &CALLS[x->fn];
    if (info->fn == CALL_RANGE) return eval_range_call(ev, x, (range_fn)info->range, ret, e);
    if (info->fn == CALL_TIMESTAMP && x->args[0]->kind == EXPR_SELECTOR) {
        return eval_range_call(ev, x, RANGE_NONE, ret, e); /* the time of the sample itself */
    }
    value args[4] = {0};
    double *v;
    for (size_t i = 0; i < x->arg_count && i < ARRAY_LEN(args); i++) {
        rc c = eval_expr(ev, x->args[i], &args[i], e);
        if (c) return c;
    }
    switch ((call_fn)info->fn) {
    case CALL_TIME:
    case CALL_PI:
        v = info->fn == CALL_PI ? eval_steps(ev, M_PI, e) : times(ev, e);
        *ret = (value){.type = TYPE_SCALAR, .scalar = v};
        return v ? RC_OK : RC_LIMIT;
    case CALL_VECTOR:
        return one_row(ev, NULL, 0, args[0].scalar, ret, e);
    case CALL_SCALAR:
        return call_scalar(ev, &args[0], ret, e);
    case CALL_ABSENT:
        return call_absent(ev, x, &args[0], ret, e);
    case CALL_TIMESTAMP: {
        vector_builder out = {.ev = ev};
        rc c = like(ev, &args[0], &out, e);
        if (c) return c;
        for (size_t k = 0; k < out.count; k++) {
            for (size_t i = 0; i < ev->steps; i++) {
                if (!is_absent(args[0].s[k].v[i])) out.s[k].v[i] = (double)step_time(ev, i) / 1e9;
            }
        }
        *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
        return RC_OK;
    }
    case CALL_SORT:
    case CALL_SORT_DESC:
        *ret = args[0];
        if (ev->steps == 1 && ret->count) {
            qsort(ret->s, ret->count, sizeof(series),
                  info->fn == CALL_SORT ? by_row_value : by_row_value_desc);
        }
        return RC_OK;
    case CALL_LABEL_REPLACE:
        *ret = args[0];
        return label_replace(ev, x, ret, e);
    case CALL_LABEL_JOIN:
        *ret = args[0];
        return label_join(ev, x, ret, e);
    case CALL_HISTOGRAM_QUANTILE:
        return histogram_quantile(ev, &args[0], &args[1], ret, e);
    case CALL_DATE:
        if (x->arg_count == 0) {
            v = times(ev, e);
            rc c = v ? one_row(ev, NULL, 0, v, &args[0], e) : RC_LIMIT;
            if (c) return c;
        }
        return by_number(ev, x, info, args, ret, e);
    default:
        return by_number(ev, x, info, args, ret, e);
    }
}
