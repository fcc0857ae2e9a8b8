/* promqltest.c - runs Prometheus' own test scripts over the fake store and counts what agrees.
 *
 *     promqltest [-v] FILE.test ...        a line a file: passed failed skipped
 *     promqltest                           those of $FAULTLINE_DATA/promql that have to agree
 *
 * Skipped: native histograms, which are no samples here, and what the parser does not know yet.
 * With -v each failure is told. Format: promqltest's README. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "fake_store.h"
#include "query/labels.h"
#include "query/lexer_int.h"

enum { POINTS_MAX = 20000, LABELS = 32, ROWS_MAX = 2000 };

typedef struct row { /* an expected one */
    query_label labels[LABELS];
    size_t label_count;
    double v[2000];
    bool is[2000];
    size_t count;
} row;

static fake_store *fake;
static bool verbose;
static size_t passed, failed, skipped;
static row *rows;

static str word(str *rest) {
    *rest = str_trim(*rest);
    size_t n = 0;
    while (n < rest->n && (unsigned char)rest->p[n] > ' ') n++;
    str w = str_sub(*rest, 0, n);
    *rest = str_trim(str_from(*rest, n));
    return w;
}

/* name{a="b", c='d'} at the start of *rest; false when it is none. */
static bool take_labels(str *rest, query_label *to, size_t *ret_n) {
    arena *mem = fake_store_arena(fake);
    const token *t;
    size_t count, n = 0, at = 0;
    if (lex(*rest, PROMQL, mem, &t, &count, NULL)) return false;
    if (t[0].kind == TOK_IDENT) {
        size_t end = t[0].end; /* the name as written */
        to[n++] = (query_label){S("__name__"), str_sub(*rest, t[0].pos, end - t[0].pos)};
        at = 1;
    }
    size_t used = at ? t[0].end : 0;
    if (t[at].kind == TOK_OPEN_BRACE) {
        at++;
        while (t[at].kind != TOK_CLOSE_BRACE) {
            bool quoted = t[at].kind == TOK_STRING;
            if ((t[at].kind != TOK_IDENT && !quoted) || n == LABELS) return false;
            if (quoted && t[at + 1].kind != TOK_EQ) {
                to[n++] = (query_label){S("__name__"), t[at].val};
                at++;
            } else {
                if (t[at + 1].kind != TOK_EQ || t[at + 2].kind != TOK_STRING) return false;
                if (t[at + 2].val.n) to[n++] = (query_label){t[at].val, t[at + 2].val};
                at += 3;
            }
            if (t[at].kind == TOK_COMMA) at++;
        }
        used = t[at].end;
    } else if (at == 0) {
        return false;
    }
    labels_sort(to, n);
    *ret_n = n;
    *rest = str_trim(str_from(*rest, used));
    return true;
}

/* 1 2+3x2 _ stale _x3: values; false for histograms. */
static bool take_points(str rest, double *v, uint8_t *is, size_t cap, size_t *ret_n) {
    size_t n = 0;
    uint64_t stale_bits = UINT64_C(0x7ff0000000000002), nan_bits = UINT64_C(0x7ff8000000000001);
    while (rest.n) {
        str w = word(&rest);
        if (str_has(w, S("{{")) || w.n == 0) return false;
        double first = 0, step = 0;
        uint64_t times = 0;
        bool gap = w.p[0] == '_', stale = str_starts(w, S("stale"));
        size_t x = str_find_char(w, 'x', 0);
        bool repeats = x != STR_NPOS && num_u64(str_from(w, x + 1), &times);
        str head = repeats ? str_sub(w, 0, x) : w;
        if (!gap && !stale) {
            size_t op = 1;
            while (repeats && op < head.n &&
                   !((head.p[op] == '+' || head.p[op] == '-') && (head.p[op - 1] | 0x20) != 'e'))
                op++;
            if (repeats && op < head.n) {
                if (!lex_number(str_sub(head, 0, op), &first) ||
                    !lex_number(str_from(head, op), &step))
                    return false;
            } else if (!lex_number(head, &first)) {
                return false;
            }
        }
        size_t count = repeats ? (size_t)times + !gap : 1; /* _x3 is three, 1x3 is four */
        if (repeats && gap) count = (size_t)times;
        for (size_t i = 0; i < count && n < cap; i++, n++) {
            is[n] = gap ? 0 : 1;
            v[n] = first + step * (double)i;
            if (isnan(v[n])) memcpy(&v[n], &nan_bits, 8); /* as Prometheus stores it */
            if (stale) memcpy(&v[n], &stale_bits, 8);
        }
    }
    *ret_n = n;
    return true;
}

static void load(int64_t gap, str line) {
    arena *mem = fake_store_arena(fake);
    query_label labels[LABELS];
    size_t n, points;
    if (!take_labels(&line, labels, &n)) return;
    double *v = arena_bytes(mem, POINTS_MAX * sizeof(double), 8);
    uint8_t *is = arena_bytes(mem, POINTS_MAX, 1);
    if (!take_points(line, v, is, POINTS_MAX, &points)) return;
    metric_info *m = arena_new(mem, metric_info);
    m->kind = METRIC_GAUGE;
    m->resource = arena_new(mem, resource);
    attribute *a = arena_bytes(mem, LABELS * sizeof(attribute), 8);
    metric_series s = {.info = m, .attrs = a};
    for (size_t i = 0; i < n; i++) {
        if (str_eq(labels[i].name, S("__name__"))) {
            m->name = str_dup(mem, labels[i].value);
        } else {
            a[s.attr_count++] =
                attribute_text_of(str_dup(mem, labels[i].name), str_dup(mem, labels[i].value));
        }
    }
    int64_t *ts = arena_bytes(mem, (points + 1) * sizeof(int64_t), 8);
    for (size_t i = 0; i < points; i++) {
        if (!is[i]) continue;
        ts[s.count] = (int64_t)i * gap;
        v[s.count++] = v[i];
    }
    s.ts_ns = ts;
    s.val = v;
    if (s.count) fake_store_series(fake, &s);
}

static bool near(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (a == b) return true;
    return fabs(a - b) <= 1e-6 * fmax(fabs(a), fabs(b)) + 1e-300;
}

typedef struct eval_case {
    char what[4096];
    query_opts o;
    bool fails, ordered, odd;
    size_t rows;
    bool has_scalar;
} eval_case;

static const char *differs(const eval_case *c, const query_result *r) {
    if (c->has_scalar) {
        if (r->count != 1 || r->series[0].count != 1) return "no scalar";
        return near(rows[0].v[0], r->series[0].val[0]) ? NULL : "another number";
    }
    if (r->count != c->rows) return "another count of series";
    for (size_t i = 0; i < c->rows; i++) {
        const row *w = &rows[i];
        const query_series *s = NULL;
        for (size_t k = 0; k < r->count && !s; k++) {
            if (c->ordered && k != i) continue;
            if (labels_equal(w->labels, w->label_count, r->series[k].labels,
                             r->series[k].label_count))
                s = &r->series[k];
        }
        if (!s) return "other labels";
        size_t at = 0;
        for (size_t k = 0; k < w->count; k++) {
            if (!w->is[k]) continue;
            int64_t ts = c->o.step_ns ? c->o.from_ns + (int64_t)k * c->o.step_ns : c->o.to_ns;
            if (at >= s->count || s->ts_ns[at] != ts) return "other times";
            if (!near(w->v[k], s->val[at])) return "another number";
            at++;
        }
        if (at != s->count) return "more samples";
    }
    return NULL;
}

static void finish(eval_case *c) {
    if (!c->what[0]) return;
    arena mem;
    arena_init(&mem, "case", 256 << 20);
    query_result r = {0};
    err e = {0};
    rc code = c->odd ? RC_UNSUPPORTED : query_metrics(fake_store_of(fake), &c->o, &mem, &r, &e);
    const char *why = NULL;
    bool unknown = code == RC_UNSUPPORTED || (code && str_has(str_c(e.msg), S("parse error")));
    if (c->odd || (unknown && !c->fails)) {
        skipped++;
        if (verbose && !c->odd) printf("  skipped: %s: %s\n", c->what, e.msg);
    } else {
        if (c->fails) {
            why = code ? NULL : "should fail";
        } else if (code) {
            why = e.msg;
        } else {
            why = differs(c, &r);
        }
        if (why) {
            failed++;
            if (verbose) printf("  FAILED: %s: %s\n", c->what, why);
            for (size_t i = 0; verbose && i < r.count && i < 6; i++) {
                buf b;
                buf_init(&b, 4096);
                IGNORE(!labels_put(r.series[i].labels, r.series[i].label_count, &b));
                printf("      %.*s", STR_ARG(buf_str(&b)));
                for (size_t k = 0; k < r.series[i].count && k < 8; k++)
                    printf(" %g", r.series[i].val[k]);
                printf("\n");
                buf_release(&b);
            }
        } else {
            passed++;
        }
    }
    arena_release(&mem);
    *c = (eval_case){0};
}

static int64_t time_of(str s) {
    int64_t ns;
    double sec;
    if (lex_duration(s, &ns)) return ns;
    if (lex_number(s, &sec)) return (int64_t)llround(sec * 1e9);
    return 0;
}

static char query[4096];

static void start_eval(eval_case *c, str verb, str rest) {
    str kind = word(&rest);
    c->fails = str_eq(verb, S("eval_fail"));
    c->ordered = str_eq(verb, S("eval_ordered"));
    (void)snprintf(c->what, sizeof(c->what), "%.*s", STR_ARG(rest));
    if (str_eq(kind, S("instant"))) {
        (void)word(&rest); /* at */
        c->o.to_ns = time_of(word(&rest));
    } else {
        (void)word(&rest); /* from */
        c->o.from_ns = time_of(word(&rest));
        (void)word(&rest); /* to */
        c->o.to_ns = time_of(word(&rest));
        (void)word(&rest); /* step */
        c->o.step_ns = time_of(word(&rest));
    }
    (void)snprintf(query, sizeof(query), "%.*s", STR_ARG(rest));
    c->o.text = str_c(query);
    c->odd = c->o.to_ns < 0 || c->o.from_ns < 0;
}

static void expected(eval_case *c, str line) {
    if (str_starts(line, S("expect "))) {
        if (str_starts(line, S("expect fail"))) c->fails = true;
        if (str_starts(line, S("expect ordered"))) c->ordered = true;
        if (str_starts(line, S("expect string")) || str_starts(line, S("expect range")))
            c->odd = true;
        return;
    }
    if (str_starts(line, S("expected_fail")) || c->rows >= ROWS_MAX) return;
    line = str_dup(fake_store_arena(fake), line); /* rows borrow from it */
    row *w = &rows[c->rows];
    *w = (row){0};
    uint8_t is[2000];
    double number;
    if (lex_number(line, &number)) {
        c->has_scalar = true;
        w->v[0] = number;
        c->rows++;
        return;
    }
    if (!take_labels(&line, w->labels, &w->label_count) ||
        !take_points(line, w->v, is, 2000, &w->count)) {
        c->odd = true;
        return;
    }
    for (size_t i = 0; i < w->count; i++) w->is[i] = is[i];
    c->rows++;
}

static void run_file(const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        exit(1);
    }
    static char line[65536];
    eval_case c = {0};
    int64_t gap = 0;
    bool loading = false;
    passed = failed = skipped = 0;
    fake = fake_store_new();
    while (fgets(line, sizeof(line), f)) {
        str text = str_trim_right(str_c(line)), rest = str_trim(text);
        bool indented = text.n && (text.p[0] == ' ' || text.p[0] == '\t');
        if (rest.n == 0 || rest.p[0] == '#') {
            if (rest.n == 0) finish(&c);
            if (rest.n == 0) loading = false;
            continue;
        }
        if (!indented) {
            finish(&c);
            loading = false;
            str verb = word(&rest);
            if (str_starts(verb, S("load"))) {
                gap = time_of(word(&rest));
                loading = true;
            } else if (str_eq(verb, S("clear"))) {
                fake_store_free(fake);
                fake = fake_store_new();
            } else if (str_starts(verb, S("eval"))) {
                start_eval(&c, verb, rest);
            }
        } else if (loading) {
            load(gap, rest);
        } else if (c.what[0]) {
            expected(&c, rest);
        }
    }
    finish(&c);
    fake_store_free(fake);
    fclose(f);
    const char *name = strrchr(path, '/');
    printf("%-28s %4zu passed %4zu failed %4zu skipped\n", name ? name + 1 : path, passed, failed,
           skipped);
}

/* Whole agreement, but for what is skipped. Others hold native histograms and experimental
 * features. */
static const char *const AGREED[] = {
    "at_modifier",   "collision", "duration_expression", "extended_vectors", "literals",
    "range_queries", "selectors", "staleness",           "subquery",         "trig_functions"};

int main(int argc, char **argv) {
    size_t all = 0, wrong = 0;
    const char *data = getenv("FAULTLINE_DATA");
    if (argc == 1 && !data) {
        printf("FAULTLINE_DATA is not set: skipped\n");
        return 77;
    }
    rows = mem_new_n(row, ROWS_MAX);
    for (size_t i = 0; argc == 1 && i < ARRAY_LEN(AGREED); i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/promql/promqltest/%s.test", data, AGREED[i]);
        run_file(path);
        all += passed;
        wrong += failed;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) {
            verbose = true;
            continue;
        }
        run_file(argv[i]);
        all += passed;
        wrong += failed;
    }
    mem_free(rows);
    printf("%zu passed, %zu failed\n", all, wrong);
    return argc == 1 && (wrong > 0 || all == 0);
}
