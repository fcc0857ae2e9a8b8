/* session_find.c - sessions of mined logs: events renamed to templates, and sessions judged against
 * each other when none are known to be normal. */
#include "detect/sessions_int.h"

void session_set_to_templates(session_set *s, const miner *m) {
    uint32_t *renamed = mem_new_n(uint32_t, s->event_ids.n + 1);
    map64 index;
    map64_init(&index, SESSION_ALPHABET_MAX);
    size_t kept = 0;
    for (size_t i = 0; i < s->event_ids.n; i++) {
        uint64_t id = miner_template_of(m, s->event_ids.v[i]);
        if (!id) id = s->event_ids.v[i]; /* evicted from the miner: the shape stands for itself */
        bool added;
        uint64_t *at = map64_put(&index, id, &added);
        MUST(at);
        if (added) {
            *at = kept;
            s->event_ids.v[kept++] = id; /* kept <= i: never overtakes the reading */
        }
        renamed[i] = (uint32_t)*at;
    }
    s->event_ids.n = kept;
    map64_release(&s->event_index);
    s->event_index = index;
    for (size_t i = 0; i < s->items.n; i++) {
        session *x = &s->items.v[i];
        for (uint32_t k = 0; k < x->count; k++) x->events[k] = renamed[x->events[k]];
    }
    mem_free(renamed);
}
