#include "model/finding.h"

#include <stdlib.h>

void finding_set_init(finding_set *s) {
    *s = (finding_set){0};
    arena_init(&s->mem, "findings", FINDING_SET_ARENA_MAX);
}

void finding_set_release(finding_set *s) {
    if (!s) return;
    vec_release(&s->items);
    arena_release(&s->mem);
}

finding *finding_set_add(finding_set *s, const finding *f) {
    MUST((unsigned)f->kind < FINDING_KIND_COUNT && f->level <= LEVEL_CRITICAL);
    MUST(f->ref_count <= FINDING_REFS);
    if (s->items.n >= FINDING_SET_MAX) return NULL;
    finding copy = *f;
    str *const texts[] = {&copy.service, &copy.component, &copy.unit, &copy.subject,
                          &copy.template_text};
    arena_mark before = arena_save(&s->mem);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        str own = str_dup(&s->mem, *texts[i]);
        if (!own.p) {
            arena_restore(&s->mem, before);
            return NULL;
        }
        *texts[i] = own;
    }
    vec_push(&s->items, copy);
    return &s->items.v[s->items.n - 1];
}

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* Total over everything that tells two findings apart, so that the order does not depend on the
 * order in which workers added them. A surprise that is not a number counts as none. */
static int compare(const void *pa, const void *pb) {
    const finding *a = pa, *b = pb;
    int c = ORDER(b->level, a->level);
    if (c) return c;
    double sa = a->surprise_bits == a->surprise_bits ? a->surprise_bits : 0;
    double sb = b->surprise_bits == b->surprise_bits ? b->surprise_bits : 0;
    if ((c = ORDER(sb, sa))) return c;
    /* TS_NONE is the smallest number, but "no time known" belongs last. */
    int64_t ta = a->onset_ns == TS_NONE ? INT64_MAX : a->onset_ns;
    int64_t tb = b->onset_ns == TS_NONE ? INT64_MAX : b->onset_ns;
    if ((c = ORDER(ta, tb))) return c;
    if ((c = str_cmp(a->service, b->service))) return c;
    if ((c = ORDER(a->template_id, b->template_id))) return c;
    if ((c = str_cmp(a->template_text, b->template_text))) return c;
    if ((c = ORDER(a->kind, b->kind))) return c;
    if ((c = str_cmp(a->component, b->component))) return c;
    if ((c = str_cmp(a->subject, b->subject))) return c;
    if ((c = ORDER(a->from_ns, b->from_ns))) return c;
    if ((c = ORDER(a->refs[0].file, b->refs[0].file))) return c;
    return ORDER(a->refs[0].offset, b->refs[0].offset);
}

void finding_set_sort(finding_set *s) {
    if (s->items.n > 1) qsort(s->items.v, s->items.n, sizeof *s->items.v, compare);
}

str finding_kind_name(finding_kind k) {
    static const str NAMES[FINDING_KIND_COUNT] = {
        [FINDING_NEW_TEMPLATE] = S_INIT("new_template"),
        [FINDING_RARE_TEMPLATE] = S_INIT("rare_template"),
        [FINDING_RATE_BURST] = S_INIT("rate_burst"),
        [FINDING_RATE_DROP] = S_INIT("rate_drop"),
        [FINDING_STOPPED] = S_INIT("stopped"),
        [FINDING_ERROR_RATIO] = S_INIT("error_ratio"),
        [FINDING_SESSION] = S_INIT("session"),
        [FINDING_SEQUENCE] = S_INIT("sequence"),
        [FINDING_PARAM_OUTLIER] = S_INIT("param_outlier"),
        [FINDING_NEW_VALUE] = S_INIT("new_value"),
        [FINDING_MEANING] = S_INIT("meaning"),
    };
    MUST((unsigned)k < FINDING_KIND_COUNT);
    return NAMES[k];
}

str finding_level_name(finding_level l) {
    static const str NAMES[] = {
        [LEVEL_NONE] = S_INIT("None"),         [LEVEL_LOW] = S_INIT("Low"),
        [LEVEL_MEDIUM] = S_INIT("Medium"),     [LEVEL_HIGH] = S_INIT("High"),
        [LEVEL_CRITICAL] = S_INIT("Critical"),
    };
    MUST((unsigned)l < ARRAY_LEN(NAMES));
    return NAMES[l];
}
