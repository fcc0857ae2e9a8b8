/* catalog_int.h - the list of partitions, files and blocks in memory: what there is, as the files
 * say. One lock guards it; files are reference-counted, so that a snapshot keeps what it reads
 * although it was compacted or expired meanwhile. */
#ifndef FL_STORE_CATALOG_INT_H
#define FL_STORE_CATALOG_INT_H

#include "store/segment_int.h"
#include "sys/thread.h"

#include <stdatomic.h>

enum { PATH_BYTES = 4200, DIR_BYTES_MAX = 3900, PARTITIONS_MAX = 1 << 16, FILES_MAX = 1 << 16 };

typedef struct file_path {
    char c[PATH_BYTES];
    size_t n;
} file_path;
static inline str path_str(const file_path *p) { return str_make(p->c, p->n); }
/* DIR/NAME; the lengths are bounded by store_open. */
file_path path_join(str dir, str name);

typedef struct file_block {
    block_entry e;
    uint64_t id; /* unique in this process */
} file_block;

typedef struct store_file {
    uint32_t magic;
    atomic_uint refs; /* the catalog's one, and one for each snapshot or job */
    const sys_fs *fs;
    int fd; /* for reading; closed with the last reference. -1: the file cannot be read; it keeps
               its place so that nothing is merged over it */
    file_kind kind;
    uint64_t first, last;
    /* Under the catalog's lock: */
    uint64_t bytes; /* of the file */
    bool open;      /* a journal that is still written */
    bool damaged;   /* something of it is lost: compaction keeps the file under another name */
    VEC(file_block) blocks;
    unsigned io_failures; /* of compaction, one after the other; under the store's job_lock */
} store_file;

typedef struct partition {
    char day[DAY_NAME_BYTES];
    int64_t start_ns; /* of the day */
    bool cold;
    bool ready; /* its folder is there and durable */
    bool busy;  /* being moved, or a journal is being made in it */
    uint64_t next_number;
    VEC(store_file *) files; /* by first number */
} partition;

typedef struct catalog {
    sys_lock *lock; /* guards everything below and what files and partitions say */
    const sys_fs *fs;
    str hot_dir, cold_dir;
    VEC(partition *) parts; /* by day */
    uint64_t next_block;
} catalog;

void catalog_init(catalog *c, const sys_fs *fs, str hot_dir, str cold_dir);
void catalog_release(catalog *c);

store_file *file_new(const sys_fs *fs, int fd, file_kind kind, uint64_t first, uint64_t last);
store_file *file_ref(store_file *f);
void file_unref(store_file *f); /* accepts NULL */

/* With the lock held: */
partition *catalog_find(catalog *c, str day);
/* Finds or adds. NULL when there are too many. */
partition *catalog_partition(catalog *c, str day, bool cold);
void catalog_remove_partition(catalog *c, partition *p); /* unrefs its files */
file_path partition_dir(const catalog *c, const partition *p);
void partition_add(partition *p, store_file *f); /* takes the reference; in its place by number */
void partition_remove(partition *p, store_file *f); /* gives it up */
/* Appends blocks to a file with ids of their own. */
void catalog_add_blocks(catalog *c, store_file *f, const block_entry *blocks, size_t count);
uint64_t partition_bytes(const partition *p);

/* A block of an open file as a block_io; the file outlives it. */
typedef struct file_io {
    const sys_fs *fs;
    int fd;
    block_entry e;
} file_io;
block_io file_io_of(file_io *f, uint64_t id); /* borrows f */

#endif
