/* bench_store_metrics.c - blocks of metric points without files around them. FILE (made by
 * bench/store-metrics) holds what a real exporter said: u32 series; each u32 length and its text
 * name{label="value",...}; then for each scrape u32 count and count times (u32 series, double).
 * Scrapes are laid 15 s apart, cut into requests of up to 1,000 samples, encoded at level 0, merged
 * by the quarter hour, and these merged again. CPU time of one core. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "codec/otlp.h"
#include "store/metricblock_int.h"

enum {
    BLOCKS_MAX = 1 << 17,
    MERGE_BYTES = 128 << 20,
    REQUEST = 1000,
    QUARTER = 60,
    LABELS_MAX = 64
};

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

static void list_free(list *l) {
    for (size_t i = 0; i < l->count; i++) mem_free((char *)(uintptr_t)l->io[i].memory.p);
    mem_free(l->info);
    mem_free(l->io);
}

typedef struct series {
    str name;
    attribute labels[LABELS_MAX];
    uint32_t n;
} series;

/* name{a="b",c="d"}; escapes stay as they are. */
static void parse(series *s, str text) {
    size_t brace = str_find_char(text, '{', 0);
    s->name = str_sub(text, 0, brace);
    s->labels[s->n++] = attribute_text_of(S("instance"), S("localhost:9100"));
    s->labels[s->n++] = attribute_text_of(S("job"), S("node"));
    if (brace == STR_NPOS) return;
    str rest = str_from(text, brace + 1);
    while (rest.n && rest.p[0] != '}' && s->n < LABELS_MAX) {
        size_t eq = str_find(rest, S("=\""), 0), end = eq + 2;
        while (end < rest.n && rest.p[end] != '"') end += rest.p[end] == '\\' ? 2 : 1;
        s->labels[s->n++] =
            attribute_text_of(str_sub(rest, 0, eq), str_sub(rest, eq + 2, end - eq - 2));
        rest = str_from(rest, end + 1);
        if (rest.n && rest.p[0] == ',') rest = str_from(rest, 1);
    }
}

static size_t read_u32(FILE *f) {
    uint32_t v;
    return fread(&v, 1, 4, f) == 4 ? v : SIZE_MAX;
}

/* The samples that a request has, as a receiver of remote write hands them on. */
static telemetry *request(const series *all, const uint32_t *which, const double *value, size_t n,
                          int64_t ts_ns) {
    telemetry *t = telemetry_new();
    resource *none = arena_new(&t->mem, resource);
    resource_finish(none);
    for (size_t i = 0; i < n; i++) {
        const series *s = &all[which[i]];
        if (t->metrics.info_count == 0 ||
            !str_eq(t->metrics.info[t->metrics.info_count - 1].name, s->name)) {
            metric_info *m = telemetry_add_metric(t);
            m->name = s->name;
            m->kind = METRIC_GAUGE;
            m->resource = none;
        }
        metric_point *p = telemetry_add_point(t);
        p->metric = (uint32_t)t->metrics.info_count - 1;
        p->attrs = s->labels;
        p->attr_count = s->n;
        p->ts_ns = ts_ns;
        p->has_value = true;
        memcpy(&p->num, &value[i], 8);
    }
    t->body_bytes = n * 30;
    return t;
}

static void parts_of(const list *l) {
    uint64_t labels = 0, times = 0, frames = 0, filter = 0, rest = 0;
    for (size_t i = 0; i < l->count; i++) {
        arena mem;
        arena_init(&mem, "bench", 1 << 30);
        parts p;
        MUST(parts_open(&p, &l->io[i], l->info[i].bytes, BLOCK_METRICS, METRIC_BLOCK_VERSION, &mem,
                        NULL) == RC_OK);
        for (size_t k = 0; k < p.count; k++) {
            const part_entry *x = &p.entries[k];
            uint64_t *to = x->id >= MP_FRAMES        ? &frames
                           : x->id >= MP_TIMES       ? &times
                           : x->id >= MP_ATTRS       ? &labels
                           : x->id == MP_PAIR_FILTER ? &filter
                                                     : &rest;
            *to += x->bytes;
        }
        parts_close(&p);
        arena_release(&mem);
    }
    double n = (double)l->rows;
    printf(
        "  bytes a sample: values %.3f, times %.3f, labels %.3f, filter %.3f, tables %.3f, total "
        "%.3f in %zu blocks\n",
        (double)frames / n, (double)times / n, (double)labels / n, (double)filter / n,
        (double)rest / n, (double)l->bytes / n, l->count);
}

int main(int argc, char **argv) {
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!f) {
        fprintf(stderr, "usage: %s RECORDING\n", argv[0]);
        return 2;
    }
    size_t n = read_u32(f);
    series *all = mem_new_n(series, n);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = read_u32(f);
        char *text = mem_alloc(bytes + 1);
        MUST(fread(text, 1, bytes, f) == bytes);
        parse(&all[i], str_make(text, bytes));
    }
    list l0 = list_new(), l1 = list_new(), l2 = list_new();
    uint32_t *which = mem_new_n(uint32_t, n);
    double *value = mem_new_n(double, n);
    double encode = 0, merge = 0, again;
    uint64_t samples = 0, l0_bytes = 0;
    size_t bad, count;
    err e = {0};
    for (size_t step = 0; (count = read_u32(f)) != SIZE_MAX; step++) {
        MUST(count <= n);
        for (size_t i = 0; i < count; i++)
            MUST(fread(&which[i], 1, 4, f) == 4 && fread(&value[i], 1, 8, f) == 8);
        for (size_t i = 0; i < count; i += REQUEST) {
            size_t some = MIN((size_t)REQUEST, count - i);
            telemetry *t = request(all, which + i, value + i, some,
                                   1785542400000000000 + (int64_t)step * 15000000000);
            double a = cpu_seconds();
            MUST(METRIC_BLOCKS.encode(&t, 1, keep, &l0, &e) == RC_OK);
            encode += cpu_seconds() - a;
            telemetry_free(t);
        }
        samples += count;
        if (step % QUARTER != QUARTER - 1) continue;
        double a = cpu_seconds();
        MUST(METRIC_BLOCKS.merge(l0.io, l0.info, l0.count, MERGE_BYTES, keep, &l1, NULL, &bad,
                                 &e) == RC_OK);
        merge += cpu_seconds() - a;
        l0_bytes += l0.bytes;
        list_free(&l0);
        l0 = list_new();
    }
    fclose(f);
    if (l0.count) {
        MUST(METRIC_BLOCKS.merge(l0.io, l0.info, l0.count, MERGE_BYTES, keep, &l1, NULL, &bad,
                                 &e) == RC_OK);
        l0_bytes += l0.bytes;
    }
    MUST(l1.rows == samples);
    double a = cpu_seconds();
    MUST(METRIC_BLOCKS.merge(l1.io, l1.info, l1.count, MERGE_BYTES, keep, &l2, NULL, &bad, &e) ==
         RC_OK);
    again = cpu_seconds() - a;
    MUST(l2.rows == samples);
    double m = (double)samples, us = encode / m * 1e6, bytes = (double)l2.bytes / m;
    printf(
        "%zu series, %.0f samples: encode %.3f us, merge %.3f us, second merge %.3f us a sample; "
        "level 0 %.1f B a sample\n",
        n, m, us, merge / m * 1e6, again / m * 1e6, (double)l0_bytes / m);
    parts_of(&l1);
    parts_of(&l2);
    printf("FIGURE\tbytes a sample after merging\t%.3f\t<= 0.9\tPrometheus about 1.3\n", bytes);
    printf("FIGURE\tus to encode a sample\t%.2f\t<= 1\t-\n", us);
    list_free(&l0);
    list_free(&l1);
    list_free(&l2);
    return bytes > 0.9;
}
