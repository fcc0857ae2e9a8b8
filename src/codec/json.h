/* json.h - own zero-copy JSON scanner (a hot decoder): RFC 8259, pull style, depth-limited, SIMD
 * string scan.
 *
 *     json_reader r; json_init(&r, text);
 *     json_tok t; while (json_next(&r, &t) == RC_OK) ...
 *
 * Strings come back raw (between the quotes) with `escaped` set when they hold backslashes;
 * json_unescape writes the text. Numbers come back as their text. Duplicate keys are all delivered.
 * Errors say the byte offset. */
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

enum { JSON_DEPTH_MAX = 64 };

typedef struct json_tok {
    json_kind kind;
    bool escaped;  /* key or string with backslash escapes */
    str text;      /* key, string (raw), number, or the literal */
    size_t offset; /* of the token in the input */
} json_tok;

typedef struct json_reader {
    str in;
    size_t at;
    unsigned depth;
    uint8_t state;      /* internal */
    uint64_t is_object; /* bit per depth: object or array */
} json_reader;

void json_init(json_reader *r, str in);
/* RC_OK, RC_END (one whole value was read; r->at is behind it), RC_INVALID, RC_LIMIT (depth). */
MUST_CHECK rc json_next(json_reader *r, json_tok *ret, err *e);
/* Skips the value that begins with the token just returned (scalars: nothing to do). */
MUST_CHECK rc json_skip(json_reader *r, const json_tok *begin, err *e);
/* The token's text unescaped: borrows the input when there is nothing to unescape, else from `out`.
 * Lone surrogates become U+FFFD. */
MUST_CHECK rc json_text(const json_tok *t, arena *out, str *ret, err *e);
/* Whole-text check, RFC 8259. */
MUST_CHECK rc json_validate(str in, err *e);

#endif
