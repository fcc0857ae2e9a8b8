/* fuzz_intcode.c - sequences of numbers as stored (first two bytes: count), and the other way: any
 * bytes as numbers come back. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/intcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t n = data[0] | (size_t)data[1] << 8;
    str in = str_make((const char *)data + 2, size - 2), rest = in;
    int64_t *v = mem_new_n(int64_t, n + size);
    rc code = intcode_get(&rest, n, v, NULL);
    MUST(code == RC_OK || code == RC_CORRUPT);
    rest = in;
    code = f64code_get(&rest, n, v, NULL);
    MUST(code == RC_OK || code == RC_CORRUPT);
    size_t count = in.n / 8;
    if (count) memcpy(v, in.p, 8 * count);
    int64_t *got = mem_new_n(int64_t, count + 1);
    for (int doubles = 0; doubles < 2; doubles++) {
        buf out;
        buf_init(&out, 16 * size + 1000);
        MUST(doubles ? f64code_put(&out, v, count) : intcode_put(&out, v, count));
        rest = buf_str(&out);
        MUST((doubles ? f64code_get(&rest, count, got, NULL)
                      : intcode_get(&rest, count, got, NULL)) == RC_OK);
        MUST(rest.n == 0 && (count == 0 || memcmp(got, v, 8 * count) == 0));
        buf_release(&out);
    }
    mem_free(got);
    mem_free(v);
    return 0;
}
