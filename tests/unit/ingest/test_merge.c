#include "ingest_test.h"

#include <sys/stat.h>

static int setup(void **state) {
    (void)state;
    scratch_make();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

static void put_line(buf *b, unsigned second, unsigned file, unsigned i) {
    buf_fmt(b, "2026-11-20T%02u:%02u:%02uZ INFO file %u line %u\n", second / 3600 % 24,
            second / 60 % 60, second % 60, file, i);
}

static void scan_merged_all(opened *o, collector *c) {
    collector_init(c);
    log_scan scan = {.order = ORDER_TIME, .workers = 4};
    assert_int_equal(scan_source(o, &scan, c), RC_OK);
    for (size_t i = 0; i < c->v.n; i++) assert_int_equal(c->v.v[i].worker, 0);
}

/* The merge gives the same records as a scan in any order, in order of time, ties by input. */
static void merges_overlapping_and_following_files(void **state) {
    (void)state;
    enum { FILES = 7, LINES = 3000 };
    rng r;
    rng_init(&r, 11);
    buf b[FILES];
    for (unsigned f = 0; f < FILES; f++) {
        buf_init(&b[f], 16 << 20);
        unsigned t = f < 4 ? 0 : (f - 3) * 10000; /* four overlap, the others follow */
        for (unsigned i = 0; i < LINES; i++) {
            t += (unsigned)rng_below(&r, 4);
            put_line(&b[f], t, f, i);
            if (rng_below(&r, 20) == 0)
                buf_put(&b[f], S("java.lang.Error: x\n\tat a.b(C.java:1)\n"));
        }
    }
    static const char *const names[] = {"d.log", "a.log", "c.log.gz", "b.log",
                                        "g.log", "f.log", "e.log",    NULL};
    for (unsigned f = 0; f < FILES; f++) {
        buf packed;
        buf_init(&packed, 16 << 20);
        pack_put(f == 2 ? PACK_GZIP : PACK_NONE, b[f].p, b[f].n, &packed);
        scratch_write(names[f], packed.p, packed.n);
        buf_release(&packed);
    }
    for (size_t bytes = 8 << 10; bytes <= 1 << 20; bytes *= 128) {
        opened o;
        collector merged, any;
        assert_int_equal(open_source(&o, NULL, bytes, names), RC_OK);
        scan_merged_all(&o, &merged);
        assert_int_equal(merged.v.n, FILES * LINES);
        for (size_t i = 1; i < merged.v.n; i++) {
            const seen *a = &merged.v.v[i - 1], *z = &merged.v.v[i];
            assert_true(a->ts_ns <= z->ts_ns);
            if (a->ts_ns == z->ts_ns) assert_true(a->ref.file <= z->ref.file);
            if (a->ts_ns == z->ts_ns && a->ref.file == z->ref.file)
                assert_true(a->ref.offset < z->ref.offset);
            assert_true(a->seq <= z->seq);
        }
        for (size_t f = 0; f < FILES; f++) assert_int_equal(o.rep.inputs[f].records, LINES);
        collector_init(&any);
        log_scan scan = {.workers = 2};
        assert_int_equal(scan_source(&o, &scan, &any), RC_OK);
        collector_sort(&any);
        collector_sort(&merged);
        assert_int_equal(any.v.n, merged.v.n);
        for (size_t i = 0; i < any.v.n; i++) {
            assert_memory_equal(&any.v.v[i].ref, &merged.v.v[i].ref, sizeof(log_ref));
            assert_int_equal(any.v.v[i].hash, merged.v.v[i].hash);
        }
        collector_release(&merged);
        collector_release(&any);
        close_source(&o);
    }
    for (unsigned f = 0; f < FILES; f++) buf_release(&b[f]);
}

/* Records without time stay behind their predecessor, which is of their own input. */
static void untimed_records_follow_their_predecessor(void **state) {
    (void)state;
    buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 600; i++) {
        buf *to = i % 2 ? &b : &a;
        buf_fmt(to,
                "{\"time\":\"2026-11-20T10:%02u:%02uZ\",\"level\":\"info\",\"msg\":\"step %u\"}\n",
                i / 60, i % 60, i);
        if (i % 3 == 0) buf_fmt(to, "{\"level\":\"info\",\"msg\":\"after %u\"}\n", i);
    }
    scratch_write("a.log", a.p, a.n);
    scratch_write("b.log", b.p, b.n);
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, 64 << 10, (const char *[]){"a.log", "b.log", NULL}),
                     RC_OK);
    scan_merged_all(&o, &c);
    assert_int_equal(c.v.n, 800);
    size_t untimed = 0;
    for (size_t i = 1; i < c.v.n; i++) {
        if (c.v.v[i].ts_ns != TS_NONE) continue;
        untimed++;
        assert_int_equal(c.v.v[i].ref.file, c.v.v[i - 1].ref.file);
        assert_int_equal(c.v.v[i].ref.line, c.v.v[i - 1].ref.line + 1);
    }
    assert_int_equal(untimed, 200);
    collector_release(&c);
    close_source(&o);
    buf_release(&a);
    buf_release(&b);
}

/* More files at once than are held open: all are read, and the late ones are told. */
static void too_many_overlapping_files_are_told(void **state) {
    (void)state;
    enum { FILES = 300 };
    mkdir(scratch_path("many"), 0755);
    for (unsigned f = 0; f < FILES; f++) {
        char name[40];
        buf b;
        buf_init(&b, 4096);
        put_line(&b, f, f, 0);
        put_line(&b, 40000, f, 1);
        snprintf(name, sizeof name, "many/svc%03u.log", f);
        scratch_write(name, b.p, b.n);
        buf_release(&b);
    }
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, 64 << 10, (const char *[]){"many", NULL}), RC_OK);
    scan_merged_all(&o, &c);
    assert_int_equal(c.v.n, 2 * FILES);
    size_t told = 0;
    for (size_t i = 0; i < o.rep.count; i++) {
        assert_int_equal(o.rep.inputs[i].state, INPUT_OK);
        told += o.rep.inputs[i].problem.n > 0;
    }
    assert_true(told >= 1);
    collector_release(&c);
    close_source(&o);
}

static void a_failing_sink_stops_the_merge(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 16 << 20);
    for (unsigned i = 0; i < 20000; i++) put_line(&b, i, 0, i);
    scratch_write("a.log", b.p, b.n);
    scratch_write("b.log", b.p, b.n);
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, 16 << 10, (const char *[]){"a.log", "b.log", NULL}),
                     RC_OK);
    collector_init(&c);
    c.stop_after = 500;
    log_scan scan = {.order = ORDER_TIME};
    assert_int_equal(scan_source(&o, &scan, &c), RC_LIMIT);
    assert_string_equal(o.e.msg, "enough");
    assert_true(c.v.n < 2000);
    collector_release(&c);
    close_source(&o);
    buf_release(&b);
}

static void the_time_range_applies(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 16 << 20);
    for (unsigned i = 0; i < 20000; i++) put_line(&b, i, 0, i);
    scratch_write("a.log", b.p, b.n);
    scratch_write("b.log", b.p, b.n / 2);
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, 16 << 10, (const char *[]){"a.log", "b.log", NULL}),
                     RC_OK);
    collector_init(&c);
    int64_t day = (int64_t)1795132800 * 1000000000;
    log_scan scan = {.order = ORDER_TIME,
                     .from_ns = day + (int64_t)9000 * 1000000000,
                     .to_ns = day + (int64_t)9100 * 1000000000};
    assert_int_equal(scan_source(&o, &scan, &c), RC_OK);
    assert_int_equal(c.v.n, 200);
    for (size_t i = 0; i < c.v.n; i++) assert_int_equal(c.v.v[i].ref.file, i % 2);
    collector_release(&c);
    close_source(&o);
    buf_release(&b);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(merges_overlapping_and_following_files),
        T(untimed_records_follow_their_predecessor),
        T(too_many_overlapping_files_are_told),
        T(a_failing_sink_stops_the_merge),
        T(the_time_range_applies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
