/* num.c - numbers from and to text.
 *
 * Doubles: up to 19 digits are gathered in an integer; when it is below 2^53 and the decimal
 * exponent within +-22, one exact multiplication or division gives the correctly rounded result
 * (Clinger, "How to read floating point numbers accurately", PLDI 1990). All else goes to strtod,
 * which glibc rounds correctly (the program never sets a locale). */
#include "base/num.h"

#include <math.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 u128;

enum { DOUBLE_TEXT_MAX = 1024 }; /* a longer number is refused */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool num_u64(str s, uint64_t *ret) {
    if (s.n == 0) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) return false;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v)) return false;
        if (__builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) return false;
    }
    *ret = v;
    return true;
}

bool num_i64(str s, int64_t *ret) {
    bool minus = s.n > 0 && s.p[0] == '-';
    if (minus || (s.n > 0 && s.p[0] == '+')) s = str_from(s, 1);
    uint64_t v;
    if (!num_u64(s, &v)) return false;
    if (v > (uint64_t)INT64_MAX + minus) return false;
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool num_hex(str s, uint64_t *ret) {
    if (str_starts_nocase(s, S("0x"))) s = str_from(s, 2);
    if (s.n == 0) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        unsigned digit;
        if (is_digit(c))
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            return false;
        if (v >> 60) return false;
        v = v << 4 | digit;
    }
    *ret = v;
    return true;
}

static bool slow_double(str s, double *ret) {
    if (s.n > DOUBLE_TEXT_MAX) return false;
    char text[DOUBLE_TEXT_MAX + 1];
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    double v = strtod(text, NULL);
    if (!isfinite(v)) return false;
    *ret = v;
    return true;
}

bool num_double(str s, double *ret) {
    static const double TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    size_t i = 0;
    bool minus = s.n > 0 && s.p[0] == '-';
    if (minus || (s.n > 0 && s.p[0] == '+')) i++;
    uint64_t mantissa = 0;
    unsigned kept = 0; /* significant digits in mantissa */
    bool exact = true;
    int64_t exponent = 0;
    size_t whole = i;
    for (; i < s.n && is_digit(s.p[i]); i++) {
        if (kept < 19)
            mantissa = mantissa * 10 + (uint64_t)(s.p[i] - '0'), kept += mantissa != 0;
        else
            exact = false;
    }
    size_t whole_digits = i - whole;
    if (whole_digits > 1 && s.p[whole] == '0') return false;
    if (i < s.n && s.p[i] == '.') {
        size_t fraction = ++i;
        for (; i < s.n && is_digit(s.p[i]); i++) {
            if (kept < 19) {
                mantissa = mantissa * 10 + (uint64_t)(s.p[i] - '0'), kept += mantissa != 0;
                exponent--;
            } else {
                exact = false;
            }
        }
        if (i == fraction) return false;
    } else if (whole_digits == 0) {
        return false;
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        bool down = i < s.n && s.p[i] == '-';
        if (down || (i < s.n && s.p[i] == '+')) i++;
        size_t from = i;
        int64_t e10 = 0;
        for (; i < s.n && is_digit(s.p[i]); i++)
            if (e10 < 100000) e10 = e10 * 10 + (s.p[i] - '0');
        if (i == from) return false;
        exponent += down ? -e10 : e10;
    }
    if (i != s.n) return false;
    if (exact && mantissa <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
        double v = (double)mantissa;
        v = exponent < 0 ? v / TEN[-exponent] : v * TEN[exponent];
        *ret = minus ? -v : v;
        return true;
    }
    return slow_double(s, ret);
}

/* Reads "12" or "1.5" at *at: digits, then at most 18 digits of fraction as fraction / scale. */
static bool read_decimal(str s, size_t *at, uint64_t *ret_whole, uint64_t *ret_fraction,
                         uint64_t *ret_scale) {
    size_t i = *at, from = i;
    while (i < s.n && is_digit(s.p[i])) i++;
    *ret_whole = *ret_fraction = 0;
    *ret_scale = 1;
    if (i > from && !num_u64(str_sub(s, from, i - from), ret_whole)) return false;
    size_t digits = i - from;
    if (i < s.n && s.p[i] == '.') {
        for (i++; i < s.n && is_digit(s.p[i]); i++, digits++) {
            if (*ret_scale >= 1000000000000000000u) continue; /* below any unit's resolution */
            *ret_fraction = *ret_fraction * 10 + (uint64_t)(s.p[i] - '0');
            *ret_scale *= 10;
        }
    }
    *at = i;
    return digits > 0;
}

/* whole.fraction * unit, rounded down; false when it does not fit below `max`. */
static bool scale_decimal(uint64_t whole, uint64_t fraction, uint64_t scale, uint64_t unit,
                          uint64_t max, uint64_t *ret) {
    u128 v = (u128)whole * unit + (u128)fraction * unit / scale;
    if (v > max) return false;
    *ret = (uint64_t)v;
    return true;
}

typedef struct unit {
    str name;
    uint64_t size;
} unit;

bool num_duration(str s, int64_t *ret_ns) {
    static const unit UNITS[] = {
        {S_INIT("ns"), 1},
        {S_INIT("us"), 1000},
        {S_INIT("\xC2\xB5s"), 1000}, /* micro sign */
        {S_INIT("\xCE\xBCs"), 1000}, /* Greek mu */
        {S_INIT("ms"), 1000000},
        {S_INIT("s"), 1000000000},
        {S_INIT("m"), 60000000000},
        {S_INIT("h"), 3600000000000},
        {S_INIT("d"), 86400000000000},
        {S_INIT("w"), 604800000000000},
        {S_INIT("y"), 31536000000000000}, /* 365 days, as in LogQL and PromQL */
    };
    if (str_eq(s, S("0"))) {
        *ret_ns = 0;
        return true;
    }
    uint64_t total = 0;
    size_t at = 0;
    if (s.n == 0) return false;
    while (at < s.n) {
        uint64_t whole, fraction, scale, part;
        if (!read_decimal(s, &at, &whole, &fraction, &scale)) return false;
        size_t from = at;
        while (at < s.n && !is_digit(s.p[at]) && s.p[at] != '.') at++;
        str name = str_sub(s, from, at - from);
        const unit *u = NULL;
        for (size_t i = 0; i < ARRAY_LEN(UNITS); i++)
            if (str_eq(UNITS[i].name, name)) u = &UNITS[i];
        if (!u || !scale_decimal(whole, fraction, scale, u->size, INT64_MAX - total, &part))
            return false;
        total += part;
    }
    *ret_ns = (int64_t)total;
    return true;
}

bool num_bytes(str s, uint64_t *ret_bytes) {
    uint64_t whole, fraction, scale;
    size_t at = 0;
    if (!read_decimal(s, &at, &whole, &fraction, &scale)) return false;
    while (at < s.n && s.p[at] == ' ') at++;
    str name = str_from(s, at);
    uint64_t size = 1;
    if (name.n > 0 && !str_eq_nocase(name, S("b"))) {
        static const char LETTERS[] = "kmgtpe";
        char c = (char)(name.p[0] | 0x20);
        const char *hit = c ? memchr(LETTERS, c, sizeof LETTERS - 1) : NULL;
        str rest = str_from(name, 1);
        if (!hit || !(rest.n == 0 || str_eq_nocase(rest, S("b")) || str_eq_nocase(rest, S("ib"))))
            return false;
        size = (uint64_t)1 << (10 * (unsigned)(hit - LETTERS + 1));
    }
    return scale_decimal(whole, fraction, scale, size, UINT64_MAX, ret_bytes);
}

/* "12.3", "12": one digit after the point, and none when it is 0 or v >= 100. tenths: v * 10. */
static str tenths_text(arena *out, uint64_t tenths, const char *unit_name) {
    if (tenths >= 1000) return str_fmt(out, "%" PRIu64 " %s", (tenths + 5) / 10, unit_name);
    if (tenths % 10 == 0) return str_fmt(out, "%" PRIu64 " %s", tenths / 10, unit_name);
    return str_fmt(out, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, unit_name);
}

/* a / b * 10, rounded to the nearest. */
static uint64_t tenths_of(uint64_t a, uint64_t b) { return (uint64_t)(((u128)a * 10 + b / 2) / b); }

static str positive_duration_text(arena *out, uint64_t ns) {
    const uint64_t US = 1000, MS = 1000000, SEC = 1000000000;
    if (ns < US) return str_fmt(out, "%" PRIu64 " ns", ns);
    /* Each bound lies where rounding would print 1000 (or 60) of the smaller unit. */
    if (ns < MS - US / 2) return tenths_text(out, tenths_of(ns, US), "us");
    if (ns < SEC - MS / 2) return tenths_text(out, tenths_of(ns, MS), "ms");
    if (ns < 60 * SEC - SEC / 20) return tenths_text(out, tenths_of(ns, SEC), "s");
    uint64_t s = ns / SEC + (ns % SEC >= SEC / 2);
    uint64_t big, small;
    const char *names[2];
    if (s < 3600) {
        big = s / 60, small = s % 60, names[0] = "m", names[1] = "s";
    } else if (s < 86400) {
        big = s / 3600, small = s % 3600 / 60, names[0] = "h", names[1] = "m";
    } else {
        big = s / 86400, small = s % 86400 / 3600, names[0] = "d", names[1] = "h";
    }
    if (small == 0) return str_fmt(out, "%" PRIu64 "%s", big, names[0]);
    return str_fmt(out, "%" PRIu64 "%s %" PRIu64 "%s", big, names[0], small, names[1]);
}

str num_duration_text(arena *out, int64_t ns) {
    if (ns >= 0) return positive_duration_text(out, (uint64_t)ns);
    str text = positive_duration_text(out, 0 - (uint64_t)ns);
    if (!text.p) return STR_NONE;
    return str_fmt(out, "-%.*s", STR_ARG(text));
}

str num_bytes_text(arena *out, uint64_t bytes) {
    static const char *const NAMES[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1024) return str_fmt(out, "%" PRIu64 " B", bytes);
    size_t i = 0;
    uint64_t size = 1;
    while (i + 1 < ARRAY_LEN(NAMES) && bytes / size >= 1024) size *= 1024, i++;
    uint64_t tenths = tenths_of(bytes, size);
    if (tenths >= 10235 && i + 1 < ARRAY_LEN(NAMES)) tenths = 10, i++; /* would print 1024 */
    return tenths_text(out, tenths, NAMES[i]);
}

str num_count_text(arena *out, uint64_t n) {
    char text[27]; /* 20 digits, 6 commas */
    size_t at = sizeof text, digits = 0;
    do {
        if (digits && digits % 3 == 0) text[--at] = ',';
        text[--at] = (char)('0' + n % 10);
        digits++;
    } while (n /= 10);
    return str_dup(out, str_make(text + at, sizeof text - at));
}
