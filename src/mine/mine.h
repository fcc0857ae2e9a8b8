/* mine.h - shapes, templates and parameters of log messages, in one pass.
 *
 * A *shape* is the constant skeleton of one message: one pass classifies tokens, variables become
 * typed slots, the skeleton is hashed (64-bit content hash: the shape's global name, the same in
 * every process). A *template* is what a person would call one log statement: a group of shapes.
 * Grouping runs only over shapes (few), never over lines, is a deterministic function of the set of
 * shapes and their statistics (order, threads and merges do not matter), and leaves every id ever
 * handed out valid through a redirect table.
 *
 *     miner *m = miner_new(&opts, e);
 *     shape = miner_add(m, msg, ts, slots, SLOTS_MAX, &n);       the hot path
 *     miner_merge(m, other, e);                               threads, processes
 *     miner_group(m);                                         then templates may be asked for
 *
 * Memory is bounded by opts.max_shapes and opts.max_bytes; what does not fit is counted (evicted,
 * overflow), so counts add up. One thread per miner. */
#ifndef FL_MINE_MINE_H
#define FL_MINE_MINE_H

#include "base/buf.h"
#include "model/log.h"

typedef struct miner miner;

enum { SLOTS_MAX = 128, SHAPE_TOKENS_MAX = 256 };

typedef struct mine_mask {
    str name;  /* shown as <name> in templates */
    str regex; /* PCRE2; matched before classification. Masks leave the fast path: none are needed
                */
} mine_mask;

typedef struct miner_opts {
    size_t max_shapes; /* 0 = 65,536 */
    size_t max_bytes;  /* 0 = 64 MiB */
    str delimiters;    /* further characters that separate tokens; white space always does */
    const mine_mask *masks;
    size_t mask_count;
} miner_opts;

typedef struct miner_counts {
    uint64_t lines; /* offered; = sum of template counts + overflow */
    uint64_t shapes, templates;
    uint64_t evicted;  /* shapes dropped to stay within bounds (their lines are in `overflow`) */
    uint64_t overflow; /* lines whose shape could not be kept */
    uint64_t folded;   /* lines that were near-identical to their predecessor */
    size_t bytes;      /* memory held */
} miner_counts;

typedef struct template_info {
    uint64_t id;    /* stable; templates redirected into another resolve to the surviving id */
    str text;       /* constants and <*>; valid until the next group/merge/free */
    uint64_t count; /* lines */
    uint32_t shapes;
    int64_t first_ns, last_ns; /* TS_NONE without times */
    log_ref first_ref;
    uint8_t max_severity;
    uint64_t error_count; /* lines with severity >= ERROR */
} template_info;

MUST_CHECK rc miner_new(const miner_opts *opts, miner **ret,
                        err *e); /* RC_INVALID: a mask's regex is bad */
void miner_free(miner *m);
/* The hot path: finds or learns the shape of a message, fills slots (offsets into msg). Returns the
 * shape's content hash. */
uint64_t miner_add(miner *m, str msg, log_slot *slots, uint32_t slot_cap, uint32_t *ret_slots);
/* The same for a batch: fills shape, slots, slot_count of every record (slots live in the batch's
 * arena), keeps times, severities, references. */
MUST_CHECK rc miner_batch(miner *m, log_batch *b, err *e);
/* Adds everything `from` knows. Same options required (RC_INVALID otherwise). */
MUST_CHECK rc miner_merge(miner *m, const miner *from, err *e);
/* Groups shapes into templates. Idempotent; cheap when nothing is new. */
void miner_group(miner *m);
void miner_count(const miner *m, miner_counts *ret);

/* After miner_group: the template of a shape (0 when unknown, i.e. evicted), or of an id handed out
 * earlier. */
uint64_t miner_template_of(const miner *m, uint64_t shape);
uint64_t miner_resolve(const miner *m, uint64_t template_id);
/* Templates in order of count, then text: i = 0 .. templates-1. RC_NOT_FOUND past the end. */
MUST_CHECK rc miner_template_at(const miner *m, size_t i, template_info *ret);
MUST_CHECK rc miner_template(const miner *m, uint64_t id, template_info *ret);
/* The shape with most lines of a template; 0 when the id is unknown. Its slots stand for the
 * template's parameters. */
uint64_t miner_template_shape(const miner *m, uint64_t template_id);
uint32_t miner_slot_count(const miner *m, uint64_t shape);
/* What slot k holds: the one type of all its values, else the narrowest that covers them (int and
 * float: float; anything else mixed: text). */
slot_type miner_slot_type(const miner *m, uint64_t shape, uint32_t k);
/* Name of slot k of a shape, from the text before it ("took", "user", "size"), for parameters; ""
 * when there is none. */
str miner_slot_name(const miner *m, uint64_t shape, uint32_t k);
/* The word right after slot k of a shape, one blank at most between ("rows" of "returned 3 rows");
 * "" when there is none, or when it is not constant. Short units ("8 ms") lie within the slot. */
str miner_slot_after(const miner *m, uint64_t shape, uint32_t k);

/* Exact reconstruction: skeleton of `shape` with the values put back equals the message (property
 * test). */
MUST_CHECK rc miner_render(const miner *m, uint64_t shape, const str *values, uint32_t count,
                           buf *out, err *e);

/* The id of the shape with this skeleton: constants, and '\x01' for each slot. */
uint64_t miner_shape_id(str skeleton);

/* State, versioned from the first byte. Loading merges into m. RC_CORRUPT names the offset. */
MUST_CHECK rc miner_save(const miner *m, buf *out, err *e);
MUST_CHECK rc miner_load(miner *m, str state, err *e);

#endif
