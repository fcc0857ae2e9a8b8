/* bench_logs_query - what queries on stored logs cost, in the store, without network.
 *
 *     bench_logs_query FILE COPIES DIR    frames u32 length, u32 count, ExportLogsServiceRequest
 *
 * Stores the file's records COPIES times in DIR (later copies moved on in time, with other trace
 * ids, and without the bodies that hold the needle), compacts, and prints for each query its name,
 * CPU microseconds (mean of warm runs), and rows. Queries are asked in turn, so that the cache has
 * to serve them all; `fresh` ones differ each time. */
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "mine/mine.h"
#include "store/store.h"
#include "sys/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static _Noreturn void die(const char *what, const err *e) {
    fprintf(stderr, "bench_logs_query: %s%s%s\n", what, e ? ": " : "", e ? e->msg : "");
    exit(1);
}

enum { IDS = 1000, IN_FLIGHT = 32 };
static struct {
    uint8_t trace[IDS][16];
    char uuid[IDS][37];
    size_t traces, uuids, seen;
} known;

static void learn(const log_record *r, rng *g) {
    known.seen++;
    if (r->trace_bin.n == 16) {
        size_t at = known.traces < IDS ? known.traces++ : rng_below(g, IDS);
        memcpy(known.trace[at], r->trace_bin.p, 16);
    }
    size_t at = str_find(r->body, S("order "), 0);
    if (at == 0 && r->body.n > 42) {
        size_t k = known.uuids < IDS ? known.uuids++ : rng_below(g, IDS);
        memcpy(known.uuid[k], r->body.p + 6, 36);
        known.uuid[k][36] = 0;
    }
}

static void on_ack(void *ctx, rc code, const err *e) {
    if (code) die("append", e);
    IGNORE(sys_queue_push(ctx, ctx)); /* never closed */
}

static uint64_t load(store *s, const char *file, int copies) {
    miner *m;
    err e = {0};
    if (miner_new(NULL, &m, &e)) die("miner", &e);
    sys_queue *done = sys_queue_new(1024);
    rng g;
    rng_init(&g, 5);
    uint64_t records = 0;
    size_t in_flight = 0;
    int64_t length = 0, first = 0;
    for (int copy = 0; copy < copies; copy++) {
        FILE *f = fopen(file, "rb");
        if (!f) die("no such file", NULL);
        uint32_t head[2];
        while (fread(head, 4, 2, f) == 2) {
            telemetry *t = telemetry_new();
            t->body = mem_alloc(head[0]);
            t->body_bytes = head[0];
            if (fread(t->body, 1, head[0], f) != head[0]) die("short file", NULL);
            if (otlp_decode(OTLP_LOGS, OTLP_PROTOBUF, (str){t->body, head[0]}, t, &e))
                die("decoding", &e);
            size_t kept = 0;
            for (size_t i = 0; i < t->logs.count; i++) {
                log_record r = t->logs.rec[i];
                if (!first) first = r.ts_ns;
                if (copy == 0) length = MAX(length, r.ts_ns - first + 1);
                if (copy && str_has(r.body, S("NEEDLE"))) continue;
                r.ts_ns += copy * length;
                if (r.observed_ns) r.observed_ns += copy * length;
                if (copy && r.trace_bin.n) {
                    char *p = arena_bytes(&t->mem, 24, 1);
                    memcpy(p, r.trace_bin.p, 16);
                    p[0] = (char)(p[0] ^ copy);
                    p[9] = (char)(p[9] + copy);
                    r.trace_bin = (str){p, 16};
                    r.span_bin.p = p;
                }
                learn(&r, &g);
                t->logs.rec[kept++] = r;
            }
            t->logs.count = kept;
            records += kept;
            if (miner_batch(m, &t->logs, &e)) die("mining", &e);
            /* Many in flight, so that commits are shared. */
            if (s->ops->append(s, t, on_ack, done)) die("append", NULL);
            void *p;
            if (++in_flight == IN_FLIGHT) {
                IGNORE(sys_queue_pop(done, &p)); /* never closed */
                in_flight--;
            }
        }
        fclose(f);
    }
    void *p;
    for (; in_flight; in_flight--) IGNORE(sys_queue_pop(done, &p)); /* never closed */
    sys_queue_free(done);
    miner_free(m);
    return records;
}

typedef struct tally {
    uint64_t rows, bytes;
} tally;

static rc on_rows(void *ctx, unsigned worker, log_batch *b, err *e) {
    (void)worker, (void)e;
    tally *t = ctx;
    t->rows += b->count;
    for (size_t i = 0; i < b->count; i++) t->bytes += b->rec[i].body.n;
    return RC_OK;
}
static rc on_count(void *ctx, const log_count *c, err *e) {
    (void)e;
    tally *t = ctx;
    t->rows += c->records;
    t->bytes++;
    return RC_OK;
}

typedef struct question {
    const char *name;
    line_op op;
    const char *text;
    const char *service;
    bool trace, uuid, count, newest;
    const char *label;
    uint64_t limit;
    bool fresh;
    /* results */
    double us, worst_us;
    uint64_t rows, runs;
} question;

static question all[] = {
    {.name = "needle", .text = "NEEDLE-7f3a9c51"},
    {.name = "trace id", .trace = true},
    {.name = "trace id, another each time", .trace = true, .fresh = true},
    {.name = "uuid, another each time", .uuid = true, .fresh = true},
    {.name = "regex", .op = LINE_RE, .text = "order .* total 1\\d+\\."},
    {.name = "regex in one service",
     .op = LINE_RE,
     .text = "order .* total 1\\d+\\.",
     .service = "checkout"},
    {.name = "regex without literals",
     .op = LINE_RE,
     .text = "(GET|POST) /api/v1/\\w+/9\\d+ 50[03]"},
    {.name = "word, most rows, count", .text = "took", .count = true},
    {.name = "count per service and minute", .count = true},
    {.name = "count per level and minute", .count = true, .label = "level"},
    {.name = "count per logger and minute", .count = true, .label = "logger"},
    {.name = "newest 100", .newest = true, .limit = 100},
    {.name = "newest 100 of a service with a word",
     .newest = true,
     .limit = 100,
     .text = "timeout",
     .service = "checkout"},
    {.name = "absent word", .text = "zebra crossing"},
    {.name = "absent number", .text = "99999999999"},
};

static void ask(store *s, question *x, size_t run) {
    size_t k = x->fresh ? (run * 37) % IDS : 3;
    line_filter line = {.text = str_c(x->uuid ? known.uuid[k] : x->text), .op = x->op};
    label_match match = {.name = S("service_name"), .value = str_c(x->service), .op = MATCH_EQ};
    log_select q = {.lines = &line,
                    .line_count = line.text.n > 0,
                    .c = {.workers = 1,
                          .match = &match,
                          .match_count = x->service != NULL,
                          .limit = x->limit,
                          .order = x->newest ? SELECT_NEWEST_FIRST : SELECT_ANY},
                    .want = LOG_WANT_ATTRS | LOG_WANT_IDS};
    if (x->trace) q.trace_id = (str){(char *)known.trace[k], 16};
    str labels[] = {x->label ? str_c(x->label) : S("service_name")};
    log_count_by by = {.labels = labels, .label_count = 1, .step_ns = 60000000000};
    tally t = {0};
    select_stats st = {0};
    err e = {0};
    double from = cpu_seconds();
    rc code = x->count ? s->ops->count_logs(s, &q, &by, on_count, &t, &st, &e)
                       : s->ops->logs(s, &q, on_rows, &t, &st, &e);
    double us = (cpu_seconds() - from) * 1e6;
    if (code) die("query", &e);
    if (run > 0) { /* warm ones */
        x->us += us;
        x->runs++;
    } else {
        x->worst_us = us;
    }
    x->rows = t.rows;
}

int main(int argc, char **argv) {
    if (argc < 4) die("usage: FILE COPIES DIR", NULL);
    store_opts opts = {.dir = str_c(argv[3]), .no_background = true};
    store *s;
    err e = {0};
    if (store_open(&opts, &s, &e)) die("open", &e);
    double from = cpu_seconds();
    uint64_t records = load(s, argv[1], atoi(argv[2])); /* 0 copies: what is stored already */
    double loaded = cpu_seconds();
    if (s->ops->compact(s, NULL, &e)) die("compact", &e);
    double compacted = cpu_seconds();
    store_stats st;
    s->ops->stats(s, &st);
    printf("records\t%" PRIu64 "\tbytes a record\t%.3f\tblocks\t%" PRIu64
           "\tload us\t%.3f\tcompact us\t%.3f\n",
           records, (double)st.disk_bytes / (double)records, st.signal[SIGNAL_LOGS].blocks,
           (loaded - from) / (double)records * 1e6, (compacted - loaded) / (double)records * 1e6);
    size_t runs = argc > 4 ? (size_t)atoi(argv[4]) : 30;
    if (argc > 6) { /* one query only, named by its beginning */
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            if (!strstr(all[i].name, argv[6])) continue;
            for (size_t run = 0; run < runs; run++) ask(s, &all[i], run);
        }
    } else /* Each query again and again, or (a fifth argument) all in turn: then the cache has to
            * serve them all. */
        if (argc > 5) {
            for (size_t run = 0; run < runs; run++) {
                for (size_t i = 0; i < ARRAY_LEN(all); i++) ask(s, &all[i], run);
            }
        } else {
            for (size_t i = 0; i < ARRAY_LEN(all); i++) {
                for (size_t run = 0; run < runs; run++) ask(s, &all[i], run);
            }
        }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        printf("%-40s\t%9.0f us\tfirst %9.0f us\t%" PRIu64 " rows\n", all[i].name,
               all[i].us / (double)MAX(all[i].runs, 1u), all[i].worst_us, all[i].rows);
    store_close(s);
    return 0;
}
