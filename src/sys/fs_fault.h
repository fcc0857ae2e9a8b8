/* fs_fault.h - a sys_fs that passes everything on to another one, with faults: for tests.
 *
 * The usual loop: run with fail_at = 1, 2, 3 ... until a run ends with calls < fail_at; each run
 * must either succeed or fail cleanly. Any thread; the plan may change between calls. What a disk
 * loses in a power failure: fs_sim.h. */
#ifndef FL_SYS_FS_FAULT_H
#define FL_SYS_FS_FAULT_H

#include "sys/fs.h"

#include <stdatomic.h>

typedef struct sys_fault {
    sys_fs under;
    /* The plan; zero means "no such fault". */
    _Atomic uint64_t fail_at; /* the n-th call of any operation fails ... */
    int fail_errno;           /* ... with this errno (0 = EIO) */
    bool fail_on;             /* and so does every later one */
    size_t max_read_bytes;    /* reads return at most this */
    _Atomic bool fail_sync;   /* syncs fail with EIO */
    _Atomic uint64_t
        disk_bytes; /* written bytes that fit; the write that passes it is cut there: ENOSPC */
    /* What happened. */
    _Atomic uint64_t calls, written_bytes, failures;
} sys_fault;

/* Borrows f. */
sys_fs sys_fault_fs(sys_fault *f);

#endif
