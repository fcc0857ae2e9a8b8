/* Cutting an input into blocks of whole records.
 *
 * Problem: workers parse blocks independently, so a block must begin and end between records, and
 * the reader must find that place without parsing. log_format_boundary finds the start of the last
 * record in a piece; what follows it is carried to the next block.
 *
 *     block k:   [ carried | read ................... | start of last record ...... ]
 *                                                      ^ cut      `-> carried to k+1
 *
 * A block is always filled to its wanted size before it is cut, so the blocks of a file depend on
 * the file alone, not on how reads were split (pipes) or on the number of workers. A growing file
 * is the exception: what has arrived is cut when there is no more.
 *
 * Long records: when a full block holds no complete record it doubles, up to BLOCK_BYTES_MAX; then
 * it is cut after its last newline, or, when one line fills it, handed out as it is and the rest of
 * that line is read and dropped, counted. The block ends there, so that offset and line number of
 * everything after stay right.
 *
 * Times: records without time belong to their predecessor's time, which may stand in an earlier
 * block. So each block carries the time of the last record before it: found by parsing the last
 * record of the block when it is cut (about a thousandth of the text), further back only when that
 * has no time.
 *
 * Cost: one copy of the carried bytes (a few hundred), one pass for newlines. Memory: the block and
 * what is carried.
 */
#include "ingest/blocks_int.h"

#include "base/mem.h"

enum { READ_STEP_MIN = 4096, DROP_STEP = 64 << 10, TAIL_FIRST = 4 << 10, TAIL_STEP = 8 };

void block_release(block *b) {
    if (!b) return;
    mem_free(b->p);
    *b = (block){0};
}

void block_trim(block *b, size_t keep_bytes) {
    if (b->cap > keep_bytes) block_release(b);
}

uint64_t count_newlines(const char *p, size_t n) {
    typedef uint8_t lane __attribute__((vector_size(16)));
    enum { LANES = 4, STEP = LANES * sizeof(lane), ROUNDS = 255 };
    const lane nl = {'\n', '\n', '\n', '\n', '\n', '\n', '\n', '\n',
                     '\n', '\n', '\n', '\n', '\n', '\n', '\n', '\n'};
    uint64_t total = 0;
    size_t i = 0;
    while (n - i >= STEP) {
        lane acc[LANES] = {0};
        size_t rounds = MIN((n - i) / STEP, (size_t)ROUNDS); /* a lane counts to 255 */
        for (size_t r = 0; r < rounds; r++, i += STEP) {
            lane v[LANES];
            memcpy(v, p + i, STEP);
            for (int k = 0; k < LANES; k++) acc[k] -= (lane)(v[k] == nl); /* true is -1 */
        }
        for (int k = 0; k < LANES; k++)
            for (size_t j = 0; j < sizeof(lane); j++) total += acc[k][j];
    }
    for (; i < n; i++) total += p[i] == '\n';
    return total;
}

void cutter_init(cutter *c, stream *in, size_t block_bytes, log_batch *scratch) {
    MUST(in != NULL && block_bytes >= READ_STEP_MIN && block_bytes <= BLOCK_BYTES_MAX);
    *c = (cutter){
        .in = in, .block_bytes = block_bytes, .scratch = scratch, .line = 1, .last_ns = TS_NONE};
}

void cutter_release(cutter *c) {
    stream_close(c->in);
    mem_free(c->rest);
    *c = (cutter){0};
}

/* Reads the stream once. 0 bytes at the end, also after a failure (kept in c->failure). */
static size_t read_once(cutter *c, char *to, size_t cap) {
    size_t got = 0;
    if (c->ended) return 0;
    rc r = stream_read(c->in, to, cap, &got, &c->failure);
    if (r != RC_OK) {
        c->failure.code = r;
        c->ended = true;
        return 0;
    }
    if (got == 0 && !c->grows) c->ended = true;
    if (got > 0 && !c->started) {
        c->started = true;
        c->offset = stream_at(c->in) - got; /* past a byte-order mark */
    }
    return got;
}

static void rest_reserve(cutter *c, size_t want) {
    if (c->rest_cap >= want) return;
    size_t cap = MAX(want, (size_t)DROP_STEP);
    c->rest = mem_realloc(c->rest, c->rest_cap, cap);
    c->rest_cap = cap;
}

/* Reads into `rest`, behind what is there. */
static size_t rest_read(cutter *c) {
    if (c->rest_at == c->rest_n) c->rest_at = c->rest_n = 0;
    rest_reserve(c, c->rest_n + DROP_STEP);
    size_t got = read_once(c, c->rest + c->rest_n, c->rest_cap - c->rest_n);
    c->rest_n += got;
    return got;
}

/* A file truncated under a writer that does not append begins with a hole: NUL bytes, any number.
 */
static void skip_hole(cutter *c) {
    if (c->offset != 0 || c->seq != 0) return;
    while (cutter_held(c) > 0 || rest_read(c) > 0) {
        size_t from = c->rest_at;
        while (c->rest_at < c->rest_n && c->rest[c->rest_at] == '\0') c->rest_at++;
        c->skipped += c->rest_at - from;
        if (cutter_held(c) > 0) break;
    }
    c->offset += c->skipped;
}

str cutter_sample(cutter *c) {
    rest_reserve(c, LOG_SAMPLE_BYTES + DROP_STEP);
    skip_hole(c);
    while (cutter_held(c) < LOG_SAMPLE_BYTES) {
        if (c->eager && memchr(c->rest, '\n', c->rest_n)) break; /* do not wait for more */
        if (rest_read(c) == 0) break;
    }
    return str_make(c->rest + c->rest_at, MIN(cutter_held(c), (size_t)LOG_SAMPLE_BYTES));
}

/* The next bytes of the text: what was put aside, then the stream; never more than `cap`. */
static size_t take(cutter *c, char *to, size_t cap) {
    if (cutter_held(c) == 0 && cap >= READ_STEP_MIN) return read_once(c, to, cap);
    if (cutter_held(c) == 0 && rest_read(c) == 0) return 0;
    size_t n = MIN(cap, cutter_held(c));
    memcpy(to, c->rest + c->rest_at, n);
    c->rest_at += n;
    return n;
}

/* Puts bytes back in front of what waits. */
static void put_back(cutter *c, const char *p, size_t n) {
    if (n == 0) return;
    if (c->rest_at < n) {
        size_t held = cutter_held(c);
        rest_reserve(c, n + held);
        memmove(c->rest + n, c->rest + c->rest_at, held);
        c->rest_at = n;
        c->rest_n = n + held;
    }
    c->rest_at -= n;
    memcpy(c->rest + c->rest_at, p, n);
}

/* Drops the tail of a line up to and with its newline. Returns the bytes dropped; *ret_newline
 * says whether the newline was met (else the input ended, or has not grown that far yet). */
static uint64_t drop_tail(cutter *c, bool *ret_newline) {
    uint64_t dropped = 0;
    *ret_newline = false;
    while (cutter_held(c) > 0 || rest_read(c) > 0) {
        const char *at = c->rest + c->rest_at, *nl = memchr(at, '\n', cutter_held(c));
        size_t n = nl ? (size_t)(nl - at) + 1 : cutter_held(c);
        dropped += n;
        c->rest_at += n;
        *ret_newline = nl != NULL;
        if (nl) break;
    }
    return dropped;
}

/* Time of the last record of `text` that has one; TS_NONE when none has. */
static int64_t last_time(cutter *c, str text) {
    int64_t last = TS_NONE;
    while (text.n > 0) {
        log_parse_stats st = {.first_ns = TS_NONE, .last_ns = TS_NONE};
        size_t used = 0;
        log_batch_reset(c->scratch);
        if (log_format_parse(c->format, text, 0, 1, c->scratch, &st, &used, NULL) != RC_OK) break;
        for (size_t i = c->scratch->count; i-- > 0;) {
            if (c->scratch->rec[i].ts_ns == TS_NONE) continue;
            last = c->scratch->rec[i].ts_ns;
            break;
        }
        if (used == 0) break;
        text = str_from(text, used);
    }
    return last;
}

/* Looks at the last record, then at tails of growing length that begin at a record. */
static int64_t last_time_of_block(cutter *c, str text) {
    for (size_t tail = 0;; tail = tail ? tail * TAIL_STEP : TAIL_FIRST) {
        size_t from = 0;
        if (tail < text.n) from = log_format_boundary(c->format, str_sub(text, 0, text.n - tail));
        int64_t t = last_time(c, str_from(text, from));
        if (t != TS_NONE) return t;
        if (from == 0 || (tail >= TAIL_FIRST * TAIL_STEP && !c->exact_times)) return TS_NONE;
    }
}

static void hand_out(cutter *c, block *b, size_t n, uint64_t dropped, bool tail_newline) {
    b->n = n;
    b->offset = c->offset;
    b->line = c->line;
    b->covered = n + dropped;
    b->newlines = count_newlines(b->p, n) + tail_newline;
    b->seq = c->seq++;
    b->format = c->format;
    b->before_ns = c->last_ns;
    c->offset += b->covered;
    c->line += b->newlines;
    int64_t t = last_time_of_block(c, str_make(b->p, n));
    if (t != TS_NONE) c->last_ns = t;
}

static void block_reserve(block *b, size_t want, size_t used) {
    if (b->cap >= want) return;
    size_t cap = b->cap ? b->cap : want;
    while (cap < want) cap *= 2;
    if (used == 0) { /* nothing to keep: do not copy */
        mem_free(b->p);
        b->p = mem_alloc(cap);
    } else {
        b->p = mem_realloc(b->p, b->cap, cap);
    }
    b->cap = cap;
}

/* Where a full block of `n` bytes without a complete record is cut: after its last newline, or
 * nowhere (n) when it is all one line. */
static size_t cut_by_force(const block *b, size_t n) {
    const char *nl = memrchr(b->p, '\n', n);
    return nl ? (size_t)(nl - b->p) + 1 : n;
}

rc cutter_next(cutter *c, block *b, bool flush) {
    MUST(c->format != NULL);
    if (c->mid_line) {
        bool nl;
        c->offset += drop_tail(c, &nl);
        c->line += nl;
        c->mid_line = !nl && !c->ended;
        if (c->mid_line) return RC_AGAIN;
    }
    size_t n = 0, cut = 0, target = c->block_bytes;
    for (;;) {
        bool dry = false; /* nothing more to read now */
        block_reserve(b, target, n);
        while (n < target && !dry) {
            size_t got = take(c, b->p + n, target - n);
            n += got;
            dry = got == 0 || (c->eager && n < target);
        }
        if (n == 0) return c->ended ? RC_END : RC_AGAIN;
        cut = dry && (c->ended || flush) ? n : log_format_boundary(c->format, str_make(b->p, n));
        MUST(cut <= n);
        if (cut > 0) break;
        if (dry && c->eager) continue; /* the next read waits for more */
        if (dry) {
            put_back(c, b->p, n);
            return RC_AGAIN;
        }
        if (target == BLOCK_BYTES_MAX) {
            cut = cut_by_force(b, n);
            break;
        }
        target = MIN(target * 2, (size_t)BLOCK_BYTES_MAX);
    }
    put_back(c, b->p + cut, n - cut);
    uint64_t dropped = 0;
    bool tail_newline = false;
    if (cut == BLOCK_BYTES_MAX && b->p[cut - 1] != '\n') {
        dropped = drop_tail(c, &tail_newline);
        c->mid_line = !tail_newline && !c->ended;
    }
    hand_out(c, b, cut, dropped, tail_newline);
    return RC_OK;
}
