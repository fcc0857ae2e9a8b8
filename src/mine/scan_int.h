/* scan_int.h - the pass over a message's bytes: constants stay, variables become typed slots.
 * Private to mine. See scan.c for the rules. */
#ifndef FL_MINE_SCAN_INT_H
#define FL_MINE_SCAN_INT_H

#include "base/str.h"
#include "model/log.h"

enum {
    SCAN_SLOTS_MAX = 128,      /* = SLOTS_MAX of mine.h */
    SCAN_CONST_MAX = 4096,     /* constant bytes kept; what follows is one slot */
    SCAN_BYTES_MAX = 64 << 10, /* message bytes looked at; what follows is one slot */
    SCAN_SKEL_MAX = SCAN_CONST_MAX + SCAN_SLOTS_MAX,
    SCAN_LIST_MIN = 8, /* slots in a row, one blank apart, become one list slot from here on */
    SCAN_WORDS = SCAN_BYTES_MAX / 64 + 2
};

/* Stands for a slot in a skeleton. Control characters are never constants, so it is unambiguous. */
#define SCAN_MARK '\x01'

/* A piece of the message that a user's mask claimed; it is a slot whatever it holds. */
typedef struct scan_span {
    uint32_t from, to;
    uint8_t mask; /* number of the mask, from 1 */
} scan_span;

typedef struct scanner {
    /* Result of the last scan_line. */
    log_slot slot[SCAN_SLOTS_MAX];
    uint8_t weak[SCAN_SLOTS_MAX]; /* 1: a dotted name or quoted text; no evidence for a merge */
    uint8_t mask[SCAN_SLOTS_MAX]; /* number of the mask that claimed it; set when spans are given */
    uint32_t slot_count;
    uint32_t skel_bytes;
    char skel[SCAN_SKEL_MAX + 64];

    /* Work space. */
    str text;
    size_t end;  /* bytes looked at: min(text.n, SCAN_BYTES_MAX) */
    size_t at;   /* start of the constant piece that was not copied to skel yet */
    size_t word; /* first position that a token may still claim */
    bool json, done;
    bool custom;      /* further delimiters were given: table path only */
    uint8_t cls[256]; /* CLS_* bits of each byte */
    bool high;        /* the line has bytes >= 0x80 */
    uint64_t stop[SCAN_WORDS], look[SCAN_WORDS], digit[SCAN_WORDS]; /* a bit a byte */
} scanner;

/* delimiters: further bytes that separate tokens. */
void scan_init(scanner *x, str delimiters);
/* Fills slot, weak, slot_count, skel, skel_bytes. spans: sorted, disjoint, not empty ones. */
void scan_line(scanner *x, str text, const scan_span *spans, size_t span_count);

/* One token of a constant piece, as grouping and template text see it. */
typedef enum scan_tok_kind { TOK_SPACE = 0, TOK_PUNCT, TOK_WORD } scan_tok_kind;
typedef struct scan_tok {
    uint32_t offset, bytes;
    uint8_t kind;
} scan_tok;
/* Next token of text[*at, end), which holds no slot. False at the end. */
bool scan_next_token(const scanner *x, str text, size_t *at, size_t end, scan_tok *ret);
/* Is the byte one that separates tokens (white space, brackets, quotes, '=' ...)? */
bool scan_is_stop(const scanner *x, char c);

#endif
