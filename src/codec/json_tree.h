/* json_tree.h - a whole JSON text as a tree, for answers of a known shape that are read once and in
 * no hurry (json.h is for hot paths). Everything lives in the caller's arena; texts without escapes
 * borrow from the input. Looking into what is not there gives JSON_NOTHING, so a path of lookups
 * needs one check at its end. */
#ifndef FL_CODEC_JSON_TREE_H
#define FL_CODEC_JSON_TREE_H

#include "codec/json.h"

typedef enum json_type {
    JSON_IS_NOTHING = 0, /* absent */
    JSON_IS_NULL,
    JSON_IS_BOOL,
    JSON_IS_NUMBER,
    JSON_IS_TEXT,
    JSON_IS_ARRAY,
    JSON_IS_OBJECT
} json_type;

typedef struct json_value json_value;
struct json_value {
    json_type type;
    bool truth;
    str text; /* TEXT: unescaped; NUMBER: as written; ARRAY, OBJECT: the whole of it as written */
    str key;  /* of a member */
    const json_value *items; /* ARRAY, OBJECT: in their order */
    size_t count;
};

enum { JSON_TREE_VALUES_MAX = 16 << 20 };

/* RC_INVALID, RC_LIMIT (arena, depth, JSON_TREE_VALUES_MAX). */
MUST_CHECK rc json_tree(str in, arena *out, const json_value **ret, err *e);
/* The member of that name (the first), or of a path of members "a.b.c" with json_path. Never NULL.
 */
const json_value *json_get(const json_value *v, str key);
const json_value *json_path(const json_value *v, str path);
const json_value *json_item(const json_value *v, size_t i);
str json_str(const json_value *v);    /* TEXT or NUMBER as text; empty otherwise */
double json_f64(const json_value *v); /* NUMBER, or TEXT that is one; 0 otherwise */
int64_t json_i64(
    const json_value *v); /* likewise; cut to the nearest when a fraction or too large */
bool json_bool(const json_value *v);

#endif
