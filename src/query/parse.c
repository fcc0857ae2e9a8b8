/* parse.c - recursive descent over the tokens, for both languages: operators, aggregations,
 * functions, selectors of metrics. Log pipelines are in parse_logs.c.
 *
 *     expr    = unary { operator [bool] [on|ignoring (...)] [group_left|group_right (...)] unary }
 *     unary   = [+|-] primary [ '[' range [: step] ']' ] [offset d] [@ time]
 *     primary = number | string | '(' expr ')' | aggregation | function | selector | logs
 *
 * Precedence as Prometheus has it, lowest first: or; and unless; comparisons; + -; * / % atan2;
 * unary minus; ^ (to the right). Depth is bounded by EXPR_DEPTH_MAX, so hostile nesting ends as an
 * error. Source: Loki pkg/logql/syntax/syntax.y, Prometheus promql/parser/generated_parser.y. */
#include "query/parse_int.h"

#include "base/mem.h"

#include <math.h>

/* --- tables --- */

static double sign_of(double v) { return v > 0 ? 1 : v < 0 ? -1 : v; }
static double degrees(double v) { return v * 180 / M_PI; }
static double radians(double v) { return v * M_PI / 180; }

#define RANGE_ROW(name, fn)                                                                        \
    {                                                                                              \
        name, CALL_RANGE, fn, NULL, TYPE_VECTOR, 1, 1, { TYPE_MATRIX }                             \
    }
#define MATH_ROW(name, fn)                                                                         \
    {                                                                                              \
        name, CALL_MATH, 0, fn, TYPE_VECTOR, 1, 1, { TYPE_VECTOR }                                 \
    }
#define DATE_ROW(name, part)                                                                       \
    {                                                                                              \
        name, CALL_DATE, part, NULL, TYPE_VECTOR, 0, 1, { TYPE_VECTOR }                            \
    }

const call_info CALLS[] = {
    RANGE_ROW("rate", RANGE_RATE),
    RANGE_ROW("irate", RANGE_IRATE),
    RANGE_ROW("increase", RANGE_INCREASE),
    RANGE_ROW("delta", RANGE_DELTA),
    RANGE_ROW("idelta", RANGE_IDELTA),
    RANGE_ROW("avg_over_time", RANGE_AVG),
    RANGE_ROW("sum_over_time", RANGE_SUM),
    RANGE_ROW("min_over_time", RANGE_MIN),
    RANGE_ROW("max_over_time", RANGE_MAX),
    RANGE_ROW("count_over_time", RANGE_COUNT),
    RANGE_ROW("last_over_time", RANGE_LAST),
    RANGE_ROW("first_over_time", RANGE_FIRST),
    RANGE_ROW("stddev_over_time", RANGE_STDDEV),
    RANGE_ROW("stdvar_over_time", RANGE_STDVAR),
    RANGE_ROW("present_over_time", RANGE_PRESENT),
    RANGE_ROW("absent_over_time", RANGE_ABSENT),
    RANGE_ROW("changes", RANGE_CHANGES),
    RANGE_ROW("resets", RANGE_RESETS),
    RANGE_ROW("deriv", RANGE_DERIV),
    {"predict_linear",
     CALL_RANGE,
     RANGE_PREDICT_LINEAR,
     NULL,
     TYPE_VECTOR,
     2,
     2,
     {TYPE_MATRIX, TYPE_SCALAR}},
    {"quantile_over_time",
     CALL_RANGE,
     RANGE_QUANTILE,
     NULL,
     TYPE_VECTOR,
     2,
     2,
     {TYPE_SCALAR, TYPE_MATRIX}},
    MATH_ROW("abs", fabs),
    MATH_ROW("ceil", ceil),
    MATH_ROW("floor", floor),
    MATH_ROW("exp", exp),
    MATH_ROW("sqrt", sqrt),
    MATH_ROW("ln", log),
    MATH_ROW("log2", log2),
    MATH_ROW("log10", log10),
    MATH_ROW("sgn", sign_of),
    MATH_ROW("deg", degrees),
    MATH_ROW("rad", radians),
    MATH_ROW("sin", sin),
    MATH_ROW("cos", cos),
    MATH_ROW("tan", tan),
    MATH_ROW("asin", asin),
    MATH_ROW("acos", acos),
    MATH_ROW("atan", atan),
    MATH_ROW("sinh", sinh),
    MATH_ROW("cosh", cosh),
    MATH_ROW("tanh", tanh),
    MATH_ROW("asinh", asinh),
    MATH_ROW("acosh", acosh),
    MATH_ROW("atanh", atanh),
    {"round", CALL_ROUND, 0, NULL, TYPE_VECTOR, 1, 2, {TYPE_VECTOR, TYPE_SCALAR}},
    {"clamp", CALL_CLAMP, 0, NULL, TYPE_VECTOR, 3, 3, {TYPE_VECTOR, TYPE_SCALAR}},
    {"clamp_min", CALL_CLAMP_MIN, 0, NULL, TYPE_VECTOR, 2, 2, {TYPE_VECTOR, TYPE_SCALAR}},
    {"clamp_max", CALL_CLAMP_MAX, 0, NULL, TYPE_VECTOR, 2, 2, {TYPE_VECTOR, TYPE_SCALAR}},
    {"scalar", CALL_SCALAR, 0, NULL, TYPE_SCALAR, 1, 1, {TYPE_VECTOR}},
    {"vector", CALL_VECTOR, 0, NULL, TYPE_VECTOR, 1, 1, {TYPE_SCALAR}},
    {"time", CALL_TIME, 0, NULL, TYPE_SCALAR, 0, 0, {TYPE_SCALAR}},
    {"pi", CALL_PI, 0, NULL, TYPE_SCALAR, 0, 0, {TYPE_SCALAR}},
    {"timestamp", CALL_TIMESTAMP, 0, NULL, TYPE_VECTOR, 1, 1, {TYPE_VECTOR}},
    {"absent", CALL_ABSENT, 0, NULL, TYPE_VECTOR, 1, 1, {TYPE_VECTOR}},
    {"sort", CALL_SORT, 0, NULL, TYPE_VECTOR, 1, 1, {TYPE_VECTOR}},
    {"sort_desc", CALL_SORT_DESC, 0, NULL, TYPE_VECTOR, 1, 1, {TYPE_VECTOR}},
    {"label_replace",
     CALL_LABEL_REPLACE,
     0,
     NULL,
     TYPE_VECTOR,
     5,
     5,
     {TYPE_VECTOR, TYPE_STRING, TYPE_STRING, TYPE_STRING}},
    {"label_join",
     CALL_LABEL_JOIN,
     0,
     NULL,
     TYPE_VECTOR,
     3,
     255,
     {TYPE_VECTOR, TYPE_STRING, TYPE_STRING, TYPE_STRING}},
    {"histogram_quantile",
     CALL_HISTOGRAM_QUANTILE,
     0,
     NULL,
     TYPE_VECTOR,
     2,
     2,
     {TYPE_SCALAR, TYPE_VECTOR}},
    DATE_ROW("minute", DATE_MINUTE),
    DATE_ROW("hour", DATE_HOUR),
    DATE_ROW("day_of_week", DATE_DAY_OF_WEEK),
    DATE_ROW("day_of_month", DATE_DAY_OF_MONTH),
    DATE_ROW("day_of_year", DATE_DAY_OF_YEAR),
    DATE_ROW("days_in_month", DATE_DAYS_IN_MONTH),
    DATE_ROW("month", DATE_MONTH),
    DATE_ROW("year", DATE_YEAR),
};

static value_type arg_type(const call_info *c, size_t i) {
    return (value_type)c->args[MIN(i, ARRAY_LEN(c->args) - 1)];
}

int call_find(str name) {
    for (size_t i = 0; i < ARRAY_LEN(CALLS); i++) {
        if (str_eq_nocase(name, str_c(CALLS[i].name))) return (int)i;
    }
    return -1;
}

const log_range_info LOG_RANGES[LOG_RANGE_COUNT] = {
    {"count_over_time", RANGE_COUNT, 2, false, true},
    {"rate", RANGE_LOG_RATE, 2, false, true},
    {"rate_counter", RANGE_RATE_COUNTER, 1, false, false},
    {"bytes_over_time", RANGE_BYTES, 0, false, true},
    {"bytes_rate", RANGE_BYTES_RATE, 0, false, true},
    {"absent_over_time", RANGE_ABSENT, 2, false, false},
    {"avg_over_time", RANGE_AVG, 1, false, true},
    {"sum_over_time", RANGE_SUM, 1, false, true},
    {"min_over_time", RANGE_MIN, 1, false, true},
    {"max_over_time", RANGE_MAX, 1, false, true},
    {"stddev_over_time", RANGE_STDDEV, 1, false, true},
    {"stdvar_over_time", RANGE_STDVAR, 1, false, true},
    {"quantile_over_time", RANGE_QUANTILE, 1, true, true},
    {"first_over_time", RANGE_FIRST, 1, false, true},
    {"last_over_time", RANGE_LAST, 1, false, true},
    {"increase", RANGE_INCREASE, 1, false, true},
    {"changes", RANGE_CHANGES, 1, false, true},
    {"present_over_time", RANGE_PRESENT, 2, false, true},
};

const log_range_info *log_range_find(str name) {
    for (size_t i = 0; i < LOG_RANGE_COUNT; i++) {
        if (str_eq_nocase(name, str_c(LOG_RANGES[i].name))) return &LOG_RANGES[i];
    }
    return NULL;
}

static const char *const AGG_NAMES[AGG_NONE] = {
    "sum",    "avg",  "min",     "max",      "count",        "group", "stddev",
    "stdvar", "topk", "bottomk", "quantile", "count_values", "sort",  "sort_desc"};
const char *agg_name(uint8_t op) {
    MUST(op < AGG_NONE);
    return AGG_NAMES[op];
}
agg_op agg_find(str name, dialect d) {
    for (int i = 0; i < AGG_NONE; i++) {
        bool sorts = i == AGG_SORT || i == AGG_SORT_DESC;
        bool prom_only = i == AGG_GROUP || i == AGG_QUANTILE || i == AGG_COUNT_VALUES;
        if ((d == PROMQL && sorts) || (d == LOGQL && prom_only)) continue;
        if (str_eq_nocase(name, str_c(AGG_NAMES[i]))) return (agg_op)i;
    }
    return AGG_NONE;
}
bool agg_has_param(uint8_t op) {
    return op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_QUANTILE || op == AGG_COUNT_VALUES;
}

static const struct {
    const char *name;
    uint8_t tok; /* 0: a word */
    uint8_t precedence;
} BINARY[] = {
    [BIN_OR] = {"or", 0, 1},         [BIN_AND] = {"and", 0, 2},     [BIN_UNLESS] = {"unless", 0, 2},
    [BIN_EQ] = {"==", TOK_EQ_EQ, 3}, [BIN_NE] = {"!=", TOK_NE, 3},  [BIN_LT] = {"<", TOK_LT, 3},
    [BIN_LE] = {"<=", TOK_LE, 3},    [BIN_GT] = {">", TOK_GT, 3},   [BIN_GE] = {">=", TOK_GE, 3},
    [BIN_ADD] = {"+", TOK_ADD, 4},   [BIN_SUB] = {"-", TOK_SUB, 4}, [BIN_MUL] = {"*", TOK_MUL, 5},
    [BIN_DIV] = {"/", TOK_DIV, 5},   [BIN_MOD] = {"%", TOK_MOD, 5}, [BIN_POW] = {"^", TOK_POW, 7},
    [BIN_ATAN2] = {"atan2", 0, 5}};
enum { PRECEDENCE_UNARY = 6 };

const char *binary_name(uint8_t op) { return BINARY[op].name; }

static const char *const TYPE_NAMES[] = {"scalar", "instant vector", "range vector", "string",
                                         "log query"};

/* --- messages --- */

rc parse_fail_at(parser *p, uint32_t pos, const char *fmt, ...) {
    char what[ERR_MSG_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    unsigned line = 1, col = 1;
    str text = p->q->text;
    for (size_t i = 0; i < pos && i < text.n; i++) {
        if (text.p[i] == '\n') {
            line++;
            col = 1;
        } else if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
            col++;
        }
    }
    if (p->q->dialect == LOGQL) {
        return FAIL(p->e, RC_INVALID, "parse error at line %u, col %u: %s", line, col, what);
    }
    return FAIL(p->e, RC_INVALID, "%u:%u: parse error: %s", line, col, what);
}

rc parse_unexpected(parser *p, const char *expecting) {
    const token *t = peek(p);
    if (t->kind == TOK_ERROR) return parse_fail_at(p, t->pos, "%.*s", STR_ARG(t->val));
    const char *more = expecting ? ", expecting " : "";
    if (p->q->dialect == LOGQL) {
        return parse_fail_at(p, t->pos, "syntax error: unexpected %s%s%s", token_name(t->kind),
                             more, expecting ? expecting : "");
    }
    str found = str_sub(p->q->text, t->pos, MIN(t->end - t->pos, 60));
    if (t->kind == TOK_END) {
        return parse_fail_at(p, t->pos, "unexpected end of input%s%s", more,
                             expecting ? expecting : "");
    }
    return parse_fail_at(p, t->pos, "unexpected \"%.*s\"%s%s", STR_ARG(found), more,
                         expecting ? expecting : "");
}

rc parse_need(parser *p, token_kind k, const char *expecting) {
    return take(p, k) ? RC_OK : parse_unexpected(p, expecting ? expecting : token_name((uint8_t)k));
}

rc parse_string(parser *p, str *ret) {
    if (!is(p, TOK_STRING)) return parse_unexpected(p, "STRING");
    *ret = peek(p)->val;
    (void)take(p, TOK_STRING);
    return RC_OK;
}

rc parse_enter(parser *p) {
    if (++p->depth <= EXPR_DEPTH_MAX) return RC_OK;
    return parse_fail_at(p, peek(p)->pos, "nested deeper than %d levels", EXPR_DEPTH_MAX);
}

expr *parse_node(parser *p, expr_kind kind, uint32_t pos) {
    expr *x = arena_new(p->mem, expr);
    x->kind = kind;
    x->pos = pos;
    return x;
}

static const expr **args_of(parser *p, size_t count) {
    return arena_bytes(p->mem, MAX(count, 1) * sizeof(expr *), _Alignof(expr *));
}

rc parse_names(parser *p, const str **ret, size_t *ret_count) {
    str *names = NULL;
    size_t count = 0, cap = 0;
    rc c = parse_need(p, TOK_OPEN_PAREN, NULL);
    if (c) return c;
    while (!is(p, TOK_CLOSE_PAREN)) {
        if (!is(p, TOK_IDENT) && !(is(p, TOK_STRING) && p->q->dialect == PROMQL)) {
            return parse_unexpected(p, "IDENTIFIER or )");
        }
        LIST_PUSH(p, names, count, cap, peek(p)->val);
        (void)take(p, (token_kind)peek(p)->kind);
        if (!take(p, TOK_COMMA)) break;
    }
    c = parse_need(p, TOK_CLOSE_PAREN, ", or )");
    if (c) return c;
    *ret = names;
    *ret_count = count;
    return RC_OK;
}

rc parse_grouping(parser *p, grouping *ret) {
    if (!is_word(p, "by") && !is_word(p, "without")) return RC_OK;
    if (peek_at(p, 1)->kind != TOK_OPEN_PAREN) return RC_OK; /* a metric of that name */
    if (ret->present) return parse_fail_at(p, peek(p)->pos, "aggregation is grouped twice");
    ret->present = true;
    ret->without = is_word(p, "without");
    (void)take(p, TOK_IDENT);
    return parse_names(p, &ret->labels, &ret->count);
}

/* --- selectors --- */

static bool matches_empty(const parser *p, const label_match *m) {
    if (m->op == MATCH_EQ) return m->value.n == 0;
    if (m->op == MATCH_NE) return m->value.n > 0;
    regex_set set = {0};
    const regex *re;
    arena tmp;
    arena_init(&tmp, "matcher", 1 << 20);
    bool empty = true;
    if (regex_compile(&set, m->value, REGEX_WHOLE, &tmp, &re, NULL) == RC_OK) {
        regex_state *st = regex_state_new();
        empty = regex_test(re, st, S("")) == (m->op == MATCH_RE);
        regex_state_free(st);
    }
    regex_set_release(&set);
    arena_release(&tmp);
    (void)p;
    return empty;
}

rc parse_matchers(parser *p, const label_match **ret, size_t *ret_count) {
    label_match *m = NULL;
    size_t count = 0, cap = 0;
    bool prom = p->q->dialect == PROMQL;
    if (*ret_count) LIST_PUSH(p, m, count, cap, (*ret)[0]); /* name{...} */
    rc c = parse_need(p, TOK_OPEN_BRACE, NULL);
    if (c) return c;
    while (!is(p, TOK_CLOSE_BRACE)) {
        label_match one = {.name = peek(p)->val};
        bool quoted = is(p, TOK_STRING) && prom;
        if (!is(p, TOK_IDENT) && !quoted) return parse_unexpected(p, "IDENTIFIER or }");
        uint32_t pos = peek(p)->pos;
        (void)take(p, (token_kind)peek(p)->kind);
        bool bare = quoted && (is(p, TOK_COMMA) || is(p, TOK_CLOSE_BRACE));
        if (bare) { /* {"metric.name"} */
            one = (label_match){.name = S("__name__"), .value = one.name};
        } else {
            switch (peek(p)->kind) {
            case TOK_EQ:
                one.op = MATCH_EQ;
                break;
            case TOK_NE:
                one.op = MATCH_NE;
                break;
            case TOK_RE:
                one.op = MATCH_RE;
                break;
            case TOK_NOT_RE:
                one.op = MATCH_NOT_RE;
                break;
            default:
                return parse_unexpected(p, "=, !=, =~ or !~");
            }
            (void)take(p, (token_kind)peek(p)->kind);
            c = parse_string(p, &one.value);
            if (c) return c;
        }
        if (one.op >= MATCH_RE) { /* a wrong expression is found now, not in the middle of a scan */
            const regex *re;
            err why = {0};
            if (regex_compile(&p->q->regexes, one.value, REGEX_WHOLE, p->mem, &re, &why)) {
                return parse_fail_at(p, pos, "%s", why.msg);
            }
        }
        LIST_PUSH(p, m, count, cap, one);
        if (!take(p, TOK_COMMA)) break;
    }
    c = parse_need(p, TOK_CLOSE_BRACE, "} or ,");
    if (c) return c;
    *ret = m;
    *ret_count = count;
    return RC_OK;
}

static rc parse_metric_selector(parser *p, str name, uint32_t pos, const expr **ret) {
    expr *x = parse_node(p, EXPR_SELECTOR, pos);
    x->type = TYPE_VECTOR;
    label_match *named = arena_new(p->mem, label_match);
    if (name.n) {
        *named = (label_match){.name = S("__name__"), .value = name};
        x->match = named;
        x->match_count = 1;
    }
    if (is(p, TOK_OPEN_BRACE)) {
        rc c = parse_matchers(p, &x->match, &x->match_count);
        if (c) return c;
    }
    for (size_t i = name.n > 0; i < x->match_count; i++) {
        if (name.n && str_eq(x->match[i].name, S("__name__"))) {
            return parse_fail_at(p, pos, "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                                 STR_ARG(name), STR_ARG(x->match[i].value));
        }
    }
    bool selective = false;
    for (size_t i = 0; i < x->match_count; i++) selective |= !matches_empty(p, &x->match[i]);
    if (!selective) {
        return parse_fail_at(p, pos, "vector selector must contain at least one non-empty matcher");
    }
    *ret = x;
    return RC_OK;
}

static rc parse_duration(parser *p, int64_t *ret, bool allow_negative) {
    bool negative = allow_negative && take(p, TOK_SUB);
    if (allow_negative && !negative) (void)take(p, TOK_ADD);
    const token *t = peek(p);
    if (t->kind == TOK_DURATION) {
        *ret = t->ns;
    } else if (t->kind == TOK_NUMBER && p->q->dialect == PROMQL && fabs(t->num) < 9.2e9) {
        *ret = (int64_t)llround(t->num * 1e9);
    } else {
        return parse_unexpected(p, "DURATION");
    }
    if (negative) *ret = -*ret;
    (void)take(p, (token_kind)t->kind);
    return RC_OK;
}

/* [5m] or [1h:5m], offset, @ behind a selector. */
static rc parse_modifiers(parser *p, const expr *inner, const expr **ret) {
    expr *x = NULL; /* what offset and @ belong to */
    bool selector = inner->kind == EXPR_SELECTOR && inner->arg_count == 0;
    if (selector) {
        x = parse_node(p, EXPR_SELECTOR, inner->pos);
        *x = *inner;
    }
    bool has_offset = false;
    for (;;) {
        rc c;
        uint32_t pos = peek(p)->pos;
        if (is(p, TOK_OPEN_BRACKET)) {
            (void)take(p, TOK_OPEN_BRACKET);
            int64_t range, step = 0;
            c = parse_duration(p, &range, false);
            if (c) return c;
            bool subquery = take(p, TOK_COLON);
            if (subquery && !is(p, TOK_CLOSE_BRACKET)) c = parse_duration(p, &step, false);
            if (!c) c = parse_need(p, TOK_CLOSE_BRACKET, NULL);
            if (c) return c;
            if (range <= 0 || (subquery && step < 0)) {
                return parse_fail_at(p, pos, "duration must be greater than 0");
            }
            const expr *base = x ? x : inner;
            if (subquery) {
                if (base->type != TYPE_VECTOR && base->type != TYPE_SCALAR) {
                    return parse_fail_at(p, pos,
                                         "subquery is only allowed on instant vector, got %s",
                                         TYPE_NAMES[base->type]);
                }
                expr *s = parse_node(p, EXPR_SUBQUERY, inner->pos);
                s->args = args_of(p, 1);
                s->args[0] = base;
                s->arg_count = 1;
                s->range_ns = range;
                s->step_ns = step;
                x = s;
            } else {
                if (base->kind != EXPR_SELECTOR || has_offset || base->has_at) {
                    return parse_fail_at(p, pos, "ranges only allowed for vector selectors");
                }
                x->kind = EXPR_MATRIX;
                x->range_ns = range;
            }
            x->type = TYPE_MATRIX;
            has_offset = false;
            inner = x;
        } else if (is_word(p, "offset") && x) {
            (void)take(p, TOK_IDENT);
            if (has_offset) return parse_fail_at(p, pos, "offset may not be set multiple times");
            c = parse_duration(p, &x->offset_ns, true);
            if (c) return c;
            has_offset = true;
        } else if (is(p, TOK_AT) && x) {
            (void)take(p, TOK_AT);
            if (x->has_at)
                return parse_fail_at(p, pos, "@ <timestamp> may not be set multiple times");
            x->has_at = true;
            if (is_word(p, "start") || is_word(p, "end")) {
                x->at_edge = is_word(p, "start") ? 's' : 'e';
                (void)take(p, TOK_IDENT);
                c = parse_need(p, TOK_OPEN_PAREN, NULL);
                if (!c) c = parse_need(p, TOK_CLOSE_PAREN, NULL);
                if (c) return c;
            } else {
                bool negative = take(p, TOK_SUB);
                if (!negative) (void)take(p, TOK_ADD);
                if (!is(p, TOK_NUMBER)) return parse_unexpected(p, "timestamp");
                double s = peek(p)->num;
                if (!(fabs(s) < 9e9)) return parse_fail_at(p, pos, "timestamp out of bounds");
                x->at_ns = (int64_t)llround((negative ? -s : s) * 1e3) * 1000000;
                (void)take(p, TOK_NUMBER);
            }
        } else {
            break;
        }
    }
    *ret = x ? x : inner;
    return RC_OK;
}

/* --- calls --- */

static rc parse_aggregate(parser *p, agg_op op, uint32_t pos, const expr **ret) {
    expr *x = parse_node(p, EXPR_AGGREGATE, pos);
    x->op = op;
    x->type = TYPE_VECTOR;
    rc c = parse_grouping(p, &x->group);
    if (!c) c = parse_need(p, TOK_OPEN_PAREN, NULL);
    if (c) return c;
    if (agg_has_param(op)) {
        const token *t = peek(p);
        c = parse_expr(p, &x->param);
        if (!c) c = parse_need(p, TOK_COMMA, NULL);
        if (c) return c;
        value_type want = op == AGG_COUNT_VALUES ? TYPE_STRING : TYPE_SCALAR;
        if (x->param->type != want) {
            return parse_fail_at(p, t->pos, "expected type %s in aggregation parameter, got %s",
                                 TYPE_NAMES[want], TYPE_NAMES[x->param->type]);
        }
        if (p->q->dialect == LOGQL && x->param->kind != EXPR_NUMBER) {
            return parse_fail_at(p, t->pos, "invalid parameter %s(k, ...): a number is expected",
                                 agg_name(op));
        }
        if (p->q->dialect == LOGQL && x->param->num < 1) {
            return parse_fail_at(p, t->pos, "invalid parameter (must be greater than 0) %s(%g",
                                 agg_name(op), x->param->num);
        }
    }
    x->args = args_of(p, 1);
    x->arg_count = 1;
    const token *t = peek(p);
    c = parse_expr(p, &x->args[0]);
    if (c) return c;
    if (x->args[0]->type != TYPE_VECTOR) {
        return parse_fail_at(p, t->pos,
                             "expected type instant vector in aggregation expression, got %s",
                             TYPE_NAMES[x->args[0]->type]);
    }
    c = parse_need(p, TOK_CLOSE_PAREN, NULL);
    if (!c) c = parse_grouping(p, &x->group);
    *ret = x;
    return c;
}

static rc parse_call(parser *p, int fn, uint32_t pos, const expr **ret) {
    const call_info *info = &CALLS[fn];
    expr *x = parse_node(p, EXPR_CALL, pos);
    x->fn = (uint16_t)fn;
    x->type = info->type;
    rc c = parse_need(p, TOK_OPEN_PAREN, NULL);
    if (c) return c;
    const expr **args = NULL;
    size_t count = 0, cap = 0;
    while (!is(p, TOK_CLOSE_PAREN)) {
        const expr *arg;
        uint32_t at = peek(p)->pos;
        c = parse_expr(p, &arg);
        if (c) return c;
        value_type want = arg_type(info, count);
        if (arg->type != want) {
            return parse_fail_at(p, at, "expected type %s in call to function \"%s\", got %s",
                                 TYPE_NAMES[want], info->name, TYPE_NAMES[arg->type]);
        }
        LIST_PUSH(p, args, count, cap, arg);
        if (!take(p, TOK_COMMA)) break;
    }
    c = parse_need(p, TOK_CLOSE_PAREN, ", or )");
    if (c) return c;
    if (count < info->min_args || count > info->max_args) {
        return parse_fail_at(p, pos, "expected %u argument(s) in call to \"%s\", got %zu",
                             info->min_args, info->name, count);
    }
    x->args = args;
    x->arg_count = count;
    if (info->fn == CALL_LABEL_REPLACE) {
        const regex *re;
        err why = {0};
        if (regex_compile(&p->q->regexes, args[4]->text, REGEX_WHOLE, p->mem, &re, &why)) {
            return parse_fail_at(p, args[4]->pos, "%s", why.msg);
        }
    }
    *ret = x;
    return RC_OK;
}

/* --- primaries --- */

static rc parse_ident(parser *p, const expr **ret) {
    const token *t = peek(p);
    bool call = peek_at(p, 1)->kind == TOK_OPEN_PAREN;
    bool grouped = peek_at(p, 1)->kind == TOK_IDENT && peek_at(p, 2)->kind == TOK_OPEN_PAREN &&
                   (str_eq_nocase(peek_at(p, 1)->val, S("by")) ||
                    str_eq_nocase(peek_at(p, 1)->val, S("without")));
    agg_op agg = agg_find(t->val, p->q->dialect);
    if (agg != AGG_NONE && (call || grouped)) {
        (void)take(p, TOK_IDENT);
        return parse_aggregate(p, agg, t->pos, ret);
    }
    if (p->q->dialect == LOGQL) {
        const log_range_info *range = log_range_find(t->val);
        if (range && call) {
            expr *x = parse_node(p, EXPR_LOG_RANGE, t->pos);
            x->type = TYPE_VECTOR;
            (void)take(p, TOK_IDENT);
            *ret = x;
            return parse_log_range(p, range, x);
        }
        bool known =
            str_eq_nocase(t->val, S("vector")) || str_eq_nocase(t->val, S("label_replace"));
        if (!known || !call) return parse_unexpected(p, NULL);
    }
    int fn = call ? call_find(t->val) : -1;
    if (call && fn < 0) {
        return parse_fail_at(p, t->pos, "unknown function with name \"%.*s\"",
                             (int)MIN(t->val.n, 100), t->val.p);
    }
    (void)take(p, TOK_IDENT);
    if (call) return parse_call(p, fn, t->pos, ret);
    double v;
    if (lex_number(t->val, &v) && !is(p, TOK_OPEN_BRACE)) { /* inf, nan */
        expr *x = parse_node(p, EXPR_NUMBER, t->pos);
        x->num = v;
        *ret = x;
        return RC_OK;
    }
    return parse_metric_selector(p, t->val, t->pos, ret);
}

static rc parse_binary(parser *p, unsigned min_precedence, const expr **ret);

static rc parse_primary(parser *p, const expr **ret) {
    const token *t = peek(p);
    rc c = RC_OK;
    expr *x;
    bool prom = p->q->dialect == PROMQL;
    switch (t->kind) {
    case TOK_OPEN_PAREN:
        (void)take(p, TOK_OPEN_PAREN);
        c = parse_expr(p, ret);
        if (!c) c = parse_need(p, TOK_CLOSE_PAREN, NULL);
        break;
    case TOK_DURATION:
        if (!prom) return parse_unexpected(p, NULL);
        /* fall through */
    case TOK_NUMBER:
        x = parse_node(p, EXPR_NUMBER, t->pos);
        x->num = t->num;
        *ret = x;
        (void)take(p, (token_kind)t->kind);
        break;
    case TOK_STRING:
        x = parse_node(p, EXPR_STRING, t->pos);
        x->type = TYPE_STRING;
        x->text = t->val;
        *ret = x;
        (void)take(p, TOK_STRING);
        break;
    case TOK_IDENT:
        c = parse_ident(p, ret);
        break;
    case TOK_OPEN_BRACE:
        if (prom) {
            c = parse_metric_selector(p, STR_NONE, t->pos, ret);
        } else {
            x = parse_node(p, EXPR_LOGS, t->pos);
            x->type = TYPE_STREAMS;
            *ret = x;
            c = parse_logs(p, x);
        }
        break;
    default:
        return parse_unexpected(p, NULL);
    }
    if (c || !prom) return c;
    return parse_modifiers(p, *ret, ret);
}

static rc parse_unary(parser *p, const expr **ret) {
    const token *t = peek(p);
    bool minus = is(p, TOK_SUB);
    if (!minus && !is(p, TOK_ADD)) return parse_primary(p, ret);
    (void)take(p, (token_kind)t->kind);
    const expr *inner;
    rc c = parse_enter(p);
    if (!c) c = parse_binary(p, PRECEDENCE_UNARY, &inner);
    if (c) return c;
    p->depth--;
    if (inner->type != TYPE_SCALAR && inner->type != TYPE_VECTOR) {
        return parse_fail_at(p, t->pos,
                             "unary expression only allowed on expressions of type scalar or "
                             "instant vector, got %s",
                             TYPE_NAMES[inner->type]);
    }
    if (!minus) {
        *ret = inner;
        return RC_OK;
    }
    expr *x;
    if (inner->kind == EXPR_NUMBER) {
        x = parse_node(p, EXPR_NUMBER, t->pos);
        x->num = -inner->num;
    } else {
        x = parse_node(p, EXPR_NEGATE, t->pos);
        x->type = inner->type;
        x->args = args_of(p, 1);
        x->args[0] = inner;
        x->arg_count = 1;
    }
    *ret = x;
    return RC_OK;
}

/* The operator that comes next, or -1. */
static int next_operator(const parser *p) {
    const token *t = peek(p);
    for (size_t i = 0; i < ARRAY_LEN(BINARY); i++) {
        if (BINARY[i].tok ? t->kind == BINARY[i].tok : is_word(p, BINARY[i].name)) return (int)i;
    }
    return -1;
}

static rc parse_matching(parser *p, expr *x) {
    rc c;
    if (is_word(p, "bool")) {
        if (!binary_is_compare(x->op)) {
            return parse_fail_at(p, peek(p)->pos,
                                 "bool modifier can only be used on comparison operators");
        }
        x->return_bool = true;
        (void)take(p, TOK_IDENT);
    }
    bool on = is_word(p, "on"), ignoring = is_word(p, "ignoring");
    vector_matching *m = &x->matching;
    if ((on || ignoring) && peek_at(p, 1)->kind == TOK_OPEN_PAREN) {
        (void)take(p, TOK_IDENT);
        m->present = true;
        m->on = on;
        c = parse_names(p, &m->labels, &m->count);
        if (c) return c;
        bool left = is_word(p, "group_left"), right = is_word(p, "group_right");
        if (left || right) {
            if (binary_is_set(x->op)) {
                return parse_fail_at(p, peek(p)->pos, "no grouping allowed for \"%s\" operation",
                                     binary_name(x->op));
            }
            m->card = left ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
            (void)take(p, TOK_IDENT);
            if (is(p, TOK_OPEN_PAREN)) {
                c = parse_names(p, &m->include, &m->include_count);
                if (c) return c;
            }
        }
    }
    return RC_OK;
}

static rc check_operands(parser *p, expr *x) {
    const expr *l = x->args[0], *r = x->args[1];
    for (int side = 0; side < 2; side++) {
        const expr *o = x->args[side];
        if (o->type != TYPE_SCALAR && o->type != TYPE_VECTOR) {
            return parse_fail_at(p, o->pos,
                                 "binary expression must contain only scalar and instant vector "
                                 "types, got %s",
                                 TYPE_NAMES[o->type]);
        }
        if (binary_is_set(x->op) && o->type == TYPE_SCALAR) {
            return parse_fail_at(p, x->pos,
                                 "set operator \"%s\" not allowed in binary scalar expression",
                                 binary_name(x->op));
        }
    }
    bool scalars = l->type == TYPE_SCALAR && r->type == TYPE_SCALAR;
    if (scalars && binary_is_compare(x->op) && !x->return_bool) {
        if (p->q->dialect == PROMQL) {
            return parse_fail_at(p, x->pos, "comparisons between scalars must use BOOL modifier");
        }
        x->return_bool = true; /* LogQL: 0 or 1 */
    }
    if (x->matching.present && (l->type == TYPE_SCALAR || r->type == TYPE_SCALAR)) {
        return parse_fail_at(p, x->pos, "vector matching only allowed between instant vectors");
    }
    x->type = scalars ? TYPE_SCALAR : TYPE_VECTOR;
    return RC_OK;
}

static rc parse_binary(parser *p, unsigned min_precedence, const expr **ret) {
    const expr *left;
    rc c = parse_unary(p, &left);
    if (c) return c;
    for (;;) {
        int op = next_operator(p);
        if (op < 0 || BINARY[op].precedence < min_precedence) break;
        expr *x = parse_node(p, EXPR_BINARY, peek(p)->pos);
        x->op = (uint8_t)op;
        (void)take(p, (token_kind)peek(p)->kind);
        c = parse_matching(p, x);
        if (c) return c;
        x->args = args_of(p, 2);
        x->arg_count = 2;
        x->args[0] = left;
        c = parse_enter(p);
        if (c) return c;
        unsigned next = BINARY[op].precedence + (op != BIN_POW);
        c = parse_binary(p, next, &x->args[1]);
        if (!c) c = check_operands(p, x);
        if (c) return c;
        x->depth = (uint16_t)(1 + MAX(left->depth, x->args[1]->depth));
        if (x->depth > EXPR_TREE_MAX) {
            return parse_fail_at(p, x->pos, "more than %d operators in a row", EXPR_TREE_MAX);
        }
        p->depth--;
        left = x;
    }
    *ret = left;
    return RC_OK;
}

rc parse_expr(parser *p, const expr **ret) {
    rc c = parse_enter(p);
    if (!c) c = parse_binary(p, 0, ret);
    if (!c) p->depth--;
    return c;
}

rc query_parse(str text, dialect d, query_text **ret, err *e) {
    query_text *q = mem_new(query_text);
    arena_init(&q->mem, "query text", EXPR_ARENA_MAX);
    q->dialect = d;
    rc c = text.n > QUERY_TEXT_MAX
               ? FAIL(e, RC_INVALID, "parse error : the query has %zu bytes, at most %d are read",
                      text.n, QUERY_TEXT_MAX)
               : RC_OK;
    if (!c) {
        q->text = str_dup(&q->mem, text);
        parser p = {.q = q, .mem = &q->mem, .e = e};
        c = lex(q->text, d, &q->mem, &p.tok, &p.count, e);
        if (!c) c = parse_expr(&p, &q->root);
        if (!c && !is(&p, TOK_END)) c = parse_unexpected(&p, NULL);
    }
    if (c) {
        query_text_free(q);
        return c;
    }
    *ret = q;
    return RC_OK;
}

void query_text_free(query_text *q) {
    if (!q) return;
    regex_set_release(&q->regexes);
    arena_release(&q->mem);
    mem_free(q);
}
