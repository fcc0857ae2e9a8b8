/* fuzz_block_span.c - a stored block of spans with any damage that its checksums do not show: see
 * block_fuzz.h. */
#include "block_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_block(&SPAN_BLOCKS, BLOCK_SPANS, data, size);
}
