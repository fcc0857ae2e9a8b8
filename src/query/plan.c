/* plan.c - splits a log pipeline between the store and the executor.
 *
 * To the store go: the selector; every line filter ahead of the first stage that changes the line
 * (parsers in between do not matter, they leave the line alone); every comparison of a label with a
 * text that is joined by "and" and stands ahead of the first stage that makes labels. Equalities on
 * trace_id and span_id become lookups by id. `|= "a" or "b"` becomes one expression, `!= "a" or
 * "b"` two filters. The rest stays, in its order. */
#include "query/plan_int.h"

#include "codec/otlp.h"
#include "sys/clock.h"

enum { DEFAULT_TIMEOUT_S = 60 };

typedef struct planner {
    arena *mem;
    logs_plan *to;
    label_match *match;
    line_filter *lines;
    size_t match_cap, line_cap;
    log_stage *stages;
    size_t stage_cap;
} planner;

/* Names that records have for the pipe but not for the store. */
bool plan_store_knows(str name) {
    static const str OWN[] = {S_INIT("__error__"),          S_INIT("__error_details__"),
                              S_INIT("severity_number"),    S_INIT("flags"),
                              S_INIT("observed_timestamp"), S_INIT("component"),
                              S_INIT("host_name"),          S_INIT("dropped_attributes_count")};
    for (size_t i = 0; i < ARRAY_LEN(OWN); i++) {
        if (str_eq(name, OWN[i])) return false;
    }
    return true;
}

str plan_store_name(str name) { return str_eq(name, S("detected_level")) ? S("level") : name; }

uint32_t plan_want_of(str name) {
    static const str REST[] = {S_INIT("severity_text"), S_INIT("event_name"), S_INIT("flags"),
                               S_INIT("observed_timestamp"), S_INIT("dropped_attributes_count")};
    if (str_eq(name, S("service_name")) || str_starts(name, S("__error"))) return 0;
    uint32_t want = LOG_WANT_ATTRS;
    if (str_eq(name, S("trace_id")) || str_eq(name, S("span_id"))) want |= LOG_WANT_IDS;
    for (size_t i = 0; i < ARRAY_LEN(REST); i++) {
        if (str_eq(name, REST[i])) want |= LOG_WANT_REST;
    }
    return want;
}

static uint32_t want_of_filter(const label_filter *f) {
    if (f->kind <= FILTER_OR) return want_of_filter(f->left) | want_of_filter(f->right);
    return plan_want_of(f->name);
}

uint32_t plan_want_of_stages(const log_stage *stages, size_t count) {
    uint32_t want = 0;
    for (size_t i = 0; i < count; i++) {
        const log_stage *st = &stages[i];
        if (st->filter) want |= want_of_filter(st->filter);
        for (size_t k = 0; k < st->tpl.count; k++) want |= plan_want_of(st->tpl.parts[k].text);
        if (st->kind == STAGE_LABEL_FORMAT || st->kind == STAGE_KEEP || st->kind == STAGE_DROP) {
            want |= LOG_WANT_ATTRS | LOG_WANT_IDS | LOG_WANT_REST;
        }
    }
    return want;
}

static rc full(err *e) { return FAIL(e, RC_LIMIT, "the plan of the query needs too much memory"); }

#define PUSH(pl, list, count, cap, ...)                                                            \
    do {                                                                                           \
        if ((count) == (cap)) {                                                                    \
            size_t cap_ = (cap) ? 2 * (cap) : 8;                                                   \
            void *more_ = arena_try_bytes((pl)->mem, cap_ * sizeof(*(list)), 8);                   \
            if (!more_) return full(e);                                                            \
            if (count) memcpy(more_, (list), (count) * sizeof(*(list)));                           \
            (list) = more_;                                                                        \
            (cap) = cap_;                                                                          \
        }                                                                                          \
        (list)[(count)++] = __VA_ARGS__;                                                           \
    } while (0)

/* An equality on an id: a lookup. False when it has to stay a matcher. */
static bool take_id(planner *pl, const label_match *m) {
    bool trace = str_eq(m->name, S("trace_id"));
    size_t bytes = trace ? 16 : 8;
    str *slot = trace ? &pl->to->select.trace_id : &pl->to->select.span_id;
    if (m->op != MATCH_EQ || (!trace && !str_eq(m->name, S("span_id"))) || slot->n) return false;
    uint8_t id[16];
    if (!hex_to_bytes(m->value, id, bytes)) return false;
    *slot = str_dup(pl->mem, str_make((const char *)id, bytes));
    return slot->p != NULL;
}

static rc add_match(planner *pl, const label_match *m, err *e) {
    if (take_id(pl, m)) return RC_OK;
    label_match one = *m;
    one.name = plan_store_name(m->name);
    PUSH(pl, pl->match, pl->to->select.c.match_count, pl->match_cap, one);
    return RC_OK;
}

static rc add_line(planner *pl, str text, line_op op, err *e) {
    if (text.n == 0 && op == LINE_HAS) return RC_OK;
    line_filter f = {.text = text, .op = op};
    PUSH(pl, pl->lines, pl->to->select.line_count, pl->line_cap, f);
    return RC_OK;
}

/* <_>a<_> as an expression that the store understands. */
static bool put_line_pattern(buf *b, str text) {
    bool ok = buf_put(b, S("(?s)\\A"));
    for (size_t at = 0; at < text.n && ok;) {
        size_t gap = str_find(text, S("<_>"), at);
        size_t end = gap == STR_NPOS ? text.n : gap;
        ok = regex_quote(b, str_sub(text, at, end - at)) &&
             (gap == STR_NPOS || buf_put(b, S(".*?")));
        at = gap == STR_NPOS ? text.n : gap + 3;
    }
    return ok && buf_put(b, S("\\z"));
}

static bool put_choice(buf *b, const log_stage *st, const line_choice *c) {
    if (st->line == LINE_TEXT) return regex_quote(b, c->text);
    if (st->line == LINE_PATTERN) return put_line_pattern(b, c->text);
    return buf_put(b, S("(?:")) && buf_put(b, c->text) && buf_putc(b, ')');
}

static rc add_line_stage(planner *pl, const log_stage *st, bool *ret_pushed, err *e) {
    *ret_pushed = false;
    for (size_t i = 0; i < st->choice_count; i++) {
        if (st->choices[i].is_ip) return RC_OK;
    }
    *ret_pushed = true;
    bool texts = st->line == LINE_TEXT && (st->negated || st->choice_count == 1);
    bool regexes = st->line == LINE_REGEX && (st->negated || st->choice_count == 1);
    if (texts || regexes) { /* all must hold: one filter each */
        line_op op =
            texts ? (st->negated ? LINE_HAS_NOT : LINE_HAS) : (st->negated ? LINE_NOT_RE : LINE_RE);
        for (size_t i = 0; i < st->choice_count; i++) {
            rc c = add_line(pl, st->choices[i].text, op, e);
            if (c) return c;
        }
        return RC_OK;
    }
    buf b;
    buf_init(&b, 8 * QUERY_TEXT_MAX);
    bool ok = true;
    for (size_t i = 0; i < st->choice_count && ok; i++) {
        ok = (i == 0 || buf_putc(&b, '|')) && put_choice(&b, st, &st->choices[i]);
    }
    str text = ok ? str_dup(pl->mem, buf_str(&b)) : STR_NONE;
    buf_release(&b);
    if (!text.p) return full(e);
    return add_line(pl, text, st->negated ? LINE_NOT_RE : LINE_RE, e);
}

/* Takes what the store can do out of a filter; what is left, or NULL. */
static rc split_filter(planner *pl, const label_filter *f, const label_filter **ret, err *e) {
    *ret = f;
    if (f->kind == FILTER_AND) {
        const label_filter *l, *r;
        rc c = split_filter(pl, f->left, &l, e);
        if (!c) c = split_filter(pl, f->right, &r, e);
        if (c) return c;
        if (!l || !r) {
            *ret = l ? l : r;
        } else if (l != f->left || r != f->right) {
            label_filter *both = arena_try_new(pl->mem, label_filter);
            if (!both) return full(e);
            *both = (label_filter){.kind = FILTER_AND, .left = l, .right = r};
            *ret = both;
        }
        return RC_OK;
    }
    if (f->kind != FILTER_TEXT || !plan_store_knows(f->name)) return RC_OK;
    *ret = NULL;
    return add_match(pl, &f->match, e);
}

/* drop __error__ where there is none yet */
static bool drops_nothing(const log_stage *st) {
    for (size_t i = 0; i < st->item_count; i++) {
        if (!str_starts(st->items[i].name, S("__error"))) return false;
    }
    return st->kind == STAGE_DROP;
}

static rc plan_stage(planner *pl, const log_stage *st, bool *line_changed, bool *labels_changed,
                     err *e) {
    log_stage left = *st;
    rc c = RC_OK;
    bool pushed = false;
    switch ((stage_kind)st->kind) {
    case STAGE_LINE:
        if (!*line_changed) c = add_line_stage(pl, st, &pushed, e);
        if (c || pushed) return c;
        break;
    case STAGE_FILTER:
        if (!*labels_changed) c = split_filter(pl, st->filter, &left.filter, e);
        if (c || !left.filter) return c;
        break;
    case STAGE_DROP:
        if (pl->to->stage_count == 0 && drops_nothing(st)) return RC_OK;
        *labels_changed = true;
        break;
    case STAGE_UNPACK:
        *labels_changed = true;
        *line_changed = true;
        break;
    case STAGE_LINE_FORMAT:
    case STAGE_DECOLORIZE:
        *line_changed = true;
        break;
    case STAGE_JSON:
    case STAGE_LOGFMT:
    case STAGE_REGEXP:
    case STAGE_PATTERN:
    case STAGE_LABEL_FORMAT:
    case STAGE_KEEP:
        *labels_changed = true;
        break;
    }
    PUSH(pl, pl->stages, pl->to->stage_count, pl->stage_cap, left);
    return RC_OK;
}

rc plan_logs(const expr *x, arena *mem, logs_plan *ret, err *e) {
    *ret = (logs_plan){0};
    planner pl = {.mem = mem, .to = ret};
    for (size_t i = 0; i < x->match_count; i++) {
        rc c = add_match(&pl, &x->match[i], e);
        if (c) return c;
    }
    bool labels_changed = false;
    for (size_t i = 0; i < x->stage_count; i++) {
        rc c = plan_stage(&pl, &x->stages[i], &ret->changes_line, &labels_changed, e);
        if (c) return c;
    }
    ret->select.c.match = pl.match;
    ret->select.lines = pl.lines;
    ret->stages = pl.stages;
    return RC_OK;
}

void plan_common(const query_opts *o, select_common *to) {
    to->from_ns = o->from_ns;
    to->to_ns = o->to_ns;
    to->workers = MAX(o->workers, 1);
    to->cancel = o->cancel;
    to->max_bytes = o->max_bytes;
    int64_t timeout = o->timeout_ns > 0 ? o->timeout_ns : (int64_t)DEFAULT_TIMEOUT_S * 1000000000;
    to->deadline_ns = SYS_CLOCK_REAL.ops->mono(SYS_CLOCK_REAL.ctx).ns + timeout;
}
