/* utf8.c - decoding follows table 3-7 of the Unicode standard (well-formed byte sequences): the
 * second byte's range depends on the first, all later ones are 80..BF. Widths: the ranges of
 * EastAsianWidth.txt with W or F, and the common blocks of combining marks (Mn, Me), both coarse by
 * block: terminals differ among themselves in the rest. */
#include "base/utf8.h"

#include "base/arena.h"

uint32_t utf8_next(str s, size_t *at) {
    size_t i = *at;
    MUST(i < s.n);
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char c = p[i++];
    *at = i;
    if (c < 0x80) return c;
    unsigned low = 0x80, high = 0xBF, more;
    uint32_t cp;
    if (c >= 0xC2 && c <= 0xDF) {
        more = 1, cp = c & 0x1F;
    } else if (c >= 0xE0 && c <= 0xEF) {
        more = 2, cp = c & 0x0F;
        if (c == 0xE0) low = 0xA0;
        if (c == 0xED) high = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        more = 3, cp = c & 0x07;
        if (c == 0xF0) low = 0x90;
        if (c == 0xF4) high = 0x8F;
    } else {
        return UTF8_BAD;
    }
    for (; more > 0; more--, low = 0x80, high = 0xBF) {
        if (i >= s.n || p[i] < low || p[i] > high) return UTF8_BAD;
        cp = cp << 6 | (p[i++] & 0x3F);
        *at = i;
    }
    return cp;
}

/* Text in other scripts than ours is mostly sequences of one length: each is checked in line, with
 * its whole range of second bytes; what is not clear (near the end, the narrow ranges) goes to
 * utf8_next. */
bool utf8_valid(str s) {
    for (size_t at = 0; at < s.n;) {
        uint64_t word;
        while (s.n - at >= sizeof word) { /* ASCII, eight bytes at a time */
            memcpy(&word, s.p + at, sizeof word);
            if (word & 0x8080808080808080u) break;
            at += sizeof word;
        }
        for (;;) {
            if (s.n - at < 4) break;
            uint32_t w = (uint32_t)(unsigned char)s.p[at] << 24 |
                         (uint32_t)(unsigned char)s.p[at + 1] << 16 |
                         (uint32_t)(unsigned char)s.p[at + 2] << 8 |
                         (uint32_t)(unsigned char)s.p[at + 3];
            if ((w & 0xe0c00000u) == 0xc0800000u && w >= 0xc2000000u) {
                at += 2;
            } else if ((w & 0xf0c0c000u) == 0xe0808000u && w >= 0xe1000000u &&
                       (w & 0xff000000u) != 0xed000000u) {
                at += 3;
            } else if ((w & 0x80000000u) == 0) {
                at++;
                if ((w & 0x00808080u) == 0) break; /* ASCII again */
            } else {
                break;
            }
        }
        if (at < s.n && utf8_next(s, &at) == UTF8_BAD) return false;
    }
    return true;
}

size_t utf8_put(char out[4], uint32_t cp) {
    MUST(cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF));
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const unsigned char LEAD[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3F));
    out[0] = (char)(LEAD[n] | cp);
    return n;
}

typedef struct range {
    uint32_t from, to;
} range;

static const range WIDE[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
    {0x25FD, 0x25FE},   {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26A1, 0x26A1},
    {0x26AA, 0x26AB},   {0x2705, 0x2705},   {0x270A, 0x270B},   {0x274C, 0x274C},
    {0x2753, 0x2755},   {0x2757, 0x2757},   {0x2795, 0x2797},   {0x2B1B, 0x2B1C},
    {0x2B50, 0x2B50},   {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},
    {0x4E00, 0xA4CF},   {0xA960, 0xA97F},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
    {0xFE10, 0xFE19},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
    {0x16FE0, 0x18CFF}, {0x1B000, 0x1B2FF}, {0x1F004, 0x1F004}, {0x1F18E, 0x1F19A},
    {0x1F200, 0x1F320}, {0x1F32D, 0x1F335}, {0x1F337, 0x1F37C}, {0x1F37E, 0x1F393},
    {0x1F3A0, 0x1F3CA}, {0x1F3E0, 0x1F43E}, {0x1F440, 0x1F4FC}, {0x1F4FF, 0x1F53D},
    {0x1F550, 0x1F567}, {0x1F5FB, 0x1F64F}, {0x1F680, 0x1F6C5}, {0x1F7E0, 0x1F7EB},
    {0x1F90C, 0x1FAFF}, {0x20000, 0x3FFFD}};

static const range NO_WIDTH[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A},  {0x064B, 0x065F},
    {0x06D6, 0x06DC}, {0x0E31, 0x0E31}, {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E},  {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x2064},  {0x20D0, 0x20F0},
    {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};

static bool in_ranges(const range *r, size_t n, uint32_t cp) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cp > r[mid].to)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && cp >= r[low].from;
}

static size_t columns_of(uint32_t cp) {
    if (cp == UTF8_BAD) return 1;
    if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) return 0;
    if (cp < 0x300) return 1;
    if (in_ranges(NO_WIDTH, ARRAY_LEN(NO_WIDTH), cp)) return 0;
    return in_ranges(WIDE, ARRAY_LEN(WIDE), cp) ? 2 : 1;
}

size_t utf8_columns(str s) {
    size_t columns = 0;
    for (size_t at = 0; at < s.n;) columns += columns_of(utf8_next(s, &at));
    return columns;
}

str utf8_cut_columns(str s, size_t max_columns) {
    size_t columns = 0;
    for (size_t at = 0; at < s.n;) {
        size_t start = at;
        columns += columns_of(utf8_next(s, &at));
        if (columns > max_columns) return str_sub(s, 0, start);
    }
    return s;
}

str utf8_cut_bytes(str s, size_t max_bytes) {
    if (s.n <= max_bytes) return s;
    size_t n = max_bytes;
    /* Step back over at most three continuation bytes to the start of the cut character. */
    for (unsigned i = 0; i < 3 && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80; i++) n--;
    if (((unsigned char)s.p[n] & 0xC0) == 0x80) n = max_bytes; /* not UTF-8 */
    return str_sub(s, 0, n);
}

str utf8_repaired(str s, arena *out) {
    size_t bad = 0;
    for (size_t at = 0; at < s.n;) bad += utf8_next(s, &at) == UTF8_BAD;
    char *p = arena_try_raw(out, s.n + bad * 2, 1); /* one bad byte becomes three */
    if (!p) return STR_NONE;
    size_t n = 0;
    for (size_t at = 0; at < s.n;) {
        size_t from = at;
        if (utf8_next(s, &at) == UTF8_BAD) {
            n += utf8_put(p + n, 0xfffd);
        } else {
            memcpy(p + n, s.p + from, at - from);
            n += at - from;
        }
    }
    return str_make(p, n);
}
