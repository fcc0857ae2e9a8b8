/* fuzz_otlp_json - OTLP requests in JSON; the first byte picks the signal. Oracles: what is no
 * valid JSON text in UTF-8 is refused; what is taken encodes to JSON that is taken again and is
 * then equal. */
#include "codec/json.h"
#include "codec/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, OUT_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > INPUT_MAX) return 0;
    otlp_signal signal = data[0] % OTLP_SIGNALS;
    str in = {(const char *)data + 1, size - 1};
    telemetry *t = telemetry_new();
    err e = {0};
    rc code = otlp_decode(signal, OTLP_JSON, in, t, &e);
    MUST(code == RC_OK || code == RC_INVALID || code == RC_LIMIT);
    MUST(code == RC_OK || e.msg[0]);
    if (json_validate(in, NULL) != RC_OK) MUST(code != RC_OK);
    buf once, twice;
    buf_init(&once, OUT_MAX);
    buf_init(&twice, OUT_MAX);
    if (code == RC_OK && telemetry_count(t) > 0) {
        MUST(otlp_encode(signal, OTLP_JSON, t, &once));
        telemetry *again = telemetry_new();
        MUST(otlp_decode(signal, OTLP_JSON, buf_str(&once), again, &e) == RC_OK);
        MUST(again->rejected == 0 && telemetry_count(again) == telemetry_count(t));
        MUST(otlp_encode(signal, OTLP_JSON, again, &twice));
        MUST(str_eq(buf_str(&once), buf_str(&twice)));
        telemetry_free(again);
    }
    telemetry_free(t);
    buf_release(&once);
    buf_release(&twice);
    return 0;
}
