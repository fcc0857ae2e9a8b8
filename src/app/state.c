#include "app/state.h"

#include "app/events.tbl.h"

enum { STATE_BYTES_MAX = 512 << 20 };

static void log_templates(app_event event, str path, const miner *m) {
    miner_counts n;
    miner_count(m, &n);
    sys_log(APP_EVENT[event].level, APP_EVENT[event].name, SYS_LOG_STR("file", path),
            SYS_LOG_INT("templates", (int64_t)n.templates), SYS_LOG_INT("lines", (int64_t)n.lines));
}

rc state_load(const sys_fs *fs, str path, miner *m, bool *ret_found, err *e) {
    buf state;
    buf_init(&state, STATE_BYTES_MAX);
    rc got = sys_read_file(fs, path, STATE_BYTES_MAX, &state, e);
    bool found = got == RC_OK;
    if (found) got = miner_load(m, buf_str(&state), e);
    buf_release(&state);
    if (got != RC_OK && (found || got != RC_NOT_FOUND)) {
        return err_wrap(e, got, "--state %.*s", STR_ARG(path));
    }
    miner_group(m);
    if (found) log_templates(EVENT_STATE_LOADED, path, m);
    *ret_found = found;
    return RC_OK;
}

rc state_save(const sys_fs *fs, str path, const miner *m, err *e) {
    buf state;
    buf_init(&state, STATE_BYTES_MAX);
    rc got = miner_save(m, &state, e);
    if (got == RC_OK) got = sys_write_file(fs, path, buf_str(&state), e);
    buf_release(&state);
    if (got != RC_OK) return err_wrap(e, got, "--state %.*s", STR_ARG(path));
    log_templates(EVENT_STATE_SAVED, path, m);
    return RC_OK;
}
