/* reader.h - log files as a `source`: files, directories, globs, standard input, gzip, zstd, xz and
 * bzip2, growing files.
 *
 * Inputs are expanded and opened by ingest_files_new (each that can't be opened is an input_info
 * with state INPUT_SKIPPED and its problem; the others are still read). scan_logs reads each file
 * in blocks of READ_BLOCK_BYTES cut at record boundaries; one reader thread decompresses, workers
 * parse and call the sink. Memory is bounded by the number of blocks in flight, not by file size.
 * fetch_logs reads evidence back: pread for plain files, one more pass for compressed ones, a spool
 * file for a piped standard input. */
#ifndef FL_INGEST_READER_H
#define FL_INGEST_READER_H

#include "codec/logformat.h"
#include "model/source.h"
#include "sys/clock.h"
#include "sys/fs.h"

enum { READ_BLOCK_BYTES = 512 << 10, INPUT_FILES_MAX = 65536, DIR_DEPTH_MAX = 32 };

typedef struct ingest_opts {
    const str *paths; /* files, directories, globs, "-" */
    size_t path_count;
    log_format_opts format; /* default for every file; file_time_ns is set per file */
    str default_service;    /* for records that state none and files whose name says none */
    bool follow; /* keep reading growing files (rotation and truncation are followed) until
                    cancelled */
    uint64_t max_decompression_ratio; /* 0 = 1000 */
    const sys_fs *fs;                 /* NULL = the real one */
    const sys_clock *clock;           /* NULL = the real one; paces follow and progress */
    /* Called from scans about every 100 ms, and at their end, with bytes of files read and the
     * total (0 when unknown), on the thread that reads; may be NULL. */
    void (*progress)(void *ctx, uint64_t bytes, uint64_t total_bytes);
    void *progress_ctx;
} ingest_opts;

/* Borrows opts only for the call. RC_INVALID when no path was given, RC_NOT_FOUND when no input at
 * all could be opened (each with its line in `e` or in the report). Returns owned:
 * ret->ops->free(ret->ctx). */
MUST_CHECK rc ingest_files_new(const ingest_opts *opts, source *ret, err *e);

#endif
