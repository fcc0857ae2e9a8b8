/* checkpoint.c - where tailed files stand: key and opaque bytes, stored in the commit that stores
 * the records, so that neither is ahead of the other.
 *
 *     payload = count (varint)
 *               count x { stamp (8 bytes), key bytes (varint), key, data bytes (varint), data }
 *               checksum of all before (8 bytes)
 *
 * The newest row of a key counts. "Newest" is the stamp: the arrival time, which the writer makes
 * grow for checkpoints whatever the clock does; block_info's times are those of its stamps, so a
 * lookup starts with the newest block and ends when no other can hold a newer row.
 *
 * Merging keeps the newest row of each key. Looked up once for each tailed file at start. */
#include "base/map.h"
#include "base/mem.h"
#include "store/embedded_int.h"

enum { KEY_MAX = 512, DATA_MAX = 4096, KEYS_MAX = 1 << 20, ROWS_BYTES_MAX = BLOCK_BYTES_MAX };

typedef struct row {
    int64_t stamp;
    str key, data;
} row;

typedef struct rows {
    const char *p, *end;
    uint64_t left;
} rows;

static bool get_varint(rows *r, uint64_t *ret) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        if (r->p == r->end) return false;
        uint8_t byte = (uint8_t)*r->p++;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool get_text(rows *r, uint64_t max, str *ret) {
    uint64_t n;
    if (!get_varint(r, &n) || n > max || n > (uint64_t)(r->end - r->p)) return false;
    *ret = str_make(r->p, (size_t)n);
    r->p += n;
    return true;
}

static uint64_t get_u64(const char *p) {
    uint64_t v = 0;
    for (int i = 8; i-- > 0;) v = v << 8 | (uint8_t)p[i];
    return v;
}

static rc rows_init(rows *r, str payload, const block_info *info, err *e) {
    if (payload.n < 9 ||
        get_u64(payload.p + payload.n - 8) != format_checksum(payload.p, payload.n - 8))
        return FAIL(e, RC_CORRUPT, "a block of checkpoints is damaged");
    *r = (rows){.p = payload.p, .end = payload.p + payload.n - 8};
    if (!get_varint(r, &r->left) || r->left != info->rows)
        return FAIL(e, RC_CORRUPT, "a block of checkpoints has another count than its directory");
    return RC_OK;
}

/* RC_END after the last. */
static rc rows_next(rows *r, row *ret, err *e) {
    if (r->left == 0)
        return r->p == r->end ? RC_END : FAIL(e, RC_CORRUPT, "bytes behind the last checkpoint");
    row n;
    if (r->end - r->p < 8) return FAIL(e, RC_CORRUPT, "a checkpoint is cut off");
    n.stamp = (int64_t)get_u64(r->p);
    r->p += 8;
    if (!get_text(r, KEY_MAX, &n.key) || !get_text(r, DATA_MAX, &n.data))
        return FAIL(e, RC_CORRUPT, "a checkpoint is cut off");
    r->left--;
    *ret = n;
    return RC_OK;
}

static rc put_rows(const row *v, size_t count, int level, block_put put, void *put_ctx, err *e) {
    buf out;
    buf_init(&out, BLOCK_BYTES_MAX);
    block_info info = {.kind = BLOCK_CHECKPOINTS,
                       .level = (uint8_t)level,
                       .version = 1,
                       .rows = (uint32_t)count,
                       .min_ts_ns = INT64_MAX,
                       .max_ts_ns = INT64_MIN};
    IGNORE(!buf_varint(&out, count)); /* `full` is looked at in the end */
    for (size_t i = 0; i < count; i++) {
        IGNORE(!buf_le64(&out, (uint64_t)v[i].stamp) || !buf_varint(&out, v[i].key.n) ||
               !buf_put(&out, v[i].key) || !buf_varint(&out, v[i].data.n) ||
               !buf_put(&out, v[i].data)); /* likewise */
        info.min_ts_ns = MIN(info.min_ts_ns, v[i].stamp);
        info.max_ts_ns = MAX(info.max_ts_ns, v[i].stamp);
        info.raw_bytes += v[i].key.n + v[i].data.n;
    }
    IGNORE(!buf_le64(&out, format_checksum(out.p, out.n))); /* likewise */
    info.bytes = out.n;
    rc code = out.full ? FAIL(e, RC_LIMIT, "too many checkpoints for a block")
                       : put(put_ctx, &info, buf_str(&out), e);
    buf_release(&out);
    return code;
}

static rc checkpoints_encode(telemetry *const *t, size_t count, block_put put, void *put_ctx,
                             err *e) {
    VEC(row) v = {0};
    rc code = RC_OK;
    for (size_t i = 0; !code && i < count; i++) {
        for (uint32_t k = 0; !code && k < t[i]->checkpoint_count; k++) {
            const tail_checkpoint *c = &t[i]->checkpoints[k];
            if (c->key.n > KEY_MAX || c->data.n > DATA_MAX || v.n == BLOCK_L0_ROWS_MAX)
                code = FAIL(e, RC_LIMIT, "a checkpoint of %zu and %zu bytes, or too many of them",
                            c->key.n, c->data.n);
            else
                vec_push(&v, (row){t[i]->arrival_ns, c->key, c->data});
        }
    }
    if (!code && v.n) code = put_rows(v.v, v.n, 0, put, put_ctx, e);
    vec_release(&v);
    return code;
}

/* The payload: in memory as it is, else read into *hold (mem_free'd by the caller). */
static rc payload_of(const block_io *io, const block_info *info, char **hold, str *ret, err *e) {
    *hold = NULL;
    if (io->memory.p) {
        *ret = io->memory;
        return RC_OK;
    }
    char *p = mem_try_raw(info->bytes);
    if (!p) return FAIL(e, RC_LIMIT, "no memory to read a block");
    rc code = io->read(io->ctx, 0, info->bytes, p, e);
    if (code) {
        mem_free(p);
        return code;
    }
    *hold = p;
    *ret = str_make(p, info->bytes);
    return RC_OK;
}

typedef struct newest {
    intern keys;
    VEC(row) v; /* by key id; texts in mem */
    arena mem;
} newest;

static rc newest_add(newest *n, const row *r, err *e) {
    uint32_t id = intern_put(&n->keys, r->key);
    if (id == INTERN_NONE) return FAIL(e, RC_LIMIT, "more than %d checkpoints", KEYS_MAX);
    if (id == n->v.n) vec_push(&n->v, (row){.stamp = INT64_MIN});
    row *to = &n->v.v[id];
    if (r->stamp < to->stamp) return RC_OK;
    str data = str_dup(&n->mem, r->data);
    if (!data.p) return FAIL(e, RC_LIMIT, "no memory for checkpoints");
    *to = (row){r->stamp, intern_str(&n->keys, id), data};
    return RC_OK;
}

static rc add_block(newest *n, const block_io *io, const block_info *info, err *e) {
    char *hold;
    str payload;
    rc code = payload_of(io, info, &hold, &payload, e);
    if (code) return code;
    rows r;
    row next;
    code = rows_init(&r, payload, info, e);
    while (!code && (code = rows_next(&r, &next, e)) == RC_OK) code = newest_add(n, &next, e);
    mem_free(hold);
    return code == RC_END ? RC_OK : code;
}

static void newest_init(newest *n) {
    *n = (newest){0};
    intern_init(&n->keys, "checkpoint keys", KEYS_MAX, (size_t)512 << 20);
    arena_init(&n->mem, "checkpoints", (size_t)512 << 20);
}

static void newest_release(newest *n) {
    intern_release(&n->keys);
    arena_release(&n->mem);
    vec_release(&n->v);
}

static rc checkpoints_merge(const block_io *in, const block_info *info, size_t count,
                            size_t max_bytes, block_put put, void *put_ctx,
                            const volatile int *cancel, size_t *ret_bad, err *e) {
    (void)max_bytes; /* one row for each tailed file: small */
    newest n;
    newest_init(&n);
    rc code = RC_OK;
    for (size_t i = 0; !code && i < count; i++) {
        if (store_cancelled(cancel)) code = FAIL(e, RC_CANCELLED, "merging was cancelled");
        if (!code) code = add_block(&n, &in[i], &info[i], e);
        if (code == RC_CORRUPT) *ret_bad = i;
    }
    for (size_t at = 0; !code && at < n.v.n; at += BLOCK_ROWS_MAX)
        code = put_rows(n.v.v + at, MIN(n.v.n - at, (size_t)BLOCK_ROWS_MAX), 1, put, put_ctx, e);
    newest_release(&n);
    return code;
}

static rc checkpoints_verify(const block_io *in, const block_info *info, err *e) {
    char *hold;
    str payload;
    rc code = payload_of(in, info, &hold, &payload, e);
    if (code) return code;
    rows r;
    row next;
    code = rows_init(&r, payload, info, e);
    while (!code) code = rows_next(&r, &next, e);
    mem_free(hold);
    return code == RC_END ? RC_OK : code;
}

const block_ops CHECKPOINT_BLOCKS = {.kind = BLOCK_CHECKPOINTS,
                                     .encode = checkpoints_encode,
                                     .merge = checkpoints_merge,
                                     .verify = checkpoints_verify};

/* ---- lookup ---- */

typedef struct lookup {
    str key;
    bool found;
    int64_t stamp;
    arena *out;
    str data;
} lookup;

static rc look_in(void *ctx, unsigned worker, const block_ref *ref, select_stats *stats, err *e) {
    (void)worker, (void)stats;
    lookup *l = ctx;
    if (l->found && ref->info.max_ts_ns <= l->stamp) return RC_END; /* newest first */
    char *hold;
    str payload;
    rc code = payload_of(&ref->io, &ref->info, &hold, &payload, e);
    if (code) return code;
    rows r;
    row next;
    code = rows_init(&r, payload, &ref->info, e);
    while (!code && (code = rows_next(&r, &next, e)) == RC_OK) {
        if (!str_eq(next.key, l->key) || (l->found && next.stamp < l->stamp)) continue;
        str data = str_dup(l->out, next.data);
        if (!data.p) {
            code = FAIL(e, RC_LIMIT, "no memory for a checkpoint");
            break;
        }
        l->found = true;
        l->stamp = next.stamp;
        l->data = data;
    }
    mem_free(hold);
    return code == RC_END ? RC_OK : code;
}

rc checkpoint_find(store *base, str key, arena *out, str *ret, err *e) {
    snapshot *snap;
    rc code = snapshot_take(base, BLOCK_CHECKPOINTS, 0, 0, SELECT_NEWEST_FIRST, &snap, NULL, e);
    if (code) return code;
    lookup l = {.key = key, .out = out};
    code = snapshot_each(snap, NULL, look_in, &l, NULL, e);
    snapshot_release(snap);
    if (code) return code;
    if (!l.found) return RC_NOT_FOUND;
    *ret = l.data;
    return RC_OK;
}

/* ---- a partition that is about to go ---- */

/* All checkpoint blocks of the list, with their files kept; from[i]: of the partition. */
typedef struct all_blocks {
    VEC(file_io) ios;
    VEC(store_file *) files;
    VEC(bool) inside;
} all_blocks;

static void list_blocks(embedded *s, const partition *which, all_blocks *all) {
    sys_lock_take(s->list.lock);
    for (size_t p = 0; p < s->list.parts.n; p++) {
        const partition *part = s->list.parts.v[p];
        for (size_t f = 0; f < part->files.n; f++) {
            store_file *file = part->files.v[f];
            for (size_t b = 0; b < file->blocks.n; b++) {
                const block_entry *e = &file->blocks.v[b].e;
                if (e->info.kind != BLOCK_CHECKPOINTS) continue;
                vec_push(&all->ios, (file_io){file->fs, file->fd, *e});
                vec_push(&all->files, file_ref(file));
                vec_push(&all->inside, part == which);
            }
        }
    }
    sys_lock_give(s->list.lock);
}

/* Blocks outside come second: a row of the same stamp there means it was carried before. */
static rc add_side(newest *n, all_blocks *all, bool inside, err *e) {
    for (size_t i = 0; i < all->ios.n; i++) {
        if (all->inside.v[i] != inside) continue;
        block_io io = file_io_of(&all->ios.v[i], 0);
        rc code = add_block(n, &io, &all->ios.v[i].e.info, e);
        if (code && code != RC_CORRUPT) return code; /* damage is told where it is met in reading */
    }
    return RC_OK;
}

static rc put_carried(void *ctx, const block_info *info, str payload, err *e) {
    return writer_put_block(ctx, info, payload, e);
}

struct carried {
    newest in, out;
    VEC(row) v; /* texts in `in` */
};

static void pick_rows(carried *c) {
    for (size_t i = 0; i < c->in.v.n; i++) {
        uint32_t there = intern_get(&c->out.keys, c->in.v.v[i].key);
        if (there == INTERN_NONE || c->out.v.v[there].stamp < c->in.v.v[i].stamp)
            vec_push(&c->v, c->in.v.v[i]);
    }
}

rc checkpoint_carry(embedded *s, const partition *p, carried **ret, err *e) {
    all_blocks all = {0};
    list_blocks(s, p, &all);
    bool any = false;
    for (size_t i = 0; i < all.inside.n; i++) any |= all.inside.v[i];
    carried *c = mem_new(carried);
    newest_init(&c->in);
    newest_init(&c->out);
    rc code = any ? add_side(&c->in, &all, true, e) : RC_OK;
    if (!code && any) code = add_side(&c->out, &all, false, e);
    if (!code) pick_rows(c);
    for (size_t i = 0; i < all.files.n; i++) file_unref(all.files.v[i]);
    vec_release(&all.files);
    vec_release(&all.ios);
    vec_release(&all.inside);
    if (code) {
        checkpoint_carried_free(c);
        return code;
    }
    *ret = c;
    return RC_OK;
}

rc checkpoint_carried_put(embedded *s, const carried *c, err *e) {
    rc code = RC_OK;
    for (size_t at = 0; !code && at < c->v.n; at += BLOCK_L0_ROWS_MAX)
        code = put_rows(c->v.v + at, MIN(c->v.n - at, (size_t)BLOCK_L0_ROWS_MAX), 0, put_carried, s,
                        e);
    return code;
}

void checkpoint_carried_free(carried *c) {
    if (!c) return;
    newest_release(&c->in);
    newest_release(&c->out);
    vec_release(&c->v);
    mem_free(c);
}

int64_t checkpoint_newest(embedded *s) {
    int64_t stamp = INT64_MIN;
    sys_lock_take(s->list.lock);
    for (size_t p = 0; p < s->list.parts.n; p++) {
        const partition *part = s->list.parts.v[p];
        for (size_t f = 0; f < part->files.n; f++) {
            const store_file *file = part->files.v[f];
            for (size_t b = 0; b < file->blocks.n; b++) {
                const block_info *info = &file->blocks.v[b].e.info;
                if (info->kind == BLOCK_CHECKPOINTS) stamp = MAX(stamp, info->max_ts_ns);
            }
        }
    }
    sys_lock_give(s->list.lock);
    return stamp;
}
