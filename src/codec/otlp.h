/* otlp.h - OTLP requests to telemetry and back: the hot decoder of the engine.
 *
 * Decoding borrows from `body` (which must live as long as the telemetry: set t->body) and fills
 * the batches of `t`. Both encodings, all signals. What the specification asks of a receiver:
 * unknown fields and oneof members are skipped, open enums keep their number, JSON names are
 * lowerCamelCase only, ids hex of either case, 64-bit integers as strings or numbers, other bytes
 * base64 or base64url with or without padding, NaN and Infinity as strings, null = default.
 * A record that can't be kept (trace or span id of a wrong length, a metric point of an unknown
 * kind) is counted in t->rejected with a reason; the others stay. What is no OTLP at all (broken
 * wire format, not an object, a number its field can't hold, text that is no UTF-8) is RC_INVALID
 * with offset and field path in the message and `t` is to be freed; so is nesting deeper than
 * OTLP_DEPTH_MAX values (JSON: JSON_DEPTH_MAX levels). RC_LIMIT: arena, records.
 * Metrics without data and empty envelopes are no records.
 *
 * Source: opentelemetry-proto 1.11; OTLP specification 1.11; protobuf encoding guide. */
#ifndef FL_CODEC_OTLP_H
#define FL_CODEC_OTLP_H

#include "base/buf.h"
#include "model/telemetry.h"

typedef enum otlp_signal {
    OTLP_LOGS = 0,
    OTLP_TRACES,
    OTLP_METRICS,
    OTLP_PROFILES,
    OTLP_SIGNALS
} otlp_signal;
typedef enum otlp_encoding { OTLP_PROTOBUF = 0, OTLP_JSON } otlp_encoding;

enum { OTLP_DEPTH_MAX = 64, OTLP_RECORDS_MAX = 4 << 20 };

/* t->body is NULL or body.p. JSON is rewritten as protobuf, from which the records then borrow:
 * t->body becomes that text, and a JSON text that was there is freed. */
MUST_CHECK rc otlp_decode(otlp_signal signal, otlp_encoding enc, str body, telemetry *t, err *e);

/* The Export...ServiceResponse: empty for a full success, else partial_success (rejected may be 0:
 * a warning). */
void otlp_put_response(otlp_signal signal, otlp_encoding enc, uint64_t rejected, str message,
                       buf *out);
/* google.rpc.Status. retry_delay_ns >= 0 adds RetryInfo; bad_request adds a BadRequest detail with
 * the message. */
void otlp_put_status(otlp_encoding enc, int grpc_code, str message, int64_t retry_delay_ns,
                     bool bad_request, buf *out);

/* Encoding: one request (Export...ServiceRequest = ...Data) with everything of that signal in `t`,
 * grouped by resource and scope in order of first sight. False when `out` is full. */
MUST_CHECK bool otlp_encode(otlp_signal signal, otlp_encoding enc, const telemetry *t, buf *out);

/* Text of any value: strings as they are, numbers shortest, booleans true/false, bytes base64,
 * lists and maps as plain JSON ([1,"a"], {"k":1}). */
MUST_CHECK bool attribute_put_text(const attribute *a, buf *out);
/* The same in an arena; strings are not copied. STR_NONE when the arena is full. */
str attribute_text(const attribute *a, arena *out);
/* Fills trace_id and span_id (hex, lower case) from the binary ones. False when the arena is full.
 */
MUST_CHECK bool log_record_hex_ids(log_record *r, arena *out);
/* hex <-> bytes; false on a wrong length or digit. */
bool hex_to_bytes(str hex, uint8_t *to, size_t to_bytes);
void bytes_to_hex(const uint8_t *p, size_t n, char *to);

/* Resources and scopes of one batch, equal ones once. */
void resource_finish(resource *r); /* service, host, hash from the attributes */
void scope_finish(scope *s);

#endif
