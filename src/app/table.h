/* table.h - rows of texts as aligned columns for the terminal; numbers to the right. */
#ifndef FL_APP_TABLE_H
#define FL_APP_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

enum { TABLE_COLUMNS_MAX = 16 };

typedef struct table {
    arena *mem; /* borrowed */
    str heads[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX];
    size_t columns, rows, cap;
    str *cells; /* rows x columns */
} table;

/* heads: "name|>count|...", '>' = to the right. */
void table_init(table *t, const char *heads, arena *mem);
void table_row(table *t, const str *cells); /* one for each column; texts must live until the end */
void table_put(const table *t, buf *out);

#endif
