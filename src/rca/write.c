/* write.c - fills an incident from the ranking: copies texts into the incident's arena, cut to the
 * stated maxima, and picks what a person needs to see.
 *
 * Evidence is picked in this order until INCIDENT_EVIDENCE_MAX lines are there: the line that the
 * cause was recognised by, the first failing line of the root, the first failing line of every
 * other entity in order of onset (at most half of the room), then greedily by weight, halved for
 * every line of the same template and reduced for every line of the same entity already there:
 * a dozen lines from all over the incident say more than a dozen of the loudest one. Texts are
 * those that rca.c read, verbatim; cleaning for a terminal or a page is the report's business.
 *
 * Steps: the first significant failing finding of every component of an entity (of a service whose
 * lines state no component: of up to STEPS_WITHOUT_COMPONENT templates), oldest first.
 * Path: from the root along "whose failures name whom", nearest first; an entity that nothing links
 * is attached to the root by the order of failures alone, and the edge says so.
 *
 * Signs: what was odd about the root before it failed, warnings of others that name it, and other
 * findings of the hour before that a rule calls a cause ("slow query"): things to look at.
 *
 * Changes: templates that a rule of category "change_event" matches and that were first seen in the
 * hour before the onset (a template seen all day is routine). A candidate only: most changes near
 * an incident are innocent, so they do not enter the ranking. Nobody can list all words for what
 * people do to systems, so a line also counts that nothing calls a change when it is new, rare, no
 * failure, came less than two minutes before, and shares a word with the failure or is of the
 * service that failed first ("Starting cart cleanup" before Redis gets slow): at most two. */
#include "rca/write_int.h"

#include "base/map.h"
#include "base/utf8.h"

static const int64_t SECOND = 1000000000;
static const int64_t CHANGE_BEFORE_NS = 3600 * 1000000000ll, ROUTINE_NS = 300 * 1000000000ll;
static const int64_t JUST_BEFORE_NS = 120 * 1000000000ll;
static const double STEP_SHARE = 0.2; /* of the entity's strength */
static const double EVIDENCE_WORTH = 0.05;
enum { STEPS_WITHOUT_COMPONENT = 3 };
enum { NEW_LINES_MAX = 2, NEW_LINE_COUNT = 3, NEW_LINE_BYTES = 500 };
enum { WORD_BYTES_MIN = 4, WORD_BYTES_MAX = 32, TOPICS_MAX = 4096 };

static str keep(incident *in, str s) {
    return str_dup(&in->mem, utf8_cut_bytes(s, INCIDENT_TEXT_BYTES));
}

static incident_text keep_text(incident *in, incident_text t) {
    return (incident_text){keep(in, t.en), keep(in, t.zh)};
}

bool rca_is_change_rule(const rule *r) { return str_eq(r->category, S("change_event")); }

void rca_name_rule(incident *in, const rule *r, str *ret_type, incident_text *ret_title) {
    *ret_type = keep(in, r->id);
    *ret_title = keep_text(in, r->title);
}

static input_info keep_input(incident *in, const input_info *from) {
    input_info i = *from;
    i.name = keep(in, from->name);
    i.format = keep(in, from->format);
    i.service = keep(in, from->service);
    i.problem = keep(in, from->problem);
    return i;
}

void rca_write_looked_at(const rca_input *in, const source_report *report, incident *ret) {
    incident_looked_at *l = &ret->looked_at;
    l->records = report->records;
    l->lines = report->lines;
    l->bytes = report->bytes;
    l->first_ns = report->first_ns;
    l->last_ns = report->last_ns;
    if (in->summary) {
        l->series = in->summary->series_checked;
        l->params = in->summary->params_checked;
        l->services = in->summary->services_checked;
        l->records_not_kept = in->summary->records_not_kept + in->summary->in_other_services;
        l->params_not_kept = in->summary->params_not_kept;
        if (!in->source) l->records = in->summary->records;
    }
    if (in->profile && l->services == 0) l->services = log_profile_service_count(in->profile);
    if (in->miner) {
        miner_counts counts;
        miner_count(in->miner, &counts);
        l->templates = counts.templates;
    }
    size_t keep_max = MIN(report->count, (size_t)INCIDENT_INPUTS_MAX);
    input_info *inputs = arena_try_new_n(&ret->mem, input_info, keep_max + 1);
    size_t n = 0;
    for (int pass = 0; inputs && pass < 2; pass++) {
        for (size_t i = 0; i < report->count; i++) {
            const input_info *x = &report->inputs[i];
            bool problem = x->state != INPUT_OK || x->problem.n > 0;
            if (pass == 0) {
                l->problems += problem;
                l->records_without_time += report->inputs[i].records_without_time;
            }
            if (problem == (pass == 0) && n < keep_max) {
                inputs[n++] = keep_input(ret, &report->inputs[i]);
            }
        }
    }
    l->inputs = inputs;
    l->input_count = n;
    l->inputs_left_out = report->count - n;
}

static str input_name(const source_report *report, const log_ref *ref) {
    return ref->file < report->count ? report->inputs[ref->file].name : STR_NONE;
}

static void keep_input_names(incident *in, const source_report *report, incident_finding *x) {
    for (size_t i = 0; i < x->f.ref_count; i++) {
        bool same = i > 0 && x->f.refs[i].file == x->f.refs[i - 1].file;
        x->inputs[i] = same ? x->inputs[i - 1] : keep(in, input_name(report, &x->f.refs[i]));
    }
}

rc rca_write_findings(const rca_input *in, const source_report *report, incident *ret, err *e) {
    size_t have = in->findings->items.n;
    ret->finding_count = MIN(have, (size_t)INCIDENT_FINDINGS_MAX);
    ret->findings_left_out = have - ret->finding_count;
    if (in->summary) ret->findings_left_out += in->summary->findings_left_out;
    ret->findings = arena_try_new_n(&ret->mem, incident_finding, ret->finding_count + 1);
    if (!ret->findings) return FAIL(e, RC_LIMIT, "the incident is too large");
    for (size_t i = 0; i < ret->finding_count; i++) {
        incident_finding *x = &ret->findings[i];
        x->f = in->findings->items.v[i];
        x->f.service = keep(ret, x->f.service);
        x->f.component = keep(ret, x->f.component);
        x->f.unit = keep(ret, x->f.unit);
        x->f.subject = keep(ret, x->f.subject);
        x->f.template_text = keep(ret, x->f.template_text);
        keep_input_names(ret, report, x);
        x->evidence = INCIDENT_NONE;
    }
    return RC_OK;
}

typedef struct writer {
    const rca_input *in;
    const source_report *report;
    const ranking *r;
    incident *out;
    size_t entity_of[ENTITIES_MAX]; /* candidate -> index in out->entities */
    int cause;                      /* fact */
} writer;

static size_t finding_of(const writer *w, int fact_index) {
    return fact_index == RANK_NONE ? INCIDENT_NONE : w->r->facts[fact_index].index;
}

static int64_t fact_ns(const fact *f) {
    return f->f->onset_ns != TS_NONE ? f->f->onset_ns : f->f->from_ns;
}

/* Candidates that failed or are blamed, best first. */
static void write_entities(writer *w) {
    const ranking *r = w->r;
    incident *out = w->out;
    out->entities = arena_try_new_n(&out->mem, incident_entity, r->cand_count + 1);
    MUST(out->entities);
    for (size_t i = 0; i < ENTITIES_MAX; i++) w->entity_of[i] = INCIDENT_NONE;
    for (size_t i = 0; i < r->cand_count; i++) {
        int c = r->order[i];
        const candidate *from = &r->cand[c];
        if (from->first == RANK_NONE) continue;
        incident_entity *e = &out->entities[out->entity_count];
        w->entity_of[c] = out->entity_count++;
        *e = from->e;
        e->name = keep(out, from->e.name);
        e->service = keep(out, from->e.service);
        e->component = keep(out, from->e.component);
        if (from->seen_by != RANK_NONE) {
            e->seen_by = keep(out, r->cand[from->seen_by].e.name);
        }
        bool ahead = from->named != RANK_NONE && from->at < r->facts[from->first].at;
        e->onset_ns = fact_ns(&r->facts[ahead ? from->named : from->first]);
        e->finding = finding_of(w, from->first);
        int cause = rank_cause(r, c);
        if (cause != RANK_NONE) {
            rca_name_rule(out, r->facts[cause].rule, &e->anomaly_type, &e->title);
        }
    }
    out->root = out->entity_count ? 0 : INCIDENT_NONE;
}

static void write_cause(writer *w) {
    incident *out = w->out;
    incident_cause *c = &out->cause;
    w->cause = out->entity_count ? rank_cause(w->r, w->r->order[0]) : RANK_NONE;
    out->anomaly_type = S("unknown");
    if (w->cause == RANK_NONE) {
        c->finding = out->entity_count ? out->entities[0].finding : INCIDENT_NONE;
        return;
    }
    const rule *why = w->r->facts[w->cause].rule;
    rca_name_rule(out, why, &c->rule_id, &c->title);
    out->anomaly_type = c->rule_id;
    c->category = keep(out, why->category);
    c->explanation = keep_text(out, why->explanation);
    c->cause_rank = why->cause_rank;
    c->finding = finding_of(w, w->cause);
    incident_text *steps = arena_try_new_n(&out->mem, incident_text, why->step_count + 1);
    str *refs = arena_try_new_n(&out->mem, str, why->reference_count + 1);
    if (!steps || !refs) return;
    for (size_t i = 0; i < why->step_count; i++) steps[i] = keep_text(out, why->steps[i]);
    for (size_t i = 0; i < why->reference_count; i++) refs[i] = keep(out, why->references[i]);
    c->steps = steps;
    c->step_count = why->step_count;
    c->references = refs;
    c->reference_count = why->reference_count;
}

/* --- evidence ----------------------------------------------------------------------------------
 */

typedef struct pick {
    int fact;
    size_t ref;
} pick;

static bool same_record(const log_ref *a, const log_ref *b) {
    return a->file == b->file && a->offset == b->offset && a->line == b->line;
}

static bool picked(const pick *p, size_t n, const ranking *r, int which, size_t ref) {
    const log_ref *x = &r->facts[which].f->refs[ref];
    for (size_t i = 0; i < n; i++) {
        if (same_record(x, &r->facts[p[i].fact].f->refs[p[i].ref])) return true;
    }
    return false;
}

static size_t add_pick(pick *p, size_t n, const ranking *r, int which, size_t ref) {
    if (n == INCIDENT_EVIDENCE_MAX || which == RANK_NONE || !r->facts[which].records[ref].p ||
        picked(p, n, r, which, ref)) {
        return n;
    }
    p[n] = (pick){which, ref};
    return n + 1;
}

static bool has_ref(const finding *f, const log_ref *ref) {
    for (size_t i = 0; i < f->ref_count; i++) {
        if (same_record(&f->refs[i], ref)) return true;
    }
    return false;
}

static double pick_value(const pick *p, size_t n, const ranking *r, int which, size_t ref) {
    double v = r->facts[which].weight * (r->facts[which].failing ? 1 : 0.5) / (1 + (double)ref);
    for (size_t i = 0; i < n; i++) {
        const fact *x = &r->facts[p[i].fact], *y = &r->facts[which];
        bool same_service = str_eq(x->f->service, y->f->service);
        if (same_service && x->f->template_id == y->f->template_id) v *= 0.3;
        if (has_ref(y->f, &x->f->refs[p[i].ref])) v *= 0.3;
        if (same_service && x->rule && x->rule == y->rule) v *= 0.5;
        if (x->entity == y->entity) v *= 0.7;
    }
    return v;
}

static size_t pick_evidence(const writer *w, pick *p) {
    const ranking *r = w->r;
    size_t n = add_pick(p, 0, r, w->cause, 0);
    if (w->out->entity_count) n = add_pick(p, n, r, r->cand[r->order[0]].first, 0);
    /* Every other failing entity's first line, earliest first. */
    uint64_t done = w->out->entity_count ? 1ull << r->order[0] : 0;
    while (n < INCIDENT_EVIDENCE_MAX / 2) {
        int next = RANK_NONE;
        for (size_t c = 0; c < r->cand_count; c++) {
            if (done >> c & 1 || !r->cand[c].failing_facts) continue;
            if (next == RANK_NONE || r->cand[c].at < r->cand[next].at) next = (int)c;
        }
        if (next == RANK_NONE) break;
        done |= 1ull << next;
        n = add_pick(p, n, r, r->cand[next].first, 0);
    }
    while (n < INCIDENT_EVIDENCE_MAX) {
        pick best = {RANK_NONE, 0};
        double best_value = EVIDENCE_WORTH; /* fainter lines say nothing new */
        for (size_t i = 0; i < r->fact_count; i++) {
            for (size_t k = 0; k < FACT_RECORDS; k++) {
                if (!r->facts[i].records[k].p || picked(p, n, r, (int)i, k)) continue;
                double v = pick_value(p, n, r, (int)i, k);
                if (v > best_value) {
                    best_value = v;
                    best = (pick){(int)i, k};
                }
            }
        }
        if (best.fact == RANK_NONE) break;
        n = add_pick(p, n, r, best.fact, best.ref);
    }
    return n;
}

/* At most INCIDENT_EVIDENCE_LINES lines and INCIDENT_EVIDENCE_BYTES bytes. */
static str cut_evidence(str s, bool *ret_cut) {
    str t = utf8_cut_bytes(s, INCIDENT_EVIDENCE_BYTES);
    size_t at = 0;
    for (int line = 0; line < INCIDENT_EVIDENCE_LINES; line++) {
        size_t end = str_find_char(t, '\n', at);
        if (end == STR_NPOS) {
            *ret_cut = t.n < s.n;
            return t;
        }
        at = end + 1;
    }
    *ret_cut = true;
    return str_sub(t, 0, at - 1);
}

/* A record quoted for one finding may be the record of another one too. */
static void share_evidence(incident *out) {
    for (size_t i = 0; i < out->finding_count; i++) {
        incident_finding *x = &out->findings[i];
        for (size_t k = 0; x->evidence == INCIDENT_NONE && k < out->evidence_count; k++) {
            if (has_ref(&x->f, &out->evidence[k].ref)) x->evidence = k;
        }
    }
}

static void write_evidence(writer *w) {
    const ranking *r = w->r;
    incident *out = w->out;
    pick p[INCIDENT_EVIDENCE_MAX];
    size_t n = pick_evidence(w, p);
    out->evidence = arena_try_new_n(&out->mem, incident_evidence, INCIDENT_EVIDENCE_MAX);
    for (size_t i = 0; out->evidence && i < n; i++) {
        const fact *f = &r->facts[p[i].fact];
        const log_ref *ref = &f->f->refs[p[i].ref];
        incident_finding *x = &out->findings[f->index];
        incident_evidence *ev = &out->evidence[out->evidence_count];
        if (x->evidence == INCIDENT_NONE) x->evidence = out->evidence_count;
        ev->id = str_fmt(&out->mem, "E%zu", ++out->evidence_count);
        ev->input = keep(out, input_name(w->report, ref));
        ev->ref = *ref;
        ev->ts_ns = p[i].ref == 0 ? f->f->from_ns : TS_NONE;
        ev->service = x->f.service;
        ev->component = x->f.component;
        ev->text = str_dup(&out->mem, cut_evidence(f->records[p[i].ref], &ev->cut));
        ev->finding = f->index;
    }
    share_evidence(out);
}
_Static_assert((int)INCIDENT_EVIDENCE_BYTES < (int)FACT_TEXT_BYTES,
               "that text was cut must be seen");

static size_t evidence_of(const incident *in, size_t index) {
    return index == INCIDENT_NONE ? INCIDENT_NONE : in->findings[index].evidence;
}

/* --- order of failures, path, timeline -----------------------------------------------------------
 */

typedef struct step_key {
    double at;
    int fact, cand;
    bool named; /* the fact is another entity's, which names this one */
} step_key;

static bool step_before(const writer *w, const step_key *a, const step_key *b) {
    if (w->r->ordered && (a->at < b->at || a->at > b->at)) return a->at < b->at;
    /* The same moment: what others name comes before those who name it, then the better rank. */
    if (a->named != b->named) return a->named;
    size_t x = w->entity_of[a->cand], y = w->entity_of[b->cand];
    return x != y ? x < y : a->fact < b->fact;
}

/* Another step of the same component stands for it, or the entity has enough of them. */
static bool step_is_known(const writer *w, const step_key *keys, size_t n, int fact_index) {
    const fact *f = &w->r->facts[fact_index];
    size_t without_component = 0;
    for (size_t i = 0; i < n; i++) {
        const fact *g = &w->r->facts[keys[i].fact];
        if (keys[i].cand != f->entity || keys[i].named) continue;
        bool same = str_eq(g->f->component, f->f->component);
        if (same && f->f->component.n) return true;
        if (same && g->f->template_id == f->f->template_id) return true;
        without_component += same;
        /* A rise of errors as such is told by the line that it consists of. */
        bool summary = f->f->kind == FINDING_ERROR_RATIO || g->f->kind == FINDING_ERROR_RATIO;
        if (summary && f->at <= g->at + w->r->slack && g->at <= f->at + w->r->slack) return true;
    }
    return without_component >= STEPS_WITHOUT_COMPONENT;
}

/* Facts by onset; among those of one moment, rises of errors last. */
static void sort_facts(const ranking *r, uint32_t *order) {
    for (size_t i = 0; i < r->fact_count; i++) {
        const fact *f = &r->facts[i];
        size_t at = i;
        for (; at > 0; at--) {
            const fact *g = &r->facts[order[at - 1]];
            bool later = r->ordered && g->at > f->at;
            bool rise = g->f->kind == FINDING_ERROR_RATIO && f->f->kind != FINDING_ERROR_RATIO;
            bool same = !r->ordered || (!(g->at > f->at) && !(g->at < f->at));
            if (!later && !(rise && same)) break;
            order[at] = order[at - 1];
        }
        order[at] = (uint32_t)i;
    }
}

static size_t collect_steps(const writer *w, step_key *ret, size_t cap) {
    const ranking *r = w->r;
    size_t n = 0;
    uint32_t *order = arena_bytes(r->mem, (r->fact_count + 1) * sizeof(*order), _Alignof(uint32_t));
    for (size_t c = 0; c < r->cand_count && n < cap; c++) {
        const candidate *x = &r->cand[c];
        if (w->entity_of[c] == INCIDENT_NONE || x->named == RANK_NONE) continue;
        bool ahead = x->failing_facts && x->at < r->facts[x->first].at;
        if (!ahead && (x->failing_facts || x->e.blamed < 0.2)) continue;
        ret[n++] = (step_key){x->at, x->named, (int)c, true};
    }
    sort_facts(r, order);
    for (size_t k = 0; k < r->fact_count && n < cap; k++) {
        int i = (int)order[k];
        const fact *f = &r->facts[i];
        if (f->entity == RANK_NONE || w->entity_of[f->entity] == INCIDENT_NONE) continue;
        const candidate *c = &r->cand[f->entity];
        bool significant = f->failing && f->weight >= STEP_SHARE * c->e.strength;
        if (!significant && !(c->failing_facts && c->first == i)) continue;
        if (step_is_known(w, ret, n, i)) continue;
        ret[n++] = (step_key){f->at, i, f->entity, false};
    }
    return n;
}

static void write_steps(writer *w) {
    incident *out = w->out;
    enum { KEYS = FACTS_MAX };
    step_key *keys = arena_try_new_n(w->r->mem, step_key, KEYS);
    out->steps = arena_try_new_n(&out->mem, incident_step, INCIDENT_STEPS_MAX);
    if (!keys || !out->steps) return;
    size_t n = collect_steps(w, keys, KEYS);
    for (size_t i = 1; i < n; i++) {
        step_key k = keys[i];
        size_t at = i;
        for (; at > 0 && step_before(w, &k, &keys[at - 1]); at--) keys[at] = keys[at - 1];
        keys[at] = k;
    }
    for (size_t i = 0; i < n && out->step_count < INCIDENT_STEPS_MAX; i++) {
        const fact *f = &w->r->facts[keys[i].fact];
        incident_step *s = &out->steps[out->step_count++];
        const incident_finding *x = &out->findings[f->index];
        s->ts_ns = w->r->ordered ? fact_ns(f) : TS_NONE;
        s->entity = w->entity_of[keys[i].cand];
        s->named = keys[i].named;
        s->what = x->f.template_text;
        s->title = x->title;
        s->finding = f->index;
        s->evidence = x->evidence;
    }
}

static void add_edge(writer *w, int from, int to, edge_reason reason) {
    incident *out = w->out;
    if (out->path_count == INCIDENT_PATH_MAX) return;
    incident_edge *g = &out->path[out->path_count++];
    g->from = w->entity_of[from];
    g->to = w->entity_of[to];
    g->reason = reason;
    g->mentions = reason == EDGE_MENTION ? w->r->blame_records[to][from] : 0;
    g->finding =
        finding_of(w, reason == EDGE_MENTION ? w->r->blame_fact[to][from] : w->r->cand[to].first);
    g->evidence = evidence_of(out, g->finding);
}

/* The unreached failing candidate with the earliest onset that names a reached one (`*ret_by`). */
static int next_on_path(const writer *w, uint64_t reached, int *ret_by) {
    const ranking *r = w->r;
    int next = RANK_NONE;
    for (size_t a = 0; a < r->cand_count; a++) {
        if (reached >> a & 1 || !r->cand[a].failing_facts) continue;
        if (w->entity_of[a] == INCIDENT_NONE) continue;
        int by = RANK_NONE;
        for (size_t b = 0; b < r->cand_count; b++) {
            bool names = reached >> b & 1 && r->blame[a][b] > 0;
            if (names && (by == RANK_NONE || r->blame[a][b] > r->blame[a][by])) by = (int)b;
        }
        if (by == RANK_NONE) continue;
        if (next == RANK_NONE || r->cand[a].at < r->cand[next].at) {
            next = (int)a;
            *ret_by = by;
        }
    }
    return next;
}

static void write_path(writer *w) {
    const ranking *r = w->r;
    incident *out = w->out;
    out->path = arena_try_new_n(&out->mem, incident_edge, INCIDENT_PATH_MAX);
    if (!out->path || !out->entity_count) return;
    int root = r->order[0], by = RANK_NONE;
    uint64_t reached = 1ull << root;
    for (int a; (a = next_on_path(w, reached, &by)) != RANK_NONE;) {
        add_edge(w, by, a, EDGE_MENTION);
        reached |= 1ull << a;
    }
    for (size_t i = 1; i < r->cand_count && r->ordered; i++) {
        int a = r->order[i];
        const candidate *c = &r->cand[a];
        if (reached >> a & 1 || !c->failing_facts || w->entity_of[a] == INCIDENT_NONE) continue;
        if (c->at + r->slack >= r->cand[root].at) add_edge(w, root, a, EDGE_ORDER);
    }
}

static void write_affected(writer *w) {
    const ranking *r = w->r;
    incident *out = w->out;
    str *list = arena_try_new_n(&out->mem, str, ENTITIES_MAX);
    if (!list || !out->entity_count) return;
    uint64_t done = 0;
    for (;;) {
        int next = RANK_NONE;
        for (size_t c = 0; c < r->cand_count; c++) {
            if (done >> c & 1 || !r->cand[c].failing_facts) continue;
            if (next == RANK_NONE || r->cand[c].at < r->cand[next].at) next = (int)c;
        }
        if (next == RANK_NONE) break;
        done |= 1ull << next;
        str service = r->cand[next].e.service;
        bool skip = service.n == 0;
        for (size_t i = 0; i < out->affected_count; i++) skip |= str_eq(list[i], service);
        if (!skip) list[out->affected_count++] = keep(out, service);
    }
    out->affected = list;
}

static void write_alternatives(writer *w) {
    incident *out = w->out;
    out->confidence = w->r->confidence;
    out->alternatives = arena_try_new_n(&out->mem, incident_alternative, INCIDENT_ALTERNATIVES_MAX);
    if (!out->alternatives || out->entity_count < 2) return;
    double sum = 0, top = out->entities[0].score;
    for (size_t i = 1; i < out->entity_count; i++) sum += out->entities[i].score;
    for (size_t i = 1; i < out->entity_count; i++) {
        const incident_entity *e = &out->entities[i];
        if (out->alternative_count == INCIDENT_ALTERNATIVES_MAX || e->score < 0.2 * top) break;
        incident_alternative *a = &out->alternatives[out->alternative_count++];
        a->entity = i;
        a->anomaly_type = e->anomaly_type;
        a->title = e->title;
        /* What is left of certainty, by score, and never more than the first. */
        a->confidence = MIN(out->confidence, (1 - out->confidence) * e->score / sum);
        a->finding = e->finding;
        a->evidence = evidence_of(out, e->finding);
    }
}

static void write_timeline(writer *w) {
    incident *out = w->out;
    out->timeline = arena_try_new_n(&out->mem, incident_event, INCIDENT_TIMELINE_MAX);
    if (!out->timeline) return;
    size_t n = 0;
    for (size_t i = 0; i < out->change_count; i++) {
        const incident_change *c = &out->changes[i];
        out->timeline[n++] = (incident_event){c->ts_ns,   TIMELINE_CHANGE, c->service,
                                              STR_NONE,   c->text,         {STR_NONE, STR_NONE},
                                              LEVEL_NONE, INCIDENT_NONE,   INCIDENT_NONE};
    }
    int64_t last = out->looked_at.last_ns;
    for (size_t i = 0; i < out->finding_count && n < INCIDENT_TIMELINE_MAX; i++) {
        const incident_finding *x = &out->findings[i];
        int64_t at = x->f.onset_ns != TS_NONE ? x->f.onset_ns : x->f.from_ns;
        if (!x->in_incident || at == TS_NONE) continue;
        incident_event ev = {at,
                             TIMELINE_ONSET,
                             x->f.service,
                             x->f.component,
                             x->f.template_text,
                             x->title,
                             x->f.level,
                             i,
                             x->evidence};
        out->timeline[n++] = ev;
        bool ended =
            x->f.to_ns != TS_NONE && last != TS_NONE && ns_between(x->f.to_ns, last) > 120 * SECOND;
        if (i == out->cause.finding && ended && x->f.to_ns > at && n < INCIDENT_TIMELINE_MAX) {
            ev.kind = TIMELINE_END;
            ev.ts_ns = x->f.to_ns;
            out->timeline[n++] = ev;
        }
    }
    for (size_t i = 1; i < n; i++) {
        incident_event ev = out->timeline[i];
        size_t at = i;
        for (; at > 0 && out->timeline[at - 1].ts_ns > ev.ts_ns; at--) {
            out->timeline[at] = out->timeline[at - 1];
        }
        out->timeline[at] = ev;
    }
    out->timeline_count = n;
}

/* --- changes ------------------------------------------------------------------------------------
 */

static void add_change(writer *w, const template_info *t, bool new_line) {
    incident *out = w->out;
    size_t at = out->change_count;
    /* Latest first; when full the oldest goes. */
    while (at > 0 && out->changes[at - 1].ts_ns < t->first_ns) at--;
    if (at == INCIDENT_CHANGES_MAX) return;
    if (out->change_count < INCIDENT_CHANGES_MAX) out->change_count++;
    memmove(&out->changes[at + 1], &out->changes[at],
            (out->change_count - 1 - at) * sizeof(incident_change));
    incident_change *c = &out->changes[at];
    memset(c, 0, sizeof(*c));
    c->ts_ns = t->first_ns;
    c->before_ns = ns_between(t->first_ns, out->onset_ns);
    c->new_line = new_line;
    c->ref = t->first_ref;
    c->input = keep(out, input_name(w->report, &t->first_ref));
    c->text = keep(out, t->text);
    if (t->first_ref.file < w->report->count) {
        c->service = keep(out, w->report->inputs[t->first_ref.file].service);
    }
}

static rc quote_changes(writer *w, err *e) {
    incident *out = w->out;
    if (!w->in->source || out->change_count == 0) return RC_OK;
    log_ref refs[INCIDENT_CHANGES_MAX];
    str texts[INCIDENT_CHANGES_MAX];
    for (size_t i = 0; i < out->change_count; i++) refs[i] = out->changes[i].ref;
    rc code = w->in->source->ops->fetch_logs(w->in->source->ctx, refs, out->change_count,
                                             INCIDENT_TEXT_BYTES, w->r->mem, texts, e);
    for (size_t i = 0; code == RC_OK && i < out->change_count; i++) {
        if (!texts[i].p) continue;
        size_t line_end = str_find_char(texts[i], '\n', 0);
        out->changes[i].text = keep(out, str_sub(texts[i], 0, line_end));
    }
    return code;
}

/* The next word of letters that says what a text is about, in lower case; empty at the end. */
static str next_topic(str text, size_t *at, char folded[WORD_BYTES_MAX]) {
    static const char *const hollow[] = {
        "error",   "warning",  "failed", "failure", "info",     "debug",     "after",   "before",
        "with",    "from",     "into",   "this",    "that",     "been",      "have",    "http",
        "https",   "time",     "times",  "service", "server",   "request",   "client",  "response",
        "started", "starting", "start",  "stopped", "requests", "thread",    "status",  "code",
        "level",   "message",  "logger", "java",    "null",     "none",      "true",    "false",
        "line",    "exec",     "trace",  "seconds", "main",     "exception", "minutes", "user"};
    while (*at < text.n) {
        size_t n = 0;
        for (; *at < text.n && (text.p[*at] | 32) >= 'a' && (text.p[*at] | 32) <= 'z'; ++*at) {
            if (n < WORD_BYTES_MAX) folded[n++] = (char)(text.p[*at] | 32);
        }
        if (!n) ++*at;
        str word = str_make(folded, n);
        bool says = n >= WORD_BYTES_MIN;
        for (size_t i = 0; says && i < ARRAY_LEN(hollow); i++)
            says = !str_eq(word, str_c(hollow[i]));
        if (says) return word;
    }
    return STR_NONE;
}

static void add_topics(intern *topics, str text) {
    char folded[WORD_BYTES_MAX];
    size_t at = 0;
    for (str word; (word = next_topic(text, &at, folded)).n;) intern_put(topics, word);
}

/* What the failure is about: the entity that failed first, its first lines, those of the cause. */
static void failure_topics(const writer *w, intern *topics) {
    const ranking *r = w->r;
    if (!w->out->entity_count) return;
    const candidate *root = &r->cand[r->order[0]];
    add_topics(topics, root->e.name);
    add_topics(topics, root->e.component);
    int facts[] = {root->first, w->cause};
    for (size_t k = 0; k < ARRAY_LEN(facts); k++) {
        if (facts[k] == RANK_NONE) continue;
        const fact *f = &r->facts[facts[k]];
        for (size_t i = 0; i < f->text_count; i++) add_topics(topics, f->texts[i]);
    }
}

static size_t shared_topics(const intern *topics, str line) {
    char folded[WORD_BYTES_MAX];
    size_t n = 0, at = 0;
    line = str_sub(line, 0, NEW_LINE_BYTES);
    for (str word; (word = next_topic(line, &at, folded)).n;) {
        n += intern_get(topics, word) != INTERN_NONE;
    }
    return n;
}

/* The line is part of the incident as it is told already. */
static bool is_told(const writer *w, uint64_t template_id) {
    for (size_t i = 0; i < w->r->fact_count; i++) {
        const fact *f = &w->r->facts[i];
        if (f->f->template_id == template_id && f->failing) return true;
    }
    for (size_t i = 0; i < w->out->sign_count; i++) {
        if (w->out->findings[w->out->signs[i]].f.template_id == template_id) return true;
    }
    return false;
}

/* How much a line that is no known kind of change looks like what set the failure off; 0: not. */
static size_t just_before(const writer *w, const intern *topics, const template_info *t) {
    const incident *out = w->out;
    int64_t before = ns_between(t->first_ns, out->onset_ns);
    bool candidate_line = before > 0 && before <= JUST_BEFORE_NS && t->count <= NEW_LINE_COUNT &&
                          t->max_severity < SEV_WARN &&
                          ns_between(out->looked_at.first_ns, t->first_ns) >= ROUTINE_NS;
    if (!candidate_line || !out->entity_count || is_told(w, t->id)) return 0;
    size_t shared = shared_topics(topics, t->text);
    bool own = out->looked_at.services > 1 && t->first_ref.file < w->report->count &&
               str_eq(w->report->inputs[t->first_ref.file].service, out->entities[0].service) &&
               out->entities[0].service.n;
    return shared + own;
}

typedef struct new_line {
    size_t place, shared; /* index of the template */
    int64_t at;
} new_line;

static void note_new_line(new_line best[NEW_LINES_MAX], new_line x) {
    for (size_t i = 0; i < NEW_LINES_MAX && x.shared; i++) {
        bool better =
            x.shared > best[i].shared || (x.shared == best[i].shared && x.at > best[i].at);
        if (!better) continue;
        new_line worse = best[i];
        best[i] = x;
        x = worse;
    }
}

static rc write_changes(writer *w, err *e) {
    incident *out = w->out;
    out->changes = arena_try_new_n(&out->mem, incident_change, INCIDENT_CHANGES_MAX + 1);
    if (!out->changes || !w->in->miner || out->onset_ns == TS_NONE) return RC_OK;
    /* The hour ends where the first sign was seen, if there was one. */
    int64_t from = out->onset_ns;
    if (out->sign_count) from = MIN(from, out->findings[out->signs[0]].f.onset_ns);
    from = from > INT64_MIN + CHANGE_BEFORE_NS ? from - CHANGE_BEFORE_NS : INT64_MIN + 1;
    template_info t;
    new_line best[NEW_LINES_MAX] = {{0}};
    intern topics;
    intern_init(&topics, "topics of the failure", TOPICS_MAX, TOPICS_MAX * WORD_BYTES_MAX);
    failure_topics(w, &topics);
    for (size_t i = 0; miner_template_at(w->in->miner, i, &t) == RC_OK; i++) {
        if (t.first_ns == TS_NONE || t.first_ns > out->onset_ns || t.first_ns < from) continue;
        /* Seen from the begin and often: routine, only its beginning is not in the data. */
        if (ns_between(out->looked_at.first_ns, t.first_ns) < ROUTINE_NS && t.count > 3) continue;
        rule_match found[2];
        rule_subject subject = {&t.text, 1, -1};
        size_t n = w->in->rules ? rules_match(w->in->rules, &subject, found, ARRAY_LEN(found)) : 0;
        if (n && rca_is_change_rule(found[0].rule)) {
            add_change(w, &t, false);
        } else {
            note_new_line(best, (new_line){i, just_before(w, &topics, &t), t.first_ns});
        }
    }
    intern_release(&topics);
    for (size_t i = 0; i < NEW_LINES_MAX && out->change_count < INCIDENT_CHANGES_MAX; i++) {
        if (best[i].shared && miner_template_at(w->in->miner, best[i].place, &t) == RC_OK) {
            add_change(w, &t, true);
        }
    }
    return quote_changes(w, e);
}

/* --- earlier signs -------------------------------------------------------------------------------
 */

static void add_sign(incident *out, size_t finding_index, int64_t at) {
    size_t place = out->sign_count;
    while (place > 0 && out->findings[out->signs[place - 1]].f.onset_ns > at) place--;
    if (place == INCIDENT_SIGNS_MAX) return;
    if (out->sign_count < INCIDENT_SIGNS_MAX) out->sign_count++;
    for (size_t i = out->sign_count - 1; i > place; i--) out->signs[i] = out->signs[i - 1];
    out->signs[place] = finding_index;
}

/* Whether the finding's template or first record names the root. */
static bool names_root(const writer *w, const name_book *root, const warning *x) {
    str texts[] = {w->out->findings[x->index].f.template_text, x->record};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        mention found[MENTIONS_MAX];
        size_t n = texts[i].p ? mentions_find(root, texts[i], w->r->mem, found) : 0;
        for (size_t k = 0; k < n; k++) {
            if (found[k].kind == MENTION_KNOWN) return true;
        }
    }
    return false;
}

/* A finding outside the incident, in the hour before it, that a rule calls a cause. */
static bool hints_at_a_cause(const writer *w, const incident_finding *x, int64_t onset) {
    enum { RANK_OF_CAUSES = 60 };
    int64_t at = x->f.onset_ns;
    if (x->in_incident || !x->anomaly_type.n || at == TS_NONE || at >= onset) return false;
    for (size_t i = 0; i < w->out->sign_count; i++) {
        if (&w->out->findings[w->out->signs[i]] == x) return false;
    }
    const rule *r = rules_get(w->in->rules, x->anomaly_type);
    return ns_between(at, onset) <= CHANGE_BEFORE_NS + ROUTINE_NS && r &&
           r->cause_rank >= RANK_OF_CAUSES;
}

/* The records of a burst may be those of the failure itself: its window only begins earlier. */
static bool is_the_failure(const writer *w, const finding *f) {
    const ranking *r = w->r;
    for (size_t i = 0; f->ref_count && i < r->fact_count; i++) {
        if (r->facts[i].failing && r->facts[i].f != f && has_ref(r->facts[i].f, &f->refs[0])) {
            return true;
        }
    }
    return false;
}

static void write_signs(writer *w) {
    const ranking *r = w->r;
    incident *out = w->out;
    if (!r->timed || !out->entity_count) return;
    int root = r->order[0];
    int64_t onset = out->entities[0].onset_ns;
    for (size_t i = 0; i < r->fact_count; i++) {
        const fact *f = &r->facts[i];
        bool early = f->at < r->cand[root].at - r->slack;
        if (is_the_failure(w, f->f)) continue;
        if (f->entity == root && !f->failing && early) add_sign(out, f->index, fact_ns(f));
    }
    name_book book;
    name_book_init(&book);
    name_book_add(&book, r->cand[root].e.name);
    for (size_t i = 0; i < r->warning_count; i++) {
        size_t index = r->warnings[i].index;
        const finding *f = &out->findings[index].f;
        if (f->onset_ns == TS_NONE || f->onset_ns >= onset) continue;
        bool own = str_eq(f->service, r->cand[root].e.name) && f->level >= LEVEL_MEDIUM;
        bool others = !str_eq(f->service, r->cand[root].e.name);
        if (own || (others && names_root(w, &book, &r->warnings[i]))) {
            add_sign(out, index, f->onset_ns);
        }
    }
    name_book_release(&book);
    for (size_t i = 0; i < out->finding_count; i++) {
        if (out->sign_count == INCIDENT_SIGNS_MAX) break;
        const incident_finding *x = &out->findings[i];
        if (hints_at_a_cause(w, x, onset)) add_sign(out, i, x->f.onset_ns);
    }
}

rc rca_write(const rca_input *in, const source_report *report, const ranking *r, incident *ret,
             err *e) {
    writer w = {.in = in, .report = report, .r = r, .out = ret};
    write_entities(&w);
    write_cause(&w);
    write_evidence(&w);
    write_signs(&w);
    rc code = write_changes(&w, e);
    if (code != RC_OK) return code;
    ret->cause.evidence = evidence_of(ret, ret->cause.finding);
    write_steps(&w);
    write_path(&w);
    write_affected(&w);
    write_alternatives(&w);
    write_timeline(&w);
    return RC_OK;
}
