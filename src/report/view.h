/* view.h - an incident as the sentences and cells that all formats print, in one language.
 *
 * Everything is plain text: each format escapes it for itself. Texts live in the view's arena or in
 * the incident; valid until view_release. */
#ifndef FL_REPORT_VIEW_H
#define FL_REPORT_VIEW_H

#include "report/text.h"

enum { VIEW_ARENA_MAX = 64 << 20, VIEW_STEPS_MAX = 24 };
/* Rows of the tables that people read; JSON has all. */
enum { VIEW_FINDINGS = 40, VIEW_FINDINGS_TERMINAL = 15, VIEW_INPUTS_MAX = 20 };

typedef struct view {
    arena mem;
    const incident *in;
    report_lang lang;
    size_t max_findings; /* rows of a table of findings */
    bool abnormal;
    str headline;   /* "redis failed first: KEYS scan blocks Redis"; or the verdict */
    str verdict;    /* "Something failed" ... */
    str level;      /* of the incident; empty unless abnormal */
    str confidence; /* "78%"; empty unless abnormal */
    str began, first, cause, affected; /* first screen; empty when they do not apply */
    str explanation;                   /* of the rule, in the language; may be empty */
    str story;                         /* sentences made of the facts */
    str todo[VIEW_STEPS_MAX];
    size_t todo_count;
} view;

void view_init(view *v, const incident *in, const report_opts *opts);
void view_release(view *v);

static inline str view_text(const view *v, text_key key) { return text_get(v->lang, key); }
#define VIEW_FILL(v, key, ...) TEXT_FILL(&(v)->mem, (v)->lang, (key), __VA_ARGS__)

str view_time(view *v, int64_t ns);  /* "2026-03-17 09:30:04.855 UTC" or "-" */
str view_clock(view *v, int64_t ns); /* "09:30:04.855", with the date when the data spans days */
str view_since(view *v, int64_t ns); /* "+12 s" after the onset; empty without times */
str view_count(view *v, uint64_t n);
str view_place(view *v, str input, const log_ref *ref); /* "order.log:123" */
str view_entity(view *v, size_t entity);                /* display name */
str view_who(view *v, str service, str component);
str view_what(view *v, const incident_text *title, str template_text); /* title, else template */
/* Title; else what is odd about the line ("stopped, usually 2 lines/min: ..."). */
str view_oddity(view *v, const incident_text *title, const finding *f);
/* What a step or event was: the rule's title; else the line, with what was odd about it. */
str view_step(view *v, const incident_step *s);
str view_step_who(view *v, const incident_step *s);
str view_finding(view *v, const finding *f); /* "burst: 512 lines/min, usually 3" */
str view_level(const view *v, finding_level l);
str view_evidence_id(const view *v, size_t evidence); /* "E1"; empty for INCIDENT_NONE */
str view_percent(view *v, double share);
str view_edge(view *v, const incident_edge *g);
str view_state(const view *v, input_state s);
/* Findings of the incident (`minor` false) or those outside it, in order; INCIDENT_NONE past the
 * end. `i` starts at 0 and is moved past the finding returned. */
size_t view_next_finding(const view *v, bool minor, size_t *i);
/* What was looked at, as sentences. */
enum { VIEW_LOOKED_MAX = 5 };
size_t view_looked_at(view *v, str ret[VIEW_LOOKED_MAX]);

#endif
