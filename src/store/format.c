/* format.c - fixed-size parts of the engine's files to bytes and back.
 *
 * Everything is written field by field in little endian, so the files are the same on every
 * machine; nothing is a struct laid over bytes. Each part carries its own checksum and (where a
 * reader may have to find it again behind damage) a magic word at a multiple of eight. */
#include "store/format_int.h"

#include "base/mem.h"
#include "base/num.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_NS (INT64_C(86400) * 1000000000)

static const char JOURNAL_MAGIC[8] = {'F', 'L', 'j', 'o', 'u', 'r', 'n', '\n'};
static const char SEGMENT_MAGIC[8] = {'F', 'L', 's', 'e', 'g', 'm', 't', '\n'};
static const char COMMIT_MAGIC[8] = {'F', 'L', 'c', 'o', 'm', 'm', 't', '\n'};
static const char BLOCK_MAGIC[8] = {'F', 'L', 'b', 'l', 'o', 'c', 'k', '\n'};
static const char TRAILER_MAGIC[8] = {'F', 'L', 's', 'e', 'g', 'e', 'n', 'd'};

static void put16(char *p, uint16_t v) {
    for (int i = 0; i < 2; i++) p[i] = (char)(v >> 8 * i);
}
static void put32(char *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (char)(v >> 8 * i);
}
static void put64(char *p, uint64_t v) {
    for (int i = 0; i < 8; i++) p[i] = (char)(v >> 8 * i);
}
static uint64_t get(const char *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | (uint8_t)p[i];
    return v;
}
static uint16_t get16(const char *p) { return (uint16_t)get(p, 2); }
static uint32_t get32(const char *p) { return (uint32_t)get(p, 4); }
static uint64_t get64(const char *p) { return get(p, 8); }

uint64_t format_checksum(const void *p, size_t n) { return XXH3_64bits(p, n); }

/* ---- parts ---- */

uint64_t format_put_file_header(char *to, const file_header *h) {
    memset(to, 0, FILE_HEADER_BYTES);
    memcpy(to, h->kind == FILE_JOURNAL ? JOURNAL_MAGIC : SEGMENT_MAGIC, 8);
    put16(to + 8, h->version);
    put64(to + 16, h->first);
    put64(to + 24, h->last);
    put64(to + 32, (uint64_t)h->created_ns);
    uint64_t sum = format_checksum(to, 56);
    put64(to + 56, sum);
    return sum;
}

rc format_get_file_header(const char *from, file_header *ret, uint64_t *ret_checksum, err *e) {
    bool journal = memcmp(from, JOURNAL_MAGIC, 8) == 0;
    if (!journal && memcmp(from, SEGMENT_MAGIC, 8) != 0)
        return FAIL(e, RC_CORRUPT, "the file header is damaged");
    uint64_t sum = get64(from + 56);
    if (sum != format_checksum(from, 56)) return FAIL(e, RC_CORRUPT, "the file header is damaged");
    uint16_t version = get16(from + 8);
    if (version == 0 || version > FORMAT_VERSION)
        return FAIL(e, RC_UNSUPPORTED, "the file has format version %u, this build knows up to %d",
                    version, FORMAT_VERSION);
    *ret = (file_header){.kind = journal ? FILE_JOURNAL : FILE_SEGMENT,
                         .version = version,
                         .first = get64(from + 16),
                         .last = get64(from + 24),
                         .created_ns = (int64_t)get64(from + 32)};
    *ret_checksum = sum;
    return RC_OK;
}

void format_put_commit(char *to, commit_header *h) {
    memcpy(to, COMMIT_MAGIC, 8);
    put64(to + 8, h->sequence);
    put64(to + 16, h->bytes);
    put64(to + 24, (uint64_t)h->arrival_ns);
    put32(to + 32, h->blocks);
    put32(to + 36, h->records);
    put64(to + 40, h->chain);
    put64(to + 48, h->directory);
    h->checksum = format_checksum(to, 56);
    put64(to + 56, h->checksum);
}

bool format_get_commit(const char *from, commit_header *ret) {
    if (memcmp(from, COMMIT_MAGIC, 8) != 0) return false;
    commit_header h = {.sequence = get64(from + 8),
                       .bytes = get64(from + 16),
                       .arrival_ns = (int64_t)get64(from + 24),
                       .blocks = get32(from + 32),
                       .records = get32(from + 36),
                       .chain = get64(from + 40),
                       .directory = get64(from + 48),
                       .checksum = get64(from + 56)};
    if (h.checksum != format_checksum(from, 56)) return false;
    if (h.blocks > COMMIT_BLOCKS_MAX || h.bytes > COMMIT_BYTES_MAX || h.bytes % FORMAT_ALIGN ||
        h.bytes < COMMIT_HEADER_BYTES + (uint64_t)h.blocks * ENTRY_BYTES)
        return false;
    *ret = h;
    return true;
}

void format_put_entry(char *to, const block_entry *b) {
    to[0] = (char)b->info.kind;
    to[1] = (char)b->info.level;
    to[2] = (char)b->info.version;
    to[3] = 0;
    put32(to + 4, b->info.rows);
    put64(to + 8, (uint64_t)b->info.min_ts_ns);
    put64(to + 16, (uint64_t)b->info.max_ts_ns);
    put64(to + 24, b->info.bytes);
    put64(to + 32, b->info.raw_bytes);
    put64(to + 40, b->info.labels);
    put64(to + 48, b->info.severities);
    put64(to + 56, 0); /* block_info has 64 bytes on disk: room for one more statistic */
    put64(to + 64, b->offset);
    put64(to + 72, b->checksum);
}

bool format_get_entry(const char *from, block_entry *ret) {
    *ret = (block_entry){.info = {.kind = (uint8_t)from[0],
                                  .level = (uint8_t)from[1],
                                  .version = (uint8_t)from[2],
                                  .rows = get32(from + 4),
                                  .min_ts_ns = (int64_t)get64(from + 8),
                                  .max_ts_ns = (int64_t)get64(from + 16),
                                  .bytes = get64(from + 24),
                                  .raw_bytes = get64(from + 32),
                                  .labels = get64(from + 40),
                                  .severities = get64(from + 48)},
                         .offset = get64(from + 64),
                         .checksum = get64(from + 72)};
    return ret->info.kind != 0 && ret->info.bytes <= BLOCK_BYTES_MAX;
}

void format_put_block_header(char *to, const block_entry *b) {
    memcpy(to, BLOCK_MAGIC, 8);
    format_put_entry(to + 8, b);
    put64(to + 88, format_checksum(to, 88));
}

bool format_get_block_header(const char *from, block_entry *ret) {
    return memcmp(from, BLOCK_MAGIC, 8) == 0 && get64(from + 88) == format_checksum(from, 88) &&
           format_get_entry(from + 8, ret);
}

void format_put_trailer(char *to, const segment_trailer *t) {
    memcpy(to, TRAILER_MAGIC, 8);
    put16(to + 8, t->version);
    put16(to + 10, 0);
    put32(to + 12, t->blocks);
    put64(to + 16, t->footer_offset);
    put64(to + 24, t->footer_bytes);
    put64(to + 32, t->file_bytes);
    put64(to + 40, t->records);
    put64(to + 48, t->footer_checksum);
    put64(to + 56, format_checksum(to, 56));
}

rc format_get_trailer(const char *from, segment_trailer *ret, err *e) {
    if (memcmp(from, TRAILER_MAGIC, 8) != 0 || get64(from + 56) != format_checksum(from, 56))
        return FAIL(e, RC_CORRUPT, "the trailer is damaged");
    segment_trailer t = {.version = get16(from + 8),
                         .blocks = get32(from + 12),
                         .footer_offset = get64(from + 16),
                         .footer_bytes = get64(from + 24),
                         .file_bytes = get64(from + 32),
                         .records = get64(from + 40),
                         .footer_checksum = get64(from + 48)};
    if (t.version == 0 || t.version > FORMAT_VERSION)
        return FAIL(e, RC_UNSUPPORTED, "the file has format version %u, this build knows up to %d",
                    t.version, FORMAT_VERSION);
    if (t.blocks > SEGMENT_BLOCKS_MAX || t.footer_bytes != (uint64_t)t.blocks * ENTRY_BYTES)
        return FAIL(e, RC_CORRUPT, "the trailer is damaged");
    *ret = t;
    return RC_OK;
}

static size_t find_magic(const char *p, size_t n, const char magic[8]) {
    uint64_t want;
    memcpy(&want, magic, 8);
    for (size_t i = 0; i + 8 <= n; i += FORMAT_ALIGN) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        if (word == want) return i;
    }
    return n;
}
size_t format_find_commit(const char *p, size_t n) { return find_magic(p, n, COMMIT_MAGIC); }
size_t format_find_block(const char *p, size_t n) { return find_magic(p, n, BLOCK_MAGIC); }

/* ---- reading ---- */

rc format_read(const sys_fs *fs, int fd, uint64_t offset, void *to, size_t n, err *e) {
    size_t done = 0;
    while (done < n) {
        size_t got = 0;
        rc code = fs->ops->pread(fs->ctx, fd, (char *)to + done, n - done, offset + done, &got, e);
        if (code) return code;
        if (got == 0)
            return FAIL(e, RC_CORRUPT, "the file ends at %" PRIu64 " instead of %" PRIu64,
                        offset + done, offset + n);
        done += got;
    }
    return RC_OK;
}

rc format_check_payload(const sys_fs *fs, int fd, const block_entry *b, err *e) {
    enum { STEP = 1 << 20 };
    size_t step = (size_t)MIN(b->info.bytes, (uint64_t)STEP);
    char *piece = mem_try_raw(step);
    XXH3_state_t *state = XXH3_createState();
    rc code = piece && state ? RC_OK : FAIL(e, RC_LIMIT, "no memory to check a block");
    if (!code) IGNORE(XXH3_64bits_reset(state)); /* fails for NULL only */
    for (uint64_t at = 0; !code && at < b->info.bytes;) {
        size_t n = (size_t)MIN(b->info.bytes - at, (uint64_t)step);
        code = format_read(fs, fd, b->offset + at, piece, n, e);
        if (!code) IGNORE(XXH3_64bits_update(state, piece, n)); /* likewise */
        at += n;
    }
    if (!code && XXH3_64bits_digest(state) != b->checksum)
        code = FAIL(e, RC_CORRUPT, "checksum of a block of %u records is wrong", b->info.rows);
    if (state) IGNORE(XXH3_freeState(state)); /* always OK */
    mem_free(piece);
    return code;
}

/* ---- names ---- */

static bool parse_number(str s, uint64_t *ret) {
    return s.n >= 6 && s.n <= 12 && num_u64(s, ret) && *ret > 0 && *ret <= FILE_NUMBER_MAX &&
           (s.n == 6 || s.p[0] != '0');
}

bool format_parse_name(str name, file_kind *ret_kind, uint64_t *ret_first, uint64_t *ret_last) {
    if (str_ends(name, S(".journal"))) {
        *ret_kind = FILE_JOURNAL;
        if (!parse_number(str_sub(name, 0, name.n - 8), ret_first)) return false;
        *ret_last = *ret_first;
        return true;
    }
    if (!str_ends(name, S(".segment"))) return false;
    str numbers = str_sub(name, 0, name.n - 8);
    size_t dash = str_find_char(numbers, '-', 0);
    if (dash == STR_NPOS) return false;
    *ret_kind = FILE_SEGMENT;
    return parse_number(str_sub(numbers, 0, dash), ret_first) &&
           parse_number(str_from(numbers, dash + 1), ret_last) && *ret_first <= *ret_last;
}

str format_name(char to[FILE_NAME_BYTES], file_kind kind, uint64_t first, uint64_t last) {
    int n = kind == FILE_JOURNAL
                ? snprintf(to, FILE_NAME_BYTES, "%06" PRIu64 ".journal", first)
                : snprintf(to, FILE_NAME_BYTES, "%06" PRIu64 "-%06" PRIu64 ".segment", first, last);
    MUST(n > 0 && n < FILE_NAME_BYTES);
    return str_make(to, (size_t)n);
}

/* Days since 1970 to civil date and back: Howard Hinnant, "chrono-compatible low-level date
 * algorithms". */
static void civil(int64_t days, int64_t *y, unsigned *m, unsigned *d) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}
static int64_t days_of(int64_t y, unsigned m, unsigned d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

void format_day(int64_t ts_ns, char to[DAY_NAME_BYTES]) {
    int64_t days = ts_ns / DAY_NS - (ts_ns % DAY_NS < 0), y;
    unsigned m, d;
    civil(days, &y, &m, &d);
    MUST(y >= 1600 && y <= 2300); /* the range of int64 nanoseconds */
    int n = snprintf(to, DAY_NAME_BYTES, "%04u-%02u-%02u", (unsigned)y % 10000, m % 100, d % 100);
    MUST(n == DAY_NAME_BYTES - 1);
}

bool format_parse_day(str name, int64_t *ret_start_ns) {
    uint64_t y, m, d;
    if (name.n != 10 || name.p[4] != '-' || name.p[7] != '-' || !num_u64(str_sub(name, 0, 4), &y) ||
        !num_u64(str_sub(name, 5, 2), &m) || !num_u64(str_sub(name, 8, 2), &d))
        return false;
    if (y < 1680 || y > 2260 || m < 1 || m > 12 || d < 1 || d > 31) return false;
    int64_t start = days_of((int64_t)y, (unsigned)m, (unsigned)d) * DAY_NS;
    char again[DAY_NAME_BYTES];
    format_day(start, again); /* 31 February is no day */
    if (!str_eq(str_c(again), name)) return false;
    *ret_start_ns = start;
    return true;
}
