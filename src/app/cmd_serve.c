/* cmd_serve.c - the server: configuration, engine and API put together, signals, the end.
 *
 * The heap. glibc gives each thread an arena of its own that keeps what it once had; with a dozen
 * threads that allocate batches on one thread and free them on another, memory stays in all of
 * them. So: two arenas. Blocks of up to 32 MiB come from the heap (mapping and unmapping every
 * batch costs half of the throughput: measured 0.6 to 0.8 M log records a CPU-second with 256 KiB
 * against 1.3 to 1.4 M), and the engine trims the heap after each burst. */
#include <stdio.h>

#include "api/api.h"
#include "api/manage.h"
#include "app/commands.h"
#include "app/config_file.h"
#include "app/server_file.h"
#include "app/version.h"
#include "engine/auth.h"
#include "engine/events.tbl.h"
#include "sys/process.h"

enum { HEAP_ARENAS = 2, HEAP_MMAP_BYTES = 32 << 20, HEAP_TRIM_BYTES = 64 << 20, DRAIN_MS = 20000 };

typedef struct server {
    const cli_args *args;
    arena mem;
    config *config;   /* of the start: the engine borrows it */
    config *reloaded; /* the newest one; NULL without a reload */
    engine *engine;
    api_query *queries;
    char token[AUTH_TOKEN_CHARS + 1];
    str dir;
} server;

static void set_log_level(const cli_args *a, const config *c) {
    sys_log_level level = SYS_LOG_INFO;
    if (cli_has(a, OPT_LOG_LEVEL)) return; /* the command line has set it */
    MUST(sys_log_level_from(config_text(c, "log.level"), &level));
    sys_log_threshold(level);
}

/* "ready otlp_grpc=127.0.0.1:4317 ... data=DIR pid=N" */
static void tell_ready(server *s) {
    buf line;
    buf_init(&line, 16 << 10);
    buf_put(&line, S("ready"));
    for (int l = 0; l < ENGINE_LISTENERS; l++) {
        str address;
        const char *name = engine_listener_name((engine_listener)l);
        if (!engine_address(s->engine, (engine_listener)l, &s->mem, &address)) continue;
        buf_fmt(&line, " %s=%.*s", name, STR_ARG(address));
        engine_log(LISTENING, SYS_LOG_STR("listener", str_c(name)), SYS_LOG_STR("address", address),
                   SYS_LOG_STR("tls", engine_listener_tls(s->engine, (engine_listener)l)
                                          ? S("yes")
                                          : STR_NONE));
    }
    buf_fmt(&line, " data=%.*s pid=%" PRId64 "\n", STR_ARG(s->dir), sys_process_id());
    /* Whoever started it may have closed standard output. */
    IGNORE(fwrite(line.p, 1, line.n, stdout) == line.n && fflush(stdout) == 0);
    buf_release(&line);
}

static rc start(server *s, err *e) {
    const cli_args *a = s->args;
    char hash[2 * AUTH_HASH_BYTES + 1];
    rc code = config_from_args(a, &s->config, e);
    if (code == RC_OK) code = auth_make_token(s->token, hash, e);
    if (code != RC_OK) return code;
    set_log_level(a, s->config);
    s->dir = config_text(s->config, "data.dir");
    engine_opts opts = {.version = S(FL_VERSION), .local_token = str_c(s->token)};
    code = engine_new(s->config, &opts, &s->engine, e);
    if (code != RC_OK) return code;
    api_manage_routes(s->engine);
    s->queries = api_query_new(s->engine, S(FL_VERSION));
    code = engine_start(s->engine, e);
    if (code != RC_OK) return code;
    code = server_file_write(s->engine, server_file_path(s->dir, &s->mem), S(FL_VERSION),
                             str_c(s->token), e);
    str ready = cli_text(a, OPT_READY_FILE);
    if (code == RC_OK && ready.n > 0)
        code = server_file_write(s->engine, ready, S(FL_VERSION), STR_NONE, e);
    return code;
}

static void reload(server *s) {
    config *fresh = NULL;
    err e = {0};
    sys_notify(S("RELOADING=1"));
    rc code = config_from_args(s->args, &fresh, &e);
    if (code == RC_OK) code = engine_reload(s->engine, fresh, &e);
    if (code != RC_OK) {
        engine_log(CONFIG_REFUSED, SYS_LOG_ERR(&e));
        config_free(fresh);
    } else {
        str key = config_needs_restart(s->config, fresh);
        if (key.n > 0) engine_log(CONFIG_NEEDS_RESTART, SYS_LOG_STR("key", key));
        set_log_level(s->args, fresh);
        config_free(s->reloaded);
        s->reloaded = fresh;
        engine_log(CONFIG_RELOADED, SYS_LOG_STR("file", cli_text(s->args, OPT_CONFIG)));
    }
    sys_notify(S("READY=1"));
}

static void run(server *s, int64_t began_ns) {
    tell_ready(s);
    int64_t took = SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns - began_ns;
    engine_log(SERVER_READY, SYS_LOG_STR("version", S(FL_VERSION)), SYS_LOG_STR("data", s->dir),
               SYS_LOG_INT("pid", sys_process_id()), SYS_LOG_INT("took_ms", took / 1000000));
    sys_notify(S("READY=1\nSTATUS=taking input"));
    for (;;) {
        sys_signal got = sys_signals_wait(-1);
        if (got == SYS_SIGNAL_STOP) break;
        if (got == SYS_SIGNAL_RELOAD) reload(s);
    }
    sys_notify(S("STOPPING=1"));
    engine_log(SERVER_STOPPING, SYS_LOG_INT("deadline_ms", DRAIN_MS));
    server_file_remove(s->dir);
    api_query_stop(s->queries);
    engine_drain(s->engine, DRAIN_MS);
}

int cmd_serve(const cli_args *a) {
    server s = {.args = a};
    err e = {0};
    int64_t began = SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns;
    arena_init(&s.mem, "serve", 1 << 20);
    sys_heap_tune(HEAP_ARENAS, HEAP_MMAP_BYTES, HEAP_TRIM_BYTES);
    sys_private_files();
    sys_raise_file_limit();
    sys_signals_block();
    rc code = start(&s, &e);
    int status = EXIT_WITH_OK;
    if (code == RC_OK) {
        run(&s, began);
    } else {
        if (e.code == RC_EXISTS)
            err_hint(&e, "stop that server, or give another directory: --data DIR");
        status = tell_failure(&e);
        if (status == EXIT_WITH_NO_INPUT || e.code == RC_EXISTS) status = EXIT_WITH_FAILED;
    }
    api_query_stop(s.queries);
    engine_free(s.engine);
    api_query_free(s.queries);
    if (code == RC_OK)
        sys_log_write(SYS_LOG_INFO, ENGINE_EVENT[ENGINE_EVENT_SERVER_STOPPED].name, NULL, 0);
    config_free(s.reloaded);
    config_free(s.config);
    arena_release(&s.mem);
    return status;
}
