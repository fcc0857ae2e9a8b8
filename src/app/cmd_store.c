/* cmd_store.c - `status`, `partitions`, `fsck`, `compact`, `export`: what the server says about
 * itself and its store. fsck --repair and compact change files: without a server they take the
 * store's lock themselves, for which it must not run. */
#include <stdio.h>

#include "app/ask.h"
#include "app/commands.h"
#include "app/output.h"
#include "app/table.h"
#include "base/num.h"
#include "codec/timestamp.h"
#include "sys/term.h"

enum { TEXT_BYTES_MAX = 64 << 20, PATH_BYTES_MAX = 16 << 10 };

/* Prints `text`; the status for the exit. */
static int print(const cli_args *a, str text) {
    output o;
    err e = {0};
    rc code = output_open(&o, &SYS_FS_REAL, cli_text(a, OPT_OUTPUT), &e);
    if (code == RC_OK) {
        IGNORE(output_put(&o, text)); /* output_close tells a failure */
        code = output_close(&o, &e);
    }
    if (code == RC_OK) return EXIT_WITH_OK;
    tell_failure(&e);
    return EXIT_WITH_NO_OUTPUT;
}

int tell_answer(const err *e) {
    int status = tell_failure(e);
    if (e->code == RC_INVALID) return EXIT_WITH_USAGE;
    if (e->code == RC_NOT_FOUND || e->code == RC_CANCELLED) return status;
    return EXIT_WITH_FAILED;
}

/* ---- status ---- */

static str count_of(ask *q, const json_value *v) {
    return num_count_text(&q->mem, (uint64_t)json_i64(v));
}
static str bytes_of(ask *q, const json_value *v) {
    return num_bytes_text(&q->mem, (uint64_t)json_i64(v));
}

static void put_signals(ask *q, const json_value *v, buf *out) {
    static const char *const SIGNALS[] = {"logs", "spans", "metrics", "profiles"};
    table t;
    table_init(
        &t, "signal|>stored|>since start|>a second|>on disk|>bytes a record|>not compacted|from|to",
        &q->mem);
    for (size_t i = 0; i < ARRAY_LEN(SIGNALS); i++) {
        str name = str_c(SIGNALS[i]);
        const json_value *s = json_get(json_get(v, S("store")), name);
        str first = json_str(json_get(s, S("first"))), last = json_str(json_get(s, S("last")));
        str cells[] = {
            name,
            count_of(q, json_get(s, S("records"))),
            count_of(q, json_get(json_path(v, S("ingest.stored")), name)),
            str_fmt(&q->mem, "%.1f", json_f64(json_get(json_get(v, S("rates_1m")), name))),
            bytes_of(q, json_get(s, S("bytes"))),
            str_fmt(&q->mem, "%.1f", json_f64(json_get(s, S("bytes_per_record")))),
            count_of(q, json_get(s, S("records_in_journal"))),
            str_sub(first, 0, 19),
            str_sub(last, 0, 19)};
        table_row(&t, cells);
    }
    table_put(&t, out);
}

static void put_receivers(ask *q, const json_value *v, buf *out) {
    const json_value *list = json_get(v, S("receivers"));
    if (list->count == 0) return;
    table t;
    table_init(
        &t, "receiver|>requests|>records|>accepted|>rejected|>refused|>dropped|>invalid requests",
        &q->mem);
    for (size_t i = 0; i < list->count; i++) {
        const json_value *r = &list->items[i];
        str cells[] = {json_str(json_get(r, S("name"))),
                       count_of(q, json_get(r, S("requests"))),
                       count_of(q, json_get(r, S("records"))),
                       count_of(q, json_get(r, S("accepted"))),
                       count_of(q, json_get(r, S("rejected"))),
                       count_of(q, json_get(r, S("refused"))),
                       count_of(q, json_get(r, S("dropped"))),
                       count_of(q, json_get(r, S("invalid_requests")))};
        table_row(&t, cells);
    }
    buf_putc(out, '\n');
    table_put(&t, out);
}

/* "memory 3, store_queue 1" of the members that are not zero. */
static str nonzero(ask *q, const json_value *v) {
    buf b;
    buf_init(&b, 4096);
    for (size_t i = 0; i < v->count; i++) {
        if (json_i64(&v->items[i]) == 0) continue;
        buf_fmt(&b, "%s%.*s %.*s", b.n ? ", " : "", STR_ARG(v->items[i].key),
                STR_ARG(json_str(&v->items[i])));
    }
    str got = b.n > 0 ? str_dup(&q->mem, buf_str(&b)) : S("none");
    buf_release(&b);
    return got;
}

static void line(buf *out, const char *name, str text) {
    buf_fmt(out, "%-18s %.*s\n", name, STR_ARG(text));
}

/* The disk, and what is wrong with what it holds. */
static void put_kept(ask *q, const json_value *v, buf *out) {
    line(out, "disk",
         str_fmt(&q->mem, "%.*s used, %.*s free%s",
                 STR_ARG(bytes_of(q, json_path(v, S("disk.used_bytes")))),
                 STR_ARG(bytes_of(q, json_path(v, S("disk.free_bytes")))),
                 json_bool(json_path(v, S("disk.full"))) ? ", FULL" : ""));
    int64_t damaged = json_i64(json_path(v, S("store.damaged_blocks")));
    if (damaged > 0)
        line(out, "DAMAGE", str_fmt(&q->mem, "%" PRId64 " blocks; run: faultline fsck", damaged));
    str last = json_str(json_path(v, S("store.last_error")));
    if (last.n > 0) line(out, "last error", last);
}

static void put_status(ask *q, const json_value *v, buf *out) {
    str reason = json_str(json_get(v, S("reason"))), version = json_str(json_get(v, S("version")));
    if (q->local) {
        buf_fmt(out, "faultline %.*s, no server runs: what the files hold\n\n", STR_ARG(version));
        put_signals(q, v, out);
        buf_putc(out, '\n');
        put_kept(q, v, out);
        return;
    }
    buf_fmt(
        out, "faultline %.*s, %.*s%s%.*s, process %" PRId64 ", up %.*s, started in %.0f ms\n",
        STR_ARG(version), STR_ARG(json_str(json_get(v, S("state")))), reason.n > 0 ? ": " : "",
        STR_ARG(reason), json_i64(json_get(v, S("pid"))),
        STR_ARG(num_duration_text(&q->mem, (int64_t)(json_f64(json_get(v, S("uptime_s"))) * 1e9))),
        json_f64(json_get(v, S("start_ms"))));
    const json_value *listen = json_get(v, S("listen"));
    for (size_t i = 0; i < listen->count; i++) {
        const json_value *l = &listen->items[i];
        buf_fmt(out, "%s%.*s %.*s%s", i ? ", " : "listens on ", STR_ARG(l->key),
                STR_ARG(json_str(json_get(l, S("address")))),
                json_bool(json_get(l, S("tls"))) ? " (TLS)" : "");
    }
    if (listen->count > 0) buf_putc(out, '\n');
    buf_putc(out, '\n');
    put_signals(q, v, out);
    put_receivers(q, v, out);
    buf_putc(out, '\n');
    line(out, "refused batches", nonzero(q, json_path(v, S("ingest.refused_batches"))));
    line(out, "refused requests", nonzero(q, json_path(v, S("net.refused"))));
    const json_value *decode = json_path(v, S("queues.decode")),
                     *query = json_path(v, S("queues.query"));
    line(out, "queues",
         str_fmt(&q->mem,
                 "decode %" PRId64 " of %" PRId64 ", query %" PRId64 " of %" PRId64
                 ", store %.*s of %.*s",
                 json_i64(json_get(decode, S("queue"))), json_i64(json_get(decode, S("queue_max"))),
                 json_i64(json_get(query, S("queue"))), json_i64(json_get(query, S("queue_max"))),
                 STR_ARG(bytes_of(q, json_path(v, S("queues.store.bytes")))),
                 STR_ARG(bytes_of(q, json_path(v, S("queues.store.max_bytes"))))));
    line(out, "acknowledged in",
         str_fmt(&q->mem, "%.1f ms on average, %.1f ms at most",
                 json_f64(json_path(v, S("ingest.ack_mean_ms"))),
                 json_f64(json_path(v, S("ingest.ack_max_ms")))));
    line(out, "cardinality",
         str_fmt(&q->mem, "%.*s services, %.*s metric series, %.*s log shapes",
                 STR_ARG(count_of(q, json_path(v, S("cardinality.services")))),
                 STR_ARG(count_of(q, json_path(v, S("cardinality.metric_series")))),
                 STR_ARG(count_of(q, json_path(v, S("cardinality.log_shapes"))))));
    line(out, "memory",
         str_fmt(&q->mem, "%.*s resident (%.*s at most): telemetry %.*s, miners %.*s, cache %.*s",
                 STR_ARG(bytes_of(q, json_path(v, S("memory.resident_bytes")))),
                 STR_ARG(bytes_of(q, json_path(v, S("memory.resident_max_bytes")))),
                 STR_ARG(bytes_of(q, json_path(v, S("memory.telemetry_bytes")))),
                 STR_ARG(bytes_of(q, json_path(v, S("memory.miners_bytes")))),
                 STR_ARG(bytes_of(q, json_path(v, S("memory.store_cache_bytes"))))));
    put_kept(q, v, out);
}

/* ---- partitions ---- */

static void put_partitions(ask *q, const json_value *v, buf *out) {
    const json_value *list = json_get(v, S("partitions"));
    table t;
    table_init(&t, "partition|state|>size|>files|>logs|>spans|>metrics|>profiles|from|to|path",
               &q->mem);
    for (size_t i = 0; i < list->count; i++) {
        const json_value *p = &list->items[i], *n = json_get(p, S("records"));
        bool cold = json_bool(json_get(p, S("cold"))), is_open = json_bool(json_get(p, S("open")));
        str cells[] = {json_str(json_get(p, S("name"))),
                       is_open ? S("open")
                       : cold  ? S("cold")
                               : S("hot"),
                       bytes_of(q, json_get(p, S("bytes"))),
                       count_of(q, json_get(p, S("files"))),
                       count_of(q, json_get(n, S("logs"))),
                       count_of(q, json_get(n, S("spans"))),
                       count_of(q, json_get(n, S("metrics"))),
                       count_of(q, json_get(n, S("profiles"))),
                       str_sub(json_str(json_get(p, S("first"))), 0, 19),
                       str_sub(json_str(json_get(p, S("last"))), 0, 19),
                       json_str(json_get(p, S("path")))};
        table_row(&t, cells);
    }
    if (list->count == 0)
        buf_put(out, S("nothing is stored yet\n"));
    else
        table_put(&t, out);
}

/* A GET that is printed as JSON or by `put`. */
static int show(const cli_args *a, str path, void (*put)(ask *q, const json_value *v, buf *out)) {
    ask q;
    err e = {0};
    buf text;
    if (ask_open(a, ASK_SERVER_OR_FILES, &q, &e) != RC_OK) return tell_answer(&e);
    buf_init(&text, TEXT_BYTES_MAX);
    const json_value *v;
    int status;
    if (ask_json(&q, path, &v, &e) != RC_OK) {
        status = tell_answer(&e);
    } else {
        if (cli_has(a, OPT_JSON)) {
            buf_put(&text, v->text);
            buf_putc(&text, '\n');
        } else {
            put(&q, v, &text);
        }
        status = print(a, buf_str(&text));
    }
    buf_release(&text);
    ask_close(&q);
    return status;
}

int cmd_status(const cli_args *a) { return show(a, S("/api/v1/status"), put_status); }
int cmd_partitions(const cli_args *a) { return show(a, S("/api/v1/partitions"), put_partitions); }

/* ---- the store, opened by this process ---- */

static rc open_own(const cli_args *a, store **ret, err *e) {
    store_opts o = {
        .dir = ask_dir(a), .no_background = true, .fs = &SYS_FS_REAL, .clock = &SYS_CLOCK_REAL};
    sys_stat st;
    if (SYS_FS_REAL.ops->stat(NULL, o.dir, &st, NULL) != RC_OK || !st.is_dir) {
        rc code = FAIL(e, RC_NOT_FOUND, "there is no directory \"%.*s\"", STR_ARG(o.dir));
        err_hint(e, "say --data DIR");
        return code;
    }
    return store_open(&o, ret, e);
}

static bool server_runs(const cli_args *a) {
    arena mem;
    server_info info;
    arena_init(&mem, "server file", 1 << 20);
    bool runs = cli_has(a, OPT_SERVER) || server_file_read(ask_dir(a), &mem, &info, NULL) == RC_OK;
    arena_release(&mem);
    return runs;
}

/* ---- fsck ---- */

typedef struct fsck_view {
    const cli_args *a;
    buf text, line; /* line: what came without its end yet */
    uint64_t findings, repaired;
    bool failed, clean;
    sys_progress *bar;
    arena mem;
} fsck_view;

static void put_damage(fsck_view *x, str file, uint64_t offset, uint64_t bytes, str what,
                       uint64_t lost, bool repaired) {
    x->findings++;
    x->repaired += repaired;
    buf_fmt(&x->text, "%.*s at %" PRIu64 " (%" PRIu64 " bytes): %.*s", STR_ARG(file), offset, bytes,
            STR_ARG(what));
    if (lost > 0) buf_fmt(&x->text, "; %" PRIu64 " records", lost);
    if (repaired) buf_put(&x->text, S("; set aside"));
    buf_putc(&x->text, '\n');
}

/* One line of the server's answer. */
static void take_line(fsck_view *x, str text) {
    const json_value *v;
    arena_mark mark = arena_save(&x->mem);
    if (json_tree(text, &x->mem, &v, NULL) == RC_OK) {
        const json_value *state = json_get(v, S("status"));
        if (json_get(v, S("progress_bytes"))->type != JSON_IS_NOTHING) {
            if (x->bar)
                sys_progress_step(x->bar, (uint64_t)json_i64(json_get(v, S("progress_bytes"))),
                                  (uint64_t)json_i64(json_get(v, S("total_bytes"))), S("B"));
        } else if (state->type != JSON_IS_NOTHING) {
            x->clean = str_eq(json_str(state), S("clean"));
            x->failed = str_eq(json_str(state), S("failed"));
            if (x->failed) buf_fmt(&x->text, "%.*s\n", STR_ARG(json_str(json_get(v, S("error")))));
        } else {
            put_damage(
                x, json_str(json_get(v, S("file"))), (uint64_t)json_i64(json_get(v, S("offset"))),
                (uint64_t)json_i64(json_get(v, S("bytes"))), json_str(json_get(v, S("what"))),
                (uint64_t)json_i64(json_get(v, S("records_lost"))),
                json_bool(json_get(v, S("repaired"))));
        }
    }
    arena_restore(&x->mem, mark);
}

static rc on_part(void *ctx, str part) {
    fsck_view *x = ctx;
    if (cli_has(x->a, OPT_JSON) && !buf_put(&x->text, part)) return RC_LIMIT;
    if (!buf_put(&x->line, part)) return RC_LIMIT;
    str rest = buf_str(&x->line), one;
    size_t end;
    buf plain = x->text;
    while ((end = str_find_char(rest, '\n', 0)) != STR_NPOS) {
        one = str_sub(rest, 0, end);
        rest = str_from(rest, end + 1);
        take_line(x, one);
    }
    if (cli_has(x->a, OPT_JSON)) x->text.n = plain.n; /* JSON is shown as it came */
    memmove(x->line.p, rest.p, rest.n);
    x->line.n = rest.n;
    return RC_OK;
}

static void on_own_finding(void *ctx, const fsck_finding *f) {
    put_damage(ctx, f->file, f->offset, f->bytes, f->what, f->records_lost, f->repaired);
}

static void on_own_progress(void *ctx, uint64_t bytes, uint64_t total) {
    fsck_view *x = ctx;
    if (x->bar) sys_progress_step(x->bar, bytes, total, S("B"));
}

static rc fsck_own(const cli_args *a, fsck_view *x, err *e) {
    store *s;
    rc code = open_own(a, &s, e);
    if (code != RC_OK) return code;
    code = s->ops->fsck(s, cli_has(a, OPT_REPAIR), on_own_finding, x, on_own_progress, e);
    store_close(s);
    bool repaired = cli_has(a, OPT_REPAIR) && x->findings == x->repaired;
    x->clean = code == RC_OK || (code == RC_CORRUPT && repaired);
    return code == RC_CORRUPT ? RC_OK : code;
}

static rc fsck_asked(const cli_args *a, fsck_view *x, err *e) {
    ask q;
    rc code = ask_open(a, ASK_SERVER_OR_FILES, &q, e);
    if (code != RC_OK) return code;
    code = ask_stream(&q, S("POST"), S("/api/v1/fsck"), on_part, x, e);
    ask_close(&q);
    return code;
}

int cmd_fsck(const cli_args *a) {
    fsck_view x = {.a = a};
    err e = {0};
    bool repair = cli_has(a, OPT_REPAIR);
    if (repair && server_runs(a)) {
        IGNORE(FAIL(&e, RC_EXISTS, "a server runs on \"%.*s\": it cannot be repaired under it",
                    STR_ARG(ask_dir(a))));
        err_hint(&e, "stop it first");
        return tell_answer(&e);
    }
    buf_init(&x.text, TEXT_BYTES_MAX);
    buf_init(&x.line, TEXT_BYTES_MAX);
    arena_init(&x.mem, "fsck", 16 << 20);
    if (!cli_has(a, OPT_QUIET)) x.bar = sys_progress_new(S("verifying"));
    rc code = repair ? fsck_own(a, &x, &e) : fsck_asked(a, &x, &e);
    sys_progress_free(x.bar);
    int status = EXIT_WITH_OK;
    if (code != RC_OK) {
        status = tell_answer(&e);
    } else {
        if (cli_has(a, OPT_JSON) && repair)
            buf_fmt(&x.text,
                    "{\"status\":\"%s\",\"findings\":%" PRIu64 ",\"repaired\":%" PRIu64 "}\n",
                    !x.clean     ? "damaged"
                    : x.findings ? "repaired"
                                 : "clean",
                    x.findings, x.repaired);
        else if (!cli_has(a, OPT_JSON))
            buf_fmt(&x.text,
                    x.findings ? "%" PRIu64 " damaged place(s), %" PRIu64 " set aside\n"
                               : "no damage\n",
                    x.findings, x.repaired);
        status = print(a, buf_str(&x.text));
        if (status == EXIT_WITH_OK && x.failed) status = EXIT_WITH_FAILED;
        if (status == EXIT_WITH_OK && (x.findings > x.repaired || !x.clean))
            status = EXIT_WITH_DAMAGED;
    }
    arena_release(&x.mem);
    buf_release(&x.line);
    buf_release(&x.text);
    return status;
}

/* ---- compact ---- */

int cmd_compact(const cli_args *a) {
    err e = {0};
    rc code;
    uint64_t bytes = 0;
    if (server_runs(a)) {
        ask q;
        net_response r;
        const json_value *v;
        code = ask_open(a, ASK_SERVER_ONLY, &q, &e);
        if (code != RC_OK) return tell_answer(&e);
        q.timeout_ms = -1;
        code = ask_post(&q, S("/api/v1/compact"), STR_NONE, &r, &e);
        if (code == RC_OK && json_tree(r.body, &q.mem, &v, NULL) == RC_OK)
            bytes = (uint64_t)json_i64(json_get(v, S("disk_bytes")));
        ask_close(&q);
    } else {
        store *s;
        code = open_own(a, &s, &e);
        if (code != RC_OK) return tell_answer(&e);
        code = s->ops->compact(s, NULL, &e);
        store_stats st = {0};
        s->ops->stats(s, &st);
        bytes = st.disk_bytes;
        store_close(s);
    }
    if (code != RC_OK) return tell_answer(&e);
    buf text;
    arena mem;
    arena_init(&mem, "compact", 1 << 16);
    buf_init(&text, 4096);
    if (cli_has(a, OPT_JSON))
        buf_fmt(&text, "{\"status\":\"compacted\",\"disk_bytes\":%" PRIu64 "}\n", bytes);
    else
        buf_fmt(&text, "compacted; %.*s on disk\n", STR_ARG(num_bytes_text(&mem, bytes)));
    int status = print(a, buf_str(&text));
    buf_release(&text);
    arena_release(&mem);
    return status;
}

/* ---- export ---- */

/* The server ends its answer with a line that says whether it is whole. The last bytes are held
 * back until it is clear that they are not it. */
typedef struct export_view {
    output out;
    buf held; /* the last line so far, its end included */
    bool proto;
} export_view;

static rc on_export(void *ctx, str part) {
    export_view *x = ctx;
    while (part.n > 0) {
        /* A line is passed on once the next one begins. */
        if (x->held.n > 0 && x->held.p[x->held.n - 1] == '\n' && !x->proto) {
            if (!output_put(&x->out, buf_str(&x->held))) return RC_IO;
            buf_reset(&x->held);
        }
        size_t end = x->proto ? STR_NPOS : str_find_char(part, '\n', 0);
        str piece = end == STR_NPOS ? part : str_sub(part, 0, end + 1);
        if (!buf_put(&x->held, piece)) return RC_LIMIT;
        part = str_from(part, piece.n);
        if (!x->proto) continue;
        /* Messages: their length, then as many bytes; a length of 0 is the end. */
        size_t done = 0;
        for (;;) {
            uint64_t n = 0;
            unsigned shift = 0;
            size_t at = done;
            bool whole = false;
            while (at < x->held.n && shift < 64) {
                unsigned char c = (unsigned char)x->held.p[at++];
                n |= (uint64_t)(c & 127) << shift;
                shift += 7;
                if (c < 128) {
                    whole = true;
                    break;
                }
            }
            if (!whole || n == 0 || n > x->held.n - at) break;
            done = at + n;
        }
        if (!output_put(&x->out, str_sub(buf_str(&x->held), 0, done))) return RC_IO;
        memmove(x->held.p, x->held.p + done, x->held.n - done);
        x->held.n -= done;
    }
    return RC_OK;
}

static rc read_end(export_view *x, ask *q, bool quiet, bool *ret_partial, err *e) {
    str last = buf_str(&x->held);
    if (x->proto && last.n > 0 && last.p[0] == '\0') last = str_from(last, 1);
    const json_value *v;
    if (json_tree(str_trim(last), &q->mem, &v, NULL) != RC_OK)
        return FAIL(e, RC_IO, "the answer was cut short");
    if (!str_eq(json_str(json_get(v, S("export"))), S("done")))
        return FAIL(e, RC_IO, "%.*s", STR_ARG(json_str(json_get(v, S("error")))));
    *ret_partial = json_bool(json_get(v, S("partial")));
    if (!quiet)
        fprintf(stderr, "faultline: %.*s records\n",
                STR_ARG(count_of(q, json_get(v, S("records")))));
    int64_t damaged = json_i64(json_get(v, S("damaged_blocks")));
    if (*ret_partial && damaged > 0)
        fprintf(stderr, "faultline: %" PRId64 " damaged block%s left out: see faultline fsck\n",
                damaged, damaged == 1 ? " was" : "s were");
    else if (*ret_partial)
        fprintf(stderr, "faultline: not everything that matches could be read\n");
    return RC_OK;
}

int cmd_export(const cli_args *a) {
    err e = {0};
    int64_t from, to;
    rc code = ask_time("--since", cli_text(a, OPT_SINCE_STORED), 0, &from, &e);
    if (code == RC_OK) code = ask_time("--until", cli_text(a, OPT_UNTIL_STORED), 0, &to, &e);
    ask q;
    if (code == RC_OK) code = ask_open(a, ASK_SERVER_OR_FILES, &q, &e);
    if (code != RC_OK) return tell_answer(&e);
    str format = cli_text(a, OPT_FORMAT_EXPORT);
    export_view x = {.proto = str_eq(format, S("otlp-proto"))};
    buf path;
    buf_init(&path, PATH_BYTES_MAX);
    buf_init(&x.held, TEXT_BYTES_MAX * 4);
    buf_put(&path, S("/api/v1/export?end=1"));
    ask_param(&path, "format", format);
    ask_param(&path, "signal", cli_text(a, OPT_SIGNAL));
    ask_param(&path, "service", cli_text(a, OPT_SERVICE_STORED));
    if (from != 0) ask_param_i64(&path, "since", from);
    if (to != 0) ask_param_i64(&path, "until", to);
    bool partial = false;
    int status;
    if (output_open(&x.out, &SYS_FS_REAL, cli_text(a, OPT_OUTPUT), &e) != RC_OK) {
        tell_failure(&e);
        status = EXIT_WITH_NO_OUTPUT;
    } else {
        code = ask_stream(&q, S("GET"), buf_str(&path), on_export, &x, &e);
        if (x.out.failed == RC_OK && code == RC_OK)
            code = read_end(&x, &q, cli_has(a, OPT_QUIET), &partial, &e);
        if (x.out.failed != RC_OK || code == RC_OK) {
            status = output_close(&x.out, &e) == RC_OK ? EXIT_WITH_OK : EXIT_WITH_NO_OUTPUT;
            if (status != EXIT_WITH_OK) tell_failure(&e);
            if (status == EXIT_WITH_OK && partial) status = EXIT_WITH_DAMAGED;
        } else {
            output_abandon(&x.out);
            status = tell_answer(&e);
        }
    }
    buf_release(&x.held);
    buf_release(&path);
    ask_close(&q);
    return status;
}
