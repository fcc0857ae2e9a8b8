/* report.h - an incident as terminal text, Markdown, JSON (docs/schema/report.schema.json) or
 * self-contained HTML. */
#ifndef FL_REPORT_REPORT_H
#define FL_REPORT_REPORT_H

#include "base/buf.h"
#include "model/incident.h"

typedef enum report_format {
    REPORT_TERMINAL = 0,
    REPORT_MARKDOWN,
    REPORT_JSON,
    REPORT_HTML
} report_format;
typedef enum report_lang { LANG_EN = 0, LANG_ZH } report_lang;

typedef struct report_opts {
    report_format format;
    report_lang lang;
    unsigned width;      /* terminal columns; 0 = 80 */
    bool color;          /* terminal: ANSI colours */
    bool utf8;           /* terminal: box drawing and arrows, else ASCII */
    size_t max_findings; /* rows in the table of findings; 0 = 15 (terminal), 40 (Markdown, HTML).
                            JSON has all */
} report_opts;

MUST_CHECK rc report_write(const incident *in, const report_opts *opts, buf *out, err *e);

#endif
