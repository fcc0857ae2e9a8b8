/* Following growing files.
 *
 * Problem: read each file to its end and then what is added, until told to stop, while programs
 * append, logrotate renames and creates, or copies and truncates.
 *
 * Each file is a tail: a descriptor that stays open and a cutter that hands out complete records.
 * One round polls every tail; a round that brought nothing sleeps FOLLOW_POLL_NS.
 *
 *     appended    the cutter reads on by position
 *     last record unfinished (no newline, or more lines may belong to it): it waits, and is handed
 *                 out as it is when nothing came for FOLLOW_IDLE_NS, or when told to stop
 *     rotated     the path leads to another inode: a new generation of the input begins at once,
 *                 the old descriptor is read on until it is quiet for FOLLOW_OLD_NS (writers reopen
 *                 late), then put aside
 *     truncated   the file is shorter than what was read: what was held is handed out, a new
 *                 generation begins; the text of the old one is gone
 *     deleted     the descriptor is read on; a new file under the path is a rotation
 *
 * A generation is an input of its own (same name, offsets and lines from the start), so references
 * stay right. The descriptors of the last FOLLOW_OLD_MAX replaced generations stay open, for
 * evidence. Compressed inputs are read once. A pipe is read as it comes; it is alone
 * (ingest_files_new sees to that) because waiting for it holds up everything else.
 *
 * Limits: FOLLOW_MAX files at once; the others are read once, which is noted. New files in followed
 * directories are not looked for. Rejected: inotify: it does not work on network and overlay file
 * systems, and polling some hundred descriptors five times a second costs nothing.
 */
#include "ingest/reader_int.h"

enum { FOLLOW_MAX = 512, FOLLOW_OLD_MAX = 32 };
#define FOLLOW_POLL_NS ((int64_t)200 * 1000 * 1000)
#define FOLLOW_IDLE_NS ((int64_t)1000 * 1000 * 1000)
#define FOLLOW_OLD_NS  ((int64_t)5000 * 1000 * 1000)

typedef struct tail {
    input *in;
    cutter cut;
    int64_t moved_ns; /* when something came last (monotonic) */
    uint64_t raw_at;  /* bytes read then */
    bool replaced;    /* the path leads elsewhere; being read out */
    bool over;        /* to be closed */
    bool at_end;      /* nothing more was there at the last look */
} tail;

typedef struct follow {
    files *f;
    block_gate *g;
    block **b;
    log_batch *scratch;
    ticker *t;
    VEC(tail *) tails;
    input *old[FOLLOW_OLD_MAX]; /* replaced generations whose descriptor is open; a ring */
    size_t old_at;
    uint64_t finished_bytes;
} follow;

static int64_t now_ns(const follow *w) { return w->f->clock.ops->mono(w->f->clock.ctx).ns; }

/* Fetching evidence reads through the same descriptors under the same lock. */
static void close_input(follow *w, input *in) {
    sys_lock_take(w->f->lock);
    int fd = in->fd;
    in->fd = -1;
    in->gone = true;
    if (in->owns_fd && fd >= 0) IGNORE(w->f->fs.ops->close(w->f->fs.ctx, fd, NULL)); /* read only */
    in->owns_fd = false;
    sys_lock_give(w->f->lock);
}

static void keep_old(follow *w, input *in) {
    input **slot = &w->old[w->old_at++ % FOLLOW_OLD_MAX];
    if (*slot) close_input(w, *slot);
    *slot = in;
}

static void start_tail(follow *w, input *in) {
    files *f = w->f;
    tail *t = mem_new(tail);
    t->in = in;
    bool lasts = in->st.is_regular && w->tails.n < FOLLOW_MAX;
    err why = {0};
    rc r = RC_OK;
    if (lasts && in->fd < 0) {
        int fd = -1;
        r = f->fs.ops->open(f->fs.ctx, in->path, SYS_READ, &fd, &why);
        if (r == RC_OK) {
            sys_lock_take(f->lock);
            in->fd = fd;
            in->owns_fd = true;
            sys_lock_give(f->lock);
            r = f->fs.ops->fstat(f->fs.ctx, fd, &in->st, &why);
        }
        if (r != RC_OK) input_failed(f, in, INPUT_SKIPPED, &why);
    }
    if (r != RC_OK || !input_open(f, in, f->block_bytes, w->scratch, &t->cut)) {
        mem_free(t);
        return;
    }
    if (stream_coding(t->cut.in) != CODING_PLAIN) t->cut.grows = false;
    t->moved_ns = now_ns(w);
    if (!lasts && in->st.is_regular)
        input_problem(f, in, INPUT_OK, "read once, not followed: more than %d files", FOLLOW_MAX);
    vec_push(&w->tails, t);
}

/* The file that now lies under the path becomes an input of its own. */
static void start_generation(follow *w, tail *t, const sys_stat *st) {
    sys_lock_take(w->f->lock);
    input *next = input_add(w->f, t->in->path, t->in->info.name);
    if (next) {
        next->earlier = t->in;
        next->st = *st;
        next->info.service = t->in->info.service;
    }
    sys_lock_give(w->f->lock);
    t->replaced = true;
    if (next)
        start_tail(w, next);
    else
        input_problem(w->f, t->in, INPUT_PARTIAL,
                      "no longer followed after rotation: more than %d inputs", INPUT_FILES_MAX);
}

/* Hands out what is complete, or everything with `flush`. */
static void drain(follow *w, tail *t, bool flush) {
    rc r;
    while (*w->b && !gate_stopped(w->g)) {
        if (!t->cut.format && (!input_look(w->f, t->in, &t->cut) || !t->cut.format)) {
            t->over = t->over || t->in->info.state == INPUT_SKIPPED;
            return;
        }
        block_trim(*w->b, w->f->block_bytes * 2);
        r = cutter_next(&t->cut, *w->b, flush);
        t->at_end = r == RC_AGAIN;
        if (r == RC_END) t->over = true;
        if (r != RC_OK) return;
        (*w->b)->input = t->in;
        if (!gate_swap(w->g, w->b)) return;
        ticker_tell(w->t, w->finished_bytes + stream_raw_at(t->cut.in), false);
    }
}

/* Told to stop: what waited at the end of the file for the rest of its record is handed out. */
static void hand_out_held(follow *w, tail *t) {
    if (!*w->b || !t->at_end || t->cut.eager || cutter_held(&t->cut) == 0) return;
    if (cutter_next(&t->cut, *w->b, true) != RC_OK) return;
    (*w->b)->input = t->in;
    IGNORE(gate_swap(w->g, w->b)); /* the last one: a refusal means that a worker failed */
}

static void check_path(follow *w, tail *t) {
    sys_stat here = {0}, open = {0};
    const sys_fs *fs = &w->f->fs;
    if (t->replaced || !t->cut.grows) return;
    bool found = fs->ops->stat(fs->ctx, t->in->path, &here, NULL) == RC_OK && here.is_regular;
    if (t->in->owns_fd && found &&
        (here.inode != t->in->st.inode || here.device != t->in->st.device)) {
        start_generation(w, t, &here);
        return;
    }
    if (fs->ops->fstat(fs->ctx, t->in->fd, &open, NULL) != RC_OK) return;
    if (open.size_bytes >= stream_raw_at(t->cut.in)) return;
    sys_lock_take(w->f->lock);
    t->in->gone = true; /* other text lies under its references from now on */
    sys_lock_give(w->f->lock);
    drain(w, t, true);
    t->over = true;
    if (t->in->owns_fd && found) start_generation(w, t, &here);
    t->replaced = false; /* its text is gone: nothing to keep the descriptor for */
}

/* One look at one tail. True when something came. */
static bool poll_tail(follow *w, tail *t) {
    drain(w, t, false);
    uint64_t raw = stream_raw_at(t->cut.in);
    bool moved = raw != t->raw_at;
    int64_t now = now_ns(w);
    if (moved) t->moved_ns = now;
    t->raw_at = raw;
    if (t->over || moved || gate_stopped(w->g)) return moved;
    check_path(w, t);
    int64_t quiet = now - t->moved_ns;
    if (cutter_held(&t->cut) > 0 && quiet >= FOLLOW_IDLE_NS) drain(w, t, true);
    if (t->replaced && quiet >= FOLLOW_OLD_NS) t->over = true;
    return false;
}

static void end_tail(follow *w, tail *t) {
    input_done(w->f, t->in, &t->cut);
    w->finished_bytes += stream_raw_at(t->cut.in);
    bool grows = t->cut.grows;
    cutter_release(&t->cut);
    if (grows && t->in->owns_fd) {
        if (t->replaced)
            keep_old(w, t->in);
        else
            close_input(w, t->in);
    }
    mem_free(t);
}

void follow_read(files *f, block_gate *g, block **b, log_batch *scratch, ticker *t) {
    follow w = {.f = f, .g = g, .b = b, .scratch = scratch, .t = t};
    t->total = 0;
    size_t count = f->inputs.n;
    for (size_t i = 0; i < count; i++)
        if (!f->inputs.v[i]->closed_for_good && !f->inputs.v[i]->gone)
            start_tail(&w, f->inputs.v[i]);
    while (w.tails.n > 0 && *b && !gate_stopped(g)) {
        bool moved = false;
        count = w.tails.n; /* generations that begin in this round join the next */
        for (size_t i = 0; i < count && *b; i++) moved = poll_tail(&w, w.tails.v[i]) || moved;
        size_t kept = 0;
        for (size_t i = 0; i < w.tails.n; i++) {
            if (w.tails.v[i]->over)
                end_tail(&w, w.tails.v[i]);
            else
                w.tails.v[kept++] = w.tails.v[i];
        }
        w.tails.n = kept;
        if (!moved && kept > 0 && !gate_stopped(g))
            f->clock.ops->sleep(f->clock.ctx, FOLLOW_POLL_NS);
    }
    for (size_t i = 0; i < w.tails.n; i++) { /* stopped: descriptors stay for evidence */
        hand_out_held(&w, w.tails.v[i]);
        input_done(f, w.tails.v[i]->in, &w.tails.v[i]->cut);
        cutter_release(&w.tails.v[i]->cut);
        mem_free(w.tails.v[i]);
    }
    vec_release(&w.tails);
}
