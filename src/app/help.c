/* help.c - `--help` and the man page, both made from options.tbl.h. */
#include "app/cli.h"
#include "app/events.tbl.h"
#include "engine/events.tbl.h"

enum { HELP_COLUMN = 26, WIDTH_MIN = 40, WIDTH_MAX = 100 };

static const str ABOUT = S_INIT("find what is abnormal in logs, and what broke first");

/* Words of `text`, wrapped: the cursor stands at column `at`; further lines begin at `indent`. */
static void put_wrapped(buf *out, str text, size_t at, size_t indent, unsigned width) {
    bool first = true;
    for (str word; str_next(&text, ' ', &word);) {
        if (!first && at + 1 + word.n > width) {
            buf_putc(out, '\n');
            buf_pad(out, ' ', indent);
            at = indent;
        } else if (!first) {
            buf_putc(out, ' ');
            at++;
        }
        buf_put(out, word);
        at += word.n;
        first = false;
    }
    buf_putc(out, '\n');
}

/* One entry of a list: what, at the left, and what it means. */
static void put_entry(buf *out, str what, str meaning, unsigned width) {
    buf_put(out, S("  "));
    buf_put(out, what);
    size_t at = 2 + what.n;
    if (at + 2 > HELP_COLUMN) {
        buf_putc(out, '\n');
        at = 0;
    }
    buf_pad(out, ' ', HELP_COLUMN - at);
    put_wrapped(out, meaning, HELP_COLUMN, HELP_COLUMN, width);
}

/* "a|b|c" as "a, b or c". */
static void put_choices(buf *out, str choices) {
    bool first = true;
    for (str word; str_next(&choices, '|', &word);) {
        if (!first) buf_put(out, choices.n == 0 ? S(" or ") : S(", "));
        buf_put(out, word);
        first = false;
    }
}

/* The help text with what the other columns of the table say: choices, default, repetition. */
static void put_meaning(buf *out, const cli_option_info *row) {
    buf_put(out, row->help);
    if (row->kind == CLI_CHOICE) {
        buf_put(out, S(": "));
        put_choices(out, row->values);
    }
    if (row->initial.n > 0) buf_fmt(out, " (default: %.*s)", STR_ARG(row->initial));
    if (row->repeats) buf_put(out, S("; may be given several times"));
}

static bool is_global(const cli_option_info *row) { return row->commands == CLI_GLOBAL; }

static bool is_of(const cli_option_info *row, cli_command c) {
    return !is_global(row) && c != CMD_NONE && (row->commands & (1u << c));
}

/* ---- --help ---- */

enum { ENTRY_BYTES_MAX = 2048 };

static void put_options(buf *out, str title, cli_command c, bool global, unsigned width) {
    buf what, meaning;
    buf_init(&what, ENTRY_BYTES_MAX);
    buf_init(&meaning, ENTRY_BYTES_MAX);
    bool any = false;
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        if (global ? !is_global(row) : !is_of(row, c)) continue;
        if (!any) buf_fmt(out, "\n%.*s:\n", STR_ARG(title));
        any = true;
        buf_reset(&what);
        buf_reset(&meaning);
        if (row->letter) buf_fmt(&what, "-%c, ", row->letter);
        buf_fmt(&what, "--%.*s", STR_ARG(row->name));
        if (row->argument.n > 0) buf_fmt(&what, " %.*s", STR_ARG(row->argument));
        put_meaning(&meaning, row);
        put_entry(out, buf_str(&what), buf_str(&meaning), width);
    }
    buf_release(&what);
    buf_release(&meaning);
}

static void put_examples(buf *out, str examples) {
    if (examples.n == 0) return;
    buf_put(out, S("\nExamples:\n"));
    for (str line; str_next(&examples, '\n', &line);) buf_fmt(out, "  %.*s\n", STR_ARG(line));
}

static void put_overview(buf *out, unsigned width) {
    buf_fmt(out, "faultline: %.*s\n\n", STR_ARG(ABOUT));
    buf_put(out, S("Usage: faultline COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n"));
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        const cli_command_info *row = cli_command_row((cli_command)c);
        put_entry(out, row->words, row->summary, width);
    }
    put_options(out, S("Options of every command"), CMD_NONE, true, width);
    buf_put(out, S("\nExit status:\n"));
    size_t count;
    const cli_exit_info *exits = cli_exit_rows(&count);
    buf status;
    buf_init(&status, 16);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&status);
        buf_i64(&status, exits[i].status);
        put_entry(out, buf_str(&status), exits[i].meaning, width);
    }
    buf_release(&status);
    buf_put(out, S("\n'faultline help COMMAND' explains a command.\n"));
}

void cli_help(buf *out, cli_command c, unsigned width) {
    width = MAX(MIN(width, WIDTH_MAX), WIDTH_MIN);
    if (c == CMD_NONE) {
        put_overview(out, width);
        return;
    }
    const cli_command_info *row = cli_command_row(c);
    buf_fmt(out, "faultline %.*s: %.*s\n\n", STR_ARG(row->words), STR_ARG(row->summary));
    buf_fmt(out, "Usage: faultline %.*s [OPTION...]%s%.*s\n", STR_ARG(row->words),
            row->operands.n > 0 ? " " : "", STR_ARG(row->operands));
    if (row->text.n > 0) {
        buf_putc(out, '\n');
        put_wrapped(out, row->text, 0, 0, width);
    }
    put_options(out, S("Options"), c, false, width);
    put_options(out, S("Options of every command"), c, true, width);
    put_examples(out, row->examples);
}

/* ---- the man page ---- */

/* Text in mdoc: a backslash would be an escape, a leading dot or quote a request. */
static void man_text(buf *out, str s) {
    for (size_t i = 0; i < s.n; i++) {
        bool line_start = out->n == 0 || out->p[out->n - 1] == '\n';
        if (line_start && (s.p[i] == '.' || s.p[i] == '\'')) buf_put(out, S("\\&"));
        switch (s.p[i]) {
        case '\\':
            buf_put(out, S("\\e"));
            break;
        case '-':
            buf_put(out, S("\\-"));
            break;
        case '\'':
            buf_put(out, S("\\(aq"));
            break;
        case '~':
            buf_put(out, S("\\(ti"));
            break;
        default:
            buf_putc(out, s.p[i]);
        }
    }
}

/* One sentence a line, as mdoc wants it: no full stop within a line. */
static void man_sentences(buf *out, str s) {
    for (;;) {
        size_t stop = str_find(s, S(". "), 0);
        if (stop == STR_NPOS) break;
        man_text(out, str_sub(s, 0, stop + 1));
        buf_putc(out, '\n');
        s = str_from(s, stop + 2);
    }
    man_text(out, s);
    buf_putc(out, '\n');
}

/* An argument of a macro: quoted, so that punctuation and macro names are taken as text. */
static void man_word(buf *out, str s) {
    buf_put(out, S(" \""));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') continue;
        buf_putc(out, s.p[i]);
    }
    buf_putc(out, '"');
}

static void man_options(buf *out, cli_command c, bool global) {
    buf meaning;
    buf_init(&meaning, ENTRY_BYTES_MAX);
    bool any = false;
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        if (global ? !is_global(row) : !is_of(row, c)) continue;
        if (!any) buf_put(out, S(".Bl -tag -width Ds\n"));
        any = true;
        buf_put(out, S(".It"));
        if (row->letter) buf_fmt(out, " Fl %c ,", row->letter);
        buf_fmt(out, " Fl -%.*s", STR_ARG(row->name));
        if (row->argument.n > 0) {
            buf_put(out, S(" Ar"));
            man_word(out, row->argument);
        }
        buf_putc(out, '\n');
        buf_reset(&meaning);
        put_meaning(&meaning, row);
        buf_putc(&meaning, '.');
        man_sentences(out, buf_str(&meaning));
    }
    if (any) buf_put(out, S(".El\n"));
    buf_release(&meaning);
}

static void man_command(buf *out, cli_command c) {
    const cli_command_info *row = cli_command_row(c);
    buf_put(out, S(".Ss faultline"));
    buf_fmt(out, " %.*s", STR_ARG(row->words));
    if (row->operands.n > 0) buf_fmt(out, " %.*s", STR_ARG(row->operands));
    buf_putc(out, '\n');
    str first = str_sub(row->summary, 0, 1);
    MUST(first.n == 1 && first.p[0] >= 'a' && first.p[0] <= 'z');
    buf_putc(out, (char)(first.p[0] - 'a' + 'A'));
    man_text(out, str_from(row->summary, 1));
    buf_put(out, S(".\n"));
    if (row->text.n > 0) man_sentences(out, row->text);
    man_options(out, c, false);
}

static void man_examples(buf *out) {
    buf_put(out, S(".Sh EXAMPLES\n.Bd -literal\n"));
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str examples = cli_command_row((cli_command)c)->examples;
        for (str line; str_next(&examples, '\n', &line);) {
            man_text(out, line);
            buf_putc(out, '\n');
        }
    }
    buf_put(out, S(".Ed\n"));
}

void cli_man(buf *out, str version) {
    buf_put(out, S(".Dd " CLI_MAN_DATE "\n.Dt FAULTLINE 1\n.Os"));
    man_word(out, version);
    buf_put(out, S("\n.Sh NAME\n.Nm faultline\n.Nd "));
    man_text(out, ABOUT);
    buf_put(out, S("\n.Sh SYNOPSIS\n"));
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        const cli_command_info *row = cli_command_row((cli_command)c);
        buf_fmt(out, ".Nm\n.Cm %.*s\n.Op Ar option ...\n", STR_ARG(row->words));
        if (row->operands.n > 0) {
            buf_put(out, S(".Ar"));
            man_word(out, row->operands);
            buf_putc(out, '\n');
        }
    }
    buf_put(out, S(".Sh DESCRIPTION\n"
                   "Options and arguments may be mixed.\n"
                   "A value follows its option as the next argument, or after an equals sign.\n"
                   "An argument of two dashes ends the options.\n"));
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) man_command(out, (cli_command)c);
    buf_put(out, S(".Ss Options of every command\n"));
    man_options(out, CMD_NONE, true);
    buf_put(out, S(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
                   ".It Ev NO_COLOR\nWhen set, there is no colour unless it is asked for.\n"
                   ".It Ev COLUMNS\nWidth of the terminal, if it should not be asked.\n.El\n"
                   ".Sh EXIT STATUS\n.Bl -tag -width Ds\n"));
    size_t count;
    const cli_exit_info *exits = cli_exit_rows(&count);
    for (size_t i = 0; i < count; i++) {
        buf_fmt(out, ".It %d\n", exits[i].status);
        char first = exits[i].meaning.p[0];
        buf_putc(out, (char)(first - 'a' + 'A'));
        man_text(out, str_from(exits[i].meaning, 1));
        buf_put(out, S(".\n"));
    }
    buf_put(out, S(".El\n.Sh LOG EVENTS\n"
                   "What --log-level shows, by level.\n.Bl -tag -width Ds\n"));
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        buf_fmt(out, ".It %s (%s)\n", APP_EVENT[i].name, levels[APP_EVENT[i].level]);
        man_text(out, str_c(APP_EVENT[i].meaning));
        buf_put(out, S(".\n"));
    }
    for (size_t i = 0; i < ENGINE_EVENT_COUNT; i++) {
        buf_fmt(out, ".It %s (%s)\n", ENGINE_EVENT[i].name, levels[ENGINE_EVENT[i].level]);
        man_text(out, str_c(ENGINE_EVENT[i].meaning));
        buf_put(out, S(".\n"));
    }
    buf_put(out, S(".El\n"));
    man_examples(out);
}
