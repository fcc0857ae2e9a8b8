/* logselect_int.h - rows of a block that match, and rows as records: what logselect.c gives to
 * logscan.c. Private to store. */
#ifndef FL_STORE_LOGSELECT_INT_H
#define FL_STORE_LOGSELECT_INT_H

#include "store/logview_int.h"
#include "store/select_int.h"

/* Does the block's info alone exclude it? (Time is the snapshot's matter.) */
bool log_info_excludes(const log_query *lq, const block_info *in);
/* Rows that match, time left aside: *ret_bits NULL = all; with *ret_count = 0 there is no bitmap.
 * Valid while v is open. */
MUST_CHECK rc log_match(log_view *v, lq_worker *w, const uint64_t **ret_bits, size_t *ret_count,
                        err *e);
/* Rows [lo, hi) are those of the time range (level 1: sorted; level 0: all, test with log_in_time).
 */
MUST_CHECK rc log_time_range(log_view *v, const select_common *c, size_t *ret_lo, size_t *ret_hi,
                             err *e);
/* Loads the rows of the bitmap alone when they are few: no column is needed for them then, and the
 * time range is left to log_in_time. bits and count are log_match's. */
MUST_CHECK rc log_few_rows(log_view *v, const uint64_t *bits, size_t count, bool *ret_few, err *e);
bool log_in_time(const select_common *c, int64_t time);
/* Appends row i. Texts but the body borrow from v. RC_LIMIT: the batch is full. */
MUST_CHECK rc log_put_row(log_view *v, size_t i, uint32_t want, log_batch *b, err *e);
/* Everything of row i that labels and conditions look at (level 1: all columns are loaded). */
MUST_CHECK rc log_get_row(log_view *v, size_t i, log_row *ret, str *cells, err *e);

#endif
