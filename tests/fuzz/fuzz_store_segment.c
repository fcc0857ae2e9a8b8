/* fuzz_store_segment - a segment of arbitrary bytes. Oracles: every block that is told lies in the
 * file, in the first reading as in the thorough one; damage lies in the file; the blocks of a
 * segment whose end is cut off are found by their own headers. */
#include "base/mem.h"
#include "store/segment_int.h"
#include "sys/fs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

typedef struct seen {
    uint64_t bytes, blocks, damages;
} seen;

static void on_block(void *ctx, const block_entry *b) {
    seen *s = ctx;
    MUST(b->offset <= s->bytes && b->info.bytes <= s->bytes - b->offset && b->info.kind != 0);
    s->blocks++;
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes, uint64_t records,
                      const char *what, const block_entry *bad) {
    (void)records, (void)bad;
    seen *s = ctx;
    MUST(what && offset <= s->bytes && bytes <= s->bytes - offset);
    s->damages++;
}

static rc read_one(const sys_fs *fs, int fd, uint64_t bytes, bool check_all, seen *s) {
    *s = (seen){.bytes = bytes};
    segment_reader r = {.fs = fs,
                        .fd = fd,
                        .bytes = bytes,
                        .check_all = check_all,
                        .on_block = on_block,
                        .on_damage = on_damage,
                        .ctx = s};
    file_header h;
    return segment_read(&r, &h, NULL);
}

static uint64_t get(const char *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | (uint8_t)p[i];
    return v;
}
static void put64(char *p, uint64_t v) {
    for (int i = 0; i < 8; i++) p[i] = (char)(v >> 8 * i);
}

/* Gives every part the checksum it should have, so that what lies behind them is reached, too. */
static void mend(char *p, size_t n) {
    if (n < FILE_HEADER_BYTES + TRAILER_BYTES) return;
    put64(p + 56, format_checksum(p, 56));
    for (size_t at = FILE_HEADER_BYTES; at < n; at += FORMAT_ALIGN) {
        at += format_find_block(p + at, n - at);
        if (n - at < BLOCK_HEADER_BYTES) break;
        put64(p + at + 88, format_checksum(p + at, 88));
    }
    char *t = p + n - TRAILER_BYTES;
    uint64_t offset = get(t + 16, 8), bytes = get(t + 24, 8);
    put64(t + 32, n);
    if (offset <= n && bytes <= n - offset)
        put64(t + 48, format_checksum(p + offset, (size_t)bytes));
    put64(t + 56, format_checksum(t, 56));
}

static void run(const char *data, size_t size) {
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    int fd;
    MUST(fs.ops->open(fs.ctx, S("/s"), SYS_READ_WRITE, &fd, NULL) == RC_OK);
    MUST(fs.ops->pwrite(fs.ctx, fd, data, size, 0, NULL) == RC_OK);
    seen quick, thorough, cut;
    rc code = read_one(&fs, fd, size, false, &quick);
    MUST(code == RC_OK || code == RC_UNSUPPORTED);
    if (code == RC_OK) {
        MUST(read_one(&fs, fd, size, true, &thorough) == RC_OK);
        MUST(thorough.blocks == quick.blocks && thorough.damages >= quick.damages);
        /* Without its end: never more than the file has. */
        MUST(read_one(&fs, fd, size - MIN(size, (size_t)1), false, &cut) == RC_OK);
    }
    sys_sim_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    char *copy = mem_alloc(size);
    if (size) memcpy(copy, data, size);
    run(copy, size);
    mend(copy, size);
    run(copy, size);
    mem_free(copy);
    return 0;
}
