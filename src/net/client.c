/* The HTTP client: libcurl's multi interface on one thread.
 *
 *     any thread:     net_call_start -- call (own copy of everything) --> fresh list, wake
 *     client thread:  adds fresh calls, curl_multi_perform, looks at cancel flags and idle times,
 *                     finishes calls: done(), then frees them
 *
 * curl_multi_poll and curl_multi_wakeup carry the loop: for at most max_calls (64) sockets that
 * costs nothing, and there is no second event loop to keep in step. While calls run the thread
 * looks up at least every LOOK_MS; with none it sleeps until it is woken.
 *
 * Limits: calls at once (RC_AGAIN beyond), bytes of an answer after unpacking, header bytes and
 * lines, connect, total and idle time, redirects. Only http and https, also after a redirect.
 * Proxies: the one that is configured, else those of the environment, never for this machine.
 *
 * Rejected: curl_multi_socket_action on uv_poll and uv_timer; it pays from hundreds of sockets on,
 * and brings three callbacks whose order of ends is delicate. */
#include "net/client.h"

#include "base/buf.h"
#include "base/mem.h"
#include "sys/thread.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <uv.h>

enum {
    CLIENT_MAGIC = 0x434c4931,
    MAX_CALLS = 64,
    LOOK_MS = 50,
    SLEEP_MS = 600000,
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 30000,
    IDLE_TIMEOUT_MS = 30000,
    MAX_RESPONSE_BYTES = 16 << 20,
    HEADER_LINES_MAX = 256,
    HEADER_BYTES_MAX = 256 << 10,
    CALL_ARENA_BYTES = 2 << 20, /* beside the body */
    KEPT_CONNECTIONS = 16,
};

typedef struct call {
    struct call *prev, *next;
    net_client *client;
    arena mem;
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    curl_off_t body_sent;
    char why[CURL_ERROR_SIZE];
    str name; /* "GET http://host/path", for messages */
    const volatile int *cancel;
    int64_t start_ns, last_ns, idle_timeout_ms;
    uint64_t max_response_bytes, taken_bytes;
    rc (*on_part)(void *ctx, str part);
    void *on_part_ctx;
    net_call_done done;
    void *ctx;
    buf got;
    str *lines; /* name, value, ... of the answer */
    size_t line_count, line_bytes;
    str content_type;
    rc stop; /* why a callback ended the call */
} call;

struct net_client {
    uint32_t magic;
    unsigned max_calls;
    arena mem;
    const char *user_agent, *ca_file, *proxy; /* NULL: defaults */
    CURLM *multi;
    sys_thread *thread;
    atomic_uint running;
    uv_mutex_t lock; /* guards what follows */
    call *fresh;
    bool stopping;
    call *active; /* client thread */
};

static _Thread_local const net_client *client_here;

static int64_t now_ns(void) { return (int64_t)uv_hrtime(); }

/* ---- callbacks of libcurl (client thread) ---- */

static bool is_header_name(str s) { return s.n > 0 && str_find_char(s, ' ', 0) == STR_NPOS; }

static size_t on_header(char *p, size_t size, size_t n, void *ctx) {
    call *k = ctx;
    str line = str_trim(str_make(p, size * n));
    k->last_ns = now_ns();
    if (str_starts(line, S("HTTP/"))) { /* of a redirect, of 100 Continue: the last answer counts */
        k->line_count = 0;
        k->content_type = STR_NONE;
        return size * n;
    }
    size_t colon = str_find_char(line, ':', 0);
    if (colon == STR_NPOS || !is_header_name(str_sub(line, 0, colon))) return size * n;
    k->line_bytes += line.n;
    if (k->line_count == HEADER_LINES_MAX || k->line_bytes > HEADER_BYTES_MAX) {
        k->stop = RC_LIMIT;
        return 0;
    }
    str copy = str_dup(&k->mem, line);
    if (!copy.p) {
        k->stop = RC_LIMIT;
        return 0;
    }
    char *name = (char *)(uintptr_t)copy.p; /* our own copy */
    for (size_t i = 0; i < colon; i++)
        if (name[i] >= 'A' && name[i] <= 'Z') name[i] = (char)(name[i] | 0x20);
    k->lines[2 * k->line_count] = str_sub(copy, 0, colon);
    k->lines[2 * k->line_count + 1] = str_trim(str_from(copy, colon + 1));
    if (str_eq(k->lines[2 * k->line_count], S("content-type")))
        k->content_type = k->lines[2 * k->line_count + 1];
    k->line_count++;
    return size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx) {
    call *k = ctx;
    long status = 0;
    k->last_ns = now_ns();
    k->taken_bytes += size * n;
    if (k->taken_bytes > k->max_response_bytes) {
        k->stop = RC_LIMIT;
        return 0;
    }
    curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &status);
    if (k->on_part && status >= 200 && status < 300) {
        k->stop = k->on_part(k->on_part_ctx, str_make(p, size * n));
        return k->stop == RC_OK ? size * n : 0;
    }
    if (buf_put(&k->got, str_make(p, size * n))) return size * n;
    k->stop = RC_LIMIT;
    return 0;
}

/* Sending a body is activity, too. */
static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    (void)down_total;
    (void)down;
    (void)up_total;
    call *k = ctx;
    if (up != k->body_sent) k->last_ns = now_ns();
    k->body_sent = up;
    return 0;
}

/* ---- one call ---- */

static void call_free(call *k) {
    if (!k) return;
    if (k->easy) curl_easy_cleanup(k->easy);
    curl_slist_free_all(k->headers);
    buf_release(&k->got);
    mem_free(k->body);
    arena_release(&k->mem);
    mem_free(k);
}

/* The URL without what may be secret: user, password, query. */
static str plain_url(arena *mem, str url) {
    size_t scheme = str_find(url, S("://"), 0);
    size_t from = scheme == STR_NPOS ? 0 : scheme + 3;
    size_t slash = str_find_char(url, '/', from);
    str host = str_sub(url, from, MIN(slash, url.n) - from);
    size_t at = str_rfind_char(host, '@');
    if (at != STR_NPOS) host = str_from(host, at + 1);
    str path = slash == STR_NPOS ? STR_NONE : str_from(url, slash);
    size_t q = str_find_char(path, '?', 0);
    path = str_sub(path, 0, MIN(q, path.n));
    return str_fmt(mem, "%.*s%.*s%.*s", STR_ARG(str_sub(url, 0, from)), STR_ARG(host),
                   STR_ARG(path));
}

static bool is_this_machine(const char *url) {
    CURLU *u = curl_url();
    char *host = NULL;
    bool is = false;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        is = str_eq_nocase(str_c(host), S("localhost")) || str_starts(str_c(host), S("127.")) ||
             str_eq(str_c(host), S("[::1]"));
    curl_free(host);
    curl_url_cleanup(u);
    return is;
}

static bool has_line_end(str s) {
    return str_find_char(s, '\r', 0) != STR_NPOS || str_find_char(s, '\n', 0) != STR_NPOS ||
           str_find_char(s, '\0', 0) != STR_NPOS;
}

static rc add_headers(call *k, const net_call_opts *o, err *e) {
    for (size_t i = 0; i <= o->header_count; i++) {
        /* The last: no waiting for "100 Continue". */
        str name = i < o->header_count ? o->headers[2 * i] : S("Expect");
        str value = i < o->header_count ? o->headers[2 * i + 1] : STR_NONE;
        if (has_line_end(name) || has_line_end(value) || name.n == 0)
            return FAIL(e, RC_INVALID, "header \"%.*s\" is not valid",
                        STR_ARG(str_sub(name, 0, 60)));
        /* "name;" sends an empty value, "name:" removes libcurl's own header */
        const char *between = i == o->header_count ? ":" : value.n ? ": " : ";";
        str line = str_fmt(&k->mem, "%.*s%s%.*s", STR_ARG(name), between, STR_ARG(value));
        const char *text = line.p ? str_c_dup(&k->mem, line) : NULL;
        struct curl_slist *more = text ? curl_slist_append(k->headers, text) : NULL;
        if (!more) return FAIL(e, RC_LIMIT, "the headers of the call are too large");
        k->headers = more;
    }
    return RC_OK;
}

static void set_time(call *k, const net_call_opts *o) {
    int64_t connect_ms = o->connect_timeout_ms ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    int64_t total_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
    k->idle_timeout_ms = o->idle_timeout_ms ? o->idle_timeout_ms : IDLE_TIMEOUT_MS;
    curl_easy_setopt(k->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MAX(connect_ms, (int64_t)1));
    curl_easy_setopt(k->easy, CURLOPT_TIMEOUT_MS, (long)MAX(total_ms, (int64_t)0));
}

static void set_method(call *k, const char *method, str body) {
    bool is_head = strcmp(method, "HEAD") == 0, is_get = strcmp(method, "GET") == 0;
    if (is_head) {
        curl_easy_setopt(k->easy, CURLOPT_NOBODY, 1L);
    } else if (!is_get || body.n) {
        curl_easy_setopt(k->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(k->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        curl_easy_setopt(k->easy, CURLOPT_POSTFIELDS, k->body ? k->body : "");
        curl_easy_setopt(k->easy, CURLOPT_CUSTOMREQUEST, method);
    }
}

static void set_text(CURL *easy, CURLoption option, arena *mem, str s) {
    if (s.n) curl_easy_setopt(easy, option, str_c_dup(mem, s));
}

static rc call_prepare(call *k, const net_call_opts *o, err *e) {
    net_client *c = k->client;
    if (has_line_end(o->url) || o->url.n == 0 || has_line_end(o->method) || o->url.n > 64 << 10)
        return FAIL(e, RC_INVALID, "the URL of the call is not valid");
    const char *url = str_c_dup(&k->mem, o->url);
    const char *method = str_c_dup(&k->mem, o->method.n ? o->method : S("GET"));
    k->lines = arena_try_new_n(&k->mem, str, (size_t)2 * HEADER_LINES_MAX);
    k->body = o->body.n ? mem_try_raw(o->body.n) : NULL;
    if (!url || !method || !k->lines || (o->body.n && !k->body))
        return FAIL(e, RC_LIMIT, "no memory for the call");
    if (o->body.n) memcpy(k->body, o->body.p, o->body.n);
    k->name = str_fmt(&k->mem, "%s %.*s", method, STR_ARG(plain_url(&k->mem, o->url)));
    rc r = add_headers(k, o, e);
    if (r != RC_OK) return r;
    CURL *h = k->easy;
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PRIVATE, k);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, k->why);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, k->headers);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, k);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, k);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, k);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can unpack */
    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, o->max_redirects ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_MAXREDIRS, (long)o->max_redirects);
    if (c->user_agent) curl_easy_setopt(h, CURLOPT_USERAGENT, c->user_agent);
    if (c->ca_file) curl_easy_setopt(h, CURLOPT_CAINFO, c->ca_file);
    if (o->unix_socket.n || is_this_machine(url))
        curl_easy_setopt(h, CURLOPT_PROXY, "");
    else if (c->proxy)
        curl_easy_setopt(h, CURLOPT_PROXY, c->proxy);
    set_text(h, CURLOPT_UNIX_SOCKET_PATH, &k->mem, o->unix_socket);
    set_text(h, CURLOPT_SSLCERT, &k->mem, o->client_cert_file);
    set_text(h, CURLOPT_SSLKEY, &k->mem, o->client_key_file);
    set_method(k, method, o->body);
    set_time(k, o);
    return RC_OK;
}

static rc code_of(CURLcode code) {
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return RC_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return RC_INVALID;
    case CURLE_TOO_MANY_REDIRECTS:
        return RC_LIMIT;
    case CURLE_OUT_OF_MEMORY:
        return RC_LIMIT;
    default:
        return RC_IO;
    }
}

/* Tells and frees. code RC_OK: an answer is there. */
static void call_finish(call *k, rc code, const char *why) {
    net_client *c = k->client;
    err e = {0};
    if (k->prev)
        k->prev->next = k->next;
    else
        c->active = k->next;
    if (k->next) k->next->prev = k->prev;
    if (code != RC_OK) {
        IGNORE(FAIL(&e, code, "%.*s: %s", STR_ARG(str_sub(k->name, 0, 300)), why));
        k->done(k->ctx, code, &e, NULL);
    } else {
        long status = 0;
        curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &status);
        net_response r = {.status = (int)status,
                          .content_type = k->content_type,
                          .body = buf_str(&k->got),
                          .headers = k->lines,
                          .header_count = k->line_count,
                          .duration_ns = now_ns() - k->start_ns};
        k->done(k->ctx, RC_OK, &e, &r);
    }
    atomic_fetch_sub(&c->running, 1);
    call_free(k);
}

static void call_ended(call *k, CURLcode code) {
    static const char *const stopped[RC_COUNT] = {
        [RC_LIMIT] = "the answer is too large",
        [RC_CANCELLED] = "cancelled",
    };
    curl_multi_remove_handle(k->client->multi, k->easy);
    if (k->stop != RC_OK)
        call_finish(k, k->stop, stopped[k->stop] ? stopped[k->stop] : "the answer was not taken");
    else if (code != CURLE_OK)
        call_finish(k, code_of(code), k->why[0] ? k->why : curl_easy_strerror(code));
    else
        call_finish(k, RC_OK, NULL);
}

/* ---- client thread ---- */

static void take_fresh(net_client *c) {
    uv_mutex_lock(&c->lock);
    call *k = c->fresh;
    c->fresh = NULL;
    uv_mutex_unlock(&c->lock);
    while (k) {
        call *next = k->next;
        k->prev = NULL;
        k->next = c->active;
        if (c->active) c->active->prev = k;
        c->active = k;
        if (curl_multi_add_handle(c->multi, k->easy) != CURLM_OK)
            call_finish(k, RC_LIMIT, "libcurl has no room for the call");
        k = next;
    }
}

static bool is_cancelled(const call *k) {
    return k->cancel && __atomic_load_n((const int *)(uintptr_t)k->cancel, __ATOMIC_RELAXED) != 0;
}

static void look_at_calls(net_client *c, bool stopping) {
    int64_t now = now_ns();
    for (call *k = c->active, *next; k; k = next) {
        next = k->next;
        bool cancelled = stopping || is_cancelled(k);
        bool idle = k->idle_timeout_ms > 0 && now - k->last_ns > k->idle_timeout_ms * 1000000;
        if (!cancelled && !idle) continue;
        curl_multi_remove_handle(c->multi, k->easy);
        if (cancelled)
            call_finish(k, RC_CANCELLED, "cancelled");
        else
            call_finish(k, RC_TIMEOUT, "no byte came for too long");
    }
}

static void client_run(void *ctx) {
    net_client *c = ctx;
    client_here = c;
    for (;;) {
        int running, left;
        take_fresh(c);
        curl_multi_perform(c->multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
            if (m->msg != CURLMSG_DONE) continue;
            call *k = NULL;
            CURLcode code = m->data.result; /* m is gone after the handle is removed */
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&k);
            call_ended(k, code);
        }
        uv_mutex_lock(&c->lock);
        bool stopping = c->stopping, more = c->fresh != NULL;
        uv_mutex_unlock(&c->lock);
        look_at_calls(c, stopping);
        if (stopping && !more) break;
        if (!more) curl_multi_poll(c->multi, NULL, 0, c->active ? LOOK_MS : SLEEP_MS, NULL);
    }
    MUST(!c->active);
    client_here = NULL;
}

/* ---- interface ---- */

static void init_curl(void) { MUST(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); }

rc net_client_new(const net_client_opts *o, net_client **ret, err *e) {
    static uv_once_t once = UV_ONCE_INIT;
    MUST(o && ret);
    uv_once(&once, init_curl);
    net_client *c = mem_new(net_client);
    c->magic = CLIENT_MAGIC;
    c->max_calls = o->max_calls ? o->max_calls : MAX_CALLS;
    arena_init(&c->mem, "net client", 1 << 20);
    if (o->user_agent.n) c->user_agent = str_c_dup(&c->mem, o->user_agent);
    if (o->ca_file.n) c->ca_file = str_c_dup(&c->mem, o->ca_file);
    if (o->proxy.n) c->proxy = str_c_dup(&c->mem, o->proxy);
    MUST(uv_mutex_init(&c->lock) == 0);
    c->multi = curl_multi_init();
    MUST(c->multi && "out of memory");
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    rc r = sys_thread_start("net-client", client_run, c, &c->thread, e);
    if (r != RC_OK) {
        net_client_free(c);
        return r;
    }
    *ret = c;
    return RC_OK;
}

void net_client_free(net_client *c) {
    if (!c) return;
    MUST(c->magic == CLIENT_MAGIC && client_here != c);
    if (c->thread) {
        uv_mutex_lock(&c->lock);
        c->stopping = true;
        uv_mutex_unlock(&c->lock);
        curl_multi_wakeup(c->multi);
        sys_thread_join(c->thread);
    }
    curl_multi_cleanup(c->multi);
    uv_mutex_destroy(&c->lock);
    arena_release(&c->mem);
    c->magic = 0;
    mem_free(c);
}

rc net_call_start(net_client *c, const net_call_opts *o, net_call_done done, void *ctx, err *e) {
    MUST(c && c->magic == CLIENT_MAGIC && o && done);
    if (atomic_fetch_add(&c->running, 1) >= c->max_calls) {
        atomic_fetch_sub(&c->running, 1);
        return FAIL(e, RC_AGAIN, "%u calls are running", c->max_calls);
    }
    call *k = mem_new(call);
    k->client = c;
    arena_init(&k->mem, "net call", CALL_ARENA_BYTES);
    k->max_response_bytes = o->max_response_bytes ? o->max_response_bytes : MAX_RESPONSE_BYTES;
    buf_init(&k->got, (size_t)MIN(k->max_response_bytes, (uint64_t)SIZE_MAX / 2));
    k->cancel = o->cancel;
    k->on_part = o->on_part;
    k->on_part_ctx = o->on_part_ctx;
    k->done = done;
    k->ctx = ctx;
    k->start_ns = k->last_ns = now_ns();
    k->easy = curl_easy_init();
    rc r = k->easy ? call_prepare(k, o, e) : FAIL(e, RC_LIMIT, "no memory for the call");
    if (r != RC_OK) {
        atomic_fetch_sub(&c->running, 1);
        call_free(k);
        return r;
    }
    uv_mutex_lock(&c->lock);
    MUST(!c->stopping);
    k->next = c->fresh;
    c->fresh = k;
    uv_mutex_unlock(&c->lock);
    curl_multi_wakeup(c->multi);
    return RC_OK;
}

typedef struct waiter {
    uv_mutex_t lock;
    uv_cond_t cond;
    bool ended;
    rc code;
    arena *out;
    net_response got;
    err e;
} waiter;

static rc copy_response(arena *out, const net_response *r, net_response *ret, err *e) {
    *ret = *r;
    ret->body = str_dup(out, r->body);
    ret->content_type = str_dup(out, r->content_type);
    str *h = arena_try_new_n(out, str, r->header_count * 2 + 1);
    if (!h || (r->body.n && !ret->body.p)) return FAIL(e, RC_LIMIT, "no room for the answer");
    for (size_t i = 0; i < r->header_count * 2; i++) h[i] = str_dup(out, r->headers[i]);
    ret->headers = h;
    return RC_OK;
}

static void tell_waiter(void *ctx, rc code, const err *e, const net_response *r) {
    waiter *w = ctx;
    uv_mutex_lock(&w->lock);
    w->code = code == RC_OK ? copy_response(w->out, r, &w->got, &w->e) : code;
    if (code != RC_OK) w->e = *e;
    w->ended = true;
    uv_cond_signal(&w->cond);
    uv_mutex_unlock(&w->lock);
}

rc net_call(net_client *c, const net_call_opts *o, arena *out, net_response *ret, err *e) {
    MUST(client_here != c);
    waiter w = {.out = out};
    MUST(uv_mutex_init(&w.lock) == 0 && uv_cond_init(&w.cond) == 0);
    rc r = net_call_start(c, o, tell_waiter, &w, e);
    if (r == RC_OK) {
        uv_mutex_lock(&w.lock);
        while (!w.ended) uv_cond_wait(&w.cond, &w.lock);
        uv_mutex_unlock(&w.lock);
        r = w.code;
        if (r == RC_OK)
            *ret = w.got;
        else if (e)
            *e = w.e;
    }
    uv_mutex_destroy(&w.lock);
    uv_cond_destroy(&w.cond);
    return r;
}
