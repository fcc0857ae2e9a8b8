/* read_driver.c - reads log files into nothing; for bench/read.
 *
 *     read_driver scan|merge|cut WORKERS FILE...
 *
 * scan, merge: a scan in any order or in order of time, null sink. cut: only what the reader thread
 * does (read, decompress, count lines, cut into blocks), nothing parsed but each block's last
 * record. Prints one line: decoded bytes, records, wall seconds, CPU seconds, peak RSS bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "ingest/reader_int.h"

static rc null_sink(void *ctx, unsigned worker, log_batch *b, err *e) {
    (void)ctx, (void)worker, (void)b, (void)e;
    return RC_OK;
}

static rc scan_files(const str *paths, size_t count, log_order order, unsigned workers,
                     uint64_t *ret_bytes, uint64_t *ret_records, err *e) {
    ingest_opts opts = {.paths = paths, .path_count = count};
    source src;
    rc r = ingest_files_new(&opts, &src, e);
    if (r != RC_OK) return r;
    log_scan scan = {.workers = workers, .order = order};
    r = src.ops->scan_logs(src.ctx, &scan, null_sink, NULL, e);
    source_report rep;
    src.ops->report(src.ctx, &rep);
    *ret_bytes = rep.bytes;
    *ret_records = rep.records;
    for (size_t i = 0; i < rep.count; i++)
        if (rep.inputs[i].problem.n > 0)
            fprintf(stderr, "%.*s: %.*s\n", STR_ARG(rep.inputs[i].name),
                    STR_ARG(rep.inputs[i].problem));
    src.ops->free(src.ctx);
    return r;
}

static rc cut_file(str path, uint64_t *bytes, err *e) {
    stream_opts so = {.fs = &SYS_FS_REAL, .path = path, .fd = -1, .max_ratio = 1000};
    stream *s;
    rc r = stream_open(&so, &s, e);
    if (r != RC_OK) return r;
    log_batch scratch;
    log_batch_init(&scratch);
    cutter c;
    cutter_init(&c, s, READ_BLOCK_BYTES, &scratch);
    log_format_opts fo = {0};
    log_format *format = NULL;
    r = log_format_detect(cutter_sample(&c), &fo, &format, e);
    c.format = format;
    block b[4] = {0}; /* as many as go round with one worker */
    for (size_t i = 0; r == RC_OK && cutter_next(&c, &b[i % 4], false) == RC_OK; i++)
        *bytes += b[i % 4].covered;
    for (size_t i = 0; i < 4; i++) block_release(&b[i]);
    cutter_release(&c);
    log_format_free(format);
    log_batch_release(&scratch);
    return r;
}

int main(int argc, char **argv) {
    enum { FILES_MAX = 64 };
    uint64_t workers = 0, bytes = 0, records = 0;
    if (argc < 4 || argc - 3 > FILES_MAX || !num_u64(str_c(argv[2]), &workers)) {
        fprintf(stderr, "usage: read_driver scan|merge|cut WORKERS FILE...\n");
        return 2;
    }
    str paths[FILES_MAX], mode = str_c(argv[1]);
    size_t count = (size_t)argc - 3;
    for (size_t i = 0; i < count; i++) paths[i] = str_c(argv[i + 3]);
    err e = {0};
    rc r = RC_OK;
    int64_t t0 = SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns, c0 = sys_cpu_ns();
    if (str_eq(mode, S("cut"))) {
        for (size_t i = 0; i < count && r == RC_OK; i++) r = cut_file(paths[i], &bytes, &e);
    } else {
        r = scan_files(paths, count, str_eq(mode, S("merge")) ? ORDER_TIME : ORDER_ANY,
                       (unsigned)workers, &bytes, &records, &e);
    }
    if (r != RC_OK) {
        fprintf(stderr, "read_driver: %s\n", e.msg);
        return 1;
    }
    int64_t t1 = SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns, c1 = sys_cpu_ns();
    printf("%" PRIu64 " %" PRIu64 " %.4f %.4f %zu\n", bytes, records, (double)(t1 - t0) / 1e9,
           (double)(c1 - c0) / 1e9, sys_peak_rss_bytes());
    return 0;
}
