/* detect_driver.c - runs mining, profile and detectors over whole plain files in memory and prints
 * the findings, one a line: level, kind, bits, onset, records, first line number, service, subject,
 * template. For measuring detection apart from reading and reporting. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/vec.h"
#include "codec/logformat.h"
#include "detect/detect.h"

static str read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *p = mem_alloc(size + 1);
    size_t n = fread(p, 1, size, f);
    fclose(f);
    return (str){p, n};
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(rc r, const err *e) {
    if (r == RC_OK) return;
    fprintf(stderr, "%s\n", e->msg);
    exit(1);
}

static double feed_s, mine_s, parse_s;

static void feed(const char *path, uint32_t file, miner *m, log_profile *p) {
    err e = {0};
    str text = read_file(path);
    log_format *fmt;
    must(log_format_detect(str_sub(text, 0, LOG_SAMPLE_BYTES),
                           &(log_format_opts){.now_ns = (int64_t)time(NULL) * 1000000000}, &fmt,
                           &e),
         &e);
    log_batch b;
    log_batch_init(&b);
    log_parse_stats st = {0};
    size_t at = 0;
    while (at < text.n) {
        str rest = str_from(text, at), chunk = str_sub(rest, 0, 4 << 20);
        if (chunk.n < rest.n) {
            size_t whole = log_format_boundary(fmt, chunk);
            if (whole) chunk.n = whole;
        }
        log_batch_reset(&b);
        b.file = file;
        size_t used;
        double t0 = seconds();
        must(log_format_parse(fmt, chunk, at, st.lines + 1, &b, &st, &used, &e), &e);
        if (!used) break;
        for (size_t i = 0; i < b.count; i++) b.rec[i].ref.file = file;
        double t1 = seconds();
        must(miner_batch(m, &b, &e), &e);
        double t2 = seconds();
        must(log_profile_feed(p, &b, &e), &e);
        feed_s += seconds() - t2;
        mine_s += t2 - t1;
        parse_s += t1 - t0;
        at += used;
    }
    log_batch_release(&b);
    log_format_free(fmt);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: detect_driver FILE...\n");
        return 2;
    }
    err e = {0};
    miner *m;
    must(miner_new(&(miner_opts){0}, &m, &e), &e);
    str *services = mem_new_n(str, (size_t)argc);
    for (int i = 1; i < argc; i++) {
        str name = str_c(argv[i]);
        size_t slash = str_rfind_char(name, '/');
        if (slash != STR_NPOS) name = str_from(name, slash + 1);
        services[i - 1] = str_sub(name, 0, str_find_char(name, '.', 0));
    }
    log_profile *p = log_profile_new(
        &(log_profile_opts){.input_services = services, .input_count = (size_t)argc - 1});
    for (int i = 1; i < argc; i++) feed(argv[i], (uint32_t)(i - 1), m, p);
    miner_group(m);
    finding_set found;
    finding_set_init(&found);
    detect_summary sum;
    double t0 = seconds();
    must(detect_logs(p, m, NULL, &found, &sum, &e), &e);
    double t1 = seconds();
    profile_totals t;
    log_profile_totals(p, &t);
    printf(
        "# %zu records, %zu series, bucket %g s, parse %.0f mine %.0f feed %.0f ns/record, detect "
        "%.0f ms%s%.*s\n",
        (size_t)t.records, t.series, (double)t.bucket_ns * 1e-9, parse_s * 1e9 / (double)t.records,
        mine_s * 1e9 / (double)t.records, feed_s * 1e9 / (double)t.records, (t1 - t0) * 1e3,
        sum.undetermined ? " UNDETERMINED " : "", STR_ARG(sum.why_undetermined));
    for (size_t i = 0; i < found.items.n; i++) {
        const finding *f = &found.items.v[i];
        time_t onset = (time_t)(f->onset_ns / 1000000000);
        struct tm tm;
        char when[32] = "-";
        if (f->onset_ns != TS_NONE && gmtime_r(&onset, &tm)) {
            strftime(when, sizeof(when), "%m-%dT%H:%M:%S", &tm);
        }
        str level = finding_level_name(f->level), kind = finding_kind_name(f->kind);
        printf("%.*s\t%.*s\t%.1f\t%s\tn=%zu\tobs=%.3g exp=%.3g %.*s\tmeaning %.2f sev %u\tline "
               "%zu\t%.*s\t%.*s\t%.*s\n",
               STR_ARG(level), STR_ARG(kind), f->surprise_bits, when, (size_t)f->record_count,
               f->observed, f->expected, STR_ARG(f->unit), f->failure_meaning, f->severity,
               f->ref_count ? (size_t)f->refs[0].line : 0, STR_ARG(f->service), STR_ARG(f->subject),
               (int)MIN(f->template_text.n, (size_t)120), f->template_text.p);
    }
    finding_set_release(&found);
    log_profile_free(p);
    miner_free(m);
    mem_free(services);
    return 0;
}
