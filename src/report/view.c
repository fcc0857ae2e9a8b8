/* view.c - composes the sentences of a report from the facts of an incident.
 *
 * Nothing here decides: which facts there are, their order and their number come from rca. Formats
 * differ only in layout and escaping, so all wording is in this file and in text.tbl.h. Times are
 * UTC to the millisecond, the date is left out where all of the data lies within one UTC day. */
#include "report/view.h"

#include "base/num.h"
#include "base/utf8.h"
#include "codec/timestamp.h"

enum { HEADLINE_BYTES = 160 }; /* of a line that stands for an unknown cause */

static const int64_t SECOND_NS = 1000000000, DAY_NS = 86400 * 1000000000ll;

/* "2026-03-17T09:30:04.855Z" from ts_format, cut to what is wanted. */
static str stamp(view *v, int64_t ns, size_t from, size_t bytes) {
    char text[TS_TEXT_BYTES];
    size_t n = ts_format(ns, text);
    str s = str_dup(&v->mem, str_sub(str_make(text, n), from, bytes));
    return s.p ? s : S("-");
}

str view_time(view *v, int64_t ns) {
    if (ns == TS_NONE) return S("-");
    str date = stamp(v, ns, 0, 10), clock = stamp(v, ns, 11, 12);
    return str_fmt(&v->mem, "%.*s %.*s UTC", STR_ARG(date), STR_ARG(clock));
}

static int64_t day_of(int64_t ns) { return ns >= 0 ? ns / DAY_NS : (ns - DAY_NS + 1) / DAY_NS; }

str view_clock(view *v, int64_t ns) {
    if (ns == TS_NONE) return S("-");
    const incident_looked_at *l = &v->in->looked_at;
    bool one_day = l->first_ns != TS_NONE && day_of(l->first_ns) == day_of(l->last_ns);
    str clock = stamp(v, ns, 11, 12);
    if (one_day) return clock;
    str date = stamp(v, ns, 5, 5);
    return str_fmt(&v->mem, "%.*s %.*s", STR_ARG(date), STR_ARG(clock));
}

str view_since(view *v, int64_t ns) {
    int64_t onset = v->in->onset_ns;
    if (ns == TS_NONE || onset == TS_NONE) return STR_NONE;
    str d = ns == onset ? S("0 s") : num_duration_text(&v->mem, ns_between(onset, ns));
    return ns >= onset ? str_fmt(&v->mem, "+%.*s", STR_ARG(d)) : d;
}

str view_count(view *v, uint64_t n) { return num_count_text(&v->mem, n); }

str view_place(view *v, str input, const log_ref *ref) {
    if (!input.n) return STR_NONE;
    if (!ref->line) return input;
    return str_fmt(&v->mem, "%.*s:%" PRIu64, STR_ARG(input), ref->line);
}

str view_level(const view *v, finding_level l) {
    static const text_key keys[] = {TEXT_LEVEL_NONE, TEXT_LEVEL_LOW, TEXT_LEVEL_MEDIUM,
                                    TEXT_LEVEL_HIGH, TEXT_LEVEL_CRITICAL};
    MUST((unsigned)l < ARRAY_LEN(keys));
    return view_text(v, keys[l]);
}

str view_state(const view *v, input_state s) {
    static const text_key keys[] = {TEXT_STATE_OK, TEXT_STATE_PARTIAL, TEXT_STATE_SKIPPED};
    MUST((unsigned)s < ARRAY_LEN(keys));
    return view_text(v, keys[s]);
}

str view_percent(view *v, double share) {
    double percent = share * 100;
    str s = percent < 10 ? str_fmt(&v->mem, "%.1f", percent) : str_fmt(&v->mem, "%.0f", percent);
    if (str_ends(s, S(".0"))) s = str_sub(s, 0, s.n - 2);
    return str_fmt(&v->mem, "%.*s%%", STR_ARG(s));
}

/* Three significant digits, thousands separated. */
static str number(view *v, double x) {
    if (!(x > -1e15 && x < 1e15)) return str_fmt(&v->mem, "%.3g", x);
    if (x >= 1000) return num_count_text(&v->mem, (uint64_t)(x + 0.5));
    str s = x >= 100  ? str_fmt(&v->mem, "%.0f", x)
            : x >= 10 ? str_fmt(&v->mem, "%.1f", x)
                      : str_fmt(&v->mem, "%.3g", x);
    return str_ends(s, S(".0")) ? str_sub(s, 0, s.n - 2) : s;
}

static str unit_name(const view *v, str unit) {
    static const text_key known[] = {TEXT_UNIT_LINES_PER_MIN, TEXT_UNIT_LINES, TEXT_UNIT_SESSIONS};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(unit, text_get(LANG_EN, known[i]))) return view_text(v, known[i]);
    }
    return unit;
}

static str quantity(view *v, double x, str unit) {
    if (str_eq(unit, S("ratio"))) return view_percent(v, x);
    unit = unit_name(v, unit);
    str n = number(v, x);
    return unit.n ? str_fmt(&v->mem, "%.*s %.*s", STR_ARG(n), STR_ARG(unit)) : n;
}

str view_finding(view *v, const finding *f) {
    static const text_key keys[FINDING_KIND_COUNT] = {
        [FINDING_NEW_TEMPLATE] = TEXT_KIND_NEW_TEMPLATE,
        [FINDING_RARE_TEMPLATE] = TEXT_KIND_RARE_TEMPLATE,
        [FINDING_RATE_BURST] = TEXT_KIND_RATE_BURST,
        [FINDING_RATE_DROP] = TEXT_KIND_RATE_DROP,
        [FINDING_STOPPED] = TEXT_KIND_STOPPED,
        [FINDING_ERROR_RATIO] = TEXT_KIND_ERROR_RATIO,
        [FINDING_SESSION] = TEXT_KIND_SESSION,
        [FINDING_SEQUENCE] = TEXT_KIND_SEQUENCE,
        [FINDING_PARAM_OUTLIER] = TEXT_KIND_PARAM_OUTLIER,
        [FINDING_NEW_VALUE] = TEXT_KIND_NEW_VALUE,
        [FINDING_MEANING] = TEXT_KIND_MEANING,
    };
    MUST((unsigned)f->kind < FINDING_KIND_COUNT);
    text_key key = keys[f->kind];
    str observed = quantity(v, f->observed, f->unit), usual = quantity(v, f->expected, f->unit);
    switch (f->kind) {
    case FINDING_NEW_TEMPLATE:
    case FINDING_RARE_TEMPLATE:
    case FINDING_MEANING:
        return VIEW_FILL(v, key, view_count(v, f->record_count));
    case FINDING_STOPPED:
        if (str_eq(f->subject, S("whole_log"))) key = TEXT_KIND_SILENCE;
        if (str_eq(f->subject, S("paused"))) key = TEXT_KIND_PAUSED;
        if (key == TEXT_KIND_STOPPED) return VIEW_FILL(v, key, usual);
        return VIEW_FILL(v, key, usual,
                         num_duration_text(&v->mem, ns_between(f->from_ns, f->to_ns)));
    case FINDING_SESSION:
    case FINDING_SEQUENCE:
    case FINDING_NEW_VALUE:
        return VIEW_FILL(v, key, f->subject);
    default:
        break;
    }
    str subject = f->subject.n ? f->subject : view_text(v, TEXT_PARAM_UNNAMED);
    return VIEW_FILL(v, key, observed, usual, subject);
}

str view_who(view *v, str service, str component) {
    if (!service.n) return component.n ? component : view_text(v, TEXT_UNNAMED_SERVICE);
    if (!component.n || str_eq(component, service)) return service;
    return str_fmt(&v->mem, "%.*s / %.*s", STR_ARG(service), STR_ARG(component));
}

str view_entity(view *v, size_t entity) {
    MUST(entity < v->in->entity_count);
    return v->in->entities[entity].name;
}

str view_what(view *v, const incident_text *title, str template_text) {
    if (title->en.n) return incident_text_in(title, v->lang == LANG_ZH);
    size_t line_end = str_find_char(template_text, '\n', 0);
    return str_sub(template_text, 0, line_end);
}

static bool line_says_it_all(finding_kind k) {
    return k == FINDING_NEW_TEMPLATE || k == FINDING_RARE_TEMPLATE || k == FINDING_MEANING;
}

str view_oddity(view *v, const incident_text *title, const finding *f) {
    str what = view_what(v, title, f->template_text);
    if (!what.n) return view_finding(v, f);
    if (title->en.n || line_says_it_all(f->kind)) return what;
    str odd = view_finding(v, f);
    return str_fmt(&v->mem, "%.*s%.*s%.*s", STR_ARG(odd), STR_ARG(view_text(v, TEXT_NAME_SEP)),
                   STR_ARG(what));
}

str view_step_who(view *v, const incident_step *s) {
    const finding *f = &v->in->findings[s->finding].f;
    return s->named ? view_entity(v, s->entity) : view_who(v, f->service, f->component);
}

str view_step(view *v, const incident_step *s) {
    const incident_entity *e = &v->in->entities[s->entity];
    str what = view_oddity(v, &s->title, &v->in->findings[s->finding].f);
    return s->named && e->seen_by.n ? VIEW_FILL(v, TEXT_STEP_NAMED, e->seen_by, what) : what;
}

str view_evidence_id(const view *v, size_t evidence) {
    return evidence < v->in->evidence_count ? v->in->evidence[evidence].id : STR_NONE;
}

str view_edge(view *v, const incident_edge *g) {
    if (g->reason == EDGE_ORDER) return view_text(v, TEXT_EDGE_ORDER);
    return VIEW_FILL(v, TEXT_EDGE_MENTION, view_entity(v, g->from), view_entity(v, g->to),
                     view_count(v, g->mentions));
}

size_t view_next_finding(const view *v, bool minor, size_t *i) {
    while (*i < v->in->finding_count) {
        size_t at = (*i)++;
        if (v->in->findings[at].in_incident != minor) return at;
    }
    return INCIDENT_NONE;
}

/* The words of both sides, separated; a list longer than `max` ends in "and n more". */
static str join(view *v, const str *items, size_t count, size_t max) {
    str out = STR_NONE;
    size_t shown = MIN(count, max);
    str sep = view_text(v, TEXT_LIST_SEP);
    for (size_t i = 0; i < shown; i++) {
        out = i == 0
                  ? items[0]
                  : str_fmt(&v->mem, "%.*s%.*s%.*s", STR_ARG(out), STR_ARG(sep), STR_ARG(items[i]));
    }
    if (count == shown) return out;
    str more = VIEW_FILL(v, TEXT_AND_MORE, view_count(v, count - shown));
    return str_fmt(&v->mem, "%.*s %.*s", STR_ARG(out), STR_ARG(more));
}

static void add_sentence(view *v, str sentence) {
    if (!sentence.n) return;
    /* Chinese sentences follow each other without a space. */
    const char *gap = v->story.n == 0 || v->lang == LANG_ZH ? "" : " ";
    v->story = str_fmt(&v->mem, "%.*s%s%.*s", STR_ARG(v->story), gap, STR_ARG(sentence));
}

static str root_name(view *v) {
    const incident_entity *root = &v->in->entities[v->in->root];
    if (v->in->one_service && root->component.n && root->service.n) {
        return VIEW_FILL(v, TEXT_COMPONENT_OF, root->name, root->service);
    }
    return root->name;
}

/* "order-service (+2.1 s), payment (+12 s)": every failing entity before or after the root, once.
 */
static str others_failing(view *v, bool before) {
    enum { SHOWN = 8 };
    str names[INCIDENT_STEPS_MAX];
    size_t count = 0;
    int64_t root = v->in->entities[v->in->root].onset_ns;
    uint64_t done = 1ull << v->in->root;
    for (size_t i = 0; i < v->in->step_count; i++) {
        const incident_step *s = &v->in->steps[i];
        if (done >> s->entity & 1) continue;
        done |= 1ull << s->entity;
        bool ahead = s->ts_ns != TS_NONE && root != TS_NONE && s->ts_ns < root;
        if (ahead != before) continue;
        str since = view_since(v, s->ts_ns), name = view_entity(v, s->entity);
        names[count++] =
            since.n ? str_fmt(&v->mem, "%.*s (%.*s)", STR_ARG(name), STR_ARG(since)) : name;
    }
    return join(v, names, count, SHOWN);
}
_Static_assert(INCIDENT_ENTITIES_MAX <= 64, "entities are bits of one word");

static void tell_abnormal(view *v) {
    const incident *in = v->in;
    const incident_entity *root = &in->entities[in->root];
    str name = root_name(v);
    str before = others_failing(v, true), after = others_failing(v, false);
    str at = view_time(v, root->onset_ns);
    add_sentence(v, root->onset_ns == TS_NONE ? VIEW_FILL(v, TEXT_STORY_FIRST_NO_TIME, name)
                    : before.n                ? VIEW_FILL(v, TEXT_STORY_LIKELIEST, name, at, before)
                                              : VIEW_FILL(v, TEXT_STORY_FIRST, name, at));
    if (root->named_only && root->seen_by.n) {
        add_sentence(v, VIEW_FILL(v, TEXT_STORY_NAMED, root->seen_by));
    }
    if (after.n) {
        add_sentence(v, VIEW_FILL(v, TEXT_STORY_AFTER, after));
    } else if (!before.n) {
        add_sentence(v, view_text(v, TEXT_STORY_ALONE));
    }
    if (in->one_service && (after.n || before.n))
        add_sentence(v, view_text(v, TEXT_STORY_ONE_SERVICE));
    if (in->sign_count) {
        int64_t since = in->findings[in->signs[0]].f.onset_ns;
        add_sentence(v, VIEW_FILL(v, TEXT_STORY_SIGNS, view_time(v, since)));
    }
    if (in->change_count) {
        add_sentence(v, VIEW_FILL(v, TEXT_STORY_CHANGES, view_count(v, in->change_count)));
    } else if (in->onset_ns != TS_NONE) {
        add_sentence(v, view_text(v, TEXT_STORY_NO_CHANGE));
    }
    if (in->other_count) {
        add_sentence(v, VIEW_FILL(v, TEXT_STORY_OTHERS, view_count(v, in->other_count)));
    }
}

static size_t minor_count(const view *v) {
    size_t n = 0;
    for (size_t i = 0; i < v->in->finding_count; i++) n += !v->in->findings[i].in_incident;
    return n;
}

static str why_text(const view *v) {
    static const struct {
        str key;
        text_key text;
    } known[] = {
        {S_INIT("few_records"), TEXT_WHY_FEW_RECORDS}, {S_INIT("no_time"), TEXT_WHY_NO_TIME},
        {S_INIT("little_time"), TEXT_WHY_LITTLE_TIME}, {S_INIT("no_records"), TEXT_WHY_NO_RECORDS},
        {S_INIT("no_inputs"), TEXT_WHY_NO_INPUTS},     {S_INIT("short_time"), TEXT_WHY_SHORT_TIME},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(v->in->why_undetermined, known[i].key)) return view_text(v, known[i].text);
    }
    return v->in->why_undetermined;
}

static void todo(view *v, str text) {
    if (text.n && v->todo_count < VIEW_STEPS_MAX) v->todo[v->todo_count++] = text;
}

static void help_undetermined(view *v) {
    str why = v->in->why_undetermined;
    bool none = str_eq(why, S("no_inputs")) || str_eq(why, S("no_records"));
    const incident_looked_at *l = &v->in->looked_at;
    bool stored = l->input_count > 0 && str_eq(l->inputs[0].format, S("stored"));
    if (none && stored) todo(v, view_text(v, TEXT_HELP_STORED));
    if (none && !stored) todo(v, view_text(v, TEXT_HELP_INPUTS));
    if (str_eq(why, S("no_time")) || str_eq(why, S("little_time")))
        todo(v, view_text(v, TEXT_HELP_TIME));
    if (none) return;
    todo(v, view_text(v, TEXT_HELP_MORE));
    todo(v, view_text(v, TEXT_HELP_BASELINE));
    todo(v, view_text(v, TEXT_HELP_SERVICES));
}

static void fill_quiet(view *v) {
    const incident *in = v->in;
    bool normal = in->verdict == VERDICT_NORMAL;
    v->verdict = view_text(v, normal ? TEXT_VERDICT_NORMAL : TEXT_VERDICT_UNDETERMINED);
    v->headline = v->verdict;
    if (normal) {
        add_sentence(v, VIEW_FILL(v, TEXT_STORY_NORMAL, view_count(v, in->looked_at.records),
                                  view_count(v, in->looked_at.services)));
    } else {
        add_sentence(v, VIEW_FILL(v, TEXT_STORY_UNDETERMINED, why_text(v)));
        help_undetermined(v);
    }
    size_t minor = minor_count(v);
    if (minor) add_sentence(v, VIEW_FILL(v, TEXT_STORY_MINOR, view_count(v, minor)));
}

static str first_line_text(view *v) {
    const incident *in = v->in;
    size_t at = in->entities[in->root].finding;
    if (at == INCIDENT_NONE) return STR_NONE;
    incident_text none = {STR_NONE, STR_NONE};
    str line = view_oddity(v, &none, &in->findings[at].f);
    str cut = utf8_cut_bytes(line, HEADLINE_BYTES);
    return cut.n == line.n ? line : str_fmt(&v->mem, "%.*s ...", STR_ARG(cut));
}

static void fill_todo(view *v) {
    const incident *in = v->in;
    for (size_t i = 0; i < in->cause.step_count; i++) {
        todo(v, incident_text_in(&in->cause.steps[i], v->lang == LANG_ZH));
    }
    if (in->cause.step_count) return;
    str where = S("E1");
    if (in->evidence_count) {
        where = view_place(v, in->evidence[0].input, &in->evidence[0].ref);
    }
    todo(v, VIEW_FILL(v, TEXT_UNKNOWN_STEP_1, where));
    if (in->onset_ns != TS_NONE) {
        todo(v, VIEW_FILL(v, TEXT_UNKNOWN_STEP_2, root_name(v), view_time(v, in->onset_ns)));
    }
    todo(v, view_text(v, TEXT_UNKNOWN_STEP_3));
}

static void fill_abnormal(view *v) {
    const incident *in = v->in;
    const incident_entity *root = &in->entities[in->root];
    bool zh = v->lang == LANG_ZH;
    v->verdict = view_text(v, TEXT_VERDICT_ABNORMAL);
    v->level = view_level(v, in->severity);
    v->confidence = view_percent(v, in->confidence);
    str title = incident_text_in(&in->cause.title, zh), line = first_line_text(v);
    v->headline = VIEW_FILL(v, TEXT_HEAD_CAUSE, root->name, title.n ? title : line);
    v->first = root->named_only && root->seen_by.n
                   ? VIEW_FILL(v, TEXT_NAMED_BY, root->name, root->seen_by)
                   : root_name(v);
    v->began =
        in->onset_ns == TS_NONE ? view_text(v, TEXT_NO_TIME)
        : ns_between(in->onset_ns, in->end_ns) > SECOND_NS
            ? VIEW_FILL(v, TEXT_LASTED, view_time(v, in->onset_ns), view_clock(v, in->end_ns))
            : view_time(v, in->onset_ns);
    str id = view_evidence_id(v, in->cause.evidence);
    str cause = title.n ? title : VIEW_FILL(v, TEXT_UNKNOWN_CAUSE, line);
    v->cause = id.n ? VIEW_FILL(v, TEXT_SEE_EVIDENCE, cause, id) : cause;
    /* What failed first is told already, unless nothing else did. */
    str others[INCIDENT_ENTITIES_MAX];
    size_t other_count = 0;
    for (size_t i = 0; i < in->affected_count; i++) {
        if (!str_eq(in->affected[i], root->service)) others[other_count++] = in->affected[i];
    }
    v->affected = other_count ? join(v, others, other_count, 12)
                              : join(v, in->affected, in->affected_count, 12);
    v->explanation = incident_text_in(&in->cause.explanation, zh);
    if (in->explanation.n) v->explanation = in->explanation;
    tell_abnormal(v);
    fill_todo(v);
}

void view_init(view *v, const incident *in, const report_opts *opts) {
    memset(v, 0, sizeof(*v));
    arena_init(&v->mem, "report", VIEW_ARENA_MAX);
    v->in = in;
    v->lang = opts->lang;
    bool terminal = opts->format == REPORT_TERMINAL;
    v->max_findings = opts->max_findings ? opts->max_findings
                      : terminal         ? VIEW_FINDINGS_TERMINAL
                                         : VIEW_FINDINGS;
    v->abnormal = in->verdict == VERDICT_ABNORMAL && in->root < in->entity_count;
    if (v->abnormal) {
        fill_abnormal(v);
    } else {
        fill_quiet(v);
    }
}

void view_release(view *v) { arena_release(&v->mem); }

size_t view_looked_at(view *v, str ret[VIEW_LOOKED_MAX]) {
    const incident_looked_at *l = &v->in->looked_at;
    size_t n = 0;
    ret[n++] = VIEW_FILL(v, TEXT_LOOKED_INPUTS, view_count(v, l->input_count + l->inputs_left_out),
                         num_bytes_text(&v->mem, l->bytes), view_count(v, l->lines),
                         view_count(v, l->records));
    if (l->first_ns == TS_NONE) {
        ret[n++] = view_text(v, TEXT_LOOKED_NO_TIME);
    } else {
        ret[n++] =
            VIEW_FILL(v, TEXT_LOOKED_RANGE, view_time(v, l->first_ns), view_time(v, l->last_ns),
                      num_duration_text(&v->mem, ns_between(l->first_ns, l->last_ns)));
    }
    ret[n++] =
        VIEW_FILL(v, TEXT_LOOKED_SERIES, view_count(v, l->services), view_count(v, l->templates),
                  view_count(v, l->series), view_count(v, l->params));
    if (l->records_without_time) {
        ret[n++] = VIEW_FILL(v, TEXT_LOOKED_WITHOUT_TIME, view_count(v, l->records_without_time));
    }
    if (l->records_not_kept || l->params_not_kept) {
        ret[n++] = VIEW_FILL(v, TEXT_LOOKED_NOT_KEPT, view_count(v, l->records_not_kept),
                             view_count(v, l->params_not_kept));
    }
    return n;
}
