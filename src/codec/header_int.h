/* header_int.h - the header of a text line as a short program of cells (timestamp, level, bracket,
 * component ...), learned from sample lines (header_learn.c) and run on every line (header.c). */
#ifndef FL_CODEC_HEADER_INT_H
#define FL_CODEC_HEADER_INT_H

#include "codec/timestamp.h"
#include "model/log.h"

enum { HEADER_STEPS_MAX = 24, HEADER_LINES_MAX = 2000, HEADER_BYTES_MAX = 1024 };

typedef enum header_op {
    H_TS = 1,  /* a timestamp of step.ts */
    H_LIT,     /* the text step.lit */
    H_PRI,     /* <34>: syslog facility and severity */
    H_LEVEL,   /* a level word */
    H_LETTER,  /* a level letter that stands alone: D, or glued to the stamp behind it: E0102 */
    H_MARK,    /* a level sign: . - * # (Redis) */
    H_BRACKET, /* anything between step.open and step.close, balanced */
    H_INT,     /* digits */
    H_TAG,     /* component[pid]: or file.go:12: or "component  :" */
    H_UNTIL,   /* text up to step.lit */
    H_WORD     /* up to the next blank or separator */
} header_op;

typedef enum header_role {
    COL_NONE = 0,
    COL_LEVEL,
    COL_PID,
    COL_TID,
    COL_THREAD,
    COL_COMPONENT,
    COL_HOST,
    COL_SERVICE,
    COL_TRACE /* [service,trace,span] or [trace_id=.. span_id=..] */
} header_role;

typedef struct header_step {
    uint8_t op, role;
    bool strong;      /* learning: this column proves that the header reaches here */
    bool glued;       /* H_LETTER: the stamp follows at once */
    char open, close; /* H_BRACKET; H_WORD: close ends the word when not 0 */
    uint8_t lit_n;
    char lit[9];
    ts_layout ts;
} header_step;

typedef struct header {
    header_step step[HEADER_STEPS_MAX];
    uint8_t count;
    uint8_t need;    /* a line that fails one of the first `need` steps starts no record */
    uint8_t main_ts; /* index of the stamp that is the record's time; count when there is none */
    bool indented;   /* records may begin with blanks */
    bool syslog;     /* host and tag behind the stamp: the tag names the service */
    char stops[4];   /* further characters that end an H_WORD ("|") */
    double share;    /* learning: share of the candidate lines that start a record */
} header;

/* What a step found. */
typedef struct header_cell {
    str text;
    str pid; /* H_TAG */
    severity sev;
    int64_t ts_ns; /* H_TS */
} header_cell;

/* Runs one step at p: where it ends, or NULL. Blanks and terminal colour codes before it are
 * skipped. */
const char *header_step_match(const header *h, const header_step *s, const ts_context *c,
                              const char *p, const char *end, header_cell *ret);
/* Skips blanks and terminal colour codes. */
const char *header_skip_blank(const char *p, const char *end);
/* The literal of an H_UNTIL separates columns wherever it stands: '|' or a tab. */
bool header_is_bar(const header_step *s);
bool header_starts(const header *h, const ts_context *c, str line);
/* Fills time, severity, component, host, service, body and attributes (from `mem`; NULL: none) of
 * *r. Returns how many columns were found; 0, and *r untouched, when the line starts no record. */
unsigned header_parse(const header *h, const ts_context *c, str line, arena *mem, log_record *r);

/* The contents of a COL_TRACE bracket; false when they are none. Parts left empty are empty. */
bool header_trace_cell(str t, str *ret_service, str *ret_trace, str *ret_span);

/* Learns the header that the lines (of one sample, in order) have in common. False when there is
 * none. */
bool header_learn(const str *lines, size_t count, const ts_context *c, header *ret);
/* "<ts> <level> [<thread>] <component>:", or a family name where the columns say it ("klog"). */
void header_describe(const header *h, char *out, size_t cap);

#endif
