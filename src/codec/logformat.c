/* logformat.c - cutting text into lines and lines into records.
 *
 * One loop over the lines of a chunk. A line either starts a record (the format's reader takes it,
 * or the second reader of a mixed file), continues the record before it, or stands alone:
 *
 *     header formats   whatever has no header continues (stack traces, wrapped text)
 *     line formats     a line that looks like part of a stack trace continues, others stand alone
 *     plain            the trace state machine decides (trace.c)
 *
 * Invariants (tested for any chunking):
 *  1. The raw texts of the records, in order, and the white space between them are the input.
 *  2. log_format_boundary only answers places where a record starts whatever came before, so
 *     parsing in chunks gives the same records as parsing at once.
 *  3. A record has at most LOG_RECORD_LINES_MAX lines; the next line then starts one of its own.
 *
 * Speed: bytes are looked at by memchr (line ends), by one vectorised pass per chunk (high bytes
 * and NULs; only when it finds some are lines checked one by one), and by the header steps. */
#include "codec/logformat_int.h"
#include "codec/trace_int.h"

#include "base/mem.h"
#include "base/utf8.h"

/* ---- lines ---- */

/* The line at `at`, without its newline and carriage return; moves *at behind the newline. */
static str take_line(str chunk, size_t *at) {
    const char *from = chunk.p + *at;
    size_t room = chunk.n - *at;
    const char *nl = memchr(from, '\n', room);
    size_t n = nl ? (size_t)(nl - from) : room;
    *at += n + (nl != NULL);
    if (n > 0 && from[n - 1] == '\r') n--;
    return str_make(from, n);
}

static bool is_blank_line(str line) {
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r') return false;
    return true;
}

static void glance(str chunk, bool *ret_high, bool *ret_nul) {
    enum { STRIDE = 64 };
    unsigned char high = 0, nul = 0;
    const unsigned char *p = (const unsigned char *)chunk.p;
    size_t i = 0;
    for (; i + STRIDE <= chunk.n; i += STRIDE) {
        for (size_t k = 0; k < STRIDE; k++) {
            high |= p[i + k];
            nul |= (unsigned char)(p[i + k] == 0);
        }
    }
    for (; i < chunk.n; i++) {
        high |= p[i];
        nul |= (unsigned char)(p[i] == 0);
    }
    *ret_high = (high & 0x80) != 0;
    *ret_nul = nul != 0;
}

/* ---- readers ---- */

/* Does the reader take the line at all, as a record or as a piece of one? Read on its own. */
static bool takes(const line_reader *r, const log_format *f, str line) {
    if (r->kind == FORMAT_HEADER) return header_starts(&r->hdr, &f->ts, line);
    if (r->kind != FORMAT_LINES || !r->fmt->looks_like(line)) return false;
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    line_ctx c = {.ts = &f->ts, .batch = &b, .stats = &stats, .line_no = 1};
    log_format_hooks(f, &c);
    bool yes = r->fmt->parse(&c, line, NULL) != RC_INVALID;
    log_batch_release(&b);
    return yes;
}

bool line_reader_starts(const line_reader *r, const log_format *f, str prev, str line) {
    if (r->kind != FORMAT_LINES || !r->fmt->starts) return takes(r, f, line);
    if (!r->fmt->looks_like(line)) return false;
    line_ctx c = {.ts = &f->ts};
    log_format_hooks(f, &c);
    return r->fmt->starts(&c, prev, line);
}

static bool inner_parse(void *inner, const line_ctx *c, str text, log_record *r) {
    const log_format *f = inner;
    log_record got = {.ts_ns = TS_NONE};
    unsigned best = 0;
    for (unsigned i = 0; i < f->inner_count; i++) { /* the header that explains most */
        log_record one = {.ts_ns = TS_NONE};
        unsigned found = header_parse(&f->inner[i], c->ts, text, NULL, &one);
        if (found <= best) continue;
        best = found;
        got = one;
    }
    if (best == 0) return false;
    if (got.severity != SEV_NONE) r->severity = got.severity;
    if (got.component.n) r->component = got.component;
    if (got.trace_id.n) r->trace_id = got.trace_id;
    if (got.span_id.n) r->span_id = got.span_id;
    if (got.service.n && r->service.n == 0) r->service = got.service;
    if (r->ts_ns == TS_NONE) r->ts_ns = got.ts_ns;
    if (got.body.n) r->body = got.body;
    return true;
}

static bool inner_continues(void *inner, str text) {
    const log_format *f = inner;
    if (trace_is_part(text)) return true;
    if (f->inner_count == 0) return false;
    return f->inner_stamped ? !header_starts(&f->inner[0], &f->ts, text)
                            : text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t');
}

void log_format_hooks(const log_format *f, line_ctx *c) {
    c->inner_parse = inner_parse;
    c->inner_continues = inner_continues;
    union {
        const void *in;
        void *out;
    } cast = {.in = f}; /* the hooks only read it */
    c->inner = cast.out;
}

/* ---- parsing ---- */

typedef struct run {
    const log_format *f;
    line_ctx c;
    err *e;
    str chunk;
    size_t open; /* record that further lines join, index + 1; 0 = none */
    bool joined; /* lines were joined to it */
    trace_state trace;
    const char *last_end; /* end of the last line that is not blank */
} run;

/* java.util.logging puts level and text on the second line: "SEVERE: Failed to bind". */
static void take_second_line(log_record *rec, str second) {
    size_t colon = str_find_char(str_sub(second, 0, 12), ':', 0);
    if (colon == STR_NPOS || second.p[0] < 'A' || second.p[0] > 'Z') return;
    severity sev = severity_from_word(str_sub(second, 0, colon), false);
    if (sev == SEV_NONE) return;
    rec->severity = (uint8_t)sev;
    rec->body = str_trim(str_from(second, colon + 1));
}

static void take_exception(log_record *rec, str text, arena *mem) {
    for (uint32_t i = 0; i < rec->attr_count; i++)
        if (str_eq(rec->attrs[i].key, S("exception.type"))) return; /* its reader found it */
    str type, message;
    if (!trace_exception(text, &type, &message)) return;
    attribute *attrs = arena_try_new_n(mem, attribute, rec->attr_count + 2u);
    if (!attrs) return;
    if (rec->attr_count) memcpy(attrs, rec->attrs, rec->attr_count * sizeof *attrs);
    attrs[rec->attr_count++] = attribute_text_of(S("exception.type"), type);
    if (message.n) attrs[rec->attr_count++] = attribute_text_of(S("exception.message"), message);
    rec->attrs = attrs;
}

/* A record is complete: what its further lines say. */
static void close_record(run *r) {
    if (r->open && r->joined) {
        log_record *rec = &r->c.batch->rec[r->open - 1];
        const char *end = rec->raw.p + rec->raw.n;
        bool in_raw = rec->body.p >= rec->raw.p && rec->body.p <= end;
        str text = in_raw ? str_make(rec->body.p, (size_t)(end - rec->body.p)) : rec->raw;
        take_exception(rec, text, &r->c.batch->mem);
        str rest = text, line;
        if (in_raw && rec->body.n == 0) {
            /* "info: Some.Class[0]" and the text on the next line. */
            while (rec->body.n == 0 && str_next(&rest, '\n', &line)) rec->body = str_trim(line);
        } else if (in_raw && rec->severity == SEV_NONE && r->f->kind == FORMAT_HEADER &&
                   str_next(&rest, '\n', &line) && str_next(&rest, '\n', &line)) {
            take_second_line(rec, line);
        }
    }
    r->open = 0;
    r->joined = false;
}

/* A level that stands in the message itself: "error: no such key", "[WARN] slow", "ERROR failed".
 * In small letters only with its colon, since "fine weather" states nothing. */
static severity level_in_front(str body) {
    enum { WORD_MAX = 13 };
    bool bracket = body.n > 0 && body.p[0] == '[';
    str t = str_from(body, bracket);
    size_t n = 0, capitals = 0;
    while (n < t.n && n <= WORD_MAX && (unsigned char)((t.p[n] | 32) - 'a') < 26) {
        capitals += t.p[n] < 'a';
        n++;
    }
    if (n < 3 || n == t.n) return SEV_NONE;
    char next = t.p[n];
    bool ends = bracket ? next == ']' : next == ':' || (next == ' ' && capitals == n);
    return ends ? severity_from_word(str_sub(t, 0, n), false) : SEV_NONE;
}

/* RC_OK: records were added; RC_INVALID: not a line of this reader; RC_LIMIT: the batch is full. */
static rc read_with(run *r, const line_reader *reader, str line, err *e) {
    log_batch *b = r->c.batch;
    if (reader->kind == FORMAT_LINES) {
        if (b->count >= BATCH_RECORDS && !reader->fmt->looks_like(line)) return RC_INVALID;
        return reader->fmt->parse(&r->c, line, e);
    }
    if (reader->kind != FORMAT_HEADER) return RC_INVALID;
    if (b->count >= BATCH_RECORDS)
        return header_starts(&reader->hdr, &r->f->ts, line) ? RC_LIMIT : RC_INVALID;
    log_record *rec = line_record_add(&r->c, line);
    if (!rec) return RC_LIMIT;
    if (header_parse(&reader->hdr, &r->f->ts, line, &b->mem, rec)) {
        if (r->f->structured_bodies) line_inner(&r->c, rec->body, rec);
        if (rec->severity == SEV_NONE) rec->severity = (uint8_t)level_in_front(rec->body);
        return RC_OK;
    }
    b->count--;
    return RC_INVALID;
}

static rc add_plain(run *r, str line) {
    log_record *rec = line_record_add(&r->c, line);
    if (!rec) return RC_LIMIT;
    rec->body = line;
    return RC_OK;
}

/* Does the line, which no reader takes, continue the open record? */
static bool joins(run *r, str line) {
    switch (r->f->kind) {
    case FORMAT_HEADER:
        return r->open > 0;
    case FORMAT_LINES:
    case FORMAT_PLAIN: {
        bool part = trace_continues(&r->trace, line);
        return part && r->open > 0;
    }
    case FORMAT_CONTENT:
    case FORMAT_RECORDS:
        break;
    }
    return false;
}

/* `whole` is the line, `line` what is read of it (the maximum). Lines since r->last_end are blank.
 */
static rc take(run *r, str whole, str line) {
    log_batch *b = r->c.batch;
    size_t before = b->count;
    rc code = RC_INVALID;
    if (r->f->kind != FORMAT_CONTENT) {
        code = read_with(r, &r->f->first, line, r->e);
        if (code == RC_INVALID && r->f->second.kind != FORMAT_PLAIN)
            code = read_with(r, &r->f->second, line, r->e);
    }
    if (code == RC_OK) {
        /* A line may have joined the record before it (containers), or several records begun. */
        if (b->count > before) {
            close_record(r);
            r->open = b->count == before + 1 ? b->count : 0;
        }
        if (r->open && line.n < whole.n && b->rec[r->open - 1].raw.p == line.p) {
            b->rec[r->open - 1].raw = whole; /* what was read is cut, the record is not */
            b->rec[r->open - 1].ref.bytes = (uint32_t)MIN(whole.n, (size_t)UINT32_MAX);
        }
        r->trace = TRACE_NONE;
        return RC_OK;
    }
    if (code != RC_INVALID) return code;
    bool part = joins(r, line);
    if (part) {
        log_record *rec = &b->rec[r->open - 1];
        uint64_t lines = r->c.line_no - rec->ref.line + 1;
        bool next_to = rec->raw.p + rec->raw.n == r->last_end;
        if (next_to && lines <= LOG_RECORD_LINES_MAX) {
            rec->raw.n = (size_t)(whole.p + whole.n - rec->raw.p);
            rec->ref.bytes = (uint32_t)MIN(rec->raw.n, (size_t)UINT32_MAX);
            rec->line_count = (uint32_t)lines;
            r->joined = true;
            return RC_OK;
        }
        if (lines > LOG_RECORD_LINES_MAX) { /* a new start, as at the beginning of a chunk */
            r->trace = TRACE_NONE;
            IGNORE(trace_continues(&r->trace, line)); /* there is nothing for it to continue */
        }
    }
    if (b->count >= BATCH_RECORDS) return RC_LIMIT;
    code = add_plain(r, whole);
    if (code != RC_OK) return code;
    b->rec[b->count - 1].body = line;
    b->rec[b->count - 1].severity = (uint8_t)level_in_front(line);
    size_t added = b->count;
    close_record(r);
    r->open = added;
    if (r->f->kind == FORMAT_HEADER || r->f->kind == FORMAT_LINES) r->c.stats->unparsed_lines++;
    return RC_OK;
}

/* The first record of a call that does not fit an empty batch (a line of thousands of records, or
 * one that needs more memory than a batch has) is kept as text, so that reading goes on. */
static rc keep_as_text(run *r, str whole, str line) {
    rc code = add_plain(r, whole);
    if (code != RC_OK) return code;
    r->c.batch->rec[r->c.batch->count - 1].body = line;
    r->c.stats->unparsed_lines++;
    return RC_OK;
}

static void count_records(const log_batch *b, size_t from, log_parse_stats *st) {
    int64_t prev = TS_NONE;
    for (size_t i = from; i < b->count; i++) {
        const log_record *rec = &b->rec[i];
        st->records++;
        st->multi_line_records += rec->line_count > 1;
        if (rec->ts_ns == TS_NONE) {
            st->records_without_time++;
            continue;
        }
        st->out_of_order += prev != TS_NONE && rec->ts_ns < prev;
        prev = rec->ts_ns;
        if (st->first_ns == TS_NONE || rec->ts_ns < st->first_ns) st->first_ns = rec->ts_ns;
        if (st->last_ns == TS_NONE || rec->ts_ns > st->last_ns) st->last_ns = rec->ts_ns;
    }
}

static rc parse_lines(run *r, size_t *ret_used, uint64_t *ret_lines) {
    const log_format *f = r->f;
    log_parse_stats *st = r->c.stats;
    bool high, nul;
    glance(r->chunk, &high, &nul);
    size_t at = 0, used = 0;
    uint64_t base_line = r->c.line_no, base_offset = r->c.offset, lines = 0;
    if (base_offset == 0 && str_starts(r->chunk, S("\xef\xbb\xbf"))) at = 3; /* byte order mark */
    while (at < r->chunk.n) {
        size_t from = at;
        str whole = take_line(r->chunk, &at);
        if (!is_blank_line(whole)) {
            str line = str_sub(whole, 0, f->max_line_bytes);
            r->c.line_no = base_line + lines;
            r->c.offset = base_offset + from;
            bool empty = r->c.batch->count == 0;
            rc code = take(r, whole, line);
            if (code == RC_LIMIT && empty) code = keep_as_text(r, whole, line);
            if (code == RC_LIMIT) break;
            if (code != RC_OK) return code;
            r->last_end = whole.p + whole.n;
            st->cut_lines += line.n < whole.n;
            st->invalid_utf8_lines += high && !utf8_valid(whole);
            st->nul_lines += nul && memchr(whole.p, 0, whole.n) != NULL;
        }
        lines++;
        used = at;
    }
    *ret_used = used;
    *ret_lines = lines;
    return RC_OK;
}

static rc parse_records(run *r, size_t *ret_used, uint64_t *ret_lines) {
    const record_fmt *fmt = r->f->records;
    uint64_t base_line = r->c.line_no, base_offset = r->c.offset, lines = 0;
    size_t used = 0;
    while (used < r->chunk.n) {
        str rest = str_from(r->chunk, used);
        size_t n = fmt->next(rest, true);
        if (n == 0) n = rest.n;
        str record = str_sub(rest, 0, n);
        r->c.line_no = base_line + lines;
        r->c.offset = base_offset + used;
        rc code = fmt->parse(&r->c, record, r->e);
        if (code == RC_LIMIT && r->c.batch->count > 0) break;
        str text = str_trim(record);
        if (code != RC_OK && text.n > 0 && r->c.batch->count >= BATCH_RECORDS) break;
        if ((code == RC_INVALID || code == RC_LIMIT) && text.n > 0) {
            for (const char *c = record.p; c < text.p; c++) r->c.line_no += *c == '\n';
            r->c.offset += (size_t)(text.p - record.p);
            code = keep_as_text(r, text, text);
        }
        if (code != RC_OK && code != RC_INVALID) return code;
        const char *nl = record.p, *end = record.p + record.n;
        while ((nl = memchr(nl, '\n', (size_t)(end - nl))) != NULL) nl++, lines++;
        used += n;
    }
    *ret_used = used;
    *ret_lines = lines;
    return RC_OK;
}

rc log_format_parse(const log_format *f, str chunk, uint64_t base_offset, uint64_t base_line,
                    log_batch *b, log_parse_stats *stats, size_t *ret_used, err *e) {
    MUST(f && f->magic == FORMAT_MAGIC);
    MUST(b->count < BATCH_RECORDS || chunk.n == 0);
    if (stats->records == 0 && stats->first_ns == 0 && stats->last_ns == 0)
        stats->first_ns = stats->last_ns = TS_NONE; /* a zeroed struct is a fresh one */
    run r = {.f = f, .e = e, .chunk = chunk};
    r.c = (line_ctx){.ts = &f->ts,
                     .batch = b,
                     .stats = stats,
                     .line_no = base_line,
                     .offset = base_offset,
                     .file = b->file};
    log_format_hooks(f, &r.c);
    size_t first = b->count, used = 0;
    uint64_t lines = 0;
    rc code = f->kind == FORMAT_RECORDS ? parse_records(&r, &used, &lines)
                                        : parse_lines(&r, &used, &lines);
    if (code != RC_OK) return code;
    line_finish(&r.c); /* in the order that a next line would bring */
    close_record(&r);
    count_records(b, first, stats);
    stats->lines += lines;
    b->lines += lines;
    b->bytes += used;
    *ret_used = used;
    return RC_OK;
}

/* ---- boundaries ---- */

/* The complete line that ends (with its newline) at `end`; *ret_from is where it begins. */
static str line_before(str chunk, size_t end, size_t *ret_from) {
    MUST(end > 0 && chunk.p[end - 1] == '\n');
    const char *nl = end > 1 ? memrchr(chunk.p, '\n', end - 1) : NULL;
    size_t from = nl ? (size_t)(nl - chunk.p) + 1 : 0, n = end - 1 - from;
    if (n > 0 && chunk.p[from + n - 1] == '\r') n--;
    *ret_from = from;
    return str_make(chunk.p + from, n);
}

static bool starts_record(const log_format *f, str prev, str line) {
    switch (f->kind) {
    case FORMAT_CONTENT:
        return true;
    case FORMAT_HEADER:
    case FORMAT_LINES: /* a piece that the first reader joins is not the second one's */
        return line_reader_starts(&f->first, f, prev, line) ||
               (line_reader_starts(&f->second, f, prev, line) && !takes(&f->first, f, line));
    case FORMAT_PLAIN:
        return trace_never_continues(prev, line);
    case FORMAT_RECORDS:
        break;
    }
    return false;
}

/* No start was seen behind the first line. Records end all the same: at LOG_RECORD_LINES_MAX lines,
 * and where the trace state machine, run from the chunk's start as parsing would, says that a line
 * stands alone. Blank lines before the first record belong to none. So the memory of a reader is
 * bounded by a thousand lines, whatever the text. */
static size_t forward_boundary(const log_format *f, str chunk, size_t end) {
    size_t at = 0, found = 0, lines = 0;
    bool any = false; /* a line that is not blank was met */
    trace_state state = TRACE_NONE;
    while (at < end) {
        size_t from = at;
        str line = take_line(chunk, &at);
        bool blank = is_blank_line(line);
        bool starts = lines >= LOG_RECORD_LINES_MAX || (!blank && !any);
        if (starts) state = TRACE_NONE;
        line = str_sub(line, 0, f->max_line_bytes);
        if (!blank && f->kind != FORMAT_HEADER) {
            if (takes(&f->first, f, line) || takes(&f->second, f, line))
                state = TRACE_NONE;
            else
                starts |= !trace_continues(&state, line);
        }
        any |= !blank;
        if (starts) {
            found = from;
            lines = 0;
        }
        lines++;
    }
    return any ? found : end;
}

/* Behind the last complete record; where records may join, before the last that joins none. A
 * thousand in a row that all seem to join are cut behind them. */
static size_t records_boundary(const log_format *f, str chunk) {
    size_t from[LOG_RECORD_LINES_MAX], count = 0, at = 0, n;
    for (; at < chunk.n && (n = f->records->next(str_from(chunk, at), false)) > 0; at += n)
        from[count++ % LOG_RECORD_LINES_MAX] = at;
    if (!f->records->starts || count == 0) return at;
    line_ctx c = {.ts = &f->ts};
    log_format_hooks(f, &c);
    size_t end = at;
    for (size_t i = count - 1; i > 0; i--) {
        if (count - i == LOG_RECORD_LINES_MAX) return at;
        size_t prev = from[(i - 1) % LOG_RECORD_LINES_MAX], here = from[i % LOG_RECORD_LINES_MAX];
        str record = str_sub(chunk, here, end - here);
        if (f->records->starts(&c, str_sub(chunk, prev, here - prev), record)) return here;
        end = here;
    }
    return 0;
}

size_t log_format_boundary(const log_format *f, str chunk) {
    MUST(f && f->magic == FORMAT_MAGIC);
    if (f->kind == FORMAT_RECORDS) return records_boundary(f, chunk);
    const char *nl = chunk.n ? memrchr(chunk.p, '\n', chunk.n) : NULL;
    if (!nl) return 0;
    size_t end = (size_t)(nl - chunk.p) + 1;
    if (f->kind == FORMAT_CONTENT) return end;
    /* Backwards over pairs of neighbours, blank lines between them left out. */
    size_t at = end, from = end;
    str line = STR_NONE;
    while (at > 0) {
        size_t prev_from;
        str prev = line_before(chunk, at, &prev_from);
        at = prev_from;
        if (is_blank_line(prev)) continue;
        if (from < end && starts_record(f, prev, str_sub(line, 0, f->max_line_bytes))) return from;
        line = prev;
        from = prev_from;
    }
    return forward_boundary(f, chunk, end);
}

void log_format_free(log_format *f) {
    if (!f) return;
    MUST(f->magic == FORMAT_MAGIC);
    f->magic = 0;
    mem_free(f);
}

str log_format_describe(const log_format *f) {
    MUST(f && f->magic == FORMAT_MAGIC);
    return str_make(f->describe, f->describe_bytes);
}
