#include "app/ask.h"

#include "api/api.h"
#include "api/manage.h"
#include "app/config_file.h"
#include "app/version.h"
#include "base/num.h"
#include "codec/timestamp.h"
#include "engine/auth.h"
#include "sys/cancel.h"
#include "sys/process.h"
#include "sys/term.h"

enum {
    ASK_ARENA_MAX = 512 << 20,
    ANSWER_BYTES_MAX = 256 << 20,
    PROBE_MS = 2000,
    DEFAULT_MS = 600000
};

static const str DEFAULT_DIR = S_INIT("faultline-data");
static const str DEFAULT_URL = S_INIT("http://127.0.0.1:7070");

str ask_dir(const cli_args *a) {
    str dir = cli_text(a, OPT_DATA_DIR);
    return dir.n > 0 ? dir : DEFAULT_DIR;
}

static bool is_dir(str path) {
    sys_stat st;
    return SYS_FS_REAL.ops->stat(NULL, path, &st, NULL) == RC_OK && st.is_dir;
}

bool ask_finds_data(const cli_args *a) {
    arena mem;
    server_info info;
    arena_init(&mem, "ask", 1 << 20);
    bool found = cli_has(a, OPT_SERVER) || is_dir(ask_dir(a)) ||
                 server_file_read(ask_dir(a), &mem, &info, NULL) == RC_OK;
    arena_release(&mem);
    return found;
}

/* ---- calls ---- */

/* {"error":{"message":...}} as this server has it, {"error":"..."} or {"message":...} as others. */
static str message_of(ask *q, const net_response *r) {
    const json_value *v;
    if (json_tree(r->body, &q->mem, &v, NULL) == RC_OK) {
        const json_value *error = json_get(v, S("error"));
        str text = json_str(json_get(error, S("message")));
        if (text.n == 0) text = json_str(error);
        if (text.n == 0) text = json_str(json_get(v, S("message")));
        if (text.n > 0) return text;
    }
    str first = r->body, line;
    return str_next(&first, '\n', &line) ? str_sub(line, 0, 300) : STR_NONE;
}

static rc code_of(int status) {
    switch (status) {
    case 400:
        return RC_INVALID;
    case 404:
        return RC_NOT_FOUND;
    case 413:
    case 422:
        return RC_LIMIT;
    case 429:
    case 503:
        return RC_AGAIN;
    case 504:
        return RC_TIMEOUT;
    default:
        return RC_UNSUPPORTED;
    }
}

static rc fail_status(ask *q, const net_response *r, err *e) {
    str text = message_of(q, r);
    if (r->status == 401 || r->status == 403) {
        rc code = FAIL(e, RC_UNSUPPORTED, "the server at %.*s refused: %.*s", STR_ARG(q->url),
                       STR_ARG(text));
        err_hint(e, "give a token that may do this: --token TOKEN or $FAULTLINE_TOKEN");
        return code;
    }
    if (text.n == 0)
        return FAIL(e, code_of(r->status), "the server answered with status %d", r->status);
    return FAIL(e, code_of(r->status), "%.*s", STR_ARG(text));
}

static rc call(ask *q, net_call_opts *o, str path, net_response *ret, err *e) {
    str headers[] = {S("authorization"), STR_NONE};
    o->url = str_fmt(&q->mem, "%.*s%.*s", STR_ARG(q->url), STR_ARG(path));
    if (q->token.n > 0) {
        headers[1] = str_fmt(&q->mem, "Bearer %.*s", STR_ARG(q->token));
        o->headers = headers;
        o->header_count = 1;
    }
    o->cancel = q->cancel;
    /* What is streamed is not kept here. */
    o->max_response_bytes = o->on_part ? UINT64_MAX : (uint64_t)ANSWER_BYTES_MAX;
    if (o->timeout_ms == 0) o->timeout_ms = q->timeout_ms ? q->timeout_ms : DEFAULT_MS;
    if (o->idle_timeout_ms == 0)
        o->idle_timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_MS;
    rc code = net_call(q->client, o, &q->mem, ret, e);
    if (code == RC_IO && e && e->hint[0] == '\0')
        err_hint(e, str_starts(q->url, S("https:"))
                        ? "--ca FILE names the authority of the server's certificate"
                        : "does a server run there? its API is at listen.api (https:// with TLS)");
    if (code != RC_OK) return code;
    return ret->status >= 200 && ret->status < 300 ? RC_OK : fail_status(q, ret, e);
}

rc ask_get(ask *q, str path, str *ret_body, err *e) {
    net_call_opts o = {.method = S("GET")};
    net_response r;
    rc code = call(q, &o, path, &r, e);
    if (code == RC_OK) *ret_body = r.body;
    return code;
}

rc ask_post(ask *q, str path, str body, net_response *ret, err *e) {
    net_call_opts o = {.method = S("POST"), .body = body};
    return call(q, &o, path, ret, e);
}

rc ask_json(ask *q, str path, const json_value **ret, err *e) {
    str body;
    rc code = ask_get(q, path, &body, e);
    if (code == RC_OK) code = json_tree(body, &q->mem, ret, e);
    return code;
}

rc ask_stream(ask *q, str method, str path, rc (*on_part)(void *ctx, str part), void *ctx, err *e) {
    net_call_opts o = {.method = method, .timeout_ms = -1, .on_part = on_part, .on_part_ctx = ctx};
    net_response r;
    return call(q, &o, path, &r, e);
}

/* ---- finding the server ---- */

static bool answers(ask *q, err *e) {
    net_call_opts o = {.method = S("GET"), .timeout_ms = PROBE_MS};
    net_response r;
    return call(q, &o, S("/healthz"), &r, e) == RC_OK;
}

/* The files, behind the API, in this process. */
static rc open_files(ask *q, str dir, err *e) {
    char token[AUTH_TOKEN_CHARS + 1], hash[2 * AUTH_HASH_BYTES + 1];
    rc code = config_default(&q->config, e);
    if (code == RC_OK) code = config_set(q->config, S("data.dir"), dir, e);
    if (code == RC_OK) code = auth_make_token(token, hash, e);
    if (code != RC_OK) return code;
    engine_opts opts = {.version = S(FL_VERSION), .local_token = str_c(token), .read_only = true};
    code = engine_new(q->config, &opts, &q->local, e);
    if (code != RC_OK) return code;
    api_manage_routes(q->local);
    q->queries = api_query_new(q->local, S(FL_VERSION));
    code = engine_start(q->local, e);
    q->token = str_dup(&q->mem, str_c(token));
    if (code == RC_OK && !server_api_url(q->local, &q->mem, &q->url))
        code = FAIL(e, RC_IO, "no loopback port is free");
    return code;
}

static rc find(const cli_args *a, ask_who who, ask *q, err *e) {
    str dir = ask_dir(a);
    if (q->url.n > 0) return RC_OK;
    server_info info;
    err why = {0};
    rc code = server_file_read(dir, &q->mem, &info, &why);
    if (code == RC_OK) {
        q->url = info.url;
        if (q->token.n == 0) q->token = info.token;
        if (info.url.n == 0)
            return FAIL(e, RC_NOT_FOUND,
                        "the server of \"%.*s\" (process %" PRId64 ") has no API listener",
                        STR_ARG(dir), info.pid);
        err silent = {0};
        if (answers(q, &silent)) return RC_OK;
        code = FAIL(e, RC_IO, "the server of \"%.*s\" (process %" PRId64 ") does not answer: %s",
                    STR_ARG(dir), info.pid, silent.msg);
        if (silent.hint[0]) err_hint(e, "%s", silent.hint);
        return code;
    }
    if (code != RC_NOT_FOUND) {
        if (e) *e = why;
        return code;
    }
    if (who != ASK_SERVER_ONLY && is_dir(dir)) return open_files(q, dir, e);
    if (!cli_has(a, OPT_DATA_DIR) && !is_dir(dir)) {
        q->url = DEFAULT_URL;
        if (answers(q, NULL)) return RC_OK;
    }
    if (is_dir(dir))
        code = FAIL(e, RC_NOT_FOUND, "no server runs on \"%.*s\"", STR_ARG(dir));
    else
        code = FAIL(e, RC_NOT_FOUND, "no server runs here and there is no directory \"%.*s\"",
                    STR_ARG(dir));
    err_hint(e, "start one with 'faultline serve', or say --data DIR or --server URL");
    return code;
}

rc ask_open(const cli_args *a, ask_who who, ask *ret, err *e) {
    ask q = {
        .url = cli_text(a, OPT_SERVER), .token = cli_text(a, OPT_TOKEN), .ca = cli_text(a, OPT_CA)};
    arena_init(&q.mem, "answers", ASK_ARENA_MAX);
    while (str_ends(q.url, S("/"))) q.url.n--;
    if (q.url.n > 0 && !str_starts(q.url, S("http://")) && !str_starts(q.url, S("https://")))
        q.url = str_fmt(&q.mem, "http://%.*s", STR_ARG(q.url));
    const char *token = sys_env("FAULTLINE_TOKEN");
    if (q.token.n == 0 && token) q.token = str_c(token);
    q.cancel = sys_cancel_install();
    net_client_opts opts = {.user_agent = S("faultline/" FL_VERSION), .ca_file = q.ca};
    rc code = net_client_new(&opts, &q.client, e);
    if (code == RC_OK) code = find(a, who, &q, e);
    if (code != RC_OK) {
        ask_close(&q);
        return code;
    }
    *ret = q;
    return RC_OK;
}

void ask_close(ask *q) {
    net_client_free(q->client);
    api_query_stop(q->queries);
    engine_free(q->local);
    api_query_free(q->queries);
    config_free(q->config);
    arena_release(&q->mem);
    *q = (ask){0};
}

/* ---- paths ---- */

void ask_param(buf *path, const char *name, str value) {
    static const char HEX[] = "0123456789ABCDEF";
    if (value.n == 0) return;
    buf_putc(path, str_find_char(buf_str(path), '?', 0) == STR_NPOS ? '?' : '&');
    buf_put(path, str_c(name));
    buf_putc(path, '=');
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            buf_putc(path, (char)c);
        } else {
            buf_putc(path, '%');
            buf_putc(path, HEX[c >> 4]);
            buf_putc(path, HEX[c & 15]);
        }
    }
}

void ask_param_i64(buf *path, const char *name, int64_t v) {
    char text[32];
    buf b = {.p = text, .cap = sizeof text - 1, .max_bytes = sizeof text - 1};
    MUST(buf_i64(&b, v));
    ask_param(path, name, buf_str(&b));
}

rc ask_time(const char *option, str text, int64_t otherwise, int64_t *ret_ns, err *e) {
    int64_t now = SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx).ns, ago;
    ts_context zone = {.anchor_ns = now};
    if (text.n == 0) {
        *ret_ns = otherwise;
        return RC_OK;
    }
    if (num_duration(text, &ago)) {
        *ret_ns = now - ago;
        return RC_OK;
    }
    if (ts_parse_any(text, &zone, ret_ns)) return RC_OK;
    rc code =
        FAIL(e, RC_INVALID, "%s \"%.*s\" is neither a time nor a duration", option, STR_ARG(text));
    err_hint(e, "for example 2h, 30m, or 2026-11-20T10:30:00Z");
    return code;
}
