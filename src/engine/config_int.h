/* config_int.h - the table of keys as data, and the values of a configuration. */
#ifndef FL_ENGINE_CONFIG_INT_H
#define FL_ENGINE_CONFIG_INT_H

#include "engine/config.h"

typedef enum config_kind {
    KIND_BOOL,
    KIND_INT,
    KIND_DURATION,
    KIND_BYTES,
    KIND_TEXT,
    KIND_PATH,
    KIND_ADDRESS,
    KIND_CHOICE,
    KIND_LIST
} config_kind;

typedef struct config_row {
    str key, values, initial, help;
    config_kind kind;
    bool live; /* taken over by a reload */
} config_row;

typedef struct config_section {
    str name, help;
} config_section;

extern const config_row CONFIG_ROWS[];
extern const size_t CONFIG_ROW_COUNT;
extern const config_section CONFIG_SECTION_ROWS[];
extern const size_t CONFIG_SECTION_COUNT;

enum { CONFIG_ROWS_MAX = 96 };

typedef struct config_value {
    int64_t number;      /* BOOL, INT, DURATION (ns), BYTES */
    str text;            /* TEXT, PATH, ADDRESS, CHOICE: expanded; numbers: as written */
    str raw;             /* as written, references unexpanded */
    const str *list;     /* LIST: expanded */
    const str *raw_list; /* LIST: as written */
    size_t count;
} config_value;

struct config {
    uint32_t magic;
    arena mem;
    config_value v[CONFIG_ROWS_MAX];
};

enum { CONFIG_MAGIC = 0x666c6366 };

size_t config_find(str key); /* index of the row; STR_NPOS when unknown */
/* Checks and takes over one scalar (of a list: the whole of it is `items`). Messages do not name
 * file or line: the caller wraps. */
MUST_CHECK rc config_take(config *c, size_t row, str raw, err *e);
MUST_CHECK rc config_take_list(config *c, size_t row, const str *items, size_t count, err *e);
rc config_fail_unknown(str key, err *e);
/* yaml_reader.c: everything the text sets, into c. */
MUST_CHECK rc config_read_yaml(config *c, str yaml, str file_name, err *e);
/* A list as YAML: "[a, b]" or one scalar. */
MUST_CHECK rc config_read_list(config *c, size_t row, str yaml, err *e);

#endif
