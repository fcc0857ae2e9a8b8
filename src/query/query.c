/* query.c - the two entries: a text in, a result out. See query.h. */
#include "query/query.h"

#include "query/logs_int.h"
#include "sys/clock.h"

static int64_t now_ns(void) { return SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns; }

/* An expression over steps; its values live in an arena of their own. */
static rc run_expr(store *s, query_text *t, const query_opts *o, arena *mem, query_result *ret,
                   err *e) {
    arena work;
    arena_init(&work, "query evaluation", EVAL_ARENA_MAX);
    eval ev;
    value v;
    rc c = eval_init(&ev, s, o, t, &work, &ret->stats, e);
    if (!c) c = eval_expr(&ev, t->root, &v, e);
    if (!c) c = eval_result(&ev, &v, mem, ret, e);
    arena_release(&work);
    return c;
}

static rc run(store *s, dialect d, const query_opts *o, arena *mem, query_result *ret, err *e) {
    int64_t began = now_ns();
    query_text *t;
    rc c = query_parse(o->text, d, &t, e);
    if (c) return c;
    query_result got = {0};
    if (t->root->type == TYPE_STREAMS) {
        c = logs_streams(s, t->root, o, mem, &got, e);
    } else {
        c = run_expr(s, t, o, mem, &got, e);
    }
    query_text_free(t);
    if (c) return c;
    got.duration_ns = now_ns() - began;
    *ret = got;
    return RC_OK;
}

rc query_logs(store *s, const query_opts *o, arena *mem, query_result *ret, err *e) {
    return run(s, LOGQL, o, mem, ret, e);
}

rc query_metrics(store *s, const query_opts *o, arena *mem, query_result *ret, err *e) {
    return run(s, PROMQL, o, mem, ret, e);
}

static dialect dialect_of(query_language l) { return l == QUERY_LOGS ? LOGQL : PROMQL; }

rc query_selector(str text, query_language l, bool loose, arena *mem, const label_match **ret,
                  size_t *ret_count, err *e) {
    query_text *t;
    rc c = query_parse(text, dialect_of(l), &t, e);
    if (c) return c;
    const expr *x = t->root;
    bool fits = x->kind == EXPR_SELECTOR || (x->kind == EXPR_LOGS && x->stage_count == 0);
    if (!fits) c = FAIL(e, RC_INVALID, "only label matchers are expected here");
    size_t n = fits ? x->match_count : 0;
    label_match *m = arena_try_new_n(mem, label_match, MAX(n, 1));
    if (!c && !m) c = FAIL(e, RC_LIMIT, "the query needs too much memory");
    for (size_t i = 0; i < n && !c; i++) {
        m[i] = x->match[i];
        m[i].name = str_dup(mem, x->match[i].name);
        bool name = loose && m[i].op == MATCH_EQ && str_eq(m[i].name, S("__name__"));
        m[i].value =
            name ? metric_name_pattern(x->match[i].value, mem) : str_dup(mem, x->match[i].value);
        if (name) m[i].op = MATCH_RE;
        if (!m[i].name.p || (x->match[i].value.n && !m[i].value.p))
            c = FAIL(e, RC_LIMIT, "the query needs too much memory");
    }
    query_text_free(t);
    if (c) return c;
    *ret = m;
    *ret_count = n;
    return RC_OK;
}

rc query_check(str text, query_language l, bool *ret_streams, err *e) {
    query_text *t;
    rc c = query_parse(text, dialect_of(l), &t, e);
    if (c) return c;
    *ret_streams = t->root->type == TYPE_STREAMS;
    query_text_free(t);
    return RC_OK;
}

rc query_format(str text, query_language l, buf *out, err *e) {
    query_text *t;
    rc c = query_parse(text, dialect_of(l), &t, e);
    if (c) return c;
    if (!expr_put(t->root, dialect_of(l), out)) c = FAIL(e, RC_LIMIT, "the query is too long");
    query_text_free(t);
    return c;
}
