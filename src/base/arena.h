/* arena.h - memory that is freed all at once: one per request or batch, plus one scratch per
 * worker. Chunked bump allocation; memory arrives zeroed; under ASan freed parts and redzones are
 * poisoned. Every arena has a name and a byte limit. One thread at a time. */
#ifndef FL_BASE_ARENA_H
#define FL_BASE_ARENA_H

#include "base/defs.h"

typedef struct arena_chunk arena_chunk;

typedef struct arena {
    const char *name;  /* static text, for reports */
    size_t max_bytes;  /* the limit on `held_bytes` */
    size_t held_bytes; /* taken from the heap */
    size_t used_bytes; /* handed out since init or reset */
    size_t peak_bytes; /* highest used_bytes */
    arena_chunk *first, *cur;
    char *at, *end; /* room left in `cur` */
} arena;

typedef struct arena_mark {
    arena_chunk *chunk;
    char *at;
    size_t used_bytes;
} arena_mark;

void arena_init(arena *a, const char *name, size_t max_bytes);
void arena_release(arena *a); /* accepts NULL and a zeroed arena */
void arena_reset(arena *a);   /* empty, keep the chunks */
arena_mark arena_save(const arena *a);
void arena_restore(arena *a, arena_mark m);

/* align: a power of two. arena_try_bytes returns NULL past the limit, arena_bytes aborts. */
void *arena_try_bytes(arena *a, size_t size_bytes, size_t align) MUST_CHECK;
void *arena_bytes(arena *a, size_t size_bytes, size_t align);
void *arena_try_array(arena *a, size_t count, size_t item_bytes, size_t align) MUST_CHECK;

#define arena_new(a, T)          ((T *)arena_bytes((a), sizeof(T), _Alignof(T)))
#define arena_try_new(a, T)      ((T *)arena_try_bytes((a), sizeof(T), _Alignof(T)))
#define arena_try_new_n(a, T, n) ((T *)arena_try_array((a), (n), sizeof(T), _Alignof(T)))

#endif
