/* pattern_list.h - the templates of a miner as the plain rows that report prints. */
#ifndef FL_APP_PATTERN_LIST_H
#define FL_APP_PATTERN_LIST_H

#include "mine/mine.h"
#include "report/patterns.h"

/* Templates of `m`, most frequent first. With `before`, that miner's lines join as count_before:
 * both are grouped as one, so that the same statement is one row (`m` then knows the shapes of
 * both). Everything is owned by `out`. */
MUST_CHECK rc pattern_list_of(miner *m, const miner *before, arena *out, pattern_list *ret, err *e);

#endif
