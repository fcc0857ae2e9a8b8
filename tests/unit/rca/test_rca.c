/* Root cause analysis on hand-made findings: who failed first, in which order, why. */
#include "../unit.h"

#include "fixture.h"

static str entity_name(const incident *in, size_t i) { return in->entities[i].name; }

static bool affected(const incident *in, const char *service) {
    for (size_t i = 0; i < in->affected_count; i++) {
        if (str_eq(in->affected[i], str_c(service))) return true;
    }
    return false;
}

/* Position in the order of failures; -1 when it is not there. */
static int step_of(const incident *in, const char *entity) {
    for (size_t i = 0; i < in->step_count; i++) {
        if (str_eq(in->entities[in->steps[i].entity].name, str_c(entity))) return (int)i;
    }
    return -1;
}

static bool edge(const incident *in, const char *from, const char *to, edge_reason reason) {
    for (size_t i = 0; i < in->path_count; i++) {
        const incident_edge *g = &in->path[i];
        if (str_eq(in->entities[g->from].name, str_c(from)) &&
            str_eq(in->entities[g->to].name, str_c(to)) && g->reason == reason) {
            return true;
        }
    }
    return false;
}

static bool quotes(const incident *in, const char *text) {
    for (size_t i = 0; i < in->evidence_count; i++) {
        if (str_has(in->evidence[i].text, str_c(text))) return true;
    }
    return false;
}

/* Cross references are in range, shares are shares, order is order. */
static void check_invariants(const incident *in) {
    assert_true(in->confidence >= 0 && in->confidence <= 1);
    assert_true(in->root < in->entity_count);
    for (size_t i = 0; i < in->step_count; i++) {
        assert_true(in->steps[i].entity < in->entity_count);
        assert_true(in->steps[i].finding < in->finding_count);
        if (i) assert_true(in->steps[i - 1].ts_ns <= in->steps[i].ts_ns);
    }
    for (size_t i = 0; i < in->evidence_count; i++) {
        assert_true(in->evidence[i].finding < in->finding_count);
        assert_true(in->evidence[i].text.n <= INCIDENT_EVIDENCE_BYTES);
        for (size_t k = 0; k < i; k++) {
            assert_false(in->evidence[k].ref.file == in->evidence[i].ref.file &&
                         in->evidence[k].ref.offset == in->evidence[i].ref.offset);
        }
    }
    double sum = in->confidence;
    for (size_t i = 0; i < in->alternative_count; i++) {
        assert_true(in->alternatives[i].confidence <= in->confidence);
        sum += in->alternatives[i].confidence;
    }
    assert_true(sum <= 1 + 1e-9);
    for (size_t i = 1; i < in->entity_count; i++) {
        assert_true(in->entities[i - 1].score >= in->entities[i].score);
    }
}

static void cascade_begins_at_redis(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_true(x.fetches <= 2); /* each may be a pass over a compressed input */
    assert_int_equal(in.verdict, VERDICT_ABNORMAL);
    assert_int_equal(in.severity, LEVEL_CRITICAL);
    assert_text(entity_name(&in, in.root), S("redis"));
    assert_false(in.entities[in.root].named_only);
    assert_text(in.anomaly_type, S("redis_keys_scan"));
    assert_int_equal(in.onset_ns, FIXTURE_BEGIN + INT64_C(1804900000000));
    assert_true(step_of(&in, "redis") < step_of(&in, "order-service"));
    assert_true(step_of(&in, "order-service") < step_of(&in, "payment-service"));
    assert_true(edge(&in, "redis", "order-service", EDGE_MENTION));
    assert_true(edge(&in, "order-service", "payment-service", EDGE_MENTION));
    assert_true(edge(&in, "order-service", "gateway", EDGE_MENTION));
    assert_true(edge(&in, "redis", "inventory-service", EDGE_ORDER));
    assert_true(affected(&in, "order-service") && affected(&in, "payment-service"));
    assert_true(affected(&in, "inventory-service") && affected(&in, "gateway"));
    assert_true(affected(&in, "redis"));
    assert_true(in.confidence > 0.4);
    assert_text(in.evidence[0].id, S("E1"));
    assert_true(str_has(in.evidence[0].text, S("KEYS cart:*")));
    assert_text(in.evidence[0].input, S("logs/redis.log"));
    assert_int_equal(in.evidence[0].ref.line, 274);
    assert_int_equal(in.cause.evidence, 0);
    assert_true(in.cause.step_count > 2);
    /* The low finding half an hour before is a minor observation, not the begin. */
    assert_false(in.findings[in.finding_count - 1].in_incident);
    incident_release(&in);
    fixture_release(&x);
}

/* Redis has no log of its own: the lines of the order service are enough to name it. */
static void dependency_without_a_log_is_named(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "order-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_CRITICAL,
         .at_s = 10, .meaning = 0.8, .severity = SEV_ERROR,
         .line = "RedisCommandTimeoutException: Command timed out after 1 second(s)");
    FACT(&x, .service = "payment-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH,
         .at_s = 30, .meaning = 0.8, .severity = SEV_ERROR,
         .line = "POST http://order-service:8080/confirm: context deadline exceeded");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(entity_name(&in, in.root), S("redis"));
    assert_true(in.entities[in.root].named_only);
    assert_text(in.entities[in.root].seen_by, S("order-service"));
    assert_int_equal(step_of(&in, "redis"), 0);
    assert_true(edge(&in, "redis", "order-service", EDGE_MENTION));
    assert_true(edge(&in, "order-service", "payment-service", EDGE_MENTION));
    incident_release(&in);
    fixture_release(&x);
}

static void certificate_is_blamed_on_its_server(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_certificate(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(entity_name(&in, in.root), S("auth-service"));
    assert_text(in.anomaly_type, S("tls_certificate_expired"));
    assert_true(affected(&in, "order-service") && affected(&in, "payment-service"));
    incident_release(&in);
    fixture_release(&x);
}

static void memory_leak_ends_in_out_of_memory(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "catalog-service", .component = "gc", .kind = FINDING_PARAM_OUTLIER,
         .level = LEVEL_MEDIUM, .at_s = 600, .to_s = 3300, .meaning = 0.3, .severity = SEV_WARN,
         .observed = 2400, .expected = 40, .unit = "ms", .subject = "pause",
         .line = "WARN gc : Full GC pause 2400 ms, heap 3.9G->3.8G(4.0G)");
    FACT(&x, .service = "catalog-service", .component = "SearchService", .level = LEVEL_CRITICAL,
         .kind = FINDING_NEW_TEMPLATE, .at_s = 3290, .to_s = 3300, .meaning = 1,
         .severity = SEV_ERROR, .bits = 90,
         .line = "ERROR SearchService : java.lang.OutOfMemoryError: Java heap space");
    FACT(&x, .service = "kernel", .kind = FINDING_RARE_TEMPLATE, .level = LEVEL_HIGH, .at_s = 3301,
         .meaning = 0.9, .count = 1, .bits = 40,
         .line = "node-3 kernel: Memory cgroup out of memory: Killed process 28412 (java)");
    FACT(&x, .service = "gateway", .kind = FINDING_RATE_BURST, .level = LEVEL_HIGH, .at_s = 3302,
         .observed = 700, .expected = 1, .unit = "lines/min", .meaning = 0.5,
         .line = "\"GET /api/search HTTP/1.1\" 502 upstream=catalog-service");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(entity_name(&in, in.root), S("catalog-service"));
    assert_text(in.anomaly_type, S("jvm_heap_out_of_memory"));
    assert_int_equal(step_of(&in, "catalog-service"), 0);
    assert_true(affected(&in, "gateway"));
    incident_release(&in);
    fixture_release(&x);
}

/* No rule at all: the first failing component and the order of failures still come out. */
static void emptied_rule_base_changes_no_order(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    incident with, without;
    fixture_analyze(&x, true, &with);
    fixture_analyze(&x, false, &without);
    assert_text(without.anomaly_type, S("unknown"));
    assert_int_equal(without.cause.rule_id.n, 0);
    assert_int_equal(without.entity_count, with.entity_count);
    for (size_t i = 0; i < with.entity_count; i++) {
        assert_text(entity_name(&without, i), entity_name(&with, i));
        assert_true(without.entities[i].onset_ns == with.entities[i].onset_ns);
    }
    static const char *const order[] = {"redis", "order-service", "gateway", "payment-service",
                                        "inventory-service"};
    for (size_t i = 1; i < ARRAY_LEN(order); i++) {
        assert_true(step_of(&without, order[i - 1]) < step_of(&without, order[i]));
    }
    assert_int_equal(without.path_count, with.path_count);
    assert_true(without.confidence > 0);
    incident_release(&with);
    incident_release(&without);
    fixture_release(&x);
}

static void one_service_is_told_by_component(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "shop", .component = "com.shop.Cache", .kind = FINDING_NEW_TEMPLATE,
         .level = LEVEL_HIGH, .at_s = 5, .meaning = 0.8, .severity = SEV_ERROR,
         .line = "ERROR com.shop.Cache : checksum mismatch in segment 7");
    FACT(&x, .service = "shop", .component = "com.shop.OrderApi", .kind = FINDING_NEW_TEMPLATE,
         .level = LEVEL_CRITICAL, .at_s = 60, .meaning = 0.8, .severity = SEV_ERROR, .bits = 150,
         .line = "ERROR com.shop.OrderApi : order failed");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_true(in.one_service);
    assert_text(entity_name(&in, in.root), S("com.shop.Cache"));
    assert_text(in.entities[in.root].service, S("shop"));
    assert_text(in.anomaly_type, S("data_corruption"));
    assert_int_equal(in.affected_count, 1);
    assert_text(in.affected[0], S("shop"));
    incident_release(&in);
    fixture_release(&x);
}

/* Without any time one input still has an order: that of its lines. */
static void no_time_uses_the_order_of_lines(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    x.report.first_ns = x.report.last_ns = TS_NONE;
    FACT(&x, .service = "app", .component = "disk", .kind = FINDING_MEANING, .level = LEVEL_HIGH,
         .at_s = -1, .meaning = 0.9, .line = "disk: write failed: No space left on device");
    FACT(&x, .service = "app", .component = "web", .kind = FINDING_MEANING, .level = LEVEL_HIGH,
         .at_s = -1, .meaning = 0.9, .bits = 90, .line = "web: request failed");
    x.inputs[0].bytes = 4; /* offsets are indices of lines here */
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_true(in.onset_ns == TS_NONE);
    assert_text(entity_name(&in, in.root), S("disk"));
    assert_text(in.anomaly_type, S("disk_full"));
    assert_int_equal(in.step_count, 2);
    incident_release(&in);
    fixture_release(&x);
}

static void incidents_apart_in_time_are_told_apart(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "billing", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_MEDIUM, .at_s = 100,
         .to_s = 160, .meaning = 0.8, .severity = SEV_ERROR,
         .line = "ERROR invoice 7: No space left on device");
    FACT(&x, .service = "mailer", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_CRITICAL,
         .at_s = 3000, .to_s = 3060, .meaning = 0.9, .severity = SEV_ERROR,
         .line = "ERROR lookup smtp.internal: no such host");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(in.anomaly_type, S("dns_failure"));
    assert_true(in.onset_ns == FIXTURE_BEGIN + INT64_C(3000000000000));
    assert_int_equal(in.other_count, 1);
    assert_text(in.others[0].service, S("billing"));
    assert_text(in.others[0].anomaly_type, S("disk_full"));
    assert_false(affected(&in, "billing"));
    incident_release(&in);
    fixture_release(&x);
}

/* A is called by B: "request from B failed" does not make B the cause. */
static void callers_are_not_dependencies(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "pricing-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH,
         .at_s = 10, .meaning = 0.8, .severity = SEV_ERROR,
         .line = "ERROR request from checkout-service failed: NullPointerException");
    FACT(&x, .service = "checkout-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH,
         .at_s = 11, .meaning = 0.8, .severity = SEV_ERROR, .bits = 90,
         .line = "ERROR GET http://pricing-service/quote returned 500");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(entity_name(&in, in.root), S("pricing-service"));
    assert_true(edge(&in, "pricing-service", "checkout-service", EDGE_MENTION));
    assert_text(in.anomaly_type, S("null_pointer"));
    incident_release(&in);
    fixture_release(&x);
}

static void low_findings_alone_are_no_incident(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_quiet(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    assert_int_equal(in.verdict, VERDICT_NORMAL);
    assert_int_equal(in.root, INCIDENT_NONE);
    assert_int_equal(in.entity_count, 0);
    assert_int_equal(in.anomaly_type.n, 0);
    assert_int_equal(in.finding_count, 1);
    assert_int_equal(in.looked_at.records, 150000);
    incident_release(&in);
    fixture_release(&x);
}

static void too_little_is_undetermined(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    x.summary.undetermined = true;
    x.summary.why_undetermined = S("few_records");
    FACT(&x, .service = "a", .kind = FINDING_MEANING, .level = LEVEL_LOW, .at_s = 1, .line = "x");
    incident in;
    fixture_analyze(&x, true, &in);
    assert_int_equal(in.verdict, VERDICT_UNDETERMINED);
    assert_text(in.why_undetermined, S("few_records"));
    incident_release(&in);
    /* A line that says what failed is enough all the same. */
    FACT(&x, .service = "a", .kind = FINDING_MEANING, .level = LEVEL_HIGH, .at_s = 1,
         .meaning = 0.9, .line = "FATAL: No space left on device");
    fixture_analyze(&x, true, &in);
    assert_int_equal(in.verdict, VERDICT_ABNORMAL);
    assert_text(in.anomaly_type, S("disk_full"));
    incident_release(&in);
    /* Nothing read. */
    fixture none;
    fixture_init(&none);
    none.report = (source_report){.first_ns = TS_NONE, .last_ns = TS_NONE};
    fixture_analyze(&none, true, &in);
    assert_int_equal(in.verdict, VERDICT_UNDETERMINED);
    assert_text(in.why_undetermined, S("no_inputs"));
    incident_release(&in);
    fixture_release(&none);
    fixture_release(&x);
}

/* "does not exist" is an answer: the one who asked is to blame. "refused" is none. */
static void an_answer_is_not_an_outage(void **state) {
    (void)state;
    static const struct {
        const char *line, *root;
    } cases[] = {
        {"ERROR PSQLException: relation \"order_discount\" does not exist", "order-service"},
        {"ERROR connection to postgresql refused", "postgresql"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fixture x;
        fixture_init(&x);
        FACT(&x, .service = "order-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH,
             .at_s = 5, .meaning = 0.8, .severity = SEV_ERROR, .line = cases[i].line);
        FACT(&x, .service = "web", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH, .at_s = 6,
             .meaning = 0.8, .severity = SEV_ERROR, .line = "ERROR order-service returned 500");
        incident in;
        fixture_analyze(&x, true, &in);
        check_invariants(&in);
        assert_text(entity_name(&in, in.root), str_c(cases[i].root));
        incident_release(&in);
        fixture_release(&x);
    }
}

/* A slow command is logged when it is done, after its callers have given up. */
static void a_late_line_of_the_blamed_is_no_alibi(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "order-service", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_CRITICAL,
         .at_s = 10, .meaning = 0.8, .severity = SEV_ERROR,
         .line = "RedisCommandTimeoutException: Command timed out after 1 second(s)");
    FACT(&x, .service = "redis", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_LOW, .at_s = 14,
         .meaning = 0.45, .severity = SEV_WARN, .bits = 16,
         .line = "# Slow command: KEYS cart:* took 4855299 microseconds");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(entity_name(&in, in.root), S("redis"));
    assert_false(in.entities[in.root].named_only);
    assert_true(in.onset_ns == FIXTURE_BEGIN + INT64_C(10000000000));
    assert_true(in.entities[in.root].onset_ns == in.onset_ns);
    assert_text(in.anomaly_type, S("redis_keys_scan"));
    /* First as the order service names it, then by its own line. */
    assert_int_equal(step_of(&in, "redis"), 0);
    assert_true(in.steps[0].named);
    assert_text(in.entities[in.steps[2].entity].name, S("redis"));
    assert_false(in.steps[2].named);
    incident_release(&in);
    fixture_release(&x);
}

static void signs_before_the_onset_are_told(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_certificate(&x);
    FACT(&x, .service = "cert-manager", .kind = FINDING_MEANING, .level = LEVEL_LOW, .at_s = 4,
         .to_s = 3500, .meaning = 0.9, .severity = SEV_WARN, .bits = 1,
         .line = "renewal of certificate \"auth-service-tls\" failed: acme: order rejected");
    FACT(&x, .service = "mailer", .kind = FINDING_MEANING, .level = LEVEL_LOW, .at_s = 6,
         .meaning = 0.9, .severity = SEV_WARN, .bits = 1, .line = "mail to user 7 bounced: failed");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_int_equal(in.sign_count, 1); /* what has nothing to do with the root is left out */
    assert_text(in.findings[in.signs[0]].f.service, S("cert-manager"));
    assert_false(in.findings[in.signs[0]].in_incident);
    assert_true(in.onset_ns == FIXTURE_BEGIN + INT64_C(2700400000000));
    incident_release(&in);
    fixture_release(&x);
}

/* The pauses that grew for an hour are a sign; the incident begins with the first failure. */
static void precursors_do_not_move_the_onset(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "catalog", .component = "gc", .kind = FINDING_PARAM_OUTLIER,
         .level = LEVEL_MEDIUM, .at_s = 600, .to_s = 3400, .severity = SEV_INFO, .observed = 620,
         .expected = 9, .unit = "ms", .line = "INFO gc : GC(81) Pause Young 620 ms");
    FACT(&x, .service = "catalog", .component = "search", .kind = FINDING_NEW_TEMPLATE,
         .level = LEVEL_HIGH, .at_s = 3300, .meaning = 0.9, .severity = SEV_ERROR,
         .line = "ERROR search : java.lang.OutOfMemoryError: Java heap space");
    FACT(&x, .service = "gateway", .kind = FINDING_RATE_BURST, .level = LEVEL_HIGH, .at_s = 3304,
         .meaning = 0.6, .severity = SEV_ERROR, .line = "upstream catalog unavailable");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(entity_name(&in, in.root), S("catalog"));
    assert_true(in.onset_ns == FIXTURE_BEGIN + INT64_C(3300000000000));
    assert_int_equal(in.sign_count, 1);
    assert_text(in.findings[in.signs[0]].f.component, S("gc"));
    incident_release(&in);
    fixture_release(&x);
}

/* What goes on to the end of the data does not glue all that follows to it. */
static void a_lasting_oddity_is_no_glue(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    x.report.last_ns = FIXTURE_BEGIN + INT64_C(90000000000000);
    FACT(&x, .service = "billing", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_MEDIUM, .at_s = 100,
         .to_s = 89000, .meaning = 0.6, .severity = SEV_WARN, .line = "WARN invoice queue is slow");
    FACT(&x, .service = "mailer", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_CRITICAL,
         .at_s = 60000, .meaning = 0.9, .severity = SEV_ERROR,
         .line = "ERROR lookup smtp.internal: no such host");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_true(in.onset_ns == FIXTURE_BEGIN + INT64_C(60000000000000));
    assert_int_equal(in.other_count, 1);
    incident_release(&in);
    fixture_release(&x);
}

static void add_line(log_batch *b, int64_t at_s, uint64_t line, str body) {
    log_record *r = log_batch_add(b);
    assert_non_null(r);
    r->ts_ns = FIXTURE_BEGIN + at_s * INT64_C(1000000000);
    r->ref = (log_ref){.offset = 3, .line = line, .bytes = (uint32_t)body.n};
    r->body = r->raw = body;
    r->line_count = 1;
}

/* A release in the hour before is a candidate; routine that is seen all day is none. */
static void changes_before_the_onset_are_listed(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_certificate(&x);
    err e = {0};
    miner *m;
    log_batch b;
    log_batch_init(&b);
    for (int i = 0; i < 50; i++) add_line(&b, -3590 + i * 100, 10, S("config reloaded by timer"));
    add_line(&b, 1500, 4711, S("Started AuthApplication in 3.2 seconds"));
    add_line(&b, 2800, 4800, S("deploying hotfix after the onset"));
    assert_int_equal(miner_new(&(miner_opts){0}, &m, &e), RC_OK);
    assert_int_equal(miner_batch(m, &b, &e), RC_OK);
    miner_group(m);
    x.miner = m;
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_int_equal(in.change_count, 1);
    assert_int_equal(in.changes[0].ref.line, 4711);
    assert_false(in.changes[0].new_line);
    assert_true(in.changes[0].before_ns == INT64_C(1200400000000));
    incident_release(&in);
    log_batch_release(&b);
    miner_free(m);
    fixture_release(&x);
}

/* Ordinary lines: the rule is found by what happened to them. */
static void creeping_latency_and_silence_have_names(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "api", .kind = FINDING_PARAM_OUTLIER, .level = LEVEL_HIGH, .at_s = 100,
         .observed = 272, .expected = 46, .unit = "ms", .subject = "duration",
         .line = "GET /quote/12 status=200 duration=272");
    incident in;
    fixture_analyze(&x, true, &in);
    assert_text(in.anomaly_type, S("latency_rise"));
    assert_true(in.confidence > 0.2 && in.confidence < 0.6);
    incident_release(&in);
    fixture_release(&x);
    fixture_init(&x);
    FACT(&x, .service = "export", .kind = FINDING_STOPPED, .level = LEVEL_HIGH, .at_s = 100,
         .expected = 0.2, .unit = "lines/min", .line = "exported 267 rows");
    fixture_analyze(&x, true, &in);
    assert_text(in.anomaly_type, S("lines_stopped"));
    incident_release(&in);
    fixture_release(&x);
}

/* No rule calls them changes; new, rare, just before, and about the same as the failure. */
static void new_lines_just_before_are_candidates(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x); /* redis: slow command KEYS cart:* at 1804.9 */
    err e = {0};
    miner *m;
    log_batch b;
    log_batch_init(&b);
    for (int i = 0; i < 50; i++) add_line(&b, -3590 + i * 100, 10, S("sweeping cart leftovers"));
    add_line(&b, 1000, 11, S("cart importer woke up"));  /* too long before */
    add_line(&b, 1790, 12, S("nightly invoices begin")); /* shares no word */
    add_line(&b, 1802, 13, S("Beginning cart cleanup, scanning Redis with KEYS pattern"));
    add_line(&b, 1806, 14, S("cart cleanup going on with redis")); /* after */
    for (size_t i = 0; i < b.count; i++) b.rec[i].ref.file = 1;    /* of another service */
    assert_int_equal(miner_new(&(miner_opts){0}, &m, &e), RC_OK);
    assert_int_equal(miner_batch(m, &b, &e), RC_OK);
    miner_group(m);
    x.miner = m;
    for (int with_rules = 0; with_rules < 2; with_rules++) {
        incident in;
        fixture_analyze(&x, with_rules, &in);
        check_invariants(&in);
        assert_int_equal(in.change_count, 1);
        assert_true(in.changes[0].new_line);
        assert_int_equal(in.changes[0].ref.line, 13);
        incident_release(&in);
    }
    log_batch_release(&b);
    miner_free(m);
    fixture_release(&x);
}

/* Evidence is verbatim, cut at its stated length and not more than a dozen lines, over services. */
static void evidence_is_bounded_and_diverse(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    static char big[5000];
    memset(big, 'z', sizeof(big) - 1);
    memcpy(big, "ERROR \x1b[31mred\x1b[0m ", 18);
    static char lines[60][40];
    for (int i = 0; i < 60; i++) {
        snprintf(lines[i], sizeof(lines[i]), "ERROR failure kind %d of many", i);
        FACT(&x, .service = i % 2 ? "loud-a" : "loud-b", .kind = FINDING_NEW_TEMPLATE,
             .level = LEVEL_CRITICAL, .at_s = 20 + i, .meaning = 0.9, .severity = SEV_ERROR,
             .bits = 300, .line = lines[i]);
    }
    FACT(&x, .service = "quiet", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_MEDIUM, .at_s = 18,
         .meaning = 0.8, .severity = SEV_ERROR, .line = big);
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_int_equal(in.evidence_count, INCIDENT_EVIDENCE_MAX);
    assert_true(quotes(&in, "\x1b[31mred"));
    for (size_t i = 0; i < in.evidence_count; i++) {
        if (str_eq(in.evidence[i].service, S("quiet"))) {
            assert_true(in.evidence[i].cut);
            assert_true(in.evidence[i].text.n == INCIDENT_EVIDENCE_BYTES);
        }
    }
    incident_release(&in);
    fixture_release(&x);
}

/* Ordinary lines that stopped name whom they always named: nobody is to blame for that. */
static void lines_that_stopped_blame_nobody(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "scheduler", .kind = FINDING_STOPPED, .level = LEVEL_HIGH, .at_s = 100,
         .expected = 0.2, .unit = "lines/min", .line = "calling export-ledger for s3 bucket 7");
    FACT(&x, .service = "export-ledger", .kind = FINDING_STOPPED, .level = LEVEL_HIGH, .at_s = 104,
         .expected = 0.2, .unit = "lines/min", .line = "exported 267 rows");
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_text(entity_name(&in, in.root), S("scheduler"));
    assert_int_equal(in.entity_count, 2);
    assert_true(edge(&in, "scheduler", "export-ledger", EDGE_ORDER));
    incident_release(&in);
    fixture_release(&x);
}

/* A share of errors of service `of` whose first record is that of finding `same`. */
static void share_of_errors(fixture *x, const char *of, double at_s, size_t same) {
    FACT(x, .service = of, .kind = FINDING_ERROR_RATIO, .level = LEVEL_HIGH, .at_s = at_s,
         .observed = 0.3, .expected = 0, .unit = "ratio", .severity = SEV_ERROR, .count = 500,
         .line = "unused");
    finding *f = &x->set.items.v[x->set.items.n - 1];
    f->refs[0] = x->set.items.v[same].refs[0];
    f->template_text = STR_NONE;
    f->template_id = 0;
}

static void lines_that_name_are_counted_once(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "profile", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH, .at_s = 10,
         .meaning = 0.9, .severity = SEV_ERROR, .line = "panic: nil map");
    FACT(&x, .service = "gateway", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH, .at_s = 11,
         .meaning = 0.8, .severity = SEV_ERROR, .count = 480,
         .line = "upstream profile returned 500");
    share_of_errors(&x, "gateway", 11, 1);
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_true(edge(&in, "profile", "gateway", EDGE_MENTION));
    assert_int_equal(in.path[0].mentions, 480);
    incident_release(&in);
    fixture_release(&x);
}

static void share_of_errors_is_its_components(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "shipping", .component = "quote", .kind = FINDING_NEW_TEMPLATE,
         .level = LEVEL_HIGH, .at_s = 10, .meaning = 0.9, .severity = SEV_ERROR,
         .line = "quote for parcel 12 failed");
    share_of_errors(&x, "shipping", 10, 0);
    incident in;
    fixture_analyze(&x, true, &in);
    check_invariants(&in);
    assert_int_equal(in.entity_count, 1);
    assert_text(in.entities[0].component, S("quote"));
    assert_true(in.confidence > 0.5);
    incident_release(&in);
    fixture_release(&x);
}

/* The window of a burst begins before the failure that it consists of: that is no earlier sign. */
static void burst_of_the_failure_is_no_sign(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    FACT(&x, .service = "sshd", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH, .at_s = 100,
         .meaning = 0.8, .severity = SEV_ERROR, .line = "Invalid user pi from 203.0.113.77");
    FACT(&x, .service = "sshd", .kind = FINDING_RATE_BURST, .level = LEVEL_MEDIUM, .at_s = 60,
         .observed = 157, .expected = 5, .unit = "lines/min", .line = "unused");
    finding *burst = &x.set.items.v[1];
    burst->template_text = STR_NONE;
    log_ref own = burst->refs[0];
    burst->refs[0] = x.set.items.v[0].refs[0];
    incident in;
    fixture_analyze(&x, true, &in);
    assert_int_equal(in.sign_count, 0);
    incident_release(&in);
    /* Of other records it is one. The set is sorted by now. */
    for (size_t i = 0; i < x.set.items.n; i++) {
        if (x.set.items.v[i].kind == FINDING_RATE_BURST) x.set.items.v[i].refs[0] = own;
    }
    fixture_analyze(&x, true, &in);
    assert_int_equal(in.sign_count, 1);
    incident_release(&in);
    fixture_release(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cascade_begins_at_redis),
        cmocka_unit_test(dependency_without_a_log_is_named),
        cmocka_unit_test(certificate_is_blamed_on_its_server),
        cmocka_unit_test(memory_leak_ends_in_out_of_memory),
        cmocka_unit_test(emptied_rule_base_changes_no_order),
        cmocka_unit_test(one_service_is_told_by_component),
        cmocka_unit_test(no_time_uses_the_order_of_lines),
        cmocka_unit_test(incidents_apart_in_time_are_told_apart),
        cmocka_unit_test(callers_are_not_dependencies),
        cmocka_unit_test(low_findings_alone_are_no_incident),
        cmocka_unit_test(too_little_is_undetermined),
        cmocka_unit_test(an_answer_is_not_an_outage),
        cmocka_unit_test(a_late_line_of_the_blamed_is_no_alibi),
        cmocka_unit_test(signs_before_the_onset_are_told),
        cmocka_unit_test(precursors_do_not_move_the_onset),
        cmocka_unit_test(a_lasting_oddity_is_no_glue),
        cmocka_unit_test(changes_before_the_onset_are_listed),
        cmocka_unit_test(new_lines_just_before_are_candidates),
        cmocka_unit_test(creeping_latency_and_silence_have_names),
        cmocka_unit_test(evidence_is_bounded_and_diverse),
        cmocka_unit_test(lines_that_stopped_blame_nobody),
        cmocka_unit_test(lines_that_name_are_counted_once),
        cmocka_unit_test(share_of_errors_is_its_components),
        cmocka_unit_test(burst_of_the_failure_is_no_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
