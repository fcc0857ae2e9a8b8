#include "store/embedded_int.h"

rc compactor_start(embedded *s, err *e) {
    (void)s, (void)e;
    return RC_OK;
}
void compactor_stop(embedded *s) { (void)s; }
void compactor_wake(embedded *s) { (void)s; }
rc compactor_run(store *base, const volatile int *cancel, err *e) {
    (void)cancel;
    writer_seal(embedded_of(base));
    return FAIL(e, RC_UNSUPPORTED, "compaction is not built in");
}
rc fsck_run(store *base, bool repair, void (*fn)(void *ctx, const fsck_finding *f), void *ctx,
            void (*progress)(void *ctx, uint64_t bytes, uint64_t total), err *e) {
    (void)base, (void)repair, (void)fn, (void)ctx, (void)progress;
    return FAIL(e, RC_UNSUPPORTED, "verification is not built in");
}
