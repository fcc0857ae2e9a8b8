/* export.c - GET /api/v1/export: stored telemetry, streamed as it is read.
 *
 *     signal=logs|traces|metrics|profiles (absent: all)  since, until  service  format
 *     format otlp-json   an Export...ServiceRequest as JSON a line, as the Collector's file
 * exporter otlp-proto  the same as protobuf, each after its length (varint) ndjson      one flat
 * object a record end=1  the last line (otlp-proto: a message of length 0, then the line) says how
 * many records there were and whether the answer is whole
 *
 * The answer begins with the first slice, so what fails before it has the status of its failure.
 * What was begun with 200 can still fail, or leave out damaged blocks: then that last line is there
 * without end=1, too.
 *
 * Records go out in slices of SLICE_RECORDS, so that memory does not depend on how much there is; a
 * slow client holds up the reading, not memory. */
#include "api/manage_int.h"
#include "base/mem.h"
#include "codec/json_write.h"
#include "codec/otlp.h"
#include "codec/timestamp.h"

enum {
    SLICE_RECORDS = 1000,
    SLICE_BYTES_MAX = 256 << 20,
    STREAM_BYTES_MAX = 1 << 20,
    TEXT_BYTES_MAX = 64 << 20
};

typedef enum export_format { FORMAT_JSON = 0, FORMAT_PROTO, FORMAT_NDJSON } export_format;

typedef struct export_run {
    net_request *r;
    export_format format;
    int64_t from_ns, to_ns;
    str service;
    int signal; /* -1: all */
    bool end, begun;
    uint64_t records;
    select_stats stats;
    buf out;
} export_run;

/* ---- one request of OTLP ---- */

static rc begin(export_run *x) {
    if (x->begun) return RC_OK;
    net_reply_opts head = {.status = 200,
                           .content_type = x->format == FORMAT_PROTO ? S("application/x-protobuf")
                                                                     : API_NDJSON};
    rc code = net_stream_begin(x->r, &head, STREAM_BYTES_MAX);
    x->begun = code == RC_OK;
    return code;
}

static rc send(export_run *x) {
    if (x->out.full) return RC_LIMIT;
    rc code = begin(x);
    if (code == RC_OK) code = api_stream(x->r, buf_str(&x->out));
    buf_reset(&x->out);
    return code;
}

static rc send_otlp(export_run *x, otlp_signal signal, const telemetry *t, err *e) {
    if (x->format == FORMAT_JSON) {
        if (!otlp_encode(signal, OTLP_JSON, t, &x->out) || !buf_putc(&x->out, '\n'))
            return FAIL(e, RC_LIMIT, "a slice of records is larger than %d bytes", SLICE_BYTES_MAX);
        return send(x);
    }
    buf body;
    buf_init(&body, SLICE_BYTES_MAX);
    bool fits = otlp_encode(signal, OTLP_PROTOBUF, t, &body) && buf_varint(&x->out, body.n) &&
                buf_put(&x->out, buf_str(&body));
    buf_release(&body);
    if (!fits)
        return FAIL(e, RC_LIMIT, "a slice of records is larger than %d bytes", SLICE_BYTES_MAX);
    return send(x);
}

/* ---- one flat object a record ---- */

static void put_time(json_writer *w, str name, int64_t ns) {
    char text[TS_TEXT_BYTES];
    if (ns == TS_NONE || ns == 0) return;
    ts_format(ns, text);
    json_write_kv(w, name, str_c(text));
}

static void put_hex(json_writer *w, str name, const void *p, size_t n) {
    char hex[64];
    if (n == 0 || 2 * n > sizeof hex) return;
    bytes_to_hex(p, n, hex);
    json_write_kv(w, name, str_make(hex, 2 * n));
}

static void put_attrs(json_writer *w, const attribute *attrs, uint32_t count) {
    buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const attribute *a = &attrs[i];
        json_write_key(w, a->key);
        double number;
        switch (a->type) {
        case ATTR_INT:
            json_write_i64(w, a->num);
            continue;
        case ATTR_DOUBLE:
            memcpy(&number, &a->num, sizeof number);
            json_write_double(w, number);
            continue;
        case ATTR_BOOL:
            json_write_bool(w, a->num != 0);
            continue;
        case ATTR_EMPTY:
            json_write_null(w);
            continue;
        default:
            break;
        }
        buf_reset(&text);
        if (!attribute_put_text(a, &text)) buf_reset(&text);
        if (a->type == ATTR_ARRAY || a->type == ATTR_KVLIST)
            json_write_raw(w, text.n > 0 ? buf_str(&text) : S("null"));
        else
            json_write_str(w, buf_str(&text));
    }
    buf_release(&text);
}

static void put_shared(json_writer *w, const resource *r, const scope *s) {
    if (r) {
        json_write_key(w, S("resource"));
        json_write_object(w);
        put_attrs(w, r->attrs, r->attr_count);
        json_write_object_end(w);
    }
    if (!s) return;
    if (s->name.n > 0) json_write_kv(w, S("scope"), s->name);
    if (s->version.n > 0) json_write_kv(w, S("scope_version"), s->version);
}

static void attrs_member(json_writer *w, const attribute *attrs, uint32_t count) {
    if (count == 0) return;
    json_write_key(w, S("attributes"));
    json_write_object(w);
    put_attrs(w, attrs, count);
    json_write_object_end(w);
}

static void put_log(json_writer *w, const log_record *r) {
    put_time(w, S("time"), r->ts_ns);
    if (r->observed_ns != r->ts_ns) put_time(w, S("observed"), r->observed_ns);
    if (r->resource && r->resource->service.n > 0)
        json_write_kv(w, S("service"), r->resource->service);
    else if (r->service.n > 0)
        json_write_kv(w, S("service"), r->service);
    if (r->severity) json_write_kv_i64(w, S("severity_number"), r->severity);
    if (r->severity_text.n > 0) json_write_kv(w, S("severity"), r->severity_text);
    bool is_json = r->body_type == ATTR_ARRAY || r->body_type == ATTR_KVLIST;
    json_write_key(w, S("body"));
    if (is_json && r->body.n > 0)
        json_write_raw(w, r->body);
    else
        json_write_str(w, r->body);
    put_hex(w, S("trace_id"), r->trace_bin.p, r->trace_bin.n);
    put_hex(w, S("span_id"), r->span_bin.p, r->span_bin.n);
    if (r->event_name.n > 0) json_write_kv(w, S("event_name"), r->event_name);
    attrs_member(w, r->attrs, r->attr_count);
    put_shared(w, r->resource, r->scope);
}

static const char *span_status_name(int32_t s) {
    return s == SPAN_STATUS_OK ? "ok" : s == SPAN_STATUS_ERROR ? "error" : "unset";
}

static void put_span(json_writer *w, const span *s) {
    static const uint8_t none[SPAN_ID_BYTES];
    put_hex(w, S("trace_id"), s->trace_id, sizeof s->trace_id);
    put_hex(w, S("span_id"), s->span_id, sizeof s->span_id);
    if (memcmp(s->parent_id, none, sizeof none) != 0)
        put_hex(w, S("parent_span_id"), s->parent_id, sizeof s->parent_id);
    if (s->resource->service.n > 0) json_write_kv(w, S("service"), s->resource->service);
    json_write_kv(w, S("name"), s->name);
    json_write_kv_i64(w, S("kind"), s->kind);
    put_time(w, S("start"), s->start_ns);
    put_time(w, S("end"), s->end_ns);
    json_write_kv_i64(w, S("duration_ns"), s->end_ns - s->start_ns);
    json_write_kv(w, S("status"), str_c(span_status_name(s->status)));
    if (s->status_message.n > 0) json_write_kv(w, S("status_message"), s->status_message);
    attrs_member(w, s->attrs, s->attr_count);
    put_shared(w, s->resource, s->scope);
}

static void put_point(json_writer *w, const metric_info *m, const metric_point *p) {
    put_time(w, S("time"), p->ts_ns);
    json_write_kv(w, S("name"), m->name);
    if (m->unit.n > 0) json_write_kv(w, S("unit"), m->unit);
    if (m->kind == METRIC_GAUGE || m->kind == METRIC_SUM) {
        double v;
        memcpy(&v, &p->num, sizeof v);
        if (p->has_value && p->is_int) json_write_kv_i64(w, S("value"), p->num);
        if (p->has_value && !p->is_int) json_write_kv_double(w, S("value"), v);
    } else {
        json_write_kv_i64(w, S("count"), (int64_t)p->count);
        if (p->has_sum || m->kind == METRIC_SUMMARY) json_write_kv_double(w, S("sum"), p->sum);
        if (p->has_min) json_write_kv_double(w, S("min"), p->min);
        if (p->has_max) json_write_kv_double(w, S("max"), p->max);
    }
    attrs_member(w, p->attrs, p->attr_count);
    put_shared(w, m->resource, m->scope);
}

static void put_profile(json_writer *w, const profile *p) {
    put_time(w, S("time"), p->ts_ns);
    json_write_kv(w, S("type"), p->type);
    json_write_kv(w, S("unit"), p->unit);
    json_write_kv_i64(w, S("duration_ns"), (int64_t)p->duration_ns);
    json_write_kv_i64(w, S("samples"), p->sample_count);
    put_hex(w, S("profile_id"), p->profile_id.p, p->profile_id.n);
    put_shared(w, p->resource, p->scope);
}

static rc send_flat(export_run *x, const telemetry *t) {
    size_t n[] = {t->logs.count, t->spans.count, t->metrics.count, t->profiles.count};
    for (size_t s = 0; s < SIGNAL_COUNT; s++) {
        for (size_t i = 0; i < n[s]; i++) {
            json_writer w;
            json_write_init(&w, &x->out, 0);
            json_write_object(&w);
            if (s == SIGNAL_LOGS) put_log(&w, &t->logs.rec[i]);
            if (s == SIGNAL_SPANS) put_span(&w, &t->spans.rec[i]);
            if (s == SIGNAL_METRICS) {
                const metric_point *p = &t->metrics.rec[i];
                put_point(&w, &t->metrics.info[p->metric], p);
            }
            if (s == SIGNAL_PROFILES) put_profile(&w, &t->profiles.rec[i]);
            json_write_object_end(&w);
            buf_putc(&x->out, '\n');
        }
    }
    return send(x);
}

static rc send_slice(export_run *x, otlp_signal signal, const telemetry *t, err *e) {
    x->records += telemetry_count(t);
    return x->format == FORMAT_NDJSON ? send_flat(x, t) : send_otlp(x, signal, t, e);
}

/* ---- what the store hands out ---- */

/* Views of a batch: the records stay where they are. */
static rc on_logs(void *ctx, unsigned worker, log_batch *b, err *e) {
    (void)worker;
    export_run *x = ctx;
    for (size_t i = 0; i < b->count; i += SLICE_RECORDS) {
        telemetry view = {.logs = *b};
        view.logs.rec = b->rec + i;
        view.logs.count = MIN(b->count - i, (size_t)SLICE_RECORDS);
        rc code = send_slice(x, OTLP_LOGS, &view, e);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

static rc on_spans(void *ctx, unsigned worker, const telemetry *t, err *e) {
    (void)worker;
    export_run *x = ctx;
    for (size_t i = 0; i < t->spans.count; i += SLICE_RECORDS) {
        telemetry view = {.spans = {.rec = t->spans.rec + i,
                                    .count = MIN(t->spans.count - i, (size_t)SLICE_RECORDS)}};
        rc code = send_slice(x, OTLP_TRACES, &view, e);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

static rc on_series(void *ctx, const metric_series *s, err *e) {
    export_run *x = ctx;
    metric_info info = *s->info;
    for (size_t i = 0; i < s->count; i += SLICE_RECORDS) {
        size_t n = MIN(s->count - i, (size_t)SLICE_RECORDS);
        metric_point points[SLICE_RECORDS];
        for (size_t k = 0; k < n; k++) {
            points[k] = s->points[i + k];
            points[k].metric = 0;
            /* A series' points may leave out what all of them share. */
            if (points[k].attr_count == 0) {
                points[k].attrs = s->attrs;
                points[k].attr_count = s->attr_count;
            }
        }
        telemetry view = {.metrics = {.info = &info, .info_count = 1, .rec = points, .count = n}};
        rc code = send_slice(x, OTLP_METRICS, &view, e);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

static rc on_profiles(void *ctx, unsigned worker, const telemetry *t, err *e) {
    (void)worker;
    return send_slice(ctx, OTLP_PROFILES, t, e);
}

static rc export_signal(export_run *x, store *s, signal_kind kind, err *e) {
    label_match service = {S("service_name"), x->service, MATCH_EQ};
    select_common c = {.from_ns = x->from_ns,
                       .to_ns = x->to_ns,
                       .match = &service,
                       .match_count = x->service.n > 0,
                       .workers = 1,
                       .cancel = net_request_cancel(x->r)};
    log_select logs = {.c = c, .want = LOG_WANT_ATTRS | LOG_WANT_IDS | LOG_WANT_REST};
    span_select spans = {.c = c, .status = -1, .kind = -1};
    metric_select metrics = {.c = c, .max_series = UINT32_MAX, .want_points = true};
    profile_select profiles = {.c = c};
    switch (kind) {
    case SIGNAL_LOGS:
        return s->ops->logs(s, &logs, on_logs, x, &x->stats, e);
    case SIGNAL_SPANS:
        return s->ops->spans(s, &spans, on_spans, x, &x->stats, e);
    case SIGNAL_METRICS:
        return s->ops->metrics(s, &metrics, on_series, x, &x->stats, e);
    case SIGNAL_PROFILES:
        return s->ops->profiles(s, &profiles, on_profiles, x, &x->stats, e);
    case SIGNAL_COUNT:
        break;
    }
    return RC_OK;
}

/* ---- the request ---- */

static rc read_params(net_request *r, export_run *x, err *e) {
    int format, end;
    rc code = api_time(r, S("since"), 0, &x->from_ns, e);
    if (code == RC_OK) code = api_time(r, S("until"), 0, &x->to_ns, e);
    if (code == RC_OK)
        code =
            api_choice(r, S("format"), S("otlp-json|otlp-proto|ndjson"), FORMAT_JSON, &format, e);
    if (code == RC_OK)
        code = api_choice(r, S("signal"), S("logs|traces|metrics|profiles"), -1, &x->signal, e);
    if (code == RC_OK) code = api_choice(r, S("end"), S("0|1"), 0, &end, e);
    if (code != RC_OK) return code;
    if (x->from_ns != 0 && x->to_ns == 0) x->to_ns = INT64_MAX;
    if (x->to_ns != 0 && x->from_ns == 0) x->from_ns = INT64_MIN + 1;
    if (x->to_ns < x->from_ns) return FAIL(e, RC_INVALID, "until lies before since");
    x->format = (export_format)format;
    x->end = end != 0;
    if (!net_param(r, S("service"), 0, &x->service)) x->service = STR_NONE;
    return RC_OK;
}

static void put_end(export_run *x, rc code, const err *e) {
    if (x->format == FORMAT_PROTO) buf_varint(&x->out, 0);
    json_writer w;
    json_write_init(&w, &x->out, 0);
    json_write_object(&w);
    json_write_kv(&w, S("export"), code == RC_OK ? S("done") : S("failed"));
    json_write_kv_i64(&w, S("records"), (int64_t)x->records);
    json_write_kv_bool(&w, S("partial"), x->stats.partial || x->stats.damaged_blocks > 0);
    json_write_kv_i64(&w, S("damaged_blocks"), (int64_t)x->stats.damaged_blocks);
    if (code != RC_OK) json_write_kv(&w, S("error"), str_c(e->msg[0] ? e->msg : rc_name(code)));
    json_write_object_end(&w);
    buf_putc(&x->out, '\n');
    IGNORE(send(x)); /* a client that is gone need not know */
}

static void export(engine *g, net_request *r) {
    export_run x = {.r = r};
    err e = {0};
    if (read_params(r, &x, &e) != RC_OK) {
        net_reply_err(r, &e);
        return;
    }
    buf_init(&x.out, SLICE_BYTES_MAX);
    rc code = RC_OK;
    for (int s = 0; code == RC_OK && s < SIGNAL_COUNT; s++) {
        if (x.signal >= 0 && x.signal != s) continue;
        code = export_signal(&x, engine_store(g), (signal_kind)s, &e);
    }
    if (code != RC_OK && !x.begun) {
        if (e.code == RC_OK) FAIL(&e, code, "the export failed: %s", rc_name(code));
        net_reply_err(r, &e);
        buf_release(&x.out);
        return;
    }
    bool whole = code == RC_OK && !x.stats.partial && x.stats.damaged_blocks == 0;
    buf_reset(&x.out);
    if ((x.end || !whole) && code != RC_CANCELLED) put_end(&x, code, &e);
    if (begin(&x) != RC_OK) { /* nothing is stored that matches, and no memory to say so */
        FAIL(&e, RC_LIMIT, "no memory for the answer");
        net_reply_err(r, &e);
        buf_release(&x.out);
        return;
    }
    net_stream_end(r, NULL);
    buf_release(&x.out);
}

void api_export(void *ctx, net_request *r) { api_offload(ctx, r, export); }
