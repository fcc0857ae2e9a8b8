/* catalog.c - the list in memory.
 *
 * Files are the truth: the list is built from footers and commit headers at start, and changed
 * after the disk was (a new journal, a commit that is durable, a segment that was renamed into
 * place). There is nothing to recover and nothing that could disagree with the files.
 *
 * Everything is under one lock that is held for microseconds (a snapshot copies out what it wants).
 * Sizes: a block costs about 100 bytes here; a day of a million blocks would be refused long before
 * (compaction leaves a few blocks for each million records). */
#include "store/catalog_int.h"

#include "base/mem.h"

enum { FILE_MAGIC = 0x454c4946 };

file_path path_join(str dir, str name) {
    file_path p;
    int n = snprintf(p.c, sizeof p.c, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name));
    MUST(n > 0 && (size_t)n < sizeof p.c);
    p.n = (size_t)n;
    return p;
}

/* ---- files ---- */

store_file *file_new(const sys_fs *fs, int fd, file_kind kind, uint64_t first, uint64_t last) {
    MUST(first <= last);
    store_file *f = mem_new(store_file);
    f->magic = FILE_MAGIC;
    atomic_init(&f->refs, 1);
    f->fs = fs;
    f->fd = fd;
    f->kind = kind;
    f->first = first;
    f->last = last;
    return f;
}

store_file *file_ref(store_file *f) {
    MUST(f->magic == FILE_MAGIC);
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void file_unref(store_file *f) {
    if (!f) return;
    MUST(f->magic == FILE_MAGIC);
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
    if (f->fd >= 0) IGNORE(f->fs->ops->close(f->fs->ctx, f->fd, NULL)); /* was for reading */
    f->magic = 0;
    vec_release(&f->blocks);
    mem_free(f);
}

static rc file_io_read(void *ctx, uint64_t offset, size_t n, void *to, err *e) {
    const file_io *f = ctx;
    uint64_t bytes = f->e.info.bytes;
    if (offset > bytes || n > bytes - offset)
        return FAIL(e, RC_CORRUPT, "a block of %" PRIu64 " bytes ends before %" PRIu64, bytes,
                    offset + n);
    return format_read(f->fs, f->fd, f->e.offset + offset, to, n, e);
}

block_io file_io_of(file_io *f, uint64_t id) {
    return (block_io){.read = file_io_read, .ctx = f, .id = id};
}

/* ---- partitions ---- */

void catalog_init(catalog *c, const sys_fs *fs, str hot_dir, str cold_dir) {
    *c = (catalog){.lock = sys_lock_new("catalog"),
                   .fs = fs,
                   .hot_dir = hot_dir,
                   .cold_dir = cold_dir,
                   .next_block = 1};
}

static void partition_free(partition *p) {
    for (size_t i = 0; i < p->files.n; i++) file_unref(p->files.v[i]);
    vec_release(&p->files);
    mem_free(p);
}

void catalog_release(catalog *c) {
    for (size_t i = 0; i < c->parts.n; i++) partition_free(c->parts.v[i]);
    vec_release(&c->parts);
    sys_lock_free(c->lock);
    c->lock = NULL;
}

static size_t place_of(const catalog *c, str day) {
    size_t at = c->parts.n; /* mostly the last one */
    while (at > 0 && str_cmp(str_c(c->parts.v[at - 1]->day), day) >= 0) at--;
    return at;
}

partition *catalog_find(catalog *c, str day) {
    MUST(sys_lock_held(c->lock));
    size_t at = place_of(c, day);
    return at < c->parts.n && str_eq(str_c(c->parts.v[at]->day), day) ? c->parts.v[at] : NULL;
}

partition *catalog_partition(catalog *c, str day, bool cold) {
    partition *p = catalog_find(c, day);
    if (p) return p;
    if (c->parts.n == PARTITIONS_MAX) return NULL;
    p = mem_new(partition);
    MUST(day.n == DAY_NAME_BYTES - 1 && format_parse_day(day, &p->start_ns));
    memcpy(p->day, day.p, day.n);
    p->cold = cold;
    p->next_number = 1;
    size_t at = place_of(c, day);
    vec_push(&c->parts, p);
    memmove(&c->parts.v[at + 1], &c->parts.v[at], (c->parts.n - 1 - at) * sizeof *c->parts.v);
    c->parts.v[at] = p;
    return p;
}

void catalog_remove_partition(catalog *c, partition *p) {
    MUST(sys_lock_held(c->lock));
    size_t at = place_of(c, str_c(p->day));
    MUST(at < c->parts.n && c->parts.v[at] == p);
    c->parts.n--;
    memmove(&c->parts.v[at], &c->parts.v[at + 1], (c->parts.n - at) * sizeof *c->parts.v);
    partition_free(p);
}

file_path partition_dir(const catalog *c, const partition *p) {
    return path_join(p->cold ? c->cold_dir : c->hot_dir, str_c(p->day));
}

void partition_add(partition *p, store_file *f) {
    size_t at = p->files.n;
    while (at > 0 && p->files.v[at - 1]->first > f->first) at--;
    vec_push(&p->files, f);
    memmove(&p->files.v[at + 1], &p->files.v[at], (p->files.n - 1 - at) * sizeof *p->files.v);
    p->files.v[at] = f;
    p->next_number = MAX(p->next_number, f->last + 1);
}

void partition_remove(partition *p, store_file *f) {
    size_t at = 0;
    while (at < p->files.n && p->files.v[at] != f) at++;
    MUST(at < p->files.n);
    p->files.n--;
    memmove(&p->files.v[at], &p->files.v[at + 1], (p->files.n - at) * sizeof *p->files.v);
    file_unref(f);
}

void catalog_add_blocks(catalog *c, store_file *f, const block_entry *blocks, size_t count) {
    MUST(sys_lock_held(c->lock));
    for (size_t i = 0; i < count; i++)
        vec_push(&f->blocks, (file_block){.e = blocks[i], .id = c->next_block++});
}

uint64_t partition_bytes(const partition *p) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->files.n; i++) bytes += p->files.v[i]->bytes;
    return bytes;
}
