#include "model/telemetry.h"

#include "base/mem.h"

telemetry *telemetry_new(void) {
    telemetry *t = mem_new(telemetry);
    arena_init(&t->mem, "telemetry", TELEMETRY_ARENA_MAX);
    log_batch_init(&t->logs);
    return t;
}

void telemetry_free(telemetry *t) {
    if (!t) return;
    log_batch_release(&t->logs);
    arena_release(&t->mem);
    mem_free(t->body);
    mem_free(t);
}

size_t telemetry_count(const telemetry *t) {
    return t->logs.count + t->spans.count + t->metrics.count + t->profiles.count;
}

/* The array with room for `more` items, raw: an item is cleared when it is handed out. NULL when
 * the arena is full. An outgrown array stays in the arena. */
static void *reserved(arena *mem, void *items, size_t count, size_t *cap, size_t more,
                      size_t item_bytes) {
    size_t need;
    size_t bytes;
    if (__builtin_add_overflow(count, more, &need)) return NULL;
    if (items && need <= *cap) return items;
    if (__builtin_mul_overflow(need, item_bytes, &bytes)) return NULL;
    char *p = arena_try_raw(mem, bytes, _Alignof(max_align_t));
    if (!p) return NULL;
    if (count) memcpy(p, items, count * item_bytes);
    *cap = need;
    return p;
}

bool telemetry_reserve_spans(telemetry *t, size_t more) {
    span_batch *b = &t->spans;
    span *p = reserved(&t->mem, b->rec, b->count, &b->cap, more, sizeof *p);
    if (p) b->rec = p;
    return p != NULL;
}

bool telemetry_reserve_points(telemetry *t, size_t more) {
    metric_batch *b = &t->metrics;
    metric_point *p = reserved(&t->mem, b->rec, b->count, &b->cap, more, sizeof *p);
    if (p) b->rec = p;
    return p != NULL;
}

#define ADD(t, type, items, n, room)                                                               \
    do {                                                                                           \
        if (!items || n == room) {                                                                 \
            type *p_ = reserved(&(t)->mem, items, n, &room, MAX(n, 64), sizeof *p_);               \
            if (!p_) return NULL;                                                                  \
            items = p_;                                                                            \
        }                                                                                          \
        items[n] = (type){0};                                                                      \
        return &items[n++];                                                                        \
    } while (0)

span *telemetry_add_span(telemetry *t) { ADD(t, span, t->spans.rec, t->spans.count, t->spans.cap); }
metric_info *telemetry_add_metric(telemetry *t) {
    ADD(t, metric_info, t->metrics.info, t->metrics.info_count, t->metrics.info_cap);
}
metric_point *telemetry_add_point(telemetry *t) {
    ADD(t, metric_point, t->metrics.rec, t->metrics.count, t->metrics.cap);
}
profile *telemetry_add_profile(telemetry *t) {
    ADD(t, profile, t->profiles.rec, t->profiles.count, t->profiles.cap);
}
