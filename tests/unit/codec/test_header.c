/* Learned headers against tests/golden/headers.txt (its first lines explain the form): where the
 * message begins in some fifty formats, and what their first record says. Usage: test_header
 * GOLDEN_DIRECTORY. */
#include "base/buf.h"
#include "codec/logformat.h"
#include "codec/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static const char *golden_dir;

enum { LINES_MAX = 64, GOLDEN_BYTES_MAX = 1 << 20 };

typedef struct want {
    str body;
    bool starts;
} want;

static void read_golden(const char *name, buf *out) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", golden_dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    char block[4096];
    size_t n;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        assert_true(buf_put(out, str_make(block, n)));
    fclose(f);
}

/* "key=value" of the section's head; '_' stands for a space. */
static bool fact(str head, const char *key, char out[128]) {
    str rest = head, word;
    while (str_next(&rest, ' ', &word)) {
        size_t n = strlen(key);
        if (!str_starts(word, str_c(key)) || word.n <= n || word.p[n] != '=') continue;
        snprintf(out, 128, "%.*s", STR_ARG(str_from(word, n + 1)));
        return true;
    }
    return false;
}

static void expect_fact(str head, const char *key, str got) {
    char want_text[128];
    if (fact(head, key, want_text) && !str_eq(got, str_c(want_text)))
        fail_msg("%.*s: %s is \"%.*s\"", STR_ARG(head), key, STR_ARG(got));
}

static void check_section(str head, str lines) {
    static const str MARK = S_INIT("\xc2\xa6");
    buf text;
    buf_init(&text, GOLDEN_BYTES_MAX);
    want wants[LINES_MAX];
    size_t n = 0;
    str rest = lines, line;
    while (rest.n && str_next(&rest, '\n', &line)) {
        assert_true(n < LINES_MAX);
        size_t at = str_find(line, MARK, 0);
        wants[n] = (want){.starts = at != STR_NPOS};
        if (at != STR_NPOS) wants[n].body = str_trim(str_from(line, at + MARK.n));
        buf_put(&text, str_sub(line, 0, at));
        if (at != STR_NPOS) buf_put(&text, str_from(line, at + MARK.n));
        buf_putc(&text, '\n');
        /* A message that begins on the next line. */
        if (n > 0 && wants[n - 1].starts && wants[n - 1].body.n == 0)
            wants[n - 1].body = str_trim(line);
        n++;
    }
    const log_format_opts opts = {.now_ns = INT64_C(1795170645000000000)};
    log_format *f;
    err e = {0};
    if (log_format_detect(buf_str(&text), &opts, &f, &e) != RC_OK)
        fail_msg("%.*s: %s", STR_ARG(head), e.msg);
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    size_t used;
    assert_int_equal(log_format_parse(f, buf_str(&text), 0, 1, &b, &stats, &used, &e), RC_OK);
    assert_int_equal(used, text.n);
    assert_int_equal(stats.lines, n);
    size_t rec = 0;
    for (size_t i = 0; i < n; i++) {
        if (!wants[i].starts) continue;
        if (rec == b.count || b.rec[rec].ref.line != i + 1)
            fail_msg("%.*s: line %zu starts no record (%.*s)", STR_ARG(head), i + 1,
                     STR_ARG(log_format_describe(f)));
        if (!str_eq(b.rec[rec].body, wants[i].body))
            fail_msg("%.*s: line %zu: body \"%.*s\", not \"%.*s\" (%.*s)", STR_ARG(head), i + 1,
                     STR_ARG(b.rec[rec].body), STR_ARG(wants[i].body),
                     STR_ARG(log_format_describe(f)));
        rec++;
    }
    if (rec != b.count)
        fail_msg("%.*s: %zu records, not %zu (%.*s)", STR_ARG(head), b.count, rec,
                 STR_ARG(log_format_describe(f)));
    const log_record *first = &b.rec[0];
    expect_fact(head, "severity", severity_text(first->severity));
    expect_fact(head, "component", first->component);
    expect_fact(head, "service", first->service);
    expect_fact(head, "host", first->host);
    expect_fact(head, "trace", first->trace_id);
    char ts[TS_TEXT_BYTES];
    ts_format(first->ts_ns, ts);
    expect_fact(head, "ts", str_c(ts));
    log_batch_release(&b);
    log_format_free(f);
    buf_release(&text);
}

static void header_golden_sections(void **state) {
    (void)state;
    buf golden;
    buf_init(&golden, GOLDEN_BYTES_MAX);
    read_golden("headers.txt", &golden);
    str all = buf_str(&golden);
    size_t sections = 0, at = str_find(all, S("\n== "), 0);
    while (at != STR_NPOS) {
        size_t next = str_find(all, S("\n== "), at + 4);
        str section = str_sub(all, at + 4, next == STR_NPOS ? STR_NPOS : next - at - 4 + 1);
        str head;
        assert_true(str_next(&section, '\n', &head));
        check_section(head, section);
        sections++;
        at = next;
    }
    assert_true(sections > 50);
    buf_release(&golden);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s GOLDEN_DIRECTORY\n", argv[0]);
        return 2;
    }
    golden_dir = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_golden_sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
