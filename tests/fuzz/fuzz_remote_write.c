/* fuzz_remote_write - remote write requests. The first byte says whether the rest is packed already
 * (damage to snappy) or a plain WriteRequest, which is packed here. Oracles: no read outside,
 * points refer to their metric, and every byte they refer to can be read. */
#include <snappy-c.h>

#include "base/mem.h"
#include "codec/otlp.h"
#include "codec/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, LIMIT = 1 << 22, OUT_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > INPUT_MAX) return 0;
    str in = {(const char *)data + 1, size - 1};
    size_t n = snappy_max_compressed_length(in.n);
    char *packed = mem_alloc(n + 1);
    if (data[0] & 1) {
        MUST(snappy_compress(in.p, in.n, packed, &n) == SNAPPY_OK);
        in = (str){packed, n};
    }
    telemetry *t = telemetry_new();
    err e = {0};
    rc code = remote_write_decode(in, LIMIT, t, &e);
    MUST(code == RC_OK || code == RC_INVALID || code == RC_LIMIT);
    MUST(code == RC_OK || e.msg[0]);
    if (code == RC_OK) {
        for (size_t i = 0; i < t->metrics.count; i++) {
            MUST(t->metrics.rec[i].metric < t->metrics.info_count);
        }
        /* Encoding reads everything; it must be taken again whole. */
        buf out;
        buf_init(&out, OUT_MAX);
        MUST(otlp_encode(OTLP_METRICS, OTLP_PROTOBUF, t, &out));
        telemetry *again = telemetry_new();
        MUST(otlp_decode(OTLP_METRICS, OTLP_PROTOBUF, buf_str(&out), again, &e) == RC_OK);
        MUST(again->metrics.count == t->metrics.count && again->rejected == 0);
        telemetry_free(again);
        buf_release(&out);
    }
    telemetry_free(t);
    mem_free(packed);
    return 0;
}
