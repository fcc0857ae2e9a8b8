/* html_int.h - shared by html.c and html_timeline.c. */
#ifndef FL_REPORT_HTML_INT_H
#define FL_REPORT_HTML_INT_H

#include "report/view.h"

typedef struct page {
    view *v;
    buf *out;
} page;

void html_raw(page *h, const char *s); /* markup of our own */
void html_text(page *h, str s);        /* anything else: cleaned and escaped */
void html_label(page *h, text_key key);
/* The order of failures as an inline SVG: one lane a service or component. Nothing without times.
 */
void html_timeline(page *h);

#endif
