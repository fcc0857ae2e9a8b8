#include "../unit.h"

#include "base/rng.h"
#include "model/severity.h"

static void words_of_many_libraries(void **state) {
    (void)state;
    static const struct {
        str word;
        severity want;
    } CASES[] = {
        {S_INIT("TRACE"), SEV_TRACE},
        {S_INIT("finest"), SEV_TRACE},
        {S_INIT("Verbose"), SEV_TRACE},
        {S_INIT("trce"), SEV_TRACE},
        {S_INIT("debug"), SEV_DEBUG},
        {S_INIT("DEBUG1"), SEV_DEBUG},
        {S_INIT("dbug"), SEV_DEBUG},
        {S_INIT("FINER"), SEV_DEBUG},
        {S_INIT("FINE"), 6},
        {S_INIT("CONFIG"), 7},
        {S_INIT("Info"), SEV_INFO},
        {S_INIT("Information"), SEV_INFO},
        {S_INIT("informational"), SEV_INFO},
        {S_INIT("LOG"), SEV_INFO},
        {S_INIT("Note"), SEV_INFO},
        {S_INIT("notice"), SEV_INFO2},
        {S_INIT("success"), SEV_INFO2},
        {S_INIT("WARN"), SEV_WARN},
        {S_INIT("warning"), SEV_WARN},
        {S_INIT("wrn"), SEV_WARN},
        {S_INIT("err"), SEV_ERROR},
        {S_INIT("ERROR"), SEV_ERROR},
        {S_INIT("EROR"), SEV_ERROR},
        {S_INIT("SEVERE"), SEV_ERROR},
        {S_INIT("fail"), SEV_ERROR},
        {S_INIT("FAILURE"), SEV_ERROR},
        {S_INIT("crit"), SEV_ERROR2},
        {S_INIT("Critical"), SEV_ERROR2},
        {S_INIT("dpanic"), SEV_ERROR2},
        {S_INIT("alert"), SEV_ERROR3},
        {S_INIT("emerg"), SEV_FATAL},
        {S_INIT("EMERGENCY"), SEV_FATAL},
        {S_INIT("fatal"), SEV_FATAL},
        {S_INIT("panic"), SEV_FATAL},
        {S_INIT(""), SEV_NONE},
        {S_INIT("log"), SEV_NONE},
        {S_INIT("errors"), SEV_NONE},
        {S_INIT("INFO:"), SEV_NONE},
        {S_INIT("inform"), SEV_NONE},
        {S_INIT("debugging"), SEV_NONE},
        {S_INIT("informationals"), SEV_NONE},
        {S_INIT("war"), SEV_NONE},
        {S_INIT("err\0"), SEV_NONE},
        {S_INIT("\xC3\xA9"), SEV_NONE},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        severity got = severity_from_word(CASES[i].word, false);
        if (got != CASES[i].want) fail_msg("\"%.*s\" gave %d", STR_ARG(CASES[i].word), (int)got);
    }
    assert_int_equal(severity_from_word(STR_NONE, true), SEV_NONE);
}

static void letters_only_when_asked_for(void **state) {
    (void)state;
    static const char LETTERS[] = "VTDINWECAF";
    static const severity WANT[] = {SEV_TRACE, SEV_TRACE, SEV_DEBUG,  SEV_INFO,   SEV_INFO2,
                                    SEV_WARN,  SEV_ERROR, SEV_ERROR2, SEV_ERROR3, SEV_FATAL};
    for (size_t i = 0; i < ARRAY_LEN(WANT); i++) {
        assert_int_equal(severity_from_word(str_make(&LETTERS[i], 1), true), WANT[i]);
        assert_int_equal(severity_from_word(str_make(&LETTERS[i], 1), false), SEV_NONE);
    }
    assert_int_equal(severity_from_word(S("w"), true), SEV_WARN);
    assert_int_equal(severity_from_word(S("x"), true), SEV_NONE);
    assert_int_equal(severity_from_word(S("7"), true), SEV_NONE);
}

static void numeric_scales(void **state) {
    (void)state;
    static const severity SYSLOG[] = {SEV_FATAL, SEV_ERROR3, SEV_ERROR2, SEV_ERROR,
                                      SEV_WARN,  SEV_INFO2,  SEV_INFO,   SEV_DEBUG};
    for (unsigned i = 0; i < 8; i++) assert_int_equal(severity_from_syslog(i), SYSLOG[i]);
    assert_int_equal(severity_from_syslog(8), SEV_NONE);
    static const unsigned PINO[] = {0, 10, 19, 20, 30, 35, 40, 50, 60, 1000};
    static const severity WANT[] = {SEV_NONE, SEV_TRACE, SEV_TRACE, SEV_DEBUG, SEV_INFO,
                                    SEV_INFO, SEV_WARN,  SEV_ERROR, SEV_FATAL, SEV_FATAL};
    for (size_t i = 0; i < ARRAY_LEN(PINO); i++)
        assert_int_equal(severity_from_pino(PINO[i]), WANT[i]);
}

static void texts_read_back(void **state) {
    (void)state;
    assert_text(severity_text(SEV_NONE), S(""));
    assert_text(severity_text(SEV_TRACE), S("TRACE"));
    assert_text(severity_text(SEV_INFO2), S("INFO2"));
    assert_text(severity_text(SEV_ERROR3), S("ERROR3"));
    assert_text(severity_text(SEV_MAX), S("FATAL4"));
    assert_text(severity_text((severity)(SEV_MAX + 1)), S(""));
    for (int s = SEV_TRACE; s <= SEV_FATAL; s += 4)
        assert_int_equal(severity_from_word(severity_text((severity)s), false), s);
    assert_true(severity_is_error(SEV_ERROR) && !severity_is_error(SEV_WARN) &&
                !severity_is_error(SEV_NONE));
}

static void any_bytes_are_answered(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("severity"));
    char text[20];
    for (int i = 0; i < 200000; i++) {
        size_t n = rng_below(&r, sizeof text);
        for (size_t j = 0; j < n; j++) text[j] = (char)rng_below(&r, 256);
        severity s = severity_from_word(str_make(text, n), true);
        assert_in_range(s, SEV_NONE, SEV_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_many_libraries), cmocka_unit_test(letters_only_when_asked_for),
        cmocka_unit_test(numeric_scales),          cmocka_unit_test(texts_read_back),
        cmocka_unit_test(any_bytes_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
