/* The source itself: construction, the four operations, the report. What each scan does lives in
 * scan.c (any order), merge.c (by time) and follow.c (growing files). */
#include "ingest/reader_int.h"

enum { RATIO_DEFAULT = 1000 };

static files *files_of(void *ctx) {
    files *f = ctx;
    MUST(f->magic == FILES_MAGIC);
    return f;
}

/* A scan counts afresh. Inputs that could not be used from the start stay as they were told. */
static void reset_counts(files *f) {
    for (size_t i = 0; i < f->inputs.n; i++) {
        input *in = f->inputs.v[i];
        if (in->closed_for_good) continue;
        in->info = (input_info){.name = in->info.name,
                                .format = in->info.format,
                                .service = in->info.service,
                                .bytes_on_disk = in->info.bytes_on_disk,
                                .first_ns = TS_NONE,
                                .last_ns = TS_NONE};
    }
}

static rc scan_logs(void *ctx, const log_scan *scan, log_sink sink, void *sink_ctx, err *e) {
    files *f = files_of(ctx);
    if (scan->to_ns != 0 && scan->to_ns < scan->from_ns)
        return FAIL(e, RC_INVALID, "the end of the time range is before its start");
    if (f->follow && scan->order == ORDER_TIME)
        return FAIL(e, RC_UNSUPPORTED, "growing files cannot be merged by time");
    reset_counts(f);
    return scan->order == ORDER_TIME ? scan_merged(f, scan, sink, sink_ctx, e)
                                     : scan_any(f, scan, sink, sink_ctx, e);
}

static rc fetch_logs(void *ctx, const log_ref *refs, size_t count, size_t max_bytes, arena *out,
                     str *ret, err *e) {
    return fetch_texts(files_of(ctx), refs, count, max_bytes, out, ret, e);
}

static void report(void *ctx, source_report *ret) {
    files *f = files_of(ctx);
    *ret = (source_report){.first_ns = TS_NONE, .last_ns = TS_NONE};
    sys_lock_take(f->lock);
    f->infos.n = 0;
    for (size_t i = 0; i < f->inputs.n; i++) {
        const input *in = f->inputs.v[i];
        vec_push(&f->infos, in->info);
        input_info *info = &f->infos.v[i];
        if (in->pipe && info->state == INPUT_OK && info->problem.n == 0 &&
            !atomic_load(&in->pipe->kept))
            info->problem = S("evidence text is not available: no temporary space for a copy of "
                              "the piped input (set TMPDIR to a place with room)");
        ret->records += info->records;
        ret->lines += info->lines;
        ret->bytes += info->bytes;
        if (ret->first_ns == TS_NONE ||
            (info->first_ns != TS_NONE && info->first_ns < ret->first_ns))
            ret->first_ns = info->first_ns;
        ret->last_ns = MAX(ret->last_ns, info->last_ns);
    }
    sys_lock_give(f->lock);
    ret->inputs = f->infos.v;
    ret->count = f->infos.n;
}

static void free_files(void *ctx) {
    files *f = files_of(ctx);
    for (size_t i = 0; i < f->inputs.n; i++) {
        input *in = f->inputs.v[i];
        if (in->format && !(in->earlier && in->earlier->format == in->format))
            log_format_free(in->format);
    }
    for (size_t i = 0; i < f->inputs.n; i++) {
        input *in = f->inputs.v[i];
        if (in->pipe) pipe_in_close(in->pipe, &f->fs);
        if (in->owns_fd && in->fd >= 0) IGNORE(f->fs.ops->close(f->fs.ctx, in->fd, NULL));
    }
    vec_release(&f->inputs);
    vec_release(&f->infos);
    sys_lock_free(f->lock);
    arena_release(&f->mem);
    f->magic = 0;
    mem_free(f);
}

static const source_ops files_ops = {scan_logs, fetch_logs, report, free_files};

rc ingest_files_new_sized(const ingest_opts *opts, size_t block_bytes, source *ret, err *e) {
    if (opts->path_count == 0) return FAIL(e, RC_INVALID, "no input was given");
    log_format *probe = NULL; /* is the wanted format known? */
    rc r = log_format_detect(STR_NONE, &opts->format, &probe, e);
    if (r != RC_OK) return r;
    log_format_free(probe);
    files *f = mem_new(files);
    f->magic = FILES_MAGIC;
    arena_init(&f->mem, "inputs", FILES_ARENA_MAX);
    f->fs = opts->fs ? *opts->fs : SYS_FS_REAL;
    f->clock = opts->clock ? *opts->clock : SYS_CLOCK_REAL;
    f->format = opts->format;
    f->format.name = str_dup(&f->mem, opts->format.name);
    if (f->format.max_line_bytes > BLOCK_BYTES_MAX / 2)
        f->format.max_line_bytes = BLOCK_BYTES_MAX / 2;
    f->default_service = str_dup(&f->mem, opts->default_service);
    f->follow = opts->follow;
    f->max_ratio = opts->max_decompression_ratio ? opts->max_decompression_ratio : RATIO_DEFAULT;
    f->block_bytes = block_bytes;
    f->progress = opts->progress;
    f->progress_ctx = opts->progress_ctx;
    f->lock = sys_lock_new("ingest inputs");
    r = inputs_expand(f, opts, e);
    if (r == RC_OK && f->follow) {
        size_t pipes = 0;
        for (size_t i = 0; i < f->inputs.n; i++) pipes += f->inputs.v[i]->pipe != NULL;
        if (pipes > 0 && f->inputs.n > 1)
            r = FAIL(e, RC_INVALID,
                     "a pipe cannot be followed together with other inputs: read it alone");
    }
    if (r != RC_OK) {
        free_files(f);
        return r;
    }
    *ret = (source){&files_ops, f};
    return RC_OK;
}

rc ingest_files_new(const ingest_opts *opts, source *ret, err *e) {
    return ingest_files_new_sized(opts, READ_BLOCK_BYTES, ret, e);
}
