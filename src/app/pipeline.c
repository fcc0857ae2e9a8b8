#include "app/pipeline.h"

#include <stdio.h>

#include "app/events.tbl.h"
#include "base/num.h"
#include "codec/timestamp.h"
#include "sys/cancel.h"
#include "sys/clock.h"
#include "sys/term.h"
#include "sys/thread.h"

enum { READ_OPTS_ARENA_MAX = 64 << 20, STDIN_FD = 0 };

/* "+hh:mm", "-hhmm", "UTC", "Z" or "local" to seconds east of UTC. */
static rc zone_offset(str zone, int32_t *ret_s, err *e) {
    if (zone.n == 0 || str_eq_nocase(zone, S("utc")) || str_eq_nocase(zone, S("z"))) {
        *ret_s = 0;
        return RC_OK;
    }
    if (str_eq_nocase(zone, S("local"))) {
        *ret_s = sys_local_zone_s();
        return RC_OK;
    }
    uint64_t hours, minutes = 0;
    str digits = str_from(zone, 1);
    bool colon = digits.n == 5 && digits.p[2] == ':';
    bool fits =
        (zone.p[0] == '+' || zone.p[0] == '-') && (digits.n == 2 || digits.n == 4 || colon) &&
        num_u64(str_sub(digits, 0, 2), &hours) && hours <= 14 &&
        (digits.n == 2 || (num_u64(str_from(digits, colon ? 3 : 2), &minutes) && minutes < 60));
    if (!fits) {
        rc got = FAIL(e, RC_INVALID, "--timezone \"%.*s\" is not a zone", STR_ARG(zone));
        err_hint(e, "use UTC, local, or an offset such as +02:00");
        return got;
    }
    int32_t s = (int32_t)(hours * 3600 + minutes * 60);
    *ret_s = zone.p[0] == '-' ? -s : s;
    return RC_OK;
}

static rc masks_from(const cli_args *a, read_opts *o, err *e) {
    const str *given;
    size_t n = cli_all(a, OPT_MASK, &o->mem, &given);
    if (n == 0) return RC_OK;
    mine_mask *masks = arena_try_new_n(&o->mem, mine_mask, n);
    if (masks == NULL) return FAIL(e, RC_LIMIT, "too many masks");
    for (size_t i = 0; i < n; i++) cli_assignment(given[i], &masks[i].name, &masks[i].regex);
    o->miner.masks = masks;
    o->miner.mask_count = n;
    return RC_OK;
}

rc read_opts_from(const cli_args *a, read_opts *ret, err *e) {
    *ret = (read_opts){.fs = &SYS_FS_REAL};
    arena_init(&ret->mem, "command line", READ_OPTS_ARENA_MAX);
    ret->quiet = cli_has(a, OPT_QUIET);
    ret->cancel = sys_cancel_install();
    uint64_t threads = cli_number(a, OPT_THREADS);
    ret->workers = threads > 0 ? (unsigned)MIN(threads, GATHER_WORKERS_MAX)
                               : MIN(sys_cpu_count(), GATHER_WORKERS_MAX);
    ret->miner.delimiters = cli_text(a, OPT_DELIMITERS);
    ingest_opts *in = &ret->ingest;
    in->fs = ret->fs;
    in->follow = cli_has(a, OPT_FOLLOW);
    in->default_service = cli_text(a, OPT_SERVICE);
    in->format.name = cli_text(a, OPT_LOG_FORMAT);
    in->format.content_only = cli_has(a, OPT_CONTENT);
    in->format.now_ns = SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx).ns;
    rc got = zone_offset(cli_text(a, OPT_TIMEZONE), &in->format.zone_offset_s, e);
    if (got == RC_OK) got = masks_from(a, ret, e);
    if (got != RC_OK) {
        read_opts_release(ret);
        return got;
    }
    in->paths = a->operands;
    in->path_count = a->operand_count;
    return RC_OK;
}

rc read_opts_default_stdin(read_opts *o, err *e) {
    static const str standard_input = S_INIT("-");
    if (o->ingest.path_count > 0) return RC_OK;
    if (sys_is_terminal(STDIN_FD)) {
        rc got = FAIL(e, RC_INVALID, "no input: name files or directories, or pipe logs in");
        err_hint(
            e,
            "for example: faultline analyze /var/log, or: kubectl logs POD | faultline analyze -");
        return got;
    }
    o->ingest.paths = &standard_input;
    o->ingest.path_count = 1;
    return RC_OK;
}

void read_opts_release(read_opts *o) { arena_release(&o->mem); }

static rc on_batch_nothing(void *ctx, unsigned worker, log_batch *b, err *e) {
    (void)ctx, (void)worker, (void)b, (void)e;
    return RC_OK;
}

static void on_progress(void *ctx, uint64_t bytes, uint64_t total) {
    sys_progress_step(ctx, bytes, total, S("B"));
}

/* Per input the service its records belong to when they state none. */
static void profile_opts_from(const read_opts *o, const pipeline *p, arena *tmp,
                              log_profile_opts *ret) {
    source_report rep;
    p->src.ops->report(p->src.ctx, &rep);
    *ret = (log_profile_opts){.default_service = o->ingest.default_service};
    str *services = arena_try_new_n(tmp, str, rep.count);
    if (services == NULL) return;
    for (size_t i = 0; i < rep.count; i++) services[i] = rep.inputs[i].service;
    ret->input_services = services;
    ret->input_count = rep.count;
}

static void log_inputs(const source_report *rep) {
    if (!sys_log_on(SYS_LOG_INFO)) return;
    for (size_t i = 0; i < rep->count; i++) {
        const input_info *in = &rep->inputs[i];
        if (in->state == INPUT_SKIPPED) {
            app_log(INPUT_SKIPPED, SYS_LOG_STR("input", in->name), SYS_LOG_STR("why", in->problem));
            continue;
        }
        app_log(INPUT_READ, SYS_LOG_STR("input", in->name), SYS_LOG_STR("format", in->format),
                SYS_LOG_STR("service", in->service), SYS_LOG_INT("bytes", (int64_t)in->bytes),
                SYS_LOG_INT("records", (int64_t)in->records),
                SYS_LOG_INT("without_time", (int64_t)in->records_without_time),
                SYS_LOG_STR("problem", in->problem));
    }
}

static void log_scan_done(const pipeline *p, const char *title, int64_t took_ns) {
    source_report rep;
    p->src.ops->report(p->src.ctx, &rep);
    log_inputs(&rep);
    miner_counts n;
    miner_count(p->got.miner, &n);
    app_log(SCAN_DONE, SYS_LOG_STR("what", str_c(title)), SYS_LOG_INT("inputs", (int64_t)rep.count),
            SYS_LOG_INT("records", (int64_t)rep.records), SYS_LOG_INT("bytes", (int64_t)rep.bytes),
            SYS_LOG_INT("took_ms", took_ns / 1000000), SYS_LOG_INT("shapes", (int64_t)n.shapes),
            SYS_LOG_INT("templates", (int64_t)n.templates),
            SYS_LOG_INT("evicted_shapes", (int64_t)n.evicted),
            SYS_LOG_INT("overflow_lines", (int64_t)n.overflow),
            SYS_LOG_INT("folded_lines", (int64_t)n.folded));
}

rc pipeline_run(const read_opts *o, const pipeline_want *want, const char *title, pipeline *ret,
                err *e) {
    *ret = (pipeline){0};
    pipeline p = {0};
    sys_progress *bar = o->quiet ? NULL : sys_progress_new(str_c(title));
    ingest_opts in = o->ingest;
    if (bar != NULL) {
        in.progress = on_progress;
        in.progress_ctx = bar;
    }
    mono_ns began = SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx);
    arena tmp;
    arena_init(&tmp, "pipeline", READ_OPTS_ARENA_MAX);
    rc got = ingest_files_new(&in, &p.src, e);
    if (got == RC_OK) {
        gather_want all = *want;
        all.miner = o->miner;
        profile_opts_from(o, &p, &tmp, &all.profile_opts);
        all.workers = o->workers;
        all.cancel = o->cancel;
        all.endless = o->ingest.follow;
        got = gather(&p.src, &all, &p.got, e);
    }
    sys_progress_free(bar);
    arena_release(&tmp);
    if (got == RC_OK) {
        log_scan_done(&p, title, SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns - began.ns);
        *ret = p;
        return RC_OK;
    }
    pipeline_release(&p);
    return got;
}

void pipeline_release(pipeline *p) {
    gather_release(&p->got);
    if (p->src.ops != NULL) p->src.ops->free(p->src.ctx);
    *p = (pipeline){0};
}

/* The newest time in the inputs, by one reading. */
static rc newest_record(const read_opts *o, int64_t *ret_ns, err *e) {
    source src = {0};
    rc got = ingest_files_new(&o->ingest, &src, e);
    if (got != RC_OK) return got;
    log_scan what = {.workers = o->workers, .cancel = o->cancel};
    got = src.ops->scan_logs(src.ctx, &what, on_batch_nothing, NULL, e);
    source_report rep = {0};
    src.ops->report(src.ctx, &rep);
    *ret_ns = rep.last_ns;
    src.ops->free(src.ctx);
    return got;
}

static rc one_bound(const char *option, str text, const read_opts *o, int64_t *newest_ns,
                    int64_t *ret, err *e) {
    int64_t ago;
    ts_context zone = {.zone_offset_s = o->ingest.format.zone_offset_s,
                       .anchor_ns = o->ingest.format.now_ns};
    if (!num_duration(text, &ago)) {
        if (ts_parse_any(text, &zone, ret)) return RC_OK;
        rc got = FAIL(e, RC_INVALID, "%s \"%.*s\" is neither a time nor a duration", option,
                      STR_ARG(text));
        err_hint(e, "for example 2h, 30m, or 2026-11-20T10:30:00Z");
        return got;
    }
    if (*newest_ns == TS_NONE) {
        rc got = newest_record(o, newest_ns, e);
        if (got != RC_OK) return got;
        if (*newest_ns == TS_NONE) {
            return FAIL(e, RC_INVALID, "%s %.*s: no record of the input carries a time", option,
                        STR_ARG(text));
        }
    }
    *ret = *newest_ns - ago;
    return RC_OK;
}

rc pipeline_range(const read_opts *o, str since, str until, int64_t *ret_from_ns,
                  int64_t *ret_to_ns, err *e) {
    int64_t from = 0, to = 0, newest = TS_NONE;
    if (since.n > 0) {
        rc got = one_bound("--since", since, o, &newest, &from, e);
        if (got != RC_OK) return got;
    }
    if (until.n > 0) {
        rc got = one_bound("--until", until, o, &newest, &to, e);
        if (got != RC_OK) return got;
    } else if (since.n > 0) {
        to = INT64_MAX;
    }
    if (until.n > 0 && since.n == 0) from = INT64_MIN + 1;
    if (to < from) return FAIL(e, RC_INVALID, "--until lies before --since");
    if (since.n > 0 || until.n > 0) {
        char text[2][TS_TEXT_BYTES];
        ts_format(since.n > 0 ? from : TS_NONE, text[0]);
        ts_format(until.n > 0 ? to : TS_NONE, text[1]);
        app_log(RANGE_FOUND, SYS_LOG_STR("from", str_c(text[0])),
                SYS_LOG_STR("to", str_c(text[1])));
    }
    *ret_from_ns = from;
    *ret_to_ns = to;
    return RC_OK;
}

size_t pipeline_tell_problems(const pipeline *p, bool quiet) {
    source_report rep;
    p->src.ops->report(p->src.ctx, &rep);
    size_t n = 0;
    for (size_t i = 0; i < rep.count; i++) {
        const input_info *in = &rep.inputs[i];
        if (in->state == INPUT_OK) {
            bool empty = in->bytes == 0 && !quiet;
            if (empty) fprintf(stderr, "faultline: %.*s: empty\n", STR_ARG(in->name));
            if (in->problem.n > 0 && !quiet)
                fprintf(stderr, "faultline: %.*s: %.*s\n", STR_ARG(in->name), STR_ARG(in->problem));
            continue;
        }
        n++;
        if (!quiet) {
            fprintf(stderr, "faultline: %.*s: %s: %.*s\n", STR_ARG(in->name),
                    in->state == INPUT_SKIPPED ? "skipped" : "read in part", STR_ARG(in->problem));
        }
    }
    if (p->got.sessions != NULL && !quiet) {
        session_counts counts;
        session_set_totals(p->got.sessions, &counts);
        if (counts.not_kept > 0) {
            fprintf(stderr, "faultline: %" PRIu64 " session event(s) did not fit in memory\n",
                    counts.not_kept);
        }
    }
    return n;
}
