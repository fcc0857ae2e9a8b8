/* blocks_int.h - an input's text in blocks that hold whole records. */
#ifndef FL_INGEST_BLOCKS_INT_H
#define FL_INGEST_BLOCKS_INT_H

#include "base/buf.h"
#include "codec/logformat.h"
#include "ingest/stream_int.h"

enum {
    /* A record larger than this is handed out in parts, a line larger than this loses its tail. */
    BLOCK_BYTES_MAX = 16 << 20,
    /* A block may give several batches; its first has seq = block number * this. */
    BLOCK_SEQ_STEP = 1 << 20
};

/* Text [0, n) of an input: whole records. Owned by whoever pools the blocks; p grows in cutter_next
 * and shrinks in block_trim. */
typedef struct block {
    char *p;
    size_t n, cap;
    uint64_t offset, line; /* of p[0]; line is 1-based */
    uint64_t newlines;     /* of the input that the block covers */
    uint64_t covered;      /* bytes of the input: n, and the dropped tail of a last line too long */
    uint64_t seq;          /* block number within the input */
    int64_t before_ns;     /* time of the last record with a time before this block, or TS_NONE */
    struct input *input;   /* whose text it is; set by the owner of the cutter */
    log_format *format;    /* borrowed from the input */
} block;

void block_release(block *b);
/* Gives memory beyond `keep_bytes` back. */
void block_trim(block *b, size_t keep_bytes);

/* Cuts one stream. */
typedef struct cutter {
    stream *in;         /* owned */
    log_format *format; /* borrowed; set by the owner before the first cutter_next */
    log_batch *scratch; /* borrowed; for looking at times */
    size_t block_bytes; /* wanted size of a block */
    bool grows;         /* end of file is not the end: hand out what is complete */
    bool eager;         /* hand out what is complete after each short read (live pipes) */
    bool exact_times;   /* before_ns must be right even where times are rare */
    char *rest;         /* bytes read but not handed out: [rest_at, rest_n) */
    size_t rest_at, rest_n, rest_cap;
    uint64_t offset, line, seq; /* of the next block */
    uint64_t skipped;           /* NUL bytes before the text */
    int64_t last_ns;            /* time of the last record handed out that has one */
    bool started;               /* offset is known: something was read */
    bool ended;                 /* the stream is */
    bool mid_line;              /* inside the dropped tail of a line */
    err failure;                /* code RC_OK: none; else why the text stopped early */
} cutter;

/* Takes `in`. scratch: used only inside calls. */
void cutter_init(cutter *c, stream *in, size_t block_bytes, log_batch *scratch);
void cutter_release(cutter *c);
/* The first bytes of the text (up to LOG_SAMPLE_BYTES), before the first block is cut. Valid until
 * the next call. Empty when there are none (c->failure may say why). */
str cutter_sample(cutter *c);
/* Fills *b. RC_END: the text is over (c->failure says whether before its time). RC_AGAIN: a growing
 * input has nothing complete now. flush: hand out an incomplete end too. Blocks do not
 * depend on how the stream's reads were split, unless the input grows or is read eagerly. */
MUST_CHECK rc cutter_next(cutter *c, block *b, bool flush);
/* Bytes waiting for the rest of their record. */
static inline size_t cutter_held(const cutter *c) { return c->rest_n - c->rest_at; }

/* Number of newlines; at memory speed. */
uint64_t count_newlines(const char *p, size_t n);

#endif
