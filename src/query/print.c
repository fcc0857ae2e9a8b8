/* print.c - a tree back to text: for messages, logs, and as the oracle of the parser's tests (the
 * text parses to a tree that prints the same). Every operator gets parentheses, every string double
 * quotes. */
#include "query/expr_int.h"

#include "base/num.h"

#include <math.h>

static bool put_string(buf *out, str s) {
    bool ok = buf_putc(out, '"');
    for (size_t i = 0; i < s.n && ok; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            ok = buf_putc(out, '\\') && buf_putc(out, (char)c);
        } else if (c == '\n') {
            ok = buf_put(out, S("\\n"));
        } else if (c < 0x20 || c == 0x7f) {
            ok = buf_fmt(out, "\\x%02x", c);
        } else {
            ok = buf_putc(out, (char)c);
        }
    }
    return ok && buf_putc(out, '"');
}

static bool is_plain_name(str s, dialect d) {
    if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9')) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], l = (char)(c | 0x20);
        bool ok = (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (c == ':' && d == PROMQL) ok = true;
        if (c == '.' && i > 0 && i + 1 < s.n && !(s.p[i + 1] >= '0' && s.p[i + 1] <= '9') &&
            s.p[i + 1] != '.' && s.p[i + 1] != ':') {
            ok = true;
        }
        if (!ok) return false;
    }
    return true;
}

static bool put_name(buf *out, str s, dialect d) {
    return is_plain_name(s, d) ? buf_put(out, s) : put_string(out, s);
}

static bool put_number(buf *out, double v) {
    if (isnan(v)) return buf_put(out, S("NaN"));
    if (isinf(v)) return buf_put(out, v > 0 ? S("Inf") : S("-Inf"));
    return buf_double(out, v);
}

static bool put_duration(buf *out, int64_t ns) {
    static const struct {
        const char *unit;
        int64_t ns;
    } UNITS[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
                 {"ms", 1000000},      {"us", 1000},       {"ns", 1}};
    if (ns < 0) {
        if (!buf_putc(out, '-')) return false;
        ns = -ns;
    }
    if (ns == 0) return buf_put(out, S("0s"));
    for (size_t i = 0; i < ARRAY_LEN(UNITS); i++) {
        int64_t n = ns / UNITS[i].ns;
        ns %= UNITS[i].ns;
        if (n && (!buf_i64(out, n) || !buf_put(out, str_c(UNITS[i].unit)))) return false;
    }
    return true;
}

static str match_op_text(match_op op) {
    static const str TEXTS[] = {S_INIT("="), S_INIT("!="), S_INIT("=~"), S_INIT("!~")};
    return TEXTS[op];
}

static bool put_match(buf *out, const label_match *m, dialect d) {
    return put_name(out, m->name, d) && buf_put(out, match_op_text(m->op)) &&
           put_string(out, m->value);
}

static bool put_selector(buf *out, const label_match *match, size_t count, dialect d) {
    bool ok = buf_putc(out, '{');
    for (size_t i = 0; i < count && ok; i++) {
        ok = (i == 0 || buf_put(out, S(", "))) && put_match(out, &match[i], d);
    }
    return ok && buf_putc(out, '}');
}

bool expr_put_selector(const label_match *match, size_t count, buf *out) {
    return put_selector(out, match, count, LOGQL);
}

static bool put_names(buf *out, const str *names, size_t count, dialect d) {
    bool ok = buf_putc(out, '(');
    for (size_t i = 0; i < count && ok; i++) {
        ok = (i == 0 || buf_put(out, S(", "))) && put_name(out, names[i], d);
    }
    return ok && buf_putc(out, ')');
}

static bool put_grouping(buf *out, const grouping *g, dialect d) {
    if (!g->present) return true;
    return buf_put(out, g->without ? S(" without ") : S(" by ")) &&
           put_names(out, g->labels, g->count, d);
}

static bool put_filter(buf *out, const label_filter *f) {
    static const char *const OPS[] = {"==", "!=", "<", "<=", ">", ">="};
    if (f->kind == FILTER_AND || f->kind == FILTER_OR) {
        return buf_putc(out, '(') && put_filter(out, f->left) &&
               buf_put(out, f->kind == FILTER_AND ? S(" and ") : S(" or ")) &&
               put_filter(out, f->right) && buf_putc(out, ')');
    }
    if (f->kind == FILTER_TEXT) return put_match(out, &f->match, LOGQL);
    bool ok = buf_put(out, f->name) && buf_put(out, str_c(OPS[f->cmp]));
    if (f->kind == FILTER_IP) {
        return ok && buf_put(out, S("ip(")) && put_string(out, f->text) && buf_putc(out, ')');
    }
    return ok && buf_put(out, f->text);
}

static bool put_items(buf *out, const log_stage *st) {
    bool ok = true;
    for (size_t i = 0; i < st->item_count && ok; i++) {
        const stage_item *it = &st->items[i];
        ok = buf_put(out, i ? S(", ") : S(" "));
        if (st->kind == STAGE_DROP || st->kind == STAGE_KEEP) {
            ok = ok && (it->has_text ? put_match(out, &it->match, LOGQL) : buf_put(out, it->name));
        } else {
            ok = ok && buf_put(out, it->name);
            if (it->is_rename) ok = ok && buf_putc(out, '=') && buf_put(out, it->text);
            if (it->has_text) ok = ok && buf_putc(out, '=') && put_string(out, it->text);
        }
    }
    return ok;
}

static bool put_stage(buf *out, const log_stage *st) {
    static const char *const LINE_OPS[3][2] = {{"|=", "!="}, {"|~", "!~"}, {"|>", "!>"}};
    static const char *const WORDS[] = {
        "", "json",        "logfmt",       "regexp", "pattern", "unpack",
        "", "line_format", "label_format", "drop",   "keep",    "decolorize"};
    if (st->kind == STAGE_LINE) {
        bool ok = buf_fmt(out, " %s ", LINE_OPS[st->line][st->negated]);
        for (size_t i = 0; i < st->choice_count && ok; i++) {
            const line_choice *ch = &st->choices[i];
            ok = (i == 0 || buf_put(out, S(" or "))) && (!ch->is_ip || buf_put(out, S("ip("))) &&
                 put_string(out, ch->text) && (!ch->is_ip || buf_putc(out, ')'));
        }
        return ok;
    }
    if (!buf_fmt(out, " | %s", WORDS[st->kind])) return false;
    switch ((stage_kind)st->kind) {
    case STAGE_FILTER: /* a label called as a stage is */
        return st->filter->kind > FILTER_OR && str_eq_nocase(st->filter->name, S("unwrap"))
                   ? buf_putc(out, '(') && put_filter(out, st->filter) && buf_putc(out, ')')
                   : put_filter(out, st->filter);
    case STAGE_REGEXP:
    case STAGE_PATTERN:
    case STAGE_LINE_FORMAT:
        return buf_putc(out, ' ') && put_string(out, st->arg);
    case STAGE_LOGFMT:
        return (!st->strict || buf_put(out, S(" --strict"))) &&
               (!st->keep_empty || buf_put(out, S(" --keep-empty"))) && put_items(out, st);
    default:
        return put_items(out, st);
    }
}

static bool put_logs(buf *out, const expr *x) {
    bool ok = put_selector(out, x->match, x->match_count, LOGQL);
    for (size_t i = 0; i < x->stage_count && ok; i++) ok = put_stage(out, &x->stages[i]);
    return ok;
}

static bool put_log_range(buf *out, const expr *x) {
    static const char *const CONV[] = {"", "bytes", "duration", "duration_seconds"};
    const char *name = "?";
    for (size_t i = 0; i < LOG_RANGE_COUNT; i++) {
        if (LOG_RANGES[i].fn == x->fn) name = LOG_RANGES[i].name;
    }
    bool ok = buf_fmt(out, "%s(", name);
    if (x->param) ok = ok && put_number(out, x->param->num) && buf_put(out, S(", "));
    ok = ok && put_logs(out, x);
    if (x->unwrap.n) {
        ok = ok && buf_put(out, S(" | unwrap "));
        if (x->unwrap_conv) {
            ok = ok && buf_fmt(out, "%s(", CONV[x->unwrap_conv]) && buf_put(out, x->unwrap) &&
                 buf_putc(out, ')');
        } else {
            ok = ok && buf_put(out, x->unwrap);
        }
        if (x->unwrap_filter)
            ok = ok && buf_put(out, S(" | ")) && put_filter(out, x->unwrap_filter);
    }
    ok = ok && buf_putc(out, '[') && put_duration(out, x->range_ns) && buf_putc(out, ']');
    if (x->offset_ns) ok = ok && buf_put(out, S(" offset ")) && put_duration(out, x->offset_ns);
    return ok && buf_putc(out, ')') && put_grouping(out, &x->group, LOGQL);
}

static bool put_modifiers(buf *out, const expr *x) {
    bool ok = true;
    if (x->kind == EXPR_MATRIX || x->kind == EXPR_SUBQUERY) {
        ok = buf_putc(out, '[') && put_duration(out, x->range_ns);
        if (x->kind == EXPR_SUBQUERY) {
            ok = ok && buf_putc(out, ':') && (x->step_ns == 0 || put_duration(out, x->step_ns));
        }
        ok = ok && buf_putc(out, ']');
    }
    if (x->has_at) {
        if (x->at_edge) {
            ok = ok && buf_put(out, x->at_edge == 's' ? S(" @ start()") : S(" @ end()"));
        } else {
            ok = ok && buf_fmt(out, " @ %.3f", (double)x->at_ns / 1e9);
        }
    }
    if (x->offset_ns) ok = ok && buf_put(out, S(" offset ")) && put_duration(out, x->offset_ns);
    return ok;
}

static bool put_binary(buf *out, const expr *x, dialect d) {
    bool ok = buf_putc(out, '(') && expr_put(x->args[0], d, out) &&
              buf_fmt(out, " %s", binary_name(x->op));
    bool scalars = x->type == TYPE_SCALAR && d == LOGQL;
    if (x->return_bool && !scalars) ok = ok && buf_put(out, S(" bool"));
    const vector_matching *m = &x->matching;
    if (m->present) {
        ok = ok && buf_put(out, m->on ? S(" on ") : S(" ignoring ")) &&
             put_names(out, m->labels, m->count, d);
        if (m->card) {
            ok = ok &&
                 buf_put(out,
                         m->card == CARD_MANY_TO_ONE ? S(" group_left ") : S(" group_right ")) &&
                 put_names(out, m->include, m->include_count, d);
        }
    }
    return ok && buf_putc(out, ' ') && expr_put(x->args[1], d, out) && buf_putc(out, ')');
}

bool expr_put(const expr *x, dialect d, buf *out) {
    bool ok = true;
    switch ((expr_kind)x->kind) {
    case EXPR_NUMBER:
        if (!signbit(x->num) || isnan(x->num)) return put_number(out, x->num);
        return buf_put(out, S("(-")) && put_number(out, -x->num) && buf_putc(out, ')');
    case EXPR_STRING:
        return put_string(out, x->text);
    case EXPR_LOGS:
        return put_logs(out, x);
    case EXPR_LOG_RANGE:
        return put_log_range(out, x);
    case EXPR_SELECTOR:
    case EXPR_MATRIX:
        return put_selector(out, x->match, x->match_count, d) && put_modifiers(out, x);
    case EXPR_SUBQUERY:
        return buf_putc(out, '(') && expr_put(x->args[0], d, out) && buf_putc(out, ')') &&
               put_modifiers(out, x);
    case EXPR_CALL:
        ok = buf_fmt(out, "%s(", CALLS[x->fn].name);
        for (size_t i = 0; i < x->arg_count && ok; i++) {
            ok = (i == 0 || buf_put(out, S(", "))) && expr_put(x->args[i], d, out);
        }
        return ok && buf_putc(out, ')');
    case EXPR_AGGREGATE:
        ok = buf_put(out, str_c(agg_name(x->op))) && put_grouping(out, &x->group, d) &&
             buf_putc(out, '(');
        if (x->param) ok = ok && expr_put(x->param, d, out) && buf_put(out, S(", "));
        return ok && expr_put(x->args[0], d, out) && buf_putc(out, ')');
    case EXPR_BINARY:
        return put_binary(out, x, d);
    case EXPR_NEGATE:
        return buf_put(out, S("(-")) && expr_put(x->args[0], d, out) && buf_putc(out, ')');
    }
    return ok;
}
