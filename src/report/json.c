/* json.c - the machine-readable report: docs/schema/report.schema.json.
 *
 * Every key is always there (null or an empty list where nothing applies), so that readers need no
 * existence checks; texts are in the language asked for, identifiers are not translated. Evidence
 * is referred to by id, entities by name. */
#include "codec/json_write.h"
#include "codec/timestamp.h"
#include "report/formats_int.h"

#define SCHEMA_VERSION "1.0"

static void kv_or_null(json_writer *w, str key, str s) {
    json_write_key(w, key);
    if (s.n) {
        json_write_str(w, s);
    } else {
        json_write_null(w);
    }
}

static void kv_time(json_writer *w, str key, int64_t ns) {
    char text[TS_TEXT_BYTES];
    size_t n = ns == TS_NONE ? 0 : ts_format(ns, text);
    kv_or_null(w, key, str_make(text, n));
}

static void kv_u64(json_writer *w, str key, uint64_t v) {
    json_write_key(w, key);
    json_write_u64(w, v);
}

static void kv_null(json_writer *w, str key) {
    json_write_key(w, key);
    json_write_null(w);
}

static str text_of(const view *v, const incident_text *t) {
    return incident_text_in(t, v->lang == LANG_ZH);
}

static void put_ref(json_writer *w, str input, const log_ref *ref) {
    kv_or_null(w, S("file"), input);
    kv_u64(w, S("line"), ref->line);
    kv_u64(w, S("offset"), ref->offset);
    kv_u64(w, S("bytes"), ref->bytes);
}

static void put_strings(json_writer *w, str key, const str *items, size_t count) {
    json_write_key(w, key);
    json_write_array(w);
    for (size_t i = 0; i < count; i++) json_write_str(w, items[i]);
    json_write_array_end(w);
}

/* The fields of an anomaly result and of a root cause result, as the design names them. */
static void put_result(json_writer *w, view *v) {
    const incident *in = v->in;
    json_write_key(w, S("is_anomaly"));
    if (in->verdict == VERDICT_UNDETERMINED) {
        json_write_null(w);
    } else {
        json_write_bool(w, in->verdict == VERDICT_ABNORMAL);
    }
    kv_or_null(w, S("severity"), v->abnormal ? finding_level_name(in->severity) : STR_NONE);
    kv_or_null(w, S("anomaly_type"), in->anomaly_type);
    kv_or_null(w, S("root_cause"), v->abnormal ? v->headline : STR_NONE);
    put_strings(w, S("affected_services"), in->affected, in->affected_count);
    put_strings(w, S("remediation_steps"), v->todo, v->todo_count);
    json_write_key(w, S("confidence"));
    if (v->abnormal) {
        json_write_double(w, in->confidence);
    } else {
        json_write_null(w);
    }
    str explanation = v->story;
    if (v->explanation.n) {
        explanation = str_fmt(&v->mem, "%.*s%s%.*s", STR_ARG(v->explanation),
                              v->lang == LANG_ZH ? "" : " ", STR_ARG(v->story));
    }
    json_write_kv(w, S("explanation"), explanation);
    kv_time(w, S("timestamp"), in->made_ns != TS_NONE ? in->made_ns : in->looked_at.last_ns);
    kv_or_null(w, S("model"), in->model);
    json_write_key(w, S("token_usage"));
    json_write_object(w);
    kv_u64(w, S("input"), in->tokens_in);
    kv_u64(w, S("output"), in->tokens_out);
    json_write_object_end(w);
    json_write_kv_double(w, S("cost_usd"), in->cost_usd);
    json_write_kv_bool(w, S("cache_hit"), in->cache_hit);
}

static void put_entity_names(json_writer *w, const incident_entity *e) {
    json_write_kv(w, S("entity"), e->name);
    kv_or_null(w, S("service"), e->service);
    kv_or_null(w, S("component"), e->component);
    json_write_kv_bool(w, S("named_only"), e->named_only);
    kv_or_null(w, S("seen_by"), e->seen_by);
}

static void put_root(json_writer *w, view *v) {
    const incident *in = v->in;
    const incident_entity *root = v->abnormal ? &in->entities[in->root] : NULL;
    str service = root ? (root->service.n ? root->service : root->name) : STR_NONE;
    kv_or_null(w, S("root_cause_service"), service);
    kv_or_null(w, S("root_cause_component"), root ? root->component : STR_NONE);
    kv_or_null(w, S("root_cause_issue"), root ? text_of(v, &in->cause.title) : STR_NONE);
    kv_or_null(w, S("root_cause_category"), in->cause.category);
    kv_null(w, S("root_cause_change"));
    kv_time(w, S("onset"), in->onset_ns);
    kv_time(w, S("end"), in->end_ns);
    json_write_key(w, S("first_failure"));
    if (!root) {
        json_write_null(w);
        return;
    }
    json_write_object(w);
    kv_time(w, S("time"), root->onset_ns);
    put_entity_names(w, root);
    kv_or_null(w, S("evidence"), view_evidence_id(v, in->cause.evidence));
    json_write_object_end(w);
}

static void put_order(json_writer *w, view *v) {
    json_write_key(w, S("order_of_failures"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->step_count; i++) {
        const incident_step *s = &v->in->steps[i];
        json_write_object(w);
        kv_time(w, S("time"), s->ts_ns);
        json_write_kv(w, S("entity"), view_entity(v, s->entity));
        const incident_entity *e = &v->in->entities[s->entity];
        const finding *f = &v->in->findings[s->finding].f;
        kv_or_null(w, S("service"), s->named ? e->service : f->service);
        kv_or_null(w, S("component"), s->named ? e->component : f->component);
        json_write_kv_bool(w, S("named"), s->named);
        json_write_kv(w, S("what"), view_step(v, s));
        json_write_kv(w, S("template"), s->what);
        kv_u64(w, S("finding"), s->finding);
        kv_or_null(w, S("evidence"), view_evidence_id(v, s->evidence));
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_path(json_writer *w, view *v) {
    json_write_key(w, S("propagation_path"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->path_count; i++) {
        const incident_edge *g = &v->in->path[i];
        json_write_object(w);
        json_write_kv(w, S("from"), view_entity(v, g->from));
        json_write_kv(w, S("to"), view_entity(v, g->to));
        json_write_kv(w, S("reason"), edge_reason_name(g->reason));
        kv_u64(w, S("mentions"), g->mentions);
        kv_or_null(w, S("evidence"), view_evidence_id(v, g->evidence));
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

/* The path as chains of names from the root to each entity that nothing follows. */
static void put_dependency_paths(json_writer *w, view *v) {
    const incident *in = v->in;
    json_write_key(w, S("dependency_paths"));
    json_write_array(w);
    for (size_t i = 0; i < in->path_count; i++) {
        bool leaf = in->path[i].reason == EDGE_MENTION;
        for (size_t k = 0; k < in->path_count; k++) {
            leaf &= !(in->path[k].from == in->path[i].to && in->path[k].reason == EDGE_MENTION);
        }
        if (!leaf) continue;
        size_t chain[INCIDENT_PATH_MAX + 1], n = 0, at = in->path[i].to;
        chain[n++] = at;
        for (size_t guard = 0; guard < in->path_count && at != in->root; guard++) {
            for (size_t k = 0; k < in->path_count; k++) {
                if (in->path[k].to != at) continue;
                at = in->path[k].from;
                chain[n++] = at;
                break;
            }
        }
        json_write_array(w);
        while (n > 0) json_write_str(w, view_entity(v, chain[--n]));
        json_write_array_end(w);
    }
    json_write_array_end(w);
}

static void put_timeline(json_writer *w, view *v) {
    json_write_key(w, S("timeline"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->timeline_count; i++) {
        const incident_event *ev = &v->in->timeline[i];
        json_write_object(w);
        kv_time(w, S("time"), ev->ts_ns);
        json_write_kv(w, S("kind"), timeline_kind_name(ev->kind));
        kv_or_null(w, S("service"), ev->service);
        kv_or_null(w, S("component"), ev->component);
        json_write_kv(w, S("what"), view_what(v, &ev->title, ev->what));
        kv_or_null(w, S("level"),
                   ev->level == LEVEL_NONE ? STR_NONE : finding_level_name(ev->level));
        kv_or_null(w, S("evidence"), view_evidence_id(v, ev->evidence));
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_evidence(json_writer *w, view *v) {
    json_write_key(w, S("evidence"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->evidence_count; i++) {
        const incident_evidence *ev = &v->in->evidence[i];
        json_write_object(w);
        json_write_kv(w, S("id"), ev->id);
        put_ref(w, ev->input, &ev->ref);
        kv_time(w, S("time"), ev->ts_ns);
        kv_or_null(w, S("service"), ev->service);
        kv_or_null(w, S("component"), ev->component);
        json_write_kv(w, S("text"), ev->text);
        json_write_kv_bool(w, S("cut"), ev->cut);
        kv_u64(w, S("finding"), ev->finding);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_finding(json_writer *w, view *v, size_t i) {
    const incident_finding *x = &v->in->findings[i];
    const finding *f = &x->f;
    json_write_object(w);
    kv_u64(w, S("id"), i);
    json_write_kv(w, S("kind"), finding_kind_name(f->kind));
    json_write_kv(w, S("level"), finding_level_name(f->level));
    json_write_kv_bool(w, S("in_incident"), x->in_incident);
    kv_or_null(w, S("service"), f->service);
    kv_or_null(w, S("component"), f->component);
    json_write_kv(w, S("summary"), view_finding(v, f));
    kv_or_null(w, S("anomaly_type"), x->anomaly_type);
    kv_or_null(w, S("template"), f->template_text);
    kv_or_null(w, S("subject"), f->subject);
    json_write_kv_i64(w, S("direction"), f->direction);
    kv_time(w, S("onset"), f->onset_ns);
    kv_time(w, S("from"), f->from_ns);
    kv_time(w, S("to"), f->to_ns);
    json_write_kv_double(w, S("surprise_bits"), f->surprise_bits);
    json_write_kv_double(w, S("confidence"), f->confidence);
    json_write_kv_double(w, S("observed"), f->observed);
    json_write_kv_double(w, S("expected"), f->expected);
    kv_or_null(w, S("unit"), f->unit);
    kv_or_null(w, S("stated_severity"), severity_text((severity)f->severity));
    json_write_kv_double(w, S("failure_meaning"), f->failure_meaning);
    kv_u64(w, S("records"), f->record_count);
    json_write_key(w, S("refs"));
    json_write_array(w);
    for (size_t k = 0; k < f->ref_count; k++) {
        json_write_object(w);
        put_ref(w, x->inputs[k], &f->refs[k]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void put_alternatives(json_writer *w, view *v) {
    json_write_key(w, S("alternatives"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->alternative_count; i++) {
        const incident_alternative *a = &v->in->alternatives[i];
        json_write_object(w);
        put_entity_names(w, &v->in->entities[a->entity]);
        kv_or_null(w, S("anomaly_type"), a->anomaly_type);
        kv_or_null(w, S("issue"), text_of(v, &a->title));
        json_write_kv_double(w, S("confidence"), a->confidence);
        kv_or_null(w, S("evidence"), view_evidence_id(v, a->evidence));
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_signs(json_writer *w, view *v) {
    json_write_key(w, S("earlier_signs"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->sign_count; i++) {
        const incident_finding *x = &v->in->findings[v->in->signs[i]];
        json_write_object(w);
        kv_time(w, S("time"), x->f.onset_ns);
        kv_or_null(w, S("service"), x->f.service);
        kv_or_null(w, S("component"), x->f.component);
        json_write_kv(w, S("what"), view_finding(v, &x->f));
        kv_or_null(w, S("template"), x->f.template_text);
        kv_u64(w, S("finding"), v->in->signs[i]);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_changes(json_writer *w, view *v) {
    json_write_key(w, S("changes"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->change_count; i++) {
        const incident_change *c = &v->in->changes[i];
        json_write_object(w);
        kv_time(w, S("time"), c->ts_ns);
        json_write_kv(w, S("kind"), c->new_line ? S("new_line") : S("change"));
        json_write_kv_double(w, S("seconds_before_onset"), (double)c->before_ns / 1e9);
        kv_or_null(w, S("service"), c->service);
        put_ref(w, c->input, &c->ref);
        json_write_kv(w, S("text"), c->text);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_others(json_writer *w, view *v) {
    json_write_key(w, S("other_incidents"));
    json_write_array(w);
    for (size_t i = 0; i < v->in->other_count; i++) {
        const incident_other *o = &v->in->others[i];
        json_write_object(w);
        kv_time(w, S("onset"), o->onset_ns);
        kv_time(w, S("end"), o->end_ns);
        json_write_kv(w, S("severity"), finding_level_name(o->level));
        kv_or_null(w, S("service"), o->service);
        kv_or_null(w, S("component"), o->component);
        json_write_kv(w, S("what"), view_oddity(v, &o->title, &v->in->findings[o->finding].f));
        kv_or_null(w, S("anomaly_type"), o->anomaly_type);
        kv_u64(w, S("findings"), o->finding_count);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void put_impact(json_writer *w, view *v) {
    const incident *in = v->in;
    json_write_key(w, S("impact"));
    if (!v->abnormal) {
        json_write_null(w);
        return;
    }
    uint64_t records = 0;
    for (size_t i = 0; i < in->finding_count; i++) {
        if (in->findings[i].in_incident) records += in->findings[i].f.record_count;
    }
    json_write_object(w);
    kv_u64(w, S("services"), in->affected_count);
    kv_u64(w, S("abnormal_records"), records);
    json_write_key(w, S("seconds"));
    if (in->onset_ns == TS_NONE || in->end_ns == TS_NONE) {
        json_write_null(w);
    } else {
        json_write_double(w, (double)ns_between(in->onset_ns, in->end_ns) / 1e9);
    }
    json_write_object_end(w);
}

static void put_looked_at(json_writer *w, view *v) {
    static const str states[] = {S_INIT("ok"), S_INIT("partial"), S_INIT("skipped")};
    const incident_looked_at *l = &v->in->looked_at;
    json_write_key(w, S("looked_at"));
    json_write_object(w);
    kv_u64(w, S("records"), l->records);
    kv_u64(w, S("lines"), l->lines);
    kv_u64(w, S("bytes"), l->bytes);
    kv_u64(w, S("records_without_time"), l->records_without_time);
    kv_time(w, S("from"), l->first_ns);
    kv_time(w, S("to"), l->last_ns);
    kv_u64(w, S("services"), l->services);
    kv_u64(w, S("templates"), l->templates);
    kv_u64(w, S("series"), l->series);
    kv_u64(w, S("parameters"), l->params);
    kv_u64(w, S("records_not_kept"), l->records_not_kept);
    kv_u64(w, S("parameters_not_kept"), l->params_not_kept);
    kv_u64(w, S("inputs_with_problems"), l->problems);
    kv_u64(w, S("inputs_left_out"), l->inputs_left_out);
    json_write_key(w, S("inputs"));
    json_write_array(w);
    for (size_t i = 0; i < l->input_count; i++) {
        const input_info *x = &l->inputs[i];
        json_write_object(w);
        json_write_kv(w, S("name"), x->name);
        json_write_kv(w, S("state"), states[x->state]);
        kv_or_null(w, S("problem"), x->problem);
        kv_or_null(w, S("format"), x->format);
        kv_or_null(w, S("service"), x->service);
        kv_u64(w, S("bytes"), x->bytes);
        kv_u64(w, S("lines"), x->lines);
        kv_u64(w, S("records"), x->records);
        kv_u64(w, S("records_without_time"), x->records_without_time);
        kv_u64(w, S("multi_line_records"), x->multi_line_records);
        kv_u64(w, S("invalid_utf8_lines"), x->invalid_utf8_lines);
        kv_u64(w, S("nul_lines"), x->nul_lines);
        kv_u64(w, S("cut_lines"), x->cut_lines);
        kv_u64(w, S("out_of_order"), x->out_of_order);
        kv_time(w, S("from"), x->first_ns);
        kv_time(w, S("to"), x->last_ns);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

void report_json(view *v, const report_opts *opts, buf *out) {
    const incident *in = v->in;
    json_writer w;
    json_write_init(&w, out, 2);
    json_write_object(&w);
    json_write_kv(&w, S("schema_version"), S(SCHEMA_VERSION));
    json_write_kv(&w, S("generator"), S("faultline"));
    json_write_kv(&w, S("language"), opts->lang == LANG_ZH ? S("zh") : S("en"));
    json_write_kv(&w, S("verdict"), incident_verdict_name(in->verdict));
    kv_or_null(&w, S("why_undetermined"), in->why_undetermined);
    put_result(&w, v);
    put_root(&w, v);
    put_order(&w, v);
    put_path(&w, v);
    put_dependency_paths(&w, v);
    put_timeline(&w, v);
    put_evidence(&w, v);
    put_impact(&w, v);
    put_alternatives(&w, v);
    put_signs(&w, v);
    put_changes(&w, v);
    put_others(&w, v);
    json_write_key(&w, S("findings"));
    json_write_array(&w);
    for (size_t i = 0; i < in->finding_count; i++) put_finding(&w, v, i);
    json_write_array_end(&w);
    kv_u64(&w, S("findings_left_out"), in->findings_left_out);
    put_strings(&w, S("references"), in->cause.references, in->cause.reference_count);
    put_looked_at(&w, v);
    json_write_object_end(&w);
    buf_putc(out, '\n');
}
