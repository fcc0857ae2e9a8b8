/* map.h - two hash tables with a stated maximum.
 *
 * map64   uint64 key -> uint64 value, open addressing (linear probe, power-of-two, load <= 1/2 ..
 * 3/4). Pointers returned are valid until the next put. intern  text -> dense ids 0, 1, 2, ... in
 * order of first sight; texts are owned by the table. */
#ifndef FL_BASE_MAP_H
#define FL_BASE_MAP_H

#include "base/arena.h"
#include "base/str.h"

typedef struct map64 {
    uint64_t *keys, *vals; /* a zero key lives in has_zero/zero_val */
    size_t count, cap, max_count;
    bool has_zero;
    uint64_t zero_val;
} map64;

void map64_init(map64 *m, size_t max_count);
void map64_release(map64 *m);
void map64_reset(map64 *m);
uint64_t *map64_get(const map64 *m, uint64_t key); /* NULL when absent */
/* Finds or adds (value 0). NULL when max_count is reached. */
uint64_t *map64_put(map64 *m, uint64_t key, bool *ret_added); /* ret_added may be NULL */
bool map64_remove(map64 *m, uint64_t key);
/* Iterates in table order (not stable): for (size_t i = 0; map64_next(m, &i, &k, &v);) */
bool map64_next(const map64 *m, size_t *at, uint64_t *ret_key, uint64_t *ret_val);

#define INTERN_NONE UINT32_MAX

typedef struct intern {
    uint32_t *slots;
    uint64_t *hashes; /* by id */
    str *texts;       /* by id */
    size_t count, cap, slots_cap, max_count;
    arena text_arena;
} intern;

void intern_init(intern *t, const char *name, size_t max_count, size_t max_text_bytes);
void intern_release(intern *t);
uint32_t intern_put(intern *t, str s);       /* INTERN_NONE when full */
uint32_t intern_get(const intern *t, str s); /* INTERN_NONE when absent */
static inline str intern_str(const intern *t, uint32_t id) { return t->texts[id]; }

#endif
