/* Logs in the embedded store against an oracle: all records in an array, every condition evaluated
 * on every one of them. Level 0, level 1 and both at once have to give the same answers, and every
 * field back as it was. */
#include "telemetry_gen.h"

#include "base/mem.h"
#include "base/vec.h"
#include "codec/otlp.h"
#include "mine/mine.h"
#include "store/logblock_int.h"
#include "sys/clock.h"
#include "sys/thread.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { ROUNDS = 12, QUERIES = 120 };

static const int64_t BASE = 1785542400000000000;

/* ---- records ---- */

static str random_body(arena *a, rng *r, uint64_t i) {
    static const char *const words[] = {"order", "price", "stock", "basket", "refund"};
    const char *w = words[rng_below(r, 5)];
    unsigned n = (unsigned)rng_below(r, 100000), m = (unsigned)rng_below(r, 300);
    switch (rng_below(r, 16)) {
    case 0:
        return str_fmt(a, "GET /api/v1/%s/%u %u %u in %u.%03u ms", w, n, 200 + m % 5, n, m, m % 7);
    case 1:
        return str_fmt(a, "POST /api/v1/%s/%u %u %u in %u.%03u ms", w, n, 200 + m % 5, n, m, m % 7);
    case 2:
        return str_fmt(a, "job %s-sweep finished in %u ms, %u rows scanned", w, m, n);
    case 3:
        return str_fmt(a, "flag %s is %s for user ana.%u", w, m & 1 ? "true" : "false", n);
    case 4:
        return str_fmt(a, "order %08x-%04x created, total %u.%02u EUR", n * 7919u, m, m, n % 100);
    case 5:
        return str_fmt(a, "receiving block blk_%s%u src: /10.250.%u.%u:5%u", m & 1 ? "-" : "",
                       n * 31, m % 256, n % 256, n % 1000);
    case 6:
        return S("connection reset by peer");
    case 7:
        return S("");
    case 8:
        return str_fmt(a, "%s", w);
    case 9:
        return str_fmt(a, "%c%c\xff%u \x01 end", (char)n, (char)m, n);
    case 10:
        return str_fmt(a, "NEEDLE-%u %s%u-%u", (unsigned)i, w, m, n);
    case 11:
        return str_fmt(a, "level=%s msg=\"took %ums\" path=/a/%u/%s.log", m & 1 ? "info" : "warn",
                       m, n, w);
    case 12: {
        size_t len = rng_below(r, rng_below(r, 20) ? 60 : 70000);
        char *p = arena_bytes(a, len + 1, 1);
        for (size_t k = 0; k < len; k++) p[k] = (char)rng_u64(r);
        return (str){p, len};
    }
    case 13:
        return str_fmt(a, "user %s%u logged in\n  at frame %u\n  at main", w, m, n);
    default:
        return str_fmt(a, "cache hit key=product:SKU-%06u v%u ttl=%u", n, m % 9, m);
    }
}

/* With it records hold what nobody sends on purpose: times at the ends of the range and all alike,
 * keys that are one label, built-in names as attributes, hundreds of slots and attributes. */
static bool extreme;

static const str EXTREME_KEYS[] = {
    S_INIT("a.b"),      S_INIT("a_b"),          S_INIT("a-b"),      S_INIT("level"),
    S_INIT("trace_id"), S_INIT("service.name"), S_INIT("trace.id"), S_INIT("scope.name"),
    S_INIT(""),         S_INIT("caf\xc3\xa9"),  S_INIT("span_id"),  S_INIT("event.name")};

static str extreme_body(arena *a, rng *r) {
    size_t n = rng_below(r, 400), at = 0;
    char *p = arena_bytes(a, n * 24 + 4096, 1);
    switch (rng_below(r, 4)) {
    case 0: /* slots without end */
        for (size_t i = 0; i < n; i++)
            at += (size_t)snprintf(p + at, 24, "k%zu=%u ", i, (unsigned)rng_below(r, 1000));
        return (str){p, at};
    case 1: /* new words each time */
        for (size_t i = 0; i < 6; i++)
            for (size_t k = 1 + rng_below(r, 9); k-- > 0; at++)
                p[at] = k ? (char)('a' + rng_below(r, 26)) : ' ';
        return (str){p, at};
    case 2:
        memset(p, "\0\x01 7"[rng_below(r, 4)], n);
        return (str){p, n};
    default:
        return str_fmt(a, "tick %u", (unsigned)rng_below(r, 3));
    }
}

static void make_extreme(telemetry *t, log_record *x, rng *r) {
    static const int64_t times[] = {INT64_MAX, INT64_MIN + 1, -1, 1, 4291747200000000000, 0};
    uint64_t k = rng_below(r, 12);
    if (k < ARRAY_LEN(times)) x->ts_ns = times[k];
    if (k >= 8) x->ts_ns = BASE;
    if (rng_below(r, 8) == 0) x->observed_ns = times[rng_below(r, ARRAY_LEN(times))];
    if (rng_below(r, 2)) {
        x->body = extreme_body(&t->logs.mem, r);
        x->body_type = 0;
        x->body_any = STR_NONE;
        x->body_num = 0;
    }
    uint32_t n = rng_below(r, 200) ? (uint32_t)rng_below(r, 6) : 3000;
    attribute *attrs = arena_try_new_n(&t->logs.mem, attribute, n);
    for (uint32_t i = 0; i < n; i++) {
        attrs[i] = gen_attr(&t->mem, r);
        attrs[i].key = EXTREME_KEYS[rng_below(r, ARRAY_LEN(EXTREME_KEYS))];
        if (n == 3000) attrs[i].key = str_fmt(&t->mem, "key%u", (unsigned)rng_below(r, 4000));
        if (rng_below(r, 4) == 0)
            attrs[i] = attribute_text_of(attrs[i].key, rng_below(r, 2) ? S("") : S("info"));
    }
    x->attrs = attrs;
    x->attr_count = n;
}

static void random_record(telemetry *t, rng *r, uint64_t i, int64_t *now) {
    arena *a = &t->logs.mem;
    log_record *x = log_batch_add_over(&t->logs);
    assert_non_null(x);
    *now += (int64_t)rng_below(r, 2000000000);
    if (rng_below(r, 10))
        x->ts_ns = rng_below(r, 20) ? *now : *now - (int64_t)rng_below(r, 900000000000);
    if (rng_below(r, 3)) x->observed_ns = *now + 1000000;
    x->body = random_body(a, r, i);
    x->severity = (uint8_t)(rng_below(r, 4) ? 9 : rng_below(r, SEV_MAX + 1));
    static const str sev[] = {S_INIT("INFO"), S_INIT("warn"), S_INIT("")};
    x->severity_text = sev[rng_below(r, 3)];
    if (rng_below(r, 30) == 0) x->event_name = S("device.app.lifecycle");
    if (rng_below(r, 4) == 0) x->flags = (uint32_t)rng_below(r, 3);
    if (rng_below(r, 40) == 0) x->dropped_attrs = (uint32_t)rng_below(r, 5);
    if (rng_below(r, 4) == 0) {
        uint8_t *id = arena_bytes(a, 24, 1);
        for (int k = 0; k < 24; k++)
            id[k] = (uint8_t)(rng_below(r, 3) ? k : (int)rng_below(r, 256));
        x->trace_bin = (str){(char *)id, 16};
        if (rng_below(r, 2)) x->span_bin = (str){(char *)id + 16, 8};
    }
    if (rng_below(r, 20)) x->resource = gen_resource(&t->mem, r);
    if (rng_below(r, 2)) {
        scope *s = arena_new(&t->mem, scope);
        s->name = rng_below(r, 2) ? S("lib.a") : S("lib.b");
        if (rng_below(r, 2)) s->version = S("1.2");
        scope_finish(s);
        x->scope = s;
    }
    size_t n = rng_below(r, 4);
    attribute *attrs = arena_try_new_n(a, attribute, n + 3);
    size_t k = 0;
    if (rng_below(r, 3))
        attrs[k++] = attribute_text_of(S("logger"), rng_below(r, 2) ? S("http.access") : S("db"));
    if (rng_below(r, 2))
        attrs[k++] = (attribute){.key = S("thread.id"), .num = (int64_t)(i % 16), .type = ATTR_INT};
    while (n-- > 0 && k < 6) attrs[k++] = gen_attr(&t->mem, r);
    x->attrs = attrs;
    x->attr_count = (uint32_t)k;
    if (rng_below(r, 12) == 0) {
        attribute v = gen_attr(&t->mem, r);
        if (v.type != ATTR_STR) {
            x->body_type = v.type;
            x->body_num = v.num;
            x->body_any = v.val;
            x->body = attribute_text(&v, a);
        }
    }
    if (extreme && rng_below(r, 3)) make_extreme(t, x, r);
}

/* ---- the oracle ---- */

typedef struct oracle {
    VEC(telemetry *) t;
    VEC(const log_record *) rec;
    VEC(int64_t) time; /* sorting time of each */
} oracle;

static str oracle_label(const log_record *r, const char *name, arena *a) {
    char plain[100];
    str n = {plain, strlen(name)}; /* either form is the same */
    for (size_t c = 0; c < n.n; c++)
        plain[c] = (name[c] >= '0' && name[c] <= '9') || (name[c] >= 'a' && name[c] <= 'z') ||
                           (name[c] >= 'A' && name[c] <= 'Z')
                       ? name[c]
                       : '_';
#define FROM(list, count)                                                                          \
    for (uint32_t i = 0; i < (count); i++) {                                                       \
        char key[256];                                                                             \
        str k = (list)[i].key;                                                                     \
        for (size_t c = 0; c < k.n; c++)                                                           \
            key[c] = (k.p[c] >= '0' && k.p[c] <= '9') || (k.p[c] >= 'a' && k.p[c] <= 'z') ||       \
                             (k.p[c] >= 'A' && k.p[c] <= 'Z')                                      \
                         ? k.p[c]                                                                  \
                         : '_';                                                                    \
        if (str_eq((str){key, k.n}, n)) return attribute_text(&(list)[i], a);                      \
    }
    if (r->resource) FROM(r->resource->attrs, r->resource->attr_count)
    if (r->scope && r->scope->name.n && str_eq(n, S("scope_name"))) return r->scope->name;
    if (r->scope && r->scope->version.n && str_eq(n, S("scope_version"))) return r->scope->version;
    FROM(r->attrs, r->attr_count)
#undef FROM
    if (str_eq(n, S("level"))) {
        static const char *const level[] = {"unknown", "trace", "debug", "info",
                                            "warn",    "error", "fatal"};
        return str_c(level[r->severity ? 1 + (r->severity - 1) / 4 : 0]);
    }
    if (str_eq(n, S("severity_text"))) return r->severity_text;
    if (str_eq(n, S("event_name"))) return r->event_name;
    if (str_eq(n, S("trace_id")) && r->trace_bin.n) {
        char *p = arena_bytes(a, 32, 1);
        bytes_to_hex((const uint8_t *)r->trace_bin.p, 16, p);
        return (str){p, 32};
    }
    return STR_NONE;
}

static bool oracle_regex(str re, str text, bool whole) {
    int number;
    PCRE2_SIZE at;
    pcre2_code *c =
        pcre2_compile((PCRE2_SPTR)re.p, re.n,
                      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
                          (whole ? PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL : 0),
                      &number, &at, NULL);
    assert_non_null(c);
    /* Without it, "3" matches all of "\xff" "3\xff": PCRE2 then takes what lies between bytes that
     * are no UTF-8 for the whole. */
    assert_int_equal(pcre2_jit_compile(c, PCRE2_JIT_COMPLETE), 0);
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    int n = pcre2_match(c, (PCRE2_SPTR)(text.n ? text.p : ""), text.n, 0, 0, m, NULL);
    pcre2_match_data_free(m);
    pcre2_code_free(c);
    return n >= 0;
}

static bool oracle_holds(const log_record *r, int64_t time, const log_select *q) {
    const select_common *c = &q->c;
    if ((c->from_ns || c->to_ns) && (time < c->from_ns || time >= c->to_ns)) return false;
    if (r->severity < q->min_severity) return false;
    if (q->trace_id.n && !str_eq(q->trace_id, r->trace_bin)) return false;
    if (q->span_id.n && !str_eq(q->span_id, r->span_bin)) return false;
    for (size_t i = 0; i < c->match_count; i++) {
        arena a;
        arena_init(&a, "label", 1 << 24);
        char name[100];
        snprintf(name, sizeof name, "%.*s", STR_ARG(c->match[i].name));
        str v = oracle_label(r, name, &a), want = c->match[i].value;
        match_op op = c->match[i].op;
        bool same =
            op == MATCH_EQ || op == MATCH_NE ? str_eq(v, want) : oracle_regex(want, v, true);
        arena_release(&a);
        if (same != (op == MATCH_EQ || op == MATCH_RE)) return false;
    }
    for (size_t i = 0; i < q->line_count; i++) {
        line_op op = q->lines[i].op;
        str text = q->lines[i].text;
        bool has = op == LINE_HAS || op == LINE_HAS_NOT ? str_find(r->body, text, 0) != STR_NPOS
                                                        : oracle_regex(text, r->body, false);
        if (has != (op == LINE_HAS || op == LINE_RE)) return false;
    }
    return true;
}

/* ---- comparing: what differs, or NULL ---- */

static const char *difference(const log_record *a, const log_record *b) {
    if (a->ts_ns != b->ts_ns) return "time";
    if (a->observed_ns != b->observed_ns) return "observed time";
    if (!str_eq(a->body, b->body)) return "body";
    if (a->severity != b->severity || !str_eq(a->severity_text, b->severity_text))
        return "severity";
    if (!str_eq(a->event_name, b->event_name)) return "event name";
    if (a->flags != b->flags || a->dropped_attrs != b->dropped_attrs) return "flags";
    if (!str_eq(a->trace_bin, b->trace_bin) || !str_eq(a->span_bin, b->span_bin)) return "ids";
    resource none = {0}; /* a record without resource comes back with an empty one */
    resource_finish(&none);
    if (!same_resource(a->resource ? a->resource : &none, b->resource ? b->resource : &none))
        return "resource";
    if (!a->scope != !b->scope || (a->scope && !same_scope(a->scope, b->scope))) return "scope";
    if (!same_attrs(a->attrs, a->attr_count, b->attrs, b->attr_count)) return "attributes";
    if (a->body_type != b->body_type || a->body_num != b->body_num) return "body type";
    if (a->body_type && !str_eq(a->body_any, b->body_any)) return "body value";
    if (a->shape != b->shape) return "shape";
    if (memchr(a->body.p ? a->body.p : "", 1, a->body.n)) return NULL; /* slots are not kept then */
    if (a->slot_count != b->slot_count) return "slots";
    for (uint32_t i = 0; i < a->slot_count; i++) {
        if (a->slots[i].offset != b->slots[i].offset || a->slots[i].bytes != b->slots[i].bytes ||
            a->slots[i].type != b->slots[i].type)
            return "slot";
    }
    return NULL;
}

/* ---- store ---- */

static void on_ack(void *ctx, rc code, const err *e) {
    if (code) printf("append: %s\n", e ? e->msg : "?");
    assert_rc(code, RC_OK);
    assert_rc(sys_queue_push(ctx, ctx), RC_OK);
}

/* The store takes the telemetry, the oracle keeps its twin made with the same seed. */
static telemetry *make(uint64_t seed, uint64_t first, size_t count, int64_t *now, miner *m) {
    rng r;
    rng_init(&r, seed);
    telemetry *t = telemetry_new();
    t->arrival_ns = BASE + (int64_t)first;
    for (size_t i = 0; i < count; i++) random_record(t, &r, first + i, now);
    err e = {0};
    assert_rc(miner_batch(m, &t->logs, &e), RC_OK);
    return t;
}

typedef struct got_rows {
    const oracle *o;
    const log_select *q;
    bool *expected; /* by number in the oracle; cleared when found */
    size_t rows, last_index;
    int64_t last_time;
    sys_lock *lock;
} got_rows;

static int64_t time_of(const log_record *r, int64_t arrival) {
    return r->ts_ns != TS_NONE ? r->ts_ns : r->observed_ns ? r->observed_ns : arrival;
}

static rc check_rows(void *ctx, unsigned worker, log_batch *b, err *e) {
    (void)worker, (void)e;
    got_rows *g = ctx;
    sys_lock_take(g->lock);
    for (size_t i = 0; i < b->count; i++) {
        const log_record *r = &b->rec[i];
        assert_int_equal(r->ref.file, STORE_REF_FILE);
        int64_t time = (int64_t)r->ref.offset;
        if (g->rows && g->q->c.order == SELECT_OLDEST_FIRST) assert_true(time >= g->last_time);
        if (g->rows && g->q->c.order == SELECT_NEWEST_FIRST) assert_true(time <= g->last_time);
        g->last_time = time;
        g->rows++;
        const char *why = "no such time";
        bool found = false;
        for (size_t k = 0; k < g->o->rec.n && !found; k++) {
            if (!g->expected[k] || g->o->time.v[k] != time) continue;
            why = difference(g->o->rec.v[k], r);
            if (why) continue;
            g->expected[k] = false;
            found = true;
        }
        if (!found)
            fail_msg("a record of time %" PRIi64 " with body \"%.*s\" is not expected: %s", time,
                     (int)MIN(r->body.n, (size_t)80), r->body.p, why);
    }
    sys_lock_give(g->lock);
    return RC_OK;
}

static int by_i64(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_select(store *s, const oracle *o, const log_select *q) {
    got_rows g = {
        .o = o, .q = q, .expected = mem_new_n(bool, o->rec.n + 1), .lock = sys_lock_new("test")};
    int64_t *times = mem_new_n(int64_t, o->rec.n + 1);
    size_t want = 0;
    for (size_t i = 0; i < o->rec.n; i++) {
        g.expected[i] = oracle_holds(o->rec.v[i], o->time.v[i], q);
        if (g.expected[i]) times[want++] = o->time.v[i];
    }
    size_t all = want;
    if (q->c.limit && want > q->c.limit) want = (size_t)q->c.limit;
    select_stats st = {0};
    err e = {0};
    rc code = s->ops->logs(s, q, check_rows, &g, &st, &e);
    if (code) fail_msg("select: %s", e.msg);
    assert_false(st.partial);
    if (g.rows != want) {
        for (size_t i = 0; i < q->c.match_count; i++)
            printf("label \"%.*s\" op %d \"%.*s\"\n", STR_ARG(q->c.match[i].name),
                   (int)q->c.match[i].op, STR_ARG(q->c.match[i].value));
        for (size_t i = 0; i < q->line_count; i++)
            printf("line op %d \"%.*s\"\n", (int)q->lines[i].op, STR_ARG(q->lines[i].text));
        for (size_t i = 0; i < o->rec.n;
             i++) /* of those that are missing, when there is no limit */
            if (g.expected[i])
                printf("time %" PRIi64 " body \"%.*s\"\n", o->time.v[i],
                       (int)MIN(o->rec.v[i]->body.n, (size_t)80), o->rec.v[i]->body.p);
        fail_msg("%zu rows, want %zu; from %" PRIi64 " to %" PRIi64, g.rows, want, q->c.from_ns,
                 q->c.to_ns);
    }
    /* With an order and a limit: exactly the first in that order. */
    if (q->c.order != SELECT_ANY && want && want < all) {
        qsort(times, all, sizeof *times, by_i64);
        int64_t border = q->c.order == SELECT_OLDEST_FIRST ? times[want - 1] : times[all - want];
        assert_int_equal(g.last_time, border);
    }
    mem_free(times);
    mem_free(g.expected);
    sys_lock_free(g.lock);
}

/* ---- counts ---- */

typedef struct got_counts {
    const oracle *o;
    const log_select *q;
    const log_count_by *by;
    uint64_t records;
    const char *const *names;
} got_counts;

static rc check_count(void *ctx, const log_count *c, err *e) {
    (void)e;
    got_counts *g = ctx;
    uint64_t records = 0, bytes = 0;
    for (size_t i = 0; i < g->o->rec.n; i++) {
        const log_record *r = g->o->rec.v[i];
        int64_t time = g->o->time.v[i];
        if (!oracle_holds(r, time, g->q)) continue;
        if (g->by->step_ns && (time < c->bucket_ns ||
                               (uint64_t)time - (uint64_t)c->bucket_ns >= (uint64_t)g->by->step_ns))
            continue;
        arena a;
        arena_init(&a, "count", 1 << 24);
        bool same = true;
        for (size_t k = 0; k < g->by->label_count; k++)
            same = same && str_eq(c->values[k], oracle_label(r, g->names[k], &a));
        arena_release(&a);
        records += same;
        bytes += same ? r->body.n : 0;
    }
    assert_int_equal(c->records, records);
    if (g->by->want_bytes) assert_int_equal(c->bytes, bytes);
    g->records += c->records;
    return RC_OK;
}

static void check_counts(store *s, const oracle *o, const log_select *q, rng *r) {
    static const char *const names[] = {"service_name", "level", "logger", "thread_id",
                                        "scope_name"};
    const char *chosen[2];
    str labels[2];
    log_count_by by = {
        .labels = labels, .label_count = rng_below(r, 3), .want_bytes = rng_below(r, 2)};
    for (size_t i = 0; i < by.label_count; i++)
        labels[i] = str_c(chosen[i] = names[rng_below(r, 5)]);
    if (rng_below(r, 2)) {
        by.step_ns = 60000000000;
        by.origin_ns = BASE + 7;
    }
    got_counts g = {o, q, &by, 0, chosen};
    select_stats st = {0};
    err e = {0};
    rc code = s->ops->count_logs(s, q, &by, check_count, &g, &st, &e);
    if (code) fail_msg("count: %s", e.msg);
    uint64_t want = 0;
    for (size_t i = 0; i < o->rec.n; i++) want += oracle_holds(o->rec.v[i], o->time.v[i], q);
    assert_int_equal(g.records, want);
}

/* ---- random questions ---- */

static void random_query(const oracle *o, rng *r, log_select *q, label_match *match,
                         line_filter *line) {
    *q = (log_select){.want = LOG_WANT_ALL};
    q->c.match = match;
    q->lines = line;
    q->c.order = (select_order)rng_below(r, 3);
    q->c.workers = (unsigned)rng_below(r, 3);
    if (rng_below(r, 3) == 0) q->c.limit = 1 + rng_below(r, 50);
    const log_record *some = o->rec.n ? o->rec.v[rng_below(r, o->rec.n)] : NULL;
    if (rng_below(r, 3) == 0 && some) {
        q->c.from_ns = o->time.v[rng_below(r, o->rec.n)];
        int64_t length = (int64_t)rng_below(r, 3000000000000);
        q->c.to_ns = q->c.from_ns > INT64_MAX - length ? INT64_MAX : q->c.from_ns + length;
    }
    if (rng_below(r, 8) == 0) q->min_severity = (uint8_t)rng_below(r, 20);
    if (rng_below(r, 8) == 0 && some) q->trace_id = some->trace_bin;
    if (rng_below(r, 12) == 0 && some) q->span_id = some->span_bin;
    static const str names[] = {S_INIT("service_name"), S_INIT("level"),   S_INIT("logger"),
                                S_INIT("thread_id"),    S_INIT("absent"),  S_INIT("severity_text"),
                                S_INIT("scope_name"),   S_INIT("trace_id")};
    static const str values[] = {S_INIT("checkout"), S_INIT("info"),   S_INIT("db"),
                                 S_INIT("3"),        S_INIT(""),       S_INIT("warn"),
                                 S_INIT("lib.a"),    S_INIT("i.*|w.*")};
    for (size_t i = rng_below(r, 3); i > 0; i--) {
        size_t n = rng_below(r, 8);
        label_match *m = &match[q->c.match_count++];
        *m = (label_match){names[n], values[rng_below(r, 4) ? n : rng_below(r, 8)],
                           (match_op)rng_below(r, 4)};
        if (n == 0 && some && some->resource && rng_below(r, 2)) m->value = some->resource->service;
        if (m->op >= MATCH_RE) m->value = values[rng_below(r, 8)];
        if (extreme && rng_below(r, 2)) m->name = EXTREME_KEYS[rng_below(r, 8)];
        if (extreme && rng_below(r, 2) && some && some->attr_count && m->op < MATCH_RE) {
            const attribute *a = &some->attrs[rng_below(r, some->attr_count)];
            m->name = a->key;
            m->value = a->type == ATTR_STR ? a->val : S("1");
        }
    }
    static const str needles[] = {S_INIT("order"),
                                  S_INIT("NEEDLE-1"),
                                  S_INIT(" total "),
                                  S_INIT("e"),
                                  S_INIT("/api/v1/st"),
                                  S_INIT("-sweep finished in 2"),
                                  S_INIT("blk_-"),
                                  S_INIT("SKU-0"),
                                  S_INIT(""),
                                  S_INIT("zzz"),
                                  S_INIT("true for user ana.9"),
                                  S_INIT("\xff")};
    static const str regexes[] = {S_INIT("order .* total 1\\d+\\."),
                                  S_INIT("blk_.* src: /10\\.250\\.1\\d\\."),
                                  S_INIT("^GET .*ms$"),
                                  S_INIT("(?i)NEEDLE"),
                                  S_INIT("finished|created"),
                                  S_INIT("a?na\\.[0-9]+$"),
                                  S_INIT("\\d{5}")};
    for (size_t i = rng_below(r, 3); i > 0; i--) {
        line_filter *l = &line[q->line_count++];
        l->op = (line_op)rng_below(r, 4);
        l->text = l->op >= LINE_RE ? regexes[rng_below(r, 7)] : needles[rng_below(r, 12)];
        if (l->op < LINE_RE && some && some->body.n && rng_below(r, 3) == 0) /* surely somewhere */
            l->text = str_sub(some->body, rng_below(r, some->body.n), 1 + rng_below(r, 80));
    }
}

static void questions(store *s, const oracle *o, rng *r, size_t count) {
    log_select q;
    label_match match[4];
    line_filter line[4];
    q = (log_select){.want = LOG_WANT_ALL};
    check_select(s, o, &q);
    for (size_t i = 0; i < count; i++) {
        random_query(o, r, &q, match, line);
        check_select(s, o, &q);
        q.c.limit = 0;
        if (i % 2 == 0) check_counts(s, o, &q, r);
    }
}

static store *open_store(const char *dir) {
    store_opts opts = {.dir = str_c(dir), .no_background = true};
    store *s;
    err e = {0};
    rc code = store_open(&opts, &s, &e);
    if (code) fail_msg("open: %s", e.msg);
    return s;
}

static void check_answers(uint64_t seed) {
    rng r;
    rng_init(&r, seed);
    char dir[] = "/tmp/faultline-test-logs-XXXXXX";
    assert_non_null(mkdtemp(dir));
    store *s = open_store(dir);
    oracle o = {0};
    miner *m;
    err e = {0};
    assert_rc(miner_new(NULL, &m, &e), RC_OK);
    sys_queue *done = sys_queue_new(1);
    int64_t now = BASE;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t batch_seed = rng_u64(&r);
        size_t count = 1 + rng_below(&r, 300);
        int64_t later = now;
        telemetry *t = make(batch_seed, o.rec.n, count, &now, m),
                  *twin = make(batch_seed, o.rec.n, count, &later, m);
        vec_push(&o.t, twin);
        for (size_t i = 0; i < count; i++) {
            int64_t time = time_of(&twin->logs.rec[i], twin->arrival_ns);
            vec_push(&o.rec, &twin->logs.rec[i]);
            vec_push(&o.time, time);
        }
        assert_rc(s->ops->append(s, t, on_ack, done), RC_OK);
        void *p;
        assert_rc(sys_queue_pop(done, &p), RC_OK);
        if (round % 4 == 3) {
            rc code = s->ops->compact(s, NULL, &e);
            if (code) fail_msg("compact: %s", e.msg);
        }
        if (round % 2) questions(s, &o, &r, QUERIES / ROUNDS);
    }
    questions(s, &o, &r, extreme ? QUERIES / 4 : QUERIES);
    store_close(s);
    s = open_store(dir);
    questions(s, &o, &r, 10);
    store_close(s);
    sys_queue_free(done);
    miner_free(m);
    for (size_t i = 0; i < o.t.n; i++) telemetry_free(o.t.v[i]);
    vec_release(&o.t);
    vec_release(&o.rec);
    vec_release(&o.time);
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void answers_are_those_of_the_oracle(void **state) {
    (void)state;
    extreme = false;
    check_answers(unit_seed("logs"));
}
static void extreme_records_are_found_like_others(void **state) {
    (void)state;
    extreme = true;
    check_answers(unit_seed("extreme"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_oracle),
        cmocka_unit_test(extreme_records_are_found_like_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
