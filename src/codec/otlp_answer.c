/* otlp_answer.c - what a receiver of OTLP answers, in the encoding of the request. Source: OTLP
 * specification 1.11, "Failures", "Partial Success". */
#include "codec/otlp_int.h"
#include "codec/rpc_status.h"

enum { ANSWER_BYTES_MAX = 64 << 10 };

void otlp_put_response(otlp_signal signal, otlp_encoding enc, uint64_t rejected, str message,
                       buf *out) {
    static const otlp_message RESPONSES[OTLP_SIGNALS] = {M_LOGS_RESPONSE, M_TRACES_RESPONSE,
                                                         M_METRICS_RESPONSE, M_PROFILES_RESPONSE};
    MUST((unsigned)signal < OTLP_SIGNALS);
    buf room, pb;
    buf_init(&room, ANSWER_BYTES_MAX);
    buf_init(&pb, ANSWER_BYTES_MAX);
    if (rejected || message.n) {
        size_t partial = pb_begin(&pb, 1);
        pb_put_varint_set(&pb, 1, rejected);
        pb_put_bytes_set(&pb, 2, rpc_clean_text(message, &room));
        pb_end(&pb, partial);
    }
    if (enc == OTLP_PROTOBUF) {
        IGNORE(!buf_put(out, buf_str(&pb))); /* out->full tells */
    } else {
        IGNORE(!otlp_to_json(RESPONSES[signal], pb.n ? buf_str(&pb) : S(""), out));
    }
    buf_release(&room);
    buf_release(&pb);
}

void otlp_put_status(otlp_encoding enc, int grpc_code, str message, int64_t retry_delay_ns,
                     bool bad_request, buf *out) {
    rpc_put_status(enc == OTLP_JSON, grpc_code, message, retry_delay_ns, bad_request, out);
}
