/* mentions.h - who names whom: services, components, dependencies and hosts in the text of a log
 * record.
 *
 * A book holds the names that are known (services, components). Dependencies that everybody knows
 * (redis, mysql, kafka ..., by name, client library or port) and hosts (of URLs, host:port, domain
 * names) are found without being told. One thread. */
#ifndef FL_RCA_MENTIONS_H
#define FL_RCA_MENTIONS_H

#include "base/arena.h"
#include "base/map.h"

enum { MENTIONS_MAX = 16, MENTION_TEXT_MAX = 8192, MENTION_NAMES_MAX = 4096 };

typedef enum mention_kind {
    MENTION_KNOWN = 0,  /* a name of the book */
    MENTION_DEPENDENCY, /* of the built-in list */
    MENTION_HOST        /* an external host, without its port */
} mention_kind;

typedef struct mention {
    mention_kind kind;
    str name;      /* as added to the book; of the built-in list; host: from `out`, lower case */
    bool incoming; /* named as the caller ("request from x"): not something depended upon */
} mention;

typedef struct name_book {
    intern keys;    /* folded forms */
    str *names;     /* by key: the name as added */
    uint8_t *where; /* by key: in which contexts it counts */
    size_t cap;
} name_book;

void name_book_init(name_book *b);
void name_book_release(name_book *b);
/* `name` is borrowed until release. Generic names ("app", "api", "main") count as the host of an
 * address only. */
void name_book_add(name_book *b, str name);

/* Distinct mentions in order of appearance. Frames of stack traces are not looked at. */
size_t mentions_find(const name_book *b, str text, arena *out, mention ret[MENTIONS_MAX]);

/* The built-in dependency that this name stands for ("redis-master-0": "redis"); empty: none. */
str mention_dependency_of(str name);

#endif
