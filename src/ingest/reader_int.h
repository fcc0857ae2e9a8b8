/* reader_int.h - the state of a file source, shared by the files of this room. */
#ifndef FL_INGEST_READER_INT_H
#define FL_INGEST_READER_INT_H

#include "base/vec.h"
#include "ingest/blocks_int.h"
#include "ingest/reader.h"
#include "sys/clock.h"
#include "sys/thread.h"

enum {
    FILES_MAGIC = 0x46494c45, /* "FILE" */
    FILES_ARENA_MAX = 256 << 20,
    PROBLEM_BYTES = 480,
    PATH_BYTES_MAX = 4096
};

/* One file, pipe, or generation of a growing file that was rotated or truncated. Never moves, lives
 * as long as the source. */
typedef struct input {
    uint32_t index; /* log_ref.file */
    str path;       /* what to open */
    sys_stat st;    /* as last seen */
    int fd;         /* borrowed (standard input) or kept open (growing); else -1 */
    bool owns_fd;
    bool closed_for_good;  /* unusable since it was listed: state and problem stay as they are */
    bool gone;             /* replaced by a later generation and not open any more */
    pipe_in *pipe;         /* NULL for regular files; owned */
    log_format *format;    /* NULL until looked at; owned unless it is that of `earlier` */
    struct input *earlier; /* the generation before, for growing files */
    bool direct;           /* offsets in the text are file offsets */
    int64_t start_ns;      /* first time in it, for merging; valid when start_known */
    bool start_known;
    input_info info; /* guarded by files.lock during a scan */
    char *problem;   /* PROBLEM_BYTES; NULL until needed */
} input;

typedef struct files {
    uint32_t magic;
    arena mem; /* paths, names, inputs; guarded by lock during a scan */
    sys_fs fs;
    sys_clock clock;
    log_format_opts format;
    str default_service;
    bool follow;
    uint64_t max_ratio;
    size_t block_bytes;
    void (*progress)(void *ctx, uint64_t bytes, uint64_t total_bytes);
    void *progress_ctx;
    sys_lock *lock;
    VEC(input *) inputs;   /* guarded by lock during a scan */
    VEC(input_info) infos; /* what report() answered last */
} files;

/* ---- inputs.c: finding and opening inputs ---- */

/* Turns the paths of `o` into inputs, in order. */
MUST_CHECK rc inputs_expand(files *f, const ingest_opts *o, err *e);
/* Adds an input; NULL at INPUT_FILES_MAX or when memory is out. */
input *input_add(files *f, str path, str name);
/* Notes what is wrong with an input, one line. The worse of the old and the new state stays, with
 * the text that came with it. */
void input_problem(files *f, input *in, input_state state, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same from an error: message and hint. */
void input_failed(files *f, input *in, input_state state, const err *why);
/* Opens the text of an input and finds its format. False: it cannot be read; noted. A followed
 * input that is empty so far has no format yet (ret->format NULL): input_look again later. */
bool input_open(files *f, input *in, size_t block_bytes, log_batch *scratch, cutter *ret);
bool input_look(files *f, input *in, cutter *c);
/* Notes how reading ended, and the bytes. */
void input_done(files *f, input *in, const cutter *c);
/* Why a text of this beginning is no log: a short phrase, or NULL when it may be one. */
const char *not_a_log(str head);

/* ---- scan.c ---- */

typedef struct record_filter {
    bool active;
    int64_t from_ns, to_ns; /* to_ns INT64_MAX: open */
    str service;
} record_filter;

record_filter filter_of(const log_scan *scan);
bool scan_cancelled(const log_scan *scan);

/* Walks a block batch by batch. */
typedef struct block_walk {
    const block *b;
    size_t at;         /* bytes parsed */
    uint64_t line;     /* of b->p[at] */
    uint64_t batch_no; /* within the block */
    int64_t last_ns;   /* of the records so far */
} block_walk;

void walk_start(block_walk *w, const block *b);
/* Parses the next records of the block into `batch` (reset first), applies the filter, fills in the
 * service, counts. RC_END when the block is used up. A batch may come out empty. */
MUST_CHECK rc walk_next(files *f, block_walk *w, const record_filter *flt, log_batch *batch);

/* True when all of a block just cut (c->last_ns is its end) lies outside the time range by far; it
 * is then counted as read. */
bool block_outside(files *f, const record_filter *flt, const cutter *c, const block *b);

/* Progress, told at most every PROGRESS_NS. One thread. */
typedef struct ticker {
    files *f;
    int64_t next_ns;
    uint64_t done, total; /* bytes on disk of finished inputs; of all, 0 = unknown */
} ticker;

void ticker_start(ticker *t, files *f);
/* in_input: bytes of the current input. */
void ticker_tell(ticker *t, uint64_t in_input, bool now);

MUST_CHECK rc scan_any(files *f, const log_scan *scan, log_sink sink, void *sink_ctx, err *e);

/* Hands a full block to the workers and takes an empty one instead. False: the scan stops. */
typedef struct block_gate block_gate;
bool gate_swap(block_gate *g, block **b);
bool gate_stopped(const block_gate *g);

/* ---- follow.c, merge.c, fetch.c ---- */

/* Reads every input to its end, then what is added, until the gate is stopped. */
void follow_read(files *f, block_gate *g, block **b, log_batch *scratch, ticker *t);
MUST_CHECK rc scan_merged(files *f, const log_scan *scan, log_sink sink, void *sink_ctx, err *e);
MUST_CHECK rc fetch_texts(files *f, const log_ref *refs, size_t count, size_t max_bytes, arena *out,
                          str *ret, err *e);

/* ingest_files_new with blocks of another size (tests). */
MUST_CHECK rc ingest_files_new_sized(const ingest_opts *opts, size_t block_bytes, source *ret,
                                     err *e);

#endif
