/* Any text as a JSON tree, and the same tree as a trace. Oracle: a tree is made of exactly the
 * texts that json_validate takes or refuses for their UTF-8 alone; printing a waterfall of whatever
 * it is ends, and writes no control character but line ends. */
#include "app/waterfall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str in = str_make((const char *)data, size);
    arena mem;
    arena_init(&mem, "fuzz", 64 << 20);
    const json_value *v = NULL;
    err e = {0};
    rc code = json_tree(in, &mem, &v, &e);
    if (code != RC_OK) {
        MUST(v == NULL && e.code == code);
        MUST(code != RC_INVALID || json_validate(in, NULL) != RC_OK);
    } else {
        buf out;
        buf_init(&out, 16 << 20);
        waterfall_opts o = {.width = 100, .utf8 = true};
        code = waterfall_put(v, &o, &mem, &out, &e);
        for (size_t i = 0; code == RC_OK && i < out.n; i++)
            MUST((unsigned char)out.p[i] >= ' ' || out.p[i] == '\n');
        buf_release(&out);
    }
    arena_release(&mem);
    return 0;
}
