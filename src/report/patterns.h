/* patterns.h - lists of templates for people and programs: what `faultline mine` and `faultline
 * patterns diff` print. Plain rows in, text out; the caller takes the rows from a miner. */
#ifndef FL_REPORT_PATTERNS_H
#define FL_REPORT_PATTERNS_H

#include "base/buf.h"
#include "model/log.h"
#include "report/report.h"

typedef enum patterns_format {
    PATTERNS_TEXT = 0,
    PATTERNS_JSON,
    PATTERNS_MARKDOWN
} patterns_format;

typedef struct pattern_param {
    str name; /* from the constant before it; may be empty */
    slot_type type;
} pattern_param;

typedef struct pattern_row {
    uint64_t id;
    str text;
    uint64_t count; /* lines */
    uint64_t
        count_before; /* patterns_diff_write: lines on the BEFORE side; count is the AFTER side */
    int64_t first_ns, last_ns; /* TS_NONE without times */
    uint8_t max_severity;
    const pattern_param *params; /* in order of appearance */
    size_t param_count;
} pattern_row;

typedef struct pattern_list {
    const pattern_row *rows;
    size_t count;
    uint64_t lines, lines_before; /* of all templates, printed or not */
    uint64_t overflow;            /* lines whose shape could not be kept */
    uint64_t folded;              /* lines that repeat the one before but for their values */
} pattern_list;

typedef struct patterns_opts {
    patterns_format format;
    size_t top;         /* 0: all */
    bool params;        /* show names and types of parameters */
    uint64_t min_count; /* diff: rows with fewer lines on both sides are left out */
    unsigned width;     /* text: columns; 0 = no limit */
    bool color;
    report_lang lang;
} patterns_opts;

/* Rows in the order given (the caller's: most frequent first). */
MUST_CHECK rc patterns_write(const pattern_list *l, const patterns_opts *opts, buf *out, err *e);
/* New, gone, more, fewer (by a two-sample Poisson test on the shares, Bonferroni-corrected, and a
 * ratio of at least 1.5), the rest counted. Most significant first within each group. */
MUST_CHECK rc patterns_diff_write(const pattern_list *l, const patterns_opts *opts, buf *out,
                                  err *e);

#endif
