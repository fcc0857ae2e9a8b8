/* parse_logs.c - LogQL's own part: {selector} and the pipeline behind it, and what stands inside of
 * count_over_time(...). Expressions that a stage needs (regular ones, templates, JSON paths,
 * patterns) are compiled here, so that a wrong one is an error of the query with its place. Source:
 * Loki pkg/logql/syntax/syntax.y, pkg/logql/log/pattern, pkg/logql/log/jsonexpr. */
#include "query/parse_int.h"

#include "base/num.h"

enum { FILTERS_MAX = 500 /* of one label filter: walks recurse */, ITEMS_MAX = 1000 };

static rc compile(parser *p, str pattern, regex_mode mode, uint32_t pos, const regex **ret) {
    err why = {0};
    if (!regex_compile(&p->q->regexes, pattern, mode, p->mem, ret, &why)) return RC_OK;
    return parse_fail_at(p, pos, "%s", why.msg);
}

static bool is_label_name(str s) {
    if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9')) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], l = (char)(c | 0x20);
        if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
    }
    return true;
}

/* --- addresses --- */

static bool parse_ip4(str s, uint8_t to[4]) {
    for (int i = 0; i < 4; i++) {
        str part;
        uint64_t v;
        size_t dot = i < 3 ? str_find_char(s, '.', 0) : s.n;
        if (dot == STR_NPOS) return false;
        part = str_sub(s, 0, dot);
        if (part.n == 0 || part.n > 3 || !num_u64(part, &v) || v > 255) return false;
        to[i] = (uint8_t)v;
        s = str_from(s, dot + (i < 3));
    }
    return s.n == 0;
}

bool ip_parse(str s, uint8_t to[16]) {
    static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t v4[4];
    if (s.n <= 15 && parse_ip4(s, v4)) {
        memcpy(to, MAPPED, sizeof(MAPPED));
        memcpy(to + 12, v4, 4);
        return true;
    }
    uint16_t group[8] = {0};
    size_t count = 0, gap = SIZE_MAX;
    if (str_starts(s, S("::"))) {
        gap = 0;
        s = str_from(s, 2);
    }
    while (s.n) {
        size_t end = str_find_char(s, ':', 0);
        str part = str_sub(s, 0, end == STR_NPOS ? s.n : end);
        if (count == 8) return false;
        if (end == STR_NPOS && parse_ip4(part, v4)) {
            if (count > 6) return false;
            group[count++] = (uint16_t)(v4[0] << 8 | v4[1]);
            group[count++] = (uint16_t)(v4[2] << 8 | v4[3]);
            s.n = 0;
            break;
        }
        uint64_t v;
        if (part.n == 0 || part.n > 4 || !num_hex(part, &v) || str_has(part, S("x"))) return false;
        group[count++] = (uint16_t)v;
        s = str_from(s, part.n);
        if (s.n == 0) break;
        s = str_from(s, 1);
        if (s.n == 0) return false; /* a single ':' at the end */
        if (s.p[0] == ':') {
            if (gap != SIZE_MAX) return false;
            gap = count;
            s = str_from(s, 1);
        }
    }
    if (gap == SIZE_MAX ? count != 8 : count > 7) return false;
    size_t after = gap == SIZE_MAX ? 0 : count - gap;
    for (size_t i = 0; i < 8; i++) {
        uint16_t v = 0;
        if (gap == SIZE_MAX || i < gap) {
            v = group[i];
        } else if (i >= 8 - after) {
            v = group[gap + i - (8 - after)];
        }
        to[2 * i] = (uint8_t)(v >> 8);
        to[2 * i + 1] = (uint8_t)v;
    }
    return true;
}

/* An address, a network a/n, or a range a-b. */
static bool parse_ip_range(str s, ip_range *ret) {
    size_t slash = str_find_char(s, '/', 0), dash = str_find_char(s, '-', 0);
    if (slash != STR_NPOS) {
        uint64_t bits;
        str host = str_sub(s, 0, slash);
        if (!ip_parse(host, ret->from) || !num_u64(str_from(s, slash + 1), &bits)) return false;
        if (str_find_char(host, ':', 0) == STR_NPOS) bits += 96;
        if (bits > 128) return false;
        memcpy(ret->to, ret->from, 16);
        for (size_t i = (size_t)bits; i < 128; i++) {
            uint8_t bit = (uint8_t)(0x80 >> (i % 8));
            ret->from[i / 8] &= (uint8_t)~bit;
            ret->to[i / 8] |= bit;
        }
        return true;
    }
    if (dash != STR_NPOS) {
        return ip_parse(str_sub(s, 0, dash), ret->from) && ip_parse(str_from(s, dash + 1), ret->to);
    }
    if (!ip_parse(s, ret->from)) return false;
    memcpy(ret->to, ret->from, 16);
    return true;
}

/* ip("...") behind the word. */
static rc parse_ip_call(parser *p, str *ret_text, ip_range *ret) {
    uint32_t pos = peek(p)->pos;
    (void)take(p, TOK_IDENT);
    rc c = parse_need(p, TOK_OPEN_PAREN, NULL);
    if (!c) c = parse_string(p, ret_text);
    if (!c) c = parse_need(p, TOK_CLOSE_PAREN, NULL);
    if (c) return c;
    if (parse_ip_range(*ret_text, ret)) return RC_OK;
    return parse_fail_at(p, pos, "ip: \"%.*s\" is no address, network or range",
                         (int)MIN(ret_text->n, 60), ret_text->p);
}

/* --- line filters --- */

/* <_>literal<_> as an expression over the whole line. */
static rc compile_line_pattern(parser *p, str text, uint32_t pos, const regex **ret) {
    buf b;
    buf_init(&b, 8 * QUERY_TEXT_MAX);
    IGNORE(!buf_put(&b, S("(?s)^"))); /* a limit that the text cannot reach */
    for (size_t at = 0; at < text.n;) {
        size_t gap = str_find(text, S("<_>"), at);
        size_t end = gap == STR_NPOS ? text.n : gap;
        IGNORE(!regex_quote(&b, str_sub(text, at, end - at)));
        if (gap != STR_NPOS) IGNORE(!buf_put(&b, S(".*?")));
        at = gap == STR_NPOS ? text.n : gap + 3;
    }
    IGNORE(!buf_putc(&b, '$'));
    rc c = compile(p, buf_str(&b), REGEX_FIND, pos, ret);
    buf_release(&b);
    return c;
}

static rc parse_line_stage(parser *p, log_stage *st) {
    switch (peek(p)->kind) {
    case TOK_PIPE_EXACT:
        break;
    case TOK_NE:
        st->negated = true;
        break;
    case TOK_PIPE_MATCH:
        st->line = LINE_REGEX;
        break;
    case TOK_NOT_RE:
        st->line = LINE_REGEX;
        st->negated = true;
        break;
    case TOK_PIPE_PATTERN:
        st->line = LINE_PATTERN;
        break;
    default:
        MUST(is(p, TOK_NOT_PATTERN));
        st->line = LINE_PATTERN;
        st->negated = true;
        break;
    }
    (void)take(p, (token_kind)peek(p)->kind);
    line_choice *choices = NULL;
    size_t count = 0, cap = 0;
    do {
        line_choice one = {0};
        uint32_t pos = peek(p)->pos;
        rc c = RC_OK;
        if (is_word(p, "ip") && st->line == LINE_TEXT) {
            one.is_ip = true;
            c = parse_ip_call(p, &one.text, &one.ip);
        } else if (!is(p, TOK_STRING)) {
            return parse_unexpected(p, "STRING or ip");
        } else {
            c = parse_string(p, &one.text);
        }
        if (!c && st->line == LINE_REGEX) c = compile(p, one.text, REGEX_FIND, pos, &one.re);
        if (!c && st->line == LINE_PATTERN) c = compile_line_pattern(p, one.text, pos, &one.re);
        if (c) return c;
        if (count >= ITEMS_MAX) return parse_fail_at(p, pos, "more than %d choices", ITEMS_MAX);
        LIST_PUSH(p, choices, count, cap, one);
    } while (take_word(p, "or"));
    st->choices = choices;
    st->choice_count = count;
    return RC_OK;
}

/* --- label filters --- */

static bool compare_of(uint8_t tok, compare_op *ret) {
    switch (tok) {
    case TOK_EQ:
    case TOK_EQ_EQ:
        *ret = CMP_EQ;
        return true;
    case TOK_NE:
        *ret = CMP_NE;
        return true;
    case TOK_LT:
        *ret = CMP_LT;
        return true;
    case TOK_LE:
        *ret = CMP_LE;
        return true;
    case TOK_GT:
        *ret = CMP_GT;
        return true;
    case TOK_GE:
        *ret = CMP_GE;
        return true;
    default:
        return false;
    }
}

static rc parse_filter_or(parser *p, size_t *budget, const label_filter **ret);

static rc parse_filter_leaf(parser *p, label_filter *f) {
    f->name = peek(p)->val;
    (void)take(p, TOK_IDENT);
    const token *op = peek(p);
    bool matches = op->kind == TOK_RE || op->kind == TOK_NOT_RE;
    compare_op cmp = CMP_EQ;
    if (!matches && !compare_of(op->kind, &cmp)) {
        return parse_unexpected(p, "=, ==, !=, =~, !~, <, <=, > or >=");
    }
    (void)take(p, (token_kind)op->kind);
    f->cmp = (uint8_t)cmp;
    bool negative = !matches && take(p, TOK_SUB);
    const token *v = peek(p);
    f->text = str_sub(p->q->text, v->pos - negative, v->end - v->pos + negative);
    if (negative)
        f->text = str_sub(p->q->text, p->tok[p->at - 1].pos, v->end - p->tok[p->at - 1].pos);
    bool text_op = matches || op->kind == TOK_EQ || op->kind == TOK_NE;
    if (v->kind == TOK_STRING && text_op && !negative) {
        f->kind = FILTER_TEXT;
        f->match = (label_match){.name = f->name, .value = v->val};
        f->match.op = op->kind == TOK_EQ   ? MATCH_EQ
                      : op->kind == TOK_NE ? MATCH_NE
                      : op->kind == TOK_RE ? MATCH_RE
                                           : MATCH_NOT_RE;
        (void)take(p, TOK_STRING);
        return matches ? compile(p, v->val, REGEX_WHOLE, v->pos, &f->re) : RC_OK;
    }
    if (matches) return parse_unexpected(p, "STRING");
    if (is_word(p, "ip") && (cmp == CMP_EQ || cmp == CMP_NE) && !negative) {
        f->kind = FILTER_IP;
        return parse_ip_call(p, &f->text, &f->ip);
    }
    switch (v->kind) {
    case TOK_NUMBER:
        f->kind = FILTER_NUMBER;
        f->num = v->num;
        break;
    case TOK_DURATION:
        f->kind = FILTER_DURATION;
        f->num = (double)v->ns;
        break;
    case TOK_BYTES:
        f->kind = FILTER_BYTES;
        f->num = v->num;
        break;
    default:
        return parse_unexpected(p, text_op ? "BYTES, DURATION, NUMBER or STRING"
                                           : "BYTES, DURATION or NUMBER");
    }
    if (negative) f->num = -f->num;
    (void)take(p, (token_kind)v->kind);
    return RC_OK;
}

static rc parse_filter_primary(parser *p, size_t *budget, const label_filter **ret) {
    rc c;
    if (++*budget > FILTERS_MAX) {
        return parse_fail_at(p, peek(p)->pos, "a label filter has more than %d parts", FILTERS_MAX);
    }
    if (take(p, TOK_OPEN_PAREN)) {
        c = parse_enter(p);
        if (!c) c = parse_filter_or(p, budget, ret);
        if (c) return c;
        p->depth--;
        return parse_need(p, TOK_CLOSE_PAREN, NULL);
    }
    if (!is(p, TOK_IDENT)) return parse_unexpected(p, NULL);
    label_filter *f = arena_new(p->mem, label_filter);
    c = parse_filter_leaf(p, f);
    if (c) return c;
    *ret = f;
    return RC_OK;
}

static const label_filter *filter_pair(parser *p, filter_kind kind, const label_filter *l,
                                       const label_filter *r) {
    label_filter *f = arena_new(p->mem, label_filter);
    f->kind = kind;
    f->left = l;
    f->right = r;
    return f;
}

static rc parse_filter_and(parser *p, size_t *budget, const label_filter **ret) {
    rc c = parse_filter_primary(p, budget, ret);
    while (!c) {
        bool more = take_word(p, "and") || take(p, TOK_COMMA);
        /* two filters side by side mean both */
        if (!more && !is(p, TOK_OPEN_PAREN) &&
            !(is(p, TOK_IDENT) && !is_word(p, "or") && !is_word(p, "unless") &&
              !is_word(p, "offset"))) {
            break;
        }
        const label_filter *right;
        c = parse_filter_primary(p, budget, &right);
        if (!c) *ret = filter_pair(p, FILTER_AND, *ret, right);
    }
    return c;
}

static rc parse_filter_or(parser *p, size_t *budget, const label_filter **ret) {
    rc c = parse_filter_and(p, budget, ret);
    while (!c && take_word(p, "or")) {
        const label_filter *right;
        c = parse_filter_and(p, budget, &right);
        if (!c) *ret = filter_pair(p, FILTER_OR, *ret, right);
    }
    return c;
}

/* --- templates --- */

typedef struct template_reader {
    parser *p;
    str in;
    size_t at;
    uint32_t pos;
} template_reader;

static rc template_fail(template_reader *r, const char *what) {
    return parse_fail_at(r->p, r->pos, "invalid template `%.*s`: %s", (int)MIN(r->in.n, 120),
                         r->in.p, what);
}

static void template_blanks(template_reader *r) {
    while (r->at < r->in.n &&
           (r->in.p[r->at] == ' ' || r->in.p[r->at] == '\t' || r->in.p[r->at] == '\n')) {
        r->at++;
    }
}

static str template_word(template_reader *r) {
    template_blanks(r);
    size_t from = r->at;
    while (r->at < r->in.n) {
        char c = r->in.p[r->at], l = (char)(c | 0x20);
        bool word =
            (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
        if (!word) break;
        r->at++;
    }
    return str_sub(r->in, from, r->at - from);
}

/* A quoted argument of a template function, by the lexer's rules. */
static rc template_string(template_reader *r, str *ret) {
    template_blanks(r);
    size_t from = r->at;
    char quote = from < r->in.n ? r->in.p[from] : '\0';
    if (quote != '"' && quote != '`') return template_fail(r, "a quoted text is expected");
    size_t end = from + 1;
    while (end < r->in.n && r->in.p[end] != quote)
        end += quote == '"' && r->in.p[end] == '\\' ? 2 : 1;
    if (end >= r->in.n) return template_fail(r, "a quote is not closed");
    const token *t;
    size_t count;
    rc c = lex(str_sub(r->in, from, end + 1 - from), LOGQL, r->p->mem, &t, &count, r->p->e);
    if (c) return c;
    if (t[0].kind != TOK_STRING) return template_fail(r, "a quoted text is damaged");
    *ret = t[0].val;
    r->at = end + 1;
    return RC_OK;
}

static const struct {
    const char *name;
    uint8_t fn, texts;
    bool number;
} TEMPLATE_FNS[] = {{"ToLower", TPL_LOWER, 0, false},
                    {"lower", TPL_LOWER, 0, false},
                    {"ToUpper", TPL_UPPER, 0, false},
                    {"upper", TPL_UPPER, 0, false},
                    {"trim", TPL_TRIM, 0, false},
                    {"default", TPL_DEFAULT, 1, false},
                    {"replace", TPL_REPLACE, 2, false},
                    {"trunc", TPL_TRUNC, 0, true},
                    {"trimPrefix", TPL_TRIM_PREFIX, 1, false},
                    {"trimSuffix", TPL_TRIM_SUFFIX, 1, false}};

/* name [args]: a function; false when the word is none. */
static rc template_function(template_reader *r, str name, template_call *to, bool *ret_found) {
    *ret_found = false;
    for (size_t i = 0; i < ARRAY_LEN(TEMPLATE_FNS); i++) {
        if (!str_eq(name, str_c(TEMPLATE_FNS[i].name))) continue;
        *ret_found = true;
        to->fn = TEMPLATE_FNS[i].fn;
        if (TEMPLATE_FNS[i].number && !num_i64(template_word(r), &to->num)) {
            return template_fail(r, "a number is expected");
        }
        rc c = TEMPLATE_FNS[i].texts >= 1 ? template_string(r, &to->arg) : RC_OK;
        if (!c && TEMPLATE_FNS[i].texts >= 2) c = template_string(r, &to->arg2);
        return c;
    }
    return RC_OK;
}

/* What stands in {{ }}: [fn args] value { | fn args }. */
static rc template_action(template_reader *r, template_part *part) {
    template_call *calls = NULL;
    size_t count = 0, cap = 0;
    str word = template_word(r);
    template_call first = {0};
    bool found = false;
    rc c = template_function(r, word, &first, &found);
    if (c) return c;
    if (found) word = template_word(r);
    if (word.n > 1 && word.p[0] == '.') {
        part->source = TPL_LABEL;
        part->text = str_from(word, 1);
    } else if (str_eq(word, S("__line__"))) {
        part->source = TPL_LINE;
    } else if (str_eq(word, S("__timestamp__"))) {
        part->source = TPL_TIME;
    } else if (word.n == 0) {
        part->source = TPL_LITERAL;
        c = template_string(r, &part->text);
        if (c) return c;
    } else {
        char what[120];
        (void)snprintf(what, sizeof(what), "function \"%.*s\" not defined", (int)MIN(word.n, 60),
                       word.p);
        return template_fail(r, what);
    }
    if (found) LIST_PUSH(r->p, calls, count, cap, first);
    for (;;) {
        template_blanks(r);
        if (r->at < r->in.n && r->in.p[r->at] == '|') {
            r->at++;
            template_call call = {0};
            word = template_word(r);
            c = template_function(r, word, &call, &found);
            if (c) return c;
            if (!found) return template_fail(r, "an unknown function");
            LIST_PUSH(r->p, calls, count, cap, call);
            continue;
        }
        if (r->at < r->in.n && r->in.p[r->at] == '-') r->at++; /* trimming is accepted */
        if (!str_starts(str_from(r->in, r->at), S("}}"))) return template_fail(r, "}} is expected");
        r->at += 2;
        break;
    }
    part->calls = calls;
    part->call_count = count;
    return RC_OK;
}

static rc parse_template(parser *p, str text, uint32_t pos, text_template *ret) {
    template_reader r = {.p = p, .in = text, .pos = pos};
    template_part *parts = NULL;
    size_t count = 0, cap = 0;
    while (r.at < text.n) {
        size_t open = str_find(text, S("{{"), r.at);
        size_t end = open == STR_NPOS ? text.n : open;
        if (end > r.at) {
            template_part literal = {.source = TPL_LITERAL,
                                     .text = str_sub(text, r.at, end - r.at)};
            LIST_PUSH(p, parts, count, cap, literal);
        }
        if (open == STR_NPOS) break;
        r.at = open + 2;
        if (r.at < text.n && text.p[r.at] == '-') r.at++;
        template_part part = {0};
        rc c = template_action(&r, &part);
        if (c) return c;
        LIST_PUSH(p, parts, count, cap, part);
    }
    ret->parts = parts;
    ret->count = count;
    return RC_OK;
}

/* --- parsers --- */

/* a.b["c d"][0] */
static rc parse_json_path(parser *p, stage_item *item, uint32_t pos) {
    json_step *steps = NULL;
    size_t count = 0, cap = 0, at = 0;
    str s = item->text;
    bool bad = s.n == 0;
    while (!bad && at < s.n) {
        json_step step = {0};
        if (s.p[at] == '[') {
            size_t close;
            if (at + 1 < s.n && s.p[at + 1] == '"') {
                close = str_find(s, S("\"]"), at + 2);
                bad = close == STR_NPOS;
                if (bad) break;
                step.name = str_sub(s, at + 2, close - at - 2);
                at = close + 2;
            } else {
                uint64_t index;
                close = str_find_char(s, ']', at);
                bad = close == STR_NPOS || !num_u64(str_sub(s, at + 1, close - at - 1), &index) ||
                      index > 1000000;
                if (bad) break;
                step.index = (uint32_t)index;
                at = close + 1;
            }
        } else {
            if (s.p[at] == '.' && count > 0) at++;
            size_t from = at;
            while (at < s.n && s.p[at] != '.' && s.p[at] != '[') at++;
            bad = at == from;
            step.name = str_sub(s, from, at - from);
        }
        if (!bad && count >= 64) bad = true;
        if (!bad) LIST_PUSH(p, steps, count, cap, step);
    }
    if (bad) {
        return parse_fail_at(p, pos, "cannot parse expression [%.*s]", (int)MIN(s.n, 100), s.p);
    }
    item->path = steps;
    item->path_count = count;
    return RC_OK;
}

/* a="b.c[0]", d */
static rc parse_extractions(parser *p, log_stage *st) {
    stage_item *items = NULL;
    size_t count = 0, cap = 0;
    while (is(p, TOK_IDENT)) {
        uint32_t pos = peek(p)->pos;
        stage_item one = {.name = peek(p)->val, .text = peek(p)->val};
        if (!is_label_name(one.name)) {
            return parse_fail_at(p, pos, "invalid extracted label name '%.*s'", STR_ARG(one.name));
        }
        (void)take(p, TOK_IDENT);
        rc c = RC_OK;
        if (take(p, TOK_EQ)) {
            one.has_text = true;
            pos = peek(p)->pos;
            c = parse_string(p, &one.text);
        }
        if (!c && st->kind == STAGE_JSON) c = parse_json_path(p, &one, pos);
        if (c) return c;
        if (count >= ITEMS_MAX) return parse_fail_at(p, pos, "more than %d labels", ITEMS_MAX);
        LIST_PUSH(p, items, count, cap, one);
        if (!take(p, TOK_COMMA)) break;
        if (!is(p, TOK_IDENT)) return parse_unexpected(p, "IDENTIFIER");
    }
    st->items = items;
    st->item_count = count;
    return RC_OK;
}

static rc parse_regexp_stage(parser *p, log_stage *st) {
    uint32_t pos = peek(p)->pos;
    rc c = parse_string(p, &st->arg);
    if (!c) c = compile(p, st->arg, REGEX_FIND, pos, &st->re);
    if (c) return c;
    size_t named = 0;
    for (size_t i = 1; i <= regex_group_count(st->re); i++) {
        str name = regex_group_name(st->re, i);
        if (name.n && !is_label_name(name)) {
            return parse_fail_at(p, pos, "invalid extracted label name '%.*s'", STR_ARG(name));
        }
        named += name.n > 0;
    }
    return named ? RC_OK : parse_fail_at(p, pos, "at least one named capture must be supplied");
}

/* `<ip> - <_> [<time>]`: literals and captures in turn. */
static rc parse_pattern_stage(parser *p, log_stage *st) {
    uint32_t pos = peek(p)->pos;
    rc c = parse_string(p, &st->arg);
    if (c) return c;
    pattern_piece *pieces = NULL;
    size_t count = 0, cap = 0, at = 0, literal_from = 0, named = 0;
    str s = st->arg;
    while (at < s.n) {
        size_t end = s.p[at] == '<' ? str_find_char(s, '>', at) : STR_NPOS;
        str name = end == STR_NPOS ? STR_NONE : str_sub(s, at + 1, end - at - 1);
        if (!is_label_name(name)) {
            at++;
            continue;
        }
        pattern_piece one = {.literal = str_sub(s, literal_from, at - literal_from),
                             .has_capture = true};
        if (!str_eq(name, S("_"))) {
            one.name = name;
            named++;
            for (size_t i = 0; i < count; i++) {
                if (str_eq(pieces[i].name, name)) {
                    return parse_fail_at(p, pos, "duplicate capture name: <%.*s>", STR_ARG(name));
                }
            }
        }
        if (count > 0 && one.literal.n == 0) {
            return parse_fail_at(p, pos,
                                 "found consecutive capture '<%.*s>': there must be text between",
                                 STR_ARG(name));
        }
        LIST_PUSH(p, pieces, count, cap, one);
        at = literal_from = end + 1;
    }
    if (named == 0) return parse_fail_at(p, pos, "at least one capture is required");
    if (literal_from < s.n) {
        pattern_piece last = {.literal = str_from(s, literal_from)};
        LIST_PUSH(p, pieces, count, cap, last);
    }
    st->pieces = pieces;
    st->piece_count = count;
    return RC_OK;
}

static rc parse_label_format(parser *p, log_stage *st) {
    stage_item *items = NULL;
    size_t count = 0, cap = 0;
    do {
        if (!is(p, TOK_IDENT)) return parse_unexpected(p, "IDENTIFIER");
        stage_item one = {.name = peek(p)->val};
        uint32_t pos = peek(p)->pos;
        (void)take(p, TOK_IDENT);
        rc c = parse_need(p, TOK_EQ, NULL);
        if (c) return c;
        if (is(p, TOK_IDENT)) {
            one.is_rename = true;
            one.text = peek(p)->val;
            (void)take(p, TOK_IDENT);
        } else {
            one.has_text = true;
            pos = peek(p)->pos;
            if (!is(p, TOK_STRING)) return parse_unexpected(p, "IDENTIFIER or STRING");
            c = parse_string(p, &one.text);
            if (!c) c = parse_template(p, one.text, pos, &one.tpl);
            if (c) return c;
        }
        for (size_t i = 0; i < count; i++) {
            if (str_eq(items[i].name, one.name)) {
                return parse_fail_at(
                    p, pos, "multiple label name '%.*s' not allowed in a single format operation",
                    STR_ARG(one.name));
            }
        }
        if (count >= ITEMS_MAX) return parse_fail_at(p, pos, "more than %d labels", ITEMS_MAX);
        LIST_PUSH(p, items, count, cap, one);
    } while (take(p, TOK_COMMA));
    st->items = items;
    st->item_count = count;
    return RC_OK;
}

static rc parse_drop_keep(parser *p, log_stage *st) {
    stage_item *items = NULL;
    size_t count = 0, cap = 0;
    do {
        if (!is(p, TOK_IDENT)) return parse_unexpected(p, "IDENTIFIER");
        stage_item one = {.name = peek(p)->val};
        uint32_t pos = peek(p)->pos;
        (void)take(p, TOK_IDENT);
        const token *op = peek(p);
        if (op->kind == TOK_EQ || op->kind == TOK_NE || op->kind == TOK_RE ||
            op->kind == TOK_NOT_RE) {
            (void)take(p, (token_kind)op->kind);
            one.has_text = true;
            rc c = parse_string(p, &one.text);
            if (c) return c;
            one.match = (label_match){.name = one.name, .value = one.text};
            one.match.op = op->kind == TOK_EQ   ? MATCH_EQ
                           : op->kind == TOK_NE ? MATCH_NE
                           : op->kind == TOK_RE ? MATCH_RE
                                                : MATCH_NOT_RE;
            if (one.match.op >= MATCH_RE) c = compile(p, one.text, REGEX_WHOLE, pos, &one.re);
            if (c) return c;
        }
        if (count >= ITEMS_MAX) return parse_fail_at(p, pos, "more than %d labels", ITEMS_MAX);
        LIST_PUSH(p, items, count, cap, one);
    } while (take(p, TOK_COMMA));
    st->items = items;
    st->item_count = count;
    return RC_OK;
}

/* --- the pipeline --- */

static const struct {
    const char *word;
    uint8_t kind;
} STAGE_WORDS[] = {{"json", STAGE_JSON},
                   {"logfmt", STAGE_LOGFMT},
                   {"regexp", STAGE_REGEXP},
                   {"pattern", STAGE_PATTERN},
                   {"unpack", STAGE_UNPACK},
                   {"line_format", STAGE_LINE_FORMAT},
                   {"label_format", STAGE_LABEL_FORMAT},
                   {"drop", STAGE_DROP},
                   {"keep", STAGE_KEEP},
                   {"decolorize", STAGE_DECOLORIZE}};

static rc parse_pipe_stage(parser *p, log_stage *st) {
    st->kind = STAGE_FILTER;
    compare_op ignored;
    const token *next = peek_at(p, 1);
    bool compared =
        compare_of(next->kind, &ignored) || next->kind == TOK_RE || next->kind == TOK_NOT_RE;
    for (size_t i = 0; i < ARRAY_LEN(STAGE_WORDS) && !compared; i++) {
        if (is_word(p, STAGE_WORDS[i].word)) {
            st->kind = STAGE_WORDS[i].kind;
            (void)take(p, TOK_IDENT);
            break;
        }
    }
    size_t budget = 0;
    rc c = RC_OK;
    uint32_t pos = peek(p)->pos;
    switch ((stage_kind)st->kind) {
    case STAGE_FILTER:
        return parse_filter_or(p, &budget, &st->filter);
    case STAGE_LOGFMT:
        while (is(p, TOK_FLAG)) {
            str flag = peek(p)->val;
            if (str_eq(flag, S("--strict"))) {
                st->strict = true;
            } else if (str_eq(flag, S("--keep-empty"))) {
                st->keep_empty = true;
            } else {
                return parse_fail_at(p, peek(p)->pos, "syntax error: unexpected %.*s",
                                     STR_ARG(flag));
            }
            (void)take(p, TOK_FLAG);
        }
        return parse_extractions(p, st);
    case STAGE_JSON:
        return parse_extractions(p, st);
    case STAGE_REGEXP:
        return parse_regexp_stage(p, st);
    case STAGE_PATTERN:
        return parse_pattern_stage(p, st);
    case STAGE_LINE_FORMAT:
        c = parse_string(p, &st->arg);
        return c ? c : parse_template(p, st->arg, pos, &st->tpl);
    case STAGE_LABEL_FORMAT:
        return parse_label_format(p, st);
    case STAGE_DROP:
    case STAGE_KEEP:
        return parse_drop_keep(p, st);
    case STAGE_UNPACK:
    case STAGE_DECOLORIZE:
    case STAGE_LINE:
        return RC_OK;
    }
    return RC_OK;
}

static bool at_line_stage(const parser *p) {
    switch (peek(p)->kind) {
    case TOK_PIPE_EXACT:
    case TOK_PIPE_MATCH:
    case TOK_PIPE_PATTERN:
    case TOK_NE:
    case TOK_NOT_RE:
    case TOK_NOT_PATTERN:
        return true;
    default:
        return false;
    }
}

/* Stages up to something else; `| unwrap` ends them, too. */
static rc parse_stages(parser *p, expr *to) {
    log_stage *stages = NULL;
    size_t count = 0, cap = 0;
    for (;;) {
        log_stage st = {.pos = peek(p)->pos};
        rc c;
        if (at_line_stage(p)) {
            c = parse_line_stage(p, &st);
        } else if (is(p, TOK_PIPE) && peek_at(p, 1)->kind == TOK_IDENT &&
                   str_eq_nocase(peek_at(p, 1)->val, S("unwrap"))) {
            break;
        } else if (take(p, TOK_PIPE)) {
            c = parse_pipe_stage(p, &st);
        } else {
            break;
        }
        if (c) return c;
        if (count >= ITEMS_MAX) return parse_fail_at(p, st.pos, "more than %d stages", ITEMS_MAX);
        LIST_PUSH(p, stages, count, cap, st);
    }
    if (count == 0) return RC_OK;
    if (to->stage_count) {
        return parse_fail_at(p, stages[0].pos, "syntax error: a second pipeline in one range");
    }
    to->stages = stages;
    to->stage_count = count;
    return RC_OK;
}

rc parse_logs(parser *p, expr *to) {
    rc c = parse_matchers(p, &to->match, &to->match_count);
    return c ? c : parse_stages(p, to);
}

static rc parse_unwrap(parser *p, expr *to) {
    (void)take(p, TOK_PIPE);
    uint32_t pos = peek(p)->pos;
    (void)take(p, TOK_IDENT);
    if (to->unwrap.n) return parse_fail_at(p, pos, "syntax error: unwrapped twice");
    if (!is(p, TOK_IDENT)) return parse_unexpected(p, "IDENTIFIER");
    bool call = peek_at(p, 1)->kind == TOK_OPEN_PAREN;
    if (call) {
        if (is_word(p, "bytes")) {
            to->unwrap_conv = UNWRAP_BYTES;
        } else if (is_word(p, "duration")) {
            to->unwrap_conv = UNWRAP_DURATION;
        } else if (is_word(p, "duration_seconds")) {
            to->unwrap_conv = UNWRAP_DURATION_SECONDS;
        } else {
            return parse_unexpected(p, "bytes, duration or duration_seconds");
        }
        (void)take(p, TOK_IDENT);
        (void)take(p, TOK_OPEN_PAREN);
        if (!is(p, TOK_IDENT)) return parse_unexpected(p, "IDENTIFIER");
    }
    to->unwrap = peek(p)->val;
    (void)take(p, TOK_IDENT);
    rc c = call ? parse_need(p, TOK_CLOSE_PAREN, NULL) : RC_OK;
    size_t budget = 0;
    while (!c && is(p, TOK_PIPE) && peek_at(p, 1)->kind != TOK_END) {
        const label_filter *f;
        (void)take(p, TOK_PIPE);
        c = parse_filter_or(p, &budget, &f);
        if (!c)
            to->unwrap_filter =
                to->unwrap_filter ? filter_pair(p, FILTER_AND, to->unwrap_filter, f) : f;
    }
    return c;
}

rc parse_log_range(parser *p, const log_range_info *info, expr *to) {
    to->fn = info->fn;
    uint32_t pos = to->pos;
    rc c = parse_need(p, TOK_OPEN_PAREN, NULL);
    if (c) return c;
    if (info->param) {
        expr *param = parse_node(p, EXPR_NUMBER, peek(p)->pos);
        bool negative = take(p, TOK_SUB);
        if (!is(p, TOK_NUMBER)) return parse_unexpected(p, "NUMBER");
        param->num = negative ? -peek(p)->num : peek(p)->num;
        (void)take(p, TOK_NUMBER);
        to->param = param;
        c = parse_need(p, TOK_COMMA, NULL);
        if (c) return c;
    }
    unsigned parens = 0;
    while (is(p, TOK_OPEN_PAREN)) {
        if (++parens > EXPR_DEPTH_MAX) return parse_enter(p);
        (void)take(p, TOK_OPEN_PAREN);
    }
    if (!is(p, TOK_OPEN_BRACE)) return parse_unexpected(p, "{");
    c = parse_logs(p, to);
    bool offset = false;
    while (!c) {
        uint32_t here = peek(p)->pos;
        if (is(p, TOK_OPEN_BRACKET)) {
            (void)take(p, TOK_OPEN_BRACKET);
            if (to->range_ns) return parse_fail_at(p, here, "syntax error: unexpected RANGE");
            if (!is(p, TOK_DURATION)) return parse_unexpected(p, "DURATION");
            to->range_ns = peek(p)->ns;
            (void)take(p, TOK_DURATION);
            c = parse_need(p, TOK_CLOSE_BRACKET, NULL);
            if (!c && to->range_ns <= 0)
                c = parse_fail_at(p, here, "the range must be greater than 0");
        } else if (is_word(p, "offset") && to->range_ns) {
            (void)take(p, TOK_IDENT);
            bool negative = take(p, TOK_SUB);
            if (offset || !is(p, TOK_DURATION)) return parse_unexpected(p, "DURATION");
            to->offset_ns = negative ? -peek(p)->ns : peek(p)->ns;
            offset = true;
            (void)take(p, TOK_DURATION);
        } else if (is(p, TOK_PIPE) && peek_at(p, 1)->kind == TOK_IDENT &&
                   str_eq_nocase(peek_at(p, 1)->val, S("unwrap"))) {
            c = parse_unwrap(p, to);
        } else if (parens > 0 && is(p, TOK_CLOSE_PAREN)) {
            (void)take(p, TOK_CLOSE_PAREN);
            parens--;
        } else if (at_line_stage(p) || is(p, TOK_PIPE)) {
            c = parse_stages(p, to);
        } else {
            break;
        }
    }
    if (c) return c;
    if (!to->range_ns) return parse_unexpected(p, "RANGE");
    c = parse_need(p, TOK_CLOSE_PAREN, NULL);
    if (!c) c = parse_grouping(p, &to->group);
    if (c) return c;
    if (to->group.present && !info->groups) {
        return parse_fail_at(p, pos, "grouping not allowed for %s aggregation", info->name);
    }
    if (info->unwrap == 1 && !to->unwrap.n) {
        return parse_fail_at(p, pos, "invalid aggregation %s without unwrap", info->name);
    }
    if ((info->unwrap == 0 || info->fn == RANGE_COUNT) && to->unwrap.n) {
        return parse_fail_at(p, pos, "invalid aggregation %s with unwrap", info->name);
    }
    if (to->group.present && !to->unwrap.n) {
        return parse_fail_at(p, pos, "grouping not allowed for %s aggregation", info->name);
    }
    return RC_OK;
}
