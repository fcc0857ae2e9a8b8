/* waterfall.h - one trace on the terminal: spans as a tree, when each ran, the time it took itself
 * (its duration less the union of its children's), errors, and the critical path. */
#ifndef FL_APP_WATERFALL_H
#define FL_APP_WATERFALL_H

#include "base/buf.h"
#include "codec/json_tree.h"

typedef struct waterfall_opts {
    unsigned width;
    bool color, utf8;
} waterfall_opts;

enum { WATERFALL_SPANS_MAX = 100000 };

/* trace: OTLP JSON (resourceSpans, or batches as Tempo has it). RC_NOT_FOUND without any span. */
MUST_CHECK rc waterfall_put(const json_value *trace, const waterfall_opts *o, arena *tmp, buf *out,
                            err *e);

#endif
