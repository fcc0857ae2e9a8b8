#include "fake_store.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "query/labels.h"
#include "query/regex_int.h"
#include "sys/thread.h"

enum { BATCH = 7 };

struct fake_store {
    store base;
    arena mem;
    VEC(log_record *) logs;
    VEC(span *) spans;
    VEC(metric_series) series;
    VEC(service_edge) edges;
    fake_counts counts;
};

static fake_store *fake_of(store *s) { return (fake_store *)(void *)s; }

/* --- matching --- */

static bool regex_holds(str pattern, regex_mode mode, str text) {
    regex_set set = {0};
    arena mem;
    arena_init(&mem, "regex", 1 << 20);
    const regex *re;
    bool found = false;
    if (regex_compile(&set, pattern, mode, &mem, &re, NULL) == RC_OK) {
        regex_state *st = regex_state_new();
        found = regex_test(re, st, text);
        regex_state_free(st);
    }
    regex_set_release(&set);
    arena_release(&mem);
    return found;
}

static bool match_holds(const label_match *m, str v) {
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(m->value, v);
    case MATCH_NE:
        return !str_eq(m->value, v);
    case MATCH_RE:
        return regex_holds(m->value, REGEX_WHOLE, v);
    case MATCH_NOT_RE:
        return !regex_holds(m->value, REGEX_WHOLE, v);
    }
    return false;
}

static bool line_holds(const line_filter *f, str line) {
    switch (f->op) {
    case LINE_HAS:
        return str_has(line, f->text);
    case LINE_HAS_NOT:
        return !str_has(line, f->text);
    case LINE_RE:
        return regex_holds(f->text, REGEX_FIND, line);
    case LINE_NOT_RE:
        return !regex_holds(f->text, REGEX_FIND, line);
    }
    return false;
}

static bool in_time(const select_common *c, int64_t ts) {
    return (c->from_ns == 0 && c->to_ns == 0) || (ts >= c->from_ns && ts < c->to_ns);
}

static bool log_holds(const log_select *q, const log_record *r, arena *tmp) {
    if (!in_time(&q->c, record_time(r)) || r->severity < q->min_severity) return false;
    if (q->trace_id.n && !str_eq(q->trace_id, r->trace_bin)) return false;
    if (q->span_id.n && !str_eq(q->span_id, r->span_bin)) return false;
    for (size_t i = 0; i < q->c.match_count; i++) {
        if (!match_holds(&q->c.match[i], record_label(r, q->c.match[i].name, tmp))) return false;
    }
    for (size_t i = 0; i < q->line_count; i++) {
        if (!line_holds(&q->lines[i], r->body)) return false;
    }
    return true;
}

/* --- logs --- */

static int oldest_first(const void *a, const void *b) {
    int64_t x = record_time(*(log_record *const *)a), y = record_time(*(log_record *const *)b);
    return x < y ? -1 : x > y;
}
static int newest_first(const void *a, const void *b) { return oldest_first(b, a); }

typedef struct share {
    log_record **rows;
    size_t count;
    unsigned worker;
    log_sink sink;
    void *ctx;
    err e;
    rc code;
} share;

static void run_share(void *ctx) {
    share *sh = ctx;
    for (size_t i = 0; i < sh->count && sh->code == RC_OK; i += BATCH) {
        log_batch b;
        log_batch_init(&b);
        for (size_t k = i; k < i + BATCH && k < sh->count; k++) *log_batch_add(&b) = *sh->rows[k];
        sh->code = sh->sink(sh->ctx, sh->worker, &b, &sh->e);
        log_batch_release(&b);
    }
}

static rc fake_logs(store *s, const log_select *q, log_sink sink, void *ctx, select_stats *stats,
                    err *e) {
    fake_store *f = fake_of(s);
    f->counts.logs++;
    f->counts.last_logs = *q;
    if (q->c.cancel && *q->c.cancel) return FAIL(e, RC_CANCELLED, "cancelled");
    arena tmp;
    arena_init(&tmp, "fake", 16 << 20);
    VEC(log_record *) hits = {0};
    for (size_t i = 0; i < f->logs.n; i++) {
        if (log_holds(q, f->logs.v[i], &tmp)) vec_push(&hits, f->logs.v[i]);
    }
    if (q->c.order && hits.n) {
        qsort(hits.v, hits.n, sizeof(*hits.v),
              q->c.order == SELECT_OLDEST_FIRST ? oldest_first : newest_first);
    }
    if (q->c.limit && hits.n > q->c.limit) hits.n = q->c.limit;
    f->counts.rows += hits.n;
    stats->rows += f->logs.n;
    stats->rows_matched += hits.n;
    unsigned workers = MAX(q->c.workers, 1);
    share *shares = mem_new_n(share, workers);
    sys_thread **threads = mem_new_n(sys_thread *, workers);
    size_t from = 0;
    for (unsigned w = 0; w < workers; w++) {
        size_t to = hits.n * (w + 1) / workers;
        shares[w] = (share){
            .rows = hits.v + from, .count = to - from, .worker = w, .sink = sink, .ctx = ctx};
        from = to;
        if (w > 0)
            MUST(sys_thread_start("fake", run_share, &shares[w], &threads[w], NULL) == RC_OK);
    }
    run_share(&shares[0]);
    rc code = shares[0].code;
    if (code && e) *e = shares[0].e;
    for (unsigned w = 1; w < workers; w++) {
        sys_thread_join(threads[w]);
        if (!code && shares[w].code) {
            code = shares[w].code;
            if (e) *e = shares[w].e;
        }
    }
    mem_free(shares);
    mem_free(threads);
    vec_release(&hits);
    arena_release(&tmp);
    return code == RC_END ? RC_OK : code;
}

typedef struct cell {
    str *values;
    int64_t bucket;
    uint64_t records, bytes;
} cell;

static rc fake_count_logs(store *s, const log_select *q, const log_count_by *by,
                          store_count_sink sink, void *ctx, select_stats *stats, err *e) {
    fake_store *f = fake_of(s);
    f->counts.counts++;
    arena tmp;
    arena_init(&tmp, "fake", 64 << 20);
    VEC(cell) cells = {0};
    for (size_t i = 0; i < f->logs.n; i++) {
        const log_record *r = f->logs.v[i];
        if (!log_holds(q, r, &tmp)) continue;
        stats->rows_matched++;
        cell one = {.records = 1, .bytes = by->want_bytes ? r->body.n : 0, .bucket = by->origin_ns};
        if (by->step_ns) one.bucket += (record_time(r) - by->origin_ns) / by->step_ns * by->step_ns;
        one.values = arena_bytes(&tmp, 16 * sizeof(str), 8);
        for (size_t k = 0; k < by->label_count; k++) {
            str v = record_label(r, by->labels[k], &tmp);
            one.values[k] = v.p ? v : S("");
        }
        bool known = false;
        for (size_t c = 0; c < cells.n && !known; c++) {
            known = cells.v[c].bucket == one.bucket;
            for (size_t k = 0; k < by->label_count && known; k++) {
                known = str_eq(cells.v[c].values[k], one.values[k]);
            }
            if (known) {
                cells.v[c].records++;
                cells.v[c].bytes += one.bytes;
            }
        }
        if (!known) vec_push(&cells, one);
    }
    rc c = RC_OK;
    for (size_t i = 0; i < cells.n && !c; i++) {
        log_count n = {.values = cells.v[i].values,
                       .bucket_ns = cells.v[i].bucket,
                       .records = cells.v[i].records,
                       .bytes = cells.v[i].bytes};
        c = sink(ctx, &n, e);
    }
    vec_release(&cells);
    arena_release(&tmp);
    return c;
}

/* --- spans --- */

static str attr_of(const attribute *attrs, uint32_t count, str name, arena *tmp) {
    for (uint32_t i = 0; i < count; i++) {
        if (label_is(name, attrs[i].key)) return attribute_text(&attrs[i], tmp);
    }
    return STR_NONE;
}

static str span_label(const span *p, str name, arena *tmp) {
    str v = attr_of(p->resource->attrs, p->resource->attr_count, name, tmp);
    if (!v.p) v = attr_of(p->attrs, p->attr_count, name, tmp);
    if (!v.p && str_eq(name, S("name"))) v = p->name;
    return v;
}

static bool span_holds(const span_select *q, const span *p, arena *tmp) {
    static const uint8_t NONE[8];
    int64_t duration = p->end_ns - p->start_ns;
    if (!in_time(&q->c, p->start_ns)) return false;
    if (q->trace_id && memcmp(q->trace_id, p->trace_id, 16) != 0) return false;
    if (q->name.n && !str_eq(q->name, p->name)) return false;
    if (q->min_duration_ns && duration < q->min_duration_ns) return false;
    if (q->max_duration_ns && duration > q->max_duration_ns) return false;
    if (q->status >= 0 && p->status != q->status) return false;
    if (q->kind >= 0 && p->kind != q->kind) return false;
    if (q->roots_only && memcmp(p->parent_id, NONE, 8) != 0) return false;
    for (size_t i = 0; i < q->c.match_count; i++) {
        if (!match_holds(&q->c.match[i], span_label(p, q->c.match[i].name, tmp))) return false;
    }
    return true;
}

static int spans_newest(const void *a, const void *b) {
    int64_t x = (*(span *const *)a)->start_ns, y = (*(span *const *)b)->start_ns;
    return x > y ? -1 : x < y;
}

static rc fake_spans(store *s, const span_select *q, store_telemetry_sink sink, void *ctx,
                     select_stats *stats, err *e) {
    fake_store *f = fake_of(s);
    f->counts.spans++;
    arena tmp;
    arena_init(&tmp, "fake", 16 << 20);
    VEC(span *) hits = {0};
    for (size_t i = 0; i < f->spans.n; i++) {
        if (span_holds(q, f->spans.v[i], &tmp)) vec_push(&hits, f->spans.v[i]);
    }
    if (q->c.order == SELECT_NEWEST_FIRST && hits.n)
        qsort(hits.v, hits.n, sizeof(*hits.v), spans_newest);
    if (q->c.limit && hits.n > q->c.limit) hits.n = q->c.limit;
    stats->rows_matched += hits.n;
    rc c = RC_OK;
    for (size_t i = 0; i < hits.n && !c; i += 3) {
        telemetry *t = telemetry_new();
        for (size_t k = i; k < i + 3 && k < hits.n; k++) *telemetry_add_span(t) = *hits.v[k];
        c = sink(ctx, (unsigned)(i / 3 % MAX(q->c.workers, 1)), t, e);
        telemetry_free(t);
    }
    vec_release(&hits);
    arena_release(&tmp);
    return c == RC_END ? RC_OK : c;
}

static rc fake_edges(store *s, int64_t from_ns, int64_t to_ns, store_edge_sink sink, void *ctx,
                     select_stats *stats, err *e) {
    fake_store *f = fake_of(s);
    (void)stats;
    for (size_t i = 0; i < f->edges.n; i++) {
        const service_edge *d = &f->edges.v[i];
        if ((from_ns || to_ns) && (d->minute_ns < from_ns || d->minute_ns >= to_ns)) continue;
        rc c = sink(ctx, d, e);
        if (c) return c;
    }
    return RC_OK;
}

/* --- metrics --- */

static rc fake_metrics(store *s, const metric_select *q, store_series_sink sink, void *ctx,
                       select_stats *stats, err *e) {
    fake_store *f = fake_of(s);
    f->counts.metrics++;
    (void)stats;
    rc c = RC_OK;
    for (size_t i = 0; i < f->series.n && !c; i++) {
        metric_series m = f->series.v[i];
        arena tmp;
        arena_init(&tmp, "fake", 16 << 20);
        bool ok = true;
        for (size_t k = 0; k < q->c.match_count && ok; k++) {
            const label_match *lm = &q->c.match[k];
            str v = str_eq(lm->name, S("__name__"))
                        ? m.info->name
                        : attr_of(m.attrs, m.attr_count, lm->name, &tmp);
            if (!v.p && !str_eq(lm->name, S("__name__"))) {
                v = attr_of(m.info->resource->attrs, m.info->resource->attr_count, lm->name, &tmp);
            }
            ok = match_holds(lm, v);
        }
        size_t from = 0, to = m.count;
        while (from < to && !in_time(&q->c, m.ts_ns[from])) from++;
        while (to > from && !in_time(&q->c, m.ts_ns[to - 1])) to--;
        m.ts_ns += from;
        if (m.val) m.val += from;
        if (m.points) m.points += from;
        m.count = to - from;
        if (ok && m.count) c = sink(ctx, &m, e);
        arena_release(&tmp);
    }
    return c;
}

/* --- names --- */

static rc fake_labels(store *s, signal_kind signal, str label, const select_common *q,
                      store_name_sink sink, void *ctx, select_stats *stats, err *e) {
    fake_store *f = fake_of(s);
    (void)stats;
    arena tmp;
    arena_init(&tmp, "fake", 64 << 20);
    intern names;
    intern_init(&names, "names", 10000, 1 << 20);
    log_select all = {.c = *q};
    query_label *l = mem_new_n(query_label, LABELS_MAX);
    for (size_t i = 0; signal == SIGNAL_LOGS && i < f->logs.n; i++) {
        const log_record *r = f->logs.v[i];
        if (!log_holds(&all, r, &tmp)) continue;
        if (label.n) {
            str v = record_label(r, label, &tmp);
            if (v.n) intern_put(&names, v);
            continue;
        }
        size_t n = record_stream_labels(r, &tmp, l, LABELS_MAX);
        for (size_t k = 0; k < n; k++) intern_put(&names, l[k].name);
        n = record_metadata(r, &tmp, l, LABELS_MAX);
        for (size_t k = 0; k < n; k++) intern_put(&names, l[k].name);
    }
    for (size_t i = 0; signal == SIGNAL_METRICS && i < f->series.n; i++) {
        const metric_series *m = &f->series.v[i];
        if (!label.n) {
            intern_put(&names, S("__name__"));
            for (uint32_t k = 0; k < m->attr_count; k++) intern_put(&names, m->attrs[k].key);
        } else if (str_eq(label, S("__name__"))) {
            intern_put(&names, m->info->name);
        } else {
            str v = attr_of(m->attrs, m->attr_count, label, &tmp);
            if (v.n) intern_put(&names, v);
        }
    }
    rc c = RC_OK;
    for (uint32_t i = 0; i < names.count && !c; i++) c = sink(ctx, intern_str(&names, i), 1, e);
    mem_free(l);
    intern_release(&names);
    arena_release(&tmp);
    return c;
}

static void fake_stats(store *s, store_stats *ret) {
    fake_store *f = fake_of(s);
    *ret = (store_stats){0};
    for (int i = 0; i < SIGNAL_COUNT; i++)
        ret->signal[i].first_ns = ret->signal[i].last_ns = TS_NONE;
    store_signal_stats *l = &ret->signal[SIGNAL_LOGS];
    for (size_t i = 0; i < f->logs.n; i++) {
        int64_t ts = record_time(f->logs.v[i]);
        if (l->first_ns == TS_NONE || ts < l->first_ns) l->first_ns = ts;
        if (l->last_ns == TS_NONE || ts > l->last_ns) l->last_ns = ts;
    }
    l->records = f->logs.n;
}

static void fake_close(store *s) { fake_store_free(fake_of(s)); }

static const store_ops OPS = {.name = "fake",
                              .logs = fake_logs,
                              .count_logs = fake_count_logs,
                              .spans = fake_spans,
                              .edges = fake_edges,
                              .metrics = fake_metrics,
                              .labels = fake_labels,
                              .stats = fake_stats,
                              .close = fake_close};

fake_store *fake_store_new(void) {
    fake_store *f = mem_new(fake_store);
    f->base.ops = &OPS;
    arena_init(&f->mem, "fake store", 512 << 20);
    return f;
}

void fake_store_free(fake_store *f) {
    if (!f) return;
    vec_release(&f->logs);
    vec_release(&f->spans);
    vec_release(&f->series);
    vec_release(&f->edges);
    arena_release(&f->mem);
    mem_free(f);
}

store *fake_store_of(fake_store *f) { return &f->base; }
arena *fake_store_arena(fake_store *f) { return &f->mem; }

log_record *fake_store_log(fake_store *f) {
    log_record *r = arena_new(&f->mem, log_record);
    r->ts_ns = TS_NONE;
    vec_push(&f->logs, r);
    return r;
}
span *fake_store_span(fake_store *f) {
    span *s = arena_new(&f->mem, span);
    vec_push(&f->spans, s);
    return s;
}
void fake_store_series(fake_store *f, const metric_series *s) { vec_push(&f->series, *s); }
void fake_store_edge(fake_store *f, const service_edge *edge) { vec_push(&f->edges, *edge); }
const fake_counts *fake_store_counts(const fake_store *f) { return &f->counts; }
void fake_store_reset_counts(fake_store *f) { f->counts = (fake_counts){0}; }
