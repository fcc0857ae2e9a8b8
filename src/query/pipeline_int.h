/* pipeline_int.h - the stages of a log query over one record after another.
 *
 * A worker has one pipe. Labels of a record are not built unless a stage asks: what stages add,
 * change or drop is kept in a small list over the record, and a name is looked up there first. */
#ifndef FL_QUERY_PIPELINE_INT_H
#define FL_QUERY_PIPELINE_INT_H

#include "codec/json.h"
#include "query/expr_int.h"
#include "query/labels.h"

typedef struct made_label {
    str name, value;
    uint8_t class; /* label_class */
    bool dropped;
} made_label;

typedef struct log_pipe {
    const log_stage *stages;
    size_t stage_count;
    regex_state *re;
    arena scratch; /* of the record at hand */
    json_member *members;
    query_label *tmp_labels; /* LABELS_MAX */
    /* the record at hand */
    const log_record *record;
    int64_t ts_ns;
    str line;
    made_label *made; /* LABELS_MAX */
    size_t made_count;
    bool only_made; /* after keep: the record's own labels are gone */
    str error, error_details;
} log_pipe;

enum { PIPE_SCRATCH_MAX = 64 << 20 };

void pipe_init(log_pipe *p, const log_stage *stages, size_t stage_count);
void pipe_release(log_pipe *p); /* accepts a zeroed one */
/* Runs all stages; false when the record is filtered out. What the pipe holds is valid until the
 * next run. */
bool pipe_run(log_pipe *p, const log_record *r);
/* A label after the stages; STR_NONE when absent. __error__ too. */
str pipe_label(log_pipe *p, str name);
bool pipe_filter(log_pipe *p, const label_filter *f);
/* Does any stage make, change or drop labels of the stream? */
bool stages_touch_labels(const log_stage *stages, size_t count);
/* Labels after the stages, of one class or more; unsorted, none empty. Into `to` (LABELS_MAX).
 * Texts live in the scratch or in the record. */
size_t pipe_stream_labels(log_pipe *p, query_label *to);
size_t pipe_metadata(log_pipe *p, query_label *to);
size_t pipe_parsed(log_pipe *p, query_label *to); /* with __error__ */

#endif
