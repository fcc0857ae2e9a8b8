/* html.c - the report as one self-contained page: no script, no external resource, so that it can
 * be mailed, archived and opened offline, and a Content-Security-Policy that allows styles only.
 *
 * Every text that comes from outside goes through clean_text (control and reordering characters
 * become visible) and then buf_html. Structure is semantic (one h1, sections with headings, tables
 * with scoped headers, lists), colours come in a light and a dark set with a contrast of 4.5:1 or
 * more and never carry meaning alone; printing forces the light set and keeps rows together. */
#include "report/clean.h"
#include "report/formats_int.h"
#include "report/html_int.h"

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--dim:#57606a;--line:#d0d7de;"
    "--card:#f6f8fa;--accent:#0550ae;--bad:#b3261e;--warn:#8a5300;--good:#1a6b34;"
    "--badbg:#fdecea;--warnbg:#fff4e0;--goodbg:#e7f6ec}"
    "@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9aa4af;"
    "--line:#30363d;--card:#161b22;--accent:#79c0ff;--bad:#ff8b82;--warn:#e8b04b;--good:#6bd18b;"
    "--badbg:#3a1512;--warnbg:#352508;--goodbg:#0f2e1a}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);"
    "font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",\"Noto Sans CJK SC\",\"PingFang SC\","
    "\"Microsoft YaHei\",sans-serif}"
    "main{max-width:1080px;margin:0 auto;padding:24px 20px 48px}"
    "h1{font-size:24px;line-height:1.3;margin:8px 0 16px;overflow-wrap:anywhere}"
    "h2{font-size:17px;margin:32px 0 10px;padding-bottom:4px;border-bottom:1px solid var(--line)}"
    ".badge{display:inline-block;padding:2px 10px;border-radius:999px;font-weight:600;"
    "font-size:13px;border:1px solid currentColor}"
    ".Critical,.High{color:var(--bad);background:var(--badbg)}"
    ".Medium{color:var(--warn);background:var(--warnbg)}"
    ".Low,.None{color:var(--dim);background:var(--card)}"
    ".good{color:var(--good);background:var(--goodbg)}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 18px;margin:0 0 16px;"
    "padding:14px 16px;background:var(--card);border:1px solid var(--line);border-radius:8px}"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}dd.key{font-weight:600}"
    "ol.do{padding-left:26px}ol.do li{margin:6px 0;overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}"
    "th,td{text-align:left;vertical-align:top;padding:6px 10px 6px 0;"
    "border-bottom:1px solid var(--line)}th{color:var(--dim);font-weight:600;white-space:nowrap}"
    "td.n{white-space:nowrap;font-variant-numeric:tabular-nums}td{overflow-wrap:anywhere}"
    "td.w{min-width:18em}code,pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"
    "\"Noto Sans Mono CJK SC\",monospace}code{overflow-wrap:anywhere;color:var(--dim)}"
    "figure{margin:0 0 14px}figcaption{font-size:13px;color:var(--dim);margin-bottom:2px;"
    "overflow-wrap:anywhere}figcaption b{color:var(--fg)}"
    "pre{margin:0;padding:10px 12px;background:var(--card);border:1px solid var(--line);"
    "border-left:3px solid var(--accent);border-radius:6px;white-space:pre-wrap;"
    "overflow-wrap:anywhere}a{color:var(--accent)}"
    "footer{margin-top:32px;color:var(--dim);font-size:13px}svg{max-width:100%;height:auto;"
    "display:block}svg text{font:12px system-ui,\"Noto Sans CJK SC\",sans-serif;fill:var(--fg)}"
    "svg text.root{font-weight:700}li code{color:var(--fg);background:var(--card);padding:1px 4px;"
    "border-radius:4px}"
    "svg .dim{fill:var(--dim)}svg .grid{stroke:var(--line)}svg .bar{fill:var(--bad);opacity:.18}"
    "svg .dot{fill:var(--bad)}svg .dot.m{fill:var(--warn)}svg .num{fill:var(--bg);font-weight:700;"
    "font-size:11px}svg .change{stroke:var(--accent);stroke-dasharray:4 3}"
    "@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--card:#f6f6f6;"
    "--accent:#0550ae;--bad:#b3261e;--warn:#8a5300;--good:#1a6b34;--badbg:#fff;--warnbg:#fff;"
    "--goodbg:#fff}main{max-width:none;padding:0}tr,figure,li{break-inside:avoid}"
    "h2{break-after:avoid}}"
    "@media (max-width:600px){dl{grid-template-columns:1fr;gap:0 0}dd{margin-bottom:8px}}";

void html_raw(page *h, const char *s) { buf_put(h->out, str_c(s)); }

void html_text(page *h, str s) { buf_html(h->out, clean_text(&h->v->mem, s)); }

void html_label(page *h, text_key key) { html_text(h, view_text(h->v, key)); }

static void heading(page *h, text_key key) {
    html_raw(h, "<section>\n<h2>");
    html_label(h, key);
    html_raw(h, "</h2>\n");
}

static void end_section(page *h) { html_raw(h, "</section>\n"); }

static void field(page *h, text_key key, str value, bool strong) {
    if (!value.n) return;
    html_raw(h, "<dt>");
    html_label(h, key);
    html_raw(h, strong ? "</dt><dd class=\"key\">" : "</dt><dd>");
    html_text(h, value);
    html_raw(h, "</dd>\n");
}

static void paragraph(page *h, str s) {
    if (!s.n) return;
    html_raw(h, "<p>");
    html_text(h, s);
    html_raw(h, "</p>\n");
}

static void table_begin(page *h, const text_key *keys, size_t count) {
    html_raw(h, "<div class=\"scroll\"><table>\n<thead><tr>");
    for (size_t i = 0; i < count; i++) {
        html_raw(h, "<th scope=\"col\">");
        html_label(h, keys[i]);
        html_raw(h, "</th>");
    }
    html_raw(h, "</tr></thead>\n<tbody>\n");
}
#define TABLE(h, ...)                                                                              \
    table_begin((h), (const text_key[]){__VA_ARGS__},                                              \
                sizeof((const text_key[]){__VA_ARGS__}) / sizeof(text_key))

static void table_end(page *h) { html_raw(h, "</tbody></table></div>\n"); }

/* css: "n" for short cells that do not wrap, "w" for wide ones, "" otherwise. */
static void cell(page *h, const char *css, str s) {
    html_raw(h, "<td");
    if (css[0]) {
        html_raw(h, " class=\"");
        html_raw(h, css);
        html_raw(h, "\"");
    }
    html_raw(h, ">");
    html_text(h, s);
    html_raw(h, "</td>");
}

static void level_cell(page *h, finding_level l) {
    html_raw(h, "<td class=\"n\"><span class=\"badge ");
    html_text(h, finding_level_name(l));
    html_raw(h, "\">");
    html_text(h, view_level(h->v, l));
    html_raw(h, "</span></td>");
}

/* A link to the quoted line. */
static void evidence_cell(page *h, size_t evidence) {
    str id = view_evidence_id(h->v, evidence);
    html_raw(h, "<td class=\"n\">");
    if (id.n) {
        html_raw(h, "<a href=\"#");
        html_text(h, id);
        html_raw(h, "\">");
        html_text(h, id);
        html_raw(h, "</a>");
    }
    html_raw(h, "</td>");
}

/* `code` between back ticks is set as code. */
static void put_with_code(page *h, str s) {
    for (size_t tick; (tick = str_find_char(s, '`', 0)) != STR_NPOS;) {
        size_t end = str_find_char(s, '`', tick + 1);
        if (end == STR_NPOS) break;
        html_text(h, str_sub(s, 0, tick));
        html_raw(h, "<code>");
        html_text(h, str_sub(s, tick + 1, end - tick - 1));
        html_raw(h, "</code>");
        s = str_from(s, end + 1);
    }
    html_text(h, s);
}

static void put_first_screen(page *h) {
    view *v = h->v;
    const incident *in = v->in;
    html_raw(h, "<header>\n<span class=\"badge ");
    html_text(h, v->abnormal                     ? finding_level_name(in->severity)
                 : in->verdict == VERDICT_NORMAL ? S("good")
                                                 : S("Medium"));
    html_raw(h, "\">");
    html_text(h, v->verdict);
    if (v->abnormal) {
        html_raw(h, " &middot; ");
        html_text(h, v->level);
    }
    html_raw(h, "</span>\n<h1>");
    html_text(h, v->abnormal ? v->headline : view_text(v, TEXT_REPORT_TITLE));
    html_raw(h, "</h1>\n</header>\n");
    if (v->abnormal) {
        html_raw(h, "<dl>\n");
        field(h, TEXT_BEGAN, v->began, false);
        field(h, TEXT_FAILED_FIRST, v->first, true);
        field(h, TEXT_LIKELY_CAUSE, v->cause, true);
        field(h, TEXT_AFFECTED, v->affected, false);
        field(h, TEXT_CONFIDENCE, v->confidence, false);
        field(h, TEXT_ANOMALY_TYPE, in->anomaly_type, false);
        html_raw(h, "</dl>\n");
    }
    paragraph(h, v->explanation);
    paragraph(h, v->story);
    if (!v->todo_count) return;
    heading(h, v->abnormal ? TEXT_SEC_DO : TEXT_SEC_HELP);
    html_raw(h, "<ol class=\"do\">\n");
    for (size_t i = 0; i < v->todo_count; i++) {
        html_raw(h, "<li>");
        put_with_code(h, v->todo[i]);
        html_raw(h, "</li>\n");
    }
    html_raw(h, "</ol>\n");
    end_section(h);
}

static void put_evidence(page *h) {
    view *v = h->v;
    if (!v->in->evidence_count) return;
    heading(h, TEXT_SEC_EVIDENCE);
    for (size_t i = 0; i < v->in->evidence_count; i++) {
        const incident_evidence *ev = &v->in->evidence[i];
        html_raw(h, "<figure id=\"");
        html_text(h, ev->id);
        html_raw(h, "\"><figcaption><b>");
        html_text(h, ev->id);
        html_raw(h, "</b> ");
        html_text(h, view_place(v, ev->input, &ev->ref));
        html_raw(h, " &middot; ");
        html_text(h, view_who(v, ev->service, ev->component));
        html_raw(h, "</figcaption>\n<pre>");
        html_text(h, ev->text);
        if (ev->cut) {
            html_raw(h, "\n");
            html_label(h, TEXT_MORE_LINES);
        }
        html_raw(h, "</pre></figure>\n");
    }
    end_section(h);
}

static void put_order(page *h) {
    view *v = h->v;
    const incident *in = v->in;
    if (!in->step_count) return;
    heading(h, TEXT_SEC_ORDER);
    html_timeline(h);
    TABLE(h, TEXT_COL_TIME, TEXT_COL_DELTA, TEXT_COL_WHO, TEXT_COL_WHAT, TEXT_COL_EVIDENCE);
    for (size_t i = 0; i < in->step_count; i++) {
        const incident_step *s = &in->steps[i];
        html_raw(h, "<tr>");
        cell(h, "n", view_clock(v, s->ts_ns));
        cell(h, "n", view_since(v, s->ts_ns));
        cell(h, "", view_step_who(v, s));
        cell(h, "w", view_step(v, s));
        evidence_cell(h, s->evidence);
        html_raw(h, "</tr>\n");
    }
    table_end(h);
    end_section(h);
    if (!in->path_count) return;
    heading(h, TEXT_SEC_PATH);
    TABLE(h, TEXT_COL_FROM, TEXT_COL_TO, TEXT_COL_WHY, TEXT_COL_EVIDENCE);
    for (size_t i = 0; i < in->path_count; i++) {
        const incident_edge *g = &in->path[i];
        html_raw(h, "<tr>");
        cell(h, "", view_entity(v, g->from));
        cell(h, "", view_entity(v, g->to));
        cell(h, "w", view_edge(v, g));
        evidence_cell(h, g->evidence);
        html_raw(h, "</tr>\n");
    }
    table_end(h);
    end_section(h);
}

static void put_alternatives(page *h) {
    view *v = h->v;
    const incident *in = v->in;
    if (!in->alternative_count) return;
    heading(h, TEXT_SEC_ALTERNATIVES);
    TABLE(h, TEXT_COL_WHO, TEXT_COL_WHAT, TEXT_CONFIDENCE, TEXT_COL_EVIDENCE);
    for (size_t i = 0; i < in->alternative_count; i++) {
        const incident_alternative *a = &in->alternatives[i];
        html_raw(h, "<tr>");
        cell(h, "", view_entity(v, a->entity));
        cell(h, "w", view_oddity(v, &a->title, &in->findings[a->finding].f));
        cell(h, "n", view_percent(v, a->confidence));
        evidence_cell(h, a->evidence);
        html_raw(h, "</tr>\n");
    }
    table_end(h);
    end_section(h);
}

static void put_changes(page *h) {
    view *v = h->v;
    const incident *in = v->in;
    if (!in->change_count) return;
    heading(h, TEXT_SEC_CHANGES);
    TABLE(h, TEXT_COL_TIME, TEXT_COL_SERVICE, TEXT_COL_FILE, TEXT_COL_LINE);
    for (size_t i = 0; i < in->change_count; i++) {
        const incident_change *c = &in->changes[i];
        html_raw(h, "<tr>");
        cell(h, "n", view_clock(v, c->ts_ns));
        cell(h, "", c->service);
        cell(h, "", view_place(v, c->input, &c->ref));
        cell(h, "w", c->text);
        html_raw(h, "</tr>\n");
    }
    table_end(h);
    end_section(h);
}

static void put_others(page *h) {
    view *v = h->v;
    const incident *in = v->in;
    if (!in->other_count) return;
    heading(h, TEXT_SEC_OTHERS);
    TABLE(h, TEXT_COL_LEVEL, TEXT_COL_TIME, TEXT_COL_WHO, TEXT_COL_WHAT);
    for (size_t i = 0; i < in->other_count; i++) {
        const incident_other *o = &in->others[i];
        html_raw(h, "<tr>");
        level_cell(h, o->level);
        cell(h, "n", view_time(v, o->onset_ns));
        cell(h, "", view_who(v, o->service, o->component));
        cell(h, "w", view_oddity(v, &o->title, &in->findings[o->finding].f));
        html_raw(h, "</tr>\n");
    }
    table_end(h);
    end_section(h);
}

static void findings_head(page *h, text_key title) {
    heading(h, title);
    TABLE(h, TEXT_COL_LEVEL, TEXT_COL_TIME, TEXT_COL_WHO, TEXT_COL_WHAT, TEXT_COL_BITS,
          TEXT_COL_FILE);
}

static void finding_row(page *h, const incident_finding *x) {
    view *v = h->v;
    html_raw(h, "<tr>");
    level_cell(h, x->f.level);
    cell(h, "n", view_clock(v, x->f.onset_ns));
    cell(h, "", view_who(v, x->f.service, x->f.component));
    html_raw(h, "<td class=\"w\">");
    html_text(h, view_finding(v, &x->f));
    if (x->f.template_text.n) {
        html_raw(h, "<br><code>");
        html_text(h, x->f.template_text);
        html_raw(h, "</code>");
    }
    html_raw(h, "</td>");
    cell(h, "n", VIEW_FILL(v, TEXT_BITS, str_fmt(&v->mem, "%.0f", x->f.surprise_bits)));
    cell(h, "", x->f.ref_count ? view_place(v, x->inputs[0], &x->f.refs[0]) : STR_NONE);
    html_raw(h, "</tr>\n");
}

static void put_findings(page *h, bool minor) {
    view *v = h->v;
    size_t shown = 0, more = 0;
    for (size_t i = 0, at; (at = view_next_finding(v, minor, &i)) != INCIDENT_NONE;) {
        if (shown == v->max_findings) {
            more++;
            continue;
        }
        if (shown++ == 0) findings_head(h, minor ? TEXT_SEC_MINOR : TEXT_SEC_FINDINGS);
        finding_row(h, &v->in->findings[at]);
    }
    if (!shown) return;
    table_end(h);
    if (more) paragraph(h, VIEW_FILL(v, TEXT_MORE_ROWS, view_count(v, more)));
    end_section(h);
}

static void put_signs(page *h) {
    const incident *in = h->v->in;
    if (!in->sign_count) return;
    findings_head(h, TEXT_SEC_SIGNS);
    for (size_t i = 0; i < in->sign_count; i++) finding_row(h, &in->findings[in->signs[i]]);
    table_end(h);
    end_section(h);
}

static void put_looked_at(page *h) {
    view *v = h->v;
    const incident_looked_at *l = &v->in->looked_at;
    heading(h, TEXT_SEC_LOOKED);
    str lines[VIEW_LOOKED_MAX];
    size_t n = view_looked_at(v, lines);
    html_raw(h, "<ul>\n");
    for (size_t i = 0; i < n; i++) {
        html_raw(h, "<li>");
        html_text(h, lines[i]);
        html_raw(h, "</li>\n");
    }
    html_raw(h, "</ul>\n");
    if (l->input_count) {
        TABLE(h, TEXT_COL_INPUT, TEXT_COL_FORMAT, TEXT_COL_RECORDS, TEXT_COL_STATE,
              TEXT_COL_PROBLEM);
        for (size_t i = 0; i < l->input_count && i < VIEW_INPUTS_MAX; i++) {
            const input_info *x = &l->inputs[i];
            html_raw(h, "<tr>");
            cell(h, "", x->name);
            cell(h, "", x->format);
            cell(h, "n", view_count(v, x->records));
            cell(h, "n", view_state(v, x->state));
            cell(h, "", x->problem);
            html_raw(h, "</tr>\n");
        }
        table_end(h);
        size_t all = l->input_count + l->inputs_left_out;
        if (all > VIEW_INPUTS_MAX) {
            paragraph(h, VIEW_FILL(v, TEXT_MORE_INPUTS, view_count(v, all - VIEW_INPUTS_MAX)));
        }
    }
    end_section(h);
}

static bool web_address(str s) {
    return str_starts(s, S("https://")) || str_starts(s, S("http://"));
}

static void put_references(page *h) {
    const incident_cause *c = &h->v->in->cause;
    if (!c->reference_count) return;
    heading(h, TEXT_SEC_REFERENCES);
    html_raw(h, "<ul>\n");
    for (size_t i = 0; i < c->reference_count; i++) {
        html_raw(h, "<li>");
        /* Only the web: a user's rule file must not put javascript: into a page. */
        if (web_address(c->references[i])) {
            html_raw(h, "<a rel=\"noreferrer\" href=\"");
            html_text(h, c->references[i]);
            html_raw(h, "\">");
            html_text(h, c->references[i]);
            html_raw(h, "</a>");
        } else {
            html_text(h, c->references[i]);
        }
        html_raw(h, "</li>\n");
    }
    html_raw(h, "</ul>\n");
    end_section(h);
}

void report_html(view *v, const report_opts *opts, buf *out) {
    page h = {v, out};
    html_raw(&h, "<!DOCTYPE html>\n<html lang=\"");
    html_raw(&h, opts->lang == LANG_ZH ? "zh-CN" : "en");
    html_raw(&h, "\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                 "style-src 'unsafe-inline'\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<title>");
    html_text(&h, v->headline);
    html_raw(&h, "</title>\n<style>");
    html_raw(&h, style);
    html_raw(&h, "</style>\n</head>\n<body>\n<main>\n");
    put_first_screen(&h);
    put_evidence(&h);
    put_order(&h);
    put_alternatives(&h);
    put_signs(&h);
    put_changes(&h);
    put_others(&h);
    put_findings(&h, false);
    put_findings(&h, true);
    put_looked_at(&h);
    put_references(&h);
    html_raw(&h, "<footer>");
    html_text(&h, v->in->model.n ? VIEW_FILL(v, TEXT_MODEL_NOTE, v->in->model)
                                 : view_text(v, TEXT_COMPUTED_NOTE));
    html_raw(&h, "</footer>\n</main>\n</body>\n</html>\n");
}
