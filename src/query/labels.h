/* labels.h - labels of records: names, values, sets.
 *
 * A label's name is an attribute's key with '_' for every character outside [a-zA-Z0-9_]. A set is
 * an array sorted by name, each name once, no empty values (an absent label equals an empty one).
 */
#ifndef FL_QUERY_LABELS_H
#define FL_QUERY_LABELS_H

#include "base/buf.h"
#include "query/query.h"
#include "store/labels.h"

enum { LABELS_MAX = 1024 /* of one record: further ones are left out */ };

/* The key as a label name: borrows when it is plain already. NULL p: the arena is full. */
str label_plain(str key, arena *out);

void labels_sort(query_label *l, size_t count); /* by name; equal names keep their order */
uint64_t labels_hash(const query_label *l, size_t count);
bool labels_equal(const query_label *a, size_t a_count, const query_label *b, size_t b_count);
/* -1, 0, 1 */
int labels_cmp(const query_label *a, size_t a_count, const query_label *b, size_t b_count);
str labels_get(const query_label *l, size_t count, str name);
/* Texts too. NULL: the arena is full. */
query_label *labels_copy(const query_label *l, size_t count, arena *out);
/* {a="b", c="d"} */
bool labels_put(const query_label *l, size_t count, buf *out);
/* Name and value of every label in the sets of a group: [by] keeps, [without] leaves out. Into `to`
 * (room for `count` labels); texts are borrowed. __name__ goes with `without`. */
size_t labels_group(const query_label *l, size_t count, bool without, const str *names,
                    size_t name_count, query_label *to);

typedef enum label_class {
    LABEL_STREAM = 0, /* of the resource: names the stream */
    LABEL_META,       /* of the record: structured metadata */
    LABEL_PARSED      /* made by a stage */
} label_class;

/* The value of a record's label as stored; STR_NONE when absent. Values that are no text live in
 * `tmp`. `level` and `detected_level` are the severity. */
str record_label(const log_record *r, str name, arena *tmp);
bool record_has_stream_label(const log_record *r, str name);
/* All labels of a record of one class, unsorted, each name once. At most cap. */
size_t record_stream_labels(const log_record *r, arena *tmp, query_label *to, size_t cap);
size_t record_metadata(const log_record *r, arena *tmp, query_label *to, size_t cap);
/* Of a metric's series, without __name__; attributes of points before those of the resource. */
size_t series_labels(const metric_series *s, arena *tmp, query_label *to, size_t cap);
str record_level(const log_record *r);
/* Time of the event, or what stands for it. */
int64_t record_time(const log_record *r);
/* A copy with everything it refers to; shared resources and scopes once by *cache (may be NULL).
 * NULL: the arena is full. */
typedef struct record_cache {
    const resource *resource, *resource_copy;
    const scope *scope, *scope_copy;
} record_cache;
log_record *record_copy(const log_record *r, record_cache *cache, arena *out);

#endif
