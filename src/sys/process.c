/* process.c - figures from /proc/self, malloc's own, signals by sigtimedwait, and systemd's
 * notification protocol (one datagram to $NOTIFY_SOCKET; sd_notify(3)), spoken here so that the
 * program does not need libsystemd. */
#include "sys/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

static str read_small(const char *path, char *to, size_t cap) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return STR_NONE;
    ssize_t n = read(fd, to, cap);
    close(fd);
    return str_make(to, n > 0 ? (size_t)n : 0);
}

/* "VmRSS:     1234 kB" of /proc/self/status. */
static uint64_t status_value(str text, str name) {
    for (str line; str_next(&text, '\n', &line);) {
        if (!str_starts(line, name)) continue;
        str v = str_trim(str_from(line, name.n));
        bool kib = str_ends(v, S(" kB"));
        if (kib) v = str_sub(v, 0, v.n - 3);
        uint64_t n;
        return num_u64(v, &n) ? n * (kib ? 1024 : 1) : 0;
    }
    return 0;
}

static unsigned count_open_files(void) {
    DIR *d = opendir("/proc/self/fd");
    if (!d) return 0;
    unsigned n = 0;
    for (struct dirent *f; (f = readdir(d)) != NULL;) n += f->d_name[0] != '.';
    closedir(d);
    return n > 0 ? n - 1 : 0; /* less the one that reads them */
}

/* Wall time of the start: now less the time since boot at which /proc/self/stat says it began. */
static int64_t start_time_ns(void) {
    char text[1024];
    str stat = read_small("/proc/self/stat", text, sizeof text);
    size_t paren = str_rfind_char(stat, ')'); /* the name may hold anything */
    if (paren == STR_NPOS) return 0;
    str rest = str_from(stat, paren + 2), field = STR_NONE;
    for (int i = 0; i < 20; i++) { /* the 22nd field; two are before */
        if (!str_next(&rest, ' ', &field)) return 0;
    }
    uint64_t ticks;
    struct timespec boot, now;
    long per_s = sysconf(_SC_CLK_TCK);
    if (!num_u64(field, &ticks) || per_s <= 0) return 0;
    if (clock_gettime(CLOCK_BOOTTIME, &boot) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return 0;
    int64_t since_boot = (int64_t)(ticks * (UINT64_C(1000000000) / (uint64_t)per_s));
    int64_t age = (int64_t)boot.tv_sec * 1000000000 + boot.tv_nsec - since_boot;
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - age;
}

void sys_process_stat(sys_process_stats *ret) {
    *ret = (sys_process_stats){0};
    char text[8192];
    str status = read_small("/proc/self/status", text, sizeof text);
    ret->rss_bytes = (size_t)status_value(status, S("VmRSS:"));
    ret->peak_rss_bytes = (size_t)status_value(status, S("VmHWM:"));
    ret->virtual_bytes = (size_t)status_value(status, S("VmSize:"));
    ret->threads = (unsigned)status_value(status, S("Threads:"));
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) == 0) {
        ret->cpu_user_s = (double)use.ru_utime.tv_sec + (double)use.ru_utime.tv_usec / 1e6;
        ret->cpu_system_s = (double)use.ru_stime.tv_sec + (double)use.ru_stime.tv_usec / 1e6;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) ret->max_files = files.rlim_cur;
    ret->open_files = count_open_files();
    ret->start_ns = start_time_ns();
    struct mallinfo2 heap = mallinfo2();
    ret->heap_used_bytes = heap.uordblks;
    ret->heap_free_bytes = heap.fordblks;
    ret->heap_mapped_bytes = heap.hblkhd;
}

int64_t sys_process_id(void) { return getpid(); }

bool sys_process_alive(int64_t pid) {
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

bool sys_file_locked(str path) {
    char name[PATH_MAX];
    if (path.n >= sizeof name) return true;
    memcpy(name, path.p, path.n);
    name[path.n] = '\0';
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno != ENOENT;
    bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return locked;
}

void sys_private_files(void) { umask(077); }

void sys_raise_file_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    IGNORE(setrlimit(RLIMIT_NOFILE, &files)); /* then the old limit holds */
}

void sys_heap_tune(int arenas, size_t mmap_bytes, size_t trim_bytes) {
    MUST(arenas > 0 && mmap_bytes <= INT32_MAX && trim_bytes <= INT32_MAX);
    IGNORE(mallopt(M_ARENA_MAX, arenas));
    IGNORE(mallopt(M_MMAP_THRESHOLD, (int)mmap_bytes));
    IGNORE(mallopt(M_TRIM_THRESHOLD, (int)trim_bytes));
}

void sys_heap_trim(void) { IGNORE(malloc_trim(0)); }

static void server_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void sys_signals_block(void) {
    sigset_t set;
    server_signals(&set);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

sys_signal sys_signals_wait(int64_t timeout_ms) {
    sigset_t set;
    server_signals(&set);
    struct timespec wait = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
    int got;
    do {
        got = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
    } while (got < 0 && errno == EINTR && timeout_ms < 0);
    if (got == SIGHUP) return SYS_SIGNAL_RELOAD;
    if (got < 0) return SYS_SIGNAL_NONE;
    sigdelset(&set, SIGHUP); /* a reload while stopping is nothing to die of */
    MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    return SYS_SIGNAL_STOP;
}

void sys_notify(str state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (n == 0 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') to.sun_path[0] = '\0'; /* the abstract name space */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    /* Nobody to tell that nobody listens. */
    IGNORE(sendto(fd, state.p, state.n, MSG_NOSIGNAL, (struct sockaddr *)&to, len));
    close(fd);
}
