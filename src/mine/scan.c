/* scan.c - one pass over a message: constants stay, variables become typed slots.
 *
 * Problem. "Served block blk_-26 to /10.2.7.5:50010 in 12 ms" must become the skeleton
 * "Served block \1 to \1 in \1" with slots ID, IP, UNIT, at several hundred megabytes a second, the
 * same way whatever the values are, and such that skeleton + values give the message back.
 *
 * Structure. Bytes are of three sorts: *stops* (white space, brackets, quotes, '=', ',' ';' ...)
 * end a run; *word* bytes (letters, digits, bytes >= 0x80 and the joiners . _ - : / @ % + \ $ ~)
 * make one. Only a run with something worth a look in it can hold a slot: a digit, a slash, a
 * backslash, or a dot between two word bytes. So:
 *
 *     1. Two bitmaps, a bit a byte: `stop` and `look` (AVX2: 32 bytes at a time with two shuffles;
 *        elsewhere a table).
 *     2. For each set bit of `look`: the run around it is [last stop + 1, next stop). Plain words
 *        are never visited one by one.
 *     3. The run is trimmed of sentence punctuation and classified by counts of its byte sorts
 *        (eight 8-bit counters in one 64-bit sum), then by small matchers (address, time, URL ...).
 *        "key:value", "a..b" and "PS/2" are taken apart and each side is classified.
 *     4. Bytes between slots go to the skeleton buffer, a slot leaves one SCAN_MARK.
 *
 * A slot may reach beyond its run: paths and URLs up to a blank, numbers over a following unit
 * ("5.2 KB"), dates over month, time and year ("Fri Jun 17 07:07:00 2005"). A stem of letters
 * before the digits ("eth0", "slot7") stays constant and only the digits vary. More than
 * SCAN_LIST_MIN slots that stand one blank apart are one list.
 * Quoted text behind '=' is a slot, and so are string values in JSON; the value of a
 * message-like key is mined as text, that of a level-like key stays.
 *
 * Limits. SCAN_SLOTS_MAX slots, SCAN_CONST_MAX constant bytes, SCAN_BYTES_MAX message bytes; the
 * rest of a longer message is one last slot. The first two limits count constants and slots, not
 * message bytes, so that the cut falls at the same place for every message of a shape.
 *
 * Rejected: regular expressions (30 to 100 times slower), a table-driven automaton a byte at a time
 * (about 3 times slower: most bytes are in plain words). Source of the bitmaps: simdjson (Langdale,
 * Lemire 2019, section 3.1). */
#include "mine/scan_int.h"

#include "base/bits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define SCAN_AVX2 1
#endif

enum {
    CLS_STOP = 1,
    CLS_DIGIT = 2,
    CLS_SLASH = 4,   /* '/' and '\' */
    CLS_CONTROL = 8, /* control characters except white space: a slot of their own */
    CLS_SPACE = 16,
    CLS_DELIM = 32,      /* from the caller's delimiters */
    CLS_TRIM_START = 64, /* punctuation that is no part of a value it begins or ends, mostly */
    CLS_TRIM_END = 128
};

/* Counters of a run, eight lanes of a 64-bit sum. Runs of more than LANE_MAX bytes are not counted.
 */
enum { LANE_MAX = 255, KEY_DIGITS_MAX = 3, KEY_BYTES_MAX = 32 };
#define LANE(i)    ((uint64_t)1 << (8 * (i)))
#define L_DIGIT    LANE(0)
#define L_HEX      LANE(1) /* a-f A-F */
#define L_ALPHA    LANE(2) /* other letters */
#define L_DOT      LANE(3)
#define L_COLON    LANE(4)
#define L_SLASH    LANE(5) /* '/' and '\' */
#define L_DASH     LANE(6)
#define L_OTHER    LANE(7) /* _ @ % + $ ~ and bytes >= 0x80 */
#define N_DIGIT(c) ((unsigned)(c)&255)
#define N_HEX(c)   ((unsigned)((c) >> 8) & 255)
#define N_ALPHA(c) ((unsigned)((c) >> 16) & 255)
#define N_DOT(c)   ((unsigned)((c) >> 24) & 255)
#define N_COLON(c) ((unsigned)((c) >> 32) & 255)
#define N_SLASH(c) ((unsigned)((c) >> 40) & 255)
#define N_DASH(c)  ((unsigned)((c) >> 48) & 255)
#define N_OTHER(c) ((unsigned)((c) >> 56) & 255)

#define D4(v)  v, v, v, v
#define D8(v)  D4(v), D4(v)
#define D32(v) D8(v), D8(v), D8(v), D8(v)

/* clang-format off */
static const uint64_t lane_of[256] = {
    ['0'] = L_DIGIT, L_DIGIT, L_DIGIT, L_DIGIT, L_DIGIT, L_DIGIT, L_DIGIT, L_DIGIT, L_DIGIT, L_DIGIT,
    ['A'] = L_HEX, L_HEX, L_HEX, L_HEX, L_HEX, L_HEX,
    ['G'] = D8(L_ALPHA), D8(L_ALPHA), D4(L_ALPHA),
    ['a'] = L_HEX, L_HEX, L_HEX, L_HEX, L_HEX, L_HEX,
    ['g'] = D8(L_ALPHA), D8(L_ALPHA), D4(L_ALPHA),
    ['.'] = L_DOT, [':'] = L_COLON, ['/'] = L_SLASH, ['-'] = L_DASH,
    ['_'] = L_OTHER, ['@'] = L_OTHER, ['%'] = L_OTHER, ['+'] = L_OTHER,
    ['\\'] = L_SLASH, ['$'] = L_OTHER, ['~'] = L_OTHER,
    [0x80] = D32(L_OTHER), D32(L_OTHER), D32(L_OTHER), D32(L_OTHER),
};
/* clang-format on */

FL_INLINE bool is_digit(char c) { return c >= '0' && c <= '9'; }
FL_INLINE bool is_alpha(char c) { return (unsigned char)((c | 0x20) - 'a') < 26; }
FL_INLINE bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
FL_INLINE bool is_hex(char c) { return is_digit(c) || (unsigned char)((c | 0x20) - 'a') < 6; }

void scan_init(scanner *x, str delimiters) {
    static const char stops[] = "!\"#&'()*,;<=>?[]^`{|}";
    memset(x->cls, 0, sizeof(x->cls));
    for (int c = 0; c < 0x20; c++) x->cls[c] = CLS_STOP | CLS_CONTROL;
    x->cls[0x7f] = CLS_STOP | CLS_CONTROL;
    for (int c = '\t'; c <= '\r'; c++) x->cls[c] = CLS_STOP | CLS_SPACE;
    x->cls[' '] = CLS_STOP | CLS_SPACE;
    for (size_t i = 0; i < sizeof(stops) - 1; i++) x->cls[(unsigned char)stops[i]] = CLS_STOP;
    for (int c = '0'; c <= '9'; c++) x->cls[c] = CLS_DIGIT;
    x->cls['/'] = x->cls['\\'] = CLS_SLASH | CLS_TRIM_END;
    x->cls['.'] = x->cls[':'] = x->cls['+'] = CLS_TRIM_START | CLS_TRIM_END;
    x->cls['-'] = x->cls['@'] = x->cls['%'] = CLS_TRIM_START | CLS_TRIM_END;
    x->cls['_'] = CLS_TRIM_START;
    x->custom = false;
    for (size_t i = 0; i < delimiters.n; i++) {
        uint8_t *cls = &x->cls[(unsigned char)delimiters.p[i]];
        if (*cls & CLS_STOP) continue;
        *cls = CLS_STOP | CLS_DELIM;
        x->custom = true;
    }
}

bool scan_is_stop(const scanner *x, char c) { return x->cls[(unsigned char)c] & CLS_STOP; }

/* ---- bitmaps ---- */

static void map_table(scanner *x) {
    const unsigned char *p = (const unsigned char *)x->text.p;
    for (size_t base = 0; base < x->end; base += 64) {
        size_t n = MIN((size_t)64, x->end - base);
        uint64_t stop = 0, look = 0, digit = 0;
        for (size_t i = 0; i < n; i++) {
            unsigned c = x->cls[p[base + i]];
            digit |= (uint64_t)(c & CLS_DIGIT ? 1 : 0) << i;
            x->high |= p[base + i] >= 0x80;
            stop |= (uint64_t)(c & CLS_STOP) << i;
            bool dot_inside = p[base + i] == '.' && base + i + 1 < x->end &&
                              p[base + i + 1] != '.' && !(x->cls[p[base + i + 1]] & CLS_STOP);
            bool quote =
                p[base + i] == '"' && (x->json || (base + i > 0 && p[base + i - 1] == '='));
            bool on = (c & (CLS_DIGIT | CLS_SLASH | CLS_CONTROL)) || dot_inside || quote;
            look |= (uint64_t)on << i;
        }
        if (n < 64) stop |= ~(uint64_t)0 << n;
        x->stop[base / 64] = stop;
        x->look[base / 64] = look;
        x->digit[base / 64] = digit;
    }
}

#ifdef SCAN_AVX2
/* A bit a byte of up to 64 bytes. */
typedef struct block_maps {
    uint64_t stop, digit, control, slash, dot, quote, equals, high;
} block_maps;

/* Adds the bits of 32 bytes, from bit `at` on. Two shuffles by half-bytes: 0..5 of their product
 * are stops, 6 digits, 7 control characters. */
__attribute__((target("avx2"), always_inline)) static inline void sort_bytes(block_maps *m,
                                                                             const char *p,
                                                                             size_t at) {
    const __m256i hi_sorts = _mm256_setr_epi8(
        (char)0x81, (char)0x81, 0x02, 0x44, 0, 0x08, 0x20, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, (char)0x81,
        (char)0x81, 0x02, 0x44, 0, 0x08, 0x20, 0x10, 0, 0, 0, 0, 0, 0, 0, 0);
    /* low half-byte:  0: space(02) `(20) digit(40) ctl; 1 2 3 6 7 8 9 a c of "2x"; b..f of "3x";
     * b d e of "5x"; b c d f of "7x" */
    const __m256i lo_sorts = _mm256_setr_epi8(
        (char)0xe3, (char)0xc3, (char)0xc3, (char)0xc3, (char)0xc1, (char)0xc1, (char)0xc3,
        (char)0xc3, (char)0xc3, (char)0xc3, (char)0x83, (char)0x9d, (char)0x97, (char)0x9d,
        (char)0x8d, (char)0x95, (char)0xe3, (char)0xc3, (char)0xc3, (char)0xc3, (char)0xc1,
        (char)0xc1, (char)0xc3, (char)0xc3, (char)0xc3, (char)0xc3, (char)0x83, (char)0x9d,
        (char)0x97, (char)0x9d, (char)0x8d, (char)0x95);
    const __m256i low4 = _mm256_set1_epi8(0x0f), stops = _mm256_set1_epi8(0x3f);
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i hi = _mm256_and_si256(_mm256_srli_epi16(v, 4), low4);
    __m256i sorts = _mm256_and_si256(_mm256_shuffle_epi8(lo_sorts, _mm256_and_si256(v, low4)),
                                     _mm256_shuffle_epi8(hi_sorts, hi));
    __m256i is_stop = _mm256_cmpgt_epi8(_mm256_and_si256(sorts, stops), _mm256_setzero_si256());
#define BITS(vec) ((uint64_t)(uint32_t)_mm256_movemask_epi8(vec) << at)
#define EQ(ch)    BITS(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(ch)))
    uint64_t control = BITS(sorts) | EQ(0x7f);
    m->high |= BITS(v);
    m->stop |= BITS(is_stop) | EQ(0x7f);
    m->digit |= BITS(_mm256_slli_epi16(sorts, 1));
    m->slash |= EQ('/') | EQ('\\');
    m->dot |= EQ('.');
    m->quote |= EQ('"');
    m->equals |= EQ('=');
    if (UNLIKELY(control)) control &= ~(EQ('\t') | EQ('\n') | EQ('\v') | EQ('\f') | EQ('\r'));
    m->control |= control;
#undef EQ
#undef BITS
}

/* The maps of the last n < 64 bytes, at p; `before` bytes may be read in front of them. Never reads
 * behind the text: the last whole vectors that end with it are read instead. */
__attribute__((target("avx2"))) static block_maps sort_tail(const char *p, size_t n,
                                                            size_t before) {
    block_maps m = {0};
    if (before >= 64) {
        size_t over = 64 - n;
        sort_bytes(&m, p - over, 0);
        sort_bytes(&m, p - over + 32, 32);
        m.stop >>= over;
        m.digit >>= over;
        m.control >>= over;
        m.slash >>= over;
        m.dot >>= over;
        m.quote >>= over;
        m.equals >>= over;
    } else if (n >= 32) {
        sort_bytes(&m, p, 0);
        sort_bytes(&m, p + n - 32, n - 32);
    } else {
        char copy[32];
        memset(copy, ' ', sizeof(copy));
        memcpy(copy, p, n);
        sort_bytes(&m, copy, 0);
    }
    uint64_t inside = ~(~(uint64_t)0 << n);
    m.stop |= ~inside;
    return m;
}

__attribute__((target("avx2"))) static void map_avx2(scanner *x) {
    uint64_t carry_equals = 0; /* was the last byte of the block before a '='? */
    uint64_t open_dot = 0;     /* was it a dot? decided by the first byte of this block */
    for (size_t base = 0; base < x->end; base += 64) {
        const char *p = x->text.p + base;
        size_t n = x->end - base;
        block_maps m = {0};
        if (n >= 64) {
            sort_bytes(&m, p, 0);
            sort_bytes(&m, p + 32, 32);
        } else {
            m = sort_tail(p, n, base);
        }
        uint64_t after_equals = m.equals << 1 | carry_equals;
        uint64_t look = m.digit | m.slash | m.control |
                        (x->json ? m.quote : m.quote & after_equals) |
                        (m.dot & ~(m.stop >> 1) & ~(m.dot >> 1) & ~((uint64_t)1 << 63));
        carry_equals = m.equals >> 63;
        if (open_dot && !((m.stop | m.dot) & 1)) x->look[base / 64 - 1] |= (uint64_t)1 << 63;
        open_dot = m.dot >> 63;
        x->stop[base / 64] = m.stop;
        x->look[base / 64] = look;
        x->digit[base / 64] = m.digit;
        x->high |= m.high != 0;
    }
}
#endif

/* First set bit at or after `from`, or end. */
FL_INLINE size_t next_set(const uint64_t *map, size_t from, size_t end) {
    if (from >= end) return end;
    size_t w = from / 64, last = (end - 1) / 64;
    uint64_t bits = map[w] & ~(uint64_t)0 << (from % 64);
    while (!bits) {
        if (++w > last) return end;
        bits = map[w];
    }
    size_t i = w * 64 + bits_lowest(bits);
    return i < end ? i : end;
}

/* Position behind the last set bit in [floor, p), or floor. */
FL_INLINE size_t after_last_set(const uint64_t *map, size_t p, size_t floor) {
    size_t w = p / 64;
    uint64_t bits = p % 64 ? map[w] & ~(~(uint64_t)0 << (p % 64)) : 0;
    while (!bits) {
        if (w == 0 || w * 64 <= floor) return floor;
        bits = map[--w];
    }
    size_t i = w * 64 + bits_highest(bits) + 1;
    return i > floor ? i : floor;
}

/* Bits [s, e) of a map, at the low end; e - s <= 64. */
FL_INLINE uint64_t bits_of(const uint64_t *map, size_t s, size_t e) {
    size_t w = s / 64, shift = s % 64;
    uint64_t v = map[w] >> shift;
    if (shift && shift + (e - s) > 64) v |= map[w + 1] << (64 - shift);
    return e - s == 64 ? v : v & (((uint64_t)1 << (e - s)) - 1);
}

/* ---- output ---- */

static void emit(scanner *x, size_t from, size_t to, slot_type type, bool weak);

/* Copies text[at, to) to the skeleton. False when the constants do not fit: the rest of the
 * message became the last slot. */
FL_INLINE bool flush_constant(scanner *x, size_t to) {
    size_t n = to - x->at;
    size_t room = SCAN_CONST_MAX + x->slot_count - x->skel_bytes;
    if (UNLIKELY(n > room)) {
        memcpy(x->skel + x->skel_bytes, x->text.p + x->at, room);
        x->skel_bytes += (uint32_t)room;
        x->at += room;
        emit(x, x->at, x->text.n, SLOT_TEXT, true);
        x->done = true;
        return false;
    }
    char *to_p = x->skel + x->skel_bytes;
    const char *from_p = x->text.p + x->at;
    /* Constants between slots are short: two 16-byte copies mostly do. skel has 64 spare bytes. */
    if (LIKELY(n <= 32 && x->at + 32 <= x->text.n)) {
        memcpy(to_p, from_p, 16);
        memcpy(to_p + 16, from_p + 16, 16);
    } else {
        memcpy(to_p, from_p, n);
    }
    x->skel_bytes += (uint32_t)n;
    return true;
}

static void emit(scanner *x, size_t from, size_t to, slot_type type, bool weak) {
    DCHECK(from >= x->at && to > from);
    if (x->done) return;
    if (from > x->at && !flush_constant(x, from)) return;
    if (UNLIKELY(x->slot_count == SCAN_SLOTS_MAX - 1)) { /* the last one takes the rest */
        to = x->text.n;
        type = SLOT_TEXT;
        x->done = true;
    }
    uint32_t k = x->slot_count;
    /* A long list: 1 blank between this slot and each of the SCAN_LIST_MIN before it. */
    if (k >= SCAN_LIST_MIN && from - x->at == 1 && x->skel[x->skel_bytes - 1] == ' ' &&
        x->skel_bytes >= 2 * SCAN_LIST_MIN) {
        const char *tail = x->skel + x->skel_bytes - 2 * SCAN_LIST_MIN;
        bool list = true;
        for (int i = 0; i < SCAN_LIST_MIN && list; i++) {
            list = tail[2 * i] == SCAN_MARK && tail[2 * i + 1] == ' ';
        }
        if (list && !x->done) {
            x->skel_bytes--;
            x->slot[k - 1].bytes = (uint32_t)(to - x->slot[k - 1].offset);
            x->slot[k - 1].type = SLOT_TEXT;
            x->at = to;
            return;
        }
    }
    x->skel[x->skel_bytes++] = SCAN_MARK;
    x->slot[k] = (log_slot){(uint32_t)from, (uint32_t)(to - from), (uint8_t)type};
    x->weak[k] = weak;
    x->slot_count = k + 1;
    x->at = to;
}

/* ---- small matchers; all look at text[s, e) ---- */

static bool one_of(str word, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(word, str_c(list[i]))) return true;
    }
    return false;
}

/* Up to eight letters as one number, folded to lower case. */
#define PACK(a, b, c, d, e)                                                                        \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 |              \
     (uint64_t)(e) << 32)
static uint64_t pack(const char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v |= (uint64_t)(unsigned char)(p[i] | 0x20) << (8 * i);
    return v;
}

static bool among(uint64_t v, const uint64_t *list, size_t count) {
    bool found = false;
    for (size_t i = 0; i < count; i++) found |= list[i] == v;
    return found;
}

/* Month name of three letters at p, the first a capital? */
static bool is_month(const char *p) {
    static const uint64_t months[] = {
        PACK('j', 'a', 'n', 0, 0), PACK('f', 'e', 'b', 0, 0), PACK('m', 'a', 'r', 0, 0),
        PACK('a', 'p', 'r', 0, 0), PACK('m', 'a', 'y', 0, 0), PACK('j', 'u', 'n', 0, 0),
        PACK('j', 'u', 'l', 0, 0), PACK('a', 'u', 'g', 0, 0), PACK('s', 'e', 'p', 0, 0),
        PACK('o', 'c', 't', 0, 0), PACK('n', 'o', 'v', 0, 0), PACK('d', 'e', 'c', 0, 0)};
    return is_upper(p[0]) && among(pack(p, 3), months, ARRAY_LEN(months));
}

static bool is_weekday(const char *p) {
    static const uint64_t days[] = {PACK('m', 'o', 'n', 0, 0), PACK('t', 'u', 'e', 0, 0),
                                    PACK('w', 'e', 'd', 0, 0), PACK('t', 'h', 'u', 0, 0),
                                    PACK('f', 'r', 'i', 0, 0), PACK('s', 'a', 't', 0, 0),
                                    PACK('s', 'u', 'n', 0, 0)};
    return is_upper(p[0]) && among(pack(p, 3), days, ARRAY_LEN(days));
}

/* h:mm or hh:mm[:ss[.,:]fraction]; returns its end or s. */
static size_t match_clock(const char *t, size_t s, size_t e) {
    size_t i = s;
    while (i < e && is_digit(t[i]) && i - s < 2) i++;
    if (i == s || i + 3 > e || t[i] != ':' || !is_digit(t[i + 1]) || !is_digit(t[i + 2])) return s;
    i += 3;
    if (i + 3 <= e && t[i] == ':' && is_digit(t[i + 1]) && is_digit(t[i + 2])) {
        i += 3;
        if (i + 1 < e && (t[i] == '.' || t[i] == ',' || t[i] == ':') && is_digit(t[i + 1])) {
            i++;
            while (i < e && is_digit(t[i])) i++;
        }
    }
    return i;
}

/* yyyy-mm-dd, yyyy/m/d, dd/Mon/yyyy, dd.mm.yyyy and the like; returns its end or s. */
static size_t match_date(const char *t, size_t s, size_t e) {
    size_t part[3] = {0}, i = s;
    char sep = 0;
    bool name = false;
    for (int k = 0; k < 3; k++) {
        size_t from = i;
        if (k == 1 && i + 3 <= e && is_alpha(t[i])) {
            if (!is_month(t + i)) return s;
            i += 3;
            name = true;
        } else {
            while (i < e && is_digit(t[i]) && i - from < 4) i++;
        }
        part[k] = i - from;
        if (part[k] == 0) return s;
        if (k == 2) break;
        if (i >= e || (t[i] != '-' && t[i] != '/' && t[i] != '.') || (sep && t[i] != sep)) return s;
        sep = t[i++];
    }
    if (i < e && is_digit(t[i])) return s;
    bool year_first = part[0] == 4 && part[1] <= 3 && part[2] <= 2;
    bool year_last = part[2] == 4 && part[0] <= 2 && part[1] <= 3;
    if (!year_first && !year_last) return s;
    if (sep == '.' && year_first) return s; /* rather a version */
    if (!name && part[1] == 3) return s;
    return i;
}

/* Dotted quad, optional :port or /length, optional leading slash. */
static bool match_ipv4(const char *t, size_t s, size_t e) {
    if (s < e && t[s] == '/') s++;
    for (int k = 0; k < 4; k++) {
        size_t from = s;
        while (s < e && is_digit(t[s]) && s - from < 3) s++;
        if (s == from) return false;
        if (k < 3 && (s >= e || t[s++] != '.')) return false;
    }
    if (s == e) return true;
    if (t[s] != ':' && t[s] != '/') return false;
    size_t from = ++s;
    while (s < e && is_digit(t[s])) s++;
    return s == e && s > from;
}

/* Six or more groups of one or two hex digits with ':' or '-': MAC, EUI-64, InfiniBand. */
static bool match_mac(const char *t, size_t s, size_t e) {
    int groups = 0;
    char sep = 0;
    for (;;) {
        size_t from = s;
        while (s < e && is_hex(t[s]) && s - from < 2) s++;
        if (s == from) return false;
        groups++;
        if (s == e) return groups >= 6;
        if ((t[s] != ':' && t[s] != '-') || (sep && t[s] != sep)) return false;
        sep = t[s++];
    }
}

/* Two or more colons between groups of up to four hex digits; optional %zone and /length. */
static bool match_ipv6(const char *t, size_t s, size_t e) {
    int colons = 0, digits = 0;
    bool hex_or_colon = true;
    size_t run = 0, i = s;
    for (; i < e && hex_or_colon; i++) {
        if (t[i] == ':') {
            colons++;
            run = 0;
        } else if (is_hex(t[i]) && run < 4) {
            run++;
            digits++;
        } else {
            hex_or_colon = false;
            i--;
        }
    }
    if (colons < 2 || colons > 7 || digits == 0) return false;
    if (i < e && (t[i] == '%' || t[i] == '/')) {
        i++;
        while (i < e && (is_digit(t[i]) || is_alpha(t[i]))) i++;
    }
    /* "10:20:30" is not an address: an abbreviated one has "::", a full one seven colons. */
    bool abbreviated = false;
    for (size_t k = s; k + 1 < e; k++) abbreviated |= t[k] == ':' && t[k + 1] == ':';
    return i == e && (colons >= 4 || abbreviated);
}

/* Names of protocols and the like whose digits are no number. */
static bool names_with_digits(const char *p, size_t n) {
    static const char names[][8] = {
        "ipv4", "ipv6",  "inet4", "inet6",  "nat64",  "sha1", "sha2", "sha256", "sha512", "md5",
        "utf8", "utf16", "http2", "socks4", "socks5", "tls1", "x509", "base64", "i386",   "amd64",
        "x86",  "win32", "win64", "log4j",  "slf4j",  "ext3", "ext4", "nfs3",   "nfs4",   "ntlmv2"};
    char low[8] = {0};
    uint64_t want, have;
    for (size_t i = 0; i < n; i++) low[i] = (char)(p[i] | 0x20);
    memcpy(&want, low, 8);
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        memcpy(&have, names[i], 8);
        found |= have == want;
    }
    return found;
}

static const uint8_t starts_unit[256] = {
    ['b'] = 1, ['k'] = 1, ['m'] = 1, ['g'] = 1, ['t'] = 1, ['u'] = 1, ['n'] = 1, ['s'] = 1,
    ['B'] = 1, ['K'] = 1, ['M'] = 1, ['G'] = 1, ['T'] = 1, ['U'] = 1, ['N'] = 1, ['S'] = 1};

/* Is text[s, e), which follows a number, a unit of measure? */
static bool is_unit(const char *t, size_t s, size_t e) {
    static const uint64_t units[] = {
        PACK('b', 0, 0, 0, 0),        PACK('k', 'b', 0, 0, 0),     PACK('m', 'b', 0, 0, 0),
        PACK('g', 'b', 0, 0, 0),      PACK('t', 'b', 0, 0, 0),     PACK('k', 'i', 'b', 0, 0),
        PACK('m', 'i', 'b', 0, 0),    PACK('g', 'i', 'b', 0, 0),   PACK('t', 'i', 'b', 0, 0),
        PACK('m', 's', 0, 0, 0),      PACK('u', 's', 0, 0, 0),     PACK('n', 's', 0, 0, 0),
        PACK('s', 0, 0, 0, 0),        PACK('s', 'e', 'c', 0, 0),   PACK('s', 'e', 'c', 's', 0),
        PACK('m', 's', 'e', 'c', 0),  PACK('u', 's', 'e', 'c', 0), PACK('b', 'y', 't', 'e', 0),
        PACK('b', 'y', 't', 'e', 's')};
    return e > s && e - s <= 5 && among(pack(t + s, e - s), units, ARRAY_LEN(units));
}

typedef enum dotted_kind { DOTTED_WORD, DOTTED_HOST, DOTTED_PACKAGE } dotted_kind;

/* A dotted name without digits: host (ends in a well-known top domain), package (begins with one,
 * as in reversed domain names), or an identifier such as Class.method. */
static dotted_kind match_dotted(const char *t, size_t s, size_t e) {
    /* The first nine may begin a reversed name. */
    static const uint64_t tops[] = {
        PACK('c', 'o', 'm', 0, 0), PACK('n', 'e', 't', 0, 0),     PACK('o', 'r', 'g', 0, 0),
        PACK('e', 'd', 'u', 0, 0), PACK('g', 'o', 'v', 0, 0),     PACK('c', 'n', 0, 0, 0),
        PACK('d', 'e', 0, 0, 0),   PACK('u', 'k', 0, 0, 0),       PACK('i', 'o', 0, 0, 0),
        PACK('m', 'i', 'l', 0, 0), PACK('l', 'o', 'c', 'a', 'l'), PACK('j', 'p', 0, 0, 0),
        PACK('f', 'r', 0, 0, 0),   PACK('r', 'u', 0, 0, 0),       PACK('b', 'r', 0, 0, 0),
        PACK('m', 'x', 0, 0, 0),   PACK('t', 'w', 0, 0, 0),       PACK('k', 'r', 0, 0, 0),
        PACK('n', 'l', 0, 0, 0),   PACK('a', 'u', 0, 0, 0),       PACK('e', 'u', 0, 0, 0),
        PACK('p', 'l', 0, 0, 0),   PACK('c', 'a', 0, 0, 0),       PACK('c', 'h', 0, 0, 0),
        PACK('s', 'e', 0, 0, 0),   PACK('e', 's', 0, 0, 0)};
    enum { REVERSED = 9 };
    size_t first = s, last = e, labels = 1;
    while (first < e && t[first] != '.') first++;
    while (last > s && t[last - 1] != '.') last--;
    for (size_t i = s; i < e; i++) {
        if (t[i] != '.') continue;
        labels++;
        if (i + 1 == e || t[i + 1] == '.') return DOTTED_WORD;
    }
    size_t head = first - s, tail = e - last;
    bool lower = tail > 0 && t[last] >= 'a'; /* top domains are written small, namespaces are not */
    if (head <= 3 && among(pack(t + s, head), tops, REVERSED)) {
        return labels >= 3 && t[s] >= 'a' ? DOTTED_PACKAGE : DOTTED_WORD;
    }
    if (lower && tail <= 5 && (tail > 2 || labels >= 3) &&
        among(pack(t + last, tail), tops, ARRAY_LEN(tops))) {
        return DOTTED_HOST;
    }
    static const char *const internal[] = {"internal", "localdomain"};
    for (size_t i = 0; i < ARRAY_LEN(internal) && lower; i++) {
        if (str_eq(str_make(t + last, tail), str_c(internal[i]))) return DOTTED_HOST;
    }
    return DOTTED_WORD;
}

/* A path or URL goes on from `e` over further punctuation up to white space, a comma, a quote or a
 * bracket that was not opened inside; trailing punctuation is left out. */
static size_t extend_path(const scanner *x, size_t e) {
    const char *t = x->text.p;
    size_t good = e;
    int open = 0;
    for (size_t i = e; i < x->end; i++) {
        char c = t[i];
        if (x->cls[(unsigned char)c] & (CLS_SPACE | CLS_CONTROL | CLS_DELIM)) break;
        if (c == ';' || c == '"' || c == '\'' || c == '(' || c == ')' || c == '<' || c == '>' ||
            c == '|' || c == '`') {
            break;
        }
        if (c == ',' && !open) break;
        if (c == '[' || c == '{') open++;
        if (c == ']' || c == '}') {
            if (!open) break;
            open--;
        }
        if (!open && (!(x->cls[(unsigned char)c] & CLS_STOP) || c == ']' || c == '}' || c == '*') &&
            c != '.' && c != ':') {
            good = i + 1;
        }
    }
    /* "/a/part-01. blk_7": a dot before a blank and no capital is no end of sentence. */
    if (good + 2 < x->end && t[good] == '.' && t[good + 1] == ' ' && !is_upper(t[good + 2]) &&
        good == e) {
        good++;
    }
    return good;
}

/* ---- slots that reach beyond their run ---- */

/* A number ends at e: takes " KB" and the like along. */
static size_t extend_unit(const scanner *x, size_t e) {
    enum { UNIT_BYTES_MAX = 5 };
    const char *t = x->text.p;
    if (e + 1 >= x->end) return e;
    if (!((t[e] == ' ') & starts_unit[(unsigned char)t[e + 1]])) return e;
    size_t u = next_set(x->stop, e + 1, x->end);
    u -= t[u - 1] == '.';
    if (u - e > UNIT_BYTES_MAX + 1) return e;
    return is_unit(t, e + 1, u) ? u : e;
}

/* A date or time of day ends at e: takes time of day, zone and year along. */
static size_t extend_time(const scanner *x, size_t e, bool has_year) {
    const char *t = x->text.p;
    size_t end = x->end, i = e;
    if (i < end && t[i] == ' ') {
        size_t c = match_clock(t, i + 1, end);
        if (c > i + 1 && (c == end || !is_digit(t[c]))) i = c;
    }
    if (i < end && t[i] == ' ' && !has_year) {
        size_t z = i + 1;
        while (z < end && is_upper(t[z]) && z - i < 6) z++;
        size_t y = z - (i + 1) >= 3 && z < end && t[z] == ' ' ? z + 1 : i + 1;
        if (y + 4 <= end && (t[y] == '1' || t[y] == '2') && is_digit(t[y + 1]) &&
            is_digit(t[y + 2]) && is_digit(t[y + 3]) &&
            (y + 4 == end || (x->cls[(unsigned char)t[y + 4]] & CLS_STOP))) {
            i = y + 4;
        }
    }
    return i;
}

/* One or two digits at [s, e): a day of the month with the month's name before or behind it? Moves
 * *s back over month and weekday, returns the end of the date, or 0. */
static size_t match_named_date(const scanner *x, size_t *s, size_t e) {
    const char *t = x->text.p;
    size_t from = *s, b = from;
    while (b > x->at && t[b - 1] == ' ' && from - b < 2) b--;
    if (b < from && b >= x->at + 3 && is_month(t + b - 3) &&
        (b - 3 == 0 || (x->cls[(unsigned char)t[b - 4]] & CLS_STOP))) {
        from = b - 3;
        size_t w = from;
        if (w > x->at && t[w - 1] == ' ') w--;
        if (w > x->at && t[w - 1] == ',') w--;
        if (w < from && w >= x->at + 3 && is_weekday(t + w - 3) &&
            (w - 3 == 0 || (x->cls[(unsigned char)t[w - 4]] & CLS_STOP))) {
            from = w - 3;
        }
        *s = from;
        return extend_time(x, e, false);
    }
    /* "17 Jun 2005" */
    if (e + 9 <= x->end && t[e] == ' ' && is_month(t + e + 1) && t[e + 4] == ' ' &&
        is_digit(t[e + 5]) && is_digit(t[e + 6]) && is_digit(t[e + 7]) && is_digit(t[e + 8])) {
        return extend_time(x, e + 9, true);
    }
    return 0;
}

/* ---- a run ---- */

static size_t scan_run(scanner *x, size_t s, size_t e);

/* Classifies each part of [s, e) between bytes `cut`, of which it holds one at least (so that the
 * parts are shorter and the recursion ends); returns where to go on. */
static size_t scan_parts(scanner *x, size_t s, size_t e, char cut) {
    const char *t = x->text.p;
    size_t i = s;
    MUST(memchr(t + s, cut, e - s) != NULL);
    while (i < e && !x->done) {
        size_t j = i;
        while (j < e && t[j] != cut) j++;
        if (j > i) {
            size_t next = scan_run(x, i, j);
            if (next > j) return next;
        }
        i = j + 1;
    }
    return e;
}

/* "98.35 us" with the micro sign, degrees: a number, a sign of two bytes (micro, degree), at most
 * one letter, all of [s, e); returns e or s. */
static size_t match_sign_unit(const char *t, size_t s, size_t e) {
    size_t i = s + (t[s] == '-');
    if (i >= e || !is_digit(t[i])) return s;
    while (i < e && (is_digit(t[i]) || t[i] == '.')) i++;
    if (i + 2 > e || e - i > 3) return s;
    unsigned sign = (unsigned)(unsigned char)t[i] << 8 | (unsigned char)t[i + 1];
    bool unit = sign == 0xc2b5 || sign == 0xcebc || sign == 0xc2b0;
    return unit && (i + 2 == e || is_alpha(t[i + 2])) ? e : s;
}

static size_t slot_int(scanner *x, size_t s, size_t e) {
    const char *t = x->text.p;
    /* Most numbers are no days of the month: one test, without branches of its own, says so. */
    bool month_before = false, month_behind = false;
    if (s >= 4) {
        bool wide = (t[s - 2] == ' ') & (s > 4);
        month_before = (e - s <= 2) & (t[s - 1] == ' ') & is_upper(t[s - 4 - wide]);
    }
    if (e + 9 <= x->end) {
        month_behind = (e - s <= 2) & (t[e] == ' ') & is_upper(t[e + 1]) & (t[e + 4] == ' ');
    }
    if (UNLIKELY(month_before | month_behind)) {
        size_t from = s, to = match_named_date(x, &from, e);
        if (to) {
            emit(x, from, to, SLOT_TIME, false);
            return to;
        }
    }
    size_t to = extend_unit(x, e);
    emit(x, s, to, to > e ? SLOT_UNIT : SLOT_INT, false);
    return to;
}

/* No digit in the run. */
static size_t run_without_digits(scanner *x, size_t s, size_t e, uint64_t c) {
    const char *t = x->text.p;
    if (N_SLASH(c)) {
        const char *back = memchr(t + s, '\\', e - s);
        if (back) {
            bool drive = e - s > 2 && is_alpha(t[s]) && t[s + 1] == ':' && t[s + 2] == '\\';
            if (!drive && N_SLASH(c) < 2) return e;
            size_t to = extend_path(x, e);
            emit(x, s, to, SLOT_PATH, false);
            return to;
        }
        bool url = false;
        for (size_t i = s; i + 2 < e; i++) url |= t[i] == ':' && t[i + 1] == '/' && t[i + 2] == '/';
        bool rooted = t[s] == '/' || (t[s] == '.' && N_DOT(c) > 0) || t[s] == '~';
        if (url || rooted || N_DOT(c)) {
            size_t to = extend_path(x, e);
            if (!url && !rooted && N_COLON(c)) { /* path:/var/log/x */
                size_t i = s;
                while (t[i] != ':') i++;
                if (i + 1 < e && t[i + 1] == '/') s = i + 1;
            }
            emit(x, s, to, SLOT_PATH, false);
            return to;
        }
        if (N_COLON(c)) return scan_parts(x, s, e, ':');
        return e; /* and/or: words */
    }
    if (N_COLON(c)) return scan_parts(x, s, e, ':');
    if (!N_DOT(c)) return e;
    if (N_OTHER(c) && memchr(t + s, '@', e - s)) {
        emit(x, s, e, SLOT_HOST, false);
        return e;
    }
    switch (match_dotted(t, s, e)) {
    case DOTTED_HOST:
        emit(x, s, e, SLOT_HOST, false);
        break;
    case DOTTED_PACKAGE:
        emit(x, s, e, SLOT_ID, true);
        break;
    case DOTTED_WORD:
        break;
    }
    return e;
}

/* Digits and a slash or a backslash. */
static size_t run_path(scanner *x, size_t s, size_t e, uint64_t c) {
    const char *t = x->text.p;
    if (t[s] == '/' && match_ipv4(t, s, e)) {
        emit(x, s, e, SLOT_IP, false);
        return e;
    }
    size_t d = match_date(t, s, e);
    if (d > s) {
        if (d < e && t[d] == ':') d = MAX(d, match_clock(t, d + 1, e)); /* 17/Jun/2005:07:07:00 */
        if (d == e) {
            d = extend_time(x, e, true);
            emit(x, s, d, SLOT_TIME, false);
            return d;
        }
    }
    if (match_ipv4(t, s, e) || (N_COLON(c) >= 2 && match_ipv6(t, s, e))) {
        emit(x, s, e, SLOT_IP, false);
        return e;
    }
    if (t[s] != '/' && t[s] != '~' && t[s] != '.' && N_SLASH(c) == 1 && N_DOT(c) == 0 &&
        N_COLON(c) == 0) {
        return scan_parts(x, s, e, memchr(t + s, '/', e - s) ? '/' : '\\'); /* PS/2, 12/40 */
    }
    if (is_alpha(t[s]) && N_SLASH(c) == 1 && N_COLON(c) == 0) { /* HTTP/1.1, nginx/1.18.0 */
        size_t i = s;
        while (i < e && is_alpha(t[i])) i++;
        size_t v = i + 1;
        while (v < e && (is_digit(t[v]) || t[v] == '.')) v++;
        if (i < e && t[i] == '/' && v == e) return scan_parts(x, s, e, '/');
    }
    if (t[s] != '/' && N_COLON(c)) { /* path:/var/log/7: the key stays */
        size_t i = s;
        while (t[i] != ':') i++;
        bool url = i + 2 < e && t[i + 1] == '/' && t[i + 2] == '/';
        bool drive = i == s + 1 && i + 1 < e && (t[i + 1] == '\\' || t[i + 1] == '/');
        bool word = true;
        for (size_t k = s; k < i; k++) word &= !is_digit(t[k]) && t[k] != '/' && t[k] != '.';
        if (!url && !drive && word && i + 1 < e) {
            size_t to = scan_run(x, i + 1, e);
            return to;
        }
    }
    size_t to = extend_path(x, e);
    emit(x, s, to, SLOT_PATH, false);
    return to;
}

/* Digits and colons, no slash. */
static size_t run_colon(scanner *x, size_t s, size_t e, uint64_t c) {
    const char *t = x->text.p;
    size_t m = match_clock(t, s, e);
    if (m == e) {
        m = extend_time(x, e, true);
        emit(x, s, m, SLOT_TIME, false);
        return m;
    }
    m = match_date(t, s, e); /* 2017-07-03T20:25:13.378Z, +02:00 */
    if (m > s && m + 1 < e && (t[m] == 'T' || t[m] == '_' || t[m] == ':' || t[m] == '-')) {
        size_t k = match_clock(t, m + 1, e);
        if (k > m + 1) {
            emit(x, s, e, SLOT_TIME, false);
            return e;
        }
    }
    if (match_ipv4(t, s, e)) {
        emit(x, s, e, SLOT_IP, false);
        return e;
    }
    if (N_COLON(c) >= 2 && N_DOT(c) == 0) {
        if (match_mac(t, s, e)) {
            emit(x, s, e, SLOT_HOST, false);
            return e;
        }
        if (match_ipv6(t, s, e)) {
            emit(x, s, e, SLOT_IP, false);
            return e;
        }
    }
    if (N_COLON(c) == 1) { /* host:port, source location */
        size_t i = s;
        unsigned dots = 0;
        bool digit = false, camel = false;
        for (; t[i] != ':'; i++) {
            dots += t[i] == '.';
            digit |= is_digit(t[i]);
            camel |= is_upper(t[i]) && t[i + 1] >= 'a' && t[i + 1] <= 'z';
        }
        bool port = i + 1 < e && i > s;
        for (size_t k = i + 1; k < e; k++) port &= is_digit(t[k]);
        if (port && camel && dots >= 2 && !digit) { /* package.Class.method:line */
            emit(x, s, e, SLOT_ID, true);
            return e;
        }
        if (port && (digit || (dots && !camel))) {
            emit(x, s, e, SLOT_HOST, false);
            return e;
        }
    }
    return scan_parts(x, s, e, ':');
}

/* SYS-5-RESTART, SEC_LOGIN-4-FAILED: the code of a message, whose middle is its severity. */
static bool is_message_code(const char *t, size_t s, size_t e) {
    size_t dash = e;
    for (size_t i = s; i < e; i++) {
        bool code = is_upper(t[i]) || is_digit(t[i]) || t[i] == '_' || t[i] == '-';
        if (!code) return false;
        if (t[i] == '-') dash = i;
    }
    return is_upper(t[s]) && dash >= s + 3 && dash + 3 < e && is_upper(t[dash + 1]) &&
           is_digit(t[dash - 1]) && t[dash - 2] == '-';
}

/* The end of a base64 text [s, e) with its padding. */
static size_t base64_end(const scanner *x, size_t s, size_t e) {
    enum { BASE64_MIN = 12 };
    const char *t = x->text.p;
    size_t n = e - s, pad = 0;
    while (e + pad < x->end && t[e + pad] == '=') pad++;
    bool ends = e + pad == x->end || (x->cls[(unsigned char)t[e + pad]] & CLS_STOP);
    return n >= BASE64_MIN && pad <= 2 && (n + pad) % 4 == 0 && ends ? e + pad : e;
}

/* Letters, digits, dots, dashes: no colon, no slash. */
static size_t run_plain(scanner *x, size_t s, size_t e, uint64_t c) {
    const char *t = x->text.p;
    size_t n = e - s;
    unsigned alpha = N_HEX(c) + N_ALPHA(c), other = N_OTHER(c);
    if (alpha == 0 && other == 0) {
        bool sign = t[s] == '-';
        if (N_DASH(c) == (unsigned)sign && N_DOT(c) == 1) {
            size_t to = extend_unit(x, e);
            emit(x, s, to, to > e ? SLOT_UNIT : SLOT_FLOAT, false);
            return to;
        }
        if (sign && N_DASH(c) == 1 && N_DOT(c) == 0) return slot_int(x, s, e);
        if (N_DOT(c) == 3 && N_DASH(c) == 0 && match_ipv4(t, s, e)) {
            emit(x, s, e, SLOT_IP, false);
            return e;
        }
        size_t d = match_date(t, s, e);
        if (d == e) {
            d = extend_time(x, e, true);
            emit(x, s, d, SLOT_TIME, false);
            return d;
        }
        emit(x, s, e, SLOT_ID, false);
        return e;
    }
    if (n > 2 && t[s] == '0' && (t[s + 1] | 0x20) == 'x') {
        bool hex = true;
        for (size_t i = s + 2; i < e; i++) hex &= is_hex(t[i]);
        emit(x, s, e, hex ? SLOT_HEX : SLOT_ID, false);
        return e;
    }
    if (is_digit(t[s]) || t[s] == '-') { /* 12ms, 4.5MB, 80%; also 1e-9 */
        size_t i = s + (t[s] == '-');
        while (i < e && (is_digit(t[i]) || t[i] == '.')) i++;
        size_t u = i;
        while (u < e && is_alpha(t[u])) u++;
        bool unit = u == e && e - i >= 1 && e - i <= 3;
        if (unit || (i + 1 == e && t[i] == '%')) {
            bool hex = N_ALPHA(c) == 0 && N_DOT(c) == 0 && other == 0 && n >= 6;
            emit(x, s, e, hex ? SLOT_HEX : SLOT_UNIT, false);
            return e;
        }
    }
    if (N_ALPHA(c) == 0 && N_DOT(c) == 0 && other == 0 && N_DASH(c) == 0 && n >= 6) {
        emit(x, s, e, SLOT_HEX, false);
        return e;
    }
    /* The name of a value, and not the end of a base64 text. */
    if (is_alpha(t[s]) && N_DIGIT(c) <= KEY_DIGITS_MAX && n <= KEY_BYTES_MAX && e < x->end &&
        t[e] == '=' && !(e + 1 < x->end && t[e + 1] == '=')) {
        return e;
    }
    if (N_DASH(c) >= 2 && N_DOT(c) == 0 && is_message_code(t, s, e)) return e;
    if (N_DOT(c) == 0 && other == 0 && N_DASH(c) == 0) { /* eth0: a stem of letters stays */
        size_t i = s;
        while (i < e && is_alpha(t[i])) i++;
        if (e - s <= 8 && names_with_digits(t + s, e - s)) return e;
        if (i > s && i + N_DIGIT(c) == e && N_DIGIT(c) <= (i > s + 1 ? 4u : 2u)) {
            emit(x, i, e, SLOT_INT, false);
            return e;
        }
    }
    if (N_DOT(c) == 1 && N_DASH(c) == 0) { /* core.2275: a word and a number */
        size_t i = s;
        while (i < e && !is_digit(t[i])) i++;
        if (i > s + 1 && t[i - 1] == '.' && i + N_DIGIT(c) == e) {
            emit(x, i, e, SLOT_INT, false);
            return e;
        }
    }
    if (N_DOT(c) > 1) { /* space.........0 */
        for (size_t i = s; i + 1 < e; i++) {
            if (t[i] == '.' && t[i + 1] == '.') return scan_parts(x, s, e, '.');
        }
    }
    dotted_kind dotted = N_DOT(c) ? match_dotted(t, s, e) : DOTTED_WORD;
    if (N_DOT(c) == 0 && N_DASH(c) == 0) e = base64_end(x, s, e);
    emit(x, s, e, dotted == DOTTED_HOST ? SLOT_HOST : SLOT_ID, dotted == DOTTED_PACKAGE);
    return e;
}

/* Classifies the run [s, e), none of whose bytes is a stop; returns where to go on. */
static size_t scan_run(scanner *x, size_t s, size_t e) {
    const char *t = x->text.p;
    size_t whole_end = e;
    while (e > s && UNLIKELY(x->cls[(unsigned char)t[e - 1]] & CLS_TRIM_END)) {
        if (t[e - 1] == '%' && e - s > 1 && is_digit(t[e - 2])) break;
        e--;
    }
    while (s < e && UNLIKELY(x->cls[(unsigned char)t[s]] & CLS_TRIM_START)) {
        char c = t[s], next = s + 1 < e ? t[s + 1] : 0;
        if (c == '.' && (next == '/' || is_digit(next))) break;
        if (c == '-' && is_digit(next) && !(s > 0 && t[s - 1] == '-')) break; /* a sign */
        s++;
    }
    if (s >= e) return whole_end;
    if (e - s <= 63 && bits_of(x->digit, s, e) == ((uint64_t)1 << (e - s)) - 1) {
        size_t end = slot_int(x, s, e); /* every second run is a plain number */
        return MAX(end, whole_end);
    }
    if (UNLIKELY(e - s > LANE_MAX)) {
        bool look = false, slash = false;
        for (size_t i = s; i < e; i++) {
            look |= is_digit(t[i]);
            slash |= t[i] == '/' || t[i] == '\\';
        }
        if (look || slash) emit(x, s, e, slash ? SLOT_PATH : SLOT_ID, false);
        return MAX(e, whole_end);
    }
    uint64_t c = 0;
    for (size_t i = s; i < e; i++) c += lane_of[(unsigned char)t[i]];
    bool high = false;
    for (size_t i = s; UNLIKELY(x->high) && i < e; i++) high |= t[i] & 0x80;
    size_t to;
    if (UNLIKELY(high)) {
        /* Text in another script and ASCII side by side: each ASCII piece is a run of its own. */
        size_t i = match_sign_unit(t, s, e);
        if (i > s) {
            emit(x, s, i, SLOT_UNIT, false);
            return MAX(i, whole_end);
        }
        to = e;
        while (i < e && !x->done) {
            while (i < e && (t[i] & 0x80)) i++;
            size_t j = i;
            while (j < e && !(t[j] & 0x80)) j++;
            if (j > i) {
                size_t next = scan_run(x, i, j);
                if (next > j) return MAX(next, whole_end);
            }
            i = j;
        }
    } else if (N_DIGIT(c) == 0) {
        if (!(N_SLASH(c) | N_DOT(c))) return whole_end;
        to = run_without_digits(x, s, e, c);
    } else if (N_DIGIT(c) == e - s) {
        to = slot_int(x, s, e);
    } else if (N_SLASH(c)) {
        to = run_path(x, s, e, c);
    } else if (N_COLON(c)) {
        to = run_colon(x, s, e, c);
    } else {
        to = run_plain(x, s, e, c);
    }
    return MAX(to, whole_end);
}

/* ---- quoted values ---- */

static bool key_is(str key, const char *const *list, size_t count) {
    return key.n > 0 && key.n < 16 && one_of(key, list, count);
}

/* text[p] is a '"' that begins a value behind '=' (or ':' in JSON)? Emits it as a slot, unless the
 * key says it is the message or a level. Returns where to go on. */
static size_t scan_quoted(scanner *x, size_t p) {
    static const char *const mined[] = {"msg", "message", "log", "event", "body", "text"};
    static const char *const kept[] = {"level", "severity", "lvl",   "loglevel", "type",
                                       "kind",  "status",   "state", "logger",   "method"};
    const char *t = x->text.p;
    size_t k = p;
    while (x->json && k > 0 && t[k - 1] == ' ') k--;
    bool value = k > 0 && (t[k - 1] == '=' || (x->json && t[k - 1] == ':'));
    if (!value) return p + 1;
    size_t close = p + 1;
    while (close < x->end && t[close] != '"') close += t[close] == '\\' ? 2 : 1;
    if (close >= x->end) return p + 1;
    if (close + 1 < x->end && !(x->cls[(unsigned char)t[close + 1]] & CLS_STOP)) return p + 1;
    size_t key_end = k - 1;
    if (x->json && key_end > 0 && t[key_end - 1] == '"') key_end--;
    size_t key = key_end;
    while (key > 0 && key_end - key < 20 && !(x->cls[(unsigned char)t[key - 1]] & CLS_STOP)) key--;
    str name = str_make(t + key, key_end - key);
    if (key_is(name, mined, ARRAY_LEN(mined))) return p + 1;
    if (key_is(name, kept, ARRAY_LEN(kept))) {
        for (size_t i = p + 1; i < close; i++) { /* a control character is never a constant */
            if (x->cls[(unsigned char)t[i]] & CLS_CONTROL) return p + 1;
        }
        return close + 1;
    }
    if (close > p + 1) emit(x, p + 1, close, SLOT_QUOTED, true);
    return close + 1;
}

/* ---- the line ---- */

/* Scans text[from, to). */
static void scan_piece(scanner *x, size_t from, size_t to) {
    size_t floor = from; /* nothing before it may be claimed again */
    for (size_t p = next_set(x->look, from, to); p < to && !x->done;) {
        unsigned cls = x->cls[(unsigned char)x->text.p[p]];
        size_t next;
        if (UNLIKELY(cls & CLS_STOP)) {
            if (cls & CLS_CONTROL) {
                next = p + 1;
                while (next < to && (x->cls[(unsigned char)x->text.p[next]] & CLS_CONTROL)) next++;
                emit(x, p, next, SLOT_TEXT, true);
            } else {
                next = scan_quoted(x, p);
            }
        } else {
            size_t s = after_last_set(x->stop, p, floor);
            size_t e = next_set(x->stop, p, to);
            next = scan_run(x, s, e);
        }
        floor = next;
        p = next_set(x->look, next, to);
    }
}

void scan_line(scanner *x, str text, const scan_span *spans, size_t span_count) {
    x->text = text;
    x->end = MIN(text.n, (size_t)SCAN_BYTES_MAX);
    if (UNLIKELY(spans != NULL)) memset(x->mask, 0, sizeof(x->mask));
    x->at = 0;
    x->slot_count = x->skel_bytes = 0;
    x->done = x->high = false;
    x->json = text.n > 2 && text.p[0] == '{' && (text.p[1] == '"' || text.p[1] == ' ');
#ifdef SCAN_AVX2
    if (LIKELY(!x->custom && __builtin_cpu_supports("avx2")))
        map_avx2(x);
    else
        map_table(x);
#else
    map_table(x);
#endif
    size_t from = 0;
    for (size_t i = 0; i < span_count && !x->done; i++) {
        if (spans[i].from >= x->end) break;
        size_t to = MIN((size_t)spans[i].to, x->end);
        x->end = spans[i].from; /* nothing may reach into the span */
        scan_piece(x, from, spans[i].from);
        x->end = MIN(text.n, (size_t)SCAN_BYTES_MAX);
        if (!x->done && spans[i].from >= x->at) {
            uint32_t k = x->slot_count;
            emit(x, spans[i].from, to, SLOT_TEXT, false);
            if (x->slot_count > k && !x->done) x->mask[k] = spans[i].mask;
        }
        from = MAX(from, to);
    }
    if (!x->done) scan_piece(x, from, x->end);
    if (!x->done && text.n > x->end) emit(x, MAX(x->end, x->at), text.n, SLOT_TEXT, true);
    if (!x->done && x->at < text.n) (void)flush_constant(x, text.n);
}

/* ---- tokens of constant pieces (slow path) ---- */

bool scan_next_token(const scanner *x, str text, size_t *at, size_t end, scan_tok *ret) {
    const unsigned char *t = (const unsigned char *)text.p;
    size_t i = *at;
    if (i >= end) return false;
    size_t s = i;
    uint8_t kind;
    if (x->cls[t[i]] & CLS_SPACE) {
        while (i < end && (x->cls[t[i]] & CLS_SPACE)) i++;
        kind = TOK_SPACE;
    } else if (x->cls[t[i]] & CLS_STOP) {
        i++;
        kind = TOK_PUNCT;
    } else if (t[i] == '.' || t[i] == ':' || t[i] == '-' || t[i] == '+' || t[i] == '@' ||
               t[i] == '/' || t[i] == '%') {
        i++;
        kind = TOK_PUNCT;
    } else {
        /* A word goes on over joiners that have word bytes on both sides, but not over ':', '/' and
         * "..". */
        while (i < end && !(x->cls[t[i]] & CLS_STOP) && t[i] != ':' && t[i] != '/') {
            if (t[i] == '.' || t[i] == '-' || t[i] == '+' || t[i] == '@' || t[i] == '%') {
                bool inside = i + 1 < end && !(x->cls[t[i + 1]] & CLS_STOP) && t[i + 1] != ':' &&
                              t[i + 1] != '/' && t[i + 1] != '.' && t[i + 1] != '-';
                if (!inside) break;
            }
            i++;
        }
        kind = TOK_WORD;
    }
    *ret = (scan_tok){(uint32_t)s, (uint32_t)(i - s), kind};
    *at = i;
    return true;
}
