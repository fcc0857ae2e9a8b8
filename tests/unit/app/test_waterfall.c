#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "app/table.h"
#include "app/waterfall.h"

#define SPAN(id, parent, name, from, to, more)                                                     \
    "{\"spanId\":\"" id "\",\"parentSpanId\":\"" parent "\",\"name\":\"" name                      \
    "\",\"startTimeUnixNano\":\"" from "000000\",\"endTimeUnixNano\":\"" to "000000\"" more "}"
#define TRACE(spans)                                                                               \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"      \
    "{\"stringValue\":\"shop\"}}]},\"scopeSpans\":[{\"spans\":[" spans "]}]}]}"

static void shown(const char *json, const char *want) {
    arena mem;
    buf out;
    const json_value *v;
    err e = {0};
    arena_init(&mem, "test", 16 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(json_tree(str_c(json), &mem, &v, &e), RC_OK);
    waterfall_opts o = {.width = 70};
    assert_int_equal(waterfall_put(v, &o, &mem, &out, &e), RC_OK);
    assert_string_equal(buf_c(&out), want);
    buf_release(&out);
    arena_release(&mem);
}

/* The root waits for b, then (before b began) for a; c runs beside b and is not waited for. */
static void waterfall_marks_what_was_waited_for(void **state) {
    (void)state;
    shown(
        TRACE(SPAN("1", "", "GET", "0", "100", "") "," SPAN("2", "1", "a", "0", "40", "") "," SPAN(
            "3", "1", "b", "50", "90",
            ",\"status\":{\"code\":2,\"message\":\"no\"}") "," SPAN("4", "1", "c", "50", "70", "")),
        "4 spans of 1 services in 100 ms, 1 with an error; * is the critical path\n\n"
        "shop: GET #########################    100 ms  self     20 ms *\n"
        "  shop: a ##########                    40 ms  self     40 ms *\n"
        "  shop: b             ##########        40 ms  self     40 ms * ERROR: no\n"
        "  shop: c             -----             20 ms  self     20 ms\n");
}

static void waterfall_of_orphans_and_rings(void **state) {
    (void)state;
    shown(TRACE(SPAN("2", "9", "orphan", "0", "10", "") "," SPAN(
              "3", "4", "ring", "0", "5", "") "," SPAN("4", "3", "ring", "0", "5", "")),
          "3 spans of 1 services in 10 ms, 0 with an error; * is the critical path\n\n"
          "shop: orphan ######################     10 ms  self     10 ms *\n"
          "shop: ring   ###########                 5 ms  self      0 ns *\n"
          "  shop: ring ###########                 5 ms  self      5 ms *\n");
}

static void waterfall_without_spans_is_not_found(void **state) {
    (void)state;
    arena mem;
    buf out;
    const json_value *v;
    err e = {0};
    arena_init(&mem, "test", 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(json_tree(S("{\"resourceSpans\":[]}"), &mem, &v, &e), RC_OK);
    waterfall_opts o = {.width = 70};
    assert_int_equal(waterfall_put(v, &o, &mem, &out, &e), RC_NOT_FOUND);
    buf_release(&out);
    arena_release(&mem);
}

static void table_aligns(void **state) {
    (void)state;
    arena mem;
    buf out;
    table t;
    arena_init(&mem, "test", 1 << 20);
    buf_init(&out, 1 << 20);
    table_init(&t, "name|>count|what", &mem);
    table_row(&t, (str[]){S("\303\251t\303\251"), S("7"), S("x")});
    table_row(&t, (str[]){S("a"), S("1,234,567"), S("")});
    table_put(&t, &out);
    assert_string_equal(buf_c(&out), "name      count  what\n"
                                     "\303\251t\303\251           7  x\n"
                                     "a     1,234,567  \n");
    buf_release(&out);
    arena_release(&mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waterfall_marks_what_was_waited_for),
        cmocka_unit_test(waterfall_of_orphans_and_rings),
        cmocka_unit_test(waterfall_without_spans_is_not_found),
        cmocka_unit_test(table_aligns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
