/* lexer.c - see lexer_int.h. Numbers, durations and sizes are read as one run of letters, digits
 * and points, then classified: 5m is a duration before it is anything else (as in Loki). Names may
 * hold points between letters (service.name), which neither language uses otherwise. Source: Loki
 * pkg/logql/syntax/lex.go, Prometheus promql/parser/lex.go, Go's string literals. */
#include "query/lexer_int.h"

#include "base/num.h"
#include "base/utf8.h"

#include <math.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alpha(char c) {
    char l = (char)(c | 0x20);
    return (l >= 'a' && l <= 'z') || c == '_';
}
static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* --- numbers --- */

static const struct {
    const char *unit;
    double ns;
} DURATION_UNITS[] = {{"ns", 1},      {"us", 1e3},        {"\xc2\xb5s", 1e3},  {"\xce\xbcs", 1e3},
                      {"ms", 1e6},    {"s", 1e9},         {"m", 60e9},         {"h", 3600e9},
                      {"d", 86400e9}, {"w", 7 * 86400e9}, {"y", 365 * 86400e9}};

bool lex_duration(str s, int64_t *ret_ns) {
    bool negative = s.n > 0 && s.p[0] == '-';
    size_t at = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    if (at == s.n) return false;
    if (s.n - at == 1 && s.p[at] == '0') {
        *ret_ns = 0;
        return true;
    }
    double sum = 0;
    int64_t exact = 0;
    while (at < s.n) {
        size_t from = at;
        while (at < s.n && (is_digit(s.p[at]) || s.p[at] == '.')) at++;
        double v;
        str digits = str_sub(s, from, at - from);
        if (digits.n == 0 || digits.p[digits.n - 1] == '.' || !num_double(digits, &v)) return false;
        from = at;
        while (at < s.n && !is_digit(s.p[at]) && s.p[at] != '.') at++;
        str unit = str_sub(s, from, at - from);
        double scale = 0;
        for (size_t i = 0; i < ARRAY_LEN(DURATION_UNITS); i++) {
            if (str_eq(unit, str_c(DURATION_UNITS[i].unit))) scale = DURATION_UNITS[i].ns;
        }
        if (scale == 0) return false;
        sum += v * scale;
        if (sum > 9.2e18) return false;
        exact += (int64_t)llround(v * scale);
    }
    *ret_ns = negative ? -exact : exact;
    return true;
}

bool lex_bytes(str s, double *ret) {
    size_t at = 0;
    while (at < s.n && (is_digit(s.p[at]) || s.p[at] == '.' || s.p[at] == ',')) at++;
    double v;
    if (at == 0 || !num_double(str_sub(s, 0, at), &v)) return false;
    while (at < s.n && s.p[at] == ' ') at++;
    str unit = str_from(s, at);
    if (unit.n == 0 || unit.n > 3) return false;
    double scale = 1;
    char first = (char)(unit.p[0] | 0x20);
    if (!(first == 'b' && unit.n == 1)) {
        const char *powers = "kmgtpe";
        const char *found = memchr(powers, first, 6);
        if (!found) return false;
        bool binary = unit.n >= 2 && (unit.p[1] | 0x20) == 'i';
        if (unit.n == 3 && !(binary && (unit.p[2] | 0x20) == 'b')) return false;
        if (unit.n == 2 && !binary && (unit.p[1] | 0x20) != 'b') return false;
        for (long i = 0; i <= found - powers; i++) scale *= binary ? 1024 : 1000;
    }
    *ret = v * scale;
    return true;
}

bool lex_number(str s, double *ret) {
    str body = s;
    bool negative = false;
    if (body.n > 0 && (body.p[0] == '-' || body.p[0] == '+')) {
        negative = body.p[0] == '-';
        body = str_from(body, 1);
    }
    double v;
    uint64_t hex;
    if (str_eq_nocase(body, S("inf")) || str_eq_nocase(body, S("infinity"))) {
        v = (double)INFINITY;
    } else if (str_eq_nocase(body, S("nan"))) {
        v = (double)NAN;
    } else if (str_starts_nocase(body, S("0x"))) {
        if (body.n < 3 || !num_hex(body, &hex)) return false;
        v = (double)hex;
    } else {
        if (body.n == 0 || !(is_digit(body.p[0]) || body.p[0] == '.')) return false;
        /* "5." is a number here, too */
        if (body.p[body.n - 1] == '.') body.n--;
        if (body.n == 0 || !num_double(body, &v) || isinf(v)) return false;
    }
    *ret = negative ? -v : v;
    return true;
}

/* --- strings --- */

static int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    char l = (char)(c | 0x20);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Go's escapes. False with a reason. `to` has room for s.n bytes. */
static bool unquote(str s, char quote, char *to, size_t *ret_n) {
    size_t n = 0;
    for (size_t at = 0; at < s.n; at++) {
        if (s.p[at] != '\\') {
            to[n++] = s.p[at];
            continue;
        }
        if (++at >= s.n) return false;
        char c = s.p[at];
        static const char FROM[] = "abfnrtv\\", TO[] = "\a\b\f\n\r\t\v\\";
        const char *known = memchr(FROM, c, sizeof(FROM) - 1);
        if (known) {
            to[n++] = TO[known - FROM];
            continue;
        }
        if (c == quote) {
            to[n++] = c;
            continue;
        }
        unsigned digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        uint32_t v = 0;
        if (digits) {
            if (s.n - at <= digits) return false;
            for (unsigned i = 0; i < digits; i++) {
                int h = hex_value(s.p[++at]);
                if (h < 0) return false;
                v = v << 4 | (uint32_t)h;
            }
        } else if (c >= '0' && c <= '3') {
            if (s.n - at < 3) return false;
            for (unsigned i = 0; i < 3; i++) {
                char o = s.p[at + i];
                if (o < '0' || o > '7') return false;
                v = v << 3 | (uint32_t)(o - '0');
            }
            at += 2;
            digits = 2; /* one byte, as \x */
        } else {
            return false;
        }
        if (digits == 2) {
            to[n++] = (char)v;
        } else {
            if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) return false;
            n += utf8_put(to + n, v); /* never longer than its escape */
        }
    }
    *ret_n = n;
    return true;
}

typedef struct lexer {
    str in;
    size_t at;
    dialect dialect;
    arena *mem;
} lexer;

static token bad(const lexer *x, size_t pos, str why) {
    return (token){.kind = TOK_ERROR,
                   .pos = (uint32_t)pos,
                   .end = (uint32_t)MIN(x->in.n, pos + 1),
                   .val = why};
}

static token string_token(lexer *x) {
    size_t from = x->at;
    char quote = x->in.p[from];
    size_t end = from + 1;
    while (end < x->in.n && x->in.p[end] != quote) {
        if (quote != '`' && x->in.p[end] == '\n') break;
        end += quote != '`' && x->in.p[end] == '\\' ? 2 : 1;
    }
    if (end >= x->in.n || x->in.p[end] != quote) return bad(x, from, S("literal not terminated"));
    str inner = str_sub(x->in, from + 1, end - from - 1);
    token t = {.kind = TOK_STRING, .pos = (uint32_t)from, .end = (uint32_t)end + 1, .val = inner};
    if (quote != '`' && str_find_char(inner, '\\', 0) != STR_NPOS) {
        char *to = arena_bytes(x->mem, inner.n, 1);
        size_t n;
        if (!unquote(inner, quote, to, &n)) return bad(x, from, S("invalid syntax"));
        t.val = str_make(to, n);
    }
    if (!utf8_valid(t.val)) return bad(x, from, S("invalid UTF-8 rune"));
    x->at = end + 1;
    return t;
}

static token number_token(lexer *x) {
    size_t from = x->at, end = from;
    const char *p = x->in.p;
    bool hex = end + 1 < x->in.n && p[end] == '0' && (p[end + 1] | 0x20) == 'x';
    while (end < x->in.n) {
        char c = p[end];
        bool exponent = !hex && end > from && (p[end - 1] | 0x20) == 'e' &&
                        (c == '+' || c == '-') && end + 1 < x->in.n && is_digit(p[end + 1]);
        if (!is_digit(c) && !is_alpha(c) && c != '.' && !exponent && (unsigned char)c < 0x80) break;
        end++;
    }
    token t = {.kind = TOK_NUMBER, .pos = (uint32_t)from, .end = (uint32_t)end};
    t.val = str_sub(x->in, from, end - from);
    x->at = end;
    if (lex_number(t.val, &t.num)) return t;
    if (lex_duration(t.val, &t.ns)) {
        t.kind = TOK_DURATION;
        t.num = (double)t.ns / 1e9;
        return t;
    }
    if (x->dialect == LOGQL && lex_bytes(t.val, &t.num)) {
        t.kind = TOK_BYTES;
        return t;
    }
    return bad(x, from, S("bad number or duration syntax"));
}

static const struct {
    char text[3];
    uint8_t kind;
} MARKS[] = {{"!=", TOK_NE},          {"=~", TOK_RE},
             {"!~", TOK_NOT_RE},      {"!>", TOK_NOT_PATTERN},
             {"==", TOK_EQ_EQ},       {"<=", TOK_LE},
             {">=", TOK_GE},          {"|=", TOK_PIPE_EXACT},
             {"|~", TOK_PIPE_MATCH},  {"|>", TOK_PIPE_PATTERN},
             {"=", TOK_EQ},           {"<", TOK_LT},
             {">", TOK_GT},           {"|", TOK_PIPE},
             {"{", TOK_OPEN_BRACE},   {"}", TOK_CLOSE_BRACE},
             {"(", TOK_OPEN_PAREN},   {")", TOK_CLOSE_PAREN},
             {"[", TOK_OPEN_BRACKET}, {"]", TOK_CLOSE_BRACKET},
             {",", TOK_COMMA},        {":", TOK_COLON},
             {"@", TOK_AT},           {"+", TOK_ADD},
             {"-", TOK_SUB},          {"*", TOK_MUL},
             {"/", TOK_DIV},          {"%", TOK_MOD},
             {"^", TOK_POW}};

const char *token_name(uint8_t kind) {
    static const char *const WORDS[] = {"$end",   "$error",   "IDENTIFIER", "STRING",
                                        "NUMBER", "DURATION", "BYTES",      "PARSER_FLAG"};
    if (kind < ARRAY_LEN(WORDS)) return WORDS[kind];
    for (size_t i = 0; i < ARRAY_LEN(MARKS); i++) {
        if (MARKS[i].kind == kind) return MARKS[i].text;
    }
    return "?";
}

/* A name as labels have it: service.name is service_name. */
static str plain_name(lexer *x, str name) {
    if (str_find_char(name, '.', 0) == STR_NPOS) return name;
    char *to = arena_bytes(x->mem, name.n, 1);
    for (size_t i = 0; i < name.n; i++) to[i] = name.p[i] == '.' ? '_' : name.p[i];
    return str_make(to, name.n);
}

static token next_token(lexer *x) {
    const char *p = x->in.p;
    for (;;) {
        while (x->at < x->in.n && is_space(p[x->at])) x->at++;
        if (x->at >= x->in.n || p[x->at] != '#') break;
        while (x->at < x->in.n && p[x->at] != '\n') x->at++;
    }
    size_t from = x->at;
    if (from >= x->in.n)
        return (token){.kind = TOK_END, .pos = (uint32_t)from, .end = (uint32_t)from};
    char c = p[from];
    char next = from + 1 < x->in.n ? p[from + 1] : '\0';
    if (c == '"' || c == '`' || (c == '\'' && x->dialect == PROMQL)) return string_token(x);
    if (is_digit(c) || (c == '.' && is_digit(next))) return number_token(x);
    bool flag = c == '-' && next == '-' && from + 2 < x->in.n && is_alpha(p[from + 2]);
    if (flag && x->dialect == LOGQL) {
        size_t end = from + 2;
        while (end < x->in.n && (is_alpha(p[end]) || p[end] == '-')) end++;
        x->at = end;
        return (token){.kind = TOK_FLAG,
                       .pos = (uint32_t)from,
                       .end = (uint32_t)end,
                       .val = str_sub(x->in, from, end - from)};
    }
    bool colon = x->dialect == PROMQL && c == ':' && (is_alpha(next) || next == ':');
    if (is_alpha(c) || colon) {
        size_t end = from;
        while (end < x->in.n) {
            char d = p[end];
            bool inner = d == '.' && end + 1 < x->in.n && is_alpha(p[end + 1]);
            if (!is_alpha(d) && !is_digit(d) && !inner && !(d == ':' && x->dialect == PROMQL))
                break;
            end++;
        }
        x->at = end;
        return (token){.kind = TOK_IDENT,
                       .pos = (uint32_t)from,
                       .end = (uint32_t)end,
                       .val = plain_name(x, str_sub(x->in, from, end - from))};
    }
    for (size_t i = 0; i < ARRAY_LEN(MARKS); i++) {
        str mark = str_c(MARKS[i].text);
        if (!str_starts(str_from(x->in, from), mark)) continue;
        x->at = from + mark.n;
        return (token){.kind = MARKS[i].kind, .pos = (uint32_t)from, .end = (uint32_t)x->at};
    }
    return bad(x, from, S("unexpected character"));
}

rc lex(str text, dialect d, arena *mem, const token **ret, size_t *ret_count, err *e) {
    if (text.n > QUERY_TEXT_MAX) {
        return FAIL(e, RC_INVALID, "parse error : the query has %zu bytes, at most %d are read",
                    text.n, QUERY_TEXT_MAX);
    }
    lexer x = {.in = text, .dialect = d, .mem = mem};
    size_t cap = 32, count = 0;
    token *t = arena_bytes(mem, cap * sizeof(token), _Alignof(token));
    do {
        if (count == cap) {
            token *more = arena_bytes(mem, 2 * cap * sizeof(token), _Alignof(token));
            memcpy(more, t, cap * sizeof(token));
            t = more;
            cap *= 2;
        }
        t[count] = next_token(&x);
    } while (t[count++].kind > TOK_ERROR);
    *ret = t;
    *ret_count = count;
    return RC_OK;
}
