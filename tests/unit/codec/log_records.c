/* log_records.c - for the golden tests: log_records FORMAT < input > records as text. */
#include <stdio.h>

#include "base/mem.h"
#include "records_of.h"

enum { INPUT_MAX = 1 << 20 };

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    char *text = mem_alloc(INPUT_MAX);
    str in = {text, fread(text, 1, INPUT_MAX, stdin)};
    parse_run r;
    parse_run_init(&r);
    const line_fmt *f = line_fmt_named(str_c(argv[1]));
    const record_fmt *rf = record_fmt_named(str_c(argv[1]));
    if (!f && !rf) return 2;
    rc code = f ? parse_lines(&r, f, in, NULL) : parse_records(&r, rf, in);
    buf out;
    buf_init(&out, 16 * INPUT_MAX);
    for (size_t i = 0; i < r.batch.count; i++) record_text(&r.batch.rec[i], &out);
    buf_fmt(&out, "%zu records, %" PRIu64 " lines refused, %" PRIu64 " damaged\n", r.batch.count,
            r.refused, r.stats.unparsed_lines);
    fwrite(out.p, 1, out.n, stdout);
    buf_release(&out);
    parse_run_release(&r);
    mem_free(text);
    return code != RC_OK || out.full;
}
