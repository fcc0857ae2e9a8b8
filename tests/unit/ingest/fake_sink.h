/* fake_sink.h - a sink that remembers what it was given: answers at once, is told to refuse, keeps
 * checkpoints as a store would. Any thread. */
#ifndef FL_TESTS_FAKE_SINK_H
#define FL_TESTS_FAKE_SINK_H

#include "base/buf.h"
#include "base/vec.h"
#include "ingest/receiver.h"
#include "sys/thread.h"

typedef struct sink_record {
    char *body, *service, *host, *path, *original; /* NUL-terminated, owned */
    size_t body_bytes;
    int64_t ts_ns;
    uint8_t severity;
} sink_record;

typedef struct sink_point { /* a stored checkpoint */
    char *key, *data;
    size_t key_bytes, data_bytes;
} sink_point;

typedef struct sink_held { /* given, not answered */
    telemetry *t;
    ingest_done done;
    void *done_ctx;
} sink_held;

typedef struct fake_sink {
    sys_lock *lock;
    VEC(sink_record) records;
    VEC(sink_point) points;
    VEC(sink_held) held;
    unsigned refuse; /* how many of the next are answered with refuse_code */
    rc refuse_code;
    bool hold; /* keep what is given until sink_answer */
    size_t puts;
} fake_sink;

void sink_init(fake_sink *s);
void sink_release(fake_sink *s);
ingest_sink sink_ops(fake_sink *s);
/* Answers what was held: RC_OK stores it. */
void sink_answer(fake_sink *s, rc code);
/* Waits (at most ten seconds) until so many records are stored, or so many puts came. */
bool sink_wait_records(fake_sink *s, size_t want);
bool sink_wait_puts(fake_sink *s, size_t want);
size_t sink_count(fake_sink *s);
/* Waits (at most ten seconds) until the receiver counts so many accepted records: it counts on its
 * own thread, some time after the sink stored them. */
bool receiver_wait_accepted(const receiver *r, uint64_t want);

#endif
