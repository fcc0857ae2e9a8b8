/* ring.h - fixed-capacity first-in first-out ring of equal-sized items; single thread.
 * The oldest item is overwritten by ring_push_over, refused by ring_push when full. */
#ifndef FL_BASE_RING_H
#define FL_BASE_RING_H

#include "base/defs.h"

typedef struct ring {
    char *items;
    size_t item_bytes, cap, head, count; /* head: index of the oldest */
} ring;

void ring_init(ring *r, size_t cap, size_t item_bytes);
void ring_release(ring *r);
bool ring_push(ring *r, const void *item);      /* false when full */
void ring_push_over(ring *r, const void *item); /* drops the oldest when full */
bool ring_pop(ring *r, void *ret_item);         /* false when empty */
void *ring_at(const ring *r, size_t i);         /* i = 0 is the oldest; i < count */

#endif
