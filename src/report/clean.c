/* clean.c - see clean.h. A log line is written by whoever can make a program log something: on a
 * terminal an escape sequence in it may retitle the window, move the cursor over what was printed
 * or, with a right-to-left override, show another text than is there. So nothing of the kind is
 * passed on; it is shown, because that it is there may matter. */
#include "report/clean.h"

#include "base/utf8.h"

static bool harmless_ascii(unsigned char c) { return c >= 0x20 && c < 0x7f; }

/* Characters that change how their neighbours look or that cannot be seen. */
static bool hides(uint32_t cp) {
    return (cp >= 0x80 && cp < 0xa0) || cp == 0xad || (cp >= 0x200b && cp <= 0x200f) ||
           (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff ||
           (cp >= 0xe0000 && cp <= 0xe007f);
}

static bool needs_cleaning(str s, bool one_line) {
    for (size_t at = 0; at < s.n;) {
        unsigned char c = (unsigned char)s.p[at];
        if (c < 0x80) {
            if (!harmless_ascii(c) && (c != '\n' || one_line)) return true;
            at++;
            continue;
        }
        uint32_t cp = utf8_next(s, &at);
        if (cp == UTF8_BAD || hides(cp)) return true;
    }
    return false;
}

static size_t put_code(char *p, uint32_t cp) {
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    p[n++] = '\\';
    p[n++] = cp < 0x80 ? 'x' : 'u';
    for (int shift = cp < 0x80 ? 4 : cp < 0x10000 ? 12 : 20; shift >= 0; shift -= 4) {
        p[n++] = hex[cp >> shift & 15];
    }
    return n;
}

static str clean(arena *out, str s, bool one_line) {
    if (!needs_cleaning(s, one_line)) return s;
    enum { LONGEST = 8, TAB_COLUMNS = 4 }; /* \u + six digits */
    char *p = arena_try_array(out, s.n, LONGEST, 1);
    if (!p) return STR_NONE;
    size_t n = 0;
    for (size_t at = 0; at < s.n;) {
        unsigned char c = (unsigned char)s.p[at];
        if (harmless_ascii(c)) {
            p[n++] = (char)c;
            at++;
        } else if (c == '\t' || (c == '\n' && one_line)) {
            for (int blanks = one_line ? 1 : TAB_COLUMNS; blanks > 0; blanks--) p[n++] = ' ';
            at++;
        } else if (c == '\n') {
            p[n++] = '\n';
            at++;
        } else if (c == '\r' && (at + 1 == s.n || s.p[at + 1] == '\n')) {
            at++; /* half of a line end */
        } else {
            uint32_t cp = utf8_next(s, &at);
            if (cp == UTF8_BAD) {
                n += utf8_put(p + n, 0xfffd);
            } else if (cp < 0x80 || hides(cp)) {
                n += put_code(p + n, cp);
            } else {
                n += utf8_put(p + n, cp);
            }
        }
    }
    return str_make(p, n);
}

str clean_text(arena *out, str s) { return clean(out, s, false); }
str clean_line(arena *out, str s) { return clean(out, s, true); }
