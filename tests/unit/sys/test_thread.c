#include "../unit.h"

#include "base/mem.h"
#include "sys/clock.h"
#include "sys/thread.h"

#include <pthread.h>
#include <stdatomic.h>

static void set_flag(void *ctx) { atomic_store((atomic_int *)ctx, 1); }

static void threads_run_and_end(void **state) {
    (void)state;
    atomic_int flags[8] = {0};
    sys_thread *t[8];
    err e = {0};
    for (int i = 0; i < 8; i++)
        assert_rc(sys_thread_start("worker", set_flag, &flags[i], &t[i], &e), RC_OK);
    for (int i = 0; i < 8; i++) sys_thread_join(t[i]);
    for (int i = 0; i < 8; i++) assert_int_equal(atomic_load(&flags[i]), 1);
    sys_thread_join(NULL);
    assert_true(sys_cpu_count() >= 1);
    assert_must_fails(
        IGNORE(sys_thread_start("a name that is too long", set_flag, NULL, &t[0], &e)));
}

static void look_at_signals(void *ctx) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    *(int *)ctx = sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM);
}

static void signals_stay_with_the_main_thread(void **state) {
    (void)state;
    int blocked = 0;
    sys_thread *t;
    assert_rc(sys_thread_start("signals", look_at_signals, &blocked, &t, NULL), RC_OK);
    sys_thread_join(t);
    assert_true(blocked);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGINT));
}

static void a_queue_is_bounded_and_in_order(void **state) {
    (void)state;
    int items[5];
    void *got;
    sys_queue *q = sys_queue_new(3);
    for (int round = 0; round < 4; round++) { /* around the end of the ring */
        assert_rc(sys_queue_try_push(q, &items[0]), RC_OK);
        assert_rc(sys_queue_push(q, &items[1]), RC_OK);
        assert_rc(sys_queue_push(q, &items[2]), RC_OK);
        assert_rc(sys_queue_try_push(q, &items[3]), RC_AGAIN);
        assert_int_equal(sys_queue_depth(q), 3);
        for (int i = 0; i < 3; i++) {
            assert_rc(sys_queue_pop(q, &got), RC_OK);
            assert_ptr_equal(got, &items[i]);
        }
        assert_rc(sys_queue_try_push(q, &items[4]), RC_OK);
        assert_rc(sys_queue_pop_wait(q, 0, &got), RC_OK);
        assert_ptr_equal(got, &items[4]);
        assert_rc(sys_queue_pop_wait(q, 0, &got), RC_TIMEOUT);
        assert_rc(sys_queue_pop_wait(q, -5, &got), RC_TIMEOUT);
        assert_rc(sys_queue_pop_wait(q, 1, &got), RC_TIMEOUT);
        assert_ptr_equal(got, &items[4]); /* untouched */
    }
    sys_queue_free(q);
    sys_queue_free(NULL);
    assert_must_fails(sys_queue_new(0));
}

static void a_closed_queue_is_emptied_first(void **state) {
    (void)state;
    int item;
    void *got;
    sys_queue *q = sys_queue_new(2);
    assert_rc(sys_queue_push(q, &item), RC_OK);
    sys_queue_close(q);
    sys_queue_close(q);
    assert_rc(sys_queue_push(q, &item), RC_CANCELLED);
    assert_rc(sys_queue_try_push(q, &item), RC_CANCELLED);
    assert_rc(sys_queue_pop(q, &got), RC_OK);
    assert_rc(sys_queue_pop(q, &got), RC_END);
    assert_rc(sys_queue_pop_wait(q, INT64_MAX, &got), RC_END);
    sys_queue_free(q);
}

typedef struct waiter {
    sys_queue *q;
    rc result;
} waiter;

static void wait_to_push(void *ctx) {
    waiter *w = ctx;
    w->result = sys_queue_push(w->q, w);
}

static void wait_to_pop(void *ctx) {
    waiter *w = ctx;
    void *got;
    w->result = sys_queue_pop(w->q, &got);
}

static void close_wakes_those_who_wait(void **state) {
    (void)state;
    sys_queue *full = sys_queue_new(1), *empty = sys_queue_new(1);
    assert_rc(sys_queue_push(full, full), RC_OK);
    waiter w[4] = {{full, RC_OK}, {full, RC_OK}, {empty, RC_OK}, {empty, RC_OK}};
    sys_thread *t[4];
    for (int i = 0; i < 4; i++)
        assert_rc(
            sys_thread_start("waiter", i < 2 ? wait_to_push : wait_to_pop, &w[i], &t[i], NULL),
            RC_OK);
    sys_queue_close(full);
    sys_queue_close(empty);
    for (int i = 0; i < 4; i++) sys_thread_join(t[i]);
    for (int i = 0; i < 4; i++) assert_rc(w[i].result, i < 2 ? RC_CANCELLED : RC_END);
    sys_queue_free(full);
    sys_queue_free(empty);
}

enum { WORKERS = 3, ITEMS = 20000 };

typedef struct flow {
    sys_queue *q;
    unsigned worker;
    uint64_t *seen; /* count per item, this consumer's own */
    int64_t last[WORKERS];
    bool in_order;
} flow;

static void produce(void *ctx) {
    flow *f = ctx;
    for (uintptr_t i = 0; i < ITEMS; i++) {
        void *item = (void *)(f->worker * ITEMS + i + 1);
        MUST(sys_queue_push(f->q, item) == RC_OK);
    }
}

static void consume(void *ctx) {
    flow *f = ctx;
    void *got;
    for (unsigned n = 0;; n++) {
        rc code = n % 2 ? sys_queue_pop(f->q, &got) : sys_queue_pop_wait(f->q, 1000, &got);
        if (code == RC_TIMEOUT) continue;
        if (code == RC_END) return;
        MUST(code == RC_OK);
        uint64_t item = (uintptr_t)got - 1;
        f->seen[item]++;
        int64_t order = (int64_t)(item % ITEMS);
        if (order <= f->last[item / ITEMS]) f->in_order = false;
        f->last[item / ITEMS] = order;
    }
}

/* Every item arrives exactly once, and one producer's items in order (as each consumer sees them).
 */
static void many_producers_many_consumers(void **state) {
    (void)state;
    sys_queue *q = sys_queue_new(7);
    flow in[WORKERS], out[WORKERS];
    sys_thread *pt[WORKERS], *ct[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        in[i] = (flow){.q = q, .worker = i};
        out[i] =
            (flow){.q = q, .seen = mem_new_n(uint64_t, (size_t)WORKERS * ITEMS), .in_order = true};
        for (int j = 0; j < WORKERS; j++) out[i].last[j] = -1;
        assert_rc(sys_thread_start("produce", produce, &in[i], &pt[i], NULL), RC_OK);
        assert_rc(sys_thread_start("consume", consume, &out[i], &ct[i], NULL), RC_OK);
    }
    for (int i = 0; i < WORKERS; i++) sys_thread_join(pt[i]);
    sys_queue_close(q);
    for (int i = 0; i < WORKERS; i++) sys_thread_join(ct[i]);
    for (size_t item = 0; item < (size_t)WORKERS * ITEMS; item++) {
        uint64_t times = 0;
        for (int i = 0; i < WORKERS; i++) times += out[i].seen[item];
        assert_int_equal(times, 1);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_true(out[i].in_order);
        mem_free(out[i].seen);
    }
    sys_queue_free(q);
}

typedef struct counter {
    sys_lock *lock;
    long value;
} counter;

static void count_up(void *ctx) {
    counter *c = ctx;
    for (int i = 0; i < 20000; i++) {
        sys_lock_take(c->lock);
        MUST(sys_lock_held(c->lock));
        c->value++;
        sys_lock_give(c->lock);
    }
}

static void a_lock_excludes_and_knows_its_owner(void **state) {
    (void)state;
    counter c = {.lock = sys_lock_new("counter")};
    sys_thread *t[3];
    assert_false(sys_lock_held(c.lock));
    for (int i = 0; i < 3; i++)
        assert_rc(sys_thread_start("count", count_up, &c, &t[i], NULL), RC_OK);
    for (int i = 0; i < 3; i++) sys_thread_join(t[i]);
    assert_int_equal(c.value, 60000);
    assert_must_fails(sys_lock_give(c.lock));
    sys_lock_take(c.lock);
    assert_true(sys_lock_held(c.lock));
    assert_must_fails(sys_lock_take(c.lock));
    assert_must_fails(sys_lock_free(c.lock));
    sys_lock_give(c.lock);
    sys_lock_free(c.lock);
    sys_lock_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_run_and_end),
        cmocka_unit_test(signals_stay_with_the_main_thread),
        cmocka_unit_test(a_queue_is_bounded_and_in_order),
        cmocka_unit_test(a_closed_queue_is_emptied_first),
        cmocka_unit_test(close_wakes_those_who_wait),
        cmocka_unit_test(many_producers_many_consumers),
        cmocka_unit_test(a_lock_excludes_and_knows_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
