/* segment_int.h - immutable files of blocks: written beside, synced, renamed; read by a directory
 * at the end, or block by block when that is damaged. */
#ifndef FL_STORE_SEGMENT_INT_H
#define FL_STORE_SEGMENT_INT_H

#include "store/journal_int.h"

typedef struct segment_writer {
    const sys_fs *fs;
    int fd;
    uint64_t first, last, end, synced, records;
    block_entries blocks;
    char dir[4096], tmp[4200];
} segment_writer;

/* Makes DIR/NNNNNN-MMMMMM.segment.tmp. */
MUST_CHECK rc segment_create(const sys_fs *fs, str dir, uint64_t first, uint64_t last,
                             int64_t created_ns, segment_writer *ret, err *e);
/* A block_put; ctx is the writer. */
rc segment_put(void *ctx, const block_info *info, str payload, err *e);
/* Back to an earlier count of blocks: what was put since is overwritten. */
void segment_rewind(segment_writer *w, size_t blocks);
/* Footer, sync, rename, sync of the directory: the segment is there. w->blocks says where its
 * blocks are and stays valid until segment_drop. */
MUST_CHECK rc segment_finish(segment_writer *w, err *e);
/* Frees; removes the .tmp of one that was not finished. */
void segment_drop(segment_writer *w);

typedef struct segment_reader {
    const sys_fs *fs;
    int fd;
    uint64_t bytes;
    bool check_all; /* every payload, and the header of every block */
    void (*on_block)(void *ctx, const block_entry *b);
    /* bad: the block when its payload alone is damaged (check_all; it is told to on_block, too). */
    void (*on_damage)(void *ctx, uint64_t offset, uint64_t bytes, uint64_t records,
                      const char *what, const block_entry *bad);
    void *ctx;
} segment_reader;

/* RC_UNSUPPORTED: a newer version. RC_IO: cannot be read. Damage is told, not returned. */
MUST_CHECK rc segment_read(const segment_reader *r, file_header *ret, err *e);

#endif
