/* writer.c - append: everything that waits becomes one commit (group commit).
 *
 * store_append puts a telemetry on a bounded queue and returns. The writer thread takes what is
 * there (up to GROUP_ITEMS and GROUP_BYTES), lets each signal encode its level-0 blocks into one
 * commit, appends that to the journal with one write and one sync, adds the blocks to the list, and
 * acknowledges in the order of arrival. While it syncs, the next group gathers: the busier it is,
 * the larger the groups and the cheaper each record.
 *
 * When a group cannot be encoded as a whole (one of it is beyond a limit), its members are encoded
 * one by one: each is in the commit whole or refused alone.
 *
 * A journal is closed when it is full (journal_bytes; or JOURNAL_COMMITS_MAX, because a start reads
 * each commit's header and memory holds its blocks), when the UTC day changes, when nothing came
 * for journal_age_s, or after 15 times that; then the compactor takes it. The day is the clock's at
 * the commit: when the clock is set back over midnight, the earlier day gets a further journal.
 *
 * Failure: nothing of the group is acknowledged as stored; the journal goes on behind its last good
 * commit, or (journal.h: broken) is left as it is and the next commit opens another. So a full disk
 * heals by itself: each group tries again.
 *
 * Rejected: encoding on the network threads (a group would be many small blocks; one thread encodes
 * faster than two disks sync); acknowledging before the sync with a timer, as others do. */
#include "base/mem.h"
#include "store/embedded_int.h"

enum {
    QUEUE_ITEMS = 1 << 16,
    GROUP_ITEMS = 256,
    GROUP_BYTES = 32 << 20,
    TICK_MS = 1000,
    AGE_FACTOR = 15,
    BUSY_BYTES = 512 << 10, /* appended within a second */
    JOURNAL_COMMITS_MAX = 8192,
};
#define SECOND_NS INT64_C(1000000000)

typedef struct item {
    telemetry *t; /* NULL: store the block, or close the journal; then push to done */
    const block_info *info;
    str payload;
    void (*ack)(void *ctx, rc code, const err *e);
    void *ctx;
    sys_queue *done;
    size_t bytes;
    rc code; /* of encoding */
    err e;
} item;

struct writer {
    embedded *s;
    sys_thread *thread;
    sys_queue *queue;
    atomic_size_t queue_bytes;
    atomic_int_fast64_t last_busy_ns;
    /* The writer thread's own: */
    commit commit;
    journal journal;  /* fd -1: none */
    store_file *file; /* its entry in the list; the list holds the reference */
    char day[DAY_NAME_BYTES];
    int64_t created_ns, written_ns; /* monotonic */
    int64_t window_ns;
    uint64_t window_bytes;
    int64_t stamp; /* of the newest checkpoint */
    edge_builder *edges;
    item *group[GROUP_ITEMS];
    telemetry *telemetries[GROUP_ITEMS];
};

static int64_t mono(const embedded *s) { return s->clock->ops->mono(s->clock->ctx).ns; }

/* ---- journals ---- */

/* The file has as many bytes as the journal says; with `closed` nobody writes it any more. */
static void publish_end(writer *w, bool closed) {
    sys_lock_take(w->s->list.lock);
    w->file->bytes = w->journal.end;
    if (closed) w->file->open = false;
    sys_lock_give(w->s->list.lock);
}

static void close_journal(writer *w, bool broken) {
    if (w->journal.fd < 0) return;
    embedded *s = w->s;
    journal_close(&w->journal, broken);
    sys_stat st;
    if (s->fs->ops->fstat(s->fs->ctx, w->file->fd, &st, NULL) == RC_OK)
        w->journal.end = st.size_bytes; /* with the end record */
    publish_end(w, true);
    w->file = NULL;
    compactor_wake(s);
}

typedef struct place {
    partition *p; /* NULL: there are too many */
    uint64_t number;
    bool ready;
    file_path dir;
} place;

/* The partition of the day, marked busy, and the next number in it. */
static place take_place(embedded *s, str day) {
    place at = {0};
    for (;;) {
        sys_lock_take(s->list.lock);
        partition *p = catalog_partition(&s->list, day, false);
        bool busy = p && p->busy;
        if (p && !busy) {
            p->busy = true;
            at = (place){p, p->next_number++, p->ready, partition_dir(&s->list, p)};
        }
        sys_lock_give(s->list.lock);
        if (!busy) return at;
        /* It is being moved: the clock was set back by weeks. */
        s->clock->ops->sleep(s->clock->ctx, SECOND_NS / 100);
    }
}

static rc make_folder(embedded *s, const place *at, err *e) {
    if (at->ready) return RC_OK;
    rc code = s->fs->ops->mkdir(s->fs->ctx, path_str(&at->dir), e);
    return code ? code : sys_sync_dir(s->fs, s->list.hot_dir, e);
}

static rc open_reading(embedded *s, str dir, uint64_t number, int *ret_fd, err *e) {
    char name[FILE_NAME_BYTES];
    file_path path = path_join(dir, format_name(name, FILE_JOURNAL, number, number));
    return s->fs->ops->open(s->fs->ctx, path_str(&path), SYS_READ, ret_fd, e);
}

static rc open_journal(writer *w, int64_t now_ns, err *e) {
    embedded *s = w->s;
    char day[DAY_NAME_BYTES];
    format_day(now_ns, day);
    if (w->journal.fd >= 0) {
        if (str_eq(str_c(day), str_c(w->day)) && w->journal.end < s->opts.journal_bytes &&
            w->journal.sequence < JOURNAL_COMMITS_MAX)
            return RC_OK;
        close_journal(w, false);
    }
    place at = take_place(s, str_c(day));
    if (!at.p) return FAIL(e, RC_LIMIT, "more than %d partitions", PARTITIONS_MAX);
    str dir = path_str(&at.dir);
    int fd = -1;
    rc code = make_folder(s, &at, e);
    if (!code) code = journal_create(s->fs, dir, at.number, now_ns, &w->journal, e);
    if (!code) {
        code = open_reading(s, dir, at.number, &fd, e);
        if (code) journal_close(&w->journal, true); /* empty: dropped at the next start */
    }
    sys_lock_take(s->list.lock);
    at.p->busy = false;
    if (!code) {
        at.p->ready = true;
        w->file = file_new(s->fs, fd, FILE_JOURNAL, at.number, at.number);
        w->file->open = true;
        w->file->bytes = w->journal.end;
        partition_add(at.p, w->file);
    }
    sys_lock_give(s->list.lock);
    if (code) return code;
    memcpy(w->day, day, sizeof day);
    w->created_ns = w->written_ns = mono(s);
    return RC_OK;
}

/* ---- a group ---- */

static rc encode_all(writer *w, telemetry *const *t, size_t count, err *e) {
    for (unsigned kind = 1; kind < BLOCK_KINDS; kind++) {
        const block_ops *ops = embedded_block_ops(kind);
        if (!ops || !ops->encode || kind == BLOCK_EDGES) continue; /* edges: see encode_edges */
        rc code = ops->encode(t, count, commit_put, &w->commit, e);
        if (code) return code;
    }
    return RC_OK;
}

/* Edges of what the commit takes; the commit goes without them when they do not fit. */
static void encode_edges(writer *w, telemetry *const *t, size_t count) {
    embedded *s = w->s;
    commit_mark mark = commit_save(&w->commit);
    int64_t now_ns = s->clock->ops->wall(s->clock->ctx).ns;
    err e = {0};
    rc code = edge_builder_encode(w->edges, t, count, now_ns, commit_put, &w->commit, &e);
    if (!code) return;
    commit_restore(&w->commit, mark);
    embedded_trouble(s, "edges_dropped", &e);
}

/* Checkpoints are ordered by arrival time: it must grow although the clock may not. */
static void stamp_checkpoints(writer *w, telemetry *t) {
    if (t->checkpoint_count == 0) return;
    if (t->arrival_ns <= w->stamp) t->arrival_ns = w->stamp + 1;
    w->stamp = t->arrival_ns;
}

static void encode_group(writer *w, size_t count) {
    commit_reset(&w->commit);
    for (size_t i = 0; i < count; i++) {
        w->telemetries[i] = w->group[i]->t;
        w->group[i]->code = RC_OK;
        stamp_checkpoints(w, w->group[i]->t);
    }
    err *first = &w->group[0]->e;
    if (encode_all(w, w->telemetries, count, first) == RC_OK) {
        encode_edges(w, w->telemetries, count);
        return;
    }
    size_t taken = 0;
    commit_reset(&w->commit);
    for (size_t i = 0; i < count; i++) {
        commit_mark mark = commit_save(&w->commit);
        item *it = w->group[i];
        it->code = encode_all(w, &it->t, 1, &it->e);
        if (it->code)
            commit_restore(&w->commit, mark);
        else
            w->telemetries[taken++] = it->t;
    }
    encode_edges(w, w->telemetries, taken);
}

static void note_busy(writer *w, int64_t now, uint64_t bytes) {
    if (now - w->window_ns >= SECOND_NS) {
        w->window_ns = now;
        w->window_bytes = 0;
    }
    w->window_bytes += bytes;
    if (w->window_bytes >= BUSY_BYTES) atomic_store(&w->last_busy_ns, now);
}

static rc commit_group(writer *w, size_t count, err *e) {
    embedded *s = w->s;
    if (w->commit.blocks.n == 0) return RC_OK; /* nothing to keep */
    int64_t arrival = s->clock->ops->wall(s->clock->ctx).ns;
    rc code = open_journal(w, arrival, e);
    if (code) return code;
    for (size_t i = count; i-- > 0;)
        if (w->group[i]->t->arrival_ns) arrival = w->group[i]->t->arrival_ns;
    journal_state state;
    uint64_t before = w->journal.end;
    code = journal_append(&w->journal, &w->commit, arrival, &state, e);
    if (code) {
        if (state == JOURNAL_BROKEN) close_journal(w, true);
        return code;
    }
    sys_lock_take(s->list.lock);
    catalog_add_blocks(&s->list, w->file, w->commit.blocks.v, w->commit.blocks.n);
    w->file->bytes = w->journal.end;
    sys_lock_give(s->list.lock);
    w->written_ns = mono(s);
    note_busy(w, w->written_ns, w->journal.end - before);
    atomic_fetch_add(&s->commits, 1);
    atomic_fetch_add(&s->syncs, 1);
    atomic_fetch_add(&s->commit_bytes, w->journal.end - before);
    return RC_OK;
}

static void tell_disk(embedded *s, rc code, err *e) {
    if (!code) {
        if (atomic_exchange(&s->disk_full, false))
            embedded_event(s, "disk_space_back", "writing goes on");
        return;
    }
    if (sys_is_disk_full(e)) {
        err_wrap(e, code, "disk full");
        err_hint(e, "free space, or let the store keep less (retention)");
        if (atomic_exchange(&s->disk_full, true)) return; /* told before */
        compactor_wake(s);                                /* retention may help */
    }
    embedded_trouble(s, "write_failed", e);
}

static void handle_group(writer *w, size_t count) {
    embedded *s = w->s;
    err e = {0};
    encode_group(w, count);
    rc code = commit_group(w, count, &e);
    if (code || w->commit.blocks.n) tell_disk(s, code, &e);
    for (size_t i = 0; i < count; i++) {
        item *it = w->group[i];
        bool own = it->code != RC_OK; /* its own failure comes first */
        rc result = own ? it->code : code;
        atomic_fetch_add(result ? &s->failed : &s->acknowledged, 1);
        if (it->ack) it->ack(it->ctx, result, own ? &it->e : result ? &e : NULL);
        telemetry_free(it->t);
        atomic_fetch_sub(&w->queue_bytes, it->bytes);
        mem_free(it);
    }
}

/* Edges whose other side did not come in time, when nothing else is written; with `all` at the end.
 */
static void commit_edges(writer *w, bool all) {
    err e = {0};
    commit_reset(&w->commit);
    if (!all)
        encode_edges(w, NULL, 0);
    else if (edge_builder_finish(w->edges, commit_put, &w->commit, &e))
        return;
    if (w->commit.blocks.n == 0) return;
    rc code = commit_group(w, 0, &e);
    tell_disk(w->s, code, &e);
}

static void handle_block(writer *w, item *it) {
    commit_reset(&w->commit);
    it->code = commit_put(&w->commit, it->info, it->payload, &it->e);
    if (!it->code) it->code = commit_group(w, 0, &it->e);
    tell_disk(w->s, it->code, &it->e);
}

/* ---- thread ---- */

static void close_when_old(writer *w) {
    if (w->journal.fd < 0) return;
    embedded *s = w->s;
    int64_t now = mono(s), age = (int64_t)s->opts.journal_age_s * SECOND_NS;
    if (now - w->written_ns >= age || now - w->created_ns >= age * AGE_FACTOR)
        close_journal(w, false);
}

static void writer_main(void *ctx) {
    writer *w = ctx;
    item *pending = NULL; /* taken from the queue, for the next round */
    for (;;) {
        void *p = pending;
        pending = NULL;
        rc code = p                   ? RC_OK
                  : w->journal.fd < 0 ? sys_queue_pop(w->queue, &p)
                                      : sys_queue_pop_wait(w->queue, TICK_MS, &p);
        if (code == RC_END) break;
        close_when_old(w);
        if (code == RC_TIMEOUT) {
            commit_edges(w, false);
            continue;
        }
        item *it = p;
        if (!it->t) {
            if (it->info)
                handle_block(w, it);
            else
                close_journal(w, false);
            MUST(sys_queue_push(it->done, it) == RC_OK);
            continue;
        }
        size_t count = 0, bytes = it->bytes;
        w->group[count++] = it;
        while (count < GROUP_ITEMS && bytes < GROUP_BYTES &&
               sys_queue_pop_wait(w->queue, 0, &p) == RC_OK) {
            it = p;
            if (!it->t) {
                pending = it;
                break;
            }
            bytes += it->bytes;
            w->group[count++] = it;
        }
        handle_group(w, count);
    }
    commit_edges(w, true);
    close_journal(w, false);
}

rc writer_start(embedded *s, err *e) {
    writer *w = mem_new(writer);
    w->s = s;
    w->journal.fd = -1;
    w->queue = sys_queue_new(QUEUE_ITEMS);
    w->stamp = checkpoint_newest(s);
    atomic_init(&w->last_busy_ns, mono(s) - 3600 * SECOND_NS);
    commit_init(&w->commit);
    w->edges = edge_builder_new();
    s->writer = w;
    rc code = sys_thread_start("store-writer", writer_main, w, &w->thread, e);
    if (code) {
        s->writer = NULL;
        sys_queue_free(w->queue);
        edge_builder_free(w->edges);
        commit_release(&w->commit);
        mem_free(w);
    }
    return code;
}

void writer_stop(embedded *s) {
    writer *w = s->writer;
    if (!w) return;
    sys_queue_close(w->queue);
    sys_thread_join(w->thread);
    sys_queue_free(w->queue);
    edge_builder_free(w->edges);
    commit_release(&w->commit);
    mem_free(w);
    s->writer = NULL;
}

/* ---- callers ---- */

rc writer_append(store *base, telemetry *t, void (*ack)(void *ctx, rc code, const err *e),
                 void *ctx) {
    embedded *s = embedded_of(base);
    writer *w = s->writer;
    if (!w) return RC_UNSUPPORTED;
    size_t bytes = sizeof *t + t->mem.held_bytes + t->logs.mem.held_bytes + t->body_bytes;
    atomic_fetch_add(&s->appended, 1);
    size_t before = atomic_fetch_add(&w->queue_bytes, bytes);
    rc code = RC_AGAIN; /* one that is larger than the queue's limit passes alone */
    if (before == 0 || before + bytes <= s->opts.queue_bytes) {
        item *it = mem_new(item);
        it->t = t;
        it->ack = ack;
        it->ctx = ctx;
        it->bytes = bytes;
        code = sys_queue_try_push(w->queue, it);
        if (code) mem_free(it);
    }
    if (code) {
        atomic_fetch_sub(&w->queue_bytes, bytes);
        atomic_fetch_add(&s->refused, 1);
    }
    return code;
}

/* Gives the thread something to do between groups and waits for it. */
static rc ask(writer *w, item *it, err *e) {
    it->done = sys_queue_new(1);
    rc code = sys_queue_push(w->queue, it);
    if (!code) {
        void *back;
        MUST(sys_queue_pop(it->done, &back) == RC_OK && back == it);
        code = it->code;
        if (code && e) *e = it->e;
    } else {
        code = FAIL(e, code, "the store is closing");
    }
    sys_queue_free(it->done);
    return code;
}

void writer_seal(embedded *s) {
    if (s->writer) IGNORE(ask(s->writer, &(item){0}, NULL)); /* closing closes it, too */
}

rc writer_put_block(embedded *s, const block_info *info, str payload, err *e) {
    if (!s->writer) return FAIL(e, RC_UNSUPPORTED, "the store is open for reading only");
    return ask(s->writer, &(item){.info = info, .payload = payload}, e);
}

void writer_stats(embedded *s, store_stats *ret) {
    if (!s->writer) return;
    ret->queue_depth = sys_queue_depth(s->writer->queue);
    ret->queue_bytes = atomic_load(&s->writer->queue_bytes);
    ret->queue_max_bytes = s->opts.queue_bytes;
}

bool writer_is_quiet(embedded *s) {
    return !s->writer || mono(s) - atomic_load(&s->writer->last_busy_ns) >= 3 * SECOND_NS;
}
