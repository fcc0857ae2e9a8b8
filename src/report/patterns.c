/* patterns.c - tables of templates, and what differs between two sets of logs.
 *
 * Which templates changed: counts a (after) and b (before) of a template among A and B lines in all
 * are compared by the G-test that their rates are A : B (algo/tails.h). With n templates compared,
 * log2(n / FALSE_ALARMS) bits are asked for (Bonferroni), and a ratio of at least RATIO_MIN either
 * way: on large logs a difference of one percent is significant and of no interest. Shares are
 * compared, not counts, so logs of different length can be; the price is that one template that
 * floods the log makes the shares of all others fall (their ratio tells: they all fall alike).
 *
 * A template that is on one side only is new or gone whatever its count: that is a fact, not an
 * estimate. Its bits, by which the lists are sorted, say how much it means. */
#include "report/patterns.h"

#include <stdlib.h>

#include "algo/multiple.h"
#include "algo/tails.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "codec/json_write.h"
#include "codec/timestamp.h"
#include "report/clean.h"
#include "report/text.h"

enum { SCRATCH_MAX = 1 << 30, COUNT_COLUMNS = 12, SHARE_COLUMNS = 8 };

static const double FALSE_ALARMS = 0.05, RATIO_MIN = 1.5;

typedef enum change { NEW = 0, GONE, MORE, FEWER, SAME, CHANGE_COUNT } change;

typedef struct compared {
    const pattern_row *row;
    double bits;
    double ratio; /* of the shares, after to before; 0 when on one side only */
    change what;
} compared;

typedef struct writer {
    const pattern_list *list;
    const patterns_opts *opts;
    arena tmp;
    buf *out;
} writer;

static str text(const writer *w, text_key key) { return text_get(w->opts->lang, key); }

static str slot_name(slot_type t) {
    static const str names[SLOT_TYPE_COUNT] = {
        [SLOT_TEXT] = S_INIT("text"),    [SLOT_INT] = S_INIT("int"),
        [SLOT_FLOAT] = S_INIT("float"),  [SLOT_UNIT] = S_INIT("unit"),
        [SLOT_HEX] = S_INIT("hex"),      [SLOT_ID] = S_INIT("id"),
        [SLOT_IP] = S_INIT("ip"),        [SLOT_HOST] = S_INIT("host"),
        [SLOT_PATH] = S_INIT("path"),    [SLOT_TIME] = S_INIT("time"),
        [SLOT_QUOTED] = S_INIT("quoted")};
    MUST((unsigned)t < SLOT_TYPE_COUNT);
    return names[t];
}

static double share(uint64_t count, uint64_t lines) {
    return lines ? (double)count / (double)lines : 0;
}

/* Right-aligned in `columns`. */
static void right(writer *w, str s, size_t columns) {
    size_t have = utf8_columns(s);
    buf_pad(w->out, ' ', columns > have ? columns - have : 0);
    buf_put(w->out, s);
}

static void colored(writer *w, const char *code, str s) {
    if (w->opts->color) buf_put(w->out, str_c(code));
    buf_put(w->out, s);
    if (w->opts->color) buf_put(w->out, S("\x1b[0m"));
}

/* The template on the rest of a line that begins at `column`. */
static void put_template(writer *w, str s, size_t column) {
    s = clean_line(&w->tmp, s);
    if (w->opts->width > column + 10 && utf8_columns(s) > w->opts->width - column) {
        buf_put(w->out, utf8_cut_columns(s, w->opts->width - column - 3));
        s = S("...");
    }
    buf_put(w->out, s);
    buf_putc(w->out, '\n');
}

static void put_percent(writer *w, double x, size_t columns) {
    right(w, str_fmt(&w->tmp, x > 0 && x < 0.001 ? "%.3f%%" : "%.1f%%", x * 100), columns);
}

static void put_params(writer *w, const pattern_row *r, size_t column) {
    if (!w->opts->params || r->param_count == 0) return;
    buf_pad(w->out, ' ', column);
    for (size_t i = 0; i < r->param_count; i++) {
        if (i) buf_put(w->out, S(", "));
        str name = clean_line(&w->tmp, r->params[i].name);
        if (name.n) {
            buf_put(w->out, name);
            buf_putc(w->out, ':');
        }
        buf_put(w->out, slot_name(r->params[i].type));
    }
    buf_putc(w->out, '\n');
}

/* --- mine ----------------------------------------------------------------------------------------
 */

static void list_text(writer *w, size_t shown) {
    const pattern_list *l = w->list;
    size_t column = COUNT_COLUMNS + SHARE_COLUMNS + 2;
    right(w, text(w, TEXT_PAT_COUNT), COUNT_COLUMNS);
    right(w, text(w, TEXT_PAT_SHARE), SHARE_COLUMNS);
    buf_put(w->out, S("  "));
    colored(w, "\x1b[1m", text(w, TEXT_PAT_TEMPLATE));
    buf_putc(w->out, '\n');
    for (size_t i = 0; i < shown; i++) {
        arena_mark mark = arena_save(&w->tmp);
        right(w, num_count_text(&w->tmp, l->rows[i].count), COUNT_COLUMNS);
        put_percent(w, share(l->rows[i].count, l->lines), SHARE_COLUMNS);
        buf_put(w->out, S("  "));
        put_template(w, l->rows[i].text, column);
        put_params(w, &l->rows[i], column);
        arena_restore(&w->tmp, mark);
    }
}

/* One cell of a Markdown table. */
static void md_cell(writer *w, str s) {
    s = clean_line(&w->tmp, s);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '<') {
            buf_put(w->out, S("&lt;"));
        } else if (s.p[i] == '&') {
            buf_put(w->out, S("&amp;"));
        } else if (s.p[i] == '@') {
            buf_put(w->out, S("&#64;"));
        } else {
            if (memchr("\\`*_{}[]#|~!>", s.p[i], 13)) buf_putc(w->out, '\\');
            buf_putc(w->out, s.p[i]);
        }
    }
    buf_put(w->out, S(" | "));
}

static void md_head(writer *w, const text_key *keys, size_t count) {
    buf_put(w->out, S("| "));
    for (size_t i = 0; i < count; i++) md_cell(w, text(w, keys[i]));
    buf_put(w->out, S("\n|"));
    for (size_t i = 0; i < count; i++) buf_put(w->out, S(" --- |"));
    buf_putc(w->out, '\n');
}

static void list_markdown(writer *w, size_t shown) {
    static const text_key head[] = {TEXT_PAT_COUNT, TEXT_PAT_SHARE, TEXT_PAT_TEMPLATE};
    md_head(w, head, ARRAY_LEN(head));
    for (size_t i = 0; i < shown; i++) {
        arena_mark mark = arena_save(&w->tmp);
        const pattern_row *r = &w->list->rows[i];
        buf_put(w->out, S("| "));
        md_cell(w, num_count_text(&w->tmp, r->count));
        md_cell(w, str_fmt(&w->tmp, "%.1f%%", 100 * share(r->count, w->list->lines)));
        md_cell(w, r->text);
        buf_putc(w->out, '\n');
        arena_restore(&w->tmp, mark);
    }
}

static void json_time(json_writer *j, str key, int64_t ns) {
    char stamp[TS_TEXT_BYTES];
    json_write_key(j, key);
    if (ns == TS_NONE) {
        json_write_null(j);
    } else {
        size_t n = ts_format(ns, stamp);
        json_write_str(j, str_make(stamp, n));
    }
}

static void json_count(json_writer *j, str key, uint64_t n) {
    json_write_key(j, key);
    json_write_u64(j, n);
}

/* Ids are hexadecimal text: JSON numbers lose the low bits of 64-bit ones. */
static void json_row(writer *w, json_writer *j, const pattern_row *r) {
    json_write_kv(j, S("id"), str_fmt(&w->tmp, "%016" PRIx64, r->id));
    json_write_kv(j, S("template"), r->text);
    json_time(j, S("first"), r->first_ns);
    json_time(j, S("last"), r->last_ns);
    str severity_name = severity_text((severity)r->max_severity);
    json_write_key(j, S("severity"));
    if (severity_name.n) {
        json_write_str(j, severity_name);
    } else {
        json_write_null(j);
    }
    if (!w->opts->params) return;
    json_write_key(j, S("params"));
    json_write_array(j);
    for (size_t i = 0; i < r->param_count; i++) {
        json_write_object(j);
        json_write_kv(j, S("name"), r->params[i].name);
        json_write_kv(j, S("type"), slot_name(r->params[i].type));
        json_write_object_end(j);
    }
    json_write_array_end(j);
}

static void list_json(writer *w, size_t shown) {
    json_writer j;
    json_write_init(&j, w->out, 2);
    json_write_object(&j);
    json_write_kv(&j, S("schema_version"), S("1.0"));
    json_count(&j, S("lines"), w->list->lines);
    json_count(&j, S("overflow"), w->list->overflow);
    json_count(&j, S("folded"), w->list->folded);
    json_count(&j, S("template_count"), w->list->count);
    json_write_key(&j, S("templates"));
    json_write_array(&j);
    for (size_t i = 0; i < shown; i++) {
        arena_mark mark = arena_save(&w->tmp);
        const pattern_row *r = &w->list->rows[i];
        json_write_object(&j);
        json_count(&j, S("count"), r->count);
        json_write_kv_double(&j, S("share"), share(r->count, w->list->lines));
        json_row(w, &j, r);
        json_write_object_end(&j);
        arena_restore(&w->tmp, mark);
    }
    json_write_array_end(&j);
    json_write_object_end(&j);
    buf_putc(w->out, '\n');
}

static void put_note(writer *w, text_key key, uint64_t n) {
    if (n == 0) return;
    buf_putc(w->out, '\n');
    buf_put(w->out, TEXT_FILL(&w->tmp, w->opts->lang, key, num_count_text(&w->tmp, n)));
    buf_putc(w->out, '\n');
}

static rc finish(writer *w, size_t start, err *e) {
    bool short_of_memory = w->tmp.held_bytes >= SCRATCH_MAX;
    arena_release(&w->tmp);
    if (!w->out->full && !short_of_memory) return RC_OK;
    w->out->n = start;
    return FAIL(e, RC_LIMIT, "the list is larger than %zu bytes", w->out->max_bytes);
}

rc patterns_write(const pattern_list *l, const patterns_opts *opts, buf *out, err *e) {
    writer w = {.list = l, .opts = opts, .out = out};
    size_t start = out->n, shown = opts->top ? MIN(opts->top, l->count) : l->count;
    arena_init(&w.tmp, "pattern list", SCRATCH_MAX);
    switch (opts->format) {
    case PATTERNS_TEXT:
        list_text(&w, shown);
        break;
    case PATTERNS_JSON:
        list_json(&w, shown);
        break;
    case PATTERNS_MARKDOWN:
        list_markdown(&w, shown);
        break;
    }
    if (opts->format != PATTERNS_JSON) {
        put_note(&w, TEXT_PAT_LEFT_OUT, l->count - shown);
        put_note(&w, TEXT_PAT_FOLDED, l->folded);
        put_note(&w, TEXT_PAT_OVERFLOW, l->overflow);
    }
    return finish(&w, start, e);
}

/* --- patterns diff
 * ----------------------------------------------------------------------------------- */

static void compare_row(const pattern_list *l, const pattern_row *r, double bits_needed,
                        compared *ret) {
    double after = (double)MAX(l->lines, 1u), before = (double)MAX(l->lines_before, 1u);
    *ret = (compared){.row = r, .bits = tail_g_two_rates(r->count, after, r->count_before, before)};
    if (r->count_before == 0 || r->count == 0) {
        ret->what = r->count_before == 0 ? NEW : GONE;
        return;
    }
    ret->ratio = ((double)r->count / after) / ((double)r->count_before / before);
    if (ret->bits < bits_needed) {
        ret->what = SAME;
    } else {
        ret->what = ret->ratio >= RATIO_MIN ? MORE : ret->ratio <= 1 / RATIO_MIN ? FEWER : SAME;
    }
}

static int by_change(const void *pa, const void *pb) {
    const compared *a = pa, *b = pb;
    if (a->what != b->what) return a->what < b->what ? -1 : 1;
    if (a->bits > b->bits || a->bits < b->bits) return a->bits > b->bits ? -1 : 1;
    return str_cmp(a->row->text, b->row->text);
}

static text_key change_key(change c) {
    static const text_key keys[] = {TEXT_PAT_NEW, TEXT_PAT_GONE, TEXT_PAT_MORE, TEXT_PAT_FEWER};
    MUST((unsigned)c < ARRAY_LEN(keys));
    return keys[c];
}

static str ratio_text(writer *w, const compared *c) {
    if (!(c->ratio > 0)) return S("-");
    return str_fmt(&w->tmp, c->ratio >= 10 ? "x%.0f" : "x%.2f", c->ratio);
}

static void diff_group_text(writer *w, const compared *c, size_t count) {
    static const char *const colors[] = {"\x1b[1;32m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m"};
    size_t column = 2 * COUNT_COLUMNS + 2 * SHARE_COLUMNS + 4;
    buf_putc(w->out, '\n');
    colored(w, colors[c[0].what], text(w, change_key(c[0].what)));
    buf_putc(w->out, '\n');
    right(w, text(w, TEXT_PAT_BEFORE), COUNT_COLUMNS);
    right(w, text(w, TEXT_PAT_AFTER), COUNT_COLUMNS);
    right(w, text(w, TEXT_PAT_RATIO), SHARE_COLUMNS);
    right(w, text(w, TEXT_COL_BITS), SHARE_COLUMNS + 2);
    buf_put(w->out, S("  "));
    buf_put(w->out, text(w, TEXT_PAT_TEMPLATE));
    buf_putc(w->out, '\n');
    for (size_t i = 0; i < count; i++) {
        arena_mark mark = arena_save(&w->tmp);
        right(w, num_count_text(&w->tmp, c[i].row->count_before), COUNT_COLUMNS);
        right(w, num_count_text(&w->tmp, c[i].row->count), COUNT_COLUMNS);
        right(w, ratio_text(w, &c[i]), SHARE_COLUMNS);
        right(w, str_fmt(&w->tmp, "%.0f", c[i].bits), SHARE_COLUMNS + 2);
        buf_put(w->out, S("  "));
        put_template(w, c[i].row->text, column);
        arena_restore(&w->tmp, mark);
    }
}

static void diff_group_markdown(writer *w, const compared *c, size_t count) {
    static const text_key head[] = {TEXT_PAT_BEFORE, TEXT_PAT_AFTER, TEXT_PAT_RATIO, TEXT_COL_BITS,
                                    TEXT_PAT_TEMPLATE};
    buf_put(w->out, S("\n### "));
    buf_put(w->out, text(w, change_key(c[0].what)));
    buf_put(w->out, S("\n\n"));
    md_head(w, head, ARRAY_LEN(head));
    for (size_t i = 0; i < count; i++) {
        arena_mark mark = arena_save(&w->tmp);
        buf_put(w->out, S("| "));
        md_cell(w, num_count_text(&w->tmp, c[i].row->count_before));
        md_cell(w, num_count_text(&w->tmp, c[i].row->count));
        md_cell(w, ratio_text(w, &c[i]));
        md_cell(w, str_fmt(&w->tmp, "%.0f", c[i].bits));
        md_cell(w, c[i].row->text);
        buf_putc(w->out, '\n');
        arena_restore(&w->tmp, mark);
    }
}

static void diff_people(writer *w, const compared *c, const size_t counts[CHANGE_COUNT]) {
    str n[CHANGE_COUNT];
    for (int k = 0; k < CHANGE_COUNT; k++) n[k] = num_count_text(&w->tmp, counts[k]);
    buf_put(w->out, text_fill(&w->tmp, w->opts->lang, TEXT_PAT_SUMMARY, n, CHANGE_COUNT));
    buf_put(w->out, w->opts->format == PATTERNS_MARKDOWN ? S("\n\n") : S("\n"));
    buf_put(w->out, TEXT_FILL(&w->tmp, w->opts->lang, TEXT_PAT_LINES,
                              num_count_text(&w->tmp, w->list->lines_before),
                              num_count_text(&w->tmp, w->list->lines)));
    buf_putc(w->out, '\n');
    size_t at = 0;
    for (int k = 0; k < SAME; k++) {
        size_t shown = w->opts->top ? MIN(w->opts->top, counts[k]) : counts[k];
        if (shown && w->opts->format == PATTERNS_MARKDOWN) {
            diff_group_markdown(w, c + at, shown);
        } else if (shown) {
            diff_group_text(w, c + at, shown);
        }
        if (shown) put_note(w, TEXT_PAT_LEFT_OUT, counts[k] - shown);
        at += counts[k];
    }
    put_note(w, TEXT_PAT_OVERFLOW, w->list->overflow);
}

static void diff_json(writer *w, const compared *c, const size_t counts[CHANGE_COUNT]) {
    static const str names[CHANGE_COUNT] = {S_INIT("new"), S_INIT("gone"), S_INIT("more"),
                                            S_INIT("fewer"), S_INIT("unchanged")};
    json_writer j;
    json_write_init(&j, w->out, 2);
    json_write_object(&j);
    json_write_kv(&j, S("schema_version"), S("1.0"));
    json_count(&j, S("lines_before"), w->list->lines_before);
    json_count(&j, S("lines_after"), w->list->lines);
    json_count(&j, S("overflow"), w->list->overflow);
    json_count(&j, S("unchanged_count"), counts[SAME]);
    size_t at = 0;
    for (int k = 0; k < SAME; k++) {
        size_t shown = w->opts->top ? MIN(w->opts->top, counts[k]) : counts[k];
        json_write_key(&j, names[k]);
        json_write_array(&j);
        for (size_t i = at; i < at + shown; i++) {
            arena_mark mark = arena_save(&w->tmp);
            json_write_object(&j);
            json_count(&j, S("count_before"), c[i].row->count_before);
            json_count(&j, S("count_after"), c[i].row->count);
            json_write_key(&j, S("ratio"));
            if (c[i].ratio > 0) {
                json_write_double(&j, c[i].ratio);
            } else {
                json_write_null(&j);
            }
            json_write_kv_double(&j, S("surprise_bits"), c[i].bits);
            json_row(w, &j, c[i].row);
            json_write_object_end(&j);
            arena_restore(&w->tmp, mark);
        }
        json_write_array_end(&j);
        at += counts[k];
    }
    json_write_object_end(&j);
    buf_putc(w->out, '\n');
}

rc patterns_diff_write(const pattern_list *l, const patterns_opts *opts, buf *out, err *e) {
    writer w = {.list = l, .opts = opts, .out = out};
    size_t start = out->n, n = 0, counts[CHANGE_COUNT] = {0};
    arena_init(&w.tmp, "pattern comparison", SCRATCH_MAX);
    compared *c = arena_try_new_n(&w.tmp, compared, l->count + 1);
    if (!c) {
        arena_release(&w.tmp);
        return FAIL(e, RC_LIMIT, "%zu templates are too many to compare", l->count);
    }
    double needed = multiple_bits_needed((double)MAX(l->count, 1u), FALSE_ALARMS);
    for (size_t i = 0; i < l->count; i++) {
        const pattern_row *r = &l->rows[i];
        if (r->count + r->count_before == 0) continue;
        if (r->count < opts->min_count && r->count_before < opts->min_count) continue;
        compare_row(l, r, needed, &c[n]);
        counts[c[n++].what]++;
    }
    if (n > 1) qsort(c, n, sizeof(*c), by_change);
    if (opts->format == PATTERNS_JSON) {
        diff_json(&w, c, counts);
    } else {
        diff_people(&w, c, counts);
    }
    return finish(&w, start, e);
}
