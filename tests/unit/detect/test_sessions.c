/* Sessions: reading, merging, order, and the four channels of the model on invented systems of
 * different kinds (few and many event types, short and long sessions, little training). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rng.h"
#include "detect/sessions.h"

static session_set *set_of(str text) {
    session_set *s = session_set_new(NULL);
    session_read_counts c;
    assert_int_equal(session_read_sequences(text, s, &c, NULL), RC_OK);
    return s;
}

static session_verdict verdict(const session_model *m, const session_set *s, size_t i) {
    session_verdict v;
    session_model_score(m, s, i, &v);
    return v;
}

static session_model *trained(const session_set *s) {
    session_model *m = NULL;
    assert_int_equal(session_model_train(s, &m, NULL), RC_OK);
    return m;
}

static void reads_sequences_of_any_shape(void **state) {
    (void)state;
    session_set *s = session_set_new(NULL);
    session_read_counts c;
    str text = S("blk_1,5 5 22\r\n\r\n  blk_2 , 7\tx  0 \nno comma\n,1 2\nempty,\nblk_1,22 9");
    assert_int_equal(session_read_sequences(text, s, &c, NULL), RC_OK);
    assert_int_equal(c.lines, 7);
    assert_int_equal(c.empty_lines, 1);
    assert_int_equal(c.bad_lines, 3);
    assert_int_equal(c.sessions, 3);
    assert_int_equal(c.events, 8);
    assert_int_equal(session_set_count(s), 2); /* blk_1 twice */
    assert_true(str_eq(session_set_key(s, 0), S("blk_1")));
    assert_true(str_eq(session_set_key(s, 1), S("blk_2")));
    session_counts t;
    session_set_totals(s, &t);
    assert_int_equal(t.event_types, 6); /* 5 22 7 x 0 9 */
    session_set_free(s);
}

static void limits_are_counted(void **state) {
    (void)state;
    session_set *s = session_set_new(&(session_opts){.max_sessions = 2});
    assert_int_equal(session_set_add(s, S("a"), 1, TS_NONE, NULL), RC_OK);
    assert_int_equal(session_set_add(s, S("b"), 1, TS_NONE, NULL), RC_OK);
    assert_int_equal(session_set_add(s, S("c"), 1, TS_NONE, NULL), RC_LIMIT);
    assert_int_equal(session_set_add(s, S("a"), 2, TS_NONE, NULL), RC_OK);
    session_counts t;
    session_set_totals(s, &t);
    assert_int_equal(t.not_kept, 1);
    assert_int_equal(t.events, 3);
    session_set_free(s);

    s = session_set_new(&(session_opts){.max_bytes = 64});
    uint64_t kept = 0;
    for (uint64_t i = 0; i < 100; i++) kept += session_set_add(s, S("a"), 1, i, NULL) == RC_OK;
    session_set_totals(s, &t);
    assert_true(t.bytes <= 64);
    assert_int_equal(kept + t.not_kept, 100);
    assert_int_equal(kept, t.events);
    session_set_free(s);
}

/* Splitting events over sets and merging gives the verdicts of one set, whatever the order. */
static void merge_is_union_and_places_give_the_order(void **state) {
    (void)state;
    session_set *train = session_set_new(NULL), *whole = session_set_new(NULL);
    session_set *part[2] = {session_set_new(NULL), session_set_new(NULL)};
    char key[16];
    for (int i = 0; i < 240; i++) {
        str k = {key, (size_t)snprintf(key, sizeof(key), "s%d", i)};
        for (uint64_t ev = 1; ev <= 4; ev++) {
            IGNORE(session_set_add(train, k, ev, TS_NONE, NULL));
        }
    }
    /* 1 2 3 4 in every session but s7: 1 3 2 4; same times within a session, so offsets decide. */
    rng r;
    rng_init(&r, 7);
    for (int at = 3; at >= 0; at--) { /* added backwards and over both parts */
        for (int i = 0; i < 10; i++) {
            str k = {key, (size_t)snprintf(key, sizeof(key), "s%d", i)};
            uint64_t ev = (uint64_t)at + 1;
            if (i == 7 && (ev == 2 || ev == 3)) ev = 5 - ev;
            log_ref ref = {.offset = (uint64_t)(at * 100 + i), .line = (uint64_t)(at * 10 + i + 1)};
            IGNORE(session_set_add(part[rng_below(&r, 2)], k, ev, 1000, &ref));
            IGNORE(session_set_add(whole, k, ev, 1000, &ref));
        }
    }
    assert_int_equal(session_set_merge(part[0], part[1], NULL), RC_OK);
    session_model *m = trained(train);
    session_model_info info;
    session_model_describe(m, &info);
    assert_int_equal(info.order_limit, 1);
    for (size_t i = 0; i < 10; i++) {
        session_verdict a = verdict(m, part[0], i);
        bool found = false;
        for (size_t j = 0; j < 10; j++) {
            session_verdict b = verdict(m, whole, j);
            if (!str_eq(a.key, b.key)) continue;
            found = true;
            assert_int_equal(a.is_anomaly, b.is_anomaly);
            assert_true(a.score == b.score);
            assert_int_equal(a.ref.line, b.ref.line);
        }
        assert_true(found);
        bool odd = str_eq(a.key, S("s7"));
        assert_int_equal(a.is_anomaly, odd);
        assert_int_equal(a.why, odd ? SESSION_ORDER : SESSION_NORMAL);
        if (odd) {
            assert_int_equal(a.event, 3); /* 1 -> 3 is the first unknown step */
            assert_int_equal(a.ref.line, 18);
        }
    }
    session_model_free(m);
    session_set_free(train);
    session_set_free(whole);
    session_set_free(part[0]);
    session_set_free(part[1]);
}

/* Sessions against each other: the same findings with the same references, whatever worker saw
 * which session first. */
static void order_of_sessions_changes_no_finding(void **state) {
    (void)state;
    finding_set out[2];
    for (int backwards = 0; backwards < 2; backwards++) {
        session_set *s = session_set_new(NULL);
        char key[16];
        for (int k = 0; k < 3000; k++) {
            int i = backwards ? 2999 - k : k;
            bool odd = i > 0 && i % 700 == 0;
            str name = {key, (size_t)snprintf(key, sizeof(key), "s%d", i)};
            uint64_t count = odd ? (uint64_t)i / 20 : 4;
            for (uint64_t n = 0; n < count; n++) { /* a session's own events come mixed as well */
                uint64_t at = backwards ? count - 1 - n : n, ev = odd ? 1 + at % 2 : 1 + at;
                log_ref ref = {.offset = (uint64_t)i * 1000 + at, .line = (uint64_t)i * 1000 + at};
                IGNORE(session_set_add(s, name, ev, 1000 + i, &ref));
            }
        }
        finding_set_init(&out[backwards]);
        assert_int_equal(detect_sessions(s, NULL, &out[backwards], NULL), RC_OK);
        session_set_free(s);
    }
    assert_true(out[0].items.n > 0);
    assert_int_equal(out[0].items.n, out[1].items.n);
    for (size_t i = 0; i < out[0].items.n; i++) {
        const finding *a = &out[0].items.v[i], *b = &out[1].items.v[i];
        assert_int_equal(a->kind, b->kind);
        assert_true(str_eq(a->subject, b->subject));
        assert_int_equal(a->ref_count, b->ref_count);
        for (size_t k = 0; k < a->ref_count; k++) {
            assert_int_equal(a->refs[k].line, b->refs[k].line);
        }
    }
    finding_set_release(&out[0]);
    finding_set_release(&out[1]);
}

static void names_unknown_and_missing_events(void **state) {
    (void)state;
    session_set *train = session_set_new(NULL);
    char key[16];
    for (int i = 0; i < 300; i++) {
        str k = {key, (size_t)snprintf(key, sizeof(key), "n%d", i)};
        static const uint64_t events[] = {1, 2, 3, 3, 3, 4};
        for (size_t j = 0; j < ARRAY_LEN(events); j++) {
            IGNORE(session_set_add(train, k, events[j], TS_NONE, NULL));
        }
    }
    session_model *m = trained(train);
    session_set *s =
        set_of(S("same,1 2 3 3 3 4\nnew,1 2 3 3 3 77 4\nshort,1\nlong,1 2 3 3 3 3 3 3 3 "
                 "3 3 3 4"));
    session_verdict same = verdict(m, s, 0), new = verdict(m, s, 1), cut = verdict(m, s, 2),
                    many = verdict(m, s, 3);
    assert_false(same.is_anomaly);
    assert_true(new.is_anomaly);
    assert_int_equal(new.why, SESSION_UNKNOWN_EVENT);
    assert_int_equal(new.event, 77);
    assert_true(cut.is_anomaly);
    assert_int_equal(cut.why, SESSION_COUNTS);
    assert_true(many.is_anomaly);
    assert_int_equal(many.why, SESSION_COUNTS);
    assert_true(new.score > same.score &&cut.score > same.score &&many.score > same.score);
    session_model_free(m);
    session_set_free(s);
    session_set_free(train);
}

static void little_training_is_undetermined(void **state) {
    (void)state;
    session_set *train = set_of(S("a,1 2\nb,1 2\n")), *s = set_of(S("x,1 2\ny,1\nz,1 9\n"));
    session_model *m = trained(train);
    assert_int_equal(verdict(m, s, 0).why, SESSION_UNDETERMINED);
    assert_int_equal(verdict(m, s, 1).why, SESSION_UNDETERMINED);
    assert_true(verdict(m, s, 2).is_anomaly);
    session_model_free(m);
    session_set_free(s);
    session_set_free(train);
    session_set *none = session_set_new(NULL);
    assert_int_equal(session_model_train(none, &m, NULL), RC_INVALID);
    session_set_free(none);
}

/* An invented system: a session runs `phases` of its own kind; each phase emits its events, some of
 * them a varying number of times, and now and then an event of a long tail. */
typedef struct system_kind {
    size_t train, alphabet, phases, loop_max;
    double tail;     /* chance of one tail event in a session; tail events are Zipf-like */
    uint64_t rename; /* events are multiplied by this; 0 = 1 */
} system_kind;

static void emit_session(const system_kind *k, rng *r, session_set *s, str key, int fault) {
    size_t body = k->alphabet * 3 / 4;
    uint64_t name = k->rename ? k->rename : 1;
    size_t first = rng_below(r, 3) * (body / 4); /* three kinds of session */
    for (size_t p = 0; p < k->phases; p++) {
        uint64_t ev = 1 + (first + p * 7) % body;
        size_t times = p % 5 == 3 ? 1 + rng_below(r, k->loop_max) : 1;
        if (fault == 1 && p > k->phases / 2) break;             /* cut short */
        if (fault == 2 && p == k->phases / 2) ev = 1000000 + p; /* a new event */
        if (fault == 3 && p == 3) times = 6 * k->loop_max + 20; /* a loop gone wild */
        for (size_t t = 0; t < times; t++)
            IGNORE(session_set_add(s, key, ev * name, TS_NONE, NULL));
    }
    if (rng_double(r) < k->tail) {
        uint64_t rank = (uint64_t)(1 / (rng_double(r) + 1e-3)); /* P(rank > x) = 1/x */
        uint64_t ev = body + 1 + rank % (k->alphabet - body);
        IGNORE(session_set_add(s, key, ev * name, TS_NONE, NULL));
    }
}

static session_set *emit(const system_kind *k, rng *r, size_t count, int fault) {
    session_set *s = session_set_new(NULL);
    char key[24];
    for (size_t i = 0; i < count; i++) {
        str name = {key, (size_t)snprintf(key, sizeof(key), "k%" PRIx64, rng_u64(r))};
        emit_session(k, r, s, name, fault);
    }
    return s;
}

static double alarm_rate(const session_model *m, const session_set *s) {
    size_t n = 0;
    for (size_t i = 0; i < session_set_count(s); i++) n += verdict(m, s, i).is_anomaly;
    return (double)n / (double)session_set_count(s);
}

static void holds_on_systems_of_other_kinds(void **state) {
    (void)state;
    static const system_kind kinds[] = {
        {.train = 30, .alphabet = 12, .phases = 6, .loop_max = 2, .tail = 0},
        {.train = 60, .alphabet = 40, .phases = 20, .loop_max = 5, .tail = 0.02},
        {.train = 400, .alphabet = 400, .phases = 120, .loop_max = 30, .tail = 0.3},
        {.train = 2000, .alphabet = 8, .phases = 5, .loop_max = 4, .tail = 0.05},
        {.train = 150, .alphabet = 600, .phases = 300, .loop_max = 200, .tail = 0.5},
        {.train = 6000, .alphabet = 90, .phases = 25, .loop_max = 12, .tail = 0.2},
    };
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        rng r;
        rng_init(&r, 100 + k);
        session_set *train = emit(&kinds[k], &r, kinds[k].train, 0);
        session_model *m = trained(train);
        session_set *normal = emit(&kinds[k], &r, 2000, 0);
        double false_alarms = alarm_rate(m, normal);
        double bound = MAX(0.01, 3.0 / (double)kinds[k].train);
        if (false_alarms > bound) {
            print_error("kind %zu: false alarms %.4f > %.4f\n", k, false_alarms, bound);
        }
        assert_true(false_alarms <= bound);
        for (int fault = 1; fault <= 3; fault++) {
            session_set *bad = emit(&kinds[k], &r, 300, fault);
            double found = alarm_rate(m, bad);
            /* A single new event cannot be told where normal sessions bring new ones all day. */
            session_model_info info;
            session_model_describe(m, &info);
            bool blind = fault == 2 && info.unknown_limit > 1;
            if (!blind && found < 0.95) print_error("kind %zu fault %d: %.3f\n", k, fault, found);
            assert_true(blind || found >= 0.95);
            session_set_free(bad);
        }
        session_set_free(normal);
        session_model_free(m);
        session_set_free(train);
    }
}

/* Renaming events and permuting sessions changes no verdict. */
static void verdicts_do_not_depend_on_names_or_order(void **state) {
    (void)state;
    enum { N = 500 };
    system_kind k = {.train = N, .alphabet = 30, .phases = 12, .loop_max = 6, .tail = 0.05};
    system_kind renamed = k;
    renamed.rename = 7919;
    session_model *m[2];
    session_set *train[2], *normal[2], *bad[2];
    for (int side = 0; side < 2; side++) {
        const system_kind *kind = side ? &renamed : &k;
        train[side] = session_set_new(NULL);
        char key[24];
        for (size_t i = 0; i < N; i++) {
            size_t j = side ? N - 1 - i : i;
            rng r;
            rng_init(&r, j);
            str name = {key, (size_t)snprintf(key, sizeof(key), "k%zu", j)};
            emit_session(kind, &r, train[side], name, 0);
        }
        rng r;
        rng_init(&r, 4711);
        m[side] = trained(train[side]);
        normal[side] = emit(kind, &r, 300, 0);
        bad[side] = emit(kind, &r, 300, 1);
    }
    for (size_t i = 0; i < 300; i++) {
        assert_true(verdict(m[0], normal[0], i).score == verdict(m[1], normal[1], i).score);
        assert_true(verdict(m[0], bad[0], i).score == verdict(m[1], bad[1], i).score);
        assert_int_equal(verdict(m[0], bad[0], i).why, verdict(m[1], bad[1], i).why);
    }
    for (int side = 0; side < 2; side++) {
        session_model_free(m[side]);
        session_set_free(train[side]);
        session_set_free(normal[side]);
        session_set_free(bad[side]);
    }
}

static void keys_come_from_group_one_or_trace_id(void **state) {
    (void)state;
    session_key *k = NULL;
    err e;
    assert_int_equal(session_key_new(S("blk_(-?\\d+"), &k, &e), RC_INVALID);
    assert_int_equal(session_key_new(S("blk_(-?\\d+)"), &k, &e), RC_OK);
    log_batch b;
    log_batch_init(&b);
    static const char *const raws[] = {"got blk_1 and blk_2, blk_1 again", "nothing here",
                                       "blk_-7"};
    for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
        log_record *rec = log_batch_add(&b);
        rec->raw = str_c(raws[i]);
        rec->shape = 10 + i;
        rec->ref.line = i + 1;
        if (i == 1) rec->trace_id = S("abc");
    }
    session_set *s = session_set_new(NULL);
    uint64_t matched;
    session_collect_batch(s, k, &b, &matched);
    assert_int_equal(matched, 2);
    assert_int_equal(session_set_count(s), 3);
    assert_true(str_eq(session_set_key(s, 0), S("1")));
    assert_true(str_eq(session_set_key(s, 1), S("2")));
    assert_true(str_eq(session_set_key(s, 2), S("-7")));
    session_set_free(s);
    session_key_free(k);

    assert_int_equal(session_key_new(STR_NONE, &k, &e), RC_OK);
    s = session_set_new(NULL);
    session_collect_batch(s, k, &b, &matched);
    assert_int_equal(matched, 1);
    assert_true(str_eq(session_set_key(s, 0), S("abc")));
    session_set_free(s);
    session_key_free(k);
    log_batch_release(&b);
}

/* 400 sessions of one kind, one of another; a common variant is no oddity. */
static void odd_sessions_among_themselves(void **state) {
    (void)state;
    miner *m;
    assert_int_equal(miner_new(&(miner_opts){0}, &m, NULL), RC_OK);
    log_slot slots[SLOTS_MAX];
    uint32_t n;
    static const char *const texts[] = {"opened 17", "wrote 5 rows", "closed",
                                        "lost the lock and failed"};
    uint64_t shape[4];
    for (size_t i = 0; i < 4; i++) shape[i] = miner_add(m, str_c(texts[i]), slots, SLOTS_MAX, &n);
    miner_group(m);
    session_set *s = session_set_new(NULL);
    char key[16];
    uint64_t line = 0;
    for (int i = 0; i < 401; i++) {
        str k = {key, (size_t)snprintf(key, sizeof(key), "s%d", i)};
        for (int j = 0; j < 4; j++) {
            if (j == 1 && i % 5 == 0) continue; /* the variant */
            if (j == 3 && i != 233) continue;
            line++;
            log_ref ref = {.offset = line * 10 - 10, .line = line};
            IGNORE(session_set_add(s, k, shape[j], (int64_t)line, &ref));
        }
    }
    session_set_to_templates(s, m);
    finding_set out;
    finding_set_init(&out);
    assert_int_equal(detect_sessions(s, m, &out, NULL), RC_OK);
    assert_int_equal(out.items.n, 1);
    const finding *f = &out.items.v[0];
    assert_int_equal(f->kind, FINDING_SESSION);
    assert_int_equal(f->level, LEVEL_MEDIUM);
    assert_true(str_eq(f->subject, S("s233")));
    assert_true(str_has(f->template_text, S("failed")));
    assert_int_equal(f->ref_count, 1);
    finding_set_release(&out);
    session_set_free(s);
    miner_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sequences_of_any_shape),
        cmocka_unit_test(limits_are_counted),
        cmocka_unit_test(merge_is_union_and_places_give_the_order),
        cmocka_unit_test(order_of_sessions_changes_no_finding),
        cmocka_unit_test(names_unknown_and_missing_events),
        cmocka_unit_test(little_training_is_undetermined),
        cmocka_unit_test(holds_on_systems_of_other_kinds),
        cmocka_unit_test(verdicts_do_not_depend_on_names_or_order),
        cmocka_unit_test(keys_come_from_group_one_or_trace_id),
        cmocka_unit_test(odd_sessions_among_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
