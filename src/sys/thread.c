/* thread.c - POSIX threads behind small handles.
 *
 * The queue is a ring of pointers under one mutex with two conditions. Items are whole batches,
 * thousands of records each, so a few hundred nanoseconds a push are nothing and a lock-free ring
 * would buy risk only. Timeouts use the monotonic clock.
 *
 * Threads start with every signal blocked: signals reach the main thread alone. */
#include "sys/thread.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- threads ----------------------------------------------------------------------------------
 */

struct sys_thread {
    pthread_t handle;
    void (*fn)(void *ctx);
    void *ctx;
};

static void *thread_main(void *arg) {
    sys_thread *t = arg;
    t->fn(t->ctx);
    return NULL;
}

rc sys_thread_start(const char *name, void (*fn)(void *ctx), void *ctx, sys_thread **ret, err *e) {
    MUST(strlen(name) <= 15);
    sys_thread *t = mem_new(sys_thread);
    t->fn = fn;
    t->ctx = ctx;
    sigset_t all, before;
    sigfillset(&all);
    MUST(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int r = pthread_create(&t->handle, NULL, thread_main, t);
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (r != 0) {
        mem_free(t);
        return FAIL_OS(e, RC_LIMIT, r, "cannot start thread \"%s\"", name);
    }
    IGNORE(pthread_setname_np(t->handle, name)); /* for debuggers only */
    *ret = t;
    return RC_OK;
}

void sys_thread_join(sys_thread *t) {
    if (!t) return;
    MUST(pthread_join(t->handle, NULL) == 0);
    mem_free(t);
}

/* On Linux the niceness is a thread's own. Refused at worst: then it competes. */
void sys_thread_background(void) { IGNORE(setpriority(PRIO_PROCESS, (id_t)gettid(), 10)); }

/* CPU time a container may use, in whole CPUs rounded up: cgroup v2 cpu.max is "QUOTA PERIOD" or
 * "max PERIOD". 0 = no limit stated. */
static uint64_t cgroup_cpus(void) {
    int fd = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[64];
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    if (n <= 0) return 0;
    str rest = str_trim(str_make(text, (size_t)n)), quota, period;
    uint64_t q, p;
    if (!str_next(&rest, ' ', &quota) || !str_next(&rest, ' ', &period)) return 0;
    if (!num_u64(quota, &q) || !num_u64(period, &p) || p == 0) return 0;
    return MAX(q / p + (q % p != 0), (uint64_t)1);
}

unsigned sys_cpu_count(void) {
    cpu_set_t set;
    unsigned count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = (unsigned)CPU_COUNT(&set);
    if (count == 0) { /* more CPUs than the set holds */
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (unsigned)online : 1;
    }
    uint64_t quota = cgroup_cpus();
    return quota && quota < count ? (unsigned)quota : count;
}

/* ---- queue ------------------------------------------------------------------------------------
 */

enum { QUEUE_MAGIC = 0x51554555 };

struct sys_queue {
    uint32_t magic;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t not_empty, not_full;
    void **items;
    size_t cap, head, count;
    bool closed;
};

sys_queue *sys_queue_new(size_t cap) {
    MUST(cap > 0);
    sys_queue *q = mem_new(sys_queue);
    q->magic = QUEUE_MAGIC;
    q->cap = cap;
    q->items = mem_new_n(void *, cap);
    pthread_condattr_t attr;
    MUST(pthread_condattr_init(&attr) == 0);
    MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    MUST(pthread_mutex_init(&q->lock, NULL) == 0);
    MUST(pthread_cond_init(&q->not_empty, &attr) == 0);
    MUST(pthread_cond_init(&q->not_full, &attr) == 0);
    pthread_condattr_destroy(&attr);
    return q;
}

void sys_queue_free(sys_queue *q) {
    if (!q) return;
    MUST(q->magic == QUEUE_MAGIC);
    q->magic = 0;
    pthread_cond_destroy(&q->not_empty);
    pthread_cond_destroy(&q->not_full);
    pthread_mutex_destroy(&q->lock);
    mem_free(q->items);
    mem_free(q);
}

static void queue_lock(sys_queue *q) {
    MUST(q->magic == QUEUE_MAGIC);
    MUST(pthread_mutex_lock(&q->lock) == 0);
}

static void queue_unlock(sys_queue *q) { MUST(pthread_mutex_unlock(&q->lock) == 0); }

/* Under the lock, with room. */
static void put_item(sys_queue *q, void *item) {
    MUST(q->count < q->cap);
    size_t place = q->head + q->count;
    q->items[place < q->cap ? place : place - q->cap] = item;
    q->count++;
    pthread_cond_signal(&q->not_empty);
}

/* Under the lock, with an item. */
static void *take_item(sys_queue *q) {
    MUST(q->count > 0);
    void *item = q->items[q->head];
    q->head = q->head + 1 == q->cap ? 0 : q->head + 1;
    q->count--;
    pthread_cond_signal(&q->not_full);
    return item;
}

rc sys_queue_push(sys_queue *q, void *item) {
    queue_lock(q);
    while (!q->closed && q->count == q->cap) pthread_cond_wait(&q->not_full, &q->lock);
    rc code = q->closed ? RC_CANCELLED : RC_OK;
    if (!code) put_item(q, item);
    queue_unlock(q);
    return code;
}

rc sys_queue_try_push(sys_queue *q, void *item) {
    queue_lock(q);
    rc code = q->closed ? RC_CANCELLED : q->count == q->cap ? RC_AGAIN : RC_OK;
    if (!code) put_item(q, item);
    queue_unlock(q);
    return code;
}

rc sys_queue_pop(sys_queue *q, void **ret_item) {
    queue_lock(q);
    while (!q->closed && q->count == 0) pthread_cond_wait(&q->not_empty, &q->lock);
    rc code = q->count ? RC_OK : RC_END; /* what was pushed before the close is still handed out */
    if (!code) *ret_item = take_item(q);
    queue_unlock(q);
    return code;
}

rc sys_queue_pop_wait(sys_queue *q, int64_t timeout_ms, void **ret_item) {
    enum { TIMEOUT_MAX_MS = 1 << 30 }; /* twelve days: no overflow below */
    int64_t ms = MAX(MIN(timeout_ms, (int64_t)TIMEOUT_MAX_MS), (int64_t)0);
    struct timespec until;
    MUST(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    queue_lock(q);
    int r = 0;
    while (!q->closed && q->count == 0 && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&q->not_empty, &q->lock, &until);
    rc code = q->count ? RC_OK : q->closed ? RC_END : RC_TIMEOUT;
    if (!code) *ret_item = take_item(q);
    queue_unlock(q);
    return code;
}

void sys_queue_close(sys_queue *q) {
    queue_lock(q);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    queue_unlock(q);
}

size_t sys_queue_depth(sys_queue *q) {
    queue_lock(q);
    size_t count = q->count;
    queue_unlock(q);
    return count;
}

/* ---- lock -------------------------------------------------------------------------------------
 */

struct sys_lock {
    const char *name;
    pthread_mutex_t mutex;
    _Atomic(const char *) owner; /* the holder's `self`, NULL when free */
};

static _Thread_local char self; /* its address names the thread while it lives */

sys_lock *sys_lock_new(const char *name) {
    sys_lock *l = mem_new(sys_lock);
    l->name = name;
    MUST(pthread_mutex_init(&l->mutex, NULL) == 0);
    return l;
}

void sys_lock_free(sys_lock *l) {
    if (!l) return;
    MUST(atomic_load(&l->owner) == NULL);
    pthread_mutex_destroy(&l->mutex);
    mem_free(l);
}

bool sys_lock_held(const sys_lock *l) {
    return atomic_load_explicit(&l->owner, memory_order_relaxed) == &self;
}

void sys_lock_take(sys_lock *l) {
    MUST(!sys_lock_held(l)); /* it would wait for itself */
    MUST(pthread_mutex_lock(&l->mutex) == 0);
    atomic_store_explicit(&l->owner, &self, memory_order_relaxed);
}

void sys_lock_give(sys_lock *l) {
    MUST(sys_lock_held(l));
    atomic_store_explicit(&l->owner, NULL, memory_order_relaxed);
    MUST(pthread_mutex_unlock(&l->mutex) == 0);
}
