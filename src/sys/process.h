/* process.h - the process as the operating system sees it: for programs that stay (servers). */
#ifndef FL_SYS_PROCESS_H
#define FL_SYS_PROCESS_H

#include "base/err.h"
#include "base/str.h"

typedef struct sys_process_stats {
    size_t rss_bytes, peak_rss_bytes, virtual_bytes;
    double cpu_user_s, cpu_system_s;
    int64_t start_ns; /* wall time */
    unsigned threads, open_files;
    uint64_t max_files;
    size_t heap_used_bytes, heap_free_bytes, heap_mapped_bytes; /* of malloc: in use, kept free */
} sys_process_stats;

void sys_process_stat(sys_process_stats *ret); /* what cannot be read is 0 */
int64_t sys_process_id(void);
bool sys_process_alive(int64_t pid);
/* Does somebody hold the lock (sys_fs_ops.lock) of this file? Also true when that cannot be told.
 */
bool sys_file_locked(str path);
/* New files and directories are for this user alone. */
void sys_private_files(void);
/* As many open files as the system lets us have. */
void sys_raise_file_limit(void);

/* How the heap grows, for a process of many threads that must stay small: at most `arenas` arenas
 * of malloc, blocks from `mmap_bytes` mapped on their own and given back when freed, free memory
 * at the top beyond `trim_bytes` given back. Before threads start. */
void sys_heap_tune(int arenas, size_t mmap_bytes, size_t trim_bytes);
void sys_heap_trim(void); /* gives free pages back to the system */

/* Signals of a server. sys_signals_block comes first, before threads start. */
typedef enum sys_signal { SYS_SIGNAL_NONE = 0, SYS_SIGNAL_STOP, SYS_SIGNAL_RELOAD } sys_signal;
void sys_signals_block(void);
/* Waits for SIGTERM or SIGINT (STOP), SIGHUP (RELOAD); NONE after timeout_ms (< 0: no timeout).
 * After the first STOP a second one ends the process at once. Main thread. */
sys_signal sys_signals_wait(int64_t timeout_ms);

/* Tells the service manager ("READY=1", "STOPPING=1", "STATUS=..."), when there is one
 * ($NOTIFY_SOCKET). */
void sys_notify(str state);

#endif
