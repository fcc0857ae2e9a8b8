/* metrics.c - GET /metrics. */
#include "api/manage_int.h"

enum { METRICS_BYTES_MAX = 1 << 20 };

static void work(engine *g, net_request *r) {
    buf out;
    buf_init(&out, METRICS_BYTES_MAX);
    if (engine_put_metrics(g, &out)) {
        net_reply(r,
                  &(net_reply_opts){.status = 200,
                                    .content_type = S("text/plain; version=0.0.4; charset=utf-8")},
                  buf_str(&out));
    } else {
        api_fail(r, RC_LIMIT, "the metrics are longer than %d bytes", METRICS_BYTES_MAX);
    }
    buf_release(&out);
}

/* On a worker: counting asks the store and reads /proc. */
void api_metrics(void *ctx, net_request *r) { api_offload(ctx, r, work); }
