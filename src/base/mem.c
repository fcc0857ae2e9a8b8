#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

/* This file is the one user of the functions that banned.h forbids. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Calls left until the one that fails; 0 = off. Atomic because workers allocate while a test waits.
 */
static atomic_uint_fast64_t fail_countdown;

static bool injected_failure(void) {
    uint_fast64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left > 0) {
        if (atomic_compare_exchange_weak_explicit(&fail_countdown, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return left == 1;
    }
    return false;
}

void mem_fail_at(uint64_t nth) { atomic_store(&fail_countdown, nth); }

/* A zero size still gives a pointer of its own: NULL always means failure. */
void *mem_try_alloc(size_t size_bytes) {
    if (injected_failure()) return NULL;
    return calloc(1, size_bytes ? size_bytes : 1);
}

void *mem_try_raw(size_t size_bytes) {
    if (injected_failure()) return NULL;
    return malloc(size_bytes ? size_bytes : 1);
}

void *mem_try_grow_raw(void *p, size_t new_bytes) {
    if (injected_failure()) return NULL;
    return realloc(p, new_bytes ? new_bytes : 1);
}

void *mem_try_realloc(void *p, size_t old_bytes, size_t new_bytes) {
    MUST(p || old_bytes == 0);
    if (injected_failure()) return NULL;
    if (!p) return calloc(1, new_bytes ? new_bytes : 1);
    char *grown = realloc(p, new_bytes ? new_bytes : 1);
    if (grown && new_bytes > old_bytes) memset(grown + old_bytes, 0, new_bytes - old_bytes);
    return grown;
}

/* Not through mem_try_*: injected failures are for callers that can answer them. */
void *mem_alloc(size_t size_bytes) {
    void *p = calloc(1, size_bytes ? size_bytes : 1);
    MUST(p && "out of memory");
    return p;
}

void *mem_realloc(void *p, size_t old_bytes, size_t new_bytes) {
    MUST(p || old_bytes == 0);
    if (!p) return mem_alloc(new_bytes);
    char *grown = realloc(p, new_bytes ? new_bytes : 1);
    MUST(grown && "out of memory");
    if (new_bytes > old_bytes) memset(grown + old_bytes, 0, new_bytes - old_bytes);
    return grown;
}

void *mem_alloc_n(size_t count, size_t item_bytes) {
    size_t total;
    MUST(!__builtin_mul_overflow(count, item_bytes, &total));
    return mem_alloc(total);
}

void mem_free(void *p) { free(p); }
