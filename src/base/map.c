/* map.c - open addressing with linear probing.
 *
 * map64: key and value side by side, so a hit costs one cache line. The key's hash is one
 * multiplication (Fibonacci hashing, Knuth TAOCP 3, 6.4) with the high half folded in. Removal
 * moves the following entries back (Knuth's algorithm R) instead of leaving tombstones: a table
 * that sees much coming and going stays as fast as a fresh one.
 *
 * intern: a slot holds 32 hash bits and the id. The bits decide the place and nearly always decide
 * equality, so texts are touched once per hit and hardly ever on a miss; growing the table reads
 * the slots alone.
 *
 * Limits: max_count, given at init. Load stays under 3/4: 1.5 to 3 probes on average.
 * Rejected: SIMD group probing (Swiss tables), which gains on misses in tables larger than the
 * cache; here nearly every look-up is a hit. */
#include "base/map.h"

#include "base/mem.h"

enum { TABLE_MIN = 16 };

static bool too_full(size_t count, size_t cap) { return count > cap - cap / 4; }

/* ---- map64 ---------------------------------------------------------------------------------- */

void map64_init(map64 *m, size_t max_count) { *m = (map64){.max_count = max_count}; }

void map64_release(map64 *m) {
    if (!m) return;
    mem_free(m->entries);
    *m = (map64){.max_count = m->max_count};
}

void map64_reset(map64 *m) {
    if (m->cap) memset(m->entries, 0, (m->cap + 1) * sizeof *m->entries);
    m->count = 0;
    m->has_zero = false;
}

/* The place of key, or the free place where it belongs. */
static map64_entry *map64_place(const map64 *m, uint64_t key) {
    size_t mask = m->cap - 1;
    size_t i = map64_hash_(key) & mask;
    while (m->entries[i].key != key && m->entries[i].key != 0) i = (i + 1) & mask;
    return &m->entries[i];
}

static bool map64_grow(map64 *m) {
    size_t cap = m->cap ? m->cap * 2 : TABLE_MIN;
    size_t bytes;
    if (__builtin_mul_overflow(cap + 1, sizeof(map64_entry), &bytes)) return false;
    map64_entry *entries = mem_try_alloc(bytes);
    if (!entries) return false;
    map64 grown = *m;
    grown.entries = entries;
    grown.cap = cap;
    for (size_t i = 0; i < m->cap; i++)
        if (m->entries[i].key) *map64_place(&grown, m->entries[i].key) = m->entries[i];
    if (m->has_zero) entries[cap] = m->entries[m->cap];
    mem_free(m->entries);
    *m = grown;
    return true;
}

uint64_t *map64_put(map64 *m, uint64_t key, bool *ret_added) {
    uint64_t *found = map64_get(m, key);
    if (LIKELY(found != NULL)) {
        if (ret_added) *ret_added = false;
        return found;
    }
    if (m->count >= m->max_count) return NULL;
    if (too_full(m->count + 1, m->cap) && !map64_grow(m)) return NULL;
    map64_entry *en = key ? map64_place(m, key) : &m->entries[m->cap];
    *en = (map64_entry){key, 0};
    if (!key) m->has_zero = true;
    m->count++;
    if (ret_added) *ret_added = true;
    return &en->val;
}

bool map64_remove(map64 *m, uint64_t key) {
    if (!map64_get(m, key)) return false;
    MUST(m->count > 0);
    m->count--;
    if (key == 0) {
        m->has_zero = false;
        m->entries[m->cap].val = 0;
        return true;
    }
    size_t mask = m->cap - 1;
    size_t hole = (size_t)(map64_place(m, key) - m->entries);
    for (size_t i = (hole + 1) & mask; m->entries[i].key; i = (i + 1) & mask) {
        size_t home = map64_hash_(m->entries[i].key) & mask;
        /* It may move into the hole unless that lies before its home (cyclically). */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole] = (map64_entry){0, 0};
    return true;
}

bool map64_next(const map64 *m, size_t *at, uint64_t *ret_key, uint64_t *ret_val) {
    for (; *at < m->cap; ++*at) {
        const map64_entry *en = &m->entries[*at];
        if (!en->key) continue;
        *ret_key = en->key;
        *ret_val = en->val;
        ++*at;
        return true;
    }
    if (*at == m->cap && m->has_zero) {
        *ret_key = 0;
        *ret_val = m->entries[m->cap].val;
        ++*at;
        return true;
    }
    return false;
}

/* ---- intern --------------------------------------------------------------------------------- */

void intern_init(intern *t, const char *name, size_t max_count, size_t max_text_bytes) {
    MUST(max_count < INTERN_NONE);
    *t = (intern){.max_count = max_count};
    arena_init(&t->text_arena, name, max_text_bytes);
}

void intern_release(intern *t) {
    if (!t) return;
    mem_free(t->slots);
    mem_free(t->hashes);
    mem_free(t->texts);
    arena_release(&t->text_arena);
    t->slots = t->hashes = NULL;
    t->texts = NULL;
    t->count = t->cap = t->slots_cap = 0;
}

static uint32_t intern_find(const intern *t, str s, uint64_t hash) {
    if (t->slots_cap == 0) return INTERN_NONE;
    size_t mask = t->slots_cap - 1;
    for (size_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        uint64_t slot = t->slots[i];
        if (slot == 0) return INTERN_NONE;
        if (slot >> 32 != (uint32_t)hash) continue;
        uint32_t id = (uint32_t)slot - 1;
        if (LIKELY(str_eq(t->texts[id], s))) return id;
    }
}

static void intern_slot_add(uint64_t *slots, size_t cap, uint64_t slot) {
    size_t mask = cap - 1;
    size_t i = (size_t)(slot >> 32) & mask;
    while (slots[i]) i = (i + 1) & mask;
    slots[i] = slot;
}

static bool intern_grow_slots(intern *t) {
    size_t cap = t->slots_cap ? t->slots_cap * 2 : TABLE_MIN;
    uint64_t *slots = mem_try_alloc(cap * sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < t->slots_cap; i++)
        if (t->slots[i]) intern_slot_add(slots, cap, t->slots[i]);
    mem_free(t->slots);
    t->slots = slots;
    t->slots_cap = cap;
    return true;
}

static bool intern_grow_ids(intern *t) {
    size_t cap = t->cap ? t->cap * 2 : TABLE_MIN;
    uint64_t *hashes = mem_try_grow_raw(t->hashes, cap * sizeof *hashes);
    if (!hashes) return false;
    t->hashes = hashes;
    str *texts = mem_try_grow_raw(t->texts, cap * sizeof *texts);
    if (!texts) return false;
    t->texts = texts;
    t->cap = cap;
    return true;
}

uint32_t intern_put_hashed(intern *t, str s, uint64_t hash) {
    uint32_t id = intern_find(t, s, hash);
    if (LIKELY(id != INTERN_NONE)) return id;
    if (t->count >= t->max_count) return INTERN_NONE;
    if (t->count == t->cap && !intern_grow_ids(t)) return INTERN_NONE;
    if (too_full(t->count + 1, t->slots_cap) && !intern_grow_slots(t)) return INTERN_NONE;
    str own = str_dup(&t->text_arena, s);
    if (!own.p) return INTERN_NONE;
    id = (uint32_t)t->count++;
    t->texts[id] = own;
    t->hashes[id] = hash;
    intern_slot_add(t->slots, t->slots_cap, hash << 32 | (id + 1));
    return id;
}

uint32_t intern_put(intern *t, str s) { return intern_put_hashed(t, s, str_hash(s)); }
uint32_t intern_get(const intern *t, str s) { return intern_find(t, s, str_hash(s)); }
