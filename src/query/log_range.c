/* log_range.c - count_over_time and its relatives over logs, three ways:
 *
 *   columns   lines or bytes, nothing left for the pipe, summed by known labels: the store counts
 *             in buckets of gcd(range, step), and each step is a sum of whole buckets
 *   counts    lines or bytes otherwise: each record adds to the steps whose range holds it, by a
 *             difference at the first and behind the last of them
 *   samples   of unwrapped values: gathered by series, sorted, and given to range.c
 *
 * A range at time t holds (t - range, t]. Series are made for each worker and added up at the end.
 * Without grouping a series has the labels of the stream and what the stages made; attributes of
 * single records are not among them (they would make a series for each trace), but grouping by them
 * works. */
#include "query/logs_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "query/pipeline_int.h"

enum {
    BUCKETS_MAX = 20000,   /* of the first way */
    COUNT_LABELS_MAX = 32, /* that stores count by */
    SAMPLES_MAX = 20 << 20,
    WORKER_ARENA_MAX = 512 << 20
};

typedef struct sample {
    int64_t ts_ns;
    double v;
} sample;

typedef struct range_series {
    query_label *labels;
    size_t label_count;
    uint64_t hash;
    double *diff; /* steps + 1 */
    VEC(sample) samples;
} range_series;

typedef struct range_worker {
    bool ready;
    log_pipe pipe;
    arena mem;
    map64 by_hash;
    VEC(range_series) series;
    query_label *labels; /* LABELS_MAX */
    size_t samples;
    const resource *last_resource;
    uint64_t last_series;
} range_worker;

typedef struct range_run {
    eval *ev;
    const expr *x;
    const grouping *group;
    logs_plan plan;
    bool by_sample, bytes, cacheable;
    int64_t first_ns; /* time of step 0, without offset */
    range_worker *workers;
    unsigned worker_count;
} range_run;

bool log_range_sums(const expr *x) {
    bool counts = x->fn == RANGE_COUNT || x->fn == RANGE_BYTES || x->fn == RANGE_BYTES_RATE ||
                  x->fn == RANGE_LOG_RATE;
    return x->kind == EXPR_LOG_RANGE && counts && !x->unwrap.n;
}

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* --- series of a worker --- */

static void worker_init(range_worker *w, const range_run *run) {
    pipe_init(&w->pipe, run->plan.stages, run->plan.stage_count);
    arena_init(&w->mem, "series of logs", WORKER_ARENA_MAX);
    map64_init(&w->by_hash, run->ev->max_series + 1);
    w->labels = mem_new_n(query_label, LABELS_MAX);
    w->ready = true;
}

static void worker_release(range_worker *w) {
    if (!w->ready) return;
    for (size_t i = 0; i < w->series.n; i++) vec_release(&w->series.v[i].samples);
    pipe_release(&w->pipe);
    arena_release(&w->mem);
    map64_release(&w->by_hash);
    vec_release(&w->series);
    mem_free(w->labels);
}

static rc too_many(const eval *ev, err *e) {
    return FAIL(e, RC_LIMIT,
                "maximum number of series (%zu) reached for a single query; consider "
                "reducing query cardinality by adding more specific stream selectors or "
                "aggregating results",
                ev->max_series);
}

/* The series of these labels (sorted). */
static rc series_of(const range_run *run, range_worker *w, const query_label *labels, size_t count,
                    uint64_t *ret, err *e) {
    uint64_t hash = labels_hash(labels, count);
    bool added;
    uint64_t *at = map64_put(&w->by_hash, hash, &added);
    if (!at || w->series.n >= run->ev->max_series + added) return too_many(run->ev, e);
    if (added) {
        range_series s = {.hash = hash, .label_count = count};
        s.labels = labels_copy(labels, count, &w->mem);
        if (!run->by_sample) s.diff = arena_try_new_n(&w->mem, double, run->ev->steps + 1);
        if (!s.labels || (!run->by_sample && !s.diff)) return eval_full(e);
        *at = w->series.n;
        vec_push(&w->series, s);
    }
    *ret = *at;
    return RC_OK;
}

/* Labels of the record at hand by the grouping in force. */
static size_t row_labels(const range_run *run, range_worker *w) {
    const grouping *g = run->group;
    size_t n = 0;
    if (g && !g->without) {
        for (size_t i = 0; i < g->count; i++) {
            str v = pipe_label(&w->pipe, g->labels[i]);
            if (v.n) w->labels[n++] = (query_label){g->labels[i], v};
        }
    } else {
        n = pipe_stream_labels(&w->pipe, w->labels);
        size_t parsed = pipe_parsed(&w->pipe, w->pipe.tmp_labels);
        for (size_t i = 0; i < parsed && n < LABELS_MAX; i++)
            w->labels[n++] = w->pipe.tmp_labels[i];
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            bool left_out = run->x->unwrap.n && str_eq(w->labels[i].name, run->x->unwrap);
            for (size_t k = 0; g && k < g->count && !left_out; k++) {
                left_out = str_eq(w->labels[i].name, g->labels[k]);
            }
            if (!left_out) w->labels[kept++] = w->labels[i];
        }
        n = kept;
    }
    labels_sort(w->labels, n);
    return n;
}

static rc pipeline_error(range_worker *w, err *e) {
    str kind = w->pipe.error;
    buf b;
    buf_init(&b, 200);
    size_t n = pipe_stream_labels(&w->pipe, w->labels);
    labels_sort(w->labels, n);
    IGNORE(!labels_put(w->labels, n, &b)); /* a long one is cut */
    rc c =
        FAIL(e, RC_INVALID,
             "pipeline error: '%.*s' for series: '%.*s'. Use a label filter to intentionally skip "
             "this error. (e.g | __error__!=\"%.*s\"). To skip all potential errors you can match "
             "empty errors. (e.g __error__=\"\")",
             STR_ARG(kind), STR_ARG(buf_str(&b)), STR_ARG(kind));
    buf_release(&b);
    return c;
}

/* --- records --- */

/* Adds v to every step whose range holds the time. */
static void add_to_steps(const range_run *run, double *diff, int64_t ts, double v) {
    const eval *ev = run->ev;
    int64_t since = ts - run->first_ns, range = run->x->range_ns;
    int64_t first = since <= 0 ? 0 : (since + ev->step_ns - 1) / ev->step_ns;
    int64_t last = since + range - 1;
    last = last < 0 ? -1 : last / ev->step_ns;
    if (last >= (int64_t)ev->steps) last = (int64_t)ev->steps - 1;
    if (first > last) return;
    diff[first] += v;
    diff[last + 1] -= v;
}

/* The unwrapped value; false: no sample. */
static bool unwrap_value(const range_run *run, range_worker *w, double *ret) {
    str text = pipe_label(&w->pipe, run->x->unwrap);
    if (text.n == 0) return false;
    int64_t ns;
    bool ok;
    switch ((unwrap_conv)run->x->unwrap_conv) {
    case UNWRAP_BYTES:
        ok = lex_bytes(text, ret) || lex_number(text, ret);
        break;
    case UNWRAP_DURATION:
    case UNWRAP_DURATION_SECONDS:
        ok = lex_duration(text, &ns);
        if (ok) *ret = (double)ns / 1e9;
        break;
    default:
        ok = lex_number(text, ret);
        break;
    }
    if (!ok) {
        *ret = 0;
        if (!w->pipe.error.n) w->pipe.error = S("SampleExtractionErr");
    }
    return !run->x->unwrap_filter || pipe_filter(&w->pipe, run->x->unwrap_filter);
}

static rc add_record(range_run *run, range_worker *w, const log_record *r, err *e) {
    if (!pipe_run(&w->pipe, r)) return RC_OK;
    double v = run->bytes ? (double)w->pipe.line.n : 1;
    if (run->x->unwrap.n && !unwrap_value(run, w, &v)) return RC_OK;
    if (w->pipe.error.n) return pipeline_error(w, e);
    uint64_t at;
    if (run->cacheable && r->resource && w->last_resource == r->resource) {
        at = w->last_series;
    } else {
        size_t n = row_labels(run, w);
        rc c = series_of(run, w, w->labels, n, &at, e);
        if (c) return c;
        w->last_resource = r->resource;
        w->last_series = at;
    }
    range_series *s = &w->series.v[at];
    if (!run->by_sample) {
        add_to_steps(run, s->diff, w->pipe.ts_ns, v);
        return RC_OK;
    }
    if (++w->samples > SAMPLES_MAX / run->worker_count) {
        return FAIL(e, RC_LIMIT,
                    "more than %d samples in one range query: narrow the time or the selector",
                    SAMPLES_MAX);
    }
    sample one = {w->pipe.ts_ns, v};
    vec_push(&s->samples, one);
    return RC_OK;
}

static rc on_batch(void *ctx, unsigned worker, log_batch *b, err *e) {
    range_run *run = ctx;
    MUST(worker < run->worker_count);
    range_worker *w = &run->workers[worker];
    if (!w->ready) worker_init(w, run);
    w->last_resource = NULL;
    for (size_t i = 0; i < b->count; i++) {
        rc c = add_record(run, w, &b->rec[i], e);
        if (c) return c;
    }
    return RC_OK;
}

/* --- adding up --- */

static int by_time(const void *a, const void *b) {
    const sample *x = a, *y = b;
    return x->ts_ns < y->ts_ns ? -1 : x->ts_ns > y->ts_ns;
}

static rc samples_to_steps(const range_run *run, range_series *from, double *to, err *e) {
    eval *ev = run->ev;
    size_t n = from->samples.n;
    if (n) qsort(from->samples.v, n, sizeof(sample), by_time);
    arena_mark mark = arena_save(ev->mem);
    int64_t *ts = arena_try_new_n(ev->mem, int64_t, MAX(n, 1));
    double *v = arena_try_new_n(ev->mem, double, MAX(n, 1));
    double *scratch = arena_try_new_n(ev->mem, double, MAX(n, 1));
    if (!ts || !v || !scratch) return eval_full(e);
    for (size_t i = 0; i < n; i++) {
        ts[i] = from->samples.v[i].ts_ns;
        v[i] = from->samples.v[i].v;
    }
    samples all = {ts, v, n};
    for (size_t i = 0; i < ev->steps; i++) {
        int64_t end = run->first_ns + (int64_t)i * ev->step_ns;
        double param = run->x->param ? run->x->param->num : 0;
        double got =
            range_value((range_fn)run->x->fn, &all, end - run->x->range_ns, end, param, scratch);
        to[i] = got;
    }
    arena_restore(ev->mem, mark);
    return RC_OK;
}

static void counts_to_steps(const range_run *run, const double *diff, double *to) {
    bool rate = run->x->fn == RANGE_LOG_RATE || run->x->fn == RANGE_BYTES_RATE;
    double seconds = (double)run->x->range_ns / 1e9, sum = 0;
    for (size_t i = 0; i < run->ev->steps; i++) {
        sum += diff[i]; /* whole numbers: exact */
        if (sum == 0) continue;
        to[i] = run->x->fn == RANGE_PRESENT ? 1 : rate ? sum / seconds : sum;
    }
}

/* All workers' series of one hash together, into the first worker. */
static rc merge_workers(range_run *run, err *e) {
    range_worker *into = &run->workers[0];
    if (!into->ready) worker_init(into, run);
    for (unsigned i = 1; i < run->worker_count; i++) {
        range_worker *w = &run->workers[i];
        for (size_t k = 0; w->ready && k < w->series.n; k++) {
            range_series *from = &w->series.v[k];
            uint64_t at;
            rc c = series_of(run, into, from->labels, from->label_count, &at, e);
            if (c) return c;
            range_series *to = &into->series.v[at];
            for (size_t j = 0; !run->by_sample && j <= run->ev->steps; j++)
                to->diff[j] += from->diff[j];
            for (size_t j = 0; j < from->samples.n; j++) vec_push(&to->samples, from->samples.v[j]);
        }
    }
    return RC_OK;
}

static rc by_rows(range_run *run, value *ret, err *e) {
    eval *ev = run->ev;
    log_select q = run->plan.select;
    if (run->x->unwrap.n) q.want |= plan_want_of(run->x->unwrap);
    if (run->x->unwrap_filter) q.want |= LOG_WANT_ATTRS;
    q.want |= plan_want_of_stages(run->plan.stages, run->plan.stage_count);
    for (size_t i = 0; run->group && i < run->group->count; i++)
        q.want |= plan_want_of(run->group->labels[i]);
    rc c = ev->store->ops->logs(ev->store, &q, on_batch, run, ev->stats, e);
    if (!c) c = merge_workers(run, e);
    vector_builder out = {.ev = ev};
    for (size_t i = 0; !c && i < run->workers[0].series.n; i++) {
        range_series *from = &run->workers[0].series.v[i];
        query_label *labels = labels_copy(from->labels, from->label_count, ev->mem);
        series *to;
        if (!labels) return eval_full(e);
        c = vector_add(&out, labels, from->label_count, &to, e);
        if (c) return c;
        if (run->by_sample) {
            c = samples_to_steps(run, from, to->v, e);
        } else {
            counts_to_steps(run, from->diff, to->v);
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = out.s, .count = out.count};
    return c;
}

/* --- by the store's columns --- */

typedef struct column_run {
    range_run *run;
    int64_t origin_ns, bucket_ns;
    size_t buckets;
    map64 by_hash;
    vector_builder out;
    double **counts; /* of each series: buckets numbers */
    size_t counts_cap;
} column_run;

static rc on_count(void *ctx, const log_count *n, err *e) {
    column_run *cr = ctx;
    eval *ev = cr->run->ev;
    const grouping *g = cr->run->group;
    query_label labels[COUNT_LABELS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < g->count; i++) {
        if (n->values[i].n) labels[count++] = (query_label){g->labels[i], n->values[i]};
    }
    labels_sort(labels, count);
    bool added;
    uint64_t *at = map64_put(&cr->by_hash, labels_hash(labels, count), &added);
    if (!at) return too_many(ev, e);
    if (added) {
        *at = cr->out.count;
        query_label *kept = labels_copy(labels, count, ev->mem);
        series *s;
        if (!kept) return eval_full(e);
        rc c = vector_add(&cr->out, kept, count, &s, e);
        if (c) return c;
        if (cr->out.count > cr->counts_cap) {
            size_t cap = MAX(16, 2 * cr->counts_cap);
            double **more = arena_try_new_n(ev->mem, double *, cap);
            if (!more) return eval_full(e);
            if (cr->counts_cap) memcpy(more, cr->counts, cr->counts_cap * sizeof(*more));
            cr->counts = more;
            cr->counts_cap = cap;
        }
        cr->counts[*at] = arena_try_new_n(ev->mem, double, cr->buckets);
        if (!cr->counts[*at]) return eval_full(e);
    }
    int64_t bucket = (n->bucket_ns - cr->origin_ns) / cr->bucket_ns;
    if (bucket < 0 || bucket >= (int64_t)cr->buckets) return RC_OK;
    cr->counts[*at][bucket] += (double)(cr->run->bytes ? n->bytes : n->records);
    return RC_OK;
}

static rc by_columns(range_run *run, int64_t bucket_ns, size_t buckets, value *ret, err *e) {
    eval *ev = run->ev;
    column_run cr = {.run = run, .bucket_ns = bucket_ns, .buckets = buckets, .out = {.ev = ev}};
    cr.origin_ns = run->plan.select.c.from_ns;
    str names[COUNT_LABELS_MAX];
    for (size_t i = 0; i < run->group->count; i++)
        names[i] = plan_store_name(run->group->labels[i]);
    log_count_by by = {.labels = names,
                       .label_count = run->group->count,
                       .want_bytes = run->bytes,
                       .step_ns = buckets == 1 ? 0 : bucket_ns,
                       .origin_ns = cr.origin_ns};
    if (buckets == 1) cr.bucket_ns = INT64_MAX; /* whatever the start of the one bucket is called */
    map64_init(&cr.by_hash, ev->max_series + 1);
    rc c =
        ev->store->ops->count_logs(ev->store, &run->plan.select, &by, on_count, &cr, ev->stats, e);
    map64_release(&cr.by_hash);
    if (c) return c;
    bool rate = run->x->fn == RANGE_LOG_RATE || run->x->fn == RANGE_BYTES_RATE;
    double seconds = (double)run->x->range_ns / 1e9;
    size_t width = buckets == 1 ? 1 : (size_t)(run->x->range_ns / bucket_ns);
    size_t stride = buckets == 1 ? 0 : (size_t)(ev->step_ns / bucket_ns);
    for (size_t k = 0; k < cr.out.count; k++) {
        const double *n = cr.counts[k];
        double sum = 0;
        size_t head = 0, tail = 0; /* the sum of [tail, head) */
        for (size_t i = 0; i < ev->steps; i++) {
            size_t from = i * stride;
            while (head < from + width) sum += n[head++];
            while (tail < from) sum -= n[tail++];
            if (sum != 0) cr.out.s[k].v[i] = rate ? sum / seconds : sum;
        }
    }
    *ret = (value){.type = TYPE_VECTOR, .s = cr.out.s, .count = cr.out.count};
    return RC_OK;
}

/* Buckets for the store, or false when records have to be read. */
static bool columns_fit(const range_run *run, int64_t *ret_bucket, size_t *ret_count) {
    const eval *ev = run->ev;
    if (!run->group || run->group->without || run->group->count > COUNT_LABELS_MAX ||
        run->plan.stage_count || !log_range_sums(run->x)) {
        return false;
    }
    for (size_t i = 0; i < run->group->count; i++) {
        if (!plan_store_knows(run->group->labels[i])) return false;
    }
    *ret_bucket = run->x->range_ns;
    *ret_count = 1;
    if (ev->steps == 1) return true;
    *ret_bucket = gcd(run->x->range_ns, ev->step_ns);
    int64_t whole = (int64_t)(ev->steps - 1) * ev->step_ns + run->x->range_ns;
    *ret_count = (size_t)(whole / *ret_bucket);
    return *ret_count <= BUCKETS_MAX;
}

/* 1 where there is nothing, with the labels that the selector is sure about. */
static rc absent_steps(range_run *run, value *v, err *e) {
    eval *ev = run->ev;
    query_label *labels = arena_try_new_n(ev->mem, query_label, run->x->match_count + 1);
    if (!labels) return eval_full(e);
    size_t n = 0;
    for (size_t i = 0; i < run->x->match_count; i++) {
        const label_match *m = &run->x->match[i];
        if (m->op == MATCH_EQ && m->value.n && !labels_get(labels, n, m->name).p) {
            labels[n++] = (query_label){m->name, m->value};
        }
    }
    labels_sort(labels, n);
    vector_builder out = {.ev = ev};
    series *s;
    rc c = vector_add(&out, labels, n, &s, e);
    if (c) return c;
    for (size_t i = 0; i < ev->steps; i++) {
        bool found = false;
        for (size_t k = 0; k < v->count && !found; k++) found = !is_absent(v->s[k].v[i]);
        if (!found) s->v[i] = 1;
    }
    *v = (value){.type = TYPE_VECTOR, .s = out.s, .count = 1};
    return RC_OK;
}

rc eval_log_range(eval *ev, const expr *x, const grouping *group, value *ret, err *e) {
    static const grouping NOTHING = {.present = true};
    range_run run = {.ev = ev, .x = x, .group = group};
    if (x->group.present) run.group = &x->group;
    if (x->fn == RANGE_ABSENT) run.group = &NOTHING;
    rc c = plan_logs(x, ev->mem, &run.plan, e);
    if (c) return c;
    bool plain_count =
        log_range_sums(x) || ((x->fn == RANGE_ABSENT || x->fn == RANGE_PRESENT) && !x->unwrap.n);
    run.by_sample = !plain_count;
    run.bytes = x->fn == RANGE_BYTES || x->fn == RANGE_BYTES_RATE;
    run.first_ns = ev->start_ns - x->offset_ns;
    plan_common(ev->opts, &run.plan.select.c);
    run.plan.select.c.deadline_ns = ev->deadline_ns;
    run.plan.select.c.from_ns = run.first_ns - x->range_ns + 1;
    run.plan.select.c.to_ns = run.first_ns + (int64_t)(ev->steps - 1) * ev->step_ns + 1;
    int64_t bucket;
    size_t buckets;
    if (columns_fit(&run, &bucket, &buckets)) return by_columns(&run, bucket, buckets, ret, e);
    /* The series depends on the resource alone when no stage makes labels and none is grouped by.
     */
    bool makes = stages_touch_labels(run.plan.stages, run.plan.stage_count);
    for (size_t i = 0; i < run.plan.stage_count; i++) {
        uint8_t k = run.plan.stages[i].kind;
        makes |= k >= STAGE_JSON && k <= STAGE_UNPACK;
    }
    run.cacheable = !makes && !(run.group && !run.group->without && run.group->count);
    run.worker_count = run.plan.select.c.workers;
    run.workers = mem_new_n(range_worker, run.worker_count);
    c = by_rows(&run, ret, e);
    for (unsigned i = 0; i < run.worker_count; i++) worker_release(&run.workers[i]);
    mem_free(run.workers);
    if (!c && x->fn == RANGE_ABSENT) c = absent_steps(&run, ret, e);
    return c;
}
