/* format_int.h - the bytes of journals and segments (README has the pictures): fixed-size parts,
 * little endian, each with its own checksum (XXH3, 64 bits). Parsers take bytes from outside. */
#ifndef FL_STORE_FORMAT_INT_H
#define FL_STORE_FORMAT_INT_H

#include "store/block.h"

enum {
    FORMAT_VERSION = 1,
    FILE_HEADER_BYTES = 64,
    COMMIT_HEADER_BYTES = 64,
    ENTRY_BYTES = 80,
    BLOCK_HEADER_BYTES = 96,
    TRAILER_BYTES = 64,
    FORMAT_ALIGN = 8, /* headers and payloads begin at multiples of it */
    COMMIT_BLOCKS_MAX = 1024,
    SEGMENT_BLOCKS_MAX = 1 << 20
};
#define COMMIT_BYTES_MAX ((uint64_t)1 << 30)
#define FILE_NUMBER_MAX  UINT64_C(999999999999)

typedef enum file_kind { FILE_JOURNAL = 1, FILE_SEGMENT } file_kind;

/* First in both kinds of file. */
typedef struct file_header {
    file_kind kind;
    uint16_t version;
    uint64_t first, last; /* numbers of journals it covers; a journal: itself */
    int64_t created_ns;
} file_header;

/* A block as a file's directory names it. */
typedef struct block_entry {
    block_info info;
    uint64_t offset;   /* of the payload: in a commit from the commit's first byte, else from the
                          file's */
    uint64_t checksum; /* of the payload */
} block_entry;

typedef struct commit_header {
    uint64_t sequence; /* 1, 2, ... in the journal */
    uint64_t bytes;    /* this header, directory, payloads, padding */
    int64_t arrival_ns;
    uint32_t blocks; /* 0: the end record of a sealed journal */
    uint32_t records;
    uint64_t chain;     /* checksum of the header before; of the first: of the file header */
    uint64_t directory; /* checksum of the directory, which holds those of the payloads */
    uint64_t checksum;  /* of the fields above */
} commit_header;

typedef struct segment_trailer {
    uint16_t version;
    uint32_t blocks;
    uint64_t footer_offset, footer_bytes, file_bytes, records;
    uint64_t footer_checksum;
} segment_trailer;

uint64_t format_checksum(const void *p, size_t n);
static inline uint64_t format_padded(uint64_t n) {
    return (n + FORMAT_ALIGN - 1) & ~(uint64_t)(FORMAT_ALIGN - 1);
}
/* Writers fill exactly the stated bytes. Readers: RC_CORRUPT when it is not that or its checksum is
 * wrong, RC_UNSUPPORTED for a newer version. They check each field for itself; what depends on the
 * file's length is for the caller. */
uint64_t format_put_file_header(char *to, const file_header *h); /* returns its checksum */
MUST_CHECK rc format_get_file_header(const char *from, file_header *ret, uint64_t *ret_checksum,
                                     err *e);
void format_put_commit(char *to, commit_header *h); /* sets h->checksum */
MUST_CHECK bool format_get_commit(const char *from, commit_header *ret);
void format_put_entry(char *to, const block_entry *b);
MUST_CHECK bool format_get_entry(const char *from, block_entry *ret);
void format_put_block_header(char *to, const block_entry *b);
MUST_CHECK bool format_get_block_header(const char *from, block_entry *ret);
void format_put_trailer(char *to, const segment_trailer *t);
MUST_CHECK rc format_get_trailer(const char *from, segment_trailer *ret, err *e);
/* Offset of the next magic word of a commit (or a segment's block) in bytes that begin at a
 * multiple of FORMAT_ALIGN; n when there is none. */
size_t format_find_commit(const char *p, size_t n);
size_t format_find_block(const char *p, size_t n);

/* Reads exactly n bytes: RC_CORRUPT when the file ends before. */
MUST_CHECK rc format_read(const sys_fs *fs, int fd, uint64_t offset, void *to, size_t n, err *e);
/* Checks the checksum of a payload without keeping it: 1 MiB at a time. RC_CORRUPT, RC_IO. */
MUST_CHECK rc format_check_payload(const sys_fs *fs, int fd, const block_entry *b, err *e);

/* "000012.journal", "000001-000017.segment": false when the name is neither. */
bool format_parse_name(str name, file_kind *ret_kind, uint64_t *ret_first, uint64_t *ret_last);
enum { FILE_NAME_BYTES = 48 };
str format_name(char to[FILE_NAME_BYTES], file_kind kind, uint64_t first, uint64_t last);
/* "2026-11-20" of a UTC time, and back: false when it is no day. */
enum { DAY_NAME_BYTES = 11 };
void format_day(int64_t ts_ns, char to[DAY_NAME_BYTES]);
bool format_parse_day(str name, int64_t *ret_start_ns);

#endif
