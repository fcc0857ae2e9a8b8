/* container.c - see the header. CRI log format: kubernetes/design-proposals-archive,
 * node/kubelet-cri-logging.md; tags are a list separated by ':' of which the first is P or F.
 * Docker: daemon/logger/jsonfilelog/jsonlog/jsonlog.go, where "stream" and "log" are left out when
 * empty. */
#include "codec/container.h"

#include "codec/fields_int.h"
#include "codec/header_int.h"
#include "codec/trace_int.h"

enum {
    STREAM_STDOUT = 0,
    STREAM_STDERR = 1,
    FRAMES_MAX = 32 << 10 /* bytes kept of a stack trace; raw has all of it */
};

/* One line taken apart. */
typedef struct piece {
    unsigned stream;
    str source, host; /* "prefixed": which container it is from */
    str time;
    str text;  /* without its newline */
    bool more; /* the text goes on in the stream's next piece */
} piece;

/* ---- taking lines apart ---- */

static bool split_cri(str line, piece *ret) {
    *ret = (piece){0};
    if (line.n < 25 || line.p[4] != '-' || line.p[7] != '-' || line.p[10] != 'T') return false;
    str rest = line, stream, tags;
    if (!str_next(&rest, ' ', &ret->time) || !str_next(&rest, ' ', &stream)) return false;
    if (str_eq(stream, S("stdout"))) {
        ret->stream = STREAM_STDOUT;
    } else if (str_eq(stream, S("stderr"))) {
        ret->stream = STREAM_STDERR;
    } else {
        return false;
    }
    if (!str_next(&rest, ' ', &tags)) return false; /* "... F" alone is an empty line: rest empty */
    if (tags.n == 0 || (tags.n > 1 && tags.p[1] != ':')) return false;
    if (tags.p[0] != 'P' && tags.p[0] != 'F') return false;
    ret->more = tags.p[0] == 'P';
    ret->text = rest;
    return true;
}

/* order-service-1 -> order-service: replicas are one service. */
static str without_replica(str name) {
    size_t n = name.n;
    while (n > 0 && name.p[n - 1] >= '0' && name.p[n - 1] <= '9') n--;
    bool replica = n < name.n && n > 1 && (name.p[n - 1] == '-' || name.p[n - 1] == '_');
    return replica ? str_sub(name, 0, n - 1) : name;
}

/* [pod/cart-5b67c48447-mv5hb/cart] text */
static bool split_kubectl(str line, piece *ret) {
    if (!str_starts(line, S("[pod/"))) return false;
    size_t close = str_find(line, S("] "), 0);
    if (close == STR_NPOS) return false;
    str inside = str_sub(line, 5, close - 5), pod;
    if (!str_next(&inside, '/', &pod) || pod.n == 0 || inside.n == 0) return false;
    *ret = (piece){.source = inside, .host = pod, .text = str_from(line, close + 2)};
    return str_find_char(inside, '/', 0) == STR_NPOS;
}

/* order-service-1  | text */
static bool split_compose(str line, piece *ret) {
    enum { NAME_MAX_BYTES = 63, PAD_MAX = 64 };
    const char *end = line.p + line.n, *from = header_skip_blank(line.p, end), *p = from;
    if (from > line.p && line.p[0] != '\033') return false;
    while (p < end && p - from < NAME_MAX_BYTES &&
           ((*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') ||
            (p > from && (*p == '-' || *p == '_' || *p == '.'))))
        p++;
    str name = str_make(from, (size_t)(p - from));
    const char *bar = p;
    while (bar < end && *bar == ' ' && bar - p < PAD_MAX) bar++;
    if (name.n < 2 || bar == p || bar == end || *bar != '|') return false;
    bar++;
    if (bar < end && *bar == '\033')
        bar = header_skip_blank(bar, end);
    else if (bar < end && *bar++ != ' ')
        return false;
    /* "INFO | main | text" is a header of another kind. */
    if (severity_from_word(name, false) != SEV_NONE) return false;
    *ret = (piece){.source = without_replica(name), .text = str_make(bar, (size_t)(end - bar))};
    return true;
}

static bool split_prefixed(str line, piece *ret) {
    return split_kubectl(line, ret) || split_compose(line, ret);
}

enum { DOCKER_MEMBERS_MAX = 8 };

/* RC_OK, RC_INVALID, RC_LIMIT (no room to unescape). `attrs` gets the "attrs" object, if any. */
static rc split_docker(str line, arena *mem, piece *ret, str *ret_attrs) {
    json_member m[DOCKER_MEMBERS_MAX];
    size_t total, used;
    const json_flat_opts opts = {.raw_controls = true, .depth = 1};
    rc code = json_flat(line, &opts, mem, m, DOCKER_MEMBERS_MAX, &total, &used, NULL);
    if (code != RC_OK) return code;
    if (total > DOCKER_MEMBERS_MAX || str_trim(str_from(line, used)).n > 0) return RC_INVALID;
    bool has_log = false, has_time = false, has_stream = false;
    *ret = (piece){0};
    *ret_attrs = STR_NONE;
    for (size_t i = 0; i < total; i++) {
        const json_tok *v = &m[i].val;
        if (v->kind == JSON_STRING && str_eq(m[i].key, S("log"))) {
            code = json_text(v, mem, &ret->text, NULL);
            if (code != RC_OK) return code;
            has_log = true;
        } else if (v->kind == JSON_STRING && str_eq(m[i].key, S("time"))) {
            ret->time = v->text;
            has_time = true;
        } else if (v->kind == JSON_STRING && str_eq(m[i].key, S("stream"))) {
            ret->stream = str_eq(v->text, S("stderr")) ? STREAM_STDERR : STREAM_STDOUT;
            has_stream = true;
        } else if (v->kind == JSON_OBJECT_BEGIN && str_eq(m[i].key, S("attrs"))) {
            *ret_attrs = v->text;
        } else {
            return RC_INVALID; /* a shipper's envelope with more in it: the general parser's */
        }
    }
    if (!has_time || !(has_log || has_stream)) return RC_INVALID;
    ret->more = has_log && !str_ends(ret->text, S("\n"));
    if (!ret->more && ret->text.n) ret->text.n--;
    return RC_OK;
}

/* ---- joining ---- */

/* Appends to the text gathered, with room doubling; what passes LINE_JOIN_MAX is dropped. */
static rc join_text(line_ctx *c, line_join *j, str text) {
    if (!j->p && j->n == 0) {
        j->first = text;
        j->n = text.n;
        return RC_OK;
    }
    if (text.n > LINE_JOIN_MAX - MIN(j->n, LINE_JOIN_MAX)) {
        text.n = LINE_JOIN_MAX - MIN(j->n, LINE_JOIN_MAX);
        c->stats->cut_lines += !j->cut;
        j->cut = true;
    }
    if (!j->p || text.n > j->cap - j->n) {
        size_t cap = (j->n + text.n) * 2;
        char *p = arena_try_bytes(&c->batch->mem, cap, 1);
        if (!p) return RC_LIMIT;
        str so_far = j->p ? (str){j->p, j->n} : j->first;
        if (so_far.n) memcpy(p, so_far.p, so_far.n);
        j->p = p;
        j->cap = cap;
    }
    if (text.n) memcpy(j->p + j->n, text.p, text.n);
    j->n += text.n;
    return RC_OK;
}

/* The record also covers `line` if that stands right behind what it covers so far. */
static void extend_raw(log_record *r, str line) {
    const char *end = r->raw.p + r->raw.n;
    size_t gap = (size_t)(line.p - end);
    if (line.p <= end || gap > 2 || line.p[-1] != '\n') return;
    r->raw.n = (size_t)(line.p + line.n - r->raw.p);
    r->ref.bytes = (uint32_t)MIN(r->raw.n, UINT32_MAX);
    r->line_count++;
}

static str joined(const line_join *j) { return j->p ? (str){j->p, j->n} : j->first; }

static bool continues(const line_ctx *c, str text) {
    return c->inner_continues && text.n > 0 && c->inner_continues(c->inner, text);
}

/* The message is complete: read it. Lines that continue it are gathered behind its body. */
static rc complete(line_ctx *c, line_join *j) {
    MUST(j->rec_plus1 > 0 && j->rec_plus1 <= c->batch->count);
    log_record *r = &c->batch->rec[j->rec_plus1 - 1];
    rc code = field_inner(c, joined(j), 1, r);
    if (code != RC_OK) return code;
    *j = (line_join){
        .first = r->body, .n = r->body.n, .rec_plus1 = j->rec_plus1, .source = j->source};
    return RC_OK;
}

bool line_join_continues(const line_ctx *c, const line_join *j, str text) {
    if (j->rec_plus1 == 0 || j->rec_plus1 > c->batch->count) return false;
    uint64_t lines = c->line_no - c->batch->rec[j->rec_plus1 - 1].ref.line;
    return lines < LOG_RECORD_LINES_MAX && continues(c, text);
}

/* A line of a stack trace that follows the message. */
rc line_join_frame(line_ctx *c, line_join *j, str line, str text) {
    if (j->n + text.n < FRAMES_MAX) {
        rc code = join_text(c, j, S("\n"));
        if (code == RC_OK) code = join_text(c, j, text);
        if (code != RC_OK) return code;
    }
    j->stacked = true;
    extend_raw(&c->batch->rec[j->rec_plus1 - 1], line);
    return RC_OK;
}

/* The record is complete: what its stack trace says becomes attributes. Without room for them the
 * record stands as it is. */
static void close_record(line_ctx *c, const line_join *j) {
    if (!j->stacked || j->rec_plus1 == 0 || j->rec_plus1 > c->batch->count) return;
    log_record *r = &c->batch->rec[j->rec_plus1 - 1];
    str type = STR_NONE, message = STR_NONE;
    trace_exception(joined(j), &type, &message);
    const attribute more[] = {{.key = S("exception.stacktrace"), .val = joined(j)},
                              {.key = S("exception.type"), .val = type},
                              {.key = S("exception.message"), .val = message}};
    attribute *attrs = arena_try_new_n(&c->batch->mem, attribute, r->attr_count + ARRAY_LEN(more));
    if (!attrs) return;
    if (r->attr_count) memcpy(attrs, r->attrs, r->attr_count * sizeof(*attrs));
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        if (more[i].val.n) attrs[r->attr_count++] = more[i];
    }
    r->attrs = attrs;
}

void line_join_next(line_ctx *c, line_join *j) {
    close_record(c, j);
    const log_record *r = &c->batch->rec[c->batch->count - 1];
    *j = (line_join){.first = r->body, .n = r->body.n, .rec_plus1 = c->batch->count};
}

static rc add_piece(line_ctx *c, str line, const piece *p, str attrs) {
    line_join *j = &c->join[p->stream];
    if (j->rec_plus1 > c->batch->count) *j = (line_join){0};
    if (!str_eq(j->source, p->source)) { /* another container's line */
        close_record(c, j);
        *j = (line_join){0};
    }
    if (j->partial) {
        rc code = join_text(c, j, p->text);
        if (code != RC_OK) return code;
        extend_raw(&c->batch->rec[j->rec_plus1 - 1], line);
        return p->more ? RC_OK : complete(c, j);
    }
    if (!p->more && line_join_continues(c, j, p->text)) return line_join_frame(c, j, line, p->text);
    int64_t ns;
    bool timed = ts_parse_any(p->time, c->ts, &ns);
    log_record *r = line_record_add(c, line);
    if (!r) return RC_LIMIT;
    if (timed) r->ts_ns = ns;
    close_record(c, j);
    *j = (line_join){.rec_plus1 = c->batch->count, .partial = p->more, .source = p->source};
    r->service = p->source;
    r->host = p->host;
    if (attrs.n) {
        json_member m[LINE_ATTRS_MAX];
        size_t total, used;
        const json_flat_opts opts = {.raw_controls = true};
        rc code = json_flat(attrs, &opts, &c->batch->mem, m, LINE_ATTRS_MAX, &total, &used, NULL);
        if (code != RC_OK) return code;
        const field_opts o = {.nesting = FIELD_NESTING_MAX};
        code = fields_fill(c, m, MIN(total, LINE_ATTRS_MAX), &o, r);
        if (code != RC_OK) return code;
    }
    rc code = join_text(c, j, p->text);
    if (code != RC_OK || p->more) return code;
    return complete(c, j);
}

void line_finish(line_ctx *c) {
    for (size_t i = 0; i < ARRAY_LEN(c->join); i++) {
        line_join *j = &c->join[i];
        close_record(c, j);
        if (!j->partial || j->rec_plus1 > c->batch->count) continue;
        log_record *r = &c->batch->rec[j->rec_plus1 - 1];
        if (complete(c, j) != RC_OK) field_set_body(r, joined(j));
    }
    memset(c->join, 0, sizeof(c->join));
}

/* ---- the two formats ---- */

/* On failure the batch is as before; the joins are put back with it. */
static rc add_or_undo(line_ctx *c, str line, const piece *p, str attrs, err *e) {
    size_t before = c->batch->count;
    line_join saved = c->join[p->stream];
    bool joins = saved.rec_plus1 && saved.rec_plus1 <= before;
    log_record record = {0};
    if (joins) record = c->batch->rec[saved.rec_plus1 - 1];
    rc code = add_piece(c, line, p, attrs);
    if (code == RC_OK) return RC_OK;
    c->batch->count = before;
    c->join[p->stream] = saved;
    if (joins) c->batch->rec[saved.rec_plus1 - 1] = record;
    return FAIL(e, code, "line %" PRIu64 ": batch is full", c->line_no);
}

static rc cri_parse(line_ctx *c, str line, err *e) {
    piece p;
    if (!split_cri(line, &p)) {
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": not a CRI line", c->line_no);
    }
    return add_or_undo(c, line, &p, STR_NONE, e);
}

static rc docker_parse(line_ctx *c, str line, err *e) {
    piece p;
    str attrs;
    rc code = split_docker(line, &c->batch->mem, &p, &attrs);
    if (code == RC_LIMIT) return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
    if (code != RC_OK) {
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": not a Docker line", c->line_no);
    }
    return add_or_undo(c, line, &p, attrs, e);
}

bool cri_looks_like(str line) {
    piece p;
    return split_cri(line, &p);
}

static unsigned cri_score(str line) { return cri_looks_like(line) ? 95 : 0; }

/* Boundaries look at two neighbouring lines only; a piece of the other stream between two pieces
 * hides the joint, and then the record may be cut there. */
static bool cri_starts(const line_ctx *c, str prev, str line) {
    piece was, now;
    if (!split_cri(line, &now)) return false;
    if (prev.n && split_cri(prev, &was) && was.stream == now.stream && was.more) return false;
    return !continues(c, now.text);
}

bool docker_looks_like(str line) {
    return line.n > 20 && line.p[0] == '{' && str_has(line, S("\"time\"")) &&
           (str_starts(line, S("{\"log\"")) || str_has(line, S("\"stream\"")));
}

enum { DOCKER_TMP_BYTES = 2 * LOG_LINE_MAX };

static rc split_docker_tmp(str line, arena *tmp, piece *ret) {
    str attrs;
    return split_docker(line, tmp, ret, &attrs);
}

static unsigned docker_score(str line) {
    if (!docker_looks_like(line)) return 0;
    arena tmp;
    arena_init(&tmp, "docker score", DOCKER_TMP_BYTES);
    piece p;
    rc code = split_docker_tmp(line, &tmp, &p);
    arena_release(&tmp);
    return code == RC_OK ? 95 : 0;
}

static bool docker_starts(const line_ctx *c, str prev, str line) {
    arena tmp;
    arena_init(&tmp, "docker boundary", 2 * DOCKER_TMP_BYTES);
    piece was, now;
    bool starts = split_docker_tmp(line, &tmp, &now) == RC_OK;
    if (starts && prev.n && split_docker_tmp(prev, &tmp, &was) == RC_OK) {
        starts = !(was.more && was.stream == now.stream);
    }
    starts = starts && !continues(c, now.text);
    arena_release(&tmp);
    return starts;
}

static rc prefixed_parse(line_ctx *c, str line, err *e) {
    piece p;
    if (!split_prefixed(line, &p)) {
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": no container name in front", c->line_no);
    }
    return add_or_undo(c, line, &p, STR_NONE, e);
}

static bool prefixed_looks_like(str line) {
    piece p;
    return split_prefixed(line, &p);
}

/* Sure with a replica number; a bare word before a bar may be a column of anything. */
static unsigned prefixed_score(str line) {
    piece p;
    if (split_kubectl(line, &p)) return 95;
    if (!split_compose(line, &p)) return 0;
    char behind = p.source.p[p.source.n];
    return behind == '-' || behind == '_' ? 90 : 40;
}

static bool prefixed_starts(const line_ctx *c, str prev, str line) {
    piece was, now;
    if (!split_prefixed(line, &now)) return false;
    bool same = prev.n && split_prefixed(prev, &was) && str_eq(was.source, now.source);
    return !(same && continues(c, now.text));
}

const line_fmt line_fmt_prefixed = {
    .name = "prefixed",
    .looks_like = prefixed_looks_like,
    .score = prefixed_score,
    .parse = prefixed_parse,
    .starts = prefixed_starts,
};

const line_fmt line_fmt_cri = {
    .name = "cri",
    .looks_like = cri_looks_like,
    .score = cri_score,
    .parse = cri_parse,
    .starts = cri_starts,
};

const line_fmt line_fmt_docker = {
    .name = "docker",
    .looks_like = docker_looks_like,
    .score = docker_score,
    .parse = docker_parse,
    .starts = docker_starts,
};
