/* fuzz_mine_state.c - a saved miner state. The input is the state without its checksum, which is
 * added here, so that the fuzzer gets past it. What loads must work: be grouped, described, saved
 * and loaded again to the same. */
#include <stdlib.h>

#include "base/buf.h"
#include "mine/mine.h"

enum { INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load_and_use(str state) {
    miner *m, *again;
    err e = {0};
    MUST(miner_new(NULL, &m, &e) == RC_OK && miner_new(NULL, &again, &e) == RC_OK);
    rc code = miner_load(m, state, &e);
    MUST(code == RC_OK || code == RC_CORRUPT || code == RC_UNSUPPORTED || code == RC_INVALID);
    miner_counts x, y;
    miner_count(m, &x);
    if (code != RC_OK) MUST(x.lines == 0 && x.shapes == 0);
    miner_group(m);
    template_info t;
    uint64_t lines = x.overflow;
    for (size_t i = 0; miner_template_at(m, i, &t) == RC_OK; i++) {
        lines += t.count;
        MUST(miner_resolve(m, t.id) == t.id);
    }
    MUST(lines == x.lines);
    buf out;
    buf_init(&out, 4 * INPUT_MAX);
    MUST(miner_save(m, &out, &e) == RC_OK);
    MUST(miner_load(again, buf_str(&out), &e) == RC_OK);
    miner_count(again, &y);
    MUST(y.lines == x.lines && y.shapes == x.shapes && y.overflow == x.overflow);
    (void)miner_add(m, S("took 5 ms"), NULL, 0, NULL);
    buf_release(&out);
    miner_free(m);
    miner_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    str raw = str_make((const char *)data, size);
    load_and_use(raw);
    buf b;
    buf_init(&b, size + 8);
    MUST(buf_put(&b, raw) && buf_le64(&b, str_hash(raw)));
    load_and_use(buf_str(&b));
    buf_release(&b);
    return 0;
}
