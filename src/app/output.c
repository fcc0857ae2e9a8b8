#include "app/output.h"

enum { STDOUT_FD = 1, PATH_BYTES_MAX = 8192 };

rc output_open(output *o, const sys_fs *fs, str path, err *e) {
    MUST(o != NULL && fs != NULL);
    *o = (output){.fs = fs, .fd = STDOUT_FD};
    buf_init(&o->block, OUTPUT_BLOCK_BYTES);
    buf_init(&o->temp_path, PATH_BYTES_MAX);
    if (path.n == 0 || str_eq(path, S("-"))) return RC_OK;
    o->path = path;
    sys_stat st;
    /* A device or a pipe is written in place; so is nothing else. */
    bool in_place = fs->ops->stat(fs->ctx, path, &st, NULL) == RC_OK && !st.is_regular;
    if (!in_place) buf_fmt(&o->temp_path, "%.*s.part", STR_ARG(path));
    str target = in_place ? path : buf_str(&o->temp_path);
    rc got = fs->ops->open(fs->ctx, target, SYS_WRITE_TRUNC, &o->fd, e);
    if (got == RC_OK) return RC_OK;
    buf_release(&o->block);
    buf_release(&o->temp_path);
    return got == RC_NOT_FOUND
               ? FAIL(e, RC_IO, "cannot write \"%.*s\": its directory does not exist",
                      STR_ARG(path))
               : err_wrap(e, got, "cannot write \"%.*s\"", STR_ARG(path));
}

static void output_flush(output *o) {
    if (o->failed == RC_OK && o->block.n > 0) {
        o->failed = o->fs->ops->write(o->fs->ctx, o->fd, o->block.p, o->block.n, &o->why);
    }
    buf_reset(&o->block);
}

bool output_put(output *o, str s) {
    while (s.n > 0 && o->failed == RC_OK) {
        size_t room = OUTPUT_BLOCK_BYTES - o->block.n;
        size_t part = MIN(room, s.n);
        MUST(buf_put(&o->block, str_sub(s, 0, part)));
        s = str_from(s, part);
        if (o->block.n == OUTPUT_BLOCK_BYTES) output_flush(o);
    }
    return o->failed == RC_OK;
}

static void output_end(output *o, bool keep) {
    if (o->path.n > 0 && o->fd >= 0) {
        err why;
        rc got = o->fs->ops->close(o->fs->ctx, o->fd, &why);
        if (got == RC_OK && keep && o->temp_path.n > 0) {
            got = o->fs->ops->rename(o->fs->ctx, buf_str(&o->temp_path), o->path, &why);
        }
        if (got != RC_OK && o->failed == RC_OK) {
            o->failed = got;
            o->why = why;
        }
        if (o->temp_path.n > 0 && (!keep || o->failed != RC_OK)) {
            /* The failure is already being told; a left-over part file is all that is lost. */
            IGNORE(o->fs->ops->unlink(o->fs->ctx, buf_str(&o->temp_path), NULL));
        }
    }
    o->fd = -1;
    buf_release(&o->block);
    buf_release(&o->temp_path);
}

rc output_close(output *o, err *e) {
    MUST(o->fd >= 0);
    output_flush(o);
    output_end(o, o->failed == RC_OK);
    if (o->failed == RC_OK) return RC_OK;
    if (o->path.n == 0 && sys_is_broken_pipe(&o->why)) return RC_OK; /* `| head` has seen enough */
    if (e != NULL) *e = o->why;
    str name = o->path.n > 0 ? o->path : S("standard output");
    return err_wrap(e, o->failed, "cannot write \"%.*s\"", STR_ARG(name));
}

void output_abandon(output *o) {
    if (o->fd >= 0 && o->fs != NULL) output_end(o, false);
}
