/* rpc_status.h - google.rpc.Status, in which OTLP and gRPC tell failures, in protobuf and JSON. */
#ifndef FL_CODEC_RPC_STATUS_H
#define FL_CODEC_RPC_STATUS_H

#include "base/buf.h"

/* retry_delay_ns >= 0 adds RetryInfo; bad_request adds a BadRequest detail with the message. */
void rpc_put_status(bool json, int grpc_code, str message, int64_t retry_delay_ns, bool bad_request,
                    buf *out);
/* The text as a protobuf string: at most 4 KiB, invalid UTF-8 as U+FFFD. Borrows message or room.
 */
str rpc_clean_text(str message, buf *room);

#endif
