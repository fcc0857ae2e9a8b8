/* completion.c - completion scripts for bash and zsh, made from options.tbl.h.
 *
 * bash: one function that finds the command among the words typed so far, then offers the choices
 * of the option before the cursor, the options that fit, or the words the command takes; where it
 * has nothing to say, bash completes file names. It uses nothing of the bash-completion package.
 * zsh: the same walk, then _arguments with a list of specifications for each command. */
#include "app/cli.h"

static bool of_command(const cli_option_info *row, cli_command c) {
    return row->commands == CLI_GLOBAL || (c != CMD_NONE && (row->commands & (1u << c)));
}

/* "a|b|c" as "a b c". */
static void put_words(buf *out, str list) {
    for (size_t i = 0; i < list.n; i++) buf_putc(out, list.p[i] == '|' ? ' ' : list.p[i]);
}

/* Every command, and the first word of each that has two: "analyze|mine|patterns|patterns diff". */
static void put_command_pattern(buf *out) {
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str words = cli_command_row((cli_command)c)->words, rest = words, first;
        MUST(str_next(&rest, ' ', &first));
        if (c > CMD_NONE + 1) buf_putc(out, '|');
        buf_fmt(out, "\"%.*s\"", STR_ARG(first));
        if (rest.n > 0) buf_fmt(out, "|\"%.*s\"", STR_ARG(words));
    }
}

/* Words that may follow `before` ("" or the first word of a command). */
static void put_next_words(buf *out, str before) {
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str rest = cli_command_row((cli_command)c)->words, first, word;
        MUST(str_next(&rest, ' ', &first));
        if (before.n == 0) {
            buf_fmt(out, "%.*s ", STR_ARG(first));
        } else if (str_eq(first, before) && str_next(&rest, ' ', &word)) {
            buf_fmt(out, "%.*s ", STR_ARG(word));
        }
    }
}

/* ---- bash ---- */

/* case arms "command:--option": the choices of that option. */
static void bash_choices(buf *out) {
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        if (row->kind != CLI_CHOICE) continue;
        buf_put(out, S("    "));
        if (row->commands == CLI_GLOBAL) {
            buf_fmt(out, "*:--%.*s", STR_ARG(row->name));
        }
        bool first = true;
        for (int c = CMD_NONE + 1; c < CMD_COUNT && row->commands != CLI_GLOBAL; c++) {
            if (!of_command(row, (cli_command)c)) continue;
            str words = cli_command_row((cli_command)c)->words;
            buf_fmt(out, "%s\"%.*s:--%.*s\"", first ? "" : " | ", STR_ARG(words),
                    STR_ARG(row->name));
            first = false;
        }
        buf_put(out, S(") offer=\""));
        put_words(out, row->values);
        buf_put(out, S("\" ;;\n"));
    }
}

/* One arm for all other options that take a value: nothing to offer but file names. */
static void bash_valued(buf *out) {
    buf_put(out, S("    *:-o"));
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        if (row->kind == CLI_CHOICE || row->kind == CLI_FLAG) continue;
        buf_fmt(out, " | *:--%.*s", STR_ARG(row->name));
    }
    buf_put(out, S(") return ;;\n"));
}

static void bash_options(buf *out, cli_command c) {
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        if (of_command(row, c)) buf_fmt(out, "--%.*s ", STR_ARG(row->name));
    }
}

static void put_bash(buf *out) {
    buf_put(out, S("# bash completion of faultline; made by: faultline completion bash\n"
                   "_faultline() {\n"
                   "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                   "  local command= offer= word i\n"
                   "  if [[ $cur == = ]]; then cur=\n"
                   "  elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
                   "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                   "    word=\"${command:+$command }${COMP_WORDS[i]}\"\n"
                   "    case $word in\n    "));
    put_command_pattern(out);
    buf_put(out, S(") command=$word ;;\n"
                   "    esac\n"
                   "  done\n"
                   "  case $command:$prev in\n"));
    bash_choices(out);
    bash_valued(out);
    buf_put(out, S("    *) case $command in\n"
                   "      '') offer=\""));
    put_next_words(out, STR_NONE);
    bash_options(out, CMD_NONE);
    buf_put(out, S("\" ;;\n"));
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        const cli_command_info *row = cli_command_row((cli_command)c);
        str rest = row->words, first;
        MUST(str_next(&rest, ' ', &first));
        if (rest.n > 0) {
            buf_fmt(out, "      \"%.*s\") offer=\"", STR_ARG(first));
            put_next_words(out, first);
            buf_put(out, S("\" ;;\n"));
        }
        buf_fmt(out, "      \"%.*s\") if [[ $cur == -* ]]; then offer=\"", STR_ARG(row->words));
        bash_options(out, (cli_command)c);
        buf_put(out, S("\"; else offer=\""));
        if (row->kind == CLI_OPERANDS_WORDS) put_words(out, row->operands);
        if (row->kind == CLI_OPERANDS_COMMANDS) put_next_words(out, STR_NONE);
        buf_put(out, S("\"; fi ;;\n"));
    }
    buf_put(out, S("    esac ;;\n"
                   "  esac\n"
                   "  COMPREPLY=($(compgen -W \"$offer\" -- \"$cur\"))\n"
                   "}\n"
                   "complete -o bashdefault -o default -F _faultline faultline\n"));
}

/* ---- zsh ---- */

/* Text within a single-quoted _arguments specification. */
static void zsh_text(buf *out, str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\'') {
            buf_put(out, S("'\\''"));
            continue;
        }
        if (c == '[' || c == ']' || c == ':' || c == '\\') buf_putc(out, '\\');
        buf_putc(out, c);
    }
}

static void zsh_option(buf *out, const cli_option_info *row) {
    buf_put(out, S("      "));
    if (row->letter) {
        buf_fmt(out, "'(-%c --%.*s)'{-%c,--%.*s%s}'", row->letter, STR_ARG(row->name), row->letter,
                STR_ARG(row->name), row->kind == CLI_FLAG ? "" : "=");
    } else {
        buf_fmt(out, "'%s--%.*s%s", row->repeats ? "*" : "", STR_ARG(row->name),
                row->kind == CLI_FLAG ? "" : "=");
    }
    buf_putc(out, '[');
    zsh_text(out, row->help);
    buf_putc(out, ']');
    if (row->kind != CLI_FLAG) {
        buf_putc(out, ':');
        zsh_text(out, row->argument);
        buf_putc(out, ':');
    }
    if (row->kind == CLI_FILE) buf_put(out, S("_files"));
    if (row->kind == CLI_CHOICE) {
        buf_putc(out, '(');
        put_words(out, row->values);
        buf_putc(out, ')');
    }
    buf_put(out, S("' \\\n"));
}

static void zsh_command(buf *out, cli_command c) {
    const cli_command_info *row = cli_command_row(c);
    buf_fmt(out, "  \"%.*s\") _arguments -S \\\n", STR_ARG(row->words));
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *option = cli_option_row((cli_option)o);
        if (of_command(option, c)) zsh_option(out, option);
    }
    switch (row->kind) {
    case CLI_OPERANDS_NONE:
        buf_put(out, S("      ;;\n"));
        break;
    case CLI_OPERANDS_TEXTS:
        buf_put(out, S("      '*:text:' ;;\n"));
        break;
    case CLI_OPERANDS_FILES:
        buf_put(out, S("      '*:file:_files' ;;\n"));
        break;
    case CLI_OPERANDS_WORDS:
        buf_put(out, S("      '1:shell:("));
        put_words(out, row->operands);
        buf_put(out, S(")' ;;\n"));
        break;
    case CLI_OPERANDS_COMMANDS:
        buf_put(out, S("      '*:command:("));
        put_next_words(out, STR_NONE);
        buf_put(out, S(")' ;;\n"));
        break;
    }
}

static void put_zsh(buf *out) {
    buf_put(out, S("#compdef faultline\n"
                   "# zsh completion of faultline; made by: faultline completion zsh\n"
                   "_faultline() {\n"
                   "  local command= word i last=1\n"
                   "  for ((i = 2; i < CURRENT; i++)); do\n"
                   "    word=\"${command:+$command }${words[i]}\"\n"
                   "    case $word in\n    "));
    put_command_pattern(out);
    buf_put(out, S(") command=$word; last=$i ;;\n"
                   "    esac\n"
                   "  done\n"
                   "  words=(faultline \"${(@)words[last+1,-1]}\")\n"
                   "  (( CURRENT -= last - 1 ))\n"
                   "  case $command in\n"
                   "  '') _arguments -S \\\n"));
    for (int o = 0; o < OPT_COUNT; o++) {
        const cli_option_info *row = cli_option_row((cli_option)o);
        if (row->commands == CLI_GLOBAL) zsh_option(out, row);
    }
    buf_put(out, S("      '1:command:("));
    put_next_words(out, STR_NONE);
    buf_put(out, S(")' ;;\n"));
    for (int c = CMD_NONE + 1; c < CMD_COUNT; c++) {
        str rest = cli_command_row((cli_command)c)->words, first;
        MUST(str_next(&rest, ' ', &first));
        if (rest.n > 0) {
            buf_fmt(out, "  \"%.*s\") _arguments '1:command:(", STR_ARG(first));
            put_next_words(out, first);
            buf_put(out, S(")' ;;\n"));
        }
        zsh_command(out, (cli_command)c);
    }
    buf_put(out, S("  esac\n"
                   "}\n"
                   "if [[ $zsh_eval_context == *loadautofunc* ]]; then _faultline \"$@\"\n"
                   "else compdef _faultline faultline; fi\n"));
}

void cli_completion(buf *out, str shell) {
    if (str_eq(shell, S("zsh"))) {
        put_zsh(out);
    } else {
        MUST(str_eq(shell, S("bash")));
        put_bash(out);
    }
}
