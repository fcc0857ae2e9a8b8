/* loki.c - Loki's HTTP API over the stored logs, as Grafana's Loki data source uses it.
 *
 * Shapes are Loki's. Without `X-Loki-Response-Encoding-Flags: categorize-labels` the labels of a
 * stream, its records' metadata and what stages extracted are one set of labels, so records that
 * differ in them are streams of their own; with it, metadata comes beside each line. Errors of a
 * query are plain text with status 400, unknown paths JSON with 404. Source: Loki docs "HTTP API",
 * pkg/loghttp. */
#include <stdio.h>

#include "api/call_int.h"
#include "base/map.h"
#include "base/num.h"
#include "query/labels.h"

enum {
    ENTRIES_MAX = 100000,
    ENTRIES_DEFAULT = 100,
    SERIES_SAMPLE = 2000,
    SERIES_LABELS_MAX = 32,
    SERIES_MAX = 10000
};
#define SECOND_NS INT64_C(1000000000)
#define HOUR_NS   (INT64_C(3600) * SECOND_NS)

static void fail(api_call *c, const err *e) {
    int status = e->code == RC_LIMIT || e->code == RC_UNSUPPORTED ? 400 : net_http_status(e->code);
    if (e->code == RC_TIMEOUT) status = 504;
    api_reply_text(c, status, str_c(e->msg));
}

static rc times(api_call *c, int64_t now, int64_t *ret_from, int64_t *ret_to, err *e) {
    int64_t since;
    rc code = api_param_time(c, "end", TIMES_LOKI, now, ret_to, e);
    if (!code) code = api_param_duration(c, "since", HOUR_NS, &since, e);
    if (!code)
        code = api_param_time(c, "start", TIMES_LOKI, MIN(*ret_to, now) - since, ret_from, e);
    if (code) return code;
    if (*ret_from < 0) *ret_from = 0;
    if (*ret_to < *ret_from)
        return FAIL(e, RC_INVALID, "end timestamp must not be before or equal to start time");
    return RC_OK;
}

/* --- streams --- */

static void put_ns(json_writer *w, int64_t ns) {
    char text[24];
    int n = snprintf(text, sizeof(text), "\"%" PRId64 "\"", ns);
    json_write_raw(w, str_make(text, (size_t)n));
}

static void put_stats(api_call *c, const query_result *r, size_t entries) {
    json_writer *w = &c->w;
    double seconds = (double)r->duration_ns / 1e9;
    json_write_key(w, S("stats"));
    json_write_object(w);
    json_write_key(w, S("summary"));
    json_write_object(w);
    json_write_kv_i64(w, S("bytesProcessedPerSecond"),
                      seconds > 0 ? (int64_t)((double)r->stats.bytes_decoded / seconds) : 0);
    json_write_kv_i64(w, S("linesProcessedPerSecond"),
                      seconds > 0 ? (int64_t)((double)r->stats.rows / seconds) : 0);
    json_write_kv_i64(w, S("totalBytesProcessed"), (int64_t)r->stats.bytes_decoded);
    json_write_kv_i64(w, S("totalLinesProcessed"), (int64_t)r->stats.rows);
    json_write_kv_double(w, S("execTime"), seconds);
    json_write_kv_i64(w, S("queueTime"), 0);
    json_write_kv_i64(w, S("totalEntriesReturned"), (int64_t)entries);
    json_write_kv_i64(w, S("blocks"), (int64_t)r->stats.blocks);
    json_write_kv_i64(w, S("blocksRead"), (int64_t)r->stats.blocks_read);
    json_write_kv_bool(w, S("partial"), r->stats.partial);
    json_write_object_end(w);
    json_write_object_end(w);
}

static void put_value_head(json_writer *w, const query_entry *en) {
    json_write_array(w);
    put_ns(w, en->ts_ns);
    json_write_str(w, en->line);
}

static void put_categorized(json_writer *w, const query_result *r) {
    for (size_t i = 0; i < r->count; i++) {
        const query_series *s = &r->series[i];
        json_write_object(w);
        json_write_key(w, S("stream"));
        api_put_labels(w, s->labels, s->label_count);
        json_write_key(w, S("values"));
        json_write_array(w);
        for (size_t k = 0; k < s->count; k++) {
            const query_entry *en = &s->entries[k];
            size_t own = en->metadata_count - en->parsed_count;
            put_value_head(w, en);
            json_write_object(w);
            if (own) {
                json_write_key(w, S("structuredMetadata"));
                api_put_labels(w, en->metadata, own);
            }
            if (en->parsed_count) {
                json_write_key(w, S("parsed"));
                api_put_labels(w, en->metadata + own, en->parsed_count);
            }
            json_write_object_end(w);
            json_write_array_end(w);
        }
        json_write_array_end(w);
        json_write_object_end(w);
    }
}

typedef struct row { /* an entry with all its labels */
    const query_entry *entry;
    query_label *labels;
    size_t count;
    uint32_t next; /* of the same stream; UINT32_MAX: the last one */
} row;

/* The labels of the stream and of the entry as one sorted set; what stages made wins. */
static query_label *merged_labels(const query_series *s, const query_entry *en, arena *mem,
                                  size_t *ret_n) {
    query_label *to = arena_try_new_n(mem, query_label, s->label_count + en->metadata_count + 1);
    if (!to) return NULL;
    size_t n = 0, own = en->metadata_count - en->parsed_count;
    for (size_t i = 0; i < en->parsed_count; i++) to[n++] = en->metadata[own + i];
    for (size_t i = 0; i < s->label_count; i++) {
        if (!labels_get(to, en->parsed_count, s->labels[i].name).p) to[n++] = s->labels[i];
    }
    size_t known = n;
    for (size_t i = 0; i < own; i++) {
        if (!labels_get(to, known, en->metadata[i].name).p) to[n++] = en->metadata[i];
    }
    labels_sort(to, n);
    *ret_n = n;
    return to;
}

static rc put_merged(api_call *c, const query_result *r, size_t entries, err *e) {
    json_writer *w = &c->w;
    row *rows = arena_try_new_n(&c->mem, row, MAX(entries, 1));
    uint32_t *first = arena_try_new_n(&c->mem, uint32_t, MAX(entries, 1));
    uint32_t *last = arena_try_new_n(&c->mem, uint32_t, MAX(entries, 1));
    if (!rows || !first || !last) return FAIL(e, RC_LIMIT, "the answer needs too much memory");
    map64 by_hash;
    map64_init(&by_hash, MAX(entries, 1));
    size_t n = 0, streams = 0;
    rc code = RC_OK;
    for (size_t i = 0; i < r->count && !code; i++) {
        for (size_t k = 0; k < r->series[i].count && !code; k++, n++) {
            row *to = &rows[n];
            *to = (row){.entry = &r->series[i].entries[k], .next = UINT32_MAX};
            to->labels = merged_labels(&r->series[i], to->entry, &c->mem, &to->count);
            if (!to->labels) {
                code = FAIL(e, RC_LIMIT, "the answer needs too much memory");
                break;
            }
            bool added;
            uint64_t *at = map64_put(&by_hash, labels_hash(to->labels, to->count), &added);
            MUST(at != NULL);
            if (added) {
                *at = streams;
                first[streams++] = (uint32_t)n;
            } else {
                rows[last[*at]].next = (uint32_t)n;
            }
            last[*at] = (uint32_t)n;
        }
    }
    map64_release(&by_hash);
    for (size_t i = 0; i < streams && !code; i++) {
        json_write_object(w);
        json_write_key(w, S("stream"));
        api_put_labels(w, rows[first[i]].labels, rows[first[i]].count);
        json_write_key(w, S("values"));
        json_write_array(w);
        for (uint32_t k = first[i]; k != UINT32_MAX; k = rows[k].next) {
            put_value_head(w, rows[k].entry);
            json_write_array_end(w);
        }
        json_write_array_end(w);
        json_write_object_end(w);
    }
    return code;
}

static rc put_result(api_call *c, const query_result *r, err *e) {
    json_writer *w = &c->w;
    size_t entries = 0;
    bool streams = r->kind == RESULT_STREAMS;
    bool categorize = streams && str_has(net_header(c->r, S("x-loki-response-encoding-flags")),
                                         S("categorize-labels"));
    for (size_t i = 0; i < r->count; i++) entries += r->series[i].count;
    json_write_object(w);
    json_write_kv(w, S("status"), S("success"));
    json_write_key(w, S("data"));
    json_write_object(w);
    if (streams) {
        json_write_kv(w, S("resultType"), S("streams"));
        if (categorize) {
            json_write_key(w, S("encodingFlags"));
            json_write_array(w);
            json_write_str(w, S("categorize-labels"));
            json_write_array_end(w);
        }
        json_write_key(w, S("result"));
        json_write_array(w);
        rc code = RC_OK;
        if (categorize) {
            put_categorized(w, r);
        } else {
            code = put_merged(c, r, entries, e);
        }
        if (code) return code;
        json_write_array_end(w);
    } else {
        api_put_matrix(w, r);
    }
    put_stats(c, r, entries);
    json_write_object_end(w);
    api_put_warnings(w, &r->stats);
    json_write_object_end(w);
    return RC_OK;
}

static rc run(api_call *c, query_opts *o, err *e) {
    query_result r;
    str limit, direction;
    rc code = api_param_limit(c, "limit", ENTRIES_DEFAULT, ENTRIES_MAX, &o->limit, e);
    if (code) return code;
    if (api_param(c, "limit", &limit) && str_eq(limit, S("0"))) o->limit = ENTRIES_DEFAULT;
    if (api_param(c, "direction", &direction)) {
        o->oldest_first = str_eq_nocase(direction, S("forward"));
        if (!o->oldest_first && !str_eq_nocase(direction, S("backward"))) {
            return FAIL(e, RC_INVALID, "invalid direction '%.*s'", (int)MIN(direction.n, 40),
                        direction.p);
        }
    }
    if (!api_param(c, "query", &o->text)) {
        return FAIL(e, RC_INVALID, "parse error : syntax error: unexpected $end");
    }
    api_call_opts(c, o);
    code = query_logs(c->env->store, o, &c->mem, &r, e);
    return code ? code : put_result(c, &r, e);
}

static void query_range(api_call *c) {
    err e = {0};
    query_opts o = {0};
    rc code = times(c, api_now_ns(), &o.from_ns, &o.to_ns, &e);
    int64_t step = MAX(SECOND_NS, (o.to_ns - o.from_ns) / 250 / SECOND_NS * SECOND_NS);
    if (!code) code = api_param_duration(c, "step", step, &o.step_ns, &e);
    if (!code) code = run(c, &o, &e);
    if (code) {
        fail(c, &e);
    } else {
        api_reply_json(c);
    }
}

static void query_instant(api_call *c) {
    err e = {0};
    query_opts o = {0};
    str text = STR_NONE;
    bool streams = false;
    rc code = api_param_time(c, "time", TIMES_LOKI, api_now_ns(), &o.to_ns, &e);
    if (!code && api_param(c, "query", &text)) code = query_check(text, QUERY_LOGS, &streams, &e);
    if (!code && streams) {
        code = FAIL(
            &e, RC_INVALID,
            "log queries are not supported as an instant query type, please change your query to a "
            "range query type");
    }
    if (!code) code = run(c, &o, &e);
    if (code) {
        fail(c, &e);
    } else {
        api_reply_json(c);
    }
}

/* --- labels --- */

/* The selector of a parameter as matchers; none when it is absent. */
static rc selector(api_call *c, const char *name, size_t index, select_common *q, bool *ret_given,
                   err *e) {
    str text;
    *ret_given = net_param(c->r, str_c(name), index, &text) && text.n > 0;
    if (!*ret_given) return RC_OK;
    return query_selector(text, QUERY_LOGS, false, &c->mem, &q->match, &q->match_count, e);
}

static void put_list_answer(api_call *c, rc code, const err *e) {
    if (code) {
        fail(c, e);
        return;
    }
    api_put_warnings(&c->w, &c->stats);
    json_write_object_end(&c->w);
    api_reply_json(c);
}

static void label_names(api_call *c, str label) {
    err e = {0};
    select_common q = {0};
    bool given;
    rc code = times(c, api_now_ns(), &q.from_ns, &q.to_ns, &e);
    if (!code) code = selector(c, "query", 0, &q, &given, &e);
    if (!code) {
        api_call_common(c, &q);
        json_write_object(&c->w);
        json_write_kv(&c->w, S("status"), S("success"));
        json_write_key(&c->w, S("data"));
        code = api_put_names(c, SIGNAL_LOGS, label, &q, NULL, &e);
    }
    put_list_answer(c, code, &e);
}

static void labels(api_call *c) { label_names(c, STR_NONE); }

static void json_not_found(api_call *c) {
    net_reply_opts o = {.status = 404, .content_type = S("application/json; charset=UTF-8")};
    net_reply(c->r, &o, S("{\"message\":\"not found\"}"));
}

static void label_values(api_call *c) {
    str name;
    if (!api_path_middle(c, "/loki/api/v1/label/", "/values", &name)) {
        json_not_found(c);
        return;
    }
    label_names(c, str_eq(name, S("detected_level")) ? S("level") : name);
}

/* --- series --- */

/* Which labels streams have is learnt from the newest records; which of their values go together is
 * then counted by the store on its columns, over the whole time. */
typedef struct series_set {
    api_call *c;
    map64 seen;
    const resource *last;
    query_label *labels;
    str names[SERIES_LABELS_MAX];
    size_t name_count;
    bool full;
} series_set;

static rc learn_names(void *ctx, unsigned worker, log_batch *b, err *e) {
    series_set *s = ctx;
    (void)worker;
    (void)e;
    s->last = NULL;
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        if (r->resource && r->resource == s->last && !r->service.n) continue;
        s->last = r->resource;
        size_t n = record_stream_labels(r, &s->c->mem, s->labels, LABELS_MAX);
        for (size_t k = 0; k < n; k++) {
            bool known = false;
            for (size_t j = 0; j < s->name_count && !known; j++)
                known = str_eq(s->names[j], s->labels[k].name);
            if (known || s->name_count == SERIES_LABELS_MAX) continue;
            s->names[s->name_count++] = str_dup(&s->c->mem, s->labels[k].name);
        }
    }
    return RC_OK;
}

static rc take_series(void *ctx, const log_count *count, err *e) {
    series_set *s = ctx;
    (void)e;
    size_t n = 0;
    for (size_t i = 0; i < s->name_count; i++) {
        if (count->values[i].n) s->labels[n++] = (query_label){s->names[i], count->values[i]};
    }
    labels_sort(s->labels, n);
    bool added;
    if (!map64_put(&s->seen, labels_hash(s->labels, n), &added)) {
        s->full = true;
    } else if (added) {
        api_put_labels(&s->c->w, s->labels, n);
    }
    return RC_OK;
}

static rc series_of(series_set *s, log_select *q, err *e) {
    store *st = s->c->env->store;
    api_call_common(s->c, &q->c);
    log_select sample = *q;
    sample.c.workers = 1;
    sample.c.limit = SERIES_SAMPLE;
    sample.c.order = SELECT_NEWEST_FIRST;
    rc code = st->ops->logs(st, &sample, learn_names, s, &s->c->stats, e);
    log_count_by by = {.labels = s->names, .label_count = s->name_count};
    if (!code && s->name_count)
        code = st->ops->count_logs(st, q, &by, take_series, s, &s->c->stats, e);
    return code;
}

static void series(api_call *c) {
    err e = {0};
    series_set set = {.c = c};
    map64_init(&set.seen, SERIES_MAX);
    set.labels = arena_bytes(&c->mem, LABELS_MAX * sizeof(query_label), _Alignof(query_label));
    json_write_object(&c->w);
    json_write_kv(&c->w, S("status"), S("success"));
    json_write_key(&c->w, S("data"));
    json_write_array(&c->w);
    rc code = RC_OK;
    for (size_t i = 0; !code; i++) {
        log_select q = {0};
        bool given = false;
        code = times(c, api_now_ns(), &q.c.from_ns, &q.c.to_ns, &e);
        if (!code) code = selector(c, "match[]", i, &q.c, &given, &e);
        if (code || (!given && i > 0)) break;
        code = series_of(&set, &q, &e);
        if (!given) break;
    }
    map64_release(&set.seen);
    json_write_array_end(&c->w);
    if (set.full && !c->stats.partial) {
        c->stats.partial = true;
        (void)snprintf(c->stats.reason, sizeof(c->stats.reason), "more than %d series", SERIES_MAX);
    }
    put_list_answer(c, code, &e);
}

/* --- volumes --- */

typedef struct volume {
    uint64_t records, bytes;
} volume;

static rc on_volume(void *ctx, const log_count *n, err *e) {
    volume *v = ctx;
    (void)e;
    v->records += n->records;
    v->bytes += n->bytes;
    return RC_OK;
}

static void index_stats(api_call *c) {
    err e = {0};
    log_select q = {0};
    volume v = {0};
    bool given;
    rc code = times(c, api_now_ns(), &q.c.from_ns, &q.c.to_ns, &e);
    if (!code) code = selector(c, "query", 0, &q.c, &given, &e);
    if (!code) {
        log_count_by by = {.want_bytes = true};
        api_call_common(c, &q.c);
        code = c->env->store->ops->count_logs(c->env->store, &q, &by, on_volume, &v, &c->stats, &e);
    }
    if (code) {
        fail(c, &e);
        return;
    }
    json_write_object(&c->w);
    json_write_kv_i64(&c->w, S("streams"), v.records > 0);
    json_write_kv_i64(&c->w, S("chunks"), (int64_t)(c->stats.blocks - c->stats.blocks_pruned));
    json_write_kv_i64(&c->w, S("bytes"), (int64_t)v.bytes);
    json_write_kv_i64(&c->w, S("entries"), (int64_t)v.records);
    json_write_object_end(&c->w);
    api_reply_json(c);
}

/* Bytes of lines by labels, largest first, through the query language. */
static rc volume_query(api_call *c, bool range, query_opts *o, err *e) {
    str text, targets = STR_NONE, one;
    rc code = times(c, api_now_ns(), &o->from_ns, &o->to_ns, e);
    int64_t width = MAX(o->to_ns - o->from_ns, SECOND_NS);
    if (!code)
        code = api_param_duration(c, "step", range ? MAX(SECOND_NS, width / 60) : width,
                                  &o->step_ns, e);
    if (!code) code = api_param_limit(c, "limit", 100, SERIES_MAX, &o->limit, e);
    if (!code && !api_param(c, "query", &text)) text = S("{}");
    const label_match *match = NULL;
    size_t match_count = 0;
    if (!code) code = query_selector(text, QUERY_LOGS, false, &c->mem, &match, &match_count, e);
    if (code) return code;
    buf b;
    buf_init(&b, 1 << 20);
    bool ok = buf_fmt(&b, "topk(%" PRIu64 ", sum by (", o->limit);
    if (api_param(c, "targetLabels", &targets)) {
        for (size_t i = 0; str_next(&targets, ',', &one); i++) {
            ok = ok && (i == 0 || buf_putc(&b, ',')) && buf_put(&b, str_trim(one));
        }
    } else {
        for (size_t i = 0; i < match_count; i++) {
            ok = ok && (i == 0 || buf_putc(&b, ',')) && buf_put(&b, match[i].name);
        }
        if (match_count == 0) ok = ok && buf_put(&b, S("service_name"));
    }
    ok = ok && buf_put(&b, S(") (bytes_over_time("));
    if (ok) code = query_format(text, QUERY_LOGS, &b, e);
    ok = ok && !code && buf_fmt(&b, "[%" PRId64 "ns])))", range ? o->step_ns : width);
    if (!range) o->step_ns = 0;
    o->text = ok ? str_dup(&c->mem, buf_str(&b)) : STR_NONE;
    buf_release(&b);
    if (code) return code;
    return o->text.p ? RC_OK : FAIL(e, RC_INVALID, "the query is too long");
}

static void volumes(api_call *c, bool range) {
    err e = {0};
    query_opts o = {0};
    query_result r;
    rc code = volume_query(c, range, &o, &e);
    api_call_opts(c, &o);
    if (!code) code = query_logs(c->env->store, &o, &c->mem, &r, &e);
    if (!code) code = put_result(c, &r, &e);
    if (code) {
        fail(c, &e);
    } else {
        api_reply_json(c);
    }
}

static void index_volume(api_call *c) { volumes(c, false); }
static void index_volume_range(api_call *c) { volumes(c, true); }

/* --- the rest --- */

static void format_query(api_call *c) {
    err e = {0};
    str text = STR_NONE;
    buf b;
    (void)api_param(c, "query", &text);
    buf_init(&b, 1 << 20);
    rc code = query_format(text, QUERY_LOGS, &b, &e);
    json_write_object(&c->w);
    json_write_kv(&c->w, S("status"), code ? S("invalid-query") : S("success"));
    if (code) {
        json_write_kv(&c->w, S("error"), str_c(e.msg));
    } else {
        json_write_kv(&c->w, S("data"), buf_str(&b));
    }
    json_write_object_end(&c->w);
    buf_release(&b);
    api_reply_json(c);
}

static void build_info(api_call *c) {
    json_write_object(&c->w);
    json_write_kv(&c->w, S("version"), c->env->version);
    json_write_kv(&c->w, S("revision"), S(""));
    json_write_kv(&c->w, S("branch"), S(""));
    json_write_kv(&c->w, S("buildUser"), S(""));
    json_write_kv(&c->w, S("buildDate"), S(""));
    json_write_kv(&c->w, S("goVersion"), S(""));
    json_write_kv(&c->w, S("application"), S("faultline"));
    json_write_object_end(&c->w);
    api_reply_json(c);
}

static void ready(api_call *c) { api_reply_text(c, 200, S("ready\n")); }

#define HANDLER(name)                                                                              \
    static void on_##name(void *ctx, net_request *r) { api_call_start(ctx, r, name); }
HANDLER(query_range)
HANDLER(query_instant)
HANDLER(labels)
HANDLER(label_values)
HANDLER(series)
HANDLER(index_stats)
HANDLER(index_volume)
HANDLER(index_volume_range)
HANDLER(format_query)
HANDLER(build_info)
HANDLER(ready)
HANDLER(json_not_found)

void api_loki_add(net_server *s, uint32_t group, const api_env *env) {
    static const struct {
        const char *path;
        net_handler handler;
    } ROUTES[] = {{"/loki/api/v1/query_range", on_query_range},
                  {"/loki/api/v1/query", on_query_instant},
                  {"/loki/api/v1/labels", on_labels},
                  {"/loki/api/v1/label", on_labels},
                  {"/loki/api/v1/label/*", on_label_values},
                  {"/loki/api/v1/series", on_series},
                  {"/loki/api/v1/index/stats", on_index_stats},
                  {"/loki/api/v1/index/volume", on_index_volume},
                  {"/loki/api/v1/index/volume_range", on_index_volume_range},
                  {"/loki/api/v1/format_query", on_format_query},
                  {"/loki/api/v1/status/buildinfo", on_build_info},
                  {"/loki/ready", on_ready},
                  {"/ready", on_ready},
                  {"/loki/*", on_json_not_found}};
    for (size_t i = 0; i < ARRAY_LEN(ROUTES); i++) {
        void *ctx = (void *)(uintptr_t)env; /* handlers take it as const again */
        net_route_add(s, group, "GET", ROUTES[i].path, ROLE_READ, ROUTES[i].handler, ctx);
        net_route_add(s, group, "POST", ROUTES[i].path, ROLE_READ, ROUTES[i].handler, ctx);
    }
}
