/* gather.h - one scan of a source into what the detectors work through: a miner, a profile and
 * sessions. Every worker has its own; they are merged in the order of workers at the end, and since
 * each of them is independent of order, the result does not depend on the number of workers. */
#ifndef FL_DETECT_GATHER_H
#define FL_DETECT_GATHER_H

#include "detect/profile.h"
#include "detect/sessions.h"
#include "mine/mine.h"
#include "model/source.h"

enum { GATHER_WORKERS_MAX = 64 };

typedef struct gather_want {
    miner_opts miner;
    bool profile; /* keep one */
    log_profile_opts profile_opts;
    bool sessions; /* collect them: by session_regex, or by trace id when it is empty */
    str session_regex;
    const char *session_option; /* what the user calls it, for messages */
    session_opts session_opts;  /* of each worker */
    bool keep_shapes;           /* sessions keep shapes as events: the caller groups later */
    bool endless;               /* a followed source: being cancelled is its end */
    int64_t from_ns, to_ns;     /* as in log_scan */
    str service;                /* as in log_scan */
    unsigned workers;
    const volatile int *cancel;
    /* Called for every batch by its worker after mining, when set. */
    void (*each_batch)(void *ctx, unsigned worker, const log_batch *b);
    void *each_ctx;
} gather_want;

/* Owned by the caller: gather_release. */
typedef struct gathered {
    miner *miner;          /* grouped */
    log_profile *profile;  /* NULL unless wanted */
    session_set *sessions; /* NULL unless wanted */
} gathered;

MUST_CHECK rc gather(const source *src, const gather_want *want, gathered *ret, err *e);
void gather_release(gathered *g);

#endif
