#include "codec/jsonlog.h"

#include "codec/container.h"
#include "codec/fields_int.h"

static bool is_separator(char c) {
    return c == ',' || c == '[' || c == ']' || (unsigned char)c <= ' ';
}

/* From the next object on; what stands between objects is blanks and the punctuation of an array.
 * Empty when nothing follows. */
static str next_object(str rest) {
    size_t i = 0;
    while (i < rest.n && is_separator(rest.p[i])) i++;
    return str_from(rest, i);
}

bool jsonlog_looks_like(str line) {
    str at = next_object(line);
    return at.n >= 2 && at.p[0] == '{';
}

/* A shipper that sends each line of a stack trace as an object of its own: the frames join the
 * record before them if it is the same program's. `r` is the batch's last record. */
static rc join_frame(line_ctx *c, str line, str message, bool journal) {
    line_join *j = &c->join[0];
    log_batch *b = c->batch;
    const log_record *r = &b->rec[b->count - 1];
    const log_record *prev = b->count > 1 ? r - 1 : NULL;
    bool silent = r->severity == SEV_NONE || (journal && r->severity == SEV_INFO);
    bool follows = prev && j->rec_plus1 == b->count - 1 && silent &&
                   str_eq(prev->service, r->service) && str_eq(prev->host, r->host);
    if (!follows || !line_join_continues(c, j, message)) {
        line_join_next(c, j);
        return RC_OK;
    }
    b->count--;
    return line_join_frame(c, j, line, message);
}

static rc parse_objects(line_ctx *c, str line, bool journal, err *e) {
    size_t before = c->batch->count;
    bool full = before >= BATCH_RECORDS; /* then only a frame of the last record is taken */
    uint64_t line_offset = c->offset;
    json_member members[LINE_ATTRS_MAX];
    const json_flat_opts opts = {.raw_controls = true};
    str rest = next_object(line);
    rc code = RC_INVALID;
    for (unsigned i = 0; i < JSONLOG_OBJECTS_MAX && rest.n > 0; i++) {
        size_t total = 0, used = 0;
        code = json_flat(rest, &opts, &c->batch->mem, members, LINE_ATTRS_MAX, &total, &used, e);
        bool cut = code == RC_INVALID && used >= rest.n && total > 0;
        if (code != RC_OK && !cut) break;
        if (cut) used = rest.n;
        str whole = str_trim_right(str_sub(rest, 0, used));
        str after = next_object(str_from(rest, used));
        /* A line that is one object is the record, with whatever stands around it. */
        bool only = i == 0 && after.n == 0;
        c->offset = line_offset + (only ? 0 : (uint64_t)(rest.p - line.p));
        log_record *r =
            only && full ? line_record_add_over(c, line) : line_record_add(c, only ? line : whole);
        str message = STR_NONE;
        const field_opts o = {.whole = whole, .journal = journal, .ret_message = &message};
        code = r ? fields_fill(c, members, MIN(total, LINE_ATTRS_MAX), &o, r) : RC_LIMIT;
        if (code == RC_OK && only) code = join_frame(c, line, message, journal);
        if (full && c->batch->count > before) code = RC_LIMIT;
        if (code != RC_OK) break;
        c->stats->unparsed_lines += cut;
        rest = after;
    }
    c->offset = line_offset;
    if (code == RC_OK && rest.n == 0) return RC_OK;
    c->batch->count = before;
    if (code == RC_LIMIT) return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
    return FAIL(e, RC_INVALID, "line %" PRIu64 ": not a JSON object", c->line_no);
}

rc jsonlog_parse(line_ctx *c, str line, err *e) { return parse_objects(c, line, false, e); }

static rc journal_parse(line_ctx *c, str line, err *e) { return parse_objects(c, line, true, e); }

enum { SCORE_MEMBERS = 64, SCORE_ARENA_BYTES = 1 << 20 };

/* The roles among the names of the first object; 0 bits when the line is not whole objects. */
static bool roles_of(str line, unsigned *ret_roles) {
    json_member members[SCORE_MEMBERS];
    arena tmp;
    arena_init(&tmp, "json score", SCORE_ARENA_BYTES);
    const json_flat_opts opts = {.raw_controls = true};
    unsigned roles = 0;
    size_t objects = 0, total = 0, used = 0;
    str rest = next_object(line);
    for (; rest.n > 0 && objects < JSONLOG_OBJECTS_MAX; objects++) {
        if (json_flat(rest, &opts, &tmp, members, SCORE_MEMBERS, &total, &used, NULL) != RC_OK)
            break;
        for (size_t i = 0; objects == 0 && i < MIN(total, SCORE_MEMBERS); i++) {
            roles |= 1u << field_role_of(members[i].key).role;
        }
        rest = next_object(str_from(rest, used));
    }
    arena_release(&tmp);
    *ret_roles = roles;
    return objects > 0 && rest.n == 0;
}

/* 60 for an object, more for each of time, level and message among its names. */
unsigned jsonlog_score(str line) {
    unsigned roles;
    if (!jsonlog_looks_like(line) || !roles_of(line, &roles) || roles == 0) return 0;
    unsigned level =
        1u << ROLE_LEVEL | 1u << ROLE_LEVEL_WORD | 1u << ROLE_LEVEL_OTEL | 1u << ROLE_PRIORITY;
    return 60 + 10 * ((roles >> ROLE_TIME & 1) + (roles >> ROLE_MESSAGE & 1) + !!(roles & level));
}

static bool journal_looks_like(str line) {
    return jsonlog_looks_like(line) && str_has(line, S("\"__REALTIME_TIMESTAMP\""));
}

static unsigned journal_score(str line) {
    return journal_looks_like(line) && jsonlog_score(line) > 0 ? 98 : 0;
}

/* A line that may be a frame of the one before it is no safe place to cut. Where the line before is
 * no object it may itself have joined one, of which the worst is assumed: that it is like `line`.
 */
static bool begins(const line_ctx *c, str prev, str line, bool journal) {
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    line_ctx own = {.ts = c->ts, .batch = &b, .stats = &stats, .line_no = 1};
    own.inner_parse = c->inner_parse;
    own.inner_continues = c->inner_continues;
    own.inner = c->inner;
    rc code = jsonlog_looks_like(prev) ? parse_objects(&own, prev, journal, NULL) : RC_INVALID;
    if (code != RC_OK) code = parse_objects(&own, line, journal, NULL);
    size_t before = b.count;
    own.line_no++;
    if (code == RC_OK) code = parse_objects(&own, line, journal, NULL);
    bool yes = code == RC_OK && b.count > before;
    log_batch_release(&b);
    return yes;
}

static bool json_starts(const line_ctx *c, str prev, str line) {
    return begins(c, prev, line, false);
}

static bool journal_starts(const line_ctx *c, str prev, str line) {
    return begins(c, prev, line, true);
}

const line_fmt line_fmt_json = {
    .name = "json",
    .looks_like = jsonlog_looks_like,
    .score = jsonlog_score,
    .parse = jsonlog_parse,
    .starts = json_starts,
};

const line_fmt line_fmt_journal_json = {
    .name = "journal-json",
    .looks_like = journal_looks_like,
    .score = journal_score,
    .parse = journal_parse,
    .starts = journal_starts,
};
