/* fuzz_mine.c - messages, one a line: every message must come back byte for byte from its shape and
 * its values, the same message must have the same shape again, a second miner that learns the lines
 * backwards must end with the same templates, and counts must add up. */
#include <stdlib.h>

#include "base/buf.h"
#include "mine/mine.h"

enum { LINES_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t learn(miner *m, str line, buf *out) {
    log_slot slots[SLOTS_MAX];
    str values[SLOTS_MAX];
    uint32_t n;
    uint64_t id = miner_add(m, line, slots, SLOTS_MAX, &n);
    size_t end = 0;
    for (uint32_t k = 0; k < n; k++) {
        MUST(slots[k].offset >= end && slots[k].bytes > 0 && slots[k].type < SLOT_TYPE_COUNT);
        end = (size_t)slots[k].offset + slots[k].bytes;
        MUST(end <= line.n);
        values[k] = str_sub(line, slots[k].offset, slots[k].bytes);
        (void)miner_slot_name(m, id, k);
        (void)miner_slot_after(m, id, k);
    }
    buf_reset(out);
    err e = {0};
    MUST(miner_render(m, id, values, n, out, &e) == RC_OK);
    MUST(str_eq(buf_str(out), line));
    return id;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    miner *a, *b;
    err e = {0};
    miner_opts opts = {0};
    str rest = str_make((const char *)data, size);
    if (size > 2 && data[0] == '\x02') { /* a delimiter of one's own */
        opts.delimiters = str_sub(rest, 1, 1);
        rest = str_from(rest, 2);
    }
    MUST(miner_new(&opts, &a, &e) == RC_OK && miner_new(&opts, &b, &e) == RC_OK);
    buf out;
    buf_init(&out, size + 1);
    str lines[LINES_MAX], line;
    uint64_t ids[LINES_MAX];
    size_t n = 0;
    while (n < LINES_MAX && str_next(&rest, '\n', &line)) {
        lines[n] = line;
        ids[n++] = learn(a, line, &out);
    }
    for (size_t i = n; i-- > 0;) MUST(learn(b, lines[i], &out) == ids[i]);
    miner_group(a);
    miner_group(b);
    template_info x, y;
    uint64_t lines_counted = 0;
    size_t i = 0;
    for (; miner_template_at(a, i, &x) == RC_OK; i++) {
        MUST(miner_template_at(b, i, &y) == RC_OK);
        MUST(x.id == y.id && x.count == y.count && x.shapes == y.shapes && str_eq(x.text, y.text));
        lines_counted += x.count;
    }
    MUST(miner_template_at(b, i, &y) == RC_NOT_FOUND);
    MUST(lines_counted == n);
    for (size_t k = 0; k < n; k++) MUST(miner_template_of(a, ids[k]) != 0);
    miner_free(a);
    miner_free(b);
    buf_release(&out);
    return 0;
}
