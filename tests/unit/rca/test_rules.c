/* The rule format, its matching, and a linter over the shipped rules. */
#include "../unit.h"

#include "base/arena.h"
#include "rca/rules_int.h"

static rules *builtin(void) {
    rules *r = rules_new();
    err e = {0};
    if (rules_add_builtin(r, &e) != RC_OK) fail_msg("%s (%s)", e.msg, e.hint);
    return r;
}

static size_t match(const rules *r, str text, rule_match *ret, size_t cap) {
    rule_subject s = {&text, 1, -1};
    return rules_match(r, &s, ret, cap);
}

/* One rule with one phrase: does it match? */
static bool phrase_hits(const char *phrase_text, str text) {
    rules *r = rules_new();
    err e = {0};
    char yaml[512];
    int n = snprintf(yaml, sizeof(yaml), "- {id: a, title: t, any: [\"%s\"]}", phrase_text);
    if (rules_add_yaml(r, str_make(yaml, (size_t)n), S("t.yaml"), &e) != RC_OK) {
        fail_msg("%s (%s)", e.msg, e.hint);
    }
    rule_match found[2];
    bool hit = match(r, text, found, 2) == 1;
    rules_free(r);
    return hit;
}

static void phrases_match_at_word_ends(void **state) {
    (void)state;
    assert_true(phrase_hits("oom", S("hit OOM now")));
    assert_true(phrase_hits("oom", S("(oom)")));
    assert_false(phrase_hits("oom", S("room")));
    assert_false(phrase_hits("oom", S("oomph")));
    assert_true(phrase_hits("*oom*", S("roomy")));
    assert_true(phrase_hits("oom*", S("oomph")));
    assert_false(phrase_hits("oom*", S("room")));
    assert_true(phrase_hits("=oom", S("state=oom"))); /* no letter at the start: no boundary */
    assert_true(phrase_hits("too many", S("Too   \t many")));
    assert_true(phrase_hits("after * ms", S("after <*> ms")));
    assert_false(phrase_hits("oom", S("")));
}

static void wildcards_stay_within_a_line_and_a_gap(void **state) {
    (void)state;
    assert_true(phrase_hits("table * full", S("table conntrack is full")));
    assert_true(phrase_hits("no * table full", S("no no room: table full")));
    assert_false(phrase_hits("table * full", S("full table")));
    assert_false(phrase_hits("table * full", S("table\nis full")));
    char far[200];
    memset(far, 'x', sizeof(far));
    memcpy(far, "table ", 6);
    memcpy(far + 190, " full", 5);
    assert_false(phrase_hits("table * full", str_make(far, 195)));
    assert_true(phrase_hits("KEYS *:\\\\*", S("command KEYS cart:* took")));
    assert_false(phrase_hits("KEYS *:\\\\*", S("command keys cart: took")));
}

static void groups_and_exclusions(void **state) {
    (void)state;
    rules *r = rules_new();
    err e = {0};
    str yaml = S("version: 1\n"
                 "rules:\n"
                 "  - id: both\n"
                 "    title: {en: Both, zh: x}\n"
                 "    all: [[redis, jedis], [slow, blocked]]\n"
                 "    not: [test run]\n"
                 "    cause_rank: 90\n"
                 "  - id: slow\n"
                 "    title: Slow\n"
                 "    any: slow\n"
                 "  - id: burst_only\n"
                 "    title: Burst\n"
                 "    any: [slow]\n"
                 "    kinds: [rate_burst]\n"
                 "    cause_rank: 10\n");
    assert_int_equal(rules_add_yaml(r, yaml, S("t.yaml"), &e), RC_OK);
    rule_match found[4];
    assert_int_equal(match(r, S("jedis is slow"), found, 4), 3);
    assert_text(found[0].rule->id, S("both")); /* longer phrases: more specific */
    assert_text(found[1].rule->id, S("slow"));
    assert_int_equal(match(r, S("slow"), found, 1), 1); /* the best when there is room for one */
    assert_text(found[0].rule->id, S("slow"));
    assert_int_equal(match(r, S("jedis is slow, test run"), found, 4), 2);
    str text = S("slow");
    rule_subject s = {&text, 1, FINDING_NEW_TEMPLATE};
    assert_int_equal(rules_match(r, &s, found, 4), 1);
    /* Groups may be met by different texts of one finding. */
    str texts[] = {S("redis"), S("it blocked")};
    rule_subject two = {texts, 2, -1};
    assert_int_equal(rules_match(r, &two, found, 4), 1);
    assert_text(rules_get(r, S("slow"))->title.en, S("Slow"));
    assert_null(rules_get(r, S("none")));
    rules_free(r);
}

static void same_id_replaces(void **state) {
    (void)state;
    rules *r = builtin();
    err e = {0};
    size_t before = rules_count(r);
    str yaml = S("rules:\n  - {id: disk_full, title: Ours, any: [our own phrase]}\n"
                 "  - {id: zz_new, title: New, any: [another phrase]}\n");
    assert_int_equal(rules_add_yaml(r, yaml, S("u.yaml"), &e), RC_OK);
    assert_int_equal(rules_count(r), before + 1);
    rule_match found[4];
    assert_int_equal(match(r, S("our own phrase"), found, 4), 1);
    assert_text(found[0].rule->id, S("disk_full"));
    assert_int_equal(match(r, S("ENOSPC"), found, 4), 0);
    rules_free(r);
}

static void bad_files_say_where_and_what(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *where, *what;
    } cases[] = {
        {"", "u.yaml:1", "holds no rules"},
        {"rules: 5", "u.yaml:1", "must be a list"},
        {"rules: []", "u.yaml:1", "0 entries"},
        {"version: 2\nrules:\n  - {id: a, title: t, any: [abc]}", "u.yaml:1", "unknown version"},
        {"rules:\n  - id: a\n    title: t\n    anny: [abc]\n", "u.yaml:4", "unknown key 'anny'"},
        {"rules:\n  - {id: a, title: t}", "u.yaml:2", "neither any nor all"},
        {"rules:\n  - {id: A b, title: t, any: [abc]}", "u.yaml:2", "bad rule id 'A b'"},
        {"rules:\n  - {title: t, any: [abc]}", "u.yaml:2", "has no id"},
        {"rules:\n  - {id: a, any: [abc]}", "u.yaml:2", "has no title"},
        {"rules:\n  - {id: a, title: {zh: t}, any: [abc]}", "u.yaml:2", "no English text"},
        {"rules:\n  - id: a\n    title: t\n    any:\n      - ok phrase\n      - \"*a*\"\n",
         "u.yaml:6", "three letters"},
        {"rules:\n  - {id: a, title: t, any: [abc], cause_rank: 101}", "u.yaml:2", "0 to 100"},
        {"rules:\n  - {id: a, title: t, any: [abc], kinds: [explosion]}", "u.yaml:2",
         "unknown kind of finding 'explosion'"},
        {"rules:\n  - {id: a, title: t, any: [abc]}\n  - {id: a, title: t, any: [abc]}", "u.yaml:3",
         "twice"},
        {"rules:\n  - {id: a, title: [t", "u.yaml:3", "not valid YAML"},
    };
    rules *r = builtin();
    size_t before = rules_count(r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        err e = {0};
        assert_int_equal(rules_add_yaml(r, str_c(cases[i].yaml), S("u.yaml"), &e), RC_INVALID);
        if (!strstr(e.msg, cases[i].where) || !strstr(e.msg, cases[i].what)) {
            fail_msg("case %zu: \"%s\"", i, e.msg);
        }
        assert_int_equal(rules_count(r), before);
        /* A failed file leaves the set as it was, and `e` may be absent. */
        assert_int_equal(rules_add_yaml(r, str_c(cases[i].yaml), S("u.yaml"), NULL), RC_INVALID);
    }
    rule_match found[2];
    assert_true(match(r, S("No space left on device"), found, 2) > 0);
    rules_free(r);
}

static bool has_both(const incident_text *t) { return t->en.n > 0 && t->zh.n > 0; }

/* Every shipped rule: both languages, a known category of rank, an example that names it. */
static void shipped_rules_are_complete(void **state) {
    (void)state;
    rules *r = builtin();
    assert_true(rules_count(r) >= 75);
    int wrong = 0;
    for (size_t i = 0; i < rules_count(r); i++) {
        const rule *x = rules_at(r, i);
        bool complete = has_both(&x->title) && has_both(&x->explanation) && x->step_count > 0 &&
                        x->category.n && x->example.n;
        for (size_t k = 0; k < x->step_count; k++) complete &= has_both(&x->steps[k]);
        rule_match found[8];
        size_t n = match(r, x->example, found, ARRAY_LEN(found));
        bool names_itself = n > 0 && found[0].rule == x;
        if (complete && names_itself) continue;
        wrong++;
        print_message("%.*s (line %u): %s; best match of its example: %.*s\n", STR_ARG(x->id),
                      x->line, complete ? "complete" : "incomplete",
                      STR_ARG(n ? found[0].rule->id : S("none")));
    }
    assert_int_equal(wrong, 0);
    rules_free(r);
}

/* Lines of normal operation that must not be called a failure of some kind. */
static void everyday_lines_match_no_rule(void **state) {
    (void)state;
    static const char *const lines[] = {
        "GET /api/items 200 12ms",
        "user 42 logged in from 10.0.0.3",
        "order 1234 created, total 12.50 EUR",
        "meeting room booked for 3 people",
        "evicted 300 entries from cache in 2 ms",
        "looking for updates",
        "redis: deleted 5 keys in 2 ms",
        "wrote 12 files to /var/tmp/export",
        "scheduled task settlement finished in 3 s",
        "Accepted publickey for deploy from 10.1.1.1 port 5512 ssh2",
        "connection from 10.0.0.7 accepted",
        "heartbeat ok",
        "session expired for user 12, please log in again",
        "search returned 53 rooms in 12 ms",
        "queue depth 3, 2 workers idle",
        "negotiated protocol version 1.3",
        "EDAC MC: Ver: 3.0.0",
        "mce: CPU supports 20 MCE banks",
        "IPv6: ADDRCONF(NETDEV_UP): eth0: link is not ready",
        "completion of job 429 reported",
        "Kernel command line: quiet panic=1 oops=panic",
        "request volume normal, 120 req/s",
        "0 errors, 0 warnings",
        "no errors found in 300 files",
        "retention: removed 12 old backups",
        "checkpoint complete: wrote 300 buffers (1.2%)",
        "health check passed",
        "user failed over to region eu-1 as planned",
        "pool stats: active=3 idle=7 waiting=0",
        "loaded 214 rules from /etc/app/zones.yaml",
        "cache hit ratio 98.2%",
        "signal 10 received, reopening log files",
        "memory usage 43%, heap 1.2 GB of 4 GB",
        "token issued for client web-7 ttl=3600",
        "leader is node-2, term 7",
        "certificate for shop.example valid until 2027-03-01",
    };
    rules *r = builtin();
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        rule_match found[2];
        if (match(r, str_c(lines[i]), found, 2)) {
            fail_msg("\"%s\" matches %.*s", lines[i], STR_ARG(found[0].rule->id));
        }
    }
    rules_free(r);
}

/* What a line is called must be true of it: broad phrases gave these wrong names. */
static void lines_are_named_truly(void **state) {
    (void)state;
    static const struct {
        const char *line, *id;
    } cases[] = {
        {"Traceback (most recent call last):\nKeyError: 'created_at'", "unhandled_exception"},
        {"File \"/app/conf.py\", line 3\n    url = os.environ[\"DB_URL\"]\nKeyError: 'DB_URL'",
         "missing_environment_or_secret"},
        {"Failed to connect to billing:8080: i/o timeout", "dependency_call_failed"},
        {"Failed to connect to billing:8080: Connection refused", "connection_refused"},
        {"price lookup failed: request timed out", "timeout_cascade"},
        {"dial tcp: lookup db.prod.svc on 10.96.0.10:53: read udp: i/o timeout", "dns_failure"},
        {"chronyd: Can't synchronise: no selectable sources", "clock_skew"},
        {"upstream answered 500 for /v1/rates", "dependency_call_failed"},
        {"shop service version 2.19.0 (commit 8ac1f02) starting, was 2.18.4", "change_deployment"},
    };
    rules *r = builtin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        rule_match found[4];
        size_t n = match(r, str_c(cases[i].line), found, ARRAY_LEN(found));
        str id = n ? found[0].rule->id : S("none");
        if (!str_eq(id, str_c(cases[i].id))) {
            fail_msg("\"%s\" is called %.*s", cases[i].line, STR_ARG(id));
        }
    }
    rules_free(r);
}

/* A long text costs no more than its maximum, and matches at its end are found up to it. */
static void long_texts_are_cut(void **state) {
    (void)state;
    rules *r = builtin();
    static char text[RULE_MATCH_BYTES_MAX + 64];
    memset(text, 'x', sizeof(text));
    memcpy(text + 1000, " ENOSPC ", 8);
    rule_match found[2];
    assert_int_equal(match(r, str_make(text, sizeof(text)), found, 2), 1);
    memset(text, 'x', sizeof(text));
    memcpy(text + RULE_MATCH_BYTES_MAX, " ENOSPC ", 8);
    assert_int_equal(match(r, str_make(text, sizeof(text)), found, 2), 0);
    rules_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phrases_match_at_word_ends),
        cmocka_unit_test(wildcards_stay_within_a_line_and_a_gap),
        cmocka_unit_test(groups_and_exclusions),
        cmocka_unit_test(same_id_replaces),
        cmocka_unit_test(bad_files_say_where_and_what),
        cmocka_unit_test(shipped_rules_are_complete),
        cmocka_unit_test(everyday_lines_match_no_rule),
        cmocka_unit_test(lines_are_named_truly),
        cmocka_unit_test(long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
