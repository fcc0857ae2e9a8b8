/* ask.h - commands ask a server. The running one when there is one: --server URL, else the one that
 * DIR/server.json names, else (without a data directory here) the default address. When none runs,
 * the data directory is opened for reading by this process itself, behind the same API on a private
 * loopback port: one code path, one format, whoever answers.
 *
 *     ask q;
 *     ask_open(a, ASK_SERVER_OR_FILES, &q, e)
 *     ask_get(&q, path_and_query, &body, e)
 *     ask_close(&q) */
#ifndef FL_APP_ASK_H
#define FL_APP_ASK_H

#include "app/cli.h"
#include "app/server_file.h"
#include "codec/json_tree.h"
#include "net/client.h"

typedef enum ask_who {
    ASK_SERVER_OR_FILES = 0,
    ASK_SERVER_ONLY /* what only a running server can do */
} ask_who;

typedef struct ask {
    arena mem; /* answers live here */
    str url, token, ca;
    net_client *client;
    config *config; /* of the engine behind `url` when this process is the server */
    engine *local;
    struct api_query *queries;
    const volatile int *cancel;
    int64_t timeout_ms; /* 0 = 10 minutes */
} ask;

MUST_CHECK rc ask_open(const cli_args *a, ask_who who, ask *ret, err *e);
void ask_close(ask *q);
/* The directory the command line means. */
str ask_dir(const cli_args *a);
/* Is there anything to ask without a --server or --data: a directory of that name? */
bool ask_finds_data(const cli_args *a);

/* The body of a 2xx answer; any other is an error with the server's message. */
MUST_CHECK rc ask_get(ask *q, str path, str *ret_body, err *e);
MUST_CHECK rc ask_post(ask *q, str path, str body, net_response *ret, err *e);
MUST_CHECK rc ask_json(ask *q, str path, const json_value **ret, err *e);
/* Parts of the answer as they come. */
MUST_CHECK rc ask_stream(ask *q, str method, str path, rc (*on_part)(void *ctx, str part),
                         void *ctx, err *e);

/* "&name=value" with the value escaped; nothing when it is empty. */
void ask_param(buf *path, const char *name, str value);
void ask_param_i64(buf *path, const char *name, int64_t v);

/* A time of the command line: "2h" before now, or a time. */
MUST_CHECK rc ask_time(const char *option, str text, int64_t otherwise, int64_t *ret_ns, err *e);

#endif
