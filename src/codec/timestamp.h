/* timestamp.h - timestamps in the forms people really have, to UTC nanoseconds.
 *
 * Two steps, for speed: ts_detect finds which layout a text has (once per file or column), ts_parse
 * reads that layout (tens of nanoseconds). ts_parse_any tries all. Zones: Z, +hh:mm, +hhmm, +hh,
 * names UTC GMT and the usual three- and four-letter ones (table in timestamp.c).
 *
 * Ambiguous dates: one text alone is read by the stated default (two-digit groups with '/':
 * yy/mm/dd; with a four-digit year behind: '/' mm/dd/yyyy, '.' and '-' dd.mm.yyyy; without year
 * mm-dd; six digits: yymmdd) unless a value is out of range there. ts_detect_column looks at a
 * whole sample: first the order that reads most texts, then the one with fewest steps back in time,
 * then the one that covers the shortest span, then the default. */
#ifndef FL_CODEC_TIMESTAMP_H
#define FL_CODEC_TIMESTAMP_H

#include "base/err.h"
#include "base/str.h"

typedef struct ts_layout {
    uint8_t kind; /* internal; 0 = none */
    uint8_t sub;
    bool has_year, has_date, has_zone;
    bool has_time; /* false: a date alone */
} ts_layout;

typedef struct ts_context {
    int32_t zone_offset_s; /* of stamps that state no zone */
    int64_t anchor_ns; /* newest plausible time (file time or now); picks the year or date where the
                          text has none: the latest that is at most a day after it. 0: year 1970 */
} ts_context;

/* Is there a timestamp at the start of s? On success its layout and length (bytes). */
bool ts_detect(str s, ts_layout *ret_layout, size_t *ret_bytes);
/* The layout of a column: texts[i] begins with a stamp (some may not). Texts in input order. False
 * when fewer than half of them have one layout in common. */
bool ts_detect_column(const str *texts, size_t count, const ts_context *c, ts_layout *ret_layout);
/* Reads a timestamp of that layout at the start of s. False when it is not there (a continuation
 * line, say). */
bool ts_parse(str s, ts_layout layout, const ts_context *c, int64_t *ret_ns, size_t *ret_bytes);
/* The whole of s, any layout (JSON fields): ISO 8601, epoch s/ms/us/ns as integer or fraction, and
 * the rest. Surrounding white space, quotes and brackets are ignored. */
bool ts_parse_any(str s, const ts_context *c, int64_t *ret_ns);
/* A number as epoch seconds, milli-, micro- or nanoseconds, by its size (plausible years
 * 1990..2200). */
bool ts_from_epoch(double v, int64_t *ret_ns);
bool ts_from_epoch_int(int64_t v, int64_t *ret_ns);
/* Civil date to days since 1970-01-01 and back (proleptic Gregorian). */
int64_t ts_days_from_civil(int64_t year, unsigned month, unsigned day);
void ts_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

enum { TS_TEXT_BYTES = 40 };
/* RFC 3339 in UTC, milliseconds ("2026-11-20T10:30:45.123Z"), NUL-terminated; "-" for TS_NONE.
 * Returns length. */
size_t ts_format(int64_t ns, char out[TS_TEXT_BYTES]);

#endif
