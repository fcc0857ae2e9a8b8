/* number.c - numbers in slots: "42", "-0.5", "1.5e3", "12ms", "4.5MB", "1m20.5s", "80%",
 * "120 ms" (the miner takes a short unit after a blank along).
 *
 * Durations become milliseconds and sizes bytes (1024-based), so that a slot that prints "900ms"
 * and "1.2s" is one series. A unit letter that may be either (m, M, K, G) goes by case: m is
 * minutes, M, K and G are sizes. Parsing is by hand, without locale, and never reads past the text:
 * it runs once for every numeric slot of every record (about 5 ns). Digits beyond 18 are dropped
 * with their magnitude kept; accuracy is that of a double, enough for 8 bins an octave. */
#include "detect/profile_int.h"

#define NUMBER_MAX 1e200 /* beyond it nothing is measured: an identifier of digits and an e */

typedef struct unit_name {
    const char *text;
    value_unit unit;
    double factor;
} unit_name;

static const unit_name unit_names[] = {
    {"ms", UNIT_MS, 1},
    {"s", UNIT_MS, 1e3},
    {"us", UNIT_MS, 1e-3},
    {"\xc2\xb5s", UNIT_MS, 1e-3},
    {"ns", UNIT_MS, 1e-6},
    {"m", UNIT_MS, 6e4},
    {"h", UNIT_MS, 3.6e6},
    {"d", UNIT_MS, 8.64e7},
    {"min", UNIT_MS, 6e4},
    {"sec", UNIT_MS, 1e3},
    {"secs", UNIT_MS, 1e3},
    {"msec", UNIT_MS, 1},
    {"usec", UNIT_MS, 1e-3},
    {"mins", UNIT_MS, 6e4},
    {"hours", UNIT_MS, 3.6e6},
    {"B", UNIT_BYTES, 1},
    {"K", UNIT_BYTES, 1024},
    {"KB", UNIT_BYTES, 1024},
    {"kB", UNIT_BYTES, 1024},
    {"kb", UNIT_BYTES, 1024},
    {"k", UNIT_BYTES, 1024},
    {"KiB", UNIT_BYTES, 1024},
    {"M", UNIT_BYTES, 1048576},
    {"MB", UNIT_BYTES, 1048576},
    {"mb", UNIT_BYTES, 1048576},
    {"MiB", UNIT_BYTES, 1048576},
    {"G", UNIT_BYTES, 1073741824},
    {"GB", UNIT_BYTES, 1073741824},
    {"gb", UNIT_BYTES, 1073741824},
    {"GiB", UNIT_BYTES, 1073741824},
    {"TB", UNIT_BYTES, 1099511627776.0},
    {"TiB", UNIT_BYTES, 1099511627776.0},
    {"b", UNIT_BYTES, 1},
    {"byte", UNIT_BYTES, 1},
    {"bytes", UNIT_BYTES, 1},
    {"%", UNIT_PERCENT, 1},
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Unsigned decimal at *at. */
static bool decimal(str s, size_t *at, double *ret) {
    size_t i = *at, from = i;
    uint64_t mantissa = 0;
    int digits = 0, scale = 0;
    for (; i < s.n && is_digit(s.p[i]); i++) {
        if (digits < 18) {
            mantissa = mantissa * 10 + (uint64_t)(s.p[i] - '0');
            digits += mantissa != 0;
        } else {
            scale++;
        }
    }
    bool whole = i > from;
    if (i + 1 < s.n && s.p[i] == '.' && is_digit(s.p[i + 1])) {
        for (i++; i < s.n && is_digit(s.p[i]); i++) {
            if (digits >= 18) continue;
            mantissa = mantissa * 10 + (uint64_t)(s.p[i] - '0');
            digits += mantissa != 0;
            scale--;
        }
        whole = true;
    }
    if (!whole) return false;
    if (i + 1 < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        size_t j = i + 1;
        bool minus = s.p[j] == '-';
        if (s.p[j] == '-' || s.p[j] == '+') j++;
        if (j < s.n && is_digit(s.p[j])) {
            int e = 0;
            for (; j < s.n && is_digit(s.p[j]); j++) e = e < 400 ? e * 10 + (s.p[j] - '0') : e;
            scale += minus ? -e : e;
            i = j;
        }
    }
    double v = (double)mantissa;
    if (scale > 280) scale = 280;
    if (scale < -280) scale = -280;
    static const double tens[] = {1e1, 1e2, 1e4, 1e8, 1e16, 1e32, 1e64, 1e128, 1e256};
    for (unsigned bit = 0, e = (unsigned)(scale < 0 ? -scale : scale); e; bit++, e >>= 1) {
        if (e & 1) v = scale < 0 ? v / tens[bit] : v * tens[bit];
    }
    *ret = v;
    *at = i;
    return true;
}

bool profile_number(str s, uint8_t type, double *ret, value_unit *ret_unit) {
    size_t i = 0;
    bool minus = false;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) minus = s.p[i++] == '-';
    double sum = 0, v;
    value_unit unit = UNIT_NONE;
    if (!decimal(s, &i, &v)) return false;
    sum = v;
    if (i < s.n) {
        if (type != SLOT_UNIT) return false;
        sum = 0;
        for (int parts = 0; parts < 4; parts++) { /* "1h2m3.5s" */
            i += i + 1 < s.n && s.p[i] == ' ';
            size_t from = i;
            while (i < s.n && !is_digit(s.p[i]) && s.p[i] != '.') i++;
            str name = str_sub(s, from, i - from);
            const unit_name *u = NULL;
            for (size_t k = 0; k < ARRAY_LEN(unit_names) && !u; k++) {
                if (str_eq(name, str_c(unit_names[k].text))) u = &unit_names[k];
            }
            value_unit this_unit = u ? u->unit : UNIT_OTHER;
            if (parts && (this_unit != unit || unit != UNIT_MS)) return false;
            unit = this_unit;
            sum += v * (u ? u->factor : 1);
            if (i == s.n) break;
            if (unit != UNIT_MS || !decimal(s, &i, &v)) return false;
        }
        if (i != s.n) return false;
    }
    if (!(sum < NUMBER_MAX)) return false;
    *ret = minus ? -sum : sum;
    *ret_unit = unit;
    return true;
}
