/* fuzz_otlp_pb - OTLP requests in protobuf; the first byte picks the signal. Oracles: what was
 * decoded, encoded and decoded again encodes to the same bytes; the same through JSON; nothing is
 * lost on the way (the count of records). */
#include "codec/json.h"
#include "codec/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, OUT_MAX = 64 << 20 };

/* Decodes a copy, as a receiver does, so that reads outside are seen. */
static telemetry *decode(otlp_signal signal, otlp_encoding enc, str in, rc *ret) {
    telemetry *t = telemetry_new();
    err e = {0};
    *ret = otlp_decode(signal, enc, in, t, &e);
    MUST(*ret == RC_OK || e.msg[0]);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > INPUT_MAX) return 0;
    otlp_signal signal = data[0] % OTLP_SIGNALS;
    rc code;
    telemetry *first =
        decode(signal, OTLP_PROTOBUF, (str){(const char *)data + 1, size - 1}, &code);
    if (code != RC_OK) {
        MUST(code == RC_INVALID || code == RC_LIMIT);
        telemetry_free(first);
        return 0;
    }
    buf once, twice, json;
    buf_init(&once, OUT_MAX);
    buf_init(&twice, OUT_MAX);
    buf_init(&json, OUT_MAX);
    MUST(otlp_encode(signal, OTLP_PROTOBUF, first, &once));
    telemetry *second = decode(signal, OTLP_PROTOBUF, buf_str(&once), &code);
    MUST(code == RC_OK && second->rejected == 0);
    MUST(telemetry_count(first) == telemetry_count(second));
    MUST(otlp_encode(signal, OTLP_PROTOBUF, second, &twice));
    MUST(str_eq(buf_str(&once), buf_str(&twice)));

    if (once.n > 0) {
        MUST(otlp_encode(signal, OTLP_JSON, second, &json));
        MUST(json_validate(buf_str(&json), NULL) == RC_OK);
        telemetry *third = decode(signal, OTLP_JSON, buf_str(&json), &code);
        MUST(code == RC_OK && third->rejected == 0);
        /* Lists keep the bytes they came with, which JSON brings into one form: compared as JSON.
         */
        buf_reset(&twice);
        MUST(otlp_encode(signal, OTLP_JSON, third, &twice));
        MUST(str_eq(buf_str(&json), buf_str(&twice)));
        telemetry_free(third);
    }
    telemetry_free(first);
    telemetry_free(second);
    buf_release(&once);
    buf_release(&twice);
    buf_release(&json);
    return 0;
}
