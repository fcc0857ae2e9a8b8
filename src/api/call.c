/* call.c - see call_int.h, and api_query: all of them for an engine. */
#include "api/call_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/timestamp.h"

enum { NAMES_MAX = 100000, NAMES_BYTES_MAX = 64 << 20 };
#define SECOND_NS INT64_C(1000000000)

/* --- a call --- */

static void call_free(api_call *c) {
    arena_release(&c->mem);
    buf_release(&c->out);
    mem_free(c);
}

static void run_call(void *arg) {
    api_call *c = arg;
    arena_init(&c->mem, "api call", API_CALL_ARENA_MAX);
    buf_init(&c->out, API_ANSWER_MAX);
    json_write_init(&c->w, &c->out, 0);
    c->fn(c);
    call_free(c);
}

void api_call_start(const api_env *env, net_request *r, void (*fn)(api_call *c)) {
    api_call *c = mem_new(api_call);
    *c = (api_call){.env = env, .r = r, .fn = fn};
    if (env->offload(env->offload_ctx, run_call, c) == RC_OK) return;
    mem_free(c);
    err e = {0};
    IGNORE(FAIL(&e, RC_AGAIN, "too many queries wait already"));
    net_reply_err(r, &e);
}

int64_t api_now_ns(void) { return SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx).ns; }

/* --- parameters --- */

bool api_param(api_call *c, const char *name, str *ret) {
    str v;
    if (!net_param(c->r, str_c(name), 0, &v) || v.n == 0) return false;
    *ret = v;
    return true;
}

/* Digits with at most one point, exact to the nanosecond. */
static bool decimal_seconds(str s, int64_t *ret_ns) {
    bool negative = s.n > 0 && s.p[0] == '-';
    if (negative) s = str_from(s, 1);
    size_t point = str_find_char(s, '.', 0);
    str whole = point == STR_NPOS ? s : str_sub(s, 0, point);
    str part = point == STR_NPOS ? STR_NONE : str_from(s, point + 1);
    uint64_t sec = 0, ns = 0;
    if (whole.n + part.n == 0 || whole.n > 10 || (whole.n && !num_u64(whole, &sec))) return false;
    for (size_t i = 0; i < 9; i++) {
        char d = i < part.n ? part.p[i] : '0';
        if (d < '0' || d > '9') return false;
        ns = ns * 10 + (uint64_t)(d - '0');
    }
    if (sec > 9000000000u) return false;
    *ret_ns = (int64_t)(sec * 1000000000u + ns);
    if (negative) *ret_ns = -*ret_ns;
    return true;
}

rc api_param_time(api_call *c, const char *name, api_times how, int64_t otherwise, int64_t *ret_ns,
                  err *e) {
    str s;
    int64_t v;
    double number;
    if (!api_param(c, name, &s)) {
        *ret_ns = otherwise;
        return RC_OK;
    }
    if (how == TIMES_LOKI && num_i64(s, &v)) {
        bool seconds = s.n <= 10;
        *ret_ns = seconds ? v * SECOND_NS : v;
        return RC_OK;
    }
    if (decimal_seconds(s, ret_ns)) return RC_OK;
    if (num_double(s, &number) && isfinite(number)) { /* 1.7e9 */
        if (fabs(number) < 9e9) {
            *ret_ns = (int64_t)llround(number * 1e9);
            return RC_OK;
        }
        if (how == TIMES_LOKI && fabs(number) < 9e18) {
            *ret_ns = (int64_t)number;
            return RC_OK;
        }
    } else {
        ts_context zone = {.anchor_ns = api_now_ns()};
        if (str_has(s, S("T")) && ts_parse_any(s, &zone, ret_ns)) return RC_OK;
    }
    return FAIL(e, RC_INVALID,
                "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid timestamp", name,
                (int)MIN(s.n, 60), s.p);
}

rc api_param_duration(api_call *c, const char *name, int64_t otherwise, int64_t *ret_ns, err *e) {
    str s;
    double seconds;
    *ret_ns = otherwise;
    if (!api_param(c, name, &s)) return RC_OK;
    if (num_double(s, &seconds)) {
        if (seconds > 0 && seconds < 9e9) {
            *ret_ns = (int64_t)llround(seconds * 1e9);
            return RC_OK;
        }
    } else if (num_duration(s, ret_ns) && *ret_ns > 0) {
        return RC_OK;
    }
    return FAIL(e, RC_INVALID,
                "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid duration", name,
                (int)MIN(s.n, 60), s.p);
}

rc api_param_limit(api_call *c, const char *name, uint64_t otherwise, uint64_t most, uint64_t *ret,
                   err *e) {
    str s;
    *ret = otherwise;
    if (!api_param(c, name, &s)) return RC_OK;
    if (num_u64(s, ret) && *ret >= 1 && *ret <= most) return RC_OK;
    return FAIL(e, RC_INVALID, "invalid parameter \"%s\": \"%.*s\" is no number from 1 to %" PRIu64,
                name, (int)MIN(s.n, 60), s.p, most);
}

bool api_path_middle(api_call *c, const char *prefix, const char *suffix, str *ret) {
    str path = net_path(c->r), before = str_c(prefix), after = str_c(suffix);
    if (path.n <= before.n + after.n || !str_starts(path, before) || !str_ends(path, after))
        return false;
    *ret = str_sub(path, before.n, path.n - before.n - after.n);
    return true;
}

void api_call_opts(api_call *c, query_opts *o) {
    o->cancel = net_request_cancel(c->r);
    o->workers = 1;
    if (!c->env->engine) return;
    engine_query_limits l;
    engine_query_limit(c->env->engine, &l);
    o->workers = l.workers;
    o->timeout_ns = l.timeout_ns;
    o->max_bytes = l.max_bytes;
    o->max_series = l.max_series;
}

void api_call_common(api_call *c, select_common *to) {
    query_opts o = {0};
    api_call_opts(c, &o);
    to->cancel = o.cancel;
    to->workers = MAX(o.workers, 1);
    to->max_bytes = o.max_bytes;
    int64_t timeout = o.timeout_ns ? o.timeout_ns : 60 * SECOND_NS;
    to->deadline_ns = SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns + timeout;
}

/* --- answers --- */

void api_reply_json(api_call *c) {
    if (c->out.full) {
        err e = {0};
        IGNORE(FAIL(&e, RC_LIMIT, "the answer is larger than %d MiB: lower the limit",
                    API_ANSWER_MAX >> 20));
        net_reply_err(c->r, &e);
        return;
    }
    net_reply_opts o = {.status = 200, .content_type = S("application/json; charset=UTF-8")};
    net_reply(c->r, &o, buf_str(&c->out));
}

void api_reply_text(api_call *c, int status, str text) {
    net_reply_opts o = {.status = status, .content_type = S("text/plain; charset=utf-8")};
    net_reply(c->r, &o, text);
}

void api_put_labels(json_writer *w, const query_label *l, size_t count) {
    json_write_object(w);
    for (size_t i = 0; i < count; i++) json_write_kv(w, l[i].name, l[i].value);
    json_write_object_end(w);
}

void api_put_number(json_writer *w, double v) {
    if (isnan(v)) {
        json_write_str(w, S("NaN"));
    } else if (isinf(v)) {
        json_write_str(w, v > 0 ? S("+Inf") : S("-Inf"));
    } else {
        buf b;
        buf_init(&b, 64);
        IGNORE(!buf_double(&b, v)); /* fits */
        json_write_str(w, buf_str(&b));
        buf_release(&b);
    }
}

void api_put_seconds(json_writer *w, int64_t ns) {
    char text[32];
    int64_t ms = ns / 1000000;
    int n = ms % 1000 ? snprintf(text, sizeof(text), "%s%" PRId64 ".%03d", ms < 0 ? "-" : "",
                                 ms < 0 ? -(ms / 1000) : ms / 1000, abs((int)(ms % 1000)))
                      : snprintf(text, sizeof(text), "%" PRId64, ms / 1000);
    json_write_raw(w, str_make(text, (size_t)n));
}

static void put_point(json_writer *w, int64_t ts, double v) {
    json_write_array(w);
    api_put_seconds(w, ts);
    api_put_number(w, v);
    json_write_array_end(w);
}

void api_put_matrix(json_writer *w, const query_result *r) {
    static const str TYPES[] = {S_INIT("streams"), S_INIT("matrix"), S_INIT("vector"),
                                S_INIT("scalar")};
    json_write_kv(w, S("resultType"), TYPES[r->kind]);
    json_write_key(w, S("result"));
    if (r->kind == RESULT_SCALAR) {
        put_point(w, r->series[0].ts_ns[0], r->series[0].val[0]);
        return;
    }
    json_write_array(w);
    for (size_t i = 0; i < r->count; i++) {
        const query_series *s = &r->series[i];
        json_write_object(w);
        json_write_key(w, S("metric"));
        api_put_labels(w, s->labels, s->label_count);
        if (r->kind == RESULT_VECTOR) {
            json_write_key(w, S("value"));
            put_point(w, s->ts_ns[0], s->val[0]);
        } else {
            json_write_key(w, S("values"));
            json_write_array(w);
            for (size_t k = 0; k < s->count; k++) put_point(w, s->ts_ns[k], s->val[k]);
            json_write_array_end(w);
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

void api_put_warnings(json_writer *w, const select_stats *stats) {
    if (!stats->partial) return;
    char text[240];
    int n = snprintf(text, sizeof(text), "the answer is partial: %s",
                     stats->reason[0] ? stats->reason : "not everything could be read");
    json_write_key(w, S("warnings"));
    json_write_array(w);
    json_write_str(w, str_make(text, (size_t)MIN(n, (int)sizeof(text) - 1)));
    json_write_array_end(w);
}

/* --- names --- */

static rc on_name(void *ctx, str name, uint64_t count, err *e) {
    intern *names = ctx;
    (void)count;
    if (intern_put(names, name) != INTERN_NONE) return RC_OK;
    return FAIL(e, RC_LIMIT, "more than %d names", NAMES_MAX);
}

static int by_text(const void *a, const void *b) {
    return str_cmp(*(const str *)a, *(const str *)b);
}

rc api_put_names(api_call *c, signal_kind signal, str label, const select_common *q,
                 bool (*wanted)(str name), err *e) {
    intern names;
    intern_init(&names, "label names", NAMES_MAX, NAMES_BYTES_MAX);
    store *s = c->env->store;
    rc code = s->ops->labels(s, signal, label, q, on_name, &names, &c->stats, e);
    if (code == RC_LIMIT && names.count == NAMES_MAX) { /* what was found is answered */
        c->stats.partial = true;
        (void)snprintf(c->stats.reason, sizeof(c->stats.reason), "more than %d names", NAMES_MAX);
        code = RC_OK;
    }
    if (code == RC_OK) {
        str *sorted = mem_new_n(str, MAX(names.count, 1));
        size_t n = 0;
        for (uint32_t i = 0; i < names.count; i++) {
            if (!wanted || wanted(intern_str(&names, i))) sorted[n++] = intern_str(&names, i);
        }
        qsort(sorted, n, sizeof(str), by_text);
        json_write_array(&c->w);
        for (size_t i = 0; i < n; i++) json_write_str(&c->w, sorted[i]);
        json_write_array_end(&c->w);
        mem_free(sorted);
    }
    intern_release(&names);
    return code;
}

/* --- all of them --- */

struct api_query {
    api_env env;
    api_tail *tail;
};

static rc offload_to_engine(void *ctx, void (*fn)(void *arg), void *arg) {
    return engine_offload(ctx, fn, arg);
}

api_query *api_query_new(engine *g, str version) {
    api_query *q = mem_new(api_query);
    q->env = (api_env){.store = engine_store(g),
                       .engine = g,
                       .offload = offload_to_engine,
                       .offload_ctx = g,
                       .version = version};
    net_server *s = engine_server(g);
    api_loki_add(s, ENGINE_GROUP_API, &q->env);
    api_prometheus_add(s, ENGINE_GROUP_API, &q->env);
    api_tempo_add(s, ENGINE_GROUP_API, &q->env);
    q->tail = api_tail_new(s, ENGINE_GROUP_API, &q->env);
    return q;
}

void api_query_stop(api_query *q) {
    if (q) api_tail_stop(q->tail);
}

void api_query_free(api_query *q) {
    if (!q) return;
    api_tail_free(q->tail);
    mem_free(q);
}
