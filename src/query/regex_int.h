/* regex_int.h - PCRE2 as the query languages need it: compiled once for a query and shared by all
 * workers, each with its own match state. Code points, damaged UTF-8 admitted, as the store
 * matches; `.` matches a newline only where asked. Every match is bounded in steps; one that
 * exceeds them does not match. */
#ifndef FL_QUERY_REGEX_INT_H
#define FL_QUERY_REGEX_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct regex regex;
typedef struct regex_set { /* owns what it compiled */
    regex *first;
    size_t count;
} regex_set;

enum { REGEX_MAX = 1000 /* of one query */, REGEX_GROUPS_MAX = 64 };

typedef enum regex_mode {
    REGEX_FIND = 0, /* anywhere in the text */
    REGEX_WHOLE     /* the whole text, `.` matches newlines: label matchers */
} regex_mode;

/* Lives in mem until regex_set_release. RC_INVALID: the message says what is wrong and where. */
MUST_CHECK rc regex_compile(regex_set *s, str pattern, regex_mode mode, arena *mem,
                            const regex **ret, err *e);
void regex_set_release(regex_set *s);

/* One a worker; lives in the heap. */
typedef struct regex_state regex_state;
regex_state *regex_state_new(void);
void regex_state_free(regex_state *st); /* accepts NULL */

bool regex_test(const regex *r, regex_state *st, str text);
/* False without a match. ret[0] is the whole match, ret[i] group i; a group that took no part has p
 * == NULL. At most cap, at most REGEX_GROUPS_MAX. */
bool regex_groups(const regex *r, regex_state *st, str text, str *ret, size_t cap);
size_t regex_group_count(const regex *r); /* without group 0 */
/* Name of group i (1 ..), empty when it has none. */
str regex_group_name(const regex *r, size_t i);
/* Appends `text` to out as an expression that matches it alone. */
struct buf;
bool regex_quote(struct buf *out, str text);

#endif
