/* server_file.h - DIR/server.json: how commands find the server that runs on a data directory. It
 * is written when the server is ready and removed when it stops; one that a killed server left is
 * known by its process id. It holds a token with every right, made at each start, so the file is
 * readable by its owner alone. */
#ifndef FL_APP_SERVER_FILE_H
#define FL_APP_SERVER_FILE_H

#include "engine/engine.h"

typedef struct server_info {
    int64_t pid;
    str url;   /* of the API: "http://127.0.0.1:7070" */
    str token; /* with every right */
} server_info;

/* JSON of addresses and process; with the token only when it is not empty. */
MUST_CHECK rc server_file_write(const engine *g, str path, str version, str token, err *e);
/* RC_NOT_FOUND: none, or its process is gone. Texts in out. */
MUST_CHECK rc server_file_read(str dir, arena *out, server_info *ret, err *e);
str server_file_path(str dir, arena *out);
void server_file_remove(str dir);
/* "http://host:port" of the API as this machine reaches it; false when it is off. */
bool server_api_url(const engine *g, arena *out, str *ret);

#endif
