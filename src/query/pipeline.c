/* pipeline.c - see pipeline_int.h. What each stage does is as Loki's documentation has it:
 *
 *   - a parser that fails sets __error__ (JSONParserErr, LogfmtParserErr) and keeps the line
 *   - a parsed name that a stream label has already gets the suffix _extracted
 *   - a number filter on a label that is absent drops the line; on a text that is no number it sets
 *     __error__ = LabelFilterErr and keeps it
 *
 * Source: Loki docs "Log queries"; pkg/logql/log/{parser,label_filter,labels,fmt}.go. */
#include "query/pipeline_int.h"

#include "base/mem.h"
#include "codec/logfmt.h"
#include "codec/timestamp.h"

enum {
    JSON_MEMBERS_MAX = 1024,
    JSON_LEVELS_MAX = 10 /* of JSON_FLAT_DEPTH levels each */,
    REGEX_GROUPS = REGEX_GROUPS_MAX
};

void pipe_init(log_pipe *p, const log_stage *stages, size_t stage_count) {
    *p = (log_pipe){.stages = stages, .stage_count = stage_count};
    p->re = regex_state_new();
    arena_init(&p->scratch, "log pipeline", PIPE_SCRATCH_MAX);
    p->made = mem_new_n(made_label, LABELS_MAX);
    p->tmp_labels = mem_new_n(query_label, LABELS_MAX);
}

void pipe_release(log_pipe *p) {
    regex_state_free(p->re);
    arena_release(&p->scratch);
    mem_free(p->made);
    mem_free(p->tmp_labels);
    mem_free(p->members);
    *p = (log_pipe){0};
}

/* --- labels --- */

static made_label *find_made(log_pipe *p, str name) {
    for (size_t i = 0; i < p->made_count; i++) {
        if (str_eq(p->made[i].name, name)) return &p->made[i];
    }
    return NULL;
}

str pipe_label(log_pipe *p, str name) {
    if (str_eq(name, S("__error__"))) return p->error;
    if (str_eq(name, S("__error_details__"))) return p->error_details;
    const made_label *m = find_made(p, name);
    if (m) return m->dropped ? STR_NONE : m->value;
    if (p->only_made) return STR_NONE;
    return record_label(p->record, name, &p->scratch);
}

static void set_label(log_pipe *p, str name, str value, label_class class) {
    made_label *m = find_made(p, name);
    if (!m) {
        if (p->made_count >= LABELS_MAX) return;
        m = &p->made[p->made_count++];
    }
    *m = (made_label){.name = name, .value = value, .class = (uint8_t) class};
}

static void drop_label(log_pipe *p, str name) {
    set_label(p, name, STR_NONE, LABEL_PARSED);
    made_label *m = find_made(p, name);
    if (m) m->dropped = true;
}

/* A label that a parser found: the stream's own labels are not overwritten. */
static void set_parsed(log_pipe *p, str key, str value) {
    str name = label_plain(key, &p->scratch);
    if (name.n == 0) return;
    if (name.p[0] >= '0' && name.p[0] <= '9') name = str_fmt(&p->scratch, "_%.*s", STR_ARG(name));
    if (record_has_stream_label(p->record, name)) {
        name = str_fmt(&p->scratch, "%.*s_extracted", STR_ARG(name));
    }
    if (name.p) set_label(p, name, value, LABEL_PARSED);
}

static void set_error(log_pipe *p, str kind, str details) {
    p->error = kind;
    p->error_details = details;
}

/* Text with the record's own labels that still count, of both classes. */
static size_t own_labels(log_pipe *p, label_class class, query_label *to) {
    if (p->only_made) return 0;
    size_t n = class == LABEL_STREAM ? record_stream_labels(p->record, &p->scratch, to, LABELS_MAX)
                                     : record_metadata(p->record, &p->scratch, to, LABELS_MAX);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (p->made_count && find_made(p, to[i].name)) continue;
        to[kept++] = to[i];
    }
    return kept;
}

static size_t made_labels(log_pipe *p, label_class class, query_label *to, size_t n) {
    for (size_t i = 0; i < p->made_count && n < LABELS_MAX; i++) {
        const made_label *m = &p->made[i];
        if (m->class != class || m->dropped || m->value.n == 0) continue;
        to[n++] = (query_label){m->name, m->value};
    }
    return n;
}

size_t pipe_stream_labels(log_pipe *p, query_label *to) {
    return made_labels(p, LABEL_STREAM, to, own_labels(p, LABEL_STREAM, to));
}

size_t pipe_metadata(log_pipe *p, query_label *to) {
    size_t n = made_labels(p, LABEL_META, to, own_labels(p, LABEL_META, to));
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) { /* a name of the stream is not repeated */
        if (!record_has_stream_label(p->record, to[i].name)) to[kept++] = to[i];
    }
    return kept;
}

size_t pipe_parsed(log_pipe *p, query_label *to) {
    size_t n = made_labels(p, LABEL_PARSED, to, 0);
    if (p->error.n && n + 2 <= LABELS_MAX) {
        to[n++] = (query_label){S("__error__"), p->error};
        if (p->error_details.n) to[n++] = (query_label){S("__error_details__"), p->error_details};
    }
    return n;
}

/* --- filters --- */

static bool match_text(log_pipe *p, const label_match *m, const regex *re, str value) {
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(value, m->value);
    case MATCH_NE:
        return !str_eq(value, m->value);
    case MATCH_RE:
        return regex_test(re, p->re, value);
    case MATCH_NOT_RE:
        return !regex_test(re, p->re, value);
    }
    return false;
}

static bool compare(uint8_t cmp, double a, double b) {
    switch ((compare_op)cmp) {
    case CMP_EQ:
        return a == b;
    case CMP_NE:
        return a != b;
    case CMP_LT:
        return a < b;
    case CMP_LE:
        return a <= b;
    case CMP_GT:
        return a > b;
    case CMP_GE:
        return a >= b;
    }
    return false;
}

static bool in_range(const ip_range *r, const uint8_t ip[16]) {
    return memcmp(ip, r->from, 16) >= 0 && memcmp(ip, r->to, 16) <= 0;
}

/* An address of the range anywhere in the text. */
static bool has_ip(str text, const ip_range *r) {
    size_t at = 0;
    while (at < text.n) {
        char c = text.p[at], l = (char)(c | 0x20);
        bool starts = (c >= '0' && c <= '9') || (l >= 'a' && l <= 'f') || c == ':';
        if (!starts) {
            at++;
            continue;
        }
        size_t from = at;
        while (at < text.n) {
            c = text.p[at];
            l = (char)(c | 0x20);
            if (!(c >= '0' && c <= '9') && !(l >= 'a' && l <= 'f') && c != ':' && c != '.') break;
            at++;
        }
        str word = str_sub(text, from, at - from);
        while (word.n && (word.p[word.n - 1] == '.' || word.p[word.n - 1] == ':')) word.n--;
        uint8_t ip[16];
        size_t colon = str_find_char(word, ':', 0);
        bool port = colon != STR_NPOS && str_find_char(word, ':', colon + 1) == STR_NPOS;
        if (word.n >= 2 && word.n <= 45 && ip_parse(port ? str_sub(word, 0, colon) : word, ip) &&
            in_range(r, ip)) {
            return true;
        }
    }
    return false;
}

static bool filter_leaf(log_pipe *p, const label_filter *f) {
    str v = pipe_label(p, f->name);
    if (f->kind == FILTER_TEXT) return match_text(p, &f->match, f->re, v);
    if (!v.p) return false;
    if (f->kind == FILTER_IP) {
        uint8_t ip[16];
        bool inside = ip_parse(str_trim(v), ip) && in_range(&f->ip, ip);
        return inside == (f->cmp == CMP_EQ);
    }
    double num = 0;
    int64_t ns;
    bool ok;
    if (f->kind == FILTER_DURATION) {
        ok = lex_duration(v, &ns);
        if (ok) num = (double)ns;
    } else if (f->kind == FILTER_BYTES) {
        ok = lex_bytes(v, &num) || lex_number(v, &num);
    } else {
        ok = lex_number(v, &num);
    }
    if (!ok) {
        if (!p->error.n)
            set_error(
                p, S("LabelFilterErr"),
                str_fmt(&p->scratch, "\"%.*s\" is no value to compare", (int)MIN(v.n, 100), v.p));
        return true;
    }
    return compare(f->cmp, num, f->num);
}

bool pipe_filter(log_pipe *p, const label_filter *f) {
    if (f->kind == FILTER_AND) return pipe_filter(p, f->left) && pipe_filter(p, f->right);
    if (f->kind == FILTER_OR) return pipe_filter(p, f->left) || pipe_filter(p, f->right);
    return filter_leaf(p, f);
}

static bool line_stage(log_pipe *p, const log_stage *st) {
    bool found = false;
    for (size_t i = 0; i < st->choice_count && !found; i++) {
        const line_choice *c = &st->choices[i];
        if (c->is_ip) {
            found = has_ip(p->line, &c->ip);
        } else if (c->re) {
            found = regex_test(c->re, p->re, p->line);
        } else {
            found = str_has(p->line, c->text);
        }
    }
    return found != st->negated;
}

/* --- parsers --- */

/* The members of one object as labels; false when it is damaged. Objects below what json_flat lays
 * flat come here again with the path to them. */
static bool json_labels(log_pipe *p, str text, str prefix, unsigned level, json_member *members) {
    json_flat_opts opts = {.raw_controls = true};
    size_t total = 0, used = 0;
    rc c = json_flat(text, &opts, &p->scratch, members, JSON_MEMBERS_MAX, &total, &used, NULL);
    if (c == RC_LIMIT) return false;
    for (size_t i = 0; i < MIN(total, (size_t)JSON_MEMBERS_MAX); i++) {
        const json_member *m = &members[i];
        str key = m->key, v = m->val.text;
        if (prefix.n) key = str_fmt(&p->scratch, "%.*s.%.*s", STR_ARG(prefix), STR_ARG(key));
        switch (m->val.kind) {
        case JSON_STRING:
            if (json_text(&m->val, &p->scratch, &v, NULL)) continue;
            break;
        case JSON_NUMBER:
        case JSON_TRUE:
        case JSON_FALSE:
            break;
        case JSON_OBJECT_BEGIN:
            if (level < JSON_LEVELS_MAX) {
                json_member *more = arena_try_new_n(&p->scratch, json_member, JSON_MEMBERS_MAX);
                if (more && !json_labels(p, v, key, level + 1, more)) return false;
            }
            continue;
        default:
            continue; /* lists, null */
        }
        set_parsed(p, key, v);
    }
    return c == RC_OK && used == text.n;
}

static void json_stage(log_pipe *p) {
    if (!p->members) p->members = mem_new_n(json_member, JSON_MEMBERS_MAX);
    if (!json_labels(p, str_trim(p->line), STR_NONE, 0, p->members)) {
        set_error(p, S("JSONParserErr"), S("the line is not one JSON object"));
    }
}

/* The value at a path of the document; false when there is none. */
static bool json_at_path(log_pipe *p, str text, const json_step *path, size_t count, str *ret,
                         bool *ret_bad) {
    json_reader r;
    json_init(&r, text);
    r.raw_controls = true;
    json_tok t;
    *ret_bad = true;
    if (json_next(&r, &t, NULL)) return false;
    for (size_t level = 0; level < count; level++) {
        const json_step *step = &path[level];
        bool member = step->name.p != NULL;
        if (t.kind != (member ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN)) {
            *ret_bad = false;
            return false;
        }
        bool found = false;
        for (uint32_t i = 0; !found; i++) {
            if (json_next(&r, &t, NULL)) return false;
            if (t.kind == JSON_OBJECT_END || t.kind == JSON_ARRAY_END) break;
            if (member) {
                str key;
                if (json_text(&t, &p->scratch, &key, NULL)) return false;
                found = str_eq(key, step->name);
            } else {
                found = i == step->index;
            }
            if (found && member && json_next(&r, &t, NULL)) return false;
            if (!found && json_skip(&r, &t, NULL)) return false;
        }
        if (!found) {
            *ret_bad = false;
            return false;
        }
    }
    *ret_bad = false;
    switch (t.kind) {
    case JSON_STRING:
        return json_text(&t, &p->scratch, ret, NULL) == RC_OK;
    case JSON_OBJECT_BEGIN:
    case JSON_ARRAY_BEGIN:
        if (json_skip(&r, &t, NULL)) return false;
        *ret = json_span(&r, &t);
        return true;
    case JSON_NULL:
        *ret = S("");
        return true;
    default:
        *ret = t.text;
        return true;
    }
}

static void json_paths_stage(log_pipe *p, const log_stage *st) {
    str text = str_trim(p->line);
    if (text.n == 0) return;
    if (text.p[0] != '{' && text.p[0] != '[' && text.p[0] != '"') {
        set_error(p, S("JSONParserErr"), S("the line is not JSON"));
        return;
    }
    for (size_t i = 0; i < st->item_count; i++) {
        const stage_item *it = &st->items[i];
        str v;
        bool bad;
        bool found = json_at_path(p, text, it->path, it->path_count, &v, &bad);
        if (bad) set_error(p, S("JSONParserErr"), S("the line is damaged JSON"));
        if (found) set_parsed(p, it->name, v);
    }
}

static void logfmt_stage(log_pipe *p, const log_stage *st) {
    logfmt_reader r = {.in = p->line};
    logfmt_pair pair;
    while (logfmt_next(&r, &pair)) {
        bool stray = !pair.has_value && str_find_char(pair.key, '"', 0) != STR_NPOS;
        if (pair.damaged || stray || (pair.has_value && pair.key.n == 0)) {
            if (st->strict) {
                set_error(p, S("LogfmtParserErr"),
                          str_fmt(&p->scratch, "logfmt syntax error at pos %zu", r.at));
                return;
            }
            if (stray || pair.key.n == 0) continue;
        }
        str v = pair.val;
        if (pair.escaped && logfmt_text(&pair, &p->scratch, &v)) continue;
        if (v.n == 0 && !st->keep_empty) continue;
        if (st->item_count == 0) {
            set_parsed(p, pair.key, v);
            continue;
        }
        for (size_t i = 0; i < st->item_count; i++) {
            if (label_is(st->items[i].text, pair.key)) set_parsed(p, st->items[i].name, v);
        }
    }
}

static void regexp_stage(log_pipe *p, const log_stage *st) {
    str groups[REGEX_GROUPS];
    if (!regex_groups(st->re, p->re, p->line, groups, REGEX_GROUPS)) return;
    for (size_t i = 1; i <= regex_group_count(st->re); i++) {
        str name = regex_group_name(st->re, i);
        if (name.n) set_parsed(p, name, groups[i]);
    }
}

static void pattern_stage(log_pipe *p, const log_stage *st) {
    str rest = p->line;
    for (size_t i = 0; i < st->piece_count; i++) {
        const pattern_piece *piece = &st->pieces[i];
        if (i == 0 && piece->literal.n) {
            if (!str_starts(rest, piece->literal)) return;
            rest = str_from(rest, piece->literal.n);
        }
        if (!piece->has_capture) return;
        str stop = i + 1 < st->piece_count ? st->pieces[i + 1].literal : STR_NONE;
        size_t end = stop.n ? str_find(rest, stop, 0) : STR_NPOS;
        str v = end == STR_NPOS ? rest : str_sub(rest, 0, end);
        if (piece->name.n) set_parsed(p, piece->name, v);
        if (end == STR_NPOS) return; /* the rest is the value */
        rest = str_from(rest, end + stop.n);
    }
}

/* A JSON object of texts whose member _entry is the line, as promtail packs it. */
static void unpack_stage(log_pipe *p) {
    json_reader r;
    str text = str_trim(p->line);
    json_init(&r, text);
    json_tok t;
    rc c = json_next(&r, &t, NULL);
    if (c || t.kind != JSON_OBJECT_BEGIN) {
        set_error(p, S("JSONParserErr"), S("the line is not one JSON object"));
        return;
    }
    str line = p->line;
    while (!(c = json_next(&r, &t, NULL)) && t.kind == JSON_KEY) {
        str key, v;
        if (json_text(&t, &p->scratch, &key, NULL) || json_next(&r, &t, NULL)) break;
        if (t.kind != JSON_STRING) {
            if (json_skip(&r, &t, NULL)) break;
            continue;
        }
        if (json_text(&t, &p->scratch, &v, NULL)) break;
        if (str_eq(key, S("_entry"))) {
            line = v;
        } else {
            set_parsed(p, key, v);
        }
    }
    p->line = line;
}

/* --- formats --- */

static str trunc_text(str v, int64_t n) {
    size_t want = (size_t)MIN(n < 0 ? -n : n, (int64_t)v.n);
    return n < 0 ? str_from(v, v.n - want) : str_sub(v, 0, want);
}

static str replace_text(log_pipe *p, str v, str from, str to) {
    if (from.n == 0 || !str_has(v, from)) return v;
    buf b;
    buf_init(&b, 1 << 20);
    for (size_t at = 0; at < v.n;) {
        size_t hit = str_find(v, from, at);
        size_t end = hit == STR_NPOS ? v.n : hit;
        IGNORE(!buf_put(&b, str_sub(v, at, end - at))); /* a text beyond the limit is cut */
        if (hit != STR_NPOS) IGNORE(!buf_put(&b, to));
        at = hit == STR_NPOS ? v.n : hit + from.n;
    }
    str out = str_dup(&p->scratch, buf_str(&b));
    buf_release(&b);
    return out;
}

static str fold_text(log_pipe *p, str v, bool upper) {
    char *to = arena_try_raw(&p->scratch, v.n + 1, 1);
    if (!to) return v;
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];
        if (upper && c >= 'a' && c <= 'z') c = (char)(c - 32);
        if (!upper && c >= 'A' && c <= 'Z') c = (char)(c + 32);
        to[i] = c;
    }
    return str_make(to, v.n);
}

static str template_call_text(log_pipe *p, const template_call *c, str v) {
    switch ((template_fn)c->fn) {
    case TPL_LOWER:
        return fold_text(p, v, false);
    case TPL_UPPER:
        return fold_text(p, v, true);
    case TPL_TRIM:
        return str_trim(v);
    case TPL_DEFAULT:
        return v.n ? v : c->arg;
    case TPL_REPLACE:
        return replace_text(p, v, c->arg, c->arg2);
    case TPL_TRUNC:
        return trunc_text(v, c->num);
    case TPL_TRIM_PREFIX:
        return str_starts(v, c->arg) ? str_from(v, c->arg.n) : v;
    case TPL_TRIM_SUFFIX:
        return str_ends(v, c->arg) ? str_sub(v, 0, v.n - c->arg.n) : v;
    }
    return v;
}

static str template_text(log_pipe *p, const text_template *t) {
    buf b;
    buf_init(&b, 4 << 20);
    for (size_t i = 0; i < t->count; i++) {
        const template_part *part = &t->parts[i];
        str v = part->text;
        if (part->source == TPL_LABEL) v = pipe_label(p, part->text);
        if (part->source == TPL_LINE) v = p->line;
        char time[TS_TEXT_BYTES];
        if (part->source == TPL_TIME) v = str_make(time, ts_format(p->ts_ns, time));
        for (size_t k = 0; k < part->call_count; k++) v = template_call_text(p, &part->calls[k], v);
        if (!buf_put(&b, v)) break; /* cut at the limit */
    }
    str out = str_dup(&p->scratch, buf_str(&b));
    buf_release(&b);
    return out;
}

/* The class that a label has now: what is renamed keeps it. */
static label_class class_of(log_pipe *p, str name) {
    const made_label *m = find_made(p, name);
    if (m) return (label_class)m->class;
    if (p->only_made) return LABEL_PARSED;
    if (record_has_stream_label(p->record, name)) return LABEL_STREAM;
    return record_label(p->record, name, &p->scratch).p ? LABEL_META : LABEL_PARSED;
}

static void label_format_stage(log_pipe *p, const log_stage *st) {
    for (size_t i = 0; i < st->item_count; i++) {
        const stage_item *it = &st->items[i];
        if (it->is_rename) {
            str v = pipe_label(p, it->text);
            if (!v.p) continue;
            label_class class = class_of(p, it->text);
            if (!str_eq(it->text, it->name)) drop_label(p, it->text);
            set_label(p, it->name, v, class);
        } else {
            label_class class = class_of(p, it->name);
            set_label(p, it->name, template_text(p, &it->tpl), class);
        }
    }
}

static void drop_stage(log_pipe *p, const log_stage *st) {
    for (size_t i = 0; i < st->item_count; i++) {
        const stage_item *it = &st->items[i];
        if (it->has_text && !match_text(p, &it->match, it->re, pipe_label(p, it->name))) continue;
        if (str_eq(it->name, S("__error__"))) p->error = STR_NONE;
        if (str_eq(it->name, S("__error_details__"))) p->error_details = STR_NONE;
        drop_label(p, it->name);
    }
}

static void keep_stage(log_pipe *p, const log_stage *st) {
    /* The labels that stay become made ones; everything else is gone. */
    made_label *kept = arena_try_new_n(&p->scratch, made_label, st->item_count);
    size_t n = 0;
    for (size_t i = 0; kept && i < st->item_count; i++) {
        const stage_item *it = &st->items[i];
        str v = pipe_label(p, it->name);
        if (!v.n || (it->has_text && !match_text(p, &it->match, it->re, v))) continue;
        kept[n++] =
            (made_label){.name = it->name, .value = v, .class = (uint8_t)class_of(p, it->name)};
    }
    p->made_count = 0;
    p->only_made = true;
    for (size_t i = 0; i < n; i++)
        set_label(p, kept[i].name, kept[i].value, (label_class)kept[i].class);
}

static void decolorize_stage(log_pipe *p) {
    str in = p->line;
    if (str_find_char(in, '\x1b', 0) == STR_NPOS) return;
    char *to = arena_try_raw(&p->scratch, in.n, 1);
    if (!to) return;
    size_t n = 0;
    for (size_t at = 0; at < in.n;) {
        if (in.p[at] == '\x1b' && at + 1 < in.n && in.p[at + 1] == '[') {
            at += 2; /* ESC [ parameters letter */
            while (at < in.n && !((in.p[at] | 0x20) >= 'a' && (in.p[at] | 0x20) <= 'z')) at++;
            at++;
        } else {
            to[n++] = in.p[at++];
        }
    }
    p->line = str_make(to, n);
}

bool stages_touch_labels(const log_stage *stages, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (stages[i].kind == STAGE_LABEL_FORMAT || stages[i].kind == STAGE_DROP ||
            stages[i].kind == STAGE_KEEP)
            return true;
    }
    return false;
}

bool pipe_run(log_pipe *p, const log_record *r) {
    if (p->scratch.used_bytes) arena_reset(&p->scratch);
    p->record = r;
    p->ts_ns = record_time(r);
    p->line = r->body;
    p->made_count = 0;
    p->only_made = false;
    p->error = p->error_details = STR_NONE;
    for (size_t i = 0; i < p->stage_count; i++) {
        const log_stage *st = &p->stages[i];
        switch ((stage_kind)st->kind) {
        case STAGE_LINE:
            if (!line_stage(p, st)) return false;
            break;
        case STAGE_FILTER:
            if (!pipe_filter(p, st->filter)) return false;
            break;
        case STAGE_JSON:
            st->item_count ? json_paths_stage(p, st) : json_stage(p);
            break;
        case STAGE_LOGFMT:
            logfmt_stage(p, st);
            break;
        case STAGE_REGEXP:
            regexp_stage(p, st);
            break;
        case STAGE_PATTERN:
            pattern_stage(p, st);
            break;
        case STAGE_UNPACK:
            unpack_stage(p);
            break;
        case STAGE_LINE_FORMAT:
            p->line = template_text(p, &st->tpl);
            break;
        case STAGE_LABEL_FORMAT:
            label_format_stage(p, st);
            break;
        case STAGE_DROP:
            drop_stage(p, st);
            break;
        case STAGE_KEEP:
            keep_stage(p, st);
            break;
        case STAGE_DECOLORIZE:
            decolorize_stage(p);
            break;
        }
    }
    return true;
}
