#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/cli.h"

enum { ARENA_BYTES = 1 << 20, TEXT_BYTES = 1 << 20 };

static arena mem;
static err why;

/* Parses words separated by single spaces; "_" stands for an empty argument. */
static rc parse(const char *line, cli_args *ret) {
    static char text[1000];
    char *argv[64] = {(char[]){"faultline"}};
    int argc = 1;
    size_t n = strlen(line);
    assert_true(n < sizeof(text));
    memcpy(text, line, n + 1);
    for (size_t i = 0, start = 0; i <= n && n > 0; i++) {
        if (text[i] != ' ' && text[i] != '\0') continue;
        text[i] = '\0';
        argv[argc++] = strcmp(text + start, "_") ? text + start : text + i;
        start = i + 1;
    }
    err_reset(&why);
    return cli_parse(argc, argv, &mem, ret, &why);
}

static cli_args parsed(const char *line) {
    cli_args a = {0};
    rc code = parse(line, &a);
    if (code != RC_OK) fail_msg("%s: %s", line, why.msg);
    return a;
}

static void refused(const char *line, const char *message, const char *hint) {
    cli_args a = {.operand_count = 77};
    assert_int_equal(parse(line, &a), RC_INVALID);
    assert_string_equal(why.msg, message);
    assert_string_equal(why.hint, hint);
    assert_int_equal(a.operand_count, 77); /* outputs are untouched on failure */
}

static void assert_str(str s, const char *want) {
    if (!str_eq(s, str_c(want))) fail_msg("'%.*s' is not '%s'", STR_ARG(s), want);
}

static void cli_reads_commands_of_one_and_two_words(void **state) {
    (void)state;
    assert_int_equal(parsed("analyze").command, CMD_ANALYZE);
    assert_int_equal(parsed("patterns diff a b").command, CMD_PATTERNS_DIFF);
    assert_int_equal(parsed("detect sessions").command, CMD_DETECT_SESSIONS);
    assert_int_equal(parsed("help detect sessions").operand_count, 2);
    assert_int_equal(parsed("--color never mine x").command, CMD_MINE);
    str two[] = {S("patterns"), S("diff")};
    assert_int_equal(cli_find_command(two, 2), CMD_PATTERNS_DIFF);
    assert_int_equal(cli_find_command(two, 1), CMD_NONE);
    assert_int_equal(cli_find_command(two, 0), CMD_NONE);
}

static void cli_mixes_options_and_operands(void **state) {
    (void)state;
    cli_args a = parsed("analyze one --since 2h - --until=3h two -o out -- --since three");
    const char *want[] = {"one", "-", "two", "--since", "three"};
    assert_int_equal(a.operand_count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) assert_str(a.operands[i], want[i]);
    assert_str(cli_text(&a, OPT_SINCE), "2h");
    assert_str(cli_text(&a, OPT_UNTIL), "3h");
    assert_str(cli_text(&a, OPT_OUTPUT), "out");
    assert_str(cli_text(&a, OPT_LANG), "en");
    assert_false(cli_has(&a, OPT_LANG));
    a = parsed("mine -oout -q --delimiters= --state=a=b");
    assert_str(cli_text(&a, OPT_OUTPUT), "out");
    assert_str(cli_text(&a, OPT_STATE), "a=b");
    assert_true(cli_has(&a, OPT_QUIET));
    assert_true(cli_has(&a, OPT_DELIMITERS));
    assert_str(cli_text(&a, OPT_DELIMITERS), "");
    /* A value is taken as it is, even when it looks like an option. */
    a = parsed("detect sessions --key --train");
    assert_str(cli_text(&a, OPT_KEY), "--train");
}

static void cli_repeats_in_order_and_last_one_counts(void **state) {
    (void)state;
    cli_args a = parsed("mine --mask ip=[0-9.]+ --top 5 --mask user=u=[a-z]+ --top 7");
    const str *masks;
    assert_int_equal(cli_all(&a, OPT_MASK, &mem, &masks), 2);
    str name, text;
    cli_assignment(masks[1], &name, &text);
    assert_str(name, "user");
    assert_str(text, "u=[a-z]+");
    assert_str(masks[0], "ip=[0-9.]+");
    assert_int_equal(cli_number(&a, OPT_TOP), 7);
    assert_int_equal(cli_number(&a, OPT_THREADS), 0);
}

static void cli_options_belong_to_commands(void **state) {
    (void)state;
    cli_args a = parsed("mine --format tsv");
    assert_int_equal(cli_choice(&a, OPT_FORMAT_MINE), 1);
    assert_int_equal(cli_choice(&a, OPT_COLOR), 0);
    assert_int_equal(cli_choice(&a, OPT_FAIL_ON), -1);
    a = parsed("analyze --format html --fail-on high");
    assert_int_equal(cli_choice(&a, OPT_FORMAT_REPORT), 3);
    assert_int_equal(cli_choice(&a, OPT_FAIL_ON), 2);
    refused("mine --format html", "--format: 'html' is not one of: text tsv json", "");
    refused("mine --lang zh", "unknown option '--lang'",
            "'faultline mine --help' lists the options");
    refused("--since 2h analyze", "unknown option '--since'",
            "options of a command stand after it; 'faultline --help' lists the commands");
}

static void cli_suggests_the_nearest_name(void **state) {
    (void)state;
    refused("analyze --sicne 2h", "unknown option '--sicne'", "did you mean '--since'?");
    refused("analyze --out=x", "unknown option '--out'", "did you mean '--output'?");
    refused("analyse x", "unknown command 'analyse'", "did you mean 'analyze'?");
    refused("app.log", "unknown command 'app.log'",
            "to analyze a file: faultline analyze 'app.log'");
    refused("frobnicate", "unknown command 'frobnicate'", "'faultline --help' lists the commands");
    refused("patterns", "'patterns' needs a second word", "did you mean 'patterns diff'?");
    refused("query", "'query' needs a second word",
            "there are 'query logs', 'query traces', 'query trace', 'query metrics'");
    refused("help query", "'query' needs a second word",
            "there are 'query logs', 'query traces', 'query trace', 'query metrics'");
    refused("query logss x", "unknown command 'query logss'", "did you mean 'query logs'?");
    refused("config x", "unknown command 'config x'",
            "there are 'config validate', 'config print', 'config docs'");
    refused("patterns dif", "unknown command 'patterns dif'", "did you mean 'patterns diff'?");
    refused("analyze --lang ch", "--lang: 'ch' is not one of: en zh", "");
    refused("analyze --format mark", "--format: 'mark' is not one of: terminal markdown json html",
            "did you mean 'markdown'?");
    refused("completion fish", "completion: 'fish' is not one of: bash zsh", "");
    refused("help mime", "unknown command 'mime'", "did you mean 'mine'?");
    /* However long: cut in the message, no suggestion. */
    refused(
        "analyze --aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "unknown option '--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaa'",
        "'faultline analyze --help' lists the options");
}

static void cli_refuses_wrong_values(void **state) {
    (void)state;
    refused("", "no command was given", "'faultline --help' lists the commands");
    refused("analyze --width", "--width: N is missing", "");
    refused("analyze --width 19", "--width: '19' is not a number from 20 to 1000", "");
    refused("analyze --width 1001", "--width: '1001' is not a number from 20 to 1000", "");
    refused("analyze --width 80x", "--width: '80x' is not a number from 20 to 1000", "");
    refused("analyze --width -1", "--width: '-1' is not a number from 20 to 1000", "");
    refused("analyze --follow=yes", "--follow takes no value: '--follow=yes'", "");
    refused("analyze --mask ip", "--mask: 'ip' is not of the form NAME=REGEX", "");
    refused("analyze --mask =x", "--mask: '=x' is not of the form NAME=REGEX", "");
    refused("analyze --mask ip=", "--mask: 'ip=' is not of the form NAME=REGEX", "");
    refused("analyze --mask <ip>=x", "--mask: '<ip>=x' is not of the form NAME=REGEX", "");
    refused("analyze --output _", "--output: the file name is empty", "");
    refused("patterns diff a", "patterns diff needs BEFORE AFTER", "");
    refused("patterns diff a b c", "patterns diff: one argument too many: 'c'", "");
    refused("version 1", "version: one argument too many: '1'", "");
}

static void cli_explains_even_when_incomplete(void **state) {
    (void)state;
    cli_args a = parsed("patterns diff --help");
    assert_true(cli_has(&a, OPT_SHOW_HELP));
    assert_int_equal(a.command, CMD_PATTERNS_DIFF);
    a = parsed("-h");
    assert_true(cli_has(&a, OPT_SHOW_HELP));
    assert_int_equal(a.command, CMD_NONE);
    assert_true(cli_has(&(cli_args[]){parsed("-V")}[0], OPT_SHOW_VERSION));
}

/* Every default is a value that the user could have given; every letter and name is unique within a
 * command; texts end without a full stop. */
static void cli_table_is_sound(void **state) {
    (void)state;
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        cli_args none = {.command = CMD_NONE};
        if (row->kind == CLI_CHOICE && row->initial.n > 0) {
            assert_true(cli_choice(&none, (cli_option)o) >= 0);
        }
        if (row->kind == CLI_NUMBER && row->initial.n > 0) (void)cli_number(&none, (cli_option)o);
        assert_true((row->kind == CLI_FLAG) == (row->argument.n == 0));
        assert_false(str_ends(row->help, S(".")));
        for (int p = 0; p < o; p++) {
            const cli_option_info *other = cli_option_row((cli_option)p);
            if (!(row->commands & other->commands)) continue;
            assert_false(str_eq(row->name, other->name));
            assert_false(row->letter && row->letter == other->letter);
        }
    }
}

static void help_names_every_option_of_a_command(void **state) {
    (void)state;
    for (int c = CMD_NONE; c < CMD_COUNT; c++) {
        buf out;
        buf_init(&out, TEXT_BYTES);
        cli_help(&out, (cli_command)c, 80);
        assert_false(out.full);
        str text = buf_str(&out), line;
        for (int o = 0; o < OPT_COUNT && c != CMD_NONE; o++) {
            const cli_option_info *row = cli_option_row((cli_option)o);
            str name = str_fmt(&mem, " --%.*s", STR_ARG(row->name));
            if (row->commands & (1u << c)) assert_true(str_has(text, name));
        }
        if (c != CMD_NONE) assert_true(str_has(text, cli_command_row((cli_command)c)->words));
        while (str_next(&text, '\n', &line)) {
            bool example = str_has(line, S("#"));
            if (!example && line.n > 100) fail_msg("too wide: %.*s", STR_ARG(line));
            assert_false(str_ends(line, S(" ")));
        }
        buf_release(&out);
    }
}

static void man_page_and_completions_hold_every_option(void **state) {
    (void)state;
    buf man, bash, zsh;
    buf_init(&man, TEXT_BYTES);
    buf_init(&bash, TEXT_BYTES);
    buf_init(&zsh, TEXT_BYTES);
    cli_man(&man, S("faultline 9.9"));
    cli_completion(&bash, S("bash"));
    cli_completion(&zsh, S("zsh"));
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        assert_true(str_has(buf_str(&man), str_fmt(&mem, "Fl -%.*s", STR_ARG(row->name))));
        assert_true(str_has(buf_str(&bash), str_fmt(&mem, "--%.*s ", STR_ARG(row->name))));
        assert_true(str_has(buf_str(&zsh), str_fmt(&mem, "--%.*s", STR_ARG(row->name))));
    }
    size_t exits;
    const cli_exit_info *rows = cli_exit_rows(&exits);
    for (size_t i = 0; i < exits; i++) {
        assert_true(str_has(buf_str(&man), str_fmt(&mem, "\n.It %d\n", rows[i].status)));
    }
    buf_release(&man);
    buf_release(&bash);
    buf_release(&zsh);
}

static int set_up(void **state) {
    (void)state;
    arena_init(&mem, "test", ARENA_BYTES);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_release(&mem);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cli_reads_commands_of_one_and_two_words),
        cmocka_unit_test(cli_mixes_options_and_operands),
        cmocka_unit_test(cli_repeats_in_order_and_last_one_counts),
        cmocka_unit_test(cli_options_belong_to_commands),
        cmocka_unit_test(cli_suggests_the_nearest_name),
        cmocka_unit_test(cli_refuses_wrong_values),
        cmocka_unit_test(cli_explains_even_when_incomplete),
        cmocka_unit_test(cli_table_is_sound),
        cmocka_unit_test(help_names_every_option_of_a_command),
        cmocka_unit_test(man_page_and_completions_hold_every_option),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
