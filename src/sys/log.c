/* log.c - one line, one write(2): lines of different threads never mix. The state (threshold,
 * counts per event) is one of the few mutable globals that house style 7 allows. An event is known
 * by the address of its static name, so counting costs no hashing of text. */
#include "sys/log.h"

#include "base/buf.h"
#include "sys/fs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

typedef struct event_count {
    const char *event;
    int64_t second; /* of the monotonic clock */
    unsigned written;
    uint64_t suppressed;
} event_count;

static struct {
    pthread_mutex_t lock; /* guards `events` */
    atomic_int threshold;
    int fd;             /* set before threads start */
    sys_clock clock;    /* likewise */
    sys_log_tee_fn tee; /* likewise */
    void *tee_ctx;
    event_count events[SYS_LOG_EVENTS + 1]; /* the last one: all events beyond */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .threshold = SYS_LOG_WARN, .fd = STDERR_FILENO};

static const str LEVELS[] = {S_INIT("debug"), S_INIT("info"), S_INIT("warn"), S_INIT("error"),
                             S_INIT("off")};

void sys_log_setup(sys_log_level threshold, int fd, sys_clock clock) {
    MUST((unsigned)threshold < ARRAY_LEN(LEVELS));
    pthread_mutex_lock(&state.lock);
    atomic_store(&state.threshold, (int)threshold);
    state.fd = fd;
    state.clock = clock;
    memset(state.events, 0, sizeof state.events);
    pthread_mutex_unlock(&state.lock);
}

bool sys_log_on(sys_log_level level) {
    return (int)level >= atomic_load_explicit(&state.threshold, memory_order_relaxed);
}

void sys_log_threshold(sys_log_level threshold) {
    MUST((unsigned)threshold < ARRAY_LEN(LEVELS));
    atomic_store(&state.threshold, (int)threshold);
}

void sys_log_tee(sys_log_tee_fn fn, void *ctx) {
    pthread_mutex_lock(&state.lock);
    state.tee = fn;
    state.tee_ctx = ctx;
    pthread_mutex_unlock(&state.lock);
}

bool sys_log_level_from(str name, sys_log_level *ret) {
    for (size_t i = 0; i < ARRAY_LEN(LEVELS); i++) {
        if (!str_eq_nocase(name, LEVELS[i])) continue;
        *ret = (sys_log_level)i;
        return true;
    }
    return false;
}

/* Under the lock. False when the line is left out; *ret_suppressed: how many were before this one.
 */
static bool may_write(const char *event, int64_t second, uint64_t *ret_suppressed) {
    size_t i = 0;
    while (i < SYS_LOG_EVENTS && state.events[i].event && state.events[i].event != event) i++;
    event_count *c = &state.events[i];
    c->event = event;
    if (c->second != second) c->second = second, c->written = 0;
    if (c->written >= SYS_LOG_BURST) {
        c->suppressed++;
        return false;
    }
    c->written++;
    *ret_suppressed = c->suppressed;
    c->suppressed = 0;
    return true;
}

static bool is_plain(str v) {
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\') return false;
    }
    return v.n > 0;
}

static bool put_field(buf *b, const sys_log_field *f) {
    if (f->kind == SYS_LOG_TEXT && f->text.n == 0) return true;
    if (!buf_putc(b, ' ') || !buf_put(b, str_c(f->key)) || !buf_putc(b, '=')) return false;
    switch (f->kind) {
    case SYS_LOG_TEXT:
        return is_plain(f->text) ? buf_put(b, f->text) : buf_json(b, f->text);
    case SYS_LOG_NUMBER:
        return buf_i64(b, f->number);
    case SYS_LOG_REAL:
        return buf_double(b, f->real);
    }
    return true;
}

static void put_time(buf *b, wall_ns now) {
    time_t s = now.ns / 1000000000;
    struct tm tm;
    if (!gmtime_r(&s, &tm)) return;
    buf_fmt(b, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
            tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.ns / 1000000 % 1000));
}

void sys_log_write(sys_log_level level, const char *event, const sys_log_field *fields,
                   size_t count) {
    static const str CUT = S_INIT(" cut=true");
    MUST(level >= SYS_LOG_DEBUG && level < SYS_LOG_OFF);
    if (!sys_log_on(level)) return;
    sys_clock clock = state.clock.ops ? state.clock : SYS_CLOCK_REAL;
    int64_t second = clock.ops->mono(clock.ctx).ns / 1000000000;
    uint64_t suppressed = 0;
    pthread_mutex_lock(&state.lock);
    bool write = may_write(event, second, &suppressed);
    sys_log_tee_fn tee = state.tee;
    void *tee_ctx = state.tee_ctx;
    pthread_mutex_unlock(&state.lock);
    if (!write) return;

    wall_ns now = clock.ops->wall(clock.ctx);
    if (tee) tee(tee_ctx, now.ns, level, event, fields, count);
    buf b;
    buf_init(&b, SYS_LOG_LINE_BYTES - CUT.n - 1);
    put_time(&b, now);
    buf_fmt(&b, " level=%.*s event=%s", STR_ARG(LEVELS[level]), event);
    if (suppressed) buf_fmt(&b, " suppressed=%" PRIu64, suppressed);
    bool cut = false;
    for (size_t i = 0; i < count && !cut; i++) {
        size_t before = b.n;
        cut = !put_field(&b, &fields[i]);
        if (cut) b.n = before;
    }
    b.max_bytes = SYS_LOG_LINE_BYTES; /* the room kept for the end of the line */
    if (cut) buf_put(&b, CUT);
    buf_putc(&b, '\n');
    /* There is nowhere to report that the log cannot be written. */
    IGNORE(SYS_FS_REAL.ops->write(NULL, state.fd, b.p, b.n, NULL));
    buf_release(&b);
}
