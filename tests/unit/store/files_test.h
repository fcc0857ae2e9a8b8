/* files_test.h - a store whose records are checkpoints: the smallest signal there is, so that tests
 * of the files need no other. Record n has the key "kN" and data that depends on n. */
#ifndef FL_TESTS_STORE_FILES_TEST_H
#define FL_TESTS_STORE_FILES_TEST_H

#include "../unit.h"

#include "base/vec.h"
#include "store/embedded_int.h"
#include "sys/fake_clock.h"

/* Appends records first .. first+count-1 as one telemetry with `pad` more bytes of data each;
 * returns at once. *ret_code is set when the answer comes and one item is pushed to done. */
typedef struct answer {
    rc code;
    err e;
    sys_queue *done;
} answer;
MUST_CHECK rc put_begin(store *s, unsigned first, unsigned count, size_t pad, answer *a);
/* The same, and waits for the answer. */
rc put(store *s, unsigned first, unsigned count, size_t pad);
rc put_why(store *s, unsigned first, unsigned count, size_t pad, err *e);

/* How often each record 0..max-1 is there, by reading every block; data is checked. Returns the
 * count of records read; damage goes to stats. */
size_t count_records(store *s, unsigned *times, unsigned max, select_stats *stats);
/* Every record of [from, to) is there exactly once, and no other. */
void check_exactly(store *s, unsigned from, unsigned to);

/* A clock that stands still until told; any thread. */
typedef struct test_clock {
    _Atomic int64_t wall, mono;
} test_clock;
sys_clock test_clock_ops(test_clock *c);
#define TEST_DAY_NS   (INT64_C(86400) * 1000000000)
#define TEST_START_NS (INT64_C(20000) * TEST_DAY_NS + TEST_DAY_NS / 2) /* noon */

/* acked[n]: each record exactly once when set, at most once when not. Whole: read them without
 * damage. */
void check_acked(store *s, const bool *acked, unsigned max);
/* Puts batches of `step` records up to `to` and notes which were acknowledged. */
void put_noting(store *s, unsigned from, unsigned to, unsigned step, size_t pad, bool *acked);

/* Defaults for tests: dir, no background work. */
store_opts opts_at(str dir, const sys_fs *fs);
store *open_at(str dir, const sys_fs *fs);

#endif
