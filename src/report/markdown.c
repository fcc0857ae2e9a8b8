/* markdown.c - the report for tickets, chats and repositories (GitHub-flavoured Markdown).
 *
 * Log text is data: in running text every character with a meaning in Markdown is escaped ('@' too,
 * or a log line could notify people), evidence stands in a fence that is longer than any run of
 * backticks in it. */
#include "base/utf8.h"
#include "report/clean.h"
#include "report/formats_int.h"

typedef struct md {
    view *v;
    buf *out;
} md;

/* One line of running text or a table cell. */
static void text(md *m, str s) {
    s = clean_line(&m->v->mem, s);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '<') {
            buf_put(m->out, S("&lt;"));
        } else if (c == '&') {
            buf_put(m->out, S("&amp;"));
        } else if (c == '@') {
            buf_put(m->out, S("&#64;"));
        } else {
            if (memchr("\\`*_{}[]#|~!>", c, 13)) buf_putc(m->out, '\\');
            buf_putc(m->out, c);
        }
    }
}

/* Code between back ticks stays code. */
static void text_with_code(md *m, str s) {
    for (size_t tick; (tick = str_find_char(s, '`', 0)) != STR_NPOS;) {
        size_t end = str_find_char(s, '`', tick + 1);
        if (end == STR_NPOS || end == tick + 1) break;
        text(m, str_sub(s, 0, tick));
        buf_put(m->out, clean_line(&m->v->mem, str_sub(s, tick, end + 1 - tick)));
        s = str_from(s, end + 1);
    }
    text(m, s);
}

static void raw(md *m, str s) { buf_put(m->out, s); }

static void heading(md *m, text_key key) {
    raw(m, S("\n## "));
    raw(m, view_text(m->v, key));
    raw(m, S("\n\n"));
}

static void field(md *m, text_key key, str value) {
    if (!value.n) return;
    raw(m, S("- **"));
    raw(m, view_text(m->v, key));
    raw(m, S("**"));
    raw(m, view_text(m->v, TEXT_NAME_SEP));
    text(m, value);
    raw(m, S("\n"));
}

static void table_head(md *m, const text_key *keys, size_t count) {
    raw(m, S("|"));
    for (size_t i = 0; i < count; i++) {
        raw(m, S(" "));
        raw(m, view_text(m->v, keys[i]));
        raw(m, S(" |"));
    }
    raw(m, S("\n|"));
    for (size_t i = 0; i < count; i++) raw(m, S(" --- |"));
    raw(m, S("\n"));
}

static void row(md *m, const str *cells, size_t count) {
    raw(m, S("|"));
    for (size_t i = 0; i < count; i++) {
        raw(m, S(" "));
        text(m, cells[i]);
        raw(m, S(" |"));
    }
    raw(m, S("\n"));
}
#define HEAD(m, ...)                                                                               \
    table_head((m), (const text_key[]){__VA_ARGS__},                                               \
               sizeof((const text_key[]){__VA_ARGS__}) / sizeof(text_key))
#define ROW(m, ...)                                                                                \
    row((m), (const str[]){__VA_ARGS__}, sizeof((const str[]){__VA_ARGS__}) / sizeof(str))

static void code_block(md *m, str s) {
    s = clean_text(&m->v->mem, s);
    size_t longest = 2, run = 0;
    for (size_t i = 0; i < s.n; i++) {
        run = s.p[i] == '`' ? run + 1 : 0;
        longest = MAX(longest, run);
    }
    buf_pad(m->out, '`', longest + 1);
    raw(m, S("\n"));
    raw(m, s);
    raw(m, S("\n"));
    buf_pad(m->out, '`', longest + 1);
    raw(m, S("\n"));
}

static void put_first_screen(md *m) {
    view *v = m->v;
    raw(m, S("# "));
    text(m, v->headline);
    raw(m, S("\n\n"));
    if (v->abnormal) {
        str level = str_fmt(&v->mem, "%.*s (%.*s)", STR_ARG(v->level), STR_ARG(v->verdict));
        field(m, TEXT_SEVERITY, level);
        field(m, TEXT_BEGAN, v->began);
        field(m, TEXT_FAILED_FIRST, v->first);
        field(m, TEXT_LIKELY_CAUSE, v->cause);
        field(m, TEXT_AFFECTED, v->affected);
        field(m, TEXT_CONFIDENCE, v->confidence);
        field(m, TEXT_ANOMALY_TYPE, v->in->anomaly_type);
        raw(m, S("\n"));
    }
    if (v->explanation.n) {
        text(m, v->explanation);
        raw(m, S("\n\n"));
    }
    text(m, v->story);
    raw(m, S("\n"));
    if (!v->todo_count) return;
    heading(m, v->abnormal ? TEXT_SEC_DO : TEXT_SEC_HELP);
    for (size_t i = 0; i < v->todo_count; i++) {
        raw(m, str_fmt(&v->mem, "%zu. ", i + 1));
        text_with_code(m, v->todo[i]);
        raw(m, S("\n"));
    }
}

static void put_evidence(md *m) {
    view *v = m->v;
    if (!v->in->evidence_count) return;
    heading(m, TEXT_SEC_EVIDENCE);
    for (size_t i = 0; i < v->in->evidence_count; i++) {
        const incident_evidence *ev = &v->in->evidence[i];
        raw(m, S("**"));
        raw(m, ev->id);
        raw(m, S("** "));
        text(m, view_place(v, ev->input, &ev->ref));
        raw(m, S(" ("));
        text(m, view_who(v, ev->service, ev->component));
        raw(m, S(")\n\n"));
        code_block(m, ev->text);
        if (ev->cut) raw(m, view_text(v, TEXT_MORE_LINES));
        raw(m, S("\n"));
    }
}

static void put_order(md *m) {
    view *v = m->v;
    const incident *in = v->in;
    if (!in->step_count) return;
    heading(m, TEXT_SEC_ORDER);
    HEAD(m, TEXT_COL_TIME, TEXT_COL_DELTA, TEXT_COL_WHO, TEXT_COL_WHAT, TEXT_COL_EVIDENCE);
    for (size_t i = 0; i < in->step_count; i++) {
        const incident_step *s = &in->steps[i];
        ROW(m, view_clock(v, s->ts_ns), view_since(v, s->ts_ns), view_step_who(v, s),
            view_step(v, s), view_evidence_id(v, s->evidence));
    }
    if (!in->path_count) return;
    heading(m, TEXT_SEC_PATH);
    HEAD(m, TEXT_COL_FROM, TEXT_COL_TO, TEXT_COL_WHY, TEXT_COL_EVIDENCE);
    for (size_t i = 0; i < in->path_count; i++) {
        const incident_edge *g = &in->path[i];
        ROW(m, view_entity(v, g->from), view_entity(v, g->to), view_edge(v, g),
            view_evidence_id(v, g->evidence));
    }
}

static void put_candidates(md *m) {
    view *v = m->v;
    const incident *in = v->in;
    if (in->alternative_count) {
        heading(m, TEXT_SEC_ALTERNATIVES);
        HEAD(m, TEXT_COL_WHO, TEXT_COL_WHAT, TEXT_CONFIDENCE, TEXT_COL_EVIDENCE);
        for (size_t i = 0; i < in->alternative_count; i++) {
            const incident_alternative *a = &in->alternatives[i];
            ROW(m, view_entity(v, a->entity),
                view_oddity(v, &a->title, &in->findings[a->finding].f),
                view_percent(v, a->confidence), view_evidence_id(v, a->evidence));
        }
    }
    if (in->change_count) {
        heading(m, TEXT_SEC_CHANGES);
        HEAD(m, TEXT_COL_TIME, TEXT_COL_SERVICE, TEXT_COL_FILE, TEXT_COL_LINE);
        for (size_t i = 0; i < in->change_count; i++) {
            const incident_change *c = &in->changes[i];
            ROW(m, view_clock(v, c->ts_ns), c->service, view_place(v, c->input, &c->ref), c->text);
        }
    }
    if (in->other_count) {
        heading(m, TEXT_SEC_OTHERS);
        HEAD(m, TEXT_COL_TIME, TEXT_COL_LEVEL, TEXT_COL_WHO, TEXT_COL_WHAT);
        for (size_t i = 0; i < in->other_count; i++) {
            const incident_other *o = &in->others[i];
            ROW(m, view_time(v, o->onset_ns), view_level(v, o->level),
                view_who(v, o->service, o->component),
                view_oddity(v, &o->title, &in->findings[o->finding].f));
        }
    }
}

static void findings_head(md *m, text_key title) {
    heading(m, title);
    HEAD(m, TEXT_COL_LEVEL, TEXT_COL_TIME, TEXT_COL_WHO, TEXT_COL_WHAT, TEXT_COL_LINE,
         TEXT_COL_BITS, TEXT_COL_FILE);
}

static void finding_row(md *m, const incident_finding *x) {
    view *v = m->v;
    str bits = VIEW_FILL(v, TEXT_BITS, str_fmt(&v->mem, "%.0f", x->f.surprise_bits));
    ROW(m, view_level(v, x->f.level), view_clock(v, x->f.onset_ns),
        view_who(v, x->f.service, x->f.component), view_finding(v, &x->f),
        utf8_cut_bytes(x->f.template_text, 200), bits,
        x->f.ref_count ? view_place(v, x->inputs[0], &x->f.refs[0]) : STR_NONE);
}

static void put_findings(md *m, bool minor) {
    view *v = m->v;
    size_t shown = 0, more = 0;
    for (size_t i = 0, at; (at = view_next_finding(v, minor, &i)) != INCIDENT_NONE;) {
        if (shown == v->max_findings) {
            more++;
            continue;
        }
        if (shown++ == 0) findings_head(m, minor ? TEXT_SEC_MINOR : TEXT_SEC_FINDINGS);
        finding_row(m, &v->in->findings[at]);
    }
    if (!more) return;
    raw(m, S("\n"));
    text(m, VIEW_FILL(v, TEXT_MORE_ROWS, view_count(v, more)));
    raw(m, S("\n"));
}

static void put_signs(md *m) {
    const incident *in = m->v->in;
    if (in->sign_count) findings_head(m, TEXT_SEC_SIGNS);
    for (size_t i = 0; i < in->sign_count; i++) finding_row(m, &in->findings[in->signs[i]]);
}

static void put_looked_at(md *m) {
    view *v = m->v;
    const incident_looked_at *l = &v->in->looked_at;
    heading(m, TEXT_SEC_LOOKED);
    str lines[VIEW_LOOKED_MAX];
    size_t n = view_looked_at(v, lines);
    for (size_t i = 0; i < n; i++) {
        raw(m, S("- "));
        text(m, lines[i]);
        raw(m, S("\n"));
    }
    if (!l->problems) return;
    heading(m, TEXT_SEC_PROBLEMS);
    HEAD(m, TEXT_COL_INPUT, TEXT_COL_STATE, TEXT_COL_PROBLEM);
    for (size_t i = 0; i < l->input_count && i < VIEW_INPUTS_MAX; i++) {
        if (l->inputs[i].state == INPUT_OK && l->inputs[i].problem.n == 0) break;
        ROW(m, l->inputs[i].name, view_state(v, l->inputs[i].state), l->inputs[i].problem);
    }
}

void report_markdown(view *v, const report_opts *opts, buf *out) {
    MUST(opts->format == REPORT_MARKDOWN);
    md m = {v, out};
    put_first_screen(&m);
    put_evidence(&m);
    put_order(&m);
    put_candidates(&m);
    put_signs(&m);
    put_findings(&m, false);
    put_findings(&m, true);
    put_looked_at(&m);
    if (v->in->cause.reference_count) {
        heading(&m, TEXT_SEC_REFERENCES);
        for (size_t i = 0; i < v->in->cause.reference_count; i++) {
            raw(&m, S("- <"));
            raw(&m, clean_line(&v->mem, v->in->cause.references[i]));
            raw(&m, S(">\n"));
        }
    }
    raw(&m, S("\n"));
    text(&m, v->in->model.n ? VIEW_FILL(v, TEXT_MODEL_NOTE, v->in->model)
                            : view_text(v, TEXT_COMPUTED_NOTE));
    raw(&m, S("\n"));
}
