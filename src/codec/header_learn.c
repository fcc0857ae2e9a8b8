/* header_learn.c - the header that the lines of a sample have in common.
 *
 * Problem: every program has its own header, published parsers are told its columns by a regular
 * expression per log. A reader who has never seen the log still knows where the message begins:
 * behind the last column that looks the same on every line.
 *
 * Algorithm: all sample lines carry a cursor. At each step the kinds of cell that could stand at
 * the cursors are tried, most telling first; the first that nearly all lines (NEARLY) have is
 * appended to the program and moves the cursors on. Cells are *strong* (a timestamp, a level, a
 * bracket, a tag with its colon, text up to a separator that recurs, a dotted name, a padded
 * column, a number behind a strong cell) or *weak* (any word). Weak cells belong to the header only
 * when a strong one follows, so "RAS KERNEL INFO text" ends behind INFO and "INFO text of the
 * message" right there too. The message begins behind the last strong cell. A tag or a separated
 * name ends the search, apart from a level that may follow it.
 *
 *     - 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50 R02-M1 RAS KERNEL INFO | instruction ...
 *     w s          s          w      s                   w      w   w      s
 *
 * Which lines count: those whose first timestamp is of the commonest kind at the commonest word
 * position; the others (stack traces, wrapped text) are continuations. Without a common timestamp
 * all lines that do not look like continuations count, and a level or a leading bracket must be
 * found.
 *
 * Literals before the timestamp are taken as words unless they are brackets, so that a label column
 * whose first thousand values are "-" does not reject the first one that is not.
 *
 * Limits: HEADER_LINES_MAX lines of HEADER_BYTES_MAX bytes, HEADER_STEPS_MAX cells. Cost: about 20
 * matches per line and cell, some milliseconds a file. */
#include "codec/header_int.h"
#include "codec/trace_int.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"

enum {
    WEAK_RUN_MAX = 6, /* words that may stand before the next strong cell */
    WORDS_BEFORE_TS_MAX = 8
};

typedef struct line_cursor {
    const char *p, *end;
} line_cursor;

typedef struct learner {
    const ts_context *c;
    line_cursor *line;
    header_cell *cell;  /* of the step being tried, by line; text.p NULL: no match */
    const char **after; /* cursor behind it */
    str *text;          /* scratch of ts_detect_column */
    size_t n;
    size_t nearly; /* matches that count as all */
    header *h;
    unsigned seen_ts;
    /* Words since the last strong cell that look like text; those of one value on all lines. */
    unsigned text_words, constant_words;
    bool has_component, has_pid;
    bool has_level;      /* a level of any kind */
    bool has_level_word; /* more than a letter or a priority */
} learner;

FL_INLINE bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }
FL_INLINE bool is_alpha(char c) { return (unsigned char)((c | 32) - 'a') < 26; }

/* ---- measuring one candidate ---- */

static size_t try_step(learner *l, const header_step *s) {
    size_t matched = 0;
    for (size_t i = 0; i < l->n; i++) {
        l->cell[i] = (header_cell){0};
        l->after[i] = header_step_match(l->h, s, l->c, l->line[i].p, l->line[i].end, &l->cell[i]);
        if (!l->after[i])
            l->cell[i].text = STR_NONE;
        else
            matched++;
    }
    return matched;
}

static size_t distinct_cells(const learner *l) {
    map64 seen;
    map64_init(&seen, HEADER_LINES_MAX + 1);
    for (size_t i = 0; i < l->n; i++)
        if (l->after[i]) map64_put(&seen, str_hash(l->cell[i].text), NULL);
    size_t count = seen.count;
    map64_release(&seen);
    return count;
}

/* Values recur, as names do and message words do not. Small samples prove nothing: they pass. */
static bool recurs(const learner *l, double share) {
    size_t matched = 0;
    for (size_t i = 0; i < l->n; i++) matched += l->after[i] != NULL;
    return matched < 10 || (double)distinct_cells(l) <= MAX(3.0, share * (double)matched);
}

static size_t count_cells(const learner *l, bool (*pred)(str)) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) n += l->after[i] && pred(l->cell[i].text);
    return n;
}

/* Appends the step; lines that do not have it stay where they are. */
static bool append(learner *l, header_step s) {
    if (l->h->count == HEADER_STEPS_MAX) return false;
    l->h->step[l->h->count++] = s;
    for (size_t i = 0; i < l->n; i++)
        if (l->after[i]) l->line[i].p = l->after[i];
    return true;
}

static bool is_constant(const learner *l) { return l->n >= 10 && distinct_cells(l) == 1; }

/* "ERROR connection failed: timeout" on every line: words that never change in front of a cell that
 * never changes, or two such words, are one statement's text as easily as columns, and a constant
 * left in the message does no harm. Only behind a level, where the message may begin. */
static bool one_statement(const learner *l) {
    if (l->n < 10 || !l->has_level_word || l->constant_words < l->text_words) return false;
    return l->text_words > 1 || (l->text_words == 1 && distinct_cells(l) == 1);
}

static bool last_is_strong(const learner *l) {
    return l->h->count == 0 || l->h->step[l->h->count - 1].strong;
}

/* ---- the candidates ---- */

static bool try_ts(learner *l) {
    if (l->seen_ts >= 4) return false;
    for (size_t i = 0; i < l->n; i++) {
        const char *p = header_skip_blank(l->line[i].p, l->line[i].end);
        l->text[i] = str_make(p, (size_t)(l->line[i].end - p));
    }
    ts_layout layout;
    if (!ts_detect_column(l->text, l->n, l->c, &layout)) return false;
    /* A time alone inside the text is nothing to build on once there is a full stamp. */
    if (l->seen_ts && !layout.has_date) return false;
    header_step s = {.op = H_TS, .ts = layout, .strong = true};
    if (try_step(l, &s) < l->nearly) return false;
    l->seen_ts++;
    return append(l, s);
}

static bool is_glued_letter_line(const learner *l, size_t i) {
    ts_layout layout;
    size_t n;
    const char *p = l->line[i].p, *end = l->line[i].end;
    return end - p > 10 && strchr("IWEFD", *p) && is_digit(p[1]) &&
           ts_detect(str_make(p + 1, (size_t)(end - p - 1)), &layout, &n);
}

static bool try_letter(learner *l) {
    header_step s = {.op = H_LETTER, .role = COL_LEVEL, .strong = true};
    if (l->has_level) return false;
    if (l->h->count == 0) {
        size_t glued = 0;
        for (size_t i = 0; i < l->n; i++) glued += is_glued_letter_line(l, i);
        s.glued = glued >= l->nearly;
    }
    if (try_step(l, &s) < l->nearly) return false;
    /* Before any stamp a letter alone counts only as "I, [..." or "I/tag". */
    if (!s.glued && l->seen_ts == 0) {
        for (size_t i = 0; i < l->n; i++)
            if (l->after[i] && (l->after[i] == l->line[i].end || !strchr(",/", *l->after[i])))
                return false;
    }
    l->has_level = true;
    return append(l, s);
}

static bool is_capital(str t) { return t.n > 0 && t.p[0] >= 'A' && t.p[0] <= 'Z'; }

static bool try_level(learner *l) {
    header_step s = {.op = H_LEVEL, .role = COL_LEVEL, .strong = true};
    if (l->has_level_word) return false;
    size_t matched = try_step(l, &s);
    if (matched * 10 < l->n * 9) return false;
    /* Behind words, "error" is the message's as easily as the header's. */
    bool weak = l->h->count && !last_is_strong(l);
    if (weak && count_cells(l, is_capital) * 10 < matched * 9) return false;
    l->has_level = l->has_level_word = true;
    return append(l, s);
}

static bool try_pri(learner *l) {
    header_step s = {.op = H_PRI, .role = COL_LEVEL, .strong = true};
    return l->h->count == 0 && try_step(l, &s) >= l->nearly && append(l, s);
}

static bool has_level_word(str t) {
    header_cell cell;
    header_step s = {.op = H_BRACKET, .role = COL_LEVEL, .open = '[', .close = ']'};
    char text[64];
    if (t.n == 0 || t.n > sizeof text - 2) return false;
    text[0] = '[';
    memcpy(text + 1, t.p, t.n);
    text[t.n + 1] = ']';
    cell = (header_cell){0};
    const ts_context none = {0};
    return header_step_match(NULL, &s, &none, text, text + t.n + 2, &cell) && cell.sev != SEV_NONE;
}

static bool has_pid(str t) {
    size_t digits = 0;
    for (size_t i = 0; i < t.n; i++) digits += is_digit(t.p[i]);
    return digits > 0 && (digits == t.n || str_starts_nocase(t, S("pid")) ||
                          (t.p[0] == '#' && digits + 1 == t.n));
}

static bool is_trace_cell(str t) {
    str service, trace, span;
    return header_trace_cell(t, &service, &trace, &span);
}

static bool is_class_at_line(str t) { /* ...:FastLeaderElection@774 */
    size_t at = str_rfind_char(t, '@');
    uint64_t line;
    return at != STR_NPOS && at > 0 && num_u64(str_from(t, at + 1), &line);
}

/* Not a number with dots (seconds since boot, an Erlang pid), not a list of ids. */
static bool is_thread_name(str t) {
    size_t letters = 0, spaces = 0;
    for (size_t i = 0; i < t.n; i++) {
        letters += is_alpha(t.p[i]);
        spaces += t.p[i] == ' ';
    }
    return letters > 0 && t.n <= 80 && spaces <= 6;
}

static bool try_bracket(learner *l) {
    static const char PAIRS[][2] = {{'[', ']'}, {'(', ')'}, {'<', '>'}, {'{', '}'}};
    for (size_t k = 0; k < ARRAY_LEN(PAIRS); k++) {
        header_step s = {
            .op = H_BRACKET, .open = PAIRS[k][0], .close = PAIRS[k][1], .strong = true};
        size_t matched = try_step(l, &s);
        if (matched < l->nearly) continue;
        /* Behind words a parenthesis is the message's: "connect() failed (111: refused)". */
        if (l->has_level_word && l->text_words > 0 && (s.open == '(' || one_statement(l)))
            return false;
        if (s.open == '{' && !recurs(l, 0.2)) return false; /* the message may be an object */
        if (!l->has_level && count_cells(l, has_level_word) * 10 >= matched * 9) {
            s.role = COL_LEVEL;
            l->has_level = l->has_level_word = true;
        } else if (count_cells(l, has_pid) * 10 >= matched * 9) {
            s.role = COL_PID;
            l->has_pid = true;
        } else if (count_cells(l, is_trace_cell) * 10 >= matched * 9) {
            s.role = COL_TRACE;
        } else if (count_cells(l, is_class_at_line) * 10 >= matched * 9) {
            s.role = COL_COMPONENT;
            l->has_component = true;
        } else if (count_cells(l, is_thread_name) * 2 >= matched && recurs(l, 0.4)) {
            s.role = COL_THREAD;
        }
        return append(l, s);
    }
    return false;
}

/* An opening bracket right before the stamp. */
static bool try_open(learner *l) {
    header_step s = {.op = H_LIT, .lit_n = 1, .strong = false};
    if (l->seen_ts) return false;
    for (const char *open = "[(<\"|'"; *open; open++) {
        s.lit[0] = *open;
        if (try_step(l, &s) < l->nearly) continue;
        size_t stamps = 0;
        for (size_t i = 0; i < l->n; i++) {
            ts_layout layout;
            size_t n;
            stamps += l->after[i] &&
                      ts_detect(str_make(l->after[i], (size_t)(l->line[i].end - l->after[i])),
                                &layout, &n);
        }
        return stamps >= l->nearly && append(l, s);
    }
    return false;
}

/* Length of the separator at p: closing brackets and '|' one by one, else a run of punctuation that
 * stands alone or ends the cell before it. */
static size_t separator_at(const char *p, const char *end) {
    if (p == end) return 0;
    if (strchr("])>}|\"'", *p)) return 1;
    size_t n = 0;
    while (p + n < end && n < 8 && strchr("-:,;=~#*>/", p[n])) n++;
    if (n == 0) return 0;
    bool alone = p + n == end || p[n] == ' ' || p[n] == '\t' || p[n] == '\033';
    return alone || (n == 1 && strchr(":,;/", *p)) ? n : 0;
}

static bool try_literal(learner *l) {
    if (l->h->count == 0) return false;
    header_step s = {.op = H_LIT};
    for (size_t i = 0; i < l->n && s.lit_n == 0; i++) {
        /* The literal of the first line that has one, else of none. */
        const char *p = header_skip_blank(l->line[i].p, l->line[i].end);
        size_t n = separator_at(p, l->line[i].end);
        bool standing = p > l->line[i].p && n < (size_t)(l->line[i].end - p);
        if (l->seen_ts == 0 && standing && !strchr("])>}|", *p)) return false;
        if (i > 4 && n == 0) return false;
        memcpy(s.lit, p, n);
        s.lit_n = (uint8_t)n;
    }
    if (s.lit_n == 0 || try_step(l, &s) < l->nearly) return false;
    /* A quote opens a message as often as it closes a cell: only right behind the stamp. */
    if ((s.lit[0] == '"' || s.lit[0] == '\'') && l->h->step[l->h->count - 1].op != H_TS)
        return false;
    s.strong = last_is_strong(l) || s.lit[0] == '|';
    if (s.lit[0] == '|' || (s.lit[0] == ';' && s.lit_n == 1)) l->h->stops[0] = s.lit[0];
    return append(l, s);
}

static bool has_hash(str t) { return str_find_char(t, '#', 0) != STR_NPOS; }

static bool try_int(learner *l) {
    header_step s = {.op = H_INT};
    const header_step *last = l->h->count ? &l->h->step[l->h->count - 1] : &s;
    if (try_step(l, &s) < l->nearly) return false;
    /* Directly behind a strong cell a number on every line is a column, provided there are lines
     * enough to say "every". */
    s.strong = last_is_strong(l) && l->h->count > 0 &&
               (l->n >= (last->op == H_TS ? 5u : 20u) || count_cells(l, has_hash) >= l->nearly);
    if (l->seen_ts && !l->has_component) {
        s.role = l->has_pid ? COL_TID : COL_PID;
        l->has_pid = true;
    }
    return append(l, s);
}

static bool is_single_word(str t) { return t.n > 0 && str_find_char(t, ' ', 0) == STR_NPOS; }

static bool is_number_alone(str t) {
    for (size_t i = 0; i < t.n; i++)
        if (!is_digit(t.p[i])) return false;
    return true;
}

static bool try_tag(learner *l) {
    header_step s = {.op = H_TAG, .role = COL_COMPONENT, .strong = true};
    if (l->has_component || l->h->count == 0) return false;
    size_t matched = try_step(l, &s);
    if (matched * 10 < l->n * 9 || (l->n >= 50 && !recurs(l, 0.6))) return false;
    /* Two words on most lines are two columns: "host program[pid]:". */
    if (count_cells(l, is_single_word) * 2 < matched) return false;
    if (count_cells(l, is_number_alone) * 2 > matched) return false; /* "job 3: done" */
    if (one_statement(l)) return false;
    l->has_component = true;
    return append(l, s);
}

static bool is_name(str t) { /* a name or file position, perhaps of a few words */
    bool letter = false;
    if (t.n == 0 || !(is_alpha(t.p[0]) || is_digit(t.p[0]) || strchr("_$(<[/.", t.p[0])))
        return false;
    for (size_t i = 0; i < t.n; i++) {
        if (strchr("\"'=,;!?", t.p[i]) || t.p[i] == '\0') return false;
        if (t.p[i] == ':' && i + 1 < t.n && t.p[i + 1] == ' ') return false;
        letter |= is_alpha(t.p[i]);
    }
    return letter;
}

static bool has_bracket(str t) { return str_find_char(t, '[', 0) != STR_NPOS; }

static bool try_until(learner *l) {
    static const str DELIMS[] = {S_INIT(" - "), S_INIT(" -- "), S_INIT(" | "), S_INIT("|"),
                                 S_INIT("\t"),  S_INIT(" : "),  S_INIT("] "),  S_INIT(" => "),
                                 S_INIT(" > "), S_INIT(":")};
    for (size_t k = 0; k < ARRAY_LEN(DELIMS); k++) {
        header_step s = {.op = H_UNTIL, .lit_n = (uint8_t)DELIMS[k].n, .strong = true};
        memcpy(s.lit, DELIMS[k].p, DELIMS[k].n);
        if (l->h->count == 0 && DELIMS[k].p[0] != '|' && DELIMS[k].p[0] != '\t') continue;
        /* LEVEL:name:text */
        const header_step *last = l->h->count ? &l->h->step[l->h->count - 1] : &s;
        if (s.lit[0] == ':' && (l->h->count != 2 || last->op != H_LIT || last->lit[0] != ':'))
            continue;
        size_t matched = try_step(l, &s);
        if (matched < l->nearly || count_cells(l, is_name) < l->nearly) continue;
        /* "file.go:12] " ends a cell; "app[12] " and "host [x] " hold one of their own. */
        if (s.lit[0] == ']' && count_cells(l, has_bracket) > 0) continue;
        bool single = count_cells(l, is_single_word) == matched;
        if (single ? !recurs(l, 0.6) : !recurs(l, l->n < 100 ? 0.5 : 0.2)) continue;
        bool bar = header_is_bar(&s);
        if (l->has_component && !single && !bar) continue;
        if (!single && l->n < 3) continue;
        if (one_statement(l) || (!single && l->has_level_word && !bar && is_constant(l))) continue;
        if (l->h->count == 0) { /* Compose: "service-1  | ..." */
            s.role = COL_SERVICE;
            return append(l, s);
        }
        if (!l->has_component || bar) s.role = COL_COMPONENT; /* of several the last counts */
        l->has_component = true;
        return append(l, s);
    }
    return false;
}

/* name.name.Name, which no message begins with on every line. */
static bool is_dotted(str t) {
    size_t dots = 0, open = str_find_char(t, '[', 0);
    if (open != STR_NPOS && open + 2 < t.n && is_digit(t.p[open + 1]) && t.p[t.n - 1] == ']')
        t = str_sub(t, 0, open); /* .NET: Some.Class[14] */
    if (t.n == 0 || !(is_alpha(t.p[0]) || t.p[0] == '_')) return false;
    for (size_t i = 1; i < t.n; i++) {
        if (t.p[i] == '.') {
            if (i + 1 == t.n || !(is_alpha(t.p[i + 1]) || t.p[i + 1] == '_')) return false;
            dots++;
        } else if (!is_alpha(t.p[i]) && !is_digit(t.p[i]) && !strchr("_$-", t.p[i])) {
            return false;
        }
    }
    return dots > 0;
}

/* Words that are padded so that the next column starts at one place. */
static bool is_padded(const learner *l) {
    size_t matched = 0, same = 0, padded = 0;
    ptrdiff_t width = -1;
    for (size_t i = 0; i < l->n; i++) {
        if (!l->after[i]) continue;
        const char *from = l->cell[i].text.p;
        const char *next = header_skip_blank(l->after[i], l->line[i].end);
        if (width < 0) width = next - from;
        matched++;
        same += next - from == width;
        padded += next - l->after[i] >= 2 && next < l->line[i].end;
    }
    if (same < l->nearly) return false;
    /* All padded, or different lengths and one width. */
    return padded >= l->nearly || (padded > 0 && distinct_cells(l) > 1 && l->n >= 20);
}

static bool is_capital_name(str t) {
    if (t.n < 2) return false;
    for (size_t i = 0; i < t.n; i++)
        if (!(t.p[i] >= 'A' && t.p[i] <= 'Z') && !is_digit(t.p[i]) && t.p[i] != '_') return false;
    return is_alpha(t.p[0]);
}

static size_t trailing_word(str t, size_t *ret_digits) {
    size_t n = 0;
    *ret_digits = 0;
    while (n < t.n && t.p[t.n - 1 - n] != '-') {
        *ret_digits += is_digit(t.p[t.n - 1 - n]);
        n++;
    }
    return n;
}

/* checkout, order-service: lower-case words, no number at the end. */
static bool is_service_name(str t) {
    if (t.n < 2 || t.p[0] < 'a' || t.p[0] > 'z' || is_digit(t.p[t.n - 1])) return false;
    for (size_t i = 0; i < t.n; i++)
        if (!(t.p[i] >= 'a' && t.p[i] <= 'z') && !is_digit(t.p[i]) && t.p[i] != '-' &&
            t.p[i] != '_')
            return false;
    return true;
}

/* web-1, node246, and Kubernetes pods: cart-5b67c48447-mv5hb. */
static bool is_host_name(str t) {
    size_t digits;
    if (t.n < 3 || !is_alpha(t.p[0])) return false;
    for (size_t i = 0; i < t.n; i++)
        if (!is_alpha(t.p[i]) && !is_digit(t.p[i]) && t.p[i] != '-' && t.p[i] != '.') return false;
    size_t last = trailing_word(t, &digits);
    if (is_digit(t.p[t.n - 1]) && last != 5) return true;
    if (last != 5 || last + 1 >= t.n) return false;
    size_t hash = trailing_word(str_sub(t, 0, t.n - 6), &digits);
    return hash >= 6 && hash <= 10 && digits > 0;
}

/* A word column between stamp and component may name the service or the host. The role stands only
 * if a component follows (choose_roles). */
static header_role entity_role(const learner *l) {
    size_t matched = 0;
    for (size_t i = 0; i < l->n; i++) matched += l->after[i] != NULL;
    bool service = false;
    for (unsigned i = 0; i < l->h->count; i++) service |= l->h->step[i].role == COL_SERVICE;
    if (!service && recurs(l, 0.05) && count_cells(l, is_service_name) * 10 >= matched * 9)
        return COL_SERVICE;
    return count_cells(l, is_host_name) * 10 >= matched * 9 ? COL_HOST : COL_NONE;
}

static bool try_word(learner *l) {
    header_step s = {.op = H_WORD};
    /* Inside "[stamp ...]" a word ends at the bracket. */
    for (unsigned i = 0; i < l->h->count; i++) {
        const header_step *k = &l->h->step[i];
        if (k->op != H_LIT) continue;
        if (k->lit[0] == '[')
            s.close = ']';
        else if (k->lit[0] == '(')
            s.close = ')';
        else if (k->lit[0] == s.close)
            s.close = 0;
    }
    if (try_step(l, &s) < l->nearly) return false;
    if (l->h->count && (l->seen_ts || l->has_level) && !l->has_component) {
        if (count_cells(l, is_dotted) >= l->nearly && recurs(l, 0.4)) s.strong = true;
        if (recurs(l, 0.05) && is_padded(l)) s.strong = true;
        if (s.strong) {
            s.role = COL_COMPONENT;
            l->has_component = true;
        } else if (recurs(l, 0.05) && count_cells(l, is_capital_name) >= l->nearly) {
            s.role = COL_COMPONENT; /* "KERNEL" before a level: the last one wins */
        }
    }
    if (l->seen_ts && s.role == COL_NONE) s.role = entity_role(l);
    return append(l, s);
}

/* ---- which lines, and the whole ---- */

/* First timestamp in a line that is not part of a longer word, and the words before it. */
static bool find_stamp(str line, ts_layout *ret, unsigned *ret_word) {
    unsigned word = 0;
    size_t limit = MIN(line.n, (size_t)200);
    for (size_t i = 0; i < limit; i++) {
        char before = i ? line.p[i - 1] : ' ';
        if (i && (line.p[i] == ' ' || line.p[i] == '\t') && before != ' ' && before != '\t') word++;
        if (word > WORDS_BEFORE_TS_MAX) return false;
        bool start = strchr(" \t[(<{|>,;\"'", before) && before;
        start |= i == 1 && before >= 'A' && before <= 'Z' && is_digit(line.p[i]);
        if (!start || !(is_digit(line.p[i]) || is_alpha(line.p[i]))) continue;
        size_t n;
        ts_layout layout;
        if (!ts_detect(str_from(line, i), &layout, &n) || !layout.has_time) continue;
        if (word > 1 && !layout.has_date) continue;
        *ret = layout;
        *ret_word = word;
        return true;
    }
    return false;
}

/* Keeps the lines that begin records; false without a common stamp. */
static bool choose_stamped(learner *l, const str *lines, size_t count) {
    enum { WORDS = WORDS_BEFORE_TS_MAX + 1 };
    static const ts_layout NOTHING = {0};
    uint32_t votes[WORDS] = {0};
    size_t considered = 0;
    for (size_t i = 0; i < count; i++) {
        ts_layout layout = NOTHING;
        unsigned word = 0;
        if (lines[i].n == 0 || trace_is_part(lines[i])) continue;
        considered++;
        if (find_stamp(lines[i], &layout, &word)) votes[word]++;
    }
    unsigned best = 0;
    for (unsigned w = 1; w < WORDS; w++)
        if (votes[w] > votes[best]) best = w;
    /* At the start of the line one line in ten is evidence; further in, most must have it. */
    size_t need = best == 0 ? considered / 10 + 1 : considered * 6 / 10 + 1;
    if (votes[best] == 0 || votes[best] < need) return false;
    l->n = 0;
    for (size_t i = 0; i < count; i++) {
        ts_layout layout = NOTHING;
        unsigned word = 0;
        if (lines[i].n == 0 || trace_is_part(lines[i]) || !find_stamp(lines[i], &layout, &word) ||
            word != best)
            continue;
        l->line[l->n++] =
            (line_cursor){lines[i].p, lines[i].p + MIN(lines[i].n, (size_t)HEADER_BYTES_MAX)};
    }
    l->h->share = (double)l->n / (double)considered;
    return true;
}

/* Without stamps: the lines that do not look like continuations. */
static void choose_all(learner *l, const str *lines, size_t count, bool indented) {
    l->n = 0;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].n == 0 || trace_is_part(lines[i])) continue;
        if (!indented && (lines[i].p[0] == ' ' || lines[i].p[0] == '\t')) continue;
        l->line[l->n++] =
            (line_cursor){lines[i].p, lines[i].p + MIN(lines[i].n, (size_t)HEADER_BYTES_MAX)};
    }
    l->h->share = count ? (double)l->n / (double)count : 0;
}

/* Redis: "1234:M 20 Nov 2026 10:30:45.123 * text". A sign counts only behind such a first word. */
static bool try_mark(learner *l) {
    header_step s = {.op = H_MARK, .role = COL_LEVEL, .strong = true};
    if (l->has_level || l->seen_ts != 1 || l->h->count != 2 || l->h->step[0].op != H_WORD)
        return false;
    if (try_step(l, &s) < l->nearly) return false;
    l->has_level = true;
    return append(l, s);
}

/* Behind a component only a level (and its colon) or a further separated cell may come. */
static bool extend(learner *l) {
    if (try_ts(l) || try_pri(l) || try_mark(l) || try_letter(l) || try_level(l)) return true;
    const header_step *last = l->h->count ? &l->h->step[l->h->count - 1] : NULL;
    if (last && last->op == H_TAG) return false;
    if (try_open(l) || try_literal(l) || try_bracket(l) || try_int(l)) return true;
    if (try_tag(l) || try_until(l)) return true;
    return false;
}

/* How many words may stand before the next strong cell. The more of the header is known, and the
 * fewer lines there are to judge by, the more likely they are the message. */
static unsigned weak_words_allowed(const learner *l, bool before_stamp) {
    if (before_stamp) return WORDS_BEFORE_TS_MAX;
    if (l->has_component) return 0;
    if (l->has_level_word) return l->n < 20 ? 1 : 3;
    return WEAK_RUN_MAX;
}

static void learn_steps(learner *l, bool stamped) {
    unsigned weak = 0, useful = 0; /* steps kept: up to the last strong one */
    while (l->h->count < HEADER_STEPS_MAX) {
        bool before_stamp = stamped && l->seen_ts == 0;
        if (!extend(l)) {
            if (weak >= weak_words_allowed(l, before_stamp)) break;
            if (l->h->count && l->h->step[l->h->count - 1].op == H_TAG) break;
            if (!stamped && !l->has_level) break;
            if (!try_word(l)) break;
            size_t distinct = distinct_cells(l);
            bool column = last_is_strong(l) || l->h->step[l->h->count - 1].role == COL_HOST ||
                          (distinct > 1 && recurs(l, 0.2));
            l->text_words += !column;
            l->constant_words += !column && distinct == 1;
        }
        if (l->h->step[l->h->count - 1].strong) {
            weak = l->text_words = l->constant_words = 0;
            useful = l->h->count;
        } else {
            /* What names a service or a host is more than any word. */
            uint8_t role = l->h->step[l->h->count - 1].role;
            weak += role != COL_SERVICE && role != COL_HOST;
        }
    }
    l->h->count = (uint8_t)useful;
}

/* The record's time: the finest stamp with a date. */
static void choose_main_ts(header *h) {
    int best = -1;
    h->main_ts = h->count;
    for (uint8_t i = 0; i < h->count; i++) {
        const header_step *s = &h->step[i];
        if (s->op != H_TS || !s->ts.has_time) continue;
        int score = s->ts.has_date * 8 + s->ts.has_year * 4 + s->ts.has_zone;
        if (score > best) {
            best = score;
            h->main_ts = i;
        }
    }
}

static void choose_roles(header *h) {
    bool component = false;
    unsigned brackets = 0, thread = 0, stamp = h->count;
    for (unsigned i = 0; i < h->count; i++) {
        header_step *s = &h->step[i];
        /* Of several component-like words the last counts. */
        if (s->role == COL_COMPONENT)
            for (unsigned k = 0; k < i; k++)
                if (h->step[k].role == COL_COMPONENT) h->step[k].role = COL_NONE;
        component |= s->role == COL_COMPONENT;
        if (s->role == COL_THREAD) thread = i, brackets++;
        if (s->op == H_TS) stamp = i;
    }
    /* Words that look like a service or host mean it only between a level and a component. */
    bool level = false;
    for (unsigned i = 0; i < h->count; i++) {
        header_step *s = &h->step[i];
        level |= s->role == COL_LEVEL;
        if (s->op == H_WORD && i > stamp && (s->role == COL_SERVICE || s->role == COL_HOST) &&
            !(level && component))
            s->role = COL_NONE;
    }
    if (!component && brackets) h->step[thread].role = COL_COMPONENT;
    /* <stamp> host tag: */
    if (stamp + 2 < h->count + 0u && h->step[stamp + 1].op == H_WORD &&
        h->step[stamp + 2].op == H_TAG && stamp + 3 == h->count) {
        h->step[stamp + 1].role = COL_HOST;
        h->syslog = true;
    }
}

static unsigned first_strong(const header *h) {
    for (unsigned i = 0; i < h->count; i++)
        if (h->step[i].op == H_TS) return i + 1;
    for (unsigned i = 0; i < h->count; i++)
        if (h->step[i].strong) return i + 1;
    return 0;
}

static bool learn_from(learner *l, bool stamped) {
    header *h = l->h;
    if (l->n == 0) return false;
    l->nearly = l->n - l->n / 20;
    for (size_t i = 0; i < l->n; i++) h->indented |= *l->line[i].p == ' ' || *l->line[i].p == '\t';
    learn_steps(l, stamped);
    choose_main_ts(h);
    choose_roles(h);
    h->need = (uint8_t)first_strong(h);
    bool level = false;
    for (unsigned i = 0; i < h->count; i++) level |= h->step[i].role == COL_LEVEL;
    bool lead = h->count && h->step[0].op == H_BRACKET && h->step[0].open == '[' && l->n >= 3;
    return h->need > 0 && (stamped ? h->main_ts < h->count : level || lead);
}

bool header_learn(const str *lines, size_t count, const ts_context *c, header *ret) {
    count = MIN(count, (size_t)HEADER_LINES_MAX);
    if (count == 0) return false;
    learner l = {.c = c, .h = ret};
    l.line = mem_new_n(line_cursor, count);
    l.cell = mem_new_n(header_cell, count);
    l.after = mem_alloc_n(count, sizeof *l.after);
    l.text = mem_new_n(str, count);
    const learner fresh = l;

    *ret = (header){0};
    bool found = false;
    if (choose_stamped(&l, lines, count)) {
        found = learn_from(&l, true);
    } else {
        /* Levels padded to the right indent records; else what is indented continues. */
        for (int indented = 0; indented <= 1 && !found; indented++) {
            l = fresh;
            *ret = (header){0};
            choose_all(&l, lines, count, indented);
            found = learn_from(&l, false);
        }
    }
    mem_free(l.line);
    mem_free(l.cell);
    mem_free(l.after);
    mem_free(l.text);
    return found;
}

void header_describe(const header *h, char *out, size_t cap) {
    static const char *const ROLES[] = {"",          "level", "pid",     "tid",  "thread",
                                        "component", "host",  "service", "trace"};
    buf b;
    buf_init(&b, cap - 1);
    for (unsigned i = 0; i < h->count; i++) {
        const header_step *s = &h->step[i];
        const char *role = ROLES[s->role];
        bool space = i && !(s->op == H_LIT && !strchr("-[(", s->lit[0]));
        if (space && i && h->step[i - 1].op == H_LIT && strchr("[(|", h->step[i - 1].lit[0]))
            space = false;
        if (space) buf_putc(&b, ' ');
        switch ((header_op)s->op) {
        case H_TS:
            buf_put(&b, S("<ts>"));
            break;
        case H_LIT:
            buf_put(&b, str_make(s->lit, s->lit_n));
            break;
        case H_PRI:
            buf_put(&b, S("<pri>"));
            break;
        case H_LEVEL:
        case H_LETTER:
        case H_MARK:
            buf_put(&b, S("<level>"));
            break;
        case H_BRACKET:
            buf_fmt(&b, "%c<%s>%c", s->open, *role ? role : "text", s->close);
            break;
        case H_INT:
            buf_fmt(&b, "<%s>", *role ? role : "number");
            break;
        case H_TAG:
            buf_put(&b, S("<component>:"));
            break;
        case H_UNTIL:
            buf_fmt(&b, "<%s>%.*s", *role ? role : "text", (int)s->lit_n, s->lit);
            break;
        case H_WORD:
            buf_fmt(&b, "<%s>", *role ? role : "word");
            break;
        }
    }
    str t = str_trim_right(buf_str(&b));
    memcpy(out, t.p ? t.p : "", t.n);
    out[t.n] = '\0';
    buf_release(&b);
}
