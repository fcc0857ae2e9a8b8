/* syslog.c - messages of RFC 5424 and RFC 3164 from the wire, and back.
 *
 *     <PRI>1 STAMP HOST APP PROCID MSGID [id name="value"...] MSG        RFC 5424
 *     <PRI>STAMP HOST TAG[PID]: MSG                                      RFC 3164 and relatives
 *     <PRI>MSG    MSG                                                    what is neither
 *
 * Problem: programs want fields, auditors want the bytes. Keeping both doubles what is stored. So a
 * decoder and a writer face each other: a message is decoded, the writer makes it again from the
 * record and compares as it goes (no copy). Only when they differ is the original kept beside the
 * fields. syslog.form holds what the writer can't know from the fields:
 *
 *     form = kind [zone digits] flags      "5424 Z 6", "5424 +01:00 3 bom", "3164", "3164 nohost
 * lf" kind  5424; 3164 (stamp without year); iso (3164 with an ISO stamp: rsyslog's forward
 * format); pri (only a priority); raw (not even that)
 *
 * RFC 3164 describes what was seen in the wild, so reading it is guessing: a stamp is taken when it
 * begins with a month or a four-digit year; the word behind it is the host, unless it ends in ':'
 * or is TAG[PID] (programs that write to the local socket send no host); a tag is a tag when ':' or
 * [PID] follows it. Without a tag everything behind the host is the message.
 *
 * No priority: RFC 3164 4.3.3 has relays assume 13 (user.notice). Nobody stated that, so the record
 * has no severity and no facility.
 *
 * Sources: RFC 5424 section 6, RFC 3164 sections 4 and 5.4; OpenTelemetry logs data model, appendix
 * B (syslog). Rejected: always keeping log.record.original (twice the bytes); the message as body
 * (templates would be those of headers). */
#include "codec/syslog.h"

#include "base/num.h"
#include "base/utf8.h"
#include "codec/syslog_int.h"

enum { ATTRS_MAX = 64, PRI_MAX = 191, TAG_MAX = 128, FORM_BYTES = 64 };

#define BOM S("\xef\xbb\xbf")

FL_INLINE bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }
FL_INLINE bool is_alpha(char c) { return (unsigned char)((c | 32) - 'a') < 26; }

bool syslog_take_pri(str line, size_t *at, unsigned *ret_pri) {
    size_t i = *at;
    if (i >= line.n || line.p[i] != '<') return false;
    unsigned pri = 0;
    size_t from = ++i;
    while (i < line.n && i - from < 3 && is_digit(line.p[i]))
        pri = pri * 10 + (unsigned)(line.p[i++] - '0');
    if (i == from || i >= line.n || line.p[i] != '>' || pri > PRI_MAX) return false;
    *at = i + 1;
    *ret_pri = pri;
    return true;
}

/* A parameter value without its escapes (\" \\ \]). */
static str sd_unescape(str raw, arena *mem) {
    if (str_find_char(raw, '\\', 0) == STR_NPOS) return raw;
    char *p = arena_try_bytes(mem, raw.n, 1);
    if (!p) return raw;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        bool escape = raw.p[i] == '\\' && i + 1 < raw.n &&
                      (raw.p[i + 1] == '"' || raw.p[i + 1] == '\\' || raw.p[i + 1] == ']');
        p[n++] = raw.p[i += escape];
    }
    return str_make(p, n);
}

syslog_sd_step syslog_sd_next(syslog_sd *s, arena *mem, str *ret_name, str *ret_value) {
    const char *p = s->text.p;
    size_t n = s->text.n, i = s->at;
    for (;;) {
        if (!s->inside) {
            if (i >= n || p[i] != '[') {
                s->at = i;
                return SD_END;
            }
            size_t from = ++i;
            while (i < n && p[i] != ' ' && p[i] != ']') i++;
            s->id = str_sub(s->text, from, i - from);
            s->inside = true;
        }
        if (i >= n) return SD_DAMAGED;
        if (p[i] == ']') {
            i++;
            s->inside = false;
            continue;
        }
        if (p[i] != ' ') return SD_DAMAGED;
        size_t from = ++i;
        while (i < n && p[i] != '=' && p[i] != ']' && p[i] != ' ') i++;
        *ret_name = str_sub(s->text, from, i - from);
        if (i + 1 >= n || p[i] != '=' || p[i + 1] != '"') return SD_DAMAGED;
        from = i += 2;
        while (i < n && p[i] != '"') i += p[i] == '\\' ? 2 : 1;
        if (i >= n) return SD_DAMAGED;
        *ret_value = sd_unescape(str_sub(s->text, from, i - from), mem);
        s->at = i + 1;
        return SD_PARAM;
    }
}

/* ---- writing: into a buffer, or against the original ---- */

typedef struct writer {
    buf *out; /* NULL: compare with `rest` */
    str rest;
    bool ok;
} writer;

static void put(writer *w, str s) {
    if (!w->ok) return;
    if (w->out) {
        w->ok = buf_put(w->out, s);
    } else {
        w->ok = str_starts(w->rest, s);
        if (w->ok) w->rest = str_from(w->rest, s.n);
    }
}

static void put_or_nil(writer *w, str s) { put(w, s.n ? s : S("-")); }

static void put_number(writer *w, int64_t v, int width) {
    char text[24];
    int n = snprintf(text, sizeof text, "%0*" PRId64, width, v);
    put(w, str_make(text, (size_t)n));
}

typedef struct form {
    str kind, zone; /* zone empty: UTC without saying so */
    unsigned digits;
    bool nohost, notag, nocolon, nospace, bom;
    str end; /* "lf", "crlf", "nul" or empty */
} form;

/* Seconds of "Z", "+hh:mm"; false for another text. */
static bool zone_seconds(str zone, int64_t *ret_s) {
    *ret_s = 0;
    if (zone.n == 0 || str_eq(zone, S("Z"))) return true;
    if (zone.n != 6 || (zone.p[0] != '+' && zone.p[0] != '-') || zone.p[3] != ':') return false;
    uint64_t h, m;
    if (!num_u64(str_sub(zone, 1, 2), &h) || !num_u64(str_sub(zone, 4, 2), &m)) return false;
    *ret_s = (int64_t)(h * 3600 + m * 60) * (zone.p[0] == '-' ? -1 : 1);
    return true;
}

static void put_stamp(writer *w, const form *f, int64_t ts_ns, bool iso) {
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t zone_s;
    if (ts_ns == TS_NONE || !zone_seconds(f->zone, &zone_s)) {
        w->ok = false;
        return;
    }
    int64_t s = ts_ns / 1000000000, ns = ts_ns % 1000000000;
    if (ns < 0) {
        s--;
        ns += 1000000000;
    }
    s += zone_s;
    int64_t days = s / 86400, day_s = s % 86400, year;
    if (day_s < 0) {
        days--;
        day_s += 86400;
    }
    unsigned month, day;
    ts_civil_from_days(days, &year, &month, &day);
    char text[80];
    int n;
    if (iso) {
        n = snprintf(text, sizeof text, "%04" PRId64 "-%02u-%02uT%02d:%02d:%02d", year, month, day,
                     (int)(day_s / 3600), (int)(day_s / 60 % 60), (int)(day_s % 60));
    } else {
        n = snprintf(text, sizeof text, "%.3s %2u %02d:%02d:%02d", MONTHS + (month - 1) * 3, day,
                     (int)(day_s / 3600), (int)(day_s / 60 % 60), (int)(day_s % 60));
    }
    put(w, str_make(text, (size_t)n));
    if (f->digits > 0) {
        n = snprintf(text, sizeof text, ".%09d", (int)ns);
        put(w, str_make(text, MIN((size_t)n, (size_t)f->digits + 1)));
    }
    if (iso) put(w, f->zone);
}

static const attribute *attr_of(const log_record *r, str key) {
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (str_eq(r->attrs[i].key, key)) return &r->attrs[i];
    return NULL;
}

static void put_attr_value(writer *w, const attribute *a) {
    if (a->type == ATTR_INT)
        put_number(w, a->num, 0);
    else
        put(w, a->val);
}

/* "syslog.<id>.<name>" in its parts: the longest id, for a name has no dot as a rule. */
static bool sd_parts(str key, str *ret_id, str *ret_name) {
    if (!str_starts(key, S("syslog."))) return false;
    str rest = str_from(key, 7);
    size_t dot = str_rfind_char(rest, '.');
    if (dot == STR_NPOS) return false;
    *ret_id = str_sub(rest, 0, dot);
    *ret_name = str_from(rest, dot + 1);
    return true;
}

static void put_structured(writer *w, const log_record *r) {
    str open = STR_NONE;
    bool any = false;
    for (uint32_t i = 0; i < r->attr_count; i++) {
        str id, name;
        if (!sd_parts(r->attrs[i].key, &id, &name)) continue;
        if (!any || !str_eq(id, open)) {
            put(w, any ? S("][") : S("["));
            put(w, id);
            open = id;
            any = true;
        }
        put(w, S(" "));
        put(w, name);
        put(w, S("=\""));
        str v = r->attrs[i].val;
        size_t from = 0;
        for (size_t k = 0; k < v.n; k++) {
            if (v.p[k] != '"' && v.p[k] != '\\' && v.p[k] != ']') continue;
            put(w, str_sub(v, from, k - from));
            put(w, S("\\"));
            from = k;
        }
        put(w, str_from(v, from));
        put(w, S("\""));
    }
    put(w, any ? S("]") : S("-"));
}

static void put_5424(writer *w, const form *f, const log_record *r) {
    const attribute *pid = attr_of(r, S("process.pid")), *msgid = attr_of(r, S("syslog.msgid"));
    put(w, S("1 "));
    if (r->ts_ns == TS_NONE)
        put(w, S("-"));
    else
        put_stamp(w, f, r->ts_ns, true);
    put(w, S(" "));
    put_or_nil(w, r->host);
    put(w, S(" "));
    put_or_nil(w, r->service);
    put(w, S(" "));
    if (pid)
        put_attr_value(w, pid);
    else
        put(w, S("-"));
    put(w, S(" "));
    put_or_nil(w, msgid ? msgid->val : STR_NONE);
    put(w, S(" "));
    put_structured(w, r);
    if (r->body.n == 0 && !f->bom) return;
    put(w, S(" "));
    if (f->bom) put(w, BOM);
    put(w, r->body);
}

static void put_3164(writer *w, const form *f, const log_record *r, bool iso) {
    put_stamp(w, f, r->ts_ns, iso);
    put(w, S(" "));
    if (!f->nohost) {
        put(w, r->host);
        put(w, S(" "));
    }
    if (!f->notag) {
        const attribute *pid = attr_of(r, S("process.pid"));
        put(w, r->service);
        if (pid) {
            put(w, S("["));
            put_attr_value(w, pid);
            put(w, S("]"));
        }
        if (!f->nocolon) put(w, S(":"));
        if (!f->nospace) put(w, S(" "));
    }
    put(w, r->body);
}

static void put_message(writer *w, const form *f, const log_record *r) {
    if (!str_eq(f->kind, S("raw"))) {
        const attribute *facility = attr_of(r, S("syslog.facility"));
        unsigned code = 0;
        while (code < 8 && severity_from_syslog(code) != r->severity) code++;
        if (!facility || code == 8) {
            w->ok = false;
            return;
        }
        put(w, S("<"));
        put_number(w, facility->num * 8 + code, 0);
        put(w, S(">"));
    }
    if (str_eq(f->kind, S("5424")))
        put_5424(w, f, r);
    else if (str_eq(f->kind, S("3164")))
        put_3164(w, f, r, false);
    else if (str_eq(f->kind, S("iso")))
        put_3164(w, f, r, true);
    else
        put(w, r->body);
    if (str_eq(f->end, S("lf"))) put(w, S("\n"));
    if (str_eq(f->end, S("crlf"))) put(w, S("\r\n"));
    if (str_eq(f->end, S("nul"))) put(w, str_make("", 1));
}

static str form_text(const form *f, char out[FORM_BYTES]) {
    int n = snprintf(out, FORM_BYTES, "%.*s", STR_ARG(f->kind));
    size_t at = (size_t)n;
    if (f->zone.n || f->digits) {
        n = snprintf(out + at, FORM_BYTES - at, " %.*s %u", f->zone.n ? (int)f->zone.n : 1,
                     f->zone.n ? f->zone.p : "-", f->digits);
        at += (size_t)n;
    }
    n = snprintf(out + at, FORM_BYTES - at, "%s%s%s%s%s%s%.*s", f->nohost ? " nohost" : "",
                 f->notag ? " notag" : "", f->nocolon ? " nocolon" : "",
                 f->nospace ? " nospace" : "", f->bom ? " bom" : "", f->end.n ? " " : "",
                 STR_ARG(f->end));
    at += (size_t)n;
    MUST(at < FORM_BYTES);
    return str_make(out, at);
}

static bool form_read(str text, form *ret) {
    *ret = (form){0};
    str word;
    if (!str_next(&text, ' ', &ret->kind)) return false;
    while (text.n && str_next(&text, ' ', &word)) {
        if (word.n == 0) continue;
        bool dash = str_eq(word, S("-"));
        if (dash || str_eq(word, S("Z")) || word.p[0] == '+' || word.p[0] == '-') {
            uint64_t digits;
            ret->zone = dash ? STR_NONE : word;
            if (!str_next(&text, ' ', &word) || !num_u64(word, &digits) || digits > 9) return false;
            ret->digits = (unsigned)digits;
        } else if (str_eq(word, S("nohost"))) {
            ret->nohost = true;
        } else if (str_eq(word, S("notag"))) {
            ret->notag = true;
        } else if (str_eq(word, S("nocolon"))) {
            ret->nocolon = true;
        } else if (str_eq(word, S("nospace"))) {
            ret->nospace = true;
        } else if (str_eq(word, S("bom"))) {
            ret->bom = true;
        } else {
            ret->end = word;
        }
    }
    return true;
}

bool syslog_put_original(const log_record *r, buf *out) {
    const attribute *whole = attr_of(r, S("log.record.original"));
    if (whole) return buf_put(out, whole->val);
    const attribute *kept = attr_of(r, S("syslog.form"));
    form f;
    if (!kept || !form_read(kept->val, &f)) return false;
    writer w = {.out = out, .ok = true};
    put_message(&w, &f, r);
    return w.ok;
}

/* ---- reading ---- */

typedef struct attr_list {
    attribute a[ATTRS_MAX];
    uint32_t n;
} attr_list;

static void add_attr(attr_list *l, attribute a) {
    if (l->n < ATTRS_MAX) l->a[l->n++] = a;
}

static void add_text(attr_list *l, str key, str val) {
    if (val.n && !str_eq(val, S("-"))) add_attr(l, attribute_text_of(key, val));
}

static void add_pid(attr_list *l, str text) {
    int64_t v;
    if (num_i64(text, &v) && is_digit(text.p[0]) && (text.n == 1 || text.p[0] != '0'))
        add_attr(l, (attribute){.key = S("process.pid"), .num = v, .type = ATTR_INT});
    else
        add_text(l, S("process.pid"), text);
}

static str take_word(str line, size_t *at) {
    size_t end = str_find_char(line, ' ', *at);
    if (end == STR_NPOS) end = line.n;
    str w = str_sub(line, *at, end - *at);
    *at = MIN(end + 1, line.n);
    return w;
}

/* Digits of the fraction and the zone of an ISO stamp. */
static void form_of_iso(str stamp, form *f) {
    size_t i = 19;
    if (i < stamp.n && stamp.p[i] == '.')
        while (++i < stamp.n && is_digit(stamp.p[i]) && f->digits < 9) f->digits++;
    f->zone = str_from(stamp, i);
    int64_t zone_s;
    if (!zone_seconds(f->zone, &zone_s)) f->zone = STR_NONE;
}

/* A stamp without a zone of its own was read in the zone of the receiver: the form says which. */
static str zone_of_context(const ts_context *ts, arena *mem) {
    int32_t s = ts->zone_offset_s;
    if (s == 0 || s % 60 != 0) return STR_NONE;
    int32_t m = (s < 0 ? -s : s) / 60;
    return str_fmt(mem, "%c%02d:%02d", s < 0 ? '-' : '+', m / 60 % 100, m % 60);
}

static void read_5424(str line, size_t at, const ts_context *ts, arena *mem, attr_list *l, form *f,
                      log_record *r) {
    f->kind = S("5424");
    str stamp = take_word(line, &at);
    if (ts_parse_any(stamp, ts, &r->ts_ns)) form_of_iso(stamp, f);
    str host = take_word(line, &at), app = take_word(line, &at);
    if (!str_eq(host, S("-"))) r->host = host;
    if (!str_eq(app, S("-"))) r->service = app;
    str pid = take_word(line, &at);
    if (!str_eq(pid, S("-"))) add_pid(l, pid);
    add_text(l, S("syslog.msgid"), take_word(line, &at));
    uint32_t before = l->n;
    if (at < line.n && line.p[at] == '[') {
        syslog_sd sd = {.text = line, .at = at};
        str name, value;
        syslog_sd_step step;
        while ((step = syslog_sd_next(&sd, mem, &name, &value)) == SD_PARAM) {
            str key = str_fmt(mem, "syslog.%.*s.%.*s", STR_ARG(sd.id), STR_ARG(name));
            if (key.p) add_attr(l, attribute_text_of(key, value));
        }
        if (step == SD_END)
            at = sd.at;
        else
            l->n = before; /* damaged: stays in the message */
    } else if (at < line.n && line.p[at] == '-') {
        at++;
    }
    if (at < line.n && line.p[at] == ' ') at++;
    r->body = str_from(line, at);
    f->bom = str_starts(r->body, BOM);
    if (f->bom) r->body = str_from(r->body, 3);
}

static bool is_host_char(char c) {
    return is_alpha(c) || is_digit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
}

/* TAG, TAG[PID], each with ':' behind it, or TAG[PID] with a blank. */
static bool take_tag(str line, size_t *at, str *ret_tag, str *ret_pid, form *f) {
    size_t i = *at;
    while (i < line.n && i - *at < TAG_MAX && line.p[i] != ':' && line.p[i] != '[' &&
           line.p[i] != ' ')
        i++;
    if (i == *at || i >= line.n || line.p[i] == ' ') return false;
    str tag = str_sub(line, *at, i - *at), pid = STR_NONE;
    if (line.p[i] == '[') {
        size_t close = str_find_char(line, ']', i);
        if (close == STR_NPOS || close == i + 1 || close - i > TAG_MAX) return false;
        pid = str_sub(line, i + 1, close - i - 1);
        if (str_find_char(pid, ' ', 0) != STR_NPOS) return false;
        i = close + 1;
    }
    bool colon = i < line.n && line.p[i] == ':';
    if (!colon && (pid.n == 0 || (i < line.n && line.p[i] != ' '))) return false;
    i += colon;
    bool space = i < line.n && line.p[i] == ' ';
    f->nocolon = !colon;
    f->nospace = !space;
    *at = i + space;
    *ret_tag = tag;
    *ret_pid = pid;
    return true;
}

static bool take_stamp(str line, size_t *at, const ts_context *ts, arena *mem, form *f,
                       int64_t *ret_ns) {
    str rest = str_sub(line, *at, 64);
    if (rest.n < 15) return false;
    bool iso = is_digit(rest.p[0]) && rest.p[4] == '-';
    if (!iso && !is_alpha(rest.p[0])) return false;
    ts_layout layout;
    size_t n = 0;
    if (!ts_detect(rest, &layout, &n) || !ts_parse(rest, layout, ts, ret_ns, &n)) return false;
    if (!layout.has_time || n >= rest.n || rest.p[n] != ' ') return false;
    if (iso)
        form_of_iso(str_sub(rest, 0, n), f);
    else
        f->zone = zone_of_context(ts, mem);
    f->kind = iso ? S("iso") : S("3164");
    *at += n + 1;
    return true;
}

static void read_3164(str line, size_t at, const ts_context *ts, arena *mem, attr_list *l, form *f,
                      log_record *r) {
    str pid = STR_NONE;
    if (!take_stamp(line, &at, ts, mem, f, &r->ts_ns)) {
        f->kind = S("pri");
        r->body = str_from(line, at);
        return;
    }
    if (take_tag(line, &at, &r->service, &pid, f)) { /* "app[1]: text": no host */
        f->nohost = true;
    } else {
        size_t host_at = at;
        str host = take_word(line, &at);
        bool good = host.n > 0 && at > host_at + host.n;
        for (size_t i = 0; good && i < host.n; i++) good = is_host_char(host.p[i]);
        if (good) {
            r->host = host;
        } else {
            at = host_at;
            f->nohost = true;
        }
        f->notag = !take_tag(line, &at, &r->service, &pid, f);
    }
    if (f->notag) f->nocolon = f->nospace = false;
    if (pid.n) add_pid(l, pid);
    r->body = str_from(line, at);
}

static str take_end(str msg, form *f) {
    if (str_ends(msg, S("\r\n"))) {
        f->end = S("crlf");
        return str_sub(msg, 0, msg.n - 2);
    }
    if (str_ends(msg, S("\n"))) {
        f->end = S("lf");
        return str_sub(msg, 0, msg.n - 1);
    }
    if (msg.n > 0 && msg.p[msg.n - 1] == '\0') {
        f->end = S("nul");
        return str_sub(msg, 0, msg.n - 1);
    }
    return msg;
}

rc syslog_decode(str msg, const ts_context *ts, arena *mem, log_record *r) {
    MUST(r->attrs == NULL && r->body.p == NULL);
    const log_record fresh = *r;
    form f = {0};
    attr_list l;
    l.n = 0;
    bool utf8 = utf8_valid(msg);
    str line = utf8 ? msg : utf8_repaired(msg, mem);
    if (!line.p && msg.n) return RC_LIMIT;
    line = take_end(line, &f);
    size_t at = 0;
    unsigned pri;
    if (syslog_take_pri(line, &at, &pri)) {
        r->severity = (uint8_t)severity_from_syslog(pri % 8);
        add_attr(&l, (attribute){.key = S("syslog.facility"), .num = pri / 8, .type = ATTR_INT});
        bool versioned =
            at + 1 < line.n && is_digit(line.p[at]) && line.p[at] != '0' && line.p[at + 1] == ' ';
        if (versioned)
            read_5424(line, at + 2, ts, mem, &l, &f, r);
        else
            read_3164(line, at, ts, mem, &l, &f, r);
    } else {
        f.kind = S("raw");
        r->body = line;
    }
    r->raw = msg;
    r->line_count = 1;
    r->attrs = l.a;
    r->attr_count = l.n;
    writer w = {.rest = msg, .ok = utf8};
    put_message(&w, &f, r);
    bool same = w.ok && w.rest.n == 0;
    char text[FORM_BYTES];
    str kept = same ? str_dup(mem, form_text(&f, text)) : msg;
    attribute *all = arena_try_new_n(mem, attribute, (size_t)l.n + 1);
    if (!kept.p || !all) {
        *r = fresh;
        return RC_LIMIT;
    }
    memcpy(all, l.a, l.n * sizeof *all);
    all[l.n] = attribute_text_of(same ? S("syslog.form") : S("log.record.original"), kept);
    if (!utf8) all[l.n].type = ATTR_BYTES;
    r->attrs = all;
    r->attr_count = l.n + 1;
    return RC_OK;
}

/* ---- framing ---- */

enum { COUNT_DIGITS_MAX = 9 };

static bool is_filler(char c) { return c == '\n' || c == '\r' || c == '\0'; }

/* Ends at the newline, which is framing, as is a carriage return before it. */
static bool frame_line(str stream, size_t from, bool eof, size_t max_bytes, syslog_frame *ret) {
    size_t nl = str_find_char(stream, '\n', from);
    size_t end = nl == STR_NPOS ? stream.n : nl;
    if (nl == STR_NPOS && !eof && end - from <= max_bytes) {
        ret->used = from;
        return false;
    }
    ret->msg = str_sub(stream, from, MIN(end - from, max_bytes));
    ret->cut = end - from > max_bytes;
    ret->skip_line = nl == STR_NPOS && !eof;
    ret->used = nl == STR_NPOS ? stream.n : nl + 1;
    if (!ret->cut && ret->msg.n && ret->msg.p[ret->msg.n - 1] == '\r') ret->msg.n--;
    return true;
}

bool syslog_frame_next(str stream, bool eof, size_t max_bytes, syslog_frame *ret) {
    *ret = (syslog_frame){0};
    size_t at = 0, i;
    while (at < stream.n && is_filler(stream.p[at])) at++;
    ret->used = at;
    if (at == stream.n) return false;
    uint64_t count = 0;
    for (i = at; i < stream.n && is_digit(stream.p[i]) && i - at < COUNT_DIGITS_MAX; i++)
        count = count * 10 + (uint64_t)(stream.p[i] - '0');
    bool counted = i > at && stream.p[at] != '0';
    if (counted && !eof && i + 1 >= stream.n && (i == stream.n || stream.p[i] == ' ')) return false;
    counted = counted && i + 1 < stream.n && stream.p[i] == ' ' && stream.p[i + 1] == '<';
    if (!counted) return frame_line(stream, at, eof, max_bytes, ret);
    size_t from = i + 1, have = stream.n - from;
    if (have < count && eof) {
        ret->lied = true;
        return frame_line(stream, from, eof, max_bytes, ret);
    }
    if (have < count && (count <= max_bytes || have < max_bytes)) return false;
    if (have > count) { /* what follows must begin a message */
        char c = stream.p[from + count];
        if (!is_filler(c) && c != '<' && (!is_digit(c) || c == '0')) {
            syslog_frame line = {0};
            if (!frame_line(stream, from, eof, max_bytes, &line)) return false;
            *ret = line;
            ret->lied = true;
            return true;
        }
    }
    ret->msg = str_sub(stream, from, MIN((size_t)count, max_bytes));
    ret->cut = count > max_bytes;
    ret->used = MIN(from + (size_t)count, stream.n);
    ret->skip = count - (ret->used - from);
    return true;
}
