#include "records_of.h"

const line_fmt *line_fmt_named(str name) {
    static const line_fmt *const all[] = {&line_fmt_otlp_json, &line_fmt_docker,
                                          &line_fmt_json,      &line_fmt_journal_json,
                                          &line_fmt_cri,       &line_fmt_logfmt};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (str_eq(name, str_c(all[i]->name))) return all[i];
    }
    return NULL;
}

const record_fmt *record_fmt_named(str name) {
    static const record_fmt *const all[] = {&record_fmt_journal_export, &record_fmt_json_doc};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (str_eq(name, str_c(all[i]->name))) return all[i];
    }
    return NULL;
}

void parse_run_init(parse_run *r) {
    memset(r, 0, sizeof(*r));
    log_batch_init(&r->batch);
}

void parse_run_release(parse_run *r) { log_batch_release(&r->batch); }

static const ts_context utc = {.anchor_ns = 1795170645000000000};

rc parse_lines(parse_run *r, const line_fmt *f, str text, const line_ctx *hooks) {
    line_ctx c = {0};
    if (hooks) c = *hooks;
    if (!c.ts) c.ts = &utc;
    c.batch = &r->batch;
    c.stats = &r->stats;
    c.file = 7;
    str rest = text, line;
    while (rest.n > 0 && str_next(&rest, '\n', &line)) {
        c.line_no++;
        c.offset = (uint64_t)(line.p - text.p);
        if (line.n == 0) continue;
        size_t before = r->batch.count;
        err e = {0};
        rc code = f->parse(&c, line, &e);
        if (code != RC_OK) {
            MUST(e.msg[0] && r->batch.count == before);
            if (code != RC_INVALID) return code;
            r->refused++;
        }
    }
    line_finish(&c);
    return RC_OK;
}

rc parse_records(parse_run *r, const record_fmt *f, str text) {
    line_ctx c = {.ts = &utc, .batch = &r->batch, .stats = &r->stats, .line_no = 1, .file = 7};
    str rest = text;
    while (rest.n > 0) {
        size_t n = f->next(rest, true);
        MUST(n > 0 && n <= rest.n);
        c.offset = (uint64_t)(rest.p - text.p);
        rc code = f->parse(&c, str_sub(rest, 0, n), NULL);
        if (code == RC_INVALID) {
            r->refused++;
        } else if (code != RC_OK) {
            return code;
        }
        for (size_t i = 0; i < n; i++) c.line_no += rest.p[i] == '\n';
        rest = str_from(rest, n);
    }
    return RC_OK;
}

static void named(buf *out, const char *name, str v) {
    if (v.n) buf_fmt(out, " %s=%.*s", name, STR_ARG(v));
}

void record_text(const log_record *r, buf *out) {
    char ts[TS_TEXT_BYTES];
    ts_format(r->ts_ns, ts);
    str sev = severity_text((severity)r->severity);
    buf_fmt(out, "%" PRIu64 ": %s %.*s", r->ref.line, ts, STR_ARG(sev.n ? sev : S("-")));
    if (r->line_count != 1) buf_fmt(out, " lines=%" PRIu32, r->line_count);
    named(out, "service", r->service);
    named(out, "component", r->component);
    named(out, "host", r->host);
    named(out, "trace", r->trace_id);
    named(out, "span", r->span_id);
    buf_put(out, S("\n  "));
    buf_json(out, r->body);
    buf_putc(out, '\n');
    for (uint32_t i = 0; i < r->attr_count; i++) {
        buf_fmt(out, "  %.*s = ", STR_ARG(r->attrs[i].key));
        buf_json(out, r->attrs[i].val);
        buf_putc(out, '\n');
    }
}
