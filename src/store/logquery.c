/* logquery.c - the conditions of a log query, tested on rows, kinds and blocks.
 *
 * Problem. "contains this text" is asked of a million lines, and reading them all costs half a
 * second. A line is its kind's skeleton with values put in; most kinds can be excluded by looking
 * at the skeleton and at what is known of their values (lengths, characters), once for thousands of
 * lines.
 *
 * Where can a needle be in a kind? The body is constants and slots in turn. It lies in a constant
 * (then every row has it), or it begins in a constant or a slot and goes on in what follows. Each
 * way it can lie leaves a condition on one slot: the value has, begins with, ends with, or is a
 * part of the needle (lq_place); what is known of the slot's values (characters, lengths) excludes
 * most. A row then holds the needle when one of these conditions holds: no body is made. Needles
 * through several slots, and needles longer than 63 bytes that may occur, are looked for in whole
 * bodies. Cost: (constants + slots) x needle length steps a kind.
 *
 * Of a regular expression the literals on its top level are needles: parentheses, classes,
 * optional characters end a literal; an alternative on the top level or anything unusual means that
 * none are known.
 *
 * Source: stamps and the parting of a keyword over constants and values: Wei et al. 2023 (LogGrep,
 * section 5.1). */
#include "store/logquery_int.h"

#include "base/mem.h"
#include "base/rng.h"
#include "codec/otlp.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MATCH_STEPS_MAX = 1 << 22, NEEDLE_MAX = 63, ROW_BODY_MAX = 128 << 20, LQ_SLOTS_MAX = 160 };

/* ---- literals of expressions ---- */

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind the ']' of the class that begins at `at`; STR_NPOS when it does not end. */
static size_t skip_class(str re, size_t at) {
    size_t i = at + 1;
    if (i < re.n && re.p[i] == '^') i++;
    if (i < re.n && re.p[i] == ']') i++;
    for (; i < re.n; i++) {
        if (re.p[i] == '\\') {
            if (i + 1 < re.n && (re.p[i + 1] == 'Q' || re.p[i + 1] == 'E')) return STR_NPOS;
            i++;
        } else if (re.p[i] == '[' && i + 1 < re.n &&
                   (re.p[i + 1] == ':' || re.p[i + 1] == '.' || re.p[i + 1] == '=')) {
            size_t end = str_find(re, (str){re.p + i + 1, 1}, i + 2);
            if (end == STR_NPOS || end + 1 >= re.n || re.p[end + 1] != ']') continue;
            i = end + 1;
        } else if (re.p[i] == ']') {
            return i + 1;
        }
    }
    return STR_NPOS;
}

/* Behind the ')' of the group that begins at `at`. */
static size_t skip_group(str re, size_t at) {
    if (at + 1 < re.n && (re.p[at + 1] == '?' || re.p[at + 1] == '*') &&
        !(at + 2 < re.n && re.p[at + 1] == '?' && re.p[at + 2] == ':'))
        return STR_NPOS;
    for (size_t i = at + 1; i < re.n;) {
        if (re.p[i] == '\\') {
            if (i + 1 < re.n && (re.p[i + 1] == 'Q' || re.p[i + 1] == 'E')) return STR_NPOS;
            i += 2;
        } else if (re.p[i] == '[') {
            i = skip_class(re, i);
            if (i == STR_NPOS) return STR_NPOS;
        } else if (re.p[i] == '(') {
            i = skip_group(re, i);
            if (i == STR_NPOS) return STR_NPOS;
        } else if (re.p[i] == ')') {
            return i + 1;
        } else {
            i++;
        }
    }
    return STR_NPOS;
}

size_t regex_literals(str re, arena *mem, str *ret, size_t max) {
    char *p = arena_try_raw(mem, re.n + 1, 1);
    size_t count = 0, from = 0, n = 0; /* the open literal is p[from, n) */
    if (!p || re.n > 4096) return 0;
    for (size_t i = 0; i < re.n;) {
        char c = re.p[i];
        bool literal = false;
        if (c == '|' || c == '*' || c == '+' || c == '?' || c == '{' || c == ')') {
            if (c == '|' || c == ')') return 0;
            /* A quantifier of the last character: '+' keeps it, the others may leave it out. */
            if (n > from && c != '+') {
                do n--;
                while (n > from && ((uint8_t)p[n] & 0xc0) == 0x80);
            }
            if (c == '{') {
                size_t end = str_find_char(re, '}', i);
                if (end == STR_NPOS) return 0;
                i = end;
            }
            i++;
            while (i < re.n && (re.p[i] == '?' || re.p[i] == '+')) i++;
        } else if (c == '[') {
            i = skip_class(re, i);
        } else if (c == '(') {
            i = skip_group(re, i);
        } else if (c == '\\') {
            if (i + 1 >= re.n) return 0;
            char x = re.p[i + 1];
            if (!is_alnum(x)) {
                p[n++] = x;
                literal = true;
            } else if (!memchr("dDwWsSbBAzZthHvVR", x, 17)) {
                return 0;
            }
            i += 2;
        } else if (c == '.' || c == '^' || c == '$') {
            i++;
        } else {
            p[n++] = c;
            literal = true;
            i++;
        }
        if (i == STR_NPOS) return 0;
        if (literal) continue;
        if (n > from && count < max) ret[count++] = (str){p + from, n - from};
        from = n;
    }
    if (n > from && count < max) ret[count++] = (str){p + from, n - from};
    return count;
}

/* ---- compiling ---- */

static rc compile_line(log_query *lq, const line_filter *f, lq_line *to, err *e) {
    *to = (lq_line){.op = f->op, .text = str_dup(&lq->mem, f->text)};
    if (!to->text.p) return FAIL(e, RC_LIMIT, "line filters are too long");
    if (f->op == LINE_HAS || f->op == LINE_HAS_NOT) {
        to->literals[0] = to->text;
        to->literal_count = to->text.n > 0;
    } else {
        int number;
        PCRE2_SIZE at;
        to->re = pcre2_compile((PCRE2_SPTR)(f->text.n ? f->text.p : ""), f->text.n,
                               PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                               &number, &at, NULL);
        if (!to->re) {
            PCRE2_UCHAR text[160];
            pcre2_get_error_message(number, text, sizeof text);
            return FAIL(e, RC_INVALID, "the expression \"%.*s\" is wrong at %zu: %s",
                        (int)MIN(f->text.n, (size_t)200), f->text.p ? f->text.p : "", (size_t)at,
                        (const char *)text);
        }
        pcre2_jit_compile(to->re, PCRE2_JIT_COMPLETE); /* without it, it is interpreted */
        to->literal_count = regex_literals(to->text, &lq->mem, to->literals, LQ_LITERALS_MAX);
    }
    for (size_t i = 0; i < to->literal_count; i++) to->masks[i] = lb_mask_of(to->literals[i]);
    return RC_OK;
}

static uint64_t hash_of(const log_select *q) {
    uint64_t h = q->min_severity;
    for (size_t i = 0; i < q->c.match_count; i++) {
        h = mix64(h ^ str_hash(q->c.match[i].name) ^ q->c.match[i].op);
        h = mix64(h ^ str_hash(q->c.match[i].value));
    }
    h = mix64(h + 1);
    for (size_t i = 0; i < q->line_count; i++)
        h = mix64(h ^ str_hash(q->lines[i].text) ^ q->lines[i].op);
    h = mix64(h ^ str_hash(q->trace_id));
    return mix64(h ^ str_hash(q->span_id));
}

rc lq_new(const log_select *q, log_query **ret, err *e) {
    if (q->trace_id.n && q->trace_id.n != 16)
        return FAIL(e, RC_INVALID, "a trace id has 16 bytes, not %zu", q->trace_id.n);
    if (q->span_id.n && q->span_id.n != 8)
        return FAIL(e, RC_INVALID, "a span id has 8 bytes, not %zu", q->span_id.n);
    if (q->line_count > LQ_LINES_MAX)
        return FAIL(e, RC_LIMIT, "%zu line filters; the maximum is %d", q->line_count,
                    (int)LQ_LINES_MAX);
    log_query *lq = mem_new(log_query);
    arena_init(&lq->mem, "log query", 4 << 20);
    lq->q = q;
    lq->hash = hash_of(q);
    lq->match_count = q->c.match_count;
    lq->lines = mem_new_n(lq_line, q->line_count + 1);
    lq->match_context = pcre2_match_context_create(NULL);
    rc code = matchers_new(q->c.match, q->c.match_count, &lq->m, e);
    if (!code && !lq->match_context) code = FAIL(e, RC_LIMIT, "no memory for a query");
    if (!code) pcre2_set_match_limit(lq->match_context, MATCH_STEPS_MAX);
    for (size_t i = 0; i < q->line_count && !code; i++) {
        code = compile_line(lq, &q->lines[i], &lq->lines[i], e);
        lq->line_count++;
    }
    lq->any = q->c.match_count || q->line_count || q->trace_id.n || q->span_id.n || q->min_severity;
    if (code)
        lq_free(lq);
    else
        *ret = lq;
    return code;
}

void lq_free(log_query *lq) {
    if (!lq) return;
    for (size_t i = 0; i < lq->line_count; i++) pcre2_code_free(lq->lines[i].re);
    pcre2_match_context_free(lq->match_context);
    mem_free(lq->lines);
    matchers_free(lq->m);
    arena_release(&lq->mem);
    mem_free(lq);
}

void lq_worker_init(lq_worker *w, const log_query *lq) {
    *w = (lq_worker){.lq = lq};
    arena_init(&w->tmp, "log query worker", 256 << 20);
    buf_init(&w->body, ROW_BODY_MAX);
}

void lq_worker_release(lq_worker *w) {
    pcre2_match_data_free(w->match_data);
    arena_release(&w->tmp);
    buf_release(&w->body);
}

/* ---- rows ---- */

bool log_row_body(const log_row *r, buf *to, str *ret) {
    const lb_kind *k = r->kind;
    if (k->slots == 0) {
        *ret = k->skel;
        return true;
    }
    if (k->skel.n == 1) { /* one slot and nothing else */
        *ret = r->cells[0];
        return true;
    }
    size_t need = k->skel.n;
    for (uint32_t i = 0; i < k->slots; i++) need += r->cells[i].n;
    buf_reset(to);
    if (!buf_reserve(to, need + 1)) return false;
    char *p = to->p;
    const char *s = k->skel.p, *end = s + k->skel.n;
    for (uint32_t i = 0; i < k->slots; i++) {
        const char *mark = memchr(s, LB_MARK, (size_t)(end - s));
        size_t n = (size_t)(mark - s);
        memcpy(p, s, n);
        p += n;
        if (r->cells[i].n) memcpy(p, r->cells[i].p, r->cells[i].n);
        p += r->cells[i].n;
        s = mark + 1;
    }
    memcpy(p, s, (size_t)(end - s));
    p += end - s;
    to->n = (size_t)(p - to->p);
    *ret = buf_str(to);
    return true;
}

static bool line_holds(lq_worker *w, const lq_line *l, str body) {
    bool want = l->op == LINE_HAS || l->op == LINE_RE;
    if (!l->re) return str_has(body, l->text) == want;
    if (!w->match_data) w->match_data = pcre2_match_data_create(1, NULL);
    if (!w->match_data) return false;
    int n = pcre2_match(l->re, (PCRE2_SPTR)(body.n ? body.p : ""), body.n, 0, 0, w->match_data,
                        w->lq->match_context);
    return (n >= 0) == want;
}

bool lq_lines_hold(lq_worker *w, str body) {
    for (size_t i = 0; i < w->lq->line_count; i++) {
        if (!line_holds(w, &w->lq->lines[i], body)) return false;
    }
    return true;
}

bool lq_meta_holds(const log_query *lq, const lb_meta *m) {
    return m->severity >= lq->q->min_severity;
}

bool lq_ids_hold(const log_query *lq, uint8_t bits, const uint8_t *ids) {
    str t = lq->q->trace_id, s = lq->q->span_id;
    if (t.n && (!(bits & ROW_TRACE) || memcmp(ids, t.p, 16) != 0)) return false;
    const uint8_t *sid = ids + (bits & ROW_TRACE ? 16 : 0);
    return !s.n || ((bits & ROW_SPAN) && memcmp(sid, s.p, 8) == 0);
}

/* ---- labels ---- */

bool resource_label(const resource *r, str name, arena *tmp, str *ret) {
    for (uint32_t i = 0; i < r->attr_count; i++) {
        if (!label_is(name, r->attrs[i].key)) continue;
        *ret = attribute_text(&r->attrs[i], tmp);
        return true;
    }
    return false;
}

static str level_of(uint8_t number) {
    static const str names[] = {S_INIT("unknown"), S_INIT("trace"), S_INIT("debug"), S_INIT("info"),
                                S_INIT("warn"),    S_INIT("error"), S_INIT("fatal")};
    if (number == 0 || number > SEV_MAX) return names[0];
    return names[(number + 3) / 4];
}

static str hex_of(const uint8_t *p, size_t n, arena *tmp) {
    char *to = arena_try_raw(tmp, n * 2, 1);
    if (!to) return STR_NONE;
    bytes_to_hex(p, n, to);
    return (str){to, n * 2};
}

str log_row_label(const log_row *r, str name, arena *tmp) {
    str v;
    if (resource_label(r->res, name, tmp, &v)) return v;
    const lb_meta *m = r->meta;
    const scope *sc = m->scope == LB_NONE ? NULL : &r->t->scopes[m->scope];
    if (sc && sc->name.n && label_is(name, S("scope_name"))) return sc->name;
    if (sc && sc->version.n && label_is(name, S("scope_version"))) return sc->version;
    const lb_schema *s = &r->t->schemas[r->kind->schema];
    for (uint32_t i = 0; i < s->count; i++) {
        if (!label_is(name, s->attrs[i].key)) continue;
        str cell = r->cells[r->kind->slots + i];
        attribute a = {.key = s->attrs[i].key, .type = s->attrs[i].type};
        if (lb_cell_is_num(r->kind, s, r->kind->slots + i))
            a.num = (int64_t)cell.n;
        else
            a.val = cell;
        return attribute_text(&a, tmp);
    }
    if (label_is(name, S("level"))) return level_of(m->severity);
    if (label_is(name, S("severity_text"))) return m->severity_text;
    if (label_is(name, S("event_name"))) return m->event_name;
    if (label_is(name, S("trace_id")) && (r->bits & ROW_TRACE)) return hex_of(r->ids, 16, tmp);
    if (label_is(name, S("span_id")) && (r->bits & ROW_SPAN))
        return hex_of(r->ids + (r->bits & ROW_TRACE ? 16 : 0), 8, tmp);
    return STR_NONE;
}

bool lq_labels_hold(lq_worker *w, const log_row *r) {
    const matchers *m = w->lq->m;
    for (size_t i = 0; i < w->lq->match_count; i++) {
        arena_mark mark = arena_save(&w->tmp);
        bool ok = matchers_test(m, i, log_row_label(r, matchers_name(m, i), &w->tmp));
        arena_restore(&w->tmp, mark);
        if (!ok) return false;
    }
    return true;
}

bool lq_row_holds(lq_worker *w, const log_row *r) {
    if (!lq_meta_holds(w->lq, r->meta) || !lq_ids_hold(w->lq, r->bits, r->ids)) return false;
    if (w->lq->match_count && !lq_labels_hold(w, r)) return false;
    if (w->lq->line_count == 0) return true;
    str body;
    return log_row_body(r, &w->body, &body) && lq_lines_hold(w, body);
}

/* ---- kinds ---- */

/* A kind as elements: constant 0, slot 0, constant 1, slot 1 ... constant `slots`. */
typedef struct elements {
    const lb_kind *k;
    const lb_stamp *const *stamps;
    str c[LQ_SLOTS_MAX + 1];
    str needle;
    uint64_t bit[NEEDLE_MAX];
    lq_places *out;
} elements;

static void add_place(elements *x, uint32_t slot, lq_where where, str text) {
    lq_places *p = x->out;
    if (p->count == LQ_PLACES_MAX) {
        p->whole = true;
        return;
    }
    p->at[p->count++] = (lq_place){slot, (uint8_t)where, text};
}

/* How many bytes of the needle from j on the slot may hold, at most. */
static size_t run_of(const elements *x, uint32_t slot, size_t j) {
    static const lb_stamp unknown = {.mask = ~UINT64_C(0), .max = UINT32_MAX};
    const lb_stamp *s = x->stamps ? x->stamps[slot] : &unknown;
    size_t n = 0;
    while (j + n < x->needle.n && n < s->max && x->bit[j + n] & s->mask) n++;
    return n;
}

static size_t least_of(const elements *x, uint32_t slot) {
    return x->stamps ? x->stamps[slot]->min : 0;
}

/* Does constant i go on with the needle from j? 0 no; 1 the needle ends in it; 2 it ends first. */
static int constant_goes_on(const elements *x, uint32_t i, size_t j) {
    str c = x->c[i];
    size_t left = x->needle.n - j;
    if (memcmp(x->needle.p + j, c.p, MIN(left, c.n)) != 0) return 0;
    return left <= c.n ? 1 : 2;
}

/* The needle is matched up to j, and what comes next is slot i from its beginning. */
static void into_slot(elements *x, uint32_t i, size_t j) {
    size_t run = run_of(x, i, j), left = x->needle.n - j;
    if (run == left) add_place(x, i, WHERE_BEGINS, str_from(x->needle, j));
    /* The whole value, and the needle goes on behind it. */
    for (size_t l = least_of(x, i); l <= run && l < left; l++) {
        int on = constant_goes_on(x, i + 1, j + l);
        if (on == 1) add_place(x, i, WHERE_IS, str_sub(x->needle, j, l));
        if (on == 2 && i + 1 < x->k->slots) { /* through several slots: too rare to plan for */
            if (run_of(x, i + 1, j + l + x->c[i + 1].n) || least_of(x, i + 1) == 0)
                x->out->whole = true;
        }
    }
}

void lq_find_places(const lb_kind *k, const lb_stamp *const *stamps, str needle, lq_places *ret) {
    *ret = (lq_places){0};
    if (needle.n == 0) {
        ret->always = true;
        return;
    }
    bool cut = needle.n > NEEDLE_MAX;
    elements x = {.k = k, .stamps = stamps, .needle = needle, .out = ret};
    if (cut) x.needle.n = NEEDLE_MAX;
    if (k->slots > LQ_SLOTS_MAX) {
        ret->whole = true;
        return;
    }
    const char *s = k->skel.p, *end = s + k->skel.n;
    for (uint32_t i = 0; i <= k->slots; i++) {
        const char *mark = i < k->slots ? memchr(s, LB_MARK, (size_t)(end - s)) : end;
        x.c[i] = (str){s, (size_t)(mark - s)};
        if (str_has(x.c[i], needle)) {
            ret->always = true;
            return;
        }
        s = mark + 1;
    }
    for (size_t i = 0; i < x.needle.n; i++)
        x.bit[i] = UINT64_C(1) << lb_class[(uint8_t)x.needle.p[i]];
    for (uint32_t i = 0; i < k->slots && !ret->whole; i++) {
        /* It begins in constant i and goes on in slot i. */
        str c = x.c[i];
        for (size_t l = MIN(c.n, x.needle.n - 1); l > 0; l--) {
            if (memcmp(c.p + c.n - l, x.needle.p, l) == 0) into_slot(&x, i, l);
        }
        /* It begins in slot i. */
        size_t run = run_of(&x, i, 0);
        if (run == x.needle.n) add_place(&x, i, WHERE_HAS, needle);
        for (size_t l = 1; l <= run && l < x.needle.n; l++) {
            int on = constant_goes_on(&x, i + 1, l);
            if (on == 1) add_place(&x, i, WHERE_ENDS, str_sub(x.needle, 0, l));
            if (on == 2 && i + 1 < k->slots &&
                (run_of(&x, i + 1, l + x.c[i + 1].n) || least_of(&x, i + 1) == 0))
                ret->whole = true;
        }
    }
    if (cut && (ret->count || ret->whole)) ret->whole = true;
}

bool lq_place_holds(const lq_place *p, str cell) {
    switch (p->where) {
    case WHERE_BEGINS:
        return str_starts(cell, p->text);
    case WHERE_ENDS:
        return str_ends(cell, p->text);
    case WHERE_IS:
        return str_eq(cell, p->text);
    default:
        return cell.n >= p->text.n && str_has(cell, p->text);
    }
}

static lq_answer answer_of(const lq_places *p) {
    return p->always ? LQ_ALL : p->whole || p->count ? LQ_SOME : LQ_NO;
}

lq_kind_plan *lq_plan_kind(const log_query *lq, const lb_kind *k, const lb_stamp *const *stamps,
                           arena *mem) {
    size_t literals = 0, at = 0;
    for (size_t i = 0; i < lq->line_count; i++) literals += lq->lines[i].literal_count;
    lq_kind_plan *plan = arena_try_new(mem, lq_kind_plan);
    if (!plan) return NULL;
    plan->answer = LQ_ALL;
    lq_places first;
    for (size_t i = 0; i < lq->line_count; i++) {
        const lq_line *l = &lq->lines[i];
        bool has = l->op == LINE_HAS || l->op == LINE_RE, text = l->op <= LINE_HAS_NOT;
        lq_answer a = text ? LQ_ALL : LQ_SOME; /* of "occurs" */
        for (size_t x = 0; x < l->literal_count; x++, at++) {
            lq_find_places(k, stamps, l->literals[x], &first);
            lq_answer b = answer_of(&first);
            a = MIN(a, b);
            if (b == LQ_NO) {
                at += l->literal_count - x;
                break;
            }
            if (!plan->places) {
                plan->places = arena_try_new_n(mem, lq_places, literals);
                if (!plan->places) return NULL;
            }
            plan->places[at] = first;
        }
        if (!has) a = a == LQ_NO ? LQ_ALL : a == LQ_ALL ? LQ_NO : LQ_SOME;
        plan->answer = MIN(plan->answer, a);
        if (plan->answer == LQ_NO) break;
    }
    return plan;
}

/* Whether the literal occurs, as far as its places say: 0 no, 1 yes, 2 unknown. */
static int literal_occurs(const lq_places *p, str (*cell)(void *ctx, uint32_t slot), void *ctx) {
    if (p->always) return 1;
    if (p->whole) return 2;
    for (uint32_t i = 0; i < p->count; i++) {
        if (lq_place_holds(&p->at[i], cell(ctx, p->at[i].slot))) return 1;
    }
    return 0;
}

bool lq_plan_holds(lq_worker *w, const lq_kind_plan *p, const lb_kind *k,
                   str (*cell)(void *ctx, uint32_t slot), void *ctx, str *cells) {
    if (p->answer != LQ_SOME) return p->answer == LQ_ALL;
    const log_query *lq = w->lq;
    bool have_body = false;
    str body = STR_NONE;
    const lq_places *at = p->places;
    for (size_t i = 0; i < lq->line_count; i++) {
        const lq_line *l = &lq->lines[i];
        bool has = l->op == LINE_HAS || l->op == LINE_RE;
        int occurs = 1;
        for (size_t x = 0; x < l->literal_count && occurs && p->places; x++) {
            int one = literal_occurs(&at[x], cell, ctx);
            occurs = one == 0 ? 0 : MAX(occurs, one);
        }
        if (p->places) at += l->literal_count;
        if (occurs == 0) { /* a literal is missing: no match */
            if (has) return false;
            continue;
        }
        if (occurs == 1 && !l->re && p->places) {
            if (!has) return false;
            continue;
        }
        if (!have_body) {
            for (uint32_t c = 0; c < k->slots; c++) cells[c] = cell(ctx, c);
            log_row r = {.kind = k, .cells = cells};
            if (!log_row_body(&r, &w->body, &body)) return false;
            have_body = true;
        }
        if (!line_holds(w, l, body)) return false;
    }
    return true;
}
