/* store_gen.h - a store in a temporary folder, filled with generated telemetry: part of it merged,
 * part of it still in the journal. */
#ifndef FL_TESTS_STORE_STORE_GEN_H
#define FL_TESTS_STORE_STORE_GEN_H

#include "telemetry_gen.h"

#include "store/store.h"

typedef struct temp_store {
    char dir[64];
    store *s;
} temp_store;

void temp_store_open(temp_store *t);
void temp_store_reopen(temp_store *t);
void temp_store_close(temp_store *t);                /* removes the folder */
void temp_store_append(temp_store *t, telemetry *x); /* takes x, waits for the answer */
void temp_store_compact(temp_store *t);

#endif
