/* clean.h - text out of logs made harmless for people's eyes. */
#ifndef FL_REPORT_CLEAN_H
#define FL_REPORT_CLEAN_H

#include "base/arena.h"
#include "base/str.h"

/* Control characters (C0 but line feed, DEL, C1) become \x1b or \u0085 as visible text, so do the
 * invisible characters that reorder or hide text (bidirectional controls, zero width, BOM); a tab
 * becomes four spaces, ill-formed UTF-8 U+FFFD. Borrows `s` when there is nothing to do. */
str clean_text(arena *out, str s);
/* The same for one line: a line end or tab becomes a space. */
str clean_line(arena *out, str s);

#endif
