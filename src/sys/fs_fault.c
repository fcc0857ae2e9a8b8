#include "sys/fs_fault.h"

#include <errno.h>

static rc injected(sys_fault *f, int errnum, err *e) {
    uint64_t call = atomic_load(&f->calls);
    atomic_fetch_add(&f->failures, 1);
    rc code = errnum == ENOENT ? RC_NOT_FOUND : errnum == EEXIST ? RC_EXISTS : RC_IO;
    return FAIL_OS(e, code, errnum, "injected fault at call %" PRIu64, call);
}

/* Counts a call; RC_OK when it may go on. */
static rc step(sys_fault *f, err *e) {
    uint64_t call = atomic_fetch_add(&f->calls, 1) + 1;
    uint64_t fail_at = atomic_load(&f->fail_at);
    if (!fail_at) return RC_OK;
    bool now = f->fail_on ? call >= fail_at : call == fail_at;
    return now ? injected(f, f->fail_errno ? f->fail_errno : EIO, e) : RC_OK;
}

/* How much of n bytes still fits on the disk. */
static size_t fits(const sys_fault *f, size_t n) {
    uint64_t disk = atomic_load(&f->disk_bytes), written = atomic_load(&f->written_bytes);
    if (!disk) return n;
    uint64_t left = disk > written ? disk - written : 0;
    return n < left ? n : (size_t)left;
}

static rc fault_open(void *ctx, str path, sys_open_mode mode, int *ret_fd, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->open(f->under.ctx, path, mode, ret_fd, e);
}

/* The descriptor is gone even when close fails, as on Linux. */
static rc fault_close(void *ctx, int fd, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    rc closed = f->under.ops->close(f->under.ctx, fd, code ? NULL : e);
    return code ? code : closed;
}

static rc fault_read(void *ctx, int fd, void *to, size_t cap, size_t *ret_bytes, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    if (code) return code;
    if (f->max_read_bytes) cap = MIN(cap, f->max_read_bytes);
    return f->under.ops->read(f->under.ctx, fd, to, cap, ret_bytes, e);
}

static rc fault_pread(void *ctx, int fd, void *to, size_t cap, uint64_t offset, size_t *ret_bytes,
                      err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    if (code) return code;
    if (f->max_read_bytes) cap = MIN(cap, f->max_read_bytes);
    return f->under.ops->pread(f->under.ctx, fd, to, cap, offset, ret_bytes, e);
}

static rc fault_write(void *ctx, int fd, const void *from, size_t n, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    if (code) return code;
    size_t part = fits(f, n);
    code = f->under.ops->write(f->under.ctx, fd, from, part, e);
    if (code) return code;
    atomic_fetch_add(&f->written_bytes, part);
    return part < n ? injected(f, ENOSPC, e) : RC_OK;
}

static rc fault_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t offset, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    if (code) return code;
    size_t part = fits(f, n);
    code = f->under.ops->pwrite(f->under.ctx, fd, from, part, offset, e);
    if (code) return code;
    atomic_fetch_add(&f->written_bytes, part);
    return part < n ? injected(f, ENOSPC, e) : RC_OK;
}

static rc fault_sync(void *ctx, int fd, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    if (!code && f->fail_sync) code = injected(f, EIO, e);
    return code ? code : f->under.ops->sync(f->under.ctx, fd, e);
}

static rc fault_datasync(void *ctx, int fd, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    if (!code && f->fail_sync) code = injected(f, EIO, e);
    return code ? code : f->under.ops->datasync(f->under.ctx, fd, e);
}

static rc fault_truncate(void *ctx, int fd, uint64_t size_bytes, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->truncate(f->under.ctx, fd, size_bytes, e);
}

static rc fault_fstat(void *ctx, int fd, sys_stat *ret, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->fstat(f->under.ctx, fd, ret, e);
}

static rc fault_stat(void *ctx, str path, sys_stat *ret, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->stat(f->under.ctx, path, ret, e);
}

static rc fault_rename(void *ctx, str from, str to, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->rename(f->under.ctx, from, to, e);
}

static rc fault_unlink(void *ctx, str path, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->unlink(f->under.ctx, path, e);
}

static rc fault_link(void *ctx, str from, str to, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->link(f->under.ctx, from, to, e);
}

static rc fault_rmdir(void *ctx, str path, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->rmdir(f->under.ctx, path, e);
}

static rc fault_lock(void *ctx, int fd, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->lock(f->under.ctx, fd, e);
}

static rc fault_space(void *ctx, str path, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes,
                      err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    if (code) return code;
    code = f->under.ops->space(f->under.ctx, path, ret_total_bytes, ret_free_bytes, e);
    if (!code && f->disk_bytes) {
        *ret_total_bytes = f->disk_bytes;
        *ret_free_bytes = fits(f, SIZE_MAX);
    }
    return code;
}

static rc fault_mkdir(void *ctx, str path, err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->mkdir(f->under.ctx, path, e);
}

static rc fault_list(void *ctx, str path, void (*fn)(void *fn_ctx, str name), void *fn_ctx,
                     err *e) {
    sys_fault *f = ctx;
    rc code = step(f, e);
    return code ? code : f->under.ops->list(f->under.ctx, path, fn, fn_ctx, e);
}

static const sys_fs_ops FAULT_OPS = {
    .open = fault_open,
    .close = fault_close,
    .read = fault_read,
    .pread = fault_pread,
    .write = fault_write,
    .pwrite = fault_pwrite,
    .sync = fault_sync,
    .datasync = fault_datasync,
    .truncate = fault_truncate,
    .fstat = fault_fstat,
    .stat = fault_stat,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .link = fault_link,
    .mkdir = fault_mkdir,
    .rmdir = fault_rmdir,
    .lock = fault_lock,
    .space = fault_space,
    .list = fault_list,
};

sys_fs sys_fault_fs(sys_fault *f) { return (sys_fs){&FAULT_OPS, f}; }
