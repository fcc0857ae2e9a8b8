/* mine_driver.c - the log mining library on a file of messages, one a line; used by bench/mine and
 * bench/mine-speed.
 *
 *   mine_driver FILE              line number <TAB> template id <TAB> template text, for every line
 *   mine_driver --raw FILE        the same for lines with headers, which are cut off unaided
 *   mine_driver --speed FILE [N]  learns and assigns the first N lines; prints figures
 *
 * --without RULE (part, word-slot, variety, twin, held), --variety-min N, --shared-min N,
 * --context-min N and
 * --rounds N in front change the grouping, to measure what a rule is worth. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "codec/logformat.h"
#include "mine/mine_int.h"

static str map_file(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        perror(path);
        exit(1);
    }
    str s = {0};
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (p == MAP_FAILED) {
            perror(path);
            exit(1);
        }
        s = str_make(p, (size_t)st.st_size);
    }
    close(fd);
    return s;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool next_line(str *rest, str *line) {
    if (rest->n == 0) return false;
    const char *nl = memchr(rest->p, '\n', rest->n);
    size_t n = nl ? (size_t)(nl - rest->p) : rest->n;
    *line = str_make(rest->p, n);
    *rest = str_from(*rest, nl ? n + 1 : n);
    return true;
}

/* Takes one option and its value off the command line into t. */
static bool tune(mine_tuning *t, const char *option, const char *value) {
    uint32_t n = (uint32_t)strtoul(value, NULL, 10);
    if (strcmp(option, "--variety-min") == 0)
        t->variety_min = n;
    else if (strcmp(option, "--held-min") == 0)
        t->held_min = n;
    else if (strcmp(option, "--shared-min") == 0)
        t->shared_min = n;
    else if (strcmp(option, "--context-min") == 0)
        t->context_min = n;
    else if (strcmp(option, "--rounds") == 0)
        t->rounds_max = n;
    else if (strcmp(option, "--without") != 0)
        return false;
    else if (strcmp(value, "twin") == 0)
        t->twin = false;
    else if (strcmp(value, "held") == 0)
        t->held = false;
    else if (strcmp(value, "part") == 0)
        t->part = false;
    else if (strcmp(value, "word-slot") == 0)
        t->word_slot = false;
    else if (strcmp(value, "variety") == 0)
        t->variety = false;
    else
        return false;
    return true;
}

static void print_line(const miner *m, size_t number, uint64_t shape_id) {
    template_info t = {0};
    IGNORE(miner_template(m, shape_id, &t)); /* unknown: id 0 and no text */
    printf("%zu\t%016llx\t%.*s\n", number, (unsigned long long)t.id, STR_ARG(t.text));
}

/* Lines with headers: the format is found, the messages are mined. */
static int run_raw(miner *m, str text) {
    log_format *f;
    log_format_opts opts = {0};
    err e = {0};
    if (log_format_detect(str_sub(text, 0, LOG_SAMPLE_BYTES), &opts, &f, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    size_t records = 0, cap = 1024;
    struct {
        uint64_t line, shape_id;
    } *all = malloc(cap * sizeof(*all));
    for (size_t at = 0; all && at < text.n;) {
        size_t used;
        log_batch_reset(&b);
        if (log_format_parse(f, str_from(text, at), at, stats.lines + 1, &b, &stats, &used, &e) ||
            miner_batch(m, &b, &e)) {
            fprintf(stderr, "%s\n", e.msg);
            return 1;
        }
        while (records + b.count > cap) all = realloc(all, (cap *= 2) * sizeof(*all));
        if (!all) return 1;
        for (size_t i = 0; i < b.count; i++) {
            all[records].line = b.rec[i].ref.line;
            all[records++].shape_id = b.rec[i].shape;
        }
        if (used == 0) break;
        at += used;
    }
    miner_group(m);
    for (size_t i = 0; all && i < records; i++) print_line(m, all[i].line, all[i].shape_id);
    free(all);
    log_batch_release(&b);
    log_format_free(f);
    return 0;
}

int main(int argc, char **argv) {
    mine_tuning tuning = group_tuning();
    while (argc > 3 && tune(&tuning, argv[1], argv[2])) {
        argv += 2;
        argc -= 2;
    }
    bool speed = argc > 2 && strcmp(argv[1], "--speed") == 0;
    bool raw = argc > 2 && strcmp(argv[1], "--raw") == 0;
    const char *path = speed || raw ? argv[2] : argc > 1 ? argv[1] : NULL;
    if (!path) {
        fprintf(stderr, "usage: mine_driver [--speed] FILE [LINES]\n");
        return 2;
    }
    size_t limit = speed && argc > 3 ? strtoull(argv[3], NULL, 10) : SIZE_MAX;
    str text = map_file(path), rest = text, line;
    size_t lines = 0, bytes = 0;
    for (; lines < limit && next_line(&rest, &line); lines++) bytes += line.n + 1;
    uint64_t *line_shape = calloc(lines + 1, sizeof(*line_shape));
    if (!line_shape) return 1;
    memset(line_shape, 0, (lines + 1) * sizeof(*line_shape));

    miner *m;
    err e = {0};
    if (miner_new(NULL, &m, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    m->tuning = tuning;
    if (raw) {
        int code = run_raw(m, text);
        miner_free(m);
        return code;
    }
    log_slot slots[SLOTS_MAX];
    uint64_t slot_total = 0;
    double t0 = cpu_seconds();
    rest = text;
    for (size_t i = 0; i < lines && next_line(&rest, &line); i++) {
        uint32_t n;
        line_shape[i] = miner_add(m, line, slots, SLOTS_MAX, &n);
        slot_total += n;
    }
    double t1 = cpu_seconds();
    miner_group(m);
    double t2 = cpu_seconds();
    uint64_t unknown = 0, check = 0;
    if (speed) {
        for (size_t i = 0; i < lines; i++) {
            uint64_t id = miner_template_of(m, line_shape[i]);
            unknown += id == 0;
            check ^= id;
        }
        double t3 = cpu_seconds();
        miner_counts c;
        miner_count(m, &c);
        printf("lines %zu bytes %zu learn %.3f s group %.4f s assign %.3f s = %.2f M lines/s "
               "(learn alone %.2f, %.2f GB/s) shapes %llu templates %llu overflow %llu unknown "
               "%llu slots %.1f/line memory %.1f MB check %llx\n",
               lines, bytes, t1 - t0, t2 - t1, t3 - t2, (double)lines / (t3 - t0) / 1e6,
               (double)lines / (t1 - t0) / 1e6, (double)bytes / (t1 - t0) / 1e9,
               (unsigned long long)c.shapes, (unsigned long long)c.templates,
               (unsigned long long)c.overflow, (unsigned long long)unknown,
               (double)slot_total / (double)(lines ? lines : 1), (double)c.bytes / 1e6,
               (unsigned long long)(check & 0xff));
    } else {
        for (size_t i = 0; i < lines; i++) {
            print_line(m, i + 1, line_shape[i]);
        }
    }
    miner_free(m);
    free(line_shape);
    return 0;
}
