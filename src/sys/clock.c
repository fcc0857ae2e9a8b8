#include "sys/clock.h"

#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(clockid_t id) {
    struct timespec ts;
    MUST(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static wall_ns real_wall(void *ctx) {
    (void)ctx;
    return (wall_ns){now_ns(CLOCK_REALTIME)};
}

static mono_ns real_mono(void *ctx) {
    (void)ctx;
    return (mono_ns){now_ns(CLOCK_MONOTONIC)};
}

static void real_sleep(void *ctx, int64_t ns) {
    (void)ctx;
    if (ns <= 0) return;
    struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

static const sys_clock_ops REAL_OPS = {real_wall, real_mono, real_sleep};
const sys_clock SYS_CLOCK_REAL = {&REAL_OPS, NULL};

int32_t sys_local_zone_s(void) {
    time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) != NULL ? (int32_t)local.tm_gmtoff : 0;
}

int64_t sys_cpu_ns(void) { return now_ns(CLOCK_PROCESS_CPUTIME_ID); }

/* VmHWM of /proc/self/status: getrusage's ru_maxrss also remembers what the process was before
 * exec. */
static size_t high_water_bytes(void) {
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[8192];
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    str rest = str_make(text, n > 0 ? (size_t)n : 0), line;
    while (str_next(&rest, '\n', &line)) {
        uint64_t kib;
        if (!str_starts(line, S("VmHWM:"))) continue;
        line = str_trim(str_from(line, 6));
        if (str_ends(line, S(" kB")) && num_u64(str_sub(line, 0, line.n - 3), &kib))
            return (size_t)kib * 1024;
    }
    return 0;
}

size_t sys_peak_rss_bytes(void) {
    size_t bytes = high_water_bytes();
    if (bytes) return bytes;
    struct rusage use;
    MUST(getrusage(RUSAGE_SELF, &use) == 0);
    return (size_t)use.ru_maxrss * 1024;
}
