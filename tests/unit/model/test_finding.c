#include "../unit.h"

#include "base/mem.h"
#include "base/rng.h"
#include "model/finding.h"

#include <math.h>

static void texts_are_copied(void **state) {
    (void)state;
    finding_set s;
    finding_set_init(&s);
    char service[] = "orders", subject[] = "took";
    finding f = {.kind = FINDING_RATE_BURST,
                 .level = LEVEL_HIGH,
                 .service = str_c(service),
                 .subject = str_c(subject),
                 .template_text = S("a <*>"),
                 .ref_count = 1,
                 .refs = {{.line = 42}}};
    finding *own = finding_set_add(&s, &f);
    assert_non_null(own);
    memset(service, 'X', sizeof service - 1);
    memset(subject, 'X', sizeof subject - 1);
    assert_text(own->service, S("orders"));
    assert_text(own->subject, S("took"));
    assert_text(own->template_text, S("a <*>"));
    assert_text(own->component, S(""));
    assert_int_equal(own->refs[0].line, 42);
    assert_must_fails(finding_set_add(&s, &(finding){.ref_count = FINDING_REFS + 1}));
    assert_must_fails(finding_set_add(&s, &(finding){.kind = FINDING_KIND_COUNT}));
    finding_set_release(&s);
    finding_set_release(NULL);
}

static void the_set_says_when_it_is_full(void **state) {
    (void)state;
    finding_set s;
    finding_set_init(&s);
    finding f = {.service = S("svc")};
    for (int i = 0; i < FINDING_SET_MAX; i++) assert_non_null(finding_set_add(&s, &f));
    assert_null(finding_set_add(&s, &f));
    assert_int_equal(s.items.n, FINDING_SET_MAX);
    finding_set_release(&s);
    finding_set_init(&s);
    mem_fail_at(1);
    assert_null(finding_set_add(&s, &f));
    mem_fail_at(0);
    assert_int_equal(s.items.n, 0);
    assert_non_null(finding_set_add(&s, &f));
    finding_set_release(&s);
}

static void order_is_by_weight_and_does_not_depend_on_arrival(void **state) {
    (void)state;
    enum { N = 300 };
    static const str NAMES[] = {S_INIT("a"), S_INIT("b"), S_INIT("ab"), S_INIT("")};
    rng r;
    rng_init(&r, unit_seed("finding_set_sort"));
    static finding all[N];
    for (uint64_t i = 0; i < N; i++) {
        all[i] = (finding){
            .kind = (finding_kind)rng_below(&r, FINDING_KIND_COUNT),
            .level = (finding_level)rng_below(&r, 5),
            .surprise_bits = rng_below(&r, 10) ? (double)rng_below(&r, 4) : (double)NAN,
            .onset_ns = rng_below(&r, 4) ? (int64_t)rng_below(&r, 4) : TS_NONE,
            .service = NAMES[rng_below(&r, 4)],
            .template_id = rng_below(&r, 3),
            .refs = {{.offset = i}},
        };
    }
    finding_set first, second;
    finding_set_init(&first);
    finding_set_init(&second);
    for (size_t i = 0; i < N; i++) assert_non_null(finding_set_add(&first, &all[i]));
    for (size_t i = N - 1; i > 0; i--) {
        size_t j = rng_below(&r, i + 1);
        finding t = all[i];
        all[i] = all[j];
        all[j] = t;
    }
    for (size_t i = 0; i < N; i++) assert_non_null(finding_set_add(&second, &all[i]));
    finding_set_sort(&first);
    finding_set_sort(&second);
    for (size_t i = 0; i < N; i++) {
        const finding *a = &first.items.v[i], *b = &second.items.v[i];
        assert_int_equal(a->refs[0].offset, b->refs[0].offset);
        if (i == 0) continue;
        const finding *prev = &first.items.v[i - 1];
        assert_true(prev->level >= a->level);
        if (prev->level != a->level) continue;
        double before = isnan(prev->surprise_bits) ? 0 : prev->surprise_bits;
        double now = isnan(a->surprise_bits) ? 0 : a->surprise_bits;
        assert_true(before >= now);
        if (before > now) continue;
        if (prev->onset_ns == TS_NONE)
            assert_true(a->onset_ns == TS_NONE);
        else
            assert_true(a->onset_ns == TS_NONE || prev->onset_ns <= a->onset_ns);
    }
    finding_set_release(&first);
    finding_set_release(&second);
    finding_set_init(&first);
    finding_set_sort(&first); /* nothing to sort */
    finding_set_release(&first);
}

static void names_are_stable_and_distinct(void **state) {
    (void)state;
    assert_text(finding_kind_name(FINDING_NEW_TEMPLATE), S("new_template"));
    assert_text(finding_kind_name(FINDING_MEANING), S("meaning"));
    assert_text(finding_level_name(LEVEL_NONE), S("None"));
    assert_text(finding_level_name(LEVEL_CRITICAL), S("Critical"));
    for (int i = 0; i < FINDING_KIND_COUNT; i++) {
        assert_true(finding_kind_name((finding_kind)i).n > 0);
        for (int j = 0; j < i; j++)
            assert_false(
                str_eq(finding_kind_name((finding_kind)i), finding_kind_name((finding_kind)j)));
    }
    assert_must_fails(finding_kind_name(FINDING_KIND_COUNT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(the_set_says_when_it_is_full),
        cmocka_unit_test(order_is_by_weight_and_does_not_depend_on_arrival),
        cmocka_unit_test(names_are_stable_and_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
