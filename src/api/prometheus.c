/* prometheus.c - Prometheus' HTTP API over the stored metrics, as Grafana's data source and
 * promtool use it. There are no rules and alerts yet: their lists are empty. Source: Prometheus
 * docs "HTTP API", web/api/v1/api.go. */
#include <stdio.h>
#include <stdlib.h>

#include "api/call_int.h"
#include "base/map.h"
#include "query/labels.h"

enum { SERIES_MAX = 20000, NAMES_MAX = 100000 };
#define SECOND_NS INT64_C(1000000000)
#define MINUTE_NS (60 * SECOND_NS)

static void fail(api_call *c, const err *e) {
    static const struct {
        rc code;
        int status;
        const char *type;
    } TYPES[] = {{RC_INVALID, 400, "bad_data"},   {RC_UNSUPPORTED, 400, "bad_data"},
                 {RC_LIMIT, 422, "execution"},    {RC_TIMEOUT, 503, "timeout"},
                 {RC_CANCELLED, 499, "canceled"}, {RC_NOT_FOUND, 404, "not_found"},
                 {RC_AGAIN, 503, "unavailable"}};
    int status = 500;
    const char *type = "internal";
    for (size_t i = 0; i < ARRAY_LEN(TYPES); i++) {
        if (TYPES[i].code != e->code) continue;
        status = TYPES[i].status;
        type = TYPES[i].type;
    }
    buf_reset(&c->out);
    json_write_init(&c->w, &c->out, 0);
    json_write_object(&c->w);
    json_write_kv(&c->w, S("status"), S("error"));
    json_write_kv(&c->w, S("errorType"), str_c(type));
    json_write_kv(&c->w, S("error"), str_c(e->msg));
    json_write_object_end(&c->w);
    net_reply_opts o = {.status = status, .content_type = S("application/json; charset=UTF-8")};
    net_reply(c->r, &o, buf_str(&c->out));
}

static void begin(api_call *c) {
    json_write_object(&c->w);
    json_write_kv(&c->w, S("status"), S("success"));
    json_write_key(&c->w, S("data"));
}

static void finish(api_call *c, rc code, const err *e) {
    if (code) {
        fail(c, e);
        return;
    }
    api_put_warnings(&c->w, &c->stats);
    json_write_object_end(&c->w);
    api_reply_json(c);
}

/* --- queries --- */

static rc run(api_call *c, query_opts *o, err *e) {
    query_result r;
    if (!api_param(c, "query", &o->text)) {
        return FAIL(e, RC_INVALID,
                    "invalid parameter \"query\": unknown position: parse error: no expression "
                    "found in input");
    }
    api_call_opts(c, o);
    int64_t timeout = o->timeout_ns ? o->timeout_ns : 2 * MINUTE_NS, asked;
    rc code = api_param_duration(c, "timeout", timeout, &asked, e);
    if (code) return code;
    o->timeout_ns = MIN(timeout, asked);
    code = query_metrics(c->env->store, o, &c->mem, &r, e);
    if (code)
        return code == RC_INVALID && str_has(str_c(e->msg), S("parse error"))
                   ? err_wrap(e, code, "invalid parameter \"query\"")
                   : code;
    c->stats = r.stats;
    begin(c);
    json_write_object(&c->w);
    api_put_matrix(&c->w, &r);
    json_write_object_end(&c->w);
    return RC_OK;
}

static void query_instant(api_call *c) {
    err e = {0};
    query_opts o = {0};
    rc code = api_param_time(c, "time", TIMES_SECONDS, api_now_ns(), &o.to_ns, &e);
    if (!code) code = run(c, &o, &e);
    finish(c, code, &e);
}

static void query_range(api_call *c) {
    err e = {0};
    query_opts o = {0};
    str given;
    rc code = RC_OK;
    static const char *const NEEDED[] = {"start", "end", "step"};
    for (size_t i = 0; i < ARRAY_LEN(NEEDED) && !code; i++) {
        if (!api_param(c, NEEDED[i], &given)) {
            code = FAIL(&e, RC_INVALID, "invalid parameter \"%s\": cannot parse \"\" to a valid %s",
                        NEEDED[i], i < 2 ? "timestamp" : "duration");
        }
    }
    if (!code) code = api_param_time(c, "start", TIMES_SECONDS, 0, &o.from_ns, &e);
    if (!code) code = api_param_time(c, "end", TIMES_SECONDS, 0, &o.to_ns, &e);
    if (!code) code = api_param_duration(c, "step", 0, &o.step_ns, &e);
    if (!code && o.to_ns < o.from_ns) {
        code = FAIL(&e, RC_INVALID,
                    "invalid parameter \"end\": end timestamp must not be before start time");
    }
    if (!code) code = run(c, &o, &e);
    finish(c, code, &e);
}

/* --- names --- */

static rc times(api_call *c, select_common *q, err *e) {
    int64_t now = api_now_ns();
    rc code = api_param_time(c, "end", TIMES_SECONDS, now + SECOND_NS, &q->to_ns, e);
    if (!code) code = api_param_time(c, "start", TIMES_SECONDS, 0, &q->from_ns, e);
    if (!code && q->to_ns < q->from_ns)
        return FAIL(e, RC_INVALID, "invalid parameter \"end\": it is before start");
    api_call_common(c, q);
    return code;
}

/* The matchers of match[] number `index`; names of metrics as the store finds them. */
static rc selector(api_call *c, size_t index, select_common *q, bool *ret_given, err *e) {
    str text;
    *ret_given = net_param(c->r, S("match[]"), index, &text) && text.n > 0;
    if (!*ret_given) return RC_OK;
    rc code = query_selector(text, QUERY_METRICS, true, &c->mem, &q->match, &q->match_count, e);
    return code ? err_wrap(e, code, "invalid parameter \"match[]\"") : RC_OK;
}

/* Names of metrics are told as they are asked for: histograms and summaries as their parts. */
static rc take_name(void *ctx, const metric_series *s, err *e) {
    intern *names = ctx;
    char plain[1024];
    metric_kind kind = (metric_kind)s->info->kind;
    bool histogram = kind == METRIC_HISTOGRAM || kind == METRIC_EXP_HISTOGRAM;
    bool parts = histogram || kind == METRIC_SUMMARY;
    const char *const ends[] = {histogram ? "_bucket" : "", "_count", "_sum"};
    size_t n = MIN(s->info->name.n, sizeof(plain) - 8);
    for (size_t i = 0; i < n; i++) {
        char ch = s->info->name.p[i];
        bool ok =
            (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || ch == ':';
        plain[i] = ok ? ch : '_';
    }
    for (size_t i = 0; i < (parts ? ARRAY_LEN(ends) : 1); i++) {
        str end = str_c(parts ? ends[i] : "");
        if (end.n) memcpy(plain + n, end.p, end.n);
        if (intern_put(names, str_make(plain, n + end.n)) == INTERN_NONE)
            return FAIL(e, RC_LIMIT, "too many names of metrics");
    }
    return RC_OK;
}

static int by_text(const void *a, const void *b) {
    return str_cmp(*(const str *)a, *(const str *)b);
}

static rc put_metric_names(api_call *c, const select_common *q, err *e) {
    intern names;
    intern_init(&names, "metric names", NAMES_MAX, 64 << 20);
    store *s = c->env->store;
    metric_select all = {.c = *q, .max_series = UINT32_MAX};
    rc code = s->ops->metrics(s, &all, take_name, &names, &c->stats, e);
    str *sorted = arena_try_new_n(&c->mem, str, MAX(names.count, 1));
    if (!code && !sorted) code = FAIL(e, RC_LIMIT, "too many names of metrics");
    if (!code) {
        if (names.count) memcpy(sorted, names.texts, names.count * sizeof(str));
        qsort(sorted, names.count, sizeof(str), by_text);
        json_write_array(&c->w);
        for (size_t i = 0; i < names.count; i++) json_write_str(&c->w, sorted[i]);
        json_write_array_end(&c->w);
    }
    intern_release(&names);
    return code;
}

static void label_names(api_call *c, str label) {
    err e = {0};
    select_common q = {0};
    bool given;
    rc code = times(c, &q, &e);
    if (!code) code = selector(c, 0, &q, &given, &e);
    if (!code) {
        begin(c);
        code = str_eq(label, S("__name__")) ? put_metric_names(c, &q, &e)
                                            : api_put_names(c, SIGNAL_METRICS, label, &q, NULL, &e);
    }
    finish(c, code, &e);
}

static void labels(api_call *c) { label_names(c, STR_NONE); }
static void label_values(api_call *c) {
    str name;
    if (api_path_middle(c, "/api/v1/label/", "/values", &name)) {
        label_names(c, name);
        return;
    }
    err e = {0};
    fail(c, (FAIL(&e, RC_NOT_FOUND, "not found"), &e));
}

/* --- series --- */

typedef struct series_list {
    api_call *c;
    map64 seen;
    query_label *labels;
    bool metadata; /* name, type, help, unit instead of labels */
    str only;      /* of metadata: this metric */
    size_t count;
} series_list;

static str plain_metric(str name, arena *mem) {
    char *p = arena_try_raw(mem, name.n + 1, 1);
    if (!p) return name;
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool ok = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') ||
                  ch == '_' || ch == ':';
        p[i] = ok ? ch : '_';
    }
    return str_make(p, name.n);
}

static const char *type_of(const metric_info *m) {
    switch ((metric_kind)m->kind) {
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_SUM:
        return m->monotonic ? "counter" : "gauge";
    case METRIC_HISTOGRAM:
    case METRIC_EXP_HISTOGRAM:
        return "histogram";
    case METRIC_SUMMARY:
        return "summary";
    case METRIC_NONE:
        break;
    }
    return "unknown";
}

static rc put_metadata(series_list *l, const metric_series *s, str name, err *e) {
    json_writer *w = &l->c->w;
    bool added;
    (void)e;
    if (l->only.n && !str_eq(name, l->only)) return RC_OK;
    if (!map64_put(&l->seen, str_hash(name), &added)) return RC_END;
    if (!added) return RC_OK;
    json_write_key(w, name);
    json_write_array(w);
    json_write_object(w);
    json_write_kv(w, S("type"), str_c(type_of(s->info)));
    json_write_kv(w, S("help"), s->info->description);
    json_write_kv(w, S("unit"), s->info->unit);
    json_write_object_end(w);
    json_write_array_end(w);
    return RC_OK;
}

static rc on_series_found(void *ctx, const metric_series *s, err *e) {
    series_list *l = ctx;
    arena_mark mark = arena_save(&l->c->mem);
    str name = plain_metric(s->info->name, &l->c->mem);
    rc code = RC_OK;
    if (l->metadata) {
        code = put_metadata(l, s, name, e);
    } else {
        size_t n = 0;
        l->labels[n++] = (query_label){S("__name__"), name};
        n += series_labels(s, &l->c->mem, l->labels + n, LABELS_MAX - n);
        labels_sort(l->labels, n);
        bool added;
        if (!map64_put(&l->seen, labels_hash(l->labels, n), &added)) {
            code = RC_END;
        } else if (added) {
            api_put_labels(&l->c->w, l->labels, n);
        }
    }
    arena_restore(&l->c->mem, mark);
    if (code != RC_END) return code;
    l->c->stats.partial = true;
    (void)snprintf(l->c->stats.reason, sizeof(l->c->stats.reason), "more than %d series",
                   SERIES_MAX);
    return RC_END;
}

static rc list_series(series_list *l, metric_select *q, err *e) {
    api_call *c = l->c;
    q->max_series = SERIES_MAX;
    rc code = times(c, &q->c, e);
    if (code) return code;
    code = c->env->store->ops->metrics(c->env->store, q, on_series_found, l, &c->stats, e);
    return code == RC_END ? RC_OK : code;
}

static void series(api_call *c) {
    err e = {0};
    series_list l = {.c = c};
    map64_init(&l.seen, SERIES_MAX);
    l.labels = arena_bytes(&c->mem, LABELS_MAX * sizeof(query_label), _Alignof(query_label));
    begin(c);
    json_write_array(&c->w);
    rc code = RC_OK;
    for (size_t i = 0; !code; i++) {
        metric_select q = {0};
        bool given;
        code = selector(c, i, &q.c, &given, &e);
        if (!code && !given && i == 0) code = FAIL(&e, RC_INVALID, "no match[] parameter provided");
        if (code || !given) break;
        code = list_series(&l, &q, &e);
    }
    if (!code) json_write_array_end(&c->w);
    map64_release(&l.seen);
    finish(c, code, &e);
}

static void metadata(api_call *c) {
    err e = {0};
    series_list l = {.c = c, .metadata = true};
    (void)api_param(c, "metric", &l.only);
    map64_init(&l.seen, SERIES_MAX);
    begin(c);
    json_write_object(&c->w);
    metric_select q = {0};
    rc code = list_series(&l, &q, &e);
    if (!code) json_write_object_end(&c->w);
    map64_release(&l.seen);
    finish(c, code, &e);
}

/* --- the rest --- */

static void put_empty(api_call *c, const char *list) {
    err none = {0};
    begin(c);
    if (list) {
        json_write_object(&c->w);
        json_write_key(&c->w, str_c(list));
    }
    json_write_array(&c->w);
    json_write_array_end(&c->w);
    if (list) json_write_object_end(&c->w);
    finish(c, RC_OK, &none);
}

static void rules(api_call *c) { put_empty(c, "groups"); }
static void alerts(api_call *c) { put_empty(c, "alerts"); }
static void exemplars(api_call *c) { put_empty(c, NULL); }

static void format_query(api_call *c) {
    err e = {0};
    str text = STR_NONE;
    buf b;
    (void)api_param(c, "query", &text);
    buf_init(&b, 1 << 20);
    rc code = query_format(text, QUERY_METRICS, &b, &e);
    if (!code) {
        begin(c);
        json_write_str(&c->w, buf_str(&b));
    }
    finish(c, code, &e);
    buf_release(&b);
}

static void build_info(api_call *c) {
    err none = {0};
    begin(c);
    json_write_object(&c->w);
    json_write_kv(&c->w, S("version"), c->env->version);
    json_write_kv(&c->w, S("revision"), S(""));
    json_write_kv(&c->w, S("branch"), S(""));
    json_write_kv(&c->w, S("buildUser"), S(""));
    json_write_kv(&c->w, S("buildDate"), S(""));
    json_write_kv(&c->w, S("goVersion"), S(""));
    json_write_kv(&c->w, S("application"), S("faultline"));
    json_write_object_end(&c->w);
    finish(c, RC_OK, &none);
}

#define HANDLER(name)                                                                              \
    static void on_##name(void *ctx, net_request *r) { api_call_start(ctx, r, name); }
HANDLER(query_instant)
HANDLER(query_range)
HANDLER(labels)
HANDLER(label_values)
HANDLER(series)
HANDLER(metadata)
HANDLER(rules)
HANDLER(alerts)
HANDLER(exemplars)
HANDLER(format_query)
HANDLER(build_info)

void api_prometheus_add(net_server *s, uint32_t group, const api_env *env) {
    static const struct {
        const char *path;
        net_handler handler;
    } ROUTES[] = {{"/api/v1/query", on_query_instant},
                  {"/api/v1/query_range", on_query_range},
                  {"/api/v1/labels", on_labels},
                  {"/api/v1/label/*", on_label_values},
                  {"/api/v1/series", on_series},
                  {"/api/v1/metadata", on_metadata},
                  {"/api/v1/rules", on_rules},
                  {"/api/v1/alerts", on_alerts},
                  {"/api/v1/query_exemplars", on_exemplars},
                  {"/api/v1/format_query", on_format_query},
                  {"/api/v1/status/buildinfo", on_build_info}};
    for (size_t i = 0; i < ARRAY_LEN(ROUTES); i++) {
        void *ctx = (void *)(uintptr_t)env; /* handlers take it as const again */
        net_route_add(s, group, "GET", ROUTES[i].path, ROLE_READ, ROUTES[i].handler, ctx);
        net_route_add(s, group, "POST", ROUTES[i].path, ROLE_READ, ROUTES[i].handler, ctx);
    }
}
