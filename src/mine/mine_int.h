/* mine_int.h - what the files of this room share. Private to mine. */
#ifndef FL_MINE_MINE_INT_H
#define FL_MINE_MINE_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "mine/mine.h"
#include "mine/scan_int.h"

enum {
    MASK_MIXED = 255,
    MINER_MAGIC = 0x6d696e65,
    VALUE_BYTES_MAX = 128, /* of a slot's value kept in a shape's example */
    PIECES_MAX = 7,        /* pieces of a value that are followed */
    PARTS_MIN = 3,         /* a value of so many varying pieces is shown piece by piece */
    SHAPE_STRONG =
        0x8000, /* bit of slot_stat.types: some value was no dotted name or quoted text */
    SHAPE_LETTERS = 0x4000, /* bit of slot_stat.types: some value had a piece that is no number */
    UNIT_SAME = 0x80        /* bit of slot_stat.same: the unit never changed */
};

/* What the lines of a shape showed in one slot. Everything but offset and bytes is independent of
 * the order of the lines. */
typedef struct slot_stat {
    uint32_t offset, bytes; /* example value, in shape.text; cut at VALUE_BYTES_MAX */
    uint16_t types;         /* bit per slot_type seen, SHAPE_STRONG and SHAPE_LETTERS */
    uint8_t same;           /* bit per piece (0..PIECES_MAX-1) that never changed, and UNIT_SAME */
    uint8_t agree;          /* leading pieces whose separators never changed */
    uint8_t mask;           /* the mask that claimed every value; 0 none, MASK_MIXED several */
} slot_stat;

/* One heap block: the struct, the slots, the text. */
typedef struct shape {
    uint64_t id, check; /* low and high half of the skeleton's 128-bit hash */
    uint64_t count;     /* lines */
    uint64_t absorbed;  /* lines of dropped shapes of the same template */
    uint64_t error_count;
    int64_t first_ns, last_ns;
    log_ref first_ref;
    bool has_ref;
    uint8_t max_severity;
    uint16_t slot_count;
    uint32_t group;      /* index in miner.groups after grouping, GROUP_NONE before */
    uint32_t text_bytes; /* the example: constants and cut values */
    uint32_t block_bytes;
    char *text;
    slot_stat slot[];
} shape;

#define GROUP_NONE UINT32_MAX

typedef struct tmpl {
    uint64_t id; /* smallest shape id of the group */
    uint64_t count;
    uint64_t error_count;
    int64_t first_ns, last_ns;
    log_ref first_ref;
    bool has_ref;
    uint8_t max_severity;
    uint32_t first, shapes; /* miner.members[first .. first + shapes), most lines first */
    str text;               /* made when first asked for */
} tmpl;

typedef struct table_entry {
    uint64_t id;
    uint32_t at; /* index in miner.shapes, plus one; 0 = empty */
} table_entry;

typedef struct mask_set mask_set;

/* Switches and constants of grouping; changed only to measure what each is worth (bench/). */
typedef struct mine_tuning {
    bool part, word_slot, variety, twin, held; /* rules of group.c */
    uint32_t variety_min, held_min, shared_min, context_min, rounds_max;
} mine_tuning;

struct miner {
    uint32_t magic;
    mine_tuning tuning;
    size_t max_shapes, max_bytes;
    mask_set *masks; /* NULL without masks */
    uint64_t options_hash;

    table_entry *table;
    size_t table_cap; /* power of two, at least twice the shapes */
    shape **shapes;   /* dense: 0 .. shape_count-1 */
    uint8_t *hits;    /* of each since the clock hand passed; apart, for the hand to be quick */
    size_t shape_count, shapes_cap;
    size_t hand; /* of the clock */
    size_t shape_bytes;

    uint64_t lines, overflow, evicted, folded;
    uint64_t last_shape; /* of the line before */
    map64 places;        /* rest of a statement with a variable word -> a shape of its template */
    map64 gone;          /* dropped shape -> a shape of the template that took its lines */

    bool grouped; /* groups and members are those of the present shapes; else of earlier ones */
    uint64_t added_since_group;
    unsigned group_patience; /* see group_under_pressure */
    tmpl *groups;
    uint64_t *members; /* shape ids by group */
    uint32_t *order;   /* group indices by count, then text; NULL until asked for */
    size_t group_count;
    arena texts;

    scanner scan;
};

/* miner.c */
uint64_t skeleton_hash(str skel, uint64_t *ret_check);
shape *miner_find(const miner *m, uint64_t id);
/* Splits a value into pieces at . - : @ $ # + and the like; "_-" holds together. */
size_t value_pieces(str value, scan_tok *ret, size_t max);
/* Adds a shape with the given example and slot statistics, or joins them to the shape that is
 * there. NULL when there is no room (the lines are counted as overflow by the caller). */
shape *miner_admit(miner *m, const shape *from);

/* mask.c */
MUST_CHECK rc mask_set_new(const mine_mask *masks, size_t count, mask_set **ret, err *e);
void mask_set_free(mask_set *s);
/* Spans of text that a mask claims: sorted, disjoint, at most max. */
size_t mask_set_find(mask_set *s, str text, scan_span *ret, size_t max);
/* "<name>" of a mask. */
size_t mask_set_count(const mask_set *s); /* 0 for NULL */
str mask_set_shown(const mask_set *s, uint8_t mask);

/* group.c: is the shape, which is in no table, one of a known template with another value in a
 * variable word? Returns a shape id of that template, or 0. */
uint64_t group_place_of(const miner *m, const shape *s);
/* The tuning everyone gets; fills groups and members. */
mine_tuning group_tuning(void);
void group_shapes(miner *m);

/* text.c: template text of a group, from m->texts. */
str group_text(miner *m, const tmpl *g);

#endif
