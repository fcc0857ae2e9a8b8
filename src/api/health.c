/* health.c - is it alive, does it take input; and what the handlers of this room share. */
#include <stdio.h>

#include "api/manage_int.h"
#include "base/mem.h"
#include "base/num.h"
#include "codec/json_write.h"
#include "codec/timestamp.h"

enum { STREAM_WAIT_MS = 60000, ANSWER_BYTES_MAX = 4096 };

const str API_JSON = S_INIT("application/json"), API_NDJSON = S_INIT("application/x-ndjson");

void api_manage_routes(engine *g) {
    net_server *s = engine_server(g);
    uint32_t api = ENGINE_GROUP_API, all = ENGINE_GROUP_API | ENGINE_GROUP_OTLP;
    net_route_add(s, all, "GET", "/healthz", ROLE_NONE, api_health, g);
    net_route_add(s, all, "GET", "/readyz", ROLE_NONE, api_ready, g);
    net_route_add(s, api, "GET", "/metrics", ROLE_READ, api_metrics, g);
    net_route_add(s, api, "GET", "/api/v1/status", ROLE_READ, api_status, g);
    net_route_add(s, api, "GET", "/api/v1/partitions", ROLE_READ, api_partitions, g);
    net_route_add(s, api, "GET", "/api/v1/export", ROLE_READ, api_export, g);
    net_route_add(s, api, "POST", "/api/v1/analyze", ROLE_READ, api_analyze, g);
    net_route_add(s, api, "POST", "/api/v1/compact", ROLE_ADMIN, api_compact, g);
    net_route_add(s, api, "POST", "/api/v1/fsck", ROLE_ADMIN, api_fsck, g);
}

/* ---- shared ---- */

typedef struct job {
    engine *g;
    net_request *r;
    void (*fn)(engine *g, net_request *r);
} job;

static void run_job(void *arg) {
    job j = *(job *)arg;
    mem_free(arg);
    j.fn(j.g, j.r);
}

void api_offload(engine *g, net_request *r, void (*fn)(engine *g, net_request *r)) {
    job *j = mem_new(job);
    *j = (job){g, r, fn};
    if (engine_offload(g, run_job, j) == RC_OK) return;
    mem_free(j);
    api_fail(r, RC_AGAIN, "too many queries wait already");
}

void api_fail(net_request *r, rc code, const char *fmt, ...) {
    char text[ERR_MSG_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    err e = {0};
    FAIL(&e, code, "%s", text);
    net_reply_err(r, &e);
}

rc api_time(net_request *r, str name, int64_t otherwise, int64_t *ret_ns, err *e) {
    str text;
    if (!net_param(r, name, 0, &text) || text.n == 0) {
        *ret_ns = otherwise;
        return RC_OK;
    }
    int64_t now = SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx).ns, ago;
    ts_context zone = {.anchor_ns = now};
    if (num_i64(text, ret_ns)) return RC_OK;
    if (num_duration(text, &ago)) {
        *ret_ns = now - ago;
        return RC_OK;
    }
    if (ts_parse_any(text, &zone, ret_ns)) return RC_OK;
    return FAIL(e, RC_INVALID, "%.*s: '%.*s' is neither a time nor a duration", STR_ARG(name),
                (int)MIN(text.n, 80), text.p);
}

rc api_number(net_request *r, str name, uint64_t least, uint64_t most, uint64_t otherwise,
              uint64_t *ret, err *e) {
    str text;
    uint64_t v;
    if (!net_param(r, name, 0, &text) || text.n == 0) {
        *ret = otherwise;
        return RC_OK;
    }
    if (!num_u64(text, &v) || v < least || v > most) {
        return FAIL(e, RC_INVALID, "%.*s: '%.*s' is not a number from %" PRIu64 " to %" PRIu64,
                    STR_ARG(name), (int)MIN(text.n, 80), text.p, least, most);
    }
    *ret = v;
    return RC_OK;
}

rc api_choice(net_request *r, str name, str choices, int otherwise, int *ret, err *e) {
    str text, rest = choices, word;
    if (!net_param(r, name, 0, &text) || text.n == 0) {
        *ret = otherwise;
        return RC_OK;
    }
    for (int i = 0; str_next(&rest, '|', &word); i++) {
        if (!str_eq(word, text)) continue;
        *ret = i;
        return RC_OK;
    }
    return FAIL(e, RC_INVALID, "%.*s: '%.*s' is not one of %.*s", STR_ARG(name),
                (int)MIN(text.n, 80), text.p, STR_ARG(choices));
}

rc api_stream(net_request *r, str part) {
    while (part.n > 0) {
        /* Parts smaller than what may wait unsent. */
        str piece = str_sub(part, 0, 64 << 10);
        rc code = net_stream_write(r, piece);
        if (code == RC_AGAIN) {
            code = net_stream_wait(r, STREAM_WAIT_MS);
            if (code != RC_OK) return RC_CANCELLED; /* gone, or it does not read */
            continue;
        }
        if (code != RC_OK) return code;
        part = str_from(part, piece.n);
    }
    return RC_OK;
}

/* ---- health ---- */

static void answer(net_request *r, int status, str state, str reason) {
    buf out;
    buf_init(&out, ANSWER_BYTES_MAX);
    json_writer w;
    json_write_init(&w, &out, 0);
    json_write_object(&w);
    json_write_kv(&w, S("status"), state);
    if (reason.n > 0) json_write_kv(&w, S("reason"), reason);
    json_write_object_end(&w);
    buf_putc(&out, '\n');
    net_reply(r, &(net_reply_opts){.status = status, .content_type = API_JSON}, buf_str(&out));
    buf_release(&out);
}

void api_health(void *ctx, net_request *r) {
    (void)ctx;
    answer(r, 200, S("ok"), STR_NONE);
}

void api_ready(void *ctx, net_request *r) {
    engine *g = ctx;
    err e = {0};
    str state = str_c(engine_state_name(engine_state_of(g)));
    if (engine_ready(g, &e) == RC_OK)
        answer(r, 200, state, STR_NONE);
    else
        answer(r, 503, engine_state_of(g) == ENGINE_READY ? S("not_ready") : state, str_c(e.msg));
}
