/* fuzz_tail_point - any bytes as a stored place of a tailed file: refused, or written again equal.
 */
#include "ingest/tail_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tail_point p = {0}, again = {0};
    if (!tail_point_read(str_make((const char *)data, size), &p)) return 0;
    MUST(p.head_n <= p.offset && p.tail_n <= p.offset && p.line > 0);
    char text[POINT_TEXT_BYTES];
    bool ok = tail_point_read(tail_point_text(&p, text), &again);
    MUST(ok && memcmp(&p, &again, sizeof p) == 0);
    return 0;
}
