/* cmd_patterns.c - `patterns diff`: templates of two logs side by side. Both are mined together, so
 * that the same statement is the same template on either side. */
#include "app/commands.h"
#include "app/output.h"
#include "app/pattern_list.h"
#include "app/pipeline.h"

enum { DIFF_BYTES_MAX = 256 << 20 };

static rc mine_side(const read_opts *o, str path, const char *title, pipeline *ret, err *e) {
    read_opts side = *o;
    pipeline_want want = {0};
    side.ingest.paths = &path;
    side.ingest.path_count = 1;
    return pipeline_run(&side, &want, title, ret, e);
}

static int run(const cli_args *a, const read_opts *o, pipeline *before, pipeline *after, buf *text,
               err *e) {
    rc got = mine_side(o, a->operands[0], "before", before, e);
    if (got == RC_OK) got = mine_side(o, a->operands[1], "after", after, e);
    if (got != RC_OK) return tell_failure(e);
    size_t problems =
        pipeline_tell_problems(before, o->quiet) + pipeline_tell_problems(after, o->quiet);
    patterns_opts opts = {.format = (patterns_format)cli_choice(a, OPT_FORMAT_DIFF),
                          .min_count = cli_number(a, OPT_MIN_COUNT)};
    arena mem;
    arena_init(&mem, "template lists", DIFF_BYTES_MAX);
    pattern_list list;
    got = pattern_list_of(after->got.miner, before->got.miner, &mem, &list, e);
    if (got == RC_OK) got = patterns_diff_write(&list, &opts, text, e);
    arena_release(&mem);
    if (got != RC_OK) return tell_failure(e);
    output out;
    got = output_open(&out, o->fs, cli_text(a, OPT_OUTPUT), e);
    if (got == RC_OK) {
        output_put(&out, buf_str(text));
        got = output_close(&out, e);
    }
    if (got != RC_OK) {
        tell_failure(e);
        return EXIT_WITH_NO_OUTPUT;
    }
    return cli_has(a, OPT_STRICT) && problems > 0 ? EXIT_WITH_PARTIAL : EXIT_WITH_OK;
}

int cmd_patterns_diff(const cli_args *a) {
    read_opts o;
    pipeline before = {0}, after = {0};
    err e = {0};
    if (read_opts_from(a, &o, &e) != RC_OK) return tell_failure(&e);
    buf text;
    buf_init(&text, DIFF_BYTES_MAX);
    int status = run(a, &o, &before, &after, &text, &e);
    buf_release(&text);
    pipeline_release(&before);
    pipeline_release(&after);
    read_opts_release(&o);
    return status;
}
