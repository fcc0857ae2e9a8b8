/* fs_sim.c - inodes in memory.
 *
 * A file has its bytes as they are and as they are durable, and the writes in between in order. A
 * directory has its entries twice likewise; the changes of names in between are one list for the
 * whole file system, because journaling file systems keep their order: a power failure applies some
 * prefix of it. Inodes are freed with the whole. */
#include "sys/fs_sim.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "sys/thread.h"

#include <errno.h>

enum { FIRST_FD = 1000, FILE_MAX_BYTES = 1 << 30, SECTOR = 512, DEVICE_BYTES = 1 << 30 };

typedef struct inode inode;

typedef struct entry {
    str name;
    inode *to;
} entry;
typedef VEC(entry) entries;

typedef struct change { /* of a file's bytes */
    bool is_truncate;
    uint64_t offset; /* or the new size */
    char *data;
    size_t n;
} change;

struct inode {
    bool is_dir;
    unsigned device;
    buf now, durable;
    VEC(change) changes;
    entries names, durable_names;
    uint64_t number;
    int locked_by; /* descriptor; 0 = free */
};

typedef struct name_change { /* link: to; unlink: from; rename: both */
    inode *from_dir, *to_dir;
    str from, to;
    inode *what;
} name_change;

typedef struct handle {
    inode *at; /* NULL: closed */
    sys_open_mode mode;
    uint64_t pos;
} handle;

struct sys_sim {
    sys_lock *lock; /* guards all below */
    arena mem;      /* names */
    VEC(inode *) inodes;
    inode *root;
    VEC(name_change) name_changes;
    VEC(handle) handles;
    uint64_t off_at, torn_bytes, changes;
    bool off;
};

/* ---- inodes ---- */

static inode *inode_new(sys_sim *sim, bool is_dir, unsigned device) {
    inode *n = mem_new(inode);
    n->is_dir = is_dir;
    n->device = device;
    buf_init(&n->now, FILE_MAX_BYTES);
    buf_init(&n->durable, FILE_MAX_BYTES);
    vec_push(&sim->inodes, n);
    n->number = sim->inodes.n;
    return n;
}

static void forget_changes(inode *n) {
    for (size_t i = 0; i < n->changes.n; i++) mem_free(n->changes.v[i].data);
    n->changes.n = 0;
}

static void inode_free(inode *n) {
    forget_changes(n);
    vec_release(&n->changes);
    buf_release(&n->now);
    buf_release(&n->durable);
    vec_release(&n->names);
    vec_release(&n->durable_names);
    mem_free(n);
}

static entry *find_entry(const entries *v, str name) {
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->v[i].name, name)) return &v->v[i];
    return NULL;
}

/* In byte order of names; an entry of the name is replaced. */
static void put_entry(entries *v, str name, inode *to) {
    entry *old = find_entry(v, name);
    if (old) {
        old->to = to;
        return;
    }
    size_t at = v->n;
    while (at > 0 && str_cmp(v->v[at - 1].name, name) > 0) at--;
    vec_push(v, (entry){0});
    memmove(&v->v[at + 1], &v->v[at], (v->n - 1 - at) * sizeof *v->v);
    v->v[at] = (entry){name, to};
}

static void remove_entry(entries *v, str name) {
    entry *old = find_entry(v, name);
    if (!old) return;
    size_t at = (size_t)(old - v->v);
    v->n--;
    memmove(&v->v[at], &v->v[at + 1], (v->n - at) * sizeof *v->v);
}

static void set_size(buf *b, uint64_t size) {
    if (size > b->n)
        MUST(buf_pad(b, 0, (size_t)(size - b->n)));
    else
        b->n = (size_t)size;
}

static void write_at(buf *b, uint64_t offset, const char *data, size_t n) {
    if (offset + n > b->n) set_size(b, offset + n);
    if (n) memcpy(b->p + offset, data, n);
}

/* ---- paths ---- */

typedef struct place {
    inode *dir; /* NULL: a folder on the way is missing */
    str name;   /* empty: the root itself */
    inode *at;  /* NULL: not there */
} place;

static place walk(sys_sim *sim, str path) {
    place p = {.dir = sim->root, .at = sim->root};
    str rest = path, part;
    while (str_next(&rest, '/', &part)) {
        if (part.n == 0) continue;
        if (!p.at || !p.at->is_dir) return (place){0};
        p.dir = p.at;
        p.name = part;
        const entry *found = find_entry(&p.dir->names, part);
        p.at = found ? found->to : NULL;
    }
    return p;
}

static rc fail(err *e, int errnum, str path) {
    rc code = errnum == ENOENT ? RC_NOT_FOUND : errnum == EEXIST ? RC_EXISTS : RC_IO;
    return FAIL_OS(e, code, errnum, "simulated \"%.*s\": error %d", STR_ARG(path), errnum);
}

static rc power(const sys_sim *sim, err *e) {
    return sim->off ? FAIL_OS(e, RC_IO, EIO, "the power is off") : RC_OK;
}

/* Before a change; RC_IO when it is the one that does not happen any more. */
static rc about_to_change(sys_sim *sim, err *e) {
    rc code = power(sim, e);
    if (code) return code;
    sim->changes++;
    if (sim->off_at && sim->changes >= sim->off_at) sim->off = true;
    return power(sim, e);
}

static void note_name(sys_sim *sim, name_change c) { vec_push(&sim->name_changes, c); }

static void apply_name(const name_change *c, bool durable) {
    if (c->from_dir)
        remove_entry(durable ? &c->from_dir->durable_names : &c->from_dir->names, c->from);
    if (c->to_dir)
        put_entry(durable ? &c->to_dir->durable_names : &c->to_dir->names, c->to, c->what);
}

static void change_name(sys_sim *sim, name_change c) {
    if (c.to_dir) c.to = str_dup(&sim->mem, c.to);
    if (c.from_dir) c.from = str_dup(&sim->mem, c.from);
    apply_name(&c, false);
    note_name(sim, c);
}

static handle *handle_of(sys_sim *sim, int fd) {
    if (fd < FIRST_FD || (size_t)(fd - FIRST_FD) >= sim->handles.n) return NULL;
    handle *h = &sim->handles.v[fd - FIRST_FD];
    return h->at ? h : NULL;
}

/* ---- calls; the lock is held ---- */

static rc do_open(sys_sim *sim, str path, sys_open_mode mode, int *ret_fd, err *e) {
    rc code = power(sim, e);
    if (code) return code;
    place p = walk(sim, path);
    if (!p.dir) return fail(e, ENOENT, path);
    if (p.at && mode == SYS_WRITE_NEW) return fail(e, EEXIST, path);
    if (p.at && p.at->is_dir && mode != SYS_READ) return fail(e, EISDIR, path);
    if (!p.at) {
        if (mode == SYS_READ) return fail(e, ENOENT, path);
        code = about_to_change(sim, e);
        if (code) return code;
        p.at = inode_new(sim, false, p.dir->device);
        change_name(sim, (name_change){.to_dir = p.dir, .to = p.name, .what = p.at});
    } else if (mode == SYS_WRITE_TRUNC && p.at->now.n) {
        code = about_to_change(sim, e);
        if (code) return code;
        set_size(&p.at->now, 0);
        vec_push(&p.at->changes, (change){.is_truncate = true});
    }
    size_t i = 0;
    while (i < sim->handles.n && sim->handles.v[i].at) i++;
    if (i == sim->handles.n) vec_push(&sim->handles, (handle){0});
    sim->handles.v[i] = (handle){.at = p.at, .mode = mode};
    *ret_fd = FIRST_FD + (int)i;
    return RC_OK;
}

static rc do_read(sys_sim *sim, int fd, void *to, size_t cap, uint64_t offset, size_t *ret,
                  err *e) {
    const handle *h = handle_of(sim, fd);
    rc code = power(sim, e);
    if (code) return code;
    if (!h || h->at->is_dir) return fail(e, EBADF, S("read"));
    size_t have = h->at->now.n;
    size_t n = offset < have ? MIN(cap, have - (size_t)offset) : 0;
    if (n) memcpy(to, h->at->now.p + offset, n);
    *ret = n;
    return RC_OK;
}

static rc do_write(sys_sim *sim, int fd, const void *from, size_t n, uint64_t offset, err *e) {
    const handle *h = handle_of(sim, fd);
    if (!h || h->at->is_dir || h->mode == SYS_READ) return fail(e, EBADF, S("write"));
    bool was_on = !sim->off;
    rc code = about_to_change(sim, e);
    if (code && was_on) n = (size_t)MIN((uint64_t)n, sim->torn_bytes);
    if (code && !was_on) return code;
    if (n) {
        write_at(&h->at->now, offset, from, n);
        change c = {.offset = offset, .data = mem_alloc(n), .n = n};
        memcpy(c.data, from, n);
        vec_push(&h->at->changes, c);
    }
    return code;
}

static rc do_truncate(sys_sim *sim, int fd, uint64_t size, err *e) {
    const handle *h = handle_of(sim, fd);
    if (!h || h->at->is_dir || h->mode == SYS_READ) return fail(e, EBADF, S("truncate"));
    rc code = about_to_change(sim, e);
    if (code) return code;
    set_size(&h->at->now, size);
    vec_push(&h->at->changes, (change){.is_truncate = true, .offset = size});
    return RC_OK;
}

static void sync_names(sys_sim *sim, const inode *dir) {
    size_t kept = 0;
    for (size_t i = 0; i < sim->name_changes.n; i++) {
        const name_change *c = &sim->name_changes.v[i];
        if (c->from_dir == dir || c->to_dir == dir)
            apply_name(c, true);
        else
            sim->name_changes.v[kept++] = *c;
    }
    sim->name_changes.n = kept;
}

static void keep_bytes(inode *n) {
    n->durable.n = 0;
    MUST(buf_put(&n->durable, buf_str(&n->now)));
    forget_changes(n);
}

static rc do_sync(sys_sim *sim, int fd, err *e) {
    const handle *h = handle_of(sim, fd);
    if (!h) return fail(e, EBADF, S("sync"));
    rc code = about_to_change(sim, e);
    if (code) return code;
    if (h->at->is_dir)
        sync_names(sim, h->at);
    else
        keep_bytes(h->at);
    return RC_OK;
}

static rc do_rename(sys_sim *sim, str from, str to, bool keep, err *e) {
    place f = walk(sim, from), t = walk(sim, to);
    if (!f.at || !t.dir) return fail(e, ENOENT, from);
    if (keep && t.at) return fail(e, EEXIST, to);
    if (t.at && t.at->is_dir && t.at->names.n) return fail(e, ENOTEMPTY, to);
    if (f.at->device != (t.at ? t.at : t.dir)->device) return fail(e, EXDEV, from);
    rc code = about_to_change(sim, e);
    if (code) return code;
    change_name(sim, (name_change){.from_dir = keep ? NULL : f.dir,
                                   .from = f.name,
                                   .to_dir = t.dir,
                                   .to = t.name,
                                   .what = f.at});
    return RC_OK;
}

static rc do_remove(sys_sim *sim, str path, bool dir, err *e) {
    place p = walk(sim, path);
    if (!p.at) return fail(e, ENOENT, path);
    if (p.at->is_dir != dir) return fail(e, dir ? ENOTDIR : EISDIR, path);
    if (dir && p.at->names.n) return fail(e, ENOTEMPTY, path);
    rc code = about_to_change(sim, e);
    if (!code) change_name(sim, (name_change){.from_dir = p.dir, .from = p.name, .what = p.at});
    return code;
}

static rc do_mkdir(sys_sim *sim, str path, err *e) {
    place p = walk(sim, path);
    if (p.at) return p.at->is_dir ? power(sim, e) : fail(e, EEXIST, path);
    if (!p.dir) return fail(e, ENOENT, path);
    rc code = about_to_change(sim, e);
    if (code) return code;
    inode *n = inode_new(sim, true, p.dir->device);
    change_name(sim, (name_change){.to_dir = p.dir, .to = p.name, .what = n});
    return RC_OK;
}

static rc do_lock(sys_sim *sim, int fd, err *e) {
    const handle *h = handle_of(sim, fd);
    rc code = power(sim, e);
    if (code) return code;
    if (!h) return fail(e, EBADF, S("lock"));
    if (h->at->locked_by && h->at->locked_by != fd)
        return FAIL(e, RC_EXISTS, "in use by process 1");
    h->at->locked_by = fd;
    return RC_OK;
}

static void stat_of(const inode *n, sys_stat *ret) {
    *ret = (sys_stat){.size_bytes = n->now.n,
                      .device = n->device,
                      .inode = n->number,
                      .is_dir = n->is_dir,
                      .is_regular = !n->is_dir};
}

/* ---- the table: the same under the lock ---- */

#define LOCKED(ctx, call)                                                                          \
    do {                                                                                           \
        sys_sim *sim = (ctx);                                                                      \
        sys_lock_take(sim->lock);                                                                  \
        rc code_ = (call);                                                                         \
        sys_lock_give(sim->lock);                                                                  \
        return code_;                                                                              \
    } while (0)

static rc sim_open(void *ctx, str path, sys_open_mode mode, int *ret_fd, err *e) {
    LOCKED(ctx, do_open(sim, path, mode, ret_fd, e));
}

/* The descriptor is gone even when the power is. */
static rc sim_close(void *ctx, int fd, err *e) {
    sys_sim *sim = ctx;
    sys_lock_take(sim->lock);
    handle *h = handle_of(sim, fd);
    rc code = h ? power(sim, e) : fail(e, EBADF, S("close"));
    if (h && h->at->locked_by == fd) h->at->locked_by = 0;
    if (h) h->at = NULL;
    sys_lock_give(sim->lock);
    return code;
}

static rc sim_pread(void *ctx, int fd, void *to, size_t cap, uint64_t offset, size_t *ret_bytes,
                    err *e) {
    LOCKED(ctx, do_read(sim, fd, to, cap, offset, ret_bytes, e));
}

static rc sim_read(void *ctx, int fd, void *to, size_t cap, size_t *ret_bytes, err *e) {
    sys_sim *sim = ctx;
    sys_lock_take(sim->lock);
    handle *h = handle_of(sim, fd);
    rc code = do_read(sim, fd, to, cap, h ? h->pos : 0, ret_bytes, e);
    if (!code && h) h->pos += *ret_bytes;
    sys_lock_give(sim->lock);
    return code;
}

static rc sim_pwrite(void *ctx, int fd, const void *from, size_t n, uint64_t offset, err *e) {
    LOCKED(ctx, do_write(sim, fd, from, n, offset, e));
}

static rc sim_write(void *ctx, int fd, const void *from, size_t n, err *e) {
    sys_sim *sim = ctx;
    sys_lock_take(sim->lock);
    handle *h = handle_of(sim, fd);
    uint64_t at = !h ? 0 : h->mode == SYS_APPEND ? h->at->now.n : h->pos;
    rc code = do_write(sim, fd, from, n, at, e);
    if (!code && h) h->pos = at + n;
    sys_lock_give(sim->lock);
    return code;
}

static rc sim_sync(void *ctx, int fd, err *e) { LOCKED(ctx, do_sync(sim, fd, e)); }
static rc sim_truncate(void *ctx, int fd, uint64_t size_bytes, err *e) {
    LOCKED(ctx, do_truncate(sim, fd, size_bytes, e));
}

static rc sim_fstat(void *ctx, int fd, sys_stat *ret, err *e) {
    sys_sim *sim = ctx;
    sys_lock_take(sim->lock);
    const handle *h = handle_of(sim, fd);
    rc code = h ? power(sim, e) : fail(e, EBADF, S("fstat"));
    if (!code) stat_of(h->at, ret);
    sys_lock_give(sim->lock);
    return code;
}

static rc sim_stat(void *ctx, str path, sys_stat *ret, err *e) {
    sys_sim *sim = ctx;
    sys_lock_take(sim->lock);
    rc code = power(sim, e);
    place p = walk(sim, path);
    if (!code && !p.at) code = fail(e, ENOENT, path);
    if (!code) stat_of(p.at, ret);
    sys_lock_give(sim->lock);
    return code;
}

static rc sim_rename(void *ctx, str from, str to, err *e) {
    LOCKED(ctx, do_rename(sim, from, to, false, e));
}
static rc sim_link(void *ctx, str from, str to, err *e) {
    LOCKED(ctx, do_rename(sim, from, to, true, e));
}
static rc sim_unlink(void *ctx, str path, err *e) { LOCKED(ctx, do_remove(sim, path, false, e)); }
static rc sim_rmdir(void *ctx, str path, err *e) { LOCKED(ctx, do_remove(sim, path, true, e)); }
static rc sim_mkdir(void *ctx, str path, err *e) { LOCKED(ctx, do_mkdir(sim, path, e)); }
static rc sim_lock(void *ctx, int fd, err *e) { LOCKED(ctx, do_lock(sim, fd, e)); }

static rc sim_space(void *ctx, str path, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes,
                    err *e) {
    (void)path;
    sys_sim *sim = ctx;
    sys_lock_take(sim->lock);
    rc code = power(sim, e);
    uint64_t used = 0;
    for (size_t i = 0; i < sim->inodes.n; i++) used += sim->inodes.v[i]->now.n;
    sys_lock_give(sim->lock);
    if (code) return code;
    *ret_total_bytes = DEVICE_BYTES;
    *ret_free_bytes = DEVICE_BYTES - MIN(used, (uint64_t)DEVICE_BYTES);
    return RC_OK;
}

static rc sim_list(void *ctx, str path, void (*fn)(void *fn_ctx, str name), void *fn_ctx, err *e) {
    sys_sim *sim = ctx;
    entries copy = {0};
    sys_lock_take(sim->lock);
    rc code = power(sim, e);
    place p = walk(sim, path);
    if (!code && !p.at) code = fail(e, ENOENT, path);
    if (!code && !p.at->is_dir) code = fail(e, ENOTDIR, path);
    for (size_t i = 0; !code && i < p.at->names.n; i++) vec_push(&copy, p.at->names.v[i]);
    sys_lock_give(sim->lock);
    for (size_t i = 0; i < copy.n; i++) fn(fn_ctx, copy.v[i].name);
    vec_release(&copy);
    return code;
}

static const sys_fs_ops SIM_OPS = {
    .open = sim_open,
    .close = sim_close,
    .read = sim_read,
    .pread = sim_pread,
    .write = sim_write,
    .pwrite = sim_pwrite,
    .sync = sim_sync,
    .datasync = sim_sync,
    .truncate = sim_truncate,
    .fstat = sim_fstat,
    .stat = sim_stat,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .link = sim_link,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .lock = sim_lock,
    .space = sim_space,
    .list = sim_list,
};

sys_fs sys_sim_fs(sys_sim *sim) { return (sys_fs){&SIM_OPS, sim}; }

/* ---- the test's side ---- */

sys_sim *sys_sim_new(void) {
    sys_sim *sim = mem_new(sys_sim);
    sim->lock = sys_lock_new("simulated disk");
    arena_init(&sim->mem, "simulated names", 256 << 20);
    sim->root = inode_new(sim, true, 1);
    return sim;
}

void sys_sim_free(sys_sim *sim) {
    if (!sim) return;
    for (size_t i = 0; i < sim->inodes.n; i++) inode_free(sim->inodes.v[i]);
    vec_release(&sim->inodes);
    vec_release(&sim->name_changes);
    vec_release(&sim->handles);
    arena_release(&sim->mem);
    sys_lock_free(sim->lock);
    mem_free(sim);
}

void sys_sim_power_off_at(sys_sim *sim, uint64_t nth, uint64_t torn_bytes) {
    sys_lock_take(sim->lock);
    sim->off_at = nth ? sim->changes + nth : 0;
    sim->torn_bytes = torn_bytes;
    sys_lock_give(sim->lock);
}

bool sys_sim_is_off(sys_sim *sim) {
    sys_lock_take(sim->lock);
    bool off = sim->off;
    sys_lock_give(sim->lock);
    return off;
}

uint64_t sys_sim_changes(sys_sim *sim) {
    sys_lock_take(sim->lock);
    uint64_t n = sim->changes;
    sys_lock_give(sim->lock);
    return n;
}

static void lose_process(sys_sim *sim) {
    for (size_t i = 0; i < sim->inodes.n; i++) sim->inodes.v[i]->locked_by = 0;
    sim->handles.n = 0;
    sim->off = false;
    sim->off_at = 0;
}

void sys_sim_kill(sys_sim *sim) {
    sys_lock_take(sim->lock);
    lose_process(sim);
    sys_lock_give(sim->lock);
}

/* One unsynced write onto what is durable: whole, a prefix, or some of its sectors. */
static void land(inode *n, const change *c, rng *r) {
    if (c->is_truncate) {
        set_size(&n->durable, c->offset);
        return;
    }
    uint64_t how = rng_below(r, 3);
    if (how == 0) {
        write_at(&n->durable, c->offset, c->data, c->n);
    } else if (how == 1) {
        write_at(&n->durable, c->offset, c->data, (size_t)rng_below(r, c->n + 1));
    } else {
        for (size_t at = 0; at < c->n;) {
            size_t to_edge = SECTOR - (size_t)((c->offset + at) % SECTOR);
            size_t step = MIN(to_edge, c->n - at);
            if (rng_below(r, 2)) write_at(&n->durable, c->offset + at, c->data + at, step);
            at += step;
        }
    }
}

static void lose_bytes(inode *n, rng *r) {
    uint64_t how =
        rng_below(r, 4); /* nothing of it, all of it, up to one that is torn, any of it */
    size_t count = how == 0 ? 0 : how == 2 ? (size_t)rng_below(r, n->changes.n + 1) : n->changes.n;
    for (size_t i = 0; i < count; i++) {
        const change *c = &n->changes.v[i];
        if (how == 3 && rng_below(r, 2)) continue;
        if (how == 3 || (how == 2 && i + 1 == count))
            land(n, c, r);
        else if (c->is_truncate)
            set_size(&n->durable, c->offset);
        else
            write_at(&n->durable, c->offset, c->data, c->n);
    }
    n->now.n = 0;
    MUST(buf_put(&n->now, buf_str(&n->durable)));
    forget_changes(n);
}

static void keep_names(inode *n) {
    n->names.n = 0;
    for (size_t i = 0; i < n->durable_names.n; i++) vec_push(&n->names, n->durable_names.v[i]);
}

void sys_sim_power_failure(sys_sim *sim, rng *r) {
    sys_lock_take(sim->lock);
    lose_process(sim);
    size_t count = (size_t)rng_below(r, sim->name_changes.n + 1);
    for (size_t i = 0; i < count; i++) apply_name(&sim->name_changes.v[i], true);
    sim->name_changes.n = 0;
    for (size_t i = 0; i < sim->inodes.n; i++) {
        inode *n = sim->inodes.v[i];
        if (n->is_dir)
            keep_names(n);
        else
            lose_bytes(n, r);
    }
    sys_lock_give(sim->lock);
}

char *sys_sim_bytes(sys_sim *sim, str path, size_t *ret_bytes) {
    sys_lock_take(sim->lock);
    place p = walk(sim, path);
    char *bytes = NULL;
    if (p.at && !p.at->is_dir) {
        keep_bytes(p.at);
        bytes = p.at->now.p;
        *ret_bytes = p.at->now.n;
    }
    sys_lock_give(sim->lock);
    return bytes;
}

void sys_sim_other_device(sys_sim *sim, str path) {
    sys_lock_take(sim->lock);
    place p = walk(sim, path);
    MUST(p.at && p.at->is_dir);
    p.at->device = 2;
    sys_lock_give(sim->lock);
}
