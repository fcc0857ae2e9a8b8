/* thread.h - threads, and a bounded queue of pointers that carry ownership. Locks live inside sys;
 * other rooms use the queue. */
#ifndef FL_SYS_THREAD_H
#define FL_SYS_THREAD_H

#include "base/err.h"

typedef struct sys_thread sys_thread;
/* name: at most 15 bytes, static. Returns owned; join frees it. */
MUST_CHECK rc sys_thread_start(const char *name, void (*fn)(void *ctx), void *ctx, sys_thread **ret,
                               err *e);
void sys_thread_join(sys_thread *t);
/* This thread gives way to the others of the machine (nice +10). */
void sys_thread_background(void);
unsigned sys_cpu_count(void); /* usable by this process, >= 1 */

typedef struct sys_queue sys_queue;
/* Many producers, many consumers. */
sys_queue *sys_queue_new(size_t cap);
void sys_queue_free(sys_queue *q); /* must be empty or its items abandoned by the caller */
/* Blocks while full. RC_CANCELLED once the queue is closed (the item stays the caller's). */
MUST_CHECK rc sys_queue_push(sys_queue *q, void *item);
MUST_CHECK rc sys_queue_try_push(sys_queue *q, void *item); /* RC_AGAIN when full */
/* Blocks while empty. RC_END when closed and empty. */
MUST_CHECK rc sys_queue_pop(sys_queue *q, void **ret_item);
MUST_CHECK rc sys_queue_pop_wait(sys_queue *q, int64_t timeout_ms,
                                 void **ret_item); /* RC_TIMEOUT */
void sys_queue_close(sys_queue *q);
size_t sys_queue_depth(sys_queue *q);

/* A mutex with a name and an asserted owner. */
typedef struct sys_lock sys_lock;
sys_lock *sys_lock_new(const char *name);
void sys_lock_free(sys_lock *l);
void sys_lock_take(sys_lock *l);
void sys_lock_give(sys_lock *l);
bool sys_lock_held(const sys_lock *l); /* by this thread */

#endif
