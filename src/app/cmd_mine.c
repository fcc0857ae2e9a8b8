/* cmd_mine.c - templates with counts, or one row per input line.
 *
 * The row form needs the final templates for lines read long before the last one is known, so each
 * line keeps a 32-bit number of its shape until the end (4 bytes a line); lines of a multi-line
 * record share theirs. */
#include <stdio.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/pattern_list.h"
#include "app/pipeline.h"
#include "app/state.h"
#include "base/map.h"

enum { LIST_BYTES_MAX = 1 << 30, ROW_BYTES_MAX = 4 << 20, LINES_MAX = 1 << 30 };

#define NO_SHAPE UINT32_MAX

/* Shape numbers of the lines of one input, by line - 1. */
typedef VEC(uint32_t) line_shapes;

typedef struct row_keeper {
    VEC(line_shapes) files;
    map64 number_of; /* shape hash to its place in `shapes` */
    VEC(uint64_t) shapes;
    uint64_t left_out; /* lines beyond LINES_MAX */
} row_keeper;

static uint32_t shape_number(row_keeper *k, uint64_t shape) {
    bool added;
    uint64_t *n = map64_put(&k->number_of, shape, &added);
    if (n == NULL) return NO_SHAPE;
    if (added) {
        *n = k->shapes.n;
        vec_push(&k->shapes, shape);
    }
    return (uint32_t)*n;
}

static void keep_rows(void *ctx, unsigned worker, const log_batch *b) {
    row_keeper *k = ctx;
    MUST(worker == 0); /* rows are kept by one worker */
    while (k->files.n <= b->file) vec_push(&k->files, (line_shapes){0});
    line_shapes *lines = &k->files.v[b->file];
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        uint32_t number = shape_number(k, r->shape);
        uint64_t end = r->ref.line - 1 + MAX(r->line_count, 1);
        if (end > LINES_MAX) {
            k->left_out++;
            continue;
        }
        while (lines->n < end) vec_push(lines, NO_SHAPE);
        for (uint64_t at = r->ref.line - 1; at < end; at++) lines->v[at] = number;
    }
}

static void row_keeper_release(row_keeper *k) {
    for (size_t i = 0; i < k->files.n; i++) vec_release(&k->files.v[i]);
    vec_release(&k->files);
    vec_release(&k->shapes);
    map64_release(&k->number_of);
}

/* The two last columns of every shape's rows, made once: "\tID\tTEXT\n". */
static str *row_tails(const row_keeper *k, const miner *m, arena *out) {
    str *tails = arena_try_new_n(out, str, k->shapes.n + 1);
    if (tails == NULL) return NULL;
    for (size_t i = 0; i < k->shapes.n; i++) {
        template_info t;
        uint64_t id = miner_template_of(m, k->shapes.v[i]);
        bool known = id != 0 && miner_template(m, id, &t) == RC_OK;
        tails[i] =
            known ? str_fmt(out, "\t%016" PRIx64 "\t%.*s\n", t.id, STR_ARG(t.text)) : S("\t0\t\n");
        if (tails[i].p == NULL) return NULL;
    }
    return tails;
}

static rc write_rows(const row_keeper *k, const miner *m, output *o, err *e) {
    arena mem;
    arena_init(&mem, "rows", LIST_BYTES_MAX);
    const str *tails = row_tails(k, m, &mem);
    buf number;
    buf_init(&number, 64);
    bool many = k->files.n > 1;
    for (size_t f = 0; tails != NULL && f < k->files.n; f++) {
        for (size_t i = 0; i < k->files.v[f].n; i++) {
            uint32_t shape = k->files.v[f].v[i];
            buf_reset(&number);
            if (many) buf_fmt(&number, "%zu:", f + 1);
            buf_u64(&number, i + 1);
            output_put(o, buf_str(&number));
            if (!output_put(o, shape == NO_SHAPE ? S("\t0\t\n") : tails[shape])) break;
        }
    }
    buf_release(&number);
    arena_release(&mem);
    return tails != NULL ? RC_OK : FAIL(e, RC_LIMIT, "the template texts do not fit in memory");
}

static rc write_list(const cli_args *a, const pipeline *p, output *o, err *e) {
    arena mem;
    arena_init(&mem, "template list", LIST_BYTES_MAX);
    buf text;
    buf_init(&text, LIST_BYTES_MAX);
    patterns_opts opts = {.format =
                              cli_choice(a, OPT_FORMAT_MINE) == 2 ? PATTERNS_JSON : PATTERNS_TEXT,
                          .top = (size_t)cli_number(a, OPT_TOP),
                          .params = cli_has(a, OPT_PARAMS)};
    pattern_list list;
    rc got = pattern_list_of(p->got.miner, NULL, &mem, &list, e);
    if (got == RC_OK) got = patterns_write(&list, &opts, &text, e);
    if (got == RC_OK) output_put(o, buf_str(&text));
    buf_release(&text);
    arena_release(&mem);
    return got;
}

static int print_result(const cli_args *a, const read_opts *o, const pipeline *p,
                        const row_keeper *rows, err *e) {
    output out;
    rc got = output_open(&out, o->fs, cli_text(a, OPT_OUTPUT), e);
    if (got != RC_OK) {
        tell_failure(e);
        return EXIT_WITH_NO_OUTPUT;
    }
    got = rows != NULL ? write_rows(rows, p->got.miner, &out, e) : write_list(a, p, &out, e);
    if (got != RC_OK) {
        output_abandon(&out);
        return tell_failure(e);
    }
    if (output_close(&out, e) == RC_OK) return EXIT_WITH_OK;
    tell_failure(e);
    return EXIT_WITH_NO_OUTPUT;
}

static int run(const cli_args *a, read_opts *o, row_keeper *rows, pipeline *p, err *e) {
    rc got = read_opts_default_stdin(o, e);
    pipeline_want want = {0};
    if (rows != NULL) {
        o->workers = 1;
        want.each_batch = keep_rows;
        want.each_ctx = rows;
    }
    if (got == RC_OK) {
        got = pipeline_range(o, cli_text(a, OPT_SINCE), cli_text(a, OPT_UNTIL), &want.from_ns,
                             &want.to_ns, e);
    }
    if (got == RC_OK) got = pipeline_run(o, &want, "mining", p, e);
    if (got != RC_OK) return tell_failure(e);
    size_t problems = pipeline_tell_problems(p, o->quiet);
    str state = cli_text(a, OPT_STATE);
    bool found; /* templates known from earlier runs keep their ids and counts */
    if (state.n > 0 && state_load(o->fs, state, p->got.miner, &found, e) != RC_OK) {
        return tell_failure(e);
    }
    int status = print_result(a, o, p, rows, e);
    if (status == EXIT_WITH_OK && state.n > 0 &&
        state_save(o->fs, state, p->got.miner, e) != RC_OK) {
        tell_failure(e);
        status = EXIT_WITH_NO_OUTPUT;
    }
    return status == EXIT_WITH_OK && cli_has(a, OPT_STRICT) && problems > 0 ? EXIT_WITH_PARTIAL
                                                                            : status;
}

int cmd_mine(const cli_args *a) {
    read_opts o;
    pipeline p = {0};
    err e = {0};
    if (read_opts_from(a, &o, &e) != RC_OK) return tell_failure(&e);
    row_keeper rows = {0};
    map64_init(&rows.number_of, NO_SHAPE - 1);
    bool by_line = cli_choice(a, OPT_FORMAT_MINE) == 1;
    int status = run(a, &o, by_line ? &rows : NULL, &p, &e);
    row_keeper_release(&rows);
    pipeline_release(&p);
    read_opts_release(&o);
    return status;
}
