/* OTLP in JSON: the rules of the mapping one by one, the way back, answers of a receiver. */
#include "base/mem.h"
#include "codec/json.h"
#include "codec/otlp.h"
#include "codec/pb.h"

#include "../unit.h"

enum { OUT_MAX = 1 << 20 };

static telemetry *decode(otlp_signal signal, str in, rc want) {
    telemetry *t = telemetry_new();
    err e = {0};
    rc got = otlp_decode(signal, OTLP_JSON, in, t, &e);
    if (got != want) {
        fail_msg("%.*s: got \"%s\" (%s), want \"%s\"", STR_ARG(in), rc_name(got), e.msg,
                 rc_name(want));
    }
    if (want != RC_OK && !str_starts(str_c(e.msg), S("OTLP/JSON: "))) fail_msg("%s", e.msg);
    return t;
}

/* One log record with the members given. */
static str log_with(arena *mem, const char *members) {
    return str_fmt(mem, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{%s}]}]}]}", members);
}

typedef struct a_case {
    const char *members;
    rc want;
    unsigned records, rejected;
} a_case;

static void rules_of_a_log_record(void **state) {
    (void)state;
    static const a_case CASES[] = {
        /* 64-bit integers */
        {"\"timeUnixNano\":\"1544712660300000000\"", RC_OK, 1, 0},
        {"\"timeUnixNano\":1544712660300000000", RC_OK, 1, 0},
        {"\"timeUnixNano\":\"18446744073709551615\"", RC_OK, 1, 0},
        {"\"timeUnixNano\":\"18446744073709551616\"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":-1", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\"-1\"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":-0", RC_OK, 1, 0},
        {"\"timeUnixNano\":1e18", RC_OK, 1, 0},
        {"\"timeUnixNano\":\"1.5e1\"", RC_OK, 1, 0},
        {"\"timeUnixNano\":1.0", RC_OK, 1, 0},
        {"\"timeUnixNano\":1.5", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":1e-1", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":100e-2", RC_OK, 1, 0},
        {"\"timeUnixNano\":0e99999999999", RC_OK, 1, 0},
        {"\"timeUnixNano\":1e99999999999", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\"\"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\" 1\"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\"1 \"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\"+1\"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\"01\"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\"0x1\"", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":\"\\u0031\"", RC_OK, 1, 0},
        {"\"timeUnixNano\":true", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":[1]", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":{}", RC_INVALID, 0, 0},
        {"\"timeUnixNano\":null", RC_OK, 1, 0},
        /* 32-bit ones */
        {"\"flags\":4294967295", RC_OK, 1, 0},
        {"\"flags\":4294967296", RC_INVALID, 0, 0},
        {"\"droppedAttributesCount\":\"7\"", RC_OK, 1, 0},
        {"\"droppedAttributesCount\":-1", RC_INVALID, 0, 0},
        /* enums: integers, known or not */
        {"\"severityNumber\":9", RC_OK, 1, 0},
        {"\"severityNumber\":4711", RC_OK, 1, 0},
        {"\"severityNumber\":-1", RC_OK, 1, 0},
        {"\"severityNumber\":2147483648", RC_INVALID, 0, 0},
        {"\"severityNumber\":\"SEVERITY_NUMBER_INFO\"", RC_INVALID, 0, 0},
        /* texts */
        {"\"severityText\":1", RC_INVALID, 0, 0},
        {"\"severityText\":\"\\ud83d\\ude00\\u0000\"", RC_OK, 1, 0},
        {"\"severityText\":\"\\ud83d\"", RC_OK, 1, 0},
        {"\"severityText\":\"\\x\"", RC_INVALID, 0, 0},
        {"\"severityText\":\"a\nb\"", RC_INVALID, 0, 0},
        {"\"severityText\":\"\xff\"", RC_INVALID, 0, 0},
        {"\"unknown\":\"\xff\"", RC_INVALID, 0, 0},
        /* ids */
        {"\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"EEE19B7EC3C1B174\"", RC_OK,
         1, 0},
        {"\"traceId\":\"\",\"spanId\":\"\"", RC_OK, 1, 0},
        {"\"traceId\":\"00000000000000000000000000000000\"", RC_OK, 1, 0},
        {"\"traceId\":\"5b8e\"", RC_OK, 1, 0},                             /* left out */
        {"\"traceId\":\"5b8\"", RC_OK, 1, 0},                              /* left out */
        {"\"traceId\":\"zz8EFFF798038103D269B633813FC60C\"", RC_OK, 1, 0}, /* left out */
        {"\"spanId\":\"EEE19B7EC3C1B1741\"", RC_OK, 1, 0},                 /* left out */
        {"\"traceId\":7", RC_INVALID, 0, 0},
        /* names */
        {"\"time_unix_nano\":\"x\"", RC_OK, 1, 0},
        {"\"TimeUnixNano\":\"x\"", RC_OK, 1, 0},
        {"\"time\\u0055nixNano\":\"x\"", RC_INVALID, 0, 0},
        {"\"nothing\":[{\"deep\":[[[]]]}]", RC_OK, 1, 0},
        /* the last of a name counts */
        {"\"timeUnixNano\":\"1\",\"timeUnixNano\":\"x\"", RC_INVALID, 0, 0},
        {"\"traceId\":\"5b8e\",\"traceId\":null", RC_OK, 1, 0},
        {"\"traceId\":\"5b8e\",\"flags\":1,\"traceId\":\"\"", RC_OK, 1, 0},
        /* values */
        {"\"body\":{}", RC_OK, 1, 0},
        {"\"body\":null", RC_OK, 1, 0},
        {"\"body\":\"text\"", RC_INVALID, 0, 0},
        {"\"body\":{\"stringValue\":null}", RC_OK, 1, 0},
        {"\"body\":{\"boolValue\":\"true\"}", RC_INVALID, 0, 0},
        {"\"body\":{\"intValue\":\"9223372036854775808\"}", RC_INVALID, 0, 0},
        {"\"body\":{\"intValue\":\"-9223372036854775808\"}", RC_OK, 1, 0},
        {"\"body\":{\"doubleValue\":\"NaN\"}", RC_OK, 1, 0},
        {"\"body\":{\"doubleValue\":\"nan\"}", RC_INVALID, 0, 0},
        {"\"body\":{\"doubleValue\":NaN}", RC_INVALID, 0, 0},
        {"\"body\":{\"doubleValue\":\"-Infinity\"}", RC_OK, 1, 0},
        {"\"body\":{\"doubleValue\":\"1.5\"}", RC_OK, 1, 0},
        {"\"body\":{\"doubleValue\":\" 1.5\"}", RC_INVALID, 0, 0},
        {"\"body\":{\"doubleValue\":1e999}", RC_INVALID, 0, 0},
        {"\"body\":{\"bytesValue\":\"-_8\"}", RC_OK, 1, 0},
        {"\"body\":{\"bytesValue\":\"+/8=\"}", RC_OK, 1, 0},
        {"\"body\":{\"bytesValue\":\"\"}", RC_OK, 1, 0},
        {"\"body\":{\"bytesValue\":\"a\"}", RC_INVALID, 0, 0},
        {"\"body\":{\"bytesValue\":\"ab==c\"}", RC_INVALID, 0, 0},
        {"\"body\":{\"bytesValue\":\"a b=\"}", RC_INVALID, 0, 0},
        {"\"body\":{\"arrayValue\":{\"values\":[{},{\"intValue\":1}]}}", RC_OK, 1, 0},
        {"\"body\":{\"arrayValue\":{\"values\":[null]}}", RC_INVALID, 0, 0},
        {"\"body\":{\"arrayValue\":[]}", RC_INVALID, 0, 0},
        {"\"body\":{\"kvlistValue\":{}}", RC_OK, 1, 0},
        {"\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":1}},{\"key\":\"a\"}]", RC_OK, 1,
         0},
        {"\"attributes\":{\"key\":\"a\"}", RC_INVALID, 0, 0},
        {"\"attributes\":null", RC_OK, 1, 0},
        /* JSON itself */
        {"\"flags\":1,", RC_INVALID, 0, 0},
        {"flags:1", RC_INVALID, 0, 0},
        {"\"flags\":01", RC_INVALID, 0, 0},
    };
    arena mem;
    arena_init(&mem, "test", 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        telemetry *t = decode(OTLP_LOGS, log_with(&mem, CASES[i].members), CASES[i].want);
        if (t->logs.count != CASES[i].records || t->rejected != CASES[i].rejected) {
            fail_msg("%s: %zu records, %zu rejected", CASES[i].members, t->logs.count,
                     (size_t)t->rejected);
        }
        /* A wrong id is told, and never kept. */
        const log_record *r = t->logs.rec;
        bool ids = t->logs.count && r->trace_bin.n && r->span_bin.n;
        if (t->reject_reason.n && ids) fail_msg("%s: has both ids", CASES[i].members);
        telemetry_free(t);
    }
    arena_release(&mem);
}

static void requests_that_are_none(void **state) {
    (void)state;
    static const str BAD[] = {
        S_INIT(""),
        S_INIT("[]"),
        S_INIT("null"),
        S_INIT("\"x\""),
        S_INIT("{"),
        S_INIT("{} x"),
        S_INIT("{}{}"),
        S_INIT("x{}"),
        S_INIT("\xef\xbb\xbf{}"),
        S_INIT("{}\0"),
        S_INIT("{}\v"),
        S_INIT("{\"a\":'x'}"),
        S_INIT("{\"resourceLogs\":{}}"),
        S_INIT("{\"resourceLogs\":[[]]}"),
        S_INIT("{\"resourceLogs\":[1]}"),
        S_INIT("{\"resourceLogs\":\"\"}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        telemetry_free(decode(OTLP_LOGS, BAD[i], RC_INVALID));
    }
    static const str EMPTY[] = {S_INIT("{}"), S_INIT(" {} \r\n\t"), S_INIT("{\"resourceLogs\":[]}"),
                                S_INIT("{\"resourceLogs\":null}"),
                                S_INIT("{\"resource_logs\":[{\"scope_logs\":1}]}")};
    for (size_t i = 0; i < ARRAY_LEN(EMPTY); i++) {
        telemetry *t = decode(OTLP_LOGS, EMPTY[i], RC_OK);
        assert_int_equal(telemetry_count(t), 0);
        telemetry_free(t);
    }
    char deep[2000];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    telemetry_free(decode(OTLP_LOGS, str_make(deep, sizeof deep), RC_INVALID));
}

static void errors_name_the_field(void **state) {
    (void)state;
    telemetry *t = telemetry_new();
    err e = {0};
    str in =
        S("{\"resourceLogs\":[{},{\"scopeLogs\":[{\"logRecords\":[{\"attributes\":[{\"key\":\"a\","
          "\"value\":{\"intValue\":\"x\"}}]}]}]}]}");
    assert_rc(otlp_decode(OTLP_LOGS, OTLP_JSON, in, t, &e), RC_INVALID);
    assert_text(str_c(e.msg),
                S("OTLP/JSON: resourceLogs[1].scopeLogs[0].logRecords[0].attributes[0].value."
                  "intValue: not an integer its field can hold, at byte 95"));
    telemetry_free(t);
}

static void json_goes_there_and_back(void **state) {
    (void)state;
    static const struct {
        otlp_signal signal;
        str json;
    } SAME[] = {
        {OTLP_LOGS,
         S_INIT(
             "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
             "\"value\":"
             "{\"stringValue\":\"s\"}}],\"droppedAttributesCount\":1,\"entityRefs\":[{\"type\":"
             "\"t\","
             "\"idKeys\":[\"a\",\"b\"]}]},\"scopeLogs\":[{\"scope\":{\"name\":\"n\",\"version\":"
             "\"1\"},\"logRecords\":[{\"timeUnixNano\":\"1\",\"observedTimeUnixNano\":\"2\","
             "\"severityNumber\":-3,\"severityText\":\"x\",\"body\":{\"kvlistValue\":{\"values\":"
             "[{\"key\":\"k\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"-1\"},{},"
             "{\"boolValue\":false},{\"doubleValue\":\"NaN\"},{\"bytesValue\":\"AP8=\"}]}}}]}},"
             "\"attributes\":[{\"key\":\"empty\"},{\"key\":\"d\",\"value\":{\"doubleValue\":-0.5}}]"
             ","
             "\"droppedAttributesCount\":4,\"flags\":257,\"traceId\":"
             "\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"eventName\":"
             "\"e\"}],\"schemaUrl\":\"su\"}],\"schemaUrl\":\"ru\"}]}")},
        {OTLP_TRACES,
         S_INIT(
             "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
             "\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"traceState\":"
             "\"a=b\",\"parentSpanId\":\"0000000000000001\",\"flags\":256,\"name\":\"n\",\"kind\":"
             "9,"
             "\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\",\"attributes\":[{\"key\":\"a\"}"
             "],"
             "\"droppedAttributesCount\":1,\"events\":[{\"timeUnixNano\":\"5\",\"name\":\"e\","
             "\"attributes\":[{\"key\":\"a\"}],\"droppedAttributesCount\":2}],"
             "\"droppedEventsCount\":3,\"links\":[{\"traceId\":"
             "\"5b8efff798038103d269b633813fc60c\","
             "\"spanId\":\"eee19b7ec3c1b174\",\"traceState\":\"s\",\"attributes\":[{\"key\":\"a\"}]"
             ","
             "\"droppedAttributesCount\":4,\"flags\":1}],\"droppedLinksCount\":5,\"status\":"
             "{\"message\":\"m\",\"code\":2}}]}]}]}")},
        {OTLP_METRICS,
         S_INIT(
             "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"g\","
             "\"description\":"
             "\"d\",\"unit\":\"u\",\"gauge\":{\"dataPoints\":[{\"attributes\":[{\"key\":\"a\"}],"
             "\"startTimeUnixNano\":\"1\",\"timeUnixNano\":\"2\",\"asDouble\":0,\"exemplars\":"
             "[{\"filteredAttributes\":[{\"key\":\"a\"}],\"timeUnixNano\":\"1\",\"asInt\":\"0\","
             "\"spanId\":\"eee19b7ec3c1b174\",\"traceId\":\"5b8efff798038103d269b633813fc60c\"}],"
             "\"flags\":1},{\"timeUnixNano\":\"3\"}]},\"metadata\":[{\"key\":\"m\"}]},{\"name\":"
             "\"s\","
             "\"sum\":{\"dataPoints\":[{\"asInt\":\"-1\"}],\"aggregationTemporality\":2,"
             "\"isMonotonic\":true}},{\"name\":\"h\",\"histogram\":{\"dataPoints\":[{\"count\":"
             "\"3\","
             "\"sum\":0,\"bucketCounts\":[\"1\",\"2\"],\"explicitBounds\":[0.5],\"min\":-1,"
             "\"max\":2.5}],\"aggregationTemporality\":1}},{\"name\":\"e\","
             "\"exponentialHistogram\":"
             "{\"dataPoints\":[{\"count\":\"3\",\"scale\":-2,\"zeroCount\":\"1\",\"positive\":"
             "{\"offset\":-5,\"bucketCounts\":[\"18446744073709551615\"]},\"negative\":"
             "{\"bucketCounts\":[\"0\"]},\"zeroThreshold\":0.25}],\"aggregationTemporality\":2}},"
             "{\"name\":\"q\",\"summary\":{\"dataPoints\":[{\"count\":\"1\",\"sum\":2,"
             "\"quantileValues\":[{\"quantile\":0.5,\"value\":1},{}]}]}}]}]}]}")},
        {OTLP_PROFILES,
         S_INIT(
             "{\"resourceProfiles\":[{\"scopeProfiles\":[{\"profiles\":[{\"sampleType\":"
             "{\"typeStrindex\":1,\"unitStrindex\":2},\"samples\":[{\"stackIndex\":1,"
             "\"attributeIndices\":[1],\"linkIndex\":1,\"values\":[\"-5\"],\"timestampsUnixNano\":"
             "[\"7\"]}],\"timeUnixNano\":\"1\",\"durationNano\":\"2\",\"periodType\":"
             "{\"typeStrindex\":1,\"unitStrindex\":2},\"period\":\"3\",\"profileId\":"
             "\"W47/95gDgQPSabYzgT/GDA==\",\"originalPayloadFormat\":\"p\",\"originalPayload\":"
             "\"AA==\",\"attributeIndices\":[1]}]}]}],\"dictionary\":{\"mappingTable\":[{},"
             "{\"memoryStart\":\"1\",\"memoryLimit\":\"2\",\"filenameStrindex\":3}],"
             "\"locationTable\":[{},{\"mappingIndex\":1,\"address\":\"9\",\"lines\":"
             "[{\"functionIndex\":1,\"line\":\"10\"}],\"attributeIndices\":[1]}],\"functionTable\":"
             "[{},{\"nameStrindex\":4,\"startLine\":\"1\"}],\"linkTable\":[{},{\"traceId\":"
             "\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\"}],"
             "\"stringTable\":[\"\",\"cpu\",\"ns\",\"file\",\"fn\",\"key\"],\"attributeTable\":[{},"
             "{\"keyStrindex\":5,\"value\":{\"stringValue\":\"v\"},\"unitStrindex\":2}],"
             "\"stackTable\":[{},{\"locationIndices\":[1]}]}}")},
    };
    for (size_t i = 0; i < ARRAY_LEN(SAME); i++) {
        telemetry *t = decode(SAME[i].signal, SAME[i].json, RC_OK);
        assert_int_equal(t->rejected, 0);
        buf b;
        buf_init(&b, OUT_MAX);
        assert_true(otlp_encode(SAME[i].signal, OTLP_JSON, t, &b));
        assert_text(buf_str(&b), SAME[i].json);
        telemetry_free(t);
        buf_release(&b);
    }
}

static void bad_indices_reject_profiles(void **state) {
    (void)state;
#define REQUEST(resource, profile, dictionary)                                                     \
    S_INIT("{\"resourceProfiles\":[{\"resource\":{" resource                                       \
           "},\"scopeProfiles\":[{\"profiles\":["                                                  \
           "{" profile "},{}]}]}],\"dictionary\":{" dictionary "}}")
    static const struct {
        str json;
        unsigned kept;
    } CASES[] = {
        {REQUEST("", "", ""), 2},
        {REQUEST("", "\"samples\":[{\"stackIndex\":1}]", ""), 1},
        {REQUEST("", "\"samples\":[{\"linkIndex\":-1}]", ""), 1},
        {REQUEST("", "\"attributeIndices\":[3]", ""), 1},
        {REQUEST("", "\"sampleType\":{\"typeStrindex\":9}", "\"stringTable\":[\"\"]"), 1},
        {REQUEST("", "\"profileId\":\"AAAA\"", ""), 1},
        {REQUEST("\"attributes\":[{\"keyStrindex\":2}]", "", "\"stringTable\":[\"\",\"a\"]"), 0},
        {REQUEST("\"attributes\":[{\"keyStrindex\":1}]", "", "\"stringTable\":[\"\",\"a\"]"), 2},
        {REQUEST("", "", "\"locationTable\":[{},{\"mappingIndex\":7}]"), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        telemetry *t = decode(OTLP_PROFILES, CASES[i].json, RC_OK);
        if (t->profiles.count != CASES[i].kept || t->rejected != 2 - CASES[i].kept) {
            fail_msg("case %zu: %zu kept: %.*s", i, t->profiles.count, STR_ARG(t->reject_reason));
        }
        telemetry_free(t);
    }
    telemetry *t =
        decode(OTLP_PROFILES,
               (str)REQUEST("\"attributes\":[{\"keyStrindex\":1,\"value\":{\"arrayValue\":"
                            "{\"values\":[{\"stringValueStrindex\":1},{\"intValue\":2}]}}}]",
                            "", "\"stringTable\":[\"\",\"a\"]"),
               RC_OK);
    const resource *r = t->profiles.rec[0].resource;
    assert_int_equal(r->attr_count, 1);
    assert_text(r->attrs[0].key, S("a"));
    arena mem;
    arena_init(&mem, "test", 1 << 16);
    assert_text(attribute_text(&r->attrs[0], &mem), S("[\"a\",2]"));
    arena_release(&mem);
    telemetry_free(t);
}

static void values_have_a_text(void **state) {
    (void)state;
    static const struct {
        const char *json, *text;
    } CASES[] = {
        {"{\"stringValue\":\"a\\\"b\"}", "a\"b"},
        {"{\"intValue\":\"-7\"}", "-7"},
        {"{\"doubleValue\":0.1}", "0.1"},
        {"{\"doubleValue\":\"Infinity\"}", "Infinity"},
        {"{\"boolValue\":true}", "true"},
        {"{\"bytesValue\":\"AP8=\"}", "AP8="},
        {"{}", ""},
        {"{\"arrayValue\":{}}", "[]"},
        {"{\"kvlistValue\":{\"values\":[{\"key\":\"a\\n\",\"value\":{\"stringValue\":\"x\"}},{"
         "\"key\":\"b\"}]}}",
         "{\"a\\n\":\"x\",\"b\":null}"},
        {"{\"arrayValue\":{\"values\":[{\"doubleValue\":\"NaN\"},{\"bytesValue\":\"AA==\"},{"
         "\"boolValue\":false}]}}",
         "[\"NaN\",\"AA==\",false]"},
    };
    arena mem;
    arena_init(&mem, "test", 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        str members = str_fmt(&mem, "\"body\":%s,\"attributes\":[{\"key\":\"k\",\"value\":%s}]",
                              CASES[i].json, CASES[i].json);
        telemetry *t = decode(OTLP_LOGS, log_with(&mem, str_c_dup(&mem, members)), RC_OK);
        const log_record *r = &t->logs.rec[0];
        assert_text(r->body, str_c(CASES[i].text));
        assert_text(attribute_text(&r->attrs[0], &mem), str_c(CASES[i].text));
        telemetry_free(t);
    }
    arena_release(&mem);
}

static void answers_are_as_specified(void **state) {
    (void)state;
    buf b;
    buf_init(&b, OUT_MAX);
    otlp_put_response(OTLP_LOGS, OTLP_PROTOBUF, 0, STR_NONE, &b);
    assert_int_equal(b.n, 0);
    otlp_put_response(OTLP_LOGS, OTLP_JSON, 0, STR_NONE, &b);
    assert_text(buf_str(&b), S("{}"));
    static const char *const counts[] = {"rejectedLogRecords", "rejectedSpans",
                                         "rejectedDataPoints", "rejectedProfiles"};
    arena mem;
    arena_init(&mem, "test", 1 << 16);
    for (unsigned i = 0; i < OTLP_SIGNALS; i++) {
        buf_reset(&b);
        otlp_put_response((otlp_signal)i, OTLP_JSON, 3, S("why"), &b);
        assert_text(buf_str(&b),
                    str_fmt(&mem, "{\"partialSuccess\":{\"%s\":\"3\",\"errorMessage\":\"why\"}}",
                            counts[i]));
    }
    arena_release(&mem);
    buf_reset(&b);
    otlp_put_response(OTLP_TRACES, OTLP_PROTOBUF, 300, S("why"), &b);
    assert_text(buf_str(&b), S("\x0a\x08\x08\xac\x02\x12\x03why"));
    buf_reset(&b);
    otlp_put_status(OTLP_JSON, 3, S("bad \xff"), -1, true, &b);
    assert_text(buf_str(&b),
                S("{\"code\":3,\"message\":\"bad \xef\xbf\xbd\",\"details\":[{\"@type\":"
                  "\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{"
                  "\"description\":\"bad \xef\xbf\xbd\"}]}]}"));
    buf_reset(&b);
    otlp_put_status(OTLP_JSON, 14, S("busy"), 1500000000, false, &b);
    assert_text(buf_str(&b), S("{\"code\":14,\"message\":\"busy\",\"details\":[{\"@type\":"
                               "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":"
                               "\"1.500000000s\"}]}"));
    buf_reset(&b);
    otlp_put_status(OTLP_PROTOBUF, 14, S("busy"), 2000000000, false, &b);
    assert_text(buf_str(&b),
                S("\x08\x0e\x12\x04"
                  "busy\x1a\x30\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04"
                  "\x0a\x02\x08\x02"));
    buf_release(&b);
}

/* Each allocation failing once: an answer, never a crash or a leak. */
static void failing_memory_is_a_limit(void **state) {
    (void)state;
    arena mem;
    arena_init(&mem, "test", 1 << 20);
    str in = log_with(&mem, "\"body\":{\"arrayValue\":{\"values\":[{\"intValue\":1}]}},"
                            "\"severityText\":\"\\u0041\",\"attributes\":[{\"key\":\"a\"}]");
    unsigned limits = 0, fine = 0;
    for (uint64_t nth = 1; nth < 60; nth++) {
        telemetry *t = telemetry_new();
        buf out;
        buf_init(&out, OUT_MAX);
        mem_fail_at(nth);
        rc code = otlp_decode(OTLP_LOGS, OTLP_JSON, in, t, NULL);
        bool written = code == RC_OK && otlp_encode(OTLP_LOGS, OTLP_JSON, t, &out);
        mem_fail_at(0);
        assert_true(code == RC_OK || code == RC_LIMIT);
        assert_true(written || code == RC_LIMIT || out.full || out.n == 0);
        limits += code == RC_LIMIT;
        fine += written;
        telemetry_free(t);
        buf_release(&out);
    }
    assert_true(limits > 3 && fine > 3);
    arena_release(&mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_a_log_record),       cmocka_unit_test(requests_that_are_none),
        cmocka_unit_test(errors_name_the_field),       cmocka_unit_test(json_goes_there_and_back),
        cmocka_unit_test(bad_indices_reject_profiles), cmocka_unit_test(values_have_a_text),
        cmocka_unit_test(answers_are_as_specified),    cmocka_unit_test(failing_memory_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
