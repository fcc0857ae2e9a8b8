/* telemetry_gen.h - random telemetry for tests of the store, comparison of records, and blocks held
 * in memory. */
#ifndef FL_TESTS_STORE_TELEMETRY_GEN_H
#define FL_TESTS_STORE_TELEMETRY_GEN_H

#include "../unit.h"

#include "base/rng.h"
#include "store/block.h"

/* Values, keys and names come from small and large sets alike; ids of spans refer to spans made
 * before. Everything lives in t->mem. */
void gen_spans(telemetry *t, rng *r, size_t count);
void gen_metrics(telemetry *t, rng *r, size_t count, int64_t now_ns);
void gen_profiles(telemetry *t, rng *r, size_t count);
attribute gen_attr(arena *mem, rng *r);
str gen_text(arena *mem, rng *r);
const resource *gen_resource(arena *mem, rng *r);

bool same_attrs(const attribute *a, uint32_t n, const attribute *b, uint32_t m);
bool same_resource(const resource *a, const resource *b);
bool same_scope(const scope *a, const scope *b);
bool same_span(const span *a, const span *b);
bool same_point(const metric_point *a, const metric_point *b); /* all but metric and attrs */
bool same_profile(const profile_batch *x, const profile *a, const profile_batch *y,
                  const profile *b);
bool same_metric(const metric_info *a, const metric_info *b);

/* Blocks that an encoder or a merge puts. */
typedef struct block_list {
    block_info info[256];
    block_io io[256];
    char *bytes[256];
    size_t count;
} block_list;
rc block_list_put(void *ctx, const block_info *info, str payload, err *e);
void block_list_release(block_list *l);

#endif
