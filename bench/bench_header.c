/* bench_header FILE...: reads each file as the program would and prints one line per record:
 * line number, lines, time, severity, service, component, body, separated by tabs (tabs inside
 * become spaces). "#" lines give format, counts and speed. With --speed only those. */
#include "codec/logformat.h"
#include "codec/timestamp.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static void put_field(str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        putchar(c == '\t' || c == '\n' || c == '\r' ? ' ' : c);
    }
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_batch(const log_batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        char ts[TS_TEXT_BYTES];
        ts_format(r->ts_ns, ts);
        printf("%llu\t%u\t%s\t%.*s\t", (unsigned long long)r->ref.line, r->line_count, ts,
               STR_ARG(severity_text(r->severity)));
        put_field(r->service);
        putchar('\t');
        put_field(r->component);
        putchar('\t');
        put_field(r->body);
        putchar('\n');
    }
}

static int run(const char *path, bool print) {
    int fd = open(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(path);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    const char *p = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED) {
        perror(path);
        return 1;
    }
    log_format_opts opts = {.now_ns = INT64_C(1795170645000000000)};
    log_format *f;
    err e = {0};
    double began = cpu_seconds();
    if (log_format_detect(str_make(p, MIN(size, (size_t)LOG_SAMPLE_BYTES)), &opts, &f, &e) !=
        RC_OK) {
        fprintf(stderr, "%s: %s\n", path, e.msg);
        return 1;
    }
    double detected = cpu_seconds();
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    size_t at = 0;
    while (at < size) {
        str chunk = str_make(p + at, MIN(size - at, (size_t)CHUNK));
        size_t whole = at + chunk.n < size ? log_format_boundary(f, chunk) : chunk.n;
        if (whole == 0) whole = chunk.n;
        size_t end = at + whole;
        while (at < end) {
            size_t used;
            if (log_format_parse(f, str_make(p + at, end - at), at, stats.lines + 1, &b, &stats,
                                 &used, &e) != RC_OK) {
                fprintf(stderr, "%s: %s\n", path, e.msg);
                return 1;
            }
            at += used;
            if (print) print_batch(&b);
            log_batch_reset(&b);
        }
    }
    double parsed = cpu_seconds();
    printf("# %s: %.*s\n", path, STR_ARG(log_format_describe(f)));
    printf("# lines %llu records %llu multi-line %llu unparsed %llu without time %llu; detect %.1f "
           "ms, "
           "parse %.0f MB/s\n",
           (unsigned long long)stats.lines, (unsigned long long)stats.records,
           (unsigned long long)stats.multi_line_records, (unsigned long long)stats.unparsed_lines,
           (unsigned long long)stats.records_without_time, 1e3 * (detected - began),
           (double)size / 1e6 / MAX(parsed - detected, 1e-9));
    log_batch_release(&b);
    log_format_free(f);
    munmap((void *)(uintptr_t)p, size ? size : 1);
    return 0;
}

int main(int argc, char **argv) {
    int failed = 0;
    bool print = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--speed") == 0)
            print = false;
        else
            failed |= run(argv[i], print);
    }
    return failed;
}
