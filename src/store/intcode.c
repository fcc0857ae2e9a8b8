/* intcode.c - problem: a metric's values are a random walk with structure: counters that grow by a
 * few repeated steps, gauges that stand still and jump, multiples of a page size, decimals of two
 * digits. Bit streams with fixed classes (Gorilla, delta of delta with prefix codes) spend whole
 * bits on each; general compressors do not see arithmetic.
 *
 * A sequence becomes residuals (order 0: less the first value; 1: differences; 2: differences of
 * differences; all modulo 2^64), these are divided by their greatest common divisor, and coded by
 * a Huffman code over an alphabet made for this sequence:
 *   literal class b   a value whose zigzag form has b bits, b - 1 raw bits follow
 *   zero run j        2^j .. 2^(j+1)-1 zeros, j raw bits follow; short runs are single zeros where
 *                     that is cheaper
 *   exact k           one of the frequent values, listed in the head
 * The order with the lowest cost in bits wins; packing with one width wins for short sequences.
 *
 *   mode u8:  0 constant: varint zigzag_of(v)
 *             1 raw: 8 bytes each
 *             2 huffman, 3 packed: order u8, first varint zigzag, [order 2: first difference],
 *               gcd varint, then
 *               huffman: symbols varint, each u8 + length u8 nibbles; exact values varint zigzag;
 *                        bytes varint; bits, low first
 *               packed: width u8, bits
 *
 * Doubles: decimals as integers. v = n / 10^k with |n| <= 2^53 is exact when the division gives v
 * back (IEEE division is correctly rounded, 10^k is exact up to k = 22), checked for each value;
 * values that do not fit (NaN, infinities, -0, long fractions) are listed. Otherwise the bits as
 * integers: neighbours of a smooth series differ in low bits, and the divisor takes common
 * trailing zeros away, which is what XOR codes gain.
 *
 *   mode u8:  0 bits: intcode;  1 decimal: k u8, exceptions varint, each position delta varint +
 *             8 bytes; intcode
 *             2 nearly decimal: as 1, then intcode of the steps of 2^-52 between n / 10^k and the
 *             value: what programs count in ticks and multiply by 0.001 is one step off, often
 *
 * Rejected: Gorilla and Chimp (measured: about twice the size on node_exporter series); adaptive
 * range coding (some 3% smaller, four times slower to read).
 * Source: Pelkonen et al., "Gorilla", VLDB 2015, section 4.1 (delta of delta); Moffat, Turpin, "On
 * the implementation of minimum redundancy prefix codes", 1997; Liakos et al., "Chimp", VLDB 2022
 * (decimals have long mantissas). */
#include "store/intcode.h"

#include "base/bits.h"
#include "base/mem.h"

#include <math.h>

enum { MODE_CONST = 0, MODE_RAW, MODE_HUFFMAN, MODE_PACKED };
enum {
    SYM_LITERAL = 0,
    SYM_RUN = 64,
    SYM_EXACT = 96,
    EXACT_MAX = 64,
    SYM_MAX = SYM_EXACT + EXACT_MAX,
    LEN_MAX = 12,
    COUNT_MAX = 4096 /* places of the table that counts values */
};

bool take_varint(str *in, uint64_t max, uint64_t *ret) {
    uint64_t v = 0;
    for (size_t i = 0; i < in->n && i < 10; i++) {
        uint8_t b = (uint8_t)in->p[i];
        if (i == 9 && b > 1) return false;
        v |= (uint64_t)(b & 127) << (7 * i);
        if (b < 128) {
            if (v > max) return false;
            *in = str_from(*in, i + 1);
            *ret = v;
            return true;
        }
    }
    return false;
}

bool take_bytes(str *in, size_t n, str *ret) {
    if (n > in->n) return false;
    *ret = str_make(in->p, n);
    *in = str_make(in->p + n, in->n - n);
    return true;
}

static unsigned bit_length(uint64_t u) { return u ? bits_highest(u) + 1 : 0; }

/* --- residuals --- */

/* The residuals of an order: n - 1, of order 2 n - 2. */
static size_t residuals(const int64_t *v, size_t n, unsigned order, int64_t *d) {
    const uint64_t *u = (const uint64_t *)v;
    if (order == 0) {
        for (size_t i = 1; i < n; i++) d[i - 1] = (int64_t)(u[i] - u[0]);
    } else if (order == 1) {
        for (size_t i = 1; i < n; i++) d[i - 1] = (int64_t)(u[i] - u[i - 1]);
    } else {
        for (size_t i = 2; i < n; i++) d[i - 2] = (int64_t)(u[i] - 2 * u[i - 1] + u[i - 2]);
        return n - 2;
    }
    return n - 1;
}

static uint64_t magnitude(int64_t v) { return v < 0 ? -(uint64_t)v : (uint64_t)v; }

static uint64_t gcd_of(const int64_t *d, size_t m) {
    uint64_t g = 0;
    for (size_t i = 0; i < m && g != 1; i++) {
        uint64_t a = magnitude(d[i]);
        if (a == 0 || a == g || (g && a % g == 0)) continue;
        while (a) {
            uint64_t r = g % a;
            g = a;
            a = r;
        }
    }
    /* A divisor of 2^63 cannot be divided by as a signed number. */
    return g == 0 || g > INT64_MAX ? 1 : g;
}

/* --- the alphabet of a sequence --- */

typedef struct seen {
    uint64_t u; /* zigzag form + 1; 0 = free */
    uint32_t count;
    int16_t exact; /* its number in the list, -1 = none */
} seen;

typedef struct plan {
    unsigned order;
    uint64_t gcd;
    size_t m;
    unsigned width;            /* of the packed form */
    size_t run_min;            /* shorter runs of zeros are single zeros (class 0) */
    uint64_t exact[EXACT_MAX]; /* zigzag forms */
    unsigned exacts;
    uint32_t count[SYM_MAX];
    uint8_t len[SYM_MAX];
    uint64_t bits; /* cost of the Huffman form */
} plan;

static size_t seen_at(const seen *t, size_t mask, uint64_t u) {
    if (u == UINT64_MAX) return SIZE_MAX;
    size_t i = (size_t)((u + 1) * 0x9E3779B97F4A7C15u >> 40) & mask;
    for (int probe = 0; probe < 8; probe++, i = (i + 1) & mask) {
        if (t[i].u == u + 1 || t[i].u == 0) return i;
    }
    return SIZE_MAX;
}

static unsigned run_class(size_t run) { return bits_highest(run); }

/* Zeros from i on. */
static size_t run_at(const int64_t *d, size_t m, size_t i) {
    size_t run = 1;
    while (i + run < m && d[i + run] == 0) run++;
    return run;
}

/* Where zeros and others alternate, a symbol for each zero costs less than one for each run. */
static size_t run_min_of(const int64_t *d, size_t m) {
    size_t zeros = 0, runs = 0;
    for (size_t i = 0; i < m; i++) {
        zeros += d[i] == 0;
        runs += d[i] == 0 && (i == 0 || d[i - 1] != 0);
    }
    return zeros < 4 * runs ? 16 : 2;
}

/* Counts classes, runs and single values; chooses the exact ones. */
static void plan_symbols(plan *p, const int64_t *d, seen *t, size_t mask) {
    memset(t, 0, (mask + 1) * sizeof *t);
    memset(p->count, 0, sizeof p->count);
    uint32_t total = 0;
    for (size_t i = 0; i < p->m;) {
        if (d[i] == 0) {
            size_t run = run_at(d, p->m, i);
            if (run < p->run_min)
                p->count[SYM_RUN] += (uint32_t)run;
            else
                p->count[SYM_RUN + run_class(run)]++;
            i += run;
        } else {
            uint64_t u = zigzag_of(d[i] / (int64_t)p->gcd);
            p->count[SYM_LITERAL + bit_length(u) - 1]++;
            size_t at = seen_at(t, mask, u);
            if (at != SIZE_MAX) t[at].u = u + 1, t[at].count++, t[at].exact = -1;
            i++;
        }
        total++;
    }
    /* A value is listed when the bits it saves pay for its place in the head. */
    struct {
        double gain;
        size_t at;
    } best[EXACT_MAX];
    unsigned n = 0;
    for (size_t i = 0; i <= mask; i++) {
        if (t[i].count < 3) continue;
        unsigned b = bit_length(t[i].u - 1);
        double c = t[i].count;
        double gain = c * (b - 1 - log2((double)p->count[SYM_LITERAL + b - 1] / c)) -
                      (double)(12 + (b + 6) / 7 * 8);
        if (gain <= 0) continue;
        unsigned k = n < EXACT_MAX ? n++ : n;
        if (k == EXACT_MAX) {
            if (best[EXACT_MAX - 1].gain >= gain) continue;
            k--;
        }
        for (; k > 0 && best[k - 1].gain < gain; k--) best[k] = best[k - 1];
        best[k].gain = gain;
        best[k].at = i;
    }
    p->exacts = n;
    for (unsigned k = 0; k < n; k++) {
        seen *s = &t[best[k].at];
        s->exact = (int16_t)k;
        p->exact[k] = s->u - 1;
        p->count[SYM_EXACT + k] = s->count;
        p->count[SYM_LITERAL + bit_length(s->u - 1) - 1] -= s->count;
    }
    MUST(total > 0);
}

/* --- Huffman code, at most LEN_MAX bits --- */

/* Lengths for counts. One symbol alone gets length 0. */
static void huffman_lengths(const uint32_t *count, uint8_t *len) {
    uint16_t sym[SYM_MAX];
    unsigned n = 0;
    for (unsigned s = 0; s < SYM_MAX; s++) {
        len[s] = 0;
        if (count[s]) {
            unsigned k = n++;
            for (; k > 0 && count[sym[k - 1]] > count[s]; k--) sym[k] = sym[k - 1];
            sym[k] = (uint16_t)s;
        }
    }
    if (n < 2) return;
    /* Two queues: leaves by count, inner nodes in order of making. */
    uint64_t weight[2 * SYM_MAX];
    uint16_t parent[2 * SYM_MAX];
    for (unsigned i = 0; i < n; i++) weight[i] = count[sym[i]];
    unsigned leaf = 0, inner = n, made = n;
    while (made < 2 * n - 1) {
        unsigned pick[2];
        for (int k = 0; k < 2; k++) {
            bool take_leaf = leaf < n && (inner >= made || weight[leaf] <= weight[inner]);
            pick[k] = take_leaf ? leaf++ : inner++;
        }
        weight[made] = weight[pick[0]] + weight[pick[1]];
        parent[pick[0]] = parent[pick[1]] = (uint16_t)made;
        made++;
    }
    unsigned depth[2 * SYM_MAX], per_len[2 * SYM_MAX] = {0};
    depth[made - 1] = 0;
    for (unsigned i = made - 1; i-- > 0;) depth[i] = depth[parent[i]] + 1;
    for (unsigned i = 0; i < n; i++) per_len[MIN(depth[i], (unsigned)LEN_MAX)]++;
    /* Codes cut to LEN_MAX overfill the tree: lengthen shorter ones until it fits. */
    uint32_t used = 0;
    for (unsigned l = 1; l <= LEN_MAX; l++) used += per_len[l] << (LEN_MAX - l);
    while (used > 1u << LEN_MAX) {
        per_len[LEN_MAX]--;
        unsigned l = LEN_MAX - 1;
        while (per_len[l] == 0) l--;
        per_len[l]--;
        per_len[l + 1] += 2;
        used--;
    }
    unsigned i = 0;
    for (unsigned l = LEN_MAX; l > 0; l--) {
        for (unsigned k = 0; k < per_len[l]; k++) len[sym[i++]] = (uint8_t)l;
    }
    MUST(i == n);
}

/* Canonical codes, bits reversed (the stream is read low bit first). False: not a full tree. */
static bool huffman_codes(const uint8_t *len, uint16_t *code) {
    unsigned per_len[LEN_MAX + 1] = {0}, next[LEN_MAX + 2] = {0};
    uint32_t used = 0;
    for (unsigned s = 0; s < SYM_MAX; s++) {
        if (!len[s]) continue;
        per_len[len[s]]++;
        used += 1u << (LEN_MAX - len[s]);
    }
    if (used != 1u << LEN_MAX) return false;
    for (unsigned l = 1; l <= LEN_MAX; l++) next[l + 1] = (next[l] + per_len[l]) << 1;
    for (unsigned s = 0; s < SYM_MAX; s++) {
        if (!len[s]) continue;
        unsigned c = next[len[s]]++, r = 0;
        for (unsigned b = 0; b < len[s]; b++) r |= (c >> b & 1) << (len[s] - 1 - b);
        code[s] = (uint16_t)r;
    }
    return true;
}

static unsigned extra_bits(unsigned sym) {
    if (sym < SYM_RUN) return sym; /* class b has b - 1 */
    return sym < SYM_EXACT ? sym - SYM_RUN : 0;
}

static void plan_cost(plan *p) {
    huffman_lengths(p->count, p->len);
    p->bits = 0;
    for (unsigned s = 0; s < SYM_MAX; s++) {
        if (p->count[s]) p->bits += 12 + (uint64_t)p->count[s] * (p->len[s] + extra_bits(s));
    }
    for (unsigned k = 0; k < p->exacts; k++) p->bits += (bit_length(p->exact[k]) + 6) / 7 * 8;
}

/* --- bits, low first --- */

typedef struct bit_writer {
    buf *out;
    uint64_t acc;
    unsigned n;
    bool ok;
} bit_writer;

static void put_bits(bit_writer *w, uint64_t v, unsigned n) {
    while (n) {
        unsigned take = MIN(n, 56 - w->n);
        uint64_t mask = take == 64 ? ~UINT64_C(0) : (UINT64_C(1) << take) - 1;
        w->acc |= (v & mask) << w->n;
        w->n += take;
        v = take == 64 ? 0 : v >> take;
        n -= take;
        while (w->n >= 8) {
            w->ok &= buf_putc(w->out, (char)(w->acc & 255));
            w->acc >>= 8;
            w->n -= 8;
        }
    }
}
static void flush_bits(bit_writer *w) {
    if (w->n) w->ok &= buf_putc(w->out, (char)(w->acc & 255));
    w->n = 0;
}

typedef struct bit_reader {
    const uint8_t *p, *end;
    uint64_t acc;
    unsigned n;
    bool over; /* read beyond the end: zeros */
} bit_reader;

FL_INLINE void fill_bits(bit_reader *r) {
    if (LIKELY(r->end - r->p >= 8)) {
        uint64_t word;
        memcpy(&word, r->p, 8); /* the format is little endian, and so are the machines we run on */
        r->acc |= word << r->n;
        r->p += (63 - r->n) >> 3;
        r->n |= 56;
        return;
    }
    while (r->n <= 56 && r->p < r->end) {
        r->acc |= (uint64_t)*r->p++ << r->n;
        r->n += 8;
    }
}
/* n <= 56 */
FL_INLINE uint64_t get_bits56(bit_reader *r, unsigned n) {
    if (r->n < n) fill_bits(r);
    if (UNLIKELY(r->n < n)) {
        r->over = true;
        return 0;
    }
    uint64_t v = r->acc & ((UINT64_C(1) << n) - 1);
    r->acc >>= n;
    r->n -= n;
    return v;
}
FL_INLINE uint64_t get_bits(bit_reader *r, unsigned n) {
    if (LIKELY(n <= 32)) return get_bits56(r, n);
    uint64_t low = get_bits56(r, 32);
    return low | get_bits56(r, n - 32) << 32;
}

/* --- writing --- */

static bool put_huffman(buf *out, const plan *p, const int64_t *d, const seen *t, size_t mask) {
    uint16_t code[SYM_MAX] = {0};
    unsigned used = 0;
    for (unsigned s = 0; s < SYM_MAX; s++) used += p->count[s] != 0;
    if (used > 1 && !huffman_codes(p->len, code)) MUST(!"lengths make a full tree");
    bool ok = buf_varint(out, used);
    for (unsigned s = 0; s < SYM_MAX; s++) {
        if (p->count[s]) ok &= buf_putc(out, (char)s);
    }
    unsigned nibble = 0, half = 0;
    for (unsigned s = 0; s < SYM_MAX; s++) {
        if (!p->count[s]) continue;
        if (half) ok &= buf_putc(out, (char)(nibble | (unsigned)p->len[s] << 4));
        nibble = p->len[s];
        half ^= 1;
    }
    if (half) ok &= buf_putc(out, (char)nibble);
    for (unsigned k = 0; k < p->exacts; k++) ok &= buf_varint(out, p->exact[k]);
    uint64_t bits = 0;
    for (unsigned s = 0; s < SYM_MAX; s++) {
        bits += (uint64_t)p->count[s] * (p->len[s] + extra_bits(s));
    }
    ok &= buf_varint(out, (bits + 7) / 8);
    bit_writer w = {.out = out, .ok = ok};
    for (size_t i = 0; i < p->m;) {
        if (d[i] == 0) {
            size_t run = run_at(d, p->m, i);
            unsigned j = run_class(run);
            i += run;
            if (run < p->run_min) {
                while (run--) put_bits(&w, code[SYM_RUN], p->len[SYM_RUN]);
                continue;
            }
            put_bits(&w, code[SYM_RUN + j], p->len[SYM_RUN + j]);
            put_bits(&w, run - ((size_t)1 << j), j);
            continue;
        }
        uint64_t u = zigzag_of(d[i] / (int64_t)p->gcd);
        size_t at = seen_at(t, mask, u);
        if (at != SIZE_MAX && t[at].u && t[at].exact >= 0) {
            unsigned s = SYM_EXACT + (unsigned)t[at].exact;
            put_bits(&w, code[s], p->len[s]);
        } else {
            unsigned b = bit_length(u);
            put_bits(&w, code[b - 1], p->len[b - 1]);
            put_bits(&w, u, b - 1); /* the top bit is known */
        }
        i++;
    }
    flush_bits(&w);
    return w.ok;
}

static bool put_packed(buf *out, const plan *p, const int64_t *d) {
    bit_writer w = {.out = out, .ok = buf_putc(out, (char)p->width)};
    for (size_t i = 0; i < p->m; i++) put_bits(&w, zigzag_of(d[i] / (int64_t)p->gcd), p->width);
    flush_bits(&w);
    return w.ok;
}

static bool put_coded(buf *out, const int64_t *v, size_t n, int64_t *d, plan *p, plan *best,
                      seen *t, size_t mask) {
    uint64_t best_bits = UINT64_MAX, best_packed = 0;
    for (unsigned order = 0; order <= 2; order++) {
        if (order == 2 && n < 3) break;
        p->order = order;
        p->m = residuals(v, n, order, d);
        p->gcd = gcd_of(d, p->m);
        p->run_min = run_min_of(d, p->m);
        uint64_t all = 0;
        for (size_t i = 0; i < p->m; i++) all |= zigzag_of(d[i] / (int64_t)p->gcd);
        p->width = bit_length(all);
        plan_symbols(p, d, t, mask);
        plan_cost(p);
        uint64_t packed = (uint64_t)p->width * p->m;
        uint64_t bits = MIN(packed, p->bits + 16) + order * 8;
        if (bits >= best_bits) continue;
        best_bits = bits;
        best_packed = packed <= p->bits + 16;
        *best = *p;
    }
    if (best_bits / 8 + 12 >= 8 * n && n > 2) {
        return buf_putc(out, MODE_RAW) && buf_put(out, str_make((const char *)v, 8 * n));
    }
    size_t m = residuals(v, n, best->order, d);
    MUST(m == best->m);
    bool ok = buf_putc(out, best_packed ? MODE_PACKED : MODE_HUFFMAN) &&
              buf_putc(out, (char)best->order) && buf_varint(out, zigzag_of(v[0])) &&
              (best->order < 2 ||
               buf_varint(out, zigzag_of((int64_t)((uint64_t)v[1] - (uint64_t)v[0])))) &&
              buf_varint(out, best->gcd);
    if (best_packed) return ok && put_packed(out, best, d);
    plan_symbols(best, d, t, mask); /* the table holds what belongs to the last order tried */
    plan_cost(best);
    return ok && put_huffman(out, best, d, t, mask);
}

static bool is_constant(const int64_t *v, size_t n) {
    size_t same = 1;
    while (same < n && v[same] == v[0]) same++;
    return same == n;
}

static bool put_constant(buf *out, int64_t v) {
    return buf_putc(out, MODE_CONST) && buf_varint(out, zigzag_of(v));
}

bool intcode_put_fast(buf *out, const int64_t *v, size_t n) {
    MUST(n <= INTCODE_MAX);
    if (n == 0) return true;
    if (is_constant(v, n)) return put_constant(out, v[0]);
    return buf_putc(out, MODE_RAW) && buf_put(out, str_make((const char *)v, 8 * n));
}

bool intcode_put(buf *out, const int64_t *v, size_t n) {
    MUST(n <= INTCODE_MAX);
    if (n == 0) return true;
    if (is_constant(v, n)) return put_constant(out, v[0]);
    size_t places = MIN(bits_next_pow2(2 * n), (size_t)COUNT_MAX);
    int64_t *d = mem_try_raw(n * sizeof *d);
    seen *t = mem_try_raw(places * sizeof *t);
    plan *p = mem_try_raw(2 * sizeof *p);
    bool ok = d && t && p && put_coded(out, v, n, d, p, p + 1, t, places - 1);
    mem_free(p);
    mem_free(t);
    mem_free(d);
    return ok;
}

/* --- reading --- */

static rc damaged(err *e) { return FAIL(e, RC_CORRUPT, "damaged sequence of numbers"); }

static rc get_packed(str *in, size_t m, uint64_t gcd, int64_t *d, err *e) {
    str one, bits;
    if (!take_bytes(in, 1, &one)) return damaged(e);
    unsigned width = (uint8_t)one.p[0];
    if (width > 64 || !take_bytes(in, (m * width + 7) / 8, &bits)) return damaged(e);
    bit_reader r = {.p = (const uint8_t *)bits.p, .end = (const uint8_t *)bits.p + bits.n};
    for (size_t i = 0; i < m; i++) d[i] = (int64_t)((uint64_t)zigzag_to(get_bits(&r, width)) * gcd);
    return RC_OK;
}

static rc get_huffman(str *in, size_t m, uint64_t gcd, int64_t *d, err *e) {
    uint64_t used, bytes, exact[EXACT_MAX];
    str syms, nibbles, bits;
    if (!take_varint(in, SYM_MAX, &used) || used == 0 || !take_bytes(in, (size_t)used, &syms) ||
        !take_bytes(in, (size_t)(used > 1 ? (used + 1) / 2 : 1), &nibbles))
        return damaged(e);
    uint8_t len[SYM_MAX] = {0};
    unsigned exacts = 0, longest = 0;
    for (unsigned i = 0; i < used; i++) {
        unsigned s = (uint8_t)syms.p[i];
        if (s >= SYM_MAX || (i && s <= (uint8_t)syms.p[i - 1])) return damaged(e);
        unsigned l = (uint8_t)nibbles.p[i / 2] >> (i & 1 ? 4 : 0) & 15;
        if (l > LEN_MAX || (l == 0) != (used == 1)) return damaged(e);
        len[s] = (uint8_t)l;
        longest = MAX(longest, l);
        if (s >= SYM_EXACT) exacts++;
    }
    for (unsigned k = 0; k < exacts; k++) {
        if (!take_varint(in, UINT64_MAX, &exact[k])) return damaged(e);
    }
    if (exacts && (uint8_t)syms.p[used - 1] != SYM_EXACT + exacts - 1) return damaged(e);
    if (!take_varint(in, in->n, &bytes) || !take_bytes(in, (size_t)bytes, &bits)) return damaged(e);

    struct {
        uint8_t sym, len;
    } table[1 << LEN_MAX];
    if (used == 1) {
        table[0].sym = (uint8_t)syms.p[0];
        table[0].len = 0;
    } else {
        uint16_t code[SYM_MAX];
        if (!huffman_codes(len, code)) return damaged(e);
        for (unsigned i = 0; i < used; i++) {
            unsigned s = (uint8_t)syms.p[i];
            for (unsigned c = code[s]; c < 1u << longest; c += 1u << len[s]) {
                table[c].sym = (uint8_t)s;
                table[c].len = len[s];
            }
        }
    }
    bit_reader r = {.p = (const uint8_t *)bits.p, .end = (const uint8_t *)bits.p + bits.n};
    uint64_t mask = (UINT64_C(1) << longest) - 1;
    for (size_t i = 0; i < m;) {
        if (r.n < LEN_MAX) fill_bits(&r);
        unsigned at = (unsigned)(r.acc & mask);
        unsigned s = table[at].sym, l = table[at].len;
        if (UNLIKELY(l > r.n)) return damaged(e);
        r.acc >>= l;
        r.n -= l;
        if (s >= SYM_EXACT) {
            d[i++] = (int64_t)((uint64_t)zigzag_to(exact[s - SYM_EXACT]) * gcd);
        } else if (s < SYM_RUN) {
            uint64_t u = get_bits(&r, s) | UINT64_C(1) << s;
            if (UNLIKELY(r.over)) return damaged(e);
            d[i++] = (int64_t)((uint64_t)zigzag_to(u) * gcd);
        } else {
            unsigned j = s - SYM_RUN;
            uint64_t run = get_bits(&r, j) + (UINT64_C(1) << j);
            if (UNLIKELY(r.over || run > m - i)) return damaged(e);
            memset(d + i, 0, (size_t)run * sizeof *d);
            i += (size_t)run;
        }
    }
    return RC_OK;
}

rc intcode_get(str *in, size_t n, int64_t *to, err *e) {
    if (n == 0) return RC_OK;
    str head;
    uint64_t first, second = 0, gcd;
    if (!take_bytes(in, 1, &head)) return damaged(e);
    uint8_t mode = (uint8_t)head.p[0];
    if (mode == MODE_CONST) {
        if (!take_varint(in, UINT64_MAX, &first)) return damaged(e);
        for (size_t i = 0; i < n; i++) to[i] = zigzag_to(first);
        return RC_OK;
    }
    if (mode == MODE_RAW) {
        str raw;
        if (n > in->n / 8 || !take_bytes(in, 8 * n, &raw)) return damaged(e);
        memcpy(to, raw.p, raw.n);
        return RC_OK;
    }
    if (mode > MODE_PACKED || !take_bytes(in, 1, &head)) return damaged(e);
    unsigned order = (uint8_t)head.p[0];
    if (order > 2 || n < 2 || (order == 2 && n < 3)) return damaged(e);
    if (!take_varint(in, UINT64_MAX, &first) ||
        (order == 2 && !take_varint(in, UINT64_MAX, &second)) || !take_varint(in, UINT64_MAX, &gcd))
        return damaged(e);
    /* Residuals are read where they are summed up. */
    size_t skip = order == 2 ? 2 : 1, m = n - skip;
    rc code = mode == MODE_PACKED ? get_packed(in, m, gcd, to + skip, e)
                                  : get_huffman(in, m, gcd, to + skip, e);
    if (code != RC_OK) return code;
    uint64_t *u = (uint64_t *)to;
    u[0] = (uint64_t)zigzag_to(first);
    if (order == 0) {
        for (size_t i = 1; i < n; i++) u[i] += u[0];
    } else if (order == 1) {
        for (size_t i = 1; i < n; i++) u[i] += u[i - 1];
    } else {
        uint64_t step = (uint64_t)zigzag_to(second);
        u[1] = u[0] + step;
        for (size_t i = 2; i < n; i++) {
            step += u[i];
            u[i] = u[i - 1] + step;
        }
    }
    return RC_OK;
}

/* --- doubles --- */

enum { F64_BITS = 0, F64_DECIMAL, F64_NEAR };
enum { DIGITS_MAX = 17, NEAR_MAX = 4 };
static const double POW10[DIGITS_MAX + 1] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,
                                             1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17};

/* n = v * 10^k as an integer, when n / 10^k is at most `near` representable numbers away from v. */
static bool decimal(int64_t bits, unsigned k, int64_t near, int64_t *ret_n, int64_t *ret_off) {
    double v, back;
    memcpy(&v, &bits, 8);
    double scaled = v * POW10[k];
    if (!(fabs(scaled) <= 9007199254740992.0)) return false;
    int64_t n = (int64_t)nearbyint(scaled), is;
    back = (double)n / POW10[k];
    memcpy(&is, &back, 8);
    int64_t off = (int64_t)((uint64_t)bits - (uint64_t)is);
    if (off > near || off < -near) return false;
    *ret_n = n;
    *ret_off = off;
    return true;
}

/* The digits that nearly all values need; false: they are no decimals. */
static bool find_digits(const int64_t *bits, size_t n, int64_t near, unsigned *ret) {
    unsigned k = 0;
    size_t odd = 0, odd_max = n / 16 + 1;
    for (size_t i = 0; i < n; i++) {
        int64_t x, off;
        unsigned try = k;
        while (try <= DIGITS_MAX && !decimal(bits[i], try, near, &x, &off)) try++;
        if (try <= DIGITS_MAX)
            k = try;
        else if (++odd > odd_max)
            return false;
    }
    *ret = k;
    return true;
}

static bool put_decimal(buf *out, const int64_t *bits, size_t n, unsigned k, int64_t near,
                        int64_t *x, int64_t *off) {
    size_t odd = 0;
    int64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        if (decimal(bits[i], k, near, &x[i], &off[i]))
            before = x[i];
        else
            x[i] = before, off[i] = 0, odd++;
    }
    bool ok = buf_putc(out, near ? F64_NEAR : F64_DECIMAL) && buf_putc(out, (char)k) &&
              buf_varint(out, odd);
    size_t last = 0;
    for (size_t i = 0; odd && i < n && ok; i++) {
        int64_t y, z;
        if (decimal(bits[i], k, near, &y, &z)) continue;
        ok = buf_varint(out, i - last) && buf_le64(out, (uint64_t)bits[i]);
        last = i;
        odd--;
    }
    return ok && intcode_put(out, x, n) && (!near || intcode_put(out, off, n));
}

/* Appends the sequence in one form; false when it does not have that form. */
static bool put_form(buf *out, const int64_t *bits, size_t n, int form) {
    if (form == F64_BITS) return buf_putc(out, F64_BITS) && intcode_put(out, bits, n);
    int64_t near = form == F64_NEAR ? NEAR_MAX : 0;
    unsigned k;
    if (!find_digits(bits, n, near, &k)) return false;
    int64_t *x = mem_try_raw(2 * n * sizeof *x);
    bool ok = x && put_decimal(out, bits, n, k, near, x, x + n);
    mem_free(x);
    return ok;
}

bool f64code_put(buf *out, const int64_t *bits, size_t n) {
    MUST(n <= INTCODE_MAX);
    if (n == 0) return true;
    size_t from = out->n, best = SIZE_MAX;
    if (put_form(out, bits, n, F64_DECIMAL))
        best = out->n - from;
    else
        out->n = from;
    if (best < 16 + 2 * n) return true;
    /* Long numbers: other forms may be smaller. */
    static const int others[] = {F64_NEAR, F64_BITS};
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(others) && ok; i++) {
        buf other;
        buf_init(&other, 10 * n + 4096);
        if (put_form(&other, bits, n, others[i]) && other.n < best) {
            out->n = from;
            best = other.n;
            ok = buf_put(out, buf_str(&other));
        }
        buf_release(&other);
    }
    return ok && best != SIZE_MAX;
}

bool f64code_put_fast(buf *out, const int64_t *bits, size_t n) {
    return n == 0 || (buf_putc(out, F64_BITS) && intcode_put_fast(out, bits, n));
}

static rc add_steps(str *in, size_t n, int64_t *bits, err *e) {
    uint64_t *off = mem_try_raw(n * sizeof *off);
    if (!off) return FAIL(e, RC_LIMIT, "no memory for %zu numbers", n);
    rc code = intcode_get(in, n, (int64_t *)off, e);
    for (size_t i = 0; code == RC_OK && i < n; i++) bits[i] = (int64_t)((uint64_t)bits[i] + off[i]);
    mem_free(off);
    return code;
}

rc f64code_get(str *in, size_t n, int64_t *bits, err *e) {
    if (n == 0) return RC_OK;
    str head;
    if (!take_bytes(in, 1, &head)) return damaged(e);
    if (head.p[0] == F64_BITS) return intcode_get(in, n, bits, e);
    uint64_t odd;
    str list = *in;
    bool near = head.p[0] == F64_NEAR;
    if ((head.p[0] != F64_DECIMAL && !near) || !take_bytes(in, 1, &head) ||
        (uint8_t)head.p[0] > DIGITS_MAX || !take_varint(in, n, &odd))
        return damaged(e);
    unsigned k = (uint8_t)head.p[0];
    list = *in;
    for (uint64_t i = 0; i < odd; i++) {
        uint64_t step;
        str raw;
        if (!take_varint(in, n, &step) || !take_bytes(in, 8, &raw)) return damaged(e);
    }
    rc code = intcode_get(in, n, bits, e);
    if (code != RC_OK) return code;
    double scale = POW10[k];
    for (size_t i = 0; i < n; i++) {
        double v = (double)bits[i] / scale;
        memcpy(&bits[i], &v, 8);
    }
    if (near && (code = add_steps(in, n, bits, e)) != RC_OK) return code;
    uint64_t at = 0;
    for (uint64_t i = 0; i < odd; i++) {
        uint64_t step;
        str raw;
        MUST(take_varint(&list, n, &step) && take_bytes(&list, 8, &raw));
        at += step;
        if (at >= n) return damaged(e);
        memcpy(&bits[at], raw.p, 8);
    }
    return RC_OK;
}
