/* config_put.c - a configuration as YAML that loads back equal, and the page of documentation. Both
 * walk the table. References (${env:X}) are printed as written, never what they stand for. */
#include "base/utf8.h"
#include "engine/config_int.h"

enum { LINE_WIDTH = 92 };

/* Double-quoted YAML. It takes raw only what it calls printable, and reads some other characters as
 * line ends: everything that is in doubt is escaped. */
static void put_quoted(str s, buf *out) {
    buf_putc(out, '"');
    for (size_t at = 0; at < s.n;) {
        size_t from = at;
        uint32_t c = utf8_next(s, &at);
        if (c == UTF8_BAD) c = 0xFFFD;
        bool raw =
            (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c < 0xD800 && c != 0x2028 && c != 0x2029);
        if (c == '"' || c == '\\')
            buf_fmt(out, "\\%c", (char)c);
        else if (raw)
            buf_put(out, str_sub(s, from, at - from));
        else
            buf_fmt(out, c <= 0xFFFF ? "\\u%04" PRIX32 : "\\U%08" PRIX32, c);
    }
    buf_putc(out, '"');
}

/* Plain where nothing can be mistaken. */
static void put_scalar(const config_row *row, str s, buf *out) {
    bool plain = row->kind == KIND_BOOL || row->kind == KIND_INT || row->kind == KIND_DURATION ||
                 row->kind == KIND_BYTES || row->kind == KIND_CHOICE;
    for (size_t i = 0; plain && i < s.n; i++) plain = s.p[i] != '$' && s.p[i] != '{';
    if (plain && s.n > 0)
        buf_put(out, s);
    else
        put_quoted(s, out);
}

/* "# text" wrapped at blanks. */
static void put_comment(str text, unsigned indent, buf *out) {
    size_t column = LINE_WIDTH;
    for (str word; str_next(&text, ' ', &word);) {
        if (column + 1 + word.n > LINE_WIDTH) {
            if (out->n > 0 && out->p[out->n - 1] != '\n') buf_putc(out, '\n');
            buf_pad(out, ' ', indent);
            buf_putc(out, '#');
            column = indent + 1;
        }
        buf_putc(out, ' ');
        buf_put(out, word);
        column += 1 + word.n;
    }
    buf_putc(out, '\n');
}

static const char *kind_name(config_kind k) {
    static const char *const names[] = {
        [KIND_BOOL] = "true or false", [KIND_INT] = "integer", [KIND_DURATION] = "duration",
        [KIND_BYTES] = "size",         [KIND_TEXT] = "text",   [KIND_PATH] = "path",
        [KIND_ADDRESS] = "address",    [KIND_CHOICE] = "word", [KIND_LIST] = "list of texts"};
    return names[k];
}

static void put_value(const config_row *row, const config_value *v, buf *out) {
    if (row->kind != KIND_LIST) {
        put_scalar(row, v->raw, out);
        return;
    }
    buf_putc(out, '[');
    for (size_t i = 0; i < v->count; i++) {
        if (i > 0) buf_put(out, S(", "));
        put_quoted(v->raw_list[i], out);
    }
    buf_putc(out, ']');
}

bool config_put(const config *c, bool with_help, buf *out) {
    MUST(c->magic == CONFIG_MAGIC);
    str open_sub = STR_NONE; /* "tls.api" while its keys are written */
    for (size_t s = 0; s < CONFIG_SECTION_COUNT; s++) {
        const config_section *section = &CONFIG_SECTION_ROWS[s];
        if (with_help) {
            if (s > 0) buf_putc(out, '\n');
            put_comment(section->help, 0, out);
        }
        buf_fmt(out, "%.*s:\n", STR_ARG(section->name));
        for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
            const config_row *row = &CONFIG_ROWS[i];
            size_t dot = str_find_char(row->key, '.', 0);
            if (!str_eq(str_sub(row->key, 0, dot), section->name)) continue;
            size_t last = str_rfind_char(row->key, '.');
            str sub = str_sub(row->key, 0, last);
            unsigned indent = last == dot ? 2 : 4;
            if (last != dot && !str_eq(sub, open_sub))
                buf_fmt(out, "  %.*s:\n", STR_ARG(str_from(sub, dot + 1)));
            open_sub = sub;
            if (with_help) put_comment(row->help, indent, out);
            buf_pad(out, ' ', indent);
            buf_put(out, str_from(row->key, last + 1));
            buf_put(out, S(": "));
            put_value(row, &c->v[i], out);
            buf_putc(out, '\n');
        }
    }
    return !out->full;
}

/* In a cell of a Markdown table. */
static void put_cell(str s, buf *out) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '|') buf_putc(out, '\\');
        buf_putc(out, s.p[i]);
    }
}

static void put_docs_row(const config_row *row, buf *out) {
    buf_fmt(out, "| `%.*s` | %s", STR_ARG(row->key), kind_name(row->kind));
    if (row->kind == KIND_CHOICE) {
        buf_put(out, S(": "));
        put_cell(row->values, out);
    } else if (row->values.n > 0) {
        size_t dots = str_find(row->values, S(".."), 0);
        buf_fmt(out, ", %.*s to %.*s", (int)dots, row->values.p,
                STR_ARG(str_from(row->values, dots + 2)));
    }
    buf_put(out, S(" | "));
    if (row->kind == KIND_LIST)
        buf_put(out, S("`[]`"));
    else if (row->initial.n > 0)
        buf_fmt(out, "`%.*s`", STR_ARG(row->initial));
    buf_fmt(out, " | %s | ", row->live ? "yes" : "");
    put_cell(row->help, out);
    buf_put(out, S(" |\n"));
}

bool config_put_docs(buf *out) {
    buf_put(out, S("# Configuration\n\n"
                   "Made by `faultline config docs` from the table of keys; do not edit.\n\n"
                   "`faultline serve --config faultline.yaml` reads one file; every key has a "
                   "default, so an empty\nfile is a whole one. `--set key=value` overrides a key. "
                   "`faultline config print` shows the whole\nconfiguration with comments, "
                   "`faultline config validate FILE` checks one: an unknown key, a value out\nof "
                   "its range or of the wrong kind is an error that says file, line and column.\n\n"
                   "```yaml\n"
                   "listen:\n"
                   "  otlp_grpc: \":4317\"\n"
                   "  otlp_http: \":4318\"\n"
                   "tls:\n"
                   "  cert: /etc/faultline/server.crt\n"
                   "  key: /etc/faultline/server.key\n"
                   "auth:\n"
                   "  tokens: [\"collector:write:${file:/etc/faultline/collector.sha256}\"]\n"
                   "retention:\n"
                   "  hot_days: 14\n"
                   "```\n\n"
                   "A value may hold `${env:NAME}` or `${file:PATH}`; `$${` stands for `${` "
                   "itself. What a reference\nstands for is never printed. Durations are written "
                   "`250ms`, `30s`, `15m`, `1h30m`, `7d`; sizes `512`, `64KiB`,\n`2GiB` (1024-"
                   "based). SIGHUP reads the file again: keys marked *live* change at once, "
                   "others with the\nnext start.\n"));
    for (size_t s = 0; s < CONFIG_SECTION_COUNT; s++) {
        const config_section *section = &CONFIG_SECTION_ROWS[s];
        buf_fmt(out, "\n## %.*s\n\n%.*s.\n\n", STR_ARG(section->name), STR_ARG(section->help));
        buf_put(out, S("| key | value | default | live | meaning |\n|---|---|---|---|---|\n"));
        for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
            size_t dot = str_find_char(CONFIG_ROWS[i].key, '.', 0);
            if (str_eq(str_sub(CONFIG_ROWS[i].key, 0, dot), section->name))
                put_docs_row(&CONFIG_ROWS[i], out);
        }
    }
    return !out->full;
}
