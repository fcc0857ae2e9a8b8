/* fuzz_block_edge.c - a stored block of edges with any damage that its checksums do not show: see
 * block_fuzz.h. */
#include "block_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_block(&EDGE_BLOCKS, BLOCK_EDGES, data, size);
}
