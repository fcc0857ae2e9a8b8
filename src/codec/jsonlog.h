/* jsonlog.h - one line of JSON to one log record, whichever library wrote it.
 *
 * Known by their field names (fields.c): Elastic Common Schema, GELF, pino, bunyan, zap, logrus,
 * slog, logback and Log4j 2 encoders, Serilog (compact and plain), NLog, .NET console, Monolog,
 * python-json-logger, structlog, hclog, Rust tracing, MongoDB, klog and logr JSON, Google Cloud
 * LogEntry, CloudWatch, Fluent Bit's Kubernetes envelope, journalctl -o json. OTLP/JSON and
 * Docker's json-file have parsers of their own (otlp_json.h, container.h).
 *
 * Leniency towards real files: control characters inside strings, several objects on a line, the
 * comma or bracket of an array printed one element a line. A line cut off in the middle keeps the
 * fields before the cut (stats->unparsed_lines counts it). */
#ifndef FL_CODEC_JSONLOG_H
#define FL_CODEC_JSONLOG_H

#include "codec/linefmt_int.h"

enum { JSONLOG_OBJECTS_MAX = 1000 }; /* on one line */

/* Adds a record for each object of the line. Results as line_fmt.parse. */
MUST_CHECK rc jsonlog_parse(line_ctx *c, str line, err *e);
bool jsonlog_looks_like(str line);
unsigned jsonlog_score(str line);

#endif
