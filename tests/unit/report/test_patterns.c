/* Pattern tables and the comparison of two logs, against hand-made lists. */
#include "../unit.h"

#include "base/utf8.h"
#include "codec/json.h"
#include "golden.h"
#include "report/patterns.h"

static const pattern_param params[] = {{S_INIT("user"), SLOT_INT}, {S_INIT(""), SLOT_IP}};

static const pattern_row rows[] = {
    {.id = 1, .text = S_INIT("Order <*> placed"), .count = 60000, .count_before = 50000},
    {.id = 2,
     .text = S_INIT("login of <*> from <*>"),
     .count = 9000,
     .count_before = 1000,
     .params = params,
     .param_count = 2},
    {.id = 3, .text = S_INIT("cache refreshed"), .count = 100, .count_before = 3000},
    {.id = 4,
     .text = S_INIT("payment failed | `x` <b> \x1b[31m"),
     .count = 500,
     .max_severity = SEV_ERROR,
     .first_ns = 0,
     .last_ns = 1000000000},
    {.id = 5, .text = S_INIT("heartbeat"), .count_before = 700},
    {.id = 6, .text = S_INIT("seen a little more often"), .count = 7, .count_before = 5},
    {.id = 7, .text = S_INIT("once"), .count = 1},
};

static const pattern_list list = {
    .rows = rows, .count = ARRAY_LEN(rows), .lines = 69608, .lines_before = 54705};

static str diff(const patterns_opts *opts, buf *out) {
    buf_init(out, 1 << 20);
    err e = {0};
    if (patterns_diff_write(&list, opts, out, &e) != RC_OK) fail_msg("%s", e.msg);
    return buf_str(out);
}

static size_t place(str in, const char *what) {
    size_t at = str_find(in, str_c(what), 0);
    if (at == STR_NPOS) fail_msg("\"%s\" is not in:\n%.*s", what, STR_ARG(in));
    return at;
}

static void differences_are_grouped_and_sorted(void **state) {
    (void)state;
    buf out;
    str s = diff(&(patterns_opts){.format = PATTERNS_TEXT}, &out);
    place(s, "2 new, 1 gone, 1 more, 1 fewer, 2 without significant change");
    place(s, "54,705 lines before, 69,608 lines after");
    assert_true(place(s, "\nNew\n") < place(s, "payment failed"));
    assert_true(place(s, "payment failed") < place(s, "once")); /* more bits first */
    assert_true(place(s, "once") < place(s, "\nGone\n"));
    assert_true(place(s, "\nGone\n") < place(s, "heartbeat"));
    assert_true(place(s, "\nMore\n") < place(s, "login of"));
    assert_true(place(s, "\nFewer\n") < place(s, "cache refreshed"));
    /* Significant or not, a change of shares by a few percent is of no interest. */
    assert_false(str_has(s, S("Order <*> placed")));
    assert_false(str_has(s, S("little more often")));
    assert_false(str_has(s, S("\x1b")));
    place(s, "x7.07"); /* (9000/69608) / (1000/54705) */
    buf_release(&out);
}

static void small_templates_can_be_left_out(void **state) {
    (void)state;
    buf out;
    str s = diff(&(patterns_opts){.format = PATTERNS_TEXT, .min_count = 10}, &out);
    place(s, "1 new, 1 gone, 1 more, 1 fewer, 1 without significant change");
    assert_false(str_has(s, S("once")));
    buf_release(&out);
}

static void width_is_kept(void **state) {
    (void)state;
    buf out;
    str rest = diff(&(patterns_opts){.format = PATTERNS_TEXT, .width = 70}, &out), line;
    while (str_next(&rest, '\n', &line)) assert_true(utf8_columns(line) <= 70);
    buf_release(&out);
}

static void json_is_valid_and_complete(void **state) {
    (void)state;
    buf out;
    err e = {0};
    str s = diff(&(patterns_opts){.format = PATTERNS_JSON, .params = true}, &out);
    if (json_validate(s, &e) != RC_OK) fail_msg("%s", e.msg);
    place(s, "\"unchanged_count\": 2");
    place(s, "\"id\": \"0000000000000004\"");
    place(s, "\"severity\": \"ERROR\"");
    place(s, "\"first\": \"1970-01-01T00:00:00.000Z\"");
    place(s, "\"type\": \"ip\"");
    buf_release(&out);
    buf_init(&out, 1 << 20);
    assert_int_equal(
        patterns_write(&list, &(patterns_opts){.format = PATTERNS_JSON, .top = 2}, &out, &e),
        RC_OK);
    if (json_validate(buf_str(&out), &e) != RC_OK) fail_msg("%s", e.msg);
    place(buf_str(&out), "\"template_count\": 7");
    assert_false(str_has(buf_str(&out), S("cache refreshed")));
    buf_release(&out);
}

static void markdown_is_escaped(void **state) {
    (void)state;
    buf out;
    str s = diff(&(patterns_opts){.format = PATTERNS_MARKDOWN}, &out);
    place(s, "payment failed \\| \\`x\\` &lt;b\\> \\\\x1b\\[31m");
    place(s, "### New\n\n| Before | After | Ratio | Surprise | Template | \n| --- |");
    buf_release(&out);
}

static void list_has_counts_shares_and_params(void **state) {
    (void)state;
    buf out;
    buf_init(&out, 1 << 20);
    err e = {0};
    patterns_opts opts = {.format = PATTERNS_TEXT, .params = true, .top = 3};
    assert_int_equal(patterns_write(&list, &opts, &out, &e), RC_OK);
    str s = buf_str(&out);
    place(s, "60,000   86.2%  Order <*> placed\n");
    place(s, "user:int, ip\n");
    place(s, "4 more not shown");
    buf_release(&out);
}

static void full_buffer_is_an_error(void **state) {
    (void)state;
    buf out;
    buf_init(&out, 100);
    err e = {0};
    patterns_opts opts = {.format = PATTERNS_TEXT};
    assert_int_equal(patterns_write(&list, &opts, &out, &e), RC_LIMIT);
    assert_int_equal(patterns_diff_write(&list, &opts, &out, &e), RC_LIMIT);
    assert_int_equal(out.n, 0);
    buf_release(&out);
}

static void empty_sides_compare(void **state) {
    (void)state;
    static const pattern_row only[] = {{.id = 1, .text = S_INIT("a b c"), .count = 5}};
    pattern_list one = {.rows = only, .count = 1, .lines = 5}, none = {0};
    buf out;
    buf_init(&out, 1 << 20);
    err e = {0};
    patterns_opts opts = {.format = PATTERNS_TEXT};
    assert_int_equal(patterns_diff_write(&one, &opts, &out, &e), RC_OK);
    place(buf_str(&out), "1 new, 0 gone");
    buf_reset(&out);
    assert_int_equal(patterns_diff_write(&none, &opts, &out, &e), RC_OK);
    place(buf_str(&out), "0 new, 0 gone, 0 more, 0 fewer");
    buf_release(&out);
}

static void finished_tables(void **state) {
    (void)state;
    static const char *const ends[] = {"txt", "json", "md"};
    for (int format = PATTERNS_TEXT; format <= PATTERNS_MARKDOWN; format++) {
        patterns_opts opts = {.format = (patterns_format)format, .params = true, .width = 100};
        char name[64];
        buf out;
        diff(&opts, &out);
        snprintf(name, sizeof(name), "patterns-diff.%s", ends[format]);
        golden_compare(name, buf_str(&out));
        buf_reset(&out);
        err e = {0};
        assert_int_equal(patterns_write(&list, &opts, &out, &e), RC_OK);
        snprintf(name, sizeof(name), "patterns.%s", ends[format]);
        golden_compare(name, buf_str(&out));
        buf_release(&out);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s GOLDEN_DIRECTORY\n", argv[0]);
        return 2;
    }
    golden_dir = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_grouped_and_sorted),
        cmocka_unit_test(small_templates_can_be_left_out),
        cmocka_unit_test(width_is_kept),
        cmocka_unit_test(json_is_valid_and_complete),
        cmocka_unit_test(markdown_is_escaped),
        cmocka_unit_test(list_has_counts_shares_and_params),
        cmocka_unit_test(full_buffer_is_an_error),
        cmocka_unit_test(empty_sides_compare),
        cmocka_unit_test(finished_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
