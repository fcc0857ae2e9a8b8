/* Receivers of requests over a real server: OTLP over HTTP and gRPC, remote write. libcurl is the
 * client (its HTTP/2 is nghttp2's client side). */
#include "../unit.h"

#include <curl/curl.h>
#include <snappy-c.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "codec/pb.h"
#include "ingest/otlp_receiver.h"
#include "net/server.h"
#include "sys/thread.h"

enum { TEXT_MAX = 64 << 20 };

/* A sink that answers with a code, from another thread when `later`, and keeps what it was given as
 * protobuf. */
typedef struct test_sink {
    rc code, offload_code;
    bool later;
    atomic_size_t puts, offloads, records;
    buf got[OTLP_SIGNALS];
    sys_thread *thread;
    void *job[3];
} test_sink;

static void keep(test_sink *s, const telemetry *t) {
    atomic_fetch_add(&s->puts, 1);
    atomic_fetch_add(&s->records, telemetry_count(t));
    for (unsigned i = 0; i < OTLP_SIGNALS; i++)
        assert_true(otlp_encode((otlp_signal)i, OTLP_PROTOBUF, t, &s->got[i]));
}

static void answer_later(void *arg) {
    test_sink *s = arg;
    err e = {0};
    if (s->code != RC_OK) IGNORE(FAIL(&e, s->code, "the disk is full"));
    ingest_done done;
    memcpy(&done, &s->job[1], sizeof done);
    telemetry_free(s->job[0]);
    done(s->job[2], s->code, &e);
}

static void put(void *ctx, telemetry *t, ingest_done done, void *done_ctx) {
    test_sink *s = ctx;
    keep(s, t);
    s->job[0] = t;
    memcpy(&s->job[1], &done, sizeof done);
    s->job[2] = done_ctx;
    if (!s->later) {
        answer_later(s);
        return;
    }
    err e;
    assert_rc(sys_thread_start("later", answer_later, s, &s->thread, &e), RC_OK);
}

static rc offload(void *ctx, void (*fn)(void *arg), void *arg) {
    test_sink *s = ctx;
    atomic_fetch_add(&s->offloads, 1);
    if (s->offload_code != RC_OK) return s->offload_code;
    err e;
    assert_rc(sys_thread_start("worker", fn, arg, &s->thread, &e), RC_OK);
    return RC_OK;
}

typedef struct fixture {
    test_sink sink;
    net_server *server;
    receiver *otlp, *remote;
    uint16_t port;
    CURL *curl;
    long status;
    buf head, body; /* of the last answer */
} fixture;

static size_t on_part(char *p, size_t size, size_t n, void *to) {
    return buf_put(to, str_make(p, size * n)) ? size * n : 0;
}

static int start(void **state) {
    fixture *f = mem_new(fixture);
    err e = {0};
    for (unsigned i = 0; i < OTLP_SIGNALS; i++) buf_init(&f->sink.got[i], TEXT_MAX);
    buf_init(&f->head, TEXT_MAX);
    buf_init(&f->body, TEXT_MAX);
    net_listen listen = {.host = S("127.0.0.1"), .group = 1};
    net_server_opts o = {.listens = &listen, .listen_count = 1, .server_name = S("test")};
    assert_rc(net_server_new(&o, &f->server, &e), RC_OK);
    ingest_sink sink = {.put = put, .offload = offload, .ctx = &f->sink};
    assert_rc(otlp_receiver_new(f->server, 1, &sink, &f->otlp, &e), RC_OK);
    assert_rc(remote_write_receiver_new(f->server, 1, &sink, &f->remote, &e), RC_OK);
    assert_rc(f->otlp->ops->start(f->otlp, &e), RC_OK);
    assert_rc(f->remote->ops->start(f->remote, &e), RC_OK);
    assert_rc(net_server_start(f->server, &e), RC_OK);
    f->port = net_server_port(f->server, 0);
    f->curl = curl_easy_init();
    assert_non_null(f->curl);
    *state = f;
    return 0;
}

static int stop(void **state) {
    fixture *f = *state;
    curl_easy_cleanup(f->curl);
    net_server_drain(f->server, 10000);
    receiver *const all[] = {f->otlp, f->remote};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        receiver_counts n;
        all[i]->ops->stop(all[i]);
        all[i]->ops->count(all[i], &n);
        assert_int_equal(n.accepted + n.rejected + n.refused, n.records);
    }
    net_server_free(f->server);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) all[i]->ops->free(all[i]);
    for (unsigned i = 0; i < OTLP_SIGNALS; i++) buf_release(&f->sink.got[i]);
    buf_release(&f->head);
    buf_release(&f->body);
    mem_free(f);
    return 0;
}

/* headers: text lines, NULL at the end. */
static void request(fixture *f, const char *method, const char *path, str body,
                    const char *const *headers, long version) {
    buf_reset(&f->head);
    buf_reset(&f->body);
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", f->port, path);
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (; headers && *headers; headers++) list = curl_slist_append(list, *headers);
    curl_easy_reset(f->curl);
    curl_easy_setopt(f->curl, CURLOPT_URL, url);
    curl_easy_setopt(f->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(f->curl, CURLOPT_HTTP_VERSION, version);
    if (strcmp(method, "GET") != 0) {
        curl_easy_setopt(f->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(f->curl, CURLOPT_CUSTOMREQUEST, method);
        curl_easy_setopt(f->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        curl_easy_setopt(f->curl, CURLOPT_POSTFIELDS, body.p ? body.p : "");
    }
    curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, on_part);
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, &f->body);
    curl_easy_setopt(f->curl, CURLOPT_HEADERFUNCTION, on_part);
    curl_easy_setopt(f->curl, CURLOPT_HEADERDATA, &f->head);
    curl_easy_setopt(f->curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(f->curl, CURLOPT_NOPROXY, "*");
    /* libcurl 7.88 fails to use an HTTP/2 connection by prior knowledge twice. */
    curl_easy_setopt(f->curl, CURLOPT_FORBID_REUSE, 1L);
    CURLcode code = curl_easy_perform(f->curl);
    if (code != CURLE_OK) fail_msg("%s", curl_easy_strerror(code));
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &f->status);
    curl_slist_free_all(list);
    if (f->sink.thread) sys_thread_join(f->sink.thread);
    f->sink.thread = NULL;
}

static void post(fixture *f, const char *path, const char *type, str body) {
    const char *headers[] = {type, NULL};
    request(f, "POST", path, body, headers, CURL_HTTP_VERSION_1_1);
}

static void has_header(fixture *f, str line) {
    if (str_find_nocase(buf_str(&f->head), line, 0) == STR_NPOS) {
        fail_msg("no \"%.*s\" in %.*s", STR_ARG(line), STR_ARG(buf_str(&f->head)));
    }
}

#define JSON "Content-Type: application/json"
#define PB   "Content-Type: application/x-protobuf"

static const str LOGS_JSON = S_INIT(
    "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"a\"}}]}]}]}");
static const str HALF_BAD = /* a span without a trace id, a whole one */
    S_INIT("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"spanId\":\"00000000000000ff\"},"
           "{\"spanId\":\"00000000000000ff\",\"traceId\":\"000000000000000000000000000000ff\"}"
           "]}]}]}");
static const str BAD_ID = /* a log can do without */
    S_INIT("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"00ff\"},"
           "{\"body\":{\"stringValue\":\"a\"}}]}]}]}");

static void otlp_http_answers_in_the_encoding_of_the_request(void **state) {
    fixture *f = *state;
    post(f, "/v1/logs", JSON "; charset=utf-8", LOGS_JSON);
    assert_int_equal(f->status, 200);
    has_header(f, S("content-type: application/json"));
    assert_text(buf_str(&f->body), S("{}"));
    assert_int_equal(f->sink.puts, 1);
    buf pb;
    buf_init(&pb, TEXT_MAX);
    assert_true(buf_put(&pb, buf_str(&f->sink.got[OTLP_LOGS])));
    post(f, "/v1/logs", PB, buf_str(&pb));
    assert_int_equal(f->status, 200);
    has_header(f, S("content-type: application/x-protobuf"));
    assert_int_equal(f->body.n, 0);
    assert_int_equal(f->sink.puts, 2);
    /* Both encodings gave the same. */
    assert_int_equal(f->sink.got[OTLP_LOGS].n, 2 * pb.n);
    assert_memory_equal(f->sink.got[OTLP_LOGS].p + pb.n, pb.p, pb.n);
    buf_release(&pb);
}

static void otlp_http_serves_all_paths(void **state) {
    fixture *f = *state;
    static const char *const paths[] = {
        "/v1/logs",
        "/v1/traces",
        "/v1/metrics",
        "/v1development/profiles",
        "/otlp/v1/logs",
        "/otlp/v1/traces",
        "/otlp/v1/metrics",
        "/api/v1/otlp/v1/metrics",
        "/api/v1/otlp/v1/logs",
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        post(f, paths[i], JSON, S("{}"));
        assert_int_equal(f->status, 200);
        assert_text(buf_str(&f->body), S("{}"));
        post(f, paths[i], PB, STR_NONE);
        assert_int_equal(f->status, 200);
        assert_int_equal(f->body.n, 0);
    }
    assert_int_equal(f->sink.puts, 0); /* empty requests never reach the sink */
    post(f, "/v1/nope", PB, STR_NONE);
    assert_int_equal(f->status, 404);
    request(f, "GET", "/v1/logs", STR_NONE, NULL, CURL_HTTP_VERSION_1_1);
    assert_int_equal(f->status, 405);
    has_header(f, S("allow: POST"));
}

static void otlp_http_tells_partial_success(void **state) {
    fixture *f = *state;
    post(f, "/v1/traces", JSON, HALF_BAD);
    assert_int_equal(f->status, 200);
    assert_true(str_starts(buf_str(&f->body),
                           S("{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":")));
    assert_int_equal(f->sink.records, 1);
    receiver_counts n;
    otlp_receiver_count(f->otlp, OTLP_TRACES, &n);
    assert_true(n.requests == 1 && n.records == 2 && n.accepted == 1 && n.rejected == 1);
    /* A warning: nothing is rejected. */
    post(f, "/v1/logs", JSON, BAD_ID);
    assert_int_equal(f->status, 200);
    assert_text(buf_str(&f->body),
                S("{\"partialSuccess\":{\"errorMessage\":\"a trace_id that is not 16 bytes was "
                  "left out\"}}"));
    assert_int_equal(f->sink.records, 3);
    otlp_receiver_count(f->otlp, OTLP_LOGS, &n);
    assert_true(n.requests == 1 && n.records == 2 && n.accepted == 2 && n.rejected == 0);
}

static void otlp_http_refuses_what_it_cannot_read(void **state) {
    fixture *f = *state;
    post(f, "/v1/logs", JSON, S("{\"resourceLogs\":1}"));
    assert_int_equal(f->status, 400);
    has_header(f, S("content-type: application/json"));
    assert_true(
        str_starts(buf_str(&f->body), S("{\"code\":3,\"message\":\"OTLP/JSON: resourceLogs")));
    assert_true(str_has(buf_str(&f->body), S("google.rpc.BadRequest")));
    post(f, "/v1/logs", PB, S("\x0a\xff"));
    assert_int_equal(f->status, 400);
    has_header(f, S("content-type: application/x-protobuf"));
    assert_true(str_starts(buf_str(&f->body), S("\x08\x03\x12")));
    post(f, "/v1/logs", JSON, STR_NONE); /* no bytes are no JSON */
    assert_int_equal(f->status, 400);
    static const char *const types[] = {"Content-Type: text/plain",
                                        "Content-Type:", "Content-Type: application/jsonp"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        post(f, "/v1/logs", types[i], LOGS_JSON);
        assert_int_equal(f->status, 415);
    }
    assert_int_equal(f->sink.puts, 0);
    receiver_counts n;
    otlp_receiver_count(f->otlp, OTLP_LOGS, &n);
    assert_int_equal(n.invalid_requests, 6);
}

static void otlp_http_passes_on_what_the_sink_says(void **state) {
    fixture *f = *state;
    static const struct {
        rc code;
        int http, grpc;
        bool retry;
    } CASES[] = {{RC_AGAIN, 503, 14, true},    {RC_IO, 503, 14, true},
                 {RC_LIMIT, 413, 8, false},    {RC_INVALID, 400, 3, false},
                 {RC_CORRUPT, 500, 13, false}, {RC_CANCELLED, 503, 14, true}};
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        f->sink.code = CASES[i].code;
        f->sink.later = i % 2;
        post(f, "/v1/logs", JSON, LOGS_JSON);
        assert_int_equal(f->status, CASES[i].http);
        char code[32];
        snprintf(code, sizeof code, "{\"code\":%d,", CASES[i].grpc);
        assert_true(str_starts(buf_str(&f->body), str_c(code)));
        assert_true(str_has(buf_str(&f->body), S("the disk is full")));
        assert_int_equal(str_has(buf_str(&f->body), S("google.rpc.RetryInfo")), CASES[i].retry);
        if (CASES[i].retry) has_header(f, S("retry-after: 1"));
    }
    receiver_counts n;
    otlp_receiver_count(f->otlp, OTLP_LOGS, &n);
    assert_true(n.refused == ARRAY_LEN(CASES) && n.accepted == 0);
}

static void large_requests_are_decoded_by_a_worker(void **state) {
    fixture *f = *state;
    buf b;
    buf_init(&b, TEXT_MAX);
    assert_true(buf_put(&b, S("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}")));
    while (b.n < (size_t)2 << 20)
        assert_true(buf_put(&b, S(",{\"body\":{\"stringValue\":\"x\"}}")));
    assert_true(buf_put(&b, S("]}]}]}")));
    post(f, "/v1/logs", JSON, buf_str(&b));
    assert_int_equal(f->status, 200);
    assert_int_equal(f->sink.offloads, 1);
    assert_true(f->sink.records > 10000);
    f->sink.offload_code = RC_AGAIN;
    post(f, "/v1/logs", JSON, buf_str(&b));
    assert_int_equal(f->status, 503);
    has_header(f, S("retry-after: 1"));
    buf_release(&b);
}

/* One message behind its five bytes of length. */
static void grpc(fixture *f, const char *path, str message) {
    static const char *const headers[] = {"Content-Type: application/grpc", "TE: trailers", NULL};
    buf b;
    buf_init(&b, TEXT_MAX);
    char head[5] = {0, (char)(message.n >> 24), (char)(message.n >> 16), (char)(message.n >> 8),
                    (char)message.n};
    assert_true(buf_put(&b, str_make(head, 5)) && buf_put(&b, message));
    request(f, "POST", path, buf_str(&b), headers, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    assert_int_equal(f->status, 200);
    buf_release(&b);
}

#define LOGS_EXPORT "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

static void otlp_grpc_answers_with_trailers(void **state) {
    fixture *f = *state;
    telemetry *t = telemetry_new();
    buf pb;
    buf_init(&pb, TEXT_MAX);
    assert_rc(otlp_decode(OTLP_LOGS, OTLP_JSON, LOGS_JSON, t, NULL), RC_OK);
    assert_true(otlp_encode(OTLP_LOGS, OTLP_PROTOBUF, t, &pb));
    telemetry_free(t);
    grpc(f, LOGS_EXPORT, buf_str(&pb));
    has_header(f, S("grpc-status: 0"));
    assert_text(buf_str(&f->body), S("\0\0\0\0\0"));
    assert_text(buf_str(&f->sink.got[OTLP_LOGS]), buf_str(&pb));
    static const char *const methods[] = {
        LOGS_EXPORT, "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        grpc(f, methods[i], STR_NONE);
        has_header(f, S("grpc-status: 0"));
    }
    assert_int_equal(f->sink.puts, 1);
    grpc(f, LOGS_EXPORT, S("\x0a\xff"));
    has_header(f, S("grpc-status: 3"));
    has_header(f, S("grpc-status-details-bin: "));
    f->sink.code = RC_AGAIN;
    f->sink.later = true;
    grpc(f, LOGS_EXPORT, buf_str(&pb));
    has_header(f, S("grpc-status: 14"));
    has_header(f, S("grpc-message: the disk is full"));
    has_header(f, S("grpc-status-details-bin: "));
    f->sink.code = RC_LIMIT;
    grpc(f, LOGS_EXPORT, buf_str(&pb));
    has_header(f, S("grpc-status: 8"));
    buf_release(&pb);
}

/* ---- remote write ---- */

static void put_label(buf *b, str name, str value) {
    size_t label = pb_begin(b, 1);
    pb_put_bytes(b, 1, name);
    pb_put_bytes(b, 2, value);
    pb_end(b, label);
}

static void put_sample(buf *b, double v, int64_t ms) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    size_t sample = pb_begin(b, 2);
    pb_put_fixed64(b, 1, bits);
    pb_put_varint(b, 2, (uint64_t)ms);
    pb_end(b, sample);
}

static void write_snappy(fixture *f, str plain) {
    static const char *const headers[] = {"Content-Type: application/x-protobuf",
                                          "Content-Encoding: snappy",
                                          "X-Prometheus-Remote-Write-Version: 0.1.0", NULL};
    size_t n = snappy_max_compressed_length(plain.n);
    char *packed = mem_alloc(n + 1);
    assert_int_equal(snappy_compress(plain.p ? plain.p : "", plain.n, packed, &n), SNAPPY_OK);
    request(f, "POST", "/api/v1/write", str_make(packed, n), headers, CURL_HTTP_VERSION_1_1);
    mem_free(packed);
}

static void remote_write_is_stored(void **state) {
    fixture *f = *state;
    buf b;
    buf_init(&b, TEXT_MAX);
    size_t series = pb_begin(&b, 1);
    put_label(&b, S("__name__"), S("up"));
    put_label(&b, S("job"), S("node"));
    put_sample(&b, 1.5, 1000);
    pb_end(&b, series);
    write_snappy(f, buf_str(&b));
    assert_int_equal(f->status, 204);
    assert_int_equal(f->body.n, 0);
    assert_int_equal(f->sink.records, 1);
    series = pb_begin(&b, 1); /* without a name: the other is stored all the same */
    put_label(&b, S("job"), S("node"));
    put_sample(&b, 1, 1000);
    pb_end(&b, series);
    write_snappy(f, buf_str(&b));
    assert_int_equal(f->status, 400);
    assert_int_equal(f->sink.records, 2);
    f->sink.code = RC_IO;
    write_snappy(f, buf_str(&b));
    assert_int_equal(f->status, 503);
    f->sink.code = RC_OK;
    write_snappy(f, S("\x0a\xff"));
    assert_int_equal(f->status, 400);
    write_snappy(f, STR_NONE);
    assert_int_equal(f->status, 204);
    post(f, "/api/v1/write", PB, S("no snappy"));
    assert_int_equal(f->status, 415);
    static const char *const v2[] = {
        "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "Content-Encoding: snappy", NULL};
    request(f, "POST", "/api/v1/write", S("x"), v2, CURL_HTTP_VERSION_1_1);
    assert_int_equal(f->status, 415);
    buf_release(&b);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SERVER(otlp_http_answers_in_the_encoding_of_the_request),
        WITH_SERVER(otlp_http_serves_all_paths),
        WITH_SERVER(otlp_http_tells_partial_success),
        WITH_SERVER(otlp_http_refuses_what_it_cannot_read),
        WITH_SERVER(otlp_http_passes_on_what_the_sink_says),
        WITH_SERVER(large_requests_are_decoded_by_a_worker),
        WITH_SERVER(otlp_grpc_answers_with_trailers),
        WITH_SERVER(remote_write_is_stored),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
