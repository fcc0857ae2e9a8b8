/* main.c - the commands' entry. Owns nothing; commands own what lives as long as they run. */
#include <stdio.h>

#include "app/commands.h"
#include "app/output.h"
#include "app/version.h"
#include "sys/log.h"
#include "sys/term.h"

enum { ARGS_ARENA_MAX = 64 << 20, HELP_BYTES_MAX = 1 << 20, STDOUT_FD = 1, STDERR_FD = 2 };

int tell_failure(const err *e) {
    fprintf(stderr, "faultline: %s\n", e->msg[0] != '\0' ? e->msg : rc_name(e->code));
    if (e->hint[0] != '\0') fprintf(stderr, "  hint: %s\n", e->hint);
    if (e->code == RC_CANCELLED) return EXIT_WITH_INTERRUPTED;
    return e->code == RC_NOT_FOUND || e->code == RC_IO ? EXIT_WITH_NO_INPUT : EXIT_WITH_USAGE;
}

static int print_text(const buf *text) {
    output o;
    err e = {0};
    rc got = output_open(&o, &SYS_FS_REAL, STR_NONE, &e);
    if (got == RC_OK) {
        IGNORE(output_put(&o, buf_str(text))); /* output_close tells a failure */
        got = output_close(&o, &e);
    }
    if (got == RC_OK) return EXIT_WITH_OK;
    tell_failure(&e);
    return EXIT_WITH_NO_OUTPUT;
}

static int cmd_help(const cli_args *a, buf *text) {
    if (cli_has(a, OPT_MAN)) {
        cli_man(text, S("faultline " FL_VERSION));
        return print_text(text);
    }
    cli_command c = cli_find_command(a->operands, a->operand_count);
    if (c == CMD_NONE && a->operand_count > 0) {
        fprintf(stderr, "faultline: no command \"%.*s\"\n  hint: faultline help lists them\n",
                STR_ARG(a->operands[0]));
        return EXIT_WITH_USAGE;
    }
    cli_help(text, c, sys_term_width(STDOUT_FD));
    return print_text(text);
}

static int dispatch(const cli_args *a, buf *text) {
    if (cli_has(a, OPT_SHOW_HELP)) {
        cli_help(text, a->command, sys_term_width(STDOUT_FD));
        return print_text(text);
    }
    if (cli_has(a, OPT_SHOW_VERSION) || a->command == CMD_VERSION) {
        buf_put(text, S("faultline " FL_VERSION "\n"));
        return print_text(text);
    }
    static const sys_log_level levels[] = {SYS_LOG_ERROR, SYS_LOG_WARN, SYS_LOG_INFO,
                                           SYS_LOG_DEBUG};
    sys_log_setup(levels[cli_choice(a, OPT_LOG_LEVEL)], STDERR_FD, SYS_CLOCK_REAL);
    switch (a->command) {
    case CMD_ANALYZE:
        return cmd_analyze(a);
    case CMD_MINE:
        return cmd_mine(a);
    case CMD_PATTERNS_DIFF:
        return cmd_patterns_diff(a);
    case CMD_DETECT_SESSIONS:
        return cmd_detect_sessions(a);
    case CMD_SERVE:
        return cmd_serve(a);
    case CMD_CONFIG_PRINT:
    case CMD_CONFIG_VALIDATE:
    case CMD_CONFIG_DOCS:
        return cmd_config(a);
    case CMD_TOKEN_NEW:
        return cmd_token_new(a);
    case CMD_QUERY_LOGS:
        return cmd_query_logs(a);
    case CMD_QUERY_TRACES:
        return cmd_query_traces(a);
    case CMD_QUERY_TRACE:
        return cmd_query_trace(a);
    case CMD_QUERY_METRICS:
        return cmd_query_metrics(a);
    case CMD_TAIL:
        return cmd_tail(a);
    case CMD_STATUS:
        return cmd_status(a);
    case CMD_PARTITIONS:
        return cmd_partitions(a);
    case CMD_FSCK:
        return cmd_fsck(a);
    case CMD_COMPACT:
        return cmd_compact(a);
    case CMD_EXPORT:
        return cmd_export(a);
    case CMD_COMPLETION:
        cli_completion(text, a->operands[0]);
        return print_text(text);
    case CMD_HELP:
        return cmd_help(a, text);
    default:
        cli_help(text, CMD_NONE, sys_term_width(STDOUT_FD));
        print_text(text);
        return EXIT_WITH_USAGE;
    }
}

int main(int argc, char **argv) {
    sys_broken_pipe_is_failure(); /* told or ignored by output.c */
    arena mem;
    buf text;
    arena_init(&mem, "arguments", ARGS_ARENA_MAX);
    buf_init(&text, HELP_BYTES_MAX);
    cli_args a;
    err e = {0};
    int status =
        cli_parse(argc, argv, &mem, &a, &e) == RC_OK ? dispatch(&a, &text) : tell_failure(&e);
    buf_release(&text);
    arena_release(&mem);
    return status;
}
