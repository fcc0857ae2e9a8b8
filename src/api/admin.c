/* admin.c - compaction, verification, and the analysis of what is stored, on a query worker each.
 * One analysis at a time: it holds a profile and templates of everything it looks at. */
#include <stdatomic.h>

#include "api/manage_int.h"
#include "codec/json_write.h"
#include "rca/conclude.h"
#include "report/report.h"

enum {
    LINE_BYTES_MAX = 64 << 10,
    REPORT_BYTES_MAX = 64 << 20,
    PROFILE_BYTES_MAX = 48 << 20,
    MINER_BYTES_MAX = 32 << 20,
    SESSION_BYTES_MAX = 32 << 20,
    ANALYZE_WORKERS_MAX = 4,
    FSCK_REPORT_EVERY = 64 << 20
};

static void compact(engine *g, net_request *r) {
    err e = {0};
    store *s = engine_store(g);
    rc code = s->ops->compact(s, net_request_cancel(r), &e);
    if (code != RC_OK) {
        if (e.code == RC_OK) FAIL(&e, code, "the store cannot be compacted");
        net_reply_err(r, &e);
        return;
    }
    store_stats st;
    s->ops->stats(s, &st);
    buf out;
    buf_init(&out, LINE_BYTES_MAX);
    buf_fmt(&out, "{\"status\":\"compacted\",\"disk_bytes\":%" PRIu64 "}\n", st.disk_bytes);
    net_reply(r, &(net_reply_opts){.status = 200, .content_type = API_JSON}, buf_str(&out));
    buf_release(&out);
}

void api_compact(void *ctx, net_request *r) { api_offload(ctx, r, compact); }

/* ---- fsck ---- */

typedef struct fsck_run {
    net_request *r;
    rc stream; /* of the client */
    uint64_t findings, records_lost, bytes, told;
    uint64_t total;
} fsck_run;

static void send_line(fsck_run *x, buf *line) {
    buf_putc(line, '\n');
    if (x->stream == RC_OK && !line->full) x->stream = api_stream(x->r, buf_str(line));
    buf_release(line);
}

static void on_finding(void *ctx, const fsck_finding *f) {
    fsck_run *x = ctx;
    x->findings++;
    x->records_lost += f->records_lost;
    buf line;
    buf_init(&line, LINE_BYTES_MAX);
    json_writer w;
    json_write_init(&w, &line, 0);
    json_write_object(&w);
    json_write_kv(&w, S("file"), f->file);
    json_write_kv_i64(&w, S("offset"), (int64_t)f->offset);
    json_write_kv_i64(&w, S("bytes"), (int64_t)f->bytes);
    json_write_kv(&w, S("what"), f->what);
    json_write_kv_i64(&w, S("records_lost"), (int64_t)f->records_lost);
    json_write_kv_bool(&w, S("repaired"), f->repaired);
    json_write_object_end(&w);
    send_line(x, &line);
}

static void on_progress(void *ctx, uint64_t bytes, uint64_t total) {
    fsck_run *x = ctx;
    x->bytes = bytes;
    x->total = total;
    if (bytes - x->told < FSCK_REPORT_EVERY) return;
    x->told = bytes;
    buf line;
    buf_init(&line, LINE_BYTES_MAX);
    buf_fmt(&line, "{\"progress_bytes\":%" PRIu64 ",\"total_bytes\":%" PRIu64 "}", bytes, total);
    send_line(x, &line);
}

static void fsck(engine *g, net_request *r) {
    fsck_run x = {.r = r};
    err e = {0};
    store *s = engine_store(g);
    net_reply_opts head = {.status = 200, .content_type = API_NDJSON};
    if (net_stream_begin(r, &head, 1 << 20) != RC_OK) x.stream = RC_CANCELLED;
    rc code = s->ops->fsck(s, false, on_finding, &x, on_progress, &e);
    buf line;
    buf_init(&line, LINE_BYTES_MAX);
    json_writer w;
    json_write_init(&w, &line, 0);
    json_write_object(&w);
    bool whole = code == RC_OK || code == RC_CORRUPT;
    json_write_kv(&w, S("status"),
                  !whole            ? S("failed")
                  : x.findings == 0 ? S("clean")
                                    : S("damaged"));
    if (!whole) json_write_kv(&w, S("error"), str_c(e.msg));
    json_write_kv_i64(&w, S("findings"), (int64_t)x.findings);
    json_write_kv_i64(&w, S("records_lost"), (int64_t)x.records_lost);
    json_write_kv_i64(&w, S("bytes"), (int64_t)x.bytes);
    json_write_object_end(&w);
    send_line(&x, &line);
    net_stream_end(r, NULL);
}

void api_fsck(void *ctx, net_request *r) { api_offload(ctx, r, fsck); }

/* ---- analysis ---- */

static atomic_flag analysis_runs = ATOMIC_FLAG_INIT;

typedef struct analyze_params {
    int64_t from_ns, to_ns;
    str service, session;
    report_opts report;
    bool builtin;
    unsigned workers;
} analyze_params;

static rc read_params(engine *g, net_request *r, analyze_params *ret, err *e) {
    analyze_params p = {.builtin = true};
    int format, lang, builtin, color, utf8;
    uint64_t width, max_findings;
    rc code = api_time(r, S("since"), 0, &p.from_ns, e);
    if (code == RC_OK) code = api_time(r, S("until"), 0, &p.to_ns, e);
    if (code == RC_OK)
        code =
            api_choice(r, S("format"), S("terminal|markdown|json|html"), REPORT_JSON, &format, e);
    if (code == RC_OK) code = api_choice(r, S("lang"), S("en|zh"), LANG_EN, &lang, e);
    if (code == RC_OK) code = api_choice(r, S("builtin_rules"), S("0|1"), 1, &builtin, e);
    if (code == RC_OK) code = api_choice(r, S("color"), S("0|1"), 0, &color, e);
    if (code == RC_OK) code = api_choice(r, S("utf8"), S("0|1"), 1, &utf8, e);
    if (code == RC_OK) code = api_number(r, S("width"), 20, 1000, 100, &width, e);
    if (code == RC_OK) code = api_number(r, S("max_findings"), 1, 4096, 20, &max_findings, e);
    if (code != RC_OK) return code;
    if (!net_param(r, S("service"), 0, &p.service)) p.service = STR_NONE;
    if (!net_param(r, S("session"), 0, &p.session)) p.session = STR_NONE;
    if (p.from_ns != 0 && p.to_ns == 0) p.to_ns = INT64_MAX;
    if (p.to_ns != 0 && p.to_ns < p.from_ns) return FAIL(e, RC_INVALID, "until lies before since");
    p.builtin = builtin != 0;
    p.report = (report_opts){.format = (report_format)format,
                             .lang = (report_lang)lang,
                             .width = (unsigned)width,
                             .color = color != 0,
                             .utf8 = utf8 != 0,
                             .max_findings = (size_t)max_findings};
    engine_query_limits limits;
    engine_query_limit(g, &limits);
    p.workers = MIN(limits.workers, (unsigned)ANALYZE_WORKERS_MAX);
    *ret = p;
    return RC_OK;
}

static const char *worst_level(const finding_set *findings) {
    static const char *const names[] = {"none", "low", "medium", "high", "critical"};
    size_t worst = 0;
    for (size_t i = 0; i < findings->items.n; i++)
        worst = MAX(worst, (size_t)findings->items.v[i].level);
    return names[MIN(worst, ARRAY_LEN(names) - 1)];
}

typedef struct analysis {
    source src;
    gathered got;
    rules *rules;
    finding_set findings;
    detect_summary summary;
    incident incident;
    buf text;
} analysis;

static rc analyze_stored(engine *g, net_request *r, const analyze_params *p, analysis *x, err *e) {
    label_match service = {S("service_name"), p->service, MATCH_EQ};
    log_select base = {.c = {.from_ns = p->from_ns,
                             .to_ns = p->to_ns,
                             .match = &service,
                             .match_count = p->service.n > 0,
                             .cancel = net_request_cancel(r)},
                       .want = LOG_WANT_ALL};
    rc code = p->builtin ? rules_add_builtin(x->rules, e) : RC_OK;
    if (code == RC_OK && net_body(r).n > 0)
        code = rules_add_yaml(x->rules, net_body(r), S("rules"), e);
    if (code == RC_OK) code = store_source_new(engine_store(g), &base, &x->src, e);
    if (code != RC_OK) return code;
    gather_want want = {.miner = {.max_bytes = MINER_BYTES_MAX},
                        .profile = true,
                        .profile_opts = {.max_bytes = PROFILE_BYTES_MAX / p->workers},
                        .sessions = true,
                        .session_regex = p->session,
                        .session_option = "session",
                        .session_opts = {.max_bytes = SESSION_BYTES_MAX / p->workers},
                        .from_ns = p->from_ns,
                        .to_ns = p->to_ns,
                        .workers = p->workers,
                        .cancel = net_request_cancel(r)};
    code = gather(&x->src, &want, &x->got, e);
    if (code != RC_OK) return code;
    conclude_input in = {.now = &x->got, .source = &x->src, .rules = x->rules};
    code = conclude(&in, &x->findings, &x->summary, &x->incident, e);
    if (code == RC_OK) code = report_write(&x->incident, &p->report, &x->text, e);
    return code;
}

static void analyze(engine *g, net_request *r) {
    static const str TYPES[] = {S_INIT("text/plain; charset=utf-8"),
                                S_INIT("text/markdown; charset=utf-8"), S_INIT("application/json"),
                                S_INIT("text/html; charset=utf-8")};
    analyze_params p;
    err e = {0};
    if (read_params(g, r, &p, &e) != RC_OK) {
        net_reply_err(r, &e);
        return;
    }
    if (atomic_flag_test_and_set(&analysis_runs)) {
        api_fail(r, RC_AGAIN, "another analysis runs");
        return;
    }
    analysis x = {.rules = rules_new()};
    finding_set_init(&x.findings);
    incident_init(&x.incident);
    buf_init(&x.text, REPORT_BYTES_MAX);
    rc code = analyze_stored(g, r, &p, &x, &e);
    if (code == RC_OK) {
        str headers[] = {S("x-faultline-worst"), str_c(worst_level(&x.findings))};
        net_reply(r,
                  &(net_reply_opts){.status = 200,
                                    .content_type = TYPES[p.report.format],
                                    .headers = headers,
                                    .header_count = 1},
                  buf_str(&x.text));
    } else {
        if (e.code == RC_OK) FAIL(&e, code, "nothing is stored that matches");
        net_reply_err(r, &e);
    }
    buf_release(&x.text);
    incident_release(&x.incident);
    finding_set_release(&x.findings);
    gather_release(&x.got);
    if (x.src.ops) x.src.ops->free(x.src.ctx);
    rules_free(x.rules);
    atomic_flag_clear(&analysis_runs);
}

void api_analyze(void *ctx, net_request *r) { api_offload(ctx, r, analyze); }
