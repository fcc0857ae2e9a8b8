#include "rca/conclude.h"

/* Sessions are known by their key alone; the service is that of the file in which it began. */
static void name_services(const source *src, finding_set *findings) {
    source_report rep;
    src->ops->report(src->ctx, &rep);
    for (size_t i = 0; i < findings->items.n; i++) {
        finding *f = &findings->items.v[i];
        if (f->service.n > 0 || f->ref_count == 0 || f->refs[0].file >= rep.count) continue;
        f->service = rep.inputs[f->refs[0].file].service;
    }
}

rc conclude(const conclude_input *in, finding_set *findings, detect_summary *ret_summary,
            incident *ret, err *e) {
    const gathered *now = in->now, *before = in->before;
    detect_opts opts = {.baseline = before ? before->profile : NULL};
    opts.baseline_miner = before && before->miner ? before->miner : in->known;
    rc got = detect_logs(now->profile, now->miner, &opts, findings, ret_summary, e);
    if (got == RC_OK && now->sessions != NULL) {
        got = detect_sessions(now->sessions, now->miner, findings, e);
        name_services(in->source, findings);
        finding_set_sort(findings);
    }
    if (got != RC_OK) return got;
    rca_input input = {.findings = findings,
                       .summary = ret_summary,
                       .profile = now->profile,
                       .miner = now->miner,
                       .source = in->source,
                       .rules = in->rules};
    return rca_logs(&input, ret, e);
}
