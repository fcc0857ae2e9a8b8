/* Memory of bodies.
 *
 * Problem: a 300 KB body that is taken from and given back to the heap each time costs page faults
 * (about 80 of them, more than the copy of the bytes). Blocks are kept by size class instead, a few
 * of each, NET_POOL_MAX_BYTES in all for one loop. Classes are powers of two and the middles
 * between them, from 4 KiB to 4 MiB: at most a third of a block is left empty, and pages that were
 * never touched cost nothing. Larger blocks are not kept.
 *
 * Every block is a plain heap block: a handler may take one away and free it with mem_free. */
#include "net/net_int.h"

enum { CLASS_MIN_BYTES = 4096 };

static size_t class_bytes(unsigned c) {
    size_t base = (size_t)CLASS_MIN_BYTES << (c / 2);
    return c % 2 ? base + base / 2 : base;
}

/* NET_POOL_CLASSES when larger than all. */
static unsigned class_of(size_t bytes) {
    unsigned c = 0;
    while (c < NET_POOL_CLASSES && class_bytes(c) < bytes) c++;
    return c;
}

size_t net_pool_round(size_t bytes) {
    unsigned c = class_of(bytes);
    return c < NET_POOL_CLASSES ? class_bytes(c) : bytes;
}

char *net_pool_get(net_pool *pool, size_t bytes, size_t *ret_cap) {
    unsigned c = class_of(bytes);
    size_t cap = c < NET_POOL_CLASSES ? class_bytes(c) : bytes;
    char *p = NULL;
    pool->used = true;
    if (c < NET_POOL_CLASSES && pool->classes[c].count) {
        p = pool->classes[c].blocks[--pool->classes[c].count];
        MUST(pool->held_bytes >= cap);
        pool->held_bytes -= cap;
    } else {
        p = mem_try_raw(cap);
    }
    if (p) *ret_cap = cap;
    return p;
}

void net_pool_put(net_pool *pool, char *p, size_t cap) {
    if (!p) return;
    unsigned c = class_of(cap);
    if (c < NET_POOL_CLASSES && class_bytes(c) == cap && pool->classes[c].count < NET_POOL_SLOTS &&
        pool->held_bytes + cap <= NET_POOL_MAX_BYTES) {
        pool->classes[c].blocks[pool->classes[c].count++] = p;
        pool->held_bytes += cap;
        return;
    }
    mem_free(p);
}

void net_pool_release(net_pool *pool) {
    for (unsigned c = 0; c < NET_POOL_CLASSES; c++) {
        while (pool->classes[c].count) mem_free(pool->classes[c].blocks[--pool->classes[c].count]);
    }
    pool->held_bytes = 0;
}

void net_pool_trim(net_pool *pool) {
    if (!pool->used) net_pool_release(pool);
    pool->used = false;
}
