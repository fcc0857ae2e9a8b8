/* fixture.h - hand-made finding sets and a source that answers for them, for tests of rca and
 * report. */
#ifndef FL_TESTS_RCA_FIXTURE_H
#define FL_TESTS_RCA_FIXTURE_H

#include "rca/rca.h"

enum { FIXTURE_LINES = 256, FIXTURE_INPUTS = 16 };

typedef struct fixture {
    finding_set set;
    detect_summary summary;
    str lines[FIXTURE_LINES]; /* raw records; log_ref.offset is the index */
    size_t line_count;
    size_t fetches; /* requests for records so far */
    input_info inputs[FIXTURE_INPUTS];
    size_t input_count;
    source src;
    source_report report;
    rules *rules;       /* builtin */
    const miner *miner; /* NULL unless a test sets it */
} fixture;

/* What a test states of one finding; the rest gets plausible values. */
typedef struct fact_spec {
    const char *service, *component;
    finding_kind kind;
    finding_level level;
    double at_s, to_s; /* seconds after FIXTURE_BEGIN; to_s 0 = at_s + 60; at_s < 0: no time */
    double bits;       /* 0 = 60 */
    double meaning;
    uint8_t severity;
    uint64_t count; /* 0 = 40 */
    double observed, expected;
    const char *unit, *subject, *template_text;
    const char *line; /* raw record */
    uint64_t line_no; /* 0 = 100 + index */
} fact_spec;

/* 2026-03-17 09:00:00 UTC; the data lasts two hours. */
#define FIXTURE_BEGIN INT64_C(1773738000000000000)

void fixture_init(fixture *x);
void fixture_release(fixture *x);
/* The input of a service is "logs/<service>.log". */
void fixture_add(fixture *x, const fact_spec *s);
#define FACT(x, ...) fixture_add((x), &(fact_spec){__VA_ARGS__})
/* Analyzes with the built-in rules (or none); fails the test on error. */
void fixture_analyze(fixture *x, bool with_rules, incident *ret);

/* The scenarios that several tests look at. */
void scenario_cascade(fixture *x);     /* Redis KEYS, pool, order, payment, inventory, gateway */
void scenario_certificate(fixture *x); /* auth-service's certificate, seen by others too */
void scenario_quiet(fixture *x);       /* nothing above Low */

#endif
