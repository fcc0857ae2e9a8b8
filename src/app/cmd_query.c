/* cmd_query.c - `query logs | traces | trace | metrics` and `tail`: questions to the server's Loki,
 * Prometheus and Tempo APIs, answers for people or as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/ask.h"
#include "app/commands.h"
#include "app/output.h"
#include "app/table.h"
#include "app/waterfall.h"
#include "base/num.h"
#include "codec/json_write.h"
#include "codec/timestamp.h"
#include "sys/cancel.h"
#include "sys/term.h"

enum {
    TEXT_BYTES_MAX = 512 << 20,
    PATH_BYTES_MAX = 256 << 10,
    STDOUT_FD = 1,
    STEPS = 60,
    RECORDS = 100, /* shown when nothing is said */
    TRACES = 20,
    SPARK_MAX = 60
};
#define SECOND_NS    INT64_C(1000000000)
#define ENDLESS      __builtin_inf() /* of math.h, but double */
#define NO_VALUE     __builtin_nan("")
#define LOOK_BACK_NS (INT64_C(300) * SECOND_NS) /* of PromQL */
#define HOUR_NS      (INT64_C(3600) * SECOND_NS)

/* What every command here does: a path is asked, the answer is put as text, the text is printed. */
typedef struct question {
    const cli_args *a;
    ask q;
    buf path, text;
    int64_t from_ns, to_ns;
    bool json;
} question;

static rc question_open(question *x, const cli_args *a, const char *path, err *e) {
    *x = (question){.a = a, .json = cli_has(a, OPT_JSON)};
    int64_t now = SYS_CLOCK_REAL.ops->wall(SYS_CLOCK_REAL.ctx).ns;
    rc code = ask_time("--until", cli_text(a, OPT_UNTIL_STORED), now + 1, &x->to_ns, e);
    if (code == RC_OK)
        code =
            ask_time("--since", cli_text(a, OPT_SINCE_STORED), x->to_ns - HOUR_NS, &x->from_ns, e);
    if (code == RC_OK && x->from_ns >= x->to_ns)
        code = FAIL(e, RC_INVALID, "--until lies before --since");
    if (code == RC_OK) code = ask_open(a, ASK_SERVER_OR_FILES, &x->q, e);
    if (code != RC_OK) return code;
    buf_init(&x->path, PATH_BYTES_MAX);
    buf_init(&x->text, TEXT_BYTES_MAX);
    buf_put(&x->path, str_c(path));
    return RC_OK;
}

static int question_end(question *x, rc code, const err *e) {
    int status = EXIT_WITH_OK;
    if (code != RC_OK) {
        status = tell_answer(e);
    } else {
        output o;
        err why = {0};
        code = output_open(&o, &SYS_FS_REAL, STR_NONE, &why);
        if (code == RC_OK) {
            IGNORE(output_put(&o, buf_str(&x->text))); /* output_close tells a failure */
            code = output_close(&o, &why);
        }
        if (code != RC_OK) {
            tell_failure(&why);
            status = EXIT_WITH_NO_OUTPUT;
        }
    }
    if (x->path.max_bytes) {
        buf_release(&x->path);
        buf_release(&x->text);
        ask_close(&x->q);
    }
    return status;
}

static bool wants_color(const cli_args *a) {
    int color = cli_choice(a, OPT_COLOR);
    return color == 1 || (color == 0 && sys_term_color(STDOUT_FD));
}

/* What the server says beside the answer: warnings, and that it is partial. */
static void tell_warnings(const question *x, const json_value *v) {
    const json_value *list = json_get(v, S("warnings"));
    if (cli_has(x->a, OPT_QUIET)) return;
    for (size_t i = 0; i < list->count; i++)
        fprintf(stderr, "faultline: %.*s\n", STR_ARG(json_str(&list->items[i])));
}

/* What an empty answer means: where was looked, what there is to find elsewhere. `signal` names it
 * in the status of the server. */
static void tell_nothing(question *x, const char *what, const char *signal) {
    char from[TS_TEXT_BYTES], to[TS_TEXT_BYTES];
    if (cli_has(x->a, OPT_QUIET)) return;
    ts_format(x->from_ns, from);
    ts_format(x->to_ns, to);
    fprintf(stderr, "faultline: no %s from %.19s to %.19s UTC", what, from, to);
    const json_value *v;
    if (ask_json(&x->q, S("/api/v1/status"), &v, NULL) == RC_OK) {
        const json_value *s = json_get(json_get(v, S("store")), str_c(signal));
        str first = json_str(json_get(s, S("first"))), last = json_str(json_get(s, S("last")));
        if (json_i64(json_get(s, S("records"))) == 0)
            fprintf(stderr, "; no %s are stored at all", signal);
        else if (first.n >= 19 && last.n >= 19)
            fprintf(stderr, "; %s stored are from %.19s to %.19s: --since and --until choose",
                    signal, first.p, last.p);
    }
    fputc('\n', stderr);
}

static void tell_limit(const question *x, size_t found, uint64_t limit, const char *what) {
    if (found < limit || cli_has(x->a, OPT_QUIET)) return;
    bool oldest = cli_has(x->a, OPT_OLDEST_FIRST), one = found == 1;
    fprintf(stderr, "faultline: the %s %zu %s%s; --limit N for more, %s for %s ones\n",
            oldest ? "oldest" : "newest", found, what, one ? " that matches" : "s that match",
            oldest ? "--since" : "--until", oldest ? "later" : "earlier");
}

/* Control characters stay out of the terminal, line ends within a record are shown as \n: a record
 * is a line. */
static void put_plain(buf *out, str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\n')
            buf_put(out, S("\\n"));
        else if (c == '\t')
            buf_putc(out, '\t');
        else if (c < ' ' || c == 0x7f)
            buf_fmt(out, "\\x%02x", c);
        else
            buf_putc(out, (char)c);
    }
}

/* ---- logs ---- */

typedef struct entry {
    int64_t ts_ns;
    str line;
    const json_value *stream, *metadata;
    size_t at; /* place in the answer: order of equal times */
} entry;

static int by_time(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->ts_ns != y->ts_ns) return x->ts_ns < y->ts_ns ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static const char *level_color(str level) {
    if (str_eq(level, S("error")) || str_eq(level, S("fatal"))) return "\033[31m";
    if (str_eq(level, S("warn"))) return "\033[33m";
    if (str_eq(level, S("debug")) || str_eq(level, S("trace"))) return "\033[2m";
    return "";
}

static str label(const entry *en, str name) {
    str v = json_str(json_get(en->stream, name));
    return v.n > 0 ? v : json_str(json_get(en->metadata, name));
}

static void put_entry(const entry *en, bool json, bool color, buf *out) {
    char time[TS_TEXT_BYTES];
    ts_format(en->ts_ns, time);
    if (json) {
        json_writer w;
        json_write_init(&w, out, 0);
        json_write_object(&w);
        json_write_kv(&w, S("time"), str_c(time));
        json_write_key(&w, S("ts_ns"));
        json_write_i64(&w, en->ts_ns);
        json_write_key(&w, S("labels"));
        json_write_raw(&w, en->stream->text.n ? en->stream->text : S("{}"));
        if (en->metadata->count > 0) {
            json_write_key(&w, S("metadata"));
            json_write_raw(&w, en->metadata->text);
        }
        json_write_kv(&w, S("line"), en->line);
        json_write_object_end(&w);
        buf_putc(out, '\n');
        return;
    }
    str level = label(en, S("level"));
    if (level.n == 0) level = label(en, S("detected_level"));
    const char *paint = color ? level_color(level) : "";
    buf_put(out, str_c(time));
    buf_fmt(out, " %s%-5.*s%s ", paint, STR_ARG(level.n ? level : S("-")),
            paint[0] ? "\033[0m" : "");
    str service = label(en, S("service_name"));
    put_plain(out, service.n ? service : S("-"));
    buf_putc(out, ' ');
    put_plain(out, en->line);
    buf_putc(out, '\n');
}

static uint64_t limit_of(const question *x, uint64_t otherwise) {
    return cli_has(x->a, OPT_LIMIT) ? cli_number(x->a, OPT_LIMIT) : otherwise;
}

static rc put_streams(question *x, const json_value *result, err *e) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < result->count; i++) n += json_get(&result->items[i], S("values"))->count;
    entry *all = arena_try_new_n(&x->q.mem, entry, n);
    if (!all) return FAIL(e, RC_LIMIT, "the answer is too large");
    for (size_t i = 0; i < result->count; i++) {
        const json_value *values = json_get(&result->items[i], S("values"));
        for (size_t k = 0; k < values->count; k++, at++) {
            const json_value *v = &values->items[k];
            const json_value *meta = json_item(v, 2);
            /* Loki may nest it: {"structuredMetadata": {...}, "parsed": {...}}. */
            const json_value *inner = json_get(meta, S("structuredMetadata"));
            all[at] = (entry){.ts_ns = json_i64(json_item(v, 0)),
                              .line = json_str(json_item(v, 1)),
                              .stream = json_get(&result->items[i], S("stream")),
                              .metadata = inner->type == JSON_IS_OBJECT ? inner : meta,
                              .at = at};
        }
    }
    qsort(all, n, sizeof *all, by_time);
    bool color = wants_color(x->a);
    for (size_t i = 0; i < n; i++) put_entry(&all[i], x->json, color, &x->text);
    if (n == 0) tell_nothing(x, "record that matches", "logs");
    tell_limit(x, n, limit_of(x, RECORDS), "record");
    return x->text.full ? FAIL(e, RC_LIMIT, "the answer is too large") : RC_OK;
}

/* ---- series: of metrics and of counts over logs ---- */

static void put_labels(const json_value *metric, buf *out) {
    str name = json_str(json_get(metric, S("__name__")));
    buf_put(out, name);
    buf_putc(out, '{');
    bool first = true;
    for (size_t i = 0; i < metric->count; i++) {
        if (str_eq(metric->items[i].key, S("__name__"))) continue;
        if (!first) buf_put(out, S(", "));
        first = false;
        put_plain(out, metric->items[i].key);
        buf_putc(out, '=');
        buf_json(out, json_str(&metric->items[i]));
    }
    buf_putc(out, '}');
}

/* One character for each value, evenly chosen when there are more than fit. */
static str sparkline(arena *mem, const double *v, size_t n, bool utf8) {
    static const char *const BLOCKS[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char ASCII[] = "_.-:=+*#";
    double least = ENDLESS, most = -ENDLESS;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) continue;
        least = fmin(least, v[i]);
        most = fmax(most, v[i]);
    }
    buf b;
    buf_init(&b, 1024);
    size_t columns = MIN(n, (size_t)SPARK_MAX);
    for (size_t c = 0; c < columns; c++) {
        double x = v[c * n / columns];
        int step = !isfinite(x)   ? -1
                   : most > least ? (int)((x - least) / (most - least) * 7.999)
                                  : 3;
        if (step < 0)
            buf_putc(&b, ' ');
        else if (utf8)
            buf_put(&b, str_c(BLOCKS[step]));
        else
            buf_putc(&b, ASCII[step]);
    }
    str got = str_dup(mem, buf_str(&b));
    buf_release(&b);
    return got;
}

static str number(arena *mem, double v) {
    if (isnan(v)) return S("-");
    return str_fmt(mem, fabs(v) >= 1e15 || (v != 0 && fabs(v) < 1e-4) ? "%.4g" : "%.6g", v);
}

static rc put_matrix(question *x, const json_value *result, const char *signal, err *e) {
    arena *mem = &x->q.mem;
    table t;
    table_init(&t, "series|>points|>least|>mean|>most|>last|over time", mem);
    bool utf8 = sys_term_utf8();
    for (size_t i = 0; i < result->count; i++) {
        const json_value *s = &result->items[i], *values = json_get(s, S("values"));
        bool instant = values->type == JSON_IS_NOTHING;
        size_t n = instant ? 1 : values->count;
        double *v = arena_try_new_n(mem, double, n);
        if (!v) return FAIL(e, RC_LIMIT, "the answer is too large");
        double least = ENDLESS, most = -ENDLESS, sum = 0;
        size_t real = 0;
        for (size_t k = 0; k < n; k++) {
            const json_value *point = instant ? json_get(s, S("value")) : &values->items[k];
            str text = json_str(json_item(point, 1));
            if (!num_double(text, &v[k]))
                v[k] = str_eq(text, S("+Inf"))   ? ENDLESS
                       : str_eq(text, S("-Inf")) ? -ENDLESS
                                                 : NO_VALUE;
            if (isnan(v[k])) continue;
            least = fmin(least, v[k]);
            most = fmax(most, v[k]);
            sum += v[k];
            real++;
        }
        buf name;
        buf_init(&name, 64 << 10);
        put_labels(json_get(s, S("metric")), &name);
        str cells[] = {str_dup(mem, buf_str(&name)),
                       str_fmt(mem, "%zu", real),
                       number(mem, real ? least : NO_VALUE),
                       number(mem, real ? sum / (double)real : NO_VALUE),
                       number(mem, real ? most : NO_VALUE),
                       number(mem, n ? v[n - 1] : NO_VALUE),
                       n > 1 ? sparkline(mem, v, n, utf8) : S("")};
        buf_release(&name);
        table_row(&t, cells);
    }
    if (result->count > 0) {
        table_put(&t, &x->text);
    } else {
        buf_put(&x->text, S("no series\n"));
        tell_nothing(x, "value", signal);
    }
    return x->text.full ? FAIL(e, RC_LIMIT, "the answer is too large") : RC_OK;
}

static rc put_answer(question *x, const json_value *v, const char *signal, err *e) {
    const json_value *data = json_get(v, S("data"));
    const json_value *result = json_get(data, S("result"));
    tell_warnings(x, v);
    if (str_eq(json_str(json_get(data, S("resultType"))), S("streams")))
        return put_streams(x, result, e);
    if (x->json) {
        buf_put(&x->text, v->text);
        buf_putc(&x->text, '\n');
        return RC_OK;
    }
    return put_matrix(x, result, signal, e);
}

/* --step, else the range in 60 parts, at least a second, rounded to a second. */
static rc step_of(const question *x, int64_t *ret_ns, err *e) {
    str text = cli_text(x->a, OPT_STEP);
    if (text.n == 0) {
        int64_t step = (x->to_ns - x->from_ns) / STEPS / SECOND_NS * SECOND_NS;
        *ret_ns = MAX(step, SECOND_NS);
        return RC_OK;
    }
    if (num_duration(text, ret_ns) && *ret_ns > 0) return RC_OK;
    return FAIL(e, RC_INVALID, "--step \"%.*s\" is not a duration such as 30s", STR_ARG(text));
}

static void put_seconds(buf *path, const char *name, int64_t ns) {
    char text[64];
    int n = snprintf(text, sizeof text, "%" PRId64 ".%09" PRId64, ns / SECOND_NS, ns % SECOND_NS);
    ask_param(path, name, str_make(text, (size_t)n));
}

/* Values stand at start, start + step, ...: the start is moved so that the last one is at the end,
 * and what came just now is seen. */
static int64_t aligned_start(const question *x, int64_t step) {
    return x->to_ns - (x->to_ns - x->from_ns) / step * step;
}

/* A log query begins with its selector, a metric query with a function. */
static bool is_log_query(str text) { return str_starts(str_trim(text), S("{")); }

int cmd_query_logs(const cli_args *a) {
    question x;
    err e = {0};
    int64_t step = 0;
    rc code = question_open(&x, a, "/loki/api/v1/query_range", &e);
    if (code == RC_OK) code = step_of(&x, &step, &e);
    if (code == RC_OK) {
        ask_param(&x.path, "query", a->operands[0]);
        /* Records of a log query begin where --since says; a grid of counts ends where it ends. */
        bool counts = cli_has(a, OPT_STEP) || !is_log_query(a->operands[0]);
        ask_param_i64(&x.path, "start", counts ? aligned_start(&x, step) : x.from_ns);
        ask_param_i64(&x.path, "end", x.to_ns);
        put_seconds(&x.path, "step", step);
        ask_param_i64(&x.path, "limit", (int64_t)limit_of(&x, RECORDS));
        ask_param(&x.path, "direction",
                  cli_has(a, OPT_OLDEST_FIRST) ? S("forward") : S("backward"));
        const json_value *v;
        code = ask_json(&x.q, buf_str(&x.path), &v, &e);
        if (code == RC_OK) code = put_answer(&x, v, "logs", &e);
    }
    return question_end(&x, code, &e);
}

/* A bare NAME that is a histogram or a summary has no values of its own. */
static void tell_parts(question *x, str query) {
    buf path;
    const json_value *v;
    if (cli_has(x->a, OPT_QUIET)) return;
    buf_init(&path, PATH_BYTES_MAX);
    buf_put(&path, S("/api/v1/metadata"));
    ask_param(&path, "metric", query);
    put_seconds(&path, "start", x->from_ns);
    put_seconds(&path, "end", x->to_ns);
    if (ask_json(&x->q, buf_str(&path), &v, NULL) == RC_OK) {
        str type =
            json_str(json_get(json_item(json_get(json_get(v, S("data")), query), 0), S("type")));
        bool histogram = str_eq(type, S("histogram"));
        if (histogram || str_eq(type, S("summary")))
            fprintf(stderr, "faultline: it is a %.*s: ask for %.*s_count, %.*s_sum%s%.*s%s\n",
                    STR_ARG(type), STR_ARG(query), STR_ARG(query),
                    histogram ? ", or 'histogram_quantile(0.95, sum by (le) (rate("
                              : " or the quantiles ",
                    STR_ARG(query), histogram ? "_bucket[5m])))'" : "{quantile=...}");
    }
    buf_release(&path);
}

/* Is it a bare metric name, to which --by can be added? */
static bool is_name(str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
                    c == '.' || (i > 0 && c >= '0' && c <= '9');
        if (!fine) return false;
    }
    return s.n > 0;
}

/* OpenTelemetry's name as Prometheus has it. */
static str plain_name(str name, arena *mem) {
    char *p = arena_try_bytes(mem, name.n, 1);
    for (size_t i = 0; p && i < name.n; i++) p[i] = name.p[i] == '.' ? '_' : name.p[i];
    return p ? str_make(p, name.n) : STR_NONE;
}

/* A bare NAME with a step wider than PromQL's look-back is asked for its last value of each step:
 * else what lies between two looks is not seen. */
static rc metric_query(const cli_args *a, int64_t step_ns, arena *mem, str *ret, err *e) {
    const str *by;
    size_t n = cli_all(a, OPT_BY, mem, &by);
    str text = a->operands[0];
    if (is_name(text)) text = plain_name(text, mem);
    if (!text.p) return FAIL(e, RC_LIMIT, "the query is too long");
    bool wide = is_name(text) && step_ns > LOOK_BACK_NS;
    if (wide)
        text = str_fmt(mem, "last_over_time(%.*s[%" PRId64 "ms])", STR_ARG(text),
                       step_ns / (SECOND_NS / 1000));
    *ret = text;
    if (n == 0) return RC_OK;
    if (!wide && !is_name(text))
        return FAIL(e, RC_INVALID,
                    "--by goes with a bare NAME; write 'avg by (...) (...)' instead");
    buf b;
    buf_init(&b, PATH_BYTES_MAX);
    buf_put(&b, S("avg by ("));
    for (size_t i = 0; i < n; i++) buf_fmt(&b, "%s%.*s", i ? ", " : "", STR_ARG(by[i]));
    buf_fmt(&b, ") (%.*s)", STR_ARG(text));
    *ret = str_dup(mem, buf_str(&b));
    buf_release(&b);
    return RC_OK;
}

int cmd_query_metrics(const cli_args *a) {
    question x;
    err e = {0};
    int64_t step = 0;
    str query = STR_NONE;
    rc code = question_open(&x, a, "/api/v1/query_range", &e);
    if (code == RC_OK) code = step_of(&x, &step, &e);
    if (code == RC_OK) code = metric_query(a, step, &x.q.mem, &query, &e);
    if (code == RC_OK) {
        ask_param(&x.path, "query", query);
        put_seconds(&x.path, "start", aligned_start(&x, step));
        put_seconds(&x.path, "end", x.to_ns);
        put_seconds(&x.path, "step", step);
        const json_value *v;
        code = ask_json(&x.q, buf_str(&x.path), &v, &e);
        if (code == RC_OK) code = put_answer(&x, v, "metrics", &e);
        if (code == RC_OK && !x.json && is_name(a->operands[0]) &&
            json_get(json_get(v, S("data")), S("result"))->count == 0)
            tell_parts(&x, plain_name(a->operands[0], &x.q.mem));
    }
    return question_end(&x, code, &e);
}

/* ---- traces ---- */

static rc put_traces(question *x, const json_value *v, err *e) {
    arena *mem = &x->q.mem;
    const json_value *list = json_get(v, S("traces"));
    table t;
    table_init(&t, "trace|start|>duration|>spans|>errors|service|root", mem);
    for (size_t i = 0; i < list->count; i++) {
        const json_value *r = &list->items[i];
        char time[TS_TEXT_BYTES];
        ts_format(json_i64(json_get(r, S("startTimeUnixNano"))), time);
        const json_value *ns = json_get(r, S("durationNanos"));
        int64_t took = ns->type != JSON_IS_NOTHING
                           ? json_i64(ns)
                           : (int64_t)(json_f64(json_get(r, S("durationMs"))) * 1e6);
        int64_t spans = 0, errors = 0;
        const json_value *stats = json_get(r, S("serviceStats"));
        for (size_t k = 0; k < stats->count; k++) {
            spans += json_i64(json_get(&stats->items[k], S("spanCount")));
            errors += json_i64(json_get(&stats->items[k], S("errorCount")));
        }
        if (stats->count == 0) {
            spans = json_i64(json_get(r, S("spanCount")));
            errors = json_i64(json_get(r, S("errorCount")));
        }
        str cells[] = {json_str(json_get(r, S("traceID"))),
                       str_fmt(mem, "%s", time),
                       num_duration_text(mem, took),
                       str_fmt(mem, "%" PRId64, spans),
                       str_fmt(mem, "%" PRId64, errors),
                       json_str(json_get(r, S("rootServiceName"))),
                       json_str(json_get(r, S("rootTraceName")))};
        table_row(&t, cells);
    }
    if (list->count > 0) {
        table_put(&t, &x->text);
    } else {
        buf_put(&x->text, S("no trace\n"));
        tell_nothing(x, "trace that matches", "spans");
    }
    tell_limit(x, list->count, limit_of(x, TRACES), "trace");
    return x->text.full ? FAIL(e, RC_LIMIT, "the answer is too large") : RC_OK;
}

/* logfmt, as Tempo's `tags` wants it. */
static void put_tag(buf *tags, const char *name, str value) {
    if (value.n == 0) return;
    if (tags->n > 0) buf_putc(tags, ' ');
    buf_fmt(tags, "%s=", name);
    buf_json(tags, value);
}

static rc check_duration(const char *option, str text, err *e) {
    int64_t ns;
    if (text.n == 0 || num_duration(text, &ns)) return RC_OK;
    return FAIL(e, RC_INVALID, "%s \"%.*s\" is not a duration such as 500ms", option,
                STR_ARG(text));
}

int cmd_query_traces(const cli_args *a) {
    question x;
    err e = {0};
    rc code = question_open(&x, a, "/api/search", &e);
    if (code == RC_OK) code = check_duration("--min-duration", cli_text(a, OPT_MIN_DURATION), &e);
    if (code == RC_OK) code = check_duration("--max-duration", cli_text(a, OPT_MAX_DURATION), &e);
    if (code == RC_OK) {
        buf tags;
        buf_init(&tags, PATH_BYTES_MAX);
        put_tag(&tags, "service.name", cli_text(a, OPT_SERVICE_STORED));
        put_tag(&tags, "name", cli_text(a, OPT_SPAN_NAME));
        put_tag(&tags, "status", cli_text(a, OPT_SPAN_STATUS));
        ask_param(&x.path, "tags", buf_str(&tags));
        buf_release(&tags);
        ask_param(&x.path, "minDuration", cli_text(a, OPT_MIN_DURATION));
        ask_param(&x.path, "maxDuration", cli_text(a, OPT_MAX_DURATION));
        ask_param_i64(&x.path, "limit", (int64_t)limit_of(&x, TRACES));
        put_seconds(&x.path, "start", x.from_ns);
        put_seconds(&x.path, "end", x.to_ns);
        const json_value *v;
        code = ask_json(&x.q, buf_str(&x.path), &v, &e);
        if (code == RC_OK) tell_warnings(&x, v);
        if (code == RC_OK && x.json) {
            buf_put(&x.text, v->text);
            buf_putc(&x.text, '\n');
        } else if (code == RC_OK) {
            code = put_traces(&x, v, &e);
        }
    }
    return question_end(&x, code, &e);
}

int cmd_query_trace(const cli_args *a) {
    question x;
    err e = {0};
    str id = a->operands[0];
    rc code = RC_OK;
    for (size_t i = 0; code == RC_OK && i < id.n; i++) {
        char c = id.p[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!hex) code = RC_INVALID;
    }
    if (code != RC_OK || id.n == 0 || id.n > 32) {
        IGNORE(FAIL(&e, RC_INVALID, "'%.*s' is not a trace id (up to 32 hexadecimal digits)",
                    (int)MIN(id.n, 80), id.p));
        return tell_answer(&e);
    }
    code = question_open(&x, a, "/api/traces/", &e);
    if (code == RC_OK) {
        buf_put(&x.path, id);
        const json_value *v;
        code = ask_json(&x.q, buf_str(&x.path), &v, &e);
        if (code == RC_NOT_FOUND)
            code = FAIL(&e, RC_NOT_FOUND, "no span of trace %.*s is stored", STR_ARG(id));
        if (code == RC_OK && x.json) {
            /* Tempo's name of what OTLP calls resourceSpans. */
            const json_value *spans = json_get(v, S("batches"));
            if (spans->type != JSON_IS_ARRAY) spans = json_get(v, S("resourceSpans"));
            buf_fmt(&x.text, "{\"resourceSpans\":");
            buf_put(&x.text, spans->type == JSON_IS_ARRAY ? spans->text : S("[]"));
            buf_put(&x.text, S("}\n"));
        } else if (code == RC_OK) {
            waterfall_opts o = {.width = sys_term_width(STDOUT_FD),
                                .color = wants_color(a),
                                .utf8 = sys_term_utf8()};
            code = waterfall_put(v, &o, &x.q.mem, &x.text, &e);
        }
    }
    return question_end(&x, code, &e);
}

/* ---- tail ---- */

typedef struct follow {
    const cli_args *a;
    buf line, text;
    arena mem;
    bool json, color;
    bool failed; /* standard output is gone */
} follow;

/* One event's data: {"streams":[{"stream":{},"values":[[ns, line, metadata]]}], "dropped": n}. */
static void take_event(follow *f, str data) {
    const json_value *v;
    arena_reset(&f->mem);
    if (json_tree(data, &f->mem, &v, NULL) != RC_OK) return;
    int64_t dropped = json_i64(json_get(v, S("dropped_batches")));
    if (dropped > 0 && !cli_has(f->a, OPT_QUIET))
        fprintf(stderr, "faultline: too slow: %" PRId64 " batches were left out\n", dropped);
    const json_value *streams = json_get(v, S("streams"));
    for (size_t i = 0; i < streams->count; i++) {
        const json_value *s = &streams->items[i], *values = json_get(s, S("values"));
        for (size_t k = 0; k < values->count; k++) {
            const json_value *p = &values->items[k];
            entry en = {.ts_ns = json_i64(json_item(p, 0)),
                        .line = json_str(json_item(p, 1)),
                        .stream = json_get(s, S("stream")),
                        .metadata = json_item(p, 2)};
            put_entry(&en, f->json, f->color, &f->text);
        }
    }
    if (f->text.n == 0) return;
    if (fwrite(f->text.p, 1, f->text.n, stdout) != f->text.n || fflush(stdout) != 0)
        f->failed = true;
    buf_reset(&f->text);
}

/* Server-sent events: "data: ..." lines. */
static rc on_events(void *ctx, str part) {
    follow *f = ctx;
    if (!buf_put(&f->line, part)) return RC_LIMIT;
    str rest = buf_str(&f->line);
    size_t end;
    while ((end = str_find_char(rest, '\n', 0)) != STR_NPOS) {
        str line = str_sub(rest, 0, end);
        rest = str_from(rest, end + 1);
        if (str_ends(line, S("\r"))) line.n--;
        if (str_starts(line, S("data:"))) take_event(f, str_trim(str_from(line, 5)));
        if (f->failed) return RC_END;
    }
    memmove(f->line.p, rest.p, rest.n);
    f->line.n = rest.n;
    return RC_OK;
}

int cmd_tail(const cli_args *a) {
    follow f = {.a = a, .json = cli_has(a, OPT_JSON), .color = wants_color(a)};
    err e = {0};
    ask q;
    str service = cli_text(a, OPT_SERVICE_STORED);
    str query = a->operand_count > 0 ? a->operands[0] : STR_NONE;
    if (query.n > 0 && service.n > 0) {
        IGNORE(FAIL(&e, RC_INVALID, "tail takes --service or LOGQL, not both"));
        return tell_answer(&e);
    }
    if (ask_open(a, ASK_SERVER_ONLY, &q, &e) != RC_OK) return tell_answer(&e);
    buf path;
    buf_init(&path, PATH_BYTES_MAX);
    buf_init(&f.line, TEXT_BYTES_MAX);
    buf_init(&f.text, TEXT_BYTES_MAX);
    arena_init(&f.mem, "tail", TEXT_BYTES_MAX);
    buf_put(&path, S("/api/v1/tail"));
    if (query.n == 0 && service.n > 0) {
        buf b;
        buf_init(&b, PATH_BYTES_MAX);
        buf_put(&b, S("{service_name="));
        buf_json(&b, service);
        buf_putc(&b, '}');
        query = str_dup(&q.mem, buf_str(&b));
        buf_release(&b);
    }
    ask_param(&path, "query", query.n > 0 ? query : S("{}"));
    rc code = ask_stream(&q, S("GET"), buf_str(&path), on_events, &f, &e);
    int status = EXIT_WITH_OK;
    bool asked_to_stop = code == RC_CANCELLED && sys_cancelled();
    if (code == RC_OK && !cli_has(a, OPT_QUIET)) fprintf(stderr, "faultline: the server ended\n");
    if (code != RC_OK && !asked_to_stop && !f.failed) status = tell_answer(&e);
    arena_release(&f.mem);
    buf_release(&f.text);
    buf_release(&f.line);
    buf_release(&path);
    ask_close(&q);
    return status;
}
