/* logformat_int.h - what a detected format is; shared by detection (logdetect.c) and parsing
 * (logformat.c). */
#ifndef FL_CODEC_LOGFORMAT_INT_H
#define FL_CODEC_LOGFORMAT_INT_H

#include "codec/header_int.h"
#include "codec/linefmt_int.h"

typedef enum format_kind {
    FORMAT_PLAIN = 0, /* lines, joined by the shape of stack traces */
    FORMAT_CONTENT,   /* lines, one record each */
    FORMAT_HEADER,    /* text header; what has none continues the record before */
    FORMAT_LINES,     /* one of the line formats */
    FORMAT_RECORDS    /* a format that finds its own record ends */
} format_kind;

/* One way to read a line. */
typedef struct line_reader {
    format_kind kind; /* PLAIN: absent; HEADER or LINES */
    const line_fmt *fmt;
    header hdr;
} line_reader;

enum { FORMAT_MAGIC = 0x4c466d74, DESCRIBE_BYTES = 240, INNER_HEADERS_MAX = 4 };

struct log_format {
    uint32_t magic;
    format_kind kind;
    line_reader first, second; /* second: for lines the first does not read; kind PLAIN = none */
    /* Headers of the messages inside container or JSON lines: a file may mix services. */
    header inner[INNER_HEADERS_MAX];
    unsigned inner_count;
    bool inner_stamped;     /* one service, whose messages have a time: what has none continues */
    bool structured_bodies; /* messages behind a text header may be JSON or logfmt */
    const record_fmt *records;
    ts_context ts;
    uint32_t max_line_bytes;
    size_t describe_bytes;
    char describe[DESCRIBE_BYTES];
};

/* Does this reader take the line as the start of a record? */
bool line_reader_starts(const line_reader *r, const log_format *f, str prev, str line);
/* Hooks for messages inside container and JSON lines. */
void log_format_hooks(const log_format *f, line_ctx *c);

/* textfmt.c */
extern const line_fmt line_fmt_access;      /* "access": common, combined and their relatives */
extern const line_fmt line_fmt_syslog_5424; /* "syslog-5424" */

#endif
