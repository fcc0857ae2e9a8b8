#include "ingest_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "sys/fs_fault.h"

enum { TEXT_BYTES = 3 << 19 };

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

static void make_text(buf *b, size_t n) {
    buf_init(b, n + 256);
    for (unsigned i = 0; b->n < n; i++)
        buf_fmt(b, "line %u of the text, value %u\n", i, i * 2654435761u);
    b->n = n;
}

/* Reads all; the pieces asked for vary in size. */
static rc slurp(stream *s, buf *out, err *e) {
    buf_init(out, 64 << 20);
    static const size_t sizes[] = {16, 4096, 1 << 20, 100000};
    for (unsigned i = 0;; i++) {
        size_t want = sizes[i % ARRAY_LEN(sizes)], got = 0;
        assert_true(buf_reserve(out, want));
        rc r = stream_read(s, out->p + out->n, want, &got, e);
        if (r != RC_OK) return r;
        if (got == 0) return RC_OK;
        assert_int_equal(stream_at(s) >= out->n + got, 1);
        out->n += got;
    }
}

static rc read_path(const char *name, const sys_fs *fs, uint64_t ratio, buf *out, stream **ret,
                    err *e) {
    stream_opts o = {.fs = fs, .path = str_c(scratch_path(name)), .fd = -1, .max_ratio = ratio};
    rc r = stream_open(&o, ret, e);
    if (r != RC_OK) {
        *ret = NULL;
        buf_init(out, 1);
        return r;
    }
    return slurp(*ret, out, e);
}

static void expect_text(const char *name, const buf *want, coding how) {
    buf got;
    stream *s;
    err e = {0};
    rc r = read_path(name, &SYS_FS_REAL, 1000, &got, &s, &e);
    if (r != RC_OK) fail_msg("%s: %s", name, e.msg);
    assert_int_equal(stream_coding(s), how);
    assert_int_equal(got.n, want->n);
    assert_memory_equal(got.p, want->p, want->n);
    stream_close(s);
    buf_release(&got);
}

static void every_coding_and_several_members(void **state) {
    (void)state;
    static const coding codes[] = {CODING_PLAIN, CODING_GZIP, CODING_ZSTD, CODING_XZ, CODING_BZIP2};
    buf text, packed;
    make_text(&text, TEXT_BYTES);
    for (pack p = PACK_NONE; p <= PACK_BZIP2; p++) {
        for (size_t members = 1; members <= 3; members++) {
            buf_init(&packed, 64 << 20);
            size_t step = text.n / members, at = 0;
            for (size_t m = 0; m < members; m++) {
                size_t n = m + 1 == members ? text.n - at : step;
                pack_put(p, text.p + at, n, &packed);
                at += n;
            }
            if (p == PACK_GZIP && members == 2) buf_pad(&packed, '\0', 700); /* tape padding */
            scratch_write("f", packed.p, packed.n);
            expect_text("f", &text, codes[p]);
            buf_release(&packed);
        }
    }
    buf_release(&text);
}

static void empty_file_and_empty_member(void **state) {
    (void)state;
    buf none, packed;
    buf_init(&none, 16);
    scratch_write("f", "", 0);
    expect_text("f", &none, CODING_PLAIN);
    for (pack p = PACK_GZIP; p <= PACK_BZIP2; p++) {
        buf_init(&packed, 1 << 20);
        pack_put(p, "", 0, &packed);
        scratch_write("f", packed.p, packed.n);
        expect_text("f", &none, (coding)p);
        buf_release(&packed);
    }
}

/* Everything before the damage is read, and the message says where in the file it is. */
static void truncated_data_gives_what_is_before(void **state) {
    (void)state;
    buf text, packed, got;
    make_text(&text, TEXT_BYTES);
    for (pack p = PACK_GZIP; p <= PACK_BZIP2; p++) {
        buf_init(&packed, 64 << 20);
        pack_put(p, text.p, text.n, &packed);
        for (size_t cut = 1; cut <= 3; cut++) {
            size_t keep = cut == 3 ? packed.n - 1 : packed.n * cut / 3;
            scratch_write("f", packed.p, keep);
            stream *s;
            err e = {0};
            rc r = read_path("f", &SYS_FS_REAL, 1000, &got, &s, &e);
            assert_int_equal(r, RC_CORRUPT);
            char where[64];
            snprintf(where, sizeof where, "byte %zu", keep);
            if (!strstr(e.msg, where) || !strstr(e.msg, "ends early")) fail_msg("%s", e.msg);
            assert_true(got.n <= text.n && got.n >= text.n * (cut - 1) / 3 / 2);
            assert_memory_equal(got.p, text.p, got.n);
            stream_close(s);
            buf_release(&got);
        }
        buf_release(&packed);
    }
    buf_release(&text);
}

/* Evidence is fetched in other steps than it was scanned. */
static size_t bytes_in_steps(const char *name, size_t step) {
    stream_opts o = {
        .fs = &SYS_FS_REAL, .path = str_c(scratch_path(name)), .fd = -1, .max_ratio = 1000};
    stream *s;
    assert_int_equal(stream_open(&o, &s, NULL), RC_OK);
    char *to = malloc(step);
    size_t n = 0, got = 1;
    while (got > 0 && stream_read(s, to, step, &got, NULL) == RC_OK) n += got;
    free(to);
    stream_close(s);
    return n;
}

static void damaged_data_gives_the_same_in_any_steps(void **state) {
    (void)state;
    buf text, packed;
    make_text(&text, TEXT_BYTES);
    for (pack p = PACK_GZIP; p <= PACK_BZIP2; p++) {
        buf_init(&packed, 64 << 20);
        pack_put(p, text.p, text.n, &packed);
        for (size_t i = 0; i < 64; i++) packed.p[packed.n / 2 + i] ^= 0x5a;
        scratch_write("f", packed.p, packed.n);
        size_t n = bytes_in_steps("f", STREAM_IN_BYTES);
        assert_int_equal(bytes_in_steps("f", STREAM_IN_BYTES + 4096), n);
        assert_int_equal(bytes_in_steps("f", 4 * STREAM_IN_BYTES), n);
        buf_release(&packed);
    }
    buf_release(&text);
}

static void damaged_data_is_told(void **state) {
    (void)state;
    buf text, packed, got;
    make_text(&text, TEXT_BYTES);
    for (pack p = PACK_GZIP; p <= PACK_BZIP2; p++) {
        buf_init(&packed, 64 << 20);
        pack_put(p, text.p, text.n, &packed);
        for (size_t i = 0; i < 64; i++) packed.p[packed.n / 2 + i] ^= 0x5a;
        scratch_write("f", packed.p, packed.n);
        stream *s;
        err e = {0};
        assert_int_equal(read_path("f", &SYS_FS_REAL, 1000, &got, &s, &e), RC_CORRUPT);
        assert_non_null(strstr(e.msg, "damaged"));
        stream_close(s);
        buf_release(&got);
        buf_release(&packed);
    }
    buf_release(&text);
    /* Other bytes after a gzip member. */
    buf_init(&packed, 1 << 20);
    pack_put(PACK_GZIP, "hello\n", 6, &packed);
    buf_put(&packed, S("this is no gzip"));
    scratch_write("f", packed.p, packed.n);
    stream *s;
    err e = {0};
    assert_int_equal(read_path("f", &SYS_FS_REAL, 1000, &got, &s, &e), RC_CORRUPT);
    assert_int_equal(got.n, 6);
    stream_close(s);
    buf_release(&got);
    buf_release(&packed);
}

static void a_bomb_ends_at_the_ratio(void **state) {
    (void)state;
    buf packed;
    buf_init(&packed, 256 << 20);
    char *zeros = calloc(1, 160 << 20);
    pack_put(PACK_ZSTD, zeros, 160 << 20, &packed);
    free(zeros);
    scratch_write("f", packed.p, packed.n);
    stream *s;
    err e = {0};
    stream_opts o = {
        .fs = &SYS_FS_REAL, .path = str_c(scratch_path("f")), .fd = -1, .max_ratio = 100};
    assert_int_equal(stream_open(&o, &s, &e), RC_OK);
    char *to = malloc(1 << 20);
    size_t n = 0, got_n = 1;
    rc r = RC_OK;
    while (r == RC_OK && got_n > 0) {
        r = stream_read(s, to, 1 << 20, &got_n, &e);
        if (r == RC_OK) n += got_n;
    }
    assert_int_equal(r, RC_LIMIT);
    assert_true(n < 100 << 20);
    assert_non_null(strstr(e.msg, "100 times"));
    stream_close(s);
    free(to);
    buf_release(&packed);
}

static void utf8_mark_is_dropped_but_counted(void **state) {
    (void)state;
    scratch_text("f", "\xef\xbb\xbfhello\n");
    buf got;
    stream *s;
    err e = {0};
    assert_int_equal(read_path("f", &SYS_FS_REAL, 1000, &got, &s, &e), RC_OK);
    assert_int_equal(got.n, 6);
    assert_memory_equal(got.p, "hello\n", 6);
    assert_int_equal(stream_at(s), 9);
    assert_true(stream_is_direct(s));
    stream_close(s);
    buf_release(&got);
    scratch_text("f", "\xef\xbb\xbf");
    assert_int_equal(read_path("f", &SYS_FS_REAL, 1000, &got, &s, &e), RC_OK);
    assert_int_equal(got.n, 0);
    stream_close(s);
    buf_release(&got);
}

static void utf16_becomes_utf8(void **state) {
    (void)state;
    static const uint16_t units[] = {0xfeff, 'A',    0xe9, 0x20ac, 0xd83d,
                                     0xde00, 0xd800, 'z',  0xdc00, '\n'};
    static const char want[] = "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdz\xef\xbf\xbd\n";
    for (int big = 0; big <= 1; big++) {
        for (int many = 1; many <= 100000; many += 99999) {
            buf file, text, got;
            buf_init(&file, 16 << 20);
            buf_init(&text, 16 << 20);
            for (int k = 0; k < many; k++) {
                for (size_t i = k ? 1 : 0; i < ARRAY_LEN(units); i++) {
                    char hi = (char)(units[i] >> 8), lo = (char)units[i];
                    buf_putc(&file, big ? hi : lo);
                    buf_putc(&file, big ? lo : hi);
                }
                buf_put(&text, S(want));
            }
            scratch_write("f", file.p, file.n);
            stream *s;
            err e = {0};
            assert_int_equal(read_path("f", &SYS_FS_REAL, 1000, &got, &s, &e), RC_OK);
            assert_int_equal(got.n, text.n);
            assert_memory_equal(got.p, text.p, text.n);
            assert_false(stream_is_direct(s));
            stream_close(s);
            buf_release(&got);
            /* Packed, and with an odd byte at the end. */
            buf packed;
            buf_init(&packed, 16 << 20);
            buf_putc(&file, 'x');
            pack_put(PACK_GZIP, file.p, file.n, &packed);
            scratch_write("f", packed.p, packed.n);
            assert_int_equal(read_path("f", &SYS_FS_REAL, 1000, &got, &s, &e), RC_OK);
            assert_int_equal(got.n, text.n + 3);
            assert_memory_equal(got.p, text.p, text.n);
            stream_close(s);
            buf_release(&packed);
            buf_release(&got);
            buf_release(&file);
            buf_release(&text);
        }
    }
}

/* A pipe is readable twice, from its spool, packed or not; short reads change nothing. */
static void a_pipe_is_kept(void **state) {
    (void)state;
    buf text, packed, got;
    make_text(&text, 60000); /* below the capacity of a pipe */
    for (pack p = PACK_NONE; p <= PACK_GZIP; p++) {
        buf_init(&packed, 1 << 20);
        pack_put(p, text.p, text.n, &packed);
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], packed.p, packed.n), packed.n);
        close(fds[1]);
        sys_fault fault = {.under = SYS_FS_REAL, .max_read_bytes = 777};
        sys_fs fs = sys_fault_fs(&fault);
        pipe_in in;
        pipe_in_init(&in, fds[0], true);
        for (int pass = 0; pass < 2; pass++) {
            stream_opts o = {
                .fs = &fs, .fd = -1, .pipe = &in, .kept_only = pass == 1, .max_ratio = 1000};
            stream *s;
            err e = {0};
            assert_int_equal(stream_open(&o, &s, &e), RC_OK);
            assert_int_equal(slurp(s, &got, &e), RC_OK);
            assert_int_equal(got.n, text.n);
            assert_memory_equal(got.p, text.p, text.n);
            stream_close(s);
            buf_release(&got);
        }
        assert_true(atomic_load(&in.kept));
        pipe_in_close(&in, &fs);
        buf_release(&packed);
    }
    buf_release(&text);
}

static void a_pipe_without_room_for_its_copy_reads_once(void **state) {
    (void)state;
    buf text, got;
    make_text(&text, 50000);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text.p, text.n), text.n);
    close(fds[1]);
    sys_fault fault = {.under = SYS_FS_REAL, .disk_bytes = 10000};
    sys_fs fs = sys_fault_fs(&fault);
    pipe_in in;
    pipe_in_init(&in, fds[0], true);
    stream_opts o = {.fs = &fs, .fd = -1, .pipe = &in, .max_ratio = 1000};
    stream *s;
    err e = {0};
    assert_int_equal(stream_open(&o, &s, &e), RC_OK);
    assert_int_equal(slurp(s, &got, &e), RC_OK);
    assert_int_equal(got.n, text.n);
    stream_close(s);
    buf_release(&got);
    assert_false(atomic_load(&in.kept));
    assert_int_equal(stream_open(&o, &s, &e), RC_OK);
    assert_int_equal(slurp(s, &got, &e), RC_UNSUPPORTED);
    stream_close(s);
    buf_release(&got);
    pipe_in_close(&in, &fs);
    buf_release(&text);
}

static void every_failing_read_is_told(void **state) {
    (void)state;
    buf text, packed, got;
    make_text(&text, TEXT_BYTES);
    buf_init(&packed, 64 << 20);
    pack_put(PACK_GZIP, text.p, text.n, &packed);
    scratch_write("f", packed.p, packed.n);
    for (uint64_t n = 1;; n++) {
        sys_fault fault = {.under = SYS_FS_REAL, .fail_at = n};
        sys_fs fs = sys_fault_fs(&fault);
        stream *s;
        err e = {0};
        rc r = read_path("f", &fs, 1000, &got, &s, &e);
        if (s) assert_memory_equal(got.p, text.p, got.n);
        bool hit = fault.failures > 0;
        stream_close(s);
        bool late = fault.failures > 0 && !hit; /* only the close failed: nothing is lost */
        buf_release(&got);
        if (hit)
            assert_int_equal(r, RC_IO);
        else
            assert_int_equal(r, RC_OK);
        if (!hit && !late) break;
        assert_true(n < 1000);
    }
    buf_release(&text);
    buf_release(&packed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_coding_and_several_members, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_file_and_empty_member, setup, teardown),
        cmocka_unit_test_setup_teardown(truncated_data_gives_what_is_before, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_data_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_data_gives_the_same_in_any_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bomb_ends_at_the_ratio, setup, teardown),
        cmocka_unit_test_setup_teardown(utf8_mark_is_dropped_but_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(utf16_becomes_utf8, setup, teardown),
        cmocka_unit_test(a_pipe_is_kept),
        cmocka_unit_test(a_pipe_without_room_for_its_copy_reads_once),
        cmocka_unit_test_setup_teardown(every_failing_read_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
