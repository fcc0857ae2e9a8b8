/* Formats, records and their invariants: detection, multi-line records of each language, access
 * logs, RFC 5424, damaged input, and that chunked parsing gives the same records and loses nothing
 * (logformat.c invariants 1 to 3). */
#include "base/buf.h"
#include "base/rng.h"
#include "codec/logformat.h"
#include "codec/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { DUMP_MAX = 64 << 20 };
static const int64_t NOW = INT64_C(1795170645) * 1000000000;

typedef struct parsed {
    log_format *f;
    log_batch b;
    log_parse_stats st;
} parsed;

static log_format *detect(str text, const char *name) {
    const log_format_opts opts = {.now_ns = NOW, .name = str_c(name)};
    log_format *f;
    err e = {0};
    if (log_format_detect(str_sub(text, 0, LOG_SAMPLE_BYTES), &opts, &f, &e) != RC_OK)
        fail_msg("detect: %s", e.msg);
    return f;
}

static void parse_text(parsed *p, str text, const char *name) {
    *p = (parsed){.f = detect(text, name)};
    log_batch_init(&p->b);
    size_t used;
    err e = {0};
    if (log_format_parse(p->f, text, 0, 1, &p->b, &p->st, &used, &e) != RC_OK)
        fail_msg("parse: %s", e.msg);
    assert_int_equal(used, text.n);
}

static void release(parsed *p) {
    log_batch_release(&p->b);
    log_format_free(p->f);
}

static void expect_str(str got, const char *want) {
    if (!str_eq(got, str_c(want))) fail_msg("\"%.*s\", not \"%s\"", STR_ARG(got), want);
}

static str attr(const log_record *r, const char *key) {
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (str_eq(r->attrs[i].key, str_c(key))) return r->attrs[i].val;
    return STR_NONE;
}

/* ---- detection ---- */

static void format_is_found_by_looking(void **state) {
    (void)state;
    static const struct {
        const char *text, *describe;
    } cases[] = {
        {"", "plain"},
        {"\n\n\n", "plain"},
        {"hello\nworld\nthis is text\n", "plain"},
        {"{\"ts\":\"2026-11-20T10:30:45Z\",\"level\":\"info\",\"msg\":\"hi\"}\n", "json"},
        {"time=2026-11-20T10:30:45Z level=info msg=\"hi there\"\n", "logfmt"},
        {"{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T10:30:45.1Z\"}\n",
         "docker"},
        {"2026-11-20T10:30:45.123456789Z stdout F hi\n", "cri"},
        {"<34>1 2026-11-20T10:30:45Z host app 12 ID47 - hi\n", "syslog-5424"},
        {"1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\n", "access"},
        {"Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure\n", "syslog-3164"},
        {"E0102 15:04:05.000000 1 a.go:1] x\n", "klog"},
        {"2026-11-20 10:30:45 INFO hello there\n", "learned: <ts> <level>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_format *f = detect(str_c(cases[i].text), "auto");
        expect_str(log_format_describe(f), cases[i].describe);
        log_format_free(f);
    }
}

static void format_may_be_named(void **state) {
    (void)state;
    const str line = S("2026-11-20 10:30:45 INFO hello\n");
    for (const char *const *n = log_format_names(); *n; n++) {
        parsed p;
        parse_text(&p, line, *n);
        assert_int_equal(p.b.count, 1);
        release(&p);
    }
    parsed p;
    parse_text(&p, line, "plain");
    expect_str(p.b.rec[0].body, "2026-11-20 10:30:45 INFO hello");
    release(&p);
    log_format *f;
    err e = {0};
    const log_format_opts bad = {.name = S_INIT("klingon")};
    assert_int_equal(log_format_detect(line, &bad, &f, &e), RC_INVALID);
    assert_non_null(strstr(e.msg, "klingon"));
    assert_non_null(strstr(e.msg, "syslog-5424"));
}

static void format_refuses_binary(void **state) {
    (void)state;
    char zeros[256] = {0};
    log_format *f;
    err e = {0};
    const log_format_opts opts = {0};
    assert_int_equal(log_format_detect(str_make(zeros, sizeof zeros), &opts, &f, &e),
                     RC_UNSUPPORTED);
    assert_int_equal(log_format_detect(S("\xff\xfeh\0i\0"), &opts, &f, &e), RC_UNSUPPORTED);
    /* Some NULs in text are no binary. */
    assert_int_equal(log_format_detect(S("a line of text with one \0 inside\nand another line\n"),
                                       &opts, &f, &e),
                     RC_OK);
    log_format_free(f);
}

static void format_content_only_keeps_lines(void **state) {
    (void)state;
    const log_format_opts opts = {.content_only = true};
    log_format *f;
    assert_int_equal(log_format_detect(S("x"), &opts, &f, NULL), RC_OK);
    log_batch b;
    log_batch_init(&b);
    log_parse_stats st = {0};
    size_t used;
    str text = S("2026-11-20 10:30:45 INFO a\n\tat x.y(Z.java:1)\r\n\nlast");
    assert_int_equal(log_format_parse(f, text, 0, 1, &b, &st, &used, NULL), RC_OK);
    assert_int_equal(b.count, 3);
    expect_str(b.rec[0].body, "2026-11-20 10:30:45 INFO a");
    expect_str(b.rec[1].body, "\tat x.y(Z.java:1)");
    expect_str(b.rec[2].body, "last");
    assert_int_equal(b.rec[2].ref.line, 4);
    assert_int_equal(st.lines, 4);
    log_batch_release(&b);
    log_format_free(f);
}

/* ---- multi-line records ---- */

static const struct trace_case {
    const char *name, *text;
    size_t records, at; /* the record that holds the trace */
    uint32_t lines;
    const char *type, *message;
} TRACES[] = {
    {"java",
     "2026-11-20 10:30:45,123 INFO [main] a.B: before\n"
     "2026-11-20 10:30:46,123 ERROR [main] a.B: Unhandled\n"
     "java.lang.OutOfMemoryError: Java heap space\n"
     "\tat java.util.Arrays.copyOf(Arrays.java:3332)\n"
     "\t... 12 more\n"
     "Caused by: java.sql.SQLException: timeout\n"
     "\tat a.b.C.d(C.java:1)\n"
     "2026-11-20 10:30:47,123 INFO [main] a.B: after\n",
     3, 1, 6, "java.lang.OutOfMemoryError", "Java heap space"},
    {"java, exception in the message",
     "2026-11-20 10:30:46,123 ERROR a.B: Exception in thread \"main\" a.FooException: no stock\n"
     "\tat a.b.C.d(C.java:1)\n"
     "2026-11-20 10:30:47,123 INFO a.B: after\n",
     2, 0, 2, "a.FooException", "no stock"},
    {"python, chained",
     "2026-11-20 10:30:45,123 - app - ERROR - failed\n"
     "Traceback (most recent call last):\n"
     "  File \"/srv/a.py\", line 3, in f\n"
     "    g()\n"
     "KeyError: 'a'\n"
     "\n"
     "During handling of the above exception, another exception occurred:\n"
     "\n"
     "Traceback (most recent call last):\n"
     "  File \"/srv/a.py\", line 9, in h\n"
     "ValueError: no stock\n"
     "2026-11-20 10:30:47,123 - app - INFO - after\n",
     2, 0, 11, "ValueError", "no stock"},
    {"go",
     "2026/11/20 10:30:45 before\n"
     "2026/11/20 10:30:46 http: panic serving 10.0.0.1:5: runtime error: x\n"
     "goroutine 7 [running]:\n"
     "net/http.(*conn).serve.func1(0xc0000)\n"
     "\t/usr/lib/go/src/net/http/server.go:1825 +0xbf\n"
     "panic: index out of range [5]\n"
     "2026/11/20 10:30:47 after\n",
     3, 1, 5, "panic", "index out of range [5]"},
    {"node",
     "2026-11-20T10:30:45.123Z [error] request failed\n"
     "TypeError: Cannot read properties of undefined (reading 'id')\n"
     "    at place (/srv/app/orders.js:12:3)\n"
     "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)\n"
     "2026-11-20T10:30:46.123Z [info] next\n",
     2, 0, 4, "TypeError", "Cannot read properties of undefined (reading 'id')"},
    {".net",
     "2026-11-20 10:30:47.123 +01:00 [ERR] Request failed\n"
     "System.InvalidOperationException: no stock\n"
     " ---> System.TimeoutException: slow\n"
     "   at Shop.Db.Query()\n"
     "   --- End of inner exception stack trace ---\n"
     "   at Shop.Orders.Place() in C:\\src\\Orders.cs:line 12\n"
     "2026-11-20 10:30:48.123 +01:00 [INF] next\n",
     2, 0, 6, "System.InvalidOperationException", "no stock"},
    {"rust",
     "2026-11-20T10:30:45.123456Z  INFO my_app: before\n"
     "2026-11-20T10:30:46.123456Z ERROR my_app: worker died\n"
     "thread 'main' panicked at src/main.rs:4:5:\n"
     "index out of bounds: the len is 3 but the index is 99\n"
     "stack backtrace:\n"
     "   0: rust_begin_unwind\n"
     "             at /rustc/x/library/std/src/panicking.rs:645:5\n"
     "note: run with `RUST_BACKTRACE=full`\n",
     2, 1, 7, "panic", "index out of bounds: the len is 3 but the index is 99"},
    {"plain python",
     "starting\n"
     "Traceback (most recent call last):\n"
     "  File \"a.py\", line 1, in <module>\n"
     "    f()\n"
     "ZeroDivisionError: division by zero\n"
     "done\n",
     3, 1, 4, "ZeroDivisionError", "division by zero"},
    {"plain java",
     "starting\n"
     "Exception in thread \"main\" java.lang.IllegalStateException: bad\n"
     "\tat a.B.c(B.java:1)\n"
     "Caused by: java.io.IOException: worse\n"
     "\t... 3 more\n"
     "done\n",
     3, 1, 4, "java.lang.IllegalStateException", "bad"},
    {"plain go",
     "starting\n"
     "panic: runtime error: invalid memory address\n"
     "[signal SIGSEGV: segmentation violation]\n"
     "\n"
     "goroutine 1 [running]:\n"
     "main.run(0x1, 0x2)\n"
     "\t/srv/main.go:12 +0x1d\n"
     "exit status 2\n"
     "done\n",
     3, 1, 7, "panic", "runtime error: invalid memory address"},
    {"plain rust",
     "starting\n"
     "thread 'main' panicked at 'boom', src/main.rs:2:5\n"
     "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
     "done\n",
     3, 1, 2, "panic", "'boom', src/main.rs:2:5"},
    {"plain node",
     "starting\n"
     "Error: connect ECONNREFUSED 127.0.0.1:6379\n"
     "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1495:16)\n"
     "done\n",
     3, 1, 2, "Error", "connect ECONNREFUSED 127.0.0.1:6379"},
};

static void multi_line_traces_are_one_record(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TRACES); i++) {
        const struct trace_case *t = &TRACES[i];
        parsed p;
        parse_text(&p, str_c(t->text), "auto");
        if (p.b.count != t->records)
            fail_msg("%s: %zu records (%.*s)", t->name, p.b.count,
                     STR_ARG(log_format_describe(p.f)));
        const log_record *r = &p.b.rec[t->at];
        if (r->line_count != t->lines) fail_msg("%s: %u lines", t->name, r->line_count);
        if (!str_eq(attr(r, "exception.type"), str_c(t->type)) ||
            !str_eq(attr(r, "exception.message"), str_c(t->message)))
            fail_msg("%s: exception \"%.*s\": \"%.*s\"", t->name,
                     STR_ARG(attr(r, "exception.type")), STR_ARG(attr(r, "exception.message")));
        assert_int_equal(p.st.multi_line_records, 1);
        release(&p);
    }
}

static void multi_line_second_line_has_level_and_text(void **state) {
    (void)state;
    parsed p;
    parse_text(&p,
               S("Nov 20, 2026 10:30:45 AM org.apache.catalina.core.StandardService startInternal\n"
                 "INFO: Starting service [Catalina]\n"
                 "Nov 20, 2026 10:30:46 AM org.apache.coyote.AbstractProtocol start\n"
                 "SEVERE: Failed to bind\n"),
               "auto");
    assert_int_equal(p.b.count, 2);
    expect_str(p.b.rec[0].body, "Starting service [Catalina]");
    assert_int_equal(p.b.rec[0].severity, SEV_INFO);
    expect_str(p.b.rec[1].body, "Failed to bind");
    assert_int_equal(p.b.rec[1].severity, SEV_ERROR);
    release(&p);
}

static void multi_line_records_have_a_maximum(void **state) {
    (void)state;
    buf t;
    buf_init(&t, 1 << 20);
    buf_put(&t, S("2026-11-20 10:30:45 INFO first\n"));
    for (int i = 0; i < 2500; i++) buf_put(&t, S("  wrapped text\n"));
    parsed p;
    parse_text(&p, buf_str(&t), "auto");
    assert_int_equal(p.b.count, 3);
    assert_int_equal(p.b.rec[0].line_count, LOG_RECORD_LINES_MAX);
    assert_int_equal(p.b.rec[1].line_count, LOG_RECORD_LINES_MAX);
    assert_int_equal(p.b.rec[2].line_count, 2501 - 2 * LOG_RECORD_LINES_MAX);
    release(&p);
    buf_release(&t);
}

/* ---- fields ---- */

static void access_fields_become_attributes(void **state) {
    (void)state;
    parsed p;
    parse_text(
        &p,
        S("1.2.3.4 - frank [10/Oct/2000:13:55:36 -0700] \"GET /a.gif?x=1 HTTP/1.0\" 200 2326 "
          "\"http://ref/\" \"Mozilla/4.08 [en] (\\\"Win98\\\")\" 0.012\n"
          "shop.example:443 10.0.0.1 - - [10/Oct/2000:13:55:37 -0700] \"POST /o HTTP/1.1\" "
          "503 - \"-\" \"curl/8\" rt=1.5 uct=\"0.2\"\n"
          "::1 - - [10/Oct/2000:13:55:38 -0700] \"\\x16\\x03\" 400 0\n"),
        "auto");
    assert_int_equal(p.b.count, 3);
    const log_record *r = &p.b.rec[0];
    assert_int_equal(r->ts_ns, INT64_C(971211336) * 1000000000);
    assert_int_equal(r->severity, SEV_INFO);
    expect_str(attr(r, "client.address"), "1.2.3.4");
    expect_str(attr(r, "user.name"), "frank");
    expect_str(attr(r, "http.request.method"), "GET");
    expect_str(attr(r, "url.path"), "/a.gif");
    expect_str(attr(r, "url.query"), "x=1");
    expect_str(attr(r, "http.response.status_code"), "200");
    expect_str(attr(r, "http.response.body.size"), "2326");
    expect_str(attr(r, "duration"), "0.012");
    assert_true(str_starts(r->body, S("\"GET /a.gif?x=1 HTTP/1.0\" 200 2326")));
    r = &p.b.rec[1];
    assert_int_equal(r->severity, SEV_ERROR);
    expect_str(attr(r, "client.address"), "10.0.0.1");
    expect_str(attr(r, "rt"), "1.5");
    expect_str(attr(r, "uct"), "0.2");
    assert_null(attr(r, "http.response.body.size").p);
    assert_int_equal(p.b.rec[2].severity, SEV_WARN);
    release(&p);
}

static void syslog_5424_fields(void **state) {
    (void)state;
    parsed p;
    parse_text(&p,
               S("<165>1 2003-10-11T22:14:15.003Z host.example evntslog 77 ID47 "
                 "[ex@32473 iut=\"3\" src=\"App \\\"x\\\"\"][b@1 k=\"v\"] \xef\xbb\xbf"
                 "An application event\n"
                 "<34>1 - - su - - - 'su root' failed\n"
                 "<34>1 2003-10-11T22:14:15Z h a - - [broken text\n"),
               "auto");
    assert_int_equal(p.b.count, 3);
    const log_record *r = &p.b.rec[0];
    assert_int_equal(r->severity, SEV_INFO2);
    expect_str(r->host, "host.example");
    expect_str(r->service, "evntslog");
    expect_str(r->body, "An application event");
    expect_str(attr(r, "process.pid"), "77");
    expect_str(attr(r, "syslog.msg.id"), "ID47");
    expect_str(attr(r, "ex@32473.iut"), "3");
    expect_str(attr(r, "ex@32473.src"), "App \"x\"");
    expect_str(attr(r, "b@1.k"), "v");
    r = &p.b.rec[1];
    assert_int_equal(r->ts_ns, TS_NONE);
    assert_int_equal(r->host.n, 0);
    expect_str(r->service, "su");
    expect_str(r->body, "'su root' failed");
    expect_str(p.b.rec[2].body, "[broken text");
    assert_int_equal(p.st.records_without_time, 1);
    release(&p);
}

/* `text` with n for each '@'. */
static void put_numbered(buf *out, const char *text, int n) {
    for (; *text; text++) {
        if (*text == '@')
            buf_fmt(out, "%02d", n);
        else
            buf_putc(out, *text);
    }
}

/* A log of one statement: nothing of it looks like a column only because it never changes. */
static void one_statement_is_no_header(void **state) {
    (void)state;
    static const struct {
        const char *front, *message;
    } cases[] = {
        {"2026-11-20 10:30:@ ERROR ", "connection failed: timeout after @ ms"},
        {"2026-11-20 10:30:@ ERROR ", "worker failed (code @) on host"},
        {"2026-11-20 10:30:@ INFO ", "request from [10.0.0.@] is done"},
        {"2026-11-20 10:30:@ ", "job @: ok"},
        {"2026-11-20 10:30:@ INFO ", "user logged in - id=@"},
        {"2026/11/20 10:30:@ [error] 31#31: ",
         "*@ connect() failed (111: Connection refused) while connecting to upstream"},
    };
    enum { LINES = 60 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf t;
        buf_init(&t, 1 << 20);
        for (int n = 0; n < LINES; n++) {
            put_numbered(&t, cases[i].front, n);
            put_numbered(&t, cases[i].message, n);
            buf_putc(&t, '\n');
        }
        parsed p;
        parse_text(&p, buf_str(&t), "auto");
        assert_int_equal(p.b.count, LINES);
        buf_reset(&t);
        put_numbered(&t, cases[i].message, 7);
        buf_putc(&t, '\0');
        expect_str(p.b.rec[7].body, t.p);
        release(&p);
        buf_release(&t);
    }
}

static void header_inside_containers(void **state) {
    (void)state;
    parsed p;
    parse_text(
        &p,
        S("2026-11-20T10:30:45.1Z stdout F 2026-11-20 10:30:45,100 INFO [main] a.B - started\n"
          "2026-11-20T10:30:45.2Z stdout F 2026-11-20 10:30:45,200 ERROR [main] a.B - failed\n"
          "2026-11-20T10:30:45.2Z stdout F java.lang.IllegalStateException: x\n"
          "2026-11-20T10:30:45.2Z stdout F \tat a.B.c(B.java:1)\n"
          "2026-11-20T10:30:45.3Z stdout F 2026-11-20 10:30:45,300 INFO [main] a.B - next\n"),
        "auto");
    assert_int_equal(p.b.count, 3);
    expect_str(p.b.rec[0].body, "started");
    expect_str(p.b.rec[0].component, "a.B");
    assert_int_equal(p.b.rec[1].severity, SEV_ERROR);
    expect_str(p.b.rec[1].body, "failed");
    expect_str(p.b.rec[2].body, "next");
    release(&p);
}

static void levels_in_front_of_messages_count(void **state) {
    (void)state;
    parsed p;
    parse_text(&p,
               S("Jun 14 15:16:01 h sshd[1]: error: PAM: failed\n"
                 "Jun 14 15:16:02 h sshd[1]: fine weather today\n"
                 "Jun 14 15:16:03 h app[2]: [WARN] slow\n"
                 "Jun 14 15:16:04 h app[2]: ERROR no stock\n"
                 "Jun 14 15:16:05 h app[2]: errors were seen\n"),
               "auto");
    static const severity WANT[] = {SEV_ERROR, SEV_NONE, SEV_WARN, SEV_ERROR, SEV_NONE};
    assert_int_equal(p.b.count, ARRAY_LEN(WANT));
    for (size_t i = 0; i < p.b.count; i++) assert_int_equal(p.b.rec[i].severity, WANT[i]);
    expect_str(p.b.rec[0].body, "error: PAM: failed");
    release(&p);
    parse_text(&p, S("hello\nFATAL: out of paper\nbye\n"), "auto");
    assert_int_equal(p.b.rec[1].severity, SEV_FATAL);
    release(&p);
}

static void structured_messages_behind_a_header(void **state) {
    (void)state;
    parsed p;
    parse_text(&p,
               S("2026-11-20T10:30:45.1Z {\"level\":\"error\",\"msg\":\"from json\",\"user\":7}\n"
                 "2026-11-20T10:30:46.1Z {\"level\":\"info\",\"msg\":\"again\",\"user\":8}\n"
                 "2026-11-20T10:30:47.1Z plain text\n"
                 "2026-11-20T10:30:48.1Z level=warn msg=\"from logfmt\" user=9\n"),
               "auto");
    assert_int_equal(p.b.count, 4);
    expect_str(p.b.rec[0].body, "from json");
    assert_int_equal(p.b.rec[0].severity, SEV_ERROR);
    assert_int_equal(p.b.rec[0].ts_ns, NOW + INT64_C(100000000));
    expect_str(attr(&p.b.rec[0], "user"), "7");
    expect_str(p.b.rec[2].body, "plain text");
    expect_str(p.b.rec[3].body, "from logfmt");
    assert_int_equal(p.b.rec[3].severity, SEV_WARN);
    release(&p);
}

static void prefixed_lines_name_their_container(void **state) {
    (void)state;
    parsed p;
    parse_text(&p,
               S("web-1    | {\"level\":\"error\",\"msg\":\"from json\"}\n"
                 "cache-1  | 1:M 20 Nov 2026 10:30:45.123 * Ready to accept connections\n"
                 "web-1    | {\"level\":\"info\",\"msg\":\"again\"}\n"
                 "cache-1  | 1:M 20 Nov 2026 10:30:46.123 # out of memory\n"
                 "app-1    | Traceback (most recent call last):\n"
                 "app-1    |   File \"a.py\", line 1, in <module>\n"
                 "web-1    | {\"level\":\"info\",\"msg\":\"done\"}\n"),
               "auto");
    assert_true(str_starts(log_format_describe(p.f), S("prefixed")));
    assert_int_equal(p.b.count, 6);
    expect_str(p.b.rec[0].service, "web");
    expect_str(p.b.rec[0].body, "from json");
    expect_str(p.b.rec[1].service, "cache");
    expect_str(p.b.rec[1].body, "Ready to accept connections");
    assert_int_equal(p.b.rec[3].severity, SEV_WARN);
    assert_int_equal(p.b.rec[4].line_count, 2);
    release(&p);
}

static void mixed_files_have_two_formats(void **state) {
    (void)state;
    parsed p;
    parse_text(&p,
               S("2026-11-20 10:30:45,100 INFO [main] a.B - started\n"
                 "2026-11-20 10:30:46,100 WARN [main] a.B - slow\n"
                 "{\"ts\":\"2026-11-20T10:30:47Z\",\"level\":\"error\",\"msg\":\"from json\"}\n"
                 "{\"ts\":\"2026-11-20T10:30:48Z\",\"level\":\"info\",\"msg\":\"again\"}\n"
                 "2026-11-20 10:30:49,100 INFO [main] a.B - going on\n"
                 "{\"ts\":\"2026-11-20T10:30:50Z\",\"level\":\"info\",\"msg\":\"third\"}\n"
                 "2026-11-20 10:30:51,100 INFO [main] a.B - done\n"),
               "auto");
    assert_int_equal(p.b.count, 7);
    expect_str(p.b.rec[1].body, "slow");
    expect_str(p.b.rec[2].body, "from json");
    assert_int_equal(p.b.rec[2].severity, SEV_ERROR);
    expect_str(p.b.rec[6].body, "done");
    release(&p);
}

/* ---- damaged input ---- */

static void damage_is_counted(void **state) {
    (void)state;
    static const char text[] = "\xef\xbb\xbf"
                               "2026-11-20 10:30:45 INFO one\r\n"
                               "2026-11-20 10:30:46 INFO t\xff"
                               "wo\r\n"
                               "\r\n"
                               "2026-11-20 10:30:47 INFO th\0ree\r\n"
                               "2026-11-20 10:30:40 INFO fo\xc3\xbcr";
    parsed p;
    parse_text(&p, str_make(text, sizeof text - 1), "auto");
    assert_int_equal(p.b.count, 4);
    expect_str(p.b.rec[0].body, "one");
    assert_int_equal(p.b.rec[0].ref.offset, 3);
    assert_int_equal(p.b.rec[2].body.n, 6);
    assert_int_equal(p.b.rec[3].ref.line, 5);
    assert_int_equal(p.st.lines, 5);
    assert_int_equal(p.st.records, 4);
    assert_int_equal(p.st.invalid_utf8_lines, 1);
    assert_int_equal(p.st.nul_lines, 1);
    assert_int_equal(p.st.out_of_order, 1);
    assert_int_equal(p.st.first_ns, INT64_C(1795170640) * 1000000000);
    assert_int_equal(p.st.last_ns, INT64_C(1795170647) * 1000000000);
    release(&p);
}

static void long_lines_are_cut(void **state) {
    (void)state;
    buf t;
    buf_init(&t, 1 << 20);
    buf_put(&t, S("2026-11-20 10:30:45 INFO "));
    buf_pad(&t, 'x', 5000);
    buf_put(&t, S("\n2026-11-20 10:30:46 INFO short\n"));
    const log_format_opts opts = {.max_line_bytes = 1000, .now_ns = NOW};
    log_format *f;
    assert_int_equal(log_format_detect(buf_str(&t), &opts, &f, NULL), RC_OK);
    log_batch b;
    log_batch_init(&b);
    log_parse_stats st = {0};
    size_t used;
    assert_int_equal(log_format_parse(f, buf_str(&t), 0, 1, &b, &st, &used, NULL), RC_OK);
    assert_int_equal(b.count, 2);
    assert_int_equal(b.rec[0].body.n, 1000 - 25);
    assert_int_equal(b.rec[0].raw.n, 5025);
    assert_int_equal(st.cut_lines, 1);
    log_batch_release(&b);
    log_format_free(f);
    buf_release(&t);
}

static void full_batch_stops_at_a_record(void **state) {
    (void)state;
    buf t;
    buf_init(&t, 16 << 20);
    size_t records = BATCH_RECORDS + 10;
    for (size_t i = 0; i < records; i++) {
        buf_fmt(&t, "2026-11-20 10:30:45 INFO line %zu\n", i);
        if (i == BATCH_RECORDS - 1) buf_put(&t, S("\tat a.b(C.java:1)\n"));
    }
    log_format *f = detect(buf_str(&t), "auto");
    log_batch b;
    log_batch_init(&b);
    log_parse_stats st = {0};
    size_t used, used2;
    assert_int_equal(log_format_parse(f, buf_str(&t), 0, 1, &b, &st, &used, NULL), RC_OK);
    assert_int_equal(b.count, BATCH_RECORDS);
    assert_int_equal(b.rec[BATCH_RECORDS - 1].line_count, 2);
    assert_true(used < t.n);
    uint64_t line = st.lines + 1;
    log_batch_reset(&b);
    assert_int_equal(
        log_format_parse(f, str_from(buf_str(&t), used), used, line, &b, &st, &used2, NULL), RC_OK);
    assert_int_equal(used + used2, t.n);
    assert_int_equal(b.count, 10);
    assert_int_equal(b.rec[0].ref.line, BATCH_RECORDS + 2);
    assert_int_equal(st.records, records);
    log_batch_release(&b);
    log_format_free(f);
    buf_release(&t);
}

/* ---- properties ---- */

static void dump_records(const log_batch *b, buf *out) {
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        buf_fmt(out, "%" PRIu64 "+%u line %" PRIu64 " x%u sev %u ts %" PRId64 " [%.*s|%.*s|%.*s] ",
                r->ref.offset, r->ref.bytes, r->ref.line, r->line_count, r->severity, r->ts_ns,
                STR_ARG(r->service), STR_ARG(r->component), STR_ARG(r->host));
        buf_put(out, r->body);
        for (uint32_t k = 0; k < r->attr_count; k++)
            buf_fmt(out, " %.*s=%.*s", STR_ARG(r->attrs[k].key), STR_ARG(r->attrs[k].val));
        buf_putc(out, '\n');
    }
}

/* Raw texts are in order, apart, and what lies between them is white space. */
static void check_cover(str text, const log_batch *b, size_t from, size_t to) {
    size_t at = from;
    if (at == 0 && str_starts(text, S("\xef\xbb\xbf"))) at = 3;
    for (size_t i = 0; i <= b->count; i++) {
        size_t next = i < b->count ? b->rec[i].ref.offset : to;
        assert_true(next >= at && next <= to);
        assert_int_equal(str_trim(str_sub(text, at, next - at)).n, 0);
        if (i == b->count) break;
        assert_ptr_equal(b->rec[i].raw.p, text.p + next);
        at = next + b->rec[i].ref.bytes;
        assert_true(at <= to);
    }
}

/* As a reader does it: blocks of `block` bytes (0: random sizes), cut at boundaries, the rest
 * joined to the next. */
static void parse_in_blocks(const log_format *f, str text, size_t block, rng *random, bool cover,
                            buf *out) {
    log_batch b;
    log_batch_init(&b);
    log_parse_stats st = {0};
    size_t at = 0, want = 0;
    while (at < text.n) {
        want += block ? block : 1 + rng_below(random, 200);
        str chunk = str_sub(text, at, want);
        bool last = at + chunk.n == text.n;
        size_t whole = last ? chunk.n : log_format_boundary(f, chunk);
        assert_true(whole <= chunk.n);
        if (whole == 0) continue; /* read more */
        want = 0;
        for (size_t end = at + whole; at < end;) {
            size_t used;
            err e = {0};
            rc code = log_format_parse(f, str_sub(text, at, end - at), at, st.lines + 1, &b, &st,
                                       &used, &e);
            if (code != RC_OK) fail_msg("%s", e.msg);
            assert_true(used > 0);
            if (cover) check_cover(text, &b, at, at + used);
            dump_records(&b, out);
            at += used;
            log_batch_reset(&b);
        }
    }
    log_batch_release(&b);
}

static void check_blocks(str text, rng *random, bool cover) {
    log_format *f = detect(text, "auto");
    buf whole, parts;
    buf_init(&whole, DUMP_MAX);
    buf_init(&parts, DUMP_MAX);
    parse_in_blocks(f, text, text.n ? text.n : 1, NULL, cover, &whole);
    for (int i = 0; i < 20; i++) {
        buf_reset(&parts);
        parse_in_blocks(f, text, i < 2 ? (size_t)i + 1 : 0, random, cover, &parts);
        if (!str_eq(buf_str(&whole), buf_str(&parts)))
            fail_msg("format %.*s, run %d:\n%.*s\nbut at once:\n%.*s",
                     STR_ARG(log_format_describe(f)), i, STR_ARG(buf_str(&parts)),
                     STR_ARG(buf_str(&whole)));
    }
    buf_release(&whole);
    buf_release(&parts);
    log_format_free(f);
}

static void check_chunking(str text, rng *random) { check_blocks(text, random, true); }

static const char *const CHUNK_TEXTS[] = {
    "",
    "\n\n",
    "one line without newline",
    "a\n\nb\n\n\nc\n",
    "  all\n  lines\n  indented\n",
    "\xef\xbb\xbf"
    "2026-11-20 10:30:45 INFO one\r\n\r\n  more\r\n2026-11-20 10:30:46 INFO two\r\n",
    "1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\nnoise\n"
    "1.2.3.4 - - [10/Oct/2000:13:55:37 -0700] \"GET / HTTP/1.0\" 200 2326\n",
    "time=2026-11-20T10:30:45Z level=info msg=hi\ntime=2026-11-20T10:30:46Z level=info msg=\"x "
    "y\"\n",
    "{\"ts\":\"2026-11-20T10:30:45Z\",\"level\":\"info\",\"msg\":\"a\"}\n"
    "Exception in thread \"main\" a.FooException\n\tat x\n\tat y\n"
    "{\"ts\":\"2026-11-20T10:30:46Z\",\"level\":\"info\",\"msg\":\"b\"}\nplain\n\n"
    "{\"ts\":\"2026-11-20T10:30:47Z\",\"level\":\"info\",\"msg\":\"c\"}\n",
    "<34>1 - - su - - - 'su root' failed\n<34>1 - - su - - - again\n",
    "info: Some.Class[0]\n      text one\ninfo: Some.Class[1]\n      text two\n      more\n",
};

/* Formats whose records need not cover the text: only the same records from any blocks. */
static void objects_do_not_depend_on_blocks(void **state) {
    (void)state;
#define OBJ(second, text)                                                                          \
    "{\"time\":\"2026-11-20T10:00:0" #second "Z\",\"level\":\"info\",\"msg\":\"" text "\"}"
#define FRAME(text) "{\"time\":\"2026-11-20T10:00:05Z\",\"msg\":\"\\tat a.b.C(" text ")\"}"
    static const char *const TEXTS[] = {
        /* objects broken over lines, damage between them: read on from the next line */
        "{\"time\":\"2026-11-20T10:00:00Z\",\n \"msg\":\"one\"}\n2026 damage, to its line's end\n"
        "{\"time\":\"2026-11-20T10:00:01Z\",\"msg\" oops}\n" OBJ(2, "two") "\nend, no newline",
        /* an envelope with a tail */
        "{\"events\":[\n" OBJ(1, "a") ",\n" OBJ(2, "b") "\n]\n,\"nextToken\":\"x\"}\n"
                                                        "{\"events\":[" OBJ(3, "c") "]}\n",
        /* frames in objects of their own join, in arrays and line by line */
        "[\n" OBJ(1, "a.FooError: x") ",\n" FRAME("1") ",\n" FRAME("2") ",\n" OBJ(
            2, "b") ",\n" FRAME("3") "\n]\n",
        OBJ(1, "a.FooError: x") "\n\tat text\n" FRAME("1") "\n" FRAME("2") "\n" OBJ(
            2, "b") "\n"
                    "{\"MESSAGE\":\"c\",\"level\":\"info\"}\n" OBJ(3, "d") "\n",
        "{\"__REALTIME_TIMESTAMP\":\"1795170645000000\",\"MESSAGE\":\"a.FooError: x\"}\n"
        "{\"__REALTIME_TIMESTAMP\":\"1795170645000001\",\"MESSAGE\":\"\\tat a.b.C(1)\"}\n"
        "{\"__REALTIME_TIMESTAMP\":\"1795170645000002\",\"MESSAGE\":\"\\tat a.b.C(2)\"}\n",
        /* text with a header, then damaged objects, which continue it */
        "2026-11-20 10:00:00 INFO one\n" OBJ(
            1,
            "a") "\n2026-11-20 10:00:01 INFO two\n"
                 "{\"time\":\"2026-11-20T10:00:01Z\",\"msg\" oops}\n{]\n2026-11-20 10:00:02 INFO "
                 "three\n" OBJ(3, "b") "\n{bad}\n" OBJ(4, "c") "\n2026-11-20 10:00:05 INFO four\n",
    };
    rng random;
    rng_init(&random, 20261121);
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) check_blocks(str_c(TEXTS[i]), &random, false);
    buf t; /* a full batch ends behind the frames of its last record */
    buf_init(&t, 1 << 20);
    for (int n = 1; n < BATCH_RECORDS; n++) buf_put(&t, S(OBJ(1, "a") "\n"));
    buf_put(&t, S(OBJ(2, "a.FooError: x") "\n" FRAME("1") "\n" FRAME("2") "\n" OBJ(3, "b") "\n"));
    log_format *f = detect(buf_str(&t), "json");
    log_batch batch;
    log_batch_init(&batch);
    log_parse_stats st = {0};
    size_t used;
    assert_int_equal(log_format_parse(f, buf_str(&t), 0, 1, &batch, &st, &used, NULL), RC_OK);
    assert_int_equal(batch.count, BATCH_RECORDS);
    assert_int_equal(batch.rec[BATCH_RECORDS - 1].line_count, 3);
    assert_true(str_eq(str_from(buf_str(&t), used), S(OBJ(3, "b") "\n")));
    log_batch_release(&batch);
    log_format_free(f);
    buf_release(&t);
#undef OBJ
#undef FRAME
}

static void chunking_changes_nothing(void **state) {
    (void)state;
    rng random;
    rng_init(&random, 20261120);
    for (size_t i = 0; i < ARRAY_LEN(TRACES); i++) check_chunking(str_c(TRACES[i].text), &random);
    for (size_t i = 0; i < ARRAY_LEN(CHUNK_TEXTS); i++)
        check_chunking(str_c(CHUNK_TEXTS[i]), &random);
    /* Random mixtures of lines of all the texts above. */
    for (int round = 0; round < 200; round++) {
        buf t;
        buf_init(&t, 1 << 20);
        for (int piece = 0; piece < 12; piece++) {
            size_t k = rng_below(&random, ARRAY_LEN(TRACES));
            str rest = str_c(TRACES[k].text), line;
            size_t skip = rng_below(&random, 6), take = rng_below(&random, 6);
            for (size_t n = 0; n < skip + take && rest.n && str_next(&rest, '\n', &line); n++) {
                if (n < skip) continue;
                buf_put(&t, line);
                buf_putc(&t, '\n');
            }
        }
        check_chunking(buf_str(&t), &random);
        buf_release(&t);
    }
}

/* Text without a further start must not make a reader gather all of it. */
static void boundaries_come_in_any_text(void **state) {
    (void)state;
    static const char *const FIRST[] = {
        "2026-11-20 10:30:45 INFO first\n",
        "{\"ts\":\"2026-11-20T10:30:45Z\",\"level\":\"info\",\"msg\":\"a\"}\n",
        "starting\n",
        "1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\n",
    };
    static const char *const FILL[] = {"  indented text\n", "\tat a.b.C(D.java:1)\n",
                                       "text at the margin\n", "\n  x\n", "\n"};
    for (size_t i = 0; i < ARRAY_LEN(FIRST); i++) {
        for (size_t k = 0; k < ARRAY_LEN(FILL); k++) {
            buf t;
            buf_init(&t, 1 << 20);
            for (int n = 0; n < 5; n++) buf_put(&t, str_c(FIRST[i]));
            log_format *f = detect(buf_str(&t), "auto");
            for (int n = 0; n < 5000; n++) buf_put(&t, str_c(FILL[k]));
            str text = buf_str(&t);
            /* The first answer may be the last sure start; the second one is behind it. */
            size_t at = log_format_boundary(f, text);
            at += log_format_boundary(f, str_from(text, at));
            assert_true(text.n - at < 2 * LOG_RECORD_LINES_MAX * strlen(FILL[k]));
            buf whole, parts;
            buf_init(&whole, DUMP_MAX);
            buf_init(&parts, DUMP_MAX);
            parse_in_blocks(f, text, text.n, NULL, true, &whole);
            parse_in_blocks(f, text, 6000, NULL, true, &parts);
            assert_true(str_eq(buf_str(&whole), buf_str(&parts)));
            buf_release(&whole);
            buf_release(&parts);
            buf_release(&t);
            log_format_free(f);
        }
    }
}

/* Blank lines by the hundred thousand: each is looked at once, and they end up in no record. */
static void blank_lines_cost_nothing(void **state) {
    (void)state;
    enum { BLANK_LINES = 1 << 19 };
    log_format *f = detect(S("2026-11-20 10:30:45 INFO first\n"), "auto");
    buf t;
    buf_init(&t, 2 * BLANK_LINES);
    for (int n = 0; n < BLANK_LINES; n++) buf_putc(&t, '\n');
    assert_int_equal(log_format_boundary(f, buf_str(&t)), BLANK_LINES);
    buf_put(&t, S("2026-11-20 10:30:46 INFO second\n"));
    assert_int_equal(log_format_boundary(f, buf_str(&t)), BLANK_LINES);
    buf_release(&t);
    log_format_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_is_found_by_looking),
        cmocka_unit_test(format_may_be_named),
        cmocka_unit_test(format_refuses_binary),
        cmocka_unit_test(format_content_only_keeps_lines),
        cmocka_unit_test(multi_line_traces_are_one_record),
        cmocka_unit_test(multi_line_second_line_has_level_and_text),
        cmocka_unit_test(multi_line_records_have_a_maximum),
        cmocka_unit_test(access_fields_become_attributes),
        cmocka_unit_test(syslog_5424_fields),
        cmocka_unit_test(one_statement_is_no_header),
        cmocka_unit_test(header_inside_containers),
        cmocka_unit_test(levels_in_front_of_messages_count),
        cmocka_unit_test(structured_messages_behind_a_header),
        cmocka_unit_test(prefixed_lines_name_their_container),
        cmocka_unit_test(mixed_files_have_two_formats),
        cmocka_unit_test(damage_is_counted),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(full_batch_stops_at_a_record),
        cmocka_unit_test(chunking_changes_nothing),
        cmocka_unit_test(objects_do_not_depend_on_blocks),
        cmocka_unit_test(boundaries_come_in_any_text),
        cmocka_unit_test(blank_lines_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
