/* container.h - what container runtimes write around a program's output.
 *
 *     Docker json-file   {"log":"text\n","stream":"stdout","attrs":{..},"time":"2020-01-01T..Z"}
 *     compose            order-service-1  | text
 *     kubectl --prefix   [pod/cart-5b67c48447-mv5hb/cart] text
 *     CRI (Kubernetes)   2016-10-06T00:17:09.669794202Z stdout F text
 *
 * Both runtimes cut long lines (16 KB) into pieces: Docker leaves out the final newline, CRI writes
 * P (partial) in place of F (full). The pieces of one stream are joined into one record, up to
 * LINE_JOIN_MAX bytes; the streams are kept apart. A piece that the text side calls a continuation
 * (a stack frame) belongs to the record before it in its stream: it is gathered into the attribute
 * exception.stacktrace, with exception.type and exception.message where they can be told.
 * The joined text is then read as what it is: JSON object, logfmt, or text with a header. The time
 * is the runtime's, which has nanoseconds and a zone; level, logger and message are the program's.
 * raw and ref cover the lines from the first piece to the last as long as no other stream's line
 * stands between them. */
#ifndef FL_CODEC_CONTAINER_H
#define FL_CODEC_CONTAINER_H

#include "codec/linefmt_int.h"

bool cri_looks_like(str line);
bool docker_looks_like(str line);

/* For other formats whose records each carry one line of a program's output (a shipper's envelope):
 * is `text` a line that continues the batch's record `j` speaks of, one of fewer than
 * LOG_RECORD_LINES_MAX lines? */
bool line_join_continues(const line_ctx *c, const line_join *j, str text);
/* Adds it to that record. RC_LIMIT: the arena is full. */
MUST_CHECK rc line_join_frame(line_ctx *c, line_join *j, str line, str text);
/* The record before is complete; the batch's last one is what further lines may continue. */
void line_join_next(line_ctx *c, line_join *j);

#endif
