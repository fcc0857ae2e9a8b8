/* fuzz_block_metric.c - a stored block of metrics with any damage that its checksums do not show:
 * see block_fuzz.h. */
#include "block_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_block(&METRIC_BLOCKS, BLOCK_METRICS, data, size);
}
