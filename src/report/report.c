#include "report/report.h"

#include "report/formats_int.h"

rc report_write(const incident *in, const report_opts *opts, buf *out, err *e) {
    MUST(opts->format <= REPORT_HTML && opts->lang <= LANG_ZH);
    size_t start = out->n;
    view v;
    view_init(&v, in, opts);
    switch (opts->format) {
    case REPORT_TERMINAL:
        report_terminal(&v, opts, out);
        break;
    case REPORT_MARKDOWN:
        report_markdown(&v, opts, out);
        break;
    case REPORT_JSON:
        report_json(&v, opts, out);
        break;
    case REPORT_HTML:
        report_html(&v, opts, out);
        break;
    }
    view_release(&v);
    if (!out->full) return RC_OK;
    out->n = start;
    return FAIL(e, RC_LIMIT, "the report is larger than %zu bytes", out->max_bytes);
}
