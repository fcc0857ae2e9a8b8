/* events.tbl.h - every decision the program logs about its own work (--log-level), once: the code
 * names them by id, the man page lists them.
 *
 * APP_EVENTS(X): X(ID, name, level, meaning) */
#ifndef FL_APP_EVENTS_TBL_H
#define FL_APP_EVENTS_TBL_H

#include "sys/log.h"

#define APP_EVENTS(X)                                                                              \
    X(RULES_LOADED, "rules_loaded", INFO, "how many rules map evidence to causes")                 \
    X(STATE_LOADED, "state_loaded", INFO, "templates known from an earlier run")                   \
    X(STATE_SAVED, "state_saved", INFO, "templates kept for the next run")                         \
    X(RANGE_FOUND, "range_found", INFO, "what --since and --until mean for these inputs")          \
    X(INPUT_SKIPPED, "input_skipped", WARN, "an input that was not read, and why")                 \
    X(INPUT_READ, "input_read", INFO, "an input, the format found, its service and counts")        \
    X(SCAN_DONE, "scan_done", INFO, "a reading of all inputs: records, shapes, what did not fit")  \
    X(DETECTED, "detected", INFO, "what was checked, how many findings, why undetermined")         \
    X(CONCLUDED, "concluded", INFO, "verdict, type and confidence of the report")

typedef enum app_event {
#define X(id, ...) EVENT_##id,
    APP_EVENTS(X)
#undef X
        EVENT_COUNT
} app_event;

typedef struct app_event_info {
    const char *name;
    sys_log_level level;
    const char *meaning;
} app_event_info;

extern const app_event_info APP_EVENT[EVENT_COUNT]; /* events.c */

#define app_log(id, ...)                                                                           \
    sys_log(APP_EVENT[EVENT_##id].level, APP_EVENT[EVENT_##id].name, __VA_ARGS__)

#endif
