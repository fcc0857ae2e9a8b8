/* Reports of hand-made incidents against tests/golden/report, in every format and language.
 *
 *     FAULTLINE_REGENERATE=1 meson test -C build report      rewrites the files; look at the diff
 */
#include "../unit.h"

#include "../rca/fixture.h"
#include "base/utf8.h"
#include "golden.h"
#include "report/report.h"
#include "report/text.h"

enum { REPORT_BYTES_MAX = 8 << 20 };

static report_opts opts_of(report_format format, report_lang lang, unsigned width, bool color,
                           bool utf8) {
    return (report_opts){
        .format = format, .lang = lang, .width = width, .color = color, .utf8 = utf8};
}

static void render(const incident *in, const report_opts *opts, buf *out) {
    buf_init(out, REPORT_BYTES_MAX);
    err e = {0};
    if (report_write(in, opts, out, &e) != RC_OK) fail_msg("%s", e.msg);
}

static void golden(const incident *in, const char *name, report_format format, report_lang lang,
                   unsigned width, bool color, bool utf8) {
    static const char *const ends[] = {"txt", "md", "json", "html"};
    char file[256];
    snprintf(file, sizeof(file), "%s.%s.%s", name, lang == LANG_ZH ? "zh" : "en", ends[format]);
    report_opts opts = opts_of(format, lang, width, color, utf8);
    buf out;
    render(in, &opts, &out);
    golden_compare(file, buf_str(&out));
    buf_release(&out);
}

static void all_formats(const incident *in, const char *name) {
    for (int lang = LANG_EN; lang <= LANG_ZH; lang++) {
        for (int format = REPORT_TERMINAL; format <= REPORT_HTML; format++) {
            golden(in, name, (report_format)format, (report_lang)lang, 100, false, true);
        }
    }
}

static void cascade_in_all_formats(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    x.inputs[0].state = INPUT_PARTIAL;
    x.inputs[0].problem = S("truncated gzip after 3,500,000 bytes");
    incident in;
    fixture_analyze(&x, true, &in);
    all_formats(&in, "cascade");
    golden(&in, "cascade-narrow-ascii", REPORT_TERMINAL, LANG_EN, 48, false, false);
    golden(&in, "cascade-color", REPORT_TERMINAL, LANG_EN, 120, true, true);
    incident_release(&in);
    fixture_release(&x);
}

static void unknown_failure_names_no_rule(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_certificate(&x);
    incident in;
    fixture_analyze(&x, false, &in);
    all_formats(&in, "no-rules");
    incident_release(&in);
    fixture_release(&x);
}

/* What is told in words is so: what came before the root is not "after it", a rise of errors has
 * a text where no rule names it, a second incident is announced, no advice about an unknown time.
 */
static void story_keeps_to_the_facts(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    FACT(&x, .service = "cron", .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_MEDIUM, .at_s = 1790,
         .meaning = 0.5, .bits = 15, .line = "WARN odd thing seen");
    FACT(&x, .service = "mailer", .kind = FINDING_ERROR_RATIO, .level = LEVEL_HIGH, .at_s = -1800,
         .observed = 0.5, .unit = "ratio", .line = "unused");
    finding *share = &x.set.items.v[x.set.items.n - 1];
    share->template_text = STR_NONE;
    share->from_ns = share->onset_ns = FIXTURE_BEGIN - INT64_C(1800000000000);
    share->to_ns = share->from_ns + INT64_C(60000000000);
    incident in;
    fixture_analyze(&x, true, &in);
    assert_int_equal(in.other_count, 1);
    report_opts opts = opts_of(REPORT_TERMINAL, LANG_EN, 4000, false, true);
    buf out;
    render(&in, &opts, &out);
    str s = buf_str(&out);
    assert_true(str_has(s, S("What explains most failed in redis")));
    assert_true(str_has(s, S("not linked to the rest: cron (")));
    assert_true(str_has(s, S("1 other incident(s) in the same data")));
    assert_true(str_has(s, S("mailer: share of errors 50%")));
    assert_false(str_has(s, S("before -")));
    buf_release(&out);
    incident_release(&in);
    fixture_release(&x);
}

static void normal_and_undetermined(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_quiet(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    all_formats(&in, "normal");
    incident_release(&in);
    finding_set_release(&x.set);
    finding_set_init(&x.set);
    x.summary.undetermined = true;
    x.summary.why_undetermined = S("few_records");
    x.report.records = 12;
    fixture_analyze(&x, true, &in);
    all_formats(&in, "undetermined");
    incident_release(&in);
    fixture_release(&x);
}

/* Log text that tries to be markup, an escape sequence, a table cell, a JSON end. */
static void scenario_hostile(fixture *x) {
    FACT(x, .service = "evil<script>alert(1)</script>", .component = "a|b`c*d_e",
         .kind = FINDING_NEW_TEMPLATE, .level = LEVEL_HIGH, .at_s = 1, .meaning = 0.9,
         .severity = SEV_ERROR,
         .template_text = "</pre></code><img src=x onerror=alert(1)> \x1b]0;owned\x07 | `x` **b** "
                          "[l](javascript:alert(1)) @everyone",
         .line = "ERROR </pre><script>alert(1)</script> \x1b[2J\x1b[1;1H \"}],\"x\":1 ``` \xff\xfe "
                 "\xe2\x80\xaegnp.exe\xe2\x80\xac \xc2\x9b"
                 "31m\r\n```\n<!-- & -->\n\tat x");
    FACT(x, .service = "\xe4\xb8\xad\xe6\x96\x87\xe6\x9c\x8d\xe5\x8a\xa1", .kind = FINDING_SESSION,
         .level = LEVEL_MEDIUM, .at_s = 3, .meaning = 0.5, .severity = SEV_ERROR,
         .subject = "<b>\"'&\x1b[0m", .template_text = "x", .line = "ERROR x");
}

static bool has_control(str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\n') || c == 0x7f) return true;
        /* C1 as UTF-8; U+202A..202E, U+2066..2069. */
        if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0) return true;
        if (str_starts(str_from(s, i), S("\xe2\x80\xae"))) return true;
    }
    return false;
}

static void hostile_text_is_neutralised(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_hostile(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    all_formats(&in, "hostile");
    for (int format = REPORT_TERMINAL; format <= REPORT_HTML; format++) {
        report_opts opts = opts_of((report_format)format, LANG_EN, 80, false, true);
        buf out;
        render(&in, &opts, &out);
        str s = buf_str(&out);
        assert_true(utf8_valid(s));
        if (format != REPORT_JSON) assert_false(has_control(s));
        if (format == REPORT_HTML) {
            assert_false(str_has(s, S("<script")));
            assert_false(str_has(s, S("<img")));
            assert_true(str_has(s, S("&lt;script&gt;")));
        }
        if (format == REPORT_MARKDOWN) {
            /* Nothing outside the fences may begin a tag or notify anyone. */
            assert_false(str_has(s, S("@everyone")));
            assert_true(str_has(s, S("````\n")));
        }
        buf_release(&out);
    }
    incident_release(&in);
    fixture_release(&x);
}

/* No line of the terminal report is wider than asked for, CJK counted as two columns. */
static void terminal_keeps_its_width(void **state) {
    (void)state;
    static const unsigned widths[] = {40, 60, 80, 132, 400};
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    scenario_hostile(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    for (size_t w = 0; w < ARRAY_LEN(widths); w++) {
        for (int lang = LANG_EN; lang <= LANG_ZH; lang++) {
            report_opts opts = opts_of(REPORT_TERMINAL, (report_lang)lang, widths[w], false, true);
            buf out;
            render(&in, &opts, &out);
            str rest = buf_str(&out), line;
            for (size_t n = 1; str_next(&rest, '\n', &line); n++) {
                if (utf8_columns(line) > widths[w]) {
                    fail_msg("width %u, line %zu: \"%.*s\"", widths[w], n, STR_ARG(line));
                }
            }
            buf_release(&out);
        }
    }
    incident_release(&in);
    fixture_release(&x);
}

static void colour_only_adds_escapes(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    report_opts opts = opts_of(REPORT_TERMINAL, LANG_EN, 100, true, true);
    buf with, without;
    render(&in, &opts, &with);
    opts.color = false;
    render(&in, &opts, &without);
    size_t n = 0;
    for (size_t i = 0; i < with.n; i++) {
        if (with.p[i] == '\x1b') {
            while (with.p[i] != 'm') i++;
            continue;
        }
        assert_true(n < without.n && without.p[n] == with.p[i]);
        n++;
    }
    assert_int_equal(n, without.n);
    buf_release(&with);
    buf_release(&without);
    incident_release(&in);
    fixture_release(&x);
}

/* The first screen of a terminal holds what to do. */
static void what_to_do_is_on_the_first_screen(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    report_opts opts = opts_of(REPORT_TERMINAL, LANG_EN, 80, false, true);
    buf out;
    render(&in, &opts, &out);
    size_t at = str_find(buf_str(&out), S("What to do now"), 0);
    assert_true(at != STR_NPOS && at < 3000);
    size_t lines = 0;
    for (size_t i = 0; i < at; i++) lines += out.p[i] == '\n';
    assert_true(lines < 24);
    buf_release(&out);
    incident_release(&in);
    fixture_release(&x);
}

static void full_buffer_is_an_error(void **state) {
    (void)state;
    fixture x;
    fixture_init(&x);
    scenario_cascade(&x);
    incident in;
    fixture_analyze(&x, true, &in);
    for (int format = REPORT_TERMINAL; format <= REPORT_HTML; format++) {
        report_opts opts = opts_of((report_format)format, LANG_EN, 80, false, true);
        buf out;
        buf_init(&out, 700);
        err e = {0};
        assert_int_equal(report_write(&in, &opts, &out, &e), RC_LIMIT);
        assert_int_equal(out.n, 0);
        buf_release(&out);
    }
    incident_release(&in);
    fixture_release(&x);
}

/* Both languages of a text have the same holes, and none is empty. */
static void texts_are_complete(void **state) {
    (void)state;
    for (int key = 0; key < TEXT_COUNT; key++) {
        str en = text_get(LANG_EN, (text_key)key), zh = text_get(LANG_ZH, (text_key)key);
        assert_true(en.n > 0 && zh.n > 0);
        for (char d = '0'; d <= '9'; d++) {
            char hole[3] = {'{', d, '}'};
            bool in_en = str_has(en, str_make(hole, 3)), in_zh = str_has(zh, str_make(hole, 3));
            if (in_en != in_zh) fail_msg("\"%.*s\": {%c} is in one language only", STR_ARG(en), d);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s GOLDEN_DIRECTORY\n", argv[0]);
        return 2;
    }
    golden_dir = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_complete),
        cmocka_unit_test(cascade_in_all_formats),
        cmocka_unit_test(unknown_failure_names_no_rule),
        cmocka_unit_test(story_keeps_to_the_facts),
        cmocka_unit_test(normal_and_undetermined),
        cmocka_unit_test(hostile_text_is_neutralised),
        cmocka_unit_test(terminal_keeps_its_width),
        cmocka_unit_test(colour_only_adds_escapes),
        cmocka_unit_test(what_to_do_is_on_the_first_screen),
        cmocka_unit_test(full_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
