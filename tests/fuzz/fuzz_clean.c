/* Any bytes made harmless for people's eyes. Oracle: the result is valid UTF-8 without control or
 * reordering characters, cleaning it again changes nothing, harmless text is returned as it is, and
 * one line stays one line. */
#include "base/utf8.h"
#include "report/clean.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(str s, bool one_line) {
    for (size_t at = 0; at < s.n;) {
        uint32_t cp = utf8_next(s, &at);
        MUST(cp != UTF8_BAD);
        MUST(cp >= 0x20 || (cp == '\n' && !one_line));
        MUST(cp != 0x7f && !(cp >= 0x80 && cp < 0xa0));
        MUST(!(cp >= 0x202a && cp <= 0x202e) && !(cp >= 0x2066 && cp <= 0x2069) && cp != 0xfeff);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str text = str_make((const char *)data, size);
    arena out;
    arena_init(&out, "fuzz", 64 << 20);
    str lines = clean_text(&out, text), line = clean_line(&out, text);
    check(lines, false);
    check(line, true);
    str again = clean_text(&out, lines);
    MUST(again.p == lines.p && again.n == lines.n);
    MUST(clean_line(&out, line).p == line.p);
    arena_release(&out);
    return 0;
}
