/* Scanning in any order: one thread reads, workers parse.
 *
 * Problem: reading and decompressing a file is serial, parsing and what the sinks do with the
 * records is not; memory must not grow with the input.
 *
 *                  .---------------- empty blocks <-----------------.
 *                  v                                                |
 *     reader thread: open, decompress, cut --> full blocks --> worker 0 (the caller's thread)
 *                                                         `--> worker 1 .. n-1
 *
 * A fixed number of blocks (2 for each worker and 2 more) circulates between two queues, so the
 * reader waits when the workers are slow and memory is bounded by the blocks and one batch for
 * each worker. The queue is first-in first-out: a worker sees the blocks of a file in order.
 *
 * Independence of the number of workers: blocks depend on the file alone (blocks.c), a block is
 * parsed by one worker, batch.seq is made from the block's number, and what a block needs to know
 * of its past (offset, line, time of the record before it) travels in the block. Counters are sums,
 * minima and maxima, added under the source's lock once for each batch.
 *
 * Blocks far outside a time range are not parsed (`--since 2h` on a file of days): when the record
 * before a block, its last record and PROBES records spread over it all lie more than
 * PROBE_SLACK_NS before the range, or all behind it. Lines and bytes are counted all the same, so
 * line numbers stay right. Records out of order by more than the slack within 1/PROBES of a block
 * can be missed.
 *
 * The first failure (of a sink, or of parsing for lack of memory) stops everything and is returned.
 */
#include <stdatomic.h>

#include "ingest/reader_int.h"

enum { PROGRESS_NS = 100 * 1000 * 1000, WORKERS_MAX = 256, PROBES = 16 };
#define PROBE_SLACK_NS ((int64_t)3600 * 1000000000)

/* ---- what records pass ---- */

record_filter filter_of(const log_scan *scan) {
    record_filter flt = {.from_ns = INT64_MIN, .to_ns = INT64_MAX, .service = scan->service};
    if (scan->from_ns != 0) flt.from_ns = scan->from_ns;
    if (scan->to_ns != 0) flt.to_ns = scan->to_ns;
    flt.active = scan->from_ns != 0 || scan->to_ns != 0 || scan->service.n > 0;
    return flt;
}

bool scan_cancelled(const log_scan *scan) {
    return scan->cancel && __atomic_load_n(scan->cancel, __ATOMIC_RELAXED) != 0;
}

void walk_start(block_walk *w, const block *b) {
    *w = (block_walk){.b = b, .line = b->line, .last_ns = b->before_ns};
}

/* Leaves only the records that pass. A record without time counts at the time of its predecessor;
 * with no predecessor either, at the time the file was last written (unknown: it passes). */
static void filter_batch(const record_filter *flt, const input *in, log_batch *batch,
                         int64_t before_ns) {
    int64_t now = before_ns;
    if (now == TS_NONE) now = in->st.mtime_ns > 0 ? in->st.mtime_ns : flt->from_ns;
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        log_record *r = &batch->rec[i];
        if (r->ts_ns != TS_NONE) now = r->ts_ns;
        if (now < flt->from_ns || (now >= flt->to_ns && flt->to_ns != INT64_MAX)) continue;
        if (flt->service.n > 0 && !str_eq(r->service, flt->service)) continue;
        if (kept != i) batch->rec[kept] = *r;
        kept++;
    }
    batch->count = kept;
}

/* The time of the record that begins last before `at`, by its first line. */
static int64_t probe_time(const block *b, size_t at, log_batch *scratch) {
    str text = str_make(b->p, b->n);
    size_t from = log_format_boundary(b->format, str_sub(text, 0, at));
    size_t nl = str_find_char(text, '\n', from), used = 0;
    log_parse_stats st = {.first_ns = TS_NONE, .last_ns = TS_NONE};
    str line = str_sub(text, from, nl == STR_NPOS ? SIZE_MAX : nl + 1 - from);
    log_batch_reset(scratch);
    rc r = log_format_parse(b->format, line, 0, 1, scratch, &st, &used, NULL);
    return r == RC_OK && scratch->count > 0 ? scratch->rec[0].ts_ns : TS_NONE;
}

bool block_outside(files *f, const record_filter *flt, const cutter *c, const block *b) {
    if (b->before_ns == TS_NONE || (flt->from_ns == INT64_MIN && flt->to_ns == INT64_MAX))
        return false;
    bool early = flt->from_ns > INT64_MIN + PROBE_SLACK_NS;
    bool late = flt->to_ns < INT64_MAX - PROBE_SLACK_NS;
    size_t timed = 0;
    for (size_t i = 0; i <= PROBES && (early || late); i++) {
        int64_t t = i == 0        ? b->before_ns
                    : i == PROBES ? c->last_ns
                                  : probe_time(b, b->n * i / PROBES, c->scratch);
        if (t == TS_NONE) continue;
        timed++;
        early = early && t < flt->from_ns - PROBE_SLACK_NS;
        late = late && t > flt->to_ns + PROBE_SLACK_NS;
    }
    if ((!early && !late) || timed <= PROBES / 2) return false;
    sys_lock_take(f->lock);
    b->input->info.bytes += b->covered;
    b->input->info.lines += b->newlines + (b->n > 0 && b->p[b->n - 1] != '\n' && c->ended);
    sys_lock_give(f->lock);
    return true;
}

static int64_t min_time(int64_t a, int64_t b) {
    if (a == TS_NONE || b == TS_NONE) return MAX(a, b); /* TS_NONE is the smallest value */
    return MIN(a, b);
}

static void count_batch(files *f, input *in, const block_walk *w, const log_parse_stats *st,
                        const log_batch *batch, const record_filter *flt, bool backwards) {
    log_parse_stats seen = *st;
    if (flt->active) { /* what was looked at is what passed */
        seen.records = batch->count;
        seen.first_ns = seen.last_ns = TS_NONE;
        for (size_t i = 0; i < batch->count; i++) {
            seen.first_ns = min_time(seen.first_ns, batch->rec[i].ts_ns);
            seen.last_ns = MAX(seen.last_ns, batch->rec[i].ts_ns);
        }
    }
    bool whole = w->at == w->b->n;
    sys_lock_take(f->lock);
    input_info *i = &in->info;
    i->bytes += batch->bytes + (whole ? w->b->covered - w->b->n : 0);
    i->lines += st->lines;
    i->records += seen.records;
    i->records_without_time += st->records_without_time;
    i->multi_line_records += st->multi_line_records;
    i->invalid_utf8_lines += st->invalid_utf8_lines;
    i->nul_lines += st->nul_lines;
    i->cut_lines += st->cut_lines;
    i->out_of_order += st->out_of_order + backwards;
    i->first_ns = min_time(i->first_ns, seen.first_ns);
    i->last_ns = MAX(i->last_ns, seen.last_ns);
    sys_lock_give(f->lock);
}

/* Nothing of the text fits a batch: its first line is given up and told. */
static size_t skip_line(files *f, block_walk *w, str text) {
    size_t nl = str_find_char(text, '\n', 0);
    size_t n = nl == STR_NPOS ? text.n : nl + 1;
    input_problem(f, w->b->input, INPUT_PARTIAL,
                  "line %" PRIu64 " was left out: it holds more than a batch can (%d MB)", w->line,
                  BATCH_ARENA_MAX >> 20);
    return n;
}

rc walk_next(files *f, block_walk *w, const record_filter *flt, log_batch *batch) {
    const block *b = w->b;
    input *in = b->input;
    str text = str_from(str_make(b->p, b->n), w->at);
    log_batch_reset(batch);
    if (text.n == 0) return RC_END;
    log_parse_stats st = {.first_ns = TS_NONE, .last_ns = TS_NONE};
    size_t used = 0;
    batch->file = in->index;
    batch->text = text;
    batch->seq = b->seq * BLOCK_SEQ_STEP + w->batch_no++;
    rc r = log_format_parse(b->format, text, b->offset + w->at, w->line, batch, &st, &used, NULL);
    if (r != RC_OK || used == 0) {
        log_batch_reset(batch);
        st = (log_parse_stats){.first_ns = TS_NONE, .last_ns = TS_NONE, .lines = 1};
        used = skip_line(f, w, text);
    }
    MUST(used <= text.n);
    bool backwards = false;
    size_t first = 0, last = batch->count;
    while (first < last && batch->rec[first].ts_ns == TS_NONE) first++;
    if (first < last) backwards = w->last_ns != TS_NONE && batch->rec[first].ts_ns < w->last_ns;
    while (last > first && batch->rec[last - 1].ts_ns == TS_NONE) last--;
    int64_t before_ns = w->last_ns;
    if (last > first) w->last_ns = batch->rec[last - 1].ts_ns;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->rec[i].service.n == 0) batch->rec[i].service = in->info.service;
    if (flt->active) filter_batch(flt, in, batch, before_ns);
    w->at += used;
    bool whole = w->at == b->n;
    batch->bytes = used;
    batch->lines = whole ? b->line + b->newlines - w->line : count_newlines(text.p, used);
    w->line += batch->lines;
    count_batch(f, in, w, &st, batch, flt, backwards);
    return RC_OK;
}

/* ---- progress ---- */

void ticker_start(ticker *t, files *f) {
    *t = (ticker){.f = f};
    for (size_t i = 0; i < f->inputs.n; i++) {
        input *in = f->inputs.v[i];
        if (in->closed_for_good) continue;
        if (in->pipe) {
            t->total = 0;
            return;
        }
        t->total += in->st.size_bytes;
    }
}

void ticker_tell(ticker *t, uint64_t in_input, bool now) {
    files *f = t->f;
    if (!f->progress) return;
    int64_t ns = f->clock.ops->mono(f->clock.ctx).ns;
    if (!now && ns < t->next_ns) return;
    t->next_ns = ns + PROGRESS_NS;
    f->progress(f->progress_ctx, t->done + in_input, t->total);
}

/* ---- the machine ---- */

struct block_gate {
    files *f;
    const log_scan *scan;
    record_filter flt;
    log_sink sink;
    void *sink_ctx;
    sys_queue *empty, *full;
    atomic_int stop;
    rc code; /* first failure; guarded by f->lock */
    err why;
};

typedef struct worker {
    block_gate *g;
    unsigned number;
    sys_thread *thread;
} worker;

static void fail_scan(block_gate *g, rc code, const err *why) {
    sys_lock_take(g->f->lock);
    if (g->code == RC_OK) {
        g->code = code;
        g->why = *why;
    }
    sys_lock_give(g->f->lock);
    atomic_store(&g->stop, 1);
    sys_queue_close(g->full);
    sys_queue_close(g->empty);
}

/* By a worker that failed, or by the user: nothing more is to be read. */
bool gate_stopped(const block_gate *g) {
    return atomic_load(&g->stop) != 0 || scan_cancelled(g->scan);
}

/* Nothing more is to be handed to the sink. Stopping is how following ends, so what was read until
 * then still counts. */
static bool sink_stopped(const block_gate *g) {
    return atomic_load(&g->stop) != 0 || (!g->f->follow && scan_cancelled(g->scan));
}

bool gate_swap(block_gate *g, block **b) {
    void *next = NULL;
    if (sink_stopped(g) || sys_queue_push(g->full, *b) != RC_OK) return false;
    *b = NULL;
    if (sys_queue_pop(g->empty, &next) != RC_OK) return false;
    *b = next;
    return true;
}

static void read_input(block_gate *g, input *in, block **b, log_batch *scratch, ticker *t) {
    files *f = g->f;
    cutter c;
    if (!input_open(f, in, f->block_bytes, scratch, &c)) return;
    c.exact_times = g->flt.active;
    while (*b && !gate_stopped(g)) {
        block_trim(*b, f->block_bytes * 2);
        if (cutter_next(&c, *b, false) != RC_OK) break;
        (*b)->input = in;
        if (block_outside(f, &g->flt, &c, *b)) continue;
        uint64_t raw = stream_raw_at(c.in);
        if (!gate_swap(g, b)) break;
        ticker_tell(t, raw, false);
    }
    input_done(f, in, &c);
    t->done += in->st.size_bytes;
    cutter_release(&c);
}

static void read_all(void *ctx) {
    block_gate *g = ctx;
    files *f = g->f;
    log_batch scratch;
    log_batch_init(&scratch);
    ticker t;
    ticker_start(&t, f);
    void *item = NULL;
    if (sys_queue_pop(g->empty, &item) == RC_OK) {
        block *b = item;
        if (f->follow) {
            follow_read(f, g, &b, &scratch, &t);
        } else {
            for (size_t i = 0; i < f->inputs.n && b && !gate_stopped(g); i++)
                if (!f->inputs.v[i]->closed_for_good)
                    read_input(g, f->inputs.v[i], &b, &scratch, &t);
        }
    }
    ticker_tell(&t, 0, true);
    log_batch_release(&scratch);
    sys_queue_close(g->full); /* the workers drain it and end */
}

static rc work_block(worker *w, const block *b, log_batch *batch, err *e) {
    block_gate *g = w->g;
    block_walk walk;
    walk_start(&walk, b);
    while (walk_next(g->f, &walk, &g->flt, batch) == RC_OK) {
        if (sink_stopped(g)) return RC_CANCELLED;
        if (batch->count == 0) continue;
        rc r = g->sink(g->sink_ctx, w->number, batch, e);
        if (r != RC_OK) return r;
    }
    return RC_OK;
}

static void work(void *ctx) {
    worker *w = ctx;
    block_gate *g = w->g;
    log_batch batch;
    log_batch_init(&batch);
    void *item = NULL;
    while (sys_queue_pop(g->full, &item) == RC_OK) {
        err why = {0};
        rc r = sink_stopped(g) ? RC_CANCELLED : work_block(w, item, &batch, &why);
        if (r != RC_OK) {
            fail_scan(g, r, &why);
            break;
        }
        if (sys_queue_push(g->empty, item) != RC_OK) break;
    }
    log_batch_release(&batch);
}

rc scan_any(files *f, const log_scan *scan, log_sink sink, void *sink_ctx, err *e) {
    unsigned workers = MIN(MAX(scan->workers, 1u), (unsigned)WORKERS_MAX);
    size_t block_count = 2 * (size_t)workers + 2;
    block_gate g = {.f = f,
                    .scan = scan,
                    .flt = filter_of(scan),
                    .sink = sink,
                    .sink_ctx = sink_ctx,
                    .empty = sys_queue_new(block_count),
                    .full = sys_queue_new(block_count)};
    block *blocks = mem_new_n(block, block_count);
    worker *ws = mem_new_n(worker, workers);
    for (size_t i = 0; i < block_count; i++) {
        rc r = sys_queue_push(g.empty, &blocks[i]);
        MUST(r == RC_OK);
    }
    sys_thread *reader = NULL;
    rc r = sys_thread_start("reader", read_all, &g, &reader, e);
    if (r == RC_OK) {
        for (unsigned i = 0; i < workers; i++) ws[i] = (worker){.g = &g, .number = i};
        for (unsigned i = 1; i < workers; i++) /* fewer workers when a thread cannot be had */
            if (sys_thread_start("parse", work, &ws[i], &ws[i].thread, NULL) != RC_OK) break;
        work(&ws[0]);
        for (unsigned i = 1; i < workers; i++)
            if (ws[i].thread) sys_thread_join(ws[i].thread);
        sys_queue_close(g.empty); /* a reader that still waits for a block ends */
        sys_thread_join(reader);
        r = g.code;
        if (r == RC_OK && scan_cancelled(scan)) r = RC_CANCELLED;
        if (r != RC_OK && e) {
            *e = g.why;
            if (e->code == RC_OK) IGNORE(FAIL(e, r, "reading was stopped")); /* r is returned */
        }
    }
    for (size_t i = 0; i < block_count; i++) block_release(&blocks[i]);
    mem_free(blocks);
    mem_free(ws);
    sys_queue_free(g.empty);
    sys_queue_free(g.full);
    return r;
}
