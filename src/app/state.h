/* state.h - a miner's knowledge in a file between runs (--state). */
#ifndef FL_APP_STATE_H
#define FL_APP_STATE_H

#include "mine/mine.h"
#include "sys/fs.h"

/* Merges the file into `m` and groups. A missing file is a first run: *ret_found is false. */
MUST_CHECK rc state_load(const sys_fs *fs, str path, miner *m, bool *ret_found, err *e);
/* The old file stays whole on any failure. */
MUST_CHECK rc state_save(const sys_fs *fs, str path, const miner *m, err *e);

#endif
