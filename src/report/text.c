#include "report/text.h"

static const str texts[TEXT_COUNT][2] = {
#define T(key, en, zh) [TEXT_##key] = {S_INIT(en), S_INIT(zh)},
#include "report/text.tbl.h"
#undef T
};

str text_get(report_lang lang, text_key key) {
    MUST((unsigned)key < TEXT_COUNT);
    return texts[key][lang == LANG_ZH];
}

/* A `{digit}` at position i. */
static bool is_hole(str s, size_t i) {
    return s.n - i >= 3 && s.p[i] == '{' && s.p[i + 1] >= '0' && s.p[i + 1] <= '9' &&
           s.p[i + 2] == '}';
}

str text_fill(arena *out, report_lang lang, text_key key, const str *args, size_t count) {
    str form = text_get(lang, key);
    size_t bytes = form.n;
    for (size_t i = 0; i < form.n; i++) {
        size_t arg = is_hole(form, i) ? (size_t)(form.p[i + 1] - '0') : count;
        if (arg < count) bytes += args[arg].n;
    }
    char *p = arena_try_bytes(out, bytes + 1, 1);
    if (!p) return STR_NONE;
    size_t n = 0;
    for (size_t i = 0; i < form.n; i++) {
        if (!is_hole(form, i)) {
            p[n++] = form.p[i];
            continue;
        }
        size_t arg = (size_t)(form.p[i + 1] - '0');
        if (arg < count && args[arg].n) {
            memcpy(p + n, args[arg].p, args[arg].n);
            n += args[arg].n;
        }
        i += 2;
    }
    return str_make(p, n);
}
