#include "files_test.h"

#include "base/num.h"

enum { PAD_MAX = 4000, KEYS = 1 << 20 };

static str data_of(unsigned n, size_t pad, char *to) {
    int len = snprintf(to, 32, "data %u ", n);
    for (size_t i = 0; i < pad; i++) to[(size_t)len + i] = (char)(n * 31 + i * 7 + i / 100);
    return str_make(to, (size_t)len + pad);
}

static void on_ack(void *ctx, rc code, const err *e) {
    answer *a = ctx;
    a->code = code;
    a->e = e ? *e : (err){0};
    IGNORE(sys_queue_push(a->done, a)); /* one place for one answer */
}

static telemetry *make(unsigned first, unsigned count, size_t pad) {
    telemetry *t = telemetry_new();
    tail_checkpoint *c = arena_try_new_n(&t->mem, tail_checkpoint, count);
    for (unsigned i = 0; i < count; i++) {
        char data[PAD_MAX + 40];
        c[i].key = str_fmt(&t->mem, "k%u", first + i);
        c[i].data = str_dup(&t->mem, data_of(first + i, pad, data));
    }
    t->checkpoints = c;
    t->checkpoint_count = count;
    t->arrival_ns = 1 + first;
    return t;
}

rc put_begin(store *s, unsigned first, unsigned count, size_t pad, answer *a) {
    *a = (answer){.done = sys_queue_new(1)};
    telemetry *t = make(first, count, pad);
    rc code = s->ops->append(s, t, on_ack, a);
    if (code) {
        telemetry_free(t);
        sys_queue_free(a->done);
    }
    return code;
}

rc put_why(store *s, unsigned first, unsigned count, size_t pad, err *e) {
    answer a;
    rc code = put_begin(s, first, count, pad, &a);
    if (code) return code;
    void *p;
    assert_rc(sys_queue_pop(a.done, &p), RC_OK);
    sys_queue_free(a.done);
    if (e) *e = a.e;
    return a.code;
}

rc put(store *s, unsigned first, unsigned count, size_t pad) {
    return put_why(s, first, count, pad, NULL);
}

typedef struct counting {
    unsigned *times, max;
    size_t records;
} counting;

static uint64_t varint(const char **p) {
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = (uint8_t) * (*p)++;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return v;
    }
}

static rc count_block(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats,
                      err *e) {
    (void)worker;
    counting *c = ctx;
    char *bytes = mem_alloc(ref->info.bytes);
    rc code = ref->io.read(ref->io.ctx, 0, ref->info.bytes, bytes, e);
    if (!code) {
        block_io io = {.memory = str_make(bytes, ref->info.bytes)};
        code = CHECKPOINT_BLOCKS.verify(&io, &ref->info, e);
    }
    const char *p = bytes;
    uint64_t rows = code ? 0 : varint(&p);
    for (uint64_t i = 0; i < rows; i++) {
        p += 8;
        uint64_t key_n = varint(&p);
        assert_true(*p == 'k');
        uint64_t number;
        assert_true(num_u64(str_make(p + 1, key_n - 1), &number) && number < c->max);
        unsigned n = (unsigned)number;
        p += key_n;
        uint64_t data_n = varint(&p);
        char want[PAD_MAX + 40], head[32];
        size_t head_n = (size_t)snprintf(head, sizeof head, "data %u ", n);
        assert_true(data_n >= head_n);
        assert_text(str_make(p, data_n), data_of(n, data_n - head_n, want));
        p += data_n;
        c->times[n]++;
        c->records++;
    }
    stats->blocks_read++;
    mem_free(bytes);
    return code;
}

size_t count_records(store *s, unsigned *times, unsigned max, select_stats *stats) {
    memset(times, 0, max * sizeof *times);
    counting c = {times, max, 0};
    snapshot *snap;
    err e = {0};
    assert_rc(snapshot_take(s, BLOCK_CHECKPOINTS, 0, 0, SELECT_ANY, &snap, stats, &e), RC_OK);
    assert_rc(snapshot_each(snap, NULL, count_block, &c, stats, &e), RC_OK);
    snapshot_release(snap);
    return c.records;
}

void check_exactly(store *s, unsigned from, unsigned to) {
    unsigned *times = mem_alloc_n(to + 1, sizeof *times);
    select_stats st = {0};
    size_t n = count_records(s, times, to + 1, &st);
    assert_int_equal(st.damaged_blocks, 0);
    for (unsigned i = 0; i < to; i++) {
        if (times[i] != (i >= from)) fail_msg("record %u is there %u times", i, times[i]);
    }
    assert_int_equal(n, to - from);
    mem_free(times);
}

void check_acked(store *s, const bool *acked, unsigned max) {
    unsigned *times = mem_alloc_n(max, sizeof *times);
    select_stats st = {0};
    count_records(s, times, max, &st);
    for (unsigned i = 0; i < max; i++) {
        if (times[i] > 1 || (acked[i] && times[i] != 1))
            fail_msg("record %u, %sacknowledged, is there %u times (damaged blocks: %u: %s)", i,
                     acked[i] ? "" : "not ", times[i], (unsigned)st.damaged_blocks, st.reason);
    }
    mem_free(times);
}

void put_noting(store *s, unsigned from, unsigned to, unsigned step, size_t pad, bool *acked) {
    for (unsigned i = from; i < to; i += step) {
        bool ok = put(s, i, step, pad) == RC_OK;
        for (unsigned k = 0; k < step; k++) acked[i + k] = ok;
    }
}

static wall_ns clock_wall(void *ctx) { return (wall_ns){atomic_load(&((test_clock *)ctx)->wall)}; }
static mono_ns clock_mono(void *ctx) { return (mono_ns){atomic_load(&((test_clock *)ctx)->mono)}; }
static void clock_sleep(void *ctx, int64_t ns) { atomic_fetch_add(&((test_clock *)ctx)->mono, ns); }
sys_clock test_clock_ops(test_clock *c) {
    static const sys_clock_ops OPS = {clock_wall, clock_mono, clock_sleep};
    return (sys_clock){&OPS, c};
}

store_opts opts_at(str dir, const sys_fs *fs) {
    return (store_opts){.dir = dir, .fs = fs, .no_background = true};
}

store *open_at(str dir, const sys_fs *fs) {
    store_opts o = opts_at(dir, fs);
    store *s;
    err e = {0};
    rc code = store_open(&o, &s, &e);
    if (code) fail_msg("open: %s: %s", rc_name(code), e.msg);
    return s;
}
