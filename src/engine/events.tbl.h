/* events.tbl.h - every decision of the running server that it logs, once: the code names them by
 * id, the man page lists them.
 *
 * ENGINE_EVENTS(X): X(ID, name, level, meaning) */
#ifndef FL_ENGINE_EVENTS_TBL_H
#define FL_ENGINE_EVENTS_TBL_H

#include "sys/log.h"

#define ENGINE_EVENTS(X)                                                                           \
    X(SERVER_STARTED, "server_started", INFO, "addresses, directory and process of the server")    \
    X(SERVER_READY, "server_ready", INFO, "the server takes input; how long the start took")       \
    X(SERVER_STOPPING, "server_stopping", INFO, "a signal: no new input, what was taken is stored") \
    X(SERVER_STOPPED, "server_stopped", INFO, "everything taken is acknowledged or refused")       \
    X(CONFIG_RELOADED, "config_reloaded", INFO, "SIGHUP: the new configuration holds")             \
    X(CONFIG_REFUSED, "config_refused", ERROR, "SIGHUP: the new configuration is wrong; the old "  \
                                               "one stays")                                        \
    X(CONFIG_NEEDS_RESTART, "config_needs_restart", WARN,                                          \
      "SIGHUP: a key changed that only a start takes over")                                        \
    X(OPEN_TO_ALL, "open_to_all", WARN, "other machines may read and write without a token")       \
    X(LISTENING, "listening", INFO, "a listener and its address")                                  \
    X(OVERLOADED, "overloaded", WARN, "input was told to come back, and why")                      \
    X(STORE_FAILED, "store_failed", ERROR, "telemetry could not be written; its sender was told")  \
    X(STORE_EVENT, "store", INFO, "what the store decided: compaction, expiry, damage")            \
    X(STORE_TROUBLE, "store_trouble", WARN, "damage, a full disk or a failing file of the store")  \
    X(NOT_MINED, "not_mined", WARN, "log lines stored as they are because no shape could be kept") \
    X(REQUEST, "request", DEBUG, "a finished request")

typedef enum engine_event {
#define X(id, ...) ENGINE_EVENT_##id,
    ENGINE_EVENTS(X)
#undef X
        ENGINE_EVENT_COUNT
} engine_event;

typedef struct engine_event_info {
    const char *name;
    sys_log_level level;
    const char *meaning;
} engine_event_info;

extern const engine_event_info ENGINE_EVENT[ENGINE_EVENT_COUNT];

#define engine_log(id, ...)                                                                        \
    sys_log(ENGINE_EVENT[ENGINE_EVENT_##id].level, ENGINE_EVENT[ENGINE_EVENT_##id].name,           \
            __VA_ARGS__)

#endif
