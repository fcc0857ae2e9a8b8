/* golden.h - finished output against a file of the golden directory.
 *
 *     FAULTLINE_REGENERATE=1 meson test -C build --suite report     rewrites the files; look at the
 * diff
 */
#ifndef FL_TESTS_REPORT_GOLDEN_H
#define FL_TESTS_REPORT_GOLDEN_H

#include "../unit.h"

enum { GOLDEN_BYTES_MAX = 8 << 20 };

static const char *golden_dir;

static void golden_compare(const char *name, str got) {
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", golden_dir, name);
    if (getenv("FAULTLINE_REGENERATE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(got.p, 1, got.n, f), got.n);
        fclose(f);
        return;
    }
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing: run with FAULTLINE_REGENERATE=1", path);
    char *want = malloc(GOLDEN_BYTES_MAX);
    assert_non_null(want);
    size_t n = fread(want, 1, GOLDEN_BYTES_MAX, f);
    fclose(f);
    size_t at = 0, line = 1;
    while (at < n && at < got.n && want[at] == got.p[at]) line += want[at++] == '\n';
    bool same = at == n && n == got.n;
    free(want);
    if (!same) fail_msg("%s differs from line %zu on", name, line);
}

#endif
