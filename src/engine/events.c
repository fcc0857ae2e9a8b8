#include "engine/events.tbl.h"

const engine_event_info ENGINE_EVENT[ENGINE_EVENT_COUNT] = {
#define X(id, name, level, meaning) [ENGINE_EVENT_##id] = {name, SYS_LOG_##level, meaning},
    ENGINE_EVENTS(X)
#undef X
};
