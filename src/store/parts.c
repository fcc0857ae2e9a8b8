/* parts.c - see parts.h for the format. The table stands at the end, so that parts are written
 * where they stay; a reader takes the last KiB first, which nearly always holds it whole. */
#include "store/parts.h"

#include "store/column.h"
#include "store/intcode.h"

#include <zstd.h>

enum { TAIL_BYTES = 20, TAIL_GUESS = 2048, ZSTD_LEVEL = 6, SMALL = 48 };
enum { CODEC_PLAIN = 0, CODEC_ZSTD };

static uint32_t le32(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static uint64_t le64(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

void parts_begin(parts_writer *w, buf *out, int level) {
    *w = (parts_writer){.out = out, .level = level, .base = out->n, .ok = true};
}

void parts_release(parts_writer *w) {
    vec_release(&w->parts);
    if (w->zstd) ZSTD_freeCCtx(w->zstd);
    w->zstd = NULL;
}

void part_begin(parts_writer *w, uint32_t id) {
    w->id = id;
    w->from = w->out->n;
}

/* The compressed form in place of the plain one when it is smaller. */
static bool compress_part(parts_writer *w, size_t raw) {
    size_t bound = ZSTD_compressBound(raw);
    if (!w->zstd) w->zstd = ZSTD_createCCtx();
    if (!w->zstd || !buf_reserve(w->out, bound)) return false;
    char *to = w->out->p + w->out->n;
    size_t n = ZSTD_compressCCtx(w->zstd, to, bound, w->out->p + w->from, raw, ZSTD_LEVEL);
    if (ZSTD_isError(n) || n + raw / 50 >= raw) return false;
    memmove(w->out->p + w->from, to, n);
    w->out->n = w->from + n;
    return true;
}

void part_end(parts_writer *w, bool compress) {
    w->ok &= !w->out->full;
    size_t raw = w->out->n - w->from;
    if (!w->ok || raw == 0) return;
    if (raw > PART_BYTES_MAX || w->parts.n == PARTS_MAX) {
        w->ok = false;
        return;
    }
    bool zstd = compress && w->level > 0 && raw > SMALL && compress_part(w, raw);
    w->out->full = false; /* no room for the attempt is no failure */
    size_t n = w->out->n - w->from;
    str bytes = str_make(w->out->p + w->from, n);
    vec_push(&w->parts, (part_entry){.id = w->id,
                                     .bytes = (uint32_t)n,
                                     .raw_bytes = (uint32_t)raw,
                                     .check = (uint32_t)str_hash(bytes),
                                     .codec = zstd ? CODEC_ZSTD : CODEC_PLAIN});
}

bool parts_end(parts_writer *w, block_kind kind, uint8_t version) {
    size_t from = w->out->n;
    bool ok = w->ok;
    for (size_t i = 0; i < w->parts.n; i++) {
        const part_entry *p = &w->parts.v[i];
        ok &= buf_varint(w->out, p->id) && buf_putc(w->out, (char)p->codec) &&
              buf_varint(w->out, p->bytes) &&
              (p->codec == CODEC_PLAIN || buf_varint(w->out, p->raw_bytes)) &&
              buf_le32(w->out, p->check);
    }
    ok &= buf_le32(w->out, (uint32_t)(w->out->n - from)) &&
          buf_le32(w->out, (uint32_t)w->parts.n) && buf_putc(w->out, (char)kind) &&
          buf_putc(w->out, (char)version) && buf_putc(w->out, 0) && buf_putc(w->out, 0);
    if (!ok) return false;
    return buf_le64(w->out, str_hash(str_make(w->out->p + from, w->out->n - from)));
}

/* --- reading --- */

static rc read_range(const parts *p, uint64_t offset, size_t n, arena *mem, str *ret, err *e) {
    if (p->io->memory.n) {
        if (offset > p->io->memory.n || n > p->io->memory.n - offset)
            return FAIL(e, RC_CORRUPT, "a block ends within a part");
        *ret = str_sub(p->io->memory, (size_t)offset, n);
        return RC_OK;
    }
    char *to = arena_try_raw(mem, n, 1);
    if (!to) return FAIL(e, RC_LIMIT, "no memory for %zu bytes of a block", n);
    *ret = str_make(to, n);
    return p->io->read(p->io->ctx, offset, n, to, e);
}

static int by_id(const void *a, const void *b) {
    uint32_t x = ((const part_entry *)a)->id, y = ((const part_entry *)b)->id;
    return x < y ? -1 : x > y;
}

static rc read_table(parts *p, str table, uint32_t count, uint64_t bytes, arena *mem, err *e) {
    if (count > PARTS_MAX || count > table.n)
        return FAIL(e, RC_CORRUPT, "damaged table of a block");
    p->entries = arena_try_new_n(mem, part_entry, count);
    if (!p->entries) return FAIL(e, RC_LIMIT, "no memory for the table of a block");
    uint64_t offset = 0;
    for (uint32_t i = 0; i < count; i++) {
        part_entry *x = &p->entries[i];
        uint64_t id, n, raw;
        str codec, check;
        if (!take_varint(&table, UINT32_MAX, &id) || !take_bytes(&table, 1, &codec) ||
            (uint8_t)codec.p[0] > CODEC_ZSTD || !take_varint(&table, PART_BYTES_MAX, &n))
            return FAIL(e, RC_CORRUPT, "damaged table of a block");
        x->codec = (uint8_t)codec.p[0];
        raw = n;
        if (x->codec == CODEC_ZSTD && !take_varint(&table, PART_BYTES_MAX, &raw))
            return FAIL(e, RC_CORRUPT, "damaged table of a block");
        if (!take_bytes(&table, 4, &check) || n > bytes - offset || raw == 0)
            return FAIL(e, RC_CORRUPT, "damaged table of a block");
        x->id = (uint32_t)id;
        x->bytes = (uint32_t)n;
        x->raw_bytes = (uint32_t)raw;
        x->check = le32(check.p);
        x->offset = offset;
        offset += n;
        if (i && p->entries[i - 1].id >= x->id) p->count = SIZE_MAX; /* to be sorted */
    }
    if (table.n || offset != bytes) return FAIL(e, RC_CORRUPT, "damaged table of a block");
    if (p->count == SIZE_MAX) {
        qsort(p->entries, count, sizeof *p->entries, by_id);
        for (uint32_t i = 1; i < count; i++) {
            if (p->entries[i - 1].id == p->entries[i].id)
                return FAIL(e, RC_CORRUPT, "a block has a part twice");
        }
    }
    p->count = count;
    return RC_OK;
}

rc parts_open(parts *p, const block_io *io, uint64_t bytes, block_kind kind, uint8_t version,
              arena *mem, err *e) {
    *p = (parts){.io = io};
    if (bytes < TAIL_BYTES) return FAIL(e, RC_CORRUPT, "a block of %" PRIu64 " bytes", bytes);
    size_t guess = (size_t)MIN(bytes, (uint64_t)TAIL_GUESS);
    str end;
    rc code = read_range(p, bytes - guess, guess, mem, &end, e);
    if (code != RC_OK) return code;
    p->bytes_read += guess;
    const char *tail = end.p + end.n - TAIL_BYTES;
    size_t table_bytes = le32(tail);
    uint32_t count = le32(tail + 4);
    if (table_bytes > bytes - TAIL_BYTES)
        return FAIL(e, RC_CORRUPT, "the table of a block is damaged");
    if (table_bytes + TAIL_BYTES > guess) {
        code =
            read_range(p, bytes - TAIL_BYTES - table_bytes, table_bytes + TAIL_BYTES, mem, &end, e);
        if (code != RC_OK) return code;
        p->bytes_read += end.n;
    } else {
        end = str_from(end, guess - TAIL_BYTES - table_bytes);
    }
    if (str_hash(str_sub(end, 0, end.n - 8)) != le64(end.p + end.n - 8))
        return FAIL(e, RC_CORRUPT, "the table of a block has a wrong checksum");
    tail = end.p + table_bytes;
    if ((uint8_t)tail[8] != kind) return FAIL(e, RC_CORRUPT, "a block of another kind");
    p->version = (uint8_t)tail[9];
    if (p->version == 0 || p->version > version)
        return FAIL(e, RC_UNSUPPORTED, "a block of version %u; this build reads up to %u",
                    (unsigned)p->version, (unsigned)version);
    return read_table(p, str_sub(end, 0, table_bytes), count, bytes - TAIL_BYTES - table_bytes, mem,
                      e);
}

void parts_close(parts *p) {
    for (size_t i = 0; i < p->pins.n; i++) block_cache_unpin(p->cache, p->pins.v[i]);
    vec_release(&p->pins);
}

const part_entry *parts_find(const parts *p, uint32_t id) {
    size_t lo = 0, hi = p->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->entries[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < p->count && p->entries[lo].id == id ? &p->entries[lo] : NULL;
}

static rc check_part(const part_entry *x, str stored, err *e) {
    if ((uint32_t)str_hash(stored) == x->check) return RC_OK;
    return FAIL(e, RC_CORRUPT, "part %u of a block at offset %" PRIu64 " has a wrong checksum",
                (unsigned)x->id, x->offset);
}

static rc unpack(const part_entry *x, str stored, char *to, err *e) {
    size_t n = ZSTD_decompress(to, x->raw_bytes, stored.p, stored.n);
    if (ZSTD_isError(n) || n != x->raw_bytes)
        return FAIL(e, RC_CORRUPT, "part %u of a block does not unpack", (unsigned)x->id);
    return RC_OK;
}

rc parts_get(parts *p, uint32_t id, arena *mem, str *ret, err *e) {
    const part_entry *x = parts_find(p, id);
    if (!x) {
        *ret = STR_NONE;
        return RC_OK;
    }
    bool cached = p->cache && !(p->io->memory.n && x->codec == CODEC_PLAIN);
    size_t n;
    const void *hit = cached ? block_cache_get(p->cache, p->io->id, id, &n) : NULL;
    if (hit && n == x->raw_bytes) {
        vec_push(&p->pins, hit);
        *ret = str_make(hit, n);
        return RC_OK;
    }
    if (hit) block_cache_unpin(p->cache, hit);
    str stored;
    rc code = read_range(p, x->offset, x->bytes, mem, &stored, e);
    if (code != RC_OK || (code = check_part(x, stored, e)) != RC_OK) return code;
    p->bytes_read += x->bytes;
    p->bytes_decoded += x->raw_bytes;
    *ret = stored;
    if (x->codec == CODEC_PLAIN && !cached) return RC_OK;
    char *to = cached ? mem_try_raw(x->raw_bytes) : arena_try_raw(mem, x->raw_bytes, 16);
    if (!to) return FAIL(e, RC_LIMIT, "no memory for %u bytes of a block", (unsigned)x->raw_bytes);
    if (x->codec == CODEC_PLAIN) {
        memcpy(to, stored.p, stored.n);
    } else if ((code = unpack(x, stored, to, e)) != RC_OK) {
        if (cached) mem_free(to);
        return code;
    }
    *ret = str_make(to, x->raw_bytes);
    if (!cached) return RC_OK;
    const void *kept = block_cache_put(p->cache, p->io->id, id, to, x->raw_bytes);
    if (kept) {
        vec_push(&p->pins, kept);
        *ret = str_make(kept, x->raw_bytes);
        return RC_OK;
    }
    char *copy = arena_try_raw(mem, x->raw_bytes, 16);
    if (copy) memcpy(copy, to, x->raw_bytes);
    mem_free(to);
    if (!copy)
        return FAIL(e, RC_LIMIT, "no memory for %u bytes of a block", (unsigned)x->raw_bytes);
    *ret = str_make(copy, x->raw_bytes);
    return RC_OK;
}

rc parts_verify(parts *p, arena *tmp, err *e) {
    for (size_t i = 0; i < p->count; i++) {
        arena_mark m = arena_save(tmp);
        str bytes;
        rc code = parts_get(p, p->entries[i].id, tmp, &bytes, e);
        arena_restore(tmp, m);
        if (code != RC_OK) return code;
    }
    return RC_OK;
}

/* --- columns --- */

rc parts_i64(parts *p, uint32_t id, size_t count, arena *mem, int64_t **ret, err *e) {
    str col;
    rc code = parts_get(p, id, mem, &col, e);
    if (code != RC_OK) return code;
    int64_t *v = arena_try_array(mem, count, sizeof *v, _Alignof(int64_t));
    if (!v) return FAIL(e, RC_LIMIT, "no memory for %zu values of a block", count);
    if (col.n && (code = col_get_i64(col, count, v, e)) != RC_OK) return code;
    *ret = v;
    return RC_OK;
}

rc parts_str(parts *p, uint32_t id, size_t count, arena *mem, str **ret, err *e) {
    str col;
    rc code = parts_get(p, id, mem, &col, e);
    if (code != RC_OK) return code;
    str *v = arena_try_array(mem, count, sizeof *v, _Alignof(str));
    if (!v) return FAIL(e, RC_LIMIT, "no memory for %zu values of a block", count);
    if (col.n && (code = col_get_str(col, count, mem, v, e)) != RC_OK) return code;
    *ret = v;
    return RC_OK;
}

void part_i64(parts_writer *w, uint32_t id, const int64_t *v, size_t count) {
    int64_t any = 0;
    for (size_t i = 0; i < count; i++) any |= v[i];
    if (!any) return;
    part_begin(w, id);
    w->ok &= col_put_i64(w->out, v, count, w->level);
    part_end(w, false);
}

void part_str(parts_writer *w, uint32_t id, const str *v, size_t count) {
    size_t any = 0;
    for (size_t i = 0; i < count; i++) any |= v[i].n;
    if (!any) return;
    part_begin(w, id);
    w->ok &= col_put_str(w->out, v, count, w->level);
    part_end(w, false);
}
