/* fuzz_http1 - the HTTP/1.1 side of the connection core. Oracle: however the input is cut into
 * pieces, the same bytes are answered, and nothing stays charged or open. The first byte of the
 * input chooses the cuts. */
#include "net_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 17 };

static str run(net_core *c, const uint8_t *p, size_t n, size_t piece) {
    core_start(c);
    for (size_t at = 0; at < n; at += piece) core_feed(c, p + at, MIN(piece, n - at));
    core_stop(c);
    return buf_str(&c->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static net_core whole, cut;
    if (size < 1 || size > INPUT_MAX) return 0;
    size_t piece = 1 + data[0] % 61;
    data++;
    size--;
    /* The preface of HTTP/2 is the other target's. */
    if (size >= 3 && memcmp(data, "PRI", 3) == 0) return 0;
    str a = run(&whole, data, size, size ? size : 1), b = run(&cut, data, size, piece);
    MUST(str_eq(a, b));
    buf_release(&whole.out);
    buf_release(&cut.out);
    return 0;
}
