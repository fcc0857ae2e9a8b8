#include "ingest_test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "sys/fs_fault.h"

enum { BLOCK = READ_BLOCK_BYTES };

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

/* Lines with a time, some untimed ones, stack traces; at 1 s a line. */
static void make_log(buf *b, unsigned lines, unsigned first_second) {
    buf_init(b, 256 << 20);
    for (unsigned i = 0; i < lines; i++) {
        unsigned t = first_second + i;
        buf_fmt(b, "2026-11-20T%02u:%02u:%02u.%03uZ INFO  [worker-%u] request %u served in %u ms\n",
                t / 3600 % 24, t / 60 % 60, t % 60, i % 1000, i % 7, i, i * 2654435761u % 900);
        if (i % 50 == 49)
            buf_put(b, S("java.lang.IllegalStateException: pool is closed\n"
                         "\tat com.shop.Pool.take(Pool.java:10)\n"
                         "\tat com.shop.Order.run(Order.java:77)\n"));
    }
}

static void scan_all(opened *o, unsigned workers, collector *c) {
    log_scan scan = {.workers = workers};
    collector_init(c);
    assert_int_equal(scan_source(o, &scan, c), RC_OK);
    collector_sort(c);
}

static void scans_one_file(void **state) {
    (void)state;
    buf b;
    make_log(&b, 5000, 0);
    scratch_write("payment-service.log", b.p, b.n);
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){"payment-service.log", NULL}),
                     RC_OK);
    scan_all(&o, 1, &c);
    assert_int_equal(c.v.n, 5000);
    assert_int_equal(o.rep.count, 1);
    const input_info *in = &o.rep.inputs[0];
    assert_int_equal(in->state, INPUT_OK);
    assert_int_equal(in->bytes, b.n);
    assert_int_equal(in->bytes_on_disk, b.n);
    assert_int_equal(in->records, 5000);
    assert_int_equal(in->lines, 5300);
    assert_int_equal(in->multi_line_records, 100);
    assert_int_equal(in->out_of_order, 0);
    assert_true(str_eq(in->service, S("payment-service")));
    assert_true(in->last_ns - in->first_ns > (int64_t)4999 * 1000000000);
    for (size_t i = 0; i < c.v.n; i++) {
        const seen *s = &c.v.v[i];
        assert_string_equal(s->service, "payment-service");
        assert_memory_equal(b.p + s->ref.offset, s->raw, MIN(s->raw_n, sizeof s->raw - 1));
        assert_int_equal(s->ref.line, i + 1 + i / 50 * 3);
    }
    collector_release(&c);
    close_source(&o);
    buf_release(&b);
}

static bool same(const collector *a, const collector *b) {
    if (a->v.n != b->v.n) return false;
    for (size_t i = 0; i < a->v.n; i++) {
        const seen *x = &a->v.v[i], *y = &b->v.v[i];
        if (memcmp(&x->ref, &y->ref, sizeof x->ref) != 0 || x->hash != y->hash ||
            x->ts_ns != y->ts_ns)
            return false;
    }
    return true;
}

/* The multiset of records and references depends on the inputs alone. */
static void workers_and_block_sizes_change_nothing(void **state) {
    (void)state;
    buf b, packed;
    make_log(&b, 60000, 0);
    scratch_write("a.log", b.p, b.n);
    buf_init(&packed, 64 << 20);
    pack_put(PACK_GZIP, b.p, b.n / 2, &packed);
    scratch_write("b.log.gz", packed.p, packed.n);
    scratch_write("c.log", b.p, b.n / 3);
    const char *paths[] = {"a.log", "b.log.gz", "c.log", NULL};
    static const size_t sizes[] = {8 << 10, 64 << 10, BLOCK};
    collector first;
    input_info info[3];
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        for (unsigned workers = 1; workers <= 4; workers += 3) {
            opened o;
            collector c;
            assert_int_equal(open_source(&o, NULL, sizes[s], paths), RC_OK);
            scan_all(&o, workers, &c);
            assert_int_equal(o.rep.count, 3);
            for (size_t i = 0; i < 3; i++) {
                const input_info *in = &o.rep.inputs[i];
                if (s == 0 && workers == 1) info[i] = *in;
                assert_int_equal(in->records, info[i].records);
                assert_int_equal(in->lines, info[i].lines);
                assert_int_equal(in->bytes, info[i].bytes);
                assert_int_equal(in->first_ns, info[i].first_ns);
                assert_int_equal(in->last_ns, info[i].last_ns);
                assert_int_equal(in->out_of_order, info[i].out_of_order);
            }
            if (s == 0 && workers == 1) {
                first = c;
            } else {
                assert_true(same(&first, &c));
                collector_release(&c);
            }
            close_source(&o);
        }
    }
    collector_release(&first);
    buf_release(&packed);
    buf_release(&b);
}

/* Within one file a worker sees increasing seq, and seq grows with the offset. */
static void seq_grows_with_the_offset(void **state) {
    (void)state;
    buf b;
    make_log(&b, 30000, 0);
    scratch_write("a.log", b.p, b.n);
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, 32 << 10, (const char *[]){"a.log", NULL}), RC_OK);
    collector_init(&c);
    log_scan scan = {.workers = 3};
    assert_int_equal(scan_source(&o, &scan, &c), RC_OK);
    uint64_t last[3] = {0};
    for (size_t i = 0; i < c.v.n; i++) {
        assert_true(c.v.v[i].worker < 3);
        assert_true(c.v.v[i].seq >= last[c.v.v[i].worker]);
        last[c.v.v[i].worker] = c.v.v[i].seq;
    }
    collector_sort(&c);
    for (size_t i = 1; i < c.v.n; i++) assert_true(c.v.v[i].seq >= c.v.v[i - 1].seq);
    collector_release(&c);
    close_source(&o);
    buf_release(&b);
}

static void a_source_scans_again(void **state) {
    (void)state;
    buf b;
    make_log(&b, 3000, 0);
    scratch_write("a.log", b.p, b.n);
    opened o;
    collector c1, c2;
    assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){"a.log", NULL}), RC_OK);
    scan_all(&o, 1, &c1);
    scan_all(&o, 2, &c2);
    assert_true(same(&c1, &c2));
    assert_int_equal(o.rep.records, 3000);
    collector_release(&c1);
    collector_release(&c2);
    close_source(&o);
    buf_release(&b);
}

static void expands_directories_globs_and_repeats(void **state) {
    (void)state;
    mkdir(scratch_path("logs"), 0755);
    mkdir(scratch_path("logs/b"), 0755);
    mkdir(scratch_path("logs/.git"), 0755);
    scratch_text("logs/z.log", "2026-11-20T10:00:00Z INFO z started\n");
    scratch_text("logs/a.log", "2026-11-20T10:00:00Z INFO a started\n");
    scratch_text("logs/b/app.log", "2026-11-20T10:00:00Z INFO b started\n");
    scratch_text("logs/.hidden.log", "2026-11-20T10:00:00Z INFO hidden\n");
    scratch_text("logs/.git/x.log", "2026-11-20T10:00:00Z INFO hidden\n");
    scratch_text("logs/run.sh", "echo hello\n");
    scratch_text("one.log", "2026-11-20T10:00:00Z INFO one started\n");
    assert_int_equal(symlink("a.log", scratch_path("logs/a2.log")), 0);
    assert_int_equal(symlink(scratch_path("logs"), scratch_path("logs/b/loop")), 0);
    opened o;
    collector c;
    const char *paths[] = {"logs",         "o*.log",   "one.log", "logs/a.log",
                           "nothing*.log", "gone.log", NULL};
    assert_int_equal(open_source(&o, NULL, BLOCK, paths), RC_OK);
    scan_all(&o, 2, &c);
    assert_int_equal(c.v.n, 4);
    static const struct {
        const char *ending;
        input_state state;
        const char *problem;
    } want[] = {
        {"logs/a.log", INPUT_OK, ""},
        {"logs/b/app.log", INPUT_OK, ""},
        {"logs/b/loop", INPUT_SKIPPED, "loop"},
        {"logs/run.sh", INPUT_SKIPPED, "not a log by its name"},
        {"logs/z.log", INPUT_OK, ""},
        {"one.log", INPUT_OK, ""},
        {"nothing*.log", INPUT_SKIPPED, "no file matches"},
        {"gone.log", INPUT_SKIPPED, "no such file"},
    };
    assert_int_equal(o.rep.count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const input_info *in = &o.rep.inputs[i];
        if (!str_ends(in->name, str_c(want[i].ending)) || in->state != want[i].state ||
            !str_has(in->problem, str_c(want[i].problem)))
            fail_msg("%zu: %.*s: %d %.*s", i, STR_ARG(in->name), in->state, STR_ARG(in->problem));
        if (want[i].state == INPUT_OK) assert_int_equal(in->problem.n, 0);
    }
    assert_true(str_eq(o.rep.inputs[1].service, S("b")));
    collector_release(&c);
    close_source(&o);
}

static void a_script_named_directly_is_read(void **state) {
    (void)state;
    scratch_text("run.sh", "echo hello\n");
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){"run.sh", NULL}), RC_OK);
    scan_all(&o, 1, &c);
    assert_int_equal(c.v.n, 1);
    collector_release(&c);
    close_source(&o);
}

static void what_is_no_text_is_skipped_with_a_line(void **state) {
    (void)state;
    char junk[5000];
    for (size_t i = 0; i < sizeof junk; i++) junk[i] = (char)(i * 2654435761u >> 7);
    scratch_write("junk.log", junk, sizeof junk);
    scratch_write("x.zip.log", "PK\x03\x04 and so on", 15);
    char tar[1024] = "app.log";
    memcpy(tar + 257, "ustar", 5);
    buf packed;
    buf_init(&packed, 1 << 20);
    pack_put(PACK_GZIP, tar, sizeof tar, &packed);
    scratch_write("logs.tar.gz", packed.p, packed.n);
    scratch_text("good.log", "2026-11-20T10:00:00Z INFO good\n");
    opened o;
    collector c;
    const char *paths[] = {"junk.log", "x.zip.log", "logs.tar.gz", "good.log", NULL};
    assert_int_equal(open_source(&o, NULL, BLOCK, paths), RC_OK);
    scan_all(&o, 1, &c);
    assert_int_equal(c.v.n, 1);
    assert_true(str_has(input_named(&o, "junk.log")->problem, S("binary")));
    assert_true(str_has(input_named(&o, "x.zip.log")->problem, S("zip")));
    assert_true(str_has(input_named(&o, "logs.tar.gz")->problem, S("tar archive")));
    for (size_t i = 0; i < 3; i++) assert_int_equal(o.rep.inputs[i].state, INPUT_SKIPPED);
    collector_release(&c);
    close_source(&o);
    buf_release(&packed);
}

static void nothing_readable_is_not_found(void **state) {
    (void)state;
    opened o;
    assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){"gone.log", "away.log", NULL}),
                     RC_NOT_FOUND);
    assert_non_null(strstr(o.e.msg, "gone.log"));
    assert_non_null(strstr(o.e.msg, "away.log"));
    close_source(&o);
    assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){NULL}), RC_INVALID);
    close_source(&o);
    mkdir(scratch_path("empty"), 0755);
    assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){"empty", NULL}), RC_NOT_FOUND);
    close_source(&o);
}

static void an_unknown_format_name_is_refused(void **state) {
    (void)state;
    scratch_text("a.log", "hello\n");
    opened o;
    ingest_opts opts = {.format = {.name = S("no-such-format")}};
    assert_int_equal(open_source(&o, &opts, BLOCK, (const char *[]){"a.log", NULL}), RC_INVALID);
    close_source(&o);
}

static void line_ends_and_empty_files(void **state) {
    (void)state;
    scratch_text("crlf.log",
                 "2026-11-20T10:00:00Z INFO first\r\n2026-11-20T10:00:01Z INFO second\r\n");
    scratch_text("open.log", "2026-11-20T10:00:00Z INFO first\n2026-11-20T10:00:01Z INFO last");
    scratch_text("empty.log", "");
    opened o;
    collector c;
    assert_int_equal(
        open_source(&o, NULL, BLOCK, (const char *[]){"crlf.log", "open.log", "empty.log", NULL}),
        RC_OK);
    scan_all(&o, 1, &c);
    assert_int_equal(c.v.n, 4);
    assert_string_equal(c.v.v[0].raw, "2026-11-20T10:00:00Z INFO first");
    assert_int_equal(c.v.v[1].ref.offset, 33);
    assert_string_equal(c.v.v[1].raw, "2026-11-20T10:00:01Z INFO second");
    assert_string_equal(c.v.v[3].raw, "2026-11-20T10:00:01Z INFO last");
    assert_int_equal(input_named(&o, "open.log")->lines, 2);
    assert_int_equal(input_named(&o, "empty.log")->state, INPUT_OK);
    assert_int_equal(input_named(&o, "empty.log")->records, 0);
    collector_release(&c);
    close_source(&o);
}

/* A writer that went on at its old place after a truncation: the file begins with a hole. */
static void a_hole_before_the_text_is_passed_over(void **state) {
    (void)state;
    enum { HOLE = 700000 };
    char *hole = calloc(1, HOLE);
    const char *text = "2026-11-20T10:00:00Z INFO first\n2026-11-20T10:00:01Z INFO second\n";
    scratch_write("holed.log", hole, HOLE);
    scratch_append("holed.log", text, strlen(text));
    scratch_write("only.log", hole, HOLE);
    opened o;
    collector c;
    for (int order = ORDER_ANY; order <= ORDER_TIME; order++) {
        assert_int_equal(
            open_source(&o, NULL, BLOCK, (const char *[]){"holed.log", "only.log", NULL}), RC_OK);
        collector_init(&c);
        log_scan scan = {.order = (log_order)order};
        assert_int_equal(scan_source(&o, &scan, &c), RC_OK);
        assert_int_equal(c.v.n, 2);
        assert_int_equal(c.v.v[0].ref.offset, HOLE);
        assert_int_equal(c.v.v[0].ref.line, 1);
        assert_string_equal(c.v.v[0].raw, "2026-11-20T10:00:00Z INFO first");
        assert_int_equal(o.rep.inputs[0].bytes, HOLE + strlen(text));
        assert_int_equal(o.rep.inputs[0].nul_lines, 1);
        assert_int_equal(o.rep.inputs[1].records, 0);
        str got[1];
        assert_int_equal(
            o.src.ops->fetch_logs(o.src.ctx, &c.v.v[1].ref, 1, 1000, &o.mem, got, NULL), RC_OK);
        assert_true(str_eq(got[0], S("2026-11-20T10:00:01Z INFO second")));
        collector_release(&c);
        close_source(&o);
    }
    free(hole);
}

/* Line and offset after a line of 100 MB are right, the line is cut and counted. */
static void a_line_of_100_mb_passes(void **state) {
    (void)state;
    const size_t big = 100 << 20;
    FILE *f = fopen(scratch_path("big.log"), "wb");
    assert_non_null(f);
    fputs("2026-11-20T10:00:00Z INFO before\n", f);
    fputs("2026-11-20T10:00:01Z INFO ", f);
    char *fill = malloc(1 << 20);
    memset(fill, 'x', 1 << 20);
    for (size_t i = 0; i < big >> 20; i++) fwrite(fill, 1, 1 << 20, f);
    fputs("\n2026-11-20T10:00:02Z INFO after\n", f);
    fclose(f);
    opened o;
    collector c;
    for (unsigned workers = 1; workers <= 2; workers++) {
        assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){"big.log", NULL}), RC_OK);
        scan_all(&o, workers, &c);
        assert_int_equal(c.v.n, 3);
        assert_int_equal(c.v.v[2].ref.line, 3);
        assert_int_equal(c.v.v[2].ref.offset, 33 + 26 + big + 1);
        assert_string_equal(c.v.v[2].raw, "2026-11-20T10:00:02Z INFO after");
        assert_true(c.v.v[1].body_n <= LOG_LINE_MAX);
        assert_int_equal(o.rep.inputs[0].cut_lines, 1);
        assert_int_equal(o.rep.inputs[0].lines, 3);
        assert_int_equal(o.rep.inputs[0].bytes, 33 + 26 + big + 1 + 32);
        str text[1];
        assert_int_equal(
            o.src.ops->fetch_logs(o.src.ctx, &c.v.v[2].ref, 1, 1000, &o.mem, text, NULL), RC_OK);
        assert_true(str_eq(text[0], S("2026-11-20T10:00:02Z INFO after")));
        collector_release(&c);
        close_source(&o);
    }
    free(fill);
}

static void truncated_gzip_is_partial(void **state) {
    (void)state;
    buf b, packed;
    make_log(&b, 20000, 0);
    buf_init(&packed, 64 << 20);
    pack_put(PACK_GZIP, b.p, b.n, &packed);
    scratch_write("a.log.gz", packed.p, packed.n / 2);
    scratch_write("b.log", b.p, b.n);
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, BLOCK, (const char *[]){"a.log.gz", "b.log", NULL}),
                     RC_OK);
    scan_all(&o, 2, &c);
    const input_info *a = &o.rep.inputs[0];
    assert_int_equal(a->state, INPUT_PARTIAL);
    char where[40];
    snprintf(where, sizeof where, "byte %zu", packed.n / 2);
    if (!str_has(a->problem, str_c(where))) fail_msg("%.*s", STR_ARG(a->problem));
    assert_true(a->records > 5000 && a->records < 15000);
    assert_int_equal(o.rep.inputs[1].records, 20000);
    collector_release(&c);
    close_source(&o);
    buf_release(&packed);
    buf_release(&b);
}

static void time_and_service_filters(void **state) {
    (void)state;
    buf b;
    make_log(&b, 4000, 0);
    scratch_write("a.log", b.p, b.n);
    scratch_write("b.log", b.p, b.n);
    opened o;
    for (unsigned workers = 1; workers <= 3; workers += 2) {
        collector c;
        assert_int_equal(open_source(&o, NULL, 8 << 10, (const char *[]){"a.log", "b.log", NULL}),
                         RC_OK);
        collector_init(&c);
        int64_t day = (int64_t)1795132800 * 1000000000; /* 2026-11-20T00:00:00Z */
        log_scan scan = {.from_ns = day + (int64_t)1000 * 1000000000,
                         .to_ns = day + (int64_t)1500 * 1000000000,
                         .service = S("b"),
                         .workers = workers};
        assert_int_equal(scan_source(&o, &scan, &c), RC_OK);
        assert_int_equal(c.v.n, 500);
        assert_int_equal(o.rep.inputs[0].records, 0);
        assert_int_equal(o.rep.inputs[1].records, 500);
        for (size_t i = 0; i < c.v.n; i++) {
            assert_true(c.v.v[i].ts_ns >= scan.from_ns && c.v.v[i].ts_ns < scan.to_ns);
            assert_string_equal(c.v.v[i].service, "b");
        }
        assert_true(o.rep.first_ns >= scan.from_ns && o.rep.last_ns < scan.to_ns);
        collector_release(&c);
        close_source(&o);
    }
    buf_release(&b);
}

/* Days of log, an hour wanted: the same records with and without skipping, and all lines counted.
 * Small blocks are far outside the range, one block as large as the file never is. */
static void blocks_outside_the_range_are_skipped_and_counted(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 64 << 20);
    for (unsigned i = 0; i < 80000; i++) /* five seconds a line: four and a half days */
        buf_fmt(&b, "2026-11-%02uT%02u:%02u:%02uZ INFO line %u of the days\n", 10 + i / 17280,
                i / 720 % 24, i / 12 % 60, i % 12 * 5, i);
    scratch_write("days.log", b.p, b.n);
    int64_t from = (int64_t)(1795132800 - 7 * 86400 + 36000) * 1000000000; /* 13th, 10:00 */
    collector first;
    static const size_t sizes[] = {8 << 20, 16 << 10};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int order = ORDER_ANY; order <= ORDER_TIME; order++) {
            opened o;
            collector c;
            assert_int_equal(open_source(&o, NULL, sizes[i], (const char *[]){"days.log", NULL}),
                             RC_OK);
            collector_init(&c);
            log_scan scan = {.from_ns = from,
                             .to_ns = from + (int64_t)3600 * 1000000000,
                             .workers = 2,
                             .order = (log_order)order};
            assert_int_equal(scan_source(&o, &scan, &c), RC_OK);
            collector_sort(&c);
            assert_int_equal(c.v.n, 720);
            assert_int_equal(o.rep.lines, 80000);
            assert_int_equal(o.rep.bytes, b.n);
            if (i == 0 && order == ORDER_ANY) {
                first = c;
            } else {
                assert_true(same(&first, &c));
                collector_release(&c);
            }
            close_source(&o);
        }
    }
    collector_release(&first);
    buf_release(&b);
}

static void fetches_text_by_reference(void **state) {
    (void)state;
    buf b, packed, wide;
    make_log(&b, 8000, 0);
    scratch_write("plain.log", b.p, b.n);
    buf_init(&packed, 64 << 20);
    pack_put(PACK_ZSTD, b.p, b.n, &packed);
    scratch_write("packed.log.zst", packed.p, packed.n);
    buf_init(&wide, 64 << 20);
    buf_put(&wide, S("\xff\xfe"));
    for (size_t i = 0; i < b.n; i++) {
        buf_putc(&wide, b.p[i]);
        buf_putc(&wide, '\0');
    }
    scratch_write("wide.log", wide.p, wide.n);
    opened o;
    collector c;
    assert_int_equal(open_source(&o, NULL, 64 << 10,
                                 (const char *[]){"plain.log", "packed.log.zst", "wide.log", NULL}),
                     RC_OK);
    scan_all(&o, 2, &c);
    assert_int_equal(c.v.n, 24000);
    enum { WANT = 500 };
    log_ref refs[WANT];
    str text[WANT];
    size_t at[WANT];
    rng r;
    rng_init(&r, 42);
    for (size_t i = 0; i < WANT; i++) { /* with repeats, in no order */
        at[i] = i % 10 == 9 ? at[i - 1] : rng_below(&r, c.v.n);
        refs[i] = c.v.v[at[i]].ref;
    }
    assert_int_equal(o.src.ops->fetch_logs(o.src.ctx, refs, WANT, 4096, &o.mem, text, NULL), RC_OK);
    for (size_t i = 0; i < WANT; i++) {
        const seen *s = &c.v.v[at[i]];
        assert_int_equal(text[i].n, s->raw_n);
        assert_memory_equal(text[i].p, s->raw, MIN(s->raw_n, sizeof s->raw - 1));
    }
    assert_int_equal(o.src.ops->fetch_logs(o.src.ctx, refs, WANT, 10, &o.mem, text, NULL), RC_OK);
    for (size_t i = 0; i < WANT; i++) {
        assert_int_equal(text[i].n, 10);
        assert_memory_equal(text[i].p, c.v.v[at[i]].raw, 10);
    }
    /* A file that is gone answers nothing; so does one that was replaced. */
    assert_int_equal(unlink(scratch_path("plain.log")), 0);
    assert_int_equal(rename(scratch_path("packed.log.zst"), scratch_path("old")), 0);
    scratch_write("packed.log.zst", packed.p, packed.n);
    assert_int_equal(o.src.ops->fetch_logs(o.src.ctx, refs, WANT, 10, &o.mem, text, NULL), RC_OK);
    for (size_t i = 0; i < WANT; i++) assert_int_equal(text[i].p != NULL, refs[i].file == 2);
    collector_release(&c);
    close_source(&o);
    buf_release(&wide);
    buf_release(&packed);
    buf_release(&b);
}

/* Standard input as a pipe: scanned twice, and evidence from it. */
static void standard_input_is_kept(void **state) {
    (void)state;
    buf b;
    make_log(&b, 500, 0);
    int fds[2], saved = dup(0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], b.p, b.n), b.n);
    close(fds[1]);
    dup2(fds[0], 0);
    close(fds[0]);
    opened o;
    collector c1, c2;
    ingest_opts opts = {.default_service = S("shop")};
    assert_int_equal(open_source(&o, &opts, BLOCK, (const char *[]){"-", "-", NULL}), RC_OK);
    scan_all(&o, 1, &c1);
    scan_all(&o, 2, &c2);
    assert_int_equal(o.rep.count, 1);
    assert_true(str_eq(o.rep.inputs[0].name, S("-")));
    assert_int_equal(c1.v.n, 500);
    assert_true(same(&c1, &c2));
    assert_string_equal(c1.v.v[0].service, "shop");
    str text[1];
    assert_int_equal(
        o.src.ops->fetch_logs(o.src.ctx, &c1.v.v[321].ref, 1, 1000, &o.mem, text, NULL), RC_OK);
    assert_true(str_eq(text[0], str_c(c1.v.v[321].raw)));
    collector_release(&c1);
    collector_release(&c2);
    close_source(&o);
    dup2(saved, 0);
    close(saved);
    buf_release(&b);
}

static void a_failing_sink_stops_the_scan(void **state) {
    (void)state;
    buf b;
    make_log(&b, 50000, 0);
    scratch_write("a.log", b.p, b.n);
    opened o;
    for (unsigned workers = 1; workers <= 4; workers++) {
        collector c;
        assert_int_equal(open_source(&o, NULL, 16 << 10, (const char *[]){"a.log", NULL}), RC_OK);
        collector_init(&c);
        c.stop_after = 1000;
        log_scan scan = {.workers = workers};
        assert_int_equal(scan_source(&o, &scan, &c), RC_LIMIT);
        assert_string_equal(o.e.msg, "enough");
        assert_true(c.v.n < 5000);
        collector_release(&c);
        close_source(&o);
    }
    buf_release(&b);
}

static void cancelling_stops_the_scan(void **state) {
    (void)state;
    buf b;
    make_log(&b, 50000, 0);
    scratch_write("a.log", b.p, b.n);
    opened o;
    for (int order = ORDER_ANY; order <= ORDER_TIME; order++) {
        volatile int cancel = 0;
        collector c;
        assert_int_equal(open_source(&o, NULL, 16 << 10, (const char *[]){"a.log", NULL}), RC_OK);
        collector_init(&c);
        c.cancel = &cancel;
        c.cancel_after = 1000;
        log_scan scan = {.workers = 2, .cancel = &cancel, .order = (log_order)order};
        assert_int_equal(scan_source(&o, &scan, &c), RC_CANCELLED);
        assert_true(c.v.n < 50000);
        collector_release(&c);
        close_source(&o);
    }
    buf_release(&b);
}

/* One call after the other fails: nothing crashes, what fails is told, everything else is read. */
static void every_failing_call_is_told_and_the_rest_is_read(void **state) {
    (void)state;
    buf b, packed;
    make_log(&b, 3000, 0);
    mkdir(scratch_path("d"), 0755);
    scratch_write("d/a.log", b.p, b.n);
    buf_init(&packed, 64 << 20);
    pack_put(PACK_GZIP, b.p, b.n, &packed);
    scratch_write("d/b.log.gz", packed.p, packed.n);
    scratch_write("c.log", b.p, b.n);
    for (int order = ORDER_ANY; order <= ORDER_TIME; order++) {
        for (uint64_t n = 1;; n++) {
            sys_fault fault = {.under = SYS_FS_REAL, .fail_at = n};
            sys_fs fs = sys_fault_fs(&fault);
            ingest_opts opts = {.fs = &fs};
            opened o;
            rc r = open_source(&o, &opts, 64 << 10, (const char *[]){"d", "c.log", NULL});
            assert_int_equal(r, RC_OK);
            bool failed_early = fault.failures > 0;
            collector c;
            collector_init(&c);
            log_scan scan = {.workers = 2, .order = (log_order)order};
            assert_int_equal(scan_source(&o, &scan, &c), RC_OK);
            bool failed = fault.failures > 0;
            size_t problems = 0, records = 0;
            for (size_t i = 0; i < o.rep.count; i++) {
                const input_info *in = &o.rep.inputs[i];
                problems += in->state != INPUT_OK;
                assert_int_equal(in->problem.n > 0, in->state != INPUT_OK);
                records += in->records;
            }
            assert_int_equal(records, c.v.n);
            assert_true(problems <= 1);
            /* A failing close loses nothing; a failing list loses the directory. */
            if (problems == 0)
                assert_int_equal(records, 9000);
            else
                assert_true(failed && records >= (failed_early ? 3000 : 6000) && records <= 9000);
            collector_release(&c);
            close_source(&o);
            if (!failed) break;
            assert_true(n < 500);
        }
    }
    buf_release(&packed);
    buf_release(&b);
}

typedef struct ticks {
    uint64_t calls, last, total;
} ticks;

static void count_tick(void *ctx, uint64_t bytes, uint64_t total) {
    ticks *t = ctx;
    t->calls++;
    assert_true(bytes >= t->last);
    t->last = bytes;
    t->total = total;
}

static void progress_reaches_the_total(void **state) {
    (void)state;
    buf b;
    make_log(&b, 3000, 0);
    scratch_write("a.log", b.p, b.n);
    scratch_write("b.log", b.p, b.n);
    for (int order = ORDER_ANY; order <= ORDER_TIME; order++) {
        ticks t = {0};
        ingest_opts opts = {.progress = count_tick, .progress_ctx = &t};
        opened o;
        collector c;
        assert_int_equal(open_source(&o, &opts, 8 << 10, (const char *[]){"a.log", "b.log", NULL}),
                         RC_OK);
        collector_init(&c);
        log_scan scan = {.order = (log_order)order};
        assert_int_equal(scan_source(&o, &scan, &c), RC_OK);
        assert_true(t.calls >= 1);
        assert_int_equal(t.last, 2 * b.n);
        assert_int_equal(t.total, 2 * b.n);
        collector_release(&c);
        close_source(&o);
    }
    buf_release(&b);
}

static void newlines_are_counted(void **state) {
    (void)state;
    char *p = malloc(100000);
    rng r;
    rng_init(&r, 7);
    for (int round = 0; round < 300; round++) {
        size_t n = rng_below(&r, round < 200 ? 300 : 100000), want = 0, skip = rng_below(&r, 17);
        for (size_t i = 0; i < n; i++) p[i] = rng_below(&r, 3) == 0 ? '\n' : (char)rng_u64(&r);
        for (size_t i = MIN(skip, n); i < n; i++) want += p[i] == '\n';
        assert_int_equal(count_newlines(p + MIN(skip, n), n - MIN(skip, n)), want);
    }
    memset(p, '\n', 100000);
    assert_int_equal(count_newlines(p, 100000), 100000);
    free(p);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(scans_one_file),
        T(workers_and_block_sizes_change_nothing),
        T(seq_grows_with_the_offset),
        T(a_source_scans_again),
        T(expands_directories_globs_and_repeats),
        T(a_script_named_directly_is_read),
        T(what_is_no_text_is_skipped_with_a_line),
        T(nothing_readable_is_not_found),
        T(an_unknown_format_name_is_refused),
        T(line_ends_and_empty_files),
        T(a_hole_before_the_text_is_passed_over),
        T(a_line_of_100_mb_passes),
        T(truncated_gzip_is_partial),
        T(time_and_service_filters),
        T(blocks_outside_the_range_are_skipped_and_counted),
        T(fetches_text_by_reference),
        T(standard_input_is_kept),
        T(a_failing_sink_stops_the_scan),
        T(cancelling_stops_the_scan),
        T(every_failing_call_is_told_and_the_rest_is_read),
        T(progress_reaches_the_total),
        cmocka_unit_test(newlines_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
