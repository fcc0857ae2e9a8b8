#include "app/server_file.h"

#include "codec/json_tree.h"
#include "codec/json_write.h"
#include "sys/process.h"

enum { FILE_BYTES_MAX = 64 << 10 };

str server_file_path(str dir, arena *out) { return str_fmt(out, "%.*s/server.json", STR_ARG(dir)); }

bool server_api_url(const engine *g, arena *out, str *ret) {
    str address;
    if (!engine_address(g, ENGINE_API, out, &address)) return false;
    size_t colon = str_rfind_char(address, ':');
    str host = str_sub(address, 0, colon), port = str_from(address, colon);
    /* What listens on all interfaces is reached over the loopback one. */
    if (str_eq(host, S("0.0.0.0"))) host = S("127.0.0.1");
    if (str_eq(host, S("[::]"))) host = S("[::1]");
    *ret = str_fmt(out, "%s://%.*s%.*s", engine_listener_tls(g, ENGINE_API) ? "https" : "http",
                   STR_ARG(host), STR_ARG(port));
    return true;
}

rc server_file_write(const engine *g, str path, str version, str token, err *e) {
    arena mem;
    buf out;
    arena_init(&mem, "server file", 1 << 20);
    buf_init(&out, FILE_BYTES_MAX);
    json_writer w;
    json_write_init(&w, &out, 2);
    json_write_object(&w);
    json_write_kv_i64(&w, S("pid"), sys_process_id());
    json_write_kv(&w, S("version"), version);
    str text;
    if (server_api_url(g, &mem, &text)) json_write_kv(&w, S("url"), text);
    if (token.n > 0) json_write_kv(&w, S("token"), token);
    for (int l = 0; l < ENGINE_LISTENERS; l++) {
        if (engine_address(g, (engine_listener)l, &mem, &text))
            json_write_kv(&w, str_c(engine_listener_name((engine_listener)l)), text);
    }
    json_write_object_end(&w);
    buf_putc(&out, '\n');
    rc code = out.full ? FAIL(e, RC_LIMIT, "the addresses are too long")
                       : sys_write_file(&SYS_FS_REAL, path, buf_str(&out), e);
    buf_release(&out);
    arena_release(&mem);
    return code;
}

rc server_file_read(str dir, arena *out, server_info *ret, err *e) {
    buf text;
    buf_init(&text, FILE_BYTES_MAX);
    rc code = sys_read_file(&SYS_FS_REAL, server_file_path(dir, out), FILE_BYTES_MAX, &text, e);
    const json_value *v = NULL;
    if (code == RC_OK) {
        str kept = str_dup(out, buf_str(&text));
        code = kept.p ? json_tree(kept, out, &v, e) : FAIL(e, RC_LIMIT, "out of memory");
        if (code == RC_INVALID) code = RC_NOT_FOUND; /* torn by a crash: nobody runs */
    }
    buf_release(&text);
    if (code != RC_OK) return code;
    *ret = (server_info){.pid = json_i64(json_get(v, S("pid"))),
                         .url = json_str(json_get(v, S("url"))),
                         .token = json_str(json_get(v, S("token")))};
    /* The process may be another one by now, or have ended and not been waited for: a server holds
     * the lock of its directory. */
    bool runs =
        sys_process_alive(ret->pid) && sys_file_locked(str_fmt(out, "%.*s/lock", STR_ARG(dir)));
    return runs ? RC_OK : RC_NOT_FOUND;
}

void server_file_remove(str dir) {
    arena mem;
    arena_init(&mem, "server file", 1 << 16);
    /* A file left behind names a process that is gone. */
    IGNORE(SYS_FS_REAL.ops->unlink(NULL, server_file_path(dir, &mem), NULL));
    arena_release(&mem);
}
