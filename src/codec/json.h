/* json.h - own zero-copy JSON scanner (a hot decoder): RFC 8259, pull style, depth-limited, SIMD
 * string scan.
 *
 *     json_reader r; json_init(&r, text);
 *     json_tok t; while ((c = json_next(&r, &t, e)) == RC_OK) ...      ends with RC_END
 *
 * Strings come back raw (between the quotes) with `escaped` set when they hold backslashes;
 * json_text writes the text. Numbers come back as their text. Duplicate keys are all delivered.
 * Errors say the byte offset.
 *
 * Strictness: the grammar of RFC 8259 and nothing else (no comments, no trailing commas, no NaN, no
 * byte order mark, known escapes only). One leniency can be asked for: `raw_controls` admits
 * unescaped control characters inside strings, as careless loggers write them.
 * UTF-8: json_next delivers the bytes of a string as they are, valid or not, because a log line is
 * worth keeping; json_validate checks them. Escapes become valid UTF-8: lone surrogates turn into
 * U+FFFD, and \u0000 into a NUL byte (str may hold it). */
#ifndef FL_CODEC_JSON_H
#define FL_CODEC_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

typedef enum json_kind {
    JSON_OBJECT_BEGIN = 1,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
} json_kind;

enum { JSON_DEPTH_MAX = 320 }; /* OTLP/JSON takes 4 levels for each nested value */

typedef struct json_tok {
    json_kind kind;
    bool escaped;  /* key or string with backslash escapes */
    str text;      /* key, string (raw), number, or the literal; brackets: the one byte */
    size_t offset; /* of the token in the input (strings: of the opening quote) */
} json_tok;

typedef struct json_reader {
    str in;
    size_t at;
    unsigned depth;
    uint8_t state;     /* internal */
    bool raw_controls; /* set after json_init: strings may hold bytes below 0x20 */
    uint64_t is_object[JSON_DEPTH_MAX / 64]; /* bit per depth: object or array */
} json_reader;

void json_init(json_reader *r, str in);
/* RC_OK, RC_END (one whole value was read; r->at is behind it), RC_INVALID, RC_LIMIT (depth). After
 * an error r->at is the place of the damage (in.n: the text ends early) and further calls answer
 * RC_INVALID. */
MUST_CHECK rc json_next(json_reader *r, json_tok *ret, err *e);
/* Skips the value that begins with the token just returned (scalars: nothing to do; a key: its
 * value). */
MUST_CHECK rc json_skip(json_reader *r, const json_tok *begin, err *e);
/* The whole text of the array or object that `begin` began, which the reader stands right behind
 * (after json_skip, or after its end token). */
static inline str json_span(const json_reader *r, const json_tok *begin) {
    return (str){r->in.p + begin->offset, r->at - begin->offset};
}
/* The token's text unescaped: borrows the input when there is nothing to unescape, else from `out`.
 * Lone surrogates become U+FFFD. RC_LIMIT: `out` is full. */
MUST_CHECK rc json_text(const json_tok *t, arena *out, str *ret, err *e);
/* Whole-text check, RFC 8259 with valid UTF-8; white space may stand around the value. */
MUST_CHECK rc json_validate(str in, err *e);

/* One member of an object laid flat. */
typedef struct json_member {
    str key;      /* unescaped; members of nested objects carry their path: "http.method" */
    json_tok val; /* JSON_STRING (raw), JSON_NUMBER, literals; arrays, empty objects and objects
                     below JSON_FLAT_DEPTH come as JSON_ARRAY_BEGIN or JSON_OBJECT_BEGIN with
                     val.text their whole text */
} json_member;

enum { JSON_FLAT_DEPTH = 6 };

/* The fast path for log lines: the object at the start of `in` (white space before it is fine) as a
 * table of its members in their order, at most `cap`; *ret_total counts all of them. Keys that had
 * to be built live in `out`. *ret_used: bytes up to the closing brace. On RC_INVALID the outputs
 * are set all the same, to what stood before the damage (a line that was cut off), *ret_used is its
 * place (in.n: the text ends early). Nesting beyond JSON_DEPTH_MAX is RC_INVALID here. RC_LIMIT:
 * `out` is full, no output is set. */
typedef struct json_flat_opts {
    bool raw_controls;
    unsigned depth; /* levels of objects laid flat, 1 = the top one only; 0 = JSON_FLAT_DEPTH */
} json_flat_opts;

MUST_CHECK rc json_flat(str in, const json_flat_opts *opts, arena *out, json_member *members,
                        size_t cap, size_t *ret_total, size_t *ret_used, err *e);

#endif
