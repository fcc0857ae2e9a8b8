/* timestamp.c - layouts as small programs, one interpreter.
 *
 * Problem: logs write time in some forty ways; a reader meets one of them per column, millions of
 * times. So the ways are rows of a table (LAYOUTS), each a program of one-letter steps; detection
 * runs the rows in order until one fits, parsing runs the one row found. The commonest row
 * (yyyy-mm-dd hh:mm:ss and its relatives with other separators) has a straight-line reader with the
 * same result. No state: the calendar sum is a table look-up and three divisions by constants,
 * which is cheaper than keeping a date cache coherent between threads.
 *
 * Steps: Y four-digit year, y two-digit year (70..99 = 19xx), m d H M X two digits (month, day,
 * hour, minute, second), n e h i j the same with one or two digits (e: may be space-padded),
 * b month name, a weekday name with an optional comma, S optional ":ss", f optional fraction,
 * F required fraction, p optional am/pm, z optional zone, T separator between date and time,
 * C optional comma then spaces, ' ' spaces; any other character stands for itself.
 *
 * A stamp must end at a character that is no letter or digit, so "2015-10-18 18:01:47" never reads
 * the start of a longer number.
 *
 * Limits: years 1900..2262, nanoseconds that fit int64; a leap second (60) counts as the
 * first second of the next minute. Calendar: days from civil after Howard Hinnant, "chrono-
 * Compatible Low-Level Date Algorithms". */
#include "codec/timestamp.h"

#include "base/num.h"

#include <stdio.h>

#define TS_NONE_NS INT64_MIN
#define NS_PER_S   INT64_C(1000000000)
#define NS_PER_DAY (86400 * NS_PER_S)

typedef struct fields {
    int year, month, day, hour, minute, second, nanos, zone_s;
    bool has_zone;
    uint8_t ampm; /* 0 none, 1 am, 2 pm */
} fields;

enum { DATE = 1, YEAR = 2, TIME = 4, ALL = DATE | YEAR | TIME };

typedef struct layout_row {
    const char *prog;
    uint8_t has;
    uint8_t group; /* rows that the same text may fit, the default first; 0 = unambiguous */
} layout_row;

/* The fast rows come first: their index is their kind - 1. */
static const layout_row LAYOUTS[] = {
    {"Y-m-dTH:MSfpz", ALL, 0},
    {"Y/m/dTH:MSfpz", ALL, 0},
    {"Y.m.dTH:MSfpz", ALL, 0},
    {"Y-m-dTH.M.Xfz", ALL, 0},   /* 2005-06-03-15.42.50.675872 */
    {"YmdTh:i:jfz", ALL, 0},     /* 20171223-22:15:29:606 */
    {"YmdTHMXfz", ALL, 0},       /* 20171223T221529Z */
    {"YmdHMXfz", ALL, 0},        /* 20171223221529 */
    {"b e H:M:Xfz Y", ALL, 0},   /* Jun 14 15:16:01 2005 */
    {"b e Y H:M:Xfz", ALL, 0},   /* Jun 14 2005 15:16:01 */
    {"b e, YCh:M:Xfpz", ALL, 0}, /* Nov 20, 2026 10:30:45 AM */
    {"b e H:M:Xfz", DATE | TIME, 0},
    {"a b e H:M:Xfz Y", ALL, 0},
    {"a b e H:M:Xfz", DATE | TIME, 0},
    {"a e b YTH:M:Xfz", ALL, 0}, /* Sun, 04 Dec 2005 04:47:44 GMT */
    {"e/b/YTH:M:Xfz", ALL, 0},   /* 10/Oct/2000:13:55:36 -0700 */
    {"e-b-YTh:M:Xfpz", ALL, 0},  /* 20-Nov-2026 10:30:45.123 */
    {"e-b-yTh:M:Xfpz", ALL, 0},
    {"e b YTH:M:Xfz", ALL, 0}, /* 20 Nov 2026 10:30:45.123 */
    {"e b H:M:Xf", DATE | TIME, 0},
    {"Y-b-eTH:M:Xfz", ALL, 0},
    /* Dates whose order must be found from the sample. */
    {"y/m/dTH:M:Xfz", ALL, 1},
    {"d/m/yTH:M:Xfz", ALL, 1},
    {"m/d/yTh:M:Xfpz", ALL, 1},
    {"n/e/YTh:MSfpz", ALL, 2},
    {"e/n/YTh:MSfpz", ALL, 2},
    {"e.n.YTh:MSfpz", ALL, 3},
    {"n.e.YTh:MSfpz", ALL, 3},
    {"e-n-YTh:MSfpz", ALL, 4},
    {"n-e-YTh:MSfpz", ALL, 4},
    {"y-m-dTH:M:Xfz", ALL, 5},
    {"d-m-yTH:M:Xfz", ALL, 5},
    {"m-d-yTH:M:Xfz", ALL, 5},
    {"d.m.yTH:M:Xfz", ALL, 6},
    {"y.m.dTH:M:Xfz", ALL, 6},
    {"ymd HMX", ALL, 7},
    {"dmy HMX", ALL, 7},
    {"mdy HMX", ALL, 7},
    {"ymd h:M:Xf", ALL, 8}, /* old MySQL: 160920  9:23:45 */
    {"dmy h:M:Xf", ALL, 8},
    {"m-d H:M:Xf", DATE | TIME, 9},
    {"d-m H:M:Xf", DATE | TIME, 9},
    {"m.d H:M:Xf", DATE | TIME, 10},
    {"d.m H:M:Xf", DATE | TIME, 10},
    {"m/d H:M:Xf", DATE | TIME, 11},
    {"d/m H:M:Xf", DATE | TIME, 11},
    {"md H:M:XF", DATE | TIME, 0}, /* klog: 0102 15:04:05.000000 */
    {"h:M:Xfpz", TIME, 0},
    {"Y-m-d", DATE | YEAR, 0},
    {"Y/m/d", DATE | YEAR, 0},
    {"Y.m.d", DATE | YEAR, 0},
};
enum { KIND_EPOCH = 200, FAST_ROWS = 3 };
_Static_assert(ARRAY_LEN(LAYOUTS) < KIND_EPOCH, "kinds are row numbers + 1");

static const uint16_t DAYS_BEFORE[13] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
static const uint8_t MONTH_DAYS[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool is_leap(int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }

int64_t ts_days_from_civil(int64_t year, unsigned month, unsigned day) {
    MUST(month >= 1 && month <= 12);
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

void ts_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day) {
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *ret_day = doy - (153 * mp + 2) / 5 + 1;
    *ret_month = mp < 10 ? mp + 3 : mp - 9;
    *ret_year = (int64_t)yoe + era * 400 + (*ret_month <= 2);
}

FL_INLINE bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }
FL_INLINE bool is_upper(char c) { return (unsigned char)(c - 'A') < 26; }
FL_INLINE bool is_alpha(char c) { return (unsigned char)((c | 32) - 'a') < 26; }

/* ---- pieces ---- */

typedef struct zone_name {
    char name[6];
    int16_t minutes;
} zone_name;

/* Names that mean two zones are read as: CST US Central, IST India, BST British Summer. */
static const zone_name ZONES[] = {
    {"UTC", 0},    {"GMT", 0},    {"Z", 0},      {"UCT", 0},    {"WET", 0},     {"WEST", 60},
    {"BST", 60},   {"CET", 60},   {"MEZ", 60},   {"CEST", 120}, {"MESZ", 120},  {"EET", 120},
    {"EEST", 180}, {"MSK", 180},  {"SAST", 120}, {"IST", 330},  {"SGT", 480},   {"HKT", 480},
    {"JST", 540},  {"KST", 540},  {"AWST", 480}, {"ACST", 570}, {"AEST", 600},  {"AEDT", 660},
    {"NZST", 720}, {"NZDT", 780}, {"EST", -300}, {"EDT", -240}, {"CST", -360},  {"CDT", -300},
    {"MST", -420}, {"MDT", -360}, {"PST", -480}, {"PDT", -420}, {"AKST", -540}, {"HST", -600},
    {"BRT", -180}, {"ART", -180},
};

static const char *zone_by_name(const char *p, const char *end, fields *f) {
    size_t n = 0;
    while (p + n < end && n < 6 && is_upper(p[n])) n++;
    if (n == 0 || n > 5 || (p + n < end && (is_alpha(p[n]) || is_digit(p[n]) || p[n] == '_')))
        return NULL;
    /* All names end in one of four letters, which no level word (INFO, WARN, ERROR) does. */
    char last = p[n - 1];
    if (last != 'T' && last != 'C' && last != 'K' && last != 'Z') return NULL;
    for (size_t i = 0; i < ARRAY_LEN(ZONES); i++) {
        if (ZONES[i].name[0] == *p && strlen(ZONES[i].name) == n &&
            memcmp(ZONES[i].name, p, n) == 0) {
            f->zone_s = ZONES[i].minutes * 60;
            f->has_zone = true;
            return p + n;
        }
    }
    return NULL;
}

/* +hh:mm, +hhmm, +hh. `wide`: minutes required, since " -12 ..." behind a space may be anything. */
static const char *zone_by_offset(const char *p, const char *end, bool wide, fields *f) {
    if (end - p < 3 || !is_digit(p[1]) || !is_digit(p[2])) return NULL;
    int sign = *p == '-' ? -1 : 1;
    int hours = (p[1] - '0') * 10 + (p[2] - '0'), minutes = 0;
    const char *q = p + 3;
    const char *m = q < end && *q == ':' ? q + 1 : q;
    if (end - m >= 2 && is_digit(m[0]) && is_digit(m[1])) {
        minutes = (m[0] - '0') * 10 + (m[1] - '0');
        q = m + 2;
    } else if (wide) {
        return NULL;
    }
    if (hours > 15 || minutes > 59 || (q < end && is_digit(*q))) return NULL;
    f->zone_s = sign * (hours * 3600 + minutes * 60);
    f->has_zone = true;
    return q;
}

/* An optional zone; returns p itself when there is none. */
static const char *read_zone(const char *p, const char *end, fields *f) {
    if (p == end) return p;
    const char *q;
    if (*p == '+' || *p == '-') {
        q = zone_by_offset(p, end, false, f);
        return q ? q : p;
    }
    if (is_upper(*p)) {
        q = zone_by_name(p, end, f);
        return q ? q : p;
    }
    if (*p != ' ' || end - p < 2) return p;
    if (p[1] == '+' || p[1] == '-') {
        q = zone_by_offset(p + 1, end, true, f);
        if (!q) return p;
        /* Go's time.String(): "+0000 UTC". The number has said it all. */
        fields ignored;
        const char *named = end - q >= 4 && *q == ' ' ? zone_by_name(q + 1, end, &ignored) : NULL;
        return named ? named : q;
    }
    if (!is_upper(p[1])) return p;
    q = zone_by_name(p + 1, end, f);
    return q ? q : p;
}

/* Fraction after the seconds: [.,] and 1..9 digits (more are read over), or ':' and a count of
 * milliseconds (up to 3 digits) or microseconds (6). Returns p when there is none. */
static const char *read_fraction(const char *p, const char *end, fields *f) {
    static const int POW10[10] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                  10000,      1000,      100,      10,      1};
    if (end - p < 2 || (*p != '.' && *p != ',' && *p != ':') || !is_digit(p[1])) return p;
    const char *q = p + 1;
    int v = 0, n = 0;
    while (q < end && is_digit(*q)) {
        if (n < 9) {
            v = v * 10 + (*q - '0');
            n++;
        }
        q++;
    }
    if (*p == ':') {
        if (n <= 3)
            f->nanos = v * 1000000;
        else if (n == 6)
            f->nanos = v * 1000;
        else
            return p;
        return q;
    }
    f->nanos = v * POW10[n];
    return q;
}

static bool word_at(const char *p, const char *end, const char *lower, size_t n) {
    if ((size_t)(end - p) < n) return false;
    for (size_t i = 0; i < n; i++) {
        if ((p[i] | 32) != lower[i]) return false;
    }
    return true;
}

static const char *read_name(const char *p, const char *end, const char *const *names, int count,
                             int *ret) {
    if (p == end || !is_alpha(*p)) return NULL;
    for (int i = 0; i < count; i++) {
        if (!word_at(p, end, names[i], 3)) continue;
        size_t n = strlen(names[i]);
        size_t used = word_at(p, end, names[i], n) ? n : 3;
        if (used == 3 && word_at(p, end, "sept", 4)) used = 4;
        p += used;
        if (p < end && is_alpha(*p)) return NULL;
        if (p < end && *p == '.' && used < n) p++; /* "Nov." */
        *ret = i;
        return p;
    }
    return NULL;
}

static const char *const MONTHS[12] = {"january",   "february", "march",    "april",
                                       "may",       "june",     "july",     "august",
                                       "september", "october",  "november", "december"};
static const char *const WEEKDAYS[7] = {"monday", "tuesday",  "wednesday", "thursday",
                                        "friday", "saturday", "sunday"};

/* Exactly two digits, or one or two when `loose`. */
static const char *read_2(const char *p, const char *end, bool loose, int *ret) {
    if (p == end || !is_digit(*p)) return NULL;
    if (end - p >= 2 && is_digit(p[1])) {
        *ret = (p[0] - '0') * 10 + (p[1] - '0');
        return p + 2;
    }
    if (!loose) return NULL;
    *ret = p[0] - '0';
    return p + 1;
}

static const char *read_ampm(const char *p, const char *end, fields *f) {
    const char *q = p;
    if (q < end && *q == ' ') q++;
    if (end - q < 2) return p;
    char c = (char)(*q | 32);
    if (c != 'a' && c != 'p') return p;
    if ((q[1] | 32) == 'm')
        q += 2;
    else if (end - q >= 4 && q[1] == '.' && (q[2] | 32) == 'm' && q[3] == '.')
        q += 4;
    else
        return p;
    if (q < end && (is_alpha(*q) || is_digit(*q))) return p;
    f->ampm = c == 'a' ? 1 : 2;
    return q;
}

/* Between date and time: T, '_', '-', ':' or one to three spaces (with a comma before). */
static const char *read_separator(const char *p, const char *end) {
    if (p == end) return NULL;
    if (*p == 'T' || *p == 't' || *p == '_' || *p == '-' || *p == ':') return p + 1;
    const char *q = *p == ',' ? p + 1 : p;
    int n = 0;
    while (q < end && (*q == ' ' || *q == '\t') && n < 3) q++, n++;
    return n ? q : NULL;
}

static const char *run(const char *prog, const char *p, const char *end, fields *f) {
    for (; *prog; prog++) {
        switch (*prog) {
        case 'Y':
            if (end - p < 4 || !is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) ||
                !is_digit(p[3]))
                return NULL;
            f->year = (p[0] - '0') * 1000 + (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
            if (f->year < 1900 || f->year > 2262) return NULL;
            p += 4;
            break;
        case 'y':
            p = read_2(p, end, false, &f->year);
            f->year += f->year >= 70 ? 1900 : 2000;
            break;
        case 'm':
            p = read_2(p, end, false, &f->month);
            break;
        case 'n':
            p = read_2(p, end, true, &f->month);
            break;
        case 'd':
            p = read_2(p, end, false, &f->day);
            break;
        case 'e':
            if (p < end && *p == ' ') p++;
            p = read_2(p, end, true, &f->day);
            break;
        case 'H':
            p = read_2(p, end, false, &f->hour);
            break;
        case 'h':
            if (p < end && *p == ' ') p++;
            p = read_2(p, end, true, &f->hour);
            break;
        case 'M':
            p = read_2(p, end, false, &f->minute);
            break;
        case 'i':
            p = read_2(p, end, true, &f->minute);
            break;
        case 'X':
            p = read_2(p, end, false, &f->second);
            break;
        case 'j':
            p = read_2(p, end, true, &f->second);
            break;
        case 'S':
            if (end - p >= 3 && *p == ':' && is_digit(p[1]))
                p = read_2(p + 1, end, false, &f->second);
            break;
        case 'b':
            p = read_name(p, end, MONTHS, 12, &f->month);
            f->month++;
            break;
        case 'a': {
            int unused;
            p = read_name(p, end, WEEKDAYS, 7, &unused);
            if (p && p < end && *p == ',') p++;
            if (p && (p == end || *p != ' ')) return NULL;
            while (p && p < end && *p == ' ') p++;
            if (prog[1] == ' ') prog++;
            break;
        }
        case 'f':
            p = read_fraction(p, end, f);
            break;
        case 'F': {
            const char *q = read_fraction(p, end, f);
            if (q == p) return NULL;
            p = q;
            break;
        }
        case 'p':
            p = read_ampm(p, end, f);
            break;
        case 'z':
            p = read_zone(p, end, f);
            break;
        case 'T':
            p = read_separator(p, end);
            break;
        case 'C':
            if (p < end && *p == ',') p++;
            /* fall through */
        case ' ':
            if (p == end || *p != ' ') return NULL;
            p++;
            /* 'e' and 'h' take one padding space themselves. */
            while (p < end && *p == ' ') p++;
            break;
        default:
            if (p == end || *p != *prog) return NULL;
            p++;
        }
        if (!p) return NULL;
    }
    return p;
}

/* Straight-line reader of "Y?m?dTH:M:S" with separator `sep`, then fraction, am/pm and zone. */
static const char *run_fast(char sep, const char *p, const char *end, fields *f) {
    if (end - p < 19) return NULL;
#define D(i) ((unsigned)(unsigned char)p[i] - '0')
    unsigned bad = 0;
    bad |= (D(0) > 9) | (D(1) > 9) | (D(2) > 9) | (D(3) > 9) | (D(5) > 9) | (D(6) > 9);
    bad |= (D(8) > 9) | (D(9) > 9) | (D(11) > 9) | (D(12) > 9) | (D(14) > 9) | (D(15) > 9);
    bad |= (D(17) > 9) | (D(18) > 9);
    bad |= (p[4] != sep) | (p[7] != sep) | (p[13] != ':') | (p[16] != ':');
    bad |= (p[10] != 'T') & (p[10] != ' ') & (p[10] != '_') & (p[10] != '-') & (p[10] != 't');
    if (bad) return NULL;
    f->year = (int)(D(0) * 1000 + D(1) * 100 + D(2) * 10 + D(3));
    f->month = (int)(D(5) * 10 + D(6));
    f->day = (int)(D(8) * 10 + D(9));
    f->hour = (int)(D(11) * 10 + D(12));
    f->minute = (int)(D(14) * 10 + D(15));
    f->second = (int)(D(17) * 10 + D(18));
    if (f->year < 1900 || f->year > 2262) return NULL;
    p += 19;
    if (p == end) return p;
    if (*p == '.' || *p == ',') {
        if (end - p > 4 && D(1) < 10 && D(2) < 10 && D(3) < 10 && D(4) > 9) {
            f->nanos = (int)(D(1) * 100 + D(2) * 10 + D(3)) * 1000000;
            p += 4;
        } else {
            p = read_fraction(p, end, f);
        }
        if (p == end) return p;
    } else if (*p == ':') {
        p = read_fraction(p, end, f);
        if (p == end) return p;
    }
#undef D
    if (*p == 'Z' && (p + 1 == end || (unsigned char)p[1] <= ' ')) {
        f->has_zone = true;
        return p + 1;
    }
    /* Everything that am/pm or a zone can begin with. */
    char c = *p == ' ' && end - p > 1 ? p[1] : *p;
    if (is_alpha(c) || c == '+' || c == '-') {
        if (is_alpha(c)) p = read_ampm(p, end, f);
        p = read_zone(p, end, f);
    }
    return p;
}

/* ---- fields to nanoseconds ---- */

static bool check_clock(fields *f) {
    if (f->ampm) {
        if (f->hour < 1 || f->hour > 12) return false;
        f->hour = f->hour % 12 + (f->ampm == 2 ? 12 : 0);
    }
    return f->hour <= 23 && f->minute <= 59 && f->second <= 60;
}

static bool check_date(const fields *f, bool year_known) {
    if (f->month < 1 || f->month > 12 || f->day < 1) return false;
    int max = MONTH_DAYS[f->month];
    if (f->month == 2 && (!year_known || is_leap(f->year))) max = 29;
    return f->day <= max;
}

static int64_t days_of(int64_t y, int month, int day) {
    int64_t p = y - 1; /* y >= 1 */
    return p * 365 + p / 4 - p / 100 + p / 400 + DAYS_BEFORE[month] + (month > 2 && is_leap(y)) +
           day - 1 - 719162;
}

/* The latest year that puts the stamp at most a day (zone errors) after the anchor. */
static int64_t year_of_yearless(const fields *f, int64_t second_of_day, int32_t zone_s,
                                int64_t anchor_ns) {
    int64_t anchor_s = anchor_ns / NS_PER_S, year;
    unsigned month, day;
    if (anchor_ns == 0) return 1970;
    ts_civil_from_days((anchor_s + zone_s) / 86400, &year, &month, &day);
    if (year < 10) return 1970;
    year++;
    for (int i = 0; i < 10; i++, year--) {
        if (f->month == 2 && f->day == 29 && !is_leap(year)) continue;
        int64_t s = days_of(year, f->month, f->day) * 86400 + second_of_day - zone_s;
        if (s <= anchor_s + 86400) return year;
    }
    return year;
}

static bool to_ns(const fields *f, uint8_t has, const ts_context *c, int64_t *ret_ns) {
    int64_t second = f->hour * 3600 + f->minute * 60 + f->second;
    int32_t zone_s = f->has_zone ? f->zone_s : c->zone_offset_s;
    int64_t days;
    if (has & YEAR) {
        days = days_of(f->year, f->month, f->day);
    } else if (has & DATE) {
        int64_t year = year_of_yearless(f, second, zone_s, c->anchor_ns);
        if (f->month == 2 && f->day == 29 && !is_leap(year)) year = 1972;
        days = days_of(year, f->month, f->day);
    } else {
        /* A time alone: the anchor's day, or the day before when that lies in the future. */
        int64_t local_s = c->anchor_ns / NS_PER_S + zone_s;
        days = local_s / 86400 - (local_s % 86400 < 0);
        if (c->anchor_ns && days * 86400 + second > local_s) days--;
    }
    int64_t s = days * 86400 + second - zone_s;
    int64_t ns;
    if (__builtin_mul_overflow(s, NS_PER_S, &ns) || __builtin_add_overflow(ns, f->nanos, &ns) ||
        ns == TS_NONE_NS)
        return false;
    *ret_ns = ns;
    return true;
}

/* ---- epoch ---- */

bool ts_from_epoch_int(int64_t v, int64_t *ret_ns) {
    enum { LO = 631152000 };                /* 1990-01-01 */
    const int64_t hi = INT64_C(7258118400); /* 2200-01-01 */
    if (v >= LO && v < hi)
        *ret_ns = v * NS_PER_S;
    else if (v >= LO * INT64_C(1000) && v < hi * 1000)
        *ret_ns = v * 1000000;
    else if (v >= LO * INT64_C(1000000) && v < hi * 1000000)
        *ret_ns = v * 1000;
    else if (v >= LO * INT64_C(1000000000) && v < hi * 1000000000)
        *ret_ns = v;
    else
        return false;
    return true;
}

bool ts_from_epoch(double v, int64_t *ret_ns) {
    double scale = 1e9;
    for (int i = 0; i < 4; i++, scale /= 1e3) {
        double lo = 631152000.0 * (1e9 / scale), hi = 7258118400.0 * (1e9 / scale);
        if (!(v >= lo && v < hi)) continue;
        double whole = (double)(int64_t)v; /* split: the product alone has 53 bits */
        *ret_ns = (int64_t)whole * (int64_t)scale + (int64_t)((v - whole) * scale + 0.5);
        return true;
    }
    return false;
}

/* Digits (any count up to 19) with an optional fraction of the unit. Exact. */
static const char *read_epoch(const char *p, const char *end, int64_t *ret_ns,
                              unsigned *ret_digits) {
    uint64_t v = 0;
    const char *q = p;
    while (q < end && is_digit(*q) && q - p < 19) v = v * 10 + (uint64_t)(*q++ - '0');
    if (q < end && is_digit(*q)) return NULL;
    *ret_digits = (unsigned)(q - p);
    int64_t ns;
    if (v > INT64_MAX || !ts_from_epoch_int((int64_t)v, &ns)) return NULL;
    if (end - q >= 2 && *q == '.' && is_digit(q[1])) {
        uint64_t unit = (uint64_t)ns / v, part = 0; /* nanoseconds of one unit: a power of 1000 */
        uint64_t weight = unit;
        for (q++; q < end && is_digit(*q); q++) {
            weight /= 10;
            part += weight * (uint64_t)(*q - '0');
        }
        ns += (int64_t)part;
    }
    *ret_ns = ns;
    return q;
}

/* ---- public ---- */

static bool ends_well(const char *p, const char *end) {
    return p == end || !(is_digit(*p) || is_alpha(*p));
}

static const char *run_row(size_t row, str s, fields *f) {
    static const char SEPS[FAST_ROWS] = {'-', '/', '.'};
    const char *end = s.p + s.n, *p = NULL;
    if (row < FAST_ROWS) p = run_fast(SEPS[row], s.p, end, f);
    if (!p) {
        *f = (fields){0};
        p = run(LAYOUTS[row].prog, s.p, end, f);
    }
    if (!p || !ends_well(p, end)) return NULL;
    uint8_t has = LAYOUTS[row].has;
    if ((has & TIME) && !check_clock(f)) return NULL;
    if ((has & DATE) && !check_date(f, has & YEAR)) return NULL;
    return p;
}

static ts_layout layout_of_row(size_t row, bool has_zone) {
    uint8_t has = LAYOUTS[row].has;
    return (ts_layout){.kind = (uint8_t)(row + 1),
                       .has_year = has & YEAR,
                       .has_date = has & DATE,
                       .has_time = has & TIME,
                       .has_zone = has_zone};
}

bool ts_detect(str s, ts_layout *ret_layout, size_t *ret_bytes) {
    if (s.n < 8 || !(is_digit(*s.p) || is_alpha(*s.p))) return false;
    for (size_t row = 0; row < ARRAY_LEN(LAYOUTS); row++) {
        char first = LAYOUTS[row].prog[0];
        if ((first == 'a' || first == 'b') != (is_alpha(*s.p) != 0)) continue;
        fields f = {0};
        const char *p = run_row(row, s, &f);
        if (!p) continue;
        *ret_layout = layout_of_row(row, f.has_zone);
        *ret_bytes = (size_t)(p - s.p);
        return true;
    }
    int64_t ns;
    unsigned digits;
    const char *p = is_digit(*s.p) ? read_epoch(s.p, s.p + s.n, &ns, &digits) : NULL;
    /* Numbers of other lengths are epoch only where someone says so (ts_parse_any). */
    if (!p || (digits != 10 && digits != 13 && digits != 16 && digits != 19) ||
        !ends_well(p, s.p + s.n) || ns > INT64_C(4102444800) * NS_PER_S)
        return false;
    *ret_layout = (ts_layout){.kind = KIND_EPOCH,
                              .sub = (uint8_t)digits,
                              .has_year = true,
                              .has_date = true,
                              .has_time = true,
                              .has_zone = true};
    *ret_bytes = (size_t)(p - s.p);
    return true;
}

bool ts_parse(str s, ts_layout layout, const ts_context *c, int64_t *ret_ns, size_t *ret_bytes) {
    if (layout.kind == KIND_EPOCH) {
        int64_t ns;
        unsigned digits;
        if (s.n == 0 || !is_digit(*s.p)) return false;
        const char *p = read_epoch(s.p, s.p + s.n, &ns, &digits);
        if (!p || digits != layout.sub || !ends_well(p, s.p + s.n)) return false;
        *ret_ns = ns;
        *ret_bytes = (size_t)(p - s.p);
        return true;
    }
    if (layout.kind == 0 || layout.kind > ARRAY_LEN(LAYOUTS)) return false;
    fields f = {0};
    const char *p = run_row((size_t)layout.kind - 1, s, &f);
    if (!p || !to_ns(&f, LAYOUTS[layout.kind - 1].has, c, ret_ns)) return false;
    *ret_bytes = (size_t)(p - s.p);
    return true;
}

typedef struct candidate {
    size_t read, back_steps;
    int64_t span_ns;
    bool future;
} candidate;

static candidate try_layout(const str *texts, size_t count, ts_layout layout, const ts_context *c) {
    candidate r = {0};
    int64_t lo = INT64_MAX, hi = INT64_MIN, prev = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        int64_t ns;
        size_t n;
        if (!ts_parse(texts[i], layout, c, &ns, &n)) continue;
        r.read++;
        r.back_steps += ns < prev;
        prev = ns;
        lo = MIN(lo, ns);
        hi = MAX(hi, ns);
    }
    if (r.read && __builtin_sub_overflow(hi, lo, &r.span_ns)) r.span_ns = INT64_MAX;
    r.future = r.read && c->anchor_ns && hi > c->anchor_ns && hi - NS_PER_DAY > c->anchor_ns;
    return r;
}

static bool better(const candidate *a, const candidate *b) {
    if (a->read != b->read) return a->read > b->read;
    if (a->back_steps != b->back_steps) return a->back_steps < b->back_steps;
    if (a->future != b->future) return b->future;
    return a->span_ns < b->span_ns;
}

bool ts_detect_column(const str *texts, size_t count, const ts_context *c, ts_layout *ret_layout) {
    /* Votes by layout; a text of another group member counts for the group through try_layout. */
    uint32_t votes[256] = {0};
    ts_layout seen[256];
    for (size_t i = 0; i < count; i++) {
        ts_layout l;
        size_t n;
        if (!ts_detect(texts[i], &l, &n)) continue;
        if (votes[l.kind]++ == 0)
            seen[l.kind] = l;
        else
            seen[l.kind].has_zone &= l.has_zone;
    }
    ts_layout best = {0};
    candidate best_score = {0};
    for (unsigned kind = 1; kind < 256; kind++) {
        if (!votes[kind]) continue;
        uint8_t group = kind <= ARRAY_LEN(LAYOUTS) ? LAYOUTS[kind - 1].group : 0;
        for (size_t row = 0; row < ARRAY_LEN(LAYOUTS); row++) {
            bool same = group ? LAYOUTS[row].group == group : row + 1 == kind;
            if (!same && !(kind == KIND_EPOCH && row == 0)) continue;
            ts_layout l = row + 1 == kind || kind == KIND_EPOCH
                              ? seen[kind]
                              : layout_of_row(row, seen[kind].has_zone);
            candidate score = try_layout(texts, count, l, c);
            if (best.kind == 0 || better(&score, &best_score)) {
                best = l;
                best_score = score;
            }
        }
    }
    if (best.kind == 0 || best_score.read * 2 < count) return false;
    *ret_layout = best;
    return true;
}

bool ts_parse_any(str s, const ts_context *c, int64_t *ret_ns) {
    s = str_trim(s);
    if (s.n >= 2 &&
        ((s.p[0] == '"' && s.p[s.n - 1] == '"') || (s.p[0] == '[' && s.p[s.n - 1] == ']')))
        s = str_trim(str_sub(s, 1, s.n - 2));
    if (s.n == 0) return false;
    ts_layout layout;
    size_t n;
    int64_t ns;
    if (ts_detect(s, &layout, &n) && n == s.n && ts_parse(s, layout, c, &ns, &n)) {
        *ret_ns = ns;
        return true;
    }
    if (!is_digit(*s.p)) return false;
    unsigned digits;
    const char *end = read_epoch(s.p, s.p + s.n, &ns, &digits);
    if (end == s.p + s.n) {
        *ret_ns = ns;
        return true;
    }
    /* 1.7e12 and the like, as JSON writers of doubles print it. */
    if (str_find_char(s, 'e', 0) == STR_NPOS && str_find_char(s, 'E', 0) == STR_NPOS) return false;
    double v;
    if (!num_double(s, &v)) return false;
    return ts_from_epoch(v, ret_ns);
}

size_t ts_format(int64_t ns, char out[TS_TEXT_BYTES]) {
    if (ns == TS_NONE_NS) {
        memcpy(out, "-", 2);
        return 1;
    }
    int64_t ms = ns / 1000000 - (ns % 1000000 < 0);
    int64_t days = ms / 86400000 - (ms % 86400000 < 0), rest = ms - days * 86400000, year;
    unsigned month, day;
    ts_civil_from_days(days, &year, &month, &day);
    int n = snprintf(out, TS_TEXT_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", (int)year, month,
                     day, (unsigned)(rest / 3600000), (unsigned)(rest / 60000 % 60),
                     (unsigned)(rest / 1000 % 60), (unsigned)(rest % 1000));
    MUST(n > 0 && n < TS_TEXT_BYTES);
    return (size_t)n;
}
