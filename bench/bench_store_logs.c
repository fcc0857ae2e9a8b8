/* bench_store_logs - size and CPU of log blocks, without files and network.
 *
 *     bench_store_logs otlp FILE    frames u32 length, u32 count, ExportLogsServiceRequest
 *     bench_store_logs text FILE    lines as bodies of one resource, a millisecond apart
 *
 * Prints one line of figures, tab-separated names and values: bytes a record at level 0 and 1, CPU
 * nanoseconds a record of encoding and of merging. Every record of the merged blocks is compared
 * with what was sent when a third argument "check" is given. */
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "mine/mine.h"
#include "store/logblock_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REQUEST = 1000, MERGE_BYTES = 48 << 20 };

typedef struct block {
    block_info info;
    str payload;
} block;
typedef VEC(block) blocks;

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static rc keep(void *ctx, const block_info *info, str payload, err *e) {
    (void)e;
    blocks *to = ctx;
    char *p = mem_alloc(payload.n);
    memcpy(p, payload.p, payload.n);
    vec_push(to, (block){*info, {p, payload.n}});
    return RC_OK;
}

static _Noreturn void die(const char *what, const err *e) {
    fprintf(stderr, "bench_store_logs: %s%s%s\n", what, e ? ": " : "", e ? e->msg : "");
    exit(1);
}

typedef struct run {
    miner *m;
    blocks l0, l1;
    double encode_s;
    uint64_t records, raw_bytes;
} run;

static void add(run *r, telemetry *t) {
    err e = {0};
    if (miner_batch(r->m, &t->logs, &e)) die("mining", &e);
    double from = cpu_seconds();
    if (LOG_BLOCKS.encode(&t, 1, keep, &r->l0, &e)) die("encoding", &e);
    r->encode_s += cpu_seconds() - from;
    r->records += t->logs.count;
    telemetry_free(t);
}

static void read_otlp(run *r, FILE *f) {
    uint32_t head[2];
    while (fread(head, 4, 2, f) == 2) {
        telemetry *t = telemetry_new();
        t->body = mem_alloc(head[0]);
        t->body_bytes = head[0];
        if (fread(t->body, 1, head[0], f) != head[0]) die("short file", NULL);
        err e = {0};
        if (otlp_decode(OTLP_LOGS, OTLP_PROTOBUF, (str){t->body, head[0]}, t, &e))
            die("decoding", &e);
        r->raw_bytes += head[0];
        add(r, t);
    }
}

static void read_text(run *r, FILE *f) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int64_t now = 1785542400000000000;
    telemetry *t = NULL;
    while ((n = getline(&line, &cap, f)) >= 0) {
        if (n > 0 && line[n - 1] == '\n') n--;
        if (!t) {
            t = telemetry_new();
            t->arrival_ns = now;
        }
        log_record *rec = log_batch_add_over(&t->logs);
        if (!rec) die("batch is full", NULL);
        now += 1000000;
        rec->ts_ns = now;
        rec->body = str_dup(&t->logs.mem, (str){line, (size_t)n});
        r->raw_bytes += (size_t)n + 1;
        if (t->logs.count == REQUEST) {
            add(r, t);
            t = NULL;
        }
    }
    if (t) add(r, t);
    free(line);
}

static uint64_t rows_hash(const blocks *b) {
    uint64_t sum = 0;
    for (size_t i = 0; i < b->n; i++) {
        arena a;
        arena_init(&a, "check", COL_SCRATCH_MAX);
        lb_rows r;
        err e = {0};
        if (lb_get_rows(b->v[i].payload, &a, &r, &e)) die("reading", &e);
        buf text;
        buf_init(&text, 1 << 28);
        for (size_t k = 0; k < r.n; k++) {
            const lb_kind *kind = &r.t.kinds[r.kind[k]];
            const lb_schema *s = &r.t.schemas[kind->schema];
            uint64_t h =
                mix64((uint64_t)r.time[k] ^ kind->shape) ^ (uint64_t)r.observed[k] ^ r.bits[k];
            h = mix64(h ^ str_hash(kind->skel));
            for (uint32_t c = 0; c < kind->cells; c++) {
                str v = r.cells[r.first_cell[k] + c];
                h = mix64(h ^ (lb_cell_is_num(kind, s, c) ? v.n : str_hash(v)));
            }
            const resource *res = &r.t.resources[r.res[k]];
            for (uint32_t c = 0; c < res->attr_count; c++)
                h = mix64(h ^ str_hash(res->attrs[c].key) ^ str_hash(res->attrs[c].val));
            const lb_meta *m = &r.t.metas[r.meta[k]];
            h = mix64(h ^ m->severity ^ str_hash(m->severity_text) ^ m->flags);
            h = mix64(h ^ str_hash((str){(const char *)r.ids[k],
                                         (r.bits[k] & 1 ? 16u : 0) + (r.bits[k] & 2 ? 8u : 0)}));
            sum += h;
        }
        buf_release(&text);
        arena_release(&a);
    }
    return sum;
}

int main(int argc, char **argv) {
    if (argc < 3) die("usage: otlp|text FILE [check]", NULL);
    FILE *f = fopen(argv[2], "rb");
    if (!f) die("no such file", NULL);
    run r = {0};
    err e = {0};
    miner_opts opts = {0};
    if (miner_new(&opts, &r.m, &e)) die("miner", &e);
    if (strcmp(argv[1], "otlp") == 0)
        read_otlp(&r, f);
    else
        read_text(&r, f);
    fclose(f);

    block_io *io = mem_new_n(block_io, r.l0.n);
    block_info *info = mem_new_n(block_info, r.l0.n);
    uint64_t bytes0 = 0, bytes1 = 0;
    for (size_t i = 0; i < r.l0.n; i++) {
        io[i] = (block_io){.memory = r.l0.v[i].payload, .id = i};
        info[i] = r.l0.v[i].info;
        bytes0 += r.l0.v[i].payload.n;
    }
    double from = cpu_seconds();
    size_t bad;
    if (LOG_BLOCKS.merge(io, info, r.l0.n, MERGE_BYTES, keep, &r.l1, NULL, &bad, &e))
        die("merging", &e);
    double merge_s = cpu_seconds() - from;
    for (size_t i = 0; i < r.l1.n; i++) bytes1 += r.l1.v[i].payload.n;
    double n = (double)r.records;
    printf("records\t%" PRIu64 "\traw_bytes\t%" PRIu64
           "\tblocks\t%zu\tl0_bytes\t%.1f\tl1_bytes\t%.3f\tencode_ns\t%.0f\tmerge_ns\t%.0f\n",
           r.records, r.raw_bytes, r.l1.n, (double)bytes0 / n, (double)bytes1 / n,
           r.encode_s * 1e9 / n, merge_s * 1e9 / n);
    if (argc > 3) {
        if (rows_hash(&r.l0) != rows_hash(&r.l1)) die("merged rows differ from those sent", NULL);
        printf("rows are the same\n");
    }
    if (argc > 4) { /* a directory for the merged blocks */
        for (size_t i = 0; i < r.l1.n; i++) {
            char name[512];
            snprintf(name, sizeof name, "%s/%zu.block", argv[4], i);
            FILE *o = fopen(name, "wb");
            if (o && fwrite(r.l1.v[i].payload.p, 1, r.l1.v[i].payload.n, o)) fclose(o);
        }
    }
    return 0;
}
