/* severity.h - OpenTelemetry severity numbers (Logs Data Model, "Field: SeverityNumber") and the
 * words people write for them. */
#ifndef FL_MODEL_SEVERITY_H
#define FL_MODEL_SEVERITY_H

#include "base/str.h"

typedef enum severity {
    SEV_NONE = 0, /* not stated */
    SEV_TRACE = 1,
    SEV_DEBUG = 5,
    SEV_INFO = 9,
    SEV_INFO2 = 10, /* "notice" */
    SEV_WARN = 13,
    SEV_ERROR = 17,
    SEV_ERROR2 = 18, /* "critical" */
    SEV_ERROR3 = 19, /* "alert" */
    SEV_FATAL = 21,
    SEV_MAX = 24
} severity;

/* A level word in any case ("WARN", "warning", "E", "err", "crit", "SEVERE", "Information", "fatal"
 * ...). SEV_NONE when the word is none. Single letters count only when `letters` is set. */
severity severity_from_word(str word, bool letters);
/* Syslog severity 0..7 (RFC 5424 section 6.2.1). */
severity severity_from_syslog(unsigned code);
/* pino/bunyan numbers: 10 trace .. 60 fatal, numbers between belong to the level below. (Python's
 * numbers are another scale, 10 debug .. 50 critical: its loggers write the words.) */
severity severity_from_pino(unsigned level);
/* "TRACE".."FATAL" with the number's suffix ("ERROR2"); "" for SEV_NONE. */
str severity_text(severity s);
static inline bool severity_is_error(severity s) { return s >= SEV_ERROR; }

#endif
