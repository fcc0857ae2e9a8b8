/* logfmt.c - reading and recognising key=value lines. Grammar: brandur.org/logfmt and the lexer of
 * github.com/go-logfmt/logfmt (decode.go), whose errors are turned into results here: in a log file
 * half a line is worth more than an error. */
#include "codec/logfmt.h"

#include "codec/fields_int.h"

static inline bool is_blank(char c) { return (unsigned char)c <= ' '; }

bool logfmt_next(logfmt_reader *r, logfmt_pair *ret) {
    const char *p = r->in.p;
    size_t n = r->in.n, at = r->at;
    while (at < n && is_blank(p[at])) at++;
    if (at >= n) {
        r->at = at;
        return false;
    }
    *ret = (logfmt_pair){0};
    size_t from = at;
    while (at < n && !is_blank(p[at]) && p[at] != '=' && p[at] != '"') at++;
    ret->key = str_sub(r->in, from, at - from);
    if (at < n && p[at] == '"') { /* a stray quote: the whole word is a bare key */
        while (at < n && !is_blank(p[at])) at++;
        ret->key = str_sub(r->in, from, at - from);
        r->at = at;
        return true;
    }
    if (at >= n || p[at] != '=') {
        r->at = at;
        return true;
    }
    ret->has_value = true;
    from = ++at;
    if (at < n && p[at] == '"') {
        ret->quoted = true;
        from = ++at;
        while (at < n && p[at] != '"') {
            if (p[at] == '\\') {
                ret->escaped = true;
                at++;
            }
            at++;
        }
        ret->damaged = at >= n;
        if (ret->damaged) at = n;
        ret->val = str_sub(r->in, from, at - from);
        r->at = at + !ret->damaged;
        return true;
    }
    while (at < n && !is_blank(p[at])) at++;
    ret->val = str_sub(r->in, from, at - from);
    r->at = at;
    return true;
}

static bool is_hex(char c) {
    char l = (char)(c | 0x20);
    return (c >= '0' && c <= '9') || (l >= 'a' && l <= 'f');
}

rc logfmt_text(const logfmt_pair *p, arena *out, str *ret) {
    if (!p->escaped) {
        *ret = p->val;
        return RC_OK;
    }
    /* Same escapes as JSON, except that the text may hold wrong ones: make those literal first. */
    char *to = arena_try_bytes(out, p->val.n * 2, 1);
    if (!to) return RC_LIMIT;
    size_t n = 0;
    for (size_t i = 0; i < p->val.n; i++) {
        char c = p->val.p[i];
        to[n++] = c;
        if (c != '\\') continue;
        if (++i == p->val.n) { /* a backslash at the end of a damaged value stands for itself */
            to[n++] = '\\';
            break;
        }
        c = p->val.p[i];
        bool unicode = c == 'u' && p->val.n - i > 4;
        for (size_t k = 1; unicode && k <= 4; k++) unicode = is_hex(p->val.p[i + k]);
        if (c == 'u' && !unicode) to[n++] = '\\';
        to[n++] = c;
    }
    json_tok t = {.kind = JSON_STRING, .escaped = true, .text = {to, n}};
    return json_text(&t, out, ret, NULL);
}

/* A name as programs choose them: letters, digits and ._-/@ : not starting with a digit. */
static bool is_name(str key) {
    if (key.n == 0 || key.n > 64 || (key.p[0] >= '0' && key.p[0] <= '9')) return false;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i], l = (char)(c | 0x20);
        bool ok = (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                  c == '-' || c == '/' || c == '@';
        if (!ok) return false;
    }
    return true;
}

enum { SCORE_PAIRS_MAX = 64 };

unsigned logfmt_score(str line) {
    logfmt_reader r = {.in = line};
    logfmt_pair p;
    unsigned pairs = 0, other = 0, commas = 0;
    bool time = false, level = false, message = false;
    for (unsigned i = 0; i < SCORE_PAIRS_MAX && logfmt_next(&r, &p); i++) {
        if (!p.has_value || !is_name(p.key)) {
            if (i == 0) return 0;
            other++;
            continue;
        }
        pairs++;
        commas += p.val.n > 0 && p.val.p[p.val.n - 1] == ',';
        field_hit hit = field_role_of(p.key);
        time |= hit.role == ROLE_TIME;
        level |= hit.role == ROLE_LEVEL;
        message |= hit.role == ROLE_MESSAGE;
    }
    if (pairs < 2 || commas * 2 > pairs) return 0; /* a=1, b=2: prose or a Java toString() */
    unsigned known = (unsigned)time + level + message;
    /* An unquoted message spills words behind msg=: allowed when the rest is plainly logfmt. */
    if (other * 4 > pairs && known < 2) return 0;
    if (known == 0) return pairs >= 3 ? 50 : 0;
    return 60 + 10 * known;
}

/* As a part of a message it must be certain: prose often holds a few pairs. */
bool logfmt_looks_like(str line) { return line.n > 4 && logfmt_score(line) >= 80; }

/* msg=server started on port 80 addr=:80   The words up to the next pair belong to the message. */
static void take_spilled_words(logfmt_reader *rd, logfmt_pair *msg) {
    logfmt_reader ahead = *rd;
    logfmt_pair p;
    while (logfmt_next(&ahead, &p) && !p.has_value) {
        msg->val.n = (size_t)(p.key.p + p.key.n - msg->val.p);
        *rd = ahead;
    }
}

rc logfmt_fill(line_ctx *c, str line, unsigned nesting, log_record *r) {
    json_member members[LINE_ATTRS_MAX];
    size_t n = 0;
    logfmt_reader rd = {.in = line};
    logfmt_pair p;
    while (n < LINE_ATTRS_MAX && logfmt_next(&rd, &p)) {
        if (p.key.n == 0) continue;
        if (p.has_value && !p.quoted && field_role_of(p.key).role == ROLE_MESSAGE) {
            take_spilled_words(&rd, &p);
        }
        str val;
        rc code = logfmt_text(&p, &c->batch->mem, &val);
        if (code != RC_OK) return code;
        if (!p.has_value) val = S("true");
        members[n++] = (json_member){
            .key = p.key,
            .val = {.kind = p.has_value ? JSON_STRING : JSON_TRUE, .text = val},
        };
    }
    const field_opts o = {.whole = line, .nesting = nesting};
    return fields_fill(c, members, n, &o, r);
}

static rc parse(line_ctx *c, str line, err *e) {
    size_t before = c->batch->count;
    logfmt_reader rd = {.in = line};
    logfmt_pair p;
    if (!logfmt_next(&rd, &p) || !p.has_value || !is_name(p.key)) {
        return FAIL(e, RC_INVALID, "line %" PRIu64 ": not logfmt", c->line_no);
    }
    log_record *r = line_record_add(c, line);
    if (r && logfmt_fill(c, str_trim(line), 0, r) == RC_OK) return RC_OK;
    c->batch->count = before;
    return FAIL(e, RC_LIMIT, "line %" PRIu64 ": batch is full", c->line_no);
}

const line_fmt line_fmt_logfmt = {
    .name = "logfmt",
    .looks_like = logfmt_looks_like,
    .score = logfmt_score,
    .parse = parse,
};
