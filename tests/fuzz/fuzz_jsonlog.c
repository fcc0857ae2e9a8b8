/* fuzz_jsonlog - every line format over the same lines. Oracles: a refused line leaves the batch as
 * it was; records lie in the input and hold together; parsing is repeatable. */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

/* Some lines carry on, some have a header: enough to go through the container paths. */
static bool continues(void *ctx, str text) {
    (void)ctx;
    return text.p[0] == '\t' || text.p[0] == ' ';
}

static bool header(void *ctx, const line_ctx *c, str text, log_record *r) {
    (void)ctx;
    MUST(c->batch && r);
    if (!str_starts(text, S("E "))) return false;
    r->severity = SEV_ERROR;
    r->body = str_from(text, 2);
    return true;
}

static uint64_t run(const line_fmt *f, str in) {
    static const ts_context utc = {0};
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    line_ctx c = {.ts = &utc, .batch = &b, .stats = &stats};
    c.inner_parse = header;
    c.inner_continues = continues;
    str rest = in, line, prev = STR_NONE;
    while (rest.n > 0 && str_next(&rest, '\n', &line)) {
        c.line_no++;
        c.offset = (uint64_t)(line.p - in.p);
        if (line.n == 0) continue;
        unsigned score = f->score(line);
        MUST(score <= 100);
        bool starts = !f->starts || f->starts(&c, prev, line);
        size_t before = b.count;
        rc code = f->parse(&c, line, NULL);
        MUST(code == RC_OK || code == RC_INVALID);
        MUST(code == RC_OK || b.count == before);
        MUST(score < 60 || code == RC_OK || f == &line_fmt_otlp_json);
        MUST(starts || b.count <= before + 1);
        prev = line;
    }
    line_finish(&c);
    uint64_t h = b.count;
    for (size_t i = 0; i < b.count; i++) h = h * 31 + touch_record(&b.rec[i], in);
    log_batch_release(&b);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const line_fmt *const all[] = {&line_fmt_otlp_json, &line_fmt_docker,
                                          &line_fmt_json,      &line_fmt_journal_json,
                                          &line_fmt_cri,       &line_fmt_logfmt};
    if (size > INPUT_MAX) return 0;
    str in = {(const char *)data, size};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) MUST(run(all[i], in) == run(all[i], in));
    return 0;
}
