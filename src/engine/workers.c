#include "engine/workers.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "sys/thread.h"

enum { WORKER_THREADS_MAX = 1024 };

typedef struct job {
    void (*fn)(void *arg);
    void *arg;
} job;

struct workers {
    sys_queue *queue; /* of job, owned */
    sys_thread **threads;
    unsigned count; /* to be joined */
    unsigned total;
    size_t queue_max;
    atomic_uint_fast64_t jobs, refused;
    atomic_size_t busy;
};

static void work(void *ctx) {
    workers *w = ctx;
    for (void *item; sys_queue_pop(w->queue, &item) == RC_OK;) {
        job j = *(job *)item;
        mem_free(item);
        atomic_fetch_add(&w->busy, 1);
        j.fn(j.arg);
        atomic_fetch_sub(&w->busy, 1);
        atomic_fetch_add(&w->jobs, 1);
    }
}

rc workers_new(const char *name, unsigned threads, size_t queue_max, workers **ret, err *e) {
    MUST(threads > 0 && threads <= WORKER_THREADS_MAX && queue_max > 0);
    workers *w = mem_new(workers);
    w->queue = sys_queue_new(queue_max);
    w->queue_max = queue_max;
    w->total = threads;
    w->threads = mem_new_n(sys_thread *, threads);
    for (; w->count < threads; w->count++) {
        rc code = sys_thread_start(name, work, w, &w->threads[w->count], e);
        if (code == RC_OK) continue;
        workers_free(w);
        return code;
    }
    *ret = w;
    return RC_OK;
}

rc workers_run(workers *w, void (*fn)(void *arg), void *arg) {
    job *j = mem_try_raw(sizeof *j);
    if (!j) return RC_AGAIN;
    *j = (job){fn, arg};
    rc code = sys_queue_try_push(w->queue, j);
    if (code == RC_OK) return RC_OK;
    mem_free(j);
    atomic_fetch_add(&w->refused, 1);
    return code;
}

void workers_stop(workers *w) {
    sys_queue_close(w->queue);
    for (unsigned i = 0; i < w->count; i++) sys_thread_join(w->threads[i]);
    w->count = 0;
}

void workers_free(workers *w) {
    if (!w) return;
    workers_stop(w);
    sys_queue_free(w->queue);
    mem_free(w->threads);
    mem_free(w);
}

void workers_count(workers *w, workers_counts *ret) {
    *ret = (workers_counts){.jobs = atomic_load(&w->jobs),
                            .refused = atomic_load(&w->refused),
                            .depth = sys_queue_depth(w->queue),
                            .busy = atomic_load(&w->busy),
                            .threads = w->total,
                            .queue_max = w->queue_max};
}
