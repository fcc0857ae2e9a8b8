/* replay.c - main() for a fuzz target outside the fuzzer: feeds every file of a corpus directory,
 * and damaged variants of it, to LLVMFuzzerTestOneInput, so that `make test` runs the targets with
 * any compiler.
 *
 * Variants of a file of n bytes: the file; the empty input; CUTS prefixes of random length; FLIPS
 * copies with one to four random bits flipped; SPLICES copies with a run of bytes doubled or
 * removed. The seed is fixed, so a failure repeats. Every input lies in a heap block of exactly its
 * size: reading past the end is an ASan report. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/rng.h"

enum { CUTS = 16, FLIPS = 32, SPLICES = 16, FILE_BYTES_MAX = 1 << 20, FILES_MAX = 10000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    if (size) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(size ? copy : copy + 1, size);
    free(copy);
}

static void feed_flipped(rng *r, const uint8_t *data, size_t size, uint8_t *scratch) {
    memcpy(scratch, data, size);
    uint64_t flips = 1 + rng_below(r, 4);
    for (uint64_t i = 0; i < flips; i++) {
        scratch[rng_below(r, size)] ^= (uint8_t)(1u << rng_below(r, 8));
    }
    feed(scratch, size);
}

/* `scratch` holds 2 * size bytes. */
static void feed_spliced(rng *r, const uint8_t *data, size_t size, uint8_t *scratch) {
    size_t from = rng_below(r, size), run = 1 + rng_below(r, size - from);
    bool doubled = rng_below(r, 2);
    size_t head = doubled ? from + run : from;
    memcpy(scratch, data, head);
    size_t tail_from = doubled ? from : from + run;
    memcpy(scratch + head, data + tail_from, size - tail_from);
    feed(scratch, head + size - tail_from);
}

static int replay_file(const char *path, uint64_t seed) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    uint8_t *data = malloc(FILE_BYTES_MAX);
    uint8_t *scratch = malloc(2 * FILE_BYTES_MAX);
    if (!data || !scratch) abort();
    size_t size = fread(data, 1, FILE_BYTES_MAX, f);
    fclose(f);

    rng r;
    rng_init(&r, seed);
    feed(data, size);
    feed(data, 0);
    if (size > 0) {
        for (int i = 0; i < CUTS; i++) feed(data, rng_below(&r, size));
        for (int i = 0; i < FLIPS; i++) feed_flipped(&r, data, size, scratch);
        for (int i = 0; i < SPLICES; i++) feed_spliced(&r, data, size, scratch);
    }
    free(data);
    free(scratch);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    struct dirent **entries;
    int count = scandir(argv[1], &entries, NULL, alphasort);
    if (count < 0) {
        perror(argv[1]);
        return 1;
    }
    int failed = 0, files = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat st;
        int n = snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
        bool fits = n > 0 && (size_t)n < sizeof(path) && files < FILES_MAX;
        if (fits && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            failed |= replay_file(path, (uint64_t)++files);
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d files, each with up to %d variants\n", files, CUTS + FLIPS + SPLICES + 2);
    if (files == 0) fprintf(stderr, "%s: no corpus file\n", argv[1]);
    return failed || files == 0;
}
