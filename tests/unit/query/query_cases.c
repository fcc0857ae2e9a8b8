/* query_cases.c - runs a script of queries over a fake store and prints what they give; the golden
 * cases in tests/golden/query are such scripts with the wanted output beside them.
 *
 *     log 10s error {service.name=cart} {http.status=500} text of the line
 *     series up{job=a} 0s 15s: 1 2 _ stale 4         (_ = no sample)
 *     histogram lat{job=a} 0s 15s: 1 3 5 | 1,2,0,1 sum=4 | ...
 *     logs [from=0s] [to=60s] [step=10s] [limit=N] [oldest] [workers=N]: QUERY
 *     metrics [...]: QUERY
 *     clear
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "fake_store.h"
#include "query/labels.h"
#include "query/lexer_int.h"

static fake_store *fake;

static str word(str *rest) {
    *rest = str_trim(*rest);
    str w;
    if (!str_next(rest, ' ', &w)) return STR_NONE;
    return w;
}

static int64_t duration(str s) {
    int64_t ns = 0;
    if (!num_duration(s, &ns)) {
        printf("bad duration %.*s\n", STR_ARG(s));
        exit(1);
    }
    return ns;
}

/* {a=b, c=5i} */
static const attribute *attrs_of(str text, uint32_t *ret_count) {
    arena *mem = fake_store_arena(fake);
    attribute *a = arena_bytes(mem, 16 * sizeof(attribute), 8);
    uint32_t n = 0;
    text = str_sub(text, 1, text.n - 2);
    str pair;
    while (str_next(&text, ',', &pair)) {
        pair = str_trim(pair);
        size_t eq = str_find_char(pair, '=', 0);
        if (eq == STR_NPOS || n == 16) continue;
        a[n] = (attribute){.key = str_dup(mem, str_sub(pair, 0, eq)),
                           .val = str_dup(mem, str_from(pair, eq + 1))};
        int64_t i;
        str v = a[n].val;
        if (v.n > 1 && v.p[v.n - 1] == 'i' && num_i64(str_sub(v, 0, v.n - 1), &i)) {
            a[n].type = ATTR_INT;
            a[n].num = i;
            a[n].val = STR_NONE;
        }
        n++;
    }
    *ret_count = n;
    return a;
}

static str braces(str *rest) {
    *rest = str_trim(*rest);
    size_t end = str_find_char(*rest, '}', 0);
    str b = str_sub(*rest, 0, end + 1);
    *rest = str_from(*rest, end + 1);
    return b;
}

static void add_log(str rest) {
    arena *mem = fake_store_arena(fake);
    log_record *r = fake_store_log(fake);
    r->ts_ns = duration(word(&rest));
    r->severity = (uint8_t)severity_from_word(word(&rest), false);
    resource *res = arena_new(mem, resource);
    res->attrs = attrs_of(braces(&rest), &res->attr_count);
    r->resource = res;
    r->attrs = attrs_of(braces(&rest), &r->attr_count);
    for (uint32_t i = 0; i < r->attr_count; i++) { /* trace=0102.. sets the id */
        if (str_eq(r->attrs[i].key, S("trace"))) {
            uint8_t *id = arena_bytes(mem, 16, 1);
            memset(id, r->attrs[i].val.p[0] - '0', 16);
            r->trace_bin = str_make((char *)id, 16);
        }
    }
    r->body = str_dup(mem, str_trim(rest));
    size_t at = 0; /* \e stands for ESC */
    char *text = arena_bytes(mem, r->body.n + 1, 1);
    for (size_t i = 0; i < r->body.n; i++) {
        bool esc = str_starts(str_from(r->body, i), S("\\e"));
        text[at++] = esc ? '\x1b' : r->body.p[i];
        i += esc;
    }
    r->body = str_make(text, at);
}

static metric_info *info_of(str name, metric_kind kind) {
    arena *mem = fake_store_arena(fake);
    metric_info *m = arena_new(mem, metric_info);
    size_t brace = str_find_char(name, '{', 0);
    m->name = str_dup(mem, str_sub(name, 0, brace));
    m->kind = (uint8_t)kind;
    m->temporality = TEMPORALITY_CUMULATIVE;
    m->resource = arena_new(mem, resource);
    return m;
}

static void add_series(str rest) {
    arena *mem = fake_store_arena(fake);
    str name = word(&rest);
    metric_series s = {.info = info_of(name, METRIC_GAUGE)};
    s.attrs = attrs_of(str_from(name, s.info->name.n), &s.attr_count);
    int64_t at = duration(word(&rest));
    str step = word(&rest);
    int64_t gap = duration(str_sub(step, 0, step.n - 1));
    int64_t *ts = arena_bytes(mem, 512 * sizeof(int64_t), 8);
    double *v = arena_bytes(mem, 512 * sizeof(double), 8);
    for (str w = word(&rest); w.n && s.count < 512; w = word(&rest), at += gap) {
        if (str_eq(w, S("_"))) continue;
        ts[s.count] = at;
        uint64_t stale = UINT64_C(0x7ff0000000000002);
        if (str_eq(w, S("stale"))) {
            memcpy(&v[s.count], &stale, 8);
        } else if (!lex_number(w, &v[s.count])) {
            exit(1);
        }
        s.count++;
    }
    s.ts_ns = ts;
    s.val = v;
    fake_store_series(fake, &s);
}

static void add_histogram(str rest) {
    arena *mem = fake_store_arena(fake);
    str name = word(&rest);
    metric_series s = {.info = info_of(name, METRIC_HISTOGRAM)};
    s.attrs = attrs_of(str_from(name, s.info->name.n), &s.attr_count);
    int64_t at = duration(word(&rest));
    str step = word(&rest);
    int64_t gap = duration(str_sub(step, 0, step.n - 1));
    double *bounds = arena_bytes(mem, 16 * sizeof(double), 8);
    uint32_t bound_count = 0;
    for (str w = word(&rest); w.n && !str_eq(w, S("|")); w = word(&rest)) {
        if (!lex_number(w, &bounds[bound_count++])) exit(1);
    }
    metric_point *p = arena_bytes(mem, 64 * sizeof(metric_point), 8);
    int64_t *ts = arena_bytes(mem, 64 * sizeof(int64_t), 8);
    str one;
    while (str_next(&rest, '|', &one)) {
        one = str_trim(one);
        metric_point *to = &p[s.count];
        uint64_t *counts = arena_bytes(mem, 16 * sizeof(uint64_t), 8);
        str list = word(&one), n;
        while (str_next(&list, ',', &n)) {
            if (!num_u64(n, &counts[to->bucket_count])) exit(1);
            to->count += counts[to->bucket_count++];
        }
        to->has_sum = true;
        if (!lex_number(str_from(word(&one), 4), &to->sum)) exit(1);
        to->bounds = bounds;
        to->bound_count = bound_count;
        to->buckets = counts;
        to->ts_ns = ts[s.count++] = at;
        at += gap;
    }
    s.points = p;
    s.ts_ns = ts;
    fake_store_series(fake, &s);
}

/* --- results --- */

static void put_value(double v) {
    if (isnan(v)) {
        printf("NaN");
    } else {
        printf("%.10g", v);
    }
}

static void put_seconds(int64_t ns) { printf("%.10g", (double)ns / 1e9); }

static void put_labels(const query_label *l, size_t count) {
    buf b;
    buf_init(&b, 1 << 20);
    IGNORE(!labels_put(l, count, &b));
    printf("%.*s", STR_ARG(buf_str(&b)));
    buf_release(&b);
}

static void put_result(const query_result *r) {
    static const char *const KINDS[] = {"stream", "matrix", "vector", "scalar"};
    for (size_t i = 0; i < r->count; i++) {
        const query_series *s = &r->series[i];
        printf("  %s ", KINDS[r->kind]);
        put_labels(s->labels, s->label_count);
        if (r->kind == RESULT_STREAMS) {
            printf("\n");
            for (size_t k = 0; k < s->count; k++) {
                const query_entry *en = &s->entries[k];
                printf("    ");
                put_seconds(en->ts_ns);
                printf(" \"%.*s\" ", STR_ARG(en->line));
                size_t own = en->metadata_count - en->parsed_count;
                put_labels(en->metadata, own);
                printf(" ");
                put_labels(en->metadata + own, en->parsed_count);
                printf("\n");
            }
            continue;
        }
        for (size_t k = 0; k < s->count; k++) {
            printf(" ");
            put_seconds(s->ts_ns[k]);
            printf(":");
            put_value(s->val[k]);
        }
        printf("\n");
    }
    if (r->count == 0) printf("  nothing\n");
    if (r->stats.partial) printf("  partial: %s\n", r->stats.reason);
}

static void run_query(bool metrics, str rest, str whole) {
    query_opts o = {.to_ns = 60000000000};
    size_t colon = str_find(rest, S(": "), 0);
    str options = str_sub(rest, 0, colon), one;
    o.text = str_from(rest, colon + 2);
    while (str_next(&options, ' ', &one)) {
        size_t eq = str_find_char(one, '=', 0);
        str v = eq == STR_NPOS ? STR_NONE : str_from(one, eq + 1);
        if (str_starts(one, S("from="))) o.from_ns = duration(v);
        if (str_starts(one, S("to="))) o.to_ns = duration(v);
        if (str_starts(one, S("step="))) o.step_ns = duration(v);
        uint64_t n = 0;
        if (str_starts(one, S("limit=")) && num_u64(v, &n)) o.limit = n;
        if (str_starts(one, S("workers=")) && num_u64(v, &n)) o.workers = (unsigned)n;
        if (str_starts(one, S("series=")) && num_u64(v, &n)) o.max_series = (uint32_t)n;
        if (str_eq(one, S("oldest"))) o.oldest_first = true;
    }
    arena mem;
    arena_init(&mem, "result", 64 << 20);
    query_result r;
    err e = {0};
    fake_store_reset_counts(fake);
    printf("%.*s\n", STR_ARG(whole));
    rc c = (metrics ? query_metrics : query_logs)(fake_store_of(fake), &o, &mem, &r, &e);
    if (c) {
        printf("  %s: %s\n", rc_name(c), e.msg);
    } else {
        put_result(&r);
        const fake_counts *n = fake_store_counts(fake);
        if (!metrics && n->logs + n->counts > 0) {
            printf("  (%s, %" PRIu64 " rows)\n", n->counts ? "counted by the store" : "read",
                   n->rows);
        }
    }
    arena_release(&mem);
}

int main(void) {
    char line[8192];
    fake = fake_store_new();
    while (fgets(line, sizeof(line), stdin)) {
        str text = str_trim_right(str_c(line)), rest = text;
        if (text.n == 0 || text.p[0] == '#') {
            printf("%.*s\n", STR_ARG(text));
            continue;
        }
        str verb = word(&rest);
        if (str_eq(verb, S("log"))) {
            add_log(rest);
        } else if (str_eq(verb, S("series"))) {
            add_series(rest);
        } else if (str_eq(verb, S("histogram"))) {
            add_histogram(rest);
        } else if (str_eq(verb, S("clear"))) {
            fake_store_free(fake);
            fake = fake_store_new();
        } else if (str_starts(verb, S("logs")) || str_starts(verb, S("metrics"))) {
            bool metrics = str_starts(verb, S("metrics"));
            run_query(metrics, str_from(text, metrics ? 7 : 4), text);
        } else {
            printf("unknown: %.*s\n", STR_ARG(text));
            return 1;
        }
    }
    fake_store_free(fake);
    return 0;
}
