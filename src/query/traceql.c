/* traceql.c - the part of TraceQL that a span select can answer: one spanset filter, conditions
 * joined by &&. Scopes (resource. span. event. or a leading point) only name where Tempo looks an
 * attribute up; here a label is found in either place. Source: Tempo docs "TraceQL". */
#include "base/num.h"
#include "query/lexer_int.h"
#include "query/query.h"

enum { CONDITIONS_MAX = 64 };

typedef struct reader {
    str in;
    size_t at;
    arena *mem;
    err *e;
} reader;

static rc fail(reader *r, const char *what) {
    return FAIL(r->e, RC_INVALID, "invalid TraceQL query: parse error at line 1, col %zu: %s",
                r->at + 1, what);
}

static void blanks(reader *r) {
    while (r->at < r->in.n && (unsigned char)r->in.p[r->at] <= ' ') r->at++;
}

static bool take(reader *r, str mark) {
    blanks(r);
    if (!str_starts(str_from(r->in, r->at), mark)) return false;
    r->at += mark.n;
    return true;
}

/* A name, a bare word, a number or a duration: up to an operator or blank. */
static str word(reader *r) {
    blanks(r);
    size_t from = r->at;
    while (r->at < r->in.n) {
        char c = r->in.p[r->at];
        if ((unsigned char)c <= ' ' || str_find_char(S("=!<>~&|{}()\"`"), c, 0) != STR_NPOS) break;
        r->at++;
    }
    return str_sub(r->in, from, r->at - from);
}

static rc text_value(reader *r, str *ret, bool *ret_quoted) {
    blanks(r);
    char quote = r->at < r->in.n ? r->in.p[r->at] : '\0';
    *ret_quoted = quote == '"' || quote == '`';
    if (!*ret_quoted) {
        *ret = word(r);
        return ret->n ? RC_OK : fail(r, "a value is expected");
    }
    size_t end = r->at + 1;
    while (end < r->in.n && r->in.p[end] != quote)
        end += quote == '"' && r->in.p[end] == '\\' ? 2 : 1;
    if (end >= r->in.n) return fail(r, "literal not terminated");
    const token *t;
    size_t count;
    rc c = lex(str_sub(r->in, r->at, end + 1 - r->at), LOGQL, r->mem, &t, &count, r->e);
    if (c) return c;
    if (t[0].kind != TOK_STRING) return fail(r, "a damaged string");
    *ret = t[0].val;
    r->at = end + 1;
    return RC_OK;
}

static const struct {
    const char *text;
    char op; /* = ! ~ n(ot ~) > < G(>=) L(<=) */
} OPS[] = {{"=~", '~'}, {"!~", 'n'}, {"!=", '!'}, {">=", 'G'},
           {"<=", 'L'}, {"=", '='},  {">", '>'},  {"<", '<'}};

static rc set_duration(reader *r, span_select *q, char op, str v) {
    int64_t ns;
    if (!lex_duration(v, &ns) || ns < 0)
        return fail(r, "duration is compared with a duration such as 2s");
    switch (op) {
    case '>':
        q->min_duration_ns = MAX(q->min_duration_ns, ns + 1);
        return RC_OK;
    case 'G':
        q->min_duration_ns = MAX(q->min_duration_ns, ns);
        return RC_OK;
    case '<':
    case 'L':
        ns -= op == '<';
        if (ns <= 0) return fail(r, "no span is that short");
        q->max_duration_ns = q->max_duration_ns ? MIN(q->max_duration_ns, ns) : ns;
        return RC_OK;
    case '=':
        q->min_duration_ns = q->max_duration_ns = ns;
        return RC_OK;
    default:
        return fail(r, "unexpected operator for duration");
    }
}

static rc set_enum(reader *r, str name, char op, str v, span_select *q) {
    static const str STATUS[] = {S_INIT("unset"), S_INIT("ok"), S_INIT("error")};
    static const str KIND[] = {S_INIT("unspecified"), S_INIT("internal"), S_INIT("server"),
                               S_INIT("client"),      S_INIT("producer"), S_INIT("consumer")};
    bool status = str_eq(name, S("status"));
    const str *words = status ? STATUS : KIND;
    size_t count = status ? ARRAY_LEN(STATUS) : ARRAY_LEN(KIND);
    if (op != '=')
        return FAIL(r->e, RC_UNSUPPORTED, "TraceQL: only = is supported for %.*s yet",
                    STR_ARG(name));
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(words[i], v)) continue;
        if (status) {
            q->status = (int32_t)i;
        } else {
            q->kind = (int32_t)i;
        }
        return RC_OK;
    }
    return fail(r, "an unknown value");
}

static rc condition(reader *r, span_select *q, label_match *m, size_t *count) {
    str name = word(r);
    if (name.n == 0) return fail(r, "an attribute is expected");
    blanks(r);
    char op = 0;
    for (size_t i = 0; i < ARRAY_LEN(OPS) && !op; i++) {
        if (take(r, str_c(OPS[i].text))) op = OPS[i].op;
    }
    if (!op)
        return FAIL(r->e, RC_UNSUPPORTED,
                    "TraceQL: '%.*s' without a comparison is not supported yet", STR_ARG(name));
    str v;
    bool quoted;
    rc c = text_value(r, &v, &quoted);
    if (c) return c;
    if (str_eq(name, S("duration")) || str_eq(name, S("traceDuration")) ||
        str_eq(name, S("trace:duration")) || str_eq(name, S("span:duration"))) {
        return set_duration(r, q, op, v);
    }
    if (!quoted && (str_eq(name, S("status")) || str_eq(name, S("kind"))))
        return set_enum(r, name, op, v, q);
    label_match one = {.value = v};
    switch (op) {
    case '=':
        one.op = MATCH_EQ;
        break;
    case '!':
        one.op = MATCH_NE;
        break;
    case '~':
        one.op = MATCH_RE;
        break;
    case 'n':
        one.op = MATCH_NOT_RE;
        break;
    default:
        return FAIL(r->e, RC_UNSUPPORTED, "TraceQL: comparing '%.*s' by size is not supported yet",
                    STR_ARG(name));
    }
    static const str SCOPES[] = {
        S_INIT("resource."),        S_INIT("span."), S_INIT("event."), S_INIT("link."),
        S_INIT("instrumentation."), S_INIT("span:"), S_INIT("trace:"), S_INIT(".")};
    for (size_t i = 0; i < ARRAY_LEN(SCOPES); i++) {
        if (!str_starts(name, SCOPES[i])) continue;
        name = str_from(name, SCOPES[i].n);
        break;
    }
    if (str_eq(name, S("rootServiceName")) || str_eq(name, S("rootName"))) {
        q->roots_only = true;
        name = str_eq(name, S("rootName")) ? S("name") : S("service.name");
    }
    if (str_eq(name, S("name")) && one.op == MATCH_EQ && q->name.n == 0) {
        q->name = v;
        return RC_OK;
    }
    one.name = name;
    if (*count >= CONDITIONS_MAX) return fail(r, "too many conditions");
    m[(*count)++] = one;
    return RC_OK;
}

rc query_traceql(str text, arena *mem, span_select *ret, err *e) {
    if (text.n > QUERY_TEXT_MAX) return FAIL(e, RC_INVALID, "the query is too long");
    str own = str_dup(mem, text);
    if (text.n && !own.p) return FAIL(e, RC_LIMIT, "the query needs too much memory");
    reader r = {.in = own, .mem = mem, .e = e};
    span_select q = {.status = -1, .kind = -1};
    label_match *m = arena_try_new_n(mem, label_match, CONDITIONS_MAX);
    if (!m) return FAIL(e, RC_LIMIT, "the query needs too much memory");
    size_t count = 0;
    if (!take(&r, S("{"))) return fail(&r, "syntax error: { is expected");
    if (!take(&r, S("}"))) {
        for (;;) {
            rc c = condition(&r, &q, m, &count);
            if (c) return c;
            if (take(&r, S("}"))) break;
            if (take(&r, S("||")))
                return FAIL(e, RC_UNSUPPORTED, "TraceQL: || is not supported yet");
            if (!take(&r, S("&&"))) return fail(&r, "syntax error: && or } is expected");
        }
    }
    blanks(&r);
    if (r.at < own.n) return FAIL(e, RC_UNSUPPORTED, "TraceQL: only one { ... } is supported yet");
    q.c.match = m;
    q.c.match_count = count;
    *ret = q;
    return RC_OK;
}
