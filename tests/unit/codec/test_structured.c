/* What the golden cases of the structured formats do not show: recognition, joining with the text
 * side's hooks, positions, limits, full batches, incomplete input. */
#include "records_of.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "codec/fields_int.h"
#include "codec/journal_export.h"
#include "codec/logfmt.h"

/* ---- recognition ---- */

static void formats_know_their_lines(void **state) {
    (void)state;
    static const struct {
        const char *line, *best; /* best: NULL = none scores */
    } cases[] = {
        {"{\"level\":\"info\",\"msg\":\"a\",\"time\":1}", "json"},
        {"{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-01T10:00:00Z\"}", "docker"},
        {"{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-01T10:00:00Z\",\"kubernetes\":"
         "{}}",
         "json"},
        {"{\"resourceLogs\":[]}", "otlp-json"},
        {"{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"a\"}", "journal-json"},
        {"2024-05-01T10:00:00.1Z stdout F a", "cri"},
        {"2024-05-01T10:00:00.1+01:00 stderr P ", "cri"},
        {"level=info msg=\"a b\" ts=2024-05-01T10:00:00Z", "logfmt"},
        {"a=1 b=2 c=3", "logfmt"},
        {"user=7, id=9, name=Bob", NULL},
        {"a=1 and then some words about b=2", NULL},
        {"2024-05-01 10:00:00 INFO started level=3 id=7", NULL},
        {"plain words", NULL},
        {"{not json}", NULL},
        {"{\"a\":1} tail", NULL},
        {"[1,2,3]", NULL},
        {"2024-05-01T10:00:00.1Z stdout is a word", NULL},
        {"", NULL},
        {" ", NULL},
        {"=", NULL},
        {"{", NULL},
    };
    static const line_fmt *const all[] = {&line_fmt_otlp_json, &line_fmt_docker,
                                          &line_fmt_json,      &line_fmt_journal_json,
                                          &line_fmt_cri,       &line_fmt_logfmt};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        str line = str_c(cases[i].line);
        const line_fmt *best = NULL;
        unsigned top = 0;
        for (size_t k = 0; k < ARRAY_LEN(all); k++) {
            unsigned s = all[k]->score(line);
            assert_in_range(s, 0, 100);
            if (s > top) {
                top = s;
                best = all[k];
            }
        }
        const char *got = best ? best->name : "none", *want = cases[i].best;
        if (strcmp(got, want ? want : "none") != 0) fail_msg("%s: %s", cases[i].line, got);
        if (best) assert_true(best->looks_like(line) || best == &line_fmt_logfmt);
    }
}

static void field_names_are_known_in_every_spelling(void **state) {
    (void)state;
    static const struct {
        const char *name;
        field_role role;
    } cases[] = {
        {"@timestamp", ROLE_TIME},
        {"Timestamp", ROLE_TIME},
        {"time", ROLE_TIME},
        {"ts", ROLE_TIME},
        {"__REALTIME_TIMESTAMP", ROLE_TIME},
        {"t.$date", ROLE_TIME},
        {"log.level", ROLE_LEVEL},
        {"log_level", ROLE_LEVEL},
        {"LogLevel", ROLE_LEVEL},
        {"log-level", ROLE_LEVEL},
        {"severity", ROLE_LEVEL},
        {"@l", ROLE_LEVEL},
        {"PRIORITY", ROLE_PRIORITY},
        {"severity_number", ROLE_LEVEL_OTEL},
        {"msg", ROLE_MESSAGE},
        {"Message", ROLE_MESSAGE},
        {"short_message", ROLE_MESSAGE},
        {"textPayload", ROLE_MESSAGE},
        {"jsonPayload.message", ROLE_MESSAGE},
        {"service.name", ROLE_SERVICE},
        {"serviceName", ROLE_SERVICE},
        {"kubernetes.labels.app.kubernetes.io/name", ROLE_SERVICE},
        {"kubernetes.container_name", ROLE_SERVICE},
        {"resource.labels.container_name", ROLE_SERVICE},
        {"resource.labels.service_name", ROLE_SERVICE},
        {"resource.labels.function_name", ROLE_SERVICE},
        {"resource.attributes.service.name", ROLE_SERVICE},
        {"serviceContext.service", ROLE_SERVICE},
        {"SYSLOG_IDENTIFIER", ROLE_SERVICE},
        {"logger_name", ROLE_COMPONENT},
        {"log.logger", ROLE_COMPONENT},
        {"Properties.SourceContext", ROLE_COMPONENT},
        {"@module", ROLE_COMPONENT},
        {"host.name", ROLE_HOST},
        {"_HOSTNAME", ROLE_HOST},
        {"kubernetes.node_name", ROLE_HOST},
        {"trace_id", ROLE_TRACE},
        {"traceId", ROLE_TRACE},
        {"trace.id", ROLE_TRACE},
        {"logging.googleapis.com/trace", ROLE_TRACE},
        {"@tr", ROLE_TRACE},
        {"logging.googleapis.com/spanId", ROLE_SPAN},
        {"span.id", ROLE_SPAN},
        {"instant.epochSecond", ROLE_TIME_S},
        {"instant.nanoOfSecond", ROLE_TIME_NS_PART},
        {"messages", ROLE_NONE},
        {"leve", ROLE_NONE},
        {"", ROLE_NONE},
        {"...", ROLE_NONE},
        {"user", ROLE_NONE},
        {"host.ip", ROLE_NONE},
        {"a.very.long.name.that.no.logger.ever.writes.message", ROLE_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (field_role_of(str_c(cases[i].name)).role != cases[i].role)
            fail_msg("%s", cases[i].name);
    }
}

/* ---- joining ---- */

static char hook_ctx[1];

static bool indented(void *ctx, str text) {
    (void)ctx;
    return text.p[0] == '\t' || text.p[0] == ' ';
}

static bool error_header(void *ctx, const line_ctx *c, str text, log_record *r) {
    assert_ptr_equal(ctx, hook_ctx);
    assert_non_null(c->ts);
    if (!str_starts(text, S("ERROR "))) return false;
    r->severity = SEV_ERROR;
    r->component = S("found");
    r->body = str_from(text, 6);
    return true;
}

static const line_ctx hooks = {
    .inner_parse = error_header, .inner_continues = indented, .inner = hook_ctx};

static void containers_join_stack_traces_and_read_headers(void **state) {
    (void)state;
    str in = S("2024-05-01T10:00:00.1Z stdout F ERROR it broke\n"
               "2024-05-01T10:00:00.2Z stdout F \tat a.b(C.java:1)\n"
               "2024-05-01T10:00:00.2Z stdout F \tat a.c(C.java:2)\n"
               "2024-05-01T10:00:00.3Z stderr F other stream\n"
               "2024-05-01T10:00:00.4Z stdout F \tat a.d(C.java:3)\n"
               "2024-05-01T10:00:00.5Z stdout F next\n");
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_lines(&r, &line_fmt_cri, in, &hooks), RC_OK);
    assert_int_equal(r.batch.count, 3);
    const log_record *rec = r.batch.rec;
    assert_true(str_eq(rec[0].body, S("it broke")));
    assert_true(str_eq(rec[0].component, S("found")));
    assert_int_equal(rec[0].severity, SEV_ERROR);
    assert_int_equal(rec[0].line_count, 3); /* the fourth stands behind another stream's line */
    assert_true(str_ends(rec[0].raw, S("C.java:2)")));
    assert_int_equal(rec[0].ref.bytes, rec[0].raw.n);
    assert_int_equal(rec[0].ref.offset, 0);
    assert_int_equal(rec[0].ref.file, 7);
    assert_true(str_eq(rec[1].body, S("other stream")));
    assert_int_equal(rec[2].ref.line, 6);
    assert_ptr_equal(rec[2].raw.p, in.p + rec[2].ref.offset);
    parse_run_release(&r);
}

static str attr_of(const log_record *r, str key) {
    for (uint32_t i = 0; i < r->attr_count; i++) {
        if (str_eq(r->attrs[i].key, key)) return r->attrs[i].val;
    }
    return STR_NONE;
}

static void containers_name_the_exception_of_a_trace(void **state) {
    (void)state;
    str in = S("{\"log\":\"java.lang.IllegalStateException: no stock\\n\",\"stream\":\"stderr\","
               "\"time\":\"2024-05-01T10:00:00Z\"}\n"
               "{\"log\":\"\\tat a.b(C.java:1)\\n\",\"stream\":\"stderr\","
               "\"time\":\"2024-05-01T10:00:00Z\"}\n"
               "{\"log\":\"next\\n\",\"stream\":\"stderr\",\"time\":\"2024-05-01T10:00:01Z\"}\n");
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_lines(&r, &line_fmt_docker, in, &hooks), RC_OK);
    assert_int_equal(r.batch.count, 2);
    const log_record *rec = &r.batch.rec[0];
    assert_int_equal(rec->line_count, 2);
    assert_true(str_eq(rec->body, S("java.lang.IllegalStateException: no stock")));
    assert_true(str_eq(attr_of(rec, S("exception.type")), S("java.lang.IllegalStateException")));
    assert_true(str_eq(attr_of(rec, S("exception.message")), S("no stock")));
    assert_true(str_eq(attr_of(rec, S("exception.stacktrace")),
                       S("java.lang.IllegalStateException: no stock\n\tat a.b(C.java:1)")));
    assert_int_equal(r.batch.rec[1].attr_count, 0);
    parse_run_release(&r);
}

static void objects_that_carry_frames_join_their_program_only(void **state) {
    (void)state;
    str in = S("{\"message\":\"ERROR broken\",\"service\":\"a\"}\n"
               "{\"message\":\"\\tat x.y(Z.java:1)\",\"service\":\"a\"}\n"
               "{\"message\":\"\\tat of another\",\"service\":\"b\"}\n"
               "{\"message\":\"  stated\",\"service\":\"b\",\"level\":\"info\"}\n");
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_lines(&r, &line_fmt_json, in, &hooks), RC_OK);
    assert_int_equal(r.batch.count, 3);
    assert_int_equal(r.batch.rec[0].line_count, 2);
    assert_int_equal(r.batch.rec[0].severity, SEV_ERROR);
    assert_true(str_eq(attr_of(&r.batch.rec[0], S("exception.stacktrace")),
                       S("broken\n\tat x.y(Z.java:1)")));
    assert_true(str_eq(r.batch.rec[1].body, S("at of another")));
    line_ctx c = hooks;
    static const ts_context utc = {0};
    c.ts = &utc;
    str rest = in, line[4];
    for (size_t i = 0; i < ARRAY_LEN(line); i++) assert_true(str_next(&rest, '\n', &line[i]));
    assert_false(line_fmt_json.starts(&c, line[0], line[1]));
    assert_true(line_fmt_json.starts(&c, line[1], line[2]));
    assert_true(line_fmt_json.starts(&c, line[2], line[3]));
    assert_true(line_fmt_json.starts(&c, STR_NONE, line[0]));
    parse_run_release(&r);
}

static void containers_say_where_records_start(void **state) {
    (void)state;
    line_ctx c = hooks;
    static const struct {
        const char *prev, *line;
        bool starts;
    } cri[] =
        {
            {"", "2024-05-01T10:00:00.1Z stdout F a", true},
            {"2024-05-01T10:00:00.1Z stdout P a", "2024-05-01T10:00:00.1Z stdout F b", false},
            {"2024-05-01T10:00:00.1Z stdout P a", "2024-05-01T10:00:00.1Z stderr F b", true},
            {"2024-05-01T10:00:00.1Z stdout F a", "2024-05-01T10:00:00.1Z stdout F \tb", false},
            {"2024-05-01T10:00:00.1Z stdout F a", "garbage", false},
        },
      docker[] = {
          {"", "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"t\"}", true},
          {"{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"t\"}",
           "{\"log\":\"b\\n\",\"stream\":\"stdout\",\"time\":\"t\"}", false},
          {"{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"t\"}",
           "{\"log\":\"b\\n\",\"stream\":\"stderr\",\"time\":\"t\"}", true},
          {"{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"t\"}",
           "{\"log\":\"\\tb\\n\",\"stream\":\"stdout\",\"time\":\"t\"}", false},
          {"", "{\"log\":\"a", false},
      };
    for (size_t i = 0; i < ARRAY_LEN(cri); i++) {
        bool got = line_fmt_cri.starts(&c, str_c(cri[i].prev), str_c(cri[i].line));
        if (got != cri[i].starts) fail_msg("%s", cri[i].line);
        got = line_fmt_docker.starts(&c, str_c(docker[i].prev), str_c(docker[i].line));
        if (got != docker[i].starts) fail_msg("%s", docker[i].line);
    }
}

static void joined_messages_have_a_maximum(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 8 << 20);
    for (int i = 0; i < 80; i++) {
        buf_put(&b, S("2024-05-01T10:00:00.1Z stdout P "));
        buf_pad(&b, 'x', 16384);
        buf_putc(&b, '\n');
    }
    buf_put(&b, S("2024-05-01T10:00:00.1Z stdout F end\n"));
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_lines(&r, &line_fmt_cri, buf_str(&b), NULL), RC_OK);
    assert_int_equal(r.batch.count, 1);
    assert_int_equal(r.batch.rec[0].body.n, LINE_JOIN_MAX);
    assert_int_equal(r.batch.rec[0].line_count, 81);
    assert_int_equal(r.stats.cut_lines, 1);
    parse_run_release(&r);
    buf_release(&b);
}

/* ---- limits ---- */

static void a_full_batch_refuses_the_line_and_keeps_its_records(void **state) {
    (void)state;
    static const struct {
        const line_fmt *fmt;
        const char *line;
    } cases[] = {
        {&line_fmt_json, "{\"level\":\"info\",\"msg\":\"a\"}"},
        {&line_fmt_logfmt, "level=info msg=a"},
        {&line_fmt_cri, "2024-05-01T10:00:00.1Z stdout F a"},
        {&line_fmt_docker,
         "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2024-05-01T10:00:00Z\"}"},
        {&line_fmt_journal_json, "{\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"a\"}"},
        {&line_fmt_otlp_json, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        parse_run r;
        parse_run_init(&r);
        rc code = RC_OK;
        size_t rounds = 0;
        while (code == RC_OK && rounds++ <= BATCH_RECORDS) {
            code = parse_lines(&r, cases[i].fmt, str_c(cases[i].line), NULL);
        }
        assert_int_equal(code, RC_LIMIT);
        assert_int_equal(r.batch.count, BATCH_RECORDS);
        assert_int_equal(r.refused, 0);
        parse_run_release(&r);
    }
}

static void one_otlp_line_may_hold_more_than_a_batch(void **state) {
    (void)state;
    enum { RECORDS = BATCH_RECORDS + 1000 };
    buf b;
    buf_init(&b, 8 << 20);
    buf_put(&b, S("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":["));
    for (int i = 0; i < RECORDS; i++) {
        buf_fmt(&b, "%s{\"timeUnixNano\":\"%d\",\"severityNumber\":9}", i ? "," : "", i + 1);
    }
    buf_put(&b, S("]}],\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
                  "{\"stringValue\":\"s\"}},{\"key\":\"k\",\"value\":{\"intValue\":1}}]}}]}"));
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_lines(&r, &line_fmt_otlp_json, buf_str(&b), NULL), RC_OK);
    assert_int_equal(r.batch.count, RECORDS);
    const log_record *last = &r.batch.rec[RECORDS - 1];
    assert_int_equal(last->ts_ns, RECORDS);
    assert_true(str_eq(last->service, S("s")));
    assert_int_equal(last->attr_count, 1);
    assert_true(last->raw.p[0] == '{' && last->raw.p[last->raw.n - 1] == '}');
    assert_ptr_equal(last->raw.p, b.p + last->ref.offset);
    parse_run_release(&r);
    buf_release(&b);
}

static void hostile_lines_are_refused_or_bounded(void **state) {
    (void)state;
    enum { DEEP = 100000, MEMBERS = 5000 };
    buf b;
    buf_init(&b, 8 << 20);
    buf_put(&b, S("{\"a\":"));
    buf_pad(&b, '[', DEEP);
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_lines(&r, &line_fmt_json, buf_str(&b), NULL), RC_OK);
    assert_int_equal(parse_lines(&r, &line_fmt_docker, buf_str(&b), NULL), RC_OK);
    assert_int_equal(r.batch.count, 0);
    assert_int_equal(r.refused, 2);
    buf_reset(&b);
    buf_put(&b, S("{\"resourceLogs\":"));
    buf_pad(&b, '[', DEEP);
    assert_int_equal(parse_lines(&r, &line_fmt_otlp_json, buf_str(&b), NULL), RC_OK);
    assert_int_equal(r.refused, 3);

    buf_reset(&b);
    buf_put(&b, S("{\"msg\":\"many\",\"level\":\"info\""));
    for (int i = 0; i < MEMBERS; i++) buf_fmt(&b, ",\"k%d\":%d", i, i);
    buf_putc(&b, '}');
    assert_int_equal(parse_lines(&r, &line_fmt_json, buf_str(&b), NULL), RC_OK);
    assert_int_equal(r.batch.count, 1);
    assert_int_equal(r.batch.rec[0].attr_count, LINE_ATTRS_MAX - 2);

    buf_reset(&b);
    for (int i = 0; i < MEMBERS; i++) buf_fmt(&b, "k%d=%d ", i, i);
    assert_int_equal(parse_lines(&r, &line_fmt_logfmt, buf_str(&b), NULL), RC_OK);
    assert_int_equal(r.batch.rec[1].attr_count, LINE_ATTRS_MAX);

    str nul = S("{\"msg\":\"a\0b\",\"level\":\"info\",\"\xff\xfe\":\"\xc3\x28\"}");
    assert_int_equal(parse_lines(&r, &line_fmt_json, nul, NULL), RC_OK);
    assert_true(str_eq(r.batch.rec[2].body, S("a\0b")));
    assert_true(str_eq(r.batch.rec[2].attrs[0].val, S("\xc3\x28")));
    parse_run_release(&r);
    buf_release(&b);
}

static void values_of_a_megabyte_pass(void **state) {
    (void)state;
    enum { BIG = 1 << 20 };
    buf b;
    buf_init(&b, 4 * BIG);
    buf_put(&b, S("{\"level\":\"error\",\"msg\":\"short\",\"stack_trace\":\""));
    buf_pad(&b, 'x', BIG);
    buf_put(&b, S("\\n\"}"));
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_lines(&r, &line_fmt_json, buf_str(&b), NULL), RC_OK);
    assert_int_equal(r.batch.rec[0].attrs[0].val.n, BIG + 1);
    parse_run_release(&r);
    buf_release(&b);
}

/* Each allocation in turn fails: the answer is RC_LIMIT and the records before it stand. */
static void failed_allocations_are_limits(void **state) {
    (void)state;
    static const struct {
        const line_fmt *fmt;
        const char *text;
    } cases[] = {
        {&line_fmt_json,
         "{\"msg\":\"a\\n\",\"x\":{\"y\":\"\\u0041\"},\"log\":\"level=info msg=b\"}\n"},
        {&line_fmt_docker, "{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"t\"}\n"
                           "{\"log\":\"b\\n\",\"stream\":\"stdout\",\"time\":\"t\"}\n"},
        {&line_fmt_cri, "2024-05-01T10:00:00.1Z stdout P {\"msg\":\n"
                        "2024-05-01T10:00:00.1Z stdout F \"a\"}\n"},
        {&line_fmt_logfmt, "level=info msg=\"a \\\" b\" k=v\n"},
        {&line_fmt_otlp_json,
         "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{"
         "\"arrayValue\":"
         "{\"values\":[{\"intValue\":1}]}}}]},\"scopeLogs\":[{\"logRecords\":[{},{}]}]}]}\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        rc code = RC_LIMIT;
        unsigned nth = 0;
        while (code != RC_OK) {
            parse_run r;
            parse_run_init(&r);
            mem_fail_at(++nth);
            code = parse_lines(&r, cases[i].fmt, str_c(cases[i].text), NULL);
            mem_fail_at(0);
            assert_true(code == RC_OK || code == RC_LIMIT);
            assert_int_equal(r.refused, 0);
            if (code == RC_OK) assert_true(r.batch.count > 0);
            parse_run_release(&r);
            assert_in_range(nth, 1, 100);
        }
        assert_true(nth > 1); /* at least one allocation failed on the way */
    }
}

/* ---- journal export ---- */

static void journal_entries_wait_for_their_end(void **state) {
    (void)state;
    const record_fmt *f = &record_fmt_journal_export;
    str whole = S("__REALTIME_TIMESTAMP=1423944916375353\nMESSAGE\n\x05\0\0\0\0\0\0\0a\n\nbc\n\n");
    for (size_t n = 0; n < whole.n; n++) {
        if (f->next(str_sub(whole, 0, n), false) != 0) fail_msg("complete after %zu bytes", n);
        if (n > 0) assert_int_equal(f->next(str_sub(whole, 0, n), true), n);
    }
    assert_int_equal(f->next(whole, false), whole.n);
    assert_int_equal(f->score(whole), 100);
    assert_int_equal(f->score(S("KEY=VALUE\n\n")), 0);
    assert_int_equal(f->score(S("level=info msg=a\n")), 0);
    assert_int_equal(f->score(STR_NONE), 0);
}

static void journal_sizes_beyond_the_maximum_are_damage(void **state) {
    (void)state;
    const record_fmt *f = &record_fmt_journal_export;
    str in = S("MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7f"
               "abc\n\n__REALTIME_TIMESTAMP=1\nMESSAGE=b\n\n");
    size_t n = f->next(in, false);
    assert_true(str_starts(str_from(in, n), S("__REALTIME")));
    parse_run r;
    parse_run_init(&r);
    assert_int_equal(parse_records(&r, f, in), RC_OK);
    assert_int_equal(r.refused, 1);
    assert_int_equal(r.batch.count, 1);
    assert_int_equal(r.batch.rec[0].ref.line, 4);
    assert_true(str_eq(r.batch.rec[0].body, S("b")));
    parse_run_release(&r);
}

static void journal_fields_are_checked(void **state) {
    (void)state;
    str key, val;
    str good = S("A_1=x=y\nrest");
    assert_int_equal(journal_field(&good, &key, &val), RC_OK);
    assert_true(str_eq(key, S("A_1")) && str_eq(val, S("x=y")) && str_eq(good, S("rest")));
    str blank = S("\nNEXT=1\n");
    assert_int_equal(journal_field(&blank, &key, &val), RC_END);
    assert_true(str_starts(blank, S("NEXT")));
    str lower = S("key=1\n"), none = S("=1\n"), cut = S("KEY=1"), nothing = STR_NONE;
    assert_int_equal(journal_field(&lower, &key, &val), RC_INVALID);
    assert_int_equal(journal_field(&none, &key, &val), RC_INVALID);
    assert_int_equal(journal_field(&cut, &key, &val), RC_AGAIN);
    assert_int_equal(journal_field(&nothing, &key, &val), RC_END);
}

/* ---- logfmt ---- */

static void logfmt_reads_pairs(void **state) {
    (void)state;
    logfmt_reader r = {.in = S("a=1 b=\"x y\" c= d \te=\"q\\\"\" f=\"open")};
    static const struct {
        const char *key, *val;
        bool has_value, quoted, damaged;
    } want[] = {{"a", "1", true, false, false},    {"b", "x y", true, true, false},
                {"c", "", true, false, false},     {"d", "", false, false, false},
                {"e", "q\\\"", true, true, false}, {"f", "open", true, true, true}};
    logfmt_pair p;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(logfmt_next(&r, &p));
        assert_true(str_eq(p.key, str_c(want[i].key)) && str_eq(p.val, str_c(want[i].val)));
        assert_int_equal(p.has_value, want[i].has_value);
        assert_int_equal(p.quoted, want[i].quoted);
        assert_int_equal(p.damaged, want[i].damaged);
    }
    assert_false(logfmt_next(&r, &p));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_know_their_lines),
        cmocka_unit_test(field_names_are_known_in_every_spelling),
        cmocka_unit_test(containers_join_stack_traces_and_read_headers),
        cmocka_unit_test(containers_name_the_exception_of_a_trace),
        cmocka_unit_test(objects_that_carry_frames_join_their_program_only),
        cmocka_unit_test(containers_say_where_records_start),
        cmocka_unit_test(joined_messages_have_a_maximum),
        cmocka_unit_test(a_full_batch_refuses_the_line_and_keeps_its_records),
        cmocka_unit_test(one_otlp_line_may_hold_more_than_a_batch),
        cmocka_unit_test(hostile_lines_are_refused_or_bounded),
        cmocka_unit_test(values_of_a_megabyte_pass),
        cmocka_unit_test(failed_allocations_are_limits),
        cmocka_unit_test(journal_entries_wait_for_their_end),
        cmocka_unit_test(journal_sizes_beyond_the_maximum_are_damage),
        cmocka_unit_test(journal_fields_are_checked),
        cmocka_unit_test(logfmt_reads_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
