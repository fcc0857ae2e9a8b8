/* Scanning in order of time: a k-way merge of all inputs.
 *
 * Problem: many files, each (nearly) ordered by time, are to be seen as one stream, with few files
 * open and little memory.
 *
 * Structure: one cursor for each open input: its cutter, the block being walked and the batch
 * parsed last. A binary heap holds the open cursors by (time of the next record, input number).
 * Inputs wait unopened, ordered by their first time (found by parsing a first sample, once for all
 * scans), and are opened when the heap's smallest time reaches it. So rotated files of one program
 * are open one after another.
 *
 * Records are handed on in batches of up to BATCH_RECORDS that borrow from the cursors' blocks;
 * before a cursor parses on, what was gathered is handed out. ref.file tells the input of each
 * record; batch.file is that of the first.
 *
 * Order: a record without time takes the time of its predecessor in the same input (at its start:
 * comes first). A record earlier than its predecessor is not moved: an input's own order stays.
 * Equal times: by input number.
 *
 * Limits: MERGE_OPEN_MAX inputs at once; when more overlap, the later ones wait until another ends
 * and their early records come late, which is noted as their problem. Blocks shrink with the number
 * of inputs (MERGE_BYTES for all), not below MERGE_BLOCK_MIN.
 * Cost: O(n log k), k open inputs.
 */
#include "ingest/reader_int.h"

enum {
    MERGE_OPEN_MAX = 256,
    MERGE_BYTES = 32 << 20,
    MERGE_BLOCK_MIN = 64 << 10,
};

typedef struct cursor {
    input *in;
    cutter cut;
    block b;
    block_walk walk;
    log_batch batch;
    size_t at;       /* next record of `batch` */
    int64_t key_ns;  /* its time, or its predecessor's; TS_NONE before the first time */
    bool have_block; /* walk is on b */
} cursor;

typedef struct merge {
    files *f;
    const log_scan *scan;
    record_filter flt;
    log_sink sink;
    void *sink_ctx;
    size_t block_bytes;
    log_batch scratch, out;
    uint64_t seq;
    cursor *heap[MERGE_OPEN_MAX];
    size_t open;
    VEC(input *) waiting; /* by first time, the next one last */
    ticker t;
} merge;

static bool before(const cursor *a, const cursor *b) {
    if (a->key_ns != b->key_ns) return a->key_ns < b->key_ns;
    return a->in->index < b->in->index;
}

static void sift_down(merge *m, size_t i) {
    for (;;) {
        size_t least = i;
        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < m->open; c++)
            if (before(m->heap[c], m->heap[least])) least = c;
        if (least == i) return;
        cursor *t = m->heap[i];
        m->heap[i] = m->heap[least];
        m->heap[least] = t;
        i = least;
    }
}

static void sift_up(merge *m, size_t i) {
    while (i > 0 && before(m->heap[i], m->heap[(i - 1) / 2])) {
        cursor *t = m->heap[i];
        m->heap[i] = m->heap[(i - 1) / 2];
        m->heap[(i - 1) / 2] = t;
        i = (i - 1) / 2;
    }
}

/* Hands out what was gathered; the records borrow from the cursors' memory. */
static rc flush(merge *m, err *e) {
    if (m->out.count == 0) return RC_OK;
    m->out.seq = m->seq++;
    m->out.file = m->out.rec[0].ref.file;
    rc r = m->sink(m->sink_ctx, 0, &m->out, e);
    log_batch_reset(&m->out);
    return r;
}

static void set_key(cursor *c) {
    int64_t ts = c->batch.rec[c->at].ts_ns;
    if (ts != TS_NONE) c->key_ns = ts;
}

/* Moves the cursor to its next record, parsing on where needed. RC_END: the input is over. */
static rc advance(merge *m, cursor *c, err *e) {
    if (c->at + 1 < c->batch.count) {
        c->at++;
        set_key(c);
        return RC_OK;
    }
    rc r = flush(m, e);
    if (r != RC_OK) return r;
    for (;;) {
        if (scan_cancelled(m->scan)) return FAIL(e, RC_CANCELLED, "reading was stopped");
        if (!c->have_block) {
            r = cutter_next(&c->cut, &c->b, false);
            if (r != RC_OK) return RC_END;
            c->b.input = c->in;
            if (block_outside(m->f, &m->flt, &c->cut, &c->b)) continue;
            walk_start(&c->walk, &c->b);
            c->have_block = true;
            ticker_tell(&m->t, stream_raw_at(c->cut.in), false);
        }
        r = walk_next(m->f, &c->walk, &m->flt, &c->batch);
        if (r == RC_END) c->have_block = false;
        if (r != RC_OK || c->batch.count == 0) continue;
        c->at = 0;
        set_key(c);
        return RC_OK;
    }
}

static void cursor_free(cursor *c) {
    cutter_release(&c->cut);
    block_release(&c->b);
    log_batch_release(&c->batch);
    mem_free(c);
}

static void cursor_close(merge *m, cursor *c) {
    input_done(m->f, c->in, &c->cut);
    m->t.done += c->in->st.size_bytes;
    cursor_free(c);
}

/* Opens an input at its first record. An input that gives none is closed again. */
static rc open_cursor(merge *m, input *in, err *e) {
    cursor *c = mem_new(cursor);
    c->in = in;
    c->key_ns = TS_NONE;
    log_batch_init(&c->batch);
    if (!input_open(m->f, in, m->block_bytes, &m->scratch, &c->cut)) {
        log_batch_release(&c->batch);
        mem_free(c);
        return RC_OK;
    }
    c->cut.exact_times = m->flt.active;
    rc r = advance(m, c, e);
    if (r == RC_END) {
        cursor_close(m, c);
        return RC_OK;
    }
    if (r != RC_OK) {
        cursor_free(c);
        return r;
    }
    m->heap[m->open] = c;
    sift_up(m, m->open++);
    return RC_OK;
}

/* The first time in an input, from its first block. TS_NONE: none there. */
static void find_start(merge *m, input *in) {
    if (in->start_known) return;
    in->start_known = true;
    in->start_ns = TS_NONE;
    if (in->pipe) return; /* cannot be looked at without waiting: opened first */
    cutter c;
    if (!input_open(m->f, in, MERGE_BLOCK_MIN, &m->scratch, &c)) return;
    block b = {0};
    if (cutter_next(&c, &b, false) == RC_OK) {
        log_parse_stats st = {.first_ns = TS_NONE, .last_ns = TS_NONE};
        size_t used = 0;
        log_batch_reset(&m->scratch);
        rc r =
            log_format_parse(in->format, str_make(b.p, b.n), 0, 1, &m->scratch, &st, &used, NULL);
        for (size_t i = 0; r == RC_OK && i < m->scratch.count && in->start_ns == TS_NONE; i++)
            in->start_ns = m->scratch.rec[i].ts_ns;
    }
    block_release(&b);
    cutter_release(&c);
}

static int later_first(const void *a, const void *b) {
    const input *x = *(input *const *)a, *y = *(input *const *)b;
    if (x->start_ns != y->start_ns) return x->start_ns < y->start_ns ? 1 : -1;
    return x->index < y->index ? 1 : -1;
}

/* Opens every waiting input that begins at or before the smallest record at hand. */
static rc open_due(merge *m, err *e) {
    while (m->waiting.n > 0) {
        input *next = m->waiting.v[m->waiting.n - 1];
        if (m->open > 0 && next->start_ns > m->heap[0]->key_ns) return RC_OK;
        if (m->open == MERGE_OPEN_MAX) {
            input_problem(m->f, next, INPUT_OK,
                          "more than %d inputs cover the same time: this one was merged late",
                          MERGE_OPEN_MAX);
            return RC_OK;
        }
        m->waiting.n--;
        rc r = open_cursor(m, next, e);
        if (r != RC_OK) return r;
    }
    return RC_OK;
}

static rc run(merge *m, err *e) {
    for (;;) {
        rc r = open_due(m, e);
        if (r != RC_OK) return r;
        if (m->open == 0) return flush(m, e);
        cursor *c = m->heap[0];
        log_record *to = m->out.count < BATCH_RECORDS ? log_batch_add(&m->out) : NULL;
        if (!to) {
            r = flush(m, e);
            if (r != RC_OK) return r;
            to = log_batch_add(&m->out);
            MUST(to != NULL);
        }
        *to = c->batch.rec[c->at];
        r = advance(m, c, e);
        if (r == RC_END) {
            m->heap[0] = m->heap[--m->open];
            cursor_close(m, c);
        } else if (r != RC_OK) {
            return r;
        }
        sift_down(m, 0);
    }
}

rc scan_merged(files *f, const log_scan *scan, log_sink sink, void *sink_ctx, err *e) {
    merge *m = mem_new(merge);
    m->f = f;
    m->scan = scan;
    m->flt = filter_of(scan);
    m->sink = sink;
    m->sink_ctx = sink_ctx;
    log_batch_init(&m->scratch);
    log_batch_init(&m->out);
    for (size_t i = 0; i < f->inputs.n; i++) {
        input *in = f->inputs.v[i];
        if (in->closed_for_good) continue;
        find_start(m, in);
        if (in->info.state != INPUT_SKIPPED) vec_push(&m->waiting, in);
    }
    size_t at_once = MIN(MAX(m->waiting.n, (size_t)1), (size_t)MERGE_OPEN_MAX);
    m->block_bytes = MIN(f->block_bytes, MAX(MERGE_BYTES / at_once, (size_t)MERGE_BLOCK_MIN));
    if (m->waiting.n > 1) qsort(m->waiting.v, m->waiting.n, sizeof(input *), later_first);
    ticker_start(&m->t, f);
    rc r = run(m, e);
    ticker_tell(&m->t, 0, true);
    for (size_t i = 0; i < m->open; i++) {
        input_done(f, m->heap[i]->in, &m->heap[i]->cut);
        cursor_free(m->heap[i]);
    }
    vec_release(&m->waiting);
    log_batch_release(&m->scratch);
    log_batch_release(&m->out);
    mem_free(m);
    return r;
}
