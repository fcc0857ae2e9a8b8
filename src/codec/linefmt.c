#include "codec/fields_int.h"
#include "codec/linefmt_int.h"

static log_record *place(const line_ctx *c, str line, log_record *r) {
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

log_record *line_record_add(line_ctx *c, str line) {
    return place(c, line, log_batch_add(c->batch));
}

log_record *line_record_add_over(line_ctx *c, str line) {
    return place(c, line, log_batch_add_over(c->batch));
}

void line_inner(line_ctx *c, str text, log_record *r) {
    if (field_inner(c, text, 1, r) != RC_OK) field_set_body(r, text);
}
