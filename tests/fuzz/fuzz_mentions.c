/* Any text against a book of names. Oracle: at most MENTIONS_MAX mentions, all distinct, none
 * empty; known names are those of the book; hosts are lower case and occur in the text. */
#include "rca/mentions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool in_book(str name) {
    return str_eq(name, S("order-service")) || str_eq(name, S("payment")) ||
           str_eq(name, S("com.shop.CartService"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str text = str_make((const char *)data, size);
    arena out;
    arena_init(&out, "fuzz", 1 << 20);
    name_book book;
    name_book_init(&book);
    name_book_add(&book, S("order-service"));
    name_book_add(&book, S("payment"));
    name_book_add(&book, S("com.shop.CartService"));
    name_book_add(&book, str_sub(text, 0, 40)); /* any name may be added */
    mention m[MENTIONS_MAX];
    size_t n = mentions_find(&book, text, &out, m);
    MUST(n <= MENTIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        MUST(m[i].name.n > 0);
        bool known = in_book(m[i].name) || str_eq(m[i].name, str_sub(text, 0, 40));
        MUST(m[i].kind != MENTION_KNOWN || known);
        MUST(m[i].kind != MENTION_HOST || str_find_nocase(text, m[i].name, 0) != STR_NPOS);
        for (size_t k = 0; k < i; k++) MUST(!str_eq(m[i].name, m[k].name));
    }
    name_book_release(&book);
    arena_release(&out);
    return 0;
}
