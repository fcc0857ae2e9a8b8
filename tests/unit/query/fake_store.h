/* fake_store.h - a store in memory that evaluates everything record by record: what the query room
 * is tested against, and the oracle of its pushed down parts. */
#ifndef FL_TESTS_FAKE_STORE_H
#define FL_TESTS_FAKE_STORE_H

#include "query/query.h"

typedef struct fake_store fake_store;

fake_store *fake_store_new(void);
void fake_store_free(fake_store *f);
store *fake_store_of(fake_store *f);
arena *fake_store_arena(fake_store *f);

/* Texts are borrowed. */
log_record *fake_store_log(fake_store *f);
span *fake_store_span(fake_store *f);
void fake_store_series(fake_store *f, const metric_series *s);
void fake_store_edge(fake_store *f, const service_edge *edge);

/* Calls of the ops so far. */
typedef struct fake_counts {
    unsigned logs, counts, spans, metrics;
    uint64_t rows;        /* records handed to sinks of logs */
    log_select last_logs; /* matchers and filters are copies */
} fake_counts;
const fake_counts *fake_store_counts(const fake_store *f);
void fake_store_reset_counts(fake_store *f);

#endif
