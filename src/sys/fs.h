/* fs.h - files behind an ops table, so that tests can replace them by fault-injecting twins.
 * Paths are str (converted at the call). Every failure is RC_IO with sys_errno and the path in the
 * message; RC_NOT_FOUND for ENOENT, RC_EXISTS for EEXIST, RC_INVALID for a path that is empty, too
 * long or holds a NUL byte. */
#ifndef FL_SYS_FS_H
#define FL_SYS_FS_H

#include "base/err.h"
#include "base/str.h"

struct buf;

typedef struct sys_stat {
    uint64_t size_bytes;
    int64_t mtime_ns;
    uint64_t device, inode;
    bool is_dir, is_regular, is_fifo;
} sys_stat;

typedef enum sys_open_mode {
    SYS_READ = 0,
    SYS_WRITE_NEW,   /* must not exist */
    SYS_WRITE_TRUNC, /* made or emptied */
    SYS_APPEND,      /* made if missing */
    SYS_READ_WRITE   /* made if missing */
} sys_open_mode;

typedef struct sys_fs_ops {
    rc (*open)(void *ctx, str path, sys_open_mode mode, int *ret_fd, err *e);
    rc (*close)(void *ctx, int fd, err *e);
    /* *ret_bytes = 0 means end of file. Interrupted calls are repeated inside. Waiting for a pipe
     * or a terminal ends with RC_CANCELLED once sys_cancel_install's flag is set. */
    rc (*read)(void *ctx, int fd, void *to, size_t cap, size_t *ret_bytes, err *e);
    rc (*pread)(void *ctx, int fd, void *to, size_t cap, uint64_t offset, size_t *ret_bytes,
                err *e);
    rc (*write)(void *ctx, int fd, const void *from, size_t n, err *e); /* all of it or a failure */
    rc (*pwrite)(void *ctx, int fd, const void *from, size_t n, uint64_t offset, err *e);
    /* Everything of the file; of a directory (opened SYS_READ): its names. */
    rc (*sync)(void *ctx, int fd, err *e);
    rc (*datasync)(void *ctx, int fd, err *e); /* data and length, not times */
    rc (*truncate)(void *ctx, int fd, uint64_t size_bytes, err *e);
    rc (*fstat)(void *ctx, int fd, sys_stat *ret, err *e);
    rc (*stat)(void *ctx, str path, sys_stat *ret, err *e);
    rc (*rename)(void *ctx, str from, str to, err *e);
    rc (*unlink)(void *ctx, str path, err *e);
    rc (*link)(void *ctx, str from, str to, err *e); /* a second name of the same file */
    rc (*mkdir)(void *ctx, str path, err *e);        /* RC_OK when it exists */
    rc (*rmdir)(void *ctx, str path, err *e);        /* an empty one */
    /* Takes the file (open for reading and writing) for this descriptor alone until it is closed
     * or the process ends, and writes this process' number into it. RC_EXISTS when another
     * descriptor has it: the message names its process. */
    rc (*lock)(void *ctx, int fd, err *e);
    /* Of the file system that holds path: bytes in all, and what this user may still write. */
    rc (*space)(void *ctx, str path, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes, err *e);
    /* Calls fn once per entry name (not "." and ".."), in byte order of names. */
    rc (*list)(void *ctx, str path, void (*fn)(void *fn_ctx, str name), void *fn_ctx, err *e);
} sys_fs_ops;

typedef struct sys_fs {
    const sys_fs_ops *ops;
    void *ctx;
} sys_fs;

extern const sys_fs SYS_FS_REAL;

/* Helpers over any sys_fs. */
/* Appends the whole file to out, as it was on failure. RC_LIMIT when it is longer than max_bytes or
 * than `out` takes. */
MUST_CHECK rc sys_read_file(const sys_fs *fs, str path, size_t max_bytes, struct buf *out, err *e);
/* Writes to path.tmp, syncs, renames: the old file stays whole on any failure. What is no regular
 * file
 * (/dev/stdout, a FIFO) is written to directly. */
MUST_CHECK rc sys_write_file(const sys_fs *fs, str path, str data, err *e);
/* Makes the names in a directory durable. */
MUST_CHECK rc sys_sync_dir(const sys_fs *fs, str path, err *e);
bool sys_is_disk_full(const err *e);    /* ENOSPC, EDQUOT */
bool sys_is_other_device(const err *e); /* EXDEV: rename or link to another file system */
/* Shell-style glob expansion (*, ?, [], {}, ~), in byte order; calls fn for each match.
 * RC_NOT_FOUND when none. */
MUST_CHECK rc sys_glob(str pattern, void (*fn)(void *ctx, str path), void *ctx, err *e);
/* An unlinked temporary file in $TMPDIR or /tmp, open for reading and writing. */
MUST_CHECK rc sys_temp_file(int *ret_fd, err *e);
/* A write whose reader went away (`| head`) then fails like any other, instead of ending the
 * process. */
void sys_broken_pipe_is_failure(void);
bool sys_is_broken_pipe(const err *e);

#endif
