/* fuzz_syslog - any bytes as one syslog message. Oracle: every message gives a record, and the
 * record gives the same bytes back. */
#include "codec/syslog.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 1 << 16) return 0;
    str msg = str_make((const char *)data + 1, size - 1);
    ts_context ts = {.zone_offset_s = (data[0] - 128) * 900, .anchor_ns = 1795190400000000000};
    arena mem;
    arena_init(&mem, "fuzz", 16 << 20);
    log_record r = {.ts_ns = TS_NONE};
    rc code = syslog_decode(msg, &ts, &mem, &r);
    MUST(code == RC_OK);
    MUST(utf8_valid(r.body) && utf8_valid(r.host) && utf8_valid(r.service));
    for (uint32_t i = 0; i < r.attr_count; i++)
        MUST(utf8_valid(r.attrs[i].key) &&
             (r.attrs[i].type == ATTR_BYTES || utf8_valid(r.attrs[i].val)));
    buf out;
    buf_init(&out, 1 << 20);
    bool whole = syslog_put_original(&r, &out);
    MUST(whole && str_eq(buf_str(&out), msg));
    buf_release(&out);
    arena_release(&mem);
    return 0;
}
