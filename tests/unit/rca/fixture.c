#include "fixture.h"

#include "../unit.h"

static rc no_scan(void *ctx, const log_scan *scan, log_sink sink, void *sink_ctx, err *e) {
    (void)ctx, (void)scan, (void)sink, (void)sink_ctx;
    return FAIL(e, RC_UNSUPPORTED, "root cause analysis does not scan");
}

static rc fetch(void *ctx, const log_ref *refs, size_t count, size_t max_bytes, arena *out,
                str *ret, err *e) {
    (void)e;
    fixture *x = ctx;
    x->fetches++;
    for (size_t i = 0; i < count; i++) {
        bool there = refs[i].offset < x->line_count && x->lines[refs[i].offset].p;
        ret[i] = there ? str_dup(out, str_sub(x->lines[refs[i].offset], 0, max_bytes)) : STR_NONE;
    }
    return RC_OK;
}

static void report(void *ctx, source_report *ret) {
    const fixture *x = ctx;
    *ret = x->report;
    ret->inputs = x->inputs;
    ret->count = x->input_count;
}

static const source_ops ops = {no_scan, fetch, report, NULL};

void fixture_init(fixture *x) {
    memset(x, 0, sizeof(*x));
    finding_set_init(&x->set);
    x->src = (source){&ops, x};
    x->report = (source_report){.records = 150000,
                                .lines = 151200,
                                .bytes = 21000000,
                                .first_ns = FIXTURE_BEGIN - INT64_C(3600000000000),
                                .last_ns = FIXTURE_BEGIN + INT64_C(3600000000000)};
    x->summary = (detect_summary){
        .series_checked = 118, .params_checked = 74, .services_checked = 6, .records = 150000};
    x->rules = rules_new();
    err e = {0};
    if (rules_add_builtin(x->rules, &e) != RC_OK) fail_msg("%s", e.msg);
}

void fixture_release(fixture *x) {
    finding_set_release(&x->set);
    rules_free(x->rules);
    for (size_t i = 0; i < x->input_count; i++) free((void *)(uintptr_t)x->inputs[i].name.p);
}

static uint32_t input_of(fixture *x, const char *service) {
    char name[128];
    int n = snprintf(name, sizeof(name), "logs/%s.log", service);
    for (size_t i = 0; i < x->input_count; i++) {
        if (str_eq(x->inputs[i].name, str_make(name, (size_t)n))) return (uint32_t)i;
    }
    assert_true(x->input_count < FIXTURE_INPUTS);
    x->inputs[x->input_count] = (input_info){.name = str_c(strdup(name)),
                                             .format = S("json"),
                                             .service = str_c(service),
                                             .bytes = 3500000,
                                             .lines = 25200,
                                             .records = 25000,
                                             .first_ns = x->report.first_ns,
                                             .last_ns = x->report.last_ns};
    return (uint32_t)x->input_count++;
}

void fixture_add(fixture *x, const fact_spec *s) {
    assert_true(x->line_count < FIXTURE_LINES);
    size_t at = x->line_count++;
    x->lines[at] = str_c(s->line);
    bool timed = s->at_s >= 0;
    int64_t from = FIXTURE_BEGIN + (int64_t)(s->at_s * 1e9);
    int64_t to = FIXTURE_BEGIN + (int64_t)((s->to_s > 0 ? s->to_s : s->at_s + 60) * 1e9);
    finding f = {.kind = s->kind,
                 .level = s->level,
                 .direction = 1,
                 .service = str_c(s->service),
                 .component = str_c(s->component),
                 .from_ns = timed ? from : TS_NONE,
                 .to_ns = timed ? to : TS_NONE,
                 .onset_ns = timed ? from : TS_NONE,
                 .surprise_bits = s->bits > 0 ? s->bits : 60,
                 .confidence = 0.9,
                 .observed = s->observed,
                 .expected = s->expected,
                 .unit = str_c(s->unit),
                 .subject = str_c(s->subject),
                 .template_id = at + 1,
                 .template_text = str_c(s->template_text ? s->template_text : s->line),
                 .severity = s->severity,
                 .failure_meaning = s->meaning,
                 .record_count = s->count ? s->count : 40};
    if (s->line) {
        f.refs[0] = (log_ref){.offset = at,
                              .line = s->line_no ? s->line_no : 100 + at,
                              .file = input_of(x, s->service),
                              .bytes = (uint32_t)strlen(s->line)};
        f.ref_count = 1;
    }
    assert_non_null(finding_set_add(&x->set, &f));
}

void fixture_analyze(fixture *x, bool with_rules, incident *ret) {
    finding_set_sort(&x->set);
    rca_input in = {.findings = &x->set,
                    .summary = &x->summary,
                    .source = &x->src,
                    .miner = x->miner,
                    .rules = with_rules ? x->rules : NULL};
    err e = {0};
    if (rca_logs(&in, ret, &e) != RC_OK) fail_msg("%s", e.msg);
}

void scenario_cascade(fixture *x) {
    FACT(x, .service = "redis", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH, .at_s = 1804.9,
         .to_s = 2390, .meaning = 0.5, .count = 118, .line_no = 274,
         .template_text = "Slow command: KEYS cart:* took <*> microseconds, client <*>",
         .line = "1:M 17 Mar 2026 09:30:04.855 # Slow command: KEYS cart:* took 4855299 "
                 "microseconds, client 10.0.14.7:39687");
    FACT(x, .service = "order-service", .component = "CartRepository", .kind = FINDING_NEW_TEMPLATE,
         .level = LEVEL_CRITICAL, .at_s = 1806.2, .to_s = 2395, .meaning = 0.8,
         .severity = SEV_ERROR, .count = 2210, .bits = 210, .line_no = 48211,
         .template_text = "Loading cart <*> failed",
         .line = "2026-03-17 09:30:06.201 ERROR [http-nio-8080-exec-19] c.s.o.CartRepository : "
                 "Loading cart 5521 failed\nio.lettuce.core.RedisCommandTimeoutException: Command "
                 "timed out after 1 second(s)\n\tat com.shop.order.cart.CartRepository.load("
                 "CartRepository.java:71)\n\tat com.shop.order.OrderService.place("
                 "OrderService.java:118)");
    FACT(x, .service = "order-service", .component = "HikariPool", .kind = FINDING_NEW_TEMPLATE,
         .level = LEVEL_CRITICAL, .at_s = 1838.5, .to_s = 2400, .meaning = 0.9,
         .severity = SEV_ERROR, .count = 4102, .bits = 260, .line_no = 50117,
         .template_text = "<*> - Connection is not available, request timed out after <*>",
         .line = "2026-03-17 09:30:38.530 ERROR [http-nio-8080-exec-44] c.z.h.p.HikariPool : "
                 "HikariPool-1 - Connection is not available, request timed out after 30000ms "
                 "(total=50, active=50, idle=0, waiting=112)");
    FACT(x, .service = "payment-service", .component = "charge", .kind = FINDING_NEW_TEMPLATE,
         .level = LEVEL_HIGH, .at_s = 1841, .to_s = 2401, .meaning = 0.8, .severity = SEV_ERROR,
         .count = 903, .bits = 140,
         .template_text = "order lookup at http://order-service:8080/orders/<*> failed: timed out",
         .line =
             "{\"time\":\"2026-03-17T09:30:41.004Z\",\"level\":\"error\",\"msg\":\"order lookup "
             "at http://order-service:8080/orders/81 failed: timed out\"}");
    FACT(x, .service = "inventory-service", .kind = FINDING_RATE_DROP, .level = LEVEL_MEDIUM,
         .at_s = 1850, .to_s = 2401, .observed = 2, .expected = 310, .unit = "lines/min",
         .bits = 75, .template_text = "stock reserved",
         .line = "time=2026-03-17T09:30:50.117Z level=info msg=\"stock reserved\" order=637");
    FACT(x, .service = "gateway", .kind = FINDING_ERROR_RATIO, .level = LEVEL_HIGH, .at_s = 1836,
         .to_s = 2401, .observed = 0.41, .expected = 0.002, .unit = "ratio", .bits = 180,
         .meaning = 0.5, .template_text = "<*> - - <*> \"POST /api/orders HTTP/1.1\" 503 <*>",
         .line = "10.0.111.197 - - [17/Mar/2026:09:30:36 +0000] \"POST /api/orders HTTP/1.1\" 503 "
                 "157 \"-\" \"okhttp/4.12.0\" 30.004 upstream=order-service");
    FACT(x, .service = "order-service", .kind = FINDING_PARAM_OUTLIER, .level = LEVEL_LOW,
         .at_s = 300, .observed = 912, .expected = 28, .unit = "ms", .subject = "took", .bits = 12,
         .template_text = "Order <*> placed, total <*> EUR, took <*>",
         .line = "2026-03-17 09:05:00.000 INFO c.s.o.OrderService : Order 1 placed, took 912 ms");
}

void scenario_certificate(fixture *x) {
    FACT(x, .service = "auth-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH,
         .at_s = 2700.4, .to_s = 3600, .meaning = 0.7, .severity = SEV_ERROR, .count = 3600,
         .template_text =
             "http: TLS handshake error from <*>: remote error: tls: expired certificate",
         .line = "E0317 09:45:00.402113       1 tls.go:131] http: TLS handshake error from "
                 "10.1.95.143:41022: remote error: tls: expired certificate");
    FACT(x, .service = "order-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_CRITICAL,
         .at_s = 2702, .to_s = 3600, .meaning = 0.8, .severity = SEV_ERROR, .count = 2700,
         .bits = 200,
         .template_text = "Token check at https://auth-service:8443/verify failed: validity check "
                          "failed, NotAfter: <*>",
         .line =
             "2026-03-17 09:45:02.000 ERROR auth.TokenClient : Token check at "
             "https://auth-service:8443/verify failed: validity check failed, NotAfter: Tue Mar "
             "17 09:45:00 UTC 2026");
    FACT(x, .service = "payment-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH,
         .at_s = 2703, .to_s = 3600, .meaning = 0.8, .severity = SEV_ERROR, .count = 1300,
         .template_text = "token verification failed: Get https://auth-service:8443/jwks: x509: "
                          "certificate has expired or is not yet valid: current time <*>",
         .line =
             "{\"level\":\"error\",\"msg\":\"token verification failed: Get "
             "https://auth-service:8443/jwks: x509: certificate has expired or is not yet valid: "
             "current time 2026-03-17T09:45:03Z is after 2026-03-17T09:45:00Z\"}");
}

void scenario_quiet(fixture *x) {
    FACT(x, .service = "order-service", .kind = FINDING_PARAM_OUTLIER, .level = LEVEL_LOW,
         .at_s = 300, .observed = 912, .expected = 28, .unit = "ms", .subject = "took", .bits = 12,
         .template_text = "Order <*> placed, took <*>",
         .line = "2026-03-17 09:05:00.000 INFO OrderService : Order 1 placed, took 912 ms");
}
