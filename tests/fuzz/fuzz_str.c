/* fuzz_str - searching, splitting, UTF-8 and escaping over any bytes. The first byte splits the
 * input into a needle and a hay. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/utf8.h"

static void check_search(str hay, str needle) {
    size_t at = str_find(hay, needle, 0), folded = str_find_nocase(hay, needle, 0);
    MUST(at == STR_NPOS || str_eq(str_sub(hay, at, needle.n), needle));
    MUST(folded == STR_NPOS || str_eq_nocase(str_sub(hay, folded, needle.n), needle));
    MUST(at == STR_NPOS || (folded != STR_NPOS && folded <= at));
    MUST(str_starts(hay, needle) == (at == 0));
}

/* The parts and their separators are the whole text again. */
static void check_split(str s) {
    buf b;
    buf_init(&b, s.n + 1);
    str rest = s, part;
    bool first = true;
    while (str_next(&rest, ',', &part)) {
        MUST(first || buf_putc(&b, ','));
        MUST(buf_put(&b, part));
        first = false;
    }
    MUST(str_eq(buf_str(&b), s));
    buf_release(&b);
}

static void check_utf8(str s) {
    bool valid = true;
    size_t at = 0, columns = utf8_columns(s);
    while (at < s.n) {
        size_t before = at;
        uint32_t cp = utf8_next(s, &at);
        MUST(at > before && at <= s.n && at - before <= 4);
        char text[4];
        if (cp == UTF8_BAD)
            valid = false;
        else
            MUST(str_eq(str_make(text, utf8_put(text, cp)), str_sub(s, before, at - before)));
    }
    MUST(valid == utf8_valid(s));
    MUST(columns <= s.n);
    for (size_t n = 0; n < s.n && n < 8; n++) {
        str cut = utf8_cut_columns(s, n);
        MUST(utf8_columns(cut) <= n && str_starts(s, cut));
        cut = utf8_cut_bytes(s, n);
        MUST(cut.n <= n && str_starts(s, cut));
        MUST(!valid || utf8_valid(cut));
    }
}

static void check_escapes(str s) {
    buf b;
    buf_init(&b, 6 * s.n + 2); /* the worst case of both */
    MUST(buf_json(&b, s));
    MUST(utf8_valid(buf_str(&b)));
    buf_reset(&b);
    MUST(buf_html(&b, s));
    for (size_t i = 0; i < b.n; i++)
        MUST(b.p[i] != '<' && b.p[i] != '>' && b.p[i] != '"' && b.p[i] != '\'');
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    str s = str_make((const char *)data + 1, size - 1);
    size_t split = data[0] % 16;
    check_search(str_from(s, split), str_sub(s, 0, split));
    check_split(s);
    check_utf8(s);
    check_escapes(s);
    str trimmed = str_trim(s);
    MUST(trimmed.n <= s.n && str_eq(str_trim(trimmed), trimmed));
    return 0;
}
