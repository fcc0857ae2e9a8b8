/* call_int.h - what the handlers of the query APIs share: a request on a worker, its parameters,
 * its answer. */
#ifndef FL_API_CALL_INT_H
#define FL_API_CALL_INT_H

#include "api/api.h"
#include "codec/json_write.h"
#include "query/query.h"

typedef struct api_call {
    const api_env *env;
    net_request *r;
    void (*fn)(struct api_call *c);
    arena mem;     /* of parameters and results */
    buf out;       /* the body */
    json_writer w; /* on out */
    select_stats stats;
} api_call;

enum { API_ANSWER_MAX = 512 << 20, API_CALL_ARENA_MAX = 1 << 30 };

/* Runs fn(call) on a worker; fn answers exactly once. 503 when there is no room. */
void api_call_start(const api_env *env, net_request *r, void (*fn)(api_call *c));

/* Loki takes integers as nanoseconds (ten digits and fewer: seconds), Prometheus and Tempo as
 * seconds; all take fractions of seconds and RFC 3339. */
typedef enum api_times { TIMES_LOKI = 0, TIMES_SECONDS } api_times;

bool api_param(api_call *c, const char *name, str *ret); /* false: absent or empty */
MUST_CHECK rc api_param_time(api_call *c, const char *name, api_times how, int64_t otherwise,
                             int64_t *ret_ns, err *e);
/* "15s", or seconds as a number. */
MUST_CHECK rc api_param_duration(api_call *c, const char *name, int64_t otherwise, int64_t *ret_ns,
                                 err *e);
MUST_CHECK rc api_param_limit(api_call *c, const char *name, uint64_t otherwise, uint64_t most,
                              uint64_t *ret, err *e);
int64_t api_now_ns(void);
/* Budgets, workers, cancellation. */
void api_call_opts(api_call *c, query_opts *o);
void api_call_common(api_call *c, select_common *to);
/* Between the time of a path's prefix and its suffix ("" allowed); false when it does not fit. */
bool api_path_middle(api_call *c, const char *prefix, const char *suffix, str *ret);

void api_reply_json(api_call *c); /* 200 with what was written; 500 when it did not fit */
void api_reply_text(api_call *c, int status, str text);

/* --- pieces of JSON --- */
void api_put_labels(json_writer *w, const query_label *l, size_t count);
/* "1.5", "NaN", "+Inf" as a JSON string */
void api_put_number(json_writer *w, double v);
/* seconds with up to three decimals */
void api_put_seconds(json_writer *w, int64_t ns);
/* resultType and result of metric results; scalars too. */
void api_put_matrix(json_writer *w, const query_result *r);
/* "warnings":[...] when the answer is partial. */
void api_put_warnings(json_writer *w, const select_stats *stats);
/* Sorted texts of the store as an array: names (label empty) or values. */
MUST_CHECK rc api_put_names(api_call *c, signal_kind signal, str label, const select_common *q,
                            bool (*wanted)(str name), err *e);

#endif
