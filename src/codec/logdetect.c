/* logdetect.c - which format a sample is of.
 *
 * Every line format scores the lines of the sample (0..100 each, lines that look like parts of
 * stack traces left out); the header learner says what share of the lines begin with the header
 * they have in common. The best line format wins with a mean of LINES_SURE, or when its mean beats
 * the header's share; else the header; else plain. Lines the winner does not read are then given to
 * the same contest, and a winner there becomes the second reader of a mixed file, provided there
 * are enough of them.
 *
 * A sample is binary when it has many control bytes that no text has. Several formats nest: the
 * messages of container and JSON lines are collected and may have a learned header of their own. */
#include "codec/logformat_int.h"
#include "codec/trace_int.h"

#include "base/buf.h"
#include "base/mem.h"

enum {
    LINES_SURE = 60,     /* mean score that settles it */
    LINES_POSSIBLE = 30, /* lowest mean that may win over plain text */
    RECORDS_SURE = 60,
    SECOND_LINES_MIN = 3,
    SECOND_SHARE_MIN = 50, /* one line in so many */
    INNER_GROUPS_MAX = 16, /* services looked at for headers of their own */
    BINARY_LOOK_BYTES = 64 << 10,
    COLUMNS_BYTES = DESCRIBE_BYTES - 40 /* leaves room for the words around the columns */
};

static const line_fmt *const LINE_FMTS[] = {
    &line_fmt_otlp_json, &line_fmt_docker,   &line_fmt_journal_json,
    &line_fmt_cri,       &line_fmt_prefixed, &line_fmt_syslog_5424,
    &line_fmt_access,    &line_fmt_json,     &line_fmt_logfmt,
};

static const record_fmt *const RECORD_FMTS[] = {&record_fmt_journal_export, &record_fmt_json_doc};

/* Names of text headers: all are learned from the sample; the name only says that it is one. */
#define HEADER_NAMES                                                                               \
    "header", "syslog-3164", "klog", "nginx-error", "apache-error", "java", "python", "go",        \
        "dotnet", "logcat"

static const char *const NAMES[] = {"auto",
                                    "plain",
                                    "otlp-json",
                                    "docker",
                                    "cri",
                                    "json",
                                    "logfmt",
                                    "journal-json",
                                    "journal-export",
                                    "json-document",
                                    "syslog-5424",
                                    "access",
                                    HEADER_NAMES,
                                    NULL};
static const char *const HEADERS[] = {HEADER_NAMES};

const char *const *log_format_names(void) { return NAMES; }

/* ---- the sample ---- */

typedef struct sample {
    str *line;
    size_t n;
} sample;

static void split_sample(str text, sample *ret) {
    ret->line = mem_new_n(str, HEADER_LINES_MAX);
    ret->n = 0;
    if (str_starts(text, S("\xef\xbb\xbf"))) text = str_from(text, 3);
    /* A last line without newline may be cut. */
    size_t last = str_rfind_char(text, '\n');
    if (last != STR_NPOS) text = str_sub(text, 0, last);
    str rest = text, line;
    while (ret->n < HEADER_LINES_MAX && str_next(&rest, '\n', &line)) {
        line = str_trim_right(line);
        if (line.n) ret->line[ret->n++] = line;
    }
}

static bool is_binary(str s) {
    s = str_sub(s, 0, BINARY_LOOK_BYTES);
    size_t control = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        control += c < 0x20 && !(c >= 7 && c <= 13) && c != 0x1b;
    }
    return control * 20 > s.n; /* more than one byte in twenty */
}

static unsigned mean_score(const line_fmt *fmt, const sample *s) {
    uint64_t sum = 0, count = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (trace_is_part(s->line[i])) continue;
        count++;
        if (fmt->looks_like(s->line[i])) sum += fmt->score(s->line[i]);
    }
    return count ? (unsigned)(sum / count) : 0;
}

static bool choose_reader(const sample *s, const ts_context *ts, line_reader *ret) {
    unsigned best = 0;
    const line_fmt *fmt = NULL;
    for (size_t i = 0; i < ARRAY_LEN(LINE_FMTS); i++) {
        unsigned mean = mean_score(LINE_FMTS[i], s);
        if (mean > best) {
            best = mean;
            fmt = LINE_FMTS[i];
        }
    }
    *ret = (line_reader){0};
    if (best < LINES_SURE && header_learn(s->line, s->n, ts, &ret->hdr)) {
        ret->kind = FORMAT_HEADER;
        if (best < LINES_POSSIBLE || ret->hdr.share * 100 >= best) return true;
    }
    if (best < LINES_POSSIBLE) return ret->kind != FORMAT_PLAIN;
    *ret = (line_reader){.kind = FORMAT_LINES, .fmt = fmt};
    return true;
}

/* Lines the first reader leaves, when they are no continuations and there are enough of them. */
static void choose_second(log_format *f, const sample *s) {
    sample left = {.line = mem_new_n(str, s->n ? s->n : 1)};
    str prev = STR_NONE;
    for (size_t i = 0; i < s->n; i++) {
        str line = s->line[i];
        bool indented = line.p[0] == ' ' || line.p[0] == '\t';
        bool taken = f->first.kind == FORMAT_LINES ? f->first.fmt->looks_like(line)
                                                   : line_reader_starts(&f->first, f, prev, line);
        if (!taken && !indented && !trace_is_part(line)) left.line[left.n++] = line;
        prev = line;
    }
    line_reader second;
    if (left.n >= SECOND_LINES_MIN && left.n * SECOND_SHARE_MIN >= s->n &&
        choose_reader(&left, &f->ts, &second)) {
        /* Only what is beyond doubt: stray text must not become a format. */
        bool sure = second.kind == FORMAT_LINES
                        ? mean_score(second.fmt, &left) >= LINES_SURE
                        : second.hdr.share >= 0.5 && second.hdr.main_ts < second.hdr.count;
        if (sure) f->second = second;
    }
    mem_free(left.line);
}

/* Tags and brackets alone are the message's own. */
static bool is_useful_inner(const header *h) {
    bool level = false;
    for (unsigned i = 0; i < h->count; i++) level |= h->step[i].role == COL_LEVEL;
    return level || h->main_ts < h->count;
}

static bool same_columns(const header *a, const header *b) {
    if (a->count != b->count) return false;
    for (unsigned i = 0; i < a->count; i++)
        if (a->step[i].op != b->step[i].op || a->step[i].ts.kind != b->step[i].ts.kind ||
            a->step[i].lit_n != b->step[i].lit_n || a->step[i].open != b->step[i].open)
            return false;
    return true;
}

/* The headers of the messages inside container and JSON lines, learned service by service. */
static void learn_inner(log_format *f, const sample *s) {
    log_batch batch;
    log_batch_init(&batch);
    log_parse_stats stats = {0};
    line_ctx c = {.ts = &f->ts, .batch = &batch, .stats = &stats, .line_no = 1};
    for (size_t i = 0; i < s->n; i++)
        IGNORE(f->first.fmt->parse(&c, s->line[i], NULL)); /* what fails shows no message */
    line_finish(&c);
    str *body = mem_new_n(str, batch.count ? batch.count : 1);
    size_t first = 0;
    unsigned group = 0;
    for (; group < INNER_GROUPS_MAX && first < batch.count; group++) {
        /* Records that are dealt with have lost their body. */
        str service = batch.rec[first].service;
        size_t n = 0, next = batch.count;
        for (size_t i = first; i < batch.count; i++) {
            log_record *r = &batch.rec[i];
            bool of_group = str_eq(r->service, service);
            if (of_group && r->body.n)
                body[n++] = r->body;
            else if (r->body.n)
                next = MIN(next, i);
            if (of_group) r->body = STR_NONE;
        }
        first = next;
        header h;
        if (n == 0 || !header_learn(body, n, &f->ts, &h) || !is_useful_inner(&h)) continue;
        bool known = f->inner_count == INNER_HEADERS_MAX;
        for (unsigned i = 0; i < f->inner_count && !known; i++)
            known = same_columns(&f->inner[i], &h);
        if (!known) f->inner[f->inner_count++] = h;
    }
    const header *h = &f->inner[0];
    f->inner_stamped =
        group == 1 && f->inner_count == 1 && h->main_ts < h->count && h->share >= 0.5;
    mem_free(body);
    log_batch_release(&batch);
}

/* JSON objects and logfmt behind a text header: worth a look at every message when one in ten of
 * the sample is. */
static void look_at_bodies(log_format *f, const sample *s) {
    size_t structured = 0, all = 0;
    for (size_t i = 0; i < s->n; i++) {
        log_record r = {0};
        if (!header_parse(&f->first.hdr, &f->ts, s->line[i], NULL, &r)) continue;
        all++;
        structured += line_fmt_json.looks_like(r.body) ? line_fmt_json.score(r.body) > 0
                                                       : line_fmt_logfmt.looks_like(r.body);
    }
    f->structured_bodies = structured > 0 && structured * 10 >= all;
}

/* ---- names ---- */

static void describe_reader(const line_reader *r, buf *out) {
    if (r->kind == FORMAT_LINES) {
        buf_put(out, str_c(r->fmt->name));
        return;
    }
    char columns[COLUMNS_BYTES];
    header_describe(&r->hdr, columns, sizeof columns);
    const header *h = &r->hdr;
    if (h->syslog && h->count <= 4)
        buf_put(out, S("syslog-3164"));
    else if (h->count && h->step[0].op == H_LETTER && h->step[0].glued)
        buf_put(out, S("klog"));
    else
        buf_fmt(out, "learned: %s", columns);
}

static void describe(log_format *f) {
    buf b;
    buf_init(&b, DESCRIBE_BYTES);
    switch (f->kind) {
    case FORMAT_PLAIN:
        buf_put(&b, S("plain"));
        break;
    case FORMAT_CONTENT:
        buf_put(&b, S("content"));
        break;
    case FORMAT_RECORDS:
        buf_put(&b, str_c(f->records->name));
        break;
    case FORMAT_HEADER:
    case FORMAT_LINES:
        describe_reader(&f->first, &b);
        for (unsigned i = 0; i < f->inner_count; i++) {
            char columns[COLUMNS_BYTES];
            header_describe(&f->inner[i], columns, sizeof columns);
            buf_fmt(&b, i ? ", (%s)" : " (%s)", columns);
        }
        if (f->structured_bodies) buf_put(&b, S(" {fields}"));
        if (f->second.kind != FORMAT_PLAIN) {
            buf_put(&b, S(", also "));
            describe_reader(&f->second, &b);
        }
    }
    f->describe_bytes = b.n;
    memcpy(f->describe, b.p, b.n);
    buf_release(&b);
}

static bool is_header_name(str name) {
    for (size_t i = 0; i < ARRAY_LEN(HEADERS); i++)
        if (str_eq(name, str_c(HEADERS[i]))) return true;
    return false;
}

static rc choose_named(log_format *f, str name, const sample *s, err *e) {
    if (str_eq(name, S("plain"))) return RC_OK;
    if (is_header_name(name)) {
        if (header_learn(s->line, s->n, &f->ts, &f->first.hdr))
            f->kind = f->first.kind = FORMAT_HEADER;
        return RC_OK; /* no header to be found: plain */
    }
    for (size_t i = 0; i < ARRAY_LEN(RECORD_FMTS); i++) {
        if (!str_eq(name, str_c(RECORD_FMTS[i]->name))) continue;
        f->kind = FORMAT_RECORDS;
        f->records = RECORD_FMTS[i];
        return RC_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(LINE_FMTS); i++) {
        if (!str_eq(name, str_c(LINE_FMTS[i]->name))) continue;
        f->kind = f->first.kind = FORMAT_LINES;
        f->first.fmt = LINE_FMTS[i];
        return RC_OK;
    }
    buf b;
    buf_init(&b, ERR_MSG_BYTES);
    for (const char *const *n = NAMES; *n; n++) buf_fmt(&b, "%s%s", n == NAMES ? "" : ", ", *n);
    rc code = FAIL(e, RC_INVALID, "unknown log format \"%.*s\"; known: %.*s", STR_ARG(name),
                   STR_ARG(buf_str(&b)));
    buf_release(&b);
    return code;
}

static void choose_auto(log_format *f, const sample *s) {
    if (!choose_reader(s, &f->ts, &f->first)) return;
    f->kind = f->first.kind;
}

static const record_fmt *find_records(str text) {
    for (size_t i = 0; i < ARRAY_LEN(RECORD_FMTS); i++)
        if (RECORD_FMTS[i]->score(text) >= RECORDS_SURE) return RECORD_FMTS[i];
    return NULL;
}

rc log_format_detect(str text, const log_format_opts *opts, log_format **ret, err *e) {
    static const log_format_opts DEFAULTS = {0};
    const log_format_opts *o = opts ? opts : &DEFAULTS;
    bool automatic = o->name.n == 0 || str_eq(o->name, S("auto"));
    const record_fmt *records = automatic ? find_records(text) : NULL;
    if (automatic && !records &&
        (str_starts(text, S("\xff\xfe")) || str_starts(text, S("\xfe\xff"))))
        return FAIL(e, RC_UNSUPPORTED, "the text is UTF-16; convert it to UTF-8 first");
    if (automatic && !records && is_binary(text))
        return FAIL(e, RC_UNSUPPORTED, "the input is binary, not log text");

    log_format *f = mem_new(log_format);
    f->magic = FORMAT_MAGIC;
    f->max_line_bytes = o->max_line_bytes ? o->max_line_bytes : LOG_LINE_MAX;
    f->ts.zone_offset_s = o->zone_offset_s;
    f->ts.anchor_ns = o->now_ns ? o->now_ns : o->file_time_ns;
    if (o->now_ns && o->file_time_ns && o->file_time_ns < o->now_ns)
        f->ts.anchor_ns = o->file_time_ns;

    sample s;
    split_sample(text, &s);
    rc code = RC_OK;
    if (o->content_only) {
        f->kind = FORMAT_CONTENT;
    } else if (records) {
        f->kind = FORMAT_RECORDS;
        f->records = records;
    } else if (automatic) {
        choose_auto(f, &s);
    } else {
        code = choose_named(f, o->name, &s, e);
    }
    if (code == RC_OK && (f->kind == FORMAT_HEADER || f->kind == FORMAT_LINES)) {
        if (automatic) choose_second(f, &s);
        if (f->kind == FORMAT_LINES)
            learn_inner(f, &s);
        else
            look_at_bodies(f, &s);
        bool by_format = !o->max_line_bytes && f->kind == FORMAT_LINES;
        if (by_format && f->first.fmt->line_max_bytes > f->max_line_bytes)
            f->max_line_bytes = f->first.fmt->line_max_bytes;
    }
    mem_free(s.line);
    if (code != RC_OK) {
        log_format_free(f);
        return code;
    }
    describe(f);
    *ret = f;
    return RC_OK;
}
