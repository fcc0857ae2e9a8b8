/* bench_otlp FILE logs|spans|metrics [ROUNDS [json]] - decodes the framed requests of a file (u32
 * length, u32 count, body; little endian) and prints records a second and nanoseconds a record, and
 * the same for encoding them again. One core. With "json" each request is rewritten as JSON first.
 */
#include "base/mem.h"
#include "codec/otlp.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUT_MAX = 1 << 30 };

static double cpu_s(void) { return (double)sys_cpu_ns() / 1e9; }

static uint32_t le32(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

typedef struct totals {
    double decode_s, encode_s;
    uint64_t records, rejected, bytes, held;
} totals;

static rc one(otlp_signal signal, otlp_encoding enc, str body, totals *to) {
    char *own = mem_alloc(body.n + 1);
    memcpy(own, body.p, body.n); /* as it lies after reading from a socket: in the cache */
    double from = cpu_s();
    telemetry *t = telemetry_new();
    t->body = own;
    err e = {0};
    rc code = otlp_decode(signal, enc, (str){own, body.n}, t, &e);
    to->decode_s += cpu_s() - from;
    if (code != RC_OK) {
        fprintf(stderr, "%s\n", e.msg);
        telemetry_free(t);
        return code;
    }
    to->records += telemetry_count(t);
    to->rejected += t->rejected;
    to->bytes += body.n;
    to->held = t->mem.held_bytes + t->logs.mem.held_bytes;
    buf out;
    buf_init(&out, OUT_MAX);
    from = cpu_s();
    IGNORE(!otlp_encode(signal, enc, t, &out));
    to->encode_s += cpu_s() - from;
    buf_release(&out);
    from = cpu_s();
    telemetry_free(t);
    to->decode_s += cpu_s() - from;
    return RC_OK;
}

static void as_json(otlp_signal signal, str pb, buf *out) {
    telemetry *t = telemetry_new();
    IGNORE(otlp_decode(signal, OTLP_PROTOBUF, pb, t, NULL) != RC_OK);
    IGNORE(!otlp_encode(signal, OTLP_JSON, t, out));
    telemetry_free(t);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: bench_otlp FILE logs|spans|metrics [ROUNDS [json]]\n");
        return 2;
    }
    FILE *f = fopen(argv[1], "rb");
    if (!f || fseek(f, 0, SEEK_END)) return 1;
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *all = mem_alloc(size + 1);
    if (fread(all, 1, size, f) != size) return 1;
    fclose(f);
    otlp_signal signal = !strcmp(argv[2], "logs")    ? OTLP_LOGS
                         : !strcmp(argv[2], "spans") ? OTLP_TRACES
                                                     : OTLP_METRICS;
    int rounds = argc > 3 ? atoi(argv[3]) : 5;
    otlp_encoding enc = argc > 4 ? OTLP_JSON : OTLP_PROTOBUF;
    totals best = {.decode_s = 1e9, .encode_s = 1e9};
    for (int round = 0; round < rounds; round++) {
        totals t = {0};
        for (size_t at = 0; at + 8 <= size;) {
            str body = {all + at + 8, le32(all + at)};
            at += 8 + body.n;
            buf json;
            buf_init(&json, OUT_MAX);
            if (enc == OTLP_JSON) {
                as_json(signal, body, &json);
                body = buf_str(&json);
            }
            rc code = one(signal, enc, body, &t);
            buf_release(&json);
            if (code != RC_OK) return 1;
        }
        t.decode_s = t.decode_s < best.decode_s ? t.decode_s : best.decode_s;
        t.encode_s = t.encode_s < best.encode_s ? t.encode_s : best.encode_s;
        best = t;
    }
    double n = (double)best.records;
    printf("%s: %.0f records, %.0f rejected; decode %.2f M/s, %.0f ns a record, %.0f MB/s; encode "
           "%.2f M/s; %.0f KB held by the last request\n",
           argv[2], n, (double)best.rejected, n / best.decode_s / 1e6, best.decode_s / n * 1e9,
           (double)best.bytes / best.decode_s / 1e6, n / best.encode_s / 1e6,
           (double)best.held / 1024);
    mem_free(all);
    return 0;
}
