/* How much of a streamed answer waits to be sent: shared by the thread that writes and the loop.
 * Counted references: one of the request, one of each piece of output on its way. */
#include "net/net_int.h"

#include <uv.h>

typedef struct stream_sync {
    net_stream stream;
    uv_mutex_t lock;
    uv_cond_t cond;
} stream_sync;

net_stream *net_stream_new(size_t max_buffered_bytes) {
    stream_sync *s = mem_new(stream_sync);
    MUST(uv_mutex_init(&s->lock) == 0 && uv_cond_init(&s->cond) == 0);
    atomic_store(&s->stream.refs, 1);
    s->stream.max_buffered_bytes = max_buffered_bytes ? max_buffered_bytes : 256 << 10;
    s->stream.lock = &s->lock;
    s->stream.cond = &s->cond;
    return &s->stream;
}

void net_stream_unref(net_stream *s) {
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1) return;
    uv_mutex_destroy(s->lock);
    uv_cond_destroy(s->cond);
    mem_free(s); /* the first member of stream_sync */
}

static void wake(net_stream *s) {
    uv_mutex_lock(s->lock);
    uv_cond_broadcast(s->cond);
    uv_mutex_unlock(s->lock);
}

void net_stream_sent(net_stream *s, uint64_t bytes) {
    uint64_t before = atomic_fetch_sub(&s->buffered_bytes, bytes);
    MUST(before >= bytes);
    if (before - bytes < s->max_buffered_bytes) wake(s);
}

void net_stream_gone(net_stream *s) {
    if (!atomic_exchange(&s->gone, true)) wake(s);
}

rc net_stream_wait(net_request *r, int64_t timeout_ms) {
    net_stream *s = r->stream;
    MUST(r->magic == NET_REQUEST_MAGIC && s && net_site_here == NULL);
    uint64_t end = uv_hrtime() + (uint64_t)MAX(timeout_ms, (int64_t)0) * 1000000u;
    rc code = RC_OK;
    uv_mutex_lock(s->lock);
    while (!atomic_load(&s->gone) && atomic_load(&s->buffered_bytes) >= s->max_buffered_bytes / 2 &&
           atomic_load(&s->buffered_bytes) > 0) {
        uint64_t now = uv_hrtime();
        if (now >= end) {
            code = RC_TIMEOUT;
            break;
        }
        uv_cond_timedwait(s->cond, s->lock, end - now);
    }
    uv_mutex_unlock(s->lock);
    return atomic_load(&s->gone) ? RC_CANCELLED : code;
}
