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

/* Room for one more item in an arena array that doubles; the array as it was when the arena is
 * full. */
static void *grown(arena *mem, void *items, size_t count, size_t *cap, size_t item_bytes) {
    if (count < *cap) return items;
    size_t more = *cap ? *cap * 2 : 64;
    char *p = arena_try_array(mem, more, item_bytes, _Alignof(max_align_t));
    if (!p) return NULL;
    if (count) memcpy(p, items, count * item_bytes);
    *cap = more;
    return p;
}

#define ADD(t, type, items, n, room)                                                               \
    do {                                                                                           \
        type *p_ = grown(&(t)->mem, items, n, &room, sizeof *p_);                                  \
        if (!p_) return NULL;                                                                      \
        items = p_;                                                                                \
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
