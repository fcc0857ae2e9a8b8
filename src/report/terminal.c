/* terminal.c - the report for a terminal, or for plain text when neither colour nor UTF-8 is on.
 *
 * Laid out for the width given (40 columns at least): labels in one column, text wrapped at word
 * ends, or between any two wide (CJK) characters; widths are display columns. Evidence is printed
 * as it is, cleaned, indented and wrapped hard, so that nothing of it is lost. Sentences never
 * depend on colour. */
#include "base/utf8.h"
#include "report/clean.h"
#include "report/formats_int.h"

enum { WIDTH_MIN = 40, WIDTH_MAX = 400, WIDTH_DEFAULT = 80, EVIDENCE_BYTES = 1000 };

typedef enum paint { PLAIN = 0, BOLD, DIM, RED, YELLOW, GREEN, CYAN, PAINT_COUNT } paint;

typedef struct term {
    view *v;
    buf *out;
    size_t width;
    bool color, utf8;
} term;

static void put(term *t, str s) { buf_put(t->out, s); }

static void begin(term *t, paint p) {
    static const str codes[PAINT_COUNT] = {
        S_INIT(""),           S_INIT("\x1b[1m"),    S_INIT("\x1b[2m"),   S_INIT("\x1b[1;31m"),
        S_INIT("\x1b[1;33m"), S_INIT("\x1b[1;32m"), S_INIT("\x1b[1;36m")};
    if (t->color) put(t, codes[p]);
}

static void end(term *t, paint p) {
    if (t->color && p != PLAIN) put(t, S("\x1b[0m"));
}

static void painted(term *t, paint p, str s) {
    begin(t, p);
    put(t, s);
    end(t, p);
}

static void pad(term *t, size_t columns) { buf_pad(t->out, ' ', columns); }

/* Closing punctuation does not begin a line: the character before it goes with it. */
static str keep_with_next(str line, str cut) {
    static const str closing[] = {S_INIT("\xe3\x80\x81"), S_INIT("\xe3\x80\x82"),
                                  S_INIT("\xef\xbc\x8c"), S_INIT("\xef\xbc\x89"),
                                  S_INIT("\xef\xbc\x9a"), S_INIT("\xef\xbc\x9b")};
    for (size_t i = 0; i < ARRAY_LEN(closing); i++) {
        if (!str_starts(str_from(line, cut.n), closing[i])) continue;
        size_t n = cut.n - 1;
        while (n > 0 && ((unsigned char)line.p[n] & 0xc0) == 0x80) n--;
        return n > 0 ? str_sub(line, 0, n) : cut;
    }
    return cut;
}

/* The longest beginning of s that fits, cut at the end of a word where there is one in the second
 * half. `*ret_skip`: blanks after it that are dropped. */
static str fit(str s, size_t columns, size_t *ret_skip) {
    *ret_skip = 0;
    size_t line_end = str_find_char(s, '\n', 0);
    str line = str_sub(s, 0, line_end);
    str cut = utf8_cut_columns(line, columns);
    if (cut.n == line.n) {
        *ret_skip = line_end != STR_NPOS;
        return cut;
    }
    if (cut.n == 0) cut = utf8_cut_columns(line, 2); /* a wide character where one column is left */
    if (cut.n == 0) cut = str_sub(line, 0, 1);
    if (line.p[cut.n] == ' ') {
        *ret_skip = 1;
        return cut;
    }
    cut = keep_with_next(line, cut);
    bool wide = cut.n > 0 && (unsigned char)cut.p[cut.n - 1] >= 0xe2;
    size_t space = str_rfind_char(cut, ' ');
    bool before_wide = (unsigned char)line.p[cut.n] >= 0xe2;
    if (space == STR_NPOS || space < cut.n / 2 || wide || before_wide) return cut;
    *ret_skip = 1;
    return str_sub(cut, 0, space);
}

/* Text from the current column, which is `indent`, with later lines at `indent` too. */
static void wrapped(term *t, size_t indent, paint p, str s) {
    s = clean_text(&t->v->mem, s);
    size_t room = t->width > indent + 10 ? t->width - indent : 10;
    while (s.n) {
        size_t skip;
        str line = fit(s, room, &skip);
        painted(t, p, str_trim_right(line));
        s = str_from(s, line.n + skip);
        while (s.n && s.p[0] == ' ') s = str_from(s, 1);
        put(t, S("\n"));
        if (s.n) pad(t, indent);
    }
}

/* At most `columns` wide, cut with an ellipsis. Returns the width. */
static size_t short_line(term *t, paint p, str s, size_t columns) {
    s = clean_line(&t->v->mem, s);
    size_t have = utf8_columns(s);
    if (have > columns) {
        str dots = t->utf8 ? S("\xe2\x80\xa6") : S("~");
        s = utf8_cut_columns(s, columns - 1);
        painted(t, p, str_fmt(&t->v->mem, "%.*s%.*s", STR_ARG(s), STR_ARG(dots)));
        have = utf8_columns(s) + 1;
    } else {
        painted(t, p, s);
    }
    return have;
}

/* Exactly `columns` wide: cut or filled. */
static void cell(term *t, paint p, str s, size_t columns) {
    pad(t, columns - short_line(t, p, s, columns));
}

static void heading(term *t, text_key key) {
    put(t, S("\n"));
    painted(t, CYAN, view_text(t->v, key));
    put(t, S("\n"));
}

static paint level_paint(finding_level l) {
    return l >= LEVEL_HIGH ? RED : l == LEVEL_MEDIUM ? YELLOW : PLAIN;
}

static void rule_line(term *t) {
    begin(t, DIM);
    for (size_t i = 0; i < t->width; i++) put(t, t->utf8 ? S("\xe2\x94\x80") : S("-"));
    end(t, DIM);
    put(t, S("\n"));
}

static void field(term *t, text_key key, str value, size_t label, paint p) {
    if (!value.n) return;
    str name = view_text(t->v, key);
    put(t, S("  "));
    painted(t, DIM, name);
    size_t have = utf8_columns(name);
    pad(t, label > have ? label - have : 1);
    wrapped(t, label + 2, p, value);
}

static void put_first_screen(term *t) {
    view *v = t->v;
    const incident *in = v->in;
    rule_line(t);
    paint p = v->abnormal                     ? level_paint(in->severity)
              : in->verdict == VERDICT_NORMAL ? GREEN
                                              : YELLOW;
    if (v->abnormal) {
        painted(t, p, str_fmt(&v->mem, "[%.*s] ", STR_ARG(v->level)));
        wrapped(t, utf8_columns(v->level) + 3, BOLD, v->headline);
    } else {
        painted(t, p, v->headline);
        put(t, S("\n"));
    }
    rule_line(t);
    if (v->abnormal) {
        static const text_key keys[] = {TEXT_BEGAN,    TEXT_FAILED_FIRST, TEXT_LIKELY_CAUSE,
                                        TEXT_AFFECTED, TEXT_CONFIDENCE,   TEXT_ANOMALY_TYPE};
        str values[] = {v->began, v->first, v->cause, v->affected, v->confidence, in->anomaly_type};
        size_t label = 0;
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            label = MAX(label, utf8_columns(view_text(v, keys[i])) + 2);
        }
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            field(t, keys[i], values[i], label, i == 1 || i == 2 ? BOLD : PLAIN);
        }
        put(t, S("\n"));
    }
    if (v->explanation.n) {
        pad(t, 2);
        wrapped(t, 2, PLAIN, v->explanation);
    }
    pad(t, 2);
    wrapped(t, 2, PLAIN, v->story);
    if (!v->todo_count) return;
    heading(t, v->abnormal ? TEXT_SEC_DO : TEXT_SEC_HELP);
    for (size_t i = 0; i < v->todo_count; i++) {
        painted(t, BOLD, str_fmt(&v->mem, " %2zu. ", i + 1));
        wrapped(t, 5, PLAIN, v->todo[i]);
    }
}

/* Like `wrapped`, with the line ends of the text kept and each line indented. */
static void verbatim(term *t, size_t indent, str s) {
    s = clean_text(&t->v->mem, s);
    size_t room = t->width > indent + 10 ? t->width - indent : 10;
    while (s.n) {
        size_t skip;
        str line = fit(s, room, &skip);
        pad(t, indent);
        put(t, str_trim_right(line));
        put(t, S("\n"));
        s = str_from(s, line.n + skip);
    }
}

static void put_evidence(term *t) {
    view *v = t->v;
    if (!v->in->evidence_count) return;
    heading(t, TEXT_SEC_EVIDENCE);
    for (size_t i = 0; i < v->in->evidence_count; i++) {
        const incident_evidence *ev = &v->in->evidence[i];
        put(t, S(" "));
        cell(t, BOLD, ev->id, 4);
        str place = clean_line(&v->mem, view_place(v, ev->input, &ev->ref));
        str who = clean_line(&v->mem, view_who(v, ev->service, ev->component));
        painted(t, BOLD, place);
        if (utf8_columns(place) + utf8_columns(who) + 7 > t->width) {
            put(t, S("\n"));
            pad(t, 5);
        } else {
            put(t, S("  "));
        }
        painted(t, DIM, who);
        put(t, S("\n"));
        str text = utf8_cut_bytes(ev->text, EVIDENCE_BYTES);
        verbatim(t, 5, text);
        if (ev->cut || text.n < ev->text.n) {
            pad(t, 5);
            painted(t, DIM, view_text(v, TEXT_MORE_LINES));
            put(t, S("\n"));
        }
    }
}

static size_t widest(size_t have, str s, size_t max) {
    return MIN(max, MAX(have, utf8_columns(s)));
}

static void put_order(term *t) {
    view *v = t->v;
    const incident *in = v->in;
    if (!in->step_count) return;
    heading(t, TEXT_SEC_ORDER);
    size_t clock = 0, since = 0, who = 0;
    for (size_t i = 0; i < in->step_count; i++) {
        clock = widest(clock, view_clock(v, in->steps[i].ts_ns), 24);
        since = widest(since, view_since(v, in->steps[i].ts_ns), 12);
        who = widest(who, view_step_who(v, &in->steps[i]), t->width / 3);
    }
    for (size_t i = 0; i < in->step_count; i++) {
        const incident_step *s = &in->steps[i];
        put(t, S("  "));
        cell(t, PLAIN, view_clock(v, s->ts_ns), clock);
        put(t, S("  "));
        cell(t, DIM, view_since(v, s->ts_ns), since);
        put(t, S("  "));
        size_t have = short_line(t, s->entity == in->root ? BOLD : PLAIN, view_step_who(v, s), who);
        str id = view_evidence_id(v, s->evidence), what = view_step(v, s);
        if (id.n) what = VIEW_FILL(v, TEXT_SEE_EVIDENCE, what, id);
        size_t indent = 2 + clock + 2 + since + 2 + who + 2;
        if (indent + 24 > t->width) { /* too narrow for a last column: the text goes below */
            put(t, S("\n"));
            indent = 6;
            pad(t, indent);
        } else {
            pad(t, who - have + 2);
        }
        wrapped(t, indent, s->named ? DIM : PLAIN, what);
    }
    if (!in->path_count) return;
    heading(t, TEXT_SEC_PATH);
    str arrow = t->utf8 ? S(" \xe2\x86\x92 ") : S(" -> ");
    for (size_t i = 0; i < in->path_count; i++) {
        const incident_edge *g = &in->path[i];
        put(t, S("  "));
        str line =
            str_fmt(&v->mem, "%.*s%.*s%.*s  (%.*s)", STR_ARG(view_entity(v, g->from)),
                    STR_ARG(arrow), STR_ARG(view_entity(v, g->to)), STR_ARG(view_edge(v, g)));
        wrapped(t, 6, PLAIN, line);
    }
}

/* What was odd, where, and the template, from the current column on. */
static void put_finding(term *t, const incident_finding *x, size_t indent) {
    view *v = t->v;
    str where = x->f.ref_count ? view_place(v, x->inputs[0], &x->f.refs[0]) : STR_NONE;
    str head = str_fmt(&v->mem, "%.*s  %.*s%.*s%.*s  %.*s", STR_ARG(view_clock(v, x->f.onset_ns)),
                       STR_ARG(view_who(v, x->f.service, x->f.component)),
                       STR_ARG(view_text(v, TEXT_NAME_SEP)), STR_ARG(view_finding(v, &x->f)),
                       STR_ARG(where));
    wrapped(t, indent, PLAIN, head);
    if (!x->f.template_text.n) return;
    pad(t, indent);
    short_line(t, DIM, x->f.template_text, t->width > indent + 16 ? t->width - indent : 16);
    put(t, S("\n"));
}

static void put_candidates(term *t) {
    view *v = t->v;
    const incident *in = v->in;
    if (in->alternative_count) heading(t, TEXT_SEC_ALTERNATIVES);
    for (size_t i = 0; i < in->alternative_count; i++) {
        const incident_alternative *a = &in->alternatives[i];
        str id = view_evidence_id(v, a->evidence);
        str what = view_oddity(v, &a->title, &in->findings[a->finding].f);
        str line = str_fmt(&v->mem, "%.*s%.*s%.*s", STR_ARG(view_entity(v, a->entity)),
                           STR_ARG(view_text(v, TEXT_NAME_SEP)), STR_ARG(what));
        if (id.n) line = VIEW_FILL(v, TEXT_SEE_EVIDENCE, line, id);
        put(t, S("  "));
        cell(t, BOLD, view_percent(v, a->confidence), 5);
        wrapped(t, 7, PLAIN, line);
    }
    if (in->sign_count) heading(t, TEXT_SEC_SIGNS);
    for (size_t i = 0; i < in->sign_count; i++) {
        put(t, S("  "));
        put_finding(t, &in->findings[in->signs[i]], 4);
    }
    if (in->change_count) heading(t, TEXT_SEC_CHANGES);
    for (size_t i = 0; i < in->change_count; i++) {
        const incident_change *c = &in->changes[i];
        str place = view_place(v, c->input, &c->ref);
        str before = VIEW_FILL(v, TEXT_BEFORE_ONSET, str_from(view_since(v, c->ts_ns), 1));
        put(t, S("  "));
        painted(t, BOLD, view_clock(v, c->ts_ns));
        put(t, S("  "));
        wrapped(t, 4, DIM, str_fmt(&v->mem, "%.*s, %.*s", STR_ARG(before), STR_ARG(place)));
        verbatim(t, 4, str_sub(c->text, 0, EVIDENCE_BYTES));
    }
    if (in->other_count) heading(t, TEXT_SEC_OTHERS);
    for (size_t i = 0; i < in->other_count; i++) {
        const incident_other *o = &in->others[i];
        put(t, S("  "));
        painted(t, level_paint(o->level), view_level(v, o->level));
        put(t, S("  "));
        str line = str_fmt(&v->mem, "%.*s  %.*s%.*s%.*s", STR_ARG(view_time(v, o->onset_ns)),
                           STR_ARG(view_who(v, o->service, o->component)),
                           STR_ARG(view_text(v, TEXT_NAME_SEP)),
                           STR_ARG(view_oddity(v, &o->title, &in->findings[o->finding].f)));
        wrapped(t, 4, PLAIN, line);
    }
}

static void put_findings(term *t, bool minor) {
    view *v = t->v;
    size_t shown = 0, more = 0;
    size_t level = MAX(utf8_columns(view_text(v, TEXT_LEVEL_CRITICAL)),
                       utf8_columns(view_text(v, TEXT_LEVEL_MEDIUM)));
    for (size_t i = 0, at; (at = view_next_finding(v, minor, &i)) != INCIDENT_NONE;) {
        const incident_finding *x = &v->in->findings[at];
        if (shown == (minor ? (v->max_findings + 1) / 2 : v->max_findings)) {
            more++;
            continue;
        }
        if (shown++ == 0) heading(t, minor ? TEXT_SEC_MINOR : TEXT_SEC_FINDINGS);
        put(t, S("  "));
        cell(t, level_paint(x->f.level), view_level(v, x->f.level), level);
        put(t, S("  "));
        put_finding(t, x, level + 4);
    }
    if (!more) return;
    put(t, S("  "));
    painted(t, DIM, VIEW_FILL(v, TEXT_MORE_ROWS, view_count(v, more)));
    put(t, S("\n"));
}

static void put_looked_at(term *t) {
    view *v = t->v;
    const incident_looked_at *l = &v->in->looked_at;
    heading(t, TEXT_SEC_LOOKED);
    str lines[VIEW_LOOKED_MAX];
    size_t n = view_looked_at(v, lines);
    for (size_t i = 0; i < n; i++) {
        put(t, S("  "));
        wrapped(t, 2, PLAIN, lines[i]);
    }
    if (!l->problems) return;
    heading(t, TEXT_SEC_PROBLEMS);
    for (size_t i = 0; i < l->input_count; i++) {
        const input_info *x = &l->inputs[i];
        if (x->state == INPUT_OK && x->problem.n == 0) break;
        put(t, S("  "));
        if (i == VIEW_INPUTS_MAX) {
            wrapped(t, 4, DIM, VIEW_FILL(v, TEXT_MORE_INPUTS, view_count(v, l->problems - i)));
            break;
        }
        wrapped(t, 4, YELLOW,
                str_fmt(&v->mem, "%.*s%.*s%.*s (%.*s)", STR_ARG(x->name),
                        STR_ARG(view_text(v, TEXT_NAME_SEP)), STR_ARG(x->problem),
                        STR_ARG(view_state(v, x->state))));
    }
}

void report_terminal(view *v, const report_opts *opts, buf *out) {
    size_t width = opts->width ? opts->width : WIDTH_DEFAULT;
    term t = {v, out, MIN(MAX(width, WIDTH_MIN), WIDTH_MAX), opts->color, opts->utf8};
    put_first_screen(&t);
    put_evidence(&t);
    put_order(&t);
    put_candidates(&t);
    put_findings(&t, false);
    put_findings(&t, true);
    put_looked_at(&t);
    put(&t, S("\n"));
    str note = v->in->model.n ? VIEW_FILL(v, TEXT_MODEL_NOTE, v->in->model)
                              : view_text(v, TEXT_COMPUTED_NOTE);
    begin(&t, DIM);
    put(&t, note);
    end(&t, DIM);
    put(&t, S("\n"));
}
