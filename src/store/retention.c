/* retention.c - what is too old moves to the cold folder, what is older still or too much goes.
 *
 * Always whole partitions, the oldest first, and never one that is written to. Data in use stays
 * readable: snapshots hold the files open, and unlinking takes the name only.
 *
 * A move within one file system is a rename of the folder. To another one the folder is copied
 * under a name that ends in .tmp, synced and renamed; only then the original goes. A crash leaves
 * the original, or both: then the copy is complete and the next start removes the original.
 *
 * Free space: at most one partition goes in a round, because others may be filling the disk and
 * unlinked files give their space back only when the last reader lets go. Only what lies on the
 * file system that is short counts: when cold is another one, and has room, the oldest day moves
 * there early instead of going. */
#include "base/mem.h"
#include "store/embedded_int.h"

#define DAY_NS (INT64_C(86400) * 1000000000)

enum { COPY_BYTES = 1 << 20, NAMES_MAX = FILES_MAX };

typedef struct names {
    arena mem;
    VEC(str) v;
} names;

static void see(void *ctx, str name) {
    names *n = ctx;
    str own = str_dup(&n->mem, name);
    if (own.p && n->v.n < NAMES_MAX) vec_push(&n->v, own);
}

static void names_init(names *n) {
    *n = (names){0};
    arena_init(&n->mem, "names", 64 << 20);
}

static void names_release(names *n) {
    vec_release(&n->v);
    arena_release(&n->mem);
}

/* Removes what the engine wrote into a folder, then the folder when nothing else is in it. */
static void remove_folder(embedded *s, str dir) {
    names n;
    names_init(&n);
    err e = {0};
    rc code = s->fs->ops->list(s->fs->ctx, dir, see, &n, &e);
    for (size_t i = 0; !code && i < n.v.n; i++) {
        str name = n.v.v[i];
        if (!str_ends(name, S(".journal")) && !str_ends(name, S(".segment")) &&
            !str_ends(name, S(".damaged")) && !str_ends(name, S(".tmp")))
            continue;
        file_path path = path_join(dir, name);
        code = s->fs->ops->unlink(s->fs->ctx, path_str(&path), &e);
    }
    if (!code) code = s->fs->ops->rmdir(s->fs->ctx, dir, &e);
    if (code) embedded_trouble(s, "leftover", &e); /* what is left is found at the next start */
    names_release(&n);
}

/* Under the list's lock: nothing of it is written. */
static bool is_closed(const partition *p) {
    if (p->busy) return false;
    for (size_t i = 0; i < p->files.n; i++)
        if (p->files.v[i]->open) return false;
    return true;
}

/* Takes it out of the list and off the disk. False when it was opened meanwhile. */
static bool remove_partition(embedded *s, partition *p, const char *why) {
    sys_lock_take(s->list.lock);
    bool closed = is_closed(p);
    file_path dir = partition_dir(&s->list, p);
    uint64_t bytes = partition_bytes(p);
    char day[DAY_NAME_BYTES];
    memcpy(day, p->day, sizeof day);
    if (closed) catalog_remove_partition(&s->list, p);
    sys_lock_give(s->list.lock);
    if (!closed) return false;
    remove_folder(s, path_str(&dir));
    atomic_fetch_add(&s->expired_partitions, 1);
    embedded_event(s, "partition_expired", "%s: %" PRIu64 " bytes, %s", day, bytes, why);
    return true;
}

static rc expire(embedded *s, partition *p, const char *why, bool *ret_removed, err *e) {
    carried *c;
    rc code = checkpoint_carry(s, p, &c, e);
    if (code) return code;
    err full = {0};
    code = checkpoint_carried_put(s, c, &full);
    bool later = code && sys_is_disk_full(&full); /* there is room once the partition is gone */
    if (code && e) *e = full;
    if (later) code = RC_OK;
    *ret_removed = !code && remove_partition(s, p, why);
    if (later && *ret_removed) code = checkpoint_carried_put(s, c, e);
    checkpoint_carried_free(c);
    return code;
}

/* ---- moving ---- */

static rc copy_bytes(embedded *s, int from, int to, char *piece, err *e) {
    for (uint64_t at = 0;;) {
        size_t n;
        rc code = s->fs->ops->pread(s->fs->ctx, from, piece, COPY_BYTES, at, &n, e);
        if (code || n == 0) return code;
        code = s->fs->ops->pwrite(s->fs->ctx, to, piece, n, at, e);
        if (code) return code;
        at += n;
    }
}

static rc copy_file(embedded *s, str from_dir, str to_dir, str name, err *e) {
    file_path from = path_join(from_dir, name), to = path_join(to_dir, name);
    int in, out;
    rc code = s->fs->ops->open(s->fs->ctx, path_str(&from), SYS_READ, &in, e);
    if (code) return code;
    code = s->fs->ops->open(s->fs->ctx, path_str(&to), SYS_WRITE_TRUNC, &out, e);
    if (!code) {
        char *piece = mem_alloc(COPY_BYTES);
        code = copy_bytes(s, in, out, piece, e);
        mem_free(piece);
        if (!code) code = s->fs->ops->sync(s->fs->ctx, out, e);
        rc closed = s->fs->ops->close(s->fs->ctx, out, code ? NULL : e);
        if (!code) code = closed;
    }
    IGNORE(s->fs->ops->close(s->fs->ctx, in, NULL)); /* was open for reading */
    return code;
}

/* The list's files with the same blocks and ids, opened in another folder. */
static rc reopen(embedded *s, const partition *p, str dir, store_file **files, err *e) {
    for (size_t i = 0; i < p->files.n; i++) {
        const store_file *f = p->files.v[i];
        char name[FILE_NAME_BYTES];
        file_path path = path_join(dir, format_name(name, f->kind, f->first, f->last));
        int fd = -1;
        rc code =
            f->fd < 0 ? RC_OK : s->fs->ops->open(s->fs->ctx, path_str(&path), SYS_READ, &fd, e);
        if (code) return code;
        files[i] = file_new(s->fs, fd, f->kind, f->first, f->last);
        files[i]->bytes = f->bytes;
        files[i]->damaged = f->damaged;
        for (size_t b = 0; b < f->blocks.n; b++) vec_push(&files[i]->blocks, f->blocks.v[b]);
    }
    return RC_OK;
}

static rc copy_folder(embedded *s, partition *p, str from, str to, err *e) {
    char text[PATH_BYTES];
    int len = snprintf(text, sizeof text, "%.*s.tmp", STR_ARG(to));
    MUST(len > 0 && (size_t)len < sizeof text);
    str tmp = str_make(text, (size_t)len);
    names n;
    names_init(&n);
    rc code = s->fs->ops->mkdir(s->fs->ctx, tmp, e);
    if (!code) code = s->fs->ops->list(s->fs->ctx, from, see, &n, e);
    for (size_t i = 0; !code && i < n.v.n; i++) code = copy_file(s, from, tmp, n.v.v[i], e);
    if (!code) code = sys_sync_dir(s->fs, tmp, e);
    store_file **files = mem_new_n(store_file *, p->files.n + 1);
    if (!code) code = reopen(s, p, tmp, files, e);
    if (!code) code = s->fs->ops->rename(s->fs->ctx, tmp, to, e);
    if (!code) {
        sys_lock_take(s->list.lock);
        for (size_t i = 0; i < p->files.n; i++) {
            store_file *old = p->files.v[i];
            p->files.v[i] = TAKE(files[i]);
            file_unref(old);
        }
        sys_lock_give(s->list.lock);
    } else {
        for (size_t i = 0; i < p->files.n; i++) file_unref(files[i]);
        remove_folder(s, tmp);
    }
    mem_free(files);
    names_release(&n);
    return code;
}

static rc move_files(embedded *s, partition *p, str from, str to, bool *ret_copied, err *e) {
    rc code = embedded_make_dirs(s, s->list.cold_dir, e);
    err why = {0};
    if (!code) code = s->fs->ops->rename(s->fs->ctx, from, to, &why);
    *ret_copied = code && sys_is_other_device(&why);
    if (*ret_copied) return copy_folder(s, p, from, to, e);
    if (why.code && e) *e = why;
    return code;
}

static rc move_to_cold(embedded *s, partition *p, err *e) {
    sys_lock_take(s->list.lock);
    bool closed = is_closed(p);
    if (closed) p->busy = true;
    sys_lock_give(s->list.lock);
    if (!closed) return RC_OK;
    file_path from = path_join(s->list.hot_dir, str_c(p->day)),
              to = path_join(s->list.cold_dir, str_c(p->day));
    bool copied = false;
    rc code = move_files(s, p, path_str(&from), path_str(&to), &copied, e);
    sys_lock_take(s->list.lock);
    if (!code) p->cold = true;
    p->busy = false;
    sys_lock_give(s->list.lock);
    if (code) return err_wrap(e, code, "moving %s", p->day);
    code = sys_sync_dir(s->fs, s->list.cold_dir, e);
    if (!code && copied) remove_folder(s, path_str(&from));
    if (!code) code = sys_sync_dir(s->fs, s->list.hot_dir, e);
    embedded_event(s, "partition_moved", "%s to \"%.*s\"", p->day, STR_ARG(s->list.cold_dir));
    return code;
}

/* ---- rounds ---- */

/* Of which folder. */
typedef enum where { ANYWHERE, HOT_ONLY, COLD_ONLY } where;

/* The oldest partition that may go; not today's. */
static partition *oldest_closed(embedded *s, int64_t now_ns, where in, uint64_t *ret_total_bytes) {
    partition *oldest = NULL;
    *ret_total_bytes = 0;
    sys_lock_take(s->list.lock);
    for (size_t i = 0; i < s->list.parts.n; i++) {
        partition *p = s->list.parts.v[i];
        *ret_total_bytes += partition_bytes(p);
        bool today = now_ns - p->start_ns < DAY_NS;
        bool here = in == ANYWHERE || p->cold == (in == COLD_ONLY);
        if (!oldest && here && is_closed(p) && p->files.n && !today) oldest = p;
    }
    sys_lock_give(s->list.lock);
    return oldest;
}

typedef enum due { DUE_NOT, DUE_MOVE, DUE_EXPIRE } due;

static due what_is_due(const embedded *s, const partition *p, int64_t now_ns) {
    int64_t days = now_ns < p->start_ns ? 0 : (now_ns - p->start_ns) / DAY_NS;
    if (days >= s->opts.cold_days) return DUE_EXPIRE;
    return days >= s->opts.hot_days && !p->cold ? DUE_MOVE : DUE_NOT;
}

/* The first partition with something due after `after`. */
static partition *next_due(embedded *s, int64_t after, int64_t now_ns, due *ret) {
    partition *found = NULL;
    sys_lock_take(s->list.lock);
    for (size_t i = 0; !found && i < s->list.parts.n; i++) {
        partition *p = s->list.parts.v[i];
        if (p->start_ns <= after || !is_closed(p)) continue;
        *ret = what_is_due(s, p, now_ns);
        if (*ret != DUE_NOT) found = p;
    }
    sys_lock_give(s->list.lock);
    return found;
}

static rc by_age(embedded *s, int64_t now_ns, err *e) {
    rc first = RC_OK; /* one that fails does not stop the others */
    due d;
    partition *p;
    for (int64_t after = INT64_MIN; (p = next_due(s, after, now_ns, &d)) != NULL;) {
        after = p->start_ns;
        err why = {0};
        bool removed;
        rc code = d == DUE_MOVE ? move_to_cold(s, p, &why) : expire(s, p, "by age", &removed, &why);
        if (code && !first) {
            first = code;
            if (e) *e = why;
        }
    }
    return first;
}

static rc by_size(embedded *s, int64_t now_ns, err *e) {
    if (!s->opts.max_bytes) return RC_OK;
    for (;;) {
        uint64_t total;
        partition *p = oldest_closed(s, now_ns, ANYWHERE, &total);
        if (!p || total <= s->opts.max_bytes) return RC_OK;
        bool removed = false;
        rc code = expire(s, p, "the store is larger than max_bytes", &removed, e);
        if (code || !removed) return code;
    }
}

/* Cold is on a file system of its own. */
static bool cold_is_apart(embedded *s) {
    sys_stat hot, cold;
    const sys_fs *fs = s->fs;
    return fs->ops->stat(fs->ctx, s->list.hot_dir, &hot, NULL) == RC_OK &&
           fs->ops->stat(fs->ctx, s->list.cold_dir, &cold, NULL) == RC_OK &&
           hot.device != cold.device;
}

static uint64_t bytes_of(embedded *s, const partition *p) {
    sys_lock_take(s->list.lock);
    uint64_t bytes = partition_bytes(p);
    sys_lock_give(s->list.lock);
    return bytes;
}

static rc by_free_space(embedded *s, int64_t now_ns, err *e) {
    static const char WHY[] = "the disk is nearly full";
    const sys_fs *fs = s->fs;
    uint64_t disk, hot_free, cold_free = 0, total, low = s->opts.min_free_bytes;
    bool removed, apart = cold_is_apart(s);
    rc code = fs->ops->space(fs->ctx, s->opts.dir, &disk, &hot_free, e);
    if (!code && apart) code = fs->ops->space(fs->ctx, s->list.cold_dir, &disk, &cold_free, e);
    if (code) return code;
    if (apart && cold_free < low) {
        partition *p = oldest_closed(s, now_ns, COLD_ONLY, &total);
        if (p) code = expire(s, p, WHY, &removed, e);
    }
    if (code || hot_free >= low) return code;
    partition *p = oldest_closed(s, now_ns, apart ? HOT_ONLY : ANYWHERE, &total);
    if (!p) return RC_OK;
    bool room = apart && cold_free > low && cold_free - low > bytes_of(s, p);
    return room ? move_to_cold(s, p, e) : expire(s, p, WHY, &removed, e);
}

rc retention_run(embedded *s, int64_t now_ns, err *e) {
    sys_lock_take(s->job_lock);
    bool settled = now_ns != INT64_MIN;
    if (!settled) now_ns = s->clock->ops->wall(s->clock->ctx).ns;
    rc code = settled ? by_age(s, now_ns, e) : RC_OK;
    if (!code) code = by_size(s, now_ns, e);
    if (!code) code = by_free_space(s, now_ns, e);
    sys_lock_give(s->job_lock);
    return code;
}
