/* fuzz_logfmt - the pair reader. Oracles: every call consumes; pairs lie in the text; pairs written
 * again with quotes read back the same. */
#include "codec/logfmt.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 14 };

static void quote(buf *out, str s) {
    buf_putc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') buf_putc(out, '\\');
        buf_putc(out, s.p[i]);
    }
    buf_putc(out, '"');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    str in = {(const char *)data, size};
    arena mem;
    arena_init(&mem, "fuzz", 16 << 20);
    logfmt_reader r = {.in = in};
    logfmt_pair p;
    size_t at = 0;
    buf again;
    buf_init(&again, 1 << 16);
    while (logfmt_next(&r, &p)) {
        MUST(r.at > at && r.at <= in.n);
        at = r.at;
        MUST(p.key.n == 0 || (p.key.p >= in.p && p.key.p + p.key.n <= in.p + in.n));
        str text, back;
        MUST(logfmt_text(&p, &mem, &text) == RC_OK);
        if (!p.has_value) continue;
        buf_reset(&again);
        buf_put(&again, S("k="));
        quote(&again, text);
        buf_put(&again, S(" z"));
        logfmt_reader r2 = {.in = buf_str(&again)};
        logfmt_pair p2;
        MUST(logfmt_next(&r2, &p2) && p2.quoted && !p2.damaged);
        MUST(logfmt_text(&p2, &mem, &back) == RC_OK && str_eq(text, back));
        MUST(logfmt_next(&r2, &p2) && str_eq(p2.key, S("z")) && !logfmt_next(&r2, &p2));
    }
    MUST(logfmt_score(in) <= 100);
    buf_release(&again);
    arena_release(&mem);
    return 0;
}
