/* config_yaml.c - faultline.yaml into a config. The text is loaded as one libyaml document (bounded
 * by CONFIG_FILE_BYTES_MAX and, for nesting, by libyaml); nodes keep line and column, so that every
 * complaint says file:line:column. Sections are mappings, and "listen.api: x" means the same as
 * "listen: {api: x}". Strict: an unknown key or one that stands twice is an error, because what is
 * misspelt would otherwise silently keep its default. A key without a value keeps its default. */
#include <yaml.h>

#include "engine/config_int.h"

enum { KEY_BYTES_MAX = 128, DEPTH_MAX = 4 };

typedef struct reader {
    yaml_document_t *doc;
    config *c;
    str file;
    bool seen[CONFIG_ROWS_MAX];
    err *e;
} reader;

static rc at_node(reader *r, const yaml_node_t *n, rc code) {
    if (r->file.n == 0) return code;
    return err_wrap(r->e, code, "%.*s:%zu:%zu", STR_ARG(r->file), n->start_mark.line + 1,
                    n->start_mark.column + 1);
}

static str scalar(const yaml_node_t *n) {
    return str_make((const char *)n->data.scalar.value, n->data.scalar.length);
}

static bool is_null(const yaml_node_t *n) {
    if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    str s = scalar(n);
    return s.n == 0 || str_eq(s, S("~")) || str_eq(s, S("null"));
}

static rc take_items(reader *r, const yaml_node_t *n, size_t row) {
    size_t count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    if (count > CONFIG_LIST_MAX) {
        return at_node(
            r, n,
            FAIL(r->e, RC_INVALID, "%zu entries, at most %d are taken", count, CONFIG_LIST_MAX));
    }
    str *items = arena_try_new_n(&r->c->mem, str, count);
    if (!items) return FAIL(r->e, RC_LIMIT, "the configuration is too large");
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_document_get_node(r->doc, n->data.sequence.items.start[i]);
        if (item->type != YAML_SCALAR_NODE) {
            rc code = FAIL(r->e, RC_INVALID, "%.*s: an entry must be a text",
                           STR_ARG(CONFIG_ROWS[row].key));
            err_hint(r->e, "put it in double quotes");
            return at_node(r, item, code);
        }
        items[i] = scalar(item);
    }
    rc code = config_take_list(r->c, row, items, count, r->e);
    return code == RC_OK ? code : at_node(r, n, code);
}

static rc take_value(reader *r, const yaml_node_t *n, size_t row) {
    if (is_null(n)) return RC_OK;
    const config_row *info = &CONFIG_ROWS[row];
    if (n->type == YAML_SEQUENCE_NODE && info->kind == KIND_LIST) return take_items(r, n, row);
    if (n->type != YAML_SCALAR_NODE) {
        rc code = FAIL(r->e, RC_INVALID, "%.*s: one value is wanted", STR_ARG(info->key));
        err_hint(r->e, "put a text that begins with [ or { in double quotes");
        return at_node(r, n, code);
    }
    rc code = config_take(r->c, row, scalar(n), r->e);
    return code == RC_OK ? code : at_node(r, n, code);
}

/* Does a key of the table begin with "prefix."? */
static bool is_section(str prefix) {
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        str key = CONFIG_ROWS[i].key;
        if (str_starts(key, prefix) && key.n > prefix.n && key.p[prefix.n] == '.') return true;
    }
    return false;
}

static rc take_mapping(reader *r, const yaml_node_t *n, str prefix, unsigned depth) {
    if (depth > DEPTH_MAX) return at_node(r, n, FAIL(r->e, RC_INVALID, "nested too deep"));
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
        const yaml_node_t *val = yaml_document_get_node(r->doc, p->value);
        if (key->type != YAML_SCALAR_NODE)
            return at_node(r, key, FAIL(r->e, RC_INVALID, "a key must be a word"));
        char name[KEY_BYTES_MAX + 1];
        str word = scalar(key);
        if (prefix.n + 1 + word.n > KEY_BYTES_MAX)
            return at_node(r, key, config_fail_unknown(word, r->e));
        if (prefix.n) memcpy(name, prefix.p, prefix.n);
        size_t len = prefix.n;
        if (len) name[len++] = '.';
        if (word.n) memcpy(name + len, word.p, word.n);
        str full = str_make(name, len + word.n);
        size_t row = config_find(full);
        if (row == STR_NPOS && is_section(full)) {
            if (is_null(val)) continue;
            if (val->type != YAML_MAPPING_NODE) {
                rc code = FAIL(r->e, RC_INVALID, "'%.*s' is a section", STR_ARG(full));
                err_hint(r->e, "write its keys below it, indented");
                return at_node(r, val, code);
            }
            rc code = take_mapping(r, val, full, depth + 1);
            if (code != RC_OK) return code;
            continue;
        }
        if (row == STR_NPOS) return at_node(r, key, config_fail_unknown(full, r->e));
        if (r->seen[row]) {
            return at_node(r, key,
                           FAIL(r->e, RC_INVALID, "'%.*s' stands here twice", STR_ARG(full)));
        }
        r->seen[row] = true;
        rc code = take_value(r, val, row);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

static rc read_root(reader *r) {
    const yaml_node_t *root = yaml_document_get_root_node(r->doc);
    if (!root || is_null(root)) return RC_OK; /* an empty file: the defaults */
    if (root->type != YAML_MAPPING_NODE) {
        rc code = FAIL(r->e, RC_INVALID, "the file must hold 'section:' lines");
        err_hint(r->e, "'faultline config print' shows a whole file");
        return at_node(r, root, code);
    }
    return take_mapping(r, root, STR_NONE, 0);
}

/* Loads one document and calls fn with it. */
static rc with_document(str yaml, str file, rc (*fn)(reader *r), reader *r, err *e) {
    if (yaml.n > CONFIG_FILE_BYTES_MAX) {
        return FAIL(e, RC_LIMIT, "%.*s: larger than %d bytes", STR_ARG(file),
                    CONFIG_FILE_BYTES_MAX);
    }
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser)) return FAIL(e, RC_LIMIT, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(yaml.p ? yaml.p : ""), yaml.n);
    rc code;
    if (!yaml_parser_load(&parser, &doc)) {
        const char *what = parser.problem ? parser.problem : "is no YAML";
        code = FAIL(e, RC_INVALID, "%.*s%s%zu:%zu: %s", STR_ARG(file), file.n ? ":" : "",
                    parser.problem_mark.line + 1, parser.problem_mark.column + 1, what);
    } else {
        r->doc = &doc;
        r->file = file;
        r->e = e;
        code = fn(r);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return code;
}

rc config_read_yaml(config *c, str yaml, str file_name, err *e) {
    reader r = {.c = c};
    return with_document(yaml, file_name.n > 0 ? file_name : S("configuration"), read_root, &r, e);
}

/* ---- one list from the command line ---- */

typedef struct list_reader {
    reader r; /* first: handed to with_document */
    size_t row;
} list_reader;

static rc read_list_root(reader *r) {
    size_t row = ((list_reader *)r)->row;
    const yaml_node_t *root = yaml_document_get_root_node(r->doc);
    if (!root) return config_take_list(r->c, row, NULL, 0, r->e);
    return take_value(r, root, row);
}

rc config_read_list(config *c, size_t row, str yaml, err *e) {
    list_reader l = {.r.c = c, .row = row};
    if (yaml.n == 0 || yaml.p[0] != '[') return config_take_list(c, row, &yaml, yaml.n > 0, e);
    rc code = with_document(yaml, S(""), read_list_root, &l.r, e);
    return code == RC_OK ? code : err_wrap(e, code, "%.*s", STR_ARG(CONFIG_ROWS[row].key));
}
