/* TraceQL texts: a select whose texts lie in the arena, or one line of reason. */
#include "query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena mem;
    arena_init(&mem, "fuzz", 64 << 20);
    span_select s;
    err e = {0};
    rc c = query_traceql(str_make((const char *)data, size), &mem, &s, &e);
    if (c) {
        MUST((c == RC_INVALID || c == RC_UNSUPPORTED) && e.msg[0]);
    } else {
        MUST(s.c.match_count <= 64 && s.min_duration_ns >= 0 && s.max_duration_ns >= 0);
        for (size_t i = 0; i < s.c.match_count; i++)
            MUST(s.c.match[i].name.p != NULL && s.c.match[i].op <= MATCH_NOT_RE);
    }
    arena_release(&mem);
    return 0;
}
