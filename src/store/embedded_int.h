/* embedded_int.h - the embedded engine's one object, and what its parts provide to each other.
 *
 *     writer.c     append, group commit, journals         own thread
 *     compact.c    journals and small segments to one     own thread, which also runs retention
 *     retention.c  moves and removes partitions
 *     snapshot.c   what a query reads; the pool's threads
 *     cache.c      decoded values of blocks
 *     checkpoint.c where tailed files stand
 *     fsck.c       verifies and repairs
 *     embedded.c   open, close, statistics, the ops table */
#ifndef FL_STORE_EMBEDDED_INT_H
#define FL_STORE_EMBEDDED_INT_H

#include "store/catalog_int.h"
#include "store/select_int.h"

typedef struct writer writer;
typedef struct compactor compactor;
typedef struct pool pool;

typedef struct embedded {
    store base; /* first: a store * is an embedded * */
    uint32_t magic;
    arena mem;       /* of paths */
    store_opts opts; /* with defaults filled in; texts in mem */
    const sys_fs *fs;
    const sys_clock *clock;
    int lock_fd; /* -1: read only */
    catalog list;
    writer *writer;       /* NULL: read only */
    compactor *compactor; /* likewise */
    pool *pool;
    block_cache *cache;
    sys_lock *job_lock;  /* held by whoever rewrites files: a compaction, a move, a repair */
    atomic_uint readers; /* snapshots being read: compaction gives way */
    /* Counters of store_stats. */
    atomic_uint_fast64_t appended, acknowledged, failed, refused, commits, syncs, commit_bytes,
        compactions, expired_partitions, damaged_blocks;
    atomic_bool disk_full;
    sys_lock *note_lock; /* guards the rest */
    char last_error[200];
    VEC(uint64_t) damaged; /* ids of blocks that were counted; at most DAMAGED_MAX */
} embedded;

embedded *embedded_of(store *s);
/* Names a decision or a failure for the log. */
void embedded_event(embedded *s, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Keeps the failure as last_error and tells the log. */
void embedded_trouble(embedded *s, const char *event, const err *e);
/* Counts damage of a block once; id 0: what has no id. */
void embedded_damaged(embedded *s, uint64_t block_id, const char *what);
const block_ops *embedded_block_ops(unsigned kind); /* NULL: unknown kind */

/* embedded.c: makes a folder and those above it, durably. */
MUST_CHECK rc embedded_make_dirs(embedded *s, str dir, err *e);
/* Reads a file of a partition into the list. */
MUST_CHECK rc embedded_load_segment(embedded *s, str dir, str name, uint64_t first, uint64_t last,
                                    store_file **ret, err *e);

/* writer.c */
MUST_CHECK rc writer_start(embedded *s, err *e);
void writer_stop(embedded *s); /* commits what waits, closes the journal, joins */
rc writer_append(store *base, telemetry *t, void (*ack)(void *ctx, rc code, const err *e),
                 void *ctx);
/* Closes the journal being written (when it holds anything) and waits for it. */
void writer_seal(embedded *s);
void writer_stats(embedded *s, store_stats *ret);
/* Stores one finished block in a commit of its own, and waits. */
MUST_CHECK rc writer_put_block(embedded *s, const block_info *info, str payload, err *e);
/* Nothing much was appended in the last seconds. */
bool writer_is_quiet(embedded *s);

/* compact.c */
typedef struct compact_job {
    partition *part;
    store_file *const *in; /* neighbours by number, referenced by the caller */
    size_t count;
    bool urgent;       /* somebody waits: do not give way to readers */
    bool copy;         /* blocks as they are, nothing is merged */
    bool verify;       /* every block as its signal verifies it, not the checksum alone */
    bool drop_damaged; /* do not keep files with damage under another name */
    const volatile int *cancel;
} compact_job;
/* Replaces the files by one segment without their damaged blocks. Under job_lock. */
MUST_CHECK rc compact_files(embedded *s, const compact_job *job, err *e);
MUST_CHECK rc compactor_start(embedded *s, err *e);
void compactor_stop(embedded *s); /* its thread has ended; waking it is still allowed */
void compactor_free(embedded *s);
void compactor_wake(embedded *s); /* a journal was sealed; any thread */
rc compactor_run(store *base, const volatile int *cancel, err *e); /* the op */

/* retention.c: one round: moves, removes. now_ns: wall time; INT64_MIN when the clock cannot be
 * trusted: then only sizes count. Called by the compactor's thread, and by tests. */
MUST_CHECK rc retention_run(embedded *s, int64_t now_ns, err *e);

/* snapshot.c */
pool *pool_new(void);
void pool_free(pool *p);

/* cache.c */
block_cache *block_cache_new(size_t max_bytes);
void block_cache_free(block_cache *c);
size_t block_cache_bytes(block_cache *c);

/* checkpoint.c */
rc checkpoint_find(store *base, str key, arena *out, str *ret, err *e); /* the op */
/* The newest stamp in the store, so that later ones are higher. */
int64_t checkpoint_newest(embedded *s);

/* The newest checkpoints that lie in this partition and would go with it. A file that nobody wrote
 * to for as long as data is kept would else be read from its start again. */
typedef struct carried carried;
MUST_CHECK rc checkpoint_carry(embedded *s, const partition *p, carried **ret, err *e);
/* Stores them in today's partition, with their old stamps: whatever is newer wins. */
MUST_CHECK rc checkpoint_carried_put(embedded *s, const carried *c, err *e);
void checkpoint_carried_free(carried *c); /* accepts NULL */

/* fsck.c */
rc fsck_run(store *base, bool repair, void (*fn)(void *ctx, const fsck_finding *f), void *ctx,
            void (*progress)(void *ctx, uint64_t bytes, uint64_t total), err *e);

#endif
