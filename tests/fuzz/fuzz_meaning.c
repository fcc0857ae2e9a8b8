/* Any text as a template and as a number: the meaning stays within 0..1, a number is
 * finite. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/detect.h"
#include "detect/profile_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str text = {(const char *)data, size};
    double m = detect_failure_meaning(text);
    MUST(m >= 0 && m <= 1);
    for (size_t n = 0; n <= size && n < 64; n++) {
        double v;
        value_unit unit;
        if (profile_number(str_sub(text, 0, n), SLOT_UNIT, &v, &unit)) MUST(isfinite(v));
    }
    return 0;
}
