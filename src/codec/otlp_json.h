/* otlp_json.h - logs in OTLP/JSON: an ExportLogsServiceRequest, as the OpenTelemetry Collector's
 * file exporter writes one a line. (A receiver of requests uses otlp.h.)
 *
 * The JSON mapping of the OTLP specification: lowerCamelCase names only (others are unknown fields
 * and skipped), 64-bit integers as strings or numbers, ids as hex of either case, enums as numbers
 * (names are accepted too), null = default. Members may come in any order.
 *
 * Each LogRecord becomes one log_record whose raw and ref are its own part of the line:
 *   ts         timeUnixNano; when 0, the time in the body if it has one, else observedTimeUnixNano
 *   severity   severityNumber, else severityText, else what the body says
 *   service    resource attribute service.name        host       host.name
 *   component  scope name                             ids        traceId, spanId (lower case)
 *   body       a string; of a structured body the message in it, else its text as plain JSON
 *   attrs      the record's, then the resource's; values that are lists as plain JSON
 * Arrays of resourceSpans or resourceMetrics in the same request are skipped. */
#ifndef FL_CODEC_OTLP_JSON_H
#define FL_CODEC_OTLP_JSON_H

#include "codec/linefmt_int.h"

/* RC_INVALID: not JSON, or a value its field cannot hold; the batch is as before. A text that ends
 * early keeps the records before its end (stats->unparsed_lines counts it). RC_LIMIT: arena. */
MUST_CHECK rc otlp_json_logs(line_ctx *c, str line, err *e);
bool otlp_json_looks_like(str line);

#endif
