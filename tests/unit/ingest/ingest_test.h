/* ingest_test.h - what the tests of this room share: a scratch directory, files in it, compressed
 * copies, and a sink that remembers records. */
#ifndef FL_TESTS_INGEST_TEST_H
#define FL_TESTS_INGEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "base/vec.h"
#include "ingest/reader_int.h"

typedef enum pack { PACK_NONE, PACK_GZIP, PACK_ZSTD, PACK_XZ, PACK_BZIP2 } pack;

/* A fresh directory, removed with all in it by scratch_remove. */
const char *scratch_make(void);
void scratch_remove(void);
/* "DIR/name", valid until the next eight calls. */
const char *scratch_path(const char *name);
void scratch_write(const char *name, const void *p, size_t n);
void scratch_append(const char *name, const void *p, size_t n);
void scratch_text(const char *name, const char *text);
/* Appends the packed form of a text. */
void pack_put(pack how, const void *p, size_t n, buf *out);

/* A record as remembered: everything that must not depend on how it was read. */
typedef struct seen {
    log_ref ref;
    int64_t ts_ns;
    uint64_t seq, hash; /* of raw, body and service */
    unsigned worker;
    char raw[120], service[48];
    size_t raw_n, body_n;
} seen;

typedef struct collector {
    sys_lock *lock;
    VEC(seen) v;
    size_t stop_after; /* 0 = never: then the sink fails */
    volatile int *cancel;
    size_t cancel_after; /* raises *cancel */
    size_t batches;
} collector;

void collector_init(collector *c);
void collector_release(collector *c);
rc collector_sink(void *ctx, unsigned worker, log_batch *b, err *e);
/* By file, offset. */
void collector_sort(collector *c);

typedef struct opened {
    source src;
    arena mem;
    source_report rep;
    err e;
} opened;

/* Opens paths (a NULL-terminated list relative to the scratch directory, or "-"). */
rc open_source(opened *o, const ingest_opts *base, size_t block_bytes, const char *const *paths);
void close_source(opened *o);
rc scan_source(opened *o, const log_scan *scan, collector *c);
const input_info *input_named(const opened *o, const char *ending);

#endif
