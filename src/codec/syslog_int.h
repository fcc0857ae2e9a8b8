/* syslog_int.h - pieces of RFC 5424 that log files (textfmt.c) and the wire (syslog.c) share. */
#ifndef FL_CODEC_SYSLOG_INT_H
#define FL_CODEC_SYSLOG_INT_H

#include "base/arena.h"
#include "base/str.h"

/* "<PRI>" at *at, which moves behind it. False when it is not there or above 191. */
bool syslog_take_pri(str line, size_t *at, unsigned *ret_pri);

/* Walks structured data, one parameter a call. */
typedef struct syslog_sd {
    str text;
    size_t at;
    str id; /* of the element being read */
    bool inside;
} syslog_sd;

typedef enum syslog_sd_step { SD_PARAM, SD_END, SD_DAMAGED } syslog_sd_step;
/* s: text and at set by the caller, at the first '['. SD_END: s->at is behind the last ']'. The
 * value is unescaped, in `mem` where it had escapes (not when mem is full). */
syslog_sd_step syslog_sd_next(syslog_sd *s, arena *mem, str *ret_name, str *ret_value);

#endif
