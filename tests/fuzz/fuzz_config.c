/* A configuration file. Oracle: one that is refused says where; one that is taken is printed to a
 * text that loads back and prints the same. References to files and variables are left out: what
 * they stand for is not part of the input. */
#include "engine/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str in = str_make((const char *)data, size);
    if (str_has(in, S("${file")) || str_has(in, S("${env"))) return 0;
    config *c = NULL, *again = NULL;
    err e = {0};
    rc code = config_load(in, S("fuzz.yaml"), &c, &e);
    if (code != RC_OK) {
        MUST(c == NULL && e.code == code && str_starts(str_c(e.msg), S("fuzz.yaml")));
        return 0;
    }
    IGNORE(config_check(c, &e)); /* either answer is right; it must not crash */
    buf one, two;
    buf_init(&one, 8 << 20);
    buf_init(&two, 8 << 20);
    if (config_put(c, false, &one) && one.n < CONFIG_FILE_BYTES_MAX) {
        code = config_load(buf_str(&one), S("printed"), &again, &e);
        MUST(code == RC_OK);
        MUST(config_put(again, false, &two) && str_eq(buf_str(&one), buf_str(&two)));
        MUST(config_needs_restart(c, again).n == 0);
    }
    buf_release(&one);
    buf_release(&two);
    config_free(again);
    config_free(c);
    return 0;
}
