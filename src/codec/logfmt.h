/* logfmt.h - key=value pairs as Go, Heroku and many others write them:
 *
 *     time="2024-05-01T10:00:00Z" level=info msg="a \"quoted\" text" dur=12ms ok
 *
 * A key is a run of bytes above the blank, without '=' and '"'. A value is bare (to the next blank)
 * or quoted (JSON escapes; unknown escapes stand for their character). A bare key has no value.
 * There is no malformed logfmt: a quote without end takes the rest of the line (`damaged` is set),
 * stray bytes become bare keys. */
#ifndef FL_CODEC_LOGFMT_H
#define FL_CODEC_LOGFMT_H

#include "codec/linefmt_int.h"

typedef struct logfmt_pair {
    str key;
    str val;        /* raw: between the quotes; empty for a bare key */
    bool has_value; /* there was a '=' */
    bool quoted, escaped;
    bool damaged; /* the closing quote is missing */
} logfmt_pair;

typedef struct logfmt_reader {
    str in;
    size_t at;
} logfmt_reader;

/* False at the end. Every call consumes at least one byte. */
bool logfmt_next(logfmt_reader *r, logfmt_pair *ret);
/* The value with its escapes resolved; borrows when there are none. RC_LIMIT: `out` is full. */
MUST_CHECK rc logfmt_text(const logfmt_pair *p, arena *out, str *ret);
/* Does the line read as logfmt: begins with a pair, nearly all of it is pairs, and either a field
 * name that loggers use is among them or there are at least three. */
bool logfmt_looks_like(str line);
unsigned logfmt_score(str line);
/* Fills the record from the pairs (see fields_int.h). RC_LIMIT: the batch's arena is full. */
MUST_CHECK rc logfmt_fill(line_ctx *c, str line, unsigned nesting, log_record *r);

#endif
