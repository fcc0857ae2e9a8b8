/* nearest.h - the known name that a misspelt one may have meant, for "did you mean".
 *
 *     nearest best = {.given = S("fromat")};
 *     nearest_offer(&best, S("format")); ...
 *     if (best.name.n > 0) err_hint(e, "did you mean '%.*s'?", STR_ARG(best.name));
 *
 * Names of up to NEAREST_BYTES_MAX bytes are compared; longer ones are never near. */
#ifndef FL_BASE_NEAREST_H
#define FL_BASE_NEAREST_H

#include "base/str.h"

enum { NEAREST_BYTES_MAX = 63 };

typedef struct nearest {
    str given, name; /* name: the best so far, empty when none is near */
    size_t distance;
} nearest;

void nearest_offer(nearest *best, str name);
/* Every word of "a|b|c". */
void nearest_word(nearest *best, str list, char separator);

#endif
