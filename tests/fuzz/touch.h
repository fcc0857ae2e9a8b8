/* touch.h - for fuzz targets of log parsers: reads every byte a record refers to, so that a
 * dangling or overlong text is a sanitizer report, and checks what holds of every record. */
#ifndef FL_TESTS_FUZZ_TOUCH_H
#define FL_TESTS_FUZZ_TOUCH_H

#include "codec/linefmt_int.h"

static inline uint64_t touch(str s) { return s.n ? str_hash(s) : 0; }

static inline uint64_t touch_record(const log_record *r, str in) {
    MUST(r->severity <= SEV_MAX && r->line_count >= 1);
    MUST(r->raw.p >= in.p && r->raw.p + r->raw.n <= in.p + in.n);
    MUST(r->ref.offset + r->raw.n <= in.n && r->ref.bytes == r->raw.n);
    MUST(r->attr_count == 0 || r->attrs);
    uint64_t h = touch(r->raw) ^ touch(r->body) ^ touch(r->service) ^ touch(r->component) ^
                 touch(r->host) ^ touch(r->trace_id) ^ touch(r->span_id);
    for (uint32_t i = 0; i < r->attr_count; i++)
        h ^= touch(r->attrs[i].key) ^ touch(r->attrs[i].val);
    return h;
}

/* A whole input through a format of records. Oracles: next() always moves on at the end of input; a
 * record found in a longer text is the same when the text ends right behind it. */
static inline void walk_records(const record_fmt *f, str in, size_t records_of_one_max) {
    static const ts_context utc = {0};
    MUST(f->score(in) <= 100);
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    line_ctx c = {.ts = &utc, .batch = &b, .stats = &stats, .line_no = 1};
    str rest = in;
    while (rest.n > 0) {
        size_t more = f->next(rest, false);
        size_t n = f->next(rest, true);
        MUST(n > 0 && n <= rest.n && (more == 0 || more == n));
        MUST(more == 0 || f->next(str_sub(rest, 0, n), true) == n);
        size_t before = b.count;
        c.offset = (uint64_t)(rest.p - in.p);
        rc code = f->parse(&c, str_sub(rest, 0, n), NULL);
        MUST(code == RC_OK || code == RC_INVALID || b.count >= BATCH_RECORDS);
        MUST(b.count <= before + (code == RC_OK ? records_of_one_max : 0));
        rest = str_from(rest, n);
    }
    for (size_t i = 0; i < b.count; i++) IGNORE(touch_record(&b.rec[i], in)); /* reads only */
    log_batch_release(&b);
}

#endif
