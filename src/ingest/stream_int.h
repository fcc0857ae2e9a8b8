/* stream_int.h - the plain text of one input as a sequence of bytes: opened, decompressed,
 * byte-order mark dropped, UTF-16 turned into UTF-8.
 *
 * Regular files are read by position, so that several streams may share a descriptor and a file
 * that grows can be read on. Pipes are read through a `pipe_in`, which keeps a copy in an unlinked
 * temporary file and so makes them readable a second time. */
#ifndef FL_INGEST_STREAM_INT_H
#define FL_INGEST_STREAM_INT_H

#include <stdatomic.h>

#include "ingest/decode_int.h"
#include "sys/fs.h"

enum { STREAM_IN_BYTES = 256 << 10, STREAM_READ_MIN = 16 };
#define SPOOL_BYTES_MAX ((uint64_t)64 << 30)

/* What was taken from a pipe so far. One thread reads on; any thread may read what is kept. */
typedef struct pipe_in {
    int fd; /* the pipe; -1 until opened */
    bool owns_fd;
    int spool_fd;     /* -1 when there is none */
    atomic_bool kept; /* all of [0, taken) is in the spool */
    _Atomic uint64_t taken;
    bool ended;
} pipe_in;

void pipe_in_init(pipe_in *p, int fd, bool owns_fd);
void pipe_in_close(pipe_in *p, const sys_fs *fs);

typedef struct stream stream;

typedef struct stream_opts {
    const sys_fs *fs;
    str path;       /* opened when fd < 0 and no pipe is given */
    int fd;         /* borrowed when >= 0 */
    pipe_in *pipe;  /* borrowed; NULL for regular files */
    bool kept_only; /* of a pipe: only what is in the spool, never wait for more */
    uint64_t max_ratio;
} stream_opts;

/* Returns owned. Borrows path only for the call. */
MUST_CHECK rc stream_open(const stream_opts *o, stream **ret, err *e);
void stream_close(stream *s); /* accepts NULL */
/* Up to `cap` (>= STREAM_READ_MIN) further bytes. *ret_n = 0 is the end (of a plain file: for now;
 * calling again reads what was added). RC_IO, RC_CORRUPT, RC_LIMIT: the text stops before its end;
 * every byte read so far is good; the message says at which byte of the file. */
MUST_CHECK rc stream_read(stream *s, char *to, size_t cap, size_t *ret_n, err *e);
/* Position in the decoded text of the next byte read. */
uint64_t stream_at(const stream *s);
/* Bytes of the file consumed. */
uint64_t stream_raw_at(const stream *s);
/* Known after the first read. */
coding stream_coding(const stream *s);
/* The text is the file's bytes: offset in the text = offset in the file. */
bool stream_is_direct(const stream *s);
/* Of a direct stream after its first read: go on at `at`. */
void stream_seek(stream *s, uint64_t at);
int stream_fd(const stream *s); /* -1 for pipes */

#endif
