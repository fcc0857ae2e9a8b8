/* logsource.c - stored logs as a `source` (model/source.h): what detection and root cause read.
 *
 * A scan is logs_select with the base's conditions, the scan's time range and service; records come
 * mined, as they were stored. A reference is (time, content hash): fetch_logs reads the records of
 * that very nanosecond and compares hashes, so it stays valid while blocks are merged. */
#include "store/select_int.h"

#include "base/map.h"
#include "base/mem.h"

enum { MAGIC = 0x6c6f6773, MATCH_MAX = 64 };

typedef struct stored {
    uint32_t magic;
    store *s;
    arena mem; /* of base */
    log_select base;
    /* report: of the last scan. Guarded by being read after it only. */
    input_info info;
    source_report report;
} stored;

static stored *stored_of(void *ctx) {
    stored *x = ctx;
    MUST(x && x->magic == MAGIC);
    return x;
}

typedef struct scanning {
    log_sink sink;
    void *ctx;
    uint64_t *records, *bytes; /* of each worker */
    int64_t *first, *last;
    uint64_t seq;
} scanning;

enum { WORKERS_MAX = 64 };

static rc pass_on(void *ctx, unsigned worker, log_batch *b, err *e) {
    scanning *x = ctx;
    MUST(worker < WORKERS_MAX);
    for (size_t i = 0; i < b->count; i++) {
        log_record *r = &b->rec[i];
        x->bytes[worker] += r->body.n;
        if (r->ts_ns == TS_NONE) r->ts_ns = r->kept_ns; /* as the store sorts it */
        x->first[worker] = MIN(x->first[worker], r->ts_ns);
        x->last[worker] = MAX(x->last[worker], r->ts_ns);
    }
    x->records[worker] += b->count;
    b->lines = b->count;
    return x->sink(x->ctx, worker, b, e);
}

static rc scan(void *ctx, const log_scan *want, log_sink sink, void *sink_ctx, err *e) {
    stored *x = stored_of(ctx);
    log_select q = x->base;
    label_match match[MATCH_MAX + 1];
    if (want->service.n) {
        for (size_t i = 0; i < q.c.match_count; i++) match[i] = q.c.match[i];
        match[q.c.match_count++] =
            (label_match){.name = S("service_name"), .value = want->service, .op = MATCH_EQ};
        q.c.match = match;
    }
    if (want->from_ns || want->to_ns) {
        bool all = q.c.from_ns == 0 && q.c.to_ns == 0;
        q.c.from_ns = all ? want->from_ns : MAX(q.c.from_ns, want->from_ns);
        q.c.to_ns = all ? want->to_ns : MIN(q.c.to_ns, want->to_ns);
        if (q.c.to_ns < q.c.from_ns) q.c.to_ns = q.c.from_ns;
    }
    q.c.order = want->order == ORDER_TIME ? SELECT_OLDEST_FIRST : SELECT_ANY;
    q.c.workers = MIN(MAX(want->workers, 1u), (unsigned)WORKERS_MAX);
    if (want->cancel) q.c.cancel = want->cancel;
    q.want = LOG_WANT_ALL;
    uint64_t records[WORKERS_MAX] = {0}, bytes[WORKERS_MAX] = {0};
    int64_t first[WORKERS_MAX], last[WORKERS_MAX];
    for (int i = 0; i < WORKERS_MAX; i++) {
        first[i] = INT64_MAX;
        last[i] = INT64_MIN;
    }
    scanning sc = {sink, sink_ctx, records, bytes, first, last, 0};
    select_stats stats = {0};
    rc code = logs_select(x->s, &q, pass_on, &sc, &stats, e);
    input_info *in = &x->info;
    in->records = in->lines = in->bytes = 0;
    int64_t lo = INT64_MAX, hi = INT64_MIN;
    for (int i = 0; i < WORKERS_MAX; i++) {
        in->records += records[i];
        in->bytes += bytes[i];
        lo = MIN(lo, first[i]);
        hi = MAX(hi, last[i]);
    }
    in->lines = in->records;
    in->bytes_on_disk = stats.bytes_read;
    in->first_ns = lo <= hi ? lo : TS_NONE;
    in->last_ns = lo <= hi ? hi : TS_NONE;
    in->state = stats.partial ? INPUT_PARTIAL : INPUT_OK;
    in->problem = stats.partial ? str_fmt(&x->mem, "%s", stats.reason) : STR_NONE;
    x->report =
        (source_report){in, 1, in->records, in->lines, in->bytes, in->first_ns, in->last_ns};
    return code;
}

typedef struct fetching {
    const log_ref *refs;
    size_t count, max_bytes;
    arena *out;
    str *ret;
} fetching;

static rc keep_wanted(void *ctx, unsigned worker, log_batch *b, err *e) {
    fetching *x = ctx;
    (void)worker;
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        for (size_t k = 0; k < x->count; k++) {
            const log_ref *ref = &x->refs[k];
            if (x->ret[k].p || ref->offset != r->ref.offset || ref->line != r->ref.line) continue;
            x->ret[k] = r->body.n ? str_dup(x->out, str_sub(r->body, 0, x->max_bytes)) : S("");
            if (!x->ret[k].p) return FAIL(e, RC_LIMIT, "no memory for the text of records");
        }
    }
    return RC_OK;
}

static rc fetch(void *ctx, const log_ref *refs, size_t count, size_t max_bytes, arena *out,
                str *ret, err *e) {
    stored *x = stored_of(ctx);
    for (size_t i = 0; i < count; i++) ret[i] = STR_NONE;
    rc code = RC_OK;
    for (size_t i = 0; i < count && !code; i++) {
        if (refs[i].file != STORE_REF_FILE || ret[i].p) continue;
        int64_t at = (int64_t)refs[i].offset;
        log_select q = {.c = {.from_ns = at, .to_ns = at == INT64_MAX ? at : at + 1},
                        .want = LOG_WANT_REFS};
        fetching f = {refs, count, max_bytes, out, ret};
        code = logs_select(x->s, &q, keep_wanted, &f, NULL, e);
    }
    return code;
}

static void report(void *ctx, source_report *ret) { *ret = stored_of(ctx)->report; }

static void stored_free(void *ctx) {
    stored *x = stored_of(ctx);
    x->magic = 0;
    arena_release(&x->mem);
    mem_free(x);
}

static const source_ops STORED_LOGS = {
    .scan_logs = scan, .fetch_logs = fetch, .report = report, .free = stored_free};

rc store_source_new(store *s, const log_select *base, source *ret, err *e) {
    static const log_select everything = {0};
    if (!base) base = &everything;
    if (base->c.match_count > MATCH_MAX || base->line_count > MATCH_MAX)
        return FAIL(e, RC_LIMIT, "more than %d conditions", (int)MATCH_MAX);
    stored *x = mem_new(stored);
    x->magic = MAGIC;
    x->s = s;
    arena_init(&x->mem, "stored logs", 4 << 20);
    x->base = *base;
    label_match *m = arena_try_new_n(&x->mem, label_match, base->c.match_count);
    line_filter *l = arena_try_new_n(&x->mem, line_filter, base->line_count);
    bool ok = m && l;
    for (size_t i = 0; ok && i < base->c.match_count; i++) {
        m[i] = (label_match){str_dup(&x->mem, base->c.match[i].name),
                             str_dup(&x->mem, base->c.match[i].value), base->c.match[i].op};
        ok = m[i].name.p && m[i].value.p;
    }
    for (size_t i = 0; ok && i < base->line_count; i++) {
        l[i] = (line_filter){str_dup(&x->mem, base->lines[i].text), base->lines[i].op};
        ok = l[i].text.p;
    }
    x->base.trace_id = base->trace_id.n ? str_dup(&x->mem, base->trace_id) : STR_NONE;
    x->base.span_id = base->span_id.n ? str_dup(&x->mem, base->span_id) : STR_NONE;
    if (!ok) {
        stored_free(x);
        return FAIL(e, RC_LIMIT, "conditions are too long");
    }
    x->base.c.match = m;
    x->base.lines = l;
    x->info = (input_info){
        .name = S("stored logs"), .format = S("stored"), .first_ns = TS_NONE, .last_ns = TS_NONE};
    x->report = (source_report){&x->info, 1, 0, 0, 0, TS_NONE, TS_NONE};
    *ret = (source){&STORED_LOGS, x};
    return RC_OK;
}
