/* colfloat.c - columns of doubles, bit for bit (NaN payloads and signed zeros included).
 *
 * Format: u8 encoding, then
 *   DECIMAL  u8 digits, column of the integers value * 10^digits: what people and counters write
 *   XOR      column of the bits, each combined by exclusive or with its predecessor, bytes
 *            reversed so that what is equal (sign, exponent, high digits) makes numbers small
 *   BITS     column of the bits: constants, dictionaries, runs
 *
 * Choice: DECIMAL when every value comes back exactly (tested for all of them); else the smaller of
 * the other two on this column (level 1), BITS at level 0.
 *
 * Source: exclusive or: Pelkonen et al. 2015 (Gorilla, section 4.1.2); decimals: Afroozeh et al.
 * 2023 (ALP), without its exceptions: a column with exceptions is rare and goes to XOR. */
#include "store/column_int.h"

#include <math.h>

enum { F_DECIMAL = 0, F_XOR, F_BITS, DECIMAL_DIGITS_MAX = 9 };

static const double pow10_of[DECIMAL_DIGITS_MAX + 1] = {1,   1e1, 1e2, 1e3, 1e4,
                                                        1e5, 1e6, 1e7, 1e8, 1e9};

static uint64_t double_bits(double v) {
    uint64_t u;
    memcpy(&u, &v, 8);
    return u;
}
static double bits_double(uint64_t u) {
    double v;
    memcpy(&v, &u, 8);
    return v;
}

static double decimal_value(int64_t n, unsigned digits) { return (double)n / pow10_of[digits]; }

static bool as_decimal(double v, unsigned digits, int64_t *ret) {
    double scaled = v * pow10_of[digits];
    if (!(scaled > -9.0e15 && scaled < 9.0e15)) return false; /* NaN fails, too */
    int64_t n = (int64_t)llround(scaled);
    if (double_bits(decimal_value(n, digits)) != double_bits(v)) return false;
    *ret = n;
    return true;
}

/* Fewest digits that give every value back; false when there are none. */
static bool decimals_of(const double *v, size_t count, uint64_t *to, unsigned *ret_digits) {
    unsigned digits = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t n;
        while (!as_decimal(v[i], digits, &n)) {
            if (++digits > DECIMAL_DIGITS_MAX) return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        int64_t n;
        if (!as_decimal(v[i], digits, &n)) return false; /* fewer digits fitted, more do not */
        to[i] = (uint64_t)n;
    }
    *ret_digits = digits;
    return true;
}

bool col_put_f64(buf *out, const double *v, size_t count, int level) {
    MUST(count <= COL_VALUES_MAX);
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, level);
    uint64_t *u = arena_try_raw(&x.mem, count * 8 + 8, 8);
    if (!u) return false;
    unsigned digits;
    if (decimals_of(v, count, u, &digits))
        return buf_putc(out, F_DECIMAL) && buf_putc(out, (char)digits) &&
               col_x_put_u64(&x, out, u, count);
    for (size_t i = 0; i < count; i++) u[i] = double_bits(v[i]);
    size_t before = out->n;
    if (!buf_putc(out, F_BITS) || !col_x_put_u64(&x, out, u, count)) return false;
    if (level <= 0) return true;
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t now = u[i];
        u[i] = __builtin_bswap64(now ^ last);
        last = now;
    }
    size_t bits_bytes = out->n - before;
    buf other;
    buf_init(&other, out->max_bytes);
    bool ok = buf_putc(&other, F_XOR) && col_x_put_u64(&x, &other, u, count);
    if (ok && other.n < bits_bytes) {
        out->n = before;
        ok = buf_put(out, buf_str(&other));
    }
    buf_release(&other);
    return ok;
}

rc col_get_f64(str col, size_t count, double *to, err *e) {
    DEFER(col_ctx_release) col_ctx x;
    col_ctx_init(&x, 1);
    col_reader r = col_reader_of(col);
    uint8_t enc = col_u8(&r);
    unsigned digits = enc == F_DECIMAL ? col_u8(&r) : 0;
    if (r.bad || enc > F_BITS || digits > DECIMAL_DIGITS_MAX)
        return COL_DAMAGED(e, "unknown encoding of doubles");
    uint64_t *u = arena_try_raw(&x.mem, count * 8 + 8, 8);
    if (!u) return FAIL(e, RC_LIMIT, "column: no memory");
    rc code = col_x_get_u64(&x, col_rest(&r), count, u, 0, e);
    if (code) return code;
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        if (enc == F_DECIMAL) {
            to[i] = decimal_value((int64_t)u[i], digits);
        } else if (enc == F_XOR) {
            last ^= __builtin_bswap64(u[i]);
            to[i] = bits_double(last);
        } else {
            to[i] = bits_double(u[i]);
        }
    }
    return RC_OK;
}
