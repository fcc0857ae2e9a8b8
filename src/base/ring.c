#include "base/ring.h"

#include "base/mem.h"

void ring_init(ring *r, size_t cap, size_t item_bytes) {
    MUST(cap > 0 && item_bytes > 0);
    *r = (ring){.items = mem_alloc_n(cap, item_bytes), .item_bytes = item_bytes, .cap = cap};
}

void ring_release(ring *r) {
    if (!r) return;
    mem_free(r->items);
    *r = (ring){0};
}

void *ring_at(const ring *r, size_t i) {
    MUST(i < r->count);
    size_t place = r->head + i; /* head, i < cap, and cap items fit in memory: no overflow */
    if (place >= r->cap) place -= r->cap;
    return r->items + place * r->item_bytes;
}

bool ring_push(ring *r, const void *item) {
    MUST(r->count <= r->cap);
    if (r->count == r->cap) return false;
    r->count++;
    memcpy(ring_at(r, r->count - 1), item, r->item_bytes);
    return true;
}

static void drop_oldest(ring *r) {
    r->head = r->head + 1 == r->cap ? 0 : r->head + 1;
    r->count--;
}

void ring_push_over(ring *r, const void *item) {
    if (r->count == r->cap) drop_oldest(r);
    MUST(ring_push(r, item));
}

bool ring_pop(ring *r, void *ret_item) {
    if (r->count == 0) return false;
    memcpy(ret_item, ring_at(r, 0), r->item_bytes);
    drop_oldest(r);
    return true;
}
