/* fs.c - files of the operating system behind sys_fs_ops, and helpers over any such table.
 *
 * Every call repeats itself when a signal interrupts it. Operations on a descriptor find the file's
 * name for the message through /proc/self/fd, on the way of failure only. Reading what may block
 * for ever (a pipe, a terminal, a socket) waits in slices of 100 ms, so that a cancelled run ends
 * although nothing comes: signals reach the main thread, never the blocked reader. */
#include "sys/fs.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "sys/cancel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    IO_MAX_BYTES = 1 << 30, /* one read or write call */
    READ_STEP_BYTES = 1 << 16,
    LIST_MAX_NAMES = 1 << 20,
    LIST_MAX_BYTES = 256 << 20,
    WAIT_SLICE_MS = 100,
};

typedef struct path_buf {
    char c[PATH_MAX];
} path_buf;

static rc to_c(str path, path_buf *ret, err *e) {
    if (path.n == 0) return FAIL(e, RC_INVALID, "empty path");
    if (path.n >= sizeof ret->c)
        return FAIL(e, RC_INVALID, "path of %zu bytes is too long: \"%.60s...\"", path.n, path.p);
    if (str_find_char(path, '\0', 0) != STR_NPOS)
        return FAIL(e, RC_INVALID, "path \"%.*s\" holds a NUL byte", STR_ARG(path));
    memcpy(ret->c, path.p, path.n);
    ret->c[path.n] = '\0';
    return RC_OK;
}

static rc fail_path(err *e, int errnum, const char *what, const char *path) {
    char text[128];
    rc code = errnum == ENOENT ? RC_NOT_FOUND : errnum == EEXIST ? RC_EXISTS : RC_IO;
    return FAIL_OS(e, code, errnum, "cannot %s \"%s\": %s", what, path,
                   strerror_r(errnum, text, sizeof text));
}

static rc fail_fd(err *e, int errnum, const char *what, int fd) {
    char link[64], name[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name - 1);
    if (n <= 0) n = snprintf(name, sizeof name, "descriptor %d", fd);
    name[n] = '\0';
    /* An open file that has no name any more is still no "not found". */
    rc code = fail_path(e, errnum, what, name);
    if (code == RC_IO) return code;
    if (e) e->code = RC_IO;
    return RC_IO;
}

static rc real_open(void *ctx, str path, sys_open_mode mode, int *ret_fd, err *e) {
    (void)ctx;
    static const int FLAGS[] = {
        [SYS_READ] = O_RDONLY,
        [SYS_WRITE_NEW] = O_WRONLY | O_CREAT | O_EXCL,
        [SYS_WRITE_TRUNC] = O_WRONLY | O_CREAT | O_TRUNC,
        [SYS_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
        [SYS_READ_WRITE] = O_RDWR | O_CREAT,
    };
    MUST((unsigned)mode < ARRAY_LEN(FLAGS));
    path_buf p;
    rc code = to_c(path, &p, e);
    if (code) return code;
    int fd;
    do fd = open(p.c, FLAGS[mode] | O_CLOEXEC | O_NOCTTY, 0666);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_path(e, errno, "open", p.c);
    *ret_fd = fd;
    return RC_OK;
}

static rc real_close(void *ctx, int fd, err *e) {
    (void)ctx;
    /* Linux has let go of the descriptor even when close is interrupted. */
    if (close(fd) != 0 && errno != EINTR)
        return FAIL_OS(e, RC_IO, errno, "cannot close descriptor %d", fd);
    return RC_OK;
}

/* Waits until a descriptor that may block can be read. */
static rc wait_readable(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return RC_OK;
    for (;;) {
        if (sys_cancelled()) return RC_CANCELLED;
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int n = poll(&pfd, 1, WAIT_SLICE_MS);
        if (n > 0 || (n < 0 && errno != EINTR))
            return RC_OK; /* the read itself tells what is wrong */
    }
}

static rc real_read(void *ctx, int fd, void *to, size_t cap, size_t *ret_bytes, err *e) {
    (void)ctx;
    for (;;) {
        if (sys_cancel_installed()) {
            rc code = wait_readable(fd);
            if (code) return FAIL(e, code, "reading was cancelled");
        }
        ssize_t n = read(fd, to, MIN(cap, (size_t)IO_MAX_BYTES));
        if (n >= 0) {
            *ret_bytes = (size_t)n;
            return RC_OK;
        }
        if (errno == EAGAIN) {
            struct pollfd pfd = {.fd = fd, .events = POLLIN};
            if (poll(&pfd, 1, WAIT_SLICE_MS) >= 0) continue;
        }
        if (errno != EINTR) return fail_fd(e, errno, "read", fd);
    }
}

static rc real_pread(void *ctx, int fd, void *to, size_t cap, uint64_t offset, size_t *ret_bytes,
                     err *e) {
    (void)ctx;
    if (offset > INT64_MAX)
        return FAIL(e, RC_INVALID, "file offset %" PRIu64 " is too large", offset);
    ssize_t n;
    do n = pread(fd, to, MIN(cap, (size_t)IO_MAX_BYTES), (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0) return fail_fd(e, errno, "read", fd);
    *ret_bytes = (size_t)n;
    return RC_OK;
}

static rc write_all(int fd, const char *from, size_t n, const uint64_t *offset, err *e) {
    size_t done = 0;
    while (done < n) {
        size_t part = MIN(n - done, (size_t)IO_MAX_BYTES);
        ssize_t w = offset ? pwrite(fd, from + done, part, (off_t)(*offset + done))
                           : write(fd, from + done, part);
        if (w > 0) {
            done += (size_t)w;
            continue;
        }
        if (w < 0 && errno == EINTR) continue;
        if (w < 0 &&
            errno == EAGAIN) { /* standard output may be set to non-blocking by its other users */
            struct pollfd pfd = {.fd = fd, .events = POLLOUT};
            if (poll(&pfd, 1, WAIT_SLICE_MS) >= 0 || errno == EINTR) continue;
        }
        return fail_fd(e, w == 0 ? ENOSPC : errno, "write", fd);
    }
    return RC_OK;
}

static rc real_write(void *ctx, int fd, const void *from, size_t n, err *e) {
    (void)ctx;
    return write_all(fd, from, n, NULL, e);
}

static rc real_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t offset, err *e) {
    (void)ctx;
    if (offset > INT64_MAX || n > INT64_MAX - offset)
        return FAIL(e, RC_INVALID, "file offset %" PRIu64 " is too large", offset);
    return write_all(fd, from, n, &offset, e);
}

static rc real_sync(void *ctx, int fd, err *e) {
    (void)ctx;
    int r;
    do r = fsync(fd);
    while (r != 0 && errno == EINTR);
    /* EINVAL, EROFS: something that cannot be synced, such as a pipe or a directory of some
     * systems. */
    if (r != 0 && errno != EINVAL && errno != EROFS) return fail_fd(e, errno, "sync", fd);
    return RC_OK;
}

static rc real_datasync(void *ctx, int fd, err *e) {
    (void)ctx;
    int r;
    do r = fdatasync(fd);
    while (r != 0 && errno == EINTR);
    return r != 0 ? fail_fd(e, errno, "sync", fd) : RC_OK;
}

static rc real_truncate(void *ctx, int fd, uint64_t size_bytes, err *e) {
    (void)ctx;
    if (size_bytes > INT64_MAX)
        return FAIL(e, RC_INVALID, "file size %" PRIu64 " is too large", size_bytes);
    int r;
    do r = ftruncate(fd, (off_t)size_bytes);
    while (r != 0 && errno == EINTR);
    return r != 0 ? fail_fd(e, errno, "cut", fd) : RC_OK;
}

static sys_stat from_stat(const struct stat *st) {
    return (sys_stat){
        .size_bytes = (uint64_t)st->st_size,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .device = st->st_dev,
        .inode = st->st_ino,
        .is_dir = S_ISDIR(st->st_mode),
        .is_regular = S_ISREG(st->st_mode),
        .is_fifo = S_ISFIFO(st->st_mode),
    };
}

static rc real_fstat(void *ctx, int fd, sys_stat *ret, err *e) {
    (void)ctx;
    struct stat st;
    if (fstat(fd, &st) != 0) return fail_fd(e, errno, "look at", fd);
    *ret = from_stat(&st);
    return RC_OK;
}

static rc real_stat(void *ctx, str path, sys_stat *ret, err *e) {
    (void)ctx;
    path_buf p;
    rc code = to_c(path, &p, e);
    if (code) return code;
    struct stat st;
    if (stat(p.c, &st) != 0) return fail_path(e, errno, "look at", p.c);
    *ret = from_stat(&st);
    return RC_OK;
}

static rc real_rename(void *ctx, str from, str to, err *e) {
    (void)ctx;
    path_buf f, t;
    rc code = to_c(from, &f, e);
    if (!code) code = to_c(to, &t, e);
    if (code) return code;
    if (rename(f.c, t.c) != 0) return fail_path(e, errno, "rename", f.c);
    return RC_OK;
}

static rc real_unlink(void *ctx, str path, err *e) {
    (void)ctx;
    path_buf p;
    rc code = to_c(path, &p, e);
    if (code) return code;
    if (unlink(p.c) != 0) return fail_path(e, errno, "remove", p.c);
    return RC_OK;
}

static rc real_link(void *ctx, str from, str to, err *e) {
    (void)ctx;
    path_buf f, t;
    rc code = to_c(from, &f, e);
    if (!code) code = to_c(to, &t, e);
    if (code) return code;
    if (link(f.c, t.c) != 0) return fail_path(e, errno, "link", f.c);
    return RC_OK;
}

static rc real_rmdir(void *ctx, str path, err *e) {
    (void)ctx;
    path_buf p;
    rc code = to_c(path, &p, e);
    if (code) return code;
    if (rmdir(p.c) != 0) return fail_path(e, errno, "remove", p.c);
    return RC_OK;
}

/* flock, not fcntl: it belongs to the descriptor, so a second open in this process is refused, too.
 */
static rc real_lock(void *ctx, int fd, err *e) {
    int r;
    do r = flock(fd, LOCK_EX | LOCK_NB);
    while (r != 0 && errno == EINTR);
    char text[32];
    if (r != 0 && errno == EWOULDBLOCK) {
        ssize_t n = pread(fd, text, sizeof text, 0);
        str pid = str_trim(str_make(text, n > 0 ? (size_t)n : 0));
        return FAIL(e, RC_EXISTS, "in use by process %.*s",
                    STR_ARG(pid.n ? pid : S("(not named yet)")));
    }
    if (r != 0) return fail_fd(e, errno, "lock", fd);
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    rc code = real_truncate(ctx, fd, 0, e);
    return code ? code : real_pwrite(ctx, fd, text, (size_t)n, 0, e);
}

static rc real_space(void *ctx, str path, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes,
                     err *e) {
    (void)ctx;
    path_buf p;
    rc code = to_c(path, &p, e);
    if (code) return code;
    struct statvfs st;
    if (statvfs(p.c, &st) != 0) return fail_path(e, errno, "look at", p.c);
    *ret_total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    *ret_free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return RC_OK;
}

static rc real_mkdir(void *ctx, str path, err *e) {
    (void)ctx;
    path_buf p;
    rc code = to_c(path, &p, e);
    if (code) return code;
    if (mkdir(p.c, 0777) == 0) return RC_OK;
    int errnum = errno;
    struct stat st;
    if (errnum == EEXIST && stat(p.c, &st) == 0 && S_ISDIR(st.st_mode)) return RC_OK;
    return fail_path(e, errnum, "make directory", p.c);
}

static int by_bytes(const void *a, const void *b) {
    return str_cmp(*(const str *)a, *(const str *)b);
}

typedef struct name_list {
    arena mem;
    VEC(str) names;
} name_list;

static void name_list_release(name_list *l) {
    vec_release(&l->names);
    arena_release(&l->mem);
}

static rc read_names(DIR *dir, const char *path, name_list *l, err *e) {
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(dir);
        if (!d) return errno ? fail_path(e, errno, "list", path) : RC_OK;
        str name = str_c(d->d_name);
        if (str_eq(name, S(".")) || str_eq(name, S(".."))) continue;
        str own = str_dup(&l->mem, name);
        if (!own.p || l->names.n == LIST_MAX_NAMES)
            return FAIL(e, RC_LIMIT, "directory \"%s\" has more than %zu entries", path,
                        l->names.n);
        vec_push(&l->names, own);
    }
}

/* Gathered first: the callback may change the directory, and the order must not depend on it. */
static rc real_list(void *ctx, str path, void (*fn)(void *fn_ctx, str name), void *fn_ctx, err *e) {
    (void)ctx;
    path_buf p;
    rc code = to_c(path, &p, e);
    if (code) return code;
    DIR *dir = opendir(p.c);
    if (!dir) return fail_path(e, errno, "list", p.c);
    name_list l = {0};
    arena_init(&l.mem, "directory", LIST_MAX_BYTES);
    code = read_names(dir, p.c, &l, e);
    closedir(dir);
    if (!code) {
        if (l.names.n > 1) qsort(l.names.v, l.names.n, sizeof *l.names.v, by_bytes);
        for (size_t i = 0; i < l.names.n; i++) fn(fn_ctx, l.names.v[i]);
    }
    name_list_release(&l);
    return code;
}

static const sys_fs_ops REAL_OPS = {
    .open = real_open,
    .close = real_close,
    .read = real_read,
    .pread = real_pread,
    .write = real_write,
    .pwrite = real_pwrite,
    .sync = real_sync,
    .datasync = real_datasync,
    .truncate = real_truncate,
    .fstat = real_fstat,
    .stat = real_stat,
    .rename = real_rename,
    .unlink = real_unlink,
    .link = real_link,
    .mkdir = real_mkdir,
    .rmdir = real_rmdir,
    .lock = real_lock,
    .space = real_space,
    .list = real_list,
};

const sys_fs SYS_FS_REAL = {&REAL_OPS, NULL};

/* ---- helpers ----------------------------------------------------------------------------------
 */

static rc read_all(const sys_fs *fs, int fd, str path, size_t max_bytes, buf *out, err *e) {
    size_t start = out->n;
    for (;;) {
        size_t left = max_bytes - (out->n - start);
        size_t step = MIN((size_t)READ_STEP_BYTES, out->max_bytes - out->n);
        char probe; /* with no room left, one byte more tells "too long" from "exactly full" */
        bool probing = left == 0 || step == 0;
        if (!probing && !buf_reserve(out, step))
            return FAIL(e, RC_LIMIT, "no memory to read \"%.*s\"", STR_ARG(path));
        size_t room = MIN(left, out->cap - out->n), n = 0;
        rc code = fs->ops->read(fs->ctx, fd, probing ? &probe : out->p + out->n, probing ? 1 : room,
                                &n, e);
        if (code) return code;
        if (n == 0) return RC_OK;
        if (probing)
            return FAIL(e, RC_LIMIT, "file \"%.*s\" is longer than %zu bytes", STR_ARG(path),
                        out->n - start);
        out->n += n;
    }
}

rc sys_read_file(const sys_fs *fs, str path, size_t max_bytes, struct buf *out, err *e) {
    int fd;
    rc code = fs->ops->open(fs->ctx, path, SYS_READ, &fd, e);
    if (code) return code;
    size_t start = out->n;
    code = read_all(fs, fd, path, max_bytes, out, e);
    if (code) out->n = start;
    IGNORE(
        fs->ops->close(fs->ctx, fd, NULL)); /* nothing was written: a failing close loses nothing */
    return code;
}

static rc write_and_sync(const sys_fs *fs, str path, str data, err *e) {
    int fd;
    rc code = fs->ops->open(fs->ctx, path, SYS_WRITE_TRUNC, &fd, e);
    if (code) return code;
    code = fs->ops->write(fs->ctx, fd, data.p, data.n, e);
    if (!code) code = fs->ops->sync(fs->ctx, fd, e);
    rc closed = fs->ops->close(fs->ctx, fd, code ? NULL : e);
    return code ? code : closed;
}

rc sys_sync_dir(const sys_fs *fs, str path, err *e) {
    int fd;
    rc code = fs->ops->open(fs->ctx, path, SYS_READ, &fd, e);
    if (code) return code;
    code = fs->ops->sync(fs->ctx, fd, e);
    IGNORE(fs->ops->close(fs->ctx, fd, NULL)); /* opened for reading */
    return code;
}

/* A rename is durable once the directory is. */
static rc sync_parent(const sys_fs *fs, str path, err *e) {
    size_t slash = str_rfind_char(path, '/');
    str dir = slash == STR_NPOS ? S(".") : slash == 0 ? S("/") : str_sub(path, 0, slash);
    return sys_sync_dir(fs, dir, e);
}

bool sys_is_disk_full(const err *e) {
    return e->code == RC_IO && (e->sys_errno == ENOSPC || e->sys_errno == EDQUOT);
}
bool sys_is_other_device(const err *e) { return e->code == RC_IO && e->sys_errno == EXDEV; }

rc sys_write_file(const sys_fs *fs, str path, str data, err *e) {
    sys_stat st;
    if (fs->ops->stat(fs->ctx, path, &st, NULL) == RC_OK && !st.is_regular && !st.is_dir)
        return write_and_sync(fs, path, data, e);
    char tmp_text[PATH_MAX];
    int n = snprintf(tmp_text, sizeof tmp_text, "%.*s.tmp", STR_ARG(path));
    if (n < 0 || (size_t)n >= sizeof tmp_text)
        return FAIL(e, RC_INVALID, "path of %zu bytes is too long", path.n);
    str tmp = str_make(tmp_text, (size_t)n);
    rc code = write_and_sync(fs, tmp, data, e);
    if (!code) code = fs->ops->rename(fs->ctx, tmp, path, e);
    if (code) {
        IGNORE(fs->ops->unlink(fs->ctx, tmp, NULL)); /* the first failure is the one to report */
        return code;
    }
    return sync_parent(fs, path, e);
}

rc sys_glob(str pattern, void (*fn)(void *ctx, str path), void *ctx, err *e) {
    path_buf p;
    rc code = to_c(pattern, &p, e);
    if (code) return code;
    glob_t found = {0};
    /* The program sets no locale, so glob's own order is byte order. */
    int r = glob(p.c, GLOB_BRACE | GLOB_TILDE, NULL, &found);
    if (r == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) fn(ctx, str_c(found.gl_pathv[i]));
    } else if (r == GLOB_NOMATCH) {
        code = FAIL(e, RC_NOT_FOUND, "nothing matches \"%s\"", p.c);
    } else {
        code = FAIL_OS(e, r == GLOB_NOSPACE ? RC_LIMIT : RC_IO, errno, "cannot expand \"%s\"", p.c);
    }
    globfree(&found);
    return code;
}

rc sys_temp_file(int *ret_fd, err *e) {
    const char *dir = getenv("TMPDIR");
    if (!dir || !*dir) dir = "/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) { /* a file system without O_TMPFILE */
        char name[PATH_MAX];
        int n = snprintf(name, sizeof name, "%s/faultline-XXXXXX", dir);
        if (n < 0 || (size_t)n >= sizeof name) return FAIL(e, RC_INVALID, "TMPDIR is too long");
        fd = mkostemp(name, O_CLOEXEC);
        if (fd < 0) return fail_path(e, errno, "make a temporary file in", dir);
        unlink(name);
    }
    *ret_fd = fd;
    return RC_OK;
}

void sys_broken_pipe_is_failure(void) { MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR); }
bool sys_is_broken_pipe(const err *e) { return e->code == RC_IO && e->sys_errno == EPIPE; }
