/* Invented incidents in an invented shop, each with a quiet twin: the same traffic without the
 * fault. The fault must be found, with its onset within a bucket; the twin must give no finding
 * above Low. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "feeder.h"

enum { HOUR = 3600, FAULT_AT = 5400, DURATION = 2 * HOUR };

static unsigned poisson(rng *r, double mean) {
    double limit = exp(-mean), p = rng_double(r);
    unsigned k = 0;
    for (; p > limit && k < 1000; k++) p *= rng_double(r);
    return k;
}

static int64_t at(feeder *f, int t) {
    return T0 + t * SECOND + (int64_t)rng_below(&f->r, (uint64_t)SECOND);
}

static double latency(rng *r, double median) { return median * exp(0.5 * rng_normal(r)); }

typedef struct world {
    int duration;
    double rate;             /* requests a second */
    double daily;            /* 0..1: depth of the day's rhythm */
    double growth;           /* traffic at the end over traffic at the beginning */
    double bursts;           /* chance a second that a burst of normal traffic begins */
    int cron_every;          /* seconds between nightly jobs; 0 = none */
    int restart_every;       /* seconds between restarts; 0 = none */
    double warn_rate;        /* everyday warnings and errors a second */
    double latency_at_fault; /* factor, rising from FAULT_AT on */
    bool silent_payment;     /* payment says nothing after FAULT_AT */
    double heap_growth;      /* MB an hour */
} world;

static void normal_second(feeder *f, const world *w, int t, double *burst_left) {
    rng *r = &f->r;
    double rate = w->rate * (1 + (w->growth > 0 ? w->growth - 1 : 0) * t / w->duration);
    rate *= 1 - w->daily * 0.5 * (1 - cos(2 * M_PI * t / (24 * HOUR)));
    if (w->bursts > 0 && rng_double(r) < w->bursts) *burst_left = 20 + 100 * rng_double(r);
    if (*burst_left > 0) {
        rate *= 4;
        *burst_left -= 1;
    }
    double slow = 1;
    if (w->latency_at_fault > 0 && t > FAULT_AT) {
        slow = 1 + (w->latency_at_fault - 1) * (t - FAULT_AT) / (w->duration - FAULT_AT);
    }
    for (unsigned n = poisson(r, rate); n > 0; n--) {
        unsigned item = (unsigned)rng_below(r, 100000);
        feeder_log(f, at(f, t), "gateway", SEV_INFO, "GET /api/items/%u status=%d took %.1fms",
                   item, rng_below(r, 40) ? 200 : 404, slow * latency(r, 20));
        if (rng_below(r, 3) == 0) {
            feeder_log(f, at(f, t), "orders", SEV_INFO, "order %u created for user u%u", item,
                       (unsigned)rng_below(r, 9999));
            if (!(w->silent_payment && t > FAULT_AT)) {
                feeder_log(f, at(f, t), "payment", SEV_INFO,
                           "charge accepted: order %u amount %.2f", item, 5 + 95 * rng_double(r));
            }
        }
        if (rng_below(r, 5) == 0) {
            feeder_log(f, at(f, t), "orders", SEV_DEBUG, "cache miss for key item:%u", item);
        }
    }
    if (t % 10 == 0 && !(w->silent_payment && t > FAULT_AT)) {
        feeder_log(f, at(f, t), "payment", SEV_INFO, "heartbeat ok, %u workers idle",
                   (unsigned)rng_below(r, 8));
    }
    if (t % 15 == 0) {
        double heap = 400 + 30 * rng_double(r);
        if (w->heap_growth > 0) heap += w->heap_growth * t / HOUR;
        feeder_log(f, at(f, t), "orders", SEV_INFO, "gc pause %.1fms, heap used %.0fMB",
                   latency(r, 12), heap);
    }
    if (rng_double(r) < w->warn_rate) {
        switch (rng_below(r, 4)) {
        case 0:
            feeder_log(f, at(f, t), "gateway", SEV_WARN, "slow client 10.0.%u.%u, closing",
                       (unsigned)rng_below(r, 255), (unsigned)rng_below(r, 255));
            break;
        case 1:
            feeder_log(f, at(f, t), "orders", SEV_WARN, "retrying inventory call, attempt %u",
                       1 + (unsigned)rng_below(r, 2));
            break;
        case 2:
            feeder_log(f, at(f, t), "gateway", SEV_ERROR, "client disconnected before response %u",
                       (unsigned)rng_below(r, 100000));
            break;
        default:
            if (w->silent_payment && t > FAULT_AT) break;
            feeder_log(f, at(f, t), "payment", SEV_WARN, "card declined for order %u",
                       (unsigned)rng_below(r, 100000));
        }
    }
    if (w->cron_every && t % w->cron_every < 40) {
        feeder_log(f, at(f, t), "orders", SEV_INFO, "archive job: moved %u rows",
                   (unsigned)rng_below(r, 1000));
        feeder_log(f, at(f, t), "orders", SEV_INFO, "archive job: batch %u done",
                   (unsigned)rng_below(r, 1000));
    }
    if (w->restart_every && t % w->restart_every == w->restart_every / 2) {
        feeder_log(f, at(f, t), "payment", SEV_INFO, "received SIGTERM, shutting down");
        for (unsigned k = 0; k < 25; k++) {
            feeder_log(f, at(f, t + 2), "payment", SEV_INFO, "loaded plugin %u in %.1fms", k,
                       latency(r, 3));
        }
        feeder_log(f, at(f, t + 3), "payment", SEV_INFO, "started in %.2fs, listening on port 8443",
                   latency(r, 2));
    }
}

typedef void (*fault)(feeder *f, int t);

static uint64_t run(const world *w, fault inject, unsigned seed, finding_set *out,
                    detect_summary *sum) {
    feeder f;
    feeder_init(&f, 2, seed);
    double burst = 0;
    for (int t = 0; t < w->duration; t++) {
        normal_second(&f, w, t, &burst);
        if (inject) inject(&f, t);
    }
    feeder_detect(&f, NULL, out, sum);
    feeder_release(&f);
    return f.lines;
}

static const world shop = {.duration = DURATION, .rate = 6, .warn_rate = 0.02};

static size_t false_alarms;

static void quiet(const char *name, const world *w) {
    for (unsigned seed = 1; seed <= 3; seed++) {
        finding_set s;
        detect_summary sum;
        run(w, NULL, seed, &s, &sum);
        assert_false(sum.undetermined);
        if (feeder_above_low(&s)) {
            print_error("false alarms in %s, seed %u:\n", name, seed);
            feeder_print(&s);
        }
        false_alarms += feeder_above_low(&s);
        finding_set_release(&s);
    }
}

static void found(const char *name, const finding_set *s, finding_kind kind, const char *text,
                  finding_level level, double onset_s, double tolerance_s) {
    const finding *f = feeder_find(s, kind, text);
    double onset = f ? (double)(f->onset_ns - T0) / (double)SECOND : nan("");
    if (!f || f->level < level || fabs(onset - onset_s) > tolerance_s || !f->ref_count) {
        print_error("%s: looking for \"%s\" from %.0f s\n", name, text, onset_s);
        feeder_print(s);
    }
    assert_non_null(f);
    assert_true(f->level >= level);
    assert_true(fabs(onset - onset_s) <= tolerance_s);
    assert_true(f->ref_count > 0);
}

static void normal_days_give_nothing(void **state) {
    (void)state;
    quiet("steady", &shop);
    quiet("busy", &(world){.duration = HOUR, .rate = 30, .warn_rate = 0.2});
    quiet("quiet service", &(world){.duration = 6 * HOUR, .rate = 0.2, .warn_rate = 0.001});
    quiet("day rhythm",
          &(world){.duration = 48 * HOUR, .rate = 0.5, .daily = 0.9, .warn_rate = 0.005});
    quiet("half a day",
          &(world){.duration = 12 * HOUR, .rate = 1, .daily = 0.95, .warn_rate = 0.005});
    quiet("cron",
          &(world){.duration = 12 * HOUR, .rate = 1, .cron_every = HOUR, .warn_rate = 0.01});
    quiet("one nightly job",
          &(world){.duration = 12 * HOUR, .rate = 1, .cron_every = 7 * HOUR, .warn_rate = 0.01});
    quiet("bursts of traffic",
          &(world){.duration = 4 * HOUR, .rate = 3, .bursts = 0.001, .warn_rate = 0.02});
    quiet("growth", &(world){.duration = 8 * HOUR, .rate = 1, .growth = 6, .warn_rate = 0.02});
    quiet("restarts",
          &(world){.duration = 8 * HOUR, .rate = 2, .restart_every = 2 * HOUR, .warn_rate = 0.02});
    quiet("one restart",
          &(world){.duration = 3 * HOUR, .rate = 3, .restart_every = 4 * HOUR, .warn_rate = 0.02});
    assert_int_equal(false_alarms, 0);
}

static void redis_keys(feeder *f, int t) {
    if (t < FAULT_AT) return;
    if (t == FAULT_AT) {
        feeder_log(f, at(f, t), "redis", SEV_WARN, "slow command: KEYS session:* took 4180 ms");
    }
    if (t % 20 == 0) {
        feeder_log(f, at(f, t), "redis", SEV_WARN, "slow command: KEYS session:* took %u ms",
                   3000 + (unsigned)rng_below(&f->r, 2000));
    }
    if (t > FAULT_AT + 20) {
        feeder_log(f, at(f, t), "orders", SEV_ERROR,
                   "connection pool exhausted: active=50 idle=0 waiting=%u",
                   (unsigned)rng_below(&f->r, 200));
    }
    if (t > FAULT_AT + 30) {
        feeder_log(f, at(f, t), "gateway", SEV_ERROR,
                   "upstream orders timed out after 5000ms, request %u",
                   (unsigned)rng_below(&f->r, 100000));
    }
}

static void finds_redis_and_pool_and_timeouts(void **state) {
    (void)state;
    finding_set s;
    detect_summary sum;
    run(&shop, redis_keys, 11, &s, &sum);
    found("redis", &s, FINDING_KIND_COUNT, "slow command", LEVEL_LOW, FAULT_AT, 10);
    found("redis", &s, FINDING_KIND_COUNT, "connection pool", LEVEL_HIGH, FAULT_AT + 21, 10);
    found("redis", &s, FINDING_KIND_COUNT, "timed out", LEVEL_MEDIUM, FAULT_AT + 31, 10);
    found("redis", &s, FINDING_ERROR_RATIO, "orders", LEVEL_MEDIUM, FAULT_AT + 21, 16);
    assert_true(feeder_above_low(&s) <= 8);
    finding_set_release(&s);
}

static void oom(feeder *f, int t) {
    if (t == FAULT_AT + 1200) {
        feeder_log(f, at(f, t), "orders", SEV_ERROR,
                   "java.lang.OutOfMemoryError: Java heap space at handler %u",
                   (unsigned)rng_below(&f->r, 16));
        feeder_log(f, at(f, t + 1), "orders", SEV_FATAL, "terminating after fatal error, code 137");
    }
}

static void finds_memory_growth_and_oom(void **state) {
    (void)state;
    world w = shop;
    w.heap_growth = 900;
    finding_set s;
    detect_summary sum;
    run(&w, oom, 12, &s, &sum);
    found("oom", &s, FINDING_KIND_COUNT, "OutOfMemoryError", LEVEL_HIGH, FAULT_AT + 1200, 10);
    found("oom", &s, FINDING_KIND_COUNT, "terminating after fatal", LEVEL_HIGH, FAULT_AT + 1201,
          10);
    const finding *creep = feeder_find(&s, FINDING_PARAM_OUTLIER, "heap used");
    if (!creep) feeder_print(&s);
    assert_non_null(creep);
    assert_int_equal(creep->direction, 1);
    finding_set_release(&s);
}

static void certificate(feeder *f, int t) {
    if (t < FAULT_AT || t % 2) return;
    feeder_log(f, at(f, t), "payment", SEV_ERROR,
               "tls: failed to verify certificate: certificate has expired for bank%u.example",
               (unsigned)rng_below(&f->r, 3));
}

static void finds_certificate_expiry(void **state) {
    (void)state;
    finding_set s;
    detect_summary sum;
    run(&shop, certificate, 13, &s, &sum);
    found("certificate", &s, FINDING_KIND_COUNT, "certificate", LEVEL_HIGH, FAULT_AT, 8);
    found("certificate", &s, FINDING_ERROR_RATIO, "payment", LEVEL_MEDIUM, FAULT_AT, 10);
    finding_set_release(&s);
}

static void disk_full(feeder *f, int t) {
    if (t < FAULT_AT) return;
    for (unsigned n = poisson(&f->r, 2); n > 0; n--) {
        feeder_log(f, at(f, t), "orders", SEV_NONE,
                   "write /var/lib/orders/wal.%u: no space left on device",
                   (unsigned)rng_below(&f->r, 50));
    }
}

static void finds_disk_full_without_levels(void **state) {
    (void)state;
    finding_set s;
    detect_summary sum;
    run(&shop, disk_full, 14, &s, &sum);
    found("disk", &s, FINDING_KIND_COUNT, "no space left", LEVEL_HIGH, FAULT_AT, 8);
    finding_set_release(&s);
}

static void finds_a_silent_service(void **state) {
    (void)state;
    world w = shop;
    w.silent_payment = true;
    w.warn_rate = 0.001;
    finding_set s;
    detect_summary sum;
    run(&w, NULL, 15, &s, &sum);
    found("silent", &s, FINDING_STOPPED, "payment", LEVEL_MEDIUM, FAULT_AT, 16);
    assert_int_equal(feeder_find(&s, FINDING_STOPPED, "payment")->direction, -1);
    finding_set_release(&s);
}

/* A service of few lines says nothing for ten minutes while another goes on; by itself, bursty or
 * in batches, that is no news. */
static void finds_a_service_that_pauses(void **state) {
    (void)state;
    enum { STEADY, PAUSE, BURSTS, BATCHES, FORMS };
    for (unsigned form = 0; form < FORMS; form++) {
        for (unsigned seed = 1; seed <= 5; seed++) {
            feeder f;
            feeder_init(&f, 2, seed);
            double burst = 0;
            for (int t = 0; t < DURATION; t++) {
                for (unsigned n = poisson(&f.r, 1); n > 0; n--) {
                    feeder_log(&f, at(&f, t), "ledger", SEV_INFO, "posted entry %u",
                               (unsigned)rng_below(&f.r, 1000000));
                }
                double rate = 0.1;
                if (form == PAUSE && t >= FAULT_AT && t < FAULT_AT + 600) rate = 0;
                if (form == BURSTS) {
                    if (rng_double(&f.r) < 0.003) burst = 60;
                    rate = burst > 0 ? 1 : 0.01;
                    burst -= 1;
                }
                if (form == BATCHES) rate = t % 1500 < 900 ? 0.2 : 0;
                for (unsigned n = poisson(&f.r, rate); n > 0; n--) {
                    feeder_log(&f, at(&f, t), "mysqld", SEV_INFO, "Access granted for user 'u%u'",
                               (unsigned)rng_below(&f.r, 1000));
                }
            }
            finding_set s;
            detect_summary sum;
            feeder_detect(&f, NULL, &s, &sum);
            if (form == PAUSE) {
                found("pause", &s, FINDING_STOPPED, "mysqld", LEVEL_MEDIUM, FAULT_AT, 60);
                const finding *x = feeder_find(&s, FINDING_STOPPED, "mysqld");
                assert_int_equal(x->direction, -1);
                assert_int_equal(x->ref_count, 2);
                assert_in_range(x->to_ns, T0 + (FAULT_AT + 600) * SECOND,
                                T0 + (FAULT_AT + 680) * SECOND);
                assert_int_equal(feeder_above_low(&s), 1);
            } else {
                const finding *x = feeder_find(&s, FINDING_STOPPED, "mysqld");
                assert_true(!x || !str_eq(x->subject, S("paused")));
            }
            finding_set_release(&s);
            feeder_release(&f);
        }
    }
}

static void finds_latency_creep(void **state) {
    (void)state;
    world w = shop;
    w.latency_at_fault = 12;
    finding_set s;
    detect_summary sum;
    run(&w, NULL, 16, &s, &sum);
    found("creep", &s, FINDING_PARAM_OUTLIER, "took", LEVEL_MEDIUM, FAULT_AT + 300, 400);
    finding_set_release(&s);
}

static void one_fatal(feeder *f, int t) {
    if (t == FAULT_AT) {
        feeder_log(f, at(f, t), "orders", SEV_FATAL, "shard 7 lost its leader and gave up");
    }
}

/* A latency that grows slowly is found late; it is dated to where the growth began. */
static void a_slow_creep_is_dated_to_its_beginning(void **state) {
    (void)state;
    for (unsigned form = 0; form < 3; form++) {
        double minutes[] = {25, 60, 180}; /* to grow by its usual value */
        for (unsigned seed = 1; seed <= 3; seed++) {
            feeder f;
            feeder_init(&f, 1, seed);
            int begin = 4 * HOUR;
            for (int t = 0; t < 12 * HOUR; t++) {
                double grown = t < begin ? 1 : 1 + (t - begin) / 60.0 / minutes[form];
                feeder_log(&f, at(&f, t), "api", SEV_INFO, "GET /api/%u took %.1fms",
                           (unsigned)rng_below(&f.r, 10000), grown * latency(&f.r, 45));
            }
            finding_set s;
            detect_summary sum;
            feeder_detect(&f, NULL, &s, &sum);
            found("slow creep", &s, FINDING_PARAM_OUTLIER, "took", LEVEL_MEDIUM, begin,
                  0.25 * 60 * minutes[form]);
            finding_set_release(&s);
            feeder_release(&f);
        }
    }
}

static void finds_one_fatal_line(void **state) {
    (void)state;
    finding_set s;
    detect_summary sum;
    uint64_t lines = run(&shop, one_fatal, 17, &s, &sum);
    assert_true(lines > 40000);
    found("fatal", &s, FINDING_KIND_COUNT, "lost its leader", LEVEL_HIGH, FAULT_AT, 1);
    finding_set_release(&s);
}

static void everyday_error(feeder *f, int t) {
    double rate = t < FAULT_AT || t > FAULT_AT + 600 ? 0.02 : 3;
    for (unsigned n = poisson(&f->r, rate); n > 0; n--) {
        feeder_log(f, at(f, t), "gateway", SEV_ERROR, "upstream reset connection for request %u",
                   (unsigned)rng_below(&f->r, 100000));
    }
}

static void finds_a_burst_of_an_everyday_error(void **state) {
    (void)state;
    finding_set s;
    detect_summary sum;
    run(&shop, everyday_error, 18, &s, &sum);
    found("burst", &s, FINDING_RATE_BURST, "upstream reset", LEVEL_MEDIUM, FAULT_AT, 10);
    const finding *f = feeder_find(&s, FINDING_RATE_BURST, "upstream reset");
    assert_true(fabs((double)(f->to_ns - T0) / (double)SECOND - (FAULT_AT + 600)) <= 16);
    finding_set_release(&s);
}

/* Error lines whose rates wander, burst and repeat, all of them normal for this system: the budget
 * of false alarms holds on average, whatever the noise. */
enum { NOISES = 5, NOISE_TEMPLATES = 24, NOISE_BUCKETS = 400, NOISE_LOGS = 6 };
static const char *const noise_names[NOISES] = {"even", "lognormal", "wandering", "periodic",
                                                "heavy-tailed"};

static double noise_rate(int noise, rng *r, double *state, int t) {
    switch (noise) {
    case 0:
        return 1.5;
    case 1:
        return 0.7 * exp(1.2 * rng_normal(r));
    case 2:
        return 0.8 * exp(*state = 0.95 * *state + 0.3 * rng_normal(r));
    case 3:
        return 1.5 * (1 + 0.95 * sin(2 * M_PI * t / 60)) + (t % 50 == 0 ? 12 : 0);
    default:
        return fmin(60, 0.25 * pow(rng_double(r) + 1e-9, -1 / 1.3));
    }
}

static void noise_stays_within_the_budget(void **state) {
    (void)state;
    static const char *const words[] = {"alpha", "bravo", "delta", "gamma", "omega", "sigma"};
    static const char *const ends[] = {"while reading", "during upload", "before commit",
                                       "inside handler"};
    for (int noise = 0; noise < NOISES; noise++) {
        size_t alarms = 0;
        for (int log = 0; log < NOISE_LOGS; log++) {
            feeder f;
            feeder_init(&f, 1, (uint64_t)(100 * noise + log));
            double walk[NOISE_TEMPLATES] = {0};
            for (int t = 0; t < NOISE_BUCKETS; t++) {
                for (int i = 0; i < NOISE_TEMPLATES; i++) {
                    for (unsigned n = poisson(&f.r, noise_rate(noise, &f.r, &walk[i], t)); n; n--) {
                        feeder_log(&f, at(&f, t), "s", SEV_ERROR, "%s failed %s of job %u",
                                   words[i % 6], ends[i / 6], (unsigned)rng_below(&f.r, 10000));
                    }
                }
            }
            finding_set s;
            detect_summary sum;
            feeder_detect(&f, NULL, &s, &sum);
            alarms += feeder_above_low(&s);
            finding_set_release(&s);
            feeder_release(&f);
        }
        if (alarms > NOISE_LOGS / 2)
            print_error("%s noise: %zu alarms\n", noise_names[noise], alarms);
        assert_true(alarms <= NOISE_LOGS / 2); /* half an alarm a scan is allowed */
    }
}

static void finds_a_service_that_slows_down(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 1, 21);
    for (int t = 0; t < DURATION; t++) {
        bool low = t >= FAULT_AT && t < FAULT_AT + 900;
        for (unsigned n = poisson(&f.r, 6); n > 0; n--) {
            feeder_log(&f, at(&f, t), "gateway", SEV_INFO, "GET /api/%u",
                       (unsigned)rng_below(&f.r, 1000));
        }
        for (unsigned n = poisson(&f.r, low ? 0.05 : 4); n > 0; n--) {
            feeder_log(&f, at(&f, t), "payment", SEV_INFO, "charge %u accepted",
                       (unsigned)rng_below(&f.r, 1000));
        }
    }
    finding_set s;
    detect_summary sum;
    feeder_detect(&f, NULL, &s, &sum);
    found("drop", &s, FINDING_RATE_DROP, "payment", LEVEL_MEDIUM, FAULT_AT, 16);
    const finding *d = feeder_find(&s, FINDING_RATE_DROP, "payment");
    assert_int_equal(d->direction, -1);
    assert_true(fabs((double)(d->to_ns - T0) / (double)SECOND - (FAULT_AT + 900)) <= 32);
    finding_set_release(&s);
    feeder_release(&f);
}

/* An excerpt that is all incident shows nothing of it by itself; against a normal day it does. */
static void everyday_error_all_the_time(feeder *f, int t) {
    (void)t;
    for (unsigned n = poisson(&f->r, 2); n > 0; n--) {
        feeder_log(f, at(f, t), "gateway", SEV_ERROR, "client disconnected before response %u",
                   (unsigned)rng_below(&f->r, 100000));
    }
}

static void a_baseline_shows_what_an_excerpt_cannot(void **state) {
    (void)state;
    world normal = shop, excerpt = shop;
    excerpt.duration = 1200;
    for (int faulty = 0; faulty < 2; faulty++) {
        feeder base, now;
        feeder_init(&base, 2, 31);
        feeder_init(&now, 2, 32);
        double burst = 0;
        for (int t = 0; t < normal.duration; t++) normal_second(&base, &normal, t, &burst);
        for (int t = 0; t < excerpt.duration; t++) {
            normal_second(&now, &excerpt, t, &burst);
            if (faulty) everyday_error_all_the_time(&now, t);
        }
        feeder_merge(&base);
        detect_opts opts = {.baseline = base.p[0], .baseline_miner = base.m[0]};
        finding_set s;
        detect_summary sum;
        feeder_detect(&now, &opts, &s, &sum);
        if (faulty) {
            found("baseline", &s, FINDING_RATE_BURST, "client disconnected", LEVEL_MEDIUM, 0, 8);
            found("baseline", &s, FINDING_ERROR_RATIO, "gateway", LEVEL_MEDIUM, 0, 8);
        } else {
            if (feeder_above_low(&s)) feeder_print(&s);
            assert_int_equal(feeder_above_low(&s), 0);
        }
        finding_set_release(&s);
        feeder_release(&base);
        feeder_release(&now);
    }
}

static void a_line_long_unseen(feeder *f, int t) {
    bool then = t == 60, again = t >= FAULT_AT && t < FAULT_AT + 300;
    if (then || (again && t % 10 == 0)) {
        feeder_log(f, at(f, t), "orders", SEV_ERROR, "replica %u unreachable, giving up",
                   (unsigned)rng_below(&f->r, 3));
    }
}

static void finds_a_line_long_unseen(void **state) {
    (void)state;
    finding_set s;
    detect_summary sum;
    run(&shop, a_line_long_unseen, 41, &s, &sum);
    found("unseen", &s, FINDING_KIND_COUNT, "unreachable", LEVEL_MEDIUM, FAULT_AT, 10);
    finding_set_release(&s);
}

/* One request in 300 fails every day; then one in four does. The program states no level. */
static void finds_a_rise_of_failing_status(void **state) {
    (void)state;
    for (int faulty = 0; faulty < 2; faulty++) {
        feeder f;
        feeder_init(&f, 2, 71);
        for (int t = 0; t < DURATION; t++) {
            uint64_t one_in = faulty && t >= FAULT_AT ? 4 : 300;
            for (unsigned n = poisson(&f.r, 6); n > 0; n--) {
                int status = rng_below(&f.r, one_in) == 0 ? 500 : rng_below(&f.r, 30) ? 200 : 404;
                feeder_log(&f, at(&f, t), "web", SEV_NONE, "GET /item/%u status=%d",
                           (unsigned)rng_below(&f.r, 100000), status);
            }
        }
        finding_set s;
        detect_summary sum;
        feeder_detect(&f, NULL, &s, &sum);
        if (faulty) {
            found("status", &s, FINDING_RATE_BURST, "status", LEVEL_MEDIUM, FAULT_AT, 10);
            assert_true(str_has(feeder_find(&s, FINDING_RATE_BURST, "status")->subject, S("500")));
        } else {
            if (feeder_above_low(&s)) feeder_print(&s);
            assert_int_equal(feeder_above_low(&s), 0);
        }
        finding_set_release(&s);
        feeder_release(&f);
    }
}

static void finds_what_fails_all_the_time(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 1, 51);
    for (int t = 0; t < 900; t++) {
        feeder_log(&f, at(&f, t), "worker", SEV_ERROR, "connect to 10.0.0.%u failed: refused",
                   (unsigned)rng_below(&f.r, 250));
        if (t % 3 == 0) feeder_log(&f, at(&f, t), "worker", SEV_INFO, "waiting %d s", t % 7);
    }
    finding_set s;
    detect_summary sum;
    feeder_detect(&f, NULL, &s, &sum);
    found("all", &s, FINDING_MEANING, "connect to", LEVEL_MEDIUM, 0, 1);
    finding_set_release(&s);
    feeder_release(&f);
}

/* Ten minutes of a small program, then it fails: enough to tell. */
static void a_short_log_is_enough(void **state) {
    (void)state;
    for (int faulty = 0; faulty < 2; faulty++) {
        feeder f;
        feeder_init(&f, 1, 52);
        for (int t = 0; t < 600; t++) {
            feeder_log(&f, at(&f, t), "job", SEV_INFO, "processed order %u in %.0f ms",
                       (unsigned)rng_below(&f.r, 9999), latency(&f.r, 30));
            if (rng_below(&f.r, 20) == 0) {
                feeder_log(&f, at(&f, t), "job", SEV_WARN, "slow query took %.0f ms",
                           latency(&f.r, 700));
            }
            if (faulty && t >= 560) {
                feeder_log(&f, at(&f, t), "job", SEV_ERROR,
                           "Unable to acquire JDBC Connection: pool exhausted, waiting=%u",
                           (unsigned)rng_below(&f.r, 50));
            }
        }
        finding_set s;
        detect_summary sum;
        feeder_detect(&f, NULL, &s, &sum);
        assert_false(sum.undetermined);
        if (faulty)
            found("short", &s, FINDING_NEW_TEMPLATE, "pool exhausted", LEVEL_HIGH, 560, 1);
        else
            assert_int_equal(feeder_above_low(&s), 0);
        finding_set_release(&s);
        feeder_release(&f);
    }
}

static void with_pauses(unsigned seed, int every, int pause, finding_set *out) {
    feeder f;
    feeder_init(&f, 2, seed);
    double burst = 0;
    for (int t = 0; t < shop.duration; t++) {
        bool quiet_now = t >= FAULT_AT && (t - FAULT_AT) % every < pause;
        if (!quiet_now) normal_second(&f, &shop, t, &burst);
    }
    detect_summary sum;
    feeder_detect(&f, NULL, out, &sum);
    feeder_release(&f);
}

/* Everything is quiet for five minutes. Pauses that come again and again are a habit. */
static void finds_a_silence_of_the_whole_log(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 3; seed++) {
        finding_set s;
        with_pauses(seed, HOUR, 300, &s);
        found("silence", &s, FINDING_STOPPED, "", LEVEL_MEDIUM, FAULT_AT, 10);
        const finding *f = feeder_find(&s, FINDING_STOPPED, "");
        assert_in_range(f->to_ns, T0 + (FAULT_AT + 299) * SECOND, T0 + (FAULT_AT + 310) * SECOND);
        assert_int_equal(f->ref_count, 2);
        assert_true(str_eq(f->subject, S("whole_log")));
        assert_int_equal(feeder_above_low(&s), 1);
        finding_set_release(&s);
        with_pauses(seed, 500, 120, &s);
        assert_null(feeder_find(&s, FINDING_STOPPED, ""));
        finding_set_release(&s);
    }
}

/* A counter that is nearly always 0 has no tail to be far out of, and 0 to 1 is one step. */
static void zeros_are_no_scale(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 1, 71);
    for (int t = 0; t < 4 * HOUR; t++) {
        feeder_log(&f, at(&f, t), "orders", SEV_INFO, "tick: queue length=%d", t == 9000 ? 3 : 0);
        feeder_log(&f, at(&f, t), "orders", SEV_INFO, "lookup took %d ms for user %u",
                   t > 8000 && rng_below(&f.r, 3) ? 1 : 0, (unsigned)rng_below(&f.r, 10000));
    }
    finding_set s;
    detect_summary sum;
    feeder_detect(&f, NULL, &s, &sum);
    assert_null(feeder_find(&s, FINDING_PARAM_OUTLIER, "queue"));
    assert_int_equal(feeder_above_low(&s), 0);
    finding_set_release(&s);
    feeder_release(&f);
}

/* The most common phrasing there is: the unit is a word of its own. */
static void finds_a_shift_of_a_unit_after_a_blank(void **state) {
    (void)state;
    static const struct {
        const char *text, *unit; /* unit NULL: nothing to be found */
    } forms[] = {
        {"finished in %.0f ms", "ms"},
        {"Completed in %.0f milliseconds", "milliseconds"},
        {"sent %.0f KB to the mirror", "bytes"},
        {"returned rows in (%.1f seconds)", "seconds"},
        {"disk at %.0f %%", "%"},
        {"chunk %.0f stored", NULL},
        {"alive, up %.0f seconds", NULL},
    };
    for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
        for (int faulty = 0; faulty < 2; faulty++) {
            feeder f;
            feeder_init(&f, 2, 75);
            for (int t = 0; t < DURATION; t++) {
                char text[128];
                double v = latency(&f.r, faulty && t >= FAULT_AT ? 9000 : 120);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                (void)snprintf(text, sizeof(text), forms[k].text, v);
#pragma GCC diagnostic pop
                feeder_log(&f, at(&f, t), "worker", SEV_INFO, "%s", text);
            }
            finding_set s;
            detect_summary sum;
            feeder_detect(&f, NULL, &s, &sum);
            if (faulty && forms[k].unit) {
                found(forms[k].text, &s, FINDING_PARAM_OUTLIER, "", LEVEL_MEDIUM, FAULT_AT, 256);
                const finding *x = feeder_find(&s, FINDING_PARAM_OUTLIER, "");
                assert_true(str_eq(x->unit, str_c(forms[k].unit)));
            } else {
                if (feeder_above_low(&s)) feeder_print(&s);
                assert_int_equal(feeder_above_low(&s), 0);
            }
            finding_set_release(&s);
            feeder_release(&f);
        }
    }
}

/* A program that speaks for a second every hour: each of its periods stands alone. */
static void finds_a_shift_after_a_hundred_periods(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 1, 72);
    for (int h = 0; h < 200; h++) {
        for (int i = 0; i < 30; i++) {
            feeder_log(&f, at(&f, h * HOUR), "sync", SEV_INFO, "transfer of part %u took %.1fms",
                       (unsigned)rng_below(&f.r, 100000), latency(&f.r, h < 150 ? 20 : 400));
        }
    }
    finding_set s;
    detect_summary sum;
    feeder_detect(&f, NULL, &s, &sum);
    found("shift of a sparse log", &s, FINDING_PARAM_OUTLIER, "transfer", LEVEL_MEDIUM, 150 * HOUR,
          10);
    finding_set_release(&s);
    feeder_release(&f);
}

/* All that a service says are errors, first rarely, then often: their share did not shift. */
static void a_constant_share_of_errors_is_no_shift(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 1, 73);
    for (int t = 0; t < HOUR; t++) {
        for (int i = 0; i < 5; i++) {
            feeder_log(&f, at(&f, t), "gateway", SEV_INFO, "GET /api/items/%u status=200",
                       (unsigned)rng_below(&f.r, 100000));
        }
        if (t % 2 == 0 || t > HOUR / 2) {
            for (int i = 0; i < (t > HOUR / 2 ? 20 : 1); i++) {
                feeder_log(&f, at(&f, t), "errors-only", SEV_ERROR, "rejected item %u",
                           (unsigned)rng_below(&f.r, 100000));
            }
        }
    }
    finding_set s;
    detect_summary sum;
    feeder_detect(&f, NULL, &s, &sum);
    assert_null(feeder_find(&s, FINDING_ERROR_RATIO, "errors-only"));
    finding_set_release(&s);
    feeder_release(&f);
}

/* One record of a wrong clock must not date a finding. */
static void a_wrong_clock_dates_nothing(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 1, 74);
    double burst = 0;
    for (int t = 0; t < shop.duration; t++) {
        normal_second(&f, &shop, t, &burst);
        if (t == 10) {
            feeder_log(&f, 5 * SECOND, "orders", SEV_ERROR,
                       "connection pool exhausted: active=50 idle=0 waiting=1");
            feeder_log(&f, INT64_MAX - 5, "orders", SEV_INFO, "cache miss for key item:7");
        }
        redis_keys(&f, t);
    }
    finding_set s;
    detect_summary sum;
    feeder_detect(&f, NULL, &s, &sum);
    for (size_t i = 0; i < s.items.n; i++) {
        const finding *x = &s.items.v[i];
        assert_in_range(x->onset_ns, T0, T0 + (shop.duration + 60) * SECOND);
        assert_in_range(x->to_ns, T0, T0 + (shop.duration + 60) * SECOND);
    }
    found("pool", &s, FINDING_KIND_COUNT, "pool exhausted", LEVEL_MEDIUM, FAULT_AT + 21, 10);
    finding_set_release(&s);
    feeder_release(&f);
}

static void same_findings(const finding_set *x, const finding_set *y) {
    assert_int_equal(x->items.n, y->items.n);
    for (size_t i = 0; i < x->items.n; i++) {
        const finding *a = &x->items.v[i], *b = &y->items.v[i];
        assert_true(str_eq(a->service, b->service) && str_eq(a->component, b->component));
        assert_true(str_eq(a->subject, b->subject));
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->level, b->level);
        assert_int_equal(a->template_id, b->template_id);
        assert_true(a->surprise_bits == b->surprise_bits);
        assert_int_equal(a->onset_ns, b->onset_ns);
        assert_int_equal(a->to_ns, b->to_ns);
        assert_int_equal(a->record_count, b->record_count);
        assert_int_equal(a->ref_count, b->ref_count);
        for (size_t k = 0; k < a->ref_count; k++) {
            assert_int_equal(a->refs[k].line, b->refs[k].line);
        }
    }
}

/* The same records give the same findings, however they were spread over workers. */
static void workers_change_nothing(void **state) {
    (void)state;
    static const unsigned workers[] = {1, 2, 7};
    finding_set s[3];
    for (unsigned k = 0; k < 3; k++) {
        feeder f;
        feeder_init(&f, workers[k], 61);
        double burst = 0;
        for (int t = 0; t < shop.duration; t++) {
            normal_second(&f, &shop, t, &burst);
            redis_keys(&f, t);
        }
        detect_summary sum;
        feeder_detect(&f, NULL, &s[k], &sum);
        feeder_release(&f);
    }
    for (size_t w = 1; w < 3; w++) same_findings(&s[0], &s[w]);
    for (size_t w = 0; w < 3; w++) finding_set_release(&s[w]);
}

/* Without any time, one line that sounds bad is a remark; a stated error, or the same again and
 * again, is more. And why nothing can be said is said as it is. */
static void one_line_without_time_is_low(void **state) {
    (void)state;
    for (unsigned form = 0; form < 4; form++) {
        feeder f;
        feeder_init(&f, 1, 1);
        for (int i = 0; i < 300; i++) {
            int64_t ts = form == 3 && i < 100 ? T0 + i * SECOND : TS_NONE;
            feeder_log(&f, ts, "kernel", SEV_NONE, "device %u probed", i);
            if (i == 150 || (form == 2 && i % 30 == 0)) {
                feeder_log(&f, TS_NONE, "kernel", form == 1 ? SEV_FATAL : SEV_NONE,
                           "kernel panic: machine check at %d", i);
            }
        }
        finding_set s;
        detect_summary sum;
        feeder_detect(&f, NULL, &s, &sum);
        const finding *x = feeder_find(&s, FINDING_KIND_COUNT, "panic");
        assert_non_null(x);
        assert_true(form == 0 ? x->level == LEVEL_LOW : x->level > LEVEL_LOW);
        assert_true(sum.undetermined);
        str why = form == 3 ? S("little_time") : S("no_time");
        assert_true(str_eq(sum.why_undetermined, why));
        finding_set_release(&s);
        feeder_release(&f);
    }
}

static void little_data_is_undetermined(void **state) {
    (void)state;
    feeder f;
    feeder_init(&f, 1, 1);
    for (int i = 0; i < 20; i++) feeder_log(&f, T0 + i * SECOND, "s", SEV_INFO, "tick %d", i);
    finding_set s;
    detect_summary sum;
    feeder_detect(&f, NULL, &s, &sum);
    assert_true(sum.undetermined);
    assert_true(str_eq(sum.why_undetermined, S("few_records")));
    finding_set_release(&s);
    feeder_release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_days_give_nothing),
        cmocka_unit_test(finds_redis_and_pool_and_timeouts),
        cmocka_unit_test(finds_memory_growth_and_oom),
        cmocka_unit_test(finds_certificate_expiry),
        cmocka_unit_test(finds_disk_full_without_levels),
        cmocka_unit_test(finds_a_silent_service),
        cmocka_unit_test(finds_a_service_that_pauses),
        cmocka_unit_test(finds_latency_creep),
        cmocka_unit_test(a_slow_creep_is_dated_to_its_beginning),
        cmocka_unit_test(finds_one_fatal_line),
        cmocka_unit_test(finds_a_burst_of_an_everyday_error),
        cmocka_unit_test(noise_stays_within_the_budget),
        cmocka_unit_test(finds_a_service_that_slows_down),
        cmocka_unit_test(a_baseline_shows_what_an_excerpt_cannot),
        cmocka_unit_test(finds_a_line_long_unseen),
        cmocka_unit_test(finds_a_rise_of_failing_status),
        cmocka_unit_test(finds_what_fails_all_the_time),
        cmocka_unit_test(a_short_log_is_enough),
        cmocka_unit_test(finds_a_silence_of_the_whole_log),
        cmocka_unit_test(zeros_are_no_scale),
        cmocka_unit_test(finds_a_shift_of_a_unit_after_a_blank),
        cmocka_unit_test(finds_a_shift_after_a_hundred_periods),
        cmocka_unit_test(a_constant_share_of_errors_is_no_shift),
        cmocka_unit_test(a_wrong_clock_dates_nothing),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(one_line_without_time_is_low),
        cmocka_unit_test(little_data_is_undetermined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
