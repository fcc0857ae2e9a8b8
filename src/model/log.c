#include "model/log.h"

enum { FIRST_RECORDS = 64 };

void log_batch_init(log_batch *b) {
    *b = (log_batch){0};
    arena_init(&b->mem, "log batch", BATCH_ARENA_MAX);
}

void log_batch_release(log_batch *b) {
    if (!b) return;
    arena_release(&b->mem);
    *b = (log_batch){.mem = b->mem};
}

/* The record array goes with the arena; `cap` stays, so that the next batch of the same reader gets
 * its array in one piece. */
void log_batch_reset(log_batch *b) {
    arena_reset(&b->mem);
    *b = (log_batch){.mem = b->mem, .cap = b->cap};
}

/* Raw memory: log_batch_add clears each record when it is handed out. An outgrown array stays in
 * the arena until the reset, at most as much again as the array in use. */
static bool take_array(log_batch *b, size_t cap) {
    log_record *rec = arena_try_raw(&b->mem, cap * sizeof *rec, _Alignof(log_record));
    if (!rec) return false;
    if (b->count) memcpy(rec, b->rec, b->count * sizeof *rec);
    b->rec = rec;
    b->cap = cap;
    return true;
}

static bool grow(log_batch *b, size_t max_records) {
    size_t cap = b->cap;
    if (b->rec || cap == 0) cap = cap ? MIN(cap * 2, max_records) : FIRST_RECORDS;
    return take_array(b, cap);
}

bool log_batch_reserve(log_batch *b, size_t more) {
    MUST(b->count <= BATCH_RECORDS_MAX);
    if (more > BATCH_RECORDS_MAX - b->count) return false;
    size_t need = b->count + more;
    if (b->rec && need <= b->cap) return true;
    return take_array(b, MAX(need, b->cap));
}

static log_record *add(log_batch *b, size_t max_records) {
    MUST(b->count <= b->cap && b->cap <= BATCH_RECORDS_MAX);
    if (b->count >= max_records) return NULL;
    if ((!b->rec || b->count == b->cap) && !grow(b, max_records)) return NULL;
    log_record *r = &b->rec[b->count++];
    *r = (log_record){.ts_ns = TS_NONE};
    return r;
}

log_record *log_batch_add(log_batch *b) { return add(b, BATCH_RECORDS); }
log_record *log_batch_add_over(log_batch *b) { return add(b, BATCH_RECORDS_MAX); }
