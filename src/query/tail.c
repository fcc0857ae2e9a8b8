/* tail.c - a log query over batches as they come in: selector, line filters and stages, all in the
 * pipe. */
#include "base/mem.h"
#include "query/pipeline_int.h"
#include "query/query.h"

struct query_tail {
    query_text *text;
    const regex **match_re; /* of the selector's matchers */
    log_pipe pipe;
    query_label *labels; /* LABELS_MAX */
};

rc query_tail_new(str text, query_tail **ret, err *e) {
    query_text *q;
    rc c = query_parse(text, LOGQL, &q, e);
    if (c) return c;
    const expr *x = q->root;
    if (x->type != TYPE_STREAMS) {
        query_text_free(q);
        return FAIL(e, RC_INVALID,
                    "parse error : only log queries can be followed, no metric queries");
    }
    query_tail *t = mem_new(query_tail);
    t->text = q;
    t->match_re = mem_new_n(const regex *, MAX(x->match_count, 1));
    for (size_t i = 0; i < x->match_count && !c; i++) {
        if (x->match[i].op < MATCH_RE) continue;
        c = regex_compile(&q->regexes, x->match[i].value, REGEX_WHOLE, &q->mem, &t->match_re[i], e);
    }
    pipe_init(&t->pipe, x->stages, x->stage_count);
    t->labels = mem_new_n(query_label, LABELS_MAX);
    if (c) {
        query_tail_free(t);
        return c;
    }
    *ret = t;
    return RC_OK;
}

void query_tail_free(query_tail *t) {
    if (!t) return;
    pipe_release(&t->pipe);
    mem_free(t->match_re);
    mem_free(t->labels);
    query_text_free(t->text);
    mem_free(t);
}

static bool selected(query_tail *t, const log_record *r) {
    const expr *x = t->text->root;
    for (size_t i = 0; i < x->match_count; i++) {
        const label_match *m = &x->match[i];
        str v = record_label(r, m->name, &t->pipe.scratch);
        bool holds =
            m->op < MATCH_RE ? str_eq(v, m->value) : regex_test(t->match_re[i], t->pipe.re, v);
        if (holds != (m->op == MATCH_EQ || m->op == MATCH_RE)) return false;
    }
    return true;
}

rc query_tail_offer(query_tail *t, const log_batch *b, arena *mem, const query_entry **ret,
                    size_t *ret_count, err *e) {
    size_t n = 0, cap = 0;
    query_entry *out = NULL;
    record_cache cache = {0};
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        arena_reset(&t->pipe.scratch);
        if (!selected(t, r) || !pipe_run(&t->pipe, r)) continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            query_entry *more = arena_try_new_n(mem, query_entry, cap);
            if (!more)
                return FAIL(e, RC_LIMIT, "a batch of followed records needs too much memory");
            if (n) memcpy(more, out, n * sizeof(*out));
            out = more;
        }
        size_t count = pipe_metadata(&t->pipe, t->labels);
        labels_sort(t->labels, count);
        size_t parsed = MIN(pipe_parsed(&t->pipe, t->pipe.tmp_labels), LABELS_MAX - count);
        labels_sort(t->pipe.tmp_labels, parsed);
        memcpy(t->labels + count, t->pipe.tmp_labels, parsed * sizeof(query_label));
        query_entry one = {
            .ts_ns = t->pipe.ts_ns, .metadata_count = count + parsed, .parsed_count = parsed};
        one.metadata = labels_copy(t->labels, count + parsed, mem);
        one.record = record_copy(r, &cache, mem);
        one.line = str_dup(mem, t->pipe.line);
        if (!one.metadata || !one.record || (t->pipe.line.n && !one.line.p)) {
            return FAIL(e, RC_LIMIT, "a batch of followed records needs too much memory");
        }
        out[n++] = one;
    }
    *ret = out;
    *ret_count = n;
    return RC_OK;
}
