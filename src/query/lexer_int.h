/* lexer_int.h - words of the query languages: one lexer for LogQL and PromQL (and what follows).
 *
 * The whole text becomes an array of tokens before the parser runs, so the parser may look ahead as
 * far as it likes. Keywords are identifiers: what they mean depends on where they stand. A text
 * that is no token at all ends the array with TOK_ERROR, reported when the parser gets there. */
#ifndef FL_QUERY_LEXER_INT_H
#define FL_QUERY_LEXER_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef enum dialect { LOGQL = 0, PROMQL } dialect;

enum { QUERY_TEXT_MAX = 64 << 10 };

typedef enum token_kind {
    TOK_END = 0,
    TOK_ERROR, /* val: why */
    TOK_IDENT,
    TOK_STRING,   /* val: unquoted */
    TOK_NUMBER,   /* num */
    TOK_DURATION, /* ns; num: seconds */
    TOK_BYTES,    /* num */
    TOK_FLAG,     /* --strict */
    TOK_OPEN_BRACE,
    TOK_CLOSE_BRACE,
    TOK_OPEN_PAREN,
    TOK_CLOSE_PAREN,
    TOK_OPEN_BRACKET,
    TOK_CLOSE_BRACKET,
    TOK_COMMA,
    TOK_COLON,
    TOK_AT,
    TOK_EQ,
    TOK_EQ_EQ,
    TOK_NE,
    TOK_RE,
    TOK_NOT_RE,
    TOK_LT,
    TOK_LE,
    TOK_GT,
    TOK_GE,
    TOK_ADD,
    TOK_SUB,
    TOK_MUL,
    TOK_DIV,
    TOK_MOD,
    TOK_POW,
    TOK_PIPE,
    TOK_PIPE_EXACT,
    TOK_PIPE_MATCH,
    TOK_PIPE_PATTERN,
    TOK_NOT_PATTERN,
    TOK_COUNT
} token_kind;

typedef struct token {
    uint8_t kind;      /* token_kind */
    uint32_t pos, end; /* in the text */
    str val;           /* identifiers and flags as written, strings unquoted */
    double num;
    int64_t ns;
} token;

/* Tokens in mem, TOK_END or TOK_ERROR last. RC_INVALID: the text is longer than QUERY_TEXT_MAX. */
MUST_CHECK rc lex(str text, dialect d, arena *mem, const token **ret, size_t *ret_count, err *e);
/* As goyacc names them in messages: "$end", "IDENTIFIER", "STRING", "{". */
const char *token_name(uint8_t kind);

/* "1h30m", "1.5s", "-250ms", "2d": also the values of labels. */
bool lex_duration(str s, int64_t *ret_ns);
/* "42MB", "1.5 GiB", "7b", any case: 1000-based without i, as Loki reads them. */
bool lex_bytes(str s, double *ret);
/* "1e3", "0x1f", ".5", "+Inf", "nan" */
bool lex_number(str s, double *ret);

#endif
