/* fuzz_store_journal - a journal of arbitrary bytes, with and without a repaired head. Oracles:
 * every block that is told lies in the file; sealing what was found gives a journal that reads the
 * same without a torn tail; what is damaged is told once and lies in the file. */
#include "base/mem.h"
#include "store/journal_int.h"
#include "sys/fs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

typedef struct seen {
    uint64_t bytes, commits, blocks, damages, end;
} seen;

static void on_commit(void *ctx, const commit_header *h, const block_entry *blocks) {
    seen *s = ctx;
    MUST(h->blocks > 0 && h->blocks <= COMMIT_BLOCKS_MAX);
    for (uint32_t i = 0; i < h->blocks; i++)
        MUST(blocks[i].offset <= s->bytes && blocks[i].info.bytes <= s->bytes - blocks[i].offset);
    s->commits++;
    s->blocks += h->blocks;
}

static void on_damage(void *ctx, uint64_t offset, uint64_t bytes, uint64_t records,
                      const char *what, const block_entry *bad) {
    (void)records;
    seen *s = ctx;
    MUST(what && offset <= s->bytes && bytes <= s->bytes - offset);
    MUST(!bad || bad->offset == offset);
    s->damages++;
}

static rc read_one(const sys_fs *fs, int fd, bool check_all, seen *s, journal_found *f) {
    sys_stat st;
    MUST(fs->ops->fstat(fs->ctx, fd, &st, NULL) == RC_OK);
    *s = (seen){.bytes = st.size_bytes};
    journal_reader r = {.fs = fs,
                        .fd = fd,
                        .bytes = st.size_bytes,
                        .check_all = check_all,
                        .on_commit = on_commit,
                        .on_damage = on_damage,
                        .ctx = s};
    return journal_read(&r, f, NULL);
}

static uint64_t get(const char *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | (uint8_t)p[i];
    return v;
}
static void put64(char *p, uint64_t v) {
    for (int i = 0; i < 8; i++) p[i] = (char)(v >> 8 * i);
}

/* Gives whatever looks like a header the checksum it should have, so that what lies behind the
 * checksums is reached, too. */
static void mend(char *p, size_t n) {
    if (n >= FILE_HEADER_BYTES) put64(p + 56, format_checksum(p, 56));
    for (size_t at = FILE_HEADER_BYTES; at < n; at += FORMAT_ALIGN) {
        at += format_find_commit(p + at, n - at);
        if (n - at < COMMIT_HEADER_BYTES) return;
        uint64_t dir = get(p + at + 32, 4) * ENTRY_BYTES;
        if (dir <= n - at - COMMIT_HEADER_BYTES)
            put64(p + at + 48, format_checksum(p + at + COMMIT_HEADER_BYTES, (size_t)dir));
        put64(p + at + 56, format_checksum(p + at, 56));
    }
}

static void run(const char *data, size_t size) {
    sys_sim *sim = sys_sim_new();
    sys_fs fs = sys_sim_fs(sim);
    int fd;
    MUST(fs.ops->open(fs.ctx, S("/j"), SYS_READ_WRITE, &fd, NULL) == RC_OK);
    MUST(fs.ops->pwrite(fs.ctx, fd, data, size, 0, NULL) == RC_OK);
    seen first, again;
    journal_found f, g;
    rc code = read_one(&fs, fd, true, &first, &f);
    MUST(code == RC_OK || code == RC_UNSUPPORTED);
    if (code == RC_OK) {
        MUST(f.commits == first.commits && f.torn_bytes <= size &&
             (size < 64 || f.end <= format_padded(size)));
        MUST(read_one(&fs, fd, false, &again, &g) == RC_OK);
        MUST(again.blocks == first.blocks && again.damages <= first.damages);
        if (!f.sealed && f.end >= FILE_HEADER_BYTES && size >= FILE_HEADER_BYTES) {
            MUST(journal_repair_tail(&fs, fd, &f, NULL) == RC_OK);
            MUST(read_one(&fs, fd, true, &again, &g) == RC_OK);
            MUST(g.sealed && g.torn_bytes == 0 && again.commits == first.commits);
        }
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
