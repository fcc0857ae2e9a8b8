/* cmd_config.c - `config print | validate | docs` and `token new`. */
#include <stdio.h>

#include "app/commands.h"
#include "app/config_file.h"
#include "app/output.h"
#include "engine/auth.h"

enum { TEXT_BYTES_MAX = 4 << 20 };

rc config_from_file(str path, config **ret, err *e) {
    buf yaml;
    buf_init(&yaml, CONFIG_FILE_BYTES_MAX);
    rc code = sys_read_file(&SYS_FS_REAL, path, CONFIG_FILE_BYTES_MAX, &yaml, e);
    if (code == RC_OK) code = config_load(buf_str(&yaml), path, ret, e);
    buf_release(&yaml);
    return code;
}

rc config_from_args(const cli_args *a, config **ret, err *e) {
    static const struct {
        cli_option option;
        str key;
    } SHORT[] = {{OPT_DATA_DIR, S_INIT("data.dir")},
                 {OPT_LISTEN_GRPC, S_INIT("listen.otlp_grpc")},
                 {OPT_LISTEN_HTTP, S_INIT("listen.otlp_http")},
                 {OPT_LISTEN_API, S_INIT("listen.api")}};
    config *c = NULL;
    str file = cli_text(a, OPT_CONFIG);
    if (file.n == 0 && a->command == CMD_CONFIG_PRINT && a->operand_count > 0)
        file = a->operands[0];
    rc code = file.n > 0 ? config_from_file(file, &c, e) : config_default(&c, e);
    for (size_t i = 0; code == RC_OK && i < ARRAY_LEN(SHORT); i++) {
        if (cli_has(a, SHORT[i].option))
            code = config_set(c, SHORT[i].key, cli_text(a, SHORT[i].option), e);
    }
    for (size_t i = 0; code == RC_OK && i < a->given_count; i++) {
        if (a->given[i].option != OPT_SET) continue;
        str text = a->given[i].value;
        size_t equals = str_find_char(text, '=', 0);
        if (equals == STR_NPOS) {
            code = FAIL(e, RC_INVALID, "--set '%.*s' is not of the form KEY=VALUE",
                        (int)MIN(text.n, 80), text.p);
            break;
        }
        code = config_set(c, str_sub(text, 0, equals), str_from(text, equals + 1), e);
        if (code != RC_OK) err_wrap(e, code, "--set");
    }
    if (code != RC_OK) {
        config_free(c);
        return code;
    }
    *ret = c;
    return RC_OK;
}

static int print(const buf *text) {
    output o;
    err e = {0};
    rc code = output_open(&o, &SYS_FS_REAL, STR_NONE, &e);
    if (code == RC_OK) {
        IGNORE(output_put(&o, buf_str(text))); /* output_close tells a failure */
        code = output_close(&o, &e);
    }
    if (code == RC_OK) return EXIT_WITH_OK;
    tell_failure(&e);
    return EXIT_WITH_NO_OUTPUT;
}

int cmd_config(const cli_args *a) {
    config *c = NULL;
    err e = {0};
    buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    rc code = RC_OK;
    if (a->command == CMD_CONFIG_VALIDATE) {
        code = config_from_file(a->operands[0], &c, &e);
        if (code == RC_OK) code = config_check(c, &e);
        if (code == RC_INVALID && !str_starts(str_c(e.msg), a->operands[0]))
            err_wrap(&e, code, "%.*s", STR_ARG(a->operands[0]));
        if (code == RC_OK) buf_fmt(&text, "%.*s: valid\n", STR_ARG(a->operands[0]));
    } else if (a->command == CMD_CONFIG_PRINT) {
        code = config_from_args(a, &c, &e);
        if (code == RC_OK) IGNORE(config_put(c, true, &text)); /* bounded by the file's size */
    } else {
        IGNORE(config_put_docs(&text)); /* bounded by the table */
    }
    int status = code == RC_OK ? print(&text) : tell_failure(&e);
    config_free(c);
    buf_release(&text);
    return status;
}

int cmd_token_new(const cli_args *a) {
    char token[AUTH_TOKEN_CHARS + 1], hash[2 * AUTH_HASH_BYTES + 1];
    err e = {0};
    str name = a->operands[0];
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';
        if (fine) continue;
        IGNORE(FAIL(&e, RC_INVALID, "'%.*s' is not a name: letters, digits, '-', '_' and '.'",
                    (int)MIN(name.n, 80), name.p));
        return tell_failure(&e);
    }
    if (name.n == 0 || auth_make_token(token, hash, &e) != RC_OK) {
        if (name.n == 0) IGNORE(FAIL(&e, RC_INVALID, "the name is empty"));
        return tell_failure(&e);
    }
    str role = cli_text(a, OPT_ROLE);
    buf text;
    buf_init(&text, 4096);
    buf_fmt(&text,
            "token:  %s\n"
            "entry:  \"%.*s:%.*s:%s\"\n\n"
            "Give the token to the client (Authorization: Bearer ...), and the entry to the\n"
            "configuration:\n\n"
            "auth:\n"
            "  tokens:\n"
            "    - \"%.*s:%.*s:%s\"\n",
            token, STR_ARG(name), STR_ARG(role), hash, STR_ARG(name), STR_ARG(role), hash);
    int status = print(&text);
    buf_release(&text);
    return status;
}
