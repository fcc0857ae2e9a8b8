/* main.c - reads the command line and runs one command. */
#include <stdio.h>

#include "app/cli.h"
#include "app/version.h"

enum { OUTPUT_BYTES_MAX = 1 << 20, ARENA_BYTES_MAX = 256 << 20, HELP_WIDTH = 80 };

static int print(const buf *out) {
    MUST(!out->full);
    bool written = fwrite(out->p, 1, out->n, stdout) == out->n && fflush(stdout) == 0;
    if (!written) fprintf(stderr, "faultline: standard output could not be written\n");
    return written ? EXIT_WITH_OK : EXIT_WITH_NO_OUTPUT;
}

static int fail(const err *why, cli_exit status) {
    fprintf(stderr, "faultline: %s\n", why->msg);
    if (why->hint[0]) fprintf(stderr, "faultline: %s\n", why->hint);
    return status;
}

static int run(const cli_args *a, buf *out, err *e) {
    if (cli_has(a, OPT_SHOW_VERSION) || a->command == CMD_VERSION) {
        buf_put(out, S("faultline " FL_VERSION "\n"));
        return print(out);
    }
    if (cli_has(a, OPT_SHOW_HELP)) {
        cli_help(out, a->command, HELP_WIDTH);
        return print(out);
    }
    switch (a->command) {
    case CMD_HELP:
        if (cli_has(a, OPT_MAN)) {
            cli_man(out, S("faultline " FL_VERSION));
        } else {
            cli_help(out, cli_find_command(a->operands, a->operand_count), HELP_WIDTH);
        }
        return print(out);
    case CMD_COMPLETION:
        cli_completion(out, a->operands[0]);
        return print(out);
    default:
        FAIL(e, RC_UNSUPPORTED, "this command is not part of this build");
        return EXIT_WITH_USAGE;
    }
}

int main(int argc, char **argv) {
    arena mem;
    arena_init(&mem, "command line", ARENA_BYTES_MAX);
    buf out;
    buf_init(&out, OUTPUT_BYTES_MAX);
    err e = {0};
    cli_args args;
    int status = EXIT_WITH_USAGE;
    if (cli_parse(argc, argv, &mem, &args, &e) == RC_OK) status = run(&args, &out, &e);
    if (e.code != RC_OK) status = fail(&e, (cli_exit)status);
    buf_release(&out);
    arena_release(&mem);
    return status;
}
