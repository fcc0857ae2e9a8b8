/* fuzz_timestamp - any text as a stamp. Oracles: what is detected parses with the layout found and
 * the same length; a parsed time written as RFC 3339 reads back to the same millisecond; the
 * calendar goes round. */
#include "codec/timestamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(int64_t ns) {
    char text[TS_TEXT_BYTES];
    size_t n = ts_format(ns, text);
    const ts_context none = {0};
    int64_t back;
    MUST(n < sizeof text && text[n] == '\0');
    /* Years the reader takes: 1900 to 2262. */
    if (ns < INT64_C(-2208988800) * 1000000000) return;
    MUST(ts_parse_any(str_make(text, n), &none, &back));
    MUST(back <= ns && ns - back < 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str s = str_make((const char *)data, size);
    ts_context c = {0};
    if (size >= 12) {
        memcpy(&c.anchor_ns, data, sizeof c.anchor_ns);
        c.zone_offset_s = (int8_t)data[8] * 900;
        s = str_from(s, data[9] % 12);
    }
    ts_layout layout;
    size_t detected, parsed;
    int64_t ns;
    for (int i = 0; i < 2; i++, c = (ts_context){0}) {
        if (ts_detect(s, &layout, &detected)) {
            MUST(detected > 0 && detected <= s.n);
            if (ts_parse(s, layout, &c, &ns, &parsed)) {
                MUST(parsed == detected);
                check_text(ns);
            }
        }
        if (ts_parse_any(s, &c, &ns)) check_text(ns);
        str lines[8], rest = s;
        size_t n = 0;
        while (n < ARRAY_LEN(lines) && str_next(&rest, '\n', &lines[n])) n++;
        if (ts_detect_column(lines, n, &c, &layout)) {
            size_t read = 0;
            for (size_t k = 0; k < n; k++) read += ts_parse(lines[k], layout, &c, &ns, &parsed);
            MUST(read * 2 >= n);
        }
    }
    if (size >= 8) {
        int64_t v, year;
        unsigned month, day;
        memcpy(&v, data, sizeof v);
        if (ts_from_epoch_int(v, &ns)) check_text(ns);
        v %= 4000000;
        ts_civil_from_days(v, &year, &month, &day);
        MUST(ts_days_from_civil(year, month, day) == v);
    }
    return 0;
}
