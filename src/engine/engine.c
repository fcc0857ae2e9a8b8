/* engine.c - puts the pipeline together, starts, drains and reloads it.
 *
 * Order of life: store, workers, intake, own telemetry, net server (ports bound), receivers; then
 * the API adds its routes; then receivers and loops start. Ending goes the other way: loops take
 * nothing new and running requests end, receivers stop, the last own lines are handed on, intake
 * closes and waits for every acknowledgement, workers end, the store closes.
 *
 * Two pools of workers: one decodes large requests, one runs queries. A slow query then never holds
 * up an acknowledgement. A ticker thread samples rates, hands on own telemetry and gives free
 * memory back after a burst. */
#include <stdatomic.h>

#include "base/mem.h"
#include "engine/auth.h"
#include "engine/events.tbl.h"
#include "engine/figures.h"
#include "sys/thread.h"

enum {
    RATE_SAMPLES = 61, /* a minute of seconds */
    NET_THREADS_MAX = 4,
    QUERY_QUEUE_MAX = 1024,
    TICK_MS = 1000,
    QUIET_TICKS = 3,
    TRIM_EVERY_TICKS = 30,
    ADDRESS_BYTES_MAX = 300,
    ENGINE_MAGIC = 0x666c656e
};

typedef struct rate_sample {
    int64_t ns;
    uint64_t records[SIGNAL_COUNT], bytes, requests;
} rate_sample;

struct engine {
    uint32_t magic;
    const config *config; /* borrowed: of the start; parts keep texts of it */
    bool read_only;
    sys_clock clock;
    arena mem;
    str version, local_token;
    store *store;
    workers *decode, *query;
    taps *taps;
    intake *intake;
    self_telemetry *self;
    net_server *server;
    receiver *receivers[ENGINE_RECEIVERS_MAX];
    size_t receiver_count, receivers_started;
    receiver *syslog; /* one of them; NULL when off */
    net_listen listens[3];
    size_t listen_count;
    size_t listen_index[ENGINE_LISTENERS]; /* + 1; 0 = off */
    ingest_sink sink;
    sys_lock *auth_lock; /* guards auth */
    auth_table *auth;
    net_role anonymous;
    atomic_int state;
    volatile int draining;
    mono_ns began, ready;
    sys_queue *ticker_stop; /* closed to end the ticker */
    sys_thread *ticker;
    sys_lock *rate_lock; /* guards rates, rate_count */
    rate_sample rates[RATE_SAMPLES];
    uint64_t rate_count;
    atomic_int_fast64_t query_timeout_ns;
    atomic_uint_fast64_t query_max_bytes, query_max_records, query_max_series;
    bool drained;
};

static mono_ns mono(const engine *g) { return g->clock.ops->mono(g->clock.ctx); }

static const char *const LISTENER_NAMES[ENGINE_LISTENERS] = {
    "otlp_grpc", "otlp_http", "api", "syslog_udp", "syslog_tcp", "syslog_tls"};
static const char *const LISTENER_KEYS[ENGINE_LISTENERS] = {
    "listen.otlp_grpc",  "listen.otlp_http",  "listen.api",
    "listen.syslog_udp", "listen.syslog_tcp", "listen.syslog_tls"};

const char *engine_listener_name(engine_listener l) {
    MUST(l < ENGINE_LISTENERS);
    return LISTENER_NAMES[l];
}

/* ---- parts from the configuration ---- */

static net_tls tls_of(const config *c, const char *cert, const char *key, const char *ca) {
    str own = config_text(c, cert);
    if (str_eq(own, S("none"))) return (net_tls){0};
    if (own.n > 0) return (net_tls){own, config_text(c, key), config_text(c, ca)};
    return (net_tls){config_text(c, "tls.cert"), config_text(c, "tls.key"),
                     config_text(c, "tls.client_ca")};
}

static net_tls listener_tls(const config *c, engine_listener l) {
    switch (l) {
    case ENGINE_OTLP_GRPC:
        return tls_of(c, "tls.otlp_grpc.cert", "tls.otlp_grpc.key", "tls.otlp_grpc.client_ca");
    case ENGINE_OTLP_HTTP:
        return tls_of(c, "tls.otlp_http.cert", "tls.otlp_http.key", "tls.otlp_http.client_ca");
    case ENGINE_API:
        return tls_of(c, "tls.api.cert", "tls.api.key", "tls.api.client_ca");
    default:
        return tls_of(c, "tls.syslog.cert", "tls.syslog.key", "tls.syslog.client_ca");
    }
}

static void on_store_event(void *ctx, const char *event, str detail) {
    engine *g = ctx;
    (void)g;
    bool trouble = strstr(event, "damage") || strstr(event, "full") || strstr(event, "fail") ||
                   strstr(event, "corrupt") || strstr(event, "error");
    if (trouble)
        engine_log(STORE_TROUBLE, SYS_LOG_STR("what", str_c(event)), SYS_LOG_STR("detail", detail));
    else
        engine_log(STORE_EVENT, SYS_LOG_STR("what", str_c(event)), SYS_LOG_STR("detail", detail));
}

static rc open_store(engine *g, err *e) {
    const config *c = g->config;
    store_opts o = {.dir = config_text(c, "data.dir"),
                    .cold_dir = config_text(c, "data.cold_dir"),
                    .read_only = g->read_only,
                    .hot_days = (uint32_t)config_int(c, "retention.hot_days"),
                    .cold_days = (uint32_t)config_int(c, "retention.cold_days"),
                    .max_bytes = config_bytes(c, "retention.max_bytes"),
                    .min_free_bytes = config_bytes(c, "retention.min_free"),
                    .journal_bytes = config_bytes(c, "store.journal"),
                    .journal_age_s =
                        (uint32_t)(config_duration_ns(c, "store.journal_age") / 1000000000),
                    .compaction_backlog_bytes = config_bytes(c, "store.backlog"),
                    .queue_bytes = config_bytes(c, "store.queue"),
                    .cache_bytes = config_bytes(c, "store.cache"),
                    .fs = &SYS_FS_REAL,
                    .clock = &SYS_CLOCK_REAL,
                    .on_event = on_store_event,
                    .on_event_ctx = g};
    return store_open(&o, &g->store, e);
}

static bool is_exposed(const config *c) {
    for (int l = 0; l <= ENGINE_API; l++) {
        str host;
        uint16_t port;
        if (config_address(c, LISTENER_KEYS[l], &host, &port) && !config_is_loopback(host))
            return true;
    }
    return false;
}

static net_role on_auth(void *ctx, str token) {
    engine *g = ctx;
    sys_lock_take(g->auth_lock);
    net_role role = auth_role_of(g->auth, token);
    sys_lock_give(g->auth_lock);
    return role;
}

static void on_access(void *ctx, const net_access *a) {
    engine *g = ctx;
    self_on_request(g->self, a);
    if (!sys_log_on(SYS_LOG_DEBUG)) return;
    engine_log(REQUEST, SYS_LOG_STR("method", a->method), SYS_LOG_STR("path", a->path),
               SYS_LOG_STR("peer", a->peer), SYS_LOG_INT("status", a->status),
               SYS_LOG_INT("grpc_status", a->grpc_status),
               SYS_LOG_INT("request_bytes", (int64_t)a->request_bytes),
               SYS_LOG_INT("response_bytes", (int64_t)a->response_bytes),
               SYS_LOG_INT("took_us", a->duration_ns / 1000), SYS_LOG_INT("http", a->http_version));
}

static void add_listen(engine *g, engine_listener l, str host, uint16_t port, net_tls tls,
                       uint32_t group) {
    g->listens[g->listen_count] = (net_listen){
        .host = host.n > 0 ? host : S("0.0.0.0"), .port = port, .tls = tls, .group = group};
    g->listen_index[l] = ++g->listen_count;
}

static void choose_listeners(engine *g) {
    if (g->read_only) {
        add_listen(g, ENGINE_API, S("127.0.0.1"), 0, (net_tls){0}, ENGINE_GROUP_API);
        return;
    }
    for (int l = 0; l <= ENGINE_API; l++) {
        str host;
        uint16_t port;
        if (!config_address(g->config, LISTENER_KEYS[l], &host, &port)) continue;
        uint32_t group = l == ENGINE_API ? ENGINE_GROUP_API | ENGINE_GROUP_OTLP : ENGINE_GROUP_OTLP;
        add_listen(g, (engine_listener)l, host, port, listener_tls(g->config, (engine_listener)l),
                   group);
    }
}

static unsigned net_threads(const engine *g) {
    int64_t n = config_int(g->config, "engine.net_threads");
    if (g->read_only) return 1;
    if (n > 0) return (unsigned)n;
    return MAX(MIN(sys_cpu_count() / 2, (unsigned)NET_THREADS_MAX), 1u);
}

static unsigned worker_threads(const engine *g) {
    int64_t n = config_int(g->config, "engine.workers");
    return n > 0 ? (unsigned)n : MIN(sys_cpu_count(), 64u);
}

static rc new_server(engine *g, err *e) {
    const config *c = g->config;
    choose_listeners(g);
    if (g->listen_count == 0) return FAIL(e, RC_INVALID, "no listener is configured");
    net_server_opts o = {
        .listens = g->listens,
        .listen_count = g->listen_count,
        .threads = net_threads(g),
        .limits = {.max_connections = (uint32_t)config_int(c, "limits.connections"),
                   .max_streams = (uint32_t)config_int(c, "limits.streams"),
                   .max_header_bytes = (uint32_t)config_bytes(c, "limits.header_bytes"),
                   .max_headers = (uint32_t)config_int(c, "limits.headers"),
                   .max_body_bytes = config_bytes(c, "limits.body"),
                   .max_decompression_ratio = (uint32_t)config_int(c, "limits.decompression_ratio"),
                   .max_inflight_bytes = config_bytes(c, "limits.inflight"),
                   .header_timeout_ms =
                       (uint32_t)(config_duration_ns(c, "limits.header_timeout") / 1000000),
                   .body_timeout_ms =
                       (uint32_t)(config_duration_ns(c, "limits.body_timeout") / 1000000),
                   .idle_timeout_ms =
                       (uint32_t)(config_duration_ns(c, "limits.idle_timeout") / 1000000),
                   .min_body_rate_bytes_s = (uint32_t)config_bytes(c, "limits.body_rate")},
        .auth = on_auth,
        .auth_ctx = g,
        .server_name = S("faultline"),
        .on_access = on_access,
        .on_access_ctx = g};
    return net_server_new(&o, &g->server, e);
}

/* ---- the sink of the receivers ---- */

static void sink_put(void *ctx, telemetry *t, ingest_done done, void *done_ctx) {
    engine *g = ctx;
    intake_put(g->intake, t, false, done, done_ctx);
}

static rc sink_offload(void *ctx, void (*fn)(void *arg), void *arg) {
    engine *g = ctx;
    return workers_run(g->decode, fn, arg);
}

static rc sink_checkpoint(void *ctx, str key, arena *out, str *ret) {
    engine *g = ctx;
    return g->store->ops->checkpoint(g->store, key, out, ret, NULL);
}

static void add_receiver(engine *g, receiver *r) {
    MUST(g->receiver_count < ENGINE_RECEIVERS_MAX);
    g->receivers[g->receiver_count++] = r;
}

static rc add_syslog(engine *g, err *e) {
    const config *c = g->config;
    str host;
    uint16_t port;
    syslog_opts o = {.max_message_bytes = (uint32_t)config_bytes(c, "syslog.max_message"),
                     .max_connections = (uint32_t)config_int(c, "syslog.max_connections")};
    str *to[] = {&o.udp, &o.tcp, &o.tls};
    bool any = false;
    for (int i = 0; i < 3; i++) {
        const char *key = LISTENER_KEYS[ENGINE_SYSLOG_UDP + i];
        if (!config_address(c, key, &host, &port)) continue;
        *to[i] = host.n > 0 ? config_text(c, key) : str_fmt(&g->mem, "0.0.0.0:%u", port);
        any = true;
    }
    if (!any) return RC_OK;
    o.tls_files = listener_tls(c, ENGINE_SYSLOG_TLS);
    rc code = syslog_receiver_new(&o, &g->sink, &g->syslog, e);
    if (code == RC_OK) add_receiver(g, g->syslog);
    return code;
}

static rc add_receivers(engine *g, err *e) {
    const config *c = g->config;
    uint32_t group = ENGINE_GROUP_OTLP | ENGINE_GROUP_API;
    receiver *r;
    rc code = otlp_receiver_new(g->server, group, &g->sink, &r, e);
    if (code != RC_OK) return code;
    add_receiver(g, r);
    code = remote_write_receiver_new(g->server, group, &g->sink, &r, e);
    if (code != RC_OK) return code;
    add_receiver(g, r);
    code = add_syslog(g, e);
    tail_opts tail = {.from_start = config_bool(c, "tail.from_start")};
    tail.path_count = config_list(c, "tail.paths", &tail.paths);
    if (code != RC_OK || tail.path_count == 0) return code;
    code = tail_receiver_new(&tail, &g->sink, &r, e);
    if (code == RC_OK) add_receiver(g, r);
    return code;
}

/* ---- live keys ---- */

static void apply_live(engine *g, const config *c) {
    intake_set_memory(g->intake, config_bytes(c, "limits.memory"));
    atomic_store(&g->query_timeout_ns, config_duration_ns(c, "query.timeout"));
    atomic_store(&g->query_max_bytes, config_bytes(c, "query.max_bytes"));
    atomic_store(&g->query_max_records, (uint64_t)config_int(c, "query.max_records"));
    atomic_store(&g->query_max_series, (uint64_t)config_int(c, "query.max_series"));
    if (!g->read_only) {
        self_set(g->self, config_bool(c, "self.logs"),
                 (uint64_t)config_int(c, "self.trace_one_in"));
    }
}

void engine_query_limit(const engine *g, engine_query_limits *ret) {
    *ret = (engine_query_limits){.timeout_ns = atomic_load(&g->query_timeout_ns),
                                 .max_bytes = atomic_load(&g->query_max_bytes),
                                 .max_records = atomic_load(&g->query_max_records),
                                 .max_series = (uint32_t)atomic_load(&g->query_max_series),
                                 .workers = worker_threads(g)};
}

/* ---- ticker ---- */

static void sample_rates(engine *g) {
    intake_counts n;
    intake_count(g->intake, &n);
    rate_sample s = {.ns = mono(g).ns, .bytes = n.bytes, .requests = n.requests};
    memcpy(s.records, n.records, sizeof s.records);
    sys_lock_take(g->rate_lock);
    g->rates[g->rate_count++ % RATE_SAMPLES] = s;
    sys_lock_give(g->rate_lock);
}

/* Counts everything that allocates. */
static uint64_t activity(engine *g) {
    intake_counts n;
    workers_counts d, q;
    store_stats st;
    intake_count(g->intake, &n);
    workers_count(g->decode, &d);
    workers_count(g->query, &q);
    g->store->ops->stats(g->store, &st);
    return n.requests + d.jobs + q.jobs + st.compactions;
}

typedef struct trimmer {
    uint64_t seen;         /* activity at the last tick */
    unsigned quiet, since; /* ticks without activity; since the last trim */
    bool dirty;            /* activity since the last trim */
} trimmer;

/* What the heap keeps after a burst (of input, a compaction, a query) goes back to the system: when
 * it has been quiet for a moment, or from time to time when it never is. malloc's figures do not
 * tell when it is worth it: they count pages as free that were given back already. */
static void trim_heap(engine *g, trimmer *t) {
    uint64_t now = activity(g);
    t->quiet = now == t->seen ? t->quiet + 1 : 0;
    t->dirty |= now != t->seen;
    t->seen = now;
    t->since++;
    if (!t->dirty || (t->quiet < QUIET_TICKS && t->since < TRIM_EVERY_TICKS)) return;
    sys_heap_trim();
    t->dirty = false;
    t->since = 0;
}

static void tick(void *ctx) {
    engine *g = ctx;
    void *nothing;
    trimmer trim = {.dirty = true};
    while (sys_queue_pop_wait(g->ticker_stop, TICK_MS, &nothing) != RC_END) {
        sample_rates(g);
        self_flush(g->self);
        trim_heap(g, &trim);
    }
}

static void rates_of(engine *g, engine_rates *ret) {
    *ret = (engine_rates){0};
    sys_lock_take(g->rate_lock);
    if (g->rate_count >= 2) {
        const rate_sample *b = &g->rates[(g->rate_count - 1) % RATE_SAMPLES];
        uint64_t back = MIN(g->rate_count, (uint64_t)RATE_SAMPLES) - 1;
        const rate_sample *a = &g->rates[(g->rate_count - 1 - back) % RATE_SAMPLES];
        double s = (double)(b->ns - a->ns) / 1e9;
        if (s > 0) {
            for (size_t i = 0; i < SIGNAL_COUNT; i++)
                ret->records[i] = (double)(b->records[i] - a->records[i]) / s;
            ret->bytes = (double)(b->bytes - a->bytes) / s;
            ret->requests = (double)(b->requests - a->requests) / s;
        }
    }
    sys_lock_give(g->rate_lock);
}

/* ---- life ---- */

static rc build(engine *g, err *e) {
    const config *c = g->config;
    rc code = open_store(g, e);
    size_t jobs = (size_t)config_int(c, "limits.jobs");
    unsigned threads = worker_threads(g);
    if (code == RC_OK) code = auth_new(c, g->anonymous, g->local_token, &g->auth, e);
    if (code == RC_OK)
        code = workers_new("fl-decode", g->read_only ? 1 : threads, jobs, &g->decode, e);
    if (code == RC_OK) code = workers_new("fl-query", threads, QUERY_QUEUE_MAX, &g->query, e);
    if (code != RC_OK) return code;
    g->taps = taps_new(g->query);
    /* Loops, decoders, and the few threads of syslog, tail and own telemetry. */
    code = intake_new(g->store, g->taps, net_threads(g) + threads + 3, &g->clock, &g->intake, e);
    if (code != RC_OK) return code;
    arena_mark mark = arena_save(&g->mem);
    str instance = str_fmt(&g->mem, "%" PRId64, sys_process_id());
    g->self = self_new(g->intake, g->version, instance, &g->clock);
    arena_restore(&g->mem, mark);
    apply_live(g, c);
    g->sink = (ingest_sink){
        .put = sink_put, .offload = sink_offload, .checkpoint = sink_checkpoint, .ctx = g};
    code = new_server(g, e);
    if (code == RC_OK && !g->read_only) code = add_receivers(g, e);
    return code;
}

rc engine_new(const config *c, const engine_opts *opts, engine **ret, err *e) {
    rc code = opts->read_only ? RC_OK : config_check(c, e);
    if (code != RC_OK) return code;
    engine *g = mem_new(engine);
    g->magic = ENGINE_MAGIC;
    g->config = c;
    g->read_only = opts->read_only;
    g->clock = SYS_CLOCK_REAL;
    g->began = mono(g);
    arena_init(&g->mem, "engine", 1 << 20);
    g->version = str_dup(&g->mem, opts->version);
    g->local_token = str_dup(&g->mem, opts->local_token);
    g->auth_lock = sys_lock_new("auth");
    g->rate_lock = sys_lock_new("rates");
    g->ticker_stop = sys_queue_new(1);
    bool exposed = !g->read_only && is_exposed(c);
    /* Only who is on this machine may administer without a token. */
    g->anonymous = g->read_only ? ROLE_NONE
                   : exposed    ? (net_role)(ROLE_READ | ROLE_WRITE)
                                : ROLE_ADMIN;
    code = build(g, e);
    if (code != RC_OK) {
        engine_free(g);
        return code;
    }
    if (exposed && auth_count(g->auth) == 0)
        engine_log(OPEN_TO_ALL, SYS_LOG_STR("key", S("auth.allow_anonymous")));
    *ret = g;
    return RC_OK;
}

rc engine_start(engine *g, err *e) {
    MUST(g->magic == ENGINE_MAGIC && atomic_load(&g->state) == ENGINE_STARTING);
    rc code = RC_OK;
    for (; g->receivers_started < g->receiver_count; g->receivers_started++) {
        receiver *r = g->receivers[g->receivers_started];
        code = r->ops->start(r, e);
        if (code != RC_OK) return code;
    }
    code = net_server_start(g->server, e);
    if (code != RC_OK) return code;
    if (!g->read_only) {
        code = sys_thread_start("fl-tick", tick, g, &g->ticker, e);
        if (code != RC_OK) return code;
        sys_log_tee(self_on_log, g->self);
    }
    g->ready = mono(g);
    atomic_store(&g->state, ENGINE_READY);
    return RC_OK;
}

void engine_drain(engine *g, int64_t deadline_ms) {
    if (g->drained) return;
    g->drained = true;
    int64_t deadline = mono(g).ns + deadline_ms * 1000000;
    atomic_store(&g->state, ENGINE_DRAINING);
    __atomic_store_n(&g->draining, 1, __ATOMIC_RELAXED);
    sys_log_tee(NULL, NULL);
    if (g->server) net_server_drain(g->server, deadline_ms);
    for (size_t i = g->receivers_started; i > 0; i--)
        g->receivers[i - 1]->ops->stop(g->receivers[i - 1]);
    g->receivers_started = 0;
    sys_queue_close(g->ticker_stop);
    sys_thread_join(TAKE(g->ticker));
    if (!g->intake) return;
    if (!g->read_only) self_flush(g->self);
    intake_close(g->intake);
    IGNORE(intake_wait(g->intake, deadline)); /* closing the store answers what is left */
}

rc engine_reload(engine *g, const config *c, err *e) {
    MUST(g->magic == ENGINE_MAGIC);
    rc code = config_check(c, e);
    auth_table *auth = NULL;
    if (code == RC_OK) code = auth_new(c, g->anonymous, g->local_token, &auth, e);
    if (code == RC_OK) code = net_server_reload(g->server, e);
    if (code != RC_OK) {
        auth_free(auth);
        return code;
    }
    sys_lock_take(g->auth_lock);
    auth_table *old = g->auth;
    g->auth = auth;
    sys_lock_give(g->auth_lock);
    auth_free(old);
    apply_live(g, c);
    return RC_OK;
}

void engine_free(engine *g) {
    if (!g) return;
    MUST(g->magic == ENGINE_MAGIC);
    engine_drain(g, 0);
    /* The server waits for the answers to its requests: workers and store are still there to give
     * them. */
    net_server_free(g->server);
    if (g->decode) workers_stop(g->decode);
    if (g->query) workers_stop(g->query);
    store_close(TAKE(g->store));
    for (size_t i = 0; i < g->receiver_count; i++) g->receivers[i]->ops->free(g->receivers[i]);
    self_free(g->self);
    intake_free(g->intake);
    taps_free(g->taps);
    workers_free(g->decode);
    workers_free(g->query);
    auth_free(g->auth);
    sys_lock_free(g->auth_lock);
    sys_lock_free(g->rate_lock);
    sys_queue_free(g->ticker_stop);
    arena_release(&g->mem);
    g->magic = 0;
    mem_free(g);
}

/* ---- access ---- */

net_server *engine_server(engine *g) { return g->server; }
store *engine_store(engine *g) { return g->store; }
const ingest_sink *engine_sink(engine *g) { return &g->sink; }
size_t engine_receivers(const engine *g, receiver *const **ret) {
    *ret = g->receivers;
    return g->receiver_count;
}

rc engine_offload(engine *g, void (*fn)(void *arg), void *arg) {
    return workers_run(g->query, fn, arg);
}

rc engine_tap_add(engine *g, void (*fn)(void *ctx, const log_batch *b), void *ctx, engine_tap **ret,
                  err *e) {
    return taps_add(g->taps, fn, ctx, ret, e);
}

uint64_t engine_tap_lost(engine *g) { return taps_lost(g->taps); }
void engine_tap_remove(engine *g, engine_tap *t) { taps_remove(g->taps, t); }

engine_state engine_state_of(const engine *g) { return (engine_state)atomic_load(&g->state); }

const char *engine_state_name(engine_state s) {
    static const char *const names[] = {"starting", "ready", "draining"};
    MUST((unsigned)s < ARRAY_LEN(names));
    return names[s];
}

const volatile int *engine_draining(const engine *g) { return &g->draining; }

rc engine_ready(engine *g, err *e) {
    engine_state s = engine_state_of(g);
    if (s != ENGINE_READY) return FAIL(e, RC_AGAIN, "the server is %s", engine_state_name(s));
    store_stats st;
    g->store->ops->stats(g->store, &st);
    if (st.disk_full) return FAIL(e, RC_AGAIN, "the disk is full: nothing can be stored");
    if (st.read_only && !g->read_only) {
        return FAIL(e, RC_AGAIN, "the store takes no writes%s%s", st.last_error[0] ? ": " : "",
                    st.last_error);
    }
    return RC_OK;
}

bool engine_address(const engine *g, engine_listener l, arena *out, str *ret) {
    MUST(l < ENGINE_LISTENERS);
    if (l <= ENGINE_API) {
        if (g->listen_index[l] == 0) return false;
        size_t i = g->listen_index[l] - 1;
        str host = g->listens[i].host;
        bool v6 = str_find_char(host, ':', 0) != STR_NPOS;
        *ret = str_fmt(out, v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(host),
                       net_server_port(g->server, i));
        return true;
    }
    str host;
    uint16_t port;
    if (!g->syslog || !config_address(g->config, LISTENER_KEYS[l], &host, &port)) return false;
    static const char WHICH[] = {'u', 't', 's'};
    if (host.n == 0) host = S("0.0.0.0");
    bool v6 = str_find_char(host, ':', 0) != STR_NPOS;
    *ret = str_fmt(out, v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(host),
                   syslog_receiver_port(g->syslog, WHICH[l - ENGINE_SYSLOG_UDP]));
    return true;
}

bool engine_listener_tls(const engine *g, engine_listener l) {
    if (l == ENGINE_SYSLOG_TLS) return true;
    if (l > ENGINE_API || g->listen_index[l] == 0) return false;
    return g->listens[g->listen_index[l] - 1].tls.cert_file.n > 0;
}

void engine_figure(engine *g, engine_figures *ret) {
    *ret = (engine_figures){.state = engine_state_of(g),
                            .version = g->version,
                            .uptime_ns = mono(g).ns - g->began.ns,
                            .start_took_ns = g->ready.ns - g->began.ns};
    rates_of(g, &ret->rates);
    intake_count(g->intake, &ret->intake);
    g->store->ops->stats(g->store, &ret->store);
    net_server_count(g->server, &ret->net);
    workers_count(g->decode, &ret->decode);
    workers_count(g->query, &ret->query);
    taps_count(g->taps, &ret->taps);
    self_count(g->self, &ret->self);
    sys_process_stat(&ret->process);
    for (size_t i = 0; i < g->receiver_count; i++) {
        receiver *r = g->receivers[i];
        ret->receivers[i].name = r->ops->name;
        r->ops->count(r, &ret->receivers[i].n);
    }
    ret->receiver_count = g->receiver_count;
}
