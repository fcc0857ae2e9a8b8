/* A rule file and a text in one input: the file up to a line "---text---", the rest is matched.
 *
 * Oracle: a file that is refused says so with a code, a line and leaves the set empty; what is read
 * obeys the stated maxima; every match satisfies the order that rules_match promises. */
#include "rca/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str in = str_make((const char *)data, size);
    size_t cut = str_find(in, S("---text---\n"), 0);
    str yaml = str_sub(in, 0, cut), text = cut == STR_NPOS ? in : str_from(in, cut + 11);
    rules *r = rules_new();
    err e = {0};
    rc code = rules_add_yaml(r, yaml, S("fuzz.yaml"), &e);
    if (code != RC_OK) {
        MUST(rules_count(r) == 0);
        MUST(e.code == code && str_has(str_c(e.msg), S("fuzz.yaml")));
    }
    MUST(rules_count(r) <= RULES_MAX);
    for (size_t i = 0; i < rules_count(r); i++) {
        const rule *x = rules_at(r, i);
        MUST(rules_get(r, x->id) == x && x->title.en.n > 0);
        MUST(x->cause_rank >= 0 && x->cause_rank <= 100 && x->step_count <= RULE_STEPS_MAX);
    }
    rule_match found[8];
    rule_subject s = {&text, 1, -1};
    size_t n = rules_match(r, &s, found, ARRAY_LEN(found));
    for (size_t i = 1; i < n; i++) MUST(found[i - 1].specificity >= found[i].specificity);
    /* The whole set and the best one agree. */
    rule_match best;
    MUST(rules_match(r, &s, &best, 1) == (n > 0));
    if (n) MUST(best.rule == found[0].rule);
    rules_free(r);
    return 0;
}
