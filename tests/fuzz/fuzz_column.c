/* fuzz_column - columns of any bytes: an answer or RC_CORRUPT. The first two bytes choose what is
 * read and how many values. Oracle: what was read is written and read again, the same. */
#include "store/column_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, COUNT_MAX = 600, OUT_MAX = 1 << 24 };

static void check(rc code) { MUST(code == RC_OK || code == RC_CORRUPT || code == RC_LIMIT); }

static void ints(str col, size_t n) {
    int64_t v[COUNT_MAX], again[COUNT_MAX];
    rc code = col_get_i64(col, n, v, NULL);
    check(code);
    if (code) return;
    for (int level = 0; level <= 1; level++) {
        buf b;
        buf_init(&b, OUT_MAX);
        MUST(col_put_i64(&b, v, n, level) && col_get_i64(buf_str(&b), n, again, NULL) == RC_OK);
        MUST(n == 0 || memcmp(v, again, n * sizeof *v) == 0);
        buf_release(&b);
    }
}

static void doubles(str col, size_t n) {
    double v[COUNT_MAX], again[COUNT_MAX];
    rc code = col_get_f64(col, n, v, NULL);
    check(code);
    if (code) return;
    buf b;
    buf_init(&b, OUT_MAX);
    MUST(col_put_f64(&b, v, n, 1) && col_get_f64(buf_str(&b), n, again, NULL) == RC_OK);
    MUST(n == 0 || memcmp(v, again, n * sizeof *v) == 0);
    buf_release(&b);
}

static void texts(str col, size_t n) {
    arena a;
    arena_init(&a, "fuzz", 256 << 20);
    str v[COUNT_MAX], again[COUNT_MAX];
    rc code = col_get_str(col, n, &a, v, NULL);
    check(code);
    col_ctx x;
    col_ctx_init(&x, 1);
    uint32_t at[] = {(uint32_t)n / 3, (uint32_t)n / 3 + 1, (uint32_t)n - 1};
    uint64_t num[3];
    if (n > 8) {
        check(col_x_get_str_at(&x, col, n, at, 3, &a, again, 0, NULL));
        check(col_x_get_u64_at(&x, col, n, at, 3, num, 0, NULL));
        /* Long, as if there were more values than the bytes say. */
        at[2] = COL_STEP * 3 + 1;
        check(col_x_get_str_at(&x, col, COL_STEP * 4, at, 3, &a, again, 0, NULL));
        check(col_x_get_u64_at(&x, col, COL_STEP * 4, at, 3, num, 0, NULL));
    }
    col_ctx_release(&x);
    size_t bytes = 0;
    for (size_t i = 0; !code && i < n; i++) bytes += v[i].n;
    for (int level = 0; !code && bytes < OUT_MAX / 2 && level <= 1; level++) {
        buf b;
        buf_init(&b, OUT_MAX * 2);
        MUST(col_put_str(&b, v, n, level));
        MUST(col_get_str(buf_str(&b), n, &a, again, NULL) == RC_OK);
        for (size_t i = 0; i < n; i++) MUST(str_eq(v[i], again[i]));
        buf_release(&b);
    }
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > INPUT_MAX) return 0;
    size_t n = data[1] * 2u + (data[0] >> 4) % 4;
    str col = {(const char *)data + 2, size - 2};
    uint8_t fixed[COUNT_MAX * 4];
    switch (data[0] & 3) {
    case 0:
        ints(col, n);
        break;
    case 1:
        doubles(col, n);
        break;
    case 2:
        texts(col, n);
        break;
    default:
        check(col_get_fixed(col, 4, n, fixed, NULL));
        break;
    }
    return 0;
}
