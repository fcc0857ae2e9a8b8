/* select_pending.c - signals whose blocks are not built in yet answer "unsupported"; nothing of
 * them is stored (no encode). */
#include "store/select_int.h"

static rc pending(const char *what, err *e) {
    return FAIL(e, RC_UNSUPPORTED, "this build does not store %s", what);
}

/* ---- logs ---- */
rc logs_select(store *s, const log_select *q, log_sink sink, void *ctx, select_stats *stats,
               err *e) {
    (void)s, (void)q, (void)sink, (void)ctx, (void)stats;
    return pending("logs", e);
}
rc logs_count(store *s, const log_select *q, const log_count_by *by, store_count_sink sink,
              void *ctx, select_stats *stats, err *e) {
    (void)s, (void)q, (void)by, (void)sink, (void)ctx, (void)stats;
    return pending("logs", e);
}
rc logs_labels(store *s, str label, const select_common *q, store_name_sink sink, void *ctx,
               select_stats *stats, err *e) {
    (void)s, (void)label, (void)q, (void)sink, (void)ctx, (void)stats;
    return pending("logs", e);
}
rc store_source_new(store *s, const log_select *base, source *ret, err *e) {
    (void)s, (void)base, (void)ret;
    return pending("logs", e);
}

/* ---- metrics ---- */
rc metrics_select(store *s, const metric_select *q, store_series_sink sink, void *ctx,
                  select_stats *stats, err *e) {
    (void)s, (void)q, (void)sink, (void)ctx, (void)stats;
    return pending("metrics", e);
}
rc metrics_labels(store *s, str label, const select_common *q, store_name_sink sink, void *ctx,
                  select_stats *stats, err *e) {
    (void)s, (void)label, (void)q, (void)sink, (void)ctx, (void)stats;
    return pending("metrics", e);
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
