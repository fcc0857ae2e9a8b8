/* cli.c - parser of the command line, driven by options.tbl.h.
 *
 * One walk over argv. A word that begins with '-' (and is not "-" itself) is an option, looked up
 * among the options of the command seen so far and the global ones; the first one or two other
 * words name the command, the rest are operands. Values are checked as they are met, so the first
 * mistake from the left is the one reported.
 *
 * getopt_long is not used: it permutes argv, prints its own messages, accepts abbreviations (which
 * break scripts when an option is added) and knows neither choices nor the options of a command. */
#include "app/cli.h"

#include <stdio.h>

#include "base/nearest.h"
#include "base/num.h"

/* ---- the tables ---- */

#define C(id)  (1u << CMD_##id)
#define GLOBAL CLI_GLOBAL

static const cli_command_info COMMANDS[CMD_COUNT] = {
#define X(id, words, operands, kind, least, most, summary, text, examples)                         \
    [CMD_##id] = {S_INIT(words), S_INIT(operands), CLI_OPERANDS_##kind, least,                     \
                  most,          S_INIT(summary),  S_INIT(text),        S_INIT(examples)},
    CLI_COMMANDS(X)
#undef X
};

static const cli_option_info OPTIONS[OPT_COUNT] = {
#define X(id, letter, name, argument, kind, values, initial, commands, repeats, help)              \
    [OPT_##id] = {letter,          S_INIT(name), S_INIT(argument), CLI_##kind,  S_INIT(values),    \
                  S_INIT(initial), commands,     repeats,          S_INIT(help)},
    CLI_OPTIONS(X)
#undef X
};

static const cli_exit_info EXITS[] = {
#define X(id, status, meaning) {status, S_INIT(meaning)},
    CLI_EXITS(X)
#undef X
};

_Static_assert(CMD_COUNT <= 31, "cli_option_info.commands has a bit for each command");

const cli_command_info *cli_command_row(cli_command c) {
    MUST(c > CMD_NONE && c < CMD_COUNT);
    return &COMMANDS[c];
}

const cli_option_info *cli_option_row(cli_option o) {
    MUST(o < OPT_COUNT);
    return &OPTIONS[o];
}

const cli_exit_info *cli_exit_rows(size_t *ret_count) {
    *ret_count = ARRAY_LEN(EXITS);
    return EXITS;
}

static bool belongs(const cli_option_info *row, cli_command c) {
    return row->commands == CLI_GLOBAL || (c != CMD_NONE && (row->commands & (1u << c)));
}

cli_command cli_find_command(const str *words, size_t count) {
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str rest = COMMANDS[c].words, word;
        size_t i = 0;
        while (i < count && str_next(&rest, ' ', &word) && str_eq(word, words[i])) i++;
        if (i == count && i > 0 && rest.n == 0) return (cli_command)c;
    }
    return CMD_NONE;
}

/* ---- the nearest name, for "did you mean" ---- */

static void nearest_option(nearest *best, cli_command c) {
    for (int o = 0; o < OPT_COUNT; o++) {
        if (belongs(&OPTIONS[o], c)) nearest_offer(best, OPTIONS[o].name);
    }
}

/* ---- mistakes ---- */

/* An argument for a message: cut so that the reason always fits the line, and printable. */
typedef struct shown {
    char text[81];
} shown;

static shown show(str s) {
    shown out = {{0}};
    for (size_t i = 0; i < s.n && i < sizeof(out.text) - 1; i++) {
        unsigned char c = (unsigned char)s.p[i];
        out.text[i] = c < ' ' || c == 0x7f ? '?' : s.p[i];
    }
    return out;
}

static rc fail_unknown_option(str given, cli_command c, err *e) {
    FAIL(e, RC_INVALID, "unknown option '%s'", show(given).text);
    nearest best = {.given = given};
    while (best.given.n > 0 && best.given.p[0] == '-') best.given = str_from(best.given, 1);
    nearest_option(&best, c);
    if (best.name.n > 0) {
        err_hint(e, "did you mean '--%.*s'?", STR_ARG(best.name));
    } else if (c != CMD_NONE) {
        err_hint(e, "'faultline %.*s --help' lists the options", STR_ARG(COMMANDS[c].words));
    } else {
        err_hint(e, "options of a command stand after it; 'faultline --help' lists the commands");
    }
    return RC_INVALID;
}

/* "there are 'query logs', 'query traces', ..." */
static void hint_second_words(str word, err *e) {
    char list[160];
    size_t n = 0, known = 0;
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str rest = COMMANDS[c].words, first;
        bool within = str_next(&rest, ' ', &first) && rest.n > 0 && str_eq(first, word);
        if (!within || n + COMMANDS[c].words.n + 5 > sizeof(list)) continue;
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s'%.*s'", known ? ", " : "",
                              STR_ARG(COMMANDS[c].words));
        known++;
    }
    if (known == 1) err_hint(e, "did you mean %s?", list);
    if (known > 1) err_hint(e, "there are %s", list);
}

static bool has_second_word(str word) {
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str rest = COMMANDS[c].words, first;
        if (str_next(&rest, ' ', &first) && rest.n > 0 && str_eq(first, word)) return true;
    }
    return false;
}

static rc fail_unknown_command(const str *words, size_t count, err *e) {
    str last = words[count - 1];
    if (count == 2) {
        FAIL(e, RC_INVALID, "unknown command '%s %s'", show(words[0]).text, show(last).text);
    } else {
        FAIL(e, RC_INVALID, "unknown command '%s'", show(last).text);
    }
    nearest best = {.given = last};
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str rest = COMMANDS[c].words, first;
        if (!str_next(&rest, ' ', &first)) continue;
        if (count == 1) nearest_offer(&best, first);
        if (count == 2 && str_eq(first, words[0])) nearest_offer(&best, rest);
    }
    if (count == 2 && best.name.n > 0) {
        err_hint(e, "did you mean '%s %.*s'?", show(words[0]).text, STR_ARG(best.name));
    } else if (count == 2) {
        hint_second_words(words[0], e);
    } else if (best.name.n > 0) {
        err_hint(e, "did you mean '%.*s'?", STR_ARG(best.name));
    } else if (str_find_char(last, '.', 0) != STR_NPOS || str_find_char(last, '/', 0) != STR_NPOS) {
        err_hint(e, "to analyze a file: faultline analyze '%s'", show(last).text);
    } else {
        err_hint(e, "'faultline --help' lists the commands");
    }
    return RC_INVALID;
}

/* The first word of a command that has two. */
static rc fail_half_command(str word, err *e) {
    FAIL(e, RC_INVALID, "'%.*s' needs a second word", STR_ARG(word));
    hint_second_words(word, e);
    return RC_INVALID;
}

static rc fail_choice(const char *dashes, str name, str value, str choices, err *e) {
    char list[200];
    size_t n = MIN(choices.n, sizeof(list) - 1);
    for (size_t i = 0; i < n; i++) list[i] = choices.p[i] == '|' ? ' ' : choices.p[i];
    list[n] = '\0';
    FAIL(e, RC_INVALID, "%s%.*s: '%s' is not one of: %s", dashes, STR_ARG(name), show(value).text,
         list);
    nearest best = {.given = value};
    nearest_word(&best, choices, '|');
    if (best.name.n > 0) err_hint(e, "did you mean '%.*s'?", STR_ARG(best.name));
    return RC_INVALID;
}

/* ---- values ---- */

static int choice_index(str choices, str value) {
    int i = 0;
    for (str word; str_next(&choices, '|', &word); i++) {
        if (str_eq(word, value)) return i;
    }
    return -1;
}

static void range_of(str values, uint64_t *ret_least, uint64_t *ret_most) {
    size_t dots = str_find(values, S(".."), 0);
    MUST(dots != STR_NPOS);
    MUST(num_u64(str_sub(values, 0, dots), ret_least));
    MUST(num_u64(str_from(values, dots + 2), ret_most));
}

void cli_assignment(str value, str *ret_name, str *ret_text) {
    size_t at = str_find_char(value, '=', 0);
    MUST(at != STR_NPOS);
    *ret_name = str_sub(value, 0, at);
    *ret_text = str_from(value, at + 1);
}

static bool is_assignment(str value) {
    size_t at = str_find_char(value, '=', 0);
    if (at == STR_NPOS || at == 0 || at + 1 == value.n) return false;
    for (size_t i = 0; i < at; i++) {
        char c = value.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
    }
    return true;
}

static rc check_value(const cli_option_info *row, str value, err *e) {
    switch (row->kind) {
    case CLI_FLAG:
    case CLI_TEXT:
        return RC_OK;
    case CLI_FILE:
        if (value.n > 0) return RC_OK;
        return FAIL(e, RC_INVALID, "--%.*s: the file name is empty", STR_ARG(row->name));
    case CLI_CHOICE:
        if (choice_index(row->values, value) >= 0) return RC_OK;
        return fail_choice("--", row->name, value, row->values, e);
    case CLI_NUMBER: {
        uint64_t least, most, n;
        range_of(row->values, &least, &most);
        if (num_u64(value, &n) && n >= least && n <= most) return RC_OK;
        return FAIL(e, RC_INVALID, "--%.*s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
                    STR_ARG(row->name), show(value).text, least, most);
    }
    case CLI_ASSIGN:
        if (is_assignment(value)) return RC_OK;
        return FAIL(e, RC_INVALID, "--%.*s: '%s' is not of the form %.*s", STR_ARG(row->name),
                    show(value).text, STR_ARG(row->argument));
    }
    MUST(false && "every kind returns above");
    return RC_INVALID;
}

/* ---- the walk ---- */

typedef struct walk {
    int argc, at; /* at: next argument */
    char *const *argv;
    cli_given *given;
    str *operands;
    str words[2]; /* of the command, as long as it is not known */
    size_t word_count;
    cli_args args;
} walk;

static const cli_option_info *find_option(cli_command c, str name, char letter) {
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = &OPTIONS[o];
        bool same = letter ? row->letter == letter : str_eq(row->name, name);
        if (same && belongs(row, c)) return row;
    }
    return NULL;
}

static rc take_option(walk *w, str arg, err *e) {
    const cli_option_info *row;
    str value = STR_NONE;
    bool attached = false;
    if (arg.p[1] == '-') {
        str name = str_from(arg, 2);
        size_t equals = str_find_char(name, '=', 0);
        if (equals != STR_NPOS) {
            value = str_from(name, equals + 1);
            name = str_sub(name, 0, equals);
            attached = true;
        }
        row = find_option(w->args.command, name, 0);
        if (!row) return fail_unknown_option(str_sub(arg, 0, 2 + name.n), w->args.command, e);
    } else {
        row = find_option(w->args.command, STR_NONE, arg.p[1]);
        if (!row) return fail_unknown_option(arg, w->args.command, e);
        attached = arg.n > 2;
        value = str_from(arg, 2);
    }
    if (row->kind == CLI_FLAG && attached) {
        return FAIL(e, RC_INVALID, "--%.*s takes no value: '%s'", STR_ARG(row->name),
                    show(arg).text);
    }
    if (row->kind != CLI_FLAG && !attached) {
        if (w->at >= w->argc) {
            return FAIL(e, RC_INVALID, "--%.*s: %.*s is missing", STR_ARG(row->name),
                        STR_ARG(row->argument));
        }
        value = str_c(w->argv[w->at++]);
    }
    rc code = check_value(row, value, e);
    if (code != RC_OK) return code;
    w->given[w->args.given_count++] =
        (cli_given){.option = (cli_option)(row - OPTIONS), .value = value};
    return RC_OK;
}

/* A word that is no option: part of the command's name, or an operand. */
static rc take_word(walk *w, str word, err *e) {
    if (w->args.command != CMD_NONE) {
        w->operands[w->args.operand_count++] = word;
        return RC_OK;
    }
    w->words[w->word_count++] = word;
    w->args.command = cli_find_command(w->words, w->word_count);
    if (w->args.command != CMD_NONE) return RC_OK;
    bool may_go_on = w->word_count == 1 && has_second_word(word);
    return may_go_on ? RC_OK : fail_unknown_command(w->words, w->word_count, e);
}

static rc check_operands(const cli_args *a, err *e) {
    const cli_command_info *row = &COMMANDS[a->command];
    if (a->operand_count < row->least) {
        return FAIL(e, RC_INVALID, "%.*s needs %.*s", STR_ARG(row->words), STR_ARG(row->operands));
    }
    if (a->operand_count > row->most) {
        return FAIL(e, RC_INVALID, "%.*s: one argument too many: '%s'", STR_ARG(row->words),
                    show(a->operands[row->most]).text);
    }
    if (row->kind == CLI_OPERANDS_WORDS) {
        for (size_t i = 0; i < a->operand_count; i++) {
            if (choice_index(row->operands, a->operands[i]) < 0) {
                return fail_choice("", row->words, a->operands[i], row->operands, e);
            }
        }
    }
    if (row->kind == CLI_OPERANDS_COMMANDS && a->operand_count > 0 &&
        cli_find_command(a->operands, a->operand_count) == CMD_NONE) {
        if (a->operand_count == 1 && has_second_word(a->operands[0]))
            return fail_half_command(a->operands[0], e);
        return fail_unknown_command(a->operands, a->operand_count, e);
    }
    return RC_OK;
}

rc cli_parse(int argc, char *const *argv, arena *out, cli_args *ret, err *e) {
    MUST(argc >= 0);
    if (argc > CLI_ARGS_MAX) {
        return FAIL(e, RC_LIMIT, "%d arguments; at most %d are taken", argc, (int)CLI_ARGS_MAX);
    }
    walk w = {.argc = argc, .at = 1, .argv = argv};
    w.given = arena_try_new_n(out, cli_given, (size_t)argc + 1);
    w.operands = arena_try_new_n(out, str, (size_t)argc + 1);
    if (!w.given || !w.operands) return FAIL(e, RC_LIMIT, "too many arguments: %d", argc);

    bool options_ended = false;
    while (w.at < argc) {
        str arg = str_c(argv[w.at++]);
        rc code = RC_OK;
        if (!options_ended && str_eq(arg, S("--"))) {
            options_ended = true;
        } else if (!options_ended && arg.n > 1 && arg.p[0] == '-') {
            code = take_option(&w, arg, e);
        } else {
            code = take_word(&w, arg, e);
        }
        if (code != RC_OK) return code;
    }
    w.args.given = w.given;
    w.args.operands = w.operands;
    bool only_explain = cli_has(&w.args, OPT_SHOW_HELP) || cli_has(&w.args, OPT_SHOW_VERSION);
    if (!only_explain) {
        if (w.args.command == CMD_NONE && w.word_count > 0) {
            return fail_half_command(w.words[0], e);
        }
        if (w.args.command == CMD_NONE) {
            FAIL(e, RC_INVALID, "no command was given");
            err_hint(e, "'faultline --help' lists the commands");
            return RC_INVALID;
        }
        rc code = check_operands(&w.args, e);
        if (code != RC_OK) return code;
    }
    *ret = w.args;
    return RC_OK;
}

/* ---- reading ---- */

static const cli_given *last_given(const cli_args *a, cli_option o) {
    for (size_t i = a->given_count; i-- > 0;) {
        if (a->given[i].option == o) return &a->given[i];
    }
    return NULL;
}

bool cli_has(const cli_args *a, cli_option o) { return last_given(a, o) != NULL; }

str cli_text(const cli_args *a, cli_option o) {
    const cli_given *given = last_given(a, o);
    return given ? given->value : cli_option_row(o)->initial;
}

uint64_t cli_number(const cli_args *a, cli_option o) {
    MUST(cli_option_row(o)->kind == CLI_NUMBER);
    str text = cli_text(a, o);
    uint64_t n = 0;
    if (text.n > 0) MUST(num_u64(text, &n)); /* checked by cli_parse */
    return n;
}

int cli_choice(const cli_args *a, cli_option o) {
    MUST(cli_option_row(o)->kind == CLI_CHOICE);
    return choice_index(cli_option_row(o)->values, cli_text(a, o));
}

size_t cli_all(const cli_args *a, cli_option o, arena *out, const str **ret_values) {
    str *values = arena_try_new_n(out, str, a->given_count + 1);
    MUST(values); /* at most CLI_ARGS_MAX: the owner sizes the arena for the command line */
    size_t n = 0;
    for (size_t i = 0; i < a->given_count; i++) {
        if (a->given[i].option == o) values[n++] = a->given[i].value;
    }
    *ret_values = values;
    return n;
}
