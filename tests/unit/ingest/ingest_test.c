#include "ingest_test.h"

#include <bzlib.h>
#include <ftw.h>
#include <lzma.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static char dir[64];

const char *scratch_make(void) {
    snprintf(dir, sizeof dir, "/tmp/fl-ingest-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f) {
    (void)st, (void)flag, (void)f;
    return remove(path);
}

void scratch_remove(void) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

const char *scratch_path(const char *name) {
    static char names[8][256];
    static unsigned at;
    char *p = names[at++ % 8];
    snprintf(p, sizeof names[0], "%s/%s", dir, name);
    return p;
}

static void put_file(const char *name, const char *mode, const void *p, size_t n) {
    FILE *f = fopen(scratch_path(name), mode);
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void scratch_write(const char *name, const void *p, size_t n) { put_file(name, "wb", p, n); }
void scratch_append(const char *name, const void *p, size_t n) { put_file(name, "ab", p, n); }
void scratch_text(const char *name, const char *text) { scratch_write(name, text, strlen(text)); }

void pack_put(pack how, const void *p, size_t n, buf *out) {
    size_t cap = n + n / 50 + 4096, made = 0;
    assert_true(buf_reserve(out, cap));
    char *to = out->p + out->n;
    if (how == PACK_NONE) {
        memcpy(to, p, n);
        made = n;
    } else if (how == PACK_GZIP) {
        z_stream z = {0};
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY),
                         Z_OK);
        z.next_in = (Bytef *)(uintptr_t)p;
        z.avail_in = (uInt)n;
        z.next_out = (Bytef *)to;
        z.avail_out = (uInt)cap;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        made = cap - z.avail_out;
        deflateEnd(&z);
    } else if (how == PACK_ZSTD) {
        ZSTD_CCtx *z = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1); /* as the zstd tool does */
        made = ZSTD_compress2(z, to, cap, p, n);
        assert_false(ZSTD_isError(made));
        ZSTD_freeCCtx(z);
    } else if (how == PACK_XZ) {
        assert_int_equal(
            lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, p, n, (uint8_t *)to, &made, cap),
            LZMA_OK);
    } else {
        unsigned m = (unsigned)cap;
        assert_int_equal(
            BZ2_bzBuffToBuffCompress(to, &m, (char *)(uintptr_t)p, (unsigned)n, 1, 0, 0), BZ_OK);
        made = m;
    }
    out->n += made;
}

void collector_init(collector *c) { *c = (collector){.lock = sys_lock_new("collector")}; }

void collector_release(collector *c) {
    sys_lock_free(c->lock);
    vec_release(&c->v);
}

rc collector_sink(void *ctx, unsigned worker, log_batch *b, err *e) {
    collector *c = ctx;
    sys_lock_take(c->lock);
    c->batches++;
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        seen s = {.ref = r->ref,
                  .ts_ns = r->ts_ns,
                  .seq = b->seq,
                  .worker = worker,
                  .raw_n = r->raw.n,
                  .body_n = r->body.n,
                  .hash = str_hash_seed(r->raw, str_hash_seed(r->body, str_hash(r->service)))};
        snprintf(s.raw, sizeof s.raw, "%.*s", (int)MIN(r->raw.n, sizeof s.raw - 1), r->raw.p);
        snprintf(s.service, sizeof s.service, "%.*s", STR_ARG(r->service));
        vec_push(&c->v, s);
    }
    size_t n = c->v.n;
    if (c->cancel && n >= c->cancel_after) __atomic_store_n(c->cancel, 1, __ATOMIC_RELAXED);
    sys_lock_give(c->lock);
    if (c->stop_after && n >= c->stop_after) return FAIL(e, RC_LIMIT, "enough");
    return RC_OK;
}

static int by_place(const void *a, const void *b) {
    const seen *x = a, *y = b;
    if (x->ref.file != y->ref.file) return x->ref.file < y->ref.file ? -1 : 1;
    if (x->ref.offset != y->ref.offset) return x->ref.offset < y->ref.offset ? -1 : 1;
    return 0;
}

void collector_sort(collector *c) {
    if (c->v.n > 1) qsort(c->v.v, c->v.n, sizeof *c->v.v, by_place);
}

rc open_source(opened *o, const ingest_opts *base, size_t block_bytes, const char *const *paths) {
    *o = (opened){0};
    arena_init(&o->mem, "test", 64 << 20);
    ingest_opts opts = base ? *base : (ingest_opts){0};
    str list[64];
    for (; paths[opts.path_count]; opts.path_count++) {
        const char *p = paths[opts.path_count];
        list[opts.path_count] = str_c(
            strcmp(p, "-") == 0 || p[0] == '/' ? p : str_c_dup(&o->mem, str_c(scratch_path(p))));
    }
    opts.paths = list;
    rc r = ingest_files_new_sized(&opts, block_bytes, &o->src, &o->e);
    if (r == RC_OK) o->src.ops->report(o->src.ctx, &o->rep);
    return r;
}

void close_source(opened *o) {
    if (o->src.ops) o->src.ops->free(o->src.ctx);
    arena_release(&o->mem);
    *o = (opened){0};
}

rc scan_source(opened *o, const log_scan *scan, collector *c) {
    err_reset(&o->e);
    rc r = o->src.ops->scan_logs(o->src.ctx, scan, collector_sink, c, &o->e);
    o->src.ops->report(o->src.ctx, &o->rep);
    return r;
}

const input_info *input_named(const opened *o, const char *ending) {
    for (size_t i = 0; i < o->rep.count; i++)
        if (str_ends(o->rep.inputs[i].name, str_c(ending))) return &o->rep.inputs[i];
    return NULL;
}
