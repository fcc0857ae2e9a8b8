/* fuzz_logformat - any bytes as a log: the first byte sets options, the rest is the text. Oracles:
 * raw texts in order, apart and inside the text, with only white space between them; bodies inside
 * raw or in the batch's memory; parsing in blocks cut at boundaries gives the same records as
 * parsing at once. */
#include "codec/logformat.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DUMP_MAX = 32 << 20, INPUT_MAX = 1 << 16 };

static void dump_record(const log_record *r, buf *out) {
    buf_fmt(out, "%" PRIu64 " %u %" PRIu64 " %u %u %" PRId64 " ", r->ref.offset, r->ref.bytes,
            r->ref.line, r->line_count, r->severity, r->ts_ns);
    buf_put(out, r->body);
    buf_put(out, r->component);
    buf_put(out, r->service);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        buf_put(out, r->attrs[i].key);
        buf_put(out, r->attrs[i].val);
    }
    buf_putc(out, '\n');
}

static void check_cover(str text, const log_batch *b, size_t at, size_t to) {
    if (at == 0 && str_starts(text, S("\xef\xbb\xbf"))) at = 3;
    for (size_t i = 0; i <= b->count; i++) {
        size_t next = i < b->count ? b->rec[i].ref.offset : to;
        MUST(next >= at && next <= to);
        MUST(str_trim(str_sub(text, at, next - at)).n == 0);
        if (i == b->count) break;
        MUST(b->rec[i].raw.p == text.p + next && b->rec[i].raw.n == b->rec[i].ref.bytes);
        MUST(b->rec[i].line_count >= 1 && b->rec[i].severity <= SEV_MAX);
        at = next + b->rec[i].ref.bytes;
        MUST(at <= to);
    }
}

static void parse(const log_format *f, str text, size_t block, bool cover, buf *out) {
    log_batch b;
    log_batch_init(&b);
    log_parse_stats st = {0};
    size_t at = 0, want = 0;
    while (at < text.n) {
        want += block;
        str chunk = str_sub(text, at, want);
        size_t whole = at + chunk.n == text.n ? chunk.n : log_format_boundary(f, chunk);
        MUST(whole <= chunk.n);
        if (whole == 0) continue;
        want = 0;
        for (size_t end = at + whole; at < end;) {
            size_t used;
            rc code = log_format_parse(f, str_sub(text, at, end - at), at, st.lines + 1, &b, &st,
                                       &used, NULL);
            MUST(code == RC_OK && used > 0);
            if (cover) check_cover(text, &b, at, at + used);
            for (size_t i = 0; i < b.count; i++) dump_record(&b.rec[i], out);
            at += used;
            log_batch_reset(&b);
        }
    }
    log_batch_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > INPUT_MAX) return 0;
    str text = str_make((const char *)data + 1, size - 1);
    const char *const *names = log_format_names();
    size_t count = 0;
    while (names[count]) count++;
    uint8_t pick = data[0];
    log_format_opts opts = {
        .name = pick < 128 ? STR_NONE : str_c(names[pick % count]),
        .content_only = pick == 1,
        .max_line_bytes = pick == 2 ? 20 : 0,
        .file_time_ns = INT64_C(1795170645000000000),
    };
    log_format *f;
    if (log_format_detect(text, &opts, &f, NULL) != RC_OK) return 0;
    MUST(log_format_describe(f).n > 0);
    /* Formats that join lines across others (containers) or hold many records in one line have no
     * simple cover; their own targets look after them. */
    str d = log_format_describe(f);
    bool structured = str_has(d, S("docker")) || str_has(d, S("cri")) || str_has(d, S("json")) ||
                      str_has(d, S("journal")) || str_has(d, S("prefixed"));
    buf once, parts;
    buf_init(&once, DUMP_MAX);
    buf_init(&parts, DUMP_MAX);
    parse(f, text, text.n ? text.n : 1, !structured, &once);
    if (!structured) {
        parse(f, text, 1 + pick % 100, true, &parts);
        MUST(once.full || str_eq(buf_str(&once), buf_str(&parts)));
    }
    buf_release(&once);
    buf_release(&parts);
    log_format_free(f);
    return 0;
}
