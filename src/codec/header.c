/* header.c - running a header program over a line.
 *
 * A step skips blanks, matches one cell and leaves the cursor behind it. Once the steps that make a
 * line a record have matched, a step that fails does not fail the line: literals, brackets, levels
 * and tags are specific enough to be tried one after the other, so a line that lacks a column
 * ("INFO cls: text" among "INFO [main] cls: text") is still split right; the first unspecific step
 * (word, number) behind a failed one ends the header there. What is left is the message. */
#include "codec/header_int.h"

FL_INLINE bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }
FL_INLINE bool is_alpha(char c) { return (unsigned char)((c | 32) - 'a') < 26; }
FL_INLINE bool is_blank(char c) { return c == ' ' || c == '\t'; }

const char *header_skip_blank(const char *p, const char *end) {
    for (;;) {
        while (p < end && is_blank(*p)) p++;
        if (LIKELY(end - p < 3 || p[0] != '\033' || p[1] != '[')) return p;
        const char *q = p + 2; /* ESC [ parameters letter */
        while (q < end && (is_digit(*q) || *q == ';')) q++;
        if (q == end || !is_alpha(*q)) return p;
        p = q + 1;
    }
}

/* ---- cells ---- */

/* Severity of a level word; PostgreSQL's companions of a message count as information. */
static severity level_of(str w) {
    severity s = severity_from_word(w, false);
    if (s != SEV_NONE || w.n < 4) return s;
    static const str MORE[] = {S_INIT("STATEMENT"), S_INIT("DETAIL"), S_INIT("HINT"),
                               S_INIT("CONTEXT"),   S_INIT("QUERY"),  S_INIT("System")};
    for (size_t i = 0; i < ARRAY_LEN(MORE); i++)
        if (str_eq(w, MORE[i])) return SEV_INFO;
    return SEV_NONE;
}

static const char *match_level(const char *p, const char *end, header_cell *ret) {
    const char *q = p;
    while (q < end && is_alpha(*q)) q++;
    if (q - p > 13 || q - p < 2) return NULL;
    if (q < end && is_digit(*q)) q++; /* DEBUG1 */
    if (q < end && (is_digit(*q) || is_alpha(*q) || *q == '_' || *q == '.')) return NULL;
    ret->text = str_make(p, (size_t)(q - p));
    ret->sev = level_of(ret->text);
    return ret->sev != SEV_NONE ? q : NULL;
}

static const char *match_letter(const header_step *s, const char *p, const char *end,
                                header_cell *ret) {
    if (p == end) return NULL;
    const char *q = p + 1;
    if (s->glued ? q == end || !is_digit(*q)
                 : q < end && (is_alpha(*q) || is_digit(*q) || *q == '_' || *q == '.'))
        return NULL;
    if (*p < 'A' || *p > 'Z') return NULL;
    ret->text = str_make(p, 1);
    ret->sev = severity_from_word(ret->text, true);
    return ret->sev != SEV_NONE ? q : NULL;
}

static const char *match_mark(const char *p, const char *end, header_cell *ret) {
    if (p == end || (p + 1 < end && !is_blank(p[1]))) return NULL;
    switch (*p) {
    case '.':
        ret->sev = SEV_DEBUG;
        break;
    case '-':
        ret->sev = SEV_INFO;
        break;
    case '*':
        ret->sev = SEV_INFO2;
        break;
    case '#':
        ret->sev = SEV_WARN;
        break;
    default:
        return NULL;
    }
    ret->text = str_make(p, 1);
    return p + 1;
}

static const char *match_bracket(const header_step *s, const char *p, const char *end,
                                 header_cell *ret) {
    enum { INSIDE_MAX = 512 };
    if (p == end || *p != s->open) return NULL;
    const char *limit = end - p > INSIDE_MAX ? p + INSIDE_MAX : end;
    int depth = 0;
    for (const char *q = p; q < limit; q++) {
        if (*q == s->open)
            depth++;
        else if (*q == s->close && --depth == 0) {
            if (q + 1 < end && (is_alpha(q[1]) || is_digit(q[1]))) return NULL;
            ret->text = str_trim(str_make(p + 1, (size_t)(q - p - 1)));
            return q + 1;
        }
    }
    return NULL;
}

/* [core:error], [INFO ], [ERROR/MainProcess], [I 2026...]: the level inside a bracket. */
static severity level_inside(str t) {
    severity sev = level_of(t);
    if (sev != SEV_NONE) return sev;
    size_t at = str_rfind_char(t, ':');
    if (at != STR_NPOS) return level_of(str_from(t, at + 1));
    for (size_t i = 1; i < t.n && i < 14; i++)
        if (t.p[i] == '/' || t.p[i] == ' ') return level_of(str_sub(t, 0, i));
    return t.n == 1 ? severity_from_word(t, true) : SEV_NONE;
}

static bool is_tag_char(char c) {
    return is_alpha(c) || is_digit(c) || (c && strchr("_.$/-@#*+%\\&~!", c)) || (c & 0x80);
}

/* Behind the name: "[pid]", " (address)", blanks, then ':' and a blank or the end. */
static const char *tag_tail(const char *q, const char *end, header_cell *ret) {
    enum { PAREN_MAX = 128 };
    if (q < end && *q == '[') {
        const char *from = ++q;
        while (q < end && *q != ']' && !is_blank(*q) && q - from < 24) q++;
        if (q == end || *q != ']') return NULL;
        ret->pid = str_make(from, (size_t)(q - from));
        q++;
    }
    const char *r = q;
    while (r < end && is_blank(*r)) r++;
    if (ret->pid.p && r > q && end - r > 2 && *r == '(') {
        const char *close = memchr(r, ')', (size_t)MIN(end - r, PAREN_MAX));
        if (close && close + 1 < end && close[1] == ':') q = r = close + 1;
    }
    if (r == end || *r != ':') return NULL;
    if (r + 1 < end && !is_blank(r[1])) return NULL;
    return r + 1;
}

static bool is_number(str t) {
    for (size_t i = 0; i < t.n; i++)
        if (!is_digit(t.p[i])) return false;
    return t.n > 0;
}

/* "Server Administrator:": names of two capitalised words, as syslog programs rarely have. */
static bool is_capitalised(const char *p, const char *end) {
    if (end - p < 3 || *p < 'A' || *p > 'Z') return false;
    for (p++; p < end; p++)
        if (*p < 'a' || *p > 'z') return false;
    return true;
}

/* name[pid]:  name(module)[pid]:  name 1.4.1:  Two Words[pid]:  file.go:12:  ns::Class:  name  : */
static const char *match_tag(const header *h, const char *p, const char *end, header_cell *ret) {
    enum { TAG_MAX = 128, WORDS_MAX = 3 };
    const char *limit = end - p > TAG_MAX ? p + TAG_MAX : end, *q = p, *name_end = p;
    ret->pid = STR_NONE;
    for (int word = 0; word < WORDS_MAX && q < limit; word++) {
        const char *from = q;
        while (q < limit) {
            if (is_tag_char(*q)) {
                q++;
            } else if (*q == '(') {
                const char *close = memchr(q, ')', (size_t)(limit - q));
                if (!close) return NULL;
                str inside = str_trim(str_make(q + 1, (size_t)(close - q - 1)));
                if (is_number(inside) && q > from && close + 1 < end && close[1] == ':') {
                    ret->pid = inside; /* Android: Tag( 1702): */
                    ret->text = str_make(p, (size_t)(q - p));
                    return close + 2;
                }
                if (str_find_char(inside, ' ', 0) != STR_NPOS) return NULL;
                q = close + 1;
            } else if (*q == ':' && q > from && limit - q > 2 &&
                       ((q[1] == ':' && is_tag_char(q[2])) ||
                        (is_digit(q[1]) && !is_digit(q[-1])))) {
                q += 2; /* ns::Class, file.go:12 */
            } else {
                break;
            }
        }
        if (q == from) return NULL;
        name_end = q;
        const char *r = tag_tail(q, end, ret);
        /* Further words only lead to a [pid] or are a version number. */
        bool version = word == 1 && is_digit(*from) && memchr(from, '.', (size_t)(q - from));
        bool title =
            word == 1 && h->syslog && is_capitalised(p, from - 1) && is_capitalised(from, name_end);
        if (r && (word == 0 || ret->pid.p || version || title)) {
            ret->text = str_make(p, (size_t)(name_end - p));
            return r;
        }
        if (q == limit || *q != ' ') return NULL;
        q++;
    }
    return NULL;
}

bool header_is_bar(const header_step *s) {
    return s->lit[0] == '|' || s->lit[0] == '\t' || (s->lit_n == 3 && s->lit[1] == '|');
}

static const char *match_until(const header_step *s, const char *p, const char *end,
                               header_cell *ret) {
    enum { UNTIL_MAX = 120, WORDS_MAX = 4, BAR_WORDS_MAX = 10 };
    str hay = str_make(p, (size_t)MIN(end - p, UNTIL_MAX));
    size_t at = str_find(hay, str_make(s->lit, s->lit_n), 0);
    if (at == STR_NPOS || at == 0) return NULL;
    ret->text = str_trim_right(str_make(p, at));
    size_t words = 1;
    for (size_t i = 0; i < ret->text.n; i++) words += is_blank(p[i]) && !is_blank(p[i + 1]);
    size_t words_max = header_is_bar(s) ? BAR_WORDS_MAX : WORDS_MAX;
    return ret->text.n && words <= words_max ? p + at + s->lit_n : NULL;
}

/* 1234 or nginx's 1234#0: */
static const char *match_int(const char *p, const char *end, header_cell *ret) {
    const char *q = p;
    while (q < end && is_digit(*q)) q++;
    if (q == p) return NULL;
    if (q < end && *q == '#') {
        const char *r = q + 1;
        while (r < end && is_digit(*r)) r++;
        if (r == q + 1 || r == end || *r != ':') return NULL;
        ret->text = str_make(p, (size_t)(r - p));
        return r + 1;
    }
    if (q < end && !is_blank(*q) && !strchr("])>}|,;\033", *q)) return NULL;
    ret->text = str_make(p, (size_t)(q - p));
    return q;
}

const char *header_step_match(const header *h, const header_step *s, const ts_context *c,
                              const char *p, const char *end, header_cell *ret) {
    p = header_skip_blank(p, end);
    const char *q = p;
    switch ((header_op)s->op) {
    case H_TS: {
        size_t n;
        if (!ts_parse(str_make(p, (size_t)(end - p)), s->ts, c, &ret->ts_ns, &n)) return NULL;
        ret->text = str_make(p, n);
        return p + n;
    }
    case H_LIT:
        if ((size_t)(end - p) < s->lit_n || memcmp(p, s->lit, s->lit_n) != 0) return NULL;
        ret->text = str_make(p, s->lit_n);
        return p + s->lit_n;
    case H_PRI: {
        unsigned pri = 0;
        if (end - p < 3 || *q++ != '<') return NULL;
        while (q < end && is_digit(*q) && q - p < 5) pri = pri * 10 + (unsigned)(*q++ - '0');
        if (q == end || *q != '>' || q - p < 2 || pri > 191) return NULL;
        ret->sev = severity_from_syslog(pri % 8);
        ret->text = str_make(p + 1, (size_t)(q - p - 1));
        return q + 1;
    }
    case H_LEVEL:
        return match_level(p, end, ret);
    case H_LETTER:
        return match_letter(s, p, end, ret);
    case H_MARK:
        return match_mark(p, end, ret);
    case H_BRACKET:
        q = match_bracket(s, p, end, ret);
        if (q && s->role == COL_LEVEL) ret->sev = level_inside(ret->text);
        return q;
    case H_INT:
        return match_int(p, end, ret);
    case H_TAG:
        return match_tag(h, p, end, ret);
    case H_UNTIL:
        return match_until(s, p, end, ret);
    case H_WORD:
        while (q < end && !is_blank(*q) && *q != '\033' && *q != h->stops[0] && *q != h->stops[1] &&
               (*q != s->close || s->close == 0))
            q++;
        if (q == p) return NULL;
        ret->text = str_make(p, (size_t)(q - p));
        return q;
    }
    MUST(!"header op");
    return NULL;
}

/* ---- a line ---- */

bool header_starts(const header *h, const ts_context *c, str line) {
    const char *p = line.p, *end = line.p + line.n;
    header_cell cell;
    if (line.n == 0 || (is_blank(*p) && !h->indented)) return false;
    for (unsigned i = 0; i < h->need; i++) {
        p = header_step_match(h, &h->step[i], c, p, end, &cell);
        if (!p) return false;
    }
    return h->need > 0;
}

static bool is_specific(uint8_t op) {
    return op == H_LIT || op == H_BRACKET || op == H_LEVEL || op == H_TAG || op == H_TS ||
           op == H_UNTIL;
}

/* QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection@774: the class before '@line'. */
static str component_of(str t) {
    size_t at = str_rfind_char(t, '@');
    if (at == STR_NPOS || at + 1 >= t.n || !is_digit(t.p[at + 1])) return t;
    t = str_sub(t, 0, at);
    size_t colon = str_rfind_char(t, ':');
    return colon == STR_NPOS ? t : str_from(t, colon + 1);
}

/* [pid 1234:tid 5678] and the like: the first number. */
static str number_of(str t) {
    size_t i = 0;
    while (i < t.n && !is_digit(t.p[i])) i++;
    size_t n = 0;
    while (i + n < t.n && is_digit(t.p[i + n])) n++;
    return str_sub(t, i, n);
}

static bool is_hex_id(str t) { /* 16 or 32 digits, or left empty */
    for (size_t i = 0; i < t.n; i++)
        if (!is_digit(t.p[i]) && ((t.p[i] | 32) < 'a' || (t.p[i] | 32) > 'f')) return false;
    return t.n == 0 || t.n == 16 || t.n == 32;
}

bool header_trace_cell(str t, str *ret_service, str *ret_trace, str *ret_span) {
    str part[5];
    size_t n = 0;
    bool pairs = str_has(t, S("trace_id="));
    *ret_service = *ret_trace = *ret_span = STR_NONE;
    while (n < ARRAY_LEN(part) && str_next(&t, pairs ? ' ' : ',', &part[n])) n++;
    for (size_t i = 0; pairs && i < n; i++) {
        size_t eq = str_find_char(part[i], '=', 0);
        if (eq == STR_NPOS) continue;
        str key = str_sub(part[i], 0, eq), val = str_from(part[i], eq + 1);
        if (str_eq(key, S("trace_id")))
            *ret_trace = val;
        else if (str_eq(key, S("span_id")))
            *ret_span = val;
        else if (str_ends(key, S("service.name")))
            *ret_service = val;
    }
    if (pairs) return true;
    if (n < 3 || n > 4 || !is_hex_id(part[1]) || !is_hex_id(part[2])) return false;
    *ret_service = part[0];
    *ret_trace = part[1];
    *ret_span = part[2];
    return true;
}

static void take_trace(str t, log_record *r) {
    str service, trace, span;
    if (!header_trace_cell(t, &service, &trace, &span)) return;
    if (service.n) r->service = service;
    if (trace.n) r->trace_id = trace;
    if (span.n) r->span_id = span;
}

enum { HEADER_ATTRS_MAX = 4 };

static void take_cell(const header_step *s, const header_cell *cell, log_record *r,
                      attribute *attrs, uint32_t *attr_count) {
    if (cell->sev != SEV_NONE && (r->severity == SEV_NONE || s->op != H_PRI))
        r->severity = (uint8_t)cell->sev;
    attribute a = {0};
    switch ((header_role)s->role) {
    case COL_COMPONENT:
        r->component = s->op == H_BRACKET ? component_of(cell->text) : cell->text;
        if (s->op == H_WORD && cell->text.p[cell->text.n - 1] == ']') /* .NET: Some.Class[14] */
            r->component = str_sub(cell->text, 0, str_find_char(cell->text, '[', 0));
        if (cell->pid.n) a = attribute_text_of(S("process.pid"), cell->pid);
        break;
    case COL_HOST:
        r->host = cell->text;
        break;
    case COL_PID:
        a = attribute_text_of(S("process.pid"), number_of(cell->text));
        break;
    case COL_TID:
        a = attribute_text_of(S("thread.id"), cell->text);
        break;
    case COL_THREAD:
        a = attribute_text_of(S("thread.name"), cell->text);
        break;
    case COL_SERVICE:
        r->service = cell->text;
        break;
    case COL_TRACE:
        take_trace(cell->text, r);
        break;
    case COL_NONE:
    case COL_LEVEL:
        break;
    }
    if (a.key.n && *attr_count < HEADER_ATTRS_MAX) attrs[(*attr_count)++] = a;
}

unsigned header_parse(const header *h, const ts_context *c, str line, arena *mem, log_record *r) {
    const char *p = line.p, *end = line.p + line.n;
    attribute attrs[HEADER_ATTRS_MAX];
    uint32_t attr_count = 0;
    log_record got = *r;
    unsigned found = 0;
    bool failed = false;
    if (line.n == 0 || (is_blank(*p) && !h->indented)) return 0;
    for (unsigned i = 0; i < h->count; i++) {
        const header_step *s = &h->step[i];
        if (failed && !is_specific(s->op)) break;
        header_cell cell = {0};
        const char *q = header_step_match(h, s, c, p, end, &cell);
        if (!q) {
            if (i < h->need) return 0;
            failed = true;
            continue;
        }
        p = q;
        found++;
        if (i == h->main_ts)
            got.ts_ns = cell.ts_ns;
        else if (s->op != H_LIT)
            take_cell(s, &cell, &got, attrs, &attr_count);
    }
    p = header_skip_blank(p, end);
    got.body = str_trim_right(str_make(p, (size_t)(end - p)));
    if (attr_count && mem) {
        attribute *kept = arena_try_new_n(mem, attribute, attr_count);
        if (kept) {
            memcpy(kept, attrs, attr_count * sizeof *kept);
            got.attrs = kept;
            got.attr_count = attr_count;
        }
    }
    if (h->syslog) got.service = str_sub(got.component, 0, str_find_char(got.component, '(', 0));
    *r = got;
    return found;
}
