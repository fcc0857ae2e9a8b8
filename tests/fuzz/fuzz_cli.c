/* fuzz_cli.c - the command line: NUL-separated arguments. A parse either fails with one line of
 * reason, or gives values that every reader accepts. */
#include <stdlib.h>

#include "app/cli.h"

enum { ARGS_MAX = 64, ARENA_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const cli_args *a, arena *mem) {
    MUST(a->operand_count + a->given_count <= ARGS_MAX);
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        const str *values;
        size_t count = cli_all(a, (cli_option)o, mem, &values);
        MUST((count > 0) == cli_has(a, (cli_option)o));
        if (count > 0) MUST(str_eq(values[count - 1], cli_text(a, (cli_option)o)));
        if (count > 0 && row->kind == CLI_CHOICE) MUST(cli_choice(a, (cli_option)o) >= 0);
        if (row->kind == CLI_NUMBER) (void)cli_number(a, (cli_option)o);
        for (size_t i = 0; i < count && row->kind == CLI_ASSIGN; i++) {
            str name, text;
            cli_assignment(values[i], &name, &text);
            MUST(name.n > 0 && text.n > 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text) abort();
    if (size > 0) memcpy(text, data, size);
    text[size] = '\0';
    char *argv[ARGS_MAX] = {text + size};
    int argc = 1;
    for (size_t at = 0; at < size && argc < ARGS_MAX; at += strlen(text + at) + 1) {
        argv[argc++] = text + at;
    }
    arena mem;
    arena_init(&mem, "fuzz", ARENA_BYTES);
    err e = {0};
    cli_args a;
    if (cli_parse(argc, argv, &mem, &a, &e) == RC_OK) {
        read_all(&a, &mem);
    } else {
        MUST(e.msg[0] != '\0' && !strchr(e.msg, '\n'));
    }
    arena_release(&mem);
    free(text);
    return 0;
}
