/* mask.c - user masks: PCRE2 expressions (JIT compiled) that claim pieces of a message before it is
 * classified. They cost a pass each over every message; none are needed. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "mine/mine_int.h"

#include <pcre2.h>

#include "base/mem.h"

enum { MASKS_MAX = MASK_MIXED - 1, MATCH_LIMIT = 100000, NAMES_BYTES_MAX = 1 << 20 };

struct mask_set {
    size_t count;
    pcre2_code **code;
    str *shown; /* "<name>" of each */
    arena names;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

void mask_set_free(mask_set *s) {
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) pcre2_code_free(s->code[i]);
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->context);
    mem_free(s->code);
    mem_free(s->shown);
    arena_release(&s->names);
    mem_free(s);
}

rc mask_set_new(const mine_mask *masks, size_t count, mask_set **ret, err *e) {
    if (count > MASKS_MAX) return FAIL(e, RC_LIMIT, "%zu masks, at most %d", count, MASKS_MAX);
    mask_set *s = mem_new(mask_set);
    s->code = mem_new_n(pcre2_code *, count);
    s->shown = mem_new_n(str, count);
    arena_init(&s->names, "mine.masks", NAMES_BYTES_MAX);
    s->match = pcre2_match_data_create(1, NULL);
    s->context = pcre2_match_context_create(NULL);
    MUST(s->match && s->context);
    pcre2_set_match_limit(s->context, MATCH_LIMIT);
    for (size_t i = 0; i < count; i++) {
        int code;
        PCRE2_SIZE at;
        str regex = masks[i].regex;
        s->code[i] =
            pcre2_compile((PCRE2_SPTR)(regex.p ? regex.p : ""), regex.n, 0, &code, &at, NULL);
        if (!s->code[i]) {
            PCRE2_UCHAR why[128] = "";
            (void)pcre2_get_error_message(code, why, sizeof(why));
            mask_set_free(s);
            return FAIL(e, RC_INVALID, "mask '%.*s': %s at position %zu of '%.*s'",
                        STR_ARG(masks[i].name), (const char *)why, (size_t)at, STR_ARG(regex));
        }
        s->count = i + 1;
        s->shown[i] = str_fmt(&s->names, "<%.*s>", STR_ARG(masks[i].name));
        if (!s->shown[i].p) {
            mask_set_free(s);
            return FAIL(e, RC_LIMIT, "the names of masks are above %d bytes", NAMES_BYTES_MAX);
        }
        /* Without JIT (no executable memory) matching still works, slower. */
        (void)pcre2_jit_compile(s->code[i], PCRE2_JIT_COMPLETE);
    }
    *ret = s;
    return RC_OK;
}

/* Keeps ret sorted and disjoint: a span that overlaps an earlier mask's is dropped. */
static size_t add_span(scan_span *ret, size_t n, scan_span add) {
    size_t at = n;
    while (at > 0 && ret[at - 1].from >= add.to) at--;
    if (at > 0 && ret[at - 1].to > add.from) return n;
    memmove(&ret[at + 1], &ret[at], (n - at) * sizeof(*ret));
    ret[at] = add;
    return n + 1;
}

size_t mask_set_find(mask_set *s, str text, scan_span *ret, size_t max) {
    size_t n = 0;
    size_t length = MIN(text.n, (size_t)SCAN_BYTES_MAX);
    if (length == 0) return 0;
    for (size_t i = 0; i < s->count; i++) {
        size_t from = 0;
        while (from < length && n < max) {
            int found =
                pcre2_match(s->code[i], (PCRE2_SPTR)text.p, length, from, 0, s->match, s->context);
            if (found < 0) break; /* no match, or the limit of its effort */
            const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->match);
            if (at[1] > at[0]) {
                n = add_span(ret, n,
                             (scan_span){(uint32_t)at[0], (uint32_t)at[1], (uint8_t)(i + 1)});
                from = at[1];
            } else {
                from = at[1] + 1;
            }
        }
    }
    return n;
}

str mask_set_shown(const mask_set *s, uint8_t mask) {
    MUST(mask >= 1 && mask <= s->count);
    return s->shown[mask - 1];
}

size_t mask_set_count(const mask_set *s) { return s ? s->count : 0; }
