/* select_pending.c - signals whose blocks are not built in yet answer "unsupported"; nothing of
 * them is stored (no encode). */
#include "store/select_int.h"

static rc pending(const char *what, err *e) {
    return FAIL(e, RC_UNSUPPORTED, "this build does not store %s", what);
}

/* ---- profiles ---- */
const block_ops PROFILE_BLOCKS = {.kind = BLOCK_PROFILES};
rc profiles_select(store *s, const profile_select *q, store_telemetry_sink sink, void *ctx,
                   select_stats *stats, err *e) {
    (void)s, (void)q, (void)sink, (void)ctx, (void)stats;
    return pending("profiles", e);
}
rc profiles_labels(store *s, str label, const select_common *q, store_name_sink sink, void *ctx,
                   select_stats *stats, err *e) {
    (void)s, (void)label, (void)q, (void)sink, (void)ctx, (void)stats;
    return pending("profiles", e);
}
