/* waterfall.c - the tree is made from parent ids; spans whose parent is not there are roots, and so
 * is one span of each ring of parents (which only damaged clients send).
 *
 * The critical path of a span, as Jaeger and CRISP (Zhang et al., USENIX ATC'22) have it: walk back
 * from its end; the child that ended last before that point was waited for and is critical, then go
 * on at that child's start. What overlaps a critical child was not waited for. Recursively. */
#include "app/waterfall.h"

#include "base/map.h"
#include "base/num.h"
#include "base/utf8.h"
#include <stdlib.h>

enum { BAR_MIN = 10, BAR_MAX = 60, DEPTH_SHOWN_MAX = 24, NAME_COLUMNS_MAX = 60 };
#define NONE UINT32_MAX

typedef struct node {
    str id, parent, name, service, message;
    int64_t start_ns, end_ns, self_ns;
    uint32_t up, first, next; /* parent, first child, next sibling; NONE */
    bool error, critical;
} node;

typedef struct tree {
    node *n;
    uint32_t count;
    uint32_t *order; /* scratch of count entries */
    int64_t start_ns, end_ns;
} tree;

/* ---- reading ---- */

static str service_of(const json_value *resource) {
    const json_value *attrs = json_get(resource, S("attributes"));
    for (size_t i = 0; i < attrs->count; i++) {
        if (str_eq(json_str(json_get(&attrs->items[i], S("key"))), S("service.name")))
            return json_str(json_path(&attrs->items[i], S("value.stringValue")));
    }
    return STR_NONE;
}

static bool is_error(const json_value *status) {
    const json_value *code = json_get(status, S("code"));
    return json_i64(code) == 2 || str_eq(json_str(code), S("STATUS_CODE_ERROR"));
}

static const json_value *resource_spans(const json_value *trace) {
    static const char *const NAMES[] = {"resourceSpans", "batches", "trace.resourceSpans"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        const json_value *v = json_path(trace, str_c(NAMES[i]));
        if (v->type == JSON_IS_ARRAY) return v;
    }
    return json_get(trace, S("resourceSpans"));
}

/* Calls for every span; counts when n is NULL. */
static uint32_t read_spans(const json_value *trace, node *n) {
    uint32_t count = 0;
    const json_value *rs = resource_spans(trace);
    for (size_t i = 0; i < rs->count; i++) {
        str service = service_of(json_get(&rs->items[i], S("resource")));
        const json_value *ss = json_get(&rs->items[i], S("scopeSpans"));
        for (size_t k = 0; k < ss->count; k++) {
            const json_value *spans = json_get(&ss->items[k], S("spans"));
            for (size_t s = 0; s < spans->count && count < WATERFALL_SPANS_MAX; s++, count++) {
                if (!n) continue;
                const json_value *x = &spans->items[s];
                n[count] = (node){.id = json_str(json_get(x, S("spanId"))),
                                  .parent = json_str(json_get(x, S("parentSpanId"))),
                                  .name = json_str(json_get(x, S("name"))),
                                  .service = service,
                                  .message = json_str(json_path(x, S("status.message"))),
                                  .start_ns = json_i64(json_get(x, S("startTimeUnixNano"))),
                                  .end_ns = json_i64(json_get(x, S("endTimeUnixNano"))),
                                  .up = NONE,
                                  .first = NONE,
                                  .next = NONE,
                                  .error = is_error(json_get(x, S("status")))};
                n[count].end_ns = MAX(n[count].end_ns, n[count].start_ns);
            }
        }
    }
    return count;
}

/* ---- the tree ---- */

typedef struct sort_key {
    int64_t start_ns, end_ns;
    uint32_t i;
} sort_key;

static int by_start(const void *a, const void *b) {
    const sort_key *x = a, *y = b;
    if (x->start_ns != y->start_ns) return x->start_ns < y->start_ns ? -1 : 1;
    if (x->end_ns != y->end_ns) return x->end_ns > y->end_ns ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

/* Walking up from i reaches a root (not i again or another ring). */
static bool has_root(const tree *t, uint32_t i) {
    uint32_t slow = i;
    for (uint32_t steps = 1; t->n[i].up != NONE; steps++) {
        i = t->n[i].up;
        if (steps % 2 == 0) slow = t->n[slow].up;
        if (i == slow) return false;
    }
    return true;
}

static void link_all(tree *t, sort_key *keys) {
    map64 ids;
    map64_init(&ids, (size_t)t->count + 1);
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t *at = map64_put(&ids, str_hash(t->n[i].id), NULL);
        if (at && *at == 0) *at = i + 1;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        const uint64_t *at = t->n[i].parent.n ? map64_get(&ids, str_hash(t->n[i].parent)) : NULL;
        if (at && *at - 1 != i) t->n[i].up = (uint32_t)(*at - 1);
    }
    map64_release(&ids);
    for (uint32_t i = 0; i < t->count; i++) {
        if (!has_root(t, i)) t->n[i].up = NONE; /* cuts the ring */
    }
    for (uint32_t i = 0; i < t->count; i++)
        keys[i] = (sort_key){t->n[i].start_ns, t->n[i].end_ns, i};
    qsort(keys, t->count, sizeof *keys, by_start);
    for (uint32_t i = 0; i < t->count; i++) t->order[i] = keys[i].i;
    /* Children in order of start: the last is put in front first. */
    for (uint32_t k = t->count; k > 0; k--) {
        node *x = &t->n[t->order[k - 1]];
        if (x->up == NONE) continue;
        x->next = t->n[x->up].first;
        t->n[x->up].first = t->order[k - 1];
    }
}

/* Duration less the union of the children's times within it. */
static int64_t self_time(const tree *t, const node *x) {
    int64_t covered = 0, until = x->start_ns;
    for (uint32_t c = x->first; c != NONE; c = t->n[c].next) {
        int64_t from = MAX(t->n[c].start_ns, until), to = MIN(t->n[c].end_ns, x->end_ns);
        if (to > from) {
            covered += to - from;
            until = to;
        }
    }
    return x->end_ns - x->start_ns - covered;
}

static int by_end(const void *a, const void *b) {
    const sort_key *x = a, *y = b;
    if (x->end_ns != y->end_ns) return x->end_ns > y->end_ns ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

/* Marks what the end of `root` waited for. The point of waiting only moves back, so one pass over
 * the children by their end is enough. `stack`, `keys`: room for all spans. */
static void mark_critical(tree *t, uint32_t root, uint32_t *stack, sort_key *keys) {
    uint32_t depth = 0;
    stack[depth++] = root;
    t->n[root].critical = true;
    while (depth > 0) {
        const node *x = &t->n[stack[--depth]];
        int64_t cursor = x->end_ns;
        uint32_t count = 0;
        for (uint32_t c = x->first; c != NONE; c = t->n[c].next)
            keys[count++] = (sort_key){t->n[c].start_ns, t->n[c].end_ns, c};
        qsort(keys, count, sizeof *keys, by_end);
        for (uint32_t k = 0; k < count; k++) {
            if (keys[k].end_ns > cursor || keys[k].start_ns >= cursor) continue;
            t->n[keys[k].i].critical = true;
            stack[depth++] = keys[k].i;
            cursor = keys[k].start_ns;
        }
    }
}

/* ---- printing ---- */

typedef struct view {
    const tree *t;
    const waterfall_opts *o;
    arena *tmp;
    buf *out;
    size_t name_columns, bar;
} view;

static void put_bar(const view *v, const node *x) {
    int64_t total = MAX(v->t->end_ns - v->t->start_ns, INT64_C(1));
    double scale = (double)v->bar / (double)total;
    size_t from = (size_t)((double)(x->start_ns - v->t->start_ns) * scale);
    size_t to = (size_t)((double)(x->end_ns - v->t->start_ns) * scale);
    from = MIN(from, v->bar - 1);
    to = MIN(MAX(to, from + 1), v->bar);
    str full =
        v->o->utf8 ? (x->critical ? S("\u2588") : S("\u2592")) : (x->critical ? S("#") : S("-"));
    const char *color = x->error ? "\033[31m" : x->critical ? "\033[33m" : "\033[36m";
    buf_pad(v->out, ' ', from);
    if (v->o->color) buf_put(v->out, str_c(color));
    for (size_t i = from; i < to; i++) buf_put(v->out, full);
    if (v->o->color) buf_put(v->out, S("\033[0m"));
    buf_pad(v->out, ' ', v->bar - to);
}

static size_t put_name(const view *v, const node *x, unsigned depth) {
    buf text;
    buf_init(&text, 4096);
    buf_pad(&text, ' ', 2 * (size_t)MIN(depth, (unsigned)DEPTH_SHOWN_MAX));
    /* Control characters of a name must not reach the terminal. */
    str name = str_fmt(v->tmp, "%.*s: %.*s", (int)MIN(x->service.n, 200), x->service.p,
                       (int)MIN(x->name.n, 500), x->name.p);
    for (size_t i = 0; i < name.n; i++)
        buf_putc(&text, (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f ? '?' : name.p[i]);
    str cut = v->out ? utf8_cut_columns(buf_str(&text), v->name_columns) : buf_str(&text);
    size_t columns = utf8_columns(cut);
    if (v->out) {
        buf_put(v->out, cut);
        buf_pad(v->out, ' ', v->name_columns - columns);
    }
    buf_release(&text);
    return columns;
}

/* Depth first without recursion; fn for each. */
static void walk(const tree *t, uint32_t root, void (*fn)(void *ctx, const node *x, unsigned depth),
                 void *ctx) {
    uint32_t i = root;
    unsigned depth = 0;
    for (;;) {
        fn(ctx, &t->n[i], depth);
        if (t->n[i].first != NONE) {
            i = t->n[i].first;
            depth++;
            continue;
        }
        while (i != root && t->n[i].next == NONE) {
            i = t->n[i].up;
            depth--;
        }
        if (i == root) return;
        i = t->n[i].next;
    }
}

static void measure(void *ctx, const node *x, unsigned depth) {
    view *v = ctx;
    view probe = *v;
    probe.out = NULL;
    v->name_columns = MAX(v->name_columns, put_name(&probe, x, depth));
}

static void put_line(void *ctx, const node *x, unsigned depth) {
    view *v = ctx;
    put_name(v, x, depth);
    buf_put(v->out, S(" "));
    put_bar(v, x);
    str took = num_duration_text(v->tmp, x->end_ns - x->start_ns);
    str self = num_duration_text(v->tmp, x->self_ns);
    buf_fmt(v->out, " %9.*s  self %9.*s %s%s", STR_ARG(took), STR_ARG(self),
            x->critical ? "*" : " ", x->error ? " ERROR" : "");
    if (x->error && x->message.n > 0) {
        buf_put(v->out, S(": "));
        for (size_t i = 0; i < MIN(x->message.n, (size_t)200); i++)
            buf_putc(v->out, (unsigned char)x->message.p[i] < ' ' ? ' ' : x->message.p[i]);
    }
    while (v->out->n > 0 && v->out->p[v->out->n - 1] == ' ') v->out->n--;
    buf_putc(v->out, '\n');
}

static void put_head(const view *v) {
    const tree *t = v->t;
    uint32_t errors = 0, services = 0;
    map64 seen;
    map64_init(&seen, WATERFALL_SPANS_MAX);
    for (uint32_t i = 0; i < t->count; i++) {
        bool added = false;
        errors += t->n[i].error;
        if (map64_put(&seen, str_hash(t->n[i].service), &added) && added) services++;
    }
    map64_release(&seen);
    buf_fmt(v->out,
            "%" PRIu32 " spans of %" PRIu32 " services in %.*s, %" PRIu32
            " with an error; * is the critical path\n\n",
            t->count, services, STR_ARG(num_duration_text(v->tmp, t->end_ns - t->start_ns)),
            errors);
}

rc waterfall_put(const json_value *trace, const waterfall_opts *o, arena *tmp, buf *out, err *e) {
    tree t = {.count = read_spans(trace, NULL)};
    if (t.count == 0) return FAIL(e, RC_NOT_FOUND, "the trace has no span");
    t.n = arena_try_new_n(tmp, node, t.count);
    t.order = arena_try_new_n(tmp, uint32_t, t.count);
    uint32_t *stack = arena_try_new_n(tmp, uint32_t, (size_t)t.count + 1);
    sort_key *keys = arena_try_new_n(tmp, sort_key, t.count);
    if (!t.n || !t.order || !stack || !keys) return FAIL(e, RC_LIMIT, "the trace is too large");
    IGNORE(read_spans(trace, t.n)); /* as many as counted */
    link_all(&t, keys);
    t.start_ns = INT64_MAX;
    t.end_ns = INT64_MIN;
    for (uint32_t i = 0; i < t.count; i++) {
        t.start_ns = MIN(t.start_ns, t.n[i].start_ns);
        t.end_ns = MAX(t.end_ns, t.n[i].end_ns);
        t.n[i].self_ns = self_time(&t, &t.n[i]);
    }
    view v = {.t = &t, .o = o, .tmp = tmp, .out = out};
    for (uint32_t k = 0; k < t.count; k++) {
        if (t.n[t.order[k]].up != NONE) continue;
        mark_critical(&t, t.order[k], stack, keys);
        walk(&t, t.order[k], measure, &v);
    }
    v.name_columns = MIN(v.name_columns, (size_t)NAME_COLUMNS_MAX);
    size_t rest = v.name_columns + 36;
    v.bar = o->width > rest + BAR_MIN ? MIN(o->width - rest, (size_t)BAR_MAX) : BAR_MIN;
    put_head(&v);
    for (uint32_t k = 0; k < t.count; k++) {
        if (t.n[t.order[k]].up == NONE) walk(&t, t.order[k], put_line, &v);
    }
    return out->full ? FAIL(e, RC_LIMIT, "the trace is too large to print") : RC_OK;
}
