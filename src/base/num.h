/* num.h - numbers from and to text, without locale. The whole text must be the number. */
#ifndef FL_BASE_NUM_H
#define FL_BASE_NUM_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

bool num_u64(str s, uint64_t *ret);  /* decimal digits only; false on overflow */
bool num_i64(str s, int64_t *ret);   /* optional sign */
bool num_hex(str s, uint64_t *ret);  /* optional 0x */
bool num_double(str s, double *ret); /* JSON number grammar plus leading '+' and '.'; no NaN */
/* "90s", "15m", "2h", "7d", "1h30m", "250ms", "10us", "5ns", "1.5h": nanoseconds. */
bool num_duration(str s, int64_t *ret_ns);
/* "512", "64k", "10MB", "2GiB": bytes (1024-based). */
bool num_bytes(str s, uint64_t *ret_bytes);
/* For people: "1.2 s", "3m 20s"; "12.3 MB"; "1,234,567". */
str num_duration_text(arena *out, int64_t ns);
str num_bytes_text(arena *out, uint64_t bytes);
str num_count_text(arena *out, uint64_t n);

#endif
