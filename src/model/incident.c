#include "model/incident.h"

void incident_init(incident *in) {
    memset(in, 0, sizeof(*in));
    arena_init(&in->mem, "incident", INCIDENT_ARENA_MAX);
    in->onset_ns = in->end_ns = in->made_ns = TS_NONE;
    in->looked_at.first_ns = in->looked_at.last_ns = TS_NONE;
    in->root = INCIDENT_NONE;
    in->cause.finding = in->cause.evidence = INCIDENT_NONE;
}

void incident_release(incident *in) {
    if (!in) return;
    arena_release(&in->mem);
    memset(in, 0, sizeof(*in));
}

str incident_verdict_name(incident_verdict v) {
    static const str names[] = {S_INIT("undetermined"), S_INIT("normal"), S_INIT("abnormal")};
    MUST((unsigned)v < ARRAY_LEN(names));
    return names[v];
}

str edge_reason_name(edge_reason r) {
    static const str names[] = {S_INIT("mention"), S_INIT("order")};
    MUST((unsigned)r < ARRAY_LEN(names));
    return names[r];
}

str timeline_kind_name(timeline_kind k) {
    static const str names[] = {S_INIT("onset"), S_INIT("change"), S_INIT("end")};
    MUST((unsigned)k < ARRAY_LEN(names));
    return names[k];
}
