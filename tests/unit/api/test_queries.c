/* The query APIs over HTTP and the fake store: shapes, statuses, parameters, as Grafana asks and as
 * people mistype. */
#include "../net/net_test.h"
#include "../query/fake_store.h"

#include "api/api.h"
#include "codec/otlp.h"
#include "engine/workers.h"

static fake_store *fake;
static workers *pool;
static net_server *server;
static api_env env;
static arena mem;

static rc offload(void *ctx, void (*fn)(void *arg), void *arg) { return workers_run(ctx, fn, arg); }

static resource *resource_of(const char *service) {
    arena *own = fake_store_arena(fake);
    resource *r = arena_new(own, resource);
    attribute *a = arena_new(own, attribute);
    *a = attribute_text_of(S("service.name"), str_c(service));
    r->attrs = a;
    r->attr_count = 1;
    resource_finish(r);
    return r;
}

static void add_log(int64_t s, const char *service, const char *user, const char *line) {
    log_record *r = fake_store_log(fake);
    attribute *a = arena_new(fake_store_arena(fake), attribute);
    *a = attribute_text_of(S("user.name"), str_c(user));
    r->ts_ns = s * 1000000000;
    r->severity = SEV_INFO;
    r->resource = resource_of(service);
    r->attrs = a;
    r->attr_count = 1;
    r->body = str_c(line);
}

static void add_data(void) {
    static const int64_t TIMES[] = {100000000000, 115000000000, 130000000000};
    static const double VALUES[] = {1, 2, 4.5};
    add_log(100, "cart", "ann", "one \"quoted\"");
    add_log(101, "cart", "bob", "two");
    add_log(102, "shop", "ann", "{\"n\":3}");
    arena *own = fake_store_arena(fake);
    metric_info *m = arena_new(own, metric_info);
    *m = (metric_info){
        .name = S("cpu.load"), .kind = METRIC_GAUGE, .description = S("of it"), .unit = S("1")};
    m->resource = resource_of("cart");
    metric_series s = {.info = m, .count = 3, .ts_ns = TIMES, .val = VALUES};
    fake_store_series(fake, &s);
    for (uint8_t i = 1; i <= 2; i++) {
        span *p = fake_store_span(fake);
        memset(p->trace_id, 0xab, 16);
        memset(p->span_id, i, 8);
        memset(p->parent_id, i - 1, 8);
        p->resource = resource_of(i == 1 ? "web" : "db");
        p->name = i == 1 ? S("GET /") : S("query");
        p->start_ns = 100000000000 + i;
        p->end_ns = 100500000000 + i;
    }
    service_edge d = {.caller = S("web"),
                      .callee = S("db"),
                      .kind = S("db"),
                      .minute_ns = 60000000000,
                      .calls = 4};
    d.errors = 1;
    d.sum_ns = 400;
    d.max_ns = 200;
    d.p50_ns = d.p95_ns = d.p99_ns = 100;
    fake_store_edge(fake, &d);
}

static int setup(void **state) {
    (void)state;
    err e = {0};
    arena_init(&mem, "test", 64 << 20);
    fake = fake_store_new();
    add_data();
    assert_int_equal(workers_new("query", 2, 100, &pool, &e), RC_OK);
    net_listen l = {.host = S("127.0.0.1"), .group = 1};
    net_server_opts o = {.listens = &l, .listen_count = 1};
    assert_int_equal(net_server_new(&o, &server, &e), RC_OK);
    env = (api_env){.store = fake_store_of(fake),
                    .offload = offload,
                    .offload_ctx = pool,
                    .version = S("1.2.3")};
    api_loki_add(server, 1, &env);
    api_prometheus_add(server, 1, &env);
    api_tempo_add(server, 1, &env);
    assert_int_equal(net_server_start(server, &e), RC_OK);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    workers_stop(pool);
    net_server_free(server);
    workers_free(pool);
    fake_store_free(fake);
    arena_release(&mem);
    return 0;
}

static str ask(const char *method, const char *path, const char *headers, const char *body,
               int *ret_status) {
    int fd = client_open(net_server_port(server, 0));
    buf b;
    buf_init(&b, 16 << 20);
    client_send(
        fd,
        str_fmt(&mem,
                "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
                method, path, strlen(body), headers, body));
    str got = str_dup(&mem, client_rest(fd, &b));
    buf_release(&b);
    close(fd);
    *ret_status = answer_status(got);
    return answer_body(got);
}

/* want: the whole body, or "...part..." somewhere in it */
static void expect(const char *path, int status, const char *want) {
    int got;
    str body = ask("GET", path, "", "", &got);
    str w = str_c(want);
    bool part = str_starts(w, S("...")) && str_ends(w, S("..."));
    if (part) w = str_sub(w, 3, w.n - 6);
    bool fits = part ? str_has(body, w) : str_eq(body, w);
    if (got != status || !fits) fail_msg("%s: %d %.*s", path, got, STR_ARG(body));
}

#define RANGE "&start=90&end=200"

static void loki_streams(void **state) {
    (void)state;
    expect("/loki/api/v1/query_range?query=%7Bservice_name%3D%22cart%22%7D" RANGE, 200,
           "...\"resultType\":\"streams\",\"result\":[{\"stream\":{\"detected_level\":\"info\","
           "\"service_name\":\"cart\","
           "\"severity_number\":\"9\",\"user_name\":\"bob\"},\"values\":[[\"101000000000\",\"two\"]"
           "]},{\"stream\":{"
           "\"detected_level\":\"info\",\"service_name\":\"cart\",\"severity_number\":\"9\",\"user_"
           "name\":\"ann\"},"
           "\"values\":[[\"100000000000\",\"one \\\"quoted\\\"\"]]}]...");
    expect("/loki/api/v1/"
           "query_range?query=%7Bservice_name%3D%22cart%22%7D&limit=1&direction=forward&start="
           "90000000000&end="
           "1970-01-01T00:03:00Z",
           200, "...\"values\":[[\"100000000000\",\"one \\\"quoted\\\"\"]]}],\"stats\"...");
    int status;
    str body =
        ask("GET", "/loki/api/v1/query_range?query=%7Bservice_name%3D%22shop%22%7D%7Cjson" RANGE,
            "X-Loki-Response-Encoding-Flags: categorize-labels\r\n", "", &status);
    assert_int_equal(status, 200);
    assert_true(str_has(body, S("\"encodingFlags\":[\"categorize-labels\"],\"result\":[{\"stream\":"
                                "{\"service_name\":\"shop\"},"
                                "\"values\":[[\"102000000000\",\"{\\\"n\\\":3}\",{"
                                "\"structuredMetadata\":{\"detected_level\":"
                                "\"info\",\"severity_number\":\"9\",\"user_name\":\"ann\"},"
                                "\"parsed\":{\"n\":\"3\"}}]]}]")));
}

static void loki_numbers(void **state) {
    (void)state;
    expect("/loki/api/v1/query?query=vector(1)%2Bvector(1)&time=5", 200,
           "...{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":"
           "{},\"value\":[5,\"2\"]}]...");
    expect("/loki/api/v1/"
           "query_range?query=sum%20by%20(service_name)(count_over_time(%7Bservice_name%3D~%22.%2B%"
           "22%7D%5B5s%5D))"
           "&start=101&end=102&step=500ms",
           200,
           "...{\"metric\":{\"service_name\":\"cart\"},\"values\":[[101,\"2\"],[101.500,\"2\"],["
           "102,\"2\"]]}...");
    int status;
    str body =
        ask("POST", "/loki/api/v1/query", "Content-Type: application/x-www-form-urlencoded\r\n",
            "query=sum(rate(%7Bservice_name%3D%22cart%22%7D%5B10s%5D))&time=102", &status);
    assert_int_equal(status, 200);
    assert_true(str_has(body, S("\"value\":[102,\"0.2\"]")));
}

static void loki_names(void **state) {
    (void)state;
    expect("/loki/api/v1/label/service_name/values?start=90&end=200", 200,
           "{\"status\":\"success\",\"data\":[\"cart\",\"shop\"]}");
    expect("/loki/api/v1/label/detected_level/values?start=90&end=200", 200,
           "{\"status\":\"success\",\"data\":[\"info\"]}");
    expect("/loki/api/v1/labels?start=90&end=200&query=%7Bservice_name%3D%22none%22%7D", 200,
           "{\"status\":\"success\",\"data\":[]}");
    expect("/loki/api/v1/series?match%5B%5D=%7Bservice_name%3D~%22c.*%22%7D&start=90&end=200", 200,
           "{\"status\":\"success\",\"data\":[{\"service_name\":\"cart\"}]}");
    expect("/loki/api/v1/index/stats?query=%7Bservice_name%3D%22cart%22%7D&start=90&end=200", 200,
           "...\"bytes\":15,\"entries\":2}...");
    expect("/loki/api/v1/index/volume?query=%7Bservice_name%3D~%22.%2B%22%7D&start=90&end=200", 200,
           "...{\"metric\":{\"service_name\":\"cart\"},\"value\":[200,\"15\"]},{\"metric\":{"
           "\"service_name\":\"shop\"},\"value\":[200,\"7\"]}...");
    expect("/loki/api/v1/format_query?query=%7Ba%3D%60b%60%7D%7Cjson", 200,
           "{\"status\":\"success\",\"data\":\"{a=\\\"b\\\"} | json\"}");
    expect("/loki/api/v1/status/buildinfo", 200, "...\"version\":\"1.2.3\"...");
    expect("/ready", 200, "ready\n");
}

static void loki_mistakes(void **state) {
    (void)state;
    expect("/loki/api/v1/query_range?query=%7Ba%3D" RANGE, 400,
           "parse error at line 1, col 4: syntax error: unexpected $end, expecting STRING");
    expect("/loki/api/v1/query_range", 400, "parse error : syntax error: unexpected $end");
    expect("/loki/api/v1/query?query=%7Ba%3D%22b%22%7D", 400,
           "...log queries are not supported as an instant query...");
    expect("/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D&start=x", 400,
           "...invalid parameter \"start\"...");
    expect("/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D&start=20&end=10", 400,
           "...end timestamp...");
    expect("/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D&limit=-1", 400,
           "...invalid parameter \"limit\"...");
    expect("/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D&direction=up", 400,
           "invalid direction 'up'");
    expect("/loki/api/v1/query_range?query=vector(1)&start=0&end=100000&step=1", 400,
           "...exceeded maximum resolution...");
    expect("/loki/api/v1/series?match%5B%5D=rate(x)", 400, "...parse error...");
    expect("/loki/api/v1/label/x", 404, "{\"message\":\"not found\"}");
    expect("/loki/api/v1/unknown", 404, "{\"message\":\"not found\"}");
}

static void prometheus_queries(void **state) {
    (void)state;
    expect("/api/v1/query?query=1%2B1&time=5", 200,
           "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[5,\"2\"]}}");
    expect("/api/v1/query?query=cpu_load&time=120.5", 200,
           "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{"
           "\"__name__\":\"cpu_load\","
           "\"service_name\":\"cart\"},\"value\":[120.500,\"2\"]}]}}");
    expect("/api/v1/query_range?query=cpu_load%20*%202&start=100&end=130&step=15s", 200,
           "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{"
           "\"service_name\":\"cart\"},"
           "\"values\":[[100,\"2\"],[115,\"4\"],[130,\"9\"]]}]}}");
    expect("/api/v1/query?query=vector(0)%2F0", 200, "...\"NaN\"...");
    expect("/api/v1/labels?start=90&end=200", 200, "...\"__name__\"...");
    expect("/api/v1/label/__name__/values", 200,
           "{\"status\":\"success\",\"data\":[\"cpu_load\"]}");
    expect("/api/v1/series?match%5B%5D=cpu_load&start=90&end=200", 200,
           "{\"status\":\"success\",\"data\":[{\"__name__\":\"cpu_load\",\"service_name\":\"cart\"}"
           "]}");
    expect("/api/v1/metadata", 200,
           "{\"status\":\"success\",\"data\":{\"cpu_load\":[{\"type\":\"gauge\",\"help\":\"of "
           "it\",\"unit\":\"1\"}]}}");
    expect("/api/v1/rules", 200, "{\"status\":\"success\",\"data\":{\"groups\":[]}}");
    expect("/api/v1/format_query?query=sum(x)by(y)", 200,
           "{\"status\":\"success\",\"data\":\"sum by (y)({__name__=\\\"x\\\"})\"}");
}

static void prometheus_mistakes(void **state) {
    (void)state;
    expect("/api/v1/query?query=sum(", 400,
           "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid parameter "
           "\\\"query\\\": 1:5: parse error: "
           "unexpected end of input\"}");
    expect("/api/v1/query", 400, "...\"errorType\":\"bad_data\"...");
    expect("/api/v1/query_range?query=x&start=1", 400, "...invalid parameter \\\"end\\\"...");
    expect("/api/v1/query_range?query=x&start=5&end=1&step=1", 400,
           "...must not be before start time...");
    expect("/api/v1/query_range?query=x&start=1&end=5&step=0", 400,
           "...invalid parameter \\\"step\\\"...");
    expect("/api/v1/series", 400, "...no match[] parameter provided...");
    expect("/api/v1/label/x", 404, "...\"errorType\":\"not_found\"...");
}

static void tempo_traces(void **state) {
    (void)state;
    expect("/api/traces/abababababababababababababababab", 200,
           "...{\"batches\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
           "\"stringValue\":\"web\"}}]},"
           "\"scopeSpans\":[{\"spans\":[{\"traceId\":\"abababababababababababababababab\","
           "\"spanId\":\"0101010101010101\"...");
    expect("/api/v2/traces/ABABABABABABABABABABABABABABABAB", 200,
           "...{\"trace\":{\"resourceSpans\":[...");
    int status;
    str v1 = ask("GET", "/api/traces/abababababababababababababababab",
                 "Accept: application/protobuf\r\n", "", &status);
    assert_int_equal(status, 200);
    telemetry *t = telemetry_new();
    err e = {0};
    assert_rc(otlp_decode(OTLP_TRACES, OTLP_PROTOBUF, v1, t, &e), RC_OK);
    assert_int_equal(t->spans.count, 2);
    telemetry_free(t);
    str v2 = ask("GET", "/api/v2/traces/abababababababababababababababab",
                 "Accept: application/protobuf\r\n", "", &status);
    assert_true(v2.n > v1.n && v2.p[0] == 0x0a && str_ends(v2, v1));
    expect("/api/traces/1", 404, "trace not found");
    expect("/api/traces/xyz", 400, "...can only contain hex characters...");
    expect("/api/search?start=90&end=200", 200,
           "...{\"traceID\":\"abababababababababababababababab\",\"rootServiceName\":\"web\","
           "\"rootTraceName\":\"GET /\","
           "\"startTimeUnixNano\":\"100000000001\",\"durationMs\":500,\"durationNanos\":500000001,"
           "\"spanCount\":2...");
    expect("/api/v2/search/tag/status/values", 200,
           "{\"tagValues\":[{\"type\":\"keyword\",\"value\":\"error\"},"
           "{\"type\":\"keyword\",\"value\":\"ok\"},"
           "{\"type\":\"keyword\",\"value\":\"unset\"}]}");
    expect("/api/search/tag/kind/values", 200,
           "{\"tagValues\":[\"unspecified\",\"internal\",\"server\",\"client\",\"producer\","
           "\"consumer\"]}");
    expect("/api/search?start=90&end=200&tags=service.name%3Ddb%20name%3Dquery&minDuration=400ms",
           200, "...\"matchedSpans\":1...");
    expect("/api/search?start=90&end=200&minDuration=2s", 200, "...{\"traces\":[],...");
    expect("/api/search?start=90&end=200&q=%7Bname%3D%22query%22%7D", 200,
           "...\"matchedSpans\":1...");
    expect("/api/search?q=%7Bname", 400, "...TraceQL...");
    expect("/api/search?tags=x", 400, "...invalid tags...");
    expect("/api/echo", 200, "echo");
    expect("/api/v1/graph/services?start=0&end=200", 200,
           "{\"edges\":[{\"caller\":\"web\",\"callee\":\"db\",\"kind\":\"db\",\"calls\":4,"
           "\"errors\":1,\"mean_ns\":100,"
           "\"p50_ns\":100,\"p95_ns\":100,\"p99_ns\":100,\"max_ns\":200}]}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loki_streams),       cmocka_unit_test(loki_numbers),
        cmocka_unit_test(loki_names),         cmocka_unit_test(loki_mistakes),
        cmocka_unit_test(prometheus_queries), cmocka_unit_test(prometheus_mistakes),
        cmocka_unit_test(tempo_traces),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
