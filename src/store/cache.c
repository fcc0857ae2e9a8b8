/* cache.c - decoded values of blocks, shared by all readers, bounded in bytes.
 *
 * Two hash tables over one array of entries: by key (block, part) for get and put, by pointer for
 * unpin. Entries are linked by use; eviction takes the least recently used one that nobody has
 * pinned. A query that loads more than fits would push out everything, itself included, each time
 * it is asked: so once the cache is full, of what is put only every fourth entry (and what is
 * marked BLOCK_CACHE_HOT) counts as just used, the others as longest unused until they are asked
 * for again (bimodal insertion: Qureshi et al. 2007, section 4). One lock: calls are a few dozen
 * nanoseconds and each saves decoding a column. */
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "store/embedded_int.h"

enum { ENTRIES_MAX = 1 << 20, NONE = -1, RECENT_OF = 4 };

typedef struct entry {
    uint64_t block, part;
    void *p; /* NULL: free place */
    size_t bytes;
    uint32_t pins;
    int32_t newer, older; /* by use; of a free place: older is the next free one */
} entry;

struct block_cache {
    sys_lock *lock; /* guards all below */
    size_t max_bytes, bytes;
    VEC(entry) entries;
    int32_t newest, oldest, free;
    map64 by_key, by_pointer;
    unsigned cold_puts;
};

static uint64_t key_of(uint64_t block, uint64_t part) {
    uint64_t k[2] = {block, part};
    return str_hash(str_make((const char *)k, sizeof k));
}

block_cache *block_cache_new(size_t max_bytes) {
    block_cache *c = mem_new(block_cache);
    c->lock = sys_lock_new("block cache");
    c->max_bytes = max_bytes;
    c->newest = c->oldest = c->free = NONE;
    map64_init(&c->by_key, ENTRIES_MAX);
    map64_init(&c->by_pointer, ENTRIES_MAX);
    return c;
}

void block_cache_free(block_cache *c) {
    if (!c) return;
    for (size_t i = 0; i < c->entries.n; i++) {
        MUST(!c->entries.v[i].p || c->entries.v[i].pins == 0);
        mem_free(c->entries.v[i].p);
    }
    vec_release(&c->entries);
    map64_release(&c->by_key);
    map64_release(&c->by_pointer);
    sys_lock_free(c->lock);
    mem_free(c);
}

static void unlink_entry(block_cache *c, int32_t i) {
    entry *n = &c->entries.v[i];
    *(n->newer == NONE ? &c->newest : &c->entries.v[n->newer].older) = n->older;
    *(n->older == NONE ? &c->oldest : &c->entries.v[n->older].newer) = n->newer;
}

static void link_newest(block_cache *c, int32_t i) {
    entry *n = &c->entries.v[i];
    n->newer = NONE;
    n->older = c->newest;
    *(c->newest == NONE ? &c->oldest : &c->entries.v[c->newest].newer) = i;
    c->newest = i;
}

static void link_oldest(block_cache *c, int32_t i) {
    entry *n = &c->entries.v[i];
    n->older = NONE;
    n->newer = c->oldest;
    *(c->oldest == NONE ? &c->newest : &c->entries.v[c->oldest].older) = i;
    c->oldest = i;
}

static void drop(block_cache *c, int32_t i) {
    entry *n = &c->entries.v[i];
    MUST(n->p && n->pins == 0);
    unlink_entry(c, i);
    MUST(map64_remove(&c->by_key, key_of(n->block, n->part)));
    MUST(map64_remove(&c->by_pointer, (uint64_t)(uintptr_t)n->p));
    c->bytes -= n->bytes;
    mem_free(n->p);
    *n = (entry){.older = c->free};
    c->free = i;
}

static bool make_room(block_cache *c, size_t bytes) {
    if (bytes > c->max_bytes) return false;
    for (int32_t i = c->oldest; i != NONE && c->bytes + bytes > c->max_bytes;) {
        int32_t next = c->entries.v[i].newer;
        if (c->entries.v[i].pins == 0) drop(c, i);
        i = next;
    }
    return c->bytes + bytes <= c->max_bytes;
}

/* The pinned value of an entry. */
static const void *pin(block_cache *c, int32_t i) {
    entry *n = &c->entries.v[i];
    n->pins++;
    if (c->newest != i) {
        unlink_entry(c, i);
        link_newest(c, i);
    }
    return n->p;
}

const void *block_cache_get(block_cache *c, uint64_t block, uint64_t part, size_t *ret_bytes) {
    sys_lock_take(c->lock);
    const uint64_t *at = map64_get(&c->by_key, key_of(block, part));
    const void *p = NULL;
    if (at && c->entries.v[*at].block == block && c->entries.v[*at].part == part) {
        if (ret_bytes) *ret_bytes = c->entries.v[*at].bytes;
        p = pin(c, (int32_t)*at);
    }
    sys_lock_give(c->lock);
    return p;
}

static int32_t new_place(block_cache *c) {
    if (c->free != NONE) {
        int32_t i = c->free;
        c->free = c->entries.v[i].older;
        return i;
    }
    if (c->entries.n == ENTRIES_MAX) return NONE;
    vec_push(&c->entries, (entry){0});
    return (int32_t)c->entries.n - 1;
}

static const void *put_locked(block_cache *c, uint64_t block, uint64_t part, void *p,
                              size_t bytes) {
    const uint64_t *at = map64_get(&c->by_key, key_of(block, part));
    if (at) {
        const entry *n = &c->entries.v[*at];
        if (n->block != block || n->part != part) return NULL; /* another key with this hash */
        const void *first = pin(c, (int32_t)*at);
        mem_free(p);
        return first;
    }
    bool full = c->bytes + bytes > c->max_bytes;
    if (!make_room(c, bytes)) return NULL;
    int32_t i = new_place(c);
    if (i == NONE) return NULL;
    uint64_t *key = map64_put(&c->by_key, key_of(block, part), NULL);
    uint64_t *pointer = key ? map64_put(&c->by_pointer, (uint64_t)(uintptr_t)p, NULL) : NULL;
    if (!pointer) {
        if (key) IGNORE(map64_remove(&c->by_key, key_of(block, part))); /* it was just put */
        c->entries.v[i] = (entry){.older = c->free};
        c->free = i;
        return NULL;
    }
    *key = (uint64_t)i;
    *pointer = (uint64_t)i;
    bool recent = !full || part & BLOCK_CACHE_HOT || c->cold_puts++ % RECENT_OF == 0;
    c->entries.v[i] = (entry){.block = block, .part = part, .p = p, .bytes = bytes, .pins = 1};
    c->bytes += bytes;
    if (recent)
        link_newest(c, i);
    else
        link_oldest(c, i);
    return p;
}

const void *block_cache_put(block_cache *c, uint64_t block, uint64_t part, void *p, size_t bytes) {
    MUST(p);
    sys_lock_take(c->lock);
    const void *got = put_locked(c, block, part, p, bytes);
    sys_lock_give(c->lock);
    return got;
}

void block_cache_unpin(block_cache *c, const void *p) {
    if (!p) return;
    sys_lock_take(c->lock);
    const uint64_t *at = map64_get(&c->by_pointer, (uint64_t)(uintptr_t)p);
    MUST(at && c->entries.v[*at].pins > 0);
    c->entries.v[*at].pins--;
    sys_lock_give(c->lock);
}

size_t block_cache_bytes(block_cache *c) {
    sys_lock_take(c->lock);
    size_t bytes = c->bytes;
    sys_lock_give(c->lock);
    return bytes;
}
