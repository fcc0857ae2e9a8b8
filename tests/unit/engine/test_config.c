#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/config.h"
#include "sys/fs.h"

static config *load(const char *yaml) {
    config *c = NULL;
    err e = {0};
    rc code = config_load(str_c(yaml), S("f.yaml"), &c, &e);
    if (code != RC_OK) print_message("%s\n", e.msg);
    assert_int_equal(code, RC_OK);
    return c;
}

static void refused(const char *yaml, const char *msg, const char *hint) {
    config *c = NULL;
    err e = {0};
    assert_int_equal(config_load(str_c(yaml), S("f.yaml"), &c, &e), RC_INVALID);
    assert_string_equal(e.msg, msg);
    if (hint) assert_string_equal(e.hint, hint);
}

static void config_empty_file_is_the_defaults(void **state) {
    (void)state;
    const char *files[] = {"", "# nothing\n", "listen:\n", "{}", "data:\n  dir:\n"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        config *c = load(files[i]);
        str host;
        uint16_t port;
        assert_true(config_address(c, "listen.otlp_grpc", &host, &port));
        assert_true(str_eq(host, S("127.0.0.1")) && port == 4317);
        assert_false(config_address(c, "listen.syslog_udp", &host, &port));
        assert_int_equal(config_int(c, "retention.hot_days"), 30);
        assert_int_equal(config_bytes(c, "limits.body"), 64 << 20);
        assert_true(config_duration_ns(c, "limits.idle_timeout") == INT64_C(120) * 1000000000);
        assert_true(str_eq(config_text(c, "data.dir"), S("faultline-data")));
        err e = {0};
        assert_int_equal(config_check(c, &e), RC_OK);
        config_free(c);
    }
}

static void config_reads_every_kind(void **state) {
    (void)state;
    config *c = load("listen:\n  api: \"[::1]:0\"\n  otlp_grpc: off\n"
                     "tls:\n  api: {cert: a.pem, key: b.pem}\n"
                     "auth: {allow_anonymous: true, tokens: [a, 'b:c']}\n"
                     "limits: {memory: 1GiB, body_timeout: 1h, jobs: 16}\n"
                     "tail: {paths: /var/log/x.log}\n"
                     "log.level: debug\n");
    str host;
    uint16_t port;
    const str *list;
    assert_true(config_address(c, "listen.api", &host, &port));
    assert_true(str_eq(host, S("::1")) && port == 0 && config_is_loopback(host));
    assert_false(config_address(c, "listen.otlp_grpc", &host, &port));
    assert_true(str_eq(config_text(c, "tls.api.cert"), S("a.pem")));
    assert_true(config_bool(c, "auth.allow_anonymous"));
    assert_int_equal(config_list(c, "auth.tokens", &list), 2);
    assert_true(str_eq(list[1], S("b:c")));
    assert_true(config_bytes(c, "limits.memory") == UINT64_C(1) << 30);
    assert_int_equal(config_int(c, "limits.jobs"), 16);
    assert_int_equal(config_list(c, "tail.paths", &list), 1);
    assert_true(str_eq(config_text(c, "log.level"), S("debug")));
    config_free(c);
}

static void config_mistakes_name_place_and_cure(void **state) {
    (void)state;
    refused("listen:\n  otlp_htpp: x\n", "f.yaml:2:3: unknown key 'listen.otlp_htpp'",
            "did you mean 'listen.otlp_http'?");
    refused("retension:\n  hot_days: 3\n", "f.yaml:1:1: unknown key 'retension'", NULL);
    refused("limits: {body: huge}\n",
            "f.yaml:1:16: limits.body: 'huge' is not a size such as 64MiB", NULL);
    refused("retention: {hot_days: 0}", "f.yaml:1:23: retention.hot_days: 0 is not within 1..36500",
            NULL);
    refused("log: {level: wrn}",
            "f.yaml:1:14: log.level: 'wrn' is not one of error|warn|info|debug",
            "did you mean 'warn'?");
    refused("listen: {api: 7070}", "f.yaml:1:15: listen.api: '7070' is not an address", NULL);
    refused("listen: {api: a:70700}", "f.yaml:1:15: listen.api: 'a:70700' is not an address", NULL);
    refused("listen: 3", "f.yaml:1:9: 'listen' is a section", NULL);
    refused("- a\n- b", "f.yaml:1:1: the file must hold 'section:' lines", NULL);
    refused("data: {dir: a, dir: b}", "f.yaml:1:16: 'data.dir' stands here twice", NULL);
    refused("data: {dir: [a]}", "f.yaml:1:13: data.dir: one value is wanted", NULL);
    refused("auth: {tokens: [[a]]}", "f.yaml:1:17: auth.tokens: an entry must be a text", NULL);
    refused("self: {logs: yes}", "f.yaml:1:14: self.logs: 'yes' is neither true nor false", NULL);
    config *c;
    err e = {0};
    assert_int_equal(config_load(S("a: [\n"), S("f.yaml"), &c, &e), RC_INVALID);
    assert_true(str_starts(str_c(e.msg), S("f.yaml:2:1: ")));
}

static void config_references_are_replaced_and_not_printed(void **state) {
    (void)state;
    char path[] = "/tmp/fl-config-XXXXXX";
    int fd = mkstemp(path);
    err e = {0};
    assert_int_equal(SYS_FS_REAL.ops->write(NULL, fd, "c0ffee\n", 7, &e), RC_OK);
    assert_int_equal(setenv("FL_TEST_DIR", "very/secret", 1), 0);
    buf yaml, out;
    buf_init(&yaml, 4096);
    buf_init(&out, 1 << 16);
    buf_fmt(&yaml,
            "data: {dir: \"/x/${env:FL_TEST_DIR}/y\", cold_dir: \"a$${b\"}\n"
            "auth: {tokens: [\"n:read:${file:%s}\"]}\n",
            path);
    config *c;
    assert_int_equal(config_load(buf_str(&yaml), S("f.yaml"), &c, &e), RC_OK);
    const str *list;
    assert_true(str_eq(config_text(c, "data.dir"), S("/x/very/secret/y")));
    assert_true(str_eq(config_text(c, "data.cold_dir"), S("a${b")));
    assert_int_equal(config_list(c, "auth.tokens", &list), 1);
    assert_true(str_eq(list[0], S("n:read:c0ffee")));
    assert_true(config_put(c, false, &out));
    assert_false(str_has(buf_str(&out), S("secret")));
    assert_false(str_has(buf_str(&out), S("c0ffee")));
    assert_true(str_has(buf_str(&out), S("${env:FL_TEST_DIR}")));
    config_free(c);
    IGNORE(SYS_FS_REAL.ops->close(NULL, fd, NULL)); /* a test's own file */
    IGNORE(SYS_FS_REAL.ops->unlink(NULL, str_c(path), NULL));
    refused("data: {dir: \"${env:FL_TEST_UNSET_VARIABLE}\"}",
            "f.yaml:1:13: data.dir: ${env:FL_TEST_UNSET_VARIABLE}: the variable is not set", NULL);
    refused("data: {dir: \"${env:X\"}",
            "f.yaml:1:13: data.dir: '${' without '}'; write $${ for the text itself", NULL);
    refused("data: {dir: \"${x}\"}",
            "f.yaml:1:13: data.dir: ${x}: a reference is ${env:NAME} or ${file:PATH}", NULL);
    buf_release(&out);
    buf_release(&yaml);
}

static void config_printed_loads_back_equal(void **state) {
    (void)state;
    const char *files[] = {"",
                           "listen: {api: \"[::1]:1\"}\ntls: {syslog: {cert: none}}\n"
                           "data: {dir: \"a \\\"b\\\" \\n: #c\"}\nauth: {tokens: [\"x: y\", z]}\n"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        for (int help = 0; help < 2; help++) {
            config *a = load(files[i]);
            buf one, two;
            buf_init(&one, 1 << 18);
            buf_init(&two, 1 << 18);
            assert_true(config_put(a, help, &one));
            buf_putc(&one, '\n');
            config *b = load(buf_c(&one));
            assert_true(config_put(b, help, &two));
            buf_putc(&two, '\n');
            assert_true(str_eq(buf_str(&one), buf_str(&two)));
            assert_int_equal(config_needs_restart(a, b).n, 0);
            config_free(a);
            config_free(b);
            buf_release(&one);
            buf_release(&two);
        }
    }
}

static void config_set_overrides(void **state) {
    (void)state;
    config *c = load("listen: {api: \"127.0.0.1:1\"}");
    config *before = load("");
    err e = {0};
    const str *list;
    assert_int_equal(config_set(c, S("listen.api"), S("[::1]:9"), &e), RC_OK);
    assert_true(str_eq(config_text(c, "listen.api"), S("[::1]:9")));
    assert_true(str_eq(config_needs_restart(before, c), S("listen.api")));
    assert_int_equal(config_set(c, S("tail.paths"), S("[a, 'b c']"), &e), RC_OK);
    assert_int_equal(config_list(c, "tail.paths", &list), 2);
    assert_int_equal(config_set(c, S("tail.paths"), S("/var/*.log"), &e), RC_OK);
    assert_int_equal(config_list(c, "tail.paths", &list), 1);
    assert_int_equal(config_set(c, S("tail.paths"), S(""), &e), RC_OK);
    assert_int_equal(config_list(c, "tail.paths", &list), 0);
    assert_int_equal(config_set(c, S("tail.path"), S("x"), &e), RC_INVALID);
    assert_string_equal(e.hint, "did you mean 'tail.paths'?");
    assert_int_equal(config_set(c, S("limits.body"), S("1"), &e), RC_INVALID);
    assert_int_equal(config_bytes(c, "limits.body"), 64 << 20); /* untouched */
    config_free(before);
    config_free(c);
}

#define HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
static void config_check_sees_what_one_key_cannot(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *msg; /* NULL: fine */
    } CASES[] = {
        {"listen: {api: \":7070\"}",
         "listen.api :7070 is open to other machines and auth.tokens is empty"},
        {"listen: {api: \":7070\"}\nauth: {allow_anonymous: true}", NULL},
        {"listen: {api: \":7070\"}\nauth: {tokens: [\"a:read:" HASH "\"]}", NULL},
        {"auth: {tokens: [\"a:reader:" HASH "\"]}",
         "auth.tokens: an entry is not of the form name:role:sha256"},
        {"auth: {tokens: [secret]}", "auth.tokens: an entry is not of the form name:role:sha256"},
        {"auth: {tokens: [\"a:read+write:" HASH "\"]}", NULL},
        {"tls: {cert: a}", "tls.cert is set and tls.key is not"},
        {"tls: {api: {key: a}}", "tls.api.key is set and tls.api.cert is not"},
        {"tls: {cert: a, key: b, api: {cert: none}}", NULL},
        {"listen: {syslog_tls: \"127.0.0.1:0\"}", "listen.syslog_tls needs tls.cert and tls.key"},
        {"retention: {cold_days: 3}", "retention.cold_days 3 is less than retention.hot_days 30"},
        {"data: {dir: \"\"}", "data.dir is empty"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        config *c = load(CASES[i].yaml);
        err e = {0};
        rc code = config_check(c, &e);
        assert_int_equal(code, CASES[i].msg ? RC_INVALID : RC_OK);
        if (CASES[i].msg) assert_string_equal(e.msg, CASES[i].msg);
        config_free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_empty_file_is_the_defaults),
        cmocka_unit_test(config_reads_every_kind),
        cmocka_unit_test(config_mistakes_name_place_and_cure),
        cmocka_unit_test(config_references_are_replaced_and_not_printed),
        cmocka_unit_test(config_printed_loads_back_equal),
        cmocka_unit_test(config_set_overrides),
        cmocka_unit_test(config_check_sees_what_one_key_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
