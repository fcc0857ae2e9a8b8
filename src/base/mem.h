/* mem.h - the only place that calls malloc. mem_* abort when memory is out (sizes fixed by code);
 * mem_try_* return NULL (sizes derived from input; the caller answers RC_LIMIT).
 * mem_fail_at(n) makes the n-th following mem_try_* call fail (fault tests); 0 switches it off. */
#ifndef FL_BASE_MEM_H
#define FL_BASE_MEM_H

#include "base/defs.h"

void *mem_alloc(size_t size_bytes);                             /* zeroed; never NULL */
void *mem_realloc(void *p, size_t old_bytes, size_t new_bytes); /* growth is zeroed; never NULL */
void *mem_try_alloc(size_t size_bytes) MUST_CHECK;              /* zeroed */
void *mem_try_realloc(void *p, size_t old_bytes, size_t new_bytes) MUST_CHECK;
/* As above, but fresh bytes are not zeroed: for owners that write or clear them themselves. */
void *mem_try_raw(size_t size_bytes) MUST_CHECK;
void *mem_try_grow_raw(void *p, size_t new_bytes) MUST_CHECK;
void mem_free(void *p); /* accepts NULL */
void mem_fail_at(uint64_t nth);

#define mem_new(T)      ((T *)mem_alloc(sizeof(T)))
#define mem_new_n(T, n) ((T *)mem_alloc_n((n), sizeof(T)))
void *mem_alloc_n(size_t count, size_t item_bytes); /* checks the product */

#endif
