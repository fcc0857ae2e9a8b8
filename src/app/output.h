/* output.h - where a command prints: standard output, or a file that appears only when it is whole.
 *
 * A regular file is written beside its name and renamed at output_close, so a full disk leaves an
 * older one as it was. Writes are gathered in a buffer of OUTPUT_BLOCK_BYTES. The first failure is
 * kept and told by output_close. */
#ifndef FL_APP_OUTPUT_H
#define FL_APP_OUTPUT_H

#include "base/buf.h"
#include "sys/fs.h"

enum { OUTPUT_BLOCK_BYTES = 256 << 10 };

typedef struct output {
    const sys_fs *fs;
    int fd;
    str path;      /* empty: standard output; borrows */
    buf temp_path; /* empty: written in place */
    buf block;
    rc failed; /* first failure; further writes are dropped */
    err why;
} output;

/* `path` empty or "-": standard output. */
MUST_CHECK rc output_open(output *o, const sys_fs *fs, str path, err *e);
/* True while nothing has failed. */
bool output_put(output *o, str s);
/* Flushes, makes the file appear, closes. RC_OK also when the reader of a pipe went away. */
MUST_CHECK rc output_close(output *o, err *e);
/* Drops what was written; for a command that failed. Accepts a closed output. */
void output_abandon(output *o);

#endif
