/* PromQL texts: a parse fails with one line that names a place, or gives a tree whose text parses
 * to a tree of the same text. */
#include "query/expr_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    query_text *q, *again;
    err e = {0};
    rc c = query_parse(str_make((const char *)data, size), PROMQL, &q, &e);
    if (c) {
        MUST(c == RC_INVALID && e.msg[0]);
        return 0;
    }
    buf first, second;
    buf_init(&first, 64 << 20);
    buf_init(&second, 64 << 20);
    MUST(expr_put(q->root, PROMQL, &first));
    if (first.n <= QUERY_TEXT_MAX) {
        c = query_parse(buf_str(&first), PROMQL, &again, &e);
        /* what was written without parentheses may nest deeper with them */
        if (c) {
            MUST(strstr(e.msg, "nested deeper") != NULL);
        } else {
            MUST(expr_put(again->root, PROMQL, &second));
            MUST(str_eq(buf_str(&first), buf_str(&second)));
            query_text_free(again);
        }
    }
    buf_release(&first);
    buf_release(&second);
    query_text_free(q);
    return 0;
}
