/* fuzz_journal_export - entries of the journal export format; see walk_records for the oracles. */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    walk_records(&record_fmt_journal_export, (str){(const char *)data, size}, 1);
    return 0;
}
