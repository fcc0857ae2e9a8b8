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

#endif
