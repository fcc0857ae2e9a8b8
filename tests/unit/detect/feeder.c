#include "feeder.h"

#include <stdio.h>

void feeder_init(feeder *f, unsigned workers, uint64_t seed) {
    *f = (feeder){.workers = workers};
    rng_init(&f->r, seed);
    for (unsigned w = 0; w < workers; w++) {
        MUST(miner_new(&(miner_opts){0}, &f->m[w], NULL) == RC_OK);
        f->p[w] = log_profile_new(NULL);
        log_batch_init(&f->b[w]);
    }
}

void feeder_release(feeder *f) {
    for (unsigned w = 0; w < f->workers; w++) {
        miner_free(f->m[w]);
        log_profile_free(f->p[w]);
        log_batch_release(&f->b[w]);
    }
}

static void flush(feeder *f, unsigned w) {
    if (!f->b[w].count) return;
    MUST(miner_batch(f->m[w], &f->b[w], NULL) == RC_OK);
    MUST(log_profile_feed(f->p[w], &f->b[w], NULL) == RC_OK);
    log_batch_reset(&f->b[w]);
    f->at = (f->at + 1) % f->workers;
}

uint64_t feeder_log(feeder *f, int64_t ts_ns, const char *service, severity sev, const char *fmt,
                    ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    MUST(n >= 0 && (size_t)n < sizeof(text));
    log_batch *b = &f->b[f->at];
    log_record *rec = log_batch_add(b);
    MUST(rec);
    rec->ts_ns = ts_ns;
    rec->service = str_c(service);
    rec->severity = (uint8_t)sev;
    rec->body = rec->raw = str_dup(&b->mem, (str){text, (size_t)n});
    f->lines++;
    rec->ref = (log_ref){.offset = f->lines * 100, .line = f->lines, .bytes = (uint32_t)n};
    if (b->count == 100) flush(f, f->at);
    return f->lines;
}

void feeder_merge(feeder *f) {
    for (unsigned w = 0; w < f->workers; w++) flush(f, w);
    for (unsigned w = 1; w < f->workers; w++) {
        MUST(miner_merge(f->m[0], f->m[w], NULL) == RC_OK);
        MUST(log_profile_merge(f->p[0], f->p[w], NULL) == RC_OK);
    }
    miner_group(f->m[0]);
}

void feeder_detect(feeder *f, const detect_opts *opts, finding_set *out, detect_summary *sum) {
    feeder_merge(f);
    finding_set_init(out);
    MUST(detect_logs(f->p[0], f->m[0], opts, out, sum, NULL) == RC_OK);
}

const finding *feeder_find(const finding_set *s, finding_kind kind, const char *text) {
    for (size_t i = 0; i < s->items.n; i++) {
        const finding *f = &s->items.v[i];
        if (kind != FINDING_KIND_COUNT && f->kind != kind) continue;
        if (str_has(f->template_text, str_c(text)) || str_has(f->service, str_c(text))) return f;
    }
    return NULL;
}

size_t feeder_above_low(const finding_set *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->items.n; i++) n += s->items.v[i].level > LEVEL_LOW;
    return n;
}

void feeder_print(const finding_set *s) {
    for (size_t i = 0; i < s->items.n; i++) {
        const finding *f = &s->items.v[i];
        str level = finding_level_name(f->level), kind = finding_kind_name(f->kind);
        fprintf(stderr,
                "  %.*s %.*s %.1f bits onset +%.0f s n=%zu %.3g/%.3g %.*s line %zu %.*s | %.*s | "
                "%.*s\n",
                STR_ARG(level), STR_ARG(kind), f->surprise_bits,
                (double)(f->onset_ns - T0) / (double)SECOND, (size_t)f->record_count, f->observed,
                f->expected, STR_ARG(f->unit), f->ref_count ? (size_t)f->refs[0].line : 0,
                STR_ARG(f->service), STR_ARG(f->subject), STR_ARG(f->template_text));
    }
}
