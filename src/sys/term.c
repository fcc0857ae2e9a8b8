/* term.c - the terminal as the environment describes it, and the progress bar.
 *
 *     reading app.log  ████████▍           42%  430 MB  215 MB/s  3 s left
 *
 * The bar is built of eighths of a block where the locale is UTF-8, of '#' elsewhere. The rate is
 * the average since the start: it does not jump, and the time left follows from it. The line is cut
 * to the width of the terminal, because a line that wraps cannot be erased. */
#include "sys/term.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "sys/cancel.h"
#include "sys/fs.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DEFAULT_COLUMNS = 80,
    COLUMNS_MAX = 1000,
    BAR_CELLS = 20,
    TITLE_COLUMNS = 30,
    LINE_BYTES = 4 * COLUMNS_MAX,
    NS_PER_S = 1000000000,
    SILENT_NS = NS_PER_S,
    REDRAW_NS = NS_PER_S / 10,
};

const char *sys_env(const char *name) { return getenv(name); }

static str env(const char *name) { return str_c(getenv(name)); }

bool sys_is_terminal(int fd) { return isatty(fd) == 1; }

sys_input sys_input_state(int fd, int wait_ms) {
    struct stat st, null;
    if (fstat(fd, &st) != 0) return SYS_INPUT_EMPTY; /* closed */
    if (S_ISREG(st.st_mode)) {
        off_t at = lseek(fd, 0, SEEK_CUR);
        return st.st_size <= MAX(at, (off_t)0) ? SYS_INPUT_EMPTY : SYS_INPUT_SOME;
    }
    if (S_ISCHR(st.st_mode)) {
        bool nothing =
            !sys_is_terminal(fd) && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev;
        return nothing ? SYS_INPUT_EMPTY : SYS_INPUT_SOME;
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int found;
    while ((found = poll(&p, 1, wait_ms)) < 0 && errno == EINTR) {
        if (sys_cancelled()) return SYS_INPUT_SOME; /* the reader finds out */
    }
    if (found == 0) return SYS_INPUT_IDLE;
    if (!(p.revents & POLLIN)) return SYS_INPUT_EMPTY;
    int waiting = 1;
    bool ended = S_ISSOCK(st.st_mode) && ioctl(fd, FIONREAD, &waiting) == 0 && waiting == 0;
    return ended ? SYS_INPUT_EMPTY : SYS_INPUT_SOME;
}

unsigned sys_term_width(int fd) {
    uint64_t columns;
    if (num_u64(env("COLUMNS"), &columns) && columns > 0)
        return (unsigned)MIN(columns, (uint64_t)COLUMNS_MAX);
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return MIN(size.ws_col, (unsigned)COLUMNS_MAX);
    return DEFAULT_COLUMNS;
}

bool sys_term_color(int fd) {
    str term = env("TERM");
    return sys_is_terminal(fd) && env("NO_COLOR").n == 0 && term.n > 0 && !str_eq(term, S("dumb"));
}

bool sys_term_utf8(void) {
    static const char *const NAMES[] = {"LC_ALL", "LC_CTYPE",
                                        "LANG"}; /* the first one set decides */
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        str v = env(NAMES[i]);
        if (v.n == 0) continue;
        return str_find_nocase(v, S("utf-8"), 0) != STR_NPOS ||
               str_find_nocase(v, S("utf8"), 0) != STR_NPOS;
    }
    return false;
}

/* ---- progress ---------------------------------------------------------------------------------
 */

struct sys_progress {
    sys_progress_opts opts;
    arena mem; /* the title, then scratch */
    str title;
    buf line;
    int64_t started_ns, next_ns;
    bool drawn;
};

sys_progress *sys_progress_new_with(str title, const sys_progress_opts *opts) {
    sys_progress *p = mem_new(sys_progress);
    p->opts = *opts;
    arena_init(&p->mem, "progress", 64 << 10);
    buf_init(&p->line, LINE_BYTES);
    /* The title may hold a file's name: no control characters go to the terminal. */
    str shown = utf8_cut_columns(title, TITLE_COLUMNS);
    char *own = arena_bytes(&p->mem, MIN(shown.n, (size_t)4 * TITLE_COLUMNS), 1);
    size_t n = MIN(shown.n, (size_t)4 * TITLE_COLUMNS);
    for (size_t i = 0; i < n; i++)
        own[i] = (unsigned char)shown.p[i] < 0x20 || shown.p[i] == 0x7F ? '?' : shown.p[i];
    p->title = str_make(own, n);
    p->started_ns = opts->clock.ops->mono(opts->clock.ctx).ns;
    p->next_ns = p->started_ns + SILENT_NS;
    return p;
}

sys_progress *sys_progress_new(str title) {
    sys_progress_opts opts = {
        .clock = SYS_CLOCK_REAL,
        .fd = STDERR_FILENO,
        .columns = sys_term_width(STDERR_FILENO),
        .terminal = sys_is_terminal(STDERR_FILENO),
        .utf8 = sys_term_utf8(),
    };
    return sys_progress_new_with(title, &opts);
}

static void put_bar(buf *b, double share, bool utf8) {
    static const char *const EIGHTHS[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    unsigned steps = (unsigned)(share * BAR_CELLS * 8);
    unsigned full = steps / 8, rest = utf8 ? steps % 8 : 0;
    for (unsigned i = 0; i < full; i++) buf_put(b, utf8 ? S("█") : S("#"));
    if (rest) buf_put(b, str_c(EIGHTHS[rest]));
    buf_pad(b, utf8 ? ' ' : '.', BAR_CELLS - full - (rest != 0));
}

static str amount(arena *tmp, uint64_t n, str unit) {
    if (str_eq(unit, S("B"))) return num_bytes_text(tmp, n);
    return str_fmt(tmp, "%.*s %.*s", STR_ARG(num_count_text(tmp, n)), STR_ARG(unit));
}

static void send(const sys_progress *p, str text) {
    /* A bar that cannot be drawn is no reason to fail. */
    IGNORE(SYS_FS_REAL.ops->write(NULL, p->opts.fd, text.p, text.n, NULL));
}

static void draw(sys_progress *p, int64_t elapsed_ns, uint64_t done, uint64_t total, str unit) {
    arena_mark before = arena_save(&p->mem);
    buf *b = &p->line;
    buf_reset(b);
    buf_put(b, p->title);
    double rate = (double)done / ((double)elapsed_ns / NS_PER_S);
    if (total) {
        double share = done < total ? (double)done / (double)total : 1;
        buf_put(b, S("  "));
        put_bar(b, share, p->opts.utf8);
        buf_fmt(b, " %3u%%", (unsigned)(share * 100));
    }
    buf_fmt(b, "  %.*s", STR_ARG(amount(&p->mem, done, unit)));
    buf_fmt(b, "  %.*s/s", STR_ARG(amount(&p->mem, (uint64_t)rate, unit)));
    if (total > done && rate > 0) {
        double left_s = (double)(total - done) / rate;
        if (left_s < 1e6) {
            int64_t whole_s = (int64_t)(left_s + 0.999); /* whole seconds: tenths would flicker */
            buf_fmt(b, "  %.*s left", STR_ARG(num_duration_text(&p->mem, whole_s * NS_PER_S)));
        }
    }
    str line = utf8_cut_columns(buf_str(b), p->opts.columns > 1 ? p->opts.columns - 1 : 1);
    send(p, str_fmt(&p->mem, "\r%.*s\x1b[K", STR_ARG(line)));
    p->drawn = true;
    arena_restore(&p->mem, before);
}

void sys_progress_step(sys_progress *p, uint64_t done, uint64_t total, str unit) {
    if (!p->opts.terminal) return;
    int64_t now = p->opts.clock.ops->mono(p->opts.clock.ctx).ns;
    if (now < p->next_ns) return;
    p->next_ns = now + REDRAW_NS;
    draw(p, now - p->started_ns, done, total, unit);
}

void sys_progress_free(sys_progress *p) {
    if (!p) return;
    if (p->drawn) send(p, S("\r\x1b[K"));
    buf_release(&p->line);
    arena_release(&p->mem);
    mem_free(p);
}
