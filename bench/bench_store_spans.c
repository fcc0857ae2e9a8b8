/* bench_store_spans.c - blocks of spans without files around them: FILE holds frames (u32 length,
 * u32 records, ExportTraceServiceRequest) as the load generator writes them. Each frame is decoded,
 * encoded at level 0, and its edges counted; then all are merged. CPU time of one core. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/spanblock_int.h"

enum { BLOCKS_MAX = 1 << 16, MERGE_BYTES = 256 << 20 };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

typedef struct list {
    block_info *info;
    block_io *io;
    size_t count;
    uint64_t bytes, rows;
} list;

static rc keep(void *ctx, const block_info *info, str payload, err *e) {
    list *l = ctx;
    (void)e;
    MUST(l->count < BLOCKS_MAX);
    char *p = mem_alloc(payload.n);
    memcpy(p, payload.p, payload.n);
    l->info[l->count] = *info;
    l->io[l->count] = (block_io){.memory = str_make(p, payload.n), .id = l->count + 1};
    l->count++;
    l->bytes += payload.n;
    l->rows += info->rows;
    return RC_OK;
}

static list list_new(void) {
    return (list){.info = mem_new_n(block_info, BLOCKS_MAX), .io = mem_new_n(block_io, BLOCKS_MAX)};
}

static void parts_of(const list *l) {
    enum { IDS = 1 << 14 };
    uint64_t *bytes = mem_new_n(uint64_t, IDS);
    for (size_t i = 0; i < l->count; i++) {
        arena mem;
        arena_init(&mem, "bench", 1 << 30);
        parts p;
        MUST(parts_open(&p, &l->io[i], l->info[i].bytes, BLOCK_SPANS, SPAN_BLOCK_VERSION, &mem,
                        NULL) == RC_OK);
        for (size_t k = 0; k < p.count; k++) {
            if (p.entries[k].id < IDS) bytes[p.entries[k].id] += p.entries[k].bytes;
        }
        parts_close(&p);
        arena_release(&mem);
    }
    for (size_t k = 0; k < IDS; k++) {
        if (bytes[k] * 1000 > l->bytes)
            printf("  part %5zu %7.3f B\n", k, (double)bytes[k] / (double)l->rows);
    }
    mem_free(bytes);
}

int main(int argc, char **argv) {
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!f) {
        fprintf(stderr, "usage: %s otlp_spans.bin [-v]\n", argv[0]);
        return 2;
    }
    list l0 = list_new(), edges = list_new(), l1 = list_new();
    double decode = 0, encode = 0, edge = 0;
    edge_builder *eb = edge_builder_new();
    uint32_t head[2];
    err e = {0};
    int64_t now_ns = 1785542400000000000;
    while (fread(head, 1, sizeof head, f) == sizeof head) {
        char *body = mem_alloc(head[0]);
        MUST(fread(body, 1, head[0], f) == head[0]);
        telemetry *t = telemetry_new();
        t->body = body;
        t->body_bytes = head[0];
        double a = cpu_seconds();
        MUST(otlp_decode(OTLP_TRACES, OTLP_PROTOBUF, str_make(body, head[0]), t, &e) == RC_OK);
        double b = cpu_seconds();
        MUST(SPAN_BLOCKS.encode(&t, 1, keep, &l0, &e) == RC_OK);
        double c = cpu_seconds();
        MUST(edge_builder_encode(eb, &t, 1, now_ns += 100000000, keep, &edges, &e) == RC_OK);
        double d = cpu_seconds();
        decode += b - a;
        encode += c - b;
        edge += d - c;
        telemetry_free(t);
    }
    fclose(f);
    edge_builder_free(eb);
    double n = (double)l0.rows;
    double a = cpu_seconds();
    size_t bad;
    MUST(SPAN_BLOCKS.merge(l0.io, l0.info, l0.count, MERGE_BYTES, keep, &l1, NULL, &bad, &e) ==
         RC_OK);
    double merge = cpu_seconds() - a;
    MUST(l1.rows == l0.rows);
    printf("%.0f spans: decode %.3f us, encode %.3f us, edges %.3f us, merge %.3f us a span; level "
           "0 %.1f B, edges %.1f B, level 1 %.2f B a span in %zu blocks\n",
           n, decode / n * 1e6, encode / n * 1e6, edge / n * 1e6, merge / n * 1e6,
           (double)l0.bytes / n, (double)edges.bytes / n, (double)l1.bytes / n, l1.count);
    if (argc > 2) parts_of(&l1);
    printf("FIGURE\tbytes a span after merging\t%.1f\t<= 60\tTempo 74\n", (double)l1.bytes / n);
    printf("FIGURE\tus to encode a span\t%.2f\t<= 0.6\t-\n", encode / n * 1e6);
    return (double)l1.bytes / n > 60;
}
