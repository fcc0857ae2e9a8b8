/* fuzz_num - numbers from text against libc, and texts written from them read back. */
#include "base/buf.h"
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* What the fast path of num_double computes must be what strtod computes. */
static void check_double(str s) {
    double v;
    if (!num_double(s, &v)) return;
    MUST(isfinite(v) && s.n <= 4096);
    char text[4097];
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *end;
    double want = strtod(text, &end);
    MUST(end == text + s.n);
    MUST(memcmp(&v, &want, sizeof v) == 0);
    buf b;
    buf_init(&b, 64);
    MUST(buf_double(&b, v));
    double back;
    MUST(num_double(buf_str(&b), &back) && memcmp(&v, &back, sizeof v) == 0);
    buf_release(&b);
}

static void check_integers(str s) {
    uint64_t u;
    int64_t i;
    if (s.n > 4096) return;
    char text[4097];
    if (s.n) memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *end;
    if (num_u64(s, &u)) {
        errno = 0;
        MUST(strtoull(text, &end, 10) == u && errno == 0 && end == text + s.n);
    }
    if (num_i64(s, &i)) {
        errno = 0;
        MUST(strtoll(text, &end, 10) == i && errno == 0 && end == text + s.n);
    }
    if (num_hex(s, &u)) {
        errno = 0;
        MUST(strtoull(text, &end, 16) == u && errno == 0 && end == text + s.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str s = str_make((const char *)data, size);
    check_double(s);
    check_integers(s);
    arena a;
    arena_init(&a, "fuzz", 1 << 16);
    int64_t ns;
    if (num_duration(s, &ns)) {
        MUST(ns >= 0);
        MUST(num_duration_text(&a, ns).n > 0);
    }
    uint64_t bytes;
    if (num_bytes(s, &bytes)) {
        MUST(num_bytes_text(&a, bytes).n > 0);
        MUST(num_count_text(&a, bytes).n > 0);
    }
    arena_release(&a);
    return 0;
}
