/* bench_json.c - MB/s of one core (CPU time, best of ROUNDS) over generated lines of typical
 * loggers: the scanner alone (json_next, json_flat), and lines to records. Required: the scanner
 * 1,000 MB/s on the logger lines, records 300 MB/s. */
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/rng.h"
#include "codec/json.h"
#include "codec/linefmt_int.h"

enum { LINES = 40000, ROUNDS = 7, TEXT_MAX = 64 << 20 };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the lines ---- */

static void put_message(buf *b, rng *r) {
    uint64_t id = rng_u64(r), n = rng_below(r, 100000);
    switch (rng_below(r, 4)) {
    case 0:
        buf_fmt(b, "order %" PRIx64 " created for user u%" PRIu64 ", total 141.28 EUR", id, n);
        break;
    case 1:
        buf_fmt(b, "PUT /api/v1/profile/%" PRIx64 " 200 58864 bytes in %" PRIu64 " us", id, n);
        break;
    case 2:
        buf_fmt(b, "connection %" PRIx64 " to db-primary:5432 acquired after %" PRIu64 " us", id,
                n);
        break;
    default:
        buf_fmt(b, "cache miss for \\\"session:%" PRIx64 "\\\", loading took %" PRIu64 " us", id,
                n);
        break;
    }
}

static void put_time(buf *b, rng *r, unsigned i) {
    buf_fmt(b, "2026-08-01T10:%02u:%02u.%06uZ", i / 60 % 60, i % 60,
            (unsigned)rng_below(r, 1000000));
}

typedef void (*put_line)(buf *b, rng *r, unsigned i);

static void zap_line(buf *b, rng *r, unsigned i) {
    buf_put(b, S("{\"level\":\"info\",\"ts\":\""));
    put_time(b, r, i);
    buf_put(b, S("\",\"service\":\"payment\",\"pod\":\"payment-67c76fb00-ltljz\",\"host\":"
                 "\"ip-10-0-203-13\",\"logger\":\"http.access\",\"msg\":\""));
    put_message(b, r);
    buf_put(b, S("\"}\n"));
}

static void ecs_line(buf *b, rng *r, unsigned i) {
    buf_put(b, S("{\"@timestamp\":\""));
    put_time(b, r, i);
    buf_put(b, S("\",\"log\":{\"level\":\"WARN\",\"logger\":\"com.acme.shop.OrderService\"},"
                 "\"message\":\""));
    put_message(b, r);
    buf_fmt(
        b,
        "\",\"service\":{\"name\":\"orders\"},\"host\":{\"name\":\"web-1\"},\"process\":{\"pid\":"
        "%" PRIu64 ",\"thread\":{\"name\":\"exec-%" PRIu64 "\"}},\"trace\":{\"id\":\"%016" PRIx64
        "%016" PRIx64 "\"}}\n",
        rng_below(r, 65536), rng_below(r, 64), rng_u64(r), rng_u64(r));
}

static void docker_line(buf *b, rng *r, unsigned i) {
    buf_put(b, S("{\"log\":\"{\\\"level\\\":\\\"info\\\",\\\"msg\\\":\\\"request served\\\","));
    buf_fmt(b,
            "\\\"path\\\":\\\"/cart/%" PRIu64 "\\\",\\\"status\\\":200}\\n\",\"stream\":"
            "\"stdout\",\"time\":\"",
            rng_below(r, 100000));
    put_time(b, r, i);
    buf_put(b, S("\"}\n"));
}

static void cri_line(buf *b, rng *r, unsigned i) {
    put_time(b, r, i);
    buf_fmt(b,
            " stdout F {\"level\":\"info\",\"msg\":\"request served\",\"path\":\"/cart/%" PRIu64
            "\",\"status\":200}\n",
            rng_below(r, 100000));
}

static void logfmt_line(buf *b, rng *r, unsigned i) {
    buf_put(b, S("ts="));
    put_time(b, r, i);
    buf_put(b, S(" level=info caller=compact.go:519 component=tsdb msg=\""));
    put_message(b, r);
    buf_fmt(b, "\" duration=%" PRIu64 "ms\n", rng_below(r, 1000));
}

static void otlp_line(buf *b, rng *r, unsigned i) {
    buf_put(b, S("{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
                 "\"value\":{\"stringValue\":\"checkout\"}}]},\"scopeLogs\":[{\"scope\":{\"name\":"
                 "\"app\"},\"logRecords\":["));
    for (unsigned k = 0; k < 20; k++) {
        buf_fmt(b,
                "%s{\"timeUnixNano\":\"17855424%02u%09u\",\"severityNumber\":9,\"severityText\":"
                "\"INFO\",\"body\":{\"stringValue\":\"",
                k ? "," : "", i % 60, (unsigned)rng_below(r, 1000000000));
        put_message(b, r);
        buf_fmt(b,
                "\"},\"attributes\":[{\"key\":\"http.status\",\"value\":{\"intValue\":\"200\"}}],"
                "\"traceId\":\"%016" PRIx64 "%016" PRIx64 "\",\"spanId\":\"%016" PRIx64 "\"}",
                rng_u64(r), rng_u64(r), rng_u64(r));
    }
    buf_put(b, S("]}]}]}\n"));
}

static void long_line(buf *b, rng *r, unsigned i) {
    buf_fmt(b, "{\"level\":\"error\",\"n\":%u,\"msg\":\"failed\",\"stack_trace\":\"", i);
    for (unsigned k = 0; k < 12; k++) {
        buf_fmt(
            b,
            "\\tat com.acme.shop.internal.service.OrderServiceImpl.place(OrderService.java:%" PRIu64
            ")\\n",
            rng_below(r, 1000));
    }
    buf_put(b, S("\"}\n"));
}

/* ---- what is measured; each returns records or tokens, so that nothing is optimised away ---- */

typedef uint64_t (*work)(str text, const line_fmt *f);

static uint64_t scan_tokens(str text, const line_fmt *f) {
    (void)f;
    uint64_t tokens = 0;
    str rest = text, line;
    while (rest.n && str_next(&rest, '\n', &line)) {
        json_reader r;
        json_init(&r, line);
        json_tok t;
        while (json_next(&r, &t, NULL) == RC_OK) tokens++;
    }
    return tokens;
}

static uint64_t scan_flat(str text, const line_fmt *f) {
    (void)f;
    json_member m[64];
    arena mem;
    arena_init(&mem, "flat", 1 << 20);
    const json_flat_opts opts = {0};
    uint64_t members = 0;
    str rest = text, line;
    while (rest.n && str_next(&rest, '\n', &line)) {
        size_t total = 0, used = 0;
        if (json_flat(line, &opts, &mem, m, ARRAY_LEN(m), &total, &used, NULL) == RC_OK) {
            members += total;
        }
        arena_reset(&mem);
    }
    arena_release(&mem);
    return members;
}

static uint64_t to_records(str text, const line_fmt *f) {
    static const ts_context utc = {.anchor_ns = 1795170645000000000};
    log_batch b;
    log_batch_init(&b);
    log_parse_stats stats = {0};
    line_ctx c = {.ts = &utc, .batch = &b, .stats = &stats};
    uint64_t records = 0;
    str rest = text, line;
    while (rest.n && str_next(&rest, '\n', &line)) {
        c.line_no++;
        c.offset = (uint64_t)(line.p - text.p);
        if (line.n && f->parse(&c, line, NULL) != RC_OK) return 0;
        if (b.count < BATCH_RECORDS && rest.n) continue;
        line_finish(&c);
        records += b.count;
        log_batch_reset(&b);
    }
    log_batch_release(&b);
    return records;
}

static double best_mb_s(work w, str text, const line_fmt *f, uint64_t *ret_count) {
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double from = cpu_seconds();
        *ret_count = w(text, f);
        double mb_s = (double)text.n / 1e6 / (cpu_seconds() - from);
        best = MAX(best, mb_s);
    }
    return best;
}

int main(void) {
    static const struct {
        const char *name;
        put_line put;
        const line_fmt *fmt;
        unsigned lines;
        bool is_json;
        double scan_required, records_required;
    } kinds[] = {
        {"zap, slog", zap_line, &line_fmt_json, LINES, true, 1000, 300},
        {"ECS, nested", ecs_line, &line_fmt_json, LINES, true, 1000, 300},
        {"stack traces", long_line, &line_fmt_json, LINES / 4, true, 0, 300},
        {"Docker + JSON", docker_line, &line_fmt_docker, LINES, true, 0, 0},
        {"CRI + JSON", cri_line, &line_fmt_cri, LINES, false, 0, 0},
        {"logfmt", logfmt_line, &line_fmt_logfmt, LINES, false, 0, 0},
        {"OTLP, 20 a line", otlp_line, &line_fmt_otlp_json, LINES / 20, true, 0, 300},
    };
    bool missed = false;
    printf("%-16s %10s %10s %12s %12s\n", "MB/s of one core", "json_next", "json_flat",
           "to records", "records/s");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        rng r;
        rng_init(&r, 42 + i);
        buf b;
        buf_init(&b, TEXT_MAX);
        for (unsigned k = 0; k < kinds[i].lines; k++) kinds[i].put(&b, &r, k);
        MUST(!b.full);
        uint64_t count;
        double next = 0, flat = 0;
        if (kinds[i].is_json) {
            next = best_mb_s(scan_tokens, buf_str(&b), NULL, &count);
            flat = best_mb_s(scan_flat, buf_str(&b), NULL, &count);
        }
        double records = best_mb_s(to_records, buf_str(&b), kinds[i].fmt, &count);
        printf("%-16s %10.0f %10.0f %12.0f %12.0f\n", kinds[i].name, next, flat, records,
               (double)count / ((double)b.n / 1e6 / records));
        missed |= count == 0 || MAX(next, flat) < kinds[i].scan_required ||
                  records < kinds[i].records_required;
        buf_release(&b);
    }
    printf(missed ? "below the required figures\n" : "required figures met\n");
    return missed;
}
