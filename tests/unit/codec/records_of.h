/* records_of.h - for tests: a whole text through one format's parser, and records as readable text.
 */
#ifndef FL_TESTS_RECORDS_OF_H
#define FL_TESTS_RECORDS_OF_H

#include "base/buf.h"
#include "codec/linefmt_int.h"

typedef struct parse_run {
    log_batch batch;
    log_parse_stats stats;
    uint64_t refused; /* lines (or records) that parse answered with RC_INVALID */
} parse_run;

/* The formats by name; NULL when there is none. */
const line_fmt *line_fmt_named(str name);
const record_fmt *record_fmt_named(str name);
void parse_run_init(parse_run *r);
void parse_run_release(parse_run *r);
/* Every line of `text` through `f`, as the dispatcher does it. `hooks` may be NULL: gives ts and
 * the inner hooks. RC_LIMIT when the batch is full. */
rc parse_lines(parse_run *r, const line_fmt *f, str text, const line_ctx *hooks);
rc parse_records(parse_run *r, const record_fmt *f, str text);
/* One record over several lines of text: time, level, names, body, attributes. */
void record_text(const log_record *r, buf *out);

#endif
