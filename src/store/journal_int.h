/* journal_int.h - append-only files of commits: building a commit, appending it durably, reading a
 * journal back and telling a torn tail from damage. */
#ifndef FL_STORE_JOURNAL_INT_H
#define FL_STORE_JOURNAL_INT_H

#include "base/buf.h"
#include "base/vec.h"
#include "store/format_int.h"

/* --- a commit while it is built. One thread. --- */
typedef VEC(block_entry) block_entries;

typedef struct commit {
    buf bytes; /* room for the largest header and directory, then payloads */
    block_entries blocks;
    uint64_t records;
} commit;

typedef struct commit_mark {
    size_t bytes, blocks;
    uint64_t records;
} commit_mark;

void commit_init(commit *c);
void commit_release(commit *c);
void commit_reset(commit *c); /* empty; gives memory back after an unusually large one */
/* A block_put; ctx is the commit. RC_LIMIT when a commit cannot hold more. */
rc commit_put(void *ctx, const block_info *info, str payload, err *e);
commit_mark commit_save(const commit *c);
void commit_restore(commit *c, commit_mark m); /* drops what was put since */
static inline size_t commit_bytes(const commit *c) {
    return c->bytes.n; /* at most the bytes written */
}

/* --- a journal being written. One thread. --- */
typedef struct journal {
    const sys_fs *fs;
    int fd; /* -1: not open */
    uint64_t number, end, sequence, chain;
} journal;

/* Makes the file with its header; its name is durable (directory synced) on success. Nothing is
 * left behind on failure, or an empty file that the next start removes. */
MUST_CHECK rc journal_create(const sys_fs *fs, str dir, uint64_t number, int64_t created_ns,
                             journal *ret, err *e);
typedef enum journal_state {
    JOURNAL_GOOD = 0, /* as before the call, or longer by the commit */
    JOURNAL_BROKEN    /* its end is unknown: nothing may be appended any more */
} journal_state;
/* Writes the commit and syncs: durable on RC_OK; then the offsets of c->blocks are those in the
 * file. On failure nothing of it is acknowledged, and the file is cut back when possible. After a
 * failed sync the journal is always broken: what the kernel still holds of the file is unknown. */
MUST_CHECK rc journal_append(journal *j, commit *c, int64_t arrival_ns, journal_state *ret_state,
                             err *e);
/* Writes the end record (unless broken) and closes. A failure is no loss: the next start seals. */
void journal_close(journal *j, bool broken);

/* --- reading --- */
typedef struct journal_reader {
    const sys_fs *fs;
    int fd;
    uint64_t bytes; /* of the file now */
    bool check_all; /* every payload; else those of the last commit only */
    /* A whole commit; offsets of blocks are those in the file. */
    void (*on_commit)(void *ctx, const commit_header *h, const block_entry *blocks);
    /* Bytes in the middle that are damaged; records: lost with them as far as known. bad: the block
     * when one payload alone is damaged (check_all). */
    void (*on_damage)(void *ctx, uint64_t offset, uint64_t bytes, uint64_t records,
                      const char *what, const block_entry *bad);
    void *ctx;
} journal_reader;

typedef struct journal_found {
    file_header header; /* zeroed when that is damaged */
    uint64_t end;       /* behind the last whole commit */
    uint64_t sequence, chain;
    uint64_t commits;
    bool sealed;           /* has its end record */
    uint64_t torn_bytes;   /* behind `end`: the tail that a crash leaves, never acknowledged */
    uint64_t torn_records; /* that its header speaks of */
} journal_found;

/* RC_UNSUPPORTED: a newer version. RC_IO: the file cannot be read. Damage is told, not returned. */
MUST_CHECK rc journal_read(const journal_reader *r, journal_found *ret, err *e);
/* Cuts the torn tail and writes the end record. fd is open for writing. */
MUST_CHECK rc journal_repair_tail(const sys_fs *fs, int fd, const journal_found *f, err *e);

#endif
