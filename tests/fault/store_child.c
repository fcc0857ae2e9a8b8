/* store_child DIR FIRST SEED [check] - what test_kill.py kills. Appends records FIRST, FIRST+1 ...
 * in batches of random size, several in flight, compacting now and then, until it is killed; each
 * answer is a line "ack N COUNT" on standard output, written with one write before anything else
 * happens. With `check`: prints every record that is stored, one a line, and "damaged N". */
#include "base/mem.h"
#include "base/rng.h"
#include "store/embedded_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { IN_FLIGHT = 8, BATCH_MAX = 40 };

typedef struct batch {
    unsigned first, count;
    sys_queue *free;
} batch;

static void on_ack(void *ctx, rc code, const err *e) {
    (void)e;
    batch *b = ctx;
    char line[64];
    int n = snprintf(line, sizeof line, "%s %u %u\n", code ? "refused" : "ack", b->first, b->count);
    if (write(1, line, (size_t)n) != n) _exit(3);
    MUST(sys_queue_push(b->free, b) == RC_OK);
}

static telemetry *make(unsigned first, unsigned count, rng *r) {
    telemetry *t = telemetry_new();
    tail_checkpoint *c = arena_try_new_n(&t->mem, tail_checkpoint, count);
    size_t pad = (size_t)rng_below(r, 400);
    for (unsigned i = 0; i < count; i++) {
        char *data = arena_bytes(&t->mem, pad + 1, 1);
        for (size_t k = 0; k < pad; k++) data[k] = (char)rng_u64(r);
        c[i].key = str_fmt(&t->mem, "%u", first + i);
        c[i].data = str_make(data, pad);
    }
    t->checkpoints = c;
    t->checkpoint_count = count;
    return t;
}

static rc print_block(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                      err *e) {
    (void)worker, (void)stats, (void)ctx;
    char *bytes = mem_alloc(ref->info.bytes);
    rc code = ref->io.read(ref->io.ctx, 0, ref->info.bytes, bytes, e);
    block_io io = {.memory = str_make(bytes, ref->info.bytes)};
    if (!code) code = CHECKPOINT_BLOCKS.verify(&io, &ref->info, e);
    const char *p = bytes;
    uint64_t v[3] = {0};
    for (uint64_t row = 0; !code && row < ref->info.rows; row++) {
        for (unsigned k = row ? 1 : 0; k < 3; k++) { /* count (once), key, data */
            if (k == 1) p += 8;
            v[k] = 0;
            for (unsigned shift = 0;; shift += 7) {
                uint8_t byte = (uint8_t)*p++;
                v[k] |= (uint64_t)(byte & 127) << shift;
                if (byte < 128) break;
            }
            if (k == 1) printf("record %.*s\n", (int)v[1], p);
            if (k) p += v[k];
        }
    }
    mem_free(bytes);
    return code;
}

static int check(store *s) {
    snapshot *snap;
    err e = {0};
    select_stats st = {0};
    if (snapshot_take(s, BLOCK_CHECKPOINTS, 0, 0, SELECT_ANY, &snap, &st, &e) ||
        snapshot_each(snap, NULL, print_block, NULL, &st, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    snapshot_release(snap);
    store_stats stats;
    s->ops->stats(s, &stats);
    printf("damaged %u\n", (unsigned)(stats.damaged_blocks + st.damaged_blocks));
    store_close(s);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    rng r;
    rng_init(&r, strtoull(argv[3], NULL, 10));
    store_opts o = {.dir = str_c(argv[1]), .journal_bytes = 100000};
    store *s;
    err e = {0};
    if (store_open(&o, &s, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    if (argc > 4) return check(s);
    sys_queue *free_batches = sys_queue_new(IN_FLIGHT);
    static batch batches[IN_FLIGHT];
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        batches[i].free = free_batches;
        MUST(sys_queue_push(free_batches, &batches[i]) == RC_OK);
    }
    unsigned at = (unsigned)strtoul(argv[2], NULL, 10);
    for (unsigned round = 0;; round++) {
        void *p;
        MUST(sys_queue_pop(free_batches, &p) == RC_OK);
        batch *b = p;
        b->first = at;
        b->count = 1 + (unsigned)rng_below(&r, BATCH_MAX);
        at += b->count;
        telemetry *t = make(b->first, b->count, &r);
        if (s->ops->append(s, t, on_ack, b) != RC_OK) return 4;
        if (round % 64 == 63) IGNORE(s->ops->compact(s, NULL, NULL)); /* told by check */
    }
}
