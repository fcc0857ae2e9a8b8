#include "app/events.tbl.h"

const app_event_info APP_EVENT[EVENT_COUNT] = {
#define X(id, name, level, meaning) [EVENT_##id] = {name, SYS_LOG_##level, meaning},
    APP_EVENTS(X)
#undef X
};
