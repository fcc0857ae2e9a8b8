/* map.h - two hash tables with a stated maximum.
 *
 * map64   uint64 key -> uint64 value, open addressing (linear probe, power-of-two, load <= 3/4).
 *         Pointers returned are valid until the next put or remove.
 * intern  text -> dense ids 0, 1, 2, ... in order of first sight; texts are owned by the table and
 *         stay where they are.
 *
 * Both say "full" (NULL, INTERN_NONE) at the stated maximum and when memory is out. */
#ifndef FL_BASE_MAP_H
#define FL_BASE_MAP_H

#include "base/arena.h"
#include "base/str.h"

typedef struct map64_entry {
    uint64_t key, val; /* key 0 = free place */
} map64_entry;

typedef struct map64 {
    map64_entry *entries; /* cap of them and one more: the value of key 0 lives in entries[cap] */
    size_t count, cap, max_count;
    bool has_zero;
} map64;

/* Where the search for a key begins, before masking. The fold brings the high half of the product
 * (which depends on every bit of the key) down to the bits that the mask keeps. */
FL_INLINE size_t map64_hash_(uint64_t key) {
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    return (size_t)(h ^ h >> 32);
}

void map64_init(map64 *m, size_t max_count);
void map64_release(map64 *m);
void map64_reset(map64 *m); /* empty, keep the memory */
/* NULL when absent. */
static inline uint64_t *map64_get(const map64 *m, uint64_t key) {
    if (UNLIKELY(m->cap == 0)) return NULL;
    if (UNLIKELY(key == 0)) return m->has_zero ? &m->entries[m->cap].val : NULL;
    size_t mask = m->cap - 1;
    for (size_t i = map64_hash_(key) & mask;; i = (i + 1) & mask) {
        map64_entry *en = &m->entries[i];
        if (LIKELY(en->key == key)) return &en->val;
        if (en->key == 0) return NULL;
    }
}
/* Finds or adds (value 0). NULL when max_count is reached. */
uint64_t *map64_put(map64 *m, uint64_t key, bool *ret_added); /* ret_added may be NULL */
bool map64_remove(map64 *m, uint64_t key);
/* Iterates in table order (not stable): for (size_t i = 0; map64_next(m, &i, &k, &v);) */
bool map64_next(const map64 *m, size_t *at, uint64_t *ret_key, uint64_t *ret_val);

#define INTERN_NONE UINT32_MAX

typedef struct intern {
    uint64_t *slots;  /* low half of the text's hash << 32 | id + 1; 0 = free */
    uint64_t *hashes; /* str_hash of the text, by id */
    str *texts;       /* by id */
    size_t count, cap, slots_cap, max_count;
    arena text_arena;
} intern;

/* name: static text. max_count < INTERN_NONE. */
void intern_init(intern *t, const char *name, size_t max_count, size_t max_text_bytes);
void intern_release(intern *t);
uint32_t intern_put(intern *t, str s); /* INTERN_NONE when full */
/* The same with str_hash(s) at hand. */
uint32_t intern_put_hashed(intern *t, str s, uint64_t hash);
uint32_t intern_get(const intern *t, str s); /* INTERN_NONE when absent */
static inline str intern_str(const intern *t, uint32_t id) {
    DCHECK(id < t->count);
    return t->texts[id];
}

#endif
