/* parse_int.h - between the two files of the parser: expressions (parse.c) and log pipelines
 * (parse_logs.c). */
#ifndef FL_QUERY_PARSE_INT_H
#define FL_QUERY_PARSE_INT_H

#include "query/expr_int.h"

typedef struct parser {
    query_text *q;
    arena *mem; /* of q */
    const token *tok;
    size_t at, count;
    unsigned depth;
    err *e;
} parser;

static inline const token *peek(const parser *p) { return &p->tok[p->at]; }
static inline const token *peek_at(const parser *p, size_t ahead) {
    return &p->tok[MIN(p->at + ahead, p->count - 1)];
}
static inline bool is(const parser *p, token_kind k) { return peek(p)->kind == k; }
/* An identifier that is this keyword, in any case. */
static inline bool is_word(const parser *p, const char *word) {
    return is(p, TOK_IDENT) && str_eq_nocase(peek(p)->val, str_c(word));
}
static inline bool take(parser *p, token_kind k) {
    if (!is(p, k)) return false;
    if (p->at + 1 < p->count) p->at++;
    return true;
}
static inline bool take_word(parser *p, const char *word) {
    return is_word(p, word) && take(p, TOK_IDENT);
}

/* RC_INVALID at a place of the text. */
rc parse_fail_at(parser *p, uint32_t pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "syntax error: unexpected X, expecting Y" at the next token; expecting may be NULL. */
rc parse_unexpected(parser *p, const char *expecting);
MUST_CHECK rc parse_need(parser *p, token_kind k, const char *expecting);
MUST_CHECK rc parse_string(parser *p, str *ret);
/* `(a, b)` or, with brackets false, `a, b`: names. */
MUST_CHECK rc parse_names(parser *p, const str **ret, size_t *ret_count);
MUST_CHECK rc parse_enter(parser *p); /* one level deeper; p->depth-- leaves */

/* { ... } */
MUST_CHECK rc parse_matchers(parser *p, const label_match **ret, size_t *ret_count);
/* {...} | stage | stage */
MUST_CHECK rc parse_logs(parser *p, expr *to);
/* fn( ... ) with the name just behind */
MUST_CHECK rc parse_log_range(parser *p, const log_range_info *info, expr *to);
MUST_CHECK rc parse_expr(parser *p, const expr **ret);
MUST_CHECK rc parse_grouping(parser *p, grouping *ret);
expr *parse_node(parser *p, expr_kind kind, uint32_t pos);

/* A growing list in the arena of the text. */
#define LIST_PUSH(p, list, count, cap, ...)                                                        \
    do {                                                                                           \
        if ((count) == (cap)) {                                                                    \
            size_t cap_ = (cap) ? 2 * (cap) : 4;                                                   \
            void *more_ = arena_bytes((p)->mem, cap_ * sizeof(*(list)), 8);                        \
            if (count) memcpy(more_, (list), (count) * sizeof(*(list)));                           \
            (list) = more_;                                                                        \
            (cap) = cap_;                                                                          \
        }                                                                                          \
        (list)[(count)++] = __VA_ARGS__;                                                           \
    } while (0)

#endif
