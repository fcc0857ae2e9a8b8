/* rules_yaml.c - reads a rule file (docs/rules.md) into compiled rules.
 *
 * The whole file is loaded as a libyaml document (bounded by RULES_YAML_BYTES_MAX and, for nesting,
 * by libyaml itself); nodes keep their line, so that every complaint names file and line, what is
 * wrong and, as the hint, what to write instead. Strict: an unknown key is an error, because a
 * misspelt `anny:` would otherwise make a rule that never matches. */
#include <yaml.h>

#include "base/buf.h"
#include "base/num.h"
#include "rca/rules_int.h"

typedef struct reader {
    yaml_document_t *doc;
    str file;
    arena *mem;
    err *e;
} reader;

#define BAD(r, node, hint_text, ...)                                                               \
    (FAIL((r)->e, RC_INVALID, __VA_ARGS__), bad((r), (node), (hint_text)))

static rc bad(reader *r, const yaml_node_t *node, const char *hint) {
    if (hint) err_hint(r->e, "%s", hint);
    size_t line = node ? node->start_mark.line + 1 : 1;
    return err_wrap(r->e, RC_INVALID, "%.*s:%zu", STR_ARG(r->file), line);
}

static const yaml_node_t *node_of(reader *r, int id) { return yaml_document_get_node(r->doc, id); }

static str scalar(const yaml_node_t *n) {
    return str_make((const char *)n->data.scalar.value, n->data.scalar.length);
}

static rc read_str(reader *r, const yaml_node_t *n, const char *what, str *ret) {
    if (n->type != YAML_SCALAR_NODE) {
        return BAD(r, n, "put the text in double quotes", "'%s' must be a text", what);
    }
    str s = str_trim(scalar(n));
    if (s.n > RULE_TEXT_BYTES_MAX) {
        return BAD(r, n, NULL, "'%s' is longer than %d bytes", what, RULE_TEXT_BYTES_MAX);
    }
    *ret = str_dup(r->mem, s);
    if (s.n && !ret->p) return FAIL(r->e, RC_LIMIT, "%.*s: too large", STR_ARG(r->file));
    return RC_OK;
}

/* A text, or a mapping of languages. */
static rc read_text(reader *r, const yaml_node_t *n, const char *what, incident_text *ret) {
    if (n->type == YAML_SCALAR_NODE) return read_str(r, n, what, &ret->en);
    if (n->type != YAML_MAPPING_NODE) {
        return BAD(r, n, "write: {en: text, zh: text}", "'%s' must be a text", what);
    }
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_of(r, p->key), *val = node_of(r, p->value);
        str k = key->type == YAML_SCALAR_NODE ? scalar(key) : STR_NONE;
        rc code;
        if (str_eq(k, S("en"))) {
            code = read_str(r, val, what, &ret->en);
        } else if (str_eq(k, S("zh"))) {
            code = read_str(r, val, what, &ret->zh);
        } else {
            code = BAD(r, key, "languages are en and zh; quote a text that holds ': '",
                       "unknown language '%.*s' in '%s'", STR_ARG(k), what);
        }
        if (code != RC_OK) return code;
    }
    if (ret->en.n == 0) return BAD(r, n, "add: en: text", "'%s' has no English text", what);
    return RC_OK;
}

static rc sequence(reader *r, const yaml_node_t *n, const char *what, size_t max, size_t *ret) {
    if (n->type != YAML_SEQUENCE_NODE) {
        return BAD(r, n, "write a list: [one, two]", "'%s' must be a list", what);
    }
    size_t count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    if (count == 0 || count > max) {
        return BAD(r, n, NULL, "'%s' has %zu entries, wanted 1 to %zu", what, count, max);
    }
    *ret = count;
    return RC_OK;
}

static const yaml_node_t *item(reader *r, const yaml_node_t *n, size_t i) {
    return node_of(r, n->data.sequence.items.start[i]);
}

static rc add_phrase(reader *r, rule_def *d, phrase *all, const yaml_node_t *n) {
    if (n->type != YAML_SCALAR_NODE) {
        return BAD(r, n, "write a phrase in double quotes", "a phrase must be a text");
    }
    if (d->phrase_count == RULE_PHRASES_MAX) {
        return BAD(r, n, "split the rule", "more than %d phrases", RULE_PHRASES_MAX);
    }
    str s = scalar(n);
    if (s.n > RULE_TEXT_BYTES_MAX) return BAD(r, n, NULL, "a phrase is too long");
    const char *wrong = phrase_compile(r->mem, s, &all[d->phrase_count]);
    if (wrong) return BAD(r, n, "use a longer phrase", "phrase '%.*s': %s", STR_ARG(s), wrong);
    d->phrase_count++;
    return RC_OK;
}

/* A phrase or a list of phrases, appended as one run. */
static rc add_phrases(reader *r, rule_def *d, phrase *all, const yaml_node_t *n, const char *what,
                      rule_group *ret) {
    ret->first = d->phrase_count;
    if (n->type == YAML_SCALAR_NODE) {
        rc code = add_phrase(r, d, all, n);
        ret->count = 1;
        return code;
    }
    size_t count;
    rc code = sequence(r, n, what, RULE_PHRASES_MAX, &count);
    for (size_t i = 0; code == RC_OK && i < count; i++) {
        code = add_phrase(r, d, all, item(r, n, i));
    }
    ret->count = d->phrase_count - ret->first;
    return code;
}

static rc add_group(reader *r, rule_def *d, phrase *all, const yaml_node_t *n, const char *what) {
    if (d->group_count == RULE_GROUPS_MAX) {
        return BAD(r, n, "split the rule", "more than %d groups of phrases", RULE_GROUPS_MAX);
    }
    rc code = add_phrases(r, d, all, n, what, &d->groups[d->group_count]);
    if (code == RC_OK) d->group_count++;
    return code;
}

static rc read_all(reader *r, rule_def *d, phrase *all, const yaml_node_t *n) {
    size_t count;
    rc code = sequence(r, n, "all", RULE_GROUPS_MAX, &count);
    for (size_t i = 0; code == RC_OK && i < count; i++) {
        code = add_group(r, d, all, item(r, n, i), "all");
    }
    return code;
}

static rc read_kinds(reader *r, rule_def *d, const yaml_node_t *n) {
    size_t count;
    rc code = sequence(r, n, "kinds", FINDING_KIND_COUNT, &count);
    for (size_t i = 0; code == RC_OK && i < count; i++) {
        const yaml_node_t *k = item(r, n, i);
        str s = k->type == YAML_SCALAR_NODE ? scalar(k) : STR_NONE;
        int kind = 0;
        while (kind < FINDING_KIND_COUNT && !str_eq(s, finding_kind_name((finding_kind)kind))) {
            kind++;
        }
        if (kind == FINDING_KIND_COUNT) {
            code = BAD(r, k, "kinds: new_template, rate_burst, stopped ... (docs/rules.md)",
                       "unknown kind of finding '%.*s'", STR_ARG(s));
        } else {
            d->r.kinds |= 1u << kind;
        }
    }
    return code;
}

static rc read_steps(reader *r, rule_def *d, const yaml_node_t *n) {
    size_t count;
    rc code = sequence(r, n, "steps", RULE_STEPS_MAX, &count);
    if (code != RC_OK) return code;
    incident_text *steps = arena_try_new_n(r->mem, incident_text, count);
    if (!steps) return FAIL(r->e, RC_LIMIT, "%.*s: too large", STR_ARG(r->file));
    for (size_t i = 0; code == RC_OK && i < count; i++) {
        code = read_text(r, item(r, n, i), "steps", &steps[i]);
    }
    d->r.steps = steps;
    d->r.step_count = count;
    return code;
}

static rc read_references(reader *r, rule_def *d, const yaml_node_t *n) {
    size_t count;
    rc code = sequence(r, n, "references", RULE_STEPS_MAX, &count);
    if (code != RC_OK) return code;
    str *refs = arena_try_new_n(r->mem, str, count);
    if (!refs) return FAIL(r->e, RC_LIMIT, "%.*s: too large", STR_ARG(r->file));
    for (size_t i = 0; code == RC_OK && i < count; i++) {
        code = read_str(r, item(r, n, i), "references", &refs[i]);
    }
    d->r.references = refs;
    d->r.reference_count = count;
    return code;
}

static rc read_id(reader *r, const yaml_node_t *n, str *ret) {
    rc code = read_str(r, n, "id", ret);
    if (code != RC_OK) return code;
    bool good = ret->n > 0 && ret->n <= 64;
    for (size_t i = 0; good && i < ret->n; i++) {
        char c = ret->p[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (good && !str_eq(*ret, S("unknown"))) return RC_OK;
    return BAD(r, n, "lower case letters, digits and '_', at most 64; not 'unknown'",
               "bad rule id '%.*s'", STR_ARG(*ret));
}

static rc read_rank(reader *r, const yaml_node_t *n, int *ret) {
    int64_t v = -1;
    if (n->type != YAML_SCALAR_NODE || !num_i64(scalar(n), &v) || v < 0 || v > 100) {
        return BAD(r, n, "0 = a symptom of something else .. 100 = a cause",
                   "cause_rank must be a whole number from 0 to 100");
    }
    *ret = (int)v;
    return RC_OK;
}

/* One key of a rule, except `not`, which must come after the groups. */
static rc read_key(reader *r, rule_def *d, phrase *all, const yaml_node_t *key,
                   const yaml_node_t *val) {
    str k = key->type == YAML_SCALAR_NODE ? scalar(key) : STR_NONE;
    if (str_eq(k, S("id"))) return read_id(r, val, &d->r.id);
    if (str_eq(k, S("category"))) return read_str(r, val, "category", &d->r.category);
    if (str_eq(k, S("cause_rank"))) return read_rank(r, val, &d->r.cause_rank);
    if (str_eq(k, S("title"))) return read_text(r, val, "title", &d->r.title);
    if (str_eq(k, S("explanation"))) return read_text(r, val, "explanation", &d->r.explanation);
    if (str_eq(k, S("any"))) return add_group(r, d, all, val, "any");
    if (str_eq(k, S("all"))) return read_all(r, d, all, val);
    if (str_eq(k, S("kinds"))) return read_kinds(r, d, val);
    if (str_eq(k, S("steps"))) return read_steps(r, d, val);
    if (str_eq(k, S("references"))) return read_references(r, d, val);
    if (str_eq(k, S("example"))) return read_str(r, val, "example", &d->r.example);
    if (str_eq(k, S("not"))) return RC_OK;
    return BAD(r, key,
               "keys: id, category, cause_rank, title, explanation, any, all, not, kinds, steps, "
               "references, example",
               "unknown key '%.*s'", STR_ARG(k));
}

static rc read_rule(reader *r, const yaml_node_t *n, rule_def *d) {
    memset(d, 0, sizeof(*d));
    d->r.cause_rank = 50;
    d->r.line = (uint32_t)(n->start_mark.line + 1);
    if (n->type != YAML_MAPPING_NODE) {
        return BAD(r, n, "a rule begins with '- id: name'", "a rule must be a mapping");
    }
    phrase all[RULE_PHRASES_MAX];
    const yaml_node_t *none_of = NULL;
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_of(r, p->key), *val = node_of(r, p->value);
        rc code = read_key(r, d, all, key, val);
        if (code != RC_OK) return code;
        if (key->type == YAML_SCALAR_NODE && str_eq(scalar(key), S("not"))) none_of = val;
    }
    d->positive_count = d->phrase_count;
    rule_group unused;
    rc code = none_of ? add_phrases(r, d, all, none_of, "not", &unused) : RC_OK;
    if (code != RC_OK) return code;
    if (d->r.id.n == 0) return BAD(r, n, "add: id: snake_case_name", "the rule has no id");
    if (d->group_count == 0) {
        return BAD(r, n, "add: any: [\"phrase\", ...]", "rule '%.*s' has neither any nor all",
                   STR_ARG(d->r.id));
    }
    if (d->r.title.en.n == 0) {
        return BAD(r, n, "add: title: text", "rule '%.*s' has no title", STR_ARG(d->r.id));
    }
    /* Most rules have some ten phrases: keep those, not the room for all. */
    phrase *kept = arena_try_new_n(r->mem, phrase, d->phrase_count);
    if (!kept) return FAIL(r->e, RC_LIMIT, "%.*s: too large", STR_ARG(r->file));
    memcpy(kept, all, d->phrase_count * sizeof(phrase));
    d->phrases = kept;
    return RC_OK;
}

/* The list of rules: the value of the key `rules`, or the document itself. */
static rc rule_list(reader *r, const yaml_node_t **ret) {
    const yaml_node_t *root = yaml_document_get_root_node(r->doc);
    if (!root) return BAD(r, NULL, "begin with 'rules:'", "the file holds no rules");
    if (root->type == YAML_SEQUENCE_NODE) {
        *ret = root;
        return RC_OK;
    }
    if (root->type != YAML_MAPPING_NODE) {
        return BAD(r, root, "begin with 'rules:'", "the file holds no list of rules");
    }
    *ret = NULL;
    for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = node_of(r, p->key), *val = node_of(r, p->value);
        str k = key->type == YAML_SCALAR_NODE ? scalar(key) : STR_NONE;
        if (str_eq(k, S("rules"))) {
            *ret = val;
        } else if (!str_eq(k, S("version"))) {
            return BAD(r, key, "keys: version, rules", "unknown key '%.*s'", STR_ARG(k));
        } else if (val->type != YAML_SCALAR_NODE || !str_eq(scalar(val), S("1"))) {
            return BAD(r, val, "this build reads version 1", "unknown version of the rule format");
        }
    }
    if (!*ret) return BAD(r, root, "begin with 'rules:'", "the file holds no list of rules");
    return RC_OK;
}

static rc read_document(reader *r, rule_def_list *out) {
    const yaml_node_t *list = NULL;
    rc code = rule_list(r, &list);
    size_t count = 0;
    if (code == RC_OK) code = sequence(r, list, "rules", RULES_MAX, &count);
    for (size_t i = 0; code == RC_OK && i < count; i++) {
        const yaml_node_t *n = item(r, list, i);
        rule_def d;
        code = read_rule(r, n, &d);
        for (size_t k = 0; code == RC_OK && k < out->n; k++) {
            if (str_eq(out->v[k].r.id, d.r.id)) {
                code = BAD(r, n, "ids must differ within a file", "rule '%.*s' is there twice",
                           STR_ARG(d.r.id));
            }
        }
        if (code == RC_OK) vec_push(out, d);
    }
    return code;
}

rc rules_read_yaml(str yaml, str file_name, arena *mem, rule_def_list *out, err *e) {
    MUST(out->n == 0);
    if (yaml.n > RULES_YAML_BYTES_MAX) {
        return FAIL(e, RC_LIMIT, "%.*s: larger than %d bytes", STR_ARG(file_name),
                    RULES_YAML_BYTES_MAX);
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return FAIL(e, RC_LIMIT, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(yaml.n ? yaml.p : ""), yaml.n);
    yaml_document_t doc;
    rc code;
    if (!yaml_parser_load(&parser, &doc)) {
        code = FAIL(e, RC_INVALID, "%.*s:%zu: not valid YAML: %s", STR_ARG(file_name),
                    parser.problem_mark.line + 1, parser.problem ? parser.problem : "unreadable");
        err_hint(e, "check indentation, and quote texts that hold ': ' or begin with '*'");
    } else {
        reader r = {&doc, file_name, mem, e};
        code = read_document(&r, out);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return code;
}
