#include "app/pattern_list.h"

#include "base/map.h"

enum { TEMPLATES_MAX = 1 << 24 };

/* Lines of `before` by the ids of the merged miner. */
static rc counts_before(const miner *merged, const miner *before, map64 *ret, uint64_t *ret_lines,
                        err *e) {
    template_info t;
    for (size_t i = 0; miner_template_at(before, i, &t) == RC_OK; i++) {
        uint64_t *count = map64_put(ret, miner_resolve(merged, t.id), NULL);
        if (count == NULL) return FAIL(e, RC_LIMIT, "more than %d templates", TEMPLATES_MAX);
        *count += t.count;
        *ret_lines += t.count;
    }
    return RC_OK;
}

static rc fill_params(const miner *m, uint64_t id, arena *out, pattern_row *r, err *e) {
    uint64_t shape = miner_template_shape(m, id);
    uint32_t n = miner_slot_count(m, shape);
    if (n == 0) return RC_OK;
    pattern_param *params = arena_try_new_n(out, pattern_param, n);
    if (params == NULL) return FAIL(e, RC_LIMIT, "the parameters do not fit in memory");
    for (uint32_t k = 0; k < n; k++) {
        params[k].name = str_dup(out, miner_slot_name(m, shape, k));
        params[k].type = miner_slot_type(m, shape, k);
    }
    r->params = params;
    r->param_count = n;
    return RC_OK;
}

static rc fill_rows(const miner *m, const map64 *before, arena *out, pattern_list *ret, err *e) {
    miner_counts counts;
    miner_count(m, &counts);
    pattern_row *rows = arena_try_new_n(out, pattern_row, counts.templates + 1);
    if (rows == NULL)
        return FAIL(e, RC_LIMIT, "%" PRIu64 " templates do not fit in memory", counts.templates);
    template_info t;
    for (size_t i = 0; miner_template_at(m, i, &t) == RC_OK; i++) {
        MUST(ret->count < counts.templates);
        const uint64_t *was = map64_get(before, t.id);
        pattern_row *r = &rows[ret->count++];
        *r = (pattern_row){.id = t.id,
                           .first_ns = t.first_ns,
                           .last_ns = t.last_ns,
                           .max_severity = t.max_severity};
        r->count_before = was != NULL ? *was : 0;
        r->count = t.count - MIN(r->count_before, t.count);
        r->text = str_dup(out, t.text);
        if (r->text.p == NULL) return FAIL(e, RC_LIMIT, "the template texts do not fit in memory");
        rc got = fill_params(m, t.id, out, r, e);
        if (got != RC_OK) return got;
        ret->lines += r->count;
    }
    ret->rows = rows;
    ret->overflow = counts.overflow;
    ret->folded = counts.folded;
    return RC_OK;
}

rc pattern_list_of(miner *m, const miner *before, arena *out, pattern_list *ret, err *e) {
    MUST(m != NULL && ret != NULL);
    pattern_list list = {0};
    map64 counts;
    map64_init(&counts, TEMPLATES_MAX);
    rc got = RC_OK;
    if (before != NULL) {
        got = miner_merge(m, before, e);
        miner_group(m);
        if (got == RC_OK) got = counts_before(m, before, &counts, &list.lines_before, e);
    }
    if (got == RC_OK) got = fill_rows(m, &counts, out, &list, e);
    map64_release(&counts);
    if (got == RC_OK) *ret = list;
    return got;
}
