/* fuzz_block_profile.c - a stored block of profiles with any damage that its checksums do not show:
 * see block_fuzz.h. */
#include "block_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_block(&PROFILE_BLOCKS, BLOCK_PROFILES, data, size);
}
