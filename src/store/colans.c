/* colans.c - bytes to nearly their entropy: static range ANS.
 *
 * Problem. What remains of a column after modelling is a stream of small symbols with a skewed
 * distribution. Huffman (zstd's literals) loses up to half a bit a symbol on skewed ones and cannot
 * go below one bit; bit packing loses more.
 *
 * Format.   u8 head          low 4 bits: scale (0 = one symbol only, u8 symbol follows; else 5..12)
 *                            bit 4: four lanes instead of one; bit 5: with points
 *           table            varint symbols - 1; for each in increasing order: varint (frequency -
 * 1)
 *                            << 1 | gap, and with gap u8 symbols left out before it
 *           states           u32 for each lane
 *           words            varint count; with points: varint bytes, and for each COL_STEP-th
 * symbol but the first the states before it, and varint words read since the point before; then u16
 * each Frequencies add up to 1 << scale. Symbol i belongs to lane i mod lanes; lanes share the
 * words, in the order in which decoding needs them. Decoding ends with every lane in the state
 * encoding began with, which detects nearly all damage.
 *
 * Cost: about 3 ns a symbol to decode, 6 ns to encode. Tables of 4096 entries stay in L1.
 * Source: Duda 2013 (arXiv 1311.2540), section 3; Giesen 2014 "Interleaved entropy coders" (arXiv
 * 1402.3392) for lanes and 16-bit renormalisation. */
#include "store/column_int.h"

enum {
    ANS_SCALE_MIN = 5,
    ANS_SCALE_MAX = 12,
    ANS_LANES = 4,
    ANS_LANES_FROM = 1024,
    ANS_FOUR = 16,
    ANS_POINTS = 32
};
#define ANS_LOW ((uint32_t)1 << 16)

/* log2(1 + i/64) in 1/256 bits; enough for estimates. */
static const uint8_t log2_part[65] = {
    0,   6,   11,  17,  22,  28,  33,  38,  44,  49,  54,  59,  63,  68,  73,  78,  82,
    87,  92,  96,  100, 105, 109, 113, 118, 122, 126, 130, 134, 138, 142, 146, 150, 154,
    157, 161, 165, 169, 172, 176, 179, 183, 186, 190, 193, 197, 200, 203, 207, 210, 213,
    216, 220, 223, 226, 229, 232, 235, 238, 241, 244, 247, 250, 253, 255};

/* log2(v) in 1/256 bits. */
static uint32_t log2_256(uint32_t v) {
    unsigned e = 31 - (unsigned)__builtin_clz(v);
    uint32_t top = e >= 6 ? v >> (e - 6) & 63 : v << (6 - e) & 63;
    return e * 256 + log2_part[top];
}

size_t ans_cost(const uint32_t hist[256], size_t count) {
    if (count == 0) return 0;
    uint32_t total = log2_256((uint32_t)count);
    uint64_t bits = 0;
    size_t symbols = 0;
    for (int i = 0; i < 256; i++) {
        if (!hist[i]) continue;
        symbols++;
        bits += (uint64_t)hist[i] * (total - log2_256(hist[i]));
    }
    if (symbols == 1) return 2;
    return bits / 2048 + symbols + symbols / 2 + (count >= ANS_LANES_FROM ? 16 : 6);
}

/* Frequencies that add up to 1 << scale, none of a used symbol 0. */
static void normalize(const uint32_t hist[256], size_t count, unsigned scale, uint16_t freq[256]) {
    uint32_t total = (uint32_t)1 << scale;
    uint32_t sum = 0;
    int best = 0;
    for (int i = 0; i < 256; i++) {
        freq[i] = 0;
        if (!hist[i]) continue;
        uint64_t f = ((uint64_t)hist[i] * total + count / 2) / count;
        freq[i] = (uint16_t)MAX(f, (uint64_t)1);
        sum += freq[i];
        if (freq[i] > freq[best] || !freq[best]) best = i;
    }
    /* What rounding added is taken from the largest, again and again: few steps. */
    while (sum > total) {
        for (int i = 0; i < 256; i++) {
            if (freq[i] > freq[best]) best = i;
        }
        uint32_t more = sum - total, can = (uint32_t)freq[best] / 8 + (freq[best] > 1);
        uint32_t take = MIN(more, MIN(can, (uint32_t)freq[best] - 1));
        MUST(take > 0);
        freq[best] = (uint16_t)(freq[best] - take);
        sum -= take;
    }
    freq[best] = (uint16_t)(freq[best] + (total - sum));
}

static unsigned scale_of(size_t count, size_t symbols) {
    unsigned scale = bits_highest(count) + 1;
    if (scale < ANS_SCALE_MIN) scale = ANS_SCALE_MIN;
    while (((size_t)1 << scale) < symbols * 4 && scale < ANS_SCALE_MAX) scale++;
    return MIN(scale, (unsigned)ANS_SCALE_MAX);
}

/* Where decoding can begin: before a COL_STEP-th symbol. */
typedef struct ans_point {
    uint32_t state[ANS_LANES], left; /* words that are not read yet */
} ans_point;

static bool put_points(buf *out, const ans_point *pt, size_t points, unsigned lanes, size_t words) {
    buf b;
    buf_init(&b, out->max_bytes);
    bool ok = true;
    for (size_t i = 0; i < points; i++) {
        for (unsigned k = 0; k < lanes; k++) ok = ok && buf_le32(&b, pt[i].state[k]);
        ok = ok && buf_varint(&b, words - pt[i].left);
        words = pt[i].left;
    }
    ok = ok && col_put_piece(out, buf_str(&b));
    buf_release(&b);
    return ok;
}

bool ans_put(col_ctx *x, buf *out, const uint8_t *sym, size_t count) {
    MUST(count > 0 && count <= COL_VALUES_MAX);
    uint32_t hist[256] = {0};
    for (size_t i = 0; i < count; i++) hist[sym[i]]++;
    size_t symbols = 0;
    for (int i = 0; i < 256; i++) symbols += hist[i] != 0;
    if (symbols == 1) return buf_putc(out, 0) && buf_putc(out, (char)sym[0]);

    unsigned scale = scale_of(count, symbols);
    unsigned lanes = count >= ANS_LANES_FROM ? ANS_LANES : 1;
    uint16_t freq[256], start[256];
    normalize(hist, count, scale, freq);
    size_t points = x->points ? col_points(count) : 0, point = points;
    if (!buf_putc(out, (char)(scale | (lanes > 1 ? ANS_FOUR : 0) | (points ? ANS_POINTS : 0))))
        return false;
    if (!buf_varint(out, symbols - 1)) return false;
    uint32_t sum = 0;
    for (int i = 0, next = 0; i < 256; i++) {
        start[i] = (uint16_t)sum;
        sum += freq[i];
        if (!freq[i]) continue;
        if (!buf_varint(out, (uint64_t)(freq[i] - 1) << 1 | (i != next))) return false;
        if (i != next && !buf_putc(out, (char)(i - next))) return false;
        next = i + 1;
    }

    arena_mark m = arena_save(&x->mem);
    uint16_t *words = arena_try_raw(&x->mem, count * sizeof *words, _Alignof(uint16_t));
    ans_point *pt = arena_try_raw(&x->mem, points * sizeof *pt + 8, 8);
    if (!words || !pt) return false;
    uint16_t *w = words + count; /* filled from the end: the decoder reads forward */
    uint32_t state[ANS_LANES] = {ANS_LOW, ANS_LOW, ANS_LOW, ANS_LOW};
    for (size_t i = count; i-- > 0;) {
        uint32_t *s = &state[i & (lanes - 1)];
        uint32_t f = freq[sym[i]], v = *s;
        if (v >= (uint64_t)f << (32 - scale)) {
            *--w = (uint16_t)v;
            v >>= 16;
        }
        *s = (v / f << scale) + v % f + start[sym[i]];
        if (point && i == point * COL_STEP) {
            point--;
            memcpy(pt[point].state, state, sizeof state);
            pt[point].left = (uint32_t)(words + count - w);
        }
    }
    bool ok = true;
    for (unsigned k = 0; k < lanes; k++) ok = ok && buf_le32(out, state[k]);
    size_t n = (size_t)(words + count - w);
    ok = ok && buf_varint(out, n) && (!points || put_points(out, pt, points, lanes, n)) &&
         buf_put(out, (str){(const char *)w, n * sizeof *w});
    arena_restore(&x->mem, m);
    return ok;
}

/* Entry of the decoding table: symbol << 24 | frequency << 12 | offset within the symbol. */
#define STEP(k)                                                                                    \
    do {                                                                                           \
        uint32_t en_ = table[s##k & mask];                                                         \
        to[i + (k)] = (uint8_t)(en_ >> 24);                                                        \
        s##k = (en_ >> 12 & 4095) * (s##k >> scale) + (en_ & 4095);                                \
        if (s##k < ANS_LOW) {                                                                      \
            if (UNLIKELY(w == end)) return false;                                                  \
            uint16_t word_;                                                                        \
            memcpy(&word_, w, 2);                                                                  \
            w += 2;                                                                                \
            s##k = s##k << 16 | word_;                                                             \
        }                                                                                          \
    } while (0)

/* What is in front of the words. */
typedef struct ans_head {
    unsigned scale; /* 0: all are `only` */
    uint8_t only;
    bool four;
    str points, words;
    uint32_t state[ANS_LANES];
} ans_head;

static bool get_head(col_reader *r, size_t count, ans_head *h, uint32_t table[]) {
    unsigned head = col_u8(r), scale = head & 15;
    *h = (ans_head){.scale = scale, .state = {ANS_LOW, ANS_LOW, ANS_LOW, ANS_LOW}};
    if (scale == 0) {
        h->only = col_u8(r);
        return !r->bad && head == 0;
    }
    if (scale < ANS_SCALE_MIN || scale > ANS_SCALE_MAX || head >> 6) return false;
    uint32_t total = (uint32_t)1 << scale, sum = 0;
    uint64_t symbols = col_varint(r) + 1;
    if (r->bad || symbols < 2 || symbols > 256) return false;
    unsigned next = 0;
    for (uint64_t k = 0; k < symbols; k++) {
        uint64_t code = col_varint(r);
        if (code & 1) next += col_u8(r);
        uint64_t f = (code >> 1) + 1;
        if (r->bad || next > 255 || f > total - sum || f > 4095) return false;
        for (uint32_t i = 0; i < f; i++) table[sum + i] = next << 24 | (uint32_t)f << 12 | i;
        sum += (uint32_t)f;
        next++;
    }
    if (sum != total) return false;
    h->four = head & ANS_FOUR;
    str lanes = col_bytes(r, h->four ? 16 : 4);
    uint64_t word_count = col_varint(r);
    if (head & ANS_POINTS) h->points = col_piece(r);
    if (word_count > count) return false;
    h->words = col_bytes(r, word_count * 2);
    if (r->bad) return false;
    memcpy(h->state, lanes.p, lanes.n);
    return true;
}

bool ans_get(col_reader *r, size_t count, uint8_t *to) {
    if (count == 0) return true;
    uint32_t table[1 << ANS_SCALE_MAX];
    ans_head h;
    if (!get_head(r, count, &h, table)) return false;
    if (h.scale == 0) {
        memset(to, h.only, count);
        return true;
    }
    unsigned scale = h.scale;
    uint32_t mask = ((uint32_t)1 << scale) - 1;
    const uint8_t *w = (const uint8_t *)h.words.p, *end = w + h.words.n;
    uint32_t s0 = h.state[0], s1 = h.state[1], s2 = h.state[2], s3 = h.state[3];
    size_t i = 0;
    if (h.four) {
        for (; i + 4 <= count; i += 4) {
            STEP(0);
            STEP(1);
            STEP(2);
            STEP(3);
        }
        if (i < count) STEP(0);
        if (i + 1 < count) STEP(1);
        if (i + 2 < count) STEP(2);
    } else {
        for (; i < count; i++) STEP(0);
    }
    return w == end && s0 == ANS_LOW && s1 == ANS_LOW && s2 == ANS_LOW && s3 == ANS_LOW;
}

/* States and words left at a point: point 0 is the beginning. */
static bool go_to_point(ans_head *h, size_t point) {
    col_reader r = col_reader_of(h->points);
    size_t state_bytes = h->four ? 16 : 4, skip = 0;
    for (size_t k = 0; k < point; k++) {
        str state = col_bytes(&r, state_bytes);
        uint64_t words = col_varint(&r);
        if (r.bad || words > COL_STEP) return false;
        skip += words * 2;
        if (k + 1 == point) memcpy(h->state, state.p, state_bytes);
    }
    if (skip > h->words.n) return false;
    h->words = str_from(h->words, skip);
    return true;
}

bool ans_get_range(col_reader *r, size_t count, size_t from, size_t n, uint8_t *to) {
    MUST(from <= count && n <= count - from);
    if (n == 0) return true;
    uint32_t table[1 << ANS_SCALE_MAX];
    ans_head h;
    if (!get_head(r, count, &h, table)) return false;
    if (h.scale == 0) {
        memset(to, h.only, n);
        return true;
    }
    size_t point = h.points.n ? from / COL_STEP : 0;
    if (!go_to_point(&h, point)) return false;
    unsigned scale = h.scale, lanes = h.four ? 3 : 0;
    uint32_t mask = ((uint32_t)1 << scale) - 1;
    const uint8_t *w = (const uint8_t *)h.words.p, *end = w + h.words.n;
    for (size_t i = point * COL_STEP; i < from + n; i++) {
        uint32_t *s = &h.state[i & lanes], en = table[*s & mask];
        if (i >= from) to[i - from] = (uint8_t)(en >> 24);
        *s = (en >> 12 & 4095) * (*s >> scale) + (en & 4095);
        if (*s < ANS_LOW) {
            if (UNLIKELY(w == end)) return false;
            uint16_t word;
            memcpy(&word, w, 2);
            w += 2;
            *s = *s << 16 | word;
        }
    }
    return true;
}
