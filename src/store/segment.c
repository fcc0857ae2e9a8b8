/* segment.c - the immutable file that compaction leaves.
 *
 *     file header (64) | block | block | ... | footer | trailer (64)
 *     block  = block header (96: magic, directory entry, checksum) | payload padded to 8
 *     footer = directory entries (80 each) of all blocks
 *
 * Opening reads the trailer and the footer: two reads for any size. The directory is there twice,
 * once in the footer and once in front of each block: when the end of the file is damaged, a walk
 * over the block headers finds all blocks (and, where a header is damaged too, the next one by its
 * magic word), so a flipped bit costs one block at most.
 *
 * The file is written under a name that ends in .tmp, synced, renamed, and the directory synced:
 * under its own name it is always whole. It is synced every SYNC_BYTES on the way, so that the
 * journal's small syncs never wait behind hundreds of megabytes of it.
 *
 * Totals of the file are not stored: they are sums over the directory, which is in memory. */
#include "store/segment_int.h"

#include "base/mem.h"

enum { SYNC_BYTES = 8 << 20, SCAN_BYTES = 1 << 20 };

/* ---- writing ---- */

rc segment_create(const sys_fs *fs, str dir, uint64_t first, uint64_t last, int64_t created_ns,
                  segment_writer *ret, err *e) {
    segment_writer *w = ret;
    *w = (segment_writer){.fs = fs, .fd = -1, .first = first, .last = last};
    char name[FILE_NAME_BYTES];
    str file = format_name(name, FILE_SEGMENT, first, last);
    int n = snprintf(w->dir, sizeof w->dir, "%.*s", STR_ARG(dir));
    MUST(n > 0 && (size_t)n < sizeof w->dir);
    n = snprintf(w->tmp, sizeof w->tmp, "%s/%.*s.tmp", w->dir, STR_ARG(file));
    MUST(n > 0 && (size_t)n < sizeof w->tmp);
    char head[FILE_HEADER_BYTES];
    IGNORE(format_put_file_header(head, &(file_header){.kind = FILE_SEGMENT, /* nothing chains */
                                                       .version = FORMAT_VERSION,
                                                       .first = first,
                                                       .last = last,
                                                       .created_ns = created_ns}) == 0);
    rc code = fs->ops->open(fs->ctx, str_c(w->tmp), SYS_WRITE_TRUNC, &w->fd, e);
    if (code) {
        w->fd = -1;
        return code;
    }
    code = fs->ops->pwrite(fs->ctx, w->fd, head, sizeof head, 0, e);
    if (code) {
        segment_drop(w);
        return code;
    }
    w->end = FILE_HEADER_BYTES;
    return RC_OK;
}

static rc sync_some(segment_writer *w, err *e) {
    if (w->end - MIN(w->synced, w->end) < SYNC_BYTES) return RC_OK;
    w->synced = w->end;
    return w->fs->ops->datasync(w->fs->ctx, w->fd, e);
}

rc segment_put(void *ctx, const block_info *info, str payload, err *e) {
    segment_writer *w = ctx;
    MUST(w->fd >= 0 && info->bytes == payload.n && info->kind != 0);
    if (w->blocks.n == SEGMENT_BLOCKS_MAX || payload.n > BLOCK_BYTES_MAX)
        return FAIL(e, RC_LIMIT, "more than %d blocks, or a block of more than %d bytes",
                    SEGMENT_BLOCKS_MAX, BLOCK_BYTES_MAX);
    block_entry b = {.info = *info,
                     .offset = w->end + BLOCK_HEADER_BYTES,
                     .checksum = format_checksum(payload.p, payload.n)};
    char head[BLOCK_HEADER_BYTES];
    format_put_block_header(head, &b);
    rc code = w->fs->ops->pwrite(w->fs->ctx, w->fd, head, sizeof head, w->end, e);
    if (!code && payload.n)
        code = w->fs->ops->pwrite(w->fs->ctx, w->fd, payload.p, payload.n, b.offset, e);
    if (code) return code;
    w->end = b.offset + format_padded(payload.n); /* the padding stays a hole of zeros */
    w->records += info->rows;
    vec_push(&w->blocks, b);
    return sync_some(w, e);
}

void segment_rewind(segment_writer *w, size_t blocks) {
    MUST(blocks <= w->blocks.n);
    while (w->blocks.n > blocks) {
        const block_entry *b = &w->blocks.v[--w->blocks.n];
        w->end = b->offset - BLOCK_HEADER_BYTES;
        w->records -= b->info.rows;
    }
}

static rc write_footer(segment_writer *w, err *e) {
    size_t bytes = w->blocks.n * ENTRY_BYTES, total = bytes + TRAILER_BYTES;
    char *p = mem_try_alloc(total);
    if (!p) return FAIL(e, RC_LIMIT, "no memory for the directory of a segment");
    for (size_t i = 0; i < w->blocks.n; i++) format_put_entry(p + i * ENTRY_BYTES, &w->blocks.v[i]);
    format_put_trailer(p + bytes, &(segment_trailer){.version = FORMAT_VERSION,
                                                     .blocks = (uint32_t)w->blocks.n,
                                                     .footer_offset = w->end,
                                                     .footer_bytes = bytes,
                                                     .file_bytes = w->end + total,
                                                     .records = w->records,
                                                     .footer_checksum = format_checksum(p, bytes)});
    rc code = w->fs->ops->pwrite(w->fs->ctx, w->fd, p, total, w->end, e);
    mem_free(p);
    if (!code) w->end += total;
    return code;
}

rc segment_finish(segment_writer *w, err *e) {
    const sys_fs *fs = w->fs;
    rc code = write_footer(w, e);
    if (!code) code = fs->ops->truncate(fs->ctx, w->fd, w->end, e); /* what a rewind left behind */
    if (!code) code = fs->ops->sync(fs->ctx, w->fd, e);
    if (code) return code;
    code = fs->ops->close(fs->ctx, w->fd, e);
    w->fd = -1; /* gone whatever close says */
    if (code) return code;
    str tmp = str_c(w->tmp), path = str_sub(tmp, 0, tmp.n - 4);
    code = fs->ops->rename(fs->ctx, tmp, path, e);
    if (code) return code;
    w->tmp[0] = '\0';
    return sys_sync_dir(fs, str_c(w->dir), e);
}

void segment_drop(segment_writer *w) {
    /* Failures here leave a .tmp that the next start removes. */
    if (w->fd >= 0) IGNORE(w->fs->ops->close(w->fs->ctx, w->fd, NULL));
    if (w->tmp[0]) IGNORE(w->fs->ops->unlink(w->fs->ctx, str_c(w->tmp), NULL));
    w->fd = -1;
    w->tmp[0] = '\0';
    vec_release(&w->blocks);
}

/* ---- reading ---- */

static bool entry_fits(const block_entry *b, uint64_t end) {
    return b->offset >= FILE_HEADER_BYTES + BLOCK_HEADER_BYTES && b->offset <= end &&
           b->offset % FORMAT_ALIGN == 0 && b->info.bytes <= end - b->offset;
}

static rc check_block(const segment_reader *r, const block_entry *b, err *e) {
    char head[BLOCK_HEADER_BYTES];
    block_entry again;
    rc code = format_read(r->fs, r->fd, b->offset - BLOCK_HEADER_BYTES, head, sizeof head, e);
    if (!code && !format_get_block_header(head, &again))
        r->on_damage(r->ctx, b->offset - BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES, 0,
                     "the header of a block is damaged; nothing is lost by it", NULL);
    if (!code) code = format_check_payload(r->fs, r->fd, b, e);
    if (code == RC_LIMIT) return code;
    if (code)
        r->on_damage(
            r->ctx, b->offset, b->info.bytes, b->info.rows,
            code == RC_IO ? "the block cannot be read" : "the checksum of the block is wrong", b);
    return RC_OK;
}

static rc tell_block(const segment_reader *r, const block_entry *b, err *e) {
    r->on_block(r->ctx, b);
    return r->check_all ? check_block(r, b, e) : RC_OK;
}

/* RC_CORRUPT: the end of the file is damaged, nothing was told. */
static rc read_footer(const segment_reader *r, err *e) {
    char end[TRAILER_BYTES];
    segment_trailer t;
    if (r->bytes < FILE_HEADER_BYTES + TRAILER_BYTES)
        return FAIL(e, RC_CORRUPT, "the file is too short");
    rc code = format_read(r->fs, r->fd, r->bytes - TRAILER_BYTES, end, sizeof end, e);
    if (!code) code = format_get_trailer(end, &t, e);
    if (code) return code;
    if (t.file_bytes != r->bytes || t.footer_offset < FILE_HEADER_BYTES ||
        t.footer_offset > r->bytes || r->bytes - t.footer_offset != t.footer_bytes + TRAILER_BYTES)
        return FAIL(e, RC_CORRUPT, "the trailer does not fit the file");
    char *footer = mem_try_raw(t.footer_bytes);
    if (!footer) return FAIL(e, RC_LIMIT, "no memory for the directory of a segment");
    code = format_read(r->fs, r->fd, t.footer_offset, footer, t.footer_bytes, e);
    if (!code && format_checksum(footer, t.footer_bytes) != t.footer_checksum)
        code = FAIL(e, RC_CORRUPT, "the directory is damaged");
    for (uint32_t i = 0; !code && i < t.blocks; i++) { /* all or nothing is told */
        block_entry b;
        if (!format_get_entry(footer + i * (size_t)ENTRY_BYTES, &b) ||
            !entry_fits(&b, t.footer_offset))
            code = FAIL(e, RC_CORRUPT, "the directory is damaged");
    }
    for (uint32_t i = 0; !code && i < t.blocks; i++) {
        block_entry b;
        MUST(format_get_entry(footer + i * (size_t)ENTRY_BYTES, &b));
        code = tell_block(r, &b, e);
    }
    mem_free(footer);
    return code;
}

/* The next offset >= from with a whole block header; r->bytes when there is none. */
static rc resync(const segment_reader *r, uint64_t from, char *piece, uint64_t *ret, err *e) {
    from = format_padded(from);
    while (from < r->bytes && r->bytes - from >= BLOCK_HEADER_BYTES) {
        size_t n = (size_t)MIN(r->bytes - from, (uint64_t)SCAN_BYTES);
        rc code = format_read(r->fs, r->fd, from, piece, n, e);
        if (code) return code;
        for (size_t at = 0;; at += FORMAT_ALIGN) {
            at += format_find_block(piece + at, n - at);
            if (n - at < BLOCK_HEADER_BYTES) break;
            block_entry b;
            if (format_get_block_header(piece + at, &b) &&
                b.offset == from + at + BLOCK_HEADER_BYTES) {
                *ret = from + at;
                return RC_OK;
            }
        }
        from += n == SCAN_BYTES ? (n - BLOCK_HEADER_BYTES) & ~(size_t)(FORMAT_ALIGN - 1) : n;
    }
    *ret = r->bytes;
    return RC_OK;
}

static rc walk_blocks(const segment_reader *r, err *e) {
    char *piece = mem_try_raw(SCAN_BYTES);
    if (!piece) return FAIL(e, RC_LIMIT, "no memory to read a segment");
    uint64_t at = FILE_HEADER_BYTES;
    rc code = RC_OK;
    while (!code && at < r->bytes) {
        uint64_t next;
        code = resync(r, at, piece, &next, e);
        if (code || next == r->bytes) break;
        if (next > at)
            r->on_damage(r->ctx, at, next - at, 0, "blocks are damaged and cannot be found", NULL);
        char head[BLOCK_HEADER_BYTES];
        block_entry b;
        code = format_read(r->fs, r->fd, next, head, sizeof head, e);
        if (code) break;
        if (!format_get_block_header(head, &b) || b.info.bytes > r->bytes - b.offset) {
            at = next + FORMAT_ALIGN; /* cut off: not a block any more */
            continue;
        }
        code = tell_block(r, &b, e);
        at = b.offset + format_padded(b.info.bytes);
    }
    mem_free(piece);
    return code;
}

rc segment_read(const segment_reader *r, file_header *ret, err *e) {
    char head[FILE_HEADER_BYTES];
    file_header h = {0};
    uint64_t checksum;
    rc code = r->bytes < FILE_HEADER_BYTES ? RC_CORRUPT
                                           : format_read(r->fs, r->fd, 0, head, sizeof head, e);
    if (!code) code = format_get_file_header(head, &h, &checksum, e);
    if (code == RC_CORRUPT)
        r->on_damage(r->ctx, 0, MIN(r->bytes, (uint64_t)FILE_HEADER_BYTES), 0,
                     "the file header is damaged; nothing is lost by it", NULL);
    else if (code)
        return code;
    code = read_footer(r, e);
    if (code == RC_CORRUPT) {
        r->on_damage(r->ctx, r->bytes - MIN(r->bytes, (uint64_t)TRAILER_BYTES),
                     MIN(r->bytes, (uint64_t)TRAILER_BYTES), 0,
                     "the directory at the end is damaged; blocks are found by their own headers",
                     NULL);
        code = walk_blocks(r, e);
    }
    if (!code) *ret = h;
    return code;
}
