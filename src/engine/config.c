/* config.c - values of faultline.yaml: the table as data, checking, defaults, access by key.
 *
 * Access is by name and a linear search of about sixty rows: values are read when a thing is made,
 * never per record; what the hot path needs it keeps itself. A misspelt key in the code is a bug
 * that the first start of the program finds (MUST). */
#include "engine/config_int.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/num.h"
#include "engine/config.tbl.h"
#include "sys/fs.h"
#include "sys/term.h"

enum { CONFIG_ARENA_MAX = 16 << 20, VALUE_BYTES_MAX = 64 << 10 };

#define LIVE  true
#define START false
const config_row CONFIG_ROWS[] = {
#define X(key, kind, values, initial, live, help)                                                  \
    {S_INIT(key), S_INIT(values), S_INIT(initial), S_INIT(help), KIND_##kind, live},
    CONFIG_KEYS(X)
#undef X
};
#undef LIVE
#undef START
const size_t CONFIG_ROW_COUNT = ARRAY_LEN(CONFIG_ROWS);
_Static_assert(ARRAY_LEN(CONFIG_ROWS) <= CONFIG_ROWS_MAX, "config.v has a place for every row");

const config_section CONFIG_SECTION_ROWS[] = {
#define X(name, help) {S_INIT(name), S_INIT(help)},
    CONFIG_SECTIONS(X)
#undef X
};
const size_t CONFIG_SECTION_COUNT = ARRAY_LEN(CONFIG_SECTION_ROWS);

size_t config_find(str key) {
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        if (str_eq(CONFIG_ROWS[i].key, key)) return i;
    }
    return STR_NPOS;
}

rc config_fail_unknown(str key, err *e) {
    rc code = FAIL(e, RC_INVALID, "unknown key '%.*s'", (int)MIN(key.n, 80), key.p);
    nearest best = {.given = key};
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) nearest_offer(&best, CONFIG_ROWS[i].key);
    /* A known last word below another section is a likelier slip than letters. */
    size_t dot = str_rfind_char(key, '.');
    str last = dot == STR_NPOS ? key : str_from(key, dot + 1);
    for (size_t i = 0; i < CONFIG_ROW_COUNT && best.name.n == 0; i++) {
        str name = CONFIG_ROWS[i].key;
        size_t at = str_rfind_char(name, '.');
        if (str_eq(str_from(name, at + 1), last)) best.name = name;
    }
    if (best.name.n > 0)
        err_hint(e, "did you mean '%.*s'?", STR_ARG(best.name));
    else
        err_hint(e, "'faultline config print' lists all keys");
    return code;
}

/* ---- references: ${env:NAME}, ${file:PATH} ---- */

static rc put_reference(str inside, buf *out, err *e) {
    if (str_starts(inside, S("env:"))) {
        char name[256];
        str n = str_from(inside, 4);
        if (n.n == 0 || n.n >= sizeof name)
            return FAIL(e, RC_INVALID, "${env:...} needs the name of a variable");
        memcpy(name, n.p, n.n);
        name[n.n] = '\0';
        const char *value = sys_env(name);
        if (!value) return FAIL(e, RC_INVALID, "${env:%s}: the variable is not set", name);
        return buf_put(out, str_c(value)) ? RC_OK
                                          : FAIL(e, RC_LIMIT, "${env:%s} is too long", name);
    }
    if (str_starts(inside, S("file:"))) {
        str path = str_from(inside, 5);
        size_t before = out->n;
        rc code = sys_read_file(&SYS_FS_REAL, path, VALUE_BYTES_MAX, out, e);
        if (code != RC_OK) return err_wrap(e, RC_INVALID, "${file:%.*s}", STR_ARG(path));
        /* A file ends in a line end that is not meant. */
        while (out->n > before && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
            out->n--;
        return RC_OK;
    }
    return FAIL(e, RC_INVALID, "${%.*s}: a reference is ${env:NAME} or ${file:PATH}",
                (int)MIN(inside.n, 80), inside.p);
}

/* The text with every reference replaced, in c's arena. */
static rc expand(config *c, str raw, str *ret, err *e) {
    if (!str_has(raw, S("${"))) {
        *ret = str_dup(&c->mem, raw);
        return raw.n == 0 || ret->p ? RC_OK : FAIL(e, RC_LIMIT, "the configuration is too large");
    }
    buf out;
    buf_init(&out, VALUE_BYTES_MAX);
    rc code = RC_OK;
    for (size_t i = 0; code == RC_OK && i < raw.n;) {
        str rest = str_from(raw, i);
        if (str_starts(rest, S("$${"))) {
            if (!buf_put(&out, S("${"))) break;
            i += 3;
        } else if (str_starts(rest, S("${"))) {
            size_t end = str_find_char(rest, '}', 0);
            if (end == STR_NPOS) {
                code = FAIL(e, RC_INVALID, "'${' without '}'; write $${ for the text itself");
                break;
            }
            code = put_reference(str_sub(rest, 2, end - 2), &out, e);
            i += end + 1;
        } else {
            if (!buf_putc(&out, raw.p[i])) break;
            i++;
        }
    }
    if (code == RC_OK && out.full) code = FAIL(e, RC_LIMIT, "the value is too long");
    if (code == RC_OK) {
        *ret = str_dup(&c->mem, buf_str(&out));
        if (out.n > 0 && !ret->p) code = FAIL(e, RC_LIMIT, "the configuration is too large");
    }
    buf_release(&out);
    return code;
}

/* ---- values ---- */

/* "host:port", "[v6]:port", ":port"; "off" and "" have no host and no port. */
static bool split_address(str a, str *ret_host, uint16_t *ret_port) {
    size_t colon = str_rfind_char(a, ':');
    if (colon == STR_NPOS) return false;
    uint64_t port;
    if (!num_u64(str_from(a, colon + 1), &port) || port > 65535) return false;
    str host = str_sub(a, 0, colon);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 2);
    else if (str_find_char(host, ':', 0) != STR_NPOS)
        return false; /* an IPv6 address without brackets: which colon ends it? */
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return true;
}

static bool number_of(config_kind kind, str text, int64_t *ret) {
    uint64_t bytes;
    switch (kind) {
    case KIND_INT:
        return num_i64(text, ret);
    case KIND_DURATION:
        return num_duration(text, ret);
    case KIND_BYTES:
        if (str_eq(text, S("1EiB"))) { /* the largest bound */
            *ret = INT64_C(1) << 60;
            return true;
        }
        if (!num_bytes(text, &bytes) || bytes > INT64_MAX) return false;
        *ret = (int64_t)bytes;
        return true;
    default:
        return false;
    }
}

static rc check_number(const config_row *row, str text, int64_t *ret, err *e) {
    static const char *const wants[] = {[KIND_INT] = "an integer",
                                        [KIND_DURATION] = "a duration such as 30s",
                                        [KIND_BYTES] = "a size such as 64MiB"};
    int64_t least, most;
    size_t dots = str_find(row->values, S(".."), 0);
    MUST(dots != STR_NPOS);
    MUST(number_of(row->kind, str_sub(row->values, 0, dots), &least));
    MUST(number_of(row->kind, str_from(row->values, dots + 2), &most));
    if (!number_of(row->kind, text, ret)) {
        return FAIL(e, RC_INVALID, "%.*s: '%.*s' is not %s", STR_ARG(row->key),
                    (int)MIN(text.n, 80), text.p, wants[row->kind]);
    }
    if (*ret >= least && *ret <= most) return RC_OK;
    return FAIL(e, RC_INVALID, "%.*s: %.*s is not within %.*s", STR_ARG(row->key), STR_ARG(text),
                STR_ARG(row->values));
}

static rc check_choice(const config_row *row, str text, err *e) {
    str rest = row->values, word;
    while (str_next(&rest, '|', &word)) {
        if (str_eq(word, text)) return RC_OK;
    }
    FAIL(e, RC_INVALID, "%.*s: '%.*s' is not one of %.*s", STR_ARG(row->key), (int)MIN(text.n, 80),
         text.p, STR_ARG(row->values));
    nearest best = {.given = text};
    nearest_word(&best, row->values, '|');
    if (best.name.n > 0) err_hint(e, "did you mean '%.*s'?", STR_ARG(best.name));
    return RC_INVALID;
}

rc config_take(config *c, size_t i, str raw, err *e) {
    MUST(c->magic == CONFIG_MAGIC && i < CONFIG_ROW_COUNT);
    const config_row *row = &CONFIG_ROWS[i];
    if (row->kind == KIND_LIST) return config_take_list(c, i, &raw, 1, e);
    if (raw.n > VALUE_BYTES_MAX)
        return FAIL(e, RC_INVALID, "%.*s: the value is too long", STR_ARG(row->key));
    config_value v = {.raw = str_dup(&c->mem, raw)};
    rc code = expand(c, raw, &v.text, e);
    if (code != RC_OK) return err_wrap(e, code, "%.*s", STR_ARG(row->key));
    str host;
    uint16_t port;
    switch (row->kind) {
    case KIND_BOOL:
        if (!str_eq(v.text, S("true")) && !str_eq(v.text, S("false"))) {
            return FAIL(e, RC_INVALID, "%.*s: '%.*s' is neither true nor false", STR_ARG(row->key),
                        (int)MIN(v.text.n, 80), v.text.p);
        }
        v.number = str_eq(v.text, S("true"));
        break;
    case KIND_INT:
    case KIND_DURATION:
    case KIND_BYTES:
        code = check_number(row, v.text, &v.number, e);
        break;
    case KIND_CHOICE:
        code = check_choice(row, v.text, e);
        break;
    case KIND_ADDRESS:
        if (v.text.n == 0 || str_eq(v.text, S("off"))) break;
        if (split_address(v.text, &host, &port)) break;
        code = FAIL(e, RC_INVALID, "%.*s: '%.*s' is not an address", STR_ARG(row->key),
                    (int)MIN(v.text.n, 80), v.text.p);
        err_hint(e, "write \"127.0.0.1:4318\", \"[::1]:4318\", \":4318\" for all interfaces, "
                    "or off");
        break;
    case KIND_TEXT:
    case KIND_PATH:
        if (str_find_char(v.text, '\0', 0) != STR_NPOS)
            code = FAIL(e, RC_INVALID, "%.*s: the value holds a NUL byte", STR_ARG(row->key));
        break;
    case KIND_LIST:
        MUST(false && "handled above");
    }
    if (code == RC_OK) c->v[i] = v;
    return code;
}

rc config_take_list(config *c, size_t i, const str *items, size_t count, err *e) {
    MUST(c->magic == CONFIG_MAGIC && i < CONFIG_ROW_COUNT);
    const config_row *row = &CONFIG_ROWS[i];
    MUST(row->kind == KIND_LIST);
    if (count > CONFIG_LIST_MAX) {
        return FAIL(e, RC_INVALID, "%.*s: %zu entries, at most %d are taken", STR_ARG(row->key),
                    count, CONFIG_LIST_MAX);
    }
    str *list = arena_try_new_n(&c->mem, str, count);
    str *raw = arena_try_new_n(&c->mem, str, count);
    if (!list || !raw) return FAIL(e, RC_LIMIT, "the configuration is too large");
    for (size_t k = 0; k < count; k++) {
        raw[k] = str_dup(&c->mem, items[k]);
        rc code = expand(c, items[k], &list[k], e);
        if (code != RC_OK) return err_wrap(e, code, "%.*s", STR_ARG(row->key));
    }
    c->v[i] = (config_value){.list = list, .raw_list = raw, .count = count};
    return RC_OK;
}

/* ---- whole configurations ---- */

rc config_default(config **ret, err *e) {
    config *c = mem_new(config);
    c->magic = CONFIG_MAGIC;
    arena_init(&c->mem, "config", CONFIG_ARENA_MAX);
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        if (CONFIG_ROWS[i].kind == KIND_LIST) continue;
        rc code = config_take(c, i, CONFIG_ROWS[i].initial, e);
        MUST(code == RC_OK && "every default is within its range");
    }
    *ret = c;
    return RC_OK;
}

rc config_load(str yaml, str file_name, config **ret, err *e) {
    config *c;
    rc code = config_default(&c, e);
    if (code == RC_OK) code = config_read_yaml(c, yaml, file_name, e);
    if (code != RC_OK) {
        config_free(c);
        return code;
    }
    *ret = c;
    return RC_OK;
}

void config_free(config *c) {
    if (!c) return;
    MUST(c->magic == CONFIG_MAGIC);
    arena_release(&c->mem);
    c->magic = 0;
    mem_free(c);
}

rc config_set(config *c, str key, str value, err *e) {
    size_t i = config_find(key);
    if (i == STR_NPOS) return config_fail_unknown(key, e);
    if (CONFIG_ROWS[i].kind == KIND_LIST) return config_read_list(c, i, value, e);
    return config_take(c, i, value, e);
}

str config_needs_restart(const config *before, const config *after) {
    for (size_t i = 0; i < CONFIG_ROW_COUNT; i++) {
        const config_value *a = &before->v[i], *b = &after->v[i];
        if (CONFIG_ROWS[i].live) continue;
        bool same = str_eq(a->text, b->text) && a->count == b->count;
        for (size_t k = 0; same && k < a->count; k++) same = str_eq(a->list[k], b->list[k]);
        if (!same) return CONFIG_ROWS[i].key;
    }
    return STR_NONE;
}

/* ---- access ---- */

static const config_value *value_of(const config *c, const char *key, unsigned kinds) {
    MUST(c->magic == CONFIG_MAGIC);
    size_t i = config_find(str_c(key));
    MUST(i != STR_NPOS);
    MUST(kinds >> CONFIG_ROWS[i].kind & 1);
    return &c->v[i];
}

bool config_bool(const config *c, const char *key) {
    return value_of(c, key, 1u << KIND_BOOL)->number != 0;
}
int64_t config_int(const config *c, const char *key) {
    return value_of(c, key, 1u << KIND_INT)->number;
}
int64_t config_duration_ns(const config *c, const char *key) {
    return value_of(c, key, 1u << KIND_DURATION)->number;
}
uint64_t config_bytes(const config *c, const char *key) {
    return (uint64_t)value_of(c, key, 1u << KIND_BYTES)->number;
}
str config_text(const config *c, const char *key) {
    return value_of(c, key,
                    1u << KIND_TEXT | 1u << KIND_PATH | 1u << KIND_CHOICE | 1u << KIND_ADDRESS)
        ->text;
}
size_t config_list(const config *c, const char *key, const str **ret) {
    const config_value *v = value_of(c, key, 1u << KIND_LIST);
    *ret = v->list;
    return v->count;
}

bool config_address(const config *c, const char *key, str *ret_host, uint16_t *ret_port) {
    str text = value_of(c, key, 1u << KIND_ADDRESS)->text;
    if (text.n == 0 || str_eq(text, S("off"))) return false;
    MUST(split_address(text, ret_host, ret_port));
    return true;
}

bool config_is_loopback(str host) {
    return str_starts(host, S("127.")) || str_eq(host, S("::1")) || str_eq(host, S("localhost"));
}
