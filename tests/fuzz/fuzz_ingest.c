/* fuzz_ingest - any bytes as a log file, plain or compressed, on a file system in memory. The first
 * byte bounds what one read returns. Oracles: a scan never fails; blocks of 4 KB and of 512 KB give
 * the same records and references, save for mixed streams of containers; the text fetched by
 * reference is the text that was scanned (its first megabyte); the counters agree with what the
 * sink saw. */
#include "ingest/reader_int.h"

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_MAX = 1 << 16,
    DUMP_MAX = 64 << 20,
    SMALL = 4096,
    LARGE = 512 << 10,
    FETCH_MAX = 1 << 20
};

typedef struct memory_file {
    str text;
    size_t read_max;
} memory_file;

static rc m_open(void *ctx, str path, sys_open_mode mode, int *ret_fd, err *e) {
    (void)ctx, (void)path, (void)mode, (void)e;
    *ret_fd = 100;
    return RC_OK;
}
static rc m_close(void *ctx, int fd, err *e) {
    (void)ctx, (void)fd, (void)e;
    return RC_OK;
}
static rc m_pread(void *ctx, int fd, void *to, size_t cap, uint64_t offset, size_t *ret_bytes,
                  err *e) {
    (void)fd, (void)e;
    const memory_file *m = ctx;
    str part = str_sub(m->text, (size_t)MIN(offset, (uint64_t)m->text.n), MIN(cap, m->read_max));
    if (part.n > 0) memcpy(to, part.p, part.n);
    *ret_bytes = part.n;
    return RC_OK;
}
static rc m_fstat(void *ctx, int fd, sys_stat *ret, err *e) {
    (void)fd, (void)e;
    const memory_file *m = ctx;
    *ret = (sys_stat){.size_bytes = m->text.n, .device = 1, .inode = 1, .is_regular = true};
    return RC_OK;
}
static rc m_stat(void *ctx, str path, sys_stat *ret, err *e) {
    (void)path;
    return m_fstat(ctx, 0, ret, e);
}

typedef struct dump {
    buf out;
    VEC(log_ref) refs;
    VEC(uint64_t) hashes;
    bool containers; /* text of several streams, whose messages join across lines of others */
} dump;

static rc take(void *ctx, unsigned worker, log_batch *b, err *e) {
    (void)worker, (void)e;
    dump *d = ctx;
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        buf_fmt(&d->out, "%" PRIu64 " %" PRIu64 " %u %" PRId64 " ", r->ref.offset, r->ref.line,
                r->ref.bytes, r->ts_ns);
        buf_put(&d->out, r->raw);
        buf_putc(&d->out, '|');
        buf_put(&d->out, r->body);
        vec_push(&d->refs, r->ref);
        vec_push(&d->hashes, str_hash(str_sub(r->raw, 0, FETCH_MAX)));
    }
    return RC_OK;
}

static void check_fetch(const source *src, const dump *d) {
    arena mem;
    arena_init(&mem, "fetch", 256 << 20);
    if (d->refs.n > 0) {
        size_t n = MIN(d->refs.n, (size_t)2000);
        str *text = arena_try_new_n(&mem, str, n);
        MUST(text != NULL);
        MUST(src->ops->fetch_logs(src->ctx, d->refs.v, n, FETCH_MAX, &mem, text, NULL) == RC_OK);
        for (size_t i = 0; i < n; i++) /* a JSON line may hold many records: same place, same raw */
            MUST(text[i].p != NULL && str_hash(text[i]) == d->hashes.v[i]);
    }
    arena_release(&mem);
}

static void scan(const sys_fs *fs, size_t block_bytes, dump *d) {
    *d = (dump){0};
    buf_init(&d->out, DUMP_MAX);
    str path = S("app.log");
    ingest_opts o = {.paths = &path, .path_count = 1, .fs = fs};
    source src;
    if (ingest_files_new_sized(&o, block_bytes, &src, NULL) != RC_OK) return; /* binary */
    const files *f = src.ctx;
    for (size_t i = 0; i < f->inputs.n; i++) {
        const log_format *format = f->inputs.v[i]->format;
        str name = format ? log_format_describe(format) : STR_NONE;
        d->containers |=
            str_has(name, S("docker")) || str_has(name, S("cri")) || str_has(name, S("prefixed"));
    }
    log_scan s = {.order = ORDER_TIME}; /* on this thread */
    MUST(src.ops->scan_logs(src.ctx, &s, take, d, NULL) == RC_OK);
    source_report rep;
    src.ops->report(src.ctx, &rep);
    MUST(rep.count == 1 && rep.records == d->refs.n);
    MUST((rep.inputs[0].problem.n > 0) == (rep.inputs[0].state != INPUT_OK));
    check_fetch(&src, d);
    src.ops->free(src.ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const sys_fs_ops ops = {
        .open = m_open, .close = m_close, .pread = m_pread, .fstat = m_fstat, .stat = m_stat};
    if (size < 1 || size > INPUT_MAX) return 0;
    memory_file m = {.text = str_make((const char *)data + 1, size - 1),
                     .read_max = data[0] ? (size_t)data[0] * data[0] : SIZE_MAX};
    sys_fs fs = {&ops, &m};
    dump a, b;
    scan(&fs, SMALL, &a);
    scan(&fs, LARGE, &b);
    /* Exception: a boundary looks at two neighbouring lines, so where lines of another stream or
     * container stand between the pieces of a message, or before a stack frame and its message, the
     * record may be cut in two there (container.c). */
    if (!a.containers) {
        MUST(a.refs.n == b.refs.n);
        MUST(str_eq(buf_str(&a.out), buf_str(&b.out)));
    }
    buf_release(&a.out);
    buf_release(&b.out);
    vec_release(&a.refs);
    vec_release(&b.refs);
    vec_release(&a.hashes);
    vec_release(&b.hashes);
    return 0;
}
