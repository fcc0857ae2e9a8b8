/* fuzz_journal_export - entries of the journal export format. Oracles: next() always moves on at
 * the end of input; an entry found in a longer text is the same when the text ends right behind it.
 */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    static const ts_context utc = {0};
    const record_fmt *f = &record_fmt_journal_export;
    str in = {(const char *)data, size}, rest = in;
    MUST(f->score(in) <= 100);
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    line_ctx c = {.ts = &utc, .batch = &b, .stats = &stats, .line_no = 1};
    while (rest.n > 0) {
        size_t more = f->next(rest, false);
        size_t n = f->next(rest, true);
        MUST(n > 0 && n <= rest.n && (more == 0 || more == n));
        MUST(more == 0 || f->next(str_sub(rest, 0, n), true) == n);
        size_t before = b.count;
        c.offset = (uint64_t)(rest.p - in.p);
        rc code = f->parse(&c, str_sub(rest, 0, n), NULL);
        MUST(code == RC_OK || code == RC_INVALID);
        MUST(b.count <= before + (code == RC_OK));
        rest = str_from(rest, n);
    }
    for (size_t i = 0; i < b.count; i++) IGNORE(touch_record(&b.rec[i], in)); /* reads only */
    log_batch_release(&b);
    return 0;
}
