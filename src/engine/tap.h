/* tap.h - stored log batches handed to those who follow (`tail`). A batch is copied when somebody
 * follows, kept until the store acknowledges it, then given to every tap on a worker. What a slow
 * follower leaves no room for is dropped and counted: following never holds up storing. */
#ifndef FL_ENGINE_TAP_H
#define FL_ENGINE_TAP_H

#include "base/err.h"
#include "engine/workers.h"
#include "model/log.h"

enum { TAPS_MAX = 256, TAP_COPIES_MAX = 64 };

typedef struct taps taps;
typedef struct engine_tap engine_tap;
typedef struct tap_copy tap_copy;

taps *taps_new(workers *w); /* borrows w */
void taps_free(taps *t);    /* no tap is left, workers have stopped */

MUST_CHECK rc taps_add(taps *t, void (*fn)(void *ctx, const log_batch *b), void *ctx,
                       engine_tap **ret, err *e);
void taps_remove(taps *t, engine_tap *tap); /* fn is not running any more when it returns */

/* A copy of the batch when somebody follows and there is room, else NULL. */
tap_copy *taps_copy(taps *t, const log_batch *b, int64_t arrival_ns);
void taps_deliver(taps *t, tap_copy *c); /* takes c; NULL is nothing */
void taps_drop(taps *t, tap_copy *c);    /* the store refused it */

/* Batches so far that were stored, and no follower was given. */
uint64_t taps_lost(taps *t);

typedef struct taps_counts {
    uint64_t delivered, dropped;
    size_t taps, waiting;
} taps_counts;
void taps_count(taps *t, taps_counts *ret);

#endif
