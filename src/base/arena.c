/* arena.c - chunked bump allocation.
 *
 *     first -> [hdr| used used used |gap] -> [hdr| used |  free  ] -> [hdr|   spare   ]
 *                                             cur         at  end
 *
 * Chunks up to `cur` hold live memory, chunks after it are spares left by a reset or restore; they
 * may be reordered or freed at will, which is what keeps marks simple: a mark names a chunk at or
 * before `cur` and a place in it. Chunk sizes double from CHUNK_MIN to CHUNK_MAX; a larger request
 * gets a chunk of its own size. When the byte limit is near, the last chunk is cut to the room
 * left, and spares that fit nothing are given back before the arena says that it is full.
 *
 * Memory is cleared when handed out, not when the chunk arrives: reset and restore cost O(chunks).
 *
 * Under AddressSanitizer everything that is not handed out is poisoned, and each block is followed
 * by a redzone, so an overflow, or a use after reset, is reported at the access. */
#include "base/arena.h"

#include "base/mem.h"

#ifdef FL_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
enum { REDZONE_BYTES = 16 };
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { REDZONE_BYTES = 0 };
#endif

enum { CHUNK_MIN_BYTES = 4096, CHUNK_MAX_BYTES = 1 << 20, ALIGN_MAX = 4096 };

struct arena_chunk {
    arena_chunk *next;
    size_t bytes; /* all of it, this header included */
    _Alignas(16) char data[];
};

static char *chunk_end(arena_chunk *c) { return (char *)c + c->bytes; }

static void chunk_free(arena *a, arena_chunk *c) {
    MUST(a->held_bytes >= c->bytes);
    a->held_bytes -= c->bytes;
    UNPOISON(c, c->bytes);
    mem_free(c);
}

void arena_init(arena *a, const char *name, size_t max_bytes) {
    *a = (arena){.name = name, .max_bytes = max_bytes};
}

void arena_release(arena *a) {
    if (!a) return;
    for (arena_chunk *c = a->first; c;) {
        arena_chunk *next = c->next;
        chunk_free(a, c);
        c = next;
    }
    MUST(a->held_bytes == 0);
    *a = (arena){.name = a->name, .max_bytes = a->max_bytes, .peak_bytes = arena_peak_bytes(a)};
}

size_t arena_peak_bytes(const arena *a) { return MAX(a->peak_bytes, a->used_bytes); }

arena_mark arena_save(const arena *a) { return (arena_mark){a->cur, a->at, a->used_bytes}; }

void arena_restore(arena *a, arena_mark m) {
    MUST(m.used_bytes <= a->used_bytes);
    a->peak_bytes = arena_peak_bytes(a);
    a->used_bytes = m.used_bytes;
    /* A mark taken before the first chunk stands for the start of it. */
    arena_chunk *back = m.chunk ? m.chunk : a->first;
    if (!back) return;
    char *at = m.chunk ? m.at : back->data;
    MUST(at >= back->data && at <= chunk_end(back));
#ifdef FL_ASAN
    for (arena_chunk *c = back; c; c = c->next) {
        char *from = c == back ? at : c->data;
        POISON(from, (size_t)(chunk_end(c) - from));
    }
#endif
    a->cur = back;
    a->at = at;
    a->end = chunk_end(back);
}

void arena_reset(arena *a) { arena_restore(a, (arena_mark){0}); }

static void use_chunk(arena *a, arena_chunk *c) {
    a->cur = c;
    a->at = c->data;
    a->end = chunk_end(c);
}

static void link_after_cur(arena *a, arena_chunk *c) {
    arena_chunk **link = a->cur ? &a->cur->next : &a->first;
    c->next = *link;
    *link = c;
}

/* Makes a chunk with `need` data bytes the current one. */
static bool next_chunk(arena *a, size_t need) {
    size_t head = offsetof(arena_chunk, data);
    if (need > a->max_bytes || head > a->max_bytes - need) return false;
    need += head;
    /* The smallest spare that fits, so that small requests leave the large ones for large requests.
     */
    arena_chunk **best = NULL;
    for (arena_chunk **link = a->cur ? &a->cur->next : &a->first; *link; link = &(*link)->next)
        if ((*link)->bytes >= need && (!best || (*link)->bytes < (*best)->bytes)) best = link;
    if (best) {
        arena_chunk *c = *best;
        *best = c->next;
        link_after_cur(a, c);
        use_chunk(a, c);
        return true;
    }
    size_t want = a->cur ? MIN(a->cur->bytes * 2, (size_t)CHUNK_MAX_BYTES) : CHUNK_MIN_BYTES;
    want = MAX(want, need);
    if (want > a->max_bytes - a->held_bytes && need > a->max_bytes - a->held_bytes) {
        arena_chunk **link = a->cur ? &a->cur->next : &a->first;
        while (*link) { /* give the spares back */
            arena_chunk *c = *link;
            *link = c->next;
            chunk_free(a, c);
        }
    }
    size_t left = a->max_bytes - a->held_bytes;
    if (need > left) return false;
    want = MIN(want, left);
    arena_chunk *c = mem_try_raw(want);
    if (!c) return false;
    c->bytes = want;
    a->held_bytes += want;
    POISON(c->data, want - head);
    link_after_cur(a, c);
    use_chunk(a, c);
    return true;
}

void *arena_try_slow_(arena *a, size_t size_bytes, size_t align) {
    MUST(align > 0 && align <= ALIGN_MAX && (align & (align - 1)) == 0);
    if (size_bytes == 0) size_bytes = 1;
    if (size_bytes > SIZE_MAX - ALIGN_MAX - REDZONE_BYTES) return NULL;
    size_t pad = -(uintptr_t)a->at & (align - 1);
    size_t room = (size_t)(a->end - a->at);
    if (size_bytes + REDZONE_BYTES + pad > room) {
        /* Chunk data is 16-aligned; only a stricter alignment can need padding there. */
        if (!next_chunk(a, size_bytes + REDZONE_BYTES + (align > 16 ? align : 0))) return NULL;
        pad = -(uintptr_t)a->at & (align - 1);
    }
    char *p = a->at + pad;
    MUST(size_bytes + REDZONE_BYTES <= (size_t)(a->end - p));
    UNPOISON(p, size_bytes);
    a->at = p + size_bytes + REDZONE_BYTES;
    a->used_bytes += size_bytes;
    return p;
}

void *arena_bytes(arena *a, size_t size_bytes, size_t align) {
    void *p = arena_try_bytes(a, size_bytes, align);
    MUST(p && "arena is full");
    return p;
}

void *arena_try_array(arena *a, size_t count, size_t item_bytes, size_t align) {
    size_t total;
    if (__builtin_mul_overflow(count, item_bytes, &total)) return NULL;
    return arena_try_bytes(a, total, align);
}
