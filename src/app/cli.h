/* cli.h - the command line: commands and options as declared in options.tbl.h.
 *
 *     faultline [GLOBAL OPTION...] COMMAND [OPTION...] [OPERAND...]
 *
 * Options and operands mix freely; "--name value" and "--name=value" are the same, "-o value" and
 * "-ovalue" too; "--" ends the options; "-" is an operand. Of an option that does not repeat, the
 * last one counts. Everything that the table states (choices, ranges, number of operands) is
 * checked here, so a command only reads values. Times, zones, regular expressions and files are
 * checked by the command that uses them. */
#ifndef FL_APP_CLI_H
#define FL_APP_CLI_H

#include "app/options.tbl.h"
#include "base/arena.h"
#include "base/buf.h"

#define CLI_MANY SIZE_MAX
enum { CLI_ARGS_MAX = 1 << 20 };

typedef enum cli_command {
    CMD_NONE = 0, /* no command was given */
#define X(id, ...) CMD_##id,
    CLI_COMMANDS(X)
#undef X
        CMD_COUNT
} cli_command;

typedef enum cli_option {
#define X(id, ...) OPT_##id,
    CLI_OPTIONS(X)
#undef X
        OPT_COUNT
} cli_option;

typedef enum cli_exit {
#define X(id, status, ...) EXIT_WITH_##id = status,
    CLI_EXITS(X)
#undef X
} cli_exit;

typedef enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_FILE, CLI_CHOICE, CLI_NUMBER, CLI_ASSIGN } cli_kind;

typedef enum cli_operands {
    CLI_OPERANDS_NONE,
    CLI_OPERANDS_FILES,
    CLI_OPERANDS_TEXTS,
    CLI_OPERANDS_WORDS,
    CLI_OPERANDS_COMMANDS
} cli_operands;

/* Rows of the table; static, for help and completion. */
typedef struct cli_command_info {
    str words, operands;
    cli_operands kind;
    size_t least, most;
    str summary, text, examples;
} cli_command_info;

typedef struct cli_option_info {
    char letter; /* 0: none */
    str name, argument;
    cli_kind kind;
    str values, initial;
    uint32_t commands; /* bit CMD_x set: the option belongs to that command */
    bool repeats;
    str help;
} cli_option_info;

typedef struct cli_exit_info {
    int status;
    str meaning;
} cli_exit_info;

#define CLI_GLOBAL UINT32_MAX

const cli_command_info *cli_command_row(cli_command c); /* c != CMD_NONE */
const cli_option_info *cli_option_row(cli_option o);
const cli_exit_info *cli_exit_rows(size_t *ret_count);

typedef struct cli_given {
    cli_option option;
    str value;
} cli_given;

/* Borrows argv; lists are owned by the arena given to cli_parse. */
typedef struct cli_args {
    cli_command command;
    const str *operands;
    size_t operand_count;
    const cli_given *given; /* in the order of the command line */
    size_t given_count;
} cli_args;

/* RC_INVALID: the message says what is wrong, the hint what to do. With --help among the arguments
 * nothing is said about missing operands. */
MUST_CHECK rc cli_parse(int argc, char *const *argv, arena *out, cli_args *ret, err *e);

bool cli_has(const cli_args *a, cli_option o); /* given at all */
/* The value, or the table's default (empty when there is none). */
str cli_text(const cli_args *a, cli_option o);
/* NUMBER: the value or the default; 0 when there is neither. */
uint64_t cli_number(const cli_args *a, cli_option o);
/* CHOICE: position of the value (or default) in the table's list, from 0; -1 when neither. */
int cli_choice(const cli_args *a, cli_option o);
/* Repeated options: all values in order, in `out`. */
size_t cli_all(const cli_args *a, cli_option o, arena *out, const str **ret_values);
/* Splits NAME=TEXT. */
void cli_assignment(str value, str *ret_name, str *ret_text);

/* The command of these words; CMD_NONE when there is none. */
cli_command cli_find_command(const str *words, size_t count);

/* help.c. `c` = CMD_NONE: the overview. Plain text for `width` columns. */
void cli_help(buf *out, cli_command c, unsigned width);
/* The man page faultline(1) in mdoc. */
void cli_man(buf *out, str version);
/* completion.c. shell: "bash" or "zsh" (checked by cli_parse). */
void cli_completion(buf *out, str shell);

#endif
