/* vec.h - a growable array of any type, for long-lived owners (batches use an arena).
 *
 *     VEC(uint32_t) ids = {0};
 *     vec_push(&ids, 7);            ids.v[0], ids.n
 *     vec_release(&ids);
 *
 * Growth doubles and aborts when memory is out; callers bound `n` themselves (house style 3). */
#ifndef FL_BASE_VEC_H
#define FL_BASE_VEC_H

#include "base/mem.h"

#define VEC(T)                                                                                     \
    struct {                                                                                       \
        T *v;                                                                                      \
        size_t n, cap;                                                                             \
    }

#define vec_reserve(vec, want)                                                                     \
    do {                                                                                           \
        size_t want_ = (want);                                                                     \
        if (want_ > (vec)->cap) {                                                                  \
            size_t cap_ = (vec)->cap ? (vec)->cap : 8;                                             \
            while (cap_ < want_) cap_ *= 2;                                                        \
            (vec)->v =                                                                             \
                mem_realloc((vec)->v, (vec)->cap * sizeof(*(vec)->v), cap_ * sizeof(*(vec)->v));   \
            (vec)->cap = cap_;                                                                     \
        }                                                                                          \
    } while (0)

#define vec_push(vec, ...)                                                                         \
    do {                                                                                           \
        vec_reserve((vec), (vec)->n + 1);                                                          \
        (vec)->v[(vec)->n++] = __VA_ARGS__;                                                        \
    } while (0)

#define vec_release(vec)                                                                           \
    do {                                                                                           \
        mem_free((vec)->v);                                                                        \
        (vec)->v = NULL;                                                                           \
        (vec)->n = (vec)->cap = 0;                                                                 \
    } while (0)

#endif
