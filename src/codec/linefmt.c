#include "codec/fields_int.h"
#include "codec/linefmt_int.h"

log_record *line_record_add(line_ctx *c, str line) {
    log_record *r = log_batch_add(c->batch);
    if (!r) return NULL;
    r->raw = line;
    r->line_count = 1;
    r->ref = (log_ref){
        .offset = c->offset,
        .line = c->line_no,
        .file = c->file,
        .bytes = (uint32_t)MIN(line.n, UINT32_MAX),
    };
    return r;
}

void line_inner(line_ctx *c, str text, log_record *r) {
    if (field_inner(c, text, 1, r) != RC_OK) field_set_body(r, text);
}
