/* logformat.h - log text to records. Pure: bytes in, records out, no I/O.
 *
 * A format is found by looking at a sample of the input (log_format_detect), is immutable
 * afterwards and may be used by several threads at once. Parsing works on pieces of an input that
 * begin at a record boundary:
 *
 *     log_format_detect(sample, &opts, &fmt, e)        look at the first 256 KB or so
 *     n = log_format_boundary(fmt, chunk)              bytes of `chunk` that hold whole records;
 *                                                      the rest joins the next chunk
 *     log_format_parse(fmt, chunk, ..., batch, stats)  appends the records of `chunk`
 *
 * Formats known: JSON lines (OTLP/JSON of the Collector's file exporter, Docker json-file, CRI,
 * ECS, GELF, pino, bunyan, zap, logrus, logback), logfmt, docker compose and kubectl --prefix
 * output, syslog RFC 3164 and RFC 5424, common and combined access logs, nginx error, klog,
 * Java/Python/Go/.NET headers, journald export, and headers learned from the columns of the first
 * lines. A file may mix two; what no format reads continues the record before it or is kept as
 * text. Multi-line records have attributes exception.type and exception.message when they hold a
 * stack trace. */
#ifndef FL_CODEC_LOGFORMAT_H
#define FL_CODEC_LOGFORMAT_H

#include "base/err.h"
#include "model/log.h"

typedef struct log_format log_format;

typedef struct log_format_opts {
    str name;              /* "" or "auto": look; else a name of log_format_names */
    int32_t zone_offset_s; /* zone of stamps that state none; default 0 = UTC */
    int64_t now_ns; /* for stamps without a year, and future guards; 0 = take the newest that does
                       not lie in the future of the file time */
    int64_t
        file_time_ns; /* modification time of the input, 0 unknown: anchors stamps without a year */
    bool content_only; /* lines are messages without header: body = line, nothing is parsed off */
    uint32_t max_line_bytes; /* longer lines are cut (the body), counted; 0 = LOG_LINE_MAX */
} log_format_opts;

enum { LOG_LINE_MAX = 1 << 20, LOG_SAMPLE_BYTES = 256 << 10, LOG_RECORD_LINES_MAX = 1000 };

/* What parsing met; added up by the caller (fields as in input_info). */
typedef struct log_parse_stats {
    uint64_t lines, records, records_without_time, multi_line_records;
    uint64_t invalid_utf8_lines, nul_lines, cut_lines, out_of_order;
    uint64_t
        unparsed_lines; /* did not fit the format: kept as records whose body is the whole line */
    int64_t first_ns, last_ns; /* TS_NONE when nothing had a time */
} log_parse_stats;

/* Returns owned (log_format_free). An empty sample gives the plain format. Unknown `name`:
 * RC_INVALID, the message lists the names. RC_UNSUPPORTED: the sample is binary. */
MUST_CHECK rc log_format_detect(str sample, const log_format_opts *opts, log_format **ret, err *e);
void log_format_free(log_format *f);
/* How a person would name it: "json (docker)", "syslog-3164", "learned: <ts> <level> [<word>]
 * <word>:" ... */
str log_format_describe(const log_format *f);
/* NULL-terminated list of the names `opts.name` takes. */
const char *const *log_format_names(void);
/* Bytes of `chunk` up to the start of its last record (0 when it holds no complete record: read
 * more, or parse it all at the end of input). `chunk` begins at a record boundary. Never 0 for more
 * than about 2 * LOG_RECORD_LINES_MAX complete lines. */
size_t log_format_boundary(const log_format *f, str chunk);
/* Parses as many records of `chunk` as fit the batch (BATCH_RECORDS, its arena). Records borrow
 * from `chunk`, or from batch->mem where unescaped. base_offset/base_line: position of chunk[0] in
 * the input. *ret_used: bytes consumed (all, unless the batch filled). */
MUST_CHECK rc log_format_parse(const log_format *f, str chunk, uint64_t base_offset,
                               uint64_t base_line, log_batch *b, log_parse_stats *stats,
                               size_t *ret_used, err *e);

#endif
