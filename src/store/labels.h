/* labels.h - label names and matchers, as every signal evaluates them (rules: store.h). */
#ifndef FL_STORE_LABELS_H
#define FL_STORE_LABELS_H

#include "store/store.h"

enum { MATCHERS_MAX = 256, LABEL_NAME_MAX = 1024 };

/* A label's name as matchers and answers have it: every character outside [a-zA-Z0-9_] is '_'. Of
 * at most LABEL_NAME_MAX bytes, the rest is cut off. */
typedef struct label_name {
    char p[LABEL_NAME_MAX];
    size_t n;
} label_name;
str label_name_of(str key, label_name *to);
/* Does an attribute's key go by this name (either form)? */
bool label_is(str name, str key);
/* Hash of (name in its matching form, value): what filters hold. */
uint64_t label_pair_hash(str name, str value);

typedef struct matchers matchers;
/* Compiles the expressions. RC_INVALID: one is wrong, message with its text; RC_LIMIT. Copies what
 * it needs. Any number of threads may test at once. */
MUST_CHECK rc matchers_new(const label_match *m, size_t count, matchers **ret, err *e);
void matchers_free(matchers *m); /* accepts NULL */
size_t matchers_count(const matchers *m);
str matchers_name(const matchers *m, size_t i);
/* Does the value (empty = absent) satisfy matcher i? An expression that gives up counts as no. */
bool matchers_test(const matchers *m, size_t i, str value);
/* The only value that satisfies it, when there is exactly one that is not empty. */
bool matchers_only(const matchers *m, size_t i, str *ret);

#endif
