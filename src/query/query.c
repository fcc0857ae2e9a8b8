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
