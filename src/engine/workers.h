/* workers.h - a fixed number of threads that run jobs from one bounded queue. */
#ifndef FL_ENGINE_WORKERS_H
#define FL_ENGINE_WORKERS_H

#include "base/err.h"

typedef struct workers workers;

/* name: of the threads, static, at most 15 bytes. */
MUST_CHECK rc workers_new(const char *name, unsigned threads, size_t queue_max, workers **ret,
                          err *e);
/* Runs fn(arg) on a worker. RC_AGAIN: the queue is full. RC_CANCELLED: closed. Any thread. */
MUST_CHECK rc workers_run(workers *w, void (*fn)(void *arg), void *arg);
/* Jobs that are queued still run; returns when all are done. No further jobs. */
void workers_stop(workers *w);
void workers_free(workers *w); /* accepts NULL; stops first */

typedef struct workers_counts {
    uint64_t jobs, refused;
    size_t depth, busy, threads, queue_max;
} workers_counts;
void workers_count(workers *w, workers_counts *ret);

#endif
