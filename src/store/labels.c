/* labels.c - see labels.h. Expressions are PCRE2, anchored at both ends, compiled once for a query
 * and tested by all its workers: a compiled code may be shared, match data may not, so each test
 * takes its own from the stack of the library (a block of a few hundred bytes). */
#include "store/labels.h"

#include "base/mem.h"
#include "base/rng.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MATCH_STEPS_MAX = 1 << 20 };

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

str label_name_of(str key, label_name *to) {
    to->n = MIN(key.n, (size_t)LABEL_NAME_MAX);
    for (size_t i = 0; i < to->n; i++) to->p[i] = is_plain(key.p[i]) ? key.p[i] : '_';
    return str_make(to->p, to->n);
}

bool label_is(str name, str key) {
    if (name.n != key.n) return false;
    for (size_t i = 0; i < key.n; i++) {
        if (name.p[i] == key.p[i]) continue;
        if ((is_plain(name.p[i]) ? name.p[i] : '_') != (is_plain(key.p[i]) ? key.p[i] : '_'))
            return false;
    }
    return true;
}

uint64_t label_pair_hash(str name, str value) {
    label_name plain;
    return str_hash_seed(value, str_hash(label_name_of(name, &plain)));
}

typedef struct matcher {
    str name, value;
    match_op op;
    pcre2_code *code;
} matcher;

struct matchers {
    arena mem;
    matcher *m;
    size_t count;
    pcre2_match_context *context;
};

static rc compile(matcher *m, err *e) {
    int number;
    PCRE2_SIZE at;
    m->code = pcre2_compile((PCRE2_SPTR)(m->value.n ? m->value.p : ""), m->value.n,
                            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_ANCHORED |
                                PCRE2_ENDANCHORED | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C,
                            &number, &at, NULL);
    if (m->code) {
        pcre2_jit_compile(m->code, PCRE2_JIT_COMPLETE); /* without it, it is interpreted */
        return RC_OK;
    }
    PCRE2_UCHAR text[160];
    pcre2_get_error_message(number, text, sizeof text);
    return FAIL(e, RC_INVALID, "the expression \"%.*s\" of label \"%.*s\" is wrong at %zu: %s",
                (int)MIN(m->value.n, (size_t)120), m->value.p ? m->value.p : "", STR_ARG(m->name),
                (size_t)at, (const char *)text);
}

rc matchers_new(const label_match *m, size_t count, matchers **ret, err *e) {
    if (count > MATCHERS_MAX)
        return FAIL(e, RC_LIMIT, "%zu label matchers; the maximum is %d", count, (int)MATCHERS_MAX);
    matchers *s = mem_new(matchers);
    arena_init(&s->mem, "matchers", 1 << 20);
    s->m = mem_new_n(matcher, count + 1);
    s->context = pcre2_match_context_create(NULL);
    rc code = s->context ? RC_OK : FAIL(e, RC_LIMIT, "no memory for matchers");
    if (s->context) pcre2_set_match_limit(s->context, MATCH_STEPS_MAX);
    for (size_t i = 0; i < count && code == RC_OK; i++) {
        matcher *x = &s->m[i];
        *x = (matcher){.name = str_dup(&s->mem, m[i].name),
                       .value = str_dup(&s->mem, m[i].value),
                       .op = m[i].op};
        s->count++;
        if (!x->name.p || !x->value.p)
            code = FAIL(e, RC_LIMIT, "label matchers of more than 1 MiB");
        else if (x->op == MATCH_RE || x->op == MATCH_NOT_RE)
            code = compile(x, e);
    }
    if (code != RC_OK) {
        matchers_free(s);
        return code;
    }
    *ret = s;
    return RC_OK;
}

void matchers_free(matchers *s) {
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) pcre2_code_free(s->m[i].code);
    pcre2_match_context_free(s->context);
    mem_free(s->m);
    arena_release(&s->mem);
    mem_free(s);
}

size_t matchers_count(const matchers *m) { return m ? m->count : 0; }
str matchers_name(const matchers *m, size_t i) { return m->m[i].name; }

static bool regex_test(const matchers *s, const matcher *m, str value) {
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data) return false;
    int n =
        pcre2_match(m->code, (PCRE2_SPTR)(value.n ? value.p : ""), value.n, 0, 0, data, s->context);
    pcre2_match_data_free(data);
    return n >= 0;
}

bool matchers_test(const matchers *s, size_t i, str value) {
    const matcher *m = &s->m[i];
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(m->value, value);
    case MATCH_NE:
        return !str_eq(m->value, value);
    case MATCH_RE:
        return regex_test(s, m, value);
    case MATCH_NOT_RE:
        return !regex_test(s, m, value);
    }
    return false;
}

bool matchers_only(const matchers *s, size_t i, str *ret) {
    if (s->m[i].op != MATCH_EQ || s->m[i].value.n == 0) return false;
    *ret = s->m[i].value;
    return true;
}
