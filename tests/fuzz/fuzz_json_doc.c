/* fuzz_json_doc - JSON documents of many lines; see walk_records for the oracles. */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    walk_records(&record_fmt_json_doc, (str){(const char *)data, size}, INPUT_MAX);
    return 0;
}
