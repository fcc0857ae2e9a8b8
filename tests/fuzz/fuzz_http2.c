/* fuzz_http2 - the HTTP/2 and gRPC side of the connection core: the preface is put before the
 * input, whose first byte chooses how it is cut. Nothing may stay charged or open, and what is sent
 * are whole frames. */
#include "net_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 17 };

static void check_frames(str out) {
    for (size_t at = 0; at < out.n;) {
        MUST(out.n - at >= 9);
        const unsigned char *p = (const unsigned char *)out.p + at;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        MUST(n <= 1 << 16 && n <= out.n - at - 9);
        at += 9 + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static net_core c;
    static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    if (size < 1 || size > INPUT_MAX) return 0;
    size_t piece = data[0] < 128 ? size : 1 + (size_t)data[0] % 61;
    data++;
    size--;
    core_start(&c);
    core_feed(&c, preface, sizeof preface - 1);
    for (size_t at = 0; at < size; at += piece) {
        core_feed(&c, data + at, MIN(piece, size - at));
        if (at % 7 == 3) IGNORE(core_answer_one(&c)); /* false: none is held */
    }
    c.now_ns += 40000000000; /* every timeout */
    net_site_now(&c.site);
    if (!net_conn_is_done(c.conn)) net_conn_tick(c.conn);
    core_drain(&c);
    core_stop(&c);
    check_frames(buf_str(&c.out));
    buf_release(&c.out);
    return 0;
}
