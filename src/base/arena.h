/* arena.h - memory that is freed all at once: one per request or batch, plus one scratch per
 * worker. Chunked bump allocation; memory arrives zeroed; under ASan freed parts and redzones are
 * poisoned. Every arena has a name and a byte limit. One thread at a time. */
#ifndef FL_BASE_ARENA_H
#define FL_BASE_ARENA_H

#include "base/defs.h"

#if defined(__SANITIZE_ADDRESS__)
#define FL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FL_ASAN 1
#endif
#endif

typedef struct arena_chunk arena_chunk;

typedef struct arena {
    const char *name;  /* static text, for reports */
    size_t max_bytes;  /* the limit on `held_bytes` */
    size_t held_bytes; /* taken from the heap */
    size_t used_bytes; /* handed out since init or reset */
    size_t peak_bytes; /* highest used_bytes at the last reset or restore; see arena_peak_bytes */
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

void *arena_try_slow_(arena *a, size_t size_bytes, size_t align); /* behind the inline part */

/* As arena_try_bytes, but the memory holds leftovers: for callers that overwrite all of it. */
MUST_CHECK FL_INLINE void *arena_try_raw(arena *a, size_t size_bytes, size_t align) {
#ifndef FL_ASAN
    size_t room = (size_t)(a->end - a->at);
    size_t pad = -(uintptr_t)a->at & (align - 1);
    /* `size - 1` sends a zero size to the slow part, too. */
    if (LIKELY(pad <= room && size_bytes - 1 < room - pad)) {
        char *p = a->at + pad;
        a->at = p + size_bytes;
        a->used_bytes += size_bytes;
        return p;
    }
#endif
    return arena_try_slow_(a, size_bytes, align);
}

/* align: a power of two, at most 4096. arena_try_bytes returns NULL past the limit, arena_bytes
 * aborts. A size of zero gives a pointer that is not NULL. */
MUST_CHECK static inline void *arena_try_bytes(arena *a, size_t size_bytes, size_t align) {
    void *p = arena_try_raw(a, size_bytes, align);
    return LIKELY(p != NULL) ? memset(p, 0, size_bytes) : NULL;
}
void *arena_bytes(arena *a, size_t size_bytes, size_t align);
void *arena_try_array(arena *a, size_t count, size_t item_bytes, size_t align) MUST_CHECK;
/* Highest used_bytes since init, the present included. */
size_t arena_peak_bytes(const arena *a);

#define arena_new(a, T)          ((T *)arena_bytes((a), sizeof(T), _Alignof(T)))
#define arena_try_new(a, T)      ((T *)arena_try_bytes((a), sizeof(T), _Alignof(T)))
#define arena_try_new_n(a, T, n) ((T *)arena_try_array((a), (n), sizeof(T), _Alignof(T)))

#endif
