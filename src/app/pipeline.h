/* pipeline.h - files to templates and profile: the scan that analyze, mine and patterns diff share.
 *
 *     inputs --ingest--> batches --mine--> shapes --detect--> profile (and sessions)
 *
 * The scan itself is detect/gather.h; here are the files and what the command line says of them. */
#ifndef FL_APP_PIPELINE_H
#define FL_APP_PIPELINE_H

#include "app/cli.h"
#include "detect/detect.h"
#include "detect/gather.h"
#include "detect/sessions.h"
#include "ingest/reader.h"
#include "mine/mine.h"
#include "model/source.h"

/* What the command line says about reading and mining; texts borrow from the arguments or live in
 * `mem`. */
typedef struct read_opts {
    arena mem;
    ingest_opts ingest;
    miner_opts miner;
    unsigned workers;
    bool quiet;
    const sys_fs *fs;
    const volatile int *cancel;
} read_opts;

/* Reads --log-format, --content, --timezone, --mask, --delimiters, --threads, --service, --follow.
 * Operands become paths. */
MUST_CHECK rc read_opts_from(const cli_args *a, read_opts *ret, err *e);
/* Without any path: standard input, unless it is a terminal (RC_INVALID). */
MUST_CHECK rc read_opts_default_stdin(read_opts *o, err *e);
void read_opts_release(read_opts *o);

/* miner, profile_opts, workers, cancel and endless are filled by pipeline_run. */
typedef gather_want pipeline_want;

typedef struct pipeline {
    source src;
    gathered got; /* what was wanted */
} pipeline;

/* RC_NOT_FOUND: no input could be read (each is told on standard error unless quiet). */
MUST_CHECK rc pipeline_run(const read_opts *o, const pipeline_want *want, const char *title,
                           pipeline *ret, err *e);
void pipeline_release(pipeline *p);
/* Resolves --since and --until: a time, or a duration before the newest record (which costs one
 * reading of the inputs). */
MUST_CHECK rc pipeline_range(const read_opts *o, str since, str until, int64_t *ret_from_ns,
                             int64_t *ret_to_ns, err *e);
/* One line on standard error for each input that was empty, skipped or read in part. Returns the
 * number of the latter two. */
size_t pipeline_tell_problems(const pipeline *p, bool quiet);

#endif
