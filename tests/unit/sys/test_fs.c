#include "../unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "sys/fs.h"
#include "sys/fs_fault.h"
#include "sys/fs_sim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char dir[64]; /* a fresh directory for each test */

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/faultline-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", dir, dir);
    return system(command);
}

static str path_of(const char *name) {
    static char text[8][256]; /* a few paths at a time */
    static unsigned next;
    char *p = text[next++ % 8];
    int n = snprintf(p, sizeof text[0], "%s/%s", dir, name);
    return str_make(p, (size_t)n);
}

static const sys_fs *const REAL = &SYS_FS_REAL;

static str contents(buf *b, str path) {
    err e = {0};
    buf_reset(b);
    assert_rc(sys_read_file(REAL, path, 1 << 20, b, &e), RC_OK);
    return buf_str(b);
}

static void files_are_written_and_read(void **state) {
    (void)state;
    err e = {0};
    buf b;
    buf_init(&b, 1 << 20);
    assert_rc(sys_write_file(REAL, path_of("a"), S("hello"), &e), RC_OK);
    assert_text(contents(&b, path_of("a")), S("hello"));
    assert_rc(sys_write_file(REAL, path_of("a"), S(""), &e), RC_OK);
    assert_text(contents(&b, path_of("a")), S(""));
    sys_stat st;
    assert_rc(REAL->ops->stat(NULL, path_of("a.tmp"), &st, &e), RC_NOT_FOUND);
    /* appended to what is there */
    assert_rc(sys_write_file(REAL, path_of("a"), S("12345"), &e), RC_OK);
    buf_reset(&b);
    assert_true(buf_put(&b, S("x")));
    assert_rc(sys_read_file(REAL, path_of("a"), 5, &b, &e), RC_OK);
    assert_text(buf_str(&b), S("x12345"));
    assert_rc(sys_read_file(REAL, path_of("a"), 4, &b, &e), RC_LIMIT);
    assert_text(buf_str(&b), S("x12345"));
    buf_release(&b);
    for (size_t max = 3; max < 7; max++) { /* the buffer's own maximum */
        buf_init(&b, max);
        assert_rc(sys_read_file(REAL, path_of("a"), 1000, &b, &e), max < 5 ? RC_LIMIT : RC_OK);
        buf_release(&b);
    }
    buf_init(&b, 100);
    mem_fail_at(1);
    assert_rc(sys_read_file(REAL, path_of("a"), 1000, &b, &e), RC_LIMIT);
    mem_fail_at(0);
    buf_release(&b);
}

static void large_files_come_back_whole(void **state) {
    (void)state;
    enum { N = 3 << 20 };
    err e = {0};
    char *data = mem_alloc(N);
    for (size_t i = 0; i < N; i++) data[i] = (char)(i * 7 + i / 1000);
    assert_rc(sys_write_file(REAL, path_of("big"), str_make(data, N), &e), RC_OK);
    buf b;
    buf_init(&b, N);
    assert_rc(sys_read_file(REAL, path_of("big"), N, &b, &e), RC_OK);
    assert_text(buf_str(&b), str_make(data, N));
    sys_fault f = {.under = SYS_FS_REAL,
                   .max_read_bytes = 4097}; /* short reads are no end of file */
    sys_fs fs = sys_fault_fs(&f);
    buf_reset(&b);
    assert_rc(sys_read_file(&fs, path_of("big"), N, &b, &e), RC_OK);
    assert_true(str_eq(buf_str(&b), str_make(data, N)));
    assert_true(f.calls > N / 4097);
    buf_release(&b);
    mem_free(data);
}

static void failures_say_which_file_and_why(void **state) {
    (void)state;
    err e = {0};
    int fd;
    assert_rc(REAL->ops->open(NULL, path_of("none"), SYS_READ, &fd, &e), RC_NOT_FOUND);
    assert_true(str_has(str_c(e.msg), S("/none\"")) && str_has(str_c(e.msg), S("No such file")));
    assert_int_equal(e.sys_errno, ENOENT);
    assert_rc(REAL->ops->open(NULL, S(""), SYS_READ, &fd, &e), RC_INVALID);
    assert_rc(REAL->ops->open(NULL, S("a\0b"), SYS_READ, &fd, &e), RC_INVALID);
    char longest[5000];
    memset(longest, 'x', sizeof longest);
    assert_rc(REAL->ops->open(NULL, str_make(longest, sizeof longest), SYS_READ, &fd, &e),
              RC_INVALID);
    assert_rc(sys_write_file(REAL, str_make(longest, 4094), S("x"), &e), RC_INVALID);
    buf b;
    buf_init(&b, 100);
    assert_rc(sys_read_file(REAL, str_c(dir), 100, &b, &e), RC_IO);
    assert_true(str_has(str_c(e.msg), str_c(dir)) && str_has(str_c(e.msg), S("directory")));
    assert_rc(sys_write_file(REAL, S("/dev/full"), S("x"), &e), RC_IO);
    assert_int_equal(e.sys_errno, ENOSPC);
    assert_true(str_has(str_c(e.msg), S("/dev/full")));
    assert_rc(sys_write_file(REAL, path_of("no/such/dir"), S("x"), &e), RC_NOT_FOUND);
    size_t n;
    assert_rc(REAL->ops->read(NULL, 999, &b, 1, &n, &e), RC_IO);
    assert_rc(REAL->ops->close(NULL, 999, &e), RC_IO);
    assert_rc(REAL->ops->open(NULL, path_of("none"), SYS_READ, &fd, NULL),
              RC_NOT_FOUND); /* e may be NULL */
    buf_release(&b);
}

static void open_modes(void **state) {
    (void)state;
    err e = {0};
    buf b;
    buf_init(&b, 1000);
    int fd;
    str p = path_of("f");
    assert_rc(REAL->ops->open(NULL, p, SYS_WRITE_NEW, &fd, &e), RC_OK);
    assert_rc(REAL->ops->write(NULL, fd, "abc", 3, &e), RC_OK);
    assert_rc(REAL->ops->sync(NULL, fd, &e), RC_OK);
    assert_rc(REAL->ops->close(NULL, fd, &e), RC_OK);
    assert_rc(REAL->ops->open(NULL, p, SYS_WRITE_NEW, &fd, &e), RC_EXISTS);
    assert_rc(REAL->ops->open(NULL, p, SYS_APPEND, &fd, &e), RC_OK);
    assert_rc(REAL->ops->write(NULL, fd, "def", 3, &e), RC_OK);
    assert_rc(REAL->ops->close(NULL, fd, &e), RC_OK);
    assert_text(contents(&b, p), S("abcdef"));
    assert_rc(REAL->ops->open(NULL, p, SYS_READ_WRITE, &fd, &e), RC_OK);
    assert_rc(REAL->ops->pwrite(NULL, fd, "XY", 2, 4, &e), RC_OK);
    assert_rc(REAL->ops->pwrite(NULL, fd, "XY", 2, UINT64_MAX, &e), RC_INVALID);
    char text[8];
    size_t n;
    assert_rc(REAL->ops->pread(NULL, fd, text, sizeof text, 3, &n, &e), RC_OK);
    assert_text(str_make(text, n), S("dXY"));
    assert_rc(REAL->ops->pread(NULL, fd, text, sizeof text, 100, &n, &e), RC_OK);
    assert_int_equal(n, 0);
    assert_rc(REAL->ops->pread(NULL, fd, text, 1, UINT64_MAX, &n, &e), RC_INVALID);
    assert_rc(REAL->ops->close(NULL, fd, &e), RC_OK);
    assert_rc(REAL->ops->open(NULL, p, SYS_WRITE_TRUNC, &fd, &e), RC_OK);
    sys_stat st;
    assert_rc(REAL->ops->fstat(NULL, fd, &st, &e), RC_OK);
    assert_true(st.size_bytes == 0 && st.is_regular && !st.is_dir && !st.is_fifo && st.inode &&
                st.mtime_ns > 0);
    assert_rc(REAL->ops->close(NULL, fd, &e), RC_OK);
    buf_release(&b);
}

static void directories_and_names(void **state) {
    (void)state;
    err e = {0};
    sys_stat st;
    assert_rc(REAL->ops->mkdir(NULL, path_of("d"), &e), RC_OK);
    assert_rc(REAL->ops->mkdir(NULL, path_of("d"), &e), RC_OK);
    assert_rc(REAL->ops->stat(NULL, path_of("d"), &st, &e), RC_OK);
    assert_true(st.is_dir);
    assert_rc(sys_write_file(REAL, path_of("f"), S("x"), &e), RC_OK);
    assert_rc(REAL->ops->mkdir(NULL, path_of("f"), &e), RC_EXISTS);
    assert_rc(REAL->ops->rename(NULL, path_of("f"), path_of("d/g"), &e), RC_OK);
    assert_rc(REAL->ops->rename(NULL, path_of("f"), path_of("d/g"), &e), RC_NOT_FOUND);
    assert_rc(REAL->ops->unlink(NULL, path_of("d/g"), &e), RC_OK);
    assert_rc(REAL->ops->unlink(NULL, path_of("d/g"), &e), RC_NOT_FOUND);
    assert_int_equal(mkfifo(path_of("p").p, 0600), 0);
    assert_rc(REAL->ops->stat(NULL, path_of("p"), &st, &e), RC_OK);
    assert_true(st.is_fifo);
}

static void collect(void *ctx, str name) {
    buf *b = ctx;
    size_t slash = str_rfind_char(name, '/');
    assert_true(buf_put(b, slash == STR_NPOS ? name : str_from(name, slash + 1)) &&
                buf_putc(b, ' '));
}

static void listings_are_in_byte_order(void **state) {
    (void)state;
    err e = {0};
    buf b;
    buf_init(&b, 1000);
    static const char *const NAMES[] = {"b", "a10", "a2", "\xC3\xA4", "B", ".hidden"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++)
        assert_rc(sys_write_file(REAL, path_of(NAMES[i]), S("x"), &e), RC_OK);
    assert_rc(REAL->ops->list(NULL, str_c(dir), collect, &b, &e), RC_OK);
    assert_text(buf_str(&b), S(".hidden B a10 a2 b \xC3\xA4 "));
    assert_rc(REAL->ops->list(NULL, path_of("none"), collect, &b, &e), RC_NOT_FOUND);
    assert_rc(REAL->ops->list(NULL, path_of("b"), collect, &b, &e), RC_IO);
    mem_fail_at(1);
    assert_rc(REAL->ops->list(NULL, str_c(dir), collect, &b, &e), RC_LIMIT);
    mem_fail_at(0);
    buf_reset(&b);
    assert_rc(sys_glob(path_of("a*"), collect, &b, &e), RC_OK);
    assert_text(buf_str(&b), S("a10 a2 "));
    buf_reset(&b);
    assert_rc(sys_glob(path_of("{b,B,a[0-9]}"), collect, &b, &e), RC_OK);
    assert_rc(sys_glob(path_of("z*"), collect, &b, &e), RC_NOT_FOUND);
    buf_release(&b);
}

/* The old file stays whole whatever fails, and nothing is left lying about. */
static void write_file_survives_every_fault(void **state) {
    (void)state;
    err e = {0};
    buf b;
    buf_init(&b, 1000);
    str p = path_of("f");
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        assert_true(nth < 30);
        assert_rc(sys_write_file(REAL, p, S("old text"), &e), RC_OK);
        sys_fault f = {.under = SYS_FS_REAL, .fail_at = nth, .fail_errno = EIO};
        sys_fs fs = sys_fault_fs(&f);
        rc code = sys_write_file(&fs, p, S("new"), &e);
        done = f.calls < nth;
        str now = contents(&b, p);
        assert_true(str_eq(now, S("old text")) || str_eq(now, S("new")));
        if (!code) assert_text(now, S("new"));
        if (done) assert_rc(code, RC_OK);
        sys_stat st;
        if (code) assert_rc(REAL->ops->stat(NULL, path_of("f.tmp"), &st, NULL), RC_NOT_FOUND);
    }
    assert_rc(sys_write_file(REAL, p, S("old text"), &e), RC_OK);
    for (uint64_t room = 1; room < 10; room++) { /* the disk fills up */
        sys_fault f = {.under = SYS_FS_REAL, .disk_bytes = room};
        sys_fs fs = sys_fault_fs(&f);
        rc code = sys_write_file(&fs, p, S("new text!"), &e);
        if (room < 9) {
            assert_rc(code, RC_IO);
            assert_int_equal(e.sys_errno, ENOSPC);
            assert_text(contents(&b, p), S("old text"));
        } else {
            assert_rc(code, RC_OK);
            assert_text(contents(&b, p), S("new text!"));
        }
    }
    buf_release(&b);
}

static void faults_reach_every_operation(void **state) {
    (void)state;
    err e = {0};
    assert_rc(sys_write_file(REAL, path_of("f"), S("x"), &e), RC_OK);
    sys_fault f = {.under = SYS_FS_REAL, .fail_at = 1, .fail_on = true, .fail_errno = ENOENT};
    sys_fs fs = sys_fault_fs(&f);
    int fd = open(path_of("f").p, O_RDWR);
    char c;
    size_t n;
    sys_stat st;
    buf b;
    buf_init(&b, 10);
    assert_rc(fs.ops->open(fs.ctx, path_of("f"), SYS_READ, &(int){0}, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->read(fs.ctx, fd, &c, 1, &n, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->pread(fs.ctx, fd, &c, 1, 0, &n, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->write(fs.ctx, fd, "y", 1, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->pwrite(fs.ctx, fd, "y", 1, 0, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->sync(fs.ctx, fd, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->fstat(fs.ctx, fd, &st, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->stat(fs.ctx, path_of("f"), &st, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->rename(fs.ctx, path_of("f"), path_of("g"), &e), RC_NOT_FOUND);
    assert_rc(fs.ops->unlink(fs.ctx, path_of("f"), &e), RC_NOT_FOUND);
    assert_rc(fs.ops->mkdir(fs.ctx, path_of("d"), &e), RC_NOT_FOUND);
    assert_rc(fs.ops->list(fs.ctx, str_c(dir), collect, &b, &e), RC_NOT_FOUND);
    assert_rc(fs.ops->close(fs.ctx, fd, &e), RC_NOT_FOUND);
    assert_int_equal(f.failures, 13);
    f.fail_at = 0;
    assert_rc(fs.ops->stat(fs.ctx, path_of("f"), &st, &e), RC_OK);
    assert_int_equal(st.size_bytes, 1);               /* nothing was done */
    assert_rc(REAL->ops->close(NULL, fd, &e), RC_IO); /* close let go of it all the same */
    buf_release(&b);
}

static void pipes_are_written_directly(void **state) {
    (void)state;
    err e = {0};
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    char name[64];
    snprintf(name, sizeof name, "/dev/fd/%d", pipes[1]);
    assert_rc(sys_write_file(REAL, str_c(name), S("through"), &e), RC_OK);
    char text[16];
    size_t n;
    assert_rc(REAL->ops->read(NULL, pipes[0], text, sizeof text, &n, &e), RC_OK);
    assert_text(str_make(text, n), S("through"));
    close(pipes[0]);
    close(pipes[1]);
}

static void temporary_files_have_no_name(void **state) {
    (void)state;
    err e = {0};
    assert_int_equal(setenv("TMPDIR", dir, 1), 0);
    int fd;
    assert_rc(sys_temp_file(&fd, &e), RC_OK);
    assert_rc(REAL->ops->pwrite(NULL, fd, "abc", 3, 0, &e), RC_OK);
    char text[8];
    size_t n;
    assert_rc(REAL->ops->pread(NULL, fd, text, sizeof text, 0, &n, &e), RC_OK);
    assert_text(str_make(text, n), S("abc"));
    buf b;
    buf_init(&b, 100);
    assert_rc(REAL->ops->list(NULL, str_c(dir), collect, &b, &e), RC_OK);
    assert_text(buf_str(&b), S(""));
    assert_rc(REAL->ops->close(NULL, fd, &e), RC_OK);
    assert_int_equal(setenv("TMPDIR", "/no/such/dir", 1), 0);
    assert_rc(sys_temp_file(&fd, &e), RC_NOT_FOUND);
    unsetenv("TMPDIR");
    buf_release(&b);
}

static void files_are_cut_linked_locked_and_removed(void **state) {
    (void)state;
    err e = {0};
    buf b;
    buf_init(&b, 1000);
    int fd, other;
    str p = path_of("f"), q = path_of("g");
    assert_rc(sys_write_file(REAL, p, S("0123456789"), &e), RC_OK);
    assert_rc(REAL->ops->open(NULL, p, SYS_READ_WRITE, &fd, &e), RC_OK);
    assert_rc(REAL->ops->truncate(NULL, fd, 4, &e), RC_OK);
    assert_rc(REAL->ops->datasync(NULL, fd, &e), RC_OK);
    assert_rc(REAL->ops->truncate(NULL, fd, UINT64_MAX, &e), RC_INVALID);
    assert_text(contents(&b, p), S("0123"));
    assert_rc(REAL->ops->link(NULL, p, q, &e), RC_OK);
    assert_rc(REAL->ops->link(NULL, p, q, &e), RC_EXISTS);
    assert_rc(REAL->ops->unlink(NULL, p, &e), RC_OK);
    assert_text(contents(&b, q), S("0123"));
    assert_rc(REAL->ops->lock(NULL, fd, &e), RC_OK);
    assert_rc(REAL->ops->open(NULL, q, SYS_READ_WRITE, &other, &e), RC_OK);
    assert_rc(REAL->ops->lock(NULL, other, &e), RC_EXISTS);
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_true(str_has(str_c(e.msg), str_c(pid)));
    assert_rc(REAL->ops->close(NULL, fd, &e), RC_OK); /* gives it back */
    assert_rc(REAL->ops->lock(NULL, other, &e), RC_OK);
    assert_rc(REAL->ops->close(NULL, other, &e), RC_OK);
    assert_rc(REAL->ops->mkdir(NULL, path_of("d"), &e), RC_OK);
    assert_rc(sys_write_file(REAL, path_of("d/x"), S("x"), &e), RC_OK);
    assert_rc(sys_sync_dir(REAL, path_of("d"), &e), RC_OK);
    assert_rc(REAL->ops->rmdir(NULL, path_of("d"), &e), RC_IO); /* not empty */
    assert_rc(REAL->ops->unlink(NULL, path_of("d/x"), &e), RC_OK);
    assert_rc(REAL->ops->rmdir(NULL, path_of("d"), &e), RC_OK);
    assert_rc(sys_sync_dir(REAL, path_of("d"), &e), RC_NOT_FOUND);
    uint64_t total = 0, free_bytes = 0;
    assert_rc(REAL->ops->space(NULL, str_c(dir), &total, &free_bytes, &e), RC_OK);
    assert_true(total > 0 && free_bytes <= total);
    assert_true(sys_is_disk_full(&(err){.code = RC_IO, .sys_errno = ENOSPC}));
    assert_false(sys_is_disk_full(&(err){.code = RC_IO, .sys_errno = EIO}));
    assert_true(sys_is_other_device(&(err){.code = RC_IO, .sys_errno = EXDEV}));
    buf_release(&b);
}

/* The simulated disk: what is synced survives, what is not may, and never anything else. */
static void simulated_power_failures_lose_what_was_not_synced(void **state) {
    (void)state;
    rng r;
    rng_init(&r, unit_seed("sim"));
    bool seen[3] = {0}; /* nothing, all, a part of the unsynced write */
    bool named[2] = {0};
    for (unsigned round = 0; round < 200; round++) {
        sys_sim *sim = sys_sim_new();
        sys_fs fs = sys_sim_fs(sim);
        int fd;
        assert_rc(fs.ops->mkdir(fs.ctx, S("/d"), NULL), RC_OK);
        assert_rc(sys_sync_dir(&fs, S("/"), NULL), RC_OK);
        assert_rc(fs.ops->open(fs.ctx, S("/d/a"), SYS_WRITE_NEW, &fd, NULL), RC_OK);
        assert_rc(fs.ops->pwrite(fs.ctx, fd, "synced", 6, 0, NULL), RC_OK);
        assert_rc(fs.ops->datasync(fs.ctx, fd, NULL), RC_OK);
        assert_rc(sys_sync_dir(&fs, S("/d"), NULL), RC_OK);
        assert_rc(fs.ops->pwrite(fs.ctx, fd, "later", 5, 6, NULL), RC_OK);
        assert_rc(fs.ops->rename(fs.ctx, S("/d/a"), S("/d/b"), NULL), RC_OK);
        sys_sim_power_failure(sim, &r);
        assert_rc(fs.ops->pwrite(fs.ctx, fd, "x", 1, 0, NULL), RC_IO); /* its process is gone */
        buf b;
        buf_init(&b, 100);
        bool moved = sys_read_file(&fs, S("/d/b"), 100, &b, NULL) == RC_OK;
        if (!moved) assert_rc(sys_read_file(&fs, S("/d/a"), 100, &b, NULL), RC_OK);
        named[moved] = true;
        assert_true(str_starts(buf_str(&b), S("synced")));
        assert_true(str_starts(S("syncedlater"), buf_str(&b)));
        seen[b.n == 6 ? 0 : b.n == 11 ? 1 : 2] = true;
        buf_release(&b);
        sys_sim_free(sim);
    }
    assert_true(seen[0] && seen[1] && seen[2] && named[0] && named[1]);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIR(files_are_written_and_read),
        IN_DIR(large_files_come_back_whole),
        IN_DIR(failures_say_which_file_and_why),
        IN_DIR(open_modes),
        IN_DIR(directories_and_names),
        IN_DIR(listings_are_in_byte_order),
        IN_DIR(write_file_survives_every_fault),
        IN_DIR(faults_reach_every_operation),
        IN_DIR(pipes_are_written_directly),
        IN_DIR(temporary_files_have_no_name),
        IN_DIR(files_are_cut_linked_locked_and_removed),
        cmocka_unit_test(simulated_power_failures_lose_what_was_not_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
