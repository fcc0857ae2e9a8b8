/* rca.c - from findings to an incident: the frame.
 *
 *   findings -> clusters in time -> facts of the heaviest cluster (texts fetched, rules matched)
 *            -> rank.c (who failed first) -> write.c (what the incident says)
 *
 * Clusters: findings at Medium or above are intervals [onset, end], of which at most the first hour
 * counts (what goes on for days must not glue everything after it together); intervals that
 * overlap, or lie within a slack of each other (a twentieth of the data's range, one to fifteen
 * minutes), are one incident. The heaviest (highest level, then sum of weights) is reported, the
 * others are listed. Low findings inside it are facts too, outside they are minor observations:
 * alone they are no incident.
 *
 * The order axis: seconds of the onset; without any time, the position in the input when there is
 * only one input; else there is no order and the report says so by its lower confidence.
 *
 * Verdict: facts -> abnormal; none, and the detectors say that they could not tell, or nothing was
 * read -> undetermined; else nothing abnormal found. */
#include "rca/rca.h"

#include "base/mem.h"
#include "rca/write_int.h"

enum { SCRATCH_MAX = 256 << 20, CLUSTERS_MAX = 256 };

static int64_t onset_of(const finding *f) {
    return f->onset_ns != TS_NONE ? f->onset_ns : f->from_ns;
}
static int64_t end_of(const finding *f) {
    int64_t on = onset_of(f);
    return f->to_ns != TS_NONE && f->to_ns > on ? f->to_ns : on;
}

typedef struct cluster {
    int64_t from, last; /* first and last onset */
    int64_t to;         /* latest end */
    int64_t reach;      /* until when a further onset joins */
    finding_level level;
    double weight;
    size_t count;
} cluster;

static const int64_t SECOND = 1000000000, JOIN_NS = 3600 * 1000000000ll;

static int64_t cluster_slack(const incident *in) {
    const incident_looked_at *l = &in->looked_at;
    int64_t range = l->first_ns != TS_NONE && l->last_ns > l->first_ns
                        ? ns_between(l->first_ns, l->last_ns)
                        : 0;
    return MIN(15 * 60 * SECOND, MAX(60 * SECOND, range / 20));
}

/* Significant findings by onset (insertion of indices: there are few hundred). */
static size_t sort_significant(const finding_set *s, uint32_t *ret) {
    size_t n = 0;
    for (size_t i = 0; i < s->items.n; i++) {
        const finding *f = &s->items.v[i];
        if (f->level < LEVEL_MEDIUM) continue;
        size_t at = n++;
        for (; at > 0 && onset_of(&s->items.v[ret[at - 1]]) > onset_of(f); at--) {
            ret[at] = ret[at - 1];
        }
        ret[at] = (uint32_t)i;
    }
    return n;
}

/* Returns the number of clusters, oldest first. Findings without time join the first one. */
static size_t find_clusters(const finding_set *s, int64_t slack, arena *tmp, cluster *ret) {
    uint32_t *order = arena_bytes(tmp, (s->items.n + 1) * sizeof(*order), _Alignof(uint32_t));
    size_t n = sort_significant(s, order), count = 0;
    for (size_t i = 0; i < n; i++) {
        const finding *f = &s->items.v[order[i]];
        int64_t from = onset_of(f), to = end_of(f);
        cluster *c = count ? &ret[count - 1] : NULL;
        bool joins = c && (c->from == TS_NONE || ns_between(c->reach, from) <= slack ||
                           count == CLUSTERS_MAX);
        if (!joins) {
            c = &ret[count++];
            *c = (cluster){.from = from, .to = to, .reach = from};
        } else if (c->from == TS_NONE) {
            c->from = c->to = c->reach = from;
        }
        bool failing;
        c->weight += fact_weight(f, &failing);
        c->level = MAX(c->level, f->level);
        c->to = MAX(c->to, to);
        c->last = from;
        if (from != TS_NONE && ns_between(from, to) <= JOIN_NS) c->reach = MAX(c->reach, to);
        if (from != TS_NONE && ns_between(from, to) > JOIN_NS) {
            c->reach = MAX(c->reach, from + JOIN_NS);
        }
        c->count++;
    }
    return count;
}

static size_t heaviest(const cluster *c, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        bool higher = c[i].level > c[best].level;
        if (higher || (c[i].level == c[best].level && c[i].weight > c[best].weight)) best = i;
    }
    return best;
}

static bool belongs(const finding *f, const cluster *c, int64_t slack) {
    int64_t on = onset_of(f);
    if (on == TS_NONE || c->from == TS_NONE) return true;
    if (f->level >= LEVEL_MEDIUM) return on >= c->from && on <= c->last;
    return ns_between(on, c->from) <= slack && ns_between(c->last, on) <= slack;
}

/* Findings outside the incident that speak of trouble, best first. */
static void find_warnings(const incident *in, ranking *r) {
    for (size_t i = 0; i < in->finding_count && r->warning_count < WARNINGS_MAX; i++) {
        const finding *f = &in->findings[i].f;
        bool warns = f->failure_meaning >= 0.5 || f->severity >= SEV_WARN;
        if (in->findings[i].in_incident || !(warns || f->level >= LEVEL_MEDIUM)) continue;
        r->warnings[r->warning_count++] = (warning){.index = i};
    }
}

/* Reads the first records of facts and warnings, all in one request: for a compressed input every
 * request costs a pass over it. */
static rc fetch_texts(const rca_input *in, const incident *out, ranking *r, err *e) {
    size_t want = 0, room = r->fact_count * FACT_RECORDS + WARNINGS_MAX;
    log_ref *refs = arena_try_new_n(r->mem, log_ref, room);
    str **places = arena_try_new_n(r->mem, str *, room);
    str *texts = arena_try_new_n(r->mem, str, room);
    if (!refs || !places || !texts) {
        return FAIL(e, RC_LIMIT, "root cause analysis: too many findings");
    }
    for (size_t i = 0; i < r->fact_count; i++) {
        fact *f = &r->facts[i];
        for (size_t k = 0; k < f->f->ref_count && k < FACT_RECORDS; k++) {
            places[want] = &f->records[k];
            refs[want++] = f->f->refs[k];
        }
    }
    for (size_t i = 0; i < r->warning_count; i++) {
        const finding *f = &out->findings[r->warnings[i].index].f;
        if (f->ref_count == 0) continue;
        places[want] = &r->warnings[i].record;
        refs[want++] = f->refs[0];
    }
    if (in->source && want > 0) {
        rc code = in->source->ops->fetch_logs(in->source->ctx, refs, want, FACT_TEXT_BYTES, r->mem,
                                              texts, e);
        if (code != RC_OK) return code;
        for (size_t i = 0; i < want; i++) *places[i] = texts[i];
    }
    for (size_t i = 0; i < r->fact_count; i++) {
        fact *f = &r->facts[i];
        if (f->f->template_text.n) f->texts[f->text_count++] = f->f->template_text;
        for (size_t k = 0; k < FACT_RECORDS; k++) {
            if (f->records[k].p) f->texts[f->text_count++] = f->records[k];
        }
    }
    return RC_OK;
}

static const rule *match_best(const rules *set, const finding *f, const str *texts, size_t count) {
    rule_match found[4];
    rule_subject subject = {texts, count, (int)f->kind};
    size_t n = rules_match(set, &subject, found, ARRAY_LEN(found));
    for (size_t i = 0; i < n; i++) {
        if (!rca_is_change_rule(found[i].rule)) return found[i].rule;
    }
    return NULL;
}

/* By the texts; what stopped or slowed down has ordinary ones, then by what happened to them. */
static const rule *best_rule(const rules *set, const finding *f, const str *texts, size_t count,
                             arena *tmp) {
    if (!set) return NULL;
    const rule *r = match_best(set, f, texts, count);
    str event = STR_NONE;
    if (f->kind == FINDING_STOPPED) event = S("lines stopped");
    if (f->kind == FINDING_PARAM_OUTLIER && f->subject.n) {
        event = str_fmt(tmp, "parameter %.*s %.*s %s", STR_ARG(f->subject), STR_ARG(f->unit),
                        f->direction < 0 ? "fell" : "rose");
    }
    return r || !event.n ? r : match_best(set, f, &event, 1);
}

/* Services that the facts speak of: with one only, its components are the entities. */
static bool one_service_only(const ranking *r) {
    for (size_t i = 1; i < r->fact_count; i++) {
        if (!str_eq(r->facts[i].f->service, r->facts[0].f->service)) return false;
    }
    return true;
}

static void set_order_axis(ranking *r, const source_report *report, int64_t begin) {
    bool timed = begin != TS_NONE;
    bool one_input = report->count == 1 && report->inputs[0].bytes > 0;
    r->timed = timed;
    r->ordered = timed || one_input;
    /* Clocks of different hosts, and stamps of whole seconds, differ by a second or two. Without
     * time the axis is the share of the input, and a hundredth of it counts as the same moment. */
    r->slack = timed ? 2.0 : 0.01;
    for (size_t i = 0; i < r->fact_count; i++) {
        const finding *f = r->facts[i].f;
        if (timed && onset_of(f) != TS_NONE) {
            r->facts[i].at = (double)ns_between(begin, onset_of(f)) / 1e9;
        } else if (!timed && one_input && f->ref_count) {
            r->facts[i].at = (double)f->refs[0].offset / (double)report->inputs[0].bytes;
        }
    }
}

/* The first failure; precursors in the cluster (a growing number, say) are signs, not its begin. */
static int64_t begin_of(const ranking *r, const cluster *c) {
    if (!r->timed) return TS_NONE;
    int64_t first = TS_NONE;
    for (size_t i = 0; i < r->cand_count; i++) {
        const candidate *x = &r->cand[i];
        if (!x->failing_facts && !(x->e.blamed > 0)) continue;
        bool ahead = x->named != RANK_NONE && r->facts[x->named].at <= x->at;
        int64_t at = onset_of(r->facts[ahead ? x->named : x->first].f);
        if (at != TS_NONE && (first == TS_NONE || at < first)) first = at;
    }
    return first != TS_NONE ? first : c->from;
}

static void mark_members(const rca_input *in, const cluster *c, int64_t slack, incident *ret) {
    for (size_t i = 0; i < ret->finding_count; i++) {
        ret->findings[i].in_incident = belongs(&in->findings->items.v[i], c, slack);
    }
}

static rc analyze_cluster(const rca_input *in, const source_report *report, const cluster *c,
                          arena *tmp, incident *ret, err *e) {
    ranking *r = arena_try_new(tmp, ranking);
    if (!r) return FAIL(e, RC_LIMIT, "root cause analysis: out of its memory limit");
    r->mem = tmp;
    r->facts = arena_try_new_n(tmp, fact, FACTS_MAX);
    if (!r->facts) return FAIL(e, RC_LIMIT, "root cause analysis: out of its memory limit");
    for (size_t i = 0; i < ret->finding_count; i++) {
        const finding *f = &in->findings->items.v[i];
        if (!ret->findings[i].in_incident) continue;
        fact *x = &r->facts[r->fact_count++];
        x->f = f;
        x->index = i;
        x->entity = RANK_NONE;
        x->weight = fact_weight(f, &x->failing);
        x->told = finding_tells(f);
    }
    MUST(r->fact_count > 0);
    r->one_service = one_service_only(r);
    set_order_axis(r, report, c->from);
    find_warnings(ret, r);
    rc code = fetch_texts(in, ret, r, e);
    if (code != RC_OK) return code;
    for (size_t i = 0; i < r->fact_count; i++) {
        fact *f = &r->facts[i];
        f->rule = best_rule(in->rules, f->f, f->texts, f->text_count, tmp);
        if (!f->rule) continue;
        rca_name_rule(ret, f->rule, &ret->findings[f->index].anomaly_type,
                      &ret->findings[f->index].title);
    }
    rank_entities(r, in->profile);
    ret->verdict = VERDICT_ABNORMAL;
    ret->severity = c->level;
    ret->onset_ns = begin_of(r, c);
    ret->end_ns = c->to;
    ret->one_service = r->one_service;
    return rca_write(in, report, r, ret, e);
}

/* What other clusters were: their heaviest finding stands for them. */
static void add_others(const rca_input *in, const cluster *c, size_t count, size_t main,
                       int64_t slack, incident *ret) {
    ret->others = arena_try_new_n(&ret->mem, incident_other, INCIDENT_OTHERS_MAX);
    for (size_t i = 0; ret->others && i < count && ret->other_count < INCIDENT_OTHERS_MAX; i++) {
        if (i == main) continue;
        incident_other *o = &ret->others[ret->other_count++];
        *o = (incident_other){c[i].from, c[i].to, c[i].level, .finding_count = c[i].count};
        double best = -1;
        for (size_t k = 0; k < ret->finding_count; k++) {
            const finding *f = &in->findings->items.v[k];
            bool failing;
            double w = fact_weight(f, &failing);
            /* A share of errors states no line: the lines that it consists of tell more. */
            if (!f->template_text.n) w *= 0.1;
            if (f->level < LEVEL_MEDIUM || !belongs(f, &c[i], slack) || w <= best) continue;
            best = w;
            o->service = ret->findings[k].f.service;
            o->component = ret->findings[k].f.component;
            o->finding = k;
            o->anomaly_type = ret->findings[k].anomaly_type;
            o->title = ret->findings[k].title;
        }
    }
}

static str why_undetermined(const rca_input *in, const incident *ret) {
    if (ret->looked_at.input_count == 0 && in->source) return S("no_inputs");
    if (ret->looked_at.records == 0 && (in->source || in->summary)) return S("no_records");
    if (in->summary && in->summary->undetermined) {
        return in->summary->why_undetermined.n ? in->summary->why_undetermined : S("few_records");
    }
    return STR_NONE;
}

/* Rules are matched on the rest too (on their templates): tables and minor observations name them.
 */
static void name_the_rest(const rca_input *in, arena *tmp, incident *ret) {
    for (size_t i = 0; i < ret->finding_count; i++) {
        incident_finding *x = &ret->findings[i];
        if (x->in_incident || x->anomaly_type.n || !x->f.template_text.n) continue;
        const rule *best = best_rule(in->rules, &x->f, &x->f.template_text, 1, tmp);
        if (best) rca_name_rule(ret, best, &x->anomaly_type, &x->title);
    }
}

static rc analyze(const rca_input *in, arena *tmp, incident *ret, err *e) {
    source_report report = {.first_ns = TS_NONE, .last_ns = TS_NONE};
    if (in->source) in->source->ops->report(in->source->ctx, &report);
    rca_write_looked_at(in, &report, ret);
    rc code = rca_write_findings(in, &report, ret, e);
    if (code != RC_OK) return code;
    int64_t slack = cluster_slack(ret);
    cluster *clusters = arena_try_new_n(tmp, cluster, CLUSTERS_MAX);
    if (!clusters) return FAIL(e, RC_LIMIT, "root cause analysis: out of its memory limit");
    size_t count = find_clusters(in->findings, slack, tmp, clusters);
    if (count > 0) {
        size_t main = heaviest(clusters, count);
        mark_members(in, &clusters[main], slack, ret);
        name_the_rest(in, tmp, ret);
        code = analyze_cluster(in, &report, &clusters[main], tmp, ret, e);
        if (code != RC_OK) return code;
        add_others(in, clusters, count, main, slack, ret);
        return RC_OK;
    }
    name_the_rest(in, tmp, ret);
    ret->why_undetermined = why_undetermined(in, ret);
    ret->verdict = ret->why_undetermined.n ? VERDICT_UNDETERMINED : VERDICT_NORMAL;
    return RC_OK;
}

rc rca_logs(const rca_input *in, incident *ret, err *e) {
    MUST(in->findings);
    incident result;
    incident_init(&result);
    arena tmp;
    arena_init(&tmp, "rca scratch", SCRATCH_MAX);
    rc code = analyze(in, &tmp, &result, e);
    arena_release(&tmp);
    if (code != RC_OK) {
        incident_release(&result);
        return code;
    }
    *ret = result;
    return RC_OK;
}
