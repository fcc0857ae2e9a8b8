/* json_tree.c - one pass over the tokens. The children of a value must lie in one piece, and their
 * number is known only at its end: open values collect theirs on a stack (one vector for all
 * levels), and at the closing bracket what lies above its mark moves to the arena. */
#include "codec/json_tree.h"

#include "base/num.h"
#include "base/vec.h"

static const json_value NOTHING = {0};

typedef struct level {
    size_t mark; /* of the stack */
    json_tok begin;
    str key;
} level;

static rc close_level(json_reader *r, const level *l, const json_value *stack, size_t n, arena *out,
                      json_value *ret, err *e) {
    json_value *items = arena_try_new_n(out, json_value, n);
    if (!items) return FAIL(e, RC_LIMIT, "the JSON text is too large");
    if (n > 0) memcpy(items, stack, n * sizeof *items);
    *ret = (json_value){.type = l->begin.kind == JSON_OBJECT_BEGIN ? JSON_IS_OBJECT : JSON_IS_ARRAY,
                        .text = json_span(r, &l->begin),
                        .key = l->key,
                        .items = items,
                        .count = n};
    return RC_OK;
}

static rc scalar(const json_tok *t, str key, arena *out, json_value *ret, err *e) {
    *ret = (json_value){.key = key, .text = t->text};
    switch (t->kind) {
    case JSON_STRING:
        ret->type = JSON_IS_TEXT;
        return json_text(t, out, &ret->text, e);
    case JSON_NUMBER:
        ret->type = JSON_IS_NUMBER;
        return RC_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        ret->type = JSON_IS_BOOL;
        ret->truth = t->kind == JSON_TRUE;
        return RC_OK;
    default:
        ret->type = JSON_IS_NULL;
        return RC_OK;
    }
}

rc json_tree(str in, arena *out, const json_value **ret, err *e) {
    json_reader r;
    json_init(&r, in);
    VEC(json_value) stack = {0};
    level levels[JSON_DEPTH_MAX + 1];
    size_t depth = 0, total = 0;
    str key = STR_NONE;
    rc code;
    json_tok t;
    while ((code = json_next(&r, &t, e)) == RC_OK) {
        json_value v;
        if (t.kind == JSON_KEY) {
            code = json_text(&t, out, &key, e);
            if (code != RC_OK) break;
            continue;
        }
        if (t.kind == JSON_OBJECT_BEGIN || t.kind == JSON_ARRAY_BEGIN) {
            MUST(depth < ARRAY_LEN(levels)); /* json_next is limited to JSON_DEPTH_MAX */
            levels[depth++] = (level){stack.n, t, key};
            key = STR_NONE;
            continue;
        }
        if (t.kind == JSON_OBJECT_END || t.kind == JSON_ARRAY_END) {
            const level *l = &levels[--depth];
            const json_value *from = stack.n > l->mark ? stack.v + l->mark : NULL;
            code = close_level(&r, l, from, stack.n - l->mark, out, &v, e);
            stack.n = l->mark;
        } else {
            code = scalar(&t, key, out, &v, e);
        }
        if (code != RC_OK) break;
        if (++total > JSON_TREE_VALUES_MAX) {
            code = FAIL(e, RC_LIMIT, "the JSON text has more than %d values", JSON_TREE_VALUES_MAX);
            break;
        }
        key = STR_NONE;
        vec_push(&stack, v);
    }
    if (code == RC_END && str_trim(str_from(in, r.at)).n > 0)
        code = FAIL(e, RC_INVALID, "text after the JSON value at byte %zu", r.at);
    if (code == RC_END) {
        json_value *top = arena_try_new(out, json_value);
        code = top ? RC_OK : FAIL(e, RC_LIMIT, "the JSON text is too large");
        if (top) {
            MUST(stack.n == 1);
            *top = stack.v[0];
            *ret = top;
        }
    }
    vec_release(&stack);
    return code;
}

const json_value *json_get(const json_value *v, str key) {
    for (size_t i = 0; v->type == JSON_IS_OBJECT && i < v->count; i++) {
        if (str_eq(v->items[i].key, key)) return &v->items[i];
    }
    return &NOTHING;
}

const json_value *json_path(const json_value *v, str path) {
    for (str part; str_next(&path, '.', &part);) v = json_get(v, part);
    return v;
}

const json_value *json_item(const json_value *v, size_t i) {
    bool has = (v->type == JSON_IS_ARRAY || v->type == JSON_IS_OBJECT) && i < v->count;
    return has ? &v->items[i] : &NOTHING;
}

str json_str(const json_value *v) {
    return v->type == JSON_IS_TEXT || v->type == JSON_IS_NUMBER ? v->text : STR_NONE;
}

double json_f64(const json_value *v) {
    double d;
    return num_double(json_str(v), &d) ? d : 0;
}

int64_t json_i64(const json_value *v) {
    int64_t i;
    if (num_i64(json_str(v), &i)) return i;
    double d = json_f64(v);
    if (d >= 9.2e18) return INT64_MAX;
    if (d <= -9.2e18) return INT64_MIN;
    return (int64_t)d;
}

bool json_bool(const json_value *v) { return v->type == JSON_IS_BOOL && v->truth; }
