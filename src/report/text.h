/* text.h - the texts of reports by key and language (text.tbl.h). */
#ifndef FL_REPORT_TEXT_H
#define FL_REPORT_TEXT_H

#include "base/arena.h"
#include "report/report.h"

typedef enum text_key {
#define T(key, en, zh) TEXT_##key,
#include "report/text.tbl.h"
#undef T
    TEXT_COUNT
} text_key;

str text_get(report_lang lang, text_key key);
/* {0} .. {9} replaced by args[0..count-1]; an argument that is not given stays empty. */
str text_fill(arena *out, report_lang lang, text_key key, const str *args, size_t count);
#define TEXT_FILL(out, lang, key, ...)                                                             \
    text_fill((out), (lang), (key), (const str[]){__VA_ARGS__},                                    \
              sizeof((const str[]){__VA_ARGS__}) / sizeof(str))

#endif
