#include "detect/gather.h"

typedef struct share {
    miner *miner;
    log_profile *profile;
    session_set *sessions;
    session_key *key;
} share;

typedef struct scan_ctx {
    const gather_want *want;
    share shares[GATHER_WORKERS_MAX];
    unsigned count;
} scan_ctx;

static rc on_batch(void *ctx, unsigned worker, log_batch *b, err *e) {
    scan_ctx *s = ctx;
    MUST(worker < s->count);
    share *mine = &s->shares[worker];
    rc got = miner_batch(mine->miner, b, e);
    if (got == RC_OK && mine->profile != NULL) got = log_profile_feed(mine->profile, b, e);
    if (got == RC_OK && mine->sessions != NULL) {
        session_collect_batch(mine->sessions, mine->key, b, NULL);
    }
    if (got == RC_OK && s->want->each_batch != NULL)
        s->want->each_batch(s->want->each_ctx, worker, b);
    return got;
}

static void share_release(share *s) {
    miner_free(s->miner);
    log_profile_free(s->profile);
    session_set_free(s->sessions);
    session_key_free(s->key);
    *s = (share){0};
}

static rc shares_init(scan_ctx *s, err *e) {
    const gather_want *want = s->want;
    for (unsigned i = 0; i < s->count; i++) {
        rc got = miner_new(&want->miner, &s->shares[i].miner, e);
        if (got != RC_OK) return err_wrap(e, got, "--mask");
        if (want->profile) s->shares[i].profile = log_profile_new(&want->profile_opts);
        if (!want->sessions) continue;
        s->shares[i].sessions = session_set_new(&want->session_opts);
        got = session_key_new(want->session_regex, &s->shares[i].key, e);
        if (got != RC_OK) return err_wrap(e, got, "%s", want->session_option);
    }
    return RC_OK;
}

static rc shares_merge(scan_ctx *s, err *e) {
    share *into = &s->shares[0];
    for (unsigned i = 1; i < s->count; i++) {
        share *from = &s->shares[i];
        rc got = miner_merge(into->miner, from->miner, e);
        if (got == RC_OK && into->profile != NULL)
            got = log_profile_merge(into->profile, from->profile, e);
        if (got == RC_OK && into->sessions != NULL &&
            session_set_merge(into->sessions, from->sessions, e) != RC_OK)
            err_reset(e); /* counted by the set: session_set_totals */
        if (got != RC_OK) return got;
        share_release(from);
    }
    return RC_OK;
}

rc gather(const source *src, const gather_want *want, gathered *ret, err *e) {
    scan_ctx s = {.want = want, .count = MAX(want->workers, 1u)};
    MUST(s.count <= GATHER_WORKERS_MAX);
    log_scan what = {.from_ns = want->from_ns,
                     .to_ns = want->to_ns,
                     .service = want->service,
                     .workers = s.count,
                     .cancel = want->cancel};
    rc got = shares_init(&s, e);
    if (got == RC_OK) got = src->ops->scan_logs(src->ctx, &what, on_batch, &s, e);
    if (got == RC_CANCELLED && want->endless) got = RC_OK;
    if (got == RC_OK) got = shares_merge(&s, e);
    if (got != RC_OK) {
        for (unsigned i = 0; i < s.count; i++) share_release(&s.shares[i]);
        return got;
    }
    share *all = &s.shares[0];
    miner_group(all->miner);
    if (all->sessions != NULL && !want->keep_shapes)
        session_set_to_templates(all->sessions, all->miner);
    session_key_free(all->key);
    *ret = (gathered){.miner = all->miner, .profile = all->profile, .sessions = all->sessions};
    return RC_OK;
}

void gather_release(gathered *g) {
    session_set_free(g->sessions);
    log_profile_free(g->profile);
    miner_free(g->miner);
    *g = (gathered){0};
}
