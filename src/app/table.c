#include "app/table.h"

#include "base/utf8.h"

void table_init(table *t, const char *heads, arena *mem) {
    *t = (table){.mem = mem};
    str rest = str_c(heads);
    for (str head; str_next(&rest, '|', &head);) {
        MUST(t->columns < TABLE_COLUMNS_MAX);
        bool right = head.n > 0 && head.p[0] == '>';
        t->right[t->columns] = right;
        t->heads[t->columns++] = right ? str_from(head, 1) : head;
    }
}

void table_row(table *t, const str *cells) {
    if (t->rows == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        str *more = arena_try_new_n(t->mem, str, cap * t->columns);
        if (!more) return; /* a table that large is read by nobody */
        if (t->rows) memcpy(more, t->cells, t->rows * t->columns * sizeof *more);
        t->cells = more;
        t->cap = cap;
    }
    memcpy(t->cells + t->rows++ * t->columns, cells, t->columns * sizeof *cells);
}

static void put_row(const table *t, const str *cells, const size_t *widths, buf *out) {
    for (size_t c = 0; c < t->columns; c++) {
        size_t pad = widths[c] - utf8_columns(cells[c]);
        bool last = c + 1 == t->columns;
        if (c > 0) buf_put(out, S("  "));
        if (t->right[c]) buf_pad(out, ' ', pad);
        buf_put(out, cells[c]);
        if (!t->right[c] && !last) buf_pad(out, ' ', pad);
    }
    buf_putc(out, '\n');
}

void table_put(const table *t, buf *out) {
    size_t widths[TABLE_COLUMNS_MAX];
    for (size_t c = 0; c < t->columns; c++) {
        widths[c] = utf8_columns(t->heads[c]);
        for (size_t r = 0; r < t->rows; r++)
            widths[c] = MAX(widths[c], utf8_columns(t->cells[r * t->columns + c]));
    }
    put_row(t, t->heads, widths, out);
    for (size_t r = 0; r < t->rows; r++) put_row(t, t->cells + r * t->columns, widths, out);
}
