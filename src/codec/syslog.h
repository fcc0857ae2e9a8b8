/* syslog.h - one syslog message as it came over a wire (RFC 5424, RFC 3164 and what is sent in
 * their name) to a log record, and back to the same bytes.
 *
 *     r = log_batch_add(b);
 *     syslog_decode(msg, &ts, &b->mem, r)        host and service are left in r->host, r->service
 *     syslog_put_original(r, &buf)               msg again
 *
 * Every message gives a record: what can't be read stays in the body. Attributes (OpenTelemetry's
 * mapping of syslog): syslog.facility (number), process.pid, syslog.msgid, each parameter of the
 * structured data as syslog.<id>.<name>. What the fields do not tell about the bytes (digits and
 * zone of the stamp, byte-order mark, a final newline) is a short text in syslog.form, the same for
 * all messages of a sender. When the message can't be made again from its record (an odd header,
 * bytes that are no UTF-8) the whole of it is kept as log.record.original. */
#ifndef FL_CODEC_SYSLOG_H
#define FL_CODEC_SYSLOG_H

#include "base/buf.h"
#include "codec/timestamp.h"
#include "model/log.h"

/* r: fresh (zeroed, no time). The record borrows from msg or `mem`. ts: zone of stamps without one,
 * anchor of those without a year. RC_LIMIT: mem is full, r is as before. */
MUST_CHECK rc syslog_decode(str msg, const ts_context *ts, arena *mem, log_record *r);
/* The bytes of the message. False when `out` is full, or the record is none of syslog_decode's. The
 * host and service are r->host and r->service. */
MUST_CHECK bool syslog_put_original(const log_record *r, buf *out);

/* Cuts a stream of messages (RFC 6587): "LEN <PRI>..." is octet counting, everything else ends at a
 * newline; each message may be framed in its own way. A count that can't be right (what follows
 * begins no message) is not believed: the message then ends at its newline. Line ends and NULs
 * between messages are passed over. */
typedef struct syslog_frame {
    str msg;       /* without framing; at most max_bytes */
    size_t used;   /* bytes of the stream up to the next frame, also when there is no message yet */
    uint64_t skip; /* bytes behind `used` that belong to a cut message and are to be dropped */
    bool skip_line; /* drop up to and with the next newline instead */
    bool cut, lied; /* longer than max_bytes; a wrong count was met */
} syslog_frame;
/* False: more bytes are needed (ret->used of them are done with). eof: there are no more; false
 * then means that the stream is used up. */
bool syslog_frame_next(str stream, bool eof, size_t max_bytes, syslog_frame *ret);

#endif
