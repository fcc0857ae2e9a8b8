/* formats_int.h - one writer a format. They append to `out`; a full buffer is found by report_write
 * at the end. */
#ifndef FL_REPORT_FORMATS_INT_H
#define FL_REPORT_FORMATS_INT_H

#include "report/view.h"

void report_json(view *v, const report_opts *opts, buf *out);
void report_markdown(view *v, const report_opts *opts, buf *out);
void report_terminal(view *v, const report_opts *opts, buf *out);
void report_html(view *v, const report_opts *opts, buf *out);

#endif
